package watch_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/notify"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/watch"
)

type ctxt = context.Context

func (w *world) run(id string) clause.Result {
	w.t.Helper()
	for _, c := range w.s.Controls() {
		if c.ID == id {
			r, err := c.Run(w.t.Context())
			must(w.t, err)
			return r
		}
	}
	w.t.Fatalf("there is no control %s", id)
	return clause.Result{}
}

func (w *world) want(id string, outcome clause.Outcome, says string) {
	w.t.Helper()
	if r := w.run(id); r.Outcome != outcome || !strings.Contains(r.Summary, says) {
		w.t.Errorf("%s: %s, %s", id, r.Outcome, r.Summary)
	}
}

func (w *world) rule(key string, v any) {
	w.t.Helper()
	vals := policytest.Values()
	vals[key] = v
	must(w.t, w.rules.Set([]clause.Period{{Values: vals}}))
}

// Every rule raises its alarm in a trial that leaves nothing; one that does not is found.
func TestRulesControls(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		w.want("watch.rules-stand", clause.Unknown, "no rule was fired")
		w.want("watch.rules-fire", clause.Pass, "raised its alarm")
		if as := w.alarms(""); len(as) != 0 {
			w.t.Errorf("a trial left %+v", as)
		}
		w.on(time.Minute)
		if n := len(w.Recorded("watch.alarm-opened", "watch.alarm-told")); n != 0 {
			w.t.Errorf("a trial told %d alarms", n)
		}
		w.want("watch.rules-stand", clause.Pass, "rules watch")
		all, err := w.s.Standings(w.t.Context())
		must(w.t, err)
		for _, st := range all {
			if !st.Fired.IsZero() || st.Tried.IsZero() {
				w.t.Errorf("after a trial: %+v", st)
			}
		}
		w.rule("mon.alarms/built_in", int64(500))
		w.want("watch.rules-stand", clause.Fail, "wants 500")
		w.rule("mon.alarms/built_in", int64(20))
		w.follow(entry("vault.sealed", "x"), entry("vault.unsealed", "x"))
		w.Clock.Advance(8 * 24 * time.Hour)
		w.want("watch.rules-stand", clause.Fail, "nobody has said")
		w.Clock.Advance(90 * 24 * time.Hour)
		w.want("watch.rules-stand", clause.Fail, "did not fire in a trial")
	})
}

// A rule that what it is for does not fire falls silent in its trial.
func TestTrialFindsDeafRules(t *testing.T) { // breaks: mon.alarms
	w := lite(t)
	for _, r := range watch.Pack() {
		must(t, w.s.TryOne(t.Context(), &r))
		deaf := watch.Deaf(r)
		if err := w.s.TryOne(t.Context(), &deaf); !errors.Is(err, watch.NotFired) {
			t.Errorf("%s: %v", r.ID, err)
		}
	}
}

// Too few ways, one that nothing arrives by, and nobody to tell are found.
func TestWaysControl(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		w.want("watch.two-ways", clause.Unknown, "on its way")
		for _, name := range []string{notify.Mail, "folder"} {
			_, err := w.s.TestChannel(w.t.Context(), operator, name)
			must(w.t, err)
		}
		w.send(1)
		w.accepted("folder")
		w.want("watch.two-ways", clause.Pass, "2 ways")
		w.rule("mon.notify/channels", int64(3))
		w.want("watch.two-ways", clause.Fail, "wants 3")
		w.rule("mon.notify/channels", int64(2))
		w.Clock.Advance(8 * 24 * time.Hour)
		w.want("watch.two-ways", clause.Fail, "no test message was taken")
		w.mu.Lock()
		w.people = map[int64][]watch.Person{}
		w.mu.Unlock()
		w.want("watch.two-ways", clause.Fail, "nobody to tell")
		must(w.t, w.s.RemoveChannel(w.t.Context(), operator, "folder"))
		w.want("watch.two-ways", clause.Fail, "1 ways")
		if _, _, err := w.s.AddChannel(w.t.Context(), support, "ops", notify.Webhook, secret.NewText("https://a.example/")); err == nil {
			w.t.Error("support added a channel")
		}
	})
}

// accepted runs the queue until a channel's test was taken.
func (w *world) accepted(name string) {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.jobs.Run(ctx) }()
	defer func() { stop(); <-done }()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		cs, err := w.notify.Channels(w.t.Context())
		must(w.t, err)
		for _, c := range cs {
			if c.Name == name && !c.Accepted.IsZero() {
				return
			}
		}
		w.Clock.Advance(time.Second)
		w.jobs.Nudge()
	}
	w.t.Fatalf("the test of %s was not taken", name)
}

func TestSilenceControl(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		w.want("watch.never-silent", clause.Pass, "were refused")
		if as := w.alarms(""); len(as) != 0 {
			w.t.Errorf("a control left %+v", as)
		}
	})
}

// The gate before rules of one's own refuses what may not watch, and lets through what may.
func TestRuleGateControl(t *testing.T) { // breaks: mon.alarms
	w := lite(t)
	entries := len(w.Recorded())
	w.want("watch.rules-gated", clause.Pass, "were refused")
	if n := len(w.Recorded()); n != entries {
		t.Errorf("a control left %d entries", n-entries)
	}
}

// A signal without a rule, and readings that stop, are found.
func TestSignalsControl(t *testing.T) { // breaks: mon.load
	w := lite(t)
	w.want("watch.signals-read", clause.Unknown, "nothing was read yet")
	must(t, w.s.Sample(t.Context()))
	w.want("watch.signals-read", clause.Pass, "cpu, disk, errors, latency, mem, queue")
	w.Clock.Advance(time.Hour)
	w.want("watch.signals-read", clause.Fail, "nothing is read any more of host")
	w.rule("mon.load/signals", []string{"cpu", "weather"})
	w.want("watch.signals-read", clause.Fail, "no rule watches weather")
}

// Each hour what must be refused of ways is tried, and leaves nothing: no delivery, no entry.
func TestWaysAreGuarded(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		before := len(w.Recorded())
		r := w.run("watch.ways-guarded")
		if r.Outcome != clause.Pass || len(r.Steps) < 14 {
			w.t.Errorf("%+v", r)
		}
		if ds, err := w.notify.Deliveries(w.t.Context(), notify.Query{}); err != nil || len(ds) != 0 || len(w.Recorded()) != before {
			w.t.Errorf("%+v, %v; %d entries", ds, err, len(w.Recorded())-before)
		}
	})
}

// A source that was stopped is missed, and its alarm is taken back.
func TestStoppedSourceIsMissed(t *testing.T) { // breaks: mon.alarms
	w := lite(t)
	if r := w.run("watch.silence-heard"); r.Outcome != clause.Pass || len(r.Steps) != 2 || len(w.alarms("source-silent")) != 0 {
		t.Errorf("%+v", r)
	}
}
