package trail

import (
	"time"

	"writ/internal/ledger"
)

// Sealed is a segment that was closed. Its hash makes each record in it part of the journal.
type Sealed struct {
	Segment   string    `class:"public"`
	From      time.Time `class:"public"`
	Until     time.Time `class:"public"`
	Count     int64     `class:"public"`
	Bytes     int64     `class:"public"`
	SHA256    string    `class:"public"` // of the file, in hex
	Recovered bool      `class:"public"` // after the process had died
}

// About implements ledger.Event.
func (e Sealed) About() ledger.About {
	return ledger.About{Name: "gateway.records-sealed", Clause: scope, Object: "segment/" + e.Segment}
}

// Damaged is a segment that a dead process left open and that is not as it wrote it. The
// file is laid aside under another name; its records are not searched.
type Damaged struct {
	Segment string `class:"public"`
	Bytes   int64  `class:"public"`
}

// About implements ledger.Event.
func (e Damaged) About() ledger.About {
	return ledger.About{Name: "gateway.records-damaged", Clause: scope, Object: "segment/" + e.Segment}
}

// Dropped are records that were not kept, because the disk did not take them in time.
type Dropped struct {
	Count int64     `class:"public"`
	Since time.Time `class:"public"` // the first of them
}

// About implements ledger.Event.
func (e Dropped) About() ledger.About {
	return ledger.About{Name: "gateway.records-dropped", Clause: scope}
}

// Expired are segments whose time was over, or a week whose addresses nobody can read any more.
type Expired struct {
	Segments []string `class:"public"`
	Week     string   `class:"public"` // such as gateway.addresses-2026-48: its key was destroyed
}

// About implements ledger.Event.
func (e Expired) About() ledger.About {
	return ledger.About{Name: "gateway.records-expired", Clause: scope}
}

// Searched is a search in access records, or an export of them.
type Searched struct {
	Of     string    `class:"public"` // what was asked for, in words
	From   time.Time `class:"public"`
	Until  time.Time `class:"public"`
	Export string    `class:"public"` // the form; "" = a search
}

// About implements ledger.Event.
func (e Searched) About() ledger.About {
	return ledger.About{Name: "gateway.records-searched", Clause: scope}
}

const scope = "inc.breach-scope"
