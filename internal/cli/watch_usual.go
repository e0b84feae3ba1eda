package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

// watchUsual is what is usual of a series.
type watchUsual struct {
	Series   string   `json:"series"`
	Hourly   bool     `json:"hourly"`
	Days     int      `json:"days"`
	Known    bool     `json:"known"`
	Value    float64  `json:"value"`
	Low      float64  `json:"low"`
	Expected float64  `json:"expected"`
	High     *float64 `json:"high"`
	Above    float64  `json:"above"`
	Below    float64  `json:"below"`
	Drift    float64  `json:"drift"`
}

func (a *app) watchBaselines() *cobra.Command {
	c := &cobra.Command{
		Use: "baselines", Short: "See what is learned as usual, and what is unusual now",
		Long:    "Lists the series whose usual course is learned, what is unusual first: the value of the last minute, what was expected, and the band around it. Nothing is judged before two weeks were seen.",
		Example: "  writ watch baselines\n  writ watch baselines accept requests --reason \"a great customer came\"", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.watchCall(c, http.MethodGet, "baselines", nil, a.printUsuals)
		}),
	}
	c.AddCommand(a.watchAccept())
	return c
}

func (a *app) printUsuals(raw json.RawMessage) error {
	var out struct {
		Days, Need int
		Unbound    []string
		Baselines  []watchUsual
	}
	if err := decode(raw, &out); err != nil {
		return err
	}
	if out.Days < out.Need {
		a.say("Learning %d/%d days: nothing is judged by what is usual yet.", out.Days, out.Need)
	}
	t := newTable(a.out, "SERIES", "NOW", "EXPECTED", "BAND", "STANDS")
	for _, u := range out.Baselines {
		t.row(u.Series, short(u.Value), short(u.Expected), u.band(), u.stands())
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, u := range out.Unbound {
		a.say("Unbound: %s.", u)
	}
	return nil
}

func (u *watchUsual) band() string {
	switch {
	case u.Hourly:
		return "by the hour"
	case u.High == nil:
		return "not bounded"
	}
	return short(u.Low) + " to " + short(*u.High)
}

func (u *watchUsual) stands() string {
	switch {
	case u.Above > 1 || u.Below > 1:
		return fmt.Sprintf("unusual, %.1f times the band", max(u.Above, u.Below))
	case u.Hourly:
		return "usual"
	case !u.Known:
		return fmt.Sprintf("learning %d/14", u.Days)
	}
	return "usual"
}

// short writes a number as people read it.
func short(v float64) string {
	name := ""
	for _, n := range []string{" k", " M", " G"} {
		if v < 10_000 {
			break
		}
		v, name = v/1000, n
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + name
}

func (a *app) watchAccept() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "accept SERIES", Short: "Say that what a series does now is the new normal",
		Long:    "Moves what is expected of a series to where it is now. The reason is recorded. Use it after something that was meant and will last, not to quiet an alarm: a silence does that.",
		Example: "  writ watch baselines accept requests --reason \"a great customer came\"", Args: cobra.MinimumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodPost, "baselines/accept", map[string]string{"series": strings.Join(args, " "), "reason": reason}, func(json.RawMessage) error {
				a.say("What is expected of it is where it is now.")
				return nil
			})
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "what has changed (10 to 500 bytes)")
	return c
}
