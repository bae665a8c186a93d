package main

import (
	"github.com/rserpool/rsp/examples/internal/calcapp"
	"github.com/rserpool/rsp/examples/internal/chargen"
	"github.com/rserpool/rsp/examples/internal/daytime"
	"github.com/rserpool/rsp/examples/internal/discard"
	"github.com/rserpool/rsp/examples/internal/echo"
	"github.com/rserpool/rsp/examples/internal/fractal"
	"github.com/rserpool/rsp/examples/internal/pingpong"
	"github.com/rserpool/rsp/examples/internal/scripting"
	"github.com/rserpool/rsp/examples/internal/service"
)

// offer is a service and the option that chooses it.
type offer struct {
	flag, usage string
	service     service.Service
}

// offers returns the services that there are, the default first.
func offers() []offer {
	return []offer{
		{"echo", "Starts the Echo service: it echoes incoming data back. The default.", echo.New()},
		{"discard", "Starts the Discard service: it discards incoming data.", discard.New()},
		{"daytime", "Starts the Daytime service: it sends the current time of day.", daytime.New()},
		{"fractal", "Starts the Fractal Generator service: it computes pictures.", fractal.New()},
		{"calcapp", "Starts the CalcApp service: jobs share its capacity, for performance tests.", calcapp.New()},
		{"chargen", "Starts the CharGen service: it sends as much character data as possible.", chargen.New()},
		{"pingpong", "Starts the PingPong service: a simple request-response example using cookies for failover.", pingpong.New()},
		{"scripting", "Starts the Scripting service: it runs what clients upload, so use it in trusted networks alone.", scripting.New()},
	}
}
