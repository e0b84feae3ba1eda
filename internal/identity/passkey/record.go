package passkey

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

const (
	maxID     = 1023 // bytes of a credential id; Level 3 §4
	maxKey    = 2048 // bytes of a COSE key; RSA with 8192 bits is 1,100
	maxRecord = 8 << 10
)

// transports are the ways to reach an authenticator that are kept; Level 3 §5.8.4.
var transports = []string{"ble", "hybrid", "internal", "nfc", "smart-card", "usb"}

// Record is a passkey as the server keeps it. Nothing in it is secret; it says whose
// devices are which, so it is kept sealed.
type Record struct {
	ID         []byte
	Key        []byte // COSE
	Handle     []byte // of its owner
	Flags      byte   // of the authenticator data when it was last used
	Count      uint32 // of signatures; 0 where the authenticator does not count
	AAGUID     [16]byte
	Transports []string
	Attachment string // platform, cross-platform, ""
	Format     string // of the attestation statement
}

// Sum is the digest of the credential's id, by which it is found.
func (r Record) Sum() string { return sumOf(r.ID) }

func sumOf(id []byte) string {
	h := sha256.Sum256(id)
	return hex.EncodeToString(h[:])
}

// BackupEligible reports whether the passkey can be copied between devices.
func (r Record) BackupEligible() bool {
	return protocol.AuthenticatorFlags(r.Flags).HasBackupEligible()
}

// BackedUp reports whether it was copied when it was last used.
func (r Record) BackedUp() bool { return protocol.AuthenticatorFlags(r.Flags).HasBackupState() }

// written is a Record as it is stored. A change of it adds a version.
type written struct {
	V          int      `json:"v"`
	ID         []byte   `json:"id"`
	Key        []byte   `json:"key"`
	Handle     []byte   `json:"handle"`
	Flags      byte     `json:"flags"`
	Count      uint32   `json:"count"`
	AAGUID     []byte   `json:"aaguid"`
	Transports []string `json:"transports,omitempty"`
	Attachment string   `json:"attachment,omitempty"`
	Format     string   `json:"format"`
}

// Bytes writes the record down.
func (r Record) Bytes() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(written{1, r.ID, r.Key, r.Handle, r.Flags, r.Count, r.AAGUID[:], r.Transports, r.Attachment, r.Format})
	if err != nil {
		return nil, fmt.Errorf("write passkey: %w", err)
	}
	return b, nil
}

// ReadRecord reads what Bytes wrote.
func ReadRecord(b []byte) (Record, error) {
	var w written
	if err := strict(b, maxRecord, &w); err != nil {
		return Record{}, fmt.Errorf("read passkey: %w", err)
	}
	if w.V != 1 {
		return Record{}, fmt.Errorf("read passkey: version %d is not known", w.V)
	}
	if len(w.AAGUID) != 16 {
		return Record{}, errors.New("read passkey: the AAGUID has not 16 bytes")
	}
	r := Record{w.ID, w.Key, w.Handle, w.Flags, w.Count, [16]byte(w.AAGUID), w.Transports, w.Attachment, w.Format}
	return r, r.check()
}

// check refuses what no authenticator can have made.
func (r Record) check() error {
	switch {
	case len(r.ID) == 0 || len(r.ID) > maxID:
		return refuse(Unreadable, fmt.Errorf("an id of %d bytes", len(r.ID)))
	case len(r.Key) == 0 || len(r.Key) > maxKey:
		return refuse(Unreadable, fmt.Errorf("a key of %d bytes", len(r.Key)))
	case len(r.Handle) != HandleSize:
		return refuse(Unreadable, fmt.Errorf("a handle of %d bytes", len(r.Handle)))
	case slices.ContainsFunc(r.Transports, func(t string) bool { return !slices.Contains(transports, t) }) || len(r.Transports) > len(transports):
		return refuse(Unreadable, errors.New("an unknown transport"))
	}
	return nil
}

func (r Record) credential() webauthn.Credential {
	c := webauthn.Credential{ID: r.ID, PublicKey: r.Key, AttestationFormat: r.Format,
		Flags:         webauthn.NewCredentialFlags(protocol.AuthenticatorFlags(r.Flags)),
		Authenticator: webauthn.Authenticator{AAGUID: r.AAGUID[:], SignCount: r.Count, Attachment: protocol.AuthenticatorAttachment(r.Attachment)}}
	for _, t := range r.Transports {
		c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
	}
	return c
}

// strict reads one JSON value without unknown fields, up to a limit.
func strict(b []byte, limit int, v any) error {
	if len(b) > limit {
		return fmt.Errorf("%d bytes are more than %d", len(b), limit)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the value")
	}
	return nil
}
