package document

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adhocore/gronx"

	"writ/internal/canon"
)

// Type is the type of a parameter or of a column.
type Type string

// The types. The Go type of each value is the one clause.Values names.
const (
	Duration Type = "duration" // 5m 24h 30d 1w: time.Duration
	Int      Type = "int"      // int64
	Percent  Type = "percent"  // 99.5%: int64, basis points
	Size     Type = "size"     // 64KiB 10MB: int64, bytes
	Bool     Type = "bool"     // bool
	Enum     Type = "enum"     // string, one of Param.Of
	Set      Type = "set"      // []string, sorted, unique
	CIDRSet  Type = "cidr-set" // []netip.Prefix, the minimal cover, sorted
	Date     Type = "date"     // 2026-06-30: string
	Cron     Type = "cron"     // five fields, UTC: string
	Ref      Type = "ref"      // person/… role/… vendor/…: string
	Text     Type = "text"     // string; shown, never enforced
	Table    Type = "table"    // [][]string, sorted by the first column; see Cell
)

var types = []Type{Duration, Int, Percent, Size, Bool, Enum, Set, CIDRSet, Date, Cron, Ref, Text, Table}

var columnTypes = []Type{Duration, Int, Percent, Size, Bool, Date, Ref, Text}

// Stricter is the direction in which a parameter is stricter.
type Stricter string

// The directions. NoDirection makes any change incomparable.
const (
	NoDirection Stricter = ""
	Lower       Stricter = "lower" // duration, int, percent, size
	Higher      Stricter = "higher"
	IfTrue      Stricter = "true" // bool
	IfFalse     Stricter = "false"
	First       Stricter = "first" // enum, in the order of Param.Of
	Last        Stricter = "last"
	Subset      Stricter = "subset" // set, cidr-set
	Superset    Stricter = "superset"
)

func directions(t Type) []Stricter {
	switch t {
	case Duration, Int, Percent, Size:
		return []Stricter{Lower, Higher}
	case Bool:
		return []Stricter{IfTrue, IfFalse}
	case Enum:
		return []Stricter{First, Last}
	case Set, CIDRSet:
		return []Stricter{Subset, Superset}
	}
	return nil
}

// ranged says whether values of the type have an order that a range can bound.
func (t Type) ranged() bool { return slices.Contains([]Type{Duration, Int, Percent, Size, Date}, t) }

func (t Type) shape() shape {
	switch t {
	case Set, CIDRSet:
		return list
	case Table:
		return rows
	}
	return scalar
}

type shape uint8

const (
	scalar shape = iota
	list
	rows
)

// Literal is a value as it is written: one text, a list, or rows of cells. Lists
// are sorted and unique, rows are sorted by their first cell.
type Literal struct {
	Text string
	List []string
	Rows [][]string
}

// Word is the literal of one text.
func Word(s string) Literal { return Literal{Text: s} }

// Words is the literal of a list.
func Words(s ...string) Literal { return Literal{List: s} }

// IsZero reports whether nothing was written.
func (l Literal) IsZero() bool { return l.Text == "" && l.List == nil && l.Rows == nil }

// String is the literal as a form shows it: members and rows on lines of their own,
// cells separated by " | ". ParseLiteral reads it back.
func (l Literal) String() string {
	switch {
	case l.Rows != nil:
		lines := make([]string, len(l.Rows))
		for i, r := range l.Rows {
			lines[i] = strings.Join(r, " | ")
		}
		return strings.Join(lines, "\n")
	case l.List != nil:
		return strings.Join(l.List, "\n")
	}
	return l.Text
}

// ParseLiteral reads what a form or a command line gives for a value of type t:
// members on lines of their own (or with commas, when there is one line), cells
// separated by "|". It only splits; Apply judges the value.
func ParseLiteral(t Type, s string) Literal {
	s = strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n"))
	if t.shape() == scalar {
		return Literal{Text: s}
	}
	sep := "\n"
	if t.shape() == list && !strings.Contains(s, "\n") {
		sep = ","
	}
	var parts []string
	for part := range strings.SplitSeq(s, sep) {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	if t.shape() == list {
		return Literal{List: append([]string{}, parts...)}
	}
	lit := Literal{Rows: [][]string{}}
	for _, part := range parts {
		var cells []string
		for cell := range strings.SplitSeq(part, "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		lit.Rows = append(lit.Rows, cells)
	}
	return lit
}

// Equal reports whether two literals are spelled alike.
func (l Literal) Equal(m Literal) bool {
	return l.Text == m.Text && slices.Equal(l.List, m.List) && slices.EqualFunc(l.Rows, m.Rows, slices.Equal)
}

// wrong says what a literal should have been.
type wrong struct{ found, expected, near string }

func (w *wrong) Error() string { return "found " + w.found + ", expected " + w.expected }

func wrongText(s, expected string) error { return &wrong{found: quote(s), expected: expected} }

const (
	day  = 24 * time.Hour
	week = 7 * day
	// MaxDuration is the longest duration: a hundred years.
	MaxDuration = 36525 * day
)

var (
	durationForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,9})([smhdw])$`)
	intForm      = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,15})$`)
	percentForm  = regexp.MustCompile(`^(0|[1-9][0-9]{0,4})(?:\.([0-9]{1,2}))?%$`)
	sizeForm     = regexp.MustCompile(`^(0|[1-9][0-9]{0,15})(B|KiB|MiB|GiB|KB|MB|GB)$`)
)

var durationUnits = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": day, "w": week}

var sizeUnits = map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 1e3, "MB": 1e6, "GB": 1e9}

// ParseDuration reads an integer with one unit, s m h d or w; a day is 24 hours.
func ParseDuration(s string) (time.Duration, error) {
	m := durationForm.FindStringSubmatch(s)
	if m == nil {
		return 0, wrongText(s, "an integer with one unit: 30s 5m 24h 30d 1w")
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	unit := durationUnits[m[2]]
	if n > int64(MaxDuration/unit) {
		return 0, wrongText(s, "at most a hundred years")
	}
	return time.Duration(n) * unit, nil
}

func parseInt(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if !intForm.MatchString(s) || err != nil || n > canon.MaxInt || n < -canon.MaxInt {
		return 0, wrongText(s, "an integer within 2^53-1, without sign +, leading zero or separators")
	}
	return n, nil
}

func parsePercent(s string) (int64, error) {
	m := percentForm.FindStringSubmatch(s)
	if m == nil {
		return 0, wrongText(s, "a percentage with at most two decimals: 5% 99.5%")
	}
	whole, _ := strconv.ParseInt(m[1], 10, 64)
	part, _ := strconv.ParseInt((m[2] + "00")[:2], 10, 64)
	return whole*100 + part, nil
}

func parseSize(s string) (int64, error) {
	m := sizeForm.FindStringSubmatch(s)
	if m == nil {
		return 0, wrongText(s, "an integer with one unit: B KiB MiB GiB KB MB GB")
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	unit := sizeUnits[m[2]]
	if n > canon.MaxInt/unit {
		return 0, wrongText(s, "at most 2^53-1 bytes")
	}
	return n * unit, nil
}

// parseScalar reads a literal of one text.
func parseScalar(t Type, s string, of []string) (any, error) {
	switch t {
	case Duration:
		return typed(ParseDuration(s))
	case Int:
		return typed(parseInt(s))
	case Percent:
		return typed(parsePercent(s))
	case Size:
		return typed(parseSize(s))
	case Bool:
		if s != "true" && s != "false" {
			return nil, wrongText(s, "true or false")
		}
		return s == "true", nil
	case Enum:
		if !slices.Contains(of, s) {
			return nil, &wrong{quote(s), "one of " + join(of, "or"), nearest(s, of)}
		}
		return s, nil
	case Date:
		if d, err := time.Parse(time.DateOnly, s); err != nil || d.Format(time.DateOnly) != s || d.Year() < 1900 {
			return nil, wrongText(s, "a date as 2026-06-30")
		}
		return s, nil
	case Cron:
		if len(strings.Split(s, " ")) != 5 || len(s) > 100 || !gronx.IsValid(s) {
			return nil, wrongText(s, "five fields of a cron schedule in UTC: 30 2 * * 1")
		}
		return s, nil
	case Ref:
		if !reference.MatchString(s) || len(s) > maxID {
			return nil, wrongText(s, "person/…, role/… or vendor/…")
		}
		return s, nil
	case Text:
		if s == "" || len(s) > maxText {
			return nil, wrongText(s, "text, "+atMost(maxText, "bytes"))
		}
		return s, nil
	}
	return nil, wrongText(string(t), "a type of one value")
}

func typed[V any](v V, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// parse reads a literal of the parameter's type: its normal spelling and its
// meaning. The error is a *wrong.
func (a *Param) parse(l Literal) (Literal, any, error) {
	switch a.Type.shape() {
	case list:
		return a.parseList(l)
	case rows:
		return a.parseRows(l)
	}
	if l.List != nil || l.Rows != nil {
		return l, nil, &wrong{found: "a list", expected: "one value"}
	}
	v, err := parseScalar(a.Type, l.Text, a.Of)
	if err == nil && a.Range != nil && a.Type.ranged() {
		err = a.within(v, l.Text)
	}
	return l, v, err
}

func (a *Param) within(v any, written string) error {
	least, err := parseScalar(a.Type, a.Range[0], nil)
	if err != nil {
		return err
	}
	most, err := parseScalar(a.Type, a.Range[1], nil)
	if err != nil {
		return err
	}
	if compareOrdered(v, least) < 0 || compareOrdered(v, most) > 0 {
		return wrongText(written, fmt.Sprintf("a value from %s to %s", a.Range[0], a.Range[1]))
	}
	return nil
}

// compareOrdered compares two values of one ranged type.
func compareOrdered(a, b any) int {
	switch a := a.(type) {
	case time.Duration:
		return cmp.Compare(a, b.(time.Duration))
	case int64:
		return cmp.Compare(a, b.(int64))
	case string: // dates
		return cmp.Compare(a, b.(string))
	}
	return 0
}

func (a *Param) parseList(l Literal) (Literal, any, error) {
	if l.List == nil {
		return l, nil, &wrong{found: quote(l.Text), expected: "a list"}
	}
	if len(l.List) > maxMembers {
		return l, nil, &wrong{found: fmt.Sprintf("%d members", len(l.List)), expected: atMost(maxMembers, "members")}
	}
	members := slices.Clone(l.List)
	if members == nil {
		members = []string{}
	}
	slices.Sort(members)
	for i, m := range members {
		if m == "" || len(m) > maxLine {
			return l, nil, wrongText(m, "text, "+atMost(maxLine, "bytes"))
		}
		if i > 0 && members[i-1] == m {
			return l, nil, wrongText(m, "each member once")
		}
		if a.Of != nil && !slices.Contains(a.Of, m) {
			return l, nil, &wrong{quote(m), "members of " + join(a.Of, "and"), nearest(m, a.Of)}
		}
	}
	lit := Literal{List: members}
	if a.Type == Set {
		return lit, members, nil
	}
	prefixes := make([]netip.Prefix, 0, len(members))
	for _, m := range members {
		p, err := parsePrefix(m)
		if err != nil {
			return l, nil, err
		}
		prefixes = append(prefixes, p)
	}
	least := cover(prefixes)
	if slices.ContainsFunc(least, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		return l, nil, &wrong{found: join(members, "and"), expected: "less than the whole address space"}
	}
	return lit, least, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, wrongText(s, "a prefix such as 10.0.0.0/8 or 2001:db8::/32")
	case p.Addr().Is4In6():
		return p, wrongText(s, "an IPv4 prefix in IPv4 form")
	case p.Bits() == 0:
		return p, wrongText(s, "less than the whole address space")
	case p.Masked() != p || p.String() != s:
		return p, wrongText(s, p.Masked().String())
	}
	return p, nil
}

func (a *Param) parseRows(l Literal) (Literal, any, error) {
	if l.Rows == nil {
		return l, nil, &wrong{found: "no rows", expected: "a list of rows"}
	}
	if len(l.Rows) > maxMembers {
		return l, nil, &wrong{found: fmt.Sprintf("%d rows", len(l.Rows)), expected: atMost(maxMembers, "rows")}
	}
	table := slices.Clone(l.Rows)
	for i, r := range table {
		if len(r) != len(a.Columns) {
			return l, nil, &wrong{found: fmt.Sprintf("%d cells in row %d", len(r), i+1), expected: fmt.Sprintf("%d, one for each column", len(a.Columns))}
		}
	}
	slices.SortFunc(table, func(x, y []string) int { return cmp.Compare(x[0], y[0]) })
	values := make([][]string, len(table))
	for i, r := range table {
		if i > 0 && table[i-1][0] == r[0] {
			return l, nil, wrongText(r[0], "each "+a.Columns[0].Name+" in one row")
		}
		values[i] = make([]string, len(r))
		for j, cell := range r {
			v, err := parseScalar(a.Columns[j].Type, cell, nil)
			if err != nil {
				return l, nil, err
			}
			values[i][j] = Cell(v)
		}
	}
	return Literal{Rows: table}, values, nil
}

// Cell is how a typed value stands in a table's [][]string: durations as whole
// seconds with the unit ("259200s", which time.ParseDuration reads), percent as
// basis points, size as bytes, the rest as written.
func Cell(v any) string {
	switch v := v.(type) {
	case time.Duration:
		return strconv.FormatInt(int64(v/time.Second), 10) + "s"
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	}
	return fmt.Sprint(v)
}

// cover is the least set of prefixes with the same addresses, sorted.
func cover(ps []netip.Prefix) []netip.Prefix {
	ps = slices.Clone(ps)
	slices.SortFunc(ps, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	out := make([]netip.Prefix, 0, len(ps))
	for _, p := range ps {
		if n := len(out); n > 0 && out[n-1].Overlaps(p) {
			continue // sorted: the earlier one is the wider one
		}
		out = append(out, p)
		for len(out) > 1 {
			a, b := out[len(out)-2], out[len(out)-1]
			wide := netip.PrefixFrom(a.Addr(), a.Bits()-1).Masked()
			if a.Bits() != b.Bits() || wide.Addr() != a.Addr() || !wide.Contains(b.Addr()) {
				break
			}
			out = append(out[:len(out)-2], wide)
		}
	}
	return out
}

// covers reports whether all addresses of b are in a; both are minimal covers.
func covers(a, b []netip.Prefix) bool {
	return !slices.ContainsFunc(b, func(p netip.Prefix) bool {
		return !slices.ContainsFunc(a, func(w netip.Prefix) bool { return w.Bits() <= p.Bits() && w.Contains(p.Addr()) })
	})
}

// join writes words as a list: "a, b and c".
func join(words []string, and string) string {
	switch n := len(words); n {
	case 0:
		return "none"
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " " + and + " " + words[n-1]
	}
}
