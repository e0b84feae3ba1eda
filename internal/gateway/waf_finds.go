package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/ledger"
)

// find is what makes a rule's match the same as another, beside its caller. The text
// that matched is nowhere.
type find struct {
	rule                           int
	variable, field, route, method string
	mode                           string
	refused                        bool
}

type findKey struct {
	kind actor.Kind
	id   string
	find
}

// counted is what has no entry yet.
type counted struct {
	who    actor.Actor
	n      int64
	total  int64 // of this minute
	length int   // the longest
	told   bool  // the first of this minute has its entry
}

// finds are the matches since the last flush. Who sprays is counted without his name, and
// past that only in number.
type finds struct {
	mu   sync.Mutex
	all  map[findKey]*counted
	lost int64
}

const maxFinds = 1024

func (f *finds) init() { f.all = map[findKey]*counted{} }

func (f *finds) add(who actor.Actor, what find, length int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := findKey{who.Kind, who.ID, what}
	c := f.all[k]
	if c == nil && len(f.all) >= maxFinds {
		who = actor.System("gateway")
		k.kind, k.id, k.field = who.Kind, who.ID, ""
		c = f.all[k]
	}
	if c == nil {
		if len(f.all) >= 2*maxFinds {
			f.lost++
			return
		}
		c = &counted{who: who}
		f.all[k] = c
	}
	c.n, c.total = c.n+1, c.total+1
	c.length = max(c.length, length)
}

// take hands over what has no entry yet: the first of each kind, or at a minute's end all.
func (f *finds) take(end bool) map[findKey]counted {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[findKey]counted{}
	for k, c := range f.all {
		if c.n > 0 && (end || !c.told) {
			out[k] = *c
			c.n, c.told = 0, true
		}
	}
	if end {
		f.all = map[findKey]*counted{}
	}
	return out
}

// restore puts back what could not be recorded.
func (f *finds) restore(k findKey, c counted) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if have := f.all[k]; have != nil {
		have.n += c.n
	} else {
		f.all[k] = &c
	}
}

var (
	plainField = regexp.MustCompile(`^[A-Za-z_$@*][A-Za-z0-9_.$@*\[\]-]{0,63}$`)
	longDigits = regexp.MustCompile(`[0-9]{6,}`)
)

// fieldName is a field as it may stand in a record: a client makes names up, and could
// put anything into one. A place in a list is *, so that an exception holds for all of it.
func fieldName(name string) string {
	if name == "" {
		return ""
	}
	parts := strings.Split(name, ".")
	for i, p := range parts {
		if p != "" && strings.Trim(p, "0123456789") == "" {
			parts[i] = "*"
		}
	}
	if name = strings.Join(parts, "."); plainField.MatchString(name) && !longDigits.MatchString(name) {
		return name
	}
	return "?"
}

// flushFinds makes entries of the finds, and adds them to what is reviewed.
func (g *Gateway) flushFinds(ctx context.Context, end bool) error {
	taken := g.watch.finds.take(end)
	if len(taken) == 0 {
		return nil
	}
	by := map[string][]findKey{}
	for k := range taken {
		who := string(k.kind) + "/" + k.id
		by[who] = append(by[who], k)
	}
	var errs []error
	for _, keys := range by {
		slices.SortFunc(keys, func(a, b findKey) int {
			return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.route, b.route), cmp.Compare(a.variable, b.variable), cmp.Compare(a.field, b.field))
		})
		for part := range slices.Chunk(keys, entriesAChange) {
			if err := g.recordFinds(ctx, part, taken); err != nil {
				errs = append(errs, err)
				for _, k := range part {
					g.watch.finds.restore(k, taken[k])
				}
			}
		}
	}
	return errors.Join(errs...)
}

func (g *Gateway) recordFinds(ctx context.Context, keys []findKey, taken map[findKey]counted) error {
	_, err := g.db.Change(ctx, taken[keys[0]].who, func(tx *ledger.Tx) (ledger.Event, error) {
		var first ledger.Event
		for i, k := range keys {
			c := taken[k]
			if _, err := tx.Exec(ctx, addFind, k.rule, k.route, k.variable, k.field, c.n, tx.Now().UnixMicro(), k.refused); err != nil {
				return nil, err //nolint:wrapcheck // the ledger says what failed
			}
			e := WAFMatched{Rule: int64(k.rule), Variable: k.variable, Field: k.field, Length: int64(c.length), Route: k.route, Method: k.method, Mode: k.mode, Refused: k.refused, Count: c.n}
			if i == 0 {
				first = e
			} else {
				tx.Also(e)
			}
		}
		return first, nil
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

// findsKept is how long a find is shown for review after it was last seen.
const (
	findsKept = 30 * 24 * time.Hour
	mostFinds = 2000
)

// Find is one group of matches, for review: the same rule at the same place.
type Find struct {
	Rule     int64     `json:"rule"`
	Route    string    `json:"route"`
	Variable string    `json:"variable"`
	Field    string    `json:"field,omitempty"`
	Count    int64     `json:"count"`
	Refused  bool      `json:"refused"` // the last of them was
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// Finds lists what the rules found in the last days, the newest first.
func (g *Gateway) Finds(ctx context.Context) ([]Find, error) {
	var all []Find
	err := g.db.Each(ctx, listFinds, func(scan ledger.Scan) error {
		var f Find
		var first, last int64
		err := scan(&f.Rule, &f.Route, &f.Variable, &f.Field, &f.Count, &f.Refused, &first, &last)
		f.First, f.Last = time.UnixMicro(first).UTC(), time.UnixMicro(last).UTC()
		all = append(all, f)
		return err
	}, g.now().Add(-findsKept).UnixMicro(), 200)
	if err != nil {
		return nil, fmt.Errorf("list finds: %w", err)
	}
	return all, nil
}

// forgetFinds leaves out of the review what was not seen for long, or is too much to be reviewed.
func (g *Gateway) forgetFinds(ctx context.Context) error {
	return g.db.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error { //nolint:wrapcheck // the ledger says what failed
		if _, err := tx.Exec(ctx, dropFinds, tx.Now().Add(-findsKept).UnixMicro()); err != nil {
			return err //nolint:wrapcheck // the ledger says what failed
		}
		_, err := tx.Exec(ctx, trimFinds, mostFinds)
		return err //nolint:wrapcheck // the ledger says what failed
	})
}

const (
	addFind = `INSERT INTO gateway_waf_seen (rule, route, variable, field, n, first_seen, last_seen, refused) VALUES ($1, $2, $3, $4, $5, $6, $6, $7)
		ON CONFLICT (rule, route, variable, field) DO UPDATE SET n = gateway_waf_seen.n + excluded.n, last_seen = excluded.last_seen, refused = excluded.refused`
	listFinds = `SELECT rule, route, variable, field, n, refused, first_seen, last_seen FROM gateway_waf_seen WHERE last_seen > $1 ORDER BY last_seen DESC, rule LIMIT $2`
	dropFinds = `DELETE FROM gateway_waf_seen WHERE last_seen <= $1`
	trimFinds = `DELETE FROM gateway_waf_seen WHERE last_seen < (SELECT MIN(last_seen) FROM (SELECT last_seen FROM gateway_waf_seen ORDER BY last_seen DESC LIMIT $1) AS newest)`
)
