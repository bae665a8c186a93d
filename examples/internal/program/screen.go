package program

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/rserpool/rsp"
)

// Screen is where a client prints what happens; in RSPLIB's colours if that is a terminal. Its methods may be called
// by several goroutines at once.
type Screen struct {
	mu       sync.Mutex
	w        io.Writer
	coloured bool
}

// NewScreen returns the screen on w.
func NewScreen(w io.Writer) *Screen {
	s := &Screen{w: w}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		s.coloured = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

// The escape sequences for RSPLIB's colours.
const (
	blue    = "\x1b[34m"
	onWhite = "\x1b[39;47m"
	reset   = "\x1b[0m"
)

// Printf prints a line.
func (s *Screen) Printf(format string, args ...any) { s.print("", format, args...) }

// Answer prints a line that tells what a server has said.
func (s *Screen) Answer(format string, args ...any) { s.print(blue, format, args...) }

// Notification prints what a session tells: a loss, and when it goes on, as RSPLIB's rsp_print_notification
// does. A client has one session.
func (s *Screen) Notification(n *rsp.Notification) {
	state := map[rsp.NotificationType]string{
		rsp.FailoverNecessary: "RSERPOOL_FAILOVER_NECESSARY",
		rsp.FailoverComplete:  "RSERPOOL_FAILOVER_COMPLETE",
	}[n.Type]
	cookie := "no"
	if n.HasCookie {
		cookie = "yes"
	}
	s.print(onWhite, "Notification: RSERPOOL_FAILOVER for session 1, state=%s, cookie=%s", state, cookie)
}

func (s *Screen) print(colour, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if s.coloured && colour != "" {
		line = colour + line + reset
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.w, line)
}
