// Package sshsig reads, checks and makes OpenSSH signatures (PROTOCOL.sshsig) with
// Ed25519 keys: what `ssh-keygen -Y sign` writes and `ssh-keygen -Y verify` judges.
// Owners sign revisions with it, so that anybody checks an approval with a tool
// they already have, years from now, without Writ.
//
// Refused: keys other than Ed25519, hashes other than SHA-512 and SHA-256, a
// signature for another namespace (a file or git signature cannot approve a
// policy), trailing bytes anywhere, files over 8 KiB.
//
// Pure. For: owner, auditor.
package sshsig

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"

	"writ/internal/fault"

	"golang.org/x/crypto/ssh"
)

const (
	magic    = "SSHSIG"
	pemType  = "SSH SIGNATURE"
	maxBytes = 8 << 10
)

// Key is an Ed25519 public key in OpenSSH form.
type Key struct{ key ssh.PublicKey }

// ParseKey reads one line of an .pub or authorized_keys file.
func ParseKey(line string) (Key, error) {
	if len(line) > maxBytes {
		return Key{}, badKey("it is longer than 8 KiB")
	}
	k, _, opts, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return Key{}, badKey("it cannot be read")
	}
	if len(opts) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		return Key{}, badKey("it holds options or a second line")
	}
	if k.Type() != ssh.KeyAlgoED25519 {
		return Key{}, badKey("it is of type " + k.Type())
	}
	return Key{k}, nil
}

func badKey(why string) error {
	return fault.New(fault.Invalid, "public_key", fault.Public{
		Problem: "The public key was refused: " + why + ".", Expected: "One line such as “ssh-ed25519 AAAA… name”.",
		Next: "Make one with: ssh-keygen -t ed25519"})
}

// String is the key in one line without a comment.
func (k Key) String() string { return string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(k.key))) }

// Fingerprint is SHA256:… as ssh-keygen -l prints it.
func (k Key) Fingerprint() string { return ssh.FingerprintSHA256(k.key) }

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return k.key == nil }

// blob is the signature file's content after the magic.
type blob struct {
	Version   uint32
	PublicKey string
	Namespace string
	Reserved  string
	HashAlg   string
	Signature string
}

// signed is what the key signs, after the magic.
type signed struct{ Namespace, Reserved, HashAlg, Hash string }

// Verify checks an armored signature over message for a namespace and returns the
// key that made it. Whether that key belongs to anybody is the caller's question.
func Verify(armored []byte, namespace string, message []byte) (Key, error) {
	b, err := parse(armored)
	if err != nil {
		return Key{}, err
	}
	if b.Namespace != namespace {
		return Key{}, bad(fmt.Sprintf("it is for the namespace %q, not %q", b.Namespace, namespace))
	}
	pk, err := ssh.ParsePublicKey([]byte(b.PublicKey))
	if err != nil || pk.Type() != ssh.KeyAlgoED25519 {
		return Key{}, bad("its key is not Ed25519")
	}
	var sig ssh.Signature
	if err := ssh.Unmarshal([]byte(b.Signature), &sig); err != nil || sig.Format != ssh.KeyAlgoED25519 || len(sig.Rest) > 0 {
		return Key{}, bad("its inner part cannot be read")
	}
	text, err := payload(b, message)
	if err != nil {
		return Key{}, err
	}
	if err := pk.Verify(text, &sig); err != nil {
		return Key{}, bad("it does not match the text")
	}
	return Key{pk}, nil
}

func parse(armored []byte) (blob, error) {
	var b blob
	if len(armored) > maxBytes {
		return b, bad("it is longer than 8 KiB")
	}
	p, rest := pem.Decode(bytes.TrimSpace(armored))
	if p == nil || p.Type != pemType || len(p.Headers) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		return b, bad("it is not one block of -----BEGIN SSH SIGNATURE-----")
	}
	body, ok := bytes.CutPrefix(p.Bytes, []byte(magic))
	if !ok {
		return b, bad("it does not begin with SSHSIG")
	}
	if err := ssh.Unmarshal(body, &b); err != nil || b.Version != 1 || b.Reserved != "" {
		return b, bad("its body cannot be read")
	}
	return b, nil
}

func payload(b blob, message []byte) ([]byte, error) {
	var h []byte
	switch b.HashAlg {
	case "sha512":
		s := sha512.Sum512(message)
		h = s[:]
	case "sha256":
		s := sha256.Sum256(message)
		h = s[:]
	default:
		return nil, bad("its hash is " + b.HashAlg)
	}
	return append([]byte(magic), ssh.Marshal(signed{b.Namespace, b.Reserved, b.HashAlg, string(h)})...), nil
}

func bad(why string) error {
	return fault.New(fault.Invalid, "signature", fault.Public{
		Problem: "The signature was refused: " + why + ".", Expected: "What ssh-keygen -Y sign writes for exactly this text.",
		Next: "Sign the shown text again."})
}

// Signer makes signatures; it holds a private key read from a file.
type Signer struct{ s ssh.Signer }

// NewSigner reads an OpenSSH private key; passphrase may be nil. A key with a
// passphrase and none given is fault.Unauthenticated.
func NewSigner(file, passphrase []byte) (Signer, error) {
	var s ssh.Signer
	var err error
	if passphrase == nil {
		s, err = ssh.ParsePrivateKey(file)
	} else {
		s, err = ssh.ParsePrivateKeyWithPassphrase(file, passphrase)
	}
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		return Signer{}, fault.New(fault.Unauthenticated, "passphrase", fault.Public{Problem: "The key is locked by a passphrase."})
	}
	if err != nil || s.PublicKey().Type() != ssh.KeyAlgoED25519 {
		return Signer{}, fault.New(fault.Invalid, "private_key", fault.Public{
			Problem: "The private key was refused.", Expected: "An Ed25519 key in OpenSSH form.", Next: "Make one with: ssh-keygen -t ed25519"})
	}
	return Signer{s}, nil
}

// Generate makes a new key for tests and the demo.
func Generate() (Signer, error) {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Signer{}, err
	}
	s, err := ssh.NewSignerFromKey(priv)
	return Signer{s}, err
}

// Key is the public half.
func (s Signer) Key() Key { return Key{s.s.PublicKey()} }

// Sign returns the armored signature, as ssh-keygen -Y sign would write it.
func (s Signer) Sign(namespace string, message []byte) ([]byte, error) {
	b := blob{Version: 1, PublicKey: string(s.s.PublicKey().Marshal()), Namespace: namespace, HashAlg: "sha512"}
	text, err := payload(b, message)
	if err != nil {
		return nil, err
	}
	sig, err := s.s.Sign(rand.Reader, text)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	b.Signature = string(ssh.Marshal(*sig))
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: append([]byte(magic), ssh.Marshal(b)...)}), nil
}
