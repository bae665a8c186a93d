package main

import (
	"bytes"
	"context"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/fractal"
	"github.com/rserpool/rsp/internal/lab"
)

func TestMain(m *testing.M) {
	if lab.Inside() {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

// Two of three servers die, and the picture is that of an undisturbed run.
func TestDemo(t *testing.T) {
	var out bytes.Buffer
	prefix := filepath.Join(t.TempDir(), "picture-")
	if err := run(t.Context(), []string{"-demo", "-imagestorageprefix=" + prefix}, nil, io.MultiWriter(&out, t.Output()), t.Output()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "is taken away"); n != 2 {
		t.Errorf("%d servers were taken away", n)
	}
	for _, want := range []string{
		`session \d: \w+ is lost; [\d.]+ ms later \w+ goes on where the cookie says\n`,
		`100 %\n`,
		`the picture is complete after [\d.]+ s and \d failovers \(\w+ \d+ %, \w+ \d+ %, \w+ \d+ %\)\n`,
		`the same picture to the last of 256000 pixels\n`,
	} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("the output has no %s", want)
		}
	}
	file, err := os.Open(prefix + "000001.png")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	img, err := png.Decode(file)
	if err != nil || img.Bounds().Dx() != 640 || img.Bounds().Dy() != 400 {
		t.Errorf("%v, %v", img.Bounds(), err)
	}
}

// newDemonstration is a registrar with nothing.
func newDemonstration(t *testing.T) (*demonstration, *client) {
	t.Helper()
	d := &demonstration{
		pool: fractal.Pool, cfg: rsp.Config{Network: rsp.InMemory},
		history: newHistory(), endpoints: make(map[rsp.PEID]*rsp.Endpoint),
	}
	t.Cleanup(d.close)
	if err := d.startRegistrar(t.Context()); err != nil {
		t.Fatal(err)
	}
	e, err := rsp.NewEndpoint(&d.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return d, &client{
		endpoint: e, pool: fractal.Pool, threads: 3, history: d.history,
		sendTimeout: 5 * time.Second, recvTimeout: 5 * time.Second,
	}
}

func smallPicture() fractal.Parameter {
	p := fractal.Default()
	p.Width, p.Height, p.MaxIterations = 70, 64, 50
	return p
}

// wantPicture compares with what this program computes by itself.
func wantPicture(t *testing.T, p *picture) {
	t.Helper()
	for _, tile := range p.tiles {
		for n := range tile.marks {
			want := tile.parameter.Value(uint32(n%tile.bounds.Dx()), uint32(n/tile.bounds.Dx()))
			if got := p.values[p.pixel(tile, n)]; got != want {
				t.Fatalf("pixel %d of tile %d is %d, not %d", n, tile.number, got, want)
			}
		}
	}
}

// One wrong pixel is told.
func TestCompare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, c := newDemonstration(t)
		if err := d.startServer(t.Context(), d.pool, "Anna", 0); err != nil {
			t.Fatal(err)
		}
		p, err := c.compute(t.Context(), "test", smallPicture())
		if err != nil {
			t.Fatal(err)
		}
		wantPicture(t, p)
		if err := d.compare(t.Context(), c, p); err != nil {
			t.Error(err)
		}
		p.values[1234]++
		d.history.begin(p)
		if err := d.compare(t.Context(), c, p); err == nil || !strings.Contains(err.Error(), "1 of 4480 pixels differ") {
			t.Errorf("after a change: %v", err)
		}
	})
}

// A server that says nothing is given up after the receive timeout, and asked for nothing more.
func TestSilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, c := newDemonstration(t)
		e, err := rsp.NewEndpoint(&d.cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if _, err := e.Listen(t.Context(), d.pool, rsp.PE{}); err != nil { // nobody accepts
			t.Fatal(err)
		}
		if err := d.startServer(t.Context(), d.pool, "Anna", 0); err != nil {
			t.Fatal(err)
		}
		c.threads = 4
		start := time.Now()
		p, err := c.compute(t.Context(), "test", smallPicture())
		if err != nil {
			t.Fatal(err)
		}
		wantPicture(t, p)
		if took := time.Since(start); p.failovers() == 0 || took < c.recvTimeout || took > 2*c.recvTimeout {
			t.Errorf("%d failovers, after %v", p.failovers(), took)
		}
	})
}

// A pool without servers makes the picture wait, not fail.
func TestWaitForServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, c := newDemonstration(t)
		time.AfterFunc(2500*time.Millisecond, func() {
			if err := d.startServer(context.Background(), d.pool, "Anna", 0); err != nil {
				t.Error(err)
			}
		})
		p, err := c.compute(t.Context(), "test", smallPicture())
		if err != nil {
			t.Fatal(err)
		}
		wantPicture(t, p)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c.pool = "EmptyPool"
		if _, err := c.compute(ctx, "test", smallPicture()); err == nil {
			t.Error("a picture without servers")
		}
	})
}

// RSPLIB's client makes two requests of 100×150 from 200×150 pixels; these are the corners that it sent.
func TestSplitAsRSPLIB(t *testing.T) {
	point := func(re, im uint64) complex128 { return complex(math.Float64frombits(re), math.Float64frombits(im)) }
	whole := fractal.Parameter{
		Width: 200, Height: 150,
		C1: point(0x3ff25411cfe2e11e, 0x3fd23f20f02c63ba), C2: point(0x3ff254cf8d8a5655, 0x3fd23ce7b7360416),
	}
	left, right := whole, whole
	left.Width, right.Width = 100, 100
	left.C2 = point(0x3ff25470aeb69bba, 0x3fd23ce7b7360416)
	right.C1 = point(0x3ff25470aeb69bba, 0x3fd23f20f02c63ba)
	tiles := split(whole, 2)
	if len(tiles) != 2 || tiles[0].parameter != left || tiles[1].parameter != right {
		t.Errorf("got %+v", tiles)
	}
}

// Each pixel is in one tile.
func TestSplit(t *testing.T) {
	for _, size := range [][2]uint32{{64, 64}, {101, 100}} {
		for threads := 1; threads <= 512; threads++ {
			p := newPicture("", fractal.Parameter{Width: size[0], Height: size[1]}, threads)
			if len(p.tiles) != threads {
				t.Fatalf("%d tiles for %d threads", len(p.tiles), threads)
			}
			for _, tile := range p.tiles {
				if tile.bounds.Empty() {
					t.Fatalf("%v, %d threads: tile %d is empty", size, threads, tile.number)
				}
				if _, err := p.put(tile, 1, &fractal.Data{Points: make([]uint32, len(tile.marks))}); err != nil {
					t.Fatal(err)
				}
			}
			if p.complete() != nil || p.shares[1] != len(p.values) {
				t.Fatalf("%v, %d threads: %v", size, threads, p.complete())
			}
		}
	}
}

// What servers send must fit.
func TestPut(t *testing.T) {
	p := newPicture("", fractal.Parameter{Width: 64, Height: 64}, 4)
	tile := p.tiles[3] // 32×32
	for _, d := range []fractal.Data{
		{X: 32}, {Y: 32, Points: []uint32{1}}, {X: 31, Y: 31, Points: []uint32{1, 2}}, {Y: math.MaxUint32, X: 1, Points: []uint32{1}},
	} {
		if _, err := p.put(tile, 1, &d); err == nil {
			t.Errorf("%+v fits", d)
		}
	}
	first, err := p.put(tile, 1, &fractal.Data{X: 30, Y: 1, Points: []uint32{7, 8, 9}})
	if err != nil || first != 62 || !slices.Equal(p.points(tile, 62, 3), []uint32{7, 8, 9}) {
		t.Errorf("%d, %v", first, err)
	}
	if p.values[33*64+62] != 7 || p.values[34*64+32] != 9 || p.missing != 64*64-3 {
		t.Error("the points are elsewhere")
	}
	p.tiles[3].failovers = 1
	p.put(tile, 2, &fractal.Data{X: 30, Y: 1, Points: []uint32{7, 8, 9, 10}})
	if p.shares[1] != 3 || p.shares[2] != 1 {
		t.Errorf("shares %v", p.shares)
	}
	for n, want := range map[colours][2]int{ // hues of points 62 and 65 of picture 1
		{}:                                {(7 + 2) * 5, (10 + 2) * 5},
		{failovers: true}:                 {(7 + 2) * 5, (10 + 2 + 5) * 5},
		{sessions: true}:                  {(7 + 2 + 9) * 5, (10 + 2 + 9) * 5},
		{failovers: true, sessions: true}: {(7 + 2 + 9) * 5, (10 + 2 + 5 + 9) * 5},
	} {
		img := n.paint(p, 1)
		if img.At(62, 33) != hue(want[0]) || img.At(33, 34) != hue(want[1]) {
			t.Errorf("%+v: %v and %v", n, img.At(62, 33), img.At(33, 34))
		}
	}
}

func TestOptions(t *testing.T) {
	for _, bad := range []string{
		"-width=63", "-width=8193", "-height=63", "-threads=0", "-threads=513", "-recvtimeout=0", "-interimagetime=-1", "-images=-1", "-unknown", "extra",
	} {
		if _, err := parse([]string{bad}, io.Discard); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
	o, err := parse(strings.Fields("-colormarks -sessions -nosessions -interimagetime=0.5 -recvtimeout=700 -configdir=testdata/none"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !o.colours.failovers || o.colours.sessions || o.interImageTime != time.Second/2 || o.recvTimeout != 700*time.Millisecond {
		t.Errorf("%+v", o)
	}
	if name, p, err := o.choose(); err != nil || name != "the Mandelbrot set" || p.Width != 400 || p.Height != 250 || p.MaxIterations != 1024 {
		t.Errorf("%s %+v %v", name, p, err)
	}
}

// A file, or one of a directory.
func TestChoose(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.fsf")
	text := `<FractalV1><Algorithm><AlgorithmName>MandelbrotN</AlgorithmName><Useroptions><N>5</N></Useroptions></Algorithm></FractalV1>`
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{dir, name} {
		o := &options{configDir: from, width: 100, height: 80}
		if title, p, err := o.choose(); err != nil || title != "a.fsf" || p.N != 5 || p.Width != 100 {
			t.Errorf("%s: %s %+v %v", from, title, p, err)
		}
	}
}

// The program computes the pictures that it is told to, with a pool that is found by -registrar.
func TestProgram(t *testing.T) {
	r, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0"})
	if err == nil {
		err = r.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	d := &demonstration{
		cfg:     rsp.Config{Registrars: r.Addrs()},
		history: newHistory(), endpoints: make(map[rsp.PEID]*rsp.Endpoint), registrar: r,
	}
	defer d.close()
	if err := d.startServer(t.Context(), "MyPool", "Anna", 0); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	prefix := filepath.Join(t.TempDir(), "picture-")
	err = run(t.Context(), []string{
		"-registrar=" + r.Addr(), "-poolhandle=MyPool", "-images=2", "-interimagetime=0", "-width=80", "-height=64", "-threads=4",
		"-imagestorageprefix=" + prefix,
	}, nil, io.MultiWriter(&out, t.Output()), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{prefix + "000001.png", prefix + "000002.png"} {
		if _, err := os.Stat(name); err != nil || !strings.Contains(out.String(), "stored as "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
