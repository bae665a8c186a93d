package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// finished is the history of a small picture that has lost a server.
func finished(t *testing.T) *history {
	var h *history
	synctest.Test(t, func(t *testing.T) {
		d, c := newDemonstration(t)
		for _, name := range []string{"Anna", "Berta"} {
			if err := d.startServer(t.Context(), d.pool, name, 100*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		d.killed = 1 // one more, at two thirds
		stop := d.startDisturbing(t.Context())
		p := smallPicture()
		p.Width, p.Height = 150, 100
		if _, err := c.compute(t.Context(), "<a picture>", p); err != nil {
			t.Fatal(err)
		}
		stop()
		h = d.history
	})
	h.grown = make(chan struct{}) // that of the bubble stays there
	return h
}

// A page that is opened late gets the whole picture.
func TestEvents(t *testing.T) {
	h := finished(t)
	p := &page{caption: "Test", history: h, visited: make(chan struct{})}
	server := httptest.NewServer(p.handler())
	defer server.Close()
	response, err := server.Client().Get(server.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 10<<20)
	kinds, values := make(map[string]int), make([]uint32, 150*100)
	var picture message
	for kinds[eventEnd] == 0 && lines.Scan() {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		var messages []message
		if err := json.Unmarshal([]byte(data), &messages); err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			kinds[m.Kind]++
			if m.Kind == eventPicture {
				picture = m
			}
			for i := 0; i < len(m.Values); i += 4 {
				tile, n := picture.Tiles[m.Tile], m.First+i/4
				values[(tile.Y+n/tile.Width)*150+tile.X+n%tile.Width] = binary.BigEndian.Uint32(m.Values[i:])
			}
		}
	}
	if kinds[eventServer] != 3 || kinds[eventDead] != 1 || kinds[eventFailover] == 0 || kinds[eventEnd] != 1 {
		t.Errorf("events: %v", kinds)
	}
	computed := h.events[0].picture
	for i, value := range values {
		if value != computed.values[i] {
			t.Fatalf("pixel %d is %d, not %d", i, value, computed.values[i])
		}
	}
}

// The page shows a picture that has lost a server, in a browser.
func TestPageInBrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is absent: install Debian's package chromium")
	}
	p := &page{caption: "Test <caption>", history: finished(t), visited: make(chan struct{})}
	seen := make(chan struct{}) // closed when the page has shown all
	mux := http.NewServeMux()
	mux.Handle("/", p.handler())
	mux.HandleFunc("/test", func(w http.ResponseWriter, _ *http.Request) {
		// The browser prints the page once everything is loaded, /shown included.
		fmt.Fprintf(w, "%s<img hidden src=shown><script>setInterval(() => { if (document.body.dataset.state === 'complete') fetch('seen') }, 100)</script>", pageHTML)
	})
	var once sync.Once
	mux.HandleFunc("/seen", func(http.ResponseWriter, *http.Request) { once.Do(func() { close(seen) }) })
	mux.HandleFunc("/shown", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-seen:
		case <-r.Context().Done():
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	defer server.CloseClientConnections()
	dom := runBrowser(t, browser, "--dump-dom", server.URL+"/test")
	for _, want := range []string{
		`<h1 id="caption">Test &lt;caption&gt;</h1>`,
		`&lt;a picture&gt;: 150 × 100 pixels, 3 sessions`,
		`<span id="percent">100 %</span>`,
		`<b>Anna</b>`, `<b>Berta</b>`,
		`is taken away</span>`, ` ms, by cookie</span>`,
		`<li class="lost">`,
		`the picture is complete`,
	} {
		if !strings.Contains(dom, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if t.Failed() {
		t.Log(dom)
	}
}

// runBrowser returns what the browser prints.
func runBrowser(t *testing.T, browser string, args ...string) string {
	args = append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--window-size=1280,800", "--user-data-dir=" + t.TempDir(),
	}, args...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, browser, args...)
	command.WaitDelay = time.Second // for processes of its own that keep its output open
	var errs strings.Builder
	command.Stderr = &errs
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	return string(out)
}

// The demonstration waits for the page to be looked at.
func TestVisitor(t *testing.T) {
	p, err := startPage("127.0.0.1:0", "Test", newHistory())
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Get("http://" + p.addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	select {
	case <-p.visited:
		t.Error("a visitor without events")
	default:
	}
	response, err = http.Get("http://" + p.addr().String() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	if !p.awaitVisitor(t.Context()) {
		t.Error("no visitor")
	}
	response.Body.Close()
	p.close()
	http.DefaultClient.CloseIdleConnections()
}
