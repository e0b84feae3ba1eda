package item

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
)

// Item is one as its reader may see it: all but the secrets.
type Item struct {
	ID, Kind              string
	Title, Folder, Vendor string
	Fields                []Field
	Version               int64
	Critical, Sensitive   bool
	Rotate                int       // days; 0 = never
	Due                   time.Time // zero = no date
	Set                   time.Time // when its main secret changed last
	Made, Changed         time.Time
	ChangedBy             string // kind/id
	Deleted               time.Time
	Holders               []Holder
	Level                 Level // the reader's own; "" = they take care of all and see no value
	Out                   *Out
	Files                 []File
	Links                 []Link // an owner's and an editor's
}

// Overdue reports whether it should have been replaced by now.
func (i Item) Overdue(now time.Time) bool { return !i.Due.IsZero() && i.Due.Before(now) }

// Field finds one.
func (i Item) Field(id string) (Field, bool) {
	n := slices.IndexFunc(i.Fields, func(f Field) bool { return f.ID == id })
	if n < 0 {
		return Field{}, false
	}
	return i.Fields[n], true
}

// Owners are the ids of those who answer for it.
func (i Item) Owners() (out []string) {
	for _, h := range i.Holders {
		if id, ok := strings.CutPrefix(h.Who, "person/"); ok && h.Level == Owner {
			out = append(out, id)
		}
	}
	return out
}

// row is an item as it is stored.
type row struct {
	Item
	team                 string
	box                  []byte
	vendor, host, secret string // indexes
	due, deleted         *int64
}

func (r *row) dest() []any {
	return []any{&r.ID, &r.team, &r.Kind, &r.Version, &r.box, &r.Critical, &r.Sensitive, &r.Rotate, &r.due, micros{&r.Set}, &r.vendor, &r.host, &r.secret,
		micros{&r.Made}, micros{&r.Changed}, &r.ChangedBy, &r.deleted}
}

func (r *row) finish() { r.Due, r.Deleted = when(r.due), when(r.deleted) }

// micros scans a moment.
type micros struct{ t *time.Time }

// Scan implements sql.Scanner.
func (m micros) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a moment of type %T", v)
	}
	*m.t = at(n)
	return nil
}

// unknown is the one answer to an item that is not there, and to one that is nobody's business.
func unknown() *fault.Error {
	return fault.New(fault.NotFound, "item_unknown", fault.Public{Problem: "There is no such item, or it is not shared with you.", Next: "Look at the list, or ask whoever owns it."})
}

// load reads an item with its holders and who has it; of r inside a change or outside.
func load(ctx context.Context, r ledger.Reader, team, id string) (row, error) {
	var it row
	err := ledger.One(ctx, r, selectItem+` WHERE id = $1 AND team = $2`, it.dest(), id, team)
	if errors.Is(err, fault.NotFound) {
		return row{}, unknown()
	}
	if err != nil {
		return row{}, fmt.Errorf("read item: %w", err)
	}
	it.finish()
	if it.Holders, err = holdersOf(ctx, r, id); err != nil {
		return row{}, err
	}
	it.Out, err = outOf(ctx, r, id)
	return it, err
}

// guard is the way to an item: the right, then the share. Whoever has no share is told the
// same as of an item that is not there, and the attempt is recorded.
func (s *Service) guard(ctx context.Context, who actor.Actor, action access.Action, id string, need Level) (row, error) { // clause: vault.company-creds
	if err := s.Access.Allow(ctx, who, action, thing(id)); err != nil {
		return row{}, err
	}
	it, err := load(ctx, s.DB, vault.TeamOf(who), id)
	if errors.Is(err, fault.NotFound) {
		return row{}, s.DB.Refuse(ctx, who, ItemRefused{Code: "unknown"}, err)
	}
	if err != nil {
		return row{}, err
	}
	it.Level = levelOf(who, it.Holders)
	if it.Level == "" && !(need == "" && s.Access.May(who, access.VaultCare)) {
		return row{}, s.DB.Refuse(ctx, who, ItemRefused{Item: id, Code: "not-shared"}, unknown())
	}
	return it, s.enough(ctx, who, it, need)
}

// enough refuses what a level does not reach, to somebody who may see the item.
func (s *Service) enough(ctx context.Context, who actor.Actor, it row, need Level) error {
	switch {
	case !it.Deleted.IsZero() && need != "":
		return fault.New(fault.Gone, "item_deleted", fault.Public{Problem: "The item was deleted.", Next: "An owner can take it back until " + stamp(it.Deleted.Add(keptDeleted)) + "."})
	case it.Level.rank() < need.rank():
		return s.DB.Refuse(ctx, who, ItemRefused{Item: it.ID, Code: "level"}, fault.New(fault.Denied, "item_level", fault.Public{
			Problem: "The item is not shared with you for this.", Expected: "Needed: " + string(need) + ".", Next: "Ask an owner of the item."}))
	}
	return nil
}

// Show is one item, without its secrets.
func (s *Service) Show(ctx context.Context, who actor.Actor, id string) (Item, error) {
	it, err := s.guard(ctx, who, access.VaultItems, id, "")
	if err != nil {
		return Item{}, err
	}
	if !it.Deleted.IsZero() && it.Level != Owner && !s.Access.May(who, access.VaultCare) {
		return Item{}, unknown()
	}
	if err := s.readHead(ctx, &it); err != nil {
		return Item{}, err
	}
	if it.Files, err = s.files(ctx, it); err != nil {
		return Item{}, err
	}
	if it.Level.rank() >= Editor.rank() {
		if it.Links, err = s.links(ctx, it.ID); err != nil {
			return Item{}, err
		}
	}
	return it.Item, nil
}

func (s *Service) readHead(ctx context.Context, it *row) error {
	h, err := s.openHead(ctx, place("vault_item.head", it.team, it.ID, it.Version), it.box)
	it.Title, it.Folder, it.Vendor, it.Fields = h.Title, h.Folder, h.Vendor, h.Fields
	return err
}

func (s *Service) openHead(ctx context.Context, at placeAt, box []byte) (h head, err error) {
	b, err := s.open(ctx, at, box)
	if err != nil {
		return head{}, err
	}
	defer b.Wipe()
	return h, json.Unmarshal(b.Reveal(), &h)
}

// Query says which items are looked for.
type Query struct {
	Text    string // within title, folder, vendor, addresses and user
	Folder  string
	Kind    string
	Deleted bool
}

// List is every item that somebody may see, by title; a search is done on what they may see.
func (s *Service) List(ctx context.Context, who actor.Actor, q Query) ([]Item, error) {
	if err := s.Access.Allow(ctx, who, access.VaultItems, ""); err != nil {
		return nil, err
	}
	rows, err := s.all(ctx, vault.TeamOf(who))
	if err != nil {
		return nil, err
	}
	care := s.Access.May(who, access.VaultCare)
	text := strings.Fields(strings.ToLower(q.Text))
	out := []Item{}
	for i := range rows {
		it := &rows[i]
		it.Level = levelOf(who, it.Holders)
		if it.Level == "" && !care || q.Deleted != !it.Deleted.IsZero() || q.Deleted && it.Level != Owner && !care || q.Kind != "" && q.Kind != it.Kind {
			continue
		}
		if err := s.readHead(ctx, it); err != nil {
			return nil, err
		}
		if (q.Folder == "" || q.Folder == it.Folder) && it.matches(text) {
			out = append(out, it.Item)
		}
	}
	slices.SortFunc(out, func(a, b Item) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title)), strings.Compare(a.ID, b.ID))
	})
	return out, nil
}

func (i Item) matches(text []string) bool {
	hay := strings.ToLower(i.Title + "\n" + i.Folder + "\n" + i.Vendor)
	for _, f := range i.Fields {
		hay += "\n" + strings.ToLower(f.Value) // of a secret there is none here
	}
	return !slices.ContainsFunc(text, func(w string) bool { return !strings.Contains(hay, w) })
}

// all reads a team's items with their holders and who has them out.
func (s *Service) all(ctx context.Context, team string) ([]row, error) {
	var rows []row
	err := s.DB.Each(ctx, selectItem+` WHERE team = $1 ORDER BY id`, func(scan ledger.Scan) error {
		var it row
		err := scan(it.dest()...)
		it.finish()
		rows = append(rows, it)
		return err
	}, team)
	if err != nil {
		return nil, fmt.Errorf("read items: %w", err)
	}
	byID := map[string]*row{}
	for i := range rows {
		byID[rows[i].ID] = &rows[i]
	}
	err = s.DB.Each(ctx, holdersOfTeam, func(scan ledger.Scan) error {
		var id string
		var h Holder
		err := scan(&id, &h.Who, (*string)(&h.Level), micros{&h.Since}, &h.By)
		if it := byID[id]; it != nil {
			it.Holders = append(it.Holders, h)
		}
		return err
	}, team)
	if err != nil {
		return nil, fmt.Errorf("read holders: %w", err)
	}
	err = s.DB.Each(ctx, outsOfTeam, func(scan ledger.Scan) error {
		var id string
		var o Out
		err := scan(&id, &o.Person, micros{&o.Since}, micros{&o.Until})
		if it := byID[id]; it != nil {
			it.Out = &o
		}
		return err
	}, team)
	if err != nil {
		return nil, fmt.Errorf("read who has items: %w", err)
	}
	return rows, nil
}

// Version is one of an item's past.
type Version struct {
	Version int64
	At      time.Time
	By      string   // kind/id
	Fields  []string // names of what changed
}

// History is what happened to an item, the newest first: who, when, which fields.
func (s *Service) History(ctx context.Context, who actor.Actor, id string) ([]Version, error) {
	it, err := s.guard(ctx, who, access.VaultItems, id, "")
	if err != nil {
		return nil, err
	}
	type past struct {
		Version
		box []byte
	}
	var ps []past
	err = s.DB.Each(ctx, selectVersions, func(scan ledger.Scan) error {
		var p past
		var fields string
		err := scan(&p.Version.Version, &p.box, &fields, micros{&p.At}, &p.By)
		p.Fields = words(fields)
		ps = append(ps, p)
		return err
	}, it.ID)
	if err != nil {
		return nil, fmt.Errorf("read history of an item: %w", err)
	}
	names := map[string]string{"title": "Title", "folder": "Folder", "vendor": "Vendor"}
	out := make([]Version, len(ps))
	for i := len(ps) - 1; i >= 0; i-- { // from the oldest on, so that a field that is gone keeps its name
		h, err := s.openHead(ctx, place("vault_item_version.head", it.team, it.ID, ps[i].Version.Version), ps[i].box)
		if err != nil {
			return nil, err
		}
		for _, f := range h.Fields {
			names[f.ID] = f.Label
		}
		out[i] = ps[i].Version
		for n, f := range out[i].Fields {
			if names[f] != "" {
				out[i].Fields[n] = names[f]
			}
		}
	}
	return out, nil
}

// fieldIDs are the ids of all fields that an item has or had, and of those that are secret in
// a version after one.
func (s *Service) fieldIDs(ctx context.Context, it row, after int64) (all, hidden map[string]bool, err error) {
	boxes := map[int64][]byte{}
	err = s.DB.Each(ctx, `SELECT version, head FROM vault_item_version WHERE item = $1`, func(scan ledger.Scan) error {
		var n int64
		var box []byte
		err := scan(&n, &box)
		boxes[n] = box
		return err
	}, it.ID)
	if err != nil {
		return nil, nil, fmt.Errorf("read the fields of an item: %w", err)
	}
	all, hidden = map[string]bool{}, map[string]bool{}
	for n, box := range boxes {
		h, err := s.openHead(ctx, place("vault_item_version.head", it.team, it.ID, n), box)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range h.Fields {
			all[f.ID] = true
			hidden[f.ID] = hidden[f.ID] || f.Secret && n > after
		}
	}
	return all, hidden, nil
}

// contents opens a version with all its secrets, for what is done here; who may was asked.
func (s *Service) contents(ctx context.Context, it row, version int64) (content, map[string]int64, error) {
	var box []byte
	err := ledger.One(ctx, s.DB, headOfVersion, []any{&box}, it.ID, version)
	if errors.Is(err, fault.NotFound) {
		return content{}, nil, fault.New(fault.NotFound, "version_unknown", fault.Public{Problem: "The item has no such version.", Next: "Look at its history."})
	}
	if err != nil {
		return content{}, nil, fmt.Errorf("read a version: %w", err)
	}
	c := content{secrets: map[string]secret.Text{}}
	if c.head, err = s.openHead(ctx, place("vault_item_version.head", it.team, it.ID, version), box); err != nil {
		return content{}, nil, err
	}
	boxes, origin := map[string][]byte{}, map[string]int64{}
	err = s.DB.Each(ctx, fieldsOfVersion, func(scan ledger.Scan) error {
		var id string
		var n int64
		var b []byte
		err := scan(&id, &n, &b)
		boxes[id], origin[id] = b, n
		return err
	}, it.ID, version)
	if err != nil {
		return content{}, nil, fmt.Errorf("read fields: %w", err)
	}
	for id, box := range boxes {
		b, err := s.open(ctx, fieldAt(it.team, it.ID, id, version), box)
		if err != nil {
			return content{}, nil, err
		}
		c.secrets[id] = secret.NewText(string(b.Reveal()))
		b.Wipe()
	}
	return c, origin, nil
}

const (
	selectItem      = `SELECT id, team, kind, version, head, critical, sensitive, rotate, due, secret_set, vendor, host, password, made, changed, changed_by, deleted FROM vault_item`
	holdersOfTeam   = `SELECT h.item, h.who, h.level, h.since, h.by_ FROM vault_item_holder h JOIN vault_item i ON i.id = h.item WHERE i.team = $1 ORDER BY h.item, h.since, h.who`
	outsOfTeam      = `SELECT o.item, o.person, o.since, o.until FROM vault_item_out o JOIN vault_item i ON i.id = o.item WHERE i.team = $1`
	selectVersions  = `SELECT version, head, fields, changed, changed_by FROM vault_item_version WHERE item = $1 ORDER BY version DESC`
	headOfVersion   = `SELECT head FROM vault_item_version WHERE item = $1 AND version = $2`
	fieldsOfVersion = `SELECT field, origin, value FROM vault_item_field WHERE item = $1 AND version = $2`
)
