package simnet_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp/internal/simnet"
)

var announces = netip.MustParseAddrPort("239.0.0.50:3863")

// member is a host in a group, and what it has heard.
type member struct {
	*simnet.Host
	*simnet.Group
	heard []string // "text from 10.0.0.1:3863 after 1ms"
}

func newMember(t *testing.T, h *simnet.Host, at netip.AddrPort, port uint16) *member {
	t.Helper()
	g, err := h.Join(at, port)
	if err != nil {
		t.Fatal(err)
	}
	m := &member{Host: h, Group: g}
	start, ended := time.Now(), make(chan bool)
	go func() {
		defer close(ended)
		b := make([]byte, 100)
		for {
			n, from, err := g.Recv(b)
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
			m.heard = append(m.heard, fmt.Sprintf("%s from %v after %v", b[:n], from, time.Since(start)))
		}
	}()
	t.Cleanup(func() { m.Group.Close(); <-ended })
	return m
}

func (m *member) say(t *testing.T, text string) {
	t.Helper()
	if err := m.Send([]byte(text)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	synctest.Wait()
}

func (m *member) wantHeard(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(m.heard, want) {
		t.Errorf("heard %q, want %q", m.heard, want)
	}
	m.heard = nil
}

// "A datagram to a multicast group leaves from each address of its host. It arrives after
// Config.Latency, also at the host itself, or never when it is lost or its way is cut."
func TestMulticast(t *testing.T) {
	for _, latency := range []time.Duration{0, 3 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			n := simnet.New(simnet.Config{Latency: latency})
			a := newMember(t, n.Host("10.0.0.1"), announces, 3863)
			b := newMember(t, n.Host("10.0.0.2", "10.1.0.2"), announces, 0)
			other := newMember(t, n.Host("10.0.0.3"), netip.MustParseAddrPort("239.0.0.51:3863"), 0)

			a.say(t, "one")
			a.wantHeard(t, fmt.Sprint("one from 10.0.0.1:3863 after ", latency))
			b.wantHeard(t, fmt.Sprint("one from 10.0.0.1:3863 after ", latency))

			b.say(t, "two")
			a.wantHeard(t, fmt.Sprint("two from 10.0.0.2:49152 after ", time.Second+latency),
				fmt.Sprint("two from 10.1.0.2:49152 after ", time.Second+latency))
			b.heard = nil
			other.wantHeard(t)

			n.Cut(addr("10.0.0.1"), addr("10.0.0.2"))
			a.say(t, "three")
			b.wantHeard(t)
			n.Heal(addr("10.0.0.1"), addr("10.0.0.2"))
			a.say(t, "four")
			b.wantHeard(t, fmt.Sprint("four from 10.0.0.1:3863 after ", 3*time.Second+latency))

			a.Crash()
			if err := a.Send([]byte("five")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a host that crashed sends: %v", err)
			}
			again := newMember(t, a.Host, announces, 3863)
			again.say(t, "six")
			again.wantHeard(t, fmt.Sprint("six from 10.0.0.1:3863 after ", latency))
			b.Kill()
			if _, err := b.Join(announces, 0); err == nil {
				t.Error("a host without power joins a group")
			}
		})
	}
}

func TestMulticastLoss(t *testing.T) {
	var runs [2][]string
	for i := range runs {
		synctest.Test(t, func(t *testing.T) {
			n := simnet.New(simnet.Config{Latency: time.Millisecond, Loss: 0.5, Seed: 7})
			a := newMember(t, n.Host("10.0.0.1"), announces, 3863)
			b := newMember(t, n.Host("10.0.0.2"), announces, 3863)
			for i := range 100 {
				a.say(t, fmt.Sprint(i))
			}
			if got := len(b.heard); got < 30 || got > 70 {
				t.Errorf("%d of 100 datagrams arrived, want about a half", got)
			}
			runs[i] = b.heard
		})
	}
	if !slices.Equal(runs[0], runs[1]) {
		t.Error("the same seed makes other losses")
	}
}

// Who does not receive gets no more than some.
func TestMulticastFlood(t *testing.T) {
	n := simnet.New(simnet.Config{})
	g, err := n.Host("10.0.0.1").Join(announces, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := g.Send([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Send([]byte("last")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	for i := range 64 {
		if n, _, err := g.Recv(b); err != nil || n != 1 || b[0] != byte(i) {
			t.Fatalf("datagram %d is %v, %v", i, b[:n], err)
		}
	}
	done := make(chan error)
	go func() {
		_, _, err := g.Recv(b)
		done <- err
	}()
	g.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the rest is not lost: %v", err)
	}
	if _, err := n.Host("10.0.0.2").Join(netip.MustParseAddrPort("10.0.0.1:1"), 0); err == nil {
		t.Error("joins a group of one")
	}
}
