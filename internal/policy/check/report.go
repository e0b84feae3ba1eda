package check

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/policy"
	"writ/internal/policy/document"
)

// Report says of each clause whether it holds. Its JSON is a surface that programs
// rely on: names are not changed.
type Report struct {
	Policy  Policy   `json:"policy"`
	At      Time     `json:"at"`
	Counts  Counts   `json:"counts"`
	Clauses []Clause `json:"clauses"`
}

// Policy names the revision that was judged.
type Policy struct {
	ID           string `json:"id"`
	Title        string `json:"title"`
	Revision     string `json:"revision"`
	BodySHA256   string `json:"body_sha256"`
	InForceSince Time   `json:"in_force_since"`
}

// Counts is how many clauses have each outcome.
type Counts struct {
	Pass     int `json:"pass"`
	Fail     int `json:"fail"`
	Stale    int `json:"stale"`
	Excepted int `json:"excepted"`
	Unknown  int `json:"unknown"`
	Unbound  int `json:"unbound"`
}

func (c *Counts) add(o clause.Outcome) {
	*map[clause.Outcome]*int{clause.Pass: &c.Pass, clause.Fail: &c.Fail, clause.Stale: &c.Stale,
		clause.Excepted: &c.Excepted, clause.Unknown: &c.Unknown, clause.Unbound: &c.Unbound}[o]++
}

// Clause is one promise and whether it holds.
type Clause struct {
	ID       string         `json:"id"`
	Section  string         `json:"section"`
	Says     string         `json:"says"`
	Class    string         `json:"class"` // effective: attested where a record carries it
	By       string         `json:"by"`
	Outcome  clause.Outcome `json:"outcome"`
	Findings []Finding      `json:"findings"`
}

// Finding is what one control, or the record, says of the clause.
type Finding struct {
	Control    string         `json:"control"`
	Kind       string         `json:"kind"`
	Outcome    clause.Outcome `json:"outcome"`
	Summary    string         `json:"summary"`
	ObservedAt Time           `json:"observed_at"`
	ValidUntil Time           `json:"valid_until"`
	Entry      string         `json:"entry"` // number in the journal, or id until it has one; empty for none
}

// Time is a moment in UTC with seconds, empty in JSON when there is none.
type Time struct{ time.Time }

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Time) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*t = Time{}
		return nil
	}
	t.Time, err = time.Parse(time.RFC3339, string(b))
	return err
}

// MarshalJSON hides the method of the time inside.
func (t Time) MarshalJSON() ([]byte, error) { return []byte(strconv.Quote(t.String())), nil }

// UnmarshalJSON hides the method of the time inside.
func (t *Time) UnmarshalJSON(b []byte) error {
	s, err := strconv.Unquote(string(b))
	if err != nil {
		return fmt.Errorf("read time: %w", err)
	}
	return t.UnmarshalText([]byte(s))
}

// String is RFC 3339 in UTC, empty for the zero Time.
func (t Time) String() string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// Options choose what is reported.
type Options struct {
	Clause string // only this one; fault.NotFound for none of that name
	Live   bool   // run the controls first
	Fresh  bool   // run the cheap probes first: what is looked at now is true now
}

// Holds reports whether every clause passes or is excepted.
func (r Report) Holds() bool { return r.Counts.Pass+r.Counts.Excepted == len(r.Clauses) }

// Report judges the revision in force.
func (r *Runner) Report(ctx context.Context, o Options) (Report, error) {
	m, err := r.law.Current()
	if err != nil {
		return Report{}, err
	}
	if _, ok := m.Policy.Clause(o.Clause); o.Clause != "" && !ok {
		return Report{}, noClause(o.Clause)
	}
	if o.Live {
		if err := r.live(ctx, m, o.Clause); err != nil {
			return Report{}, err
		}
	}
	latest, err := r.latest(ctx)
	if err != nil {
		return Report{}, err
	}
	if o.Fresh && !o.Live {
		if latest, err = r.refresh(ctx, m, o.Clause, latest); err != nil {
			return Report{}, err
		}
	}
	now := r.now()
	records, err := r.law.Newest(ctx, now)
	if err != nil {
		return Report{}, err
	}
	j := &judge{r: r, m: m, now: now, latest: latest, records: records, unbound: r.law.Unbound(), by: map[string][]clause.Control{}}
	for _, c := range r.controls {
		j.by[c.Clause] = append(j.by[c.Clause], c)
	}
	out := Report{At: Time{now.UTC()}, Clauses: []Clause{}, Policy: Policy{ID: m.Policy.ID, Title: m.Policy.Title,
		Revision: m.Revision.Version.String(), BodySHA256: m.Revision.BodySHA256, InForceSince: Time{m.Revision.HoldsFrom}}}
	for s, c := range m.Policy.Each() {
		if o.Clause != "" && c.ID != o.Clause {
			continue
		}
		v := j.clause(ctx, s, c)
		out.Counts.add(v.Outcome)
		out.Clauses = append(out.Clauses, v)
	}
	return out, nil
}

func noClause(id string) error {
	if len(id) > 80 {
		id = id[:80]
	}
	return fault.New(fault.NotFound, "no_clause", fault.Public{Problem: fmt.Sprintf("The policy in force has no clause %q.", id), Next: "See writ policy show."})
}

// live runs the controls now, two at a time.
func (r *Runner) live(ctx context.Context, m policy.Moment, id string) error {
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	var mu sync.Mutex
	var first error
	for _, c := range r.controls {
		if id != "" && c.Clause != id {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if _, err := r.immediately(ctx, c, m); err != nil {
				mu.Lock()
				first = err
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return first
}

// The cheap probes that a report may run by itself.
const (
	cheap  = 100 * time.Millisecond // what a probe took last
	recent = 2 * time.Second        // a result this young is not looked at again
	budget = 1500 * time.Millisecond
)

// refresh runs the probes that were cheap last time, within the budget, and returns the
// newest results. Only what changed is recorded at once.
func (r *Runner) refresh(ctx context.Context, m policy.Moment, id string, latest map[string]finding) (map[string]finding, error) {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, c := range r.controls {
		if id != "" && c.Clause != id || !r.quick(c, latest[c.ID]) {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			res, err := r.run(ctx, c)
			if ctx.Err() == nil {
				r.settle(context.WithoutCancel(ctx), c, r.found(c, m, res, err), latest[c.ID])
			}
		})
	}
	wg.Wait()
	return r.latest(context.WithoutCancel(ctx))
}

// quick reports whether a control is a probe that was cheap and is worth another look.
func (r *Runner) quick(c clause.Control, last finding) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	took, known := r.took[c.ID]
	return c.Kind == clause.Probe && known && took < cheap && r.now().Sub(last.Observed).Abs() > recent
}

// immediately runs one control at once, without a second try, and records it.
func (r *Runner) immediately(ctx context.Context, c clause.Control, m policy.Moment) (finding, error) {
	res, err := r.run(ctx, c)
	if ctx.Err() != nil {
		return finding{}, fault.Wrap(fault.Unavailable, "cancelled", context.Cause(ctx))
	}
	f, err := r.record(context.WithoutCancel(ctx), r.found(c, m, res, err))
	if err != nil {
		return f, fmt.Errorf("record %s: %w", c.ID, err)
	}
	r.mu.Lock()
	r.plans[c.ID].ran, r.plans[c.ID].retry = true, time.Time{}
	r.mu.Unlock()
	return f, nil
}

// judge holds what one report is made of.
type judge struct {
	r       *Runner
	m       policy.Moment
	now     time.Time
	latest  map[string]finding
	records map[string]policy.Record
	unbound map[string]string
	by      map[string][]clause.Control
}

func (j *judge) clause(ctx context.Context, s *document.Section, c *document.Clause) Clause {
	out := Clause{ID: c.ID, Section: s.ID, Says: c.Plain(j.m.Values), Class: string(c.Class), By: c.By, Findings: []Finding{}, Outcome: clause.Pass}
	for _, k := range j.by[c.ID] {
		out.Findings = append(out.Findings, j.control(ctx, k))
	}
	if len(out.Findings) == 0 {
		out.Class = string(document.Attested)
	}
	if len(out.Findings) == 0 || c.Record != nil {
		out.Findings = append(out.Findings, j.record(ctx, c))
	}
	if why, ok := j.unbound[c.ID]; ok {
		out.Findings = append(out.Findings, Finding{Control: "policy.binding", Kind: string(clause.Probe), Outcome: clause.Unbound,
			Summary: why, ObservedAt: Time{j.now.UTC()}, ValidUntil: Time{j.now.UTC()}})
	}
	for i := range out.Findings {
		j.except(c.ID, &out.Findings[i])
		out.Outcome = clause.Worst(out.Outcome, out.Findings[i].Outcome)
	}
	return out
}

// control is the newest result of a control, as it counts now.
func (j *judge) control(ctx context.Context, c clause.Control) Finding {
	f, ok := j.latest[c.ID]
	if !ok {
		return Finding{Control: c.ID, Kind: string(c.Kind), Outcome: clause.Unknown, Summary: "has not run yet: " + c.Says}
	}
	out := Finding{Control: c.ID, Kind: string(c.Kind), Outcome: f.Outcome, Summary: f.Summary, ObservedAt: Time{f.Observed}, ValidUntil: Time{f.ValidUntil}, Entry: j.r.entry(ctx, f.Entry)}
	switch {
	case !j.now.Before(f.ValidUntil):
		out.stale("too old")
	case f.values != valuesHash(j.m, c.Clause):
		out.stale("the clause's parameters changed since")
	case f.Observed.After(j.now.Add(ahead)):
		out.stale("dated ahead of the clock")
	}
	return out
}

// stale never makes a failure look better.
func (f *Finding) stale(why string) {
	f.Outcome = clause.Worst(f.Outcome, clause.Stale)
	f.Summary = why + "; then: " + f.Summary
}

// record is what the signed record says of the clause.
func (j *judge) record(ctx context.Context, c *document.Clause) Finding {
	out := Finding{Control: "record", Kind: string(clause.Record)}
	r, ok := j.records[c.ID]
	if !ok {
		out.Outcome, out.Summary = clause.Unknown, "no record yet: writ attest "+c.ID
		return out
	}
	out.ObservedAt, out.ValidUntil, out.Entry = Time{r.Observed}, Time{r.ValidUntil}, j.r.entry(ctx, r.Entry)
	out.Summary = tidy(r.Signer + " attests: " + r.Statement)
	switch {
	case j.r.law.Genuine(r) != nil:
		out.Outcome, out.Summary = clause.Fail, "the signature under the record does not verify"
	case !j.now.Before(r.ValidUntil):
		out.Outcome = clause.Stale
		out.Summary = "expired; then: " + out.Summary
	default:
		out.Outcome = clause.Pass
	}
	return out
}

// except marks a finding that an exception covers.
func (j *judge) except(id string, f *Finding) {
	for _, e := range j.m.Exceptions {
		if e.Clause() != id || e.Level != document.Looser && e.Level != document.Incomparable {
			continue
		}
		covers := f.Outcome == clause.Pass || f.Outcome == clause.Fail && !j.r.law.Obeyed(e.Param)
		if covers {
			f.Outcome = clause.Excepted
		}
		_, name, _ := strings.Cut(e.Param, "/")
		f.Summary = tidy(fmt.Sprintf("%s is %s until %s by exception, asked for by %s, approved by %s; %s", name, strings.ReplaceAll(e.Value, "\n", ", "),
			Time{e.Ends}, e.Requester, e.Approver, f.Summary))
	}
}

// entry names an entry as a reader finds it.
func (r *Runner) entry(ctx context.Context, id string) string {
	if id == "" {
		return ""
	}
	if n, ok := r.index(ctx, id); ok {
		return strconv.FormatInt(n, 10)
	}
	return id
}
