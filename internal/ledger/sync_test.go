package ledger_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

// A change that was refused because its sync failed does not come back when the process
// is killed, although the whole of it was written to the log. Where that cannot be
// promised, the answer says so.
func TestCommitRefusedStaysRefusedAfterKill_regression(t *testing.T) {
	for name, c := range map[string]struct {
		syncs int64
		code  string
	}{
		"the disk is well again at once": {1, "store_unavailable"},
		"the disk stays broken":          {1000, "outcome_unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			disk := &ledger.Disk{}
			kit := lite(t, 5*time.Second, func(s *ledger.Seam) { s.Disk = disk })
			if _, err := makeThing(t.Context(), kit.DB, 1); err != nil {
				t.Fatal(err)
			}
			disk.Unsynced.Store(c.syncs)
			_, err := makeThing(t.Context(), kit.DB, 2)
			if code, _ := fault.PublicOf(err); code != c.code {
				t.Fatalf("refused with %q (%v), expected %q", code, err, c.code)
			}
			killed := strings.TrimPrefix(kit.URL(), "sqlite:") // what kill -9 would leave
			dir := t.TempDir()
			for _, part := range []string{"", "-wal"} {
				b, err := os.ReadFile(killed + part)
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, "writ.db"+part), b, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			disk.Unsynced.Store(0)
			db, err := ledger.Open(t.Context(), ledger.Config{URL: "sqlite:" + filepath.Join(dir, "writ.db"), Keys: kit.Ring,
				Now: kit.Clock.Now, Log: discard(), Seam: &ledger.Seam{PendingAge: -1}})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for who, r := range map[string]*ledger.DB{"the running process": kit.DB, "the next process": db} {
				var things, entries int64
				if err := ledger.One(t.Context(), r, `SELECT (SELECT COUNT(*) FROM thing), (SELECT COUNT(*) FROM ledger_pending WHERE name <> 'ledger.migrated')`, []any{&things, &entries}); err != nil {
					t.Fatal(err)
				}
				if things != 1 || entries != 1 {
					t.Errorf("%s sees %d effects and %d entries, expected one of each", who, things, entries)
				}
			}
			if _, err := makeThing(t.Context(), kit.DB, 3); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// Nothing gets past Change through a reader, nor makes a reader write for the next.
func TestEach_refusesWhatDoesNotRead(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		for _, q := range []string{"INSERT INTO thing (id, name) VALUES (7, 'x') RETURNING id", "UPDATE thing SET name = 'x' RETURNING id",
			"DELETE FROM thing RETURNING id", "WITH x AS (SELECT 1) INSERT INTO thing (id, name) SELECT 7, 'x' FROM x RETURNING id",
			"SET default_transaction_read_only = off", "/* c */ (((set session characteristics as transaction read write", "PRAGMA query_only = off",
			"CREATE TABLE t (x TEXT)", "ATTACH 'x' AS y", "SELECT 1; INSERT INTO thing (id, name) VALUES (7, 'x')", "-- c", ""} {
			if err := kit.DB.Each(t.Context(), q, func(ledger.Scan) error { return nil }); err == nil {
				t.Errorf("%q was run by a reader", q)
			}
		}
		state(t, kit, 0, 0)
	}, things())
}
