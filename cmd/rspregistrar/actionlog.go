package main

import (
	"fmt"
	"io"
	"time"

	"github.com/rserpool/rsp"
)

const actionLogHeader = "AbsTime RelTime   Direction Protocol Action Reason   Flags Counter Time   PoolHandle PoolElementID   SenderID ReceiverID TargetID   ErrorCode\n"

// actionNames are RSPLIB's names of messages.
var actionNames = map[string]string{
	"REGISTRATION":               "Registration",
	"REGISTRATION_RESPONSE":      "RegistrationResponse",
	"DEREGISTRATION":             "Deregistration",
	"DEREGISTRATION_RESPONSE":    "DeregistrationResponse",
	"HANDLE_RESOLUTION":          "HandleResolution",
	"HANDLE_RESOLUTION_RESPONSE": "HandleResolutionResponse",
	"ENDPOINT_KEEP_ALIVE":        "EndpointKeepAlive",
	"ENDPOINT_KEEP_ALIVE_ACK":    "EndpointKeepAliveAck",
	"ENDPOINT_UNREACHABLE":       "EndpointUnreachable",
	"SERVER_ANNOUNCE":            "Announce",
	"COOKIE":                     "Cookie",
	"COOKIE_ECHO":                "CookieEcho",
	"BUSINESS_CARD":              "BusinessCard",
	"PRESENCE":                   "Presence",
	"HANDLE_TABLE_REQUEST":       "HandleTableRequest",
	"HANDLE_TABLE_RESPONSE":      "HandleTableResponse",
	"HANDLE_UPDATE":              "Update",
	"LIST_REQUEST":               "ListRequest",
	"LIST_RESPONSE":              "ListResponse",
	"INIT_TAKEOVER":              "InitTakeover",
	"INIT_TAKEOVER_ACK":          "InitTakeoverAck",
	"TAKEOVER_SERVER":            "TakeoverServer",
	"ERROR":                      "Error",
	"":                           "Unreadable",
}

// actionLog writes RSPLIB's log of messages, one line each. It belongs to the registrar's trace.
type actionLog struct {
	w         io.Writer
	start     time.Time
	id        rsp.RegistrarID // ours
	keepAlive time.Duration   // EndpointKeepAliveTransmissionInterval
	asked     map[element]time.Time
	lines     int
}

// element is a pool element that has not answered its keep-alive.
type element struct {
	pool rsp.PoolHandle
	id   rsp.PEID
}

func newActionLog(w io.Writer, start time.Time, keepAlive time.Duration) *actionLog {
	io.WriteString(w, actionLogHeader) // an error shows when the file is closed
	return &actionLog{w: w, start: start, keepAlive: keepAlive, asked: make(map[element]time.Time)}
}

// write writes a line. Unlike RSPLIB's, it never says Recv of what was sent nor the other way round.
func (l *actionLog) write(e rsp.TraceEntry) {
	l.lines++
	direction, protocol := "Recv", e.Protocol
	if e.Sent {
		direction = "Send"
	}
	if e.Multicast {
		protocol = "Multicast" + protocol
	}
	action, reason := describe(e)
	fmt.Fprintf(l.w, "%06d   %s %.6f   %q %q %q %q   0x%x %d %.6f   %q 0x%x   0x%x 0x%x 0x%x   %d\n",
		l.lines, seconds(e.Time), e.Time.Sub(l.start).Seconds(), direction, protocol, action, reason,
		e.Flags, e.Count, l.duration(e).Seconds(), e.Pool, uint32(e.PE),
		uint32(l.sender(e)), uint32(e.Receiver), uint32(e.Target), e.Cause)
}

// describe returns RSPLIB's words for what has happened and why.
func describe(e rsp.TraceEntry) (action, reason string) {
	if e.Lost != 0 {
		return "Deregistration", map[rsp.ChangeReason]string{
			rsp.AssociationLost: "Disconnect", rsp.KeepAliveLost: "KeepAliveTimeoutTimer", rsp.ReportedUnreachable: "Reported",
		}[e.Lost]
	}
	switch e.Message {
	case "REGISTRATION", "REGISTRATION_RESPONSE", "DEREGISTRATION", "DEREGISTRATION_RESPONSE",
		"HANDLE_RESOLUTION", "HANDLE_RESOLUTION_RESPONSE":
		reason = "Requested"
	case "ENDPOINT_KEEP_ALIVE":
		reason = "KeepAliveTransmissionTimer"
	case "ENDPOINT_KEEP_ALIVE_ACK":
		reason = "InTime"
	case "HANDLE_UPDATE":
		reason = "AddPE"
		if e.Deleted {
			reason = "DelPE"
		}
	}
	return actionNames[e.Message], reason
}

// sender is who a line names as the sender: of what passes between PEs and their home it is, in
// either direction, the home.
func (l *actionLog) sender(e rsp.TraceEntry) rsp.RegistrarID {
	switch e.Message {
	case "REGISTRATION", "REGISTRATION_RESPONSE", "DEREGISTRATION", "DEREGISTRATION_RESPONSE":
		return l.id
	}
	if e.Lost != 0 {
		return l.id
	}
	return e.Sender
}

// duration is how long a PE was quiet before its keep-alive, and how long it took to answer.
func (l *actionLog) duration(e rsp.TraceEntry) time.Duration {
	pe := element{e.Pool, e.PE}
	asked, waiting := l.asked[pe]
	switch {
	case e.Message == "ENDPOINT_KEEP_ALIVE" && e.Sent:
		l.asked[pe] = e.Time
		return l.keepAlive
	case e.Message == "ENDPOINT_KEEP_ALIVE_ACK" && waiting:
		delete(l.asked, pe)
		return e.Time.Sub(asked)
	case e.Lost != 0, e.Message == "DEREGISTRATION":
		delete(l.asked, pe)
	}
	return 0
}
