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
	Rules    int64    `class:"public"`
	Hits     int64    `class:"public"`
	Excepted int64    `class:"public"` // by the ignore file
	Mended   int64    `class:"public"` // that it does not see any more
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
