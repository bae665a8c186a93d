package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/program"
)

// terminal sends lines to a pool, and prints what comes.
//
// A server that ends the session as soon as it has begun has nothing more to say, as RSPLIB's Daytime, or no room. The
// terminal does not run to the next one then: it waits for something to say to it.
type terminal struct {
	endpoint *rsp.Endpoint
	pool     rsp.PoolHandle
	screen   *program.Screen

	session   *rsp.Socket
	began     time.Time     // when the session came to its server; of the receiver
	failovers int           // of the receiver
	heard     chan struct{} // has a token when something has come
	wanted    chan struct{} // has a token when a line waits for a failover
	inputOver chan struct{} // closed at the end of the input

	mu      sync.Mutex
	waiting []byte        // the line that the next server gets before any other; nil: none
	resumed chan struct{} // closed at the end of the next failover
}

const (
	// tooSoon is how long a session must last for the terminal to go on with another server by itself.
	tooSoon = time.Second
	// patience is how long after the end of the input nothing must come for the terminal to end.
	patience = time.Second
)

// run sends what input has, and prints what comes, until the input or ctx ends.
func (t *terminal) run(ctx context.Context, input io.Reader) error {
	t.heard, t.wanted, t.inputOver = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
	t.resumed = make(chan struct{})
	// Which server is lost, the terminal shall know, and how long it lasted.
	d := rsp.Dialer{Endpoint: t.endpoint, Failover: rsp.FailoverManual, FailoverTimeout: -1, Notifications: true, OnFailover: t.sendWaiting}
	session, err := d.Connect(ctx, t.pool)
	if err != nil {
		return quietly(ctx, err)
	}
	t.session, t.began = session, time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	received := make(chan error, 1)
	go func() {
		defer cancel()
		received <- t.receive(ctx)
	}()
	err = t.sendLines(ctx, lines(ctx, input))
	if err == nil {
		t.linger(ctx)
	}
	cancel()
	return errors.Join(quietly(ctx, err), <-received)
}

// quietly drops an error that came by the end of ctx.
func quietly(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// input is a line, or why there are no more.
type input struct {
	line string
	err  error // io.EOF at the end
}

// maxLine is the longest line.
const maxLine = 64 << 10

// lines reads lines, newlines included, until ctx ends and one more has come: reading cannot be
// interrupted.
func lines(ctx context.Context, r io.Reader) <-chan input {
	c := make(chan input)
	go func() {
		s := bufio.NewScanner(r)
		s.Buffer(nil, maxLine)
		for s.Scan() {
			select {
			case c <- input{line: s.Text() + "\n"}:
			case <-ctx.Done():
				return
			}
		}
		err := s.Err()
		if err == nil {
			err = io.EOF
		}
		select {
		case c <- input{err: err}:
		case <-ctx.Done():
		}
	}()
	return c
}

// sendLines sends lines until there are no more, or ctx ends.
func (t *terminal) sendLines(ctx context.Context, lines <-chan input) error {
	for {
		select {
		case in := <-lines:
			if in.err == io.EOF {
				return nil
			}
			if in.err != nil {
				return fmt.Errorf("cannot read the next line: %w", in.err)
			}
			if err := t.send(ctx, in.line); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send sends a line. While there is no server, it asks for a failover, and the next server gets the line.
func (t *terminal) send(ctx context.Context, line string) error {
	for {
		t.mu.Lock()
		resumed := t.resumed // before the attempt, so that no failover after it is missed
		t.mu.Unlock()
		err := t.session.SendMsg(ctx, []byte(line), rsp.MsgInfo{})
		if !errors.Is(err, rsp.ErrFailover) {
			return err
		}
		t.mu.Lock()
		t.waiting = []byte(line)
		t.mu.Unlock()
		select {
		case t.wanted <- struct{}{}:
		default:
		}
		select {
		case <-resumed:
		case <-ctx.Done():
			return ctx.Err()
		}
		t.mu.Lock()
		sent := t.waiting == nil
		t.waiting = nil
		t.mu.Unlock()
		if sent {
			return nil
		}
	}
}

// sendWaiting is called when another server has taken over: one that ends the session at once gets the line, too.
func (t *terminal) sendWaiting(_ context.Context, f *rsp.FailoverEvent) error {
	t.mu.Lock()
	line := t.waiting
	t.waiting = nil
	t.mu.Unlock()
	if line == nil {
		return nil
	}
	_, err := f.Write(line)
	if err != nil { // for the next one, if this one is lost
		t.mu.Lock()
		t.waiting = line
		t.mu.Unlock()
	}
	return err
}

// linger waits for what is under way at the end of the input.
func (t *terminal) linger(ctx context.Context) {
	close(t.inputOver)
	for {
		select {
		case <-t.heard:
		case <-time.After(patience):
			return
		case <-ctx.Done():
			return
		}
	}
}

// receive prints what comes until ctx ends, or nobody wants more.
func (t *terminal) receive(ctx context.Context) error {
	defer t.session.Close()
	buf := make([]byte, maxLine)
	for {
		n, info, err := t.session.RecvMsg(ctx, buf)
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			// the rest of a message is lost with its server, which a notification tells next
		case err != nil:
			return quietly(ctx, err)
		case info.Notification == nil:
			t.screen.Answer("from PE $%08x> %s", uint32(info.PE), printable(buf[:n]))
			t.hear()
		default:
			t.screen.Notification(info.Notification)
			if info.Notification.Type != rsp.FailoverNecessary {
				continue
			}
			if over, err := t.failOver(ctx, info.Notification.PE); over || err != nil {
				return quietly(ctx, err)
			}
		}
	}
}

func (t *terminal) hear() {
	select {
	case t.heard <- struct{}{}:
	default:
	}
}

// failOver goes on with another server: at once, or when there is something to say to it. It reports true when
// there never will be.
func (t *terminal) failOver(ctx context.Context, lost rsp.PEID) (over bool, err error) {
	if time.Since(t.began) < tooSoon {
		t.screen.Printf("PE $%08x has ended the session. The next line goes to another one.", uint32(lost))
		select {
		case <-t.wanted:
		case <-t.inputOver:
			return true, nil
		case <-ctx.Done():
			return true, nil
		}
	}
	t.failovers++
	t.screen.Printf("FAILOVER #%d ...", t.failovers)
	if err := t.session.ForceFailover(ctx, false); err != nil {
		return false, err
	}
	t.began = time.Now()
	select {
	case <-t.wanted: // this was it: who has asked waits for resumed
	default:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.resumed)
	t.resumed = make(chan struct{})
	return false, nil
}

// printable is text for a terminal, whatever a server has sent: without the last newline, and with a dot
// for each byte or character that could do more than be seen.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r != utf8.RuneError && unicode.IsPrint(r) {
			return r
		}
		return '.'
	}, strings.TrimSuffix(string(b), "\n"))
}
