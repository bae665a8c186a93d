package fractal

import (
	"path/filepath"
	"testing"
)

const fgpconfig = "/usr/share/fgpconfig"

func TestParseFile(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Parameter
	}{
		{
			"all",
			`<!DOCTYPE XMLFractalSave><FractalV1><Algorithm><AlgorithmName>MandelbrotN</AlgorithmName>
			<C1Real>2.5e-01</C1Real><C1Imag>1</C1Imag><C2Real>-3</C2Real><C2Imag>0.5</C2Imag>
			<Useroptions><MaxIterations>1000</MaxIterations><N>3</N></Useroptions></Algorithm>
			<ColorScheme><ColorSchemeName>SimpleHSV</ColorSchemeName></ColorScheme><Resolution>800*600</Resolution></FractalV1>`,
			Parameter{Algorithm: MandelbrotN, MaxIterations: 1000, C1: complex(0.25, 1), C2: complex(-3, 0.5), N: 3},
		},
		{
			"defaults",
			`<FractalV1><Algorithm><AlgorithmName>Mandelbrot</AlgorithmName></Algorithm></FractalV1>`,
			Parameter{Algorithm: Mandelbrot, MaxIterations: 123, C1: complex(-1.5, 1.5), C2: complex(1.5, -1.5), N: 2},
		},
	} {
		got, err := parseFile([]byte(c.text))
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
	for name, text := range map[string]string{
		"empty":               ``,
		"other root":          `<Fractal/>`,
		"no algorithm":        `<FractalV1/>`,
		"unknown algorithm":   `<FractalV1><Algorithm><AlgorithmName>Julia</AlgorithmName></Algorithm></FractalV1>`,
		"too many iterations": `<FractalV1><Algorithm><AlgorithmName>Mandelbrot</AlgorithmName><Useroptions><MaxIterations>1000001</MaxIterations></Useroptions></Algorithm></FractalV1>`,
	} {
		if p, err := parseFile([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// Each file of RSPLIB's package can be read, and asked for.
func TestFilesOfRSPLIB(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(fgpconfig, "*.fsf"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("no files in " + fgpconfig + ": install Debian's package rsplib-fgp-cfgfiles")
	}
	for _, name := range files {
		p, err := ReadFile(name)
		if err != nil {
			t.Error(err)
			continue
		}
		p.Width, p.Height = 64, 48
		if err := p.check(); err != nil || p.C1 == p.C2 {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(`<FractalV1><Algorithm><AlgorithmName>Mandelbrot</AlgorithmName><C1Real>1e-1</C1Real></Algorithm></FractalV1>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parseFile(b); err == nil {
			p.Width, p.Height = 1, 1
			if err := p.check(); err != nil {
				t.Error(err)
			}
		}
	})
}
