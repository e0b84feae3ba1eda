package ledger

import (
	"database/sql"
	"strings"

	"github.com/ncruces/go-sqlite3/driver"
	"github.com/ncruces/go-sqlite3/vfs"

	"writ/internal/envelope"
	"writ/internal/secret"
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

// SectorFile encrypts f under a key of its own; begin has it hold writes back until a sync.
func SectorFile(f vfs.File) (file vfs.File, begin func()) {
	sectors, err := envelope.NewSectors(secret.Random(envelope.SectorsKeySize))
	if err != nil {
		panic(err)
	}
	h := &hold{}
	return &sectorFile{File: f, sectors: sectors, hold: h}, func() { h.on = true }
}

// GoodName and GoodObject are what About is held against.
var GoodName, GoodObject = goodName, goodObject
