package incident

import (
	"time"

	"writ/internal/ledger"
)

// Declared is an incident that begins.
type Declared struct {
	Incident  string    `class:"public"`
	Number    int64     `class:"public"`
	Source    string    `class:"public"`
	Component string    `class:"public"`
	Drill     bool      `class:"public"`
	Onset     time.Time `class:"public"`
	Title     string    `class:"personal"`
}

// About implements ledger.Event.
func (e Declared) About() ledger.About {
	return ledger.About{Name: "incident.declared", Clause: "inc.process", Object: thing(e.Incident), Subject: subject(e.Incident)}
}

// Moved is a step: a region stands elsewhere from now on. From is empty where it begins.
type Moved struct {
	Incident string   `class:"public"`
	Round    int64    `class:"public"`
	Region   string   `class:"public"`
	From     string   `class:"public"`
	To       string   `class:"public"`
	Event    string   `class:"public"`
	Waived   []string `class:"public"` // guards that two people let pass
	Evidence []string `class:"public"` // hashes

	clause, reason string
}

// About implements ledger.Event.
func (e Moved) About() ledger.About {
	return ledger.About{Name: "incident.step-done", Clause: e.clause, Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}

// StepRefused is a step that the table, a role or a guard kept.
type StepRefused struct {
	Incident string   `class:"public"`
	State    string   `class:"public"`
	Wanted   string   `class:"public"`
	Unmet    []string `class:"public"`
}

// About implements ledger.Event.
func (e StepRefused) About() ledger.About {
	a := ledger.About{Name: "incident.step-refused", Clause: "inc.process"}
	if e.Incident != "" {
		a.Object = thing(e.Incident)
	}
	return a
}

// Categorised is the decision what an incident is.
type Categorised struct {
	Incident   string   `class:"public"`
	Round      int64    `class:"public"`
	Categories []string `class:"public"`
	Severity   int      `class:"public"`
}

// About implements ledger.Event.
func (e Categorised) About() ledger.About {
	return ledger.About{Name: "incident.categorised", Clause: "inc.categorise", Object: thing(e.Incident)}
}

// Graded is another severity.
type Graded struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	From     int    `class:"public"`
	To       int    `class:"public"`

	reason string
}

// About implements ledger.Event.
func (e Graded) About() ledger.About {
	return ledger.About{Name: "incident.severity-set", Clause: "inc.categorise", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}

// RoleTaken is who has a role from now on.
type RoleTaken struct {
	Incident string `class:"public"`
	Role     string `class:"public"`
	Person   string `class:"personal"`
	Former   string `class:"personal"` // who is relieved; may be empty
}

// About implements ledger.Event.
func (e RoleTaken) About() ledger.About {
	return ledger.About{Name: "incident.role-taken", Clause: "inc.process", Object: thing(e.Incident), Subject: subject(e.Incident)}
}

// ImpactSeen is the commander's word that the impact is over, or back.
type ImpactSeen struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Over     bool   `class:"public"`

	reason string
}

// About implements ledger.Event.
func (e ImpactSeen) About() ledger.About {
	return ledger.About{Name: "incident.impact-seen", Clause: "inc.process", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}

// Joined is an incident that is part of another one.
type Joined struct {
	Incident string `class:"public"`
	Into     string `class:"public"`

	reason string
}

// About implements ledger.Event.
func (e Joined) About() ledger.About {
	return ledger.About{Name: "incident.joined", Clause: "inc.process", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}

// SignalsSeen is what told of an incident: alarms, spending, reports.
type SignalsSeen struct {
	Incident string   `class:"public"`
	Signals  []string `class:"public"`
}

// About implements ledger.Event.
func (e SignalsSeen) About() ledger.About {
	return ledger.About{Name: "incident.signals-seen", Clause: "inc.categorise", Object: thing(e.Incident)}
}

// SignalMoved is a signal that begins an incident of its own.
type SignalMoved struct {
	Incident string `class:"public"`
	Into     string `class:"public"`
	Signal   string `class:"public"`

	reason string
}

// About implements ledger.Event.
func (e SignalMoved) About() ledger.About {
	return ledger.About{Name: "incident.signal-moved", Clause: "inc.categorise", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}

// LessonHanded is a closed incident whose events were handed over, for later changes of rules.
type LessonHanded struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Events   int64  `class:"public"`
	Hash     string `class:"public"` // of the events; "" = there are none any more
}

// About implements ledger.Event.
func (e LessonHanded) About() ledger.About {
	return ledger.About{Name: "incident.lesson-handed", Clause: "mon.alarms", Object: thing(e.Incident)}
}

// SignalJudged is what an alarm was, because its incident says so.
type SignalJudged struct {
	Incident string `class:"public"`
	Signal   string `class:"public"`
	Verdict  string `class:"public"`
}

// About implements ledger.Event.
func (e SignalJudged) About() ledger.About {
	return ledger.About{Name: "incident.signal-judged", Clause: "mon.alarms", Object: thing(e.Incident)}
}

// Noted is a line that a person wrote; its words are sealed in the table.
type Noted struct {
	Incident string `class:"public"`
	Note     string `class:"public"`
	TextHash string `class:"public"`
	Corrects string `class:"public"`
}

// About implements ledger.Event.
func (e Noted) About() ledger.About {
	return ledger.About{Name: "incident.noted", Clause: "inc.process", Object: thing(e.Incident)}
}

// WaiverAsked is the first of two who want a guard to pass.
type WaiverAsked struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Region   string `class:"public"`
	Guard    string `class:"public"`
	Person   string `class:"personal"`

	reason string
}

// About implements ledger.Event.
func (e WaiverAsked) About() ledger.About {
	return ledger.About{Name: "incident.waiver-asked", Clause: "inc.process", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}

// GuardWaived is a guard that two people let pass.
type GuardWaived struct {
	Incident string   `class:"public"`
	Round    int64    `class:"public"`
	Region   string   `class:"public"`
	Guard    string   `class:"public"`
	People   []string `class:"personal"`

	reason string
}

// About implements ledger.Event.
func (e GuardWaived) About() ledger.About {
	return ledger.About{Name: "incident.guard-waived", Clause: "inc.process", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}

// SecondAsked says that all others were asked for a second person, before one goes on alone.
type SecondAsked struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Guard    string `class:"public"`
	Told     int64  `class:"public"` // letters
	Person   string `class:"personal"`

	reason string
}

// About implements ledger.Event.
func (e SecondAsked) About() ledger.About {
	return ledger.About{Name: "incident.second-asked", Clause: "inc.process", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}

// PassedAlone is a guard of two people that one has passed, because nobody else answered.
type PassedAlone struct {
	Incident string    `class:"public"`
	Round    int64     `class:"public"`
	Guard    string    `class:"public"`
	Object   string    `class:"public"` // what it is bound to: the hash of a plan, a record; "" = the round
	Asked    time.Time `class:"public"` // since when the others were asked
	Person   string    `class:"personal"`

	reason string
}

// About implements ledger.Event.
func (e PassedAlone) About() ledger.About {
	return ledger.About{Name: "incident.passed-alone", Clause: "inc.process", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}

// ReviewWritten is what was learned, as it stands now.
type ReviewWritten struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Hash     string `class:"public"`
	Causes   int64  `class:"public"`
	Actions  int64  `class:"public"`
}

// About implements ledger.Event.
func (e ReviewWritten) About() ledger.About {
	return ledger.About{Name: "incident.review-written", Clause: "inc.learn", Object: thing(e.Incident)}
}

// Approved is somebody's yes to a thing as it was.
type Approved struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Object   string `class:"public"` // review, text
	Hash     string `class:"public"`
	Person   string `class:"personal"`
}

// About implements ledger.Event.
func (e Approved) About() ledger.About {
	return ledger.About{Name: "incident.approved", Clause: "inc.process", Object: thing(e.Incident), Subject: subject(e.Incident)}
}

// ActionDone is an action that somebody has done.
type ActionDone struct {
	Incident string `class:"public"`
	Action   string `class:"public"`
}

// About implements ledger.Event.
func (e ActionDone) About() ledger.About {
	return ledger.About{Name: "incident.action-done", Clause: "inc.learn", Object: thing(e.Incident)}
}

// DeadlineMissed is a state that was not left in time, and how far up it was told.
type DeadlineMissed struct {
	Incident  string    `class:"public"`
	Round     int64     `class:"public"`
	Region    string    `class:"public"`
	State     string    `class:"public"`
	Parameter string    `class:"public"`
	Due       time.Time `class:"public"`
	Told      int64     `class:"public"`

	clause string
}

// About implements ledger.Event.
func (e DeadlineMissed) About() ledger.About {
	return ledger.About{Name: "incident.deadline-lost", Clause: e.clause, Object: thing(e.Incident)}
}

// FixExpired is a temporary fix whose time is over.
type FixExpired struct {
	Incident string    `class:"public"`
	Expired  time.Time `class:"public"`
}

// About implements ledger.Event.
func (e FixExpired) About() ledger.About {
	return ledger.About{Name: "incident.fix-expired", Clause: "inc.patch", Object: thing(e.Incident)}
}

// AffectedTold is the message to a team that an incident touched.
type AffectedTold struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Team     string `class:"public"`
	State    string `class:"public"` // queued, or failed: nobody to write to
	Letters  int64  `class:"public"`
}

// About implements ledger.Event.
func (e AffectedTold) About() ledger.About {
	return ledger.About{Name: "incident.affected-told", Clause: "inc.tell-affected", Object: thing(e.Incident)}
}

// MessageFollowed is what became of it.
type MessageFollowed struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Team     string `class:"public"`
	State    string `class:"public"` // handed-over, failed, told-otherwise

	reason string
}

// About implements ledger.Event.
func (e MessageFollowed) About() ledger.About {
	return ledger.About{Name: "incident.message-followed", Clause: "inc.tell-affected", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}

// ActDone is something that the server did by itself, once for its key.
type ActDone struct {
	Incident string   `class:"public"`
	Round    int64    `class:"public"`
	Act      string   `class:"public"`
	Key      string   `class:"public"`
	Output   string   `class:"public"` // hash of what came of it
	Count    int64    `class:"public"`
	Says     string   `class:"public"`
	Good     []string `class:"public"` // guards that hold because of it
	Bad      []string `class:"public"` // guards that do not
}

// About implements ledger.Event.
func (e ActDone) About() ledger.About {
	return ledger.About{Name: "incident.act-done", Clause: "inc.process", Object: thing(e.Incident)}
}

// ActSuperseded is a try of an act that was refused: its server was stopped in the middle of it, and
// another has gone on.
type ActSuperseded struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Act      string `class:"public"`
	Epoch    int64  `class:"public"` // of the try
}

// About implements ledger.Event.
func (e ActSuperseded) About() ledger.About {
	return ledger.About{Name: "incident.act-superseded", Clause: "inc.process", Object: thing(e.Incident)}
}

// ActRepeated is an act that went wrong and is done once more.
type ActRepeated struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Act      string `class:"public"`
}

// About implements ledger.Event.
func (e ActRepeated) About() ledger.About {
	return ledger.About{Name: "incident.act-repeated", Clause: "inc.process", Object: thing(e.Incident)}
}
