package ledger

import (
	"errors"
	"io"
	"io/fs"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"

	"writ/internal/envelope"
	"writ/internal/secret"
)

// SQLite's files are encrypted by sectors, each stretch that SQLite reads or writes at
// once. Of a commit's pages in the write-ahead log one stretch is made:
//
//	SQLite ─▶ sectorFile ─▶ system
//	          holds a commit's pages back until SQLite syncs them,
//	          encrypts them and writes them at once
//
// Nothing is held back past the sync of a commit: SQLite shows the log to the readers
// after it, and what it writes between the two goes straight through.

// sectorVFS encrypts the files of one database. The page key is asked for when a connection
// opens and never stands in an address: once the ring has dropped it, no new one opens. hold
// is the writer's: its connection alone holds pages back.
type sectorVFS struct {
	vfs.VFS
	page func() secret.Bytes
	hold *hold
}

// hold says whether pages are held back: from the begin of a transaction to its sync. It
// belongs to whoever uses the write connection.
type hold struct{ on bool }

// Open is for those who know no other way to open a file: it would not be encrypted.
func (v sectorVFS) Open(string, vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	return nil, 0, sqlite3.CANTOPEN
}

// OpenFilename opens a file and encrypts it.
func (v sectorVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, got, err := vfsutil.WrapOpenFilename(v.VFS, name, flags)
	if err != nil {
		return nil, got, err
	}
	s := &sectorFile{File: f, hold: &hold{}}
	if flags&vfs.OPEN_WAL != 0 && v.hold != nil {
		s.hold = v.hold
	}
	if s.sectors, err = v.sectors(name); err != nil {
		return nil, got, errors.Join(sqlite3.IOERR_BADKEY, f.Close())
	}
	return s, got, nil
}

// sectors is what a file is encrypted with: as its database is, which may have been opened
// while there was a key; under a key that nobody keeps if it has no name.
func (v sectorVFS) sectors(name *vfs.Filename) (*envelope.Sectors, error) {
	if name == nil {
		return envelope.NewSectors(secret.Random(envelope.SectorsKeySize))
	}
	if db, ok := vfsutil.UnwrapFile[*sectorFile](name.DatabaseFile()); ok {
		return db.sectors, nil
	}
	return envelope.NewSectors(v.page())
}

// sectorFile encrypts a file. It is used by one connection.
type sectorFile struct {
	vfs.File
	sectors *envelope.Sectors
	hold    *hold
	held    []byte
	from    int64  // where held begins
	buf     []byte // what goes to the system, and comes from it
}

// maxHeld bounds what is held back of a transaction that outgrows SQLite's memory.
const maxHeld = 512 << 10

// walHeader is the length of the log's own head, which is synced before the first page
// behind it and shows nothing to anybody.
const walHeader = 32

const sectorSize = envelope.SectorSize

// whole widens a stretch to the sectors that it lies in, and gives the room for them.
func (f *sectorFile) whole(off int64, n int) (first int64, room []byte) {
	first = off &^ (sectorSize - 1)
	want := int((off+int64(n)+sectorSize-1)&^(sectorSize-1) - first)
	if cap(f.buf) < want {
		f.buf = make([]byte, want)
	}
	return first, f.buf[:want]
}

func (f *sectorFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	first, b := f.whole(off, len(p))
	got, err := f.sectorsAt(b, first)
	if n := copy(p, b[min(int(off-first), got):got]); n < len(p) {
		return n, err
	}
	return len(p), nil
}

// sectorsAt reads and decrypts whole sectors. One that is not all there cannot be decrypted,
// and counts as not there.
func (f *sectorFile) sectorsAt(b []byte, first int64) (int, error) {
	n, err := f.File.ReadAt(b, first)
	n &^= sectorSize - 1
	f.sectors.Decrypt(b[:n], uint64(first/sectorSize)) //nolint:gosec // SQLite has no places before the first
	return n, err
}

func (f *sectorFile) WriteAt(p []byte, off int64) (int, error) {
	if !f.hold.on || len(f.held) > 0 && off != f.from+int64(len(f.held)) || len(f.held)+len(p) > maxHeld {
		if err := f.flush(); err != nil {
			return 0, err
		}
	}
	if !f.hold.on {
		return f.write(p, off)
	}
	if len(f.held) == 0 {
		f.from = off
	}
	f.held = append(f.held, p...)
	return len(p), nil
}

// flush writes what was held back. What could not be written is forgotten: SQLite undoes
// the transaction, and its next one writes over that place.
func (f *sectorFile) flush() error {
	if len(f.held) == 0 {
		return nil
	}
	p := f.held
	f.held = f.held[:0]
	_, err := f.write(p, f.from)
	return err
}

// write writes whole sectors: of the first and the last one what p does not fill stays as it is.
func (f *sectorFile) write(p []byte, off int64) (n int, err error) {
	first, b := f.whole(off, len(p))
	end := len(b) - sectorSize
	if off > first {
		err = f.keep(b[:sectorSize], first)
	}
	if err == nil && off+int64(len(p)) < first+int64(len(b)) && (end > 0 || off == first) {
		err = f.keep(b[end:], first+int64(end))
	}
	if err == nil {
		copy(b[off-first:], p)
		f.sectors.Encrypt(b, uint64(first/sectorSize)) //nolint:gosec // see sectorsAt
		_, err = f.File.WriteAt(b, first)
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = vfs.SystemError(error(path), sqlite3.IOERR_WRITE) // also where a sync is what writes
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// keep reads a sector that is written in part. One behind the end of the file is empty.
func (f *sectorFile) keep(b []byte, first int64) error {
	n, err := f.sectorsAt(b, first)
	if n == len(b) {
		return nil
	}
	clear(b)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (f *sectorFile) Sync(flags vfs.SyncFlag) error {
	if f.from != 0 || len(f.held) != walHeader {
		f.hold.on = false
	}
	if err := f.flush(); err != nil {
		return err
	}
	return f.File.Sync(flags)
}

func (f *sectorFile) Size() (int64, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.Size()
}

func (f *sectorFile) Truncate(size int64) error {
	if err := f.flush(); err != nil {
		return err
	}
	return f.File.Truncate((size + sectorSize - 1) &^ (sectorSize - 1))
}

func (f *sectorFile) Close() error { return errors.Join(f.flush(), f.File.Close()) }

// DeviceCharacteristics does not promise that a write leaves its neighbours alone: those in
// the same sector are written with it.
func (f *sectorFile) DeviceCharacteristics() vfs.DeviceCharacteristic {
	return f.File.DeviceCharacteristics() & vfs.IOCAP_SUBPAGE_READ
}

func (f *sectorFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }
func (f *sectorFile) LockState() vfs.LockLevel       { return vfsutil.WrapLockState(f.File) }
func (f *sectorFile) HasMoved() (bool, error)        { return vfsutil.WrapHasMoved(f.File) }
func (f *sectorFile) Unwrap() vfs.File               { return f.File }
