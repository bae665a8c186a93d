package pingpong

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// What was captured of RSPLIB's client and server, applications.md section 3.
func TestMessages(t *testing.T) {
	payload := []byte("Nachricht: 1")
	for _, tt := range []struct {
		got  []byte
		want string
	}{
		{Ping{1, payload}.Append(nil), "01000018" + "0000000000000001" + "4e6163687269636874" + "3a2031"},
		{Pong{1, 1, payload}.Append(nil), "02000020" + "0000000000000001" + "0000000000000001" + "4e6163687269636874" + "3a2031"},
		{appendCookie(nil, 2), "3c50502d5444313e" + "0000000000000002"},
	} {
		if got := hex.EncodeToString(tt.got); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

// Only what is whole and of its type is read.
func TestParseErrors(t *testing.T) {
	ping, pong, cookie := Ping{1, []byte("x")}.Append(nil), Pong{1, 2, nil}.Append(nil), appendCookie(nil, 2)
	for _, b := range [][]byte{nil, ping[:11], ping[:12], append(bytes.Clone(ping), 0), pong} {
		if p, err := ParsePing(b); err == nil {
			t.Errorf("%x is %+v", b, p)
		}
	}
	for _, b := range [][]byte{nil, pong[:19], append(bytes.Clone(pong), 0), ping} {
		if p, err := ParsePong(b); err == nil {
			t.Errorf("%x is %+v", b, p)
		}
	}
	for _, b := range [][]byte{nil, cookie[:15], append(bytes.Clone(cookie), 0), bytes.ToLower(cookie)} {
		if n, err := parseCookie(b); err == nil {
			t.Errorf("cookie %x is %d", b, n)
		}
	}
	// No Pong has room for what the longest message could bring.
	long := Ping{1, make([]byte, MaxPayload+1)}.Append(nil)
	if _, err := ParsePing(long); err == nil {
		t.Error("a payload longer than MaxPayload is read")
	}
}

// What is read prints again as it was, but for the flags.
func FuzzMessages(f *testing.F) {
	f.Add(Ping{1, []byte("x")}.Append(nil))
	f.Add(Pong{1, 2, []byte("x")}.Append(nil))
	f.Add(appendCookie(nil, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		if next, err := parseCookie(b); err == nil && !bytes.Equal(appendCookie(nil, next), b) {
			t.Errorf("%x prints as %x", b, appendCookie(nil, next))
		}
		var again []byte
		if p, err := ParsePing(b); err == nil {
			again = p.Append(nil)
		} else if p, err := ParsePong(b); err == nil {
			again = p.Append(nil)
		} else {
			return
		}
		b = bytes.Clone(b)
		b[1] = 0
		if !bytes.Equal(again, b) {
			t.Errorf("%x prints as %x", b, again)
		}
	})
}
