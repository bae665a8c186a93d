package enrp

import (
	"time"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
)

// backoff spaces out the audits of a peer whose table cannot become the same as ours for the
// time being: two pools of one handle, but of different policies, or two PEs of one
// identifier. Each time in a row that an audit was in vain twice as many PRESENCEs are left out,
// none after the first.
type backoff struct {
	futile int // audits since the checksums were last the same
	skip   int // PRESENCEs to leave out
}

// maxFutile bounds what is left out to 15 PRESENCEs, some 40 s.
const maxFutile = 5

// audit compares the checksum that p gives for its PEs with that of what we have of them, and
// asks for all of them if it differs (RFC 5353 section 3.6).
func (e *Engine[V]) audit(now time.Time, p *peer[V], checksum uint16) {
	if checksum == e.space.Checksum(p.id) {
		p.backoff = backoff{}
		return
	}
	if !e.start.serving || p.sync.running() || !p.linked() {
		return
	}
	if p.backoff.skip > 0 {
		p.backoff.skip--
		return
	}
	p.backoff.futile = min(p.backoff.futile+1, maxFutile)
	p.backoff.skip = 1<<(p.backoff.futile-1) - 1
	e.stats.Audits++
	for el := range e.space.OwnedBy(p.id) {
		e.leases.mark(el)
	}
	e.requestTable(now, p, true)
}

// removeMarked removes those PEs of a registrar that it has not listed.
func (e *Engine[V]) removeMarked(home protocol.RegistrarID) {
	for el := range e.space.OwnedBy(home) {
		if e.leases.marked(el) {
			e.remove(el, handlespace.Synchronized)
		}
	}
}
