package enrp

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// samples is a message of each type, from registrar 1.
func samples() []wire.Message {
	return []wire.Message{
		asking(presence(1, add(1, "Echo", 1))),
		&wire.HandleTableRequest{Sender: 1, Receiver: ownID},
		&wire.HandleTableRequest{OwnChildrenOnly: true, Sender: 1, Receiver: ownID},
		table(1, true, add(1, "Echo", 1), add(2, "Web", 2)),
		table(1, false, add(1, "Echo", 3)),
		add(1, "Echo", 1),
		suggested(add(1, "Echo", 4)),
		del(1, "Echo", 1),
		&wire.ListRequest{Sender: 1, Receiver: ownID},
		&wire.ListResponse{Sender: 1, Servers: []wire.ServerInformation{{ID: 6, Transport: addr(6, 9901)}}},
		initTakeover(1, ownID, 2),
		initTakeover(1, ownID, ownID),
		ack(1, ownID, 2),
		takeoverServer(1, ownID, 2),
		&wire.ENRPError{Sender: 1, Causes: []wire.ErrorCause{{Code: protocol.CauseInvalidMessage}}},
	}
}

// Whatever comes, in whatever state, the engine stands: bytes are changed, senders and targets
// exchanged, associations lost, and time passes. It keeps its bounds, and is never due at
// a time that has passed.
func TestRobust(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		e := newServing(t, 3, func(cfg *Config) { cfg.MaxElements, cfg.MaxPeers = 20, 6 })
		all := samples()
		dialed := []effect.AssocID{1, 2, 3, 4, 5}
		for range 300 {
			b := all[r.IntN(len(all))].AppendTo(nil)
			if r.IntN(2) == 0 {
				binary.BigEndian.PutUint32(b[4:], r.Uint32N(9))
			}
			if r.IntN(4) == 0 {
				b[r.IntN(len(b))] ^= byte(1 << r.IntN(8))
			}
			id := dialed[r.IntN(len(dialed))]
			switch r.IntN(20) {
			case 0:
				e.HandleLost(e.now, id, nil)
			case 1:
				e.HandleUp(e.now, id, addr(5, 9901), addr(r.IntN(9), 9901))
			case 2:
				e.advance(time.Duration(r.IntN(3000)) * time.Millisecond)
			case 3:
				e.HandleDatagram(e.now, addr(r.IntN(9), 9901).AddrPort(), b)
			default:
				e.HandleMessage(e.now, id, protocol.PPIDENRP, b)
			}
			for _, f := range e.drain() {
				if f.Kind == effect.Dial {
					dialed = append(dialed, f.Assoc)
				}
			}
			if len(e.peers) > 6 || e.space.Len() > 20 || len(e.strangers) > maxStrangers {
				t.Fatalf("seed %d: %d peers, %d PEs, %d strangers", seed, len(e.peers), e.space.Len(), len(e.strangers))
			}
		}
		e.Advance(e.now)
		if d := e.Deadline(); due(d, e.now) {
			t.Fatalf("seed %d: due at %v, now is %v", seed, d, e.now)
		}
	}
}

func FuzzHandleMessage(f *testing.F) {
	for _, m := range samples() {
		f.Add(m.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e := newServing(t, 2)
		e.registered("Echo", 7)
		e.receive(2, add(2, "Echo", 8))
		e.HandleMessage(e.now, 1, protocol.PPIDENRP, data)
		e.HandleDatagram(e.now, addr(1, 9901).AddrPort(), data)
		if el := e.space.Get("Echo", 7); el == nil || el.Home != ownID {
			t.Error("our own PE is gone by a peer's message")
		}
	})
}
