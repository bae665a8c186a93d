package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rserpool/rsp/internal/protocol"
)

// The owner of a PE goes from registrar to registrar; those who do not know the parameter skip it, since its
// action bits are 10 (RFC 5354 section 3).
func TestOwner(t *testing.T) {
	e := protocol.PoolElement{
		ID: 7, Home: 1, Policy: protocol.Policy{Type: protocol.RoundRobin}, Owner: "alice",
		User: sctp(7, protocol.DataAndControl, "10.0.0.1"), ASAP: sctp(5000, protocol.DataOnly, "10.0.0.1"),
	}
	b := (&HandleUpdate{Sender: 1, Receiver: 2, Action: AddPE, Handle: "Echo", Element: e}).AppendTo(nil)
	var d Decoder
	m, err := d.ENRP(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, m.(*HandleUpdate).Element); diff != "" {
		t.Error(diff)
	}
	if want, tail := "803e0009 616c696365 000000", b[len(b)-12:]; string(tail) != string(unhex(t, want)) {
		t.Errorf("the parameter is %x, want %s", tail, want)
	}
}
