package incident_test

import (
	"context"
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

// doors is a gate that maintenance closes, and others may.
type doors struct {
	held   map[string]time.Time
	ended  map[string]bool
	person bool
	first  func() // runs once, before the gate is next closed
}

func (d *doors) HoldClosed(_ context.Context, _ actor.Actor, name string, until time.Time) error {
	if f := d.first; f != nil {
		d.first = nil
		f()
	}
	if !d.ended[name] { // once for each name
		d.held[name] = until
	}
	return nil
}

func (d *doors) Held(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(d.held)), nil
}

func (d *doors) Release(_ context.Context, _ actor.Actor, name string) error {
	if _, ok := d.held[name]; ok {
		d.ended[name] = true
	}
	delete(d.held, name)
	return nil
}

func (w *world) doors() *doors {
	d := &doors{held: map[string]time.Time{}, ended: map[string]bool{}}
	w.page.Gate, w.page.Closed = d, func() bool { return d.person || len(d.held) > 0 }
	return d
}

// ticked moves the clock, and lets the page and incidents look twice.
func (w *world) ticked(d time.Duration) {
	w.t.Helper()
	w.kit.Clock.Advance(d)
	for range 2 {
		if err := w.page.Tend(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		w.tend()
	}
}

// Maintenance that closes the gate opens it at its end, or when it is completed; who may not
// close the gate may not plan, move or end that. Closed by somebody else too, it is not over.
func TestMaintenanceClosesTheGate(t *testing.T) { // breaks: inc.public-notice
	w := open(t)
	d := w.doors()
	now := w.kit.Clock.Now()
	plan := func(title string, in time.Duration) status.Window {
		t.Helper()
		m, err := w.page.Schedule(t.Context(), w.as("dev"), status.Window{Title: title, Starts: w.kit.Clock.Now().Add(in), Ends: w.kit.Clock.Now().Add(in + time.Hour), Closes: true})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if _, err := w.page.Schedule(t.Context(), w.as("fay"), status.Window{Title: "New disks", Starts: now.Add(time.Hour), Ends: now.Add(2 * time.Hour), Closes: true}); fault.KindOf(err) != fault.Denied {
		t.Errorf("an auditor: %v", err)
	}
	m := plan("New disks", time.Hour)
	w.ticked(30 * time.Minute)
	if len(d.held) != 0 {
		t.Error("the gate is closed before its time")
	}
	w.ticked(30 * time.Minute)
	if !d.held["window/"+m.ID].Equal(m.Ends) {
		t.Errorf("held %v", d.held)
	}
	if body := w.get("/-/status").Body.String(); !strings.Contains(body, "The application is closed in that time.") {
		t.Error("the page does not say that it is closed")
	}
	moved, err := w.page.Extend(t.Context(), w.as("dev"), m.ID, m.Ends.Add(time.Hour))
	if err != nil || !d.held["window/"+m.ID].Equal(moved.Ends) {
		t.Errorf("%v, held %v", err, d.held)
	}
	w.ticked(2 * time.Hour)
	if ws, _ := w.page.Windows(t.Context()); len(d.held) != 0 || len(ws) != 0 || len(w.open()) != 0 {
		t.Errorf("after its end: held %v, open %v", d.held, ws)
	}
	m = plan("New wires", time.Hour)
	w.ticked(time.Hour)
	if err := w.page.End(t.Context(), w.as("dev"), m.ID); err != nil || len(d.held) != 0 {
		t.Errorf("completed: %v, held %v", err, d.held)
	}
	m = plan("New roof", time.Hour)
	w.ticked(time.Hour)
	d.person = true
	w.ticked(time.Hour)
	w.ticked(6 * time.Minute)
	if ws, _ := w.page.Windows(t.Context()); len(d.held) != 0 || len(ws) != 1 || ws[0].State != status.Verifying || len(w.open()) != 1 {
		t.Errorf("closed by somebody else too: held %v, open %v", d.held, ws)
	}
	if _, err := w.page.Extend(t.Context(), w.as("dev"), m.ID, w.kit.Clock.Now().Add(time.Hour)); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "window_opened") {
		t.Errorf("extended when its hold was over: %v", err)
	}
	if ws, _ := w.page.Windows(t.Context()); len(ws) != 1 || !ws[0].Ends.Equal(m.Ends) {
		t.Errorf("what was refused moved its end: %v", ws)
	}
}

// Who completes maintenance in the moment in which it begins does not leave the gate closed, nor
// does a server that ended in between.
func TestMaintenanceThatIsOverHoldsNoGate(t *testing.T) { // breaks: inc.loss-maintenance
	w := open(t)
	d := w.doors()
	now := w.kit.Clock.Now()
	m, err := w.page.Schedule(t.Context(), w.as("dev"), status.Window{Title: "New disks", Starts: now.Add(time.Hour), Ends: now.Add(2 * time.Hour), Closes: true})
	if err != nil {
		t.Fatal(err)
	}
	d.first = func() {
		if err := w.page.End(t.Context(), w.as("dev"), m.ID); err != nil {
			t.Error(err)
		}
	}
	w.ticked(time.Hour)
	if ws, _ := w.page.Windows(t.Context()); d.first != nil || len(d.held) != 0 || len(ws) != 0 {
		t.Errorf("held %v, open %v", d.held, ws)
	}
	for _, name := range []string{"window/" + m.ID, "window/unknown", "other/" + m.ID} {
		d.held[name] = now.Add(3 * time.Hour)
	}
	w.ticked(time.Minute)
	if held, _ := d.Held(t.Context()); !slices.Equal(held, []string{"other/" + m.ID}) {
		t.Errorf("held %v", held)
	}
}

// Where a word is asked for, maintenance does not begin without one: the page says so, those who
// act hear of it again and again, and at its end it did not take place.
func TestMaintenanceWaitsForAWord(t *testing.T) { // breaks: inc.public-notice
	w := open(t)
	w.page.Asks = true
	part := w.component("Sign-in", "")
	plan := func(in time.Duration) status.Window {
		t.Helper()
		now := w.kit.Clock.Now()
		m, err := w.page.Schedule(t.Context(), w.as("dev"), status.Window{Title: "New disks", Touched: []string{part.ID}, Starts: now.Add(in), Ends: now.Add(in + time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	begin := func(who, id string, want fault.Kind) {
		t.Helper()
		if err := w.page.Begin(t.Context(), w.as(who), id); fault.KindOf(err) != want {
			t.Errorf("%s: %v", who, err)
		}
	}
	m := plan(2 * time.Hour)
	begin("dev", m.ID, fault.Conflict) // too early
	w.ticked(2*time.Hour + time.Minute)
	w.isState(part.ID, status.Operational)
	if body := w.get("/-/status").Body.String(); !strings.Contains(body, "and has not begun yet") {
		t.Error("the page does not say that it has not begun")
	}
	if got := w.post.to("incident.unbegun"); !slices.Contains(got, "dev") || slices.Contains(got, "fay") {
		t.Errorf("told %q", got)
	}
	once := len(w.post.to("incident.unbegun"))
	w.ticked(30 * time.Minute)
	if n := len(w.post.to("incident.unbegun")); n != 2*once {
		t.Errorf("%d letters after half an hour, want %d", n, 2*once)
	}
	begin("fay", m.ID, fault.Denied)
	begin("dev", m.ID, "")
	w.isState(part.ID, status.UnderWork)
	begin("dev", m.ID, fault.Conflict) // twice
	w.ticked(30 * time.Minute)
	w.isState(part.ID, status.Operational)

	plan(time.Hour)
	w.ticked(2 * time.Hour)
	w.isState(part.ID, status.Operational)
	if ws, _ := w.page.Windows(t.Context()); len(ws) != 0 {
		t.Errorf("it is open after its end: %v", ws)
	}
	if body := w.get("/-/status/maintenance.ics").Body.String(); strings.Count(body, "STATUS:CANCELLED") != 1 {
		t.Error("what did not take place is not cancelled in calendars")
	}
}

// Only what maintenance under way stands on is worked on.
func TestMaintenanceCovers(t *testing.T) { // breaks: mon.notify
	w := open(t)
	part, other := w.component("Sign-in", ""), w.component("Files", "")
	if err := w.page.Cover(t.Context(), w.as("dev"), part.ID, []string{"upstream/a"}); err != nil {
		t.Fatal(err)
	}
	if err := w.page.Cover(t.Context(), w.as("dev"), other.ID, []string{"upstream/b"}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]string{{"a b"}, {""}, make([]string, 21)} {
		if err := w.page.Cover(t.Context(), w.as("dev"), part.ID, bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := w.page.Cover(t.Context(), w.as("fay"), part.ID, nil); fault.KindOf(err) != fault.Denied {
		t.Errorf("an auditor: %v", err)
	}
	now := w.kit.Clock.Now()
	m, err := w.page.Schedule(t.Context(), w.as("dev"), status.Window{Title: "New disks", Touched: []string{part.ID}, Starts: now.Add(time.Hour), Ends: now.Add(2 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	is := func(a string) {
		t.Helper()
		if got := w.page.Worked("upstream/a"); got != a || w.page.Worked("upstream/b") != "" || w.page.Worked("") != "" {
			t.Errorf("worked on: %q, want %q", got, a)
		}
	}
	is("")
	w.ticked(time.Hour)
	is("window/" + m.ID)
	w.ticked(time.Hour)
	is("")
}
