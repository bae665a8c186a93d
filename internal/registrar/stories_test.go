package registrar

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rserpool/rsp/internal/enrp"
	"github.com/rserpool/rsp/internal/protocol"
	"github.com/rserpool/rsp/internal/transport"
	"github.com/rserpool/rsp/internal/wire"
)

var rewrite = flag.Bool("rewrite", false, "write what happens into the stories, to be reviewed")

// The stories in testdata tell what registrars do, message by message. Each is a comment, then
// commands with what happens under "----" up to an empty line:
//
//	start 1 [peers=2,3] [page=N]           a registrar begins; a page of its table has N PEs
//	registrars N                           1 to N begin, and find each other; this is not told
//	register registrar=1,2 pool=Echo pe=7 [policy=LeastUsed:0.3]
//	                                       a PE begins, which knows these registrars, or has a new policy
//	deregister pe=7                        it leaves
//	kill 1, poweroff 1, shutdown 1         so ends a registrar
//	cut 1 2, heal 1 2                      the network between registrars
//	drop-next 1->2 HANDLE_UPDATE           the next such message is lost
//	advance 5s                             time passes
//	dump                                   what each registrar has
//	trace all                              also signs of life that say nothing new
//
// A message stands at the time when it is sent, and arrives a millisecond later. Of PRESENCEs and
// keep-alives only those are told that differ from the last one.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d stories: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newStory(t).tell(string(text))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(strings.Split(string(text), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// story is a bus whose life is told.
type story struct {
	*bus
	registrars map[string]*node // by number, as PEs
	pes        map[string]*node
	mute, all  bool
	out        strings.Builder
	last       map[sign]string // of each kind of sign of life, the last one
	losing     []string        // "1->2 HANDLE_UPDATE"
}

func newStory(t *testing.T) *story {
	s := &story{bus: newBus(t), registrars: make(map[string]*node), pes: make(map[string]*node), last: make(map[sign]string)}
	s.trace, s.drop = s.note, s.loses
	return s
}

// tell returns text with what really happens under each "----".
func (s *story) tell(text string) string {
	var commands []string
	expected := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case expected && line == "":
			expected = false
			fmt.Fprintln(&s.out)
		case expected:
		case line == "----":
			fmt.Fprintln(&s.out, line)
			for _, c := range commands {
				s.do(c)
			}
			commands, expected = nil, true
		default:
			fmt.Fprintln(&s.out, line)
			if line != "" && !strings.HasPrefix(line, "#") {
				commands = append(commands, line)
			}
		}
	}
	return s.out.String()
}

// do runs a command. Its arguments are words, some as key=value.
func (s *story) do(command string) {
	words := strings.Fields(command)
	options := make(map[string]string)
	for _, word := range words[1:] {
		if key, value, ok := strings.Cut(word, "="); ok {
			options[key] = value
		}
	}
	switch args := words[1:]; words[0] {
	case "start":
		s.start(args[0], s.named(options["peers"]), options["page"])
	case "registrars":
		s.startAll(args[0])
	case "register":
		s.register(options)
	case "deregister":
		pe := s.pes[options["pe"]]
		pe.client.Deregister(s.now, protocol.PoolHandle(options["pool"]), protocol.PEID(s.number(options["pe"])))
		pe.drain()
	case "kill":
		s.registrars[args[0]].stop(transport.ErrAborted)
	case "poweroff":
		s.powerOff(s.registrars[args[0]])
	case "shutdown":
		s.shutDown(s.registrars[args[0]])
	case "cut":
		s.separate(s.registrars[args[0]], s.registrars[args[1]])
	case "heal":
		s.join(s.registrars[args[0]], s.registrars[args[1]])
	case "drop-next":
		s.losing = append(s.losing, args[0]+" "+args[1])
	case "advance":
		wait, err := time.ParseDuration(args[0])
		if err != nil {
			s.Fatal(err)
		}
		s.run(wait)
	case "dump":
		s.dump()
	case "trace":
		s.all = args[0] == "all"
	default:
		s.Fatalf("unknown command %q", command)
	}
}

func (s *story) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.Fatal(err)
	}
	return n
}

// named lists registrars by their numbers, separated by commas.
func (s *story) named(list string) (nodes []*node) {
	for number := range strings.SplitSeq(list, ",") {
		if number != "" {
			nodes = append(nodes, s.registrars[number])
		}
	}
	return nodes
}

func (s *story) start(number string, peers []*node, page string) {
	if page == "" {
		page = "128"
	}
	n := s.addRegistrar(protocol.RegistrarID(s.number(number)), s.number(page))
	s.registrars[number] = n
	n.start(peers)
}

func (s *story) startAll(count string) {
	s.mute = true
	var earlier []*node
	for i := range s.number(count) {
		number := strconv.Itoa(i + 1)
		s.start(number, earlier, "")
		earlier = append(earlier, s.registrars[number])
	}
	s.run(10*time.Second - s.now.Sub(s.begin))
	s.mute = false
}

func (s *story) register(options map[string]string) {
	id := protocol.PEID(s.number(options["pe"]))
	n := s.pes[options["pe"]]
	if n == nil {
		n = s.addPE(id, func() []*node { return s.named(options["registrar"]) })
		s.pes[options["pe"]] = n
	}
	policy := protocol.Policy{Type: protocol.RoundRobin}
	if text, ok := options["policy"]; ok {
		var err error
		if policy, err = protocol.ParsePolicy(text); err != nil {
			s.Fatal(err)
		}
	}
	n.register(protocol.PoolHandle(options["pool"]), id, policy)
}

// powerOff leaves nobody who could say that n is dead.
func (s *story) powerOff(n *node) {
	for _, other := range s.nodes {
		if other != n {
			s.separate(n, other)
		}
	}
	n.alive = false
}

// shutDown hands n's PEs over, then ends n gracefully.
func (s *story) shutDown(n *node) {
	n.told = func(event any) {
		if _, ok := event.(enrp.HandedOver); ok {
			s.later(0, func() { n.stop(io.EOF) })
		}
	}
	n.registrar.HandOver(s.now)
	n.drain()
}

// loses reports whether a message is to be lost.
func (s *story) loses(from, to *node, m wire.Message) bool {
	name, _, _ := strings.Cut(m.String(), " ")
	i := slices.IndexFunc(s.losing, func(lose string) bool {
		way, kind, _ := strings.Cut(lose, " ")
		return way == from.name[1:]+"->"+to.name[1:] && strings.HasSuffix(name, kind)
	})
	if i >= 0 {
		s.losing = slices.Delete(s.losing, i, i+1)
	}
	return i >= 0
}

// note tells of a message or an event.
func (s *story) note(from, to *node, what fmt.Stringer, how string) {
	if repeats := s.repeats(from, to, what); s.mute || repeats && how == "" && !s.all {
		return
	}
	at := fmt.Sprintf("%8.3fs ", s.now.Sub(s.begin).Seconds())
	switch what := what.(type) {
	case tellText:
		fmt.Fprintf(&s.out, "%s%s: %v\n", at, from.name, what)
	case noteText:
		fmt.Fprintf(&s.out, "%s%s == %s: %v\n", at, from.name, to.name, what)
	default:
		if from.isCut(to) {
			how += "waits: "
		}
		fmt.Fprintf(&s.out, "%s%s -> %s: %s%v\n", at, from.name, to.name, how, what)
	}
}

// sign is a kind of sign of life, and who gives it to whom.
type sign struct {
	from, to *node
	kind     string
}

// repeats reports whether this is a sign of life, or of none, that says nothing new. What is sent
// over a new association is new.
func (s *story) repeats(from, to *node, what fmt.Stringer) bool {
	this := sign{from: from, to: to}
	switch m := what.(type) {
	case noteText:
		if strings.HasSuffix(m.String(), " up") {
			maps.DeleteFunc(s.last, func(last sign, _ string) bool { return pair(from, to) == pair(last.from, last.to) })
			return false
		}
		this.kind = "end"
	case *wire.Presence:
		this.kind = fmt.Sprint("presence", m.ReplyRequired)
	case *wire.EndpointKeepAlive:
		this.kind = fmt.Sprint("keep-alive", m.Handle, m.ID, m.Home)
	case *wire.EndpointKeepAliveAck:
		this.kind = fmt.Sprint("ack", m.Handle, m.ID)
	default:
		return false
	}
	before := s.last[this]
	s.last[this] = what.String()
	return before == what.String()
}

// dump tells what each living registrar has.
func (s *story) dump() {
	for _, n := range s.nodes {
		if n.registrar == nil || !n.alive {
			continue
		}
		var pes, peers []string
		for el := range n.registrar.Space().After("", 0) {
			pes = append(pes, fmt.Sprintf("%s/PE%d of R%d", el.Handle, el.ID, el.Home))
		}
		for _, p := range n.registrar.Peers() {
			if p.ID != 0 {
				peers = append(peers, fmt.Sprintf("R%d (%s)", p.ID, p.State))
			}
		}
		fmt.Fprintf(&s.out, "%s has PEs: %s; peers: %s\n", n.name, listed(pes), listed(peers))
	}
}

func listed(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
