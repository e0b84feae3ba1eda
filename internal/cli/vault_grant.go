package cli

import (
	"encoding/json"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// grant is a grant of a path on the wire.
type grant struct {
	ID      string    `json:"id"`
	Who     string    `json:"who"`
	Path    string    `json:"path"`
	Rights  string    `json:"rights"`
	By      string    `json:"by"`
	Granted time.Time `json:"granted"`
	Until   time.Time `json:"until"`
}

func (a *app) vaultGrant() *cobra.Command {
	return a.group("grant", "Let a person read or write under a path", "A grant lets one person do under one path what their role does not let them, with a reason and until an end. Nobody gives one to themselves.",
		"  writ vault grant give person/01JB5C7V8XPZ /shop reader --reason 'on call this week' --days 7\n  writ vault grant list\n  writ vault grant end 01JB…", a.vaultGrantGive(), a.vaultGrantList(), a.vaultGrantEnd())
}

func (a *app) vaultGrantGive() *cobra.Command {
	var in struct {
		Who    string `json:"who"`
		Path   string `json:"path"`
		Rights string `json:"rights"`
		Reason string `json:"reason"`
		Days   int    `json:"days,omitempty"`
	}
	c := &cobra.Command{
		Use: "give PERSON PATH reader|writer", Short: "Give a person rights under a path", Long: "A reader sees names and values; a writer names, and writes new values without being shown those that are there.",
		Example: "  writ vault grant give person/01JB5C7V8XPZ /shop reader --reason 'on call this week' --days 7", Args: cobra.ExactArgs(3),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			in.Who, in.Path, in.Rights = args[0], args[1], args[2]
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/grants", in, &raw); err != nil {
				return err
			}
			var g grant
			if err := decode(raw, &g); err != nil {
				return err
			}
			return a.done(visible(g.Who)+" is a "+visible(g.Rights)+" of "+visible(g.Path)+" until "+a.date(g.Until)+". To end it before: writ vault grant end "+visible(g.ID), raw)
		}),
	}
	c.Flags().StringVar(&in.Reason, "reason", "", "why they need it; it stands in the record")
	c.Flags().IntVar(&in.Days, "days", 0, "days until it ends (default 30)")
	_ = c.MarkFlagRequired("reason") // the flag is there
	return c
}

func (a *app) vaultGrantList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the grants that live", Long: "Lists the grants of paths that live, the newest first.", Example: "  writ vault grant list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "vault/grants", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct{ Grants []grant }
			if err := decode(raw, &out); err != nil {
				return err
			}
			t := newTable(a.out, "GRANT", "WHO", "PATH", "RIGHTS", "BY", "UNTIL")
			for _, g := range out.Grants {
				t.row(g.ID, g.Who, g.Path, g.Rights, g.By, a.when(g.Until))
			}
			return t.flush()
		}),
	}
}

func (a *app) vaultGrantEnd() *cobra.Command {
	return &cobra.Command{
		Use: "end GRANT", Short: "Take a grant back at once", Long: "Ends a grant. The next read under it is refused.", Example: "  writ vault grant end 01JB5C7V8XPZ", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), "DELETE", "vault/grants/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return a.done("The grant has ended.", json.RawMessage(`{}`))
		}),
	}
}
