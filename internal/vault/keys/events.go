package keys

import (
	"time"

	"writ/internal/ledger"
)

// The clauses that these events are evidence for.
const (
	rotation = "crypto.key-rotation"
	erasure  = "data.crypto-erase"
)

// KEKRotated is a new key-encryption key, under which everything is sealed from now on.
type KEKRotated struct {
	Key     string `class:"public"`
	Version int64  `class:"public"`
	Former  string `class:"public"`
	Cause   string `class:"public"` // due, asked, exposed
	Users   int64  `class:"public"` // keys that are to be sealed anew
	Why     string `class:"personal"`
}

// About implements ledger.Event.
func (e KEKRotated) About() ledger.About {
	return ledger.About{Name: "vault.kek-rotated", Clause: rotation, Object: "key/" + e.Key}
}

// RewrapProgressed is how far the keys have moved under the newest one.
type RewrapProgressed struct {
	Key   string `class:"public"`
	Moved int64  `class:"public"` // in this round
	Left  int64  `class:"public"`
}

// About implements ledger.Event.
func (e RewrapProgressed) About() ledger.About {
	return ledger.About{Name: "vault.rewrap-progressed", Clause: rotation, Object: "key/" + e.Key}
}

// KEKRetired is a key-encryption key that nothing is sealed under any more.
type KEKRetired struct {
	Key     string    `class:"public"`
	Version int64     `class:"public"`
	Ends    time.Time `class:"public"` // when it is destroyed
}

// About implements ledger.Event.
func (e KEKRetired) About() ledger.About {
	return ledger.About{Name: "vault.kek-retired", Clause: rotation, Object: "key/" + e.Key}
}

// KEKDestroyed is a retired key whose last copy is gone.
type KEKDestroyed struct {
	Key     string `class:"public"`
	Version int64  `class:"public"`
}

// About implements ledger.Event.
func (e KEKDestroyed) About() ledger.About {
	return ledger.About{Name: "vault.kek-destroyed", Clause: rotation, Object: "key/" + e.Key}
}

// HoldAdded is a legal hold: its target is not destroyed while it lasts.
type HoldAdded struct {
	Hold   string `class:"public"`
	Target string `class:"personal"`
	Why    string `class:"personal"`
}

// About implements ledger.Event.
func (e HoldAdded) About() ledger.About {
	return ledger.About{Name: "vault.hold-added", Clause: erasure, Object: "hold/" + e.Hold}
}

// HoldEndAsked is the first of two people who want a hold to end.
type HoldEndAsked struct {
	Hold string `class:"public"`
}

// About implements ledger.Event.
func (e HoldEndAsked) About() ledger.About {
	return ledger.About{Name: "vault.hold-end-asked", Clause: erasure, Object: "hold/" + e.Hold}
}

// HoldEnded is a hold that two people ended.
type HoldEnded struct {
	Hold  string `class:"public"`
	Asked string `class:"public"` // kind/id of the first
}

// About implements ledger.Event.
func (e HoldEnded) About() ledger.About {
	return ledger.About{Name: "vault.hold-ended", Clause: erasure, Object: "hold/" + e.Hold}
}

// ShredAsked is somebody who wants a key destroyed.
type ShredAsked struct {
	Shred string `class:"public"`
	Kind  string `class:"public"`
	Need  int64  `class:"public"`
	Why   string `class:"personal"`
}

// About implements ledger.Event.
func (e ShredAsked) About() ledger.About {
	return ledger.About{Name: "vault.shred-asked", Clause: erasure, Object: "shred/" + e.Shred}
}

// ShredAgreed is another person who wants it.
type ShredAgreed struct {
	Shred string `class:"public"`
	Given int64  `class:"public"` // people now, with who asked
	Need  int64  `class:"public"`
}

// About implements ledger.Event.
func (e ShredAgreed) About() ledger.About {
	return ledger.About{Name: "vault.shred-agreed", Clause: erasure, Object: "shred/" + e.Shred}
}

// ShredRefused is an attempt that was turned down: by a hold, or because of who tried.
type ShredRefused struct {
	Shred string `class:"public"`
	Kind  string `class:"public"`
	Cause string `class:"public"`
}

// About implements ledger.Event.
func (e ShredRefused) About() ledger.About {
	a := ledger.About{Name: "vault.shred-refused", Clause: erasure}
	if e.Shred != "" {
		a.Object = "shred/" + e.Shred
	}
	return a
}

// ShredClosed is a request that came to nothing.
type ShredClosed struct {
	Shred string `class:"public"`
	State string `class:"public"` // refused, lapsed
}

// About implements ledger.Event.
func (e ShredClosed) About() ledger.About {
	return ledger.About{Name: "vault.shred-closed", Clause: erasure, Object: "shred/" + e.Shred}
}

// ShredIntended is the point of no return: enough people agreed.
type ShredIntended struct {
	Shred     string   `class:"public"`
	Kind      string   `class:"public"`
	Pseudonym string   `class:"public"`
	Keys      []string `class:"public"`
}

// About implements ledger.Event.
func (e ShredIntended) About() ledger.About {
	return ledger.About{Name: "vault.shred-intended", Clause: erasure, Object: "shred/" + e.Shred}
}

// ShredCertified is the end: the keys are gone, and Sum is the SHA-256 of the certificate.
type ShredCertified struct {
	Shred     string    `class:"public"`
	Kind      string    `class:"public"`
	Pseudonym string    `class:"public"`
	Keys      []string  `class:"public"`
	Rows      int64     `class:"public"`
	Sampled   int64     `class:"public"`
	Destroyed time.Time `class:"public"`
	Sum       string    `class:"public"`
}

// About implements ledger.Event.
func (e ShredCertified) About() ledger.About {
	return ledger.About{Name: "vault.erase-certified", Clause: erasure, Object: "shred/" + e.Shred}
}

// ErasuresRemembered are subjects whose keys are gone, noted beside the keys.
type ErasuresRemembered struct {
	Count int64    `class:"public"`
	Marks []string `class:"public"` // the first 200
}

// About implements ledger.Event.
func (e ErasuresRemembered) About() ledger.About {
	return ledger.About{Name: "vault.erasures-remembered", Clause: erasure}
}

// ErasuresReplayed are keys that an old copy of the database of keys had brought back.
type ErasuresReplayed struct {
	Count int64    `class:"public"`
	Marks []string `class:"public"` // the first 200
}

// About implements ledger.Event.
func (e ErasuresReplayed) About() ledger.About {
	return ledger.About{Name: "vault.erasures-replayed", Clause: erasure}
}
