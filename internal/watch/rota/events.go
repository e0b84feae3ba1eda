package rota

import (
	"time"

	"writ/internal/ledger"
)

const notified = "mon.notify"

// RotaSet is a rota that was made or changed.
type RotaSet struct {
	Rota   string   `class:"public"`
	People []string `class:"public"` // ids, in the order of their turns
	Zone   string   `class:"public"`
	Day    string   `class:"public"`
	At     string   `class:"public"`
}

// About implements ledger.Event.
func (e RotaSet) About() ledger.About {
	return ledger.About{Name: "watch.rota-set", Clause: notified, Object: object(e.Rota)}
}

// RotaRemoved is a rota that is no more.
type RotaRemoved struct {
	Rota string `class:"public"`
}

// About implements ledger.Event.
func (e RotaRemoved) About() ledger.About {
	return ledger.About{Name: "watch.rota-removed", Clause: notified, Object: object(e.Rota)}
}

// TurnBegun is somebody whose turn begins. Former is whose it was; empty where nobody's was.
type TurnBegun struct {
	Rota   string    `class:"public"`
	Person string    `class:"public"`
	Former string    `class:"public"`
	Until  time.Time `class:"public"`
}

// About implements ledger.Event.
func (e TurnBegun) About() ledger.About {
	return ledger.About{Name: "watch.turn-begun", Clause: notified, Object: object(e.Rota)}
}

// OverrideAsked is a turn that somebody may take over, once both agree.
type OverrideAsked struct {
	Override string    `class:"public"`
	Rota     string    `class:"public"`
	Of       string    `class:"public"`
	Taker    string    `class:"public"`
	From     time.Time `class:"public"`
	Until    time.Time `class:"public"`
	Swap     bool      `class:"public"` // another turn is taken in return
}

// About implements ledger.Event.
func (e OverrideAsked) About() ledger.About {
	return ledger.About{Name: "watch.override-asked", Clause: notified, Object: override(e.Override)}
}

// OverrideAgreed is the consent of one of the two. Stands: the other had agreed before.
type OverrideAgreed struct {
	Override string `class:"public"`
	Stands   bool   `class:"public"`
}

// About implements ledger.Event.
func (e OverrideAgreed) About() ledger.About {
	return ledger.About{Name: "watch.override-agreed", Clause: notified, Object: override(e.Override)}
}

// OverrideDeclined is one that will not be.
type OverrideDeclined struct {
	Override string `class:"public"`
}

// About implements ledger.Event.
func (e OverrideDeclined) About() ledger.About {
	return ledger.About{Name: "watch.override-declined", Clause: notified, Object: override(e.Override)}
}

// OverrideRefused is a word about an override by somebody whose word it is not.
type OverrideRefused struct {
	Override string `class:"public"`
	Code     string `class:"public"`
}

// About implements ledger.Event.
func (e OverrideRefused) About() ledger.About {
	return ledger.About{Name: "watch.override-refused", Clause: notified, Object: override(e.Override)}
}

func object(rota string) string { return "rota/" + rota }

func override(id string) string { return "override/" + id }
