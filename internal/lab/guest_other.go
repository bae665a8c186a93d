//go:build !linux

package lab

import "testing"

func inGuest(tb testing.TB, _ ...string) []string {
	tb.Helper()
	missing(tb, "a guest needs Linux with Debian's package user-mode-linux")
	return nil
}
