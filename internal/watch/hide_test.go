package watch_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/mail"
	"writ/internal/watch"
)

// An application in maintenance hides that it does not answer, and nothing else; what it hid is
// recorded, and told when it is over and goes on.
func TestMaintenanceHides(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		w.closed = true
		down := entry("gateway.upstream-failed", "writ/gateway")
		w.follow(down, entry("vault.sealed", "writ/vault"), entry("identity.passkey-clone-seen", "s:x"))
		w.on(0)
		w.on(10 * time.Minute)
		a := w.alarm("upstream-down", watch.Firing)
		if n := w.queued(a.ID); len(n) != 0 || a.Inhibited != "maintenance" {
			w.t.Errorf("told %v in maintenance: %+v", n, a)
		}
		if n := len(w.Recorded("watch.alarm-inhibited")); n != 1 {
			w.t.Errorf("%d entries of one alarm that was hidden", n)
		}
		for _, rule := range []string{"vault-sealed", "credential-replayed"} {
			if n := w.queued(w.alarm(rule, watch.Firing).ID); n["folder"] != 2 {
				w.t.Errorf("%s was told %v in maintenance", rule, n)
			}
		}
		w.closed = false
		w.on(time.Minute)
		if n := w.queued(a.ID); n["mail"] != 1 || w.alarm("upstream-down", watch.Firing).Inhibited != "" {
			w.t.Errorf("told %v when it was over", n)
		}
		w.closed = true
		w.on(5 * time.Minute)
		if n := w.queued(a.ID); n["mail"] != 1 {
			w.t.Errorf("told again in maintenance: %v", n)
		}
	})
}

// Maintenance hides what is worked on, of load and traffic, and nothing beside it.
func TestMaintenanceHidesWhatItCovers(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		down := func(object string) {
			e := entry("gateway.upstream-failed", "writ/gateway")
			e.Object = object
			w.follow(e)
		}
		clone := entry("identity.passkey-clone-seen", "s:x")
		clone.Object = "upstream/a"
		w.worked = map[string]string{"upstream/a": "window/w"}
		down("upstream/a")
		down("upstream/b")
		w.follow(clone)
		w.on(0)
		w.on(10 * time.Minute)
		hidden := map[string]string{}
		for _, a := range append(w.alarms("upstream-down"), w.alarms("credential-replayed")...) {
			hidden[a.Rule+" "+a.Labels["instance"]] = a.Inhibited
		}
		want := map[string]string{"upstream-down upstream/a": "window/w", "upstream-down upstream/b": "", "credential-replayed upstream/a": ""}
		for k, v := range want {
			if got, ok := hidden[k]; !ok || got != v {
				w.t.Errorf("%s is hidden by %q, want %q: %v", k, got, v, hidden)
			}
		}
	})
}

// What another system pushed is told, whatever it calls what it is about.
func TestMaintenanceHidesNothingPushed(t *testing.T) { // breaks: mon.notify
	w := lite(t)
	srv := w.serve()
	w.worked = map[string]string{"upstream/a": "window/w"}
	call(t, srv, "", "POST", "/-/alertmanager/api/v2/alerts", []map[string]any{{"labels": map[string]string{"alertname": "DiskFull", "instance": "upstream/a"}}}, 200, nil)
	w.on(0)
	w.on(10 * time.Minute)
	as := w.alarms("pushed-alert")
	if len(as) != 1 || as[0].Labels["instance"] != "upstream/a" || as[0].Inhibited != "" {
		t.Errorf("%+v", as)
	}
}

// What an alarm hides says the same and less, about load and traffic alone.
func TestHiders(t *testing.T) { // breaks: mon.notify
	part := map[string]watch.Rule{}
	for _, r := range watch.Pack() {
		part[r.ID] = r
	}
	for _, id := range watch.HiddenThen {
		if part[id].Part != watch.Traffic {
			t.Errorf("maintenance hides %s, which is about %q", id, part[id].Part)
		}
	}
	for less, more := range watch.Hiders {
		a, b := part[less], part[more]
		if a.ID == "" || b.ID == "" || a.Part != b.Part || a.Clause != b.Clause || a.Part != watch.Load && a.Part != watch.Traffic || b.Severity != "page" || a.Severity == "page" {
			t.Errorf("%+v hides %+v", b, a)
		}
	}
	w := lite(t)
	w.judge("host.disk", "data", 99)
	w.on(time.Minute)
	w.on(time.Minute)
	w.judge("source.silent", "host", 9)
	w.judge("host.cpu", "", 99)
	w.judge("queue.overdue", "", 700)
	w.on(15 * time.Minute)
	w.on(time.Minute)
	if a := w.alarm("disk-full", watch.Firing); w.queued(a.ID)["mail"] == 0 {
		t.Error("the page was hidden by the ticket")
	}
	for _, rule := range []string{"disk-full-soon", "cpu-high"} {
		if a := w.alarm(rule, watch.Firing); a.Inhibited == "" || len(w.queued(a.ID)) != 0 {
			t.Errorf("%s is told beside what says more: %+v", rule, a)
		}
	}
	if a := w.alarm("queue-age", watch.Firing); a.Inhibited != "" {
		t.Errorf("%+v", a)
	}
}

// A node whose heartbeat is missing hides its own load and nothing else; an application that does
// not answer hides that requests to it fail, until it answers again.
func TestWhatIsUnderneathIsNoNews(t *testing.T) { // breaks: mon.notify
	w := lite(t)
	w.node = "node-2"
	w.again()
	w.judge("host.cpu", "", 99)
	w.node = "node-1"
	w.again()
	w.judge("host.cpu", "", 99)
	w.judge("watch.beat", "node-2", 40)
	w.judge("queue.overdue", "", 700)
	w.judge("requests.failed-slow", "", 9)
	w.on(15 * time.Minute)
	w.on(time.Minute)
	as := w.alarms("cpu-high")
	if len(as) != 2 {
		t.Fatalf("two nodes share an alarm: %+v", as)
	}
	for _, a := range as {
		if by := map[string]string{"node-1": "", "node-2": "heartbeat-missing"}[a.Labels["node"]]; a.Inhibited != by || (by == "") == (len(w.queued(a.ID)) == 0) {
			t.Errorf("%s: hidden by %q, told %v", a.Labels["node"], a.Inhibited, w.queued(a.ID))
		}
	}
	if a := w.alarm("queue-age", watch.Firing); a.Inhibited != "" || a.Told.IsZero() { // in one message with the first node's
		t.Errorf("%+v", a)
	}
	for _, rule := range []string{"heartbeat-missing", "errors-slow-burn"} {
		if a := w.alarm(rule, watch.Firing); a.Inhibited != "" || w.queued(a.ID)["mail"] == 0 {
			t.Errorf("%s is hidden by %q", rule, a.Inhibited)
		}
	}

	part := map[string]watch.Rule{}
	for _, r := range watch.Pack() {
		part[r.ID] = r
	}
	for child, parent := range watch.Under {
		if part[child].Part != watch.Traffic || part[parent].Severity != "page" {
			t.Errorf("%+v hides %+v", part[parent], part[child])
		}
	}
	w.follow(entry("gateway.upstream-failed", "writ/gateway"))
	w.on(0)
	w.judge("requests.failed-fast", "", 50)
	w.follow(entry("vault.sealed", "writ/vault"))
	w.on(time.Minute)
	if a := w.alarm("errors-burn", watch.Firing); a.Inhibited != "upstream-down" || len(w.queued(a.ID)) != 0 {
		t.Errorf("that requests fail is told beside why: %+v", a)
	}
	if a := w.alarm("vault-sealed", watch.Firing); a.Inhibited != "" || len(w.queued(a.ID)) == 0 {
		t.Errorf("%+v", a)
	}
	w.follow(entry("gateway.upstream-recovered", "writ/gateway"))
	w.on(time.Minute)
	w.on(time.Minute)
	if a := w.alarm("errors-burn", watch.Firing); w.queued(a.ID)["mail"] == 0 {
		t.Errorf("it answers, and nobody is told that requests fail: %+v", a)
	}
}

// The API says what hides an alarm, and can leave it out.
func TestAlertmanagerSaysInhibited(t *testing.T) { // breaks: mon.notify
	w := lite(t)
	srv := w.serve()
	w.closed = true
	w.follow(entry("gateway.upstream-failed", "writ/gateway"))
	var got []struct {
		Status struct {
			State       string
			InhibitedBy []string
			MutedBy     []string
		}
	}
	const at = "/-/alertmanager/api/v2/alerts"
	call(t, srv, "", "GET", at, nil, 200, &got)
	if len(got) != 1 || got[0].Status.State != "suppressed" || !slices.Equal(got[0].Status.InhibitedBy, []string{"maintenance"}) {
		t.Errorf("%+v", got)
	}
	if call(t, srv, "", "GET", at+"?inhibited=false", nil, 200, &got); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	w.closed = false
	if call(t, srv, "", "GET", at+"?inhibited=false", nil, 200, &got); len(got) != 1 || got[0].Status.State != "active" {
		t.Errorf("%+v", got)
	}
	_, err := w.s.SetMute(t.Context(), operator, watch.MuteWish{Name: "now", From: "09:00", To: "11:00", Reason: "nobody works then"})
	must(t, err)
	w.judge("host.cpu", "", 99)
	w.on(15 * time.Minute)
	call(t, srv, "", "GET", at+"?filter=alertname%3Dcpu-high", nil, 200, &got)
	if len(got) != 1 || !slices.Equal(got[0].Status.MutedBy, []string{"now"}) {
		t.Errorf("%+v", got)
	}
	if call(t, srv, "", "GET", at+"?muted=false&filter=alertname%3Dcpu-high", nil, 200, &got); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// In a mute time tickets wait for its end; pages, and what watches watch, do not.
func TestMute(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) { // it is Monday, 10:00 UTC
		_, err := w.s.SetMute(w.t.Context(), engineer, watch.MuteWish{Name: "morning", Days: []string{"mon"}, From: "10:30", To: "12:00", Zone: "Europe/Berlin", Reason: "the team meets then"})
		must(w.t, err)
		w.judge("queue.overdue", "", 700)
		w.judge("host.oom", "", 1)
		w.judge("source.silent", "queue", 9)
		w.on(time.Minute)
		w.on(time.Minute)
		ticket, page, itself := w.alarm("queue-age", watch.Firing), w.alarm("oom-kill", watch.Firing), w.alarm("source-silent", watch.Firing)
		if n := w.queued(ticket.ID); len(n) != 0 {
			w.t.Errorf("a ticket was told %v", n)
		}
		if w.queued(page.ID)["mail"] == 0 || w.queued(itself.ID)["mail"] == 0 {
			w.t.Error("a page, or what watches watch, is muted")
		}
		w.on(57*time.Minute + 59*time.Second) // 11:59:59 in Berlin
		if n := w.queued(ticket.ID); len(n) != 0 {
			w.t.Errorf("told %v before the end", n)
		}
		w.on(time.Second)
		if n := w.queued(ticket.ID); n["mail"] != 1 {
			w.t.Errorf("told %v at the end", n)
		}
		must(w.t, w.s.RemoveMute(w.t.Context(), engineer, "morning"))
		if err := w.s.RemoveMute(w.t.Context(), engineer, "morning"); !errors.Is(err, fault.NotFound) {
			w.t.Errorf("removed twice: %v", err)
		}
	})
}

func TestMuteRefused(t *testing.T) { // breaks: mon.notify
	w := lite(t)
	good := watch.MuteWish{Name: "nights", From: "20:00", To: "07:00", Reason: "nobody works then"}
	for want, change := range map[string]func(*watch.MuteWish){
		"watch_name": func(m *watch.MuteWish) { m.Name = "The nights" }, "watch_zone": func(m *watch.MuteWish) { m.Zone = "Berlin" }, "watch_days": func(m *watch.MuteWish) { m.Days = []string{"holidays"} },
		"watch_from": func(m *watch.MuteWish) { m.From = "8 pm" }, "watch_to": func(m *watch.MuteWish) { m.To = "" }, "watch_reason": func(m *watch.MuteWish) { m.Reason = "so" },
		"watch_wide": func(m *watch.MuteWish) { m.From, m.To = "00:00", "00:00" },
	} {
		m := good
		change(&m)
		if _, err := w.s.SetMute(t.Context(), operator, m); err == nil || codeOf(err) != want {
			t.Errorf("%+v: %v, want %s", m, err, want)
		}
	}
	if _, err := w.s.SetMute(t.Context(), support, good); !errors.Is(err, fault.Denied) {
		t.Errorf("support: %v", err)
	}
	_, err := w.s.SetMute(t.Context(), operator, good)
	must(t, err)
	day := good
	day.Name, day.From, day.To = "days", "07:00", "19:30"
	if _, err := w.s.SetMute(t.Context(), operator, day); codeOf(err) != "watch_wide" {
		t.Errorf("two that leave half an hour a day: %v", err)
	}
}

func codeOf(err error) string { c, _ := fault.PublicOf(err); return c }

// What comes and goes more than five times in an hour is told once, and then how often, once an hour.
func TestFlappingIsSummedUp(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		flap := func(n int) {
			for range n {
				w.judge("host.oom", "", 1)
				w.on(time.Second)
				w.judge("host.oom", "", 0)
				w.on(2*time.Minute + 4*time.Second)
			}
		}
		flap(6)
		before := w.queued(w.alarm("oom-kill", watch.Cleared).ID)["mail"]
		flap(1) // the sixth time that it came back
		a := w.alarm("oom-kill", watch.Cleared)
		if n := w.queued(a.ID)["mail"]; n != before+1 || !a.Flapping() {
			w.t.Fatalf("%d letters, %d before: %+v", n, before, a)
		}
		flap(5)
		if n := w.queued(a.ID)["mail"]; n != before+1 {
			w.t.Errorf("%d letters within the hour, want the one notice", n)
		}
		w.on(50 * time.Minute) // the hour since the notice is over
		if n := w.queued(a.ID)["mail"]; n != before+2 {
			w.t.Errorf("%d letters after an hour", n)
		}
		ls := w.send(before + 2)
		i := slices.IndexFunc(ls, func(m mail.Message) bool { return strings.Contains(m.Subject, "comes and goes: 5 times") })
		if i < 0 || !strings.Contains(ls[i].Text, "once an hour") {
			w.t.Errorf("no summary among %+v", ls)
		}
		w.on(2 * time.Hour) // it stayed away
		if a := w.alarms("oom-kill")[0]; a.Flapping() || w.queued(a.ID)["mail"] != before+2 {
			w.t.Errorf("%+v", a)
		}
	})
}
