package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/policy"
	"writ/internal/policy/document"
	"writ/internal/web"
)

// stateMark is the mark of a revision.
func stateMark(r *policy.Revision) *web.Mark {
	m := web.Mark{State: web.Unproved, Word: strings.ReplaceAll(string(r.State), "-", " ")}
	switch r.State {
	case policy.InForce:
		m.State = web.Holds
		if !r.Signed() {
			m.State, m.Word = web.StaleNow, "in force, unsigned"
		}
	case policy.Approved:
		m.State = web.ByRecord
	case policy.Rejected:
		m.State = web.Broken
	}
	return &m
}

type revisionsPage struct {
	Table web.Table
	Acts  []web.Link
}

func (c *Console) showRevisions(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	t := web.Table{Caption: "Every version of the policy that was adopted or proposed, newest first",
		Columns: []web.Column{{Name: "Version"}, {Name: "State"}, {Name: "What changes"}, {Name: "Author"}, {Name: "Signatures", Figure: true}, {Name: "Proposed"}},
		Empty:   web.Empty{Says: "No policy was adopted here yet.", Next: web.Link{Text: "The document", Href: atPolicy}}}
	all := slices.Concat(c.Policy.Proposals(), c.Policy.Revisions())
	slices.SortStableFunc(all, func(a, b policy.Revision) int { return b.Proposed.Compare(a.Proposed) })
	for i := range all {
		rev := &all[i]
		summary := rev.Summary
		if rev.Kind == policy.Bootstrap {
			summary = "The first one, adopted when Writ was set up"
		}
		from := ""
		if !rev.HoldsFrom.IsZero() {
			from = "from " + day(rev.HoldsFrom)
		} else if !rev.Effective.IsZero() {
			from = "wanted from " + day(rev.Effective)
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: rev.Version.String(), Href: revisionHref(rev), Sub: from}, {Mark: stateMark(rev)}, {Text: summary},
			{Text: c.name(r.Context(), rev.Author)}, {Text: strconv.Itoa(rev.OwnersSigned()) + " of " + strconv.Itoa(rev.Needs)}, {At: rev.Proposed}}})
	}
	p := revisionsPage{Table: t}
	if c.Access.May(who, access.PolicyPropose) {
		p.Acts = append(p.Acts, web.Link{Text: "Propose a revision", Href: "/-/console/propose"})
	}
	p.Acts = append(p.Acts, web.Link{Text: "Download the policy in force (YAML)", Href: "/-/console/policy.yaml"})
	return c.show(w, r, "revisions", web.View{Title: "Revisions", Lead: "The policy changes only by a revision that its owners sign. None is ever edited.", Data: p})
}

// revisionHref leads to a revision: by version where that is enough, else by id.
func revisionHref(r *policy.Revision) string {
	switch r.State {
	case policy.InForce, policy.Approved, policy.Superseded:
		return atRevisions + "/" + r.Version.String()
	}
	return atRevisions + "/" + r.ID
}

type signature struct {
	Name, Role, Fingerprint string
	Mark                    web.Mark
	Evidence                web.Evidence
}

type revisionPage struct {
	Facts      []fact
	Summary    string
	Diff       []web.Change
	First      bool
	Signatures []signature
	Sign       *signing
	Others     []signing
	Warnings   []string
	Forecast   *forecast
	Reject     *web.Form
	Withdraw   *web.Form
	Download   string
}

// tries are refusals of the forms on a page, shown where they belong.
type tries struct{ sign, reject, withdraw, revoke error }

func (t tries) first() error {
	for _, err := range []error{t.sign, t.reject, t.withdraw, t.revoke} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (t tries) status() int {
	if err := t.first(); err != nil {
		return status(err)
	}
	return http.StatusOK
}

func (c *Console) showRevision(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.revisionPage(w, r, who, tries{})
}

func (c *Console) revisionPage(w http.ResponseWriter, r *http.Request, who actor.Actor, t tries) error {
	ctx := r.Context()
	p, err := c.Policy.Proposal(ctx, r.PathValue("version"))
	if err != nil {
		return err
	}
	doc, err := c.Policy.Document(p.ID)
	if err != nil {
		return err
	}
	at := atRevisions + "/" + url.PathEscape(r.PathValue("version"))
	out := revisionPage{Facts: c.revisionFacts(ctx, &p), Summary: p.Summary, First: p.Kind == policy.Bootstrap,
		Diff: changes(p.Diff, doc), Signatures: c.signatures(ctx, &p, who), Download: "/-/console/policy.yaml?revision=" + url.QueryEscape(p.ID), Forecast: foreseen(p.Forecast)}
	if p.State == policy.Proposed {
		if _, base, err := c.head(); err == nil {
			out.Warnings = c.newWarnings(base, p.Warnings)
		}
	}
	if signable(p.State) {
		c.revisionSigning(ctx, who, &p, at, t.sign, &out)
	}
	if p.State == policy.Proposed {
		if c.Access.May(who, access.PolicyApprove) {
			out.Reject = &web.Form{Fold: "Reject it", Action: at + "/reject", Act: "Reject revision " + p.Version.String(), Fault: t.reject, Loses: "The proposal is closed and cannot be signed any more. Its author may propose it anew.",
				Fields: []web.Field{{Name: "reason", Label: "Why you say no", Required: true, Max: 1000}}}
		}
		if c.Access.May(who, access.PolicyWithdraw) && (who.Kind != actor.Person || c.handle(ctx, who) == p.Author) {
			out.Withdraw = &web.Form{Fold: "Withdraw it", Action: at + "/withdraw", Act: "Withdraw it", Quiet: true, Fault: t.withdraw, Fields: []web.Field{{Name: "why", Label: "Why", Max: 1000}}}
		}
	}
	lead := "Proposed by " + c.name(ctx, p.Author) + "."
	if p.Kind == policy.Bootstrap {
		lead = "The first revision, adopted when Writ was set up."
	}
	return c.answer(w, r, t.status(), "revision", web.View{Title: "Revision " + p.Version.String(), Lead: lead, Up: &web.Link{Text: "Revisions", Href: atRevisions}, Data: out})
}

func signable(s policy.State) bool {
	return s == policy.Proposed || s == policy.Approved || s == policy.InForce
}

func (c *Console) revisionFacts(ctx context.Context, p *policy.Proposal) []fact {
	mark := stateMark(&p.Revision)
	out := []fact{{Name: "State", Mark: mark}}
	if p.Reason != "" {
		out[0].Sub = p.Reason
	}
	switch {
	case !p.HoldsFrom.IsZero():
		out = append(out, fact{Name: "In force from", Time: p.HoldsFrom})
	case !p.Effective.IsZero():
		out = append(out, fact{Name: "Wanted from", Time: p.Effective})
	case p.State == policy.Proposed:
		out = append(out, fact{Name: "Wanted from", Text: "the moment it has its signatures"})
	}
	out = append(out, fact{Name: "Proposed", Time: p.Proposed})
	if p.Changes != "" {
		out = append(out, fact{Name: "Changes", Text: p.Changes})
	}
	need := fact{Name: "Needs", Text: web.Count(int64(p.Needs), "owner") + ", none the author", Sub: strconv.Itoa(p.OwnersSigned()) + " signed so far"}
	if p.Diff.NeedsLoosen() {
		need.Text += "; as many as a loosening asks for"
	}
	return append(out, need, fact{Name: "SHA-256 of the text", Text: p.BodySHA256, Code: true})
}

// signatures lists who has signed and who could.
func (c *Console) signatures(ctx context.Context, p *policy.Proposal, who actor.Actor) []signature {
	role := map[string]string{policy.ByOwner: "owner", policy.ByAuthor: "author"}
	var out []signature
	for _, a := range p.Approvals {
		out = append(out, signature{Name: c.name(ctx, a.Signer), Role: role[a.Kind], Fingerprint: a.Fingerprint, Mark: web.Mark{State: web.Holds, Word: "signed", At: a.At},
			Evidence: c.evidence(ctx, who, web.Evidence{What: "key " + a.Fingerprint}, a.Entry)})
	}
	if !signable(p.State) {
		return out
	}
	for _, s := range p.ToSign {
		if s.Signed {
			continue
		}
		word := "not signed"
		if !s.HasKey {
			word = "not signed, no key registered"
		}
		out = append(out, signature{Name: c.name(ctx, s.Approver), Role: role[s.Kind], Mark: web.Mark{State: web.Unproved, Word: word}})
	}
	return out
}

// revisionSigning offers the reader's own text first, then those of the others.
func (c *Console) revisionSigning(ctx context.Context, who actor.Actor, p *policy.Proposal, at string, fail error, out *revisionPage) {
	own := c.handle(ctx, who)
	for _, s := range p.ToSign {
		if s.Signed {
			continue
		}
		file := fileName(p.Policy, p.Version.String(), strings.TrimPrefix(s.Approver, "person/"))
		href := at + "/text?" + url.Values{"approver": {s.Approver}, "kind": {s.Kind}}.Encode()
		g := sign(file, href, at+"/sign#sign", "Count this signature", nil, fail)
		g.Who, g.Mine, g.Text, g.HasKey = c.name(ctx, s.Approver), s.Approver == own, s.Text, s.HasKey
		if g.Mine && out.Sign == nil {
			out.Sign = &g
			continue
		}
		out.Others = append(out.Others, g)
	}
	if out.Sign == nil && len(out.Others) > 0 {
		out.Sign, out.Others = &out.Others[0], out.Others[1:]
	}
}

// revisionText is the exact text that one person signs.
func (c *Console) revisionText(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	p, err := c.Policy.Proposal(r.Context(), r.PathValue("version"))
	if err != nil {
		return err
	}
	q := r.URL.Query()
	for _, s := range p.ToSign {
		if s.Approver == q.Get("approver") && s.Kind == q.Get("kind") {
			return text(w, fileName(p.Policy, p.Version.String(), strings.TrimPrefix(s.Approver, "person/")), s.Text)
		}
	}
	return fault.New(fault.NotFound, "no_text", fault.Public{Problem: "This person does not sign this revision.", Next: "Look at the revision again."})
}

func (c *Console) signRevision(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	p, err := c.Policy.Approve(r.Context(), who, r.PathValue("version"), []byte(pasted(f.Get("signature"))))
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.revisionPage(w, r, who, tries{sign: beside(err, signFields)})
	}
	says := "The signature counts."
	switch {
	case p.State == policy.InForce && p.Signed():
		says = "The signature counts. Revision " + p.Version.String() + " is in force and fully signed."
	case p.State == policy.InForce:
		says = "The signature counts. Revision " + p.Version.String() + " is in force; " + missing(&p.Revision) + "."
	case p.State == policy.Approved:
		says = "The signature counts. Revision " + p.Version.String() + " is approved and holds from " + day(p.HoldsFrom) + "."
	case p.Needs > p.OwnersSigned():
		says = "The signature counts; " + missing(&p.Revision) + "."
	}
	return c.done(w, r, atRevisions+"/"+url.PathEscape(p.ID), says)
}

// pasted undoes what a form does to line ends.
func pasted(s string) string {
	return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) + "\n"
}

var reasonFields = map[string]string{"reason": "reason"}

func (c *Console) rejectRevision(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	v, err := c.Policy.Reject(r.Context(), who, r.PathValue("version"), strings.TrimSpace(f.Get("reason")))
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.revisionPage(w, r, who, tries{reject: beside(err, reasonFields)})
	}
	return c.done(w, r, atRevisions+"/"+url.PathEscape(v.ID), "Revision "+v.Version.String()+" is rejected.")
}

func (c *Console) withdrawRevision(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	v, err := c.Policy.Withdraw(r.Context(), who, r.PathValue("version"), strings.TrimSpace(f.Get("why")))
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.revisionPage(w, r, who, tries{withdraw: beside(err, map[string]string{"reason": "why"})})
	}
	return c.done(w, r, atRevisions+"/"+url.PathEscape(v.ID), "Revision "+v.Version.String()+" is withdrawn.")
}

// changes are a diff as the piece shows it.
func changes(d document.Diff, doc *document.Policy) []web.Change {
	var out []web.Change
	number := numbers(doc)
	for _, h := range slices.Concat(d.Header, d.Sections) {
		out = append(out, web.Change{Where: strings.TrimPrefix(h.What, "policy."), Old: oneLine(h.Old), New: oneLine(h.New), Way: levelWords(h.Level)})
	}
	for _, ch := range d.Clauses {
		where := strings.TrimSpace(number[ch.Clause] + " " + ch.Clause)
		cl, ok := doc.Clause(ch.Clause)
		switch {
		case ch.Level == document.New && ok:
			out = append(out, web.Change{Where: where, New: cl.Plain(nil), Way: "new"})
		case ch.Level == document.Gone:
			out = append(out, web.Change{Where: where, Old: ch.Clause, Way: "gone"})
		}
		for _, x := range ch.Details {
			out = append(out, web.Change{Where: where + " / " + strings.TrimPrefix(x.What, "params/"), Old: literalWords(x.Old), New: literalWords(x.New), Way: levelWords(x.Level),
				Href: "/-/console/clauses/" + ch.Clause})
		}
	}
	return out
}

// literalWords says a value as a policy file spells it in words: 24h is 24 hours.
func literalWords(s string) string {
	if d, err := document.ParseDuration(s); err == nil {
		return web.Duration(d)
	}
	return oneLine(s)
}

func numbers(p *document.Policy) map[string]string {
	out := map[string]string{}
	for _, s := range p.Sections {
		for i, cl := range s.Clauses {
			out[cl.ID] = s.Number + "." + strconv.Itoa(i+1)
		}
	}
	return out
}
