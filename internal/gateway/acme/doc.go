// Package acme gets the public listener's certificate from an authority by ACME (RFC
// 8555) and renews it in time. certmagic speaks the protocol; what is Writ's own is where
// things lie and when they are due.
//
//	Run ─► certificate stored? ──no──► ask for one; again after 1, 2, 5, 10, 30 minutes
//	           │ yes                          ▲
//	           └─ due? (ARI, renew_before, a third of its life) ──► renew, the old one serves on
//	authority ─► HTTP-01 at the port that redirects, or TLS-ALPN-01 at the public port
//
// Promises (crypto.certificates): a certificate is renewed before the policy's time; an
// expired one is never served: the handshake ends with an alert and the log says why.
//
// Refuses: to ask for any name but the public host and those beside it (never on demand of a client); to
// keep a key in clear: accounts, keys and certificates lie in the ledger, sealed.
//
// Threats: a stolen database (keys are sealed under a key of the ring); two servers that
// ask at once (a lock in the ledger, which ends by itself when its owner dies); an
// authority that is away (what is good is served, and it is asked again).
//
// Tables gateway_acme and gateway_acme_lock are about the installation; nothing in them
// belongs to a person.
//
// For: engineer.
//
// Read source.go, then storage.go.
package acme
