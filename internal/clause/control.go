package clause

import (
	"context"
	"time"
)

// Outcome is what a check says of a clause.
type Outcome string

// The outcomes. Unknown is never a pass.
const (
	Pass     Outcome = "pass"
	Fail     Outcome = "fail"
	Stale    Outcome = "stale"    // the evidence is too old, or older than the clause's present parameters
	Excepted Outcome = "excepted" // fails, and an approved exception that ends by itself covers it
	Unknown  Outcome = "unknown"  // the check could not decide
	Unbound  Outcome = "unbound"  // nothing can decide
)

// Outcomes lists all, best first.
var Outcomes = []Outcome{Pass, Excepted, Stale, Unknown, Unbound, Fail}

// Worst returns the worse of two outcomes: fail > unbound > unknown > stale > excepted > pass.
func Worst(a, b Outcome) Outcome {
	for i := len(Outcomes) - 1; i >= 0; i-- {
		if a == Outcomes[i] || b == Outcomes[i] {
			return Outcomes[i]
		}
	}
	return Unknown
}

// Kind is how a control looks.
type Kind string

// The kinds of control.
const (
	Probe  Kind = "probe"  // measures the running state and compares it with the parameter
	Canary Kind = "canary" // tries the violation through the real door and expects the named refusal
	Replay Kind = "replay" // a pure function over a complete population of past events
	Record Kind = "record" // the newest valid statement signed by a person
)

// Control is code that checks one clause. A module lists its controls in clauses.go.
type Control struct {
	ID       string // module.kebab-name, unique
	Clause   string
	Kind     Kind
	Says     string        // what it does, one sentence without full stop
	Every    time.Duration // how often it runs by itself
	FreshFor time.Duration // how long a result counts
	Run      func(context.Context) (Result, error)
}

// Result is what one run saw. An error from Run instead of a Result is Unknown.
type Result struct {
	Outcome    Outcome // Pass, Fail, or Excepted by a deviation of the module's own; Unknown, with the reason, where nothing is there yet to judge
	Summary    string  // one sentence with the measured value
	Population int64   // how many were looked at; 0 when it does not apply
	Steps      []Step  // what a canary did, in order
}

// Step is one act of a canary: the attempt and what came back.
type Step struct {
	Act      string // "open the link 24h1s after it was sent"
	Expected string // "410 link_dead"
	Got      string
	OK       bool
	Control  bool // the case just inside the limit, which must succeed
}

// Passed and Failed make results of probes and replays.
func Passed(summary string) Result { return Result{Outcome: Pass, Summary: summary} }

// Failed is the finding that the clause does not hold.
func Failed(summary string) Result { return Result{Outcome: Fail, Summary: summary} }

// Deviates is the finding that the clause does not hold for now, because a deviation runs that a
// second person approved and that ends by itself; the summary names it.
func Deviates(summary string) Result { return Result{Outcome: Excepted, Summary: summary} }

// Judge makes a canary's result: it passes only if every step went as expected.
func Judge(summary string, steps ...Step) Result {
	r := Result{Outcome: Pass, Summary: summary, Steps: steps}
	for _, s := range steps {
		if !s.OK {
			r.Outcome = Fail
			r.Summary = "let through: " + s.Act + " gave " + s.Got + ", expected " + s.Expected
			if s.Control {
				r.Summary = "refused what it must allow: " + s.Act + " gave " + s.Got
			}
			break
		}
	}
	return r
}
