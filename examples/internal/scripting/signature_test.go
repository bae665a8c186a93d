package scripting

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestVerifierOptions(t *testing.T) {
	if v, err := newVerifier("", ""); v != nil || err != nil {
		t.Errorf("%v, %v without a keyring", v, err)
	}
	if _, err := newVerifier("", "trustdb.gpg"); err == nil {
		t.Error("a trust database is taken without a keyring")
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := newVerifier("keyring.gpg", ""); err == nil {
		t.Error("a keyring is taken without GnuPG")
	} else {
		t.Log(err)
	}
}

// What GnuPG says decides, not its exit code.
func TestAccept(t *testing.T) {
	const good, full = "[GNUPG:] GOODSIG 1 a\n[GNUPG:] VALIDSIG 1\n", "[GNUPG:] TRUST_FULLY 0 pgp\n"
	for _, c := range []struct {
		status      string
		trustDB, ok bool
	}{
		{good, false, true},
		{good + full, true, true},
		{good, true, false},
		{good + "[GNUPG:] TRUST_UNDEFINED 0 pgp\n", true, false},
		{"", false, false},
		{full, true, false},
		{"[GNUPG:] PLAINTEXT 62 0 GOODSIG\n", false, false},
		{good + "[GNUPG:] BADSIG 1 b\n", false, false},
		{"[GNUPG:] EXPKEYSIG 1 a\n[GNUPG:] VALIDSIG 1\n", false, false},
	} {
		v := verifier{trusted: c.trustDB}
		if err := v.accept(c.status); (err == nil) != c.ok {
			t.Errorf("%q, trust database %t: %v", c.status, c.trustDB, err)
		}
	}
}

// signer is somebody with a key.
type signer struct{ home string }

func newSigner(t *testing.T, name string) signer {
	t.Helper()
	for _, program := range []string{"gpg", "gpg-agent"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is absent")
		}
	}
	// Not below the test's own directory: GnuPG's sockets want short names.
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	s := signer{home}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() // the agent, if one was started
		_ = os.RemoveAll(home)
	})
	s.gpg(t, "--passphrase", "", "--quick-gen-key", name, "ed25519", "sign", "never")
	return s
}

func (s signer) gpg(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("gpg", append([]string{"--homedir", s.home, "--batch", "--yes"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("gpg %v: %v\n%s", args, err, out)
	}
}

// sign returns a signed copy of a file.
func (s signer) sign(t *testing.T, file string) string {
	t.Helper()
	signed := filepath.Join(t.TempDir(), "signed")
	s.gpg(t, "--output", signed, "--sign", file)
	return signed
}

func (s signer) keyring(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keyring.gpg")
	s.gpg(t, "--output", file, "--export")
	return file
}

func TestVerify(t *testing.T) {
	a, b := newSigner(t, "A <a@example.org>"), newSigner(t, "B <b@example.org>")
	a.gpg(t, "--import", b.keyring(t)) // in A's keyring, but not trusted
	ring, trustDB := a.keyring(t), filepath.Join(a.home, "trustdb.gpg")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	stored := filepath.Join(t.TempDir(), "stored")
	a.gpg(t, "--output", stored, "--store", file)
	for _, c := range []struct {
		name, keyring, trustDB, file string
		ok                           bool
	}{
		{"signed", ring, "", a.sign(t, file), true},
		{"signed by another of the keyring", ring, "", b.sign(t, file), true},
		{"trusted", ring, trustDB, a.sign(t, file), true},
		{"not trusted", ring, trustDB, b.sign(t, file), false},
		{"not of the keyring", b.keyring(t), "", a.sign(t, file), false},
		{"not signed", ring, "", file, false},
		{"not signed, but OpenPGP", ring, "", stored, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := newVerifier(c.keyring, c.trustDB)
			if err != nil {
				t.Fatal(err)
			}
			defer v.close()
			content := filepath.Join(t.TempDir(), "content")
			err = v.verify(t.Context(), c.file, content)
			if (err == nil) != c.ok {
				t.Errorf("%v", err)
			}
			if got, _ := os.ReadFile(content); c.ok && string(got) != "content" {
				t.Errorf("content %q", got)
			}
			if err := v.verify(t.Context(), c.file, os.DevNull); (err == nil) != c.ok {
				t.Errorf("without content: %v", err)
			}
		})
	}
}
