package protocol

import (
	"fmt"
	"time"
)

// PoolElement is what a Pool Element parameter says of a server (RFC 5354
// section 3.10).
type PoolElement struct {
	ID     PEID
	Home   RegistrarID   // 0 while unknown
	Life   time.Duration // registration life, whole milliseconds on the wire, at most 1<<32-1
	User   TransportAddr // where the service is
	Policy Policy
	ASAP   TransportAddr // where a registrar reaches the PE; absent between PE, PU and registrar
	Owner  string        // who has registered it, by its certificate; between registrars alone, "" without TLS
}

// Equal reports whether e and f say the same.
func (e *PoolElement) Equal(f *PoolElement) bool {
	return e.ID == f.ID && e.Home == f.Home && e.Life == f.Life &&
		e.Policy == f.Policy && e.Owner == f.Owner && e.User.equal(&f.User) && e.ASAP.equal(&f.ASAP)
}

// Clone returns a copy that shares no memory with e.
func (e PoolElement) Clone() PoolElement {
	e.User, e.ASAP = e.User.Clone(), e.ASAP.Clone()
	return e
}

func (e PoolElement) String() string {
	s := fmt.Sprintf("PE %v home %v life %v at %v, %v", e.ID, e.Home, e.Life, e.User, e.Policy)
	if !e.ASAP.IsZero() {
		s += fmt.Sprintf(", asap %v", e.ASAP)
	}
	return s
}
