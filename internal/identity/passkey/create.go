package passkey

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// Owner is the person a passkey is made for.
type Owner struct {
	Handle []byte // HandleSize random bytes, the same for all passkeys of the person
	Name   string // what the authenticator shows to tell accounts apart
	Has    []Record
}

// Create asks for a new passkey. site is the name the authenticator shows. The answer is
// what PublicKeyCredential.parseCreationOptionsFromJSON takes. An owner with
// MaxPerPerson passkeys is refused (TooMany).
func (p *Party) Create(site string, o Owner) (Ceremony, json.RawMessage, error) {
	if len(o.Has) >= MaxPerPerson {
		return Ceremony{}, nil, refuse(TooMany, nil)
	}
	if len(o.Handle) != HandleSize {
		return Ceremony{}, nil, fmt.Errorf("ask for a passkey: the handle has %d bytes, not %d", len(o.Handle), HandleSize)
	}
	u := owner{handle: o.Handle, name: o.Name, has: o.Has}
	options, session, err := p.lib.BeginRegistration(u,
		webauthn.WithRegistrationRelyingPartyName(site),
		webauthn.WithConveyancePreference(p.lib.Config.AttestationPreference),
		webauthn.WithCredentialParameters(webauthn.CredentialParametersRecommendedL3()),
		webauthn.WithExclusions(webauthn.Credentials(u.WebAuthnCredentials()).CredentialDescriptors()),
		webauthn.WithExtensions(webauthn.WithExtensionCredProps()))
	if err != nil {
		return Ceremony{}, nil, fmt.Errorf("ask for a passkey: %w", err)
	}
	return p.asked(create, session, options.Response)
}

// asked makes the ceremony and the options of a question.
func (p *Party) asked(k kind, session *webauthn.SessionData, options any) (Ceremony, json.RawMessage, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return Ceremony{}, nil, fmt.Errorf("write options: %w", err)
	}
	return Ceremony{kind: k, until: p.now().Add(Timeout), session: *session}, text, nil
}

// Created judges the answer to Create. A refusal is a *Refusal.
func (p *Party) Created(c Ceremony, response []byte) (Record, error) {
	if err := p.check(c, create); err != nil {
		return Record{}, err
	}
	if len(response) > maxResponse {
		return Record{}, refuse(TooLarge, nil)
	}
	in, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return Record{}, refuse(Unreadable, err)
	}
	if err := p.checkClient(c, in.Response.CollectedClientData, protocol.CreateCeremony); err != nil {
		return Record{}, err
	}
	object := in.Response.AttestationObject
	if err := p.checkFlags(object.AuthData); err != nil {
		return Record{}, err
	}
	if err := p.checkMaker(object); err != nil {
		return Record{}, err
	}
	if err := checkNew(in, object); err != nil {
		return Record{}, err
	}
	cred, err := p.lib.CreateCredential(owner{handle: c.session.UserID}, c.session, in)
	if err != nil {
		return Record{}, p.makers.judged(err)
	}
	r := Record{ID: cred.ID, Key: cred.PublicKey, Handle: c.session.UserID, Flags: byte(cred.Flags.ProtocolValue()),
		Count: cred.Authenticator.SignCount, Attachment: string(cred.Authenticator.Attachment), Format: cred.AttestationFormat}
	copy(r.AAGUID[:], cred.Authenticator.AAGUID)
	for _, t := range cred.Transport {
		if name := string(t); slices.Contains(transports, name) && !slices.Contains(r.Transports, name) {
			r.Transports = append(r.Transports, name)
		}
	}
	return r, r.check()
}

// checkMaker asks for the word of a listed maker, or refuses one that nobody asked for. A
// statement that the key signed itself is let through then, as Level 3 §5.1.3 step 23 does.
func (p *Party) checkMaker(object protocol.AttestationObject) error {
	if p.makers != nil {
		return p.makers.vouched(object)
	}
	switch protocol.AttestationFormat(object.Format) {
	case protocol.AttestationFormatNone:
	case protocol.AttestationFormatPacked:
		if _, chained := object.AttStatement["x5c"]; chained {
			return refuse(Attested, nil)
		}
	default:
		return refuse(Attested, nil)
	}
	return nil
}

// checkNew refuses a credential that is not resident.
func checkNew(in *protocol.ParsedCredentialCreationData, object protocol.AttestationObject) error {
	if p := in.ClientExtensionResults.CredProps; p != nil && p.RK != nil && !*p.RK {
		return refuse(NotResident, nil)
	}
	if string(in.RawID) != string(object.AuthData.AttData.CredentialID) {
		return refuse(Unreadable, nil)
	}
	return nil
}

// owner is a person as the library knows one.
type owner struct {
	handle []byte
	name   string
	has    []Record
}

func (o owner) WebAuthnID() []byte          { return o.handle }
func (o owner) WebAuthnName() string        { return o.name }
func (o owner) WebAuthnDisplayName() string { return o.name }
func (o owner) WebAuthnCredentials() []webauthn.Credential {
	out := make([]webauthn.Credential, len(o.has))
	for i, r := range o.has {
		out[i] = r.credential()
	}
	return out
}

func equalHost(hash []byte, host string) bool {
	sum := sha256.Sum256([]byte(host))
	return string(hash) == string(sum[:])
}
