package rsp_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/threats.md: "`TestThreatsPage` checks that the tests are there."
func TestThreatsPage(t *testing.T) {
	text, err := os.ReadFile("docs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := make(map[string][]string) // by directory
	var sections []string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 || strings.Contains(cells[0], "---") || strings.TrimSpace(cells[3]) == "tests" {
			continue
		}
		if section := strings.TrimSpace(cells[0]); strings.HasPrefix(section, "2.") {
			sections = append(sections, section)
		}
		named := strings.Fields(cells[3])
		if len(named) == 0 {
			t.Errorf("no test of %s", cells[1])
		}
		for _, name := range named {
			if !testExists(t, tests, ".", name) {
				t.Errorf("docs/threats.md names %s, which is not there", name)
			}
		}
	}
	var all []string
	for i := range 17 {
		all = append(all, fmt.Sprintf("2.%d", i+1))
	}
	if !slices.Equal(sections, all) {
		t.Errorf("threats %v, want all of RFC 5355 section 2", sections)
	}
}

var testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// testExists looks for a test of a name such as "asap.TestOwner", or of this package.
func testExists(t *testing.T, known map[string][]string, dir, name string) bool {
	t.Helper()
	if pkg, test, ok := strings.Cut(name, "."); ok {
		dirs := slices.Concat(glob(t, "internal/"+pkg), glob(t, "internal/transport/"+pkg), glob(t, "cmd/"+pkg))
		if len(dirs) != 1 {
			t.Fatalf("package of %s: %v", name, dirs)
		}
		dir, name = dirs[0], test
	}
	if known[dir] == nil {
		for _, file := range glob(t, filepath.Join(dir, "*_test.go")) {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range testFunction.FindAllStringSubmatch(string(source), -1) {
				known[dir] = append(known[dir], m[1])
			}
		}
	}
	return slices.Contains(known[dir], name)
}
