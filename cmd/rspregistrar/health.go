package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/rserpool/rsp"
)

// health tells orchestrators and monitors, over HTTP, whether the program lives, whether its registrar serves,
// and what it has done.
type health struct {
	server    http.Server
	ended     chan error
	registrar atomic.Pointer[rsp.Registrar] // nil: there is none, or it is ending
}

// startHealth opens the address at once, so that one that cannot be had is known.
func startHealth(address string, log *slog.Logger) (*health, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	h := &health{ended: make(chan error, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "alive\n") })
	mux.HandleFunc("GET /readyz", h.ready)
	mux.HandleFunc("GET /metrics", h.metrics)
	h.server.Handler = mux
	h.server.ReadTimeout, h.server.WriteTimeout = 5*time.Second, 5*time.Second
	h.server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	log.Info("health is told", "address", ln.Addr())
	go func() { h.ended <- h.server.Serve(ln) }()
	return h, nil
}

// close ends the answers.
func (h *health) close() error {
	err := h.server.Close()
	if e := <-h.ended; e != http.ErrServerClosed {
		return e
	}
	return err
}

func (h *health) ready(w http.ResponseWriter, _ *http.Request) {
	switch r := h.registrar.Load(); {
	case r == nil:
		http.Error(w, "no registrar", http.StatusServiceUnavailable)
	case !r.Serving():
		http.Error(w, "looking for the handlespace of a peer", http.StatusServiceUnavailable)
	default:
		io.WriteString(w, "serving\n")
	}
}

// metrics writes the registrar's Stats in Prometheus' text format: what it has as gauges, what it has done as
// counters. Averages are the monitor's to make.
func (h *health) metrics(w http.ResponseWriter, _ *http.Request) {
	r := h.registrar.Load()
	if r == nil {
		http.Error(w, "no registrar", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	for field, value := range reflect.ValueOf(r.Stats()).Fields() {
		name := "rsp_registrar_" + snake(field.Name)
		switch value.Kind() {
		case reflect.Int:
			fmt.Fprintf(w, "# TYPE %s gauge\n%s %d\n", name, name, value.Int())
		case reflect.Uint64:
			fmt.Fprintf(w, "# TYPE %s_total counter\n%s_total %d\n", name, name, value.Uint())
		}
	}
}

// snake is a field's name as monitors write it: WrongPPIDs is wrong_ppids.
func snake(name string) string {
	var b strings.Builder
	letters := []rune(name)
	for i, c := range letters {
		if i > 0 && unicode.IsUpper(c) && unicode.IsLower(letters[i-1]) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}
