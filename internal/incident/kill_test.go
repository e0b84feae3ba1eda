package incident_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/pgtest"
)

// course is what is led from its beginning to its end by servers that are killed on the way.
type course struct {
	// folder has keys, and whatever else outlives a server.
	folder func(t *testing.T) string
	// open is a server that starts on what lies in a folder and a database. lead goes on from
	// wherever it stands; end is what stands at last, without ids and times.
	open func(t *testing.T, dir, url string, step func(string)) (lead func(), end func() string)
	want []string // in the end of an undisturbed one
	most int      // points that one lives through: more than its longest act has, which is given up when a dozen tries of it were cut off
}

func courses() map[string]course {
	return map[string]course{"incident": incidentCourse(), "loss": lossCourse(), "breach": breachCourse()}
}

// childEnv makes the test binary a server that is going to be killed: course, folder,
// database, after how many points; and whether it is stopped instead.
const childEnv = "WRIT_INCIDENT_TEST_CHILD"

// wokenExit is the status of a server that was woken and has ended what it was at, which is not the end of
// the course.
const wokenExit = 7

// TestChild is the server that is killed, and does nothing otherwise.
func TestChild(t *testing.T) {
	job := ledgertest.Job(childEnv)
	if job == nil {
		return
	}
	left, err := strconv.Atoi(job[3])
	if err != nil {
		t.Fatal(err)
	}
	stops := len(job) > 4 // instead of being killed
	var mu sync.Mutex
	lead, _ := courses()[job[0]].open(t, job[1], job[2], func(string) {
		mu.Lock()
		defer mu.Unlock()
		switch left--; {
		case stops && left < -1: // it was woken, and has ended what it was at
			os.Exit(wokenExit)
		case stops && left < 0:
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			time.Sleep(50 * time.Millisecond) // the signal may reach another thread first
		case left < 0:
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	lead()
}

// survives leads a course undisturbed, and then on each database by servers that are killed
// after a few points, as a seed says, one after the other: it ends as the undisturbed one.
func survives(t *testing.T, name string) {
	t.Helper()
	if ledgertest.Job(childEnv) != nil {
		return
	}
	c := courses()[name]
	lead, end := c.open(t, c.folder(t), "sqlite:"+filepath.Join(t.TempDir(), "writ.db"), nil)
	lead()
	want := end()
	for _, words := range c.want {
		if !strings.Contains(want, words) {
			t.Fatalf("undisturbed, without %q:\n%s", words, want)
		}
	}
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel() // servers that start wait for the disk and for PostgreSQL
			dir, url := c.folder(t), "sqlite:"+filepath.Join(t.TempDir(), "writ.db")
			if engine == "postgres" {
				url = pgtest.URL(t)
			}
			kills, luck := 0, rand.New(rand.NewPCG(1, uint64(len(engine))))
			for ledgertest.Killed(t, childEnv, name, dir, url, strconv.Itoa(1+luck.IntN(c.most))) { // some live long enough to get on
				if kills++; kills > 150 {
					_, end := c.open(t, dir, url, nil)
					t.Fatalf("%s:\n%s", noEnd, end())
				}
			}
			if kills < 6 {
				t.Errorf("killed only %d times", kills)
			}
			if _, end := c.open(t, dir, url, nil); end() != want {
				t.Errorf("after %d kills:\n%s\nwant:\n%s", kills, end(), want)
			}
			t.Logf("%d kills", kills)
		})
	}
}

// clockFile is where the time to which a server has come outlives it.
const clockFile = "clock"

// noEnd is what a server says that gets no further, as one does whose work a stopped one holds.
const noEnd = "it does not come to an end"

// reached opens what lies in a folder and a database, at the time to which it had come, as a
// server does that starts. point writes that time down, and is the step of a test.
func reached(t *testing.T, dir, url string, step func(string)) (kit *ledgertest.Kit, point func(string)) {
	t.Helper()
	clock := ledgertest.NewClock()
	if b, err := os.ReadFile(filepath.Join(dir, clockFile)); err == nil {
		at, err := time.Parse(time.RFC3339Nano, string(b))
		if err != nil {
			t.Fatal(err)
		}
		clock.Set(at.Add(time.Second)) // it takes a moment to start
	}
	keys, err := os.ReadFile(filepath.Join(dir, keysFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	ring, err := keyring.Open(t.Context(), keyring.Options{Dir: dir, URL: string(keys), Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ledger.Open(t.Context(), ledger.Config{URL: url, Keys: ring, Now: clock.Now, Log: quiet(), Schemas: tables, Seam: &ledger.Seam{Limit: 5 * time.Second, PendingAge: -1}})
	if err != nil {
		t.Fatal(errors.Join(err, ring.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), ring.Close()); err != nil {
			t.Error(err)
		}
	})
	return &ledgertest.Kit{DB: db, Ring: ring, Clock: clock}, func(name string) {
		keepClock(t, dir, clock)
		if step != nil {
			step(name)
			clock.Set(latest(t, dir, clock.Now())) // it may have been stopped meanwhile
		}
	}
}

// latest is the time to which any server has come.
func latest(t *testing.T, dir string, at time.Time) time.Time {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, clockFile))
	if err != nil {
		return at
	}
	is, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		t.Fatal(err)
	}
	if is.Before(at) {
		return at
	}
	return is
}

// keepClock writes it whole or not at all: a server may be killed while it does.
func keepClock(t *testing.T, dir string, clock *ledgertest.Clock) {
	t.Helper()
	f, err := os.CreateTemp(dir, clockFile)
	if err != nil {
		t.Error(err)
		return
	}
	_, err = f.WriteString(clock.Now().Format(time.RFC3339Nano))
	if err := errors.Join(err, f.Close(), os.Rename(f.Name(), filepath.Join(dir, clockFile))); err != nil {
		t.Error(err)
	}
}

// resumed lets the queue do all that is due, also what a server held that was killed, and what is tried
// again because a stopped one kept it out: the hold has ended by then, and the pause too.
func (w *world) resumed() {
	w.t.Helper()
	var held, due int64
	if err := ledger.One(w.t.Context(), w.kit.DB, `SELECT COALESCE(MAX(held), 0), COALESCE(MIN(CASE WHEN state = 'waiting' AND kind = 'incident.act' THEN due END), 0) FROM job_work`, []any{&held, &due}); err != nil {
		w.t.Fatal(err)
	}
	held = max(held, due)
	if free := time.UnixMicro(held).UTC(); free.After(w.kit.Clock.Now()) {
		w.kit.Clock.Set(free)
	}
	w.worked()
}

// ringed is a folder with a key ring.
func ringed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := keyring.Create(t.Context(), keyring.Options{Dir: dir, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// named are the entries of incidents but those of some names, sorted, with the values of some
// fields, so that one is told from another.
func (w *world) named(but []string, fields ...string) string {
	w.t.Helper()
	var out []string
	if err := w.kit.DB.Each(w.t.Context(), `SELECT name, body FROM ledger_pending WHERE name LIKE 'incident.%'`, func(scan ledger.Scan) error {
		var name string
		var raw []byte
		var body struct{ F map[string]any }
		if err := errors.Join(scan(&name, &raw), json.Unmarshal(raw, &body)); err != nil {
			return err
		}
		for _, f := range fields {
			if v, has := body.F[f]; has {
				name += fmt.Sprint(" ", v)
			}
		}
		if !slices.ContainsFunc(but, func(n string) bool { return "incident."+n == name || strings.HasPrefix(name, "incident."+n+" ") }) {
			out = append(out, name)
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func incidentCourse() course {
	return course{folder: ringed, most: 7, want: []string{"t2 handed-over"}, open: func(t *testing.T, dir, url string, step func(string)) (func(), func() string) {
		kit, point := reached(t, dir, url, step)
		w := with(t, kit, &incident.Seam{Step: point})
		w.led = true
		return w.lead, w.summary
	}}
}

// lead leads one incident to its end, going on from wherever it stands.
func (w *world) lead() {
	w.t.Helper()
	ctx := w.t.Context()
	w.customers.teams = []incident.Team{{ID: "t1", Reach: []string{"m@example.test"}}, {ID: "t2", Reach: []string{"o@example.test", "p@example.test"}}, {ID: "t3", Reach: []string{"q@example.test"}}}
	for range 60 {
		all, err := w.svc.List(ctx, w.as("ana"), false)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(all) == 0 {
			w.declared()
			continue
		}
		v := w.show("I-1")
		if !v.Green.IsZero() && w.kit.Clock.Now().Before(v.Green.Add(incident.Soak)) {
			w.kit.Clock.Set(v.Green.Add(incident.Soak))
		}
		newest := ""
		if len(v.Posts) > 0 {
			newest = v.Posts[0].State
		}
		held := func(r engine.Role) bool {
			return slices.ContainsFunc(v.Held, func(h incident.Held) bool { return h.Role == r })
		}
		switch at := v.States[engine.L]; {
		case at == "L0":
			w.step("dev", "I-1", "acknowledge", "")
		case at == "L1" && !held(engine.Communications):
			w.ok(w.svc.TakeRole(ctx, w.as("dev"), "I-1", engine.Communications, ""))
		case at == "L1" && !held(engine.Technical):
			w.ok(w.svc.TakeRole(ctx, w.as("dev"), "I-1", engine.Technical, ""))
		case at == "L1":
			w.ok(w.svc.Categorise(ctx, w.as("dev"), "I-1", incident.Sorting{Kinds: []string{"usability"}, Severity: 2}))
		case at == "L2" && newest == "":
			w.says("I-1", status.Investigating)
		case at == "L2" && v.States[engine.F] == "F0":
			w.fixed("I-1")
		case at == "L2" && newest != status.Monitoring:
			w.says("I-1", status.Monitoring)
		case at == "L2":
			w.step("dev", "I-1", "mitigate", "")
		case at == "L3" && newest != status.Resolved:
			w.says("I-1", status.Resolved)
		case at == "L3":
			w.step("dev", "I-1", "resolve", "")
		case at == "L4":
			w.resumed()
			w.tend()
		case at == "L5" && v.Learned.Hash == "":
			w.ok(w.svc.Learn(ctx, w.as("dev"), "I-1", w.review()))
		case at == "L5" && len(v.Learned.Approved) == 0:
			w.ok(w.svc.Approve(ctx, w.as("ana"), "I-1", "review", ""))
		case at == "L5":
			w.step("dev", "I-1", "close", "")
		default:
			return
		}
	}
	w.stuck()
}

// stuck ends a test that gets no further, and says what the server was at.
func (w *world) stuck() {
	w.t.Helper()
	var said []string
	if err := w.kit.DB.Each(w.t.Context(), `SELECT w.act, w.state, w.tries, w.problem, j.state, j.tries, j.problem FROM incident_work w LEFT JOIN job_work j ON j.id = w.job`, func(scan ledger.Scan) error {
		var act, state, problem string
		var job, trouble *string
		var tries int64
		var held *int64
		err := scan(&act, &state, &tries, &problem, &job, &held, &trouble)
		said = append(said, fmt.Sprintf("%s is %s (%d tries) %s", act, state, tries, problem))
		if job != nil {
			said = append(said, fmt.Sprintf("its job is %s (%d tries) %s", *job, *held, *trouble))
		}
		return err
	}); err != nil {
		w.t.Error(err)
	}
	w.t.Fatalf("%s:\n%s\n%s", noEnd, w.summary(), strings.Join(said, "\n"))
}

// summary is what stands at the end, without ids and times.
func (w *world) summary() string {
	w.t.Helper()
	v := w.show("I-1")
	out := []string{fmt.Sprint(v.State(), v.States, len(v.Posts), len(v.Learned.Actions), v.Learned.Approved)}
	for _, a := range v.Audience {
		out = append(out, a.Team+" "+a.State)
	}
	for _, a := range v.Acts {
		out = append(out, a.Act+" "+a.State+" "+a.Output)
	}
	return strings.Join(out, "\n") + "\n" + w.named([]string{"deadline-lost"}, "to", "team", "state")
}

// Killed again and again, at every point of every step, an
// incident ends as if nothing had happened: each step, message and act once.
func TestIncidentSurvivesKills(t *testing.T) { survives(t, "incident") } // breaks: inc.process, inc.tell-affected
