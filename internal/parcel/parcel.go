// Package parcel is the form of a bundle: chosen values, sealed to the key of one machine,
// signed by the server, with an end. A machine opens it while the server cannot be reached.
//
//	values ─► HPKE to the machine's key, bound to the head ─► signed by the server ─► text
//	text ─► form ─► signature ─► this machine ─► times, against the last seen clock ─► values
//
// Promises: vault.secret-home (a value outside the store is sealed, and ends).
//
// Refuses: another machine's key; a byte that is not as it was signed; a life of more than
// seven days, whatever was signed; a clock before the bundle's beginning, after its end, or
// before the last time that this machine has seen.
//
// Threats: a bundle that is copied (it opens with one machine's key); one that is altered or
// made by somebody else (the server's signature, whose key the machine was given); one that
// is kept for ever (the end is signed; a clock that is put back is noticed by the last seen
// one). Not answered here: whoever can read the machine's key and put its last seen clock
// back opens a bundle for as long as they keep it; so rotate what was in a stolen one.
//
// The construction is HPKE (RFC 9180), base mode: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256,
// AES-256-GCM, all within the FIPS module. The signature is Ed25519 over the head and the
// box, each part with its length.
//
// For: programs on machines that may be cut off. Read parcel.go, then key.go.
package parcel

import (
	"crypto/ed25519"
	"crypto/hpke"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"
	"time"

	"writ/internal/fault"
	"writ/internal/secret"
)

// The bounds of a bundle.
const (
	MaxLife  = 7 * 24 * time.Hour
	MaxNames = 200
	maxText  = 8 << 20
	slack    = 5 * time.Minute // of two clocks
)

// Head is what a bundle says of itself, in clear and signed.
type Head struct {
	ID      string    `json:"id"`
	Origin  string    `json:"origin"`  // of the server, https://app.example.com
	Machine string    `json:"machine"` // fingerprint of the key that opens it
	Issued  time.Time `json:"issued"`
	Ends    time.Time `json:"ends"`
	Names   []string  `json:"names"` // name:version
}

// Value is one that a bundle holds.
type Value struct {
	Name string
	Text secret.Text
}

// wire is a bundle as text.
type wire struct {
	Bundle int    `json:"writ_bundle"`
	Head   Head   `json:"head"`
	Box    string `json:"box"`
	Sig    string `json:"sig"`
}

const (
	format  = 1
	forBox  = "writ/bundle/1/box"
	forSign = "writ/bundle/1/sign"
)

func bad(kind fault.Kind, code, problem, next string) error {
	return fault.New(kind, code, fault.Public{Problem: problem, Next: next})
}

// part appends a text with its length, so that two heads never give the same bytes.
func part(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func (h Head) bytes(label string) []byte {
	b := part(nil, label)
	for _, s := range []string{h.ID, h.Origin, h.Machine} {
		b = part(b, s)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(h.Issued.UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Ends.UnixMicro()))
	b = binary.BigEndian.AppendUint32(b, uint32(len(h.Names)))
	for _, n := range h.Names {
		b = part(b, n)
	}
	return b
}

func kdf() hpke.KDF   { return hpke.HKDFSHA256() }
func aead() hpke.AEAD { return hpke.AES256GCM() }

// Seal makes a bundle for a machine. The head's machine and the times to the microsecond
// are set here.
func Seal(h Head, vs []Value, to Machine, sign ed25519.PrivateKey) ([]byte, Head, error) { // clause: vault.secret-home
	h.Machine, h.Issued, h.Ends = to.Fingerprint(), h.Issued.UTC().Truncate(time.Microsecond), h.Ends.UTC().Truncate(time.Microsecond)
	if err := h.check(); err != nil {
		return nil, h, err
	}
	inside := map[string]string{}
	for _, v := range vs {
		inside[v.Name] = v.Text.Reveal()
	}
	plain, err := json.Marshal(inside)
	if err != nil {
		return nil, h, err
	}
	defer clear(plain)
	box, err := hpke.Seal(to.key, kdf(), aead(), h.bytes(forBox), plain)
	if err != nil {
		return nil, h, err
	}
	w := wire{Bundle: format, Head: h, Box: base64.StdEncoding.EncodeToString(box),
		Sig: base64.StdEncoding.EncodeToString(ed25519.Sign(sign, part(h.bytes(forSign), string(box))))}
	text, err := json.MarshalIndent(w, "", " ")
	return append(text, '\n'), h, err
}

func (h Head) check() error {
	switch {
	case h.ID == "" || len(h.ID) > 64 || len(h.Origin) > 300 || len(h.Machine) != fingerprintLen:
		return bad(fault.Invalid, "bundle_form", "This is no bundle.", "Make one with: writ vault bundle create")
	case len(h.Names) == 0 || len(h.Names) > MaxNames:
		return bad(fault.Invalid, "bundle_names", "A bundle holds 1 to 200 values.", "Choose fewer names.")
	case !h.Ends.After(h.Issued) || h.Ends.Sub(h.Issued) > MaxLife:
		return bad(fault.Invalid, "bundle_life", "A bundle lives seven days at most.", "Make one with a shorter life.")
	}
	return nil
}

// Sealed is a bundle that was read; nothing of it is believed yet.
type Sealed struct {
	Head Head
	box  []byte
	sig  []byte
}

// Parse reads a bundle's text.
func Parse(text []byte) (Sealed, error) {
	form := bad(fault.Invalid, "bundle_form", "This is no bundle.", "Make one with: writ vault bundle create")
	if len(text) > maxText {
		return Sealed{}, form
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	var w wire
	if err := d.Decode(&w); err != nil || d.More() || w.Bundle != format {
		return Sealed{}, form
	}
	s := Sealed{Head: w.Head}
	var err error
	if s.box, err = base64.StdEncoding.Strict().DecodeString(w.Box); err != nil {
		return Sealed{}, form
	}
	if s.sig, err = base64.StdEncoding.Strict().DecodeString(w.Sig); err != nil {
		return Sealed{}, form
	}
	return s, s.Head.check()
}

// Open checks everything that a bundle says and gives its values. now is this machine's
// clock and seen the latest that it has ever shown.
func (s Sealed) Open(k Key, now, seen time.Time) ([]Value, error) { // clause: vault.secret-home
	h := s.Head
	switch {
	case !ed25519.Verify(k.server, part(h.bytes(forSign), string(s.box)), s.sig):
		return nil, bad(fault.Denied, "bundle_signature", "The bundle is not as the server has signed it.", "Fetch it again, or make a new one.")
	case h.Machine != k.Machine().Fingerprint():
		return nil, bad(fault.Denied, "bundle_machine", "The bundle is sealed to another machine.", "Make one for this machine's key.")
	case now.Before(seen.Add(-slack)):
		return nil, bad(fault.Denied, "bundle_clock", "The clock of this machine was put back.", "Set it right, and try again.")
	case now.Before(h.Issued.Add(-slack)):
		return nil, bad(fault.Denied, "bundle_clock", "The bundle begins after this machine's time.", "Set the clock right, and try again.")
	case !now.Before(h.Ends):
		return nil, bad(fault.Gone, "bundle_over", "The bundle has ended, on "+h.Ends.Format("2 January 2006 15:04 UTC")+".", "Make a new one when the server can be reached.")
	}
	plain, err := hpke.Open(k.private, kdf(), aead(), h.bytes(forBox), s.box)
	if err != nil {
		return nil, bad(fault.Denied, "bundle_damaged", "The bundle does not open.", "Fetch it again, or make a new one.")
	}
	defer clear(plain)
	var inside map[string]string
	if err := json.Unmarshal(plain, &inside); err != nil {
		return nil, bad(fault.Denied, "bundle_damaged", "The bundle does not open.", "Make a new one.")
	}
	var out []Value
	for _, n := range h.Names {
		name := n[:max(strings.LastIndexByte(n, ':'), 0)]
		v, ok := inside[name]
		if !ok {
			return nil, bad(fault.Denied, "bundle_damaged", "The bundle lacks "+name+".", "Make a new one.")
		}
		out = append(out, Value{name, secret.NewText(v)})
	}
	return out, nil
}
