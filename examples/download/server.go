package main

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"net"
	"net/http"
	"sync"

	"github.com/rserpool/rsp"
)

// servers are the pool elements. Each has an Endpoint of its own, as if it were a program of its
// own, so that it can die alone.
type servers struct {
	content   []byte // each has the same file
	endpoints map[rsp.PEID]*rsp.Endpoint
	serving   sync.WaitGroup
	killed    int
}

func (s *servers) start(ctx context.Context, cfg rsp.Config, name string) error {
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		return err
	}
	listener, err := e.Listen(ctx, pool, rsp.PE{})
	if err != nil {
		e.Close()
		return err
	}
	s.endpoints[listener.LocalPE()] = e
	server := &http.Server{
		Handler: &handler{name: name, content: s.content},
		// A handler needs the session for its cookies.
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, sessionKey{}, conn)
		},
	}
	s.serving.Go(func() { server.Serve(listener) }) // until its Endpoint ends
	return nil
}

type sessionKey struct{}

func (s *servers) kill(id rsp.PEID) {
	s.endpoints[id].Abort()
	s.killed++
}

func (s *servers) close() {
	for _, e := range s.endpoints {
		e.Close()
	}
	s.serving.Wait()
}

// handler sends the file and tells at its end, in a trailer, the checksum of the whole.
type handler struct {
	name    string
	content []byte
}

// chunk is how many bytes are sent between two cookies: what a client may get twice.
const chunk = 256 << 10

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	session := r.Context().Value(sessionKey{}).(*rsp.Socket)
	p := progress{sum: sha256.New()}
	// The client has sent its request again, after the cookie. One session is one download here: the cookie
	// would have to say whose it is otherwise.
	if cookie := session.CookieEcho(); cookie != nil {
		if err := p.decode(cookie, len(h.content)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	w.Header().Set("Server", h.name)
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", p.offset, len(h.content)-1, len(h.content)))
	w.Header().Set("Trailer", "Checksum")
	w.WriteHeader(http.StatusPartialContent)
	if err := h.send(w, session, &p); err != nil {
		panic(http.ErrAbortHandler) // the client is lost: no end for a file that has not ended
	}
	w.Header().Set("Checksum", fmt.Sprintf("%x", p.sum.Sum(nil)))
}

// send sends what is left of the file. A cookie follows what it tells of, on the same ordered
// stream: who has it has that much of the file too, so that nothing is ever missing.
func (h *handler) send(w http.ResponseWriter, session *rsp.Socket, p *progress) error {
	for {
		rest := h.content[p.offset:]
		part := rest[:min(chunk, len(rest))]
		if _, err := w.Write(part); err != nil {
			return err
		}
		p.sum.Write(part) // never fails
		p.offset += len(part)
		if p.offset == len(h.content) {
			return nil
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
		if err := session.SendCookie(context.Background(), p.encode()); err != nil {
			return err
		}
	}
}

// progress is the state of a download, and all of it.
type progress struct {
	offset int       // how much of the file has been sent
	sum    hash.Hash // of that
}

func (p *progress) encode() []byte {
	cookie := binary.BigEndian.AppendUint64(nil, uint64(p.offset))
	cookie, err := p.sum.(encoding.BinaryAppender).AppendBinary(cookie)
	if err != nil {
		panic(err) // SHA-256 has no such error
	}
	return cookie
}

// decode takes a cookie as what it is: bytes from a client, who may have changed them.
func (p *progress) decode(cookie []byte, size int) error {
	if len(cookie) < 8 {
		return errors.New("the cookie is too short")
	}
	offset := binary.BigEndian.Uint64(cookie)
	if offset >= uint64(size) {
		return errors.New("the cookie is of a longer file")
	}
	p.offset = int(offset)
	return p.sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(cookie[8:])
}
