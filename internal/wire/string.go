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

// String prints the cause, and its data in hex.
func (c ErrorCause) String() string {
	if len(c.Data) == 0 {
		return c.Code.String()
	}
	return fmt.Sprintf("%v %x", c.Code, c.Data)
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
