package check

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/canon"
	"writ/internal/clause"
	"writ/internal/ledger"
	"writ/internal/policy"
)

// Ran is the entry of one result.
type Ran struct {
	Control    string `class:"public"`
	Clause     string `class:"public"`
	Kind       string `class:"public"`
	Outcome    string `class:"public"`
	Summary    string `class:"public"`
	Population int64  `class:"public"`
}

// About implements ledger.Event.
func (e Ran) About() ledger.About {
	return ledger.About{Name: "check.ran", Clause: e.Clause, Object: "control/" + e.Control}
}

// Passed is the entry of several passes that did not change. Hash is SHA-256 over
// "writ/checks/v1\n" and the canonical list of [control, clause, summary, population,
// observed µs], in the order of Controls.
type Passed struct {
	Count    int      `class:"public"`
	Controls []string `class:"public"`
	Hash     string   `class:"public"`
}

// About implements ledger.Event.
func (e Passed) About() ledger.About { return ledger.About{Name: "check.passed-unchanged"} }

// FindingOpened is a clause that was found not to hold.
type FindingOpened struct {
	Control string `class:"public"`
	Clause  string `class:"public"`
	Summary string `class:"public"`
}

// About implements ledger.Event.
func (e FindingOpened) About() ledger.About {
	return ledger.About{Name: "finding.opened", Clause: e.Clause, Object: "control/" + e.Control}
}

// FindingClosed is a clause whose control passes again.
type FindingClosed struct {
	Control string        `class:"public"`
	Clause  string        `class:"public"`
	After   time.Duration `class:"public"`
}

// About implements ledger.Event.
func (e FindingClosed) About() ledger.About {
	return ledger.About{Name: "finding.closed", Clause: e.Clause, Object: "control/" + e.Control}
}

var runner = actor.System("policy.checks")

// record stores one result with an entry of its own.
func (r *Runner) record(ctx context.Context, f finding) (finding, error) {
	r.results.Lock()
	defer r.results.Unlock()
	receipt, err := r.db.Change(ctx, runner, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := f.store(ctx, tx); err != nil {
			return nil, err
		}
		if err := f.note(ctx, tx); err != nil {
			return nil, err
		}
		return Ran{Control: f.Control, Clause: f.Clause, Kind: string(f.Kind), Outcome: string(f.Outcome), Summary: f.Summary, Population: f.Population}, nil
	})
	f.Entry = receipt.ID
	if err == nil {
		r.made[f.Control] = f
	}
	return f, err
}

// compare finds results that were changed in the database behind this process's back:
// they are no evidence. On PostgreSQL a newer one may be another node's. After a start
// nothing is known yet; then every control runs at once.
func (r *Runner) compare(latest map[string]finding) {
	for id, made := range r.made {
		f, ok := latest[id]
		made.steps = nil
		made.Observed, made.ValidUntil = made.Observed.UTC(), made.ValidUntil.UTC()
		if ok && reflect.DeepEqual(f, made) || ok && f.ID != made.ID && r.db.Engine() != "sqlite" {
			continue
		}
		r.log.Error("THE STORED RESULT OF A CHECK WAS CHANGED", "control", id, "entry", made.Entry)
		made.Outcome, made.Summary = clause.Unknown, "the stored result was changed outside of Writ; entry "+made.Entry+" says what was found"
		latest[id] = made
	}
}

// flush stores the passes that did not change under one entry.
func (r *Runner) flush(ctx context.Context) error {
	r.mu.Lock()
	batch := slices.Collect(maps.Values(r.waiting))
	clear(r.waiting)
	r.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	slices.SortFunc(batch, func(a, b finding) int { return strings.Compare(a.Control, b.Control) })
	ev := Passed{Count: len(batch)}
	var list []any
	for _, f := range batch {
		ev.Controls = append(ev.Controls, f.Control)
		list = append(list, []any{f.Control, f.Clause, f.Summary, f.Population, f.Observed.UnixMicro()})
	}
	sum := sha256.Sum256(append([]byte("writ/checks/v1\n"), canon.MustEncode(list)...))
	ev.Hash = hex.EncodeToString(sum[:])
	r.results.Lock()
	defer r.results.Unlock()
	receipt, err := r.db.Change(ctx, runner, func(tx *ledger.Tx) (ledger.Event, error) {
		for _, f := range batch {
			if err := f.store(ctx, tx); err != nil {
				return nil, err
			}
		}
		return ev, nil
	})
	if err != nil {
		r.mu.Lock()
		for _, f := range batch { // for the next tick, unless something newer waits by then
			if _, newer := r.waiting[f.Control]; !newer {
				r.waiting[f.Control] = f
			}
		}
		r.mu.Unlock()
		return fmt.Errorf("record checks: %w", err)
	}
	for _, f := range batch {
		f.Entry = receipt.ID
		r.made[f.Control] = f
	}
	return nil
}

// store writes the result; its entry is the first of the change.
func (f finding) store(ctx context.Context, tx *ledger.Tx) error {
	_, err := tx.Exec(ctx, addResult, f.ID, f.Control, f.Clause, string(f.Kind), f.Revision, f.values, f.Observed.UnixMicro(), f.ValidUntil.UnixMicro(),
		string(f.Outcome), f.Summary, f.Population, tx.Entry())
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, setLatest, f.Control, f.ID)
	return err
}

// note opens a finding at the first failure and closes it at the next pass; unknown
// does neither.
func (f finding) note(ctx context.Context, tx *ledger.Tx) error {
	switch f.Outcome {
	case clause.Fail:
		n, err := tx.Exec(ctx, openFinding, tx.ID(), f.Control, f.Clause, f.Summary, f.Observed.UnixMicro(), tx.Entry())
		if err == nil && n == 1 {
			tx.Also(FindingOpened{Control: f.Control, Clause: f.Clause, Summary: f.Summary})
		}
		return err
	case clause.Pass:
		var opened int64
		err := tx.Each(ctx, openedAt, func(scan ledger.Scan) error { return scan(&opened) }, f.Control)
		if err != nil || opened == 0 {
			return err
		}
		if _, err := tx.Exec(ctx, closeFinding, f.Observed.UnixMicro(), f.Control); err != nil {
			return err
		}
		tx.Also(FindingClosed{Control: f.Control, Clause: f.Clause, After: f.Observed.Sub(time.UnixMicro(opened))})
	}
	return nil
}

// latest is the newest result of each control.
func (r *Runner) latest(ctx context.Context) (map[string]finding, error) {
	out := map[string]finding{}
	r.results.RLock()
	defer r.results.RUnlock()
	err := r.db.Each(ctx, selectLatest, func(scan ledger.Scan) error {
		var f finding
		var kind, outcome string
		var observed, until int64
		err := scan(&f.ID, &f.Control, &f.Clause, &kind, &f.Revision, &f.values, &observed, &until, &outcome, &f.Summary, &f.Population, &f.Entry)
		f.Kind, f.Outcome = clause.Kind(kind), clause.Outcome(outcome)
		f.Observed, f.ValidUntil = time.UnixMicro(observed).UTC(), time.UnixMicro(until).UTC()
		out[f.Control] = f
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	r.compare(out)
	return out, nil
}

// OpenFinding is a clause that was found not to hold and does not yet hold again.
type OpenFinding struct {
	Control string    `json:"control"`
	Clause  string    `json:"clause"`
	Summary string    `json:"summary"`
	Opened  time.Time `json:"opened"`
	Entry   string    `json:"entry"`
}

// OpenFindings lists what is open, the oldest first.
func (r *Runner) OpenFindings(ctx context.Context) ([]OpenFinding, error) {
	out := []OpenFinding{}
	err := r.db.Each(ctx, selectFindings, func(scan ledger.Scan) error {
		var f OpenFinding
		var opened int64
		err := scan(&f.Control, &f.Clause, &f.Summary, &opened, &f.Entry)
		f.Opened = time.UnixMicro(opened).UTC()
		out = append(out, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	return out, nil
}

// trim removes results older than 13 months, but never the newest of a control.
func (r *Runner) trim(ctx context.Context) error {
	return r.db.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, trimResults, r.now().Add(-keep).UnixMicro())
		return err
	})
}

// valuesHash names the values of a clause's parameters.
func valuesHash(m policy.Moment, id string) string {
	var b strings.Builder
	if c, ok := m.Policy.Clause(id); ok {
		for i := range c.Params { // in the order of the body, which is canonical
			k := c.Key(c.Params[i].Name)
			fmt.Fprintf(&b, "%s=%v\n", k, m.Values[k])
		}
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:12])
}

const (
	addResult = `INSERT INTO policy_result (id, control, clause, kind, revision, values_hash, observed, valid_until, outcome, summary, population, entry)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	setLatest    = `INSERT INTO policy_latest (control, result) VALUES ($1, $2) ON CONFLICT (control) DO UPDATE SET result = excluded.result`
	selectLatest = `SELECT r.id, r.control, r.clause, r.kind, r.revision, r.values_hash, r.observed, r.valid_until, r.outcome, r.summary, r.population, r.entry
		FROM policy_latest l JOIN policy_result r ON r.id = l.result`
	openFinding = `INSERT INTO policy_finding (id, control, clause, summary, opened, closed, entry) VALUES ($1, $2, $3, $4, $5, 0, $6)
		ON CONFLICT (control) WHERE closed = 0 DO NOTHING`
	openedAt       = `SELECT opened FROM policy_finding WHERE control = $1 AND closed = 0`
	closeFinding   = `UPDATE policy_finding SET closed = $1 WHERE control = $2 AND closed = 0`
	selectFindings = `SELECT control, clause, summary, opened, entry FROM policy_finding WHERE closed = 0 ORDER BY opened, control LIMIT 1000`
	trimResults    = `DELETE FROM policy_result WHERE observed < $1 AND id NOT IN (SELECT result FROM policy_latest)`
)
