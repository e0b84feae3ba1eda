package watch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/notify"
	"writ/internal/watch/series"
)

// Gauge is a meter that the company declares itself. Its samples are pushed (sample.go).
type Gauge struct {
	Name      string // own.orders
	Kind      string // count, spread, level
	Unit      string // as people write it; at most 16 bytes
	Says      string // what it is, at most 80 bytes
	Every     time.Duration
	Bounds    []Bound // at most one each way
	Made      time.Time
	Changed   time.Time
	ChangedBy string    // kind/id
	Last      time.Time // when the newest sample came to this node; zero = none since its start
}

// Bound is a rule of one's own on a meter: a sample beyond At opens an alarm, or makes one wait
// for For; one at Clear or within it ends it.
type Bound struct {
	Way      string        `json:"way"` // above, below
	At       float64       `json:"at"`
	Clear    float64       `json:"clear"`
	For      time.Duration `json:"for"`
	Severity string        `json:"severity"` // page, ticket, notice
}

// The ways of a bound.
const (
	Above = "above"
	Below = "below"
)

// The bounds of meters of one's own.
const (
	mostGauges  = 200
	mostUnit    = 16
	mostSays    = 80
	fewestEvery = 10 * time.Second
	mostEvery   = 24 * time.Hour
	mostHold    = 24 * time.Hour
	mostValue   = 1e12
	gaugeScale  = 1000 // values are kept in thousandths
	silentAfter = 3    // intervals
	ownMeters   = "own."
)

var goodGauge = regexp.MustCompile(`^own\.[a-z][a-z0-9.-]{0,39}$`)

var gaugeKinds = map[string]series.Kind{"count": series.Count, "spread": series.Spread, "level": series.Gauge}

// gauges are the meters of one's own, as this node knows them.
type gauges struct {
	mu    sync.Mutex
	known map[string]*Gauge // that are there
	seen  map[string]time.Time
	rates map[string]*rate

	rules atomic.Pointer[map[string][]*Rule] // by meter
	words atomic.Pointer[map[string]*Rule]   // by id, of bounds that are there
}

// meter is how series keep it.
func (g *Gauge) meter() series.Meter {
	m := series.Meter{Name: g.Name, Kind: gaugeKinds[g.Kind], Source: pushedFrom + g.Name, Unit: g.Unit, Says: g.Says, Late: sampleAge + sampleAhead, Dimensions: []string{byPart}}
	if m.Kind != series.Count {
		m.Scale = gaugeScale
	}
	return m
}

// pushedFrom begins the names of the sources of pushed samples.
const pushedFrom = "pushed/"

// boundRule is the name of a bound's rule.
func boundRule(meter, way string) string { return meter + "." + way }

// rule is what a bound watches for.
func (g *Gauge) rule(b *Bound) *Rule {
	amount := func(v float64) string {
		return strings.TrimSpace(strconv.FormatFloat(v, 'f', -1, 64) + " " + g.Unit)
	}
	word := map[string]string{Above: "too high", Below: "too low"}[b.Way]
	r := &Rule{ID: boundRule(g.Name, b.Way), Part: Own, Severity: b.Severity, Clause: alarms, Title: g.Says + ": " + word, Says: "A sample of " + g.Name + " is " + b.Way + " " + amount(b.At),
		Next: "See its course (What goes on, Your own), and whatever pushes it.", Reads: g.Name, Above: b.At, Clear: b.Clear, For: b.For, under: b.Way == Below}
	if b.For > 0 {
		r.Says += ", for " + b.For.String()
	}
	return r
}

// check completes a meter, or says what is wrong with it.
func (g *Gauge) check() error {
	g.Name, g.Unit, g.Says = strings.TrimSpace(g.Name), strings.TrimSpace(g.Unit), strings.TrimSpace(g.Says)
	_, kind := gaugeKinds[g.Kind]
	switch {
	case !goodGauge.MatchString(g.Name):
		return bad("name", "The name of the meter is not good.", "own. and then a small letter and at most 39 small letters, digits, points and hyphens, such as own.orders.")
	case !kind:
		return bad("kind", "There is no such kind of meter.", "count (how often), spread (how much each time) or level (how high).")
	case len(g.Unit) > mostUnit || strings.ContainsFunc(g.Unit, notPrinted):
		return bad("unit", "The unit is not good.", "At most 16 bytes, such as ms or orders; empty for a count.")
	case g.Says == "" || len(g.Says) > mostSays || strings.ContainsFunc(g.Says, notPrinted):
		return bad("says", "What the meter is of is missing, or too long.", "1 to 80 bytes, such as: Orders that were paid.")
	case g.Every < fewestEvery || g.Every > mostEvery:
		return bad("every", "The interval is not good.", "How often a sample comes: 10s to 24h. Three times as long without one is an alarm.")
	}
	for i := range g.Bounds {
		if err := g.Bounds[i].check(); err != nil {
			return err
		}
		if slices.ContainsFunc(g.Bounds[:i], func(b Bound) bool { return b.Way == g.Bounds[i].Way }) {
			return bad("bounds", "A meter has one bound each way.", "One above and one below, at most.")
		}
	}
	return nil
}

func notPrinted(r rune) bool { return r < ' ' || r == 0x7f }

func (b *Bound) check() error {
	b.Severity = cmp.Or(b.Severity, notify.Ticket)
	odd := func(v float64) bool { return math.IsNaN(v) || math.Abs(v) > mostValue }
	switch {
	case b.Way != Above && b.Way != Below:
		return bad("bounds", "A bound is above or below.", "above or below.")
	case odd(b.At) || odd(b.Clear):
		return bad("bounds", "A bound is no good number.", "A number of at most a million million, either way.")
	case b.Way == Above && b.Clear > b.At, b.Way == Below && b.Clear < b.At:
		return bad("bounds", "The alarm would clear while it fires.", "A clear value at or below a bound above, at or above a bound below.")
	case b.For < 0 || b.For > mostHold:
		return bad("bounds", "A bound holds for too long before it fires.", "0s to 24h.")
	case !slices.Contains([]string{notify.Page, notify.Ticket, notify.Notice}, b.Severity):
		return bad("bounds", "There is no such severity.", "page, ticket or notice.")
	}
	return nil
}

// spell writes bounds as an entry shows them.
func spellBounds(bs []Bound) (out []string) {
	for _, b := range bs {
		out = append(out, fmt.Sprintf("%s %g until %g, for %s, %s", b.Way, b.At, b.Clear, b.For, b.Severity))
	}
	return out
}

// SetGauge declares a meter, or changes what is said of it and its bounds. Errors: fault.Invalid,
// fault.Conflict (another kind or unit than was declared), fault.Limited.
func (s *Service) SetGauge(ctx context.Context, who actor.Actor, g Gauge) (Gauge, error) { // clause: mon.alarms
	if err := s.Access.Allow(ctx, who, access.WatchManage, gaugeThing(g.Name)); err != nil {
		return g, err //nolint:wrapcheck // a fault for the reader
	}
	if err := g.check(); err != nil {
		return g, err
	}
	box, err := json.Marshal(g.Bounds)
	if err != nil {
		return g, fmt.Errorf("encode bounds: %w", err)
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		all, err := readGauges(ctx, tx)
		if err != nil {
			return nil, err
		}
		g.Made, g.Changed, g.ChangedBy = tx.Now(), tx.Now(), who.String()
		there := 0
		for _, x := range all {
			if x.ended.IsZero() && x.Name != g.Name {
				there++
			}
			if x.Name != g.Name {
				continue
			}
			if x.Kind != g.Kind || x.Unit != g.Unit {
				return nil, fault.New(fault.Conflict, "meter_other", fault.Public{Problem: "The meter is there, with another kind or unit.", Expected: strings.TrimSpace(x.Kind + " " + x.Unit), Next: "What is kept of it is in that unit: declare a meter of another name."})
			}
			g.Made = x.Made
			if err := endBounds(ctx, tx, &x.Gauge, g.Bounds); err != nil {
				return nil, err
			}
		}
		if there >= mostGauges {
			return nil, fault.New(fault.Limited, "meters_full", fault.Public{Problem: "There are 200 meters of your own already.", Next: "Remove one that nobody needs: writ watch meter remove NAME"})
		}
		_, err = tx.Exec(ctx, setGauge, g.Name, g.Kind, g.Unit, g.Says, g.Every.Microseconds(), string(box), us(g.Made), us(g.Changed), g.ChangedBy)
		return GaugeSet{Meter: g.Name, Kind: g.Kind, Unit: g.Unit, Every: g.Every.String(), Bounds: spellBounds(g.Bounds)}, err
	})
	if err != nil {
		return g, err //nolint:wrapcheck // the ledger says what failed
	}
	return g, s.loadGauges(ctx)
}

// RemoveGauge ends a meter and its bounds. What was counted stays to be seen.
func (s *Service) RemoveGauge(ctx context.Context, who actor.Actor, name string) error {
	if err := s.Access.Allow(ctx, who, access.WatchManage, gaugeThing(name)); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		all, err := readGauges(ctx, tx)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(x keptGauge) bool { return x.Name == name && x.ended.IsZero() })
		if i < 0 {
			return nil, unknownGauge()
		}
		if err := endBounds(ctx, tx, &all[i].Gauge, nil); err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, `UPDATE watch_gauge SET ended = $2, bounds = '[]' WHERE name = $1`, name, us(tx.Now()))
		return GaugeRemoved{Meter: name}, err
	})
	if err != nil {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	return errors.Join(s.Judge(ctx, []Reading{{Meter: "source.silent", Label: name}}), s.loadGauges(ctx))
}

// endBounds clears the alarms of bounds that are there no more.
func endBounds(ctx context.Context, tx *ledger.Tx, was *Gauge, now []Bound) error {
	for _, b := range was.Bounds {
		if slices.ContainsFunc(now, func(n Bound) bool { return n.Way == b.Way }) {
			continue
		}
		id := boundRule(was.Name, b.Way)
		if _, err := tx.Exec(ctx, `DELETE FROM watch_alarm WHERE rule = $1 AND state = 'pending'`, id); err != nil {
			return err //nolint:wrapcheck // the ledger says what failed
		}
		if _, err := tx.Exec(ctx, `UPDATE watch_alarm SET ends = $2 WHERE rule = $1 AND ends = 0 AND state IN ('firing', 'acknowledged')`, id, us(tx.Now().Add(settles))); err != nil {
			return err //nolint:wrapcheck // the ledger says what failed
		}
	}
	return nil
}

func gaugeThing(name string) string { return "meter/" + name }

func unknownGauge() error {
	return fault.New(fault.NotFound, "meter_unknown", fault.Public{Problem: "No such meter is declared.", Expected: "One of: writ watch meter list", Next: "Declare it first: writ watch meter set own.NAME --says WHAT"})
}

// Gauges lists the meters of one's own, by name.
func (s *Service) Gauges(ctx context.Context, who actor.Actor) ([]Gauge, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/meters"); err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	if err := s.loadGauges(ctx); err != nil {
		return nil, err
	}
	s.gauges.mu.Lock()
	defer s.gauges.mu.Unlock()
	out := make([]Gauge, 0, len(s.gauges.known))
	for name, g := range s.gauges.known {
		x := *g
		x.Last = s.gauges.seen[name]
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b Gauge) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// loadGauges reads which meters of one's own there are; another node may have changed them.
func (s *Service) loadGauges(ctx context.Context) error {
	all, err := readGauges(ctx, s.DB)
	if err != nil {
		return err
	}
	known, rules, words := map[string]*Gauge{}, map[string][]*Rule{}, map[string]*Rule{}
	for i := range all {
		g := &all[i].Gauge
		if err := s.series.Declare(g.meter()); err != nil { // one that has ended is still to be seen
			return err //nolint:wrapcheck // says which meter
		}
		if !all[i].ended.IsZero() {
			continue
		}
		known[g.Name] = g
		for j := range g.Bounds {
			r := g.rule(&g.Bounds[j])
			rules[g.Name], words[r.ID] = append(rules[g.Name], r), r
		}
	}
	s.gauges.mu.Lock()
	s.gauges.known = known
	s.gauges.mu.Unlock()
	s.gauges.rules.Store(&rules)
	s.gauges.words.Store(&words)
	return nil
}

// reading are the rules that read a meter.
func (s *Service) reading(meter string) []*Rule {
	if m := s.gauges.rules.Load(); m != nil && strings.HasPrefix(meter, ownMeters) {
		return (*m)[meter]
	}
	return s.pack().reads[meter]
}

// boundRules are those of bounds, by name.
func (s *Service) boundRules() (out []Rule) {
	if m := s.gauges.words.Load(); m != nil {
		for _, r := range *m {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// silences says of each meter of one's own for how many intervals no sample came, and that those
// which are not silent are there.
func (s *Service) silentGauges(now time.Time) (out []Reading) {
	s.gauges.mu.Lock()
	defer s.gauges.mu.Unlock()
	for name, g := range s.gauges.known {
		seen, ok := s.gauges.seen[name]
		since := seen
		if !ok {
			since = g.Changed
			if since.Before(s.begun) {
				since = s.begun
			}
		}
		n := float64(now.Sub(since)) / float64(g.Every)
		if ok && n <= silentAfter {
			s.series.Seen(pushedFrom + name)
		}
		out = append(out, Reading{Meter: "source.silent", Label: name, Value: n})
	}
	return out
}

// Own views.
const ownView = "own"

// Views are all of them: those that are there from the first start, and that of the meters of
// one's own, where there are any.
func (s *Service) Views() []View {
	vs := Views()
	if names := s.ownMeterNames(func(Gauge) bool { return true }); len(names) > 0 {
		vs = append(vs, View{ownView, "Your own", "What is pushed to the meters that you declared.", names, []string{byPart}, true})
	}
	return vs
}

// Plannable are the meters of which a month can be planned: what adds up.
func (s *Service) Plannable() []string {
	return append(MeterNames(), s.ownMeterNames(func(g Gauge) bool { return g.Kind != "level" })...)
}

func (s *Service) ownMeterNames(want func(Gauge) bool) (out []string) {
	s.gauges.mu.Lock()
	defer s.gauges.mu.Unlock()
	for name, g := range s.gauges.known {
		if want(*g) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Catalogue is every meter, those of one's own last.
func (s *Service) Catalogue() []series.Meter {
	out := Meters()
	for _, name := range s.ownMeterNames(func(Gauge) bool { return true }) {
		out = append(out, *s.series.Meter(name))
	}
	return out
}

// keptGauge is a row.
type keptGauge struct {
	Gauge
	ended time.Time
}

func readGauges(ctx context.Context, r ledger.Reader) (out []keptGauge, err error) {
	err = r.Each(ctx, listGauges, func(scan ledger.Scan) error {
		var g keptGauge
		var every, made, changed, ended int64
		var box string
		if err := scan(&g.Name, &g.Kind, &g.Unit, &g.Says, &every, &box, &made, &changed, &g.ChangedBy, &ended); err != nil {
			return err
		}
		g.Every, g.Made, g.Changed, g.ended = time.Duration(every)*time.Microsecond, at(made), at(changed), at(ended)
		out = append(out, g)
		return json.Unmarshal([]byte(box), &out[len(out)-1].Bounds)
	})
	if err != nil {
		return nil, fmt.Errorf("read the meters of one's own: %w", err)
	}
	return out, nil
}

const (
	listGauges = `SELECT name, kind, unit, says, every, bounds, made, changed, changed_by, ended FROM watch_gauge ORDER BY name`
	setGauge   = `INSERT INTO watch_gauge (name, kind, unit, says, every, bounds, made, changed, changed_by, ended) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)
ON CONFLICT (name) DO UPDATE SET says = excluded.says, every = excluded.every, bounds = excluded.bounds, changed = excluded.changed, changed_by = excluded.changed_by, ended = 0`
)
