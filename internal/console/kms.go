package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/journal"
	"writ/internal/vault/kms"
	"writ/internal/web"
)

// KMS is what the pages of keys that programs encrypt with need.
type KMS interface {
	List(ctx context.Context, who actor.Actor) ([]kms.Key, error)
	Show(ctx context.Context, who actor.Actor, ref string) (kms.Key, error)
	Create(ctx context.Context, who actor.Actor, in kms.NewKey) (kms.Key, error)
	Enable(ctx context.Context, who actor.Actor, ref string, on kms.Wanted) error
	Name(ctx context.Context, who actor.Actor, ref, alias string) error
	Rotate(ctx context.Context, who actor.Actor, ref string) error
}

const atKMS = atSecrets + "/kms"

func kmsHref(id string) string { return atKMS + "/" + url.PathEscape(id) }

// kmsFields is which field of a form a refusal is about.
var kmsFields = map[string]string{"alias_invalid": "alias", "alias_reserved": "alias", "alias_taken": "alias", "kms_key_invalid": "path"}

// kmsRoutes are those pages; none without the keys. The service says who may.
func (c *Console) kmsRoutes(on func(string, web.Handler) web.Route) []web.Route {
	if c.KMS == nil {
		return nil
	}
	return []web.Route{
		on("GET /-/console/secrets/kms", c.showKMS),
		on("POST "+atKMS, c.makeKMSKey),
		on("GET /-/console/secrets/kms/{id}", c.showKMSKey),
		on("POST "+atKMS+"/{id}/state", c.setKMSKey),
		on("POST "+atKMS+"/{id}/alias", c.nameKMSKey),
		on("POST "+atKMS+"/{id}/rotate", c.rotateKMSKey),
	}
}

type kmsPage struct {
	Table web.Table
	Make  *web.Form
}

func (c *Console) showKMS(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.kmsPage(w, r, who, url.Values{}, nil)
}

func (c *Console) kmsPage(w http.ResponseWriter, r *http.Request, who actor.Actor, typed url.Values, fail error) error {
	ks, err := c.KMS.List(r.Context(), who)
	if err != nil {
		return err
	}
	t := web.Table{Caption: "Keys", Columns: []web.Column{{Name: "Key"}, {Name: "Reached under"}, {Name: "State"}, {Name: "Version", Figure: true}, {Name: "Renewed"}},
		Count: web.Count(int64(len(ks)), "key"), Empty: web.Empty{Says: "There is no key yet."}}
	for _, k := range ks {
		name, under := k.ID, k.Description
		if len(k.Aliases) > 0 {
			name, under = strings.Join(k.Aliases, ", "), k.ID
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: name, Href: kmsHref(k.ID), Sub: under}, {Text: k.Path, Code: true}, {Mark: kmsMark(k)}, {Text: web.Number(k.Version)}, {At: k.Renewed}}})
	}
	out := kmsPage{Table: t}
	if c.Access.May(who, access.VaultKeys) {
		out.Make = &web.Form{Action: atKMS, Act: "Make a key", Fault: beside(fail, kmsFields), Fields: []web.Field{
			{Name: "alias", Label: "Name", Value: typed.Get("alias"), Complete: "off", Hint: "Such as alias/shop. It can be given later, too."},
			{Name: "path", Label: "Path", Value: typed.Get("path"), Complete: "off", Hint: "Access keys that reach this path may use it. Empty: only those that reach everything."},
			{Name: "description", Label: "What it is for", Value: typed.Get("description"), Max: 200, Complete: "off"}}}
	}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	return c.answer(w, r, st, "kms", web.View{Title: "Keys that programs encrypt with", Lead: "Programs encrypt with them at " + c.Origin + "/-/aws/, by the clients of AWS KMS. The keys never leave.", Up: &web.Link{Text: "Parameters", Href: atSecrets}, Data: out})
}

func kmsMark(k kms.Key) *web.Mark {
	switch {
	case k.Destroyed:
		return &web.Mark{State: web.Broken, Word: "destroyed"}
	case !k.Enabled:
		return &web.Mark{State: web.Unproved, Word: "disabled"}
	}
	return &web.Mark{State: web.Holds, Word: "enabled"}
}

func (c *Console) makeKMSKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	k, err := c.KMS.Create(r.Context(), who, kms.NewKey{Alias: strings.TrimSpace(f.Get("alias")), Path: strings.TrimSpace(f.Get("path")), Description: strings.TrimSpace(f.Get("description"))})
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.kmsPage(w, r, who, f, err)
	}
	return c.done(w, r, kmsHref(k.ID), "The key is made.")
}

type kmsKeyPage struct {
	Facts                []fact
	Uses                 *web.Table
	Name, Rotate, Change *web.Form
	Shred                string
}

const usesAPage = 10

func (c *Console) showKMSKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.kmsKeyPage(w, r, who, url.Values{}, nil)
}

func (c *Console) kmsKeyPage(w http.ResponseWriter, r *http.Request, who actor.Actor, typed url.Values, fail error) error {
	ctx := r.Context()
	k, err := c.KMS.Show(ctx, who, r.PathValue("id"))
	if err != nil {
		return err
	}
	out := kmsKeyPage{Facts: []fact{{Name: "State", Mark: kmsMark(k)}, {Name: "Id", Text: k.ID, Code: true}, {Name: "Reached under", Text: k.Path, Code: true},
		{Name: "Version", Text: web.Number(k.Version)}, {Name: "Renewed", Time: k.Renewed}, {Name: "Made", Time: k.Made, Sub: "by " + c.acted(ctx, k.MadeBy)}}}
	for _, a := range k.Aliases {
		out.Facts = append(out.Facts, fact{Name: "Name", Text: a, Code: true})
	}
	if c.Access.May(who, access.JournalRead) {
		if out.Uses, err = c.kmsUses(ctx, k.ID); err != nil {
			return err
		}
	}
	if c.Access.May(who, access.VaultKeys) && !k.Destroyed {
		out.forms(k, typed, fail)
	}
	if c.Access.May(who, access.KeysShred) && !k.Destroyed {
		out.Shred = "kms/" + k.ID
	}
	title := k.ID
	if len(k.Aliases) > 0 {
		title = k.Aliases[0]
	}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	return c.answer(w, r, st, "kms-key", web.View{Title: title, Lead: k.Description, Up: &web.Link{Text: "Keys that programs encrypt with", Href: atKMS}, Data: out})
}

func (p *kmsKeyPage) forms(k kms.Key, typed url.Values, fail error) {
	at := kmsHref(k.ID)
	p.Name = &web.Form{Action: at + "/alias#name", Act: "Give it the name", Part: "name", Quiet: true, Fault: beside(fail, kmsFields), Fields: []web.Field{
		{Name: "alias", Label: "Name", Value: typed.Get("alias"), Required: true, Complete: "off", Hint: "Such as alias/shop. Another key that has it loses it; what was encrypted under the name still opens."}}}
	p.Rotate = &web.Form{Action: at + "/rotate", Act: "Make another version", Part: "rotate", Quiet: true}
	p.Change = &web.Form{Action: at + "/state", Act: "Enable it", Part: "state", Quiet: true, Hidden: []web.Pair{{Name: "state", Value: string(kms.Enabled)}}}
	if k.Enabled {
		p.Change.Act, p.Change.Hidden[0].Value, p.Change.Loses = "Disable it", string(kms.Disabled), "Until it is enabled again it neither encrypts nor decrypts."
	}
}

// kmsUses are the last calls with a key, as the journal has them.
func (c *Console) kmsUses(ctx context.Context, id string) (*web.Table, error) { // clause: vault.access-logged
	es, err := c.Journal.List(ctx, journal.Query{Act: kms.Used{}.About().Name, Object: "kms/" + id, Limit: usesAPage})
	if err != nil {
		return nil, err
	}
	t := &web.Table{Caption: "Who used it last", Columns: []web.Column{{Name: "Entry"}, {Name: "When"}, {Name: "Call"}, {Name: "Who"}, {Name: "Access key"}}, Empty: web.Empty{Says: "Nobody has used it."}}
	for _, e := range es {
		said := func(name string) string {
			if v, ok := e.Field(name); ok {
				return fmt.Sprint(v)
			}
			return ""
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: web.Number(e.N), Href: entryHref(e.N)}, {At: e.Happened}, {Text: said("op")}, {Text: actorWords(e)}, {Text: said("access-key"), Code: true}}})
	}
	if len(es) == usesAPage {
		t.Older = atJournal + "?" + url.Values{"act": {kms.Used{}.About().Name}, "object": {"kms/" + id}}.Encode()
	}
	return t, nil
}

func (c *Console) setKMSKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	to, says := kms.Enabled, "The key is enabled."
	if f.Get("state") != string(kms.Enabled) {
		to, says = kms.Disabled, "The key is disabled. Its next call is refused."
	}
	if err := c.KMS.Enable(r.Context(), who, r.PathValue("id"), to); err != nil {
		return err
	}
	return c.done(w, r, kmsHref(r.PathValue("id")), says)
}

func (c *Console) nameKMSKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.KMS.Name(r.Context(), who, r.PathValue("id"), strings.TrimSpace(f.Get("alias"))); err != nil {
		if !formed(err) {
			return err
		}
		return c.kmsKeyPage(w, r, who, f, err)
	}
	return c.done(w, r, kmsHref(r.PathValue("id")), "The key has the name.")
}

func (c *Console) rotateKMSKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := c.KMS.Rotate(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	return c.done(w, r, kmsHref(r.PathValue("id")), "The key has another version. Former ones open what they made.")
}
