package incident_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/incident"
	"writ/internal/incident/breach"
	"writ/internal/incident/engine"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
)

// boxes is a mail host whose boxes outlive the server that writes to it.
type boxes struct {
	*exposed
	file string
}

func (b boxes) Deliver(_ context.Context, m mail.Message) (mail.Answer, error) {
	f, err := os.OpenFile(b.file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(f, m.To)
		err = errors.Join(err, f.Close())
	}
	return mail.Answer{Code: 250}, err
}

func (b boxes) have() []string {
	text, err := os.ReadFile(b.file)
	if err != nil {
		return nil
	}
	return strings.Fields(string(text))
}

func breachCourse() course {
	return course{folder: ringed, most: 9, want: []string{"[admin-t3@example.test ann@example.test bob@example.test]", "B:B8"}, open: func(t *testing.T, dir, url string, step func(string)) (func(), func() string) {
		kit, point := reached(t, dir, url, step)
		w := with(t, kit, &incident.Seam{Step: point})
		w.led = true
		w.breach.burst(ledgertest.NewClock().Now())
		w.breach.alive = map[string]bool{}
		b := boxes{w.breach, filepath.Join(dir, "boxes")}
		w.svc.Real.Post = b
		return func() { w.leadBreach(b) }, func() string { return w.breachSummary(b) }
	}}
}

// leadBreach leads a breach to its end, going on from wherever it stands.
func (w *world) leadBreach(b boxes) {
	w.t.Helper()
	ctx, start := w.t.Context(), ledgertest.NewClock().Now()
	const ref = "I-1"
	for range 80 {
		all, err := w.svc.List(ctx, w.as("ana"), false)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(all) == 0 {
			w.declared()
			continue
		}
		v := w.show(ref)
		held := func(r engine.Role) bool {
			return slices.ContainsFunc(v.Held, func(h incident.Held) bool { return h.Role == r })
		}
		switch at := v.States[engine.L]; {
		case at == "L0":
			w.step("dev", ref, "acknowledge", "")
			continue
		case !held(engine.Technical):
			w.ok(w.svc.TakeRole(ctx, w.as("dev"), ref, engine.Technical, ""))
			continue
		case !held(engine.Privacy):
			w.ok(w.svc.TakeRole(ctx, w.as("eve"), ref, engine.Privacy, ""))
			continue
		case at == "L1":
			w.ok(w.svc.Categorise(ctx, w.as("dev"), ref, incident.Sorting{Kinds: []string{"breach"}, Severity: 2}))
			continue
		}
		x := w.exposure(ref)
		has := func(kind string) bool {
			return slices.ContainsFunc(x.Papers, func(p incident.Paper) bool { return p.Kind == kind })
		}
		signed := func(object string, by ...string) bool { // signs for the next of them
			names := x.Scope.Signed
			if object != "scope" {
				names = x.Papers[slices.IndexFunc(x.Papers, func(p incident.Paper) bool { return p.Kind == object })].Signed
			}
			for _, p := range by {
				if !slices.Contains(names, "Name of "+p) {
					w.signs(ref, object, p)
					return false
				}
			}
			return true
		}
		letter := func(class breach.Class) bool {
			switch {
			case !has("letter-" + class.String()):
				w.ok(w.svc.WriteLetter(ctx, w.as("eve"), ref, class, incident.LetterText{Subject: "Your data", Body: secondBody}))
			case !has("test-" + class.String()):
				w.ok(w.svc.TestLetter(ctx, w.as("eve"), ref, class, []string{"eve"}))
			default:
				return signed("letter-"+class.String(), "dev", "eve")
			}
			return false
		}
		switch x.Case.States[engine.B] {
		case "B0":
			w.step("eve", ref, "confirm", "")
		case "B1":
			if x.Scope.Version == 0 {
				w.ok(w.svc.FreezeScope(ctx, w.as("eve"), ref, incident.NewScope{Selector: breach.Selector{Principals: []string{"thief"}, From: start.Add(-48 * time.Hour), Until: start}}))
			} else if signed("scope", "dev", "eve") {
				w.step("eve", ref, "scope", "")
			}
		case "B2":
			if !has("risk") {
				w.ok(w.svc.DecideRisk(ctx, w.as("eve"), ref, incident.Risk{Level: "high", Reason: "Contacts can be used to deceive people."}))
			} else if signed("risk", "dev") {
				w.step("eve", ref, "decide-risk", "")
			}
		case "B3":
			if !has("receipt") {
				w.ok(w.svc.FileReceipt(ctx, w.as("eve"), ref, incident.Receipt{Phase: "first", Pack: strings.Repeat("a", 64), Number: "A-17"}))
			} else {
				w.step("eve", ref, "report", "")
			}
		case "B4":
			if letter(breach.Obtained) && letter(breach.Accessed) {
				w.step("eve", ref, "notify", "")
			}
		case "B5":
			w.kit.Clock.Advance(3 * time.Minute) // nobody waits longer to hear of a letter that was being handed over
			w.resumed()
			w.sendAll()
			w.decideUnknown(ref, b)
			if w.free(ref, "told") {
				w.step("eve", ref, "told", "")
			}
		case "B6":
			w.sendAll() // the last report
			w.show(ref)
			switch {
			case !x.Contained:
				w.ok(w.svc.Contain(ctx, w.as("dev"), ref, incident.Cut{Kind: "session", ID: "s1"}))
			case !has("research"):
				w.ok(w.svc.FindOut(ctx, w.as("dev"), ref, incident.Research{Way: "A session was taken over.", First: start.Add(-2 * time.Hour), Last: start, Cause: "A laptop was open.", Unseen: "No alarm looks at nights.", Rule: rule}))
			case signed("research", "dev", "eve"):
				w.step("dev", ref, "research", "")
			}
		case "B7":
			if !has("measure") {
				w.ok(w.svc.Prevent(ctx, w.as("dev"), ref, incident.Measure{What: "Short sessions", Link: "auth.session", Test: "TestSupportEnds", Failed: "run 17: failed", Passes: "run 18: passed"}))
			} else if signed("measure", "dev", "eve") {
				w.step("dev", ref, "prevent", "")
			}
		default:
			if !slices.ContainsFunc(v.Acts, func(a incident.Act) bool { return a.State != "done" }) {
				return
			}
			w.resumed()
		}
	}
	w.stuck()
}

// free reports whether nothing keeps a step.
func (w *world) free(ref, event string) bool {
	for _, st := range w.show(ref).Stands {
		for _, way := range st.Ways {
			if way.Step.Event == event {
				return len(way.Unmet) == 0
			}
		}
	}
	return false
}

// decideUnknown is a person who looks at the mail host for what nobody knows of.
func (w *world) decideUnknown(ref string, b boxes) {
	w.t.Helper()
	rows, err := w.svc.LetterRows(w.t.Context(), w.as("eve"), ref, "", "unknown")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range rows {
		w.ok(w.svc.DecideLetter(w.t.Context(), w.as("eve"), ref, r.ID, !slices.Contains(b.have(), r.Email), "looked into the mail host"))
	}
}

// breachSummary is what stands at the end, without ids and times, and without how often
// somebody looked.
func (w *world) breachSummary(b boxes) string {
	w.t.Helper()
	x := w.exposure("I-1")
	boxes := b.have()
	slices.Sort(boxes)
	out := []string{fmt.Sprint(x.Case.States, x.Scope.Hash, x.Scope.Counts, x.Contained, x.Lifted.IsZero(), x.Letters["accepted"]+x.Letters["told"]), fmt.Sprint(boxes)}
	return strings.Join(out, "\n") + "\n" + w.named([]string{"deadline-lost", "breach-seen", "letter-followed", "clock-told"}, "to", "kind", "object")
}

// Killed again and again, at every point of every step, a breach ends as if nothing had
// happened: the same set, each step and paper once, and one letter in each box.
func TestBreachSurvivesKills(t *testing.T) { survives(t, "breach") } // breaks: inc.breach-notify, inc.breach-scope
