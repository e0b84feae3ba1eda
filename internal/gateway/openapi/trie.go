package openapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// maxVars bounds the variables of one path.
const maxVars = 8

// Path is one path of a description and what may be done there.
type Path struct {
	Template string // as it is written, after the servers' common path
	Allow    string // the methods, for a 405
	ops      map[string]*Operation
	vars     []string
}

// node is one place in the tree of paths. Literal names come before names with a variable
// within, and these before a variable alone: the more special one counts.
type node struct {
	literal map[string]*node
	mixed   []mixedEdge
	any     *node
	leaf    *Path
}

type mixedEdge struct {
	before, after string
	to            *node
}

// segment is one part of a template.
type segment struct {
	before, name, after string // name "" = literal, in before
}

func (s segment) rank() int {
	switch {
	case s.name == "":
		return 2
	case s.before != "" || s.after != "":
		return 1
	}
	return 0
}

// parseTemplate cuts a template into its segments.
func parseTemplate(t string) ([]segment, string) {
	if t == "" || t[0] != '/' {
		return nil, "a path begins with a slash"
	}
	if strings.ContainsAny(t, "?#%;\\") || strings.Contains(t, "//") {
		return nil, "a path is written plainly: without escapes, query and empty segments"
	}
	var out []segment
	names := map[string]bool{}
	for part := range strings.SplitSeq(t[1:], "/") {
		if part == "." || part == ".." {
			return nil, "a path has no dot segments"
		}
		s := segment{before: part}
		if before, rest, ok := strings.Cut(part, "{"); ok {
			name, after, ok := strings.Cut(rest, "}")
			if !ok || name == "" || strings.ContainsAny(after, "{}") || strings.Contains(name, "{") {
				return nil, "a segment of a path has one variable at most, written {name}"
			}
			if names[name] || len(names) == maxVars {
				return nil, fmt.Sprintf("a path has up to %d variables, each once", maxVars)
			}
			names[name] = true
			s = segment{before, name, after}
		} else if strings.Contains(part, "}") {
			return nil, "a segment of a path has one variable at most, written {name}"
		}
		out = append(out, s)
	}
	return out, ""
}

// overlap reports whether one path may match both templates, and neither is the more
// special one: then applications disagree on which is meant.
func overlap(a, b []segment) bool {
	if len(a) != len(b) {
		return false
	}
	more, less := false, false
	for i := range a {
		x, y := a[i], b[i]
		switch {
		case x.rank() == 2 && y.rank() == 2:
			if x.before != y.before {
				return false
			}
			continue
		case x.rank() == 2 && !y.takes(x.before), y.rank() == 2 && !x.takes(y.before):
			return false
		case x.rank() == 1 && y.rank() == 1 && apart(x, y):
			return false
		}
		more, less = more || x.rank() > y.rank(), less || x.rank() < y.rank()
	}
	return more == less
}

// takes reports whether a segment with a variable matches a text.
func (s segment) takes(text string) bool {
	return len(text) > len(s.before)+len(s.after) && strings.HasPrefix(text, s.before) && strings.HasSuffix(text, s.after)
}

// apart reports whether nothing matches both of two mixed segments.
func apart(x, y segment) bool {
	return !strings.HasPrefix(x.before, y.before) && !strings.HasPrefix(y.before, x.before) ||
		!strings.HasSuffix(x.after, y.after) && !strings.HasSuffix(y.after, x.after)
}

func (n *node) add(segs []segment, leaf *Path) {
	for _, s := range segs {
		n = n.step(s)
	}
	n.leaf = leaf
}

func (n *node) step(s segment) *node {
	switch s.rank() {
	case 2:
		if n.literal == nil {
			n.literal = map[string]*node{}
		}
		if n.literal[s.before] == nil {
			n.literal[s.before] = &node{}
		}
		return n.literal[s.before]
	case 1:
		for _, e := range n.mixed {
			if e.before == s.before && e.after == s.after {
				return e.to
			}
		}
		e := mixedEdge{s.before, s.after, &node{}}
		n.mixed = append(n.mixed, e)
		return e.to
	}
	if n.any == nil {
		n.any = &node{}
	}
	return n.any
}

// span is where a variable's value lies in the path.
type span struct{ from, to int }

// find walks the tree; spans are of the whole path, which begins at offset at.
func (n *node) find(path string, at int, vars []span) (*Path, []span) {
	if at > len(path) {
		return n.leaf, vars
	}
	end := len(path)
	if i := strings.IndexByte(path[at:], '/'); i >= 0 {
		end = at + i
	}
	seg := path[at:end]
	if to := n.literal[seg]; to != nil {
		if p, v := to.find(path, end+1, vars); p != nil {
			return p, v
		}
	}
	for _, e := range n.mixed {
		if (segment{e.before, "x", e.after}).takes(seg) {
			if p, v := e.to.find(path, end+1, append(vars, span{at + len(e.before), end - len(e.after)})); p != nil {
				return p, v
			}
		}
	}
	if n.any != nil && seg != "" {
		return n.any.find(path, end+1, append(vars, span{at, end}))
	}
	return nil, nil
}

// Match is what the descriptions say of one request.
type Match struct {
	Path  *Path
	Op    *Operation // nil = the method is not described
	Exact bool       // false: only in other capitals, or with a slash at its end
	path  string
	vars  [maxVars]span
}

// Find looks a canonical, decoded path up. Without an exact match it takes one that many
// applications hold for the same: other capitals, a slash at the end.
func (a *API) Find(method, path string) (m Match) { // clause: use.public-api
	if len(path) == 0 || path[0] != '/' {
		return m
	}
	m.path, m.Exact = path, true
	p, vars := a.tree.find(path, 1, m.vars[:0])
	if p == nil {
		m.Exact = false
		low := path
		if len(low) > 1 {
			low = strings.TrimSuffix(low, "/")
		}
		if p, vars = a.fold.find(lower(low), 1, m.vars[:0]); p == nil {
			return Match{}
		}
	}
	copy(m.vars[:], vars)
	m.Path, m.Op = p, p.ops[method]
	if m.Op == nil && method == http.MethodHead {
		m.Op = p.ops[http.MethodGet]
	}
	return m
}

// lower changes ASCII letters alone, so that offsets stay.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// value is the i-th variable's.
func (m *Match) value(i int) string { return m.path[m.vars[i].from:m.vars[i].to] }

// allow lists a path's methods.
func (p *Path) list() {
	var all []string
	for m := range p.ops {
		all = append(all, m)
		if m == http.MethodGet && p.ops[http.MethodHead] == nil {
			all = append(all, http.MethodHead)
		}
	}
	slices.Sort(all)
	p.Allow = strings.Join(all, ", ")
}
