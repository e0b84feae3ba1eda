package series

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"time"

	"writ/internal/ledger"
)

// Minutes of series in one change, whose time is limited; three rows each.
const (
	atOnce  = 40
	atLeast = 5
)

// table is the rows of one resolution.
type table struct {
	step   time.Duration
	add    []bulk
	spread string
	sketch string
}

// bulk is a statement that adds so many rows.
type bulk struct {
	rows int
	text string
}

// tables from the finest on.
var tables = []table{
	newTable("watch_series_1m", time.Minute),
	newTable("watch_series_1h", time.Hour),
	newTable("watch_series_1d", 24*time.Hour),
}

func newTable(name string, step time.Duration) table {
	return table{step, []bulk{{32, adds(name, 32)}, {8, adds(name, 8)}, {1, adds(name, 1)}}, adds(name, 1) + " RETURNING sketch",
		`UPDATE ` + name + ` SET sketch = $3 WHERE series = $1 AND at = $2`}
}

// adds is the statement that adds rows: series, at, n, sum, high of each.
func adds(name string, rows int) string {
	var b strings.Builder
	b.WriteString(`INSERT INTO ` + name + ` (series, at, n, sum, high, sketch) VALUES `)
	for i := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "($%d, $%d, $%d, $%d, $%d, '')", 5*i+1, 5*i+2, 5*i+3, 5*i+4, 5*i+5)
	}
	b.WriteString(` ON CONFLICT (series, at) DO UPDATE SET n = ` + name + `.n + excluded.n, sum = CASE WHEN ABS(` + name + `.sum) >= 1152921504606846976 THEN ` + name + `.sum ELSE ` + name + `.sum + excluded.sum END, high = CASE WHEN excluded.high > ` + name + `.high THEN excluded.high ELSE ` + name + `.high END`)
	return b.String()
}

// row is what is added at one place of a table.
type row struct {
	at int64
	cell
}

// Write adds a batch to its rows of a minute, an hour and a day in the caller's change. Call
// done once the change is in. Nothing of the batch is changed, so the change may run again.
func (s *Service) Write(ctx context.Context, tx *ledger.Tx, b *Batch) (done func(), err error) {
	if err := s.load(ctx, tx); err != nil {
		return nil, err
	}
	learned := map[key]int64{}
	if err := s.write(ctx, tx, b, b.sorted(), learned); err != nil {
		return nil, err
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		maps.Copy(s.ids, learned)
		for k, c := range b.cells {
			s.recall(k, c)
		}
		for i := range b.over {
			s.noteSpill(&b.over[i])
		}
	}, nil
}

// recall counts what a batch brought in the seconds in memory, at the end of its minute or now.
// The caller holds mu.
func (s *Service) recall(k slot, c *cell) {
	if sec := s.second(min(k.minute/1e6+59, s.Now().Unix())); sec != nil {
		sec.cell(k.key).merge(&cell{n: c.n, sum: c.sum, high: c.high, union: c.union})
	}
}

// write adds the rows of some slots, which stand in the order of sorted.
func (s *Service) write(ctx context.Context, tx *ledger.Tx, b *Batch, slots []slot, learned map[key]int64) error {
	plain := make([][]any, len(tables)) // values of rows without quantiles, by table: many go in at once
	for from := 0; from < len(slots); {
		k, until := slots[from].key, from
		rows := make([][]row, len(tables))
		newest := int64(0)
		for ; until < len(slots) && slots[until].key == k; until++ {
			x := slots[until]
			newest = max(newest, x.minute)
			for i, t := range tables {
				at, n := floor(x.minute, t.step), len(rows[i])
				if n == 0 || rows[i][n-1].at != at { // the minutes ascend
					rows[i] = append(rows[i], row{at: at})
					n++
				}
				rows[i][n-1].merge(b.cells[x])
			}
		}
		id, err := s.register(ctx, tx, k, newest, learned)
		if err != nil {
			return err
		}
		for i, t := range tables {
			for _, r := range rows[i] {
				if r.sketch == nil && r.union == nil {
					plain[i] = append(plain[i], id, r.at, r.n, r.sum, r.high)
				} else if err := t.addSpread(ctx, tx, id, &r); err != nil {
					return fmt.Errorf("write series of %s: %w", k.meter, err)
				}
			}
		}
		from = until
	}
	for i, t := range tables {
		if err := t.addAll(ctx, tx, plain[i]); err != nil {
			return fmt.Errorf("write series: %w", err)
		}
	}
	return nil
}

// addAll adds rows of five values each.
func (t *table) addAll(ctx context.Context, tx *ledger.Tx, values []any) error {
	for _, b := range t.add {
		for ; len(values) >= 5*b.rows; values = values[5*b.rows:] {
			if _, err := tx.Exec(ctx, b.text, values[:5*b.rows]...); err != nil {
				return err //nolint:wrapcheck // its caller says which
			}
		}
	}
	return nil
}

// joined is what a row keeps of its own and of what it had.
func (c *cell) joined(old []byte) ([]byte, error) {
	if c.union != nil {
		sum := &Distinct{}
		if err := sum.UnmarshalBinary(old); err != nil {
			return nil, err
		}
		if err := sum.Merge(c.union); err != nil {
			return nil, err
		}
		return sum.MarshalBinary()
	}
	sum := &Sketch{}
	if len(old) > 0 {
		if err := sum.UnmarshalBinary(old); err != nil {
			return nil, err
		}
	}
	sum.Merge(c.sketch)
	return sum.MarshalBinary()
}

// addSpread adds a row with quantiles, or with what was different.
func (t *table) addSpread(ctx context.Context, tx *ledger.Tx, id int64, r *row) error {
	var old []byte // the row is ours from here on
	if err := ledger.One(ctx, tx, t.spread, []any{&old}, id, r.at, r.n, r.sum, r.high); err != nil {
		return err //nolint:wrapcheck // its caller says which
	}
	b, err := r.joined(old)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, t.sketch, id, r.at, b)
	return err //nolint:wrapcheck // its caller says which
}

// register gives a series its number.
func (s *Service) register(ctx context.Context, tx *ledger.Tx, k key, seen int64, learned map[key]int64) (int64, error) {
	s.mu.Lock()
	id := s.ids[k]
	s.mu.Unlock()
	if id > 0 {
		return id, nil
	}
	if id = learned[k]; id > 0 {
		return id, nil
	}
	if err := ledger.One(ctx, tx, addSeries, []any{&id}, k.meter, k.dimension, k.label, seen); err != nil {
		return 0, fmt.Errorf("name a series of %s: %w", k.meter, err)
	}
	learned[k] = id
	return id, nil
}

// load learns at the start which labels were live.
func (s *Service) load(ctx context.Context, r ledger.Reader) error {
	s.mu.Lock()
	loaded := s.loaded
	s.mu.Unlock()
	if loaded {
		return nil
	}
	found := map[key]int64{}
	err := r.Each(ctx, liveSeries, func(scan ledger.Scan) error {
		var k key
		var seen int64
		err := scan(&k.meter, &k.dimension, &k.label, &seen)
		found[k] = seen
		return err
	}, s.Now().Add(-lives).UnixMicro())
	if err != nil {
		return fmt.Errorf("read the live series: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, seen := range found {
		if live := s.live[k.meter]; live != nil {
			live[k] = max(live[k], seen)
		}
	}
	s.loaded = true
	return nil
}

// Flush writes the minutes that are over, and which minutes were observed. What could not be
// written stays for the next time.
func (s *Service) Flush(ctx context.Context) error {
	return s.flushBefore(ctx, floor(s.Now().UnixMicro(), time.Minute))
}

// Finish writes the minute that is running too, because the process ends; the next one adds to it.
func (s *Service) Finish(ctx context.Context) error { return s.flushBefore(ctx, math.MaxInt64) }

func (s *Service) flushBefore(ctx context.Context, this int64) error {
	if err := s.load(ctx, s.DB); err != nil {
		return err
	}
	for {
		more, err := s.flush(ctx, this)
		if err != nil {
			return err
		}
		if !more {
			return errors.Join(s.flushCover(ctx), s.flushSpilled(ctx))
		}
	}
}

// flush writes some of what is pending from before a minute.
func (s *Service) flush(ctx context.Context, before int64) (more bool, err error) {
	s.commit.Lock()
	defer s.commit.Unlock()
	part, most := s.NewBatch(), s.pace.Some()
	s.mu.Lock()
	for k, c := range s.pending.cells {
		if k.minute >= before {
			continue
		}
		if len(part.cells) == most {
			more = true
			break
		}
		part.cells[k] = c
		delete(s.pending.cells, k)
	}
	s.mu.Unlock()
	if len(part.cells) == 0 {
		return false, nil
	}
	if err = s.put(ctx, part); err != nil {
		s.mu.Lock()
		for k, c := range part.cells {
			s.pending.cell(k).merge(c)
		}
		s.mu.Unlock()
		if s.pace.Heed(err) {
			return true, nil
		}
		return false, errors.Join(errors.New("series: minutes are not written yet"), err)
	}
	s.pace.Heed(nil)
	return more, nil
}

// putAll writes a batch in one change.
func (s *Service) putAll(ctx context.Context, part *Batch) error {
	learned := map[key]int64{}
	if err := s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
		clear(learned)
		return s.write(ctx, tx, part, part.sorted(), learned)
	}); err != nil {
		return err //nolint:wrapcheck // its caller says what is not written
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.ids, learned)
	return nil
}

const (
	addSeries  = `INSERT INTO watch_series (meter, dimension, label, seen) VALUES ($1, $2, $3, $4) ON CONFLICT (meter, dimension, label) DO UPDATE SET seen = excluded.seen RETURNING id`
	liveSeries = `SELECT meter, dimension, label, seen FROM watch_series WHERE seen >= $1`

	dropMinutes  = `DELETE FROM watch_series_1m WHERE (series, at) IN (SELECT series, at FROM watch_series_1m WHERE at < $1 ORDER BY at LIMIT $2)`
	dropHours    = `DELETE FROM watch_series_1h WHERE (series, at) IN (SELECT series, at FROM watch_series_1h WHERE at < $1 ORDER BY at LIMIT $2)`
	dropDays     = `DELETE FROM watch_series_1d WHERE (series, at) IN (SELECT series, at FROM watch_series_1d WHERE at < $1 ORDER BY at LIMIT $2)`
	dropObserved = `DELETE FROM watch_observed WHERE (source, hour) IN (SELECT source, hour FROM watch_observed WHERE hour < $1 LIMIT $2)`
	dropSeries   = `DELETE FROM watch_series WHERE id IN (SELECT id FROM watch_series WHERE seen < $1 LIMIT $2)`
)
