package sample

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Backup is a whole copy of the database that was opened and checked after it was made.
type Backup struct {
	ID    string    `json:"id"` // its file, without .db
	At    time.Time `json:"at"` // when it began: nothing later is in it
	Hash  string    `json:"sha256"`
	Bytes int64     `json:"bytes"`
	State
}

// State is what a database holds.
type State struct {
	Version int64  `json:"version"`
	Write   int64  `json:"write"` // number of the newest
	Rows    int64  `json:"rows"`
	Sum     string `json:"sum"` // over all rows
}

// keepBackups is how many stay.
const keepBackups = 96

// Folder is where backups lie.
func (s *Store) Folder() string { return s.file + ".backups" }

func (s *Store) catalogue() string { return filepath.Join(s.Folder(), "catalogue") }
func (s *Store) holdFile() string  { return filepath.Join(s.Folder(), "hold") }

// Backup makes one. It is in the catalogue once it is on the disk and has been read back.
func (s *Store) Backup(ctx context.Context) (Backup, error) {
	if err := os.MkdirAll(s.Folder(), 0o700); err != nil {
		return Backup{}, err
	}
	b := Backup{At: s.now().UTC()}
	tmp := filepath.Join(s.Folder(), fmt.Sprintf("new-%d", b.At.UnixNano()))
	defer func() { _ = os.Remove(tmp) }() // nothing once it is in its place
	if err := s.vacuum(ctx, tmp); err != nil {
		return b, err
	}
	if err := synced(tmp); err != nil { // SQLite does not
		return b, err
	}
	var err error
	if b.State, err = Inspect(ctx, tmp); err != nil {
		return b, fmt.Errorf("read the backup back: %w", err)
	}
	if b.Hash, b.Bytes, err = HashFile(tmp); err != nil {
		return b, err
	}
	b.ID = fmt.Sprintf("%s-%d", b.At.Format("20060102T150405.000000"), b.Write)
	if err := os.Rename(tmp, s.BackupFile(b.ID)); err != nil {
		return b, err
	}
	if err := synced(s.Folder()); err != nil {
		return b, err
	}
	line, err := json.Marshal(b)
	if err != nil {
		return b, err
	}
	if err := appendLine(s.catalogue(), line); err != nil {
		return b, err
	}
	return b, s.expire()
}

func (s *Store) vacuum(ctx context.Context, to string) error {
	s.use.RLock()
	defer s.use.RUnlock()
	if _, err := s.db.ExecContext(ctx, "VACUUM INTO ?1", to); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	return nil
}

// BackupFile is where the copy of a backup lies.
func (s *Store) BackupFile(id string) string {
	return filepath.Join(s.Folder(), filepath.Base(id)+".db")
}

// Backups are those whose copy is there, the newest first.
func (s *Store) Backups() ([]Backup, error) {
	raw, err := os.ReadFile(s.catalogue())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Backup
	in := bufio.NewScanner(bytes.NewReader(raw[:bytes.LastIndexByte(raw, '\n')+1]))
	for in.Scan() {
		var b Backup
		if err := json.Unmarshal(in.Bytes(), &b); err != nil {
			return nil, fmt.Errorf("read the catalogue of backups: %w", err)
		}
		if _, err := os.Stat(s.BackupFile(b.ID)); err == nil {
			out = append(out, b)
		}
	}
	slices.Reverse(out)
	return out, in.Err()
}

// Hold keeps backups from expiring until it is lifted.
func (s *Store) Hold(on bool) error {
	if !on {
		err := os.Remove(s.holdFile())
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := os.MkdirAll(s.Folder(), 0o700); err != nil {
		return err
	}
	return os.WriteFile(s.holdFile(), nil, 0o600)
}

// Held reports whether Hold keeps backups.
func (s *Store) Held() (bool, error) {
	_, err := os.Stat(s.holdFile())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// expire removes copies beyond those that stay, unless they are held.
func (s *Store) expire() error {
	if held, err := s.Held(); err != nil || held {
		return err
	}
	all, err := s.Backups()
	if err != nil {
		return err
	}
	for _, b := range all[min(len(all), keepBackups):] {
		if err := os.Remove(s.BackupFile(b.ID)); err != nil {
			return err
		}
	}
	return nil
}

// BackUp makes one now and then again and again, until ctx ends.
func (s *Store) BackUp(ctx context.Context, every time.Duration, fail func(error)) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		if _, err := s.Backup(ctx); err != nil && ctx.Err() == nil {
			fail(err)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// Inspect opens a copy, lets SQLite check each page and each reference, and says what it holds.
func Inspect(ctx context.Context, file string) (st State, err error) {
	if _, err := os.Stat(file); err != nil {
		return st, err
	}
	db, err := sql.Open("sqlite3", address(file, "mode=ro&_pragma=query_only(on)"))
	if err != nil {
		return st, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var word string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&word); err != nil || word != "ok" {
		return st, errors.Join(err, fmt.Errorf("integrity_check says %q", word))
	}
	if err := db.QueryRowContext(ctx, "PRAGMA foreign_key_check").Scan(&word); !errors.Is(err, sql.ErrNoRows) {
		return st, errors.Join(err, fmt.Errorf("foreign_key_check names %q", word))
	}
	if err := db.QueryRowContext(ctx, `SELECT version, last_write FROM sample_meta WHERE one = 1`).Scan(&st.Version, &st.Write); err != nil {
		return st, err
	}
	rows, err := db.QueryContext(ctx, allRows)
	if err != nil {
		return st, err
	}
	defer rows.Close()
	h := sha256.New()
	for rows.Next() {
		var id int64
		var team, name, company, email string
		if err := rows.Scan(&id, &team, &name, &company, &email); err != nil {
			return st, err
		}
		fmt.Fprintf(h, "%d %q %q %q %q\n", id, team, name, company, email)
		st.Rows++
	}
	st.Sum = hex.EncodeToString(h.Sum(nil))
	return st, rows.Err()
}

// IDs are the contacts of a copy.
func IDs(ctx context.Context, file string) (ids []int, err error) {
	db, err := sql.Open("sqlite3", address(file, "mode=ro&_pragma=query_only(on)"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, `SELECT id FROM sample_contact ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Apply does acknowledged writes again on a copy that nobody uses, in one transaction.
func Apply(ctx context.Context, file string, ws []Write) (err error) {
	db, err := sql.Open("sqlite3", address(file, "mode=rw&_txlock=immediate&_pragma=journal_mode(delete)&_pragma=synchronous(full)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing once it is committed
	for _, w := range ws {
		switch {
		case w.Act == "add" && w.Contact != nil:
			_, err = tx.ExecContext(ctx, insertContact, w.ID, w.Team, w.Person, w.Contact.Name, w.Contact.Company, w.Contact.Email)
		case w.Act == "remove":
			_, err = tx.ExecContext(ctx, deleteContact, w.ID, w.Team)
		default:
			err = fmt.Errorf("write %d is of no known kind", w.N)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE sample_meta SET last_write = ?1, last_id = MAX(last_id, ?2) WHERE one = 1`, w.N, w.ID)
		}
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Replace puts another database in the place of this one. It moves nothing away: what was
// there is overwritten by name, so a copy of it must be kept before.
func (s *Store) Replace(ctx context.Context, with string) error {
	s.use.Lock()
	defer s.use.Unlock()
	if err := s.shutDown(); err != nil { // the last connection folds the log into the file
		return err
	}
	for _, end := range []string{"-wal", "-shm"} { // no stale log may be read into the new file
		if err := os.Remove(s.file + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err := os.Rename(with, s.file)
	if err == nil {
		err = synced(filepath.Dir(s.file))
	}
	if err = errors.Join(err, s.open(ctx)); err != nil {
		return err
	}
	ws, err := s.Writes(0)
	if err != nil {
		return err
	}
	most := 0
	for _, w := range ws {
		most = max(most, w.ID)
	}
	_, err = s.db.ExecContext(ctx, `UPDATE sample_meta SET last_id = MAX(last_id, ?1) WHERE one = 1`, most) // an id that somebody was told is given to nobody else
	return err
}

// Copy copies the database and its log as they are, byte for byte, and says what was copied.
// Nobody may write meanwhile.
func (s *Store) Copy(to string) ([]string, error) {
	s.use.RLock()
	defer s.use.RUnlock()
	s.write.Lock()
	defer s.write.Unlock()
	var names []string
	for _, end := range []string{"", "-wal"} {
		name := filepath.Base(s.file) + end
		err := CopyFile(s.file+end, filepath.Join(to, name))
		if errors.Is(err, fs.ErrNotExist) && end != "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// CopyFile copies a file and waits until it is on the disk.
func CopyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}

// HashFile is the SHA-256 of a file, and its length.
func HashFile(name string) (string, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// synced waits until a file, or the names in a folder, are on the disk.
func synced(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func appendLine(name string, line []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// fromJSON takes over the contacts of a demo that kept them in a file.
func (s *Store) fromJSON(ctx context.Context, name string) error {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) || s.Last() > 0 {
		return nil
	}
	var teams map[string][]Contact
	if err == nil {
		err = json.Unmarshal(b, &teams)
	}
	if err != nil {
		return fmt.Errorf("sample data %s: %w", name, err)
	}
	for team, cs := range teams {
		for _, c := range cs {
			if _, err := s.Add(ctx, By{Team: team, Route: "import"}, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// jsonOf is where such a demo kept them.
func jsonOf(file string) string { return strings.TrimSuffix(file, filepath.Ext(file)) + ".json" }

const allRows = `SELECT id, team, name, company, email FROM sample_contact ORDER BY id`

// Position is the number of the newest write that the database holds. After a restore it is
// less than that of the list.
func (s *Store) Position(ctx context.Context) (n int64, err error) {
	s.use.RLock()
	defer s.use.RUnlock()
	err = s.db.QueryRowContext(ctx, lastWrite).Scan(&n)
	return n, err
}

// TryWrite writes a contact and takes it back before anybody sees it.
func (s *Store) TryWrite(ctx context.Context) error {
	s.use.RLock()
	defer s.use.RUnlock()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, insertContact, -1, "", "", "try", "", "try@example.test")
	return errors.Join(err, tx.Rollback())
}

// Erase removes contacts, and people's ids from those that they added, without a line in the
// list: it does again what was done before a restore undid it.
func (s *Store) Erase(ctx context.Context, contacts []int, people []string) (n int64, err error) {
	s.use.RLock()
	defer s.use.RUnlock()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // nothing once it is committed
	count := func(query string, arg any) error {
		r, err := tx.ExecContext(ctx, query, arg)
		if err != nil {
			return err
		}
		k, err := r.RowsAffected()
		n += k
		return err
	}
	for _, id := range contacts {
		if err := count(`DELETE FROM sample_contact WHERE id = ?1`, id); err != nil {
			return 0, err
		}
	}
	for _, p := range people {
		if err := count(`UPDATE sample_contact SET person = '' WHERE person = ?1`, p); err != nil {
			return 0, err
		}
	}
	return n, tx.Commit()
}

// People are those whose ids stand at contacts.
func (s *Store) People(ctx context.Context) (out []string, err error) {
	s.use.RLock()
	defer s.use.RUnlock()
	rows, err := s.db.QueryContext(ctx, `SELECT DISTINCT person FROM sample_contact WHERE person <> '' ORDER BY person`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var p string
		if err := rows.Scan(&p); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}
