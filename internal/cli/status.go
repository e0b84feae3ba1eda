package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) statusCommand() *cobra.Command {
	return a.group("status", "Keep the public status page", "The status page shows the components of the service, incidents and maintenance, at /-/status. Incidents post to it\nthemselves: writ incident update.",
		"  writ status show\n  writ status add Sign-in --group Accounts", a.statusShow(), a.statusAdd(), a.statusSet(), a.statusRetire(), a.statusPlan(), a.statusExtend(), a.statusBegin(), a.statusEnd(), a.statusCovers(), a.statusSubscribers(), a.statusExport(), a.statusTemplate())
}

func (a *app) statusShow() *cobra.Command {
	return &cobra.Command{Use: "show", Short: "Show components, maintenance and how many are told", Long: "Shows the components of the status page, maintenance, how many subscribe, and when it was last written to its folder.",
		Example: "  writ status show", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "status", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var x struct {
				Says, URL  string
				Components []struct {
					ID, Name, Group, State string
					Since                  time.Time
				}
				Windows []struct {
					ID, Title, State string
					Starts, Ends     time.Time
					Closes, Waits    bool
				}
				Subscribers int
				Webhooks    int
				Suspended   int
				Waiting     int
				Since       *time.Time `json:"waits_since"`
				Exported    *time.Time
				Promises    struct {
					Given, Kept int
					Median      float64 `json:"median_minutes"`
				}
			}
			if err := decode(raw, &x); err != nil {
				return err
			}
			a.say("%s.  %s\n%s told of updates.", x.Says, x.URL, count(x.Subscribers, "address is", "addresses are"))
			if x.Webhooks+x.Suspended > 0 {
				a.say("%s of them; %d refused too many messages and are told nothing.", count(x.Webhooks, "webhook", "webhooks"), x.Suspended)
			}
			if x.Since != nil {
				a.say("%s to them not sent yet, the oldest since %s.", count(x.Waiting, "message is", "messages are"), a.when(*x.Since))
			}
			t := newTable(a.out, "ID", "WHAT", "STATE", "SINCE")
			for _, y := range x.Components {
				t.row(y.ID, y.Name, y.State, a.when(y.Since))
			}
			for _, y := range x.Windows {
				state := y.State
				if y.Closes {
					state += ", closes the gate"
				}
				if y.Waits {
					state += ", waits for a word: writ status begin " + y.ID
				}
				t.row(y.ID, y.Title, state, a.when(y.Starts))
			}
			if p := x.Promises; p.Given > 0 {
				defer a.say("Of %s when service returns, %d kept; half of them were off by at most %.0f minutes.", count(p.Given, "promise", "promises"), p.Kept, p.Median)
			}
			if x.Exported != nil {
				defer a.say("Written to its folder %s.", a.when(*x.Exported))
			}
			return t.flush()
		})}
}

func (a *app) statusAdd() *cobra.Command {
	var group string
	c := &cobra.Command{Use: "add NAME", Short: "Show a component", Long: "Puts a component of the service on the page.", Example: "  writ status add Sign-in --group Accounts", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "status/components", map[string]any{"name": args[0], "group": group}, &raw); err != nil {
				return err
			}
			var x struct{ ID string }
			if err := decode(raw, &x); err != nil {
				return err
			}
			return a.done("It is shown as "+x.ID+".", raw)
		})}
	c.Flags().StringVar(&group, "group", "", "what it belongs to")
	return c
}

// changed calls and says what it did.
func (a *app) changed(c *cobra.Command, method, path string, in any, says string) error {
	conn, err := a.open(c.Context())
	if err != nil {
		return err
	}
	if err := conn.call(c.Context(), method, path, in, nil); err != nil {
		return err
	}
	return a.done(says, nil)
}

func (a *app) statusSet() *cobra.Command {
	return &cobra.Command{Use: "set COMPONENT STATE", Short: "Say how a component is", Long: "Says how a component is: operational, under_maintenance, degraded_performance, partial_outage or major_outage.", Example: "  writ status set 7k2m9q4t8w1x degraded_performance", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.changed(c, http.MethodPut, "status/components/"+url.PathEscape(args[0]), map[string]any{"state": args[1]}, "It is "+args[1]+".")
		})}
}

func (a *app) statusRetire() *cobra.Command {
	return &cobra.Command{Use: "retire COMPONENT", Short: "Show a component no more", Long: "Takes a component from the page. What it was stays in the record.", Example: "  writ status retire 7k2m9q4t8w1x", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.changed(c, http.MethodDelete, "status/components/"+url.PathEscape(args[0]), nil, "It is shown no more.")
		})}
}

func (a *app) statusPlan() *cobra.Command {
	var starts, lasts, body string
	var components []string
	var closes bool
	c := &cobra.Command{Use: "plan TITLE", Short: "Announce maintenance", Long: "Announces maintenance. It begins and ends by the clock, or begins once somebody says so where writ.yaml asks for that (status: confirm_maintenance: true).\nWith --close-gate nobody gets to the application while it lasts: visitors are told when it opens again.", Example: "  writ status plan \"New disks\" --starts 24h --lasts 2h --component 7k2m9q4t8w1x", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			from, err := a.moment(starts)
			if err != nil {
				return &usageError{fmt.Errorf("--starts is %q, expected a time from now such as 24h, or 2026-05-03T14:10:00Z", starts)}
			}
			d, err := time.ParseDuration(lasts)
			if err != nil {
				return &usageError{fmt.Errorf("--lasts is %s, expected a time such as 2h", strconv.Quote(lasts))}
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "status/windows", map[string]any{"title": args[0], "body": body, "components": components, "starts": from, "ends": from.Add(d), "closes": closes}, &raw); err != nil {
				return err
			}
			return a.done("It is announced.", raw)
		})}
	c.Flags().StringVar(&starts, "starts", "", "when it begins")
	c.Flags().StringVar(&lasts, "lasts", "1h", "how long it takes")
	c.Flags().StringVar(&body, "body", "", "what is done, for the public")
	c.Flags().StringArrayVar(&components, "component", nil, "id of a component that it touches; repeat it")
	c.Flags().BoolVar(&closes, "close-gate", false, "nobody gets to the application while it lasts")
	_ = c.MarkFlagRequired("starts") // the flag is there
	return c
}

func (a *app) statusBegin() *cobra.Command {
	return &cobra.Command{Use: "begin MAINTENANCE", Short: "Say that maintenance may begin", Long: "Says that maintenance may begin, from an hour before it does. Where it is due already, it begins now.", Example: "  writ status begin 7k2m9q4t8w1x", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.changed(c, http.MethodPost, "status/windows/"+url.PathEscape(args[0])+"/begin", nil, "It may begin.")
		})}
}

func (a *app) statusCovers() *cobra.Command {
	return &cobra.Command{Use: "covers COMPONENT [INSTANCE]...", Short: "Say what a component stands on", Long: "Says what a component stands on, as the label instance of alarms names it (writ watch alarms). While maintenance that touches the component is under way,\nalarms of load and traffic about these are no news; all others are told. Without an instance it stands on nothing.", Example: "  writ status covers 7k2m9q4t8w1x upstream/unzoned", Args: cobra.MinimumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.changed(c, http.MethodPut, "status/components/"+url.PathEscape(args[0])+"/covers", map[string]any{"covers": append([]string{}, args[1:]...)}, "It is noted.")
		})}
}

func (a *app) statusExtend() *cobra.Command {
	var ends string
	c := &cobra.Command{Use: "extend MAINTENANCE", Short: "Give maintenance another end", Long: "Gives maintenance another end. The page shows it, and subscribers are told, at once.", Example: "  writ status extend 7k2m9q4t8w1x --ends 45m", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			until, err := a.moment(ends)
			if err != nil {
				return &usageError{fmt.Errorf("--ends is %q, expected a time from now such as 45m, or 2026-05-03T14:10:00Z", ends)}
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.call(c.Context(), http.MethodPut, "status/windows/"+url.PathEscape(args[0]), map[string]any{"ends": until}, &raw); err != nil {
				return err
			}
			return a.done("It ends "+a.when(until)+".", raw)
		})}
	c.Flags().StringVar(&ends, "ends", "", "when it ends now")
	_ = c.MarkFlagRequired("ends") // the flag is there
	return c
}

func (a *app) statusEnd() *cobra.Command {
	return &cobra.Command{Use: "end MAINTENANCE", Short: "Complete maintenance, or take it back", Long: "Completes maintenance before its time, or takes it back before it began.", Example: "  writ status end 7k2m9q4t8w1x", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.changed(c, http.MethodDelete, "status/windows/"+url.PathEscape(args[0]), nil, "It is completed.")
		})}
}
