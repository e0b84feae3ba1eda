package journal_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/journal/verify"
	"writ/internal/ledger/ledgertest"
)

func TestEntriesAreNumberedAndProved(t *testing.T) {
	both(t, func(t *testing.T, kit *ledgertest.Kit) {
		j := build(t, kit)
		run(t, j)
		es := fill(t, kit, j, 20)
		for i, e := range es {
			if e.Act == "" || e.Leaf == nil || i > 0 && e.N <= es[i-1].N {
				t.Fatalf("entry %d: %+v", i, e)
			}
		}
		if r, err := j.Verify(t.Context(), nil); err != nil || !r.OK() {
			t.Fatalf("verify: %v %+v", err, r)
		}
		if _, _, err := j.Proof(t.Context(), es[3].N); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int64{-1, 10_000} {
			if _, _, err := j.Proof(t.Context(), n); !errors.Is(err, fault.NotFound) {
				t.Errorf("proof of entry %d: %v", n, err)
			}
		}
	})
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	if _, err := journal.New(journal.Deps{}); err == nil {
		t.Error("a journal of nothing")
	}
}

func TestBeforeTheFirstCheckpoint(t *testing.T) {
	kit := ledgertest.Open(t, journal.Schema())
	j := build(t, kit)
	if _, err := j.Head(t.Context()); !errors.Is(err, fault.Unavailable) {
		t.Errorf("head: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := j.Wait(ctx, "nobody"); !errors.Is(err, fault.Unavailable) {
		t.Errorf("wait: %v", err)
	}
}

// clock is the schedule of a test: it runs when the test says so.
type clock map[string]func(context.Context) error

func (c clock) Every(name string, _ time.Duration, run func(context.Context) error) { c[name] = run }

// breaks: log.tamper-evident
func TestNightlyCheckIsRecorded(t *testing.T) {
	kit := ledgertest.Open(t, journal.Schema())
	c := clock{}
	j, err := journal.New(journal.Deps{DB: kit.DB, Ring: kit.Ring, Origin: "app.example.test", Now: kit.Clock.Now, Log: slog.New(slog.DiscardHandler), Jobs: c})
	if err != nil {
		t.Fatal(err)
	}
	run(t, j)
	es := fill(t, kit, j, 5)
	if err := c["journal/full-check"](t.Context()); err != nil {
		t.Fatal(err)
	}
	setLeaf(t, kit, es[2].N, altered(es[2].Leaf))
	if err := c["journal/full-check"](t.Context()); err == nil {
		t.Error("nothing was found")
	}
	if r := j.LastReport(); r == nil || r.OK() {
		t.Errorf("report %+v", r)
	}
	wait(t, j, record(t, kit.DB, ana, noted{}))
	checks, err := j.List(t.Context(), journal.Query{Act: "journal.self-checked"})
	if err != nil || len(checks) != 2 {
		t.Fatalf("%d entries, %v", len(checks), err)
	}
	for i, want := range []bool{false, true} { // the newest first
		if ok, _ := checks[i].Field("ok"); ok != want {
			t.Errorf("check %d: ok = %v", i, ok)
		}
	}
	if _, _, err := j.Proof(t.Context(), es[2].N); err == nil || !strings.Contains(err.Error(), "altered") {
		t.Errorf("an altered entry was proved: %v", err)
	}
	var b bytes.Buffer
	if err := j.Export(t.Context(), ana, journal.Evidence{}, &b); err == nil {
		t.Error("an altered entry was exported")
	}
}

func TestReportInWords(t *testing.T) {
	kit := ledgertest.Open(t, journal.Schema())
	j := build(t, kit)
	run(t, j)
	fill(t, kit, j, 3)
	z := export(t, j, journal.Evidence{})
	if text := check(z, verify.Options{}).Text(); !strings.Contains(text, "self-asserted") || !strings.HasSuffix(text, "\ntrue\n") {
		t.Error(text)
	}
	files := unzip(t, z)
	files["manifest.json"] = bytes.Replace(files["manifest.json"], []byte(`"incomplete":false`), []byte(`"incomplete":true`), 1)
	r := check(rezip(t, files), verify.Options{})
	if r.Code != verify.Incomplete || !strings.Contains(r.Text(), "declared incomplete") {
		t.Errorf("%+v", r)
	}
	delete(files, "totals.json")
	if r := check(rezip(t, files), verify.Options{}); r.Code != verify.False || !strings.Contains(r.Text(), "FALSE  totals.json") {
		t.Errorf("%+v", r)
	}
}
