package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Selector says which version of a parameter: by number, by label, or the newest.
type Selector struct {
	Name    string
	Version int64
	Label   string
}

// ParseSelector reads NAME, NAME:VERSION or NAME:LABEL.
func ParseSelector(typed string) (Selector, error) {
	name, which, picked := strings.Cut(strings.TrimSpace(typed), ":")
	n, err := parseName(name)
	if err != nil {
		return Selector{}, err
	}
	s := Selector{Name: n}
	switch v, err := strconv.ParseInt(which, 10, 64); {
	case !picked:
	case err == nil && v > 0:
		s.Version = v
	case goodLabel(which):
		s.Label = which
	default:
		return Selector{}, fault.Newf(fault.Invalid, "selector", "%q is neither a version nor a label.", which)
	}
	return s, nil
}

// String is the selector's part after the name, as clients want it back.
func (s Selector) String() string {
	switch {
	case s.Version > 0:
		return ":" + strconv.FormatInt(s.Version, 10)
	case s.Label != "":
		return ":" + s.Label
	}
	return ""
}

// Read is how values are asked for.
type Read struct {
	Decrypt bool   // a SecureString's text too
	Reason  string // why; personal
}

// MayRead refuses, and records, whoever may not read the name.
func (s *Service) MayRead(ctx context.Context, who actor.Actor, name string) error {
	_, err := s.named(ctx, who, access.VaultRead, name)
	return err
}

// Get reads one parameter. The read is in the record before the value is in the caller's
// hands.
func (s *Service) Get(ctx context.Context, who actor.Actor, sel Selector, how Read) (Value, error) {
	if err := s.may(ctx, who, access.VaultRead, sel.Name); err != nil {
		return Value{}, err
	}
	v, err := s.value(ctx, teamOf(who), sel, how)
	if err != nil {
		return Value{}, err
	}
	if err := s.seen(ctx, who, how, v); err != nil {
		return Value{}, err
	}
	return v, nil
}

// Found is a value and what it was asked for by.
type Found struct {
	Value
	Asked Selector
}

// GetMany reads several, and says which are not there. Doubles are read once.
func (s *Service) GetMany(ctx context.Context, who actor.Actor, sels []Selector, how Read) (found []Found, missing []Selector, err error) {
	var vs []Value
	sels = slices.Clone(sels)
	slices.SortFunc(sels, func(a, b Selector) int { return strings.Compare(a.Name+a.String(), b.Name+b.String()) })
	for _, sel := range slices.Compact(sels) {
		if err := s.may(ctx, who, access.VaultRead, sel.Name); err != nil {
			return nil, nil, err
		}
		v, err := s.value(ctx, teamOf(who), sel, how)
		switch {
		case errors.Is(err, fault.NotFound):
			missing = append(missing, sel)
		case err != nil:
			return nil, nil, err
		default:
			found, vs = append(found, Found{v, sel}), append(vs, v)
		}
	}
	return found, missing, s.seen(ctx, who, how, vs...)
}

// value reads and opens one version; who may see it was asked before.
func (s *Service) value(ctx context.Context, team string, sel Selector, how Read) (Value, error) {
	if sel.Version == 0 && sel.Label == "" {
		return s.newest(ctx, team, sel.Name, how)
	}
	p, err := readParam(ctx, s.DB, team, sel.Name)
	if err != nil {
		return Value{}, err
	}
	if sel.Label != "" {
		if err := ledger.One(ctx, s.DB, versionOfLabel, []any{&sel.Version}, p.ID, sel.Label); errors.Is(err, fault.NotFound) {
			return Value{}, errNoVersion(p.Name, sel.Label)
		} else if err != nil {
			return Value{}, err
		}
	}
	v := Value{Param: Param{ID: p.ID, Name: p.Name}}
	var box []byte
	err = ledger.One(ctx, s.DB, selectVersion+` AND version = $2`, append(v.versionDest(), &box), p.ID, sel.Version)
	if errors.Is(err, fault.NotFound) {
		return Value{}, errNoVersion(p.Name, strconv.FormatInt(sel.Version, 10))
	}
	if err != nil {
		return Value{}, fmt.Errorf("read version: %w", err)
	}
	return v, s.unseal(ctx, team, &v, box, how)
}

// newest is what most reads want: one statement finds it.
func (s *Service) newest(ctx context.Context, team, name string, how Read) (Value, error) {
	read := func() (newest, error) {
		n := newest{Value: Value{Param: Param{Name: name}}}
		err := ledger.One(ctx, s.DB, selectNewest, append(append([]any{&n.ID}, n.versionDest()...), &n.box), team, []byte(name))
		return n, err
	}
	var n newest
	var err error
	if s.DB.Engine() == "sqlite" { // one process writes there, and it knows what it wrote
		n, err = s.values.Get(s.DB, team+"\x00"+name, read)
	} else {
		n, err = read()
	}
	if errors.Is(err, fault.NotFound) {
		return Value{}, errNoParam(name)
	}
	if err != nil {
		return Value{}, fmt.Errorf("read the newest version: %w", err)
	}
	v := n.Value
	return v, s.unseal(ctx, team, &v, n.box, how)
}

// newest is the newest version of a parameter as it lies there, its value sealed.
type newest struct {
	Value
	box []byte
}

// newestKept keeps what was read last, until somebody writes to parameters.
func newestKept() *ledger.Memo[newest] {
	return &ledger.Memo[newest]{Of: []string{"vault_param", "vault_version", "vault_tag"}, Most: 1024}
}

// unseal opens a value where it was asked for; a text of another type is never withheld.
func (s *Service) unseal(ctx context.Context, team string, v *Value, box []byte, how Read) error {
	if v.Type == SecureString && !how.Decrypt {
		v.Sealed = true
		return nil
	}
	b, err := s.open(ctx, valueAt(team, v.ID, v.Version), box)
	if err != nil {
		return err
	}
	defer b.Wipe()
	v.Text = secret.NewText(string(b.Reveal()))
	return nil
}

func errNoVersion(name, which string) *fault.Error {
	return fault.New(fault.NotFound, "version_unknown", fault.Public{
		Problem: "Systems Manager could not find version " + which + " of " + name + ". Verify the version and try again."})
}

// seen records a read of values, one entry for each call; nothing leaves when it cannot.
func (s *Service) seen(ctx context.Context, who actor.Actor, how Read, vs ...Value) error { // clause: vault.access-logged
	if len(vs) == 0 {
		return nil
	}
	ev := ParamsRead{Decrypted: how.Decrypt, Via: who.Via, Count: int64(len(vs)), Why: how.Reason}
	for _, v := range vs {
		ev.Names = append(ev.Names, v.Name+":"+strconv.FormatInt(v.Version, 10))
	}
	if k, ok := keyOf(who); ok {
		ev.AccessKey = k.id
	}
	if len(vs) == 1 {
		ev.Param = vs[0].ID
	}
	planted := plantedReads(who, vs)
	_, err := s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		for _, v := range vs {
			if v.Sealed {
				continue
			}
			if err := s.Saw(ctx, tx, who, "param/"+v.ID, v.Origin); err != nil {
				return nil, err
			}
		}
		for _, r := range planted {
			tx.Also(r)
		}
		return ev, nil
	})
	if err != nil {
		return fmt.Errorf("record the read: %w", err)
	}
	return nil
}

// maxPage bounds how many versions one entry names.
const maxPage = 50

// versionDest is where a row of selectVersion goes.
func (v *Value) versionDest() []any {
	return []any{&v.Version, (*string)(&v.Type), &v.KeyID, &v.Tier, &v.DataType, &v.Pattern, &v.Description, lifecycleInto{&v.Lifecycle}, timeInto{&v.Changed}, &v.ChangedBy, &v.Origin, &v.planted}
}

// Page is a place in a list that is read in parts: the last name or version seen.
type Page struct {
	After string
	Max   int
}

// ByPath reads the parameters under a path, in the order of their names, and says where
// the next page begins ("" = there is none).
func (s *Service) ByPath(ctx context.Context, who actor.Actor, q Query, how Read, page Page) ([]Value, string, error) {
	path, err := s.pathed(ctx, who, access.VaultRead, q.Path)
	if err != nil {
		return nil, "", err
	}
	q.Path = path
	ps, next, err := s.find(ctx, teamOf(who), q, page)
	if err != nil {
		return nil, "", err
	}
	var vs []Value
	for _, p := range ps {
		v, err := s.value(ctx, teamOf(who), Selector{Name: p.Name, Label: q.Label}, how)
		if q.Label != "" && errors.Is(err, fault.NotFound) {
			continue
		}
		if errors.Is(err, fault.NotFound) { // deleted in between
			continue
		}
		if err != nil {
			return nil, "", err
		}
		vs = append(vs, v)
	}
	return vs, next, s.seen(ctx, who, how, vs...)
}

// History reads the versions of a parameter, the oldest first.
func (s *Service) History(ctx context.Context, who actor.Actor, name string, how Read, page Page) ([]Value, string, error) {
	name, err := s.named(ctx, who, access.VaultRead, name)
	if err != nil {
		return nil, "", err
	}
	team := teamOf(who)
	p, err := readParam(ctx, s.DB, team, name)
	if err != nil {
		return nil, "", err
	}
	after, err := strconv.ParseInt("0"+page.After, 10, 64)
	if err != nil {
		return nil, "", fault.New(fault.Invalid, "page", fault.Public{Problem: "The token of the page is not good.", Next: "Begin with the first page."})
	}
	labels, err := labelsOf(ctx, s.DB, p.ID)
	if err != nil {
		return nil, "", err
	}
	most := min(max(page.Max, 1), maxPage)
	var vs []Value
	var boxes [][]byte
	err = s.DB.Each(ctx, selectVersion+` AND version > $2 ORDER BY version LIMIT $3`, func(scan ledger.Scan) error {
		v := Value{Param: Param{ID: p.ID, Name: name}}
		var box []byte
		if err := scan(append(v.versionDest(), &box)...); err != nil {
			return err
		}
		v.Labels = labels[v.Version]
		vs, boxes = append(vs, v), append(boxes, box)
		return nil
	}, p.ID, after, most+1)
	if err != nil {
		return nil, "", fmt.Errorf("read history: %w", err)
	}
	next := ""
	if len(vs) > most {
		vs = vs[:most]
		next = strconv.FormatInt(vs[most-1].Version, 10)
	}
	for i := range vs {
		if err := s.unseal(ctx, team, &vs[i], boxes[i], how); err != nil {
			return nil, "", err
		}
	}
	return vs, next, s.seen(ctx, who, how, vs...)
}

const (
	versionOfLabel = `SELECT version FROM vault_label WHERE param = $1 AND label = $2`
	selectVersion  = `SELECT version, type, key_id, tier, data_type, pattern, description, lifecycle, changed, changed_by, origin,
		EXISTS (SELECT 1 FROM vault_tag t WHERE t.param = vault_version.param AND t.name = '` + plantedTag + `'), value FROM vault_version WHERE param = $1`
	selectNewest = `SELECT p.id, v.version, v.type, v.key_id, v.tier, v.data_type, v.pattern, v.description, v.lifecycle, v.changed, v.changed_by, v.origin,
		EXISTS (SELECT 1 FROM vault_tag t WHERE t.param = p.id AND t.name = '` + plantedTag + `'), v.value
		FROM vault_param p JOIN vault_version v ON v.param = p.id AND v.version = p.version WHERE p.team = $1 AND p.name = $2`
)
