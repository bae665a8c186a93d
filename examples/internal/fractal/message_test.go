package fractal

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Bytes of RSPLIB's client and server, captured while a picture of test mode lost its servers.
const (
	rsplibParameter = `0100003c 00000064 00000096 000003e8 00000001
		3ff25470aeb69bba 3fd23f20f02c63ba 3ff254cf8d8a5655 3fd23ce7b7360416 4000000000000000`
	rsplibFirstCookie = `3c46472d5444313e 01000004 00000064 00000096 000003e8 00000001
		3ff25470aeb69bba 3fd23f20f02c63ba 3ff254cf8d8a5655 3fd23ce7b7360416 4000000000000000 00000000 00000000`
	rsplibLastCookie = `3c46472d5444313e 01000004 00000064 00000096 000003e8 00000001
		3ff25470aeb69bba 3fd23f20f02c63ba 3ff254cf8d8a5655 3fd23ce7b7360416 4000000000000000 00000013 00000061`
	rsplibEnd = `02000010 ffffffff ffffffff 00000000`
)

var rsplibPicture = Parameter{
	Width: 100, Height: 150, MaxIterations: 1000, Algorithm: Mandelbrot,
	C1: complex(math.Float64frombits(0x3ff25470aeb69bba), math.Float64frombits(0x3fd23f20f02c63ba)),
	C2: complex(math.Float64frombits(0x3ff254cf8d8a5655), math.Float64frombits(0x3fd23ce7b7360416)),
	N:  2,
}

func TestParameterBytes(t *testing.T) {
	b := unhex(t, rsplibParameter)
	p, err := ParseParameter(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rsplibPicture, *p); diff != "" {
		t.Error(diff)
	}
	if got := p.AppendTo(nil); !bytes.Equal(got, b) {
		t.Errorf("got  %x\nwant %x", got, b)
	}
}

func TestCookieBytes(t *testing.T) {
	for text, want := range map[string]cookie{
		rsplibFirstCookie: {parameter: rsplibPicture},
		rsplibLastCookie:  {parameter: rsplibPicture, x: 19, y: 97},
	} {
		b := unhex(t, text)
		c, err := parseCookie(b)
		if err != nil {
			t.Fatal(err)
		}
		if *c != want {
			t.Errorf("got %+v, want %+v", *c, want)
		}
		if got := c.appendTo(nil); !bytes.Equal(got, b) {
			t.Errorf("got  %x\nwant %x", got, b)
		}
	}
}

func TestDataBytes(t *testing.T) {
	if got, want := End.AppendTo(nil), unhex(t, rsplibEnd); !bytes.Equal(got, want) {
		t.Errorf("end: %x, want %x", got, want)
	}
	d, err := ParseData(unhex(t, rsplibEnd))
	if err != nil || !d.IsEnd() {
		t.Errorf("%+v, %v: want the end", d, err)
	}
	b := unhex(t, "02000018 00000003 00000007 00000002 000000e0 0000003d")
	d, err = ParseData(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Data{X: 3, Y: 7, Points: []uint32{0xe0, 0x3d}}, d); diff != "" {
		t.Error(diff)
	}
	if got := d.AppendTo(nil); !bytes.Equal(got, b) {
		t.Errorf("%x, want %x", got, b)
	}
}

// What is cut, too long or beyond the limits gives an error.
func TestMalformed(t *testing.T) {
	parse := map[string]func([]byte) error{
		"parameter": func(b []byte) error { _, err := ParseParameter(b); return err },
		"cookie":    func(b []byte) error { _, err := parseCookie(b); return err },
		"data":      func(b []byte) error { _, err := ParseData(b); return err },
	}
	change := func(text string, at int, to ...byte) []byte {
		b := unhex(t, text)
		copy(b[at:], to)
		return b
	}
	data := "02000014 00000000 00000000 00000001 00000005"
	for name, c := range map[string]struct {
		kind string
		b    []byte
	}{
		"no width":             {"parameter", change(rsplibParameter, 4, 0, 0, 0, 0)},
		"too wide":             {"parameter", change(rsplibParameter, 4, 0, 1, 0, 1)},
		"no height":            {"parameter", change(rsplibParameter, 8, 0, 0, 0, 0)},
		"too high":             {"parameter", change(rsplibParameter, 8, 0, 1, 0, 1)},
		"too many iterations":  {"parameter", change(rsplibParameter, 12, 0, 0x0f, 0x42, 0x41)},
		"unknown algorithm":    {"parameter", change(rsplibParameter, 16, 0, 0, 0, 3)},
		"other length":         {"parameter", change(rsplibParameter, 2, 0, 61)},
		"data for a parameter": {"parameter", change(rsplibParameter, 0, 2)},
		"other magic":          {"cookie", change(rsplibLastCookie, 0, 'x')},
		"x beyond the picture": {"cookie", change(rsplibLastCookie, 68, 0, 0, 0, 100)},
		"y beyond the picture": {"cookie", change(rsplibLastCookie, 72, 0, 0, 0, 150)},
		"too many points":      {"data", (&Data{Points: make([]uint32, MaxPoints+1)}).AppendTo(nil)},
		"more points than are": {"data", change(data, 12, 0, 0, 0, 2)},
		"2^30+1 points":        {"data", change(data, 12, 0x40, 0, 0, 1)},
	} {
		if err := parse[c.kind](c.b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for kind, text := range map[string]string{"parameter": rsplibParameter, "cookie": rsplibLastCookie, "data": data} {
		b := unhex(t, text)
		if err := parse[kind](b); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		for n := range b {
			if parse[kind](b[:n]) == nil {
				t.Errorf("%s of %d bytes: no error", kind, n)
			}
		}
		if parse[kind](append(b, 0)) == nil {
			t.Errorf("%s with a byte too many: no error", kind)
		}
	}
}

// What can be read is within the limits, and is written as it was, but for what is not looked at.
func FuzzMessages(f *testing.F) {
	for _, text := range []string{rsplibParameter, rsplibFirstCookie, rsplibLastCookie, rsplibEnd} {
		f.Add(unhex(f, text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParseParameter(b); err == nil {
			if p.check() != nil {
				t.Errorf("%+v is beyond the limits", p)
			}
			again := p.AppendTo(nil)
			again[1] = b[1] // flags
			// Bits of a NaN may change.
			if !bytes.Equal(again[:20], b[:20]) {
				t.Errorf("%x became %x", b, again)
			}
		}
		if d, err := ParseData(b); err == nil {
			again := d.AppendTo(nil)
			again[1] = b[1]
			if !bytes.Equal(again, b) {
				t.Errorf("%x became %x", b, again)
			}
		}
		if c, err := parseCookie(b); err == nil {
			if c.parameter.check() != nil || c.x >= c.parameter.Width || c.y >= c.parameter.Height {
				t.Errorf("%+v is beyond the limits", c)
			}
		}
	})
}
