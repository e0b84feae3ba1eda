package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/web"
)

const peopleAPage = 200 // identity's

type peoplePage struct {
	Table web.Table
	Acts  []web.Link
}

func personHref(id string) string { return atPeople + "/" + url.PathEscape(id) }

func personMark(p *identity.Person) *web.Mark {
	m := web.Mark{State: web.Holds, Word: "active"}
	switch {
	case p.State != "active":
		m = web.Mark{State: web.Unproved, Word: p.State}
	case p.Password.IsZero():
		m = web.Mark{State: web.StaleNow, Word: "has not used their link"}
	}
	return &m
}

func called(p *identity.Person) string {
	if p.Name != "" {
		return p.Name
	}
	if p.Handle != "" {
		return p.Handle
	}
	return p.ID
}

func (c *Console) showPeople(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v := r.URL.Query()
	q, kind := strings.ToLower(strings.TrimSpace(v.Get("q"))), v.Get("kind")
	people, err := c.Identity.List(r.Context(), who, v.Get("after"))
	if err != nil {
		return err
	}
	t := web.Table{Caption: "People, the oldest first", Columns: []web.Column{{Name: "Person"}, {Name: "Team"}, {Name: "Roles"}, {Name: "State"}, {Name: "Sessions", Figure: true}, {Name: "Here since"}},
		Empty: web.Empty{Says: "Nobody matches.", Next: web.Link{Text: "Show everybody", Href: atPeople}},
		Filter: &web.Filter{Action: atPeople, Fields: []web.Field{{Name: "q", Label: "Name or address", Type: "search", Value: v.Get("q")},
			{Name: "kind", Label: "Team", Type: "select", Options: []web.Option{{Text: "all"}, {Value: identity.Staff, Text: "staff", Chosen: kind == identity.Staff}, {Value: identity.Customer, Text: "customers", Chosen: kind == identity.Customer}}}}}}
	for i := range people {
		p := &people[i]
		if kind != "" && p.Kind != kind || q != "" && !strings.Contains(strings.ToLower(p.Name+" "+p.Handle+" "+p.Email), q) {
			continue
		}
		team := p.Kind
		if p.Kind == identity.Customer {
			team = "customer"
			if n := c.Identity.TeamName(r.Context(), p.Team); n != "" {
				team += ", " + n
			}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: called(p), Href: personHref(p.ID), Sub: p.Email}, {Text: team}, {Text: strings.Join(p.Roles, ", ")},
			{Mark: personMark(p)}, {Text: web.Number(p.Sessions)}, {At: p.Created}}})
	}
	t.Count = web.Count(int64(len(t.Rows)), "person")
	if len(t.Rows) != 1 {
		t.Count = web.Number(int64(len(t.Rows))) + " people"
	}
	if len(people) == peopleAPage {
		u := url.Values{"after": {people[len(people)-1].ID}}
		for k, s := range map[string]string{"q": v.Get("q"), "kind": kind} {
			if s != "" {
				u.Set(k, s)
			}
		}
		t.Older = atPeople + "?" + u.Encode()
		t.Count += " of the 200 on this page"
	}
	p := peoplePage{Table: t}
	if c.Access.May(who, access.PeopleManage) {
		p.Acts = []web.Link{{Text: "Add a member of staff", Href: atPeople + "/add"}, {Text: "Lost factors", Href: atResets}}
	}
	if c.Access.May(who, access.ProvisioningManage) {
		p.Acts = append(p.Acts, web.Link{Text: "Directories", Href: atProvisioning})
	}
	if c.Access.May(who, access.TokensRead) {
		p.Acts = append(p.Acts, web.Link{Text: "Tokens of programs", Href: atTokens})
	}
	p.Acts = append(p.Acts, web.Link{Text: "People brought over", Href: atImports})
	return c.show(w, r, "people", web.View{Title: "People", Data: p})
}

type sessionRow struct {
	Where, Agent string
	Session      identity.Session
	End          string
	Here         bool
}

type personPage struct {
	Facts    []fact
	Sessions []sessionRow
	EndAll   string
	Browsers []identity.Remembered
	Forget   *web.Form // nil for who may not
	Link     *web.Form
	OneTime  *web.Code
	Disable  *web.Form
	Erase    *web.Form
	Journal  string
	Seen     string // address of the list of secrets that they know
	Receipts []receiptRow
}

func (c *Console) showPerson(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.personPage(w, r, who, personTries{})
}

// personTries are refusals of the forms on the page, and a link that was just made.
type personTries struct {
	link, disable, erase, forget error
	url                          string
}

func (c *Console) personPage(w http.ResponseWriter, r *http.Request, who actor.Actor, t personTries) error {
	ctx := r.Context()
	p, err := c.Identity.Show(ctx, who, r.PathValue("id"))
	if err != nil {
		return err
	}
	at := personHref(p.ID)
	out := personPage{Facts: slices.Concat(c.personFacts(&p), c.lentFacts(ctx, who, p.ID), c.resetFact(ctx, who, p.ID))}
	if out.Receipts, err = c.receiptsOf(ctx, who, p.ID); err != nil {
		return err
	}
	sessions, err := c.Identity.Sessions(ctx, who, p.ID)
	if err != nil {
		return err
	}
	mayEnd := c.Access.May(who, access.SessionsEnd)
	for _, s := range sessions {
		row := sessionRow{Where: s.Network, Agent: identity.DeviceName(s.Agent), Session: s, Here: s.ID == who.Session}
		if row.Where == "" {
			row.Where = "unknown network"
		}
		if mayEnd {
			row.End = at + "/sessions/end"
		}
		out.Sessions = append(out.Sessions, row)
	}
	if mayEnd && len(sessions) > 1 {
		out.EndAll = at + "/sessions/end"
	}
	if out.Browsers, err = c.Identity.BrowsersOf(ctx, who, p.ID); err != nil {
		return err
	}
	if mayEnd && (len(out.Browsers) > 0 || t.forget != nil) {
		out.Forget = forgetForm(at, out.Browsers, t.forget)
	}
	if t.url != "" {
		out.OneTime = &web.Code{Label: "Hand it over by a safe way. It is shown once, works once, and for 7 days.", Text: t.url}
	}
	if c.Access.May(who, access.PeopleManage) && p.State == "active" {
		out.Link = &web.Form{Action: at + "/link", Act: "Make a new link", Quiet: true, Fault: t.link}
		if !p.Password.IsZero() {
			out.Link.Act = "Send a reset link"
		}
		out.Disable = &web.Form{Fold: "Disable " + called(&p), Action: at + "/disable", Act: "Disable " + called(&p), Fault: t.disable, Loses: "All sessions and links end now, and they cannot sign in again. Their data stays.",
			Fields: []web.Field{{Name: "handle", Label: "Type their handle", Hint: p.Handle, Required: true, Complete: "off"}}}
	}
	if c.Access.May(who, access.PeopleErase) && p.State != "erased" && !(who.Kind == actor.Person && who.ID == p.ID) {
		out.Erase = &web.Form{Fold: "Erase " + called(&p) + " for ever", Action: at + "/erase", Act: "Erase " + called(&p), Fault: t.erase,
			Loses:  "Their name, address and everything sealed under their key are lost for ever, in the backups too. The record of their acts stays, without the name. This cannot be undone.",
			Fields: []web.Field{{Name: "confirm", Label: "Type their handle to erase them", Hint: p.Handle, Required: true, Complete: "off"}}}
	}
	if c.Access.May(who, access.JournalRead) && p.State != "erased" {
		out.Journal = atJournal + "?" + url.Values{"actor": {p.ID}}.Encode()
	}
	if c.Vault != nil && c.Access.May(who, access.VaultAudit) {
		out.Seen = atSeen + "?who=person/" + url.QueryEscape(p.ID)
	}
	st := http.StatusOK
	for _, err := range []error{t.link, t.disable, t.erase, t.forget} {
		if err != nil {
			st = status(err)
		}
	}
	return c.answer(w, r, st, "person", web.View{Title: called(&p), Lead: p.Email, Up: &web.Link{Text: "People", Href: atPeople}, Data: out})
}

func (c *Console) personFacts(p *identity.Person) []fact {
	roles := strings.Join(p.Roles, ", ")
	if roles == "" {
		roles = "none"
	}
	out := []fact{{Name: "State", Mark: personMark(p)}, {Name: "Handle", Text: "person/" + p.Handle, Code: true}, {Name: "Team", Text: p.Kind}, {Name: "Roles", Text: roles}, {Name: "Here since", Time: p.Created}}
	if !p.Confirmed.IsZero() {
		out = append(out, fact{Name: "Address confirmed", Time: p.Confirmed})
	}
	if p.Password.IsZero() {
		return append(out, fact{Name: "Password", Text: "not set yet"})
	}
	return append(out, fact{Name: "Password set", Time: p.Password, Sub: "stored with " + p.Scheme})
}

func (c *Console) renewLink(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	u, err := c.Identity.RenewLink(r.Context(), who, r.PathValue("id"))
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.personPage(w, r, who, personTries{link: err})
	}
	if u.IsZero() {
		return c.done(w, r, personHref(r.PathValue("id")), "A link to set a password was sent to their address.")
	}
	return c.personPage(w, r, who, personTries{url: u.Reveal()}) // a secret never goes through a cookie or an address
}

// typed reads the form of a destructive act and compares the handle that was typed.
func (c *Console) typed(r *http.Request, who actor.Actor, field string) (typed string, err error) {
	f, err := web.ReadForm(r)
	if err != nil {
		return "", err
	}
	p, err := c.Identity.Show(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return "", err
	}
	typed = strings.TrimPrefix(strings.TrimSpace(f.Get(field)), "person/")
	if typed != p.Handle {
		return typed, fault.New(fault.Invalid, "confirm_wrong", fault.Public{Problem: "Nothing was done: the handle is not this person's.",
			Fields: []fault.Field{{Name: field, Code: "confirm_wrong", Problem: "Type exactly " + p.Handle + "."}}})
	}
	return typed, nil
}

func (c *Console) disable(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	_, err := c.typed(r, who, "handle")
	if err == nil {
		err = c.Identity.Disable(r.Context(), who, r.PathValue("id"))
	}
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.personPage(w, r, who, personTries{disable: err})
	}
	return c.done(w, r, personHref(r.PathValue("id")), "Disabled: all that they could act with has ended. The receipt is below.")
}

func (c *Console) erase(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	typed, err := c.typed(r, who, "confirm")
	var cert identity.Certificate
	if err == nil {
		cert, err = c.Identity.Erase(r.Context(), who, r.PathValue("id"), typed)
	}
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.personPage(w, r, who, personTries{erase: err})
	}
	c.forget()
	n := web.Notice{Says: "Erased: " + web.Count(int64(len(cert.Keys)), "key") + " destroyed, and with it all that was sealed under it."}
	if cert.Entry != "" {
		n.Entry, n.Href = entryName(cert.Entry), atJournal+"/"+url.PathEscape(cert.Entry)
	}
	web.Tell(w, n)
	return web.Redirect(w, r, atPeople)
}

// endSessions ends one session of a person, or all.
func (c *Console) endSessions(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if s := f.Get("session"); s != "" {
		if err := c.Identity.EndSession(r.Context(), who, id, s); err != nil {
			return err
		}
		return c.done(w, r, personHref(id), "The session has ended.")
	}
	n, err := c.Identity.EndSessions(r.Context(), who, id)
	if err != nil {
		return err
	}
	return c.done(w, r, personHref(id), web.Count(n, "session")+" ended.")
}

type addPage struct{ Form web.Form }

func (c *Console) newPerson(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return c.addForm(w, r, url.Values{}, nil)
}

func (c *Console) addForm(w http.ResponseWriter, r *http.Request, v url.Values, fail error) error {
	hints := map[string]string{"owner": "Signs the policy, manages people.", "engineer": "Runs the machine, proposes changes.", "support": "Helps customers.", "auditor": "Reads everything, changes nothing."}
	role := web.Field{Name: "roles", Label: "Role", Type: "radio", Required: true}
	for _, s := range identity.StaffRoles() {
		role.Options = append(role.Options, web.Option{Value: s, Text: strings.ToUpper(s[:1]) + s[1:], Hint: hints[s], Chosen: slices.Contains(v["roles"], s)})
	}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	return c.answer(w, r, st, "add", web.View{Title: "Add a member of staff", Lead: "They get a one-time link to set their password. You hand it over.", Up: &web.Link{Text: "People", Href: atPeople},
		Data: addPage{web.Form{Action: atPeople, Act: "Add and make the link", Fault: fail, Other: &web.Link{Text: "Cancel", Href: atPeople}, Fields: []web.Field{
			{Name: "email", Label: "Address", Type: "email", Value: v.Get("email"), Required: true, Complete: "off"}, {Name: "name", Label: "Name", Value: v.Get("name"), Complete: "off", Max: 100},
			{Name: "handle", Label: "Handle", Value: v.Get("handle"), Complete: "off", Hint: "How the policy names them, such as ana. Empty: made of the address."}, role}}}})
}

func (c *Console) addPerson(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	made, err := c.Identity.AddStaff(r.Context(), who, identity.AddStaff{Email: strings.TrimSpace(f.Get("email")), Name: strings.TrimSpace(f.Get("name")), Handle: strings.TrimSpace(f.Get("handle")), Roles: f["roles"]})
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.addForm(w, r, f, err)
	}
	if made.URL.IsZero() {
		return c.done(w, r, personHref(made.ID), "Added. A link to set a password was sent to their address.")
	}
	r.SetPathValue("id", made.ID)
	return c.personPage(w, r, who, personTries{url: made.URL.Reveal()})
}
