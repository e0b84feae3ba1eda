package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// things is a table for the tests.
func things() ledger.Schema {
	return ledger.Schema{Module: "thing", FS: fstest.MapFS{"00001_thing.sql": {Data: []byte(`-- +goose Up
CREATE TABLE thing (id {{rowid}}, name TEXT NOT NULL UNIQUE, raw BYTEA, flag BOOLEAN NOT NULL DEFAULT FALSE, at BIGINT NOT NULL DEFAULT 0);
CREATE TABLE thing_part (k {{autoid}}, thing BIGINT NOT NULL REFERENCES thing(id), note TEXT NOT NULL);
`)}}}
}

// Made is an event with a field of each class and type.
type Made struct {
	Number int           `class:"public"`
	Big    int64         `class:"public"`
	Flag   bool          `class:"public"`
	At     time.Time     `class:"public"`
	For    time.Duration `class:"public"`
	Tags   []string      `class:"public"`
	Email  string        `class:"personal"`
	Token  secret.Text   `class:"secret"`

	about ledger.About
}

func (m Made) About() ledger.About {
	if m.about.Name == "" {
		m.about.Name = "thing.made"
	}
	return m.about
}

var ana = actor.Actor{Kind: actor.Person, ID: "person-ana", Via: "https"}

const insertThing = `INSERT INTO thing (id, name) VALUES ($1, $2)`

// make inserts thing n and records it.
func makeThing(ctx context.Context, db *ledger.DB, n int) (ledger.Receipt, error) {
	return db.Change(ctx, ana, func(t *ledger.Tx) (ledger.Event, error) {
		if _, err := t.Exec(ctx, insertThing, n, fmt.Sprint("thing ", n)); err != nil {
			return nil, err
		}
		return Made{Number: n}, nil
	})
}

func count(t *testing.T, r ledger.Reader, table string) int {
	t.Helper()
	var n int
	if err := ledger.One(context.Background(), r, `SELECT COUNT(*) FROM `+table, []any{&n}); err != nil {
		t.Fatal(err)
	}
	return n
}

// state checks how many things and entries of them there are.
func state(t *testing.T, kit *ledgertest.Kit, things, entries int) {
	t.Helper()
	if got := count(t, kit.DB, "thing"); got != things {
		t.Errorf("%d things, want %d", got, things)
	}
	if got := len(kit.Recorded()); got != entries {
		t.Errorf("%d entries, want %d", got, entries)
	}
}

func TestChange_recordsEffectAndEntryTogether(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		r, err := makeThing(t.Context(), kit.DB, 1)
		if err != nil {
			t.Fatal(err)
		}
		state(t, kit, 1, 1)
		rec := kit.Recorded()[0]
		if rec.ID != r.ID || rec.Name != "thing.made" || !r.At.Equal(ledgertest.Start) {
			t.Errorf("receipt %+v, entry %+v", r, rec)
		}
		if len(r.ID) != 26 {
			t.Errorf("id %q is not 26 characters", r.ID)
		}
	}, things())
}

func TestChange_undoesItselfAlone(t *testing.T) {
	boom := errors.New("boom")
	var none *Made
	cases := map[string]func(context.Context, *ledger.Tx) (ledger.Event, error){
		"error":       func(context.Context, *ledger.Tx) (ledger.Event, error) { return Made{}, boom },
		"nil event":   func(context.Context, *ledger.Tx) (ledger.Event, error) { return nil, nil },
		"nil pointer": func(context.Context, *ledger.Tx) (ledger.Event, error) { return none, nil },
		"panic":       func(context.Context, *ledger.Tx) (ledger.Event, error) { panic(boom) },
		"goexit":      func(context.Context, *ledger.Tx) (ledger.Event, error) { runtime.Goexit(); return nil, nil },
		"bad name": func(context.Context, *ledger.Tx) (ledger.Event, error) {
			return Made{about: ledger.About{Name: "Made"}}, nil
		},
		"address in object": func(context.Context, *ledger.Tx) (ledger.Event, error) {
			return Made{about: ledger.About{Name: "thing.made", Object: "person/a@example.test"}}, nil
		},
		"integer too large": func(context.Context, *ledger.Tx) (ledger.Event, error) { return Made{Big: 1 << 60}, nil },
		"public part too large": func(context.Context, *ledger.Tx) (ledger.Event, error) {
			return Made{Tags: []string{strings.Repeat("x", 17<<10)}}, nil
		},
		"ignored failed statement": func(ctx context.Context, tx *ledger.Tx) (ledger.Event, error) {
			tx.Exec(ctx, insertThing, 1, "taken")
			return Made{}, nil
		},
		"ignored bad SQL": func(ctx context.Context, tx *ledger.Tx) (ledger.Event, error) {
			tx.Exec(ctx, `INSERT INTO nothing VALUES (1)`)
			return Made{}, nil
		},
		"ignored statement in a row": func(ctx context.Context, tx *ledger.Tx) (ledger.Event, error) {
			tx.Each(ctx, `SELECT id FROM thing`, func(ledger.Scan) error {
				tx.Exec(ctx, insertThing, 3, "three")
				return nil
			})
			return Made{}, nil
		},
		"panic in a row": func(ctx context.Context, tx *ledger.Tx) (ledger.Event, error) {
			tx.Each(ctx, `SELECT id FROM thing`, func(ledger.Scan) error { panic(boom) })
			return Made{}, nil
		},
	}
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		ctx := t.Context()
		if _, err := makeThing(ctx, kit.DB, 1); err != nil {
			t.Fatal(err)
		}
		for name, fn := range cases {
			t.Run(name, func(t *testing.T) {
				var err error
				var wg sync.WaitGroup
				wg.Go(func() {
					defer func() {
						if r := recover(); r != nil && r != boom {
							t.Errorf("panic %v", r)
						}
					}()
					err = errors.New("closure left")
					_, err = kit.DB.Change(ctx, ana, func(tx *ledger.Tx) (ledger.Event, error) {
						if _, err := tx.Exec(ctx, insertThing, 2, "two"); err != nil {
							return nil, err
						}
						return fn(ctx, tx)
					})
				})
				wg.Wait()
				if err == nil {
					t.Error("the change succeeded")
				}
				state(t, kit, 1, 1)
			})
		}
		if _, err := makeThing(ctx, kit.DB, 2); err != nil {
			t.Errorf("after all that: %v", err)
		}
		state(t, kit, 2, 2)
	}, things())
}

func TestTx_afterTheEnd(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		ctx := t.Context()
		var kept *ledger.Tx
		_, err := kit.DB.Change(ctx, ana, func(tx *ledger.Tx) (ledger.Event, error) { kept = tx; return Made{}, nil })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kept.Exec(ctx, insertThing, 1, "late"); err == nil {
			t.Error("a statement after the end was accepted")
		}
		if err := kept.Each(ctx, `SELECT 1`, func(ledger.Scan) error { return nil }); err == nil {
			t.Error("a query after the end was accepted")
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("Also after the end did not panic")
				}
			}()
			kept.Also(Made{})
		}()
		state(t, kit, 0, 1)
	}, things())
}

func TestChange_errors(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		ctx := t.Context()
		makeThing(ctx, kit.DB, 1)
		if _, err := makeThing(ctx, kit.DB, 1); !errors.Is(err, fault.Conflict) {
			t.Errorf("duplicate: %v", err)
		}
		_, err := kit.DB.Change(ctx, ana, func(tx *ledger.Tx) (ledger.Event, error) {
			_, err := tx.Exec(ctx, `INSERT INTO thing_part (thing, note) VALUES ($1, $2)`, 99, "n")
			return Made{}, err
		})
		if !errors.Is(err, fault.Conflict) {
			t.Errorf("foreign key: %v", err)
		}
		if _, err := kit.DB.Change(ctx, actor.Actor{}, func(*ledger.Tx) (ledger.Event, error) { return Made{}, nil }); !errors.Is(err, fault.Internal) {
			t.Errorf("no actor: %v", err)
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := makeThing(gone, kit.DB, 2); err == nil {
			t.Error("a change whose caller had gone was made")
		}
		var n int
		if err := ledger.One(ctx, kit.DB, `SELECT id FROM thing WHERE id = $1`, []any{&n}, 77); !errors.Is(err, fault.NotFound) {
			t.Errorf("no row: %v", err)
		}
		state(t, kit, 1, 1)
	}, things())
}

func TestChange_nestedIsRefused(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		ctx := t.Context()
		for name, inner := range map[string]func() error{
			"change": func() error { _, err := makeThing(ctx, kit.DB, 5); return err },
			"refuse": func() error { return kit.DB.Refuse(ctx, ana, Made{}, errors.New("no")) },
			"quiet":  func() error { return kit.DB.Quiet(ctx, ledger.Lease, func(*ledger.Tx) error { return nil }) },
		} {
			_, err := kit.DB.Change(ctx, ana, func(*ledger.Tx) (ledger.Event, error) { return Made{}, inner() })
			if err == nil {
				t.Errorf("%s inside a change was accepted", name)
			}
		}
		state(t, kit, 0, 0)
	}, things())
}

func TestChange_readsItsOwnWritesAndOthersDoNot(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		ctx := t.Context()
		_, err := kit.DB.Change(ctx, ana, func(tx *ledger.Tx) (ledger.Event, error) {
			if _, err := tx.Exec(ctx, insertThing, 1, "one"); err != nil {
				return nil, err
			}
			if n := count(t, tx, "thing"); n != 1 {
				t.Errorf("inside: %d", n)
			}
			if n := count(t, kit.DB, "thing"); n != 0 {
				t.Errorf("outside: %d", n)
			}
			return Made{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}, things())
}

// Nobody writes past Change: not through a reader, not by ending the transaction.
func TestNoWayPastChange(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		ctx := t.Context()
		makeThing(ctx, kit.DB, 1)
		for _, q := range []string{`INSERT INTO thing (id, name) VALUES (2, 'two') RETURNING id`, `DELETE FROM thing RETURNING id`,
			`PRAGMA query_only = off`, `BEGIN`} {
			if err := kit.DB.Each(ctx, q, func(ledger.Scan) error { return nil }); err == nil {
				t.Errorf("a reader ran %s", q)
			}
		}
		for _, q := range []string{"COMMIT", "end", " -- x\n/* y */ ;rollback", "SAVEPOINT a", "Release c", "(BEGIN"} {
			_, err := kit.DB.Change(ctx, ana, func(tx *ledger.Tx) (ledger.Event, error) {
				if _, err := tx.Exec(ctx, insertThing, 3, "three"); err != nil {
					return nil, err
				}
				tx.Exec(ctx, q)
				return Made{}, nil
			})
			if err == nil {
				t.Errorf("a closure ran %q", q)
			}
		}
		state(t, kit, 1, 1)
	}, things())
}

func TestPlaceholders_bindByNumber(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		var a, b, c, d string
		err := ledger.One(t.Context(), kit.DB,
			"SELECT $2::text, '$1', $1::text, $2::text -- $3\n", []any{&a, &b, &c, &d}, "one", "two")
		if kit.DB.Engine() == "sqlite" { // no casts there, and none needed
			err = ledger.One(t.Context(), kit.DB, "SELECT $2, '$1', $1, $2 -- $3\n", []any{&a, &b, &c, &d}, "one", "two")
		}
		if err != nil || a != "two" || b != "$1" || c != "one" || d != "two" {
			t.Errorf("%q %q %q %q %v", a, b, c, d, err)
		}
	})
}

func TestValues_comeBackAlike(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		ctx := t.Context()
		const q = `INSERT INTO thing (id, name, raw, flag, at) VALUES ($1, $2, $3, $4, $5)`
		big := int64(1)<<62 + 1
		_, err := kit.DB.Change(ctx, ana, func(tx *ledger.Tx) (ledger.Event, error) {
			if _, err := tx.Exec(ctx, q, 1, "é\u0000"[:2], []byte{0, 1, 255}, true, big); err != nil {
				return nil, err
			}
			if _, err := tx.Exec(ctx, q, 2, "", []byte(nil), false, -1); err != nil {
				return nil, err
			}
			n, err := tx.Exec(ctx, `UPDATE thing SET at = at WHERE id > $1`, 0)
			if n != 2 {
				t.Errorf("%d rows changed, want 2", n)
			}
			return Made{}, err
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		err = kit.DB.Each(ctx, `SELECT name, raw, flag, at FROM thing ORDER BY id`, func(scan ledger.Scan) error {
			var name string
			var raw []byte
			var flag bool
			var at int64
			if err := scan(&name, &raw, &flag, &at); err != nil {
				return err
			}
			got = append(got, fmt.Sprintf("%s %v %t %t %d", name, raw, raw == nil, flag, at))
			return nil
		})
		want := []string{fmt.Sprintf("é [0 1 255] false true %d", big), " [] true false -1"}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %q, want %q, %v", got, want, err)
		}
	}, things())
}

func TestRefuse(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		denied := fault.Newf(fault.Denied, "no", "No.")
		gone, cancel := context.WithCancel(t.Context())
		cancel() // who breaks off cannot keep the refusal out of the record
		if err := kit.DB.Refuse(gone, ana, Made{}, denied); err != denied {
			t.Errorf("got %v", err)
		}
		state(t, kit, 0, 1)
		kit.Seam.Commit = func() error { return errors.New("disk on fire") }
		err := kit.DB.Refuse(t.Context(), ana, Made{}, denied)
		if code, _ := fault.PublicOf(err); !errors.Is(err, fault.Unavailable) || code != "unrecorded" {
			t.Errorf("unrecorded refusal gives %v", err)
		}
		kit.Seam.Commit = nil
		state(t, kit, 0, 1)
	}, things())
}

func TestQuiet_isAClosedList(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		ctx := t.Context()
		insert := func(tx *ledger.Tx) error { _, err := tx.Exec(ctx, insertThing, 1, "one"); return err }
		if err := kit.DB.Quiet(ctx, "convenience", insert); err == nil {
			t.Error("an unknown reason was accepted")
		}
		err := kit.DB.Quiet(ctx, ledger.Lease, func(tx *ledger.Tx) error { tx.Also(Made{}); return insert(tx) })
		if err == nil {
			t.Error("housekeeping with an event was accepted")
		}
		state(t, kit, 0, 0)
		if err := kit.DB.Quiet(ctx, ledger.Lease, insert); err != nil {
			t.Fatal(err)
		}
		state(t, kit, 1, 0)
	}, things())
}

func TestAlso_keepsTheOrder(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		var entry string
		r, err := kit.DB.Change(t.Context(), ana, func(tx *ledger.Tx) (ledger.Event, error) {
			entry = tx.Entry()
			tx.Also(Made{Number: 2})
			tx.Also(Made{Number: 3})
			return Made{Number: 1}, nil
		})
		if err != nil || r.ID != entry {
			t.Fatalf("%v, %q is not %q", err, r.ID, entry)
		}
		var got strings.Builder
		for _, rec := range kit.Recorded() {
			got.WriteString(fmt.Sprint(rec.Fields["number"]))
		}
		if got.String() != "123" {
			t.Errorf("order %s", got.String())
		}
	})
}

// Each closure runs twice; a change must come out once.
func TestChange_rehearsed(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			kit := ledgertest.With(t, engine, func(c *ledger.Config) { c.Seam.Twice = true }, things())
			for n := range 3 {
				if _, err := makeThing(t.Context(), kit.DB, n); err != nil {
					t.Fatal(err)
				}
			}
			state(t, kit, 3, 3)
		})
	}
}

// A subject whose key is not in memory makes the closure run again, and no more.
func TestChange_fetchesTheSubjectsKeyOutside(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		for want := 2; want > 0; want-- {
			runs := 0
			_, err := kit.DB.Change(t.Context(), actor.System("test"), func(tx *ledger.Tx) (ledger.Event, error) {
				runs++
				return Made{Email: "b@example.test", about: ledger.About{Name: "thing.made", Subject: keyring.Person("bea"), Reason: "she asked"}}, nil
			})
			if err != nil || runs != want {
				t.Errorf("%d runs, want %d; %v", runs, want, err)
			}
		}
		rec := kit.Recorded()
		if len(rec) != 2 || rec[0].Reason != "she asked" || rec[0].Fields["email"] != "b@example.test" {
			t.Errorf("recorded %+v", rec)
		}
		if rec[0].Subject != rec[1].Subject || !strings.HasPrefix(rec[0].Subject, "p:") {
			t.Errorf("subject %q then %q", rec[0].Subject, rec[1].Subject)
		}
	})
}

func TestOpen_refusesForeignSchemas(t *testing.T) {
	newer := things()
	newer.FS.(fstest.MapFS)["00002_more.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE thing_more (id {{rowid}});\n")}
	altered := things()
	altered.FS.(fstest.MapFS)["00001_thing.sql"].Data = append(altered.FS.(fstest.MapFS)["00001_thing.sql"].Data, "-- altered\n"...)
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			var config ledger.Config
			kit := ledgertest.With(t, engine, func(c *ledger.Config) { config = *c }, newer)
			if rec := kit.Recorded("ledger.migrated"); len(rec) != 3 || rec[2].Object != "schema/thing" {
				t.Errorf("recorded %+v", rec)
			}
			kit.Reopen()
			if rec := kit.Recorded("ledger.migrated"); len(rec) != 3 {
				t.Errorf("recorded again: %d", len(rec))
			}
			for code, s := range map[string]ledger.Schema{"schema_newer": things(), "schema_changed": altered} {
				config.Schemas = []ledger.Schema{s}
				db, err := ledger.Open(t.Context(), config)
				if got, _ := fault.PublicOf(err); got != code {
					t.Errorf("%s: %v", code, err)
				}
				if db != nil {
					db.Close()
				}
			}
		})
	}
}
