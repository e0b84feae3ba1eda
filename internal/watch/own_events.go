package watch

import (
	"time"

	"writ/internal/ledger"
)

// RuleProposed is a version of a rule of one's own that was written.
type RuleProposed struct {
	Rule    string `class:"public"`
	Version int64  `class:"public"`
	SHA256  string `class:"public"` // of its text
	Title   string `class:"public"`
}

// About implements ledger.Event.
func (e RuleProposed) About() ledger.About {
	return ledger.About{Name: "watch.rule-proposed", Clause: alarms, Object: ruleThing(e.Rule)}
}

// RuleBackTested is a rule that was asked about what is stored. Version 0 is a text that is
// not kept.
type RuleBackTested struct {
	Rule        string    `class:"public"`
	Version     int64     `class:"public"`
	SHA256      string    `class:"public"`
	From        time.Time `class:"public"`
	Until       time.Time `class:"public"`
	Events      int64     `class:"public"` // that were looked at
	Fires       int64     `class:"public"`
	InIncidents int64     `class:"public"`
}

// About implements ledger.Event.
func (e RuleBackTested) About() ledger.About {
	return ledger.About{Name: "watch.rule-back-tested", Clause: alarms, Object: ruleThing(e.Rule)}
}

// RuleApproved is a version that a second person agreed to.
type RuleApproved struct {
	Rule    string `class:"public"`
	Version int64  `class:"public"`
	SHA256  string `class:"public"`
	Fires   int64  `class:"public"` // as its back-test said
}

// About implements ledger.Event.
func (e RuleApproved) About() ledger.About {
	return ledger.About{Name: "watch.rule-approved", Clause: alarms, Object: ruleThing(e.Rule)}
}

// RuleEnabled is a version that watches from now on.
type RuleEnabled struct {
	Rule    string `class:"public"`
	Version int64  `class:"public"`
	SHA256  string `class:"public"`
}

// About implements ledger.Event.
func (e RuleEnabled) About() ledger.About {
	return ledger.About{Name: "watch.rule-enabled", Clause: alarms, Object: ruleThing(e.Rule)}
}

// RuleRetired is a rule that watches no more.
type RuleRetired struct {
	Rule    string `class:"public"`
	Version int64  `class:"public"`
	reason  string
}

// About implements ledger.Event.
func (e RuleRetired) About() ledger.About {
	return ledger.About{Name: "watch.rule-retired", Clause: alarms, Object: ruleThing(e.Rule), Reason: e.reason}
}

// RuleRefused is a step that a rule may not take.
type RuleRefused struct {
	Rule    string   `class:"public"`
	Version int64    `class:"public"`
	Code    string   `class:"public"`
	Loses   []string `class:"public"` // incidents that nothing would see any more
}

// About implements ledger.Event.
func (e RuleRefused) About() ledger.About {
	return ledger.About{Name: "watch.rule-refused", Clause: alarms, Object: ruleThing(e.Rule)}
}

// LessonKept is what is kept of an incident that is over, for later changes of rules.
type LessonKept struct {
	Incident string `class:"public"`
	Events   int64  `class:"public"`
	Missed   int64  `class:"public"` // that found no room
	SHA256   string `class:"public"` // of the events
}

// About implements ledger.Event.
func (e LessonKept) About() ledger.About {
	return ledger.About{Name: "watch.lesson-kept", Clause: alarms, Object: "incident/" + e.Incident}
}
