// Package scripting is RSPLIB's Scripting service: pool users upload work packages, which pool elements
// run, and get the results. With it a pool of machines does what one could do alone, later.
//
// It runs programs that anybody uploads who reaches it, with the rights of its own process. So it belongs in
// networks that are trusted, or wants a keyring (-sskeyring): then it runs what is signed.
package scripting

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/program"
	"github.com/rserpool/rsp/examples/internal/service"
)

// scripting is the service, with the values of its options.
type scripting struct {
	maxThreads        int
	keepAliveInterval time.Duration
	keepAliveTimeout  time.Duration
	transmitTimeout   time.Duration
	cacheDirectory    string
	cacheMaxSize      int // KiB
	cacheMaxEntries   int
	keyring           string
	trustDB           string
	keepTempDirs      bool
	verbose           bool
}

// New returns the service.
func New() service.Service {
	return &scripting{
		maxThreads:        runtime.NumCPU(),
		keepAliveInterval: 15 * time.Second,
		keepAliveTimeout:  10 * time.Second,
		transmitTimeout:   30 * time.Second,
		cacheMaxSize:      131072,
		cacheMaxEntries:   16,
	}
}

func (*scripting) Name() string { return "Scripting" }

func (*scripting) Pool() rsp.PoolHandle { return "ScriptingPool" }

// Policy counts each selection as one session more, until the PE tells its load.
func (s *scripting) Policy() rsp.Policy {
	return rsp.LeastUsedDegradation(0, 1/float64(s.maxThreads))
}

func (s *scripting) RegisterFlags(fs *flag.FlagSet) {
	fs.Var(program.Count(&s.maxThreads, 1), "ssmaxthreads", "`threads`: upper limit for the number of simultaneous sessions, of which each runs a work package; default: the CPUs")
	fs.Var(program.Milliseconds(&s.keepAliveInterval, time.Millisecond), "sskeepaliveinterval", "`milliseconds` until a user whose work is done is asked whether it is there")
	fs.Var(program.Milliseconds(&s.keepAliveTimeout, time.Millisecond), "sskeepalivetimeout", "`milliseconds` that it has to answer, before its work is given up")
	fs.Var(program.Milliseconds(&s.transmitTimeout, time.Millisecond), "sstransmittimeout", "`milliseconds` that a part of an upload or a download may take")
	fs.StringVar(&s.cacheDirectory, "sscachedirectory", "", "`directory` of the environment cache, which stays; without it, it is a temporary one")
	fs.Var(program.Count(&s.cacheMaxSize, 128), "sscachemaxsize", "`kibibytes` that the environment cache may have")
	fs.Var(program.Count(&s.cacheMaxEntries, 1), "sscachemaxentries", "`entries` that the environment cache may have")
	fs.StringVar(&s.keyring, "sskeyring", "", "GnuPG `keyring`: only work packages and environments are accepted that are signed (gpg --sign) by a key of it")
	fs.StringVar(&s.trustDB, "sstrustdb", "", "GnuPG `trust_db`: only by a key of the keyring that is trusted by it")
	fs.BoolVar(&s.keepTempDirs, "sskeeptempdirs", false, "keep the directories of work packages, for debugging")
	fs.BoolVar(&s.verbose, "ssverbose", false, "print each message")
}

func (s *scripting) PrintParameters(w io.Writer) {
	yesNo := map[bool]string{true: "yes", false: "no"}
	fmt.Fprintf(w, "   Max Threads             = %d\n", s.maxThreads)
	fmt.Fprintf(w, "   Keep Temp Dirs          = %s\n", yesNo[s.keepTempDirs])
	fmt.Fprintf(w, "   Verbose Mode            = %s\n", yesNo[s.verbose])
	fmt.Fprintf(w, "   Transmit Timeout        = %d [ms]\n", s.transmitTimeout.Milliseconds())
	fmt.Fprintf(w, "   Keep-Alive Interval     = %d [ms]\n", s.keepAliveInterval.Milliseconds())
	fmt.Fprintf(w, "   Keep-Alive Timeout      = %d [ms]\n", s.keepAliveTimeout.Milliseconds())
	fmt.Fprintf(w, "   Cache Max Size          = %d [KiB]\n", s.cacheMaxSize)
	fmt.Fprintf(w, "   Cache Max Entries       = %d\n", s.cacheMaxEntries)
	fmt.Fprintf(w, "   Cache Directory         = %s\n", s.cacheDirectory)
	fmt.Fprintf(w, "   Keyring                 = %s\n", s.keyring)
	fmt.Fprintf(w, "   Trust DB                = %s\n", s.trustDB)
}

// server is one call of Serve.
type server struct {
	*scripting
	name     string // of this machine
	cache    *cache
	verifier *verifier // nil: nothing is checked
	out      *log.Logger
	sessions atomic.Int64
}

// Serve serves until ctx ends; then what runs is killed, and its users start anew with another PE.
func (s *scripting) Serve(ctx context.Context, listener *rsp.Socket, out *log.Logger) (err error) {
	sv := &server{scripting: s, out: out, name: "(none)"}
	if name, err := os.Hostname(); err == nil {
		sv.name = name[:min(len(name), MaxInfo)]
	}
	if sv.verifier, err = newVerifier(s.keyring, s.trustDB); err != nil {
		return err
	}
	if sv.verifier == nil {
		out.Print("WARNING: whatever is uploaded is run; give a keyring unless all who reach this service are trusted!")
	} else {
		defer func() { err = errors.Join(err, sv.verifier.close()) }()
	}
	if sv.cache, err = openCache(s.cacheDirectory, s.cacheMaxEntries, int64(s.cacheMaxSize)<<10, out); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sv.cache.close()) }()
	srv := rsp.Server{MaxSessions: s.maxThreads, Handler: sv.handle, Refuse: sv.refuse}
	if err := srv.Serve(ctx, listener); ctx.Err() == nil {
		return err
	}
	return nil
}

// refuse tells the user of a session too many to go to another PE.
func (sv *server) refuse(ctx context.Context, socket *rsp.Socket) {
	s := &session{server: sv, number: int(sv.sessions.Add(1)), socket: socket}
	s.printf("Rejecting, since %d sessions are served", sv.maxThreads)
	s.sendNotReady(ctx, FullyLoaded)
}

func (s *session) sendNotReady(ctx context.Context, reason uint32) {
	if err := s.send(ctx, Message{Type: NotReady, Reason: reason, Info: s.name}); err != nil {
		s.printf("%v", err)
	}
}

// handle serves a session, and leaves nothing of it.
func (sv *server) handle(ctx context.Context, socket *rsp.Socket) {
	s := &session{server: sv, number: int(sv.sessions.Add(1)), socket: socket}
	sv.out.Printf("New thread for RSerPool socket %d.", s.number)
	defer sv.out.Printf("Thread for RSerPool socket %d has been stopped.", s.number)
	work, err := newWork(sv.verifier, func(line []byte) { s.printf("| %s", line) })
	if err != nil {
		s.printf("%v", err)
		s.sendNotReady(ctx, OutOfResources)
		return
	}
	s.work = work
	if err := s.serve(ctx); err != nil {
		s.printf("The session ends early: %v", err)
	}
	if err := work.close(sv.keepTempDirs); err != nil {
		s.printf("Cannot remove the work package: %v", err)
	}
}
