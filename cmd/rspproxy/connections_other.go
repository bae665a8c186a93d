//go:build !linux

package main

import (
	"errors"
	"fmt"
)

// establishedTo counts the TCP connections with a port of this machine.
func establishedTo(uint16) (int, error) {
	return 0, fmt.Errorf("connections of a service can be counted with -session, or on Linux: %w", errors.ErrUnsupported)
}
