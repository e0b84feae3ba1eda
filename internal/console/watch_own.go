package console

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/watch"
	"writ/internal/web"
)

const (
	atOwn     = atWatch + "/own"
	atLessons = atWatch + "/lessons"
	ruleForm  = 600 << 10 // a rule of 256 KiB, as forms send it
)

// ownRoutes are the pages of rules that a company writes itself.
func (c *Console) ownRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	add := staff("POST /-/console/watch/own", access.WatchManage, atWatch, c.addOwn)
	test := staff("POST /-/console/watch/own/{id}/test", access.WatchManage, atWatch, c.testOwn)
	add.Limit, test.Time = ruleForm, 10*time.Minute
	return []web.Route{
		staff("GET /-/console/watch/own", access.WatchRead, atWatch, c.showOwn),
		staff("GET /-/console/watch/lessons", access.WatchRead, atWatch, c.showLessons),
		staff("GET /-/console/watch/own/{id}", access.WatchRead, atWatch, c.showOwnRule),
		add, test,
		staff("POST /-/console/watch/own/{id}/approve", access.WatchManage, atWatch, c.approveOwn),
		staff("POST /-/console/watch/own/{id}/enable", access.WatchManage, atWatch, c.enableOwn),
		staff("POST /-/console/watch/own/{id}/retire", access.WatchManage, atWatch, c.retireOwn),
	}
}

func ownMark(v *watch.Version) web.Mark {
	switch {
	case v.Problem != "":
		return web.Mark{State: web.Broken, Word: "cannot be read", At: v.Enabled}
	case v.State == watch.Enabled:
		return web.Mark{State: web.Holds, Word: "watches", At: v.Enabled}
	case v.State == watch.Approved:
		return web.Mark{State: web.StaleNow, Word: "approved, not yet enabled", At: v.Approved}
	case v.State == watch.Tested:
		return web.Mark{State: web.StaleNow, Word: "tested, not yet approved", At: v.Tested}
	case v.State == watch.Draft:
		return web.Mark{State: web.Unproved, Word: "draft, not yet tested", At: v.Made}
	}
	return web.Mark{State: web.Excepted, Word: "retired", At: v.Retired}
}

func (c *Console) showOwn(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.ownPage(w, r, who, http.StatusOK, "", nil)
}

func (c *Console) ownPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, typed string, failed error) error {
	vs, err := c.Watch.OwnRules(r.Context(), who)
	if err != nil {
		return err
	}
	t := web.Table{Caption: "Rules of your own", Columns: []web.Column{{Name: "Rule"}, {Name: "State"}, {Name: "On what is stored"}, {Name: "Written by"}}, Empty: web.Empty{Says: "There is none yet.", Next: web.Link{Text: "See the rules that are there from the first start", Href: atRules}}}
	for i := range vs {
		v := &vs[i]
		m, says := ownMark(v), web.Cell{Text: "not tested"}
		if v.Result != nil {
			says = web.Cell{Text: v.Result.Says()}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: v.Title, Href: atOwn + "/" + v.Rule, Sub: "version " + strconv.FormatInt(v.N, 10)}, {Mark: &m}, says, {Text: c.acted(r.Context(), v.Author)}}})
	}
	p := watchPage{Acts: []web.Link{{Text: "Incidents that are kept", Href: atLessons}}, Tables: []web.Table{t}, Head: "Write a rule"}
	if c.Access.May(who, access.WatchManage) {
		p.Last = []web.Form{{Part: "rule", Action: atOwn, Act: "Keep it as a draft", Fault: failed, Fields: []web.Field{
			{Name: "text", Label: "A rule of Sigma, or a new version of one", Type: "textarea", Rows: 12, Value: typed, Required: true, Complete: "off", Hint: "With an id of its own. Nothing watches before it was tested on what is stored, and somebody else approved it."}}}}
	}
	return c.answer(w, r, st, "watch", web.View{Title: "Rules of your own", Lead: "Files of Sigma that watch the journal and the gate beside the rules that are there from the first start.", Up: &web.Link{Text: "Alarms", Href: atWatch}, Data: p})
}

func (c *Console) addOwn(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	v, warns, err := c.Watch.AddRule(r.Context(), who, f.Get("text"))
	if err != nil {
		if k := fault.KindOf(err); k != fault.Invalid && k != fault.Conflict {
			return err
		}
		return c.ownPage(w, r, who, status(err), f.Get("text"), err)
	}
	says := "The draft is kept. Test it on what is stored next."
	if len(warns) > 0 {
		says = "The draft is kept. It asks for what nothing here has: test it to see what."
	}
	return c.done(w, r, atOwn+"/"+v.Rule, says)
}

func (c *Console) showOwnRule(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.ownRulePage(w, r, who, http.StatusOK, nil)
}

// ownRulePage is one rule: how it would have done, its text, and the step that is next.
func (c *Console) ownRulePage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, failed error) error {
	vs, err := c.Watch.OwnRule(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	v, m := &vs[0], ownMark(&vs[0])
	p := watchPage{Facts: []fact{{Name: "State", Mark: &m, Text: v.Problem}, {Name: "Version", Text: strconv.FormatInt(v.N, 10), Sub: "written by " + c.acted(r.Context(), v.Author), Time: v.Made}}}
	if v.Approver != "" {
		p.Facts = append(p.Facts, fact{Name: "Approved by", Text: c.acted(r.Context(), v.Approver), Time: v.Approved})
	}
	if v.Result != nil {
		p.Facts = append(p.Facts, fact{Name: "On what is stored", Text: "It " + v.Result.Says() + ".", Sub: "asked about " + web.Count(v.Result.Events, "event")})
		if len(v.Result.Warnings) > 0 {
			f := fact{Name: "In vain"}
			for _, warn := range v.Result.Warnings {
				f.Lines = append(f.Lines, fact{Text: warn})
			}
			p.Facts = append(p.Facts, f)
		}
		if v.Result.Weighed {
			p.Facts = append(p.Facts, fact{Name: "On incidents that are kept", Text: v.Result.SaysKept(), Href: atLessons})
		}
		p.Tables = append(p.Tables, c.examples(v.Result))
	}
	p.Facts = append(p.Facts, fact{Name: "Recorded", Text: "each step of it", Href: atJournal + "?object=rule/" + v.Rule}, fact{Name: "Rule", Text: v.Rule, Code: true})
	old := web.Table{Caption: "Versions", Columns: []web.Column{{Name: "Version"}, {Name: "State"}, {Name: "Written by"}, {Name: "Approved by"}}}
	for i := range vs {
		m := ownMark(&vs[i])
		old.Rows = append(old.Rows, web.Row{Cells: []web.Cell{{Text: strconv.FormatInt(vs[i].N, 10)}, {Mark: &m}, {Text: c.acted(r.Context(), vs[i].Author)}, {Text: c.acted(r.Context(), vs[i].Approver)}}})
	}
	p.Tables, p.Code = append(p.Tables, old), &web.Code{Label: "Text of version " + strconv.FormatInt(v.N, 10), Text: v.Text}
	if c.Access.May(who, access.WatchManage) {
		p.Forms, p.Last = ownForms(v, who, failed)
	}
	return c.answer(w, r, st, "watch", web.View{Title: v.Title, Lead: v.Says(), Up: &web.Link{Text: "Rules of your own", Href: atOwn}, Data: p})
}

// examples are alarms that would have come, each with the entry that it rests on.
func (c *Console) examples(b *watch.BackTest) web.Table {
	t := web.Table{Caption: "What it would have fired on", Columns: []web.Column{{Name: "When"}, {Name: "About"}, {Name: "Rests on"}}, Empty: web.Empty{Says: "Nothing in that time."}}
	for _, e := range b.Examples {
		on := web.Cell{Text: "an access record", Sub: e.Says}
		if e.Entry >= 0 {
			n := strconv.FormatInt(e.Entry, 10)
			on = web.Cell{Text: "entry " + n, Href: atJournal + "/" + n, Sub: e.Says}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{At: e.At}, {Text: e.About, Code: true}, on}})
	}
	return t
}

// ownForms are the step that is next, and the others.
func ownForms(v *watch.Version, who actor.Actor, failed error) (first, last []web.Form) {
	at := atOwn + "/" + v.Rule
	test := web.Form{Part: "test", Action: at + "/test", Act: "Test it on the last 30 days"}
	switch v.State {
	case watch.Retired:
		return nil, nil
	case watch.Draft:
		first = []web.Form{test}
	case watch.Tested:
		if v.Author != who.String() && who.Kind == actor.Person {
			first = []web.Form{{Part: "approve", Action: at + "/approve", Act: "Approve it"}}
		}
	case watch.Approved:
		first = []web.Form{{Part: "enable", Action: at + "/enable", Act: "Let it watch"}}
	}
	if failed != nil && fault.KindOf(failed) == fault.Conflict && len(first) > 0 {
		first[0].Fault, failed = failed, nil
	}
	if v.State == watch.Tested || v.State == watch.Approved {
		test.Quiet = len(first) > 0
		last = append(last, test)
	}
	return first, append(last, web.Form{Part: "retire", Fold: "End the rule", Action: at + "/retire", Act: "End it", Quiet: true, Fault: failed, Loses: "The rule watches no more; its texts and alarms stay.", Fields: []web.Field{{Name: "reason", Label: "Why nobody need know of this any more", Required: true, Max: 300, Complete: "off"}}})
}

func (c *Console) testOwn(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	vs, err := c.Watch.OwnRule(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	res, _, err := c.Watch.TestRule(r.Context(), who, vs[0].Text, 0)
	if err != nil {
		return err
	}
	return c.done(w, r, atOwn+"/"+vs[0].Rule, "It "+res.Says()+".")
}

func (c *Console) approveOwn(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.moveOwn(w, r, who, "The rule is approved. Let it watch next.", func(id string) (watch.Version, error) { return c.Watch.ApproveRule(r.Context(), who, id) })
}

func (c *Console) enableOwn(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.moveOwn(w, r, who, "The rule watches.", func(id string) (watch.Version, error) { return c.Watch.EnableRule(r.Context(), who, id) })
}

func (c *Console) retireOwn(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	return c.moveOwn(w, r, who, "The rule watches no more.", func(id string) (watch.Version, error) {
		return c.Watch.RetireRule(r.Context(), who, id, f.Get("reason"))
	})
}

func (c *Console) moveOwn(w http.ResponseWriter, r *http.Request, who actor.Actor, says string, do func(string) (watch.Version, error)) error {
	v, err := do(r.PathValue("id"))
	if err != nil {
		if code, _ := fault.PublicOf(err); fault.KindOf(err) != fault.Invalid && code != "rule_loses" && code != "rule_imprecise" && code != "rule_untested" {
			return err
		}
		return c.ownRulePage(w, r, who, status(err), err)
	}
	return c.done(w, r, atOwn+"/"+v.Rule, says)
}

// showLessons are the incidents that a change of the rules is held against.
func (c *Console) showLessons(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ls, err := c.Watch.Lessons(r.Context(), who)
	if err != nil {
		return err
	}
	t := web.Table{Caption: "Incidents that are kept", Columns: []web.Column{{Name: "Incident"}, {Name: "Closed"}, {Name: "Events"}, {Name: "Told by"}, {Name: "Seen by your own rules"}},
		Empty: web.Empty{Says: "No incident was closed yet.", Next: web.Link{Text: "See the incidents", Href: atIncidents}}}
	rules, err := c.rulesByID(r.Context(), who)
	if err != nil {
		return err
	}
	for i := range ls {
		l := &ls[i]
		var told, seen []string
		for _, id := range l.Alarms {
			if rule, is := rules[id]; is {
				id = rule.Title
			}
			told = append(told, id)
		}
		for _, rule := range l.Seen {
			seen = append(seen, rule.Title)
		}
		events := web.Cell{Text: strconv.FormatInt(l.Events, 10)}
		switch {
		case l.Erased:
			events = web.Cell{Text: "erased"}
		case l.Missed > 0:
			events.Sub = strconv.FormatInt(l.Missed, 10) + " more found no room"
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: l.Name, Href: atIncidents + "/" + l.Name}, {At: l.At}, events, {Text: orNone(told, "no alarm")}, {Text: orNone(seen, "none")}}})
	}
	return c.show(w, r, "watch", web.View{Title: "Incidents that are kept", Lead: "What each closed incident rested on, under pseudonyms. A rule of your own that sees one may change or end only while another still sees it.",
		Up: &web.Link{Text: "Rules of your own", Href: atOwn}, Data: watchPage{Tables: []web.Table{t}}})
}

func orNone(words []string, none string) string {
	if len(words) == 0 {
		return none
	}
	return strings.Join(words, ", ")
}
