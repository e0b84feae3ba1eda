package incident

import (
	"time"

	"writ/internal/ledger"
)

// clauseOfPaper is the clause that a paper serves.
func clauseOfPaper(kind string) string {
	switch kind {
	case paperVendor, paperStatement:
		return "inc.breach-third-party"
	case paperResearch, paperCut, paperLift, paperLifted:
		return "inc.breach-research"
	case paperMeasure:
		return "inc.breach-prevent"
	}
	return "inc.breach-notify"
}

// BreachSeen is somebody who looked at what a breach tells of people, or was kept from it.
type BreachSeen struct {
	Incident string `class:"public"`
	What     string `class:"public"`
	Refused  bool   `class:"public"`
}

// About implements ledger.Event.
func (e BreachSeen) About() ledger.About {
	a := ledger.About{Name: "incident.breach-seen", Clause: "inc.breach-scope"}
	if e.Incident != "" { // else of all of them: the register
		a.Object, a.Subject = thing(e.Incident), subject(e.Incident)
	}
	return a
}

// PaperWritten is something that was decided or found; its words are sealed in the table.
type PaperWritten struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Kind     string `class:"public"`
	Hash     string `class:"public"`

	clause string
}

// About implements ledger.Event.
func (e PaperWritten) About() ledger.About {
	return ledger.About{Name: "incident.paper-written", Clause: e.clause, Object: thing(e.Incident), Subject: subject(e.Incident)}
}

// HoldSet is a legal hold that begins: nothing that tells of the breach is removed.
type HoldSet struct {
	Incident string   `class:"public"`
	Of       []string `class:"public"`
}

// About implements ledger.Event.
func (e HoldSet) About() ledger.About {
	return ledger.About{Name: "incident.hold-set", Clause: "inc.breach-research", Object: thing(e.Incident), Subject: subject(e.Incident)}
}

// HoldLifted is a legal hold that ends.
type HoldLifted struct {
	Incident string `class:"public"`
}

// About implements ledger.Event.
func (e HoldLifted) About() ledger.About {
	return ledger.About{Name: "incident.hold-lifted", Clause: "inc.breach-research", Object: thing(e.Incident), Subject: subject(e.Incident)}
}

// ScopeKept is a part of a set that is not frozen yet.
type ScopeKept struct {
	Incident string `class:"public"`
	Scope    string `class:"public"`
	Parts    int64  `class:"public"` // so far
}

// About implements ledger.Event.
func (e ScopeKept) About() ledger.About {
	return ledger.About{Name: "incident.scope-kept", Clause: "inc.breach-scope", Object: thing(e.Incident), Subject: subject(e.Incident)}
}

// ScopeFrozen is a version of the set of those concerned.
type ScopeFrozen struct {
	Incident  string `class:"public"`
	Version   int64  `class:"public"`
	Hash      string `class:"public"`
	Obtained  int64  `class:"public"`
	Accessed  int64  `class:"public"`
	Possibly  int64  `class:"public"`
	Cleared   int64  `class:"public"`
	Whole     bool   `class:"public"` // the record tells everything about that time
	Stated    bool   `class:"public"` // what it does not tell is stated
	Size      int64  `class:"public"` // of the journal when it was read
	statement string
}

// About implements ledger.Event.
func (e ScopeFrozen) About() ledger.About {
	return ledger.About{Name: "incident.scope-frozen", Clause: "inc.breach-scope", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.statement}
}

// AwareSet is when the breach was known, and so when the times of the law began.
type AwareSet struct {
	Incident string    `class:"public"`
	Aware    time.Time `class:"public"`
	Was      time.Time `class:"public"` // zero = it was not set before
	Signers  int64     `class:"public"` // how many people moved it
	People   []string  `class:"personal"`

	reason string
}

// About implements ledger.Event.
func (e AwareSet) About() ledger.About {
	return ledger.About{Name: "incident.aware-set", Clause: "inc.breach-notify", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}

// ClockAdded is a time of a law or a contract.
type ClockAdded struct {
	Incident string    `class:"public"`
	Clock    string    `class:"public"`
	Due      time.Time `class:"public"`
}

// About implements ledger.Event.
func (e ClockAdded) About() ledger.About {
	return ledger.About{Name: "incident.clock-added", Clause: "inc.breach-notify", Object: thing(e.Incident), Subject: subject(e.Incident)}
}

// ClockTold is an alarm of such a time.
type ClockTold struct {
	Incident string    `class:"public"`
	Clock    string    `class:"public"`
	Hours    int64     `class:"public"` // since it began
	Due      time.Time `class:"public"`
	Missed   bool      `class:"public"`
}

// About implements ledger.Event.
func (e ClockTold) About() ledger.About {
	return ledger.About{Name: "incident.clock-told", Clause: "inc.breach-notify", Object: thing(e.Incident), Subject: subject(e.Incident)}
}

// TaskSet is something that a third party's procedure asks for, or that it is done.
type TaskSet struct {
	Incident string    `class:"public"`
	Task     string    `class:"public"`
	Due      time.Time `class:"public"`
	Done     bool      `class:"public"`
}

// About implements ledger.Event.
func (e TaskSet) About() ledger.About {
	return ledger.About{Name: "incident.task-set", Clause: "inc.breach-third-party", Object: thing(e.Incident), Subject: subject(e.Incident)}
}

// LettersQueued are letters to those concerned that wait to be sent.
type LettersQueued struct {
	Incident string `class:"public"`
	Version  int64  `class:"public"`
	Count    int64  `class:"public"`
}

// About implements ledger.Event.
func (e LettersQueued) About() ledger.About {
	return ledger.About{Name: "incident.letters-queued", Clause: "inc.breach-notify", Object: thing(e.Incident), Subject: subject(e.Incident)}
}

// LetterFollowed is what became of a letter.
type LetterFollowed struct {
	Incident string `class:"public"`
	Letter   string `class:"public"`
	Version  int64  `class:"public"`
	State    string `class:"public"`
	Code     string `class:"public"` // of the mail host
	Tries    int64  `class:"public"`
	Body     string `class:"public"` // hash of what was sent

	reason string
}

// About implements ledger.Event.
func (e LetterFollowed) About() ledger.About {
	return ledger.About{Name: "incident.letter-followed", Clause: "inc.breach-notify", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}

// PaceSet is letters that are paused, go on, or stop.
type PaceSet struct {
	Incident string `class:"public"`
	Pace     string `class:"public"`
	Stopped  int64  `class:"public"` // letters that are not sent because of it

	reason string
}

// About implements ledger.Event.
func (e PaceSet) About() ledger.About {
	return ledger.About{Name: "incident.pace-set", Clause: "inc.breach-notify", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}
