package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"writ/internal/ledger"
)

// The pages of a commit go to the disk in one write before their sync, and what SQLite
// writes behind the sync in two at most: the rest of the page that it pads the sector with.
func TestCommitIsWrittenWhole(t *testing.T) {
	disk := &ledger.Disk{}
	kit := lite(t, 5*time.Second, func(s *ledger.Seam) { s.Disk = disk })
	for i := range 20 {
		if _, err := makeThing(t.Context(), kit.DB, i); err != nil {
			t.Fatal(err)
		}
	}
	writes, syncs := disk.Writes.Load(), disk.Syncs.Load()
	const n = 20
	for i := range n {
		if _, err := makeThing(t.Context(), kit.DB, 100+i); err != nil {
			t.Fatal(err)
		}
	}
	writes, syncs = disk.Writes.Load()-writes, disk.Syncs.Load()-syncs
	if most := 3*n + 2*(syncs-n); writes > most { // a log that begins again syncs its head
		t.Errorf("%d commits took %d writes (%d syncs), expected %d at most", n, writes, syncs, most)
	}
}

// What a commit held back is there for readers as soon as the change is answered, however
// large it is, also where it outgrew what is held back, and after one that was undone.
func TestHeldPagesAreSeenAtOnce(t *testing.T) {
	kit := lite(t, time.Minute, nil)
	rnd := rand.New(rand.NewPCG(1, 2))
	sum, stop := 0, errors.New("stop")
	for i := range 60 {
		size, undone := rnd.IntN(30_000), i%5 == 3
		if i%20 == 7 || i%20 == 13 {
			size = 10 << 20 // more than SQLite keeps in memory
		}
		_, err := kit.DB.Change(t.Context(), ana, func(tx *ledger.Tx) (ledger.Event, error) {
			for part := 0; part*4000 < size; part++ {
				if _, err := tx.Exec(t.Context(), `INSERT INTO thing (id, name, raw) VALUES ($1, $2, $3)`, i*10_000+part, fmt.Sprint(i, "-", part), make([]byte, min(4000, size-part*4000))); err != nil {
					return nil, err
				}
			}
			if undone {
				return nil, stop
			}
			return Made{Number: i}, nil
		})
		if undone != errors.Is(err, stop) || !undone && err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
		if !undone {
			sum += size
		}
		var got int
		var whole string
		if err := ledger.One(t.Context(), kit.DB, `SELECT COALESCE(SUM(LENGTH(raw)), 0), (SELECT integrity_check FROM pragma_integrity_check) FROM thing`, []any{&got, &whole}); err != nil {
			t.Fatalf("after change %d of %d bytes: %v", i, size, err)
		}
		if got != sum || whole != "ok" {
			t.Fatalf("after change %d of %d bytes a reader sees %d bytes, expected %d, and the file is %s", i, size, got, sum, whole)
		}
	}
}

// What a commit's pages are gathered in is kept for the next, also where it is large.
func TestLargeCommitsMakeNoGarbage(t *testing.T) {
	kit := lite(t, time.Minute, nil)
	raw, key := make([]byte, 4000), 0
	commit := func() {
		_, err := kit.DB.Change(t.Context(), ana, func(tx *ledger.Tx) (ledger.Event, error) {
			for range 100 {
				key++
				if _, err := tx.Exec(t.Context(), `INSERT INTO thing (id, name, raw) VALUES ($1, $2, $3)`, key, strconv.Itoa(key), raw); err != nil {
					return nil, err
				}
			}
			return Made{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	commit()
	runtime.ReadMemStats(&before)
	const n = 20
	for range n {
		commit()
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / n; each > uint64(100*len(raw)) {
		t.Errorf("a commit of %d bytes made %d bytes of garbage, expected less than that", 100*len(raw), each)
	}
}
