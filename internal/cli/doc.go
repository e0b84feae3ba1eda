// Package cli is the command writ: how an operator, an owner, an engineer and an
// auditor ask and tell a running server, and how they check its word without it.
//
// It owns words, flags, exit statuses and how answers look in a terminal; it decides
// nothing. A command is a thin client of the JSON API:
//
//	args ─► cobra ─► command ─┬─► client ─► DIR/writ.sock  (the peer's uid is who acts)
//	                          │        └──► https://…      (--as EMAIL: a session of its own)
//	                          ├─► offline: verify, policy lint, policy diff, signing
//	                          └─► Server: init, serve, demo (injected by cmd/writ)
//	error ─► what was wrong. what was expected. what to do. ─► exit status
//
// Exit status: 0 all holds, or done; 1 the answer is no; 2 usage; 3 the server cannot
// be reached or is sealed. verify: 0 true, 1 false, 2 unreadable, 5 declared incomplete.
//
// Promises: gov.signed-dated (an owner signs what the server would store, with a key
// that never leaves this machine).
//
// Refuses: a password or a private key as an argument (others see arguments); an
// address that is not https; an answer that is not Writ's; an approval whose text
// differs from the revision that was asked for.
//
// Threats: a server that shows one text and has another signed (the text is shown, or
// checked to name the revision, before the key is used); control characters in an
// answer that would rewrite the terminal (they are made visible); a session that stays
// behind (each command ends its own).
//
// Read cli.go, errors.go, client.go, session.go; then one file a noun.
package cli
