package rsp

import (
	"errors"
	"sync"
	"time"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/registrar"
	"github.com/rserpool/rsp/internal/wire"
)

// TraceEntry is a message that a Registrar has received or sent, or, if Lost is set, the end of
// one of its PEs that no message asked for. Fields that a message does not have are zero.
type TraceEntry struct {
	Time      time.Time
	Sent      bool // else received
	Multicast bool
	Protocol  string // "ASAP" or "ENRP"
	Message   string // its name in the RFCs without the protocol, as "HANDLE_UPDATE"; "" if it could not be read, or Lost is set
	Flags     uint8
	Count     uint32 // PEs asked for, or PEs or registrars listed
	Pool      PoolHandle
	PE        PEID // of several, the first
	Sender    RegistrarID
	Receiver  RegistrarID
	Target    RegistrarID  // of a takeover
	Deleted   bool         // HANDLE_UPDATE: the PE is removed
	Cause     uint16       // the code of the first error cause (RFC 5354 section 3.12); 0: none
	Lost      ChangeReason // why the registrar has lost a PE of its own
	Missed    int          // entries left out before this one, since Trace was too slow
}

// tracer gives a trace to its user in a goroutine of its own, since the loop must not wait
// for it. nil is a tracer that nobody listens to.
type tracer struct {
	own   RegistrarID
	queue chan TraceEntry
	wg    sync.WaitGroup
	end   sync.Once

	// These belong to the loop's owner.
	decoder    wire.Decoder
	missed     int  // entries since the last one that found the queue full
	announcing bool // there is a group that hears announces
}

// maxTraced is how many entries may wait.
const maxTraced = 4096

// newTracer starts a tracer, which stop must end.
func newTracer(own RegistrarID, user func(TraceEntry)) *tracer {
	if user == nil {
		return nil
	}
	t := &tracer{own: own, queue: make(chan TraceEntry, maxTraced)}
	t.wg.Go(func() {
		for entry := range t.queue {
			user(entry)
		}
	})
	return t
}

// stop ends the tracer after the last entry.
func (t *tracer) stop() {
	if t == nil {
		return
	}
	t.end.Do(func() { close(t.queue) })
	t.wg.Wait()
}

// message traces a message; it is registrar.Engine's Trace.
func (t *tracer) message(now time.Time, m registrar.Traced) {
	if m.Sent && m.Multicast && m.PPID == protocol.PPIDASAP && !t.announcing {
		return // it goes nowhere
	}
	entry := TraceEntry{Time: now, Sent: m.Sent, Multicast: m.Multicast}
	var err error
	var decoded wire.Message
	switch m.PPID {
	case protocol.PPIDASAP:
		entry.Protocol = "ASAP"
		decoded, err = t.decoder.ASAP(m.Data)
	case protocol.PPIDENRP:
		entry.Protocol = "ENRP"
		decoded, err = t.decoder.ENRP(m.Data)
	default:
		return
	}
	if parseErr, ok := errors.AsType[*wire.ParseError](err); ok {
		entry.Cause = uint16(parseErr.Cause)
	} else {
		if len(m.Data) > 1 {
			entry.Flags = m.Data[1]
		}
		entry.describeASAP(decoded)
		entry.describeENRP(decoded)
	}
	t.tell(entry)
}

// lost traces the end of a PE that was ours and did not ask for it.
func (t *tracer) lost(c registrar.Change) {
	if t == nil || c.Kind != handlespace.Removed || c.Element.Home != t.own || c.Reason == handlespace.Deregistered {
		return
	}
	t.tell(TraceEntry{
		Time: time.Now(), Protocol: "ASAP", Pool: c.Element.Handle, PE: c.Element.ID, Lost: c.Reason,
	})
}

// tell queues an entry. It never waits: what is too much is counted.
func (t *tracer) tell(entry TraceEntry) {
	entry.Missed = t.missed
	select {
	case t.queue <- entry:
		t.missed = 0
	default:
		t.missed++
	}
}

// describeASAP fills in what an ASAP message says.
func (t *TraceEntry) describeASAP(m wire.Message) {
	switch m := m.(type) {
	case *wire.Registration:
		t.Message, t.Pool, t.PE = "REGISTRATION", m.Handle, m.Element.ID
	case *wire.RegistrationResponse:
		t.Message, t.Pool, t.PE, t.Cause = "REGISTRATION_RESPONSE", m.Handle, m.ID, firstCause(m.Causes)
	case *wire.Deregistration:
		t.Message, t.Pool, t.PE = "DEREGISTRATION", m.Handle, m.ID
	case *wire.DeregistrationResponse:
		t.Message, t.Pool, t.PE, t.Cause = "DEREGISTRATION_RESPONSE", m.Handle, m.ID, firstCause(m.Causes)
	case *wire.HandleResolution:
		t.Message, t.Pool, t.Count = "HANDLE_RESOLUTION", m.Handle, m.Items
	case *wire.HandleResolutionResponse:
		t.Message, t.Pool, t.Count, t.Cause = "HANDLE_RESOLUTION_RESPONSE", m.Handle, uint32(len(m.Elements)), firstCause(m.Causes)
		if len(m.Elements) > 0 {
			t.PE = m.Elements[0].ID
		}
	case *wire.EndpointKeepAlive:
		t.Message, t.Pool, t.PE, t.Sender = "ENDPOINT_KEEP_ALIVE", m.Handle, m.ID, m.Registrar
	case *wire.EndpointKeepAliveAck:
		t.Message, t.Pool, t.PE = "ENDPOINT_KEEP_ALIVE_ACK", m.Handle, m.ID
	case *wire.EndpointUnreachable:
		t.Message, t.Pool, t.PE = "ENDPOINT_UNREACHABLE", m.Handle, m.ID
	case *wire.ServerAnnounce:
		t.Message, t.Sender = "SERVER_ANNOUNCE", m.Registrar
	case *wire.Cookie:
		t.Message = "COOKIE"
	case *wire.CookieEcho:
		t.Message = "COOKIE_ECHO"
	case *wire.BusinessCard:
		t.Message, t.Pool = "BUSINESS_CARD", m.Handle
	case *wire.ASAPError:
		t.Message, t.Cause = "ERROR", firstCause(m.Causes)
	}
}

// describeENRP fills in what an ENRP message says.
func (t *TraceEntry) describeENRP(m wire.Message) {
	switch m := m.(type) {
	case *wire.Presence:
		t.Message, t.Sender, t.Receiver = "PRESENCE", m.Sender, m.Receiver
	case *wire.HandleTableRequest:
		t.Message, t.Sender, t.Receiver = "HANDLE_TABLE_REQUEST", m.Sender, m.Receiver
	case *wire.HandleTableResponse:
		t.Message, t.Sender, t.Receiver = "HANDLE_TABLE_RESPONSE", m.Sender, m.Receiver
		for _, entry := range m.Entries {
			t.Count += uint32(len(entry.Elements))
		}
	case *wire.HandleUpdate:
		t.Message, t.Sender, t.Receiver = "HANDLE_UPDATE", m.Sender, m.Receiver
		t.Pool, t.PE, t.Deleted = m.Handle, m.Element.ID, m.Action == wire.DeletePE
	case *wire.ListRequest:
		t.Message, t.Sender, t.Receiver = "LIST_REQUEST", m.Sender, m.Receiver
	case *wire.ListResponse:
		t.Message, t.Sender, t.Receiver, t.Count = "LIST_RESPONSE", m.Sender, m.Receiver, uint32(len(m.Servers))
	case *wire.InitTakeover:
		t.Message, t.Sender, t.Receiver, t.Target = "INIT_TAKEOVER", m.Sender, m.Receiver, m.Target
	case *wire.InitTakeoverAck:
		t.Message, t.Sender, t.Receiver, t.Target = "INIT_TAKEOVER_ACK", m.Sender, m.Receiver, m.Target
	case *wire.TakeoverServer:
		t.Message, t.Sender, t.Receiver, t.Target = "TAKEOVER_SERVER", m.Sender, m.Receiver, m.Target
	case *wire.ENRPError:
		t.Message, t.Sender, t.Receiver, t.Cause = "ERROR", m.Sender, m.Receiver, firstCause(m.Causes)
	}
}

// firstCause is what a message says is wrong, 0 if nothing is.
func firstCause(causes []wire.ErrorCause) uint16 {
	if len(causes) == 0 {
		return 0
	}
	return uint16(causes[0].Code)
}
