// Package ledgertest gives a test a ledger of its own, on SQLite or PostgreSQL, with a
// key ring and a clock that the test moves, and shows what was recorded.
//
// Both runs a test on both engines: every module's statements go through it, since
// one text must serve both. For: tests of every module.
package ledgertest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"writ/internal/keyring"
	"writ/internal/keyring/keyringtest"
	"writ/internal/ledger"
	"writ/internal/pgtest"
)

// Kit is a ledger and what belongs to it.
type Kit struct {
	DB    *ledger.DB
	Ring  *keyring.Ring
	Clock *Clock
	Seam  *ledger.Seam // set its functions before Open by With; its Disk may be used any time

	t      testing.TB
	config ledger.Config
}

// Option changes the ledger's configuration before it is opened.
type Option func(*ledger.Config)

// Open opens a SQLite ledger in a temporary folder. The clock stands at Start. The limit
// of a closure is 5 s here, not 50 ms, and there is none on waiting entries: test
// machines are slow, and most tests run no sequencer.
func Open(t testing.TB, schemas ...ledger.Schema) *Kit {
	t.Helper()
	return With(t, "sqlite", nil, schemas...)
}

// Both runs fn on SQLite and on PostgreSQL, skipping the latter with a clear word
// where the machine has none.
func Both(t *testing.T, fn func(t *testing.T, kit *Kit), schemas ...ledger.Schema) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) { fn(t, With(t, engine, nil, schemas...)) })
	}
}

// With opens a ledger on the named engine with a changed configuration.
func With(t testing.TB, engine string, change Option, schemas ...ledger.Schema) *Kit {
	t.Helper()
	var url string
	if engine == "postgres" {
		url = pgtest.URL(t)
	} else {
		url = "sqlite:" + filepath.Join(t.TempDir(), "writ.db")
	}
	k := &Kit{Clock: NewClock(), t: t, Seam: &ledger.Seam{Limit: 5 * time.Second, PendingAge: -1}}
	k.Ring = keyringtest.At(t, k.Clock.Now)
	k.config = ledger.Config{URL: url, Keys: k.Ring, Now: k.Clock.Now, Log: slog.New(slog.DiscardHandler),
		Schemas: schemas, Seam: k.Seam}
	if change != nil {
		change(&k.config)
		k.Seam = k.config.Seam
	}
	k.open()
	t.Cleanup(func() {
		if err := k.DB.Close(); err != nil {
			t.Errorf("close ledger: %v", err)
		}
	})
	return k
}

func (k *Kit) open() {
	k.t.Helper()
	var err error
	if k.DB, err = ledger.Open(context.Background(), k.config); err != nil {
		k.t.Fatalf("open ledger: %v", err)
	}
}

// URL is the ledger's address.
func (k *Kit) URL() string { return k.config.URL }

// Reopen closes the ledger and opens it again, as a restart would.
func (k *Kit) Reopen() {
	k.t.Helper()
	if err := k.DB.Close(); err != nil {
		k.t.Fatalf("close ledger: %v", err)
	}
	k.open()
}

// Recorded is one entry with its personal values opened.
type Recorded struct {
	ID, Name, Object, Clause string
	Actor, Subject           string
	Reason                   string
	Fields                   map[string]any // public and personal; numbers as json.Number; secret fields are left out
	Body                     string         // canonical JSON, as recorded
}

// Recorded returns the entries that wait, oldest first, but for ledger.migrated. With names,
// only entries of those events. Personal values whose key was erased are left out.
func (k *Kit) Recorded(names ...string) []Recorded {
	k.t.Helper()
	var rows []ledger.PendingRow
	err := k.DB.Each(context.Background(), `SELECT id, name, body, payload, payload_key FROM ledger_pending ORDER BY k`,
		func(scan ledger.Scan) error {
			var r ledger.PendingRow
			if err := scan(&r.ID, &r.Name, &r.Body, &r.Payload, &r.PayloadKey); err != nil {
				return err
			}
			rows = append(rows, r)
			return nil
		})
	if err != nil {
		k.t.Fatalf("read entries: %v", err)
	}
	var out []Recorded
	for _, r := range rows {
		if r.Name == "ledger.migrated" && len(names) == 0 || len(names) > 0 && !slices.Contains(names, r.Name) {
			continue
		}
		out = append(out, k.opened(r))
	}
	return out
}

func (k *Kit) opened(r ledger.PendingRow) Recorded {
	k.t.Helper()
	var body struct {
		Object, Clause, Actor, Subject string
		F                              map[string]any
	}
	k.decode(r.Body, &body)
	rec := Recorded{ID: r.ID, Name: r.Name, Object: body.Object, Clause: body.Clause, Actor: body.Actor,
		Subject: body.Subject, Fields: map[string]any{}, Body: string(r.Body)}
	for name, v := range body.F {
		if _, committed := v.(map[string]any); !committed {
			rec.Fields[name] = v
		}
	}
	if r.PayloadKey == "" {
		return rec
	}
	key, err := k.Ring.ByID(context.Background(), r.PayloadKey)
	if err != nil {
		return rec
	}
	plain, err := key.Open(r.Payload, ledger.PayloadAAD(r.ID))
	if err != nil {
		k.t.Fatalf("open payload of %s: %v", r.Name, err)
	}
	type value struct{ V any }
	var payload struct {
		F      map[string]value
		Reason value
	}
	k.decode(plain.Reveal(), &payload)
	for name, v := range payload.F {
		rec.Fields[name] = v.V
	}
	rec.Reason, _ = payload.Reason.V.(string)
	return rec
}

func (k *Kit) decode(b []byte, into any) {
	k.t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		k.t.Fatalf("read entry: %v", err)
	}
}

// Start is where a new Clock stands.
var Start = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

// Clock is a clock that the test moves. It stands still otherwise.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock returns a clock at Start.
func NewClock() *Clock { return &Clock{at: Start} }

// Now is the clock's time.
func (c *Clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

// Advance moves the clock; a negative d sets it back.
func (c *Clock) Advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

// Set sets the clock.
func (c *Clock) Set(t time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.at = t }
