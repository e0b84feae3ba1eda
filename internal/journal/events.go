package journal

import "writ/internal/ledger"

const tamperEvident = "log.tamper-evident"

// SequencerElected is the entry of a node that begins to number entries.
type SequencerElected struct {
	Epoch int64  `class:"public"`
	Node  string `class:"public"`
}

// About implements ledger.Event.
func (SequencerElected) About() ledger.About {
	return ledger.About{Name: "journal.sequencer-elected", Clause: tamperEvident, Object: "journal/head"}
}

// SelfChecked is the entry of a check of the journal by itself.
type SelfChecked struct {
	Kind     string   `class:"public"` // start or full
	OK       bool     `class:"public"`
	Size     int64    `class:"public"`
	Findings []string `class:"public"` // the first few
}

// About implements ledger.Event.
func (SelfChecked) About() ledger.About {
	return ledger.About{Name: "journal.self-checked", Clause: tamperEvident, Object: "journal/head"}
}

// Opened is the entry of personal values shown to a reader; it is committed first.
type Opened struct {
	Entries []string `class:"public"` // numbers, at most 200 listed
	Count   int64    `class:"public"`
}

// About implements ledger.Event.
func (Opened) About() ledger.About {
	return ledger.About{Name: "journal.opened", Clause: "vault.access-logged", Object: "journal/entries"}
}

// Exported is the entry of an evidence bundle. It stands in the bundle with its proof,
// and says what the bundle must hold.
type Exported struct {
	Query     string   `class:"personal"` // the search, which may name a person
	AsOf      int64    `class:"public"`   // number of entries that were searched
	From      int64    `class:"public"`
	To        int64    `class:"public"`
	Leaves    int64    `class:"public"`
	Complete  string   `class:"public"` // range, stream or selection
	Stream    string   `class:"public"`
	Selection string   `class:"public"` // SHA-256 of the list of numbers
	Totals    []string `class:"public"` // stream=count at AsOf, of all streams with a range, of Stream with a stream, none with a selection
	Opened    bool     `class:"public"` // with the personal values the reader may see
	reason    string
}

// About implements ledger.Event.
func (e Exported) About() ledger.About {
	return ledger.About{Name: "journal.exported", Clause: tamperEvident, Object: "journal/entries", Reason: e.reason}
}
