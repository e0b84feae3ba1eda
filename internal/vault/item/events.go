package item

import (
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
)

const creds = "vault.company-creds"

// ItemCreated is a new item. Its title is nobody's business but its holders'.
type ItemCreated struct {
	Item      string   `class:"public"`
	Kind      string   `class:"public"`
	Owners    []string `class:"public"`
	Critical  bool     `class:"public"`
	Sensitive bool     `class:"public"`
	Rotate    int64    `class:"public"` // days; 0 = never
}

// About implements ledger.Event.
func (e ItemCreated) About() ledger.About {
	return ledger.About{Name: "vault.item-created", Clause: creds, Object: thing(e.Item)}
}

// ItemChanged is a new version.
type ItemChanged struct {
	Item      string   `class:"public"`
	Version   int64    `class:"public"`
	Fields    []string `class:"public"`
	Critical  bool     `class:"public"`
	Sensitive bool     `class:"public"`
	Rotate    int64    `class:"public"`
}

// About implements ledger.Event.
func (e ItemChanged) About() ledger.About {
	return ledger.About{Name: "vault.item-changed", Clause: creds, Object: thing(e.Item)}
}

// ItemRolledBack is a new version with what a former one was.
type ItemRolledBack struct {
	Item    string   `class:"public"`
	From    int64    `class:"public"`
	Version int64    `class:"public"`
	Fields  []string `class:"public"`
}

// About implements ledger.Event.
func (e ItemRolledBack) About() ledger.About {
	return ledger.About{Name: "vault.item-rolled-back", Clause: creds, Object: thing(e.Item)}
}

// ItemRevealed is a secret field, or a file, that somebody was given.
type ItemRevealed struct {
	Item    string `class:"public"`
	Field   string `class:"public"`
	Version int64  `class:"public"`

	why string
}

// About implements ledger.Event.
func (e ItemRevealed) About() ledger.About {
	return ledger.About{Name: "vault.item-revealed", Clause: "vault.access-logged", Object: thing(e.Item), Reason: e.why}
}

// CodeServed is a one-time code that somebody was given.
type CodeServed struct {
	Item    string `class:"public"`
	Version int64  `class:"public"`

	why string
}

// About implements ledger.Event.
func (e CodeServed) About() ledger.About {
	return ledger.About{Name: "vault.code-served", Clause: "vault.access-logged", Object: thing(e.Item), Reason: e.why}
}

// ItemRefused is an act on an item that was refused.
type ItemRefused struct {
	Item string `class:"public"` // empty where there is none
	Code string `class:"public"` // unknown, not-shared, level, seed, owner-last, holders-few, held
}

// About implements ledger.Event.
func (e ItemRefused) About() ledger.About {
	a := ledger.About{Name: "vault.item-refused", Clause: creds}
	if e.Item != "" {
		a.Object = thing(e.Item)
	}
	return a
}

// ItemShared is an item that somebody may use from now on, or use otherwise.
type ItemShared struct {
	Item  string `class:"public"`
	With  string `class:"public"` // person/ID, role/NAME, team
	Level string `class:"public"`
}

// About implements ledger.Event.
func (e ItemShared) About() ledger.About {
	return ledger.About{Name: "vault.item-shared", Clause: creds, Object: thing(e.Item)}
}

// ItemUnshared is its end.
type ItemUnshared struct {
	Item string `class:"public"`
	From string `class:"public"`
}

// About implements ledger.Event.
func (e ItemUnshared) About() ledger.About {
	return ledger.About{Name: "vault.item-unshared", Clause: creds, Object: thing(e.Item)}
}

// ItemCheckedOut is an item that one person has alone.
type ItemCheckedOut struct {
	Item  string    `class:"public"`
	Until time.Time `class:"public"`

	why string
}

// About implements ledger.Event.
func (e ItemCheckedOut) About() ledger.About {
	return ledger.About{Name: "vault.item-checked-out", Clause: creds, Object: thing(e.Item), Reason: e.why}
}

// ItemCheckedIn is its end. The item is due for replacement.
type ItemCheckedIn struct {
	Item  string `class:"public"`
	Cause string `class:"public"` // asked, over
}

// About implements ledger.Event.
func (e ItemCheckedIn) About() ledger.About {
	return ledger.About{Name: "vault.item-checked-in", Clause: creds, Object: thing(e.Item)}
}

// LinkMade is a link that shows some fields once.
type LinkMade struct {
	Item   string    `class:"public"`
	Link   string    `class:"public"`
	Fields []string  `class:"public"`
	Until  time.Time `class:"public"`

	why string
}

// About implements ledger.Event.
func (e LinkMade) About() ledger.About {
	return ledger.About{Name: "vault.link-made", Clause: creds, Object: thing(e.Item), Reason: e.why}
}

// LinkOpened is its one opening.
type LinkOpened struct {
	Item    string   `class:"public"`
	Link    string   `class:"public"`
	Fields  []string `class:"public"`
	Address string   `class:"personal"`
}

// About implements ledger.Event.
func (e LinkOpened) About() ledger.About {
	return ledger.About{Name: "vault.link-opened", Clause: "vault.access-logged", Object: thing(e.Item)}
}

// LinkRefused is an opening that showed nothing.
type LinkRefused struct {
	Item  string `class:"public"`
	Link  string `class:"public"`
	Cause string `class:"public"` // unknown, opened, over, ended, maker, out
}

// About implements ledger.Event.
func (e LinkRefused) About() ledger.About {
	a := ledger.About{Name: "vault.link-refused", Clause: creds}
	if e.Item != "" {
		a.Object = thing(e.Item)
	}
	return a
}

// LinksRefused counts openings of one network and minute that showed nothing, beyond those
// that are entries of their own.
type LinksRefused struct {
	Cause string `class:"public"` // as of LinkRefused
	Count int64  `class:"public"`
}

// About implements ledger.Event.
func (e LinksRefused) About() ledger.About {
	return ledger.About{Name: "vault.links-refused", Clause: creds}
}

// LinkEnded is a link that was ended before anybody opened it.
type LinkEnded struct {
	Item string `class:"public"`
	Link string `class:"public"`
}

// About implements ledger.Event.
func (e LinkEnded) About() ledger.About {
	return ledger.About{Name: "vault.link-ended", Clause: creds, Object: thing(e.Item)}
}

// FileAttached is a file that was sealed into an item.
type FileAttached struct {
	Item string `class:"public"`
	File string `class:"public"`
	Size int64  `class:"public"`
}

// About implements ledger.Event.
func (e FileAttached) About() ledger.About {
	return ledger.About{Name: "vault.file-attached", Clause: creds, Object: thing(e.Item)}
}

// FileRemoved is its end.
type FileRemoved struct {
	Item string `class:"public"`
	File string `class:"public"`
}

// About implements ledger.Event.
func (e FileRemoved) About() ledger.About {
	return ledger.About{Name: "vault.file-removed", Clause: creds, Object: thing(e.Item)}
}

// ItemDeleted is an item that nobody uses any more, and that an owner can take back.
type ItemDeleted struct {
	Item  string    `class:"public"`
	Until time.Time `class:"public"`
}

// About implements ledger.Event.
func (e ItemDeleted) About() ledger.About {
	return ledger.About{Name: "vault.item-deleted", Clause: creds, Object: thing(e.Item)}
}

// ItemUndeleted is a deletion that was taken back.
type ItemUndeleted struct {
	Item string `class:"public"`
}

// About implements ledger.Event.
func (e ItemUndeleted) About() ledger.About {
	return ledger.About{Name: "vault.item-undeleted", Clause: creds, Object: thing(e.Item)}
}

// ItemErased is an item that is gone with all its versions.
type ItemErased struct {
	Item string `class:"public"`
}

// About implements ledger.Event.
func (e ItemErased) About() ledger.About {
	return ledger.About{Name: "vault.item-erased", Clause: creds, Object: thing(e.Item)}
}

// ItemLeft is an item whose last owner has left. Somebody is to take it over.
type ItemLeft struct {
	Item   string `class:"public"`
	Holder string `class:"public"` // who left
}

// About implements ledger.Event.
func (e ItemLeft) About() ledger.About {
	return ledger.About{Name: "vault.item-owner-left", Clause: creds, Object: thing(e.Item), Subject: keyring.Person(e.Holder)}
}

// HolderLeft is somebody of a team with items who may sign in no more, and what they leave to
// those who were told of it.
type HolderLeft struct {
	Person    string `class:"public"`
	Items     int64  `class:"public"` // shared with them by name
	Ownerless int64  `class:"public"`
	Secrets   int64  `class:"public"` // that they saw and that have not changed since
}

// About implements ledger.Event.
func (e HolderLeft) About() ledger.About {
	return ledger.About{Name: "vault.holder-left", Clause: creds, Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// HolderReturned is their return.
type HolderReturned struct {
	Person string `class:"public"`
}

// About implements ledger.Event.
func (e HolderReturned) About() ledger.About {
	return ledger.About{Name: "vault.holder-returned", Clause: creds, Object: "person/" + e.Person, Subject: keyring.Person(e.Person)}
}

// ItemsStaged are items of an import that do not count yet: the next entry of the import makes
// them count all at once, or they are erased.
type ItemsStaged struct {
	Import string `class:"public"`
	Count  int64  `class:"public"`
}

// About implements ledger.Event.
func (e ItemsStaged) About() ledger.About {
	return ledger.About{Name: "vault.items-staged", Clause: creds, Object: "item-import/" + e.Import}
}

// ItemsImported are items that came from another keeper of passwords.
type ItemsImported struct {
	Import  string `class:"public"`
	Source  string `class:"public"`
	Count   int64  `class:"public"`
	LeftOut int64  `class:"public"`
}

// About implements ledger.Event.
func (e ItemsImported) About() ledger.About {
	return ledger.About{Name: "vault.items-imported", Clause: creds, Object: "item-import/" + e.Import}
}

// CanarySwept is what a control made of items, removed again.
type CanarySwept struct {
	Control string `class:"public"`
	Items   int64  `class:"public"`
}

// About implements ledger.Event.
func (e CanarySwept) About() ledger.About {
	return ledger.About{Name: "vault.canary-items-swept"}
}
