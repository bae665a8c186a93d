// Package transporttest holds every transport to the contract of package
// transport. Each case quotes the sentence that it checks.
//
// The cases measure no speed and sleep nowhere, so that they run on a slow machine, on real
// networks and, with RunInBubble, in the fake time of testing/synctest alike. A call that hangs is cut
// off after a minute and fails its case.
package transporttest

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// Setup is what a case runs on: two ends that reach each other.
type Setup struct {
	// Client and Server may be the same network.
	Client, Server transport.Network
	// ClientAddr and ServerAddr are where the two may listen; the port is 0.
	ClientAddr, ServerAddr protocol.TransportAddr
	// Dead is an address that Client may try in vain beside one of ServerAddr:
	// no listener of Server has it. If not valid, the case of it is skipped.
	Dead netip.Addr
	// Silent is where Client gets no answer at all, not even a refusal. If zero,
	// the case of it is skipped.
	Silent protocol.TransportAddr
}

// testCase is one clause of the contract: either of two networks or of an
// association, which is then tried from both ends.
type testCase struct {
	name    string
	network func(t *testing.T, s Setup)
	assoc   func(t *testing.T, a, b transport.Assoc)
}

// Run runs all cases; setup is called for each and cleans up with t.Cleanup.
func Run(t *testing.T, setup func(t *testing.T) Setup) {
	forEach(t, func(t *testing.T, test func(*testing.T, Setup)) { test(t, setup(t)) })
}

// RunInBubble is Run with each case, setup included, in a synctest bubble.
func RunInBubble(t *testing.T, setup func(t *testing.T) Setup) {
	forEach(t, func(t *testing.T, test func(*testing.T, Setup)) {
		synctest.Test(t, func(t *testing.T) { test(t, setup(t)) })
	})
}

func forEach(t *testing.T, run func(t *testing.T, test func(*testing.T, Setup))) {
	for _, c := range cases {
		if c.network != nil {
			t.Run(c.name, func(t *testing.T) { run(t, c.network) })
			continue
		}
		t.Run(c.name+"/ByDialer", func(t *testing.T) {
			run(t, func(t *testing.T, s Setup) {
				client, server := connect(t, s, transport.Options{Buffer: buffer})
				c.assoc(t, client, server)
			})
		})
		t.Run(c.name+"/ByAcceptor", func(t *testing.T) {
			run(t, func(t *testing.T, s Setup) {
				client, server := connect(t, s, transport.Options{Buffer: buffer})
				c.assoc(t, server, client)
			})
		})
	}
}

var cases = []testCase{
	{name: "Borders", assoc: testBorders},
	{name: "Info", assoc: testInfo},
	{name: "PartialRecv", assoc: testPartialRecv},
	{name: "BigMessages", assoc: testBigMessages},
	{name: "TooLong", assoc: testTooLong},
	{name: "Order", assoc: testOrder},
	{name: "ConcurrentSenders", assoc: testConcurrentSenders},
	{name: "FullDuplex", assoc: testFullDuplex},
	{name: "Racy", assoc: testRacy},
	{name: "RTT", assoc: testRTT},

	{name: "FullBufferDeadline", assoc: testFullBufferDeadline},
	{name: "FullBufferResumes", assoc: testFullBufferResumes},
	{name: "WriteDeadlineWhileWaiting", assoc: testWriteDeadlineWhileWaiting},
	{name: "WriteDeadlinePast", assoc: testWriteDeadlinePast},
	{name: "ReadDeadlinePast", assoc: testReadDeadlinePast},
	{name: "ReadDeadlineFuture", assoc: testReadDeadlineFuture},
	{name: "ReadDeadlineWhileWaiting", assoc: testReadDeadlineWhileWaiting},
	{name: "ReadDeadlineExtended", assoc: testReadDeadlineExtended},
	{name: "DeadlineKeepsRest", assoc: testDeadlineKeepsRest},

	{name: "CloseDelivers", assoc: testCloseDelivers},
	{name: "CloseDoesNotWait", assoc: testCloseDoesNotWait},
	{name: "CloseWithUnread", assoc: testCloseWithUnread},
	{name: "CloseUnblocks", assoc: testUnblocks(transport.Assoc.Close)},
	{name: "AbortUnblocks", assoc: testUnblocks(transport.Assoc.Abort)},
	{name: "CloseEndsPeersSend", assoc: testCloseEndsPeersSend},
	{name: "Shutdown", assoc: testShutdown},
	{name: "ShutdownUnblocksSend", assoc: testShutdownUnblocksSend},
	{name: "AbortMetByRecv", assoc: testAbortMetByRecv},
	{name: "AbortMetBySend", assoc: testAbortMetBySend},
	{name: "AbortWhileBlocked", assoc: testAbortWhileBlocked},

	{name: "Addresses", network: testAddresses},
	{name: "ListenEverywhere", network: testListenEverywhere},
	{name: "ManyDials", network: testManyDials},
	{name: "AcceptContext", network: testAcceptContext},
	{name: "DialContext", network: testDialContext},
	{name: "DialNobody", network: testDialNobody},
	{name: "DialSilent", network: testDialSilent},
	{name: "DialSecondAddress", network: testDialSecondAddress},
	{name: "ListenerClose", network: testListenerClose},
	{name: "ListenerDial", network: testListenerDial},
	{name: "AssocOutlivesListener", network: testAssocOutlivesListener},
}

const (
	// buffer is small, so that it is soon full, and still holds a longest message.
	buffer = 128 << 10
	// patience ends calls that hang. It is far above what a slow machine needs.
	patience = time.Minute
)

// connect listens at the server, dials from the client, and returns both ends.
func connect(t testing.TB, s Setup, opts transport.Options) (client, server transport.Assoc) {
	t.Helper()
	ln := listen(t, s.Server, s.ServerAddr, opts)
	client, err := s.Client.Dial(t.Context(), ln.LocalAddr(), opts)
	if err != nil {
		t.Fatalf("Dial %v: %v", ln.LocalAddr(), err)
	}
	guard(t, client)
	return client, accept(t, ln)
}

// listen opens a listener that the end of the test closes.
func listen(t testing.TB, n transport.Network, local protocol.TransportAddr, opts transport.Options) transport.Listener {
	t.Helper()
	ln, err := n.Listen(t.Context(), local, opts)
	if err != nil {
		t.Fatalf("Listen %v: %v", local, err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func accept(t testing.TB, ln transport.Listener) transport.Assoc {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, err := ln.Accept(ctx)
	if err != nil {
		t.Fatalf("Accept at %v: %v", ln.LocalAddr(), err)
	}
	guard(t, a)
	return a
}

func dial(t testing.TB, ln transport.Listener, remote protocol.TransportAddr) transport.Assoc {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, err := ln.Dial(ctx, remote)
	if err != nil {
		t.Fatalf("Dial %v from %v: %v", remote, ln.LocalAddr(), err)
	}
	guard(t, a)
	return a
}

// guard ends a with the test, or before it when that takes too long.
func guard(t testing.TB, a transport.Assoc) {
	watchdog := time.AfterFunc(patience, func() { a.Abort() })
	t.Cleanup(func() {
		if !watchdog.Stop() {
			t.Errorf("hung: %v -> %v was aborted after %v", a.LocalAddr(), a.RemoteAddr(), patience)
		}
		a.Abort()
	})
}

// wantWaiting fails if a call that was started ends within a moment.
func wantWaiting[T any](t *testing.T, what string, done <-chan T) {
	t.Helper()
	select {
	case result := <-done:
		t.Fatalf("%s did not wait: %+v", what, result)
	case <-time.After(moment):
	}
}
