package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Media is a described body of one media type.
type Media struct {
	Type    string // as described: may end in /*
	form    form
	schema  *judged
	pointer string
	fields  map[string]types // of forms
	text    map[string]bool  // fields of forms that are lists of plain values
	needed  bool
}

type form int

const (
	asJSON form = iota
	asForm
	asParts
	asText
	asBytes // not looked into
)

// Read reports whether the body is to be read and judged.
func (m *Media) Read() bool { return m.form != asBytes }

// Most is how much of a body is judged; more is refused.
func (m *Media) Most() int64 {
	if m.form == asParts {
		return 10 << 20
	}
	return 1 << 20
}

const maxParts = 100

// formOf says how bodies of a media type are read.
func formOf(kind string) form {
	switch {
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		return asJSON
	case kind == "application/x-www-form-urlencoded":
		return asForm
	case kind == "multipart/form-data":
		return asParts
	case strings.HasPrefix(kind, "text/") && !strings.HasSuffix(kind, "*"):
		return asText
	}
	return asBytes
}

func (c *compiler) body(op *Operation, m map[string]any, at string) error {
	if m["requestBody"] == nil {
		return nil
	}
	v, place, err := c.d.at(at + "/requestBody")
	if err != nil {
		return err
	}
	content, ok := child(v, "content").(map[string]any)
	if !ok || len(content) == 0 {
		return c.d.fault(place, "a body has a media type")
	}
	op.hasBody, op.needsBody = true, child(v, "required") == true
	for _, kind := range sorted(content) {
		md, err := c.media(kind, place+"/content/"+escape(kind))
		if err != nil {
			return err
		}
		md.needed = op.needsBody
		op.media = append(op.media, md)
	}
	return nil
}

func (c *compiler) media(kind, at string) (*Media, error) {
	want, _, err := mime.ParseMediaType(kind)
	if err != nil {
		return nil, c.d.fault(at, "it is no media type")
	}
	md := &Media{Type: want, form: formOf(want), pointer: at + "/schema", fields: map[string]types{}, text: map[string]bool{}}
	v, place, err := c.d.at(at)
	if err != nil {
		return nil, err
	}
	m, _ := v.(map[string]any)
	if m["schema"] == nil {
		return nil, c.d.fault(place, "a media type without a schema would take anything: describe it")
	}
	md.pointer = place + "/schema"
	if md.schema, err = c.schema(asRequest, md.pointer); err != nil {
		return nil, err
	}
	if md.form == asBytes {
		s, _, err := c.d.at(md.pointer)
		if sm, ok := s.(map[string]any); err != nil || ok && len(sm) > 0 && sm["format"] != "binary" && sm["contentMediaType"] == nil && sm["contentEncoding"] == nil {
			return nil, c.d.fault(md.pointer, "bodies of this media type cannot be judged: describe them as {type: string, format: binary}, or use JSON or a form")
		}
		return md, nil
	}
	if md.form == asForm || md.form == asParts {
		return md, c.formFields(md, md.pointer, 0)
	}
	return md, nil
}

// formFields finds the fields of a form, through references and joined schemas.
func (c *compiler) formFields(md *Media, pointer string, depth int) error {
	v, at, err := c.d.at(pointer)
	m, ok := v.(map[string]any)
	if err != nil || !ok || depth > 10 {
		return err
	}
	props, _ := m["properties"].(map[string]any)
	for _, name := range sorted(props) {
		p := at + "/properties/" + escape(name)
		t := c.types(p, 0)
		if t.list {
			_, place, err := c.d.at(p)
			if err != nil {
				return err
			}
			t, md.text[name] = c.types(place+"/items", 0), true
		}
		if (t.object || t.list) && md.form == asForm {
			return c.d.fault(p, "a field of a form holds a plain value or a list of them")
		}
		md.fields[name] = t
	}
	for _, k := range listsJoin {
		list, _ := m[k].([]any)
		for i := range list {
			if err := c.formFields(md, fmt.Sprintf("%s/%s/%d", at, k, i), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// Media finds what is described for a request's body; nil: the media type is not.
func (o *Operation) Media(h http.Header) (md *Media, params map[string]string) { // clause: use.public-api
	said := h["Content-Type"]
	if len(said) != 1 || len(h["Content-Encoding"]) > 1 || h.Get("Content-Encoding") != "" && h.Get("Content-Encoding") != "identity" {
		return nil, nil
	}
	kind, params, err := mime.ParseMediaType(said[0])
	if err != nil {
		return nil, nil
	}
	if cs := strings.ToLower(params["charset"]); cs != "" && cs != "utf-8" && cs != "us-ascii" {
		return nil, nil // its readers might disagree on what it says
	}
	family, _, _ := strings.Cut(kind, "/")
	for _, want := range []string{kind, family + "/*", "*/*"} {
		for _, m := range o.media {
			if m.Type == want && (want == kind || m.form == asBytes) {
				return m, params
			}
		}
	}
	return nil, nil
}

// Takes lists the media types of bodies, for the reader of a refusal.
func (o *Operation) Takes() string {
	var all []string
	for _, m := range o.media {
		all = append(all, m.Type)
	}
	return strings.Join(all, ", ")
}

// Gives reports whether a client that accepts only certain media types can be answered.
func (o *Operation) Gives(h http.Header) bool { // clause: use.public-api
	said := h["Accept"]
	if len(said) == 0 || len(o.accept) == 0 {
		return true
	}
	for part := range strings.SplitSeq(strings.Join(said, ","), ",") {
		want, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil || params["q"] == "0" || params["q"] == "0.0" || params["q"] == "0.00" || params["q"] == "0.000" {
			continue
		}
		family, sub, _ := strings.Cut(want, "/")
		for _, have := range o.accept {
			f, s, _ := strings.Cut(have, "/")
			if (family == "*" || f == "*" || f == family) && (sub == "*" || s == "*" || s == sub) {
				return true
			}
		}
	}
	return false
}

// Body judges a whole body.
func (m *Media) Body(b []byte, params map[string]string) (all []Wrong, err error) { // clause: use.public-api
	defer caught(&err)
	if len(b) == 0 && m.form != asText {
		if m.needed {
			return []Wrong{{"body", "", "required"}}, nil
		}
		return nil, nil
	}
	var v any
	var keyword string
	switch m.form {
	case asJSON:
		v, keyword = jsonBody(b)
	case asForm:
		return m.formBody(b)
	case asParts:
		return m.parts(b, params["boundary"])
	case asText:
		if v = string(b); !utf8.Valid(b) {
			keyword = "encoding"
		}
	case asBytes:
		return nil, nil
	}
	if keyword != "" {
		return []Wrong{{"body", "", keyword}}, nil
	}
	return m.judge(nil, v), nil
}

func jsonBody(b []byte) (v any, keyword string) {
	v, err := parseJSON(b)
	switch {
	case err == nil:
		return v, ""
	case errors.Is(err, errDuplicate):
		return nil, "duplicate"
	case errors.Is(err, errDepth):
		return nil, "depth"
	case errors.Is(err, errNumber):
		return nil, "number"
	}
	return nil, "json"
}

func (m *Media) judge(all []Wrong, v any) []Wrong {
	keyword, bad := judge(m.schema, v)
	switch {
	case bad != nil:
		return places(all, "body", "", bad)
	case keyword != "":
		return append(all, Wrong{"body", "", keyword})
	}
	return all
}

// put adds a field of a form to the object that is judged.
func (m *Media) put(obj map[string]any, name string, v any) (keyword string) {
	if m.text[name] {
		list, _ := obj[name].([]any)
		obj[name] = append(list, v)
		return ""
	}
	if _, twice := obj[name]; twice {
		return "repeated"
	}
	obj[name] = v
	return ""
}

func (m *Media) formBody(b []byte) ([]Wrong, error) {
	obj := map[string]any{}
	var all []Wrong
	n := 0
	for part := range strings.SplitSeq(string(b), "&") {
		if n++; n > 1000 {
			return []Wrong{{"body", "", "parts"}}, nil
		}
		rawName, raw, _ := strings.Cut(part, "=")
		name, ok1 := queryText(rawName)
		text, ok2 := queryText(raw)
		if !ok1 || !ok2 || strings.ContainsRune(part, ';') || !utf8.ValidString(name) || !utf8.ValidString(text) {
			return []Wrong{{"body", "", "encoding"}}, nil
		}
		if k := m.put(obj, name, m.fields[name].value(text)); k != "" {
			all = append(all, Wrong{"body", shown(name), k})
		}
	}
	return m.judge(all, obj), nil
}

// parts judges a multipart form: the names, the plain fields, and that files are where
// files are described. What is in a file is not this step's to judge.
func (m *Media) parts(b []byte, boundary string) ([]Wrong, error) {
	broken := []Wrong{{"body", "", "encoding"}}
	if boundary == "" {
		return broken, nil
	}
	r := multipart.NewReader(bytes.NewReader(b), boundary)
	obj := map[string]any{}
	var all []Wrong
	for n := 0; ; n++ {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m.judge(all, obj), nil
		}
		if err != nil {
			return broken, nil
		}
		if n == maxParts {
			return []Wrong{{"body", "", "parts"}}, nil
		}
		text, err := io.ReadAll(p)
		name := p.FormName()
		if err != nil || name == "" || len(p.Header["Content-Disposition"]) != 1 || p.Header.Get("Content-Transfer-Encoding") != "" {
			return broken, nil
		}
		v, keyword := m.part(p, name, text)
		if keyword == "" {
			keyword = m.put(obj, name, v)
		}
		if keyword != "" {
			all = append(all, Wrong{"body", shown(name), keyword})
		}
	}
}

func (m *Media) part(p *multipart.Part, name string, text []byte) (any, string) {
	t := m.fields[name]
	switch {
	case p.FileName() != "":
		return "file", ""
	case t.object || p.Header.Get("Content-Type") == "application/json":
		return jsonBody(text)
	case !utf8.Valid(text):
		return nil, "encoding"
	}
	return t.value(string(text)), ""
}

func jsonText(v any) ([]byte, error) { return json.Marshal(v) }
