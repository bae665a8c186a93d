// Package effect is what a pure engine asks of the loop that drives it. An
// engine takes inputs with the current time, queues effects, and names the time
// at which it wants to be called next; it never touches a socket or a clock.
package effect

import (
	"time"

	"github.com/rserpool/rsp/internal/protocol"
)

// AssocID names one association between an engine and its loop. Accepted
// associations get theirs from the loop, dialed ones from the engine's Queue at the Dial
// effect. It is never used twice.
type AssocID uint64

// Kind says what an Effect asks for.
type Kind uint8

const (
	// Send: send Data as one message with PPID on Assoc, after all that was sent
	// there before. An association that is gone swallows it.
	Send Kind = iota
	// Dial: open an association to To under the name Assoc, from the port where PPID's
	// protocol is served if it is, and report it by HandleUp or HandleLost.
	Dial
	// Close: end Assoc gracefully; what was sent is still delivered. The engine
	// forgets the association at once and hears nothing more of it.
	Close
	// Abort: end Assoc at once, so that the peer sees a loss. The engine forgets it too.
	Abort
	// Announce: send Data as one datagram to the multicast groups of the service PPID. Where
	// there is none, nobody hears it.
	Announce
	// Tell: hand Event to the owner of the loop.
	Tell
)

// Effect is one thing that an engine asks for; which fields are set depends on
// Kind.
type Effect struct {
	Kind  Kind
	Assoc AssocID
	PPID  protocol.PPID
	Data  []byte // valid until the engine is called next
	To    protocol.TransportAddr
	Event any
}

// Queue collects the effects of an engine in order. The zero value is ready to
// use; it reuses its memory, so that a message that is answered costs no
// allocation.
type Queue struct {
	effects []Effect
	next    int
	data    []byte
	dialed  AssocID
}

// Appender is a message that can write itself behind b.
type Appender interface{ AppendTo(b []byte) []byte }

// Send queues m for an association.
func (q *Queue) Send(to AssocID, ppid protocol.PPID, m Appender) {
	q.effects = append(q.effects, Effect{Kind: Send, Assoc: to, PPID: ppid, Data: q.write(m)})
}

// Announce queues m for the multicast groups of a service, which is ASAP or ENRP.
func (q *Queue) Announce(service protocol.PPID, m Appender) {
	q.effects = append(q.effects, Effect{Kind: Announce, PPID: service, Data: q.write(m)})
}

// write appends m to the data of all messages, of which it returns m's part.
func (q *Queue) write(m Appender) []byte {
	start := len(q.data)
	q.data = m.AppendTo(q.data)
	return q.data[start:len(q.data):len(q.data)]
}

// dialedBit tells associations that an engine dials from those that a loop
// accepts.
const dialedBit AssocID = 1 << 63

// Dial queues the opening of an association for a service, which is ASAP or ENRP, and returns
// its name.
func (q *Queue) Dial(to protocol.TransportAddr, service protocol.PPID) AssocID {
	q.dialed++
	id := q.dialed | dialedBit
	q.effects = append(q.effects, Effect{Kind: Dial, Assoc: id, PPID: service, To: to})
	return id
}

// Close queues the graceful end of an association.
func (q *Queue) Close(id AssocID) { q.effects = append(q.effects, Effect{Kind: Close, Assoc: id}) }

// Abort queues the abrupt end of an association.
func (q *Queue) Abort(id AssocID) { q.effects = append(q.effects, Effect{Kind: Abort, Assoc: id}) }

// Tell queues an event for the owner of the loop.
func (q *Queue) Tell(event any) { q.effects = append(q.effects, Effect{Kind: Tell, Event: event}) }

// Next takes the oldest effect from the queue.
func (q *Queue) Next() (Effect, bool) {
	if q.next == len(q.effects) {
		clear(q.effects)
		q.effects, q.data, q.next = q.effects[:0], q.data[:0], 0
		return Effect{}, false
	}
	e := q.effects[q.next]
	q.next++
	return e, true
}

// Earliest returns the earlier of two of an engine's deadlines, of which zero is never.
func Earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
