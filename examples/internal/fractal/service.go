// Package fractal is RSPLIB's fractal generator service: a server computes a picture for its
// client, and when it is lost, the next server of the pool goes on at the pixel that the cookie
// names. Its protocol, its values and its cookies are RSPLIB's, so that servers of both can
// be mixed in one pool.
package fractal

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/program"
	"github.com/rserpool/rsp/examples/internal/service"
)

// Pool is the service's pool.
const Pool rsp.PoolHandle = "FractalGeneratorPool"

// Service is the service, with its options.
type Service struct {
	// TransmitTimeout is how long a client may leave a message unread.
	TransmitTimeout time.Duration
	// DataMaxTime is how long computed points may wait for more, before they are sent.
	DataMaxTime time.Duration
	// CookieMaxTime and CookieMaxPackets are how long, and for how many messages, a client may be
	// without a new cookie.
	CookieMaxTime    time.Duration
	CookieMaxPackets int
	// FailureAfter ends each session after so many messages, to test failovers. 0: none.
	FailureAfter int
	// MaxThreads is how many sessions are served at the same time.
	MaxThreads int
	// TestMode replaces the computation by a pattern that costs nothing.
	TestMode bool

	// Pause is a pause after each message, for demonstrations: it makes pictures take their time.
	Pause time.Duration
}

// New returns the service with RSPLIB's defaults.
func New() *Service {
	return &Service{
		TransmitTimeout:  2500 * time.Millisecond,
		DataMaxTime:      time.Second,
		CookieMaxTime:    time.Second,
		CookieMaxPackets: 10,
		MaxThreads:       4,
	}
}

// Name returns "Fractal Generator".
func (s *Service) Name() string { return "Fractal Generator" }

// Pool returns FractalGeneratorPool.
func (s *Service) Pool() rsp.PoolHandle { return Pool }

// Policy returns round robin.
func (s *Service) Policy() rsp.Policy { return rsp.RoundRobin() }

// RegisterFlags defines the -fgp options.
func (s *Service) RegisterFlags(fs *flag.FlagSet) {
	const least = 100 * time.Millisecond
	fs.Var(program.Milliseconds(&s.TransmitTimeout, time.Millisecond), "fgptransmittimeout", "Sets transmit timeout in `milliseconds`.")
	fs.Var(program.Milliseconds(&s.DataMaxTime, least), "fgpdatamaxtime", "Send what is computed after given number of `milliseconds`.")
	fs.Var(program.Milliseconds(&s.CookieMaxTime, least), "fgpcookiemaxtime", "Send cookie after given number of `milliseconds`.")
	fs.Var(program.Count(&s.CookieMaxPackets, 1), "fgpcookiemaxpackets", "Send cookie after given number of Data `messages`.")
	fs.Var(program.Count(&s.FailureAfter, 0), "fgpfailureafter", "After the set number of data `messages`, the server will terminate the connection in order to test failovers; 0: never.")
	fs.Var(program.Count(&s.MaxThreads, 1), "fgpmaxthreads", "Sets an upper limit for the number of simultaneous Fractal Generator `sessions`.")
	fs.BoolVar(&s.TestMode, "fgptestmode", s.TestMode, "Generate simple test pattern instead of calculating a fractal graphics (useful to conserve CPU power when debugging).")
}

// PrintParameters prints the values of the -fgp options.
func (s *Service) PrintParameters(w io.Writer) {
	fmt.Fprintln(w, "Fractal Generator Parameters:")
	fmt.Fprintf(w, "   Max Threads             = %d\n", s.MaxThreads)
	fmt.Fprintf(w, "   Transmit Timeout        = %dms\n", s.TransmitTimeout.Milliseconds())
	fmt.Fprintf(w, "   Data Max Time           = %dms\n", s.DataMaxTime.Milliseconds())
	fmt.Fprintf(w, "   Cookie Max Time         = %dms\n", s.CookieMaxTime.Milliseconds())
	fmt.Fprintf(w, "   Cookie Max Packets      = %d Packets\n", s.CookieMaxPackets)
	fmt.Fprintf(w, "   Failure After           = %d Packets\n", s.FailureAfter)
	testMode := "off"
	if s.TestMode {
		testMode = "on"
	}
	fmt.Fprintf(w, "   Test Mode               = %s\n", testMode)
}

// Serve serves the sessions of listener until ctx ends. Then each client gets a last cookie, and goes on
// with another server.
func (s *Service) Serve(ctx context.Context, listener *rsp.Socket, out *log.Logger) error {
	return service.Threads(ctx, listener, s.MaxThreads, out, func(ctx context.Context, session *rsp.Socket, number int) {
		s.serve(ctx, session, number, out)
	})
}

// serve serves one session: the picture that the client asks for, or the rest of the one that
// its cookie names.
func (s *Service) serve(ctx context.Context, session *rsp.Socket, number int, out *log.Logger) {
	p, err := s.begin(ctx, session)
	if errors.Is(err, errRefused) {
		out.Printf("Session of RSerPool socket %d %v", number, err)
		_ = session.Abort() // its client may have ended it
		return
	}
	if err != nil {
		return // the client has gone, or the service ends
	}
	what, q := "Parameter", &p.parameter
	if session.CookieEcho() != nil {
		what = "CookieEcho"
	}
	x, y := p.position(p.last.Load())
	out.Printf("Got %s on RSerPool socket %d:\nw=%d h=%d c1=(%f,%f) c2=(%f,%f), n=%f, maxIterations=%d, algorithmID=%d, from x=%d y=%d on",
		what, number, q.Width, q.Height, real(q.C1), imag(q.C1), real(q.C2), imag(q.C2), q.N, q.MaxIterations, q.Algorithm, x, y)
	if err := p.run(ctx); err != nil {
		out.Printf("Leaving the picture of RSerPool socket %d to another server: %v", number, err)
	}
}

// errRefused: the client has asked for what there is not.
var errRefused = errors.New("refused")

// begin reads the first message of a session, and gives the client its first cookie.
func (s *Service) begin(ctx context.Context, session *rsp.Socket) (*production, error) {
	buf := make([]byte, MaxMessage)
	n, info, err := session.RecvFullMsg(ctx, buf)
	if err != nil {
		return nil, err
	}
	p := &production{service: s, session: session}
	if info.CookieEcho {
		c, err := parseCookie(buf[:n])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errRefused, err)
		}
		p.parameter = c.parameter
		p.last.Store(int64(c.y)*int64(c.parameter.Width) + int64(c.x))
	} else {
		parameter, err := ParseParameter(buf[:n])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errRefused, err)
		}
		p.parameter = *parameter
	}
	return p, p.keepCookie(ctx)
}
