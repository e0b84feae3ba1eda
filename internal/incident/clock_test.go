package incident_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/incident"
	"writ/internal/ledger/ledgertest"
)

// A clock that goes back while a deadline runs is an alarm and an entry, once in an hour, also for
// a process that did not see it before; clocks that differ a little, and times in which no
// deadline runs, are nothing.
func TestClockGoesBack(t *testing.T) { // breaks: inc.process
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		var jumped []time.Duration
		start := func() *world {
			return within(t, kit, nil, func(d *incident.Deps) {
				d.Jumped = func(_ context.Context, by time.Duration) error {
					jumped = append(jumped, by)
					return nil
				}
			})
		}
		w := start()
		back := func(d time.Duration, want ...time.Duration) {
			t.Helper()
			jumped = nil
			w.kit.Clock.Advance(-d)
			w.tend()
			w.tend()
			if !slices.Equal(jumped, want) {
				t.Errorf("back by %s: told of %v", d, jumped)
			}
		}
		w.tend()
		back(time.Hour) // nothing runs
		c := w.declared()
		w.tend()
		back(2 * time.Second)
		back(time.Second, 3*time.Second)
		e := w.kit.Recorded("incident.clock-reversed")
		if len(e) != 1 || fmt.Sprint(e[0].Fields["deadlines"]) != "1" {
			t.Errorf("%v", e)
		}
		w.kit.Clock.Advance(11 * time.Second)
		w.tend()
		back(5 * time.Second) // said within the hour
		w.kit.Clock.Advance(2 * time.Hour)
		w.tend()
		w = start()
		back(30*time.Minute, 30*time.Minute)
		w.kit.Clock.Advance(2 * time.Hour)
		w.step("ana", c.Ref(), "acknowledge", "")
		w.ok(w.svc.Categorise(t.Context(), w.as("ana"), c.Ref(), incident.Sorting{Kinds: []string{"other"}, Severity: 4}))
		w.tend()
		back(time.Hour) // nothing runs any more
	}, tables...)
}

// What was taken and not decided in the policy's time is late like what nobody took: everybody who
// may act is told, ten minutes later whoever commands. A decision ends it, and it breaks the clause.
func TestTriageIsLate(t *testing.T) { // breaks: inc.categorise
	w := open(t)
	c := w.declared()
	w.step("dev", c.Ref(), "acknowledge", "")
	w.kit.Clock.Advance(30*time.Minute - time.Second)
	w.tend()
	w.expect("taken-in-time", clause.Pass, "its kind decided within 30 minutes of that")
	if n := w.entries("deadline-lost"); n != 0 {
		t.Errorf("%d entries before it is late", n)
	}
	w.kit.Clock.Advance(time.Second)
	w.tend()
	if got := w.post.to("incident.late"); !slices.Equal(got, []string{"ana", "ben", "dev", "eve"}) {
		t.Errorf("late: %v", got)
	}
	w.kit.Clock.Advance(10 * time.Minute)
	w.tend()
	if got := w.post.to("incident.late"); !slices.Equal(got, []string{"ana", "ben", "dev", "dev", "eve"}) {
		t.Errorf("ten minutes later: %v", got)
	}
	w.expect("taken-in-time", clause.Fail, "I-1 was 10 minutes over its time in L1")
	w.ok(w.svc.Categorise(t.Context(), w.as("dev"), c.Ref(), incident.Sorting{Kinds: []string{"other"}, Severity: 4}))
	w.kit.Clock.Advance(time.Hour)
	w.tend()
	if n := w.entries("deadline-lost"); n != 2 {
		t.Errorf("%d entries once it was decided", n)
	}
	w.setRules(map[string]any{"inc.categorise/triage": 2 * time.Minute})
	w.step("dev", w.declared().Ref(), "acknowledge", "")
	w.kit.Clock.Advance(2 * time.Minute)
	w.tend()
	if n := w.entries("deadline-lost"); n != 3 {
		t.Errorf("a shorter time of the policy is not obeyed: %d", n)
	}
}
