// Package scim is the door through which a team's own directory makes, changes and ends
// the team's people: SCIM 2.0 (RFC 7643, RFC 7644), with the requests that Microsoft Entra
// and Okta really send.
//
//	directory ─► token ─► connection (one team) ─► filter | body | patch ─► form ─► identity
//	                                                                   identity: one change ─► answer
//
// Owns: the wire. Reading (values.go, filter.go, patch.go), the two resources (user.go,
// group.go), what a client discovers (discovery.go), the answers and refusals (scim.go,
// refusal.go). It keeps nothing; what is true of people stands in identity.
//
// Promises (with identity): active=false and DELETE end all of a person in the team in one
// change, and the answer comes after it; a connection never sees, finds, changes or counts
// anybody of another team; a group gives a role only by the connection's table, and never
// one beyond what the connection may give.
//
// Refuses: bodies over 64 KiB, filters over 1 KiB, more than 100 operations in a patch,
// pages over 200 (they are cut); attributes written twice; filters that would need every
// row to be opened. Each refusal is recorded, and answered with the body of RFC 7644 §3.12.
//
// Leaves aside: attributes that an account here has no use for (telephone, title, address,
// the extensions). They are taken and not kept, as RFC 7644 §3.3 allows: what is not
// there cannot be lost.
//
// Threats: a stolen token (its scope opens nothing else; it cannot make an owner, nor move
// an address out of the connection's domains); a directory that claims somebody else's
// address (it is not confirmed by its word); two requests at once (each change names the
// version it was made from).
//
// BUG(elsewhere): an address that has an account in another team is refused as taken, so
// the holder of a token can learn that it has an account; each such refusal is recorded.
//
// For: the customer's team admin, and the engineer who connects the staff's directory.
package scim
