package incident_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

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
		w.tend()
		back(time.Hour) // nothing runs any more
	}, tables...)
}
