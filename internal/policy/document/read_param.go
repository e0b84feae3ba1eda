package document

import (
	"slices"
	"strings"
)

var paramKeys = []string{"range", "stricter", "of", "columns", "decide", "silent", "why"}

// param reads one parameter: its type first, then everything the type gives a meaning to.
func (r *reader) param(n *node, name string, class Class) Param {
	a := Param{Name: name}
	f, ok := r.mapping(n, []string{"type", "value"}, paramKeys)
	if f == nil {
		return a
	}
	a.Decide, a.Why = r.text(f["decide"], maxText), r.text(f["why"], maxText)
	if a.Silent = r.truth(f["silent"]); a.Silent && a.Why == "" {
		r.refuse(n.at, "silent without why", "the reason for its absence from the sentence")
	}
	a.Type = Type(r.word(f["type"], stringsOf(types), "type"))
	if !ok || a.Type == "" {
		return a
	}
	if a.Type == Text && class == Enforced && !a.Silent {
		r.refuse(f["type"].at, "a text parameter in a clause that is enforced", "a type that a machine can obey, or class checked or attested")
	}
	if !r.stricter(&a, f["stricter"]) || !r.choices(&a, f["of"], n) || !r.columns(&a, f["columns"], n) || !r.bounds(&a, f["range"]) {
		return a
	}
	lit, ok := r.literal(f["value"], a.Type)
	if !ok {
		return a
	}
	var err error
	a.Literal, a.Value, err = a.parse(lit)
	r.wrong(f["value"].at, err)
	if err == nil && a.Type == Ref {
		r.reference(f["value"].at, a.Literal.Text)
	}
	return a
}

func stringsOf[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

func (r *reader) stricter(a *Param, n *node) bool {
	if n == nil {
		return true
	}
	known := stringsOf(directions(a.Type))
	if len(known) == 0 {
		r.refuse(n.at, "stricter on a "+string(a.Type), "no direction: any change of it is incomparable")
		return false
	}
	a.Stricter = Stricter(r.word(n, known, "direction"))
	return a.Stricter != ""
}

func (r *reader) choices(a *Param, n, whole *node) bool {
	switch {
	case n == nil && a.Type != Enum:
		return true
	case n == nil:
		r.refuse(whole.at, "an enum without of", "of: [the choices, in order]")
		return false
	case a.Type != Enum && a.Type != Set:
		r.refuse(n.at, "of on a "+string(a.Type), "of on an enum or a set")
		return false
	}
	before := len(r.problems)
	for _, item := range r.list(n, maxMembers, "choices") {
		s, ok := r.scalar(item, maxLine)
		if ok && slices.Contains(a.Of, s) {
			r.refuse(item.at, quote(s)+" a second time", "each once")
		}
		a.Of = append(a.Of, s)
	}
	if len(a.Of) == 0 && len(r.problems) == before && !r.full() {
		r.refuse(n.at, "no choice", "at least one")
	}
	if a.Type == Set {
		slices.Sort(a.Of)
	}
	return len(r.problems) == before && !r.full()
}

func (r *reader) columns(a *Param, n, whole *node) bool {
	switch {
	case n == nil && a.Type != Table:
		return true
	case n == nil:
		r.refuse(whole.at, "a table without columns", "columns: [{name, type}]")
		return false
	case a.Type != Table:
		r.refuse(n.at, "columns on a "+string(a.Type), "columns on a table")
		return false
	}
	before := len(r.problems)
	for _, item := range r.list(n, maxColumns, "columns") {
		f, ok := r.mapping(item, []string{"name", "type"}, nil)
		if !ok {
			continue
		}
		c := Column{Name: r.matching(f["name"], paramName, maxID, "a name"), Type: Type(r.word(f["type"], stringsOf(columnTypes), "type"))}
		if slices.ContainsFunc(a.Columns, func(o Column) bool { return o.Name == c.Name }) {
			r.refuse(item.at, "column "+quote(c.Name)+" a second time", "each once")
		}
		a.Columns = append(a.Columns, c)
	}
	if len(a.Columns) == 0 && len(r.problems) == before && !r.full() {
		r.refuse(n.at, "no column", "at least one")
	}
	return len(r.problems) == before && !r.full()
}

func (r *reader) bounds(a *Param, n *node) bool {
	if n == nil {
		return true
	}
	if !a.Type.ranged() {
		r.refuse(n.at, "a range on a "+string(a.Type), "a range on duration, int, percent, size or date")
		return false
	}
	items := r.list(n, 2, "bounds")
	if len(items) != 2 {
		if n.kind == isList && len(items) < 2 && len(n.items) < 2 {
			r.refuse(n.at, "less than two bounds", "[least, greatest]")
		}
		return false
	}
	var ends [2]any
	for i, item := range items {
		lit, ok := r.literal(item, a.Type)
		if !ok {
			return false
		}
		v, err := parseScalar(a.Type, lit.Text, nil)
		if err != nil {
			r.wrong(item.at, err)
			return false
		}
		ends[i] = v
		a.Range = append(a.Range, lit.Text)
	}
	if compareOrdered(ends[0], ends[1]) > 0 {
		r.refuse(n.at, "a range from "+a.Range[0]+" to "+a.Range[1], "the least value first")
		return false
	}
	return true
}

// literal reads a value as its type is written.
func (r *reader) literal(n *node, t Type) (Literal, bool) {
	if n.kind == isRefused {
		return Literal{}, false
	}
	switch t.shape() {
	case list:
		if n.kind != isList {
			r.refuse(n.at, n.what(), "a list: [a, b]")
			return Literal{}, false
		}
		out, ok := r.cells(n)
		return Literal{List: out}, ok
	case rows:
		if n.kind != isList {
			r.refuse(n.at, n.what(), "a list of rows: [[a, b], [c, d]]")
			return Literal{}, false
		}
		table := [][]string{}
		for _, row := range n.items {
			if row.kind == isRefused {
				return Literal{}, false
			}
			if row.kind != isList || len(row.items) == 0 {
				r.refuse(row.at, row.what(), "a row: [a, b]")
				return Literal{}, false
			}
			cells, ok := r.cells(row)
			if !ok {
				return Literal{}, false
			}
			table = append(table, cells)
		}
		return Literal{Rows: table}, true
	}
	if n.kind == isNumber && t != Text && t != Enum { // the type refuses it in its own words
		return Word(n.text), true
	}
	s, ok := r.scalar(n, maxText)
	return Word(s), ok
}

func (r *reader) cells(n *node) ([]string, bool) {
	out := []string{}
	for _, item := range n.items {
		s, ok := r.scalar(item, maxText)
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

// reference refuses a person or a role that does not exist.
func (r *reader) reference(at position, ref string) {
	kind, name, _ := strings.Cut(ref, "/")
	switch {
	case r.stored:
	case kind == "person" && len(r.v.People) > 0 && !slices.Contains(r.v.People, ref):
		r.refuseNear(at, "unknown "+ref, "a person that exists", nearest(ref, r.v.People))
	case kind == "role" && len(r.v.Roles) > 0 && !slices.Contains(r.v.Roles, name):
		r.refuseNear(at, "unknown "+ref, "a role that exists", nearest(name, r.v.Roles))
	}
}
