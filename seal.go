package rsp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// Errors of CookieSealer.Open, to be told with errors.Is.
var (
	// ErrCookieMalformed: it is no cookie that a CookieSealer has made.
	ErrCookieMalformed = errors.New("malformed cookie")
	// ErrCookieForged: it was changed, is of another pool, or was sealed with a key that the
	// CookieSealer does not have.
	ErrCookieForged = errors.New("forged cookie")
	// ErrCookieExpired: it is genuine, but too old.
	ErrCookieExpired = errors.New("expired cookie")
)

// CookieKey is a key that all pool elements of a pool share.
type CookieKey struct {
	ID     uint32   // tells the key from others of the pool; it is seen on the wire
	Secret [32]byte // random, from crypto/rand
}

// CookieSealer makes state cookies that a pool user can neither read nor change: a session's state
// travels with the client, and RFC 5352 leaves it to the PE to trust what comes back. A pool
// user can still show an older cookie of its own, or somebody else's, until that expires: let
// the state say whose it is and how far it has come if that matters.
//
// To replace a key, let every PE of the pool open with the new one first, then seal with it, then drop
// the old one once its last cookies have expired. The methods may be called by several
// goroutines at once.
//
//	byte 0     1      5              13           37
//	     ┌─────────┬────────┬──────────────┬────────────┬───────────────────┐
//	     │ version │ key id │ expiry,      │ nonce      │ state, encrypted, │
//	     │ 1       │        │ Unix ms      │            │ and 16 byte tag   │
//	     └─────────┴────────┴──────────────┴────────────┴───────────────────┘
//
// It is XAES-256-GCM (c2sp.org/XAES-256-GCM), which is AES-256-GCM with a nonce so long that all PEs
// of a pool can seal with one key without end. The bytes before the nonce and the pool
// handle are additional data.
type CookieSealer struct {
	pool PoolHandle
	life time.Duration
	keys []CookieKey

	// Every nonce is the salt and a count: no two CookieSealers have the same salt, and so
	// each has a derived key of its own.
	salt   [saltSize]byte
	sealed atomic.Uint64
	aead   cipher.AEAD
}

const (
	cookieVersion = 1
	cookieHeader  = 1 + 4 + 8
	saltSize      = 12
	gcmNonceSize  = 12
	cookieNonce   = saltSize + gcmNonceSize
	gcmTagSize    = 16

	// SealOverhead is how many bytes longer a sealed cookie is than its state.
	SealOverhead = cookieHeader + cookieNonce + gcmTagSize
)

// NewCookieSealer returns a CookieSealer for a pool, whose cookies are valid for life. The
// first key seals, all open. The clocks of the pool's PEs should agree to a small part of life.
func NewCookieSealer(pool PoolHandle, life time.Duration, keys ...CookieKey) (*CookieSealer, error) {
	s := &CookieSealer{pool: pool, life: life, keys: slices.Clone(keys)}
	if err := s.validate(); err != nil {
		return nil, &OpError{Op: "new cookie sealer", Pool: pool, Err: err}
	}
	rand.Read(s.salt[:]) // never fails
	s.aead = deriveAEAD(&s.keys[0].Secret, s.salt[:])
	return s, nil
}

func (s *CookieSealer) validate() error {
	if err := s.pool.Validate(); err != nil {
		return err
	}
	if s.life <= 0 {
		return fmt.Errorf("life must be positive, not %v", s.life)
	}
	if len(s.keys) == 0 {
		return errors.New("needs a key")
	}
	for i, key := range s.keys {
		if key.Secret == [32]byte{} {
			return fmt.Errorf("key %d has no secret", key.ID)
		}
		if slices.ContainsFunc(s.keys[:i], func(k CookieKey) bool { return k.ID == key.ID }) {
			return fmt.Errorf("two keys have the id %d", key.ID)
		}
	}
	return nil
}

// Seal appends a sealed cookie for state, which it must not overlap, to b. A state of more
// than MaxCookie - SealOverhead bytes makes a cookie that SendCookie refuses.
func (s *CookieSealer) Seal(b, state []byte) []byte {
	start := len(b)
	aadSize := cookieHeader + len(s.pool)
	b = slices.Grow(b, SealOverhead+len(state)+aadSize)
	b = append(b, cookieVersion)
	b = binary.BigEndian.AppendUint32(b, s.keys[0].ID)
	b = binary.BigEndian.AppendUint64(b, uint64(time.Now().Add(s.life).UnixMilli()))
	b = append(b, s.salt[:]...)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, s.sealed.Add(1))
	// The additional data lie behind the cookie for a moment, so that nothing is allocated.
	end := len(b) + len(state) + gcmTagSize
	aad := s.appendAdditional(b[end:end], b[start:start+cookieHeader])
	return s.aead.Seal(b, b[len(b)-gcmNonceSize:], state, aad)
}

func (s *CookieSealer) appendAdditional(b, header []byte) []byte {
	return append(append(b, header...), s.pool...)
}

// Open appends the state of a sealed cookie to b. The error is ErrCookieMalformed,
// ErrCookieForged or ErrCookieExpired.
func (s *CookieSealer) Open(b, cookie []byte) ([]byte, error) {
	if len(cookie) < SealOverhead || cookie[0] != cookieVersion {
		return nil, ErrCookieMalformed
	}
	header, rest := cookie[:cookieHeader], cookie[cookieHeader:]
	id := binary.BigEndian.Uint32(header[1:])
	i := slices.IndexFunc(s.keys, func(k CookieKey) bool { return k.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("%w: unknown key %d", ErrCookieForged, id)
	}
	aead := deriveAEAD(&s.keys[i].Secret, rest[:saltSize])
	state, err := aead.Open(b, rest[saltSize:cookieNonce], rest[cookieNonce:], s.appendAdditional(nil, header))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCookieForged, err)
	}
	// Not before it is known to be genuine: else anybody could make expired cookies.
	expiry := time.UnixMilli(int64(binary.BigEndian.Uint64(header[5:])))
	if age := time.Since(expiry); age > 0 {
		return nil, fmt.Errorf("%w: by %v", ErrCookieExpired, age)
	}
	return state, nil
}

// deriveAEAD makes AES-256-GCM with the key that XAES-256-GCM derives from a secret and the
// first half of a nonce, by NIST SP 800-108 in counter mode with CMAC.
func deriveAEAD(secret *[32]byte, salt []byte) cipher.AEAD {
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		panic(err) // 32 bytes are always a key
	}
	var subkey [aes.BlockSize]byte // K1 of CMAC: the encrypted zero block, doubled in GF(2^128)
	block.Encrypt(subkey[:], subkey[:])
	carry := byte(0)
	for i := len(subkey) - 1; i >= 0; i-- {
		carry, subkey[i] = subkey[i]>>7, subkey[i]<<1|carry
	}
	subkey[len(subkey)-1] ^= carry * 0x87

	var key [2 * aes.BlockSize]byte
	for i := range 2 {
		m := key[i*aes.BlockSize:][:aes.BlockSize]
		m[1], m[2] = byte(i+1), 'X'
		copy(m[4:], salt)
		for j := range m {
			m[j] ^= subkey[j]
		}
		block.Encrypt(m, m)
	}
	derived, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(derived)
	if err != nil {
		panic(err) // AES has the block size that GCM needs
	}
	return aead
}
