package cli

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func (a *app) vaultPlant() *cobra.Command {
	var remove bool
	c := &cobra.Command{
		Use: "plant [NAME]", Short: "Plant a secret that nobody should read, whose reads page", Args: cobra.MaximumNArgs(1),
		Long: `Marks a parameter as one that no program and no person needs: each read of it, sealed or open, raises
the alarm canary-secret-read, which is a page. A name that is not there is made, with a random value. Give it a name
that somebody who looks around would open, at a path that no program reads as a whole. To whoever reads and lists it
looks like any other. Without a name, those that are planted are listed. It takes the right to manage keys.`,
		Example: "  writ vault plant /backup/root-password\n  writ vault plant\n  writ vault plant /backup/root-password --remove",
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			switch {
			case len(args) == 0:
				err = conn.get(c.Context(), "vault/planted", &raw)
			case remove:
				err = conn.call(c.Context(), http.MethodDelete, "vault/planted?"+url.Values{"name": args}.Encode(), nil, &raw)
			default:
				err = conn.post(c.Context(), "vault/planted", map[string]string{"name": args[0]}, &raw)
			}
			if err != nil {
				return err
			}
			return a.showPlanted(raw)
		}),
	}
	c.Flags().BoolVar(&remove, "remove", false, "take the mark away; the parameter stays")
	return c
}

func (a *app) showPlanted(raw json.RawMessage) error {
	if a.json() {
		return a.printJSON(raw)
	}
	var out struct{ Names []string }
	if err := decode(raw, &out); err != nil {
		return err
	}
	if len(out.Names) == 0 {
		a.say("None is planted.")
	}
	for _, n := range out.Names {
		a.say("%s is planted: whoever reads it raises a page.", visible(n))
	}
	return nil
}
