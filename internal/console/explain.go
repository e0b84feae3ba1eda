package console

import (
	"fmt"
	"net/http"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/web"
)

const atExplain = atGate + "/explain"

type explainPage struct {
	Steps web.Table
}

// showExplain tells why a request would be let through or not: by the gate's own steps.
func (c *Console) showExplain(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v := r.URL.Query()
	get := func(k string) string { return strings.TrimSpace(v.Get(k)) }
	q := gateway.Question{Method: get("method"), Path: get("path"), Scopes: strings.Fields(strings.ReplaceAll(get("scopes"), ",", " "))}
	switch as := get("as"); {
	case as == "" || as == "stranger":
	case strings.Contains(as, "@") || strings.HasPrefix(as, "person/"):
		q.Person = strings.TrimPrefix(as, "person/")
	default:
		q.Role = as
	}
	p := explainPage{Steps: web.Table{Columns: []web.Column{{Name: "Step"}, {Name: "Outcome"}, {Name: "Why"}}, Filter: explainFilter(q, get("as"), get("scopes")),
		Empty: web.Empty{Says: "Say which request you mean, such as /orders/1?page=2, and who asks: a stranger, a role such as member, somebody's address, or the scopes of a token. It goes through the steps that every request passes; nothing is counted, recorded or forwarded."}}}
	view := web.View{Title: "Why a request passes or not", Lead: "Nothing is sent: the gate is asked what it would do.", Up: &web.Link{Text: "Gate", Href: atGate}}
	if q.Path == "" {
		view.Data = p
		return c.show(w, r, "explain", view)
	}
	e, err := c.Gateway.Explain(r.Context(), who, q)
	if err != nil {
		if !formed(err) {
			return err
		}
		_, pub := fault.PublicOf(err)
		p.Steps.Empty = web.Empty{Says: strings.Join(trimmed(pub.Problem, pub.Expected), " ")}
		view.Data = p
		return c.answer(w, r, status(err), "explain", view)
	}
	view.Lead = explainLead(e)
	for _, s := range e.Steps {
		p.Steps.Rows = append(p.Steps.Rows, explainRow(s))
	}
	view.Data = p
	return c.show(w, r, "explain", view)
}

func explainLead(e gateway.Explanation) string {
	for _, s := range e.Steps {
		if s.Outcome == gateway.StepRefused {
			return fmt.Sprintf("%s %s as %s is refused at the step %s, with %d.", e.Method, e.Path, e.As, s.Step, s.Status)
		}
	}
	return fmt.Sprintf("%s %s as %s would be let through. A body would be looked at as well, when there is one.", e.Method, e.Path, e.As)
}

func explainRow(s gateway.Explained) web.Row {
	step := web.Cell{Text: s.Step}
	if s.Clause != "" {
		step.Href = "/-/console/clauses/" + s.Clause
	}
	mark := &web.Mark{State: web.Holds, Word: s.Outcome}
	why := web.Cell{Text: strings.Join(s.Notes, " ")}
	switch s.Outcome {
	case gateway.StepRefused:
		mark.State = web.Broken
		why = web.Cell{Text: fmt.Sprintf("%d %s: %s", s.Status, s.Code, strings.Join(trimmed(s.Problem, s.Expected), " ")), Sub: strings.Join(trimmed(append(s.Places, strings.Join(s.Notes, " "))...), " ")}
	case gateway.StepNot:
		mark.State = web.Unproved
	}
	return web.Row{Cells: []web.Cell{step, {Mark: mark}, why}}
}

// trimmed leaves out what is empty.
func trimmed(all ...string) (out []string) {
	for _, s := range all {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

func explainFilter(q gateway.Question, as, scopes string) *web.Filter {
	method := web.Field{Name: "method", Label: "Method", Type: "select"}
	for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} {
		method.Options = append(method.Options, web.Option{Value: m, Text: m, Chosen: m == q.Method})
	}
	if as == "" && scopes == "" {
		as = "stranger"
	}
	return &web.Filter{Action: atExplain, Act: "Explain", Fields: []web.Field{method,
		{Name: "path", Label: "Path and query", Value: q.Path, Max: 2000, Complete: "off"},
		{Name: "as", Label: "As", Value: as, Max: 300, Complete: "off"},
		{Name: "scopes", Label: "Or token scopes", Value: scopes, Max: 500, Complete: "off"}}}
}
