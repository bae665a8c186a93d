package rsp_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A program pays for the roles that it has: one that only uses pools has nothing of a registrar in it.
func TestPoolUserLinksNoENRP(t *testing.T) {
	program := filepath.Join(t.TempDir(), "pooluser")
	if out, err := exec.Command("go", "build", "-o", program, "./testdata/pooluser").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	symbols, err := exec.Command("go", "tool", "nm", program).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, symbols)
	}
	if !strings.Contains(string(symbols), "rsp/internal/asap.(*Client).Advance") {
		t.Fatal("the symbols of a pool user are not there")
	}
	for line := range strings.Lines(string(symbols)) {
		for _, role := range []string{"rsp/internal/enrp.", "rsp/internal/registrar.", "rsp/internal/asap.(*Home)"} {
			if strings.Contains(line, role) {
				t.Errorf("linked: %s", strings.TrimSpace(line))
			}
		}
	}
}
