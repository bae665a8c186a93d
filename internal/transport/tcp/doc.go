// Package tcp carries associations over TCP, for machines whose kernel has no SCTP.
//
// The protocol follows draft-ietf-rserpool-tcpmapping-03. The draft is unfinished: its
// section on protocol operations is empty. What it leaves open is fixed here, so that
// this text alone is enough to write another implementation.
//
// # Connections
//
// An association is one TCP connection. Ports are those of SCTP: 3863 for ASAP, 9901 for
// ENRP. Each direction is a sequence of chunks, integers in network byte order:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|     Type      |     Flags     |            Length             |
//	+---------------+---------------+-------------------------------+
//	|                  Value, zero bytes up to 4n                   |
//	+---------------------------------------------------------------+
//
// Length counts the header of 4 bytes and the value, not the padding. Flags that are not
// named below are sent as 0 and ignored. Each of these is a protocol error, after which
// the receiver aborts: an unknown type, a length that the chunk cannot have, a rule
// below that is broken.
//
//	type  chunk          length       value
//	  0   DATA           16 to 65535  see below; flag 0x04: unordered
//	  1   INIT           4            none; flags 0x01, 0x02, 0x04: see below
//	  3   ACK            8            cumulative TSN (4)
//	  4   HEARTBEAT      8 to 264     type 1 (2), length (2), up to 256 opaque bytes
//	  5   HEARTBEAT ACK  8 to 264     as in the HEARTBEAT
//	  7   SHUTDOWN       4            none
//
// The length within a HEARTBEAT is that of the chunk less 4. SHUTDOWN takes one of the
// types that the draft reserves; the number is SCTP's (RFC 4960 section 3.2).
//
// # Start
//
// Each side sends INIT once and first; the side that opened the connection does not wait
// for the other's, the other may. The draft's INIT flags announce that the sender leaves
// fields out of its DATA and ACK chunks: this profile has all fields in place, sends no
// flag, and aborts when it gets one of them. A side that has no INIT after 5 seconds
// aborts.
//
// # Messages
//
// A message is one DATA chunk:
//
//	+---------------+---------------+-------------------------------+
//	|    Type 0     |     |U|       |            Length             |
//	+---------------+---------------+-------------------------------+
//	|                 Transmission sequence number                  |
//	+-------------------------------+-------------------------------+
//	|       Stream identifier       |    Stream sequence number     |
//	+-------------------------------+-------------------------------+
//	|                  Payload protocol identifier                  |
//	+---------------------------------------------------------------+
//	|                             Data                              |
//
// so it has at most 65535 - 16 = 65519 bytes. The TSN is 0 in the first DATA chunk of a
// direction and grows by one; any other is a protocol error. The stream sequence number
// counts the ordered messages of a stream from 0, it is 0 in unordered ones, and the
// receiver needs it for nothing: TCP keeps the order. For the same reason unordered
// messages arrive in order.
//
// # Window
//
// The receiver reads the connection at all times, whether its user takes messages or
// not, so that heartbeats and the end of the association get through. What bounds it is
// a window of 1 MiB (1,048,576 bytes), counted as the Length of DATA chunks: a sender
// keeps no more than that unacknowledged, and a receiver that holds more undelivered
// aborts. As each message counts with its header, empty ones fill the window too.
//
// ACK acknowledges every message up to the TSN in it, after their delivery to the user.
// (The draft has one ACK for each DATA; here one may stand for several.) It is due 100
// ms after a delivery, at once when half the window has been delivered and not
// acknowledged, and it goes along with DATA that is sent anyway. An ACK for what was not
// sent, or for nothing new, is a protocol error.
//
// # Heartbeats
//
// All bytes from the peer are signs of life. After a heartbeat interval without any, and
// after each further one, a HEARTBEAT goes out. The peer answers with HEARTBEAT ACK and
// the same value; of several that wait for the answer to be written, one is answered.
// When the interval has passed as many times as the limit says since the first HEARTBEAT,
// the association is lost: limit + 1 intervals after the last byte. One interval after the first
// HEARTBEAT, the peer is suspected (transport.NoticeSuspect), until its next byte. Interval and limit
// (transport.Options.HeartbeatInterval and AssocMaxRetrans) are a matter of each side.
//
// # TLS
//
// An association may have TLS 1.3 between TCP and the chunks, INIT among them: the whole stream of chunks, with PPIDs and
// streams, is its application data. Both sides have certificates. The ports are those that IANA has for it, 3864 for ASAP and 9902
// for ENRP. The handshake and INIT have the time of INIT together.
//
// SHUTDOWN, protected itself, is the end of a direction; close_notify is not sent, and a connection that ends
// without SHUTDOWN was aborted, whatever TLS says of it. A side that does not let the other in tells why by an alert, in clear if
// there was no handshake: unexpected_message to INIT without TLS, handshake_failure to TLS where there is none. It reads on
// for a second before it closes the connection, so that the alert arrives.
//
// # End
//
// SHUTDOWN is the last chunk of its direction: its sender takes no more messages, and
// sends it behind all that it took. A side that receives SHUTDOWN takes no more messages
// either and answers with its own behind those that it took, unless it has sent it
// already. Who has both sent and received SHUTDOWN closes the connection. Nothing is
// acknowledged, and no heartbeat sent, after SHUTDOWN; what follows it is not read.
//
// While it waits for the other's SHUTDOWN, a side that has shut down delivers what still
// comes. One that was closed drops it, and closes the connection when there is no answer
// 5 seconds after its own SHUTDOWN was written, or when TCP has taken nothing of what is
// to be written for 5 seconds.
//
// A connection that ends without SHUTDOWN, be it by FIN or by RST, is an association
// that was aborted; so a peer that was killed is told from one that has closed. There is
// no chunk for it, as it could not overtake what TCP has already queued.
//
// # Use of transport.Options
//
// HeartbeatInterval and AssocMaxRetrans are as above; the other fields have no use here,
// for the window is the same for all.
package tcp
