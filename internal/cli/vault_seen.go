package cli

import (
	"encoding/json"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) vaultSeen() *cobra.Command {
	return &cobra.Command{
		Use: "seen WHO", Short: "List what somebody saw and what has not changed since",
		Long: `Lists the secrets that somebody read or wrote and whose value is still the same: what is to be
replaced when they leave. WHO is a kind and an id, as the journal names it. Your own list is yours to
see; another's takes the right vault.audit.`,
		Example: "  writ vault seen person/01JB5C7V8XPZ\n  writ vault seen person/01JB5C7V8XPZ --format json", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "vault/seen?"+url.Values{"who": {args[0]}}.Encode(), &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Who  string
				Seen []struct {
					Thing, Name string
					Version     int64
					At          time.Time
				}
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			if len(out.Seen) == 0 {
				a.say("%s knows no secret as it is now.", visible(out.Who))
				return nil
			}
			t := newTable(a.out, "SECRET", "LAST SEEN", "THING")
			for _, v := range out.Seen {
				t.row(v.Name, a.when(v.At), v.Thing)
			}
			return t.flush()
		}),
	}
}
