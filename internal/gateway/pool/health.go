package pool

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	checkEvery = 2 * time.Second
	checkTime  = time.Second
	outAfter   = 2 // bad checks in a row
	inAfter    = 2 // good ones
)

// Run looks after the places' health until ctx ends.
func (p *Pool) Run(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		p.Check(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Check asks each place once.
func (p *Pool) Check(ctx context.Context) {
	var wg sync.WaitGroup
	for _, at := range p.places {
		wg.Go(func() {
			problem := p.ask(ctx, at)
			if ctx.Err() == nil {
				p.judge(at, problem)
			}
		})
	}
	wg.Wait()
}

// ask returns what is wrong with a place; "" = nothing.
func (p *Pool) ask(ctx context.Context, at *place) string {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	r := p.question(ctx, at.URL)
	res, err := at.Way.RoundTrip(r)
	if err != nil {
		return err.Error()
	}
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
	_ = res.Body.Close()
	if p.o.Path != "" && (res.StatusCode < 200 || res.StatusCode > 299) {
		return fmt.Sprintf("%s answered %d", p.o.Path, res.StatusCode)
	}
	return ""
}

// judge takes a place out or in.
func (p *Pool) judge(at *place, problem string) {
	now := p.o.Now()
	at.mu.Lock()
	at.last, at.looked = problem, now
	if problem != "" {
		at.bad, at.good = at.bad+1, 0
	} else {
		at.bad, at.good = 0, at.good+1
	}
	change := at.bad >= outAfter && !at.out.Load() || at.good >= inAfter && at.out.Load()
	if change {
		at.out.Store(at.bad > 0)
		at.since.Store(now.UnixNano())
	}
	up := !at.out.Load()
	at.mu.Unlock()
	if change {
		p.o.Told(Change{at.name, at.Zone, up, "health"})
	}
}

// State is what is known of a place.
type State struct {
	URL      string    `json:"url"`
	Zone     string    `json:"zone,omitempty"`
	Local    bool      `json:"local,omitempty"` // in the gate's own zone
	State    string    `json:"state"`           // in, out or resting (the breaker leaves it alone)
	Problem  string    `json:"problem,omitempty"`
	Checked  time.Time `json:"checked,omitzero"`
	Requests int64     `json:"requests"` // of the last seconds
	Failed   int64     `json:"failed"`
}

// States describes all places.
func (p *Pool) States() []State {
	var out []State
	now := p.o.Now()
	for _, at := range p.places {
		s := State{URL: at.name, Zone: at.Zone, Local: p.o.Zone != "" && at.Zone == p.o.Zone, State: "in"}
		at.mu.Lock()
		s.Problem, s.Checked = at.last, at.looked
		at.mu.Unlock()
		switch {
		case at.out.Load():
			s.State = "out"
		case at.open.Load():
			s.State = "resting"
		}
		s.Requests, s.Failed = at.tally.read(now)
		out = append(out, s)
	}
	return out
}
