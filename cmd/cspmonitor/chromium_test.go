package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/hsdump"
	"github.com/rserpool/rsp/internal/protocol"
)

// browser is a page in Chromium, which is spoken to by its DevTools protocol: JSON texts that end with NUL.
type browser struct {
	*testing.T
	ctx     context.Context
	in      io.Writer
	out     *bufio.Reader
	id      int
	session string
}

// browse opens a page, or skips the test where there is no Chromium.
func browse(t *testing.T, url string) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is absent: install Debian's package chromium")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "cspmonitor")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+filepath.Join(profile, "profile"), "--window-size=1360,900", "--remote-debugging-pipe")
	cmd.ExtraFiles, cmd.Stderr, cmd.WaitDelay = []*os.File{theirIn, theirOut}, &log, time.Second // descriptors 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	t.Cleanup(func() {
		cancel()
		cmd.Wait() // it was killed
		in.Close()
		out.Close()
		os.RemoveAll(profile) // what is left of a killed browser may still be written
		if t.Failed() {
			t.Logf("chromium:\n%s", &log)
		}
	})
	b := &browser{T: t, ctx: ctx, in: in, out: bufio.NewReader(out)}
	target := b.call("Target.createTarget", map[string]any{"url": url})["targetId"]
	b.session, _ = b.call("Target.attachToTarget", map[string]any{"targetId": target, "flatten": true})["sessionId"].(string)
	return b
}

// call calls a method and returns its result.
func (b *browser) call(method string, params map[string]any) map[string]any {
	b.Helper()
	b.id++
	request := map[string]any{"id": b.id, "method": method, "params": params}
	if b.session != "" {
		request["sessionId"] = b.session
	}
	text, err := json.Marshal(request)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		b.Fatal(err)
	}
	for {
		text, err := b.out.ReadBytes(0)
		if err != nil {
			b.Fatalf("%s: %v", method, err)
		}
		var reply struct {
			ID     int
			Result map[string]any
			Error  any
		}
		if err := json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &reply); err != nil {
			b.Fatal(err)
		}
		if reply.ID != b.id {
			continue // an event
		}
		if reply.Error != nil {
			b.Fatalf("%s: %v", method, reply.Error)
		}
		return reply.Result
	}
}

// html is what is in the page now.
func (b *browser) html() string {
	b.Helper()
	result, _ := b.call("Runtime.evaluate", map[string]any{"expression": "document.body.querySelector('header').outerHTML + document.querySelector('main').outerHTML + document.querySelector('#history').outerHTML + document.querySelector('#trouble').outerHTML"})["result"].(map[string]any)
	html, _ := result["value"].(string)
	return html
}

// want waits until all texts are in the page.
func (b *browser) want(texts ...string) {
	b.Helper()
	for {
		html := b.html()
		missing := ""
		for _, text := range texts {
			if !strings.Contains(html, text) {
				missing = text
			}
		}
		if missing == "" {
			return
		}
		if wait(b.ctx, 20*time.Millisecond); b.ctx.Err() != nil {
			b.Fatalf("the page lacks %q:\n%s", missing, html)
		}
	}
}

// screenshot keeps a picture of the page, with -artifacts.
func (b *browser) screenshot(name, scheme string) {
	b.Helper()
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}})
	data, _ := b.call("Page.captureScreenshot", nil)["data"].(string)
	picture, err := base64.StdEncoding.DecodeString(data)
	if err == nil {
		err = os.WriteFile(filepath.Join(b.ArtifactDir(), name), picture, 0o644)
	}
	if err != nil || len(picture) == 0 {
		b.Errorf("no picture: %v", err)
	}
}

// A real browser shows the pools, and a failover when it happens; text from the network is text.
func TestPageInBrowser(t *testing.T) {
	w := startWeb(t)
	w.pools.state = poolsState{from: "10.0.0.1:9901", when: now, dump: &hsdump.Dump{Registrar: 1, Pools: []hsdump.Pool{
		{Handle: "<b>EchoPool", Elements: []protocol.PoolElement{testElement(0xa, 1, 0.25), testElement(0xb, 1, 0.75)}},
	}}}
	w.mustUpdate(t, userWith(9, 0xa))
	b := browse(t, w.url())
	b.want("&lt;b&gt;EchoPool", "LeastUsed", "$0000000a", "25%", "75%", "computing", `class="home"`, `class="session"`,
		"pools as registrar 10.0.0.1:9901 told", `<b id="sessions-count">1</b>`)
	w.mustUpdate(t, userWith(9, 0xb))
	b.want(`class="failover"`, `class="lost"`, "PU $00000009 goes on with PE $0000000b after PE $0000000a")
	b.screenshot("light.png", "light")
	b.screenshot("dark.png", "dark")

	w.pools.fail(os.ErrDeadlineExceeded)
	w.mustUpdate(t)
	b.want("No registrar tells its pools: i/o timeout", "EchoPool", "No pool user reports")
	w.close()
	b.want("The monitor does not answer")
}
