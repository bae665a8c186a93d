package scripting

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// verifier checks the signatures of work packages and environments by GnuPG, against a keyring.
type verifier struct {
	home    string // a directory of GnuPG's own, with copies of the keyring and the trust database
	gpg     string
	trusted bool // there is a trust database
	keyring string
	trustDB string
}

// newVerifier returns nil if there is no keyring: then nothing is checked.
func newVerifier(keyring, trustDB string) (*verifier, error) {
	switch {
	case keyring == "" && trustDB == "":
		return nil, nil
	case keyring == "":
		return nil, errors.New("-sstrustdb needs -sskeyring")
	}
	gpg, err := exec.LookPath("gpg")
	if err != nil {
		return nil, fmt.Errorf("-sskeyring needs GnuPG: %w", err)
	}
	v := &verifier{gpg: gpg, trusted: trustDB != ""}
	if v.keyring, err = filepath.Abs(keyring); err != nil {
		return nil, err
	}
	if v.trusted {
		if v.trustDB, err = filepath.Abs(trustDB); err != nil {
			return nil, err
		}
	}
	if v.home, err = os.MkdirTemp("", "rspSS-GnuPG-"); err != nil {
		return nil, err
	}
	if err := v.copyKeys(); err != nil {
		return nil, errors.Join(err, v.close())
	}
	return v, nil
}

// copyKeys copies what GnuPG would otherwise lock, and write to.
func (v *verifier) copyKeys() error {
	if err := copyFile(v.keyring, filepath.Join(v.home, "keyring.gpg")); err != nil {
		return fmt.Errorf("cannot use the keyring: %w", err)
	}
	if !v.trusted {
		return nil
	}
	if err := copyFile(v.trustDB, filepath.Join(v.home, "trustdb.gpg")); err != nil {
		return fmt.Errorf("cannot use the trust database: %w", err)
	}
	return nil
}

// verify checks a file that was signed by gpg --sign, and writes what was signed to another one.
func (v *verifier) verify(ctx context.Context, signed, content string) error {
	model := "always"
	if v.trusted {
		model = "pgp"
	}
	cmd := exec.CommandContext(ctx, v.gpg, "--batch", "--no-tty", "--no-options", "--no-autostart", "--yes",
		"--homedir", v.home, "--no-default-keyring", "--keyring", "keyring.gpg", "--trust-model", model,
		"--status-fd", "1", "--output", content, "--decrypt", signed)
	var status, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &status, &messages
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("no valid signature: gpg: %w: %s", err, strings.TrimSpace(messages.String()))
	}
	return v.accept(status.String())
}

// accept reads GnuPG's status lines: its exit code is 0 also for what is not signed at all, or signed by
// somebody whom the trust database does not know.
func (v *verifier) accept(status string) error {
	good, trusted := false, !v.trusted
	for line := range strings.Lines(status) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "[GNUPG:]" {
			continue
		}
		switch words[1] {
		case "GOODSIG":
			good = true
		case "TRUST_FULLY", "TRUST_ULTIMATE":
			trusted = true
		case "BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "TRUST_NEVER":
			return fmt.Errorf("no valid signature: %s", strings.Join(words[1:], " "))
		}
	}
	switch {
	case !good:
		return errors.New("it is not signed")
	case !trusted:
		return errors.New("it is signed by a key that the trust database does not trust")
	}
	return nil
}

func (v *verifier) close() error { return os.RemoveAll(v.home) }
