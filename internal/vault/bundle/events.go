package bundle

import (
	"time"

	"writ/internal/ledger"
)

// BundleIssued is a bundle that was made. That its values were read is an entry before.
type BundleIssued struct {
	Bundle  string    `class:"public"`
	Machine string    `class:"public"` // fingerprint of its key
	Names   []string  `class:"public"` // name:version
	Ends    time.Time `class:"public"`
}

// About implements ledger.Event.
func (e BundleIssued) About() ledger.About {
	return ledger.About{Name: "vault.bundle-issued", Clause: "vault.access-logged", Object: "bundle/" + e.Bundle}
}

// BundleUsed is a bundle that a machine opened while the server was away, as it says.
type BundleUsed struct {
	Bundle string    `class:"public"`
	Path   string    `class:"public"`
	Count  int64     `class:"public"`
	Opened time.Time `class:"public"` // by the machine's clock
	Host   string    `class:"personal"`
}

// About implements ledger.Event.
func (e BundleUsed) About() ledger.About {
	return ledger.About{Name: "vault.bundle-used", Clause: "vault.access-logged", Object: "bundle/" + e.Bundle}
}

// BundleRevoked is a bundle that machines are told not to open any more.
type BundleRevoked struct {
	Bundle string `class:"public"`
}

// About implements ledger.Event.
func (e BundleRevoked) About() ledger.About {
	return ledger.About{Name: "vault.bundle-revoked", Clause: "vault.access-logged", Object: "bundle/" + e.Bundle}
}
