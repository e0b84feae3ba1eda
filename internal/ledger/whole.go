package ledger

import (
	"errors"
	"io/fs"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// SQLite's encryption works on 512 bytes at a time and asks the system for each: ten
// times for one page of the write-ahead log. Two layers, one on either side of it, make
// of that one call for a stretch, and of a commit's pages one stretch:
//
//	SQLite ─▶ wholeFile ─▶ XTS, 512 bytes at a time ─▶ blockFile ─▶ system
//	          holds a commit's pages                   reads ahead, gathers
//	          back until it syncs them
//
// Nothing is held back past the sync of a commit: SQLite shows the log to the readers
// after it, and what it writes between the two goes straight through.

// blockVFS puts a blockFile below the encryption.
type blockVFS struct{ vfs.VFS }

func (v blockVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := vfsutil.WrapOpenFilename(v.VFS, name, flags)
	if err != nil {
		return nil, flags, err
	}
	return &blockFile{File: f}, flags, nil
}

// blockFile answers reads from what was read ahead, and gathers writes that follow each
// other, both only during one call of the wholeFile above it.
type blockFile struct {
	vfs.File
	buf      []byte // of both
	ahead    []byte // what was read ahead
	gathered []byte
	from     int64 // where either begins
	gathers  bool
}

// readAhead reads the blocks that hold a stretch. What cannot be read is asked for again
// by the one who needs it, and fails there.
func (f *blockFile) readAhead(off int64, n int) {
	f.from = off &^ (blockSize - 1)
	want := int((off+int64(n)+blockSize-1)&^(blockSize-1) - f.from)
	if cap(f.buf) < want {
		f.buf = make([]byte, want)
	}
	got, _ := f.File.ReadAt(f.buf[:want], f.from) //nolint:errcheck // see above
	f.ahead = f.buf[:got]
}

const blockSize = 512

func (f *blockFile) forget() { f.ahead = nil }

func (f *blockFile) ReadAt(p []byte, off int64) (int, error) {
	if at := off - f.from; at >= 0 && at+int64(len(p)) <= int64(len(f.ahead)) {
		return copy(p, f.ahead[at:]), nil
	}
	return f.File.ReadAt(p, off)
}

// gather begins to gather a stretch of n bytes and the blocks that it begins and ends in.
func (f *blockFile) gather(n int) {
	if n += 2 * blockSize; cap(f.buf) < n {
		f.buf = make([]byte, n)
	}
	f.gathers, f.gathered = true, f.buf[:0]
}

func (f *blockFile) WriteAt(p []byte, off int64) (int, error) {
	if !f.gathers {
		return f.File.WriteAt(p, off)
	}
	if len(f.gathered) > 0 && off != f.from+int64(len(f.gathered)) {
		if err := f.write(); err != nil {
			return 0, err
		}
	}
	if len(f.gathered) == 0 {
		f.from = off
	}
	f.gathered = append(f.gathered, p...)
	return len(p), nil
}

// release writes what was gathered, and gathers no more.
func (f *blockFile) release() error {
	f.gathers = false
	return f.write()
}

func (f *blockFile) write() error {
	p := f.gathered
	f.buf, f.gathered = p[:0], p[:0]
	if len(p) == 0 {
		return nil
	}
	_, err := f.File.WriteAt(p, f.from)
	return err
}

// The optional parts of a file that SQLite needs for its write-ahead log.

func (f *blockFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }
func (f *blockFile) LockState() vfs.LockLevel       { return vfsutil.WrapLockState(f.File) }
func (f *blockFile) HasMoved() (bool, error)        { return vfsutil.WrapHasMoved(f.File) }
func (f *blockFile) Unwrap() vfs.File               { return f.File }

// wholeVFS puts a wholeFile above the encryption. hold is the writer's: its connection
// alone holds pages back.
type wholeVFS struct {
	vfs.VFS
	hold *hold
}

// hold says whether pages are held back: from the begin of a transaction to its sync. It
// belongs to whoever uses the write connection.
type hold struct{ on bool }

func (v wholeVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, got, err := vfsutil.WrapOpenFilename(v.VFS, name, flags)
	if err != nil {
		return nil, got, err
	}
	blocks, ok := vfsutil.UnwrapFile[*blockFile](f)
	if !ok {
		return nil, got, errors.Join(sqlite3.CANTOPEN, f.Close())
	}
	w := &wholeFile{File: f, blocks: blocks, hold: &hold{}}
	if flags&vfs.OPEN_WAL != 0 && v.hold != nil {
		w.hold = v.hold
	}
	return w, got, nil
}

// wholeFile passes stretches on whole. It is used by one connection.
type wholeFile struct {
	vfs.File
	blocks *blockFile
	hold   *hold
	held   []byte
	from   int64 // where held begins
}

// maxHeld bounds what is held back of a transaction that outgrows SQLite's memory.
const maxHeld = 512 << 10

// walHeader is the length of the log's own head, which is synced before the first page
// behind it and shows nothing to anybody.
const walHeader = 32

func (f *wholeFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	f.blocks.readAhead(off, len(p))
	defer f.blocks.forget()
	return f.File.ReadAt(p, off)
}

func (f *wholeFile) WriteAt(p []byte, off int64) (int, error) {
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
func (f *wholeFile) flush() error {
	if len(f.held) == 0 {
		return nil
	}
	p := f.held
	f.held = f.held[:0]
	_, err := f.write(p, f.from)
	return err
}

func (f *wholeFile) write(p []byte, off int64) (int, error) {
	f.blocks.gather(len(p))
	n, err := f.File.WriteAt(p, off)
	if rerr := f.blocks.release(); err == nil && rerr != nil {
		n, err = 0, rerr
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = vfs.SystemError(error(path), sqlite3.IOERR_WRITE) // also where a sync is what writes
	}
	return n, err
}

func (f *wholeFile) Sync(flags vfs.SyncFlag) error {
	if f.from != 0 || len(f.held) != walHeader {
		f.hold.on = false
	}
	if err := f.flush(); err != nil {
		return err
	}
	return f.File.Sync(flags)
}

func (f *wholeFile) Size() (int64, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.Size()
}

func (f *wholeFile) Truncate(size int64) error {
	if err := f.flush(); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *wholeFile) Close() error { return errors.Join(f.flush(), f.File.Close()) }

func (f *wholeFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }
func (f *wholeFile) LockState() vfs.LockLevel       { return vfsutil.WrapLockState(f.File) }
func (f *wholeFile) HasMoved() (bool, error)        { return vfsutil.WrapHasMoved(f.File) }
func (f *wholeFile) Unwrap() vfs.File               { return f.File }
