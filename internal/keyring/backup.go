package keyring

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/secret"
)

// A backup is the rows of all tables, on either engine, so that each restores from the
// other's.
//
//	head   "writ-keys 1 EPOCH MILLISECONDS\n"
//	parts  kind(1) ‖ length(4) ‖ box; each box is bound to the head, its number and its kind
//	       kind p: lines {"t":table,"r":[values]}   kind e: the end, without lines
//
// So a part that is cut off, moved, repeated or of another backup is seen.

const (
	partSize = 256 << 10 // of lines, before a part is closed
	maxPart  = 4 << 20
)

// backed is a table of the database of keys as a backup has it.
type backed struct {
	table   string
	columns []string // with # at the end a number, with * bytes, else text
}

var backup = []backed{
	{"keyring_kek", strings.Fields("version# id created# retired# destroyed#")},
	{"keyring_root", strings.Fields("kek root box*")},
	{"keyring_key", strings.Fields("id kind mark version# kek box* created# seals#")},
	{"keyring_named", strings.Fields("name version# kek box* created#")},
	{"keyring_erasure", strings.Fields("mark kind intended# destroyed#")},
	{"keyring_destroyed", strings.Fields("id mark traces*")},
}

func (b backed) names() string {
	return strings.NewReplacer("#", "", "*", "").Replace(strings.Join(b.columns, ", "))
}

func (b backed) insert() string {
	marks := make([]string, len(b.columns))
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+1)
	}
	return `INSERT INTO ` + b.table + ` (` + b.names() + `) VALUES (` + strings.Join(marks, ", ") + `)`
}

// line is one row.
type line struct {
	Table string `json:"t"`
	Row   []any  `json:"r"`
}

// snapshot reads everything as it is at one moment.
func (s *store) snapshot(ctx context.Context, fn func(q querier) error) error {
	var how *sql.TxOptions // SQLite has one connection, and nobody writes meanwhile
	if s.engine() == enginePostgres {
		how = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	tx, err := s.db.BeginTx(ctx, how)
	if err != nil {
		return away("begin", err)
	}
	defer tx.Rollback() // it only reads
	return fn(querier{tx, s.q})
}

// dump writes a backup and returns how many rows are in it.
func (r *Ring) dump(ctx context.Context, to io.Writer, key envelope.Key, made time.Time) (rows int, err error) {
	out := bufio.NewWriter(to)
	head := fmt.Sprintf("writ-keys 1 %s %d", key.ID(), made.UnixMilli())
	if _, err := out.WriteString(head + "\n"); err != nil {
		return 0, fmt.Errorf("write a backup: %w", err)
	}
	var lines bytes.Buffer
	n := 0
	part := func(kind byte) error {
		box := key.Seal(lines.Bytes(), partPlace(head, n, kind))
		lines.Reset()
		n++
		_, err := out.Write(append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(box))), box...)) //nolint:gosec // at most maxPart
		return err
	}
	err = r.store.snapshot(ctx, func(q querier) error {
		for _, t := range backup {
			err := q.each(ctx, `SELECT `+t.names()+` FROM `+t.table, func(scan func(...any) error) error {
				l := line{t.table, make([]any, len(t.columns))}
				into := make([]any, len(l.Row))
				for i := range into {
					into[i] = &l.Row[i]
				}
				if err := scan(into...); err != nil {
					return err
				}
				b, err := json.Marshal(l)
				if err != nil {
					return err
				}
				lines.Write(append(b, '\n'))
				if rows++; lines.Len() >= partSize {
					return part('p')
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && lines.Len() > 0 {
		err = part('p')
	}
	if err == nil {
		err = errors.Join(part('e'), out.Flush())
	}
	if err != nil {
		return 0, fmt.Errorf("write a backup: %w", err)
	}
	return rows, nil
}

func partPlace(head string, n int, kind byte) envelope.AAD {
	return envelope.AAD{Table: "keyring_backup", Column: "part-" + string(kind), Row: head, Version: n}
}

var backupHead = regexp.MustCompile(`^writ-keys 1 ([0-9a-f]{32}) ([0-9]{1,15})$`)

func badBackup(cause error) error {
	if _, ok := errors.AsType[*fault.Error](cause); ok && !errors.Is(cause, fault.Invalid) {
		return cause
	}
	return &fault.Error{Kind: fault.Invalid, Code: "backup_damaged", Err: cause, Public: fault.Public{
		Problem: "This is no backup of keys, or it is damaged.", Expected: "A whole .keys file, as it was written.", Next: "Take another backup."}}
}

// readBackup reads a backup to its end, row by row, and says when it was made.
func readBackup(from io.Reader, find func(epoch string) (envelope.Key, error), row func(t backed, values []any) error) (made time.Time, err error) {
	in := bufio.NewReader(from)
	head, err := in.ReadSlice('\n')
	m := backupHead.FindStringSubmatch(strings.TrimSuffix(string(head), "\n"))
	if err != nil || m == nil {
		return made, badBackup(errors.Join(err, errors.New("no head")))
	}
	key, err := find(m[1])
	if err != nil {
		return made, err
	}
	ms, err := strconv.ParseInt(m[2], 10, 64)
	if err != nil {
		return made, badBackup(err)
	}
	for n := 0; ; n++ {
		kind, lines, err := nextPart(in, key, m[0], n)
		if err != nil {
			return made, badBackup(err)
		}
		if kind == 'e' {
			break
		}
		for text := range bytes.Lines(lines.Reveal()) {
			t, values, err := readLine(text)
			if err == nil {
				err = row(t, values)
			}
			if err != nil {
				return made, badBackup(err)
			}
		}
		lines.Wipe()
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return made, badBackup(errors.New("something stands after the end"))
	}
	return time.UnixMilli(ms).UTC(), nil
}

func nextPart(in io.Reader, key envelope.Key, head string, n int) (kind byte, lines secret.Bytes, err error) {
	var h [5]byte
	if _, err := io.ReadFull(in, h[:]); err != nil {
		return 0, lines, fmt.Errorf("part %d: %w", n, err)
	}
	size := binary.BigEndian.Uint32(h[1:])
	if size > maxPart {
		return 0, lines, fmt.Errorf("part %d has %d bytes", n, size)
	}
	box := make([]byte, size)
	if _, err := io.ReadFull(in, box); err != nil {
		return 0, lines, fmt.Errorf("part %d: %w", n, err)
	}
	lines, err = key.Open(box, partPlace(head, n, h[0]))
	return h[0], lines, err
}

// readLine reads one row into what its table takes.
func readLine(text []byte) (backed, []any, error) {
	var l struct {
		Table string            `json:"t"`
		Row   []json.RawMessage `json:"r"`
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return backed{}, nil, fmt.Errorf("read a row: %w", err)
	}
	for _, t := range backup {
		if t.table != l.Table || len(t.columns) != len(l.Row) {
			continue
		}
		values := make([]any, len(l.Row))
		for i, c := range t.columns {
			var err error
			switch {
			case strings.HasSuffix(c, "#"):
				values[i], err = strconv.ParseInt(string(l.Row[i]), 10, 64)
			case strings.HasSuffix(c, "*"):
				var s string
				if err = json.Unmarshal(l.Row[i], &s); err == nil {
					values[i], err = base64.StdEncoding.DecodeString(s)
				}
			default:
				var s string
				err = json.Unmarshal(l.Row[i], &s)
				values[i] = s
			}
			if err != nil {
				return t, nil, fmt.Errorf("read %s.%s: %w", t.table, c, err)
			}
		}
		return t, values, nil
	}
	return backed{}, nil, fmt.Errorf("no such row: %.40q with %d values", l.Table, len(l.Row))
}

// readBack counts the rows of a backup that was just written.
func readBack(f *os.File, key envelope.Key) (rows int, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	_, err = readBackup(f, func(string) (envelope.Key, error) { return key, nil }, func(backed, []any) error { rows++; return nil })
	return rows, err
}

// fillBackup makes the tables with what a backup holds, all or nothing, and wants the
// ring's root key to open every KEK.
func (s *store) fillBackup(ctx context.Context, r *Ring, file string, find func(string) (envelope.Key, error)) (made time.Time, err error) {
	f, err := os.Open(file) //nolint:gosec // the operator names it
	if err != nil {
		return made, fault.New(fault.NotFound, "no_backup", fault.Public{Problem: "The backup " + file + " cannot be read.", Expected: "A .keys file, with its .epoch file beside it."})
	}
	defer f.Close()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return made, away("begin", err)
	}
	defer tx.Rollback()
	q := querier{tx, s.q}
	for _, t := range tables {
		if _, err := q.exec(ctx, t); err != nil {
			if taken(err) {
				return made, exists("the set of tables keyring_* at keys.url")
			}
			return made, err
		}
	}
	made, err = readBackup(f, find, func(t backed, values []any) error {
		_, err := q.exec(ctx, t.insert(), values...)
		return err
	})
	if err != nil {
		return made, err
	}
	if err := r.opens(ctx, q, r.rootKey()); err != nil {
		return made, err
	}
	if err := tx.Commit(); err != nil {
		return made, away("commit", err)
	}
	return made, nil
}

// Restore makes the database of keys from a backup, all or nothing, and says when that was
// made. The key of its epoch lies beside it. It gives fault.Conflict where there are keys
// already and fault.Gone where the backup is over. What was destroyed since is destroyed
// again by whoever remembers it, before the server serves (Replay).
func Restore(ctx context.Context, o Options, file string) (made time.Time, err error) { // clause: data.crypto-erase
	if err := o.check(); err != nil {
		return made, err
	}
	root, err := o.ReadRoot()
	if err != nil {
		return made, err
	}
	defer root.Wipe()
	seal, err := rootKey(root)
	if err != nil {
		return made, err
	}
	find := func(id string) (envelope.Key, error) { return epochKey(filepath.Dir(file), id, seal, o.Now()) }
	to, place := filepath.Join(o.Dir, "keys.db"), o
	if o.URL == "" {
		if _, err := os.Lstat(to); err == nil {
			return made, exists(to)
		}
		place.Dir = filepath.Join(o.Dir, "keys.restoring") // what a process that died left there is nothing
		if err := errors.Join(os.RemoveAll(place.Dir), os.Mkdir(place.Dir, 0o700), makeFile(filepath.Join(place.Dir, "keys.db"))); err != nil {
			return made, fmt.Errorf("make a folder to restore the keys in: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(place.Dir)) }()
	}
	s, err := openStore(place)
	if err != nil {
		return made, err
	}
	r := &Ring{o: o, store: s, now: o.Now, root: seal}
	made, err = s.fillBackup(ctx, r, file, find)
	if err = errors.Join(err, s.close()); err != nil {
		return made, fmt.Errorf("restore the keys: %w", err)
	}
	if o.URL != "" {
		return made, nil
	}
	if err := os.Link(filepath.Join(place.Dir, "keys.db"), to); err != nil { // never over another file
		return made, fmt.Errorf("put the restored keys in their place: %w", err)
	}
	return made, syncFolder(o.Dir)
}
