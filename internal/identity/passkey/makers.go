package passkey

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/metadata/providers/memory"
	"github.com/go-webauthn/webauthn/protocol"

	"writ/internal/fault"
)

// maxMetadata bounds a metadata file; that of all makers in 2026 has 5 MiB.
const maxMetadata = 64 << 20

// Makers are the authenticators of which a site takes passkeys, each with the
// certificates that its maker vouches by. It is safe for concurrent use.
type Makers struct {
	provider metadata.Provider
	has      func(aaguid [16]byte) bool
	n        int
}

// Len is how many models there are.
func (m *Makers) Len() int { return m.n }

// ReadMakers reads a file of the FIDO Metadata Service: its payload as JSON, or the whole
// signed file. The signature is not judged: the file is believed as it lies there, like a
// file of certificates, for the one who lays it there may also strike models from it.
// Nothing is fetched. A file that names no model is fault.Invalid.
func ReadMakers(b []byte) (*Makers, error) {
	payload, err := payloadOf(b)
	if err != nil {
		return nil, badMetadata(err)
	}
	decoder, err := metadata.NewDecoder(metadata.WithIgnoreEntryParsingErrors()) // of a model that cannot be read nothing is taken
	if err != nil {
		return nil, fmt.Errorf("read passkey metadata: %w", err)
	}
	all, err := decoder.Parse(payload)
	if err != nil {
		return nil, badMetadata(err)
	}
	models := all.ToMap()
	delete(models, [16]byte{}) // of no make: keys that say nothing of themselves
	if len(models) == 0 {
		return nil, badMetadata(errors.New("it names no model by an AAGUID"))
	}
	provider, err := memory.New(memory.WithMetadata(models), memory.WithValidateEntry(true), memory.WithValidateEntryPermitZeroAAGUID(false),
		memory.WithValidateTrustAnchor(true), memory.WithValidateStatus(true), memory.WithValidateAttestationTypes(true))
	if err != nil {
		return nil, fmt.Errorf("read passkey metadata: %w", err)
	}
	return &Makers{provider: provider, n: len(models), has: func(id [16]byte) bool { return models[id] != nil }}, nil
}

// payloadOf finds the payload in either form.
func payloadOf(b []byte) (*metadata.PayloadJSON, error) {
	if len(b) > maxMetadata {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(b), maxMetadata)
	}
	b = bytes.TrimSpace(b)
	if !bytes.HasPrefix(b, []byte("{")) {
		parts := bytes.Split(b, []byte("."))
		if len(parts) != 3 {
			return nil, errors.New("it is neither JSON nor a signed file of three parts")
		}
		raw, err := base64.RawURLEncoding.DecodeString(string(parts[1]))
		if err != nil {
			return nil, fmt.Errorf("its payload is not base64url: %w", err)
		}
		b = raw
	}
	var p metadata.PayloadJSON
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, err
	}
	return &p, nil
}

func badMetadata(err error) error {
	return fault.New(fault.Invalid, "passkey_metadata", fault.Public{
		Problem:  "The metadata of passkeys cannot be used: " + err.Error() + ".",
		Expected: "A file of the FIDO Metadata Service, signed or its payload as JSON, with at least one model.",
		Next:     "Put a good file in its place, or take the setting out; then any passkey is taken."})
}

// vouched refuses a passkey of which no listed maker says that it is theirs. The library
// passes over what has no chain, so that is judged here.
func (m *Makers) vouched(object protocol.AttestationObject) error {
	chain, _ := object.AttStatement["x5c"].([]any)
	if protocol.AttestationFormat(object.Format) == protocol.AttestationFormatNone || len(chain) == 0 {
		return refuse(NotVouched, nil)
	}
	var id [16]byte
	if copy(id[:], object.AuthData.AttData.AAGUID) != len(id) || !m.has(id) {
		return refuse(NotListed, nil)
	}
	return nil
}

// judged tells what the library found wrong. What the answer says of itself was judged
// before, so with makers it is the maker's word.
func (m *Makers) judged(err error) error {
	if m != nil {
		return refuse(NotListed, err)
	}
	return refuse(BadSignature, err)
}
