package console

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/policy/check"
	"writ/internal/policy/document"
	"writ/internal/web"
)

type findingGroup struct {
	ID, Title, Says string
	State           web.State
	Clauses         []web.Clause
}

type findingsPage struct {
	State  web.StateLine
	Groups []findingGroup
	Empty  *web.Empty
}

// showFindings lists every clause that is not a pass, the broken ones first.
func (c *Console) showFindings(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	l, err := c.look(r.Context())
	if err != nil {
		return err
	}
	p := findingsPage{State: l.state}
	type of struct {
		id, title, says string
		state           web.State
		has             func(*check.Clause) bool
	}
	outcome := func(os ...clause.Outcome) func(*check.Clause) bool {
		return func(v *check.Clause) bool { return slices.Contains(os, v.Outcome) }
	}
	noRecord := func(v *check.Clause) bool {
		f := telling(v)
		return v.Outcome == clause.Unknown && f.Kind == string(clause.Record)
	}
	for _, g := range []of{
		{"broken", "Broken", "A control looked, and the sentence is not true.", web.Broken, outcome(clause.Fail)},
		{"unbound", "Unbound", "Nothing in this build can decide; a revision is needed.", web.Unproved, outcome(clause.Unbound)},
		{"unproved", "Unproved", "The check could not decide, or has not run yet.", web.Unproved, func(v *check.Clause) bool { return v.Outcome == clause.Unknown && !noRecord(v) }},
		{"stale", "Stale", "It held when it was last looked at, and that is too long ago.", web.StaleNow, outcome(clause.Stale)},
		{"excepted", "Excepted", "An owner signed a deviation that ends by itself.", web.Excepted, outcome(clause.Excepted)},
		{"no-record", "No record yet", "No control of this build looks at these: a person's signed statement carries them.", web.Unproved, noRecord},
	} {
		out := findingGroup{ID: g.id, Title: g.title, Says: g.says, State: g.state}
		for _, cl := range l.moment.Policy.Each() {
			v := l.clauses[cl.ID]
			if !g.has(v) {
				continue
			}
			line := c.line(l, cl, v, who)
			line.ID = ""
			if g.id == "no-record" {
				line.Mark = web.Mark{}
				if c.mayAll(who, "policy.sign-record") {
					line.Mark = web.Mark{State: web.Unproved, Word: "attest it", Href: "/-/console/attest?clause=" + cl.ID}
				}
			}
			out.Clauses = append(out.Clauses, line)
		}
		if len(out.Clauses) == 0 {
			continue
		}
		if g.id == "broken" {
			slices.SortStableFunc(out.Clauses, func(a, b web.Clause) int { return a.Mark.At.Compare(b.Mark.At) })
		}
		out.Title += " · " + strconv.Itoa(len(out.Clauses))
		p.Groups = append(p.Groups, out)
	}
	if len(p.Groups) == 0 {
		p.Empty = &web.Empty{Says: "Every clause holds. There is nothing to mend.", Next: web.Link{Text: "Read the document", Href: atPolicy}}
	}
	return packed(w, r, func(w http.ResponseWriter) error {
		return c.show(w, r, "findings", web.View{Title: "Findings", Lead: "Everything that is not a pass. Unknown is never one.", Data: p})
	})
}

// attested reports whether a record is what carries, or helps to carry, the clause.
func attested(cl *document.Clause, v *check.Clause) bool {
	return cl.Record != nil || v.Class == string(document.Attested)
}

const soon = 30 * 24 * time.Hour
