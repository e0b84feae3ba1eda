package check

import (
	"context"
	"net/http"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/web"
)

// Proof is what happened when a clause was proved before somebody's eyes.
type Proof struct {
	Clause  string         `json:"clause"`
	Says    string         `json:"says"`
	At      Time           `json:"at"`
	Outcome clause.Outcome `json:"outcome"` // of the runs, the worst
	Runs    []Run          `json:"runs"`
	Record  *Finding       `json:"record,omitempty"` // where a record carries the clause
}

// Run is one control that ran just now.
type Run struct {
	Control    string         `json:"control"`
	Kind       string         `json:"kind"`
	Says       string         `json:"says"`
	Outcome    clause.Outcome `json:"outcome"`
	Summary    string         `json:"summary"`
	Population int64          `json:"population,omitzero"`
	ObservedAt Time           `json:"observed_at"`
	Took       string         `json:"took"`
	Steps      []Step         `json:"steps"`
	Entry      string         `json:"entry"`
}

// Step is one act: an attempt that must be refused, or a control case that must succeed.
type Step struct {
	Act      string `json:"act"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
	OK       bool   `json:"ok"`
	Control  bool   `json:"control"`
}

// Prove runs the clause's canaries now, or its other controls when it has none.
func (r *Runner) Prove(ctx context.Context, id string) (Proof, error) {
	rep, err := r.Report(ctx, Options{Clause: id})
	if err != nil {
		return Proof{}, err
	}
	if id == "" {
		return Proof{}, noClause(id)
	}
	m, err := r.law.Current()
	if err != nil {
		return Proof{}, err
	}
	out := Proof{Clause: id, Says: rep.Clauses[0].Says, At: Time{r.now().UTC()}, Outcome: clause.Pass, Runs: []Run{}}
	for _, c := range r.provers(id) {
		start := time.Now()
		f, err := r.immediately(ctx, c, m)
		if err != nil {
			return Proof{}, err
		}
		run := Run{Control: c.ID, Kind: string(c.Kind), Says: c.Says, Outcome: f.Outcome, Summary: f.Summary, Population: f.Population,
			ObservedAt: Time{f.Observed}, Took: time.Since(start).Round(time.Millisecond).String(), Steps: wireSteps(f.steps), Entry: r.entry(ctx, f.Entry)}
		out.Runs = append(out.Runs, run)
		out.Outcome = clause.Worst(out.Outcome, f.Outcome)
	}
	if len(out.Runs) == 0 {
		i := slices.IndexFunc(rep.Clauses[0].Findings, func(f Finding) bool { return f.Kind == string(clause.Record) })
		if i >= 0 {
			out.Record = &rep.Clauses[0].Findings[i]
		}
		out.Outcome = rep.Clauses[0].Outcome
	}
	return out, nil
}

// LastSteps is what a canary did when it ran last in this process; nil for other controls
// and before the first run.
func (r *Runner) LastSteps(control string) []Step {
	r.results.RLock()
	defer r.results.RUnlock()
	return wireSteps(r.made[control].steps)
}

func wireSteps(steps []clause.Step) []Step {
	out := make([]Step, len(steps))
	for i, s := range steps {
		out[i] = Step{Act: s.Act, Expected: s.Expected, Got: s.Got, OK: s.OK, Control: s.Control}
	}
	return out
}

// provers are the canaries of a clause, else all its controls.
func (r *Runner) provers(id string) []clause.Control {
	var all, canaries []clause.Control
	for _, c := range r.controls {
		if c.Clause != id {
			continue
		}
		all = append(all, c)
		if c.Kind == clause.Canary {
			canaries = append(canaries, c)
		}
	}
	if len(canaries) > 0 {
		return canaries
	}
	return all
}

type proveIn struct {
	Clause string `json:"clause"`
}

type findingsView struct {
	Findings []OpenFinding `json:"findings"`
}

// Routes is the API of checks.
func (r *Runner) Routes() []web.Route {
	return []web.Route{
		{Pattern: "GET /-/api/v1/check", Who: web.Staff, Tokens: true, Handle: r.getCheck, Time: 10 * time.Minute,
			Doc: web.Doc{Summary: "Whether each clause holds; live=1 runs the controls first", Query: []string{"clause", "live"}, Out: Report{}, Errors: []string{"no_clause"}}},
		{Pattern: "GET /-/api/v1/findings", Who: web.Staff, Tokens: true, Handle: r.getFindings, Doc: web.Doc{Summary: "Open findings, the oldest first", Out: findingsView{}}},
		{Pattern: "POST /-/api/v1/prove", Who: web.Staff, Tokens: true, Handle: r.postProve, Time: 10 * time.Minute,
			Doc: web.Doc{Summary: "Run a clause's canaries now", In: proveIn{}, Out: Proof{}, Errors: []string{"no_clause"}}},
	}
}

func (r *Runner) getCheck(w http.ResponseWriter, req *http.Request, who actor.Actor) error {
	live := req.FormValue("live")
	o := Options{Clause: req.FormValue("clause"), Live: live == "1" || live == "true", Fresh: true}
	action := access.PolicyRead
	if o.Live {
		action = access.CheckRun
	}
	if err := r.access.Allow(req.Context(), who, action, ""); err != nil {
		return err
	}
	rep, err := r.Report(req.Context(), o)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, rep)
}

func (r *Runner) getFindings(w http.ResponseWriter, req *http.Request, who actor.Actor) error {
	if err := r.access.Allow(req.Context(), who, access.PolicyRead, ""); err != nil {
		return err
	}
	list, err := r.OpenFindings(req.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, findingsView{list})
}

func (r *Runner) postProve(w http.ResponseWriter, req *http.Request, who actor.Actor) error {
	if err := r.access.Allow(req.Context(), who, access.CheckRun, ""); err != nil {
		return err
	}
	in, err := web.ReadJSON[proveIn](req)
	if err != nil {
		return err
	}
	p, err := r.Prove(req.Context(), in.Clause)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, p)
}
