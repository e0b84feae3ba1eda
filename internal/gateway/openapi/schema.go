package openapi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Two readings of a document's schemas: what is sent to the application, and what it
// answers. In a request a field that is only read is unknown, and so is every field that
// nothing describes; in an answer one that is only written is.
type reading int

const (
	asRequest reading = iota
	asAnswer
)

func (r reading) url() string {
	return [...]string{"https://request.invalid/doc.json", "https://answer.invalid/doc.json"}[r]
}

// compiler makes schemas of a document, each once for each reading.
type compiler struct {
	d     *document
	old   bool // 3.0
	by    [2]*jsonschema.Compiler
	made  [2]map[string]*judged
	roots [2]any // the document in each reading
	quick [2]map[string]*quick
}

func newCompiler(d *document, old bool) (*compiler, error) {
	c := &compiler{d: d, old: old}
	for r := range c.by {
		js := jsonschema.NewCompiler()
		js.DefaultDraft(jsonschema.Draft2020)
		js.UseLoader(nowhere{})
		js.AssertFormat()
		for _, f := range formats() {
			js.RegisterFormat(f)
		}
		rw := rewriter{d: d, old: old, reading: reading(r)}
		root, err := rw.any(d.root, "")
		if err != nil {
			return nil, err
		}
		if err := js.AddResource(reading(r).url(), root); err != nil {
			return nil, d.fault("", err.Error())
		}
		c.by[r], c.made[r], c.roots[r], c.quick[r] = js, map[string]*judged{}, root, map[string]*quick{}
	}
	return c, nil
}

// nowhere refuses to fetch anything.
type nowhere struct{}

// Load implements jsonschema.URLLoader.
func (nowhere) Load(string) (any, error) {
	return nil, errors.New("a reference leads outside this document")
}

// schema compiles the one at a pointer.
func (c *compiler) schema(r reading, pointer string) (*judged, error) {
	if s := c.made[r][pointer]; s != nil {
		return s, nil
	}
	s, err := c.by[r].Compile(r.url() + "#" + fragment(pointer))
	if err != nil {
		return nil, c.d.fault(pointer, "the schema cannot be used: "+reason(err))
	}
	j := &judged{whole: s, quick: c.quicken(r, pointer)}
	c.made[r][pointer] = j
	return j, nil
}

// reason is a compiler's word without the addresses we gave to the readings.
func reason(err error) string {
	text := err.Error()
	if bad, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		text = bad.Err.Error()
	}
	for _, r := range []reading{asRequest, asAnswer} {
		text = strings.ReplaceAll(text, r.url(), "")
	}
	return strings.Join(strings.Fields(text), " ")
}

// fragment escapes a pointer for the part of an address after #.
func fragment(pointer string) string {
	var b strings.Builder
	for i := range len(pointer) {
		c := pointer[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~/$", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// formats are those of OpenAPI beside JSON Schema's own. All are enforced.
func formats() []*jsonschema.Format {
	whole := func(bits int) func(any) error {
		return func(v any) error {
			switch v := v.(type) {
			case int64:
				if bits == 32 && (v > 1<<31-1 || v < -1<<31) {
					return errors.New("out of range")
				}
			case json.Number:
				if _, err := strconv.ParseInt(v.String(), 10, bits); err != nil && !strings.ContainsAny(v.String(), ".eE") {
					return errors.New("out of range")
				}
			}
			return nil
		}
	}
	float := func(bits int) func(any) error {
		return func(v any) error {
			if n, ok := v.(json.Number); ok {
				if _, err := strconv.ParseFloat(n.String(), bits); err != nil {
					return errors.New("out of range")
				}
			}
			return nil
		}
	}
	return []*jsonschema.Format{
		{Name: "int32", Validate: whole(32)}, {Name: "int64", Validate: whole(64)}, {Name: "float", Validate: float(32)}, {Name: "double", Validate: float(64)},
		{Name: "byte", Validate: func(v any) error {
			if s, ok := v.(string); ok {
				if _, err := base64.StdEncoding.DecodeString(s); err != nil {
					return errors.New("not base64")
				}
			}
			return nil
		}},
	}
}

// rewriter copies a document and makes each schema in it one of JSON Schema 2020-12 that
// says what OpenAPI meant.
type rewriter struct {
	d       *document
	old     bool
	reading reading
}

// any walks what is no schema and looks for some.
func (w *rewriter) any(v any, at string) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range sorted(v) {
			var err error
			below := at + "/" + escape(k)
			switch {
			case at == "/components/schemas":
				out[k], err = w.site(v[k], below, 0)
			case ofNames(at):
				out[k], err = w.any(v[k], below)
			case k == "example" || k == "examples" || strings.HasPrefix(k, "x-"):
				continue
			case k == "schema":
				out[k], err = w.site(v[k], below, 0)
			default:
				out[k], err = w.any(v[k], below)
			}
			if err != nil {
				return nil, err
			}
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = w.any(v[i], at+"/"+strconv.Itoa(i)); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// ofNames reports whether the keys of an object are names that its writer chose.
func ofNames(at string) bool {
	return strings.HasPrefix(at, "/components/") && strings.Count(at, "/") == 2 || at == "/paths" || strings.HasSuffix(at, "/headers")
}

// site rewrites a schema that stands for a whole value: there, and not where schemas are
// joined (allOf and its kin), is the place to say that nothing else may be in an object.
func (w *rewriter) site(v any, at string, depth int) (any, error) {
	out, err := w.schema(v, at, depth)
	m, ok := out.(map[string]any)
	if err != nil || !ok || w.reading != asRequest || strings.HasPrefix(at, "/components/schemas/") && strings.Count(at, "/") == 3 {
		return out, err // a named schema may be joined elsewhere: its places of use close it
	}
	if _, said := m["unevaluatedProperties"]; !said && w.described(v, 0) {
		m["unevaluatedProperties"] = false // clause: use.public-api
	}
	return m, nil
}

// described reports whether a schema names fields: one that names none means any.
func (w *rewriter) described(v any, depth int) bool {
	m, ok := v.(map[string]any)
	if !ok || depth > 20 {
		return false
	}
	if ref, ok := m["$ref"].(string); ok && strings.HasPrefix(ref, "#") {
		if to, _, err := w.d.at(ref[1:]); err == nil && w.described(to, depth+1) {
			return true
		}
	}
	if m["properties"] != nil || m["patternProperties"] != nil {
		return true
	}
	for _, k := range []string{"allOf", "anyOf", "oneOf"} {
		s, _ := m[k].([]any)
		if slices.ContainsFunc(s, func(v any) bool { return w.described(v, depth+1) }) {
			return true
		}
	}
	return false
}

// Keywords by what stands in them.
var (
	ofSites   = []string{"items", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "contains", "propertyNames", "contentSchema"}
	ofSchemas = []string{"not", "if", "then", "else"}
	mapsOf    = []string{"properties", "patternProperties"}
	mapsJoin  = []string{"$defs", "definitions", "dependentSchemas"}
	listsJoin = []string{"allOf", "anyOf", "oneOf"}
	dropped   = []string{"example", "examples", "default", "xml", "externalDocs", "discriminator", "deprecated", "description", "title", "$comment", "contentEncoding", "contentMediaType", "contentSchema"}
	unknown   = []string{"$id", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$vocabulary"}
)

func (w *rewriter) schema(v any, at string, depth int) (any, error) {
	m, ok := v.(map[string]any)
	if !ok {
		if _, ok := v.(bool); ok && !w.old {
			return v, nil
		}
		return nil, w.d.fault(at, "a schema was expected")
	}
	if depth > deepestDoc {
		return nil, w.d.fault(at, errDepth.Error())
	}
	for _, k := range unknown {
		if _, said := m[k]; said {
			return nil, w.d.fault(at+"/"+k, "this keyword is not taken: schemas refer to each other by #/…")
		}
	}
	if s, said := m["$schema"].(string); said && s != jsonschema.Draft2020.String() && s != "https://json-schema.org/draft/2020-12/schema" && !strings.HasPrefix(s, "https://spec.openapis.org/oas/3.1/dialect/") {
		return nil, w.d.fault(at+"/$schema", "schemas of another dialect are not taken")
	}
	if ref, said := m["$ref"]; said {
		if s, ok := ref.(string); !ok || !strings.HasPrefix(s, "#/") {
			return nil, w.d.fault(at+"/$ref", "a reference leads outside this document")
		} else if _, _, err := w.d.at(s[1:]); err != nil {
			return nil, w.d.fault(at+"/$ref", "there is nothing where it leads")
		}
		if w.old { // 3.0: what stands beside a reference counts for nothing
			return map[string]any{"$ref": ref}, nil
		}
	}
	out := maps.Clone(m)
	for _, k := range append(dropped, "$schema") {
		delete(out, k)
	}
	if err := w.below(m, out, at, depth); err != nil {
		return nil, err
	}
	if w.old {
		oldWays(out)
	}
	w.direction(m, out)
	return out, nil
}

// below rewrites the schemas within one.
func (w *rewriter) below(m, out map[string]any, at string, depth int) (err error) {
	one := func(k string, f func(any, string, int) (any, error)) {
		if v, said := m[k]; said && err == nil && out[k] != nil {
			if _, plain := v.(bool); plain { // additionalProperties: false, in 3.0 as well
				return
			}
			out[k], err = f(v, at+"/"+k, depth+1)
		}
	}
	for _, k := range ofSites {
		one(k, w.site)
	}
	for _, k := range ofSchemas {
		one(k, w.schema)
	}
	each := func(k string, f func(any, string, int) (any, error)) {
		in, ok := m[k].(map[string]any)
		if !ok || err != nil {
			return
		}
		to := make(map[string]any, len(in))
		for _, name := range sorted(in) {
			if to[name], err = f(in[name], at+"/"+k+"/"+escape(name), depth+1); err != nil {
				return
			}
		}
		out[k] = to
	}
	for _, k := range mapsOf {
		each(k, w.site)
	}
	for _, k := range mapsJoin {
		each(k, w.schema)
	}
	list := func(k string, f func(any, string, int) (any, error)) {
		in, ok := m[k].([]any)
		if !ok || err != nil {
			return
		}
		to := make([]any, len(in))
		for i := range in {
			if to[i], err = f(in[i], at+"/"+k+"/"+strconv.Itoa(i), depth+1); err != nil {
				return
			}
		}
		out[k] = to
	}
	for _, k := range listsJoin {
		list(k, w.schema)
	}
	list("prefixItems", w.site)
	return err
}

// oldWays turns what 3.0 says in its own way into JSON Schema.
func oldWays(m map[string]any) {
	if m["nullable"] == true {
		if t, ok := m["type"].(string); ok {
			m["type"] = []any{t, "null"}
		}
	}
	delete(m, "nullable")
	for strict, plain := range map[string]string{"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"} {
		switch m[strict] {
		case true:
			if m[strict] = m[plain]; m[plain] == nil {
				delete(m, strict)
			}
			delete(m, plain)
		case false:
			delete(m, strict)
		}
	}
}

// direction closes the fields of the other direction, and asks for none of them.
func (w *rewriter) direction(m, out map[string]any) {
	mark := [...]string{"readOnly", "writeOnly"}[w.reading]
	delete(out, "readOnly")
	delete(out, "writeOnly")
	props, _ := m["properties"].(map[string]any)
	to, _ := out["properties"].(map[string]any)
	var gone []string
	for _, name := range sorted(props) {
		if p, ok := props[name].(map[string]any); ok && p[mark] == true {
			to[name] = false
			gone = append(gone, name)
		}
	}
	if need, ok := m["required"].([]any); ok && len(gone) > 0 {
		out["required"] = slices.DeleteFunc(slices.Clone(need), func(v any) bool { s, _ := v.(string); return slices.Contains(gone, s) })
	}
}
