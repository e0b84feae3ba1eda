package document

import (
	"fmt"
	"iter"
	"strings"

	"writ/internal/clause"
)

// Format is the first line of a policy file and of its hash.
const Format = "writ: policy/v1"

// Policy is one policy body. It is not changed after it was made, so any number of
// goroutines may read it; Apply and Fill make new ones.
type Policy struct {
	Header
	Sections []Section

	index map[string][2]int   // clause id -> section, clause
	lines map[string]position // where clauses stood in the file; nil for a stored body
}

type position struct{ line, column int }

// Header is who answers for the policy.
type Header struct {
	ID      string   // e.g. IS-01; the same in all revisions
	Title   string   // e.g. Information security
	Contact string   // one mail address
	Author  string   // person/…
	Owners  []string // person/…, sorted
}

// Section is a chapter of the policy.
type Section struct {
	ID      string
	Number  string // as printed: "8"
	Title   string
	About   string // may be empty
	Clauses []Clause
}

// Class says what carries a clause.
type Class string

// The classes, strongest first.
const (
	Enforced Class = "enforced" // Writ itself
	Checked  Class = "checked"  // a connector or a pushed, signed file
	Attested Class = "attested" // a signed record of a person
)

// Visibility says how much of a clause the trust page shows.
type Visibility string

// The visibilities, most open first.
const (
	Public  Visibility = "public"
	Summary Visibility = "summary"
	Hidden  Visibility = "hidden"
)

// Clause is one promise.
type Clause struct {
	ID         string
	Title      string // may be empty
	Says       string // sentence with {{param}} placeholders; Sentence renders it
	Params     []Param
	Class      Class
	By         string   // the module that upholds it
	Via        []string // sources of evidence of which one is enough, sorted; may be empty
	Checks     []Check
	Record     *Record // nil when no record serves it
	Derived    bool    // needed by a written promise, not written itself
	Maps       map[string][]string
	Visibility Visibility
	NoExcept   bool   // exception: never
	Why        string // may be empty, as are the next two
	Source     string // sentence of an imported text
	Vague      string // note to the owner
}

// Param is one typed value of a clause.
type Param struct {
	Name     string
	Type     Type
	Literal  Literal  // as it was written
	Value    any      // what it means, typed as clause.Values documents
	Range    []string // two literals, least and greatest; nil for none
	Stricter Stricter // empty: any change is incomparable
	Of       []string // enum: the choices in order; set: the members allowed, if not nil
	Columns  []Column // table
	Decide   string   // why the default is what it is, for an owner who must decide; may be empty
	Silent   bool     // not in the sentence, for the reason in Why
	Why      string
}

// Column is a typed column of a table. The first column is unique.
type Column struct {
	Name string
	Type Type // duration, int, percent, size, bool, date, ref, text
}

// Check is how a clause is looked at, beyond the controls of the build.
type Check struct {
	Kind       clause.Kind // probe, canary, replay, or Snapshot
	Control    string      // module.name
	Every      Literal     // duration
	FreshFor   Literal     // duration
	Expect     string      // may be empty
	Population string      // may be empty
}

// Snapshot is the kind of check that compares hashed configuration of something outside.
const Snapshot clause.Kind = "snapshot"

// Record is the statement a person signs for a clause.
type Record struct {
	Form     string
	SignedBy string   // role; empty for any staff
	Not      []string // who may not sign it: subject, candidate, author …, sorted
	ValidFor Literal  // duration; empty for ever
	Gate     string   // the act that waits for it; may be empty
}

// Each returns the clauses with their sections, in order.
func (p *Policy) Each() iter.Seq2[*Section, *Clause] {
	return func(yield func(*Section, *Clause) bool) {
		for i := range p.Sections {
			for j := range p.Sections[i].Clauses {
				if !yield(&p.Sections[i], &p.Sections[i].Clauses[j]) {
					return
				}
			}
		}
	}
}

// Params returns all parameters with their clauses, in order.
func (p *Policy) Params() iter.Seq2[*Clause, *Param] {
	return func(yield func(*Clause, *Param) bool) {
		for _, c := range p.Each() {
			for i := range c.Params {
				if !yield(c, &c.Params[i]) {
					return
				}
			}
		}
	}
}

// Clause finds a clause by id; ok is false when the policy has none.
func (p *Policy) Clause(id string) (c *Clause, ok bool) {
	at, ok := p.index[id]
	if !ok {
		return nil, false
	}
	return &p.Sections[at[0]].Clauses[at[1]], true
}

// Param finds a parameter by its key, "clause/param".
func (p *Policy) Param(key string) (*Param, bool) {
	id, name, _ := strings.Cut(key, "/")
	c, ok := p.Clause(id)
	if !ok {
		return nil, false
	}
	return c.Param(name)
}

// Len is the number of clauses.
func (p *Policy) Len() int { return len(p.index) }

// Values are the typed values of all parameters. The slices are shared with the
// policy and must not be changed.
func (p *Policy) Values() clause.Values {
	v := clause.Values{}
	for c, a := range p.Params() {
		v[c.Key(a.Name)] = a.Value
	}
	return v
}

// Param finds a parameter of the clause by name.
func (c *Clause) Param(name string) (*Param, bool) {
	for i := range c.Params {
		if c.Params[i].Name == name {
			return &c.Params[i], true
		}
	}
	return nil, false
}

// Key is the name of a parameter in the whole policy: "clause/param".
func (c *Clause) Key(param string) string { return c.ID + "/" + param }

func (p *Policy) reindex() {
	p.index = map[string][2]int{}
	for i := range p.Sections {
		for j := range p.Sections[i].Clauses {
			p.index[p.Sections[i].Clauses[j].ID] = [2]int{i, j}
		}
	}
}

// String names the policy for logs.
func (p *Policy) String() string {
	return fmt.Sprintf("%s (%d clauses, %x)", p.ID, p.Len(), p.BodyHash())
}
