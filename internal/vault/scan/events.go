package scan

import (
	"time"

	"writ/internal/ledger"
)

// Finished is a scan that was made, and what it saw.
type Finished struct {
	Place    string   `class:"public"`
	Host     string   `class:"public"` // "" = this server
	Path     string   `class:"public"`
	Files    int64    `class:"public"`
	Bytes    int64    `class:"public"`
	Unread   int64    `class:"public"`
	Known    bool     `class:"public"` // the values of the vault were compared too
	Compared int64    `class:"public"` // words
	Began    string   `class:"public"` // entry of the comparison, if it was from outside
	Rules    int64    `class:"public"`
	Hits     int64    `class:"public"`
	Excepted int64    `class:"public"` // by the ignore file
	Mended   int64    `class:"public"` // that it does not see any more
	Dropped  int64    `class:"public"` // beyond what is kept of a place
	Found    []string `class:"public"` // the first of them: id, rule, file and line
}

// About implements ledger.Event.
func (e Finished) About() ledger.About {
	return ledger.About{Name: "vault.scan-finished", Clause: "vault.secret-home", Object: "scan/" + e.Place}
}

// Failed is a declared place that could not be searched.
type Failed struct {
	Place string `class:"public"`
	Path  string `class:"public"`
	Why   string `class:"public"`
}

// About implements ledger.Event.
func (e Failed) About() ledger.About {
	return ledger.About{Name: "vault.scan-left", Clause: "vault.secret-home", Object: "scan/" + e.Place}
}

// Decided is what somebody said of a hit.
type Decided struct {
	Place string    `class:"public"`
	Hit   string    `class:"public"`
	Rule  string    `class:"public"`
	File  string    `class:"public"`
	As    string    `class:"public"` // mended, excepted
	Until time.Time `class:"public"`
	Why   string    `class:"personal"`
}

// About implements ledger.Event.
func (e Decided) About() ledger.About {
	return ledger.About{Name: "vault.scan-hit-decided", Clause: "vault.secret-home", Object: "scan/" + e.Place}
}

// Compared is a comparison with the values of the vault that somebody began.
type Compared struct {
	Began  string `class:"public"` // this entry
	Values int64  `class:"public"`
}

// About implements ledger.Event.
func (e Compared) About() ledger.About {
	return ledger.About{Name: "vault.comparison-begun", Clause: "vault.secret-home", Object: "comparison/" + e.Began}
}

// CompareEnded is one that ended without a report, and what it was asked.
type CompareEnded struct {
	Began string   `class:"public"` // entry
	How   string   `class:"public"` // expired, replaced, refused
	Asked int64    `class:"public"` // words
	Told  []string `class:"public"` // names of the first values that were found
}

// About implements ledger.Event.
func (e CompareEnded) About() ledger.About {
	return ledger.About{Name: "vault.comparison-ended", Clause: "vault.secret-home", Object: "comparison/" + e.Began}
}
