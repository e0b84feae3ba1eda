// Package upstream signs people in through other providers: the company's own directory,
// Google Workspace, any issuer that speaks OpenID Connect.
//
//	button ─► state, nonce, verifier (sealed in a cookie) ─► provider ─► callback of that provider
//	  ─► state once ─► iss ─► code ─► id token: issuer, audience, algorithm, nonce, hd ─► (iss, sub)
//	  ─► linked? enter · signed in and asked to link? link · verified address of a set domain? link, enter · else refused
//
// Promises: auth.best-practice (ASVS V10), auth.unique-credentials: an account elsewhere
// is one person's alone.
//
// Refuses: an address as a key (issuer and subject are); an answer of another provider,
// to another browser, or a second time; an id token with another algorithm than a
// signature by a public key; an account that nobody linked; a second factor of elsewhere
// unless the machine settings trust it by name, and for owners never; a provider that
// only remembers somebody who came to show anew who they are.
//
// Threats: mix-up of providers (one callback each, iss as RFC 9207), a forged or old
// answer, an address that its provider never checked (email_verified), takeover by a
// provider that lets people choose their address (only domains that staff has set link by
// themselves), a provider's address that leads inside (https, no redirects, no private
// address unless listed, 5 s, 1 MiB).
//
// Whoever comes in on a session that they still have at the provider has shown who they are
// when they began that one: acts that take a fresh proof ask for one.
//
// BUG(remembered): of whoever was not signed in here, a provider that leaves out auth_time is
// believed to have asked now. Of whoever was, it has shown nothing new then.
//
// Tables: identity_upstream_*; the schema says who may export and erase each.
//
// For: engineers who set providers in writ.yaml, everybody who signs in with them. Read
// upstream.go, flow.go, link.go, fetch.go, http.go.
package upstream
