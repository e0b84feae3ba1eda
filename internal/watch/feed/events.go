package feed

import "writ/internal/ledger"

const droppedStream = "watch.export-dropped"

// Dropped are entries that a receiver refused for good; they are in the journal still.
type Dropped struct {
	To    string `class:"public"`
	From  int64  `class:"public"` // they lie among these numbers
	Until int64  `class:"public"`
	Count int64  `class:"public"`
	Cause string `class:"public"` // the status of the answer, or partial
}

// About implements ledger.Event.
func (e Dropped) About() ledger.About {
	return ledger.About{Name: "watch.export-dropped", Clause: "mon.alarms", Object: "export/" + e.To}
}
