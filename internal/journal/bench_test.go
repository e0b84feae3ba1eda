package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/journal"
	"writ/internal/journal/verify"
	"writ/internal/keyring/keyringtest"
	"writ/internal/ledger"
	"writ/internal/pgtest"
)

// real opens a ledger and a journal as production does: no seam, the real clock.
func real(b *testing.B, engine string) (*ledger.DB, *journal.Journal) {
	b.Helper()
	url := "sqlite:" + filepath.Join(b.TempDir(), "writ.db")
	if engine == "postgres" {
		url = pgtest.URL(b)
	}
	ring := keyringtest.New(b)
	log := slog.New(slog.DiscardHandler)
	db, err := ledger.Open(b.Context(), ledger.Config{URL: url, Keys: ring, Now: time.Now, Log: log, Schemas: []ledger.Schema{journal.Schema()}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	j, err := journal.New(journal.Deps{DB: db, Ring: ring, Origin: "app.example.test", Now: time.Now, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	return db, j
}

func change(db *ledger.DB, i int64) (string, error) {
	for {
		r, err := db.Change(context.Background(), actor.Actor{Kind: actor.Operator, ID: "0"}, func(*ledger.Tx) (ledger.Event, error) {
			return noted{Title: fmt.Sprint(i), Email: "ana@example.test", reason: "because"}, nil
		})
		if !errors.Is(err, ledger.ErrCutOff) { // a loaded machine; a client would try again
			return r.ID, err
		}
	}
}

// BenchmarkChange: entries a second, without and with the sequencer running, and how
// long the sequencer needs to come to the end afterwards.
func BenchmarkChange(b *testing.B) {
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, writers := range []int{1, 8, 64} {
			for _, sequencer := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/writers=%d/sequencer=%v", engine, writers, sequencer), func(b *testing.B) {
					db, j := real(b, engine)
					if sequencer {
						run(b, j)
						id, err := change(db, 0)
						if err != nil {
							b.Fatal(err)
						}
						wait(b, j, id)
					}
					var next atomic.Int64
					var last atomic.Value
					b.ResetTimer()
					var wg sync.WaitGroup
					for range writers {
						wg.Go(func() {
							for next.Add(1) <= int64(b.N) {
								id, err := change(db, next.Load())
								if err != nil {
									b.Error(err)
									return
								}
								last.Store(id)
							}
						})
					}
					wg.Wait()
					b.StopTimer()
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
					if sequencer {
						began := time.Now()
						wait(b, j, last.Load().(string))
						b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-behind")
					}
				})
			}
		}
	}
}

// BenchmarkInclusion: from the answer of Change to the committed checkpoint that holds
// the entry, at 1,000 entries a second.
func BenchmarkInclusion(b *testing.B) {
	for _, engine := range []string{"sqlite", "postgres"} {
		b.Run(engine, func(b *testing.B) {
			db, j := real(b, engine)
			run(b, j)
			var mu sync.Mutex
			committed, took := map[string]time.Time{}, []time.Duration{}
			j2 := make(chan struct{})
			stop := make(chan struct{})
			go func() { // one reader notes when each entry became visible
				defer close(j2)
				from := int64(0)
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
					}
					now := time.Now()
					var ids []string
					_ = db.Each(context.Background(), `SELECT n, id FROM journal_entry WHERE n >= $1 ORDER BY n`, func(scan ledger.Scan) error {
						var id string
						err := scan(&from, &id)
						ids = append(ids, id)
						return err
					}, from)
					if len(ids) > 0 {
						from++
					}
					mu.Lock()
					for _, id := range ids {
						if t, ok := committed[id]; ok {
							took = append(took, now.Sub(t))
						}
					}
					mu.Unlock()
				}
			}()
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for i := range b.N {
				<-tick.C
				id, err := change(db, int64(i))
				if err != nil {
					b.Fatal(err)
				}
				mu.Lock()
				committed[id] = time.Now()
				mu.Unlock()
			}
			time.Sleep(300 * time.Millisecond)
			close(stop)
			<-j2
			if len(took) == 0 {
				return
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(len(took))/float64(b.N), "seen")
		})
	}
}

// BenchmarkReading: proof, full check, export and offline verification of 20,000 entries.
func BenchmarkReading(b *testing.B) {
	const size = 20_000
	db, j := real(b, "sqlite")
	run(b, j)
	var wg sync.WaitGroup
	var last atomic.Value
	for w := range 64 {
		wg.Go(func() {
			for i := w; i < size; i += 64 {
				id, err := change(db, int64(i))
				if err != nil {
					b.Error(err)
					return
				}
				last.Store(id)
			}
		})
	}
	wg.Wait()
	wait(b, j, last.Load().(string))
	b.Run("proof", func(b *testing.B) {
		for i := range b.N {
			if _, _, err := j.Proof(b.Context(), int64(i*7919%size)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("full check", func(b *testing.B) {
		for range b.N {
			if r, err := j.Verify(b.Context(), nil); err != nil || !r.OK() {
				b.Fatal(err, r.Findings)
			}
		}
		b.ReportMetric(size*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	})
	var z bytes.Buffer
	b.Run("export", func(b *testing.B) {
		for range b.N {
			z.Reset()
			if err := j.Export(b.Context(), actor.Actor{Kind: actor.Operator, ID: "0"}, journal.Evidence{Query: journal.Query{Before: 10_000}}, &z); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify a bundle of 10000", func(b *testing.B) {
		for range b.N {
			if r := verify.Bundle(bytes.NewReader(z.Bytes()), int64(z.Len()), verify.Options{}); r.Code != verify.True {
				b.Fatal(r.Problems)
			}
		}
		b.ReportMetric(float64(z.Len())/1e6, "MB")
	})
}
