package incident_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/breach"
	"writ/internal/mail"
)

// Whom no letter reaches may be told in public, when two people have signed where and why; whose letter
// is on its way, or may have arrived, is not counted by that.
func TestToldInPublic(t *testing.T) { // breaks: inc.breach-notify
	w := open(t)
	ctx, now := t.Context(), w.kit.Clock.Now()
	w.breach.burst(now)
	for i := range 90 {
		w.breach.records = append(w.breach.records, breach.Record{At: now.Add(-time.Hour), Who: "thief", Staff: true, For: "hard" + string(rune('a'+i%26)) + string(rune('a'+i/26)), Route: "/contacts/", Method: "GET", Status: 200, Out: 9})
	}
	w.breach.records = append(w.breach.records, breach.Record{At: now.Add(-time.Hour), Who: "thief", Staff: true, For: "lost", Route: "/contacts/", Method: "GET", Status: 200, Out: 9})
	w.breach.answers = func(to string) (mail.Answer, error) {
		switch {
		case strings.HasPrefix(to, "hard"):
			return mail.Answer{Code: 550}, errors.New("no such box")
		case strings.HasPrefix(to, "lost"):
			return mail.Answer{Handed: true}, errors.New("the connection broke")
		}
		return mail.Answer{Code: 250}, nil
	}
	w.breached()
	w.scoped("I-1")
	w.notifying("I-1")
	w.sendAll()
	w.sendAll()
	want := map[string]int64{"accepted": 3, "refused": 90, "unknown": 1}
	if got := w.exposure("I-1").Letters; !maps.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
	unsigned := func() {
		t.Helper()
		_, err := w.svc.CountPublic(ctx, w.as("eve"), "I-1")
		if guards, _ := w.kept(err); len(guards) != 1 || guards[0] != "public-signed" || w.exposure("I-1").Letters["told"] != 0 {
			t.Errorf("kept by %v", guards)
		}
	}
	unsigned()
	for name, bad := range map[string]incident.PublicWord{"no address": {URL: "status page", Reason: strings.Repeat("why ", 9)}, "in clear": {URL: "http://app.example.test/", Reason: strings.Repeat("why ", 9)}, "no reason": {URL: "https://app.example.test/-/status"}} {
		if _, err := w.svc.TellInPublic(ctx, w.as("eve"), "I-1", bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.ok(w.svc.TellInPublic(ctx, w.as("eve"), "I-1", incident.PublicWord{URL: "https://app.example.test/-/status", Reason: "Their addresses are gone, and nobody knows where they live."}))
	unsigned()
	w.signs("I-1", "public", "eve")
	unsigned()
	w.signs("I-1", "public", "dev")
	if _, err := w.svc.CountPublic(ctx, w.as("fay"), "I-1"); fault.KindOf(err) != fault.Denied {
		t.Errorf("an auditor counts: %v", err)
	}
	if _, err := w.svc.CountPublic(ctx, w.as("dev"), "I-1"); fault.KindOf(err) != fault.Denied || w.exposure("I-1").Letters["told"] != 0 {
		t.Errorf("somebody who is not privacy officer counts: %v", err)
	}
	w.ok(w.svc.CountPublic(ctx, w.as("eve"), "I-1"))
	if got := w.exposure("I-1").Letters; !maps.Equal(got, map[string]int64{"accepted": 3, "told": 90, "unknown": 1}) {
		t.Errorf("%v", got)
	}
	rows, err := w.svc.LetterRows(ctx, w.as("eve"), "I-1", "", "told")
	if err != nil || len(rows) != 90 || rows[0].Answer != "by public notice, https://app.example.test/-/status" {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if n := len(w.kit.Recorded("incident.letter-followed")); n != 94+90 {
		t.Errorf("%d entries, want 184", n)
	}
	w.ok(w.svc.CountPublic(ctx, w.as("eve"), "I-1")) // nobody is left
}
