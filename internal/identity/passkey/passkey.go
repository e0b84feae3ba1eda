package passkey

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"writ/internal/fault"
	"writ/internal/secret"
)

const (
	// MaxPerPerson is how many passkeys one person may have.
	MaxPerPerson = 20
	// HandleSize is the length of a user handle.
	HandleSize = 64
	// Timeout is how long a question may be answered.
	Timeout = 5 * time.Minute

	maxResponse = 8 << 10 // one answer as JSON; with an RSA key it is under 2 KiB
	maxCeremony = 16 << 10
)

// Party is a site as authenticators know it. It is safe for concurrent use.
type Party struct {
	origin string
	id     string
	now    func() time.Time
	lib    *webauthn.WebAuthn
	makers *Makers // nil = any
}

// New makes the Party of a public origin, https://HOST or https://HOST:PORT. The host is
// the id that passkeys are bound to for good: fault.Invalid when it is an address of
// numbers, which browsers refuse.
func New(origin string, now func() time.Time) (*Party, error) { return NewOf(origin, now, nil) }

// NewOf is New for a site that takes passkeys of listed makers only, and asks each device
// for its maker's word. With nil it asks for none and takes any.
func NewOf(origin string, now func() time.Time, makers *Makers) (*Party, error) {
	origin, host, err := canonical(origin)
	if err != nil {
		return nil, err
	}
	limit := webauthn.TimeoutConfig{Enforce: true, Timeout: Timeout, TimeoutUVD: Timeout}
	config := &webauthn.Config{
		RPID: host, RPDisplayName: host, RPOrigins: []string{origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: protocol.ResidentKeyRequired(),
			ResidentKey:        protocol.ResidentKeyRequirementRequired,
			UserVerification:   protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: limit, Registration: limit},
		// Some managers of passwords volunteer outputs. None is read here.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	}
	if makers != nil {
		config.AttestationPreference, config.MDS = protocol.PreferDirectAttestation, makers.provider
	}
	lib, err := webauthn.New(config)
	if err != nil {
		return nil, fmt.Errorf("set up passkeys for %s: %w", host, err)
	}
	return &Party{origin: origin, id: host, now: now, lib: lib, makers: makers}, nil
}

// ID is the host that passkeys of this Party are bound to.
func (p *Party) ID() string { return p.id }

// canonical writes an origin as browsers do: lower case, no port where it is the usual one.
func canonical(origin string) (text, host string, err error) {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Path != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", "", fault.Newf(fault.Invalid, "origin", "The public address %q must be https://HOST without a path.", origin)
	}
	host = strings.ToLower(u.Hostname())
	if net.ParseIP(host) != nil {
		return "", "", fault.New(fault.Invalid, "passkey_host", fault.Public{
			Problem:  fmt.Sprintf("The public address %q has no name, and browsers bind passkeys to a name only.", origin),
			Expected: "https:// and a host name; on one machine, https://localhost.", Next: "Give the server a name, or use codes from an app."})
	}
	if port := u.Port(); port != "" && port != "443" {
		return "https://" + host + ":" + port, host, nil
	}
	return "https://" + host, host, nil
}

// NewHandle is a new user handle: random, so that an authenticator tells nobody whose it is.
func NewHandle() []byte { return secret.Random(HandleSize).Reveal() }

// kind is which of the two questions was asked.
type kind string

const (
	create kind = "create"
	ask    kind = "ask"
)

// Ceremony is a question that was asked and not yet answered. Keep it on the server and
// use it once.
type Ceremony struct {
	kind    kind
	until   time.Time
	session webauthn.SessionData
}

// Until is when the question may be answered no longer.
func (c Ceremony) Until() time.Time { return c.until }

// Named reports whether the question named the credentials that may answer.
func (c Ceremony) Named() bool { return len(c.session.AllowedCredentialIDs) > 0 }

// stored is a Ceremony as it is written.
type stored struct {
	V       int                  `json:"v"`
	Kind    kind                 `json:"kind"`
	Until   int64                `json:"until"` // µs
	Session webauthn.SessionData `json:"session"`
}

// Bytes writes the ceremony down.
func (c Ceremony) Bytes() ([]byte, error) {
	b, err := json.Marshal(stored{V: 1, Kind: c.kind, Until: c.until.UnixMicro(), Session: c.session})
	if err != nil {
		return nil, fmt.Errorf("write ceremony: %w", err)
	}
	return b, nil
}

// ReadCeremony reads what Bytes wrote.
func ReadCeremony(b []byte) (Ceremony, error) {
	var s stored
	if err := strict(b, maxCeremony, &s); err != nil {
		return Ceremony{}, fmt.Errorf("read ceremony: %w", err)
	}
	if s.V != 1 || s.Kind != create && s.Kind != ask {
		return Ceremony{}, fmt.Errorf("read ceremony: version %d of kind %q is not known", s.V, s.Kind)
	}
	return Ceremony{kind: s.Kind, until: time.UnixMicro(s.Until).UTC(), session: s.Session}, nil
}

// check holds what both ceremonies have in common: the right question, in time.
func (p *Party) check(c Ceremony, want kind) error {
	switch {
	case c.kind != want:
		return refuse(WrongCeremony, nil)
	case c.session.RelyingPartyID != p.id:
		return refuse(WrongHost, nil)
	case !p.now().Before(c.until):
		return refuse(Expired, nil)
	}
	return nil
}

// checkClient judges what the browser says of where it was asked.
func (p *Party) checkClient(c Ceremony, d protocol.CollectedClientData, want protocol.CeremonyType) error {
	switch {
	case d.Type != want:
		return refuse(WrongCeremony, nil)
	case !secret.NewText(d.Challenge).Equal(secret.NewText(c.session.Challenge)):
		return refuse(WrongChallenge, nil)
	case d.Origin != p.origin:
		return refuse(WrongOrigin, nil)
	case d.CrossOrigin || d.TopOrigin != "":
		return refuse(Framed, nil)
	}
	return nil
}

// checkFlags judges what the authenticator says of itself and its user.
func (p *Party) checkFlags(a protocol.AuthenticatorData) error {
	switch {
	case !equalHost(a.RPIDHash, p.id):
		return refuse(WrongHost, nil)
	case !a.Flags.HasUserPresent():
		return refuse(NobodyPresent, nil)
	case !a.Flags.HasUserVerified():
		return refuse(NotVerified, nil)
	case a.Flags.HasBackupState() && !a.Flags.HasBackupEligible():
		return refuse(BackupChanged, nil)
	}
	return nil
}
