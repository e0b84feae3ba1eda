package cli

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// watchSeries is a series as the server tells it.
type watchSeries struct {
	Meter, Kind, Unit, By, Label, Step string
	Points                             []watchPoint
	Groups                             []struct {
		Label string
		Error float64 // by how much the value may be more
		watchPoint
	}
}

type watchPoint struct {
	At                  time.Time
	Value               float64
	Count               int64
	High, P50, P95, P99 float64
	Observed            float64
}

func (a *app) watchChart() *cobra.Command {
	q := map[string]*string{}
	c := &cobra.Command{
		Use: "chart METER", Short: "Show what was measured over a span, and by what",
		Long:    "Draws a meter over a span, a line for each stretch of it, and lists its groups along a dimension. What nobody observed is said so, and is not zero. Without a meter it lists what is measured.",
		Example: "  writ watch chart requests --by route --since 24h\n  writ watch chart latency --by route --from 2026-05-01 --until 2026-05-02\n  writ watch chart", Args: cobra.MaximumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.watchCall(c, http.MethodGet, "meters", nil, a.printMeters)
			}
			v := url.Values{"meter": {args[0]}}
			for name, s := range q {
				if *s != "" {
					v.Set(name, *s)
				}
			}
			if s := v.Get("since"); s != "" {
				v.Del("since")
				v.Set("from", s)
			}
			return a.watchCall(c, http.MethodGet, "series?"+v.Encode(), nil, a.printSeries)
		}),
	}
	for _, f := range []struct{ name, says string }{{"by", "a dimension, such as route"}, {"label", "one group of it alone"}, {"since", "an age, such as 24h"}, {"from", "a time, such as 2026-05-01 12:00 in UTC"}, {"until", "likewise"}, {"step", "such as 1h"}} {
		q[f.name] = c.Flags().String(f.name, "", f.says)
	}
	return c
}

func (a *app) printMeters(raw json.RawMessage) error {
	var out struct {
		Meters []struct {
			Name, Says string
			Dimensions []string
		}
	}
	if err := decode(raw, &out); err != nil {
		return err
	}
	t := newTable(a.out, "METER", "BY", "WHAT")
	for _, m := range out.Meters {
		t.row(m.Name, strings.Join(m.Dimensions, " "), m.Says)
	}
	return t.flush()
}

const (
	chartLines = 24
	chartWidth = 40
)

func (a *app) printSeries(raw json.RawMessage) error {
	var s watchSeries
	if err := decode(raw, &s); err != nil {
		return err
	}
	rows := s.fold(chartLines)
	most := 0.0
	for i := range rows {
		most = max(most, s.shown(&rows[i]))
	}
	t := newTable(a.out, "FROM (UTC)", "VALUE", "")
	for i := range rows {
		p := &rows[i]
		if p.Observed == 0 && p.Count == 0 {
			t.row(p.At.UTC().Format("2006-01-02 15:04:05"), "-", "not observed")
			continue
		}
		t.row(p.At.UTC().Format("2006-01-02 15:04:05"), s.value(s.shown(p)), bar(s.shown(p), most))
	}
	if err := t.flush(); err != nil || len(s.Groups) == 0 {
		return err
	}
	t = newTable(a.out, strings.ToUpper(s.By), "VALUE", "")
	most = 0
	for i := range s.Groups {
		most = max(most, s.shown(&s.Groups[i].watchPoint))
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		says := s.value(s.shown(&g.watchPoint))
		if g.Error > 0 && s.shown(&g.watchPoint) == g.Value {
			says += " to " + s.value(g.Value+g.Error)
		}
		t.row(g.Label, says, bar(s.shown(&g.watchPoint), most))
	}
	return t.flush()
}

// shown is what a chart shows of a stretch: a level's mean, how long the slowest but five in
// a hundred took, else the sum.
func (s *watchSeries) shown(p *watchPoint) float64 {
	if s.Kind == "spread" && s.Unit != "bytes" {
		return p.P95
	}
	return p.Value
}

func (s *watchSeries) value(v float64) string {
	return strings.TrimSpace(strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) + " " + s.Unit)
}

// fold joins neighbours until there are at most so many. Quantiles do not add up: the
// highest of them stands for all.
func (s *watchSeries) fold(most int) (out []watchPoint) {
	each := max((len(s.Points)+most-1)/most, 1)
	for i := 0; i < len(s.Points); i += each {
		sum := watchPoint{At: s.Points[i].At}
		weight := 0.0
		for _, p := range s.Points[i:min(i+each, len(s.Points))] {
			w := 1.0
			if s.Kind == "level" {
				w = float64(p.Count)
			}
			sum.Value, weight = sum.Value+p.Value*w, weight+w
			sum.Count, sum.Observed, sum.P95 = sum.Count+p.Count, max(sum.Observed, p.Observed), max(sum.P95, p.P95)
		}
		if s.Kind == "level" && weight > 0 {
			sum.Value /= weight
		}
		out = append(out, sum)
	}
	return out
}

func bar(v, most float64) string {
	if most <= 0 || v <= 0 {
		return ""
	}
	return strings.Repeat("█", max(int(math.Round(v/most*chartWidth)), 1))
}
