package check_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy"
	"writ/internal/policy/check"
	"writ/internal/policy/document"
	"writ/internal/policy/policytest"
	"writ/internal/policy/template"
)

var ctx = context.Background()

// law is a policy that the test changes at will.
type law struct {
	mu      sync.Mutex
	m       policy.Moment
	records map[string]policy.Record
	forged  bool
	unbound map[string]string
	obeys   bool
}

func (l *law) Current() (policy.Moment, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.m, nil }

func (l *law) Newest(context.Context, time.Time) (map[string]policy.Record, error) {
	return l.records, nil
}

func (l *law) Genuine(policy.Record) error {
	if l.forged {
		return errors.New("forged")
	}
	return nil
}

func (l *law) Unbound() map[string]string { return l.unbound }

func (l *law) Obeyed(string) bool { return l.obeys }

func (l *law) set(key string, v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	vals := clause.Values{}
	maps.Copy(vals, l.m.Values)
	vals[key] = v
	l.m.Values = vals
}

const (
	reset = "auth.reset-link-lifetime"
	ttl   = reset + "/ttl"
)

// bench is a runner with one control of reset.
type bench struct {
	t   *testing.T
	kit *ledgertest.Kit
	law *law
	r   *check.Runner
	now func() time.Time
}

func newBench(t *testing.T, now func() time.Time, controls ...clause.Control) *bench {
	t.Helper()
	p, ps := document.Load(template.YAML(), document.Shipped())
	if p == nil {
		t.Fatal(document.Refusal(ps))
	}
	b := &bench{t: t, law: &law{records: map[string]policy.Record{}, unbound: map[string]string{}, obeys: true,
		m: policy.Moment{Policy: p, Values: p.Values(), Revision: policy.Revision{Version: document.Version{Major: 1}, BodySHA256: strings.Repeat("a", 64)}}}}
	b.kit = ledgertest.With(t, "sqlite", func(c *ledger.Config) {
		if now != nil {
			c.Now = now
		}
	}, policy.Schema())
	if now == nil {
		now = b.kit.Clock.Now
	}
	b.now = now
	var err error
	b.r, err = check.New(check.Deps{DB: b.kit.DB, Law: b.law, Access: policytest.Access(b.kit.DB, now), Controls: controls, Now: now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) tick() {
	b.t.Helper()
	if err := b.r.Tick(ctx); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) is(want clause.Outcome, says string) {
	b.t.Helper()
	rep, err := b.r.Report(ctx, check.Options{Clause: reset})
	if err != nil {
		b.t.Fatal(err)
	}
	c := rep.Clauses[0]
	if c.Outcome != want || len(c.Findings) == 0 || !strings.Contains(c.Findings[0].Summary, says) {
		b.t.Errorf("%s %+v, want %s with %q", c.Outcome, c.Findings, want, says)
	}
}

func (b *bench) recorded(name string) int { b.t.Helper(); return len(b.kit.Recorded(name)) }

// knob is a control that does what the test says.
type knob struct {
	mu  sync.Mutex
	res clause.Result
	err error
	bad bool
	n   int
}

func (k *knob) turn(res clause.Result, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.res, k.err = res, err
}

func (k *knob) control() clause.Control {
	return clause.Control{ID: "identity.oldest-reset", Clause: reset, Kind: clause.Probe, Says: "measures", Every: time.Hour, FreshFor: 3 * time.Hour,
		Run: func(context.Context) (clause.Result, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.n++
			if k.bad {
				panic("wild")
			}
			return k.res, k.err
		}}
}

func TestOutcomes(t *testing.T) {
	k := &knob{res: clause.Passed("oldest accepted link: 3h")}
	b := newBench(t, nil, k.control())
	b.is(clause.Unknown, "has not run yet")
	b.tick()
	b.is(clause.Pass, "3h")

	k.turn(clause.Failed("a link of 25h was accepted"), nil)
	b.kit.Clock.Advance(2 * time.Hour)
	b.tick()
	b.is(clause.Fail, "25h")
	b.kit.Clock.Advance(2 * time.Hour)
	b.tick() // flapping opens no second one
	if open, _ := b.r.OpenFindings(ctx); len(open) != 1 || b.recorded("finding.opened") != 1 {
		t.Errorf("%d findings open, %d entries", len(open), b.recorded("finding.opened"))
	}
	k.turn(clause.Passed("fine"), nil)
	b.kit.Clock.Advance(2 * time.Hour)
	b.tick()
	if open, _ := b.r.OpenFindings(ctx); len(open) != 0 || b.recorded("finding.closed") != 1 {
		t.Errorf("%d findings open after the pass", len(open))
	}
	ran := b.recorded("check.ran")
	b.kit.Clock.Advance(2 * time.Hour)
	b.tick()
	if b.recorded("check.ran") != ran || b.recorded("check.passed-unchanged") != 1 {
		t.Error("a pass that did not change was not batched")
	}
	k.turn(clause.Deviates("by a silence that Ana approved"), nil)
	b.kit.Clock.Advance(2 * time.Hour)
	b.tick()
	b.is(clause.Excepted, "that Ana approved")
	k.turn(clause.Result{Outcome: clause.Excepted}, nil) // by nobody knows what
	b.kit.Clock.Advance(2 * time.Hour)
	b.tick()
	b.is(clause.Unknown, "no verdict")
	k.turn(clause.Result{Outcome: "splendid"}, nil)
	b.kit.Clock.Advance(2 * time.Hour)
	b.tick()
	b.is(clause.Unknown, "no verdict")
}

func TestStaleIsFoundAtReading(t *testing.T) {
	k := &knob{res: clause.Passed("fine")}
	b := newBench(t, nil, k.control())
	b.tick()
	b.kit.Clock.Advance(3*time.Hour - time.Second)
	b.is(clause.Pass, "")
	b.kit.Clock.Advance(time.Second)
	b.is(clause.Stale, "too old")
	b.kit.Clock.Advance(1000 * time.Hour) // after downtime once, not n times
	b.tick()
	b.tick()
	if k.n != 2 {
		t.Errorf("ran %d times", k.n)
	}
	b.is(clause.Pass, "")
	b.law.set(ttl, time.Hour)
	b.is(clause.Stale, "parameters changed")
	b.tick() // and a changed clause runs at once
	b.is(clause.Pass, "")
	k.turn(clause.Failed("broken"), nil)
	b.kit.Clock.Advance(2 * time.Hour)
	b.tick()
	b.kit.Clock.Advance(10 * time.Hour)
	b.is(clause.Fail, "too old") // age does not make it better
}

// What waits for something that has just begun is seen soon after, and the journal does not
// fill with what nobody can tell yet.
func TestUnknownIsLookedAtAgainSoon(t *testing.T) {
	k := &knob{res: clause.Result{Outcome: clause.Unknown, Summary: "nothing was tried yet"}}
	b := newBench(t, nil, k.control())
	b.tick()
	b.is(clause.Unknown, "nothing was tried yet")
	for range 5 {
		b.kit.Clock.Advance(time.Minute)
		b.tick()
		b.tick()
	}
	if k.n != 6 || b.recorded("check.ran") != 1 {
		t.Errorf("looked %d times in five minutes, with %d entries; want 6 and 1", k.n, b.recorded("check.ran"))
	}
	k.turn(clause.Passed("tried"), nil)
	b.kit.Clock.Advance(time.Minute)
	b.tick()
	b.is(clause.Pass, "")
	b.kit.Clock.Advance(time.Minute)
	b.tick()
	if k.n != 7 {
		t.Error("a pass is looked at again each minute")
	}
}

func TestErrorIsTriedAgainThenUnknown(t *testing.T) {
	k := &knob{err: errors.New("secret detail")}
	b := newBench(t, nil, k.control())
	b.tick()
	b.is(clause.Unknown, "has not run yet")
	b.tick()
	if k.n != 1 {
		t.Errorf("tried again at once")
	}
	b.kit.Clock.Advance(30 * time.Second)
	b.tick()
	b.is(clause.Unknown, "could not decide")
	rep, _ := b.r.Report(ctx, check.Options{Clause: reset})
	if strings.Contains(rep.Clauses[0].Findings[0].Summary, "secret") {
		t.Error("the text of an error was told")
	}
	k.turn(clause.Passed("fine"), nil)
	b.kit.Clock.Advance(2 * time.Hour)
	b.tick()
	b.is(clause.Pass, "")
}

func TestPanicIsUnknown(t *testing.T) {
	k := &knob{bad: true}
	b := newBench(t, nil, k.control())
	b.tick()
	b.is(clause.Unknown, "broke")
	if k.n != 1 {
		t.Errorf("ran %d times", k.n)
	}
}

func TestHangingControlTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := clause.Control{ID: "x.hang", Clause: reset, Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Run: func(ctx context.Context) (clause.Result, error) { <-ctx.Done(); return clause.Result{}, ctx.Err() }}
		b := newBench(t, time.Now, hang)
		start := time.Now()
		b.tick()
		if d := time.Since(start); d != time.Minute {
			t.Errorf("took %s", d)
		}
		time.Sleep(30 * time.Second)
		b.tick()
		b.is(clause.Unknown, "did not end within 1m0s")
		stop(b)
	})
}

func TestTwoAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at, most atomic.Int32
		var controls []clause.Control
		for _, id := range []string{"x.a", "x.b", "x.c", "x.d", "x.e"} {
			controls = append(controls, clause.Control{ID: id, Clause: reset, Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
				Run: func(context.Context) (clause.Result, error) {
					n := at.Add(1)
					for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
					}
					time.Sleep(time.Second)
					at.Add(-1)
					return clause.Passed("fine"), nil
				}})
		}
		b := newBench(t, time.Now, controls...)
		b.tick()
		if most.Load() != 2 {
			t.Errorf("%d at a time", most.Load())
		}
		stop(b)
	})
}

// TestScheduleJitter ticks every 5 s for two days and looks at the gaps.
func TestScheduleJitter(t *testing.T) {
	clock := ledgertest.NewClock()
	var runs []time.Time
	c := clause.Control{ID: "x.a", Clause: reset, Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
		Run: func(context.Context) (clause.Result, error) {
			runs = append(runs, clock.Now())
			return clause.Passed("fine"), nil
		}}
	b := newBench(t, clock.Now, c)
	for range 24 * 60 {
		b.tick()
		clock.Advance(time.Minute)
	}
	if len(runs) < 20 || len(runs) > 28 {
		t.Fatalf("ran %d times in a day", len(runs))
	}
	gaps := map[time.Duration]bool{}
	for i := range runs[1:] {
		gap := runs[i+1].Sub(runs[i])
		gaps[gap] = true
		if gap < 54*time.Minute || gap > 67*time.Minute {
			t.Errorf("gap of %s", gap)
		}
	}
	if len(gaps) < 4 {
		t.Errorf("no jitter: %v", gaps)
	}
}

func TestCanariesAreSpreadAfterStart(t *testing.T) {
	clock := ledgertest.NewClock()
	start := clock.Now()
	first := map[string]time.Duration{}
	var controls []clause.Control
	for _, id := range []string{"x.a", "x.b", "x.c"} {
		controls = append(controls, clause.Control{ID: id, Clause: reset, Kind: clause.Canary, Every: time.Hour, FreshFor: 3 * time.Hour,
			Run: func(context.Context) (clause.Result, error) {
				first[id] = clock.Now().Sub(start)
				return clause.Passed("fine"), nil
			}})
	}
	b := newBench(t, clock.Now, controls...)
	for range 21 {
		b.tick()
		clock.Advance(time.Second)
	}
	if len(first) != 3 || first["x.a"] == first["x.b"] || first["x.c"] > 20*time.Second {
		t.Errorf("first runs: %v", first)
	}
}

func TestExceptionCoversAPass(t *testing.T) {
	k := &knob{res: clause.Passed("fine")}
	b := newBench(t, nil, k.control())
	b.tick()
	e := policy.Exception{Param: ttl, Value: "24h", Requester: "person/ben", Approver: "person/cid", Ends: b.now().Add(time.Hour), Level: document.Looser}
	b.law.m.Exceptions = []policy.Exception{e}
	b.is(clause.Excepted, "person/cid")
	b.law.m.Exceptions[0].Level = document.Tighter
	b.is(clause.Pass, "")
	b.law.m.Exceptions[0].Level = document.Looser
	k.turn(clause.Failed("worse than excepted"), nil)
	b.kit.Clock.Advance(2 * time.Hour)
	b.tick()
	b.is(clause.Fail, "worse than excepted")
	b.law.obeys = false
	b.is(clause.Excepted, "worse than excepted")
}

func TestClauseWithoutControlIsCarriedByRecord(t *testing.T) {
	b := newBench(t, nil)
	one := func() check.Clause {
		rep, err := b.r.Report(ctx, check.Options{Clause: reset})
		if err != nil {
			t.Fatal(err)
		}
		return rep.Clauses[0]
	}
	if c := one(); c.Outcome != clause.Unknown || c.Class != "attested" || !strings.Contains(c.Findings[0].Summary, "writ attest "+reset) {
		t.Errorf("no record: %+v", c)
	}
	b.law.records[reset] = policy.Record{Clause: reset, Signer: "person/eve", Statement: "Tried it.", Observed: b.now(), ValidUntil: b.now().Add(time.Hour), Entry: "e1"}
	if c := one(); c.Outcome != clause.Pass || c.Findings[0].Kind != "record" || c.Findings[0].Entry != "e1" {
		t.Errorf("valid record: %+v", c)
	}
	b.law.forged = true
	if c := one(); c.Outcome != clause.Fail {
		t.Errorf("forged record: %+v", c)
	}
	b.law.forged = false
	b.kit.Clock.Advance(time.Hour)
	if c := one(); c.Outcome != clause.Stale {
		t.Errorf("expired record: %+v", c)
	}
	b.law.unbound[reset] = "the revision lacks ttl"
	if c := one(); c.Outcome != clause.Unbound {
		t.Errorf("unbound: %+v", c)
	}
	_, err := b.r.Report(ctx, check.Options{Clause: "no.such"})
	if !errors.Is(err, fault.NotFound) {
		t.Errorf("unknown clause: %v", err)
	}
}

func TestProveRunsTheCanaries(t *testing.T) {
	k := &knob{res: clause.Passed("fine")}
	n := 0
	can := clause.Control{ID: "identity.late-reset", Clause: reset, Kind: clause.Canary, Says: "opens a link too late", Every: 24 * time.Hour, FreshFor: 48 * time.Hour,
		Run: func(context.Context) (clause.Result, error) {
			n++
			return clause.Judge("refused", clause.Step{Act: "open it after 24h1s", Expected: "410", Got: "410", OK: true},
				clause.Step{Act: "open it after 23h59m", Expected: "200", Got: "200", OK: true, Control: true}), nil
		}}
	b := newBench(t, nil, k.control(), can)
	p, err := b.r.Prove(ctx, reset)
	if err != nil || n != 1 || k.n != 0 || len(p.Runs) != 1 || len(p.Runs[0].Steps) != 2 || p.Outcome != clause.Pass || p.Runs[0].Entry == "" {
		t.Errorf("proof: %+v %v, canary %d, probe %d", p, err, n, k.n)
	}
	b2 := newBench(t, nil, k.control())
	if p, err = b2.r.Prove(ctx, reset); err != nil || k.n != 1 || p.Runs[0].Kind != "probe" {
		t.Errorf("without canaries: %+v %v", p, err)
	}
	rep, err := b2.r.Report(ctx, check.Options{Clause: reset, Live: true})
	if err != nil || k.n != 2 || rep.Counts.Pass != 1 || !rep.Holds() {
		t.Errorf("live: %+v %v", rep.Counts, err)
	}
}

func TestControlsThatCannotBe(t *testing.T) {
	kit := ledgertest.Open(t, policy.Schema())
	ok := clause.Control{ID: "x.a", Clause: reset, Every: time.Hour, FreshFor: 3 * time.Hour, Run: func(context.Context) (clause.Result, error) { return clause.Result{}, nil }}
	stale := ok
	stale.FreshFor = time.Hour
	for name, list := range map[string][]clause.Control{"twice": {ok, ok}, "always stale": {stale}, "empty": {{}}} {
		_, err := check.New(check.Deps{DB: kit.DB, Law: &law{}, Access: policytest.Access(kit.DB, kit.Clock.Now), Controls: list, Now: kit.Clock.Now, Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// stop ends the ledger's goroutines inside the bubble.
func stop(b *bench) {
	b.t.Helper()
	if err := b.kit.DB.Close(); err != nil {
		b.t.Error(err)
	}
}

func BenchmarkReport(b *testing.B) {
	p, ps := document.Load(template.YAML(), document.Shipped())
	if p == nil {
		b.Fatal(document.Refusal(ps))
	}
	var controls []clause.Control
	for _, c := range p.Each() {
		controls = append(controls, clause.Control{ID: "x." + c.ID, Clause: c.ID, Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Run: func(context.Context) (clause.Result, error) { return clause.Passed("fine"), nil }})
	}
	kit := ledgertest.Open(b, policy.Schema())
	l := &law{m: policy.Moment{Policy: p, Values: p.Values()}}
	r, err := check.New(check.Deps{DB: kit.DB, Law: l, Access: policytest.Access(kit.DB, kit.Clock.Now), Controls: controls, Now: kit.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Tick(ctx); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := r.Report(ctx, check.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
