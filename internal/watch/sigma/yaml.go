package sigma

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	mostBytes = 256 << 10
	mostNodes = 40_000
	mostDeep  = 20
	mostDocs  = 200
)

type kind int

const (
	mapping kind = iota
	list
	text
	number
	truth
	null
)

// node is a value of a file, with its place.
type node struct {
	kind      kind
	text      string  // of a scalar, as it is written
	num       float64 // of a number
	line, col int
	pairs     []pair
	items     []*node
}

type pair struct {
	key       string
	line, col int
	val       *node
}

// get finds a key; nil = it is not there.
func (n *node) get(key string) *node {
	if n == nil || n.kind != mapping {
		return nil
	}
	for i := range n.pairs {
		if n.pairs[i].key == key {
			return n.pairs[i].val
		}
	}
	return nil
}

// word is the text of a key's scalar.
func (n *node) word(key string) string {
	if v := n.get(key); v != nil && v.kind != mapping && v.kind != list {
		return v.text
	}
	return ""
}

// list is a sequence's parts, or the one value that stands for it.
func (n *node) list() []*node {
	switch {
	case n == nil:
		return nil
	case n.kind == list:
		return n.items
	}
	return []*node{n}
}

// reader turns a file into nodes, within bounds.
type reader struct {
	nodes int
}

// read reads the documents of a file.
func read(b []byte) (docs []*node, err *Error) {
	if len(b) > mostBytes {
		return nil, &Error{Line: 1, Col: 1, Problem: fmt.Sprintf("the file has %d bytes, at most %d are read", len(b), mostBytes)}
	}
	defer func() { // the library is another's, and the file is anybody's
		if p := recover(); p != nil {
			docs, err = nil, &Error{Line: 1, Col: 1, Problem: "this is not read as YAML"}
		}
	}()
	if err := plain(lexer.Tokenize(string(b))); err != nil {
		return nil, err
	}
	f, perr := parser.ParseBytes(b, 0)
	if perr != nil {
		return nil, syntaxError(perr)
	}
	r := &reader{}
	for _, d := range f.Docs {
		if d == nil || d.Body == nil || d.Body.Type() == ast.CommentType {
			continue
		}
		if len(docs) >= mostDocs {
			return nil, at(d.Body, "the file holds more than 200 rules")
		}
		n, err := r.node(d.Body, 0)
		if err != nil {
			return nil, err
		}
		docs = append(docs, n)
	}
	return docs, nil
}

// plain looks at the words of a file before it is read whole: what refers, repeats or nests
// without end is not read.
func plain(ts token.Tokens) *Error {
	deep, dashes, line := 0, 0, 0
	for _, t := range ts {
		at := func(format string, args ...any) *Error {
			return &Error{Line: t.Position.Line, Col: t.Position.Column, Problem: fmt.Sprintf(format, args...)}
		}
		if t.Position.Line != line {
			line, dashes = t.Position.Line, 0
		}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return at("aliases and anchors of YAML are not read; write the value out")
		case token.TagType, token.DirectiveType, token.MappingKeyType:
			return at("tags, directives and keys with ? are not read")
		case token.SequenceStartType, token.MappingStartType:
			deep++
		case token.SequenceEndType, token.MappingEndType:
			deep--
		case token.SequenceEntryType:
			dashes++
		}
		if deep > mostDeep || dashes > mostDeep || t.Position.Column > 4*mostDeep*mostDeep && t.Type == token.SequenceEntryType {
			return at("the file nests deeper than %d", mostDeep)
		}
	}
	return nil
}

func syntaxError(err error) *Error {
	e := &Error{Line: 1, Col: 1, Problem: "this is not YAML"}
	if y, ok := err.(yaml.Error); ok { //nolint:errorlint // the library's own kind, never wrapped
		if t := y.GetToken(); t != nil && t.Position != nil {
			e.Line, e.Col = t.Position.Line, t.Position.Column
		}
		e.Problem += ": " + firstLine(y.GetMessage())
	}
	return e
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return strings.ToValidUTF8(s[:min(len(s), 200)], "")
}

func at(n ast.Node, problem string) *Error {
	e := &Error{Line: 1, Col: 1, Problem: problem}
	if t := n.GetToken(); t != nil && t.Position != nil {
		e.Line, e.Col = t.Position.Line, t.Position.Column
	}
	return e
}

func (r *reader) node(a ast.Node, deep int) (*node, *Error) {
	if r.nodes++; r.nodes > mostNodes {
		return nil, at(a, fmt.Sprintf("the file holds more than %d values", mostNodes))
	}
	if deep > mostDeep {
		return nil, at(a, fmt.Sprintf("the file nests deeper than %d", mostDeep))
	}
	n := &node{line: 1, col: 1}
	if t := a.GetToken(); t != nil && t.Position != nil {
		n.line, n.col, n.text = t.Position.Line, t.Position.Column, t.Value
	}
	switch v := a.(type) {
	case *ast.MappingNode:
		return n, r.pairs(n, v.Values, deep)
	case *ast.MappingValueNode:
		return n, r.pairs(n, []*ast.MappingValueNode{v}, deep)
	case *ast.SequenceNode:
		n.kind = list
		for _, x := range v.Values {
			item, err := r.node(x, deep+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
	case *ast.StringNode:
		n.kind, n.text = text, v.Value
	case *ast.LiteralNode:
		n.kind, n.text = text, v.Value.Value
	case *ast.IntegerNode:
		n.kind = number
		switch i := v.Value.(type) {
		case int64:
			n.num = float64(i)
		case uint64:
			n.num = float64(i)
		}
	case *ast.FloatNode:
		n.kind, n.num = number, v.Value
	case *ast.BoolNode:
		n.kind = truth
	case *ast.NullNode:
		n.kind = null
	default:
		return nil, at(a, "this kind of value is not read")
	}
	return n, nil
}

func (r *reader) pairs(n *node, vs []*ast.MappingValueNode, deep int) *Error {
	n.kind = mapping
	for _, v := range vs {
		key, err := r.node(v.Key, deep+1)
		if err != nil {
			return err
		}
		if key.kind == mapping || key.kind == list {
			return at(v, "a key is a word")
		}
		val := &node{kind: null, line: key.line, col: key.col}
		if v.Value != nil {
			if val, err = r.node(v.Value, deep+1); err != nil {
				return err
			}
		}
		n.pairs = append(n.pairs, pair{key.text, key.line, key.col, val})
	}
	return nil
}
