package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident"
	page "writ/internal/incident/status"
	"writ/internal/incident/wording"
	"writ/internal/web"
)

const atTexts = atStatus + "/texts"

// noticeRoutes are where a notice is written and seen before it is posted, and the texts that notices
// begin with.
func (c *Console) noticeRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	return []web.Route{
		staff("GET /-/console/incidents/{ref}/notice", access.IncidentAct, atIncidents, c.writeNotice),
		staff("POST /-/console/incidents/{ref}/notice", access.IncidentAct, atIncidents, c.seeNotice),
		staff("GET /-/console/status/texts", access.IncidentRead, atStatus, c.showTexts),
		staff("GET /-/console/status/texts/{kind}/{state}", access.IncidentRead, atStatus, c.showText),
		staff("POST /-/console/status/texts/{kind}/{state}", access.IncidentAct, atStatus, c.onText("Notices begin with this text.", c.setText)),
		staff("POST /-/console/status/texts/{kind}/{state}/reset", access.IncidentAct, atStatus, c.onText("Notices begin with the shipped text again.", c.resetText)),
	}
}

// filling is what the forms of an incident are filled with.
type filling struct {
	components []web.Option
	text       func(state string) string // a notice to begin with
}

// fillingOf reads it, for who may post.
func (c *Console) fillingOf(r *http.Request, who actor.Actor, v incident.View) (filling, error) {
	components, err := c.componentOptions(r)
	return filling{components, func(state string) string {
		d, err := c.Incidents.Draft(r.Context(), who, v.Ref(), incident.Wanted{State: state})
		if err != nil {
			return "" // the form is of use without one
		}
		return d.Text
	}}, err
}

// eventOfWord is the step that a post of a word is.
func eventOfWord(state string) string {
	switch state {
	case page.Resolved:
		return "finish"
	case page.Postmortem:
		return "publish-review"
	case page.Retracted:
		return "retract"
	}
	return "update"
}

// wordOfEvent is the word that a form of a step begins with.
func wordOfEvent(v incident.View, event string) string {
	for _, w := range []string{page.Resolved, page.Postmortem, page.Retracted} {
		if eventOfWord(w) == event {
			return w
		}
	}
	if len(v.Posts) > 0 && !page.Over(v.Posts[0].State) {
		return v.Posts[0].State
	}
	return page.Investigating
}

// postOf is a post as a form has it. What was seen is posted: its times are no longer counted from now.
func postOf(f formValues, now time.Time) page.Post {
	p := page.Post{Title: f.get("title"), State: f.get("state"), Body: strings.ReplaceAll(f.get("body"), "\r\n", "\n"), Estimate: f.in(now, "estimate", time.Minute), Next: f.in(now, "next", time.Minute), Touched: map[string]string{}}
	for name, t := range map[string]*time.Time{"estimate-at": &p.Estimate, "next-at": &p.Next} {
		if at, err := time.Parse(time.RFC3339, f.get(name)); err == nil {
			*t = at
		}
	}
	if id := f.get("component"); id != "" {
		p.Touched[id] = f.get("is")
	}
	return p
}

type noticePage struct {
	Post   *web.Form // posts what is shown
	Leaks  []string
	Each   []noticeOn
	Write  web.Form
	Choose web.Form
	Texts  string
}

type noticeOn struct {
	Title, Says string
	Code        web.Code
}

func (c *Console) writeNotice(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.noticePage(w, r, who, formValues(r.URL.Query()), false)
}

func (c *Console) seeNotice(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	return c.noticePage(w, r, who, formValues(f), true)
}

// noticePage has a notice written, from a text of a kind and a word, and shows what was written as it
// would stand on each channel.
func (c *Console) noticePage(w http.ResponseWriter, r *http.Request, who actor.Actor, f formValues, see bool) error {
	v, err := c.Incidents.Show(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	at, now := atIncidents+"/"+v.Ref(), c.Now()
	components, err := c.componentOptions(r)
	if err != nil {
		return err
	}
	if f.get("state") == "" {
		f["state"] = []string{wordOfEvent(v, "update")}
	}
	typed := postOf(f, now)
	p := noticePage{Texts: atTexts}
	status, failed := http.StatusOK, error(nil)
	if see {
		failed = c.previews(r, who, v, f, typed, at, &p)
	} else {
		d, err := c.Incidents.Draft(r.Context(), who, v.Ref(), incident.Wanted{Kind: f.get("kind"), State: f.get("state"), Estimate: typed.Estimate, Next: typed.Next, Touched: slices.DeleteFunc([]string{f.get("component")}, func(s string) bool { return s == "" })})
		if err != nil {
			return err
		}
		f["kind"], f["body"] = []string{d.Kind}, []string{d.Text}
	}
	if k := fault.KindOf(failed); failed != nil && k != fault.Invalid {
		return failed
	} else if failed != nil {
		status = k.Status()
	}
	fields := web.Fill(postFields(v, eventOfWord(f.get("state")), filling{components, func(string) string { return "" }}), url.Values(f))
	p.Write = web.Form{Part: "write", Action: at + "/notice", Act: "Show how it will stand", Quiet: p.Post != nil, Fault: failed, Fields: fields, Hidden: []web.Pair{{Name: "kind", Value: f.get("kind")}}, Other: &web.Link{Text: "Back to " + v.Ref(), Href: at}}
	p.Choose = chooseForm(v, at, components, f)
	return c.answer(w, r, status, "post", web.View{Title: "A notice about " + v.Ref(), Lead: v.Title, Up: &web.Link{Text: v.Ref(), Href: at}, Data: p})
}

// chooseForm chooses the text to begin with; it changes nothing.
func chooseForm(v incident.View, at string, components []web.Option, f formValues) web.Form {
	kind, state := web.Field{Name: "kind", Label: "Kind", Type: "select"}, web.Field{Name: "state", Label: "How it stands", Type: "select"}
	for _, k := range v.Kinds {
		kind.Options = append(kind.Options, web.Option{Value: k, Text: strings.ReplaceAll(k, "-", " ")})
	}
	for _, s := range page.Words() {
		state.Options = append(state.Options, web.Option{Value: s, Text: page.Word(s)})
	}
	fields := []web.Field{kind, state}
	if len(components) > 1 {
		fields = append(fields, web.Field{Name: "component", Label: "Which part it concerns", Type: "select", Options: slices.Clone(components)})
	}
	fields = append(fields, web.Field{Name: "estimate", Label: "Service returns in how many minutes", Mode: "numeric", Max: 5, Complete: "off"}, web.Field{Name: "next", Label: "The next update comes in how many minutes", Mode: "numeric", Max: 5, Complete: "off"})
	return web.Form{Part: "choose", Action: at + "/notice", Method: "get", Act: "Begin with this text", Quiet: true, Fields: web.Fill(fields, url.Values(f))}
}

// previews shows a post on each channel, with the means to post what is shown.
func (c *Console) previews(r *http.Request, who actor.Actor, v incident.View, f formValues, typed page.Post, at string, p *noticePage) error {
	x, err := c.Incidents.PreviewPost(r.Context(), who, v.Ref(), typed)
	if err != nil {
		return err
	}
	for _, l := range x.Leaks {
		p.Leaks = append(p.Leaks, l.Says())
	}
	for _, e := range x.Each {
		on := noticeOn{Title: channelWord(e), Code: web.Code{Text: e.Text}}
		switch {
		case e.Cut:
			on.Says = "Cut at a word: " + strconv.Itoa(e.Counts) + " of " + strconv.Itoa(e.Most) + " characters, as it counts them."
		case e.Most > 0:
			on.Says = "All of it: " + strconv.Itoa(e.Counts) + " of " + strconv.Itoa(e.Most) + " characters, as it counts them."
		}
		p.Each = append(p.Each, on)
	}
	post := web.Form{Part: "post", Action: at + "/update", Act: "Post it", Hidden: []web.Pair{{Name: "title", Value: typed.Title}, {Name: "state", Value: typed.State}, {Name: "body", Value: typed.Body}, {Name: "component", Value: f.get("component")}, {Name: "is", Value: f.get("is")}}}
	for name, t := range map[string]time.Time{"estimate-at": typed.Estimate, "next-at": typed.Next} {
		if !t.IsZero() {
			post.Hidden = append(post.Hidden, web.Pair{Name: name, Value: t.UTC().Format(time.RFC3339)})
		}
	}
	slices.SortFunc(post.Hidden, func(a, b web.Pair) int { return strings.Compare(a.Name, b.Name) })
	p.Post = &post
	return nil
}

func channelWord(e incident.Preview) string {
	switch e.Channel {
	case "status-page":
		return "Status page"
	case "mail":
		return "Letter to subscribers"
	case "webhook":
		return "Webhook"
	}
	return page.Word(e.Network) + " (" + e.Account + ", " + e.Channel + ")"
}

func (c *Console) showTexts(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := c.Incidents.Texts(r.Context(), who)
	if err != nil {
		return err
	}
	t := web.Table{Caption: "Texts that public notices begin with", Columns: []web.Column{{Name: "Kind"}, {Name: "Word"}, {Name: "Text"}, {Name: "Whose"}}}
	for _, x := range all {
		whose := web.Cell{Text: "shipped"}
		if x.Version > 0 {
			whose = web.Cell{Text: x.By, Sub: "version " + strconv.FormatInt(x.Version, 10)}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: kindWord(x.Kind)}, {Text: page.Word(x.State), Href: atTexts + "/" + x.Kind + "/" + x.State}, {Text: x.Body}, whose}})
	}
	return c.show(w, r, "watch", web.View{Title: "Texts of notices", Lead: "What a notice begins with, by the kind of incident and how it stands. Places in braces are filled from the incident.", Up: &web.Link{Text: "Status page", Href: atStatus}, Data: watchPage{Tables: []web.Table{t}}})
}

func kindWord(kind string) string { return page.Word(strings.ReplaceAll(kind, "-", " ")) }

func (c *Console) showText(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.textPage(w, r, who, http.StatusOK, "", nil)
}

func (c *Console) textPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, typed string, failed error) error {
	kind, state := r.PathValue("kind"), r.PathValue("state")
	vs, err := c.Incidents.TextVersions(r.Context(), who, kind, state)
	if err != nil {
		return err
	}
	now, at := vs[0], atTexts+"/"+kind+"/"+state
	p := watchPage{}
	past := web.Table{Caption: "Versions, the newest first", Columns: []web.Column{{Name: "Version", Figure: true}, {Name: "Text"}, {Name: "By"}, {Name: "Since"}}}
	for _, x := range vs {
		cells := []web.Cell{{Text: strconv.FormatInt(x.Version, 10)}, {Text: x.Body}, {Text: x.By}, {At: x.At}}
		if x.Shipped && x.Version > 0 {
			cells[1].Sub = "the shipped text again"
		}
		if x.Version == 0 {
			cells[2], cells[3] = web.Cell{Text: "shipped"}, web.Cell{Text: "–"}
		}
		past.Rows = append(past.Rows, web.Row{Cells: cells})
	}
	places := web.Table{Caption: "Places", Columns: []web.Column{{Name: "Written"}, {Name: "Filled with"}}}
	for _, x := range wording.Places() {
		places.Rows = append(places.Rows, web.Row{Cells: []web.Cell{{Text: x.String(), Code: true}, {Text: x.Says}}})
	}
	p.Tables = []web.Table{places, past}
	if c.Access.May(who, access.IncidentAct) {
		version := []web.Pair{{Name: "version", Value: strconv.FormatInt(now.Version, 10)}}
		if failed == nil {
			typed = now.Body
		}
		p.Forms = []web.Form{{Part: "text", Action: at, Act: "Begin notices with this", Fault: failed, Hidden: version, Fields: []web.Field{{Name: "body", Label: "Text", Type: "textarea", Rows: 5, Required: true, Max: wording.Most, Value: typed, Hint: "No names, addresses or hosts. What a place needs and nobody knows stays open, and keeps the notice from being posted."}}}}
		if !now.Shipped {
			p.Last = []web.Form{{Part: "reset", Action: at + "/reset", Act: "Return to the shipped text", Quiet: true, Hidden: version}}
		}
	}
	return c.answer(w, r, st, "watch", web.View{Title: kindWord(kind) + ": " + strings.ToLower(page.Word(state)), Lead: "What such a notice begins with.", Up: &web.Link{Text: "Texts of notices", Href: atTexts}, Data: p})
}

// onText does one act on a text, and shows it with what was wrong beside it.
func (c *Console) onText(says string, act func(r *http.Request, who actor.Actor, body string, version int64) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		f, err := web.ReadForm(r)
		if err != nil {
			return err
		}
		version, err := strconv.ParseInt(f.Get("version"), 10, 64)
		if err != nil {
			version = -1 // no version is that: somebody was first
		}
		err = act(r, who, f.Get("body"), version)
		if k := fault.KindOf(err); k == fault.Invalid || k == fault.Conflict {
			return c.textPage(w, r, who, k.Status(), f.Get("body"), err)
		}
		if err != nil {
			return err
		}
		return c.done(w, r, atTexts+"/"+r.PathValue("kind")+"/"+r.PathValue("state"), says)
	}
}

func (c *Console) setText(r *http.Request, who actor.Actor, body string, version int64) error {
	_, err := c.Incidents.SetText(r.Context(), who, r.PathValue("kind"), r.PathValue("state"), body, version)
	return err
}

func (c *Console) resetText(r *http.Request, who actor.Actor, _ string, version int64) error {
	_, err := c.Incidents.ResetText(r.Context(), who, r.PathValue("kind"), r.PathValue("state"), version)
	return err
}
