package upstream

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/web"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	flowCookie = "writ-upstream"
	flowLife   = 10 * time.Minute
	clocks     = time.Minute         // how far a provider's clock may be behind
	class      = "identity.upstream" // seals flows, and makes the index of accounts
)

// going is a sign-in on its way, sealed in a cookie of the browser that began it.
type going struct {
	Provider string `json:"p"`
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	To       string `json:"t"`
	Link     string `json:"l,omitempty"` // session of the person who wants to link
	Again    bool   `json:"a,omitempty"` // begun by somebody who is signed in: the proof must be a new one
	Begun    int64  `json:"b"`
}

var flowPlace = envelope.AAD{Table: "identity_upstream_state", Column: "flow", Version: 1} // travels in a cookie

// begin makes state, nonce and verifier and says where the browser goes. Whoever is signed
// in already comes to show anew who they are: the provider must ask them, and not only
// remember them.
func (s *Service) begin(ctx context.Context, w http.ResponseWriter, who actor.Actor, p *provider, to, link string) (string, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	found, _, err := s.discover(ctx, p)
	if err != nil {
		return "", err
	}
	g := going{Provider: p.Name, State: secret.RandomText(32).Reveal(), Nonce: secret.RandomText(32).Reveal(), Verifier: oauth2.GenerateVerifier(), To: web.ReturnPath(to), Link: link,
		Again: who.Kind == actor.Person && who.Session != "", Begun: s.Now().UnixMicro()}
	k, err := s.Ring.Ensure(ctx, keyring.Class(class))
	if err != nil {
		return "", fmt.Errorf("seal sign-in: %w", err)
	}
	b, err := json.Marshal(g)
	if err != nil {
		return "", fmt.Errorf("seal sign-in: %w", err)
	}
	web.SetCookie(w, flowCookie, secret.NewText(base64.RawURLEncoding.EncodeToString(k.Seal(b, flowPlace))), flowLife)
	opts := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(g.Verifier), oidc.Nonce(g.Nonce)} // clause: auth.best-practice
	if p.HD != "" {
		opts = append(opts, oauth2.SetAuthURLParam("hd", p.HD))
	}
	if g.Again { // clause: auth.best-practice
		opts = append(opts, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return s.config(p, found).AuthCodeURL(g.State, opts...), nil
}

// opened reads the cookie of a sign-in on its way.
func (s *Service) opened(ctx context.Context, r *http.Request) (going, error) {
	var g going
	box, err := base64.RawURLEncoding.DecodeString(web.Cookie(r, flowCookie).Reveal())
	if err != nil || len(box) == 0 {
		return g, errNone
	}
	id, err := envelope.KeyID(box)
	if err != nil {
		return g, errNone
	}
	k, err := s.Ring.ByID(ctx, id)
	if err != nil {
		return g, err
	}
	b, err := k.Open(box, flowPlace)
	if err != nil {
		return g, errNone
	}
	return g, json.Unmarshal(b.Reveal(), &g)
}

var errNone = errors.New("no sign-in on its way in this browser")

// proof is what a provider said, after everything about it was checked.
type proof struct {
	issuer, subject string
	email           string // verified, or empty
	amr             []string
	at              time.Time // when the provider asked them, where it says so
	going           going
}

// answered checks a provider's answer, in the order of what it costs. The cause is for
// the journal; the person reads one answer for all.
func (s *Service) answered(ctx context.Context, r *http.Request, p *provider) (proof, string, error) {
	q := r.URL.Query()
	for _, vs := range q {
		if len(vs) != 1 {
			return proof{}, "repeated", nil
		}
	}
	g, err := s.opened(ctx, r)
	switch {
	case errors.Is(err, fault.Sealed) || errors.Is(err, fault.Unavailable):
		return proof{}, "", err
	case err != nil:
		return proof{}, "no-flow", nil
	case g.Provider != p.Name: // clause: auth.best-practice
		return proof{}, "other-provider", nil
	case q.Get("state") == "" || !secret.NewText(q.Get("state")).Equal(secret.NewText(g.State)): // clause: auth.compare
		return proof{}, "state", nil
	case s.Now().Sub(time.UnixMicro(g.Begun)) > flowLife:
		return proof{}, "late", nil
	}
	ctx, cancel := within(ctx)
	defer cancel()
	found, sendsISS, err := s.discover(ctx, p)
	if err != nil {
		return proof{}, "", err
	}
	if iss := q.Get("iss"); iss != p.Issuer && (iss != "" || sendsISS) { // clause: auth.best-practice (RFC 9207 §2.4)
		return proof{}, "iss", nil
	}
	if taken, err := s.take(ctx, g.State); err != nil || taken {
		return proof{}, "replayed", err
	}
	if q.Get("error") != "" || q.Get("code") == "" {
		return proof{}, "provider-error", nil
	}
	tok, err := s.config(p, found).Exchange(oidc.ClientContext(ctx, p.http), q.Get("code"), oauth2.VerifierOption(g.Verifier))
	if err != nil {
		s.Log.Info("upstream refused the code", "provider", p.Name, "err", err)
		return proof{}, "exchange", nil
	}
	return s.read(ctx, p, found, tok, g)
}

// read checks the id token. go-oidc checks signature, issuer, audience and time; the
// rest is ours.
func (s *Service) read(ctx context.Context, p *provider, found *oidc.Provider, tok *oauth2.Token, g going) (proof, string, error) {
	raw, _ := tok.Extra("id_token").(string)
	v := found.Verifier(&oidc.Config{ClientID: p.ClientID, Now: s.Now, SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256, oidc.PS256, oidc.EdDSA}}) // clause: auth.best-practice
	it, err := v.Verify(oidc.ClientContext(ctx, p.http), raw)
	if err != nil {
		s.Log.Info("id token of upstream refused", "provider", p.Name, "err", err)
		return proof{}, "id-token", nil
	}
	var c struct {
		mailed
		AZP string   `json:"azp"`
		HD  string   `json:"hd"`
		AMR []string `json:"amr"`
		At  int64    `json:"auth_time"`
	}
	switch err := it.Claims(&c); {
	case err != nil:
		return proof{}, "claims", nil
	case !secret.NewText(it.Nonce).Equal(secret.NewText(g.Nonce)): // clause: auth.best-practice
		return proof{}, "nonce", nil
	case len(it.Audience) != 1 || c.AZP != "" && c.AZP != p.ClientID:
		return proof{}, "audience", nil
	case it.Subject == "" || len(it.Subject) > 255 || it.Issuer != p.Issuer:
		return proof{}, "subject", nil
	case p.HD != "" && c.HD != p.HD: // clause: auth.best-practice
		return proof{}, "hd", nil
	case g.Again && c.At != 0 && time.UnixMicro(g.Begun).Sub(time.Unix(c.At, 0)) > clocks: // clause: auth.best-practice
		return proof{}, "stale", nil
	}
	if c.Email == "" && len(p.Domains) > 0 && found.UserInfoEndpoint() != "" {
		if c.mailed, err = told(oidc.ClientContext(ctx, p.http), found, tok, it.Subject); err != nil {
			s.Log.Info("userinfo of upstream refused", "provider", p.Name, "err", err)
			return proof{}, "userinfo", nil
		}
	}
	out := proof{issuer: it.Issuer, subject: it.Subject, amr: c.AMR, going: g}
	switch {
	case c.At != 0:
		out.at = time.Unix(c.At, 0)
	case g.Again:
		out.at = time.Unix(1, 0) // it was asked to ask anew and does not say that it did: no proof of now
	}
	if c.Verified == true { // clause: auth.best-practice
		out.email = c.Email
	}
	return out, "", nil
}

// mailed is what a provider says of an address. Only the boolean true counts.
type mailed struct {
	Email    string `json:"email"`
	Verified any    `json:"email_verified"`
}

// told asks for the address where the id token leaves it out. The answer must be about
// the same subject (OpenID Connect Core §5.3.2).
func told(ctx context.Context, found *oidc.Provider, tok *oauth2.Token, subject string) (mailed, error) {
	var m mailed
	info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(tok))
	if err != nil {
		return m, err
	}
	if info.Subject != subject { // clause: auth.best-practice
		return m, errors.New("userinfo is about another subject")
	}
	return m, info.Claims(&m)
}

// take notes a state, and reports whether it was taken before.
func (s *Service) take(ctx context.Context, state string) (bool, error) {
	h := secret.NewText(state).Sum()
	hash := hex.EncodeToString(h[:])
	n := int64(0)
	err := s.DB.Quiet(ctx, ledger.Throttle, func(tx *ledger.Tx) (err error) {
		n, err = tx.Exec(ctx, takeState, hash, tx.Now().UnixMicro())
		return err
	})
	return n == 0, err
}

// strength is what a provider's factors count here: nothing more than one, unless its
// words are trusted, and for owners never.
func (p *provider) strength(amr, roles []string) int {
	trusted := slices.ContainsFunc(amr, func(w string) bool { return slices.Contains(p.TrustAMR, w) })
	if trusted && !slices.Contains(roles, "owner") { // clause: access.mfa-by-technology
		return 2
	}
	return 1
}

// finish signs in or links whoever a provider's answer is about.
func (s *Service) finish(w http.ResponseWriter, r *http.Request, who actor.Actor, p *provider, pr proof) error {
	ctx := r.Context()
	subject, err := s.index(ctx, pr.issuer, pr.subject)
	if err != nil {
		return err
	}
	if pr.going.Link != "" {
		return s.finishLink(w, r, who, p, pr, subject)
	}
	person, err := s.personOf(ctx, subject)
	if errors.Is(err, fault.NotFound) {
		person, err = s.byDomain(ctx, p, pr, subject)
	}
	if errors.Is(err, fault.NotFound) {
		return s.refused(ctx, web.StrangerOf(r), p.Name, "not-linked")
	}
	if err != nil {
		return err
	}
	x, err := s.People.ActivePerson(ctx, person)
	if errors.Is(err, fault.NotFound) {
		return s.refused(ctx, web.StrangerOf(r), p.Name, "not-active")
	}
	if err != nil {
		return err
	}
	acr := p.strength(pr.amr, x.Roles)
	amr := []string{"upstream"}
	if acr == 2 {
		amr = append(amr, "mfa")
	}
	return s.People.EnterFrom(w, r, identity.Entry{Person: person, Method: "upstream", ACR: acr, AMR: amr, At: pr.at}, pr.going.To)
}

// onward is a redirect on this site; the way to it is sealed in the flow.
func (s *Service) onward(w http.ResponseWriter, r *http.Request, to string) error {
	return web.Redirect(w, r, web.ReturnPath(to))
}

// away sends the browser to the provider. After a form of ours a page goes between, as
// browsers hold that form's policy against the redirect.
func (s *Service) away(w http.ResponseWriter, r *http.Request, to string, form bool) error {
	if u, err := url.Parse(to); err != nil || u.Scheme != "https" {
		return fault.Newf(fault.Internal, "upstream_address", "The provider's address is not https.")
	}
	if !form {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	return s.set.Render(w, r, http.StatusOK, "away", web.View{Title: "On to the other account", Frame: web.Plain, Data: to})
}
