package wire

import (
	"time"

	"github.com/rserpool/rsp/internal/protocol"
)

// rsplibMessages are messages that RSPLIB 3.4.4 sent, or such as it understood.
var rsplibMessages = append([]golden{
	{
		name: "registration, round robin",
		hex: `01000038 | 0009000c 4563686f506f6f6c | 000a0028 0abc0001 00000000 00015f90 |
			00040010 b001 0001 | 00010008 0a320004 | 00080008 00000001`,
		want: &Registration{Handle: "EchoPool", Element: registered(echoPE, 0)},
		text: `ASAP_REGISTRATION pool "EchoPool", PE 0x0abc0001 home 0x00000000 life 1m30s at sctp 10.50.0.4:45057+control, RoundRobin`,
	},
	{
		name: "registration, weighted round robin",
		hex: `01000040 | 00090010 50696e67506f6e67506f6f6c | 000a002c 0abc0002 00000000 00015f90 |
			00040010 c744 0001 | 00010008 0a320005 | 0008000c 00000002 00000003`,
		want: &Registration{Handle: "PingPongPool", Element: registered(pingPE, 0)},
		text: `ASAP_REGISTRATION pool "PingPongPool", PE 0x0abc0002 home 0x00000000 life 1m30s at sctp 10.50.0.5:51012+control, WeightedRoundRobin:3`,
	},
	{
		name: "registration, IPv4 and IPv6",
		hex: `0100004c | 00090007 503230 00 | 000a0040 00000014 00000000 00015f90 | 00040024 8db5 0001 |
			00010008 0a320005 | 00020014 fd000050000000000000000000000005 | 0008000c 00000005 00000009`,
		want: &Registration{Handle: "P20", Element: protocol.PoolElement{ID: 20, Life: life,
			User: sctp(36277, 1, "10.50.0.5", "fd00:50::5"), Policy: protocol.Policy{Type: protocol.Priority, Priority: 9}}},
		text: `ASAP_REGISTRATION pool "P20", PE 0x00000014 home 0x00000000 life 1m30s at sctp 10.50.0.5,[fd00:50::5]:36277+control, Priority:9`,
	},
	{
		name: "registration, TCP with use",
		hex: `01000034 | 00090006 5433 0000 | 000a0028 00000014 00000000 00015f90 | 00050010 0050 0001 |
			00010008 0a320004 | 00080008 00000003`,
		want: &Registration{Handle: "T3", Element: protocol.PoolElement{ID: 20, Life: life,
			User: withProtocol(protocol.TCP, sctp(80, 1, "10.50.0.4")), Policy: protocol.Policy{Type: protocol.Random}}},
		text: `ASAP_REGISTRATION pool "T3", PE 0x00000014 home 0x00000000 life 1m30s at tcp 10.50.0.4:80+control, Random`,
	},
	{
		name: "registration, UDP",
		hex: `01000034 | 00090006 5433 0000 | 000a0028 00000014 00000000 00015f90 | 00060010 0050 0000 |
			00010008 0a320004 | 00080008 00000003`,
		want: &Registration{Handle: "T3", Element: protocol.PoolElement{ID: 20, Life: life,
			User: withProtocol(protocol.UDP, sctp(80, 0, "10.50.0.4")), Policy: protocol.Policy{Type: protocol.Random}}},
		text: `ASAP_REGISTRATION pool "T3", PE 0x00000014 home 0x00000000 life 1m30s at udp 10.50.0.4:80, Random`,
	},
	{
		name: "registration response",
		hex:  `03000018 | 0009000c 4563686f506f6f6c | 000e0008 0abc0001`,
		want: &RegistrationResponse{Handle: "EchoPool", ID: 0x0abc0001},
		text: `ASAP_REGISTRATION_RESPONSE pool "EchoPool", PE 0x0abc0001`,
	},
	{
		name: "registration response, reject",
		hex:  `0301001c | 00090006 5031 0000 | 000e0008 00001002 | 000c0008 0005 0004`,
		want: &RegistrationResponse{Reject: true, Handle: "P1", ID: 0x1002, Causes: []ErrorCause{{Code: protocol.CauseInconsistentPolicy}}},
		text: `ASAP_REGISTRATION_RESPONSE [reject] pool "P1", PE 0x00001002, inconsistent pooling policy`,
	},
	{
		name: "deregistration",
		hex:  `02000018 | 0009000c 4563686f506f6f6c | 000e0008 0abc0001`,
		want: &Deregistration{Handle: "EchoPool", ID: 0x0abc0001},
		text: `ASAP_DEREGISTRATION pool "EchoPool", PE 0x0abc0001`,
	},
	{
		name: "deregistration response",
		hex:  `04000018 | 0009000c 4563686f506f6f6c | 000e0008 0abc0001`,
		want: &DeregistrationResponse{Handle: "EchoPool", ID: 0x0abc0001},
		text: `ASAP_DEREGISTRATION_RESPONSE pool "EchoPool", PE 0x0abc0001`,
	},
	{
		name: "handle resolution, items",
		hex:  `0500001c | 00090010 50696e67506f6e67506f6f6c | 803f0008 00000001`,
		want: &HandleResolution{Handle: "PingPongPool", Items: 1},
		text: `ASAP_HANDLE_RESOLUTION pool "PingPongPool", 1 items`,
	},
	{
		name: "handle resolution, all items",
		hex:  `0500001c | 00090010 50696e67506f6e67506f6f6c | 803f0008 ffffffff`,
		want: &HandleResolution{Handle: "PingPongPool", Items: AllItems},
		text: `ASAP_HANDLE_RESOLUTION pool "PingPongPool", all items`,
	},
	{
		name: "handle resolution, no items",
		hex:  `0500000c | 00090007 504637 00`,
		want: &HandleResolution{Handle: "PF7"},
		text: `ASAP_HANDLE_RESOLUTION pool "PF7"`,
	},
	{
		name: "handle resolution response",
		hex: `0600004c | 00090010 50696e67506f6e67506f6f6c | 0008000c 00000002 00000003 |
			000a002c 0abc0002 11111111 00015f90 | 00040010 c744 0001 | 00010008 0a320005 | 0008000c 00000002 00000003`,
		want: &HandleResolutionResponse{Handle: "PingPongPool", Policy: weighted3,
			Elements: []protocol.PoolElement{registered(pingPE, 0x11111111)}},
		text: `ASAP_HANDLE_RESOLUTION_RESPONSE pool "PingPongPool", WeightedRoundRobin:3, PE 0x0abc0002 home 0x11111111 life 1m30s at sctp 10.50.0.5:51012+control, WeightedRoundRobin:3`,
	},
	{
		name: "handle resolution response, negative",
		hex:  `0600001c | 0009000e 4e6f53756368506f6f6c 0000 | 000c0008 0009 0004`,
		want: &HandleResolutionResponse{Handle: "NoSuchPool", Causes: []ErrorCause{{Code: protocol.CauseUnknownPoolHandle}}},
		text: `ASAP_HANDLE_RESOLUTION_RESPONSE pool "NoSuchPool", unknown pool handle`,
	},
	{
		name: "handle resolution response, LeastUsedDPF",
		hex: `06000058 | 00090009 4c55445046 000000 | 00080014 b0002002 10000000 00028f5c 00000000 |
			000a0034 00000071 11111111 0000ea60 | 00040010 1e78 0001 | 00010008 0a320004 |
			00080014 b0002002 10000000 00028f5c 00000000`,
		want: &HandleResolutionResponse{Handle: "LUDPF", Policy: dpf, Elements: []protocol.PoolElement{
			{ID: 0x71, Home: 0x11111111, Life: time.Minute, User: sctp(7800, 1, "10.50.0.4"), Policy: dpf}}},
		text: `ASAP_HANDLE_RESOLUTION_RESPONSE pool "LUDPF", LeastUsedDPF:0.0625:3.90625e-05, PE 0x00000071 home 0x11111111 life 1m0s at sctp 10.50.0.4:7800+control, LeastUsedDPF:0.0625:3.90625e-05`,
	},
	{
		name: "endpoint keep-alive",
		hex:  `0700001c 11111111 | 0009000c 4563686f506f6f6c | 000e0008 0abc0001`,
		want: &EndpointKeepAlive{Registrar: 0x11111111, Handle: "EchoPool", ID: 0x0abc0001},
		text: `ASAP_ENDPOINT_KEEP_ALIVE registrar 0x11111111, pool "EchoPool", PE 0x0abc0001`,
	},
	{
		name: "endpoint keep-alive, home",
		hex:  `0701001c 33333333 | 0009000c 4563686f506f6f6c | 000e0008 0abc0001`,
		want: &EndpointKeepAlive{Home: true, Registrar: 0x33333333, Handle: "EchoPool", ID: 0x0abc0001},
		text: `ASAP_ENDPOINT_KEEP_ALIVE [home] registrar 0x33333333, pool "EchoPool", PE 0x0abc0001`,
	},
	{
		name: "endpoint keep-alive ack",
		hex:  `08000018 | 0009000c 4563686f506f6f6c | 000e0008 0abc0001`,
		want: &EndpointKeepAliveAck{Handle: "EchoPool", ID: 0x0abc0001},
		text: `ASAP_ENDPOINT_KEEP_ALIVE_ACK pool "EchoPool", PE 0x0abc0001`,
	},
	{
		name: "endpoint unreachable",
		hex:  `09000018 | 0009000c 4563686f506f6f6c | 000e0008 0abc0006`,
		want: &EndpointUnreachable{Handle: "EchoPool", ID: 0x0abc0006},
		text: `ASAP_ENDPOINT_UNREACHABLE pool "EchoPool", PE 0x0abc0006`,
	},
	{
		name: "server announce",
		hex:  `0a000008 11111111`,
		want: &ServerAnnounce{Registrar: 0x11111111},
		text: `ASAP_SERVER_ANNOUNCE registrar 0x11111111`,
	},
	{
		name: "cookie",
		hex:  `0b000018 | 000d0014 3c50502d5444313e 0000000000000002`,
		want: &Cookie{[]byte("<PP-TD1>\x00\x00\x00\x00\x00\x00\x00\x02")},
		text: `ASAP_COOKIE 3c50502d5444313e0000000000000002`,
	},
	{
		name: "cookie echo",
		hex:  `0c00001c | 000d0018 00000009 0000000000595034 0000000000195a69`,
		want: &CookieEcho{[]byte("\x00\x00\x00\x09\x00\x00\x00\x00\x00\x59\x50\x34\x00\x00\x00\x00\x00\x19\x5a\x69")},
		text: `ASAP_COOKIE_ECHO 0000000900000000005950340000000000195a69`,
	},
	{
		name: "ASAP error with the offending parameter",
		hex:  `0e000014 | 000c0010 0001 000c 40ff0008 61626364`,
		want: &ASAPError{[]ErrorCause{{protocol.CauseUnrecognizedParameter, []byte("\x40\xff\x00\x08abcd")}}},
		text: `ASAP_ERROR, unrecognized parameter (40ff000861626364)`,
	},
	{
		name: "ASAP error without data",
		hex:  `0e00000c | 000c0008 0010 0004`,
		want: &ASAPError{[]ErrorCause{{Code: protocol.CauseInvalidMessage}}},
		text: `ASAP_ERROR, invalid message`,
	},
}, rsplibENRP...)

// rfcMessages are forms that the RFCs have and RSPLIB does not send.
var rfcMessages = append([]golden{
	{
		name: "registration, DCCP",
		hex: `0100003c | 00090005 44 000000 | 000a0030 00000001 00000000 00000001 |
			00030014 1389 0000 52535031 | 00010008 c0000201 | 0008000c 40000001 80000000`,
		want: &Registration{Handle: "D", Element: protocol.PoolElement{ID: 1, Life: time.Millisecond,
			User:   protocol.TransportAddr{Protocol: protocol.DCCP, Port: 5001, ServiceCode: 0x52535031, Addrs: sctp(0, 0, "192.0.2.1").Addrs},
			Policy: protocol.Policy{Type: protocol.LeastUsed, Load: 0x80000000}}},
		text: `ASAP_REGISTRATION pool "D", PE 0x00000001 home 0x00000000 life 1ms at dccp 192.0.2.1:5001, LeastUsed:0.5`,
	},
	{
		name: "registration, UDP-Lite and unknown policy",
		hex: `01000038 | 00090005 4c 000000 | 000a002c 00000001 00000000 ffffffff |
			00070010 1389 0000 | 00010008 c0000201 | 0008000b 7fff0001 616263 00`,
		want: &Registration{Handle: "L", Element: protocol.PoolElement{ID: 1, Life: 0xffffffff * time.Millisecond,
			User:   withProtocol(protocol.UDPLite, sctp(5001, 0, "192.0.2.1")),
			Policy: protocol.Policy{Type: 0x7fff0001, Opaque: "abc"}}},
		text: `ASAP_REGISTRATION pool "L", PE 0x00000001 home 0x00000000 life 1193h2m47.295s at udplite 192.0.2.1:5001, policy(0x7fff0001):616263`,
	},
	{
		name: "registration, opaque transport",
		hex: `01000030 | 00090005 4f 000000 | 000a0024 00000001 00000000 00000000 |
			00100009 6162636465 000000 | 00080008 00000001`,
		want: &Registration{Handle: "O", Element: protocol.PoolElement{ID: 1,
			User: protocol.TransportAddr{Protocol: protocol.OpaqueTransport, Opaque: "abcde"}, Policy: roundRobin}},
		text: `ASAP_REGISTRATION pool "O", PE 0x00000001 home 0x00000000 life 0s at opaque 6162636465, RoundRobin`,
	},
	{
		name: "registration, ASAP transport",
		hex: `01000048 | 0009000c 4563686f506f6f6c | 000a0038 0abc0001 11111111 00015f90 | 00040010 b001 0001 |
			00010008 0a320004 | 00080008 00000001 | 00040010 9449 0000 | 00010008 0a320004`,
		want: &Registration{Handle: "EchoPool", Element: echoPE},
		text: `ASAP_REGISTRATION pool "EchoPool", PE 0x0abc0001 home 0x11111111 life 1m30s at sctp 10.50.0.4:45057+control, RoundRobin, asap sctp 10.50.0.4:37961`,
	},
	{
		name: "deregistration response, two causes",
		hex: `04000028 | 00090005 44 000000 | 000e0008 00000007 |
			000c0014 0001 0009 8123000561 000000 0000 0004`,
		want: &DeregistrationResponse{Handle: "D", ID: 7, Causes: []ErrorCause{
			{protocol.CauseUnrecognizedParameter, []byte("\x81\x23\x00\x05a")}, {Code: protocol.CauseUnspecified}}},
		text: `ASAP_DEREGISTRATION_RESPONSE pool "D", PE 0x00000007, unrecognized parameter (8123000561), unspecified error`,
	},
	{
		name: "handle resolution, subscribe",
		hex:  `0501000c | 00090008 50617274`,
		want: &HandleResolution{Subscribe: true, Handle: "Part"},
		text: `ASAP_HANDLE_RESOLUTION [subscribe] pool "Part"`,
	},
	{
		name: "handle resolution response, updates, no policy",
		hex: `06010038 | 0009000c 4563686f506f6f6c | 000a0028 0abc0001 11111111 00015f90 |
			00040010 b001 0001 | 00010008 0a320004 | 00080008 00000001`,
		want: &HandleResolutionResponse{AcceptUpdates: true, Handle: "EchoPool",
			Elements: []protocol.PoolElement{registered(echoPE, 0x11111111)}},
		text: `ASAP_HANDLE_RESOLUTION_RESPONSE [accept-updates] pool "EchoPool", PE 0x0abc0001 home 0x11111111 life 1m30s at sctp 10.50.0.4:45057+control, RoundRobin`,
	},
	{
		name: "endpoint keep-alive without PE identifier",
		hex:  `07000010 11111111 | 00090008 50617274`,
		want: &EndpointKeepAlive{Registrar: 0x11111111, Handle: "Part"},
		text: `ASAP_ENDPOINT_KEEP_ALIVE registrar 0x11111111, pool "Part"`,
	},
	{
		name: "server announce with transports",
		hex: `0a000030 11111111 | 00040018 0f17 0000 | 00010008 c0000201 | 00010008 c6336401 |
			00050010 0f17 0000 | 00010008 7f000001`,
		want: &ServerAnnounce{Registrar: 0x11111111, Transports: []protocol.TransportAddr{
			sctp(3863, 0, "192.0.2.1", "198.51.100.1"), withProtocol(protocol.TCP, sctp(3863, 0, "127.0.0.1"))}},
		text: `ASAP_SERVER_ANNOUNCE registrar 0x11111111, sctp 192.0.2.1,198.51.100.1:3863, tcp 127.0.0.1:3863`,
	},
	{
		name: "cookie, odd size",
		hex:  `0b00000c | 000d0005 78 000000`,
		want: &Cookie{[]byte("x")},
		text: `ASAP_COOKIE 78`,
	},
	{
		name: "business card",
		hex: `0d000038 | 0009000c 4563686f506f6f6c | 000a0028 0abc0001 11111111 00015f90 |
			00040010 b001 0001 | 00010008 0a320004 | 00080008 00000001`,
		want: &BusinessCard{Handle: "EchoPool", Elements: []protocol.PoolElement{registered(echoPE, 0x11111111)}},
		text: `ASAP_BUSINESS_CARD pool "EchoPool", PE 0x0abc0001 home 0x11111111 life 1m30s at sctp 10.50.0.4:45057+control, RoundRobin`,
	},
	{
		name: "business card with policy, as RSPLIB would write it",
		hex: `0d000040 | 0009000c 4563686f506f6f6c | 00080008 00000001 | 000a0028 0abc0001 11111111 00015f90 |
			00040010 b001 0001 | 00010008 0a320004 | 00080008 00000001`,
		want: &BusinessCard{Handle: "EchoPool", Policy: roundRobin, Elements: []protocol.PoolElement{registered(echoPE, 0x11111111)}},
		text: `ASAP_BUSINESS_CARD pool "EchoPool", RoundRobin, PE 0x0abc0001 home 0x11111111 life 1m30s at sctp 10.50.0.4:45057+control, RoundRobin`,
	},
	{
		name: "ASAP error, data of odd size",
		hex:  `0e000014 | 000c000d 0001 0009 4123000561 000000`,
		want: &ASAPError{[]ErrorCause{{protocol.CauseUnrecognizedParameter, []byte("\x41\x23\x00\x05a")}}},
		text: `ASAP_ERROR, unrecognized parameter (4123000561)`,
	},
}, rfcENRP...)

func withProtocol(p protocol.TransportProtocol, a protocol.TransportAddr) protocol.TransportAddr {
	a.Protocol = p
	return a
}
