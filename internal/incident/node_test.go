package incident_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"writ/internal/incident"
	"writ/internal/incident/status"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
)

// What is posted at one server stands on the page of another one too, by itself: it looks each second.
// The time is printed; a slow machine has ten seconds.
func TestAnotherServerShowsAPost(t *testing.T) { // breaks: inc.public-notice, inc.updates
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		c := w.active()
		queue := handless{jobs.New(jobs.Deps{DB: kit.DB, Keys: kit.Ring, Now: kit.Clock.Now, Log: quiet()})}
		at := w.page.Deps
		at.Jobs, at.Folder = queue, ""
		page, err := status.New(at)
		if err != nil {
			t.Fatal(err)
		}
		d := w.svc.Deps
		d.Page, d.Queue = page, queue
		other, err := incident.New(d)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = other.Run(ctx)
		}()
		defer func() {
			stop()
			<-done
		}()
		w.page = page
		shows := func(what string) {
			t.Helper()
			began := time.Now()
			for !strings.Contains(w.get("/-/status/api/v2/summary.json").Body.String(), what) {
				if time.Since(began) > 30*time.Second {
					t.Fatalf("the other server does not show %s", what)
				}
				time.Sleep(20 * time.Millisecond)
			}
			took := time.Since(began)
			t.Logf("%s after %s", what, took.Round(time.Millisecond))
			if took > 10*time.Second {
				t.Errorf("%s took %s", what, took)
			}
		}
		shows(`"incidents":[]`)
		for _, state := range []string{status.Investigating, status.Identified, status.Monitoring} {
			w.says(c.Ref(), state)
			shows(`"status":"` + state + `"`)
		}
	}, tables...)
}
