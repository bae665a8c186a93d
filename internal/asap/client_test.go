package asap_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// Times of a Client under test, all different.
const (
	requestTimeout        = 5 * time.Second
	responseTimeout       = 3 * time.Second
	reregistrationTimeout = 30 * time.Second
	huntTimeout           = 8 * time.Second
	maxHuntTimeout        = 20 * time.Second
	maxRequestAttempts    = 2
)

// clientTest is a PE and PU without a network. A test gives it inputs and time, and asks
// for its effects one by one, in their order.
type clientTest struct {
	testing.TB
	*asap.Client
	now        time.Time
	registrars []protocol.TransportAddr
	dialed     map[effect.AssocID]protocol.TransportAddr // by every Dial effect
	effects    []effect.Effect                           // not asked for yet
	decoder    wire.Decoder
}

// newClientTest returns a Client that knows registrars at these hosts.
func newClientTest(t testing.TB, hosts ...string) *clientTest {
	c := &clientTest{TB: t, now: time.Unix(1e9, 0), dialed: make(map[effect.AssocID]protocol.TransportAddr)}
	for _, host := range hosts {
		c.registrars = append(c.registrars, at(host))
	}
	c.Client = asap.NewClient(asap.ClientConfig{
		Registrars:            func(time.Time) []protocol.TransportAddr { return c.registrars },
		Announced:             c.handleAnnounce,
		Rand:                  rand.New(rand.NewPCG(1, 2)),
		RequestTimeout:        requestTimeout,
		ResponseTimeout:       responseTimeout,
		MaxRequestAttempts:    maxRequestAttempts,
		ReregistrationTimeout: reregistrationTimeout,
		HuntTimeout:           huntTimeout,
		MaxHuntTimeout:        maxHuntTimeout,
	})
	return c
}

// handleAnnounce stands for the list of registrars, which takes the source of an announce.
func (c *clientTest) handleAnnounce(_ time.Time, _ *wire.ServerAnnounce, from netip.AddrPort) []protocol.TransportAddr {
	to := at(from.Addr().String())
	if slices.ContainsFunc(c.registrars, to.Equal) {
		return nil
	}
	c.registrars = append(c.registrars, to)
	return []protocol.TransportAddr{to}
}

// at is a registrar's address.
func at(host string) protocol.TransportAddr {
	return protocol.TransportAddr{Protocol: protocol.SCTP, Port: protocol.PortASAP, Addrs: []netip.Addr{netip.MustParseAddr(host)}}
}

const pool protocol.PoolHandle = "Echo"

// element is a PE of ours, as the upper layer gives it.
func element(id protocol.PEID) protocol.PoolElement {
	user := at("10.0.0.9")
	user.Port = 7
	return protocol.PoolElement{ID: id, User: user, Policy: protocol.Policy{Type: protocol.RoundRobin}}
}

// registration is how a PE of ours registers.
func registration(id protocol.PEID) *wire.Registration {
	pe := element(id)
	pe.Life = 3 * reregistrationTimeout
	return &wire.Registration{Handle: pool, Element: pe}
}

func resolution(handle protocol.PoolHandle) *wire.HandleResolution {
	return &wire.HandleResolution{Handle: handle}
}

func cause(c protocol.Cause) []wire.ErrorCause { return []wire.ErrorCause{{Code: c}} }

// next takes the next effect, which must be of this kind.
func (c *clientTest) next(reason string, kind effect.Kind) effect.Effect {
	c.Helper()
	c.collect()
	if len(c.effects) == 0 {
		c.Fatalf("%s: want an effect of kind %d, got none", reason, kind)
	}
	e := c.effects[0]
	if e.Kind != kind {
		c.Fatalf("%s: want an effect of kind %d, got %s", reason, kind, c.text(e))
	}
	c.effects = c.effects[1:]
	return e
}

// collect copies what is queued, whose memory is used again after the next call.
func (c *clientTest) collect() {
	for e, ok := c.Next(); ok; e, ok = c.Next() {
		e.Data = slices.Clone(e.Data)
		if e.Kind == effect.Dial {
			c.dialed[e.Assoc] = e.To
		}
		c.effects = append(c.effects, e)
	}
}

func (c *clientTest) text(e effect.Effect) string {
	if e.Kind == effect.Send {
		if m, err := c.decoder.ASAP(e.Data); err == nil {
			return fmt.Sprintf("%v on %d", m, e.Assoc)
		}
	}
	return fmt.Sprintf("%+v", e)
}

// wantSent wants a message as the next effect.
func (c *clientTest) wantSent(reason string, id effect.AssocID, want wire.Message) {
	c.Helper()
	e := c.next(reason, effect.Send)
	got, err := c.decoder.ASAP(e.Data)
	if err != nil {
		c.Fatalf("%s: sends %x: %v", reason, e.Data, err)
	}
	if e.Assoc != id || e.PPID != protocol.PPIDASAP || got.String() != want.String() {
		c.Fatalf("%s: on association %d\nwant %v\ngot  %v (on %d, PPID %d)", reason, id, want, got, e.Assoc, e.PPID)
	}
}

// wantDial wants the opening of an association as the next effect.
func (c *clientTest) wantDial(reason string) (effect.AssocID, protocol.TransportAddr) {
	c.Helper()
	e := c.next(reason, effect.Dial)
	return e.Assoc, e.To
}

// wantDials wants n associations opened, and returns them with their addresses.
func (c *clientTest) wantDials(reason string, n int) (ids []effect.AssocID, hosts []string) {
	c.Helper()
	for range n {
		id, to := c.wantDial(reason)
		ids, hosts = append(ids, id), append(hosts, to.Addrs[0].String())
	}
	return ids, hosts
}

func (c *clientTest) wantAborted(reason string, ids ...effect.AssocID) {
	c.Helper()
	for _, id := range ids {
		if e := c.next(reason, effect.Abort); e.Assoc != id {
			c.Fatalf("%s: want association %d aborted, got %d", reason, id, e.Assoc)
		}
	}
}

// wantTold wants an event as the next effect; errors may be wrapped.
func (c *clientTest) wantTold(reason string, want any) {
	c.Helper()
	e := c.next(reason, effect.Tell)
	if diff := cmp.Diff(want, e.Event, equateErrors, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		c.Fatalf("%s (-want +got):\n%s", reason, diff)
	}
}

// equateErrors takes an error for the one that it wraps, and remote errors with the
// same cause for the same.
var equateErrors = cmp.FilterValues(
	func(a, b any) bool { _, ok := a.(error); _, ok2 := b.(error); return ok && ok2 },
	cmp.Comparer(func(a, b any) bool {
		x, y := a.(error), b.(error)
		rx, isX := errors.AsType[*asap.RemoteError](x)
		ry, isY := errors.AsType[*asap.RemoteError](y)
		return errors.Is(x, y) || errors.Is(y, x) || isX && isY && *rx == *ry
	}))

// wantIdle wants no further effect.
func (c *clientTest) wantIdle(reason string) {
	c.Helper()
	c.collect()
	if len(c.effects) > 0 {
		c.Fatalf("%s: want no effect, got %s", reason, c.text(c.effects[0]))
	}
}

// advanceToDeadline lets time pass until the Client wants to be called, which must be
// after d, and calls it.
func (c *clientTest) advanceToDeadline(reason string, d time.Duration) {
	c.Helper()
	c.wantIdle("before " + reason)
	if got := c.Deadline().Sub(c.now); got != d {
		c.Fatalf("%s: want a deadline in %v, got %v", reason, d, got)
	}
	c.sleep(d)
	c.Advance(c.now)
}

func (c *clientTest) wantNoDeadline(reason string) {
	c.Helper()
	if d := c.Deadline(); !d.IsZero() {
		c.Fatalf("%s: want no deadline, got one in %v", reason, d.Sub(c.now))
	}
}

func (c *clientTest) sleep(d time.Duration) { c.now = c.now.Add(d) }

// The inputs.

func (c *clientTest) receive(id effect.AssocID, m effect.Appender) {
	c.receiveBytes(id, m.AppendTo(nil))
}

// receiveBytes hands a message over; it is gone afterwards.
func (c *clientTest) receiveBytes(id effect.AssocID, b []byte) {
	c.HandleMessage(c.now, id, protocol.PPIDASAP, b)
	for i := range b {
		b[i] = 0xee
	}
}

// up completes a dialed association.
func (c *clientTest) up(id effect.AssocID) {
	c.HandleUp(c.now, id, protocol.PPIDASAP, at("10.0.0.9"), c.dialed[id])
}

// visit opens an association from a registrar to us.
func (c *clientTest) visit(id effect.AssocID, host string) {
	c.HandleUp(c.now, id, protocol.PPIDASAP, at("10.0.0.9"), at(host))
}

func (c *clientTest) lose(id effect.AssocID) { c.HandleLost(c.now, id, errTest) }

var errTest = errors.New("the test says so")

func (c *clientTest) resolve(handle protocol.PoolHandle) asap.QueryID {
	return c.Resolve(c.now, handle, 0)
}

// connect waits for the dial to the only registrar and completes it.
func (c *clientTest) connect() effect.AssocID {
	c.Helper()
	id, to := c.wantDial("a registrar is needed")
	c.up(id)
	c.wantTold("the registrar is there", asap.HomeFound{Addr: to})
	return id
}

// newPE returns a client with PEs that are registered with the registrar 10.0.0.1.
func newPE(t testing.TB, ids ...protocol.PEID) (*clientTest, effect.AssocID) {
	t.Helper()
	c := newClientTest(t, "10.0.0.1")
	for _, id := range ids {
		c.Register(c.now, pool, element(id))
	}
	home := c.connect()
	for _, id := range ids {
		c.wantSent("the PE registers", home, registration(id))
	}
	for _, id := range ids {
		c.receive(home, &wire.RegistrationResponse{Handle: pool, ID: id})
		c.wantTold("the PE is registered", asap.Registered{Handle: pool, ID: id})
	}
	return c, home
}

// newPU returns a client with a registrar, of which it asks nothing at the moment.
func newPU(t testing.TB, hosts ...string) (*clientTest, effect.AssocID) {
	t.Helper()
	c := newClientTest(t, hosts...)
	q := c.resolve(pool)
	ids, _ := c.wantDials("a registrar is needed", min(len(hosts), 3))
	c.up(ids[0])
	c.wantAborted("one is enough", ids[1:]...)
	c.wantTold("the registrar is there", asap.HomeFound{Addr: c.dialed[ids[0]]})
	c.wantSent("the PU asks", ids[0], resolution(pool))
	c.receive(ids[0], &wire.HandleResolutionResponse{Handle: pool, Causes: cause(protocol.CauseUnknownPoolHandle)})
	c.wantTold("and is answered", asap.Resolved{Query: q, Err: &asap.RemoteError{Cause: protocol.CauseUnknownPoolHandle}})
	return c, ids[0]
}
