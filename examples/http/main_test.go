package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each request is answered, though one of three servers dies in the middle, with one in her hands.
func TestHTTP(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), io.MultiWriter(&out, t.Output())); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`(?m)^\w+ dies while she answers POST http://WebPool/150$|^\w+ dies while she answers POST /150$`,
		fmt.Sprintf(`(?m)^%d of %[1]d requests answered; [1-9]\d* sent again$`, requests),
		`(?m)^Anna answered [1-9]`,
		`(?m)^Berta answered [1-9]`,
		`(?m)^Carla answered [1-9]`,
	} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("output has no %s", want)
		}
	}
}
