package incident_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"writ/internal/clause"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/ledger/ledgertest"
	"writ/internal/notify"
)

// words are what keeps a step, by the guard.
func words(t *testing.T, err error) map[string]string {
	t.Helper()
	k, ok := errors.AsType[*incident.Kept](err)
	if !ok {
		t.Fatalf("not kept: %v", err)
	}
	out := map[string]string{}
	for _, l := range k.Unmet {
		out[l.Guard] = l.Words
	}
	return out
}

// The review does not begin while a subscriber waits for what was posted, or nobody has looked
// yet who subscribes; how many wait is said. Whoever is told, given up or suspended waits no more.
func TestSubscribersAreTold(t *testing.T) { // breaks: inc.tell-affected
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		w.hooks.answer = echo
		for _, name := range []string{"good", "away", "later"} {
			if err := w.page.SubscribeHook(t.Context(), stranger, "https://hooks.example.net/"+name, nil, stranger.ID); err != nil {
				t.Fatal(err)
			}
		}
		w.turn()
		w.hooks.mu.Lock()
		w.hooks.answer = func(c notify.Call) notify.Reply {
			if strings.HasSuffix(c.URL.Reveal(), "/good") {
				return notify.Reply{State: notify.Accepted, Code: "200"}
			}
			return notify.Reply{State: notify.Deferred, Code: "no_answer"}
		}
		w.hooks.mu.Unlock()
		c := w.resolved(w.active())
		review := func() map[string]string {
			_, err := w.svc.Take(t.Context(), w.as("dev"), c.Ref(), incident.Step{Event: "review"})
			return words(t, err)
		}
		if got := review(); got["subscribers-told"] != "Those who subscribe to the status page are being looked for." {
			t.Errorf("before anybody has looked: %v", got)
		}
		w.turn()
		w.tend()
		if got := review(); len(got) != 1 || got["subscribers-told"] != "2 subscribers of the status page wait for the newest update." {
			t.Errorf("while two wait: %v", got)
		}
		w.exec(`UPDATE incident_status_subscriber SET suspended = 1 WHERE id IN (SELECT subscriber FROM incident_status_notice WHERE state = 'queued' ORDER BY subscriber LIMIT 1)`)
		if got := review(); len(got) != 1 || got["subscribers-told"] != "1 subscriber of the status page waits for the newest update." {
			t.Errorf("with one of them suspended: %v", got)
		}
		w.exec(`UPDATE incident_case SET l = 'L5', review = $1`, w.kit.Clock.Now().UnixMicro()+1)
		w.expect("affected-told", clause.Fail, "I-1 went into its review while 1 subscriber still waited")
		w.exec(`UPDATE incident_case SET l = 'L4', review = NULL`)
		w.settled()
		w.tend()
		if v := w.show(c.Ref()); v.State() != "review" {
			t.Errorf("after it was given up: %s", v.State())
		}
		w.expect("affected-told", clause.Pass, "")
	}, tables...)
}

// Two people let the review begin although a subscriber waits.
func TestWaitingSubscribersAreLetPass(t *testing.T) {
	w := open(t)
	c := w.resolved(w.active()) // nobody has looked who subscribes
	for _, name := range []string{"ana", "ben"} {
		w.ok(w.svc.Waive(t.Context(), w.as(name), c.Ref(), engine.L, "subscribers-told", "the mail server is gone for days"))
	}
	_, err := w.svc.Take(t.Context(), w.as("dev"), c.Ref(), incident.Step{Event: "review"})
	if guards, _ := w.kept(err); !slices.Equal(guards, []string{"affected-told"}) {
		t.Errorf("%v", guards)
	}
}
