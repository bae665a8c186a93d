package handlespace

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// BenchmarkHandlespaceInstructions reports how many instructions an operation takes, which
// does not depend on the machine's load as the time does. It runs the other benchmarks
// of the package in valgrind, each with two numbers of operations: the
// difference has no start in it. There is no garbage collection, as there is none in C.
func BenchmarkHandlespaceInstructions(b *testing.B) {
	if _, err := exec.LookPath("valgrind"); err != nil {
		b.Skip(err)
	}
	for _, name := range []string{
		"Select1/^RoundRobin/^1000$",
		"ReregisterUnchanged/^RoundRobin/^1000$",
		"ReregisterLoad/^LeastUsed/^1000$",
		"DeregisterRegister/^RoundRobin/^1000$",
	} {
		b.Run(name, func(b *testing.B) {
			const few, many = 20_000, 120_000
			perOperation := 0
			for b.Loop() {
				perOperation = (instructions(b, name, many) - instructions(b, name, few)) / (many - few)
			}
			b.ReportMetric(float64(perOperation), "instructions/op")
			b.ReportMetric(0, "ns/op")
		})
	}
}

var collected = regexp.MustCompile(`Collected : (\d+)`)

// instructions counts those of a run with so many operations. Valgrind does not bear
// the signals by which Go preempts goroutines.
func instructions(b *testing.B, name string, operations int) int {
	cmd := exec.Command("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", os.Args[0],
		"-test.run=^$", "-test.bench=^BenchmarkHandlespace"+name, fmt.Sprintf("-test.benchtime=%dx", operations))
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1", "GOGC=off")
	out, err := cmd.CombinedOutput()
	match := collected.FindSubmatch(out)
	if err != nil || match == nil {
		b.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	n, err := strconv.Atoi(string(match[1]))
	if err != nil {
		b.Fatal(err)
	}
	return n
}
