package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/rserpool/rsp"
)

// policy says who may do what: whatever no rule allows is refused. In its text, each line is a rule:
//
//	# name of the certificate   may               pools
//	web-*                       register          Web* Api
//	*                           resolve,report    *
//	registrar.rsp.internal      peer
//
// In names and pool handles, * stands for any characters. What has spaces, is empty or begins with # is quoted as in Go.
type policy []rule

type rule struct {
	name       string
	operations []rsp.Operation
	pools      []string // none: of rules for registrars
}

// policyWords are the operations of rules. Who may register may also deregister, which the registrar allows
// for one's own pool elements alone.
var policyWords = map[string][]rsp.Operation{
	"register": {rsp.OpRegister, rsp.OpDeregister},
	"resolve":  {rsp.OpResolve},
	"report":   {rsp.OpReport},
	"peer":     {rsp.OpPeer},
}

var errNotAllowed = errors.New("no rule allows it")

// maxPolicyLine bounds the lines of a policy.
const maxPolicyLine = 1 << 16

func parsePolicy(text io.Reader) (policy, error) {
	var p policy
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, maxPolicyLine)
	number := 0
	for lines.Scan() {
		number++
		fields, err := splitFields(lines.Text())
		if err == nil && len(fields) > 0 {
			var r rule
			if r, err = parseRule(fields); err == nil {
				p = append(p, r)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", number+1, err)
	}
	return p, nil
}

func parseRule(fields []string) (rule, error) {
	if len(fields) < 2 {
		return rule{}, errors.New("lacks what the name may do")
	}
	r := rule{name: fields[0], pools: fields[2:]}
	for word := range strings.SplitSeq(fields[1], ",") {
		operations, known := policyWords[word]
		if !known {
			return rule{}, fmt.Errorf("%q is none of register, resolve, report and peer", word)
		}
		r.operations = append(r.operations, operations...)
	}
	forPools := slices.ContainsFunc(r.operations, func(op rsp.Operation) bool { return op != rsp.OpPeer })
	if forPools != (len(r.pools) > 0) {
		return rule{}, errors.New("needs pools, unless it is for peer alone")
	}
	return r, nil
}

// splitFields splits a line at its spaces, and takes quotes and the comment away.
func splitFields(line string) ([]string, error) {
	var fields []string
	for {
		line = strings.TrimLeft(line, " \t\r")
		if line == "" || line[0] == '#' {
			return fields, nil
		}
		if line[0] != '"' {
			end := strings.IndexAny(line, " \t\r")
			if end < 0 {
				end = len(line)
			}
			fields, line = append(fields, line[:end]), line[end:]
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			return nil, fmt.Errorf("%s: no end of the quotation", line)
		}
		field, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", quoted, err)
		}
		fields, line = append(fields, field), line[len(quoted):]
		if line != "" && !strings.ContainsRune(" \t\r", rune(line[0])) {
			return nil, fmt.Errorf("%s: no space behind the quotation", quoted)
		}
	}
}

// allows reports whether a rule allows a request.
func (p policy) allows(r *rsp.Request) bool {
	return slices.ContainsFunc(p, func(rule rule) bool {
		return slices.Contains(rule.operations, r.Operation) && matches(rule.name, r.Name) &&
			(r.Operation == rsp.OpPeer || slices.ContainsFunc(rule.pools, func(pool string) bool { return matches(pool, string(r.Pool)) }))
	})
}

// matches reports whether s is pattern, in which * stands for any characters.
func matches(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return pattern == s
	}
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(s, part)
		if !found {
			return false
		}
		s = rest
	}
	return true
}

// policyFile is a policy whose file may be read again while it is in force.
type policyFile struct {
	name    string
	current atomic.Pointer[policy]
}

// read puts what the file says in force, unless it is not a policy.
func (f *policyFile) read() error {
	text, err := os.Open(f.name)
	if err != nil {
		return fmt.Errorf("cannot read the policy: %w", err)
	}
	defer text.Close()
	p, err := parsePolicy(text)
	if err != nil {
		return fmt.Errorf("policy %s: %w", f.name, err)
	}
	f.current.Store(&p)
	return nil
}

// authorize is rsp.RegistrarConfig.Authorize.
func (f *policyFile) authorize(_ context.Context, r rsp.Request) error {
	if f.current.Load().allows(&r) {
		return nil
	}
	return errNotAllowed
}
