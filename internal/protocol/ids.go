// Package protocol is the vocabulary of Reliable Server Pooling: identifiers,
// transport addresses, policies as data, error causes, ports and payload
// protocol identifiers. It imports nothing of this module and holds no
// behaviour beyond validation and text.
package protocol

import (
	"errors"
	"fmt"
)

// MaxPoolHandle is the longest pool handle in bytes that RSPLIB accepts; RFC
// 5354 section 3.9 sets no limit, but a longer one would end an RSPLIB process.
const MaxPoolHandle = 32

// PoolHandle names a pool: 1 to MaxPoolHandle opaque bytes (RFC 5354 section
// 3.9), mostly text.
type PoolHandle string

// ErrPoolHandle is matched by every error about a pool handle of a wrong size.
var ErrPoolHandle = errors.New("pool handle must have 1 to 32 bytes")

// Validate reports whether h has a legal size.
func (h PoolHandle) Validate() error {
	if len(h) == 0 || len(h) > MaxPoolHandle {
		return fmt.Errorf("%w, not %d", ErrPoolHandle, len(h))
	}
	return nil
}

// PEID identifies a pool element within its pool; 0 is not a valid identifier
// (RFC 5354 section 3.10).
type PEID uint32

func (id PEID) String() string { return fmt.Sprintf("0x%08x", uint32(id)) }

// RegistrarID identifies a registrar within its operation scope; 0 stands for
// unknown or undefined.
type RegistrarID uint32

func (id RegistrarID) String() string { return fmt.Sprintf("0x%08x", uint32(id)) }

// PPID is the payload protocol identifier of a message (RFC 4960 section 3.3.1),
// in host byte order.
type PPID uint32

// Payload protocol identifiers (RFC 5352 section 8.3, RFC 5353 section 5.4).
const (
	PPIDASAP PPID = 11
	PPIDENRP PPID = 12
)

// Well-known ports (RFC 5352 section 8.2, RFC 5353 section 5.3). The TCP mapping uses
// the same numbers as SCTP, those for TLS if it has it under it.
const (
	PortASAP    uint16 = 3863
	PortENRP    uint16 = 9901
	PortASAPTLS uint16 = 3864
	PortENRPTLS uint16 = 9902
)
