package calcapp

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rserpool/rsp"
)

// The server's files are RSPLIB's, column by column; Total Wasted Capacity is right for a capacity other than 10⁶, too.
func TestServerFiles(t *testing.T) {
	vector, scalar := filepath.Join(t.TempDir(), "pe.vec"), filepath.Join(t.TempDir(), "pe.sca")
	inPool(t, func(t *testing.T, p *pool) {
		s := p.start(0xabc1002, func(s *Service) {
			s.VectorFile, s.ScalarFile, s.Capacity, s.MaxJobs = vector, scalar, 2e6, 2
		})
		u := p.connect(rsp.Dialer{})
		defer u.stop()
		u.send(Request, 1, 1e6)
		u.wants(Message{Type: Accept, JobID: 1}, time.Now(), 0)
		time.Sleep(2 * time.Second)
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	wantFile(t, vector, `^ObjectName PID PoolElementIdentifier CurrentTimeStamp Runtime   AvailableCalculations UsedCalculations Utilization   CurrentJobs MaxJobs
000001 scenario\.calcapppoolelement\[0\] \d+ 0x0abc1002 \d+\.\d{6}   0\.500000   1000000 1000000 1\.000000   1 2
$`)
	wantFile(t, scalar, `^run 1 "scenario"
scalar "scenario\.calcapppoolelement\[0\]" "CalcAppPE Service Uptime"        2\.000000
scalar "scenario\.calcapppoolelement\[0\]" "CalcAppPE Service Capacity"      2000000
scalar "scenario\.calcapppoolelement\[0\]" "CalcAppPE Service Max Jobs"      2
scalar "scenario\.calcapppoolelement\[0\]" "CalcAppPE Total Used Capacity"   1000000
scalar "scenario\.calcapppoolelement\[0\]" "CalcAppPE Total Wasted Capacity" 3000000
scalar "scenario\.calcapppoolelement\[0\]" "CalcAppPE Total Jobs Accepted"   1
scalar "scenario\.calcapppoolelement\[0\]" "CalcAppPE Total Jobs Rejected"   0
scalar "scenario\.calcapppoolelement\[0\]" "CalcAppPE Utilization"           0\.250000
$`)
}

// A file that cannot be written is an error, not a loss without a word.
func TestServerFileErrors(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none", "file")
	for name, change := range map[string]func(*Service){
		"vector": func(s *Service) { s.VectorFile = none },
		"scalar": func(s *Service) { s.ScalarFile = none },
	} {
		inPool(t, func(t *testing.T, p *pool) {
			if err := p.start(1, change).stop(); err == nil {
				t.Errorf("%s: no error", name)
			}
		})
	}
}

func wantFile(t *testing.T, name, want string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(want).Match(b) {
		t.Errorf("%s is\n%s", name, b)
	}
}

// The options have RSPLIB's names and units.
func TestOptions(t *testing.T) {
	s := New()
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	s.RegisterFlags(fs)
	if err := fs.Parse([]string{
		"-capcapacity=2.5e6", "-capmaxjobs=3", "-capcookiemaxtime=0.5", "-capcookiemaxcalculations=1000",
		"-capkeepalivetransmissioninterval=1500", "-capkeepalivetimeoutinterval=200", "-capcleanshutdownprobability=0.5",
		"-capobject=it", "-capvector=v", "-capscalar=s",
	}); err != nil {
		t.Fatal(err)
	}
	want := Options{2.5e6, 3, 500 * time.Millisecond, 1000, 1500 * time.Millisecond, 200 * time.Millisecond, 0.5, "it", "v", "s"}
	if s.Options != want {
		t.Errorf("%+v, want %+v", s.Options, want)
	}
	var printed bytes.Buffer
	s.PrintParameters(&printed)
	const text = `CalcApp Parameters:
   Object Name             = it
   Vector File Name        = v
   Scalar File Name        = s
   Max Jobs                = 3
   Capacity                = 2500000.0 Calculations/s
   Clean Shutdown Prob.    = 50.00%
   KA Transmission Interv. = 1500ms
   KA Timeout Interval     = 200ms
   Cookie Max Time         = 0.500s
   Cookie Max Calculations = 1000 Calculations
`
	if printed.String() != text {
		t.Errorf("printed:\n%s", &printed)
	}
	for _, bad := range []string{
		"-capcapacity=0", "-capcapacity=x", "-capcapacity=NaN", "-capmaxjobs=0", "-capcookiemaxtime=0.05", "-capcookiemaxcalculations=-1",
		"-capkeepalivetransmissioninterval=99", "-capkeepalivetimeoutinterval=99", "-capcleanshutdownprobability=1.1",
	} {
		if err := fs.Parse([]string{bad}); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
