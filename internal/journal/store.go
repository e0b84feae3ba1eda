package journal

import (
	"context"
	"fmt"
	"strings"

	"writ/internal/ledger"
	"writ/internal/merkle"
)

// table writes many rows with few statements: sixteen at a time on SQLite, as arrays on
// PostgreSQL. One statement a row would keep the shared writer twice as long.
type table struct {
	name  string
	cols  []string
	types []string // of PostgreSQL

	one, many, arrays string
}

const manyRows = 16

// columns names and types a table's columns: "n bigint", …
func columns(name string, cols ...string) table {
	t := table{name: name}
	for _, c := range cols {
		col, typ, _ := strings.Cut(c, " ")
		t.cols, t.types = append(t.cols, col), append(t.types, typ)
	}
	into := "INSERT INTO " + name + " (" + strings.Join(t.cols, ", ") + ") "
	values := func(rows int) string {
		var b strings.Builder
		for r := range rows {
			for c := range t.cols {
				switch {
				case c > 0:
					b.WriteString(", ")
				case r > 0:
					b.WriteString("), (")
				}
				fmt.Fprintf(&b, "$%d", r*len(t.cols)+c+1)
			}
		}
		return into + "VALUES (" + b.String() + ")"
	}
	t.one, t.many = values(1), values(manyRows)
	var parts []string
	for i, typ := range t.types {
		parts = append(parts, fmt.Sprintf("$%d::%s[]", i+1, typ))
	}
	t.arrays = into + "SELECT * FROM unnest(" + strings.Join(parts, ", ") + ")"
	return t
}

// rows is a batch for one table, kept by column.
type rows struct {
	ints  map[int][]int64
	texts map[int][]string
	blobs map[int][][]byte
	n     int
}

func (r *rows) add(values ...any) {
	if r.ints == nil {
		r.ints, r.texts, r.blobs = map[int][]int64{}, map[int][]string{}, map[int][][]byte{}
	}
	for i, v := range values {
		switch v := v.(type) {
		case int64:
			r.ints[i] = append(r.ints[i], v)
		case string:
			r.texts[i] = append(r.texts[i], v)
		case []byte:
			r.blobs[i] = append(r.blobs[i], v)
		default:
			panic(fmt.Sprintf("journal: a column of %T", v))
		}
	}
	r.n++
}

func (r *rows) column(i int) any {
	if c, ok := r.ints[i]; ok {
		return c
	}
	if c, ok := r.texts[i]; ok {
		return c
	}
	return r.blobs[i]
}

func (r *rows) value(row, col int) any {
	if c, ok := r.ints[col]; ok {
		return c[row]
	}
	if c, ok := r.texts[col]; ok {
		return c[row]
	}
	return r.blobs[col][row]
}

// insert writes the batch.
func (t table) insert(ctx context.Context, tx *ledger.Tx, arrays bool, r *rows) error {
	if r.n == 0 {
		return nil
	}
	if arrays {
		args := make([]any, len(t.cols))
		for i := range args {
			args[i] = r.column(i)
		}
		_, err := tx.Exec(ctx, t.arrays, args...)
		return err
	}
	args := make([]any, 0, manyRows*len(t.cols))
	for at := 0; at < r.n; {
		step, text := 1, t.one
		if r.n-at >= manyRows {
			step, text = manyRows, t.many
		}
		args = args[:0]
		for i := at; i < at+step; i++ {
			for c := range t.cols {
				args = append(args, r.value(i, c))
			}
		}
		if _, err := tx.Exec(ctx, text, args...); err != nil {
			return err
		}
		at += step
	}
	return nil
}

// hashes reads stored hashes; it is what proofs and tiles are made from.
func hashes(ctx context.Context, r ledger.Reader) merkle.HashReader {
	return merkle.HashReaderFunc(func(indexes []int64) ([]merkle.Hash, error) {
		out := make([]merkle.Hash, len(indexes))
		for from := 0; from < len(indexes); from += manyHashes {
			part := indexes[from:min(from+manyHashes, len(indexes))]
			if err := readHashes(ctx, r, part, out[from:]); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

// manyHashes keeps the texts of the query few: it is asked for in powers of two.
const manyHashes = 256

// readHashes reads the hashes at ascending indexes into out. A run of neighbours, which
// a tile's lowest level nearly is, is read as a range.
func readHashes(ctx context.Context, r ledger.Reader, indexes []int64, out []merkle.Hash) error {
	if len(indexes) == 0 {
		return nil
	}
	first, last := indexes[0], indexes[len(indexes)-1]
	next := 0
	take := func(scan ledger.Scan) error {
		var i int64
		var b []byte
		if err := scan(&i, &b); err != nil {
			return err
		}
		if next < len(indexes) && indexes[next] == i {
			if len(b) != merkleHash {
				return tampered(Finding{Kind: "altered", N: -1, Says: fmt.Sprintf("stored hash %d is not a hash", i)})
			}
			out[next] = merkle.Hash(b)
			next++
		}
		return nil
	}
	var err error
	if last-first < 4*int64(len(indexes)) {
		err = r.Each(ctx, selectHashRange, take, first, last)
	} else {
		width := 1
		for width < len(indexes) {
			width *= 2
		}
		args := make([]any, width)
		for i := range args {
			args[i] = indexes[min(i, len(indexes)-1)]
		}
		err = r.Each(ctx, hashQuery(width), take, args...)
	}
	if err != nil {
		return fmt.Errorf("read stored hashes: %w", err)
	}
	if next != len(indexes) {
		return tampered(Finding{Kind: "missing", N: -1, Says: fmt.Sprintf("stored hash %d is missing", indexes[next])})
	}
	return nil
}

const merkleHash = 32

func hashQuery(width int) string {
	marks := make([]string, width)
	for i := range marks {
		marks[i] = fmt.Sprintf("$%d", i+1)
	}
	return "SELECT i, hash FROM journal_hash WHERE i IN (" + strings.Join(marks, ", ") + ") ORDER BY i"
}

const selectHashRange = `SELECT i, hash FROM journal_hash WHERE i >= $1 AND i <= $2 ORDER BY i`
