package ledger_test

import (
	"errors"
	"testing"
	"time"

	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

// What a memo gives is never from before a write of this process, and never older than a
// second.
func TestMemo(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		var m ledger.Memo[int]
		reads := 0
		get := func(key string) int {
			t.Helper()
			v, err := m.Get(kit.DB, key, func() (int, error) { reads++; return reads, nil })
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		if get("a") != 1 || get("a") != 1 || get("b") != 2 {
			t.Error("what was read is not kept by its key")
		}
		write := func() error {
			return kit.DB.Quiet(t.Context(), ledger.LastSeen, func(*ledger.Tx) error { return nil })
		}
		if err := write(); err != nil {
			t.Fatal(err)
		}
		if get("a") != 3 {
			t.Error("kept across a write")
		}
		things := ledger.Memo[int]{Of: []string{"ledger_thing"}}
		get2 := func() int {
			v, err := things.Get(kit.DB, "a", func() (int, error) { reads++; return reads, nil })
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		first := get2()
		touch := func(query string) {
			_ = kit.DB.Quiet(t.Context(), ledger.LastSeen, func(tx *ledger.Tx) error {
				_, err := tx.Exec(t.Context(), query)
				return err // there may be no such table: that it was tried counts
			})
		}
		if touch("UPDATE other_thing SET a = 1"); get2() != first {
			t.Error("not kept across a write to another table")
		}
		for _, q := range []string{"UPDATE ledger_thing SET a = 1", "insert into ledger_thing (a) VALUES (1)", " DELETE FROM ledger_thing", "WITH x AS (SELECT 1) UPDATE ledger_thing SET a = 1", `UPDATE "ledger_thing" SET a = 1`, "REPLACE INTO ledger_thing VALUES (1)"} {
			was := get2()
			if touch(q); get2() == was {
				t.Errorf("kept across %s", q)
			}
		}
		reads = 3
		kit.Clock.Advance(time.Second)
		if get("a") != 4 {
			t.Error("kept for a second")
		}
		kit.Clock.Advance(-time.Minute)
		if get("a") != 5 {
			t.Error("kept by a clock that went back")
		}
		slow, err := m.Get(kit.DB, "slow", func() (int, error) { return 0, write() })
		if slow != 0 || err != nil || get("slow") == 0 {
			t.Error("what was read before a write is kept after it")
		}
		if _, err := m.Get(kit.DB, "bad", func() (int, error) { return 0, errors.New("away") }); err == nil || get("bad") == 0 {
			t.Error("an error is kept")
		}
	})
}
