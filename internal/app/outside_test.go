package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"writ/internal/notify"
)

// The heartbeat's address is asked for behind the guard of webhooks, and no error names it.
func TestOutsideIsAsked(t *testing.T) { // breaks: mon.alarms
	asked, status := 0, http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.WriteHeader(status)
	}))
	defer srv.Close()
	a := &App{now: time.Now}
	a.notify = &notify.Service{}
	if a.outside() != nil {
		t.Error("without an address somebody is told")
	}
	a.config.Watch.Heartbeat = srv.URL + "/secret-token"
	ask := a.outside()
	if err := ask(context.Background()); err == nil || asked != 0 || strings.Contains(err.Error(), "secret-token") {
		t.Errorf("an address inside was asked %d times: %v", asked, err)
	}
	a.notify.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	if err := ask(context.Background()); err != nil || asked != 1 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	status = http.StatusFound
	if err := ask(context.Background()); err == nil || asked != 2 {
		t.Errorf("a redirect: %v", err)
	}
}

// What is outside tells the time with its answer: this clock is off by as much as neither the second
// of that header nor the way explains, and nothing is known once nobody answers any more.
func TestClockOutside(t *testing.T) { // breaks: mon.alarms
	now := time.Date(2026, 11, 2, 10, 0, 0, 500e6, time.UTC)
	said := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		now = now.Add(time.Second) // the way there
		w.Header()["Date"] = []string{said}
	}))
	defer srv.Close()
	a := &App{now: func() time.Time { return now }}
	a.notify = &notify.Service{}
	a.notify.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	a.config.Watch.Heartbeat = srv.URL
	ask := a.outside()
	if rs, err := a.readClock(t.Context()); err != nil || rs != nil {
		t.Errorf("known before anybody answered: %v %v", rs, err)
	}
	for ahead, want := range map[time.Duration]float64{0: 0, -time.Second: 0.5, 5 * time.Second: 3.5, -5 * time.Second: 4.5} { // of the clock outside
		said = now.Add(ahead).Truncate(time.Second).Format(http.TimeFormat)
		if err := ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rs, err := a.readClock(t.Context()); err != nil || len(rs) != 1 || rs[0].Label != "outside" || rs[0].Value != want {
			t.Errorf("%v ahead: %+v %v, want %v", ahead, rs, err, want)
		}
	}
	said = "soon"
	if err := ask(t.Context()); err != nil {
		t.Errorf("a time that is none: %v", err)
	}
	now = now.Add(6 * time.Minute)
	if rs, err := a.readClock(t.Context()); err != nil || rs != nil {
		t.Errorf("known long after: %v %v", rs, err)
	}
}

func TestHeartbeatURL(t *testing.T) {
	refused := func(key, _, _ string) error { return &settingError{key} }
	for url, ok := range map[string]bool{"": true, "https://listener.example.com/x": true, "http://listener.example.com/x": false, "https://u:p@listener.example.com": false, "listener": false} {
		if err := (WatchConf{Heartbeat: url}).check(refused); (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, c := range []SlackConf{{}, {Secret: "s"}, {Secret: "s", People: map[string]string{"ana": "ana@example.test"}}, {Secret: "s", People: map[string]string{"U02ABCDEF": "ana"}}} {
		if err := (WatchConf{Slack: &c}).check(refused); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	if err := (WatchConf{Slack: &SlackConf{Secret: "slack.secret", People: map[string]string{"U02ABCDEF": "ana@example.test"}}}).check(refused); err != nil {
		t.Error(err)
	}
	if err := (WatchConf{Allow: []string{"10.0.0.0/8"}, Heartbeat: "http://10.0.7.9/x"}).check(refused); err != nil {
		t.Error(err)
	}
}

type settingError struct{ key string }

func (e *settingError) Error() string { return e.key }
