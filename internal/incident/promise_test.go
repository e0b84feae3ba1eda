package incident_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/incident"
	"writ/internal/incident/status"
)

// closed writes down a closed incident of a kind.
func (w *world) closed(n int, kind, l string, drill bool, took time.Duration) {
	w.t.Helper()
	at := w.kit.Clock.Now().AddDate(0, -1, 0).Add(time.Duration(n) * time.Hour).UnixMicro()
	w.exec(fmt.Sprintf(`INSERT INTO incident_case (id, number, drill, round, version, title, source, component, declared_by, severity, categories, l, c, r, b, f, onset_from, declared, resolved, decided, joined)
		VALUES ('past%04d', %d, %v, 1, 1, '', 'person', '', 'ana', 2, '%s', '%s', '', '', '', '', %d, %d, %d, TRUE, '')`, n, 1000+n, drill, kind, l, at, at, at+took.Microseconds()))
}

// An estimate is offered from five on, of the same kind, of what is closed, and of no drill that
// a script has played; it says no time that is over.
func TestEstimateFromHistory(t *testing.T) { // breaks: inc.eta
	w := open(t)
	c := w.active()
	for i := range 4 {
		w.closed(i, "usability", "L6", i == 0, time.Duration(i+1)*time.Hour)
	}
	w.closed(10, "outage", "L6", false, time.Minute)
	w.closed(11, "usability", "LX", false, time.Minute)
	w.closed(12, "usability", "L5", false, time.Minute)
	w.closed(13, "usability", "L6", true, time.Minute)
	w.exec(`INSERT INTO incident_drill (case_id, kind, caller, other, plays, state, problem, begun, passed, score) VALUES ('past0013', 'outage', 'dev', '', TRUE, 'scored', '', 0, TRUE, '{}')`)
	if f := w.show(c.Ref()).Forecast; f.Past != 4 || f.Enough() || f.Left != 0 || !strings.HasPrefix(f.Says(), "Too little history for an estimate: 4 incidents") {
		t.Errorf("%+v %s", f, f.Says())
	}
	w.closed(4, "breach usability", "L6", false, 5*time.Hour)
	f := w.show(c.Ref()).Forecast
	if f.Past != 5 || f.Median.Round(time.Second) != 3*time.Hour || f.From > time.Hour || f.To < 5*time.Hour || f.Left != 3*time.Hour || f.Stands {
		t.Errorf("%+v", f)
	}
	site, _ := w.api(w.as("dev"))
	a := httptest.NewRecorder()
	site.ServeHTTP(a, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://app.example.test/-/api/v1/incidents/"+c.Ref(), nil))
	var got struct {
		Forecast struct {
			Past   int
			Enough bool
			Median float64 `json:"median_minutes"`
			Says   string
		}
	}
	if err := json.Unmarshal(a.Body.Bytes(), &got); err != nil || got.Forecast.Past != 5 || !got.Forecast.Enough || math.Round(got.Forecast.Median) != 180 || got.Forecast.Says != f.Says() {
		t.Errorf("%v: %s", err, a.Body)
	}
	p := w.update(status.Investigating)
	p.Estimate = w.kit.Clock.Now().Add(time.Hour)
	w.ok(w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0))
	if !w.show(c.Ref()).Forecast.Stands {
		t.Error("a promise that is to come does not stand")
	}
	w.kit.Clock.Advance(3*time.Hour + time.Second)
	if g := w.show(c.Ref()).Forecast; g.Stands || !g.Back.Equal(c.Declared.Add(g.To)) {
		t.Errorf("after the median: %+v", g)
	}
	w.kit.Clock.Advance(f.To)
	if g := w.show(c.Ref()).Forecast; g.Left != 0 || !strings.HasSuffix(g.Says(), "This one takes longer than that.") {
		t.Errorf("after the end: %+v %s", g, g.Says())
	}
}

// Over 200 random incidents replayed one after the other, eight of ten end within what was said
// before; so it is over many histories, whatever way the times are spread.
func TestEstimatesCover(t *testing.T) { // breaks: inc.eta
	spreads := map[string]func(r *rand.Rand) float64{
		"log-normal": func(r *rand.Rand) float64 { return 60 * math.Exp(r.NormFloat64()) },
		"flat":       func(r *rand.Rand) float64 { return 10 + 200*r.Float64() },
		"waiting":    func(r *rand.Rand) float64 { return 1 + 90*r.ExpFloat64() },
		"two kinds":  func(r *rand.Rand) float64 { return []float64{20, 400}[r.IntN(2)] * math.Exp(.3*r.NormFloat64()) },
	}
	share := func(t *testing.T, in, n int) {
		t.Helper()
		if x := float64(in) / float64(n); n == 0 || x < .75 || x > .85 {
			t.Errorf("%.1f %% of %d within the interval", 100*x, n)
		}
	}
	for name, spread := range spreads {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(80, 200))
			var in, n, few, fewIn int
			for range 100 {
				var past []time.Duration
				for range 200 {
					took := time.Duration(spread(r) * float64(time.Minute))
					if f := incident.Foresee(past); f.Enough() {
						hit := f.From <= took && took <= f.To
						if n++; hit {
							in++
						}
						if f.Past < 12 {
							if few++; hit {
								fewIn++
							}
						}
					}
					past = append(past, took)
				}
			}
			share(t, in, n)
			if few == 0 || float64(fewIn)/float64(few) < .7 {
				t.Errorf("%d of %d with little history", fewIn, few)
			}
		})
	}
	t.Run("replayed", func(t *testing.T) {
		w := open(t)
		c := w.active()
		r := rand.New(rand.NewPCG(1, 2))
		var in, n int
		for i := range 200 {
			took := time.Duration(spreads["log-normal"](r) * float64(time.Minute))
			if f := w.show(c.Ref()).Forecast; f.Enough() {
				if n++; f.From <= took && took <= f.To {
					in++
				}
			}
			w.closed(i, "usability", "L6", false, took)
		}
		share(t, in, n)
	})
}

// What was promised is held against what came of it, each promise for itself, also one that was
// changed since; an incident that goes on has kept and broken nothing yet.
func TestPromisesAreCounted(t *testing.T) { // breaks: inc.eta
	w := open(t)
	c := w.active()
	says := func(state string, in time.Duration) {
		t.Helper()
		p := w.update(state)
		if p.Next = (time.Time{}); in > 0 {
			p.Estimate = w.kit.Clock.Now().Add(in)
		}
		w.ok(w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0))
	}
	says(status.Investigating, 30*time.Minute)
	id := w.show(c.Ref()).Posts[0].Public
	if body := w.get("/-/status/incidents/" + id).Body.String(); strings.Contains(body, "What we promised") {
		t.Error("an open incident has kept or broken its promise")
	}
	w.kit.Clock.Advance(20 * time.Minute)
	says(status.Identified, 10*time.Minute) // the same time said again
	says(status.Identified, 40*time.Minute)
	w.fixed(c.Ref())
	w.kit.Clock.Advance(20 * time.Minute)
	says(status.Monitoring, 20*time.Minute) // the second time again
	w.step("dev", c.Ref(), "mitigate", "")
	w.kit.Clock.Advance(15 * time.Minute)
	says(status.Resolved, 0)
	k, err := w.page.Kept(t.Context())
	if err != nil || k != (status.Kept{Given: 2, Kept: 1, Median: 25 * time.Minute}) {
		t.Errorf("%+v %v", k, err)
	}
	body := w.get("/-/status/incidents/" + id).Body.String()
	for _, want := range []string{"What we promised", "back by 2 November 2026, 10:30 UTC. It took 25 minutes longer.", "back by 2 November 2026, 11:00 UTC. Kept."} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	const sum = "Of 2 promises when service returns, 1 kept; half of them were off by at most 25 minutes"
	if body := w.get("/-/status").Body.String(); !strings.Contains(body, sum+".") {
		t.Error("the page does not say how well it keeps its word")
	}
	w.expect("updates-estimated", clause.Pass, sum)
}
