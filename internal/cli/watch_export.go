package cli

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) watchExports() *cobra.Command {
	return &cobra.Command{
		Use: "exports", Short: "Show where entries and measurements are sent, and how far",
		Long:    "Lists the other systems that the machine's settings name (export: in writ.yaml), how many entries each took and refused, and since when one waits. Exit status 1: one does not take what is sent.",
		Example: "  writ watch exports", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "watch/exports", &raw); err != nil {
				return err
			}
			return a.printExports(raw)
		}),
	}
}

// printExports lists them, and says no where one does not take what is sent.
func (a *app) printExports(raw json.RawMessage) error {
	var out struct {
		Exports []struct {
			Name, Kind     string
			Taken, Dropped int64
			At             time.Time
			Waits          time.Time `json:"waits_since"`
			Problem        string
		}
	}
	if err := decode(raw, &out); err != nil {
		return err
	}
	failing := false
	t := newTable(a.out, "EXPORT", "KIND", "TAKEN", "REFUSED", "LAST", "WAITS SINCE", "PROBLEM")
	for _, x := range out.Exports {
		failing = failing || x.Problem != ""
		t.row(x.Name, x.Kind, strconv.FormatInt(x.Taken, 10), strconv.FormatInt(x.Dropped, 10), a.when(x.At), a.when(x.Waits), x.Problem)
	}
	var err error
	switch {
	case a.json():
		err = a.printJSON(raw)
	case len(out.Exports) == 0:
		a.say("Entries are sent nowhere else: export: in writ.yaml names where.")
	default:
		err = t.flush()
	}
	if err == nil && failing {
		return no
	}
	return err
}
