package cli

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// watchMuteWire is a time without tickets as the server shows it.
type watchMuteWire struct {
	Name, From, To, Zone string
	Days                 []string
	MadeBy               string `json:"made_by"`
}

func (a *app) watchMute() *cobra.Command {
	var in struct {
		Days   []string `json:"days,omitempty"`
		From   string   `json:"from"`
		To     string   `json:"to"`
		Zone   string   `json:"zone"`
		Reason string   `json:"reason"`
	}
	set := &cobra.Command{
		Use: "set NAME", Short: "Set a time of the week in which tickets are not told",
		Long:    "Sets hours, on some days or on all, in which no ticket is told; it is told when they end. Pages always are, and what watches trust, or watch itself. At least 20 hours of each week stay in which tickets are told.",
		Example: "  writ watch mute set nights --from 20:00 --to 07:00 --zone Europe/Berlin --reason \"nobody works then\"", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodPut, "mutes/"+url.PathEscape(args[0]), in, func(json.RawMessage) error {
				a.say("No ticket is told from %s to %s (%s).", in.From, in.To, in.Zone)
				return nil
			})
		}),
	}
	set.Flags().StringSliceVar(&in.Days, "days", nil, "on which it begins, such as sat,sun; empty: every day")
	set.Flags().StringVar(&in.From, "from", "", "such as 20:00")
	set.Flags().StringVar(&in.To, "to", "", "such as 07:00, on the next day where that is before")
	set.Flags().StringVar(&in.Zone, "zone", "UTC", "the time zone of the hours")
	set.Flags().StringVar(&in.Reason, "reason", "", "why nobody need hear then; it is recorded")
	list := &cobra.Command{
		Use: "list", Short: "List the times in which tickets are not told", Long: "Lists the hours of the week in which no ticket is told, with their time zone.",
		Example: "  writ watch mute list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.watchCall(c, http.MethodGet, "mutes", nil, func(raw json.RawMessage) error {
				var out struct{ Mutes []watchMuteWire }
				if err := decode(raw, &out); err != nil {
					return err
				}
				if len(out.Mutes) == 0 {
					a.say("Tickets are told at all times.")
					return nil
				}
				t := newTable(a.out, "NAME", "DAYS", "FROM", "TO", "ZONE", "BY")
				for _, m := range out.Mutes {
					t.row(m.Name, strings.Join(m.Days, " "), m.From, m.To, m.Zone, m.MadeBy)
				}
				return t.flush()
			})
		}),
	}
	remove := &cobra.Command{
		Use: "remove NAME", Short: "Remove such a time", Long: "Removes a time in which tickets are not told. What waits is told now.",
		Example: "  writ watch mute remove nights", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodDelete, "mutes/"+url.PathEscape(args[0]), nil, func(json.RawMessage) error {
				a.say("Tickets are told at that time again.")
				return nil
			})
		}),
	}
	return a.group("mute", "Times of the week in which tickets are not told", "Nights and weekends, for tickets alone: they are seen and recorded, and told when the time is over. Pages are told at any hour.", "  writ watch mute list", set, list, remove)
}
