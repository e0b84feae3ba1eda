package watch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/actor"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/watch/sigma"
)

const (
	mostRecords = 65_536 // that wait
	someRecords = 1000   // at a time: others want to write too
	mostMade    = 50     // points in one change, whose time is limited
	drains      = time.Second
)

// own are the enabled rules of one's own, as they watch. What counts towards a correlation is
// written with the cursor; after any error memory is thrown away and read again.
type own struct {
	mu     sync.Mutex // of all below; held while entries or records are looked at
	engine *sigma.Engine
	asks   []recordField // of records, that the engine looks at
	stamp  string        // the versions that were loaded
	next   int64         // entry
	ref    int64         // of the last record
	made   []sigma.Point

	words  atomic.Pointer[map[string]*Rule] // of rules that watch, or did
	live   atomic.Pointer[[]Rule]
	broken atomic.Pointer[map[string]string] // rule → why it cannot be read
	wants  atomic.Bool                       // some rule is about records

	queue   sync.Mutex
	waiting []Handled
	dropped atomic.Int64
}

// problems are the enabled rules that cannot be read.
func (o *own) problems() map[string]string {
	if m := o.broken.Load(); m != nil {
		return *m
	}
	return nil
}

// ruleOf finds a rule that is there from the first start, or one of one's own.
func (s *Service) ruleOf(id string) *Rule {
	if r := s.pack().byID[id]; r != nil {
		return r
	}
	if m := s.gauges.words.Load(); m != nil && (*m)[id] != nil {
		return (*m)[id]
	}
	if m := s.own.words.Load(); m != nil {
		return (*m)[id]
	}
	return nil
}

// allRules are those that watch now.
func (s *Service) allRules() []Rule {
	if l := s.own.live.Load(); l != nil {
		return slices.Concat(s.pack().all, *l, s.boundRules())
	}
	return slices.Concat(s.pack().all, s.boundRules())
}

// LoadOwn reads the rules of one's own, where another version is enabled since the last time.
func (s *Service) LoadOwn(ctx context.Context) error {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	cursor, _, err := s.cursor(ctx)
	if err != nil {
		return err
	}
	return s.sync(ctx, cursor)
}

// sync loads what changed. A file that cannot be read stops no other: it is an alarm.
func (s *Service) sync(ctx context.Context, cursor int64) error { // clause: mon.alarms
	o := &s.own
	var stamp string
	if err := s.DB.Each(ctx, `SELECT rule, n FROM watch_rule_version WHERE state = 'enabled' ORDER BY rule`, func(scan ledger.Scan) error {
		var id string
		var n int64
		err := scan(&id, &n)
		stamp += fmt.Sprintf("%s@%d ", id, n)
		return err
	}); err != nil {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	if o.engine != nil && o.stamp == stamp && cursor <= o.next {
		return nil
	}
	vs, err := s.versions(ctx, s.DB, `SELECT `+versionColumns+` FROM watch_rule_version v WHERE enabled > 0 AND n = (SELECT MAX(n) FROM watch_rule_version w WHERE w.rule = v.rule AND w.enabled > 0) ORDER BY rule`)
	if err != nil {
		return err
	}
	words, broken := map[string]*Rule{}, map[string]string{}
	var live []Rule
	var units []sigma.Unit
	for _, v := range vs {
		u, err := readOwn(v.Text)
		r := &Rule{ID: v.Rule, Part: Own, Clause: alarms, Title: v.Title, Says: "A rule that cannot be read any more", Next: "See the rule."}
		if err == nil {
			r = u.rule()
			r.ID, r.sha = v.Rule, v.SHA256
		}
		words[v.Rule] = r
		switch {
		case v.State != Enabled:
		case err != nil:
			broken[v.Rule] = err.Error()
			s.Log.Error("a rule of your own cannot be read; the others watch", "rule", v.Rule, "version", v.N, "err", err)
		default:
			live, units = append(live, *r), append(units, sigma.Unit{Key: v.Rule + "@" + strconv.FormatInt(v.N, 10), Rules: u.rules})
		}
	}
	e, errs := sigma.New(units...)
	if len(errs) > 0 { // readOwn linked each of them already
		return errs[0]
	}
	if err := s.restore(ctx, e); err != nil {
		return err
	}
	o.engine, o.asks, o.stamp, o.next, o.made = e, recordsAs(e.Asks(records)), stamp, max(cursor, o.next), nil
	o.words.Store(&words)
	o.live.Store(&live)
	o.broken.Store(&broken)
	o.wants.Store(e.Wants(records))
	return nil
}

// restore gives an engine the points that were written down.
func (s *Service) restore(ctx context.Context, e *sigma.Engine) error {
	if e.Longest() == 0 {
		return nil
	}
	var ps []sigma.Point
	err := s.DB.Each(ctx, `SELECT of, grp, at, ref, base, num, val FROM watch_point WHERE at >= $1 ORDER BY ref, base`, func(scan ledger.Scan) error {
		var p sigma.Point
		var base int64
		var num string
		if err := scan(&p.Of, &p.Group, &p.At, &p.Ref, &base, &num, &p.Val); err != nil {
			return err
		}
		p.Base = int(base)
		var err error
		p.Num, err = strconv.ParseFloat(num, 64)
		ps = append(ps, p)
		return err
	}, s.Now().UnixMicro()-2*e.Longest())
	e.Restore(ps)
	return err //nolint:wrapcheck // the ledger says what failed
}

// keepPoints writes down what counts towards correlations; what is there already counts once.
func (o *own) keepPoints(ctx context.Context, tx *ledger.Tx) error {
	for _, p := range o.made {
		if _, err := tx.Exec(ctx, insertPoint, p.Of, p.Group, p.At, p.Ref, int64(p.Base), strconv.FormatFloat(p.Num, 'g', -1, 64), p.Val); err != nil {
			return err
		}
	}
	return nil
}

// ownFacts adds what an event means to the rules of one's own.
func (s *Service) ownFacts(facts []*fact, ev *sigma.Event, about func() string, mask func(string) string) (out []*fact) {
	o := &s.own
	out = facts
	defer func() {
		if p := recover(); p != nil {
			s.meter.errors.Add(1)
			s.Log.Error("a rule of your own could not be evaluated", "event", ev.Ref, "err", p)
		}
	}()
	for _, h := range o.engine.Feed(ev) {
		id, _, _ := strings.Cut(h.Unit, "@")
		f := &fact{rule: s.ruleOf(id), n: 1, last: 1, at: ev.At, minute: ev.At.UnixMicro() / time.Minute.Microseconds(), who: about()}
		f.who = ofHit(&h, f.who, mask)
		if c := h.Rule.Correlation; c != nil {
			f.value = strconv.FormatFloat(h.Value, 'f', -1, 64) + " in " + span(c.Within)
		}
		if ev.Log != records {
			f.entries = []int64{ev.Ref}
		}
		if f.rule != nil {
			out = join(out, f)
		}
	}
	o.made = append(o.made, o.engine.Made()...)
	return out
}

// ofHit is whom a hit is about: the group of a correlation, else whom the event is about.
func ofHit(h *sigma.Hit, about string, mask func(string) string) string {
	if h.Rule.Correlation == nil {
		return about
	}
	var vs []string
	for _, v := range h.Group {
		vs = append(vs, mask(v))
	}
	return strings.Join(vs, " ")
}

// Record takes a request that the gate answered. It costs the request a copy, where a rule is
// about such, and waits for nothing. What is beyond the bound is an entry, and an alarm.
func (s *Service) Record(a Handled) {
	if !s.own.wants.Load() {
		return
	}
	s.own.queue.Lock()
	defer s.own.queue.Unlock()
	if len(s.own.waiting) >= mostRecords {
		s.own.dropped.Add(1)
		return
	}
	s.own.waiting = append(s.own.waiting, a)
}

// WantsRecords reports whether any rule is about records.
func (s *Service) WantsRecords() bool { return s.own.wants.Load() }

// DrainRecords looks at the records that wait.
func (s *Service) DrainRecords(ctx context.Context) error {
	o := &s.own
	o.queue.Lock()
	as := o.waiting
	o.waiting = nil
	o.queue.Unlock()
	for len(as) > 0 {
		n := min(len(as), someRecords)
		if err := s.drainSome(ctx, as[:n]); err != nil {
			o.dropped.Add(int64(len(as)))
			return err
		}
		as = as[n:]
	}
	return nil
}

func (s *Service) drainSome(ctx context.Context, as []Handled) error {
	o := &s.own
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := s.sync(ctx, o.next); err != nil {
		return err
	}
	var facts []*fact
	write := func() error {
		if len(facts) == 0 && len(o.made) == 0 {
			return nil
		}
		err := s.quietly(ctx, system, func(tx *ledger.Tx) ([]ledger.Event, error) { return s.takeFacts(ctx, tx, facts) })
		if err != nil {
			o.engine = nil
		}
		facts, o.made = nil, nil
		return err
	}
	ev := &sigma.Event{}
	for i := range as {
		if as[i].ofCanary() {
			continue
		}
		o.ref = max(o.ref+1, s.Now().UnixMicro())
		hide := func(v string) string { return s.hidden(ctx, v, as[i].At) }
		facts = s.ownFacts(facts, fillRecord(ev, o.asks, &as[i], o.ref), func() string { return hide(aboutRecord(&as[i])) }, hide)
		if len(facts) >= mostFacts || len(o.made) >= mostMade {
			if err := write(); err != nil {
				return err
			}
		}
	}
	return write()
}

// hidden is a network under the journal's pseudonym of it; anything else as it is.
func (s *Service) hidden(ctx context.Context, v string, when time.Time) string {
	if !strings.Contains(v, "/") {
		return v
	}
	p, err := netip.ParsePrefix(v)
	if err != nil {
		return v
	}
	keys, err := s.Keys.Versions(ctx, keyring.Strangers(when))
	if err != nil || len(keys) == 0 { // nobody came in that month, or its key is destroyed
		return "a network"
	}
	return ledger.Pseudonym(keys[len(keys)-1], string(actor.Stranger), p.String())
}

// same is a value of an entry, where persons are pseudonyms already.
func same(v string) string { return v }

// ofEntry adds what an entry means to the rules of one's own.
func (s *Service) ofEntry(facts []*fact, e *journal.Entry) []*fact {
	s.own.next = e.N + 1
	if !s.own.engine.Wants(logOf(e.Stream)) {
		return facts
	}
	return s.ownFacts(facts, eventOfEntry(e), func() string { return byWhom(e) }, same)
}

// ownSource reads how the rules of one's own do.
func (s *Service) ownSource() Source {
	return Source{Name: "own-rules", Every: time.Minute, Read: func(ctx context.Context) ([]Reading, error) {
		if err := s.LoadOwn(ctx); err != nil {
			return nil, err
		}
		broken := s.own.problems()
		var out []Reading
		for _, id := range slices.Sorted(maps.Keys(*s.own.words.Load())) {
			v := 0.0
			if broken[id] != "" {
				v = 1
			}
			out = append(out, Reading{Meter: "watch.errors", Label: id, Value: v})
		}
		s.own.mu.Lock()
		lost := s.own.dropped.Swap(0)
		if s.own.engine != nil {
			lost += s.own.engine.Lost()
		}
		s.own.mu.Unlock()
		if lost > 0 {
			if _, err := s.DB.Change(ctx, system, func(*ledger.Tx) (ledger.Event, error) { return EventsDropped{Source: "own-rules", Count: lost}, nil }); err != nil {
				s.own.dropped.Add(lost)
				return nil, fmt.Errorf("record that %d records were not looked at: %w", lost, err)
			}
		}
		return append(out, Reading{Meter: "watch.dropped", Value: float64(lost)}), nil
	}}
}

// ownStandings adds the rules of one's own to the standings.
func (s *Service) ownStandings() (out []Standing) {
	if l := s.own.live.Load(); l != nil {
		for _, r := range *l {
			out = append(out, Standing{Rule: r, Precision: 1})
		}
	}
	for _, r := range s.boundRules() {
		out = append(out, Standing{Rule: r, Precision: 1})
	}
	slices.SortFunc(out, func(a, b Standing) int { return cmp.Compare(a.Title, b.Title) })
	return out
}

const insertPoint = `INSERT INTO watch_point (of, grp, at, ref, base, num, val) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`
