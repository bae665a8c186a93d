package calcapp

import (
	"encoding/hex"
	"testing"
)

// As RSPLIB 3.4.4 sends them.
func TestMessages(t *testing.T) {
	for text, want := range map[string]Message{
		"01000018 00000001 000000000018e0b5 0000000000000000": {Type: Request, JobID: 1, JobSize: 1630389},
		"02000018 00000001 0000000000000000 0000000000000000": {Type: Accept, JobID: 1},
		"03000018 00000001 0000000000000000 0000000000000000": {Type: Reject, JobID: 1},
		"05000018 00000001 000000000018e0b5 000000000018e0b5": {Type: Complete, JobID: 1, JobSize: 1630389, Completed: 1630389},
		"06000018 00000004 0000000000000000 0000000000000000": {Type: KeepAlive, JobID: 4},
		"07000018 00000004 0000000000000000 0000000000000000": {Type: KeepAliveAck, JobID: 4},
	} {
		b := unhex(t, text)
		got, err := ParseMessage(b)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
		if back := want.AppendTo(nil); string(back) != string(b) {
			t.Errorf("%+v: %x, want %s", want, back, text)
		}
	}
}

// As RSPLIB 3.4.4 sends them, without the parameter around.
func TestCookies(t *testing.T) {
	for text, want := range map[string]Cookie{
		"00000004 00000000002e3c82 00000000001e8602": {JobID: 4, JobSize: 3030146, Completed: 2000386},
		"00000002 00000000006c2f55 00000000004c4bb5": {JobID: 2, JobSize: 7090005, Completed: 5000117},
	} {
		b := unhex(t, text)
		got, err := ParseCookie(b)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
		if back := want.AppendTo(nil); string(back) != string(b) {
			t.Errorf("%+v: %x, want %s", want, back, text)
		}
	}
}

func TestBadMessages(t *testing.T) {
	for name, text := range map[string]string{
		"empty":        "",
		"short":        "01000017 00000001 0000000000000001 00000000000000",
		"long":         "01000019 00000001 0000000000000001 000000000000000000",
		"wrong length": "01000017 00000001 0000000000000001 0000000000000000",
		"type 0":       "00000018 00000001 0000000000000001 0000000000000000",
		"type 8":       "08000018 00000001 0000000000000001 0000000000000000",
	} {
		if m, err := ParseMessage(unhex(t, text)); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
	for name, text := range map[string]string{
		"empty":        "",
		"short":        "00000001 0000000000000001 00000000000000",
		"long":         "00000001 0000000000000001 000000000000000000",
		"more than it": "00000001 0000000000000001 0000000000000002",
	} {
		if c, err := ParseCookie(unhex(t, text)); err == nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// What can be read is written as it was, but for the flags.
func FuzzMessage(f *testing.F) {
	f.Add((&Message{Complete, 1, 2, 2}).AppendTo(nil))
	f.Add([]byte{1, 0, 0, messageSize})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMessage(b)
		if err != nil {
			return
		}
		b[1] = 0
		if back := m.AppendTo(nil); string(back) != string(b) {
			t.Errorf("%x became %+v, which is %x", b, m, back)
		}
	})
}

func FuzzCookie(f *testing.F) {
	f.Add((&Cookie{1, 3, 2}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCookie(b)
		if err != nil {
			return
		}
		if back := c.AppendTo(nil); string(back) != string(b) {
			t.Errorf("%x became %+v, which is %x", b, c, back)
		}
	})
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	var b []byte
	for _, r := range text {
		if r != ' ' {
			b = append(b, byte(r))
		}
	}
	out, err := hex.DecodeString(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
