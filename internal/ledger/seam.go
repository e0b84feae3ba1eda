package ledger

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// Seam is where tests reach in. Production leaves Config.Seam nil. Fields are set
// before Open; the functions may be called from several goroutines.
type Seam struct {
	Commit     func() error             // asked before each COMMIT; an error fails it
	Statement  func(query string) error // asked before each statement of a closure; an error fails it, a sleep delays it
	Committed  func() error             // asked after each COMMIT; an error makes its outcome unknown (PostgreSQL)
	Twice      bool                     // run every closure once, undo it, and run it again
	Limit      time.Duration            // instead of 50 ms for a closure on SQLite
	PendingMax int                      // instead of 100,000 waiting entries
	PendingAge time.Duration            // instead of 15 minutes for the oldest; negative for no limit
	Disk       *Disk                    // under the SQLite file; ignored on PostgreSQL
}

// Disk is a disk that can fill up and fail, and that counts how often it is synced.
// The zero Disk works like the one below it.
type Disk struct {
	Full     atomic.Bool  // writes that make a file longer are refused
	Broken   atomic.Bool  // writes and syncs give I/O errors
	Syncs    atomic.Int64 // syncs of the write-ahead log
	Writes   atomic.Int64 // writes to the write-ahead log
	Unsynced atomic.Int64 // so many of the next syncs of the write-ahead log give I/O errors after their writes went well
}

func (s *Seam) statement(query string) error {
	if s == nil || s.Statement == nil {
		return nil
	}
	return s.Statement(query)
}

func (s *Seam) commit() error {
	if s == nil || s.Commit == nil {
		return nil
	}
	return s.Commit()
}

func (s *Seam) committed() error {
	if s == nil || s.Committed == nil {
		return nil
	}
	return s.Committed()
}

// diskVFS puts a Disk between SQLite's encryption and the operating system.
type diskVFS struct {
	vfs.VFS
	disk *Disk
}

func (v *diskVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := vfsutil.WrapOpenFilename(v.VFS, name, flags)
	if err != nil {
		return nil, flags, err
	}
	return &diskFile{File: f, disk: v.disk, wal: strings.HasSuffix(name.String(), "-wal")}, flags, nil
}

type diskFile struct {
	vfs.File
	disk *Disk
	wal  bool
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	if f.disk.Broken.Load() {
		return 0, sqlite3.IOERR_WRITE
	}
	if f.disk.Full.Load() {
		if size, err := f.File.Size(); err != nil || off+int64(len(p)) > size {
			return 0, sqlite3.FULL
		}
	}
	if f.wal {
		f.disk.Writes.Add(1)
	}
	return f.File.WriteAt(p, off)
}

func (f *diskFile) Sync(flags vfs.SyncFlag) error {
	if f.disk.Broken.Load() || f.wal && f.disk.Unsynced.Load() > 0 && f.disk.Unsynced.Add(-1) >= 0 {
		return sqlite3.IOERR_FSYNC
	}
	if f.wal {
		f.disk.Syncs.Add(1)
	}
	return f.File.Sync(flags)
}

// The optional parts of a file that SQLite needs for its write-ahead log.

func (f *diskFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }
func (f *diskFile) LockState() vfs.LockLevel       { return vfsutil.WrapLockState(f.File) }
func (f *diskFile) HasMoved() (bool, error)        { return vfsutil.WrapHasMoved(f.File) }
func (f *diskFile) Unwrap() vfs.File               { return f.File }
