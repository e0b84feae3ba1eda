package oidc

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/web"
)

type (
	errorOut struct {
		Error string `json:"error"`
		Text  string `json:"error_description,omitempty"`
	}
	tokenOut struct {
		Access  string `json:"access_token"`
		Type    string `json:"token_type"`
		Expires int    `json:"expires_in"`
		Refresh string `json:"refresh_token"`
		ID      string `json:"id_token,omitempty"`
		Scope   string `json:"scope"`
	}
	idToken struct {
		Issuer   string   `json:"iss"`
		Subject  string   `json:"sub"`
		Audience string   `json:"aud"`
		Expires  int64    `json:"exp"`
		Issued   int64    `json:"iat"`
		AuthTime int64    `json:"auth_time"`
		Nonce    string   `json:"nonce,omitempty"`
		ACR      string   `json:"acr"`
		AMR      []string `json:"amr"`
		AtHash   string   `json:"at_hash"`
		SID      string   `json:"sid"`
	}
	infoOut struct {
		Subject  string   `json:"sub"`
		Name     string   `json:"name,omitempty"`
		Handle   string   `json:"preferred_username,omitempty"`
		Email    string   `json:"email,omitempty"`
		Verified *bool    `json:"email_verified,omitempty"`
		Team     string   `json:"team,omitempty"`
		Roles    []string `json:"roles,omitempty"`
	}
	introOut struct {
		Active   bool   `json:"active"`
		Scope    string `json:"scope,omitempty"`
		Client   string `json:"client_id,omitempty"`
		Subject  string `json:"sub,omitempty"`
		Issuer   string `json:"iss,omitempty"`
		Type     string `json:"token_type,omitempty"`
		Expires  int64  `json:"exp,omitempty"`
		ACR      string `json:"acr,omitempty"`
		AuthTime int64  `json:"auth_time,omitempty"`
	}
)

// answerError answers as RFC 6749 §5.2 wants it. What is no refusal of the protocol
// (busy, sealed, unrecorded) goes to the frame.
func (s *Service) answerError(w http.ResponseWriter, err error) error {
	bad, ok := errors.AsType[*refusal](err)
	if !ok {
		return err
	}
	if bad.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="writ"`)
	}
	return web.WriteJSON(w, bad.status, errorOut{bad.code, bad.text})
}

// caller authenticates the client that sends a form. Credentials come in the Basic
// header alone, parameters in the body alone; what stands in the address is refused,
// because addresses end up in logs.
func (s *Service) caller(r *http.Request, where string) (Client, map[string]string, error) {
	ctx, who := r.Context(), web.StrangerOf(r)
	no := func(client string, bad *refusal) (Client, map[string]string, error) {
		return Client{}, nil, s.refused(ctx, who, where, client, bad)
	}
	if r.URL.RawQuery != "" { // clause: auth.best-practice
		return no("", refuse("invalid_request", "Parameters come in the body, never in the address.").because("query"))
	}
	v, err := web.ReadForm(r)
	if errors.Is(err, fault.Media) || errors.Is(err, fault.Malformed) {
		return no("", refuse("invalid_request", "The body is not a form.").because("body"))
	}
	if err != nil {
		return Client{}, nil, err
	}
	q, bad := once(v)
	if bad != nil {
		return no("", bad)
	}
	id, given, basic, ok := credentials(r, q)
	if !ok {
		return no("", invalidClient("credentials"))
	}
	c, err := s.client(ctx, id)
	if errors.Is(err, fault.NotFound) {
		return no("", invalidClient("unknown-client"))
	}
	if err != nil {
		return Client{}, nil, err
	}
	switch {
	case c.Kind == Public && basic:
		return no(c.ID, invalidClient("secret-of-public"))
	case c.Kind == Public:
		return c, q, nil
	}
	proven, err := s.proves(ctx, c.ID, given)
	if err != nil {
		return Client{}, nil, err
	}
	if !basic || !proven {
		return no(c.ID, invalidClient("wrong-secret"))
	}
	return c, q, nil
}

// invalidClient is the one answer to every client that is not who it says.
func invalidClient(cause string) *refusal {
	bad := refuse("invalid_client", "The client is unknown, or its credentials are not right.").because(cause)
	bad.status = http.StatusUnauthorized
	return bad
}

// credentials reads id and secret: the Basic header with both form-encoded (RFC 6749
// §2.3.1), or client_id of the body for a client without a secret.
func credentials(r *http.Request, q map[string]string) (id string, given secret.Text, basic, ok bool) {
	if q["client_secret"] != "" || q["client_assertion"] != "" {
		return "", given, false, false
	}
	heads := r.Header.Values("Authorization")
	if len(heads) == 0 {
		return q["client_id"], given, false, q["client_id"] != ""
	}
	scheme, rest, _ := strings.Cut(heads[0], " ")
	if len(heads) != 1 || !strings.EqualFold(scheme, "Basic") || len(rest) > 1024 {
		return "", given, false, false
	}
	raw, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		return "", given, false, false
	}
	user, pass, _ := strings.Cut(string(raw), ":")
	id, err1 := url.QueryUnescape(user)
	text, err2 := url.QueryUnescape(pass)
	if err1 != nil || err2 != nil || q["client_id"] != "" && q["client_id"] != id {
		return "", given, false, false
	}
	return id, secret.NewText(text), true, id != ""
}

// postToken redeems a code or a refresh token.
func (s *Service) postToken(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	ctx := r.Context()
	c, q, err := s.caller(r, "token")
	if err != nil {
		return s.answerError(w, err)
	}
	var out tokens
	switch q["grant_type"] {
	case "authorization_code":
		if q["code"] == "" || q["redirect_uri"] == "" {
			return s.answerError(w, s.refused(ctx, machine(c), "token", c.ID, refuse("invalid_request", "code and redirect_uri are needed.")))
		}
		out, err = s.redeem(ctx, c, redemption{grant: secret.NewText(q["code"]), redirect: q["redirect_uri"], verifier: q["code_verifier"]})
	case "refresh_token":
		if q["refresh_token"] == "" {
			return s.answerError(w, s.refused(ctx, machine(c), "token", c.ID, refuse("invalid_request", "refresh_token is needed.")))
		}
		out, err = s.refresh(ctx, c, redemption{grant: secret.NewText(q["refresh_token"]), scopes: words(q["scope"])})
		out.family.nonce = "" // it was of the authorisation (OpenID Connect Core §12.2)
	case "":
		err = s.refused(ctx, machine(c), "token", c.ID, refuse("invalid_request", "grant_type is missing."))
	default:
		err = s.refused(ctx, machine(c), "token", c.ID, refuse("unsupported_grant_type", "Only authorization_code and refresh_token are granted here."))
	}
	if err != nil {
		return s.answerError(w, err)
	}
	return s.answerTokens(w, r, c, out)
}

func (s *Service) answerTokens(w http.ResponseWriter, r *http.Request, c Client, out tokens) error {
	wire := tokenOut{Access: out.access.Reveal(), Type: "Bearer", Expires: int(accessLife / time.Second), Refresh: out.refresh.Reveal(), Scope: joined(out.scopes)}
	f := out.family
	now := s.Now()
	var err error
	wire.ID, err = s.sign(r.Context(), c.Alg, "JWT", idToken{Issuer: s.Origin, Subject: f.person, Audience: c.ID, Issued: now.Unix(), Expires: now.Add(idTokenLife).Unix(),
		AuthTime: f.authTime.Unix(), Nonce: f.nonce, ACR: acrText(f.acr), AMR: f.amr, AtHash: halfHash(wire.Access), SID: f.sid})
	if err != nil {
		return err
	}
	w.Header().Set("Pragma", "no-cache")
	return web.WriteJSON(w, http.StatusOK, wire)
}

func acrText(n int) string { return string(rune('0' + max(0, min(n, 9)))) }

// userinfo tells a client about the person, as far as they allowed it.
func (s *Service) userinfo(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	ctx := r.Context()
	token, given := web.Bearer(r)
	f, _, err := s.lookup(ctx, token)
	if errors.Is(err, fault.Unauthenticated) {
		bad := refuse("invalid_token", "The access token is unknown, has expired or was revoked.")
		if err := s.refused(ctx, web.StrangerOf(r), "userinfo", "", bad); !errors.Is(err, bad) {
			return err
		}
		head := `Bearer realm="writ"`
		if given { // RFC 6750 §3.1: no code for a request without a token
			head += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", head)
		return web.WriteJSON(w, http.StatusUnauthorized, errorOut{bad.code, bad.text})
	}
	if err != nil {
		return err
	}
	if !f.has(scopeOpenID) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="writ", error="insufficient_scope", scope="openid"`)
		return web.WriteJSON(w, http.StatusForbidden, errorOut{"insufficient_scope", "The scope openid is missing."})
	}
	out, err := s.claims(ctx, &f)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

// claims are what the scopes of a family allow to be told.
func (s *Service) claims(ctx context.Context, f *family) (infoOut, error) {
	p, err := s.People.ActivePerson(ctx, f.person)
	if err != nil {
		return infoOut{}, err
	}
	out := infoOut{Subject: f.person}
	if f.has(scopeProfile) {
		out.Name, out.Handle = p.Name, p.Handle
	}
	if f.has(scopeEmail) {
		verified := !p.Confirmed.IsZero()
		out.Email, out.Verified = p.Email, &verified
	}
	if f.has(scopeRoles) {
		out.Team, out.Roles = p.Team, p.Roles
		if _, x, err := s.People.LiveSession(ctx, f.session); err == nil { // the team the person works in now
			out.Team, out.Roles = x.Team, x.Roles
		}
	}
	return out, nil
}

// postIntrospect tells a client whether a token is good: its own, or any for a client
// that is registered as a resource (RFC 7662).
func (s *Service) postIntrospect(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	ctx := r.Context()
	c, q, err := s.caller(r, "introspect")
	if err != nil {
		return s.answerError(w, err)
	}
	if c.Kind != Confidential {
		return s.answerError(w, s.refused(ctx, machine(c), "introspect", c.ID, invalidClient("public")))
	}
	if q["token"] == "" {
		return s.answerError(w, s.refused(ctx, machine(c), "introspect", c.ID, refuse("invalid_request", "token is missing.")))
	}
	f, expires, err := s.lookup(ctx, secret.NewText(q["token"]))
	if errors.Is(err, fault.Unauthenticated) || err == nil && f.client != c.ID && !c.Resource {
		return web.WriteJSON(w, http.StatusOK, introOut{})
	}
	if err != nil {
		return s.answerError(w, err)
	}
	return web.WriteJSON(w, http.StatusOK, introOut{Active: true, Scope: joined(f.scopes), Client: f.client, Subject: f.person, Issuer: s.Origin,
		Type: "Bearer", Expires: expires.Unix(), ACR: acrText(f.acr), AuthTime: f.authTime.Unix()})
}

// postRevoke takes a token back (RFC 7009).
func (s *Service) postRevoke(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	c, q, err := s.caller(r, "revoke")
	if err != nil {
		return s.answerError(w, err)
	}
	if q["token"] == "" {
		return s.answerError(w, s.refused(r.Context(), machine(c), "revoke", c.ID, refuse("invalid_request", "token is missing.")))
	}
	if err := s.revoke(r.Context(), c, secret.NewText(q["token"])); err != nil {
		return s.answerError(w, err)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
