package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/web"
)

const (
	atSecrets    = "/-/console/secrets"
	atAccessKeys = atSecrets + "/keys"
	atGrants     = atSecrets + "/grants"
	atSeen       = atSecrets + "/seen"
)

// paramFields is which field of a form a refusal of the vault is about.
var paramFields = map[string]string{"param_exists": "name", "name_empty": "name", "name_long": "name", "name_characters": "name", "name_level_empty": "name", "name_not_rooted": "name", "name_depth": "name",
	"name_reserved": "name", "path_reserved": "name", "value_long": "value", "value_empty": "value", "value_text": "value", "value_nested": "value", "value_long_for_tier": "value", "description_long": "description", "type_needed": "kind", "type_unknown": "kind",
	"path_invalid": "path", "path_not_rooted": "path", "key_life": "days", "grant_life": "days", "reason_needed": "reason", "person_gone": "handle", "other_team": "handle", "own_grant": "handle", "rights_unknown": "rights"}

func paramHref(name string) string {
	return atSecrets + "/show?" + url.Values{"name": {name}}.Encode()
}

// vaultRoutes are the pages of the parameter store. They name no action of their own: a
// grant opens a path to somebody whose role does not, so the vault alone can say.
func (c *Console) vaultRoutes() []web.Route {
	if c.Vault == nil {
		return nil
	}
	on := func(pattern string, h web.Handler) web.Route {
		return web.Route{Pattern: pattern, Who: web.Staff, Limit: sigForm, Handle: func(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
			return h(w, r.WithContext(context.WithValue(r.Context(), hereKey{}, atSecrets)), who)
		}}
	}
	return append(slices.Concat(c.rotationRoutes(on), c.kmsRoutes(on)),
		on("GET /-/console/secrets", c.showSecrets),
		on("GET /-/console/secrets/new", c.newSecret),
		on("GET /-/console/secrets/show", c.showSecret),
		on("POST "+atSecrets, c.putSecret),
		on("POST "+atSecrets+"/reveal", c.revealSecret),
		on("POST "+atSecrets+"/back", c.rollBack),
		on("POST "+atSecrets+"/remove", c.removeSecret),
		on("POST "+atSecrets+"/about", c.sayAbout),
		on("POST "+atSecrets+"/plant", c.plantSecret),
		on("GET /-/console/secrets/seen", c.showSeen),
		on("GET /-/console/secrets/keys", c.showAccessKeys),
		on("POST "+atAccessKeys, c.makeAccessKey),
		on("POST "+atAccessKeys+"/end", c.endAccessKey),
		on("GET /-/console/secrets/grants", c.showGrants),
		on("POST "+atGrants, c.makeGrant),
		on("POST "+atGrants+"/end", c.endGrant),
	)
}

// showSecrets lists names under a path.
func (c *Console) showSecrets(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v := r.URL.Query()
	path, q := strings.TrimSpace(v.Get("path")), strings.TrimSpace(v.Get("q"))
	if path == "" {
		path = "/"
	}
	ps, next, err := c.Vault.Search(r.Context(), who, c.secretSearch(path, q, v), vault.Page{After: v.Get("after"), Max: 50})
	if err != nil {
		return err
	}
	t := web.Table{Caption: "Names under " + path, Columns: []web.Column{{Name: "Name"}, {Name: "Kind"}, {Name: "Version", Figure: true}, {Name: "Changed"}, {Name: "Last read"}},
		Filter: &web.Filter{Action: atSecrets, Fields: slices.Concat([]web.Field{{Name: "path", Label: "Under", Value: path}, {Name: "q", Label: "Name holds", Type: "search", Value: q}}, secretFilters(v))},
		Empty:  web.Empty{Says: "There is nothing here yet.", Next: web.Link{Text: "Write the first", Href: atSecrets + "/new"}}, Count: web.Count(int64(len(ps)), "name")}
	for _, p := range ps {
		kind := "secret"
		if p.Type != vault.SecureString {
			kind = "setting"
		}
		read := web.Cell{At: p.Read}
		if p.Read.IsZero() {
			read = web.Cell{Text: "never"}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: p.Param.Name, Href: paramHref(p.Param.Name), Sub: p.Description}, {Text: kind}, {Text: web.Number(p.Version)}, {At: p.Changed, Sub: "by " + c.acted(r.Context(), p.ChangedBy)}, read}})
	}
	if next != "" {
		more := url.Values{"path": {path}, "q": {q}, "after": {next}}
		for _, f := range secretFilters(v) {
			more.Set(f.Name, v.Get(f.Name))
		}
		t.Older = atSecrets + "?" + more.Encode()
	}
	out := peoplePage{Table: t}
	if c.Access.May(who, access.VaultWrite) {
		out.Acts = append(out.Acts, web.Link{Text: "Write a new one", Href: atSecrets + "/new"})
	}
	if c.Access.May(who, access.VaultKeys) || c.Access.May(who, access.VaultRead) {
		out.Acts = append(out.Acts, web.Link{Text: "Access keys of programs", Href: atAccessKeys})
	}
	if c.KMS != nil {
		out.Acts = append(out.Acts, web.Link{Text: "Keys that programs encrypt with", Href: atKMS})
	}
	if c.Access.May(who, access.VaultAudit) {
		out.Acts = append(out.Acts, web.Link{Text: "Grants to people", Href: atGrants})
	}
	if c.Scans != nil {
		out.Acts = append(out.Acts, web.Link{Text: "Where secrets should not be", Href: atScans})
	}
	if c.Bundles != nil {
		out.Acts = append(out.Acts, web.Link{Text: "Bundles of machines", Href: atBundles})
	}
	return c.show(w, r, "people", web.View{Title: "Parameters", Lead: "Secrets and settings of programs. Every value is sealed, and whoever reads one is in the journal first.", Data: out})
}

type secretPage struct {
	Facts    []fact
	Value    *web.Code
	Reveal   *web.Form
	Write    *web.Form
	Remove   *web.Form
	Versions web.Table
	Back     *web.Form
	Known    *web.Table
	Rotation *rotationPart
	ByHand   string // where a rotation is set up; "" = there is one, or no right
	About    *web.Form
	Plant    *web.Form
}

// secretTries are refusals of the forms on the page, and what was just revealed.
type secretTries struct {
	reveal, write, remove, back error
	rotation, about             error
	value                       *web.Code
}

func (c *Console) showSecret(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.secretPage(w, r, who, r.URL.Query().Get("name"), secretTries{})
}

func (c *Console) secretPage(w http.ResponseWriter, r *http.Request, who actor.Actor, name string, t secretTries) error {
	ctx := r.Context()
	p, err := c.Vault.Show(ctx, who, name)
	if err != nil {
		return err
	}
	vs, err := c.Vault.Versions(ctx, who, p.Name)
	if err != nil {
		return err
	}
	tags, err := c.Vault.Tags(ctx, who, p.Name)
	if err != nil {
		return err
	}
	out := secretPage{Value: t.value, Facts: []fact{{Name: "Kind", Text: string(p.Type)}, {Name: "Version", Text: web.Number(p.Version)}, {Name: "Changed", Time: p.Changed}, {Name: "By", Text: c.acted(ctx, p.ChangedBy)}}}
	for _, g := range tags {
		out.Facts = append(out.Facts, fact{Name: g.Name, Text: g.Value})
	}
	out.Versions = web.Table{Caption: "Versions, the newest first", Columns: []web.Column{{Name: "Version", Figure: true}, {Name: "Labels"}, {Name: "Written"}, {Name: "By"}}}
	var older []web.Option
	for _, v := range vs {
		out.Versions.Rows = append(out.Versions.Rows, web.Row{Cells: []web.Cell{{Text: web.Number(v.Version)}, {Text: strings.Join(v.Labels, ", ")}, {At: v.Changed}, {Text: c.acted(ctx, v.ChangedBy)}}})
		if v.Version != p.Version {
			older = append(older, web.Option{Value: strconv.FormatInt(v.Version, 10), Text: "version " + strconv.FormatInt(v.Version, 10)})
		}
	}
	reads, err1 := c.Vault.Can(ctx, who, access.VaultRead, p.Name)
	writes, err2 := c.Vault.Can(ctx, who, access.VaultWrite, p.Name)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if reads {
		out.Reveal = t.revealForm(p.Name)
	}
	if writes {
		t.writeForms(&out, p.Name, older)
	}
	if out.Rotation, err = c.rotationOf(ctx, who, p.Name, writes, t.rotation); err != nil {
		return err
	}
	if writes && c.Rotations != nil && out.Rotation == nil {
		out.ByHand = atRotation + "/new?" + url.Values{"name": {p.Name}}.Encode()
	}
	if err := c.aboutOf(ctx, who, p.Name, writes, t.about, &out); err != nil {
		return err
	}
	if err := c.plantOf(ctx, who, p.Name, &out); err != nil {
		return err
	}
	if c.Access.May(who, access.VaultAudit) {
		if out.Known, err = c.knownTable(ctx, who, p.Name); err != nil {
			return err
		}
	}
	st := http.StatusOK
	for _, err := range []error{t.reveal, t.write, t.remove, t.back, t.rotation, t.about} {
		if err != nil {
			st = status(err)
		}
	}
	return c.answer(w, r, st, "secret", web.View{Title: p.Name, Lead: p.Description, Up: &web.Link{Text: "Parameters", Href: atSecrets}, Data: out})
}

func (t *secretTries) revealForm(name string) *web.Form {
	return &web.Form{Action: atSecrets + "/reveal#value", Act: "Show the value", Part: "reveal", Fault: t.reveal, Hidden: []web.Pair{{Name: "name", Value: name}},
		Fields: []web.Field{{Name: "reason", Label: "Why", Hint: "It stands in the journal, with your name.", Required: true, Complete: "off"}}}
}

// writeForms are the forms of whoever may write the name.
func (t *secretTries) writeForms(out *secretPage, name string, older []web.Option) {
	hidden := []web.Pair{{Name: "name", Value: name}}
	out.Write = &web.Form{Action: atSecrets + "#write", Act: "Write it", Part: "write", Quiet: true, Fault: t.write, Hidden: hidden, Fields: []web.Field{{Name: "value", Label: "New value", Type: "textarea", Rows: 3, Required: true, Complete: "off"}}}
	if len(older) > 0 {
		out.Back = &web.Form{Action: atSecrets + "/back#versions", Act: "Go back to it", Part: "back", Quiet: true, Fault: t.back, Hidden: hidden, Fields: []web.Field{{Name: "version", Label: "As it was in", Type: "select", Options: older, Hint: "As a new version. Nobody is shown it."}}}
	}
	out.Remove = &web.Form{Action: atSecrets + "/remove#remove", Act: "Remove it", Part: "remove", Fault: t.remove, Hidden: hidden, Loses: "All its versions go, and programs that read it are refused.",
		Fields: []web.Field{{Name: "typed", Label: "Type its name", Hint: name, Required: true, Complete: "off"}}}
}

// knownTable is who knows a value as it is now.
func (c *Console) knownTable(ctx context.Context, who actor.Actor, name string) (*web.Table, error) {
	known, err := c.Vault.KnownBy(ctx, who, name)
	if err != nil {
		return nil, err
	}
	t := &web.Table{Caption: "Who knows the value as it is now", Columns: []web.Column{{Name: "Who"}, {Name: "Last seen or written"}}, Empty: web.Empty{Says: "Nobody has seen it."}}
	for _, k := range known {
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: c.acted(ctx, k.Name), Href: atSeen + "?" + url.Values{"who": {k.Name}}.Encode()}, {At: k.At}}})
	}
	return t, nil
}

func (c *Console) newSecret(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := c.Access.Allow(r.Context(), who, access.VaultWrite, ""); err != nil {
		return err
	}
	return c.newSecretPage(w, r, url.Values{}, nil)
}

func (c *Console) newSecretPage(w http.ResponseWriter, r *http.Request, typed url.Values, fail error) error {
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	form := web.Form{Action: atSecrets, Act: "Write it", Fault: beside(fail, paramFields), Hidden: []web.Pair{{Name: "new", Value: "yes"}}, Fields: []web.Field{
		{Name: "name", Label: "Name", Value: typed.Get("name"), Required: true, Complete: "off", Hint: "In levels, such as /shop/db/password."},
		{Name: "value", Label: "Value", Type: "textarea", Rows: 3, Required: true, Complete: "off"},
		{Name: "kind", Label: "Kind", Type: "radio", Required: true, Options: []web.Option{{Value: "SecureString", Text: "A secret", Hint: "Shown to those who ask for it decrypted.", Chosen: typed.Get("kind") != "String"}, {Value: "String", Text: "A setting", Hint: "Sealed all the same, and shown to whoever may read.", Chosen: typed.Get("kind") == "String"}}},
		{Name: "description", Label: "What it is for", Value: typed.Get("description"), Max: 200, Complete: "off"}}}
	return c.answer(w, r, st, "one", web.View{Title: "Write a new parameter", Up: &web.Link{Text: "Parameters", Href: atSecrets}, Data: form})
}

// putSecret writes a new name, or a new version of one that is there.
func (c *Console) putSecret(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	name, fresh := strings.TrimSpace(f.Get("name")), f.Get("new") != ""
	in := vault.Put{Name: name, Value: secret.NewText(strings.ReplaceAll(f.Get("value"), "\r\n", "\n")), Overwrite: !fresh, Tier: vault.Intelligent}
	if fresh {
		in.New = vault.Type(f.Get("kind"))
		if d := strings.TrimSpace(f.Get("description")); d != "" {
			in.Description = &d
		}
	}
	done, err := c.Vault.Put(r.Context(), who, in)
	switch {
	case err == nil:
		return c.done(w, r, paramHref(name), name+" is at version "+web.Number(done.Version)+".")
	case !formed(err):
		return err
	case fresh:
		return c.newSecretPage(w, r, f, err)
	}
	return c.secretPage(w, r, who, name, secretTries{write: err})
}

// revealSecret shows a value in the answer and nowhere else. The read is recorded first.
func (c *Console) revealSecret(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	name, reason := f.Get("name"), strings.TrimSpace(f.Get("reason"))
	if err := c.Vault.MayRead(r.Context(), who, name); err != nil {
		return err
	}
	if reason == "" {
		return c.secretPage(w, r, who, name, secretTries{reveal: fault.New(fault.Invalid, "reason_needed", fault.Public{Problem: "A look has a reason.",
			Fields: []fault.Field{{Name: "reason", Code: "reason_needed", Problem: "Say why you need it."}}})})
	}
	v, err := c.Vault.Get(r.Context(), who, vault.Selector{Name: name}, vault.Read{Decrypt: true, Reason: reason})
	if err != nil {
		return err
	}
	return c.secretPage(w, r, who, name, secretTries{value: &web.Code{Label: "Version " + web.Number(v.Version) + ". It is on this page alone.", Text: v.Text.Reveal()}})
}

func (c *Console) rollBack(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	name := f.Get("name")
	version, err := strconv.ParseInt(f.Get("version"), 10, 64)
	if err != nil {
		version = 0
	}
	done, err := c.Vault.Rollback(r.Context(), who, name, version)
	if err != nil {
		if !formed(err) || name == "" {
			return err
		}
		return c.secretPage(w, r, who, name, secretTries{back: err})
	}
	return c.done(w, r, paramHref(name)+"#versions", "It is at version "+web.Number(done.Version)+", with the value of version "+web.Number(version)+".")
}

func (c *Console) removeSecret(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	name := f.Get("name")
	if name != "" && strings.TrimSpace(f.Get("typed")) != name {
		return c.secretPage(w, r, who, name, secretTries{remove: fault.New(fault.Invalid, "confirm_wrong", fault.Public{Problem: "Nothing was done: the name is another one.",
			Fields: []fault.Field{{Name: "typed", Code: "confirm_wrong", Problem: "Type exactly " + name + "."}}})})
	}
	if err := c.Vault.Delete(r.Context(), who, name); err != nil {
		return err
	}
	return c.done(w, r, atSecrets, name+" is removed.")
}

// showSeen is what somebody saw and what has not changed since: what to replace when they
// leave.
func (c *Console) showSeen(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	whose := r.URL.Query().Get("who")
	if whose == "" {
		whose = who.String()
	}
	seen, err := c.Vault.SeenBy(r.Context(), who, whose)
	if err != nil {
		return err
	}
	t := web.Table{Caption: "Secrets that they read or wrote, with the value that they still have", Columns: []web.Column{{Name: "Secret"}, {Name: "Last seen or written"}},
		Empty: web.Empty{Says: "There is none: whatever they saw was replaced since."}, Count: web.Count(int64(len(seen)), "secret")}
	for _, v := range seen {
		cell := web.Cell{Text: v.Name}
		if strings.HasPrefix(v.Thing, "param/") {
			cell.Href = paramHref(v.Name)
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{cell, {At: v.At}}})
	}
	return c.show(w, r, "scans", web.View{Title: "What " + c.acted(r.Context(), whose) + " knows", Lead: "This is what to replace when they leave. It is empty when nothing is left to replace.", Up: &web.Link{Text: "Parameters", Href: atSecrets}, Data: scansPage{Tables: []web.Table{t}, Form: c.knownForm(who, whose, len(seen) > 0)}})
}
