package fractal

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os"
)

// saved is a file of RSPLIB's package of fractals (*.fsf).
type saved struct {
	XMLName   xml.Name `xml:"FractalV1"`
	Algorithm struct {
		AlgorithmName  string
		C1Real, C1Imag float64
		C2Real, C2Imag float64
		Useroptions    struct {
			MaxIterations uint32
			N             float64
		}
	}
}

// Default is the picture of clients that have no file.
func Default() Parameter {
	return Parameter{
		MaxIterations: 1024, Algorithm: Mandelbrot,
		C1: complex(-1.5, 1.5), C2: complex(1.5, -1.5), N: 2,
	}
}

// ReadFile reads a picture, without its size, from a file of RSPLIB's package of fractals (*.fsf).
func ReadFile(name string) (Parameter, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return Parameter{}, err
	}
	p, err := parseFile(b)
	if err != nil {
		return Parameter{}, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// parseFile gives what the file does not say RSPLIB's defaults.
func parseFile(b []byte) (Parameter, error) {
	p := Default()
	var s saved
	s.Algorithm.C1Real, s.Algorithm.C1Imag = real(p.C1), imag(p.C1)
	s.Algorithm.C2Real, s.Algorithm.C2Imag = real(p.C2), imag(p.C2)
	s.Algorithm.Useroptions.MaxIterations = 123
	s.Algorithm.Useroptions.N = 2
	if err := xml.Unmarshal(b, &s); err != nil {
		return Parameter{}, err
	}
	switch s.Algorithm.AlgorithmName {
	case "Mandelbrot":
		p.Algorithm = Mandelbrot
	case "MandelbrotN":
		p.Algorithm = MandelbrotN
	case "":
		return Parameter{}, errors.New("no algorithm")
	default:
		return Parameter{}, fmt.Errorf("unknown algorithm %q", s.Algorithm.AlgorithmName)
	}
	p.C1 = complex(s.Algorithm.C1Real, s.Algorithm.C1Imag)
	p.C2 = complex(s.Algorithm.C2Real, s.Algorithm.C2Imag)
	p.MaxIterations, p.N = s.Algorithm.Useroptions.MaxIterations, s.Algorithm.Useroptions.N
	if p.MaxIterations > MaxIterations {
		return Parameter{}, fmt.Errorf("%d iterations: want at most %d", p.MaxIterations, MaxIterations)
	}
	return p, nil
}
