package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/incident"
)

// followed is how long other nodes take to follow a mode of the gate.
const followed = 2500 * time.Millisecond

// lossGate closes and opens the gate for incidents, and tells what it saw.
type lossGate struct{ a *App }

var _ incident.Gate = lossGate{}

// Close implements incident.Gate: it returns once every node has followed.
func (l lossGate) Close(ctx context.Context, who actor.Actor, o incident.Order) (time.Time, error) { // clause: inc.loss-maintenance
	if err := l.a.gateway.SetMode(ctx, who, gateway.Wish{Mode: gateway.Maintenance, Reason: o.Reason, Epoch: o.Epoch}); err != nil {
		return time.Time{}, err
	}
	_, since := l.a.gateway.Mode()
	if l.a.db.Engine() != "sqlite" {
		select {
		case <-time.After(followed):
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
	}
	return since, nil
}

// Look implements incident.Gate: the gate's own steps, a stranger at the door, and the record
// of what the application took.
func (l lossGate) Look(ctx context.Context, since time.Time) (incident.Shut, error) { // clause: inc.loss-freeze
	out, err := doorShut(ctx, l.a.gateway, l.a.door)
	if err != nil {
		return out, err
	}
	ws, whole, err := l.a.trail.Writes(ctx, actor.System("incident"), since, l.a.now())
	if err == nil && !whole {
		err = fmt.Errorf("the access records since %s are not whole", since.UTC().Format(time.RFC3339))
	}
	out.Writes = int64(len(ws))
	return out, err
}

// Open implements incident.Gate.
func (l lossGate) Open(ctx context.Context, who actor.Actor, share int, o incident.Order) error {
	return openGate(ctx, l.a.gateway, who, share, o)
}

// Lets implements incident.Gate.
func (lossGate) Lets(team string, share int) bool { return gateway.InShare(team, share) }

func openGate(ctx context.Context, g *gateway.Gateway, who actor.Actor, share int, o incident.Order) error { // clause: inc.loss-reopen
	w := gateway.Wish{Mode: gateway.Staged, Share: share, Reason: o.Reason, Epoch: o.Epoch}
	if share == 100 {
		w = gateway.Wish{Mode: gateway.Normal, Reason: o.Reason, Epoch: o.Epoch}
	}
	return g.SetMode(ctx, who, w)
}

// ackWrites tells incidents which changes the application acknowledged.
type ackWrites struct{ trail *trail.Trail }

// Acknowledged implements incident.Writes.
func (t ackWrites) Acknowledged(ctx context.Context, from, until time.Time) ([]incident.Write, bool, error) {
	fs, whole, err := t.trail.Writes(ctx, actor.System("incident"), from, until)
	out := make([]incident.Write, 0, len(fs))
	for _, f := range fs {
		if !f.Staff && f.Team != "" {
			out = append(out, incident.Write{At: f.At, Team: f.Team, Person: f.Who, Route: f.Method + " " + f.Route, Record: strings.Join(f.Resource, " ")})
		}
	}
	return out, whole, err
}

// SetRecovery gives incidents what restores the application behind the gate, and drills a place
// to practise it. Call it before Serve.
func (a *App) SetRecovery(r incident.Recovery, rehearse Rehearsal) {
	a.stage = newStage(a, rehearse)
	a.incident.SetWorlds(func(w incident.World) incident.World { w.Recovery = r; return w }, a.stage.world, a.stage)
}
