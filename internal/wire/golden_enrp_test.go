package wire

import (
	"github.com/rserpool/rsp/internal/protocol"
)

// Three registrars of the lab, and the probe of one.
const (
	pr1   protocol.RegistrarID = 0x11111111
	pr2   protocol.RegistrarID = 0x22222222
	pr3   protocol.RegistrarID = 0x33333333
	probe protocol.RegistrarID = 0x77777777
)

var rsplibENRP = []golden{
	{
		name: "presence to all", enrp: true,
		hex: `0100002c 11111111 00000000 | 000f0006 8794 0000 | 000b0018 11111111 | 00040010 26ad 0000 | 00010008 0a320001`,
		want: &Presence{Sender: pr1, HasChecksum: true, Checksum: 0x8794,
			Server: ServerInformation{pr1, sctp(9901, 0, "10.50.0.1")}},
		text: `ENRP_PRESENCE 0x11111111 to 0x00000000, checksum 0x8794, registrar 0x11111111 at sctp 10.50.0.1:9901`,
	},
	{
		name: "presence, reply required", enrp: true,
		hex: `0101002c 22222222 11111111 | 000f0006 ffff 0000 | 000b0018 22222222 | 00040010 26ad 0000 | 00010008 0a320002`,
		want: &Presence{ReplyRequired: true, Sender: pr2, Receiver: pr1, HasChecksum: true, Checksum: 0xffff,
			Server: ServerInformation{pr2, sctp(9901, 0, "10.50.0.2")}},
		text: `ENRP_PRESENCE [reply-required] 0x22222222 to 0x11111111, checksum 0xffff, registrar 0x22222222 at sctp 10.50.0.2:9901`,
	},
	{
		name: "presence, loopback address", enrp: true,
		hex: `01000034 11111111 00000000 | 000f0006 ffff 0000 | 000b0020 11111111 | 00040018 7645 0000 |
			00010008 7f000001 | 00010008 0a320001`,
		want: &Presence{Sender: pr1, HasChecksum: true, Checksum: 0xffff,
			Server: ServerInformation{pr1, sctp(30277, 0, "127.0.0.1", "10.50.0.1")}},
		text: `ENRP_PRESENCE 0x11111111 to 0x00000000, checksum 0xffff, registrar 0x11111111 at sctp 127.0.0.1,10.50.0.1:30277`,
	},
	{
		name: "presence, IPv6 and IPv4", enrp: true,
		hex: `01000040 11111111 00000000 | 000f0006 ffff 0000 | 000b002c 11111111 | 00040024 26ad 0000 |
			00020014 fd000050000000000000000000000001 | 00010008 0a320001`,
		want: &Presence{Sender: pr1, HasChecksum: true, Checksum: 0xffff,
			Server: ServerInformation{pr1, sctp(9901, 0, "fd00:50::1", "10.50.0.1")}},
		text: `ENRP_PRESENCE 0x11111111 to 0x00000000, checksum 0xffff, registrar 0x11111111 at sctp [fd00:50::1],10.50.0.1:9901`,
	},
	{
		name: "handle table request", enrp: true,
		hex:  `0200000c 22222222 11111111`,
		want: &HandleTableRequest{Sender: pr2, Receiver: pr1},
		text: `ENRP_HANDLE_TABLE_REQUEST 0x22222222 to 0x11111111`,
	},
	{
		name: "handle table request, own children only", enrp: true,
		hex:  `0201000c 22222222 33333333`,
		want: &HandleTableRequest{OwnChildrenOnly: true, Sender: pr2, Receiver: pr3},
		text: `ENRP_HANDLE_TABLE_REQUEST [own-children-only] 0x22222222 to 0x33333333`,
	},
	{
		name: "handle table response", enrp: true,
		hex: `0300009c 11111111 22222222 |
			0009000c 4563686f506f6f6c | 000a0038 0abc0001 11111111 00015f90 | 00040010 b001 0001 | 00010008 0a320004 |
			00080008 00000001 | 00040010 9449 0000 | 00010008 0a320004 |
			00090010 50696e67506f6e67506f6f6c | 000a003c 0abc0002 11111111 00015f90 | 00040010 c744 0001 |
			00010008 0a320005 | 0008000c 00000002 00000003 | 00040010 810b 0000 | 00010008 0a320005`,
		want: &HandleTableResponse{Sender: pr1, Receiver: pr2, Entries: []PoolEntry{
			{"EchoPool", []protocol.PoolElement{echoPE}}, {"PingPongPool", []protocol.PoolElement{pingPE}}}},
		text: `ENRP_HANDLE_TABLE_RESPONSE 0x11111111 to 0x22222222; pool "EchoPool", PE 0x0abc0001 home 0x11111111 life 1m30s at sctp 10.50.0.4:45057+control, RoundRobin, asap sctp 10.50.0.4:37961; pool "PingPongPool", PE 0x0abc0002 home 0x11111111 life 1m30s at sctp 10.50.0.5:51012+control, WeightedRoundRobin:3, asap sctp 10.50.0.5:33035`,
	},
	{
		name: "handle table response, reject", enrp: true,
		hex:  `0301000c 11111111 77777777`,
		want: &HandleTableResponse{Reject: true, Sender: pr1, Receiver: probe},
		text: `ENRP_HANDLE_TABLE_RESPONSE [reject] 0x11111111 to 0x77777777`,
	},
	{
		name: "handle table response, empty", enrp: true,
		hex:  `0300000c 11111111 22222222`,
		want: &HandleTableResponse{Sender: pr1, Receiver: pr2},
		text: `ENRP_HANDLE_TABLE_RESPONSE 0x11111111 to 0x22222222`,
	},
	{
		name: "handle table response, more to send", enrp: true,
		hex: `03020084 11111111 77777777 | 00090006 5042 0000 |
			000a0038 0abc0001 11111111 00015f90 | 00040010 b001 0001 | 00010008 0a320004 |
			00080008 00000001 | 00040010 9449 0000 | 00010008 0a320004 |
			000a0038 0abc0001 11111111 00015f90 | 00040010 b001 0001 | 00010008 0a320004 |
			00080008 00000001 | 00040010 9449 0000 | 00010008 0a320004`,
		want: &HandleTableResponse{MoreToSend: true, Sender: pr1, Receiver: probe, Entries: []PoolEntry{
			{"PB", []protocol.PoolElement{echoPE, echoPE}}}},
		text: `ENRP_HANDLE_TABLE_RESPONSE [more-to-send] 0x11111111 to 0x77777777; pool "PB", PE 0x0abc0001 home 0x11111111 life 1m30s at sctp 10.50.0.4:45057+control, RoundRobin, asap sctp 10.50.0.4:37961, PE 0x0abc0001 home 0x11111111 life 1m30s at sctp 10.50.0.4:45057+control, RoundRobin, asap sctp 10.50.0.4:37961`,
	},
	{
		name: "handle update, add", enrp: true,
		hex: `0400005c 22222222 11111111 0000 0000 | 00090010 50696e67506f6e67506f6f6c |
			000a003c 0abc0003 22222222 00015f90 | 00040010 9250 0001 | 00010008 0a320006 |
			0008000c 00000002 00000003 | 00040010 a0f5 0000 | 00010008 0a320006`,
		want: &HandleUpdate{Sender: pr2, Receiver: pr1, Action: AddPE, Handle: "PingPongPool",
			Element: protocol.PoolElement{ID: 0x0abc0003, Home: pr2, Life: life, User: sctp(37456, 1, "10.50.0.6"),
				Policy: weighted3, ASAP: sctp(41205, 0, "10.50.0.6")}},
		text: `ENRP_HANDLE_UPDATE 0x22222222 to 0x11111111, add pool "PingPongPool", PE 0x0abc0003 home 0x22222222 life 1m30s at sctp 10.50.0.6:37456+control, WeightedRoundRobin:3, asap sctp 10.50.0.6:41205`,
	},
	{
		name: "handle update, delete, takeover suggested", enrp: true,
		hex: `04010054 11111111 77777777 0001 0000 | 0009000c 4563686f506f6f6c |
			000a0038 0abc0001 11111111 00015f90 | 00040010 b001 0001 | 00010008 0a320004 |
			00080008 00000001 | 00040010 9449 0000 | 00010008 0a320004`,
		want: &HandleUpdate{TakeoverSuggested: true, Sender: pr1, Receiver: probe, Action: DeletePE, Handle: "EchoPool", Element: echoPE},
		text: `ENRP_HANDLE_UPDATE [takeover-suggested] 0x11111111 to 0x77777777, delete pool "EchoPool", PE 0x0abc0001 home 0x11111111 life 1m30s at sctp 10.50.0.4:45057+control, RoundRobin, asap sctp 10.50.0.4:37961`,
	},
	{
		name: "list request", enrp: true,
		hex:  `0500000c 22222222 11111111`,
		want: &ListRequest{Sender: pr2, Receiver: pr1},
		text: `ENRP_LIST_REQUEST 0x22222222 to 0x11111111`,
	},
	{
		name: "list response", enrp: true,
		hex: `06000024 11111111 22222222 | 000b0018 22222222 | 00040010 26ad 0000 | 00010008 0a320002`,
		want: &ListResponse{Sender: pr1, Receiver: pr2, Servers: []ServerInformation{
			{pr2, sctp(9901, 0, "10.50.0.2")}}},
		text: `ENRP_LIST_RESPONSE 0x11111111 to 0x22222222, registrar 0x22222222 at sctp 10.50.0.2:9901`,
	},
	{
		name: "init takeover", enrp: true,
		hex:  `07000010 33333333 22222222 11111111`,
		want: &InitTakeover{Sender: pr3, Receiver: pr2, Target: pr1},
		text: `ENRP_INIT_TAKEOVER 0x33333333 to 0x22222222, target 0x11111111`,
	},
	{
		name: "init takeover ack", enrp: true,
		hex:  `08000010 22222222 33333333 11111111`,
		want: &InitTakeoverAck{Sender: pr2, Receiver: pr3, Target: pr1},
		text: `ENRP_INIT_TAKEOVER_ACK 0x22222222 to 0x33333333, target 0x11111111`,
	},
	{
		name: "takeover server", enrp: true,
		hex:  `09000010 66666666 11111111 77777777`,
		want: &TakeoverServer{Sender: 0x66666666, Receiver: pr1, Target: probe},
		text: `ENRP_TAKEOVER_SERVER 0x66666666 to 0x11111111, target 0x77777777`,
	},
	{
		name: "ENRP error", enrp: true,
		hex:  `0a000014 77777777 11111111 | 000c0008 0010 0004`,
		want: &ENRPError{Sender: probe, Receiver: pr1, Causes: []ErrorCause{{Code: protocol.CauseInvalidMessage}}},
		text: `ENRP_ERROR 0x77777777 to 0x11111111, invalid message`,
	},
}

var rfcENRP = []golden{
	{
		name: "presence without parameters", enrp: true,
		hex:  `0100000c 11111111 00000000`,
		want: &Presence{Sender: pr1},
		text: `ENRP_PRESENCE 0x11111111 to 0x00000000`,
	},
	{
		name: "presence without checksum", enrp: true,
		hex:  `01000024 11111111 00000000 | 000b0018 11111111 | 00040010 26ad 0000 | 00010008 0a320001`,
		want: &Presence{Sender: pr1, Server: ServerInformation{pr1, sctp(9901, 0, "10.50.0.1")}},
		text: `ENRP_PRESENCE 0x11111111 to 0x00000000, registrar 0x11111111 at sctp 10.50.0.1:9901`,
	},
	{
		name: "presence without server information", enrp: true,
		hex:  `01000014 11111111 00000000 | 000f0006 0000 0000`,
		want: &Presence{Sender: pr1, HasChecksum: true},
		text: `ENRP_PRESENCE 0x11111111 to 0x00000000, checksum 0x0000`,
	},
	{
		name: "list response, reject", enrp: true,
		hex:  `0601000c 11111111 22222222`,
		want: &ListResponse{Reject: true, Sender: pr1, Receiver: pr2},
		text: `ENRP_LIST_RESPONSE [reject] 0x11111111 to 0x22222222`,
	},
	{
		name: "ENRP error with the offending parameter", enrp: true,
		hex: `0a00001c 77777777 11111111 | 000c0010 0011 000c 000b0008 11111111`,
		want: &ENRPError{Sender: probe, Receiver: pr1, Causes: []ErrorCause{
			{protocol.CauseInvalidValue, []byte("\x00\x0b\x00\x08\x11\x11\x11\x11")}}},
		text: `ENRP_ERROR 0x77777777 to 0x11111111, invalid parameter value (000b000811111111)`,
	},
}
