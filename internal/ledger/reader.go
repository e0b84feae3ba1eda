package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"writ/internal/fault"
)

// Scan copies the columns of the present row, as sql.Rows.Scan does. It is valid
// only inside the row callback.
type Scan func(dest ...any) error

// Reader reads rows; *DB reads what is committed, *Tx also what it wrote itself.
type Reader interface {
	// Each runs the query ($1, $2 …) and calls row for each row. An error of row ends
	// the reading and is returned. Inside a Tx, row must not run further statements.
	Each(ctx context.Context, query string, row func(Scan) error, args ...any) error
}

// One reads the first row into dest; fault.NotFound with the code no_row when there is none.
func One(ctx context.Context, r Reader, query string, dest []any, args ...any) error {
	found := false
	err := r.Each(ctx, query, func(scan Scan) error {
		if found {
			return errEnough
		}
		found = true
		return scan(dest...)
	}, args...)
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err == nil && !found {
		return fault.New(fault.NotFound, "no_row", fault.Public{Problem: "There is no such thing, or it is gone."})
	}
	return err
}

// errEnough ends the reading after the first row.
var errEnough = fmt.Errorf("ledger: enough")

// Each reads committed rows on a reader. It never waits for a writer.
func (d *DB) Each(ctx context.Context, query string, row func(Scan) error, args ...any) error {
	if !reads(query) {
		return defect(fmt.Errorf("query %s: %w", brief(query), errNotReading))
	}
	rows, err := d.engine.query(ctx, query, args)
	if err != nil {
		return fmt.Errorf("query %s: %w", brief(query), mapError(err))
	}
	for rows.Next() {
		if err := row(scanner(rows)); err != nil {
			rows.Close()
			return err
		}
	}
	if err := rows.Err(); err != nil {
		rows.Close()
		return fmt.Errorf("read rows of %s: %w", brief(query), mapError(err))
	}
	if err := rows.Close(); err != nil {
		return fmt.Errorf("close %s: %w", brief(query), mapError(err))
	}
	return nil
}

func scanner(rows *sql.Rows) Scan {
	return func(dest ...any) error {
		if err := rows.Scan(dest...); err != nil {
			return fmt.Errorf("scan: %w", mapError(err))
		}
		return nil
	}
}

// brief is the head of a statement, for logs. Statements hold no values.
func brief(q string) string {
	if len(q) > 60 {
		q = q[:60] + "…"
	}
	return fmt.Sprintf("%q", q)
}
