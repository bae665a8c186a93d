package main

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each call is answered, though one server dies with a call in its hands and another one leaves.
func TestGRPC(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), io.MultiWriter(&out, t.Output())); err != nil {
		t.Fatal(err)
	}
	story := regexp.MustCompile(`^(\w+) answers, from call 1 on
(\w+) dies while she answers call 100
(\w+) answers, from call 100 on
(\w+) has left
(\w+) answers, from call 201 on
all 300 calls answered
$`)
	names := story.FindStringSubmatch(out.String())
	if names == nil {
		t.Fatalf("the output is not %v", story)
	}
	if names[1] != names[2] || names[3] != names[4] || strings.Count(strings.Join(names[1:], " "), names[5]) != 1 {
		t.Errorf("%v: want three servers, one after the other", names[1:])
	}
}
