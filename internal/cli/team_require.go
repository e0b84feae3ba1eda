package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// demandSet is what a team's demand comes to, on the wire.
type demandSet struct {
	Demand  string    `json:"demand"`
	Before  string    `json:"before"`
	Members int       `json:"members"`
	Lacking int       `json:"lacking"`
	Grace   time.Time `json:"grace"`
	Ended   int       `json:"ended"`
}

func (a *app) teamRequire() *cobra.Command {
	var look bool
	c := &cobra.Command{
		Use: "require TEAM none|two-factor|phishing-resistant", Short: "Set what a team demands of its people at a sign-in",
		Long: `Says how many members lack what is demanded, then demands it. The strictest of the policy,
the teams and the person counts. Sessions below it end. Members who cannot reach it yet
set it up at the next sign-in, or until the one grace of the policy ends where it gives
one; they are told by mail.`,
		Example: "  writ team require 7b1d6af703e2 two-factor\n  writ team require staff phishing-resistant --look", Args: cobra.ExactArgs(2),
		ValidArgs: []string{"none", "two-factor", "phishing-resistant"},
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			path := "teams/" + url.PathEscape(args[0]) + "/require"
			set := func(look bool) (raw json.RawMessage, d demandSet, err error) {
				if err = conn.call(c.Context(), http.MethodPost, path, map[string]any{"demand": args[1], "look": look}, &raw); err == nil {
					err = decode(raw, &d)
				}
				return raw, d, err
			}
			raw, d, err := set(true)
			if err != nil {
				return err
			}
			lack := fmt.Sprintf("%d of %d members lack it.", d.Lacking, d.Members)
			if look {
				return a.done(lack+" Nothing was changed.", raw)
			}
			if !a.json() {
				a.say("%s", lack)
			}
			if raw, d, err = set(false); err != nil {
				return err
			}
			says := fmt.Sprintf("The team demands %s. Sessions below it have ended: %d.", d.Demand, d.Ended)
			if d.Demand == "none" {
				says = "The team demands nothing of its own."
			}
			return a.done(says, raw)
		})}
	c.Flags().BoolVar(&look, "look", false, "only say how many members lack it")
	return c
}
