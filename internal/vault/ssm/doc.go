// Package ssm is the vault's door for clients of the AWS Systems Manager Parameter Store:
// their operations and their names of errors (package aws proves who calls). The aws CLI, the
// SDKs and what is built on them work with an endpoint address and an access key.
//
//	signed call (aws) ─► operation ─► shape of its input ─► vault ─► entry ─► answer
//
// Promises: vault.access-logged (the id of an answer is that of its entry),
// vault.encrypted-store.
//
// Refuses: an operation it does not have; an input of another shape than the clients' model.
//
// Threats: a caller who asks whether a name exists outside its path (the answer is the
// same for all names there); a value in a log (no message holds one); a call sent twice
// because an answer was lost (the second is answered, not done).
//
// Where the published model and the service differ, docs/compat.md says what is done here.
//
// For: programs. Read ssm.go, then params.go, list.go, refusal.go.
package ssm
