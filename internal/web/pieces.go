package web

import (
	"strings"
	"time"
)

// The pieces: one type and one template each, used by every page, so that a mark or a
// table looks and reads the same wherever it stands. In a template:
//
//	{{template "mark" .Mark}}  {{template "table" .Data.People}}

// State is what a mark says. Each has its own shape and word, never colour alone.
type State string

// The states of a mark.
const (
	Holds    State = "holds"
	Broken   State = "broken"
	StaleNow State = "stale"
	Excepted State = "excepted"
	Unproved State = "unproved"
	ByRecord State = "by-record"
)

// States lists all marks, best first.
var States = []State{Holds, ByRecord, Excepted, StaleNow, Unproved, Broken}

// StateOf is the mark of a clause's outcome (pass fail stale excepted unknown unbound).
// An outcome it does not know is Unproved.
func StateOf(outcome string) State {
	switch outcome {
	case "pass":
		return Holds
	case "fail":
		return Broken
	case "stale":
		return StaleNow
	case "excepted":
		return Excepted
	}
	return Unproved
}

// Word is the state in words.
func (s State) Word() string { return strings.ReplaceAll(string(s), "-", " ") }

// Mark is template "mark": shape, word, age. "● holds · 4 min ago".
type Mark struct {
	State State
	Word  string    // replaces the state's own word; "" keeps it
	At    time.Time // when it was seen; zero shows no age
	Href  string    // where the word leads; "" for none
}

// Text is the word the mark shows.
func (m Mark) Text() string {
	if m.Word != "" {
		return m.Word
	}
	return m.State.Word()
}

// Span is a run of a clause's sentence. With Value it is underlined; with Href the
// underlined value leads to its parameter.
type Span struct {
	Text  string
	Value bool
	Href  string
	Title string // the parameter's id, shown on hover
}

// Clause is template "clause": number in the left margin, sentence, mark and evidence
// in the right margin.
type Clause struct {
	ID       string // the anchor: #auth.reset-link-lifetime
	Number   string // "4.2"
	Href     string // the clause's own page, behind the number; "" for none
	Says     []Span
	Note     string  // one muted line of Writ's own words below the sentence
	Tables   []Table // values that do not fit into the sentence
	Mark     Mark
	Evidence []Evidence
}

// Section is template "section": a numbered heading and its clauses.
type Section struct {
	ID, Number, Title string
	Intro             string // paragraph in the policy's words
	Clauses           []Clause
}

// Evidence is template "evidence": what, when, by which control, entry with "verify".
type Evidence struct {
	What    string // "refused at 24 h 1 s; worked at 23 h 59 min"
	At      time.Time
	Control string // "identity.reset-link-canary"
	Entry   string // "48 112"
	Href    string // the entry's page
	Verify  string // address that checks its proof; "" for none
}

// Moment is one line of template "timeline" (which takes []Moment, newest first).
type Moment struct {
	At     time.Time
	Who    string // "ana@example.test"
	What   string // "approved revision 7"
	Href   string // behind What
	Detail string // one muted line
	State  State  // the shape on the line; "" for a plain dot
}

// Change is one line of template "diff" (which takes []Change): old struck, new underlined.
type Change struct {
	Where string // "4.2 auth.reset-link-lifetime / ttl"
	Href  string
	Old   string // "" = added
	New   string // "" = removed
	Way   string // "tighter", "looser" or "text"
}

// Link is a word that leads somewhere.
type Link struct {
	Text string
	Href string
	Here bool // this is the page that is open
}

// Table is template "table". At most seven columns; more is an error at rendering.
type Table struct {
	Caption string // what the rows are; read aloud, and shown above
	Columns []Column
	Rows    []Row
	Filter  *Filter
	Count   string // "1–50 of 1,204 entries"
	Newer   string // address of the page before; "" for none
	Older   string // address of the next page by key; "" for none
	Export  []Link // JSON, CSV
	Empty   Empty  // shown instead of the table when there is no row
}

// Column is a heading of a Table.
type Column struct {
	Name   string
	Figure bool   // right-aligned, tabular
	Href   string // sorts by this column; "" = cannot
	Sorted string // "ascending", "descending" or ""
}

// Row is one row; its first cell is the main word and should have an Href.
type Row struct{ Cells []Cell }

// Cell shows the first of Mark, At, Text that is set; Code sets Text in mono.
type Cell struct {
	Text string
	Href string
	Sub  string // muted second line
	Code bool
	At   time.Time // as an age
	Mark *Mark
}

// Filter is the plain form above a Table; its fields come back in the address.
type Filter struct {
	Action string
	Fields []Field
	Act    string // on the button, where the list is the answer to a question; "" = Filter
}

// Empty is template "empty": one sentence why, and the one next step.
type Empty struct {
	Says string
	Next Link
}

// Field is template "field": label above, hint below, error beside.
type Field struct {
	Name     string
	Label    string
	Type     string // text (default) email password number search date tel url, textarea select checkbox radio
	Value    string // never shown for password
	Hint     string
	Complete string // autocomplete token: "username", "new-password", "one-time-code"
	Mode     string // inputmode: "numeric", "email"
	Required bool
	Focus    bool // the one field that has the focus when the page opens
	Rows     int  // of a textarea; 0 = 6
	Max      int  // maxlength; 0 = none
	Options  []Option
	Error    string // set by Form from its Fault, or by hand
	Part     string // set by Form
}

// Mark is the field's id on the page.
func (f Field) Mark() string { return Form{Part: f.Part}.Mark(f.Name) }

// Option is a choice of a select or radio Field.
type Option struct {
	Value, Text string
	Hint        string // radio only
	Chosen      bool
}

// Pair is a hidden value of a Form.
type Pair struct{ Name, Value string }

// Form is template "form": the summary of what was refused, the fields, the act. A page's one
// main form stands open below a heading; further ones have a Fold.
type Form struct {
	Action string
	Method string // "post" (default) or "get"
	Fields []Field
	Hidden []Pair
	Upload bool   // has a Field of type file; the handler reads it with ReadUpload
	Act    string // the button says the act: "Send invitation"
	Quiet  bool   // the button is not the page's one primary act
	Loses  string // a destructive act: what will be lost; makes the button a warning
	Other  *Link  // beside the button: "Cancel", "I forgot my password"
	Fault  error  // of the last try; spread over the fields by name
	Part   string // keeps ids apart where a page has several forms with fields of one name
	Fold   string // what it is for: the line under which it stands folded until it is wanted or was refused, its Action without a #fragment; "" = it stands open
}

// Mark is the id of the named field on the page.
func (f Form) Mark(name string) string {
	if f.Part == "" {
		return "f-" + name
	}
	return "f-" + f.Part + "-" + name
}

// Notice is template "notice": what happened after an act.
type Notice struct {
	Says  string `json:"s"`           // "Invitation sent to ben@example.test."
	Entry string `json:"e,omitempty"` // entry number
	Href  string `json:"h,omitempty"` // the entry's page
	Undo  string `json:"u,omitempty"` // where a POST takes it back; "" for none
}

// Code is template "code": a command or a value to copy.
type Code struct {
	Label string // "Run this on the server"
	Text  string
}

// Progress is template "progress": long work, with how many of how many and time left.
type Progress struct {
	What  string
	Done  int64
	Total int64 // 0 = not known
	Unit  string
	Left  time.Duration
}

// Chrome is the console frame's rail and top line.
type Chrome struct {
	Company  string
	Revision Link      // "revision 7"
	State    StateLine // one sentence of state that leads to what is wrong
	Rail     []Group
	Person   Link   // "ana@example.test" → account
	Find     string // address of the search page, GET ?q=; "" hides it; see Hits
}

// Banner is a line above a page that says in which session it was opened.
type Banner struct {
	Says   string
	Ends   time.Time // of the session; zero says nothing of it
	Act    string    // the button
	Action string    // where it posts to
}

// StateLine is the top line's sentence: "131 of 145 hold; 2 broken since 09:14".
type StateLine struct {
	State State
	Says  string
	Href  string
}

// Group is a group of the rail's words; Name may be empty.
type Group struct {
	Name  string
	Links []Link
}

// Hits is what the Find address answers with when asked for application/json; the
// command palette shows it. For text/html it answers with a page.
type Hits struct {
	Hits []Hit `json:"hits"`
}

// Hit is one place found.
type Hit struct {
	Text string `json:"text"`
	Kind string `json:"kind"` // page, person, clause, entry
	Href string `json:"href"`
}
