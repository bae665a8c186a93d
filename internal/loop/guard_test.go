package loop_test

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rserpool/rsp/internal/effect"
	"github.com/rserpool/rsp/internal/loop"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/simnet"
	"github.com/rserpool/rsp/internal/transport"
)

// guardedEngine is an engine that is told of refusals.
type guardedEngine struct{ engine }

func (e *guardedEngine) HandleRefused(_ time.Time, _ effect.AssocID, _ protocol.PPID, data []byte) {
	e.calls = append(e.calls, "refused "+string(data))
}

// A guard decides about each message, in order, and holds up nobody but who has sent it.
func TestGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(simnet.Config{})
		host, client, other := net.Host("10.0.0.1"), net.Host("10.0.0.2"), net.Host("10.0.0.3")
		hold := make(chan struct{})
		e := &guardedEngine{}
		l := loop.New(e, loop.Config{
			Networks: []transport.Network{host},
			Logger:   slog.New(slog.DiscardHandler),
			NewGuard: func(service protocol.PPID, peer protocol.TransportAddr, c *x509.Certificate) loop.Guard {
				if service != protocol.PPIDASAP || peer.Addrs[0] == host.Addrs()[0] || c != nil {
					t.Errorf("guard for %v at %v with %v", service, peer, c)
				}
				return func(ctx context.Context, ppid protocol.PPID, data []byte) error {
					switch string(data) {
					case "wait":
						select {
						case <-hold:
						case <-ctx.Done():
						}
					case "bad":
						return errors.New("no")
					}
					return nil
				}
			},
		})
		defer l.Abort()
		ln, err := host.Listen(t.Context(), at(host), transport.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l.Serve(ln, protocol.PPIDASAP)
		send := func(from *simnet.Host, messages ...string) transport.Assoc {
			a, err := from.Dial(t.Context(), at(host), transport.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				if err := a.Send([]byte(m), transport.SendInfo{PPID: protocol.PPIDASAP}); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			return a
		}
		want := func(calls ...string) {
			t.Helper()
			l.Do(func(_ time.Time, e *guardedEngine) {
				if !slices.Equal(e.calls, calls) {
					t.Errorf("calls %q, want %q", e.calls, calls)
				}
				e.calls = nil
			})
		}
		defer send(client, "wait", "bad", "good").Abort()
		want("up")
		defer send(other, "good").Abort()
		want("up", "message 11 good")
		close(hold)
		synctest.Wait()
		want("message 11 wait", "refused bad", "message 11 good")
	})
}

// The end of the loop ends guards that wait.
func TestGuardEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(simnet.Config{})
		host, client := net.Host("10.0.0.1"), net.Host("10.0.0.2")
		l := loop.New(&guardedEngine{}, loop.Config{
			Networks: []transport.Network{host},
			Logger:   slog.New(slog.DiscardHandler),
			NewGuard: func(protocol.PPID, protocol.TransportAddr, *x509.Certificate) loop.Guard {
				return func(ctx context.Context, _ protocol.PPID, _ []byte) error {
					<-ctx.Done()
					return ctx.Err()
				}
			},
		})
		ln, err := host.Listen(t.Context(), at(host), transport.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l.Serve(ln, protocol.PPIDASAP)
		a, err := client.Dial(t.Context(), at(host), transport.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Abort()
		if err := a.Send([]byte("x"), transport.SendInfo{PPID: protocol.PPIDASAP}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}
