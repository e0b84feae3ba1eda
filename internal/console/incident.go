package console

import (
	"context"
	"errors"
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
	"writ/internal/incident/engine"
	page "writ/internal/incident/status"
	"writ/internal/secret"
	"writ/internal/web"
)

// Incidents is what the pages of incidents need.
type Incidents interface {
	List(ctx context.Context, who actor.Actor, open bool) ([]incident.Case, error)
	Show(ctx context.Context, who actor.Actor, ref string) (incident.View, error)
	Timeline(ctx context.Context, who actor.Actor, ref string) ([]incident.Line, error)
	Declare(ctx context.Context, who actor.Actor, in incident.Signal) (incident.Case, []incident.Case, error)
	Take(ctx context.Context, who actor.Actor, ref string, w incident.Step) (incident.Case, error)
	Categorise(ctx context.Context, who actor.Actor, ref string, in incident.Sorting) (incident.Case, error)
	Grade(ctx context.Context, who actor.Actor, ref string, severity int, reason string) (incident.Case, error)
	TakeRole(ctx context.Context, who actor.Actor, ref string, role engine.Role, to string) (incident.Case, error)
	Write(ctx context.Context, who actor.Actor, ref, text, corrects string) (incident.Case, error)
	Update(ctx context.Context, who actor.Actor, ref string, p page.Post, version int64) (incident.Case, error)
	Mend(ctx context.Context, who actor.Actor, ref string, in incident.NewFix) (incident.Case, error)
	Learn(ctx context.Context, who actor.Actor, ref string, in incident.NewReview) (incident.Case, error)
	Approve(ctx context.Context, who actor.Actor, ref, object, hash string) (incident.Case, error)
	Waive(ctx context.Context, who actor.Actor, ref string, r engine.Region, guard, reason string) (incident.Case, error)
	PassAlone(ctx context.Context, who actor.Actor, ref, guard, reason string) (incident.Case, error)
	Posted(ctx context.Context, who actor.Actor, ref, channel, address string) (incident.Case, error)
	OfSignal(ctx context.Context, who actor.Actor, signal string) ([]incident.Case, error)
	Bind(ctx context.Context, who actor.Actor, ref, kind, to, reason string) (incident.Case, error)
	Split(ctx context.Context, who actor.Actor, ref, signal, reason string) (incident.Case, error)
	Attach(ctx context.Context, who actor.Actor, ref, name string, body []byte) (incident.Case, error)
	Fetch(ctx context.Context, who actor.Actor, ref, id string) (incident.File, secret.Bytes, error)
	AnswerReport(ctx context.Context, who actor.Actor, ref, report, text string) (incident.Case, error)
	Draft(ctx context.Context, who actor.Actor, ref string, in incident.Wanted) (incident.Draft, error)
	PreviewPost(ctx context.Context, who actor.Actor, ref string, p page.Post) (incident.Previews, error)
	Texts(ctx context.Context, who actor.Actor) ([]incident.NoticeText, error)
	TextVersions(ctx context.Context, who actor.Actor, kind, state string) ([]incident.NoticeText, error)
	SetText(ctx context.Context, who actor.Actor, kind, state, body string, version int64) (incident.NoticeText, error)
	ResetText(ctx context.Context, who actor.Actor, kind, state string, version int64) (incident.NoticeText, error)
	ToldOtherwise(ctx context.Context, who actor.Actor, ref, team, how string) (incident.Case, error)
	Breaches
	Losses
}

const atIncidents = "/-/console/incidents"

// incidentRoutes are the pages of incidents; none without them.
func (c *Console) incidentRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	if c.Incidents == nil {
		return nil
	}
	note := staff("POST /-/console/incidents/{ref}/note", access.IncidentAct, atIncidents, c.onIncident(c.noteIncident))
	learn := staff("POST /-/console/incidents/{ref}/review", access.IncidentAct, atIncidents, c.onIncident(c.reviewIncident))
	note.Limit, learn.Limit = 256<<10, 256<<10
	keep := staff("POST /-/console/incidents/{ref}/file", access.IncidentAct, atIncidents, c.attachToIncident)
	keep.Limit = incident.FileLimit
	return append(append(append(append(c.breachRoutes(staff), c.lossRoutes(staff)...), c.statusRoutes(staff)...), c.noticeRoutes(staff)...), []web.Route{
		staff("GET /-/console/incidents", access.IncidentRead, atIncidents, c.showIncidents),
		staff("POST /-/console/incidents", access.IncidentAct, atIncidents, c.declareIncident),
		staff("GET /-/console/incidents/{ref}", access.IncidentRead, atIncidents, c.showIncident),
		staff("GET /-/console/incidents/{ref}/map", access.IncidentRead, atIncidents, c.mapIncident),
		staff("POST /-/console/incidents/{ref}/step", access.IncidentAct, atIncidents, c.onIncident(c.stepIncident)),
		staff("POST /-/console/incidents/{ref}/kind", access.IncidentAct, atIncidents, c.onIncident(c.kindIncident)),
		staff("POST /-/console/incidents/{ref}/role", access.IncidentAct, atIncidents, c.onIncident(c.roleIncident)),
		staff("POST /-/console/incidents/{ref}/update", access.IncidentAct, atIncidents, c.onIncident(c.updateIncident)),
		staff("POST /-/console/incidents/{ref}/fix", access.IncidentAct, atIncidents, c.onIncident(c.fixIncident)),
		staff("POST /-/console/incidents/{ref}/approve", access.IncidentAct, atIncidents, c.onIncident(c.approveIncident)),
		staff("POST /-/console/incidents/{ref}/waive", access.IncidentAct, atIncidents, c.onIncident(c.waiveIncident)),
		staff("POST /-/console/incidents/{ref}/alone", access.IncidentAct, atIncidents, c.onIncident(c.passAlone)),
		staff("POST /-/console/incidents/{ref}/posted", access.IncidentAct, atIncidents, c.onIncident(c.postedIncident)),
		staff("POST /-/console/incidents/{ref}/link", access.IncidentAct, atIncidents, c.onIncident(c.linkIncident)),
		staff("POST /-/console/incidents/{ref}/split", access.IncidentAct, atIncidents, c.onIncident(c.splitIncident)),
		staff("POST /-/console/incidents/{ref}/answer", access.IncidentAct, atIncidents, c.onIncident(c.answerIncident)),
		keep,
		staff("GET /-/console/incidents/{ref}/files/{id}", access.IncidentAct, atIncidents, c.fileOfIncident),
		staff("POST /-/console/incidents/{ref}/told", access.IncidentAct, atIncidents, c.onIncident(c.toldIncident)),
		note, learn,
	}...)
}

type incidentsPage struct {
	Open    []incidentLine
	Table   web.Table
	Declare *web.Form
	Drills  web.Table
	Drill   *web.Form
}

type incidentLine struct {
	Href, Title, Says string
	Mark              web.Mark
}

func (c *Console) showIncidents(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.incidentsPage(w, r, who, http.StatusOK, nil, nil)
}

func (c *Console) incidentsPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, typed url.Values, fail error) error {
	all, err := c.Incidents.List(r.Context(), who, false)
	if err != nil {
		return err
	}
	p := incidentsPage{Table: web.Table{Caption: "Incidents, the newest first", Columns: []web.Column{{Name: "What"}, {Name: "State"}, {Name: "Severity", Figure: true}, {Name: "Kind"}, {Name: "Declared"}},
		Empty: web.Empty{Says: "There was no incident yet."}}}
	for _, x := range all {
		href := atIncidents + "/" + x.Ref()
		if x.Open() {
			v, err := c.Incidents.Show(r.Context(), who, x.Ref())
			if err != nil {
				return err
			}
			line := incidentLine{Href: href, Title: x.Ref() + " " + x.Title, Mark: web.Mark{State: web.Broken, Word: x.State(), At: x.Declared}}
			if n := v.Next(); n != nil {
				line.Says = "Next: " + n.Step.Says + ", by " + n.Who + "."
			}
			p.Open = append(p.Open, line)
		}
		sub := ""
		if x.Drill {
			sub = "a practice"
		}
		p.Table.Rows = append(p.Table.Rows, web.Row{Cells: []web.Cell{{Text: x.Ref() + " " + x.Title, Href: href, Sub: sub}, {Text: x.State()}, {Text: severity(x.Severity)}, {Text: strings.Join(x.Categories, ", ")}, {At: x.Declared}}})
	}
	if c.Access.May(who, access.IncidentAct) {
		f := web.Form{Action: atIncidents, Act: "Declare an incident", Fields: []web.Field{{Name: "title", Label: "What is wrong", Required: true, Max: 160, Complete: "off", Hint: "One line. Everybody who may act gets a letter; one of them takes it."},
			{Name: "minutes", Label: "For how many minutes already", Mode: "numeric", Max: 6, Complete: "off", Hint: "Empty: since now."}}}
		if opts, err := c.componentOptions(r); err == nil && len(opts) > 1 {
			f.Fields = append(f.Fields, web.Field{Name: "component", Label: "Which part of the service", Type: "select", Options: opts})
		}
		f.Fields = append(f.Fields, web.Field{Name: "drill", Label: "It is a practice: no letters, no status page", Type: "checkbox"})
		p.Declare = &f
	}
	if p.Drills, p.Drill, err = c.drillsOf(r.Context(), who); err != nil {
		return err
	}
	fail = again(r, typed, fail, []*web.Form{p.Declare, p.Drill})
	lead := "No incident is open."
	if n := len(p.Open); n > 0 {
		lead = web.Count(int64(n), "incident") + " open."
	}
	return c.answer(w, r, st, "incidents", web.View{Title: "Incidents", Lead: lead, Fault: fail, Data: p})
}

func severity(n int) string {
	if n == 0 {
		return "–"
	}
	return strconv.Itoa(n)
}

func (c *Console) componentOptions(r *http.Request) ([]web.Option, error) {
	cs, err := c.Status.Components(r.Context())
	out := []web.Option{{Value: "", Text: "None of those listed"}}
	for _, x := range cs {
		out = append(out, web.Option{Value: x.ID, Text: x.Name})
	}
	return out, err
}

func (c *Console) declareIncident(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	in := incident.Signal{Title: f.Get("title"), Component: f.Get("component"), Drill: f.Get("drill") != ""}
	if n, err := strconv.Atoi(f.Get("minutes")); err == nil && n > 0 {
		in.Onset = c.Now().Add(-time.Duration(n) * time.Minute)
	}
	x, near, err := c.Incidents.Declare(r.Context(), who, in)
	if k := fault.KindOf(err); k == fault.Invalid || k == fault.Malformed {
		return c.incidentsPage(w, r, who, k.Status(), f, err)
	}
	if err != nil {
		return err
	}
	says := x.Ref() + " is declared."
	if len(near) > 0 {
		says += " It may be part of " + near[0].Ref() + "."
	}
	return c.done(w, r, atIncidents+"/"+x.Ref(), says)
}

// onIncident runs an act on an incident; what is refused is said in its form, on the page as it is now.
func (c *Console) onIncident(act func(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		f, err := web.ReadForm(r)
		if err != nil {
			return err
		}
		ref := r.PathValue("ref")
		x, says, err := act(r, who, ref, formValues(f))
		if err != nil {
			k := fault.KindOf(err)
			if _, up := errors.AsType[*web.StepUp](err); up || k != fault.Invalid && k != fault.Conflict && k != fault.TooLarge && !isKept(err) {
				return err
			}
			return c.incidentPage(w, r, who, ref, k.Status(), f, err)
		}
		return c.done(w, r, atIncidents+"/"+x.Ref(), says)
	}
}

type formValues map[string][]string

func (f formValues) get(name string) string {
	if v := f[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// in is a time from now, in units of d; zero where nothing is typed.
func (f formValues) in(now time.Time, name string, d time.Duration) time.Time {
	n, err := strconv.Atoi(strings.TrimSpace(f.get(name)))
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(n) * d)
}

func isKept(err error) bool { _, ok := errors.AsType[*incident.Kept](err); return ok }

// again puts a refusal, with what was typed, into the form that was sent. What comes back is to
// be said above the page: the refusal of a form that is not there any more.
func again(r *http.Request, typed url.Values, fail error, forms []*web.Form) error {
	if fail == nil {
		return nil
	}
	for _, f := range forms {
		if f != nil && f.Sent(r, typed) {
			f.Fields = web.Fill(f.Fields, typed)
			f.Fault = inWords(fail, f.Fields)
			return nil
		}
	}
	return inWords(fail, nil)
}

// allOf are the forms themselves, to be changed.
func allOf(forms []web.Form) (out []*web.Form) {
	for i := range forms {
		out = append(out, &forms[i])
	}
	return out
}

// inWords is a refusal whose links lead to fields that there are, and says the rest: a guard is no field.
func inWords(err error, there []web.Field) error {
	code, p := fault.PublicOf(err)
	var all []string
	p.Fields = slices.DeleteFunc(slices.Clone(p.Fields), func(x fault.Field) bool {
		if slices.ContainsFunc(there, func(f web.Field) bool { return f.Name == x.Name }) {
			return false
		}
		if x.Problem != p.Problem {
			all = append(all, x.Problem)
		}
		return true
	})
	if len(all) > 0 {
		p.Expected = strings.Join(all, " ")
	}
	return fault.New(fault.KindOf(err), code, p)
}

func (c *Console) stepIncident(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	version, _ := strconv.ParseInt(f.get("version"), 10, 64)
	x, err := c.Incidents.Take(r.Context(), who, ref, incident.Step{Event: f.get("event"), Reason: f.get("reason"), Version: version})
	return x, x.Ref() + " is " + x.State() + ".", err
}

func (c *Console) kindIncident(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	n, _ := strconv.Atoi(f.get("severity"))
	x, err := c.Incidents.Categorise(r.Context(), who, ref, incident.Sorting{Kinds: f["kinds"], Severity: n, Public: f.get("public") != ""})
	return x, x.Ref() + ": " + strings.Join(x.Categories, ", ") + ", severity " + strconv.Itoa(x.Severity) + ".", err
}

func (c *Console) roleIncident(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	x, err := c.Incidents.TakeRole(r.Context(), who, ref, engine.Role(f.get("role")), f.get("to"))
	return x, "The role has changed hands: " + roleWord(engine.Role(f.get("role"))) + ".", err
}

func (c *Console) updateIncident(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	x, err := c.Incidents.Update(r.Context(), who, ref, postOf(f, c.Now()), 0)
	return x, "It stands on the status page.", err
}

func (c *Console) fixIncident(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	x, err := c.Incidents.Mend(r.Context(), who, ref, incident.NewFix{Event: f.get("event"), What: f.get("what"), Owner: f.get("owner"), Ends: f.in(c.Now(), "days", 24*time.Hour), Test: f.get("test")})
	return x, "The repair is a step further.", err
}

func (c *Console) approveIncident(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	x, err := c.Incidents.Approve(r.Context(), who, ref, f.get("object"), f.get("hash"))
	return x, "It is approved as it stands.", err
}

func (c *Console) waiveIncident(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	x, err := c.Incidents.Waive(r.Context(), who, ref, engine.Region(f.get("region")), f.get("guard"), f.get("reason"))
	return x, "It is written down. A guard passes when two people have said so.", err
}

func (c *Console) passAlone(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	x, err := c.Incidents.PassAlone(r.Context(), who, ref, f.get("guard"), f.get("reason"))
	return x, "It is written down. Below it says who was asked, and from when on you may go on alone.", err
}

func (c *Console) postedIncident(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	x, err := c.Incidents.Posted(r.Context(), who, ref, f.get("channel"), f.get("url"))
	return x, "It is known where it stands.", err
}

func (c *Console) toldIncident(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	x, err := c.Incidents.ToldOtherwise(r.Context(), who, ref, f.get("team"), f.get("how"))
	return x, "It is written down how they were told.", err
}

func (c *Console) noteIncident(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	x, err := c.Incidents.Write(r.Context(), who, ref, f.get("text"), "")
	return x, "The line is in the timeline.", err
}

func (c *Console) reviewIncident(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	in := incident.NewReview{Text: f.get("review"), Causes: slices.DeleteFunc([]string{f.get("cause"), f.get("cause2")}, func(s string) bool { return strings.TrimSpace(s) == "" })}
	for i, n := range []string{"", "2"} {
		if what := strings.TrimSpace(f.get("what" + n)); what != "" {
			in.Actions = append(in.Actions, incident.Action{Cause: i + 1, Prevents: true, Owner: strings.TrimSpace(f.get("owner" + n)), Due: f.in(c.Now(), "days"+n, 24*time.Hour), What: what})
		}
	}
	x, err := c.Incidents.Learn(r.Context(), who, ref, in)
	return x, "The review is written. Somebody else approves it.", err
}

func roleWord(r engine.Role) string { return strings.ReplaceAll(string(r), "-", " ") }
