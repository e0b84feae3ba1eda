package watch

import (
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

// AlarmOpened is a rule that fired about something.
type AlarmOpened struct {
	Alarm    string   `class:"public"`
	Rule     string   `class:"public"`
	Severity string   `class:"public"`
	Version  string   `class:"public"` // SHA-256 of what the rule said
	Bounds   []string `class:"public"` // of it that the policy sets: above=80
	Ground   string   `class:"public"` // JSON: what was read, and what was usual then; empty = it rests on entries
	Test     bool     `class:"public"` // somebody fired the rule, or it is one that only tests
	clause   string
}

// AlarmBundled is an alarm that was written down with its evidence, for whoever wants to check it.
type AlarmBundled struct {
	Alarm string   `class:"public"`
	Files []string `class:"public"` // SHA-256, two spaces, name
}

// About implements ledger.Event.
func (e AlarmBundled) About() ledger.About {
	return ledger.About{Name: "watch.alarm-bundled", Clause: alarms, Object: "alarm/" + e.Alarm}
}

// About implements ledger.Event.
func (e AlarmOpened) About() ledger.About {
	return ledger.About{Name: "watch.alarm-opened", Clause: e.clause, Object: "alarm/" + e.Alarm}
}

// SeriesLooked is somebody who saw measurements apart by person or network.
type SeriesLooked struct {
	Meter     string    `class:"public"`
	Dimension string    `class:"public"`
	Label     string    `class:"public"` // a pseudonym; empty = all of them
	From      time.Time `class:"public"`
	Until     time.Time `class:"public"`
}

// About implements ledger.Event.
func (e SeriesLooked) About() ledger.About {
	return ledger.About{Name: "watch.series-looked", Clause: "use.need-to-see", Object: "series/" + e.Meter}
}

// AlarmReopened is an alarm that had cleared, and fires again shortly after.
type AlarmReopened struct {
	Alarm string `class:"public"`
	Rule  string `class:"public"`
	Flaps int64  `class:"public"`
}

// About implements ledger.Event.
func (e AlarmReopened) About() ledger.About {
	return ledger.About{Name: "watch.alarm-reopened", Clause: alarms, Object: "alarm/" + e.Alarm}
}

// AlarmInhibited is an alarm that is no news, because of maintenance or of a rule that fires.
type AlarmInhibited struct {
	Alarm string `class:"public"`
	Rule  string `class:"public"`
	By    string `class:"public"`
}

// About implements ledger.Event.
func (e AlarmInhibited) About() ledger.About {
	return ledger.About{Name: "watch.alarm-inhibited", Clause: notified, Object: "alarm/" + e.Alarm}
}

// MuteSet is a time of the week in which tickets are not told.
type MuteSet struct {
	Mute   string   `class:"public"`
	Days   []string `class:"public"`
	From   string   `class:"public"`
	To     string   `class:"public"`
	Zone   string   `class:"public"`
	reason string
}

// About implements ledger.Event.
func (e MuteSet) About() ledger.About {
	return ledger.About{Name: "watch.mute-set", Clause: notified, Object: "mute/" + e.Mute, Reason: e.reason}
}

// MuteRemoved is one that is no more.
type MuteRemoved struct {
	Mute string `class:"public"`
}

// About implements ledger.Event.
func (e MuteRemoved) About() ledger.About {
	return ledger.About{Name: "watch.mute-removed", Clause: notified, Object: "mute/" + e.Mute}
}

// AlarmTold is an alarm that was sent, or sent again to more people.
type AlarmTold struct {
	Alarm    string   `class:"public"`
	Rule     string   `class:"public"`
	Level    int64    `class:"public"`
	Channels []string `class:"public"`
	People   int64    `class:"public"`
}

// About implements ledger.Event.
func (e AlarmTold) About() ledger.About {
	return ledger.About{Name: "watch.alarm-told", Clause: notified, Object: "alarm/" + e.Alarm}
}

// AlarmAcknowledged is somebody who looks at an alarm.
type AlarmAcknowledged struct {
	Alarm string    `class:"public"`
	Rule  string    `class:"public"`
	Until time.Time `class:"public"`
	Note  string    `class:"personal"`
}

// About implements ledger.Event.
func (e AlarmAcknowledged) About() ledger.About {
	return ledger.About{Name: "watch.alarm-acknowledged", Clause: notified, Object: "alarm/" + e.Alarm}
}

// AcknowledgementEnded is an alarm that still fires when its acknowledgement is over.
type AcknowledgementEnded struct {
	Alarm string `class:"public"`
	Rule  string `class:"public"`
}

// About implements ledger.Event.
func (e AcknowledgementEnded) About() ledger.About {
	return ledger.About{Name: "watch.acknowledgement-ended", Clause: notified, Object: "alarm/" + e.Alarm}
}

// AlarmCleared is an alarm whose cause is gone.
type AlarmCleared struct {
	Alarm string `class:"public"`
	Rule  string `class:"public"`
}

// About implements ledger.Event.
func (e AlarmCleared) About() ledger.About {
	return ledger.About{Name: "watch.alarm-cleared", Clause: alarms, Object: "alarm/" + e.Alarm}
}

// AlarmClosed is an alarm of which somebody has said what it was.
type AlarmClosed struct {
	Alarm   string `class:"public"`
	Rule    string `class:"public"`
	Verdict string `class:"public"`
	Note    string `class:"personal"`
}

// About implements ledger.Event.
func (e AlarmClosed) About() ledger.About {
	return ledger.About{Name: "watch.alarm-closed", Clause: alarms, Object: "alarm/" + e.Alarm}
}

// SilenceMade is something that is not told for a while.
type SilenceMade struct {
	Silence  string    `class:"public"`
	Matchers string    `class:"public"`
	Ends     time.Time `class:"public"`
	Version  int64     `class:"public"`
	Former   string    `class:"public"` // whose place it takes; empty = nobody's
	Link     string    `class:"public"` // what it belongs to
	Needs    string    `class:"public"` // why it waits for a second person: wide, long; empty = it holds
	reason   string
}

// About implements ledger.Event.
func (e SilenceMade) About() ledger.About {
	return ledger.About{Name: "watch.silence-made", Clause: notified, Object: "silence/" + e.Silence, Reason: e.reason}
}

// SilenceApproved is a second person's word on a wide or a long silence.
type SilenceApproved struct {
	Silence string    `class:"public"`
	Ends    time.Time `class:"public"`
	Needs   string    `class:"public"`
}

// About implements ledger.Event.
func (e SilenceApproved) About() ledger.About {
	return ledger.About{Name: "watch.silence-approved", Clause: notified, Object: "silence/" + e.Silence}
}

// SilenceEnding is a silence that ends within the hour. People: its maker, if they can be told.
type SilenceEnding struct {
	Silence string    `class:"public"`
	Ends    time.Time `class:"public"`
	People  int64     `class:"public"`
}

// About implements ledger.Event.
func (e SilenceEnding) About() ledger.About {
	return ledger.About{Name: "watch.silence-end-announced", Clause: notified, Object: "silence/" + e.Silence}
}

// SilenceEnded is a silence that somebody ended before its time.
type SilenceEnded struct {
	Silence string `class:"public"`
}

// About implements ledger.Event.
func (e SilenceEnded) About() ledger.About {
	return ledger.About{Name: "watch.silence-ended", Clause: notified, Object: "silence/" + e.Silence}
}

// SilenceRefused is a silence that nobody may make.
type SilenceRefused struct {
	Matchers string `class:"public"`
	Code     string `class:"public"`
}

// About implements ledger.Event.
func (e SilenceRefused) About() ledger.About {
	return ledger.About{Name: "watch.silence-refused", Clause: notified}
}

// LinkRefused is a link of a letter that does not acknowledge any more.
type LinkRefused struct {
	Cause string `class:"public"`
}

// About implements ledger.Event.
func (e LinkRefused) About() ledger.About {
	return ledger.About{Name: "watch.link-refused", Clause: notified}
}

// ButtonRefused is a button of Slack that acknowledges nothing.
type ButtonRefused struct {
	Cause string `class:"public"`
	User  string `class:"personal"` // Slack's id; empty where it is not known that it comes from Slack
}

// About implements ledger.Event.
func (e ButtonRefused) About() ledger.About {
	return ledger.About{Name: "watch.button-refused", Clause: notified}
}

// RulesFired are rules that were fired in a trial, through all of it, and left nothing.
type RulesFired struct {
	Rules  []string `class:"public"`
	Silent []string `class:"public"` // those that did not fire
}

// About implements ledger.Event.
func (e RulesFired) About() ledger.About {
	return ledger.About{Name: "watch.rules-fired", Clause: alarms}
}

// EventsDropped is what found no room and was counted by nothing of watch.
type EventsDropped struct {
	Source string `class:"public"`
	Count  int64  `class:"public"`
}

// About implements ledger.Event.
func (e EventsDropped) About() ledger.About {
	return ledger.About{Name: "watch.events-dropped", Clause: alarms, Object: "source/" + e.Source}
}

// FirstSeen is something that was never seen of a person before: a country, a network, an agent,
// an hour, a place (network and agent at once), two places too far apart (travel), or several
// people at one account (shared).
type FirstSeen struct {
	What   string `class:"public"`
	Staff  bool   `class:"public"`
	person string
}

// About implements ledger.Event.
func (e FirstSeen) About() ledger.About {
	return ledger.About{Name: "watch.first-seen", Clause: abnormal, Subject: keyring.Person(e.person)}
}

// BaselineAccepted is a person who said that what a series does now is the new normal.
type BaselineAccepted struct {
	Series string `class:"public"`
	reason string
}

// About implements ledger.Event.
func (e BaselineAccepted) About() ledger.About {
	return ledger.About{Name: "watch.baseline-accepted", Clause: abnormal, Reason: e.reason}
}

// GaugeSet is a meter of one's own that was declared, or changed.
type GaugeSet struct {
	Meter  string   `class:"public"`
	Kind   string   `class:"public"`
	Unit   string   `class:"public"`
	Every  string   `class:"public"`
	Bounds []string `class:"public"`
}

// About implements ledger.Event.
func (e GaugeSet) About() ledger.About {
	return ledger.About{Name: "watch.meter-set", Clause: alarms, Object: gaugeThing(e.Meter)}
}

// GaugeRemoved is one that is no more.
type GaugeRemoved struct {
	Meter string `class:"public"`
}

// About implements ledger.Event.
func (e GaugeRemoved) About() ledger.About {
	return ledger.About{Name: "watch.meter-removed", Clause: alarms, Object: gaugeThing(e.Meter)}
}

// SamplesRefused are pushed samples of which none was taken.
type SamplesRefused struct {
	Code    string `class:"public"`
	Samples int64  `class:"public"`
}

// About implements ledger.Event.
func (e SamplesRefused) About() ledger.About {
	return ledger.About{Name: "watch.samples-refused", Clause: alarms}
}

// RouteFailed is a route that answered 500 or above for the first time in 35 days.
type RouteFailed struct {
	Route  string `class:"public"` // the pattern
	Status int64  `class:"public"`
}

// About implements ledger.Event.
func (e RouteFailed) About() ledger.About {
	return ledger.About{Name: "watch.route-failed", Clause: load}
}
