package ledger_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/pgtest"
)

// childEnv makes the test binary a writer that is going to be killed: "mode url folder start".
const childEnv = "WRIT_LEDGER_TEST_CHILD"

func TestMain(m *testing.M) {
	if job := os.Getenv(childEnv); job != "" {
		if err := child(strings.Split(job, "\n")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child makes things from eight goroutines and writes "ack n" to standard output once
// Change has returned, until it is killed. In mode "apart" it writes effect and entry
// in two transactions, and in mode "early" it acknowledges before the change: the
// controls that must be caught.
func child(job []string) error {
	mode, url, dir := job[0], job[1], job[2]
	var start int
	fmt.Sscan(job[3], &start)
	ctx := context.Background()
	ring, err := keyring.Open(ctx, keyring.Options{Dir: dir, Now: time.Now})
	if err != nil {
		return err
	}
	db, err := ledger.Open(ctx, ledger.Config{URL: url, Keys: ring, Now: time.Now, Log: discard(), Schemas: []ledger.Schema{things()}})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := start + w; ; n += 8 {
				if mode == "early" {
					fmt.Printf("ack %d\n", n)
				}
				if err := childChange(ctx, db, mode, n); err != nil {
					fmt.Fprintln(os.Stderr, n, err)
					continue
				}
				if mode != "early" {
					fmt.Printf("ack %d\n", n) // one write of a pipe: whole or not at all
				}
			}
		})
	}
	wg.Wait()
	return nil
}

func childChange(ctx context.Context, db *ledger.DB, mode string, n int) error {
	if mode != "apart" {
		_, err := makeThing(ctx, db, n)
		return err
	}
	err := db.Quiet(ctx, ledger.JobState, func(t *ledger.Tx) error {
		_, err := t.Exec(ctx, insertThing, n, fmt.Sprint("thing ", n))
		return err
	})
	if err == nil {
		_, err = db.Change(ctx, ana, func(*ledger.Tx) (ledger.Event, error) { return Made{Number: n}, nil })
	}
	return err
}

// killed is one database whose writers are killed again and again.
type killed struct {
	url, dir string
	next     int
	acked    map[int]bool
}

func newKilled(t *testing.T, engine string) *killed {
	k := &killed{dir: t.TempDir(), acked: map[int]bool{}}
	k.url = "sqlite:" + filepath.Join(k.dir, "writ.db")
	if engine == "postgres" {
		k.url = pgtest.URL(t)
	}
	if err := keyring.Create(t.Context(), keyring.Options{Dir: k.dir, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	return k
}

// round starts a writer, kills it at a random moment after its first
// acknowledgement, and notes what it had acknowledged.
func (k *killed) round(t *testing.T, mode string, within time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join([]string{mode, k.url, k.dir, fmt.Sprint(k.next)}, "\n"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := true
	timeout := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer timeout.Stop()
	for s := bufio.NewScanner(out); s.Scan(); {
		if first {
			first = false
			time.AfterFunc(time.Duration(rand.Int64N(int64(within))), func() { cmd.Process.Kill() })
		}
		var n int
		if _, err := fmt.Sscanf(s.Text(), "ack %d", &n); err != nil {
			t.Fatalf("the writer said %q", s.Text())
		}
		k.acked[n] = true
		k.next = max(k.next, n+9)
	}
	cmd.Wait()
	if first {
		t.Fatal("the writer acknowledged nothing")
	}
	k.next += 8
}

// violations opens the database after the kill and counts what must not be.
func (k *killed) violations(t *testing.T) (lost, effectOnly, entryOnly int) {
	t.Helper()
	ctx := t.Context()
	ring, err := keyring.Open(ctx, keyring.Options{Dir: k.dir, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer ring.Close()
	db, err := ledger.Open(ctx, ledger.Config{URL: k.url, Keys: ring, Now: time.Now, Log: discard(), Schemas: []ledger.Schema{things()}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	effects, entries := map[int]int{}, map[int]int{}
	err = errors.Join(db.Each(ctx, `SELECT id FROM thing`, func(scan ledger.Scan) error {
		var n int
		err := scan(&n)
		effects[n]++
		return err
	}), db.Each(ctx, `SELECT body FROM ledger_pending WHERE name = 'thing.made'`, func(scan ledger.Scan) error {
		var b []byte
		if err := scan(&b); err != nil {
			return err
		}
		var n int
		_, rest, _ := strings.Cut(string(b), `"number":`)
		_, err := fmt.Sscanf(rest, "%d", &n)
		entries[n]++
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	for n := range k.acked {
		if effects[n] != 1 || entries[n] != 1 {
			lost++
		}
	}
	for n := range effects {
		if entries[n] != 1 {
			effectOnly++
		}
	}
	for n, times := range entries {
		if effects[n] != 1 || times != 1 {
			entryOnly++
		}
	}
	return lost, effectOnly, entryOnly
}

// kill -9 says nothing about fsync: TestWriter_groupCommitAndSyncs counts those.
func TestKill_losesNothingAndHalvesNothing(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			k := newKilled(t, engine)
			rounds := 12
			if testing.Short() {
				rounds = 3
			}
			for round := range rounds {
				k.round(t, "change", 80*time.Millisecond)
				if lost, effect, entry := k.violations(t); lost+effect+entry > 0 {
					t.Fatalf("round %d of %d acknowledged: %d lost, %d effects without entry, %d entries without effect",
						round, len(k.acked), lost, effect, entry)
				}
			}
			t.Logf("%d changes acknowledged over %d kills", len(k.acked), rounds)
		})
	}
}

func TestKill_controlsAreCaught(t *testing.T) {
	for _, mode := range []string{"apart", "early"} {
		t.Run(mode, func(t *testing.T) {
			k := newKilled(t, "sqlite")
			for range 20 {
				k.round(t, mode, 80*time.Millisecond)
				if lost, effect, entry := k.violations(t); lost+effect+entry > 0 {
					return
				}
			}
			t.Error("20 kills did not catch the control: the test sees nothing")
		})
	}
}
