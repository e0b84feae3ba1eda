package incident_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/demo/rescue"
	"writ/internal/demo/sample"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger/ledgertest"
)

// fileGate is a door whose state outlives the process.
type fileGate struct {
	file  string
	now   func() time.Time
	leaks string
	late  int64
	under int
	first []string // teams that come in with any share
}

func (g *fileGate) Lets(team string, share int) bool {
	return share >= 100 || share > 0 && slices.Contains(g.first, team)
}

type gateState struct {
	Since time.Time
	Share int // -1 = closed, 100 = open
	Calls []int
	Epoch int64
}

func (g *fileGate) read() (st gateState) {
	b, err := os.ReadFile(g.file)
	if err != nil || json.Unmarshal(b, &st) != nil {
		st.Share = 100
	}
	return st
}

func (g *fileGate) write(st gateState) error {
	b, err := json.Marshal(st)
	return errors.Join(err, os.WriteFile(g.file+".new", b, 0o600), os.Rename(g.file+".new", g.file)) // a server may be stopped while it writes
}

// obeys takes an order of the newest try alone.
func (g *fileGate) obeys(o incident.Order) (gateState, error) {
	st := g.read()
	if o.Epoch < max(st.Epoch, 1) {
		return st, fault.Newf(fault.Conflict, "epoch_over", "The try %d comes after %d.", o.Epoch, st.Epoch)
	}
	st.Epoch = o.Epoch
	return st, nil
}

func (g *fileGate) Close(_ context.Context, who actor.Actor, o incident.Order) (time.Time, error) {
	st, err := g.obeys(o)
	if err != nil {
		return time.Time{}, err
	}
	if st.Share != -1 {
		st.Since, st.Share, st.Calls = g.now().UTC().Truncate(time.Microsecond), -1, append(st.Calls, -1)
	}
	return st.Since, g.write(st)
}

func (g *fileGate) Look(context.Context, time.Time) (incident.Shut, error) {
	return incident.Shut{Closed: g.read().Share == -1, Tried: 12, Passed: g.leaks, Writes: g.late, Under: g.under}, nil
}

func (g *fileGate) Open(_ context.Context, _ actor.Actor, share int, o incident.Order) error {
	st, err := g.obeys(o)
	if err != nil {
		return err
	}
	if st.Share != share {
		st.Share, st.Calls = share, append(st.Calls, share)
	}
	return g.write(st)
}

// lossy is a world with an application that has lost data.
type lossy struct {
	*world
	gate  *fileGate
	app   *sample.App
	store *sample.Store
	ref   string
}

// lostWorld opens an application in a folder; a new folder gets data and damage.
func lostWorld(t testing.TB, kit *ledgertest.Kit, dir string, seam *incident.Seam, reach func(*lossy, *incident.World)) *lossy {
	t.Helper()
	l := &lossy{ref: "I-1"}
	clock := kit.Clock.Now
	l.gate = &fileGate{file: filepath.Join(dir, "gate"), now: clock}
	var err error
	if l.app, err = sample.New(t.Context(), sample.Options{File: filepath.Join(dir, "sample.db"), Verifier: &sample.Verifier{}, Now: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.app.Close(); err != nil {
			t.Error(err)
		}
	})
	l.store = l.app.Store()
	if seam == nil {
		seam = &incident.Seam{}
	}
	seam.Pause = func(d time.Duration) { kit.Clock.Advance(d) }
	l.world = within(t, kit, seam, func(d *incident.Deps) {
		d.Real.Gate, d.Real.Recovery = l.gate, rescue.New(l.app, clock)
		if reach != nil {
			reach(l, &d.Real)
		}
	})
	l.customers.teams = []incident.Team{{ID: "t1", Reach: []string{"m@example.test"}}, {ID: "t2"}}
	return l
}

// harm gives the application data, a backup, later writes and damage.
func (l *lossy) harm() { harm(l.t, l.store, l.kit.Clock) }

func harm(t testing.TB, store *sample.Store, clock *ledgertest.Clock) {
	t.Helper()
	add := func(team string, n int) {
		for range n {
			if _, err := store.Add(t.Context(), sample.By{Team: team, Person: "maria", Route: "POST /contacts"}, sample.Contact{Name: "Ilse", Email: "i@brandt.example"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	add("t1", 3)
	add("t2", 3)
	if _, err := store.Backup(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.Advance(10 * time.Minute)
	add("t1", 2)
	if err := store.Remove(t.Context(), sample.By{Team: "t2"}, 6); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Damage(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// sorted declares the incident and decides that data is lost.
func (l *lossy) sorted() *lossy {
	l.t.Helper()
	c, _, err := l.svc.Declare(l.t.Context(), l.as("ana"), incident.Signal{Title: "Contacts are gone"})
	l.ref = l.ok(c, err).Ref()
	l.step("dev", l.ref, "acknowledge", "")
	for _, r := range []engine.Role{engine.Recovery, engine.Communications, engine.Technical} {
		l.ok(l.svc.TakeRole(l.t.Context(), l.as("dev"), l.ref, r, ""))
	}
	l.ok(l.svc.Categorise(l.t.Context(), l.as("dev"), l.ref, incident.Sorting{Kinds: []string{"data-loss"}, Severity: 1}))
	l.tend()
	return l
}

// to takes steps until lost data stands where it is wanted.
func (l *lossy) to(want string) incident.View {
	l.t.Helper()
	for range 60 {
		v := l.show(l.ref)
		if v.States[engine.R] == want && v.Loss.Running == "" {
			return v
		}
		l.lead(v)
	}
	l.t.Fatalf("it stays at %s", l.show(l.ref).States[engine.R])
	return incident.View{}
}

// lead takes the next step of the recovery, as people do.
func (l *lossy) lead(v incident.View) {
	l.t.Helper()
	at := v.States[engine.R]
	good := func(guard string) bool {
		return slices.ContainsFunc(v.Proofs, func(p incident.Proof) bool { return p.Guard == guard && p.Good })
	}
	event := map[string]string{"R0": "take-down", "R1": "certify", "R2": "preserve", "R3": "choose", "R4": "rehearse", "R5": "restore", "R6": "verify", "R7": "dry-run", "R8": "reconcile", "R9": "open"}[at]
	switch {
	case v.Loss.Begun.IsZero():
		l.tend()
		return
	case v.Loss.Running != "":
		l.resumed()
		return
	case v.Loss.Red != "":
		l.t.Fatalf("red at %s: %s", at, v.Loss.Red)
	case at == "R3" && v.Loss.Plan == nil, (at == "R3" || at == "R4" || at == "R5") && !v.Loss.Enough && len(v.Loss.Signers) == 0 && at != "R5":
		l.ok(l.svc.MakePlan(l.t.Context(), l.as("dev"), l.ref, incident.NewPlan{}))
		return
	case (at == "R3" || at == "R4" || at == "R5") && !v.Loss.Enough:
		name := "ben"
		if slices.Contains(v.Loss.Signers, "Name of ben") {
			name = "dev"
		}
		l.ok(l.svc.Approve(l.t.Context(), l.as(name), l.ref, "plan", v.Loss.Hash[:16]))
		return
	case at == "R10" && !good("some-in"):
		event = "open-some"
	case at == "R10" && !good("all-in"):
		event = "open-all"
	case at == "R10":
		event = "tell-customers"
	case at == "R11" && !good("backup-proved"):
		event = "back-up"
	case at == "R11":
		event = "protect"
	}
	l.step("dev", l.ref, event, "")
}

// TestActEndsWhileItIsLookedAt: whoever looks while the server ends an act sees that it runs or what
// came of it, never an application that waits for a step that was taken.
func TestActEndsWhileItIsLookedAt(t *testing.T) { // breaks: inc.process
	l := lostWorld(t, ledgertest.Open(t, tables...), t.TempDir(), nil, nil)
	l.harm()
	l.sorted()
	l.to("R9")
	for _, x := range []struct{ event, guard string }{{"open", "staff-in"}, {"open-some", "some-in"}, {"open-all", "all-in"}} {
		l.step("dev", l.ref, x.event, "")
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 24 {
			all.Go(func() {
				for ctx.Err() == nil {
					v, err := l.svc.Show(t.Context(), l.as("dev"), l.ref)
					if err != nil {
						t.Error(err)
						return
					}
					if v.Loss.Running == "" && !slices.ContainsFunc(v.Proofs, func(p incident.Proof) bool { return p.Guard == x.guard && p.Good }) {
						t.Errorf("after %s nothing runs and nothing is proved", x.event)
						return
					}
				}
			})
		}
		l.resumed()
		stop()
		all.Wait()
	}
}

// closed leads the rest of the lifecycle, once the data is protected again.
func (l *lossy) closed() {
	l.t.Helper()
	l.says(l.ref, status.Investigating)
	l.says(l.ref, status.Monitoring)
	l.step("dev", l.ref, "mitigate", "")
	l.kit.Clock.Advance(incident.Soak)
	l.says(l.ref, status.Resolved)
	l.step("dev", l.ref, "resolve", "")
	l.worked()
	l.tend()
	for _, a := range l.show(l.ref).Audience {
		if a.State == "failed" {
			l.ok(l.svc.ToldOtherwise(l.t.Context(), l.as("dev"), l.ref, a.Team, "rang them up"))
		}
	}
	l.tend()
	l.ok(l.svc.Learn(l.t.Context(), l.as("dev"), l.ref, l.review()))
	l.ok(l.svc.Approve(l.t.Context(), l.as("ana"), l.ref, "review", ""))
	l.step("dev", l.ref, "close", "")
}

func (l *lossy) rows() int { l.t.Helper(); return len(l.ids()) }

func (l *lossy) ids() []int {
	l.t.Helper()
	ids, err := sample.IDs(l.t.Context(), l.store.File())
	if err != nil {
		l.t.Fatal(err)
	}
	return ids
}

// Lost data is brought back for real, with each guard answered by evidence, and the incident
// of that kind is closed.
func TestLossIsRestoredAndClosed(t *testing.T) { // breaks: inc.loss-maintenance, inc.loss-freeze, inc.loss-restore, inc.loss-reopen
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		l := lostWorld(t, kit, t.TempDir(), nil, nil)
		l.harm()
		l.sorted()
		v := l.show(l.ref)
		if len(v.Loss.Onsets) != 1 || v.Loss.Begun.IsZero() {
			t.Errorf("nothing is held, or no onset is known: %+v", v.Loss)
		}
		before := l.rows()
		v = l.to("R4")
		if p := v.Loss.Plan; p.Rule != incident.Literal || p.Rows != 6 || p.Lost != 2 || p.Seconds != 600 || l.gate.read().Share != -1 {
			t.Errorf("plan: %+v", p)
		}
		if l.rows() != before || v.Loss.Preserved == "" || v.Loss.Frozen.IsZero() {
			t.Error("something was written before the restore, or the damage is not kept")
		}
		l.to("R9")
		if got := l.gate.read(); got.Share != -1 {
			t.Error("it was opened before it was reconciled")
		}
		v = l.to("R12")
		if got := l.gate.read().Calls; !slices.Equal(got, []int{-1, 0, 5, 100}) {
			t.Errorf("the gate: %v", got)
		}
		if l.rows() != 5 { // six, without the one that was erased since
			t.Errorf("%d rows", l.rows())
		}
		if v.Loss.RTO < 10 || v.Loss.RPO != 600 || len(v.Loss.Lost) != 1 || v.Loss.Lost[0].Writes != 2 {
			t.Errorf("RTO %d, RPO %d, lost %+v", v.Loss.RTO, v.Loss.RPO, v.Loss.Lost)
		}
		if got := l.post.to("incident.lost-writes"); !slices.Equal(got, []string{"m"}) {
			t.Errorf("told: %v", got)
		}
		ws, err := l.svc.LostOf(t.Context(), l.as("ana"), l.ref, "t1")
		if err != nil || len(ws) != 2 || ws[0].Record != "contact 7" {
			t.Errorf("the list: %+v %v", ws, err)
		}
		l.closed()
		if v := l.show(l.ref); v.State() != "closed" {
			t.Errorf("it is %s", v.State())
		}
	}, tables...)
}

// The plan is signed by two, by its hash; another plan, or half an hour, makes it void; and
// nobody restores what is not from before the onset.
func TestPlanIsSignedByTwo(t *testing.T) { // breaks: inc.loss-restore
	l := lostWorld(t, ledgertest.Open(t, tables...), t.TempDir(), nil, nil)
	l.harm()
	l.sorted()
	l.to("R3")
	ctx := t.Context()
	plan := func(name string, in incident.NewPlan) error {
		_, err := l.svc.MakePlan(ctx, l.as(name), l.ref, in)
		return err
	}
	sign := func(name, hash string) error {
		_, err := l.svc.Approve(ctx, l.as(name), l.ref, "plan", hash)
		return err
	}
	take := func(event string) []string {
		_, err := l.svc.Take(ctx, l.as("dev"), l.ref, incident.Step{Event: event})
		guards, _ := l.kept(err)
		return guards
	}
	if err := sign("ben", ""); !errors.Is(err, fault.NotFound) {
		t.Errorf("signed what is not there: %v", err)
	}
	if err := plan("ben", incident.NewPlan{}); !errors.Is(err, fault.Denied) {
		t.Errorf("planned without the role: %v", err)
	}
	if err := plan("dev", incident.NewPlan{Rule: incident.PITR}); !errors.Is(err, fault.Invalid) {
		t.Errorf("another rule than the policy's: %v", err)
	}
	if err := plan("dev", incident.NewPlan{Rule: incident.Preserved}); !errors.Is(err, fault.Invalid) {
		t.Errorf("the damaged state before anything failed: %v", err)
	}
	backup := l.show(l.ref).Loss.Points[0]
	for _, late := range []time.Time{backup.At, backup.At.Add(30 * time.Second)} {
		if err := plan("dev", incident.NewPlan{Point: backup.ID, Onset: late}); !errors.Is(err, fault.Conflict) {
			t.Errorf("a point that is not before %s: %v", late, err)
		}
	}
	if err := plan("dev", incident.NewPlan{}); err != nil {
		t.Fatal(err)
	}
	if got := take("choose"); !slices.Equal(got, []string{"plan-signed"}) {
		t.Errorf("one signature: %v", got)
	}
	if guards, _ := l.kept(sign("dev", "")); !slices.Equal(guards, []string{"other-person"}) {
		t.Errorf("own plan: %v", guards)
	}
	if err := sign("ben", strings.Repeat("0", 64)); !errors.Is(err, fault.Conflict) {
		t.Errorf("another hash: %v", err)
	}
	if err := sign("ben", l.show(l.ref).Loss.Hash); err != nil {
		t.Fatal(err)
	}
	l.kit.Clock.Advance(30 * time.Minute)
	if got := take("choose"); !slices.Equal(got, []string{"plan-signed"}) {
		t.Errorf("after half an hour: %v", got)
	}
	if err := errors.Join(sign("ben", ""), sign("dev", "")); err != nil {
		t.Fatal(err)
	}
	l.step("dev", l.ref, "choose", "")
	if err := plan("dev", incident.NewPlan{Onset: l.show(l.ref).OnsetFrom.Add(-time.Minute)}); err != nil { // approved, changed, run
		t.Fatal(err)
	}
	if got := take("rehearse"); !slices.Equal(got, []string{"plan-signed"}) {
		t.Errorf("a changed plan: %v", got)
	}
	if err := sign("ben", ""); err != nil {
		t.Fatal(err)
	}
	l.step("dev", l.ref, "rehearse", "")
	if err := plan("dev", incident.NewPlan{}); !errors.Is(err, fault.Conflict) {
		t.Errorf("another plan once it is rehearsed: %v", err)
	}
}

// Nobody restores over the database that holds this record.
func TestLedgerIsNeverRestored(t *testing.T) { // breaks: inc.loss-restore
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		l := lostWorld(t, kit, t.TempDir(), nil, func(_ *lossy, w *incident.World) { w.Recovery = overLedger{w.Recovery, kit} })
		l.harm()
		l.sorted()
		l.to("R3")
		if _, err := l.svc.MakePlan(t.Context(), l.as("dev"), l.ref, incident.NewPlan{}); !errors.Is(err, fault.Denied) || l.entries("plan-refused") != 1 {
			t.Errorf("a plan over the ledger: %v", err)
		}
	}, tables...)
}

// overLedger would restore over the ledger.
type overLedger struct {
	incident.Recovery
	kit *ledgertest.Kit
}

func (o overLedger) Names(ctx context.Context) ([]string, error) {
	own, err := o.kit.DB.Names(ctx)
	return append([]string{"file:/elsewhere"}, own...), err
}

// Whatever is red keeps the application down and the damaged state as it is; it is done again
// once the cause is gone, or another point is taken.
func TestRedKeepsItDown(t *testing.T) { // breaks: inc.loss-maintenance, inc.loss-freeze, inc.loss-reopen
	ctx := t.Context()
	kit := ledgertest.Open(t, tables...)
	seam := &incident.Seam{}
	l := lostWorld(t, kit, t.TempDir(), seam, nil)
	l.harm()
	l.sorted()
	red := func(event, guard, act, words string) {
		t.Helper()
		l.step("dev", l.ref, event, "")
		l.worked()
		v := l.show(l.ref)
		if v.Loss.RedAct != act || !strings.Contains(v.Loss.Red, words) {
			t.Errorf("%s: red %q %q", event, v.Loss.RedAct, v.Loss.Red)
		}
		next := map[string]string{"take-down": "certify", "certify": "preserve", "rehearse": "restore", "restore": "verify"}[event]
		if _, err := l.svc.Take(ctx, l.as("dev"), l.ref, incident.Step{Event: next}); err == nil {
			t.Errorf("%s went on", next)
		} else if guards, _ := l.kept(err); !slices.Contains(guards, guard) {
			t.Errorf("%s is kept by %v", next, guards)
		}
		if l.gate.read().Share != -1 {
			t.Error("the gate is open")
		}
	}
	again := func(act string) {
		t.Helper()
		l.ok(l.svc.Again(ctx, l.as("dev"), l.ref, act))
		l.worked()
		if v := l.show(l.ref); v.Loss.Red != "" {
			t.Fatalf("%s again: %s", act, v.Loss.Red)
		}
	}
	l.gate.leaks = "POST /api/contacts"
	red("take-down", "gate-closed", "gate-down", "lets through POST /api/contacts")
	l.gate.leaks = ""
	again("gate-down")
	l.gate.late = 1
	red("certify", "frozen-proved", "certify-frozen", "1 change")
	l.gate.late = 0
	pause := seam.Pause
	if _, err := l.svc.Again(ctx, l.as("dev"), l.ref, "certify-frozen"); err != nil {
		t.Fatal(err)
	}
	seam.Pause = func(d time.Duration) { // somebody writes past the gate between the two looks
		pause(d)
		l.store.Shut(false)
		_, err := l.store.Add(ctx, sample.By{Team: "t1"}, sample.Contact{Name: "x", Email: "x@example.test"})
		l.store.Shut(true)
		if err != nil {
			t.Error(err)
		}
	}
	l.worked()
	if v := l.show(l.ref); !strings.Contains(v.Loss.Red, "writes past the gate") {
		t.Errorf("a write past the gate: %q", v.Loss.Red)
	}
	seam.Pause = pause
	again("certify-frozen")
	before := l.rows()
	l.to("R4")
	name := l.store.BackupFile(l.show(l.ref).Loss.Plan.Point)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	broken := slices.Clone(whole)
	broken[len(broken)/2] ^= 1
	if err := os.WriteFile(name, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	red("rehearse", "rehearsal-green", "rehearse", "not what it was")
	if err := os.WriteFile(name, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	again("rehearse")
	if err := os.WriteFile(name, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	red("restore", "restored", "restore", "not what it was")
	if l.rows() != before {
		t.Error("a restore that is no good changes the data")
	}
	l.step("dev", l.ref, "fail", "")
	l.step("dev", l.ref, "older-point", "the backup is broken")
	if _, err := l.svc.MakePlan(ctx, l.as("dev"), l.ref, incident.NewPlan{}); err == nil {
		t.Error("a plan of a broken backup")
	}
	l.ok(l.svc.MakePlan(ctx, l.as("dev"), l.ref, incident.NewPlan{Rule: incident.Preserved})) // a restore was tried
	if err := os.WriteFile(name, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	l.ok(l.svc.MakePlan(ctx, l.as("dev"), l.ref, incident.NewPlan{}))
	l.to("R12")
}

// A false alarm opens again by the same checks, without a restore; an application that turns
// red once it is open is closed again, and each proof is found anew.
func TestFalseAlarmAndRed(t *testing.T) { // breaks: inc.loss-maintenance, inc.loss-reopen
	l := lostWorld(t, ledgertest.Open(t, tables...), t.TempDir(), nil, nil)
	l.harm()
	l.sorted()
	before := l.rows()
	l.to("R2")
	if _, err := l.svc.Take(t.Context(), l.as("dev"), l.ref, incident.Step{Event: "false-alarm"}); !errors.Is(err, fault.Conflict) {
		t.Errorf("without a reason: %v", err)
	}
	l.step("dev", l.ref, "false-alarm", "they were archived on purpose")
	l.to("R10")
	if l.gate.read().Share != 0 || l.rows() != before {
		t.Error("it is not open to staff, or something was restored")
	}
	l.step("dev", l.ref, "open-some", "")
	l.worked()
	l.step("eve", l.ref, "red", "")
	v := l.to("R1")
	if l.gate.read().Share != -1 {
		t.Error("red does not close it")
	}
	for _, p := range v.Proofs {
		if slices.Contains([]string{"staff-in", "some-in"}, p.Guard) {
			t.Errorf("%s is still proved", p.Guard)
		}
	}
	v = l.to("R12")
	if l.gate.read().Share != 100 || v.Loss.RTO == 0 || l.rows() != 5 {
		t.Errorf("share %d, RTO %d, %d rows", l.gate.read().Share, v.Loss.RTO, l.rows())
	}
}

// Only what was revoked is waived by two, and what was not reconciled keeps the gate closed.
func TestUnreconciledStaysDown(t *testing.T) { // breaks: inc.loss-reopen
	l := lostWorld(t, ledgertest.Open(t, tables...), t.TempDir(), nil, func(_ *lossy, w *incident.World) { w.Recovery = forgetful{w.Recovery} })
	l.harm()
	l.sorted()
	l.to("R8")
	l.step("dev", l.ref, "reconcile", "")
	l.worked()
	open := func() error {
		_, err := l.svc.Take(t.Context(), l.as("dev"), l.ref, incident.Step{Event: "open"})
		return err
	}
	if guards, _ := l.kept(open()); !slices.Equal(guards, []string{"reconciled"}) || l.gate.read().Share != -1 {
		t.Errorf("kept by %v, share %d", guards, l.gate.read().Share)
	}
	for _, guard := range []string{"frozen-proved", "plan-signed", "restored", "checks-green", "backup-proved"} {
		if _, err := l.svc.Waive(t.Context(), l.as("dev"), l.ref, engine.R, guard, "there is no time"); !errors.Is(err, fault.Denied) {
			t.Errorf("%s may be waived: %v", guard, err)
		}
	}
	for _, name := range []string{"dev", "ben"} {
		l.ok(l.svc.Waive(t.Context(), l.as(name), l.ref, engine.R, "reconciled", "erased by hand, see the note"))
	}
	if err := open(); err != nil {
		t.Error(err)
	}
}

// forgetful leaves something that was erased.
type forgetful struct{ incident.Recovery }

func (forgetful) Reconcile(context.Context, incident.Plan, []incident.Tombstone, incident.Epoch) (int64, []incident.Check, error) {
	return 0, []incident.Check{{Name: "erased contacts", Says: "Contact 6 is back."}}, nil
}

// Where the server reaches nothing, people do it and record it: the recovery operator with
// words, somebody else with a signature, and it shows as done by hand.
func TestLossByHand(t *testing.T) { // breaks: inc.loss-restore
	l := lostWorld(t, ledgertest.Open(t, tables...), t.TempDir(), nil, func(l *lossy, w *incident.World) { w.Recovery, w.Writes = nil, acked{l} })
	l.sorted()
	ctx := t.Context()
	record := func(name, guard string) error {
		_, err := l.svc.RecordHand(ctx, l.as(name), l.ref, guard, "Done at 10:14, see the log of the database host.")
		return err
	}
	sign := func(name string) error {
		hs := l.show(l.ref).Loss.Hands
		_, err := l.svc.SignHand(ctx, l.as(name), l.ref, hs[len(hs)-1].ID)
		return err
	}
	hand := func(event, guard string) {
		t.Helper()
		l.step("dev", l.ref, event, "")
		l.worked()
		if got := l.show(l.ref).Loss.ByHand; !slices.Contains(got, guard) {
			t.Fatalf("%s: by hand is %v", event, got)
		}
		if err := record("eve", guard); !errors.Is(err, fault.Denied) {
			t.Errorf("recorded without the role: %v", err)
		}
		if err := errors.Join(record("dev", guard)); err != nil {
			t.Fatal(err)
		}
		if guards, _ := l.kept(sign("dev")); !slices.Equal(guards, []string{"other-person"}) {
			t.Errorf("signed by its author: %v", guards)
		}
		if err := sign("ben"); err != nil {
			t.Fatal(err)
		}
		if err := sign("ben"); !errors.Is(err, fault.Conflict) {
			t.Errorf("signed twice: %v", err)
		}
	}
	l.step("dev", l.ref, "take-down", "")
	l.worked()
	if err := record("dev", "gate-closed"); !errors.Is(err, fault.Conflict) {
		t.Errorf("by hand what the server does: %v", err)
	}
	hand("certify", "frozen-proved")
	hand("preserve", "copy-kept")
	if _, err := l.svc.MakePlan(ctx, l.as("dev"), l.ref, incident.NewPlan{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("a plan without words: %v", err)
	}
	in := incident.NewPlan{At: l.kit.Clock.Now().Add(-time.Hour), Point: "nightly 3", Target: "postgres://db.internal/app", Says: "pg_restore of the nightly copy"}
	l.ok(l.svc.MakePlan(ctx, l.as("dev"), l.ref, in))
	l.ok(l.svc.Approve(ctx, l.as("ben"), l.ref, "plan", ""))
	l.step("dev", l.ref, "choose", "")
	hand("rehearse", "rehearsal-green")
	hand("restore", "restored")
	hand("verify", "checks-green")
	hand("dry-run", "dry-run-green")
	hand("reconcile", "reconciled")
	for _, event := range []string{"open", "open-some", "open-all", "tell-customers"} {
		l.step("dev", l.ref, event, "")
		l.worked()
	}
	hand("back-up", "backup-proved")
	l.step("dev", l.ref, "protect", "")
	v := l.show(l.ref)
	if len(v.Loss.Lost) != 1 || v.Loss.Lost[0].Team != "t1" {
		t.Errorf("lost: %+v", v.Loss.Lost)
	}
	for _, p := range v.Proofs {
		if p.Guard == "restored" && (p.Act != "hand:restore" || !strings.Contains(p.Says, "by hand")) {
			t.Errorf("it does not show as done by hand: %+v", p)
		}
	}
	l.closed()
}

type acked struct{ l *lossy }

func (a acked) Acknowledged(_ context.Context, from, until time.Time) ([]incident.Write, bool, error) {
	return []incident.Write{{At: from.Add(time.Second), Team: "t1", Route: "POST /"}}, until.After(from), nil
}

// Two commanders at once: each step is taken once, and each act is done once.
func TestTwoCommanders(t *testing.T) { // breaks: inc.process
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		l := lostWorld(t, kit, t.TempDir(), nil, nil)
		l.harm()
		l.sorted()
		ends := make(chan error, 8)
		for range cap(ends) {
			go func() {
				_, err := l.svc.Take(t.Context(), l.as("dev"), l.ref, incident.Step{Event: "take-down"})
				ends <- err
			}()
		}
		taken := 0
		for range cap(ends) {
			switch err := <-ends; {
			case err == nil:
				taken++
			case !errors.Is(err, fault.Conflict):
				t.Error(err)
			}
		}
		l.worked()
		if taken != 1 || l.entries("application-taken-down") != 1 || len(l.gate.read().Calls) != 1 {
			t.Errorf("taken %d times, %d entries, the gate %v", taken, l.entries("application-taken-down"), l.gate.read().Calls)
		}
	}, tables...)
}
