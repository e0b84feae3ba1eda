package holders_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/pgtest"
	"writ/internal/policy/policytest"
	"writ/internal/seal"
	"writ/internal/secret"
	"writ/internal/vault/holders"
)

// folder is a server's, as a child process is told of it.
type folder struct {
	Dir, URL, Keys string
	Alone          bool
	Step           string // where the child is killed: file:NAME, set:NAME or root:NAME
}

const folderEnv = "HOLDERS_FOLDER"

// running is what a process has open.
type running struct {
	f    folder
	ring *keyring.Ring
	db   *ledger.DB
	file *seal.File
	svc  *holders.Service
}

// keysOf are the three holders' key files.
func keysOf(dir string) (out []seal.Private, err error) {
	for _, n := range []string{"ana", "ben", "chloe"} {
		b, err := os.ReadFile(filepath.Join(dir, n+".holder"))
		if err != nil {
			return nil, err
		}
		k, err := seal.ReadPrivate(b, secret.Text{})
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// rootOf opens by shares as a sealed server does; with root.key it gives nothing.
func rootOf(ctx context.Context, f folder, file *seal.File) (root secret.Bytes, err error) {
	if !f.Alone {
		return secret.Bytes{}, nil
	}
	g, err := seal.NewGate(seal.Deps{File: file, Act: seal.Open, Now: time.Now, Fingerprint: keyring.Fingerprint,
		Note: func(_ context.Context, l seal.Line) error { return file.Note(time.Now(), l) },
		Whole: func(_ context.Context, _ string, b secret.Bytes) error {
			root = secret.NewBytes(b.Reveal())
			return nil
		}})
	if err != nil {
		return root, err
	}
	keys, err := keysOf(f.Dir)
	if err != nil {
		return root, err
	}
	for _, k := range keys[1:] {
		x, st, err := g.Box(ctx, k.ID)
		if err != nil {
			return root, err
		}
		box, err := k.Offer(st.Operation, x.Box)
		if err != nil {
			return root, err
		}
		if _, err := g.Give(ctx, seal.Offer{Set: st.Set, Holder: k.ID, Box: box}); err != nil {
			return root, err
		}
	}
	return root, nil
}

// start opens a folder as a server does at its start.
func start(ctx context.Context, f folder, file *seal.File) (*running, error) {
	root, err := rootOf(ctx, f, file)
	if err != nil {
		return nil, fmt.Errorf("open by shares: %w", err)
	}
	o := keyring.Options{Dir: f.Dir, URL: f.Keys, Now: time.Now, Given: root}
	ring, err := keyring.Open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open the keys: %w", err)
	}
	log := slog.New(slog.DiscardHandler)
	db, err := ledger.Open(ctx, ledger.Config{URL: f.URL, Keys: ring, Now: time.Now, Log: log, Schemas: tables, Seam: &ledger.Seam{Limit: 5 * time.Second, PendingAge: -1}})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the ledger: %w", err), ring.Close())
	}
	r := &running{f: f, ring: ring, db: db, file: file}
	queue := jobs.New(jobs.Deps{DB: db, Keys: ring, Now: time.Now, Log: log})
	m, err := mail.New(mail.Deps{Queue: queue, URL: "file://" + f.Dir, From: "writ@example.test", Now: time.Now, Log: log, Canary: func(mail.Message) {}})
	if err != nil {
		return nil, err
	}
	rules := clause.NewLive[holders.Rules](time.Now)
	if err := rules.Set([]clause.Period{{Values: policytest.Values()}}); err != nil {
		return nil, err
	}
	r.svc, err = holders.New(holders.Deps{DB: db, Ring: ring, File: file, People: &people{}, Mail: &post{made: map[string]mail.Message{}, m: m}, Access: policytest.Access(db, time.Now), Rules: rules,
		Fingerprint: keyring.Fingerprint, Company: func() string { return "Quorvex" }, Origin: "https://app.example.test", Now: time.Now, Log: log, Alone: f.Alone, RootFile: filepath.Join(f.Dir, "root.key"),
		Seal: func() error { return nil }, Root: func(context.Context) (secret.Bytes, error) { return (&world{dir: f.Dir, t: quiet{}}).fileRoot(), nil }, Demo: true})
	if err != nil {
		return nil, err
	}
	return r, r.svc.Resume(ctx, root)
}

func (r *running) close() error { return errors.Join(r.db.Close(), r.ring.Close()) }

// quiet is a test that cannot fail: a child process has none.
type quiet struct{ testing.TB }

func (quiet) Helper() {}

// child makes a new set and is killed on the way.
func child(text string) error {
	var f folder
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return err
	}
	die := func(step string) {
		if step == f.Step {
			p, _ := os.FindProcess(os.Getpid())
			_ = p.Kill()
			select {}
		}
	}
	file := seal.In(f.Dir)
	r, err := start(context.Background(), f, file)
	if err != nil {
		return err
	}
	file.Step(func(s string) { die("file:" + s) })
	r.svc.Step(func(s string) error { die("set:" + s); return nil })
	if _, err := r.svc.Reshare(context.Background(), actor.System("crash")); err != nil {
		return err
	}
	die("set:done")
	return errors.New("the step never came")
}

// set up makes a folder with three holders who have enrolled; where shares alone are to open
// it, they do already.
func (f folder) setUp(t *testing.T, ctx context.Context, keepFile bool) {
	t.Helper()
	if err := keyring.Create(ctx, keyring.Options{Dir: f.Dir, URL: f.Keys, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	by := f
	by.Alone = false
	r, err := start(ctx, by, seal.In(f.Dir))
	if err != nil {
		t.Fatal(err)
	}
	who := actor.System("demo")
	if _, err := r.svc.Appoint(ctx, who, []string{"ana", "ben", "chloe"}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"ana", "ben", "chloe"} {
		k, err := seal.NewPrivate()
		if err != nil {
			t.Fatal(err)
		}
		b, err := k.Bytes(secret.Text{})
		if err == nil {
			err = os.WriteFile(filepath.Join(f.Dir, n+".holder"), b, 0o400)
		}
		if err == nil {
			err = r.svc.EnrolFor(ctx, who, n, k.Key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	if keepFile || !f.Alone {
		return
	}
	if r, err = start(ctx, f, seal.In(f.Dir)); err != nil { // by shares, then of a root of their own
		t.Fatal(err)
	}
	if _, err := r.svc.Reshare(ctx, who); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.close(), os.Remove(filepath.Join(f.Dir, "root.key"))); err != nil {
		t.Fatal(err)
	}
}

// A process that is killed at any step of making new shares, with or without a new root,
// leaves a vault that opens, and whose record and file agree after the start.
func TestKilledWhileResharing(t *testing.T) {
	if text := os.Getenv(folderEnv); text != "" {
		fmt.Fprintln(os.Stderr, child(text))
		os.Exit(7)
	}
	same := []string{"set:prepared", "file:written", "file:renamed", "set:written", "set:done"}
	rekey := []string{"set:prepared", "set:root added", "file:written", "file:renamed", "set:written", "set:root kept", "set:done"}
	both := []string{"set:prepared", "set:root added", "file:written", "file:renamed", "set:written", "set:done"}
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, c := range []struct {
			name        string
			alone, file bool
			steps       []string
		}{{"the same root", false, true, same}, {"a new root", true, false, rekey}, {"a new root beside root.key", true, true, both}} {
			for _, step := range c.steps {
				t.Run(engine+"/"+c.name+"/"+strings.ReplaceAll(step, " ", "-"), func(t *testing.T) {
					f := folder{Dir: t.TempDir(), Alone: c.alone, Step: step}
					f.URL = "sqlite:" + filepath.Join(f.Dir, "writ.db")
					if engine == "postgres" {
						f.URL, f.Keys = pgtest.URL(t), pgtest.URL(t)
					}
					f.setUp(t, t.Context(), c.file)
					f.kill(t)
					f.opensAgain(t)
				})
			}
		}
	}
}

func (f folder) kill(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0], "-test.run=^TestKilledWhileResharing$")
	c.Env = append(os.Environ(), folderEnv+"="+string(text))
	if out, err := c.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the process was not killed: %v\n%s", err, out)
	}
}

// opensAgain starts on the folder after the kill, and works on.
func (f folder) opensAgain(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	for round := range 2 {
		r, err := start(ctx, f, seal.In(f.Dir))
		if err != nil {
			t.Fatalf("it does not open: %v", err)
		}
		b, err := r.file.Read()
		if err != nil {
			t.Fatal(err)
		}
		st, err := r.svc.Stands(ctx, actor.System("crash"))
		if err != nil || st.Set == nil || b.Set == nil || st.Set.ID != b.Set.ID || st.Set.Root != b.Set.Root {
			t.Fatalf("the record has %+v, boot.json %+v, %v", st.Set, b.Set, err)
		}
		for _, d := range st.Due {
			if !strings.Contains(d, "root.key") {
				t.Errorf("due: %s", d)
			}
		}
		if round == 0 {
			if _, err := r.svc.Reshare(ctx, actor.System("crash")); err != nil {
				t.Errorf("new shares cannot be made: %v", err)
			}
		}
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
	}
	if !f.Alone { // the shares are of the root in use too
		by := f
		by.Alone = true
		if _, err := rootOf(ctx, by, seal.In(f.Dir)); err != nil {
			t.Errorf("the shares do not open it: %v", fault.KindOf(err))
		}
	}
}
