package keyring

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
)

// A backup of the keys must end long before other backups do, or an erasure would be
// untrue for as long as somebody keeps one. So each is sealed under the key of its epoch,
// which is one day, and that key lies in a small file of its own:
//
//	ID.epoch      the key of an epoch, sealed under the root key
//	ID-TIME.keys  the newest backup of that epoch, sealed under the epoch's key
//
// A .keys file may be copied anywhere and kept for ever: it opens for as long as its
// .epoch file is there. An .epoch file may be mirrored, and must not be archived.

const (
	// epochLife is for how long backups are made under one key.
	epochLife = 24 * time.Hour
	// BackupLife is how long the key of an epoch is kept, from its beginning. It is a day
	// less than certificates say: a server that is late, or was off, still keeps the date.
	BackupLife = 29 * 24 * time.Hour
)

// Epoch is the time whose backups are sealed under one key.
type Epoch struct {
	ID          string
	Begun, Ends time.Time
	Root        string    // fingerprint of the root key that opens it; "" = its file is damaged
	File        string    // its newest backup; "" = there is none
	Made        time.Time // when that was made
	Size        int64     // of the file, in bytes
}

// Shelf is a folder of backups.
type Shelf struct {
	ring *Ring
	dir  string
}

// Shelf is where this ring's backups lie: fault.Conflict where the keys lie in a database
// that other nodes use and no folder is named that all of them see.
func (r *Ring) Shelf() (*Shelf, error) {
	switch {
	case r.o.Backups != "":
		return &Shelf{r, r.o.Backups}, nil
	case r.o.URL != "":
		return nil, fault.New(fault.Conflict, "backups_shared", fault.Public{
			Problem:  "The keys lie in a database that other servers may use, and no folder is named for their backups.",
			Expected: "A folder that each of these servers sees: the key of a backup that lay with one of them alone would outlive its day when that one is switched off.",
			Next:     "Name it in writ.yaml (keys.backups) on all of them. Until then backups of that database are your own; keep none longer than 30 days."})
	}
	return &Shelf{r, filepath.Join(r.o.Dir, "backups", "keys")}, nil
}

// ShelfAt is a shelf in another folder: a control makes one of its own.
func (r *Ring) ShelfAt(dir string) *Shelf { return &Shelf{r, dir} }

// Dir is the folder.
func (s *Shelf) Dir() string { return s.dir }

var (
	epochName  = regexp.MustCompile(`^([0-9a-f]{32})\.epoch$`)
	backupName = regexp.MustCompile(`^([0-9a-f]{32})-([0-9]{1,15})\.keys$`)
)

// Epochs lists what is on the shelf, the oldest first.
func (s *Shelf) Epochs() ([]Epoch, error) {
	files, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for backups of the keys: %w", err)
	}
	var all []Epoch
	for _, f := range files { // ID.epoch comes after ID-TIME.keys
		if m := epochName.FindStringSubmatch(f.Name()); m != nil {
			begun := begunOf(m[1])
			e := Epoch{ID: m[1], Begun: begun, Ends: begun.Add(BackupLife)}
			if box, err := os.ReadFile(filepath.Join(s.dir, f.Name())); err == nil && len(box) == boxSizeOf(box) {
				e.Root, _ = envelope.KeyID(box)
			} else if errors.Is(err, fs.ErrNotExist) {
				continue // destroyed a moment ago
			} else if err != nil {
				return nil, fmt.Errorf("read the key of an epoch: %w", err)
			}
			all = append(all, e)
		}
	}
	for _, f := range files {
		m := backupName.FindStringSubmatch(f.Name())
		i := slices.IndexFunc(all, func(e Epoch) bool { return m != nil && e.ID == m[1] })
		if i < 0 {
			continue
		}
		ms, _ := strconv.ParseInt(m[2], 10, 64)
		info, err := f.Info()
		if err != nil {
			return nil, fmt.Errorf("look at a backup of the keys: %w", err)
		}
		if made := time.UnixMilli(ms).UTC(); made.After(all[i].Made) {
			all[i].File, all[i].Made, all[i].Size = filepath.Join(s.dir, f.Name()), made, info.Size()
		}
	}
	slices.SortFunc(all, func(a, b Epoch) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// boxSizeOf is how long the box of an epoch's key is that begins like this; -1 = it is none.
func boxSizeOf(box []byte) int {
	id, err := envelope.KeyID(box)
	if err != nil {
		return -1
	}
	return 2 + len(id) + sealedPart
}

// begunOf reads the beginning of an epoch from its id, which its key is bound to.
func begunOf(id string) time.Time {
	var b [8]byte
	_, _ = hex.Decode(b[2:], []byte(id[:12]))
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[:]))).UTC() //nolint:gosec // 48 bit
}

// epochPlace binds the sealed key of an epoch to its id.
func epochPlace(id string) envelope.AAD {
	return envelope.AAD{Table: "keyring_epoch", Column: "box", Row: id, Version: 1}
}

// Make backs the keys up: under the key of today's epoch, and in place of its former
// backup. What it wrote is read again before it counts.
func (s *Shelf) Make(ctx context.Context) (Epoch, error) { // clause: data.crypto-erase
	if err := s.ring.open(); err != nil {
		return Epoch{}, err
	}
	s.ring.shelving.Lock()
	defer s.ring.shelving.Unlock()
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return Epoch{}, fmt.Errorf("make the folder of backups of the keys: %w", err)
	}
	e, key, err := s.today()
	if err != nil {
		return Epoch{}, fmt.Errorf("back the keys up: %w", err)
	}
	former := e.File
	e.Made = s.ring.now().UTC().Truncate(time.Millisecond)
	e.File = filepath.Join(s.dir, fmt.Sprintf("%s-%d.keys", e.ID, e.Made.UnixMilli()))
	if err := s.write(ctx, &e, key); err != nil {
		return Epoch{}, fmt.Errorf("back the keys up: %w", err)
	}
	if former != "" && former != e.File {
		if err := os.Remove(former); err != nil {
			return Epoch{}, fmt.Errorf("remove the former backup of the day: %w", err)
		}
	}
	return e, nil
}

// today is the epoch of this day with its key, made where there is none.
func (s *Shelf) today() (Epoch, envelope.Key, error) {
	all, err := s.Epochs()
	if err != nil {
		return Epoch{}, envelope.Key{}, err
	}
	root, now := s.ring.rootKey(), s.ring.now()
	for _, e := range slices.Backward(all) {
		if age := now.Sub(e.Begun); e.Root == root.ID() && 0 <= age && age < epochLife {
			key, err := epochKey(s.dir, e.ID, root, now)
			return e, key, err
		}
	}
	key, b, err := freshKey(now)
	if err != nil {
		return Epoch{}, envelope.Key{}, err
	}
	defer b.Wipe()
	e := Epoch{ID: key.ID(), Begun: begunOf(key.ID()), Root: root.ID()}
	e.Ends = e.Begun.Add(BackupLife)
	if err := writeNew(s.epochFile(e.ID), root.Seal(b.Reveal(), epochPlace(e.ID))); err != nil {
		return Epoch{}, envelope.Key{}, err
	}
	return e, key, s.ring.at("epoch begun")
}

func (s *Shelf) epochFile(id string) string { return filepath.Join(s.dir, id+".epoch") }

// epochKey opens the key of an epoch: fault.Gone where it is destroyed, or its time is over.
func epochKey(dir, id string, root envelope.Key, now time.Time) (envelope.Key, error) {
	over := func(cause error) error {
		return &fault.Error{Kind: fault.Gone, Code: "backup_over", Err: cause, Public: fault.Public{
			Problem:  "This backup is over: the key that it is sealed under is destroyed, or its time has passed.",
			Expected: "A backup whose .epoch file lies beside it and is at most 29 days old.", Next: "Take a newer backup."}}
	}
	box, err := os.ReadFile(filepath.Join(dir, id+".epoch")) //nolint:gosec // id is 32 hex digits
	if errors.Is(err, fs.ErrNotExist) {
		return envelope.Key{}, over(err)
	}
	if err != nil {
		return envelope.Key{}, fmt.Errorf("read the key of an epoch: %w", err)
	}
	if ends := begunOf(id).Add(BackupLife); !now.Before(ends) { // clause: data.crypto-erase
		return envelope.Key{}, over(fmt.Errorf("it ended %s", ends.Format(time.RFC3339)))
	}
	sealer, err := envelope.KeyID(box)
	if err != nil {
		return envelope.Key{}, over(err) // half written, or half destroyed
	}
	if sealer != root.ID() {
		return envelope.Key{}, sealed("root_wrong", "This backup belongs to another root key.", "The root key that was in use when it was made.",
			"Give that root key, or take a newer backup.", nil)
	}
	b, err := root.Open(box, epochPlace(id))
	if err != nil {
		return envelope.Key{}, sealed("backup_damaged", "The key of this backup does not open.", "It must be unchanged since it was written.", "Take another backup.", err)
	}
	defer b.Wipe()
	return envelope.NewKey(id, b)
}

// write makes the file of a backup, reads it again, and only then gives it its name.
func (s *Shelf) write(ctx context.Context, e *Epoch, key envelope.Key) (err error) {
	part := e.File + ".part"
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("create a backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part))
		}
	}()
	wrote, err := s.ring.dump(ctx, f, key, e.Made)
	if err = errors.Join(err, f.Sync()); err == nil {
		err = s.ring.at("backup written")
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	read, err := readBack(f, key)
	if err == nil && read != wrote {
		err = fmt.Errorf("%d of %d rows are in the backup", read, wrote)
	}
	info, failed := f.Stat()
	if err = errors.Join(err, failed, f.Close()); err != nil {
		return fmt.Errorf("read a backup again: %w", err)
	}
	e.Size = info.Size()
	if err := os.Rename(part, e.File); err != nil {
		return fmt.Errorf("name a backup: %w", err)
	}
	return syncFolder(s.dir)
}

// End destroys the keys of epochs whose time is over, or whose root key is replaced, and
// removes their backups and what a process that died left behind. It returns what ended.
func (s *Shelf) End(ctx context.Context) ([]Epoch, error) { // clause: data.crypto-erase
	if err := s.ring.open(); err != nil {
		return nil, err
	}
	s.ring.shelving.Lock()
	defer s.ring.shelving.Unlock()
	all, err := s.Epochs()
	if err != nil {
		return nil, err
	}
	var roots int
	if _, err := s.ring.store.read().one(ctx, countRoots, []any{&roots}); err != nil {
		return nil, err
	}
	var ended []Epoch
	live := map[string]bool{}
	for _, e := range all {
		replaced := roots == 1 && e.Root != s.ring.rootKey().ID()
		if s.ring.now().Before(e.Ends) && !replaced {
			live[e.ID] = true
			continue
		}
		if err := destroyFile(s.epochFile(e.ID)); err != nil {
			return ended, fmt.Errorf("destroy the key of an epoch: %w", err)
		}
		if err := s.ring.at("epoch destroyed"); err != nil {
			return ended, err
		}
		ended = append(ended, e)
	}
	return ended, s.sweep(live)
}

// Forget destroys the key of one epoch before its time.
func (s *Shelf) Forget(id string) error {
	s.ring.shelving.Lock()
	defer s.ring.shelving.Unlock()
	if !epochName.MatchString(id + ".epoch") {
		return fault.Newf(fault.NotFound, "no_epoch", "There is no such day of backups.")
	}
	if err := destroyFile(s.epochFile(id)); err != nil {
		return fmt.Errorf("destroy the key of an epoch: %w", err)
	}
	return nil
}

// sweep removes backups that no key opens, and unfinished ones.
func (s *Shelf) sweep(live map[string]bool) error {
	files, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for backups of the keys: %w", err)
	}
	for _, f := range files {
		name, part := strings.CutSuffix(f.Name(), ".part")
		if m := backupName.FindStringSubmatch(name); m != nil && (part || !live[m[1]]) {
			if err := os.Remove(filepath.Join(s.dir, f.Name())); err != nil {
				return fmt.Errorf("remove a backup that is over: %w", err)
			}
		}
	}
	return syncFolder(s.dir)
}

// Check reads a backup to its end and returns how many keys are in it, with the faults of
// Recall.
func (s *Shelf) Check(file string) (rows int, err error) {
	f, err := os.Open(file) //nolint:gosec // one of Epochs
	if err != nil {
		return 0, fmt.Errorf("read a backup: %w", err)
	}
	defer f.Close()
	_, err = readBackup(f, s.finder(), func(t backed, _ []any) error {
		if t.table == "keyring_key" {
			rows++
		}
		return nil
	})
	return rows, err
}

// finder gives the keys of this shelf's epochs.
func (s *Shelf) finder() func(string) (envelope.Key, error) {
	return func(id string) (envelope.Key, error) { return epochKey(s.dir, id, s.ring.rootKey(), s.ring.now()) }
}

// Recall is a ring in memory with what a backup holds, as a restore would make it:
// fault.Gone where the backup is over. Nothing of it is ever in a file.
func (s *Shelf) Recall(ctx context.Context, file string) (*Ring, error) {
	c, err := s.ring.inMemory()
	if err != nil {
		return nil, err
	}
	if _, err = c.store.fillBackup(ctx, c, file, s.finder()); err == nil {
		err = c.unseal(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("recall a backup of the keys: %w", err), c.store.close())
	}
	return c, nil
}

// writeNew makes a small file durable that was not there before.
func writeNew(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close(), syncFolder(filepath.Dir(path))); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// destroyFile overwrites a small file in its place, then removes it.
func destroyFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // a file of the shelf
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.Write(make([]byte, info.Size()))
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return errors.Join(os.Remove(path), syncFolder(filepath.Dir(path)))
}

// Turn counts the writes to the database of keys: a backup of the same turn is as new as it.
func (r *Ring) Turn(ctx context.Context) (n int64, err error) {
	if err := r.open(); err != nil {
		return 0, err
	}
	_, err = r.store.read().one(ctx, `SELECT turn FROM keyring_turn WHERE id = 1`, []any{&n})
	return n, err
}
