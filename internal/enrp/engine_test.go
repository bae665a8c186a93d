package enrp

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// engineTest is a registrar without a network. A test gives it messages, ends of
// associations and time, and compares what it wants done.
type engineTest struct {
	testing.TB
	*Engine[int]
	space    *handlespace.Space[int]
	effects  *effect.Queue
	now      time.Time
	adopted  []protocol.PEID
	released []protocol.PEID
}

// ownID is between those of the peers 1 to 4 and 6 to 9.
const ownID protocol.RegistrarID = 5

// newEngineTest returns a registrar at address 5 that is not started.
func newEngineTest(t testing.TB, tune ...func(*Config)) *engineTest {
	e := &engineTest{
		TB:      t,
		space:   handlespace.New[int](handlespace.Options{}),
		effects: &effect.Queue{},
		now:     time.Unix(1e9, 0),
	}
	cfg := testConfig(ownID)
	for _, f := range tune {
		f(&cfg)
	}
	e.Engine = New(cfg, Owner[int]{
		Adopt:   func(_ time.Time, el *handlespace.Element[int]) { e.adopted = append(e.adopted, el.ID) },
		Release: func(el *handlespace.Element[int]) { e.released = append(e.released, el.ID) },
	}, e.space, e.effects)
	return e
}

// newServing returns a registrar that serves and has associations 1 to n to the
// registrars 1 to n.
func newServing(t testing.TB, n int, tune ...func(*Config)) *engineTest {
	e := newEngineTest(t, tune...)
	e.Start(e.now, addr(5, protocol.PortENRP), false)
	for i := range n {
		e.known(i + 1)
	}
	return e
}

// up opens an association that a registrar has dialed, under its number.
func (e *engineTest) up(number int) {
	e.HandleUp(e.now, effect.AssocID(number), addr(5, protocol.PortENRP), addr(number, protocol.PortENRP))
}

// known is a registrar that has dialed us and introduced itself.
func (e *engineTest) known(number int) {
	e.up(number)
	e.receive(number, presence(number))
	e.receive(number, &wire.ListResponse{Sender: protocol.RegistrarID(number), Receiver: ownID})
	e.drain()
}

// presence is the PRESENCE of a registrar that owns some PEs.
func presence(number int, owned ...*wire.HandleUpdate) *wire.Presence {
	s := handlespace.New[int](handlespace.Options{})
	for _, u := range owned {
		pe := u.Element
		pe.Home = protocol.RegistrarID(number)
		if _, _, err := s.Put(u.Handle, &pe, handlespace.Registered); err != nil {
			panic(err)
		}
	}
	id := protocol.RegistrarID(number)
	return &wire.Presence{
		Sender: id, Receiver: ownID, HasChecksum: true, Checksum: s.Checksum(id),
		Server: wire.ServerInformation{ID: id, Transport: addr(number, protocol.PortENRP)},
	}
}

func asking(p *wire.Presence) *wire.Presence {
	p.ReplyRequired = true
	return p
}

// add is a HANDLE_UPDATE of a PE whose home is the sender.
func add(sender int, handle protocol.PoolHandle, id protocol.PEID) *wire.HandleUpdate {
	return &wire.HandleUpdate{
		Sender: protocol.RegistrarID(sender), Receiver: ownID, Handle: handle,
		Element: protocol.PoolElement{
			ID: id, Home: protocol.RegistrarID(sender), Life: 30 * time.Second,
			User: addr(int(id)+1000, 7), ASAP: addr(int(id)+1000, 4000),
			Policy: protocol.Policy{Type: protocol.RoundRobin},
		},
	}
}

func del(sender int, handle protocol.PoolHandle, id protocol.PEID) *wire.HandleUpdate {
	m := add(sender, handle, id)
	m.Action = wire.DeletePE
	return m
}

// table is a HANDLE_TABLE_RESPONSE that lists PEs.
func table(sender int, more bool, listed ...*wire.HandleUpdate) *wire.HandleTableResponse {
	m := &wire.HandleTableResponse{Sender: protocol.RegistrarID(sender), Receiver: ownID, MoreToSend: more}
	for _, u := range listed {
		m.Entries = append(m.Entries, wire.PoolEntry{Handle: u.Handle, Elements: []protocol.PoolElement{u.Element}})
	}
	return m
}

// registered makes a PE one of our own, as asap.Home does.
func (e *engineTest) registered(handle protocol.PoolHandle, id protocol.PEID) *handlespace.Element[int] {
	e.Helper()
	el, _, err := e.space.Put(handle, &add(int(ownID), handle, id).Element, handlespace.Registered)
	if err != nil {
		e.Fatal(err)
	}
	e.Registered(e.now, el)
	return el
}

// receive hands a message over; it is gone afterwards.
func (e *engineTest) receive(number int, m wire.Message) {
	b := m.AppendTo(nil)
	e.HandleMessage(e.now, effect.AssocID(number), protocol.PPIDENRP, b)
	for i := range b {
		b[i] = 0xee
	}
}

// advance lets time pass, deadline by deadline.
func (e *engineTest) advance(d time.Duration) {
	end := e.now.Add(d)
	for next := e.Deadline(); !next.IsZero() && !next.After(end); next = e.Deadline() {
		e.now = next
		e.Advance(e.now)
	}
	e.now = end
}

// want compares all effects since the last call.
func (e *engineTest) want(reason string, effects ...string) {
	e.Helper()
	var got []string
	for f, ok := e.effects.Next(); ok; f, ok = e.effects.Next() {
		got = append(got, e.text(f))
	}
	if diff := cmp.Diff(effects, got); diff != "" {
		e.Errorf("%s (-want +got):\n%s", reason, diff)
	}
}

// drain drops all effects since the last call and returns them.
func (e *engineTest) drain() (effects []effect.Effect) {
	for f, ok := e.effects.Next(); ok; f, ok = e.effects.Next() {
		effects = append(effects, f)
	}
	return effects
}

func (e *engineTest) text(f effect.Effect) string {
	var d wire.Decoder
	switch f.Kind {
	case effect.Send, effect.Announce:
		m, err := d.ENRP(f.Data)
		if err != nil || f.PPID != protocol.PPIDENRP {
			e.Fatalf("sends PPID %d %x: %v", f.PPID, f.Data, err)
		}
		if f.Kind == effect.Announce {
			return "announce " + m.String()
		}
		return send(number(f.Assoc), m)
	case effect.Dial:
		if f.PPID != protocol.PPIDENRP {
			e.Errorf("dials for PPID %d", f.PPID)
		}
		return "dial " + f.To.String()
	case effect.Close:
		return fmt.Sprintf("close %d", number(f.Assoc))
	case effect.Abort:
		return fmt.Sprintf("abort %d", number(f.Assoc))
	case effect.Tell:
		return tell(f.Event)
	}
	return fmt.Sprintf("effect %+v", f)
}

// number is the name of an association in texts; those that we have dialed start with 101.
func number(id effect.AssocID) int {
	if dialed := id - 1<<63; dialed < 1<<32 {
		return 100 + int(dialed)
	}
	return int(id)
}

// send is the text of the effect that sends m over the association of a number.
func send(number int, m wire.Message) string { return fmt.Sprintf("send %d %v", number, m) }

func tell(event any) string { return fmt.Sprintf("tell %T%+v", event, event) }

// dial is the text of the effect that dials the registrar of a number.
func dial(number int) string { return "dial " + addr(number, protocol.PortENRP).String() }

// ours is our PRESENCE to a registrar, 0: to one that is not known.
func (e *engineTest) ours(to protocol.RegistrarID, replyRequired bool) *wire.Presence {
	return &wire.Presence{
		ReplyRequired: replyRequired,
		Sender:        ownID, Receiver: to, HasChecksum: true, Checksum: e.space.Checksum(ownID),
		Server: wire.ServerInformation{ID: ownID, Transport: addr(5, protocol.PortENRP)},
	}
}

// ourUpdate is u as we send it.
func ourUpdate(to int, u *wire.HandleUpdate) *wire.HandleUpdate {
	u.Sender, u.Receiver = ownID, protocol.RegistrarID(to)
	return u
}

// homes prints what the handlespace has.
func (e *engineTest) homes() string { return (&node{space: e.space}).table() }

func (e *engineTest) wantHomes(reason, want string) {
	e.Helper()
	if got := e.homes(); got != want {
		e.Errorf("%s: the handlespace has %q, want %q", reason, got, want)
	}
}

// dialedTo returns the name of the association that is being dialed to a registrar.
func (e *engineTest) dialedTo(number int) effect.AssocID {
	e.Helper()
	for _, f := range e.drain() {
		if f.Kind == effect.Dial && sameHost(f.To, addr(number, protocol.PortENRP)) {
			return f.Assoc
		}
	}
	e.Fatalf("registrar %d is not dialed", number)
	return 0
}
