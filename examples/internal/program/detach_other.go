//go:build !unix

package program

import (
	"errors"
	"os/exec"
)

func detach(*exec.Cmd) error { return errors.ErrUnsupported }
