package ledger

import (
	"database/sql"
	"strings"

	"github.com/ncruces/go-sqlite3/driver"
)

// Bare opens the ledger's database without the ledger, with the same settings.
func Bare(d *DB, url string) (*sql.DB, error) {
	switch e := d.engine.(type) {
	case *lite:
		return driver.Open(e.address(strings.TrimPrefix(url, "sqlite:"), writing...))
	case *pg:
		return e.write, nil
	}
	panic("unknown engine")
}

// Numbered is what SQLite gets of a statement.
func Numbered(q string) string { return numbered(q) }

// Kebab is the wire name of a Go name.
func Kebab(name string) string { return kebab(name) }
