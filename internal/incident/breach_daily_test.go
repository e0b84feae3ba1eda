package incident_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
)

// While letters have no end the commander and the privacy officer hear of it once a day, however often
// the server looks, and once more when each has its end.
func TestLettersAreReportedDaily(t *testing.T) { // breaks: inc.breach-notify
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		w.breach.burst(w.kit.Clock.Now())
		w.breached()
		w.breach.answers = func(to string) (mail.Answer, error) {
			switch to {
			case "bob@example.test":
				return mail.Answer{Code: 550, Text: "no such box"}, errors.New("550")
			case "ann@example.test":
				return mail.Answer{Handed: true}, errors.New("cut off")
			}
			return mail.Answer{Code: 250}, nil
		}
		w.scoped("I-1")
		w.notifying("I-1")
		reports := func(want int, says ...string) {
			t.Helper()
			w.sendAll()
			w.sendAll()
			if got := w.entries("letters-reported"); got != want {
				t.Errorf("%d reports, want %d", got, want)
			}
			if got := w.post.to("incident.letters-daily"); len(got) != 2*want || want > 0 && !slices.Equal(slices.Compact(got), []string{"dev", "eve"}) {
				t.Errorf("%d reports went to %v", want, got)
			}
			var last mail.Message
			for _, m := range w.post.sent {
				if m.Kind == "incident.letters-daily" && strings.Contains(m.Text, "%") && (len(says) == 0 || strings.Contains(m.Text, says[0])) {
					last = m
				}
			}
			for _, s := range says {
				if !strings.Contains(last.Text, s) {
					t.Errorf("it does not say %q: %s", s, last.Text)
				}
			}
		}
		w.kit.Clock.Advance(23 * time.Hour)
		reports(0)
		w.kit.Clock.Advance(2 * time.Hour)
		reports(1, "Of 3 letters to those concerned 1 were accepted or told otherwise: 33 %.", "1 reached nobody", "Of 1 nobody knows")
		w.kit.Clock.Advance(70 * time.Hour) // the server was off: one is enough
		reports(2)
		rows, err := w.svc.LetterRows(t.Context(), w.as("eve"), "I-1", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			switch r.State {
			case "unknown":
				w.ok(w.svc.DecideLetter(t.Context(), w.as("eve"), "I-1", r.ID, false, "looked into the mail host"))
			case "refused", "failed":
				w.ok(w.svc.LetterTold(t.Context(), w.as("eve"), "I-1", r.ID, "told on the telephone"))
			}
		}
		reports(3, "Of 3 letters to those concerned 3 were accepted or told otherwise: 100 %.", "This is the last report.")
		w.step("eve", "I-1", "told", "")
		w.kit.Clock.Advance(50 * time.Hour)
		reports(3)
		if got := w.kit.Recorded("incident.letters-reported"); fmt.Sprintf("%v %v %v", got[2].Fields["last"], got[2].Fields["report"], got[0].Fields["unknown"]) != "true 3 1" {
			t.Errorf("recorded %+v", got)
		}
		if at := w.show("I-1").States[engine.B]; at != "B6" {
			t.Errorf("it stands at %s", at)
		}
	}, tables...)
}

// A server that was stopped after it took a letter for itself, and before it handed it over, does not send
// it when it wakes: others count it as one of which nobody knows, and a person may have had it sent again.
func TestLetterIsNotSentLateRegression(t *testing.T) { // breaks: inc.breach-notify
	var w *world
	stops := false
	kit := ledgertest.Open(t, tables...)
	w = with(t, kit, &incident.Seam{Step: func(point string) {
		if point == "sending" && stops {
			stops = false
			kit.Clock.Advance(3 * time.Minute) // meanwhile another server goes on
			if err := w.svc.TendLetters(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}})
	w.breach.burst(kit.Clock.Now())
	w.breached()
	w.scoped("I-1")
	w.notifying("I-1")
	stops = true
	w.sendAll()
	var all int
	for _, n := range w.breach.sent {
		all += n
	}
	rows, err := w.svc.LetterRows(t.Context(), w.as("eve"), "I-1", "", "unknown")
	if err != nil || len(rows) != 1 || all != 2 {
		t.Fatalf("%d unknown, %d sent: %v", len(rows), all, err)
	}
	w.ok(w.svc.DecideLetter(t.Context(), w.as("eve"), "I-1", rows[0].ID, true, "looked into the mail host"))
	w.sendAll()
	if got := w.breach.sent[rows[0].Email]; got != 1 {
		t.Errorf("%d letters lie in a box", got)
	}
}
