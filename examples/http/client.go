package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rserpool/rsp"
)

// ask sends all requests and tells who answered them.
func ask(ctx context.Context, cfg rsp.Config, out *log.Logger) error {
	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	// No failover: an HTTP/1 response is bound to its connection. A session that went on by itself
	// with another server would wait there for the rest of an answer of which that server knows
	// nothing, and would take the good-bye of a server (Connection: close, idle timeout) for a
	// loss. So the connection ends with its server, http.Transport opens the next one, and
	// the pool gives it a server that lives.
	d := rsp.Dialer{Endpoint: e, Failover: rsp.FailoverNone}
	transport := &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: workers}
	defer transport.CloseIdleConnections()

	c := &client{http: http.Client{Transport: transport}, answers: make(map[string]int)}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { c.sent.Add(1) },
	})
	err = c.askAll(ctx)
	out.Printf("%d of %d requests answered; %d sent again", c.answered(), requests, c.sent.Load()-requests)
	for _, name := range slices.Sorted(maps.Keys(c.answers)) {
		out.Printf("%s answered %d", name, c.answers[name])
	}
	return err
}

type client struct {
	http http.Client
	sent atomic.Int64

	mu      sync.Mutex
	answers map[string]int // by the server's name
}

// askAll shares the requests among the workers.
func (c *client) askAll(ctx context.Context) error {
	numbers := make(chan int)
	go func() {
		defer close(numbers)
		for n := range requests {
			numbers <- n
		}
	}()
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			for n := range numbers {
				errs[w] = errors.Join(errs[w], c.ask(ctx, n))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// ask gets the answer to one request.
//
// http.Transport itself sends a request again whose connection broke before the answer, if a server
// may see it twice: GET, HEAD, OPTIONS, TRACE, and what has an Idempotency-Key, by which servers
// can tell. It does so only on connections that have served before, since one that breaks at once is
// mostly the fault of the request. Here it may as well be a server that died in that moment:
// hence the second attempt.
func (c *client) ask(ctx context.Context, n int) error {
	var errs []error
	for range 2 {
		req, err := request(ctx, n)
		if err != nil {
			return err
		}
		if err = c.do(req); err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// request makes the request number n: a GET, or every third time a POST with a key.
func request(ctx context.Context, n int) (*http.Request, error) {
	url := fmt.Sprintf("http://%s/%d", pool, n)
	if n%3 != 0 {
		return http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("an order"))
	if err == nil {
		req.Header.Set("Idempotency-Key", fmt.Sprint(n))
	}
	return req, err
}

func (c *client) do(req *http.Request) error {
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	name, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", req.Method, req.URL, resp.Status)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[string(name)]++
	return nil
}

func (c *client) answered() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range c.answers {
		n += of
	}
	return n
}
