package console

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/policy/document"
	"writ/internal/web"
)

// tableOf is a parameter of type table as people read it.
func tableOf(a *document.Param, value any) *web.Table {
	rows, ok := value.([][]string)
	if a.Type != document.Table || !ok || len(a.Columns) > 7 {
		return nil
	}
	t := &web.Table{Empty: web.Empty{Says: "There is no row."}}
	for _, col := range a.Columns {
		name := strings.ReplaceAll(col.Name, "_", " ")
		t.Columns = append(t.Columns, web.Column{Name: strings.ToUpper(name[:1]) + name[1:]})
	}
	for _, r := range rows {
		var row web.Row
		for _, cell := range r {
			row.Cells = append(row.Cells, web.Cell{Text: cell})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// grantRow is one loan with the acts its reader may do.
type grantRow struct {
	Mark           web.Mark
	Who, Href      string
	Role, For      string
	Reason         string
	By             string
	Until          time.Time
	Approve, Close string // addresses
	ID             string
}

type rightsPage struct {
	Grants []grantRow
	Lend   *web.Form
	Need   *web.Form
	Held   web.Table
	Roles  *web.Table
	Past   web.Link
}

// showRights is who holds which role, what is lent, and what is not used.
func (c *Console) showRights(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.rightsPage(w, r, who, rightsTries{values: url.Values{}})
}

// rightsTries are what was typed into a form of the page, and why it was refused.
type rightsTries struct {
	lend, need error
	values     url.Values
}

func (c *Console) rightsPage(w http.ResponseWriter, r *http.Request, who actor.Actor, t rightsTries) error {
	ctx := r.Context()
	past := r.URL.Query().Get("ended") == "true"
	gs, err := c.Identity.Grants(ctx, who, identity.GrantFilter{Ended: past})
	if err != nil {
		return err
	}
	rights, err := c.Identity.Rights(ctx, who)
	if err != nil {
		return err
	}
	mayLend := c.Access.May(who, access.RoleGrant)
	p := rightsPage{Held: c.held(ctx, rights), Past: web.Link{Text: "Show those that ended too", Href: atRights + "?ended=true"}}
	if past {
		p.Past = web.Link{Text: "Show only those that count", Href: atRights}
	}
	for i := range gs {
		p.Grants = append(p.Grants, c.grantRow(ctx, who, &gs[i], mayLend))
	}
	if l, err := c.look(ctx); err == nil {
		if a, ok := l.moment.Policy.Param("access.roles/roles"); ok {
			p.Roles = tableOf(a, l.moment.Values["access.roles/roles"])
		}
	}
	if mayLend || who.Kind == actor.Person && c.Access.May(who, access.RoleAsk) {
		p.Lend = c.lendForm(t, mayLend)
	}
	if mayLend {
		p.Need = &web.Form{Action: atRights + "/need", Act: "End what was lent for it", Quiet: true, Fault: t.need, Loses: "All that was lent for it ends with the next request, and nothing can be lent for it again.",
			Fields: []web.Field{{Name: "over", Label: "Ticket or project that is over", Value: t.values.Get("over"), Required: true, Complete: "off", Hint: "As it was written when the role was lent, such as ticket/OPS-7."}}}
	}
	st := http.StatusOK
	for _, err := range []error{t.lend, t.need} {
		if err != nil {
			st = status(err)
		}
	}
	return c.answer(w, r, st, "rights", web.View{Title: "Rights", Lead: "Which roles staff hold, what is lent for a while, and what nobody uses.", Data: p})
}

func (c *Console) held(ctx context.Context, rights []identity.Right) web.Table {
	t := web.Table{Caption: "Who holds what, since when, and when it was last used", Columns: []web.Column{{Name: "Person"}, {Name: "Role"}, {Name: "Since"}, {Name: "Last used"}, {Name: "State"}},
		Empty: web.Empty{Says: "Nobody of staff holds a role."}}
	for _, x := range rights {
		used := web.Cell{Text: "not yet", Sub: "counted since " + day(x.Counted)}
		if !x.Used.IsZero() {
			used = web.Cell{Text: day(x.Used)}
		}
		mark := web.Mark{State: web.Holds, Word: "used"}
		switch {
		case x.Proposed && x.Idle:
			mark = web.Mark{State: web.StaleNow, Word: "unused, put up for removal"}
		case x.Idle:
			mark = web.Mark{State: web.StaleNow, Word: "unused"}
		case x.Used.IsZero():
			mark = web.Mark{State: web.Unproved, Word: "not long enough to say"}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: c.Identity.Name(ctx, x.Person), Href: personHref(x.Person)}, {Text: x.Role}, {Text: day(x.Since)}, used, {Mark: &mark}}})
	}
	return t
}

func (c *Console) grantRow(ctx context.Context, who actor.Actor, g *identity.Grant, mayLend bool) grantRow {
	row := grantRow{ID: g.ID, Who: c.Identity.Name(ctx, g.Person), Href: personHref(g.Person), Role: g.Role, For: g.Need, Reason: g.Reason, Until: g.Until, By: c.acted(ctx, g.Grantor)}
	if g.Approver != "" {
		row.By += " and " + c.acted(ctx, g.Approver)
	}
	if row.For == "" {
		row.For = "the moment"
	}
	mine := who.Kind == actor.Person && who.ID == g.Person
	switch g.State(c.Now()) {
	case identity.GrantCounts:
		row.Mark = web.Mark{State: web.Holds, Word: "counts"}
	case identity.GrantWaits:
		row.Mark = web.Mark{State: web.StaleNow, Word: "waits for a second person"}
		if g.Grantor == "" {
			row.By, row.Mark.Word = "nobody yet, asked for by its holder", "waits for somebody's yes"
		}
		if mayLend && who.Kind == actor.Person && !mine && who.String() != g.Grantor {
			row.Approve = atRights + "/approve"
		}
	default:
		row.Mark = web.Mark{State: web.Unproved, Word: "ended, " + endWords(g.Cause)}
		return row
	}
	if mayLend || mine {
		row.Close = atRights + "/revoke"
	}
	return row
}

// lentFacts are the roles a person has for a while, for readers who may read rights.
func (c *Console) lentFacts(ctx context.Context, who actor.Actor, person string) []fact {
	if !c.Access.May(who, access.RightsRead) {
		return nil
	}
	gs, err := c.Identity.Grants(ctx, who, identity.GrantFilter{Person: person})
	if err != nil {
		return []fact{{Name: "Lent", Text: "cannot be read right now"}}
	}
	var out []fact
	for i := range gs {
		if gs[i].State(c.Now()) == identity.GrantCounts {
			out = append(out, fact{Name: "Lent", Text: gs[i].Role + " until " + gs[i].Until.Format("2 January 2006 15:04 MST"), Sub: gs[i].Reason, Href: atRights})
		}
	}
	return out
}

func endWords(cause string) string {
	if w, ok := map[string]string{"time": "its time was over", "": "its time was over", "revoked": "taken back", "need-ended": "its need was over", "review": "revoked in a review",
		"disabled": "the person left", "erased": "the person was erased"}[cause]; ok {
		return w
	}
	return cause
}

// acted names who an actor string (kind/id) is.
func (c *Console) acted(ctx context.Context, s string) string {
	kind, id, _ := strings.Cut(s, "/")
	switch actor.Kind(kind) {
	case actor.Person:
		return c.Identity.Name(ctx, id)
	case actor.Operator:
		return "the operator"
	case actor.Writ:
		return "Writ by itself"
	}
	return s
}

func (c *Console) lendForm(t rightsTries, lends bool) *web.Form {
	role := web.Field{Name: "role", Label: "Role", Type: "radio", Required: true} // a list would cut what a role may do
	for _, x := range c.Access.Roles() {
		if x.Staff {
			role.Options = append(role.Options, web.Option{Value: x.Name, Text: x.Name, Hint: x.May, Chosen: t.values.Get("role") == x.Name})
		}
	}
	long := t.values.Get("for")
	if long == "" {
		long = "2h"
	}
	form := &web.Form{Action: atRights + "/lend", Act: "Ask for the role", Fault: t.lend, Fields: []web.Field{role,
		{Name: "for", Label: "For how long", Value: long, Required: true, Complete: "off", Hint: "Such as 90m or 8h. Longer only for a ticket, project or role."},
		{Name: "need", Label: "Bound to", Value: t.values.Get("need"), Complete: "off", Hint: "ticket/NAME, project/NAME or role/NAME; it ends with that. Empty: for the moment."},
		{Name: "reason", Label: "Why", Value: t.values.Get("reason"), Required: true, Complete: "off", Max: 300, Hint: "All who may read rights read this, and it stays in the record."}}}
	if lends {
		to := web.Field{Name: "person", Label: "To", Value: t.values.Get("person"), Complete: "off", Hint: "Handle or address of a member of staff. Empty: ask for it yourself."}
		form.Act, form.Fields = "Lend the role", append([]web.Field{to}, form.Fields...)
	}
	return form
}

func (c *Console) lendRole(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	to := strings.TrimSpace(f.Get("person"))
	if to == "" && who.Kind == actor.Person {
		to = who.ID
	}
	var g identity.Grant
	d, err := identity.LendFor(strings.TrimSpace(f.Get("for")))
	if err == nil {
		g, err = c.Identity.GrantRole(r.Context(), who, identity.Lend{Person: to, Role: f.Get("role"), For: d, Need: strings.TrimSpace(f.Get("need")), Reason: f.Get("reason")})
	}
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.rightsPage(w, r, who, rightsTries{lend: err, values: f})
	}
	if g.State(c.Now()) == identity.GrantWaits {
		return c.done(w, r, atRights, "Asked: the role counts when somebody else agrees.")
	}
	return c.done(w, r, atRights, "Lent: person/"+g.Handle+" has the role "+g.Role+" from the next request on, until "+g.Until.Format("2 Jan 15:04 MST")+".")
}

func (c *Console) approveLoan(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if _, err := c.Identity.ApproveGrant(r.Context(), who, f.Get("grant")); err != nil {
		return err
	}
	return c.done(w, r, atRights, "Agreed: the role counts from the next request on.")
}

func (c *Console) revokeLoan(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Identity.RevokeGrant(r.Context(), who, f.Get("grant")); err != nil {
		return err
	}
	return c.done(w, r, atRights, "Taken back: the role counts no more.")
}

func (c *Console) endNeed(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	need := strings.TrimSpace(f.Get("over"))
	n, err := c.Identity.EndNeed(r.Context(), who, need)
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.rightsPage(w, r, who, rightsTries{need: err, values: url.Values{"over": {need}}})
	}
	return c.done(w, r, atRights, need+" is over: "+web.Count(n, "lent role")+" ended.")
}

type reviewsPage struct {
	Table web.Table
	Open  *web.Form
	Says  string
}

func (c *Console) showReviews(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	rs, err := c.Identity.Reviews(r.Context(), who)
	if err != nil {
		return err
	}
	p := reviewsPage{Table: web.Table{Caption: "Reviews of rights, the newest first", Columns: []web.Column{{Name: "Opened"}, {Name: "Of"}, {Name: "State"}, {Name: "Decided", Figure: true}, {Name: "Closes"}, {Name: "Opened by"}},
		Empty: web.Empty{Says: "No review yet. The first one opens by itself in time."}}}
	open := false
	for i := range rs {
		x := &rs[i]
		open = open || x.Closed.IsZero() && x.Kind == identity.ReviewAll
		p.Table.Rows = append(p.Table.Rows, web.Row{Cells: []web.Cell{{Text: day(x.Opened), Href: reviewHref(x.ID)}, {Text: reviewKind(x.Kind)}, {Mark: c.reviewMark(x)},
			{Text: web.Number(x.Decided) + " of " + web.Number(x.Items)}, {Text: day(x.Due)}, {Text: c.acted(r.Context(), x.Opener)}}})
	}
	if c.Access.May(who, access.ReviewOpen) && !open {
		p.Open = &web.Form{Action: atReviews, Act: "Open a review of all rights", Quiet: true}
	}
	return c.show(w, r, "reviews", web.View{Title: "Reviews of rights", Lead: "Every right of staff is looked over by somebody other than its holder.", Data: p})
}

func reviewHref(id string) string { return atReviews + "/" + url.PathEscape(id) }

func reviewKind(k string) string {
	if k == identity.ReviewUnused {
		return "unused rights"
	}
	return "all rights"
}

func (c *Console) reviewMark(x *identity.Review) *web.Mark {
	switch {
	case !x.Closed.IsZero():
		return &web.Mark{State: web.Holds, Word: "closed " + day(x.Closed)}
	case x.Decided == x.Items:
		return &web.Mark{State: web.Holds, Word: "all decided"}
	}
	return &web.Mark{State: web.StaleNow, Word: "open"}
}

// itemRow is one right that is asked about.
type itemRow struct {
	Mark      web.Mark
	Who, Href string
	Role      string
	Note      string
	Says      string
	ID        string
	Decide    string // address, where the reader may
	Own       bool
}

type reviewPage struct {
	Facts []fact
	Items []itemRow
	Close *web.Form
	Empty *web.Empty
}

func (c *Console) showReview(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.reviewPage(w, r, who, nil)
}

func (c *Console) reviewPage(w http.ResponseWriter, r *http.Request, who actor.Actor, fail error) error {
	ctx := r.Context()
	rv, items, err := c.Identity.ShowReview(ctx, who, r.PathValue("id"))
	if err != nil {
		return err
	}
	p := reviewPage{Facts: []fact{{Name: "State", Mark: c.reviewMark(&rv)}, {Name: "Opened", Time: rv.Opened, Sub: "by " + c.acted(ctx, rv.Opener)},
		{Name: "Closes by itself", Time: rv.Due, Sub: "What nobody decided on then gets the answer of the policy."}, {Name: "Decided", Text: web.Number(rv.Decided) + " of " + web.Number(rv.Items)}}}
	if !rv.Closed.IsZero() {
		p.Facts[2] = fact{Name: "Closed", Time: rv.Closed}
	}
	may := who.Kind == actor.Person && c.Access.May(who, access.ReviewDecide) && rv.Closed.IsZero()
	for i := range items {
		p.Items = append(p.Items, c.itemRow(ctx, who, &items[i], may))
	}
	if len(items) == 0 {
		p.Empty = &web.Empty{Says: "There was no right to ask about."}
	}
	if c.Access.May(who, access.ReviewOpen) && rv.Closed.IsZero() && rv.Decided == rv.Items {
		p.Close = &web.Form{Action: reviewHref(rv.ID) + "/close", Act: "Close the review"}
	}
	if fail != nil {
		p.Close = &web.Form{Action: reviewHref(rv.ID) + "/close", Act: "Close the review", Quiet: true, Fault: fail}
	}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	return c.answer(w, r, st, "review", web.View{Title: "Review of " + reviewKind(rv.Kind), Lead: "Keep what the work needs; revoke the rest. Nobody decides on their own rights.", Up: &web.Link{Text: "Reviews of rights", Href: atReviews}, Data: p})
}

func (c *Console) itemRow(ctx context.Context, who actor.Actor, it *identity.ReviewItem, may bool) itemRow {
	row := itemRow{ID: it.ID, Who: c.Identity.Name(ctx, it.Person), Href: personHref(it.Person), Role: it.Role, Own: who.ID == it.Person}
	switch {
	case it.Why != "":
		row.Note = "unused for long"
	case it.Kind == "grant":
		row.Note = "lent for a while"
	}
	switch it.Decision {
	case identity.Keep:
		row.Mark = web.Mark{State: web.Holds, Word: "kept"}
	case identity.Revoke:
		row.Mark = web.Mark{State: web.Excepted, Word: "revoked"}
	default:
		row.Mark = web.Mark{State: web.Unproved, Word: "not decided"}
	}
	switch it.Outcome {
	case "gone":
		row.Mark.Word = "gone already"
	case "last-owner":
		row.Mark = web.Mark{State: web.StaleNow, Word: "kept: the last owner"}
	}
	if it.Decision != "" {
		row.Says = c.acted(ctx, it.Reviewer) + ", " + day(it.Decided)
		if it.Reason != "" {
			row.Says += ": " + it.Reason
		}
	}
	if may && !row.Own && it.Decision != identity.Revoke {
		row.Decide = reviewHref(it.Review) + "/decide"
	}
	return row
}

func (c *Console) openReview(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	rv, err := c.Identity.OpenReview(r.Context(), who)
	if err != nil {
		return err
	}
	return c.done(w, r, reviewHref(rv.ID), "Opened: "+web.Count(rv.Items, "right")+" to look over.")
}

func (c *Console) decideRight(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	it, err := c.Identity.DecideRight(r.Context(), who, identity.Decision{Review: id, Item: f.Get("item"), Decision: f.Get("decision"), Reason: f.Get("reason")})
	if err != nil {
		if !formed(err) || fault.KindOf(err) == fault.NotFound {
			return err
		}
		return c.reviewPage(w, r, who, err)
	}
	says := "Kept: " + it.Role + " of person/" + it.Handle + "."
	if it.Decision == identity.Revoke {
		says = "Revoked: person/" + it.Handle + " is without the role " + it.Role + " from the next request on."
	}
	return c.done(w, r, reviewHref(id), says)
}

func (c *Console) closeReview(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	id := r.PathValue("id")
	if _, err := c.Identity.CloseReview(r.Context(), who, id); err != nil {
		if !formed(err) || fault.KindOf(err) == fault.NotFound {
			return err
		}
		return c.reviewPage(w, r, who, err)
	}
	return c.done(w, r, reviewHref(id), "Closed.")
}
