package rsp_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if arg := os.Getenv(peProcessEnv); arg != "" {
		fmt.Fprintln(os.Stderr, "PE process:", runPEProcess(arg))
		os.Exit(1)
	}
	if arg := os.Getenv(partEnv); arg != "" {
		fmt.Fprintln(os.Stderr, "part of a scope:", runPart(arg))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
