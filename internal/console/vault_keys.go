package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/vault"
	"writ/internal/web"
)

type accessKeyRow struct {
	vault.AccessKey
	Whose string
	Mark  web.Mark
	Live  bool
}

type accessKeysPage struct {
	OneTime *web.Code
	Keys    []accessKeyRow
	Make    *web.Form
}

func (c *Console) showAccessKeys(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.accessKeysPage(w, r, who, nil, url.Values{}, nil)
}

// accessKeysPage lists the access keys, and shows the secret of one that was just made.
func (c *Console) accessKeysPage(w http.ResponseWriter, r *http.Request, who actor.Actor, fresh *vault.IssuedKey, typed url.Values, fail error) error {
	ks, err := c.Vault.AccessKeys(r.Context(), who)
	if err != nil {
		return err
	}
	var out accessKeysPage
	for _, k := range ks {
		row := accessKeyRow{AccessKey: k, Whose: c.acted(r.Context(), k.Owner), Mark: web.Mark{State: web.Holds, Word: "live"}, Live: true}
		if k.Ended || !c.Now().Before(k.Expires) {
			row.Mark, row.Live = web.Mark{State: web.Unproved, Word: "ended"}, false
		}
		out.Keys = append(out.Keys, row)
	}
	if fresh != nil {
		out.OneTime = &web.Code{Label: "The key. Its secret is shown this once.", Text: "AWS_ACCESS_KEY_ID=" + fresh.ID + "\nAWS_SECRET_ACCESS_KEY=" + fresh.Secret.Reveal()}
	}
	if c.Access.May(who, access.VaultRead) {
		out.Make = &web.Form{Action: atAccessKeys, Act: "Make an access key", Fault: beside(fail, paramFields), Fields: []web.Field{
			{Name: "path", Label: "Path", Value: typed.Get("path"), Required: true, Complete: "off", Hint: "It reaches this path and all below it, and nothing else."},
			{Name: "reads", Label: "May", Type: "radio", Required: true, Options: []web.Option{{Value: "yes", Text: "Read", Chosen: typed.Get("reads") != "no"}, {Value: "no", Text: "Read and write", Chosen: typed.Get("reads") == "no"}}},
			{Name: "days", Label: "Days until it ends", Type: "number", Value: typed.Get("days"), Hint: "90 when it is left empty, 365 at most."}}}
	}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	return c.answer(w, r, st, "accesskeys", web.View{Title: "Access keys", Lead: "A program calls " + c.Origin + "/-/aws/ with one, by the clients of AWS. It does what its owner may at that moment.", Up: &web.Link{Text: "Parameters", Href: atSecrets}, Data: out})
}

func (c *Console) makeAccessKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	life, err := daysOf(f.Get("days"))
	if err != nil {
		if denied := c.Access.Allow(r.Context(), who, access.VaultRead, ""); denied != nil {
			return denied
		}
		return c.accessKeysPage(w, r, who, nil, f, err)
	}
	k, err := c.Vault.IssueKey(r.Context(), who, vault.NewKey{Path: f.Get("path"), Reads: f.Get("reads") != "no", Life: life})
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.accessKeysPage(w, r, who, nil, f, err)
	}
	return c.accessKeysPage(w, r, who, &k, url.Values{}, nil) // a secret never goes through a cookie or an address
}

// daysOf reads a number of days; empty is the usual time.
func daysOf(typed string) (time.Duration, error) {
	typed = strings.TrimSpace(typed)
	if typed == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(typed)
	if err != nil || n < 1 || n > 3650 {
		return 0, fault.New(fault.Invalid, "days", fault.Public{Problem: "That is no number of days.", Fields: []fault.Field{{Name: "days", Code: "days", Problem: "Give a whole number, such as 30."}}})
	}
	return time.Duration(n) * 24 * time.Hour, nil
}

func (c *Console) endAccessKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Vault.EndKey(r.Context(), who, strings.TrimSpace(f.Get("key"))); err != nil {
		return err
	}
	return c.done(w, r, atAccessKeys, "The key is ended. Its next call is refused.")
}

type pathGrantRow struct {
	vault.Grant
	Whose, By string
}

type grantsPage struct {
	Grants []pathGrantRow
	End    bool
	Make   *web.Form
}

func (c *Console) showGrants(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.grantsPage(w, r, who, url.Values{}, nil)
}

func (c *Console) grantsPage(w http.ResponseWriter, r *http.Request, who actor.Actor, typed url.Values, fail error) error {
	gs, err := c.Vault.Grants(r.Context(), who)
	if err != nil {
		return err
	}
	out := grantsPage{End: c.Access.May(who, access.VaultKeys)}
	for _, g := range gs {
		out.Grants = append(out.Grants, pathGrantRow{g, c.acted(r.Context(), g.Who), c.acted(r.Context(), g.Granter)})
	}
	if out.End {
		out.Make = &web.Form{Action: atGrants, Act: "Give it", Fault: beside(fail, paramFields), Fields: []web.Field{
			{Name: "handle", Label: "Handle of the person", Value: typed.Get("handle"), Required: true, Complete: "off"},
			{Name: "path", Label: "Path", Value: typed.Get("path"), Required: true, Complete: "off", Hint: "This path and all below it."},
			{Name: "rights", Label: "May", Type: "radio", Required: true, Options: []web.Option{{Value: vault.Reader, Text: "Read", Hint: "Names and values.", Chosen: typed.Get("rights") != vault.Writer}, {Value: vault.Writer, Text: "Write", Hint: "New values, without being shown those that are there.", Chosen: typed.Get("rights") == vault.Writer}}},
			{Name: "reason", Label: "Why", Value: typed.Get("reason"), Required: true, Complete: "off"},
			{Name: "days", Label: "Days until it ends", Type: "number", Value: typed.Get("days"), Hint: "30 when it is left empty, 366 at most."}}}
	}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	return c.answer(w, r, st, "grants", web.View{Title: "Grants", Lead: "A grant lets one person do under one path what their role does not let them, until it ends.", Up: &web.Link{Text: "Parameters", Href: atSecrets}, Data: out})
}

func (c *Console) makeGrant(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Access.Allow(r.Context(), who, access.VaultKeys, ""); err != nil {
		return err
	}
	life, err := daysOf(f.Get("days"))
	if err == nil {
		person := strings.TrimPrefix(strings.TrimSpace(f.Get("handle")), "person/")
		if id, _, bad := c.Identity.PersonByHandle(r.Context(), person); bad == nil {
			person = id
		}
		_, err = c.Vault.GrantPath(r.Context(), who, vault.NewGrant{Who: "person/" + person, Path: f.Get("path"), Rights: f.Get("rights"), Reason: f.Get("reason"), Life: life})
	}
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.grantsPage(w, r, who, f, err)
	}
	return c.done(w, r, atGrants, "It is given, and recorded.")
}

func (c *Console) endGrant(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Vault.EndGrant(r.Context(), who, strings.TrimSpace(f.Get("grant"))); err != nil {
		return err
	}
	return c.done(w, r, atGrants, "The grant has ended.")
}
