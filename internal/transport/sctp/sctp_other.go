//go:build !linux || 386

package sctp

import (
	"fmt"
	"runtime"

	"github.com/rserpool/rsp/internal/transport"
)

func probe() error {
	return fmt.Errorf("%w: kernel SCTP on %s/%s", transport.ErrUnsupported, runtime.GOOS, runtime.GOARCH)
}

func newNetwork() transport.Network { panic("unreachable: probe has failed") }
