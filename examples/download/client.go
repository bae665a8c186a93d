package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/rserpool/rsp"
)

// download gets a file from a pool by one session. http.Transport could not: it binds a
// response to a connection, and here it goes on with another server's response.
type download struct {
	to       io.Writer
	have     int64 // bytes written to it
	progress func(*rsp.Socket)
	out      *log.Logger

	ctx     context.Context
	request *http.Request
	session *rsp.Socket
}

// run gets the file, and returns the checksum that the last server tells.
func (d *download) run(ctx context.Context, e *rsp.Endpoint, url string) (checksum string, err error) {
	d.ctx = ctx
	if d.request, err = http.NewRequestWithContext(ctx, http.MethodGet, url, nil); err != nil {
		return "", err
	}
	// Who asks for a range may get a part of it (RFC 9110 section 15.3.7): the servers know
	// where to begin, and Content-Range tells.
	d.request.Header.Set("Range", "bytes=0-")
	dialer := rsp.Dialer{Endpoint: e, OnFailover: d.onFailover, Notifications: true}
	if d.session, err = dialer.Connect(ctx, rsp.PoolHandle(d.request.URL.Host)); err != nil {
		return "", err
	}
	defer d.session.Close()
	if err := d.request.Write(d.session); err != nil {
		return "", err
	}
	for {
		checksum, err = d.receive()
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			return checksum, err
		}
		// That server died, and the next one's response follows.
	}
}

// onFailover sends the same request to the next server, which has got the cookie by then.
func (d *download) onFailover(_ context.Context, f *rsp.FailoverEvent) error {
	d.out.Printf("failover in %.1f ms, cookie of %d bytes shown", float64(time.Since(f.LostAt))/1e6, len(f.Cookie))
	return d.request.Write(f)
}

// Read reads what one server sends. It gives io.EOF where the next one begins.
func (d *download) Read(b []byte) (int, error) {
	for {
		n, info, err := d.session.RecvMsg(d.ctx, b)
		switch {
		case err != nil:
			return 0, err
		case info.Notification == nil:
			return n, nil
		case info.Notification.Type == rsp.FailoverComplete:
			return 0, io.EOF
		}
	}
}

// receive takes one server's response; io.ErrUnexpectedEOF if it does not come to its end.
func (d *download) receive() (checksum string, err error) {
	resp, err := http.ReadResponse(bufio.NewReader(d), d.request)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var first int64
	if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &first); err != nil {
		return "", fmt.Errorf("%s without a range: %w", resp.Status, err)
	}
	twice := d.have - first
	d.out.Printf("%s sends from byte %d on; the client has %d of them already", resp.Header.Get("Server"), first, twice)
	if twice < 0 {
		return "", fmt.Errorf("%d bytes are missing", -twice)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, twice); err != nil {
		return "", err
	}
	if err := d.save(resp.Body); err != nil {
		return "", err
	}
	return resp.Trailer.Get("Checksum"), nil
}

// save writes what is new.
func (d *download) save(body io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := body.Read(buf)
		if _, err := d.to.Write(buf[:n]); err != nil {
			return err
		}
		d.have += int64(n)
		d.progress(d.session)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
