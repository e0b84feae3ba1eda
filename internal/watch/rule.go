package watch

import (
	"time"

	"writ/internal/journal"
	"writ/internal/notify"
)

// The parts that rules watch.
const (
	Load     = "load"
	Traffic  = "service"
	Abuse    = "abuse"
	Data     = "data"
	Trust    = "trust"
	Recovery = "recovery"
	Cost     = "cost"
	Meta     = "watch"
)

// Rule is one thing that must not go on unseen. It counts entries of the journal (Streams),
// or compares readings (Reads).
type Rule struct {
	ID       string
	Part     string
	Severity string // page, ticket, notice
	Clause   string
	Title    string // what is the matter, in five words
	Says     string // the condition
	Next     string // what to do about it
	Signal   string // of mon.load; "" = none

	// Of entries.
	Streams []string
	If      func(*journal.Entry) int64  // how much one counts; nil = its field count, else 1
	By      func(*journal.Entry) string // counts apart; nil = all together
	Over    int64                       // fires at so many
	Within  time.Duration               // in so long; 0 = each one
	Quiet   time.Duration               // clears after so long without
	Ends    []string                    // entries that clear it
	Shows   func(*journal.Entry) string // what was seen; nil = how much it counts

	// Of readings.
	Reads string
	Above float64
	Clear float64       // and below this again; the room between keeps it from flapping
	For   time.Duration // so long in a row

	under bool              // of readings: Above is the least there should be
	drill bool              // its alarms are tests
	tuned []string          // what the policy sets of it: above=80
	sha   string            // of the text of one of your own
	fire  func(*Rule) trial // what fires it
}

// trial is what fires a rule: entries, or a reading.
type trial struct {
	entries []journal.Entry
	reading Reading
}

// keeps reports whether nobody may silence the rule.
func (r *Rule) keeps() bool { return r.Part == Trust || r.Part == Meta }

// labels that every alarm of the rule has.
func (r *Rule) labels(more map[string]string) map[string]string {
	out := map[string]string{"alertname": r.ID, "part": r.Part, "clause": r.Clause, "severity": r.Severity}
	for k, v := range more {
		if v != "" {
			out[k] = v
		}
	}
	return out
}

// byWhom counts apart by actor: a person or a network, under the journal's pseudonym.
func byWhom(e *journal.Entry) string { return e.Actor }

// bySubject counts apart by whom it is about, else by who did it.
func bySubject(e *journal.Entry) string {
	if e.Subject != "" {
		return e.Subject
	}
	return e.Actor
}

// byField counts apart by a public field.
func byField(name string) func(*journal.Entry) string {
	return func(e *journal.Entry) string { return text(e, name) }
}

// byObject counts apart by what was acted on.
func byObject(e *journal.Entry) string { return e.Object }

func text(e *journal.Entry, name string) string {
	v, _ := e.Field(name)
	s, _ := v.(string)
	return s
}

func number(e *journal.Entry, name string) int64 {
	v, _ := e.Field(name)
	n, _ := v.(int64)
	return n
}

// weight is how much an entry counts.
func (r *Rule) weight(e *journal.Entry) int64 {
	if r.If != nil {
		return r.If(e)
	}
	return counted(e)
}

func counted(e *journal.Entry) int64 {
	if n := number(e, "count"); n > 0 {
		return n
	}
	return 1
}

// only counts entries that hold to a condition.
func only(ok func(*journal.Entry) bool) func(*journal.Entry) int64 {
	return func(e *journal.Entry) int64 {
		if !ok(e) {
			return 0
		}
		return counted(e)
	}
}

// seen makes a rule's trial of one entry with these public fields.
func seen(stream string, fields ...any) func(*Rule) trial {
	return func(*Rule) trial { return trial{entries: []journal.Entry{entry(stream, fields...)}} }
}

// often makes a rule's trial of as many entries as it takes.
func often(stream string, fields ...any) func(*Rule) trial {
	return func(r *Rule) (t trial) {
		for range r.Over {
			t.entries = append(t.entries, entry(stream, fields...))
		}
		return t
	}
}

// reads makes a rule's trial of a reading that is too much.
func reads(label string) func(*Rule) trial {
	return func(r *Rule) trial { return trial{reading: Reading{Meter: r.Reads, Label: label, Value: r.Above + 1}} }
}

func entry(stream string, fields ...any) journal.Entry {
	e := journal.Entry{Stream: stream, Act: stream, Kind: "stranger", Actor: "s:trial", Object: "thing/trial"}
	for i := 0; i+1 < len(fields); i += 2 {
		name, _ := fields[i].(string)
		v := fields[i+1]
		if n, ok := v.(int); ok {
			v = int64(n)
		}
		e.Fields = append(e.Fields, journal.Field{Name: name, State: journal.Public, Value: v})
	}
	return e
}

// quietFor is how long without anything more clears a rule of entries.
func (r *Rule) quietFor() time.Duration {
	if r.Quiet > 0 {
		return r.Quiet
	}
	return max(r.Within, 30*time.Minute)
}

// waits are the times between one telling and the next, by severity; the last one stays.
var waits = map[string][]time.Duration{
	notify.Page:   {5 * time.Minute, 10 * time.Minute, 15 * time.Minute},
	notify.Ticket: {4 * time.Hour, 24 * time.Hour},
}
