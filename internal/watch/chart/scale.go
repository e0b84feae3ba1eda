package chart

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// highestOf is the highest of what is drawn.
func highestOf(points []Point) float64 {
	h := 0.0
	for i := range points {
		if p := &points[i]; !p.gap() {
			h = max(h, p.Value)
			if !math.IsNaN(p.High) && !math.IsInf(p.High, 0) {
				h = max(h, p.High)
			}
		}
	}
	return h
}

const mostUsual = 120 // points of the quiet area

// thin leaves out points of what is usual, which goes slowly.
func thin(points []Point) (out []Point) {
	every := (len(points) + mostUsual - 1) / mostUsual
	for i := range points {
		if i%every == 0 || i == len(points)-1 {
			out = append(out, points[i])
		}
	}
	return out
}

// usualRoom is how high the axis must reach for what is usual: its edge, as long as that does
// not press down what was.
func usualRoom(points, usual []Point) float64 {
	middle := 0.0
	for i := range usual {
		if !usual[i].gap() {
			middle = max(middle, usual[i].Value)
		}
	}
	return min(highestOf(usual), 3*max(highestOf(points), middle))
}

// nice is the round number above: 1, 2 or 5 times a power of ten.
func nice(v float64) float64 {
	if v <= 0 {
		return 1
	}
	base := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 4, 5, 10} {
		if v <= f*base*(1+1e-9) {
			return f * base
		}
	}
	return 10 * base
}

// reduce keeps at most so many points: of each stretch the lowest and the highest, in their
// order. A gap stays where a whole stretch is one.
func reduce(points []Point, most int) []Point {
	if len(points) <= most {
		return points
	}
	parts := most / 2
	out := make([]Point, 0, most)
	for i := range parts {
		part := points[i*len(points)/parts : (i+1)*len(points)/parts]
		low, high := -1, -1
		for j := range part {
			if part[j].gap() {
				continue
			}
			if low < 0 || part[j].Value < part[low].Value {
				low = j
			}
			if high < 0 || part[j].Value > part[high].Value {
				high = j
			}
		}
		switch {
		case low < 0:
			out = append(out, part[0])
		case low == high:
			out = append(out, part[low])
		default:
			out = append(out, part[min(low, high)], part[max(low, high)])
		}
	}
	return out
}

// Short writes a number in few letters: 1.2 k, 34 M.
func Short(v float64) string {
	for _, u := range []struct {
		n    float64
		word string
	}{{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if math.Abs(v) >= u.n {
			return few(v/u.n) + u.word
		}
	}
	return few(v)
}

func few(v float64) string {
	if math.Abs(v) >= 9.95 || v == math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	s := strconv.FormatFloat(v, 'f', 1-int(math.Floor(math.Log10(math.Abs(v)))), 64) // two digits
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// steps of columns, as people count time.
var steps = []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 2 * 24 * time.Hour, 4 * 24 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour, 28 * 24 * time.Hour, 91 * 24 * time.Hour, 364 * 24 * time.Hour}

const mostColumns = 13

// Split cuts a span into at most thirteen columns that begin at whole steps. One that begins
// before the span, or ends after it, is cut there.
func Split(from, until time.Time) (cols []Column) {
	i, _ := slices.BinarySearchFunc(steps, until.Sub(from)/(mostColumns-1), func(s, want time.Duration) int { return int(s/time.Second) - int(want/time.Second) })
	step := steps[min(i, len(steps)-1)]
	for at := from.Truncate(step); at.Before(until); at = at.Add(step) {
		c := Column{From: at, Until: at.Add(step)}
		if c.From.Before(from) {
			c.From = from
		}
		if c.Until.After(until) {
			c.Until = until
		}
		cols = append(cols, c)
	}
	return cols
}
