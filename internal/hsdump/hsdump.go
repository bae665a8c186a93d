// Package hsdump reads the handlespace of a registrar as RSPLIB's hsdump does: as another registrar, which has no
// pool elements. ENRP (RFC 5353) has no other way to ask.
//
//	we                                                registrar
//	 |-- PRESENCE, of no PEs; LIST_REQUEST ------------->| has a peer now, as long as the association
//	 |<-- LIST_RESPONSE: its peers ----------------------| lasts and some seconds more
//	 |-- HANDLE_TABLE_REQUEST -------------------------->|
//	 |<-- .._RESPONSE: a page of PEs --------------------| again until the last page
//
// A registrar treats us as a peer meanwhile: it gets the answers that it would wait for.
package hsdump

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"time"

	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/transport/sctp"
	"github.com/rserpool/rsp/internal/transport/tcp"
	"github.com/rserpool/rsp/internal/wire"
)

// Dump is what a registrar knows.
type Dump struct {
	Registrar protocol.RegistrarID
	Peers     []wire.ServerInformation // the registrar's, without us
	Pools     []Pool
}

// Pool is a pool with its elements, by their identifiers.
type Pool struct {
	Handle   protocol.PoolHandle
	Elements []protocol.PoolElement
}

// Len is the number of pool elements.
func (d *Dump) Len() int {
	n := 0
	for _, pool := range d.Pools {
		n += len(pool.Elements)
	}
	return n
}

// Client is an association with a registrar. One goroutine may use it.
type Client struct {
	assoc     transport.Assoc
	registrar protocol.RegistrarID // 0: it has not told
	decoder   wire.Decoder
	buf       []byte
	partial   int // bytes in buf of a message whose end has not come
	out       []byte
}

const (
	// maxMessage is the longest message of a registrar: that of RSPLIB's buffers.
	maxMessage = 1 << 16
	// MaxElements is how many pool elements a Dump takes.
	MaxElements = 1 << 20
	// dialTimeout bounds the attempt to open an association by one transport to one address.
	dialTimeout = 5 * time.Second
	// noChecksum is the PE checksum of a registrar without pool elements (RFC 5353 section 3.6.2).
	noChecksum = 0xffff
)

// options are patient, as those of registrars.
var options = transport.Options{
	RTOInitial: 500 * time.Millisecond, RTOMin: 200 * time.Millisecond, RTOMax: time.Second,
	HeartbeatInterval: 3 * time.Second, PathMaxRetrans: 3, AssocMaxRetrans: 3,
}

// Dial opens an association to the address "host:port" at which a registrar is found by its peers: by kernel SCTP if
// this machine has it, else by the TCP mapping. Close ends it.
func Dial(ctx context.Context, address string) (*Client, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return nil, err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	networks := []transport.Network{tcp.Network{}}
	if kernel, err := sctp.New(); err == nil {
		networks = slices.Insert(networks, 0, kernel)
	}
	var errs []error
	for _, n := range networks {
		for i := range addrs {
			to := protocol.TransportAddr{Protocol: n.Protocol(), Port: uint16(port), Addrs: addrs[i : i+1]}
			to.Addrs[0] = to.Addrs[0].Unmap()
			dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
			assoc, err := n.Dial(dialCtx, to, options)
			cancel()
			if err == nil {
				return &Client{assoc: assoc, buf: make([]byte, maxMessage)}, nil
			}
			errs = append(errs, fmt.Errorf("%v: %w", to, err))
		}
	}
	return nil, errors.Join(errs...)
}

// ID is the identifier under which registrars know this process, however often it asks.
var ID = protocol.RegistrarID(rand.Uint32N(1<<32-1) + 1)

// Close ends the association. The registrar forgets us some seconds later.
func (c *Client) Close() error { return c.assoc.Close() }

// Dump asks for everything that the registrar knows. After an error, the Client can only be closed.
func (c *Client) Dump(ctx context.Context) (*Dump, error) {
	defer context.AfterFunc(ctx, func() { _ = c.assoc.Abort() })()
	d, err := c.dump()
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return d, err
}

func (c *Client) dump() (*Dump, error) {
	if err := c.send(c.presence()); err != nil {
		return nil, err
	}
	if err := c.send(&wire.ListRequest{Sender: ID, Receiver: c.registrar}); err != nil {
		return nil, err
	}
	var d Dump
	list, err := await[*wire.ListResponse](c)
	if err != nil {
		return nil, fmt.Errorf("peer list: %w", err)
	}
	if list.Reject {
		return nil, errors.New("registrar refuses its peer list: it has just been started")
	}
	for _, s := range list.Servers {
		if s.ID != ID {
			d.Peers = append(d.Peers, wire.ServerInformation{ID: s.ID, Transport: s.Transport.Clone()})
		}
	}
	c.registrar = list.Sender
	t := make(table)
	for more := true; more; {
		before := len(t)
		if more, err = c.page(t); err != nil {
			return nil, fmt.Errorf("handle table: %w", err)
		}
		if len(t) > MaxElements || more && len(t) == before {
			return nil, fmt.Errorf("handle table does not end after %d pool elements", len(t))
		}
	}
	d.Registrar, d.Pools = c.registrar, t.pools()
	return &d, nil
}

// table is a handle table while it comes.
type table map[elementKey]protocol.PoolElement

type elementKey struct {
	pool protocol.PoolHandle
	id   protocol.PEID
}

// page adds the next page, and reports whether there is another one.
func (c *Client) page(t table) (more bool, err error) {
	if err := c.send(&wire.HandleTableRequest{Sender: ID, Receiver: c.registrar}); err != nil {
		return false, err
	}
	m, err := await[*wire.HandleTableResponse](c)
	if err != nil {
		return false, err
	}
	if m.Reject {
		return false, errors.New("registrar refuses: it has none yet, or does not know us")
	}
	for _, entry := range m.Entries {
		for _, pe := range entry.Elements {
			t[elementKey{entry.Handle, pe.ID}] = pe.Clone()
		}
	}
	return m.MoreToSend, nil
}

// pools are the pools by the length of their handles, then by the handles, as in every handlespace.
func (t table) pools() []Pool {
	keys := slices.SortedFunc(maps.Keys(t), func(a, b elementKey) int {
		return cmp.Or(cmp.Compare(len(a.pool), len(b.pool)), cmp.Compare(a.pool, b.pool), cmp.Compare(a.id, b.id))
	})
	var pools []Pool
	for _, key := range keys {
		if len(pools) == 0 || pools[len(pools)-1].Handle != key.pool {
			pools = append(pools, Pool{Handle: key.pool})
		}
		last := &pools[len(pools)-1]
		last.Elements = append(last.Elements, t[key])
	}
	return pools
}

// presence says that we are there, and own nothing.
func (c *Client) presence() *wire.Presence {
	own := c.assoc.LocalAddr()
	own.Use = protocol.DataOnly
	return &wire.Presence{
		Sender: ID, Receiver: c.registrar, HasChecksum: true, Checksum: noChecksum,
		Server: wire.ServerInformation{ID: ID, Transport: own},
	}
}

// await waits for a message of one type, and meanwhile gives the registrar what it wants from a peer. The message
// is valid until the next call.
func await[M wire.Message](c *Client) (m M, err error) {
	for {
		data, ppid, err := c.recv()
		if err != nil {
			return m, fmt.Errorf("association has ended: %w", err)
		}
		if ppid != protocol.PPIDENRP {
			continue
		}
		got, err := c.decoder.ENRP(data)
		if err != nil {
			return m, fmt.Errorf("registrar's message cannot be read: %w", err)
		}
		if wanted, ok := got.(M); ok {
			return wanted, nil
		}
		if err := c.answer(got); err != nil {
			return m, err
		}
	}
}

// Attend gives the registrar for a while what it wants from a peer. It is for the time between two dumps; after an
// error, the Client can only be closed.
func (c *Client) Attend(ctx context.Context, while time.Duration) error {
	defer context.AfterFunc(ctx, func() { _ = c.assoc.Abort() })()
	if err := c.assoc.SetReadDeadline(time.Now().Add(while)); err != nil {
		return err
	}
	_, err := await[*never](c)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return cmp.Or(ctx.Err(), err)
	}
	return c.assoc.SetReadDeadline(time.Time{})
}

// never is a message that does not come.
type never struct{ wire.Message }

// answer answers what a registrar asks its peers.
func (c *Client) answer(m wire.Message) error {
	switch m := m.(type) {
	case *wire.Presence:
		c.registrar = m.Sender
		if m.ReplyRequired {
			return c.send(c.presence())
		}
	case *wire.ListRequest: // we know nobody whom it does not know
		return c.send(&wire.ListResponse{Sender: ID, Receiver: m.Sender})
	case *wire.HandleTableRequest: // we are no mentor
		return c.send(&wire.HandleTableResponse{Sender: ID, Receiver: m.Sender, Reject: true})
	case *wire.InitTakeover: // we do not object
		return c.send(&wire.InitTakeoverAck{Sender: ID, Receiver: m.Sender, Target: m.Target})
	}
	return nil
}

func (c *Client) send(m wire.Message) error {
	c.out = m.AppendTo(c.out[:0])
	return c.assoc.Send(c.out, transport.SendInfo{PPID: protocol.PPIDENRP})
}

// recv receives a whole message, which is valid until the next call.
func (c *Client) recv() ([]byte, protocol.PPID, error) {
	for {
		if c.partial == len(c.buf) {
			return nil, 0, fmt.Errorf("registrar's message is over %d bytes", maxMessage)
		}
		part, info, err := c.assoc.Recv(c.buf[c.partial:])
		if err != nil {
			return nil, 0, err
		}
		if info.Notice != transport.NoticeNone {
			continue
		}
		c.partial += part
		if info.EOR {
			n := c.partial
			c.partial = 0
			return c.buf[:n], info.PPID, nil
		}
	}
}
