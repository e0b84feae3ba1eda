package app

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/breach"
	"writ/internal/jobs"
	"writ/internal/mail"
	"writ/internal/watch"
)

// inventedHost is where the people of a drill have their boxes: a name that no host can have.
const inventedHost = "@drill.invalid"

// invented is what a drill of exposed data reaches: people who do not exist, a record in which
// some of them were read, a session that nobody has, and boxes in a folder.
type invented struct {
	box *mail.Mailer
	mu  *sync.Mutex
	cut map[string]bool
}

// newInvented keeps its letters where the server keeps its own, if that is a folder.
func (a *App) newInvented() (invented, error) {
	folder := a.path("drill-mail")
	if u, err := url.Parse(a.config.Mail.URL); err == nil && u.Scheme == "file" {
		folder = u.Path
	}
	box, err := mail.New(mail.Deps{Queue: noJobs{}, URL: "file://" + folder, From: a.config.Mail.From, Now: a.now, Log: a.log.With("module", "drill")})
	return invented{box, &sync.Mutex{}, map[string]bool{}}, err
}

// noJobs queues nothing: letters of a drill go one by one.
type noJobs struct{ incident.Queue }

// Handle implements mail.Queue.
func (noJobs) Handle(string, jobs.Handler) {}

// people of the drill, the first of which were read.
func inventedPeople() (names []string) {
	for _, n := range []string{"ada", "bela", "cora", "dan", "edda", "finn"} {
		names = append(names, "drill-"+n)
	}
	return names
}

const read = 4 // of them

// Walk implements incident.Reads.
func (invented) Walk(_ context.Context, s breach.Selector, _ int64, fn func(*breach.Record) error) (breach.Coverage, error) {
	var n int64
	for i, who := range inventedPeople()[:read] {
		for k := range 5 {
			r := breach.Record{At: s.Until.Add(-time.Duration(10*i+k+1) * time.Minute), Who: incident.DrillThief, For: who, Staff: true, Session: incident.DrillSession, Route: incident.DrillRoute, Method: "GET", Status: 200, Out: 512}
			if i == read-1 { // the last one was looked at, and nothing left
				r.Out = 0
			}
			if n++; !r.At.Before(s.From) {
				if err := fn(&r); err != nil {
					return breach.Coverage{}, err
				}
			}
		}
	}
	return breach.Coverage{Spans: []breach.Span{{ID: "planted", From: s.From, Until: s.Until, Count: n, Read: n}}}, nil
}

// Everybody implements incident.Reads.
func (invented) Everybody(_ context.Context, fn func(subject string) error) error {
	for _, p := range inventedPeople() {
		if err := fn("person/" + p); err != nil {
			return err
		}
	}
	return nil
}

// Tagged implements incident.Reads.
func (invented) Tagged(string, string) breach.Told { return breach.Told{} }

// Named implements incident.Reads.
func (invented) Named(_ context.Context, ref string) ([]string, error) { return []string{ref}, nil }

// Reach implements incident.Concerned.
func (invented) Reach(context.Context) (func(subject string) []incident.Recipient, error) {
	return func(subject string) []incident.Recipient {
		id := strings.TrimPrefix(subject, "person/")
		return []incident.Recipient{{Person: id, Name: "Drill " + strings.TrimPrefix(id, "drill-"), Email: id + inventedHost}}
	}, nil
}

// Admins implements incident.Concerned: invented people have none.
func (invented) Admins(context.Context) (func(person string) []incident.Recipient, error) {
	return func(string) []incident.Recipient { return nil }, nil
}

// Deliver implements incident.Post: to invented people, and to nobody else.
func (v invented) Deliver(ctx context.Context, m mail.Message) (mail.Answer, error) { // clause: inc.breach-notify
	if !strings.HasSuffix(m.To, inventedHost) {
		return mail.Answer{}, fault.Newf(fault.Invalid, "drill_address", "A drill writes to invented people alone.")
	}
	a, err := v.box.Deliver(ctx, m)
	if err != nil {
		return a, fmt.Errorf("lay a letter of a drill down: %w", err)
	}
	return a, nil
}

// Kinds implements incident.Cuts.
func (invented) Kinds() []string { return []string{oneSession} }

// Cut implements incident.Cuts.
func (v invented) Cut(_ context.Context, _ actor.Actor, _ string, what incident.Cut) (before, after string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cut[what.ID] = true
	return "the planted session was live", "the planted session is over", nil
}

// Again implements incident.Cuts.
func (v invented) Again(_ context.Context, _, id string) (refused bool, says string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.cut[id] {
		return false, "shown again, the planted session still works", nil
	}
	return true, "shown again, the planted session is refused", nil
}

// Lift implements incident.Cuts: the sandbox has nobody to let in.
func (invented) Lift(context.Context, actor.Actor, string, string, string) (says string, err error) {
	return "", fault.Newf(fault.Invalid, "lift_kind", "A drill cuts a planted session alone.")
}

// drillRule fires on what the sandbox planted.
const drillRule = `title: A planted session reads contacts
id: ` + incident.DrillRule + `
logsource: {category: webserver}
level: high
detection:
  read: {session: ` + incident.DrillSession + `, cs-uri-stem: ` + incident.DrillRoute + `, sc-status: 200}
  condition: read
`

// Keep implements incident.Detectors: of a drill nothing is kept.
func (invented) Keep(context.Context, incident.Lesson) (int64, string, error) { return 0, "", nil }

// Fires implements incident.Detectors, by the rule of the drill.
func (invented) Fires(ctx context.Context, rule string, l incident.Lesson) (incident.Fired, error) {
	if rule != incident.DrillRule || l.Reads == nil {
		return incident.Fired{}, fault.Newf(fault.NotFound, "rule_unknown", "A drill has one rule, and asks it about the planted record.")
	}
	var all []watch.Handled
	if err := l.Reads(ctx, func(r *breach.Record) error {
		all = append(all, *handledOf(r))
		return nil
	}); err != nil {
		return incident.Fired{}, err
	}
	f, err := watch.Ask(drillRule, all)
	if err != nil {
		return incident.Fired{}, err
	}
	return incident.Fired{Hits: f.Hits, Hash: f.SHA256, Says: f.Says()}, nil
}
