package wire

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzASAP(f *testing.F) { fuzz(f, false) }
func FuzzENRP(f *testing.F) { fuzz(f, true) }

// fuzz checks that what was decoded is encoded to something that says the same,
// and that stays the same when it is encoded again.
func fuzz(f *testing.F, enrp bool) {
	for _, g := range append(rsplibMessages, rfcMessages...) {
		if g.enrp == enrp {
			f.Add(g.bytes(f))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var first, second Decoder
		m, err := decode(&first, enrp, b)
		if err != nil {
			if m != nil || err.Error() == "" {
				t.Fatalf("message %v, error %v", m, err)
			}
			return
		}
		encoded := m.AppendTo(nil)
		if len(encoded)%4 != 0 || len(encoded) > MaxMessage {
			t.Fatalf("%v has %d bytes", m, len(encoded))
		}
		again, err := decode(&second, enrp, encoded)
		if err != nil {
			t.Fatalf("%v was encoded to %x: %v", m, encoded, err)
		}
		if diff := cmp.Diff(m, again, equateAddrs); diff != "" {
			t.Fatalf("decoded again (-first +second):\n%s", diff)
		}
		if twice := again.AppendTo(nil); !bytes.Equal(encoded, twice) {
			t.Fatalf("encoded to %x, then to %x", encoded, twice)
		}
		if m.String() != again.String() {
			t.Fatalf("first %v, then %v", m, again)
		}
	})
}
