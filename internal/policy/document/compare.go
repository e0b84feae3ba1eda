package document

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Level says what a change does to a promise.
type Level string

// The levels. Looser, Gone and Incomparable need the signatures of a loosening.
const (
	Same         Level = ""
	Moved        Level = "moved"        // another place, same promise
	TextOnly     Level = "text"         // other words or another spelling, same values
	Tighter      Level = "tighter"      // promises more
	Looser       Level = "looser"       // promises less
	Incomparable Level = "incomparable" // neither, or both
	New          Level = "new"
	Gone         Level = "gone"
)

var levels = []Level{Tighter, Looser, TextOnly, Moved, New, Gone, Incomparable}

// Detail is one changed thing.
type Detail struct {
	What  string `json:"what"` // params/ttl, says, class, check/canary identity.reset/every …
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
	Level Level  `json:"level"`
}

// Change is what happened to one clause.
type Change struct {
	Clause  string   `json:"clause"`
	Section string   `json:"section"` // in the new policy; in the old one when it is gone
	Level   Level    `json:"level"`
	Details []Detail `json:"details,omitempty"`
}

// Diff is the difference between two policies, by value and not by text.
type Diff struct {
	Header   []Detail `json:"header,omitempty"`
	Sections []Detail `json:"sections,omitempty"`
	Clauses  []Change `json:"clauses,omitempty"` // in the order of the new policy; those gone come last

	words bool // the words of an attested clause changed
	rules bool // a number about approval changed
}

// approvals are the clauses whose parameters say how a revision is approved.
var approvals = []string{"gov.owners", "gov.approver-is-owner", "gov.sod", "gov.signed-dated"}

// Compare says what new does to old.
func Compare(old, new *Policy) Diff {
	d := Diff{Header: compareHeader(old.Header, new.Header), Sections: compareSections(old, new)}
	moved := movedClauses(old, new)
	for s, c := range new.Each() {
		before, ok := old.Clause(c.ID)
		if !ok {
			d.Clauses = append(d.Clauses, Change{Clause: c.ID, Section: s.ID, Level: New})
			continue
		}
		details := compareClause(before, c)
		if from, ok := moved[c.ID]; ok {
			details = append(details, Detail{"place", from, s.ID, Moved})
		}
		if len(details) == 0 {
			continue
		}
		d.Clauses = append(d.Clauses, Change{c.ID, s.ID, strongest(details), details})
		d.words = d.words || before.Says != c.Says && (before.Class == Attested || c.Class == Attested)
		d.rules = d.rules || slices.Contains(approvals, c.ID) && slices.ContainsFunc(details, func(x Detail) bool {
			return strings.HasPrefix(x.What, "params/") && x.Level != TextOnly
		})
	}
	for s, c := range old.Each() {
		if _, ok := new.Clause(c.ID); !ok {
			d.Clauses = append(d.Clauses, Change{Clause: c.ID, Section: s.ID, Level: Gone})
		}
	}
	return d
}

// Empty reports whether nothing changed at all.
func (d Diff) Empty() bool { return len(d.Header)+len(d.Sections)+len(d.Clauses) == 0 }

// Count is how many clauses changed at a level.
func (d Diff) Count(l Level) int {
	n := 0
	for _, c := range d.Clauses {
		if c.Level == l {
			n++
		}
	}
	return n
}

// Summary is the difference in a line: "3 tighter, 1 looser, 12 text".
func (d Diff) Summary() string {
	var parts []string
	for _, l := range levels {
		if n := d.Count(l); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, l))
		}
	}
	for _, h := range d.Header {
		parts = append(parts, strings.TrimPrefix(h.What, "policy.")+" changed")
	}
	if len(parts) == 0 && len(d.Sections) > 0 {
		return "headings only"
	}
	if len(parts) == 0 {
		return "no change"
	}
	return strings.Join(parts, ", ")
}

// NeedsLoosen reports whether the change needs the signatures of a loosening: a
// clause looser, gone or incomparable (a class lowered, a check removed or run less
// often are looser), owners or numbers about approval changed, or the words of an
// attested clause changed.
func (d Diff) NeedsLoosen() bool {
	if d.words || d.rules || d.Count(Looser)+d.Count(Gone)+d.Count(Incomparable) > 0 {
		return true
	}
	return slices.ContainsFunc(d.Header, func(h Detail) bool { return h.Level == Incomparable })
}

// Material reports whether staff must acknowledge anew: a looser, new, gone or incomparable clause.
func (d Diff) Material() bool {
	return d.Count(Looser)+d.Count(New)+d.Count(Gone)+d.Count(Incomparable) > 0
}

// strongest is the one level of a clause. Tighter here and looser there cannot be
// weighed against each other.
func strongest(details []Detail) Level {
	has := func(l Level) bool { return slices.ContainsFunc(details, func(d Detail) bool { return d.Level == l }) }
	switch {
	case has(Incomparable) || has(Tighter) && has(Looser):
		return Incomparable
	case has(Looser):
		return Looser
	case has(Tighter):
		return Tighter
	case has(TextOnly):
		return TextOnly
	}
	return Moved
}

func compareHeader(a, b Header) []Detail {
	l := &tally{}
	l.words("policy.id", a.ID, b.ID, Incomparable)
	l.words("policy.title", a.Title, b.Title, TextOnly)
	l.words("policy.contact", a.Contact, b.Contact, TextOnly)
	l.words("policy.author", a.Author, b.Author, TextOnly)
	l.words("policy.owners", join(a.Owners, "and"), join(b.Owners, "and"), Incomparable)
	return l.details
}

func compareSections(old, new *Policy) []Detail {
	l := &tally{}
	before := map[string]*Section{}
	var order, now []string
	for i := range old.Sections {
		before[old.Sections[i].ID] = &old.Sections[i]
	}
	for i := range new.Sections {
		s := &new.Sections[i]
		o, ok := before[s.ID]
		if !ok {
			l.add("section "+s.ID, "", s.Title, TextOnly)
			continue
		}
		now = append(now, s.ID)
		l.words("section "+s.ID+" number", o.Number, s.Number, TextOnly)
		l.words("section "+s.ID+" title", o.Title, s.Title, TextOnly)
		l.words("section "+s.ID+" about", o.About, s.About, TextOnly)
	}
	for i := range old.Sections {
		if slices.Contains(now, old.Sections[i].ID) {
			order = append(order, old.Sections[i].ID)
		} else {
			l.add("section "+old.Sections[i].ID, old.Sections[i].Title, "", TextOnly)
		}
	}
	if !slices.Equal(order, now) {
		l.add("order of sections", join(order, "and"), join(now, "and"), Moved)
	}
	return l.details
}

// movedClauses names the clauses that stand elsewhere, with the section they came
// from: another section, or out of the longest order that both policies share.
func movedClauses(old, new *Policy) map[string]string {
	was := map[string]int{}
	from := map[string]string{}
	n := 0
	for s, c := range old.Each() {
		was[c.ID] = n
		from[c.ID] = s.ID
		n++
	}
	moved := map[string]string{}
	var ids []string
	var places []int
	for s, c := range new.Each() {
		at, ok := was[c.ID]
		switch {
		case !ok:
		case from[c.ID] != s.ID:
			moved[c.ID] = from[c.ID]
		default:
			ids, places = append(ids, c.ID), append(places, at)
		}
	}
	kept := longestRise(places)
	for i, id := range ids {
		if !kept[i] {
			moved[id] = from[id]
		}
	}
	return moved
}

// longestRise marks the members of a longest rising subsequence.
func longestRise(seq []int) []bool {
	tails, prev := []int{}, make([]int, len(seq))
	for i, v := range seq {
		at, _ := slices.BinarySearchFunc(tails, v, func(t, v int) int { return seq[t] - v })
		prev[i] = -1
		if at > 0 {
			prev[i] = tails[at-1]
		}
		if at == len(tails) {
			tails = append(tails, i)
		} else {
			tails[at] = i
		}
	}
	in := make([]bool, len(seq))
	if len(tails) > 0 {
		for i := tails[len(tails)-1]; i >= 0; i = prev[i] {
			in[i] = true
		}
	}
	return in
}

// tally collects the details of one comparison.
type tally struct{ details []Detail }

func (l *tally) add(what, old, new string, level Level) {
	if level != Same {
		l.details = append(l.details, Detail{what, old, new, level})
	}
}

func (l *tally) words(what, old, new string, level Level) {
	if old != new {
		l.add(what, old, new, level)
	}
}

// ranked compares two words by their place in a list that begins with the strictest.
func (l *tally) ranked(what, old, new string, strictestFirst []string) {
	if old != new {
		l.add(what, old, new, direction(slices.Index(strictestFirst, old)-slices.Index(strictestFirst, new)))
	}
}

// sets compares two sorted sets of which the larger one is stricter.
func (l *tally) sets(what string, old, new []string, level Level) {
	if !slices.Equal(old, new) {
		if level == Same {
			level = bySets(covered(new, old), covered(old, new))
		}
		l.add(what, join(old, "and"), join(new, "and"), level)
	}
}

// direction is Tighter for a positive, Looser for a negative number.
func direction(n int) Level {
	switch {
	case n > 0:
		return Tighter
	case n < 0:
		return Looser
	}
	return Same
}

// bySets is the level when the new set holds all of the old one, and the reverse,
// where more is tighter.
func bySets(grew, shrank bool) Level {
	switch {
	case grew && shrank:
		return Same
	case grew:
		return Tighter
	case shrank:
		return Looser
	}
	return Incomparable
}

// covered reports whether a holds all of b; both are sorted.
func covered(a, b []string) bool {
	return !slices.ContainsFunc(b, func(s string) bool {
		_, ok := slices.BinarySearch(a, s)
		return !ok
	})
}

func flip(l Level) Level {
	switch l {
	case Tighter:
		return Looser
	case Looser:
		return Tighter
	}
	return l
}

func compareClause(a, b *Clause) []Detail {
	l := &tally{}
	l.words("title", a.Title, b.Title, TextOnly)
	l.words("says", a.Says, b.Says, TextOnly)
	l.words("why", a.Why, b.Why, TextOnly)
	l.words("source", a.Source, b.Source, TextOnly)
	l.words("vague", a.Vague, b.Vague, TextOnly)
	l.words("derived", strconv.FormatBool(a.Derived), strconv.FormatBool(b.Derived), TextOnly)
	l.ranked("class", string(a.Class), string(b.Class), []string{string(Enforced), string(Checked), string(Attested)})
	l.words("by", a.By, b.By, Incomparable)
	l.via(a.Via, b.Via)
	l.ranked("visibility", string(a.Visibility), string(b.Visibility), []string{string(Public), string(Summary), string(Hidden)})
	l.ranked("exception", neverOr(a.NoExcept), neverOr(b.NoExcept), []string{"never", "allowed"})
	l.params(a, b)
	l.checks(a.Checks, b.Checks)
	l.record(a.Record, b.Record)
	for _, f := range slices.Sorted(maps.Keys(union(a.Maps, b.Maps))) {
		l.sets("maps/"+f, a.Maps[f], b.Maps[f], TextOnly)
	}
	return l.details
}

func neverOr(never bool) string {
	if never {
		return "never"
	}
	return "allowed"
}

func union[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return all
}

// via: one source is enough, so a further source is looser.
func (l *tally) via(a, b []string) {
	if (len(a) == 0) != (len(b) == 0) {
		l.add("via", join(a, "or"), join(b, "or"), Incomparable)
		return
	}
	l.sets("via", a, b, flip(bySets(covered(b, a), covered(a, b))))
}

func (l *tally) params(a, b *Clause) {
	for i := range b.Params {
		now := &b.Params[i]
		before, ok := a.Param(now.Name)
		if !ok {
			l.add("params/"+now.Name, "", now.Literal.String(), Incomparable)
			continue
		}
		l.param("params/"+now.Name, before, now)
	}
	for i := range a.Params {
		if before := &a.Params[i]; !has(b, before.Name) {
			l.add("params/"+before.Name, before.Literal.String(), "", Incomparable)
		}
	}
}

func has(c *Clause, name string) bool { _, ok := c.Param(name); return ok }

func (l *tally) param(what string, a, b *Param) {
	l.words(what+"/decide", a.Decide, b.Decide, TextOnly)
	l.words(what+"/why", a.Why, b.Why, TextOnly)
	l.words(what+"/silent", strconv.FormatBool(a.Silent), strconv.FormatBool(b.Silent), TextOnly)
	l.words(what+"/type", string(a.Type), string(b.Type), Incomparable)
	l.words(what+"/stricter", string(a.Stricter), string(b.Stricter), Incomparable)
	if a.Type != b.Type {
		return
	}
	if !slices.Equal(a.Of, b.Of) {
		level := Incomparable
		if a.Type == Set && a.Of != nil && b.Of != nil {
			level = flip(bySets(covered(b.Of, a.Of), covered(a.Of, b.Of)))
		}
		l.add(what+"/of", join(a.Of, "or"), join(b.Of, "or"), level)
	}
	if !slices.Equal(a.Columns, b.Columns) {
		l.add(what+"/columns", fmt.Sprint(a.Columns), fmt.Sprint(b.Columns), Incomparable)
	}
	l.ranges(what+"/range", a, b)
	level := CompareValues(b, a.Value, b.Value)
	if level == Same && !a.Literal.Equal(b.Literal) {
		level = TextOnly
	}
	l.add(what, a.Literal.String(), b.Literal.String(), level)
}

// ranges: a wall moved outwards is looser, whichever wall it is.
func (l *tally) ranges(what string, a, b *Param) {
	if slices.Equal(a.Range, b.Range) {
		return
	}
	old, new := strings.Join(a.Range, " to "), strings.Join(b.Range, " to ")
	switch {
	case a.Range == nil:
		l.add(what, old, new, Tighter)
	case b.Range == nil:
		l.add(what, old, new, Looser)
	default:
		least := compareOrdered(scalarOf(b, 0), scalarOf(a, 0))
		most := compareOrdered(scalarOf(a, 1), scalarOf(b, 1))
		level := bySets(least >= 0 && most >= 0, least <= 0 && most <= 0)
		if level == Same {
			level = TextOnly
		}
		l.add(what, old, new, level)
	}
}

func scalarOf(a *Param, end int) any {
	v, _ := parseScalar(a.Type, a.Range[end], nil)
	return v
}

// CompareValues is what changing the parameter's value from old to new does, by
// meaning: Same, Tighter, Looser or Incomparable. Both must be of a's type.
func CompareValues(a *Param, old, new any) Level {
	switch old := old.(type) {
	case []string:
		new := new.([]string)
		return a.directed(bySets(covered(new, old), covered(old, new)), Superset)
	case []netip.Prefix:
		new := new.([]netip.Prefix)
		return a.directed(bySets(covers(new, old), covers(old, new)), Superset)
	case [][]string:
		if slices.EqualFunc(old, new.([][]string), slices.Equal) {
			return Same
		}
		return Incomparable
	case bool:
		if old == new.(bool) {
			return Same
		}
		if !old {
			return a.directed(Tighter, IfTrue)
		}
		return a.directed(Looser, IfTrue)
	}
	if a.Type == Enum {
		return a.directed(direction(slices.Index(a.Of, new.(string))-slices.Index(a.Of, old.(string))), Last)
	}
	level := direction(compareOrdered(new, old))
	if !a.Type.ranged() && old != new {
		level = Incomparable
	}
	return a.directed(level, Higher)
}

// directed turns a level that holds for the direction up into the parameter's own.
func (a *Param) directed(l Level, up Stricter) Level {
	switch {
	case l == Same || l == Incomparable || a.Stricter == up:
		return l
	case a.Stricter == NoDirection:
		return Incomparable
	}
	return flip(l)
}

// checks are the same when kind and control are.
func (l *tally) checks(a, b []Check) {
	name := func(k Check) string { return string(k.Kind) + " " + k.Control }
	find := func(list []Check, k Check) (Check, bool) {
		i := slices.IndexFunc(list, func(o Check) bool { return name(o) == name(k) })
		if i < 0 {
			return Check{}, false
		}
		return list[i], true
	}
	for _, now := range b {
		what := "check/" + name(now)
		before, ok := find(a, now)
		if !ok {
			l.add(what, "", "every "+now.Every.Text, Tighter)
			continue
		}
		l.longer(what+"/every", before.Every, now.Every)
		l.longer(what+"/fresh_for", before.FreshFor, now.FreshFor)
		l.words(what+"/expect", before.Expect, now.Expect, Incomparable)
		l.words(what+"/population", before.Population, now.Population, Incomparable)
	}
	for _, before := range a {
		if _, ok := find(b, before); !ok {
			l.add("check/"+name(before), "every "+before.Every.Text, "", Looser)
		}
	}
	if len(l.details) == 0 && !slices.EqualFunc(a, b, func(x, y Check) bool { return name(x) == name(y) }) {
		l.add("order of checks", "", "", TextOnly)
	}
}

// longer: a longer time is looser; none is for ever.
func (l *tally) longer(what string, a, b Literal) {
	if a.Equal(b) {
		return
	}
	level := TextOnly
	was, _ := ParseDuration(a.Text)
	is, _ := ParseDuration(b.Text)
	switch {
	case a.Text == "":
		level = Tighter
	case b.Text == "":
		level = Looser
	case was != is:
		level = direction(compareOrdered(was, is))
	}
	l.add(what, a.Text, b.Text, level)
}

func (l *tally) record(a, b *Record) {
	switch {
	case a == nil && b == nil:
	case a == nil:
		l.add("record", "", b.Form, Tighter)
	case b == nil:
		l.add("record", a.Form, "", Looser)
	default:
		l.words("record/form", a.Form, b.Form, Incomparable)
		l.words("record/signed_by", a.SignedBy, b.SignedBy, Incomparable)
		l.sets("record/not", a.Not, b.Not, Same)
		l.longer("record/valid_for", a.ValidFor, b.ValidFor)
		l.present("record/gate", a.Gate, b.Gate)
	}
}

// present: something where there was nothing is tighter.
func (l *tally) present(what, a, b string) {
	switch {
	case a == "" && b != "":
		l.add(what, a, b, Tighter)
	case a != "" && b == "":
		l.add(what, a, b, Looser)
	default:
		l.words(what, a, b, Incomparable)
	}
}
