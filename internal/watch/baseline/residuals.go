package baseline

import (
	"cmp"
	"math"
	"slices"
)

// Residuals are counted by size in buckets that grow: 0.01 wide in the middle, up to 4 on
// either side, which is a factor of 55.
const (
	arms    = 20
	width   = 0.01
	growth  = 1.35
	buckets = 2*arms + 1
)

type residuals [buckets]uint8

var centres = func() (out [buckets]float64) {
	for i := range out {
		n := float64(i - arms)
		out[i] = math.Copysign(width*(math.Pow(growth, math.Abs(n))-1), n)
	}
	return out
}()

func (r *residuals) add(v float64) {
	n := int(math.Round(math.Log1p(math.Abs(v)/width) / math.Log(growth)))
	i := arms + int(math.Copysign(float64(min(n, arms)), v))
	if r[i] == math.MaxUint8 {
		for j := range r {
			r[j] /= 2
		}
	}
	r[i]++
}

// fade lets what is old count for less.
func (r *residuals) fade(keep float64) {
	for i := range r {
		r[i] = uint8(float64(r[i]) * keep)
	}
}

// spread is the median of the residuals of some hours, and their deviation by their median
// absolute deviation; below it is by where the lowest fifth lies, if that is more: of what comes
// and goes the first sees one heap alone. Above, an attack of a day would be such a heap.
func spread(hours ...*residuals) (median, sigma, under float64, n int) {
	type part struct {
		v float64
		n int
	}
	var parts [buckets]part
	for i := range parts {
		parts[i].v = centres[i]
		for _, r := range hours {
			parts[i].n += int(r[i])
		}
		n += parts[i].n
	}
	at := func(share float64) float64 {
		seen := 0
		for _, p := range parts {
			if seen += p.n; float64(seen) >= share*float64(n) && p.n > 0 {
				return p.v
			}
		}
		return 0
	}
	median = at(0.5)
	under = (median - at(0.2)) / 0.84
	for i := range parts {
		parts[i].v = math.Abs(parts[i].v - median)
	}
	slices.SortFunc(parts[:], func(a, b part) int { return cmp.Compare(a.v, b.v) })
	sigma = 1.4826 * at(0.5)
	return median, sigma, max(sigma, under), n
}
