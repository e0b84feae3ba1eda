package gateway

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"writ/internal/canary"
	"writ/internal/clause"
)

// tryClosed rehearses a closed gate: the same steps, with that mode for these requests
// alone. What is under way for everybody else is not touched.
func (g *Gateway) tryClosed(ctx context.Context, door *canary.Door, mode string) (clause.Result, error) {
	passed, tried := g.rehearse(ctx, mode)
	steps := []clause.Step{{Act: fmt.Sprintf("try %d requests at all routes as if the gate were %s", tried, words(mode)), Expected: "503 for each that it must keep out", Got: cmp.Or(passed, "503 for each that it must keep out"), OK: passed == ""}}
	open, _ := g.rehearse(ctx, Normal)
	steps = append(steps, clause.Step{Act: "try the same as if it were open", Expected: "some are not kept out", Got: cmp.Or(open, "each is kept out"), OK: open != "", Control: true})

	v := door.Visitor()
	defer v.Close()
	m := g.mode.Load()
	a, err := v.Do(ctx, http.MethodPost, "/", "{}")
	if err != nil {
		return clause.Result{}, fmt.Errorf("ask at the door: %w", err)
	}
	if m != g.mode.Load() {
		return clause.Result{}, fmt.Errorf("the mode of the gate was changed while it was asked")
	}
	shut := m != nil && (m.mode == Frozen || m.mode == Maintenance)
	want := "no 503, for it is open"
	if shut {
		want = "503, for it is closed"
	}
	steps = append(steps, clause.Step{Act: "change something at the door", Expected: want, Got: fmt.Sprint(a.Status), OK: shut == (a.Status == http.StatusServiceUnavailable), Control: !shut})
	if n := g.tally.everLate.Load(); mode == Frozen {
		most := g.rules.Get().FrozenWrites // clause: inc.loss-freeze
		steps = append(steps, clause.Step{Act: "count changes that the application took while it was closed to them, since this server started", Expected: fmt.Sprint(most), Got: fmt.Sprint(n), OK: n <= most})
	}
	return clause.Judge("nothing passes a gate that is "+words(mode), steps...), nil
}

func words(mode string) string {
	if mode == Maintenance {
		return "closed for maintenance"
	}
	return mode
}

// rehearse takes requests of all kinds at all routes through the steps up to the
// application, as nobody, in a mode. It returns the first that the mode should have kept
// out and did not.
func (g *Gateway) rehearse(ctx context.Context, mode string) (passed string, tried int) {
	t := g.current()
	paths := []string{"/", "/canary-of-the-gate"}
	for p := range t.public {
		paths = append(paths, p)
	}
	for _, n := range t.nodes {
		paths = append(paths, n.pattern)
	}
	slices.Sort(paths)
	for _, p := range slices.Compact(paths) {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, "UPGRADE"} {
			h := http.Header{"Accept": {"application/json"}}
			if method == "UPGRADE" {
				method = http.MethodGet
				h["Upgrade"], h["Connection"] = []string{"websocket"}, []string{"Upgrade"}
			}
			r := (&http.Request{Method: method, URL: &url.URL{Path: "/"}, RequestURI: p, Host: g.origin.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, RemoteAddr: "127.0.0.1:0"}).WithContext(ctx)
			v := visit{g: g, w: &recorder{header: http.Header{}}, r: r, table: t, mode: &modeState{mode: mode, since: g.now()}, asked: true}
			if mode == Frozen && !v.changes() {
				continue
			}
			tried++
			if ref := v.upTo("route"); ref != refuseMaintenance && ref != refuseFrozen && passed == "" {
				passed = fmt.Sprintf("%s %s passed", method, p)
			}
		}
	}
	return passed, tried
}

// upTo runs the steps before the one that is named.
func (v *visit) upTo(name string) *refusal {
	for i := range v.g.steps {
		if v.g.steps[i].name == name {
			return nil
		}
		if ref := v.g.steps[i].run(v); ref != nil {
			return ref
		}
	}
	return nil
}
