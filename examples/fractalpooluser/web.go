package main

import (
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rserpool/rsp"
)

//go:embed page.html
var pageHTML []byte

// page is the live page: a document, and a stream of what happens (server-sent events).
type page struct {
	caption  string
	history  *history
	listener net.Listener
	server   http.Server
	stop     context.CancelFunc
	serving  sync.WaitGroup
	visit    sync.Once
	visited  chan struct{} // closed when a browser follows the events
}

func startPage(address, caption string, h *history) (*page, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &page{caption: caption, history: h, listener: listener, stop: stop, visited: make(chan struct{})}
	p.server = http.Server{
		Handler:           p.handler(),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 5 * time.Second,
	}
	p.serving.Go(func() { _ = p.server.Serve(listener) }) // it ends with close
	return p, nil
}

func (p *page) addr() net.Addr { return p.listener.Addr() }

func (p *page) close() {
	p.stop()
	_ = p.server.Close() // only the pages that are open notice
	p.serving.Wait()
}

// awaitVisitor waits until a browser follows the events, and reports false if ctx ends before.
func (p *page) awaitVisitor(ctx context.Context) bool {
	select {
	case <-p.visited:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *page) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'self' 'unsafe-inline' data:")
		_, _ = w.Write(pageHTML) // a browser that has gone needs no page
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		p.visit.Do(func() { close(p.visited) })
		_ = p.follow(w, r) // the browser has gone, or the program ends
	})
	return mux
}

// follow sends all events of the present picture, then those that come, several in one message.
func (p *page) follow(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flusher, ok := w.(http.Flusher)
	if !ok {
		return errors.New("no streaming")
	}
	flusher.Flush()
	const most = 256 // events in one message
	rd := reader{history: p.history}
	for {
		events, err := rd.read(r.Context())
		if err != nil {
			return err
		}
		for len(events) > 0 {
			n := min(most, len(events))
			b, err := json.Marshal(p.messages(events[:n]))
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "data: %s\n\n", b); err != nil {
				return err
			}
			flusher.Flush()
			events = events[n:]
		}
	}
}

// message is an event as the page gets it.
type message struct {
	Kind    string     `json:"kind"`
	At      float64    `json:"at"` // ms
	Caption string     `json:"caption,omitempty"`
	Title   string     `json:"title,omitempty"`
	Width   uint32     `json:"width,omitempty"`
	Height  uint32     `json:"height,omitempty"`
	Most    uint32     `json:"most,omitempty"` // max iterations
	Tiles   []pageTile `json:"tiles,omitempty"`
	Tile    int        `json:"tile"`
	PE      string     `json:"pe,omitempty"`
	Lost    string     `json:"lost,omitempty"`
	Took    float64    `json:"took"` // ms
	Cookie  bool       `json:"cookie,omitempty"`
	First   int        `json:"first"`
	Values  []byte     `json:"values,omitempty"` // 4 bytes each, in base64
	Text    string     `json:"text,omitempty"`
}

type pageTile struct {
	X      int `json:"x"`
	Y      int `json:"y"`
	Width  int `json:"width"`
	Height int `json:"height"`
}

func (p *page) messages(events []event) []message {
	messages := make([]message, len(events))
	for i := range events {
		messages[i] = p.message(&events[i])
	}
	return messages
}

func (p *page) message(e *event) message {
	m := message{
		Kind: e.kind, At: milliseconds(e.at), Tile: e.tile, PE: p.name(e.pe), Lost: p.name(e.lost),
		Took: milliseconds(e.took), Cookie: e.cookie, First: e.first, Text: e.text,
	}
	switch e.kind {
	case eventPicture:
		m.Caption, m.Title = p.caption, e.picture.title
		m.Width, m.Height, m.Most = e.picture.parameter.Width, e.picture.parameter.Height, e.picture.parameter.MaxIterations
		for _, t := range e.picture.tiles {
			m.Tiles = append(m.Tiles, pageTile{t.bounds.Min.X, t.bounds.Min.Y, t.bounds.Dx(), t.bounds.Dy()})
		}
	case eventPoints:
		for _, value := range e.picture.points(e.picture.tiles[e.tile], e.first, e.points) {
			m.Values = binary.BigEndian.AppendUint32(m.Values, value)
		}
	}
	return m
}

func (p *page) name(id rsp.PEID) string {
	if id == 0 {
		return ""
	}
	return p.history.name(id)
}
