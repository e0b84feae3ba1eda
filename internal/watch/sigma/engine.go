package sigma

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Log is a kind of events; make one for each kind and keep it.
type Log struct {
	Sources []Source // the names under which rules know it
}

// Field is a named value of an event: string, int64, float64, bool, nil, or []any of such.
type Field struct {
	Name  string
	Value any
}

// Event is something that happened.
type Event struct {
	Log    *Log
	At     time.Time
	Ref    int64 // rises from event to event
	Fields []Field
}

// Unit is rules that belong together: references lead to rules of their unit alone.
type Unit struct {
	Key   string
	Rules []*Rule
}

// Hit is a rule that takes an event, or a correlation that an event makes true.
type Hit struct {
	Unit  string
	Rule  *Rule
	Group []string // the values of GroupBy
	Value float64  // what was compared; of a rule 1
}

// Engine asks rules about events. It is for one goroutine at a time.
type Engine struct {
	rules  []*compiled
	logs   map[*Log]*bucket
	state  []*windows // of correlations
	points int        // in all windows
	lost   int64
	made   []Point
	hits   []Hit
	view   view
	buf    []byte
	seen   []uint32 // by rule: the round in which it was asked
	round  uint32
}

// compiled is a rule with what refers to it.
type compiled struct {
	*Rule
	unit   string
	need   []string
	silent bool       // it fires for correlations alone
	feeds  []*windows // correlations of it
}

// bucket are the rules of a kind of events.
type bucket struct {
	always []int32
	texts  texts
}

// New makes an Engine. A reference that leads nowhere is an Error of that rule, whose unit is
// left out.
func New(units ...Unit) (*Engine, []*Error) {
	e := &Engine{logs: map[*Log]*bucket{}}
	var errs []*Error
	for _, u := range units {
		rules, ws, err := link(u)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		e.rules, e.state = append(e.rules, rules...), append(e.state, ws...)
	}
	e.seen = make([]uint32, len(e.rules))
	return e, errs
}

// link ties the rules of a unit together.
func link(u Unit) (rules []*compiled, ws []*windows, err *Error) {
	byName := map[string]*compiled{}
	for _, r := range u.Rules {
		c := &compiled{Rule: r, unit: u.Key}
		if r.cond != nil {
			c.need = needs(r.cond)
		}
		for _, name := range []string{r.ID, r.Name} {
			if name == "" {
				continue
			}
			if byName[name] != nil {
				return nil, nil, &Error{File: r.File, Line: r.Line, Col: 1, Rule: r.Label(), Problem: "another rule has the same id or name"}
			}
			byName[name] = c
		}
		rules = append(rules, c)
	}
	mine := map[*compiled]*windows{}
	for _, c := range rules {
		if c.Correlation != nil {
			mine[c] = newWindows(c, fmt.Sprintf("%s/%s", u.Key, c.Label()))
			ws = append(ws, mine[c])
		}
	}
	for _, c := range rules {
		if c.Correlation == nil {
			continue
		}
		for _, ref := range c.Correlation.Rules {
			of := byName[ref]
			if of == nil {
				of = byName[strings.ToLower(ref)]
			}
			if of == nil {
				return nil, nil, &Error{File: c.File, Line: c.Line, Col: 1, Rule: c.Label(), Problem: fmt.Sprintf("the correlation names %q, and no rule beside it has this id or name", firstLine(ref))}
			}
			mine[c].of = append(mine[c].of, of)
			of.feeds = append(of.feeds, mine[c])
			of.silent = of.silent || !c.Correlation.Generate
		}
	}
	for c := range mine {
		if round(c, mine, 0) {
			return nil, nil, &Error{File: c.File, Line: c.Line, Col: 1, Rule: c.Label(), Problem: "the correlation leads back to itself"}
		}
	}
	return rules, ws, nil
}

// round reports whether correlations lead to each other without end.
func round(c *compiled, mine map[*compiled]*windows, deep int) bool {
	if deep > len(mine) {
		return true
	}
	return mine[c] != nil && slices.ContainsFunc(mine[c].of, func(of *compiled) bool { return round(of, mine, deep+1) })
}

// Heads are the rules of a unit that fire by themselves.
func Heads(u Unit) ([]*Rule, *Error) {
	rules, _, err := link(u)
	var out []*Rule
	for _, c := range rules {
		if !c.silent {
			out = append(out, c.Rule)
		}
	}
	return out, err
}

// Wants reports whether any rule is about such events.
func (e *Engine) Wants(l *Log) bool { b := e.bucket(l); return len(b.always) > 0 || b.texts.some() }

// Asks is the fields of such events that anything here looks at: whoever makes events may leave the
// others out. nil = all of them.
func (e *Engine) Asks(l *Log) map[string]bool {
	out := map[string]bool{}
	for _, c := range e.rules {
		if k := c.Correlation; k != nil {
			for _, f := range slices.Concat(k.GroupBy, k.Field) {
				out[f] = true
			}
			for _, of := range k.Aliases {
				for _, f := range of {
					out[f] = true
				}
			}
			continue
		}
		if slices.ContainsFunc(l.Sources, c.Source.Takes) && !c.cond.asks(out) {
			return nil
		}
	}
	return out
}

// asks adds the fields of an expression; false = it looks at any.
func (e *expr) asks(out map[string]bool) bool {
	if it := e.item; it != nil {
		if it.field == "" {
			return false
		}
		out[it.field] = true
		for _, f := range it.refs {
			out[f] = true
		}
	}
	for _, k := range e.kids {
		if !k.asks(out) {
			return false
		}
	}
	return true
}

func (e *Engine) bucket(l *Log) *bucket {
	if b := e.logs[l]; b != nil {
		return b
	}
	b := &bucket{}
	for i, c := range e.rules {
		if c.Correlation != nil || !slices.ContainsFunc(l.Sources, c.Source.Takes) {
			continue
		}
		if len(c.need) == 0 {
			b.always = append(b.always, int32(i)) //nolint:gosec // bounded by what is loaded
		}
		for _, t := range c.need {
			b.texts.add(t, int32(i)) //nolint:gosec // likewise
		}
	}
	e.logs[l] = b
	return b
}

// Feed asks about one event. What it returns is good until the next call.
func (e *Engine) Feed(ev *Event) []Hit {
	e.hits, e.made = e.hits[:0], e.made[:0]
	b := e.bucket(ev.Log)
	if len(b.always) == 0 && !b.texts.some() {
		return nil
	}
	e.view.reset(ev)
	for _, i := range b.always {
		e.ask(e.rules[i], ev)
	}
	if b.texts.some() {
		e.round++
		e.buf = e.view.spell(e.buf[:0])
		b.texts.in(e.buf, func(i int32) {
			if e.seen[i] != e.round {
				e.seen[i] = e.round
				e.ask(e.rules[i], ev)
			}
		})
	}
	return e.hits
}

func (e *Engine) ask(c *compiled, ev *Event) {
	if c.cond.takes(&e.view) {
		e.hit(c, ev, nil, 1)
	}
}

// hit notes a rule that fired, and tells the correlations of it.
func (e *Engine) hit(c *compiled, ev *Event, group []string, value float64) {
	if !c.silent {
		e.hits = append(e.hits, Hit{Unit: c.unit, Rule: c.Rule, Group: group, Value: value})
	}
	for _, w := range c.feeds {
		e.count(w, c, ev)
	}
}

// val is one value of an event.
type val struct {
	kind kind
	text string
	low  string
	num  float64
}

func (v *val) figure() (float64, bool) {
	if v.kind == number {
		return v.num, true
	}
	f, err := strconv.ParseFloat(v.text, 64)
	return f, err == nil
}

// view is an event as rules look at it.
type view struct {
	ev   *Event
	vals []val
	from []int // of each field: where its values begin
}

func (w *view) reset(ev *Event) {
	w.ev, w.vals, w.from = ev, w.vals[:0], w.from[:0]
	for _, f := range ev.Fields {
		w.from = append(w.from, len(w.vals))
		if vs, ok := f.Value.([]any); ok {
			for _, v := range vs {
				w.vals = append(w.vals, valOf(v))
			}
			continue
		}
		w.vals = append(w.vals, valOf(f.Value))
	}
}

func valOf(v any) val {
	switch x := v.(type) {
	case string:
		return val{text, x, strings.ToLower(x), 0}
	case int64:
		s := strconv.FormatInt(x, 10)
		return val{number, s, s, float64(x)}
	case float64:
		s := strconv.FormatFloat(x, 'f', -1, 64)
		return val{number, s, s, x}
	case bool:
		s := strconv.FormatBool(x)
		return val{truth, s, s, 0}
	}
	return val{kind: null}
}

// values are those of a field; none = it is not there.
func (w *view) values(field string) []val {
	for i := range w.ev.Fields {
		if w.ev.Fields[i].Name == field {
			to := len(w.vals)
			if i+1 < len(w.from) {
				to = w.from[i+1]
			}
			return w.vals[w.from[i]:to]
		}
	}
	return nil
}

// first is a field's text; false = it has none.
func (w *view) first(field string) (*val, bool) {
	vs := w.values(field)
	if len(vs) == 0 || vs[0].kind == null {
		return nil, false
	}
	return &vs[0], true
}

// spell writes all values in small letters, one after the other.
func (w *view) spell(b []byte) []byte {
	for i := range w.vals {
		b = append(append(b, w.vals[i].low...), 0)
	}
	return b
}

func (e *expr) takes(w *view) bool {
	switch e.op {
	case and:
		for _, k := range e.kids {
			if !k.takes(w) {
				return false
			}
		}
		return true
	case or:
		for _, k := range e.kids {
			if k.takes(w) {
				return true
			}
		}
		return false
	case not:
		return !e.kids[0].takes(w)
	case atLeast:
		n := 0
		for _, k := range e.kids {
			if k.takes(w) {
				n++
			}
		}
		return n >= e.n
	}
	return e.item.takes(w)
}

func (it *item) takes(w *view) bool { return it.meets(w) != it.neg }

func (it *item) meets(w *view) bool {
	vs := w.vals
	if it.field != "" {
		vs = w.values(it.field)
	}
	if it.sees != "" {
		return (len(vs) > 0) == (it.sees == "yes")
	}
	absent := !slices.ContainsFunc(vs, func(v val) bool { return v.kind != null })
	if it.lacks && absent {
		return true
	}
	if it.all {
		return !it.lacks && !absent && !slices.ContainsFunc(it.tests, func(t test) bool { return !met(t, vs, w) })
	}
	if it.exact != nil {
		return slices.ContainsFunc(vs, func(v val) bool { return v.kind != null && it.exact[v.low] })
	}
	return slices.ContainsFunc(it.tests, func(t test) bool { return met(t, vs, w) })
}

// met reports whether one of the values passes.
func met(t test, vs []val, w *view) bool {
	for i := range vs {
		if vs[i].kind != null && t(&vs[i], w) {
			return true
		}
	}
	return false
}
