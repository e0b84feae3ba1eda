package incident_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/ledger/ledgertest"
)

// Incidents are linked to what caused them and to what is related: both show it and both have an
// entry of it. None is its own cause by whatever way, and two have one link.
func TestLinks(t *testing.T) { // breaks: inc.process
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		for range 4 {
			w.declared()
		}
		bind := func(ref, kind, to, want string) {
			t.Helper()
			_, err := w.svc.Bind(t.Context(), w.as("dev"), ref, kind, to, "")
			code := ""
			if f, ok := errors.AsType[*fault.Error](err); ok {
				code = f.Code
			}
			if code != want || want == "" && err != nil {
				t.Errorf("%s %s %s: %v, want %q", ref, kind, to, err, want)
			}
		}
		links := func(ref string) string {
			var out []string
			for _, l := range w.show(ref).Links {
				out = append(out, l.Says()+" "+l.Case.Ref())
			}
			return strings.Join(out, ", ")
		}
		bind("I-2", "caused-by", "I-1", "")
		kit.Clock.Advance(1)
		bind("I-3", "caused-by", "I-2", "")
		kit.Clock.Advance(1)
		bind("I-4", "related", "I-3", "")
		for ref, want := range map[string]string{"I-1": "causes I-2", "I-2": "caused by I-1, causes I-3", "I-3": "caused by I-2, related I-4", "I-4": "related I-3"} {
			if got := links(ref); got != want {
				t.Errorf("%s: %s, want %s", ref, got, want)
			}
		}
		bind("I-1", "caused-by", "I-3", "link_cycle")
		bind("I-1", "caused-by", "I-2", "link_known")
		bind("I-3", "related", "I-4", "link_known")
		bind("I-1", "caused-by", "I-1", "link_other")
		bind("I-1", "blames", "I-3", "link_kind")
		bind("I-1", "related", "I-9", "incident_unknown")
		bind("I-1", "none", "I-4", "link_unknown")
		bind("I-1", "caused-by", "I-4", "") // related is no cause
		if a := w.posts(w.as("eve"), "I-3/links", `{"kind":"none","to":"I-2","reason":"it was something else"}`); a.Code != http.StatusOK {
			t.Errorf("%d %s", a.Code, a.Body)
		}
		bind("I-1", "related", "I-3", "")
		if a := w.posts(w.as("fay"), "I-1/links", `{"kind":"related","to":"I-2"}`); a.Code != http.StatusForbidden {
			t.Errorf("an auditor links: %d %s", a.Code, a.Body)
		}
		drill, _, err := w.svc.Declare(t.Context(), w.as("ana"), incident.Signal{Title: "We practise it", Drill: true})
		w.ok(drill, err)
		bind("I-1", "related", drill.Ref(), "link_other")
		seen := map[string]int{}
		for _, e := range kit.Recorded("incident.linked") {
			seen[fmt.Sprint(e.Fields["kind"])]++
		}
		if fmt.Sprint(seen) != "map[caused-by:3 causes:3 related:4]" || w.entries("unlinked") != 2 {
			t.Errorf("entries: %v, %d", seen, w.entries("unlinked"))
		}
	}, tables...)
}

// Two people who link two incidents at once, each as the cause of the other, close no circle.
func TestTwoAtOnceCloseNoCircle(t *testing.T) { // breaks: inc.process
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		const pairs = 12
		for range 2 * pairs {
			w.declared()
		}
		ends := make(chan error, 2*pairs)
		for i := range 2 * pairs {
			go func() {
				_, err := w.svc.Bind(t.Context(), w.as("dev"), fmt.Sprint("I-", i+1), "caused-by", fmt.Sprint("I-", (i^1)+1), "")
				ends <- err
			}()
		}
		made := 0
		for range cap(ends) {
			if err := <-ends; err == nil {
				made++
			} else if !errors.Is(err, fault.Conflict) {
				t.Error(err)
			}
		}
		if made != pairs {
			t.Errorf("%d links between %d pairs", made, pairs)
		}
	}, tables...)
}
