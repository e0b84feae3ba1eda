package parcel

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"writ/internal/fault"
	"writ/internal/secret"
)

// The beginnings of keys as text.
const (
	machinePrefix = "writ-machine-1:"
	privatePrefix = "writ-machine-private-1:"
	serverPrefix  = "writ-bundles-1:"

	fingerprintLen = 32
)

func kem() hpke.KEM { return hpke.DHKEM(ecdh.P256()) }

// Machine is the public key that bundles are sealed to.
type Machine struct{ key hpke.PublicKey }

// ParseMachine reads one.
func ParseMachine(text string) (Machine, error) {
	form := bad(fault.Invalid, "machine_key", "This is no public key of a machine.", "Make one on the machine with: writ vault machine-key FILE")
	raw, ok := strings.CutPrefix(strings.TrimSpace(text), machinePrefix)
	if !ok || len(raw) > 200 {
		return Machine{}, form
	}
	b, err := base64.RawURLEncoding.DecodeString(raw)
	if err != nil {
		return Machine{}, form
	}
	k, err := kem().NewPublicKey(b)
	if err != nil {
		return Machine{}, form
	}
	return Machine{k}, nil
}

// String is the key as text.
func (m Machine) String() string {
	return machinePrefix + base64.RawURLEncoding.EncodeToString(m.key.Bytes())
}

// Fingerprint names the key in lists and heads.
func (m Machine) Fingerprint() string {
	h := sha256.Sum256(m.key.Bytes())
	return hex.EncodeToString(h[:fingerprintLen/2])
}

// Server is the text of the key that bundles are signed with, as machines keep it.
func Server(k ed25519.PublicKey) string {
	return serverPrefix + base64.RawURLEncoding.EncodeToString(k)
}

// Key is what a machine opens bundles with, and whose bundles it believes.
type Key struct {
	private hpke.PrivateKey
	server  ed25519.PublicKey
}

// NewKey makes a machine's key that believes the server with this key.
func NewKey(server string) (Key, error) {
	s, err := parseServer(server)
	if err != nil {
		return Key{}, err
	}
	p, err := kem().GenerateKey()
	return Key{p, s}, err
}

func parseServer(text string) (ed25519.PublicKey, error) {
	raw, ok := strings.CutPrefix(strings.TrimSpace(text), serverPrefix)
	b, err := base64.RawURLEncoding.DecodeString(raw)
	if !ok || err != nil || len(b) != ed25519.PublicKeySize {
		return nil, bad(fault.Invalid, "server_key", "This is no key that a server signs bundles with.", "Ask the server again.")
	}
	return b, nil
}

// Machine is the public half.
func (k Key) Machine() Machine { return Machine{k.private.PublicKey()} }

// Text is the file of a key: the private half, and the server that is believed.
func (k Key) Text() (secret.Text, error) {
	b, err := k.private.Bytes()
	if err != nil {
		return secret.Text{}, err
	}
	defer clear(b)
	return secret.NewText("# Opens bundles of Writ on this machine. Keep it here, for its owner alone.\n" +
		privatePrefix + base64.RawURLEncoding.EncodeToString(b) + "\n" + Server(k.server) + "\n"), nil
}

// ParseKey reads such a file.
func ParseKey(text secret.Text) (Key, error) {
	form := bad(fault.Invalid, "machine_key", "This is no key of a machine.", "Make one with: writ vault machine-key FILE")
	var k Key
	for line := range strings.Lines(text.Reveal()) {
		line = strings.TrimSpace(line)
		switch raw, private := strings.CutPrefix(line, privatePrefix); {
		case line == "" || line[0] == '#':
		case private && k.private == nil:
			b, err := base64.RawURLEncoding.DecodeString(raw)
			if err != nil {
				return Key{}, form
			}
			k.private, err = kem().NewPrivateKey(b)
			if clear(b); err != nil {
				return Key{}, form
			}
		case k.server == nil:
			s, err := parseServer(line)
			if err != nil {
				return Key{}, form
			}
			k.server = s
		default:
			return Key{}, form
		}
	}
	if k.private == nil || k.server == nil {
		return Key{}, form
	}
	return k, nil
}
