package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"writ/internal/policy/document"
)

const maxPolicyFile = 1 << 20

// load reads a policy file. Its problems are printed by the caller.
func (a *app) load(name string) (*document.Policy, []document.Problem, error) {
	b, err := a.readFile(name, maxPolicyFile)
	if err != nil {
		return nil, nil, err
	}
	p, ps := document.Load(b, document.Shipped())
	if p != nil {
		ps = append(ps, document.Lint(p, document.Shipped())...)
	}
	return p, document.InFile(name, ps), nil
}

func (a *app) policyLint() *cobra.Command {
	var online bool
	c := &cobra.Command{
		Use: "lint FILE", Short: "Say what is wrong or weak in a policy file",
		Long: `Reads a policy file and prints every problem with file, line and column, what was found and
what was expected. It needs no server. With --server the running server judges the file too:
it alone knows which controls there are and whether the modules could obey the values.

Exit status: 0 the file is accepted, with warnings or without, 1 it is refused, 2 unreadable.`,
		Example: "  writ policy lint policy.yaml\n  writ policy lint policy.yaml --server --format json", Args: cobra.ExactArgs(1), Annotations: offlineCommand,
		RunE: run(func(c *cobra.Command, args []string) error {
			if online {
				return a.lintThere(c, args[0])
			}
			_, ps, err := a.load(args[0])
			if err != nil {
				return err
			}
			return a.printProblems(ps)
		}),
	}
	c.Flags().BoolVar(&online, "server", false, "let the running server judge it")
	return c
}

func (a *app) lintThere(c *cobra.Command, name string) error {
	b, err := a.readFile(name, maxPolicyFile)
	if err != nil {
		return err
	}
	conn, err := a.open(c.Context())
	if err != nil {
		return err
	}
	var out struct {
		Problems []document.Problem `json:"problems"`
	}
	if err := conn.post(c.Context(), "policy/lint", map[string]string{"yaml": string(b)}, &out); err != nil {
		return err
	}
	return a.printProblems(document.InFile(name, out.Problems))
}

func (a *app) printProblems(ps []document.Problem) error {
	if a.json() {
		if ps == nil {
			ps = []document.Problem{}
		}
		if err := a.encode(map[string]any{"problems": ps}); err != nil {
			return err
		}
	}
	wrong, weak := 0, 0
	for _, p := range ps {
		a.say("%s", visible(p.String()))
		if p.Severity == document.Error {
			wrong++
		} else {
			weak++
		}
	}
	switch {
	case wrong > 0:
		a.say("The file is refused: %s, %s.", count(wrong, "problem", "problems"), count(weak, "warning", "warnings"))
		return no
	case weak > 0:
		a.say("The file is accepted; an owner should look at %s.", count(weak, "warning", "warnings"))
	default:
		a.say("Nothing is wrong.")
	}
	return nil
}

func (a *app) policyDiff() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use: "diff FROM TO", Short: "Say what one policy does to another: tighter, looser, text",
		Long: `Compares two policies by value, clause by clause. FROM and TO are files (offline), or two
revisions of the running server such as 1.0 and 1.1; or a revision and a file. With --dry-run
the running server also says what TO would do to the people and things that are there.`,
		Example: "  writ policy diff 1.0 changed.yaml --dry-run\n  writ policy diff policy.yaml changed.yaml\n  writ policy diff 1.0 1.1\n  writ policy diff 1.1 changed.yaml", Args: cobra.ExactArgs(2), Annotations: offlineCommand,
		RunE: run(func(c *cobra.Command, args []string) error { return a.diff(c, args[0], args[1], dry) }),
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "say what TO would do to the server in force, and store nothing")
	return c
}

// isVersion tells a revision from a file.
func isVersion(s string) bool { _, err := document.ParseVersion(s); return err == nil }

func (a *app) diff(c *cobra.Command, from, to string, dry bool) error {
	old, err := a.policyOf(c, from)
	if err != nil {
		return err
	}
	changed, err := a.policyOf(c, to)
	if err != nil {
		return err
	}
	d := document.Compare(old, changed)
	out := map[string]any{"summary": d.Summary(), "needs_loosen": d.NeedsLoosen(), "diff": d}
	var would forecast
	if dry {
		t, raw, err := a.try(c.Context(), map[string]any{"yaml": string(document.Print(changed))})
		if err != nil {
			return err
		}
		would, out["forecast"] = t.Forecast, raw.Forecast
	}
	if a.json() {
		return errors.Join(a.encode(out), would.counted())
	}
	a.printDiff(d)
	if dry {
		a.printForecast(&would)
	}
	return would.counted()
}

// policyOf is a file's policy or a revision's body.
func (a *app) policyOf(c *cobra.Command, ref string) (*document.Policy, error) {
	if isVersion(ref) {
		conn, err := a.open(c.Context())
		if err != nil {
			return nil, err
		}
		_, p, err := revisionBody(c.Context(), conn, ref)
		return p, err
	}
	p, ps, err := a.load(ref)
	if err != nil {
		return nil, err
	}
	if p == nil {
		var text []string
		for _, x := range ps {
			if x.Severity == document.Error {
				text = append(text, x.String())
			}
		}
		return nil, &exit{exitNo, errors.New(strings.Join(text, "\n"))}
	}
	return p, nil
}

// parseBody reads a canonical body and checks that it has the hash it is said to have.
func parseBody(body json.RawMessage, sha256 string) (*document.Policy, error) {
	p, err := document.FromCanonical(body)
	if err != nil {
		return nil, fmt.Errorf("read the revision's body: %w", err)
	}
	if got := fmt.Sprintf("%x", p.BodyHash()); got != sha256 {
		return nil, fmt.Errorf("the body's hash is %s, expected %s: it is not the revision that was signed", got, sha256)
	}
	return p, nil
}
