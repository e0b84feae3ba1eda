package watch_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/notify"
	"writ/internal/policy/template"
	"writ/internal/secret"
	"writ/internal/watch"
)

// Each rule fires by the way that its facts really take: entries as the journal gives them,
// readings as the machine does.
func TestEveryRuleFires(t *testing.T) { // breaks: mon.alarms, mon.load
	both(t, func(w *world) {
		pack := watch.Pack()
		if len(pack) < 40 {
			w.t.Errorf("only %d rules", len(pack))
		}
		for i := range pack {
			r := &pack[i]
			es, rd := watch.FiredBy(r)
			if (len(es) > 0) == (rd.Meter != "") {
				w.t.Fatalf("%s is fired by entries or by a reading", r.ID)
			}
			if rd.Meter != "" {
				w.judge(rd.Meter, rd.Label, rd.Value)
			} else {
				if last := len(es) - 1; last > 0 {
					w.follow(es[:last]...)
					if as := w.alarms(r.ID); len(as) != 0 {
						w.t.Errorf("%s fired before its bound", r.ID)
					}
					es = es[last:]
				}
				w.follow(es...)
			}
			if r.For > 0 {
				if as := w.alarms(r.ID); len(as) != 0 {
					w.t.Errorf("%s fired before its time", r.ID)
				}
				w.on(r.For)
			}
			as := w.alarms(r.ID)
			if len(as) != 1 || as[0].State != watch.Firing || as[0].Severity != r.Severity || as[0].Labels["alertname"] != r.ID {
				w.t.Errorf("%s: %+v", r.ID, as)
			}
			w.quiet(`DELETE FROM watch_alarm`)
			w.quiet(`DELETE FROM watch_count`)
		}
	})
}

// Every rule says what a person needs, once.
func TestRulesAreWhole(t *testing.T) {
	clauses, seen := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^ +- id: (\S+)$`).FindAllStringSubmatch(string(template.YAML()), -1) {
		clauses[m[1]] = true
	}
	for _, r := range watch.Pack() {
		if seen[r.ID] {
			t.Errorf("%s stands twice", r.ID)
		}
		seen[r.ID] = true
		if !clauses[r.Clause] {
			t.Errorf("%s falls under %q, which the policy does not have", r.ID, r.Clause)
		}
		if r.Title == "" || r.Says == "" || r.Next == "" || r.Part == "" || strings.HasSuffix(r.Title, ".") || !strings.HasSuffix(r.Next, ".") {
			t.Errorf("%s does not say what it is: %+v", r.ID, r)
		}
		if (r.Reads == "") == (len(r.Streams) == 0) || r.Within > time.Hour || r.Within > 0 && r.Over < 1 || r.Reads != "" && r.Clear > r.Above {
			t.Errorf("%s is not well made", r.ID)
		}
	}
}

var named = regexp.MustCompile(`Name: "([a-z]+\.[a-z0-9-]+)"`)

// A rule that waits for an entry nobody writes would never fire.
func TestStreamsAreWritten(t *testing.T) { // breaks: mon.alarms
	written := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range named.FindAllStringSubmatch(string(b), -1) {
			written[m[1]] = true
		}
		return err
	})
	must(t, err)
	for _, r := range watch.Pack() {
		for _, s := range append(append([]string{}, r.Streams...), r.Ends...) {
			if !written[s] {
				t.Errorf("%s waits for %s, which nothing writes", r.ID, s)
			}
		}
	}
}

// The whole life of an alarm of a reading, with every time that decides.
func TestLife(t *testing.T) { // breaks: mon.alarms, mon.load
	both(t, func(w *world) {
		w.judge("host.cpu", "", 95)
		w.on(14 * time.Minute)
		w.judge("host.cpu", "", 50) // in time: it never was an alarm
		w.on(2 * time.Minute)
		if as := w.alarms("cpu-high"); len(as) != 0 {
			w.t.Fatalf("%+v", as)
		}
		w.judge("host.cpu", "", 95)
		w.on(15 * time.Minute)
		a := w.alarm("cpu-high", watch.Firing)
		w.judge("host.cpu", "", 80) // between its two bounds: nothing changes
		w.on(time.Hour)
		w.alarm("cpu-high", watch.Firing)
		must(w.t, w.s.Acknowledge(w.t.Context(), engineer, a.ID, "I look at top"))
		w.judge("host.cpu", "", 95)
		w.on(4*time.Hour - time.Second)
		if got := w.alarm("cpu-high", watch.Acknowledged); got.AckedBy != "person/eli" {
			w.t.Errorf("%+v", got)
		}
		w.on(2 * time.Second)
		w.alarm("cpu-high", watch.Firing) // the acknowledgement is over, and it goes on
		w.judge("host.cpu", "", 10)
		w.on(time.Minute)
		w.judge("host.cpu", "", 95) // not good for long enough
		w.on(2 * time.Minute)
		w.alarm("cpu-high", watch.Firing)
		w.judge("host.cpu", "", 10)
		w.on(2 * time.Minute)
		w.alarm("cpu-high", watch.Cleared)
		w.Clock.Advance(14 * time.Minute)
		w.judge("host.cpu", "", 95)
		if got := w.alarm("cpu-high", watch.Firing); got.Flaps != 1 || got.ID != a.ID {
			w.t.Errorf("it did not join the one of a quarter of an hour ago: %+v", got)
		}
		if err := w.s.Close(w.t.Context(), engineer, a.ID, "maybe", ""); !errors.Is(err, fault.Invalid) {
			w.t.Errorf("a verdict of maybe: %v", err)
		}
		must(w.t, w.s.Close(w.t.Context(), engineer, a.ID, watch.VerdictTrue, "a runaway job"))
		w.alarm("cpu-high", watch.Closed)
		if err := w.s.Close(w.t.Context(), engineer, a.ID, watch.VerdictFalse, ""); !errors.Is(err, fault.Conflict) {
			w.t.Errorf("a second verdict: %v", err)
		}
		if err := w.s.Acknowledge(w.t.Context(), engineer, a.ID, ""); !errors.Is(err, fault.Conflict) {
			w.t.Errorf("acknowledged after its end: %v", err)
		}
		d, err := w.s.Alarm(w.t.Context(), engineer, a.ID)
		must(w.t, err)
		var steps []string
		for _, s := range d.Steps {
			steps = append(steps, s.What)
		}
		want := "fired, told, acknowledged, acknowledgement ended, told again, level 1, cleared, fired again, closed as true"
		if got := strings.Join(steps, ", "); got != want {
			w.t.Errorf("steps %s\nwant  %s", got, want)
		}
		for _, e := range w.Recorded("watch.alarm-acknowledged") {
			if e.Fields["note"] != "I look at top" || strings.Contains(e.Body, "I look at top") {
				w.t.Errorf("the note is not kept as personal: %s", e.Body)
			}
		}
	})
}

// Who comes and goes is told once, and then by the hour.
func TestFlapping(t *testing.T) {
	w := lite(t)
	for range 8 {
		w.judge("host.oom", "", 1)
		w.on(time.Second)
		w.judge("host.oom", "", 0)
		w.on(2 * time.Minute)
	}
	a := w.alarm("oom-kill", watch.Cleared)
	if n := w.queued(a.ID)["folder"]; !a.Flapping() || n > 4 {
		t.Errorf("told %d times of %d flaps", n, a.Flaps)
	}
}

// Entries that come again, after a crash of whoever gives them, count nothing.
func TestReplayCountsNothing(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		es := many(20, entry("identity.sign-in-refused", "s:x"))
		w.follow(es...)
		must(w.t, w.s.Follow(w.t.Context(), es))
		w.again()
		must(w.t, w.s.Follow(w.t.Context(), es))
		if as := w.alarms("signin-failures-network"); len(as) != 0 {
			w.t.Fatalf("20 refusals that came three times are %+v", as)
		}
		w.follow(many(10, entry("identity.sign-in-refused", "s:x"))...)
		a := w.alarm("signin-failures-network", watch.Firing)
		if a.Labels["instance"] != "s:x" || a.Value != "30 in 10 min" {
			w.t.Errorf("%+v", a)
		}
		d, err := w.s.Alarm(w.t.Context(), operator, a.ID)
		if err != nil || len(d.Evidence) == 0 {
			w.t.Errorf("what it rests on: %v: %v", d.Evidence, err)
		}
		w.Clock.Advance(11 * time.Minute) // the window is over
		w.follow(entry("identity.sign-in-refused", "s:x"))
		if got := w.alarm("signin-failures-network", watch.Firing); got.Count != a.Count {
			w.t.Errorf("old refusals count still: %+v", got)
		}
	})
}

// What happened long before the first start is no alarm now.
func TestHistoryIsNoAlarm(t *testing.T) {
	w := lite(t)
	e := entry("vault.sealed", "writ/vault")
	e.N, e.At, e.Happened = 3, w.Clock.Now().Add(-time.Hour), w.Clock.Now().Add(-time.Hour)
	must(t, w.s.Follow(t.Context(), []journal.Entry{e}))
	if as := w.alarms("vault-sealed"); len(as) != 0 {
		t.Errorf("%+v", as)
	}
}

// The house's own canaries attack all day and are no alarm; a stranger who does the same is.
func TestCanariesCountNothing(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		key, err := w.Ring.Ensure(w.t.Context(), keyring.Strangers(w.Clock.Now()))
		must(w.t, err)
		_, err = w.Ring.Ensure(w.t.Context(), keyring.Person("canary-looks"))
		must(w.t, err)
		ps, err := w.DB.Pseudonyms(w.t.Context(), keyring.Person("canary-looks"))
		must(w.t, err)
		from := ledger.Pseudonym(key, string(actor.Stranger), "127.77.12.0/24")
		w.follow(many(60, entry("identity.sign-in-refused", from))...)
		w.follow(entry("identity.canary-planted", "writ/canary", journal.Field{Name: "person", State: journal.Public, Value: "canary-looks"}))
		refused := entry("access.refused", ps[0])
		refused.Kind = "person"
		w.follow(many(60, refused)...)
		w.follow(entry("identity.passkey-clone-seen", "s:other", journal.Field{Name: "person", State: journal.Public, Value: "canary-passkeys"}))
		read := entry("vault.param-read", "machine/canary", journal.Field{Name: "count", State: journal.Public, Value: int64(5000)})
		read.Team = "canary-vault"
		w.follow(read)
		as, err := w.s.Alarms(w.t.Context(), operator, watch.Query{})
		if err != nil || len(as) != 0 {
			w.t.Errorf("canaries raised %+v: %v", as, err)
		}
		w.follow(many(60, entry("identity.sign-in-refused", ledger.Pseudonym(key, string(actor.Stranger), "127.78.12.0/24")))...)
		w.alarm("signin-failures-network", watch.Firing)
	})
}

// Very many at once are few alarms, and one message.
func TestStorm(t *testing.T) { // breaks: mon.notify
	w := lite(t)
	var es []journal.Entry
	for i := range 3000 {
		e := entry("gateway.upstream-failed", "writ/gateway")
		e.Object = fmt.Sprintf("upstream/%d", i)
		es = append(es, e)
	}
	w.follow(es...)
	w.on(0)
	as := w.alarms("upstream-down")
	if len(as) != 101 {
		t.Fatalf("%d alarms of one rule", len(as))
	}
	var all int64
	told := 0
	for _, a := range as {
		all += a.Count
		if n := w.queued(a.ID); n["folder"] > 0 {
			told++
			if n["folder"] != 1 || n["mail"] != 1 {
				t.Errorf("told %v", n)
			}
		}
	}
	if all != 3000 || told != 1 {
		t.Errorf("of 3000 entries %d are in alarms; %d messages", all, told)
	}
	if l := w.send(1)[0]; !strings.Contains(l.Text, "And 91 more of this kind.") || !strings.HasPrefix(l.Subject, "PAGE: The application does not answer, and 100 more") {
		t.Errorf("%s\n%s", l.Subject, l.Text)
	}
}

// An alarm is in the folder at once while the mail host is not reached; its letter waits with the
// reason, and arrives when the host is back.
func TestToldWhileMailIsAway(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		w.away = &net.DNSError{Err: "no such host", Name: "mail.harbour.example.test", IsNotFound: true}
		w.follow(entry("vault.sealed", "writ/vault"))
		w.on(0)
		a := w.alarm("vault-sealed", watch.Firing)
		var letter string
		ctx, stop := context.WithCancel(w.t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = w.jobs.Run(ctx) }()
		states := map[string]string{}
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) { // no time passes for it
			w.jobs.Nudge()
			ds, err := w.notify.Deliveries(w.t.Context(), notify.Query{About: "alarm/" + a.ID})
			must(w.t, err)
			for _, d := range ds {
				if states[d.Channel] = d.State; d.Channel == notify.Mail {
					letter = d.ID
				}
			}
			if states["folder"] == notify.Accepted && states[notify.Mail] == notify.Deferred {
				break
			}
		}
		stop()
		<-done
		if len(states) != 2 || states["folder"] != notify.Accepted || states[notify.Mail] != notify.Deferred {
			w.t.Fatalf("told by %v", states)
		}
		files, err := filepath.Glob(filepath.Join(w.dir, "*.json"))
		must(w.t, err)
		if len(files) != 1 {
			w.t.Fatalf("%d alarms are in the folder", len(files))
		}
		if b, err := os.ReadFile(files[0]); err != nil || !strings.Contains(string(b), a.ID) {
			w.t.Errorf("%s %v", b, err)
		}
		d, err := w.notify.Delivery(w.t.Context(), letter)
		if err != nil || len(d.Attempts) != 1 || !strings.Contains(d.Attempts[0].Text, "no such host") {
			w.t.Errorf("%+v %v", d, err)
		}
		w.mu.Lock()
		w.away = nil
		w.mu.Unlock()
		if ls := w.send(1); ls[0].To != "eli@example.test" {
			w.t.Errorf("%+v", ls)
		}
	})
}

// A page goes out at once by two ways, and again and wider until somebody looks.
func TestToldUntilAcknowledged(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		w.follow(entry("vault.sealed", "writ/vault"))
		w.on(0)
		a := w.alarm("vault-sealed", watch.Firing)
		if n := w.queued(a.ID); n["mail"] != 1 || n["folder"] != 1 {
			w.t.Fatalf("told by %v", n)
		}
		w.on(5*time.Minute - time.Second)
		if n := w.queued(a.ID); n["mail"] != 1 {
			w.t.Errorf("told again too soon: %v", n)
		}
		w.on(time.Second)
		if n := w.queued(a.ID); n["mail"] != 3 || n["folder"] != 2 {
			w.t.Errorf("nobody acknowledged, and it went out to %v", n)
		}
		w.again() // the times stand in the table
		w.on(10 * time.Minute)
		if n := w.queued(a.ID); n["mail"] != 5 {
			w.t.Errorf("after a restart it went out to %v", n)
		}
		ls := w.send(5)
		i := slices.IndexFunc(ls, func(l mail.Message) bool { return l.To == "eli@example.test" })
		if i < 0 || !strings.Contains(ls[i].Text, "holders open it again") {
			w.t.Fatalf("%+v", ls)
		}
		token := secret.NewText(linkIn(w.t, ls[i]))
		as, err := w.s.Linked(w.t.Context(), token)
		if err != nil || len(as) != 1 {
			w.t.Fatalf("%v: %v", as, err)
		}
		w.alarm("vault-sealed", watch.Firing) // a look did nothing
		stranger := actor.Actor{Kind: actor.Stranger, ID: "198.51.100.0/24", Via: "https"}
		must(w.t, w.s.AcknowledgeByLink(w.t.Context(), stranger, token))
		if got := w.alarm("vault-sealed", watch.Acknowledged); got.AckedBy != "person/eli" {
			w.t.Errorf("%+v", got)
		}
		if err := w.s.AcknowledgeByLink(w.t.Context(), stranger, token); !errors.Is(err, fault.Gone) || len(w.Recorded("watch.link-refused")) != 1 {
			w.t.Errorf("a link twice: %v", err)
		}
		n := w.queued(a.ID)
		w.on(time.Hour)
		if got := w.queued(a.ID); got["mail"] != n["mail"] {
			w.t.Errorf("told after it was acknowledged: %v", got)
		}
	})
}

// Whoever has left acknowledges nothing by an old letter.
func TestLinkOfALeaver(t *testing.T) {
	w := lite(t)
	w.follow(entry("vault.sealed", "writ/vault"))
	w.on(0)
	token := secret.NewText(linkIn(t, w.send(1)[0]))
	w.mu.Lock()
	w.people = map[int64][]watch.Person{}
	w.mu.Unlock()
	if err := w.s.AcknowledgeByLink(t.Context(), actor.Actor{Kind: actor.Stranger, ID: "198.51.100.0/24"}, token); !errors.Is(err, fault.Gone) {
		t.Errorf("%v", err)
	}
	w.alarm("vault-sealed", watch.Firing)
}

// A ticket waits for others of its kind, and what follows within five minutes waits too.
func TestGroups(t *testing.T) {
	w := lite(t)
	w.follow(many(30, entry("identity.sign-in-refused", "s:a"))...)
	w.follow(many(30, entry("identity.sign-in-refused", "s:b"))...)
	w.on(0)
	as := w.alarms("signin-failures-network")
	if len(as) != 2 || len(w.queued(as[0].ID))+len(w.queued(as[1].ID)) != 0 {
		t.Fatalf("%+v", as)
	}
	w.on(30 * time.Second)
	if l := w.send(1); len(l) != 1 || !strings.Contains(l[0].Text, "s:a") || !strings.Contains(l[0].Text, "s:b") {
		t.Errorf("%+v", l)
	}
	w.follow(many(30, entry("identity.sign-in-refused", "s:c"))...)
	w.on(time.Minute)
	if n := len(w.Recorded("watch.alarm-told")); n != 2 {
		t.Errorf("told %d times within five minutes", n)
	}
	w.on(5 * time.Minute)
	if n := len(w.Recorded("watch.alarm-told")); n != 3 {
		t.Errorf("told %d times", n)
	}
}

// A silence keeps an alarm from being told, and no longer; what watches trust is always told.
func TestSilence(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		ms := func(text ...string) []watch.Matcher {
			out, _, err := w.s.ReadSilence(text, 0)
			must(w.t, err)
			return out
		}
		soon := w.Clock.Now().Add(time.Hour)
		for name, c := range map[string]struct {
			ms     []watch.Matcher
			reason string
			ends   time.Time
			code   string
		}{
			"no matcher":       {nil, "the disk is being moved", soon, "watch_matcher"},
			"no reason":        {ms("alertname=disk-full"), " ", soon, "watch_reason"},
			"over":             {ms("alertname=disk-full"), "the disk is being moved", w.Clock.Now(), "watch_ends"},
			"a month and more": {ms("alertname=disk-full"), "the disk is being moved", w.Clock.Now().Add(31 * 24 * time.Hour), "watch_ends"},
			"trust":            {ms("alertname=journal-broken"), "the disk is being moved", soon, "watch_trust"},
			"trust by part":    {ms("part=trust"), "the disk is being moved", soon, "watch_trust"},
			"trust with label": {ms("alertname=vault-sealed", "instance=x"), "the disk is being moved", soon, "watch_trust"},
			"itself":           {ms("alertname=~notify-.*"), "the disk is being moved", soon, "watch_trust"},
		} {
			_, err := w.s.Silence(w.t.Context(), engineer, c.ms, c.reason, c.ends)
			if code, _ := fault.PublicOf(err); code != c.code {
				w.t.Errorf("%s: %v", name, err)
			}
		}
		if n := len(w.Recorded("watch.silence-refused")); n != 8 {
			w.t.Errorf("%d of 8 refusals are recorded", n)
		}
		if _, err := w.s.Silence(w.t.Context(), support, ms("alertname=disk-full"), "the disk is being moved", soon); !errors.Is(err, fault.Denied) {
			w.t.Errorf("support: %v", err)
		}
		x, err := w.s.Silence(w.t.Context(), engineer, ms("alertname=oom-kill"), "the machine is taken apart", soon)
		must(w.t, err)
		w.judge("host.oom", "", 1)
		w.on(0)
		a := w.alarm("oom-kill", watch.Firing)
		if n := w.queued(a.ID); len(n) != 0 || !a.Silenced {
			w.t.Errorf("told %v: %+v", n, a)
		}
		w.on(time.Hour - time.Second)
		if n := w.queued(a.ID); len(n) != 0 {
			w.t.Errorf("told in the silence: %v", n)
		}
		w.on(time.Second)
		if n := w.queued(a.ID); n["mail"] == 0 {
			w.t.Errorf("not told when the silence ended: %v", n)
		}
		all, err := w.s.Silences(w.t.Context(), operator)
		if err != nil || len(all) != 1 || all[0].Hid != 1 || all[0].ID != x.ID || all[0].MadeBy != "person/eli" {
			w.t.Errorf("%+v: %v", all, err)
		}
	})
}

// A rule about which people say "false" is an alarm itself.
func TestImprecise(t *testing.T) {
	w := lite(t)
	for range 6 {
		w.judge("host.oom", "", 1)
		must(t, w.s.Close(t.Context(), engineer, w.alarms("oom-kill")[0].ID, watch.VerdictFalse, ""))
	}
	must(t, w.s.Sample(t.Context()))
	if a := w.alarm("rule-imprecise", watch.Firing); a.Labels["instance"] != "oom-kill" {
		t.Errorf("%+v", a)
	}
	all, err := w.s.Standings(t.Context())
	must(t, err)
	for _, st := range all {
		if st.ID == "oom-kill" && (st.Precision != 0 || st.Verdicts != 6 || st.Fired.IsZero()) {
			t.Errorf("%+v", st)
		}
	}
}

// A source that cannot be read is an alarm after three times its interval.
func TestSilentSource(t *testing.T) { // breaks: mon.alarms
	w := lite(t)
	w.sources = []watch.Source{{Name: "queue", Every: time.Minute, Read: func(ctxt) ([]watch.Reading, error) { return nil, errors.New("no database") }}}
	w.again()
	for range 19 {
		w.Clock.Advance(10 * time.Second)
		must(t, w.s.Sample(t.Context()))
	}
	if a := w.alarm("source-silent", watch.Firing); a.Labels["instance"] != "queue" {
		t.Errorf("%+v", a)
	}
}

// Small numbers are no trouble; a burst that is over is none any more; a real one is.
func TestBurn(t *testing.T) { // breaks: mon.load
	w := lite(t)
	m := w.s.Meter()
	note := func(n, status int, took time.Duration) {
		for range n {
			m.Note(status, took)
		}
	}
	note(40, 500, 0)
	must(t, w.s.Sample(t.Context()))
	if as := w.alarms("errors-burn"); len(as) != 0 {
		t.Fatalf("40 requests in all: %+v", as)
	}
	note(60, 200, 3*time.Second)
	must(t, w.s.Sample(t.Context()))
	w.Clock.Advance(10 * time.Second)
	must(t, w.s.Sample(t.Context()))
	w.alarm("errors-burn", watch.Firing)
	w.alarm("latency-burn", watch.Firing)
	w.Clock.Advance(10 * time.Minute)
	note(500, 200, time.Millisecond)
	must(t, w.s.Sample(t.Context()))
	w.on(3 * time.Minute)
	w.alarm("errors-burn", watch.Cleared)
}

// This machine can be read: the numbers are those of a machine.
func TestHost(t *testing.T) { // breaks: mon.load
	if _, err := os.Stat("/proc/stat"); err != nil {
		t.Skip("no /proc here")
	}
	w := lite(t)
	h := w.s.Host()
	_, err := h.Read(t.Context())
	must(t, err)
	w.Clock.Advance(10 * time.Second) // the machine's own clock did not: that is a jump
	rs, err := h.Read(t.Context())
	must(t, err)
	got := map[string]float64{}
	for _, r := range rs {
		got[r.Meter] = r.Value
	}
	if got["host.clock"] < 5 {
		t.Errorf("a clock that jumped by ten seconds reads %v", got["host.clock"])
	}
	for _, m := range []string{"host.memory", "host.disk"} {
		if v, ok := got[m]; !ok || v <= 0 || v > 100 {
			t.Errorf("%s reads %v", m, v)
		}
	}
	if got["process.tasks"] < 1 || got["process.files"] <= 0 {
		t.Errorf("%v", got)
	}
}

// A test alarm goes to people, says what it is, and spoils no numbers.
func TestFire(t *testing.T) {
	w := lite(t)
	id, err := w.s.Fire(t.Context(), engineer, "journal-broken")
	must(t, err)
	if _, err := w.s.Fire(t.Context(), engineer, "journal-broken"); !errors.Is(err, fault.Conflict) {
		t.Errorf("a second test: %v", err)
	}
	if _, err := w.s.Fire(t.Context(), engineer, "nothing"); !errors.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	if _, err := w.s.Fire(t.Context(), support, "cpu-high"); !errors.Is(err, fault.Denied) {
		t.Errorf("%v", err)
	}
	w.on(0)
	if l := w.send(1)[0]; !strings.HasPrefix(l.Subject, "[test] PAGE: ") || !strings.Contains(l.Text, "This is a test") {
		t.Errorf("%s", l.Subject)
	}
	must(t, w.s.Close(t.Context(), engineer, id, watch.VerdictTest, ""))
}

func FuzzParseMatcher(f *testing.F) {
	for _, s := range []string{"alertname=cpu-high", `part=~"load|service"`, "x!=y", "x!~", "=", "a=~(", "severity = page"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := watch.ParseMatcher(s)
		if err != nil {
			return
		}
		again, err := watch.ParseMatcher(m.String())
		if err != nil || again.String() != m.String() {
			t.Errorf("%q reads as %q, and that as %q: %v", s, m, again, err)
		}
	})
}
