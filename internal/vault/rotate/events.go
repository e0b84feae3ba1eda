package rotate

import "writ/internal/ledger"

// rotation is the clause that these events are evidence for.
const rotation = "crypto.key-rotation"

// RotationAdded is a value that is replaced by itself from now on.
type RotationAdded struct {
	Rotation string `class:"public"`
	Name     string `class:"public"`
	Kind     string `class:"public"`
	Days     int64  `class:"public"` // 0 = as said about the name, or by the policy
	Grace    int64  `class:"public"` // hours
}

// About implements ledger.Event.
func (e RotationAdded) About() ledger.About {
	return ledger.About{Name: "vault.rotation-added", Clause: rotation, Object: "rotation/" + e.Rotation}
}

// RotationEnded is a value that is replaced by hand again.
type RotationEnded struct {
	Rotation string `class:"public"`
	Name     string `class:"public"`
	State    string `class:"public"` // how far it was
	Open     string `class:"public"` // role or key that it would have ended, and did not
}

// About implements ledger.Event.
func (e RotationEnded) About() ledger.About {
	return ledger.About{Name: "vault.rotation-ended", Clause: rotation, Object: "rotation/" + e.Rotation}
}

// RotationAsked is somebody who wants a value replaced before it is due.
type RotationAsked struct {
	Rotation string `class:"public"`
	Name     string `class:"public"`
	Cause    string `class:"public"` // asked, exposed, left
}

// About implements ledger.Event.
func (e RotationAsked) About() ledger.About {
	return ledger.About{Name: "vault.rotation-asked", Clause: rotation, Object: "rotation/" + e.Rotation}
}

// SecretRotated is one step of replacing a value that was done.
type SecretRotated struct {
	Rotation string `class:"public"`
	Name     string `class:"public"`
	Slot     string `class:"public"` // a or b
	Step     string `class:"public"` // planned, created, tested, stored, promoted, revoked, verified, put-back, given-up
	Cause    string `class:"public"` // due, asked, exposed, left
	Fresh    string `class:"public"` // role or access key
	Old      string `class:"public"`
	Version  int64  `class:"public"`
}

// About implements ledger.Event.
func (e SecretRotated) About() ledger.About {
	return ledger.About{Name: "vault.secret-rotated", Clause: rotation, Object: "rotation/" + e.Rotation}
}

// RotationFailed is a step that was not done. The former value is in use still.
type RotationFailed struct {
	Rotation string `class:"public"`
	Name     string `class:"public"`
	State    string `class:"public"` // the step before
	Code     string `class:"public"`
}

// About implements ledger.Event.
func (e RotationFailed) About() ledger.About {
	return ledger.About{Name: "vault.rotation-failed", Clause: rotation, Object: "rotation/" + e.Rotation}
}
