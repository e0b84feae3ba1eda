package cli

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// explained is what the gate would do with a request.
type explained struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	As      string `json:"as"`
	Through bool   `json:"through"`
	Steps   []struct {
		Step     string   `json:"step"`
		Outcome  string   `json:"outcome"`
		Notes    []string `json:"notes"`
		Status   int      `json:"status"`
		Code     string   `json:"code"`
		Problem  string   `json:"problem"`
		Expected string   `json:"expected"`
		Next     string   `json:"next"`
		Places   []string `json:"places"`
		Clause   string   `json:"clause"`
	} `json:"steps"`
}

func (a *app) gatewayExplain() *cobra.Command {
	var as, role string
	var scopes []string
	c := &cobra.Command{
		Use: "explain METHOD PATH", Short: "Say why a request would be let through or not",
		Long: `Takes a request through the steps that every request passes, and tells what each says. Nothing is
sent, counted or recorded. Without a flag it is a stranger who asks. The exit status is 1 when the
request would be refused.`,
		Example: "  writ gateway explain GET /orders/1\n  writ gateway explain POST /orders --as ana@example.com\n  writ gateway explain DELETE /orders/1 --role admin\n  writ gateway explain GET '/orders?page=2' --token-scope orders:read",
		Args:    cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			q := url.Values{"method": {args[0]}, "path": {args[1]}, "scope": scopes}
			for name, v := range map[string]string{"as": as, "role": role} {
				if v != "" {
					q.Set(name, v)
				}
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "gateway/explain?"+q.Encode(), &raw); err != nil {
				return err
			}
			var e explained
			if err := decode(raw, &e); err != nil {
				return err
			}
			if a.json() {
				err = a.printJSON(raw)
			} else {
				a.sayExplained(e)
			}
			if err == nil && !e.Through {
				return no
			}
			return err
		}),
	}
	c.Flags().StringVar(&as, "as", "", "as this person: an address or a handle")
	c.Flags().StringVar(&role, "role", "", "as somebody with this role")
	c.Flags().StringArrayVar(&scopes, "token-scope", nil, "as a token with this scope; may be said again")
	return c
}

func (a *app) sayExplained(e explained) {
	a.say("%s %s as %s:", visible(e.Method), visible(e.Path), visible(e.As))
	for _, s := range e.Steps {
		switch s.Outcome {
		case "refused":
			a.say("  %-13s refused with %d %s (%s)", visible(s.Step), s.Status, visible(s.Code), visible(s.Clause))
			for _, line := range append([]string{s.Problem, s.Expected, s.Next}, append(s.Places, s.Notes...)...) {
				if line != "" {
					a.say("                %s", visible(line))
				}
			}
		case "passed":
			a.say("  %-13s %s", visible(s.Step), visible(strings.TrimSpace("passed. "+strings.Join(s.Notes, " "))))
		}
	}
	if e.Through {
		a.say("It would be let through.")
		return
	}
	a.say("It would be refused.")
}
