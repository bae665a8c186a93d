package rsp_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp"
)

func cookieKey(id uint32) rsp.CookieKey {
	key := rsp.CookieKey{ID: id}
	binary.BigEndian.PutUint32(key.Secret[:], ^id)
	return key
}

func newSealer(t testing.TB, pool rsp.PoolHandle, keys ...rsp.CookieKey) *rsp.CookieSealer {
	t.Helper()
	s, err := rsp.NewCookieSealer(pool, time.Minute, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// c2sp.org/XAES-256-GCM, "Test vectors": "The plaintext is XAES-256-GCM", the nonce is
// ABCDEFGHIJKLMNOPQRSTUVWX. The first key's K1 has no carry, the second's has one.
func TestXAESVectors(t *testing.T) {
	nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
	for _, tt := range []struct {
		secret    byte
		aad, want string
	}{
		{0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		secret := [32]byte(bytes.Repeat([]byte{tt.secret}, 32))
		got := rsp.DeriveAEAD(&secret, nonce[:12]).Seal(nil, nonce[12:], []byte("XAES-256-GCM"), []byte(tt.aad))
		if hex.EncodeToString(got) != tt.want {
			t.Errorf("secret %#x: %x, want %s", tt.secret, got, tt.want)
		}
	}
}

// A sealed cookie is opened by every PE of the pool, and shows nothing of the state.
func TestSeal(t *testing.T) {
	a, b := newSealer(t, "Pool", cookieKey(1)), newSealer(t, "Pool", cookieKey(1))
	seen := make(map[string]bool)
	for _, state := range []string{"", "x", "a state of some length", string(make([]byte, rsp.MaxCookie-rsp.SealOverhead))} {
		for range 3 {
			cookie := a.Seal([]byte("before"), []byte(state))[len("before"):]
			if len(cookie) != len(state)+rsp.SealOverhead || len(state) > 1 && bytes.Contains(cookie, []byte(state)) {
				t.Errorf("a state of %d bytes makes a cookie of %d: %.40q", len(state), len(cookie), cookie)
			}
			if seen[string(cookie)] {
				t.Error("the same cookie was made twice: a nonce was used again")
			}
			seen[string(cookie)] = true
			if got, err := b.Open([]byte("before"), cookie); err != nil || string(got) != "before"+state {
				t.Errorf("opened: %.40q, %v", got, err)
			}
		}
	}
}

// Every byte of a cookie counts, and so do the pool and the key.
func TestOpenForged(t *testing.T) {
	sealer := newSealer(t, "Pool", cookieKey(1))
	cookie := sealer.Seal(nil, []byte("state"))
	for i := range cookie {
		for _, bit := range []byte{1, 0x80} {
			forged := bytes.Clone(cookie)
			forged[i] ^= bit
			want := rsp.ErrCookieForged
			if i == 0 {
				want = rsp.ErrCookieMalformed // of an unknown version
			}
			if state, err := sealer.Open(nil, forged); !errors.Is(err, want) || state != nil {
				t.Errorf("byte %d changed: %q, %v, want %v", i, state, err, want)
			}
		}
	}
	for name, other := range map[string]*rsp.CookieSealer{
		"another pool":       newSealer(t, "Pool2", cookieKey(1)),
		"unknown key":        newSealer(t, "Pool", cookieKey(2)),
		"same id, other key": newSealer(t, "Pool", rsp.CookieKey{ID: 1, Secret: cookieKey(9).Secret}),
	} {
		if state, err := other.Open(nil, cookie); !errors.Is(err, rsp.ErrCookieForged) || state != nil {
			t.Errorf("%s: %q, %v", name, state, err)
		}
	}
	for n := range rsp.SealOverhead {
		if _, err := sealer.Open(nil, cookie[:n]); !errors.Is(err, rsp.ErrCookieMalformed) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := sealer.Open(nil, append(bytes.Clone(cookie), 0)); !errors.Is(err, rsp.ErrCookieForged) {
		t.Errorf("a byte longer: %v", err)
	}
}

// A cookie is valid for its life, and not longer; one that is forged is not called expired.
func TestOpenExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sealer := newSealer(t, "Pool", cookieKey(1))
		cookie := sealer.Seal(nil, []byte("state"))
		time.Sleep(time.Minute)
		if _, err := sealer.Open(nil, cookie); err != nil {
			t.Errorf("at the end of its life: %v", err)
		}
		time.Sleep(time.Millisecond)
		if state, err := sealer.Open(nil, cookie); !errors.Is(err, rsp.ErrCookieExpired) || state != nil {
			t.Errorf("after its life: %q, %v", state, err)
		}
		cookie[12]--
		if _, err := sealer.Open(nil, cookie); !errors.Is(err, rsp.ErrCookieForged) {
			t.Errorf("forged and expired: %v", err)
		}
	})
}

// How a key is replaced: first all can open with the new one, then all seal with it.
func TestKeyRotation(t *testing.T) {
	before := newSealer(t, "Pool", cookieKey(1))
	opens := newSealer(t, "Pool", cookieKey(1), cookieKey(2))
	seals := newSealer(t, "Pool", cookieKey(2), cookieKey(1))
	after := newSealer(t, "Pool", cookieKey(2))
	open := func(by, of *rsp.CookieSealer) bool {
		state, err := by.Open(nil, of.Seal(nil, []byte("state")))
		return err == nil && string(state) == "state"
	}
	for i, step := range [][]*rsp.CookieSealer{{before, opens}, {opens, seals}, {seals, after}} {
		if !open(step[0], step[0]) || !open(step[0], step[1]) || !open(step[1], step[0]) {
			t.Errorf("step %d: PEs that have made it and those that have not do not understand each other", i)
		}
	}
	if open(after, before) {
		t.Error("the old key still opens")
	}
}

func TestNewCookieSealerErrors(t *testing.T) {
	for name, err := range map[string]error{
		"no key":       second(rsp.NewCookieSealer("Pool", time.Minute)),
		"no secret":    second(rsp.NewCookieSealer("Pool", time.Minute, rsp.CookieKey{ID: 1})),
		"one id twice": second(rsp.NewCookieSealer("Pool", time.Minute, cookieKey(1), cookieKey(2), cookieKey(1))),
		"no life":      second(rsp.NewCookieSealer("Pool", 0, cookieKey(1))),
		"no pool":      second(rsp.NewCookieSealer("", time.Minute, cookieKey(1))),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// Whatever a PU shows, Open neither panics nor takes what was not sealed.
func FuzzOpenCookie(f *testing.F) {
	key := rsp.CookieKey{ID: 1} // of this process alone: what another one has sealed is forged, too
	rand.Read(key.Secret[:])
	sealer := newSealer(f, "Pool", key)
	genuine := sealer.Seal(nil, []byte("state"))
	f.Add(genuine)
	f.Add(genuine[:rsp.SealOverhead])
	f.Add(append(bytes.Clone(genuine), genuine...))
	f.Add(make([]byte, rsp.SealOverhead))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, cookie []byte) {
		state, err := sealer.Open(nil, cookie)
		switch {
		case err == nil && !bytes.Equal(cookie, genuine):
			t.Errorf("a forged cookie gives %q", state)
		case err != nil && !errors.Is(err, rsp.ErrCookieForged) && !errors.Is(err, rsp.ErrCookieMalformed):
			t.Errorf("error %v", err)
		}
	})
}

// Sealing allocates nothing if there is room; opening, once in a failover, derives a key.
func BenchmarkCookieSealer(b *testing.B) {
	sealer := newSealer(b, "Pool", cookieKey(1))
	state := make([]byte, 100)
	cookie := sealer.Seal(nil, state)
	b.Run("Seal", func(b *testing.B) {
		buf := make([]byte, 0, 1000)
		b.ReportAllocs()
		for b.Loop() {
			buf = sealer.Seal(buf[:0], state)
		}
	})
	b.Run("Open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := sealer.Open(nil, cookie); err != nil {
				b.Fatal(err)
			}
		}
	})
}
