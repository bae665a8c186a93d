package protocol

import (
	"errors"
	"strings"
	"testing"
)

func TestPoolHandleValidate(t *testing.T) {
	tests := []struct {
		size int
		ok   bool
	}{{0, false}, {1, true}, {32, true}, {33, false}, {1000, false}}
	for _, tt := range tests {
		err := PoolHandle(strings.Repeat("\x00", tt.size)).Validate()
		if (err == nil) != tt.ok || !tt.ok && !errors.Is(err, ErrPoolHandle) {
			t.Errorf("Validate of %d bytes = %v, want ok %v", tt.size, err, tt.ok)
		}
	}
	if got, want := PoolHandle("").Validate().Error(), "pool handle must have 1 to 32 bytes, not 0"; got != want {
		t.Errorf("error is %q, want %q", got, want)
	}
}

func TestIDStrings(t *testing.T) {
	if got, want := PEID(0xabc).String(), "0x00000abc"; got != want {
		t.Errorf("PEID is %q, want %q", got, want)
	}
	if got, want := RegistrarID(0xffffffff).String(), "0xffffffff"; got != want {
		t.Errorf("RegistrarID is %q, want %q", got, want)
	}
}

// RFC 5352 sections 8.2 and 8.3, RFC 5353 sections 5.3 and 5.4.
func TestAssignedNumbers(t *testing.T) {
	if PPIDASAP != 11 || PPIDENRP != 12 {
		t.Errorf("PPIDs are %d and %d, want 11 and 12", PPIDASAP, PPIDENRP)
	}
	if PortASAP != 3863 || PortENRP != 9901 {
		t.Errorf("ports are %d and %d, want 3863 and 9901", PortASAP, PortENRP)
	}
}
