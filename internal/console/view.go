package console

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/watch"
	"writ/internal/watch/chart"
	"writ/internal/watch/series"
	"writ/internal/web"
)

const atViews = atWatch + "/views"

func (c *Console) viewRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	return []web.Route{
		staff("GET /-/console/watch/views", access.WatchRead, atViews, c.showViews),
		staff("GET /-/console/watch/views/{id}", access.WatchRead, atViews, c.showView),
	}
}

// drawn is a chart on a page.
type drawn struct {
	Title, Says, Href string
	SVG               template.HTML
}

type viewsPage struct {
	Spans   []web.Link
	Acts    []web.Link
	Charts  []drawn
	Budgets *web.Table
}

type viewPage struct {
	Spans, Meters, Bys []web.Link
	Chart              drawn
	Records            *web.Link
	Figures            web.Table
	Span               web.Form
	Groups             *web.Table
	Closed             string // why there are no groups
}

// viewSpans are those that one click chooses.
var viewSpans = []struct {
	text string
	span time.Duration
}{{"1 hour", time.Hour}, {"24 hours", 24 * time.Hour}, {"7 days", 7 * 24 * time.Hour}, {"28 days", 28 * 24 * time.Hour}}

// spanLinks are links to a page over each of them; one that ends now is where we are.
func spanLinks(at string, v url.Values) (out []web.Link) {
	from := v.Get("from")
	if from == "" && v.Get("until") == "" {
		from = spanText(24 * time.Hour)
	}
	for _, s := range viewSpans {
		out = append(out, web.Link{Text: s.text, Href: with(at, v, "from", spanText(s.span), "until", ""), Here: from == spanText(s.span) && v.Get("until") == ""})
	}
	return out
}

func spanText(d time.Duration) string { return strconv.Itoa(int(d.Hours())) + "h" }

// with is an address with some values set, or taken out where they are empty.
func with(at string, v url.Values, pairs ...string) string {
	next := url.Values{}
	for _, k := range []string{"meter", "by", "label", "from", "until"} {
		if s := v.Get(k); s != "" {
			next.Set(k, s)
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if next.Del(pairs[i]); pairs[i+1] != "" {
			next.Set(pairs[i], pairs[i+1])
		}
	}
	return strings.TrimSuffix(at+"?"+next.Encode(), "?")
}

// showViews is everything at a glance: each view's first meter, small.
func (c *Console) showViews(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v := r.URL.Query()
	q, err := watch.QuestionOf(v, c.Now())
	if err != nil {
		return err
	}
	p := viewsPage{Spans: spanLinks(atViews, v), Acts: []web.Link{{Text: "Meters of your own", Href: atGauges}}}
	for i, view := range c.Watch.Views() {
		q := watch.Question{Meter: view.Meters[0], From: q.From, Until: q.Until, Step: small(q.Until.Sub(q.From))}
		a, err := c.Watch.Look(r.Context(), who, q)
		if err != nil {
			return err
		}
		d := c.draw(fmt.Sprint("v", i), &a, nil, true)
		d.Title, d.Href = view.Title, with(atViews+"/"+view.ID, url.Values{"from": v["from"], "until": v["until"]})
		p.Charts = append(p.Charts, d)
	}
	if c.Spending != nil {
		ms, err := c.Spending.Months(r.Context(), who)
		if err != nil {
			return err
		}
		p.Budgets = c.planTable(ms)
	}
	return c.show(w, r, "views", web.View{Title: "What goes on", Lead: "Choose a part, then a stretch of its chart, then a group: the records behind it are one click further. Grey is what nobody observed.",
		Up: &web.Link{Text: "Alarms", Href: atWatch}, Data: p})
}

// small is a step that leaves some fifty points.
func small(span time.Duration) time.Duration {
	return max(span/48, time.Minute).Truncate(time.Minute)
}

// showView is one view over a span: the chart, the groups, and the way to the records.
func (c *Console) showView(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	views := c.Watch.Views()
	i := slices.IndexFunc(views, func(v watch.View) bool { return v.ID == r.PathValue("id") })
	if i < 0 {
		return fault.New(fault.NotFound, "no_view", fault.Public{Problem: "There is no such view.", Next: "Choose one of the list."})
	}
	view, v := views[i], r.URL.Query()
	q, err := watch.QuestionOf(v, c.Now())
	if err != nil {
		return err
	}
	if q.Meter == "" {
		q.Meter = view.Meters[0]
	}
	if !slices.Contains(view.Meters, q.Meter) {
		return fault.New(fault.NotFound, "no_view", fault.Public{Problem: "This view does not show that meter.", Next: "Choose one of its own."})
	}
	bys := c.dimensions(&view, q.Meter)
	if q.By == "" && len(bys) > 0 {
		q.By = bys[0]
	}
	p := viewPage{}
	if personalBy[q.By] && !c.Access.May(who, access.JournalRead) {
		q.By, q.Label, p.Closed = "", "", "People and networks are told apart for whoever may read the journal."
	}
	a, err := c.Watch.Look(r.Context(), who, q)
	if err != nil {
		return err
	}
	at := atViews + "/" + view.ID
	v.Set("meter", q.Meter)
	cols := columns(at, v, &a)
	p.Spans, p.Chart, p.Figures, p.Span = spanLinks(at, v), c.draw("chart", &a, cols, false), figures(&a, cols), spanForm(at, v, &a)
	for _, m := range view.Meters {
		if len(view.Meters) > 1 {
			p.Meters = append(p.Meters, web.Link{Text: c.saysOf(m), Href: with(at, v, "meter", m, "by", "", "label", ""), Here: m == q.Meter})
		}
	}
	for _, by := range bys {
		p.Bys = append(p.Bys, web.Link{Text: byWords[by], Href: with(at, v, "by", by, "label", ""), Here: by == q.By})
	}
	if href, text := recordsOf(&a, q.By, q.Label); href != "" {
		p.Records = &web.Link{Text: text, Href: href}
	}
	if q.By != "" && q.Label == "" {
		p.Groups = groups(at, v, &a, func(label string) string { return c.labelText(r.Context(), q.By, label) })
	}
	title := view.Title
	if q.Label != "" {
		title += ": " + c.labelText(r.Context(), q.By, q.Label)
	}
	return c.show(w, r, "view", web.View{Title: title, Lead: view.Says, Up: &web.Link{Text: "What goes on", Href: with(atViews, url.Values{"from": v["from"], "until": v["until"]})}, Data: p})
}

// dimensions of a view along which the meter is counted.
func (c *Console) dimensions(view *watch.View, meter string) (out []string) {
	for _, m := range c.Watch.Catalogue() {
		if m.Name != meter {
			continue
		}
		for _, by := range view.By {
			if slices.Contains(m.Dimensions, by) {
				out = append(out, by)
			}
		}
	}
	return out
}

var personalBy = map[string]bool{"person": true, "network": true}

var byWords = map[string]string{"route": "Route", "team": "Team", "person": "Person", "network": "Network", "kind": "Kind", "rule": "Rule", "channel": "Channel", "of": "Part"}

func (c *Console) saysOf(meter string) string {
	for _, m := range c.Watch.Catalogue() {
		if m.Name == meter {
			return m.Says
		}
	}
	return meter
}

func (c *Console) labelText(ctx context.Context, by, label string) string {
	switch {
	case by == "team":
		return c.teamLabel(ctx, label)
	case personalBy[by]:
		return cutID(label)
	}
	return label
}

// columns are the parts of the span, each a link that narrows to it.
func columns(at string, v url.Values, a *watch.Picture) []chart.Column {
	if a.Until.Sub(a.From) <= time.Minute {
		return nil
	}
	cols := chart.Split(a.From, a.Until)
	for i := range cols {
		k := &cols[i]
		k.Href = with(at, v, "from", k.From.Format(time.RFC3339), "until", k.Until.Format(time.RFC3339))
		k.Name = spanWords(k.From, k.Until)
	}
	return cols
}

// spanWords writes a span: 3 May 14:00 to 16:00.
func spanWords(from, until time.Time) string {
	from, until = from.UTC(), until.UTC()
	end := "2 Jan 15:04"
	if from.YearDay() == until.YearDay() && from.Year() == until.Year() {
		end = "15:04"
	}
	return from.Format("2 Jan 15:04") + " to " + until.Format(end)
}

func spanForm(at string, v url.Values, a *watch.Picture) web.Form {
	f := web.Form{Action: at, Method: "get", Act: "Show this span", Quiet: true, Part: "span", Fields: []web.Field{
		{Name: "from", Label: "From", Value: a.From.UTC().Format("2006-01-02 15:04"), Hint: "In UTC, or an age such as 36h."}, {Name: "until", Label: "Until", Value: a.Until.UTC().Format("2006-01-02 15:04")}}}
	for _, k := range []string{"meter", "by", "label"} {
		if s := v.Get(k); s != "" {
			f.Hidden = append(f.Hidden, web.Pair{Name: k, Value: s})
		}
	}
	return f
}

// recordsOf is where the records behind a group lie, and what they are called; by may be "".
func recordsOf(a *watch.Picture, by, label string) (href, text string) {
	v := url.Values{"from": {a.From.UTC().Format(time.RFC3339)}, "until": {a.Until.UTC().Format(time.RFC3339Nano)}}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	if strings.HasPrefix(a.Of.Source, "pushed/") { // whoever pushed them has what is behind
		return "", ""
	}
	switch a.Of.Source {
	case "requests", "readings":
		if a.Meter == "requests.failed" {
			set("status", "5")
		}
		switch by {
		case "route", "team", "person", "network":
			set(by, label)
		case "kind":
			set("status", strings.TrimSuffix(label, "xx"))
		}
		text = "Records"
		if a.Of.Source == "readings" {
			text = "Requests of that time"
		}
		return atRequests + "?" + v.Encode(), text
	case "journal":
		if by == "rule" && label != "" {
			return atWatch + "?rule=" + url.QueryEscape(label), "Alarms"
		}
		if by == "channel" {
			return atDeliveries, "Messages"
		}
		set("act", map[string]string{"sign-ins": "identity.signed-in", "sign-ins.refused": "identity.sign-in-refused", "staff-views": "identity.impersonated", "detections": "watch.alarm-opened"}[a.Meter])
		if a.Meter == "secret-reads" {
			set("clause", "vault.access-logged")
		}
		switch {
		case label == "":
		case by == "person" && a.Meter == "sign-ins":
			set("subject", label)
		case by == "person", by == "network":
			set("actor", label)
		case by == "kind" && a.Meter == "deliveries":
			set("act", "notify."+label)
		case by == "kind" && v.Get("act") == "":
			set("act", label)
		}
		return atJournal + "?" + v.Encode(), "Entries"
	}
	return atMail, "Letters"
}

// groups is the table of what the greatest shares are.
func groups(at string, v url.Values, a *watch.Picture, called func(label string) string) *web.Table {
	t := &web.Table{Caption: "The greatest first", Columns: []web.Column{{Name: byWords[a.By]}}, Empty: web.Empty{Says: "Nothing was counted apart in this time."},
		Export: []web.Link{{Text: "CSV", Href: with(at, v) + "&as=csv&table=2"}}}
	for _, name := range valueNames(&a.Of) {
		t.Columns = append(t.Columns, web.Column{Name: name, Figure: true})
	}
	t.Columns = append(t.Columns, web.Column{Name: "Behind it"})
	for _, g := range a.Groups {
		row := web.Row{Cells: []web.Cell{{Text: called(g.Label), Href: with(at, v, "by", a.By, "label", g.Label), Code: true}}}
		for i, s := range valuesOf(&a.Of, &g.Point) {
			if i == 0 && g.Error > 0 && s == amount(&a.Of, g.Value) { // it had no room of its own for some of the time
				s += " to " + amount(&a.Of, g.Value+g.Error)
			}
			row.Cells = append(row.Cells, web.Cell{Text: s})
		}
		href, text := recordsOf(a, a.By, g.Label)
		t.Rows = append(t.Rows, web.Row{Cells: append(row.Cells, web.Cell{Text: text, Href: href})})
	}
	return t
}

// figures is the table behind a chart: its columns.
func figures(a *watch.Picture, cols []chart.Column) web.Table {
	t := web.Table{Caption: "What the chart shows, in UTC", Columns: []web.Column{{Name: "Time"}}, Empty: web.Empty{Says: "The span is too short to be divided."}}
	for _, name := range valueNames(&a.Of) {
		t.Columns = append(t.Columns, web.Column{Name: name, Figure: true})
	}
	if len(a.Usual) > 0 {
		t.Columns = append(t.Columns, web.Column{Name: "Usually", Figure: true})
	}
	t.Columns = append(t.Columns, web.Column{Name: "Observed", Figure: true})
	for _, k := range cols {
		row := web.Row{Cells: []web.Cell{{Text: k.Name, Href: k.Href}}}
		sum, n := fold(&a.Of, a.Points, a.Step, k.From, k.Until)
		for _, s := range valuesOf(&a.Of, &sum) {
			if sum.Gap() {
				s = "–"
			}
			row.Cells = append(row.Cells, web.Cell{Text: s})
		}
		if len(a.Usual) > 0 {
			row.Cells = append(row.Cells, usually(a, k.From, k.Until))
		}
		seen := "nobody looked"
		if n > 0 && sum.Observed > 0 {
			seen = strconv.Itoa(int(100*sum.Observed+0.5)) + " %"
		}
		t.Rows = append(t.Rows, web.Row{Cells: append(row.Cells, web.Cell{Text: seen})})
	}
	return t
}

// usually is what is usual of a stretch.
func usually(a *watch.Picture, from, until time.Time) web.Cell {
	sum := watch.Expect{Known: true}
	for i := range a.Usual {
		e := &a.Usual[i]
		if middle := e.At.Add(a.Step / 2); !middle.Before(from) && middle.Before(until) {
			sum.Low, sum.Expected, sum.High, sum.Known = sum.Low+e.Low, sum.Expected+e.Expected, sum.High+e.High, sum.Known && e.Known
		}
	}
	if !sum.Known {
		return web.Cell{Text: "not yet known"}
	}
	return web.Cell{Text: amount(&a.Of, sum.Expected), Sub: amount(&a.Of, sum.Low) + " to " + amount(&a.Of, sum.High)}
}

// fold adds up the points of a stretch. Quantiles do not add up: the highest of them is told.
func fold(m *series.Meter, ps []series.Point, step time.Duration, from, until time.Time) (sum series.Point, n int) {
	for i := range ps {
		p := &ps[i]
		if middle := p.At.Add(step / 2); middle.Before(from) || !middle.Before(until) {
			continue
		}
		n++
		sum.Observed += p.Observed
		if m.Kind == series.Gauge {
			sum.Value += p.Value * float64(p.Count)
		} else if m.Kind == series.Union { // of two steps, the same may be in both
			sum.Value = max(sum.Value, p.Value)
		} else {
			sum.Value += p.Value
		}
		sum.Count += p.Count
		sum.High, sum.P50, sum.P95, sum.P99 = max(sum.High, p.High), max(sum.P50, p.P50), max(sum.P95, p.P95), max(sum.P99, p.P99)
	}
	if n > 0 {
		sum.Observed /= float64(n)
	}
	if m.Kind == series.Gauge && sum.Count > 0 {
		sum.Value /= float64(sum.Count)
	}
	return sum, n
}

func (c *Console) draw(id string, a *watch.Picture, cols []chart.Column, tiny bool) drawn {
	k := chart.Chart{ID: id, Title: a.Of.Says, From: a.From, Until: a.Until, Step: a.Step, Columns: cols, Small: tiny, Bars: a.Of.Kind == series.Count || a.Of.Kind == series.Union || a.Of.Unit == "bytes", Format: func(v float64) string { return amount(&a.Of, v) }}
	for i := range a.Points {
		p := &a.Points[i]
		x := chart.Point{At: p.At, Value: p.Value, Gap: p.Gap()}
		switch {
		case k.Bars:
		case a.Of.Kind == series.Gauge:
			x.Gap, x.Low, x.High = p.Count == 0, p.Value, p.High
		default: // the middle one, and the range up to the slowest in a hundred
			x.Gap, x.Value, x.Low, x.High = p.Count == 0, p.P50, p.P50, p.P99
		}
		k.Points = append(k.Points, x)
	}
	if k.Bars && !tiny {
		for _, e := range a.Usual {
			k.Usual = append(k.Usual, chart.Point{At: e.At, Value: e.Expected, Low: e.Low, High: e.High, Gap: !e.Known})
		}
	}
	sum, _ := fold(&a.Of, a.Points, a.Step, a.From.Add(-a.Step), a.Until.Add(a.Step))
	says := valuesOf(&a.Of, &sum)[0]
	if sum.Gap() {
		says = "nobody looked"
	}
	k.Desc = a.Of.Says + ", " + spanWords(a.From, a.Until) + " UTC: " + says + "."
	if len(k.Usual) > 0 {
		k.Desc += " The quiet area is what is usual at those hours of the week."
		says += "; the quiet area is usual"
	}
	return drawn{Title: k.Title, Says: says, SVG: template.HTML(k.SVG())} //nolint:gosec // every text in it is escaped; TestCharts reads it as XML
}

// valueNames are what a meter tells of a stretch or a group.
func valueNames(m *series.Meter) []string {
	switch {
	case m.Kind == series.Gauge:
		return []string{"Mean", "Highest"}
	case m.Kind == series.Spread && m.Unit != "bytes":
		return []string{"95 of 100 within", "Half within", "How many"}
	}
	if m.Kind == series.Union {
		return []string{"Most in a step"}
	}
	return []string{"How much"}
}

func valuesOf(m *series.Meter, p *series.Point) []string {
	switch {
	case m.Kind == series.Gauge:
		return []string{amount(m, p.Value), amount(m, p.High)}
	case m.Kind == series.Spread && m.Unit != "bytes":
		return []string{amount(m, p.P95), amount(m, p.P50), web.Number(p.Count)}
	}
	return []string{amount(m, p.Value)}
}

// amount writes a value with its unit.
func amount(m *series.Meter, v float64) string {
	switch m.Unit {
	case "µs":
		if v >= 1e6 {
			return chart.Short(v/1e6) + " s"
		}
		return chart.Short(v/1e3) + " ms"
	case "bytes":
		return strings.TrimSpace(chart.Short(v)) + "B"
	case "":
		return chart.Short(v)
	}
	return chart.Short(v) + " " + m.Unit
}

// entriesBetween are the numbers of the entries of a span: from the first that was numbered at
// or after its beginning, to the first after its end; without one, to the last there is.
func (c *Console) entriesBetween(ctx context.Context, from, until time.Time) (first, before int64, err error) {
	h, err := c.Journal.Head(ctx)
	if err != nil {
		return 0, 0, err
	}
	find := func(at time.Time) (int64, error) {
		low, high := int64(0), h.Size
		for low < high {
			mid := (low + high) / 2
			e, err := c.Journal.Entry(ctx, mid)
			if err != nil {
				return 0, err
			}
			if e.At.Before(at) {
				low = mid + 1
			} else {
				high = mid
			}
		}
		return low, nil
	}
	if first, err = find(from); err != nil {
		return 0, 0, err
	}
	if before = h.Size; !until.IsZero() {
		before, err = find(until)
	}
	return first, before, err
}
