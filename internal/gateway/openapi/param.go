package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// param is a described parameter.
type param struct {
	in, name string
	required bool
	blank    bool // an empty value is as good as none
	index    int  // of a path's variable
	join     byte // between the items of a list: , or | or a space; 0 = each item is said by itself
	list     bool
	json     bool // its text is JSON
	deep     bool // name[field]=…
	types    types
	fields   map[string]types // of deep
	schema   *judged
	pointer  string // of the schema
}

// types are what a text may stand for.
type types struct{ integer, number, boolean, text, null, list, object bool }

// parameters reads those of an operation and of the path above it; the operation's own
// take the place of the path's.
func (c *compiler) parameters(p *Path, op *Operation, above, at string) error {
	seen := map[string]string{}
	for _, level := range []string{at, above} {
		v, _, err := c.d.at(level)
		if err != nil {
			return err
		}
		list, _ := child(v, "parameters").([]any)
		for i := range list {
			x, err := c.parameter(fmt.Sprintf("%s/parameters/%d", level, i))
			if err != nil {
				return err
			}
			if x == nil {
				continue
			}
			key := x.in + " " + x.name
			if was, twice := seen[key]; twice {
				if was == level {
					return c.d.fault(level+"/parameters", "a parameter is described twice")
				}
				continue
			}
			seen[key] = level
			op.params = append(op.params, x)
		}
	}
	order := []string{"path", "query", "header", "cookie"}
	slices.SortStableFunc(op.params, func(a, b *param) int { return slices.Index(order, a.in) - slices.Index(order, b.in) })
	for _, x := range op.params {
		switch x.in {
		case "path":
			if x.index = slices.Index(p.vars, x.name); x.index < 0 {
				return c.d.fault(at, "a parameter of the path has no place in it: "+x.name)
			}
		case "query":
			op.query[x.name] = x
			if x.deep {
				delete(op.query, x.name)
				op.deep[x.name] = x
			}
		case "cookie":
			op.cookies[x.name] = true
		case "header":
			op.headers[x.name] = true
		}
	}
	for _, name := range p.vars {
		if seen["path "+name] == "" {
			return c.d.fault(at, "no parameter describes the variable {"+name+"} of the path")
		}
	}
	return nil
}

// Headers that the standard takes out of descriptions, and our own cookies.
var notOurs = []string{"Accept", "Content-Type", "Authorization"}

func (c *compiler) parameter(pointer string) (*param, error) {
	v, at, err := c.d.at(pointer)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, c.d.fault(at, "an object was expected")
	}
	x := &param{}
	x.in, _ = m["in"].(string)
	x.name, _ = m["name"].(string)
	x.required = m["required"] == true
	x.blank = m["allowEmptyValue"] == true && x.in == "query"
	if x.in == "header" {
		x.name = http.CanonicalHeaderKey(x.name)
		if slices.Contains(notOurs, x.name) {
			return nil, nil //nolint:nilnil // the standard: such a description is not looked at
		}
	}
	if x.in == "cookie" && strings.HasPrefix(strings.ToLower(x.name), "__host-writ") {
		return nil, nil //nolint:nilnil // it never reaches the application
	}
	x.pointer = at + "/schema"
	if content, ok := m["content"].(map[string]any); ok {
		if len(content) != 1 || content["application/json"] == nil {
			return nil, c.d.fault(at+"/content", "a parameter is plain or application/json")
		}
		x.json, x.pointer = true, at+"/content/application~1json/schema"
	}
	if x.schema, err = c.schema(asRequest, x.pointer); err != nil {
		return nil, err
	}
	if !x.json {
		x.types = c.types(x.pointer, 0)
		err = c.style(x, m, at)
	}
	return x, err
}

// style reads how a value is written. What no two applications read alike is refused.
func (c *compiler) style(x *param, m map[string]any, at string) error {
	style, _ := m["style"].(string)
	if style == "" {
		style = map[string]string{"path": "simple", "query": "form", "header": "simple", "cookie": "form"}[x.in]
	}
	explode, said := m["explode"].(bool)
	if !said {
		explode = style == "form"
	}
	x.list = x.types.list
	switch x.in + " " + style {
	case "path simple", "header simple":
		x.join = ','
	case "query form":
		if !explode {
			x.join = ','
		}
	case "query spaceDelimited":
		x.join = ' '
	case "query pipeDelimited":
		x.join = '|'
	case "query deepObject":
		return c.deepObject(x, at)
	case "cookie form":
		if x.list {
			return c.d.fault(at, "a list in a cookie is not taken: use content application/json")
		}
	default:
		return c.d.fault(at+"/style", "this style is not taken")
	}
	if x.join != 0 && explode && x.join != ',' {
		x.join = 0
	}
	if x.types.object {
		return c.d.fault(at, "an object is written as deepObject in the query, or with content application/json")
	}
	if x.list {
		x.types = c.types(x.pointer+"/items", 0)
		if _, place, err := c.d.at(x.pointer); err == nil {
			x.types = c.types(place+"/items", 0)
		}
		if x.types.list || x.types.object {
			return c.d.fault(at, "lists in a parameter hold plain values: use content application/json")
		}
	}
	return nil
}

func (c *compiler) deepObject(x *param, at string) error {
	x.deep, x.fields = true, map[string]types{}
	v, place, err := c.d.at(x.pointer)
	props, ok := child(v, "properties").(map[string]any)
	if err != nil || !ok {
		return c.d.fault(at, "a deepObject has properties")
	}
	for _, name := range sorted(props) {
		t := c.types(place+"/properties/"+escape(name), 0)
		if t.list || t.object {
			return c.d.fault(at, "a deepObject in a parameter holds plain values: use content application/json")
		}
		x.fields[name] = t
	}
	return nil
}

// types collects what a schema may be, through references and joined schemas.
func (c *compiler) types(pointer string, depth int) (t types) {
	v, at, err := c.d.at(pointer)
	m, ok := v.(map[string]any)
	if err != nil || !ok || depth > 10 {
		return t
	}
	t = typesOf(m["type"])
	if m["type"] == nil {
		some, _ := m["enum"].([]any)
		if k, said := m["const"]; said {
			some = append(some, k)
		}
		for _, v := range some {
			switch v.(type) {
			case string:
				t.text = true
			case bool:
				t.boolean = true
			case int64, json.Number:
				t.number = true
			}
		}
		if m["properties"] != nil {
			t.object = true
		}
		if m["items"] != nil {
			t.list = true
		}
		for _, k := range listsJoin {
			list, _ := m[k].([]any)
			for i := range list {
				t = t.or(c.types(fmt.Sprintf("%s/%s/%d", at, k, i), depth+1))
			}
		}
	}
	return t
}

func (t types) or(o types) types {
	return types{t.integer || o.integer, t.number || o.number, t.boolean || o.boolean, t.text || o.text, t.null || o.null, t.list || o.list, t.object || o.object}
}

// value is what a text stands for: the narrowest thing that the schema speaks of.
func (t types) value(text string) any {
	switch {
	case t.integer && isInteger(text), t.number && isNumber(text):
		if v, err := number(text); err == nil {
			return v
		}
	case t.boolean && text == "true":
		return true
	case t.boolean && text == "false":
		return false
	}
	return text
}

func isInteger(s string) bool {
	s = strings.TrimPrefix(s, "-")
	if s == "" || len(s) > 1 && s[0] == '0' || len(s) > maxDigits {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func isNumber(s string) bool {
	if s == "" || len(s) > maxDigits || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return false
	}
	return json.Valid([]byte(s))
}

// check judges one value of a parameter; raw is as it was sent, for lists.
func (x *param) check(raw string, decode func(string) (string, bool)) (keyword string, bad *jsonschema.ValidationError) {
	if x.list {
		var items []any
		if raw == "" {
			return x.judge(items)
		}
		if hidden(raw, x.join) {
			return "delimiter", nil
		}
		for part := range strings.SplitSeq(raw, string(x.join)) {
			text, ok := decode(part)
			if !ok {
				return "encoding", nil
			}
			items = append(items, x.types.value(text))
		}
		return x.judge(items)
	}
	text, ok := decode(raw)
	switch {
	case !ok:
		return "encoding", nil
	case text == "" && x.blank:
		return "", nil
	case x.json:
		v, err := parseJSON([]byte(text))
		if err != nil {
			return "json", nil
		}
		return x.judge(v)
	}
	return x.judge(x.types.value(text))
}

// hidden reports whether the sign between the items of a list is also there in escaped
// form: some applications take it for the same, some do not.
func hidden(raw string, join byte) bool {
	if join == ' ' {
		return false
	}
	for i := 0; i+2 < len(raw); i++ {
		if raw[i] == '%' {
			if n, err := strconv.ParseUint(raw[i+1:i+3], 16, 8); err == nil && byte(n) == join {
				return true
			}
		}
	}
	return false
}

func (x *param) judge(v any) (string, *jsonschema.ValidationError) {
	if s, ok := v.([]any); ok && s == nil {
		v = []any{}
	}
	return judge(x.schema, v)
}

// judge asks a schema. The library's error is kept for its places and keywords alone.
func judge(s *judged, v any) (string, *jsonschema.ValidationError) {
	if s.quick != nil && s.quick.yes(v) {
		return "", nil
	}
	err := s.whole.Validate(v)
	if err == nil {
		return "", nil
	}
	if bad, ok := err.(*jsonschema.ValidationError); ok { //nolint:errorlint // the library returns this type and no other
		return "schema", bad
	}
	return "schema", nil
}
