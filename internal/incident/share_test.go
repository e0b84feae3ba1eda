package incident_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/incident/status"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger/ledgertest"
)

// node is a second server at the same database, with a folder of its own and the same place.
func (w *world) node(put status.Put) *status.Service {
	w.t.Helper()
	d := w.page.Deps
	j := jobs.New(jobs.Deps{DB: w.kit.DB, Keys: w.kit.Ring, Now: w.kit.Clock.Now, Log: quiet()})
	d.Jobs, d.Leases, d.Folder, d.Places = handless{j}, j, w.t.TempDir(), map[string]status.Put{"shared": put}
	s, err := status.New(d)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// Of several servers one keeps a copy at a place that they share, and all know how old it is. When
// it ends, or does not reach the place, another one goes on, and leaves nothing there as it was; a
// change is one entry, however many servers prove it.
func TestOneServerKeepsACopy(t *testing.T) { // breaks: inc.public-notice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		there := &place{files: map[string]string{}}
		away := false
		one := w.node(there.put)
		two := w.node(func(ctx context.Context, name, kind string, body []byte) error {
			if away {
				return errors.New("it is away")
			}
			return there.put(ctx, name, kind, body)
		})
		c := w.active()
		sent := func(s *status.Service) (int, error) {
			t.Helper()
			w.page = s
			before := len(there.order)
			err := w.published()
			return len(there.order) - before, err
		}
		wants := func(what string, s *status.Service, all bool) {
			t.Helper()
			if n, err := sent(s); err != nil || (n > 10) != all || !all && n != 0 {
				t.Errorf("%s: sent %d files: %v", what, n, err)
			}
		}
		recorded := func() int {
			es, err := w.journal.List(t.Context(), journal.Query{Act: "incident.page-exported"})
			if err != nil {
				t.Error(err)
			}
			return len(es)
		}
		w.says(c.Ref(), status.Investigating)
		wants("the first", one, true)
		wants("the second beside it", two, false)
		if n := recorded(); n != 1 {
			t.Errorf("%d entries of one change", n)
		}
		if b := two.Behind(); b["shared"] != 0 || b["folder"] != 0 {
			t.Errorf("the second one's folder, and what it knows of the place: %v", b)
		}
		kit.Clock.Advance(10 * time.Second)
		w.says(c.Ref(), status.Identified)
		wants("the second, while the first has not ended", two, false)
		kit.Clock.Advance(15 * time.Second)
		wants("the second, 25 seconds after the first was last seen", two, true)
		there.files["api/v2/summary.json"] = "as the first one left it when it woke"
		for range 11 { // it keeps what it has
			kit.Clock.Advance(5 * time.Second)
			wants("the second, before a try of the first has ended for certain", two, false)
		}
		kit.Clock.Advance(5 * time.Second)
		wants("the second, after that", two, true)
		if there.files["api/v2/summary.json"] == "as the first one left it when it woke" {
			t.Error("what the first one left there stays")
		}
		kept := maps.Clone(there.files)
		wants("the first, when it is back", one, false)
		kit.Clock.Advance(6 * time.Minute)
		there.files["status.css"] = "as another one left it"
		wants("the first, when the second has ended", one, true)
		if !slices.Equal(slices.Sorted(maps.Keys(kept)), slices.Sorted(maps.Keys(there.files))) || there.files["status.css"] == "as another one left it" {
			t.Error("it left something there as it was")
		}
		kit.Clock.Advance(2 * time.Minute)
		away = true
		w.says(c.Ref(), status.Monitoring)
		if n, err := sent(two); err == nil || n != 0 {
			t.Errorf("sent %d although it is away: %v", n, err)
		}
		kit.Clock.Advance(20 * time.Second)
		wants("the first, when the second does not reach it", one, true)
		if n := recorded(); n != 3 {
			t.Errorf("%d entries of three changes", n)
		}
	}, tables...)
}

// While a copy is being sent its lease is renewed, however long it takes; where another server has it
// nevertheless, what is being sent ends at once.
func TestALostPlaceIsLeft(t *testing.T) { // breaks: inc.public-notice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		until := func() int64 {
			return w.count(`SELECT COALESCE(MAX(until), 0) FROM job_lease WHERE name = 'status-copy/shared'`)
		}
		ended := make(chan bool, 1)
		one := w.node(func(ctx context.Context, _, _ string, _ []byte) error {
			select { // it renews what it holds
			case <-ctx.Done():
				return ctx.Err()
			default:
			}
			before := until()
			kit.Clock.Advance(time.Second)
			for began := time.Now(); until() == before; time.Sleep(20 * time.Millisecond) {
				if time.Since(began) > 30*time.Second {
					ended <- false
					return errors.New("the lease is not renewed")
				}
			}
			w.exec(`UPDATE job_lease SET holder = 'another', epoch = epoch + 1 WHERE name = 'status-copy/shared'`)
			select {
			case <-ctx.Done():
				ended <- true
			case <-time.After(30 * time.Second):
				ended <- false
			}
			return errors.New("it has ended")
		})
		w.page = one
		if err := one.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, p := range one.Publishers() {
			_ = p(t.Context())
		}
		if !<-ended {
			t.Error("what another server has is still being sent to")
		}
	}, tables...)
}

// Time is observed while one server of several is there: the end of one leaves no hole. When all
// have ended, nobody observed, and the uptime counts what was.
func TestAnotherServerKeepsTheClock(t *testing.T) { // breaks: inc.public-notice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		there := &place{files: map[string]string{}}
		one, two := w.node(there.put), w.node(there.put)
		part := w.component("Sign-in", "")
		pass := func(d time.Duration, servers ...*status.Service) {
			t.Helper()
			for range int(d / time.Minute) {
				kit.Clock.Advance(time.Minute)
				for _, s := range servers {
					if err := s.Tend(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		holes := func(want int64) {
			t.Helper()
			if n := w.count(`SELECT COUNT(*) - 1 FROM incident_status_seen`); n != want {
				t.Errorf("%d holes in what was observed, want %d", n, want)
			}
		}
		pass(time.Hour, one, two)
		if err := w.page.Set(t.Context(), w.as("dev"), part.ID, status.MajorOutage); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour, two) // the first one has ended
		holes(0)
		pass(24 * time.Hour) // both have
		pass(time.Minute, two)
		holes(1)
		w.page = two
		if body := w.get("/-/status").Body.String(); !strings.Contains(body, " % up of what was observed") || strings.Contains(body, "100.00 % up") || !strings.Contains(body, "49.") && !strings.Contains(body, "50.") {
			t.Error("the time that nobody observed counts")
		}
	}, tables...)
}
