package series

import (
	"context"
	"fmt"
	"maps"
	"math/bits"
	"time"

	"writ/internal/ledger"
)

// cover is since when a source was there without a gap, as far as this process knows.
type cover struct {
	from, last int64          // microseconds
	written    int64          // minutes before this are in the table
	holes      map[int64]bool // minutes in which something was lost; not yet in the table
	before     map[place]marks
}

// restart begins a new span, and keeps what the one before it covered until that is written.
func (c *cover) restart(source string, now int64) {
	c.whole(source, c.before)
	c.from, c.last = now, now
}

// pause is how long a source may not have been seen and still was there.
const pause = time.Minute

// Seen says that a source is there now. Whoever runs it says so every few seconds.
func (s *Service) Seen(source string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, c := s.Now().UnixMicro(), s.covered(source)
	if c.last == 0 || now < c.last || now-c.last > pause.Microseconds() {
		c.restart(source, now)
	}
	c.last = now
}

// Lost says that something of a source was lost in this minute, so that it has a hole.
func (s *Service) Lost(source string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.covered(source).holes[floor(s.Now().UnixMicro(), time.Minute)] = true
}

// Jumped says that the clock was set: no minute around this moment is whole, of any source.
func (s *Service) Jumped() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now().UnixMicro()
	for source, c := range s.cover {
		c.restart(source, now)
		c.holes[floor(now, time.Minute)] = true
	}
}

func (s *Service) covered(source string) *cover {
	c := s.cover[source]
	if c == nil {
		c = &cover{holes: map[int64]bool{}, before: map[place]marks{}}
		s.cover[source] = c
	}
	return c
}

// place is one hour of a source.
type place struct {
	source string
	hour   int64
}

// marks are bits of minutes.
type marks struct{ seen, holes int64 }

func (m *marks) set(minute int64, hole bool) {
	bit := int64(1) << (minute / time.Minute.Microseconds() % 60)
	if hole {
		m.holes |= bit
	} else {
		m.seen |= bit
	}
}

// whole are the minutes of a source that are over and covered, and not yet written, and its
// holes. The caller holds mu.
func (c *cover) whole(source string, out map[place]marks) {
	put := func(minute int64, hole bool) {
		p := place{source, floor(minute, time.Hour)}
		m := out[p]
		m.set(minute, hole)
		out[p] = m
	}
	n := time.Minute.Microseconds()
	for m := max(c.written, floor(c.from+n-1, time.Minute)); m+n <= c.last; m += n {
		put(m, false)
	}
	for m := range c.holes {
		put(m, true)
	}
}

// join adds marks to others.
func join(to, from map[place]marks) {
	for p, m := range from {
		had := to[p]
		to[p] = marks{had.seen | m.seen, had.holes | m.holes}
	}
}

// flushCover writes which minutes were observed.
func (s *Service) flushCover(ctx context.Context) error {
	found, last, holes, before := map[place]marks{}, map[string]int64{}, map[string][]int64{}, map[string]map[place]marks{}
	s.mu.Lock()
	for source, c := range s.cover {
		c.whole(source, found)
		join(found, c.before)
		before[source] = maps.Clone(c.before)
		last[source] = floor(c.last, time.Minute)
		for m := range c.holes {
			holes[source] = append(holes[source], m)
		}
	}
	s.mu.Unlock()
	if len(found) == 0 {
		return nil
	}
	err := s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
		for p, m := range found {
			if _, err := tx.Exec(ctx, addObserved, p.source, p.hour, m.seen, m.holes); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write what was observed: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for source, to := range last {
		c := s.cover[source]
		if c.written < to {
			c.written = to
		}
		for _, m := range holes[source] {
			delete(c.holes, m)
		}
		for p, m := range before[source] { // what came meanwhile is written the next time
			if c.before[p] == m {
				delete(c.before, p)
			}
		}
	}
	return nil
}

// Observe says of minutes of the past that a source was there, in the caller's change. At most
// 40 days at a time.
func (s *Service) Observe(ctx context.Context, tx *ledger.Tx, source string, from, until time.Time) error {
	found := map[place]marks{}
	a, b := floor(from.UnixMicro(), time.Minute), floor(until.UnixMicro(), time.Minute)
	if b-a > (40 * 24 * time.Hour).Microseconds() {
		return fmt.Errorf("series: more than 40 days of %s at a time", source)
	}
	(&cover{from: a, last: b}).whole(source, found)
	for p, m := range found {
		if _, err := tx.Exec(ctx, addObserved, p.source, p.hour, m.seen, m.holes); err != nil {
			return err //nolint:wrapcheck // the ledger says what failed
		}
	}
	return nil
}

// watched answers which share of a span was observed.
type watched struct {
	hours map[int64]marks
	c     cover
	now   int64
}

// watched reads what was observed of a source.
func (s *Service) watched(ctx context.Context, source string, from, until int64) (*watched, error) {
	w := &watched{hours: map[int64]marks{}, now: s.Now().UnixMicro()}
	err := s.DB.Each(ctx, listObserved, func(scan ledger.Scan) error {
		var hour int64
		var m marks
		err := scan(&hour, &m.seen, &m.holes)
		w.hours[hour] = m
		return err
	}, source, floor(from, time.Hour), until)
	if err != nil {
		return nil, fmt.Errorf("read what was observed: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.cover[source]; c != nil {
		w.c = *c
		w.c.holes, w.c.before = nil, nil
		found := map[place]marks{}
		c.whole(source, found)
		join(found, c.before)
		for p, m := range found {
			had := w.hours[p.hour]
			w.hours[p.hour] = marks{had.seen | m.seen, had.holes | m.holes}
		}
	}
	return w, nil
}

// share of the minutes from a to b, as far as they have begun. The running minute counts as
// observed where the source was there since it began; a step shorter than a minute, where the
// source was there throughout.
func (w *watched) share(a, b int64) float64 {
	n := time.Minute.Microseconds()
	if b-a < n {
		if w.c.last > 0 && a >= max(w.c.from, w.now-seconds*1e6) && a <= w.c.last+pause.Microseconds() {
			return 1
		}
		return 0
	}
	good, all := 0, 0
	for h := floor(a, time.Hour); h < b; h += 60 * n {
		m := w.hours[h]
		open := m.seen &^ m.holes
		if run := floor(w.now, time.Minute); run >= h && run < h+60*n && w.c.last > 0 && w.c.from <= run && m.holes>>(run/n%60)&1 == 0 {
			open |= 1 << (run / n % 60)
		}
		first, last := max(a, h), min(b, h+60*n, floor(w.now, time.Minute)+n)
		if last <= first {
			continue
		}
		k := int((last - first) / n)
		all += k
		good += bits.OnesCount64(uint64(open) >> ((first - h) / n) & (1<<k - 1))
	}
	if all == 0 {
		return 0
	}
	return float64(good) / float64(all)
}

const (
	addObserved  = `INSERT INTO watch_observed (source, hour, seen, holes) VALUES ($1, $2, $3, $4) ON CONFLICT (source, hour) DO UPDATE SET seen = watch_observed.seen | excluded.seen, holes = watch_observed.holes | excluded.holes`
	listObserved = `SELECT hour, seen, holes FROM watch_observed WHERE source = $1 AND hour >= $2 AND hour < $3`
)
