// Package listen opens the ports Writ is reached on: TLS settings, certificates
// from files or from a local authority, connection limits, graceful shutdown. It
// decides nothing about a request.
//
// Promises (clauses): crypto.current-public (TLS 1.2 or newer, authenticated
// encryption with forward secrecy only), crypto.tls-in-transit (the plain port only
// redirects), crypto.certificates (no start on an expired, mismatched or wrong-name
// certificate; a renewed file or leaf is served without dropping a connection).
//
// Refuses: a host name the certificate does not cover (handshake alert), more than
// 200 connections from one network address, headers over 64 KiB or slower than 10 s.
//
//	Listen ─► Door{Listener, TLS, Handler} ─► Serve (until the context ends, then drains 10 s)
//	              ▲
//	 FromFiles or OpenAuthority ─► Source ─► TLSConfig
//
// Threats: weak or stripped encryption; a stolen local authority (its certificate is
// name-constrained, so that it can only ever speak for this host and for loopback);
// slow or countless clients, those that do not read their answers among them (the kernel
// holds 128 KiB for each at most); stolen ticket keys (tickets.go); bytes that net/http refuses by itself and tells nobody
// (they are counted and handed to Door.Malformed).
//
// For: engineer. Read tls.go, tickets.go, authority.go, files.go, serve.go.
package listen
