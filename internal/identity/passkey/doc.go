// Package passkey asks a browser to make a passkey or to prove that it holds one, and
// judges the answer.
//
//	Create ─► options ─► navigator.credentials.create ─► response ─► Created ─► Record
//	Ask    ─► options ─► navigator.credentials.get    ─► response ─► Read ─► (caller finds
//	                                                     the Record) ─► Proved ─► Record, newer
//
// It owns the two ceremonies of WebAuthn (W3C Web Authentication Level 3, §7.1 and
// §7.2), what may be asked in them, and how a credential is written down. The
// cryptography and the formats are go-webauthn's; this layer is what makes them strict,
// and nothing else of the program imports that module.
//
// Promises: a passkey is resident and its user was verified, so that it stands for two
// factors and cannot be phished; the name the authenticator keeps is 64 random bytes,
// never an address; a question names no credential unless the caller gave some, so that
// it says nothing of who has an account.
//
// Refuses, each with a Cause of its own: an answer that is too large or cannot be read;
// one to another question, from another origin or for another host; from within a frame
// of another site; without the user's presence or verification; after its time; with an
// attestation that nobody asked for; by a credential of another person or outside the
// list; with a bad signature; with a counter that went back, which means that there are
// two of a thing of which there should be one; with flags of backup that contradict
// what was stored or each other.
//
// What the library leaves to its caller, and where it is done here: its warning of a
// clone is a field and no error (Proved); the flag of backup eligibility must be kept or
// the next proof fails (Record.Flags); limits of time are advice unless switched on, and
// go by its own clock (New, Ceremony.Until); it reads a body of any size (maxResponse).
//
// A Ceremony is the question as the server remembers it. Whoever calls keeps it where no
// client can change it, and uses it once: taken out of its place before the answer is
// judged, whatever the judgement is. A challenge is never valid twice only because of that.
//
// There is no I/O here, and the only clock is the caller's, save the library's own limit.
//
// For: everybody who signs in, through identity. Read passkey.go, create.go, prove.go,
// record.go, refusal.go.
package passkey
