package passkey

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// A passkey can keep a key besides signing in: its PRF (Level 3 §10.1.4) gives the same 32
// bytes for the same salt, each time its user is verified. Such a passkey is one of its own,
// not resident where the device has the choice, so that it is not offered at sign-in.

// Held is such a passkey and the salt of its key.
type Held struct {
	Record
	Salt []byte
}

// CreateHeld asks for a passkey that keeps a key. Created judges the answer.
func (p *Party) CreateHeld(site string, o Owner, salt []byte) (Ceremony, json.RawMessage, error) {
	if len(o.Handle) != HandleSize {
		return Ceremony{}, nil, fmt.Errorf("ask for a passkey: the handle has %d bytes, not %d", len(o.Handle), HandleSize)
	}
	options, session, err := p.lib.BeginRegistration(owner{handle: o.Handle, name: o.Name, has: o.Has},
		webauthn.WithRegistrationRelyingPartyName(site),
		webauthn.WithConveyancePreference(p.lib.Config.AttestationPreference),
		webauthn.WithCredentialParameters(webauthn.CredentialParametersRecommendedL3()),
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementDiscouraged, UserVerification: protocol.VerificationRequired}),
		webauthn.WithExtensions(webauthn.WithExtensionPRF(values(salt))))
	if err != nil {
		return Ceremony{}, nil, fmt.Errorf("ask for a passkey: %w", err)
	}
	return p.asked(create, session, options.Response)
}

func values(salt []byte) protocol.PRFValues { return protocol.PRFValues{First: salt} }

// AskHeld asks any of these passkeys, of several people, to sign a challenge of the
// caller's, and for what its PRF gives.
func (p *Party) AskHeld(challenge []byte, of []Held) (json.RawMessage, error) {
	salts, records := map[string]protocol.PRFValues{}, make([]Record, len(of))
	for i, h := range of {
		records[i] = h.Record
		salts[base64.RawURLEncoding.EncodeToString(h.ID)] = values(h.Salt)
	}
	_, options, err := p.askFor(challenge, records, webauthn.WithAssertionExtensions(webauthn.WithExtensionPRFByCredential(salts, nil)))
	return options, err
}

// ProvedHeld judges an answer to AskHeld: which of the passkeys it is of, and its record as
// it must be stored now. A refusal is a *Refusal.
func (p *Party) ProvedHeld(challenge []byte, of []Held, response []byte) (int, Record, error) {
	a, err := Read(response)
	if err != nil {
		return 0, Record{}, err
	}
	i := slices.IndexFunc(of, func(h Held) bool { return h.Sum() == a.Sum() })
	if i < 0 {
		return 0, Record{}, refuse(UnknownCredential, nil)
	}
	c, _, err := p.askFor(challenge, []Record{of[i].Record})
	if err != nil {
		return 0, Record{}, err
	}
	r, err := p.Proved(c, a, of[i].Record)
	return i, r, err
}

func (p *Party) askFor(challenge []byte, from []Record, more ...webauthn.LoginOption) (Ceremony, json.RawMessage, error) {
	options, session, err := p.lib.BeginLogin(owner{handle: from[0].Handle, has: from},
		append(more, webauthn.WithUserVerification(protocol.VerificationRequired), webauthn.WithChallenge(challenge))...)
	if err != nil {
		return Ceremony{}, nil, fmt.Errorf("ask for a proof: %w", err)
	}
	return p.asked(ask, session, options.Response)
}
