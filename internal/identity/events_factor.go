package identity

import (
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

// FactorAsked is a right password after which a second factor is asked for.
type FactorAsked struct {
	Person  string   `class:"public"`
	Need    int      `class:"public"`
	By      []string `class:"public"` // who asks for it: policy, team, own
	Network string   `class:"personal"`
}

// About implements ledger.Event.
func (e FactorAsked) About() ledger.About {
	return ledger.About{Name: "identity.factor-asked", Clause: "access.mfa-by-technology", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// FactorRefused is a second factor that was not right, or came out of order.
type FactorRefused struct {
	Person  string `class:"public"`
	Kind    string `class:"public"`
	Cause   string `class:"public"` // wrong, used, locked, order
	Network string `class:"personal"`
}

// About implements ledger.Event.
func (e FactorRefused) About() ledger.About {
	a := ledger.About{Name: "identity.factor-refused", Clause: "access.mfa-by-technology"}
	if e.Person != "" {
		a.Object, a.Subject = "person/"+e.Person, keyring.Person(e.Person)
	}
	return a
}

// FactorBegun is a factor that waits for its first right code.
type FactorBegun struct {
	Person string `class:"public"`
	Factor string `class:"public"`
	Kind   string `class:"public"`
}

// About implements ledger.Event.
func (e FactorBegun) About() ledger.About {
	return ledger.About{Name: "identity.factor-begun", Clause: "access.mfa-by-technology", Object: "factor/" + e.Factor, Subject: keyring.Person(e.Person)}
}

// FactorAdded is a factor that works from now on. The session has a new token.
type FactorAdded struct {
	Person  string `class:"public"`
	Factor  string `class:"public"`
	Kind    string `class:"public"`
	First   bool   `class:"public"`
	Session string `class:"public"`
}

// About implements ledger.Event.
func (e FactorAdded) About() ledger.About {
	return ledger.About{Name: "identity.factor-added", Clause: "access.mfa-by-technology", Object: "factor/" + e.Factor, Subject: keyring.Person(e.Person)}
}

// FactorRemoved is a factor that is gone.
type FactorRemoved struct {
	Person string `class:"public"`
	Factor string `class:"public"`
	Kind   string `class:"public"`
	Cause  string `class:"public"` // removed, reset
}

// About implements ledger.Event.
func (e FactorRemoved) About() ledger.About {
	return ledger.About{Name: "identity.factor-removed", Clause: "access.mfa-by-technology", Object: "factor/" + e.Factor, Subject: keyring.Person(e.Person)}
}

// FactorLocked is a factor that had a hundred wrong codes without a right one.
type FactorLocked struct {
	Person string `class:"public"`
	Kind   string `class:"public"`
}

// About implements ledger.Event.
func (e FactorLocked) About() ledger.About {
	return ledger.About{Name: "identity.factor-locked", Clause: "auth.best-practice", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// RecoveryCodesMade is a new set of recovery codes; the former ones are dead.
type RecoveryCodesMade struct {
	Person string `class:"public"`
	Count  int    `class:"public"`
}

// About implements ledger.Event.
func (e RecoveryCodesMade) About() ledger.About {
	return ledger.About{Name: "identity.recovery-codes-made", Clause: "auth.best-practice", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// RecoveryCodeUsed is a recovery code that is spent.
type RecoveryCodeUsed struct {
	Person string `class:"public"`
	Left   int64  `class:"public"`
}

// About implements ledger.Event.
func (e RecoveryCodeUsed) About() ledger.About {
	return ledger.About{Name: "identity.recovery-code-used", Clause: "auth.best-practice", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// GraceBegun is the one time without a second factor that a person gets.
type GraceBegun struct {
	Person string    `class:"public"`
	Until  time.Time `class:"public"`
}

// About implements ledger.Event.
func (e GraceBegun) About() ledger.About {
	return ledger.About{Name: "identity.grace-begun", Clause: "access.mfa-by-technology", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// SteppedUp is a session in which a factor was shown anew. It has a new token.
type SteppedUp struct {
	Person  string `class:"public"`
	Session string `class:"public"`
	Kind    string `class:"public"`
	ACR     int    `class:"public"`
}

// About implements ledger.Event.
func (e SteppedUp) About() ledger.About {
	return ledger.About{Name: "identity.stepped-up", Clause: "auth.best-practice", Object: "session/" + e.Session, Subject: keyring.Person(e.Person)}
}

// BrowserRemembered skips the second factor of its person until a time.
type BrowserRemembered struct {
	Person string    `class:"public"`
	Device string    `class:"public"`
	Until  time.Time `class:"public"`
}

// About implements ledger.Event.
func (e BrowserRemembered) About() ledger.About {
	return ledger.About{Name: "identity.browser-remembered", Clause: "auth.best-practice", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// BrowserDistrusted is a browser that is asked for the second factor again, or all of them.
type BrowserDistrusted struct {
	Person string `class:"public"`
	Device string `class:"public"` // empty: all
	Count  int64  `class:"public"`
	reason string // of staff
}

// About implements ledger.Event.
func (e BrowserDistrusted) About() ledger.About {
	return ledger.About{Name: "identity.browser-distrusted", Clause: "auth.best-practice", Object: "person/" + e.Person, Subject: keyring.Person(e.Person), Reason: e.reason}
}

// ResetStaged is a new password that counts once the second factor was shown.
type ResetStaged struct {
	Person string `class:"public"`
	Link   string `class:"public"`
	Kind   string `class:"public"`
}

// About implements ledger.Event.
func (e ResetStaged) About() ledger.About {
	return ledger.About{Name: "identity.reset-staged", Clause: "auth.reset-sets-new", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// FactorResetAsked is somebody's word that a person has lost every factor. Another must agree.
type FactorResetAsked struct {
	Person string `class:"public"`
	Reset  string `class:"public"`
	Why    string `class:"personal"`
}

// About implements ledger.Event.
func (e FactorResetAsked) About() ledger.About {
	return ledger.About{Name: "identity.factor-reset-asked", Clause: "access.mfa-by-technology", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// FactorResetEnded is a request that was withdrawn, or that the person's own factor answered.
type FactorResetEnded struct {
	Person string `class:"public"`
	Reset  string `class:"public"`
	Cause  string `class:"public"` // withdrawn, factor-shown
}

// About implements ledger.Event.
func (e FactorResetEnded) About() ledger.About {
	return ledger.About{Name: "identity.factor-reset-ended", Clause: "access.mfa-by-technology", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// FactorsRemoved took every factor of a person away: two agreed, or the time passed.
type FactorsRemoved struct {
	Person   string `class:"public"`
	Reset    string `class:"public"`
	By       string `class:"public"` // agreed, waited
	Factors  int64  `class:"public"`
	Sessions int64  `class:"public"`
}

// About implements ledger.Event.
func (e FactorsRemoved) About() ledger.About {
	return ledger.About{Name: "identity.factors-removed", Clause: "access.mfa-by-technology", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}
