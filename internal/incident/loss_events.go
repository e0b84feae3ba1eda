package incident

import (
	"time"

	"writ/internal/ledger"
)

// LossBegun is lost data that is known as such: backups are held.
type LossBegun struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Points   int64  `class:"public"` // to which the data can be brought back
	Onsets   int64  `class:"public"` // at which it may have been damaged
}

// About implements ledger.Event.
func (e LossBegun) About() ledger.About {
	return ledger.About{Name: "incident.loss-begun", Clause: "inc.loss-restore", Object: thing(e.Incident)}
}

// TakenDown is an application that gets no request any more.
type TakenDown struct {
	Incident string    `class:"public"`
	Round    int64     `class:"public"`
	Down     time.Time `class:"public"`
}

// About implements ledger.Event.
func (e TakenDown) About() ledger.About {
	return ledger.About{Name: "incident.application-taken-down", Clause: "inc.loss-maintenance", Object: thing(e.Incident)}
}

// FrozenCertified is the proof that nothing is written, by its hash.
type FrozenCertified struct {
	Incident string    `class:"public"`
	Round    int64     `class:"public"`
	Down     time.Time `class:"public"`
	First    time.Time `class:"public"` // of the two looks
	Hash     string    `class:"public"`
}

// About implements ledger.Event.
func (e FrozenCertified) About() ledger.About {
	return ledger.About{Name: "incident.frozen-certified", Clause: "inc.loss-freeze", Object: thing(e.Incident)}
}

// DamageKept is a copy of the damaged state.
type DamageKept struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Hash     string `class:"public"`
}

// About implements ledger.Event.
func (e DamageKept) About() ledger.About {
	return ledger.About{Name: "incident.damage-kept", Clause: "inc.loss-restore", Object: thing(e.Incident)}
}

// OnsetSet is another estimate of when it began; the old one stays in the record.
type OnsetSet struct {
	Incident string    `class:"public"`
	Round    int64     `class:"public"`
	From     time.Time `class:"public"`
	To       time.Time `class:"public"`
}

// About implements ledger.Event.
func (e OnsetSet) About() ledger.About {
	return ledger.About{Name: "incident.onset-set", Clause: "inc.loss-restore", Object: thing(e.Incident)}
}

// OnsetsFound is what may have damaged the data, as the record tells.
type OnsetsFound struct {
	Incident string   `class:"public"`
	Round    int64    `class:"public"`
	Count    int64    `class:"public"`
	Kinds    []string `class:"public"`
	Hash     string   `class:"public"` // of all of them
	Audits   []string `class:"public"` // files that were read
}

// About implements ledger.Event.
func (e OnsetsFound) About() ledger.About {
	return ledger.About{Name: "incident.onsets-found", Clause: "inc.loss-restore", Object: thing(e.Incident)}
}

// PlanMade is what two people are to sign. What was signed of the former one is void.
type PlanMade struct {
	Incident string    `class:"public"`
	Round    int64     `class:"public"`
	Hash     string    `class:"public"`
	Former   string    `class:"public"`
	Rule     string    `class:"public"`
	Point    string    `class:"public"`
	At       time.Time `class:"public"`
	Rows     int64     `class:"public"`
	Lost     int64     `class:"public"`
	Seconds  int64     `class:"public"`
	ByHand   bool      `class:"public"`
}

// About implements ledger.Event.
func (e PlanMade) About() ledger.About {
	return ledger.About{Name: "incident.plan-made", Clause: "inc.loss-restore", Object: thing(e.Incident)}
}

// PlanRefused is a plan that would have overwritten the database of this record.
type PlanRefused struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Target   string `class:"public"`
}

// About implements ledger.Event.
func (e PlanRefused) About() ledger.About {
	return ledger.About{Name: "incident.plan-refused", Clause: "inc.loss-restore", Object: thing(e.Incident)}
}

// DataRestored is a restore that has reached what its plan says.
type DataRestored struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Plan     string `class:"public"`
	Position string `class:"public"`
}

// About implements ledger.Event.
func (e DataRestored) About() ledger.About {
	return ledger.About{Name: "incident.data-restored", Clause: "inc.loss-restore", Object: thing(e.Incident)}
}

// OpenedAgain is an application that lets people in again; down and lost are seconds, once it
// lets everybody in.
type OpenedAgain struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Share    int64  `class:"public"`
	Down     int64  `class:"public"`
	Lost     int64  `class:"public"`
}

// About implements ledger.Event.
func (e OpenedAgain) About() ledger.About {
	return ledger.About{Name: "incident.application-opened", Clause: "inc.loss-reopen", Object: thing(e.Incident)}
}

// LossListed is the list of what a team lost, by its hash.
type LossListed struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Team     string `class:"public"`
	Writes   int64  `class:"public"`
	Hash     string `class:"public"`
	Letters  int64  `class:"public"`
}

// About implements ledger.Event.
func (e LossListed) About() ledger.About {
	return ledger.About{Name: "incident.loss-made-known", Clause: "inc.loss-restore", Object: thing(e.Incident)}
}

// LossRead is somebody who read such a list.
type LossRead struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Team     string `class:"public"`
}

// About implements ledger.Event.
func (e LossRead) About() ledger.About {
	return ledger.About{Name: "incident.loss-read", Clause: "inc.loss-restore", Object: thing(e.Incident)}
}

// HandRecorded is something people did by hand; its words are sealed in the table.
type HandRecorded struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Guard    string `class:"public"`
	Record   string `class:"public"`
	Hash     string `class:"public"`
	Person   string `class:"personal"`
}

// About implements ledger.Event.
func (e HandRecorded) About() ledger.About {
	return ledger.About{Name: "incident.hand-recorded", Clause: "inc.loss-restore", Object: thing(e.Incident), Subject: subject(e.Incident)}
}

// HandSigned is a second person's word that it is so.
type HandSigned struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Guard    string `class:"public"`
	Record   string `class:"public"`
	Hash     string `class:"public"`
	Person   string `class:"personal"`
}

// About implements ledger.Event.
func (e HandSigned) About() ledger.About {
	return ledger.About{Name: "incident.hand-signed", Clause: "inc.loss-restore", Object: thing(e.Incident), Subject: subject(e.Incident)}
}
