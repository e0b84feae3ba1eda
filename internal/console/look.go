package console

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/policy"
	"writ/internal/policy/check"
	"writ/internal/policy/document"
	"writ/internal/web"
)

// look is what all pages say about the policy at one moment.
type look struct {
	at      time.Time
	moment  policy.Moment
	report  check.Report
	clauses map[string]*check.Clause
	number  map[string]string             // clause → "4.2"
	since   map[string]time.Time          // clause → when it was first found broken
	open    map[string]check.OpenFinding  // control → its open finding
	held    map[string][]policy.Exception // clause → exceptions that hold
	told    map[string]string             // clause → its exception or record in words
	state   web.StateLine                 // all of it
	short   web.StateLine                 // what is worst, for the top line
}

// fresh is how old a look may be: every page of the console shows the state in its top line.
const fresh = 2 * time.Second

// look reads the state, at most every two seconds. The lock is held while reading, so
// that many readers cost one report.
func (c *Console) look(ctx context.Context) (*look, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.Now()
	if l := c.seen; l != nil && now.Sub(l.at).Abs() < fresh && l.moment.Revision.Version.String() == c.Policy.Version() {
		return l, nil
	}
	m, err := c.Policy.Current()
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	rep, err := c.Check.Report(ctx, check.Options{})
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	open, err := c.Check.OpenFindings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	l := &look{at: now, moment: m, report: rep, clauses: map[string]*check.Clause{}, number: map[string]string{}, since: map[string]time.Time{},
		open: map[string]check.OpenFinding{}, held: map[string][]policy.Exception{}, told: map[string]string{}}
	for i := range rep.Clauses {
		l.clauses[rep.Clauses[i].ID] = &rep.Clauses[i]
	}
	for _, f := range open {
		l.open[f.Control] = f
		if t, ok := l.since[f.Clause]; !ok || f.Opened.Before(t) {
			l.since[f.Clause] = f.Opened
		}
	}
	for _, e := range m.Exceptions {
		l.held[e.Clause()] = append(l.held[e.Clause()], e)
	}
	l.count()
	l.state, l.short = l.sentence()
	c.tell(ctx, l)
	c.seen = l
	return l, nil
}

// tell says in words, with people's names, what records and exceptions say of clauses.
func (c *Console) tell(ctx context.Context, l *look) {
	for id, v := range l.clauses {
		if f := telling(v); f.Kind == string(clause.Record) {
			if signer, says, ok := strings.Cut(f.Summary, " attests: "); ok {
				before, handle, late := strings.Cut(signer, "; then: ")
				if !late {
					before, handle = "", signer
				} else {
					before += "; then "
				}
				l.told[id] = before + c.name(ctx, handle) + ": " + says
			}
		}
		if v.Outcome != clause.Excepted {
			continue
		}
		for _, e := range l.held[id] {
			if a, ok := l.moment.Policy.Param(e.Param); ok {
				l.told[id] = a.Words(l.moment.Values[e.Param]) + " instead of " + a.Words(a.Value) + "; asked for by " + c.name(ctx, e.Requester) + ", signed by " + c.name(ctx, e.Approver)
			}
		}
	}
}

// forget makes the next page read the state anew, after an act.
func (c *Console) forget() {
	c.mu.Lock()
	c.seen = nil
	c.mu.Unlock()
}

// count numbers the clauses within their sections.
func (l *look) count() { l.number = numbers(l.moment.Policy) }

// sentence is the state in one line, "131 of 145 hold; 2 broken since 09:14 UTC, 1
// excepted", and the same with nothing but the worst.
func (l *look) sentence() (all, short web.StateLine) {
	n := l.report.Counts
	out := web.StateLine{State: web.Holds, Href: atFindings}
	parts := []string{fmt.Sprintf("%d of %d hold", n.Pass, len(l.report.Clauses))}
	unproved := n.Unknown + n.Unbound
	switch {
	case n.Fail > 0:
		out.State = web.Broken
	case unproved > 0:
		out.State = web.Unproved
	case n.Stale > 0:
		out.State = web.StaleNow
	case n.Excepted > 0:
		out.State = web.Excepted
	}
	if n.Fail > 0 {
		broken := strconv.Itoa(n.Fail) + " broken"
		if t := l.brokenSince(); !t.IsZero() {
			broken += " since " + clockOrDate(l.at, t)
		}
		parts = append(parts, broken)
	}
	for _, p := range []struct {
		n    int
		word string
	}{{n.Excepted, "excepted"}, {n.Stale, "stale"}, {unproved, "unproved"}} {
		if p.n > 0 {
			parts = append(parts, strconv.Itoa(p.n)+" "+p.word)
		}
	}
	out.Says = parts[0]
	if len(parts) > 1 {
		out.Says += "; " + strings.Join(parts[1:], ", ")
	}
	if len(parts) == 1 {
		out.Href = atPolicy
	}
	short = out
	worst := n.Fail
	if worst == 0 {
		worst = unproved
	}
	if worst > 0 {
		for _, p := range parts[1:] {
			if strings.HasPrefix(p, strconv.Itoa(worst)+" ") && (n.Fail > 0 || strings.HasSuffix(p, "unproved")) {
				short.Says = parts[0] + "; " + p
				break
			}
		}
	}
	return out, short
}

// brokenSince is when the oldest clause that fails now was first found so.
func (l *look) brokenSince() time.Time {
	var t time.Time
	for id, v := range l.clauses {
		if at := l.since[id]; v.Outcome == clause.Fail && !at.IsZero() && (t.IsZero() || at.Before(t)) {
			t = at
		}
	}
	return t
}

// clockOrDate is a moment of today by the clock, an older one by its date.
func clockOrDate(now, t time.Time) string {
	if now.UTC().Format(time.DateOnly) == t.UTC().Format(time.DateOnly) {
		return t.UTC().Format("15:04 UTC")
	}
	return day(t)
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

// stateOf is the mark of a clause. What a record carries has a mark of its own.
func stateOf(v *check.Clause) web.State {
	if v.Outcome == clause.Pass && v.Class == string(document.Attested) {
		return web.ByRecord
	}
	return web.StateOf(string(v.Outcome))
}

// telling is the finding that says most: of the outcome of the clause, a canary before
// a probe, the newest before older ones.
func telling(v *check.Clause) (best check.Finding) {
	rank := func(f check.Finding) int {
		n := 0
		if f.Outcome == v.Outcome {
			n += 2
		}
		if f.Kind == string(clause.Canary) {
			n++
		}
		return n
	}
	for i, f := range v.Findings {
		if i == 0 || rank(f) > rank(best) || rank(f) == rank(best) && f.ObservedAt.After(best.ObservedAt.Time) {
			best = f
		}
	}
	return best
}

// mark is the mark of a clause with its age: of the look that said so, or, where it is
// broken, of the first one that did.
func (l *look) mark(v *check.Clause) web.Mark {
	f := telling(v)
	m := web.Mark{State: stateOf(v), At: f.ObservedAt.Time}
	switch {
	case v.Outcome == clause.Fail:
		if t := l.since[v.ID]; !t.IsZero() {
			m.At = t
		}
	case v.Outcome == clause.Excepted && len(l.held[v.ID]) > 0:
		m.Word, m.At = "excepted until "+day(l.held[v.ID][0].Ends), time.Time{}
	case v.Outcome == clause.Unbound:
		m.Word = "unbound"
	case v.Outcome == clause.Unknown && f.Kind == string(clause.Record) && f.ObservedAt.IsZero():
		m.Word = "no record yet"
	}
	return m
}

// Chrome is the rail and top line around every page of the console.
func (c *Console) Chrome(ctx context.Context, who actor.Actor) web.Chrome {
	at, _ := ctx.Value(hereKey{}).(string)
	ch := web.Chrome{Company: c.Company, Rail: c.rail(who, at)}
	if c.Access.May(who, access.PolicyRead) {
		ch.Find = "/-/console/find"
		if l, err := c.look(ctx); err == nil {
			ch.State = l.short
			ch.Revision = web.Link{Text: l.moment.Policy.ID + " " + l.moment.Revision.Version.String(), Href: atRevisions + "/" + l.moment.Revision.Version.String()}
		}
	}
	switch {
	case who.Kind == actor.Person:
		ch.Person = web.Link{Text: c.Identity.Name(ctx, who.ID), Href: "/-/account"}
	case who.Kind == actor.BreakGlass:
		ch.Person = web.Link{Text: "break-glass", Href: atGlass}
	case who.Kind == actor.Operator:
		ch.Person = web.Link{Text: "operator", Href: atPolicy}
	}
	return ch
}

// places are what the rail may hold.
var places = []struct {
	group, text, href string
	need              access.Action
}{
	{"Policy", "Document", atPolicy, access.PolicyRead},
	{"Policy", "Revisions", atRevisions, access.PolicyRead},
	{"Policy", "Exceptions", atExceptions, access.PolicyRead},
	{"Policy", "Records", atRecords, access.PolicyRead},
	{"Policy", "Keys", atKeys, access.PolicyRead},
	{"Findings", "Findings", atFindings, access.PolicyRead},
	{"People", "People", atPeople, access.PeopleRead},
	{"People", "Teams", atTeams, access.PeopleRead},
	{"People", "Rights", atRights, access.RightsRead},
	{"People", "Reviews", atReviews, access.RightsRead},
	{"People", "Break-glass", atGlass, access.RightsRead},
	{"People", "Key holders", atHolders, access.RightsRead},
	{"People", "Applications", atClients, access.ClientsRead},
	{"Secrets", "Parameters", atSecrets, access.VaultList},
	{"Secrets", "Encryption keys", atEncryption, access.KeysRead},
	{"Secrets", "Company vault", atItems, access.VaultItems},
	{"Gate", "Gate", atGate, access.GateRead},
	{"Gate", "Mail", atMail, access.MailRead},
	{"Watch", "Alarms", atWatch, access.WatchRead},
	{"Watch", "What goes on", atViews, access.WatchRead},
	{"Incidents", "Incidents", atIncidents, access.IncidentRead},
	{"Incidents", "Status page", atStatus, access.IncidentRead},
	{"Record", "Journal", atJournal, access.JournalRead},
}

func (c *Console) rail(who actor.Actor, at string) []web.Group {
	var out []web.Group
	last := ""
	for _, p := range places {
		if !c.Access.May(who, p.need) || p.group == "Watch" && c.Watch == nil {
			continue
		}
		if p.group != last {
			out = append(out, web.Group{})
			if p.group == "Policy" {
				out[len(out)-1].Name = p.group
			}
			last = p.group
		}
		g := &out[len(out)-1]
		g.Links = append(g.Links, web.Link{Text: p.text, Href: p.href, Here: p.href == at})
	}
	return out
}
