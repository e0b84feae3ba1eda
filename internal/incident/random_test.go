package incident_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger"
)

// ticks are the deadlines as they stand, by their id.
func (w *world) ticks() map[string][4]int64 {
	w.t.Helper()
	out := map[string][4]int64{}
	if err := w.kit.DB.Each(w.t.Context(), `SELECT id, started, due, COALESCE(ended, 0), COALESCE(missed, 0) FROM incident_clock`, func(scan ledger.Scan) error {
		var id string
		var k [4]int64
		err := scan(&id, &k[0], &k[1], &k[2], &k[3])
		out[id] = k
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// randomly does one thing that somebody may want, with some incident; most are refused.
func (w *world) randomly(r *rand.Rand, refs []string) error {
	who := []string{"dev", "dev", "dev", "ana", "ben", "eve"}[r.IntN(6)]
	ref, other := refs[r.IntN(len(refs))], refs[r.IntN(len(refs))]
	var err error
	switch r.IntN(13) {
	case 0, 1, 2, 3:
		m, _ := engine.Of(engine.L)
		event := append(m.Events(), "impact-over")[r.IntN(len(m.Events())+1)]
		if ways := m.From(w.show(ref).States[engine.L]); r.IntN(3) > 0 && len(ways) > 0 { // one that is there
			event = ways[r.IntN(len(ways))].Event
		}
		if event == "cancel" && r.IntN(4) > 0 {
			event = "impact-over"
		}
		_, err = w.svc.Take(w.t.Context(), w.as(who), ref, incident.Step{Event: event, Reason: "at random"})
	case 4, 12:
		_, err = w.svc.Categorise(w.t.Context(), w.as(who), ref, incident.Sorting{Kinds: []string{"usability"}, Severity: r.IntN(4) + 1})
	case 5:
		_, err = w.svc.TakeRole(w.t.Context(), w.as(who), ref, engine.Roles()[r.IntN(3)], "")
	case 6:
		_, err = w.svc.Update(w.t.Context(), w.as(who), ref, w.update(status.Words()[r.IntN(len(status.Words()))]), 0)
	case 7:
		in := incident.NewFix{Event: []string{"propose", "approve-fix", "deploy", "plan"}[r.IntN(4)], What: "Turn it off and on", Owner: "eve", Ends: w.kit.Clock.Now().Add(48 * time.Hour)}
		_, err = w.svc.Mend(w.t.Context(), w.as(who), ref, in)
	case 8:
		if r.IntN(2) > 0 {
			return nil
		}
		_, err = w.svc.Join(w.t.Context(), w.as(who), ref, other, "the same thing")
	case 9:
		if told := w.show(ref).Told; len(told) > 0 {
			_, err = w.svc.Split(w.t.Context(), w.as(who), ref, told[r.IntN(len(told))].ID, "another thing")
		}
	case 10:
		_, err = w.svc.Write(w.t.Context(), w.as(who), ref, "seen at random", "")
	default:
		w.kit.Clock.Advance(time.Duration(r.IntN(20)) * time.Minute)
		err = w.svc.Tend(w.t.Context())
	}
	if errors.Is(err, fault.Conflict) || errors.Is(err, fault.Denied) || errors.Is(err, fault.NotFound) || errors.Is(err, fault.Invalid) {
		return nil
	}
	return err
}

// Whatever people do, in whatever order: the record is one that the tables allow, with the kind
// first; joining and splitting lose no signal, no note and no entry; and a deadline once begun is
// never moved, and what it has missed or ended stays so.
func TestRandomCourses(t *testing.T) { // breaks: inc.process, inc.categorise
	w := open(t)
	file := "id,title,category\n"
	for i := range 6 {
		file += fmt.Sprintf("%d,Sign-in is slow,usability\n", i)
	}
	if _, err := w.bring(file, false); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	before, entries, notes := w.ticks(), 0, int64(6)
	for n := range 500 {
		var refs []string
		cs, err := w.svc.List(t.Context(), w.as("ana"), true)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cs {
			refs = append(refs, c.Ref())
		}
		for len(refs) < 4 {
			refs = append(refs, w.declared().Ref())
		}
		slices.Sort(refs)
		if err := w.randomly(r, refs); err != nil {
			t.Fatalf("act %d: %v", n, err)
		}
		now := w.ticks()
		for id, k := range before {
			got, ok := now[id]
			if !ok || got[0] != k[0] || got[1] != k[1] || k[2] != 0 && got[2] != k[2] || k[3] != 0 && got[3] != k[3] || got[0] > got[1] {
				t.Fatalf("act %d: the deadline %v is now %v", n, k, got)
			}
		}
		before = now
		if all := w.count(`SELECT COUNT(*) FROM incident_signal s JOIN incident_case c ON c.id = s.case_id`); all != 6 {
			t.Fatalf("act %d: %d of 6 signals", n, all)
		}
		if n%20 > 0 {
			continue
		}
		all, written := len(w.kit.Recorded()), w.count(`SELECT COUNT(*) FROM incident_note`)
		if all < entries || written < notes {
			t.Fatalf("act %d: %d entries were %d, %d notes were %d", n, all, entries, written, notes)
		}
		entries, notes = all, written
	}
	if moved := w.entries("step-done"); moved < 30 || w.entries("joined") < 1 || w.entries("signal-moved") < 1 || w.entries("step-refused") < 60 {
		t.Errorf("%d steps, %d refusals, %d joined, %d split: it is one-sided", moved, w.entries("step-refused"), w.entries("joined"), w.entries("signal-moved"))
	}
	w.numbered()
	w.kit.Clock.Advance(2 * time.Minute)
	w.expect("process-order", clause.Pass, "")
	w.expect("kind-first", clause.Pass, "")
}
