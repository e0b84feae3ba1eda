package document

import (
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"writ/internal/clause"
)

// reader applies the schema to a tree and collects what is wrong.
type reader struct {
	v        Vocabulary
	stored   bool // a body that was adopted once: its words and its style are not judged again
	at       string
	problems []Problem
	clauses  map[string]position
	lines    map[string]position
}

func (r *reader) full() bool { return len(r.problems) >= MaxProblems }

func (r *reader) refuse(at position, found, expected string) { r.refuseNear(at, found, expected, "") }

func (r *reader) refuseNear(at position, found, expected, near string) {
	if !r.full() {
		r.problems = append(r.problems, Problem{Line: at.line, Column: at.column, At: r.at, Found: found, Expected: expected, Near: near, Severity: Error})
	}
}

// within runs fn with a name for where problems are.
func (r *reader) within(at string, fn func()) {
	before := r.at
	r.at = at
	fn()
	r.at = before
}

// fields is a mapping whose keys are known and stand once each.
type fields map[string]*node

// mapping reads the keys of n. Those in required must be there.
func (r *reader) mapping(n *node, required, optional []string) (fields, bool) {
	if n.kind != isMapping {
		if n.kind != isRefused {
			r.refuse(n.at, n.what(), "a mapping with "+join(required, "and"))
		}
		return nil, false
	}
	known := slices.Concat(required, optional)
	f := fields{}
	for i, k := range n.keys {
		switch {
		case k.kind == isRefused:
		case k.kind != isText || !slices.Contains(known, k.text):
			r.refuseNear(k.at, "key "+k.what(), "one of "+join(known, "or"), nearest(k.text, known))
		case f[k.text] != nil:
			r.refuse(k.at, "key "+k.what()+" a second time", "each key once")
		default:
			f[k.text] = n.items[i]
		}
	}
	ok := true
	for _, k := range required {
		if f[k] == nil {
			r.refuse(n.at, "no "+k, k)
			ok = false
		}
	}
	return f, ok
}

// names reads a mapping whose keys are free names of a form.
func (r *reader) names(n *node, form *regexp.Regexp, what string, most int) (fields, []string) {
	if n == nil || n.kind == isRefused {
		return nil, nil
	}
	if n.kind != isMapping {
		r.refuse(n.at, n.what(), "a mapping of "+what)
		return nil, nil
	}
	if len(n.keys) > most {
		r.refuse(n.at, fmt.Sprintf("%d %s", len(n.keys), what), atMost(most, what))
		return nil, nil
	}
	f := fields{}
	for i, k := range n.keys {
		switch {
		case k.kind == isRefused:
		case k.kind != isText || !form.MatchString(k.text) || len(k.text) > maxID:
			r.refuse(k.at, "name "+k.what(), "a name like "+form.String())
		case f[k.text] != nil:
			r.refuse(k.at, "name "+k.what()+" a second time", "each name once")
		default:
			f[k.text] = n.items[i]
		}
	}
	return f, slices.Sorted(maps.Keys(f))
}

func (r *reader) list(n *node, most int, what string) []*node {
	if n == nil || n.kind == isRefused {
		return nil
	}
	if n.kind != isList {
		r.refuse(n.at, n.what(), "a list of "+what)
		return nil
	}
	if len(n.items) > most {
		r.refuse(n.at, fmt.Sprintf("%d %s", len(n.items), what), atMost(most, what))
		return nil
	}
	return n.items
}

// text reads a scalar as text with its white space folded; "" when it was refused
// or is not there.
func (r *reader) text(n *node, most int) string {
	s, _ := r.scalar(n, most)
	return s
}

func (r *reader) scalar(n *node, most int) (string, bool) {
	if n == nil || n.kind == isRefused {
		return "", false
	}
	switch n.kind {
	case isNumber:
		r.refuse(n.at, "the bare number "+n.text, `text in quotes, such as "`+n.text+`"`)
		return "", false
	case isText:
	default:
		r.refuse(n.at, n.what(), "text (in quotes, if it begins with [ or {)")
		return "", false
	}
	s := strings.Join(strings.Fields(n.text), " ")
	if s == "" {
		r.refuse(n.at, "empty text", "text")
		return "", false
	}
	if count := utf8.RuneCountInString(s); count > most {
		r.refuse(n.at, fmt.Sprintf("%d characters", count), atMost(most, "characters"))
		return "", false
	}
	return s, true
}

// matching reads a text of a form.
func (r *reader) matching(n *node, form *regexp.Regexp, most int, what string) string {
	s, ok := r.scalar(n, most)
	if ok && !form.MatchString(s) {
		r.refuse(n.at, quote(s), what)
		return ""
	}
	return s
}

// word reads one of a closed list; a nil list is not checked.
func (r *reader) word(n *node, known []string, what string) string {
	s, ok := r.scalar(n, maxLine)
	if ok && known != nil && !slices.Contains(known, s) {
		r.refuseNear(n.at, what+" "+quote(s), "one of "+join(known, "or"), nearest(s, known))
		return ""
	}
	if ok && known == nil && !wordForm.MatchString(s) {
		r.refuse(n.at, what+" "+quote(s), "a word such as second-engineer")
		return ""
	}
	return s
}

// set reads a list of unique texts, sorted.
func (r *reader) set(n *node, most int, what string, each func(*node) string) []string {
	var out []string
	for _, item := range r.list(n, most, what) {
		s := each(item)
		if s == "" {
			continue
		}
		if slices.Contains(out, s) {
			r.refuse(item.at, quote(s)+" a second time", "each once")
			continue
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func (r *reader) truth(n *node) bool {
	if n == nil {
		return false
	}
	return r.word(n, []string{"true", "false"}, "value") == "true"
}

func (r *reader) policy(root *node) *Policy {
	r.clauses, r.lines = map[string]position{}, map[string]position{}
	f, _ := r.mapping(root, []string{"writ", "policy", "sections"}, nil)
	if f == nil {
		return nil
	}
	if n := f["writ"]; n != nil {
		r.word(n, []string{"policy/v1"}, "format")
	}
	p := &Policy{lines: r.lines}
	if n := f["policy"]; n != nil {
		r.within("policy", func() { p.Header = r.header(n) })
	}
	seen := map[string]bool{}
	for _, n := range r.list(f["sections"], maxSections, "sections") {
		s := r.section(n)
		if s.ID != "" && seen[s.ID] {
			r.refuse(n.at, "section "+quote(s.ID)+" a second time", "each section once")
		}
		seen[s.ID] = true
		p.Sections = append(p.Sections, s)
	}
	if len(r.clauses) > maxClauses {
		r.refuse(root.at, fmt.Sprintf("%d clauses", len(r.clauses)), atMost(maxClauses, "clauses"))
	}
	if len(p.Sections) == 0 && !r.full() && f["sections"] != nil {
		r.refuse(f["sections"].at, "no section", "at least one section")
	}
	return p
}

func (r *reader) header(n *node) Header {
	f, _ := r.mapping(n, []string{"id", "title", "contact", "author", "owners"}, nil)
	h := Header{
		ID:      r.matching(f["id"], policyID, maxID, "a number such as IS-01"),
		Title:   r.text(f["title"], maxLine),
		Contact: r.text(f["contact"], maxLine),
		Author:  r.person(f["author"]),
		Owners:  r.set(f["owners"], maxOwners, "owners", r.person),
	}
	if a, err := mail.ParseAddress(h.Contact); h.Contact != "" && (err != nil || a.Address != h.Contact || a.Name != "") {
		r.refuse(f["contact"].at, quote(h.Contact), "one mail address, such as security@example.com")
	}
	if o := f["owners"]; o != nil && o.kind == isList && len(o.items) == 0 {
		r.refuse(o.at, "no owner", "at least one owner")
	}
	return h
}

func (r *reader) person(n *node) string {
	s := r.matching(n, personRef, maxID, "person/… with a handle in small letters")
	if s != "" && !r.stored && len(r.v.People) > 0 && !slices.Contains(r.v.People, s) {
		r.refuseNear(n.at, "unknown "+s, "a person that exists", nearest(s, r.v.People))
		return ""
	}
	return s
}

func (r *reader) section(n *node) Section {
	f, _ := r.mapping(n, []string{"id", "number", "title", "clauses"}, []string{"about"})
	if f == nil {
		return Section{}
	}
	s := Section{
		ID:     r.matching(f["id"], sectionID, maxID, "an id in small letters"),
		Number: r.matching(f["number"], number, 16, "a number in quotes, such as \"8\""),
		Title:  r.text(f["title"], maxLine),
		About:  r.text(f["about"], maxText),
	}
	for _, c := range r.list(f["clauses"], maxClauses, "clauses") {
		s.Clauses = append(s.Clauses, r.clause(c))
	}
	return s
}

var clauseKeys = []string{"title", "params", "via", "check", "record", "derived", "maps", "visibility", "exception", "why", "source", "vague"}

func (r *reader) clause(n *node) Clause {
	var f fields
	r.within(peekID(n), func() { f, _ = r.mapping(n, []string{"id", "says", "class", "by"}, clauseKeys) })
	if f == nil {
		return Clause{}
	}
	c := Clause{ID: r.matching(f["id"], clauseID, maxID, "an id such as auth.reset-link-lifetime")}
	if before, ok := r.clauses[c.ID]; ok && c.ID != "" {
		where := "before"
		if before.line > 0 {
			where = fmt.Sprintf("on line %d", before.line)
		}
		r.refuse(f["id"].at, "clause "+quote(c.ID)+", which stands "+where, "each clause once")
	} else if c.ID != "" {
		r.clauses[c.ID], r.lines[c.ID] = f["id"].at, f["id"].at
	}
	r.within(c.ID, func() { r.clauseBody(&c, f) })
	return c
}

// peekID is the id of a clause before its keys were judged, for naming problems.
func peekID(n *node) string {
	for i, k := range n.keys {
		if k.text == "id" && clauseID.MatchString(n.items[i].text) {
			return n.items[i].text
		}
	}
	return ""
}

func (r *reader) clauseBody(c *Clause, f fields) {
	c.Title = r.text(f["title"], maxLine)
	c.Says = r.text(f["says"], maxSays)
	c.Class = Class(r.word(f["class"], []string{string(Enforced), string(Checked), string(Attested)}, "class"))
	c.By = r.word(f["by"], r.known(r.v.Modules), "module")
	c.Via = r.set(f["via"], maxChecks, "sources", func(n *node) string { return r.word(n, nil, "source") })
	c.Derived = r.truth(f["derived"])
	c.Visibility = Public
	if n := f["visibility"]; n != nil {
		c.Visibility = Visibility(r.word(n, []string{string(Public), string(Summary), string(Hidden)}, "visibility"))
	}
	if n := f["exception"]; n != nil {
		c.NoExcept = r.word(n, []string{"never"}, "exception") != ""
	}
	c.Why, c.Source, c.Vague = r.text(f["why"], maxText), r.text(f["source"], maxText), r.text(f["vague"], maxText)
	params, names := r.names(f["params"], paramName, "parameters", maxParams)
	for _, name := range names {
		r.within(c.Key(name), func() { c.Params = append(c.Params, r.param(params[name], name, c.Class)) })
	}
	if c.Says != "" {
		r.sentence(c, f["says"].at, params)
	}
	for _, n := range r.list(f["check"], maxChecks, "checks") {
		k := r.check(n)
		if k.Kind != "" && slices.ContainsFunc(c.Checks, func(o Check) bool { return o.Kind == k.Kind && o.Control == k.Control }) {
			r.refuse(n.at, string(k.Kind)+" "+k.Control+" a second time", "each check once")
		}
		c.Checks = append(c.Checks, k)
	}
	if n := f["record"]; n != nil {
		c.Record = r.record(n)
	}
	c.Maps = r.maps(f["maps"])
}

// known is a list of the vocabulary, or nil where it is not to be checked.
func (r *reader) known(words []string) []string {
	if r.stored || len(words) == 0 {
		return nil
	}
	return words
}

// sentence holds says and params against each other.
func (r *reader) sentence(c *Clause, at position, params fields) {
	shown := map[string]bool{}
	var rest strings.Builder
	for _, s := range split(c.Says) {
		if s.Param == "" {
			rest.WriteString(s.Text)
			continue
		}
		shown[s.Param] = true
		if params[s.Param] == nil {
			r.refuseNear(at, "placeholder "+quote(s.Text)+" without a parameter", "a parameter of that name", nearest(s.Param, slices.Sorted(maps.Keys(params))))
		}
	}
	if strings.Contains(rest.String(), "{{") || strings.Contains(rest.String(), "}}") {
		r.refuse(at, "braces that close no placeholder", "{{name}}")
	}
	if num, found := looseNumber(c.Says); found && !r.stored {
		r.refuse(at, "the number "+quote(num)+" in the sentence", "numbers in parameters only; standards' names are "+join(Standards(), "and"))
	}
	for _, a := range c.Params {
		switch {
		case !shown[a.Name] && !a.Silent:
			r.refuse(params[a.Name].at, "parameter "+a.Name+" that the sentence does not show", "{{"+a.Name+"}} in says, or silent: true with why")
		case shown[a.Name] && a.Silent:
			r.refuse(params[a.Name].at, "parameter "+a.Name+" that is silent and shown", "one of both")
		}
	}
}

func (r *reader) maps(n *node) map[string][]string {
	ids, names := r.names(n, sectionID, "frameworks", maxFrameworks)
	if len(names) == 0 {
		return nil
	}
	out := map[string][]string{}
	for _, name := range names {
		form := r.v.Frameworks[name]
		if form == nil && len(r.v.Frameworks) > 0 && !r.stored {
			r.refuseNear(ids[name].at, "framework "+quote(name), "one of "+join(r.v.frameworks(), "or"), nearest(name, r.v.frameworks()))
			continue
		}
		out[name] = r.set(ids[name], maxMembers, "ids", func(item *node) string {
			s := r.text(item, maxID)
			if s != "" && form != nil && !r.stored && !form.MatchString(s) {
				r.refuse(item.at, quote(s), "an id of "+name)
				return ""
			}
			return s
		})
		if ids[name].kind == isList && len(ids[name].items) == 0 {
			r.refuse(ids[name].at, "no id of "+name, "at least one, or no "+name)
		}
	}
	return out
}

var checkKinds = []string{string(clause.Probe), string(clause.Canary), string(clause.Replay), string(Snapshot)}

func (r *reader) check(n *node) Check {
	f, ok := r.mapping(n, []string{"every", "fresh_for"}, slices.Concat(checkKinds, []string{"expect", "population"}))
	if !ok {
		return Check{}
	}
	var c Check
	for _, kind := range checkKinds {
		if f[kind] == nil {
			continue
		}
		if c.Kind != "" {
			r.refuse(f[kind].at, "a second kind of check", "one of "+join(checkKinds, "or"))
			continue
		}
		c.Kind = clause.Kind(kind)
		c.Control = r.matching(f[kind], controlName, maxID, "module.name")
		if known := r.known(r.v.Controls); c.Control != "" && known != nil && !slices.Contains(known, c.Control) {
			r.refuseNear(f[kind].at, "control "+quote(c.Control), "a control of this build", nearest(c.Control, known))
		}
	}
	if c.Kind == "" {
		r.refuse(n.at, "no kind of check", "one of "+join(checkKinds, "or"))
	}
	c.Every, c.FreshFor = r.duration(f["every"]), r.duration(f["fresh_for"])
	c.Expect, c.Population = r.text(f["expect"], maxLine), r.text(f["population"], maxLine)
	return c
}

func (r *reader) duration(n *node) Literal {
	s, ok := r.scalar(n, maxLine)
	if !ok {
		return Literal{}
	}
	d, err := ParseDuration(s)
	if err == nil && d == 0 {
		err = wrongText(s, "more than nothing")
	}
	r.wrong(n.at, err)
	return Word(s)
}

func (r *reader) wrong(at position, err error) {
	if err == nil {
		return
	}
	var w *wrong
	if errors.As(err, &w) {
		r.refuseNear(at, w.found, w.expected, w.near)
		return
	}
	r.refuse(at, err.Error(), "a value of the type")
}

func (r *reader) record(n *node) *Record {
	f, ok := r.mapping(n, []string{"form"}, []string{"signed_by", "not", "valid_for", "gate"})
	if !ok {
		return nil
	}
	rec := &Record{
		Form: r.word(f["form"], r.known(r.v.Forms), "form"),
		Gate: r.word(f["gate"], nil, "gate"),
	}
	if f["signed_by"] != nil {
		rec.SignedBy = r.word(f["signed_by"], r.known(r.v.Roles), "role")
	}
	if not := f["not"]; not != nil && not.kind == isText {
		rec.Not = []string{r.word(not, nil, "person")}
	} else {
		rec.Not = r.set(not, maxChecks, "people", func(n *node) string { return r.word(n, nil, "person") })
	}
	if f["valid_for"] != nil {
		rec.ValidFor = r.duration(f["valid_for"])
	}
	return rec
}
