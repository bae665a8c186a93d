package handlespace

import (
	"net/netip"
	"time"
)

const lifetime = 30 * time.Second

var address = []netip.Addr{netip.MustParseAddr("10.0.0.1")}
