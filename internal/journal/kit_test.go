package journal_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
)

var (
	_ journal.Jobs = (*jobs.Jobs)(nil)
	_ journal.Ring = (*keyring.Ring)(nil)
)

// noted is an event with a field of each readable class.
type noted struct {
	Title   string `class:"public"`
	Email   string `class:"personal"`
	stream  string
	subject keyring.Subject
	reason  string
}

func (n noted) About() ledger.About {
	name := n.stream
	if name == "" {
		name = "test.noted"
	}
	return ledger.About{Name: name, Clause: "test.clause", Object: "thing/1", Subject: n.subject, Reason: n.reason}
}

var ana = actor.Actor{Kind: actor.Person, ID: "ana", Roles: []string{"owner"}, Via: "https"}

func build(t testing.TB, kit *ledgertest.Kit) *journal.Journal { return leased(t, kit, 0) }

func leased(t testing.TB, kit *ledgertest.Kit, lease time.Duration) *journal.Journal {
	t.Helper()
	j, err := journal.New(journal.Deps{Lease: lease, DB: kit.DB, Ring: kit.Ring, Origin: "https://app.example.test", Now: kit.Clock.Now,
		Log: slog.New(slog.DiscardHandler), Access: policytest.Access(kit.DB, kit.Clock.Now), Revision: func() string { return "7" }})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// run runs the journal until stop is called or the test ends.
func run(t testing.TB, j *journal.Journal) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := j.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func record(t testing.TB, db *ledger.DB, who actor.Actor, ev ledger.Event) string {
	t.Helper()
	r, err := db.Change(t.Context(), who, func(*ledger.Tx) (ledger.Event, error) { return ev, nil })
	if err != nil {
		t.Fatalf("record: %v", err)
	}
	return r.ID
}

// fill records n entries and waits until all are numbered.
func fill(t testing.TB, kit *ledgertest.Kit, j *journal.Journal, n int) []journal.Entry {
	t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = record(t, kit.DB, ana, noted{Title: fmt.Sprint(i), Email: "ana@example.test", subject: keyring.Person("ana"), stream: []string{"", "test.other"}[i%2]})
	}
	out := make([]journal.Entry, n)
	for i, id := range ids {
		out[i] = wait(t, j, id)
	}
	return out
}

func wait(t testing.TB, j *journal.Journal, id string) journal.Entry {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	e, err := j.Wait(ctx, id)
	if err != nil {
		t.Fatalf("wait for %s: %v (stopped: %v)", id, err, j.Stopped())
	}
	return e
}

func both(t *testing.T, fn func(t *testing.T, kit *ledgertest.Kit)) {
	ledgertest.Both(t, fn, journal.Schema())
}
