package app

import (
	"context"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/incident"
	"writ/internal/watch"
)

// alarmsOf tells incidents of alarms.
type alarmsOf struct{ *watch.Service }

// suggests is the kind of incident that the alarms of a part suggest.
var suggests = map[string]string{watch.Load: "usability", watch.Traffic: "usability", watch.Abuse: "breach", watch.Data: "breach", watch.Trust: "breach", watch.Recovery: "data-loss", watch.Meta: "other"}

// Alarm implements incident.Alarms.
func (a alarmsOf) Alarm(ctx context.Context, id string) (incident.Alarm, error) {
	x, r, err := a.Known(ctx, id)
	return incident.Alarm{ID: x.ID, Rule: x.Rule, Part: x.Part, Severity: x.Severity, Title: r.Title, Kind: suggests[x.Part], Test: x.Test, Over: x.State == watch.Cleared || x.State == watch.Closed}, err
}

// False implements incident.Alarms.
func (a alarmsOf) False(ctx context.Context, id, why string) error {
	err := a.Settle(ctx, actor.System("incident"), id, watch.VerdictFalse, why)
	if fault.KindOf(err) == fault.Conflict { // somebody said what it was
		return nil
	}
	return err
}

// gauge tells incidents what the gate sees.
type gauge struct {
	meter *watch.Meter
	gate  *gateway.Gateway
}

// Seen implements incident.Gauge.
func (g gauge) Seen(context.Context) (incident.Seen, error) {
	mode, _ := g.gate.Mode()
	all, failed := g.meter.Failed()
	return incident.Seen{Requests: all, Failed: failed, Answers: g.gate.Answers(), Closed: mode != gateway.Normal}, nil
}

// gateClosed reports whether the gate lets nobody but staff in.
func (a *App) gateClosed() bool {
	mode, _ := a.gateway.Mode()
	return mode == gateway.Maintenance
}
