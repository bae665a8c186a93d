package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/rserpool/rsp"
)

// serve runs an http.Server on a pool element and returns a client for http://WebPool/. When the test
// ends, Shutdown must let all go in good order.
func serve(t *testing.T, server *http.Server) *http.Client {
	t.Helper()
	registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: network})
	if err != nil {
		t.Fatal(err)
	}
	if err := registrar.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registrar.Shutdown(context.Background()) })
	e, err := rsp.NewEndpoint(&rsp.Config{Registrars: registrar.Addrs(), Network: network})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	listener, err := e.Listen(t.Context(), pool, rsp.PE{})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	d := rsp.Dialer{Endpoint: e, Failover: rsp.FailoverNone}
	transport := &http.Transport{DialContext: d.DialContext}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != http.ErrServerClosed {
			t.Errorf("Serve: %v, want http.ErrServerClosed", err)
		}
	})
	return &http.Client{Transport: transport}
}

func get(client *http.Client) (string, error) {
	resp, err := client.Get("http://" + pool + "/")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// http.Server.Shutdown closes the listener, which takes the server out of its pool, and lets requests
// under way come to their end.
func TestShutdown(t *testing.T) {
	begun, goOn := make(chan bool), make(chan bool)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-goOn
		io.WriteString(w, "late")
	})}
	client := serve(t, server)
	answered := make(chan string)
	go func() {
		body, err := get(client)
		answered <- body
		if err != nil {
			t.Error(err)
		}
	}()
	<-begun
	server.RegisterOnShutdown(sync.OnceFunc(func() { close(goOn) }))
	go server.Shutdown(context.Background())
	if body := <-answered; body != "late" {
		t.Errorf("got %q", body)
	}
	if _, err := get(client); !errors.Is(err, rsp.ErrUnknownPool) {
		t.Errorf("the next request: %v, want ErrUnknownPool", err)
	}
}

// A client that gives up is noticed by the handler.
func TestCancel(t *testing.T) {
	begun, gone := make(chan bool), make(chan bool)
	client := serve(t, &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(gone)
	})})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+pool+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-begun
		cancel()
	}()
	if _, err := client.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("Do: %v, want context.Canceled", err)
	}
	<-gone
}

// A connection that the server has closed meanwhile is not an error, and neither is one whose
// closing ends the response.
func TestServerCloses(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 10_000)
	client := serve(t, &http.Server{
		IdleTimeout: time.Millisecond,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				sent, _ := io.ReadAll(r.Body)
				w.Write(sent)
				return
			}
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			rw.WriteString("HTTP/1.0 200 OK\r\n\r\n")
			rw.Write(body)
			rw.Flush()
		}),
	})
	for range 5 {
		if got, err := get(client); got != string(body) || err != nil {
			t.Errorf("%d bytes, %v; want %d", len(got), err, len(body))
		}
		resp, err := client.Post("http://"+pool+"/", "text/plain", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !bytes.Equal(got, body) || err != nil {
			t.Errorf("%d bytes, %v; want %d", len(got), err, len(body))
		}
	}
}

// The server's deadlines hold, and what they give is a timeout for net/http.
func TestReadTimeout(t *testing.T) {
	read := make(chan error, 1)
	client := serve(t, &http.Server{
		ReadTimeout: 20 * time.Millisecond,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			read <- err
			w.WriteHeader(http.StatusRequestTimeout)
		}),
	})
	body, writer := io.Pipe()
	defer writer.Close()
	go io.WriteString(writer, "a part")
	resp, err := client.Post("http://"+pool+"/", "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Error(resp.Status)
	}
	if err := <-read; !isTimeout(err) {
		t.Errorf("the handler read %v, want a timeout", err)
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
