// Package rotate replaces values at their source: roles of PostgreSQL servers, Writ's own
// access keys, and tokens of services. Two slots take turns, so that a program always has a value that works.
//
//	idle ─► planned ─► created ─► tested ─► stored ─► promoted ─(grace)─► revoked ─► verified = idle
//	         │          │          │         │          │                   │
//	         │          │          │         │          │                   └ the former logs in no more
//	         │          │          │         │          └ what programs read now logs in
//	         │          │          │         └ the newest version of the parameter
//	         │          │          └ a real log-in; a wrong password is refused
//	         │          └ a role that is a member of the owner role, an access key, or a token
//	         └ slot, new and former value, sealed in the row
//
// Each step is one act that may be done again, and one change that records it with the
// state. Whoever is killed between two of them is gone on from there. A step that fails
// leaves the former version newest and working, says why, and is tried again; only somebody
// who goes back to it by hand stops a rotation, and then the new one is ended instead.
//
// Promises: crypto.key-rotation (secrets are replaced in time, when somebody leaves who knows
// them, and at once after an exposure; a former one is refused in the end),
// vault.encrypted-store, vault.access-logged (the server's own reads are entries).
//
// Refuses: to set one up without the right to write the name, to read the administrator's
// address and to do oneself what a key would do, or to manage the service that a token is of; an owner role that rules the server; a role
// or a value that belongs to neither slot; an address that is public, not encrypted, or that
// has this machine read a file; to end one whose former value would stay open unseen.
//
// Threats: a leaver who knows a secret; a log of statements (passwords are sent as verifiers);
// a database that lets anybody in (a wrong password is tried); a crash, two nodes (a hold with
// a turn, as a fence); the value in the record (commitments alone).
//
// BUG(fence): a node that stood still for longer than its hold within one statement may send
// that statement late. It would be of a round that another node has gone on with.
//
// Tables: ../schema/00070_rotation.sql.
//
// For: engineers, operators. Read rotate.go, rotation.go, carry.go, kind.go, postgres.go,
// address.go, accesskey.go, token.go, trouble.go, clauses.go.
package rotate
