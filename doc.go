// Package rsp gives a program server pools that survive the loss of any server and of
// any registrar: Reliable Server Pooling (RSerPool, RFC 3237 and 5351 to 5356), compatible
// with RSPLIB.
//
// # Roles
//
// A pool is a set of servers that do the same. It has a name, the pool handle, and
// clients ask for that name, never for an address.
//
//	                 ┌───────────────┐
//	    register,    │   registrar   │   resolve a pool handle,
//	   keep-alives   │ (a handlespace│   report who is unreachable
//	     ┌──────────▶│  of all pools)│◀──────────┐
//	     │   ASAP    └───────────────┘   ASAP    │
//	┌────┴─────────┐                      ┌──────┴──────┐
//	│ pool element │◀────── session ─────▶│  pool user  │
//	│   (server)   │    data and cookies  │  (client)   │
//	└──────────────┘                      └─────────────┘
//
// The pool element (PE) is a listening [Socket], from [Listen]; the pool user (PU) has
// sessions, from [Connect]; a [Registrar] can run in the same process, or as the program rspregistrar.
// An [Endpoint] is a program's part in one operation scope: its registrars, its PEs and its sessions.
//
// # Usage
//
// A server:
//
//	listener, err := rsp.Listen(ctx, "EchoPool")  // where net.Listen stood
//	for {
//		session, err := listener.Accept()     // a net.Conn
//		...
//	}
//
// A client:
//
//	session, err := rsp.Connect(ctx, "EchoPool")  // where net.Dial stood
//
// Both find a registrar by its announcements in the local network or at localhost:3863, or
// where the environment variable RSP_REGISTRARS says; [NewEndpoint] takes a [Config] instead. Registrars may be a domain's SRV
// records, or a name's addresses, which change while the program runs: see [Config].Registrars.
//
// # Registrars
//
// Several registrars make an operation scope (RFC 5353). They find each other by multicast or by
// [RegistrarConfig].Peers, keep one handlespace, and take over the PEs of one that dies: each PE and PU
// goes on with any of them, by itself. [Registrar.Shutdown] hands the PEs over at once.
//
// While no registrar can be reached, PEs serve those who know them, and an Endpoint goes on with what it
// was told of pools before ([Resolution].Stale), in sessions too.
//
// # Failover
//
// When a session loses its PE, it goes on with another one of the pool: reads and writes
// wait until that is done. A PE can give its PU a state cookie at any time ([Socket.SendCookie]),
// which the session shows to the next PE before anything else (an echo: [Socket.CookieEcho], or
// [MsgInfo].CookieEcho from [Socket.RecvMsg]). So the state travels with the client, and servers
// need to share none.
//
// The next PE is one that the registrar's latest answer named, by the pool's policy and while their registration lives last,
// so that nobody waits for a registrar. It is asked meanwhile: its choices come next, and if it does not answer, all that
// is known from its answers before. Another PE is tried beside one that does not answer; the first association
// that is up wins. Those that cannot be reached are reported, and tried last as long as the registrar still names them. While the whole pool is gone, the session seeks on, with pauses of up to a second,
// for [Dialer].FailoverTimeout; then reads and writes give a [SearchError], which names every attempt.
//
// A PE that misses answers is suspected: the session connects to the next one beside it, lets go of that
// when the first answers, and moves there at once when it is lost. [Dialer].Standby keeps such an association at
// all times. A loss is noticed also while nobody reads the session: then it reads by itself, and keeps up to 64 KiB of
// what comes.
//
// [Dialer].Failover chooses between this, RSPLIB's way (the session reports [ErrFailover]
// until [Socket.ForceFailover]), and none.
//
// # What is delivered
//
// As long as a session stays with a PE, each message arrives whole and once, in the order of its stream. When
// the PE is lost, by itself the session sends nothing twice:
//
//   - What [Socket.SendMsg] gave an error for was not sent. What it still waits with goes to the next PE.
//   - What was sent and is not answered may have been served or not. The lost PE has got the first of those
//     messages, up to some, and the next PE none of them.
//   - Of the lost PE's messages those that have arrived are read first; the others, its last ones, are lost.
//
// [Dialer].OnFailover is called with the new PE before anything but the cookie is sent to it: the place
// to send again what was not answered.
//
// [Dialer].Resend does that: the session keeps each message that is sent, a request, until it is answered, and
// sends those that are not to the next PE, in their order, behind the cookie and OnFailover, before anything
// new. So each request is answered as long as the session lasts, once, and in order by PEs that answer in order. But
//
//   - a PE may get a request that others have got: each one that was sent and whose answer had not arrived
//     when the session left the PE before, [FailoverEvent].Unanswered in number. One that was only too slow, or cut
//     off, may still be busy with it. And a cookie that came before the answer may tell of the request as served.
//     Number the requests if serving one twice matters;
//   - a request with several replies is answered from its first one anew;
//   - a request that kills its PE goes to the next one too;
//   - [Socket.Close] gives up what is not answered, and so does a failover that finds no PE in time.
//
// # Timers
//
// The defaults are for one site: a PE that is cut off silently is given up after 0.25 s if it has something
// to answer. Where round trips can take more than 60 ms, set [Config].Association to [WAN]. The page
// docs/timers.md of the repository lists every timer, and the worst cases that follow.
//
// # Serving
//
// [Server] runs a handler for each session, keeps their number below a limit, tells the registrar the load that
// follows from it, and shuts down without losing an answer: each PU gets a last cookie and goes over to another PE.
// [Socket.KeepCookie] sends cookies by count or by time; a [CookieSealer] makes them such that a PU can
// neither read nor change them. A listening Socket whose RecvMsg is called, instead of AcceptSocket, receives
// from all its sessions at once. [Socket.SetPolicy] tells a new load or weight, [Socket.SetHealthy] takes a PE out of its
// pool while its sessions go on.
//
// # Basic mode
//
// A server that knows nothing of RSerPool, of any transport, becomes a pool element by [Endpoint.RegisterElement];
// its clients get its address by [Endpoint.Resolve], go there by package net, and report by
// [Endpoint.ReportFailure] what they cannot reach.
//
// # Pools that talk to pools
//
// A PE that is a PU of another pool says so by a business card ([Dialer].PE). Who serves it goes to
// its pool by [Dialer.ConnectCard] when it is lost ([Socket.PeerCard]).
//
// # Transports
//
// Associations are the kernel's SCTP where it has it, else the same messages over TCP; see
// [Network]. The programs of a scope must agree: a PU reaches a PE only by the PE's transport.
//
// # TLS
//
// With [Config].TLS and [RegistrarConfig].TLS every association is encrypted, and both of its sides have proven
// by certificates who they are ([Socket.PeerCertificate]). It is RFC 5352 section 9.2's TLS over TCP, but version 1.3, and with
// certificates where the RFC has pre-shared keys, which package tls has not. It goes over the TCP mapping alone.
// Then a PE belongs to the name of the certificate that has registered it: nobody else can change it or take its place.
// [RegistrarConfig].Authorize decides about all else.
//
// # Limits
//
// Without TLS there is no authentication: whoever reaches a registrar can
// register and deregister any PE, as with RSPLIB. Run it in networks that you trust.
//
// A registrar that has kernel SCTP and one that has not reach each other by the TCP mapping if the
// latter is configured as a peer of the former; by multicast they do not find each other.
package rsp
