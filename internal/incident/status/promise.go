package status

import (
	"context"
	"fmt"
	"slices"
	"time"

	"writ/internal/web"
)

// Promise is an estimate that the page gave, and what came of it.
type Promise struct {
	Said time.Time
	By   time.Time
	Was  time.Time // when the incident ended
}

// Late is by how much the promise was missed; zero or less = it was kept.
func (p Promise) Late() time.Duration { return p.Was.Sub(p.By) }

// Says is it in words.
func (p Promise) Says() string {
	says := "Said on " + stamp(p.Said) + ": back by " + stamp(p.By) + ". "
	if d := p.Late().Round(time.Minute); d > 0 {
		return says + "It took " + web.Duration(d) + " longer."
	}
	return says + "Kept."
}

// Promises are those of an incident that has ended, the oldest first. Each other estimate is one
// of its own: an old one is not forgotten because a later one was given.
func (p Public) Promises() []Promise { // clause: inc.eta
	if p.Ended.IsZero() {
		return nil
	}
	var out []Promise
	for _, u := range slices.Backward(p.Posts) {
		if u.Estimate.IsZero() || u.At.After(p.Ended) || len(out) > 0 && out[len(out)-1].By.Equal(u.Estimate) {
			continue
		}
		out = append(out, Promise{u.At, u.Estimate, p.Ended})
	}
	return out
}

// Kept is how well promises were kept.
type Kept struct {
	Given  int
	Kept   int
	Median time.Duration // by how much they were off, either way
}

// Says is it in one sentence; "" where nothing was promised.
func (k Kept) Says() string {
	if k.Given == 0 {
		return ""
	}
	return fmt.Sprintf("Of %s when service returns, %d kept; half of them were off by at most %s", web.Count(int64(k.Given), "promise"), k.Kept, web.Duration(k.Median.Round(time.Minute)))
}

// kept counts the promises of incidents.
func kept(ps []Public) Kept {
	var k Kept
	var off []time.Duration
	for _, p := range ps {
		for _, x := range p.Promises() {
			k.Given++
			if x.Late() <= 0 {
				k.Kept++
			}
			off = append(off, x.Late().Abs())
		}
	}
	slices.Sort(off)
	if len(off) > 0 {
		k.Median = off[len(off)/2]
	}
	return k
}

// Kept is how well the promises of the last hundred incidents were kept.
func (s *Service) Kept(ctx context.Context) (Kept, error) {
	ps, err := s.incidents(ctx)
	return kept(ps), err
}

// Word says how well the page keeps its word.
func (w world) Word() string { return kept(w.Past).Says() }
