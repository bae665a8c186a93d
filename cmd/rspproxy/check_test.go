package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/nowhere", http.StatusFound)
		case "/ill":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/slow":
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	addr := server.Listener.Addr().String()
	check := func(kind, addr string, timeout time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		return newCheck(kind, addr)(ctx)
	}
	for _, kind := range []string{"tcp", "/health", "/moved"} {
		if err := check(kind, addr, time.Minute); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if err := check("/ill", addr, time.Minute); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("/ill: %v", err)
	}
	if err := check("/slow", addr, 20*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("/slow: %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := ln.Addr().String()
	ln.Close()
	for _, kind := range []string{"tcp", "/health"} {
		if err := check(kind, nobody, time.Minute); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s of nobody: %v", kind, err)
		}
	}
}
