package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/web"
)

// Saw notes, inside the change that records it, that somebody is about to see a value of a
// thing ("param/ID", "item/ID/FIELD"). version is the one at which that value first came.
func (s *Service) Saw(ctx context.Context, tx *ledger.Tx, who actor.Actor, thing string, version int64) error { // clause: vault.access-logged
	return saw(ctx, tx, who, thing, version, us(tx.Now()))
}

// saw notes that somebody knows a value; given is when they were handed it, 0 = they wrote it.
// Times are those of the first read of a minute; the entries of the journal have each.
func saw(ctx context.Context, tx *ledger.Tx, who actor.Actor, thing string, version, given int64) error {
	if _, err := tx.Exec(ctx, upsertSeen, who.String(), teamOf(who), thing, version, us(tx.Now()), given); err != nil {
		return fmt.Errorf("note who saw %s: %w", thing, err)
	}
	return nil
}

// lastRead is when a parameter's value was last handed to anybody, in any version; zero = never.
func (s *Service) lastRead(ctx context.Context, param string) (time.Time, error) {
	var n *int64
	if err := ledger.One(ctx, s.DB, `SELECT MAX(given) FROM vault_seen WHERE thing = $1`, []any{&n}, "param/"+param); err != nil {
		return time.Time{}, fmt.Errorf("read when a parameter was last read: %w", err)
	}
	if n == nil || *n == 0 {
		return time.Time{}, nil
	}
	return time.UnixMicro(*n).UTC(), nil
}

// Unseen forgets who saw a thing, because the thing is gone.
func Unseen(ctx context.Context, tx *ledger.Tx, thing string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM vault_seen WHERE thing = $1`, thing); err != nil {
		return fmt.Errorf("forget who saw %s: %w", thing, err)
	}
	return nil
}

// UnseenUnder forgets who saw the parts of a thing ("item/ID"), also those that it no longer has.
func UnseenUnder(ctx context.Context, tx *ledger.Tx, thing string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM vault_seen WHERE thing LIKE $1`, thing+"/%"); err != nil { // an id has no sign that LIKE knows
		return fmt.Errorf("forget who saw %s: %w", thing, err)
	}
	return nil
}

// Now tells what a thing is called, and at which version the value that it has now first
// came; fault.NotFound when it is gone.
type Now func(ctx context.Context, thing string) (name string, version int64, err error)

// Things has things of another kind than parameters looked up by fn. It is called while the
// server is put together.
func (s *Service) Things(kind string, fn Now) { s.things[kind] = fn }

// nowParam is the Now of parameters.
func (s *Service) nowParam(ctx context.Context, thing string) (name string, version int64, err error) {
	err = ledger.One(ctx, s.DB, nowOfParam, []any{textInto{&name}, &version}, strings.TrimPrefix(thing, "param/"))
	return name, version, err
}

// Seen is a secret that somebody saw, with the value that it still has.
type Seen struct {
	Thing   string
	Name    string
	Version int64
	At      time.Time // the last time
}

// SeenBy lists what somebody (kind/id) saw and what has not changed since: what is to be
// replaced when they leave.
func (s *Service) SeenBy(ctx context.Context, who actor.Actor, whose string) ([]Seen, error) { // clause: vault.access-logged
	if whose != who.String() { // one's own list is one's own
		if err := s.Access.Allow(ctx, who, access.VaultAudit, whose); err != nil {
			return nil, err
		}
	}
	if kind, id, ok := strings.Cut(whose, "/"); !ok || kind == "" || id == "" {
		return nil, fault.New(fault.Invalid, "seen_who", fault.Public{Problem: "That is nobody.", Expected: "A kind and an id, such as person/01J…", Next: "Look at the list of people."})
	}
	return s.Known(ctx, teamOf(who), whose)
}

// KnownBy lists who (kind/id) saw or wrote a parameter's value as it is now, and when last.
func (s *Service) KnownBy(ctx context.Context, who actor.Actor, name string) ([]Seen, error) { // clause: vault.access-logged
	if err := s.Access.Allow(ctx, who, access.VaultAudit, "param"+rooted(name)); err != nil {
		return nil, err
	}
	p, err := readParam(ctx, s.DB, teamOf(who), name)
	if err != nil {
		return nil, err
	}
	var out []Seen
	err = s.DB.Each(ctx, selectKnowers, func(scan ledger.Scan) error {
		v := Seen{Thing: "param/" + p.ID}
		err := scan(&v.Name, timeInto{&v.At})
		out = append(out, v)
		return err
	}, "param/"+p.ID, p.ID, p.Version)
	if err != nil {
		return nil, fmt.Errorf("read who saw a parameter: %w", err)
	}
	return out, nil
}

// Known is what somebody (kind/id) still knows of a team's secrets, for modules that tell of
// it; who may ask was asked.
func (s *Service) Known(ctx context.Context, team, whose string) ([]Seen, error) {
	var rows, out []Seen
	err := s.DB.Each(ctx, selectSeen, func(scan ledger.Scan) error {
		var v Seen
		err := scan(&v.Thing, &v.Version, timeInto{&v.At})
		rows = append(rows, v)
		return err
	}, whose, team)
	if err != nil {
		return nil, fmt.Errorf("read what somebody saw: %w", err)
	}
	for _, v := range rows {
		kind, _, _ := strings.Cut(v.Thing, "/")
		now := s.things[kind]
		if now == nil {
			return nil, fmt.Errorf("what is a thing of kind %q?", kind)
		}
		name, version, err := now(ctx, v.Thing)
		if errors.Is(err, fault.NotFound) || err == nil && version != v.Version {
			continue // gone, or another value by now
		}
		if err != nil {
			return nil, fmt.Errorf("look up what somebody saw: %w", err)
		}
		v.Name = name
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Seen) int { return strings.Compare(a.Name+"\x00"+a.Thing, b.Name+"\x00"+b.Thing) })
	return out, nil
}

// Knowers are the ids of all people who saw or wrote something of a team, one look at an index
// for each.
func (s *Service) Knowers(ctx context.Context, team string) (out []string, err error) {
	for last := "person/"; ; {
		var next *string
		if err := ledger.One(ctx, s.DB, nextKnower, []any{&next}, team, last, "person0"); err != nil {
			return nil, fmt.Errorf("read who saw secrets: %w", err)
		}
		if next == nil {
			return out, nil
		}
		last = *next
		out = append(out, strings.TrimPrefix(last, "person/"))
	}
}

// probeLeavers counts what people who left still know: a secret may be used by whoever has
// seen it, so it is to be replaced when they go.
func (s *Service) probeLeavers(ctx context.Context) (clause.Result, error) { // clause: crypto.key-rotation
	var who []string
	teams := map[string][]string{}
	err := s.DB.Each(ctx, `SELECT DISTINCT who, team FROM vault_seen ORDER BY who`, func(scan ledger.Scan) error {
		var w, team string
		err := scan(&w, &team)
		if len(teams[w]) == 0 {
			who = append(who, w)
		}
		teams[w] = append(teams[w], team)
		return err
	})
	if err != nil {
		return clause.Result{}, fmt.Errorf("read who saw secrets: %w", err)
	}
	var people, left, secrets int64
	for _, w := range who {
		if !strings.HasPrefix(w, "person/") {
			continue
		}
		people++
		if _, err := s.ownerOf(ctx, w); err == nil {
			continue
		} else if !errors.Is(err, fault.Denied) {
			return clause.Result{}, fmt.Errorf("find who saw a secret: %w", err)
		}
		for _, team := range teams[w] {
			known, err := s.Known(ctx, team, w)
			if err != nil {
				return clause.Result{}, err
			}
			secrets += int64(len(known))
			if len(known) > 0 {
				left++
			}
		}
	}
	r := clause.Passed(fmt.Sprintf("of %d people who saw or wrote secrets, %d left and still know %d that were not replaced", people, left, secrets))
	if r.Population = people; secrets > 0 {
		r.Outcome = clause.Fail
		r.Summary += ": writ vault seen person/ID lists them"
	}
	return r, nil
}

type (
	seenWire struct {
		Thing   string    `json:"thing"`
		Name    string    `json:"name"`
		Version int64     `json:"version"`
		At      time.Time `json:"at"` // the last time
	}
	seenOut struct {
		Who  string     `json:"who"`
		Seen []seenWire `json:"seen"`
	}
)

func (s *Service) getSeen(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	whose := r.URL.Query().Get("who")
	seen, err := s.SeenBy(r.Context(), who, whose)
	if err != nil {
		return err
	}
	out := seenOut{Who: whose, Seen: []seenWire{}}
	for _, v := range seen {
		out.Seen = append(out.Seen, seenWire(v))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

const (
	upsertSeen = `INSERT INTO vault_seen (who, team, thing, version, at, given) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (who, thing, version) DO UPDATE SET at = excluded.at, given = excluded.given WHERE excluded.given >= vault_seen.given + 60000000`
	nextKnower    = `SELECT MIN(who) FROM vault_seen WHERE team = $1 AND who > $2 AND who < $3`
	selectSeen    = `SELECT thing, version, at FROM vault_seen WHERE who = $1 AND team = $2 ORDER BY thing`
	selectKnowers = `SELECT s.who, s.at FROM vault_seen s JOIN vault_version v ON v.param = $2 AND v.version = $3 AND v.origin = s.version WHERE s.thing = $1 ORDER BY s.who LIMIT 1000`
	nowOfParam    = `SELECT p.name, v.origin FROM vault_param p JOIN vault_version v ON v.param = p.id AND v.version = p.version WHERE p.id = $1`
)
