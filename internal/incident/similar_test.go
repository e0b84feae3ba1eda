package incident_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/incident"
	"writ/internal/ledger/ledgertest"
)

// past is an incident that stands at a state of its lifecycle, with a review where it names a cause.
func (w *world) past(in incident.Signal, kind, cause, state string) incident.Case {
	w.t.Helper()
	c, _, err := w.svc.Declare(w.t.Context(), w.as("ana"), in)
	w.ok(c, err)
	w.step("dev", c.Ref(), "acknowledge", "")
	w.ok(w.svc.Categorise(w.t.Context(), w.as("dev"), c.Ref(), incident.Sorting{Kinds: []string{kind}, Severity: 3}))
	if cause != "" {
		w.exec(`UPDATE incident_case SET l = 'L5' WHERE id = $1`, c.ID)
		r := w.review()
		r.Causes = []string{cause}
		w.ok(w.svc.Learn(w.t.Context(), w.as("dev"), c.Ref(), r))
	}
	w.exec(`UPDATE incident_case SET l = $2 WHERE id = $1`, c.ID, state)
	w.kit.Clock.Advance(time.Minute)
	return w.show(c.Ref()).Case
}

// A review begins with the earlier incidents that were like it: of its kind, its part of the service, or
// the words of its causes; the most alike first, with the reasons, at most five. Neither drills nor
// those that are open, cancelled or later.
func TestSimilarBefore(t *testing.T) { // breaks: inc.learn
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		part := w.component("Sign-in", "")
		sig := func(title, part string) incident.Signal { return incident.Signal{Title: title, Component: part} }
		w.past(sig("Pages are slow", ""), "usability", "", "L6")                                         // I-1: the kind
		w.past(sig("The queue stands", ""), "other", "Nobody saw that certificates ended", "L6")         // I-2: a word of its cause, and "other" is no kind
		w.past(sig("Nobody can enter", part.ID), "usability", "The certificate of the door ended", "L6") // I-3: all of it
		w.past(sig("Mails wait", ""), "other", "A full disk", "L6")                                      // I-4: nothing
		w.past(sig("Mails wait", part.ID), "other", "A full disk", "L4")                                 // I-5: the part
		w.past(sig("The certificate ended", part.ID), "usability", "", "LX")                             // I-6: cancelled
		w.past(sig("The certificate ended", part.ID), "usability", "", "L2")                             // I-7: open
		w.past(incident.Signal{Title: "The certificate ended", Drill: true}, "usability", "", "L6")      // D-1
		c := w.past(sig("The certificate of sign-in", part.ID), "usability", "", "L5")                   // I-8
		w.past(sig("The certificate ended", part.ID), "usability", "The certificate", "L6")              // I-9: later

		want := []string{"I-3 same kind: usability; same part of the service; same words: certificate", "I-5 same part of the service", "I-1 same kind: usability", "I-2 same words: certificate"}
		says := func() (out []string) {
			for _, x := range w.show(c.Ref()).Similar {
				out = append(out, x.Case.Ref()+" "+x.Says())
			}
			return out
		}
		if got := says(); !slices.Equal(got, want) {
			t.Errorf("similar:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		draft := w.show(c.Ref()).Draft()
		if i, j := strings.Index(draft, "I-3 Nobody can enter ("+want[0][4:]+")"), strings.Index(draft, "I-2 The queue stands"); i < 0 || j < i || !strings.Contains(draft, "Began ") {
			t.Errorf("the review begins with\n%s", draft)
		}

		site, _ := w.api(w.as("eve"))
		a := httptest.NewRecorder()
		site.ServeHTTP(a, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://app.example.test/-/api/v1/incidents/"+c.Ref(), nil))
		var told struct {
			Similar []struct {
				Ref string
				Why []string
			}
			Draft string `json:"review_draft"`
		}
		if err := json.Unmarshal(a.Body.Bytes(), &told); err != nil || len(told.Similar) != 4 || told.Similar[0].Ref != "I-3" || len(told.Similar[0].Why) != 3 || told.Draft != draft {
			t.Errorf("%d %s (%v)", a.Code, a.Body, err)
		}

		r := w.review()
		r.Causes = []string{"A disk was full"} // causes that are written count
		w.ok(w.svc.Learn(t.Context(), w.as("dev"), c.Ref(), r))
		want = []string{want[0], "I-5 same part of the service; same words: disk, full", "I-4 same words: disk, full", want[2], want[3]}
		if got := says(); !slices.Equal(got, want) {
			t.Errorf("with its causes:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if got := w.show(c.Ref()).Draft(); got != r.Text {
			t.Errorf("what is written is not what stands: %s", got)
		}
		w.exec(`UPDATE incident_case SET l = 'L6' WHERE id = $1`, c.ID)
		if v := w.show(c.Ref()); len(v.Similar) != 0 {
			t.Errorf("closed, and still compared: %v", v.Similar)
		}
		for i := range 6 {
			w.past(sig(fmt.Sprint("Backup ", i), ""), "other", "The certificate", "L6")
		}
		if v := w.show(w.past(sig("The certificate", ""), "other", "", "L4").Ref()); len(v.Similar) != 5 || v.Similar[0].Case.Title != "Backup 5" {
			t.Errorf("%d similar: %v", len(v.Similar), v.Similar)
		}
	}, tables...)
}
