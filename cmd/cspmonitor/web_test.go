package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rserpool/rsp/internal/csp"
	"github.com/rserpool/rsp/internal/hsdump"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/wire"
)

// testElement is a pool element of a dump.
func testElement(id protocol.PEID, home protocol.RegistrarID, load float64) protocol.PoolElement {
	return protocol.PoolElement{
		ID: id, Home: home, Policy: protocol.Policy{Type: protocol.LeastUsed, Load: protocol.Fraction(load)},
		User: protocol.TransportAddr{Protocol: protocol.SCTP, Port: 7, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}},
	}
}

// reports are components that have reported just now.
func reports(list ...csp.Report) []component {
	c := newComponents(time.Minute)
	for _, r := range list {
		c.handle(now, r.AppendTo(nil))
	}
	return c.list(now)
}

// userWith is a pool user with sessions.
func userWith(id uint64, elements ...protocol.PEID) csp.Report {
	r := csp.Report{Sender: csp.NewComponentID(csp.PoolUser, id), Location: "host: 10.0.0.9", Status: "computing", Uptime: time.Minute, Workload: csp.NoWorkload}
	for _, pe := range elements {
		r.Associations = append(r.Associations, csp.Association{Receiver: csp.NewComponentID(csp.PoolElement, uint64(pe)), Duration: time.Second})
	}
	return r
}

// Reports and handlespace are joined by the identifiers of pool elements.
func TestView(t *testing.T) {
	busy := csp.Report{Sender: 2<<56 | 0xa, Location: "host: 10.0.0.1:7", Status: "1 Session", Workload: csp.WorkloadOf(1)}
	strange := csp.Report{Sender: 2<<56 | 0xc, Status: "0 Sessions", Workload: csp.NoWorkload,
		Associations: []csp.Association{{Receiver: 1<<56 | 1}}}
	reg := csp.Report{Sender: 1<<56 | 1, Location: "host: 10.0.0.1:3863", Status: "2[2] PEs in 1 Pools, 1 Peers", Workload: csp.NoWorkload}
	p := poolsState{
		dump: &hsdump.Dump{
			Registrar: 1, Peers: []wire.ServerInformation{{ID: 2, Transport: testElement(0, 0, 0).User}},
			Pools: []hsdump.Pool{{Handle: "Echo\x1bPool", Elements: []protocol.PoolElement{testElement(0xa, 1, 0.5), testElement(0xb, 2, 0)}}},
		},
		when: now.Add(-2 * time.Second), from: "10.0.0.1:9901", err: errors.New("refused"),
	}
	v := newView(now, reports(busy, strange, reg, userWith(9, 0xa)), p, newHistory())
	load := func(f float64) *float64 { return &f }
	none := []sessionView{}
	want := &view{
		Time:   "2026-11-21T23:07:36Z",
		Source: sourceView{"10.0.0.1:9901", 2, "refused"},
		Registrars: []partView{
			{ID: "00000001", Reports: true, Location: "host: 10.0.0.1:3863", Status: "2[2] PEs in 1 Pools, 1 Peers", Sessions: none},
			{ID: "00000002", Location: "peers' port sctp 10.0.0.1:7", Sessions: none},
		},
		Pools: []poolView{
			{"Echo?Pool", "LeastUsed", []elementView{
				{partView{ID: "0000000a", Reports: true, Location: "host: 10.0.0.1:7", Status: "1 Session", Sessions: none}, "00000001", load(1)},
				{partView{ID: "0000000b", Location: "sctp 10.0.0.1:7", Sessions: none}, "00000002", load(0)},
			}},
			{"", "", []elementView{{partView{ID: "0000000c", Reports: true, Status: "0 Sessions", Sessions: none}, "00000001", nil}}},
		},
		Users:   []partView{{ID: "00000009", Reports: true, Location: "host: 10.0.0.9", Status: "computing", Up: 60, Sessions: []sessionView{{"0000000a", 1}}}},
		History: []happening{},
	}
	if diff := cmp.Diff(want, v, cmp.AllowUnexported(elementView{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A component whose reports are missing is shown so before it is removed.
func TestSilence(t *testing.T) {
	for while, want := range map[time.Duration]float64{3 * time.Second: 0, 5 * time.Second: 5} {
		if p := newPart(now.Add(while), component{&element, now}); p.Silent != want {
			t.Errorf("silent for %v s after %v", p.Silent, while)
		}
	}
}

// kinds are what has happened, oldest first.
func (h *history) kinds() (list []string) {
	for _, e := range h.happenings {
		list = append(list, e.Kind+": "+e.Text)
	}
	return list
}

func TestHistory(t *testing.T) {
	h := newHistory()
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	dump := func(home protocol.RegistrarID, ids ...protocol.PEID) *hsdump.Dump {
		pool := hsdump.Pool{Handle: "EchoPool"}
		for _, id := range ids {
			pool.Elements = append(pool.Elements, testElement(id, home, 0))
		}
		return &hsdump.Dump{Pools: []hsdump.Pool{pool}}
	}
	first := dump(1, 0xa, 0xb)
	h.update(at(0), reports(userWith(9, 0xa)), first)
	h.update(at(1), reports(userWith(9, 0xa)), first) // nothing
	h.update(at(2), reports(userWith(9)), dump(2, 0xb, 0xc))
	h.update(at(3), reports(userWith(9, 0xb)), nil)
	h.update(at(4), reports(userWith(9, 0xc, 0xd)), nil)
	h.update(at(5), reports(userWith(9, 0xc)), nil)
	h.update(at(60), reports(userWith(9, 0xc, 0xa)), nil) // too late for a failover
	h.update(at(61), nil, nil)
	if diff := cmp.Diff([]string{
		"component: PU $00000009 reports, from host: 10.0.0.9",
		"session: PU $00000009 has a session with PE $0000000a",
		"session: PU $00000009 has left PE $0000000a",
		"home: PE $0000000b has the home PR $00000002 after PR $00000001",
		"pool: PE $0000000c has joined EchoPool",
		"pool: PE $0000000a has left EchoPool",
		"failover: PU $00000009 goes on with PE $0000000b after PE $0000000a",
		"session: PU $00000009 has left PE $0000000b",
		"failover: PU $00000009 goes on with PE $0000000c after PE $0000000b",
		"session: PU $00000009 has a session with PE $0000000d",
		"session: PU $00000009 has left PE $0000000d",
		"session: PU $00000009 has a session with PE $0000000a",
		"component: PU $00000009 reports no more",
	}, h.kinds()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range 2 * maxHappenings {
		h.update(at(100), reports(userWith(uint64(i+1))), nil)
	}
	if l := h.latest(); len(l) != maxHappenings || l[0].Number <= l[1].Number {
		t.Errorf("%d are kept, the first are %v", len(l), l[:2])
	}
}

// startWeb serves a page that shows what the test says.
func startWeb(t *testing.T) *web {
	w, err := newWeb("127.0.0.1:0", &pools{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- w.serve() }()
	t.Cleanup(func() {
		if err := errors.Join(w.close(), <-ended); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return w
}

func (w *web) mustUpdate(t *testing.T, list ...csp.Report) {
	t.Helper()
	if err := w.update(now, reports(list...)); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, ctx context.Context, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// The page comes whole, and each update as an event.
func TestWeb(t *testing.T) {
	w := startWeb(t)
	w.mustUpdate(t, registrar)
	body, err := io.ReadAll(get(t, t.Context(), w.url()).Body)
	if err != nil || !strings.Contains(string(body), "EventSource") {
		t.Errorf("%v, page %q", err, body)
	}
	for _, outside := range []string{"http:", "https:", "src=", "@import", "url("} {
		if i := strings.ReplaceAll(string(body), "http://www.w3.org/2000/svg", ""); strings.Contains(i, outside) {
			t.Errorf("the page has %q: it must need nothing from outside", outside)
		}
	}
	if resp := get(t, t.Context(), w.url()+"nothing"); resp.StatusCode != http.StatusNotFound {
		t.Error(resp.Status)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	events := bufio.NewScanner(get(t, ctx, w.url()+"events").Body)
	for _, want := range []int{0, 1} {
		w.mustUpdate(t, []csp.Report{registrar, user}[:want+1]...)
		for {
			if !events.Scan() {
				t.Fatal(events.Err())
			}
			text, isData := strings.CutPrefix(events.Text(), "data: ")
			if !isData {
				continue
			}
			var v view
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Fatal(err)
			}
			if len(v.Registrars) == 1 && len(v.Users) == want {
				break
			}
		}
	}
}

func TestTooManyPages(t *testing.T) {
	w := startWeb(t)
	w.readers = maxReaders
	if resp := get(t, t.Context(), w.url()+"events"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Error(resp.Status)
	}
}
