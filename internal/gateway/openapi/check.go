package openapi

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Wrong is one thing that a request has and the description does not take: where, and
// which of its rules. It never holds a value.
type Wrong struct {
	In      string // path, query, header, cookie or body
	Name    string // of the parameter, or a JSON pointer into the body; "" where only the value itself could say
	Keyword string // of JSON Schema, or one of our own: see words
}

// Place is where it is, as in query/limit or body/items/0/name.
func (w Wrong) Place() string {
	if w.Name == "" {
		return w.In
	}
	return w.In + "/" + strings.TrimPrefix(w.Name, "/")
}

// words say what a keyword asks for.
var words = map[string]string{
	"unknown": "The description of the interface does not name this.", "required": "This is needed and missing.", "repeated": "This is said more than once.",
	"type": "A value of another type is expected.", "enum": "The value is none of those that are listed.", "const": "The value is not the one that is expected.",
	"format": "The value is not written in the expected format.", "pattern": "The value does not have the expected form.",
	"minimum": "The number is too small.", "maximum": "The number is too large.", "exclusiveMinimum": "The number is too small.", "exclusiveMaximum": "The number is too large.", "multipleOf": "The number is not one of the steps that are expected.",
	"minLength": "The text is too short.", "maxLength": "The text is too long.", "minItems": "There are too few items.", "maxItems": "There are too many items.", "uniqueItems": "An item is there twice.",
	"minProperties": "There are too few fields.", "maxProperties": "There are too many fields.", "contains": "An item that is needed is missing.", "minContains": "An item that is needed is missing.", "maxContains": "There are too many items of one kind.",
	"oneOf": "The value must be exactly one of the forms that are described.", "anyOf": "The value is none of the forms that are described.", "allOf": "The value is not all that is described.", "not": "The value is one that is ruled out.",
	"dependentRequired": "A field asks for another one that is missing.", "propertyNames": "A field has a name that is not taken.",
	"json": "This is not well-formed JSON.", "duplicate": "A name is said twice.", "depth": "This is nested too deeply.", "number": "A number is too long.", "encoding": "This cannot be read as the media type says.", "delimiter": "The sign between items is escaped.",
	"body": "The description takes no body here.", "parts": "There are too many parts.",
}

// Problem is a sentence about it.
func (w Wrong) Problem() string {
	if s := words[w.Keyword]; s != "" {
		return s
	}
	return "The value is not as it is described."
}

// ErrUnjudged is a fault in the judge itself: the request is refused.
var ErrUnjudged = errors.New("openapi: the request could not be judged")

// Request is what is judged beside the body.
type Request struct {
	Query   string // as it was sent
	Header  http.Header
	Length  int64 // of the body; -1 = not known before its end
	Program bool  // cookies that nobody described are refused
}

// Unseen is the length of a body that is elsewhere: whether there may be one is not judged.
const Unseen = -2

const maxWrongs = 20

// Check judges path, query, headers and cookies, and whether a body may be there at all.
func (m *Match) Check(r Request) (all []Wrong, err error) { // clause: use.public-api
	defer caught(&err)
	c := checker{m: m, op: m.Op, r: r}
	c.path()
	c.query()
	c.header()
	c.cookie()
	if r.Length != 0 && r.Length != Unseen && !m.Op.hasBody {
		c.wrong("body", "", "body")
	}
	if r.Length == 0 && m.Op.needsBody {
		c.wrong("body", "", "required")
	}
	return c.all, nil
}

// caught turns a fault of the judge into a refusal.
func caught(err *error) {
	if recover() != nil {
		*err = ErrUnjudged
	}
}

type checker struct {
	m   *Match
	op  *Operation
	r   Request
	all []Wrong
}

func (c *checker) wrong(in, name, keyword string) {
	if w := (Wrong{in, name, keyword}); len(c.all) < maxWrongs && !slices.Contains(c.all, w) {
		c.all = append(c.all, w)
	}
}

// verdict adds what a parameter's own judge found.
func (c *checker) verdict(x *param, name, keyword string, bad *jsonschema.ValidationError) {
	switch {
	case bad != nil && !x.json && !x.deep && !x.list:
		c.wrong(x.in, name, leaf(bad))
	case bad != nil:
		c.all = places(c.all, x.in, name, bad)
	case keyword != "":
		c.wrong(x.in, name, keyword)
	}
}

func plainText(s string) (string, bool) { return s, true }

func (c *checker) path() {
	for _, x := range c.op.params {
		if x.in != "path" {
			return // they come first
		}
		k, bad := x.check(c.m.value(x.index), plainText)
		c.verdict(x, x.name, k, bad)
	}
}

// queryText decodes one part of a query. That the escapes are well formed was seen when
// the request was admitted.
func queryText(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, true
	}
	text, err := url.QueryUnescape(s)
	return text, err == nil
}

func (c *checker) query() {
	if c.r.Query == "" && len(c.op.query) == 0 && len(c.op.deep) == 0 {
		return
	}
	several := map[*param][]any{}
	deep := map[*param]map[string]any{}
	var seen []*param
	rest := c.r.Query
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, "&")
		rawName, raw, _ := strings.Cut(part, "=")
		name, ok := queryText(rawName)
		if !ok {
			c.wrong("query", "", "encoding")
			continue
		}
		x := c.op.query[name]
		switch {
		case x == nil:
			c.deepPart(name, raw, deep)
		case x.list && x.join == 0:
			text, ok := queryText(raw)
			if !ok {
				c.wrong("query", x.name, "encoding")
			}
			several[x] = append(several[x], x.types.value(text))
		case slices.Contains(seen, x):
			c.wrong("query", x.name, "repeated")
		default:
			seen = append(seen, x)
			if x.join == ' ' {
				raw = strings.ReplaceAll(raw, "+", " ")
				raw = strings.ReplaceAll(raw, "%20", " ")
			}
			k, bad := x.check(raw, queryText)
			c.verdict(x, x.name, k, bad)
		}
	}
	c.afterQuery(seen, several, deep)
}

// afterQuery judges what could only be judged when the whole query was read.
func (c *checker) afterQuery(seen []*param, several map[*param][]any, deep map[*param]map[string]any) {
	for _, x := range c.op.params {
		if x.in != "query" {
			continue
		}
		var v any
		there := slices.Contains(seen, x)
		if s, ok := several[x]; ok {
			v, there = s, true
		} else if o, ok := deep[x]; ok {
			v, there = o, true
		}
		switch {
		case v != nil:
			k, bad := judge(x.schema, v)
			c.verdict(x, x.name, k, bad)
		case !there && x.required:
			c.wrong("query", x.name, "required")
		}
	}
}

// deepPart takes name[field]=value, and refuses what nothing describes.
func (c *checker) deepPart(name, raw string, into map[*param]map[string]any) {
	head, field, ok := strings.Cut(name, "[")
	x := c.op.deep[head]
	field, end := strings.CutSuffix(field, "]")
	if !ok || !end || x == nil {
		c.wrong("query", shown(name), "unknown")
		return
	}
	t, described := x.fields[field]
	text, good := queryText(raw)
	switch {
	case !described:
		c.wrong("query", x.name, "unknown")
		return
	case !good:
		c.wrong("query", x.name, "encoding")
		return
	}
	if into[x] == nil {
		into[x] = map[string]any{}
	}
	if _, twice := into[x][field]; twice {
		c.wrong("query", x.name, "repeated")
		return
	}
	into[x][field] = t.value(text)
}

// usual are headers that come with any request.
var usual = map[string]bool{
	"Host": true, "Content-Type": true, "Content-Length": true, "Content-Encoding": true, "Content-Language": true, "Cookie": true, "User-Agent": true, "Authorization": true, "Connection": true,
	"Cache-Control": true, "Pragma": true, "Origin": true, "Referer": true, "Dnt": true, "Priority": true, "Range": true, "Te": true, "Date": true, "Expect": true, "Keep-Alive": true, "Upgrade": true,
	"Upgrade-Insecure-Requests": true, "Traceparent": true, "Tracestate": true, "X-Request-Id": true, "Save-Data": true, "Transfer-Encoding": true, "Via": true,
}

var usualFamilies = []string{"Accept", "If-", "Sec-"}

func (c *checker) header() {
	for _, x := range c.op.params {
		if x.in != "header" {
			continue
		}
		vals := c.r.Header[x.name]
		switch {
		case len(vals) == 0:
			if x.required {
				c.wrong("header", x.name, "required")
			}
		case len(vals) > 1:
			c.wrong("header", x.name, "repeated")
		default:
			raw := vals[0]
			if x.list {
				raw = strings.ReplaceAll(strings.ReplaceAll(raw, ", ", ","), " ,", ",")
			}
			k, bad := x.check(raw, plainText)
			c.verdict(x, x.name, k, bad)
		}
	}
	if !c.op.strict {
		return
	}
	for name := range c.r.Header {
		if !c.op.headers[name] && !usual[name] && !slices.ContainsFunc(usualFamilies, func(f string) bool { return strings.HasPrefix(name, f) }) {
			c.wrong("header", shown(name), "unknown")
		}
	}
}

func (c *checker) cookie() {
	if len(c.op.cookies) == 0 && !(c.r.Program && len(c.r.Header["Cookie"]) > 0) {
		return
	}
	found := map[string][]string{}
	for _, line := range c.r.Header["Cookie"] {
		for part := range strings.SplitSeq(line, ";") {
			name, value, _ := strings.Cut(strings.Trim(part, " \t"), "=")
			if name == "" || strings.HasPrefix(strings.ToLower(name), "__host-writ") {
				continue // ours are taken out
			}
			if c.r.Program && !c.op.cookies[name] {
				c.wrong("cookie", shown(name), "unknown")
			}
			found[name] = append(found[name], strings.Trim(value, `"`))
		}
	}
	for _, x := range c.op.params {
		if x.in != "cookie" {
			continue
		}
		switch vals := found[x.name]; len(vals) {
		case 0:
			if x.required {
				c.wrong("cookie", x.name, "required")
			}
		case 1:
			k, bad := x.check(vals[0], func(s string) (string, bool) { t, err := url.PathUnescape(s); return t, err == nil })
			c.verdict(x, x.name, k, bad)
		default:
			c.wrong("cookie", x.name, "repeated")
		}
	}
}

// shown is a name that a client chose, where it is plainly a name; else "". What might be
// somebody's number or address is not repeated.
func shown(name string) string {
	if len(name) == 0 || len(name) > 40 {
		return ""
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c != '_' && c != '-' && c != '[' && c != ']') {
			return ""
		}
	}
	return name
}

// leaf is the keyword that failed, where there is one value and no place within it.
func leaf(e *jsonschema.ValidationError) string {
	for {
		if k := keyword(e.ErrorKind); k != "" {
			return k
		}
		if len(e.Causes) == 0 {
			return "schema"
		}
		e = e.Causes[0]
	}
}

// keyword is "" for what only groups others.
func keyword(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		return ""
	case *kind.FalseSchema, *kind.AdditionalProperties:
		return "unknown"
	case *kind.Not:
		return "not"
	default:
		if p := k.KeywordPath(); len(p) > 0 {
			return p[0]
		}
	}
	return "schema"
}

// nobodys reports whether a field was refused because nothing describes it.
func nobodys(e *jsonschema.ValidationError) bool {
	_, ok := e.ErrorKind.(*kind.FalseSchema)
	return ok
}

// places lists what failed in a value, each with its place.
func places(all []Wrong, in, name string, e *jsonschema.ValidationError) []Wrong {
	if len(all) >= maxWrongs {
		return all
	}
	k := keyword(e.ErrorKind)
	if k == "" && len(e.Causes) > 0 {
		other := slices.ContainsFunc(e.Causes, func(c *jsonschema.ValidationError) bool { return !nobodys(c) })
		for _, c := range e.Causes {
			if other && nobodys(c) {
				continue // where a joined schema failed, none of its fields counts as described
			}
			all = places(all, in, name, c)
		}
		return all
	}
	at := name + within(e.InstanceLocation)
	add := func(at string) {
		if w := (Wrong{in, at, k}); len(all) < maxWrongs && !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, n := range k.Missing { // the description's own names
			add(at + "/" + escape(n))
		}
	case *kind.AdditionalProperties:
		for _, n := range k.Properties {
			if n = shown(n); n != "" {
				n = "/" + n
			}
			add(at + n)
		}
	default:
		add(at)
	}
	return all
}

// within is a place as a pointer; names that might be values are left out of it.
func within(loc []string) string {
	var b strings.Builder
	for _, n := range loc {
		b.WriteByte('/')
		if _, err := strconv.ParseUint(n, 10, 20); err == nil && len(n) < 5 || shown(n) != "" {
			b.WriteString(escape(n))
		} else {
			b.WriteByte('*')
		}
	}
	return b.String()
}
