package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/watch/series"
)

// Followed is the name of watch as a follower of the journal.
const Followed = "watch"

const (
	mostFacts  = 40               // groups in one change, whose time is limited
	mostCounts = 100              // minutes of series in it, three rows each; both are fewer where that was too much
	mostApart  = 1000             // that a rule counts apart at a time; the others count together
	others     = "others"         // under this name
	history    = 15 * time.Minute // before the first start is not looked at
	rejoins    = 15 * time.Minute // an alarm that fires again within this is the same one
	mostSame   = 100              // open alarms of a rule; the others join into one
	evidence   = 20               // entries of an alarm that are kept
)

// fact is something a rule counts: in one minute, by one whom.
type fact struct {
	rule    *Rule
	who     string
	minute  int64
	n       int64
	last    int64     // of n, the last one
	at      time.Time // likewise
	entries []int64
	value   string // what was seen, or compared; "" = last
	ends    bool   // it clears what is open instead
}

// Follow takes entries of the journal; it is a follower. The cursor is written with what
// came of the entries, so that none counts twice.
func (s *Service) Follow(ctx context.Context, entries []journal.Entry) (err error) { // clause: mon.alarms
	cursor, since, err := s.cursor(ctx)
	if err != nil {
		return err
	}
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	defer func() {
		if s.own.made = nil; err != nil { // the same entries come again
			s.own.engine, s.own.next = nil, 0
		}
	}()
	if err := s.sync(ctx, cursor); err != nil {
		return err
	}
	var facts []*fact
	from, last, counts := cursor, int64(-1), s.series.NewBatch()
	for i := range entries {
		e := &entries[i]
		if e.N < cursor {
			continue
		}
		last = e.N
		canary, err := s.isCanary(ctx, e)
		if err != nil {
			return err
		}
		if canary || e.At.Before(since) {
			continue
		}
		if id, ok := strings.CutPrefix(e.Object, "person/"); ok && e.Stream == "identity.person-erased" {
			if err := s.eraseHabits(ctx, id); err != nil {
				return err //nolint:wrapcheck // the ledger says what failed
			}
		}
		facts = s.ofEntry(s.factsOf(facts, e), e)
		measured(counts, e)
		if len(facts) >= mostFacts*s.pace.Some()/mostCounts || counts.Len() >= s.pace.Some() || len(s.own.made) >= mostMade {
			if err := s.take(ctx, facts, counts, from, e.N+1); err != nil {
				return err
			}
			from, facts, counts = e.N+1, facts[:0], s.series.NewBatch()
		}
	}
	if len(facts) > 0 || counts.Len() > 0 || len(s.own.made) > 0 {
		if err := s.take(ctx, facts, counts, from, last+1); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.at = max(s.at, last+1)
	s.mu.Unlock()
	return nil
}

// Seen is how many entries of the journal were looked at since the start; for the lag.
func (s *Service) Seen() int64 { s.mu.Lock(); defer s.mu.Unlock(); return s.at }

// factsOf adds what an entry means to the rules. A rule that panics is an error of its own.
func (s *Service) factsOf(facts []*fact, e *journal.Entry) []*fact {
	for _, r := range s.pack().streams[e.Stream] {
		f := fact{rule: r, at: e.Happened, minute: e.Happened.UnixMicro() / time.Minute.Microseconds(), entries: []int64{e.N}}
		if err := weigh(r, e, &f); err != nil {
			s.meter.errors.Add(1)
			s.Log.Error("a rule could not be evaluated", "rule", r.ID, "entry", e.N, "err", err)
			continue
		}
		if f.n == 0 && !f.ends {
			continue
		}
		facts = join(facts, &f)
	}
	return facts
}

// join adds a fact to one of the same rule, whom and minute, if there is one.
func join(facts []*fact, f *fact) []*fact {
	i := slices.IndexFunc(facts, func(g *fact) bool {
		return g.rule == f.rule && g.who == f.who && g.minute == f.minute && !g.ends && !f.ends
	})
	if i < 0 {
		return append(facts, f)
	}
	g := facts[i]
	g.n, g.last, g.at, g.value = g.n+f.n, f.n, f.at, f.value
	if len(g.entries) < evidence {
		g.entries = append(g.entries, f.entries...)
	}
	return facts
}

func weigh(r *Rule, e *journal.Entry, f *fact) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if r.By != nil {
		f.who = r.By(e)
	}
	if slices.Contains(r.Ends, e.Stream) && !slices.Contains(r.Streams, e.Stream) {
		f.ends = true
		return nil
	}
	f.n = r.weight(e)
	f.last = f.n
	if r.Shows != nil {
		f.value = r.Shows(e)
	}
	return nil
}

// take writes down what came of the entries from one to before another, with the cursor. Where another
// node has taken some of them meanwhile it takes none: they come again, without those.
func (s *Service) take(ctx context.Context, facts []*fact, counts *series.Batch, from, next int64) error {
	defer func() { s.own.made = nil }()
	var done func()
	err := s.quietly(ctx, system, func(tx *ledger.Tx) (evs []ledger.Event, err error) {
		done = nil
		n, err := tx.Exec(ctx, moveCursor, from, next) // before all else, so that the next node waits here
		if err != nil {
			return nil, err
		}
		if n != 1 {
			return nil, fault.Newf(fault.Conflict, "cursor_moved", "Another node has looked at some of the entries from %d on.", from)
		}
		if evs, err = s.takeFacts(ctx, tx, facts); err != nil {
			return nil, err
		}
		done, err = s.series.Write(ctx, tx, counts)
		return evs, err //nolint:wrapcheck // says of which meter
	})
	s.pace.Heed(err) // the journal brings the same again
	if err == nil && done != nil {
		done()
	}
	return err
}

func (s *Service) takeFacts(ctx context.Context, tx *ledger.Tx, facts []*fact) (evs []ledger.Event, err error) {
	for _, f := range facts {
		more, err := s.count(ctx, tx, f)
		if err != nil {
			return nil, err
		}
		evs = append(evs, more...)
	}
	return evs, s.own.keepPoints(ctx, tx)
}

// count adds a fact, and raises an alarm when that is enough.
func (s *Service) count(ctx context.Context, tx *ledger.Tx, f *fact) ([]ledger.Event, error) {
	r := f.rule
	if f.ends {
		return s.end(ctx, tx, r, f.who)
	}
	hit := sighting{rule: r, who: f.who, at: f.at, n: f.n, entries: f.entries}
	if r.Within == 0 {
		hit.value = cmp.Or(f.value, strconv.FormatInt(f.last, 10))
		return s.raise(ctx, tx, hit)
	}
	from := (f.at.UnixMicro() - r.Within.Microseconds()) / time.Minute.Microseconds()
	if f.who != "" {
		ok, err := s.apart.admit(ctx, tx, r.ID, f.who, f.minute, from)
		if err != nil {
			return nil, err
		}
		if !ok {
			f.who, hit.who = others, others
		}
	}
	var sum int64
	var numbers strings.Builder
	for _, n := range f.entries {
		fmt.Fprintf(&numbers, "%d ", n)
	}
	if _, err := tx.Exec(ctx, addCount, r.ID, f.who, f.minute, f.n, numbers.String(), evidence*len("9223372036854775807 ")); err != nil {
		return nil, err
	}
	if err := ledger.One(ctx, tx, sumCount, []any{&sum}, r.ID, f.who, from); err != nil {
		return nil, err
	}
	if sum < r.Over {
		return nil, nil
	}
	hit.window, hit.value = &window{f.who, from, sum}, fmt.Sprintf("%d in %s", sum, span(r.Within))
	return s.raise(ctx, tx, hit)
}

// window is what a rule counted until it was enough.
type window struct {
	who  string // by whom
	from int64  // the minute before
	n    int64
}

// entries are the numbers of the first that were counted in it.
func (x *window) entries(ctx context.Context, tx *ledger.Tx, rule string) (out []int64, err error) {
	err = tx.Each(ctx, countedEntries, func(scan ledger.Scan) error {
		var text string
		if err := scan(&text); err != nil {
			return err
		}
		for _, word := range strings.Fields(text) {
			n, err := strconv.ParseInt(word, 10, 64)
			if err != nil {
				return fmt.Errorf("the entries that %s counted: %w", rule, err)
			}
			out = append(out, n)
		}
		return nil
	}, rule, x.who, x.from, evidence)
	return out[:min(len(out), evidence)], err
}

// span writes a time as people say it.
func span(d time.Duration) string {
	if d >= time.Hour {
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d min", int(d.Minutes()))
}

// cursor is where the journal is read from, and since when; at the first start, now.
func (s *Service) cursor(ctx context.Context) (n int64, since time.Time, err error) {
	var us int64
	err = ledger.One(ctx, s.DB, `SELECT n, since FROM watch_cursor WHERE id = 1`, []any{&n, &us})
	if errors.Is(err, fault.NotFound) {
		us = s.Now().Add(-history).UnixMicro()
		err = s.DB.Quiet(ctx, ledger.Cursor, func(tx *ledger.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO watch_cursor (id, n, since) VALUES (1, 0, $1) ON CONFLICT (id) DO NOTHING`, us)
			return err
		})
	}
	return n, at(us), err //nolint:wrapcheck // the ledger says what failed
}

// forget removes counts whose windows are over, and links nobody uses any more.
func (s *Service) forget(ctx context.Context) error {
	now := s.Now()
	if err := s.series.Forget(ctx); err != nil {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	return s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM watch_count WHERE minute < $1`, now.Add(-2*time.Hour).UnixMicro()/time.Minute.Microseconds()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM watch_principal WHERE seen < $1`, now.Add(-keepHabits).UnixMicro()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM watch_point WHERE at < $1`, now.Add(-2*24*time.Hour).UnixMicro()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM watch_kept WHERE kept < $1`, now.Add(-keepLesson).UnixMicro()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM watch_link WHERE made < $1`, now.Add(-linkLives).UnixMicro()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM watch_alarm WHERE id IN (SELECT id FROM watch_alarm WHERE state = 'closed' AND closed < $1 ORDER BY id LIMIT 100)`, now.Add(-5*365*24*time.Hour).UnixMicro())
		return err
	})
}

const (
	moveCursor = `UPDATE watch_cursor SET n = $2 WHERE id = 1 AND n = $1`
	addCount   = `INSERT INTO watch_count (rule, who, minute, n, entries) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (rule, who, minute) DO UPDATE SET n = watch_count.n + excluded.n,
		entries = CASE WHEN length(watch_count.entries) < $6 THEN watch_count.entries || excluded.entries ELSE watch_count.entries END`
	countedEntries = `SELECT entries FROM watch_count WHERE rule = $1 AND who = $2 AND minute > $3 ORDER BY minute LIMIT $4`
	sumCount       = `SELECT COALESCE(SUM(n), 0) FROM watch_count WHERE rule = $1 AND who = $2 AND minute > $3`
)
