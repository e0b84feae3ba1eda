package journal_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/keyring/keyringtest"
	"writ/internal/ledger"
	"writ/internal/pgtest"
)

const (
	childURL = "WRIT_TEST_JOURNAL_URL"
	childDir = "WRIT_TEST_JOURNAL_KEYS"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		if err := child(url, os.Getenv(childDir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child writes and numbers until it is killed. What it has been told (a receipt, a
// checkpoint) goes to the pipe at once, as an answer to a client would.
func child(url, dir string) error {
	ctx := context.Background()
	ring, err := keyring.Open(ctx, keyring.Options{Dir: dir, Now: time.Now})
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	db, err := ledger.Open(ctx, ledger.Config{URL: url, Keys: ring, Now: time.Now, Log: log, Schemas: []ledger.Schema{journal.Schema()}})
	if err != nil {
		return err
	}
	j, err := journal.New(journal.Deps{DB: db, Ring: ring, Origin: "app.example.test", Now: time.Now, Log: log, Lease: 300 * time.Millisecond})
	if err != nil {
		return err
	}
	lines := make(chan string, 1000)
	for range 6 {
		go func() {
			for {
				r, err := db.Change(ctx, actor.System("child"), func(*ledger.Tx) (ledger.Event, error) { return noted{Title: "x"}, nil })
				if err == nil {
					lines <- "ack " + r.ID
				}
			}
		}()
	}
	go func() {
		for {
			if h, err := j.Head(ctx); err == nil {
				lines <- "note " + base64.StdEncoding.EncodeToString(h.Note)
			}
			time.Sleep(time.Millisecond)
		}
	}()
	go func() {
		for l := range lines {
			if _, err := os.Stdout.WriteString(l + "\n"); err != nil {
				os.Exit(0)
			}
		}
	}()
	return j.Run(ctx)
}

// A kill at any moment loses nothing that was acknowledged and takes back no
// checkpoint that was shown.
func TestKilledAtAnyMoment(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			dir := t.TempDir()
			url := "sqlite:" + filepath.Join(dir, "writ.db")
			if engine == "postgres" {
				url = pgtest.URL(t)
			}
			keys := keyring.Options{Dir: dir, Now: time.Now}
			if err := keyring.Create(t.Context(), keys); err != nil {
				t.Fatal(err)
			}
			var receipts []string
			var notes [][]byte
			for round := range 8 {
				r, n := untilKilled(t, url, dir, 1, time.Duration(150+rand.IntN(500))*time.Millisecond)
				if engine == "postgres" && round%4 == 0 { // two nodes, killed apart
					r2, n2 := untilKilled(t, url, dir, 2, time.Duration(900+rand.IntN(500))*time.Millisecond)
					r, n = append(r, r2...), append(n, n2...)
				}
				receipts, notes = append(receipts, r...), append(notes, n...)
			}
			examine(t, url, keys, receipts, notes)
		})
	}
}

// untilKilled runs processes, kills each after about d, and returns what they said.
func untilKilled(t *testing.T, url, dir string, processes int, d time.Duration) (receipts []string, notes [][]byte) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	type said struct{ lines []string }
	out := make(chan said, processes)
	for p := range processes {
		cmd := exec.Command(self, "-test.run=^$")
		cmd.Env = append(os.Environ(), childURL+"="+url, childDir+"="+dir)
		cmd.Stderr = os.Stderr
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(d+time.Duration(p)*200*time.Millisecond, func() { cmd.Process.Kill() })
		if p == 1 { // paused for longer than its lease, then it wakes up under an epoch that is over
			time.AfterFunc(d/4, func() { cmd.Process.Signal(syscall.SIGSTOP) })
			time.AfterFunc(d/4+450*time.Millisecond, func() { cmd.Process.Signal(syscall.SIGCONT) })
		}
		go func() {
			var s said
			sc := bufio.NewScanner(pipe)
			sc.Buffer(nil, 1<<20)
			for sc.Scan() {
				s.lines = append(s.lines, sc.Text())
			}
			cmd.Wait()
			out <- s
		}()
	}
	for range processes {
		lines := (<-out).lines
		if len(lines) > 0 {
			last := lines[len(lines)-1] // maybe cut by the kill
			if kind, v, _ := strings.Cut(last, " "); kind == "ack" && len(v) != 26 || kind == "note" && len(v)%4 != 0 {
				lines = lines[:len(lines)-1]
			}
		}
		for _, l := range lines {
			switch kind, v, _ := strings.Cut(l, " "); kind {
			case "ack":
				receipts = append(receipts, v)
			case "note":
				b, err := base64.StdEncoding.DecodeString(v)
				if err == nil && (len(notes) == 0 || string(notes[len(notes)-1]) != string(b)) {
					notes = append(notes, b)
				}
			}
		}
	}
	return receipts, notes
}

// examine starts once more in peace, and compares.
func examine(t *testing.T, url string, keys keyring.Options, receipts []string, notes [][]byte) {
	t.Helper()
	ring := keyringtest.Reopen(t, keys)
	log := slog.New(slog.DiscardHandler)
	db, err := ledger.Open(t.Context(), ledger.Config{URL: url, Keys: ring, Now: time.Now, Log: log, Schemas: []ledger.Schema{journal.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	j, err := journal.New(journal.Deps{DB: db, Ring: ring, Origin: "app.example.test", Now: time.Now, Log: log, Lease: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	run(t, j)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		some, _, err := db.HasPending(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !some {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("entries are still not numbered; stopped: %v", j.Stopped())
		}
	}
	var leaves [][]byte
	err = db.Each(t.Context(), `SELECT leaf FROM journal_entry ORDER BY n`, func(scan ledger.Scan) error {
		var b []byte
		err := scan(&b)
		leaves = append(leaves, b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	key, err := j.Key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(receipts) < 50 || len(notes) < 10 {
		t.Fatalf("only %d receipts and %d checkpoints: the test shows nothing", len(receipts), len(notes))
	}
	if err := consistent(leaves, receipts, notes, verifier(t, key)); err != nil {
		t.Error(err)
	}
	if r, err := j.Verify(t.Context(), nil); err != nil || !r.OK() {
		t.Errorf("verify: %v %+v", err, r)
	}
	h, err := j.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d receipts, %d checkpoints, %d entries, epoch %d", len(receipts), len(notes), len(leaves), h.Epoch)
}
