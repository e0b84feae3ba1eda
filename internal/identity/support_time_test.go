package identity_test

import (
	"errors"
	"testing"
	"time"

	"writ/internal/fault"
)

// When a look could be used is known also after its end, which may have come early.
func TestWhenLooked(t *testing.T) { // breaks: use.need-to-see
	w := open(t)
	l := w.look(false)
	began := w.kit.Clock.Now()
	from, until, err := l.svc.WhenLooked(t.Context(), l.id)
	if err != nil || from.Sub(began).Abs() > time.Minute || until.Sub(from) != time.Hour {
		t.Errorf("a look that goes on: %s to %s, %v", from, until, err)
	}
	w.kit.Clock.Advance(10 * time.Minute)
	ended := w.kit.Clock.Now()
	if a := l.b.ask("DELETE", "support/"+l.id, nil); a.Status != 204 {
		t.Fatalf("end: %d %s", a.Status, a.Body)
	}
	if _, until, err = l.svc.WhenLooked(t.Context(), l.id); err != nil || until.Sub(ended).Abs() > time.Second {
		t.Errorf("a look that was ended at %s: until %s, %v", ended, until, err)
	}
	if _, _, err := l.svc.WhenLooked(t.Context(), "look-0"); !errors.Is(err, fault.NotFound) {
		t.Errorf("no look: %v", err)
	}
}
