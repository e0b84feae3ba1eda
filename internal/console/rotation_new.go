package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/vault/rotate"
	"writ/internal/web"
)

// rotationKinds are what a value may be of, each with a form of its own.
var rotationKinds = []struct{ id, text, lead string }{
	{rotate.AccessKey, "An access key", "A program calls this server's parameter store with it. Each round makes another key and ends the former one."},
	{rotate.ServiceToken, "A service's token", "A program calls this server with it. Each round makes another token with the same scopes and ends the former one."},
	{rotate.Postgres, "A PostgreSQL role", "Two roles take turns as members of the role that has the rights. A program always has one that works."},
}

// rotationFields is which field of the form a refusal is about.
var rotationFields = map[string]string{"rotation_days": "days", "rotation_grace": "hours", "rotation_exists": "name", "role_form": "owner", "template": "template", "path_invalid": "path", "path_not_rooted": "path",
	"name_empty": "name", "name_long": "name", "name_characters": "name", "name_level_empty": "name", "name_not_rooted": "name", "name_depth": "name", "name_reserved": "name", "path_reserved": "name", "value_foreign": "name", "value_plain": "name",
	"admin_gone": "admin", "address_form": "admin", "admin_refused": "admin", "admin_right": "admin", "unreachable": "admin", "owner_gone": "owner", "owner_strong": "owner", "role_taken": "role_a", "other_team": "key_owner",
	"no_service": "service", "scopes_invalid": "scopes", "token_scopes": "scopes", "token_bound": "name"}

func (c *Console) newRotation(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := c.Access.Allow(r.Context(), who, access.VaultWrite, ""); err != nil {
		return err
	}
	return c.newRotationPage(w, r, r.URL.Query(), nil)
}

func (c *Console) newRotationPage(w http.ResponseWriter, r *http.Request, typed url.Values, fail error) error {
	st, kind := http.StatusOK, rotationKinds[0]
	if fail != nil {
		st = status(fail)
	}
	for _, k := range rotationKinds {
		if k.id == typed.Get("kind") {
			kind = k
		}
	}
	v := web.View{Title: "Have a value replace itself", Lead: kind.lead, Up: &web.Link{Text: "Parameters", Href: atSecrets}}
	for _, k := range rotationKinds {
		v.Tabs = append(v.Tabs, web.Link{Text: k.text, Href: atRotation + "/new?" + url.Values{"kind": {k.id}, "name": {typed.Get("name")}}.Encode(), Here: k.id == kind.id})
	}
	field := func(name, label, hint string, needed bool) web.Field {
		return web.Field{Name: name, Label: label, Value: typed.Get(name), Hint: hint, Required: needed, Complete: "off"}
	}
	f := web.Form{Action: atRotation + "/new", Act: "Begin", Fault: beside(fail, rotationFields), Hidden: []web.Pair{{Name: "kind", Value: kind.id}},
		Fields: []web.Field{field("name", "Name", "The parameter that programs read, such as /shop/db/url. What is not there yet is made.", true)}}
	switch kind.id {
	case rotate.Postgres:
		f.Fields = append(f.Fields, field("admin", "Parameter with the administrator's address", "A role with CREATEROLE, the owner role WITH ADMIN OPTION, and pg_signal_backend.", true),
			field("owner", "Role that has the rights", "", true), field("role_a", "First role", "Such as shop_a.", true), field("role_b", "Second role", "Such as shop_b.", true),
			field("template", "The address that programs read", "With {user} and {password}, such as postgres://{user}:{password}@db.internal/shop?sslmode=verify-full", true))
	case rotate.ServiceToken:
		f.Fields = append(f.Fields, field("service", "Service", "Its name or id, as under Tokens of programs.", true), field("scopes", "Scopes", "Such as vault.read, with spaces between. Empty: those of the token that is there.", false))
	default:
		f.Fields = append(f.Fields, field("path", "Path", "The key reaches this path and all below it.", true),
			web.Field{Name: "reads", Label: "May", Type: "radio", Required: true, Options: []web.Option{{Value: "yes", Text: "Read", Chosen: typed.Get("reads") != "no"}, {Value: "no", Text: "Read and write", Chosen: typed.Get("reads") == "no"}}},
			field("key_owner", "Service that it stands on", "Such as machine/01J…. Empty: you.", false))
	}
	f.Fields = append(f.Fields, web.Field{Name: "days", Label: "Days until it is replaced", Type: "number", Value: typed.Get("days"), Hint: "Empty: as said about its name, or by the policy."},
		web.Field{Name: "hours", Label: "Hours for which the former one works", Type: "number", Value: typed.Get("hours"), Hint: "24 when it is left empty."})
	v.Data = f
	return c.answer(w, r, st, "one", v)
}

// addRotation begins a rotation. The service asks for each right, before it looks at anything.
func (c *Console) addRotation(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	said := func(name string) string { return strings.TrimSpace(f.Get(name)) }
	wish := rotate.Wish{Name: said("name"), Kind: said("kind"), Spec: rotate.Spec{Admin: said("admin"), Owner: said("owner"), Roles: [2]string{said("role_a"), said("role_b")}, Template: said("template")}}
	switch wish.Kind {
	case rotate.Postgres:
	case rotate.ServiceToken:
		wish.Spec = rotate.Spec{Service: said("service"), Scopes: strings.Fields(strings.ReplaceAll(said("scopes"), ",", " "))}
	default:
		wish.Spec = rotate.Spec{Path: said("path"), Reads: said("reads") != "no", KeyOwner: said("key_owner")}
	}
	wish.Days = wholeNumber(said("days"))
	if said("hours") != "" {
		hours := time.Duration(wholeNumber(said("hours"))) * time.Hour
		wish.Grace = &hours
	}
	made, err := c.Rotations.Add(r.Context(), who, wish)
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.newRotationPage(w, r, f, err)
	}
	says := made.Name + " replaces itself from now on."
	if made.Problem != "" {
		says = "It is set up, and stands still: " + made.Says.Problem
	}
	return c.done(w, r, paramHref(made.Name)+"#rotation", says)
}

// wholeNumber reads a number; -1, which is refused with its right, where it is none.
func wholeNumber(typed string) int64 {
	if typed == "" {
		return 0
	}
	n, err := strconv.ParseUint(typed, 10, 16)
	if err != nil {
		return -1
	}
	return int64(n)
}
