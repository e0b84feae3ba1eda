package oidc

import (
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

const practice = "auth.best-practice"

// ClientRegistered is an application that people may sign in to.
type ClientRegistered struct {
	Client    string   `class:"public"`
	Name      string   `class:"public"`
	Kind      string   `class:"public"`
	Trust     string   `class:"public"`
	Audience  string   `class:"public"`
	Redirects []string `class:"public"`
	Scopes    []string `class:"public"`
	PAR       bool     `class:"public"`
}

// About implements ledger.Event.
func (e ClientRegistered) About() ledger.About {
	return ledger.About{Name: "identity.client-registered", Clause: practice, Object: "client/" + e.Client}
}

// ClientSecretMade is a further secret of a client.
type ClientSecretMade struct {
	Client  string `class:"public"`
	Secret  string `class:"public"` // its id
	Dropped int64  `class:"public"` // older secrets that went
}

// About implements ledger.Event.
func (e ClientSecretMade) About() ledger.About {
	return ledger.About{Name: "identity.client-secret-made", Clause: practice, Object: "client/" + e.Client}
}

// ClientSecretRemoved is a secret that no longer works.
type ClientSecretRemoved struct {
	Client string `class:"public"`
	Secret string `class:"public"`
}

// About implements ledger.Event.
func (e ClientSecretRemoved) About() ledger.About {
	return ledger.About{Name: "identity.client-secret-removed", Clause: practice, Object: "client/" + e.Client}
}

// ClientRemoved ends a client and all its tokens.
type ClientRemoved struct {
	Client   string `class:"public"`
	Families int64  `class:"public"` // authorisations that ended
	Consents int64  `class:"public"`
}

// About implements ledger.Event.
func (e ClientRemoved) About() ledger.About {
	return ledger.About{Name: "identity.client-removed", Clause: practice, Object: "client/" + e.Client}
}

// RequestPushed is a request that a client sent beforehand.
type RequestPushed struct {
	Client string `class:"public"`
}

// About implements ledger.Event.
func (e RequestPushed) About() ledger.About {
	return ledger.About{Name: "identity.request-pushed", Clause: practice, Object: "client/" + e.Client}
}

// RequestRefused is a request of a client, or in its name, that was not granted. Beyond
// ten a minute of one cause they are counted and recorded together.
type RequestRefused struct {
	At     string `class:"public"` // authorize, par, token, userinfo, introspect, revoke, logout
	Cause  string `class:"public"`
	Client string `class:"public"` // a registered one, or empty
	Count  int64  `class:"public"`
}

// About implements ledger.Event.
func (e RequestRefused) About() ledger.About {
	a := ledger.About{Name: "identity.client-request-refused", Clause: practice}
	if e.Client != "" {
		a.Object = "client/" + e.Client
	}
	return a
}

// AuthorisationGiven is a code for a client on behalf of a person.
type AuthorisationGiven struct {
	Client  string   `class:"public"`
	Family  string   `class:"public"`
	Person  string   `class:"public"`
	Session string   `class:"public"`
	Scopes  []string `class:"public"`
	ACR     int      `class:"public"`
	Offline bool     `class:"public"`
}

// About implements ledger.Event.
func (e AuthorisationGiven) About() ledger.About {
	return ledger.About{Name: "identity.authorisation-given", Clause: practice, Object: "client/" + e.Client, Subject: keyring.Person(e.Person)}
}

// TokensIssued is a code or a refresh token that was redeemed.
type TokensIssued struct {
	Client string `class:"public"`
	Family string `class:"public"`
	Person string `class:"public"`
	Grant  string `class:"public"` // authorization_code, refresh_token
}

// About implements ledger.Event.
func (e TokensIssued) About() ledger.About {
	return ledger.About{Name: "identity.tokens-issued", Clause: practice, Object: "client/" + e.Client, Subject: keyring.Person(e.Person)}
}

// CodeReused is a code that came a second time; all its tokens ended.
type CodeReused struct {
	Client string `class:"public"` // whose code it was
	By     string `class:"public"` // who brought it
	Family string `class:"public"`
	Ended  bool   `class:"public"` // false: the family was dead already
}

// About implements ledger.Event.
func (e CodeReused) About() ledger.About {
	return ledger.About{Name: "identity.code-reuse-refused", Clause: practice, Object: "client/" + e.Client}
}

// RefreshReused is a refresh token that came a second time; all tokens of its family ended.
type RefreshReused struct {
	Client string `class:"public"`
	By     string `class:"public"`
	Family string `class:"public"`
	Ended  bool   `class:"public"`
}

// About implements ledger.Event.
func (e RefreshReused) About() ledger.About {
	return ledger.About{Name: "identity.refresh-reuse-refused", Clause: practice, Object: "client/" + e.Client}
}

// GrantRefused is a code or refresh token that did not fit who brought it; it is spent,
// and its family has ended.
type GrantRefused struct {
	Client string `class:"public"`
	By     string `class:"public"`
	Family string `class:"public"`
	Cause  string `class:"public"`
}

// About implements ledger.Event.
func (e GrantRefused) About() ledger.About {
	return ledger.About{Name: "identity.grant-refused", Clause: practice, Object: "client/" + e.Client}
}

// GrantRevoked is a token that its client gave back.
type GrantRevoked struct {
	Client string `class:"public"`
	Family string `class:"public"`
	Kind   string `class:"public"` // access, refresh
}

// About implements ledger.Event.
func (e GrantRevoked) About() ledger.About {
	return ledger.About{Name: "identity.grant-revoked", Clause: practice, Object: "client/" + e.Client}
}

// ConsentGiven is what a person allowed a client.
type ConsentGiven struct {
	Person string   `class:"public"`
	Client string   `class:"public"`
	Scopes []string `class:"public"`
}

// About implements ledger.Event.
func (e ConsentGiven) About() ledger.About {
	return ledger.About{Name: "identity.consent-given", Clause: practice, Object: "client/" + e.Client, Subject: keyring.Person(e.Person)}
}

// ConsentRefused is a person who said no to a client.
type ConsentRefused struct {
	Person string `class:"public"`
	Client string `class:"public"`
}

// About implements ledger.Event.
func (e ConsentRefused) About() ledger.About {
	return ledger.About{Name: "identity.consent-refused", Clause: practice, Object: "client/" + e.Client, Subject: keyring.Person(e.Person)}
}

// ConsentWithdrawn ends what a person allowed a client, and its tokens.
type ConsentWithdrawn struct {
	Person   string `class:"public"`
	Client   string `class:"public"`
	Families int64  `class:"public"`
}

// About implements ledger.Event.
func (e ConsentWithdrawn) About() ledger.About {
	return ledger.About{Name: "identity.consent-withdrawn", Clause: practice, Object: "client/" + e.Client, Subject: keyring.Person(e.Person)}
}

// SigningKeyMade is a key that will sign id tokens.
type SigningKeyMade struct {
	KID    string    `class:"public"`
	Alg    string    `class:"public"`
	Begins time.Time `class:"public"`
}

// About implements ledger.Event.
func (e SigningKeyMade) About() ledger.About {
	return ledger.About{Name: "identity.signing-key-made", Clause: practice, Object: "key/" + e.KID}
}

// ClientsTold is the end of a session, on its way to the clients that knew it.
type ClientsTold struct {
	Session string   `class:"public"`
	Clients []string `class:"public"`
}

// About implements ledger.Event.
func (e ClientsTold) About() ledger.About {
	return ledger.About{Name: "identity.clients-told", Clause: practice, Object: "session/" + e.Session}
}

// BackchannelLogoutFailed is a client that could not be told, after three tries.
type BackchannelLogoutFailed struct {
	Client string `class:"public"`
	SID    string `class:"public"`
	Cause  string `class:"public"` // unreachable, or the status of the answer
}

// About implements ledger.Event.
func (e BackchannelLogoutFailed) About() ledger.About {
	return ledger.About{Name: "identity.backchannel-logout-lost", Clause: practice, Object: "client/" + e.Client}
}
