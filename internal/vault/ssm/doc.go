// Package ssm is the vault's door for clients of the AWS Systems Manager Parameter Store:
// their protocol (JSON 1.1), their signatures, their names of errors. The aws CLI, the
// SDKs and what is built on them work with an endpoint address and an access key.
//
//	POST /-/aws/ ─► size ─► signature (sigv4) ─► key ─► owner's rights now ─► actor
//	             ─► operation ─► shape of its input ─► vault ─► entry ─► answer
//
// Promises: vault.access-logged (the id of an answer is that of its entry),
// vault.encrypted-store.
//
// Refuses: what is not signed, signed for another service, altered on the way, older than
// five minutes, or signed with a key that has ended or whose owner is gone; an operation
// it does not have; more than 1 MiB.
//
// Threats: a caller who asks whether a name exists outside its path (the answer is the
// same for all names there); a value in a log (no message holds one); a call sent twice
// because an answer was lost (the second is answered, not done).
//
// Where the published model and the service differ, docs/compat.md says what is done here.
//
// For: programs. Read ssm.go, then params.go, list.go, refusal.go.
package ssm
