package watch_test

import (
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/watch"
)

// Once a month a page goes out to people, wider until somebody acknowledges it. Until then it is a
// finding; then it closes by itself, and counts towards nothing.
func TestMonthlyPage(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		w.follow(entry("identity.signed-in", "p:ana"))
		look := func(want clause.Outcome, says string) {
			t.Helper()
			for _, c := range w.s.Controls() {
				if c.ID == "watch.page-answered" {
					if r, err := c.Run(ctx); err != nil || r.Outcome != want || !strings.Contains(r.Summary, says) {
						t.Errorf("%+v %v, want %s with %q", r, err, want, says)
					}
				}
			}
		}
		look(clause.Pass, "none is owed before")
		w.Clock.Advance(26 * 24 * time.Hour)
		must(t, w.s.Sample(ctx))
		if as := w.alarms("page-test"); len(as) != 0 {
			t.Errorf("a page before its time: %+v", as)
		}
		w.Clock.Advance(2 * 24 * time.Hour)
		must(t, w.s.Sample(ctx))
		a := w.alarm("page-test", watch.Firing)
		if !a.Test || a.Severity != "page" {
			t.Errorf("%+v", a)
		}
		w.on(0)
		look(clause.Pass, "none is owed")
		w.on(5 * time.Minute)
		w.on(10 * time.Minute)
		if n := w.queued(a.ID); n["mail"] != 1+2+2 || n["folder"] != 3 {
			t.Errorf("told %v", n)
		}
		w.on(time.Hour)
		look(clause.Fail, "nobody has acknowledged it")
		for _, l := range w.send(1) {
			if strings.Contains(l.Subject, "monthly") && (!strings.HasPrefix(l.Subject, "[test] PAGE: ") || !strings.Contains(l.Text, "Nothing is the matter") || strings.Contains(l.Text, "by hand")) {
				t.Errorf("%s\n%s", l.Subject, l.Text)
			}
		}
		engineer := engineer
		engineer.FactorAt = w.Clock.Now()
		must(t, w.s.Acknowledge(ctx, engineer, a.ID, ""))
		look(clause.Pass, "somebody acknowledged the test page")
		for range 3 {
			w.Clock.Advance(time.Minute)
			must(t, w.s.Sample(ctx))
			w.on(2 * time.Minute)
		}
		if as := w.alarms("page-test"); len(as) != 1 || as[0].Verdict != watch.VerdictTest {
			t.Errorf("%+v", as)
		}
		w.Clock.Advance(32 * 24 * time.Hour)
		look(clause.Fail, "nobody has acknowledged a test page since")
		must(t, w.s.Sample(ctx))
		if as := w.alarms("page-test"); len(as) != 2 {
			t.Errorf("%d pages in two months", len(as))
		}
	})
}
