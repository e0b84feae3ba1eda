package console

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/watch"
	"writ/internal/web"
)

// silenceOf is what a silence is of, as people write it.
func silenceOf(x *watch.Silence) string {
	var ms []string
	for _, m := range x.Matchers {
		ms = append(ms, m.String())
	}
	return strings.Join(ms, ", ")
}

func needsWords(needs string) string {
	if needs == watch.Wide {
		return "which covers more than a quarter of the rules"
	}
	return "which lasts longer than a day"
}

func (c *Console) silenceMark(x *watch.Silence) web.Mark {
	switch {
	case !c.Now().Before(x.Ends):
		return web.Mark{State: web.Unproved, Word: "over", At: x.Ends}
	case x.Waits():
		return web.Mark{State: web.Unproved, Word: "waits for a second person"}
	case x.Ends.Sub(c.Now()).Hours() > 20:
		return web.Mark{State: web.Excepted, Word: "until " + x.Ends.UTC().Format("2 January 15:04") + " UTC"}
	}
	return web.Mark{State: web.Excepted, Word: "until " + x.Ends.UTC().Format("15:04") + " UTC"}
}

func (c *Console) silenceRow(ctx context.Context, x *watch.Silence, of string) web.Row {
	m := c.silenceMark(x)
	by := web.Cell{Text: c.acted(ctx, x.MadeBy)}
	if !x.Approved.IsZero() {
		by.Sub = "approved by " + c.acted(ctx, x.ApprovedBy)
	}
	main := web.Cell{Text: of, Href: atSilences + "/" + x.ID}
	if x.Version > 1 {
		main.Sub = "version " + strconv.FormatInt(x.Version, 10)
	}
	return web.Row{Cells: []web.Cell{main, {Mark: &m}, by, {Text: strconv.FormatInt(x.Hid, 10)}}}
}

// showSilence is one silence: its versions, and every alarm that it kept quiet.
func (c *Console) showSilence(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	k, err := c.Watch.SilenceOf(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	rules, err := c.rulesByID(r.Context(), who)
	if err != nil {
		return err
	}
	m := c.silenceMark(&k.Silence)
	p := watchPage{Facts: []fact{{Name: "State", Mark: &m}, {Name: "Made by", Text: c.acted(r.Context(), k.MadeBy), Sub: "the reason is in its entry", Href: atJournal + "?object=silence/" + k.ID, Time: k.Made}, {Name: "Ends", Time: k.Ends}}}
	if kind, id, _ := strings.Cut(k.Link, "/"); k.Link != "" {
		f := fact{Name: "Belongs to", Text: id, Href: "/-/console/clauses/" + id}
		if kind == "incident" {
			f.Href = atIncidents + "/" + id
		}
		p.Facts = append(p.Facts, f)
	}
	if k.Needs != "" {
		f := fact{Name: "Approved by", Text: "nobody yet", Sub: needsWords(k.Needs)}
		if !k.Approved.IsZero() {
			f.Text, f.Time = c.acted(r.Context(), k.ApprovedBy), k.Approved
		}
		p.Facts = append(p.Facts, f)
	}
	hid := web.Table{Caption: "Alarms that it kept quiet", Columns: []web.Column{{Name: "What"}, {Name: "How urgent"}, {Name: "State"}, {Name: "About"}}, Empty: web.Empty{Says: "It kept nothing quiet."}}
	for i := range k.Alarms {
		a := &k.Alarms[i]
		mark := alarmMark(a)
		hid.Rows = append(hid.Rows, web.Row{Cells: []web.Cell{{Text: rules[a.Rule].Title, Href: atWatch + "/" + a.ID}, {Text: a.Severity}, {Mark: &mark}, {Text: cutID(a.Labels["instance"]), Code: true}}})
	}
	p.Tables = []web.Table{hid}
	if len(k.Versions) > 1 {
		vs := web.Table{Caption: "Versions", Columns: []web.Column{{Name: "Of"}, {Name: "State"}, {Name: "By"}, {Name: "Kept quiet", Figure: true}}}
		for i := range k.Versions {
			vs.Rows = append(vs.Rows, c.silenceRow(r.Context(), &k.Versions[i], silenceOf(&k.Versions[i])))
		}
		p.Tables = append(p.Tables, vs)
	}
	return c.show(w, r, "watch", web.View{Title: "Silence of " + silenceOf(&k.Silence), Lead: "It kept " + web.Count(k.Hid, "alarm") + " quiet. They were seen and recorded all the same.", Up: &web.Link{Text: "Silences", Href: atSilences}, Data: p})
}

func (c *Console) approveSilence(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := c.Access.Allow(r.Context(), who, access.WatchManage, "watch/silences"); err != nil { // before what is wrong with it
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Watch.ApproveSilence(r.Context(), who, f.Get("silence")); err != nil {
		return err
	}
	return c.done(w, r, atSilences, "The silence holds.")
}

// muteTable adds the hours of the week in which tickets wait, where there are any.
func (c *Console) muteTable(ctx context.Context, who actor.Actor, p *watchPage) error {
	ms, err := c.Watch.Mutes(ctx, who)
	if err != nil || len(ms) == 0 {
		return err
	}
	t := web.Table{Caption: "Hours in which tickets wait", Columns: []web.Column{{Name: "Name"}, {Name: "Days"}, {Name: "Hours"}, {Name: "Set by"}}}
	for i := range ms {
		m := &ms[i]
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: m.Name, Href: atJournal + "?object=mute/" + m.Name}, {Text: strings.Join(m.DayNames(), " ")}, {Text: m.Clock(), Sub: m.Zone}, {Text: c.acted(ctx, m.MadeBy)}}})
	}
	p.Tables = append(p.Tables, t)
	return nil
}
