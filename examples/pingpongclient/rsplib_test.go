package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/lab"
)

// programVar makes the test binary the program.
const programVar = "PINGPONGCLIENT_TEST_PROGRAM"

// With RSPLIB's registrar and servers, of which one ends the session after 3 replies: the numbers of the replies go
// on over the next one.
func TestWithRSPLIB(t *testing.T) {
	lab.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		library := []string{"-registrar=192.168.77.1:3863", "-asapannounce=off"}
		lab.Start(t, lab.RSPLIB(t, "rspregistrar", "-asap=192.168.77.1:3863", "-asapannounce=off", "-enrp=192.168.77.1:9901", "-enrpannounce=off")).
			Expect(ctx, t, "Max Endpoint Unreachable Rate")
		serve := func(args ...string) {
			lab.Start(t, lab.RSPLIB(t, "rspserver", append(append(library[:2:2], "-pingpong"), args...)...)).Expect(ctx, t, "Identifier")
		}
		serve("-identifier=0x40", "-pppfailureafter=3")
		cmd := exec.Command(os.Args[0], append(library[:2:2], "-interval=200")...)
		cmd.Env = append(os.Environ(), programVar+"=1")
		client := lab.Start(t, cmd)
		client.Expect(ctx, t, "Ack #1 from PE $00000040 (reply #1)")
		serve("-identifier=0x41")
		client.Expect(ctx, t, "FAILOVER_COMPLETE, cookie=yes")
		client.Expect(ctx, t, "from PE $00000041")
		client.Expect(ctx, t, "(reply #8)")
		client.Interrupt(t)
		if err := client.Wait(); err != nil {
			t.Errorf("it ends with %v", err)
		}
		output := client.Output()
		if strings.Contains(output, "gap") || !strings.Contains(output, "*** Break ***    Signal #2\n") || !strings.HasSuffix(output, "Terminated!\n") {
			t.Errorf("it prints\n%s", output)
		}
	})
}
