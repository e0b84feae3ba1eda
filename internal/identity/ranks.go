package identity

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// mannWhitney is the two-sided probability that two samples as different as these come
// from one distribution, by ranks: the normal approximation with ties and the correction
// for continuity. It asks nothing of the shape of the distribution, and outliers, of which
// times have many, count as any other. Source: Mann and Whitney, Annals of Mathematical
// Statistics 18 (1947). 1 where a sample is empty or all values are equal.
func mannWhitney(a, b []time.Duration) float64 {
	type value struct {
		d     time.Duration
		first bool
	}
	all := make([]value, 0, len(a)+len(b))
	for _, d := range a {
		all = append(all, value{d, true})
	}
	for _, d := range b {
		all = append(all, value{d, false})
	}
	slices.SortFunc(all, func(x, y value) int { return cmp.Compare(x.d, y.d) })
	ranks, ties := 0.0, 0.0
	for i := 0; i < len(all); {
		end := i
		for end < len(all) && all[end].d == all[i].d {
			end++
		}
		equal := float64(end - i)
		ties += equal*equal*equal - equal
		for ; i < end; i++ {
			if all[i].first {
				ranks += float64(end) - (equal-1)/2
			}
		}
	}
	n, m := float64(len(a)), float64(len(b))
	spread := n * m / 12 * ((n + m + 1) - ties/((n+m)*(n+m-1)))
	if n == 0 || m == 0 || spread <= 0 {
		return 1
	}
	u := ranks - n*(n+1)/2
	z := max(math.Abs(u-n*m/2)-0.5, 0) / math.Sqrt(spread)
	return math.Erfc(z / math.Sqrt2)
}

// median is the middle of a sample, the mean of the two middle ones where their number is
// even; 0 of nothing.
func median(ds []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(ds))
	if len(s) == 0 {
		return 0
	}
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}
