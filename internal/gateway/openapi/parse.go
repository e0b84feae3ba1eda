package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Bounds of what is parsed, of requests and of descriptions.
const (
	maxDepth   = 64
	maxDigits  = 400 // of a number as it is written: the exact value of 1e999999999 takes a gigabyte
	maxFile    = 4 << 20
	deepestDoc = 200
)

// errJSON is what stands for JSON and is not, or is more than anybody needs.
var (
	errSyntax    = errors.New("it is not JSON")
	errDepth     = errors.New("it is nested too deeply")
	errNumber    = errors.New("it holds a number that is too long")
	errDuplicate = errors.New("it says a name twice")
)

// jsonReader builds a value out of tokens. Names said twice and broken UTF-8 are the
// decoder's to refuse.
type jsonReader struct {
	dec   *jsontext.Decoder
	depth int
	lines map[string]int // pointer → line, where somebody asks
	src   []byte
	line  int
	seen  int // bytes of src whose line breaks are in line
}

// parseJSON reads one value and nothing after it. Integers of up to 18 digits come as
// int64, other numbers as json.Number.
func parseJSON(b []byte) (any, error) {
	r := jsonReader{dec: jsontext.NewDecoder(bytes.NewReader(b)), depth: maxDepth}
	return r.whole()
}

func (r *jsonReader) whole() (any, error) {
	v, err := r.value()
	if err == nil {
		if _, err = r.dec.ReadToken(); errors.Is(err, io.EOF) {
			return v, nil
		}
		err = errSyntax
	}
	switch {
	case errors.Is(err, errDepth), errors.Is(err, errNumber):
	case errors.Is(err, jsontext.ErrDuplicateName):
		err = errDuplicate
	default:
		err = errSyntax
	}
	return nil, err
}

func (r *jsonReader) value() (any, error) {
	t, err := r.dec.ReadToken()
	if err != nil {
		return nil, err //nolint:wrapcheck // judged by whole
	}
	r.note()
	switch t.Kind() {
	case 'n':
		return nil, nil //nolint:nilnil // null is a value
	case 't', 'f':
		return t.Bool(), nil
	case '"':
		return t.String(), nil
	case '0':
		return number(t.String())
	case '{', '[':
		if r.depth--; r.depth < 0 {
			return nil, errDepth
		}
		defer func() { r.depth++ }()
		if t.Kind() == '{' {
			return r.object()
		}
		return r.array()
	}
	return nil, errSyntax
}

func (r *jsonReader) object() (any, error) {
	m := map[string]any{}
	for r.dec.PeekKind() != '}' {
		name, err := r.dec.ReadToken()
		if err != nil {
			return nil, err //nolint:wrapcheck // judged by whole
		}
		key := name.String() // before the next token takes its place
		if m[key], err = r.value(); err != nil {
			return nil, err
		}
	}
	_, err := r.dec.ReadToken()
	return m, err //nolint:wrapcheck // judged by whole
}

func (r *jsonReader) array() (any, error) {
	s := []any{}
	for r.dec.PeekKind() != ']' {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		s = append(s, v)
	}
	_, err := r.dec.ReadToken()
	return s, err //nolint:wrapcheck // judged by whole
}

// note remembers the line of the value that was just begun.
func (r *jsonReader) note() {
	if r.lines == nil {
		return
	}
	at := min(int(r.dec.InputOffset()), len(r.src))
	r.line += bytes.Count(r.src[r.seen:at], []byte{'\n'})
	r.seen = at
	r.lines[string(r.dec.StackPointer())] = r.line + 1
}

// number keeps what is written, within reason.
func number(text string) (any, error) {
	if len(text) <= 18 && !strings.ContainsAny(text, ".eE") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
	}
	if len(text) > maxDigits {
		return nil, errNumber
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		if e, err := strconv.Atoi(text[i+1:]); err != nil || e > maxDigits || e < -maxDigits {
			return nil, errNumber
		}
	}
	return json.Number(text), nil
}

// document is a description as it was written.
type document struct {
	name  string
	root  map[string]any
	lines map[string]int // pointer → line
}

// parseDocument reads JSON or YAML. The error names the line.
func parseDocument(name string, b []byte) (*document, error) {
	d := &document{name: name, lines: map[string]int{}}
	if len(b) > maxFile {
		return nil, d.fault("", "the file is larger than 4 MiB")
	}
	var root any
	var err error
	if begin := bytes.TrimLeft(b, " \t\r\n\ufeff"); len(begin) > 0 && begin[0] == '{' {
		root, err = d.json(bytes.TrimPrefix(b, []byte("\ufeff")))
	} else {
		root, err = d.yaml(b)
	}
	if err != nil {
		return nil, err
	}
	m, ok := root.(map[string]any)
	if !ok {
		return nil, d.fault("", "the document is not an object")
	}
	d.root = m
	return d, nil
}

func (d *document) json(b []byte) (any, error) {
	r := jsonReader{dec: jsontext.NewDecoder(bytes.NewReader(b)), depth: deepestDoc, lines: d.lines, src: b}
	v, err := r.whole()
	if err == nil {
		return v, nil
	}
	at := min(int(r.dec.InputOffset()), len(b))
	return nil, &Fault{File: d.name, Line: 1 + bytes.Count(b[:at], []byte{'\n'}), Pointer: string(r.dec.StackPointer()), Problem: err.Error()}
}

func (d *document) yaml(b []byte) (any, error) {
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		line := 1
		text := "it is not YAML"
		if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil {
			line, text = e.GetToken().Position.Line, "it is not YAML: "+e.GetMessage()
		}
		return nil, &Fault{File: d.name, Line: line, Problem: text}
	}
	if len(f.Docs) != 1 || f.Docs[0].Body == nil {
		return nil, d.fault("", "one document was expected in the file")
	}
	return d.node(f.Docs[0].Body, "", deepestDoc)
}

// node turns a node of YAML into what JSON would hold.
func (d *document) node(n ast.Node, at string, depth int) (any, error) {
	if t := n.GetToken(); t != nil && t.Position != nil {
		d.lines[at] = t.Position.Line
	}
	if depth == 0 {
		return nil, d.fault(at, errDepth.Error())
	}
	switch n := n.(type) {
	case *ast.NullNode:
		return nil, nil //nolint:nilnil // null is a value
	case *ast.BoolNode:
		return n.Value, nil
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode:
		return json.Number(fmt.Sprint(n.Value)), nil
	case *ast.FloatNode:
		return json.Number(strconv.FormatFloat(n.Value, 'g', -1, 64)), nil
	case *ast.MappingNode:
		return d.mapping(n.Values, at, depth)
	case *ast.MappingValueNode:
		return d.mapping([]*ast.MappingValueNode{n}, at, depth)
	case *ast.SequenceNode:
		s := []any{}
		for i, v := range n.Values {
			x, err := d.node(v, at+"/"+strconv.Itoa(i), depth-1)
			if err != nil {
				return nil, err
			}
			s = append(s, x)
		}
		return s, nil
	}
	return nil, d.fault(at, "aliases, anchors, tags and special numbers of YAML are not taken")
}

func (d *document) mapping(values []*ast.MappingValueNode, at string, depth int) (any, error) {
	m := map[string]any{}
	for _, kv := range values {
		key := ""
		switch k := kv.Key.(type) {
		case *ast.StringNode:
			key = k.Value
		case *ast.IntegerNode: // statuses are written without quotes
			key = k.Token.Value
		default:
			return nil, d.fault(at, "a name is not plain text")
		}
		if _, twice := m[key]; twice {
			return nil, d.fault(at, "a name is said twice")
		}
		below := at + "/" + escape(key)
		if t := kv.Key.GetToken(); t != nil && t.Position != nil {
			d.lines[below] = t.Position.Line
		}
		v, err := d.node(kv.Value, below, depth-1)
		if err != nil {
			return nil, err
		}
		if t := kv.Key.GetToken(); t != nil && t.Position != nil {
			d.lines[below] = t.Position.Line // of the name, where one looks for it
		}
		m[key] = v
	}
	return m, nil
}

// Fault is why a description is not taken: what is wrong, and where.
type Fault struct {
	File    string
	Line    int    // 0 = not known
	Pointer string // JSON pointer (RFC 6901) into the document
	Problem string
}

// Error implements error.
func (f *Fault) Error() string {
	s := f.File
	if f.Line > 0 {
		s += ":" + strconv.Itoa(f.Line)
	}
	if f.Pointer != "" {
		s += ": at " + f.Pointer
	}
	return s + ": " + f.Problem
}

// fault is a problem at a pointer, with the line of that or of what it lies in.
func (d *document) fault(pointer, problem string) *Fault {
	f := &Fault{File: d.name, Pointer: pointer, Problem: problem}
	for at := pointer; ; at = at[:strings.LastIndexByte(at, '/')] {
		if line, ok := d.lines[at]; ok {
			f.Line = line
			return f
		}
		if at == "" {
			return f
		}
	}
}

func escape(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

func unescape(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~1", "/"), "~0", "~")
}

// at follows a pointer and every reference on its way, and returns what is there and
// where that really is.
func (d *document) at(pointer string) (value any, place string, err error) {
	hops := 0
	value, place = any(d.root), ""
	rest := pointer
	for {
		if m, ok := value.(map[string]any); ok {
			if ref, ok := m["$ref"].(string); ok {
				if hops++; hops > 40 {
					return nil, place, d.fault(place, "references lead in a circle")
				}
				if ref != "" && ref[0] == '#' {
					value, place, rest = any(d.root), "", ref[1:]+rest
					continue
				}
				return nil, place, d.fault(place, "a reference leads outside this document")
			}
		}
		if rest == "" {
			return value, place, nil
		}
		key, more, _ := strings.Cut(rest[1:], "/")
		if more != "" || strings.HasSuffix(rest[1:], "/") {
			more = "/" + more
		}
		if value = child(value, unescape(key)); value == nil {
			return nil, place, d.fault(pointer, "there is nothing here, and something refers to it")
		}
		place, rest = place+"/"+key, more
	}
}

func child(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		return v[key]
	case []any:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(v) {
			return v[i]
		}
	}
	return nil
}

// sorted are the names of an object, so that whatever is said of it is said in one order.
func sorted(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
