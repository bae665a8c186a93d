package program

import (
	"context"
	"flag"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rserpool/rsp"
)

// Values take RSPLIB's units, and nothing that has no meaning.
func TestValues(t *testing.T) {
	var (
		d    time.Duration
		n    int
		id   rsp.PEID
		pool rsp.PoolHandle
	)
	for _, tt := range []struct {
		value flag.Value
		text  string
		want  any // nil: an error
		got   func() any
	}{
		{Milliseconds(&d, 0), "250", 250 * time.Millisecond, func() any { return d }},
		{Milliseconds(&d, 100*time.Millisecond), "99", nil, nil},
		{Milliseconds(&d, 0), "-1", nil, nil},
		{Milliseconds(&d, 0), "1s", nil, nil},
		{Milliseconds(&d, 0), "2147483648", nil, nil},
		{Seconds(&d), "30.125", 30125 * time.Millisecond, func() any { return d }},
		{Seconds(&d), "-1", nil, nil},
		{Seconds(&d), "NaN", nil, nil},
		{Seconds(&d), "1e10", nil, nil},
		{Count(&n, 1), "4", 4, func() any { return n }},
		{Count(&n, 1), "0", nil, nil},
		{Count(&n, 1), "4294967297", nil, nil},
		{PEID(&id), "0xabc1001", rsp.PEID(0xabc1001), func() any { return id }},
		{PEID(&id), "12", rsp.PEID(12), func() any { return id }},
		{PEID(&id), "0", nil, nil},
		{PEID(&id), "0x100000000", nil, nil},
		{Pool(&pool), "EchoPool", rsp.PoolHandle("EchoPool"), func() any { return pool }},
		{Pool(&pool), "", nil, nil},
	} {
		err := tt.value.Set(tt.text)
		if (err != nil) != (tt.want == nil) {
			t.Errorf("%T, %q: %v", tt.value, tt.text, err)
		} else if err == nil && tt.got() != tt.want {
			t.Errorf("%T, %q: %v, want %v", tt.value, tt.text, tt.got(), tt.want)
		}
	}
}

// Help has the program's own options first, in groups, with their arguments and defaults.
func TestHelp(t *testing.T) {
	pool, quiet := rsp.PoolHandle("EchoPool"), false
	o := NewOptions("tester", "Tests.")
	o.Group("Empty", func(*flag.FlagSet) {})
	o.Group("Own", func(fs *flag.FlagSet) {
		fs.Var(Pool(&pool), "poolhandle", "Sets the PH, `pool handle`.")
		fs.BoolVar(&quiet, "quiet", false, "Is quiet.")
	})
	var help strings.Builder
	if err := o.Parse([]string{"-quiet", "-help"}, &help); err != flag.ErrHelp || !quiet {
		t.Fatal(err)
	}
	const want = `Usage: tester [-option[=value]]...
Tests.

Own:
  -poolhandle=pool-handle
        Sets the PH, pool handle. (default EchoPool)
  -quiet
        Is quiet.

ASAP Protocol Parameters:
`
	if diff := cmp.Diff(want, help.String()[:min(len(want), help.Len())]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// All programs take RSPLIB's options of the library and the log; what nobody has defined is an error.
func TestParse(t *testing.T) {
	o := NewOptions("tester", "Tests.")
	args := []string{"-registrar=a:1", "-registrar=b:2", "-asapannounce=off", "-registrarconnectmaxtrials=3", "-registrarrequestmaxtrials=4", "-logcolor=off", "-loglevel=9"}
	if err := o.Parse(args, io.Discard); err != nil {
		t.Fatal(err)
	}
	if c := o.Config; !cmp.Equal(c.Registrars, []string{"a:1", "b:2"}) || c.Announce != "off" || c.RegistrarRequestAttempts != 4 {
		t.Errorf("%+v", c)
	}
	for _, arg := range []string{"-nosuch", "argument", "-loglevel=10"} {
		if err := NewOptions("tester", "Tests.").Parse([]string{arg}, io.Discard); err == nil {
			t.Errorf("%s is taken", arg)
		}
	}
}

// logs are what a program with args logs, in the file and on standard error.
func logs(t *testing.T, file string, args ...string) (inFile, onStderr string) {
	t.Helper()
	o := NewOptions("tester", "Tests.")
	if err := o.Parse(args, io.Discard); err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	closeLog, err := o.OpenLog(&stderr)
	if err != nil {
		t.Fatal(err)
	}
	for _, level := range []slog.Level{slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug} {
		o.Config.Logger.Log(t.Context(), level, "x")
	}
	if err := closeLog(); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(file) // which need not be there
	return string(b), stderr.String()
}

func TestLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	for _, tt := range []struct {
		args           string
		inFile, stderr int // lines
	}{
		{"", 0, 2}, {"-loglevel=0", 0, 0}, {"-loglevel=1", 0, 1}, {"-loglevel=3", 0, 3}, {"-loglevel=6", 0, 4}, {"-logquiet", 0, 0},
		{"-logappend=" + file, 2, 0}, {"-logappend=" + file, 4, 0}, {"-logfile=" + file + " -loglevel=9", 4, 0}, {"-logfile=" + file, 2, 0},
	} {
		inFile, stderr := logs(t, file, strings.Fields(tt.args)...)
		if got := strings.Count(inFile, "\n"); got != tt.inFile {
			t.Errorf("%s: %d lines in the file", tt.args, got)
		}
		if got := strings.Count(stderr, "\n"); got != tt.stderr {
			t.Errorf("%s: %d lines on standard error", tt.args, got)
		}
	}
}

// A signal is told by its number; the end of a context by another cause is not told.
func TestBreak(t *testing.T) {
	for cause, want := range map[error]string{
		broken{syscall.SIGINT}: "\n*** Break ***    Signal #2\n\n\nTerminated!\n",
		io.EOF:                 "\nTerminated!\n",
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		var out strings.Builder
		terminated := SayBreak(ctx, &out)
		cancel(cause)
		terminated()
		if out.String() != want {
			t.Errorf("%v: it prints %q", cause, out.String())
		}
	}
}

func TestStamped(t *testing.T) {
	var out strings.Builder
	log.New(Stamped(&out), "", 0).Print("Echo 13 bytes on session 1")
	if !regexp.MustCompile(`^\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d\.\d{4}: Echo 13 bytes on session 1\n$`).MatchString(out.String()) {
		t.Errorf("it prints %q", out.String())
	}
}

// Files, unlike terminals, get no colours.
func TestScreen(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := NewScreen(file)
	s.Answer("a")
	s.coloured = true
	s.Answer("b")
	s.Notification(&rsp.Notification{Type: rsp.FailoverComplete, HasCookie: true})
	s.Printf("c")
	got, err := os.ReadFile(file.Name())
	const want = "a\n\x1b[34mb\x1b[0m\n\x1b[39;47mNotification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_COMPLETE, cookie=yes\x1b[0m\nc\n"
	if err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
}
