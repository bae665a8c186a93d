// Cspmonitor shows the components of Reliable Server Pooling that report their status to it: registrars, pool elements
// and pool users, of this library and of RSPLIB.
//
// Its options are those of RSPLIB's cspmonitor, see -help and README.md. It ends at SIGINT or SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout, isTerminal(os.Stdout))
	switch {
	case errors.Is(err, flag.ErrHelp): // given
	case err != nil:
		fmt.Fprintln(os.Stderr, "cspmonitor:", err)
		os.Exit(1)
	}
}

// isTerminal reports whether a file is a device that shows characters, as opposed to a file or a pipe.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// run is the program: it shows what is reported until ctx ends.
func run(ctx context.Context, args []string, stdout io.Writer, terminal bool) error {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	local, err := net.ResolveUDPAddr("udp", o.localAddress)
	if err != nil {
		return fmt.Errorf("-localaddress: %w", err)
	}
	conn, err := net.ListenUDP("udp", local)
	if err != nil {
		return fmt.Errorf("cannot take reports: %w", err)
	}
	c := newComponents(o.purgeInterval)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer conn.Close()
	wg.Go(func() { receive(conn, c) })
	s := &screen{options: o, terminal: terminal}
	if o.web == "" {
		return show(ctx, stdout, s, c, nil)
	}
	return showWeb(ctx, stdout, s, c)
}

// showWeb is show with the page.
func showWeb(ctx context.Context, stdout io.Writer, s *screen, c *components) error {
	p := &pools{addresses: s.registrars, interval: s.updateInterval}
	w, err := newWeb(s.web, p)
	if err != nil {
		return err
	}
	s.note = "Web view: " + w.url()
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { p.watch(ctx) })
	wg.Go(func() {
		if err := w.serve(); err != nil {
			cancel(fmt.Errorf("web view: %w", err))
		}
	})
	err = show(ctx, stdout, s, c, w)
	cancel(nil)
	err = errors.Join(err, w.close())
	wg.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	return err
}

// receive takes reports in until conn is closed.
func receive(conn *net.UDPConn, c *components) {
	buf := make([]byte, 1<<16)
	for {
		n, err := conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			c.handle(time.Now(), buf[:n])
		}
	}
}

// show draws the screen, and updates the page if there is one, at once and at each update.
func show(ctx context.Context, stdout io.Writer, s *screen, c *components, w *web) error {
	ticker := time.NewTicker(s.updateInterval)
	defer ticker.Stop()
	for {
		now := time.Now()
		all := c.list(now)
		if w != nil {
			if err := w.update(now, all); err != nil {
				return err
			}
		}
		if _, err := stdout.Write(s.draw(now, all)); err != nil {
			return err // who reads the pipe has gone
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}
