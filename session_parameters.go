package rsp

import (
	"github.com/rserpool/rsp/internal/transport"
)

// SetSessionParameters changes how soon a session notices that its peer is silent
// (rsp_update_session_parameters): now, and after each failover. Zero fields leave their values as they are;
// before the session is tuned they are those of Config.Association. It changes nothing on the other side, which has
// timers of its own.
func (s *Socket) SetSessionParameters(p AssociationConfig) error {
	session, err := s.activeSession("set session parameters")
	if err != nil {
		return err
	}
	if err := session.tune(p.options()); err != nil {
		return session.opError("set session parameters", err)
	}
	return nil
}

// SessionParameters returns the timers and limits of a session; the zero AssociationConfig without one.
func (s *Socket) SessionParameters() AssociationConfig {
	session, err := s.activeSession("")
	if err != nil {
		return AssociationConfig{}
	}
	return associationConfig(session.options())
}

func associationConfig(o transport.Options) AssociationConfig {
	return AssociationConfig{
		RTOInitial: o.RTOInitial, RTOMin: o.RTOMin, RTOMax: o.RTOMax,
		HeartbeatInterval: o.HeartbeatInterval, PathMaxRetrans: o.PathMaxRetrans, AssocMaxRetrans: o.AssocMaxRetrans,
	}
}

// tune changes the timers of the session's association and of those to come.
func (s *session) tune(opts transport.Options) error {
	s.mu.Lock()
	tuned := opts.Or(s.tuned)
	all := tuned.Or(s.endpoint.options).WithDefaults()
	err := associationConfig(all).validate()
	if err == nil && s.state == ended {
		err = s.err
	}
	var assoc transport.Assoc
	if err == nil {
		s.tuned = tuned
		if s.state == up {
			assoc = s.assoc
		}
	}
	s.mu.Unlock()
	if assoc == nil {
		return err
	}
	err = assoc.Tune(all)
	if err != nil && !s.isUp(assoc) {
		return nil // lost meanwhile: the next one has the new timers
	}
	return err
}

// options are those of the session's associations.
func (s *session) options() transport.Options {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tuned.Or(s.endpoint.options).WithDefaults()
}
