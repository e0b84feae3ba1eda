package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"writ/internal/clause"
	"writ/internal/gateway/pool"
)

const twoZones = "host.two-zones"

func (g *Gateway) zoneControls() []clause.Control {
	const hour, day = time.Hour, 24 * time.Hour
	return []clause.Control{
		{ID: "gateway.zones", Clause: twoZones, Kind: clause.Probe, Every: hour, FreshFor: day, Run: g.probeZones,
			Says: "Counts the zones in which the application was well at its last look, and looks whether two of them are one machine"},
		{ID: "gateway.failover", Clause: autoRecovery, Kind: clause.Canary, Every: hour, FreshFor: day, Run: g.loseEach,
			Says: "Rehearses the loss of each place of the application beside the visitors' traffic: another must answer at once, the place must be left alone, and used again by itself when it is back"},
	}
}

// probeZones looks where the application is well. It is the one service that the gate knows.
func (g *Gateway) probeZones(ctx context.Context) (clause.Result, error) { // clause: host.two-zones
	r := g.rules.Get()
	at := map[string][]string{} // zone → machines
	var zones, out []string
	for i, s := range g.pool.States() {
		if s.Checked.IsZero() {
			return clause.Result{}, errors.New("the places were not looked at yet")
		}
		if s.Zone == "" {
			continue
		}
		if !s.Lately(g.now()) {
			out = append(out, s.Zone)
			continue
		}
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", g.upstreams[i].URL.Hostname())
		if err != nil {
			return clause.Result{}, fmt.Errorf("resolve a place: %w", err)
		}
		for _, ip := range ips {
			for other, machines := range at {
				if other != s.Zone && slices.Contains(machines, ip.Unmap().String()) {
					return clause.Failed(fmt.Sprintf("the zones %s and %s are both at %s: they fail together", other, s.Zone, ip.Unmap())), nil
				}
			}
			at[s.Zone] = append(at[s.Zone], ip.Unmap().String())
		}
		if !slices.Contains(zones, s.Zone) {
			zones = append(zones, s.Zone)
		}
	}
	says := fmt.Sprintf("the application is well in %d zones", len(zones))
	if len(zones) > 0 {
		says += ": " + strings.Join(zones, ", ")
	}
	if len(out) > 0 {
		says += "; not in " + strings.Join(out, ", ")
	}
	const services, whole = 1, 10000 // the application, and all of it in hundredths of a per cent
	spread := int64(0)
	if int64(len(zones)) >= r.Zones {
		spread = services
	}
	if spread*whole <= r.ZoneShare*services {
		return clause.Failed(fmt.Sprintf("%s; the policy asks for %d (upstream: with zone: in writ.yaml)", says, r.Zones)), nil
	}
	res := clause.Passed(says)
	res.Population = int64(len(zones))
	return res, nil
}

// loseEach loses each place in turn, in a pool of the same places beside the one that serves.
func (g *Gateway) loseEach(ctx context.Context) (clause.Result, error) { // clause: host.auto-recovery
	places := g.pool.States()
	if len(places) < 2 {
		return clause.Failed("the application has one place: when it fails nothing takes over (upstream: in writ.yaml)"), nil
	}
	most := g.rules.Get().Failover
	if pool.Detects > most {
		return clause.Failed(fmt.Sprintf("a place that fails may be asked for %s before it is left alone, and the policy gives %s", pool.Detects, most)), nil
	}
	var steps []clause.Step
	var longest time.Duration
	for _, s := range places {
		took, of, err := g.lose(ctx, s, most)
		if err != nil {
			return clause.Result{}, err
		}
		steps, longest = append(steps, of...), max(longest, took)
	}
	return clause.Judge(fmt.Sprintf("without each of %d places another answered after at most %s; a failure shows within %s of the %s that the policy gives", len(places), longest.Round(time.Millisecond), pool.Detects, most), steps...), nil
}

// lose rehearses the loss of one place.
func (g *Gateway) lose(ctx context.Context, s pool.State, most time.Duration) (took time.Duration, steps []clause.Step, err error) {
	r, away := g.pool.Rehearse(s.URL)
	r.Check(ctx)
	r.Check(ctx) // what is out in truth is out here too
	state := func() string {
		all := r.States()
		return all[slices.IndexFunc(all, func(o pool.State) bool { return o.URL == s.URL })].State
	}
	before := state()
	away(true)
	began := g.now()
	got, by := "answered by another", ""
	for range 4 { // each place has its turn
		if by, err = r.Ask(ctx); err != nil || by == s.URL {
			got = "nobody answered"
			break
		}
	}
	if ctx.Err() != nil {
		return 0, nil, fmt.Errorf("rehearse the loss of %s: %w", s.URL, ctx.Err())
	}
	took = g.now().Sub(began)
	if got == "answered by another" && took > most {
		got = "answered after " + took.String()
	}
	steps = append(steps, clause.Step{Act: "ask the application as if " + s.URL + " were away", Expected: "answered by another", Got: got, OK: got == "answered by another"})
	r.Check(ctx)
	r.Check(ctx)
	steps = append(steps, clause.Step{Act: "look at " + s.URL + " twice while it is away", Expected: "out", Got: state(), OK: state() == "out"})
	away(false)
	r.Check(ctx)
	r.Check(ctx)
	if before == "out" { // it is away in truth, and not for the rehearsal to bring back
		return took, steps, nil
	}
	return took, append(steps, clause.Step{Act: "look at it twice when it is back", Expected: "in", Got: state(), OK: state() == "in", Control: true}), nil
}
