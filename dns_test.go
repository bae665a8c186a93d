package rsp_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// dns is a DNS server for package net's own resolver, over pipes, so that it works in a bubble.
type dns struct {
	mu     sync.Mutex
	hosts  map[string][]netip.Addr
	srvs   map[string][]dnsmessage.SRVResource
	broken bool // it answers SERVFAIL
	silent bool // it does not answer
	asked  int  // questions
	conns  []net.Conn
	closed bool
}

// newDNS returns a server for a test. Questions that it leaves open end with the test: package net would wait.
func newDNS(tb testing.TB) *dns {
	d := &dns{hosts: make(map[string][]netip.Addr), srvs: make(map[string][]dnsmessage.SRVResource)}
	tb.Cleanup(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.closed = true
		for _, conn := range d.conns {
			conn.Close()
		}
	})
	return d
}

// Package net makes a channel at its first lookup, which must not belong to a bubble.
func init() {
	resolver := (&dns{}).resolver()
	_, _, _ = resolver.LookupSRV(context.Background(), "asap", "tcp", "example.")
	_, _ = resolver.LookupNetIP(context.Background(), "ip", "example.")
}

func (d *dns) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.closed {
			return nil, net.ErrClosed
		}
		client, server := net.Pipe()
		d.conns = append(d.conns, server)
		go d.serve(server)
		return client, nil
	}}
}

// host sets the addresses of a name; without any, it does not exist.
func (d *dns) host(name string, addrs ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.hosts, name+".")
	for _, a := range addrs {
		d.hosts[name+"."] = append(d.hosts[name+"."], netip.MustParseAddr(a))
	}
}

// srv adds an SRV record.
func (d *dns) srv(name, target string, port uint16) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.srvs[name+"."] = append(d.srvs[name+"."], dnsmessage.SRVResource{Port: port, Target: dnsmessage.MustNewName(target + ".")})
}

func (d *dns) set(broken, silent bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken, d.silent = broken, silent
}

func (d *dns) questions() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

// serve answers what comes over a connection, each message behind its length (RFC 1035 section 4.2.2).
func (d *dns) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		request := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, request); err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(request); err != nil {
			return
		}
		if !d.answer(&m) {
			continue
		}
		response, err := m.Pack()
		if err != nil {
			panic(err)
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(response))), response...)); err != nil {
			return
		}
	}
}

// answer makes a request its answer, unless it is silent.
func (d *dns) answer(m *dnsmessage.Message) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	if d.broken {
		m.RCode = dnsmessage.RCodeServerFailure
		return true
	}
	q := m.Questions[0]
	name := strings.ToLower(q.Name.String())
	head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
	for _, srv := range d.srvs[name] {
		if q.Type == dnsmessage.TypeSRV {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &srv})
		}
	}
	for _, a := range d.hosts[name] {
		if q.Type == dnsmessage.TypeA && a.Is4() {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.As4()}})
		}
		if q.Type == dnsmessage.TypeAAAA && a.Is6() {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	if d.hosts[name] == nil && d.srvs[name] == nil {
		m.RCode = dnsmessage.RCodeNameError
	}
	return !d.silent
}
