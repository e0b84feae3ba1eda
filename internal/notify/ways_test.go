package notify_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/notify"
	"writ/internal/secret"
)

const routing = "0123456789abcdef0123456789ABCDEF"

// event is what PagerDuty gets.
type event struct {
	Key     string `json:"routing_key"`
	Action  string `json:"event_action"`
	Dedup   string `json:"dedup_key"`
	Payload *struct{ Summary, Source, Severity string }
}

func (h *hook) events(t *testing.T) (out []event) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.bodies {
		var e event
		must(t, json.Unmarshal([]byte(b), &e))
		out = append(out, e)
	}
	return out
}

// PagerDuty is told of an alarm, that somebody looks at it and that it is over, in this order
// and under one key, each once; it is left alone for as long as it asks; what it calls wrong is
// not sent again.
func TestPagerDuty(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		h := newHook(w.t, func(rw http.ResponseWriter, n int) { // as its documentation says
			if n == 1 {
				rw.Header().Set("Retry-After", "600")
				rw.WriteHeader(http.StatusTooManyRequests)
				return
			}
			rw.WriteHeader(http.StatusAccepted)
			_, _ = rw.Write([]byte(`{"status":"success","message":"Event processed","dedup_key":"alarm/1"}`))
		})
		w.channel(notify.PagerDuty, h.URL+" "+routing)
		m := msg("alarm/1")
		m.Subject = strings.Repeat("ä", 2000)
		w.queue(m)
		d := w.until("alarm/1", notify.Deferred, 0)
		if wait := d.Due.Sub(w.Clock.Now()); wait < 9*time.Minute {
			w.t.Errorf("it asked for ten minutes; the next try is in %s", wait)
		}
		ctx := w.t.Context()
		w.Clock.Advance(time.Second)
		for range 2 { // a follower may see an entry twice
			must(w.t, w.s.Follow(ctx, "alarm/1", notify.Acknowledge, 7))
		}
		w.Clock.Advance(time.Second)
		must(w.t, w.s.Follow(ctx, "alarm/1", notify.Resolve, 8))
		must(w.t, w.s.Follow(ctx, "alarm/2", notify.Resolve, 9)) // of which it was told nothing
		eventually(w.t, "all three are taken", func() bool {
			got, resting := []string{}, true
			ds, err := w.s.Deliveries(ctx, notify.Query{About: "alarm/1"})
			must(w.t, err)
			for _, d := range ds {
				got, resting = append(got, d.State), resting && d.State != notify.Claimed && d.State != notify.Sent
			}
			if resting {
				w.Clock.Advance(10 * time.Second)
			}
			w.jobs.Nudge()
			return strings.Join(got, " ") == "accepted accepted accepted"
		})
		es := h.events(w.t)
		if len(es) != 4 || es[1].Action != "trigger" || es[2].Action != "acknowledge" || es[3].Action != "resolve" {
			w.t.Fatalf("%+v", es)
		}
		for _, e := range es {
			if e.Key != routing || e.Dedup != "alarm/1" {
				w.t.Errorf("%+v", e)
			}
		}
		if p := es[1].Payload; p == nil || len([]rune(p.Summary)) != 1024 || p.Severity != "critical" || p.Source == "" || es[2].Payload != nil {
			w.t.Errorf("%+v", es)
		}
		if w.raw(routing) {
			w.t.Error("the key stands in the database in clear")
		}
	})
}

// A test of the week calls nobody: it is over at once.
func TestPagerDutyIsTested(t *testing.T) {
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	h := newHook(t, func(rw http.ResponseWriter, _ int) { rw.WriteHeader(http.StatusAccepted) })
	w.channel(notify.PagerDuty, h.URL+" "+routing)
	_, err := w.s.Test(t.Context(), actor.System("test"), "ops", "")
	must(t, err)
	w.until("channel/ops", notify.Accepted, 0)
	es := h.events(t)
	if len(es) != 2 || es[0].Action != "trigger" || es[1].Action != "resolve" || es[0].Dedup != es[1].Dedup || es[0].Payload.Severity != "info" {
		t.Errorf("%+v", es)
	}
	bad := newHook(t, func(rw http.ResponseWriter, _ int) { rw.WriteHeader(http.StatusBadRequest) })
	must(t, w.s.RemoveChannel(t.Context(), actor.System("test"), "ops"))
	w.channel(notify.PagerDuty, bad.URL+" "+routing)
	w.queue(msg("alarm/bad"))
	if d := w.until("alarm/bad", notify.Rejected, 0); d.Code != "400" || d.Tries != 1 {
		t.Errorf("%+v", d)
	}
}

// Each of the other ways gets the one request that it documents, and no word of a message
// becomes a mark of it.
func TestOtherWays(t *testing.T) { // breaks: mon.notify
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	h := newHook(t, func(rw http.ResponseWriter, _ int) {})
	for i, c := range []struct {
		kind, typed, path string
		head              [2]string
		holds             []string
	}{
		{notify.Ntfy, h.URL + "/sub/alarms tk_1", "/sub/", [2]string{"Authorization", "Bearer tk_1"}, []string{`"topic":"alarms"`, `"title":"The disk is nearly full"`, `"priority":5`, `"click":"https://app.example.test/-/console/watch/1"`}},
		{notify.Ntfy, h.URL + "/alarms", "/", [2]string{"Authorization", ""}, []string{`"topic":"alarms"`}},
		{notify.Gotify, h.URL + "/push/ AbC.1", "/push/message", [2]string{"X-Gotify-Key", "AbC.1"}, []string{`"priority":9`, `"message":"Node one has 4 % left.`, `"url":"https://app.example.test/-/console/watch/1"`}},
		{notify.Teams, h.URL + "/flow?sig=x", "/flow?sig=x", [2]string{"Authorization", ""}, []string{`"type":"TextRun"`, `"contentType":"application/vnd.microsoft.card.adaptive"`, `"type":"Action.OpenUrl"`}},
		{notify.Slack, h.URL + "/s", "/s", [2]string{"Authorization", ""}, []string{`"type":"button"`, `"url":"https://app.example.test/-/console/watch/1"`, `"text":"*The disk is nearly full*`}},
	} {
		about := "alarm/" + string(rune('a'+i))
		w.channel(c.kind, c.typed)
		w.queue(msg(about))
		w.until(about, notify.Accepted, 0)
		must(t, w.s.RemoveChannel(t.Context(), actor.System("test"), "ops"))
		h.mu.Lock()
		r, body := h.got[i], h.bodies[i]
		h.mu.Unlock()
		if r.Method != http.MethodPost || r.URL.String() != c.path || r.Header.Get(c.head[0]) != c.head[1] || r.Header.Get("Content-Type") != "application/json" || !json.Valid([]byte(body)) {
			t.Errorf("%s: %s %s %v", c.kind, r.Method, r.URL, r.Header)
		}
		for _, want := range c.holds {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %s: %s", c.kind, want, body)
			}
		}
	}
	for _, c := range [][2]string{{notify.PagerDuty, "short"}, {notify.PagerDuty, h.URL}, {notify.Gotify, h.URL}, {notify.Gotify, h.URL + " a\x01b"}, {notify.Ntfy, h.URL}, {notify.Ntfy, h.URL + "/a?b"}, {notify.Teams, h.URL + " x"},
		{notify.Slack, h.URL + " x"}, {notify.Webhook, "a b c"}, {notify.Ntfy, ""}, {notify.Command, "pager"}} {
		if _, _, err := w.s.AddChannel(t.Context(), actor.System("test"), "bad", c[0], secret.NewText(c[1])); !errors.Is(err, fault.Invalid) {
			t.Errorf("%v was taken: %v", c, err)
		}
	}
}

// A command is started without a shell, an argument or anything of this server's environment;
// how it ends is the answer; one that others may change is not started.
func TestCommand(t *testing.T) { // breaks: mon.notify
	dir := t.TempDir()
	t.Setenv("WRIT_TEST_SECRET", "hunter2")
	script := func(name, text string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		must(t, os.WriteFile(p, []byte("#!/bin/sh\n"+text), mode))
		must(t, os.Chmod(p, mode))
		return p
	}
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), func(d *notify.Deps) {
		d.Commands = map[string]string{
			"pager":  script("pager", "cat > "+dir+"/in; env > "+dir+"/env; pwd >> "+dir+"/env; echo paged $# $*\n", 0o755),
			"later":  script("later", "echo busy >&2; exit 75\n", 0o755),
			"no":     script("no", "exit 3\n", 0o755),
			"unsafe": script("unsafe", "exit 0\n", 0o777),
			"gone":   filepath.Join(dir, "gone"),
			"loud":   script("loud", "head -c 100000 /dev/zero | tr '\\0' x\n", 0o755),
		}
	})
	for name, want := range map[string][2]string{"pager": {notify.Accepted, "exit 0"}, "later": {notify.Deferred, "exit 75"}, "no": {notify.Rejected, "exit 3"}, "unsafe": {notify.Rejected, "command_unsafe"}, "gone": {notify.Deferred, "command_missing"}, "loud": {notify.Accepted, "exit 0"}} {
		w.channel(notify.Command, name)
		w.queue(msg("alarm/" + name))
		d := w.until("alarm/"+name, want[0], 0)
		must(t, w.s.RemoveChannel(t.Context(), actor.System("test"), "ops"))
		if d.Code != want[1] || len(d.Attempts[0].Text) > 512 {
			t.Errorf("%s: %+v", name, d)
		}
		if name == "pager" && d.Attempts[0].Text != "paged 0\n" {
			t.Errorf("%q", d.Attempts[0].Text)
		}
	}
	in, err := os.ReadFile(filepath.Join(dir, "in"))
	must(t, err)
	var got struct{ Data struct{ Subject, URL string } }
	if err := json.Unmarshal(in, &got); err != nil || got.Data.Subject != "The disk is nearly full" || got.Data.URL == "" {
		t.Errorf("%s: %v", in, err)
	}
	env, err := os.ReadFile(filepath.Join(dir, "env"))
	must(t, err)
	if strings.Contains(string(env), "WRIT") || strings.Contains(string(env), "HOME") || !strings.HasSuffix(string(env), "\n/\n") {
		t.Errorf("%s", env)
	}
	w.channel(notify.Command, "pager")
	delete(w.s.Commands, "pager")
	w.queue(msg("alarm/unlisted"))
	if d := w.until("alarm/unlisted", notify.Rejected, 0); d.Code != "command_unlisted" {
		t.Errorf("%+v", d)
	}
}
