package passkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"writ/internal/secret"
)

// The flags of authenticator data; Level 3 §6.1.
const (
	flagPresent  = 0x01
	flagVerified = 0x04
	flagMade     = 0x40 // a new credential is inside
)

// Key is a passkey in memory that says of itself what it is told to: for controls that
// try a server as an attacker would. Nobody is asked for anything, so it proves nothing.
type Key struct {
	Origin     string // where it claims to be used
	Host       string // what it claims to be bound to
	Unverified bool   // it does not claim that its user was verified
	Count      uint32 // it said last

	id, handle []byte
	private    *ecdsa.PrivateKey
}

// NewKey makes a key that is honest for the party, until it is told otherwise.
func (p *Party) NewKey() (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return &Key{Origin: p.origin, Host: p.id, id: secret.Random(32).Reveal(), private: private}, nil
}

// question is what a key reads of options.
type question struct {
	Challenge string `json:"challenge"`
	User      struct {
		ID string `json:"id"`
	} `json:"user"`
}

// client is what a browser would sign and send.
func (k *Key) client(kind string, options []byte) (q question, data []byte, err error) {
	if err := json.Unmarshal(options, &q); err != nil {
		return q, nil, fmt.Errorf("read options: %w", err)
	}
	data, err = json.Marshal(map[string]string{"type": kind, "challenge": q.Challenge, "origin": k.Origin})
	return q, data, err
}

// data is authenticator data; Level 3 §6.1.
func (k *Key) data(flags byte) []byte {
	flags |= flagPresent
	if !k.Unverified {
		flags |= flagVerified
	}
	host := sha256.Sum256([]byte(k.Host))
	return binary.BigEndian.AppendUint32(append(host[:], flags), k.Count)
}

// Make answers the options of Create.
func (k *Key) Make(options []byte) (json.RawMessage, error) {
	q, client, err := k.client("webauthn.create", options)
	if err != nil {
		return nil, err
	}
	if k.handle, err = base64.RawURLEncoding.DecodeString(q.User.ID); err != nil {
		return nil, fmt.Errorf("read options: %w", err)
	}
	point, err := k.private.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	data := append(k.data(flagMade), make([]byte, 16)...) // of no make
	data = binary.BigEndian.AppendUint16(data, uint16(len(k.id)))
	data = append(data, k.id...)
	data = append(data, 0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20) // COSE: EC2, ES256, P-256, x
	data = append(data, point[1:33]...)
	data = append(data, 0x22, 0x58, 0x20) // y
	data = append(data, point[33:]...)
	object := append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58"), byte(len(data)))
	return k.answer(map[string]string{"clientDataJSON": text(client), "attestationObject": text(append(object, data...))})
}

// Prove answers the options of Ask, and counts.
func (k *Key) Prove(options []byte) (json.RawMessage, error) {
	_, client, err := k.client("webauthn.get", options)
	if err != nil {
		return nil, err
	}
	k.Count++
	data, hash := k.data(0), sha256.Sum256(client)
	digest := sha256.Sum256(append(data[:len(data):len(data)], hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, k.private, digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return k.answer(map[string]string{"clientDataJSON": text(client), "authenticatorData": text(data), "signature": text(signature), "userHandle": text(k.handle)})
}

func (k *Key) answer(response map[string]string) (json.RawMessage, error) {
	id := text(k.id)
	return json.Marshal(map[string]any{"type": "public-key", "id": id, "rawId": id, "response": response, "clientExtensionResults": struct{}{}})
}

func text(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
