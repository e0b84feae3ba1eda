// Package transfer brings values into the vault from the files of other tools, and out of it
// under a reason and with a second person.
//
//	file ─► rows, each with its name or what is wrong with it ─► plan ─► all written, or none
//	ask, with a reason ─► another person agrees ─► taken once, within the hour ─► entry with every name
//
// Forms: dotenv, a tree of JSON or YAML, what chamber exports, what the aws command line
// prints of a path.
//
// Promises: vault.secret-home, vault.access-logged.
//
// Refuses: a file with a bad row (nothing of it is written), more than 100 values at once; an
// export that nobody else agreed to, that was agreed by whoever asked, is over, or was taken.
//
// Threats: a value in a message (rows are named by key and line, never by value); one person
// who carries everything away (two are needed, and both stand in the record).
//
// Tables: vault_export. For: engineers, owners. Read read.go, transfer.go, export.go, http.go.
package transfer
