package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/policy"
	"writ/internal/policy/document"
	"writ/internal/web"
)

type proposePage struct {
	Step     string // "value", "file" or "preview"
	Sentence *web.Clause
	Param    *paramRow
	Form     web.Form
	Problems *web.Table
	Diff     []web.Change
	Changes  string
	Needs    string
	Warnings []string
	Forecast *forecast
	Again    *web.Link
}

// draft is what the forms of this page carry from step to step.
type draft struct {
	param, value, file, summary, effective string
}

func (d draft) hidden() []web.Pair {
	out := []web.Pair{{Name: "summary", Value: d.summary}, {Name: "effective", Value: d.effective}}
	if d.param != "" {
		return append(out, web.Pair{Name: "param", Value: d.param}, web.Pair{Name: "value", Value: d.value})
	}
	return append(out, web.Pair{Name: "file", Value: d.file})
}

func readDraft(r *http.Request) (draft, error) {
	f, err := web.ReadForm(r)
	if err != nil {
		return draft{}, err
	}
	return draft{param: f.Get("param"), value: strings.ReplaceAll(f.Get("value"), "\r\n", "\n"), file: strings.ReplaceAll(f.Get("file"), "\r\n", "\n"),
		summary: strings.TrimSpace(f.Get("summary")), effective: strings.TrimSpace(f.Get("effective"))}, nil
}

// head is the newest adopted revision: what a proposal stands on.
func (c *Console) head() (*policy.Revision, *document.Policy, error) {
	revs := c.Policy.Revisions()
	if len(revs) == 0 {
		return nil, nil, fault.New(fault.NotFound, "no_policy", fault.Public{Problem: "No policy was adopted here.", Next: "Run writ init first."})
	}
	doc, err := c.Policy.Document(revs[0].ID)
	return &revs[0], doc, err
}

func (c *Console) showPropose(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	d := draft{param: r.URL.Query().Get("param")}
	return c.proposeForm(w, r, d, nil, nil)
}

// proposeForm is the first step: one value, or a whole file.
func (c *Console) proposeForm(w http.ResponseWriter, r *http.Request, d draft, fail error, problems []document.Problem) error {
	rev, doc, err := c.head()
	if err != nil {
		return err
	}
	form := web.Form{Action: "/-/console/propose/preview", Act: "Show what changes", Fault: fail, Other: &web.Link{Text: "Cancel", Href: atRevisions}}
	p := proposePage{Step: "file", Problems: problemTable(problems)}
	v := web.View{Title: "Propose a revision", Up: &web.Link{Text: "Revisions", Href: atRevisions}, Lead: "It stands on revision " + rev.Version.String() + " and becomes " + rev.Version.Next().String() + ". Its owners sign it; you, as its author, do not count."}
	if d.param != "" {
		a, ok := doc.Param(d.param)
		id, _, _ := strings.Cut(d.param, "/")
		cl, found := doc.Clause(id)
		if !ok || !found {
			return fault.New(fault.NotFound, "no_param", fault.Public{Problem: "The policy has no such parameter.", Next: "Choose a value in the document."})
		}
		p.Step = "value"
		v.Title, v.Up = cl.Title+": another value", &web.Link{Text: cl.ID, Href: "/-/console/clauses/" + cl.ID}
		p.Sentence = &web.Clause{Number: numbers(doc)[cl.ID], Says: spans(cl, nil, "", true)}
		l, err := c.look(r.Context())
		if err != nil {
			return err
		}
		p.Param = c.paramOf(cl, l, a.Name)
		form.Hidden = []web.Pair{{Name: "param", Value: d.param}}
		form.Fields = []web.Field{valueField(a, d.value)}
	} else {
		form.Fields = []web.Field{{Name: "file", Label: "Policy file (YAML)", Type: "textarea", Rows: 16, Value: d.file, Required: true, Hint: "Download the policy in force, edit it, paste all of it here."}}
		p.Again = &web.Link{Text: "Download revision " + rev.Version.String() + " (YAML)", Href: "/-/console/policy.yaml?revision=" + url.QueryEscape(rev.ID)}
	}
	form.Fields = append(form.Fields, web.Field{Name: "summary", Label: "What changes, and why", Value: d.summary, Required: true, Max: 500, Hint: "One line; it stands in the list of revisions for ever, and is public."},
		web.Field{Name: "effective", Label: "In force from", Value: d.effective, Hint: "Such as 2027-01-01 or 2027-01-01T06:00Z. Empty: from the moment it has its signatures."})
	p.Form = form
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	return c.answer(w, r, st, "propose", web.View{Title: v.Title, Lead: v.Lead, Up: v.Up, Data: p})
}

// valueField asks for a value in the way its type wants.
func valueField(a *document.Param, value string) web.Field {
	if value == "" {
		value = a.Literal.String()
	}
	f := web.Field{Name: "value", Label: "New value of " + a.Name, Value: value, Required: true}
	choose := func(all []string) {
		f.Type = "select"
		for _, o := range all {
			f.Options = append(f.Options, web.Option{Value: o, Text: o, Chosen: o == value})
		}
	}
	switch a.Type {
	case document.Enum:
		choose(a.Of)
	case document.Bool:
		choose([]string{"true", "false"})
	case document.Set, document.CIDRSet:
		f.Type, f.Rows, f.Hint = "textarea", max(3, len(a.Literal.List)), "One a line."
	case document.Table:
		var cols []string
		for _, col := range a.Columns {
			cols = append(cols, col.Name)
		}
		f.Type, f.Rows, f.Hint = "textarea", max(4, len(a.Literal.Rows)), "One row a line, cells separated by |: "+strings.Join(cols, " | ")+"."
	case document.Duration:
		f.Hint = "A number with s, m, h, d or w."
	}
	if len(a.Range) == 2 {
		f.Hint = strings.TrimSpace(f.Hint + " From " + a.Range[0] + " to " + a.Range[1] + ".")
	}
	return f
}

// paramOf is the card of one parameter, without the ways to change it.
func (c *Console) paramOf(cl *document.Clause, l *look, name string) *paramRow {
	for _, row := range c.params(cl, l, actor.Actor{}) {
		if row.Name == name {
			return &row
		}
	}
	return nil
}

func problemTable(ps []document.Problem) *web.Table {
	if len(ps) == 0 {
		return nil
	}
	t := web.Table{Caption: web.Count(int64(len(ps)), "problem") + " in the order of the file", Columns: []web.Column{{Name: "Line"}, {Name: "Where"}, {Name: "Found"}, {Name: "Expected"}, {Name: "Weight"}}}
	for _, x := range ps {
		at := "—"
		if x.Line > 0 {
			at = strconv.Itoa(x.Line) + ":" + strconv.Itoa(x.Column)
		}
		weight := &web.Mark{State: web.Broken, Word: "refused"}
		if x.Severity == document.Warning {
			weight = &web.Mark{State: web.StaleNow, Word: "look at it"}
		}
		expected := x.Expected
		if x.Near != "" {
			expected += "; did you mean " + x.Near
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: at, Code: true}, {Text: x.At, Code: true}, {Text: x.Found}, {Text: expected}, {Mark: weight}}})
	}
	return &t
}

// meant is the policy that a draft means, with what is weak about it.
func (c *Console) meant(d draft, base *document.Policy) (*document.Policy, []document.Problem, error) {
	var doc *document.Policy
	var ps []document.Problem
	if d.param != "" {
		a, ok := base.Param(d.param)
		if !ok {
			return nil, nil, fault.New(fault.NotFound, "no_param", fault.Public{Problem: "The policy has no such parameter.", Next: "Choose a value in the document."})
		}
		doc, ps = document.Apply(base, map[string]document.Literal{d.param: document.ParseLiteral(a.Type, d.value)})
		if doc == nil {
			says := "This value is refused."
			if len(ps) > 0 {
				says = sentence("Found " + ps[0].Found + ", expected " + ps[0].Expected)
			}
			return nil, nil, fault.New(fault.Invalid, "value", fault.Public{Problem: "The value cannot stand.", Fields: []fault.Field{{Name: "value", Code: "value", Problem: says}}})
		}
		ps = c.Policy.Lint(document.Print(doc))
		for i := range ps {
			ps[i].Line, ps[i].Column = 0, 0 // lines of a file that nobody wrote
		}
	} else {
		doc, ps = document.Load([]byte(d.file), document.Shipped())
		if doc != nil {
			ps = c.Policy.Lint([]byte(d.file))
		}
	}
	for _, x := range ps {
		if x.Severity == document.Error {
			f := fault.New(fault.Invalid, "policy_refused", fault.Public{Problem: "The policy cannot stand as it is.", Next: "Mend what the table lists, then look again."})
			f.Public.Fields = []fault.Field{{Name: "file", Code: "policy_refused", Problem: web.Count(int64(len(ps)), "problem") + "; see the table."}}
			if d.param != "" {
				f.Public.Fields = []fault.Field{{Name: "value", Code: "policy_refused", Problem: sentence(x.Found + "; expected " + x.Expected)}}
			}
			return nil, ps, f
		}
	}
	return doc, ps, nil
}

// preview is the second step: what would change, before anything is stored.
func (c *Console) preview(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	d, err := readDraft(r)
	if err != nil {
		return err
	}
	rev, base, err := c.head()
	if err != nil {
		return err
	}
	doc, ps, err := c.meant(d, base)
	if err == nil {
		_, err = d.when()
	}
	if err == nil && d.summary == "" {
		err = fault.New(fault.Invalid, "summary", fault.Public{Problem: "A line is missing.", Fields: []fault.Field{{Name: "summary", Code: "summary", Problem: "Say what changes and why, in one line."}}})
	}
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.proposeForm(w, r, d, err, ps)
	}
	diff := document.Compare(base, doc)
	if diff.Empty() {
		err := fault.New(fault.Invalid, "no_change", fault.Public{Problem: "Nothing would change.", Next: "Change a value or a sentence first."})
		return c.proposeForm(w, r, d, err, nil)
	}
	p := proposePage{Step: "preview", Diff: changes(diff, doc), Changes: diff.Summary(),
		Form: web.Form{Action: "/-/console/propose", Act: "Propose revision " + rev.Version.Next().String(), Hidden: d.hidden(), Other: &web.Link{Text: "Cancel", Href: atRevisions}}}
	p.Needs = "It tightens or rewords: " + c.needs(base, "gov.owners/need") + " who did not write it must sign."
	if diff.NeedsLoosen() {
		p.Needs = "It loosens, or changes what cannot be compared: " + c.needs(base, "gov.owners/loosen_need") + " who did not write it must sign."
	}
	p.Warnings = c.newWarnings(base, ps)
	tried, err := c.Policy.Try(r.Context(), who, policy.Draft{Policy: doc})
	if err != nil {
		return err
	}
	p.Forecast = foreseen(&tried.Forecast)
	return c.show(w, r, "propose", web.View{Title: "What revision " + rev.Version.Next().String() + " would change", Lead: d.summary, Up: &web.Link{Text: "Revisions", Href: atRevisions}, Data: p})
}

// newWarnings are what the reader of the file finds weak and did not before.
func (c *Console) newWarnings(base *document.Policy, ps []document.Problem) []string {
	old := map[string]bool{}
	for _, x := range c.Policy.Lint(document.Print(base)) {
		old[x.At+x.Found] = true
	}
	var out []string
	for _, x := range ps {
		if !old[x.At+x.Found] {
			out = append(out, sentence(strings.TrimSpace(x.At+" found "+x.Found+", expected "+x.Expected)))
		}
	}
	return out
}

func (c *Console) needs(base *document.Policy, key string) string {
	n := int64(1)
	if a, ok := base.Param(key); ok {
		if v, ok := a.Value.(int64); ok {
			n = max(1, v)
		}
	}
	return web.Count(n, "owner")
}

// when is the effective date of a draft.
func (d draft) when() (time.Time, error) {
	if d.effective == "" {
		return time.Time{}, nil
	}
	t, err := policy.ParseTime(d.effective)
	if err != nil {
		return t, fault.New(fault.Invalid, "effective", fault.Public{Problem: "The date could not be read.",
			Fields: []fault.Field{{Name: "effective", Code: "effective", Problem: "Write it such as 2027-01-01 or 2027-01-01T06:00Z."}}})
	}
	return t, nil
}

var draftFields = map[string]string{"summary": "summary", "back_dated": "effective", "closed_before": "effective", "policy_refused": "file", "policy_id": "file"}

// propose is the last step.
func (c *Console) propose(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	d, err := readDraft(r)
	if err != nil {
		return err
	}
	_, base, err := c.head()
	if err != nil {
		return err
	}
	doc, ps, err := c.meant(d, base)
	var p policy.Proposal
	if err == nil {
		in := policy.Draft{Policy: doc, Summary: d.summary}
		if d.param == "" {
			in = policy.Draft{YAML: []byte(d.file), Summary: d.summary}
		}
		if in.Effective, err = d.when(); err == nil {
			p, err = c.Policy.Propose(r.Context(), who, in)
		}
	}
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.proposeForm(w, r, d, beside(err, draftFields), ps)
	}
	return c.done(w, r, atRevisions+"/"+url.PathEscape(p.ID), "Revision "+p.Version.String()+" is proposed. It needs the signatures of "+web.Count(int64(p.Needs), "owner")+".")
}
