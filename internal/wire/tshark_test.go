package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rserpool/rsp/internal/protocol"
)

// Wireshark's dissectors of ASAP and ENRP are a second reader of every byte. They
// follow RSPLIB in most of its deviations: milliseconds, 0x803f, use with TCP, the PE
// identifier of a keep-alive. Where they do not, see malformedForTshark and
// addPolicy.

// dissected is what tshark shows of one message: the values of each field, in the
// order of the message.
type dissected map[string][]string

func TestTshark(t *testing.T) {
	for _, enrp := range []bool{false, true} {
		t.Run(dissector(enrp), func(t *testing.T) {
			messages := messagesForTshark(t, enrp)
			got := tshark(t, enrp, messages)
			if len(got) != len(messages) {
				t.Fatalf("tshark shows %d messages of %d", len(got), len(messages))
			}
			var d Decoder
			for i, b := range messages {
				m, err := decode(&d, enrp, b)
				if err != nil {
					t.Fatal(err)
				}
				if malformedForTshark(m) {
					continue
				}
				if diff := cmp.Diff(dissect(m, b), got[i]); diff != "" {
					t.Errorf("%v\n%x (-we +tshark):\n%s", m, b, diff)
				}
			}
		})
	}
}

func dissector(enrp bool) string {
	if enrp {
		return "enrp"
	}
	return "asap"
}

// messagesForTshark returns what we encode of every message in the tables, of every
// policy, and of what RSPLIB sent.
func messagesForTshark(t *testing.T, enrp bool) (messages [][]byte) {
	for _, g := range append(rsplibMessages, rfcMessages...) {
		if g.enrp == enrp {
			messages = append(messages, g.want.AppendTo(nil))
		}
	}
	for _, p := range everyPolicy() {
		e := echoPE
		e.Policy = p
		if enrp {
			messages = append(messages, (&HandleUpdate{Handle: "P", Element: e}).AppendTo(nil))
		} else {
			messages = append(messages, (&Registration{"P", registered(e, 0)}).AppendTo(nil))
		}
	}
	var d Decoder
	for _, r := range rsplibTraffic(t) {
		if r.enrp != enrp {
			continue
		}
		m, err := decode(&d, enrp, r.bytes)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m.AppendTo(nil))
	}
	return messages
}

// everyPolicy has a policy of each known type, all its fields different.
func everyPolicy() (policies []protocol.Policy) {
	for _, group := range []protocol.PolicyType{0, 0x40000000, 0xb0001000, 0xb0002000} {
		for n := range protocol.PolicyType(16) {
			p := protocol.Policy{Type: group + n}
			fields, ok := p.Type.Fields()
			if !ok {
				continue
			}
			for i, f := range fields {
				*p.Field(f) = uint32(i+1) << 28
			}
			policies = append(policies, p)
		}
	}
	return policies
}

// malformedForTshark reports whether tshark wants more of m than RSPLIB sends: by RFC
// 5354 section 3.12.6 cause 0x0005 carries the pool's policy, RSPLIB's carries
// nothing.
func malformedForTshark(m Message) bool {
	r, ok := m.(*RegistrationResponse)
	return ok && slices.ContainsFunc(r.Causes, func(c ErrorCause) bool {
		return c.Code == protocol.CauseInconsistentPolicy && c.Data == nil
	})
}

// shownFields are the fields that we ask tshark for.
var shownFields = []string{
	"message_type", "message_flags", "message_length", "parameter_type", "cause_code", "cause_length", "cause_info",
	"ipv4_address", "ipv6_address", "transport_use",
	"sctp_transport_port", "tcp_transport_port", "udp_transport_port", "udp_lite_transport_port",
	"dccp_transport_port", "dccp_transport_service_code",
	"pool_member_selection_policy_type", "pool_member_selection_policy_value",
	"pool_member_selection_policy_weight", "pool_member_selection_policy_priority",
	"pool_member_selection_policy_load", "pool_member_selection_policy_degradation",
	"pool_member_selection_policy_load_dpf", "pool_member_selection_policy_weight_dpf",
	"pool_member_selection_policy_distance",
	"pool_handle_pool_handle", "pool_element_pe_identifier", "pool_element_home_enrp_server_identifier",
	"pool_element_registration_life", "cookie", "pe_identifier", "pe_checksum",
}

var shownFieldsOf = map[string][]string{
	"asap": append([]string{"hropt_items", "server_identifier", "h_bit", "r_bit"}, shownFields...),
	"enrp": append([]string{"sender_servers_id", "receiver_servers_id", "target_servers_id", "update_action", "reserved",
		"server_information_server_identifier", "r_bit", "w_bit", "m_bit", "t_bit"}, shownFields...),
}

// tshark dissects messages as SCTP user messages of their PPID.
func tshark(t *testing.T, enrp bool, messages [][]byte) (shown []dissected) {
	t.Helper()
	for _, program := range []string{"text2pcap", "tshark"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("RSP_LAB") == "required" {
				t.Fatalf("RSP_LAB=required, but: %v", err)
			}
			t.Skipf("%s is not installed", program)
		}
	}
	dir := t.TempDir()
	text, capture := filepath.Join(dir, "messages.txt"), filepath.Join(dir, "messages.pcap")
	var dump bytes.Buffer
	for _, b := range messages {
		fmt.Fprintf(&dump, "000000 % x\n", b)
	}
	if err := os.WriteFile(text, dump.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	headers := fmt.Sprintf("%d,%d,%d", protocol.PortASAP, protocol.PortASAP, protocol.PPIDASAP)
	if enrp {
		headers = fmt.Sprintf("%d,%d,%d", protocol.PortENRP, protocol.PortENRP, protocol.PPIDENRP)
	}
	if out, err := exec.Command("text2pcap", "-q", "-S", headers, text, capture).CombinedOutput(); err != nil {
		t.Fatalf("text2pcap: %v\n%s", err, out)
	}
	name := dissector(enrp)
	args := []string{"-n", "-r", capture, "-T", "json", "-e", "_ws.malformed", "-e", "_ws.expert"}
	for _, field := range shownFieldsOf[name] {
		args = append(args, "-e", name+"."+field)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	var packets []struct {
		Source struct{ Layers dissected } `json:"_source"`
	}
	if err := json.Unmarshal(out, &packets); err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		fields := dissected{}
		for field, values := range p.Source.Layers {
			fields[strings.TrimPrefix(field, name+".")] = values
		}
		shown = append(shown, fields)
	}
	return shown
}

func (f dissected) add(field, format string, values ...any) {
	f[field] = append(f[field], fmt.Sprintf(format, values...))
}

func (f dissected) addBit(field string, set bool) {
	if set {
		f.add(field, "1")
	} else {
		f.add(field, "0")
	}
}

func (f dissected) addParam(t paramType) { f.add("parameter_type", "0x%04x", uint16(t)) }

func (f dissected) addHandle(h protocol.PoolHandle) {
	f.addParam(paramPoolHandle)
	f.add("pool_handle_pool_handle", "%x", string(h))
}

func (f dissected) addID(id protocol.PEID) {
	f.addParam(paramPEIdentifier)
	f.add("pe_identifier", "%v", id)
}

func (f dissected) addTransport(a protocol.TransportAddr) {
	f.addParam(paramType(a.Protocol))
	switch a.Protocol {
	case protocol.OpaqueTransport:
		return
	case protocol.DCCP:
		f.add("dccp_transport_service_code", "%d", a.ServiceCode)
	case protocol.SCTP, protocol.TCP:
		f.add("transport_use", "%d", a.Use)
	}
	f.add(strings.Replace(a.Protocol.String(), "udplite", "udp_lite", 1)+"_transport_port", "%d", a.Port)
	for _, addr := range a.Addrs {
		if addr.Is4() {
			f.addParam(paramIPv4)
			f.add("ipv4_address", "%v", addr)
		} else {
			f.addParam(paramIPv6)
			f.add("ipv6_address", "%v", addr)
		}
	}
}

func (f dissected) addPolicy(p protocol.Policy) {
	f.addParam(paramPolicy)
	f.add("pool_member_selection_policy_type", "0x%08x", uint32(p.Type))
	fields, known := p.Type.Fields()
	private := p.Type&0x80000000 != 0
	if !known || private && p.Type != protocol.WeightedRandomDPF && p.Type != protocol.LeastUsedDPF {
		// tshark knows only two of RSPLIB's private policies. It shows the others as
		// bytes, and counts the padding among them.
		var w writer
		w.policy(p)
		f.add("pool_member_selection_policy_value", "%x", w.b[8:])
		return
	}
	for _, field := range fields {
		name, value := shownPolicyField(field, *p.Field(field))
		f.add("pool_member_selection_policy_"+name, "%s", value)
	}
}

// shownPolicyField returns the name and the value of a policy's field in tshark, which
// shows loads in percent, but the DPF fields as fractions.
func shownPolicyField(field protocol.PolicyField, v uint32) (name, value string) {
	fraction := float64(v) / protocol.MaxLoad
	switch field {
	case protocol.FieldWeight:
		return "weight", fmt.Sprint(v)
	case protocol.FieldPriority:
		return "priority", fmt.Sprint(v)
	case protocol.FieldDistance:
		return "distance", fmt.Sprint(v)
	case protocol.FieldLoad:
		return "load", fmt.Sprintf("%.15g", 100*fraction)
	case protocol.FieldDegradation:
		return "degradation", fmt.Sprintf("%.15g", 100*fraction)
	case protocol.FieldLoadDPF:
		return "load_dpf", fmt.Sprintf("%.15g", fraction)
	default:
		return "weight_dpf", fmt.Sprintf("%.15g", fraction)
	}
}

func (f dissected) addElements(elements ...protocol.PoolElement) {
	for _, e := range elements {
		f.addParam(paramPoolElement)
		f.add("pool_element_pe_identifier", "%v", e.ID)
		f.add("pool_element_home_enrp_server_identifier", "%v", e.Home)
		f.add("pool_element_registration_life", "%d", int32(e.Life.Milliseconds())) // signed, as in RFC 5354
		f.addTransport(e.User)
		f.addPolicy(e.Policy)
		if !e.ASAP.IsZero() {
			f.addTransport(e.ASAP)
		}
	}
}

func (f dissected) addServers(servers ...ServerInformation) {
	for _, s := range servers {
		f.addParam(paramServerInfo)
		f.add("server_information_server_identifier", "%v", s.ID)
		f.addTransport(s.Transport)
	}
}

func (f dissected) addCauses(causes []ErrorCause) {
	if len(causes) > 0 {
		f.addParam(paramOperationError)
	}
	for _, c := range causes {
		f.add("cause_code", "0x%04x", uint16(c.Code))
		f.add("cause_length", "%d", 4+len(c.Data))
		if c.Code == protocol.CauseUnrecognizedParameter {
			f.addParam(paramType(binary.BigEndian.Uint16(c.Data)))
		} else if len(c.Data) > 0 {
			f.add("cause_info", "%x", c.Data)
		}
	}
}

func (f dissected) addCookie(cookie []byte) {
	f.addParam(paramCookie)
	f.add("cookie", "%x", cookie)
}

// dissect is what tshark is to show of m, whose bytes are b.
func dissect(m Message, b []byte) dissected {
	f := dissected{}
	f.add("message_type", "%d", b[0])
	f.add("message_flags", "0x%02x", b[1])
	f.add("message_length", "%d", len(b))
	if !f.dissectASAP(m) {
		f.add("sender_servers_id", "0x%08x", binary.BigEndian.Uint32(b[4:]))
		f.add("receiver_servers_id", "0x%08x", binary.BigEndian.Uint32(b[8:]))
		f.dissectENRP(m)
	}
	return f
}

func (f dissected) dissectASAP(m Message) bool {
	switch m := m.(type) {
	case *Registration:
		f.addHandle(m.Handle)
		f.addElements(m.Element)
	case *Deregistration:
		f.addHandle(m.Handle)
		f.addID(m.ID)
	case *RegistrationResponse:
		f.addBit("r_bit", m.Reject)
		f.addHandle(m.Handle)
		f.addID(m.ID)
		f.addCauses(m.Causes)
	case *DeregistrationResponse:
		f.addHandle(m.Handle)
		f.addID(m.ID)
		f.addCauses(m.Causes)
	case *HandleResolution:
		f.addHandle(m.Handle)
		if m.Items != 0 {
			f.addParam(paramItems | actionSkip)
			f.add("hropt_items", "%d", m.Items)
		}
	case *HandleResolutionResponse:
		f.addHandle(m.Handle)
		f.addPoolPolicy(m.Policy)
		f.addElements(m.Elements...)
		f.addCauses(m.Causes)
	case *EndpointKeepAlive:
		f.addBit("h_bit", m.Home)
		f.add("server_identifier", "%v", m.Registrar)
		f.addHandle(m.Handle)
		if m.ID != 0 {
			f.addID(m.ID)
		}
	case *EndpointKeepAliveAck:
		f.addHandle(m.Handle)
		f.addID(m.ID)
	case *EndpointUnreachable:
		f.addHandle(m.Handle)
		f.addID(m.ID)
	case *ServerAnnounce:
		f.add("server_identifier", "%v", m.Registrar)
		for _, a := range m.Transports {
			f.addTransport(a)
		}
	case *Cookie:
		f.addCookie(m.Cookie)
	case *CookieEcho:
		f.addCookie(m.Cookie)
	case *BusinessCard:
		f.addHandle(m.Handle)
		f.addPoolPolicy(m.Policy)
		f.addElements(m.Elements...)
	case *ASAPError:
		f.addCauses(m.Causes)
	default:
		return false
	}
	return true
}

func (f dissected) addPoolPolicy(p protocol.Policy) {
	if p.Type != 0 {
		f.addPolicy(p)
	}
}

func (f dissected) dissectENRP(m Message) {
	switch m := m.(type) {
	case *Presence:
		f.addBit("r_bit", m.ReplyRequired)
		if m.HasChecksum {
			f.addParam(paramPEChecksum)
			f.add("pe_checksum", "0x%04x", m.Checksum)
		}
		if !m.Server.Transport.IsZero() {
			f.addServers(m.Server)
		}
	case *HandleTableRequest:
		f.addBit("w_bit", m.OwnChildrenOnly)
	case *HandleTableResponse:
		f.addBit("r_bit", m.Reject)
		f.addBit("m_bit", m.MoreToSend)
		for _, entry := range m.Entries {
			f.addHandle(entry.Handle)
			f.addElements(entry.Elements...)
		}
	case *HandleUpdate:
		f.addBit("t_bit", m.TakeoverSuggested)
		f.add("update_action", "%d", m.Action)
		f.add("reserved", "0x0000")
		f.addHandle(m.Handle)
		f.addElements(m.Element)
	case *ListResponse:
		f.addBit("r_bit", m.Reject)
		f.addServers(m.Servers...)
	case *InitTakeover:
		f.add("target_servers_id", "%v", m.Target)
	case *InitTakeoverAck:
		f.add("target_servers_id", "%v", m.Target)
	case *TakeoverServer:
		f.add("target_servers_id", "%v", m.Target)
	case *ENRPError:
		f.addCauses(m.Causes)
	}
}
