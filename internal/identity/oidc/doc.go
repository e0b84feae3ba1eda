// Package oidc is the OpenID provider of a Writ: the applications of a company sign
// people in through it, with the sessions of identity and nothing besides. It owns
// clients, codes, tokens, consents and its signing keys.
//
//	client ─► par ─┐
//	browser ─► authorize ─► request checked ─► sign-in, step-up, consent ─► code (60 s, once)
//	client ─► token: code burnt first, then compared ─► access (10 min) + refresh (once each) + id token
//	client ─► userinfo, introspect: the token is looked up at each use, and so is the session
//	session ends ─► poll ─► job per client ─► logout token
//
// Promises: auth.best-practice (ASVS V10). PKCE with S256 for every client; iss in every
// answer at a redirect; a code or a refresh token that comes twice ends all tokens of its
// authorisation; tokens end with the session unless offline_access was consented to;
// nothing that could be used is stored in clear.
//
// Refuses: every flow but the authorisation code; a redirect that is not registered
// letter by letter (a port of loopback aside, for native programs); a parameter that
// comes twice; credentials in an address; request objects; dynamic registration;
// requests of other origins (there are no CORS headers).
//
// Threats: a client that is confused or hostile (codes are bound to client, redirect,
// challenge and session); a stolen code or refresh token (both die at the second use,
// and with them the thief's); a stolen table (hashes, sealed keys and requests); mix-up
// (iss, RFC 9207); open redirects (unknown client or redirect gets a page); an id token
// sent in place of an access token (those are looked up, never verified).
//
// This is not certified by the OpenID Foundation. The modules of its plans that apply
// are re-created by name in plan_test.go.
//
// BUG(front): front-channel logout is shown when a client signs the person out here; a
// sign-out on the account page tells clients by the back channel alone.
//
// BUG(again): prompt=login leads to the sign-in page, whose new session replaces the old
// one, so the other clients of the old session are told that it ended.
//
// Tables: identity_oidc_*; the schema says who may export and erase each.
//
// For: engineers who connect an application, customer users (consents), staff. Read
// oidc.go, client.go, request.go, authorize.go, grant.go, token.go; then key.go,
// logout.go, tell.go, consent.go; http.go is the table of addresses.
package oidc
