package incident_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"writ/internal/demo/sample"
	"writ/internal/incident"
	"writ/internal/keyring"
	"writ/internal/ledger/ledgertest"
	"writ/internal/pgtest"
)

// stopped is a server that stops at a point as one does whose machine is frozen: it holds what it
// holds, and goes on with what it was at once it is woken.
type stopped struct {
	pid int
	in  *os.File // the child ends with whoever has the other end
	out *os.File
}

// stopsAt starts a server that stops after some points. nil = it came to the end before, or it was
// kept out by what a stopped one holds in the database.
func stopsAt(t *testing.T, job ...string) (s *stopped, says string, ended bool) {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := os.StartProcess(os.Args[0], []string{os.Args[0], "-test.run=^TestChild$"}, &os.ProcAttr{Env: append(os.Environ(), childEnv+"="+strings.Join(append(job, "stop"), "\n")), Files: []*os.File{r, out, out}})
	if err != nil {
		t.Fatal(err)
	}
	s = &stopped{p.Pid, w, out}
	if ws := s.wait(t); ws.Exited() {
		s.close(t)
		says = s.said(t)
		keptOut := func(sign string) bool { return strings.Contains(says, sign) }
		if ws.ExitStatus() != 0 && ws.ExitStatus() != wokenExit && !slices.ContainsFunc([]string{"store_unavailable", "keys_away", noEnd}, keptOut) {
			t.Fatalf("the server failed:\n%s", says)
		}
		return nil, says, ws.ExitStatus() == 0
	}
	return s, "", false
}

func (s *stopped) wait(t *testing.T) (ws syscall.WaitStatus) {
	t.Helper()
	for {
		_, err := syscall.Wait4(s.pid, &ws, syscall.WUNTRACED, nil)
		if err == nil {
			return ws
		}
		if err != syscall.EINTR {
			t.Fatal(err)
		}
	}
}

// wakes lets it go on with the one thing that it was at; it may find that it has lost it.
func (s *stopped) wakes(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(s.pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if ws := s.wait(t); !ws.Exited() {
		t.Fatalf("it did not end: %v\n%s", ws, s.said(t))
	}
	s.close(t)
}

func (s *stopped) said(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(s.out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (s *stopped) close(t *testing.T) {
	t.Helper()
	if err := s.in.Close(); err != nil {
		t.Error(err)
	}
}

// takenOver leads a course on PostgreSQL by servers that stop after a few points, as a seed says. The next
// takes over while the one before is stopped, and when it has stopped too, the one before wakes in the
// middle of a step that may not be its own any more. It ends as the undisturbed one.
func takenOver(t *testing.T, name string) {
	t.Helper()
	if ledgertest.Job(childEnv) != nil {
		return
	}
	t.Parallel()
	c := courses()[name]
	lead, end := c.open(t, c.folder(t), "sqlite:"+t.TempDir()+"/writ.db", nil)
	lead()
	want := end()
	dir, url := sharedKeys(t, c.folder(t)), pgtest.URL(t)
	luck := rand.New(rand.NewPCG(7, uint64(len(name))))
	var before *stopped
	n, last := 0, ""
	for ; ; n++ {
		if n > 60 {
			t.Fatalf("%s; the last one said:\n%s", noEnd, last)
		}
		s, says, ended := stopsAt(t, name, dir, url, strconv.Itoa(1+luck.IntN(c.most)))
		if before != nil {
			before.wakes(t)
		}
		if before, last = s, says; ended {
			break
		}
	}
	if n < 5 {
		t.Errorf("taken over only %d times", n)
	}
	_, end = c.open(t, dir, url, nil)
	if got, want := saidOnce(end()), saidOnce(want); got != want {
		t.Errorf("after %d servers:\n%s\nwant:\n%s", n, got, want)
	}
	t.Logf("taken over %d times", n)
}

// keysFile says which database servers have their keys in that share one, as those on PostgreSQL must:
// one that is stopped while it writes to a file of keys would keep all others from starting.
const keysFile = "keys.url"

// sharedKeys has the keys of a folder made anew in a database of PostgreSQL.
func sharedKeys(t *testing.T, dir string) string {
	t.Helper()
	url := pgtest.URL(t)
	for _, name := range []string{"keys.db", "root.key"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(keyring.Create(t.Context(), keyring.Options{Dir: dir, URL: url, Now: time.Now}), os.WriteFile(filepath.Join(dir, keysFile), []byte(url), 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// saidOnce leaves out how often people said the same: two of them, each at another server, may write the
// same paper, take the same role, decide the same kind, or approve a review that was written once more.
// That the clock went back is left out too: a server that was stopped shows the time at which it was.
func saidOnce(end string) string {
	lines := slices.DeleteFunc(strings.Split(end, "\n"), func(line string) bool { return line == "incident.clock-reversed" })
	for i := len(lines) - 1; i > 0; i-- {
		words, _, _ := strings.Cut(lines[i], " ")
		if lines[i] == lines[i-1] && slices.Contains([]string{"incident.paper-written", "incident.review-written", "incident.categorised", "incident.approved", "incident.role-taken"}, words) {
			lines = slices.Delete(lines, i, i+1)
		}
	}
	return strings.Join(lines, "\n")
}

// A server that was stopped in the middle of any step, and wakes when another one has gone on, does nothing
// that was done, and nothing that is not its own any more.
func TestIncidentIsTakenOver(t *testing.T) { takenOver(t, "incident") } // breaks: inc.process, inc.tell-affected
func TestBreachIsTakenOver(t *testing.T)   { takenOver(t, "breach") }   // breaks: inc.breach-notify, inc.breach-scope
func TestLossIsTakenOver(t *testing.T)     { takenOver(t, "loss") }     // breaks: inc.loss-restore, inc.loss-reopen

// A server that was stopped before an act reached the gate or the data, and wakes when another has
// gone on, changes neither: the application stays open, and what customers wrote since stays.
func TestOvertakenServerActsNoMore(t *testing.T) { // breaks: inc.loss-restore, inc.loss-reopen
	for _, c := range []struct {
		act, from, point string
		refused          int
	}{{"gate-down", "R0", "running", 1}, {"restore", "R5", "restores", 1}, {"reconcile", "R8", "running", 1}, {"gate-up", "R9", "running", 1},
		{"gate-up", "R9", "found", 0}} { // a try that has not begun never does
		t.Run(c.act+" "+c.point, func(t *testing.T) {
			ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) { overtaken(t, kit, c.act, c.from, c.point, c.refused) }, tables...)
		})
	}
}

func overtaken(t *testing.T, kit *ledgertest.Kit, act, from, point string, refused int) {
	t.Helper()
	dir, there, wakes := t.TempDir(), make(chan struct{}), make(chan struct{})
	var stops atomic.Bool
	halt := func(is bool) {
		if is && stops.CompareAndSwap(true, false) {
			close(there)
			<-wakes
		}
	}
	a := lostWorld(t, kit, dir, &incident.Seam{Step: func(name string) { halt(name == point) }},
		func(_ *lossy, w *incident.World) {
			w.Recovery = halting{w.Recovery, func() { halt(point == "restores") }}
		}) // when it has seen the gate closed
	a.harm()
	a.sorted()
	for v := a.to(from); v.Loss.Running != act; v = a.show(a.ref) {
		a.lead(v)
	}
	stops.Store(true)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.queue.Run(ctx) }()
	select {
	case <-there:
	case <-time.After(30 * time.Second):
		t.Fatal("it did not begin")
	}
	stop() // it takes nothing else
	b := lostWorld(t, kit, dir, nil, nil)
	b.to("R12")
	if _, err := b.store.Add(t.Context(), sample.By{Team: "t1", Person: "maria", Route: "POST /contacts"}, sample.Contact{Name: "Ilse", Email: "i@brandt.example"}); err != nil {
		t.Fatal(err)
	}
	gate, rows := b.gate.read(), b.ids()
	close(wakes)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := b.gate.read(); got.Share != 100 || len(got.Calls) != len(gate.Calls) || !slices.Equal(b.ids(), rows) {
		t.Errorf("the gate was %v and is %v; the rows %v were there, and %v are", gate, got, rows, b.ids())
	}
	e := kit.Recorded("incident.act-superseded")
	if len(e) != refused || refused > 0 && e[0].Fields["act"] != act {
		t.Errorf("recorded: %v", e)
	}
}

// halting stops before it restores.
type halting struct {
	incident.Recovery
	halt func()
}

func (h halting) Restore(ctx context.Context, p incident.Plan, epoch incident.Epoch) (string, error) {
	h.halt()
	return h.Recovery.Restore(ctx, p, epoch)
}
