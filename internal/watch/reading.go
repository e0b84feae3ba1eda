package watch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/ledger"
	"writ/internal/watch/series"
)

// Reading is a number that was read just now.
type Reading struct {
	Meter string
	Label string // of what, where there are several
	Value float64

	usual *usual // of a series that is learned
}

// Source gives readings, at most each Every. What it cannot read it leaves out, with an error
// where that is a fault.
type Source struct {
	Name  string
	Every time.Duration
	Read  func(ctx context.Context) ([]Reading, error)
}

// source is one with when it last spoke.
type source struct {
	Source
	begun time.Time
	asked time.Time
	spoke time.Time
	last  []Reading // that it gave then
}

// silence is for how many of its intervals a source has said nothing.
func (src *source) silence(now time.Time) Reading {
	last := src.spoke
	if last.IsZero() {
		last = src.begun
	}
	return Reading{Meter: "source.silent", Label: src.Name, Value: float64(now.Sub(last)) / float64(src.Every)}
}

// spoken is when each source last gave readings.
type spoken struct {
	Name  string
	Every time.Duration
	Spoke time.Time
}

func (s *Service) spoken() (out []spoken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, src := range s.sources {
		out = append(out, spoken{src.Name, src.Every, src.spoke})
	}
	return out
}

// Sample reads every source that is due, and judges what came.
func (s *Service) Sample(ctx context.Context) error { // clause: mon.load
	var all []Reading
	now := s.Now()
	if err := s.loadGauges(ctx); err != nil {
		return err
	}
	all = append(all, s.silentGauges(now)...)
	for _, src := range s.sources {
		if now.Sub(src.asked) >= src.Every-round/2 {
			src.asked = now
			rs, err := src.Read(ctx)
			if err != nil {
				s.Log.Warn("a source of readings could not be read", "source", src.Name, "err", err)
			} else {
				s.mu.Lock()
				src.spoke, src.last = now, rs
				s.mu.Unlock()
			}
			all = append(all, rs...)
		}
		all = append(all, src.silence(now))
	}
	if err := s.keepReadings(ctx, all); err != nil {
		return err
	}
	if minute := now.Truncate(time.Minute); minute.After(s.compared) {
		if err := s.Compare(ctx); err != nil {
			s.Log.Error("compare with what is usual", "err", err)
		}
		s.compared = minute
	}
	if now.Sub(s.forgot) > time.Hour {
		s.forgot = now
		if err := s.forget(ctx); err != nil {
			return err
		}
	}
	return s.Judge(ctx, all)
}

// keepReadings makes series of readings, and says that everything that counts was there. The
// minutes that are over are written.
func (s *Service) keepReadings(ctx context.Context, rs []Reading) error {
	now := s.Now()
	for _, rd := range rs {
		if s.series.Meter(rd.Meter) != nil {
			s.series.Add(series.Event{At: now, Meter: rd.Meter, Value: rd.Value, Labels: []series.Label{{Dimension: byPart, Value: rd.Label}}})
		}
		if rd.Meter == "host.clock" && rd.Value > maxStep {
			s.series.Jumped()
		}
	}
	for _, source := range []string{gate, record, readings, letters} {
		s.series.Seen(source)
	}
	return s.series.Flush(ctx) //nolint:wrapcheck // says what could not be written
}

// maxStep is how far the clock may move by itself, in seconds.
const maxStep = 2

// Judge compares readings with the rules. A reading that is too much opens an alarm, or
// keeps it; one that is good again, for two minutes, clears it.
func (s *Service) Judge(ctx context.Context, rs []Reading) error {
	live, err := s.live(ctx)
	if err != nil {
		return err
	}
	for _, rd := range rs {
		for _, r := range s.reading(rd.Meter) {
			h := sighting{rule: r, who: rd.Label, at: s.Now(), n: 1, value: strconv.FormatFloat(rd.Value, 'f', 1, 64), hold: true, test: r.drill}
			if s.Node != "" && ofNode(rd.Meter) {
				h.more = map[string]string{"node": s.Node}
			}
			a := live[fingerprint(h.labels())]
			bad, good := r.judges(rd.Value)
			var act func(tx *ledger.Tx) ([]ledger.Event, error)
			switch {
			case bad && (a == nil || a.ends > 0):
				if h.ground, err = rd.ground(); err != nil {
					return err
				}
				act = func(tx *ledger.Tx) ([]ledger.Event, error) { return s.raise(ctx, tx, h) }
			case good && a != nil && a.State == Pending:
				act = func(tx *ledger.Tx) ([]ledger.Event, error) {
					_, err := tx.Exec(ctx, `DELETE FROM watch_alarm WHERE id = $1 AND state = 'pending'`, a.ID)
					return nil, err
				}
			case good && a != nil && a.ends == 0:
				act = func(tx *ledger.Tx) ([]ledger.Event, error) {
					_, err := tx.Exec(ctx, `UPDATE watch_alarm SET ends = $2 WHERE id = $1 AND state IN ('firing', 'acknowledged')`, a.ID, us(tx.Now().Add(settles)))
					return nil, err
				}
			default:
				continue
			}
			if err := s.quietly(ctx, system, act); err != nil {
				return fmt.Errorf("judge %s: %w", rd.Meter, err)
			}
		}
	}
	return nil
}

// judges says whether a value is too much, and whether it is good again.
func (r *Rule) judges(v float64) (bad, good bool) {
	if r.under {
		return v < r.Above, v >= r.Clear
	}
	return v > r.Above, v <= r.Clear
}

// noReadings says of readings that not every server has why their rules see nothing.
var noReadings = map[string]string{
	lagOf:      "Unbound: no replica follows the database. With one: ",
	lagBytes:   "Unbound: no replica follows the database. With one: ",
	clockOff:   "Unbound: this machine's own clock is the only one that is read, and a clock cannot know how wrong it is. With PostgreSQL on another machine, or an address outside that is told (watch.heartbeat_url): ",
	archiveAge: "Unbound: the database archives no log. With archive_mode: ",
}

// reads reports whether a source gave a reading when it was last asked.
func (s *Service) reads(meter string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.sources, func(src *source) bool {
		return slices.ContainsFunc(src.last, func(r Reading) bool { return r.Meter == meter })
	})
}

// ofNode reports whether a reading is of the machine, or of this process on it: each node has its
// own, and so has its alarm.
func ofNode(meter string) bool {
	return strings.HasPrefix(meter, "host.") || strings.HasPrefix(meter, "process.")
}

// live are the alarms of readings that are pending or going on, by fingerprint.
func (s *Service) live(ctx context.Context) (map[string]*Alarm, error) {
	as, err := s.read(ctx, s.DB, liveAlarms)
	if err != nil {
		return nil, err
	}
	out := map[string]*Alarm{}
	for i := range as {
		if r := s.ruleOf(as[i].Rule); r != nil && r.Reads != "" {
			out[as[i].Fingerprint] = &as[i]
		}
	}
	return out, nil
}

// The window of the meter, and how much there must be before it says anything.
const (
	minutes   = 6 * 60
	fewest    = 50 // requests in five minutes: small numbers are no trouble
	fewestMin = 100
	slow      = 2 * time.Second
)

// Meter counts requests: a bucket a minute, for six hours. It holds no names.
type Meter struct {
	now    func() time.Time
	errors atomic.Int64 // of rules

	mu      sync.Mutex
	buckets [minutes]bucket
}

type bucket struct{ minute, all, failed, late int64 }

func newMeter(now func() time.Time) *Meter { return &Meter{now: now} }

// Note counts one request.
func (m *Meter) Note(status int, took time.Duration) { // clause: mon.load
	n := m.now().Unix() / 60
	m.mu.Lock()
	defer m.mu.Unlock()
	b := &m.buckets[n%minutes]
	if b.minute != n {
		*b = bucket{minute: n}
	}
	b.all++
	if status >= 500 {
		b.failed++
	}
	if took > slow {
		b.late++
	}
}

// Failed counts the requests of the last five minutes, and those that ended with 500 or above.
func (m *Meter) Failed() (all, failed int64) {
	b := m.over(5)
	return b.all, b.failed
}

// over adds up the last minutes.
func (m *Meter) over(last int64) (sum bucket) {
	n := m.now().Unix() / 60
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.buckets {
		if b := &m.buckets[i]; b.minute > n-last && b.minute <= n {
			sum.all, sum.failed, sum.late = sum.all+b.all, sum.failed+b.failed, sum.late+b.late
		}
	}
	return sum
}

// source gives burn rates: the smaller of a short and a long window, so that what is over
// already fires nothing, nor does a moment.
func (m *Meter) source() Source {
	return Source{Name: "requests", Every: round, Read: func(context.Context) ([]Reading, error) {
		a, b := m.over(5), m.over(60)
		c, d := m.over(30), m.over(minutes)
		both := func(x, y, all, least int64, ofX, ofY int64) float64 {
			if all < least || ofX == 0 || ofY == 0 {
				return 0
			}
			return min(100*float64(x)/float64(ofX), 100*float64(y)/float64(ofY))
		}
		return []Reading{
			{Meter: "requests.failed-fast", Value: both(a.failed, b.failed, a.all, fewest, a.all, b.all)},
			{Meter: "requests.failed-slow", Value: both(c.failed, d.failed, c.all, fewestMin, c.all, d.all)},
			{Meter: "requests.late-fast", Value: both(a.late, b.late, a.all, fewest, a.all, b.all)},
			{Meter: "requests.late-slow", Value: both(c.late, d.late, c.all, fewestMin, c.all, d.all)},
			{Meter: "watch.errors", Value: float64(m.errors.Swap(0))},
		}, nil
	}}
}

// The floor of a rule's precision, over how many verdicts, and from how many on it counts.
const (
	floor      = 0.8
	lookedBack = 20
	judgedAt   = 5
)

// Standing is a rule and how it did.
type Standing struct {
	Rule
	Fired     time.Time // last
	Tried     time.Time // last, in a trial
	Verdicts  int64     // of the last twenty
	Precision float64   // of those; 1 where there are none
	Open      int64
}

// Standings lists the rules.
func (s *Service) Standings(ctx context.Context) ([]Standing, error) {
	var out []Standing
	byID := map[string]*Standing{}
	for _, r := range s.pack().all {
		out = append(out, Standing{Rule: r, Precision: 1})
	}
	out = append(out, s.ownStandings()...)
	for i := range out {
		if byID[out[i].ID] = &out[i]; s.Places == nil && slices.Contains(needPlaces, out[i].ID) {
			out[i].Says = noPlaces + out[i].Says
		}
		if why := noReadings[out[i].Reads]; why != "" && !s.reads(out[i].Reads) {
			out[i].Says = why + out[i].Says
		}
	}
	if err := s.DB.Each(ctx, `SELECT id, fired, tried FROM watch_rule`, func(scan ledger.Scan) error {
		var id string
		var fired, tried int64
		err := scan(&id, &fired, &tried)
		if st := byID[id]; st != nil {
			st.Fired, st.Tried = at(fired), at(tried)
		}
		return err
	}); err != nil {
		return nil, err //nolint:wrapcheck // the ledger says what failed
	}
	if err := s.DB.Each(ctx, `SELECT rule, COUNT(*) FROM watch_alarm WHERE state IN ('firing', 'acknowledged') GROUP BY rule`, func(scan ledger.Scan) error {
		var id string
		var n int64
		err := scan(&id, &n)
		if st := byID[id]; st != nil {
			st.Open = n
		}
		return err
	}); err != nil {
		return nil, err //nolint:wrapcheck // the ledger says what failed
	}
	good := map[string]int64{}
	err := s.DB.Each(ctx, lastVerdicts, func(scan ledger.Scan) error {
		var id, verdict string
		if err := scan(&id, &verdict); err != nil {
			return err
		}
		st := byID[id]
		if st == nil || st.Verdicts >= lookedBack {
			return nil
		}
		if st.Verdicts++; verdict != VerdictFalse {
			good[id]++
		}
		st.Precision = float64(good[id]) / float64(st.Verdicts)
		return nil
	})
	return out, err //nolint:wrapcheck // the ledger says what failed
}

// imprecise are the rules below their floor.
func (s *Service) imprecise(ctx context.Context) ([]Reading, error) {
	all, err := s.Standings(ctx)
	if err != nil {
		return nil, err
	}
	var out []Reading
	for _, st := range all {
		v := 0.0
		if st.Verdicts >= judgedAt && st.Precision < floor {
			v = 1
		}
		if v > 0 || st.Verdicts > 0 {
			out = append(out, Reading{Meter: "watch.imprecise", Label: st.ID, Value: v})
		}
	}
	return out, nil
}

const (
	liveAlarms   = `SELECT ` + alarmColumns + ` FROM watch_alarm WHERE state IN ('pending', 'firing', 'acknowledged') ORDER BY id`
	lastVerdicts = `SELECT rule, verdict FROM watch_alarm WHERE state = 'closed' AND verdict <> 'test' AND NOT test ORDER BY closed DESC LIMIT 1000`
)
