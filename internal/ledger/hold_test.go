package ledger_test

import (
	"database/sql"
	"testing"

	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

// A row that a change holds is nobody else's to change until the commit, and on SQLite,
// whose writer nobody shares, nothing is written for it.
func TestHold(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			disk := &ledger.Disk{}
			kit := ledgertest.With(t, engine, func(c *ledger.Config) { c.Seam.Disk = disk }, things())
			if _, err := makeThing(t.Context(), kit.DB, 1); err != nil {
				t.Fatal(err)
			}
			syncs := disk.Syncs.Load()
			err := kit.DB.Quiet(t.Context(), ledger.Lease, func(tx *ledger.Tx) error {
				for id, want := range map[int]int64{1: 1, 2: 0} {
					n, err := tx.Hold(t.Context(), `SELECT id FROM thing WHERE id = $1`, id)
					if err != nil {
						return err
					}
					if n != want {
						t.Errorf("%d rows held of thing %d, expected %d", n, id, want)
					}
				}
				if engine == "postgres" {
					db, err := sql.Open("pgx", kit.URL())
					if err != nil {
						return err
					}
					defer db.Close()
					if _, err := db.ExecContext(t.Context(), `SELECT id FROM thing WHERE id = 1 FOR NO KEY UPDATE NOWAIT`); err == nil {
						t.Error("another change can take the row that is held")
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if n := disk.Syncs.Load() - syncs; n != 0 {
				t.Errorf("holding a row synced the log %d times", n)
			}
		})
	}
}
