package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/gateway"
	"writ/internal/incident"
)

// doorShut asks a gate what it keeps out, and a stranger at its door whether that is so.
func doorShut(ctx context.Context, g *gateway.Gateway, door *canary.Door) (incident.Shut, error) {
	m := g.LookShut(ctx)
	out := incident.Shut{Closed: m.Closed, Tried: m.Tried, Passed: m.Passed, Under: m.Under}
	v := door.Visitor()
	defer v.Close()
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		a, err := v.Do(ctx, method, "/", "{}")
		if err != nil {
			return out, fmt.Errorf("ask at the door: %w", err)
		}
		if out.Tried++; a.Status != http.StatusServiceUnavailable && out.Passed == "" {
			out.Passed = fmt.Sprintf("%s / at the door (%d)", method, a.Status)
		}
	}
	return out, nil
}

// world is what a drill reaches: the stage, whatever stands on it.
func (s *stage) world(w incident.World) incident.World {
	w.Gate, w.Recovery = stageGate{s}, stageRecovery{s}
	return w
}

type stageGate struct{ s *stage }

// Close implements incident.Gate.
func (g stageGate) Close(ctx context.Context, who actor.Actor, o incident.Order) (time.Time, error) {
	x, err := g.s.now(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if err := x.gate.SetMode(ctx, who, gateway.Wish{Mode: gateway.Maintenance, Reason: o.Reason, Epoch: o.Epoch}); err != nil {
		return time.Time{}, err
	}
	_, since := x.gate.Mode()
	return since, nil
}

// Look implements incident.Gate.
func (g stageGate) Look(ctx context.Context, since time.Time) (incident.Shut, error) {
	x, err := g.s.now(ctx)
	if err != nil {
		return incident.Shut{}, err
	}
	out, err := doorShut(ctx, x.gate, x.door)
	if x.acks.last.Load() > since.UnixMicro() {
		out.Writes = x.acks.n.Load()
	}
	return out, err
}

// Open implements incident.Gate.
func (g stageGate) Open(ctx context.Context, who actor.Actor, share int, o incident.Order) error {
	x, err := g.s.now(ctx)
	if err != nil {
		return err
	}
	return openGate(ctx, x.gate, who, share, o)
}

// Lets implements incident.Gate.
func (stageGate) Lets(team string, share int) bool { return gateway.InShare(team, share) }

// stageRecovery is the recovery of whatever copy stands on the stage.
type stageRecovery struct{ s *stage }

func with[T any](ctx context.Context, s *stage, fn func(incident.Recovery) (T, error)) (T, error) {
	x, err := s.now(ctx)
	if err != nil {
		var none T
		return none, err
	}
	return fn(x.copy.Recovery)
}

// Names implements incident.Source.
func (r stageRecovery) Names(ctx context.Context) ([]string, error) {
	return with(ctx, r.s, func(x incident.Recovery) ([]string, error) { return x.Names(ctx) })
}

// Points implements incident.Source.
func (r stageRecovery) Points(ctx context.Context) ([]incident.Point, error) {
	return with(ctx, r.s, func(x incident.Recovery) ([]incident.Point, error) { return x.Points(ctx) })
}

// Onsets implements incident.Source.
func (r stageRecovery) Onsets(ctx context.Context) ([]incident.Onset, error) {
	return with(ctx, r.s, func(x incident.Recovery) ([]incident.Onset, error) { return x.Onsets(ctx) })
}

// Plan implements incident.Source.
func (r stageRecovery) Plan(ctx context.Context, w incident.Wish) (incident.Plan, error) {
	return with(ctx, r.s, func(x incident.Recovery) (incident.Plan, error) { return x.Plan(ctx, w) })
}

// Shut implements incident.Keeper.
func (r stageRecovery) Shut(ctx context.Context, shut bool, epoch incident.Epoch) error {
	_, err := with(ctx, r.s, func(x incident.Recovery) (none, error) { return none{}, x.Shut(ctx, shut, epoch) })
	return err
}

// Hold implements incident.Keeper.
func (r stageRecovery) Hold(ctx context.Context, on bool, epoch incident.Epoch) error {
	_, err := with(ctx, r.s, func(x incident.Recovery) (none, error) { return none{}, x.Hold(ctx, on, epoch) })
	return err
}

// Mark implements incident.Keeper.
func (r stageRecovery) Mark(ctx context.Context, name string) (string, error) {
	return with(ctx, r.s, func(x incident.Recovery) (string, error) { return x.Mark(ctx, name) })
}

// Still implements incident.Keeper.
func (r stageRecovery) Still(ctx context.Context) (string, error) {
	return with(ctx, r.s, func(x incident.Recovery) (string, error) { return x.Still(ctx) })
}

// Preserve implements incident.Keeper.
func (r stageRecovery) Preserve(ctx context.Context, name string) (string, error) {
	return with(ctx, r.s, func(x incident.Recovery) (string, error) { return x.Preserve(ctx, name) })
}

// Protect implements incident.Keeper.
func (r stageRecovery) Protect(ctx context.Context) (p incident.Point, checks []incident.Check, err error) {
	_, err = with(ctx, r.s, func(x incident.Recovery) (_ none, err error) { p, checks, err = x.Protect(ctx); return none{}, err })
	return p, checks, err
}

// Rehearse implements incident.Restorer.
func (r stageRecovery) Rehearse(ctx context.Context, p incident.Plan) ([]incident.Check, error) {
	return with(ctx, r.s, func(x incident.Recovery) ([]incident.Check, error) { return x.Rehearse(ctx, p) })
}

// Restore implements incident.Restorer.
func (r stageRecovery) Restore(ctx context.Context, p incident.Plan, epoch incident.Epoch) (string, error) {
	return with(ctx, r.s, func(x incident.Recovery) (string, error) { return x.Restore(ctx, p, epoch) })
}

// Verify implements incident.Restorer.
func (r stageRecovery) Verify(ctx context.Context, p incident.Plan) ([]incident.Check, error) {
	return with(ctx, r.s, func(x incident.Recovery) ([]incident.Check, error) { return x.Verify(ctx, p) })
}

// DryRun implements incident.Restorer.
func (r stageRecovery) DryRun(ctx context.Context, p incident.Plan) ([]incident.Check, error) {
	return with(ctx, r.s, func(x incident.Recovery) ([]incident.Check, error) { return x.DryRun(ctx, p) })
}

// Reconcile implements incident.Restorer.
func (r stageRecovery) Reconcile(ctx context.Context, p incident.Plan, since []incident.Tombstone, epoch incident.Epoch) (n int64, checks []incident.Check, err error) {
	_, err = with(ctx, r.s, func(x incident.Recovery) (_ none, err error) {
		n, checks, err = x.Reconcile(ctx, p, since, epoch)
		return none{}, err
	})
	return n, checks, err
}

// Lost implements incident.Restorer.
func (r stageRecovery) Lost(ctx context.Context, p incident.Plan) ([]incident.Write, error) {
	return with(ctx, r.s, func(x incident.Recovery) ([]incident.Write, error) { return x.Lost(ctx, p) })
}

type none struct{}
