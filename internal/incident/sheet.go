package incident

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/fault"
)

// The limits of a sheet of incidents.
const (
	maxSheet  = 1 << 20
	mostRows  = 200
	maxKey    = 100
	mostWrong = 50 // said of one sheet
)

// sheetRow is an incident of another tool.
type sheetRow struct {
	Line  int
	Key   string // its id there
	Title string // one line of at most 160 characters
	Kind  string // of Writ; "" = it does not say
	Onset time.Time
	Open  bool
	Note  string // all columns as they are
}

// columns are what heads a column, by what it means here.
var columns = map[string][]string{
	"id":     {"id", "incident_id", "number", "key", "name"},
	"title":  {"title", "summary", "subject"},
	"status": {"status", "state"},
	"onset":  {"onset", "started_at", "reported_at", "created_at", "opened_at", "created", "started", "reported"},
	"kind":   {"kind", "category", "type", "incident_type"},
}

// over and under way, in the words of the tools that people come from.
var (
	overWords = []string{"closed", "resolved", "stable", "done", "cancelled", "canceled", "postmortem", "completed", "silenced"}
	openWords = []string{"", "open", "active", "new", "firing", "acknowledged", "investigating", "identified", "monitoring", "triage", "in_progress", "in progress", "mitigated", "detected", "reported"}
)

// readSheet reads the incidents of a CSV file with a header, separated by commas or semicolons. All
// that is wrong is said, each with its line; then there are no rows.
func readSheet(file []byte, kinds []string, now time.Time) ([]sheetRow, error) {
	if len(file) > maxSheet {
		return nil, fault.New(fault.TooLarge, "sheet_large", fault.Public{Problem: "The file is too large.", Expected: "At most 1 MiB."})
	}
	file = bytes.TrimPrefix(file, []byte("\xef\xbb\xbf"))
	var wrong []fault.Field
	bad := func(line int, format string, a ...any) {
		wrong = append(wrong, fault.Field{Name: fmt.Sprintf("line %d", line), Code: "sheet_line", Problem: fmt.Sprintf("Line %d: ", line) + fmt.Sprintf(format, a...)})
	}
	if !utf8.Valid(file) {
		bad(1+bytes.Count(file[:badByte(file)], []byte("\n")), "This is no UTF-8 text.")
		return nil, badSheet(wrong)
	}
	r := csv.NewReader(bytes.NewReader(file))
	if first, _, _ := bytes.Cut(file, []byte("\n")); bytes.Count(first, []byte(";")) > bytes.Count(first, []byte(",")) {
		r.Comma = ';'
	}
	head, err := r.Read()
	if err != nil {
		bad(1, "There is no header.")
		return nil, badSheet(wrong)
	}
	at := place(head)
	for _, need := range []string{"id", "title"} {
		if _, ok := at[need]; !ok {
			bad(1, "No column is the %s: name one %s.", need, strings.Join(columns[need], ", "))
		}
	}
	if len(wrong) > 0 {
		return nil, badSheet(wrong)
	}
	var out []sheetRow
	seen := map[string]int{}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if p, ok := errors.AsType[*csv.ParseError](err); ok {
			bad(p.StartLine, "%s.", csvWords(p, len(head)))
			break // what comes after may be part of it
		}
		line, _ := r.FieldPos(0)
		if len(out) == mostRows {
			bad(line, "There are more than %d incidents.", mostRows)
			break
		}
		x, problem := rowOf(head, cells, at, kinds, now)
		x.Line = line
		if former, twice := seen[x.Key]; twice && problem == "" {
			problem = fmt.Sprintf("The id %q stands in line %d too.", x.Key, former)
		}
		if problem != "" {
			bad(line, "%s", problem)
		}
		seen[x.Key], out = line, append(out, x)
	}
	if len(wrong) == 0 && len(out) == 0 {
		bad(1, "There is a header, and no incident.")
	}
	if len(wrong) > 0 {
		return nil, badSheet(wrong)
	}
	return out, nil
}

// place is where each column is that is known.
func place(head []string) map[string]int {
	out := map[string]int{}
	for means, names := range columns {
		for _, n := range names { // the first name wins
			if i := slices.IndexFunc(head, func(h string) bool {
				return strings.EqualFold(strings.ReplaceAll(strings.TrimSpace(h), " ", "_"), n)
			}); i >= 0 {
				out[means] = i
				break
			}
		}
	}
	return out
}

// rowOf reads one line, and says what is wrong with it.
func rowOf(head, cells []string, at map[string]int, kinds []string, now time.Time) (x sheetRow, problem string) {
	cell := func(name string) string {
		if i, ok := at[name]; ok {
			return strings.TrimSpace(cells[i])
		}
		return ""
	}
	x = sheetRow{Key: cell("id"), Title: cutTo(strings.Join(strings.FieldsFunc(cell("title"), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " "), 160), Onset: now}
	if x.Key == "" || len(x.Key) > maxKey || strings.ContainsFunc(x.Key, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return x, fmt.Sprintf("The id is empty, longer than %d bytes, or not one line.", maxKey)
	}
	if utf8.RuneCountInString(x.Title) < 3 {
		return x, "The title has fewer than 3 characters."
	}
	status := strings.ToLower(cell("status"))
	x.Open = slices.Contains(openWords, status)
	if !x.Open && !slices.Contains(overWords, status) {
		return x, fmt.Sprintf("The status %q is not known: %s are open, %s are over.", cutTo(status, 40), strings.Join(openWords[1:], ", "), strings.Join(overWords, ", "))
	}
	if v := cell("onset"); v != "" {
		t, ok := sheetTime(v)
		if !ok || t.After(now.Add(time.Minute)) {
			return x, fmt.Sprintf("The time %q is none, or in the future: 2026-05-03T14:10:00Z or 2026-05-03 14:10 (UTC).", cutTo(v, 40))
		}
		x.Onset = t
	}
	if k := strings.ToLower(strings.NewReplacer(" ", "-", "_", "-").Replace(cell("kind"))); slices.Contains(kinds, k) {
		x.Kind = k
	}
	var note strings.Builder
	for i, h := range head {
		if v := strings.TrimSpace(cells[i]); v != "" {
			fmt.Fprintf(&note, "%s: %s\n", strings.TrimSpace(h), v)
		}
	}
	if x.Note = strings.TrimSpace(note.String()); len(x.Note) > maxNote {
		return x, "The line is longer than the 64 KiB of a note."
	}
	return x, ""
}

// sheetTime reads a time as the tools write it; without a zone it is UTC.
func sheetTime(v string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05.999999", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, v); err == nil && t.Year() >= 2000 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func csvWords(p *csv.ParseError, want int) string {
	switch {
	case errors.Is(p.Err, csv.ErrFieldCount):
		return fmt.Sprintf("It has not the %d columns of the header", want)
	case errors.Is(p.Err, csv.ErrQuote), errors.Is(p.Err, csv.ErrBareQuote):
		return "A quotation mark is open, or stands in the middle"
	}
	return "It cannot be read"
}

func badByte(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

func badSheet(wrong []fault.Field) error {
	p := fault.Public{Problem: "The file cannot be imported: " + wrong[0].Problem, Expected: "Every line whole. Nothing was imported.", Next: "Mend the file, and import it again.", Fields: wrong[:min(len(wrong), mostWrong)]}
	if len(wrong) > mostWrong {
		p.Next = fmt.Sprintf("%d more lines are wrong. ", len(wrong)-mostWrong) + p.Next
	}
	return fault.New(fault.Invalid, "sheet_bad", p)
}
