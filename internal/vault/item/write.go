package item

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/vault"
)

// keptDeleted is how long a deleted item can be taken back.
const keptDeleted = 30 * 24 * time.Hour

type placeAt = envelope.AAD

// fieldAt is where a secret field of a version opens.
func fieldAt(team, id, field string, version int64) placeAt {
	if field == seedField {
		return place("vault_item_field.seed", team, id, version)
	}
	return place("vault_item_field.value", team, id+"/"+field, version)
}

// sealedVersion is a version, ready to be stored.
type sealedVersion struct {
	id, team, kind          string
	version                 int64
	head, past              []byte
	fields                  map[string][]byte
	origin                  map[string]int64
	vendor, hosts, password string
	mainSet                 bool     // the main secret is another than before
	fresh                   []string // secret fields with a value that was not there before
	changed                 []string
}

// seal prepares a version. was is the origin of each secret that stayed as it is.
func (s *Service) seal(ctx context.Context, v sealedVersion, c content, was map[string]int64) (sealedVersion, error) { // clause: crypto.at-rest
	k, err := s.Keys.Ensure(ctx, contentKey(v.team))
	if err != nil {
		return sealedVersion{}, fmt.Errorf("seal an item: %w", err)
	}
	blind, err := s.blind(ctx, v.team)
	if err != nil {
		return sealedVersion{}, err
	}
	kind, _ := KindOf(v.kind)
	plain := pad(c.bytes())
	v.head = k.Seal(plain, place("vault_item.head", v.team, v.id, v.version))
	v.past = k.Seal(plain, place("vault_item_version.head", v.team, v.id, v.version))
	v.fields, v.origin = map[string][]byte{}, map[string]int64{}
	for _, id := range slices.Sorted(maps.Keys(c.secrets)) {
		fk := k
		if id == seedField {
			if fk, err = s.Keys.Ensure(ctx, seedKey(v.team)); err != nil {
				return sealedVersion{}, fmt.Errorf("seal a seed: %w", err)
			}
		}
		v.fields[id] = fk.Seal(pad([]byte(c.secrets[id].Reveal())), fieldAt(v.team, v.id, id, v.version))
		if v.origin[id] = was[id]; was[id] == 0 {
			v.origin[id] = v.version
			v.fresh = append(v.fresh, id)
		}
	}
	v.mainSet = kind.main != "" && slices.Contains(v.changed, kind.main)
	v.vendor = blind("vendor", strings.ToLower(c.Vendor))
	if kind.replaced() {
		v.password = blind("password", c.secrets[kind.main].Reveal())
	}
	var hosts []string
	for _, h := range c.hosts() {
		hosts = append(hosts, blind("host", h))
	}
	v.hosts = joined(hosts)
	return v, nil
}

// store writes a version's rows, and who knows what they wrote.
func (s *Service) store(ctx context.Context, tx *ledger.Tx, who actor.Actor, v sealedVersion) error {
	if _, err := tx.Exec(ctx, insertVersion, v.id, v.version, v.past, joined(v.changed), us(tx.Now()), who.String()); err != nil {
		return err
	}
	if len(v.fields) > 0 { // in one statement: the writer is everybody's
		q, args := insertFields, []any{v.id, v.version}
		for i, id := range slices.Sorted(maps.Keys(v.fields)) {
			q += fmt.Sprintf("%s($1, $2, $%d, $%d, $%d)", []string{" ", ", "}[min(i, 1)], len(args)+1, len(args)+2, len(args)+3)
			args = append(args, id, v.origin[id], v.fields[id])
		}
		if _, err := tx.Exec(ctx, q, args...); err != nil {
			return err
		}
	}
	if who.Kind == actor.Person {
		for _, id := range v.fresh {
			if err := s.Sight.Saw(ctx, tx, who, thing(v.id)+"/"+id, v.origin[id]); err != nil {
				return err
			}
		}
	}
	if v.version <= maxVersion {
		return nil
	}
	if err := s.stays(ctx, tx, v.team); vault.IsHeld(err) {
		return nil
	} else if err != nil {
		return err
	}
	for _, q := range []string{pruneFields, pruneVersions} {
		if _, err := tx.Exec(ctx, q, v.id, v.version-maxVersion); err != nil {
			return err
		}
	}
	return nil
}

// NewItem is the wish for an item and who answers for it.
type NewItem struct {
	Draft
	Owners []string // addresses, handles or ids; empty = whoever asks
}

// Create makes an item.
func (s *Service) Create(ctx context.Context, who actor.Actor, in NewItem) (Item, error) {
	if err := s.Access.Allow(ctx, who, access.VaultItems, ""); err != nil {
		return Item{}, err
	}
	made, err := s.prepare(ctx, who, in)
	if err != nil {
		return Item{}, err
	}
	if err := s.room(ctx, made.team, 1); err != nil {
		return Item{}, err
	}
	roster, err := s.People.Roster(ctx, vault.TeamOf(who))
	if err != nil {
		return Item{}, err
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		return s.insert(ctx, tx, who, made, made.team, roster)
	})
	if err != nil {
		return Item{}, fmt.Errorf("make an item: %w", err)
	}
	return s.Show(ctx, who, made.id)
}

// prepared is a new item, ready to be stored.
type prepared struct {
	sealedVersion
	in     Draft
	owners []string // ids
	files  []newFile
}

func (s *Service) prepare(ctx context.Context, who actor.Actor, in NewItem) (prepared, error) {
	k, ok := KindOf(in.Kind)
	if !ok {
		return prepared{}, invalid("kind", "kind_unknown", "An item is a login, an API key, an SSH key, a certificate, a note or a document.")
	}
	var err error
	if in.Rotate, err = rotation(k, in.Rotate); err != nil {
		return prepared{}, err
	}
	c, changed, err := in.apply(k, content{}, nil)
	if err != nil {
		return prepared{}, err
	}
	out := prepared{in: in.Draft}
	if out.owners, err = s.ownersOf(ctx, who, in.Owners); err != nil {
		return prepared{}, err
	}
	out.sealedVersion, err = s.seal(ctx, sealedVersion{id: s.DB.ID(), team: vault.TeamOf(who), kind: in.Kind, version: 1, changed: changed}, c, nil)
	return out, err
}

// rotation is how often an item of a kind is replaced. What has a secret to replace has a date.
func rotation(k Kind, days int) (int, error) { // clause: vault.company-creds
	if days < 0 || days > maxRotate {
		return 0, invalid("rotate", "rotate", fmt.Sprintf("The days between replacements are 1 to %d.", maxRotate))
	}
	if days == 0 && k.replaced() {
		days = usualDays
	}
	return days, nil
}

// ownersOf finds the people who shall own an item.
func (s *Service) ownersOf(ctx context.Context, who actor.Actor, refs []string) (ids []string, err error) {
	for _, ref := range refs {
		m, err := s.member(ctx, vault.TeamOf(who), ref)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, m.ID) {
			ids = append(ids, m.ID)
		}
	}
	if len(ids) == 0 && who.Kind == actor.Person {
		ids = []string{who.ID}
	}
	if len(ids) == 0 {
		return nil, invalid("owners", "owner_needed", "Name a person who owns the item. The operator owns none.")
	}
	return ids, nil
}

// insert stores a new item in a team; a staged one lies in a team of its own until it counts.
func (s *Service) insert(ctx context.Context, tx *ledger.Tx, who actor.Actor, p prepared, team string, roster []Member) (ledger.Event, error) {
	now := us(tx.Now())
	if _, err := tx.Exec(ctx, insertItem, p.id, team, p.kind, p.head, p.in.Critical, p.in.Sensitive, int64(p.in.Rotate), dueAfter(tx.Now(), p.in.Rotate), now, p.vendor, p.hosts, p.password, now, who.String()); err != nil {
		return nil, err
	}
	var holders []Holder
	for _, o := range p.owners {
		holders = append(holders, Holder{Who: "person/" + o, Level: Owner})
		if _, err := tx.Exec(ctx, putHolder, p.id, "person/"+o, string(Owner), now, who.String()); err != nil {
			return nil, err
		}
	}
	if err := s.enoughHolders(p.in.Critical, holders, roster); err != nil {
		return nil, err
	}
	return ItemCreated{Item: p.id, Kind: p.kind, Owners: p.owners, Critical: p.in.Critical, Sensitive: p.in.Sensitive, Rotate: int64(p.in.Rotate)}, s.store(ctx, tx, who, p.sealedVersion)
}

// room refuses more items than a team may have.
func (s *Service) room(ctx context.Context, team string, more int) error {
	var n int64
	if err := ledger.One(ctx, s.DB, `SELECT COUNT(*) FROM vault_item WHERE team = $1`, []any{&n}, team); err != nil {
		return fmt.Errorf("count items: %w", err)
	}
	if n+int64(more) > maxItems {
		return fault.Newf(fault.Limited, "items_many", "A team has at most %d items.", maxItems)
	}
	return nil
}

// Edit makes a new version.
func (s *Service) Edit(ctx context.Context, who actor.Actor, id string, d Draft) (Item, error) {
	it, err := s.guard(ctx, who, access.VaultItems, id, Editor)
	if err != nil {
		return Item{}, err
	}
	if err := it.free(who, s.Now()); err != nil {
		return Item{}, err
	}
	if d.Version != 0 && d.Version != it.Version {
		return Item{}, changedMeanwhile()
	}
	k, _ := KindOf(it.Kind)
	if d.Rotate, err = rotation(k, d.Rotate); err != nil {
		return Item{}, err
	}
	if it.Level != Owner && (d.Critical != it.Critical || d.Sensitive != it.Sensitive) {
		return Item{}, s.enough(ctx, who, it, Owner) // what binds all holders is an owner's to say
	}
	was, origin, err := s.contents(ctx, it, it.Version)
	if err != nil {
		return Item{}, err
	}
	taken, _, err := s.fieldIDs(ctx, it, it.Version)
	if err != nil {
		return Item{}, err
	}
	c, changed, err := d.apply(k, was, taken)
	if err != nil {
		return Item{}, err
	}
	for _, m := range []struct {
		id     string
		differ bool
	}{{"critical", d.Critical != it.Critical}, {"sensitive", d.Sensitive != it.Sensitive}, {"rotate", d.Rotate != it.Rotate}} {
		if m.differ {
			changed = append(changed, m.id)
		}
	}
	if len(changed) == 0 {
		return s.Show(ctx, who, id)
	}
	for _, id := range changed {
		delete(origin, id) // another value from now on
	}
	return s.replace(ctx, who, it, c, origin, d, changed, func(v sealedVersion) ledger.Event {
		return ItemChanged{Item: it.ID, Version: v.version, Fields: v.changed, Critical: d.Critical, Sensitive: d.Sensitive, Rotate: int64(d.Rotate)}
	})
}

// Restore makes a former version the newest. Its secrets are shown to nobody on the way.
func (s *Service) Restore(ctx context.Context, who actor.Actor, id string, version int64) (Item, error) {
	it, err := s.guard(ctx, who, access.VaultItems, id, Editor)
	if err != nil {
		return Item{}, err
	}
	if err := it.free(who, s.Now()); err != nil {
		return Item{}, err
	}
	now, _, err := s.contents(ctx, it, it.Version)
	if err != nil {
		return Item{}, err
	}
	c, origin, err := s.contents(ctx, it, version)
	if err != nil {
		return Item{}, err
	}
	_, hidden, err := s.fieldIDs(ctx, it, version)
	if err != nil {
		return Item{}, err
	}
	c.hide(hidden) // clause: vault.access-logged (what was hidden since stays so)
	changed := differ(now, c)
	if len(changed) == 0 {
		return Item{}, fault.New(fault.Conflict, "version_same", fault.Public{Problem: "That version is what the item is now.", Next: "Choose another one."})
	}
	return s.replace(ctx, who, it, c, origin, Draft{Critical: it.Critical, Sensitive: it.Sensitive, Rotate: it.Rotate}, changed, func(v sealedVersion) ledger.Event {
		return ItemRolledBack{Item: it.ID, From: version, Version: v.version, Fields: v.changed}
	})
}

// differ names the fields in which two contents differ.
func differ(a, b content) (out []string) {
	for _, f := range []struct{ id, a, b string }{{"title", a.Title, b.Title}, {"folder", a.Folder, b.Folder}, {"vendor", a.Vendor, b.Vendor}} {
		if f.a != f.b {
			out = append(out, f.id)
		}
	}
	for _, f := range slices.Concat(a.Fields, b.Fields) {
		if !slices.Contains(out, f.ID) && a.value(f.ID) != b.value(f.ID) {
			out = append(out, f.ID)
		}
	}
	return out
}

// replace stores the next version of an item that nobody changed meanwhile.
func (s *Service) replace(ctx context.Context, who actor.Actor, it row, c content, origin map[string]int64, d Draft, changed []string, done func(sealedVersion) ledger.Event) (Item, error) {
	v, err := s.seal(ctx, sealedVersion{id: it.ID, team: it.team, kind: it.Kind, version: it.Version + 1, changed: changed}, c, origin)
	if err != nil {
		return Item{}, err
	}
	roster, err := s.People.Roster(ctx, it.team)
	if err != nil {
		return Item{}, err
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		now, err := s.still(ctx, tx, who, it, Editor)
		if err != nil {
			return nil, err
		}
		if !now.Critical { // what was critical already lacks no more than before
			if err := s.enoughHolders(d.Critical, now.Holders, roster); err != nil {
				return nil, err
			}
		}
		set, due, dated := us(now.Set), now.due, v.mainSet || d.Rotate != now.Rotate
		if v.mainSet {
			set, due = us(tx.Now()), dueAfter(tx.Now(), d.Rotate)
		} else if d.Rotate != now.Rotate {
			due = dueAfter(now.Set, d.Rotate)
		}
		if _, err := tx.Exec(ctx, updateItem, it.ID, v.version, v.head, d.Critical, d.Sensitive, int64(d.Rotate), due, set, v.vendor, v.hosts, v.password, us(tx.Now()), who.String(), dated); err != nil {
			return nil, err
		}
		return done(v), s.store(ctx, tx, who, v)
	})
	if err != nil {
		return Item{}, fmt.Errorf("change an item: %w", err)
	}
	return s.Show(ctx, who, it.ID)
}

func changedMeanwhile() error {
	return fault.New(fault.Conflict, "item_changed", fault.Public{Problem: "The item was changed by somebody else meanwhile.", Next: "Look at it again, and then at what you want to change."})
}

// still holds an item inside a change: it must be as it was looked at, and who acts must still
// have it. Two statements, because the writer is everybody's.
func (s *Service) still(ctx context.Context, tx *ledger.Tx, who actor.Actor, it row, need Level) (row, error) {
	n, err := tx.Exec(ctx, lockSame, it.ID, it.Version, it.deleted != nil)
	if err == nil && n != 1 {
		err = changedMeanwhile()
	}
	if err != nil {
		return row{}, err
	}
	it.Holders, it.Out = nil, nil
	err = tx.Each(ctx, holdersAndOut, func(scan ledger.Scan) error {
		var h Holder
		var until int64
		if err := scan(&h.Who, (*string)(&h.Level), &until); err != nil {
			return err
		}
		if until > 0 {
			it.Out = &Out{Person: h.Who, Until: at(until)}
		} else {
			it.Holders = append(it.Holders, h)
		}
		return nil
	}, it.ID)
	if err != nil {
		return row{}, err
	}
	if it.Level = levelOf(who, it.Holders); it.Level.rank() < need.rank() {
		return row{}, unknown()
	}
	return it, it.free(who, tx.Now())
}

// dueAfter is the date of the next replacement.
func dueAfter(set time.Time, days int) *int64 {
	if days == 0 {
		return nil
	}
	n := us(set.AddDate(0, 0, days))
	return &n
}

// Delete takes an item out of use. An owner can take that back for 30 days; then it is erased.
func (s *Service) Delete(ctx context.Context, who actor.Actor, id string) error {
	it, err := s.guard(ctx, who, access.VaultItems, id, Owner)
	if err != nil {
		return err
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := s.still(ctx, tx, who, it, Owner); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, deleteItem, id, us(tx.Now())); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, endLinks, id, us(tx.Now()))
		return ItemDeleted{Item: id, Until: tx.Now().Add(keptDeleted)}, err
	})
	if err != nil {
		return fmt.Errorf("delete an item: %w", err)
	}
	return nil
}

// Undelete takes a deletion back.
func (s *Service) Undelete(ctx context.Context, who actor.Actor, id string) (Item, error) {
	it, err := s.guard(ctx, who, access.VaultItems, id, "")
	if err != nil {
		return Item{}, err
	}
	if it.Deleted.IsZero() {
		return Item{}, fault.New(fault.Conflict, "item_live", fault.Public{Problem: "The item is not deleted."})
	}
	if it.Level != Owner {
		return Item{}, s.DB.Refuse(ctx, who, ItemRefused{Item: id, Code: "level"}, unknown())
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := s.still(ctx, tx, who, it, Owner); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, undeleteItem, id)
		return ItemUndeleted{Item: id}, err
	})
	if err != nil {
		return Item{}, fmt.Errorf("take an item back: %w", err)
	}
	return s.Show(ctx, who, id)
}

const (
	insertItem = `INSERT INTO vault_item (id, team, kind, version, head, critical, sensitive, rotate, due, secret_set, vendor, host, password, made, changed, changed_by, deleted)
		VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14, NULL)`
	updateItem    = `UPDATE vault_item SET version = $2, head = $3, critical = $4, sensitive = $5, rotate = $6, due = CASE WHEN $14 THEN $7 ELSE due END, secret_set = $8, vendor = $9, host = $10, password = $11, changed = $12, changed_by = $13 WHERE id = $1`
	lockItem      = `UPDATE vault_item SET version = version WHERE id = $1`
	lockSame      = `UPDATE vault_item SET version = version WHERE id = $1 AND version = $2 AND (deleted IS NOT NULL) = $3`
	holdersAndOut = `SELECT who, level, 0 FROM vault_item_holder WHERE item = $1 UNION ALL SELECT person, '', until FROM vault_item_out WHERE item = $1`
	insertVersion = `INSERT INTO vault_item_version (item, version, head, fields, changed, changed_by) VALUES ($1, $2, $3, $4, $5, $6)`
	insertFields  = `INSERT INTO vault_item_field (item, version, field, origin, value) VALUES`
	pruneFields   = `DELETE FROM vault_item_field WHERE item = $1 AND version <= $2`
	pruneVersions = `DELETE FROM vault_item_version WHERE item = $1 AND version <= $2`
	deleteItem    = `UPDATE vault_item SET deleted = $2 WHERE id = $1`
	undeleteItem  = `UPDATE vault_item SET deleted = NULL WHERE id = $1`
	endLinks      = `UPDATE vault_item_link SET ended = $2 WHERE item = $1 AND opened IS NULL AND ended IS NULL`
)
