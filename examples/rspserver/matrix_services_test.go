package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rserpool/rsp"
)

// The servers of a cell.
const (
	first  rsp.PEID = 0xa
	second rsp.PEID = 0xb
)

// from is how terminals print who has answered.
func from(id rsp.PEID) string { return fmt.Sprintf("from PE $%08x> ", uint32(id)) }

func (c *cell) echo() {
	c.startServer(first, "-echo")
	client := c.startClient("rspterminal")
	client.Input(c, "hello")
	client.Expect(c.ctx, c, from(first)+"hello")
}

func (c *cell) discard() {
	server := c.startServer(first, "-discard")
	client := c.startClient("rspterminal")
	client.Input(c, "hello")
	server.Expect(c.ctx, c, "Discard 6 bytes on session 1")
}

// RSPLIB's server ends the session then, and RSPLIB's client fails over for ever.
func (c *cell) daytime() {
	c.startServer(first, "-daytime")
	client := c.startClient("rspterminal")
	day := regexp.MustCompile(regexp.QuoteMeta(from(first)) + `[A-Z][a-z]+day, \d\d-[A-Z][a-z]+-\d{4} \d\d:\d\d:\d\d\.\d{6}`)
	c.wait("the time of day", func() bool { return day.MatchString(client.Output()) })
}

func (c *cell) chargen() {
	if c.server == rsplib {
		server := c.server.command(c.T, "rspserver", c.libraryArgs("-chargen")...)
		const reason = "Unknown Character Generator parameter: -chargen!"
		out, err := server.CombinedOutput()
		if err == nil || !strings.Contains(string(out), reason) {
			c.Fatalf("RSPLIB's server has ended with %v:\n%s", err, out)
		}
		c.notRun = fmt.Sprintf("RSPLIB's rspserver -chargen ends at once, %q", reason)
		return
	}
	c.startServer(first, "-chargen")
	client := c.startClient("rspterminal")
	client.Expect(c.ctx, c, from(first))
	client.Expect(c.ctx, c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
}

func (c *cell) pingPong() {
	c.startServer(first, "-pingpong")
	client := c.startClient("pingpongclient", "-interval=100")
	client.Expect(c.ctx, c, fmt.Sprintf("Ack #3 from PE $%08x (reply #3)", uint32(first)))
}

// The second server counts on from the cookie of the first.
func (c *cell) pingPongFailover() {
	c.startServer(first, "-pingpong", "-pppfailureafter=3")
	client := c.startClient("pingpongclient", "-interval=100")
	client.Expect(c.ctx, c, "(reply #1)")
	c.startServer(second, "-pingpong")
	client.Expect(c.ctx, c, "state=RSERPOOL_FAILOVER_COMPLETE, cookie=yes")
	client.Expect(c.ctx, c, fmt.Sprintf("from PE $%08x (reply #", uint32(second)))
	client.Expect(c.ctx, c, "(reply #8)")
	if strings.Contains(client.Output(), "gap") {
		c.Errorf("the numbers of the replies do not go on")
	}
}

// The first server would never complete the job. The second one goes on by the cookie.
func (c *cell) calcApp() {
	server := func(id rsp.PEID, capacity float64) []string {
		return []string{"-calcapp", "-policy=LeastUsed", fmt.Sprintf("-capcapacity=%.0f", capacity), "-capcookiemaxtime=0.2", "-capcookiemaxcalculations=1000000000",
			"-capvector=" + c.TempDir() + "/vec", "-capscalar=" + c.TempDir() + "/sca"}
	}
	const size = 1e11
	doomed := c.startServer(first, server(first, 1e6)...)
	client := c.startClient("calcappclient", "-jobinterval=0.1", "-keepalivetransmissioninterval=1000", fmt.Sprintf("-jobsize=%.0f", size), "-vector="+c.TempDir()+"/vec", "-scalar="+c.TempDir()+"/sca")
	client.Expect(c.ctx, c, "Job #1 accepted")
	const cookie = "\x0b\x00\x00\x1c\x00\x0d\x00\x18" // the header of a COOKIE of 20 bytes
	c.wait("cookies", func() bool { return c.recording.sent(c, cookie, cookie) })
	next := c.startServer(second, server(second, size)...)
	doomed.Kill()
	next.Expect(c.ctx, c, "accepted from cookie echo")
	client.Expect(c.ctx, c, "Job #1 completed:")
	if resumed := regexp.MustCompile(`, completed [1-9]\S* accepted from cookie echo`); !resumed.MatchString(next.Output()) {
		c.Errorf("the job has begun anew")
	}
}

// fractalFile is a picture of which one third is work.
const fractalFile = `<!DOCTYPE XMLFractalSave>
<FractalV1>
 <Algorithm>
  <AlgorithmName>Mandelbrot</AlgorithmName>
  <C1Real>-0.5</C1Real><C1Imag>1.0</C1Imag>
  <C2Real>1.5</C2Real><C2Imag>-1.0</C2Imag>
  <Useroptions><MaxIterations>60000</MaxIterations><N>2</N></Useroptions>
 </Algorithm>
</FractalV1>
`

// The second server goes on by the cookie of the first, to the end of the picture. Our client's is the same with all mixes, but
// for one pixel in 1000.
func (c *cell) fractal() {
	dir := c.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "input.fsf"), []byte(fractalFile), 0o600); err != nil {
		c.Fatal(err)
	}
	c.Setenv("QT_QPA_PLATFORM", "offscreen") // RSPLIB's client has a window
	doomed := c.startServer(first, "-fractal", "-fgpcookiemaxpackets=1", "-fgpcookiemaxtime=100")
	client := c.startClient("fractalpooluser", "-configdir="+dir, "-width=200", "-height=150", "-interimagetime=1", "-nocolormarks", "-imagestorageprefix="+dir+"/picture")
	const (
		magic      = "<FG-TD1>"
		cookieEcho = "\x0c\x00\x00\x54\x00\x0d\x00\x50" + magic
		end        = "\x02\x00\x00\x10\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"
	)
	c.wait("a cookie", func() bool { return c.recording.sent(c, magic) })
	c.startServer(second, "-fractal")
	doomed.Kill()
	c.wait("the end of a picture with a failover", func() bool { return c.recording.sent(c, cookieEcho, end) })
	if c.client == rsplib { // it goes on with the next one; it has stored none in a guest
		c.wait("the next picture", func() bool {
			_, output, _ := strings.Cut(client.Output(), "state=RSERPOOL_FAILOVER_COMPLETE, cookie=yes")
			return strings.Contains(output, "Getting parameters from")
		})
		return
	}
	stored := regexp.MustCompile(`and [1-9]\d* failovers.*\n.* stored as (.*\.png)\n`)
	var name []string
	c.wait("the picture", func() bool {
		name = stored.FindStringSubmatch(client.Output())
		return name != nil
	})
	c.wantPicture(name[1])
}

// wantPicture wants the pixels of the first mix.
func (c *cell) wantPicture(name string) {
	c.Helper()
	file, err := os.ReadFile(name)
	if err != nil {
		c.Fatal(err)
	}
	decoded, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		c.Fatal(err)
	}
	picture, ok := decoded.(*image.RGBA)
	if !ok {
		c.Fatalf("the picture is %T", decoded)
	}
	if c.picture.Pix == nil {
		*c.picture = *picture
	}
	if picture.Bounds() != c.picture.Bounds() {
		c.Fatalf("the picture has %v, not %v", picture.Bounds(), c.picture.Bounds())
	}
	different := 0
	for i := range picture.Pix {
		if i%4 == 0 && !bytes.Equal(picture.Pix[i:i+4], c.picture.Pix[i:i+4]) {
			different++
		}
	}
	// Of orbits of so many steps, few end otherwise at RSPLIB's servers than at ours.
	if pixels := len(picture.Pix) / 4; different > pixels/1000 {
		c.Errorf("%d of %d pixels are others than with the first mix", different, pixels)
	}
}

// The server runs the client's program, and the client gets its result.
func (c *cell) scripting() {
	const script = "#!/bin/sh\necho the result >$1\n"
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "ssrun", Mode: 0o755, Size: int64(len(script))}); err != nil {
		c.Fatal(err)
	}
	if _, err := w.Write([]byte(script)); err != nil {
		c.Fatal(err)
	}
	if err := w.Close(); err != nil {
		c.Fatal(err)
	}
	dir := c.TempDir()
	input, output := filepath.Join(dir, "work.tar"), filepath.Join(dir, "result")
	if err := os.WriteFile(input, b.Bytes(), 0o600); err != nil {
		c.Fatal(err)
	}
	c.startServer(first, "-scripting")
	client := c.startClient("scriptingclient", "-input="+input, "-output="+output, "-retrydelay=100")
	client.Expect(c.ctx, c, "Download completed!")
	if err := client.Wait(); err != nil {
		c.Errorf("the client ends with %v", err)
	}
	if result, err := os.ReadFile(output); err != nil || string(result) != "the result\n" {
		c.Errorf("the result is %q, %v", result, err)
	}
}
