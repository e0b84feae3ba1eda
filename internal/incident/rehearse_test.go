package incident_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger/ledgertest"
)

// yesterday is an incident that was led to its end in two hours, with a note an hour after it began.
func (w *world) yesterday() incident.Case {
	w.t.Helper()
	part := w.component("Sign-in", "")
	c, _, err := w.svc.Declare(w.t.Context(), w.as("ana"), incident.Signal{Title: "Nobody can sign in", Component: part.ID, Onset: w.kit.Clock.Now().Add(-30 * time.Minute)})
	w.ok(c, err)
	w.kit.Clock.Advance(10 * time.Minute)
	w.step("dev", c.Ref(), "acknowledge", "")
	for _, r := range []engine.Role{engine.Communications, engine.Technical} {
		w.ok(w.svc.TakeRole(w.t.Context(), w.as("dev"), c.Ref(), r, ""))
	}
	w.ok(w.svc.Categorise(w.t.Context(), w.as("dev"), c.Ref(), incident.Sorting{Kinds: []string{"usability"}, Severity: 3}))
	w.kit.Clock.Advance(50 * time.Minute)
	w.ok(w.svc.Write(w.t.Context(), w.as("dev"), c.Ref(), "The certificate has ended.", ""))
	w.resolved(c)
	w.worked()
	w.tend()
	w.ok(w.svc.Learn(w.t.Context(), w.as("dev"), c.Ref(), w.review()))
	w.ok(w.svc.Approve(w.t.Context(), w.as("ana"), c.Ref(), "review", ""))
	out := w.step("dev", c.Ref(), "close", "")
	w.numbered()
	return out
}

func compared(all []incident.Compared, step string) incident.Compared {
	i := slices.IndexFunc(all, func(x incident.Compared) bool { return x.Step == step })
	if i < 0 {
		return incident.Compared{Then: -2, Now: -2}
	}
	return all[i]
}

// A past incident is played again: with its first signal, its part, how long it had gone on and its
// severity; what was known then becomes known again, so many times as fast; at the end each step
// stands beside that of then. The incident itself is not touched.
func TestRehearseYesterday(t *testing.T) { // breaks: inc.prepared
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		ctx := t.Context()
		was := w.yesterday()
		before := w.show(was.Ref())
		told := len(w.post.to("incident.affected")) + len(w.post.to("incident.declared"))
		kit.Clock.Advance(24 * time.Hour)
		c, err := w.svc.Drill(ctx, w.as("dev"), incident.NewDrill{From: was.Ref(), Speed: 20})
		w.ok(c, err)
		if !c.Drill || c.Title != "Drill of I-1: Nobody can sign in" || c.Component != was.Component || c.Declared.Sub(c.OnsetFrom) != 30*time.Minute {
			t.Errorf("%+v", c)
		}
		if es := kit.Recorded("incident.rehearsal-begun"); len(es) != 1 || !strings.Contains(es[0].Body, was.ID) {
			t.Errorf("recorded %+v", es)
		}
		known := func() (says []string, more int) {
			t.Helper()
			v := w.show(c.Ref())
			if v.Past == nil || v.Past.Of != "I-1" || v.Past.Speed != 20 {
				t.Fatalf("%+v", v.Past)
			}
			for _, f := range v.Past.Known {
				says = append(says, f.Says)
			}
			return says, v.Past.More
		}
		if says, more := known(); !slices.Equal(says, []string{"Nobody can sign in"}) || more != 4 {
			t.Errorf("at first %q, and %d more", says, more)
		}
		if v := w.show(c.Ref()); v.Past.Next != 3*time.Minute {
			t.Errorf("the next in %s", v.Past.Next)
		}
		kit.Clock.Advance(3 * time.Minute)
		if says, _ := known(); len(says) < 2 || !slices.Contains(says, "The certificate has ended.") {
			t.Errorf("an hour of then later: %q", says)
		}
		w.step("dev", c.Ref(), "acknowledge", "")
		for _, r := range []engine.Role{engine.Communications, engine.Technical} {
			w.ok(w.svc.TakeRole(ctx, w.as("dev"), c.Ref(), r, ""))
		}
		w.ok(w.svc.Categorise(ctx, w.as("dev"), c.Ref(), incident.Sorting{Kinds: []string{"usability"}, Severity: 3}))
		w.fixed(c.Ref())
		w.step("dev", c.Ref(), "mitigate", "")
		kit.Clock.Advance(incident.Soak)
		w.step("dev", c.Ref(), "resolve", "")
		w.worked()
		w.tend()
		w.ok(w.svc.Learn(ctx, w.as("dev"), c.Ref(), w.review()))
		w.ok(w.svc.Approve(ctx, w.as("ana"), c.Ref(), "review", ""))
		w.step("dev", c.Ref(), "close", "")
		w.tend()
		if w.entries("drill-scored") != 0 {
			t.Error("it is compared before the journal has its end")
		}
		w.numbered()
		w.tend()
		scores, err := w.svc.Scores(ctx, w.as("ana"))
		if err != nil || len(scores) != 1 || scores[0].Of != "I-1" || scores[0].Speed != 20 || scores[0].Kind != "outage" || !scores[0].Passed {
			t.Fatalf("%+v %v", scores, err)
		}
		all := scores[0].Compared
		m, _ := engine.Of(engine.L)
		in := func(id string) string { st, _ := m.State(id); return m.Name + ": " + st.Name }
		if x := compared(all, in("L1")); x.Then != 600 || x.Now != 180 {
			t.Errorf("taken: %+v of %+v", x, all)
		}
		if x := compared(all, in("L3")); x.Then != 3600 || x.Now != 180 {
			t.Errorf("mitigated: %+v of %+v", x, all)
		}
		if x := compared(all, in("L6")); x.Then < 3600 || x.Now < 180 {
			t.Errorf("closed: %+v of %+v", x, all)
		}
		if !slices.ContainsFunc(all, func(x incident.Compared) bool { return x.Then >= 0 && x.Now == -1 }) { // what the public was told
			t.Errorf("no step is missing: %+v", all)
		}
		if v := w.show(c.Ref()); len(v.Past.Compared) != len(all) || v.Past.More != 0 {
			t.Errorf("%+v", v.Past)
		}
		es := kit.Recorded("incident.rehearsal-compared")
		if len(es) != 1 || !strings.Contains(es[0].Body, "600 180 "+in("L1")) {
			t.Errorf("recorded %+v", es)
		}
		after := w.show(was.Ref())
		if after.Version != before.Version || len(after.Notes) != len(before.Notes) || len(after.Posts) != len(before.Posts) || len(w.post.to("incident.affected"))+len(w.post.to("incident.declared")) != told {
			t.Error("the drill has touched what was")
		}
	}, tables...)
}

// The server plays it by the script of its kind, and has all that was known at once.
func TestRehearsalIsPlayed(t *testing.T) { // breaks: inc.prepared
	w := open(t)
	was := w.yesterday()
	c, err := w.svc.Drill(t.Context(), operator, incident.NewDrill{From: was.Ref(), Play: true})
	w.ok(c, err)
	if v := w.show(c.Ref()); v.Past.More != 0 || v.Past.Speed != 10 || len(v.Past.Known) < 4 {
		t.Errorf("%+v", v.Past)
	}
	for w.show(c.Ref()).Open() {
		p, err := w.svc.Play(t.Context(), operator, c.Ref())
		if err != nil {
			t.Fatal(err)
		}
		if p.Says == "" {
			w.worked()
			w.tend()
		}
	}
	w.numbered()
	w.tend()
	if v := w.show(c.Ref()); v.Severity != 3 || v.Practice == nil || len(v.Past.Compared) == 0 {
		t.Errorf("severity %d, %+v", v.Severity, v.Practice)
	}
}

// What cannot be played again is refused in words, by who may not act too.
func TestNoRehearsal(t *testing.T) { // breaks: inc.prepared
	w := open(t)
	was := w.yesterday()
	for what, x := range map[string]struct {
		who  actor.Actor
		in   incident.NewDrill
		code string
	}{
		"an auditor":   {w.as("fay"), incident.NewDrill{From: "I-1"}, ""},
		"none such":    {w.as("dev"), incident.NewDrill{From: "I-9"}, "incident_unknown"},
		"another kind": {w.as("dev"), incident.NewDrill{From: "I-1", Kind: "breach"}, "drill_kind"},
		"backwards":    {w.as("dev"), incident.NewDrill{From: "I-1", Speed: -1}, "drill_speed"},
		"too fast":     {w.as("dev"), incident.NewDrill{From: "I-1", Speed: 101}, "drill_speed"},
	} {
		_, err := w.svc.Drill(t.Context(), x.who, x.in)
		if code, _ := fault.PublicOf(err); err == nil || x.code != "" && code != x.code {
			t.Errorf("%s: %v", what, err)
		}
	}
	d, err := w.svc.Drill(t.Context(), w.as("dev"), incident.NewDrill{From: was.Ref()})
	w.ok(d, err)
	if _, err := w.svc.Drill(t.Context(), w.as("dev"), incident.NewDrill{From: d.Ref()}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a drill of a drill: %v", err)
	}
	w.step("dev", d.Ref(), "cancel", "it was a test")
	open := w.active()
	_, err = w.svc.Drill(t.Context(), w.as("dev"), incident.NewDrill{From: open.Ref()})
	if code, _ := fault.PublicOf(err); fault.KindOf(err) != fault.Conflict || code != "drill_from" {
		t.Errorf("one that is open: %v", err)
	}
	w.says(open.Ref(), status.Investigating)
}
