package sigma

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"math"
	"slices"
	"sort"
	"strconv"
)

const (
	mostGroups = 100_000   // of a correlation
	allPoints  = 1_000_000 // of all
)

// Point is an event that counts towards a correlation, as it is kept.
type Point struct {
	Of    string // unit and correlation
	Group string // a hash of the group's values
	At    int64  // µs
	Ref   int64
	Base  int     // which of its rules
	Num   float64 // of value_sum, value_avg, value_percentile
	Val   string  // a hash of the value, where values are told apart
}

// windows is the state of a correlation.
type windows struct {
	*compiled
	key    string
	of     []*compiled
	groups map[string]*group
}

// group is what counts of one group, in the order of time.
type group struct {
	points []Point
	vals   map[string]int // how often each value is there
	sorted []float64
	bases  []int // points by rule
}

func newWindows(c *compiled, key string) *windows {
	return &windows{compiled: c, key: key, groups: map[string]*group{}}
}

// Made are the points that the last Feed added; keep them to go on after a restart.
func (e *Engine) Made() []Point { return e.made }

// Lost is how many points were not counted, because a bound was reached.
func (e *Engine) Lost() int64 { return e.lost }

// Restore takes points that were kept, those of the smallest Ref first.
func (e *Engine) Restore(ps []Point) {
	by := map[string]*windows{}
	for _, w := range e.state {
		by[w.key] = w
	}
	for _, p := range ps {
		if w := by[p.Of]; w != nil && p.Base < len(w.of) {
			e.add(w, p)
		}
	}
}

// Longest is the longest window of a correlation here, in µs.
func (e *Engine) Longest() (us int64) {
	for _, w := range e.state {
		us = max(us, w.Correlation.Within.Microseconds())
	}
	return us
}

// count adds an event to a correlation, and says whether that makes it true.
func (e *Engine) count(w *windows, c *compiled, ev *Event) {
	p := Point{Of: w.key, At: ev.At.UnixMicro(), Ref: ev.Ref, Base: slices.Index(w.of, c)}
	var values []string
	for _, name := range w.Correlation.GroupBy {
		v, ok := e.view.first(w.field(name, c))
		if !ok { // it belongs to no group
			return
		}
		values = append(values, v.text)
	}
	p.Group = hash(values)
	if !w.measure(&p, &e.view) {
		return
	}
	g := e.add(w, p)
	if g == nil {
		return
	}
	e.made = append(e.made, p)
	if v, ok := w.holds(g, &p); ok {
		e.hit(w.compiled, ev, values, v)
	}
}

// field is what a name of group-by means for a rule.
func (w *windows) field(name string, c *compiled) string {
	of := w.Correlation.Aliases[name]
	for _, ref := range []string{c.ID, c.Name} {
		if f := of[ref]; f != "" && ref != "" {
			return f
		}
	}
	return name
}

func hash(values []string) string {
	var room [128]byte
	b := room[:0]
	for _, v := range values {
		b = append(append(strconv.AppendInt(b, int64(len(v)), 10), ':'), v...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// measure takes from the event what the correlation compares; false = it has none.
func (w *windows) measure(p *Point, v *view) bool {
	c := w.Correlation
	switch c.Type {
	case "event_count", "temporal", "temporal_ordered":
		return true
	case "value_sum", "value_avg":
	case "value_percentile":
		if c.Percent == 0 {
			break
		}
	}
	var vals []string
	for _, f := range c.Field {
		x, ok := v.first(f)
		if !ok {
			return false
		}
		vals = append(vals, x.text)
		if c.Type == "value_sum" || c.Type == "value_avg" || c.Percent > 0 {
			n, ok := x.figure()
			if !ok || math.IsNaN(n) || math.IsInf(n, 0) {
				return false
			}
			p.Num += n
		}
	}
	if c.Type == "value_count" || c.Type == "value_percentile" && c.Percent == 0 {
		p.Val = hash(vals)
	}
	return true
}

// add puts a point in its group, and takes out what is older than the window; nil = it is
// beyond a bound, or too old itself.
func (e *Engine) add(w *windows, p Point) *group {
	g := w.groups[p.Group]
	if g == nil {
		if len(w.groups) >= mostGroups {
			e.sweep(w, p.At)
		}
		if len(w.groups) >= mostGroups || e.points >= allPoints {
			e.lost++
			return nil
		}
		g = &group{vals: map[string]int{}, bases: make([]int, len(w.of))}
		w.groups[p.Group] = g
	}
	newest := p.At
	if n := len(g.points); n > 0 {
		newest = max(newest, g.points[n-1].At)
	}
	from := newest - w.Correlation.Within.Microseconds()
	if p.At < from {
		return nil
	}
	for len(g.points) > 0 && g.points[0].At < from {
		e.drop(g)
	}
	if len(g.points) >= mostPoints || e.points >= allPoints && len(g.points) > 0 {
		e.lost++
		e.drop(g)
	}
	i := sort.Search(len(g.points), func(i int) bool { return g.points[i].At > p.At })
	g.points = slices.Insert(g.points, i, p)
	e.points++
	g.bases[p.Base]++
	if p.Val != "" {
		g.vals[p.Val]++
	}
	if w.Correlation.Percent > 0 {
		i, _ := slices.BinarySearch(g.sorted, p.Num)
		g.sorted = slices.Insert(g.sorted, i, p.Num)
	}
	return g
}

// drop takes the oldest point out.
func (e *Engine) drop(g *group) {
	p := g.points[0]
	g.points = g.points[1:]
	e.points--
	g.bases[p.Base]--
	if p.Val != "" {
		if g.vals[p.Val]--; g.vals[p.Val] == 0 {
			delete(g.vals, p.Val)
		}
	}
	if i, ok := slices.BinarySearch(g.sorted, p.Num); ok {
		g.sorted = slices.Delete(g.sorted, i, i+1)
	}
}

// sweep forgets groups of which nothing happened for a window.
func (e *Engine) sweep(w *windows, now int64) {
	from := now - w.Correlation.Within.Microseconds()
	maps.DeleteFunc(w.groups, func(_ string, g *group) bool {
		old := g.points[len(g.points)-1].At < from
		if old {
			e.points -= len(g.points)
		}
		return old
	})
}

// holds compares what is in the window.
func (w *windows) holds(g *group, p *Point) (v float64, ok bool) {
	c := w.Correlation
	n := float64(len(g.points))
	switch c.Type {
	case "event_count":
		v = n
	case "value_count":
		v = float64(len(g.vals))
	case "value_sum", "value_avg":
		for i := range g.points {
			v += g.points[i].Num
		}
		if c.Type == "value_avg" {
			v /= n
		}
	case "value_percentile":
		v = 100 * float64(g.vals[p.Val]) / n
		if c.Percent > 0 {
			v = g.sorted[max(int(math.Ceil(c.Percent*n/100))-1, 0)]
		}
	default:
		for _, k := range g.bases {
			if k > 0 {
				v++
			}
		}
		if len(c.bounds) == 0 && int(v) < len(g.bases) || c.Type == "temporal_ordered" && !g.ordered() {
			return v, false
		}
	}
	for _, b := range c.bounds {
		if !holdsTo(b.cmp, v, b.than) {
			return v, false
		}
	}
	return v, true
}

// ordered reports whether the rules fired in their order.
func (g *group) ordered() bool {
	next := 0
	for i := range g.points {
		if g.points[i].Base == next {
			if next++; next == len(g.bases) {
				return true
			}
		}
	}
	return false
}
