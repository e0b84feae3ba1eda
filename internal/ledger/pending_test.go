package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

// head is the journal's part of a sequencer, as small as it can be.
func head() ledger.Schema {
	return ledger.Schema{Module: "head", FS: fstest.MapFS{"00001_head.sql": {Data: []byte(`-- +goose Up
CREATE TABLE head (one {{rowid}}, size BIGINT NOT NULL);
INSERT INTO head (one, size) VALUES (1, 0);
CREATE TABLE head_entry (n {{rowid}}, id TEXT NOT NULL UNIQUE, body BYTEA NOT NULL);
`)}}}
}

// sequence numbers what waits, at most limit, and returns how many.
func sequence(ctx context.Context, db *ledger.DB, limit int) (int, error) {
	done := 0
	err := db.Sequence(ctx, func(t *ledger.Tx, claim ledger.Claim) error {
		done = 0
		if _, err := t.Exec(ctx, `UPDATE head SET size = size WHERE one = 1`); err != nil {
			return err
		}
		var size int64
		if err := ledger.One(ctx, t, `SELECT size FROM head WHERE one = 1`, []any{&size}); err != nil {
			return err
		}
		rows, err := claim(limit)
		if err != nil {
			return err
		}
		if !slices.IsSortedFunc(rows, func(a, b ledger.PendingRow) int { return int(a.K - b.K) }) {
			return errors.New("rows are not in order")
		}
		for i, r := range rows {
			if _, err := t.Exec(ctx, `INSERT INTO head_entry (n, id, body) VALUES ($1, $2, $3)`, size+int64(i), r.ID, r.Body); err != nil {
				return err
			}
		}
		_, err = t.Exec(ctx, `UPDATE head SET size = $1 WHERE one = 1`, size+int64(len(rows)))
		done = len(rows)
		return err
	})
	return done, err
}

// Writers and two sequencers run together: each entry is numbered once, without a
// gap, and what was acknowledged before another change began comes before it.
func TestSequence_losesNothingUnderWriters(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		ctx := context.Background()
		const writers, each = 8, 60
		wake := kit.DB.Wake()
		var producing, sequencing sync.WaitGroup
		stop := make(chan struct{})
		for range 2 {
			sequencing.Go(func() {
				for {
					n, err := sequence(ctx, kit.DB, 25)
					if err != nil {
						t.Errorf("sequence: %v", err)
						return
					}
					if n > 0 {
						continue
					}
					select {
					case <-wake:
					case <-time.After(10 * time.Millisecond):
					case <-stop:
						if more, _, err := kit.DB.HasPending(ctx); !more || err != nil {
							return
						}
					}
				}
			})
		}
		order := make([][]string, writers) // of one writer: acknowledged before the next began
		for w := range writers {
			producing.Go(func() {
				for i := range each {
					r, err := makeThing(ctx, kit.DB, w*1000+i)
					if err != nil {
						t.Error(err)
						return
					}
					order[w] = append(order[w], r.ID)
				}
			})
		}
		producing.Wait()
		close(stop)
		sequencing.Wait()
		at, want := map[string]int{}, 0
		err := kit.DB.Each(ctx, `SELECT n, id FROM head_entry ORDER BY n`, func(scan ledger.Scan) error {
			var n int
			var id string
			if err := scan(&n, &id); err != nil {
				return err
			}
			if n != want {
				return fmt.Errorf("number %d, want %d", n, want)
			}
			want++
			at[id] = n
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for w := range writers {
			for i, id := range order[w] {
				n, ok := at[id]
				if !ok {
					t.Fatalf("change %d of writer %d was not numbered", i, w)
				}
				if i > 0 && n < at[order[w][i-1]] {
					t.Errorf("writer %d: change %d is numbered before the one acknowledged before it", w, i)
				}
			}
		}
	}, things(), head())
}

func TestSequence_undoneStaysPending(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		ctx := t.Context()
		for n := range 5 {
			makeThing(ctx, kit.DB, n)
		}
		before := len(kit.Recorded())
		err := kit.DB.Sequence(ctx, func(tx *ledger.Tx, claim ledger.Claim) error {
			if rows, err := claim(100); err != nil || len(rows) < 5 {
				t.Errorf("claimed %d: %v", len(rows), err)
			}
			return io.ErrUnexpectedEOF
		})
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(kit.Recorded()) != before {
			t.Errorf("%v; %d entries wait, want %d", err, len(kit.Recorded()), before)
		}
		more, oldest, err := kit.DB.HasPending(ctx)
		if !more || !oldest.Equal(ledgertest.Start) || err != nil {
			t.Errorf("%t %v %v", more, oldest, err)
		}
	}, things(), head())
}

func TestGate_refusesWhileTheJournalIsBehind(t *testing.T) {
	for code, set := range map[string]func(*ledger.Seam){
		"pending_many": func(s *ledger.Seam) { s.PendingMax, s.PendingAge = 10, -1 },
		"pending_old":  func(s *ledger.Seam) { s.PendingAge = 15 * time.Minute },
	} {
		for _, engine := range []string{"sqlite", "postgres"} {
			t.Run(engine+" "+code, func(t *testing.T) {
				kit := ledgertest.With(t, engine, func(c *ledger.Config) { set(c.Seam) }, things(), head())
				ctx := t.Context()
				var err error
				n := 0
				for ; err == nil && n < 20; n++ {
					_, err = makeThing(ctx, kit.DB, n)
					kit.Clock.Advance(time.Minute)
				}
				if got, _ := fault.PublicOf(err); got != code || !errors.Is(err, fault.Limited) || n < 5 || n > 18 {
					t.Fatalf("after %d changes: %v", n, err)
				}
				if err := kit.DB.Quiet(ctx, ledger.Lease, func(*ledger.Tx) error { return nil }); err != nil {
					t.Errorf("housekeeping: %v", err)
				}
				if _, err := sequence(ctx, kit.DB, 100); err != nil {
					t.Fatal(err)
				}
				if _, err := makeThing(ctx, kit.DB, 99); err != nil {
					t.Errorf("after the journal caught up: %v", err)
				}
			})
		}
	}
}

func TestMigrations_areRecordedAfterAKill(t *testing.T) {
	kit := ledgertest.Open(t, things())
	// As if the process had died between applying and recording.
	err := kit.DB.Quiet(t.Context(), ledger.Cursor, func(tx *ledger.Tx) error {
		_, err := tx.Exec(t.Context(), `DELETE FROM ledger_migration WHERE module = $1`, "thing")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	before := len(kit.Recorded("ledger.migrated"))
	kit.Reopen()
	after := kit.Recorded("ledger.migrated")
	if len(after) != before+1 || after[before].Object != "schema/thing" || after[before].Actor != actor.System("migrate").String() {
		t.Errorf("recorded %+v", after)
	}
}

// Each commit is followed by a hint, and many commits by few.
func TestWake_hintsSoonAndSeldom(t *testing.T) {
	kit := ledgertest.Open(t, things())
	wake := kit.DB.Wake()
	for n := range 5 {
		if _, err := makeThing(t.Context(), kit.DB, n); err != nil {
			t.Fatal(err)
		}
		select {
		case <-wake:
		case <-time.After(10 * time.Second):
			t.Fatalf("no hint after commit %d", n)
		}
	}
	start, hints := time.Now(), 0
	for n := range 300 {
		makeThing(t.Context(), kit.DB, 100+n)
		select {
		case <-wake:
			hints++
		default:
		}
	}
	if most := int(time.Since(start)/(20*time.Millisecond)) + 2; hints == 0 || hints > most {
		t.Errorf("%d hints in %v, at most %d expected", hints, time.Since(start), most)
	}
}
