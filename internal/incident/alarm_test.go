package incident_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/journal"
	"writ/internal/ledger/ledgertest"
)

// alarms are those of whoever watches, and what they were told to be.
type alarms struct {
	mu     sync.Mutex
	known  map[string]incident.Alarm
	judged map[string]string
	down   bool
}

func (a *alarms) Alarm(_ context.Context, id string) (incident.Alarm, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x, ok := a.known[id]
	if !ok {
		return x, fault.Newf(fault.NotFound, "alarm_unknown", "There is no such alarm.")
	}
	return x, nil
}

func (a *alarms) False(_ context.Context, id, why string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return fault.Newf(fault.Unavailable, "down", "Not now.")
	}
	a.judged[id] += why
	return nil
}

func (a *alarms) said() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.judged)
}

// alarmed is a world in which alarms are heard.
func alarmed(t *testing.T, kit *ledgertest.Kit) (*world, *alarms) {
	w := with(t, kit, nil)
	a := &alarms{known: map[string]incident.Alarm{}, judged: map[string]string{}}
	w.svc.Alarms = a
	return w, a
}

// fires is the entry of an alarm that pages and suggests a kind.
func (w *world) fires(a *alarms, id, kind string) journal.Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[id] = incident.Alarm{ID: id, Rule: "errors-burn", Part: "service", Severity: "page", Title: "Many requests fail", Kind: kind}
	return w.heard("watch.alarm-opened", "alarm", id)
}

func (w *world) heard(stream, name, value string) journal.Entry {
	return journal.Entry{ID: "e-" + value, Stream: stream, Happened: w.kit.Clock.Now(), Fields: []journal.Field{{Name: name, State: journal.Public, Value: value}, {Name: "level", State: journal.Public, Value: int64(120)}}}
}

// hears gives entries to the follower.
func (w *world) hears(es ...journal.Entry) {
	w.t.Helper()
	if err := w.svc.Follow(w.t.Context(), es); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open() []incident.Case {
	w.t.Helper()
	cs, err := w.svc.List(w.t.Context(), w.as("ana"), true)
	if err != nil {
		w.t.Fatal(err)
	}
	return cs
}

// An alarm that pages begins one incident, which names it; the next of its kind within two
// hours belongs to it, a flood is one incident and one letter each, another kind is another
// one, and what was heard before a restart begins nothing again.
func TestAlarmsBeginIncidents(t *testing.T) { // breaks: inc.categorise
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w, a := alarmed(t, kit)
		first := w.fires(a, "a1", "usability")
		w.hears(first)
		cs := w.open()
		if len(cs) != 1 || cs[0].Source != "alarm" || cs[0].Title != "Many requests fail" || cs[0].States[engine.L] != "L0" {
			t.Fatalf("incidents: %+v", cs)
		}
		if to := w.post.to("incident.declared"); len(to) != 4 {
			t.Errorf("letters to %v", to)
		}
		v := w.show(cs[0].Ref())
		if len(v.Told) != 1 || v.Told[0].ID != "alarm/a1" || len(v.Suggests) != 1 || v.Suggests[0] != "usability" {
			t.Errorf("told by %+v, suggests %v", v.Told, v.Suggests)
		}
		of, err := w.svc.OfSignal(t.Context(), w.as("fay"), "alarm/a1")
		if err != nil || len(of) != 1 || of[0].ID != cs[0].ID {
			t.Errorf("the incident of the alarm: %v %v", of, err)
		}
		w.hears(first) // the process died before its cursor was saved
		var flood []journal.Entry
		for i := range 256 {
			flood = append(flood, w.fires(a, fmt.Sprintf("f%d", i), "usability"))
		}
		w.hears(flood...)
		w.hears(flood...)
		if n, letters := len(w.open()), len(w.post.to("incident.declared")); n != 1 || letters != 4 || len(w.show("I-1").Told) != 257 {
			t.Errorf("a flood: %d incidents, %d letters, told by %d", n, letters, len(w.show("I-1").Told))
		}
		w.hears(w.fires(a, "b1", "breach"))
		if n := len(w.open()); n != 2 {
			t.Errorf("another kind: %d incidents", n)
		}
		w.step("dev", "I-1", "acknowledge", "")
		w.ok(w.svc.Categorise(t.Context(), w.as("dev"), "I-1", incident.Sorting{Kinds: []string{"data-loss"}, Severity: 2}))
		w.hears(w.fires(a, "d1", "data-loss"))
		if n := len(w.open()); n != 2 || len(w.show("I-1").Told) != 258 {
			t.Errorf("what was decided to be of that kind: %d incidents", n)
		}
		w.hears(w.fires(a, "u1", "usability"))
		if n := len(w.open()); n != 3 {
			t.Errorf("an alarm joined what was decided to be something else: %d incidents", n)
		}
		kit.Clock.Advance(2*time.Hour + time.Minute)
		w.hears(w.fires(a, "b2", "breach"))
		if n := len(w.open()); n != 4 {
			t.Errorf("after two hours: %d incidents", n)
		}
	}, tables...)
}

// Tests, alarms that do not page, those that were over long ago and those that are gone begin
// nothing; what the policy names does, by its rule or its part; spending is a thing to decide.
func TestWhichAlarmsBegin(t *testing.T) { // breaks: inc.categorise, mon.budget-is-signal
	w, a := alarmed(t, ledgertest.Open(t, tables...))
	put := func(id string, change func(*incident.Alarm)) journal.Entry {
		e := w.fires(a, id, "usability")
		x := a.known[id]
		change(&x)
		a.known[id] = x
		return e
	}
	old := put("old", func(x *incident.Alarm) { x.Over = true })
	old.Happened = old.Happened.Add(-time.Hour)
	w.hears(put("test", func(x *incident.Alarm) { x.Test = true }), put("ticket", func(x *incident.Alarm) { x.Severity = "ticket" }), old,
		w.heard("watch.alarm-opened", "alarm", "gone"), w.heard("watch.alarm-closed", "alarm", "test"))
	if cs := w.open(); len(cs) != 0 {
		t.Fatalf("begun: %+v", cs)
	}
	w.setRules(map[string]any{"inc.categorise/alarms": []string{"page", "disk-full-soon", "trust"}})
	w.hears(put("r", func(x *incident.Alarm) { x.Severity, x.Rule, x.Kind = "ticket", "disk-full-soon", "other" }),
		put("p", func(x *incident.Alarm) { x.Severity, x.Part, x.Kind = "ticket", "trust", "breach" }), put("t", func(x *incident.Alarm) { x.Severity, x.Rule = "ticket", "mem-high" }))
	if cs := w.open(); len(cs) != 2 {
		t.Fatalf("named by the policy: %+v", cs)
	}
	spent := w.heard("watch.budget-crossed", "budget", "requests")
	w.hears(spent)
	w.hears(spent)
	cs := w.open()
	if len(cs) != 3 || cs[0].Source != "spending" || cs[0].Title != "Spending: requests is at 120 % of its plan" {
		t.Errorf("spending: %+v", cs)
	}
	ahead := w.heard("watch.budget-crossed", "budget", "mails")
	ahead.Fields[1].Value = "forecast"
	quiet := w.heard("watch.budget-crossed", "budget", "cloud")
	quiet.Fields = append(quiet.Fields, journal.Field{Name: "route", State: journal.Public, Value: "notice-only"})
	w.hears(ahead, quiet)
	if cs := w.open(); len(cs) != 3 {
		t.Errorf("spending ahead joins the other, and what the policy has noticed only begins nothing: %+v", cs)
	}
	for e, want := range map[*journal.Entry]bool{&ahead: true, &quiet: false} {
		if got, err := w.svc.Begins(t.Context(), e); err != nil || got != want {
			t.Errorf("%s begins: %v %v", e.ID, got, err)
		}
	}
	// An alarm that has stood for years, and one of a clock that is ahead, are taken in all the same.
	years, later := w.fires(a, "years", "third-party"), w.fires(a, "ahead", "vulnerability")
	years.Happened, later.Happened = years.Happened.AddDate(-3, 0, 0), later.Happened.Add(time.Hour)
	w.hears(years, later)
	if cs := w.open(); len(cs) != 5 {
		t.Errorf("odd clocks: %d", len(cs))
	}
}

// Whoever cancels an incident says of its alarms that they were false: once, also when whoever
// watches cannot be reached at first. One that was joined or split off is no false alarm.
func TestCancelledAlarmsWereFalse(t *testing.T) { // breaks: inc.categorise
	w, a := alarmed(t, ledgertest.Open(t, tables...))
	w.hears(w.fires(a, "a1", "usability"), w.fires(a, "a2", "usability"), w.fires(a, "a3", "usability"))
	w.hears(w.fires(a, "b1", "breach"))
	if _, err := w.svc.Split(t.Context(), w.as("dev"), "I-2", "alarm/b1", "another matter"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("split off all there is: %v", err)
	}
	if _, err := w.svc.Split(t.Context(), w.as("fay"), "I-1", "alarm/a3", "another matter"); fault.KindOf(err) != fault.Denied {
		t.Errorf("an auditor splits: %v", err)
	}
	if _, err := w.svc.Split(t.Context(), w.as("dev"), "I-1", "alarm/a3", ""); fault.KindOf(err) != fault.Invalid {
		t.Errorf("split without a reason: %v", err)
	}
	own := w.ok(w.svc.Split(t.Context(), w.as("dev"), "I-1", "alarm/a3", "another matter"))
	if own.Ref() != "I-3" || own.Source != "alarm" || len(w.show("I-1").Told) != 2 || len(w.show("I-3").Told) != 1 {
		t.Errorf("split: %+v", own)
	}
	w.ok(w.svc.Join(t.Context(), w.as("dev"), "I-2", "I-3", "the same"))
	w.tend()
	if n := a.said(); n != 0 || len(w.show("I-3").Told) != 2 {
		t.Errorf("joined: %d judged, I-3 told by %d", n, len(w.show("I-3").Told))
	}
	w.step("dev", "I-1", "cancel", "nothing was wrong")
	a.down = true
	if err := w.svc.Tend(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("whoever watches is away: %v", err)
	}
	a.down = false
	w.tend()
	w.tend()
	if len(a.judged) != 2 || a.judged["a1"] != "I-1 was cancelled" || !strings.HasPrefix(a.judged["a2"], "I-1") || w.entries("signal-judged") != 2 {
		t.Errorf("judged: %v, %d entries", a.judged, w.entries("signal-judged"))
	}
	w.hears(w.fires(a, "a4", "other"))
	if cs := w.open(); cs[0].Ref() != "I-4" {
		t.Errorf("after a cancelled one: %+v", cs)
	}
}
