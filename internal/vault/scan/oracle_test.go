package scan_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/leak"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/scan"
)

// counting says how often the values were opened.
type counting struct {
	scan.Values
	n   *int
	err *error
}

func (c counting) EachSecret(ctx context.Context, team string, fn func(string, vault.Type, secret.Bytes) error) error {
	if *c.n++; *c.err != nil {
		return *c.err
	}
	return c.Values.EachSecret(ctx, team, fn)
}

// To compare is to try values: who may not read them does not, and every comparison is an
// entry before its key leaves, and another with what it was asked when it ends.
func TestComparisonsAreRecorded(t *testing.T) { // breaks: vault.secret-home
	each(t, func(t *testing.T, w *world) {
		w.keep("/shop/smtp", "tangerine7boat", vault.SecureString)
		var opened int
		var fail error
		w.deps.Values = counting{w.deps.Values, &opened, &fail}
		w.again()
		ctx, eli := t.Context(), w.engineer()
		if _, err := w.svc.Compare(ctx, auditor); fault.KindOf(err) != fault.Denied || opened > 0 {
			t.Errorf("somebody who may not read values compares them: %v", err)
		}
		if _, err := w.svc.Which(ctx, auditor, "", nil); fault.KindOf(err) != fault.Denied {
			t.Errorf("%v", err)
		}
		begin := func() scan.Comparison {
			t.Helper()
			c, err := w.svc.Compare(ctx, eli)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		ended := func(n int, how, asked string) {
			t.Helper()
			es := w.kit.Recorded("vault.comparison-ended")
			if len(es) != n {
				t.Fatalf("%d ends, want %d", len(es), n)
			}
			if e := es[n-1]; e.Fields["how"] != how || fmt.Sprint(e.Fields["asked"]) != asked || e.Object != "comparison/"+fmt.Sprint(e.Fields["began"]) {
				t.Errorf("%+v", e)
			}
		}
		first := begin()
		if e := w.kit.Recorded("vault.comparison-begun"); len(e) != 1 || fmt.Sprint(e[0].Fields["values"]) != "1" || e[0].Fields["began"] != e[0].ID {
			t.Fatalf("%+v", e)
		}
		key, err := envelope.NewKey("scan", first.Key)
		if err != nil {
			t.Fatal(err)
		}
		mark := leak.MarkOf(key, "tangerine7boat")
		if got, err := w.svc.Which(ctx, eli, first.ID, []leak.Mark{mark, {}}); err != nil || got[mark] != "/shop/smtp" {
			t.Errorf("%v %v", got, err)
		}
		moved := eli
		moved.Team = "other"
		if _, err := w.svc.Which(ctx, moved, first.ID, nil); err == nil {
			t.Error("a comparison goes along into another team")
		}

		// A third of one person ends their oldest.
		w.kit.Clock.Advance(time.Second)
		second := begin()
		w.kit.Clock.Advance(time.Second)
		third := begin()
		ended(1, "replaced", "2")
		if e := w.kit.Recorded("vault.comparison-ended")[0]; fmt.Sprint(e.Fields["told"]) != "[/shop/smtp]" {
			t.Errorf("what it was told: %+v", e.Fields)
		}
		for id, want := range map[string]string{first.ID: "comparison_unknown", second.ID: "", third.ID: ""} {
			if _, err := w.svc.Which(ctx, eli, id, nil); code(err) != want {
				t.Errorf("%v, want %q", err, want)
			}
		}

		// A report that could not be recorded has used its comparison up.
		bad := scan.Report{Host: "laptop", Path: "/srv", Report: leak.Report{Hits: []leak.Hit{}}}
		stop, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := w.svc.File(stop, eli, bad, third.ID); err == nil {
			t.Error("it was recorded for nobody")
		}
		ended(2, "refused", "0")

		// One that nobody uses ends by itself, without another one.
		w.kit.Clock.Advance(31 * time.Minute)
		var run func(context.Context) error
		w.svc.Schedule(jobs(func(name string, f func(context.Context) error) {
			if name == "vault-comparisons" {
				run = f
			}
		}))
		if err := run(ctx); err != nil {
			t.Fatal(err)
		}
		ended(3, "expired", "0")

		fail = errors.New("the vault is shut")
		for range 33 { // what did not begin holds no place
			if _, err := w.svc.Compare(ctx, eli); !errors.Is(err, fail) {
				t.Fatalf("%v", err)
			}
		}
		fail = nil
		begin()
		if n := len(w.kit.Recorded("vault.comparison-ended")); n != 3 {
			t.Errorf("%d ends of comparisons that never began", n-3)
		}
	})
}

type jobs func(name string, run func(context.Context) error)

func (j jobs) Every(name string, _ time.Duration, run func(context.Context) error) { j(name, run) }

// hits are made up ones.
func hits(from, n int) (out []leak.Hit) {
	for i := range n {
		out = append(out, leak.Hit{ID: fmt.Sprintf("%016x", from+i), Rule: "github-token", Says: "A token", File: fmt.Sprintf("f%d", from+i), Masked: "ghp_… (40 characters)"})
	}
	return out
}

// Who may not decide about hits adds to them; nobody closes by a report what it never
// looked for, and excepts by one for longer than by word of mouth.
func TestReportsCloseNothing(t *testing.T) { // breaks: vault.secret-home
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		day := func(days int) string { return w.kit.Clock.Now().AddDate(0, 0, days).Format(time.DateOnly) }
		file := func(who actor.Actor, comparison string, unread []string, hs ...leak.Hit) (int64, error) {
			t.Helper()
			done, err := w.svc.File(ctx, who, scan.Report{Host: "laptop", Path: "/srv", Report: leak.Report{Hits: hs, Unread: unread}}, comparison)
			return done.Open, err
		}
		want := func(what string, open int64, who actor.Actor, comparison string, unread []string, hs ...leak.Hit) {
			t.Helper()
			if n, err := file(who, comparison, unread, hs...); err != nil || n != open {
				t.Errorf("%s: %d are open, want %d, %v", what, n, open, err)
			}
		}
		a, b := hits(1, 1)[0], hits(2, 1)[0]
		known := hits(3, 1)[0]
		known.Rule, known.Name = "known-value", "/shop/smtp"
		want("an auditor adds", 2, auditor, "", nil, a, b)
		want("and closes nothing", 2, auditor, "", nil)
		out := a
		out.Until, out.Reason = day(30), "a made-up key"
		want("nor excepts", 2, auditor, "", nil, out, b)
		fresh := hits(9, 1)[0]
		fresh.Until, fresh.Reason = day(30), "a made-up key"
		want("nor excepts what is new", 3, auditor, "", nil, fresh)
		for what, spoil := range map[string]func(h *leak.Hit){
			"for ever": func(h *leak.Hit) { h.Until = "9999-01-01" }, "beyond a year": func(h *leak.Hit) { h.Until = day(368) },
			"without an end": func(h *leak.Hit) { h.Until = "never" }, "without a reason": func(h *leak.Hit) { h.Reason = "short" },
		} {
			bad := out
			spoil(&bad)
			if _, err := file(w.engineer(), "", nil, bad); code(err) != "scan_excepted" {
				t.Errorf("excepted %s: %v", what, err)
			}
		}
		want("who may decide excepts", 1, w.engineer(), "", nil, out, b)
		want("an auditor opens nothing that is excepted", 1, auditor, "", nil, out)
		want("what was not read is not mended", 1, w.engineer(), "", []string{"f2"}, out)
		want("what was read is", 0, w.engineer(), "", []string{"f"}, out)
		want("a value is found", 1, w.engineer(), "", nil, known)
		want("rules never looked for it", 1, w.engineer(), "", nil)
		c, err := w.svc.Compare(ctx, w.engineer())
		if err != nil {
			t.Fatal(err)
		}
		want("who compared did", 0, w.engineer(), c.ID, nil)
	})
}

// However many hits are excepted, an open one is kept; and when there are more than are kept
// the place is not clean, whoever says what became of the others.
func TestNoHitIsDroppedUnseen(t *testing.T) { // breaks: vault.secret-home
	each(t, func(t *testing.T, w *world) {
		all := hits(1, 250)
		for i := range all[:249] {
			all[i].Until, all[i].Reason = w.kit.Clock.Now().AddDate(0, 1, 0).Format(time.DateOnly), "a made-up key"
		}
		w.deps.Look = func(context.Context, string, leak.Options) (leak.Report, error) { return leak.Report{Hits: all}, nil }
		w.again()
		w.sweep()
		if r := w.run("vault.places-clean"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "f250") {
			t.Errorf("behind many that are excepted: %+v", r)
		}
		all = hits(1000, 230)
		w.sweep()
		p := w.places()[0]
		if p.Dropped != 30 || fmt.Sprint(w.kit.Recorded("vault.scan-finished")[1].Fields["dropped"]) != "30" {
			t.Errorf("%d are dropped", p.Dropped)
		}
		for _, h := range p.Open {
			if err := w.svc.Decide(t.Context(), w.engineer(), scan.Decision{Place: p.ID, Hit: h.ID, Reason: "revoked at the provider"}); err != nil {
				t.Fatal(err)
			}
		}
		if r := w.run("vault.places-clean"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "30 more hits were found than are kept") {
			t.Errorf("with hits that were dropped: %+v", r)
		}
		all = nil
		w.sweep()
		if r := w.run("vault.places-clean"); r.Outcome != clause.Pass {
			t.Errorf("a later clean scan: %+v", r)
		}

		// A report of somebody who may not close does not forget them either.
		file := func(who actor.Actor, hs []leak.Hit) int64 {
			t.Helper()
			if _, err := w.svc.File(t.Context(), who, scan.Report{Host: "laptop", Path: "/srv", Report: leak.Report{Hits: hs}}, ""); err != nil {
				t.Fatal(err)
			}
			return w.places()[1].Dropped
		}
		for _, c := range []struct {
			who  actor.Actor
			hs   []leak.Hit
			want int64
		}{{auditor, hits(1, 203), 3}, {auditor, nil, 3}, {auditor, hits(1, 205), 5}, {w.engineer(), hits(1, 1), 0}} {
			if n := file(c.who, c.hs); n != c.want {
				t.Errorf("%d are dropped, want %d", n, c.want)
			}
		}
	})
}

// Places of a team are bounded, and every one of them is judged.
func TestEveryPlaceIsJudged(t *testing.T) { // breaks: vault.secret-home
	each(t, func(t *testing.T, w *world) {
		w.sweep()
		file := func(i int, hs ...leak.Hit) error {
			_, err := w.svc.File(t.Context(), w.engineer(), scan.Report{Host: "laptop", Path: fmt.Sprintf("/srv/%04d", i), Report: leak.Report{Hits: hs}}, "")
			return err
		}
		for i := range 1000 {
			if err := file(i); err != nil {
				t.Fatal(err)
			}
		}
		if err := file(1000); code(err) != "scan_places" {
			t.Errorf("one too many: %v", err)
		}
		if err := file(999, hits(1, 1)...); err != nil {
			t.Errorf("one that is known: %v", err)
		}
		if r := w.run("vault.places-clean"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "/srv/0999/f1") {
			t.Errorf("the last of them: %+v", r)
		}
	})
}

// An ignore file that is a pipe or a link stops no sweep, and excepts nothing.
func TestIgnoreFileThatIsNone(t *testing.T) {
	w := open(t, kit(t))
	list := filepath.Join(w.dir, leak.IgnoreFile)
	for what, plant := range map[string]func() error{"a pipe": func() error { return syscall.Mkfifo(list, 0o600) }, "a device": func() error { return os.Symlink("/dev/zero", list) }} {
		if err := plant(); err != nil {
			t.Fatal(err)
		}
		w.sweep()
		if r := w.run("vault.places-clean"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "could not be read") {
			t.Errorf("%s: %+v", what, r)
		}
		if err := os.Remove(list); err != nil {
			t.Fatal(err)
		}
	}
}

// The company's credentials are compared too: all of them by the server itself, and on
// somebody's machine those that are theirs.
func TestCredentialsAreKnown(t *testing.T) { // breaks: vault.secret-home, vault.company-creds
	each(t, func(t *testing.T, w *world) {
		w.items = map[string]kept{"item/1/password": {"eli", "correct horse plum 71"}, "item/2/password": {"ana", "violet harbour 41 kettles"}, "item/3/key": {"", "tangerine7boat"}, "item/4/pin": {"eli", "4711"}}
		w.keep("/shop/smtp", "tangerine7boat", vault.SecureString) // a parameter's name says more
		w.put("conf", "bank: correct horse plum 71\nother: violet harbour 41 kettles\nsmtp: tangerine7boat\npin: 4711\n")
		names := func(hits []string) string { slices.Sort(hits); return strings.Join(hits, " ") }
		w.sweep()
		var all []string
		for _, h := range w.places()[0].Open {
			all = append(all, h.Name)
		}
		if got := names(all); got != "/shop/smtp item/1/password item/2/password" {
			t.Errorf("the server's own look: %s", got)
		}
		if e := w.kit.Recorded("vault.scan-finished")[0]; strings.Contains(e.Body, "plum") || strings.Contains(e.Body, "kettles") {
			t.Errorf("%s", e.Body)
		}
		c, err := w.svc.Compare(t.Context(), w.engineer())
		if err != nil {
			t.Fatal(err)
		}
		key, err := envelope.NewKey("scan", c.Key)
		if err != nil {
			t.Fatal(err)
		}
		mine, others := leak.MarkOf(key, "correct horse plum 71"), leak.MarkOf(key, "violet harbour 41 kettles")
		got, err := w.svc.Which(t.Context(), w.engineer(), c.ID, []leak.Mark{mine, others})
		if err != nil || len(got) != 1 || got[mine] != "item/1/password" {
			t.Errorf("compared with %v (%v)", got, err)
		}
		if e := w.kit.Recorded("vault.comparison-begun"); fmt.Sprint(e[0].Fields["values"]) != "2" {
			t.Errorf("%+v", e)
		}
		w.items = nil
		w.deps.Items = failing{}
		w.again()
		if _, err := w.svc.Compare(t.Context(), w.engineer()); err == nil {
			t.Error("a comparison begins without the items")
		}
	})
}

// failing are items that cannot be read.
type failing struct{}

func (failing) EachSecret(context.Context, actor.Actor, string, func(string, secret.Text) error) error {
	return errors.New("the disk is gone")
}
