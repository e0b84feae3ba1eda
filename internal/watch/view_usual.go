package watch

import (
	"time"

	"writ/internal/watch/series"
)

// Expect is what is usual of a step of a picture, by what is known today of those hours of the week.
type Expect struct {
	At                  time.Time
	Low, Expected, High float64
	Known               bool // enough was learned of that hour
}

// expected is what is usual of each step of a picture: of counts by the minute, where enough was
// learned; else nothing.
func (s *Service) expected(a *Picture) (out []Expect) {
	k := ofSeries{a.Meter, a.By, a.Label}
	if a.Label == "" {
		k.dimension = series.Whole
	}
	l, c := s.learner, s.usualConfig()
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.known[k]
	if x == nil || x.model == nil || x.exp.wide == 0 || x.exp.value != nil { // a latency is no sum
		return nil
	}
	size, some := min(a.Step, time.Hour), false
	for i := range a.Points {
		e := Expect{At: a.Points[i].At, Known: true}
		for t := e.At; t.Before(e.At.Add(a.Step)); t = t.Add(size) {
			b := x.model.Band(t.Add(size/2), x.exp.wide, c)
			e.Known = e.Known && b.Known
			n := size.Minutes()
			e.Low, e.Expected, e.High = e.Low+n*b.Low, e.Expected+n*b.Expected, e.High+n*b.High
		}
		some = some || e.Known
		out = append(out, e)
	}
	if !some {
		return nil
	}
	return out
}
