package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity/oidc"
	"writ/internal/secret"
	"writ/internal/web"
)

// Clients is what the pages of applications need of the provider.
type Clients interface {
	Clients(ctx context.Context, who actor.Actor) ([]oidc.Client, error)
	ClientByID(ctx context.Context, who actor.Actor, id string) (oidc.Client, error)
	Register(ctx context.Context, who actor.Actor, in oidc.NewClient) (oidc.Registered, error)
	Rotate(ctx context.Context, who actor.Actor, id string) (secret.Text, error)
	RemoveSecret(ctx context.Context, who actor.Actor, id, secretID string) error
	Remove(ctx context.Context, who actor.Actor, id string) error
}

const atClients = "/-/console/applications"

func clientHref(id string) string { return atClients + "/" + url.PathEscape(id) }

// clientRoutes are the pages of applications; none without a provider.
func (c *Console) clientRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	if c.Clients == nil {
		return nil
	}
	return []web.Route{
		staff("GET "+atClients, access.ClientsRead, atClients, c.showClients),
		staff("GET "+atClients+"/add", access.ClientsManage, atClients, c.newClient),
		staff("POST "+atClients, access.ClientsManage, atClients, c.addClient),
		staff("GET "+atClients+"/{id}", access.ClientsRead, atClients, c.showClient),
		staff("POST "+atClients+"/{id}/secret", access.ClientsManage, atClients, c.rotateClient),
		staff("POST "+atClients+"/{id}/secret/end", access.ClientsManage, atClients, c.endClientSecret),
		staff("POST "+atClients+"/{id}/remove", access.ClientsManage, atClients, c.removeClient),
	}
}

type clientsPage struct {
	Table web.Table
	Acts  []web.Link
}

func (c *Console) showClients(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := c.Clients.Clients(r.Context(), who)
	if err != nil {
		return err
	}
	t := web.Table{Caption: "Applications that sign people in here", Columns: []web.Column{{Name: "Application"}, {Name: "Kind"}, {Name: "Trust"}, {Name: "For"}, {Name: "Secrets", Figure: true}, {Name: "Since"}},
		Empty: web.Empty{Says: "No application signs people in here yet.", Next: web.Link{Text: "Register one", Href: atClients + "/add"}}}
	for _, x := range all {
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: x.Name, Href: clientHref(x.ID), Sub: x.Redirects[0]}, {Text: x.Kind}, {Text: x.Trust}, {Text: x.Audience},
			{Text: web.Number(int64(len(x.Secrets)))}, {At: x.Created}}})
	}
	p := clientsPage{Table: t}
	if c.Access.May(who, access.ClientsManage) {
		p.Acts = []web.Link{{Text: "Register an application", Href: atClients + "/add"}}
	}
	return c.show(w, r, "people", web.View{Title: "Applications", Lead: "They speak OpenID Connect to " + c.Origin + ".", Data: p})
}

type clientPage struct {
	Facts   []fact
	Secrets []clientSecret
	Rotate  *web.Form
	Remove  *web.Form
	OneTime *web.Code
}

type clientSecret struct {
	oidc.Secret
	End string
}

func (c *Console) showClient(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.clientPage(w, r, who, secret.Text{}, nil)
}

// clientPage shows one application, and a secret that was just made.
func (c *Console) clientPage(w http.ResponseWriter, r *http.Request, who actor.Actor, fresh secret.Text, fail error) error {
	x, err := c.Clients.ClientByID(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	at := clientHref(x.ID)
	p := clientPage{Facts: []fact{{Name: "Client id", Text: x.ID, Code: true}, {Name: "Issuer", Text: c.Origin, Code: true}, {Name: "Kind", Text: x.Kind}, {Name: "Trust", Text: x.Trust}, {Name: "For", Text: x.Audience},
		{Name: "May ask for", Text: strings.Join(x.Scopes, ", ")}, {Name: "Redirects", Text: strings.Join(x.Redirects, " "), Code: true}, {Name: "Signed with", Text: x.Alg}, {Name: "Registered", Time: x.Created}}}
	if x.RequirePAR {
		p.Facts = append(p.Facts, fact{Name: "Requests", Text: "must be pushed"})
	}
	for _, f := range []struct{ name, text string }{{"After signing out", strings.Join(x.After, " ")}, {"Back-channel logout", x.Back}, {"Front-channel logout", x.Front}} {
		if f.text != "" {
			p.Facts = append(p.Facts, fact{Name: f.name, Text: f.text, Code: true})
		}
	}
	manages := c.Access.May(who, access.ClientsManage)
	for _, k := range x.Secrets {
		row := clientSecret{Secret: k}
		if manages && len(x.Secrets) > 1 {
			row.End = at + "/secret/end"
		}
		p.Secrets = append(p.Secrets, row)
	}
	if !fresh.IsZero() {
		p.OneTime = &web.Code{Label: "The secret. It is shown this once.", Text: fresh.Reveal()}
	}
	if manages && x.Kind == oidc.Confidential {
		p.Rotate = &web.Form{Action: at + "/secret", Act: "Make a new secret", Quiet: true}
	}
	if manages {
		p.Remove = &web.Form{Action: at + "/remove", Act: "Remove " + x.Name, Fault: fail, Loses: "All its tokens and secrets, and what people allowed it, end now.",
			Fields: []web.Field{{Name: "name", Label: "Type its name", Hint: x.Name, Required: true, Complete: "off"}}}
	}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	return c.answer(w, r, st, "client", web.View{Title: x.Name, Up: &web.Link{Text: "Applications", Href: atClients}, Data: p})
}

func (c *Console) rotateClient(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	fresh, err := c.Clients.Rotate(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.clientPage(w, r, who, fresh, nil) // a secret never goes through a cookie or an address
}

func (c *Console) endClientSecret(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Clients.RemoveSecret(r.Context(), who, r.PathValue("id"), f.Get("secret")); err != nil {
		return err
	}
	return c.done(w, r, clientHref(r.PathValue("id")), "The secret no longer works.")
}

func (c *Console) removeClient(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	x, err := c.Clients.ClientByID(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	if strings.TrimSpace(f.Get("name")) != x.Name {
		return c.clientPage(w, r, who, secret.Text{}, fault.New(fault.Invalid, "confirm_wrong", fault.Public{Problem: "Nothing was done: the name is not this application's.",
			Fields: []fault.Field{{Name: "name", Code: "confirm_wrong", Problem: "Type exactly " + x.Name + "."}}}))
	}
	if err := c.Clients.Remove(r.Context(), who, x.ID); err != nil {
		return err
	}
	return c.done(w, r, atClients, x.Name+" is removed, and its tokens have ended.")
}

func (c *Console) newClient(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return c.clientForm(w, r, url.Values{"trust": {oidc.FirstParty}, "kind": {oidc.Confidential}, "audience": {oidc.ForStaff}}, nil)
}

func (c *Console) clientForm(w http.ResponseWriter, r *http.Request, v url.Values, fail error) error {
	choice := func(name, label string, of ...[3]string) web.Field {
		f := web.Field{Name: name, Label: label, Type: "radio", Required: true}
		for _, o := range of {
			f.Options = append(f.Options, web.Option{Value: o[0], Text: o[1], Hint: o[2], Chosen: v.Get(name) == o[0]})
		}
		return f
	}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	return c.answer(w, r, st, "add", web.View{Title: "Register an application", Lead: "It signs people in through this server by OpenID Connect.", Up: &web.Link{Text: "Applications", Href: atClients},
		Data: addPage{web.Form{Action: atClients, Act: "Register it", Fault: fail, Other: &web.Link{Text: "Cancel", Href: atClients}, Fields: []web.Field{
			{Name: "name", Label: "Name", Value: v.Get("name"), Required: true, Max: 100, Complete: "off", Hint: "People see it when they are asked."},
			{Name: "redirects", Label: "Redirects", Type: "textarea", Rows: 2, Value: v.Get("redirects"), Required: true, Hint: "Where codes are sent, one a line, letter by letter."},
			{Name: "after", Label: "After signing out", Type: "textarea", Rows: 2, Value: v.Get("after"), Hint: "Where a browser may go, one a line. May be empty."},
			{Name: "back", Label: "Back-channel logout", Type: "url", Value: v.Get("back"), Hint: "Told when a session ends. May be empty."},
			choice("audience", "For whom", [3]string{oidc.ForStaff, "Staff", ""}, [3]string{oidc.ForCustomers, "Customers", ""}, [3]string{oidc.ForEveryone, "Everyone", ""}),
			choice("trust", "Whose it is", [3]string{oidc.FirstParty, "Ours", "People are not asked."}, [3]string{oidc.ThirdParty, "Somebody else's", "People are asked what it may see."}),
			choice("kind", "Kind", [3]string{oidc.Confidential, "Has a server", "Keeps a secret."}, [3]string{oidc.Public, "Native or a page", "Has no secret; may use http://127.0.0.1/."})}}}})
}

func (c *Console) addClient(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	made, err := c.Clients.Register(r.Context(), who, oidc.NewClient{Name: f.Get("name"), Kind: f.Get("kind"), Trust: f.Get("trust"), Audience: f.Get("audience"),
		Redirects: slices.Collect(strings.FieldsSeq(f.Get("redirects"))), After: slices.Collect(strings.FieldsSeq(f.Get("after"))), Back: strings.TrimSpace(f.Get("back"))})
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.clientForm(w, r, f, err)
	}
	r.SetPathValue("id", made.Client.ID)
	return c.clientPage(w, r, who, made.Secret, nil)
}
