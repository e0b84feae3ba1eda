package identity

import (
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

// ScimConnected is a directory that may now make and end the people of a team.
type ScimConnected struct {
	Connection string    `class:"public"`
	Team       string    `class:"public"`
	Service    string    `class:"public"`
	Roles      []string  `class:"public"` // all that it may give
	Standard   string    `class:"public"` // of who is in no mapped group
	Domains    []string  `class:"public"`
	Groups     int64     `class:"public"` // mapped to a role
	Until      time.Time `class:"public"` // the token's end
}

// About implements ledger.Event.
func (e ScimConnected) About() ledger.About {
	return ledger.About{Name: "identity.scim-connected", Clause: "auth.best-practice", Object: "connection/" + e.Connection}
}

// ScimDisconnected is a connection that has ended, with its tokens. The people stay.
type ScimDisconnected struct {
	Connection string `class:"public"`
	Team       string `class:"public"`
	Tokens     int64  `class:"public"`
}

// About implements ledger.Event.
func (e ScimDisconnected) About() ledger.About {
	return ledger.About{Name: "identity.scim-disconnected", Clause: "auth.best-practice", Object: "connection/" + e.Connection}
}

// UserProvisioned is a person made, or made active again, by a directory.
type UserProvisioned struct {
	Person     string   `class:"public"`
	Connection string   `class:"public"`
	Team       string   `class:"public"`
	Roles      []string `class:"public"`
	How        string   `class:"public"` // domain: confirmed by the connection's word; letter: by a first link; again: was here before
}

// About implements ledger.Event.
func (e UserProvisioned) About() ledger.About {
	return ledger.About{Name: "identity.user-provisioned", Clause: "auth.best-practice", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// ProvisionedChanged is what a directory changed of a person, by the names of the fields.
type ProvisionedChanged struct {
	Person     string   `class:"public"`
	Connection string   `class:"public"`
	Fields     []string `class:"public"`
}

// About implements ledger.Event.
func (e ProvisionedChanged) About() ledger.About {
	return ledger.About{Name: "identity.provisioned-changed", Clause: "auth.best-practice", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// UserDeprovisioned ended everything of a person in a team, in one change.
type UserDeprovisioned struct {
	Person      string        `class:"public"`
	Connection  string        `class:"public"`
	Team        string        `class:"public"`
	How         string        `class:"public"` // disabled: was in this team alone; removed: is in others too
	Sessions    int64         `class:"public"`
	Links       int64         `class:"public"`
	Devices     int64         `class:"public"`
	Tokens      int64         `class:"public"`
	Memberships int64         `class:"public"`
	Took        time.Duration `class:"public"` // from the request to the change
}

// About implements ledger.Event.
func (e UserDeprovisioned) About() ledger.About {
	return ledger.About{Name: "identity.user-deprovisioned", Clause: "auth.best-practice", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// GroupMapped is a group of a directory that was made, changed or ended.
type GroupMapped struct {
	Group      string `class:"public"`
	Connection string `class:"public"`
	Team       string `class:"public"`
	What       string `class:"public"` // made, changed, ended
	Role       string `class:"public"` // empty = it means nothing here
	Joined     int64  `class:"public"`
	Left       int64  `class:"public"`
}

// About implements ledger.Event.
func (e GroupMapped) About() ledger.About {
	return ledger.About{Name: "identity.group-mapped", Clause: "access.roles", Object: "group/" + e.Group}
}

// RolesMapped are the roles of a person that followed from a directory's groups.
type RolesMapped struct {
	Person     string   `class:"public"`
	Connection string   `class:"public"`
	Team       string   `class:"public"`
	Before     []string `class:"public"`
	After      []string `class:"public"`
}

// About implements ledger.Event.
func (e RolesMapped) About() ledger.About {
	return ledger.About{Name: "identity.roles-mapped", Clause: "access.roles", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// ProvisionRefused is a wish of a directory that was refused.
type ProvisionRefused struct {
	Connection string `class:"public"` // empty when nobody knows of one
	Act        string `class:"public"` // such as POST Users
	Cause      string `class:"public"`
}

// About implements ledger.Event.
func (e ProvisionRefused) About() ledger.About {
	a := ledger.About{Name: "identity.provision-refused", Clause: "auth.best-practice"}
	if e.Connection != "" {
		a.Object = "connection/" + e.Connection
	}
	return a
}

// AddressProved is the first use of a link that was mailed to, or handed over for, an
// address which nobody had confirmed.
type AddressProved struct {
	Person string `class:"public"`
	Link   string `class:"public"`
}

// About implements ledger.Event.
func (e AddressProved) About() ledger.About {
	return ledger.About{Name: "identity.address-proved", Clause: "auth.signup-email", Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}
