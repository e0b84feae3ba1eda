package breach

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// Change is what an audit of a database tells of rows that were changed or removed, or of a
// structure that was: the statements of one kind that a user made of an object one after another.
type Change struct {
	From, Until                     time.Time
	User, Database, Command, Object string
	Rows                            int64 // -1 = the audit does not say
	Schema                          bool  // its structure
}

const (
	manyRows    = 100         // changed or removed
	oneRun      = time.Minute // between statements of one change
	mostChanges = 10_000      // of an audit
)

// Changes reads from a log of PostgreSQL as CSV with the lines of pgaudit what changed much within a
// time: structures, and rows that were updated or deleted, a hundred or more, or nobody says how many.
func Changes(log []byte, from, until time.Time) (out []Change, err error) { // clause: inc.loss-restore
	in := csv.NewReader(bytes.NewReader(log))
	in.FieldsPerRecord, in.ReuseRecord, in.LazyQuotes = -1, true, false
	last := map[string]int{}
	n := 0
	for ; ; n++ {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read an audit of a database: %w", err)
		}
		l, err := readAuditLine(row)
		if err != nil {
			line, _ := in.FieldPos(0)
			return nil, fmt.Errorf("read an audit of a database, line %d: %w", line, err)
		}
		c, ok := l.change()
		if !ok || l.at.Before(from) || l.at.After(until) {
			continue
		}
		key := fmt.Sprintf("%q %q %q %q", c.User, c.Database, c.Command, c.Object)
		if i, known := last[key]; known && c.From.Sub(out[i].Until) <= oneRun && !c.From.Before(out[i].From) {
			out[i].Until = c.Until
			if out[i].Rows >= 0 {
				if out[i].Rows += c.Rows; c.Rows < 0 {
					out[i].Rows = -1
				}
			}
			continue
		}
		if len(out) >= mostChanges {
			return nil, fmt.Errorf("it has more than %d changes of tables: cut it to the time that matters", mostChanges)
		}
		last[key] = len(out)
		out = append(out, c)
	}
	if n == 0 {
		return nil, errors.New("read an audit of a database: it is empty")
	}
	return slices.DeleteFunc(out, func(c Change) bool { return !c.Schema && c.Rows >= 0 && c.Rows < manyRows }), nil
}

// change is a line as a change; false = it changes no row and no structure.
func (l auditLine) change() (Change, bool) {
	c := Change{From: l.at, Until: l.at, User: l.user, Database: l.database, Command: l.command, Object: l.object, Rows: -1}
	if c.Object == "" {
		c.Object = "what it does not name"
	}
	switch {
	case !l.audited:
		return c, false
	case l.class == "DDL", l.class == "WRITE" && l.command == "TRUNCATE TABLE":
		c.Schema = l.class == "DDL"
		return c, true
	case l.class != "WRITE" || l.command != "DELETE" && l.command != "UPDATE" && l.command != "MERGE":
		return c, false
	}
	if n, err := strconv.ParseInt(l.row, 10, 64); err == nil && n >= 0 {
		c.Rows = n
	}
	return c, true
}
