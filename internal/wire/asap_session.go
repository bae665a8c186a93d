package wire

import (
	"fmt"

	"github.com/rserpool/rsp/internal/protocol"
)

// Cookie is ASAP_COOKIE (RFC 5352 section 2.2.11): 1 to MaxCookie bytes.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x0b |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                        Cookie Parameter                       :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Cookie struct{ Cookie []byte }

func (m *Cookie) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapCookie), 0)
	w.cookie(m.Cookie)
	return w.message()
}

func (m *Cookie) decode(_ uint8, r *reader) { *m = Cookie{r.cookie()} }

func (m *Cookie) String() string { return fmt.Sprintf("%v %s", asapCookie, hexText(m.Cookie)) }

// CookieEcho is ASAP_COOKIE_ECHO (RFC 5352 section 2.2.12): 1 to MaxCookie bytes.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x0c |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                        Cookie Parameter                       :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type CookieEcho struct{ Cookie []byte }

func (m *CookieEcho) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapCookieEcho), 0)
	w.cookie(m.Cookie)
	return w.message()
}

func (m *CookieEcho) decode(_ uint8, r *reader) { *m = CookieEcho{r.cookie()} }

func (m *CookieEcho) String() string { return fmt.Sprintf("%v %s", asapCookieEcho, hexText(m.Cookie)) }

// BusinessCard is ASAP_BUSINESS_CARD (RFC 5352 section 2.2.13). RSPLIB writes the policy
// that the RFC does not have there.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Type = 0x0d |0|0|0|0|0|0|0|0|        Message Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                     Pool Handle Parameter                     :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:        Overall PE Selection Policy (optional, RSPLIB's)       :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	:                  Pool Element Parameters 1..N                 :
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type BusinessCard struct {
	Handle   protocol.PoolHandle
	Policy   protocol.Policy // Type 0: absent
	Elements []protocol.PoolElement
}

func (m *BusinessCard) AppendTo(b []byte) []byte {
	w := newMessage(b, uint8(asapBusinessCard), 0)
	w.poolHandle(m.Handle)
	w.optionalPolicy(m.Policy)
	w.elements(m.Elements)
	return w.message()
}

func (m *BusinessCard) decode(_ uint8, r *reader) {
	m.Handle = r.poolHandle()
	m.Policy = r.optionalPolicy()
	if m.Elements = r.elements((*reader).element); m.Elements == nil {
		r.need(elementTypes, "pool element")
	}
}

func (m *BusinessCard) String() string {
	return fmt.Sprintf("%v pool %q%v%v", asapBusinessCard, m.Handle, policyText(m.Policy), elementsText(m.Elements))
}
