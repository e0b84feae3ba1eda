package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
	"writ/internal/notify"
	"writ/internal/secret"
)

// One message, signed so that its receiver can check it, sent once however often it is
// queued; the words of the answer are kept sealed.
func TestWebhook(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		h := newHook(w.t, func(rw http.ResponseWriter, _ int) { _, _ = rw.Write([]byte("thank you, on-call")) })
		key := w.channel(notify.Webhook, h.URL+"/T0P/s3cret-path")
		w.queue(msg("alarm/1"))
		w.queue(msg("alarm/1"), msg("alarm/1"))
		d := w.until("alarm/1", notify.Accepted, 0)
		if h.count() != 1 {
			w.t.Fatalf("sent %d times", h.count())
		}
		if len(d.Attempts) != 1 || d.Attempts[0].Code != "200" || d.Attempts[0].Text != "thank you, on-call" || d.Attempts[0].Peer != "127.0.0.1" {
			w.t.Errorf("the ledger of tries: %+v", d.Attempts)
		}
		r, body := h.got[0], h.bodies[0]
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key.Reveal(), "whsec_"))
		if err != nil {
			w.t.Fatal(err)
		}
		m := hmac.New(sha256.New, raw)
		m.Write([]byte(r.Header.Get("Webhook-Id") + "." + r.Header.Get("Webhook-Timestamp") + "." + body))
		if want := "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil)); r.Header.Get("Webhook-Signature") != want {
			w.t.Errorf("signature %q, want %q", r.Header.Get("Webhook-Signature"), want)
		}
		if r.Header.Get("Webhook-Id") != d.ID || r.Header.Get("Webhook-Timestamp") != strconv.FormatInt(w.Clock.Now().Unix(), 10) {
			w.t.Errorf("headers %v", r.Header)
		}
		var got struct {
			Type string
			Data struct{ Subject, Text, Severity, About, URL string }
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Type != "writ.page" || got.Data.Subject != "The disk is nearly full" || got.Data.URL == "" {
			w.t.Errorf("body %s: %v", body, err)
		}
		for _, hidden := range []string{"s3cret-path", "nearly full", "on-call", key.Reveal()[6:]} {
			if w.raw(hidden) {
				w.t.Errorf("%q stands in the database in clear", hidden)
			}
		}
		if es := w.Recorded("notify.accepted"); len(es) != 1 || es[0].Fields["on"] != "alarm/1" {
			w.t.Errorf("entries %+v", es)
		}
	})
}

// What may succeed later is tried again at the time the receiver asks for; what never will is not.
func TestTriesAgain(t *testing.T) {
	both(t, func(w *world) {
		h := newHook(w.t, func(rw http.ResponseWriter, n int) {
			switch n {
			case 1:
				rw.Header().Set("Retry-After", "3600")
				rw.WriteHeader(http.StatusTooManyRequests)
			case 2:
				rw.WriteHeader(http.StatusBadGateway)
			}
		})
		w.channel(notify.Slack, h.URL)
		w.queue(msg("alarm/2"))
		d := w.until("alarm/2", notify.Deferred, 0)
		if wait := d.Due.Sub(w.Clock.Now()); wait < 59*time.Minute {
			w.t.Errorf("the receiver asked for an hour; the next try is in %s", wait)
		}
		w.Clock.Advance(time.Hour)
		if d = w.until("alarm/2", notify.Accepted, time.Second); len(d.Attempts) != 3 || d.Attempts[1].Outcome != notify.Deferred || d.Attempts[1].Code != "502" {
			w.t.Errorf("tries %+v", d.Attempts)
		}
		gone := newHook(w.t, func(rw http.ResponseWriter, _ int) { rw.WriteHeader(http.StatusNotFound) })
		if err := w.s.RemoveChannel(w.t.Context(), actor.System("test"), "ops"); err != nil {
			w.t.Fatal(err)
		}
		w.channel(notify.Webhook, gone.URL)
		w.queue(msg("alarm/3"))
		if d = w.until("alarm/3", notify.Rejected, 0); d.Code != "404" || d.Tries != 1 || len(w.Recorded("notify.rejected")) != 1 {
			w.t.Errorf("%+v", d)
		}
	})
}

// A receiver that stays away is tried for a day, and then it is rejected and said.
func TestGivesUp(t *testing.T) {
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	w.channel(notify.Webhook, "http://"+closedPort(t))
	w.queue(msg("alarm/4"))
	d := w.until("alarm/4", notify.Deferred, 0)
	if err := w.DB.Quiet(t.Context(), ledger.JobState, func(tx *ledger.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE notify_delivery SET made = made - $2 WHERE id = $1`, d.ID, (25 * time.Hour).Microseconds())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if d = w.until("alarm/4", notify.Rejected, time.Second); d.Code != "too_late" || d.Attempts[0].Outcome != notify.Deferred {
		t.Errorf("%+v", d)
	}
}

// Who took the message and did not answer may have it: it is unknown, and only an alarm
// goes out again, and says so.
func TestUnknownIsNotFailed(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		h := newHook(w.t, func(rw http.ResponseWriter, n int) {
			if n <= 2 {
				panic(http.ErrAbortHandler) // the connection ends without an answer
			}
		})
		w.channel(notify.Webhook, h.URL)
		w.queue(msg("letter/1"))
		d := w.until("letter/1", notify.Unknown, 0)
		w.Clock.Advance(48 * time.Hour)
		again := msg("alarm/5")
		again.Repeat = true
		w.queue(again)
		if a := w.until("alarm/5", notify.Accepted, time.Second); len(a.Attempts) != 2 || a.Attempts[0].Outcome != notify.Unknown {
			w.t.Errorf("tries %+v", a.Attempts)
		}
		if h.count() != 3 || !strings.Contains(h.bodies[2], `"may_repeat":true`) || strings.Contains(h.bodies[1], "may_repeat") {
			w.t.Errorf("sent %d times: %v", h.count(), h.bodies)
		}
		if d, err := w.s.Delivery(w.t.Context(), d.ID); err != nil || d.State != notify.Unknown || d.Tries != 1 {
			w.t.Errorf("the letter is %+v: %v", d, err)
		}
	})
}

// A process that ends while a message is handed over leaves it unknown, not queued again.
func TestEndedWhileSending(t *testing.T) {
	both(t, func(w *world) {
		w.mail.answer = func(int) (mail.Answer, error) { return mail.Answer{}, errors.New("refused") }
		w.queue(mailTo("letter/2"))
		d := w.until("letter/2", notify.Deferred, 0)
		if err := w.DB.Quiet(w.t.Context(), ledger.JobState, func(tx *ledger.Tx) error {
			_, err := tx.Exec(w.t.Context(), `UPDATE notify_delivery SET state = 'sent', held = 0 WHERE id = $1`, d.ID)
			return err
		}); err != nil {
			w.t.Fatal(err)
		}
		n := len(w.mail.all())
		w.Clock.Advance(time.Hour)
		d = w.until("letter/2", notify.Unknown, 0)
		if d.Code != "ended" || len(w.mail.all()) != n {
			w.t.Errorf("%+v, sent %d times after", d, len(w.mail.all())-n)
		}
	})
}

func mailTo(about string) notify.Message {
	m := msg(about)
	m.Channel, m.To, m.Thread = notify.Mail, "ana@example.test", "thread"
	return m
}

// What the mail server says decides: 5xx is final, 4xx is later, silence after the letter is unknown.
func TestMail(t *testing.T) {
	refusal := errors.New("refused")
	for name, c := range map[string]struct {
		answer mail.Answer
		err    error
		want   string
	}{
		"taken":        {mail.Answer{Code: 250, Text: "queued as 17"}, nil, notify.Accepted},
		"no mailbox":   {mail.Answer{Code: 550, Enhanced: "5.1.1"}, refusal, notify.Rejected},
		"full":         {mail.Answer{Code: 452, Enhanced: "4.2.2"}, refusal, notify.Deferred},
		"away":         {mail.Answer{}, refusal, notify.Deferred},
		"silent after": {mail.Answer{Handed: true}, refusal, notify.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
			w.mail.answer = func(int) (mail.Answer, error) { return c.answer, c.err }
			w.queue(mailTo("letter/3"))
			d := w.until("letter/3", c.want, 0)
			if l := w.mail.all()[0]; l.To != "ana@example.test" || l.ID != d.ID+"@writ" || l.Refs != "thread@writ" || !strings.Contains(l.Text, "Make room.") {
				t.Errorf("letter %+v", l)
			}
			if d.Attempts[0].Enhanced != c.answer.Enhanced {
				t.Errorf("%+v", d.Attempts)
			}
		})
	}
}

// No message leads inside, by a number, by a name, by a name that changes its mind, or by a redirect.
func TestWebhookDoesNotLeadInside(t *testing.T) { // breaks: mon.notify
	k := ledgertest.Open(t, jobs.Schema(), notify.Schema())
	h := newHook(t, func(rw http.ResponseWriter, _ int) {})
	port := h.URL[strings.LastIndex(h.URL, ":"):]
	var asked int
	w := open(t, k, func(d *notify.Deps) {
		d.Allow = []netip.Prefix{netip.MustParsePrefix("192.0.2.77/32")} // so that http is taken as an address
		d.Resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
			asked++
			switch host {
			case "mixed.example.test":
				return []netip.Addr{netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("127.0.0.1")}, nil
			case "rebinds.example.test":
				if asked%2 == 1 {
					return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
				}
				return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
			}
			return []netip.Addr{netip.MustParseAddr("10.0.0.7")}, nil
		}
	})
	for i, host := range []string{"127.0.0.1", "[::1]", "localhost", "169.254.169.254", "[::ffff:127.0.0.1]", "10.1.2.3", "192.168.0.1", "172.16.9.9", "100.64.0.1", "0.0.0.0", "[fe80::1]", "[fd00:ec2::254]",
		"[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1", "255.255.255.255", "mixed.example.test", "rebinds.example.test"} {
		name, about := "in"+strconv.Itoa(i), "alarm/in"+strconv.Itoa(i)
		asked = 0
		if _, _, err := w.s.AddChannel(t.Context(), actor.System("test"), name, notify.Webhook, secret.NewText("http://"+host+port+"/")); err != nil {
			t.Fatal(host, err)
		}
		m := msg(about)
		m.Channel = name
		w.queue(m)
		if d := w.until(about, notify.Rejected, 0); d.Code != "address_refused" {
			t.Errorf("%s: %s", host, d.Code)
		}
		if err := w.s.RemoveChannel(t.Context(), actor.System("test"), name); err != nil {
			t.Fatal(err)
		}
	}
	if h.count() != 0 {
		t.Errorf("a message came inside %d times", h.count())
	}
	out := newHook(t, func(rw http.ResponseWriter, _ int) {
		http.Redirect(rw, &http.Request{}, h.URL, http.StatusTemporaryRedirect)
	})
	b := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	b.channel(notify.Webhook, out.URL)
	b.queue(msg("alarm/away"))
	if d := b.until("alarm/away", notify.Rejected, 0); d.Code != "307" || h.count() != 0 {
		t.Errorf("a redirect was followed: %+v", d)
	}
}

func TestBadChannelsAndMessages(t *testing.T) {
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), func(d *notify.Deps) { d.Allow = nil })
	for _, c := range [][3]string{{"mail", notify.Webhook, "https://a.example/"}, {"A b", notify.Webhook, "https://a.example/"}, {"ops", "exec", "/bin/sh"}, {"ops", notify.Webhook, "http://a.example/"},
		{"ops", notify.Webhook, "https://user:pw@a.example/"}, {"ops", notify.Webhook, "file:///etc/passwd"}, {"ops", notify.Slack, ""}, {"ops", notify.Slack, "https://a.example/\r\nx"}} {
		if _, _, err := w.s.AddChannel(t.Context(), actor.System("test"), c[0], c[1], secret.NewText(c[2])); !errors.Is(err, fault.Invalid) {
			t.Errorf("%v was taken: %v", c, err)
		}
	}
	w.channel(notify.Webhook, "https://a.example/")
	if _, _, err := w.s.AddChannel(t.Context(), actor.System("test"), "ops", notify.Webhook, secret.NewText("https://a.example/")); !errors.Is(err, fault.Conflict) {
		t.Errorf("a second channel of one name: %v", err)
	}
	for name, spoil := range map[string]func(*notify.Message){
		"line break in the subject": func(m *notify.Message) { m.Subject = "a\r\nBcc: all@example.test" },
		"line break in the address": func(m *notify.Message) { m.To = "a@example.test\nBcc: b@example.test" },
		"nul":                       func(m *notify.Message) { m.Thread = "a\x00" },
		"no key":                    func(m *notify.Message) { m.Key = "" },
		"no severity":               func(m *notify.Message) { m.Severity = "" },
		"too long":                  func(m *notify.Message) { m.Text = strings.Repeat("x", 65<<10) },
	} {
		m := msg("alarm/bad")
		spoil(&m)
		if _, err := w.s.Prepare(t.Context(), m); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s was taken: %v", name, err)
		}
	}
	if err := w.s.RemoveChannel(t.Context(), actor.System("test"), notify.Mail); !errors.Is(err, fault.NotFound) {
		t.Errorf("mail was removed: %v", err)
	}
}

// What people type does not call everybody, nor become a link.
func TestSlackText(t *testing.T) {
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	h := newHook(t, func(http.ResponseWriter, int) {})
	w.channel(notify.Slack, h.URL)
	m := msg("alarm/slack")
	m.Subject = "<!channel> & <https://evil.example|click>"
	w.queue(m)
	w.until("alarm/slack", notify.Accepted, 0)
	var got struct{ Text string }
	if err := json.Unmarshal([]byte(h.bodies[0]), &got); err != nil || strings.ContainsAny(got.Text, "<>") || !strings.Contains(got.Text, "&lt;!channel&gt; &amp;") {
		t.Errorf("%q: %v", got.Text, err)
	}
	if h.got[0].Header.Get("Webhook-Signature") != "" {
		t.Error("signed where there is no secret")
	}
}

// Each channel is tested by the week, and that it was taken is remembered; a month later
// nobody can read what was said to whom, and that it was said stays.
func TestWeekAndMonth(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		w2 := open(w.t, w.Kit, func(d *notify.Deps) {
			d.Tester = func(context.Context) (string, error) { return "owner@example.test", nil }
		})
		if _, _, err := w2.s.AddChannel(w.t.Context(), actor.System("test"), "folder", notify.File, secret.Text{}); err != nil {
			w.t.Fatal(err)
		}
		if err := w2.s.Tend(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		if err := w2.s.Tend(w.t.Context()); err != nil { // in the same week
			w.t.Fatal(err)
		}
		d := w2.until("channel/mail", notify.Accepted, 0)
		w2.until("channel/folder", notify.Accepted, 0)
		cs, err := w2.s.Channels(w.t.Context())
		if err != nil || len(cs) != 2 || cs[0].Name != notify.Mail || cs[0].Accepted.IsZero() || cs[1].Accepted.IsZero() || cs[1].Kind != notify.File {
			w.t.Errorf("channels %+v: %v", cs, err)
		}
		names, err := filepath.Glob(filepath.Join(w2.dir, "*.json"))
		if err != nil || len(names) != 1 {
			w.t.Fatalf("files %v: %v", names, err)
		}
		if b, err := os.ReadFile(names[0]); err != nil || !strings.Contains(string(b), "Test of the channel folder") {
			w.t.Errorf("%s: %v", b, err)
		}
		w.Clock.Advance(31 * 24 * time.Hour)
		if err := w2.s.Tend(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		old, err := w2.s.Delivery(w.t.Context(), d.ID)
		if err != nil || old.State != notify.Accepted || len(old.Attempts) != 1 || old.Attempts[0].Text != "" || old.Attempts[0].Code != "250" {
			w.t.Errorf("after a month: %+v: %v", old, err)
		}
		var n int64
		if err := ledger.One(w.t.Context(), w.DB, `SELECT count(*) FROM notify_message WHERE made < $1`, []any{&n}, w.Clock.Now().Add(-time.Hour).UnixMicro()); err != nil || n != 0 {
			w.t.Errorf("%d old messages are left: %v", n, err)
		}
		if n := len(w.Recorded("notify.channel-tested")); n != 4 {
			w.t.Errorf("%d tests in two weeks of two channels", n)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "120", "-1", "99999999999999999999", "Mon, 02 Nov 2026 11:00:00 GMT", "soon"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d := notify.RetryAfter(s, ledgertest.Start); d < 0 || d > 6*time.Hour {
			t.Errorf("%q: %s", s, d)
		}
	})
}
