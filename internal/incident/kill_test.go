package incident_test

import (
	"errors"
	"fmt"
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

// childEnv makes the test binary a server that is going to be killed: folder, database, after
// how many points.
const childEnv = "WRIT_INCIDENT_TEST_CHILD"

// node opens what lies in a folder and a database, as a server does that starts.
func node(t *testing.T, dir, url string, later time.Duration, step func(string)) *world {
	t.Helper()
	clock := ledgertest.NewClock()
	clock.Advance(later)
	ring, err := keyring.Open(t.Context(), keyring.Options{Dir: dir, Now: clock.Now})
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
	return with(t, &ledgertest.Kit{DB: db, Ring: ring, Clock: clock}, &incident.Seam{Step: step})
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

// TestChild is the server that is killed, and does nothing otherwise.
func TestChild(t *testing.T) {
	job := ledgertest.Job(childEnv)
	if len(job) == 5 {
		breachChild(t, job)
	}
	if len(job) == 3 {
		lossChild(t, job)
	}
	if len(job) != 4 {
		return
	}
	left, err := strconv.Atoi(job[2])
	kills, err2 := strconv.Atoi(job[3])
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	node(t, job[0], job[1], time.Duration(kills)*10*time.Second, func(string) { // a clock goes on
		mu.Lock()
		defer mu.Unlock()
		if left--; left < 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}).lead()
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
			w.kit.Clock.Advance(3 * time.Minute) // what a killed node held is free
			w.worked()
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
	w.t.Fatal("it does not come to an end")
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
	var entries []string
	if err := w.kit.DB.Each(w.t.Context(), `SELECT name, body FROM ledger_pending WHERE name LIKE 'incident.%' AND name <> 'incident.deadline-lost'`, func(scan ledger.Scan) error {
		var name string
		var body []byte
		err := scan(&name, &body)
		for _, word := range []string{`"to":"`, `"team":"`, `"state":"`} {
			if _, rest, ok := strings.Cut(string(body), word); ok {
				value, _, _ := strings.Cut(rest, `"`)
				name += " " + value
			}
		}
		entries = append(entries, name)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(entries)
	return strings.Join(append(out, entries...), "\n")
}

// Killed again and again, at every point of every step, an
// incident ends as if nothing had happened: each step, message and act once.
func TestIncidentSurvivesKills(t *testing.T) { // breaks: inc.process, inc.tell-affected
	if ledgertest.Job(childEnv) != nil {
		return
	}
	calm := node(t, ringed(t), "sqlite:"+filepath.Join(t.TempDir(), "writ.db"), 0, nil)
	calm.lead()
	want := calm.summary()
	if !strings.Contains(want, "t2 handed-over") || strings.Count(want, "incident.affected-told") != 3 {
		t.Fatalf("undisturbed:\n%s", want)
	}
	for _, c := range []struct {
		engine string
		points int
	}{{"sqlite", 2}, {"sqlite", 5}, {"postgres", 3}} {
		t.Run(fmt.Sprint(c.engine, c.points), func(t *testing.T) {
			dir, url := ringed(t), "sqlite:"+filepath.Join(t.TempDir(), "writ.db")
			if c.engine == "postgres" {
				url = pgtest.URL(t)
			}
			kills := 0
			for ledgertest.Killed(t, childEnv, dir, url, strconv.Itoa(c.points), strconv.Itoa(kills)) {
				if kills++; kills > 120 {
					t.Fatal("it does not come to an end")
				}
			}
			if kills < 4 {
				t.Errorf("killed only %d times", kills)
			}
			if got := node(t, dir, url, time.Hour, nil).summary(); got != want {
				t.Errorf("after %d kills:\n%s\nwant:\n%s", kills, got, want)
			}
		})
	}
}
