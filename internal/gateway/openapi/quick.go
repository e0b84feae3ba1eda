package openapi

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// quick is a schema of plain keywords. It says yes, or that somebody else must look: never
// no. A library judges what it did not understand or did not find right, so a mistake of
// this file could only be a yes too many; a fuzz test looks for one.
type quick struct {
	never    bool               // nothing is right
	at       string             // where it stands
	bad      bool               // it has more to say after all
	lib      *jsonschema.Schema // then: who judges a whole value in its place
	of       *quick             // this one, with nothing beside what it describes
	all      []*quick           // every one of these as well
	types    types              // none = any
	props    map[string]*quick
	required []string
	closed   bool   // nothing beside props
	extra    *quick // what is beside props; nil = anything
	items    *quick
	minItems int
	maxItems int
	minLen   int
	maxLen   int
	min, max int64
	bounded  bool // min or max are said
	enum     map[string]bool
	format   string
}

// plain are the keywords that quick understands; with any other it does not begin.
var plain = map[string]bool{
	"type": true, "properties": true, "required": true, "unevaluatedProperties": true, "additionalProperties": true, "items": true, "minItems": true, "maxItems": true,
	"minLength": true, "maxLength": true, "minimum": true, "maximum": true, "enum": true, "format": true, "$ref": true, "allOf": true,
}

// quicken makes one of a schema in its rewritten form; nil where it has more to say.
func (c *compiler) quicken(r reading, pointer string) *quick {
	q := c.quicker(r, pointer, 0)
	if q.hopeless() {
		return nil
	}
	c.mend(r, q, map[*quick]bool{})
	return q
}

// hopeless reports whether a schema, or one that it is joined with, has more to say.
func (q *quick) hopeless() bool {
	return q.circles(map[*quick]bool{}) || q.incomplete()
}

func (q *quick) incomplete() bool {
	return q != nil && (q.bad || q.of.incomplete() || slices.ContainsFunc(q.all, (*quick).incomplete))
}

// mend gives the values within, where their schemas have more to say, to the library.
func (c *compiler) mend(r reading, q *quick, seen map[*quick]bool) {
	if q == nil || seen[q] {
		return
	}
	seen[q] = true
	whole := func(x *quick) *quick {
		if x == nil || x.lib != nil {
			return x
		}
		if !x.hopeless() {
			c.mend(r, x, seen)
			return x
		}
		s, err := c.by[r].Compile(r.url() + "#" + fragment(x.at))
		if err != nil {
			return &quick{never: true} // the library is asked about the whole, then
		}
		return &quick{lib: s}
	}
	q.items, q.extra = whole(q.items), whole(q.extra)
	for name, x := range q.props {
		q.props[name] = whole(x)
	}
	c.mend(r, q.of, seen)
	for _, x := range q.all {
		c.mend(r, x, seen)
	}
}

// circles reports whether a schema is joined with itself: no value would ever be done with.
func (q *quick) circles(open map[*quick]bool) bool {
	if q == nil {
		return false
	}
	if done, begun := open[q]; begun {
		return !done
	}
	open[q] = false
	if q.of.circles(open) || slices.ContainsFunc(q.all, func(x *quick) bool { return x.circles(open) }) {
		return true
	}
	open[q] = true
	return false
}

// quicker makes one that may lack a part, or hold itself.
func (c *compiler) quicker(r reading, pointer string, depth int) *quick {
	v, at := follow(c.roots[r], pointer)
	if q := c.quick[r][at]; q != nil {
		return q
	}
	q := &quick{at: at}
	c.quick[r][at] = q
	q.read(nil, false)
	if said, ok := v.(bool); ok {
		q.never = !said
		return q
	}
	m, ok := v.(map[string]any)
	if q.bad = !ok || depth > 40; q.bad {
		return q
	}
	for k := range m {
		if !plain[k] {
			q.bad = true
			return q
		}
	}
	closed := m["unevaluatedProperties"] == false
	if m["unevaluatedProperties"] != nil && !closed {
		q.bad = true
		return q
	}
	if ref, said := m["$ref"].(string); said {
		// A reference with nothing beside it, or only with the word that closes it.
		q.bad = len(m) > 2 || len(m) == 2 && !closed
		if to := c.quicker(r, ref[1:], depth+1); closed {
			q.of = to
		} else {
			q.all = []*quick{to}
		}
		return q
	}
	q.bad = !q.read(m, closed)
	if props, ok := m["properties"].(map[string]any); ok {
		q.props = make(map[string]*quick, len(props))
		for _, name := range sorted(props) {
			q.props[name] = c.quicker(r, at+"/properties/"+escape(name), depth+1)
		}
	}
	if m["items"] != nil {
		q.items = c.quicker(r, at+"/items", depth+1)
	}
	if _, schema := m["additionalProperties"].(map[string]any); schema {
		q.extra = c.quicker(r, at+"/additionalProperties", depth+1)
	}
	joined, _ := m["allOf"].([]any)
	for i := range joined {
		q.all = append(q.all, c.quicker(r, at+"/allOf/"+strconv.Itoa(i), depth+1))
	}
	// What additionalProperties says is of its own properties alone, not of those it is joined with.
	q.bad = q.bad || len(joined) > 0 && m["additionalProperties"] != nil
	return q
}

// read takes over what needs no other schema.
func (q *quick) read(m map[string]any, closed bool) bool {
	ok := true
	if q.types = typesOf(m["type"]); m["type"] != nil && q.types == (types{}) {
		return false
	}
	if req, said := m["required"].([]any); said {
		for _, n := range req {
			name, text := n.(string)
			ok = ok && text
			q.required = append(q.required, name)
		}
	}
	count := func(k string, none int) int {
		v, said := m[k]
		if !said {
			return none
		}
		n, whole := whole(v)
		ok = ok && whole && n >= 0 && n < math.MaxInt32
		return int(n)
	}
	q.minItems, q.maxItems = count("minItems", 0), count("maxItems", math.MaxInt)
	q.minLen, q.maxLen = count("minLength", 0), count("maxLength", math.MaxInt)
	q.min, q.max = math.MinInt64, math.MaxInt64
	for k, to := range map[string]*int64{"minimum": &q.min, "maximum": &q.max} {
		if v, said := m[k]; said {
			n, isWhole := whole(v)
			ok, *to, q.bounded = ok && isWhole, n, true
		}
	}
	if list, said := m["enum"].([]any); said {
		q.enum = map[string]bool{}
		for _, v := range list {
			s, text := v.(string)
			ok = ok && text
			q.enum[s] = true
		}
	}
	if f, said := m["format"].(string); said {
		q.format = f
		ok = ok && (f == "uuid" || f == "int32" || f == "int64" || f == "password" || f == "binary")
	}
	switch v := m["additionalProperties"].(type) {
	case nil:
		q.closed = closed
	case bool:
		q.closed = !v
	}
	return ok
}

// typesOf reads a type keyword.
func typesOf(v any) (t types) {
	list, many := v.([]any)
	if !many {
		list = []any{v}
	}
	for _, name := range list {
		switch name {
		case "integer":
			t.integer = true
		case "number":
			t.number = true
		case "boolean":
			t.boolean = true
		case "string":
			t.text = true
		case "null":
			t.null = true
		case "array":
			t.list = true
		case "object":
			t.object = true
		}
	}
	return t
}

func whole(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case json.Number:
		n, err := strconv.ParseInt(v.String(), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// yes reports that a value is plainly right.
func (q *quick) yes(v any) bool { return q.judge(v, q.closed) }

// judge is yes, where nothing may be beside what is described when it is closed.
func (q *quick) judge(v any, closed bool) bool {
	switch {
	case q.lib != nil:
		return q.lib.Validate(v) == nil
	case q.never:
		return false
	case q.of != nil:
		return q.of.judge(v, true)
	}
	for _, x := range q.all {
		if !x.judge(v, x.closed) {
			return false
		}
	}
	any := q.types == types{}
	switch v := v.(type) {
	case string:
		return (any || q.types.text) && q.text(v)
	case int64:
		return (any || q.types.integer || q.types.number) && q.enum == nil && v >= q.min && v <= q.max && (q.format != "int32" || v >= math.MinInt32 && v <= math.MaxInt32)
	case json.Number:
		return (any || q.types.number) && q.enum == nil && !q.bounded && q.format == ""
	case bool:
		return (any || q.types.boolean) && q.enum == nil
	case nil:
		return (any || q.types.null) && q.enum == nil
	case []interface{}:
		return (any || q.types.list) && q.enum == nil && q.list(v)
	case map[string]interface{}:
		return (any || q.types.object) && q.enum == nil && q.object(v, closed)
	}
	return false
}

func (q *quick) text(s string) bool {
	if q.enum != nil && !q.enum[s] || q.format == "uuid" && !isUUID(s) {
		return false
	}
	if q.minLen == 0 && len(s) <= q.maxLen {
		return true
	}
	n := utf8.RuneCountInString(s)
	return n >= q.minLen && n <= q.maxLen
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

func (q *quick) list(v []any) bool {
	if len(v) < q.minItems || len(v) > q.maxItems {
		return false
	}
	if q.items != nil {
		for _, x := range v {
			if !q.items.yes(x) {
				return false
			}
		}
	}
	return true
}

func (q *quick) object(v map[string]any, closed bool) bool {
	for _, n := range q.required {
		if _, there := v[n]; !there {
			return false
		}
	}
	for n, x := range v {
		p, described := q.props[n]
		switch {
		case described:
			if !p.yes(x) {
				return false
			}
		case closed && !q.describes(n):
			return false
		case q.extra != nil && !q.extra.yes(x):
			return false
		}
	}
	return true
}

// describes reports whether a field is named here or in what is joined.
func (q *quick) describes(name string) bool {
	if q.of != nil {
		return q.of.describes(name)
	}
	return q.props[name] != nil || slices.ContainsFunc(q.all, func(x *quick) bool { return x.describes(name) })
}

// follow is document.at in a rewritten document: it meets no reference on its way that
// was not looked at when the document was read.
func follow(root any, pointer string) (any, string) {
	v := root
	for rest := pointer; rest != ""; {
		var key string
		key, rest = cutKey(rest)
		if v = child(v, key); v == nil {
			return nil, pointer
		}
	}
	return v, pointer
}

func cutKey(pointer string) (key, rest string) {
	for i := 1; i < len(pointer); i++ {
		if pointer[i] == '/' {
			return unescape(pointer[1:i]), pointer[i:]
		}
	}
	return unescape(pointer[1:]), ""
}

// judged is a schema in both forms.
type judged struct {
	quick *quick // nil: only the library can say
	whole *jsonschema.Schema
}
