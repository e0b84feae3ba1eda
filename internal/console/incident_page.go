package console

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	page "writ/internal/incident/status"
	"writ/internal/web"
)

// incidentView is the page of one incident: what is happening, what is next, who does it.
type incidentView struct {
	Facts    []string
	Next     *incidentNext
	Loss     *incidentLoss
	Stands   []incidentStand
	Forms    []web.Form // further acts, each folded
	Signals  web.Table
	Reports  web.Table
	Links    web.Table
	Similar  web.Table
	Files    web.Table
	Known    web.Table // of the past incident that a drill plays again
	Compared web.Table
	Sent     web.Table
	Roles    web.Table
	Passed   web.Table // guards that people let pass
	Timeline []web.Moment
	Posts    web.Table
	Audience web.Table
	Review   *incidentReview
	Note     *web.Form
	Map      string
	Breach   string // address of the page of its exposed data
}

type incidentNext struct {
	Says, Who string
	Due       time.Time
	Late      bool
	Unmet     []engine.Lack
	Form      *web.Form // nil: not by this reader
	Plan      *web.Table

	region engine.Region
}

type incidentStand struct {
	Name, Says string
	Mark       web.Mark
}

type incidentReview struct {
	Text, By string
	Causes   []string
	Actions  web.Table
	Approve  *web.Form
}

func (c *Console) showIncident(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.incidentPage(w, r, who, r.PathValue("ref"), http.StatusOK, nil, nil)
}

func (c *Console) incidentPage(w http.ResponseWriter, r *http.Request, who actor.Actor, ref string, st int, typed url.Values, fail error) error {
	v, err := c.Incidents.Show(r.Context(), who, ref)
	if err != nil {
		return err
	}
	lines, err := c.Incidents.Timeline(r.Context(), who, ref)
	if err != nil {
		return err
	}
	at := atIncidents + "/" + v.Ref()
	p := incidentView{Map: at + "/map", Facts: []string{v.State()}}
	if v.Severity > 0 {
		p.Facts = append(p.Facts, "severity "+strconv.Itoa(v.Severity)+": "+incident.Severities[v.Severity-1])
	}
	if len(v.Categories) > 0 {
		p.Facts = append(p.Facts, strings.Join(v.Categories, ", "))
	}
	for _, x := range v.Stands {
		m := web.Mark{State: web.ByRecord, Word: x.State.Name}
		switch {
		case x.Missed:
			m = web.Mark{State: web.Broken, Word: x.State.Name + ", late", At: x.Due}
		case x.State.Rest:
			m.State = web.Holds
		case !x.Due.IsZero():
			m = web.Mark{State: web.StaleNow, Word: x.State.Name + ", due", At: x.Due}
		}
		says := x.State.Says
		if x.Machine.Region == engine.F {
			says = strings.TrimSpace(says + " " + v.Fix.Says(func(t time.Time) string { return t.UTC().Format("2 January, 15:04 UTC") }))
		}
		p.Stands = append(p.Stands, incidentStand{x.Machine.Name, says, m})
	}
	may := c.Access.May(who, access.IncidentAct)
	with, err := c.fillingOf(r, who, v)
	if err != nil {
		return err
	}
	if n := v.Next(); n != nil {
		p.Next = nextOf(v, *n, at, may, with)
	}
	p.Loss = c.lossOf(v, at, may, p.Next)
	if p.Next == nil {
		p.Next = followed(v.Practice, at, may)
	}
	if may {
		p.Forms = otherForms(v, at, with)
		if v.Open() {
			p.Note = &web.Form{Action: at + "/note", Act: "Add the line", Quiet: true, Part: "note", Fields: []web.Field{{Name: "text", Label: "What happened, or what was decided", Type: "textarea", Rows: 3, Required: true}}}
		}
	}
	p.links(v, at, may)
	p.similar(v)
	p.signals(v, at, may)
	p.reports(v, at)
	if may {
		p.files(v, at)
	}
	p.elsewhere(v)
	if v.States[engine.B] != "" {
		p.Breach = at + "/breach"
	}
	p.tables(c, v, at, may)
	p.rehearsed(v, at, may)
	for _, l := range lines {
		m := web.Moment{At: l.At, Who: l.Who, What: l.What, Detail: l.Detail}
		if l.N > 0 && c.Access.May(who, access.JournalRead) {
			m.Href = atJournal + "/" + strconv.FormatInt(l.N, 10)
		}
		p.Timeline = append(p.Timeline, m)
	}
	fail = again(r, typed, fail, p.forms())
	lead := "Declared " + web.Age(c.Now(), v.Declared) + " by " + v.Declarer + "."
	if v.Drill {
		lead = "A practice: nobody outside is told. " + lead
	}
	return c.answer(w, r, st, "incident", web.View{Title: v.Ref() + " " + v.Title, Lead: lead, Up: &web.Link{Text: "Incidents", Href: atIncidents}, Fault: fail, Data: p})
}

// forms are those of the page, the one of the next step first.
func (p *incidentView) forms() []*web.Form {
	var out []*web.Form
	if p.Next != nil {
		out = append(out, p.Next.Form)
	}
	if p.Loss != nil {
		out = append(out, p.Loss.Look)
	}
	if p.Review != nil {
		out = append(out, p.Review.Approve)
	}
	return append(append(out, p.Note), allOf(p.Forms)...)
}

// nextOf is the one thing to do, with its form.
func nextOf(v incident.View, n incident.Way, at string, may bool, with filling) *incidentNext {
	out := &incidentNext{Says: n.Step.Says, Who: n.Who, Due: n.Due, Unmet: n.Unmet}
	for _, x := range v.Stands {
		if slices.ContainsFunc(x.Ways, func(w incident.Way) bool { return w.Step.From == n.Step.From && w.Step.Event == n.Step.Event }) {
			out.region = x.Machine.Region
		}
	}
	for _, x := range v.Stands {
		out.Late = out.Late || x.Missed && x.Due.Equal(n.Due)
	}
	own := map[string]bool{"estimate-given": true, "reason-given": true, "has-category": true, "has-severity": true, "lasting-owned": true, "expiry-set": true, "regression-test": true}
	out.Unmet = slices.DeleteFunc(slices.Clone(n.Unmet), func(l engine.Lack) bool {
		return own[l.Guard] || l.Guard == "impact-over" && n.Step.Event == "mitigate"
	})
	if !may {
		return out
	}
	if !n.Mine {
		out.Form = &web.Form{Action: at + "/role", Act: "Take the role of " + roleWord(n.Step.Role), Hidden: []web.Pair{{Name: "role", Value: string(n.Step.Role)}}}
		return out
	}
	f := formOf(v, n.Step, at, with)
	out.Form = &f
	return out
}

// formOf is the form of a step.
func formOf(v incident.View, st engine.Step, at string, with filling) web.Form {
	f := web.Form{Act: st.Says, Part: "next-" + st.Event, Hidden: []web.Pair{{Name: "event", Value: st.Event}, {Name: "version", Value: strconv.FormatInt(v.Version, 10)}}}
	days := func(label, hint string) web.Field {
		return web.Field{Name: "days", Label: label, Mode: "numeric", Required: true, Max: 3, Complete: "off", Hint: hint}
	}
	what := web.Field{Name: "what", Label: "What it is", Type: "textarea", Rows: 3, Required: true, Max: 4000}
	switch st.Event {
	case "categorise":
		f.Action, f.Fields = at+"/kind", kindFields(v)
	case "post", "update", "finish", "publish-review", "retract":
		f.Action, f.Fields, f.Act = at+"/notice", postFields(v, st.Event, with), "Show how it will stand"
		f.Other = &web.Link{Text: "Begin with another text", Href: at + "/notice?state=" + wordOfEvent(v, st.Event)}
	case "propose", "approve-fix", "deploy", "plan", "replace":
		f.Action = at + "/fix"
		switch st.Event {
		case "propose":
			f.Fields = []web.Field{what}
		case "deploy":
			f.Fields = []web.Field{days("It ends after how many days", "At most as many as the policy allows.")}
		case "plan":
			f.Fields = []web.Field{what, {Name: "owner", Label: "Who makes it", Required: true, Max: 254, Complete: "off", Hint: "An address or a handle of a member of staff."}, days("Due in how many days", "")}
		case "replace":
			f.Fields = []web.Field{{Name: "test", Label: "The test that would fail if it came back", Required: true, Max: 300, Complete: "off"}}
		}
	default:
		f.Action = at + "/step"
		if slices.Contains(st.Guards, "reason-given") || st.Event == "withdraw-fix" || st.Event == "relapse" {
			f.Fields = []web.Field{{Name: "reason", Label: "Why", Required: true, Max: 500, Complete: "off"}}
			if st.Event == "cancel" && len(v.Posts) > 0 && v.Posts[0].State != page.Retracted {
				f.Fields[0].Hint = "Something was posted about it: take the notice back first."
			}
		}
	}
	return f
}

func kindFields(v incident.View) []web.Field {
	kind := web.Field{Name: "kinds", Label: "What kind", Type: "radio", Required: true}
	for _, k := range v.Kinds {
		kind.Options = append(kind.Options, web.Option{Value: k, Text: strings.ReplaceAll(k, "-", " "), Chosen: slices.Contains(v.Suggests, k)})
	}
	bad := web.Field{Name: "severity", Label: "How bad", Type: "radio", Required: true}
	for i, says := range incident.Severities {
		bad.Options = append(bad.Options, web.Option{Value: strconv.Itoa(i + 1), Text: strconv.Itoa(i+1) + ". " + says, Chosen: v.Severity == i+1})
	}
	return []web.Field{kind, bad, {Name: "public", Label: "A public notice is owed, whatever the kind", Type: "checkbox"}}
}

func postFields(v incident.View, event string, with filling) []web.Field {
	var out []web.Field
	if len(v.Posts) == 0 {
		out = append(out, web.Field{Name: "title", Label: "Title that the public reads", Required: true, Max: 120, Complete: "off"})
	}
	words := web.Field{Name: "state", Label: "How it stands", Type: "select"}
	for _, w := range page.Words() {
		fits := map[string]bool{"finish": w == page.Resolved, "publish-review": w == page.Postmortem, "retract": w == page.Retracted}[event] || (event == "post" || event == "update") && !page.Over(w)
		if fits {
			words.Options = append(words.Options, web.Option{Value: w, Text: page.Word(w), Chosen: len(v.Posts) > 0 && v.Posts[0].State == w})
		}
	}
	notice := v.Notice
	if len(v.Posts) > 0 || notice == "" {
		notice = with.text(wordOfEvent(v, event))
	}
	out = append(out, words, web.Field{Name: "body", Value: notice, Label: "What it means for those who use the service, and what you do", Type: "textarea", Rows: 4, Required: true, Max: 4000, Hint: "No names, addresses or hosts. Everybody reads it, at once."})
	if event == "post" || event == "update" {
		returns := web.Field{Name: "estimate", Label: "Service returns in how many minutes", Mode: "numeric", Max: 5, Complete: "off", Hint: strings.TrimSpace("Empty: not known. " + v.Forecast.Says())}
		if f := v.Forecast; f.Left > 0 && !f.Stands { // a promise that stands is not moved by the way
			returns.Value = strconv.Itoa(int(f.Left / time.Minute))
		}
		out = append(out, returns,
			web.Field{Name: "next", Label: "The next update comes in how many minutes", Mode: "numeric", Max: 5, Complete: "off", Value: "45", Hint: "The public reads this as a promise."})
	}
	if len(with.components) > 1 && event != "publish-review" {
		is := web.Field{Name: "is", Label: "How that part is", Type: "select"}
		for _, s := range page.States() {
			is.Options = append(is.Options, web.Option{Value: s, Text: page.Word(s), Chosen: event != "finish" && event != "retract" && s == page.PartialOutage})
		}
		out = append(out, web.Field{Name: "component", Label: "Which part it concerns", Type: "select", Options: slices.Clone(with.components)}, is)
	}
	return out
}

// otherForms are all that can be done beside the next step, each folded.
func otherForms(v incident.View, at string, with filling) (out []web.Form) {
	next := v.Next()
	for _, x := range v.Stands {
		for _, w := range x.Ways {
			if next != nil && w.Step.From == next.Step.From && w.Step.Event == next.Step.Event || !w.Mine || w.Step.Event == "draft" || lacks(w, "was-public") {
				continue
			}
			f := formOf(v, w.Step, at, with)
			f.Quiet, f.Part = true, string(x.Machine.Region)+"-"+w.Step.Event
			f.Fold = x.Machine.Name + ": " + strings.ToLower(w.Step.Says[:1]) + w.Step.Says[1:]
			f.Hidden = slices.DeleteFunc(f.Hidden, func(p web.Pair) bool { return p.Name == "version" })
			out = append(out, f)
		}
	}
	if v.States[engine.L] == "L2" || v.States[engine.L] == "L3" {
		out = append(out, web.Form{Fold: "Change kind or severity", Action: at + "/kind", Act: "Decide it anew", Quiet: true, Part: "kind", Fields: kindFields(v)})
	}
	if !v.Fix.SecondDue().IsZero() {
		out = append(out, web.Form{Fold: "Fix: review it as the second person", Action: at + "/approve", Act: "I have reviewed the fix", Quiet: true, Part: "second", Hidden: []web.Pair{{Name: "object", Value: "fix"}, {Name: "hash", Value: v.Fix.Hash}}})
	}
	if v.Open() {
		roles := web.Field{Name: "role", Label: "Role", Type: "select"}
		for _, r := range engine.Roles() {
			roles.Options = append(roles.Options, web.Option{Value: string(r), Text: roleWord(r)})
		}
		out = append(out, web.Form{Fold: "Take a role, or hand it over", Action: at + "/role", Act: "Give the role", Quiet: true, Part: "role", Fields: []web.Field{roles, {Name: "to", Label: "To whom", Max: 254, Complete: "off", Hint: "Empty: to you."}}})
	}
	if next != nil && len(next.Unmet) > 0 {
		guards := web.Field{Name: "guard", Label: "What is to pass", Type: "select"}
		region := engine.Region("")
		for _, l := range next.Unmet {
			if _, may := engine.Known(l.Guard); may {
				guards.Options = append(guards.Options, web.Option{Value: l.Guard, Text: l.Words})
			}
		}
		for _, x := range v.Stands {
			if _, ok := x.Machine.Find(next.Step.From, next.Step.Event); ok {
				region = x.Machine.Region
			}
		}
		if len(guards.Options) > 0 {
			out = append(out, web.Form{Fold: "Let something pass, by two people", Action: at + "/waive", Act: "Say that it may pass", Quiet: true, Part: "waive", Hidden: []web.Pair{{Name: "region", Value: string(region)}},
				Fields: []web.Field{guards, {Name: "reason", Label: "Why", Required: true, Max: 500, Complete: "off"}}})
		}
	}
	if len(v.Alone) > 0 {
		guards := web.Field{Name: "guard", Label: "What wants a second person", Type: "select"}
		for _, g := range v.Alone {
			guards.Options = append(guards.Options, web.Option{Value: g, Text: engine.Words(g)})
		}
		out = append(out, web.Form{Fold: "Nobody else answers", Action: at + "/alone", Act: "Ask all others, or go on alone", Quiet: true, Part: "alone",
			Fields: []web.Field{guards, {Name: "reason", Label: "Why", Required: true, Max: 500, Complete: "off", Hint: "The first time all others get a letter. When none of them has done anything here for as long as the policy says, the same passes it, as an exception."}}})
	}
	for _, e := range v.Also {
		if e.URL == "" {
			out = append(out, web.Form{Fold: "Post it on " + e.Channel + " too", Action: at + "/posted", Act: "It stands there", Quiet: true, Part: "posted-" + e.Channel, Hidden: []web.Pair{{Name: "channel", Value: e.Channel}},
				Fields: []web.Field{{Name: "url", Label: "Address of the post", Type: "url", Required: true, Max: 500, Complete: "off"}}})
		}
	}
	if s := v.States[engine.L]; s == "L4" || s == "L5" {
		out = append(out, web.Form{Fold: "Write the review", Action: at + "/review", Act: "Keep the review", Quiet: true, Part: "review", Fields: []web.Field{
			{Name: "review", Label: "What happened, and what was learned", Type: "textarea", Rows: 8, Required: true, Value: v.Draft()},
			{Name: "cause", Label: "Root cause", Required: true, Max: 1000}, {Name: "what", Label: "What prevents the next one", Required: true, Max: 1000},
			{Name: "owner", Label: "Who does it", Required: true, Max: 254, Complete: "off"}, {Name: "days", Label: "In how many days", Mode: "numeric", Required: true, Max: 3, Complete: "off"}}})
	}
	return out
}

func lacks(w incident.Way, guard string) bool {
	return slices.ContainsFunc(w.Unmet, func(l engine.Lack) bool { return l.Guard == guard })
}

// passedTable is what two people let pass in this round, or one alone, or want to.
func passedTable(c *Console, v incident.View) web.Table {
	t := web.Table{Caption: "Exceptions in this round", Columns: []web.Column{{Name: "What"}, {Name: "By whom"}, {Name: "How it stands"}}}
	row := func(guard, reason, by string, m web.Mark) {
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: engine.Words(guard), Sub: reason}, {Text: by}, {Mark: &m}}})
	}
	for _, w := range v.Waivers {
		if w.Other == "" {
			row(w.Guard, w.Reason, w.Asker, web.Mark{State: web.StaleNow, Word: "waits for a second person"})
			continue
		}
		row(w.Guard, w.Reason, web.And([]string{w.Asker, w.Other}), web.Mark{State: web.Excepted, Word: "two let it pass"})
	}
	for _, x := range v.Solos {
		m := web.Mark{State: web.Excepted, Word: "passed by one alone, " + web.Age(c.Now(), x.Passed)}
		switch {
		case !x.Passed.IsZero():
		case x.Answerer != "":
			m = web.Mark{State: web.StaleNow, Word: x.Answerer + " has answered"}
		case x.From.IsZero():
			m = web.Mark{State: web.StaleNow, Word: "the policy lets nobody go on alone"}
		default:
			m = web.Mark{State: web.StaleNow, Word: "all others are asked; alone from " + x.From.UTC().Format("15:04 UTC") + " on"}
		}
		row(x.Guard, x.Reason, x.Name, m)
	}
	return t
}

func (p *incidentView) tables(c *Console, v incident.View, at string, may bool) {
	p.Roles = web.Table{Caption: "Who does what", Columns: []web.Column{{Name: "Role"}, {Name: "Who"}, {Name: "Since"}}, Empty: web.Empty{Says: "Nobody has a role yet."}}
	for _, h := range v.Held {
		p.Roles.Rows = append(p.Roles.Rows, web.Row{Cells: []web.Cell{{Text: roleWord(h.Role)}, {Text: h.Name}, {At: h.Since}}})
	}
	p.Passed = passedTable(c, v)
	p.Posts = web.Table{Caption: "What the public was told", Columns: []web.Column{{Name: "What"}, {Name: "When"}, {Name: "Promised"}}, Empty: web.Empty{Says: "The public was told nothing."}}
	for _, x := range v.Posts {
		promised := "–"
		switch {
		case !x.Estimate.IsZero():
			promised = "back by " + x.Estimate.UTC().Format("2 Jan 15:04 UTC")
		case !x.Next.IsZero():
			promised = "next by " + x.Next.UTC().Format("2 Jan 15:04 UTC")
		}
		p.Posts.Rows = append(p.Posts.Rows, web.Row{Cells: []web.Cell{{Text: page.Word(x.State), Href: page.At + "/incidents/" + x.Public, Sub: x.Body}, {At: x.At}, {Text: promised}}})
	}
	p.Audience = web.Table{Caption: "Teams that were affected", Columns: []web.Column{{Name: "Team"}, {Name: "Message"}, {Name: "Since"}}}
	for _, a := range v.Audience {
		p.Audience.Rows = append(p.Audience.Rows, web.Row{Cells: []web.Cell{{Text: a.Team, Href: atTeams + "/" + a.Team, Code: true}, {Text: strings.ReplaceAll(a.State, "-", " "), Href: "/-/api/v1/incidents/" + v.Ref() + "/accounts/" + a.Team, Sub: "what the team reads of it, as JSON"}, {At: a.At}}})
		if a.State == "failed" && may {
			p.Forms = append(p.Forms, web.Form{Fold: "Say how team " + a.Team + " was told", Action: at + "/told", Act: "They were told", Quiet: true, Part: "told-" + a.Team, Hidden: []web.Pair{{Name: "team", Value: a.Team}},
				Fields: []web.Field{{Name: "how", Label: "How they were told", Required: true, Max: 500, Complete: "off"}}})
		}
	}
	if l := v.Learned; l.Hash != "" {
		x := incidentReview{Text: l.Text, By: "By " + l.Name + ", " + web.Age(c.Now(), l.At) + ". ", Causes: l.Causes, Actions: web.Table{Caption: "What follows from it", Columns: []web.Column{{Name: "What"}, {Name: "Who"}, {Name: "Due"}}, Empty: web.Empty{Says: "No action follows from it yet."}}}
		for _, a := range l.Actions {
			x.Actions.Rows = append(x.Actions.Rows, web.Row{Cells: []web.Cell{{Text: a.What}, {Text: a.Name}, {Text: day(a.Due)}}})
		}
		if len(l.Approved) > 0 {
			x.By += "Approved by " + web.And(l.Approved) + "."
		} else {
			x.By += "Nobody has approved it."
		}
		if may && v.Open() {
			x.Approve = &web.Form{Action: at + "/approve", Act: "Approve the review", Quiet: true, Part: "approve", Hidden: []web.Pair{{Name: "object", Value: "review"}, {Name: "hash", Value: l.Hash}}}
		}
		p.Review = &x
	}
}

type incidentMap struct{ Drawings []incidentDrawing }

type incidentDrawing struct {
	Title string
	SVG   template.HTML
	Steps web.Table
}

// mapIncident draws the tables that the code obeys, with where the incident stands in them.
func (c *Console) mapIncident(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := c.Incidents.Show(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	var p incidentMap
	for _, x := range v.Stands {
		t := web.Table{Caption: "Its steps", Columns: []web.Column{{Name: "Step"}, {Name: "From"}, {Name: "To"}, {Name: "By"}, {Name: "Asks for"}}}
		for _, s := range x.Machine.Steps {
			t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: s.Says, Sub: s.Event}, {Text: s.From}, {Text: s.To}, {Text: roleWord(s.Role)}, {Text: strings.Join(s.Guards, ", ")}}})
		}
		p.Drawings = append(p.Drawings, incidentDrawing{x.Machine.Name, template.HTML(x.Machine.Draw(x.State.ID)), t}) //nolint:gosec // drawn by the engine, from its tables
	}
	return c.show(w, r, "incident-map", web.View{Title: "The steps of " + v.Ref(), Lead: "What the server obeys, drawn from the same tables.", Up: &web.Link{Text: v.Ref(), Href: atIncidents + "/" + v.Ref()}, Data: p})
}
