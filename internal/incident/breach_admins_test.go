package incident_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/incident/breach"
	"writ/internal/mail"
)

// The admins of those whom no letter reaches are asked once to hand it on; what was exposed they do
// not learn, and the banner stands until somebody says that the person was told.
func TestAdminsAreAsked(t *testing.T) { // breaks: inc.breach-notify
	w := open(t)
	ctx, now := t.Context(), w.kit.Clock.Now()
	for _, who := range []string{"harda", "hardb", "alone", "good"} {
		w.breach.people = append(w.breach.people, "person/"+who)
		w.breach.records = append(w.breach.records, breach.Record{At: now.Add(-time.Hour), Who: "thief", Staff: true, For: who, Route: "/contacts/", Method: "GET", Status: 200, Out: 9})
	}
	w.breach.answers = func(to string) (mail.Answer, error) {
		if strings.HasPrefix(to, "good") {
			return mail.Answer{Code: 250}, nil
		}
		return mail.Answer{Code: 550}, errors.New("no such box")
	}
	w.breached()
	w.scoped("I-1")
	w.notifying("I-1")
	if _, err := w.svc.AskAdmins(ctx, w.as("eve"), "I-1"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("before letters came back: %v", err)
	}
	w.sendAll()
	if _, err := w.svc.AskAdmins(ctx, w.as("fay"), "I-1"); fault.KindOf(err) != fault.Denied {
		t.Errorf("an auditor asks: %v", err)
	}
	if _, err := w.svc.AskAdmins(ctx, w.as("dev"), "I-1"); fault.KindOf(err) != fault.Denied || len(w.post.to("incident.unreached")) != 0 {
		t.Errorf("somebody who is not privacy officer asks: %v", err)
	}
	w.ok(w.svc.AskAdmins(ctx, w.as("eve"), "I-1"))
	if _, err := w.svc.AskAdmins(ctx, w.as("eve"), "I-1"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("they are asked twice: %v", err)
	}
	if to := w.post.to("incident.unreached"); !slices.Equal(to, []string{"adm"}) {
		t.Fatalf("asked are %v", to)
	}
	w.post.mu.Lock()
	for _, m := range w.post.sent {
		if m.Kind == "incident.unreached" && (!strings.Contains(m.Text, "Name of harda, Name of hardb.") || strings.Contains(m.Text, "alone") || strings.Contains(m.Text, "good") || strings.Contains(m.Text, "contact")) {
			t.Errorf("%s", m.Text)
		}
	}
	w.post.mu.Unlock()
	for _, who := range []string{"harda", "alone"} {
		if owed, err := w.svc.Owed(ctx, who); err != nil || !owed {
			t.Errorf("%s is told nothing more: %v", who, err)
		}
	}
}
