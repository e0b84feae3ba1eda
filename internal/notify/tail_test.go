package notify_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
	"writ/internal/notify"
	"writ/internal/secret"
)

const (
	bot     = "123456:ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	appKey  = "azGDORePK8gMaC0QOYAMyEEuzJnyUi"
	userKey = "uQiRzpo4DXghDmr9QzzfQu27cmVRsG"
	genie   = "eb243592-faa2-4ba2-a551-1afdf565c889"
)

// Each way of the long tail gets the one request that its service documents, with a message that
// calls nobody but those who are meant, and no key of it stands in clear.
func TestLongTail(t *testing.T) { // breaks: mon.notify
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	h := newHook(t, func(rw http.ResponseWriter, _ int) {
		rw.WriteHeader(http.StatusAccepted)
		_, _ = rw.Write([]byte(`{"ok":true,"result":"success","status":1}`))
	})
	for i, c := range []struct {
		kind, typed, path, method, kindOf string
		head                              [2]string
		holds                             []string
	}{
		{notify.Telegram, h.URL + " " + bot + " -1001234", "/bot" + bot + "/sendMessage", "POST", "application/json", [2]string{}, []string{`"chat_id":"-1001234"`, `"text":"The disk is nearly full @channel \u003c!channel\u003e`, `https://app.example.test/-/console/watch/1"`, `"disable_notification":false`}},
		{notify.Matrix, h.URL + "/!room:example.com syt_secret", "/_matrix/client/v3/rooms/%21room:example.com/send/m.room.message/", "PUT", "application/json", [2]string{"Authorization", "Bearer syt_secret"}, []string{`"msgtype":"m.text"`, `"body":"The disk is nearly full`}},
		{notify.Signal, h.URL + "/+491234567 +491234568,group.ABCDEFGHIJ=", "/v2/send", "POST", "application/json", [2]string{}, []string{`"number":"+491234567"`, `"recipients":["+491234568","group.ABCDEFGHIJ="]`, `"message":"The disk`}},
		{notify.GoogleChat, h.URL + "/v1/spaces/AAAA/messages?key=k&token=t", "/v1/spaces/AAAA/messages?key=k&token=t", "POST", "application/json", [2]string{}, []string{`"text":"The disk is nearly full @channel ‹!channel›`}},
		{notify.Opsgenie, h.URL + "/v2/alerts " + genie, "/v2/alerts", "POST", "application/json", [2]string{"Authorization", "GenieKey " + genie}, []string{`"alias":"alarm/e"`, `"priority":"P1"`, `"message":"The disk is nearly full`}},
		{notify.Pushover, h.URL + "/1/messages.json " + appKey + " " + userKey, "/1/messages.json", "POST", "application/json", [2]string{}, []string{`"token":"` + appKey + `"`, `"user":"` + userKey + `"`, `"priority":1`, `"url":"https://app.example.test/-/console/watch/1"`}},
		{notify.Zulip, h.URL + "/ops/alarms of Writ bot@zulip.example.com:abcdefghijklmnop", "", "", "", [2]string{}, nil}, // a topic with spaces is written with %20
		{notify.Zulip, h.URL + "/ops/alarms%20of%20Writ bot@zulip.example.com:abcdefghijklmnop", "/api/v1/messages", "POST", "application/x-www-form-urlencoded", [2]string{"Authorization", "Basic Ym90QHp1bGlwLmV4YW1wbGUuY29tOmFiY2RlZmdoaWprbG1ub3A="}, nil},
	} {
		if c.path == "" {
			if _, _, err := w.s.AddChannel(t.Context(), actor.System("test"), "bad", c.kind, secret.NewText(c.typed)); !errors.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", c.kind, err)
			}
			continue
		}
		about := "alarm/" + string(rune('a'+i))
		w.channel(c.kind, c.typed)
		m := msg(about)
		m.Subject, m.Text = "The disk is nearly full @channel <!channel>", "Node one has 4 % left. ``` @**all**"
		w.queue(m)
		w.until(about, notify.Accepted, 0)
		for _, key := range []string{bot, "syt_secret", appKey, genie, "abcdefghijklmnop"} {
			if w.raw(key) {
				t.Errorf("%s: the key stands in the database in clear", c.kind)
			}
		}
		must(t, w.s.RemoveChannel(t.Context(), actor.System("test"), "ops"))
		h.mu.Lock()
		r, body := h.got[len(h.got)-1], h.bodies[len(h.bodies)-1]
		h.mu.Unlock()
		got := r.URL.RequestURI()
		if c.kind == notify.Matrix {
			got = got[:strings.LastIndex(got, "/")+1]
		}
		if r.Method != c.method || got != c.path || r.Header.Get("Content-Type") != c.kindOf || c.head[0] != "" && r.Header.Get(c.head[0]) != c.head[1] {
			t.Errorf("%s: %s %s %v", c.kind, r.Method, r.URL.RequestURI(), r.Header)
		}
		if c.kindOf == "application/json" && !json.Valid([]byte(body)) {
			t.Errorf("%s: %s", c.kind, body)
		}
		for _, want := range c.holds {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %s: %s", c.kind, want, body)
			}
		}
		if c.kind == notify.Zulip {
			f, err := url.ParseQuery(body)
			if err != nil || f.Get("type") != "stream" || f.Get("to") != "ops" || f.Get("topic") != "alarms of Writ" || strings.Count(f.Get("content"), "```") != 2 || !strings.HasSuffix(f.Get("content"), "\n```\nhttps://app.example.test/-/console/watch/1") {
				t.Errorf("%s: %v", body, err)
			}
		}
	}
	for _, c := range [][2]string{{notify.Telegram, bot}, {notify.Telegram, "12:short 5"}, {notify.Telegram, "ftp://x.example.com " + bot + " 5"}, {notify.Matrix, "https://matrix.example.com token-1234"}, {notify.Matrix, "https://matrix.example.com/!r:x"},
		{notify.Signal, h.URL + "/+491234567 nobody"}, {notify.Signal, h.URL + "/abc +491234567"}, {notify.GoogleChat, "https://chat.googleapis.com/v1/rooms"}, {notify.Opsgenie, "short"}, {notify.Pushover, appKey}, {notify.Zulip, h.URL + "/ops x@y:abcdefghijklmnop"}, {notify.Zulip, ""}} {
		if _, _, err := w.s.AddChannel(t.Context(), actor.System("test"), "bad", c[0], secret.NewText(c[1])); !errors.Is(err, fault.Invalid) {
			t.Errorf("%v was taken: %v", c, err)
		}
	}
}

// What a service answers is read as it documents it: later, never, taken; and one that takes a
// message and says nothing leaves it unknown.
func TestLongTailAnswers(t *testing.T) { // breaks: mon.notify
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	by := func(kind, rest string, answer func(rw http.ResponseWriter)) notify.Message {
		t.Helper()
		h := newHook(t, func(rw http.ResponseWriter, _ int) { answer(rw) })
		_, _, err := w.s.AddChannel(t.Context(), actor.System("test"), kind, kind, secret.NewText(h.URL+rest))
		must(t, err)
		m := msg("alarm/" + kind)
		m.Channel, m.Repeat = kind, false
		return m
	}
	w.queue(by(notify.Matrix, "/!room:example.com syt_secret", func(rw http.ResponseWriter) { // M_LIMIT_EXCEEDED
		rw.Header().Set("Retry-After", "600")
		rw.WriteHeader(http.StatusTooManyRequests)
	}), by(notify.Pushover, "/1/messages.json "+appKey+" "+userKey, func(rw http.ResponseWriter) {
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = rw.Write([]byte(`{"token":"invalid","errors":["application token is invalid"],"status":0}`))
	}), by(notify.Zulip, "/ops/alarms bot@zulip.example.com:abcdefghijklmnop", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }))
	if d := w.until("alarm/matrix", notify.Deferred, 0); d.Due.Sub(w.Clock.Now()) < 9*time.Minute {
		t.Errorf("%+v", d)
	}
	if d := w.until("alarm/pushover", notify.Rejected, 0); d.Code != "400" || !strings.Contains(d.Attempts[0].Text, "token is invalid") {
		t.Errorf("%+v", d)
	}
	if d := w.until("alarm/zulip", notify.Unknown, 0); d.Tries != 1 {
		t.Errorf("%+v", d)
	}
}

// Opsgenie hears under the same alias that somebody looks at an alarm, and that it is over.
func TestOpsgenieFollows(t *testing.T) { // breaks: mon.notify
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	h := newHook(t, func(rw http.ResponseWriter, _ int) { rw.WriteHeader(http.StatusAccepted) })
	w.channel(notify.Opsgenie, h.URL+"/v2/alerts "+genie)
	w.queue(msg("alarm/1"))
	w.until("alarm/1", notify.Accepted, 0)
	for i, act := range []string{notify.Acknowledge, notify.Resolve} {
		w.Clock.Advance(time.Second)
		must(t, w.s.Follow(t.Context(), "alarm/1", act, int64(7+i)))
		eventually(t, act, func() bool {
			ds, err := w.s.Deliveries(t.Context(), notify.Query{About: "alarm/1"})
			must(t, err)
			w.jobs.Nudge()
			return len(ds) == i+2 && !slices.ContainsFunc(ds, func(d notify.Delivery) bool { return d.State != notify.Accepted })
		})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, want := range []string{"/v2/alerts", "/v2/alerts/alarm%2F1/acknowledge?identifierType=alias", "/v2/alerts/alarm%2F1/close?identifierType=alias"} {
		if got := h.got[i].URL.RequestURI(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// None of them leads inside.
func TestLongTailStaysOutside(t *testing.T) { // breaks: mon.notify
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), func(d *notify.Deps) { d.Allow = nil })
	for kind, typed := range map[string]string{notify.Telegram: "https://127.0.0.1:9 " + bot + " 5", notify.Matrix: "https://169.254.169.254/!room:x token-1234", notify.Zulip: "https://[::1]/ops/alarms b@example.com:abcdefghijklmnop"} {
		w.channel(kind, typed)
		w.queue(msg("alarm/" + kind))
		if d := w.until("alarm/"+kind, notify.Rejected, 0); d.Code != "address_refused" {
			t.Errorf("%s: %+v", kind, d)
		}
		must(t, w.s.RemoveChannel(t.Context(), actor.System("test"), "ops"))
	}
}

// Each try says over which version of TLS it went; a letter's is what the mailer says.
func TestTryHasItsVersionOfTLS(t *testing.T) { // breaks: mon.notify
	host := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(host.Close)
	old := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS12}
	old.StartTLS()
	t.Cleanup(old.Close)
	roots := x509.NewCertPool()
	roots.AddCert(host.Certificate())
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), func(d *notify.Deps) { d.Roots = roots })
	w.mail.answer = func(int) (mail.Answer, error) { return mail.Answer{Code: 250, TLS: "TLS 1.3"}, nil }
	plain := newHook(t, func(http.ResponseWriter, int) {})
	for name, c := range map[string]struct{ url, want string }{"new": {host.URL, "TLS 1.3"}, "old": {old.URL, "TLS 1.2"}, "plain": {plain.URL, ""}, "mail": {"", "TLS 1.3"}} {
		m := msg("alarm/" + name)
		if m.Channel = name; c.url != "" {
			_, _, err := w.s.AddChannel(t.Context(), actor.System("test"), name, notify.Webhook, secret.NewText(c.url))
			must(t, err)
		} else {
			m.To = "eli@example.test"
		}
		w.queue(m)
		if d := w.until("alarm/"+name, notify.Accepted, 0); len(d.Attempts) != 1 || d.Attempts[0].TLS != c.want {
			t.Errorf("%s: %+v", name, d.Attempts)
		}
	}
}

// A message to Slack has a button that acknowledges where it is asked for, beside the link.
func TestSlackMessageHasAButton(t *testing.T) { // breaks: mon.notify
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	h := newHook(t, func(http.ResponseWriter, int) {})
	w.channel(notify.Slack, h.URL)
	m := msg("alarm/1")
	m.Ack = "a1 a2"
	w.queue(m, msg("alarm/2"))
	w.until("alarm/1", notify.Accepted, 0)
	w.until("alarm/2", notify.Accepted, 0)
	h.mu.Lock()
	defer h.mu.Unlock()
	both := strings.Join(h.bodies, " ")
	if n := strings.Count(both, `"action_id":"acknowledge","value":"a1 a2"`); n != 1 || strings.Count(both, `"url":`) != 2 {
		t.Errorf("%s", both)
	}
}

// Whatever comes in the name of Slack is read or refused, and never read without its signature.
func FuzzReadSlack(f *testing.F) {
	now := time.Unix(1_700_000_000, 0)
	f.Add("1700000000", "v0=00", []byte("payload=%7B%7D"))
	f.Add("1700000000", "", []byte(`payload={"type":"block_actions","user":{"id":"U02ELI"},"actions":[{"action_id":"acknowledge","value":"a"}]}`))
	f.Fuzz(func(t *testing.T, at, sig string, body []byte) {
		if p, err := notify.ReadSlack(secret.Random(32), http.Header{"X-Slack-Request-Timestamp": {at}, "X-Slack-Signature": {sig}}, body, now); err == nil {
			t.Fatalf("%+v was read without the key", p)
		}
	})
}
