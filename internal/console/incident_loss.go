package console

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/web"
)

// Losses is what the pages of lost data and of drills need.
type Losses interface {
	LookBack(ctx context.Context, who actor.Actor, ref string, audits []string) (incident.Case, error)
	MakePlan(ctx context.Context, who actor.Actor, ref string, in incident.NewPlan) (incident.Case, error)
	RecordHand(ctx context.Context, who actor.Actor, ref, guard, text string) (incident.Case, error)
	SignHand(ctx context.Context, who actor.Actor, ref, id string) (incident.Case, error)
	Again(ctx context.Context, who actor.Actor, ref, act string) (incident.Case, error)
	Drill(ctx context.Context, who actor.Actor, in incident.NewDrill) (incident.Case, error)
	Scores(ctx context.Context, who actor.Actor) ([]incident.Scored, error)
	Followed(ctx context.Context, who actor.Actor, ref string) (incident.Case, error)
}

const atDrills = "/-/console/drills"

func (c *Console) lossRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	return []web.Route{
		staff("POST /-/console/incidents/{ref}/loss", access.IncidentAct, atIncidents, c.onIncident(c.actLoss)),
		staff("POST /-/console/drills", access.IncidentAct, atIncidents, c.beginDrill),
	}
}

// incidentLoss is the part of an incident's page about lost data.
type incidentLoss struct {
	Says    string
	Running string
	Red     string
	Facts   []string
	Plan    *web.Table // what it would do, and what it costs
	Onsets  web.Table
	Look    *web.Form // through the record again
	Checks  web.Table
	Hands   web.Table
	Lost    web.Table
}

// lossOf is that part, nil where no data was lost; and the one thing to do is made what the
// recovery waits for.
func (c *Console) lossOf(v incident.View, at string, may bool, next *incidentNext) *incidentLoss {
	l := v.Loss
	if l == nil {
		return nil
	}
	m, _ := engine.Of(engine.R)
	state, _ := m.State(v.States[engine.R])
	p := &incidentLoss{Says: state.Says, Running: actWords(l.Running), Red: l.Red}
	if l.Trouble != "" {
		p.Running += " It is tried again: " + l.Trouble + "."
	}
	for _, f := range []struct {
		says string
		at   time.Time
	}{{"backups held", l.Begun}, {"down", l.Down}, {"proved frozen", l.Frozen}, {"open to everybody", l.Up}} {
		if !f.at.IsZero() {
			p.Facts = append(p.Facts, f.says+" since "+f.at.UTC().Format("2 Jan 15:04:05 UTC"))
		}
	}
	if !l.Up.IsZero() {
		p.Facts = append(p.Facts, "down for "+spanOf(l.RTO), spanOf(l.RPO)+" of data lost")
	}
	p.tables(l, v.Ref())
	if next != nil && next.region == engine.R {
		p.lead(v, at, may, next)
	}
	return p
}

func spanOf(n int64) string {
	if n == 0 {
		return "0 seconds"
	}
	return web.Duration(time.Duration(n) * time.Second)
}

func actWords(act string) string {
	if act == "" {
		return ""
	}
	return "The server is at it: " + strings.ReplaceAll(act, "-", " ") + ". Load the page again in a moment."
}

func (p *incidentLoss) tables(l *incident.Loss, ref string) {
	p.Onsets = web.Table{Caption: "What may have damaged the data", Columns: []web.Column{{Name: "When"}, {Name: "Kind"}, {Name: "What"}, {Name: "Entry"}}}
	for _, o := range l.Onsets {
		entry := web.Cell{}
		if o.Entry > 0 {
			entry = web.Cell{Text: strconv.FormatInt(o.Entry, 10), Href: atJournal + "/" + strconv.FormatInt(o.Entry, 10)}
		}
		p.Onsets.Rows = append(p.Onsets.Rows, web.Row{Cells: []web.Cell{{Text: onsetWhen(o)}, {Text: onsetKind(o)}, {Text: o.Says}, entry}})
	}
	if x := l.Plan; x != nil {
		t := web.Table{Caption: "The plan " + l.Hash[:12] + ", by " + l.PlannedBy, Columns: []web.Column{{Name: "What"}, {Name: "How it will be"}}}
		row := func(what, says string) {
			t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: what}, {Text: says}}})
		}
		row("Back to", x.Position+", as it was on "+x.At.UTC().Format("2 Jan 2006 15:04:05 UTC")+" ("+x.Point+")")
		row("Damaged since", x.Onset.UTC().Format("2 Jan 2006 15:04:05 UTC"))
		row("Overwrites", x.Target)
		if x.Rows >= 0 {
			row("Rows that will be there", strconv.FormatInt(x.Rows, 10))
			row("Acknowledged writes that are lost", strconv.FormatInt(x.Lost, 10))
			row("It takes about", spanOf(x.Expected))
		}
		row("Time of data that is lost", spanOf(x.Seconds))
		if x.Says != "" {
			row("How, by hand", x.Says)
		}
		signed := "nobody"
		if len(l.Signers) > 0 {
			signed = web.And(l.Signers)
		}
		row("Signed now by", signed)
		p.Plan = &t
	}
	p.Checks = web.Table{Caption: "What was checked", Columns: []web.Column{{Name: "Step"}, {Name: "Check"}, {Name: "Result"}}}
	for _, g := range l.Checks {
		for _, k := range g.Checks {
			word := "holds"
			if !k.Good {
				word = "does not hold"
			}
			p.Checks.Rows = append(p.Checks.Rows, web.Row{Cells: []web.Cell{{Text: strings.ReplaceAll(g.Act, "-", " ")}, {Text: k.Name, Sub: k.Says}, {Text: word}}})
		}
	}
	p.Hands = web.Table{Caption: "Done by hand", Columns: []web.Column{{Name: "What it answers"}, {Name: "Who recorded it"}, {Name: "Who signed it"}, {Name: "When"}}}
	for _, h := range l.Hands {
		signed := h.Other
		if signed == "" {
			signed = "nobody yet"
		}
		p.Hands.Rows = append(p.Hands.Rows, web.Row{Cells: []web.Cell{{Text: strings.ReplaceAll(h.Guard, "-", " "), Sub: h.Text}, {Text: h.Name}, {Text: signed}, {At: h.At}}})
	}
	p.Lost = web.Table{Caption: "What each team lost", Columns: []web.Column{{Name: "Team"}, {Name: "Writes", Figure: true}, {Name: "List"}}}
	for _, x := range l.Lost {
		p.Lost.Rows = append(p.Lost.Rows, web.Row{Cells: []web.Cell{{Text: x.Team, Href: "/-/api/v1/incidents/" + ref + "/loss/lost/" + x.Team, Code: true, Sub: "the list, as JSON, for the team; that you read it is recorded"}, {Text: strconv.FormatInt(x.Writes, 10)}, {Text: x.Hash[:12], Code: true}}})
	}
}

// lead makes the one thing to do what the recovery waits for: to do again what went wrong, to
// make the plan, to sign it, or to record and sign what people do by hand.
func (p *incidentLoss) lead(v incident.View, at string, may bool, next *incidentNext) {
	l := v.Loss
	form := func(act, says string, more []web.Pair, fields ...web.Field) {
		if may {
			next.Form = &web.Form{Action: at + "/loss", Act: says, Part: "loss-" + act, Hidden: append([]web.Pair{{Name: "act", Value: act}}, more...), Fields: fields}
		}
	}
	mine := slices.ContainsFunc(v.Stands, func(x incident.Stand) bool {
		return x.Machine.Region == engine.R && slices.ContainsFunc(x.Ways, func(w incident.Way) bool { return w.Step.Role == engine.Recovery && w.Mine })
	})
	if state := v.States[engine.R]; may && mine && slices.Contains([]string{"R0", "R1", "R2", "R3", "R4"}, state) && !v.Drill {
		p.Look = &web.Form{Action: at + "/loss", Act: "Look through the record again", Quiet: true, Part: "loss-onsets", Hidden: []web.Pair{{Name: "act", Value: "onsets"}}, Fields: []web.Field{word("audits", "Audits of the database", "Ids of files of the incident, with spaces between. May be empty.", false)}}
	}
	unsigned := slices.ContainsFunc(next.Unmet, func(u engine.Lack) bool { return u.Guard == "plan-signed" })
	byHand := slices.IndexFunc(next.Unmet, func(u engine.Lack) bool { return slices.Contains(l.ByHand, u.Guard) })
	switch {
	case l.Red != "":
		next.Says = "It is red, and stays down: look what is wrong"
		if mine {
			form("again", "Do it once more", []web.Pair{{Name: "name", Value: l.RedAct}})
		}
	case byHand >= 0:
		p.leadByHand(l, next, next.Unmet[byHand].Guard, mine, form)
	case unsigned && (l.Plan == nil || len(l.Signers) == 0):
		next.Says = "Make the plan"
		if mine {
			form("plan", "Make the plan, and sign it", nil, planFields(v)...)
		}
	case unsigned && !l.Signed:
		next.Says, next.Who = "Sign the plan", "anybody who may act, and is not among those who signed"
		form("sign-plan", "Sign the plan", []web.Pair{{Name: "hash", Value: l.Hash}})
	case unsigned:
		next.Says, next.Who, next.Form = "A second person signs the plan", "anybody else who may act", nil
	}
	if unsigned || v.States[engine.R] == "R5" {
		next.Plan, p.Plan = p.Plan, nil // before the signature, not below it
	}
}

func (p *incidentLoss) leadByHand(l *incident.Loss, next *incidentNext, guard string, mine bool, form func(string, string, []web.Pair, ...web.Field)) {
	for _, h := range l.Hands {
		if h.Guard == guard && h.Other == "" {
			next.Says, next.Who = "Sign what was done by hand: "+strings.ReplaceAll(guard, "-", " "), "anybody but "+h.Name
			form("sign-hand", "It is so: sign it", []web.Pair{{Name: "id", Value: h.ID}})
			return
		}
	}
	next.Says = "By hand, for the server reaches nothing here: " + strings.ReplaceAll(guard, "-", " ")
	if mine {
		form("record", "Record what was done", []web.Pair{{Name: "guard", Value: guard}}, web.Field{Name: "text", Label: "What was done, when, and what shows it", Type: "textarea", Rows: 3, Required: true, Max: 4000, Hint: "Somebody else signs it. It shows as done by hand."})
	}
}

func onsetKind(o incident.Onset) string {
	if o.Kind == "" {
		return "copies"
	}
	return strings.ReplaceAll(o.Kind, "-", " ")
}

func onsetWhen(o incident.Onset) string {
	const form = "2 Jan 15:04:05 UTC"
	from := o.From.UTC().Format(form)
	if to := o.To.UTC().Format(form); to != from {
		return from + " to " + to
	}
	return from
}

// planFields ask what a plan needs.
func planFields(v incident.View) []web.Field {
	out := []web.Field{{Name: "minutes", Label: "For how many minutes the data has been damaged", Mode: "numeric", Max: 6, Complete: "off", Hint: "Empty: since " + v.OnsetFrom.UTC().Format("2 Jan 15:04 UTC") + ", as the incident says."}}
	if len(v.Loss.Onsets) > 0 {
		since := web.Field{Name: "since", Label: "What damaged it", Type: "select", Hint: "Sets since when. Minutes count before it.", Options: []web.Option{{Value: "", Text: "None of these, or not known"}}}
		for _, o := range v.Loss.Onsets {
			since.Options = append(since.Options, web.Option{Value: o.From.UTC().Format(time.RFC3339Nano), Text: onsetWhen(o) + ", " + onsetKind(o) + ": " + o.Says})
		}
		out = append(out, since)
	}
	if len(v.Loss.Points) > 0 {
		point := web.Field{Name: "point", Label: "Back to which backup", Type: "select", Options: []web.Option{{Value: "", Text: "The newest from before the damage"}}}
		for _, p := range v.Loss.Points {
			point.Options = append(point.Options, web.Option{Value: p.ID, Text: p.At.UTC().Format("2 Jan 15:04:05 UTC") + ", " + web.Count(p.Rows, "row")})
		}
		return append(out, point)
	}
	if len(v.Loss.ByHand) == 0 {
		return out
	}
	return append(out, web.Field{Name: "point", Label: "Which backup", Required: true, Max: 300, Complete: "off"}, web.Field{Name: "old", Label: "How many hours old it is", Mode: "numeric", Required: true, Max: 6, Complete: "off"},
		web.Field{Name: "target", Label: "Which database is overwritten", Required: true, Max: 300, Complete: "off", Hint: "Never the one that holds this record."}, web.Field{Name: "says", Label: "How it is restored", Required: true, Max: 500, Complete: "off"})
}

// followed asks whoever took no part in a drill that is over whether they followed it.
func followed(p *incident.Practice, at string, may bool) *incidentNext {
	if p == nil || !p.Asks || !p.Passed || !may {
		return nil
	}
	who := web.And(p.Names) + " took part"
	if p.People == 0 {
		who = "Nobody took part, and so it does not count as practice"
	}
	return &incidentNext{Says: "Say so, if you followed this drill", Who: who, Form: &web.Form{Action: at + "/loss", Act: "I followed it", Quiet: p.People > 0, Part: "loss-followed", Hidden: []web.Pair{{Name: "act", Value: "followed"}}}}
}

// actLoss is one of the acts beside the steps.
func (c *Console) actLoss(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	ctx := r.Context()
	switch f.get("act") {
	case "plan":
		in := incident.NewPlan{Point: f.get("point"), Target: f.get("target"), Says: f.get("says")}
		if since := f.get("since"); since != "" {
			t, err := time.Parse(time.RFC3339Nano, since)
			if err != nil {
				return incident.Case{}, "", fault.Newf(fault.Invalid, "plan_onset", "That is none of the times that are listed.")
			}
			in.Onset = t
		}
		if n, err := strconv.Atoi(strings.TrimSpace(f.get("minutes"))); err == nil && n >= 0 {
			in.Onset = c.Now().Add(-time.Duration(n) * time.Minute)
		}
		if n, err := strconv.Atoi(strings.TrimSpace(f.get("old"))); err == nil && n >= 0 {
			in.At = c.Now().Add(-time.Duration(n) * time.Hour)
		}
		x, err := c.Incidents.MakePlan(ctx, who, ref, in)
		return x, "The plan is made. A second person signs it.", err
	case "onsets":
		x, err := c.Incidents.LookBack(ctx, who, ref, strings.Fields(f.get("audits")))
		return x, "The record was looked through again.", err
	case "sign-plan":
		x, err := c.Incidents.Approve(ctx, who, ref, "plan", f.get("hash"))
		return x, "You have signed the plan. It counts for half an hour.", err
	case "record":
		x, err := c.Incidents.RecordHand(ctx, who, ref, f.get("guard"), f.get("text"))
		return x, "It is recorded. Somebody else signs it.", err
	case "sign-hand":
		x, err := c.Incidents.SignHand(ctx, who, ref, f.get("id"))
		return x, "It is signed, and counts.", err
	case "followed":
		x, err := c.Incidents.Followed(ctx, who, ref)
		return x, "You followed it, and it counts as practice.", err
	case "again":
		x, err := c.Incidents.Again(ctx, who, ref, f.get("name"))
		return x, "The server does it once more.", err
	}
	return incident.Case{}, "", fault.Newf(fault.Invalid, "act", "There is no such act.")
}

// drillsOf are the last drills, and the form that begins one.
func (c *Console) drillsOf(ctx context.Context, who actor.Actor) (web.Table, *web.Form, error) {
	t := web.Table{Caption: "Drills, the newest first", Columns: []web.Column{{Name: "Drill"}, {Name: "Result"}, {Name: "Down", Figure: true}, {Name: "Data lost", Figure: true}, {Name: "People", Figure: true}, {Name: "When"}}, Empty: web.Empty{Says: "Nothing was practised yet."}}
	all, err := c.Incidents.Scores(ctx, who)
	if err != nil {
		return t, nil, err
	}
	for _, x := range all[:min(len(all), 10)] {
		result := "passed"
		if !x.Passed {
			result = "did not pass"
		}
		sub := strings.Join(x.Problems, "; ")
		if x.Played {
			sub = strings.TrimPrefix(sub+"; played by a script", "; ")
		}
		if x.People == 0 {
			sub = strings.TrimPrefix(sub+"; nobody took part: it does not count", "; ")
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: x.Ref + " " + strings.ReplaceAll(x.Kind, "-", " "), Href: atIncidents + "/" + x.Ref}, {Text: result, Sub: sub}, {Text: spanOf(x.RTO)}, {Text: spanOf(x.RPO)}, {Text: strconv.FormatInt(x.People, 10)}, {At: x.Ended}}})
	}
	if !c.Access.May(who, access.IncidentAct) {
		return t, nil, nil
	}
	kind := web.Field{Name: "kind", Label: "What is practised", Type: "select"}
	for _, k := range incident.DrillKinds() {
		kind.Options = append(kind.Options, web.Option{Value: k, Text: strings.ReplaceAll(k, "-", " ")})
	}
	return t, &web.Form{Fold: "Begin a drill", Action: atDrills, Act: "Begin the drill", Quiet: true, Part: "drill", Fields: []web.Field{kind, {Name: "with", Label: "Who signs beside you", Max: 254, Complete: "off", Hint: "An address or a handle. Empty: the sandbox plays them, and the record says so."}}}, nil
}

func (c *Console) beginDrill(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	in := incident.NewDrill{Kind: f.Get("kind"), With: strings.TrimSpace(f.Get("with")), From: f.Get("from")}
	if in.From != "" {
		if in.Speed, err = strconv.ParseInt(strings.TrimSpace(f.Get("speed")), 10, 64); err != nil {
			in.Speed = -1 // refused in words
		}
	}
	x, err := c.Incidents.Drill(r.Context(), who, in)
	if k := fault.KindOf(err); k == fault.Invalid || k == fault.Conflict || k == fault.NotFound {
		if in.From != "" {
			return c.incidentPage(w, r, who, in.From, k.Status(), f, err)
		}
		return c.incidentsPage(w, r, who, k.Status(), f, err)
	}
	if err != nil {
		return err
	}
	return c.done(w, r, atIncidents+"/"+x.Ref(), x.Ref()+" has begun.")
}
