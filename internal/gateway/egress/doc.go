// Package egress is the way out for private services: a proxy that opens connections to
// listed names and to nothing else (HTTP CONNECT, RFC 9110 section 9.3.6).
//
//	service ─► CONNECT name:port ─► who? ─► listed? ─► resolved once ─► all allowed? ─► dialled ─► 200
//	           plain, or in TLS     address  name and                   public, or      that address
//	                                or token port, not over             named beside it     │
//	                                                              bytes ◄─ SNI == name ◄─ ClientHello
//
// What was checked is what is dialled: the name is resolved once, and the connection goes to
// one of those addresses. Nothing of the service's reaches the other side before the name in its
// TLS greeting is the one it asked for.
//
// Promises: net.gateway-only, use.no-private-use, crypto.provider-edge (TLS only).
//
// Refuses: who is nobody known; a token in clear that could be read on its way; any method but
// CONNECT; an address instead of a name; a name or port that is not listed, or whose time is
// over; a name of which any address is loopback, private, shared or reserved, unless the list
// names that network beside it, and in any case one that is link-local or where clouds keep a
// machine's metadata; a greeting that is not TLS or names somebody else; more than 1,000
// connections, or 250 of one address. It ends what is silent for ten minutes, lasts for twelve
// hours or has moved 16 GiB. Each refusal and each end has a cause and is told to Told.
//
// Threats: a name that leads inside tomorrow (resolved at each connection, never twice); a
// listed address behind which another name is asked for (SNI); a caller that sends nothing
// (limits on time and length); hidden names (an encrypted ClientHello shows its outer name,
// which must be the listed one).
//
// For: engineer, auditor. Read egress.go, then address.go, hello.go, relay.go.
package egress
