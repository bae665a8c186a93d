package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rserpool/rsp"
)

func TestPolicy(t *testing.T) {
	p, err := parsePolicy(strings.NewReader(`
# who      may                 where
web-*      register            Web* Api   # and nowhere else
*          resolve,report      *
ops        report,register,resolve,peer "a pool" "\x00*"
reg.*.int  peer
""         register            Anonymous
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		request rsp.Request
		want    bool
	}{
		{rsp.Request{Operation: rsp.OpRegister, Name: "web-1", Pool: "WebPool"}, true},
		{rsp.Request{Operation: rsp.OpDeregister, Name: "web-1", Pool: "Api"}, true},
		{rsp.Request{Operation: rsp.OpRegister, Name: "web-1", Pool: "Api2"}, false},
		{rsp.Request{Operation: rsp.OpRegister, Name: "web", Pool: "Api"}, false},
		{rsp.Request{Operation: rsp.OpRegister, Name: "", Pool: "Api"}, false},
		{rsp.Request{Operation: rsp.OpRegister, Name: "", Pool: "Anonymous"}, true},
		{rsp.Request{Operation: rsp.OpResolve, Name: "anybody", Pool: "Api"}, true},
		{rsp.Request{Operation: rsp.OpReport, Name: "", Pool: "Api"}, true},
		{rsp.Request{Operation: rsp.OpPeer, Name: "anybody"}, false},
		{rsp.Request{Operation: rsp.OpPeer, Name: "reg.1.int"}, true},
		{rsp.Request{Operation: rsp.OpPeer, Name: "reg.int"}, false},
		{rsp.Request{Operation: rsp.OpPeer, Name: "ops"}, true},
		{rsp.Request{Operation: rsp.OpRegister, Name: "ops", Pool: "a pool"}, true},
		{rsp.Request{Operation: rsp.OpRegister, Name: "ops", Pool: "\x00x"}, true},
		{rsp.Request{Operation: rsp.OpRegister, Name: "ops", Pool: "a"}, false},
	} {
		if got := p.allows(&c.request); got != c.want {
			t.Errorf("%v is allowed: %v, want %v", &c.request, got, c.want)
		}
	}
}

func TestPolicyErrors(t *testing.T) {
	for text, want := range map[string]string{
		"name":                               "line 1: lacks",
		"\n\nname sing *":                    `line 3: "sing"`,
		"name register,,peer *":              `""`,
		"name register":                      "needs pools",
		"name peer *":                        "needs pools",
		`"name register *`:                   "no end",
		`"na"me register *`:                  "no space",
		strings.Repeat("x", maxPolicyLine+1): "line 1: ",
	} {
		if _, err := parsePolicy(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"a", "a", true}, {"*", "", true}, {"*", "a/b", true}, {"a*", "a", true}, {"a*a", "a", false},
		{"a*a", "aa", true}, {"a*b*c", "a1b2c", true}, {"a*b*c", "acb", false}, {"*b*", "abc", true}, {"*b*b*", "abc", false}, {"a*b*b", "ab", false},
	} {
		if got := matches(c.pattern, c.s); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.s, got)
		}
	}
}

// Whatever is taken for a policy says the same when it is written in quotes.
func FuzzPolicy(f *testing.F) {
	f.Add("web-* register Web*\n* resolve,report *")
	f.Add("\"a b\" peer # comment\r\n")
	f.Add("name register \"\\x00\" \"")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePolicy(strings.NewReader(text))
		if err != nil {
			return
		}
		var quoted strings.Builder
		for _, r := range p {
			var words []string
			for _, op := range r.operations {
				for word, operations := range policyWords {
					if operations[0] == op {
						words = append(words, word)
					}
				}
			}
			quoted.WriteString(strconv.Quote(r.name) + " " + strings.Join(words, ","))
			for _, pool := range r.pools {
				quoted.WriteString(" " + strconv.Quote(pool))
			}
			quoted.WriteString("\n")
		}
		again, err := parsePolicy(strings.NewReader(quoted.String()))
		if len(quoted.String()) < maxPolicyLine && err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, again, cmp.AllowUnexported(rule{})); err == nil && diff != "" {
			t.Error(diff)
		}
	})
}
