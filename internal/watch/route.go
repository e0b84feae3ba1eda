package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/clause"
	"writ/internal/notify"
)

const (
	mostRoutes = 50
	mostGroups = 50
	mostName   = 60 // bytes, of a route or a group
	leastWait  = time.Minute
	pageWait   = time.Hour // longest, of what may be a page
	mostWait   = 24 * time.Hour
	mostWaits  = 10
)

// The words of a route's columns.
const (
	anyAlarm  = "any"       // when: all that no earlier row took
	byAll     = "all"       // by: every channel there is
	usualWait = "usual"     // waits: as without a route
	onCall    = "rota"      // people: whose turn it is, wider when nobody acknowledges
	withTwo   = "second"    // the second with them from the first
	everybody = "everybody" // all who are ever told, from the first
)

// routeNames are what a row may ask of an alarm, and the label that says it.
var routeNames = map[string]string{"clause": "clause", "component": "part", "severity": "severity", "rule": "alertname"}

// route is a row of mon.notify/routes: which alarms go to whom, by which ways, and how soon
// again. The zero route is that of alarms that no row takes.
type route struct {
	name   string
	when   []Matcher       // all must match
	people string          // a word, or the name of a group
	group  []string        // roles of staff; nil = people is a word
	by     []string        // names of channels; nil = all
	waits  []time.Duration // until told again, the last one repeats; nil = the usual ones
}

// Validate implements clause.Validator: it refuses routes by which an alarm could be lost, and bounds
// that rules do not have.
func (r *Rules) Validate() error { // clause: mon.notify
	_, err := r.readRoutes()
	if err == nil {
		_, err = readBounds(r.Bounds)
	}
	return err
}

// readRoutes reads the rows in their order, which is that of their names.
func (r *Rules) readRoutes() (out []route, err error) {
	if len(r.Routes) > mostRoutes {
		return nil, fmt.Errorf("mon.notify: routes: there are %d rows, expected at most %d", len(r.Routes), mostRoutes)
	}
	groups, err := readGroups(r.Groups)
	if err != nil {
		return nil, fmt.Errorf("mon.notify: groups: %w", err)
	}
	for _, row := range r.Routes {
		x, err := readRoute(row, groups, max(r.Channels, 2))
		if err == nil {
			err = x.reached(out)
		}
		if err != nil {
			return nil, fmt.Errorf("mon.notify: routes: %w", err)
		}
		out = append(out, x)
	}
	return out, nil
}

// readGroups are the roles of each group, by its name.
func readGroups(rows [][]string) (map[string][]string, error) {
	if len(rows) > mostGroups {
		return nil, fmt.Errorf("there are %d rows, expected at most %d", len(rows), mostGroups)
	}
	out := map[string][]string{}
	for _, row := range rows {
		if len(row) != 2 {
			return nil, fmt.Errorf("a row has %d columns, expected name and who", len(row))
		}
		name, who := row[0], strings.Fields(row[1])
		switch {
		case !isName(name):
			return nil, fmt.Errorf("%q is no name, expected 1 to %d bytes", name, mostName)
		case isWord(name):
			return nil, fmt.Errorf("%s means somebody else in a route already: expected another name than %s, %s or %s", name, onCall, withTwo, everybody)
		case out[name] != nil:
			return nil, fmt.Errorf("there are two groups %s: expected one, with the roles of both", name)
		case len(who) == 0:
			return nil, fmt.Errorf("%s is a group of nobody: expected one or several of %s", name, strings.Join(access.StaffRoles(), ", "))
		}
		for _, role := range who {
			if !slices.Contains(access.StaffRoles(), role) {
				return nil, fmt.Errorf("%s: there is no role %q of the staff: expected one or several of %s", name, role, strings.Join(access.StaffRoles(), ", "))
			}
		}
		slices.Sort(who)
		out[name] = slices.Compact(who)
	}
	return out, nil
}

func isName(s string) bool { return len(s) > 0 && len(s) <= mostName }

func isWord(s string) bool { return s == onCall || s == withTwo || s == everybody }

func readRoute(row []string, groups map[string][]string, least int64) (x route, err error) {
	if len(row) != 5 {
		return x, fmt.Errorf("a row has %d columns, expected name, when, people, by and waits", len(row))
	}
	x.name, x.people = row[0], row[2]
	if !isName(x.name) {
		return x, fmt.Errorf("%q is no name, expected 1 to %d bytes", x.name, mostName)
	}
	if x.group = groups[x.people]; x.group == nil && !isWord(x.people) {
		return x, fmt.Errorf("%s tells %q, who is nobody here: expected %s, %s, %s or the name of a row of groups", x.name, x.people, onCall, withTwo, everybody)
	}
	if x.when, err = readWhen(row[1]); err != nil {
		return x, fmt.Errorf("%s: %w", x.name, err)
	}
	if x.by, err = readBy(row[3], least); err != nil {
		return x, fmt.Errorf("%s: %w", x.name, err)
	}
	longest := mostWait
	if x.mayPage() {
		longest = pageWait
	}
	if x.waits, err = readWaits(row[4], longest); err != nil {
		return x, fmt.Errorf("%s: %w", x.name, err)
	}
	return x, nil
}

func readWhen(text string) (ms []Matcher, err error) {
	words := strings.Fields(text)
	switch {
	case len(words) == 0:
		return nil, fmt.Errorf("it does not say when: expected matchers, or %s", anyAlarm)
	case text == anyAlarm:
		return nil, nil
	}
	for _, word := range words {
		m, err := ParseMatcher(word)
		if err != nil || m.Unequal || routeNames[m.Name] == "" {
			return nil, fmt.Errorf("%q is no matcher: expected clause, component, severity or rule, with = and a value or =~ and an expression of RE2 without spaces", word)
		}
		if slices.ContainsFunc(ms, func(o Matcher) bool { return o.Name == m.Name }) {
			return nil, fmt.Errorf("it asks twice for %s: expected once, with =~ for several", m.Name)
		}
		if m.Name == "severity" && !m.Regex && !slices.Contains([]string{notify.Page, notify.Ticket, notify.Notice}, m.Value) {
			return nil, fmt.Errorf("there is no severity %q: expected %s, %s or %s", m.Value, notify.Page, notify.Ticket, notify.Notice)
		}
		ms = append(ms, m)
	}
	return ms, nil
}

func readBy(text string, least int64) ([]string, error) {
	if text == byAll {
		return nil, nil
	}
	by := strings.Fields(text)
	slices.Sort(by)
	by = slices.Compact(by)
	if int64(len(by)) < least {
		return nil, fmt.Errorf("it goes by %d channels, expected %d or more: name others, or %s", len(by), least, byAll)
	}
	if !slices.Contains(by, notify.Mail) {
		return nil, fmt.Errorf("it leaves out %s, by which each alarm is sent: name it", notify.Mail)
	}
	return by, nil
}

func readWaits(text string, longest time.Duration) (out []time.Duration, err error) {
	if text == usualWait {
		return nil, nil
	}
	words := strings.Fields(text)
	if len(words) == 0 || len(words) > mostWaits {
		return nil, fmt.Errorf("it has %d waits, expected 1 to %d, or %s", len(words), mostWaits, usualWait)
	}
	for _, word := range words {
		d, err := time.ParseDuration(word)
		if err != nil || d < leastWait || d > longest {
			return nil, fmt.Errorf("it waits %q, expected %s to %s", word, leastWait, longest)
		}
		out = append(out, d)
	}
	return out, nil
}

// reached refuses a row that an earlier one leaves nothing.
func (x *route) reached(earlier []route) error {
	for i := range earlier {
		if e := &earlier[i]; !slices.ContainsFunc(e.when, func(m Matcher) bool { return !x.implies(m) }) {
			return fmt.Errorf("nothing reaches %s, because %s comes before it and takes all of it: put it first (rows go by their names), or remove it", x.name, e.name)
		}
	}
	return nil
}

// implies reports whether what a row takes surely matches m.
func (x *route) implies(m Matcher) bool {
	return slices.ContainsFunc(x.when, func(o Matcher) bool {
		return o.Name == m.Name && (o.Regex == m.Regex && o.Value == m.Value || !o.Regex && m.matches(map[string]string{m.Name: o.Value}))
	})
}

func (x *route) mayPage() bool {
	return !slices.ContainsFunc(x.when, func(m Matcher) bool {
		return m.Name == "severity" && !m.matches(map[string]string{m.Name: notify.Page})
	})
}

// routes are those in force.
func (s *Service) routes() []route {
	out, err := s.Rules.Get().readRoutes()
	if err != nil { // it was checked; if not, everybody hears of it by every way
		return nil
	}
	return out
}

// routeOf is the first route that takes an alarm.
func routeOf(rs []route, a *Alarm) route { // clause: mon.notify
	says := rowSays(a)
	for _, x := range rs {
		if !slices.ContainsFunc(x.when, func(m Matcher) bool { return !m.matches(says) }) {
			return x
		}
	}
	return route{}
}

// rowSays is what rows may ask of an alarm.
func rowSays(a *Alarm) map[string]string {
	says := map[string]string{"clause": a.Clause, "component": a.Part, "severity": a.Severity, "rule": a.Rule}
	if a.Rule == pushedRule {
		says["rule"] = a.Labels[routeNames["rule"]]
	}
	return says
}

// toTell is who is told at a level, and by which route. A group is told first, and with it, when nobody
// acknowledged, who would be told without a route. One in which nobody can be told now loses no alarm: it
// goes as without a route.
func (s *Service) toTell(ctx context.Context, way route, level int64) (route, []Person, error) { // clause: mon.notify
	people, err := s.Audience(ctx, way.level(level))
	if err != nil || way.group == nil {
		return way, people, err
	}
	group, err := s.InRoles(ctx, way.group)
	switch {
	case err != nil:
		return way, nil, err
	case len(group) == 0:
		return route{}, people, nil
	case level == 0:
		return way, group, nil
	}
	return way, joined(group, people), nil
}

// ever are all who may have been told of an alarm: those of the widest audience, and of groups.
func (s *Service) ever(ctx context.Context) ([]Person, error) {
	people, err := s.Audience(ctx, Everybody)
	if err != nil {
		return nil, fmt.Errorf("who is told: %w", err)
	}
	var among []string
	for _, x := range s.routes() {
		among = append(among, x.group...)
	}
	if len(among) == 0 {
		return people, nil
	}
	group, err := s.InRoles(ctx, among)
	if err != nil {
		return nil, fmt.Errorf("who is told: %w", err)
	}
	return joined(people, group), nil
}

func joined(some, more []Person) []Person {
	out := slices.Clone(some)
	for _, p := range more {
		if !slices.ContainsFunc(out, func(q Person) bool { return q.ID == p.ID }) {
			out = append(out, p)
		}
	}
	return out
}

// empty are the groups that routes tell and in which nobody can be told now.
func (s *Service) empty(ctx context.Context, rs []route) (out []string, err error) {
	for i := range rs {
		if rs[i].group == nil || slices.Contains(out, rs[i].people) {
			continue
		}
		group, err := s.InRoles(ctx, rs[i].group)
		if err != nil {
			return nil, fmt.Errorf("who is told: %w", err)
		}
		if len(group) == 0 {
			out = append(out, rs[i].people)
		}
	}
	return out, nil
}

// level is the level of the audience that is told at a level.
func (x *route) level(n int64) int64 {
	switch x.people {
	case withTwo:
		return max(n, 1)
	case everybody:
		return Everybody
	}
	return n
}

// through are the channels of a route. Where fewer than two of them are there, an alarm goes by
// all that are.
func (x *route) through(cs []notify.Channel) []notify.Channel {
	if x.by == nil {
		return cs
	}
	out := slices.DeleteFunc(slices.Clone(cs), func(c notify.Channel) bool { return !slices.Contains(x.by, c.Name) })
	if len(out) < 2 {
		return cs
	}
	return out
}

// again is how long until an alarm that nobody acknowledged is told again, by level.
func (x *route) again(severity string) []time.Duration {
	if x.waits == nil {
		return waits[severity]
	}
	return x.waits
}

// absent are the channels that routes name and that are not there.
func absent(rs []route, cs []notify.Channel) (out []string) {
	for i := range rs {
		for _, name := range rs[i].by {
			if !slices.ContainsFunc(cs, func(c notify.Channel) bool { return c.Name == name }) && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// tryRoutes wants routes refused by which an alarm could be lost.
func (s *Service) tryRoutes(context.Context) (clause.Result, error) { // clause: mon.notify
	rules := s.Rules.Get()
	row := func(name, people, by string) []string { return []string{name, anyAlarm, people, by, usualWait} }
	const nobody = "canary-group"
	var steps []clause.Step
	for _, st := range []struct {
		act     string
		control bool
		groups  [][]string
		rows    [][]string
	}{
		{"route alarms by one channel", false, nil, [][]string{row("canary", onCall, notify.Mail)}},
		{"route alarms to a row that nothing reaches", false, nil, [][]string{row("canary-1", onCall, byAll), row("canary-2", onCall, byAll)}},
		{"route alarms to a group that there is not", false, nil, [][]string{row("canary", nobody, byAll)}},
		{"route alarms to a group of nobody", false, [][]string{{nobody, ""}}, [][]string{row("canary", nobody, byAll)}},
		{"route alarms by every channel", true, nil, [][]string{row("canary", onCall, byAll)}},
	} {
		rules.Groups, rules.Routes = st.groups, st.rows
		x := clause.Step{Act: st.act, Expected: "refused", Got: "refused", Control: st.control}
		if st.control {
			x.Expected = "taken"
		}
		if rules.Validate() == nil {
			x.Got = "taken"
		}
		x.OK = x.Got == x.Expected
		steps = append(steps, x)
	}
	return clause.Judge("routes by which alarms could be lost were refused", steps...), nil
}
