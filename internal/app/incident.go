package app

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/identity"
	"writ/internal/incident"
	"writ/internal/incident/status"
	"writ/internal/notify"
	"writ/internal/policy"
	"writ/internal/web"
)

// incidents are the module and its status page.
type incidents struct {
	incident *incident.Service
	status   *status.Service
	stage    *stage // of drills; nil = nothing is practised for real
}

// Routes are those of both.
func (m incidents) Routes() []web.Route {
	return slices.Concat(m.incident.Routes(), m.status.Routes(), m.status.API())
}

func (a *App) buildIncidents() (err error) {
	log, company := a.log.With("module", "incident"), func() string { return a.config.Company }
	folder := a.pageFolder()
	people := incidentPeople{a.identity}
	places, err := a.places()
	if err != nil {
		return err
	}
	if a.status, err = status.New(status.Deps{DB: a.db, Ring: a.ring, Letters: a.mail, Courier: a.mail, Hooks: a.notify, Reach: a.notify, Leases: a.leases(), Jobs: a.jobs, Access: a.access, Company: company, Origin: a.config.Origin(), Host: a.config.Status.Host, Now: a.now, Log: log, Names: people.names, Folder: folder, Places: places, Record: a.journal, Closed: a.gateClosed, Gate: windowGate{a}, Asks: a.config.Status.Confirm}); err != nil {
		return err
	}
	outlets, err := a.outlets()
	if err != nil {
		return err
	}
	v, err := a.newInvented()
	if err != nil {
		return err
	}
	a.incident, err = incident.New(incident.Deps{DB: a.db, Ring: a.ring, Access: a.access, People: people, Real: a.realWorld(), Sandbox: incident.World{Reads: v, Concerned: v, Post: v, Cuts: v, Detectors: v}, Letters: a.mail, Queue: a.jobs, Record: a.journal, Alarms: alarmsOf{a.watch}, Charts: a.watch, Jumped: alarmsOf{a.watch}.jumped, Outlets: outlets, Gauge: gauge{a.watch.Meter(), a.gateway}, Page: a.status,
		Rules: clause.NewLive[incident.Rules](a.now), Company: company, Origin: a.config.Origin(), Now: a.now, Log: log,
		Longest: func() time.Duration { return a.policy.Longest() }, Tabs: identity.AccountTabs})
	if err == nil {
		a.journal.Follow(incident.Followed, a.incident.Follow)
	}
	return err
}

// windowGate closes the gate for maintenance.
type windowGate struct{ a *App }

// HoldClosed implements status.Gate.
func (g windowGate) HoldClosed(ctx context.Context, who actor.Actor, name string, until time.Time) error { // clause: inc.loss-maintenance
	return g.a.gateway.HoldClosed(ctx, who, gateway.Hold{Name: name, Until: until})
}

// Release implements status.Gate.
func (g windowGate) Release(ctx context.Context, who actor.Actor, name string) error {
	return g.a.gateway.Release(ctx, who, name)
}

// Held implements status.Gate.
func (g windowGate) Held(ctx context.Context) ([]string, error) { return g.a.gateway.Holds(ctx) }

// readReport takes a letter to the address for reports. Nothing is written back to that address.
func (a *App) readReport(ctx context.Context, l notify.Letter) error { // clause: inc.categorise
	if strings.EqualFold(l.From, a.config.Mail.Reports) || strings.EqualFold(l.From, a.config.Mail.From) {
		l.From = ""
	}
	m := incident.Mailed{From: l.From, Subject: l.Subject, Text: l.Text}
	if l.Addr.IsValid() {
		m.Network = web.NetworkOf(l.Addr)
	}
	_, err := a.incident.ReportMailed(ctx, m)
	return err
}

// leases are of what several servers share; with SQLite there is one server, and nothing to wait for.
func (a *App) leases() status.Leases {
	if a.db.Engine() == "sqlite" {
		return nil
	}
	return a.jobs
}

// pageFolder is where the status page is written as files; "" = nowhere.
func (a *App) pageFolder() string {
	folder := a.config.Status.Export
	if folder != "" && !filepath.IsAbs(folder) {
		folder = a.path(folder)
	}
	return folder
}

// realWorld is what incidents reach.
func (a *App) realWorld() incident.World {
	s := seen{a.db, a.ring, a.identity, a.trail, a.journal, a.gateway}
	return incident.World{Customers: touched{a.identity, a.trail}, Gate: lossGate{a}, Writes: ackWrites{a.trail}, Past: s, Reads: s, Concerned: s, Post: a.mail, Reach: a.notify, Cuts: ends{a.identity, a.vault, a.gateway, a.now}, Detectors: detectors{a.watch}, Resolver: a.resolver(s)}
}

// incidentPeople gives incidents the members of staff.
type incidentPeople struct{ *identity.Service }

// Staff implements incident.People.
func (p incidentPeople) Staff(ctx context.Context) ([]incident.Person, error) {
	ps, err := p.Roster(ctx, "staff")
	out := make([]incident.Person, 0, len(ps))
	for _, x := range ps {
		m := incident.Person{ID: x.ID, Name: x.Name, Handle: x.Handle, Email: x.Email, Roles: x.Roles}
		if m.Name == "" {
			m.Name = x.Handle
		}
		out = append(out, m)
	}
	return out, err
}

// names are those of customers, which no public text may hold.
func (p incidentPeople) names(ctx context.Context) ([]string, error) {
	ts, err := p.Customers(ctx)
	var out []string
	for _, t := range ts {
		out = append(out, t.Name)
	}
	return out, err
}

// touched tells incidents whom they may have affected.
type touched struct {
	people *identity.Service
	trail  *trail.Trail
}

// Touched implements incident.Customers: the teams with requests in that time, and all of
// them where the record of it is not whole.
func (t touched) Touched(ctx context.Context, from, until time.Time) ([]incident.Team, bool, error) {
	all, err := t.people.Customers(ctx)
	if err != nil {
		return nil, false, err
	}
	used, whole, err := t.trail.Teams(ctx, actor.System("incident"), from, until)
	if err != nil {
		return nil, false, err
	}
	var out []incident.Team
	for _, x := range all {
		if whole && !slices.Contains(used, x.ID) {
			continue
		}
		team := incident.Team{ID: x.ID, Name: x.Name}
		members, err := t.people.Roster(ctx, x.ID)
		if err != nil {
			return nil, false, err
		}
		for _, m := range members {
			if slices.Contains(m.Roles, "admin") && m.Email != "" {
				team.Reach = append(team.Reach, m.Email)
			}
		}
		out = append(out, team)
	}
	return out, whole, nil
}

// ownIncidents adds to a person's copy what they reported, and what they were told about exposed data.
func (a *App) ownIncidents(ctx context.Context, person string, d *identity.OwnData) error {
	reports, words, err := a.incident.Own(ctx, person)
	d.Reports, d.Exposures = []identity.OwnReport{}, []identity.OwnExposure{}
	for _, x := range reports {
		r := identity.OwnReport{Reference: x.Reference, Kind: x.Kind, Text: x.Text, Email: x.Email, At: x.At}
		if !x.Answered.IsZero() {
			r.Answered = &x.Answered
		}
		d.Reports = append(d.Reports, r)
	}
	for _, x := range words {
		d.Exposures = append(d.Exposures, identity.OwnExposure{Incident: x.Incident, Class: x.Class, Data: x.Data, Accesses: x.Hits, First: x.First, Last: x.Last, Letter: x.State, At: x.At})
	}
	return err
}

// waived is what people let pass in incidents, as the policy lists it.
func (a *App) waived(ctx context.Context) ([]policy.Waived, error) { // clause: gov.exceptions
	all, err := a.incident.Deviations(ctx)
	out := make([]policy.Waived, 0, len(all))
	for _, d := range all {
		out = append(out, policy.Waived{Clause: "inc.process", What: d.What(), Object: "incident/" + d.Ref, Reason: d.Reason, Requester: d.Requester, Approver: d.Approver, Starts: d.Starts, Ends: d.Ends})
	}
	return out, err //nolint:wrapcheck // a fault for the reader
}
