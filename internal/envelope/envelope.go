// Package envelope owns the sealed box: how one value is encrypted for one place
// in the database, and how pseudonyms and subkeys are made from the same key.
//
// Promises: crypto.at-rest (AES-256-GCM for every sealed field) and the ground of
// data.crypto-erase (a box is worth nothing without the one key it names).
//
// Refuses: a key that is not 32 bytes, a place that names no table or column, a
// box that was changed, moved to another place, or sealed under another key. All
// of these give the same fault, so that nobody learns which part was wrong.
//
// Threats: whoever can write to the database swaps two rows, copies a field of one
// team into another, or puts an older version back. Each box is bound to its table,
// column, team, row and version, and to its own header, so it opens in its own
// place only. Not answered here: putting back an old box together with its old
// version number; the journal shows that.
//
//	box = 0x01 ‖ len(key id) ‖ key id ‖ nonce(12) ‖ ciphertext ‖ tag(16)
//	associated data = "writ/envelope/1" ‖ header ‖ len,table ‖ len,column ‖ len,team ‖ len,row ‖ version
//
// The key itself is used for HKDF-SHA256 alone. The cipher, the subkeys and the
// pseudonyms each have a subkey with a name of their own, so none can stand for another.
//
// Nonces are random: seal at most 2^32 boxes under one key (NIST SP 800-38D §8.3).
// A change of format adds a version byte and keeps this one readable.
//
// Beside the boxes it encrypts the sectors of the database's files (Sectors), which hides
// what boxes leave open: indexes, lengths, pages that are free.
//
// For: keyring, vault and every module that stores a personal or secret value; the ledger.
// Read envelope.go, then key.go; sectors.go stands alone.
package envelope

import (
	"encoding/binary"
	"errors"
	"fmt"

	"writ/internal/fault"
	"writ/internal/secret"
)

const (
	version  = 1
	domain   = "writ/envelope/1"
	overhead = 12 + 16 // nonce and tag, as cipher.NewGCMWithRandomNonce writes them

	// MaxKeyID is the greatest length of a key id in bytes.
	MaxKeyID = 64
)

// AAD names the one place where a box may be opened. Table and Column must be
// set; Team and Row are empty and Version 0 where the place has none.
type AAD struct {
	Table, Column, Team, Row string
	Version                  int
}

// bind writes the associated data of a box with this header. Each text carries its
// length, so two different places never give the same bytes.
func (a AAD) bind(header []byte) []byte {
	b := make([]byte, 0, len(domain)+len(header)+len(a.Table)+len(a.Column)+len(a.Team)+len(a.Row)+4*4+8)
	b = append(b, domain...)
	b = append(b, header...)
	for _, s := range [...]string{a.Table, a.Column, a.Team, a.Row} {
		b = appendPart(b, s)
	}
	return binary.BigEndian.AppendUint64(b, uint64(a.Version))
}

// appendPart writes s with its length before it.
func appendPart(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// Overhead is by how many bytes a box under this key is longer than its content.
func (k Key) Overhead() int { return 2 + len(k.ID()) + overhead }

// Seal encrypts plain for the place aad. It panics on a zero Key and on an aad
// without table or column: a box bound to nothing could be moved anywhere.
func (k Key) Seal(plain []byte, aad AAD) []byte {
	if k.p == nil {
		panic("envelope: seal with a zero key")
	}
	if aad.Table == "" || aad.Column == "" {
		panic("envelope: seal without a table and a column")
	}
	k.p.seals.Add(1)
	box := make([]byte, 0, k.Overhead()+len(plain))
	box = append(box, k.p.header...)
	return k.p.aead.Seal(box, nil, plain, aad.bind(k.p.header))
}

// Open returns what was sealed in box for the place aad. A box that was changed,
// that belongs to another place or that another key sealed gives fault.Invalid
// with the code box_damaged; the cause, for the log, says what could be told.
func (k Key) Open(box []byte, aad AAD) (secret.Bytes, error) {
	if k.p == nil {
		return secret.Bytes{}, fault.Wrap(fault.Internal, "key_missing", errors.New("envelope: open with a zero key"))
	}
	id, rest, err := split(box)
	if err != nil {
		return secret.Bytes{}, damaged(err)
	}
	if id != k.p.id {
		return secret.Bytes{}, damaged(fmt.Errorf("box names key %q, opened with %q", id, k.p.id))
	}
	plain, err := k.p.aead.Open(nil, nil, rest, aad.bind(k.p.header))
	if err != nil {
		return secret.Bytes{}, damaged(fmt.Errorf("key %q, %s.%s: %w", id, aad.Table, aad.Column, err))
	}
	out := secret.NewBytes(plain)
	clear(plain)
	return out, nil
}

// KeyID reads which key a box names. Nothing vouches for the answer before the box
// is opened: use it only to find the key. Bytes that cannot be a box give
// fault.Invalid with the code box_damaged.
func KeyID(box []byte) (string, error) {
	id, _, err := split(box)
	if err != nil {
		return "", damaged(err)
	}
	return id, nil
}

// split takes the header off a box.
func split(box []byte) (id string, rest []byte, err error) {
	if len(box) < 2 {
		return "", nil, fmt.Errorf("%d bytes are too short for a box", len(box))
	}
	if box[0] != version {
		return "", nil, fmt.Errorf("box version %d is unknown", box[0])
	}
	n := int(box[1])
	if n < 1 || n > MaxKeyID {
		return "", nil, fmt.Errorf("key id of %d bytes", n)
	}
	if len(box) < 2+n+overhead {
		return "", nil, fmt.Errorf("%d bytes are too short for a box with a key id of %d", len(box), n)
	}
	return string(box[2 : 2+n]), box[2+n:], nil
}

func damaged(cause error) error {
	return &fault.Error{Kind: fault.Invalid, Code: "box_damaged", Err: fmt.Errorf("open sealed box: %w", cause),
		Public: fault.Public{
			Problem:  "A sealed value could not be opened.",
			Expected: "It must be unchanged, in the place it was written to, and sealed under the key it names.",
			Next:     "Tell the operator: the stored data was changed or its key is gone.",
		}}
}
