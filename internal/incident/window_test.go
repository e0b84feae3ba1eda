package incident_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/status"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// subscribed makes an address a subscriber.
func (w *world) subscribed(address string) {
	w.t.Helper()
	who := actor.Actor{Kind: actor.Stranger, ID: "192.0.2.0/24"}
	w.post.mu.Lock()
	before := maps.Clone(w.post.sent)
	w.post.mu.Unlock()
	if err := w.page.Subscribe(w.t.Context(), who, address, nil, who.ID); err != nil {
		w.t.Fatal(err)
	}
	w.post.mu.Lock()
	var token string
	for id, m := range w.post.sent {
		if _, old := before[id]; !old && m.Kind == "incident.subscribe" && m.To == address {
			_, token, _ = strings.Cut(m.Text, "/confirm/")
			token, _, _ = strings.Cut(token, "\n")
		}
	}
	w.post.mu.Unlock()
	if err := w.page.Confirm(w.t.Context(), who, secret.NewText(strings.TrimSpace(token))); err != nil {
		w.t.Fatal(err)
	}
}

// titles are the subjects of letters about maintenance, sorted.
func (w *world) titles() []string {
	w.worked()
	w.post.mu.Lock()
	defer w.post.mu.Unlock()
	var out []string
	for _, m := range w.post.sent {
		if m.Kind == "incident.maintenance" {
			out = append(out, m.Subject)
		}
	}
	slices.Sort(out)
	return out
}

// Subscribers are told of maintenance when it is announced, a week, a day and an hour before,
// and when its end moves: once each, and of no time that was over when it was announced.
func TestMaintenanceIsTold(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		w.subscribed("uma@example.test")
		now := kit.Clock.Now()
		far, err := w.page.Schedule(t.Context(), w.as("dev"), status.Window{Title: "New disks", Body: "The database moves.", Starts: now.Add(8 * 24 * time.Hour), Ends: now.Add(8*24*time.Hour + time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.page.Schedule(t.Context(), w.as("dev"), status.Window{Title: "New wires", Starts: now.Add(30 * time.Minute), Ends: now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		tend := func() {
			t.Helper()
			for range 2 {
				if err := w.page.Tend(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		want := []string{"Maintenance is announced", "Maintenance is announced"}
		check := func(add ...string) {
			t.Helper()
			want = append(want, add...)
			slices.Sort(want)
			if got := w.titles(); !slices.Equal(got, want) {
				t.Errorf("told %q, want %q", got, want)
			}
		}
		tend()
		check()
		kit.Clock.Advance(25 * time.Hour)
		tend()
		check("Maintenance begins in 7 days")
		kit.Clock.Advance(6 * 24 * time.Hour)
		tend()
		check("Maintenance begins in 24 hours")
		kit.Clock.Advance(22*time.Hour + 30*time.Minute)
		tend()
		check("Maintenance begins in 1 hour")
		if _, err := w.page.Extend(t.Context(), w.as("dev"), far.ID, far.Starts); fault.KindOf(err) != fault.Invalid {
			t.Errorf("an end before it begins: %v", err)
		}
		if _, err := w.page.Extend(t.Context(), w.as("fay"), far.ID, far.Ends.Add(time.Hour)); fault.KindOf(err) != fault.Denied {
			t.Errorf("an auditor: %v", err)
		}
		m, err := w.page.Extend(t.Context(), w.as("dev"), far.ID, far.Ends.Add(time.Hour))
		if err != nil || !m.Ends.Equal(far.Ends.Add(time.Hour)) {
			t.Fatal(m, err)
		}
		check("Maintenance ends at another time")
		if body := w.get("/-/status/maintenance.ics").Body.String(); !strings.Contains(body, "DTEND:"+m.Ends.UTC().Format("20060102T150405Z")) {
			t.Error("the page does not show it at once")
		}
		if err := w.page.End(t.Context(), w.as("dev"), far.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.page.Extend(t.Context(), w.as("dev"), far.ID, far.Ends.Add(2*time.Hour)); fault.KindOf(err) != fault.Conflict {
			t.Errorf("what is over: %v", err)
		}
	}, tables...)
}

// Maintenance does not end while the gate is closed; five minutes after its announced end that
// is an incident, once, unless it was extended.
func TestMaintenanceRunsOver(t *testing.T) { // breaks: inc.public-notice
	w := open(t)
	closed := true
	w.page.Closed = func() bool { return closed }
	part := w.component("Sign-in", "")
	now := w.kit.Clock.Now()
	m, err := w.page.Schedule(t.Context(), w.as("dev"), status.Window{Title: "New disks", Touched: []string{part.ID}, Starts: now.Add(time.Hour), Ends: now.Add(2 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	after := func(d time.Duration, state string, incidents int) {
		t.Helper()
		w.kit.Clock.Advance(d)
		for range 2 {
			if err := w.page.Tend(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.tend()
		}
		w.isState(part.ID, state)
		if n := len(w.open()); n != incidents {
			t.Errorf("after %s: %d incidents, want %d", d, n, incidents)
		}
	}
	after(time.Hour, status.UnderWork, 0)
	after(time.Hour, status.UnderWork, 0)
	if body := w.get("/-/status/api/v2/scheduled-maintenances/active.json").Body.String(); !strings.Contains(body, `"verifying"`) {
		t.Error(body)
	}
	if _, err := w.page.Extend(t.Context(), w.as("dev"), m.ID, m.Ends.Add(10*time.Minute)); err != nil {
		t.Fatal(err)
	}
	after(6*time.Minute, status.UnderWork, 0)
	after(8*time.Minute, status.UnderWork, 0)
	after(2*time.Minute, status.UnderWork, 1)
	if c := w.open()[0]; c.Source != "maintenance" || c.Title != "Maintenance is not over in time: New disks" {
		t.Errorf("%+v", c)
	}
	closed = false
	after(time.Minute, status.Operational, 1)
}
