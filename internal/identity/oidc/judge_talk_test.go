package oidc_test

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	op "writ/internal/identity/oidc"
	"writ/internal/nodetest"
)

const bye = "https://127.0.0.1:4443/bye"

// judge lets somebody else's client do all it knows, and looks at what came of it. The
// client is a program in testdata: it prints the address for the browser, reads where the browser was led
// to, redeems, refreshes, revokes, and prints what it saw and where it signs out.
func judge(t *testing.T, in op.NewClient, program string, args ...string) {
	t.Helper()
	w := now(t)
	id, email := w.customer("ana")
	in.After = []string{bye}
	a := w.register(in)
	cert, _ := w.files(t.TempDir())
	talk := nodetest.Start(t, []string{"NODE_EXTRA_CA_CERTS=" + cert, "REQUESTS_CA_BUNDLE=" + cert, "SSL_CERT_FILE=" + cert}, program,
		append(args, w.base, a.client.ID, a.secret, a.redirect, bye)...)
	b := w.browser()
	talk.Say(b.signIn(talk.Hear(), email).out)
	var got struct {
		Email, Sub, Out          string
		Refreshed, Before, After bool
	}
	if line := talk.Hear(); json.Unmarshal([]byte(line), &got) != nil {
		t.Fatalf("it says %s", line)
	}
	if got.Email != email || got.Sub != id || !got.Refreshed || !got.Before || got.After {
		t.Errorf("%+v, want %s %s, refreshed, good before it was revoked and not after", got, email, id)
	}
	if p := b.get(got.Out); p.out != bye || b.get("/-/account").path == "/-/account" {
		t.Errorf("its sign-out led to %s %s", p.out, p.body)
	}
	if w.recorded("identity.grant-revoked") != 1 || w.recorded("identity.client-request-refused") > 2 { // the token that it tried when it was revoked
		t.Errorf("recorded: %d revoked, %d refused", w.recorded("identity.grant-revoked"), w.recorded("identity.client-request-refused"))
	}
}

func script(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var mustPush = true

// npm's openid-client, a certified client.
func TestOpenIDClient(t *testing.T) {
	node, file := nodetest.Script(t, "openid-client@6.9.0", "client.mjs", script(t, "openid-client.mjs"))
	judge(t, op.NewClient{RequirePAR: &mustPush, Alg: "ES256"}, node, file)
}

// npm's oauth4webapi, which is strict about the letter of each RFC.
func TestOAuth4WebAPI(t *testing.T) {
	node, file := nodetest.Script(t, "oauth4webapi@3.8.8", "client.mjs", script(t, "oauth4webapi.mjs"))
	judge(t, op.NewClient{RequirePAR: &mustPush}, node, file)
}

// Python's authlib, of Debian's package.
func TestAuthlib(t *testing.T) {
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import authlib, requests").Run() == nil {
			judge(t, op.NewClient{}, python, filepath.Join("testdata", "authlib_client.py"))
			return
		}
	}
	t.Skip("no authlib here; scripts/need.sh installs python3-authlib and python3-requests")
}

// built is a program that scripts/judges.sh (make more) builds in a module of its own.
func built(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "..", "bin", "tools", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s here; scripts/judges.sh (make more) builds it", name)
	}
	return path
}

// The client of zitadel/oidc.
func TestZitadelRP(t *testing.T) {
	judge(t, op.NewClient{}, built(t, "zitadel-rp-v3.51.17"))
}

// go-oidc with x/oauth2, from the discovery document alone: sign-in, refresh as the library
// does it by itself, sign-out, and the logout token that follows.
func TestGoOIDC(t *testing.T) {
	w := now(t)
	id, email := w.customer("ana")
	l := w.listen(200)
	a := w.register(op.NewClient{After: []string{bye}, Back: l.srv.URL})
	p, err := oidc.NewProvider(w.ctx(), w.base)
	if err != nil {
		t.Fatal(err)
	}
	conf := oauth2.Config{ClientID: a.client.ID, ClientSecret: a.secret, Endpoint: p.Endpoint(), RedirectURL: a.redirect, Scopes: []string{oidc.ScopeOpenID, "email"}}
	verifier := p.VerifierContext(w.ctx(), &oidc.Config{ClientID: a.client.ID})
	proof := oauth2.GenerateVerifier()
	b := w.browser()
	back := b.signIn(conf.AuthCodeURL("a state", oauth2.S256ChallengeOption(proof), oidc.Nonce("once")), email).query()
	if back.Get("state") != "a state" {
		t.Fatalf("led back with %v", back)
	}
	tok, err := conf.Exchange(w.ctx(), back.Get("code"), oauth2.VerifierOption(proof))
	if err != nil {
		t.Fatal(err)
	}
	read := func(tok *oauth2.Token) (*oidc.IDToken, string) {
		t.Helper()
		raw, _ := tok.Extra("id_token").(string)
		it, err := verifier.Verify(w.ctx(), raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := it.VerifyAccessToken(tok.AccessToken); err != nil {
			t.Error(err)
		}
		return it, raw
	}
	it, _ := read(tok)
	if it.Nonce != "once" || it.Subject != id {
		t.Errorf("%+v", it)
	}
	tok.Expiry = time.Now().Add(-time.Second)
	source := conf.TokenSource(w.ctx(), tok)
	info, err := p.UserInfo(w.ctx(), source)
	if err != nil || info.Subject != id || info.Email != email || !info.EmailVerified {
		t.Fatalf("%+v %v", info, err)
	}
	fresh, err := source.Token()
	if err != nil || fresh.AccessToken == tok.AccessToken || fresh.RefreshToken == tok.RefreshToken {
		t.Fatalf("refresh: %v", err)
	}
	again, raw := read(fresh)
	if again.Subject != id || again.Nonce != "" {
		t.Errorf("after the refresh: %+v", again)
	}
	var more struct {
		End string `json:"end_session_endpoint"`
	}
	if err := p.Claims(&more); err != nil {
		t.Fatal(err)
	}
	if p := b.get(more.End + "?" + url.Values{"id_token_hint": {raw}, "post_logout_redirect_uri": {bye}, "state": {"gone"}}.Encode()); p.out != bye+"?state=gone" {
		t.Errorf("the sign-out led to %s %s", p.out, p.body)
	}
	told, err := verifier.VerifyLogout(w.ctx(), l.next(t))
	if err != nil {
		t.Fatal(err)
	}
	var sid struct {
		SID string `json:"sid"`
	}
	if err := again.Claims(&sid); err != nil || told.SessionID != sid.SID || told.Subject != id {
		t.Errorf("told %+v, the id token has %+v %v", told, sid, err)
	}
	fresh.Expiry = time.Now().Add(-time.Second)
	if _, err := conf.TokenSource(w.ctx(), fresh).Token(); err == nil {
		t.Error("it refreshes after the sign-out")
	}
}
