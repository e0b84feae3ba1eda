package incident

import (
	"context"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/incident/engine"
)

// Loss is the recovery of lost data, for whoever looks at it at night.
type Loss struct {
	Begun     time.Time // since when backups are held; zero = not yet
	Down      time.Time
	Frozen    time.Time
	Up        time.Time
	Share     int64 // per cent of the teams that are let in; -1 = nobody
	RTO, RPO  int64 // seconds, once it is up
	Preserved string
	Onsets    []Onset
	Points    []Point // while a plan may be made
	Plan      *Plan   // nil = none yet
	Hash      string
	PlannedBy string
	Signers   []string // names of those whose yes counts now
	Signed    bool     // whoever looks is among them
	Enough    bool
	Running   string // what the server is at
	Trouble   string // with it
	Red       string // what went wrong; it stays down
	RedAct    string // which can be done again
	Checks    []Checked
	ByHand    []string // guards that people answer now
	Hands     []Hand
	Lost      []Lost
}

// Checked is what an act looked at.
type Checked struct {
	Act    string
	Checks []Check
}

// waits reports whether the recovery waits for people, and not for the server.
func (l *Loss) waits() bool { return l != nil && l.Running == "" }

// lossView is nil where no data was lost.
func (s *Service) lossView(ctx context.Context, who actor.Actor, v View) (*Loss, error) {
	c := v.Case
	at := c.States[engine.R]
	if at == "" {
		return nil, nil //nolint:nilnil // there is nothing to see
	}
	x, err := s.loss(ctx, c)
	if err != nil {
		return nil, err
	}
	l := &Loss{Begun: x.Begun, Down: x.Down, Frozen: x.Frozen, Up: x.Up, Share: x.Share, Preserved: x.Preserved, Onsets: x.Onsets, Hash: x.Hash, PlannedBy: s.name(ctx, x.PlannedBy)}
	if !x.Up.IsZero() {
		l.RTO, l.RPO = x.rto(x.Up), x.rpo()
	}
	if x.Hash != "" {
		l.Plan = &x.Plan
	}
	now := s.Now()
	signed, err := signers(ctx, s.DB, c.ID, x.Hash, now)
	if err != nil {
		return nil, err
	}
	if l.Enough, err = planStands(ctx, s.DB, c, x.Hash, signed); err != nil {
		return nil, err
	}
	l.Signed = slices.Contains(signed, by(who))
	for _, p := range signed {
		l.Signers = append(l.Signers, s.name(ctx, p))
	}
	l.Red, l.RedAct = redOf(c, v.Proofs)
	for _, a := range v.Acts {
		if answers[a.Act] != "" && a.State != "done" && a.Key == keyOf(c, a.Act) {
			l.Running, l.Trouble = a.Act, a.Problem
		}
	}
	checks, err := s.checksOf(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, act := range lossOrder {
		if len(checks[act]) > 0 {
			l.Checks = append(l.Checks, Checked{act, checks[act]})
		}
	}
	for _, act := range s.handsAt(c) {
		l.ByHand = append(l.ByHand, answers[act])
	}
	if rec := s.world(c).Recovery; rec != nil && slices.Contains(planning, at) {
		if l.Points, err = rec.Points(ctx); err != nil {
			return nil, err
		}
		l.Points = l.Points[:min(len(l.Points), 5)]
	}
	if l.Hands, err = s.hands(ctx, c); err != nil {
		return nil, err
	}
	l.Lost, err = s.lost(ctx, c)
	return l, err
}

// lossOrder is the order in which acts are shown.
var lossOrder = []string{gateDown, certify, preserve, rehearse, restore, verify, dryRun, reconcile, gateStaff, gateSome, gateAll, lostWrites, backUp}
