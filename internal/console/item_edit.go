package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/vault/item"
	"writ/internal/web"
)

func bytesOf(u web.Upload) secret.Bytes { return secret.NewBytes(u.Body) }

type itemForm struct{ Form web.Form }

// blankRows are how many fields of one's own can be added at once.
const blankRows = 2

func (c *Console) newItem(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	kind := r.URL.Query().Get("kind")
	if _, ok := item.KindOf(kind); !ok {
		kind = item.Kinds[0].ID
	}
	return c.itemForm(w, r, item.Item{Kind: kind}, url.Values{"kind": {kind}}, nil)
}

func (c *Console) editItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	i, err := c.Items.Show(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	f := url.Values{"kind": {i.Kind}, "title": {i.Title}, "folder": {i.Folder}, "vendor": {i.Vendor}, "rotate": {strconv.Itoa(i.Rotate)}}
	for name, on := range map[string]bool{"critical": i.Critical, "sensitive": i.Sensitive} {
		if on {
			f.Set(name, "on")
		}
	}
	for _, x := range i.Fields {
		f.Set("v-"+x.ID, x.Value)
	}
	return c.itemForm(w, r, i, f, nil)
}

// itemForm is the form of a new item, or of what is there.
func (c *Console) itemForm(w http.ResponseWriter, r *http.Request, i item.Item, f url.Values, fail error) error {
	kind, _ := item.KindOf(i.Kind)
	var kinds []web.Link
	title, up := "New item", &web.Link{Text: "Company vault", Href: atItems}
	p := itemForm{Form: web.Form{Action: atItems, Act: "Keep it", Hidden: []web.Pair{{Name: "kind", Value: i.Kind}}, Fault: inForm(fail), Other: &web.Link{Text: "Make a password first", Href: atItems + "/password"}}}
	if i.ID == "" {
		for _, k := range item.Kinds {
			kinds = append(kinds, web.Link{Text: k.Name, Href: atItems + "/new?kind=" + k.ID, Here: k.ID == i.Kind})
		}
	} else {
		title, up = "Edit "+i.Title, &web.Link{Text: i.Title, Href: itemHref(i.ID)}
		p.Form.Action = itemHref(i.ID)
		p.Form.Hidden = append(p.Form.Hidden, web.Pair{Name: "version", Value: strconv.FormatInt(i.Version, 10)})
	}
	p.Form.Fields = []web.Field{{Name: "title", Label: "Title", Value: f.Get("title"), Required: true, Max: 200, Complete: "off", Focus: fail == nil},
		{Name: "folder", Label: "Folder", Value: f.Get("folder"), Max: 200, Complete: "off"}, {Name: "vendor", Label: "Vendor", Value: f.Get("vendor"), Max: 200, Complete: "off", Hint: "The company behind it."}}
	for _, s := range kind.Fields {
		p.Form.Fields = append(p.Form.Fields, specField(s, i, f))
	}
	own, ids := ownFields(i, f)
	p.Form.Fields, p.Form.Hidden = append(p.Form.Fields, own...), append(p.Form.Hidden, ids...)
	if kind.ID != "note" && kind.ID != "document" {
		p.Form.Fields = append(p.Form.Fields, web.Field{Name: "rotate", Label: "Replace it every so many days", Value: f.Get("rotate"), Mode: "numeric", Max: 4, Complete: "off", Hint: "Empty: every 365."})
	}
	p.Form.Fields = append(p.Form.Fields, web.Field{Name: "sensitive", Label: "Sensitive: each reveal has a reason", Type: "checkbox", Options: []web.Option{{Chosen: f.Get("sensitive") != ""}}},
		web.Field{Name: "critical", Label: "Critical: several people hold it, and each reveal has a reason", Type: "checkbox", Options: []web.Option{{Chosen: f.Get("critical") != ""}}})
	if i.ID == "" {
		p.Form.Fields = append(p.Form.Fields, web.Field{Name: "owners", Label: "Other owners", Value: f.Get("owners"), Complete: "off", Hint: "Addresses or handles, with spaces between. You are one."})
	}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	return c.answer(w, r, st, "item-edit", web.View{Title: title, Up: up, Tabs: kinds, Data: p})
}

// inForm renames the fields of a refusal as the form calls them.
func inForm(fail error) error {
	code, pub := fault.PublicOf(fail)
	if fail == nil || len(pub.Fields) == 0 {
		return fail
	}
	known := []string{"title", "folder", "vendor", "rotate", "critical", "sensitive", "owners"}
	fields := make([]fault.Field, len(pub.Fields))
	for n, x := range pub.Fields {
		if x.Name == "with" {
			x.Name = "owners"
		}
		if !strings.Contains(" "+strings.Join(known, " ")+" ", " "+x.Name+" ") {
			x.Name = "v-" + x.Name
		}
		fields[n] = x
	}
	pub.Fields = fields
	return fault.New(fault.KindOf(fail), code, pub)
}

func specField(s item.Spec, i item.Item, f url.Values) web.Field {
	x := web.Field{Name: "v-" + s.ID, Label: s.Label, Value: f.Get("v-" + s.ID), Complete: "off"}
	_, has := i.Field(s.ID)
	switch {
	case s.ID == "totp":
		x.Type, x.Complete, x.Hint = "password", "new-password", "The otpauth address or the key that the page shows. It is never shown again; only its codes are."
	case s.Secret && !s.Lines:
		x.Type, x.Complete = "password", "new-password"
	case s.Lines:
		x.Type, x.Rows = "textarea", 3
	}
	if s.ID == "url" {
		x.Hint = "One a line."
	}
	if s.Secret {
		x.Value = ""
	}
	if s.Secret && has {
		x.Hint = strings.TrimSpace("Empty: it stays as it is. " + x.Hint)
	}
	return x
}

// ownRow is a field of one's own, as a form has it.
type ownRow struct {
	id, label, value string // no id: a new one
	hidden           bool
}

// ownRows are the fields of one's own in a form that was sent.
func ownRows(f url.Values) (out []ownRow) {
	for n := 0; f.Has("own-label-" + strconv.Itoa(n)); n++ {
		k := strconv.Itoa(n)
		out = append(out, ownRow{f.Get("own-id-" + k), f.Get("own-label-" + k), f.Get("own-value-" + k), f.Get("own-secret-"+k) != ""})
	}
	return out
}

// ownFields are the fields of one's own, as they are or as they were typed, and a few blank
// ones; with their ids, because their places may be others by the time the form is sent.
func ownFields(i item.Item, f url.Values) (fields []web.Field, ids []web.Pair) {
	var rows []ownRow
	typed := ownRows(f)
	for _, x := range i.Fields {
		if !strings.HasPrefix(x.ID, "own-") {
			continue
		}
		r := ownRow{x.ID, x.Label, x.Value, x.Secret}
		if n := slices.IndexFunc(typed, func(t ownRow) bool { return t.id == x.ID }); n >= 0 {
			r = typed[n]
		}
		rows = append(rows, r)
	}
	blank := blankRows
	for _, t := range typed {
		if _, there := i.Field(t.id); !there && t.label+t.value != "" { // also what somebody else has taken out
			rows = append(rows, ownRow{"", t.label, t.value, t.hidden})
			blank = max(0, blank-1)
		}
	}
	rows = append(rows, slices.Repeat([]ownRow{{hidden: true}}, blank)...)
	for n, r := range rows {
		k := strconv.Itoa(n)
		about := web.Field{Name: "own-label-" + k, Label: "Name of a further field", Value: r.label, Max: 200, Complete: "off"}
		what := web.Field{Name: "own-value-" + k, Label: "Its value", Value: r.value, Complete: "off"}
		if r.id != "" {
			about.Label, about.Hint = "Name of the field", "Empty: it is taken out."
			ids = append(ids, web.Pair{Name: "own-id-" + k, Value: r.id})
		}
		if r.hidden {
			what.Value = ""
		}
		if was, _ := i.Field(r.id); was.Secret {
			what.Hint = "Empty: it stays as it is."
		}
		fields = append(fields, about, what, web.Field{Name: "own-secret-" + k, Label: "Hidden until it is revealed", Type: "checkbox", Options: []web.Option{{Chosen: r.hidden}}})
	}
	return fields, ids
}

// draftOf reads the form. Secrets that were left empty stay as they are.
func draftOf(i item.Item, f url.Values) item.Draft {
	kind, _ := item.KindOf(i.Kind)
	d := item.Draft{Kind: i.Kind, Title: f.Get("title"), Folder: f.Get("folder"), Vendor: f.Get("vendor"), Critical: f.Get("critical") != "", Sensitive: f.Get("sensitive") != "", Values: map[string]secret.Text{}}
	for _, s := range kind.Fields {
		if v := f.Get("v-" + s.ID); v != "" || !s.Secret {
			d.Values[s.ID] = secret.NewText(v)
		}
	}
	if typed := strings.TrimSpace(f.Get("rotate")); typed != "" {
		n, err := strconv.Atoi(typed)
		if err != nil {
			n = -1 // refused with the others
		}
		d.Rotate = n
	}
	for _, r := range ownRows(f) {
		x := item.Custom{ID: r.id, Label: r.label, Secret: r.hidden}
		if was, _ := i.Field(r.id); r.value != "" || !was.Secret {
			v := secret.NewText(r.value)
			x.Value = &v
		}
		d.Custom = append(d.Custom, x)
	}
	return d
}

func (c *Console) addItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	i := item.Item{Kind: f.Get("kind")}
	in := item.NewItem{Draft: draftOf(i, f)}
	if others := strings.Fields(f.Get("owners")); len(others) > 0 {
		in.Owners = append(others, who.ID)
	}
	made, err := c.Items.Create(r.Context(), who, in)
	if err != nil {
		if _, ok := item.KindOf(i.Kind); !ok || !formed(err) {
			return err
		}
		return c.itemForm(w, r, i, f, err)
	}
	return c.done(w, r, itemHref(made.ID), "The item is kept. You own it.")
}

func (c *Console) saveItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	i, err := c.Items.Show(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	d := draftOf(i, f)
	if d.Version, err = strconv.ParseInt(f.Get("version"), 10, 64); err != nil || d.Version < 1 {
		d.Version = -1 // a form that does not say what it is of changes nothing
	}
	after, err := c.Items.Edit(r.Context(), who, i.ID, d)
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.itemForm(w, r, i, f, err)
	}
	says := "Nothing was changed."
	if after.Version != i.Version {
		says = "The item is at version " + strconv.FormatInt(after.Version, 10) + "."
	}
	return c.done(w, r, itemHref(i.ID), says)
}
