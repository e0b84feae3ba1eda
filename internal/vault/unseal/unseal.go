// Package unseal finds the root key in the way that writ.yaml declares, when the server may
// open by itself.
//
//	file         DIR/root.key, as `writ init` makes it (the keyring reads it)
//	key-file     another file, which nobody but its owner may read
//	credential   one that the service manager hands over (LoadCredential=, with or without a TPM);
//	             root's file may be its group's to read, as an ACL for the unit's User= shows
//	environment  WRIT_ROOT_KEY, read once and taken out of the environment
//	kms          a file that a key management service decrypts, asked with a plain Signature V4
//	shares       not by itself: holders give their shares (package seal)
//
// Promises: people.no-sole-holder, crypto.at-rest, as far as each way goes: Weakness says in
// words what it lacks, and the controls of package holders repeat it.
//
// Refuses: a key file that others may read; a root key that is malformed; a service that is
// not asked over TLS, unless it is on this machine.
//
// Threats: a stolen disk (only kms, credential and shares keep the key off it); a program of
// the same account that reads files or environments. There is no table and nothing to export
// or erase.
//
// For: operators. Read unseal.go, kms.go.
package unseal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/secret"
)

// The kinds of unsealing.
const (
	File        = "file"
	KeyFile     = "key-file"
	Credential  = "credential"
	Environment = "environment"
	KMS         = "kms"
	Shares      = "shares"
)

// Variable is where the kind environment looks.
const Variable = "WRIT_ROOT_KEY"

// credentialDir is how the service manager says where credentials lie.
const credentialDir = "CREDENTIALS_DIRECTORY"

// Config is vault.unseal in writ.yaml.
type Config struct {
	Kind       string    `yaml:"kind,omitempty"`       // "" = file
	Path       string    `yaml:"path,omitempty"`       // key-file: where it is
	Credential string    `yaml:"credential,omitempty"` // credential: its name
	KMS        KMSConfig `yaml:"kms,omitempty"`
}

// Is is the kind.
func (c Config) Is() string {
	if c.Kind == "" {
		return File
	}
	return c.Kind
}

// Check says what is wrong with a setting: its key, what it is and what is wanted.
func (c Config) Check() (key, got, want string) {
	switch c.Is() {
	case File, Environment, Shares:
	case KeyFile:
		if !filepath.IsAbs(c.Path) {
			return "vault.unseal.path", c.Path, "an absolute path of a key file"
		}
	case Credential:
		if c.Credential == "" || c.Credential != filepath.Base(c.Credential) {
			return "vault.unseal.credential", c.Credential, "the name of a credential, such as writ-root-key"
		}
	case KMS:
		return c.KMS.check()
	default:
		return "vault.unseal.kind", c.Kind, "one of file, key-file, credential, environment, kms, shares"
	}
	return "", "", ""
}

// Weakness says what this way of opening lacks, in a sentence; "" where it lacks nothing.
func (c Config) Weakness(dir string) string {
	switch c.Is() {
	case File:
		return "the server opens by itself with root.key, which lies in the folder of the data: whoever has the folder has both"
	case KeyFile:
		if inside(c.Path, dir) {
			return "the server opens by itself with a key file that lies in the folder of the data: whoever has the folder has both"
		}
		return "the server opens by itself with a key file on this machine"
	case Credential:
		return "the server opens by itself with a credential of the service manager"
	case Environment:
		return "the server opens by itself with a root key from its environment, which whoever starts it has written down somewhere"
	case KMS:
		return "the server opens by itself through a key management service: whoever may ask that, and has the folder, has both"
	}
	return ""
}

func inside(file, dir string) bool {
	f, errF := filepath.EvalSymlinks(file)
	d, errD := filepath.EvalSymlinks(dir)
	if errF != nil || errD != nil {
		return true // not known to be apart
	}
	if d, errD = filepath.Abs(d); errD != nil {
		return true
	}
	rel, err := filepath.Rel(d, f)
	return err != nil || rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// Source finds the root key, as often as it is asked.
type Source struct {
	c    Config
	dir  string
	kept secret.Bytes // of the environment, which is asked once
	sign Signer

	roots func(fs.FileInfo) bool // whether a file is root's
}

// New makes the source of a folder.
func New(c Config, dir string, sign Signer) *Source {
	return &Source{c: c, dir: dir, sign: sign, roots: ofRoot}
}

// Provider is what the record says of it.
func (s *Source) Provider() string { return s.c.Is() }

// Root is the root key: fault.Sealed where it is not there or not to be used. The caller
// wipes it.
func (s *Source) Root(ctx context.Context) (secret.Bytes, error) {
	switch s.c.Is() {
	case File:
		return keyring.ReadRoot(filepath.Join(s.dir, "root.key"))
	case KeyFile:
		return read(s.c.Path, 0o400)
	case Credential:
		d := os.Getenv(credentialDir)
		if d == "" {
			return secret.Bytes{}, sealed("credential_missing", "The service manager handed over no credentials.", "A unit with LoadCredential="+s.c.Credential+":FILE.", "Add it to the unit, or start the server by its unit.")
		}
		path, most := filepath.Join(d, s.c.Credential), fs.FileMode(0o400)
		if i, err := os.Stat(path); err == nil && s.roots(i) { // its ACL for the unit's User= shows as the group's mode
			most = 0o440
		}
		return read(path, most)
	case Environment:
		return s.environment()
	case KMS:
		return s.kms(ctx)
	}
	return secret.Bytes{}, sealed("shares_wanted", "The root key is held by several people.", "", "They give their shares at /-/unseal.")
}

// Keep gives the root that shares made to a source that cannot be asked twice: what the
// environment held went with the process's first opening.
func (s *Source) Keep(root secret.Bytes) error {
	if s.c.Is() != Environment || !s.kept.IsZero() {
		return nil
	}
	s.kept = secret.NewBytes(root.Reveal())
	return os.Unsetenv(Variable)
}

// Close forgets what was kept: a sealed server holds no key.
func (s *Source) Close() error {
	s.kept.Wipe()
	s.kept = secret.Bytes{}
	return nil
}

// environment reads the variable and takes it away, so that no child and no later look at
// the process finds it.
func (s *Source) environment() (secret.Bytes, error) { // clause: crypto.at-rest
	if s.kept.IsZero() {
		text := []byte(os.Getenv(Variable))
		defer clear(text)
		if err := os.Unsetenv(Variable); err != nil {
			return secret.Bytes{}, fmt.Errorf("take the root key out of the environment: %w", err)
		}
		b, ok := keyring.ParseRoot(text)
		if !ok {
			return secret.Bytes{}, sealed("root_malformed", "The environment has no root key in "+Variable+".", "32 bytes in base64, and nothing else.", "Set it where the server is started.")
		}
		s.kept = b
	}
	return secret.NewBytes(s.kept.Reveal()), nil
}

// read reads a key file that has no more permissions than these: its owner may read it, and
// nobody, its owner too, may do more with it.
func read(path string, most fs.FileMode) (secret.Bytes, error) { // clause: people.no-sole-holder
	i, err := os.Stat(path)
	if err == nil && i.Mode().Perm()&^most != 0 {
		return secret.Bytes{}, sealed("root_exposed", fmt.Sprintf("%s has mode %v: more than its owner's reading.", path, i.Mode()), "Mode 0400.", "If nobody else can have read it, run chmod 400 "+path+"; otherwise replace the root key.")
	}
	return keyring.ReadRootWithin(path, most)
}

// ofRoot reports whether a file is root's: only the service manager puts those into the folder
// of credentials.
func ofRoot(i fs.FileInfo) bool {
	st, ok := i.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0
}

func sealed(code, problem, expected, next string) error {
	return &fault.Error{Kind: fault.Sealed, Code: code, Err: errors.New(code), Public: fault.Public{Problem: problem, Expected: expected, Next: next}}
}
