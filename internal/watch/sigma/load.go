package sigma

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Error is why a rule, or a file, is not read.
type Error struct {
	File      string
	Line, Col int
	Rule      string // its id, or its title
	Problem   string
}

// Error implements error.
func (e *Error) Error() string {
	of := ""
	if e.Rule != "" {
		of = " rule " + e.Rule + ":"
	}
	return fmt.Sprintf("%s:%d:%d:%s %s", e.File, e.Line, e.Col, of, e.Problem)
}

// Source says of which log an event or a rule is; "" = any.
type Source struct{ Category, Product, Service string }

// Takes reports whether a rule of this source is about events of another.
func (s Source) Takes(of Source) bool {
	return (s.Category == "" || s.Category == of.Category) && (s.Product == "" || s.Product == of.Product) && (s.Service == "" || s.Service == of.Service)
}

// String is the source as people write it.
func (s Source) String() string {
	var out []string
	for _, p := range []struct{ name, v string }{{"category", s.Category}, {"product", s.Product}, {"service", s.Service}} {
		if p.v != "" {
			out = append(out, p.name+" "+p.v)
		}
	}
	return strings.Join(out, ", ")
}

// Rule is a rule that was read, or a correlation of such.
type Rule struct {
	File        string
	Line        int
	ID          string // a UUID; "" = it has none
	Name        string // by which correlations may call it
	Title       string
	Description string
	Level       string // informational, low, medium, high, critical; "" = not said
	Cautions    []string
	Source      Source
	Fields      []string // that it looks at
	Correlation *Correlation

	cond *expr
}

// Label is the rule's id, or its title where it has none.
func (r *Rule) Label() string {
	if r.ID != "" {
		return r.ID
	}
	return r.Title
}

// Correlation fires when events of rules come together.
type Correlation struct {
	Type     string
	Rules    []string // ids or names
	GroupBy  []string
	Aliases  map[string]map[string]string // alias → rule → field
	Within   time.Duration
	Field    []string
	Percent  float64 // of value_percentile; 0 = shares
	Generate bool    // the rules themselves fire too

	bounds []bound
}

type bound struct {
	cmp  string
	than float64
}

// filter narrows rules.
type filter struct {
	rules  []string
	source Source
	cond   *expr
	fields []string
}

const (
	mostSelections = 200
	longestWindow  = 24 * time.Hour
	mostPoints     = 10_000 // of a group
)

var (
	goodID   = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	goodSpan = regexp.MustCompile(`^([0-9]{1,6})([smhd])$`)
	levels   = []string{"", "informational", "low", "medium", "high", "critical"}
	kinds    = []string{"event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg", "value_percentile"}
	bounds   = []string{"gt", "gte", "lt", "lte", "eq", "neq"}
)

// Load reads the rules of a file. Those that are good are there even if others are not.
// known are the placeholders of the modifier expand.
func Load(file string, b []byte, known map[string][]string) (rules []*Rule, errs []*Error) { // clause: mon.alarms
	docs, err := read(b)
	if err != nil {
		err.File = file
		return nil, []*Error{err}
	}
	var filters []*filter
	for _, d := range docs {
		r, f, err := document(d, known)
		switch {
		case err != nil:
			err.File = file
			if err.Rule = d.word("id"); err.Rule == "" {
				err.Rule = firstLine(d.word("title"))
			}
			errs = append(errs, err)
		case f != nil:
			filters = append(filters, f)
		default:
			r.File = file
			rules = append(rules, r)
		}
	}
	for _, f := range filters {
		f.narrow(rules)
	}
	return rules, errs
}

// narrow adds a filter's condition to the rules that it names.
func (f *filter) narrow(rules []*Rule) {
	for _, r := range rules {
		if r.Correlation == nil && f.source.Takes(r.Source) && (slices.Contains(f.rules, "any") || slices.Contains(f.rules, r.ID) || r.Name != "" && slices.Contains(f.rules, r.Name)) {
			r.cond = &expr{op: and, kids: []*expr{r.cond, f.cond}}
			r.Fields = slices.Compact(slices.Sorted(slices.Values(append(r.Fields, f.fields...))))
		}
	}
}

func wrong(n *node, format string, args ...any) *Error {
	return &Error{Line: n.line, Col: n.col, Problem: fmt.Sprintf(format, args...)}
}

// document reads one document of a file.
func document(d *node, known map[string][]string) (*Rule, *filter, *Error) {
	if d.kind != mapping {
		return nil, nil, wrong(d, "a rule is a mapping with title, logsource and detection")
	}
	r := &Rule{Line: d.line, ID: strings.ToLower(d.word("id")), Name: d.word("name"), Title: d.word("title"), Description: d.word("description"), Level: strings.ToLower(d.word("level"))}
	for _, c := range d.get("falsepositives").list() {
		r.Cautions = append(r.Cautions, c.text)
	}
	switch {
	case d.get("action") != nil:
		return nil, nil, wrong(d.get("action"), "collections with action are of long ago; write each rule whole")
	case r.Title == "" || len(r.Title) > 256:
		return nil, nil, wrong(d, "a rule has a title of 1 to 256 bytes")
	case r.ID != "" && !goodID.MatchString(r.ID):
		return nil, nil, wrong(d.get("id"), "the id is no UUID")
	case !slices.Contains(levels, r.Level):
		return nil, nil, wrong(d.get("level"), "the level is informational, low, medium, high or critical")
	}
	if c := d.get("correlation"); c != nil {
		var err *Error
		r.Correlation, err = correlation(c)
		if err == nil && d.word("generate") == "true" {
			r.Correlation.Generate = true
		}
		return r, nil, err
	}
	src := d.get("logsource")
	if src == nil || src.kind != mapping {
		return nil, nil, wrong(d, "a rule has a logsource: category, product or service")
	}
	r.Source = Source{src.word("category"), src.word("product"), src.word("service")}
	if r.Source == (Source{}) {
		return nil, nil, wrong(src, "the logsource names no category, product or service")
	}
	if f := d.get("filter"); f != nil {
		cond, fields, err := detection(f, known, "rules")
		out := &filter{source: r.Source, cond: cond, fields: fields}
		for _, n := range f.get("rules").list() {
			out.rules = append(out.rules, strings.ToLower(n.text))
		}
		if err == nil && len(out.rules) == 0 {
			err = wrong(f, "a filter names its rules")
		}
		return nil, out, err
	}
	det := d.get("detection")
	if det == nil || det.kind != mapping {
		return nil, nil, wrong(d, "a rule has a detection: selections and a condition")
	}
	var err *Error
	r.cond, r.Fields, err = detection(det, known)
	return r, nil, err
}

// detection reads selections and the condition over them.
func detection(d *node, known map[string][]string, but ...string) (*expr, []string, *Error) {
	names, seen := map[string]*expr{}, map[string]bool{}
	for i := range d.pairs {
		p := &d.pairs[i]
		if p.key == "condition" || p.key == "timeframe" || slices.Contains(but, p.key) {
			continue
		}
		if len(names) >= mostSelections {
			return nil, nil, wrong(p.val, "there are more than %d selections", mostSelections)
		}
		e, err := selection(p, known, seen)
		if err != nil {
			return nil, nil, err
		}
		names[p.key] = e
	}
	c := d.get("condition")
	if c == nil || c.kind == mapping || len(names) == 0 {
		return nil, nil, wrong(d, "a detection has selections and a condition")
	}
	any := &expr{op: or}
	for _, n := range c.list() {
		e, err := parseCondition(n.text, names)
		if err != nil {
			return nil, nil, &Error{Line: n.line, Col: n.col + err.at, Problem: err.problem}
		}
		any.kids = append(any.kids, e)
	}
	return any, slices.Sorted(maps.Keys(seen)), nil
}

// selection reads a mapping (all of it), a list of mappings (any), or words anywhere (any).
func selection(p *pair, known map[string][]string, seen map[string]bool) (*expr, *Error) {
	if p.val.kind == mapping {
		return fields(p.val, known, seen)
	}
	words := &node{kind: list, line: p.val.line, col: p.val.col}
	any := &expr{op: or}
	for _, v := range p.val.list() {
		if v.kind != mapping {
			words.items = append(words.items, v)
			continue
		}
		e, err := fields(v, known, seen)
		if err != nil {
			return nil, err
		}
		any.kids = append(any.kids, e)
	}
	if len(words.items) > 0 {
		it, err := newItem("", p, words, known)
		if err != nil {
			return nil, err
		}
		any.kids = append(any.kids, &expr{op: ask, item: it})
	}
	if len(any.kids) == 0 {
		return nil, wrong(p.val, "the selection %q is empty", firstLine(p.key))
	}
	return any, nil
}

func fields(m *node, known map[string][]string, seen map[string]bool) (*expr, *Error) {
	all := &expr{op: and}
	for i := range m.pairs {
		p := &m.pairs[i]
		it, err := newItem(p.key, p, p.val, known)
		if err != nil {
			return nil, err
		}
		if it.field != "" {
			seen[it.field] = true
		}
		all.kids = append(all.kids, &expr{op: ask, item: it})
	}
	if len(all.kids) == 0 {
		return nil, wrong(m, "a selection is empty")
	}
	return all, nil
}

func correlation(c *node) (*Correlation, *Error) {
	out := &Correlation{Type: c.word("type"), Generate: c.word("generate") == "true", Aliases: map[string]map[string]string{}}
	if c.kind != mapping || !slices.Contains(kinds, out.Type) {
		return nil, wrong(c, "the type of a correlation is one of %s", strings.Join(kinds, ", "))
	}
	for _, n := range c.get("rules").list() {
		out.Rules = append(out.Rules, n.text)
	}
	for _, n := range c.get("group-by").list() {
		out.GroupBy = append(out.GroupBy, n.text)
	}
	if len(out.Rules) == 0 || len(out.Rules) > mostSelections || len(out.GroupBy) > 20 {
		return nil, wrong(c, "a correlation has 1 to %d rules, and groups by at most 20 fields", mostSelections)
	}
	if a := c.get("aliases"); a != nil {
		for _, p := range a.pairs {
			of := map[string]string{}
			for _, q := range p.val.pairs {
				of[q.key] = q.val.text
			}
			out.Aliases[p.key] = of
		}
	}
	m := goodSpan.FindStringSubmatch(c.word("timespan"))
	if m == nil {
		return nil, wrong(c, "the timespan is a number with s, m, h or d")
	}
	n, err := strconv.Atoi(m[1])
	out.Within = time.Duration(n) * map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
	if err != nil || n == 0 || out.Within > longestWindow {
		return nil, wrong(c.get("timespan"), "the timespan is more than nothing and at most a day")
	}
	return out, out.bound(c)
}

// bound reads the condition of a correlation.
func (c *Correlation) bound(n *node) *Error {
	cond := n.get("condition")
	if cond == nil {
		if strings.HasPrefix(c.Type, "temporal") {
			return nil
		}
		return wrong(n, "the correlation has no condition, such as gte: 10")
	}
	if cond.kind != mapping {
		return wrong(cond, "the condition of a correlation is a mapping, such as gte: 10")
	}
	for _, p := range cond.pairs {
		switch {
		case p.key == "field":
			for _, f := range p.val.list() {
				c.Field = append(c.Field, f.text)
			}
			continue
		case p.key == "percentile" && c.Type == "value_percentile" && p.val.kind == number && p.val.num > 0 && p.val.num <= 100:
			c.Percent = p.val.num
			continue
		case !slices.Contains(bounds, p.key) || p.val.kind != number:
			return &Error{Line: p.line, Col: p.col, Problem: fmt.Sprintf("%q is no condition of %s: expected gt, gte, lt, lte, eq or neq with a number, or field", firstLine(p.key), c.Type)}
		case strings.HasSuffix(c.Type, "_count") && p.val.num >= mostPoints:
			return &Error{Line: p.line, Col: p.col, Problem: fmt.Sprintf("at most %d are counted", mostPoints)}
		}
		c.bounds = append(c.bounds, bound{p.key, p.val.num})
	}
	if strings.HasPrefix(c.Type, "value_") && len(c.Field) == 0 {
		return wrong(cond, "%s needs a field", c.Type)
	}
	if len(c.bounds) == 0 && !strings.HasPrefix(c.Type, "temporal") {
		return wrong(cond, "the condition compares nothing: gt, gte, lt, lte, eq or neq")
	}
	return nil
}
