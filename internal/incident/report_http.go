package incident

import (
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/status"
	"writ/internal/web"
)

const atReport = status.At + "/report"

func (s *Service) reportRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /-/status/report", Who: web.Anyone, Handle: s.getReport},
		{Pattern: "POST /-/status/report", Who: web.Anyone, Handle: s.postReport},
	}
}

func (s *Service) getReport(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	return s.askReport(w, r, http.StatusOK, NewReport{Kind: "broken"}, nil)
}

func (s *Service) askReport(w http.ResponseWriter, r *http.Request, status int, typed NewReport, fail error) error {
	stamp, err := s.Stamp(r.Context(), web.StrangerOf(r).ID)
	if err != nil {
		return err
	}
	kind := web.Field{Name: "kind", Label: "What it is about", Type: "radio", Required: true}
	for _, k := range ReportKinds() {
		kind.Options = append(kind.Options, web.Option{Value: k.ID, Text: k.Says, Hint: k.Hint, Chosen: k.ID == typed.Kind})
	}
	form := &web.Form{Action: atReport, Act: "Send the report", Fault: fail, Hidden: []web.Pair{{Name: "stamp", Value: stamp}}, Fields: []web.Field{kind,
		{Name: "text", Label: "What you saw", Type: "textarea", Rows: 8, Required: true, Max: maxReport, Value: typed.Text, Hint: "What you did, what happened, and when. No passwords, please."},
		{Name: "email", Label: "E-mail address, if you want an answer", Type: "email", Value: typed.Email, Max: 254, Complete: "email"}}}
	return s.Page.Ask(w, r, status, "Report a problem or a weakness", "It goes to the people who look after the service, at once.", form)
}

func (s *Service) postReport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	in := NewReport{Kind: f.Get("kind"), Text: f.Get("text"), Email: f.Get("email"), Stamp: f.Get("stamp"), Network: web.StrangerOf(r).ID}
	id, err := s.Report(r.Context(), who, in)
	if k := fault.KindOf(err); k == fault.Invalid || k == fault.Limited {
		return s.askReport(w, r, k.Status(), in, err)
	}
	if err != nil {
		return err
	}
	lead := "Its reference is " + id + "."
	if in.Email != "" {
		lead += " A letter with it is on its way; an answer will come to that address."
	}
	return s.Page.Ask(w, r, http.StatusOK, "We have your report", lead, nil)
}

type (
	reportOut struct {
		ID       string     `json:"id"`
		Kind     string     `json:"kind"`
		Text     string     `json:"text"`
		Email    string     `json:"email,omitempty"`
		Person   string     `json:"person,omitempty"`
		At       time.Time  `json:"at"`
		Answered *time.Time `json:"answered,omitempty"`
	}
	answerIn struct {
		Report string `json:"report"`
		Text   string `json:"text"`
	}
)

func wireReports(all []Report) []reportOut {
	out := []reportOut{}
	for _, x := range all {
		out = append(out, reportOut{x.ID, x.Kind, x.Text, x.Email, x.Person, x.At, known(x.Answered)})
	}
	return out
}

func (s *Service) postAnswer(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in answerIn) (Case, error) {
		return s.AnswerReport(r.Context(), who, ref, in.Report, in.Text)
	})
}

// mayReport is who is shown what people outside wrote.
func (s *Service) mayReport(who actor.Actor) bool { return s.Access.May(who, access.IncidentAct) }
