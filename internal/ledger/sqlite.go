package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"

	"writ/internal/envelope"
	"writ/internal/fault"
)

// readers is how many connections read at a time.
const readers = 6

// The write-ahead log is moved into the file once a second, or as soon as that many
// changes lie in it: a page that each of them wrote is moved once. The automatic
// checkpoint in a commit is only the bound above it.
const (
	checkpointLook  = 100 * time.Millisecond
	checkpointAfter = time.Second
	checkpointMany  = 256
)

// lite is the SQLite engine: one write connection owned by the writer's goroutine,
// a few readers, and one connection for checkpoints.
type lite struct {
	db     *DB
	texts  texts
	vfs    string // of the readers; the writer's has writerVFS behind it
	path   string
	file   os.FileInfo // of path when it was opened
	read   *sql.DB
	stmts  prepared // on read
	check  *sql.DB
	writer *writer
	dirty  atomic.Int64 // changes committed since the last checkpoint
	stop   chan struct{}
	bg     sync.WaitGroup
}

func openSQLite(ctx context.Context, d *DB, path string, schemas []Schema) (_ engine, err error) {
	if d.keys.Page().Len() != envelope.SectorsKeySize {
		return nil, sealed(errors.New("the page key is not there"))
	}
	if err := createFile(path); err != nil {
		return nil, err
	}
	l := &lite{db: d, vfs: "writ-" + randomHex(), path: path, stop: make(chan struct{})}
	if l.file, err = os.Stat(path); err != nil {
		return nil, storeAway(fmt.Errorf("look at database file: %w", err))
	}
	base := vfs.VFS(sameVFS{VFS: vfs.Find(""), file: l.file})
	if d.seam != nil && d.seam.Disk != nil {
		base = &diskVFS{VFS: base, disk: d.seam.Disk}
	}
	held := &hold{}
	vfs.Register(l.vfs, sectorVFS{VFS: base, page: d.keys.Page})
	vfs.Register(l.vfs+writerVFS, sectorVFS{VFS: base, page: d.keys.Page, hold: held})
	defer func() {
		if err != nil {
			l.unregister()
		}
	}()
	if err := l.migrate(ctx, path, schemas); err != nil {
		return nil, unusable(path, err)
	}
	l.writer, err = openWriter(ctx, l, l.addressOf(l.vfs+writerVFS, path, writing...), held)
	if err != nil {
		return nil, unusable(path, err)
	}
	if l.read, err = driver.Open(l.address(path, reading...)); err == nil {
		l.read.SetMaxOpenConns(readers)
		l.read.SetMaxIdleConns(readers)
		l.stmts.new = l.read.PrepareContext
		l.check, err = driver.Open(l.address(path, writing...))
	}
	if err != nil {
		return nil, errors.Join(err, l.writer.close())
	}
	l.check.SetMaxOpenConns(1)
	l.bg.Go(l.checkpoints)
	return l, nil
}

// The settings of connections.
var (
	writing = []string{"busy_timeout(5000)", "journal_mode(wal)", "synchronous(full)", "secure_delete(on)",
		"temp_store(memory)", "foreign_keys(on)", "wal_autocheckpoint(4000)", "cache_size(-8000)"}
	reading = []string{"busy_timeout(5000)", "query_only(on)", "temp_store(memory)", "cache_size(-2000)"}
)

// address names the file, never its key. A connection makes no file: one that opens late
// would find an empty database in place of one that was taken away.
func (l *lite) address(path string, pragmas ...string) string {
	return l.addressOf(l.vfs, path, pragmas...)
}

func (l *lite) addressOf(layers, path string, pragmas ...string) string {
	q := url.Values{"mode": {"rw"}, "vfs": {layers}, "_pragma": pragmas}
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path) + "?" + q.Encode()
}

// sameVFS opens no database but the file that was opened first: a connection made while
// another file lay in its place would go on reading that one after it was put back.
type sameVFS struct {
	vfs.VFS
	file os.FileInfo
}

func (v sameVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := vfsutil.WrapOpenFilename(v.VFS, name, flags)
	if err != nil || flags&vfs.OPEN_MAIN_DB == 0 {
		return f, flags, err
	}
	opened, ok := f.(interface{ Stat() (os.FileInfo, error) })
	if ok {
		if now, err := opened.Stat(); err == nil && os.SameFile(now, v.file) {
			return f, flags, nil
		}
	}
	return nil, flags, errors.Join(sqlite3.CANTOPEN, f.Close())
}

func (l *lite) migrate(ctx context.Context, path string, schemas []Schema) error {
	db, err := driver.Open(l.address(path, writing...))
	if err != nil {
		return err
	}
	return errors.Join(migrate(ctx, db, "sqlite", schemas), db.Close())
}

// createFile makes the file with narrow rights before SQLite would make it with wide ones.
func createFile(path string) error {
	if path == "" || !filepath.IsAbs(path) {
		return fault.Newf(fault.Invalid, "database_url", "The database address must be sqlite: and an absolute path.")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return storeAway(fmt.Errorf("create database file: %w", err))
	}
	return f.Close()
}

// unusable explains the errors that SQLite gives for a file under another key, and for
// one that is not whole.
func unusable(path string, err error) error {
	code, ok := sqliteCode(err)
	switch {
	case ok && code.Code() == sqlite3.NOTADB:
		return &fault.Error{Kind: fault.Sealed, Code: "page_key", Err: err, Public: fault.Public{
			Problem:  "The database file does not open with the key at hand.",
			Expected: "root.key and keys.db belong to the database they were made with.",
			Next:     "Put back the three files of one installation, or restore a backup."}}
	case ok && code.Code() == sqlite3.CORRUPT:
		return &fault.Error{Kind: fault.Unavailable, Code: "database_damaged", Err: err, Public: fault.Public{
			Problem:  "The database file " + path + " is damaged.",
			Expected: "The whole file as it was left, with the log beside it (-wal) if there is one.",
			Next:     "Put both back from a backup."}}
	}
	return err
}

// gone reports a database file that is not at its place any more: what would be
// committed to it would be lost with the process. The file may come back.
func (l *lite) gone() error {
	now, err := os.Stat(l.path)
	if err == nil && os.SameFile(now, l.file) {
		return nil
	}
	return unavailable("database_gone", "The database file is not where it was.",
		"The operator must put it back, or stop the server and restore a backup.", errors.Join(errors.New("the database file was moved, removed or replaced"), err))
}

func randomHex() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// leastRoom is less than any commit can do with, in bytes.
const leastRoom = 64 << 10

// noRoom reports whether the disk is full. The driver gives that as an I/O error like
// any other (it looks for a bare errno where the file gives a path error).
func (l *lite) noRoom() bool {
	var fs syscall.Statfs_t
	return syscall.Statfs(l.path, &fs) == nil && uint64(fs.Bavail)*uint64(fs.Bsize) < leastRoom //nolint:gosec,unconvert // the types differ between systems
}

func (l *lite) name() string { return "sqlite" }

func (l *lite) run(ctx context.Context, attempt func(*Tx) error) error {
	return l.writer.run(ctx, attempt)
}

func (l *lite) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	return l.stmts.query(ctx, l.texts.sqlite(query), args)
}

// checkpoints moves the log into the file beside the writer. Without it the commit
// that reaches the bound pays for all; without the bound the log grows for ever.
func (l *lite) checkpoints() {
	tick := time.NewTicker(checkpointLook)
	defer tick.Stop()
	for waited := checkpointLook; ; waited += checkpointLook {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		n := l.dirty.Load()
		if n < checkpointMany && waited < checkpointAfter || n == 0 {
			continue
		}
		waited = 0
		l.dirty.Add(-n)
		if _, err := l.check.ExecContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
			l.dirty.Add(n)
			l.db.log.Warn("checkpoint of the database", "error", err)
		}
	}
}

func (l *lite) close() error {
	err := l.writer.close()
	close(l.stop)
	l.bg.Wait()
	err = errors.Join(err, l.check.Close(), l.stmts.close(), l.read.Close(), l.writer.closeConn())
	l.unregister()
	return err
}

// writerVFS is what the name of the writer's layers has behind that of the others.
const writerVFS = "-writer"

func (l *lite) unregister() {
	vfs.Unregister(l.vfs)
	vfs.Unregister(l.vfs + writerVFS)
}
