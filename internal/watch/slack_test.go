package watch_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/secret"
	"writ/internal/watch"
)

const signing = "8f742231b10e8888abcd99yyyzzz85a5"

// press is what Slack sends when somebody presses a button, signed at a time.
func press(t *testing.T, user, act, value, key string, at time.Time) *http.Request {
	t.Helper()
	p, err := json.Marshal(map[string]any{"type": "block_actions", "user": map[string]string{"id": user}, "actions": []any{map[string]string{"action_id": act, "value": value}}})
	must(t, err)
	body := url.Values{"payload": {string(p)}}.Encode()
	m := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(m, "v0:%d:%s", at.Unix(), body)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/-/watch/slack", strings.NewReader(body))
	r.Header.Set("X-Slack-Request-Timestamp", fmt.Sprint(at.Unix()))
	r.Header.Set("X-Slack-Signature", fmt.Sprintf("v0=%x", m.Sum(nil)))
	return r
}

// A button of Slack acknowledges for the person whose address the settings name, if they may be
// told of alarms here; what is not signed, is old, or is of somebody else is refused and recorded.
func TestSlackButton(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		t := w.t
		w.slack = &watch.Slack{Key: secret.NewBytes([]byte(signing)), People: map[string]string{"U02ELI": "Eli@example.test", "U02OUT": "out@example.test"}}
		w.again()
		w.judge("host.oom", "", 1)
		w.on(0)
		a := w.alarm("oom-kill", watch.Firing)
		sent := func(r *http.Request) error {
			for _, route := range w.s.Routes() {
				if route.Pattern == "POST /-/watch/slack" {
					return route.Handle(httptest.NewRecorder(), r, actor.Actor{})
				}
			}
			t.Fatal("there is no such route")
			return nil
		}
		now := w.Clock.Now()
		for i, c := range []struct {
			r    *http.Request
			code string
		}{
			{press(t, "U02ELI", "acknowledge", a.ID, "another key", now), "slack_signature"},
			{press(t, "U02ELI", "acknowledge", a.ID, "", now), "slack_signature"},
			{press(t, "U02ELI", "acknowledge", a.ID, signing, now.Add(-5*time.Minute-time.Second)), "slack_old"},
			{press(t, "U02ELI", "acknowledge", a.ID, signing, now.Add(6*time.Minute)), "slack_old"},
			{press(t, "U02ELI", "delete", a.ID, signing, now), "slack_request"},
			{press(t, "U02WHO", "acknowledge", a.ID, signing, now), "slack_person"},
			{press(t, "U02OUT", "acknowledge", a.ID, signing, now), "slack_person"}, // has left
		} {
			if err := sent(c.r); codeOf(err) != c.code {
				t.Errorf("%d: %v, want %s", i, err, c.code)
			}
			if n := len(w.Recorded("watch.button-refused")); n != i+1 {
				t.Errorf("%d of %d refusals are recorded", n, i+1)
			}
		}
		w.alarm("oom-kill", watch.Firing)
		must(t, sent(press(t, "U02ELI", "acknowledge", a.ID, signing, now.Add(-4*time.Minute))))
		must(t, sent(press(t, "U02ELI", "acknowledge", a.ID, signing, now))) // twice does no harm
		if a := w.alarm("oom-kill", watch.Acknowledged); a.AckedBy != "person/eli" {
			t.Errorf("%+v", a)
		}
	})
}

// Messages to Slack have the button where it is set up, and messages of other ways never.
func TestSlackHasItsButton(t *testing.T) {
	for _, on := range []bool{true, false} {
		w := lite(t)
		if on {
			w.slack = &watch.Slack{Key: secret.NewBytes([]byte(signing)), People: map[string]string{"U02ELI": "eli@example.test"}}
		}
		w.again()
		if got := watch.ButtonOf(w.s, "slack", "a1", "a2"); (got == "a1 a2") != on {
			t.Errorf("%v: %q", on, got)
		}
		if got := watch.ButtonOf(w.s, "teams", "a1"); got != "" {
			t.Errorf("teams: %q", got)
		}
	}
}
