package console

import (
	"fmt"
	"time"

	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/web"
)

// factWords are how something became known in a past incident.
var factWords = map[string]string{"signal": "signal", "note": "note", "public": "told the public"}

// rehearsed shows what a drill plays again and how it went beside what was; on the page of a closed
// incident it offers to play that again.
func (p *incidentView) rehearsed(v incident.View, at string, may bool) {
	if x := v.Past; x != nil {
		p.Known = web.Table{Caption: fmt.Sprintf("Known by now in %s, played %d times as fast", x.Of, x.Speed), Columns: []web.Column{{Name: "What"}, {Name: "Where from"}, {Name: "After it was declared", Figure: true}}}
		for _, f := range x.Known {
			p.Known.Rows = append(p.Known.Rows, web.Row{Cells: []web.Cell{{Text: f.Says}, {Text: factWords[f.Kind]}, {Text: afterwards(int64(f.After / time.Second))}}})
		}
		if x.More > 0 {
			p.Known.Count = fmt.Sprintf("%s will become known, the next in %s", web.Count(int64(x.More), "more fact"), web.Duration(max(x.Next.Truncate(time.Second), time.Second)))
		}
		p.Compared = web.Table{Caption: "Each step, by how long after the first signal it was taken", Columns: []web.Column{{Name: "Step"}, {Name: "In " + x.Of, Figure: true}, {Name: "In this drill", Figure: true}}}
		for _, y := range x.Compared {
			p.Compared.Rows = append(p.Compared.Rows, web.Row{Cells: []web.Cell{{Text: y.Step}, {Text: afterwards(y.Then)}, {Text: afterwards(y.Now)}}})
		}
	}
	if may && !v.Drill && v.States[engine.L] == "L6" {
		p.Forms = append(p.Forms, web.Form{Fold: "Play it again as a drill", Action: atDrills, Act: "Begin the drill", Quiet: true, Part: "rehearse", Hidden: []web.Pair{{Name: "from", Value: v.Ref()}}, Fields: []web.Field{
			{Name: "speed", Label: "How many times as fast", Mode: "numeric", Value: "10", Required: true, Max: 3, Complete: "off", Hint: "What was known then becomes known that much faster. Nothing real is touched."},
			{Name: "with", Label: "Who signs beside you", Max: 254, Complete: "off", Hint: "An address or a handle. Empty: the sandbox plays them, and the record says so."}}})
	}
}

// afterwards are seconds after the first signal; -1 = never.
func afterwards(n int64) string {
	switch {
	case n < 0:
		return "not taken"
	case n == 0:
		return "at once"
	}
	return web.Duration(time.Duration(n) * time.Second)
}
