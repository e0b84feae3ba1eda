package document

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"writ/internal/canon"
	"writ/internal/fault"
)

// hashPrefix keeps a policy hash apart from every other hash of the same bytes.
const hashPrefix = "writ/policy/v1\n"

// Canonical is the body in canonical JSON (RFC 8785): what is stored, hashed and signed.
func (p *Policy) Canonical() []byte { return canon.MustEncode(p.tree()) }

// BodyHash is SHA-256 over "writ/policy/v1\n" and the canonical body.
func (p *Policy) BodyHash() [32]byte { return HashBody(p.Canonical()) }

// HashBody is the hash of a stored canonical body. Hash what is stored, not what it
// was parsed into.
func HashBody(canonical []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte(hashPrefix))
	h.Write(canonical)
	return [32]byte(h.Sum(nil))
}

// FromCanonical reads a stored body. Words of the vocabulary and rules of style are
// not judged again; types, ranges and structure are. Bytes that Canonical would not
// give back exactly are refused with fault.Malformed, code body_not_canonical.
func FromCanonical(b []byte) (*Policy, error) {
	v, err := canon.Parse(b, 4*maxFile)
	if err != nil {
		return nil, fmt.Errorf("read policy body: %w", err)
	}
	p, ps := fromTree(v)
	if err := Refusal(ps); err != nil {
		return nil, fmt.Errorf("read policy body: %w", err)
	}
	if !bytes.Equal(p.Canonical(), b) {
		return nil, fault.Wrap(fault.Malformed, "body_not_canonical", errors.New("read policy body: it is not in the form that Writ writes"))
	}
	return p, nil
}

func fromTree(v any) (*Policy, []Problem) {
	r := &reader{stored: true}
	p := r.policy(r.fromAny(v))
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	p.lines = nil
	p.reindex()
	return p, nil
}

func (r *reader) fromAny(v any) *node {
	n := &node{}
	switch v := v.(type) {
	case map[string]any:
		n.kind = isMapping
		for _, k := range slices.Sorted(maps.Keys(v)) {
			n.keys = append(n.keys, &node{text: k})
			n.items = append(n.items, r.fromAny(v[k]))
		}
	case []any:
		n.kind = isList
		for _, item := range v {
			n.items = append(n.items, r.fromAny(item))
		}
	case string:
		n.text = v
		r.escaped(n)
	case int64:
		n.text = strconv.FormatInt(v, 10)
	case bool:
		n.text = strconv.FormatBool(v)
	default:
		n.kind = isNothing
	}
	return n
}

// tree is the policy as the value tree of canon: what is absent or default is left
// out, so that each meaning has one form.
func (p *Policy) tree() map[string]any {
	sections := make([]any, len(p.Sections))
	for i := range p.Sections {
		sections[i] = p.Sections[i].tree()
	}
	return map[string]any{
		"writ": "policy/v1",
		"policy": map[string]any{
			"id": p.ID, "title": p.Title, "contact": p.Contact, "author": p.Author, "owners": anys(p.Owners),
		},
		"sections": sections,
	}
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// put adds what is there.
func put(m map[string]any, key string, v any) {
	switch v := v.(type) {
	case string:
		if v == "" {
			return
		}
	case bool:
		if !v {
			return
		}
	case []string:
		if v != nil {
			m[key] = anys(v)
		}
		return
	}
	m[key] = v
}

func (s *Section) tree() map[string]any {
	clauses := make([]any, len(s.Clauses))
	for i := range s.Clauses {
		clauses[i] = s.Clauses[i].tree()
	}
	m := map[string]any{"id": s.ID, "number": s.Number, "title": s.Title, "clauses": clauses}
	put(m, "about", s.About)
	return m
}

func (c *Clause) tree() map[string]any {
	m := map[string]any{"id": c.ID, "says": c.Says, "class": string(c.Class), "by": c.By}
	put(m, "title", c.Title)
	put(m, "via", c.Via)
	put(m, "derived", c.Derived)
	put(m, "why", c.Why)
	put(m, "source", c.Source)
	put(m, "vague", c.Vague)
	if c.Visibility != Public {
		m["visibility"] = string(c.Visibility)
	}
	if c.NoExcept {
		m["exception"] = "never"
	}
	if len(c.Params) > 0 {
		params := map[string]any{}
		for i := range c.Params {
			params[c.Params[i].Name] = c.Params[i].tree()
		}
		m["params"] = params
	}
	if len(c.Checks) > 0 {
		checks := make([]any, len(c.Checks))
		for i, k := range c.Checks {
			checks[i] = k.tree()
		}
		m["check"] = checks
	}
	if c.Record != nil {
		m["record"] = c.Record.tree()
	}
	if len(c.Maps) > 0 {
		ids := map[string]any{}
		for f, list := range c.Maps {
			ids[f] = anys(list)
		}
		m["maps"] = ids
	}
	return m
}

func (a *Param) tree() map[string]any {
	m := map[string]any{"type": string(a.Type), "value": a.literalTree(a.Literal)}
	put(m, "stricter", string(a.Stricter))
	put(m, "of", a.Of)
	put(m, "decide", a.Decide)
	put(m, "silent", a.Silent)
	put(m, "why", a.Why)
	if a.Range != nil {
		m["range"] = []any{a.literalTree(Word(a.Range[0])), a.literalTree(Word(a.Range[1]))}
	}
	if a.Columns != nil {
		columns := make([]any, len(a.Columns))
		for i, c := range a.Columns {
			columns[i] = map[string]any{"name": c.Name, "type": string(c.Type)}
		}
		m["columns"] = columns
	}
	return m
}

// literalTree writes int and bool as what they are, everything else as it is spelled.
func (a *Param) literalTree(l Literal) any {
	switch a.Type {
	case Int:
		n, _ := parseInt(l.Text)
		return n
	case Bool:
		return l.Text == "true"
	case Set, CIDRSet:
		return anys(l.List)
	case Table:
		table := make([]any, len(l.Rows))
		for i, row := range l.Rows {
			table[i] = anys(row)
		}
		return table
	}
	return l.Text
}

func (k Check) tree() map[string]any {
	m := map[string]any{string(k.Kind): k.Control, "every": k.Every.Text, "fresh_for": k.FreshFor.Text}
	put(m, "expect", k.Expect)
	put(m, "population", k.Population)
	return m
}

func (r *Record) tree() map[string]any {
	m := map[string]any{"form": r.Form}
	put(m, "signed_by", r.SignedBy)
	put(m, "not", r.Not)
	put(m, "valid_for", r.ValidFor.Text)
	put(m, "gate", r.Gate)
	return m
}
