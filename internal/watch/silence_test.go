package watch_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/mail"
	"writ/internal/watch"
)

var other = actor.Actor{Kind: actor.Person, ID: "ana", Team: "staff", TeamKind: "staff", Roles: []string{"engineer"}, Session: "s", ACR: 2, FactorAt: engineer.FactorAt, Via: "https"}

func matchers(t *testing.T, texts ...string) (out []watch.Matcher) {
	t.Helper()
	for _, x := range texts {
		m, err := watch.ParseMatcher(x)
		must(t, err)
		out = append(out, m)
	}
	return out
}

// A wide or a long silence holds when a second person has said so, and not before; whoever made it
// is not a second one.
func TestSilenceNeedsASecond(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		ask := func(needs string, ends time.Time, ms ...string) watch.Silence {
			w.t.Helper()
			x, err := w.s.Silence(w.t.Context(), engineer, matchers(w.t, ms...), "the machine is taken apart", ends)
			if err != nil || x.Needs != needs {
				w.t.Fatalf("%v: %+v, %v", ms, x, err)
			}
			return x
		}
		soon := w.Clock.Now().Add(3 * time.Hour)
		ask("", soon, "alertname=cpu-high")
		ask(watch.Wide, soon, "part=~load|service|abuse", "alertname!=oom-kill")
		x := ask(watch.Long, w.Clock.Now().Add(48*time.Hour), "alertname=oom-kill")
		w.judge("host.oom", "", 1)
		w.on(0)
		a := w.alarm("oom-kill", watch.Firing)
		if n := w.queued(a.ID); n["mail"] != 1 {
			w.t.Errorf("told %v while nobody has approved", n)
		}
		for code, who := range map[string]actor.Actor{"own_silence": engineer, "person_needed": operator} {
			if err := w.s.ApproveSilence(w.t.Context(), who, x.ID); codeOf(err) != code {
				w.t.Errorf("%s: %v", code, err)
			}
		}
		if n := len(w.Recorded("watch.silence-refused")); n != 2 {
			w.t.Errorf("%d of 2 refusals are recorded", n)
		}
		must(w.t, w.s.ApproveSilence(w.t.Context(), other, x.ID))
		if err := w.s.ApproveSilence(w.t.Context(), other, x.ID); codeOf(err) != "silence_state" {
			w.t.Errorf("approved twice: %v", err)
		}
		w.on(5 * time.Minute)
		if n := w.queued(a.ID); n["mail"] != 1 {
			w.t.Errorf("told %v in the silence", n)
		}
		k, err := w.s.SilenceOf(w.t.Context(), support, x.ID)
		if err == nil {
			w.t.Errorf("support sees it: %+v", k)
		}
		k, err = w.s.SilenceOf(w.t.Context(), engineer, x.ID)
		if err != nil || len(k.Alarms) != 1 || k.Alarms[0].ID != a.ID || k.Hid != 1 || k.ApprovedBy != "person/ana" {
			w.t.Errorf("%+v: %v", k, err)
		}
	})
}

// An edit is a new version; the one before ends when the new one holds.
func TestSilenceVersions(t *testing.T) {
	both(t, func(w *world) {
		first, err := w.s.Silence(w.t.Context(), engineer, matchers(w.t, "alertname=oom-kill"), "the machine is taken apart", w.Clock.Now().Add(time.Hour))
		must(w.t, err)
		w.Clock.Advance(time.Minute)
		long, err := w.s.EditSilence(w.t.Context(), engineer, first.ID, matchers(w.t, "alertname=oom-kill"), "it takes longer than that", w.Clock.Now().Add(72*time.Hour))
		must(w.t, err)
		k, err := w.s.SilenceOf(w.t.Context(), engineer, first.ID)
		if err != nil || !k.Ends.After(w.Clock.Now()) || len(k.Versions) != 2 {
			w.t.Errorf("before it is approved: %+v, %v", k, err)
		}
		must(w.t, w.s.ApproveSilence(w.t.Context(), other, long.ID))
		k, err = w.s.SilenceOf(w.t.Context(), engineer, long.ID)
		if err != nil || k.Version != 2 || len(k.Versions) != 2 || k.Versions[0].ID != first.ID || k.Versions[0].Ends.After(w.Clock.Now()) {
			w.t.Errorf("after: %+v, %v", k, err)
		}
		if _, err := w.s.EditSilence(w.t.Context(), engineer, first.ID, matchers(w.t, "alertname=oom-kill"), "it takes longer than that", time.Time{}); codeOf(err) != "silence_unknown" {
			w.t.Errorf("one that is over was edited: %v", err)
		}
	})
}

// Whoever made a silence is told an hour before its end, once; what fires then says that it ended.
func TestSilenceEnds(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		x, err := w.s.Silence(w.t.Context(), engineer, matchers(w.t, "alertname=oom-kill"), "the machine is taken apart", w.Clock.Now().Add(2*time.Hour))
		must(w.t, err)
		short, err := w.s.Silence(w.t.Context(), engineer, matchers(w.t, "alertname=cpu-high"), "the machine is taken apart", w.Clock.Now().Add(time.Hour))
		must(w.t, err)
		about := func(id string) int {
			ds, err := w.notify.Deliveries(w.t.Context(), deliveriesAbout("silence/"+id))
			must(w.t, err)
			return len(ds)
		}
		w.judge("host.oom", "", 1)
		w.on(59*time.Minute + 59*time.Second)
		if about(x.ID) != 0 {
			w.t.Error("told more than an hour before its end")
		}
		w.on(time.Second)
		w.on(time.Second)
		if about(x.ID) != 1 || about(short.ID) != 0 {
			w.t.Errorf("%d letters an hour before, %d about one that lasts an hour", about(x.ID), about(short.ID))
		}
		w.on(time.Hour)
		ls := w.send(2)
		if i := slices.IndexFunc(ls, func(m mail.Message) bool {
			return strings.HasSuffix(m.Subject, "(silence ended)") && strings.Contains(m.Text, "A silence has ended")
		}); i < 0 {
			w.t.Errorf("%+v", ls)
		}
		w.on(5 * time.Minute) // told again: that is no news any more
		if ls := w.send(4); strings.Contains(ls[3].Subject, "silence ended") {
			w.t.Errorf("%s", ls[3].Subject)
		}
	})
}

// While a silence runs that a second person had to approve, the clause says so; a short one, or one
// that waits, changes nothing.
func TestSilenceIsADeviation(t *testing.T) { // breaks: mon.notify
	w := lite(t)
	is := func(want clause.Outcome, says string) {
		t.Helper()
		if r := w.run("watch.silences-short"); r.Outcome != want || !strings.Contains(r.Summary, says) {
			t.Errorf("%+v, want %s, %s", r, want, says)
		}
	}
	_, err := w.s.Silence(t.Context(), engineer, matchers(t, "alertname=mem-high"), "the machine is taken apart", time.Time{})
	must(t, err)
	x, err := w.s.Silence(t.Context(), engineer, matchers(t, "alertname=oom-kill"), "the machine is taken apart", w.Clock.Now().Add(48*time.Hour))
	must(t, err)
	is(clause.Pass, "no silence")
	must(t, w.s.ApproveSilence(t.Context(), other, x.ID))
	is(clause.Excepted, "alertname=oom-kill (rules of mon.load) until 2026-")
	is(clause.Excepted, "asked for by person/eli, approved by person/ana, silence/"+x.ID)
	w.Clock.Advance(49 * time.Hour)
	is(clause.Pass, "no silence")
}

// A silence belongs to a clause or an incident that is there, and to nothing else; an edit that
// names none keeps it.
func TestSilenceBelongsToSomething(t *testing.T) { // breaks: mon.notify
	w := lite(t)
	w.linked = "incident/I-3"
	w.again()
	wish := watch.Wish{Matchers: matchers(t, "alertname=oom-kill"), Reason: "the machine is taken apart"}
	for _, wish.Link = range []string{"clause/nothing", "incident/", "person/ana", "I-3"} {
		if _, err := w.s.MakeSilence(t.Context(), engineer, wish); codeOf(err) != "watch_link" {
			t.Errorf("%s: %v", wish.Link, err)
		}
	}
	if n := len(w.Recorded("watch.silence-refused")); n != 4 {
		t.Errorf("%d of 4 refusals are recorded", n)
	}
	wish.Link = "incident/I-3"
	x, err := w.s.MakeSilence(t.Context(), engineer, wish)
	must(t, err)
	wish.Link, wish.Former = "", x.ID
	y, err := w.s.MakeSilence(t.Context(), engineer, wish)
	must(t, err)
	if k, err := w.s.SilenceOf(t.Context(), engineer, y.ID); err != nil || k.Link != "incident/I-3" {
		t.Errorf("%+v, %v", k, err)
	}
}

// What a silence kept quiet can be seen 400 days later.
func TestSilenceIsKept(t *testing.T) {
	w := lite(t)
	x, err := w.s.Silence(t.Context(), engineer, matchers(t, "alertname=oom-kill"), "the machine is taken apart", time.Time{})
	must(t, err)
	w.judge("host.oom", "", 1)
	w.on(time.Minute)
	a := w.alarm("oom-kill", watch.Firing)
	must(t, w.s.Close(t.Context(), engineer, a.ID, watch.VerdictBenign, ""))
	w.Clock.Advance(400 * 24 * time.Hour)
	must(t, w.s.Sample(t.Context()))
	if k, err := w.s.SilenceOf(t.Context(), operator, x.ID); err != nil || k.Hid != 1 || len(k.Alarms) != 1 || k.Alarms[0].ID != a.ID {
		t.Errorf("%+v, %v", k, err)
	}
}
