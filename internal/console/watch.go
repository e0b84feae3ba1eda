package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/notify"
	"writ/internal/secret"
	"writ/internal/watch"
	"writ/internal/watch/series"
	"writ/internal/web"
)

// Watch is what the pages of alarms need; *watch.Service.
type Watch interface {
	Alarms(ctx context.Context, who actor.Actor, q watch.Query) ([]watch.Alarm, error)
	Alarm(ctx context.Context, who actor.Actor, id string) (watch.Detail, error)
	Bundle(ctx context.Context, who actor.Actor, id string, w io.Writer) error
	Acknowledge(ctx context.Context, who actor.Actor, id, note string) error
	Close(ctx context.Context, who actor.Actor, id, verdict, note string) error
	RulesFor(ctx context.Context, who actor.Actor) ([]watch.Standing, error)
	RoutesFor(ctx context.Context, who actor.Actor) (watch.Routing, error)
	TryRoute(ctx context.Context, who actor.Actor, q watch.RouteQuestion) (watch.Taken, error)
	Silences(ctx context.Context, who actor.Actor) ([]watch.Silence, error)
	ReadSilence(matchers []string, minutes int64) ([]watch.Matcher, time.Time, error)
	MakeSilence(ctx context.Context, who actor.Actor, in watch.Wish) (watch.Silence, error)
	SilenceOf(ctx context.Context, who actor.Actor, id string) (watch.Kept, error)
	PulseFor(ctx context.Context, who actor.Actor) (watch.Pulse, error)
	Mutes(ctx context.Context, who actor.Actor) ([]watch.Mute, error)
	SetMute(ctx context.Context, who actor.Actor, w watch.MuteWish) (watch.Mute, error)
	RemoveMute(ctx context.Context, who actor.Actor, name string) error
	Gauges(ctx context.Context, who actor.Actor) ([]watch.Gauge, error)
	SetGauge(ctx context.Context, who actor.Actor, g watch.Gauge) (watch.Gauge, error)
	RemoveGauge(ctx context.Context, who actor.Actor, name string) error
	Views() []watch.View
	Catalogue() []series.Meter
	ApproveSilence(ctx context.Context, who actor.Actor, id string) error
	OwnRules(ctx context.Context, who actor.Actor) ([]watch.Version, error)
	OwnRule(ctx context.Context, who actor.Actor, id string) ([]watch.Version, error)
	Lessons(ctx context.Context, who actor.Actor) ([]watch.Lesson, error)
	AddRule(ctx context.Context, who actor.Actor, text string) (watch.Version, []string, error)
	TestRule(ctx context.Context, who actor.Actor, text string, since time.Duration) (watch.BackTest, int64, error)
	ApproveRule(ctx context.Context, who actor.Actor, id string) (watch.Version, error)
	EnableRule(ctx context.Context, who actor.Actor, id string) (watch.Version, error)
	RetireRule(ctx context.Context, who actor.Actor, id, reason string) (watch.Version, error)
	EndSilence(ctx context.Context, who actor.Actor, id string) error
	Usuals(ctx context.Context, who actor.Actor) ([]watch.Usual, watch.Learning, error)
	AcceptUsual(ctx context.Context, who actor.Actor, series, reason string) error
	Channels(ctx context.Context, who actor.Actor) ([]notify.Channel, error)
	Kinds() []string
	AddChannel(ctx context.Context, who actor.Actor, name, kind string, address secret.Text) (notify.Channel, secret.Text, error)
	TestChannel(ctx context.Context, who actor.Actor, name string) (string, error)
	Look(ctx context.Context, who actor.Actor, q watch.Question) (watch.Picture, error)
	DeliveriesFor(ctx context.Context, who actor.Actor, q notify.Query) ([]notify.Delivery, error)
	UnreachableFor(ctx context.Context, who actor.Actor) ([]notify.Unreachable, error)
}

const (
	atWatch      = "/-/console/watch"
	atRules      = atWatch + "/rules"
	atUsual      = atWatch + "/usual"
	atSilences   = atWatch + "/silences"
	atDeliveries = atWatch + "/deliveries"
)

// watchRoutes are the pages of alarms; none without them.
func (c *Console) watchRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	if c.Watch == nil {
		return nil
	}
	evidence := staff("GET /-/console/watch/evidence/{id}", access.WatchRead, atWatch, func(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		return c.Watch.Bundle(r.Context(), who, r.PathValue("id"), web.Zip(w, "alarm-"+r.PathValue("id")+".zip"))
	})
	evidence.Time = -time.Second // as long as it takes
	return append(slices.Concat(c.ownRoutes(staff), c.viewRoutes(staff), c.muteRoutes(staff), c.gaugeRoutes(staff)), []web.Route{
		staff("GET /-/console/watch", access.WatchRead, atWatch, c.showAlarms),
		staff("GET /-/console/watch/rules", access.WatchRead, atWatch, c.showWatchRules),
		staff("GET /-/console/watch/routes", access.WatchRead, atWatch, c.showRoutes),
		staff("GET /-/console/watch/usual", access.WatchRead, atWatch, c.showUsual),
		staff("POST /-/console/watch/usual", access.WatchAct, atWatch, c.acceptUsual),
		staff("GET /-/console/watch/silences", access.WatchRead, atWatch, c.showSilences),
		staff("POST /-/console/watch/silences", access.WatchAct, atWatch, c.makeSilence),
		staff("GET /-/console/watch/silences/{id}", access.WatchRead, atWatch, c.showSilence),
		staff("POST /-/console/watch/silences/approve", access.WatchManage, atSilences, c.approveSilence),
		staff("POST /-/console/watch/silences/end", access.WatchAct, atWatch, c.endSilence),
		staff("GET /-/console/watch/deliveries", access.WatchRead, atWatch, c.showDeliveries),
		staff("POST /-/console/watch/deliveries/add", access.WatchManage, atDeliveries, c.addChannel),
		staff("POST /-/console/watch/deliveries/test", access.WatchAct, atWatch, c.testChannel),
		evidence,
		staff("GET /-/console/watch/{id}", access.WatchRead, atWatch, c.showAlarm),
		staff("POST /-/console/watch/{id}/acknowledge", access.WatchAct, atWatch, c.acknowledge),
		staff("POST /-/console/watch/{id}/close", access.WatchAct, atWatch, c.closeAlarm),
	}...)
}

type watchPage struct {
	Acts   []web.Link
	Facts  []fact
	Forms  []web.Form
	Tables []web.Table
	Steps  []web.Moment
	Code   *web.Code
	Head   string // above the last forms; "" = what can be done
	Last   []web.Form
}

// rulesByID gives the words of rules.
func (c *Console) rulesByID(ctx context.Context, who actor.Actor) (map[string]watch.Standing, error) {
	all, err := c.Watch.RulesFor(ctx, who)
	out := map[string]watch.Standing{}
	for _, r := range all {
		out[r.ID] = r
	}
	return out, err
}

func alarmMark(a *watch.Alarm) web.Mark {
	switch a.State {
	case watch.Firing:
		m := web.Mark{State: web.Broken, Word: "fires", At: a.Fired}
		if a.Silenced {
			m = web.Mark{State: web.Excepted, Word: "fires, silenced", At: a.Fired}
		} else if a.Inhibited != "" {
			m = web.Mark{State: web.Excepted, Word: "fires, no news beside " + a.Inhibited, At: a.Fired}
		}
		return m
	case watch.Acknowledged:
		return web.Mark{State: web.StaleNow, Word: "somebody looks", At: a.Fired}
	case watch.Cleared:
		return web.Mark{State: web.Unproved, Word: "over, not yet judged", At: a.Cleared}
	}
	return web.Mark{State: web.Holds, Word: "closed as " + a.Verdict, At: a.Closed}
}

// showAlarms is the first page for somebody who was woken: what fires, the worst first.
func (c *Console) showAlarms(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	as, err := c.Watch.Alarms(r.Context(), who, watch.Query{Limit: 200, Rule: r.URL.Query().Get("rule")})
	if err != nil {
		return err
	}
	rules, err := c.rulesByID(r.Context(), who)
	if err != nil {
		return err
	}
	cols := []web.Column{{Name: "What"}, {Name: "How urgent"}, {Name: "State"}, {Name: "About"}, {Name: "Seen"}}
	open := web.Table{Caption: "What goes on", Columns: cols, Empty: web.Empty{Says: "Nothing fires. " + web.Count(int64(len(rules)), "rule") + " watch.", Next: web.Link{Text: "See the rules", Href: atRules}}}
	over := web.Table{Caption: "What is over", Columns: cols, Empty: web.Empty{Says: "No alarm is over yet that somebody could judge."}}
	firing, unjudged := 0, 0
	for i := range as {
		a := &as[i]
		m := alarmMark(a)
		title := rules[a.Rule].Title
		if a.Test {
			title += " (test)"
		}
		row := web.Row{Cells: []web.Cell{{Text: title, Href: atWatch + "/" + a.ID, Sub: rules[a.Rule].Next}, {Text: a.Severity}, {Mark: &m}, {Text: cutID(a.Labels["instance"]), Code: true}, {Text: a.Value}}}
		switch {
		case a.Open():
			if open.Rows = append(open.Rows, row); a.State == watch.Firing && !a.Silenced && a.Inhibited == "" {
				firing++
			}
		default:
			row.Cells[0].Sub = ""
			if over.Rows = append(over.Rows, row); a.State == watch.Cleared {
				unjudged++
			}
		}
	}
	lead := "Nothing fires that nobody looks at."
	if firing > 0 {
		lead = web.Count(int64(firing), "alarm") + " fire and nobody looks yet. Open the first one."
		if firing == 1 {
			lead = "1 alarm fires and nobody looks yet. Open it."
		}
	}
	if unjudged > 0 {
		lead += " Of " + strconv.Itoa(unjudged) + " that are over, nobody has said what they were."
	}
	acts := []web.Link{{Text: "Rules", Href: atRules}, {Text: "Routes", Href: atRoutes}, {Text: "Your own", Href: atOwn}, {Text: "What is usual", Href: atUsual}, {Text: "Silences", Href: atSilences}, {Text: "What was sent", Href: atDeliveries}}
	if c.OnCall != nil {
		acts = append(acts, web.Link{Text: "Who is on call", Href: atOnCall})
	}
	if c.Spending != nil {
		acts = append(acts, web.Link{Text: "Budgets", Href: atBudgets})
	}
	return c.show(w, r, "watch", web.View{Title: "Alarms", Lead: lead, Data: watchPage{
		Acts: acts, Tables: []web.Table{open, over}}})
}

func (c *Console) showAlarm(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.alarmPage(w, r, who, http.StatusOK, nil)
}

// alarmPage is one alarm: what it is, what to do, and the one button that is next.
func (c *Console) alarmPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, failed error) error {
	d, err := c.Watch.Alarm(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	rules, err := c.rulesByID(r.Context(), who)
	if err != nil {
		return err
	}
	rule, at, mark := rules[d.Rule], atWatch+"/"+d.ID, alarmMark(&d.Alarm)
	p := watchPage{Facts: []fact{{Name: "State", Mark: &mark}, {Name: "Fires at", Text: rule.Says}, {Name: "Seen", Text: d.Value, Sub: "when it was last there", Time: d.Seen}, {Name: "What to do", Text: rule.Next}}}
	if v := d.Labels["instance"]; v != "" {
		f := fact{Name: "About", Text: v, Code: true}
		if strings.HasPrefix(v, "p:") || strings.HasPrefix(v, "s:") || strings.Contains(v, "/") {
			f.Href = atJournal + "?actor=" + v
		}
		p.Facts = append(p.Facts, f)
	}
	of, err := c.incidentOf(r, who, d.ID)
	if err != nil {
		return err
	}
	p.Facts = append(p.Facts, of...)
	if len(d.Evidence) > 0 {
		f := fact{Name: "Rests on"}
		for _, n := range d.Evidence {
			f.Lines = append(f.Lines, fact{Text: "entry " + strconv.FormatInt(n, 10), Href: atJournal + "/" + strconv.FormatInt(n, 10)})
		}
		p.Facts = append(p.Facts, f)
	}
	p.Facts = append(p.Facts, fact{Name: "Evidence", Text: "what it rests on, with proofs", Href: atWatch + "/evidence/" + d.ID, Sub: "a zip; writ verify asks the rule again"})
	if name, _, _ := strings.Cut(d.Labels["instance"], " "); c.Spending != nil && d.Part == watch.Cost && name != "" {
		p.Facts = append(p.Facts, fact{Name: "Budget", Text: "what was used, what grew, and what it may be", Href: atBudgets + "/" + name})
	}
	p.Facts = append(p.Facts, fact{Name: "Rule", Text: d.Rule, Code: true, Sub: "upholds " + d.Clause}, fact{Name: "Route", Text: "who is told of it, and when again", Href: atRoutes + "?alarm=" + url.QueryEscape(d.ID) + "#try"})
	if c.Access.May(who, access.WatchAct) {
		note := web.Field{Name: "note", Label: "What you do", Max: 300, Complete: "off"}
		if d.State == watch.Firing {
			p.Forms = append(p.Forms, web.Form{Part: "ack", Action: at + "/acknowledge", Act: "I look at it", Fields: []web.Field{note}})
		}
		if d.State != watch.Closed {
			f := web.Form{Part: "close", Action: at + "/close", Act: "Say what it was", Quiet: d.State == watch.Firing, Fault: failed, Fields: []web.Field{{Name: "verdict", Label: "It was", Type: "radio", Required: true, Options: []web.Option{
				{Value: watch.VerdictTrue, Text: "what the rule is for"}, {Value: watch.VerdictBenign, Text: "so, and meant"}, {Value: watch.VerdictFalse, Text: "not so: a false alarm"}, {Value: watch.VerdictTest, Text: "a test"}}},
				{Name: "note", Label: "What was it", Max: 300, Complete: "off"}}}
			if p.Head = "What it was"; d.State == watch.Firing {
				p.Head, f.Fold = "", "Say what it was, and close it"
			}
			p.Last = append(p.Last, f)
		}
	}
	for i := len(d.Steps) - 1; i >= 0; i-- {
		e := d.Steps[i]
		p.Steps = append(p.Steps, web.Moment{At: e.At, Who: c.acted(r.Context(), e.Who), What: e.What})
	}
	p.Tables = []web.Table{deliveryTable(d.Deliveries)}
	lead := "Severity " + d.Severity + ". Nobody looks at it yet: press the button, and nobody else is called for four hours."
	if d.State != watch.Firing {
		lead = "Severity " + d.Severity + "."
	}
	return c.answer(w, r, st, "watch", web.View{Title: rule.Title, Lead: lead, Up: &web.Link{Text: "Alarms", Href: atWatch}, Data: p})
}

func (c *Console) acknowledge(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Watch.Acknowledge(r.Context(), who, r.PathValue("id"), f.Get("note")); err != nil {
		return err
	}
	return c.done(w, r, atWatch+"/"+r.PathValue("id"), "You look at it. Nobody else is called for four hours.")
}

func (c *Console) closeAlarm(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Watch.Close(r.Context(), who, r.PathValue("id"), f.Get("verdict"), f.Get("note")); err != nil {
		if fault.KindOf(err) != fault.Invalid {
			return err
		}
		return c.alarmPage(w, r, who, status(err), err)
	}
	return c.done(w, r, atWatch, "The alarm is closed as "+f.Get("verdict")+".")
}

// showWatchRules lists the rules, when each last fired, and how often it was right.
func (c *Console) showWatchRules(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := c.Watch.RulesFor(r.Context(), who)
	if err != nil {
		return err
	}
	part := r.URL.Query().Get("part")
	if !slices.ContainsFunc(all, func(st watch.Standing) bool { return st.Part == part }) {
		part = all[0].Part
	}
	var parts []web.Link
	t := web.Table{Caption: "Rules about " + part, Columns: []web.Column{{Name: "Rule"}, {Name: "How urgent"}, {Name: "Fired"}, {Name: "Fired in a trial"}, {Name: "Right", Figure: true}}}
	for _, st := range all {
		if href := atRules + "?part=" + url.QueryEscape(st.Part); !slices.ContainsFunc(parts, func(l web.Link) bool { return l.Href == href }) {
			parts = append(parts, web.Link{Text: strings.ToUpper(st.Part[:1]) + st.Part[1:], Href: href, Here: st.Part == part})
		}
		if st.Part != part {
			continue
		}
		fired, tried := web.Cell{At: st.Fired}, web.Cell{At: st.Tried}
		if st.Fired.IsZero() {
			fired.Text = "never"
		}
		if st.Tried.IsZero() {
			tried.Text = "not yet"
		}
		right := web.Cell{Text: "no verdict"}
		if st.Verdicts > 0 {
			right.Text = fmt.Sprintf("%.0f %% of %d", 100*st.Precision, st.Verdicts)
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: st.Title, Href: "/-/console/clauses/" + st.Clause, Sub: st.Says}, {Text: st.Severity}, fired, tried, right}})
	}
	return c.show(w, r, "watch", web.View{Title: "Rules that watch", Lead: web.Count(int64(len(all)), "rule") + " are there from the first start. None can be switched off here; verdicts show which cry wolf.", Up: &web.Link{Text: "Alarms", Href: atWatch}, Tabs: parts, Data: watchPage{Tables: []web.Table{t}}})
}

func (c *Console) showSilences(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.silencesPage(w, r, who, http.StatusOK, nil, nil)
}

func (c *Console) silencesPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, typed map[string]string, failed error) error {
	all, err := c.Watch.Silences(r.Context(), who)
	if err != nil {
		return err
	}
	t := web.Table{Caption: "Silences", Columns: []web.Column{{Name: "Of"}, {Name: "State"}, {Name: "By"}, {Name: "Kept quiet", Figure: true}}, Empty: web.Empty{Says: "Every alarm is told."}}
	var live, waiting []web.Option
	for i := range all {
		x := &all[i]
		of := silenceOf(x)
		if c.Now().Before(x.Ends) {
			if live = append(live, web.Option{Value: x.ID, Text: of}); x.Waits() && who.String() != x.MadeBy {
				waiting = append(waiting, web.Option{Value: x.ID, Text: of, Hint: c.acted(r.Context(), x.MadeBy) + " wants it, " + needsWords(x.Needs)})
			}
		}
		t.Rows = append(t.Rows, c.silenceRow(r.Context(), x, of))
	}
	p := watchPage{Acts: []web.Link{{Text: "Hours in which tickets wait", Href: atMutes}}, Tables: []web.Table{t}, Head: "Make a silence"}
	if c.Access.May(who, access.WatchAct) {
		p.Last = append(p.Last, web.Form{Part: "make", Action: atSilences, Act: "Silence them", Fault: failed, Fields: []web.Field{
			{Name: "matcher", Label: "Which alarms", Value: typed["matcher"], Required: true, Max: 500, Complete: "off", Hint: "Such as alertname=disk-full-soon, or alertname=disk-full-soon instance=data."},
			{Name: "reason", Label: "Why nobody need hear", Value: typed["reason"], Required: true, Max: 300, Complete: "off"},
			{Name: "link", Label: "What it belongs to", Value: typed["link"], Max: 120, Complete: "off", Hint: "A clause or an incident, such as clause/mon.load or incident/I-3. May be empty."},
			{Name: "minutes", Label: "For how many minutes", Value: typed["minutes"], Type: "number", Max: 5, Hint: "Empty: two hours. More than 1440, a day, or more than a quarter of the rules: a second person approves it first."}}})
		if len(live) > 0 {
			p.Last = append(p.Last, web.Form{Part: "end", Fold: "End a silence", Action: atSilences + "/end", Act: "End it now", Quiet: true, Fields: []web.Field{{Name: "silence", Label: "Silence", Type: "select", Options: live}}})
		}
	}
	if len(waiting) > 0 && c.Access.May(who, access.WatchManage) {
		p.Forms = []web.Form{{Part: "approve", Action: atSilences + "/approve", Act: "Approve it", Fields: []web.Field{{Name: "silence", Label: "They wait for a second person", Type: "radio", Required: true, Options: waiting}}}}
	}
	if err := c.muteTable(r.Context(), who, &p); err != nil {
		return err
	}
	return c.answer(w, r, st, "watch", web.View{Title: "Silences", Lead: "What is not told for a while. It is seen and recorded all the same, and told when the silence ends. Rules that watch trust are never silent.", Up: &web.Link{Text: "Alarms", Href: atWatch}, Data: p})
}

func (c *Console) makeSilence(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	typed := map[string]string{"matcher": f.Get("matcher"), "reason": f.Get("reason"), "minutes": f.Get("minutes"), "link": f.Get("link")}
	minutes, err := strconv.ParseInt(strings.TrimSpace(typed["minutes"]), 10, 64)
	if err != nil && strings.TrimSpace(typed["minutes"]) != "" {
		minutes = -1 // refused like others
	}
	ms, ends, err := c.Watch.ReadSilence(strings.Fields(typed["matcher"]), minutes)
	if err == nil {
		_, err = c.Watch.MakeSilence(r.Context(), who, watch.Wish{Matchers: ms, Reason: typed["reason"], Ends: ends, Link: strings.TrimSpace(typed["link"])})
	}
	if err != nil {
		if fault.KindOf(err) != fault.Invalid {
			return err
		}
		return c.silencesPage(w, r, who, status(err), typed, err)
	}
	return c.done(w, r, atSilences, "They are silent.")
}

func (c *Console) endSilence(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Watch.EndSilence(r.Context(), who, f.Get("silence")); err != nil {
		return err
	}
	return c.done(w, r, atSilences, "The silence is ended. What still fires is told now.")
}

func deliveryTable(ds []notify.Delivery) web.Table {
	t := web.Table{Caption: "What was sent", Columns: []web.Column{{Name: "When"}, {Name: "By"}, {Name: "State"}, {Name: "Tries", Figure: true}, {Name: "Answer"}}, Empty: web.Empty{Says: "Nothing was sent."}}
	for _, d := range ds {
		m := web.Mark{State: web.Unproved, Word: d.State}
		switch d.State {
		case notify.Accepted, notify.Delivered:
			m.State, m.At = web.Holds, d.Ended
		case notify.Rejected, notify.Bounced:
			m.State, m.At = web.Broken, d.Ended
		case notify.Unknown, notify.Deferred:
			m.State = web.StaleNow
		}
		about := ""
		if id, ok := strings.CutPrefix(d.About, "alarm/"); ok {
			about = atWatch + "/" + id
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{At: d.Made}, {Text: d.Channel, Href: about}, {Mark: &m}, {Text: strconv.FormatInt(d.Tries, 10)}, {Text: d.Code, Code: true}}})
	}
	return t
}

// showDeliveries lists the ways by which people are told, and what was sent.
func (c *Console) showDeliveries(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.deliveriesPage(w, r, who, http.StatusOK, nil, nil)
}

func (c *Console) deliveriesPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, typed map[string]string, failed error) error {
	cs, err := c.Watch.Channels(r.Context(), who)
	if err != nil {
		return err
	}
	ds, err := c.Watch.DeliveriesFor(r.Context(), who, notify.Query{})
	if err != nil {
		return err
	}
	ways := web.Table{Caption: "Ways by which people are told", Columns: []web.Column{{Name: "Channel"}, {Name: "Kind"}, {Name: "Tested"}, {Name: "Taken"}}}
	var options []web.Option
	for _, ch := range cs {
		tested, taken := web.Cell{At: ch.Tested}, web.Cell{At: ch.Accepted}
		if ch.Tested.IsZero() {
			tested.Text = "not yet"
		}
		if ch.Accepted.IsZero() {
			taken.Text = "not yet"
		}
		ways.Rows = append(ways.Rows, web.Row{Cells: []web.Cell{{Text: ch.Name, Href: atJournal + "?object=channel/" + ch.Name}, {Text: ch.Kind}, tested, taken}})
		options = append(options, web.Option{Value: ch.Name, Text: ch.Name})
	}
	p := watchPage{Tables: []web.Table{ways, deliveryTable(ds)}}
	dead, err := c.Watch.UnreachableFor(r.Context(), who)
	if err != nil {
		return err
	}
	if len(dead) > 0 {
		p.Tables = append(p.Tables, unreachableTable(dead))
	}
	if c.Access.May(who, access.WatchAct) {
		p.Last = []web.Form{{Fold: "Send a test message", Action: atDeliveries + "/test", Act: "Send a test message", Quiet: true, Fields: []web.Field{{Name: "channel", Label: "By", Type: "select", Options: options}}}}
	}
	if c.Access.May(who, access.WatchManage) {
		var kinds []web.Option
		for _, k := range c.Watch.Kinds() {
			kinds = append(kinds, web.Option{Value: k, Text: k})
		}
		p.Last = append(p.Last, web.Form{Part: "add", Fold: "Add a way", Action: atDeliveries + "/add", Act: "Add this way", Quiet: true, Fault: failed, Fields: []web.Field{
			{Name: "name", Label: "Name", Value: typed["name"], Required: true, Max: 40, Complete: "off", Hint: "Small letters, digits and hyphens, such as ops."},
			{Name: "kind", Label: "Kind", Value: typed["kind"], Type: "select", Options: kinds},
			{Name: "url", Label: "Address, and what stands behind it", Type: "password", Max: 2000, Complete: "off", Hint: "It is a secret: it is sealed and not shown again. What each kind wants is in the documentation, and in the answer if it is not good. A file needs none."}}})
	}
	lead := "Every alarm goes out by all of these. Each gets a test message once a week."
	if len(cs) < 2 {
		lead = "People are told by one way alone. Add another."
	}
	return c.answer(w, r, st, "watch", web.View{Title: "What was sent", Lead: lead, Up: &web.Link{Text: "Alarms", Href: atWatch}, Data: p})
}

// unreachableTable lists addresses that letters came back from.
func unreachableTable(dead []notify.Unreachable) web.Table {
	t := web.Table{Caption: "Letters do not reach", Columns: []web.Column{{Name: "Address"}, {Name: "Since"}, {Name: "Answer"}}}
	for _, x := range dead {
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: x.Address}, {At: x.Since}, {Text: x.Code, Code: true}}})
	}
	return t
}

// addChannel adds a way. The secret that signs a webhook is shown this once.
func (c *Console) addChannel(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	typed := map[string]string{"name": strings.TrimSpace(f.Get("name")), "kind": f.Get("kind")}
	ch, key, err := c.Watch.AddChannel(r.Context(), who, typed["name"], typed["kind"], secret.NewText(strings.TrimSpace(f.Get("url"))))
	switch {
	case fault.KindOf(err) == fault.Invalid || fault.KindOf(err) == fault.Conflict:
		return c.deliveriesPage(w, r, who, status(err), typed, err)
	case err != nil:
		return err
	case key.Reveal() == "":
		return c.done(w, r, atDeliveries, "The way "+ch.Name+" is there. Send a test message by it.")
	}
	return c.show(w, r, "watch", web.View{Title: "The way " + ch.Name + " is there", Lead: "Its receiver checks each message with this secret (Standard Webhooks). It is shown this once.", Up: &web.Link{Text: "What was sent", Href: atDeliveries},
		Data: watchPage{Code: &web.Code{Label: "The secret that signs its messages", Text: key.Reveal()}}})
}

func (c *Console) testChannel(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if _, err := c.Watch.TestChannel(r.Context(), who, f.Get("channel")); err != nil {
		return err
	}
	return c.done(w, r, atDeliveries, "The test is on its way.")
}
