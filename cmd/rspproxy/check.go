package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// newCheck returns the health check of the service at addr: "tcp" that it takes a connection, a path that GET
// answers it with 2xx or 3xx.
func newCheck(kind, addr string) func(ctx context.Context) error {
	if !strings.HasPrefix(kind, "/") {
		return func(ctx context.Context) error {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			if err != nil {
				return err
			}
			return conn.Close()
		}
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true}, // to take connections is part of being healthy
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+kind, nil)
		if err != nil {
			return err
		}
		req.Header.Set("User-Agent", "rspproxy")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		if err := resp.Body.Close(); err != nil {
			return err
		}
		if resp.StatusCode < 200 || resp.StatusCode >= 400 {
			return fmt.Errorf("GET %s: %s", kind, resp.Status)
		}
		return nil
	}
}
