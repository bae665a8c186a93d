package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

//go:embed page.html
var page []byte

// web serves the page and, as server-sent events, what it shows.
type web struct {
	server   http.Server
	listener net.Listener
	pools    *pools
	history  *history

	mu      sync.Mutex
	latest  []byte        // a view as JSON; nil: none yet
	changed chan struct{} // closed when latest changes
	readers int
}

const (
	// maxReaders is how many pages may be open at a time.
	maxReaders = 64
	// writeTimeout bounds the time that a page may take for one event.
	writeTimeout = 10 * time.Second
)

// newWeb listens at an address; serve answers there until close.
func newWeb(address string, p *pools) (*web, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("-web: %w", err)
	}
	w := &web{listener: ln, pools: p, history: newHistory(), changed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", servePage)
	mux.HandleFunc("GET /events", w.serveEvents)
	w.server = http.Server{Handler: mux, ReadHeaderTimeout: writeTimeout}
	return w, nil
}

// serve returns after close, or with the error that ends it before.
func (w *web) serve() error {
	if err := w.server.Serve(w.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// close ends all connections.
func (w *web) close() error { return w.server.Close() }

// url is where the page is.
func (w *web) url() string { return fmt.Sprintf("http://%v/", w.listener.Addr()) }

// update makes the pages show what there is now.
func (w *web) update(now time.Time, all []component) error {
	p := w.pools.get()
	w.history.update(now, all, p.dump)
	text, err := json.Marshal(newView(now, all, p, w.history))
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.latest = text
	close(w.changed)
	w.changed = make(chan struct{})
	return nil
}

// servePage serves the page, which needs nothing else from anywhere.
func servePage(rw http.ResponseWriter, _ *http.Request) {
	h := rw.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'")
	h.Set("Cache-Control", "no-cache")
	rw.Write(page)
}

// serveEvents sends each view until the page is closed.
func (w *web) serveEvents(rw http.ResponseWriter, r *http.Request) {
	if !w.enter() {
		http.Error(rw, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer w.leave()
	rw.Header().Set("Content-Type", "text/event-stream")
	rw.Header().Set("Cache-Control", "no-cache")
	control := http.NewResponseController(rw)
	for {
		w.mu.Lock()
		latest, changed := w.latest, w.changed
		w.mu.Unlock()
		if latest != nil {
			err := control.SetWriteDeadline(time.Now().Add(writeTimeout))
			if err == nil {
				_, err = fmt.Fprintf(rw, "data: %s\n\n", latest)
			}
			if err != nil || control.Flush() != nil {
				return // the page is gone
			}
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

func (w *web) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.readers == maxReaders {
		return false
	}
	w.readers++
	return true
}

func (w *web) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readers--
}
