// Rsptestca makes certificates for trying TLS out:
//
//	go run ./cmd/rsptestca -dir=certs registrar.rsp.internal server client
//
// writes the authority's certificate ca.pem with its key ca.key, and for each name NAME.pem and NAME.key, good for 30
// days, for that name and for the addresses of this machine. An authority that is in the directory already is used again. Its key
// lies there for everybody who can read it: this is for tests and examples, not for service.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/rserpool/rsp/internal/testca"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "rsptestca:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("rsptestca", flag.ContinueOnError)
	dir := flags.String("dir", "certs", "`directory` for the files")
	var hosts []string
	flags.Func("host", "`name` or address that the certificates are good for, too (may be repeated)", func(s string) error {
		hosts = append(hosts, s)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("whom for? Names are missing, such as registrar.rsp.internal server client")
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	ca, err := authority(*dir)
	if err != nil {
		return err
	}
	own, err := ownHosts()
	if err != nil {
		return err
	}
	for _, name := range flags.Args() {
		if err := issue(ca, *dir, testca.Leaf{Name: name, Hosts: append(own, hosts...)}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(stdout, "%s: -tlscert=%[2]s.pem -tlskey=%[2]s.key -tlsca=%[3]s\n", name, filepath.Join(*dir, name), filepath.Join(*dir, "ca.pem"))
	}
	return nil
}

// authority reads the directory's authority, or makes one.
func authority(dir string) (*testca.CA, error) {
	certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key")
	cert, err := os.ReadFile(certFile)
	if err == nil {
		key, err := os.ReadFile(keyFile)
		if err != nil {
			return nil, err
		}
		return testca.Load(cert, key)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ca, err := testca.New()
	if err != nil {
		return nil, err
	}
	key, err := ca.KeyPEM()
	if err != nil {
		return nil, err
	}
	return ca, write(certFile, ca.PEM(), keyFile, key)
}

func issue(ca *testca.CA, dir string, leaf testca.Leaf) error {
	if leaf.Name == "ca" || strings.ContainsAny(leaf.Name, `/\`) {
		return errors.New("no name for a certificate's file")
	}
	certificate, err := ca.Issue(leaf)
	if err != nil {
		return err
	}
	cert, key, err := testca.PEM(certificate)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, leaf.Name)
	return write(file+".pem", cert, file+".key", key)
}

// write replaces both files, so that who reads one finds it whole.
func write(certFile string, cert []byte, keyFile string, key []byte) error {
	for _, f := range []struct {
		name    string
		content []byte
		mode    os.FileMode
	}{{keyFile, key, 0o600}, {certFile, cert, 0o644}} {
		if err := os.WriteFile(f.name+".new", f.content, f.mode); err != nil {
			return err
		}
		if err := os.Rename(f.name+".new", f.name); err != nil {
			return err
		}
	}
	return nil
}

// ownHosts are where this machine is found.
func ownHosts() ([]string, error) {
	hosts := []string{"localhost"}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			hosts = append(hosts, prefix.Addr().String())
		}
	}
	return hosts, nil
}
