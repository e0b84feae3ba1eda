package merkle

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"

	"writ/internal/fault"
	"writ/internal/secret"
)

const (
	// MaxCheckpoint is the greatest length of a signed checkpoint in bytes. The
	// note format allows 100 signatures.
	MaxCheckpoint = 64 << 10
	// MaxOrigin is the greatest length of an origin in bytes.
	MaxOrigin = 255
)

// Checkpoint says what a log holds at one moment: so many leaves with this root.
// Origin names the log and equals the name of its key, e.g. example.com/journal/2026.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   Hash
}

// Text is the signed text: origin, size and root, a line each. There are no
// extension lines: not every kind of cosignature would cover them.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// check refuses a checkpoint that must never be signed.
func (c Checkpoint) check() error {
	if err := checkOrigin(c.Origin); err != nil {
		return err
	}
	return c.checkTree()
}

// checkTree refuses a size and root that no tree has.
func (c Checkpoint) checkTree() error {
	if c.Size < 0 || c.Size > MaxSize {
		return fmt.Errorf("size %d is out of range", c.Size)
	}
	if c.Size == 0 && c.Root != EmptyRoot() {
		return errors.New("the root of an empty tree is not SHA-256 of nothing")
	}
	return nil
}

// checkOrigin holds the rules for key names of the note format, and a length.
func checkOrigin(s string) error {
	bad := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '+' }
	if s == "" || len(s) > MaxOrigin || !utf8.ValidString(s) || strings.ContainsFunc(s, bad) {
		return fmt.Errorf("an origin has 1 to %d bytes without space, control characters or plus", MaxOrigin)
	}
	return nil
}

// ParseCheckpoint reads the signed text. What Text would not write is refused with
// fault.Malformed, code checkpoint_malformed.
func ParseCheckpoint(text string) (Checkpoint, error) {
	c, err := parseCheckpoint(text)
	if err != nil {
		return Checkpoint{}, malformed("checkpoint_malformed", "checkpoint", err)
	}
	return c, nil
}

func parseCheckpoint(text string) (c Checkpoint, err error) {
	if len(text) > MaxCheckpoint {
		return c, fmt.Errorf("it is longer than %d bytes", MaxCheckpoint)
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return c, errors.New("it has not three lines")
	}
	c.Origin = lines[0]
	if c.Size, err = parseNumber(lines[1]); err != nil {
		return Checkpoint{}, fmt.Errorf("size: %w", err)
	}
	if c.Root, err = parseHash(lines[2]); err != nil {
		return Checkpoint{}, fmt.Errorf("root: %w", err)
	}
	if err := c.check(); err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}

// Sign returns the checkpoint as a note signed by each signer; two while keys are
// being changed. Each signer must bear the origin's name.
func Sign(c Checkpoint, signers ...note.Signer) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	if len(signers) == 0 {
		return nil, errors.New("sign checkpoint: no signer")
	}
	for _, s := range signers {
		if s.Name() != c.Origin {
			return nil, fmt.Errorf("sign checkpoint: key %q signs for origin %q", s.Name(), c.Origin)
		}
	}
	msg, err := note.Sign(&note.Note{Text: c.Text()}, signers...)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return msg, nil
}

// OpenCheckpoint reads a signed checkpoint and checks the signature of v, whose
// name must be the origin. Signature lines of keys it does not know are kept in the
// note's UnverifiedSigs and prove nothing. A wrong form gives fault.Malformed, code
// checkpoint_malformed; a missing or false signature, or another origin,
// fault.Invalid, code checkpoint_unsigned.
func OpenCheckpoint(msg []byte, v note.Verifier) (Checkpoint, *note.Note, error) {
	if v == nil {
		return Checkpoint{}, nil, unsigned(errors.New("no verifier"))
	}
	c, n, err := readNote(msg, note.VerifierList(v))
	if _, ok := errors.AsType[*note.InvalidSignatureError](err); ok {
		return Checkpoint{}, nil, unsigned(err)
	}
	if err != nil {
		return Checkpoint{}, nil, malformed("checkpoint_malformed", "checkpoint", err)
	}
	if c.Origin != v.Name() {
		return Checkpoint{}, nil, unsigned(fmt.Errorf("origin %q, key %q", c.Origin, v.Name()))
	}
	if len(n.Sigs) == 0 {
		return Checkpoint{}, nil, unsigned(fmt.Errorf("key %q did not sign", v.Name()))
	}
	return c, n, nil
}

// readNote checks the form of a signed checkpoint, and the signatures by the known
// keys. A note that no known key signed is not an error here.
func readNote(msg []byte, known note.Verifiers) (Checkpoint, *note.Note, error) {
	if len(msg) > MaxCheckpoint {
		return Checkpoint{}, nil, fmt.Errorf("it is longer than %d bytes", MaxCheckpoint)
	}
	n, err := note.Open(msg, known)
	if u, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		n, err = u.Note, nil
	}
	if err != nil {
		return Checkpoint{}, nil, err
	}
	if err := checkSignatureLines(string(msg[len(n.Text):])); err != nil {
		return Checkpoint{}, nil, err
	}
	c, err := parseCheckpoint(n.Text)
	return c, n, err
}

// checkSignatureLines refuses what note.Open is lax about: base64 in a second
// spelling, and the same line twice.
func checkSignatureLines(block string) error {
	seen := map[string]bool{}
	for line := range strings.Lines(strings.TrimPrefix(block, "\n")) {
		line = strings.TrimSuffix(line, "\n")
		if seen[line] {
			return errors.New("a signature line stands twice")
		}
		seen[line] = true
		if _, err := decode64(line[strings.LastIndexByte(line, ' ')+1:]); err != nil {
			return fmt.Errorf("signature: %w", err)
		}
	}
	return nil
}

func unsigned(err error) error {
	return &fault.Error{Kind: fault.Invalid, Code: "checkpoint_unsigned", Err: fmt.Errorf("open checkpoint: %w", err),
		Public: fault.Public{Problem: "The checkpoint is not signed by the key that was expected.",
			Next: "Compare the verifier key with the one you were given by another way."}}
}

// signer signs notes with Ed25519. The key is held in a function, where no printing
// of the signer reaches it.
type signer struct {
	name string
	hash uint32
	sign func(msg []byte) []byte
}

func (s *signer) Name() string                    { return s.name }
func (s *signer) KeyHash() uint32                 { return s.hash }
func (s *signer) Sign(msg []byte) ([]byte, error) { return s.sign(msg), nil }

// NewSigner makes the Ed25519 key with this name from a 32-byte seed, always the
// same from the same seed, and its verifier key in the note format
// (name+hash+base64), which is what an auditor is given.
func NewSigner(name string, seed secret.Bytes) (s note.Signer, verifierKey string, err error) {
	if err := checkOrigin(name); err != nil {
		return nil, "", fmt.Errorf("make signing key: %w", err)
	}
	if seed.Len() != ed25519.SeedSize {
		return nil, "", fmt.Errorf("make signing key %q: a seed has %d bytes, this one %d", name, ed25519.SeedSize, seed.Len())
	}
	key := ed25519.NewKeyFromSeed(seed.Reveal())
	verifierKey, err = note.NewEd25519VerifierKey(name, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, "", fmt.Errorf("make signing key %q: %w", name, err)
	}
	v, err := note.NewVerifier(verifierKey)
	if err != nil {
		return nil, "", fmt.Errorf("make signing key %q: %w", name, err)
	}
	return &signer{name, v.KeyHash(), func(msg []byte) []byte { return ed25519.Sign(key, msg) }}, verifierKey, nil
}
