package e2e

import (
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// talker runs commands with --format json and notes which it has tried.
type talker struct {
	*council
	tried map[string]bool
}

// json wants exactly one JSON value on the standard output.
func (k *talker) json(t *testing.T, code int, c command) string {
	t.Helper()
	c.args = append(c.args, "--format", "json")
	r := must(t, code, c)
	d := json.NewDecoder(strings.NewReader(r.out))
	var v any
	if err := d.Decode(&v); err != nil {
		t.Errorf("writ %s: %v: %v", strings.Join(c.args, " "), err, r)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Errorf("writ %s prints more than one value: %s", strings.Join(c.args, " "), r.out)
	}
	words := c.args[:slices.IndexFunc(append(c.args, "-"), func(a string) bool { return strings.HasPrefix(a, "-") })]
	for n := range words {
		k.tried[strings.Join(words[:n+1], " ")] = true
	}
	return r.out
}

// ask is json of a command that the operator gives.
func (k *talker) ask(t *testing.T, args ...string) string {
	t.Helper()
	return k.json(t, 0, k.writ(args...))
}

// Whatever a command has to say, with --format json it says one JSON value and nothing
// else; no command is left out.
func TestFormatJSON(t *testing.T) {
	t.Parallel()
	f := newFolder(t, setup{owners: threeOwners})
	s := f.launch("serve", "--dir", f.dir, "--format", "json")
	eventually(t, "the server is ready", func() bool { return strings.Contains(s.log.String(), `"msg":"ready"`) })
	k := &talker{newCouncil(t, s), map[string]bool{"serve": true, "init": true, "run": true}} // init: newFolder reads its JSON; run becomes what it starts
	k.ask(t, "version")
	k.document(t)
	k.deviations(t)
	k.record(t)
	k.people(t)
	k.rights(t)
	k.teams(t)
	k.glass(t)
	k.incidents(t)
	k.vault(t)
	k.encryption(t)
	k.items(t)
	k.care(t)
	k.applications(t)
	k.programs(t)
	k.ask(t, "gateway", "routes")
	k.ask(t, "gateway", "records", "--since", "1h")
	k.ask(t, "gateway", "freeze", "on", "--reason", "lost writes")
	k.ask(t, "gateway", "freeze", "off")
	k.ask(t, "gateway", "explain", "GET", "/", "--role", "member")
	k.ask(t, "gateway", "waf", "finds")
	excepted := decode[struct{ ID string }](t, k.ask(t, "gateway", "waf", "except", "--rule", "942100", "--route", "*", "--field", "ARGS:text", "--until", "30d", "--reason", "notes about databases"))
	k.ask(t, "gateway", "waf", "end", excepted.ID)
	k.ask(t, "gateway", "upstreams")
	k.ask(t, "gateway", "egress", "list")
	k.ask(t, "gateway", "egress", "allow", "api.partner.example", "--reason", "orders go there", "--until", "90d")
	k.ask(t, "gateway", "egress", "remove", "api.partner.example")
	k.ask(t, "gateway", "egress", "past", "--service", "billing", "--to", "127.0.0.1:1")
	k.ask(t, "gateway", "block", "add", "198.51.100.0/24", "--reason", "passwords are tried from there", "--until", "30d")
	k.ask(t, "gateway", "block", "list")
	k.ask(t, "gateway", "block", "remove", "198.51.100.0/24")
	k.ask(t, "gateway", "cache")
	k.ask(t, "gateway", "cache", "purge", "--path", "/static/")
	k.ask(t, "gateway", "maintenance", "on", "--reason", "move")
	k.watch(t)
	k.budgets(t)
	k.ask(t, "gateway", "maintenance", "off")
	k.ask(t, "prove", "auth.reset-link-lifetime")
	k.json(t, 1, k.writ("check"))
	k.seal(t)
	s.stop()
	for line := range strings.Lines(s.log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is no JSON: %s", line)
		}
	}
	for _, c := range commands(t) {
		if !k.tried[c] {
			t.Errorf("nobody tried writ %s with --format json", c)
		}
	}
}

// budgets plans a month, brings a bill and takes it out again.
func (k *talker) budgets(t *testing.T) {
	t.Helper()
	bring := func(text string, args ...string) {
		t.Helper()
		c := k.writ(args...)
		c.stdin = text
		k.json(t, 0, c)
	}
	bring("meter,price,per,currency\nrequests,0.40,1000000,EUR\n", "watch", "budget", "prices", "-")
	k.ask(t, "watch", "budget", "prices")
	k.ask(t, "watch", "budget", "set", "cloud", "--meter", "bill", "--plan", "5000 EUR")
	bring("day,service,amount,currency\n"+time.Now().UTC().Format(time.DateOnly)+",compute,12.5,EUR\n", "watch", "budget", "import", "-")
	if got := decode[struct {
		Budgets []struct{ Name, Actual string }
	}](t, k.ask(t, "watch", "budget", "list")).Budgets; len(got) != 1 || got[0].Name != "cloud" || got[0].Actual != "12.50" {
		t.Errorf("the budgets are %+v", got)
	}
	k.ask(t, "watch", "budget", "forecast", "cloud")
	bills := decode[struct {
		Costs []struct{ Source, Month string }
	}](t, k.ask(t, "watch", "budget", "bills")).Costs
	k.ask(t, "watch", "budget", "forget", bills[0].Source, bills[0].Month, "--reason", "a test of the commands")
	k.ask(t, "watch", "budget", "remove", "cloud")
}

// onCall sets a rota, asks for a turn and removes it.
func (k *talker) onCall(t *testing.T) {
	t.Helper()
	far := time.Now().UTC().AddDate(0, 0, 3).Weekday().String() // no turn changes meanwhile
	k.ask(t, "watch", "oncall", "set", "first", "--people", "ana@example.test,ben@example.test", "--zone", "UTC", "--day", far, "--at", "09:00")
	asked := decode[struct{ Of, By string }](t, k.ask(t, "watch", "oncall", "override", "first", "--by", "ben@example.test", "--until", time.Now().Add(time.Minute).UTC().Format(time.RFC3339)))
	if asked.Of != "ana" || asked.By != "ben" {
		t.Errorf("asked %+v", asked)
	}
	k.ask(t, "watch", "oncall", "show")
	k.ask(t, "watch", "oncall", "remove", "first")
}

// watch fires a test alarm, looks at it and says what it was.
func (k *talker) watch(t *testing.T) {
	t.Helper()
	fired := decode[struct{ Alarm string }](t, k.ask(t, "watch", "fire", "cpu-high"))
	k.ask(t, "watch", "alarms", "--rule", "cpu-high")
	k.ask(t, "watch", "route", "list")
	k.ask(t, "watch", "route", "test", fired.Alarm)
	k.ask(t, "watch", "show", fired.Alarm)
	proved := filepath.Join(t.TempDir(), "alarm.zip")
	k.ask(t, "watch", "bundle", fired.Alarm, "--out", proved)
	k.json(t, 0, command{args: []string{"verify", proved}})
	k.ask(t, "watch", "ack", fired.Alarm, "--note", "a test")
	k.ask(t, "watch", "close", fired.Alarm, "--verdict", "test")
	k.ask(t, "watch", "rules")
	k.ask(t, "watch", "lessons")
	k.ask(t, "watch", "baselines")
	must(t, 1, k.writ("watch", "baselines", "accept", "weather", "--reason", "a test of the commands", "--format", "json"), "Nothing is learned of such a series.")
	k.tried["watch baselines accept"] = true // nothing is learned before the first minutes
	k.ownRule(t)
	silence := decode[struct{ ID string }](t, k.ask(t, "watch", "silence", "add", "alertname=cpu-high", "--link", "clause/mon.load", "--reason", "a test of the commands"))
	k.ask(t, "watch", "silence", "list")
	k.ask(t, "watch", "silence", "show", silence.ID)
	k.ask(t, "watch", "silence", "end", silence.ID)
	k.ask(t, "watch", "channel", "add", "folder", "--kind", "file")
	k.ask(t, "watch", "channel", "list")
	sent := decode[struct{ Delivery string }](t, k.ask(t, "watch", "send-test", "folder"))
	k.onCall(t)
	k.ask(t, "watch", "mute", "set", "nights", "--from", "20:00", "--to", "07:00", "--reason", "a test of the commands")
	k.ask(t, "watch", "mute", "list")
	k.ask(t, "watch", "mute", "remove", "nights")
	k.ask(t, "watch", "meter", "set", "own.orders", "--kind", "count", "--says", "Orders that were paid", "--every", "1m", "--below", "5")
	k.ask(t, "watch", "sample", "push", "own.orders", "12")
	k.ask(t, "watch", "meter", "list")
	k.ask(t, "watch", "meter", "remove", "own.orders")
	k.ask(t, "watch", "exports")
	k.ask(t, "watch", "chart", "requests", "--by", "route", "--since", "1h")
	k.ask(t, "watch", "deliveries")
	k.ask(t, "watch", "deliveries", sent.Delivery)
	k.bounces(t)
	k.ask(t, "watch", "channel", "remove", "folder")
}

// bounces sends a letter that comes back, and takes its address from the list of those that
// letters do not reach.
func (k *talker) bounces(t *testing.T) {
	t.Helper()
	sent := decode[struct{ Delivery string }](t, k.ask(t, "watch", "send-test", "mail"))
	eventually(t, "the test is taken", func() bool {
		return decode[struct{ State string }](t, k.ask(t, "watch", "deliveries", sent.Delivery)).State == "accepted"
	})
	all := k.letters("")
	i := slices.IndexFunc(all, func(l letter) bool { return strings.Contains(l.Raw, sent.Delivery) })
	if i < 0 {
		t.Fatalf("none of %d letters is the test", len(all))
	}
	c := k.writ("notify", "bounce")
	c.stdin = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nOriginal-Envelope-Id: " + sent.Delivery +
		"\n\nFinal-Recipient: rfc822; " + strings.Trim(all[i].To, "<>") + "\nAction: failed\nStatus: 5.1.1\n\n--b--\n"
	k.json(t, 0, c)
	dead := decode[struct{ Addresses []struct{ ID string } }](t, k.ask(t, "notify", "unreachable"))
	if len(dead.Addresses) != 1 {
		t.Fatalf("letters do not reach %v", dead)
	}
	k.ask(t, "notify", "reachable", dead.Addresses[0].ID)
}

// document reads, proposes, signs and drops revisions.
func (k *talker) document(t *testing.T) {
	t.Helper()
	const ana, ben = "ana@example.test", "ben@example.test"
	text := k.exported(t)
	shorter, longer := edited(t, text, "auth.min-length", "value: 12", "value: 14"), edited(t, text, "auth.min-length", "value: 12", "value: 15")
	k.ask(t, "policy", "show")
	k.ask(t, "policy", "show", "auth.min-length")
	k.ask(t, "policy", "at", time.Now().UTC().Format(time.RFC3339))
	k.ask(t, "policy", "export")
	k.ask(t, "policy", "lint", shorter)
	k.ask(t, "policy", "diff", "1.0", shorter)
	k.json(t, 0, k.as(ana, "policy", "key", "add", k.keys[ana]))
	for _, o := range threeOwners {
		k.json(t, 0, k.as(o, "policy", "approve", "1.0", "--key", k.keys[o]))
	}
	k.ask(t, "policy", "key", "list")
	k.json(t, 0, k.as(ana, "policy", "propose", shorter, "--summary", "Longer passwords"))
	k.json(t, 0, k.as(ben, "policy", "reject", "1.1", "--reason", "not now"))
	k.json(t, 0, k.as(ana, "policy", "propose", longer, "--summary", "Longer still"))
	k.json(t, 0, k.as(ana, "policy", "withdraw", "1.1", "--reason", "a slip"))
	k.ask(t, "policy", "log")
}

// deviations asks for exceptions and attests.
func (k *talker) deviations(t *testing.T) {
	t.Helper()
	const ana, ben = "ana@example.test", "ben@example.test"
	asked := decode[struct{ ID string }](t, k.json(t, 0, k.as(ana, "exception", "request", ttl, "3h", "--until", "14d", "--reason", "mail is slow")))
	k.json(t, 0, k.as(ben, "exception", "approve", asked.ID, "--key", k.keys[ben]))
	k.ask(t, "exception", "list")
	k.ask(t, "exception", "revoke", asked.ID, "--reason", "mail is fast")
	k.json(t, 0, k.as(ana, "attest", "gov.contact", "--statement", "A test message was answered.", "--key", k.keys[ana]))
}

// record reads the journal and takes evidence out of it.
func (k *talker) record(t *testing.T) {
	t.Helper()
	bundle := filepath.Join(t.TempDir(), "e.zip")
	k.ask(t, "journal", "entries")
	k.ask(t, "journal", "entries", "2")
	k.ask(t, "journal", "verify")
	k.ask(t, "journal", "checkpoint")
	k.ask(t, "journal", "prove", "2")
	k.ask(t, "journal", "export", bundle, "--reason", "audit")
	k.json(t, 0, command{args: []string{"verify", bundle}})
}

// applications registers an application and removes it.
func (k *talker) applications(t *testing.T) {
	t.Helper()
	made := decode[struct{ Client struct{ ID string } }](t, k.ask(t, "token", "client", "add", "Wiki", "--redirect", "https://wiki.example.test/callback"))
	k.ask(t, "token", "client", "list")
	k.ask(t, "token", "client", "rotate", made.Client.ID)
	k.ask(t, "token", "client", "remove", made.Client.ID)
}

// people adds and removes somebody.
func (k *talker) people(t *testing.T) {
	t.Helper()
	k.ask(t, "user", "list")
	added := decode[struct{ Handle string }](t, k.ask(t, "user", "add", "emil@example.test", "--role", "engineer"))
	k.ask(t, "user", "show", "emil@example.test")
	k.ask(t, "user", "link", "emil@example.test")
	k.ask(t, "user", "sessions", "ana@example.test")
	k.ask(t, "user", "sessions", "ana@example.test", "--end")
	k.ask(t, "user", "disable", "emil@example.test")
	k.ask(t, "user", "erase", "emil@example.test", "--confirm", added.Handle)
	keys := decode[struct {
		Keys []struct{ Fingerprint, Handle string }
	}](t, k.ask(t, "policy", "key", "list"))
	k.ask(t, "policy", "key", "revoke", keys.Keys[0].Fingerprint)
}

// commands are those that the program completes, without those that hold others.
func commands(t *testing.T) []string {
	t.Helper()
	var out []string
	var walk func(words []string) bool
	walk = func(words []string) (found bool) {
		r := must(t, 0, command{args: append(append([]string{"__complete"}, words...), "")})
		for line := range strings.Lines(r.out) {
			name, says, ok := strings.Cut(strings.TrimSpace(line), "\t")
			if !ok || says == "" || strings.HasPrefix(name, "-") || slices.Contains([]string{"help", "completion", "demo"}, name) {
				continue // demo tells people where to look
			}
			if h := must(t, 0, command{args: append(slices.Clone(words), name, "--help")}); !strings.Contains(h.out, "Usage:\n  writ "+strings.Join(append(slices.Clone(words), name), " ")) {
				continue // an argument, not a command
			}
			found = true
			if next := append(slices.Clone(words), name); !walk(next) {
				out = append(out, strings.Join(next, " "))
			}
		}
		return found
	}
	walk(nil)
	if len(out) < 35 {
		t.Fatalf("only %d commands are completed: %q", len(out), out)
	}
	return out
}

// Each shell gets a script that it can read, which asks the program: clauses complete
// from the server that runs, and nothing breaks where none does.
func TestCompletion(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	r := must(t, 0, command{args: []string{"__complete", "prove", "--dir", s.dir, "auth.reset-link-l"}})
	if !strings.Contains(r.out, "auth.reset-link-lifetime\tA reset link") {
		t.Errorf("clauses: %v", r)
	}
	must(t, 0, command{args: []string{"__complete", "prove", "--dir", t.TempDir(), "auth."}})
	must(t, 0, command{args: []string{"__complete", "check", "--format", ""}}, "json", "text")
	for shell, word := range map[string]string{"bash": "__start_writ", "zsh": "#compdef writ", "fish": "complete -c writ", "powershell": "Register-ArgumentCompleter"} {
		script := must(t, 0, command{args: []string{"completion", shell}}, word).out
		if path, err := exec.LookPath(shell); err == nil && shell != "powershell" {
			c := exec.Command(path, "-n")
			c.Stdin = strings.NewReader(script)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%s cannot read its script: %v %s", shell, err, out)
			}
		}
	}
}
