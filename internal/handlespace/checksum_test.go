package handlespace

import (
	"testing"

	"github.com/rserpool/rsp/internal/protocol"
)

// RFC 5353 section 3.6.2 with values that RSPLIB's registrar sent or accepted as
// equal to its own.
func TestChecksumOfRSPLIB(t *testing.T) {
	type pe struct {
		handle protocol.PoolHandle
		id     protocol.PEID
	}
	tests := []struct {
		name     string
		elements []pe
		want     uint16
	}{
		{"nothing", nil, 0xffff},
		{"one PE", []pe{{"EchoPool", 0x0abc0001}}, 0x8794},
		{"handles of odd length", []pe{{"XYZ", 0x0a0b0c0d}, {"Odd-1", 0xfffefdfc}}, 0x5500},
		{"two pools", []pe{{"PoolA", 0x100}, {"PoolA", 0x101}, {"PoolA", 0x102}, {"PB", 0x103}, {"PB", 0x104}}, 0x57dd},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New[int](Options{})
			put(t, s, "other", 1, roundRobin())
			for _, e := range tt.elements {
				pe := element(e.id, 0x11111111, roundRobin())
				if _, _, err := s.Put(e.handle, &pe, Synchronized); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.Checksum(0x11111111); got != tt.want {
				t.Errorf("Checksum = %#04x, want %#04x", got, tt.want)
			}
			for _, e := range tt.elements {
				s.Remove(e.handle, e.id, Deregistered)
			}
			if got := s.Checksum(0x11111111); got != 0xffff {
				t.Errorf("Checksum = %#04x after all PEs went, want 0xffff", got)
			}
		})
	}
}

// RFC 1071 folds every carry back. The sum of these words is beyond 1<<32, where
// RSPLIB's 32 bits lose one.
func TestChecksumOfManyWords(t *testing.T) {
	s := New[int](Options{})
	const handle = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	const pes = 5000
	sum := uint64(0)
	folded := uint32(0)
	add := func(word uint32) {
		sum += uint64(word)
		folded += word
		folded = folded&0xffff + folded>>16
	}
	for i := range uint32(pes) {
		id := 0xffff0000 + i
		pe := element(protocol.PEID(id), 1, roundRobin())
		if _, _, err := s.Put(handle, &pe, Registered); err != nil {
			t.Fatal(err)
		}
		for range len(handle) / 2 {
			add(0xffff)
		}
		add(id >> 16)
		add(id & 0xffff)
	}
	if sum < 1<<32 {
		t.Fatalf("the sum is only %#x", sum)
	}
	if got, want := s.Checksum(1), ^uint16(folded); got != want {
		t.Errorf("Checksum = %#04x, want %#04x", got, want)
	}
}
