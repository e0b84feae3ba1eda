package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/notify"
)

// webhooks is the reference library of Standard Webhooks.
const webhooks = "standardwebhooks@1.1.1"

// verifies reads {key, headers, body} and says whether the library takes it.
const verifies = `const { Webhook } = require('standardwebhooks')
const x = JSON.parse(require('fs').readFileSync(0, 'utf8'))
try { new Webhook(x.key).verify(x.body, x.headers); console.log('true') } catch (e) { console.log(e.message) }
`

// library is where npm has put the library, or the test is skipped.
func library(t *testing.T) (node, dir string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no judge: node is not installed")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip("no judge: ", err)
	}
	dir = filepath.Join(cache, "writ-tests", webhooks)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "standardwebhooks", "package.json")); err == nil {
		return node, dir
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("no judge in " + dir + ", and there is no npm to fetch it")
	}
	must(t, os.MkdirAll(dir, 0o700))
	out, err := exec.CommandContext(t.Context(), npm, "install", "--prefix", dir, "--no-package-lock", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", webhooks).CombinedOutput()
	if err != nil {
		t.Skipf("no judge: npm could not fetch it: %v\n%s", err, out)
	}
	return node, dir
}

// The library that receivers of webhooks use takes what we sign, by the key that we gave, and nothing
// that was changed, is old, or was signed for somebody else.
func TestJudgeStandardWebhooks(t *testing.T) { // breaks: mon.notify
	node, dir := library(t)
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	w.Clock.Advance(time.Since(w.Clock.Now())) // the judge knows what time it is
	h := newHook(t, func(http.ResponseWriter, int) {})
	key := w.channel(notify.Webhook, h.URL+"/x")
	w.queue(msg("alarm/1"))
	w.until("alarm/1", notify.Accepted, 0)
	r, body := h.got[0], h.bodies[0]
	script := filepath.Join(dir, "verify.cjs")
	must(t, os.WriteFile(script, []byte(verifies), 0o600))
	says := func(key, body string, change func(map[string]string)) string {
		t.Helper()
		head := map[string]string{}
		for _, n := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
			head[n] = r.Header.Get(n)
		}
		change(head)
		in, err := json.Marshal(map[string]any{"key": key, "body": body, "headers": head})
		must(t, err)
		cmd := exec.CommandContext(t.Context(), node, script)
		cmd.Stdin = bytes.NewReader(in)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	same := func(map[string]string) {}
	if got := says(key.Reveal(), body, same); got != "true" {
		t.Errorf("ours: %s", got)
	}
	for what, got := range map[string]string{
		"another body": says(key.Reveal(), body+" ", same),
		"another key":  says("whsec_"+strings.Repeat("A", 44), body, same),
		"another id":   says(key.Reveal(), body, func(h map[string]string) { h["webhook-id"] += "x" }),
		"an old time":  says(key.Reveal(), body, func(h map[string]string) { h["webhook-timestamp"] = "1700000000" }),
	} {
		if got == "true" {
			t.Errorf("%s is taken", what)
		}
	}
}

// A program that speaks to any mail server brings reports to our intake, and reads why one is refused.
func TestJudgeSwaks(t *testing.T) {
	swaks, err := exec.LookPath("swaks")
	if err != nil {
		t.Skip("the judge is not there: swaks of Debian")
	}
	var got []notify.Letter
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), func(d *notify.Deps) {
		d.Inbox = "report@example.test"
		d.Read = func(_ context.Context, l notify.Letter) error { got = append(got, l); return nil }
	})
	at := filepath.Join(t.TempDir(), "in.sock")
	l, err := notify.ListenIntake(at)
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.s.Intake(ctx, l) }()
	defer func() { stop(); must(t, <-done) }()
	bring := func(more ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), swaks, append([]string{"--protocol", "LMTP", "--socket", at, "--from", "uma@customer.example", "--helo", "localhost", "--timeout", "30s",
			"--header", "Subject: It fails", "--add-header", "Received: from h (h.example [203.0.113.9]) by mx"}, more...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := bring("--to", "report@example.test", "--body", "I cannot sign in – since nine."); err != nil || len(got) != 1 || got[0].Text != "I cannot sign in – since nine." || got[0].From != "uma@customer.example" || got[0].Addr.String() != "203.0.113.9" {
		t.Errorf("%v %+v\n%s", err, got, out)
	}
	if out, err := bring("--to", "report@example.test", "--attach-type", "text/plain", "--attach-body", "I cannot sign in.", "--attach-type", "text/html", "--attach", "<b>Not this</b>"); err != nil || len(got) != 2 || got[1].Text != "I cannot sign in." {
		t.Errorf("what is attached: %v %+v\n%s", err, got, out)
	}
	for what, more := range map[string][]string{"to another address": {"--to", "writ@example.test", "--body", "I cannot sign in."}, "by a program": {"--to", "report@example.test", "--body", "I am away.", "--add-header", "Auto-Submitted: auto-replied"}} {
		if out, err := bring(more...); err == nil || !strings.Contains(out, "<** 550 ") || len(got) != 2 {
			t.Errorf("%s: %v %d\n%s", what, err, len(got), out)
		}
	}
}
