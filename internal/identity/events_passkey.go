package identity

import (
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// PasskeyRenamed is a passkey that its owner calls otherwise now.
type PasskeyRenamed struct {
	Person string `class:"public"`
	Factor string `class:"public"`
}

// About implements ledger.Event.
func (e PasskeyRenamed) About() ledger.About {
	return ledger.About{Name: "identity.passkey-renamed", Clause: "auth.unique-credentials", Object: "factor/" + e.Factor, Subject: keyring.Person(e.Person)}
}

// PasskeyCloneSeen is a passkey whose count went back: there seem to be two of it. The
// proof was refused.
type PasskeyCloneSeen struct {
	Person string `class:"public"`
	Factor string `class:"public"`
}

// About implements ledger.Event.
func (e PasskeyCloneSeen) About() ledger.About {
	return ledger.About{Name: "identity.passkey-clone-seen", Clause: "auth.best-practice", Object: "factor/" + e.Factor, Subject: keyring.Person(e.Person)}
}
