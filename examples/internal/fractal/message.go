package fractal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/rserpool/rsp"
)

// PPID is the payload protocol identifier of all messages.
const PPID rsp.PPID = 32

// Limits of the protocol.
const (
	MaxSize       = 65536 // of a width or height
	MaxIterations = 1000000
	MaxPoints     = 324 // of one Data
)

// MaxMessage is how long a message can be.
const MaxMessage = dataHeader + 4*MaxPoints

const (
	typeParameter = 1
	typeData      = 2

	parameterSize = 60
	dataHeader    = 16
	cookieSize    = len(cookieMagic) + parameterSize + 8
	cookieMagic   = "<FG-TD1>"
)

var errMalformed = errors.New("malformed message")

// Parameter asks for a picture. It goes from client to server.
//
//	 0                   1                   2                   3
//	├───────────────┬───────────────┬───────────────────────────────┤
//	│ type 1        │ flags 0       │ length 60                     │
//	├───────────────┴───────────────┴───────────────────────────────┤
//	│ width                                                         │
//	│ height                                                        │
//	│ max iterations                                                │
//	│ algorithm                                                     │
//	│ C1, C2: real and imaginary part, IEEE 754, 8 bytes each       │
//	│ N, 8 bytes                                                    │
//	└───────────────────────────────────────────────────────────────┘
type Parameter struct {
	Width, Height uint32
	MaxIterations uint32
	Algorithm     Algorithm
	C1, C2        complex128 // corners of the complex plane: of the first pixel, and beyond the last
	N             float64    // the exponent of MandelbrotN
}

// AppendTo appends the message to b.
func (p *Parameter) AppendTo(b []byte) []byte { return p.appendTo(b, parameterSize) }

func (p *Parameter) appendTo(b []byte, length uint16) []byte {
	b = appendHeader(b, typeParameter, length)
	for _, v := range []uint32{p.Width, p.Height, p.MaxIterations, uint32(p.Algorithm)} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	for _, v := range []float64{real(p.C1), imag(p.C1), real(p.C2), imag(p.C2), p.N} {
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// ParseParameter reads a Parameter whose values are within the limits.
func ParseParameter(b []byte) (*Parameter, error) {
	if err := checkHeader(b, typeParameter); err != nil {
		return nil, fmt.Errorf("parameter: %w", err)
	}
	return parseParameter(b)
}

// parseParameter does not look at the header.
func parseParameter(b []byte) (*Parameter, error) {
	if len(b) != parameterSize {
		return nil, fmt.Errorf("parameter of %d bytes: %w", len(b), errMalformed)
	}
	integer := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	double := func(at int) float64 { return math.Float64frombits(binary.BigEndian.Uint64(b[at:])) }
	p := &Parameter{
		Width:         integer(4),
		Height:        integer(8),
		MaxIterations: integer(12),
		Algorithm:     Algorithm(integer(16)),
		C1:            complex(double(20), double(28)),
		C2:            complex(double(36), double(44)),
		N:             double(52),
	}
	return p, p.check()
}

func (p *Parameter) check() error {
	switch {
	case p.Width < 1 || p.Width > MaxSize || p.Height < 1 || p.Height > MaxSize:
		return fmt.Errorf("picture of %d×%d pixels: want 1 to %d each", p.Width, p.Height, MaxSize)
	case p.MaxIterations > MaxIterations:
		return fmt.Errorf("%d iterations: want at most %d", p.MaxIterations, MaxIterations)
	case p.Algorithm != Mandelbrot && p.Algorithm != MandelbrotN:
		return fmt.Errorf("unknown algorithm %d", uint32(p.Algorithm))
	}
	return nil
}

// Data is a part of the picture: points from (X, Y) on, row by row. It goes from server to client.
//
//	├───────────────┬───────────────┬───────────────────────────────┤
//	│ type 2        │ flags 0       │ length                        │
//	├───────────────┴───────────────┴───────────────────────────────┤
//	│ X                                                             │
//	│ Y                                                             │
//	│ number of points, at most 324                                 │
//	│ the points, 4 bytes each                                      │
//	└───────────────────────────────────────────────────────────────┘
type Data struct {
	X, Y   uint32
	Points []uint32
}

// End is the Data that ends a picture.
var End = Data{X: math.MaxUint32, Y: math.MaxUint32}

// IsEnd reports whether d is End.
func (d *Data) IsEnd() bool { return d.X == End.X && d.Y == End.Y && len(d.Points) == 0 }

// AppendTo appends the message to b.
func (d *Data) AppendTo(b []byte) []byte {
	b = appendHeader(b, typeData, uint16(dataHeader+4*len(d.Points)))
	for _, v := range []uint32{d.X, d.Y, uint32(len(d.Points))} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	for _, v := range d.Points {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// ParseData reads a Data.
func ParseData(b []byte) (*Data, error) {
	if err := checkHeader(b, typeData); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if len(b) < dataHeader {
		return nil, fmt.Errorf("data of %d bytes: %w", len(b), errMalformed)
	}
	d := &Data{X: binary.BigEndian.Uint32(b[4:]), Y: binary.BigEndian.Uint32(b[8:])}
	n := binary.BigEndian.Uint32(b[12:])
	if n > MaxPoints || len(b) != dataHeader+4*int(n) {
		return nil, fmt.Errorf("data of %d bytes with %d points: %w", len(b), n, errMalformed)
	}
	for at := dataHeader; at < len(b); at += 4 {
		d.Points = append(d.Points, binary.BigEndian.Uint32(b[at:]))
	}
	return d, nil
}

// cookie is the state of a session: the picture, and the last of its pixels that the client has.
//
//	├───────────────────────────────────────────────────────────────┤
//	│ "<FG-TD1>"                                                    │
//	│ Parameter, 60 bytes                                           │
//	│ X                                                             │
//	│ Y                                                             │
//	└───────────────────────────────────────────────────────────────┘
type cookie struct {
	parameter Parameter
	x, y      uint32
}

// cookieParameterLength is what RSPLIB has in the length field of a cookie's Parameter.
const cookieParameterLength = 4

func (c *cookie) appendTo(b []byte) []byte {
	b = append(b, cookieMagic...)
	b = c.parameter.appendTo(b, cookieParameterLength)
	b = binary.BigEndian.AppendUint32(b, c.x)
	return binary.BigEndian.AppendUint32(b, c.y)
}

func parseCookie(b []byte) (*cookie, error) {
	if len(b) != cookieSize || string(b[:len(cookieMagic)]) != cookieMagic {
		return nil, fmt.Errorf("no cookie of this service: %w", errMalformed)
	}
	rest := b[len(cookieMagic):]
	p, err := parseParameter(rest[:parameterSize])
	if err != nil {
		return nil, fmt.Errorf("cookie: %w", err)
	}
	rest = rest[parameterSize:]
	c := &cookie{parameter: *p, x: binary.BigEndian.Uint32(rest), y: binary.BigEndian.Uint32(rest[4:])}
	if c.x >= p.Width || c.y >= p.Height {
		return nil, fmt.Errorf("cookie: pixel (%d, %d) is not in a picture of %d×%d", c.x, c.y, p.Width, p.Height)
	}
	return c, nil
}

func appendHeader(b []byte, messageType uint8, length uint16) []byte {
	return binary.BigEndian.AppendUint16(append(b, messageType, 0), length)
}

func checkHeader(b []byte, messageType uint8) error {
	if len(b) < 4 || b[0] != messageType || int(binary.BigEndian.Uint16(b[2:])) != len(b) {
		return errMalformed
	}
	return nil
}
