package asap

import (
	"slices"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// Control is the control channel of a session, on the association that carries its
// data, told apart by the payload protocol identifier (RFC 5352 sections 3.8 and
// 3.9). The PE gives cookies; the PU keeps the latest, and shows it to the next PE when
// the first is lost:
//
//	PE 1                       PU                        PE 2
//	 │ data, ASAP_COOKIE ─────▶ │ keeps the cookie         │
//	 ✕ lost                     │                          │
//	                            │ ── association ────────▶ │
//	                            │ ── ASAP_COOKIE_ECHO ───▶ │ knows where PE 1 was
//	                            │ ── data ───────────────▶ │
//
// Either can tell how to find it again by a business card, the PU if it is a PE too.
//
// It has no lock.
type Control struct {
	decoder wire.Decoder
	cookie  []byte             // PU: the latest; nil: none
	card    *wire.BusinessCard // of the peer, the latest; nil: none
}

// ControlEvent is what a message on the control channel means to the session.
type ControlEvent uint8

const (
	ControlIgnored ControlEvent = iota
	// CookieStored: the PE has given a cookie.
	CookieStored
	// CookieEchoed: the PU has shown the cookie that another PE gave it.
	CookieEchoed
	// CardReceived: the peer has told how to find it again.
	CardReceived
)

// Handle takes a message of the control channel. With CookieEchoed comes the cookie,
// which aliases data. What is malformed or has no meaning here is ignored, as RSPLIB does.
func (c *Control) Handle(data []byte) (ControlEvent, []byte) {
	m, err := c.decoder.ASAP(data)
	if err != nil {
		return ControlIgnored, nil
	}
	switch m := m.(type) {
	case *wire.Cookie:
		c.cookie = append(c.cookie[:0], m.Cookie...)
		return CookieStored, nil
	case *wire.CookieEcho:
		return CookieEchoed, m.Cookie
	case *wire.BusinessCard:
		c.card = &wire.BusinessCard{Handle: m.Handle}
		for _, e := range m.Elements {
			c.card.Elements = append(c.card.Elements, e.Clone())
		}
		return CardReceived, nil
	}
	return ControlIgnored, nil
}

// HasCookie reports whether the PE has given a cookie.
func (c *Control) HasCookie() bool { return len(c.cookie) > 0 }

// Cookie returns a copy of the latest cookie, nil if there is none.
func (c *Control) Cookie() []byte { return slices.Clone(c.cookie) }

// AppendCookieEcho appends the message that shows the latest cookie to the next PE. It
// reports false when there is none.
func (c *Control) AppendCookieEcho(b []byte) ([]byte, bool) {
	if len(c.cookie) == 0 {
		return b, false
	}
	return (&wire.CookieEcho{Cookie: c.cookie}).AppendTo(b), true
}

// Card returns the pool and the elements, the preferred first, of the peer's latest business card; "" if
// there is none. Nobody may change them.
func (c *Control) Card() (protocol.PoolHandle, []protocol.PoolElement) {
	if c.card == nil {
		return "", nil
	}
	return c.card.Handle, c.card.Elements
}

// AppendCard appends the business card of a member of a pool (section 3.9): the elements to which its
// peer goes when it is lost, the preferred first. Those that do not fit in a message are left out.
func AppendCard(b []byte, handle protocol.PoolHandle, elements []protocol.PoolElement) []byte {
	return (&wire.BusinessCard{Handle: handle, Elements: elements}).AppendTo(b)
}

// AppendCookie appends the message that gives the PU a cookie.
func AppendCookie(b, cookie []byte) []byte {
	return (&wire.Cookie{Cookie: cookie}).AppendTo(b)
}
