package watch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/notify"
)

// Route is a row of mon.notify/routes as people read it.
type Route struct {
	Name   string
	When   []string // matchers, all of which an alarm must have; empty = any alarm
	People string   // rota, second, everybody, or the name of a group
	By     []string // names of channels; empty = all
	Waits  []time.Duration
}

// Group is a row of mon.notify/groups, and who of it would be told now.
type Group struct {
	Name   string
	Roles  []string
	People []Person // empty: its alarms go as without a route
}

// Routing is how alarms are told by the policy in force. The first route that takes an alarm decides.
type Routing struct {
	Routes []Route
	Groups []Group
	Left   bool                       // alarms are left over, which go as without a route
	Usual  map[string][]time.Duration // by severity: until told again, the last one repeats
}

// RoutesFor reads the routes in force and the groups that they may tell.
func (s *Service) RoutesFor(ctx context.Context, who actor.Actor) (Routing, error) {
	out := Routing{Left: true, Usual: maps.Clone(waits)}
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/routes"); err != nil {
		return out, err //nolint:wrapcheck // a fault for the reader
	}
	for _, x := range s.routes() {
		r := Route{Name: x.name, People: x.people, By: x.by, Waits: x.waits}
		for _, m := range x.when {
			r.When = append(r.When, m.String())
		}
		out.Routes, out.Left = append(out.Routes, r), out.Left && len(x.when) > 0
	}
	groups, err := readGroups(s.Rules.Get().Groups)
	if err != nil {
		return out, fmt.Errorf("read the groups in force: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		g := Group{Name: name, Roles: groups[name]}
		if g.People, err = s.InRoles(ctx, g.Roles); err != nil {
			return out, fmt.Errorf("who is told: %w", err)
		}
		out.Groups = append(out.Groups, g)
	}
	return out, nil
}

// RouteQuestion says of which alarm a route is wanted: by its id, or by what rows ask for. What is empty
// is not known.
type RouteQuestion struct {
	Alarm     string // alone
	Rule      string // id
	Clause    string // id
	Component string
	Severity  string // page, ticket, notice
}

// Taken is what would become of an alarm.
type Taken struct {
	RouteQuestion          // with what the rules that there are say besides
	Route         string   // the row that takes it; "" = none
	May           []string // rows before it that take it where more of it fits than is known
	Nobody        string   // the group of the row, in which nobody can be told now: it goes as without a route
	Times         string   // the severity whose times these are
	Levels        []Level
	Channels      []string
	Again         time.Duration // after the last level, until somebody acknowledges; 0 = it is told once
}

// Level is one telling of an alarm that nobody acknowledged.
type Level struct {
	After  time.Duration // the one before; of the first, after the alarm fired
	People []Person
}

// levels are those after which nobody more is told.
const levels = 3

// TryRoute says which route takes an alarm, who would be told now at each level, by which channels and when
// again. Silences, hours without tickets and maintenance are not looked at. Errors: fault.Invalid,
// fault.NotFound.
func (s *Service) TryRoute(ctx context.Context, who actor.Actor, q RouteQuestion) (Taken, error) {
	t := Taken{RouteQuestion: q}
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/routes"); err != nil {
		return t, err //nolint:wrapcheck // a fault for the reader
	}
	says, err := s.question(ctx, &t)
	if err != nil {
		return t, err
	}
	var way route
	for _, x := range s.routes() {
		unlike := func(m Matcher) bool { _, known := says[m.Name]; return known && !m.matches(says) }
		unknown := func(m Matcher) bool { _, known := says[m.Name]; return !known }
		if slices.ContainsFunc(x.when, unlike) {
			continue
		}
		if !slices.ContainsFunc(x.when, unknown) {
			way, t.Route = x, x.name
			break
		}
		t.May = append(t.May, x.name)
	}
	return t, s.foresee(ctx, &t, way)
}

// question is what is known of the alarm that is asked about.
func (s *Service) question(ctx context.Context, t *Taken) (map[string]string, error) {
	q := &t.RouteQuestion
	switch {
	case *q == RouteQuestion{}:
		return nil, bad("route", "It does not say which alarm is meant.", "A rule, clause, component or severity, or the id of an alarm.")
	case q.Alarm != "" && *q != RouteQuestion{Alarm: q.Alarm}:
		return nil, bad("alarm", "An alarm says by itself what it is about.", "The id of an alarm alone, or a rule, clause, component and severity.")
	case q.Alarm != "":
		a, err := s.one(ctx, s.DB, q.Alarm)
		if err != nil {
			return nil, err
		}
		q.Rule, q.Clause, q.Component, q.Severity, t.Times = a.Rule, a.Clause, a.Part, a.Severity, a.Severity
		return rowSays(&a), nil
	}
	return s.imagine(t)
}

// imagine is an alarm of the rules that fit; what they have in common is known of it.
func (s *Service) imagine(t *Taken) (map[string]string, error) {
	q := &t.RouteQuestion
	columns := []struct {
		name, next string
		said       *string
		of         func(*Rule) string
	}{
		{"rule", "An id of writ watch rules. Of an alert that another system pushed, the id of its alarm.", &q.Rule, func(r *Rule) string { return r.ID }},
		{"clause", "One that a rule is for, together with what else is said: writ watch rules --format json", &q.Clause, func(r *Rule) string { return r.Clause }},
		{"component", "A part of writ watch rules, together with what else is said.", &q.Component, func(r *Rule) string { return r.Part }},
		{"severity", "page, ticket or notice, and one that such a rule has.", &q.Severity, func(r *Rule) string { return r.Severity }},
	}
	fit := s.allRules()
	for _, c := range columns {
		fit = slices.DeleteFunc(fit, func(r Rule) bool {
			as := r.ID == pushedRule && c.name == "severity" && isSeverity(*c.said) // whoever pushes says how urgent it is
			return *c.said != "" && c.of(&r) != *c.said && !as
		})
		if len(fit) == 0 {
			return nil, bad(c.name, fmt.Sprintf("There is no such rule: %s is %q.", c.name, *c.said), c.next)
		}
	}
	says := map[string]string{}
	for _, c := range columns {
		common := c.of(&fit[0])
		if *c.said == "" && !slices.ContainsFunc(fit, func(r Rule) bool { return c.of(&r) != common || c.name == "severity" && r.ID == pushedRule }) {
			*c.said = common
		}
		if *c.said != "" {
			says[c.name] = *c.said
		}
	}
	if q.Rule == pushedRule { // rows ask for the name that the other system gives
		delete(says, "rule")
	}
	t.Times = q.Severity
	for _, urgent := range []string{notify.Notice, notify.Ticket, notify.Page} {
		if q.Severity == "" && slices.ContainsFunc(fit, func(r Rule) bool { return r.Severity == urgent }) {
			t.Times = urgent
		}
	}
	return says, nil
}

func isSeverity(s string) bool { return s == notify.Page || s == notify.Ticket || s == notify.Notice }

// foresee says whom a route tells by now, how and when.
func (s *Service) foresee(ctx context.Context, t *Taken, way route) error {
	cs, err := s.Notify.Channels(ctx)
	if err != nil {
		return fmt.Errorf("how they are told: %w", err)
	}
	now, people, err := s.toTell(ctx, way, 0)
	if err != nil {
		return fmt.Errorf("who is told: %w", err)
	}
	if way.group != nil && now.group == nil {
		t.Nobody = way.people
	}
	for _, c := range now.through(cs) {
		t.Channels = append(t.Channels, c.Name)
	}
	first := gathers
	if t.Times == notify.Page {
		first = 0
	}
	t.Levels = []Level{{first, people}}
	w := now.again(t.Times)
	if len(w) == 0 {
		return nil
	}
	t.Again = w[len(w)-1]
	for n := 1; n < max(levels, len(w)); n++ {
		_, people, err := s.toTell(ctx, now, int64(n))
		if err != nil {
			return fmt.Errorf("who is told: %w", err)
		}
		t.Levels = append(t.Levels, Level{w[min(n-1, len(w)-1)], people})
	}
	return nil
}
