package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/policy/check"
	"writ/internal/policy/document"
	"writ/internal/web"
)

type trustPage struct {
	Facts    []fact
	Says     string
	Note     string
	Contents []web.Link
	Sections []web.Section
	Check    []web.Code
	Contact  string
	Journal  string
}

// shownAs is how much of a clause the public sees: the least open of its own word and
// that of gov.published.
func (l *look) shownAs(cl *document.Clause) document.Visibility {
	rank := map[document.Visibility]int{document.Public: 0, "": 0, document.Summary: 1, document.Hidden: 2}
	all, _ := l.moment.Values["gov.published/visibility"].(string)
	own := cl.Visibility
	if rank[document.Visibility(all)] > rank[own] {
		own = document.Visibility(all)
	}
	if own == "" {
		return document.Public
	}
	return own
}

// publicMark says no more of a failure than that it is not proved, and since when.
func (l *look) publicMark(v *check.Clause) web.Mark {
	m := l.mark(v)
	m.Href = ""
	switch v.Outcome {
	case clause.Fail:
		m = web.Mark{State: web.Unproved, Word: "not proved"}
		if t := l.since[v.ID]; !t.IsZero() {
			m.Word = "not proved since " + day(t)
		} else if t := telling(v).ObservedAt; !t.IsZero() {
			m.Word = "not proved since " + day(t.Time)
		}
	case clause.Stale:
		m = web.Mark{State: web.StaleNow, Word: "not proved since " + day(m.At)}
	case clause.Unknown, clause.Unbound:
		m = web.Mark{State: web.Unproved, Word: "not proved yet"}
	}
	return m
}

func (c *Console) showTrust(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	l, err := c.look(r.Context())
	if err != nil {
		return err
	}
	m := l.moment
	p := trustPage{Contact: m.Policy.Contact, Says: publicSentence(l), Facts: c.publicFacts(l)}
	hidden := 0
	for _, s := range m.Policy.Sections {
		sec := web.Section{ID: "s-" + s.ID, Number: s.Number, Title: s.Title, Intro: s.About}
		for i := range s.Clauses {
			cl := &s.Clauses[i]
			v := l.clauses[cl.ID]
			line := web.Clause{ID: cl.ID, Number: l.number[cl.ID], Mark: l.publicMark(v)}
			switch l.shownAs(cl) {
			case document.Hidden:
				hidden++
				continue
			case document.Summary:
				line.Says = []web.Span{{Text: sentence(cl.Title)}}
				line.Note = "Shown in summary."
			default:
				line.Says = spans(cl, m.Values, "", false)
			}
			sec.Clauses = append(sec.Clauses, line)
		}
		if len(sec.Clauses) > 0 {
			p.Sections = append(p.Sections, sec)
			p.Contents = append(p.Contents, web.Link{Text: s.Number + "  " + s.Title, Href: "#" + sec.ID})
		}
	}
	if hidden > 0 {
		p.Note = fmt.Sprintf("%s of the policy %s not shown here; the contact gives them on request.", web.Count(int64(hidden), "clause"), map[bool]string{true: "is", false: "are"}[hidden == 1])
	}
	if p.Journal, err = c.Journal.Key(r.Context()); err != nil {
		p.Journal = "" // no key yet: nothing was signed
	}
	p.Check = []web.Code{{Label: "1 · Which text is in force, and its hash", Text: "curl -s " + c.Origin + "/.well-known/writ"},
		{Label: "2 · An evidence bundle, which the contact gives on request, is checked on your own machine without asking this server", Text: "writ verify evidence.zip"}}
	title := m.Policy.Title
	if !strings.Contains(strings.ToLower(title), "policy") {
		title += " policy"
	}
	return packed(w, r, func(w http.ResponseWriter) error {
		return c.show(w, r, "trust", web.View{Title: title, Lead: m.Policy.ID + ", version " + m.Revision.Version.String() + ", in force since " + day(m.Revision.HoldsFrom) + ".", Frame: web.Document, Data: p})
	})
}

// publicSentence is the state in words for customers.
func publicSentence(l *look) string {
	n := l.report.Counts
	says := fmt.Sprintf("%d of %d promises are proved to hold right now", n.Pass, len(l.report.Clauses))
	if n.Excepted > 0 {
		says += fmt.Sprintf("; %d more %s under an exception that ends by itself", n.Excepted, map[bool]string{true: "is", false: "are"}[n.Excepted == 1])
	}
	if n.Fail > 0 {
		says += fmt.Sprintf("; %d %s not", n.Fail, map[bool]string{true: "does", false: "do"}[n.Fail == 1])
	}
	if open := n.Stale + n.Unknown + n.Unbound; open > 0 {
		says += fmt.Sprintf("; for %d nobody has shown it yet", open)
	}
	return says + "."
}

// publicFacts is the head of the trust page. The hash stands there in full.
func (c *Console) publicFacts(l *look) []fact { // clause: gov.published
	m := l.moment
	signed := fact{Name: "Signed", Mark: &web.Mark{State: web.Unproved, Word: "not signed yet by its owners"}}
	if m.Revision.Signed() {
		at := time.Time{}
		for _, a := range m.Revision.Approvals {
			if a.At.After(at) {
				at = a.At
			}
		}
		signed.Mark = &web.Mark{State: web.Holds, Word: fmt.Sprintf("by %s of the policy and its author, %s", web.Count(int64(m.Revision.OwnersSigned()), "owner"), day(at))}
	}
	return []fact{signed,
		{Name: "Owners", Text: web.Count(int64(len(m.Policy.Owners)), "owner") + "; a change needs others than its author"},
		{Name: "Questions to", Text: m.Policy.Contact, Href: "mailto:" + m.Policy.Contact}, {Name: "SHA-256 of the text", Text: m.Revision.BodySHA256, Code: true}}
}

// trustOut is the trust page for programs.
type trustOut struct {
	Policy struct {
		ID           string     `json:"id"`
		Title        string     `json:"title"`
		Version      string     `json:"version"`
		BodySHA256   string     `json:"body_sha256"`
		InForceSince check.Time `json:"in_force_since"`
		Contact      string     `json:"contact"`
		Signed       bool       `json:"signed"`
	} `json:"policy"`
	At      check.Time    `json:"at"`
	Clauses []trustClause `json:"clauses"`
}

type trustClause struct {
	ID       string     `json:"id"`
	Number   string     `json:"number"`
	Section  string     `json:"section"`
	Says     string     `json:"says"`
	State    string     `json:"state"` // holds, by-record, excepted, stale, unproved; never the detail of a failure
	Word     string     `json:"word"`
	ProvedAt check.Time `json:"proved_at,omitzero"`
}

func (c *Console) trustJSON(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	l, err := c.look(r.Context())
	if err != nil {
		return err
	}
	m := l.moment
	var out trustOut
	p := &out.Policy
	p.ID, p.Title, p.Version, p.BodySHA256, p.Contact, p.Signed = m.Policy.ID, m.Policy.Title, m.Revision.Version.String(), m.Revision.BodySHA256, m.Policy.Contact, m.Revision.Signed()
	p.InForceSince, out.At, out.Clauses = check.Time{Time: m.Revision.HoldsFrom}, check.Time{Time: l.at.UTC()}, []trustClause{}
	for s, cl := range m.Policy.Each() {
		v := l.clauses[cl.ID]
		mark := l.publicMark(v)
		line := trustClause{ID: cl.ID, Number: l.number[cl.ID], Section: s.ID, Says: cl.Plain(m.Values), State: string(mark.State), Word: mark.Text(), ProvedAt: check.Time{Time: mark.At.UTC()}}
		switch l.shownAs(cl) {
		case document.Hidden:
			continue
		case document.Summary:
			line.Says = cl.Title
		}
		out.Clauses = append(out.Clauses, line)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

// securityText is RFC 9116.
func (c *Console) securityText(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	l, err := c.look(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err = io.WriteString(w, c.Disclosure.Text(c.Now(), c.Origin, l.moment.Policy.Contact))
	return err
}

// wellKnown says what an outsider compares evidence with.
type wellKnown struct {
	Policy     string `json:"policy"`
	Version    string `json:"version"`
	BodySHA256 string `json:"body_sha256"`
	Trust      string `json:"trust"`
	Journal    string `json:"journal,omitempty"`     // name of the log
	JournalKey string `json:"journal_key,omitempty"` // its verifier key
}

func (c *Console) wellKnown(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	l, err := c.look(r.Context())
	if err != nil {
		return err
	}
	m := l.moment
	out := wellKnown{Policy: m.Policy.ID, Version: m.Revision.Version.String(), BodySHA256: m.Revision.BodySHA256, Trust: c.Origin + "/-/trust"}
	if key, err := c.Journal.Key(r.Context()); err == nil {
		out.JournalKey = key
		out.Journal = logName(r.Context(), c)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func logName(ctx context.Context, c *Console) string {
	h, err := c.Journal.Head(ctx)
	if err != nil {
		return ""
	}
	return h.Origin
}

func needReason() error {
	return fault.New(fault.Invalid, "reason", fault.Public{Problem: "A reason is needed.", Fields: []fault.Field{{Name: "reason", Code: "reason", Problem: "Say why; it is part of the record."}}})
}
