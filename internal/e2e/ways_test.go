package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A pager that keeps alarms of its own hears of an alarm, that somebody looks at it, and that it
// is over; a program that the settings name gets the message as well.
func TestWaysOfTheirOwn(t *testing.T) { // breaks: mon.notify
	t.Parallel()
	var mu sync.Mutex
	var acts []string
	pager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e struct {
			Action string `json:"event_action"`
			Dedup  string `json:"dedup_key"`
		}
		b, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(b, &e)
		if strings.HasPrefix(e.Dedup, "alarm/") { // tests of the week come as well
			mu.Lock()
			acts = append(acts, e.Action+" "+e.Dedup)
			mu.Unlock()
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(pager.Close)
	dir := t.TempDir()
	script := filepath.Join(dir, "page")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ncat >> "+dir+"/told\n"), 0o755); err != nil { //nolint:gosec // it is to be started
		t.Fatal(err)
	}
	s := start(t, setup{edit: func(text string) string {
		return text + "watch:\n  allow: [127.0.0.1]\n  commands: {pager: " + script + "}\n"
	}})
	add := func(name, kind, opener string) {
		c := s.writ("watch", "channel", "add", name, "--kind", kind)
		c.stdin = opener
		must(t, 0, c)
	}
	add("duty", "pagerduty", pager.URL+" 0123456789abcdef0123456789abcdef\n")
	add("script", "command", "pager\n")
	alarm := decode[struct{ Alarm string }](t, must(t, 0, s.writ("watch", "fire", "cpu-high", "--format", "json")).out).Alarm
	heard := func(act string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Contains(acts, act+" alarm/"+alarm)
		}
	}
	eventually(t, "the pager is told", heard("trigger"))
	must(t, 0, s.writ("watch", "ack", alarm, "--note", "a test"))
	eventually(t, "the pager hears that somebody looks", heard("acknowledge"))
	must(t, 0, s.writ("watch", "close", alarm, "--verdict", "test"))
	eventually(t, "the pager hears that it is over", heard("resolve"))
	eventually(t, "the program was started", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "told"))
		return strings.Contains(string(b), alarm)
	})
}
