// Package sigv4 judges requests that are signed with AWS Signature Version 4, the scheme
// of the clients of the parameter store. It is pure: the secret, the body's hash and the
// time are arguments.
//
//	Authorization ─► Parse ─► Credential (key id, day, region, service)
//	                             │ the caller finds the key's secret
//	                             ▼
//	request, SHA-256 of its body ─► canonical request ─► HMAC chain ─► Verify: nil | *Error
//
// Promises: vault.access-logged (who reads is proved before anything is read).
//
// Refuses: a header that is not exactly of the scheme; a scope of another service; a
// request signed without its host, its target or its date; a date more than five
// minutes from the clock; a body other than the one that was signed; a payload that
// claims to be unsigned or streamed.
//
// Threats: a request taken from a log and sent again (five minutes, and the entry names
// it twice); a header added or changed on the way (what matters is signed, or the request
// is refused); guessing a signature byte by byte (constant time). Not answered here: the
// scheme is symmetric, so the server holds the secret; the vault keeps it sealed.
//
// For: programs. Read sigv4.go.
package sigv4
