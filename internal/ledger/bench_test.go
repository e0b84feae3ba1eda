package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/keyring/keyringtest"
	"writ/internal/ledger"
	"writ/internal/pgtest"
)

// The marks are ratios within one run : Change one by one at least
// 0.55 of Bare; 64 writers at least 5 times one; PostgreSQL 16 writers at least 0.6 of Bare.
// Bare is the same data row past the ledger, with the same encryption and syncing: what
// the database itself costs. On SQLite in an autocommit insert, on PostgreSQL in a
// transaction of its own; the private cluster of tests does not sync, so its ratios are
// worse than those of a real one.

func benchDB(b *testing.B, engine string) (*ledger.DB, string) {
	b.Helper()
	url := "sqlite:" + filepath.Join(b.TempDir(), "writ.db")
	if engine == "postgres" {
		url = pgtest.URL(b)
	}
	db, err := ledger.Open(context.Background(), ledger.Config{URL: url, Keys: keyringtest.New(b), Now: time.Now,
		Log: discard(), Schemas: []ledger.Schema{things()}, Seam: &ledger.Seam{PendingAge: -1, PendingMax: 0}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return db, url
}

const benchInsert = `INSERT INTO thing (id, name, at) VALUES ($1, $2, $3)`

func benchName(n int64) string { return fmt.Sprintf("%080d", n) }

func BenchmarkBare(b *testing.B) {
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, writers := range map[string][]int{"sqlite": {1}, "postgres": {1, 16}}[engine] {
			b.Run(fmt.Sprintf("%s/writers=%d", engine, writers), func(b *testing.B) {
				bare, err := ledger.Bare(benchDB(b, engine))
				if err != nil {
					b.Fatal(err)
				}
				defer bare.Close()
				if engine == "sqlite" {
					bare.SetMaxOpenConns(1)
				}
				insert, err := bare.Prepare(benchInsert)
				if err != nil {
					b.Fatal(err)
				}
				defer insert.Close()
				run(b, writers, func(n int64) error {
					if engine == "sqlite" {
						_, err := insert.Exec(n, benchName(n), n)
						return err
					}
					tx, err := bare.Begin()
					if err != nil {
						return err
					}
					if _, err := tx.Exec(benchInsert, n, benchName(n), n); err != nil {
						return errors.Join(err, tx.Rollback())
					}
					return tx.Commit()
				})
			})
		}
	}
}

func BenchmarkChange(b *testing.B) {
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, writers := range []int{1, 8, 16, 64} {
			b.Run(fmt.Sprintf("%s/writers=%d", engine, writers), func(b *testing.B) {
				db, _ := benchDB(b, engine)
				run(b, writers, func(n int64) error {
					_, err := db.Change(context.Background(), ana, func(t *ledger.Tx) (ledger.Event, error) {
						_, err := t.Exec(context.Background(), benchInsert, n, benchName(n), n)
						return Made{Number: int(n), Email: "somebody@example.test"}, err
					})
					return err
				})
			})
		}
	}
}

func run(b *testing.B, writers int, fn func(n int64) error) {
	var next atomic.Int64
	done := make(chan error, writers)
	b.ResetTimer()
	for range writers {
		go func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					done <- nil
					return
				}
				if err := fn(n); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
}
