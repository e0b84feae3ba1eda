package cli

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"writ/internal/secret"
)

// The bounds of what is read of a file from another system.
const (
	rowsACall  = 50
	maxRowLine = 64 << 10
)

// importRow is a row on the wire. Its strings live for one call.
type importRow struct {
	Line  int    `json:"line"`
	Email string `json:"email"`
	Name  string `json:"name,omitempty"`
	Hash  string `json:"hash,omitempty"`
	Salt  string `json:"salt,omitempty"`
}

// importFlags are the answers that an import needs.
type importFlags struct {
	template, salt, digest, pair, team string
	dry                                bool
}

func (a *app) userImport() *cobra.Command {
	var in importFlags
	c := &cobra.Command{
		Use: "import FILE", Short: "Bring people over with the password hashes of another system",
		Long: `Reads people from a file (CSV with a head line, or JSON lines) with the columns email, name,
hash and salt, and makes an account for each. Hashes of bcrypt, argon2, scrypt, PBKDF2 and crypt
($5$, $6$) are taken as they are; salted SHA-256 is wrapped before it is stored, and needs a test
pair: a file in JSON, {"password","hash","salt"}, of a password that you know. From it the template
is found, or the one you give is proved, before the first row. Unsalted, MD5 and SHA-1 hashes are
not taken: their owners set a new password. With --dry-run nothing is written, and each bad row is
named by its line. Run it again after an interruption: who is here already is left as they are.`,
		Example: "  writ user import people.csv --test-pair pair.json --dry-run\n  writ user import people.jsonl --template '{SALT}:{PASSWORD}' --salt hex --digest hex --test-pair pair.json",
		Args:    cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return unreadable(args[0], err)
			}
			defer f.Close()
			rows, err := rowReader(f, args[0])
			if err != nil {
				return err
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			return a.bringOver(c.Context(), conn, in, rows)
		}),
	}
	f := c.Flags()
	f.StringVar(&in.template, "template", "", "what was hashed: {SALT}{PASSWORD} or {PASSWORD}{SALT}, with separators (default: found from the test pair)")
	f.StringVar(&in.salt, "salt", "utf8", "with --template, how salts are written: utf8, hex or base64")
	f.StringVar(&in.digest, "digest", "hex", "with --template, how digests are written: hex or base64")
	f.StringVar(&in.pair, "test-pair", "", "file in JSON with a known password, its hash and its salt")
	f.StringVar(&in.team, "team", "", "id of a customers' team for all of them (default: a team of their own each)")
	f.BoolVar(&in.dry, "dry-run", false, "say what would come of each row, and write nothing")
	return c
}

// begun is the answer to the beginning and the end of a run.
type begun struct {
	ID, Spec                    string
	Made, Reset, Known, Refused int
}

func (a *app) bringOver(ctx context.Context, conn *client, in importFlags, rows func() (importRow, error)) error {
	wish := map[string]any{}
	if in.template != "" {
		wish["template"], wish["salt"], wish["digest"] = in.template, in.salt, in.digest
	}
	if in.team != "" {
		wish["team"] = in.team
	}
	if in.pair != "" {
		pair, err := readPair(in.pair)
		if err != nil {
			return err
		}
		wish["pair"] = pair
	}
	var im begun
	if err := conn.post(ctx, "imports", wish, &im); err != nil {
		return err
	}
	if im.Spec != "" {
		a.say("Salted SHA-256 is made as %s: proved by the test pair.", visible(im.Spec))
	}
	t := tallied{by: map[string]int{}}
	for {
		batch, err := nextRows(rows)
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			break
		}
		if err := a.sendRows(ctx, conn, im.ID, in.dry, batch, &t); err != nil {
			return fmt.Errorf("after %s: %w", count(t.n, "row", "rows"), err)
		}
		if !a.json() {
			fmt.Fprintf(a.err, "\r%s", count(t.n, "row", "rows"))
		}
	}
	if !a.json() {
		fmt.Fprintln(a.err)
	}
	if err := conn.post(ctx, "imports/"+im.ID+"/end", struct{}{}, nil); err != nil {
		return err
	}
	return a.printTally(t, in.dry)
}

// tallied is what came of the rows.
type tallied struct {
	n   int
	by  map[string]int // "outcome format"
	bad []badRow
}

type badRow struct {
	Line    int    `json:"line"`
	Code    string `json:"code"`
	Problem string `json:"problem"`
}

func (a *app) sendRows(ctx context.Context, conn *client, id string, dry bool, batch []importRow, t *tallied) error {
	var out struct {
		Rows []struct {
			badRow
			Outcome, Format string
		}
	}
	if err := conn.post(ctx, "imports/"+id+"/rows", map[string]any{"rows": batch, "dry_run": dry}, &out); err != nil {
		return err
	}
	for _, r := range out.Rows {
		t.n++
		t.by[strings.TrimSpace(r.Outcome+" "+r.Format)]++
		if r.Outcome == "refused" {
			t.bad = append(t.bad, r.badRow)
		}
	}
	return nil
}

func (a *app) printTally(t tallied, dry bool) error {
	if a.json() {
		return a.encode(map[string]any{"rows": t.n, "dry_run": dry, "outcomes": t.by, "refused": append([]badRow{}, t.bad...)})
	}
	for _, b := range t.bad {
		a.say("line %d: %s", b.Line, visible(b.Problem))
	}
	tb := newTable(a.out, "OUTCOME", "FORMAT", "ROWS")
	keys := make([]string, 0, len(t.by))
	for k := range t.by {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		outcome, format, _ := strings.Cut(k, " ")
		tb.row(outcome, format, fmt.Sprint(t.by[k]))
	}
	if err := tb.flush(); err != nil {
		return err
	}
	if dry {
		a.say("Nothing was written.")
	}
	if len(t.bad) > 0 {
		return &exit{code: exitNo}
	}
	return nil
}

// readPair reads the test pair. It is a file, because a command line can be read by others.
func readPair(name string) (map[string]string, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	var p struct {
		Password secret.Text `json:"password"`
		Hash     secret.Text `json:"hash"`
		Salt     secret.Text `json:"salt"`
	}
	if json.Unmarshal(b, &p) != nil || p.Password.IsZero() || p.Hash.IsZero() {
		return nil, &exit{exitUsage, fmt.Errorf(`%s is no test pair: expected {"password":"…","hash":"…","salt":"…"}`, name)}
	}
	return map[string]string{"password": p.Password.Reveal(), "hash": p.Hash.Reveal(), "salt": p.Salt.Reveal()}, nil
}

func nextRows(rows func() (importRow, error)) (batch []importRow, err error) {
	for len(batch) < rowsACall {
		r, err := rows()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		batch = append(batch, r)
	}
	return batch, nil
}

// rowReader reads one row after the other; io.EOF is the end. No more than a row is in
// memory, and nothing is written anywhere.
func rowReader(r io.Reader, name string) (func() (importRow, error), error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv":
		return csvRows(r, name)
	case ".jsonl", ".ndjson", ".json":
		return jsonRows(r, name), nil
	}
	return nil, &usageError{fmt.Errorf("%s is neither .csv nor .jsonl", name)}
}

func csvRows(r io.Reader, name string) (func() (importRow, error), error) {
	c := csv.NewReader(r)
	c.ReuseRecord = true
	head, err := c.Read()
	if err != nil {
		return nil, &exit{exitUsage, fmt.Errorf("%s: the head line cannot be read", name)}
	}
	at := map[string]int{}
	for i, h := range head {
		h = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")))
		if _, twice := at[h]; twice || !slices.Contains([]string{"email", "name", "hash", "salt"}, h) {
			return nil, &exit{exitUsage, fmt.Errorf("%s: the head line names %q; expected email, name, hash, salt, each once", name, h)}
		}
		at[h] = i
	}
	if _, ok := at["email"]; !ok {
		return nil, &exit{exitUsage, fmt.Errorf("%s: the head line names no email", name)}
	}
	return func() (importRow, error) {
		rec, err := c.Read()
		if errors.Is(err, io.EOF) {
			return importRow{}, io.EOF
		}
		if p, ok := errors.AsType[*csv.ParseError](err); ok { // its own text would quote nothing, but say more than is needed
			return importRow{}, &exit{exitUsage, fmt.Errorf("%s:%d: the line is no CSV with %d columns. The rows before it are done", name, p.Line, len(head))}
		}
		if err != nil {
			return importRow{}, unreadable(name, err)
		}
		line, _ := c.FieldPos(0)
		field := func(k string) string {
			if i, ok := at[k]; ok {
				return strings.Clone(rec[i])
			}
			return ""
		}
		return importRow{Line: line, Email: field("email"), Name: field("name"), Hash: field("hash"), Salt: field("salt")}, nil
	}, nil
}

func jsonRows(r io.Reader, name string) func() (importRow, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), maxRowLine)
	n := 0
	return func() (importRow, error) {
		for lines.Scan() {
			n++
			if strings.TrimSpace(lines.Text()) == "" {
				continue
			}
			var row importRow
			d := json.NewDecoder(strings.NewReader(lines.Text()))
			d.DisallowUnknownFields()
			if err := d.Decode(&row); err != nil || d.More() {
				return importRow{}, &exit{exitUsage, fmt.Errorf("%s:%d: expected one object with email, name, hash and salt. The rows before it are done", name, n)}
			}
			row.Line = n
			return row, nil
		}
		if err := lines.Err(); err != nil {
			return importRow{}, &exit{exitUsage, fmt.Errorf("%s:%d: the line cannot be read, or is longer than %d KiB", name, n+1, maxRowLine>>10)}
		}
		return importRow{}, io.EOF
	}
}
