package vault

import (
	"time"

	"writ/internal/ledger"
	"writ/internal/secret"
)

// ParamPut is a new version of a parameter. Of the value there is a commitment only.
type ParamPut struct {
	Param   string      `class:"public"`
	Name    string      `class:"public"`
	Version int64       `class:"public"`
	Type    string      `class:"public"`
	Tier    string      `class:"public"`
	Key     string      `class:"public"`
	Value   secret.Text `class:"secret"`
}

// About implements ledger.Event.
func (e ParamPut) About() ledger.About {
	return ledger.About{Name: "vault.param-put", Clause: "vault.encrypted-store", Object: "param/" + e.Param}
}

// ParamRolledBack is a new version with the value of an earlier one.
type ParamRolledBack struct {
	Param   string      `class:"public"`
	Name    string      `class:"public"`
	From    int64       `class:"public"`
	Version int64       `class:"public"`
	Value   secret.Text `class:"secret"`
}

// About implements ledger.Event.
func (e ParamRolledBack) About() ledger.About {
	return ledger.About{Name: "vault.param-rolled-back", Clause: "vault.encrypted-store", Object: "param/" + e.Param}
}

// ParamsRead are values that somebody was given, in one call.
type ParamsRead struct {
	Param     string   `class:"public"` // when it was one
	Names     []string `class:"public"` // name:version of each
	Count     int64    `class:"public"`
	Decrypted bool     `class:"public"`
	Via       string   `class:"public"`
	AccessKey string   `class:"public"`
	Why       string   `class:"personal"`
}

// About implements ledger.Event.
func (e ParamsRead) About() ledger.About {
	a := ledger.About{Name: "vault.param-read", Clause: "vault.access-logged"}
	if e.Param != "" {
		a.Object = "param/" + e.Param
	}
	return a
}

// ParamPlanted is a parameter that nobody should read from now on, or one whose mark was taken away.
type ParamPlanted struct {
	Param   string `class:"public"`
	Name    string `class:"public"`
	Removed bool   `class:"public"`
}

// About implements ledger.Event.
func (e ParamPlanted) About() ledger.About {
	return ledger.About{Name: "vault.param-planted", Clause: "vault.access-logged", Object: "param/" + e.Param}
}

// PlantedRead is a read of a parameter that nobody should read, beside the entry of the read itself.
type PlantedRead struct {
	Param     string `class:"public"`
	Name      string `class:"public"`
	Via       string `class:"public"`
	AccessKey string `class:"public"`
}

// About implements ledger.Event.
func (e PlantedRead) About() ledger.About {
	return ledger.About{Name: "vault.planted-read", Clause: "vault.access-logged", Object: "param/" + e.Param}
}

// ParamDeleted is a parameter that is gone, with all its versions.
type ParamDeleted struct {
	Param   string `class:"public"`
	Name    string `class:"public"`
	Version int64  `class:"public"` // the newest it had
	Cause   string `class:"public"` // asked, expired
}

// About implements ledger.Event.
func (e ParamDeleted) About() ledger.About {
	return ledger.About{Name: "vault.param-deleted", Clause: "vault.encrypted-store", Object: "param/" + e.Param}
}

// ParamLabelled are labels that were pointed at a version, or taken from it.
type ParamLabelled struct {
	Param   string   `class:"public"`
	Name    string   `class:"public"`
	Version int64    `class:"public"`
	Labels  []string `class:"public"`
	Removed bool     `class:"public"`
}

// About implements ledger.Event.
func (e ParamLabelled) About() ledger.About {
	return ledger.About{Name: "vault.param-labelled", Clause: "vault.encrypted-store", Object: "param/" + e.Param}
}

// ParamTagged are tags that were set or removed, by name.
type ParamTagged struct {
	Param   string   `class:"public"`
	Name    string   `class:"public"`
	Tags    []string `class:"public"`
	Removed bool     `class:"public"`
}

// About implements ledger.Event.
func (e ParamTagged) About() ledger.About {
	return ledger.About{Name: "vault.param-tagged", Clause: "vault.encrypted-store", Object: "param/" + e.Param}
}

// ReadRefused is a name that a key does not reach, or a key that is not good.
type ReadRefused struct {
	Name string `class:"public"`
	Code string `class:"public"`
	Key  string `class:"public"`
}

// About implements ledger.Event.
func (e ReadRefused) About() ledger.About {
	return ledger.About{Name: "vault.read-refused", Clause: "vault.access-logged"}
}

// ReadsRefused counts refusals of one network and minute beyond those that are entries of
// their own.
type ReadsRefused struct {
	Code  string `class:"public"`
	Count int64  `class:"public"`
}

// About implements ledger.Event.
func (e ReadsRefused) About() ledger.About {
	return ledger.About{Name: "vault.reads-refused", Clause: "vault.access-logged"}
}

// KeyIssued is an access key that was made and shown once.
type KeyIssued struct {
	Key   string      `class:"public"`
	Owner string      `class:"public"`
	Path  string      `class:"public"`
	Reads bool        `class:"public"`
	Until time.Time   `class:"public"`
	Text  secret.Text `class:"secret"`
}

// About implements ledger.Event.
func (e KeyIssued) About() ledger.About {
	return ledger.About{Name: "vault.access-key-issued", Clause: "vault.access-logged", Object: "access-key/" + e.Key}
}

// KeyEnded is an access key that does not work any more.
type KeyEnded struct {
	Key string `class:"public"`
}

// About implements ledger.Event.
func (e KeyEnded) About() ledger.About {
	return ledger.About{Name: "vault.access-key-ended", Clause: "vault.access-logged", Object: "access-key/" + e.Key}
}

// PathGranted lets a person do under a path what their role does not let them.
type PathGranted struct {
	Grant  string    `class:"public"`
	Who    string    `class:"public"`
	Path   string    `class:"public"`
	Rights string    `class:"public"`
	Until  time.Time `class:"public"`
	Why    string    `class:"personal"`
}

// About implements ledger.Event.
func (e PathGranted) About() ledger.About {
	return ledger.About{Name: "vault.path-granted", Clause: "access.least-privilege", Object: "grant/" + e.Grant}
}

// PathGrantEnded is a grant that was taken back before its end.
type PathGrantEnded struct {
	Grant string `class:"public"`
}

// About implements ledger.Event.
func (e PathGrantEnded) About() ledger.About {
	return ledger.About{Name: "vault.path-grant-ended", Clause: "access.least-privilege", Object: "grant/" + e.Grant}
}

// CanaryPlanted is an access key of the reserved team, made for a control.
type CanaryPlanted struct {
	Control string `class:"public"`
	Key     string `class:"public"`
}

// About implements ledger.Event.
func (e CanaryPlanted) About() ledger.About {
	return ledger.About{Name: "vault.canary-planted", Object: "access-key/" + e.Key}
}

// CanarySwept is what a control planted, removed again.
type CanarySwept struct {
	Control string `class:"public"`
	Key     string `class:"public"`
	Params  int64  `class:"public"`
}

// About implements ledger.Event.
func (e CanarySwept) About() ledger.About {
	return ledger.About{Name: "vault.canary-swept", Object: "access-key/" + e.Key}
}

// ParamReminded is what a parameter wanted its owners to know: that it ends soon, or has not
// been changed for long.
type ParamReminded struct {
	Param   string   `class:"public"`
	Name    string   `class:"public"`
	Version int64    `class:"public"`
	What    []string `class:"public"` // ExpirationNotification, NoChangeNotification
}

// About implements ledger.Event.
func (e ParamReminded) About() ledger.About {
	return ledger.About{Name: "vault.param-reminded", Clause: "vault.encrypted-store", Object: "param/" + e.Param}
}

// AboutSet is what is said about a name, or about all names below a path, from now on.
type AboutSet struct {
	Name      string `class:"public"`
	Owner     string `class:"public"`
	Clause    string `class:"public"`
	Rotation  int64  `class:"public"` // days
	Critical  bool   `class:"public"`
	Sensitive bool   `class:"public"`
}

// About implements ledger.Event.
func (e AboutSet) About() ledger.About {
	return ledger.About{Name: "vault.about-set", Clause: "vault.encrypted-store"}
}

// ValueRefused is a value that the policy does not allow in its place.
type ValueRefused struct {
	Name string `class:"public"`
	Code string `class:"public"`
}

// About implements ledger.Event.
func (e ValueRefused) About() ledger.About {
	return ledger.About{Name: "vault.value-refused", Clause: "vault.encrypted-store"}
}

// DeleteRefused is a parameter that stays where it is.
type DeleteRefused struct {
	Name  string `class:"public"`
	Cause string `class:"public"` // held
}

// About implements ledger.Event.
func (e DeleteRefused) About() ledger.About {
	return ledger.About{Name: "vault.delete-refused", Clause: "data.crypto-erase"}
}

// ParamsCompared are two versions of which somebody learned whether they are the same.
type ParamsCompared struct {
	Param string `class:"public"`
	Name  string `class:"public"`
	From  int64  `class:"public"`
	To    int64  `class:"public"`
}

// About implements ledger.Event.
func (e ParamsCompared) About() ledger.About {
	return ledger.About{Name: "vault.params-compared", Clause: "vault.access-logged", Object: "param/" + e.Param}
}

// PathRolledBack is a path whose parameters have the values of a time again; each of them
// has an entry of its own beside.
type PathRolledBack struct {
	Path  string    `class:"public"`
	To    time.Time `class:"public"`
	Count int64     `class:"public"`
}

// About implements ledger.Event.
func (e PathRolledBack) About() ledger.About {
	return ledger.About{Name: "vault.path-rolled-back", Clause: "vault.encrypted-store"}
}
