package rsp

import "fmt"

// NotificationType is what a Notification is about, by RSPLIB's names.
type NotificationType uint8

const (
	// FailoverNecessary: the session has lost its pool element. All that came from it has been read.
	FailoverNecessary NotificationType = iota + 1
	// FailoverComplete: the session goes on with another pool element.
	FailoverComplete
)

func (t NotificationType) String() string {
	switch t {
	case FailoverNecessary:
		return "failover necessary"
	case FailoverComplete:
		return "failover complete"
	}
	return fmt.Sprintf("NotificationType(%d)", uint8(t))
}

// Notification is what a session tells its user between messages; RecvMsg returns
// it if the Dialer asked for notifications.
type Notification struct {
	Type      NotificationType
	PE        PEID  // FailoverNecessary: the lost one, FailoverComplete: the new one
	HasCookie bool  // a cookie is stored; FailoverComplete: it was shown to the new PE
	Err       error // FailoverNecessary: what happened to the old one
}

// String prints "failover complete: PE 0x00000001, cookie".
func (n *Notification) String() string {
	s := fmt.Sprintf("%v: PE %v", n.Type, n.PE)
	if n.HasCookie {
		s += ", cookie"
	}
	if n.Err != nil {
		s += ": " + n.Err.Error()
	}
	return s
}
