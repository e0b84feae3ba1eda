package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"writ/internal/actor"
	"writ/internal/fault"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

func ownSchema() fs.FS {
	sub, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic("ledger: " + err.Error()) // the folder is compiled in
	}
	return sub
}

// Migrated is the event of one schema file applied. It is recorded at the first
// start after the file was applied, also when that start was killed before.
type Migrated struct {
	Module  string `class:"public"`
	Version int64  `class:"public"`
	SHA256  string `class:"public"` // of the file as shipped, hex
}

// About names the event.
func (m Migrated) About() About {
	return About{Name: "ledger.migrated", Object: "schema/" + m.Module}
}

// tokens are what the two engines spell differently.
var tokens = map[string]*strings.Replacer{
	"sqlite": strings.NewReplacer("{{rowid}}", "INTEGER PRIMARY KEY",
		"{{autoid}}", "INTEGER PRIMARY KEY AUTOINCREMENT", "{{queueid}}", "INTEGER PRIMARY KEY"),
	"postgres": strings.NewReplacer("{{rowid}}", "BIGINT PRIMARY KEY",
		"{{autoid}}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
		"{{queueid}}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
}

var goodModule = regexp.MustCompile(`^[a-z][a-z0-9]{1,30}$`)

// migrate applies what is missing, module by module.
func migrate(ctx context.Context, db *sql.DB, kind string, schemas []Schema) error {
	if err := refuseNewer(ctx, db, kind, schemas); err != nil {
		return err
	}
	for _, s := range schemas {
		if !goodModule.MatchString(s.Module) {
			return fmt.Errorf("schema of module %q: the name must be a short lower-case word", s.Module)
		}
		opts := []goose.ProviderOption{goose.WithTableName(s.Module + "_schema"),
			goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger())}
		dialect := goose.DialectSQLite3
		if kind == "postgres" {
			dialect = goose.DialectPostgres
			l, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
			if err != nil {
				return fmt.Errorf("lock the schema: %w", err)
			}
			opts = append(opts, goose.WithSessionLocker(l))
		}
		p, err := goose.NewProvider(dialect, db, tokenFS{s.FS, tokens[kind]}, opts...)
		if err != nil {
			return fmt.Errorf("read schema of %s: %w", s.Module, err)
		}
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("apply schema of %s: %w", s.Module, err)
		}
	}
	return nil
}

// applied is one schema file.
type applied struct {
	module  string
	version int64
}

// files lists the schema files with their hashes, in order.
func files(schemas []Schema) (order []applied, sums map[applied]string, err error) {
	sums = map[applied]string{}
	for _, s := range schemas {
		names, err := fs.Glob(s.FS, "*.sql")
		if err != nil {
			return nil, nil, fmt.Errorf("list schema of %s: %w", s.Module, err)
		}
		for _, name := range names {
			number, _, _ := strings.Cut(name, "_")
			v, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				return nil, nil, fmt.Errorf("schema file %s of %s: the name must begin with a number", name, s.Module)
			}
			b, err := fs.ReadFile(s.FS, name)
			if err != nil {
				return nil, nil, fmt.Errorf("read schema of %s: %w", s.Module, err)
			}
			sum := sha256.Sum256(b)
			a := applied{s.Module, v}
			order = append(order, a)
			sums[a] = hex.EncodeToString(sum[:])
		}
	}
	return order, sums, nil
}

// refuseNewer stops before anything is applied when the database was changed by a
// newer program, or when a file that was applied reads differently now.
func refuseNewer(ctx context.Context, db *sql.DB, kind string, schemas []Schema) error {
	exists := `SELECT COUNT(*) FROM sqlite_master WHERE name = 'ledger_migration'`
	if kind == "postgres" {
		exists = `SELECT COUNT(*) FROM pg_class WHERE relname = 'ledger_migration' AND pg_table_is_visible(oid)`
	}
	var n int
	if err := db.QueryRowContext(ctx, exists).Scan(&n); err != nil {
		return fmt.Errorf("look for the schema: %w", err)
	}
	if n == 0 {
		return nil
	}
	_, sums, err := files(schemas)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, s := range schemas {
		known[s.Module] = true
	}
	rows, err := db.QueryContext(ctx, allMigrations)
	if err != nil {
		return fmt.Errorf("read the schema's history: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var a applied
		var sum string
		if err := rows.Scan(&a.module, &a.version, &sum); err != nil {
			return fmt.Errorf("read the schema's history: %w", err)
		}
		if err := compare(a, sum, sums[a], known[a.module]); err != nil {
			return err
		}
	}
	return rows.Err()
}

func compare(a applied, recorded, shipped string, known bool) error {
	switch {
	case !known || recorded == shipped:
		return nil
	case shipped == "":
		return fault.New(fault.Conflict, "schema_newer", fault.Public{
			Problem:  fmt.Sprintf("The database was changed by a newer program (%s %d).", a.module, a.version),
			Expected: "A program at least as new as the one that used this database last.",
			Next:     "Install the newer program again, or restore a backup made before the update."})
	}
	return fault.New(fault.Conflict, "schema_changed", fault.Public{
		Problem:  fmt.Sprintf("Schema file %s %d is not the one that was applied.", a.module, a.version),
		Expected: "Applied files never change; a change is a new file.",
		Next:     "Install an unaltered program."})
}

// recordMigrations records the applied files that have no entry yet.
func (d *DB) recordMigrations(ctx context.Context, schemas []Schema) error {
	order, sums, err := files(schemas)
	if err != nil {
		return err
	}
	missing := func(r Reader) ([]applied, error) {
		have := map[applied]bool{}
		err := r.Each(ctx, allMigrations, func(scan Scan) error {
			var a applied
			var sum string
			if err := scan(&a.module, &a.version, &sum); err != nil {
				return err
			}
			have[a] = true
			return nil
		})
		var out []applied
		for _, a := range order {
			if !have[a] {
				out = append(out, a)
			}
		}
		return out, err
	}
	if todo, err := missing(d); err != nil || len(todo) == 0 {
		return err
	}
	errDone := errors.New("recorded by another node")
	_, err = d.Change(ctx, actor.System("migrate"), func(t *Tx) (Event, error) {
		if d.Engine() == "postgres" { // nodes that start together
			if _, err := t.Exec(ctx, `LOCK TABLE ledger_migration IN EXCLUSIVE MODE`); err != nil {
				return nil, err
			}
		}
		todo, err := missing(t)
		if err != nil {
			return nil, err
		}
		if len(todo) == 0 {
			return nil, errDone
		}
		events := make([]Event, len(todo))
		for i, a := range todo {
			if _, err := t.Exec(ctx, insertMigration, a.module, a.version, sums[a]); err != nil {
				return nil, err
			}
			events[i] = Migrated{Module: a.module, Version: a.version, SHA256: sums[a]}
		}
		for _, e := range events[1:] {
			t.Also(e)
		}
		return events[0], nil
	})
	if errors.Is(err, errDone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("record schema: %w", err)
	}
	return nil
}

// tokenFS replaces the tokens in the files below it.
type tokenFS struct {
	fs.FS
	tokens *strings.Replacer
}

func (f tokenFS) Open(name string) (fs.File, error) {
	file, err := f.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return file, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	b, err := fs.ReadFile(f.FS, name)
	if err != nil {
		return nil, err
	}
	text := f.tokens.Replace(string(b))
	if i := strings.Index(text, "{{"); i >= 0 {
		return nil, fmt.Errorf("schema file %s holds an unknown token: %.20q", name, text[i:])
	}
	return textFile{bytes.NewReader([]byte(text)), sized{info, int64(len(text))}}, nil
}

type textFile struct {
	*bytes.Reader
	info fs.FileInfo
}

func (f textFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f textFile) Close() error               { return nil }

type sized struct {
	fs.FileInfo
	size int64
}

func (s sized) Size() int64 { return s.size }

const (
	allMigrations   = `SELECT module, version, sha256 FROM ledger_migration ORDER BY module, version`
	insertMigration = `INSERT INTO ledger_migration (module, version, sha256) VALUES ($1, $2, $3)`
)
