package console

import (
	"net/http"
	"strconv"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/web"
)

// signals shows what told of an incident, and offers to take something out of it.
func (p *incidentView) signals(v incident.View, at string, may bool) {
	p.Signals = web.Table{Caption: "What told of it", Columns: []web.Column{{Name: "What"}, {Name: "Suggests"}, {Name: "When"}}}
	one := web.Field{Name: "signal", Label: "What is another matter", Type: "select"}
	for _, t := range v.Told {
		cell := web.Cell{Text: t.Says}
		if id, ok := strings.CutPrefix(t.ID, "alarm/"); ok {
			cell.Href = atWatch + "/" + id
		}
		p.Signals.Rows = append(p.Signals.Rows, web.Row{Cells: []web.Cell{cell, {Text: strings.ReplaceAll(t.Kind, "-", " ")}, {At: t.At}}})
		one.Options = append(one.Options, web.Option{Value: t.ID, Text: t.Says + ", " + t.At.UTC().Format("2 Jan 15:04 UTC")})
	}
	if may && v.Open() && len(v.Told) > 1 {
		p.Forms = append(p.Forms, web.Form{Fold: "Take out what is another matter", Action: at + "/split", Act: "Make it an incident of its own", Quiet: true, Part: "split",
			Fields: []web.Field{one, {Name: "reason", Label: "Why", Required: true, Max: 500, Complete: "off"}}})
	}
}

// reports shows what people outside wrote, with the means to answer.
func (p *incidentView) reports(v incident.View, at string) {
	p.Reports = web.Table{Caption: "Reported from outside", Columns: []web.Column{{Name: "Report"}, {Name: "What they write"}, {Name: "Answer to"}, {Name: "When"}}}
	one := web.Field{Name: "report", Label: "Report", Type: "select"}
	for _, x := range v.Reports {
		to := web.Cell{Text: "no address"}
		if x.Email != "" {
			to.Text = x.Email
			one.Options = append(one.Options, web.Option{Value: x.ID, Text: x.ID + ", " + x.At.UTC().Format("2 Jan 15:04 UTC")})
		}
		if !x.Answered.IsZero() {
			to.Sub = "answered " + x.Answered.UTC().Format("2 Jan 15:04 UTC")
		}
		p.Reports.Rows = append(p.Reports.Rows, web.Row{Cells: []web.Cell{{Text: x.ID, Sub: x.Kind}, {Text: x.Text, Sub: x.Person}, to, {At: x.At}}})
	}
	if len(one.Options) > 0 {
		p.Forms = append(p.Forms, web.Form{Fold: "Answer a report", Action: at + "/answer", Act: "Send the answer", Quiet: true, Part: "answer",
			Fields: []web.Field{one, {Name: "answer", Label: "Answer", Type: "textarea", Rows: 4, Required: true, Max: 4000}}})
	}
}

func (c *Console) answerIncident(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	x, err := c.Incidents.AnswerReport(r.Context(), who, ref, f.get("report"), f.get("answer"))
	return x, "The answer is on its way.", err
}

// files shows what is kept with it, with the means to add to it.
func (p *incidentView) files(v incident.View, at string) {
	p.Files = web.Table{Caption: "Files, sealed", Columns: []web.Column{{Name: "File"}, {Name: "Looks like"}, {Name: "Bytes", Figure: true}, {Name: "SHA-256"}, {Name: "Added"}}}
	for _, f := range v.Files {
		p.Files.Rows = append(p.Files.Rows, web.Row{Cells: []web.Cell{{Text: f.Name, Href: at + "/files/" + f.ID}, {Text: f.Kind}, {Text: strconv.FormatInt(f.Size, 10)}, {Text: f.Hash[:12], Code: true}, {At: f.At, Sub: f.By}}})
	}
	p.Forms = append(p.Forms, web.Form{Fold: "Keep a file with it", Action: at + "/file", Act: "Keep the file", Quiet: true, Part: "file", Upload: true,
		Fields: []web.Field{{Name: "file", Label: "File", Type: "file", Required: true, Hint: "At most 25 MiB. Its hash is in the timeline; who takes it is recorded."}}})
}

func (c *Console) attachToIncident(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, files, err := web.ReadUpload(r)
	if err != nil {
		return err
	}
	ref := r.PathValue("ref")
	x, err := c.Incidents.Attach(r.Context(), who, ref, files["file"].Name, files["file"].Body)
	if k := fault.KindOf(err); k == fault.Invalid || k == fault.TooLarge || k == fault.Limited {
		return c.incidentPage(w, r, who, ref, k.Status(), f, err)
	}
	if err != nil {
		return err
	}
	return c.done(w, r, atIncidents+"/"+x.Ref(), "The file is kept with it.")
}

func (c *Console) fileOfIncident(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, body, err := c.Incidents.Fetch(r.Context(), who, r.PathValue("ref"), r.PathValue("id"))
	if err != nil {
		return err
	}
	defer body.Wipe()
	return incident.WriteFile(w, f, body)
}

// elsewhere shows posts on other networks, where there are any.
func (p *incidentView) elsewhere(v incident.View) {
	p.Sent = web.Table{Caption: "On other networks", Columns: []web.Column{{Name: "Account"}, {Name: "State"}, {Name: "Tries", Figure: true}, {Name: "When"}}}
	for _, x := range v.Sent {
		p.Sent.Rows = append(p.Sent.Rows, web.Row{Cells: []web.Cell{{Text: x.Account, Href: x.URL, Sub: x.Network}, {Text: x.State, Sub: x.Code}, {Text: strconv.FormatInt(x.Tries, 10)}, {At: x.Made}}})
	}
}

// links shows what belongs to it, with the means to say so.
func (p *incidentView) links(v incident.View, at string, may bool) {
	p.Links = web.Table{Caption: "Other incidents that belong to it", Columns: []web.Column{{Name: "Incident"}, {Name: "How"}, {Name: "Stands at"}}}
	for _, l := range v.Links {
		p.Links.Rows = append(p.Links.Rows, web.Row{Cells: []web.Cell{{Text: l.Case.Ref() + " " + l.Case.Title, Href: atIncidents + "/" + l.Case.Ref()}, {Text: l.Says()}, {Text: l.Case.State()}}})
	}
	if !may {
		return
	}
	p.Forms = append(p.Forms, web.Form{Fold: "Link it to another incident", Action: at + "/link", Act: "Link them", Quiet: true, Part: "link", Fields: []web.Field{
		{Name: "kind", Label: "It", Type: "select", Options: []web.Option{{Value: incident.CausedBy, Text: "was caused by"}, {Value: incident.Related, Text: "is related to"}, {Value: "none", Text: "is not linked any more to"}}},
		{Name: "to", Label: "The other incident", Hint: "Its number, such as I-12.", Required: true, Max: 30, Complete: "off"}, {Name: "reason", Label: "Why", Max: 500, Complete: "off"}}})
}

// similar shows earlier incidents that are like it, while it is to be reviewed.
func (p *incidentView) similar(v incident.View) {
	p.Similar = web.Table{Caption: "Similar incidents before, the most alike first", Columns: []web.Column{{Name: "Incident"}, {Name: "Why"}, {Name: "Stands at"}}}
	for _, x := range v.Similar {
		p.Similar.Rows = append(p.Similar.Rows, web.Row{Cells: []web.Cell{{Text: x.Case.Ref() + " " + x.Case.Title, Href: atIncidents + "/" + x.Case.Ref()}, {Text: x.Says()}, {Text: x.Case.State()}}})
	}
}

func (c *Console) linkIncident(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	x, err := c.Incidents.Bind(r.Context(), who, ref, f.get("kind"), f.get("to"), f.get("reason"))
	return x, "Both show it.", err
}

func (c *Console) splitIncident(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, string, error) {
	x, err := c.Incidents.Split(r.Context(), who, ref, f.get("signal"), f.get("reason"))
	return x, x.Ref() + " begins with it.", err
}

// incidentOf is the incident that an alarm belongs to, for whoever may see it.
func (c *Console) incidentOf(r *http.Request, who actor.Actor, alarm string) ([]fact, error) {
	if c.Incidents == nil || !c.Access.May(who, access.IncidentRead) {
		return nil, nil
	}
	cs, err := c.Incidents.OfSignal(r.Context(), who, "alarm/"+alarm)
	var out []fact
	for _, x := range cs {
		out = append(out, fact{Name: "Incident", Text: x.Ref() + " " + x.Title, Href: atIncidents + "/" + x.Ref(), Sub: x.State()})
	}
	return out, err
}
