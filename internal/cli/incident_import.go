package cli

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

const mostSheet = 1 << 20

func (a *app) incidentImport() *cobra.Command {
	var dry bool
	c := &cobra.Command{Use: "import FILE", Short: "Bring open incidents from another tool", Long: `Makes incidents of those that are open in another tool, from its CSV file: a header with an id and a title, and what there is of
status, started_at (UTC) and category; all other columns go into a note. Either every line is imported or none. What came
before, or is over, is left out, so that the same file can come again. --dry-run only says what would be done.`,
		Example: "  writ incident import incidents.csv --dry-run\n  writ incident import incidents.csv", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			b, err := a.readFile(args[0], mostSheet)
			if err != nil {
				return err
			}
			if !utf8.Valid(b) {
				return &usageError{fmt.Errorf("%s is no UTF-8 text", args[0])}
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "incidents/import", map[string]any{"csv": string(b), "dry_run": dry}, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var x struct {
				Rows []struct {
					Line                  int
					ID, Title, State, Ref string
				}
			}
			if err := decode(raw, &x); err != nil {
				return err
			}
			t, n := newTable(a.out, "LINE", "ID", "WHAT", "TITLE"), 0
			for _, r := range x.Rows {
				what := map[string]string{"new": "new", "known": "came before", "over": "over, left out"}[r.State]
				if r.State == "new" {
					n++
				}
				if r.Ref != "" {
					what += ", " + r.Ref
				}
				t.row(fmt.Sprint(r.Line), visible(r.ID), what, visible(r.Title))
			}
			if err := t.flush(); err != nil {
				return err
			}
			if dry {
				a.say("%d would be imported. Nothing was.", n)
			} else {
				a.say("%d imported.", n)
			}
			return nil
		})}
	c.Flags().BoolVar(&dry, "dry-run", false, "only say what would be done")
	return c
}
