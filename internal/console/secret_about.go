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
	"writ/internal/vault"
	"writ/internal/web"
)

// aboutFields is which field a refusal is about.
var aboutFields = map[string]string{"clause_form": "clause", "rotation_days": "days", "owner_unknown": "owner", "plain_below": "sensitive"}

// aboutOf adds to a parameter's page what is said about its name, and the form to say it.
func (c *Console) aboutOf(ctx context.Context, who actor.Actor, name string, writes bool, fail error, out *secretPage) error {
	a, err := c.Vault.AboutOf(ctx, who, name)
	if err != nil {
		return err
	}
	if a.Owner != "" {
		out.Facts = append(out.Facts, fact{Name: "Owner", Text: c.acted(ctx, a.Owner)})
	}
	if a.Clause != "" {
		out.Facts = append(out.Facts, fact{Name: "Clause", Text: a.Clause, Href: "/-/console/clauses/" + url.PathEscape(a.Clause)})
	}
	days := ""
	if a.Rotation > 0 {
		days = strconv.FormatInt(a.Rotation, 10)
		out.Facts = append(out.Facts, fact{Name: "Replaced after", Text: web.Count(a.Rotation, "day")})
	}
	if a.Critical {
		out.Facts = append(out.Facts, fact{Name: "Critical", Text: "yes"})
	}
	if a.Sensitive {
		out.Facts = append(out.Facts, fact{Name: "Sensitive", Text: "yes: it takes no plain type"})
	}
	if !writes {
		return nil
	}
	owner := a.Owner
	if id, person := strings.CutPrefix(owner, string(actor.Person)+"/"); person {
		if h, err := c.Identity.Handle(ctx, id); err == nil {
			owner = h
		}
	}
	out.About = &web.Form{Action: atSecrets + "/about#about", Act: "Say it", Part: "about", Quiet: true, Fault: beside(fail, aboutFields), Hidden: []web.Pair{{Name: "name", Value: name}}, Fields: []web.Field{
		{Name: "owner", Label: "Owner", Value: owner, Complete: "off", Hint: "The handle of a person, or machine/ID of a service."},
		{Name: "clause", Label: "Clause that it serves", Value: a.Clause, Complete: "off", Hint: "Such as vault.secret-home."},
		{Name: "days", Label: "Days until it is replaced", Type: "number", Value: days},
		{Name: "critical", Label: "It is critical", Type: "checkbox", Options: []web.Option{{Chosen: a.Critical}}},
		{Name: "sensitive", Label: "It is sensitive", Type: "checkbox", Options: []web.Option{{Chosen: a.Sensitive}}, Hint: "It takes no plain type. To take that back wants the right to manage keys."}}}
	return nil
}

// sayAbout says something about a name. What is said of a path above stays where it is said.
func (c *Console) sayAbout(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	name, err := c.Vault.Named(r.Context(), who, access.VaultWrite, f.Get("name"))
	if err != nil {
		return err
	}
	was, err := c.Vault.AboutOf(r.Context(), who, name)
	if err != nil {
		return err
	}
	owner, clause, days := strings.TrimSpace(f.Get("owner")), strings.TrimSpace(f.Get("clause")), wholeNumber(strings.TrimSpace(f.Get("days")))
	if owner != "" && !strings.Contains(owner, "/") {
		id, _, err := c.Identity.PersonByHandle(r.Context(), owner)
		if err == nil {
			owner = "person/" + id
		}
	}
	var to vault.AboutChange
	if owner != was.Owner {
		to.Owner = &owner
	}
	if clause != was.Clause {
		to.Clause = &clause
	}
	if days != was.Rotation {
		to.Rotation = &days
	}
	if critical := f.Get("critical") != ""; critical != was.Critical {
		to.Critical = &critical
	}
	if sensitive := f.Get("sensitive") != ""; sensitive != was.Sensitive {
		to.Sensitive = &sensitive
	}
	if _, err := c.Vault.SetAbout(r.Context(), who, name, to); err != nil {
		if !formed(err) {
			return err
		}
		return c.secretPage(w, r, who, name, secretTries{about: err})
	}
	return c.done(w, r, paramHref(name)+"#about", "It is said, and recorded.")
}

// plantOf adds, for whoever may plant, whether nobody should read the parameter, and the form for it.
func (c *Console) plantOf(ctx context.Context, who actor.Actor, name string, out *secretPage) error {
	if !c.Access.May(who, access.VaultKeys) {
		return nil
	}
	names, err := c.Vault.Planted(ctx, who)
	if err != nil {
		return err
	}
	out.Plant = &web.Form{Action: atSecrets + "/plant#plant", Act: "Plant it", Part: "plant", Quiet: true, Hidden: []web.Pair{{Name: "name", Value: name}}}
	if slices.Contains(names, name) {
		out.Facts = append(out.Facts, fact{Name: "Planted", Text: "yes: nobody should read it, and each read is a page"})
		out.Plant.Act, out.Plant.Hidden = "Plant it no more", append(out.Plant.Hidden, web.Pair{Name: "remove", Value: "yes"})
	}
	return nil
}

// plantSecret marks a parameter that nobody should read, or takes the mark away.
func (c *Console) plantSecret(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	name, said := f.Get("name"), "It is planted: whoever reads it from now on raises a page."
	if f.Get("remove") == "" {
		err = c.Vault.Plant(r.Context(), who, name)
	} else {
		said, err = "It is planted no more.", c.Vault.Unplant(r.Context(), who, name)
	}
	if err != nil {
		return err
	}
	return c.done(w, r, paramHref(name)+"#plant", said)
}
