package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/vault/keys"
	"writ/internal/web"
)

// Encryption is what the page of keys needs.
type Encryption interface {
	Stands(ctx context.Context, who actor.Actor) (keys.State, error)
	Rotate(ctx context.Context, who actor.Actor, after keys.Exposure) (keys.State, error)
	Shreds(ctx context.Context, who actor.Actor) ([]keys.Shred, error)
	Ask(ctx context.Context, who actor.Actor, target, reason string) (keys.Shred, error)
	Agree(ctx context.Context, who actor.Actor, id string) (keys.Shred, error)
	Refuse(ctx context.Context, who actor.Actor, id string) error
	Certificate(ctx context.Context, who actor.Actor, id string) (keys.Certified, error)
	Holds(ctx context.Context, who actor.Actor) ([]keys.Hold, error)
	Hold(ctx context.Context, who actor.Actor, target, reason string) (keys.Hold, error)
	EndHold(ctx context.Context, who actor.Actor, id string) (bool, error)
	StillGone(ctx context.Context, ids []string) (bool, error)
}

const atEncryption = "/-/console/encryption"

// encryptionRoutes are the pages of keys; none without them.
func (c *Console) encryptionRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	if c.Encryption == nil {
		return nil
	}
	return []web.Route{
		staff("GET /-/console/encryption", access.KeysRead, atEncryption, c.showEncryption),
		staff("POST "+atEncryption+"/rotate", access.KeysRotate, atEncryption, c.rotateKeys),
		staff("POST "+atEncryption+"/shreds", access.KeysShred, atEncryption, c.askShred),
		staff("POST "+atEncryption+"/shreds/agree", access.KeysAgree, atEncryption, c.agreeShred),
		staff("POST "+atEncryption+"/shreds/refuse", access.KeysAgree, atEncryption, c.refuseShred),
		staff("GET /-/console/encryption/certificates/{id}", access.KeysRead, atEncryption, c.showCertificate),
		staff("POST "+atEncryption+"/holds", access.HoldAdd, atEncryption, c.addHold),
		staff("POST "+atEncryption+"/holds/end", access.HoldEnd, atEncryption, c.endHold),
	}
}

type encryptionPage struct {
	Mark    web.Mark
	Keys    web.Table
	Waiting []waitingShred
	Done    web.Table
	Holds   []heldThing
	Rotate  *web.Form
	Ask     *web.Form
	Hold    *web.Form
}

type waitingShred struct {
	ID, Says, Reason string
	Agree, Refuse    string // where; "" = not by this reader
}

type heldThing struct {
	ID, Says, Reason string
	End              string
}

// typed is what a form had that was refused.
type typed struct {
	part, target, reason string
	fault                error
}

func (c *Console) showEncryption(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.encryptionPage(w, r, who, http.StatusOK, typed{})
}

func (c *Console) encryptionPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, in typed) error {
	state, err := c.Encryption.Stands(r.Context(), who)
	if err != nil {
		return err
	}
	shreds, err := c.Encryption.Shreds(r.Context(), who)
	if err != nil {
		return err
	}
	holds, err := c.Encryption.Holds(r.Context(), who)
	if err != nil {
		return err
	}
	p := encryptionPage{Mark: c.keysMark(state), Keys: keysTable(state), Done: web.Table{Caption: "Destructions",
		Columns: []web.Column{{Name: "What"}, {Name: "State"}, {Name: "People"}, {Name: "Asked by"}, {Name: "When"}, {Name: "Certificate"}}, Empty: web.Empty{Says: "Nothing was destroyed, and nobody has asked for it."}}}
	for _, x := range shreds {
		if x.State == "asked" || x.State == "intended" {
			p.Waiting = append(p.Waiting, c.waitingShred(r, who, x))
			continue
		}
		row := web.Row{Cells: []web.Cell{{Text: x.Label, Href: atJournal + "?object=shred/" + x.ID, Sub: x.Reason}, {Text: x.State}, {Text: fmt.Sprintf("%d of %d", x.Given, x.Need)}, {Text: c.whose(r, x.AskedBy)}, {At: x.Changed}, {Text: "none"}}}
		if x.State == "done" {
			row.Cells[5] = web.Cell{Text: "certificate", Href: atEncryption + "/certificates/" + x.ID}
		}
		p.Done.Rows = append(p.Done.Rows, row)
	}
	for _, h := range holds {
		if h.Ended.IsZero() {
			p.Holds = append(p.Holds, c.heldThing(r, who, h))
		}
	}
	c.encryptionForms(who, &p, in)
	lead := "Everything at rest lies under these keys. The newest was made " + web.Age(c.Now(), state.KEKs[len(state.KEKs)-1].Made) + "; the next one is due on " + day(state.Due) + "."
	if state.Resealing > 0 {
		lead += " The values under " + web.Count(int64(state.Resealing), "key") + " are being sealed anew after an exposure, " + web.Number(state.Resealed) + " so far."
	}
	return c.answer(w, r, st, "encryption", web.View{Title: "Encryption keys", Lead: lead, Data: p})
}

// keysMark says whether everything lies where it should.
func (c *Console) keysMark(st keys.State) web.Mark {
	switch {
	case !c.Now().Before(st.Due):
		return web.Mark{State: web.Broken, Word: "the key was not replaced in time", At: st.KEKMade}
	case st.Left > 0:
		return web.Mark{State: web.StaleNow, Word: strconv.Itoa(st.Left) + " of " + strconv.Itoa(st.Keys) + " keys still lie under a former one", At: st.KEKMade}
	}
	return web.Mark{State: web.Holds, Word: "all " + strconv.Itoa(st.Keys) + " keys lie under the newest one", At: st.KEKMade}
}

func keysTable(st keys.State) web.Table {
	t := web.Table{Caption: "Key-encryption keys", Columns: []web.Column{{Name: "Key"}, {Name: "Made"}, {Name: "State"}, {Name: "Sealed under it", Figure: true}}}
	for i := len(st.KEKs) - 1; i >= 0; i-- {
		k := st.KEKs[i]
		state := web.Cell{Text: "in use"}
		switch {
		case !k.Destroyed.IsZero():
			state = web.Cell{Text: "destroyed " + day(k.Destroyed)}
		case !k.Retired.IsZero():
			state = web.Cell{Text: "retired " + day(k.Retired)}
		case i < len(st.KEKs)-1:
			state = web.Cell{Text: "replaced; its keys move"}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: "Version " + strconv.Itoa(k.Version), Href: atJournal + "?object=key/" + k.ID}, {At: k.Made}, state, {Text: strconv.Itoa(k.Users)}}})
	}
	return t
}

func (c *Console) waitingShred(r *http.Request, who actor.Actor, x keys.Shred) waitingShred {
	out := waitingShred{ID: x.ID, Reason: x.Reason, Says: fmt.Sprintf("%s wants the key of %s destroyed: %d of %d people want it. It waits until %s.", c.whose(r, x.AskedBy), x.Label, x.Given, x.Need, day(x.Until))}
	if x.State == "intended" {
		out.Says = fmt.Sprintf("The key of %s is being destroyed: enough people agreed.", x.Label)
		return out
	}
	if c.Access.May(who, access.KeysAgree) {
		out.Refuse = atEncryption + "/shreds/refuse"
		if who.String() != x.AskedBy {
			out.Agree = atEncryption + "/shreds/agree"
		}
	}
	return out
}

func (c *Console) heldThing(r *http.Request, who actor.Actor, h keys.Hold) heldThing {
	out := heldThing{ID: h.ID, Reason: h.Reason, Says: "Kept since " + day(h.Made) + " by " + c.whose(r, h.MadeBy) + ": " + c.whose(r, h.Target) + "."}
	if !h.Ask.IsZero() {
		out.Says += " " + c.whose(r, h.AskBy) + " has asked for its end."
	}
	if c.Access.May(who, access.HoldEnd) && h.AskBy != who.String() {
		out.End = atEncryption + "/holds/end"
	}
	return out
}

func (c *Console) encryptionForms(who actor.Actor, p *encryptionPage, in typed) {
	fields := func(part, hint string) (fields []web.Field, fail error) {
		fields = []web.Field{{Name: "target", Label: "What", Required: true, Max: 200, Hint: hint, Complete: "off"}, {Name: "reason", Label: "Why", Required: true, Max: 500, Hint: "It stands in the record."}}
		if in.part == part {
			fields[0].Value, fields[1].Value, fail = in.target, in.reason, in.fault
		}
		return fields, fail
	}
	const targets = "person/HANDLE, team/ID, class/NAME, stranger/2026-11 or backup/NAME"
	if c.Access.May(who, access.KeysRotate) {
		p.Rotate = &web.Form{Action: atEncryption + "/rotate", Act: "Replace the key now", Quiet: true, Part: "rotate", Fields: []web.Field{
			{Name: "reason", Label: "If a key may be known to somebody: how", Max: 500, Complete: "off", Hint: "Empty: it is replaced without a cause. With one, vaults of teams get new keys too."}}}
		if in.part == "rotate" {
			p.Rotate.Fields[0].Value, p.Rotate.Fault = in.reason, in.fault
		}
	}
	if c.Access.May(who, access.KeysShred) {
		p.Ask = &web.Form{Action: atEncryption + "/shreds", Act: "Ask for the destruction", Quiet: true, Part: "shred", Loses: "Once others agree, what was sealed under the key can never be read again, here or in a backup."}
		p.Ask.Fields, p.Ask.Fault = fields("shred", targets+".")
	}
	if c.Access.May(who, access.HoldAdd) {
		p.Hold = &web.Form{Action: atEncryption + "/holds", Act: "Add the hold", Quiet: true, Part: "hold"}
		p.Hold.Fields, p.Hold.Fault = fields("hold", targets+"; or everything.")
	}
}

// whose is an actor or a target as people say it.
func (c *Console) whose(r *http.Request, ref string) string {
	const person = "person/"
	if len(ref) > len(person) && ref[:len(person)] == person {
		return c.Identity.Name(r.Context(), ref[len(person):])
	}
	return ref
}

// again shows the page with what was refused, where that can be corrected.
func (c *Console) again(w http.ResponseWriter, r *http.Request, who actor.Actor, in typed) error {
	kind := fault.KindOf(in.fault)
	if in.part != "" && (kind == fault.Invalid || kind == fault.Conflict || kind == fault.NotFound) {
		return c.encryptionPage(w, r, who, status(in.fault), in)
	}
	return in.fault
}

func (c *Console) rotateKeys(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	reason := f.Get("reason")
	if _, err := c.Encryption.Rotate(r.Context(), who, keys.Exposure{Happened: reason != "", Reason: reason}); err != nil {
		return c.again(w, r, who, typed{part: "rotate", reason: reason, fault: err})
	}
	return c.done(w, r, atEncryption, "The key is replaced, and all keys lie under the new one.")
}

func (c *Console) askShred(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	x, err := c.Encryption.Ask(r.Context(), who, f.Get("target"), f.Get("reason"))
	if err != nil {
		return c.again(w, r, who, typed{"shred", f.Get("target"), f.Get("reason"), err})
	}
	return c.done(w, r, atEncryption, fmt.Sprintf("Asked. %d of %d people want it; another one agrees on this page.", x.Given, x.Need))
}

func (c *Console) agreeShred(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	x, err := c.Encryption.Agree(r.Context(), who, f.Get("id"))
	if err != nil {
		return c.again(w, r, who, typed{fault: err})
	}
	if x.State == "done" {
		return c.done(w, r, atEncryption, "The key of "+x.Label+" is destroyed. The certificate is below.")
	}
	return c.done(w, r, atEncryption, fmt.Sprintf("You agree: %d of %d people want it now.", x.Given, x.Need))
}

func (c *Console) refuseShred(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Encryption.Refuse(r.Context(), who, f.Get("id")); err != nil {
		return c.again(w, r, who, typed{fault: err})
	}
	return c.done(w, r, atEncryption, "It is refused; nothing was destroyed.")
}

// showCertificate is a file: anybody checks it, here or with writ verify.
func (c *Console) showCertificate(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	x, err := c.Encryption.Certificate(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return fmt.Errorf("write a certificate: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="certificate-`+r.PathValue("id")+`.json"`)
	_, err = w.Write(b)
	return err //nolint:wrapcheck // the reader went away
}

func (c *Console) addHold(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if _, err := c.Encryption.Hold(r.Context(), who, f.Get("target"), f.Get("reason")); err != nil {
		return c.again(w, r, who, typed{"hold", f.Get("target"), f.Get("reason"), err})
	}
	return c.done(w, r, atEncryption, "The hold stands; two people end it.")
}

func (c *Console) endHold(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	ended, err := c.Encryption.EndHold(r.Context(), who, f.Get("id"))
	if err != nil {
		return c.again(w, r, who, typed{fault: err})
	}
	if ended {
		return c.done(w, r, atEncryption, "The hold has ended.")
	}
	return c.done(w, r, atEncryption, "You asked for its end. It stands until another person ends it too.")
}
