package check

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/policy"
)

// finding is one result of one control.
type finding struct {
	ID         string
	Control    string
	Clause     string
	Kind       clause.Kind
	Revision   string
	Observed   time.Time
	ValidUntil time.Time
	Outcome    clause.Outcome
	Summary    string
	Population int64
	Entry      string
	values     string
	steps      []clause.Step
}

// once runs a due control and sees to its result.
func (r *Runner) once(ctx context.Context, c clause.Control, m policy.Moment, last finding) {
	res, err := r.run(ctx, c)
	r.mu.Lock()
	p := r.plans[c.ID]
	p.running = false
	first := p.retry.IsZero()
	if err != nil && first && !errors.Is(err, errPanic) && ctx.Err() == nil {
		p.retry = r.now().Add(again)
		r.mu.Unlock()
		r.log.Warn("a check could not decide; it is tried again", "control", c.ID, "in", again, "error", err)
		return
	}
	if ctx.Err() != nil && err != nil { // the server stops; that says nothing of the clause
		r.mu.Unlock()
		return
	}
	p.ran, p.retry, p.looked = true, time.Time{}, r.now()
	r.mu.Unlock()
	r.settle(context.WithoutCancel(ctx), c, r.found(c, m, res, err), last)
}

// settle records a finding: a pass that follows a pass with the next batch, and what a
// probe that still fails in the same words says, not again within a minute; what it still
// cannot tell, not again before its own interval is over.
func (r *Runner) settle(ctx context.Context, c clause.Control, f, last finding) {
	if f.Outcome == clause.Pass && last.Outcome == clause.Pass && last.Revision == f.Revision && last.values == f.values {
		r.mu.Lock()
		r.waiting[f.Control] = f // only the newest of a batch counts
		r.mu.Unlock()
		return
	}
	quiet := time.Minute
	if f.Outcome == clause.Unknown {
		quiet = max(quiet, c.Every-c.Every/10)
	}
	if f.Outcome == last.Outcome && f.Summary == last.Summary && f.values == last.values && f.Observed.Sub(last.Observed).Abs() < quiet {
		return
	}
	if _, err := r.record(ctx, f); err != nil {
		r.log.Error("the result of a check could not be recorded", "control", f.Control, "outcome", f.Outcome, "error", err)
	}
}

var errPanic = errors.New("the check itself broke")

type outcome struct {
	res clause.Result
	err error
}

// run calls the control on a goroutine of its own, so that one that hangs or panics
// harms nobody else.
func (r *Runner) run(ctx context.Context, c clause.Control) (clause.Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fault.Newf(fault.Unavailable, "timeout", "It did not end within %s.", limit))
	defer cancel()
	select { // one run of a control at a time: what canaries plant has fixed names
	case r.turns[c.ID] <- struct{}{}:
		defer func() { <-r.turns[c.ID] }()
	case <-ctx.Done():
		return clause.Result{}, context.Cause(ctx)
	}
	done := make(chan outcome, 1)
	begin := r.now()
	defer func() {
		r.mu.Lock()
		r.took[c.ID] = r.now().Sub(begin)
		r.mu.Unlock()
	}()
	go func() {
		o := outcome{err: errPanic} // also when the goroutine is ended
		defer func() {
			if p := recover(); p != nil {
				r.log.Error("A CHECK PANICKED; its clause is unknown", "control", c.ID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				o = outcome{err: fmt.Errorf("%w: %v", errPanic, p)}
			}
			done <- o
		}()
		res, err := c.Run(ctx)
		o = outcome{res, err}
	}()
	select {
	case o := <-done:
		if o.err != nil && ctx.Err() != nil {
			return clause.Result{}, context.Cause(ctx)
		}
		return o.res, o.err
	case <-ctx.Done():
		return clause.Result{}, context.Cause(ctx)
	}
}

// found turns what a run gave into a finding. Only Pass and Fail are believed, and Excepted where
// the summary says by what.
func (r *Runner) found(c clause.Control, m policy.Moment, res clause.Result, err error) finding {
	now := r.now().UTC().Truncate(time.Microsecond)
	f := finding{ID: r.db.ID(), Control: c.ID, Clause: c.Clause, Kind: c.Kind, Revision: m.Revision.Version.String(), Observed: now,
		ValidUntil: now.Add(c.FreshFor), Outcome: res.Outcome, Summary: res.Summary, Population: res.Population, values: valuesHash(m, c.Clause), steps: res.Steps}
	switch {
	case err != nil:
		r.log.Warn("a check could not decide", "control", c.ID, "error", err)
		f.Outcome, f.Summary, f.Population = clause.Unknown, "could not decide: "+public(err), 0
	case res.Outcome == clause.Unknown && res.Summary != "": // there is nothing yet that could decide
	case res.Outcome == clause.Excepted && res.Summary != "": // a deviation that was approved, which the summary names
	case res.Outcome != clause.Pass && res.Outcome != clause.Fail:
		f.Outcome, f.Summary = clause.Unknown, "the check gave no verdict"
	}
	f.Summary = tidy(f.Summary)
	return f
}

// public is what may be told of an error; its text may hold what is private.
func public(err error) string {
	if errors.Is(err, errPanic) {
		return errPanic.Error()
	}
	code, pub := fault.PublicOf(err)
	return strings.TrimSuffix(pub.Problem, ".") + " (" + code + ")"
}

// tidy makes one line of at most maxSays characters.
func tidy(s string) string {
	s = norm.NFC.String(strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " "))
	if utf8.RuneCountInString(s) > maxSays {
		s = string([]rune(s)[:maxSays-1]) + "…"
	}
	return s
}
