package sigma

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

const (
	mostList  = 10_000
	mostRegex = 1 << 10
)

// item is one field with what it is compared with; without a field, any value of the event.
type item struct {
	field string
	tests []test     // alternatives
	need  [][]string // texts of each, one of which a match of it holds; nil = not known
	all   bool       // each of them must be met, not just one
	neg   bool
	exact map[string]bool // instead of tests: whole values in small letters
	sees  string          // "" or what exists asks for: yes, no
	lacks bool            // null is among the values
	refs  []string        // other fields that it is compared with
}

// test is one comparison with a value of an event.
type test func(v *val, w *view) bool

// modifiers of Sigma 2.1, and what kind each is.
var modifiers = map[string]string{
	"all": "list", "neq": "list",
	"contains": "place", "startswith": "place", "endswith": "place",
	"cased": "case", "windash": "change", "wide": "bytes", "utf16": "bytes", "utf16le": "bytes", "utf16be": "bytes", "base64": "code", "base64offset": "code", "expand": "change",
	"re": "re", "i": "flag", "m": "flag", "s": "flag", "cidr": "cidr", "exists": "exists", "fieldref": "ref",
	"gt": "number", "gte": "number", "lt": "number", "lte": "number",
	"minute": "time", "hour": "time", "day": "time", "week": "time", "month": "time", "year": "time",
}

// making is an item on its way through its modifiers.
type making struct {
	*item
	mods  []string
	by    map[string]string // kind → modifier
	known map[string][]string
	whole map[string]bool // values without wildcards
	other bool            // there are also others
}

func (m *making) has(mod string) bool { return slices.Contains(m.mods, mod) }

// newItem reads "field|modifier|modifier: values".
func newItem(key string, k *pair, val *node, known map[string][]string) (*item, *Error) {
	parts := strings.Split(key, "|")
	m := &making{item: &item{field: parts[0]}, mods: parts[1:], by: map[string]string{}, known: known, whole: map[string]bool{}}
	fail := func(format string, args ...any) *Error {
		return &Error{Line: k.line, Col: k.col, Problem: fmt.Sprintf(format, args...)}
	}
	for i, mod := range m.mods {
		is := modifiers[mod]
		if is == "" {
			return nil, fail("modifier %q is not part of Sigma 2.1", firstLine(mod))
		}
		if is == "flag" && !m.has("re") {
			return nil, fail("modifier %q belongs behind re", mod)
		}
		if slices.Contains(m.mods[:i], mod) || is != "flag" && is != "list" && is != "change" && m.by[is] != "" {
			return nil, fail("modifier %q cannot stand beside %q", mod, m.by[is])
		}
		m.by[is] = mod
	}
	for _, alone := range []string{"re", "cidr", "exists", "number", "time"} {
		for other, mod := range m.by {
			if m.by[alone] != "" && other != alone && other != "list" && other != "flag" && (alone != "time" && alone != "number" || other != "time" && other != "number") {
				return nil, fail("modifier %q cannot stand beside %q", mod, m.by[alone])
			}
		}
	}
	if m.field == "" && (m.has("exists") || m.has("fieldref")) {
		return nil, fail("modifier %q needs a field", m.mods[0])
	}
	m.all, m.neg = m.has("all"), m.has("neq")
	vals := val.list()
	if len(vals) == 0 {
		return nil, fail("%q has no values", firstLine(key))
	}
	if len(vals) > mostList {
		return nil, fail("%q has more than %d values", firstLine(key), mostList)
	}
	for _, v := range vals {
		if v.kind == mapping || v.kind == list {
			return nil, &Error{Line: v.line, Col: v.col, Problem: "a value is a word, a number, true, false or null"}
		}
		if err := m.add(v); err != nil {
			return nil, err
		}
	}
	if !m.other && !m.all && len(m.whole) > 0 { // all are looked up at once
		m.exact = m.whole
	}
	return m.item, nil
}

// add makes one value a test.
func (m *making) add(v *node) *Error {
	fail := func(format string, args ...any) *Error {
		return &Error{Line: v.line, Col: v.col, Problem: fmt.Sprintf(format, args...)}
	}
	switch {
	case m.has("exists"):
		switch strings.ToLower(v.text) {
		case "true", "yes":
			m.sees = "yes"
		case "false", "no":
			m.sees = "no"
		default:
			return fail(`modifier "exists" takes true or false`)
		}
		return nil
	case v.kind == null:
		if len(m.by) > 0 && !m.neg && !m.all {
			return fail("null takes no modifier")
		}
		m.lacks = true
		return nil
	case m.has("re"):
		return m.expression(v)
	case m.has("cidr"):
		p, err := netip.ParsePrefix(v.text)
		if err != nil {
			return fail(`modifier "cidr" takes a network such as 10.0.0.0/8`)
		}
		m.test("", func(x *val, _ *view) bool { return within(p.Masked(), x.text) })
		return nil
	case m.by["number"] != "" || m.by["time"] != "":
		return m.figure(v)
	case m.has("fieldref"):
		m.refs = append(m.refs, v.text)
		m.test("", reference(v.text, m.by["place"], m.has("cased")))
		return nil
	case v.kind == number && len(m.by) == 0:
		m.number(v)
		return nil
	}
	texts := []string{v.text}
	if m.has("expand") {
		var err error
		if texts, err = m.expand(v.text); err != nil {
			return fail("%s", err)
		}
	}
	var any []test
	var need []string
	for _, s := range texts {
		gs, err := m.globs(s)
		if err != nil {
			return fail("%s", err)
		}
		for _, g := range gs {
			p := compileGlob(g, m.has("cased"))
			any, need = append(any, func(x *val, _ *view) bool { return p.takes(x) }), append(need, p.need())
			if len(m.by) == 0 && p.shape == equals && m.field != "" {
				m.whole[p.text] = true
			} else {
				m.other = true
			}
		}
	}
	m.tests, m.need = append(m.tests, func(x *val, w *view) bool {
		return slices.ContainsFunc(any, func(t test) bool { return t(x, w) })
	}), append(m.need, need)
	return nil
}

func (m *making) test(need string, t test) {
	m.other = true
	m.tests, m.need = append(m.tests, t), append(m.need, []string{need})
}

// number takes a number, and its text where an event has it as text.
func (m *making) number(v *node) {
	f := v.num
	canon := strconv.FormatFloat(f, 'f', -1, 64)
	need := canon
	if v.text != canon {
		need = ""
	}
	m.test(need, func(x *val, _ *view) bool {
		if x.kind == number {
			return x.num == f
		}
		return x.kind == text && (x.text == v.text || x.text == canon)
	})
}

// figure compares numbers, or a part of a time.
func (m *making) figure(v *node) *Error {
	want, err := strconv.ParseFloat(v.text, 64)
	if err != nil || v.kind == truth {
		return &Error{Line: v.line, Col: v.col, Problem: fmt.Sprintf("modifier %q takes a number", m.mods[0])}
	}
	cmp, part := m.by["number"], m.by["time"]
	m.test("", func(x *val, _ *view) bool {
		f, ok := x.figure()
		if part != "" {
			f, ok = partOf(x, part)
		}
		return ok && holdsTo(cmp, f, want)
	})
	return nil
}

// holdsTo compares; "" and eq want equal numbers.
func holdsTo(cmp string, a, b float64) bool {
	switch cmp {
	case "gt":
		return a > b
	case "gte":
		return a >= b
	case "lt":
		return a < b
	case "lte":
		return a <= b
	case "neq":
		return a != b
	}
	return a == b
}

func partOf(x *val, part string) (float64, bool) {
	t, err := time.Parse(time.RFC3339Nano, x.text)
	if err != nil {
		return 0, false
	}
	t = t.UTC()
	switch part {
	case "minute":
		return float64(t.Minute()), true
	case "hour":
		return float64(t.Hour()), true
	case "day":
		return float64(t.Day()), true
	case "month":
		return float64(t.Month()), true
	case "year":
		return float64(t.Year()), true
	}
	_, week := t.ISOWeek()
	return float64(week), true
}

func within(p netip.Prefix, s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return p.Contains(a.Unmap())
	}
	n, err := netip.ParsePrefix(s)
	return err == nil && n.Bits() >= p.Bits() && p.Contains(n.Addr().Unmap())
}

// reference compares with another field of the same event.
func reference(field, place string, cased bool) test {
	return func(x *val, w *view) bool {
		return slices.ContainsFunc(w.values(field), func(y val) bool {
			a, b := x.low, y.low
			if cased {
				a, b = x.text, y.text
			}
			switch {
			case y.kind == null:
				return false
			case place == "contains":
				return strings.Contains(a, b)
			case place == "startswith":
				return strings.HasPrefix(a, b)
			case place == "endswith":
				return strings.HasSuffix(a, b)
			}
			return a == b
		})
	}
}

func (m *making) expression(v *node) *Error {
	fail := func(p string) *Error { return &Error{Line: v.line, Col: v.col, Problem: `modifier "re": ` + p} }
	if len(v.text) > mostRegex {
		return fail("the expression is longer than 1 KiB")
	}
	flags := ""
	for _, f := range []string{"i", "m", "s"} {
		if m.has(f) {
			flags += f
		}
	}
	src := v.text
	if flags != "" {
		src = "(?" + flags + ")" + src
	}
	re, err := regexp.Compile(src)
	if err != nil {
		return fail(whyNot(err))
	}
	need, _ := re.LiteralPrefix()
	m.test(strings.ToLower(need), func(x *val, _ *view) bool { return re.MatchString(x.text) })
	return nil
}

// whyNot says what RE2 does not take, and how to say it otherwise.
func whyNot(err error) string {
	var s *syntax.Error
	if !errors.As(err, &s) {
		return "the expression is not read"
	}
	switch {
	case s.Code == syntax.ErrInvalidPerlOp, strings.Contains(s.Expr, "(?="), strings.Contains(s.Expr, "(?!"), strings.Contains(s.Expr, "(?<"):
		return fmt.Sprintf("%q: look-around is not supported by RE2; rewrite it with another selection and \"not\"", firstLine(s.Expr))
	case s.Code == syntax.ErrInvalidEscape:
		return fmt.Sprintf("%q: this escape or reference back is not supported by RE2; rewrite it with fieldref or a longer expression", firstLine(s.Expr))
	}
	return fmt.Sprintf("%s: %q", s.Code, firstLine(s.Expr))
}

// expand puts in what a placeholder stands for.
func (m *making) expand(s string) ([]string, error) {
	before, rest, ok := strings.Cut(s, "%")
	name, after, closed := strings.Cut(rest, "%")
	if !ok || !closed {
		return []string{s}, nil
	}
	vals := m.known[name]
	if len(vals) == 0 {
		return nil, fmt.Errorf(`modifier "expand": the placeholder %%%s%% stands for nothing here; write the values out`, firstLine(name))
	}
	tails, err := m.expand(after)
	var out []string
	for _, v := range vals {
		for _, t := range tails {
			if out = append(out, before+v+t); len(out) > mostList {
				return nil, errors.New(`modifier "expand": too many values`)
			}
		}
	}
	return out, err
}

// globs makes a text the patterns that it stands for; several where its place within a code
// is not known.
func (m *making) globs(s string) ([][]seg, error) {
	g := parseGlob(s)
	if m.has("windash") {
		g = anyDash(g)
	}
	out := [][]seg{g}
	if m.by["bytes"] != "" || m.by["code"] != "" {
		t, ok := plainText(g)
		if !ok {
			return nil, fmt.Errorf("modifier %q takes no wildcards", m.mods[0])
		}
		if b := m.by["bytes"]; b != "" {
			t = wide(t, b)
		}
		out = nil
		for _, x := range coded(t, m.by["code"]) {
			out = append(out, []seg{{literal, x}})
		}
	}
	place := m.by["place"]
	if m.field == "" && place == "" {
		place = "contains"
	}
	for i := range out {
		if place == "contains" || place == "endswith" {
			out[i] = append([]seg{{kind: star}}, out[i]...)
		}
		if place == "contains" || place == "startswith" {
			out[i] = append(out[i], seg{kind: star})
		}
	}
	return out, nil
}

func wide(s, how string) string {
	var b []byte
	if how == "utf16" {
		b = []byte{0xff, 0xfe}
	}
	for _, u := range utf16.Encode([]rune(s)) {
		lo, hi := byte(u), byte(u>>8) //nolint:gosec // the two halves
		if how == "utf16be" {
			lo, hi = hi, lo
		}
		b = append(b, lo, hi)
	}
	return string(b)
}

// coded is a text in Base64; at an unknown place within one, in its three forms without what
// depends on its neighbours.
func coded(s, how string) []string {
	switch how {
	case "base64":
		return []string{base64.StdEncoding.EncodeToString([]byte(s))}
	case "base64offset":
		var out []string
		for i, from := range []int{0, 2, 3} {
			e := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", i) + s))
			out = append(out, e[from:len(e)-[]int{0, 3, 2}[(len(s)+i)%3]])
		}
		return out
	}
	return []string{s}
}
