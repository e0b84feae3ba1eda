package console

import (
	"fmt"
	"strings"

	"writ/internal/gateway"
	"writ/internal/web"
)

// apiPart is the part of the gate's page about the described interface.
type apiPart struct {
	Facts      []fact
	Operations web.Table
	Remarks    web.Table
}

const mostRemarks = 50

// described shows what programs are held to; nil when no description is named.
func described(s gateway.State) *apiPart {
	d := s.Described
	if d == nil {
		return nil
	}
	state := fact{Name: "In force", Mark: &web.Mark{State: web.Holds, Word: "adopted", At: d.Adopted}}
	if d.Problem != "" {
		state.Mark, state.Sub = &web.Mark{State: web.Broken, Word: "the file is not good: the one before stays"}, d.Problem
	}
	p := &apiPart{Facts: []fact{{Name: "Described in", Text: listed(d.Files)}, state, {Name: "SHA-256", Text: d.Hash, Code: true}},
		Operations: web.Table{Caption: "Operations that are described; programs reach no others", Columns: []web.Column{{Name: "Operation"}, {Name: "A token needs"}, {Name: "Takes"}},
			Empty: web.Empty{Says: "No operation is described: programs reach nothing."}},
		Remarks: web.Table{Caption: "What the description leaves more open than it need", Columns: []web.Column{{Name: "Where"}, {Name: "What"}}}}
	for _, o := range s.Operations {
		needs := strings.Join(o.Scopes, ", or ")
		if needs == "" && o.Public {
			needs = "nothing: it is public"
		}
		p.Operations.Rows = append(p.Operations.Rows, web.Row{Cells: []web.Cell{{Text: o.Method + " " + o.Path, Code: true}, {Text: needs}, {Text: o.Takes}}})
	}
	for _, r := range d.Remarks[:min(len(d.Remarks), mostRemarks)] {
		p.Remarks.Rows = append(p.Remarks.Rows, web.Row{Cells: []web.Cell{{Text: fmt.Sprintf("%s, line %d", r.File, r.Line), Sub: r.Pointer}, {Text: r.Says}}})
	}
	return p
}

// limitFact is one line about the limits that hold everywhere.
func limitFact(l gateway.LimitState) fact {
	f := fact{Name: "Limits", Text: fmt.Sprintf("%s an address, %s a person, %s a team, %s a token", l.Address, l.Person, l.Team, l.Token)}
	if l.Quota > 0 {
		f.Text += fmt.Sprintf(", and %s a day a token", web.Number(l.Quota))
	}
	if l.Nodes > 1 {
		f.Sub = fmt.Sprintf("divided among %d nodes", l.Nodes)
	}
	return f
}

// asksToo is what a route asks for beside who comes.
func asksToo(r gateway.Route) string {
	var all []string
	if r.StepUp != "" {
		all = append(all, "a proof of the last "+r.StepUp)
	}
	if r.Limit != "" {
		all = append(all, "at most "+r.Limit)
	}
	if r.Quota != "" {
		all = append(all, "at most "+r.Quota+" a token")
	}
	if r.Body != "" {
		all = append(all, "bodies up to "+r.Body)
	}
	return strings.Join(all, "; ")
}
