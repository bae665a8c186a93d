package asap

import (
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/protocol"
)

// RFC 5352 section 3.6: "ENRP server MUST send periodically ... an ASAP_SERVER_ANNOUNCE
// message"; RSPLIB's cycle is 1 s, give or take an eighth, and its message eight bytes.
func TestServerAnnounce(t *testing.T) {
	h := newHomeTest(t, func(c *HomeConfig) { c.ServerAnnounceCycle = time.Second })
	h.advance(time.Minute)
	h.want("nothing before it serves")
	h.StartAnnouncing(h.now)
	for range 10 {
		e, ok := h.effects.Next()
		if !ok || e.Kind != effect.Announce || e.PPID != protocol.PPIDASAP || string(e.Data) != "\x0a\x00\x00\x08\x11\x11\x11\x11" {
			t.Fatalf("got %+v", e)
		}
		h.want("one announcement")
		wait := h.Deadline().Sub(h.now)
		if wait < 875*time.Millisecond || wait > 1125*time.Millisecond {
			t.Errorf("the next one comes after %v", wait)
		}
		h.advance(wait)
	}
}
