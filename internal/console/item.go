package console

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/vault/item"
	"writ/internal/web"
)

type itemPage struct {
	Acts     []web.Link
	Facts    []fact
	Secrets  []itemSecret
	Link     *web.Code // a link that was just made
	Out      *web.Form
	In       *web.Form
	Files    []itemFile
	Attach   *web.Form
	Holders  []itemHolder
	Share    *web.Form
	Links    []itemLink
	MakeLink *web.Form
	Past     []itemPast
	Restore  *web.Form // of a deleted item
	Delete   *web.Form
}

type itemSecret struct {
	item.Field
	At   string    // where its reveal is posted; "" = the reader may not
	Act  string    // the button
	Code *web.Code // the value
	Told string
	Ask  *web.Form // the reason
}

type itemFile struct {
	item.File
	Size   string
	Get    string
	Detach string
	Reason bool
}

type itemHolder struct {
	Name, Level, Who string
	Take             string
}

type itemLink struct {
	Says, Sub, ID string
	Mark          web.Mark
	End           string
}

type itemPast struct {
	item.Version
	Who, What string
	Restore   string
}

// tried is what somebody did on the page of an item, to be shown on it.
type tried struct {
	field    string // that was asked for
	revealed *item.Revealed
	link     string
	part     string // the form that was refused
	form     url.Values
	fail     error
}

func (t tried) at(part string) error {
	if t.part == part {
		return t.fail
	}
	return nil
}

func (c *Console) showItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.itemPage(w, r, who, tried{})
}

func (c *Console) itemPage(w http.ResponseWriter, r *http.Request, who actor.Actor, t tried) error {
	i, err := c.Items.Show(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	past, err := c.Items.History(r.Context(), who, i.ID)
	if err != nil {
		return err
	}
	at := itemHref(i.ID)
	p := itemPage{Facts: c.itemFacts(r, i)}
	switch {
	case !i.Deleted.IsZero():
		if i.Level == item.Owner {
			p.Restore = &web.Form{Action: at + "/restore", Act: "Take it back", Hidden: []web.Pair{{Name: "version", Value: "0"}}}
		}
	case i.Level == "":
		c.careOf(&p, i, t)
	default:
		c.useOf(&p, i, t)
		c.manage(r, &p, i, t)
	}
	for _, v := range past {
		row := itemPast{Version: v, Who: c.acted(r.Context(), v.By), What: strings.Join(v.Fields, ", ")}
		if v.Version == i.Version {
			row.What += " · what it is now"
		} else if i.Deleted.IsZero() && (i.Level == item.Editor || i.Level == item.Owner) {
			row.Restore = at + "/restore"
		}
		p.Past = append(p.Past, row)
	}
	v := web.View{Title: i.Title, Up: &web.Link{Text: "Company vault", Href: atItems}, Data: p}
	st := http.StatusOK
	if t.fail != nil {
		st = status(t.fail)
		if t.field == "" && !slices.ContainsFunc([]*web.Form{p.Out, p.In, p.Attach, p.Share, p.MakeLink, p.Delete}, func(f *web.Form) bool { return f != nil && f.Fault != nil }) {
			v.Fault = t.fail // its form is not on this reader's page
		}
	}
	return c.answer(w, r, st, "item", v)
}

func (c *Console) itemFacts(r *http.Request, i item.Item) []fact {
	kind, _ := item.KindOf(i.Kind)
	out := []fact{{Name: "Kind", Text: kind.Name}}
	for _, f := range []struct{ name, text string }{{"Folder", i.Folder}, {"Vendor", i.Vendor}} {
		if f.text != "" {
			out = append(out, fact{Name: f.name, Text: f.text})
		}
	}
	for _, f := range i.Fields {
		if f.Secret {
			continue
		}
		x := fact{Name: f.Label}
		for _, line := range strings.Split(f.Value, "\n") {
			l := fact{Text: line, Code: f.ID != "username"}
			if strings.HasPrefix(line, "https://") && f.ID == "url" {
				l.Href = line
			}
			x.Lines = append(x.Lines, l)
		}
		if len(x.Lines) == 1 {
			name := x.Name
			x = x.Lines[0]
			x.Name = name
		}
		out = append(out, x)
	}
	switch {
	case i.Overdue(c.Now()):
		out = append(out, fact{Name: "To be replaced", Mark: &web.Mark{State: web.Broken, Word: "overdue since " + day(i.Due)}})
	case !i.Due.IsZero():
		out = append(out, fact{Name: "To be replaced", Text: day(i.Due), Sub: " every " + web.Count(int64(i.Rotate), "day")})
	}
	if i.Critical {
		out = append(out, fact{Name: "Critical", Text: "yes", Sub: " several people hold it, and each reveal has a reason"})
	} else if i.Sensitive {
		out = append(out, fact{Name: "Sensitive", Text: "yes", Sub: " each reveal has a reason"})
	}
	if i.Out != nil {
		out = append(out, fact{Name: "In use", Mark: &web.Mark{State: web.StaleNow, Word: c.outWords(r.Context(), i)}})
	}
	if !i.Deleted.IsZero() {
		out = append(out, fact{Name: "Deleted", At: i.Deleted, Sub: " erased 30 days later"})
	}
	return out
}

// reasonField asks why; needed says that it must be told.
func reasonField(needed bool) web.Field {
	f := web.Field{Name: "reason", Label: "Why", Required: needed, Max: 300, Complete: "off", Hint: "It stands in the record."}
	if !needed {
		f.Hint = "You may say why. It stands in the record."
	}
	return f
}

// useOf is what a viewer does with an item.
func (c *Console) useOf(p *itemPage, i item.Item, t tried) {
	at := itemHref(i.ID)
	wary := i.Critical || i.Sensitive
	for _, f := range i.Fields {
		if !f.Secret {
			continue
		}
		s := itemSecret{Field: f, At: at + "/reveal", Act: "Reveal", Told: "hidden"}
		if f.ID == "totp" {
			s.Act, s.Told = "Show the code", "the seed is never shown"
		}
		switch {
		case t.field != f.ID:
		case t.revealed != nil:
			s.Code = &web.Code{Text: t.revealed.Text.Reveal()}
			s.Told = "recorded with your name"
			if t.revealed.Left > 0 {
				s.Told = "good for " + web.Duration(t.revealed.Left) + " · " + s.Told
			}
		case t.fail != nil:
			ask := reasonField(wary)
			ask.Focus = true
			s.Ask = &web.Form{Action: s.At, Act: s.Act + " it", Hidden: []web.Pair{{Name: "field", Value: f.ID}}, Fields: []web.Field{ask}, Part: f.ID}
			if t.form.Has("reason") {
				s.Ask.Fault = t.fail
			}
		}
		p.Secrets = append(p.Secrets, s)
	}
	for _, f := range i.Files {
		row := itemFile{File: f, Size: web.Number((f.Size+1023)/1024) + " KiB", Get: at + "/file", Reason: wary}
		if i.Level != item.Viewer {
			row.Detach = at + "/detach"
		}
		p.Files = append(p.Files, row)
	}
	if i.Out == nil && len(p.Secrets) > 0 {
		p.Out = &web.Form{Fold: "Check it out, for a while", Action: at + "/checkout", Act: "Check it out", Quiet: true, Part: "out", Fault: t.at("out"), Fields: []web.Field{reasonField(true),
			{Name: "minutes", Label: "For how many minutes", Value: "60", Mode: "numeric", Max: 4, Complete: "off", Hint: "5 to 1440. Nobody else uses it until then; afterwards it is to be replaced."}}}
	}
	if i.Out != nil {
		p.In = &web.Form{Action: at + "/checkin", Act: "Check it in", Quiet: true, Part: "in", Fault: t.at("in")}
	}
}

// manage is what editors and owners do with it.
func (c *Console) manage(r *http.Request, p *itemPage, i item.Item, t tried) {
	at := itemHref(i.ID)
	owner := i.Level == item.Owner
	for _, h := range i.Holders {
		row := itemHolder{Name: c.Items.Party(r.Context(), h.Who), Level: string(h.Level), Who: h.Who}
		if owner {
			row.Take = at + "/unshare"
		}
		p.Holders = append(p.Holders, row)
	}
	if i.Level == item.Viewer {
		return
	}
	p.Acts = []web.Link{{Text: "Edit", Href: at + "/edit"}, {Text: "In the journal", Href: atJournal + "?object=item/" + i.ID}}
	p.Attach = &web.Form{Fold: "Attach a file", Action: at + "/attach", Upload: true, Act: "Attach it", Quiet: true, Part: "file", Fault: t.at("file"), Fields: []web.Field{{Name: "file", Label: "A file", Type: "file", Required: true, Hint: "At most 1 MiB, sealed like the rest."}}}
	fields := []web.Field{}
	for _, f := range i.Fields {
		if f.ID != "totp" {
			fields = append(fields, web.Field{Name: "show-" + f.ID, Label: f.Label, Type: "checkbox", Options: []web.Option{{Chosen: f.ID == "password" || f.ID == "key"}}})
		}
	}
	if len(fields) > 0 {
		fields = append(fields, reasonField(i.Critical || i.Sensitive), web.Field{Name: "minutes", Label: "For how many minutes", Value: "1440", Mode: "numeric", Max: 4, Complete: "off", Hint: "5 to 1440. It opens once."})
		p.MakeLink = &web.Form{Fold: "Make a link that opens once", Action: at + "/link", Act: "Make a one-time link", Quiet: true, Part: "link", Fault: t.at("link"), Fields: fields}
	}
	if t.link != "" {
		p.Link = &web.Code{Label: "Send this to one person. It is shown this once, and opens once.", Text: t.link}
	}
	for _, l := range i.Links {
		p.Links = append(p.Links, c.itemLink(r, at, i, l))
	}
	if !owner {
		return
	}
	p.Share = c.shareForm(at, t, []web.Option{{Value: "viewer", Text: "Viewer: use it"}, {Value: "editor", Text: "Editor: change it"}, {Value: "owner", Text: "Owner: answer for it"}})
	p.Delete = &web.Form{Fold: "Delete it", Action: at + "/delete", Act: "Delete " + i.Title, Part: "delete", Fault: t.at("delete"), Loses: "Nobody can use it any more. You can take it back for 30 days; then it is erased.",
		Fields: []web.Field{{Name: "title", Label: "Type its title", Hint: i.Title, Required: true, Complete: "off"}}}
}

func (c *Console) shareForm(at string, t tried, levels []web.Option) *web.Form {
	return &web.Form{Fold: "Share it with somebody", Action: at + "/share", Act: "Share it", Quiet: true, Part: "share", Fault: t.at("share"), Fields: []web.Field{
		{Name: "with", Label: "With whom", Value: t.form.Get("with"), Required: true, Complete: "off", Hint: "An address or handle, role:engineer (also owner, support, auditor), or team for everybody."},
		{Name: "level", Label: "As", Type: "select", Options: levels}}}
}

// careOf lets somebody who takes care of all items name an owner where there is none.
func (c *Console) careOf(p *itemPage, i item.Item, t tried) {
	p.Share = c.shareForm(itemHref(i.ID), t, []web.Option{{Value: "owner", Text: "Owner: answer for it"}})
	p.Share.Act, p.Share.Fold = "Name an owner", ""
}

func (c *Console) itemLink(r *http.Request, at string, i item.Item, l item.Link) itemLink {
	var names []string
	for _, id := range l.Fields {
		if f, ok := i.Field(id); ok {
			names = append(names, f.Label)
		}
	}
	out := itemLink{ID: l.ID, Says: web.And(names), Sub: "made by " + c.Identity.Name(r.Context(), l.Maker)}
	switch l.State(c.Now()) {
	case "waits":
		out.Mark = web.Mark{State: web.Unproved, Word: "waits until " + l.Until.UTC().Format("2 January 15:04 UTC")}
		out.End = at + "/link/end"
	case "opened":
		out.Mark = web.Mark{State: web.Holds, Word: "opened", At: l.Opened}
		out.Sub += ", opened from " + l.Opener
		if l.Again > 0 {
			out.Mark.State = web.Broken
			out.Sub += "; somebody tried again: " + web.Count(l.Again, "time") + ", refused"
		}
	default:
		out.Mark = web.Mark{State: web.StaleNow, Word: "never opened"}
	}
	return out
}

// itemDone leads back to the item, or shows the refusal beside the form.
func (c *Console) itemDone(w http.ResponseWriter, r *http.Request, who actor.Actor, part string, f url.Values, err error, says string) error {
	if err == nil {
		return c.done(w, r, itemHref(r.PathValue("id")), says)
	}
	if code, _ := fault.PublicOf(err); !formed(err) || code == "item_unknown" || code == "item_deleted" {
		return err
	}
	return c.itemPage(w, r, who, tried{part: part, form: f, fail: err})
}

func (c *Console) revealItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	t := tried{field: f.Get("field"), form: f}
	var v item.Revealed
	if t.field == "totp" {
		v, err = c.Items.Code(r.Context(), who, r.PathValue("id"), f.Get("reason"))
	} else {
		v, err = c.Items.Reveal(r.Context(), who, r.PathValue("id"), t.field, f.Get("reason"))
	}
	switch code, _ := fault.PublicOf(err); {
	case err == nil:
		t.revealed = &v
	case code == "reason_missing":
		t.fail = err
	default:
		return err
	}
	return c.itemPage(w, r, who, t) // never through a cookie or an address
}

func (c *Console) shareItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	_, err = c.Items.Share(r.Context(), who, r.PathValue("id"), f.Get("with"), item.Level(f.Get("level")))
	return c.itemDone(w, r, who, "share", f, err, "The item is shared.")
}

func (c *Console) unshareItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	_, err = c.Items.Unshare(r.Context(), who, r.PathValue("id"), f.Get("who"))
	return c.itemDone(w, r, who, "share", url.Values{}, err, "They hold the item no more. What they saw of it stays on their list of secrets to replace.")
}

// span reads minutes; what is no number is refused with the others.
func span(f url.Values) time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(f.Get("minutes")))
	if err != nil || n > 1<<20 {
		return 0
	}
	return time.Duration(n) * time.Minute
}

func (c *Console) linkItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	var fields []string
	for name := range f {
		if id, ok := strings.CutPrefix(name, "show-"); ok {
			fields = append(fields, id)
		}
	}
	_, link, err := c.Items.MakeLink(r.Context(), who, r.PathValue("id"), fields, span(f), f.Get("reason"))
	if err != nil {
		return c.itemDone(w, r, who, "link", f, err, "")
	}
	return c.itemPage(w, r, who, tried{link: link})
}

func (c *Console) endItemLink(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	return c.itemDone(w, r, who, "link", url.Values{}, c.Items.EndLink(r.Context(), who, r.PathValue("id"), f.Get("link")), "The link opens nothing any more.")
}

func (c *Console) checkOutItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	_, err = c.Items.CheckOut(r.Context(), who, r.PathValue("id"), f.Get("reason"), span(f))
	return c.itemDone(w, r, who, "out", f, err, "You alone use it now.")
}

func (c *Console) checkInItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.itemDone(w, r, who, "in", url.Values{}, c.Items.CheckIn(r.Context(), who, r.PathValue("id")), "It is back. Replace its secret now.")
}

func (c *Console) attachFile(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	_, files, err := web.ReadUpload(r)
	if err != nil {
		return err
	}
	_, err = c.Items.Attach(r.Context(), who, r.PathValue("id"), files["file"].Name, bytesOf(files["file"]))
	return c.itemDone(w, r, who, "file", url.Values{}, err, "The file is attached.")
}

func (c *Console) downloadFile(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	file, body, err := c.Items.Download(r.Context(), who, r.PathValue("id"), f.Get("file"), f.Get("reason"))
	if err != nil {
		return err
	}
	defer body.Wipe()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": file.Name}))
	_, err = w.Write(body.Reveal())
	return err
}

func (c *Console) detachFile(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	return c.itemDone(w, r, who, "file", url.Values{}, c.Items.Detach(r.Context(), who, r.PathValue("id"), f.Get("file")), "The file is removed.")
}

func (c *Console) restoreItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	version, err := strconv.ParseInt(f.Get("version"), 10, 64)
	switch {
	case err != nil:
		return fault.New(fault.Invalid, "version", fault.Public{Problem: "That is no number of a version."})
	case version == 0:
		_, err = c.Items.Undelete(r.Context(), who, r.PathValue("id"))
		return c.itemDone(w, r, who, "", f, err, "The item is back.")
	}
	_, err = c.Items.Restore(r.Context(), who, r.PathValue("id"), version)
	return c.itemDone(w, r, who, "", f, err, "The item is what it was in version "+f.Get("version")+".")
}

func (c *Console) deleteItem(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	i, err := c.Items.Show(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	if strings.TrimSpace(f.Get("title")) != i.Title {
		return c.itemDone(w, r, who, "delete", f, fault.New(fault.Invalid, "title", fault.Public{Problem: "The title is another.", Fields: []fault.Field{{Name: "title", Code: "title", Problem: "Type the title as it stands."}}}), "")
	}
	if err := c.Items.Delete(r.Context(), who, i.ID); err != nil {
		return c.itemDone(w, r, who, "delete", f, err, "")
	}
	return c.done(w, r, atItems+"?deleted=1", "The item is deleted. You can take it back for 30 days.")
}
