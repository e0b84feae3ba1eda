package console

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/seal"
	"writ/internal/vault/holders"
	"writ/internal/web"
)

// Holders is what the page of the root key's holders needs.
type Holders interface {
	Stands(ctx context.Context, who actor.Actor) (holders.State, error)
	Appoint(ctx context.Context, who actor.Actor, refs []string) ([]holders.Person, error)
	Remove(ctx context.Context, who actor.Actor, ref string) error
	Reshare(ctx context.Context, who actor.Actor) (holders.Set, error)
	Drill(ctx context.Context, who actor.Actor) (seal.State, error)
	Put(ctx context.Context, who actor.Actor, reason string) error
}

const atHolders = "/-/console/holders"

// holdersRoutes are the page of the root key's holders and its acts; none without them.
func (c *Console) holdersRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	if c.Holders == nil {
		return nil
	}
	return []web.Route{
		staff("GET /-/console/holders", access.RightsRead, atHolders, c.showHolders),
		staff("POST "+atHolders, access.VaultHolders, atHolders, c.appointHolders),
		staff("POST "+atHolders+"/remove", access.VaultHolders, atHolders, c.removeHolder),
		staff("POST "+atHolders+"/reshare", access.VaultHolders, atHolders, c.reshare),
		staff("POST "+atHolders+"/drill", access.VaultHolders, atHolders, c.drillHolders),
		staff("POST "+atHolders+"/seal", access.VaultSeal, atHolders, c.sealVault),
	}
}

type holdersPage struct {
	Mark    web.Mark
	Drill   string // how far one has come
	Due     []string
	Table   web.Table
	Acts    []web.Form
	Appoint *web.Form
	Remove  *web.Form
	Seal    *web.Form
	Opens   string
	Demo    bool
	Mine    bool // the reader is one of them
}

func (c *Console) showHolders(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.holdersPage(w, r, who, http.StatusOK, "", nil)
}

func (c *Console) holdersPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, part string, fail error) error {
	s, err := c.Holders.Stands(r.Context(), who)
	if err != nil {
		return err
	}
	typed := func(form, field string) string {
		if part == form {
			return r.PostFormValue(field)
		}
		return ""
	}
	why := func(form string) error {
		if part == form {
			return fail
		}
		return nil
	}
	p := holdersPage{Due: s.Due, Demo: s.Demo, Opens: s.Weakness, Table: web.Table{Caption: "Holders", Columns: []web.Column{{Name: "Holder"}, {Name: "Key"}, {Name: "Enrolled"}, {Name: "Share"}},
		Empty: web.Empty{Says: "Nobody holds a share. Whoever has root.key opens the vault alone."}}}
	lead := "No shares are out: whoever has root.key opens the vault alone."
	if x := s.Set; x != nil {
		lead = strconv.Itoa(x.Need) + " of " + strconv.Itoa(x.Of) + " holders open the vault together; no one can alone."
		p.Mark = holdersMark(s, c)
	}
	for _, h := range s.Holders {
		p.Mine = p.Mine || h.Person == who.ID
		row := web.Row{Cells: []web.Cell{{Text: h.Name, Href: atPeople + "/" + h.Person}, {Text: "not yet"}, {Text: "asked", Sub: web.Age(c.Now(), h.Appointed)}, {Text: "none yet"}}}
		if h.Kind != "" {
			row.Cells[1].Text = map[string]string{seal.InFile: "key file", seal.InPasskey: "passkey"}[h.Kind]
			row.Cells[2] = web.Cell{At: h.Enrolled}
		}
		if h.Holds {
			row.Cells[3].Text = "in use"
		}
		p.Table.Rows = append(p.Table.Rows, row)
	}
	if d := s.Drilling; d != nil {
		p.Drill = strconv.Itoa(d.Given) + " of " + strconv.Itoa(d.Need)
	}
	if c.Access.May(who, access.VaultHolders) {
		p.offer(s, typed, why)
	}
	if s.Set != nil && c.Access.May(who, access.VaultSeal) {
		p.Seal = &web.Form{Action: atHolders + "/seal", Act: "Seal the vault", Part: "seal", Fault: why("seal"), Loses: "Nothing works until the holders have given their shares: nobody signs in, no program gets a secret.",
			Fields: []web.Field{{Name: "reason", Label: "Why", Value: typed("seal", "reason"), Required: true, Max: 300, Complete: "off", Hint: "One line. All owners and holders read it."}}}
	}
	return c.answer(w, r, st, "holders", web.View{Title: "Key holders", Lead: lead, Data: p})
}

func holdersMark(s holders.State, c *Console) web.Mark {
	x := s.Set
	switch {
	case len(s.Due) > 0:
		return web.Mark{State: web.Broken, Word: "new shares are due", At: x.Began}
	case x.Drilled.IsZero():
		return web.Mark{State: web.Unproved, Word: "never tried", At: x.Began}
	case !c.Now().Before(s.NextTry):
		return web.Mark{State: web.StaleNow, Word: "a drill is due", At: x.Drilled}
	}
	return web.Mark{State: web.Holds, Word: "tried; the next drill is due on " + day(s.NextTry), At: x.Drilled}
}

// offer is what who may manage holders can do now: new shares when they are due, else a
// drill, and always people.
func (p *holdersPage) offer(s holders.State, typed func(form, field string) string, why func(string) error) {
	if len(s.Due) > 0 {
		p.Acts = append(p.Acts, web.Form{Action: atHolders + "/reshare", Act: "Make new shares", Part: "reshare", Fault: why("reshare")})
	}
	if s.Set != nil && s.Drilling == nil {
		p.Acts = append(p.Acts, web.Form{Action: atHolders + "/drill", Act: "Begin a drill", Quiet: len(s.Due) > 0, Part: "drill"})
	}
	p.Appoint = &web.Form{Action: atHolders, Act: "Ask them", Quiet: s.Set != nil, Part: "appoint", Fault: why("appoint"), Fields: []web.Field{{Name: "holder", Label: "Who", Type: "textarea", Rows: 3, Value: typed("appoint", "holder"), Required: true,
		Hint: "Addresses of members of staff, one a line. Each enrols a passkey or a key file; when all have, the root key is split."}}}
	if len(s.Holders) > 0 {
		f := web.Form{Action: atHolders + "/remove", Act: "Remove", Quiet: true, Part: "remove", Fault: why("remove"), Fields: []web.Field{{Name: "holder", Label: "Who", Type: "select", Hint: "New shares are due then. The last holder but one stays."}}}
		for _, h := range s.Holders {
			f.Fields[0].Options = append(f.Fields[0].Options, web.Option{Value: h.Person, Text: h.Name, Chosen: h.Person == typed("remove", "holder")})
		}
		p.Remove = &f
	}
}

// holdersDone leads back with a sentence, or shows the page with what was refused.
func (c *Console) holdersDone(w http.ResponseWriter, r *http.Request, who actor.Actor, part, says string, err error) error {
	switch fault.KindOf(err) {
	case "":
		return c.done(w, r, atHolders, says)
	case fault.Invalid, fault.Conflict:
		return c.holdersPage(w, r, who, status(err), part, err)
	}
	return err
}

func (c *Console) appointHolders(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	_, err = c.Holders.Appoint(r.Context(), who, strings.FieldsFunc(f.Get("holder"), func(r rune) bool { return strings.ContainsRune(" ,;\r\n\t", r) }))
	return c.holdersDone(w, r, who, "appoint", "They are asked, and each has a letter.", err)
}

func (c *Console) removeHolder(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	return c.holdersDone(w, r, who, "remove", "The holder is removed. Make new shares now.", c.Holders.Remove(r.Context(), who, f.Get("holder")))
}

func (c *Console) reshare(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	_, err := c.Holders.Reshare(r.Context(), who)
	return c.holdersDone(w, r, who, "reshare", "New shares are in use. Try them with a drill.", err)
}

func (c *Console) drillHolders(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	_, err := c.Holders.Drill(r.Context(), who)
	return c.holdersDone(w, r, who, "drill", "The drill is on for an hour, and each holder has a letter.", err)
}

func (c *Console) sealVault(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Holders.Put(r.Context(), who, strings.TrimSpace(f.Get("reason"))); err != nil {
		return c.holdersDone(w, r, who, "seal", "", err)
	}
	return web.Redirect(w, r, seal.At)
}
