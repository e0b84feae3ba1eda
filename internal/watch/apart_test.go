package watch_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"writ/internal/journal"
)

// A rule counts a thousand apart, and those who come after them together, whichever process
// looks; a window later there is room again.
func TestOneOfAThousand(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		refused := func(from, until int) (es []journal.Entry) {
			for i := from; i < until; i++ {
				es = append(es, entry("identity.sign-in-refused", fmt.Sprintf("s:%d", i)))
			}
			return es
		}
		instances := func() (out []string) {
			for _, a := range w.alarms("signin-failures-network") {
				out = append(out, a.Labels["instance"])
			}
			slices.Sort(out)
			return out
		}
		w.follow(refused(0, 1000)...)
		w.again()
		w.follow(refused(1000, 1029)...)
		w.follow(many(29, entry("identity.sign-in-refused", "s:7"))...)
		if got := instances(); !slices.Equal(got, []string{"s:7"}) {
			w.t.Fatalf("%v, want the one of whom there were thirty", got)
		}
		w.follow(refused(1029, 1030)...)
		if got := instances(); !slices.Equal(got, []string{"others", "s:7"}) {
			w.t.Fatalf("%v, want thirty that stand for nobody by name, too", got)
		}
		w.on(11 * time.Minute)
		w.follow(many(30, entry("identity.sign-in-refused", "s:1030"))...)
		if got := instances(); !slices.Equal(got, []string{"others", "s:1030", "s:7"}) {
			w.t.Fatalf("%v, want who came when the thousand were gone", got)
		}
	})
}
