package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/kdbx"
	"writ/internal/secret"
	"writ/internal/vault/item"
	"writ/internal/web"
)

// Items is what the pages of the company's vault need.
type Items interface {
	List(ctx context.Context, who actor.Actor, q item.Query) ([]item.Item, error)
	Show(ctx context.Context, who actor.Actor, id string) (item.Item, error)
	History(ctx context.Context, who actor.Actor, id string) ([]item.Version, error)
	Create(ctx context.Context, who actor.Actor, in item.NewItem) (item.Item, error)
	Edit(ctx context.Context, who actor.Actor, id string, d item.Draft) (item.Item, error)
	Restore(ctx context.Context, who actor.Actor, id string, version int64) (item.Item, error)
	Delete(ctx context.Context, who actor.Actor, id string) error
	Undelete(ctx context.Context, who actor.Actor, id string) (item.Item, error)
	Reveal(ctx context.Context, who actor.Actor, id, field, reason string) (item.Revealed, error)
	Code(ctx context.Context, who actor.Actor, id, reason string) (item.Revealed, error)
	Share(ctx context.Context, who actor.Actor, id, with string, level item.Level) (item.Item, error)
	Unshare(ctx context.Context, who actor.Actor, id, from string) (item.Item, error)
	MakeLink(ctx context.Context, who actor.Actor, id string, fields []string, span time.Duration, reason string) (item.Link, string, error)
	EndLink(ctx context.Context, who actor.Actor, id, link string) error
	CheckOut(ctx context.Context, who actor.Actor, id, reason string, span time.Duration) (item.Item, error)
	CheckIn(ctx context.Context, who actor.Actor, id string) error
	Attach(ctx context.Context, who actor.Actor, id, name string, body secret.Bytes) (item.File, error)
	Download(ctx context.Context, who actor.Actor, id, file, reason string) (item.File, secret.Bytes, error)
	Detach(ctx context.Context, who actor.Actor, id, file string) error
	Generate(ctx context.Context, who actor.Actor, r item.Recipe) (item.Generated, error)
	Report(ctx context.Context, who actor.Actor) ([]item.Found, int, error)
	Left(ctx context.Context, who actor.Actor, gone string) ([]item.Leftover, error)
	Bring(ctx context.Context, who actor.Actor, in item.Import) (item.Result, error)
	Party(ctx context.Context, who string) string
	HolderNames(ctx context.Context, i item.Item) []string
}

const atItems = "/-/console/items"

func itemHref(id string) string { return atItems + "/" + url.PathEscape(id) }

// itemRoutes are the pages of the company's vault; none without it.
func (c *Console) itemRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	if c.Items == nil {
		return nil
	}
	large := func(limit int64, r web.Route) web.Route {
		r.Limit = limit
		return r
	}
	const see, read = access.VaultItems, access.VaultReveal
	return []web.Route{
		staff("GET /-/console/items", see, atItems, c.showItems),
		staff("GET /-/console/items/new", see, atItems, c.newItem),
		large(512<<10, staff("POST "+atItems, see, atItems, c.addItem)),
		staff("GET /-/console/items/report", see, atItems, c.showItemReport),
		staff("GET /-/console/items/left", see, atItems, c.showLeft),
		staff("GET /-/console/items/import", see, atItems, c.showItemImport),
		large(item.MaxImport+kdbx.MaxKeyFile+64<<10, staff("POST "+atItems+"/import", see, atItems, c.importItems)),
		staff("GET /-/console/items/password", see, atItems, c.showGenerator),
		staff("POST "+atItems+"/password", see, atItems, c.generate),
		staff("GET /-/console/items/{id}", see, atItems, c.showItem),
		staff("GET /-/console/items/{id}/edit", see, atItems, c.editItem),
		large(512<<10, staff("POST "+atItems+"/{id}", see, atItems, c.saveItem)),
		staff("POST "+atItems+"/{id}/reveal", read, atItems, c.revealItem),
		staff("POST "+atItems+"/{id}/share", see, atItems, c.shareItem),
		staff("POST "+atItems+"/{id}/unshare", see, atItems, c.unshareItem),
		staff("POST "+atItems+"/{id}/link", read, atItems, c.linkItem),
		staff("POST "+atItems+"/{id}/link/end", see, atItems, c.endItemLink),
		staff("POST "+atItems+"/{id}/checkout", read, atItems, c.checkOutItem),
		staff("POST "+atItems+"/{id}/checkin", see, atItems, c.checkInItem),
		large(item.MaxFile+64<<10, staff("POST "+atItems+"/{id}/attach", see, atItems, c.attachFile)),
		staff("POST "+atItems+"/{id}/file", read, atItems, c.downloadFile),
		staff("POST "+atItems+"/{id}/detach", see, atItems, c.detachFile),
		staff("POST "+atItems+"/{id}/restore", see, atItems, c.restoreItem),
		staff("POST "+atItems+"/{id}/delete", see, atItems, c.deleteItem),
	}
}

type itemsPage struct {
	Table web.Table
	Acts  []web.Link
}

var itemTabs = []struct{ text, href string }{{"Items", atItems}, {"Report", atItems + "/report"}, {"Import", atItems + "/import"}, {"Make a password", atItems + "/password"}, {"Deleted", atItems + "?deleted=1"}}

func tabsOfItems(here string) (out []web.Link) {
	for _, t := range itemTabs {
		out = append(out, web.Link{Text: t.text, Href: t.href, Here: t.href == here})
	}
	return out
}

func (c *Console) showItems(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in := r.URL.Query()
	q := item.Query{Text: in.Get("q"), Folder: in.Get("folder"), Kind: in.Get("kind"), Deleted: in.Get("deleted") != ""}
	all, err := c.Items.List(r.Context(), who, item.Query{Deleted: q.Deleted})
	if err != nil {
		return err
	}
	list := all
	if q.Text != "" || q.Folder != "" || q.Kind != "" {
		if list, err = c.Items.List(r.Context(), who, q); err != nil {
			return err
		}
	}
	p := itemsPage{Table: web.Table{Columns: []web.Column{{Name: "Item"}, {Name: "User"}, {Name: "Vendor"}, {Name: "Held by"}, {Name: "To be replaced"}},
		Count: web.Count(int64(len(list)), "item"), Empty: web.Empty{Says: "No item is shared with you yet.", Next: web.Link{Text: "Make one", Href: atItems + "/new"}}}}
	tab, lead := atItems, "Passwords, keys and papers of the company, each with its owner. Every reveal is recorded with your name."
	switch {
	case q.Deleted:
		tab, lead = atItems+"?deleted=1", "Deleted items are erased after 30 days. Until then an owner can take them back."
		p.Table.Empty = web.Empty{Says: "Nothing of yours is deleted."}
	case len(all) > 0:
		p.Table.Filter = c.itemFilter(q, all)
		p.Acts = []web.Link{{Text: "New item", Href: atItems + "/new"}}
		p.Table.Empty = web.Empty{Says: "No item fits.", Next: web.Link{Text: "Show all", Href: atItems}}
	}
	for _, i := range list {
		p.Table.Rows = append(p.Table.Rows, c.vaultRow(r.Context(), i))
	}
	return c.show(w, r, "people", web.View{Title: "Company vault", Lead: lead, Tabs: tabsOfItems(tab), Data: p})
}

func (c *Console) itemFilter(q item.Query, all []item.Item) *web.Filter {
	folders := []web.Option{{Text: "All folders"}}
	kinds := []web.Option{{Text: "All kinds"}}
	for _, i := range all {
		if i.Folder != "" && !slices.ContainsFunc(folders, func(o web.Option) bool { return o.Value == i.Folder }) {
			folders = append(folders, web.Option{Value: i.Folder, Text: i.Folder, Chosen: i.Folder == q.Folder})
		}
	}
	slices.SortFunc(folders[1:], func(a, b web.Option) int { return strings.Compare(a.Text, b.Text) })
	for _, k := range item.Kinds {
		kinds = append(kinds, web.Option{Value: k.ID, Text: k.Name, Chosen: k.ID == q.Kind})
	}
	return &web.Filter{Action: atItems, Fields: []web.Field{{Name: "q", Label: "Search", Type: "search", Value: q.Text, Complete: "off"},
		{Name: "folder", Label: "Folder", Type: "select", Options: folders}, {Name: "kind", Label: "Kind", Type: "select", Options: kinds}}}
}

func (c *Console) vaultRow(ctx context.Context, i item.Item) web.Row {
	kind, _ := item.KindOf(i.Kind)
	user, _ := i.Field("username")
	under := kind.Name
	if i.Folder != "" {
		under = i.Folder + " · " + under
	}
	names := c.Items.HolderNames(ctx, i)
	held := names[0]
	if len(names) > 1 {
		held += " and " + strconv.Itoa(len(names)-1) + " more"
	}
	return web.Row{Cells: []web.Cell{{Text: i.Title, Href: itemHref(i.ID), Sub: under}, {Text: user.Value}, {Text: i.Vendor}, {Text: held, Sub: c.outWords(ctx, i)}, c.dueCell(i)}}
}

func (c *Console) outWords(ctx context.Context, i item.Item) string {
	if i.Out == nil {
		return ""
	}
	return "checked out by " + c.Items.Party(ctx, "person/"+i.Out.Person) + " until " + i.Out.Until.UTC().Format("15:04 UTC")
}

func (c *Console) dueCell(i item.Item) web.Cell {
	switch {
	case i.Overdue(c.Now()):
		return web.Cell{Mark: &web.Mark{State: web.Broken, Word: "since " + day(i.Due)}}
	case !i.Due.IsZero():
		return web.Cell{Text: day(i.Due)}
	}
	return web.Cell{Text: "never"}
}

// says are the findings of a report in words.
var says = map[string]string{item.Ownerless: "nobody who is here owns it", item.Banned: "its password is on the list of banned ones", item.Overdue: "it should have been replaced", item.Reused: "another item has the same secret",
	item.Weak: "its password is weak", item.Single: "one person alone holds it", item.Old: "its secret is older than a year"}

func (c *Console) showItemReport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	found, looked, err := c.Items.Report(r.Context(), who)
	if err != nil {
		return err
	}
	p := itemsPage{Table: web.Table{Columns: []web.Column{{Name: "Item"}, {Name: "What is wrong"}, {Name: "Held by"}}, Count: web.Count(int64(len(found)), "item") + " of " + strconv.Itoa(looked),
		Empty: web.Empty{Says: "Nothing is wrong with the " + web.Count(int64(looked), "item") + " that you may see."}}}
	for _, f := range found {
		var what []string
		for _, x := range f.What {
			what = append(what, says[x])
		}
		p.Table.Rows = append(p.Table.Rows, web.Row{Cells: []web.Cell{{Text: f.Title, Href: itemHref(f.ID), Sub: f.Folder}, {Text: strings.ToUpper(what[0][:1]) + strings.Join(what, "; ")[1:] + "."}, {Text: web.And(c.Items.HolderNames(r.Context(), f.Item))}}})
	}
	return c.show(w, r, "people", web.View{Title: "What to mend", Lead: "Passwords are measured where they lie, and shown to nobody.", Up: &web.Link{Text: "Company vault", Href: atItems}, Tabs: tabsOfItems(atItems + "/report"), Data: p})
}

type generatorPage struct {
	Made *web.Code
	Bits string
	Form *web.Form
}

func (c *Console) showGenerator(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return c.generatorPage(w, r, url.Values{"kind": {"characters"}}, item.Generated{}, nil)
}

func (c *Console) generatorPage(w http.ResponseWriter, r *http.Request, f url.Values, made item.Generated, fail error) error {
	p := generatorPage{Form: &web.Form{Action: atItems + "/password", Act: "Make it", Fault: fail, Fields: []web.Field{
		{Name: "kind", Label: "Made of", Type: "radio", Options: []web.Option{{Value: "characters", Text: "Characters", Chosen: f.Get("kind") != "words"}, {Value: "words", Text: "Words, to be typed or told", Chosen: f.Get("kind") == "words"}}},
		{Name: "length", Label: "How many", Value: f.Get("length"), Mode: "numeric", Max: 3, Complete: "off", Hint: "Empty: 20 characters, or 6 words."},
		{Name: "plain", Label: "Letters and digits only", Type: "checkbox", Options: []web.Option{{Chosen: f.Get("plain") != ""}}}}}}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	} else if !made.Text.IsZero() {
		p.Made, p.Bits = &web.Code{Label: "It is kept nowhere: copy it now.", Text: made.Text.Reveal()}, strconv.Itoa(int(made.Bits))
	}
	return c.answer(w, r, st, "generator", web.View{Title: "Make a password", Up: &web.Link{Text: "Company vault", Href: atItems}, Tabs: tabsOfItems(atItems + "/password"), Data: p})
}

func (c *Console) generate(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	n, bad := strconv.Atoi(f.Get("length"))
	if f.Get("length") != "" && bad != nil {
		n = -1 // refused with the others
	}
	recipe := item.Recipe{Length: n}
	if f.Get("plain") != "" {
		recipe.Classes = []string{"lower", "upper", "digit"}
	}
	if f.Get("kind") == "words" {
		if recipe = (item.Recipe{Words: n}); n == 0 {
			recipe.Words = 6
		}
	}
	g, err := c.Items.Generate(r.Context(), who, recipe)
	if err != nil && !formed(err) {
		return err
	}
	return c.generatorPage(w, r, f, g, err)
}

type importPage struct {
	Told  string
	Table *web.Table
	Form  *web.Form
}

func (c *Console) showItemImport(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return c.importPage(w, r, item.Result{}, nil)
}

func (c *Console) importPage(w http.ResponseWriter, r *http.Request, res item.Result, fail error) error {
	p := importPage{Form: &web.Form{Action: atItems + "/import", Upload: true, Act: "Try it", Fault: fail, Fields: []web.Field{
		{Name: "file", Label: "The export", Type: "file", Required: true, Hint: "1Password (1PUX, CSV), Bitwarden (JSON, CSV), KeePass 2 (KDBX, XML) or a browser (CSV), at most 10 MiB. Nothing is kept of it by a try."},
		{Name: "password", Label: "Password of a KeePass database (KDBX)", Type: "password", Complete: "off", Hint: "Other exports have none. It opens the database once and is not kept. The command “writ vault item import” opens it on your own machine."},
		{Name: "key_file", Label: "Its key file, where it has one", Type: "file"}}}}
	lead := "Bring over what another keeper of passwords exports. You own what comes. Delete the export afterwards: most are not encrypted."
	if len(res.Rows) > 0 {
		t := web.Table{Caption: "What is in it", Columns: []web.Column{{Name: "Row", Figure: true}, {Name: "Title"}, {Name: "Kind"}, {Name: "What becomes of it"}}}
		for _, b := range res.Rows {
			kind, _ := item.KindOf(b.Kind)
			what := web.Cell{Text: "It comes over.", Sub: strings.Join(b.Told, "; ")}
			if b.Problem != "" {
				what = web.Cell{Mark: &web.Mark{State: web.Broken, Word: "left out: " + b.Problem}}
			}
			t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: strconv.Itoa(b.N)}, {Text: b.Title}, {Text: kind.Name}, what}})
		}
		p.Table = &t
		p.Told = strconv.Itoa(res.Good) + " of " + strconv.Itoa(len(res.Rows)) + " rows can come over."
		p.Form.Act, p.Form.Fields[0].Label = "Bring "+web.Count(int64(res.Good), "item")+" over", "The same file once more"
		p.Form.Fields[0].Hint = "It was not kept, so choose it again. All good rows come, or none."
		p.Form.Hidden = []web.Pair{{Name: "pass", Value: res.Pass}}
		if res.Good == 0 {
			p.Form = nil
		}
	}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	return c.answer(w, r, st, "item-import", web.View{Title: "Import", Lead: lead, Up: &web.Link{Text: "Company vault", Href: atItems}, Tabs: tabsOfItems(atItems + "/import"), Data: p})
}

func (c *Console) importItems(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, files, err := web.ReadUpload(r)
	if err != nil {
		return err
	}
	res, err := c.Items.Bring(r.Context(), who, item.Import{File: secret.NewBytes(files["file"].Body), Key: kdbx.Key{Password: secret.NewText(f.Get("password")), File: secret.NewBytes(files["key_file"].Body)}, Pass: f.Get("pass"), Some: true})
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.importPage(w, r, item.Result{}, err)
	}
	if res.Done {
		return c.done(w, r, atItems, web.Count(int64(res.Good), "item")+" came over. Delete the export now.")
	}
	return c.importPage(w, r, res, nil)
}
