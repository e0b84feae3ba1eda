package budget

import (
	"math"
	"time"
)

// History is what is known when a forecast is made: whole days before the one that goes on,
// oldest first and without leaving one out, and that day so far.
type History struct {
	First   time.Weekday // of Days[0]
	Days    []float64    // NaN where nobody knows
	Before  float64      // of this month, in whole days before today
	Today   float64      // so far
	Elapsed float64      // how much of today is over, 0 to 1
	Left    int          // days of the month after today
}

// Forecast is how a month will end.
type Forecast struct {
	Learning bool // too few days are known; nothing else is set
	Known    int  // whole days
	Mean     float64
	Low      float64   // of ten months like this one, nine end above this
	High     float64   // and nine below this: together the interval of 80 %
	Path     []float64 // what each day from today on adds
}

// The bounds of the model.
const (
	leastDays  = 3  // whole days, before which nothing is said
	leastWeeks = 14 // days, before which every day of the week is like the others
	normal90   = 1.2816
)

// Foresee continues the days by a linear trend (Holt 1957) times what each day of the week is
// used to be like. The interval is by how far the model was wrong a day ahead so far: an error
// of one day moves level and trend of all later ones, so the errors add up with the weights
// that smoothing gives them (Hyndman et al., Forecasting with Exponential Smoothing, ch. 6).
// Level and trend are themselves known from few days only, which makes it wider.
func Foresee(h History) Forecast {
	f := Forecast{Known: known(h.Days)}
	if f.Known < leastDays {
		f.Learning = true
		return f
	}
	factors := weekly(h)
	m := fit(h, factors)
	weights := make([]float64, h.Left+1) // of each day in the sum
	f.Mean = h.Before + h.Today
	for k := range weights {
		share := factors[weekdayAt(h.First, len(h.Days)+k)]
		if k == 0 {
			share *= 1 - min(max(h.Elapsed, 0), 1)
		}
		weights[k] = share
		add := max(0, m.level+float64(k+1)*m.trend) * share
		if k == 0 {
			f.Path = append(f.Path, h.Today+add)
		} else {
			f.Path = append(f.Path, add)
		}
		f.Mean += add
	}
	variance := 0.0
	for i := range weights {
		w := weights[i]
		for k := i + 1; k < len(weights); k++ {
			w += (m.alpha + m.alpha*m.beta*float64(k-i)) * weights[k]
		}
		variance += w * w * m.variance
	}
	wide := spread(f.Known) * math.Sqrt(variance+m.variance*unsure(f.Known, weights))
	f.Low, f.High = max(h.Before+h.Today, f.Mean-wide), f.Mean+wide
	return f
}

// unsure is how much a line through n days is off over the days to come, as a share of the
// variance of one day: the error of a prediction in least squares.
func unsure(n int, weights []float64) float64 {
	all, turn := 0.0, 0.0
	for k, w := range weights {
		all, turn = all+w, turn+w*(float64(k)+float64(n+1)/2)
	}
	days := float64(n)
	return all*all/days + turn*turn*12/(days*(days*days-1))
}

func known(days []float64) (n int) {
	for _, y := range days {
		if !math.IsNaN(y) {
			n++
		}
	}
	return n
}

func weekdayAt(first time.Weekday, i int) time.Weekday { return time.Weekday((int(first) + i) % 7) }

// weekly is how each day of the week compares with the week around it; 1 for all while fewer
// than two weeks are known.
func weekly(h History) (factors [7]float64) {
	var n [7]float64
	for i := 3; known(h.Days) >= leastWeeks && i+3 < len(h.Days); i++ {
		mean := 0.0
		for _, y := range h.Days[i-3 : i+4] {
			mean += y / 7
		}
		if mean > 0 { // and every day of that week is known
			d := weekdayAt(h.First, i)
			factors[d], n[d] = factors[d]+h.Days[i]/mean, n[d]+1
		}
	}
	sum := 0.0
	for d := range factors {
		if n[d] == 0 {
			return [7]float64{1, 1, 1, 1, 1, 1, 1}
		}
		factors[d] = max(factors[d]/n[d], 0.05) // a day that is always empty still divides
		sum += factors[d]
	}
	for d := range factors {
		factors[d] *= 7 / sum
	}
	return factors
}

// model is Holt's, after the last day.
type model struct{ level, trend, alpha, beta, variance float64 }

// fit tries smoothings, and takes the one that was least wrong a day ahead.
func fit(h History, factors [7]float64) (best model) {
	best.variance = math.Inf(1)
	for _, alpha := range []float64{0.05, 0.1, 0.2, 0.35, 0.5, 0.7} {
		for _, beta := range []float64{0, 0.05, 0.1, 0.2} {
			if m := smooth(h, factors, alpha, beta); m.variance < best.variance {
				best = m
			}
		}
	}
	return best
}

func smooth(h History, factors [7]float64, alpha, beta float64) model {
	m := model{alpha: alpha, beta: beta}
	m.level, m.trend = start(h, factors)
	sum, n := 0.0, 0.0
	for i, y := range h.Days {
		ahead := m.level + m.trend
		if math.IsNaN(y) { // a day that nobody saw teaches nothing
			m.level = ahead
			continue
		}
		wrong := y/factors[weekdayAt(h.First, i)] - ahead
		m.level, m.trend = ahead+alpha*wrong, m.trend+alpha*beta*wrong
		sum, n = sum+wrong*wrong, n+1
	}
	m.variance = sum / max(n-2, 1) // level and trend were chosen by the days themselves
	return m
}

// start is a line through the first two weeks, as it stands a day before the first.
func start(h History, factors [7]float64) (level, trend float64) {
	var n, sx, sy, sxx, sxy float64
	for i, y := range h.Days[:min(len(h.Days), 2*leastWeeks)] {
		if math.IsNaN(y) {
			continue
		}
		x := float64(i + 1)
		y /= factors[weekdayAt(h.First, i)]
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if n == 0 { // nothing is known that early
		return 0, 0
	}
	if d := n*sxx - sx*sx; d > 0 && n >= leastDays {
		trend = (n*sxy - sx*sy) / d
	}
	return (sy - trend*sx) / n, trend
}

// spread is the quantile at 90 % of Student's t, as far as few days make it wider.
func spread(days int) float64 {
	v, z := float64(max(days-2, 1)), normal90
	return z + (z*z*z+z)/(4*v) + (5*math.Pow(z, 5)+16*z*z*z+3*z)/(96*v*v)
}
