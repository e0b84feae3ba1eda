package vault

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Query says which parameters. Empty fields match all. A field with several values
// matches any of them.
type Query struct {
	Path      string // "" = the names that no path holds too
	Recursive bool   // below the path at any depth
	Name      Match
	Types     Match
	Keys      Match
	Tiers     Match
	DataTypes Match
	Tags      map[string]Match
	Label     string // of values: the version that has it

	also func(Param) bool
	then func(context.Context, Param) (bool, error) // of what matches all else
}

// Match compares one field.
type Match struct {
	How    How
	Values []string
}

// How a Match compares.
type How string

// The ways to compare; the zero Match matches everything.
const (
	Equals     How = "Equals"
	BeginsWith How = "BeginsWith"
	Contains   How = "Contains"
)

func (m Match) is(v string) bool {
	if len(m.Values) == 0 {
		return true
	}
	return slices.ContainsFunc(m.Values, func(want string) bool {
		switch m.How {
		case BeginsWith:
			return strings.HasPrefix(v, want)
		case Contains:
			return strings.Contains(v, want)
		}
		return v == want
	})
}

// matches holds a parameter against all of the query but its tags.
func (q *Query) matches(p Param) bool {
	if q.Path != "" && q.Path != "/" && (!under(p.Name, q.Path) || p.Name == q.Path) {
		return false
	}
	if q.Path != "" && !q.Recursive && strings.Contains(strings.TrimPrefix(strings.TrimPrefix(rooted(p.Name), q.Path), "/"), "/") {
		return false
	}
	return q.Name.is(p.Name) && q.Types.is(string(p.Type)) && q.Keys.is(p.KeyID) && q.Tiers.is(p.Tier) && q.DataTypes.is(p.DataType) && (q.also == nil || q.also(p))
}

// List lists parameters without their values, in the order of their names.
func (s *Service) List(ctx context.Context, who actor.Actor, q Query, page Page) ([]Param, string, error) {
	path, err := s.pathed(ctx, who, access.VaultList, cmp.Or(q.Path, "/"))
	if err != nil {
		return nil, "", err
	}
	if q.Path != "" {
		q.Path = path
	}
	return s.find(ctx, teamOf(who), q, page)
}

// stride is how many names are looked at in one statement, and looked the most in one
// call: what does not match costs time too, and a page may come back short.
const (
	stride = 500
	looked = 20 * stride
)

// find walks the names from the page's place on.
func (s *Service) find(ctx context.Context, team string, q Query, page Page) (out []Param, next string, err error) {
	most := min(max(page.Max, 1), maxPage)
	from, low, high := page.After, "", "\U0010ffff"
	if q.Path != "" && q.Path != "/" {
		low, high = q.Path+"/", q.Path+"0" // "0" follows "/"
	}
	for seen := 0; ; {
		n, last := 0, ""
		var found []Param
		err := s.DB.Each(ctx, selectParam+` WHERE team = $1 AND name > $2 AND name >= $3 AND name < $4 ORDER BY name LIMIT $5`, func(scan ledger.Scan) error {
			var p Param
			if err := scan(p.dest()...); err != nil {
				return err
			}
			n, last = n+1, p.Name
			if q.matches(p) {
				found = append(found, p)
			}
			return nil
		}, team, []byte(from), []byte(low), []byte(high), stride)
		if err != nil {
			return nil, "", fmt.Errorf("list parameters: %w", err)
		}
		for _, p := range found {
			ok, err := s.tagged(ctx, p.ID, q.Tags)
			if ok && q.then != nil {
				ok, err = q.then(ctx, p)
			}
			if err != nil {
				return nil, "", err
			}
			if !ok {
				continue
			}
			if len(out) == most {
				return out, out[most-1].Name, nil
			}
			out = append(out, p)
		}
		if n < stride {
			return out, "", nil
		}
		if from, seen = last, seen+n; seen >= looked {
			return out, last, nil
		}
	}
}

func (s *Service) tagged(ctx context.Context, param string, want map[string]Match) (bool, error) {
	if len(want) == 0 {
		return true, nil
	}
	have, err := tagsOf(ctx, s.DB, param)
	if err != nil {
		return false, err
	}
	for name, m := range want {
		if !slices.ContainsFunc(have, func(t Tag) bool { return t.Name == name && m.is(t.Value) }) {
			return false, nil
		}
	}
	return true, nil
}

// Delete removes a parameter with all its versions, labels and tags, unless a legal hold
// keeps it. The record keeps that it was there.
func (s *Service) Delete(ctx context.Context, who actor.Actor, name string) error {
	name, err := s.named(ctx, who, access.VaultWrite, name)
	if err != nil {
		return err
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		p, err := readParam(ctx, tx.Holding(), teamOf(who), name)
		if err == nil {
			err = s.held(ctx, tx, teamOf(who))
		}
		if err != nil {
			return nil, err
		}
		return ParamDeleted{Param: p.ID, Name: name, Version: p.Version, Cause: "asked"}, deleteParam(ctx, tx, p.ID)
	})
	if IsHeld(err) {
		return s.DB.Refuse(ctx, who, DeleteRefused{Name: name, Cause: "held"}, err)
	}
	if err != nil {
		return fmt.Errorf("delete parameter: %w", err)
	}
	return nil
}

func deleteParam(ctx context.Context, tx *ledger.Tx, id string) error {
	for _, q := range []string{`DELETE FROM vault_label WHERE param = $1`, `DELETE FROM vault_tag WHERE param = $1`, `DELETE FROM vault_version WHERE param = $1`, `DELETE FROM vault_param WHERE id = $1`} {
		if _, err := tx.Exec(ctx, q, id); err != nil {
			return err
		}
	}
	return Unseen(ctx, tx, "param/"+id)
}

// ParseHow reads the name of a comparison; "" is Equals.
func ParseHow(s string) (How, error) {
	switch h := How(s); h {
	case "":
		return Equals, nil
	case Equals, BeginsWith, Contains:
		return h, nil
	}
	return "", fault.Newf(fault.Invalid, "how", "%q is not one of Equals, BeginsWith and Contains.", s)
}
