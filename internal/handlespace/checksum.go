package handlespace

import "github.com/rserpool/rsp/internal/protocol"

// ownership is what a registrar owns: how many PEs, and the sum of their words
// for the PE checksum.
type ownership struct {
	elements int
	sum      uint64
}

// Checksum returns the PE checksum of a registrar (RFC 5353 section 3.6.2): the
// Internet checksum (RFC 1071) over the pool handle and the ID of every PE that
// it is the home of. It is 0xffff when there is none.
func (s *Space[V]) Checksum(registrar protocol.RegistrarID) uint16 {
	sum := s.owners[registrar].sum
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// Owned is how many PEs a registrar is the home of.
func (s *Space[V]) Owned(registrar protocol.RegistrarID) int { return s.owners[registrar].elements }

func (s *Space[V]) own(el *Element[V]) {
	o := s.owners[el.Home]
	o.elements++
	o.sum += checksumWords(el.Handle, el.ID)
	s.owners[el.Home] = o
}

func (s *Space[V]) disown(el *Element[V]) {
	o := s.owners[el.Home]
	o.elements--
	o.sum -= checksumWords(el.Handle, el.ID)
	if o.elements == 0 {
		delete(s.owners, el.Home)
		return
	}
	s.owners[el.Home] = o
}

func (s *Space[V]) moveHome(el *Element[V], registrar protocol.RegistrarID) {
	s.disown(el)
	el.Home = registrar
	s.own(el)
}

// checksumWords adds up the 16-bit words of a PE: the pool handle, padded with
// zeros, and the PE ID.
func checksumWords(handle protocol.PoolHandle, id protocol.PEID) uint64 {
	sum := uint64(id>>16) + uint64(id&0xffff)
	for i := range len(handle) {
		if i%2 == 0 {
			sum += uint64(handle[i]) << 8
		} else {
			sum += uint64(handle[i])
		}
	}
	return sum
}
