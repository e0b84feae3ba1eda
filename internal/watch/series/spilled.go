package series

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"writ/internal/ledger"
	"writ/internal/watch/heavy"
)

// What counts under Other for want of room is told apart as far as that can be: each hour the labels
// with the most of it are known, between bounds.

const (
	mostSpilled = 64 // hours of dimensions in memory
	spilledSome = 10 // in one change
)

// spilled is an hour of a dimension of a meter.
type spilled struct {
	meter, dimension string
	hour             int64
}

// tally is what is known of it.
type tally struct {
	heavy.Hitters
	dirty bool
}

// spill is a label that found no room.
type spill struct {
	key
	at, n int64
}

// spillOf says what an event is to a label that finds no room. What is brought from long ago, levels and
// unions are not told apart.
func (b *Batch) spillOf(m *Meter, e *Event, k key, at int64) {
	if b.past || m.Kind != Count && m.Kind != Spread {
		return
	}
	n := max(e.N, 1)
	if m.Kind == Spread {
		n = times(n, m.whole(e.Value))
	}
	x := spill{k, at, n}
	if b == b.s.pending {
		b.s.noteSpill(&x)
		return
	}
	b.over = append(b.over, x)
}

// noteSpill counts it. The caller holds mu.
func (s *Service) noteSpill(x *spill) {
	at := spilled{x.meter, x.dimension, floor(x.at, time.Hour)}
	t := s.spilled[at]
	if t == nil {
		if len(s.spilled) >= mostSpilled {
			return
		}
		t = &tally{}
		s.spilled[at] = t
	}
	t.Add(x.label, x.n)
	t.dirty = true
}

// flushSpilled writes what has changed, and lets hours go of which nothing more can come.
func (s *Service) flushSpilled(ctx context.Context) error {
	type row struct {
		spilled
		box []byte
	}
	var rows []row
	s.mu.Lock()
	for at, t := range s.spilled {
		if !t.dirty {
			if at.hour+(time.Hour+mostLate).Microseconds() < s.Now().UnixMicro() {
				delete(s.spilled, at)
			}
			continue
		}
		sum := t.Summary()
		box, err := sum.MarshalBinary()
		if err != nil {
			s.mu.Unlock()
			return err //nolint:wrapcheck // says what is too long
		}
		t.dirty = false
		rows = append(rows, row{at, box})
	}
	s.mu.Unlock()
	for part := range slices.Chunk(rows, spilledSome) {
		if err := s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
			for _, r := range part {
				if _, err := tx.Exec(ctx, saveHeavy, r.hour, r.meter, r.dimension, s.writer, r.box); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			s.mu.Lock()
			for _, r := range rows {
				if t := s.spilled[r.spilled]; t != nil {
					t.dirty = true
				}
			}
			s.mu.Unlock()
			return fmt.Errorf("write the labels with the most: %w", err)
		}
	}
	return nil
}

// heaviest are the labels with the most of what counted under Other, in the whole hours of a span.
func (s *Service) heaviest(ctx context.Context, meter, dimension string, a, b int64) (heavy.Summary, error) {
	var parts []heavy.Summary
	mine := map[int64]bool{}
	s.mu.Lock()
	for at, t := range s.spilled {
		if at.meter == meter && at.dimension == dimension && at.hour >= a && at.hour < b {
			parts, mine[at.hour] = append(parts, t.Summary()), true
		}
	}
	s.mu.Unlock()
	err := s.DB.Each(ctx, listHeavy, func(scan ledger.Scan) error {
		var hour int64
		var writer string
		var box []byte
		if err := scan(&hour, &writer, &box); err != nil {
			return err
		}
		if writer == s.writer && mine[hour] {
			return nil
		}
		var x heavy.Summary
		parts = append(parts, x)
		return parts[len(parts)-1].UnmarshalBinary(box)
	}, meter, dimension, a, b)
	if err != nil {
		return heavy.Summary{}, fmt.Errorf("read the labels with the most: %w", err)
	}
	return heavy.Join(parts...), nil
}

// best are the first n rows, what counted under Other told apart: whoever stands in the list is not
// in Other any more.
func (m *Meter) best(rows []Row, sum heavy.Summary, n int) []Row {
	var other *Row
	all := make([]Row, 0, len(rows)+len(sum.Hits))
	at := map[string]int{}
	for i := range rows {
		if rows[i].Label == Other {
			other = &rows[i]
			continue
		}
		at[rows[i].Label] = len(all)
		all = append(all, rows[i])
	}
	least := map[string]float64{}
	for _, h := range sum.Hits {
		i, ok := at[h.Label]
		if !ok {
			i = len(all)
			all = append(all, Row{Meter: m.Name, Dimension: rows[0].Dimension, Label: h.Label})
		}
		least[h.Label] = float64(h.Least) / m.scale()
		all[i].Value += least[h.Label]
		all[i].Error = float64(h.Most-h.Least) / m.scale()
		if m.Kind == Count {
			all[i].Count += h.Least
		}
	}
	order := func(x, y Row) int {
		return cmp.Or(cmp.Compare(y.Value, x.Value), cmp.Compare(x.Label, y.Label))
	}
	slices.SortFunc(all, order)
	if other == nil {
		return all[:min(n, len(all))]
	}
	rest := func(n int) (r Row) {
		r = *other
		for _, x := range all[:n] {
			r.Value -= least[x.Label]
			if m.Kind == Count {
				r.Count -= int64(least[x.Label])
			}
		}
		return r
	}
	k := min(n, len(all))
	if r := rest(k); k == n && order(all[k-1], r) < 0 {
		return all[:k]
	}
	k = min(n-1, len(all))
	out := append(slices.Clip(all[:k]), rest(k))
	slices.SortFunc(out, order)
	return out
}

const (
	saveHeavy = `INSERT INTO watch_heavy (hour, meter, dimension, writer, box) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (hour, meter, dimension, writer) DO UPDATE SET box = excluded.box`
	listHeavy = `SELECT hour, writer, box FROM watch_heavy WHERE meter = $1 AND dimension = $2 AND hour >= $3 AND hour < $4 ORDER BY hour`
	dropHeavy = `DELETE FROM watch_heavy WHERE (hour, meter, dimension, writer) IN (SELECT hour, meter, dimension, writer FROM watch_heavy WHERE hour < $1 ORDER BY hour LIMIT $2)`
)
