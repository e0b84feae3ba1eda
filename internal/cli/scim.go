package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// connection is a connection of a directory on the wire.
type connection struct {
	ID       string   `json:"id"`
	Team     string   `json:"team"`
	Name     string   `json:"name"`
	Address  string   `json:"address"`
	Roles    []string `json:"roles"`
	Standard string   `json:"standard"`
	Domains  []string `json:"domains"`
	Groups   []struct {
		Group string `json:"group"`
		Role  string `json:"role"`
	} `json:"groups"`
	Made   time.Time `json:"made"`
	Tokens []struct {
		Ends time.Time `json:"ends"`
		Seen time.Time `json:"seen"`
	} `json:"tokens"`
}

func (a *app) scimCommand() *cobra.Command {
	return a.group("scim", "Connect a team's own directory (SCIM 2.0)",
		`A connected directory, such as Microsoft Entra or Okta, makes the people of one team and
ends everything of those who leave. docs/scim.md says how to set up both.`,
		"  writ team scim add entra --role engineer --role auditor --domain example.com --group 'Engineers=engineer'\n  writ team scim list\n  writ team scim remove entra",
		a.scimAdd(), a.scimList(), a.scimRemove())
}

func (a *app) scimAdd() *cobra.Command {
	var team, standard string
	var roles, domains, groups []string
	var days int
	c := &cobra.Command{
		Use: "add NAME", Short: "Connect a directory and print its token once",
		Long: `Connects a directory to a team, the staff unless --team names another, and prints the
address and the token to give to it. The token is printed this once. Addresses in a --domain
count as confirmed by the directory's word: name only domains that are the team's own.`,
		Example: "  writ team scim add entra --role engineer --domain example.com --group 'Engineers=engineer'\n  writ team scim add okta --team 4f1c --role admin --role member --group 'Admins=admin'", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			in := map[string]any{"name": args[0], "team": team, "roles": roles, "standard": standard, "domains": domains, "days": days}
			mapped := []map[string]string{}
			for _, g := range groups {
				i := strings.LastIndexByte(g, '=')
				if i < 1 {
					return &usageError{fmt.Errorf("--group is %q, expected NAME=ROLE", g)}
				}
				mapped = append(mapped, map[string]string{"group": g[:i], "role": g[i+1:]})
			}
			in["groups"] = mapped
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "provisioning", in, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Token string
				About connection
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			a.say("Connected. Give the directory this address and this token; the token is shown this once.\n%s\n%s", visible(out.About.Address), visible(out.Token))
			return nil
		}),
	}
	f := c.Flags()
	f.StringVar(&team, "team", "", "id of a customer's team (default: the staff)")
	f.StringSliceVar(&roles, "role", nil, "a role that it may give; may be repeated (default for customers: member)")
	f.StringVar(&standard, "standard", "", "role of somebody in no group, or none (default: member for customers, none for staff)")
	f.StringSliceVar(&domains, "domain", nil, "a domain in which it confirms addresses; may be repeated")
	f.StringArrayVar(&groups, "group", nil, "NAME=ROLE: what a group of the directory means; may be repeated")
	f.IntVar(&days, "days", 0, "life of the token (default: the longest the policy allows)")
	return c
}

func (a *app) scimList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the connected directories", Long: "Lists the connected directories, the oldest first, and when their newest token ends.",
		Example: "  writ team scim list\n  writ team scim list --format json", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "provisioning", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Connections []connection `json:"connections"`
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			if len(out.Connections) == 0 {
				a.say("No directory is connected.")
				return nil
			}
			t := newTable(a.out, "NAME", "TEAM", "MAY GIVE", "DOMAINS", "GROUPS", "TOKEN ENDS", "LAST USED", "ID")
			for _, n := range out.Connections {
				var groups []string
				for _, g := range n.Groups {
					groups = append(groups, g.Group+"="+g.Role)
				}
				ends, seen := "no token", ""
				if len(n.Tokens) > 0 {
					ends, seen = a.date(n.Tokens[0].Ends), a.date(n.Tokens[0].Seen)
				}
				t.row(n.Name, n.Team, strings.Join(n.Roles, " "), strings.Join(n.Domains, " "), strings.Join(groups, ", "), ends, seen, n.ID)
			}
			return t.flush()
		}),
	}
}

func (a *app) scimRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove ID", Short: "End a connection and its tokens at once", Long: "Ends a connection, named by id or, for one's own team, by name. Its tokens work no more; the people it made stay as they are.",
		Example: "  writ team scim remove entra", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, "provisioning/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return a.done("Disconnected. The people stay as they are.", nil)
		}),
	}
}
