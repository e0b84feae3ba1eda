package cli

import (
	"context"
	"encoding/json"
	"io"
	"net/url"

	"github.com/spf13/cobra"

	"writ/internal/report"
)

func (a *app) checkCommand() *cobra.Command {
	var id string
	var live bool
	c := &cobra.Command{
		Use: "check", Short: "Say of every clause whether it holds",
		Long: `Prints one line for each clause with what the newest evidence says, and the counts. With
--live the server runs all controls first. --format json is stable for programs.

Exit status: 0 every clause holds or is excepted, 1 otherwise, 3 the server cannot be reached.`,
		Example: "  writ check\n  writ check --clause auth.reset-link-lifetime\n  writ check --live --format json", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error { return a.check(c.Context(), id, live) }),
	}
	c.Flags().StringVar(&id, "clause", "", "only this clause")
	c.Flags().BoolVar(&live, "live", false, "run the controls now instead of reading their newest results")
	_ = c.RegisterFlagCompletionFunc("clause", a.completeClause) // the flag is there
	return c
}

func (a *app) check(ctx context.Context, id string, live bool) error {
	conn, err := a.open(ctx)
	if err != nil {
		return err
	}
	v := url.Values{}
	what := "Reading the evidence"
	if id != "" {
		v.Set("clause", id)
	}
	if live {
		v.Set("live", "1")
		what = "Running the controls"
	}
	var raw json.RawMessage
	done := a.working(what)
	err = conn.get(ctx, "check?"+v.Encode(), &raw)
	done()
	if err != nil {
		return err
	}
	var r struct {
		Clauses []struct {
			Outcome string `json:"outcome"`
		} `json:"clauses"`
	}
	if err := decode(raw, &r); err != nil {
		return err
	}
	if err := show(a, raw, report.Text); err != nil {
		return err
	}
	if len(r.Clauses) == 0 {
		return no // nothing was said
	}
	for _, c := range r.Clauses {
		if !holds(c.Outcome) {
			return no
		}
	}
	return nil
}

// holds reports whether an outcome is a good answer. Unknown is never a pass.
func holds(outcome string) bool { return outcome == "pass" || outcome == "excepted" }

// show prints an answer as it is, or through what package report makes of it.
func show[T any](a *app, raw json.RawMessage, text func(io.Writer, T, report.Look) error) error {
	if a.json() {
		return a.printJSON(raw)
	}
	var v T
	if err := decode(raw, &v); err != nil {
		return err
	}
	return text(a.out, v, report.Look{Color: a.colour(a.out)})
}

func (a *app) proveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "prove CLAUSE", Short: "Attack a clause now and show what happened",
		Long: `Runs the clause's canaries before your eyes: each tries the violation through the real door,
and beside it a control case just inside the limit that must succeed. A clause without
canaries has its other controls run; one that people carry shows its record.

Exit status: 0 it holds, 1 it does not or nobody could tell, 3 the server cannot be reached.`,
		Example: "  writ prove auth.reset-link-lifetime\n  writ prove auth.reset-link-lifetime --format json",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: a.completeClause,
		RunE: run(func(c *cobra.Command, args []string) error { return a.prove(c.Context(), args[0]) }),
	}
}

func (a *app) prove(ctx context.Context, id string) error {
	conn, err := a.open(ctx)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	done := a.working("Proving " + id)
	err = conn.post(ctx, "prove", map[string]string{"clause": id}, &raw)
	done()
	if err != nil {
		return err
	}
	var p struct {
		Outcome string `json:"outcome"`
	}
	if err := decode(raw, &p); err != nil {
		return err
	}
	if err := show(a, raw, report.Proof); err != nil {
		return err
	}
	if !holds(p.Outcome) {
		return no
	}
	return nil
}
