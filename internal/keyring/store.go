package keyring

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib"       // the driver "pgx"
	_ "github.com/ncruces/go-sqlite3/driver" // the driver "sqlite3"
	_ "github.com/ncruces/go-sqlite3/vfs/memdb"

	"writ/internal/fault"
)

// store is the database of keys on either engine. On SQLite it has one connection:
// reads are served from memory after the first, and writes are rare.
type store struct {
	db     *sql.DB
	file   string // path of keys.db; "" on PostgreSQL and in memory
	memory bool   // SQLite without a file
}

// The engines' names, as ledger uses them.
const (
	engineSQLite   = "sqlite"
	enginePostgres = "postgres"
)

func (s *store) engine() string {
	if s.file == "" && !s.memory {
		return enginePostgres
	}
	return engineSQLite
}

// openStore opens what o names. It never makes a database.
func openStore(o Options) (*store, error) {
	if o.URL != "" {
		if !strings.HasPrefix(o.URL, "postgres://") && !strings.HasPrefix(o.URL, "postgresql://") {
			return nil, fault.Newf(fault.Invalid, "keys_url", "keys.url must begin with postgres://, or be left out to use keys.db.")
		}
		db, err := sql.Open("pgx", o.URL)
		if err != nil {
			return nil, fmt.Errorf("open the database of keys: %w", err)
		}
		db.SetMaxOpenConns(8)
		return &store{db: db}, nil
	}
	path, err := filepath.Abs(filepath.Join(o.Dir, "keys.db"))
	if err != nil {
		return nil, fmt.Errorf("find keys.db: %w", err)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, sealed("keys_missing", path+" cannot be found.", "It must hold the keys this server was set up with.",
			"Bring it back: writ vault keys restore FILE, with a backup that is not over.", err)
	}
	db, err := sql.Open("sqlite3", dsn(path))
	if err != nil {
		return nil, fmt.Errorf("open keys.db: %w", err)
	}
	db.SetMaxOpenConns(1)
	return &store{db: db, file: path}, nil
}

// dsn names keys.db for the driver. secure_delete overwrites deleted bytes, and
// temp_store keeps what VACUUM copies out of other files; modeof gives the rollback
// journal the permissions of keys.db. Pages are not encrypted: every value of worth
// in them is sealed.
func dsn(path string) string {
	name := strings.ReplaceAll(url.QueryEscape(path), "+", "%20") // SQLite reads + as itself
	return "file:" + name + "?mode=rw&_txlock=immediate&modeof=" + name +
		"&_pragma=busy_timeout(10000)&_pragma=journal_mode(delete)&_pragma=synchronous(extra)" +
		"&_pragma=secure_delete(on)&_pragma=temp_store(memory)&_pragma=trusted_schema(off)"
}

// makeFile makes an empty keys.db that only its owner can read, which SQLite takes
// as an empty database.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return exists(path)
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return errors.Join(f.Close(), syncFolder(filepath.Dir(path)))
}

// guard refuses an SQLite connection that would leave deleted bytes behind.
func (s *store) guard(ctx context.Context) error {
	if s.file == "" {
		return nil
	}
	var secure, journal string
	if err := s.db.QueryRowContext(ctx, "PRAGMA secure_delete").Scan(&secure); err != nil {
		return away("ask keys.db for secure_delete", err)
	}
	if err := s.db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&journal); err != nil {
		return away("ask keys.db for its journal mode", err)
	}
	if secure != "1" || journal != "delete" {
		return fault.Newf(fault.Internal, "keys_unsafe", "keys.db would keep destroyed keys (secure_delete %s, journal %s).", secure, journal)
	}
	return nil
}

func (s *store) close() error { return s.db.Close() }

// q writes a statement for the engine. The statements here use $N for parameters
// and nothing else; SQLite binds $N by order of appearance, ?N by number.
func (s *store) q(statement string) string {
	if s.engine() == engineSQLite {
		return strings.ReplaceAll(statement, "$", "?")
	}
	return statement
}

// write runs fn in a transaction that excludes every other writer, on both engines:
// SQLite by BEGIN IMMEDIATE, PostgreSQL by the row lock that taking a turn holds.
// So what fn reads does not change before fn's writes are committed.
func (s *store) write(ctx context.Context, fn func(q querier) error) error {
	tx, err := s.db.BeginTx(ctx, s.isolation())
	if err != nil {
		return away("begin", err)
	}
	defer tx.Rollback() // after Commit it does nothing
	q := querier{tx, s.q}
	if _, err := q.exec(ctx, takeTurn); err != nil {
		return err
	}
	if err := fn(q); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return away("commit", err)
	}
	return nil
}

// isolation makes PostgreSQL read afresh after the turn is taken, whatever its default.
func (s *store) isolation() *sql.TxOptions {
	if s.engine() == engineSQLite {
		return nil // a writer is alone there
	}
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
}

// read returns a querier outside any transaction.
func (s *store) read() querier { return querier{s.db, s.q} }

// querier runs this package's statements on a database or in a transaction.
type querier struct {
	on interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
		QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	}
	text func(string) string
}

func (q querier) exec(ctx context.Context, statement string, args ...any) (int64, error) {
	res, err := q.on.ExecContext(ctx, q.text(statement), args...)
	if err != nil {
		return 0, away("write", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, away("write", err)
	}
	return n, nil
}

// each calls row for every row and frees the connection before it returns.
func (q querier) each(ctx context.Context, statement string, row func(scan func(...any) error) error, args ...any) error {
	rows, err := q.on.QueryContext(ctx, q.text(statement), args...)
	if err != nil {
		return away("read", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return away("read", err)
		}
	}
	if err := rows.Err(); err != nil {
		return away("read", err)
	}
	return nil
}

// one reads a single row into dest and reports whether there was one.
func (q querier) one(ctx context.Context, statement string, dest []any, args ...any) (found bool, err error) {
	err = q.each(ctx, statement, func(scan func(...any) error) error {
		found = true
		return scan(dest...)
	}, args...)
	return found, err
}

// away is the fault of a database that did not do what it was asked.
func away(act string, err error) error {
	return fault.Wrap(fault.Unavailable, "keys_away", fmt.Errorf("%s in the database of keys: %w", act, err))
}

// The tables. Boxes name the key they are sealed under; times are microseconds UTC.
var tables = []string{
	`CREATE TABLE keyring_turn (id BIGINT PRIMARY KEY, turn BIGINT NOT NULL)`,
	`CREATE TABLE keyring_kek (version BIGINT PRIMARY KEY, id TEXT NOT NULL UNIQUE, created BIGINT NOT NULL,
		retired BIGINT NOT NULL DEFAULT 0, destroyed BIGINT NOT NULL DEFAULT 0)`,
	`CREATE TABLE keyring_root (kek TEXT NOT NULL, root TEXT NOT NULL, box BYTEA NOT NULL, PRIMARY KEY (kek, root))`,
	`CREATE TABLE keyring_key (id TEXT PRIMARY KEY, kind TEXT NOT NULL, mark TEXT NOT NULL, version BIGINT NOT NULL,
		kek TEXT NOT NULL, box BYTEA NOT NULL, created BIGINT NOT NULL, seals BIGINT NOT NULL DEFAULT 0, UNIQUE (mark, version))`,
	`CREATE INDEX keyring_key_kek ON keyring_key (kek, id)`,
	`CREATE TABLE keyring_named (name TEXT PRIMARY KEY, version BIGINT NOT NULL, kek TEXT NOT NULL, box BYTEA NOT NULL, created BIGINT NOT NULL)`,
	`CREATE TABLE keyring_erasure (mark TEXT PRIMARY KEY, kind TEXT NOT NULL, intended BIGINT NOT NULL, destroyed BIGINT NOT NULL)`,
	`CREATE TABLE keyring_destroyed (id TEXT PRIMARY KEY, mark TEXT NOT NULL, traces BYTEA NOT NULL)`,
	`CREATE INDEX keyring_destroyed_mark ON keyring_destroyed (mark)`,
	`INSERT INTO keyring_turn (id, turn) VALUES (1, 0)`,
}

const takeTurn = `UPDATE keyring_turn SET turn = turn + 1 WHERE id = 1`
