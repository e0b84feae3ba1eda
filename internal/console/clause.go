package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/policy"
	"writ/internal/policy/check"
	"writ/internal/policy/document"
	"writ/internal/web"
)

// proof is the last time somebody asked here to see a clause proved.
type proof struct {
	check.Proof
	By string
}

type paramRow struct {
	Name, Key, Value, Type, Range, Stricter, Why string
	Signed                                       string // the value in the signed text, where an exception makes another one run
	Except, Change                               string // addresses, where the reader may
	Table                                        *web.Table
}

type controlRow struct {
	Mark  web.Mark
	ID    string
	Kind  string
	Says  string
	What  web.Evidence
	Every time.Duration
	Until time.Time    // the result counts until then
	Steps []check.Step // what a canary did when it ran last
}

type clausePage struct {
	Clause     web.Clause
	Facts      []fact
	Params     []paramRow
	Controls   []controlRow
	Proof      *proof
	ProofAt    time.Time
	ProofState web.State
	ProofSays  string
	Prove      string // address of the act; "" when the reader may not, or nothing can be run
	ProveSays  string
	Acts       []web.Link
	Exceptions []web.Evidence
	Records    []web.Evidence
	History    []web.Moment
}

// showClause is one promise with all that is known of it.
func (c *Console) showClause(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ctx := r.Context()
	l, err := c.look(ctx)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	cl, ok := l.moment.Policy.Clause(id)
	if !ok {
		return fault.New(fault.NotFound, "no_clause", fault.Public{Problem: "The policy in force has no such clause.", Next: "Look for it in the document."})
	}
	v := l.clauses[id]
	p := clausePage{Clause: c.line(l, cl, v, who), Params: c.params(cl, l, who), Controls: c.controls(ctx, l, v, who)}
	p.Clause.Href, p.Clause.Says, p.Clause.ID = "", spans(cl, l.moment.Values, "", true), ""
	for i, s := range p.Clause.Says {
		if s.Value {
			_, name, _ := strings.Cut(s.Title, "/")
			p.Clause.Says[i].Href = "#" + name
		}
	}
	p.Clause.Evidence, p.Clause.Tables = nil, nil // among the values below
	p.Facts = clauseFacts(cl, v)
	c.lastProof(id, &p)
	if c.Access.May(who, access.CheckRun) && slices.ContainsFunc(v.Findings, func(f check.Finding) bool { return f.Kind != string(clause.Record) && f.Control != "policy.binding" }) {
		p.Prove = "/-/console/clauses/" + url.PathEscape(id) + "/prove"
		p.ProveSays = "Runs its controls before your eyes and records what they find."
		if slices.ContainsFunc(v.Findings, func(f check.Finding) bool { return f.Kind == string(clause.Canary) }) {
			p.ProveSays = "Tries the violation through the real door, now, and records what came back."
		}
	}
	p.Acts = c.acts(cl, who)
	for _, e := range l.held[id] {
		_, name, _ := strings.Cut(e.Param, "/")
		p.Exceptions = append(p.Exceptions, c.evidence(ctx, who, web.Evidence{What: name + " is " + literalWords(e.Value) + " until " + day(e.Ends) + ": " + e.Reason +
			" Asked for by " + c.name(ctx, e.Requester) + ", signed by " + c.name(ctx, e.Approver), At: e.Starts}, e.Entry))
	}
	waived, err := c.Policy.Waived(ctx)
	if err != nil {
		return err
	}
	for _, x := range waived {
		if x.Clause == id && x.Live {
			by := "by " + c.name(ctx, x.Requester) + ", alone"
			if x.Approver != "" {
				by = "by " + c.name(ctx, x.Requester) + " and " + c.name(ctx, x.Approver)
			}
			p.Exceptions = append(p.Exceptions, web.Evidence{What: x.What + ", " + by + ", until " + day(x.Ends) + " at the latest: " + x.Reason, At: x.Starts})
		}
	}
	records, err := c.Policy.Records(ctx, id)
	if err != nil {
		return err
	}
	for _, rec := range records[min(len(records), 1):min(len(records), 6)] { // the newest one stands above
		p.Records = append(p.Records, c.evidence(ctx, who, web.Evidence{What: c.name(ctx, rec.Signer) + " attests: " + rec.Statement + " Counts until " + day(rec.ValidUntil), At: rec.Signed}, rec.Entry))
	}
	if p.History, err = c.history(ctx, who, id, records); err != nil {
		return err
	}
	title := cl.Title
	if title == "" {
		title = cl.ID
	}
	return c.show(w, r, "clause", web.View{Title: title, Up: &web.Link{Text: "The policy, " + l.number[id], Href: atPolicy + "#" + id}, Data: p})
}

func clauseFacts(cl *document.Clause, v *check.Clause) []fact {
	class := map[document.Class]string{document.Enforced: "enforced by Writ itself", document.Checked: "checked through a connector", document.Attested: "attested by a signed record"}
	out := []fact{{Name: "Clause", Text: cl.ID, Code: true}, {Name: "Carried", Text: class[document.Class(v.Class)]}}
	if v.Class != string(cl.Class) {
		out[1].Sub = "The text says " + string(cl.Class) + "; no control of this build looks at it, so a record carries it."
	}
	out = append(out, fact{Name: "Module", Text: cl.By})
	if cl.Record != nil {
		f := fact{Name: "Record", Text: strings.ReplaceAll(cl.Record.Form, "-", " ")}
		if cl.Record.SignedBy != "" {
			f.Text += ", signed by " + strings.TrimPrefix(cl.Record.SignedBy, "role/")
		}
		if d, err := document.ParseDuration(cl.Record.ValidFor.Text); err == nil {
			f.Sub = "Counts for " + web.Duration(d) + "."
		}
		out = append(out, f)
	}
	if cl.Why != "" {
		out = append(out, fact{Name: "Why", Text: cl.Why})
	}
	if len(cl.Maps) > 0 {
		var words []string
		for _, fw := range []struct{ id, name string }{{"soc2", "SOC 2"}, {"iso27001", "ISO 27001"}, {"csf2", "CSF 2.0"}} {
			if ids := cl.Maps[fw.id]; len(ids) > 0 {
				words = append(words, fw.name+" "+strings.Join(ids, ", "))
			}
		}
		out = append(out, fact{Name: "Serves", Text: strings.Join(words, " · ")})
	}
	return out
}

var directions = map[document.Stricter]string{document.Lower: "lower is stricter", document.Higher: "higher is stricter", document.IfTrue: "yes is stricter",
	document.IfFalse: "no is stricter", document.First: "the first is strictest", document.Last: "the last is strictest",
	document.Subset: "fewer is stricter", document.Superset: "more is stricter", document.NoDirection: "any change counts as a loosening"}

func (c *Console) params(cl *document.Clause, l *look, who actor.Actor) []paramRow {
	var out []paramRow
	for i := range cl.Params {
		a := &cl.Params[i]
		key := cl.Key(a.Name)
		row := paramRow{Name: a.Name, Key: key, Value: a.Words(l.moment.Values[key]), Type: string(a.Type), Stricter: directions[a.Stricter], Why: a.Decide}
		row.Table = tableOf(a, l.moment.Values[key])
		if signed := a.Words(a.Value); signed != row.Value {
			row.Signed = signed
		}
		if row.Why == "" {
			row.Why = a.Why
		}
		switch {
		case len(a.Range) == 2:
			row.Range = a.Range[0] + " to " + a.Range[1]
		case len(a.Of) > 0 && a.Type == document.Enum:
			row.Range = "one of " + strings.Join(a.Of, ", ")
		case len(a.Of) > 0:
			row.Range = "of " + strings.Join(a.Of, ", ")
		}
		if c.Access.May(who, access.PolicyPropose) {
			row.Change = "/-/console/propose?param=" + url.QueryEscape(key)
		}
		if c.Access.May(who, access.ExceptionRequest) && !cl.NoExcept {
			row.Except = atExceptions + "/new?param=" + url.QueryEscape(key)
		}
		out = append(out, row)
	}
	return out
}

// controls are the findings with what their controls do.
func (c *Console) controls(ctx context.Context, l *look, v *check.Clause, who actor.Actor) []controlRow {
	known := map[string]clause.Control{}
	for _, k := range c.Check.Controls() {
		known[k.ID] = k
	}
	var out []controlRow
	for _, f := range v.Findings {
		k := known[f.Control]
		row := controlRow{ID: f.Control, Kind: f.Kind, Says: sentence(k.Says), Every: k.Every, Until: f.ValidUntil.Time, Steps: c.Check.LastSteps(f.Control),
			Mark: web.Mark{State: web.StateOf(string(f.Outcome)), At: f.ObservedAt.Time}}
		switch {
		case f.Outcome == clause.Fail && !l.open[f.Control].Opened.IsZero():
			row.Mark.At = l.open[f.Control].Opened
		case f.Kind == string(clause.Record) && f.Outcome == clause.Pass:
			row.Mark.State = web.ByRecord
		case f.Kind == string(clause.Record) && f.ObservedAt.IsZero():
			row.Mark.Word = "no record yet"
		}
		if f.Kind == string(clause.Record) {
			row.ID, row.Says = "", "A dated statement, signed by a person."
		}
		if !f.ObservedAt.IsZero() {
			row.What = c.evidence(ctx, who, web.Evidence{What: sentence(c.named(ctx, f.Summary)), At: f.ObservedAt.Time}, f.Entry)
			if row.What.Entry != "" {
				row.What.What = strings.TrimSuffix(row.What.What, ".")
			}
		}
		out = append(out, row)
	}
	return out
}

func (c *Console) acts(cl *document.Clause, who actor.Actor) []web.Link {
	var out []web.Link
	if c.Access.May(who, access.RecordSign) {
		out = append(out, web.Link{Text: "Attest", Href: "/-/console/attest?clause=" + url.QueryEscape(cl.ID)})
	}
	if len(cl.Params) > 0 {
		key := url.QueryEscape(cl.Key(cl.Params[0].Name))
		if c.Access.May(who, access.PolicyPropose) {
			out = append(out, web.Link{Text: "Propose a change", Href: "/-/console/propose?param=" + key})
		}
		if c.Access.May(who, access.ExceptionRequest) && !cl.NoExcept {
			out = append(out, web.Link{Text: "Request an exception", Href: atExceptions + "/new?param=" + key})
		}
	} else if c.Access.May(who, access.PolicyPropose) {
		out = append(out, web.Link{Text: "Propose a change", Href: "/-/console/propose"})
	}
	return out
}

// lastProof adds what was seen when somebody last pressed "Prove now".
func (c *Console) lastProof(id string, p *clausePage) {
	c.mu.Lock()
	got, ok := c.proofs[id]
	c.mu.Unlock()
	if !ok {
		return
	}
	p.Proof, p.ProofAt, p.ProofState = &got, got.At.Time, web.StateOf(string(got.Outcome))
	p.ProofSays = map[clause.Outcome]string{clause.Pass: "It held", clause.Fail: "It did not hold"}[got.Outcome]
	if p.ProofSays == "" {
		p.ProofSays = "It could not be decided"
	}
}

// prove runs the clause's canaries and keeps their steps for the page that follows.
func (c *Console) prove(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	id := r.PathValue("id")
	got, err := c.Check.Prove(r.Context(), id)
	if err != nil {
		return err
	}
	by := string(who.Kind)
	if who.Kind == actor.Person {
		by = c.Identity.Name(r.Context(), who.ID)
	}
	c.mu.Lock()
	c.proofs[id] = proof{got, by}
	c.mu.Unlock()
	says := map[clause.Outcome]string{clause.Pass: "Proved: it holds.", clause.Fail: "Tried: it does not hold. See below what came back."}[got.Outcome]
	if says == "" {
		says = "Tried, and it could not be decided. See below."
	}
	return c.done(w, r, "/-/console/clauses/"+url.PathEscape(id)+"#proof", says)
}

const revisionsBack = 12

// history is what happened to a clause, newest first: results that changed something,
// records, exceptions, revisions.
func (c *Console) history(ctx context.Context, who actor.Actor, id string, records []policy.Record) ([]web.Moment, error) {
	var out []web.Moment
	if c.Access.May(who, access.JournalRead) {
		es, err := c.Journal.List(ctx, journal.Query{Clause: id, Limit: 200})
		if err != nil {
			return nil, err
		}
		for _, e := range es {
			if m, ok := happened(e); ok && len(out) < 20 {
				out = append(out, m)
			}
		}
	}
	for _, rec := range records[:min(len(records), 10)] {
		out = append(out, web.Moment{At: rec.Signed, Who: c.name(ctx, rec.Signer), What: "attested it", State: web.ByRecord, Detail: cut(rec.Statement, 140)})
	}
	revs := c.Policy.Revisions()
	for i, rev := range revs {
		if i+1 >= len(revs) {
			if p, err := c.Policy.Document(rev.ID); err == nil {
				if _, ok := p.Clause(id); ok {
					out = append(out, web.Moment{At: rev.HoldsFrom, What: "revision " + rev.Version.String() + " brought it", Href: atRevisions + "/" + rev.Version.String()})
				}
			}
			break
		}
		if i >= revisionsBack {
			break
		}
		d, err := c.Policy.Diff(revs[i+1].ID, rev.ID)
		if err != nil {
			return nil, err
		}
		for _, ch := range d.Clauses {
			if ch.Clause == id {
				out = append(out, web.Moment{At: rev.HoldsFrom, What: "revision " + rev.Version.String() + " changed it", Href: atRevisions + "/" + rev.Version.String(), Detail: changeWords(ch)})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b web.Moment) int { return b.At.Compare(a.At) })
	return out, nil
}

func changeWords(ch document.Change) string {
	var parts []string
	for _, d := range ch.Details {
		if name, ok := strings.CutPrefix(d.What, "params/"); ok && d.Old != "" && d.New != "" && !strings.Contains(name, "/") {
			parts = append(parts, name+" from "+literalWords(d.Old)+" to "+literalWords(d.New))
		}
	}
	if len(parts) == 0 {
		return levelWords(ch.Level)
	}
	return strings.Join(parts, "; ") + ": " + levelWords(ch.Level)
}

// happened turns an entry about a clause into a line of its history. Passes that
// changed nothing are not history.
func happened(e journal.Entry) (web.Moment, bool) {
	m := web.Moment{At: e.Happened, Href: entryHref(e.N)}
	summary, _ := e.Field("summary")
	m.Detail, _ = summary.(string)
	control, _ := e.Field("control")
	name, _ := control.(string)
	switch e.Act {
	case "finding.opened":
		m.State, m.What = web.Broken, "found broken by "+name
	case "finding.closed":
		m.State, m.What = web.Holds, "holds again, seen by "+name
	case "exception.requested":
		m.What = "an exception was asked for"
	case "exception.approved":
		m.State, m.What = web.Excepted, "an exception was signed"
	case "check.ran":
		outcome, _ := e.Field("outcome")
		o, _ := outcome.(string)
		if o == string(clause.Fail) {
			return m, false // the finding says so once
		}
		m.State = web.StateOf(o)
		if kind, _ := e.Field("kind"); kind == string(clause.Canary) {
			m.What = map[string]string{"pass": "proved by "}[o] + name
		} else {
			m.What = map[string]string{"pass": "looked at by "}[o] + name
		}
		if o != "pass" {
			m.What = "could not be decided by " + name
		}
	case "record.signed", "check.passed-unchanged":
		return m, false // shown from the records, or nothing new
	default:
		m.What = e.Act
	}
	return m, true
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", ", ") }

func levelWords(l document.Level) string {
	switch l {
	case document.Incomparable:
		return "neither tighter nor looser"
	case document.TextOnly:
		return "text"
	}
	return string(l)
}
