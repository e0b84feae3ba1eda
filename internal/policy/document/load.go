package document

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
	"golang.org/x/text/unicode/norm"
)

// Load reads a policy file, at most 1 MiB of YAML, against a vocabulary. It returns
// either a policy or problems, all of them up to MaxProblems, in the order of the file.
func Load(b []byte, v Vocabulary) (*Policy, []Problem) {
	r := &reader{v: v}
	p := r.load(b)
	if len(r.problems) > 0 {
		sortProblems(r.problems)
		return nil, r.problems
	}
	p.reindex()
	return p, nil
}

func (r *reader) load(b []byte) *Policy {
	if len(b) > maxFile {
		r.refuse(position{1, 1}, fmt.Sprintf("%d bytes", len(b)), atMost(maxFile, "bytes"))
		return nil
	}
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	if !r.scan(b) {
		return nil
	}
	root := r.parse(b)
	if root == nil {
		return nil
	}
	return r.policy(root)
}

// scan looks at the raw bytes: what may not even stand in a comment. It returns
// false when the bytes are not worth parsing.
func (r *reader) scan(b []byte) bool {
	if !utf8.Valid(b) {
		at := position{1, 1}
		for len(b) > 0 {
			c, size := utf8.DecodeRune(b)
			if c == utf8.RuneError && size == 1 {
				break
			}
			if at.column++; c == '\n' {
				at = position{at.line + 1, 1}
			}
			b = b[size:]
		}
		r.refuse(at, fmt.Sprintf("byte 0x%02x", b[0]), "UTF-8")
		return false
	}
	marks := 0
	line := 0
	for text := range strings.Lines(string(b)) {
		line++
		text = strings.TrimSuffix(text, "\n")
		if r.characters(text, line); r.full() {
			return false
		}
		marks++
		for i := range len(text) {
			if strings.IndexByte(",:-[]{}\"'&*!?|>%#", text[i]) >= 0 {
				marks++
			}
		}
	}
	if marks > maxMarks {
		r.refuse(position{1, 1}, fmt.Sprintf("%d marks of punctuation and lines", marks), atMost(maxMarks, "of them"))
		return false
	}
	return true
}

func (r *reader) characters(line string, n int) {
	column := 0
	for _, c := range line {
		if column++; r.full() {
			return
		}
		if why := unreadable(c); why != "" {
			r.refuse(position{n, column}, fmt.Sprintf("%U, %s", c, why), "characters that everyone sees")
		}
	}
	if !norm.NFC.IsNormalString(line) {
		same := commonPrefix(line, norm.NFC.String(line))
		r.refuse(position{n, utf8.RuneCountInString(line[:same]) + 1}, "text that is not in normal form NFC", "composed characters")
	}
}

func commonPrefix(a, b string) int {
	n := 0
	for i, c := range a {
		if !strings.HasPrefix(b[n:], string(c)) {
			return i
		}
		n += utf8.RuneLen(c)
	}
	return n
}

// unreadable says why a character may not stand in a policy, "" when it may.
func unreadable(c rune) string {
	switch {
	case c == ' ' || c >= '!' && c <= '~':
		return ""
	case c == '\t':
		return "a tab"
	case c == 0xFEFF:
		return "a byte order mark"
	case unicode.Is(unicode.Bidi_Control, c):
		return "a bidirectional control"
	case unicode.In(c, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return "an invisible character"
	case unicode.In(c, unicode.Zs, unicode.Zl, unicode.Zp):
		return "a space that is no plain space"
	case unicode.IsControl(c):
		return "a control character"
	case !unicode.IsPrint(c):
		return "a character without a known shape"
	}
	return ""
}

// node is a YAML or JSON value with every scalar as text.
type node struct {
	kind  nodeKind
	text  string
	at    position
	items []*node // list
	keys  []*node // mapping, parallel to items
}

type nodeKind uint8

const (
	isText   nodeKind = iota
	isNumber          // a bare number with a point or an exponent: its digits are not to be trusted
	isNothing
	isList
	isMapping
	isRefused // reported already
)

func (n *node) what() string {
	switch n.kind {
	case isNothing:
		return "nothing"
	case isList:
		return "a list"
	case isMapping:
		return "a mapping"
	}
	return quote(n.text)
}

// quote shows a text with everything invisible escaped, cut to a readable length.
func quote(s string) string {
	const most = 60
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return strconv.Quote(s)
}

// parse turns YAML into a node, refusing all that has no place in a policy file.
func (r *reader) parse(b []byte) (root *node) {
	defer func() { // the YAML reader is foreign code and its input is foreign bytes
		if recover() != nil {
			r.refuse(position{1, 1}, "text that cannot be read as YAML", "YAML")
			root = nil
		}
	}()
	tokens := lexer.Tokenize(string(b))
	if !r.tokens(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		r.refuse(position{1, 1}, "an empty file", "a policy that begins with "+Format)
		return nil
	}
	return r.convert(file.Docs[0].Body, 0)
}

func (r *reader) syntax(err error) {
	var e interface {
		GetToken() *token.Token
		GetMessage() string
	}
	at, message := position{1, 1}, "text that cannot be read as YAML"
	if errors.As(err, &e) && e.GetToken() != nil {
		at, message = place(e.GetToken()), "YAML that cannot be read ("+e.GetMessage()+")"
	}
	r.refuse(at, message, "well-formed YAML")
}

func place(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{1, 1}
	}
	return position{t.Position.Line, t.Position.Column}
}

// tokens refuses the features of YAML that let one file be read in two ways, and
// nesting that would exhaust the parser's stack.
func (r *reader) tokens(tokens token.Tokens) bool {
	flow, entries, line := 0, 0, 0
	for i, t := range tokens {
		if l := place(t).line; l != line {
			line, entries = l, 0
		}
		switch t.Type {
		case token.AnchorType:
			r.refuse(place(t), "an anchor", "the value itself, written out")
		case token.AliasType:
			r.refuse(place(t), "an alias", "the value itself, written out")
		case token.MergeKeyType:
			r.refuse(place(t), "a merge key", "the keys themselves, written out")
		case token.TagType:
			r.refuse(place(t), "a tag", "a plain value; the schema gives its type")
		case token.DirectiveType:
			r.refuse(place(t), "a directive", "no YAML directives")
		case token.MappingKeyType:
			r.refuse(place(t), "a complex key", "key: value")
		case token.DocumentHeaderType, token.DocumentEndType:
			if i > 0 {
				r.refuse(place(t), "a second document", "one document")
			}
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow = max(flow-1, 0)
		case token.SequenceEntryType, token.MappingValueType:
			if flow == 0 {
				entries++
			}
		}
		if flow > maxNesting || entries > maxNesting {
			r.refuse(place(t), "nesting deeper than any policy", atMost(maxNesting, "levels"))
			return false
		}
		if r.full() {
			return false
		}
	}
	return true
}

func (r *reader) convert(n ast.Node, depth int) *node {
	if n == nil {
		return &node{kind: isNothing, at: position{1, 1}}
	}
	out := &node{at: place(n.GetToken())}
	if depth > maxNesting {
		r.refuse(out.at, "nesting deeper than any policy", atMost(maxNesting, "levels"))
		out.kind = isRefused
		return out
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		out.kind = isMapping
		if len(n.Values) > 0 {
			out.at = place(n.Values[0].Key.GetToken())
		}
		for _, v := range n.Values {
			r.entry(out, v, depth)
		}
	case *ast.MappingValueNode:
		out.kind, out.at = isMapping, place(n.Key.GetToken())
		r.entry(out, n, depth)
	case *ast.SequenceNode:
		out.kind = isList
		for _, v := range n.Values {
			out.items = append(out.items, r.convert(v, depth+1))
		}
	case *ast.NullNode:
		out.kind = isNothing
	case *ast.StringNode:
		out.text = n.Value
		if strings.Contains(n.Token.Origin, `\`) {
			r.escaped(out)
		}
	case *ast.LiteralNode:
		out.text = n.Value.Value
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = isNumber, n.GetToken().Value
	case *ast.IntegerNode, *ast.BoolNode:
		out.text = n.GetToken().Value
	default: // anchor, alias, tag: reported with their tokens
		out.kind = isRefused
		if len(r.problems) == 0 {
			r.refuse(out.at, "YAML that a policy does not use", "text, lists and mappings")
		}
	}
	return out
}

func (r *reader) entry(m *node, v *ast.MappingValueNode, depth int) {
	key := r.convert(v.Key, depth+1)
	value := r.convert(v.Value, depth+1)
	if t := v.Value; t == nil || t.GetToken() == nil || t.GetToken().Type == token.ImplicitNullType {
		value.at = key.at
	}
	m.keys, m.items = append(m.keys, key), append(m.items, value)
}

// escaped looks at text that was written with escapes, which the raw scan cannot see.
func (r *reader) escaped(n *node) {
	for _, c := range n.text {
		if why := unreadable(c); why != "" && c != '\n' {
			r.refuse(n.at, fmt.Sprintf("%U, %s, behind an escape", c, why), "characters that everyone sees")
			return
		}
	}
	if !norm.NFC.IsNormalString(n.text) {
		r.refuse(n.at, "text that is not in normal form NFC, behind an escape", "composed characters")
	}
}
