package series

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Batch is events that were added up, on their way to the rows. It is for one goroutine.
type Batch struct {
	s     *Service
	cells map[slot]*cell
	over  []spill // what found no room, until the batch is in
	past  bool    // events of long ago count too
}

// slot is a minute of a series.
type slot struct {
	key
	minute int64
}

// cell is what came together in one place.
type cell struct {
	n, sum, high int64
	sketch       *Sketch
	union        *Distinct
}

// NewBatch makes an empty one.
func (s *Service) NewBatch() *Batch { return &Batch{s: s, cells: map[slot]*cell{}} }

// NewHistory makes a batch in which events of long ago count, for what is brought from
// elsewhere; see Observe.
func (s *Service) NewHistory() *Batch { return &Batch{s: s, cells: map[slot]*cell{}, past: true} }

// Add counts an event in the batch; nothing else sees it until the batch is written.
func (b *Batch) Add(e Event) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.add(&e)
}

// Len is how many rows of a minute the batch makes.
func (b *Batch) Len() int { return len(b.cells) }

// add reports whether the event counts. The caller holds the service's mu.
func (b *Batch) add(e *Event) bool {
	s, m := b.s, b.s.Meter(e.Meter)
	if m == nil || e.N < 0 || m.Kind == Union && e.Thing == "" || math.IsNaN(e.Value) || math.IsInf(e.Value, 0) {
		s.unknown.Add(1)
		return false
	}
	if !b.past && s.tooLate(m, e.At) {
		s.late.Add(1)
		return false
	}
	at := e.At.UnixMicro()
	minute := floor(at, time.Minute)
	for _, k := range m.keys(e) {
		place := s.admit(k, at)
		if place != k {
			b.spillOf(m, e, k, at)
		}
		b.cell(slot{place, minute}).add(m, e, m.Kind == Spread)
	}
	return true
}

func (b *Batch) cell(k slot) *cell {
	c := b.cells[k]
	if c == nil {
		c = &cell{}
		b.cells[k] = c
	}
	return c
}

func (c *cell) add(m *Meter, e *Event, spread bool) {
	n := max(e.N, 1)
	if m.Kind == Union {
		if c.union == nil {
			c.union = &Distinct{}
		}
		c.n += n
		c.union.Add(e.Thing)
		return
	}
	v := int64(1)
	if m.Kind != Count {
		v = m.whole(e.Value)
	}
	if c.n == 0 || v > c.high {
		c.high = v
	}
	c.n, c.sum = c.n+n, held(c.sum+times(n, v))
	if spread {
		if c.sketch == nil {
			c.sketch = &Sketch{}
		}
		c.sketch.Add(v, n)
	}
}

// whole is a value as it is kept.
func (m *Meter) whole(v float64) int64 {
	return int64(math.Round(max(min(v*m.scale(), most), -most)))
}

// mostSum is where sums stay, so that no row of a day overflows and holds up all others.
const mostSum = 1 << 60

func times(n, v int64) int64 {
	if p := float64(n) * float64(v); math.Abs(p) >= mostSum {
		return int64(math.Copysign(mostSum, p))
	}
	return n * v
}

func held(sum int64) int64 { return max(min(sum, mostSum), -mostSum) }

// merge adds all of another cell.
func (c *cell) merge(o *cell) {
	if o.union != nil {
		if c.union == nil {
			c.union = &Distinct{}
		}
		if err := c.union.Merge(o.union); err != nil {
			panic(err) // all have the same number of registers
		}
	}
	if c.n == 0 || o.high > c.high {
		c.high = o.high
	}
	c.n, c.sum = c.n+o.n, held(c.sum+o.sum)
	if o.sketch != nil {
		if c.sketch == nil {
			c.sketch = &Sketch{}
		}
		c.sketch.Merge(o.sketch)
	}
}

// tooLate compares with the newest event of the source: a source that is behind is not late
// in itself. A clock that ran ahead does not make the present late. The caller holds mu.
func (s *Service) tooLate(m *Meter, at time.Time) bool {
	now := s.Now()
	if at.After(now.Add(lateBy)) {
		return true
	}
	newest := s.newest[m.Source]
	if at.After(newest) {
		s.newest[m.Source] = at
		return false
	}
	if newest.After(now) {
		newest = now
	}
	return newest.Sub(at) > cmp.Or(m.Late, lateBy)
}

// sorted is one order for every writer, so that no two wait for each other in a circle.
func (b *Batch) sorted() []slot {
	out := make([]slot, 0, len(b.cells))
	for k := range b.cells {
		out = append(out, k)
	}
	slices.SortFunc(out, func(x, y slot) int {
		return cmp.Or(cmp.Compare(x.meter, y.meter), cmp.Compare(x.dimension, y.dimension), cmp.Compare(x.label, y.label), cmp.Compare(x.minute, y.minute))
	})
	return out
}

// floor is the beginning of the step that a time lies in, in microseconds.
func floor(us int64, step time.Duration) int64 {
	n := step.Microseconds()
	return us - ((us%n)+n)%n
}

// Split makes batches of so many minutes of series, for changes whose time is limited.
func (b *Batch) Split(n int) (out []*Batch) {
	for part := range slices.Chunk(b.sorted(), n) {
		x := &Batch{s: b.s, cells: map[slot]*cell{}, past: b.past}
		for _, k := range part {
			x.cells[k] = b.cells[k]
		}
		out = append(out, x)
	}
	return out
}
