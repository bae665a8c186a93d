package rsp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rserpool/rsp/internal/asap"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
)

// BusinessCard tells the other end of a session where to go when this one is lost (RFC 5352 section 3.9).
type BusinessCard struct {
	Pool PoolHandle
	// Elements are members of the pool, the preferred first; at least one.
	Elements []Element
}

// SendBusinessCard tells the other end of the session where to go when this one is lost, in place of what
// it was told before. A PU that is a PE too does so by itself (Dialer.PE); this is for who prefers others of its
// pool, as Resolve gives them. A PE may tell its PU which of the pool to try first in a failover; none does so by
// itself, against RFC 5352, since its PU knows the pool, and RSPLIB's PUs do not read cards. The card
// goes along in failovers; elements that do not fit in a message of 64 KiB are left out.
func (s *Socket) SendBusinessCard(ctx context.Context, card *BusinessCard) error {
	session, err := s.activeSession("send business card")
	if err != nil {
		return err
	}
	elements, err := card.wire()
	if err != nil {
		return session.opError("send business card", err)
	}
	message := asap.AppendCard(nil, card.Pool, elements)
	session.mu.Lock()
	session.card = message
	session.mu.Unlock()
	return session.sendAll(ctx, "send business card", message, func(message []byte) error {
		return session.send(ctx, message, transport.SendInfo{PPID: protocol.PPIDASAP})
	})
}

// wire returns the card's elements as they are told.
func (c *BusinessCard) wire() ([]protocol.PoolElement, error) {
	if err := c.Pool.Validate(); err != nil {
		return nil, err
	}
	if len(c.Elements) == 0 {
		return nil, errors.New("a business card has at least one pool element")
	}
	var elements []protocol.PoolElement
	for _, el := range c.Elements {
		r := ElementRegistration{Protocol: el.Protocol, Addrs: el.Addrs, ServiceCode: el.ServiceCode, ControlChannel: el.ControlChannel}
		user, err := r.transport(nil)
		if err == nil && (el.ID == 0 || len(user.Addrs) == 0) {
			err = errors.New("needs an identifier and an address")
		}
		if err != nil {
			return nil, fmt.Errorf("PE %v: %w", el.ID, err)
		}
		elements = append(elements, protocol.PoolElement{ID: el.ID, Home: el.Registrar, User: user, Policy: el.Policy.wire()})
	}
	return elements, nil
}

// PeerCard returns the business card that the other end of the session has sent last, nil if it has sent
// none; that of a PU comes before its first message. It stays when the association is lost. Whoever runs the
// peer says what is in it: go there by ConnectCard, which asks the registrar.
func (s *Socket) PeerCard() *BusinessCard {
	session, err := s.activeSession("")
	if err != nil {
		return nil
	}
	session.mu.Lock()
	pool, elements := session.control.Card()
	session.mu.Unlock()
	if pool == "" {
		return nil
	}
	card := &BusinessCard{Pool: pool}
	for _, el := range elements {
		card.Elements = append(card.Elements, newElement(el.Clone()))
	}
	return card
}

// ConnectCard opens a session with the pool of a business card, such as that of a PU which was lost and is a
// PE too: with the first of the card's elements that the registrar knows and that can be reached, else with any
// of the pool. Addresses are the registrar's, since anybody can send a card. Failovers keep to the card as well.
func (d *Dialer) ConnectCard(ctx context.Context, card *BusinessCard) (*Socket, error) {
	var prefer []PEID
	for _, el := range card.Elements {
		prefer = append(prefer, el.ID)
	}
	return d.connect(ctx, card.Pool, prefer)
}

// handleCard takes a business card: that of the session's own pool orders its failovers; s.mu is held.
func (s *session) handleCard() {
	pool, elements := s.control.Card()
	if s.dialer == nil || pool != s.pool {
		return
	}
	s.prefer = s.prefer[:0]
	for _, el := range elements {
		s.prefer = append(s.prefer, el.ID)
	}
}

// preferred returns the elements of a resolution with those first that a business card prefers.
func (s *session) preferred(elements []Element) []Element {
	s.mu.Lock()
	prefer := slices.Clone(s.prefer)
	s.mu.Unlock()
	if len(prefer) == 0 {
		return elements
	}
	rank := func(el Element) int {
		if i := slices.Index(prefer, el.ID); i >= 0 {
			return i
		}
		return len(prefer)
	}
	elements = slices.Clone(elements)
	slices.SortStableFunc(elements, func(a, b Element) int { return cmp.Compare(rank(a), rank(b)) })
	return elements
}

// wanted is how many elements to resolve: a few, unless a business card prefers some, which may be any.
func (s *session) wanted() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.prefer) > 0 {
		return AllElements
	}
	return 0
}

// sendCard sends our business card, if there is one, on a new association. "A PU should send an
// ASAP_BUSINESS_CARD message to a PE only if it is part of a PU/PE combination."
func (s *session) sendCard(assoc transport.Assoc) error {
	s.mu.Lock()
	card := s.card
	s.mu.Unlock()
	if card == nil && s.dialer.PE != nil {
		card = s.dialer.PE.businessCard(assoc.LocalAddr())
	}
	if card == nil {
		return nil
	}
	return assoc.Send(card, transport.SendInfo{PPID: protocol.PPIDASAP})
}

// businessCard is the message that names the Socket, a PE, as the place to go to; nil unless it is registered.
// Of its addresses it has those that the association proves.
func (s *Socket) businessCard(local protocol.TransportAddr) []byte {
	s.mu.Lock()
	_, err := s.registered()
	s.mu.Unlock()
	if err != nil {
		return nil
	}
	pool, pe := s.member()
	if addrs := protocol.AppendUsable(nil, pe.User.Addrs, local.Addrs, protocol.ScopeUnspecified); len(addrs) > 0 {
		pe.User.Addrs = addrs
	}
	if pe.User.Protocol != protocol.SCTP { // RFC 5354 section 3.5
		pe.User.Addrs = pe.User.Addrs[:1]
	}
	return asap.AppendCard(nil, pool, []protocol.PoolElement{pe})
}
