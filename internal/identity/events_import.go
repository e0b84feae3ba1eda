package identity

import (
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// ImportBegun is a run that brings people over.
type ImportBegun struct {
	Import string `class:"public"`
	Spec   string `class:"public"` // how salted digests are made; empty = none will come
}

// About implements ledger.Event.
func (e ImportBegun) About() ledger.About {
	return ledger.About{Name: "identity.import-begun", Clause: "auth.hash", Object: "import/" + e.Import}
}

// PersonImported is a person who was brought over.
type PersonImported struct {
	Person string `class:"public"`
	Team   string `class:"public"`
	Import string `class:"public"`
	Scheme string `class:"public"` // of the hash they came with; reset = none that is good enough
}

// About implements ledger.Event.
func (e PersonImported) About() ledger.About {
	return ledger.About{Name: "identity.person-imported", Clause: "auth.hash", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// ImportRun is the end of a run, with its counts.
type ImportRun struct {
	Import  string `class:"public"`
	Made    int64  `class:"public"`
	Reset   int64  `class:"public"`
	Known   int64  `class:"public"`
	Refused int64  `class:"public"`
}

// About implements ledger.Event.
func (e ImportRun) About() ledger.About {
	return ledger.About{Name: "identity.import-ended", Clause: "auth.hash", Object: "import/" + e.Import}
}
