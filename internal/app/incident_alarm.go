package app

import (
	"context"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/incident"
	"writ/internal/incident/breach"
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

// detectors are the rules that watch, for incidents.
type detectors struct{ *watch.Service }

// Keep implements incident.Detectors.
func (d detectors) Keep(ctx context.Context, l incident.Lesson) (int64, string, error) {
	return d.KeepLesson(ctx, incidentOf(l))
}

// Fires implements incident.Detectors.
func (d detectors) Fires(ctx context.Context, rule string, l incident.Lesson) (incident.Fired, error) { // clause: inc.breach-research
	f, err := d.FiresOn(ctx, rule, incidentOf(l))
	if err != nil {
		return incident.Fired{}, err
	}
	return incident.Fired{Hits: f.Hits, Hash: f.SHA256, Says: f.Says()}, nil
}

// incidentOf is a lesson as watch takes it.
func incidentOf(l incident.Lesson) watch.Incident {
	out := watch.Incident{ID: l.ID, Name: l.Ref, Alarms: l.Alarms}
	if l.Reads != nil {
		out.Reads = func(ctx context.Context, fn func(*watch.Handled, int64) error) error {
			return l.Reads(ctx, func(r *breach.Record) error { return fn(handledOf(r), r.Entry) })
		}
	}
	return out
}

// handledOf is an access of a breach as rules see it.
func handledOf(r *breach.Record) *watch.Handled {
	h := &watch.Handled{At: r.At, Who: r.Who, For: r.For, Team: r.Team, Staff: r.Staff, Session: r.Session, Token: r.Token, Network: r.Network, Route: r.Route, Method: r.Method, Status: r.Status, Code: r.Code, Out: r.Out, Resource: r.Resource}
	if r.Person {
		h.Kind = string(actor.Person)
	}
	return h
}

// jumped raises the alarm for a clock that went back while a deadline runs.
func (a alarmsOf) jumped(ctx context.Context, back time.Duration) error {
	return a.Judge(ctx, []watch.Reading{{Meter: "host.clock", Label: "incidents", Value: back.Seconds()}})
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
