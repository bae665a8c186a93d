package rsp

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/rserpool/rsp/internal/transport"
)

// defaultRegistrarName is what RegistrarName is if nobody says otherwise.
const defaultRegistrarName = "registrar.rsp.internal"

// hops are the configurations of TLS by who must be at the other end; both are nil without TLS.
type hops struct {
	members    *tls.Config // any member of the operation scope
	registrars *tls.Config // a registrar
}

// newHops makes them of what the user has configured, which is checked but not changed.
func newHops(cfg *tls.Config, registrarName string) (hops, error) {
	if cfg == nil {
		return hops{}, nil
	}
	if err := checkTLS(cfg); err != nil {
		return hops{}, fmt.Errorf("TLS: %w", err)
	}
	members := cfg.Clone()
	members.MinVersion = tls.VersionTLS13
	members.ClientAuth = tls.RequireAndVerifyClientCert
	if members.ClientCAs == nil {
		members.ClientCAs = members.RootCAs
	}
	// Each association checks certificates as they are now.
	members.SessionTicketsDisabled, members.ClientSessionCache = true, nil
	// A message shall not need more records than it fills.
	members.DynamicRecordSizingDisabled = true

	registrars := members.Clone()
	registrars.ServerName = cmp.Or(registrarName, defaultRegistrarName)
	registrars.VerifyConnection = func(state tls.ConnectionState) error {
		// Of a peer that is accepted, nothing but this asks for a name.
		if err := state.PeerCertificates[0].VerifyHostname(registrars.ServerName); err != nil {
			return fmt.Errorf("no registrar: %w", err)
		}
		if cfg.VerifyConnection != nil {
			return cfg.VerifyConnection(state)
		}
		return nil
	}
	return hops{members, registrars}, nil
}

// checkTLS refuses what would authenticate less than the documentation promises.
func checkTLS(cfg *tls.Config) error {
	switch {
	case cfg.MinVersion != 0 && cfg.MinVersion < tls.VersionTLS13, cfg.MaxVersion != 0 && cfg.MaxVersion < tls.VersionTLS13:
		return errors.New("versions before 1.3 are not supported")
	case cfg.RootCAs == nil:
		return errors.New("needs RootCAs (-tlsca): the system's would let everybody in who has a certificate for the web")
	case len(cfg.Certificates) == 0 && (cfg.GetCertificate == nil || cfg.GetClientCertificate == nil):
		return errors.New("needs Certificates (-tlscert and -tlskey), or both GetCertificate and GetClientCertificate: each side proves who it is")
	case cfg.InsecureSkipVerify:
		return errors.New("InsecureSkipVerify is not supported: it would let anybody in")
	case cfg.ClientAuth != tls.NoClientCert && cfg.ClientAuth != tls.RequireAndVerifyClientCert:
		return fmt.Errorf("ClientAuth %v is not supported: it is always %v", cfg.ClientAuth, tls.RequireAndVerifyClientCert)
	case cfg.GetConfigForClient != nil:
		return errors.New("GetConfigForClient is not supported: it could ask for less")
	}
	return nil
}

// TLSFiles returns a configuration for Config.TLS and RegistrarConfig.TLS from files in PEM format: a certificate,
// the certificates between it and its authority behind it if there are any; its key; and the certificates of the
// authorities that others must have theirs from.
//
// A new certificate needs no restart: when its file or that of the key has changed, both are read again at the next
// handshake. As long as they cannot be read or do not belong together, the certificate before is used. The authorities
// are read once.
func TLSFiles(certFile, keyFile, caFile string) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert}
	if err := useAuthorities(cfg, caFile); err != nil {
		return nil, err
	}
	if err := useCertificate(cfg, certFile, keyFile); err != nil {
		return nil, err
	}
	return cfg, nil
}

// useAuthorities makes cfg believe those of a file.
func useAuthorities(cfg *tls.Config, file string) error {
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read authorities: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return fmt.Errorf("cannot read authorities: no certificate in %s", file)
	}
	cfg.RootCAs, cfg.ClientCAs = authorities, authorities
	return nil
}

// useCertificate makes cfg show that of two files.
func useCertificate(cfg *tls.Config, certFile, keyFile string) error {
	f := &certificateFiles{cert: certFile, key: keyFile}
	cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.certificate() }
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return f.certificate() }
	_, err := f.certificate()
	return err
}

// registerTLSFlags defines the flags for c.TLS. Any of them asks for TLS, so that one that is forgotten
// is an error, and not an association in clear.
func (c *Config) registerTLSFlags(fs *flag.FlagSet) {
	define := func(name, usage string, use func(value string) error) {
		fs.Func(name, usage, func(value string) error {
			if c.TLS == nil {
				c.TLS = &tls.Config{}
			}
			return use(value)
		})
	}
	var cert, key string
	useBoth := func() error {
		if cert == "" || key == "" {
			return nil
		}
		return useCertificate(c.TLS, cert, key)
	}
	define("tlscert", "`file` with the certificate that shows who this is: TLS for all associations", func(file string) error {
		cert = file
		return useBoth()
	})
	define("tlskey", "`file` with its key", func(file string) error {
		key = file
		return useBoth()
	})
	define("tlsca", "`file` with the authorities that certificates of others come from", func(file string) error {
		return useAuthorities(c.TLS, file)
	})
	define("tlsname", "`name` in the certificates of pool elements (default their addresses)", func(name string) error {
		c.TLS.ServerName = name
		return nil
	})
	define("registrarname", "`name` in the certificates of registrars (default "+defaultRegistrarName+")", func(name string) error {
		c.RegistrarName = name
		return nil
	})
}

// certificateFiles is a certificate whose files may be replaced at any time.
type certificateFiles struct {
	cert, key string
	latest    atomic.Pointer[loadedCertificate]
}

// loadedCertificate is a certificate with what its files looked like before it was read.
type loadedCertificate struct {
	certificate tls.Certificate
	cert, key   fileState
}

type fileState struct {
	modified time.Time
	size     int64
}

// certificate returns the latest one that could be read. Several handshakes may read it at once.
func (f *certificateFiles) certificate() (*tls.Certificate, error) {
	latest := f.latest.Load()
	read, err := f.read(latest)
	if err != nil {
		if latest == nil {
			return nil, fmt.Errorf("cannot read certificate: %w", err)
		}
		read = latest // the files are being replaced
	}
	f.latest.CompareAndSwap(latest, read)
	return &read.certificate, nil
}

// read returns latest if the files have not changed since.
func (f *certificateFiles) read(latest *loadedCertificate) (*loadedCertificate, error) {
	cert, err := stateOf(f.cert)
	if err != nil {
		return nil, err
	}
	key, err := stateOf(f.key)
	if err != nil {
		return nil, err
	}
	if latest != nil && latest.cert == cert && latest.key == key {
		return latest, nil
	}
	certificate, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, err
	}
	return &loadedCertificate{certificate, cert, key}, nil
}

func stateOf(file string) (fileState, error) {
	info, err := os.Stat(file)
	if err != nil {
		return fileState{}, err
	}
	return fileState{info.ModTime(), info.Size()}, nil
}

// PeerCertificate is the certificate by which the session's peer has proven who it is: of the PE that the
// session has at present, or of the PU that it was accepted from. Without TLS it is nil.
func (s *Socket) PeerCertificate() *x509.Certificate {
	s.mu.Lock()
	session := s.session
	s.mu.Unlock()
	if session == nil {
		return nil
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	return transport.PeerCertificate(session.assoc)
}
