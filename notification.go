package rsp

import "fmt"

// NotificationType is what a Notification is about, by RSPLIB's names.
type NotificationType uint8

const (
	// FailoverNecessary: the session has lost its pool element. All that came from it has been read.
	FailoverNecessary NotificationType = iota + 1
	// FailoverComplete: the session goes on with another pool element.
	FailoverComplete
	// SessionAdded: a listening Socket that receives from all its sessions has a new one.
	SessionAdded
	// SessionRemoved: it has one less, of which all has been received.
	SessionRemoved
)

func (t NotificationType) String() string {
	switch t {
	case FailoverNecessary:
		return "failover necessary"
	case FailoverComplete:
		return "failover complete"
	case SessionAdded:
		return "session added"
	case SessionRemoved:
		return "session removed"
	}
	return fmt.Sprintf("NotificationType(%d)", uint8(t))
}

// Notification is what a session tells its user between messages; RecvMsg returns
// it if the Dialer asked for notifications, and always for SessionAdded and SessionRemoved.
type Notification struct {
	Type      NotificationType
	PE        PEID      // FailoverNecessary: the lost one, FailoverComplete: the new one
	HasCookie bool      // a cookie is stored; FailoverComplete: it was shown to the new PE
	Session   SessionID // SessionAdded, SessionRemoved: which one
	Err       error     // FailoverNecessary: what happened to the old one; SessionRemoved: io.EOF if the PU ended it
}

// String prints "failover complete: PE 0x00000001, cookie" or "session added: 1".
func (n *Notification) String() string {
	s := fmt.Sprintf("%v: PE %v", n.Type, n.PE)
	if n.Session != 0 {
		s = fmt.Sprintf("%v: %d", n.Type, n.Session)
	}
	if n.HasCookie {
		s += ", cookie"
	}
	if n.Err != nil {
		s += ": " + n.Err.Error()
	}
	return s
}
