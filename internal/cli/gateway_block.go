package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"writ/internal/policy/document"
)

type blockedNetwork struct {
	ID       string    `json:"id"`
	Network  string    `json:"network"`
	Reason   string    `json:"reason"`
	Incident string    `json:"incident"`
	Owner    string    `json:"owner"`
	Until    time.Time `json:"until"`
	Ended    time.Time `json:"ended"`
}

func (a *app) gatewayBlock() *cobra.Command {
	return a.group("block", "See and change which networks are kept out",
		"Requests from a blocked network are refused before anything is asked about who comes, and what is under way from it is\ncut. Each block has a reason and an end. This machine itself is never kept out.",
		"  writ gateway block list\n  writ gateway block add 198.51.100.0/24 --reason \"passwords are tried from there\" --incident I-3 --until 30d\n  writ gateway block remove 198.51.100.0/24",
		a.blockList(), a.blockAdd(), a.blockRemove())
}

func (a *app) blockList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the networks that are kept out", Long: "Lists blocks in force first, then those that ended in the last 90 days.", Example: "  writ gateway block list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "gateway/blocks", &raw); err != nil || a.json() {
				return a.orJSON(err, raw)
			}
			var s struct{ Blocks []blockedNetwork }
			if err := decode(raw, &s); err != nil {
				return err
			}
			if len(s.Blocks) == 0 {
				a.say("No network is blocked.")
				return nil
			}
			t := newTable(a.out, "NETWORK", "UNTIL", "INCIDENT", "BY", "REASON")
			for _, b := range s.Blocks {
				until := a.date(b.Until)
				if !b.Ended.IsZero() {
					until = "ended " + a.date(b.Ended)
				}
				t.row(b.Network, until, b.Incident, b.Owner, b.Reason)
			}
			return t.flush()
		}),
	}
}

func (a *app) blockAdd() *cobra.Command {
	var in struct {
		Network  string    `json:"network"`
		Reason   string    `json:"reason"`
		Incident string    `json:"incident,omitempty"`
		Until    time.Time `json:"until"`
	}
	var until string
	c := &cobra.Command{
		Use: "add NETWORK", Short: "Keep a network out for a while",
		Long: `Takes a network such as 198.51.100.0/24 or 2001:db8::/48, or an address; none wider than /16, or /32 of IPv6. --until is
a date, a time, or a span such as 30d; at most a year. A block of the same network is replaced. Other nodes follow within a
second.`,
		Example: "  writ gateway block add 198.51.100.0/24 --reason \"passwords are tried from there\" --incident I-3", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			var err error
			if in.Until, err = parseTime(until); err != nil {
				d, derr := document.ParseDuration(until)
				if derr != nil {
					return &usageError{fmt.Errorf("--until: %w, or a span such as 30d", err)}
				}
				in.Until = a.now().Add(d).UTC().Truncate(time.Second)
			}
			in.Network = args[0]
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "gateway/blocks", in, &raw); err != nil {
				return err
			}
			var b blockedNetwork
			if err := decode(raw, &b); err != nil {
				return err
			}
			return a.done(fmt.Sprintf("%s is kept out until %s. To let it in before: writ gateway block remove %s", visible(b.Network), a.date(b.Until), visible(b.Network)), raw)
		}),
	}
	f := c.Flags()
	f.StringVar(&in.Reason, "reason", "", "why; it stands in the record")
	f.StringVar(&in.Incident, "incident", "", "the incident that it belongs to, such as I-3")
	f.StringVar(&until, "until", "30d", "its end: a date, a time, or a span such as 30d")
	_ = c.MarkFlagRequired("reason") // the flag is there
	return c
}

func (a *app) blockRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NETWORK", Short: "Let a network in again", Long: "Ends a block before its time, by the network or the id of the block.", Example: "  writ gateway block remove 198.51.100.0/24", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.post(c.Context(), "gateway/blocks/remove", map[string]any{"block": args[0]}, nil); err != nil {
				return err
			}
			return a.done("It is let in again.", nil)
		}),
	}
}
