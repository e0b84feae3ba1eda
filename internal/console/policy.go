package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/policy"
	"writ/internal/policy/check"
	"writ/internal/policy/document"
	"writ/internal/web"
)

// fact is one line of a page's header block.
type fact struct {
	Name  string
	Text  string
	Sub   string
	Href  string
	At    time.Time // shown as a date
	Time  time.Time // shown to the minute
	Mark  *web.Mark
	Code  bool
	Lines []fact // people with their signatures
}

// choice is one way to filter by outcome.
type choice struct {
	Text  string
	Count string
	State web.State
	Href  string
	Here  bool
}

type policyPage struct {
	Facts    []fact
	State    web.StateLine
	Choices  []choice
	Contents []web.Link
	Sections []web.Section
	Empty    *web.Empty
	Unsigned *web.Empty
}

// showPolicy is the policy as its owners signed it, with the margin that tells.
func (c *Console) showPolicy(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	l, err := c.look(r.Context())
	if err != nil {
		return err
	}
	show, err := showing(r.URL.Query().Get("show"))
	if err != nil {
		return err
	}
	m := l.moment
	version := m.Revision.Version.String()
	lead := m.Policy.ID + ", version " + version + ", in force since " + day(m.Revision.HoldsFrom) + "."
	p := policyPage{Facts: c.header(r.Context(), l), State: l.state, Choices: l.choices(show)}
	for _, s := range m.Policy.Sections {
		sec := web.Section{ID: "s-" + s.ID, Number: s.Number, Title: s.Title, Intro: s.About}
		for i := range s.Clauses {
			v := l.clauses[s.Clauses[i].ID]
			if show == "" || showAs(v) == show {
				sec.Clauses = append(sec.Clauses, c.line(l, &s.Clauses[i], v, who))
			}
		}
		if len(sec.Clauses) == 0 {
			continue
		}
		if show != "" {
			sec.Intro = ""
		}
		p.Sections = append(p.Sections, sec)
		p.Contents = append(p.Contents, web.Link{Text: s.Number + "  " + s.Title, Href: "#" + sec.ID})
	}
	if show != "" {
		p.Contents = nil
		if len(p.Sections) == 0 {
			p.Empty = &web.Empty{Says: "No clause is " + strings.ReplaceAll(show, "-", " ") + " right now.", Next: web.Link{Text: "Show the whole policy", Href: atPolicy}}
		}
	}
	if !m.Revision.Signed() {
		p.Unsigned = &web.Empty{Says: "Revision " + version + " is in force and not signed yet: " + missing(&m.Revision) + ".",
			Next: web.Link{Text: "Sign it", Href: atRevisions + "/" + version + "#sign"}}
	}
	return packed(w, r, func(w http.ResponseWriter) error {
		return c.show(w, r, "policy", web.View{Title: m.Policy.Title, Lead: lead, Data: p})
	})
}

// missing says which signatures a revision lacks.
func missing(r *policy.Revision) string {
	if n := r.OwnersSigned(); n < r.Needs {
		return "it has " + strconv.Itoa(n) + " of the " + strconv.Itoa(r.Needs) + " owners' signatures it needs"
	}
	return "its author has not signed"
}

// header is the block at the head of the document.
func (c *Console) header(ctx context.Context, l *look) []fact {
	m := l.moment
	rev := &m.Revision
	signed := func(handle, kind string) *web.Mark {
		for _, a := range rev.Approvals {
			if a.Signer == handle && a.Kind == kind {
				return &web.Mark{State: web.Holds, Word: "signed " + day(a.At)}
			}
		}
		return &web.Mark{State: web.Unproved, Word: "not signed"}
	}
	owners := fact{Name: "Owners"}
	for _, o := range m.Policy.Owners {
		line := fact{Text: c.name(ctx, o), Mark: signed(o, policy.ByOwner)}
		if o == rev.Author {
			line.Mark, line.Sub = nil, "the author; does not count as an owner here"
		}
		owners.Lines = append(owners.Lines, line)
	}
	return []fact{
		{Name: "Author", Lines: []fact{{Text: c.name(ctx, rev.Author), Mark: signed(rev.Author, policy.ByAuthor)}}},
		owners,
		{Name: "Questions to", Text: m.Policy.Contact},
		{Name: "SHA-256 of the text", Text: rev.BodySHA256, Code: true, Href: atRevisions + "/" + rev.Version.String()},
	}
}

// line is one clause with its margin.
func (c *Console) line(l *look, cl *document.Clause, v *check.Clause, who actor.Actor) web.Clause {
	f := telling(v)
	href := "/-/console/clauses/" + cl.ID
	out := web.Clause{ID: cl.ID, Number: l.number[cl.ID], Href: href, Says: spans(cl, l.moment.Values, href, false), Mark: l.mark(v)}
	for i := range cl.Params {
		if a := &cl.Params[i]; a.Silent {
			if t := tableOf(a, l.moment.Values[cl.Key(a.Name)]); t != nil && len(t.Rows) > 0 {
				out.Tables = append(out.Tables, *t)
			}
		}
	}
	if f.Control == "" || f.ObservedAt.IsZero() {
		if f.Kind != string(clause.Record) && f.Control != "" {
			out.Note = "Has not been looked at yet."
		}
		return out
	}
	ev := web.Evidence{What: cut(f.Summary, 96), At: f.ObservedAt.Time, Control: f.Control}
	if f.Kind == string(clause.Record) {
		ev.Control = ""
	}
	if says := l.told[cl.ID]; says != "" {
		ev = web.Evidence{What: cut(says, 130)}
	}
	if v.Outcome == clause.Pass {
		ev.At = out.Mark.At // the mark says when
	}
	if v.Outcome != clause.Pass {
		ev = c.linked(who, ev, f.Entry)
		ev.Verify = ""
	}
	out.Evidence = []web.Evidence{ev}
	return out
}

// spans is the sentence with its values underlined; each leads to its parameter.
func spans(cl *document.Clause, vals clause.Values, href string, title bool) []web.Span {
	var out []web.Span
	for _, s := range cl.Sentence(vals) {
		sp := web.Span{Text: s.Text}
		if s.Param != "" {
			sp.Value = true
			if href != "" {
				sp.Href = href + "#" + s.Param
			}
			if title {
				sp.Title = cl.Key(s.Param)
			}
		}
		out = append(out, sp)
	}
	return out
}

// shows are the outcomes that can be asked for, and how they are counted.
var shows = []struct {
	name  string
	state web.State
}{{"holds", web.Holds}, {"by-record", web.ByRecord}, {"broken", web.Broken}, {"stale", web.StaleNow}, {"excepted", web.Excepted}, {"unproved", web.Unproved}}

func showAs(v *check.Clause) string { return string(stateOf(v)) }

func showing(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	for _, o := range shows {
		if o.name == s {
			return s, nil
		}
	}
	return "", fault.New(fault.Invalid, "show", fault.Public{Problem: "There is no such outcome.", Expected: "One of holds, by-record, broken, stale, excepted, unproved.", Next: "Show the whole policy."})
}

func (l *look) choices(show string) []choice {
	n := map[string]int{}
	for _, v := range l.clauses {
		n[showAs(v)]++
	}
	out := []choice{{Text: "All", Count: strconv.Itoa(len(l.clauses)), Href: atPolicy, Here: show == ""}}
	for _, o := range shows {
		if n[o.name] > 0 || show == o.name {
			out = append(out, choice{Text: o.state.Word(), Count: strconv.Itoa(n[o.name]), State: o.state, Href: atPolicy + "?show=" + url.QueryEscape(o.name), Here: show == o.name})
		}
	}
	return out
}

// download is a revision as a policy file, for editing.
func (c *Console) download(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ref := r.URL.Query().Get("revision")
	if ref == "" {
		ref = c.Policy.Version()
	}
	p, err := c.Policy.Document(ref)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/yaml; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+strings.TrimSuffix(fileName(p.ID, ref), ".txt")+`.yaml"`)
	_, err = w.Write(document.Print(p))
	return err
}

func (c *Console) mayAll(who actor.Actor, as ...access.Action) bool {
	for _, a := range as {
		if !c.Access.May(who, a) {
			return false
		}
	}
	return true
}
