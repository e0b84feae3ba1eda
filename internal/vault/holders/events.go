package holders

import (
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

const sole = "people.no-sole-holder"

func set(id string) string { return "vault-set/" + id }

// person is whose entry it is too; nobody where the holder is not known.
func person(id string) keyring.Subject {
	if id == "" {
		return keyring.Subject{}
	}
	return keyring.Person(id)
}

// SealAsked is somebody who sealed the vault.
type SealAsked struct {
	Set    string `class:"public"`
	reason string
}

// About implements ledger.Event.
func (e SealAsked) About() ledger.About {
	return ledger.About{Name: "vault.seal-asked", Clause: sole, Object: set(e.Set), Reason: e.reason}
}

// Appointed are people who were asked to hold a share.
type Appointed struct {
	Holders []string `class:"public"`
}

// About implements ledger.Event.
func (Appointed) About() ledger.About {
	return ledger.About{Name: "vault.holders-appointed", Clause: sole}
}

// Enrolled is a holder's key.
type Enrolled struct {
	Holder string `class:"public"`
	Kind   string `class:"public"` // file, passkey
	Key    string `class:"public"` // its id
}

// About implements ledger.Event.
func (e Enrolled) About() ledger.About {
	return ledger.About{Name: "vault.holder-enrolled", Clause: sole, Object: "vault-holder/" + e.Key, Subject: person(e.Holder)}
}

// HolderEnded is somebody who holds a share no longer, or will not; new shares are due.
type HolderEnded struct {
	Holder string `class:"public"`
	Cause  string `class:"public"` // removed, left
	Left   int64  `class:"public"` // how many have a key still
}

// About implements ledger.Event.
func (e HolderEnded) About() ledger.About {
	return ledger.About{Name: "vault.holder-ended", Clause: sole, Subject: person(e.Holder)}
}

// RemovalRefused is a holder without whom too few would remain.
type RemovalRefused struct {
	Holder string `class:"public"`
}

// About implements ledger.Event.
func (e RemovalRefused) About() ledger.About {
	return ledger.About{Name: "vault.holder-removal-refused", Clause: sole, Subject: person(e.Holder)}
}

// SetPrepared is a set of shares that is about to be put in use.
type SetPrepared struct {
	Set     string   `class:"public"`
	Need    int64    `class:"public"`
	Of      int64    `class:"public"`
	Rekey   bool     `class:"public"` // of a new root key
	Holders []string `class:"public"`
}

// About implements ledger.Event.
func (e SetPrepared) About() ledger.About {
	return ledger.About{Name: "vault.shares-prepared", Clause: sole, Object: set(e.Set)}
}

// SetBegun is a set that is in use; the former one opens nothing.
type SetBegun struct {
	Set    string `class:"public"`
	Former string `class:"public"`
}

// About implements ledger.Event.
func (e SetBegun) About() ledger.About {
	return ledger.About{Name: "vault.shares-begun", Clause: sole, Object: set(e.Set)}
}

// SetAbandoned is a set that was prepared and never in use.
type SetAbandoned struct {
	Set string `class:"public"`
}

// About implements ledger.Event.
func (e SetAbandoned) About() ledger.About {
	return ledger.About{Name: "vault.shares-abandoned", Clause: sole, Object: set(e.Set)}
}

// DrillBegun is a drill that an owner called for.
type DrillBegun struct {
	Set string `class:"public"`
}

// About implements ledger.Event.
func (e DrillBegun) About() ledger.About {
	return ledger.About{Name: "vault.drill-begun", Clause: sole, Object: set(e.Set)}
}

// DrillDone is a drill in which the shares made the root key.
type DrillDone struct {
	Set string `class:"public"`
}

// About implements ledger.Event.
func (e DrillDone) About() ledger.About {
	return ledger.About{Name: "vault.drill-done", Clause: sole, Object: set(e.Set)}
}

// FileDropped is root.key, removed from the folder.
type FileDropped struct {
	Set string `class:"public"` // by whose shares the vault opens
}

// About implements ledger.Event.
func (e FileDropped) About() ledger.About {
	return ledger.About{Name: "vault.root-file-dropped", Clause: sole, Object: set(e.Set)}
}

// FileKept is root.key, which is needed still.
type FileKept struct {
}

// About implements ledger.Event.
func (FileKept) About() ledger.About {
	return ledger.About{Name: "vault.root-file-kept", Clause: sole}
}

// SealRefused is a sealing after which nobody could open the vault, or other servers would
// go on.
type SealRefused struct {
}

// About implements ledger.Event.
func (SealRefused) About() ledger.About {
	return ledger.About{Name: "vault.seal-refused", Clause: sole}
}

// Sealed is a server that waits for the holders.
type Sealed struct {
	Cause    string    `class:"public"` // start
	Happened time.Time `class:"public"`
}

// About implements ledger.Event.
func (Sealed) About() ledger.About {
	return ledger.About{Name: "vault.sealed", Clause: sole}
}

// Unsealed is a server that the holders opened.
type Unsealed struct {
	Set      string    `class:"public"`
	Happened time.Time `class:"public"`
}

// About implements ledger.Event.
func (e Unsealed) About() ledger.About {
	return ledger.About{Name: "vault.unsealed", Clause: sole, Object: set(e.Set)}
}

// AutoUnsealed is a server that opened by itself.
type AutoUnsealed struct {
	Provider string    `class:"public"` // file, key-file, credential, environment, kms
	Happened time.Time `class:"public"`
}

// About implements ledger.Event.
func (AutoUnsealed) About() ledger.About {
	return ledger.About{Name: "vault.auto-unsealed", Clause: sole}
}

// ShareGiven is a share that counts.
type ShareGiven struct {
	Act      string    `class:"public"` // open, drill
	Set      string    `class:"public"`
	Holder   string    `class:"public"`
	Key      string    `class:"public"`
	Given    int64     `class:"public"`
	Need     int64     `class:"public"`
	Happened time.Time `class:"public"`
}

// About implements ledger.Event.
func (e ShareGiven) About() ledger.About {
	return ledger.About{Name: "vault.share-given", Clause: sole, Object: set(e.Set), Subject: person(e.Holder)}
}

// ShareRefused is a share that counts for nothing.
type ShareRefused struct {
	Act      string    `class:"public"` // open, drill
	Set      string    `class:"public"`
	Holder   string    `class:"public"` // who it was said to be of; empty = nobody
	Key      string    `class:"public"`
	Cause    string    `class:"public"` // set, holder, twice, proof, share, combine
	Happened time.Time `class:"public"`
}

// About implements ledger.Event.
func (e ShareRefused) About() ledger.About {
	return ledger.About{Name: "vault.share-refused", Clause: sole, Object: set(e.Set)}
}

// SharesDropped are shares that were given and not completed in time.
type SharesDropped struct {
	Act      string    `class:"public"` // open, drill
	Set      string    `class:"public"`
	Given    int64     `class:"public"`
	Happened time.Time `class:"public"`
}

// About implements ledger.Event.
func (e SharesDropped) About() ledger.About {
	return ledger.About{Name: "vault.shares-dropped", Clause: sole, Object: set(e.Set)}
}

// LogBroken is a list of boot.json whose lines do not follow from one another: somebody changed it.
type LogBroken struct {
	Lines int64 `class:"public"`
}

// About implements ledger.Event.
func (LogBroken) About() ledger.About {
	return ledger.About{Name: "vault.seal-log-altered", Clause: sole}
}

// LinesLost counts what found no room in boot.json.
type LinesLost struct {
	Count int64 `class:"public"`
}

// About implements ledger.Event.
func (LinesLost) About() ledger.About {
	return ledger.About{Name: "vault.seal-lines-lost", Clause: sole}
}

// CanaryHoldersPlanted are holders of a control's own.
type CanaryHoldersPlanted struct {
	Control string `class:"public"`
}

// About implements ledger.Event.
func (CanaryHoldersPlanted) About() ledger.About {
	return ledger.About{Name: "vault.canary-holders-planted", Clause: sole}
}

// CanaryHoldersSwept are those, removed again.
type CanaryHoldersSwept struct {
	Control string `class:"public"`
}

// About implements ledger.Event.
func (CanaryHoldersSwept) About() ledger.About {
	return ledger.About{Name: "vault.canary-holders-swept", Clause: sole}
}
