package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Entries and measurements go to the systems that the settings name, once each over a
// restart, and not to one inside that watch.allow does not name.
func TestExports(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	bodies := map[string]string{}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		bodies[r.URL.Path] += string(b)
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(receiver.Close)
	inside := strings.Replace(receiver.URL, "127.0.0.1", "127.0.0.2", 1)
	s := start(t, setup{edit: func(text string) string {
		return text + "watch:\n  allow: [127.0.0.1]\nexport:\n  to:\n" +
			"    - {name: otel, kind: otlp, address: " + receiver.URL + "}\n" +
			"    - {name: inside, kind: otlp, address: " + inside + "}\n" +
			"    - {name: lake, kind: ocsf, folder: events}\n"
	}})
	s.customer("maria@orchard.example")
	logs := func() string { mu.Lock(); defer mu.Unlock(); return bodies["/v1/logs"] }
	lake := func() string {
		files, _ := filepath.Glob(filepath.Join(s.dir, "events", "writ-*.jsonl"))
		all := ""
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all += string(b)
		}
		return all
	}
	eventually(t, "a sign-in is told", func() bool {
		return strings.Contains(logs(), `"eventName":"identity.signed-in"`) && strings.Contains(lake(), `"class_uid":3002`)
	})
	if strings.Contains(logs()+lake(), "maria") || strings.Contains(logs()+lake(), "canary") {
		t.Error("a person's address, or a canary, was told")
	}
	eventually(t, "the one inside is refused", func() bool {
		return strings.Contains(s.writ("watch", "exports").run(t).out, "the address is inside")
	})
	must(t, 1, s.writ("watch", "exports"), "otel", "lake", "the address is inside")
	s.stop()
	again := s.serve()
	again.customer("bo@orchard.example")
	eventually(t, "a sign-in after the restart is told", func() bool { return strings.Count(lake(), `"event_code":"identity.signed-in"`) >= 2 })
	once(t, logs(), `"writ.id","value":{"stringValue":"`)
	once(t, lake(), `"uid":"06`)

	again.owner("ana@example.test") // somebody stands behind the service
	must(t, 0, again.writ("token", "service", "scraper", "--role", "engineer"))
	made := decode[struct{ Token string }](t, must(t, 0, again.writ("token", "issue", "scrape", "--service", "scraper", "--scope", "watch.metrics", "--format", "json")).out)
	scrape(t, again, made.Token)
}

// once wants everything after a mark to stand there once.
func once(t *testing.T, text, mark string) {
	t.Helper()
	seen := map[string]bool{}
	parts := strings.Split(text, mark)
	if len(parts) < 3 {
		t.Fatalf("%d of %s", len(parts), mark)
	}
	for _, p := range parts[1:] {
		id, _, _ := strings.Cut(p, `"`)
		if seen[id] {
			t.Errorf("%s was told twice", id)
		}
		seen[id] = true
	}
}

// scrape reads measurements by a token that has this one right, and has promtool judge them.
func scrape(t *testing.T, s *server, token string) {
	t.Helper()
	v := s.visitor()
	get := func(auth string) answer {
		return v.send("GET", "/-/metrics", nil, http.Header{"Authorization": {auth}})
	}
	if a := v.send("GET", "/-/metrics", nil, nil); a.status != 401 {
		t.Errorf("a stranger got %d", a.status)
	}
	a := get("Bearer " + token)
	if a.status != 200 || !strings.Contains(a.body, `writ_requests_total{route="`) || !strings.Contains(a.body, "process_cpu_seconds_total") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, personal := range []string{"maria", "@", "127.0.0.", `"p:`} {
		if strings.Contains(a.body, personal) {
			t.Errorf("measurements hold %s", personal)
		}
	}
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("promtool is not here, so it does not judge")
		return
	}
	c := exec.Command(tool, "check", "metrics")
	c.Stdin = bytes.NewReader([]byte(a.body))
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}
