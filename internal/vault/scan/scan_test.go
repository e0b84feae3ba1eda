package scan_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/leak"
	"writ/internal/vault"
	"writ/internal/vault/scan"
)

func code(err error) string { c, _ := fault.PublicOf(err); return c }

// A declared place is searched by itself; a hit is a finding until a later scan does not
// see it, somebody says that it is mended, or excepts it until a day.
func TestSweep(t *testing.T) { // breaks: vault.secret-home
	each(t, func(t *testing.T, w *world) {
		if r := w.run("vault.places-clean"); r.Outcome != clause.Unknown || !strings.Contains(r.Summary, "not searched yet") {
			t.Errorf("before the first scan: %+v", r)
		}
		w.keep("/shop/smtp", "tangerine7boat", vault.SecureString)
		w.put("readme", "nothing\n")
		w.sweep()
		if r := w.run("vault.places-clean"); r.Outcome != clause.Pass {
			t.Errorf("a clean place: %+v", r)
		}
		tok := w.token()
		w.put("conf", "a: "+tok+"\nsmtp: tangerine7boat\n")
		w.sweep()
		r := w.run("vault.places-clean")
		if r.Outcome != clause.Fail || !strings.Contains(r.Summary, "2 hits") || !strings.Contains(r.Summary, "/conf") {
			t.Errorf("hits: %+v", r)
		}
		p := w.places()[0]
		if len(p.Open) != 2 || !p.Declared || p.Open[1].Name != "/shop/smtp" || p.Open[0].Rule != "github-token" || !strings.HasPrefix(p.Open[0].Masked, "ghp_…") || p.Scanner != "writ/vault" || !p.Known {
			t.Fatalf("%+v", p)
		}
		done := w.kit.Recorded("vault.scan-finished")
		if e := done[len(done)-1]; fmt.Sprint(e.Fields["hits"]) != "2" || strings.Contains(e.Body, tok[4:]) || strings.Contains(e.Body, "tangerine") || !strings.Contains(e.Body, p.Open[0].ID) || e.Clause != "vault.secret-home" {
			t.Errorf("%+v", e)
		}

		decide := func(d scan.Decision) error { return w.svc.Decide(t.Context(), w.engineer(), d) }
		until := w.kit.Clock.Now().Add(48 * time.Hour)
		for name, bad := range map[string]scan.Decision{
			"hit_reason":  {Place: p.ID, Hit: p.Open[0].ID, Reason: "short"},
			"hit_until":   {Place: p.ID, Hit: p.Open[0].ID, Reason: "a long reason", Until: until.AddDate(2, 0, 0)},
			"hit_unknown": {Place: p.ID, Hit: "0123456789abcdef", Reason: "a long reason"},
		} {
			if err := decide(bad); code(err) != name {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.svc.Decide(t.Context(), auditor, scan.Decision{Place: p.ID, Hit: p.Open[0].ID, Reason: "a long reason"}); fault.KindOf(err) != fault.Denied {
			t.Errorf("an auditor decides: %v", err)
		}
		if err := errors.Join(decide(scan.Decision{Place: p.ID, Hit: p.Open[0].ID, Reason: "revoked at the provider"}), decide(scan.Decision{Place: p.ID, Hit: p.Open[1].ID, Reason: "a test account only", Until: until})); err != nil {
			t.Fatal(err)
		}
		if r := w.run("vault.places-clean"); r.Outcome != clause.Pass {
			t.Errorf("mended and excepted: %+v", r)
		}
		w.sweep() // it is there still
		if ps := w.places(); len(ps[0].Open) != 2 || ps[0].Open[0].State != "open" || ps[0].Open[1].State != "excepted" {
			t.Errorf("what was called mended is seen again: %+v", ps[0].Open)
		}
		w.put("conf", "smtp: tangerine7boat\n")
		w.sweep()
		if r := w.run("vault.places-clean"); r.Outcome != clause.Pass {
			t.Errorf("a later clean scan: %+v", r)
		}
		w.kit.Clock.Advance(49 * time.Hour)
		w.sweep()
		if r := w.run("vault.places-clean"); r.Outcome != clause.Fail {
			t.Errorf("an exception that ended: %+v", r)
		}
		w.put("conf", "")
		w.sweep()
		if r := w.run("vault.places-clean"); r.Outcome != clause.Pass || len(w.places()[0].Open) != 0 {
			t.Errorf("at the end: %+v", r)
		}
	})
}

// A place that was not searched within the day, or not wholly, is no clean one.
func TestPlacesThatCannotBeJudged(t *testing.T) { // breaks: vault.secret-home
	each(t, func(t *testing.T, w *world) {
		w.sweep()
		w.kit.Clock.Advance(24*time.Hour + time.Second)
		if r := w.run("vault.places-clean"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "1 were not searched within the day") {
			t.Errorf("a day later: %+v", r)
		}
		w.sweep()
		if r := w.run("vault.places-clean"); r.Outcome != clause.Pass {
			t.Errorf("%+v", r)
		}
		w.deps.Look = func(context.Context, string, leak.Options) (leak.Report, error) {
			return leak.Report{Unread: []string{"shut"}}, nil
		}
		w.again()
		w.sweep()
		if r := w.run("vault.places-clean"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "1 files could not be read") {
			t.Errorf("%+v", r)
		}
		w.deps.Look, w.deps.Places = nil, append(w.deps.Places, w.dir+"/none")
		w.again()
		w.sweep()
		if r := w.run("vault.places-clean"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "it is not there") {
			t.Errorf("%+v", r)
		}
		if n := len(w.kit.Recorded("vault.scan-left")); n != 1 {
			t.Errorf("%d entries", n)
		}
		w.deps.Places = nil
		w.again()
		if r := w.run("vault.places-clean"); r.Outcome != clause.Unknown || !strings.Contains(r.Summary, "writ.yaml") {
			t.Errorf("nothing is declared: %+v", r)
		}
	})
}

// The canary passes, twice, leaves nothing behind, and sees a scan that finds nothing.
func TestCanary(t *testing.T) { // breaks: vault.secret-home
	each(t, func(t *testing.T, w *world) {
		for range 2 {
			if r := w.run("vault.scan-finds"); r.Outcome != clause.Pass || len(r.Steps) != 3 {
				t.Errorf("%+v", r)
			}
		}
		if left, err := os.ReadDir(w.deps.Temp); err != nil || len(left) > 0 {
			t.Errorf("%v stay behind, %v", left, err)
		}
		for name, look := range map[string]func(context.Context, string, leak.Options) (leak.Report, error){
			"finds nothing": func(context.Context, string, leak.Options) (leak.Report, error) { return leak.Report{}, nil },
			"knows no values": func(ctx context.Context, path string, o leak.Options) (leak.Report, error) {
				o.Known = nil
				return leak.Scan(ctx, path, o)
			},
			"finds everything": func(context.Context, string, leak.Options) (leak.Report, error) {
				return leak.Report{Hits: []leak.Hit{{Rule: "github-token"}}}, nil
			},
		} {
			w.deps.Look = look
			w.again()
			if r := w.run("vault.scan-finds"); r.Outcome != clause.Fail {
				t.Errorf("a scan that %s: %+v", name, r)
			}
		}
	})
}

// A credential that is kept as a plain setting is seen, and starts are counted.
func TestSettings(t *testing.T) { // breaks: vault.secret-home
	each(t, func(t *testing.T, w *world) {
		w.keep("/shop/port", "3000", vault.String)
		w.keep("/shop/token", w.token(), vault.SecureString)
		if r := w.run("vault.settings-plain"); r.Outcome != clause.Pass || !strings.Contains(r.Summary, "of 1 plain settings 0") || !strings.Contains(r.Summary, "0 times") {
			t.Errorf("%+v", r)
		}
		w.keep("/shop/hook", w.token(), vault.String)
		if r := w.run("vault.settings-plain"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "/shop/hook (github-token)") {
			t.Errorf("%+v", r)
		}
	})
}

// known is a comparison as a scan on another machine has it.
type known struct {
	w   *world
	id  string
	key envelope.Key
}

func (k known) Key() envelope.Key { return k.key }

func (k known) Which(ctx context.Context, marks []leak.Mark) (map[leak.Mark]string, error) {
	return k.w.svc.Which(ctx, k.w.engineer(), k.id, marks)
}

// A scan on another machine compares its words without telling them, and files a report;
// what is more than a report, or about this server's places, is refused.
func TestReports(t *testing.T) { // breaks: vault.secret-home
	each(t, func(t *testing.T, w *world) {
		w.keep("/shop/smtp", "tangerine7boat", vault.SecureString)
		w.keep("/shop/user", "postgres", vault.SecureString)
		w.put("conf", "smtp: tangerine7boat\nuser: postgres\n")
		c, err := w.svc.Compare(t.Context(), w.engineer())
		if err != nil {
			t.Fatal(err)
		}
		key, err := envelope.NewKey("scan", c.Key)
		if err != nil {
			t.Fatal(err)
		}
		rep := w.report(&leak.Options{Known: known{w, c.ID, key}})
		if len(rep.Hits) != 1 || rep.Hits[0].Name != "/shop/smtp" {
			t.Fatalf("%+v", rep.Hits)
		}
		other := w.engineer()
		other.ID = "eve"
		if _, err := w.svc.Which(t.Context(), other, c.ID, nil); code(err) != "comparison_unknown" {
			t.Errorf("somebody else's comparison: %v", err)
		}
		if _, err := w.svc.Which(t.Context(), w.engineer(), c.ID, make([]leak.Mark, 5001)); code(err) != "marks_many" {
			t.Errorf("%v", err)
		}
		if _, err := w.svc.File(t.Context(), support, rep, ""); fault.KindOf(err) != fault.Denied {
			t.Errorf("support files: %v", err)
		}
		for name, spoil := range map[string]func(*scan.Report){
			"scan_host":   func(r *scan.Report) { r.Host = "" },
			"scan_path":   func(r *scan.Report) { r.Path = "" },
			"scan_counts": func(r *scan.Report) { r.Bytes = -1 },
			"scan_hit":    func(r *scan.Report) { r.Hits = []leak.Hit{rep.Hits[0]}; r.Hits[0].Masked = "tangerine7boat" },
		} {
			bad := rep
			spoil(&bad)
			if _, err := w.svc.File(t.Context(), w.engineer(), bad, ""); code(err) != name {
				t.Errorf("%s: %v", name, err)
			}
		}
		done, err := w.svc.File(t.Context(), w.engineer(), rep, c.ID)
		if err != nil || done.Open != 1 {
			t.Fatalf("%+v %v", done, err)
		}
		if _, err := w.svc.File(t.Context(), w.engineer(), rep, c.ID); code(err) != "comparison_unknown" {
			t.Errorf("a comparison that is over: %v", err)
		}
		e := w.kit.Recorded("vault.scan-finished")[0]
		if e.ID != done.Entry || e.Fields["host"] != "laptop" || e.Fields["known"] != true || fmt.Sprint(e.Fields["compared"]) == "0" {
			t.Errorf("%+v", e)
		}
		w.sweep() // the declared place, which has the same files
		if r := w.run("vault.places-clean"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "2 hits") {
			t.Errorf("%+v", r)
		}
		w.put("conf", "")
		w.sweep()
		if r := w.run("vault.places-clean"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "laptop:/srv/eli/shop/conf") {
			t.Errorf("the other machine's is open still: %+v", r)
		}
		if done, err = w.svc.File(t.Context(), w.engineer(), w.report(&leak.Options{}), ""); err != nil || done.Open != 1 || w.places()[1].Known {
			t.Errorf("a scan by rules alone says that it compared values: %+v %v", done, err)
		}
		if c, err = w.svc.Compare(t.Context(), w.engineer()); err != nil {
			t.Fatal(err)
		}
		if done, err = w.svc.File(t.Context(), w.engineer(), w.report(&leak.Options{}), c.ID); err != nil || done.Open != 0 {
			t.Errorf("%+v %v", done, err)
		}
		if r := w.run("vault.places-clean"); r.Outcome != clause.Pass {
			t.Errorf("%+v", r)
		}
	})
}

// Guessing by marks is bound: the hour's words are counted for each person.
func TestMarksAreBound(t *testing.T) {
	w := open(t, kit(t))
	var opened int
	var none error
	w.deps.Values = counting{w.deps.Values, &opened, &none}
	w.again()
	c, err := w.svc.Compare(t.Context(), operator)
	if err != nil {
		t.Fatal(err)
	}
	marks := make([]leak.Mark, 5000)
	ask := func() error { _, err := w.svc.Which(t.Context(), operator, c.ID, marks); return err }
	for range 400 {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask(); code(err) != "marks_bound" {
		t.Errorf("beyond two million: %v", err)
	}
	w.kit.Clock.Advance(20 * time.Minute)
	if err := ask(); code(err) != "marks_bound" {
		t.Errorf("within the hour: %v", err)
	}
	w.kit.Clock.Advance(11 * time.Minute)
	if err := ask(); code(err) != "comparison_unknown" {
		t.Errorf("a comparison that nobody used: %v", err)
	}
	for i := range 32 {
		one := w.engineer()
		one.ID = fmt.Sprintf("eli%d", i)
		if _, err := w.svc.Compare(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.svc.Compare(t.Context(), operator); code(err) != "scans_many" || opened != 33 {
		t.Errorf("values were opened %d times for 33 comparisons: %v", opened, err)
	}
	w.kit.Clock.Advance(30 * time.Minute)
	if c, err = w.svc.Compare(t.Context(), operator); err != nil {
		t.Errorf("after the others are over: %v", err)
	}
	if err := ask(); err != nil {
		t.Errorf("after the hour: %v", err)
	}
}

// The ignore file of a place excepts, and what it excepts opens again with its line gone.
func TestIgnoreFile(t *testing.T) {
	w := open(t, kit(t))
	w.put("conf", w.token())
	w.sweep()
	h := w.places()[0].Open[0]
	w.put(leak.IgnoreFile, h.ID+" "+w.kit.Clock.Now().AddDate(0, 1, 0).Format(time.DateOnly)+" a made-up token in the manual\n")
	w.sweep()
	if p := w.places()[0]; p.Open[0].State != "excepted" || p.Open[0].Decided != "file/.writ-scan" || p.Excepted != 1 || w.run("vault.places-clean").Outcome != clause.Pass {
		t.Errorf("%+v", p)
	}
	w.put(leak.IgnoreFile, "no list\n")
	w.sweep()
	if r := w.run("vault.places-clean"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "Line 1 of the ignore file") {
		t.Errorf("%+v", r)
	}
	w.put(leak.IgnoreFile, "")
	w.sweep()
	if p := w.places()[0]; p.Open[0].State != "open" {
		t.Errorf("%+v", p)
	}
}

// The policy may say less than both homes, but not another, nor none that programs start from.
func TestRules(t *testing.T) {
	for _, bad := range [][]string{{"wiki"}, {"encrypted-database"}, {}} {
		if (&scan.Rules{Stores: bad}).Validate() == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if err := (&scan.Rules{Stores: []string{"parameter-store"}}).Validate(); err != nil {
		t.Error(err)
	}
}
