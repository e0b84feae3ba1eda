package incident

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/status"
	"writ/internal/ledger"
	"writ/internal/web"
)

// gateDown closes the application to everybody, and stops what writes beside the gate.
func (s *Service) gateDown(ctx context.Context, c Case) (outcome, error) { // clause: inc.loss-maintenance
	w := s.world(c)
	if _, err := s.lossOf(ctx, c); err != nil {
		return outcome{}, err
	}
	if w.Gate == nil {
		return byHand("close the application to everybody, and stop what writes beside it."), nil
	}
	since, err := w.Gate.Close(ctx, actor.System("incident"), Order{c.Ref() + " lost data", c.epoch.N})
	if err != nil {
		return outcome{}, fmt.Errorf("close the gate: %w", err)
	}
	if w.Recovery != nil {
		if err := w.Recovery.Shut(ctx, true, c.epoch); err != nil {
			return outcome{}, fmt.Errorf("stop what writes beside the gate: %w", err)
		}
	}
	look, err := w.Gate.Look(ctx, since)
	if err != nil {
		return outcome{}, err
	}
	checks := []Check{shutCheck(look)}
	if w.Recovery != nil {
		checks = append(checks, Check{"workers", true, "What writes beside the gate is stopped, and no backup expires."})
	}
	return judged(gateDown, digest(stamp(since)), checks, "The gate has been closed since "+stamp(since)+".").
		sets(TakenDown{Incident: c.ID, Round: c.Round, Down: since}, setDown, us(since)).gates(since, -1).reopens(), nil
}

// gates is an outcome by which the application is open to a share of the teams since a time; -1 = to nobody.
func (o outcome) gates(since time.Time, share int) outcome {
	also := o.Also
	o.Also = func(ctx context.Context, tx *ledger.Tx, c Case) error {
		if err := also(ctx, tx, c); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, insertGate, c.ID, us(since), share)
		return err
	}
	return o
}

// gateChange is what the gate did in an incident.
type gateChange struct {
	at    time.Time
	share int
}

func (s *Service) gateChanges(ctx context.Context, id string) (out []gateChange, err error) {
	err = s.DB.Each(ctx, gateOf, func(scan ledger.Scan) error {
		var t, share int64
		err := scan(&t, &share)
		out = append(out, gateChange{at(t), int(share)})
		return err
	}, id)
	if err != nil {
		return nil, fmt.Errorf("read what the gate did: %w", err)
	}
	return out, nil
}

// shutOut are the times in which a team was shut out, by all that the gate did; what has not ended ends
// with until.
func (s *Service) shutOut(team string, all []gateChange, until time.Time) (out []status.Period) {
	gate := s.Real.Gate
	var since time.Time
	for _, x := range all {
		in := x.share >= 100 || x.share > 0 && gate != nil && gate.Lets(team, x.share)
		switch {
		case x.share < 0 && since.IsZero():
			since = x.at
		case in && !since.IsZero():
			out, since = append(out, status.Period{From: since, Until: x.at}), time.Time{}
		}
	}
	if !since.IsZero() {
		out = append(out, status.Period{From: since, Until: until})
	}
	return out
}

const (
	insertGate = `INSERT INTO incident_gate (case_id, n, at, share) VALUES ($1, (SELECT COALESCE(MAX(n), 0) + 1 FROM incident_gate WHERE case_id = $1), $2, $3)`
	gateOf     = `SELECT at, share FROM incident_gate WHERE case_id = $1 ORDER BY n`
)

// reopens is an outcome after which the application is to be opened anew: what was found of
// a former opening counts no more.
func (o outcome) reopens() outcome {
	also := o.Also
	o.Also = func(ctx context.Context, tx *ledger.Tx, c Case) error {
		if err := also(ctx, tx, c); err != nil {
			return err
		}
		for _, act := range openings {
			if _, err := tx.Exec(ctx, forgetProof, c.ID, c.Round, act, handOf(act)); err != nil {
				return err
			}
		}
		return nil
	}
	return o
}

func shutCheck(l Shut) Check {
	k := Check{"gate", l.Closed && l.Passed == "" && l.Tried > 0, web.Count(int64(l.Tried), "request") + " of all kinds at every public entry, and each got 503."}
	switch {
	case !l.Closed:
		k.Says = "The gate is not closed."
	case l.Passed != "":
		k.Says = "The gate lets through " + l.Passed + "."
	case l.Tried == 0:
		k.Says = "No request was tried."
	}
	return k
}

// certifyFrozen proves that nothing is written: two looks ten seconds apart see a gate that
// refuses at each entry, no change of a request that came since, and one position of the data.
func (s *Service) certifyFrozen(ctx context.Context, c Case) (outcome, error) { // clause: inc.loss-freeze
	w := s.world(c)
	x, err := s.lossOf(ctx, c)
	if err != nil {
		return outcome{}, err
	}
	if w.Gate == nil {
		return byHand("prove that nothing is written: look twice, ten seconds apart, at the position of the database."), nil
	}
	first, err := s.frozenLook(ctx, w, x.Down)
	if err != nil {
		return outcome{}, err
	}
	began := s.Now()
	if err := s.pause(ctx, apart); err != nil {
		return outcome{}, err
	}
	second, err := s.frozenLook(ctx, w, x.Down)
	if err != nil {
		return outcome{}, err
	}
	if gone := s.Now().Sub(began); gone < apart {
		return outcome{}, fault.Newf(fault.Unavailable, "clock", "The clock has gone %s where it should have gone %s; the looks are made anew.", gone, apart)
	}
	checks := []Check{shutCheck(first.shut), shutCheck(second.shut),
		{"writes", second.shut.Writes == 0, web.Count(second.shut.Writes, "change") + " of requests that came since " + stamp(x.Down) + "."},
		{"under way", first.shut.Under == 0, web.Count(int64(first.shut.Under), "request") + " under way at the first look."}}
	if w.Recovery != nil {
		k := Check{"database", first.still == second.still && first.still != "", "The same twice, ten seconds apart: " + first.still + "."}
		if !k.Good {
			k.Says = "It moved from " + first.still + " to " + second.still + ": somebody writes past the gate."
		}
		checks = append(checks, k)
	}
	b, err := json.Marshal(map[string]any{"incident": c.ID, "round": c.Round, "down": x.Down, "first": began, "second": s.Now(), "checks": checks})
	if err != nil {
		return outcome{}, err
	}
	o := judged(certify, digest(string(b)), checks, "Nothing is written since "+stamp(x.Down)+".")
	if w.Recovery == nil { // half of it: people look at the database
		o.Says, o.Proofs[0] = "The gate is shut. By hand: look twice, ten seconds apart, at the position of the database.", proof{Guard: "gate-quiet", Good: o.Proofs[0].Good, Hash: o.Output, Says: o.Says}
	}
	return o.sets(FrozenCertified{Incident: c.ID, Round: c.Round, Down: x.Down, First: began, Hash: o.Output}, setFrozen, us(began)), nil
}

type frozenLook struct {
	shut  Shut
	still string
}

// patienceUnder is how long what was under way may take to end before the first look counts it.
const patienceUnder = 35 * time.Second

func (s *Service) frozenLook(ctx context.Context, w World, since time.Time) (l frozenLook, err error) {
	for until := s.Now().Add(patienceUnder); ; {
		if l.shut, err = w.Gate.Look(ctx, since); err != nil {
			return l, fmt.Errorf("look at the gate: %w", err)
		}
		if l.shut.Under == 0 || !s.Now().Before(until) {
			break
		}
		if err := s.pause(ctx, time.Second); err != nil {
			return l, err
		}
	}
	if w.Recovery != nil {
		if l.still, err = w.Recovery.Still(ctx); err != nil {
			return l, fmt.Errorf("look at the database: %w", err)
		}
	}
	return l, nil
}

// pause waits; a test's clock goes on by itself.
func (s *Service) pause(ctx context.Context, d time.Duration) error {
	if s.Seam != nil && s.Seam.Pause != nil {
		s.Seam.Pause(d)
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// opening lets more people in.
func (s *Service) opening(name string, share int) act { // clause: inc.loss-reopen
	return func(ctx context.Context, c Case) (outcome, error) {
		w := s.world(c)
		if w.Gate == nil {
			return byHand("open the application: " + shareWords(share) + "."), nil
		}
		x, err := s.lossOf(ctx, c)
		if err != nil {
			return outcome{}, err
		}
		if w.Recovery != nil {
			if err := w.Recovery.Shut(ctx, false, c.epoch); err != nil {
				return outcome{}, fmt.Errorf("let what writes beside the gate go on: %w", err)
			}
			if err := w.Recovery.Hold(ctx, true, c.epoch); err != nil { // until a fresh backup is proved
				return outcome{}, err
			}
		}
		if err := w.Gate.Open(ctx, actor.System("incident"), share, Order{c.Ref() + ": opened again", c.epoch.N}); err != nil {
			return outcome{}, fmt.Errorf("open the gate: %w", err)
		}
		now := s.Now()
		ev := OpenedAgain{Incident: c.ID, Round: c.Round, Share: int64(share)}
		up := (*int64)(nil)
		if share == 100 {
			up = some(now)
			ev.Down, ev.Lost = x.rto(now), x.rpo()
		}
		return judged(name, digest(c.ID, fmt.Sprint(share)), []Check{{"gate", true, "It is open to " + shareWords(share) + "."}}, "It is open to "+shareWords(share)+".").sets(ev, setShare, int64(share), up).gates(now, share), nil
	}
}

// rto is how long the application was closed, in seconds; rpo how much was lost.
func (x lossRow) rto(up time.Time) int64 {
	if x.Down.IsZero() {
		return 0
	}
	return int64(up.Sub(x.Down).Round(time.Second) / time.Second)
}

func (x lossRow) rpo() int64 {
	if p := x.restoredPlan(); p.Point != "" {
		return p.Seconds
	}
	return 0
}

func shareWords(share int) string {
	switch share {
	case 0:
		return "staff alone"
	case 100:
		return "everybody"
	}
	return fmt.Sprintf("staff and %d %% of the teams", share)
}
