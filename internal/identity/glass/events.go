package glass

import (
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

const least = "access.least-privilege"

// Prepared is a new set of shares, which waits for its holders.
type Prepared struct {
	Set     string   `class:"public"`
	Number  int64    `class:"public"`
	Need    int64    `class:"public"`
	Of      int64    `class:"public"`
	Holders []string `class:"public"`
}

// About implements ledger.Event.
func (e Prepared) About() ledger.About {
	return ledger.About{Name: "identity.breakglass-prepared", Clause: least, Object: "break-glass-set/" + e.Set}
}

// SharePickedUp is a share that its holder was shown, once.
type SharePickedUp struct {
	Set    string `class:"public"`
	Place  int64  `class:"public"`
	Holder string `class:"public"`
}

// About implements ledger.Event.
func (e SharePickedUp) About() ledger.About {
	return ledger.About{Name: "identity.breakglass-share-picked-up", Clause: least, Object: "break-glass-set/" + e.Set, Subject: keyring.Person(e.Holder)}
}

// SetBegun is a set that is live from now on.
type SetBegun struct {
	Set    string `class:"public"`
	Former string `class:"public"` // the set that it replaces; may be empty
}

// About implements ledger.Event.
func (e SetBegun) About() ledger.About {
	return ledger.About{Name: "identity.breakglass-set-begun", Clause: least, Object: "break-glass-set/" + e.Set}
}

// SetEnded is a set whose shares open nothing any more.
type SetEnded struct {
	Set   string `class:"public"`
	Cause string `class:"public"`
}

// About implements ledger.Event.
func (e SetEnded) About() ledger.About {
	return ledger.About{Name: "identity.breakglass-set-ended", Clause: least, Object: "break-glass-set/" + e.Set}
}

// SetWorn is a set that should be renewed.
type SetWorn struct {
	Set    string `class:"public"`
	Cause  string `class:"public"` // holder-left
	Holder string `class:"public"`
}

// About implements ledger.Event.
func (e SetWorn) About() ledger.About {
	return ledger.About{Name: "identity.breakglass-set-worn", Clause: least, Object: "break-glass-set/" + e.Set, Subject: keyring.Person(e.Holder)}
}

// Asked is an opening or a drill that a first holder began.
type Asked struct {
	Use     string `class:"public"`
	Set     string `class:"public"`
	Kind    string `class:"public"` // open, drill
	Holder  string `class:"public"`
	Need    int64  `class:"public"`
	Letters int64  `class:"public"`

	reason string
}

// About implements ledger.Event.
func (e Asked) About() ledger.About {
	return ledger.About{Name: "identity.breakglass-asked", Clause: least, Object: thing(e.Use), Subject: keyring.Person(e.Holder), Reason: e.reason}
}

// ShareGiven is a holder who joined with a right share.
type ShareGiven struct {
	Use    string `class:"public"`
	Set    string `class:"public"`
	Place  int64  `class:"public"`
	Holder string `class:"public"`
}

// About implements ledger.Event.
func (e ShareGiven) About() ledger.About {
	return ledger.About{Name: "identity.breakglass-share-given", Clause: least, Object: thing(e.Use), Subject: keyring.Person(e.Holder)}
}

// ShareRefused is a share that counted for nothing.
type ShareRefused struct {
	Cause   string `class:"public"` // text, unknown, set, holder, twice, opening, hand-over, combine
	Set     string `class:"public"` // where the share is of one
	Use     string `class:"public"` // where there is one
	Network string `class:"personal"`
}

// About implements ledger.Event.
func (e ShareRefused) About() ledger.About {
	a := ledger.About{Name: "identity.breakglass-share-refused", Clause: least}
	if e.Use != "" {
		a.Object = thing(e.Use)
	}
	return a
}

// Granted is the yes of enough holders. The session opens after it, with the hand-over.
type Granted struct {
	Use     string   `class:"public"`
	Set     string   `class:"public"`
	Need    int64    `class:"public"`
	Holders []string `class:"public"`
	Letters int64    `class:"public"`
}

// About implements ledger.Event.
func (e Granted) About() ledger.About {
	return ledger.About{Name: "identity.breakglass-granted", Clause: least, Object: thing(e.Use)}
}

// Drilled is a practice in which enough shares were given.
type Drilled struct {
	Use     string   `class:"public"`
	Set     string   `class:"public"`
	Need    int64    `class:"public"`
	Holders []string `class:"public"`
}

// About implements ledger.Event.
func (e Drilled) About() ledger.About {
	return ledger.About{Name: "identity.breakglass-drilled", Clause: least, Object: thing(e.Use)}
}

// Used is the beginning of the session.
type Used struct {
	Use     string    `class:"public"`
	Ends    time.Time `class:"public"`
	Network string    `class:"personal"`
}

// About implements ledger.Event.
func (e Used) About() ledger.About {
	return ledger.About{Name: "identity.breakglass-used", Clause: least, Object: thing(e.Use)}
}

// Ended is the end of an opening: of its session, or before it had one.
type Ended struct {
	Use     string        `class:"public"`
	Cause   string        `class:"public"`
	Lasted  time.Duration `class:"public"` // of the session; 0 = there was none
	Letters int64         `class:"public"`
}

// About implements ledger.Event.
func (e Ended) About() ledger.About {
	return ledger.About{Name: "identity.breakglass-ended", Clause: least, Object: thing(e.Use)}
}

// CanarySetPlanted is a set of shares that a control put there.
type CanarySetPlanted struct {
	Control string `class:"public"`
	Set     string `class:"public"`
}

// About implements ledger.Event.
func (e CanarySetPlanted) About() ledger.About {
	return ledger.About{Name: "identity.canary-glass-planted", Object: "break-glass-set/" + e.Set}
}

// CanarySetSwept is its end.
type CanarySetSwept struct {
	Control string `class:"public"`
	Set     string `class:"public"`
}

// About implements ledger.Event.
func (e CanarySetSwept) About() ledger.About {
	return ledger.About{Name: "identity.canary-glass-swept", Object: "break-glass-set/" + e.Set}
}
