package wire

import (
	"fmt"
	"strings"

	"github.com/rserpool/rsp/internal/protocol"
)

// String prints "registrar 0x11111111 at sctp 10.0.0.1:9901".
func (s ServerInformation) String() string {
	return fmt.Sprintf("registrar %v at %v", s.ID, s.Transport)
}

// String prints "unrecognized parameter (80ff0004)", the data in hex.
func (c ErrorCause) String() string {
	if len(c.Data) == 0 {
		return c.Code.String()
	}
	return fmt.Sprintf("%v (%s)", c.Code, hexText(c.Data))
}

// hexText prints what only others understand, and not more than a line shows.
func hexText(b []byte) string {
	const most = 40
	if len(b) > most {
		return fmt.Sprintf("%x... of %d bytes", b[:most], len(b))
	}
	return fmt.Sprintf("%x", b)
}

func flagText(set bool, name string) string {
	if set {
		return " [" + name + "]"
	}
	return ""
}

func policyText(p protocol.Policy) string {
	if p.Type == 0 {
		return ""
	}
	return ", " + p.String()
}

func elementsText(elements []protocol.PoolElement) string {
	var b strings.Builder
	for _, e := range elements {
		b.WriteString(", " + e.String())
	}
	return b.String()
}

func causesText(causes []ErrorCause) string {
	var b strings.Builder
	for _, c := range causes {
		b.WriteString(", " + c.String())
	}
	return b.String()
}
