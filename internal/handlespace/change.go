package handlespace

import (
	"fmt"

	"github.com/rserpool/rsp/internal/protocol"
)

// ChangeKind says what happened to a PE.
type ChangeKind uint8

const (
	Unchanged   ChangeKind = iota // a registration that said nothing new
	Added                         // the PE is new
	Updated                       // a registration changed what the PE said of itself
	Removed                       // the PE is gone
	HomeChanged                   // the PE has another home registrar
)

func (k ChangeKind) String() string {
	switch k {
	case Unchanged:
		return "unchanged"
	case Added:
		return "added"
	case Updated:
		return "updated"
	case Removed:
		return "removed"
	case HomeChanged:
		return "home changed"
	}
	return fmt.Sprintf("change(%d)", uint8(k))
}

// Reason says why a change was made.
type Reason uint8

const (
	Registered          Reason = iota // the PE registered or re-registered
	Deregistered                      // the PE deregistered
	AssociationLost                   // the PE's association broke
	KeepAliveLost                     // the PE did not answer an ASAP_ENDPOINT_KEEP_ALIVE
	ReportedUnreachable               // too many ASAP_ENDPOINT_UNREACHABLE named the PE
	Expired                           // the registration life ended
	TakenOver                         // a registrar took over the PEs of another
	Synchronized                      // another registrar said so
)

func (r Reason) String() string {
	switch r {
	case Registered:
		return "registered"
	case Deregistered:
		return "deregistered"
	case AssociationLost:
		return "association lost"
	case KeepAliveLost:
		return "keep-alive lost"
	case ReportedUnreachable:
		return "reported unreachable"
	case Expired:
		return "expired"
	case TakenOver:
		return "taken over"
	case Synchronized:
		return "synchronized"
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// Change is one change of a Space.
type Change[V any] struct {
	Kind    ChangeKind // never Unchanged
	Reason  Reason
	Element *Element[V]          // as it is after the change; when Removed, as it was
	OldHome protocol.RegistrarID // the home before the change; that of Element when it is the same
}

func (c Change[V]) String() string {
	s := fmt.Sprintf("%v in %q: %v (%v)", c.Kind, c.Element.Handle, c.Element.PoolElement, c.Reason)
	if c.OldHome != c.Element.Home {
		s += fmt.Sprintf(", home was %v", c.OldHome)
	}
	return s
}
