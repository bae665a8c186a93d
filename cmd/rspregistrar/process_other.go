//go:build !unix

package main

import (
	"errors"
	"os/exec"
	"time"
)

// cpuTime is not known here.
func cpuTime() (user, system time.Duration) { return 0, 0 }

func detach(*exec.Cmd) error { return errors.ErrUnsupported }
