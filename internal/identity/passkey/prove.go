package passkey

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"writ/internal/secret"
)

// Ask asks for a proof. Without records any passkey of this site may answer, and the
// question tells nothing of anybody; with records (which belong to one person who has
// shown a password) only these. The answer is what
// PublicKeyCredential.parseRequestOptionsFromJSON takes.
func (p *Party) Ask(from []Record) (Ceremony, json.RawMessage, error) {
	var options *protocol.CredentialAssertion
	var session *webauthn.SessionData
	var err error
	if len(from) == 0 {
		options, session, err = p.lib.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	} else {
		options, session, err = p.lib.BeginLogin(owner{handle: from[0].Handle, has: from}, webauthn.WithUserVerification(protocol.VerificationRequired))
	}
	if err != nil {
		return Ceremony{}, nil, fmt.Errorf("ask for a proof: %w", err)
	}
	return p.asked(ask, session, options.Response)
}

// Answer is a proof that was read and not yet judged.
type Answer struct {
	parsed *protocol.ParsedCredentialAssertionData
}

// Read reads a proof. A refusal is a *Refusal.
func Read(response []byte) (Answer, error) {
	if len(response) > maxResponse {
		return Answer{}, refuse(TooLarge, nil)
	}
	in, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return Answer{}, refuse(Unreadable, err)
	}
	if len(in.RawID) > maxID {
		return Answer{}, refuse(Unreadable, nil)
	}
	return Answer{parsed: in}, nil
}

// Sum is the digest of the id of the credential that is said to answer: Record.Sum of
// the record to look for. Nothing is proved by it.
func (a Answer) Sum() string { return sumOf(a.parsed.RawID) }

// Proved judges a proof by the record of its credential, and returns the record as it
// must be stored now: the counter and the flag of backup move. A refusal is a *Refusal.
func (p *Party) Proved(c Ceremony, a Answer, r Record) (Record, error) {
	if err := p.check(c, ask); err != nil {
		return Record{}, err
	}
	if err := checkOwner(c, a, r); err != nil {
		return Record{}, err
	}
	in := a.parsed
	if err := p.checkClient(c, in.Response.CollectedClientData, protocol.AssertCeremony); err != nil {
		return Record{}, err
	}
	data := in.Response.AuthenticatorData
	if err := p.checkFlags(data); err != nil {
		return Record{}, err
	}
	if data.Flags.HasBackupEligible() != r.BackupEligible() {
		return Record{}, refuse(BackupChanged, nil)
	}
	cred, err := p.judge(c, in, r)
	if err != nil {
		return Record{}, refuse(BadSignature, err)
	}
	if cred.Authenticator.CloneWarning {
		return Record{}, refuse(Cloned, nil)
	}
	r.Count, r.Flags = cred.Authenticator.SignCount, byte(cred.Flags.ProtocolValue())
	return r, nil
}

// checkOwner refuses a credential that was not asked, or is another's.
func checkOwner(c Ceremony, a Answer, r Record) error {
	in := a.parsed
	handle := in.Response.UserHandle
	switch {
	case !bytes.Equal(in.RawID, r.ID):
		return refuse(UnknownCredential, nil)
	case c.Named() && !slices.ContainsFunc(c.session.AllowedCredentialIDs, func(id []byte) bool { return bytes.Equal(id, r.ID) }):
		return refuse(UnknownCredential, nil)
	case !c.Named() && len(handle) == 0:
		return refuse(WrongOwner, nil)
	case len(handle) > 0 && !same(handle, r.Handle):
		return refuse(WrongOwner, nil)
	}
	return nil
}

func same(a, b []byte) bool { return secret.NewBytes(a).Equal(secret.NewBytes(b)) }

// judge lets the library verify the proof. It wants the whole list of the question to be
// there still, under one handle; one that was removed meanwhile, or made at the same
// moment, must not keep the others from answering. So it is given the one that answers,
// which checkOwner has found in the list.
func (p *Party) judge(c Ceremony, in *protocol.ParsedCredentialAssertionData, r Record) (*webauthn.Credential, error) {
	who := owner{handle: r.Handle, has: []Record{r}}
	session := c.session
	if c.Named() {
		session.UserID, session.AllowedCredentialIDs = r.Handle, [][]byte{r.ID}
		return p.lib.ValidateLogin(who, session, in)
	}
	_, cred, err := p.lib.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return who, nil }, session, in)
	return cred, err
}
