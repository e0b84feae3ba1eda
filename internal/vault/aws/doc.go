// Package aws is the one address at which clients of Amazon's services find the vault: it
// proves who calls and hands the call to the service that the signature is for.
//
//	POST /-/aws/ ─► size ─► service (X-Amz-Target, or a form) ─► signature (sigv4) for that service
//	             ─► key, session token ─► owner's rights now ─► actor ─► operation ─► answer
//
// Promises: vault.access-logged (who reads is proved before anything is read; the id of an
// answer is that of its entry).
//
// Refuses: what is not signed, signed for another service, altered on the way, older than
// five minutes, or signed with a key that has ended or whose owner is gone; a session key
// without its token; an operation that the service does not have; more than 1 MiB.
//
// Threats: a signature for one service used at another (the scope is part of it); a call
// sent twice because an answer was lost (its name lets a service answer and not do it
// twice); a flood of calls that are not let in (counted, see vault).
//
// Beside the services it is given it has one of its own: STS, which answers one question,
// who am I, because clients ask it before all else. It speaks forms and XML.
//
// For: programs. Read aws.go, then refusal.go, sts.go. The services: ssm, kms.
package aws
