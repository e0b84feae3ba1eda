package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

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
	a := &App{}
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
