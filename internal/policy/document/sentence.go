package document

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/clause"
)

// Span is a piece of a rendered sentence: plain text, or the value of a parameter.
type Span struct {
	Text  string
	Param string // name of the parameter; empty for plain text
}

// Sentence renders the clause for a reader. A value is taken from vals (the
// effective ones, under "clause/param"), else from the clause itself; vals may be
// nil. Silent parameters do not appear.
func (c *Clause) Sentence(vals clause.Values) []Span {
	spans := split(c.Says)
	for i, s := range spans {
		if s.Param == "" {
			continue
		}
		a, ok := c.Param(s.Param)
		if !ok {
			continue
		}
		v, ok := vals[c.Key(s.Param)]
		if !ok {
			v = a.Value
		}
		spans[i].Text = a.Words(v)
	}
	return spans
}

// Plain is the rendered sentence as one text.
func (c *Clause) Plain(vals clause.Values) string {
	var b strings.Builder
	for _, s := range c.Sentence(vals) {
		b.WriteString(s.Text)
	}
	return b.String()
}

// split cuts a sentence at its placeholders; their Text is as written.
func split(says string) []Span {
	var spans []Span
	from := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(says, -1) {
		if m[0] > from {
			spans = append(spans, Span{Text: says[from:m[0]]})
		}
		spans = append(spans, Span{Text: says[m[0]:m[1]], Param: says[m[2]:m[3]]})
		from = m[1]
	}
	if from < len(says) {
		spans = append(spans, Span{Text: says[from:]})
	}
	return spans
}

// Words says a value of the parameter in plain words: "24 hours", "a, b and c",
// "99.5 %". A value equal to the literal keeps the literal's unit.
func (a *Param) Words(v any) string {
	switch v := v.(type) {
	case time.Duration:
		if w, err := ParseDuration(a.Literal.Text); err == nil && w == v {
			return durationWords(a.Literal.Text)
		}
		return durationWords(durationLiteral(v, a.Literal.Text))
	case bool:
		return boolWords(v)
	case int64:
		return a.intWords(v)
	case []string:
		return join(v, "and")
	case []netip.Prefix:
		return a.prefixWords(v)
	case [][]string:
		return a.rowWords(v)
	case string:
		if _, name, ok := strings.Cut(v, "/"); ok && a.Type == Ref {
			return name
		}
		return v
	}
	return fmt.Sprint(v)
}

func boolWords(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}

func (a *Param) intWords(v int64) string {
	switch a.Type {
	case Percent:
		return percentWords(v)
	case Size:
		if n, err := parseSize(a.Literal.Text); err == nil && n == v {
			return sizeWords(a.Literal.Text)
		}
		return sizeWords(sizeLiteral(v))
	}
	return strconv.FormatInt(v, 10)
}

func (a *Param) prefixWords(v []netip.Prefix) string {
	if own, ok := a.Value.([]netip.Prefix); ok && slices.Equal(own, v) {
		return join(a.Literal.List, "and")
	}
	words := make([]string, len(v))
	for i, p := range v {
		words[i] = p.String()
	}
	return join(words, "and")
}

// rowWords reads "critical 7 days, high 30 days and medium 90 days".
func (a *Param) rowWords(table [][]string) string {
	words := make([]string, len(table))
	for i, r := range table {
		cells := make([]string, len(r))
		for j, cell := range r {
			cells[j] = cell
			if j < len(a.Columns) {
				cells[j] = cellWords(a.Columns[j].Type, cell)
			}
		}
		words[i] = strings.Join(cells, " ")
	}
	return join(words, "and")
}

func cellWords(t Type, cell string) string {
	switch n, err := strconv.ParseInt(cell, 10, 64); {
	case t == Duration:
		if d, err := ParseDuration(cell); err == nil {
			return durationWords(durationLiteral(d, ""))
		}
	case t == Bool:
		return boolWords(cell == "true")
	case t == Percent && err == nil:
		return percentWords(n)
	case t == Size && err == nil:
		return sizeWords(sizeLiteral(n))
	}
	return cell
}

func durationWords(lit string) string {
	n, unit := lit[:len(lit)-1], lit[len(lit)-1:]
	word := map[string]string{"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}[unit]
	if n != "1" {
		word += "s"
	}
	return n + " " + word
}

// durationLiteral writes d in the unit of the literal like where that is exact, else
// in the widest unit that is.
func durationLiteral(d time.Duration, like string) string {
	if like != "" {
		unit := like[len(like)-1:]
		if u, ok := durationUnits[unit]; ok && d%u == 0 {
			return strconv.FormatInt(int64(d/u), 10) + unit
		}
	}
	for _, unit := range []string{"d", "h", "m"} {
		if u := durationUnits[unit]; d%u == 0 && d != 0 {
			return strconv.FormatInt(int64(d/u), 10) + unit
		}
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

func percentWords(points int64) string {
	s := strconv.FormatInt(points/100, 10)
	if part := points % 100; part != 0 {
		s += strings.TrimRight(fmt.Sprintf(".%02d", part), "0")
	}
	return s + " %"
}

func sizeWords(lit string) string {
	digits := strings.TrimRight(lit, "BKMGi")
	return digits + " " + lit[len(digits):]
}

func sizeLiteral(n int64) string {
	for _, unit := range []string{"GiB", "GB", "MiB", "MB", "KiB", "KB"} {
		if u := sizeUnits[unit]; n >= u && n%u == 0 {
			return strconv.FormatInt(n/u, 10) + unit
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// looseNumber finds a number that stands in the sentence outside placeholders and
// the names of standards.
func looseNumber(says string) (string, bool) {
	for _, s := range split(says) {
		if s.Param != "" {
			continue
		}
		for i := 0; i < len(s.Text); {
			r, size := utf8.DecodeRuneInString(s.Text[i:])
			if n := standardAt(s.Text, i); n > 0 {
				i += n
				continue
			}
			if unicode.IsNumber(r) {
				return word(s.Text, i), true
			}
			i += size
		}
	}
	return "", false
}

// standardAt is the length of the name of a standard that begins at i as a word of its own.
func standardAt(s string, i int) int {
	if before, _ := utf8.DecodeLastRuneInString(s[:i]); i > 0 && wordRune(before) {
		return 0
	}
	for _, name := range standards {
		if !strings.HasPrefix(s[i:], name) {
			continue
		}
		rest := s[i+len(name):]
		after, size := utf8.DecodeRuneInString(rest)
		if rest != "" && wordRune(after) {
			continue
		}
		if next, _ := utf8.DecodeRuneInString(rest[size:]); (after == '.' || after == '-') && unicode.IsNumber(next) {
			continue // "TLS 1.2.9", "SHA-1-2"
		}
		return len(name)
	}
	return 0
}

var standards = Standards()

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// word is the word of s around byte i.
func word(s string, i int) string {
	from := strings.LastIndexByte(s[:i], ' ') + 1
	to := strings.IndexByte(s[i:], ' ')
	if to < 0 {
		return s[from:]
	}
	return s[from : i+to]
}
