package watch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"writ/internal/ledger"
	"writ/internal/watch/baseline"
	"writ/internal/watch/series"
)

const (
	mostModels = 2048            // of 8 KB
	mostUsuals = 20_000          // of 60 bytes
	settled    = 6 * time.Minute // until what is late has come
	catchUp    = 48 * time.Hour  // that are learned again at most
	pageWide   = 6               // deviations
	ticketWide = 4
	keptAtOnce = 40
)

// ofSeries names a series.
type ofSeries struct{ meter, dimension, label string }

func (k ofSeries) String() string {
	if k.dimension == series.Whole {
		return k.meter
	}
	return k.meter + " " + k.dimension + " " + k.label
}

// expectation is one thing whose usual course is learned, and which rule it concerns. Minutes
// are for what goes on all the time, hours for what one person or part does now and then.
type expectation struct {
	meter      string
	dimensions []string
	floor      baseline.Floor
	hourly     float64 // the floor of an hour; > 0: by hours
	spike      string  // rule that it is above
	drop       string  // rule that it is below, to less than two fifths
	wide       float64
	value      func(p *series.Point) (v float64, ok bool) // nil = Value
}

const mb = 1 << 20

// expectations are what is learned.
func expectations() []expectation {
	p95 := func(p *series.Point) (float64, bool) { return p.P95, p.Count >= 20 }
	return []expectation{
		{meter: "requests", dimensions: []string{series.Whole}, floor: baseline.Floor{Least: 50, Times: 3}, spike: "traffic-spike", drop: "traffic-drop", wide: pageWide},
		{meter: "requests", dimensions: []string{byRoute, byTeam}, floor: baseline.Floor{Least: 100, Times: 4}, spike: "traffic-spike", wide: pageWide},
		{meter: "requests.refused", dimensions: []string{series.Whole}, floor: baseline.Floor{Least: 60, Times: 5}, spike: "refusals-spike", wide: pageWide},
		{meter: "latency", dimensions: []string{series.Whole, byRoute}, floor: baseline.Floor{Least: 300_000, Times: 4}, spike: "latency-unusual", wide: pageWide, value: p95},
		{meter: "bytes.out", dimensions: []string{series.Whole, byTeam}, floor: baseline.Floor{Least: 50 * mb, Times: 4}, spike: "egress-anomaly", wide: pageWide},
		{meter: "sign-ins", dimensions: []string{series.Whole}, floor: baseline.Floor{Least: 30, Times: 4}, spike: "signins-unusual", wide: pageWide},
		{meter: "sign-ins.refused", dimensions: []string{series.Whole}, floor: baseline.Floor{Least: 20, Times: 5}, spike: "signins-refused-unusual", wide: pageWide},
		{meter: "entries", dimensions: []string{series.Whole}, floor: baseline.Floor{Least: 1e12}},
		{meter: "bytes.out", dimensions: []string{byPerson}, hourly: 200 * mb, spike: "egress-anomaly"},
		{meter: "records", dimensions: []string{byPerson}, hourly: 300, spike: "bulk-records"},
		{meter: "secret-reads", dimensions: []string{byPerson}, hourly: 30, spike: "secret-read-anomaly"},
		{meter: "exports", dimensions: []string{series.Whole, byPerson}, hourly: 3, spike: "export-spike"},
		{meter: "staff-views", dimensions: []string{byPerson}, hourly: 6, spike: "staff-views-unusual"},
	}
}

// learned is a series with what is usual of it, and how it stood at the newest minute.
type learned struct {
	key   ofSeries
	exp   *expectation
	model *baseline.Model // of minutes, or
	usual *baseline.Usual // of hours
	dirty bool

	at     time.Time
	hour   time.Time // that sum is of
	sum    float64
	before float64 // of the hour before
	past   float64 // of the sixty minutes that were compared
	value  float64
	above  float64
	below  float64
	band   baseline.Band
	run    int64   // minutes in a row without anything
	silent float64 // how far that is beyond what is usual
}

// learner keeps what is usual, and compares each minute with it.
type learner struct {
	zone   *time.Location
	expect map[string][]*expectation // by meter and dimension

	run sync.Mutex // one minute at a time; Accept waits

	mu     sync.Mutex // guards what the list reads
	known  map[ofSeries]*learned
	kinds  map[bool]int // how many by minutes, by hours
	full   map[ofSeries]bool
	at     time.Time // the newest minute that was learned; zero = nothing was loaded
	judged time.Time
	told   map[ofSeries]map[string]bool // readings that were high
}

func newLearner(zone *time.Location) *learner {
	l := &learner{zone: cmp.Or(zone, time.UTC), expect: map[string][]*expectation{}, known: map[ofSeries]*learned{}, kinds: map[bool]int{}, full: map[ofSeries]bool{}, told: map[ofSeries]map[string]bool{}}
	all := expectations()
	for i := range all {
		for _, d := range all[i].dimensions {
			l.expect[all[i].meter+"/"+d] = append(l.expect[all[i].meter+"/"+d], &all[i])
		}
	}
	return l
}

func (s *Service) usualConfig() baseline.Config {
	return baseline.Config{Zone: s.learner.zone, Days: int(s.Rules.Get().Baseline.Hours() / 24)}
}

// Compare learns the minutes that are settled, and judges the newest one that is over. It reads
// the rows, so it may run again, or elsewhere, and learns nothing twice.
func (s *Service) Compare(ctx context.Context) error { // clause: mon.abnormal
	l := s.learner
	l.run.Lock()
	defer l.run.Unlock()
	now := s.Now().Truncate(time.Minute)
	if err := s.loadLearned(ctx); err != nil {
		return err
	}
	until := now.Add(-settled)
	if from := until.Add(-catchUp); l.at.Before(from) {
		l.at = from
	}
	for m := l.at.Add(time.Minute); !m.After(until); m = m.Add(time.Minute) {
		if err := s.learnMinute(ctx, m); err != nil {
			return err
		}
		l.at = m
		if m.Minute() == 59 {
			if err := s.keepLearned(ctx, m); err != nil {
				return err
			}
		}
	}
	m := now.Add(-time.Minute)
	if !m.After(l.judged) {
		return nil
	}
	if l.judged.IsZero() {
		if err := s.resume(ctx, m); err != nil {
			return err
		}
	}
	rs, err := s.judgeMinute(ctx, m)
	if err != nil {
		return err
	}
	l.judged = m
	return s.Judge(ctx, rs)
}

// observed says of a minute which sources were there.
func (s *Service) observed(ctx context.Context, m time.Time) (map[string]bool, error) {
	out := map[string]bool{}
	for _, source := range []string{gate, record} {
		share, err := s.series.Observed(ctx, source, m, m.Add(time.Minute))
		if err != nil {
			return nil, err //nolint:wrapcheck // says what could not be read
		}
		out[source] = share == 1
	}
	return out, nil
}

// sourceOf is whose absence makes a gap in a meter.
func (s *Service) sourceOf(meter string) string { return s.series.Meter(meter).Source }

func (s *Service) learnMinute(ctx context.Context, m time.Time) error {
	there, err := s.observed(ctx, m)
	if err != nil {
		return err
	}
	if !there[gate] && !there[record] {
		return nil
	}
	points, err := s.sums(ctx, s.series.Minute, m)
	if err != nil {
		return err
	}
	l, c := s.learner, s.usualConfig()
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range points {
		l.find(k)
	}
	for k, x := range l.known {
		if !there[s.sourceOf(k.meter)] {
			continue
		}
		p, some := points[k]
		if !some && x.begins() { // learned from its first minute on, whenever it was first judged
			continue
		}
		v, ok := x.exp.of(&p)
		switch {
		case !ok:
		case x.model != nil:
			x.model.Learn(m, v, c)
			x.dirty = true
		default:
			if x.usual.Learn(m.Unix()/60, v, x.exp.hourly); v > 0 {
				x.dirty = true
			}
		}
	}
	return nil
}

// begins reports whether nothing was learned yet.
func (x *learned) begins() bool {
	return x.model != nil && x.model.Last == 0 || x.usual != nil && x.usual.Last == 0
}

func (e *expectation) of(p *series.Point) (float64, bool) {
	if e.value == nil {
		return p.Value, true
	}
	return e.value(p)
}

// find gives a series its place, while there is room. The caller holds mu.
func (l *learner) find(k ofSeries) *learned {
	if x := l.known[k]; x != nil {
		return x
	}
	es := l.expect[k.meter+"/"+k.dimension]
	if len(es) == 0 {
		return nil
	}
	e := es[0]
	hourly := e.hourly > 0
	if most := map[bool]int{false: mostModels, true: mostUsuals}[hourly]; l.kinds[hourly] >= most {
		l.full[k] = true
		return nil
	}
	x := &learned{key: k, exp: e}
	if hourly {
		x.usual = &baseline.Usual{}
	} else {
		x.model = &baseline.Model{}
	}
	l.known[k] = x
	l.kinds[hourly]++
	return x
}

// judgeMinute compares a minute with what is usual, and gives what the rules read.
func (s *Service) judgeMinute(ctx context.Context, m time.Time) ([]Reading, error) {
	there, err := s.observed(ctx, m)
	if err != nil {
		return nil, err
	}
	points, err := s.sums(ctx, s.series.Minute, m)
	if err != nil {
		return nil, err
	}
	l, c := s.learner, s.usualConfig()
	l.mu.Lock()
	defer l.mu.Unlock()
	since := map[string]int64{}
	for source, meter := range map[string]string{gate: "requests", record: "entries"} {
		if x := l.known[ofSeries{meter, series.Whole, ""}]; x != nil {
			if days, _ := x.model.Learned(); days > 0 {
				since[source] = m.Unix()/60 - int64(days)*24*60
			}
		}
	}
	for k := range points {
		l.find(k)
	}
	var out []Reading
	for k, x := range l.known {
		if !there[s.sourceOf(k.meter)] {
			continue
		}
		p := points[k]
		x.at = m
		x.compare(m, &p, since[s.sourceOf(k.meter)], c)
		out = append(out, l.readings(x)...)
	}
	return out, nil
}

// compare says how a minute stands to what is usual.
func (x *learned) compare(m time.Time, p *series.Point, since int64, c baseline.Config) {
	v, ok := x.exp.of(p)
	x.value, x.above, x.below = v, 0, 0
	if x.usual != nil {
		x.past = x.sumOf(m, v)
		x.above = x.usual.Above(m.Unix()/60, since, x.past, x.exp.hourly)
		return
	}
	x.band = x.model.Band(m, x.exp.wide, c)
	if !ok {
		return
	}
	x.above, x.below = x.band.Above(v, x.exp.wide, x.exp.floor), 0
	if x.exp.drop != "" {
		x.below = x.band.Below(v, x.exp.wide, dropFloor, dropShare)
	}
	if x.run++; p.Count > 0 || !x.band.Known || x.band.Expected < fewestUsual {
		x.run = 0
	}
	x.silent = x.model.Silent(x.run)
}

// A drop is less than this share of what is expected, where so much is.
var dropFloor = baseline.Floor{Least: 20}

const dropShare = 0.4

// fewestUsual is how much is expected at least in a minute of what may not fall silent.
const fewestUsual = 5

// sumOf is what the sixty minutes up to m came to, the hour before counting by its share.
func (x *learned) sumOf(m time.Time, v float64) float64 {
	if hour := m.Truncate(time.Hour); x.hour != hour {
		x.before = 0
		if x.hour.Add(time.Hour).Equal(hour) {
			x.before = x.sum
		}
		x.hour, x.sum = hour, 0
	}
	x.sum += v
	return x.sum + x.before*float64(59-m.Minute())/60
}

// readings are what the rules read of a series: what is high, and what was.
func (l *learner) readings(x *learned) (out []Reading) {
	put := func(rule string, v float64) {
		if rule == "" {
			return
		}
		was := l.told[x.key][rule]
		if v <= 0.5 && !was && !l.judged.IsZero() {
			return
		}
		if l.told[x.key] == nil {
			l.told[x.key] = map[string]bool{}
		}
		l.told[x.key][rule] = v > 0.5
		rd := Reading{Meter: unusual + rule, Label: x.key.String(), Value: v}
		if (rule == x.exp.spike || rule == x.exp.drop) && v > 0 {
			rd.usual = x.usually()
		}
		out = append(out, rd)
	}
	put(x.exp.spike, x.above)
	put(x.exp.drop, x.below)
	if x.model != nil && x.exp.value == nil {
		put("series-silent", x.silent)
		if d := x.model.Drift(); x.exp.spike != "" && x.band.Expected >= fewestUsual {
			put("baseline-drift", max(d, 1/d))
		}
	}
	return out
}

// unusual is before the name of the rule in the names of these readings.
const unusual = "unusual."

// loadLearned reads what was learned before the start.
func (s *Service) loadLearned(ctx context.Context) error {
	l := s.learner
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.at.IsZero() {
		return nil
	}
	from, err := s.learnedFrom(ctx)
	if err != nil {
		return err
	}
	err = s.DB.Each(ctx, listBaselines, func(scan ledger.Scan) error {
		var k ofSeries
		var box []byte
		if err := scan(&k.meter, &k.dimension, &k.label, &box); err != nil {
			return err
		}
		x := l.find(k)
		if x == nil {
			return nil
		}
		if err := x.open(box); err != nil {
			s.Log.Error("what was learned of a series cannot be read, and is learned anew", "series", k.String(), "err", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what is usual: %w", err)
	}
	l.at = from
	return nil
}

func (x *learned) open(box []byte) error {
	if x.model != nil {
		return x.model.UnmarshalBinary(box)
	}
	return x.usual.UnmarshalBinary(box)
}

func (x *learned) box() ([]byte, error) {
	if x.model != nil {
		return x.model.MarshalBinary()
	}
	return x.usual.MarshalBinary()
}

// keepLearned writes what has changed, and then how far everything has come.
func (s *Service) keepLearned(ctx context.Context, m time.Time) error {
	l := s.learner
	l.mu.Lock()
	boxes := map[ofSeries][]byte{}
	for k, x := range l.known {
		if !x.dirty {
			continue
		}
		b, err := x.box()
		if err != nil {
			l.mu.Unlock()
			return err
		}
		boxes[k] = b
	}
	l.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(boxes), func(a, b ofSeries) int {
		return cmp.Or(cmp.Compare(a.meter, b.meter), cmp.Compare(a.dimension, b.dimension), cmp.Compare(a.label, b.label))
	})
	for part := range slices.Chunk(keys, keptAtOnce) {
		if err := s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
			for _, k := range part {
				if err := keepOne(ctx, tx, k, boxes[k]); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return fmt.Errorf("keep what is usual: %w", err)
		}
	}
	l.mu.Lock()
	for k := range boxes {
		l.known[k].dirty = false
	}
	l.mu.Unlock()
	return s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM watch_baseline WHERE kept < $1`, us(s.Now().Add(-90*24*time.Hour))); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, saveLearned, us(m))
		return err
	})
}

func keepOne(ctx context.Context, tx *ledger.Tx, k ofSeries, box []byte) error {
	_, err := tx.Exec(ctx, saveBaseline, k.meter, k.dimension, k.label, us(tx.Now()), box)
	return err //nolint:wrapcheck // its caller says what
}

const (
	listBaselines = `SELECT meter, dimension, label, box FROM watch_baseline ORDER BY meter, dimension, label`
	saveBaseline  = `INSERT INTO watch_baseline (meter, dimension, label, kept, box) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (meter, dimension, label) DO UPDATE SET kept = excluded.kept, box = excluded.box`
	saveLearned   = `INSERT INTO watch_learned (id, minute) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET minute = CASE WHEN excluded.minute > watch_learned.minute THEN excluded.minute ELSE watch_learned.minute END`
)
