package ledger_test

import (
	"bytes"
	"crypto/aes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/ncruces/go-sqlite3/vfs/xts"
	cryptoxts "golang.org/x/crypto/xts"

	"writ/internal/ledger"
	"writ/internal/secret"
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

// A file of sectors reads as a plain one does, wherever its reads and writes begin and end,
// and nothing of it lies below in the clear.
//
// breaks: crypto.at-rest
func TestSectorFileIsAFile(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var below vfsutil.SliceFile
	f, begin := ledger.SectorFile(&below)
	var want []byte
	for i := range 3000 {
		off := rnd.IntN(len(want) + 1)
		switch rnd.IntN(8) {
		case 0:
			begin()
		case 1:
			if err := f.Sync(0); err != nil {
				t.Fatal(err)
			}
		case 2, 3, 4:
			p := bytes.Repeat([]byte(fmt.Sprintf("clear-%d.", i)), 1+rnd.IntN(200))
			if i%2 == 0 {
				off, p = off&^511, p[:len(p)&^511] // whole sectors
			}
			if n, err := f.WriteAt(p, int64(off)); n != len(p) || err != nil {
				t.Fatalf("write %d: %d of %d %v", i, n, len(p), err)
			}
			want = append(want, make([]byte, max(0, off+len(p)-len(want)))...)
			copy(want[off:], p)
		default:
			p := make([]byte, rnd.IntN(len(want)-off+1))
			if n, err := f.ReadAt(p, int64(off)); n != len(p) || err != nil || !bytes.Equal(p, want[off:off+n]) {
				t.Fatalf("read %d: of %d bytes at %d %d came, otherwise than they were written: %v", i, len(p), off, n, err)
			}
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(below, []byte("clear-")) || len(below) < len(want) {
		t.Errorf("%d bytes lie in the clear below, or are missing", len(want))
	}
	end := int64(len(below))
	if n, err := f.ReadAt(make([]byte, 40), end-10); n != 10 || !errors.Is(err, io.EOF) {
		t.Errorf("at its end the file gives %d bytes and %v", n, err)
	}
}

// What the driver's own encryption wrote, as this program used it before, is read and written
// on, and the other way round, also while the newest changes lie in the log only.
//
// breaks: crypto.at-rest
func TestSectorsAreThoseOfTheDriver(t *testing.T) {
	kit := lite(t, time.Minute, nil)
	const n = 300
	for i := range n {
		if _, err := makeThing(t.Context(), kit.DB, i); err != nil {
			t.Fatal(err)
		}
	}
	vfs.Register(t.Name(), xts.Wrap(vfs.Find(""), pageKey{kit.Ring.Page()}))
	defer vfs.Unregister(t.Name())
	path := strings.TrimPrefix(kit.URL(), "sqlite:")
	db, err := driver.Open("file:" + path + "?mode=rw&textkey=page&_pragma=busy_timeout(5000)&vfs=" + t.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var things int
	var whole string
	if err := db.QueryRow(`SELECT COUNT(*), (SELECT integrity_check FROM pragma_integrity_check) FROM thing`).Scan(&things, &whole); err != nil || things != n || whole != "ok" {
		t.Fatalf("the driver reads %d things of %d, the file is %q: %v", things, n, whole, err)
	}
	if log, err := os.Stat(path + "-wal"); err != nil || log.Size() == 0 {
		t.Fatalf("nothing lies in the log: %v", err)
	}
	for i := range n {
		if _, err := db.Exec(`INSERT INTO thing (id, name) VALUES (?, ?)`, 1000+i, fmt.Sprint(1000+i)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // as it lies there, and after a checkpoint and a start
		if err := ledger.One(t.Context(), kit.DB, `SELECT COUNT(*), (SELECT integrity_check FROM pragma_integrity_check) FROM thing`, []any{&things, &whole}); err != nil || things != 2*n || whole != "ok" {
			t.Fatalf("the ledger reads %d things of %d, the file is %q: %v", things, 2*n, whole, err)
		}
		if _, err := db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
			t.Fatal(err)
		}
		kit.Reopen()
	}
}

// pageKey gives the driver's encryption a key.
type pageKey struct{ key secret.Bytes }

func (p pageKey) KDF(string) []byte { return p.key.Reveal() }

func (p pageKey) XTS(key []byte) *cryptoxts.Cipher {
	c, _ := cryptoxts.NewCipher(aes.NewCipher, key)
	return c
}
