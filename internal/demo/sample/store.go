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
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "github.com/ncruces/go-sqlite3/driver" // the driver "sqlite3"
)

// Version is the schema that this build reads and writes.
const Version = 1

// ErrShut is a write that was not taken because the application is shut.
var ErrShut = errors.New("the application takes no writes now")

// errNone is a contact that the team does not have.
var errNone = errors.New("there is no such contact")

// Store is the application's database, and beside it the list of writes that were
// acknowledged: it is only added to, so it still tells of a write that a restore undoes.
// It is safe for concurrent use.
type Store struct {
	file string
	now  func() time.Time

	use   sync.RWMutex // held while the file is in use; alone, to change it for another
	db    *sql.DB
	watch *sql.Conn // never writes: its data_version moves when anybody else does

	write sync.Mutex // owns what follows
	list  *os.File
	n     int64 // of the newest write
	shut  bool
}

// Write is one that was acknowledged.
type Write struct {
	N       int64     `json:"n"`
	At      time.Time `json:"at"`
	Team    string    `json:"team"`
	Person  string    `json:"person,omitempty"`
	Act     string    `json:"act"` // add, remove
	Route   string    `json:"route"`
	ID      int       `json:"id"` // of the contact
	Hash    string    `json:"hash"`
	Contact *Contact  `json:"contact,omitempty"`
}

// By is whose write it is, and by which route it came.
type By struct{ Team, Person, Route string }

// OpenStore opens the database, or makes it.
func OpenStore(ctx context.Context, file string, now func() time.Time) (*Store, error) {
	s := &Store{file: file, now: now}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.openList(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// File is where the database lies.
func (s *Store) File() string { return s.file }

func address(file string, params string) string {
	return "file:" + strings.ReplaceAll(url.PathEscape(file), "%2F", "/") + "?" + params
}

func (s *Store) open(ctx context.Context) (err error) {
	if s.db, err = sql.Open("sqlite3", address(s.file, "_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=foreign_keys(on)")); err != nil {
		return fmt.Errorf("open the sample's database: %w", err)
	}
	for _, query := range tables {
		if _, err = s.db.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("make the sample's tables: %w", err)
		}
	}
	s.watch, err = s.db.Conn(ctx)
	return err
}

// shutDown closes the database; the list stays.
func (s *Store) shutDown() (err error) {
	if s.watch != nil {
		err = s.watch.Close()
	}
	if s.db != nil {
		err = errors.Join(err, s.db.Close())
	}
	s.watch, s.db = nil, nil
	return err
}

// Close closes everything.
func (s *Store) Close() error {
	s.use.Lock()
	defer s.use.Unlock()
	err := s.shutDown()
	if s.list != nil {
		err = errors.Join(err, s.list.Close())
	}
	s.list = nil
	return err
}

func (s *Store) listFile() string { return s.file + ".writes" }

// openList takes up the list: a line that a crash cut off was acknowledged to nobody.
func (s *Store) openList() (err error) {
	if s.list, err = os.OpenFile(s.listFile(), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return fmt.Errorf("open the list of writes: %w", err)
	}
	all, err := io.ReadAll(s.list)
	if err != nil {
		return fmt.Errorf("read the list of writes: %w", err)
	}
	whole := bytes.LastIndexByte(all, '\n') + 1
	if err := s.list.Truncate(int64(whole)); err != nil {
		return err
	}
	if _, err := s.list.Seek(int64(whole), io.SeekStart); err != nil {
		return err
	}
	ws, err := readWrites(all[:whole], 0)
	if len(ws) > 0 {
		s.n = ws[len(ws)-1].N
	}
	var n int64
	if err := errors.Join(err, s.db.QueryRow(lastWrite).Scan(&n)); err != nil {
		return err
	}
	s.n = max(s.n, n)
	return nil
}

func readWrites(b []byte, after int64) (out []Write, err error) {
	in := bufio.NewScanner(bytes.NewReader(b))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var w Write
		if err := json.Unmarshal(in.Bytes(), &w); err != nil {
			return nil, fmt.Errorf("read the list of writes: %w", err)
		}
		if w.N > after {
			out = append(out, w)
		}
	}
	return out, in.Err()
}

// Writes are those acknowledged after the nth, the oldest first.
func (s *Store) Writes(after int64) ([]Write, error) {
	b, err := os.ReadFile(s.listFile())
	if err != nil {
		return nil, fmt.Errorf("read the list of writes: %w", err)
	}
	return readWrites(b[:bytes.LastIndexByte(b, '\n')+1], after)
}

// Last is the number of the newest write.
func (s *Store) Last() int64 {
	s.write.Lock()
	defer s.write.Unlock()
	return s.n
}

// Contacts are those of a team.
func (s *Store) Contacts(ctx context.Context, team string) ([]Contact, error) {
	s.use.RLock()
	defer s.use.RUnlock()
	rows, err := s.db.QueryContext(ctx, selectContacts, team)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := []Contact{}
	for rows.Next() {
		var c Contact
		if err := rows.Scan(&c.ID, &c.Name, &c.Company, &c.Email); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Add keeps a contact. It is acknowledged once it is in the database and in the list.
func (s *Store) Add(ctx context.Context, by By, c Contact) (Contact, error) {
	err := s.change(ctx, by, "add", func(tx *sql.Tx, w *Write) error {
		if err := tx.QueryRowContext(ctx, nextID).Scan(&c.ID); err != nil {
			return err
		}
		w.ID, w.Contact = c.ID, &c
		_, err := tx.ExecContext(ctx, insertContact, c.ID, by.Team, by.Person, c.Name, c.Company, c.Email)
		return err
	})
	return c, err
}

// Remove erases a contact of a team.
func (s *Store) Remove(ctx context.Context, by By, id int) error {
	return s.change(ctx, by, "remove", func(tx *sql.Tx, w *Write) error {
		w.ID = id
		r, err := tx.ExecContext(ctx, deleteContact, id, by.Team)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errNone)
		}
		return nil
	})
}

func (s *Store) change(ctx context.Context, by By, act string, fn func(*sql.Tx, *Write) error) error {
	s.use.RLock()
	defer s.use.RUnlock()
	s.write.Lock()
	defer s.write.Unlock()
	if s.shut {
		return ErrShut
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing once it is committed
	w := Write{N: s.n + 1, At: s.now().UTC(), Team: by.Team, Person: by.Person, Act: act, Route: by.Route}
	if err := fn(tx, &w); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, setLastWrite, w.N); err != nil {
		return err
	}
	body, err := json.Marshal(w.Contact)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	w.Hash = hex.EncodeToString(sum[:])
	line, err := json.Marshal(w)
	if err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.n = w.N
	if _, err := s.list.Write(append(line, '\n')); err != nil {
		return err
	}
	return s.list.Sync()
}

// Shut makes the application take no writes, or take them again: for its restore.
func (s *Store) Shut(shut bool) {
	s.write.Lock()
	defer s.write.Unlock()
	s.shut = shut
}

// Still is where the database stands: the same twice means that nobody wrote between. The
// version is that of one connection which is held and never writes; a commit of any other
// moves it. Length and salt of the log tell of one that was copied back.
func (s *Store) Still(ctx context.Context) (string, error) {
	s.use.RLock()
	defer s.use.RUnlock()
	var version, n int64
	if err := s.watch.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil {
		return "", fmt.Errorf("ask for the version of the data: %w", err)
	}
	if err := s.watch.QueryRowContext(ctx, lastWrite).Scan(&n); err != nil {
		return "", err
	}
	log, err := os.Open(s.file + "-wal")
	if err != nil {
		return "", err
	}
	defer log.Close()
	i, err := log.Stat()
	if err != nil {
		return "", err
	}
	head := make([]byte, 32)
	if _, err := log.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return fmt.Sprintf("write %d, data version %d, log of %d bytes, salt %x", n, version, i.Size(), head[16:24]), nil
}

// Damage does what a bad migration does, past the application and its list: for drills.
func (s *Store) Damage(ctx context.Context) (rows int64, err error) {
	s.use.RLock()
	defer s.use.RUnlock()
	r, err := s.db.ExecContext(ctx, damage)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

var tables = []string{`CREATE TABLE IF NOT EXISTS sample_contact (
	id INTEGER PRIMARY KEY, team TEXT NOT NULL, person TEXT NOT NULL, name TEXT NOT NULL, company TEXT NOT NULL, email TEXT NOT NULL) STRICT`,
	`CREATE INDEX IF NOT EXISTS sample_contact_team ON sample_contact (team, id)`,
	`CREATE TABLE IF NOT EXISTS sample_meta (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, last_write INTEGER NOT NULL, last_id INTEGER NOT NULL) STRICT`,
	fmt.Sprintf(`INSERT INTO sample_meta (one, version, last_write, last_id) VALUES (1, %d, 0, 0) ON CONFLICT (one) DO NOTHING`, Version)}

const (
	lastWrite      = `SELECT last_write FROM sample_meta WHERE one = 1`
	setLastWrite   = `UPDATE sample_meta SET last_write = ?1 WHERE one = 1`
	nextID         = `UPDATE sample_meta SET last_id = last_id + 1 WHERE one = 1 RETURNING last_id`
	selectContacts = `SELECT id, name, company, email FROM sample_contact WHERE team = ?1 ORDER BY id`
	insertContact  = `INSERT INTO sample_contact (id, team, person, name, company, email) VALUES (?1, ?2, ?3, ?4, ?5, ?6)`
	deleteContact  = `DELETE FROM sample_contact WHERE id = ?1 AND team = ?2`
	damage         = `DELETE FROM sample_contact WHERE id % 2 = 1`
)
