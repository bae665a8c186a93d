package main

import (
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/rserpool/rsp"
)

// BenchmarkProxies measures, by wrk, an nginx directly and behind proxies: this one, HAProxy that relays TCP
// as it does, and nginx as an HTTP proxy. Each round measures all of them, so that what else the machine does meets all,
// and the ratios are of what was measured side by side:
//
//	go test -run '^$' -bench Proxies -benchtime 3x ./cmd/rspproxy
func BenchmarkProxies(b *testing.B) {
	for _, program := range []string{"nginx", "wrk", "haproxy"} {
		lookPath(b, program)
	}
	dir := b.TempDir()
	service := startNginx(b, dir, "service", "")
	s := newScope(b, rsp.TCPMapping)
	s.register(1, service, rsp.Policy{})
	ways := []way{
		{"direct", service},
		{"rspproxy", startProgram(b, s, "-listen=127.0.0.1:0")},
		{"haproxy", startHAProxy(b, dir, service)},
		{"nginx", startNginx(b, dir, "proxy", "location / { proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ''; }\n}\nupstream service { server "+service+"; keepalive 256;")},
	}
	for _, load := range []struct {
		name, path, unit string
		args             []string
	}{
		{"requests", "/small", "req/s", []string{"-c64"}},
		{"connections", "/small", "req/s", []string{"-c64", "-H", "Connection: close"}},
		{"bytes", "/large", "B/s", []string{"-c8"}},
	} {
		b.Run(load.name, func(b *testing.B) {
			total := make(map[string]float64)
			for b.Loop() {
				for _, w := range ways {
					total[w.name] += w.measure(b, load.path, load.unit, load.args)
				}
			}
			b.ReportMetric(0, "ns/op")
			for _, w := range ways {
				b.ReportMetric(total[w.name]/float64(b.N), w.name+"-"+load.unit)
				b.ReportMetric(total[w.name]/total["direct"], w.name+"/direct")
			}
			b.ReportMetric(total["rspproxy"]/total["haproxy"], "rspproxy/haproxy")
		})
	}
}

// way is where wrk goes.
type way struct{ name, addr string }

var (
	requestRate = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	byteRate    = regexp.MustCompile(`Transfer/sec:\s+([\d.]+)([KMGT]?)B`)
	wrkErrors   = regexp.MustCompile(`Socket errors:.*|Non-2xx.*`)
)

// measure runs wrk for a second and returns the rate.
func (w way) measure(b *testing.B, path, unit string, args []string) float64 {
	b.Helper()
	args = append([]string{"-t1", "-d1s"}, append(args, "http://"+w.addr+path)...)
	out, err := exec.Command("wrk", args...).CombinedOutput()
	if err != nil {
		b.Fatalf("wrk: %v\n%s", err, out)
	}
	if failed := wrkErrors.Find(out); failed != nil {
		b.Errorf("%s: %s", w.name, failed)
	}
	rate := requestRate
	if unit == "B/s" {
		rate = byteRate
	}
	match := rate.FindSubmatch(out)
	if match == nil {
		b.Fatalf("no rate in\n%s", out)
	}
	value, err := strconv.ParseFloat(string(match[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	if unit == "B/s" {
		value *= map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}[string(match[2])]
	}
	return value
}
