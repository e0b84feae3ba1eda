package console

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/watch"
	"writ/internal/watch/rota"
	"writ/internal/web"
)

// OnCall is what the page of rotas needs; *rota.Service.
type OnCall interface {
	Board(ctx context.Context, who actor.Actor) (rota.Board, error)
	Set(ctx context.Context, who actor.Actor, w rota.Wish) error
	Remove(ctx context.Context, who actor.Actor, rota string) error
	Override(ctx context.Context, who actor.Actor, a rota.Ask) (rota.Override, error)
	Agree(ctx context.Context, who actor.Actor, id string) (rota.Override, error)
	Decline(ctx context.Context, who actor.Actor, id string) error
}

const atOnCall = atWatch + "/oncall"

// onCallRoutes are the page of who is on call; none without rotas.
func (c *Console) onCallRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	if c.OnCall == nil {
		return nil
	}
	return []web.Route{
		staff("GET /-/console/watch/oncall", access.WatchRead, atWatch, c.showOnCall),
		staff("POST /-/console/watch/oncall/set", access.WatchManage, atOnCall, c.setRota),
		staff("POST /-/console/watch/oncall/remove", access.WatchManage, atOnCall, c.removeRota),
		staff("POST /-/console/watch/oncall/override", access.WatchAct, atOnCall, c.askOverride),
		staff("POST /-/console/watch/oncall/agree", access.WatchAct, atOnCall, c.agreeOverride),
		staff("POST /-/console/watch/oncall/decline", access.WatchAct, atOnCall, c.declineOverride),
	}
}

// onCallTries is what was typed, and what was wrong with it.
type onCallTries struct {
	values             map[string]string
	rotaErr, turnError error
}

func (c *Console) showOnCall(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.onCallPage(w, r, who, http.StatusOK, onCallTries{})
}

// onCallPage says who is called now, who after them, and who in the weeks ahead.
func (c *Console) onCallPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, t onCallTries) error {
	b, err := c.OnCall.Board(r.Context(), who)
	if err != nil {
		return err
	}
	p := watchPage{}
	lead := "No rota is set: engineers are told first, and owners with them when nobody acknowledged."
	if len(b.Rotas) > 0 {
		place := b.Rotas[0].Place()
		now := &b.Ahead[0]
		lead = c.turnOf(r.Context(), now.First.Person) + " is on call until " + wall(now.Until, place) + "."
		p.Facts = c.chain(r.Context(), &b, place)
		p.Tables = append(p.Tables, c.aheadTable(r.Context(), &b, place))
		if len(b.Overrides) > 0 {
			p.Tables = append(p.Tables, c.overrideTable(r.Context(), &b, place))
		}
		if p.Last = c.wordForms(r.Context(), who, &b, place); len(p.Last) > 0 {
			lead += " Somebody waits for your word about a turn, below."
		}
	}
	if len(b.Rotas) == 0 {
		p.Head = "Set a rota"
	}
	pulse, err := c.Watch.PulseFor(r.Context(), who)
	if err != nil {
		return err
	}
	p.Facts = append(p.Facts, pulseFacts(&pulse)...)
	p.Last = append(p.Last, c.onCallForms(r.Context(), who, &b, t)...)
	return c.answer(w, r, st, "watch", web.View{Title: "Who is on call", Lead: lead, Up: &web.Link{Text: "Alarms", Href: atWatch}, Data: p})
}

// wall is a time by the clock in the rota's zone.
func wall(t time.Time, place *time.Location) string {
	return t.In(place).Format("Monday 2 January, 15:04 MST")
}

func (c *Console) turnOf(ctx context.Context, id string) string {
	if id == "" {
		return "Nobody"
	}
	return c.Identity.Name(ctx, id)
}

// chain is who is told now, in which order, and what is amiss.
func (c *Console) chain(ctx context.Context, b *rota.Board, place *time.Location) []fact {
	now := &b.Ahead[0]
	told := func(name, sub string, t rota.Turn) fact {
		f := fact{Name: name, Text: c.turnOf(ctx, t.Person), Sub: sub}
		if t.Instead != "" {
			f.Sub = strings.TrimSpace(sub + " instead of " + c.turnOf(ctx, t.Instead))
		}
		return f
	}
	out := []fact{told("Told first", "", now.First)}
	if now.Second.Person != "" {
		out = append(out, told("Then", "after 5 minutes of a page, or 4 hours of a ticket", now.Second))
	}
	var owners []string
	for _, p := range b.People {
		if p.Owner {
			owners = append(owners, c.turnOf(ctx, p.ID))
		}
	}
	out = append(out, fact{Name: "Then the owners", Text: strings.Join(owners, ", "), Sub: "after 10 more minutes, or 24 hours; again until somebody acknowledges"})
	for _, g := range b.Gaps {
		why := map[string]string{rota.Left: "cannot be told: neither engineer nor owner any more, or without a confirmed address", rota.Same: "is first and second at once", rota.None: "has a turn"}[g.Why]
		out = append(out, fact{Name: "Gap", Mark: &web.Mark{State: web.Broken, Word: c.turnOf(ctx, g.Person) + " " + why}, Sub: g.Rota + ", from " + wall(g.From, place)})
	}
	for _, name := range b.Channels {
		out = append(out, fact{Name: "Gap", Mark: &web.Mark{State: web.Broken, Word: "the channel " + name + " took no test this week", Href: atDeliveries}})
	}
	return out
}

// pulseFacts say whether alarms get through, and who would notice that this server has died.
func pulseFacts(p *watch.Pulse) []fact {
	beat := fact{Name: "Heartbeat", Text: "none has arrived yet", Sub: "each ten seconds one takes the way of an alarm, to nobody"}
	if !p.At.IsZero() {
		beat.Text, beat.Mark, beat.Sub = "", &web.Mark{State: web.Holds, Word: "arrives", At: p.At}, fmt.Sprintf("took %d ms from its reading to the end of an alarm's way", p.Took.Milliseconds())
	}
	if p.Missed > 2 {
		beat.Mark = &web.Mark{State: web.Broken, Word: "does not arrive", At: p.At}
	}
	out := fact{Name: "Outside", Mark: &web.Mark{State: web.Unproved, Word: "nobody outside listens"}, Sub: "so nobody is told when this server has died: set watch.heartbeat_url in writ.yaml"}
	switch {
	case p.Unheard != "":
		out.Mark, out.Sub = &web.Mark{State: web.Broken, Word: "is not told", At: p.Heard}, p.Unheard
	case !p.Heard.IsZero():
		out.Mark, out.Sub = &web.Mark{State: web.Holds, Word: "is told each minute", At: p.Heard}, "whoever listens there raises the alarm when this server has died"
	case p.Listens:
		out.Mark, out.Sub = &web.Mark{State: web.Unproved, Word: "not told yet"}, ""
	}
	return []fact{beat, out}
}

func (c *Console) aheadTable(ctx context.Context, b *rota.Board, place *time.Location) web.Table {
	t := web.Table{Caption: "The weeks ahead", Columns: []web.Column{{Name: "From"}, {Name: "Told first"}, {Name: "Then"}}}
	cell := func(x rota.Turn) web.Cell {
		out := web.Cell{Text: c.turnOf(ctx, x.Person)}
		if x.Instead != "" {
			out.Sub = "instead of " + c.turnOf(ctx, x.Instead)
		}
		return out
	}
	for i, s := range b.Ahead {
		from := web.Cell{Text: wall(s.From, place), Sub: "until " + wall(s.Until, place)}
		if i == 0 {
			from.Text = "Now"
		}
		if i == len(b.Ahead)-1 { // it is cut there
			from.Sub = ""
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{from, cell(s.First), cell(s.Second)}})
	}
	return t
}

// swapped says what an override is.
func (c *Console) swapped(ctx context.Context, o *rota.Override, place *time.Location) string {
	s := wall(o.From, place) + " to " + wall(o.Until, place)
	if !o.BackFrom.IsZero() {
		s += ", for " + wall(o.BackFrom, place) + " to " + wall(o.BackUntil, place) + " in return"
	}
	return s
}

func (c *Console) overrideTable(ctx context.Context, b *rota.Board, place *time.Location) web.Table {
	t := web.Table{Caption: "Turns that change hands", Columns: []web.Column{{Name: "When"}, {Name: "Whose turn"}, {Name: "Who takes it"}, {Name: "State"}}}
	agreed := func(at time.Time) string {
		if at.IsZero() {
			return "has not agreed yet"
		}
		return "agreed"
	}
	for i := range b.Overrides {
		o := &b.Overrides[i]
		m := web.Mark{State: web.Unproved, Word: "asked for", At: o.Made}
		if o.Stands() {
			m = web.Mark{State: web.Holds, Word: "stands"}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: c.swapped(ctx, o, place), Href: atJournal + "?object=override/" + o.ID, Sub: o.Rota}, {Text: c.turnOf(ctx, o.Of), Sub: agreed(o.OfAgreed)}, {Text: c.turnOf(ctx, o.By), Sub: agreed(o.ByAgreed)}, {Mark: &m}}})
	}
	return t
}

// wordForms ask whoever reads for their word about a turn.
func (c *Console) wordForms(ctx context.Context, who actor.Actor, b *rota.Board, place *time.Location) (out []web.Form) {
	var agree, decline []web.Option
	for i := range b.Overrides {
		o := &b.Overrides[i]
		opt := web.Option{Value: o.ID, Text: c.turnOf(ctx, o.By) + " takes the turn of " + c.turnOf(ctx, o.Of), Hint: c.swapped(ctx, o, place)}
		if o.Stands() || !c.Access.May(who, access.WatchAct) {
			continue
		}
		mine := who.ID == o.Of || who.ID == o.By
		if who.ID == o.Of && o.OfAgreed.IsZero() || who.ID == o.By && o.ByAgreed.IsZero() {
			agree = append(agree, opt)
		}
		if mine || who.String() == o.MadeBy {
			decline = append(decline, opt)
		}
	}
	if len(agree) == 1 {
		agree[0].Chosen = true
	}
	if len(agree) > 0 {
		out = append(out, web.Form{Part: "agree", Action: atOnCall + "/agree", Act: "I agree", Fields: []web.Field{{Name: "override", Label: "You are asked", Type: "radio", Required: true, Options: agree}}})
	}
	if len(decline) > 0 {
		out = append(out, web.Form{Part: "decline", Fold: "Decline a turn that is asked for", Action: atOnCall + "/decline", Act: "Decline it", Quiet: true, Fields: []web.Field{{Name: "override", Label: "It shall not be", Type: "radio", Required: true, Options: decline}}})
	}
	return out
}

func (c *Console) onCallForms(ctx context.Context, who actor.Actor, b *rota.Board, t onCallTries) (out []web.Form) {
	v := t.values
	var people, names []web.Option
	var handles []string
	for _, p := range b.People {
		people = append(people, web.Option{Value: p.ID, Text: c.turnOf(ctx, p.ID), Chosen: p.ID == v["by"]})
		handles = append(handles, p.Handle)
	}
	for _, r := range []string{rota.First, rota.Second} {
		names = append(names, web.Option{Value: r, Text: "told " + r, Chosen: r == v["rota"]})
	}
	if len(b.Rotas) > 0 && c.Access.May(who, access.WatchAct) {
		const hint = "Such as 2026-11-30 09:00, by the clock of the rota."
		out = append(out, web.Form{Part: "turn", Fold: "Ask that a turn changes hands", Action: atOnCall + "/override", Act: "Ask for it", Quiet: true, Fault: t.turnError, Fields: []web.Field{
			{Name: "rota", Label: "Turn of who is", Type: "select", Options: names[:len(b.Rotas)]}, {Name: "by", Label: "Who takes it", Type: "select", Options: people, Hint: "It stands when both have agreed. Both get a letter."},
			{Name: "from", Label: "From", Value: v["from"], Max: 30, Complete: "off", Hint: "Empty: now. " + hint}, {Name: "until", Label: "Until", Value: v["until"], Required: true, Max: 30, Complete: "off"},
			{Name: "back_from", Label: "In return, from", Value: v["back_from"], Max: 30, Complete: "off", Hint: "For a swap. Empty: nothing in return."}, {Name: "back_until", Label: "In return, until", Value: v["back_until"], Max: 30, Complete: "off"}}})
	}
	if !c.Access.May(who, access.WatchManage) {
		return out
	}
	var days []web.Option
	for _, d := range rota.Days() {
		days = append(days, web.Option{Value: d, Text: strings.ToUpper(d[:1]) + d[1:], Chosen: d == v["day"]})
	}
	clock := v["at"]
	if clock == "" {
		clock = "09:00"
	}
	set := web.Form{Part: "rota", Action: atOnCall + "/set", Act: "Set the rota", Quiet: len(b.Rotas) > 0, Fault: t.rotaErr, Fields: []web.Field{
		{Name: "rota", Label: "Rota of who is", Type: "select", Options: names},
		{Name: "people", Label: "People, in the order of their weeks", Value: v["people"], Required: true, Max: 500, Complete: "off", Hint: "The first has the week that goes on. There are: " + strings.Join(handles, ", ") + "."},
		{Name: "day", Label: "Turns change on", Type: "select", Options: days}, {Name: "at", Label: "At", Value: clock, Required: true, Max: 5, Complete: "off"},
		{Name: "zone", Label: "Time zone", Value: v["zone"], Max: 64, Complete: "off", Hint: "Such as Europe/Berlin. Empty: UTC."}}}
	if len(b.Rotas) > 0 {
		set.Fold = "Set a rota anew"
	}
	out = append(out, set)
	if len(b.Rotas) > 0 {
		out = append(out, web.Form{Part: "remove", Fold: "Remove a rota", Action: atOnCall + "/remove", Act: "Remove the rota", Quiet: true, Loses: "Without the first, engineers are told first again, and owners with them.", Fields: []web.Field{{Name: "rota", Label: "Rota of who is", Type: "select", Options: names[:len(b.Rotas)]}}})
	}
	return out
}

// onCallForm reads a form, gives it to do, and shows the page again where it is refused.
func (c *Console) onCallForm(w http.ResponseWriter, r *http.Request, who actor.Actor, need access.Action, says string, do func(v map[string]string) error, failed func(*onCallTries, error)) error {
	if err := c.Access.Allow(r.Context(), who, need, "watch/oncall"); err != nil { // before what is wrong with it
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	v := map[string]string{}
	for _, k := range []string{"rota", "people", "day", "at", "zone", "by", "from", "until", "back_from", "back_until", "override"} {
		v[k] = strings.TrimSpace(f.Get(k))
	}
	if err := do(v); err != nil {
		if !formed(err) || failed == nil {
			return err
		}
		t := onCallTries{values: v}
		failed(&t, err)
		return c.onCallPage(w, r, who, status(err), t)
	}
	return c.done(w, r, atOnCall, says)
}

func (c *Console) setRota(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.onCallForm(w, r, who, access.WatchManage, "The rota is set.", func(v map[string]string) error {
		people := strings.FieldsFunc(v["people"], func(x rune) bool { return x == ',' || x == ' ' || x == ';' || x == '\n' || x == '\r' })
		return c.OnCall.Set(r.Context(), who, rota.Wish{Rota: v["rota"], People: people, Zone: v["zone"], Day: v["day"], At: v["at"]})
	}, func(t *onCallTries, err error) { t.rotaErr = err })
}

func (c *Console) removeRota(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.onCallForm(w, r, who, access.WatchManage, "The rota is removed.", func(v map[string]string) error {
		return c.OnCall.Remove(r.Context(), who, v["rota"])
	}, nil)
}

func (c *Console) askOverride(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.onCallForm(w, r, who, access.WatchAct, "Both are asked. It stands when both have agreed.", func(v map[string]string) error {
		_, err := c.OnCall.Override(r.Context(), who, rota.Ask{Rota: v["rota"], By: v["by"], From: v["from"], Until: v["until"], BackFrom: v["back_from"], BackUntil: v["back_until"]})
		return err
	}, func(t *onCallTries, err error) { t.turnError = err })
}

func (c *Console) agreeOverride(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.onCallForm(w, r, who, access.WatchAct, "You agree.", func(v map[string]string) error {
		_, err := c.OnCall.Agree(r.Context(), who, v["override"])
		return err
	}, nil)
}

func (c *Console) declineOverride(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.onCallForm(w, r, who, access.WatchAct, "It is declined.", func(v map[string]string) error {
		return c.OnCall.Decline(r.Context(), who, v["override"])
	}, nil)
}
