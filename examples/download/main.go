// Download shows an HTTP download that outlives its servers: twice the server dies in the middle, another
// one goes on where it stopped, by the state cookie, and the client gets each byte once. All runs in one
// process, with a registrar:
//
//	go run ./examples/download
//
// Who knows what: the client knows its request and what it has; it sends the same request to
// each server. The servers keep nothing. What one must know to go on for another is in the cookie,
// which the session carries: how far the file has been sent, and the checksum so far, so that the last server
// can end with the checksum of the whole without reading it.
package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"

	"github.com/rserpool/rsp"
)

const (
	pool    = "DownloadPool"
	size    = 16 << 20       // of the file in bytes
	network = rsp.TCPMapping // works everywhere; without it SCTP is used where the kernel has it
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "download:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer) error {
	out := log.New(w, "", 0) // which several goroutines may use
	registrar, err := rsp.NewRegistrar(&rsp.RegistrarConfig{Address: "127.0.0.1:0", Network: network})
	if err != nil {
		return err
	}
	if err := registrar.Start(ctx); err != nil {
		return err
	}
	defer registrar.Shutdown(ctx)
	cfg := rsp.Config{Registrars: registrar.Addrs(), Network: network}

	content := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(content) // never fails
	servers := &servers{content: content, endpoints: make(map[rsp.PEID]*rsp.Endpoint)}
	defer servers.close()
	for _, name := range []string{"Anna", "Berta", "Carla"} {
		if err := servers.start(ctx, cfg, name); err != nil {
			return err
		}
	}

	e, err := rsp.NewEndpoint(&cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	file := sha256.New() // stands for the file: what is written to it is not kept
	d := &download{to: file, out: out}
	d.progress = func(session *rsp.Socket) {
		if killed := servers.killed; killed < 2 && d.have > int64(killed+1)*size/3 {
			out.Printf("the client has %d bytes, and its server dies", d.have)
			servers.kill(session.PeerPE())
		}
	}
	told, err := d.run(ctx, e, "http://"+pool+"/file")
	if err != nil {
		return err
	}
	sum := fmt.Sprintf("%x", file.Sum(nil))
	out.Printf("%d bytes with SHA-256 %.16s...; the last server says %.16s...", d.have, sum, told)
	if want := fmt.Sprintf("%x", sha256.Sum256(content)); sum != want || told != want {
		return fmt.Errorf("the file has SHA-256 %.16s", want)
	}
	return nil
}
