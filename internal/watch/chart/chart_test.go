package chart_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/watch/chart"
)

var (
	update = flag.Bool("update", false, "write golden files anew")
	noon   = time.Date(2026, 5, 3, 12, 0, 0, 0, time.UTC)
)

// hourly are points an hour apart.
func hourly(vs ...float64) (ps []chart.Point) {
	for i, v := range vs {
		ps = append(ps, chart.Point{At: noon.Add(time.Duration(i) * time.Hour), Value: v})
	}
	return ps
}

func drawn(t *testing.T, name string, c *chart.Chart) string {
	t.Helper()
	c.ID, c.Title, c.Desc = "c", "Requests & <more>", "What went on"
	if c.Step == 0 {
		c.Step = time.Hour
	}
	if c.From.IsZero() {
		c.From, c.Until = noon, noon.Add(12*time.Hour)
	}
	svg := c.SVG()
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, svg)
		}
		if e, ok := tok.(xml.StartElement); ok {
			for _, a := range e.Attr {
				if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") || strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Errorf("%s: %s has %s=%q", name, e.Name.Local, a.Name.Local, a.Value)
				}
			}
			if e.Name.Local == "script" || e.Name.Local == "style" {
				t.Errorf("%s: it has a %s", name, e.Name.Local)
			}
		}
	}
	file := filepath.Join("testdata", name+".svg")
	if *update {
		if err := os.WriteFile(file, []byte(svg+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != svg+"\n" {
		t.Errorf("%s is not as it was (%v):\n%s", file, err, svg)
	}
	return svg
}

func TestCharts(t *testing.T) {
	gap := hourly(5, 7, 0, 0, 0, 0, 8, 9, math.NaN(), 4, math.Inf(1), 3)
	for i := range gap {
		gap[i].Gap = i >= 2 && i <= 4
	}
	banded := hourly(5, 6, 7, 8)
	for i := range banded {
		banded[i].Low, banded[i].High = banded[i].Value-2, banded[i].Value+3
	}
	cols := chart.Split(noon, noon.Add(12*time.Hour))
	for i := range cols {
		cols[i].Href, cols[i].Name = fmt.Sprintf(`/x?a=%d&b="<`, i), `a "name"`
	}
	none := drawn(t, "none", &chart.Chart{})
	one := drawn(t, "one", &chart.Chart{Points: hourly(3)})
	line := drawn(t, "gaps", &chart.Chart{Points: gap, Columns: cols})
	bars := drawn(t, "bars", &chart.Chart{Points: gap, Bars: true, Format: func(v float64) string { return fmt.Sprint(v, " <s>") }})
	drawn(t, "band", &chart.Chart{Points: banded})
	drawn(t, "small", &chart.Chart{Points: banded, Small: true})
	flooded := drawn(t, "usual", &chart.Chart{Points: hourly(5, 6, 7, 30), Usual: banded, Bars: true})
	drawn(t, "zero", &chart.Chart{Points: hourly(0, 0, 0)})

	if a, b := strings.Index(flooded, `class="usual"`), strings.Index(flooded, `class="bar"`); a < 0 || b < a || strings.Count(flooded, `class="middle"`) != 1 {
		t.Errorf("what is usual does not lie behind: %s", flooded)
	}
	if strings.Contains(bars, `class="usual"`) {
		t.Error("an area where nothing is known to be usual")
	}
	if strings.Count(none, `class="gap"`) != 1 || !strings.Contains(none, "not observed") {
		t.Error("where there is nothing, nothing was observed")
	}
	if !strings.Contains(one, `class="dot"`) {
		t.Error("one point is not seen")
	}
	// Three stretches that nobody knows; the line is broken by each and never falls to zero for it.
	if strings.Count(line, `class="gap"`) != 3 || strings.Count(between(line, `class="line" d="`, `"`), "M") != 2 || strings.Count(line, `class="dot"`) != 2 {
		t.Errorf("gaps: %s", line)
	}
	if n := strings.Count(line, "<a "); n != len(cols) || n != 12 || !strings.Contains(line, `role="group"`) {
		t.Errorf("%d links of %d columns", n, len(cols))
	}
	if n := strings.Count(between(bars, `class="bar" d="`, `"`), "M"); n != 6 {
		t.Errorf("%d bars, want one for each hour with something in it", n)
	}
}

func between(s, a, b string) string {
	_, s, _ = strings.Cut(s, a)
	s, _, _ = strings.Cut(s, b)
	return s
}

// However many points there are, the text stays small and no peak or hole is lost.
func TestManyPoints(t *testing.T) {
	ps := make([]chart.Point, 1_000_000)
	for i := range ps {
		ps[i] = chart.Point{At: noon.Add(time.Duration(i) * time.Second), Value: 10 + float64(i%7)}
	}
	ps[654_321].Value = 900
	for i := 300_000; i < 310_000; i++ {
		ps[i].Gap = true
	}
	svg := drawn(t, "many", &chart.Chart{Points: ps, Step: time.Second, From: noon, Until: noon.Add(1_000_000 * time.Second)})
	if len(svg) > 24<<10 || !strings.Contains(svg, `class="gap"`) || !strings.Contains(svg, ">1 k</text>") || !strings.Contains(between(svg, `class="line" d="`, `"`), " 26.6L") {
		t.Errorf("%d bytes", len(svg))
	}
}

func TestSplit(t *testing.T) {
	for span, want := range map[time.Duration]int{10 * time.Minute: 10, time.Hour: 12, 6 * time.Hour: 12, 24 * time.Hour: 12, 7 * 24 * time.Hour: 7, 28 * 24 * time.Hour: 7, 365 * 24 * time.Hour: 5, 20 * 365 * 24 * time.Hour: 21} {
		cols := chart.Split(noon.Truncate(24*time.Hour), noon.Truncate(24*time.Hour).Add(span))
		if len(cols) != want && len(cols) != want+1 {
			t.Errorf("%s: %d columns", span, len(cols))
		}
	}
	cols := chart.Split(noon.Add(7*time.Minute), noon.Add(67*time.Minute))
	if n := len(cols); n != 13 || cols[0].From != noon.Add(7*time.Minute) || cols[1].From != noon.Add(10*time.Minute) || cols[n-1].Until != noon.Add(67*time.Minute) {
		t.Errorf("%d %+v", n, cols)
	}
	if chart.Split(noon, noon) != nil {
		t.Error("no span has columns")
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{99.6: "100", 9.96: "10", 0.042: "0.042", 0.00001: "0.00001", 0: "0", 12: "12", 0.25: "0.25", 1234: "1.2 k", 999_000: "999 k", 5e6: "5 M", 2.5e9: "2.5 G", -1500: "-1.5 k"} {
		if got := chart.Short(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

func BenchmarkSVG(b *testing.B) {
	ps := make([]chart.Point, 10_000)
	for i := range ps {
		ps[i] = chart.Point{At: noon.Add(time.Duration(i) * time.Minute), Value: float64(i % 97)}
	}
	c := chart.Chart{ID: "c", From: noon, Until: noon.Add(10_000 * time.Minute), Step: time.Minute, Points: ps}
	for b.Loop() {
		_ = c.SVG()
	}
}
