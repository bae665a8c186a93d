package rsp_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp"
)

// docs/timers.md: "`TestTimersPage` compares this page with the code."
func TestTimersPage(t *testing.T) {
	text, err := os.ReadFile("docs/timers.md")
	if err != nil {
		t.Fatal(err)
	}
	p := timersPage{T: t, rows: make(map[string][]string), left: make(map[string]bool)}
	p.parse(string(text))
	presets := []rsp.AssociationConfig{rsp.LAN, rsp.WAN, rsp.ToRegistrars}
	p.associations(presets)
	p.worstCases(presets)
	p.durations("Config.", rsp.DefaultConfig())
	p.durations("RegistrarConfig.", rsp.DefaultRegistrarConfig())
	p.durations("Dialer.", rsp.DefaultDialer())
	for name := range p.left {
		p.want(name, len(p.rows[name])-2, p.constant(name))
	}
}

// timersPage is the rows of the page's tables by their first cell.
type timersPage struct {
	*testing.T
	rows map[string][]string
	left map[string]bool // not compared yet
}

func (p *timersPage) parse(text string) {
	head := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			head = ""
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case head == "":
			head = cells[0]
		case strings.HasPrefix(cells[0], "---") || head == "measured":
		case p.left[cells[0]]:
			p.Errorf("two rows of %s", cells[0])
		default:
			p.rows[cells[0]], p.left[cells[0]] = cells, true
		}
	}
}

// want compares a cell with what the code says.
func (p *timersPage) want(row string, cell int, value any) {
	p.Helper()
	delete(p.left, row)
	cells := p.rows[row]
	if len(cells) <= cell {
		p.Errorf("docs/timers.md lacks %s, which is %v", row, value)
		return
	}
	got := strings.ReplaceAll(cells[cell], " ", "")
	if d, ok := value.(time.Duration); ok {
		if stated, err := time.ParseDuration(got); err != nil || stated != d {
			p.Errorf("docs/timers.md says %q of %s, which is %v", cells[cell], row, d)
		}
	} else if got != fmt.Sprint(value) {
		p.Errorf("docs/timers.md says %q of %s, which is %v", cells[cell], row, value)
	}
}

func (p *timersPage) associations(presets []rsp.AssociationConfig) {
	for i, preset := range presets {
		for field, value := range reflect.ValueOf(preset).Fields() {
			p.want(field.Name, 2+i, value.Interface())
		}
	}
}

// worstCases does the sums of the page.
func (p *timersPage) worstCases(presets []rsp.AssociationConfig) {
	const linuxHeartbeat = 200 * time.Millisecond
	for i, c := range presets {
		n := time.Duration(c.AssocMaxRetrans)
		period := max(c.HeartbeatInterval+c.RTOMax/2, linuxHeartbeat) + c.RTOMax
		for row, value := range map[string]time.Duration{
			"SCTP, busy: suspected": c.RTOMax,
			"SCTP, busy: lost":      (n + 1) * c.RTOMax,
			"SCTP, idle: suspected": 2 * period,
			"SCTP, idle: lost":      2*period + n*c.RTOMax,
			"TCP: suspected":        2 * c.HeartbeatInterval,
			"TCP: lost":             (n + 1) * c.HeartbeatInterval,
		} {
			p.want(row, 2+i, value)
		}
	}
}

// durations wants a row for each time.Duration of a configuration.
func (p *timersPage) durations(prefix string, config any) {
	for field, value := range reflect.ValueOf(config).Fields() {
		if d, ok := value.Interface().(time.Duration); ok {
			p.want(prefix+field.Name, 2, d)
		}
	}
}

var definition = regexp.MustCompile(`(?m)^(?:const|\t)\s*(\w+)\s+= (?:(\d+) \* )?time\.(Millisecond|Second)$`)

// constant finds a constant in the source: "package.name", or a name of this package.
func (p *timersPage) constant(name string) time.Duration {
	dir := "."
	if pkg, rest, ok := strings.Cut(name, "."); ok {
		dirs := slices.Concat(glob(p.T, "internal/"+pkg), glob(p.T, "internal/transport/"+pkg))
		if len(dirs) != 1 {
			p.Fatalf("package of %s: %v", name, dirs)
		}
		dir, name = dirs[0], rest
	}
	for _, file := range glob(p.T, filepath.Join(dir, "*.go")) {
		source, err := os.ReadFile(file)
		if err != nil {
			p.Fatal(err)
		}
		for _, m := range definition.FindAllStringSubmatch(string(source), -1) {
			if m[1] == name && !strings.HasSuffix(file, "_test.go") {
				unit := map[string]time.Duration{"Second": time.Second, "Millisecond": time.Millisecond}[m[3]]
				factor, _ := strconv.Atoi(m[2])
				return time.Duration(max(factor, 1)) * unit
			}
		}
	}
	p.Errorf("docs/timers.md has %s, which nothing in %s is called", name, dir)
	return 0
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
