package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"writ/internal/secret"
)

// hasToken reports whether a token was given. One in the environment counts for --url
// alone: on a folder the socket knows better who you are.
func (a *app) hasToken() bool {
	return a.token != "" || a.url != "" && a.as == "" && a.env("WRIT_TOKEN") != ""
}

// withToken is a client that acts with a token.
func (a *app) withToken() (*client, error) {
	text := a.token
	switch {
	case text == "":
		text = a.env("WRIT_TOKEN")
	case strings.HasPrefix(text, "writ_"):
		fmt.Fprintln(a.err, "Other users of this machine can read a token on the command line: put it into a file or into WRIT_TOKEN, and make a new one if they should not have it.")
	default:
		b, err := os.ReadFile(text)
		if err != nil {
			return nil, unreadable(text, err)
		}
		text = string(b)
	}
	token := secret.NewText(strings.TrimSpace(text))
	if !strings.HasPrefix(token.Reveal(), "writ_") || strings.ContainsAny(token.Reveal(), " \r\n\t") || token.Len() > 512 {
		return nil, &usageError{errors.New("what was given as a token is none: one begins with writ_pat_ or writ_svc_")}
	}
	c, err := a.overHTTPS()
	if err != nil {
		return nil, err
	}
	c.token = token
	return c, nil
}

// token is a token on the wire.
type token struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	Name      string    `json:"name"`
	Person    string    `json:"person"`
	Program   string    `json:"service_name"`
	Scopes    []string  `json:"scopes"`
	Networks  []string  `json:"networks"`
	Issued    time.Time `json:"issued"`
	Ends      time.Time `json:"ends"`
	Seen      time.Time `json:"seen"`
	Suspended bool      `json:"suspended"`
}

func (a *app) tokenCommand() *cobra.Command {
	return a.group("token", "See, make and end tokens of programs",
		`A token lets a program act for a person, or for a service account, within its scopes.
It is shown once. A person makes their own with --as; a service belongs to a team.`,
		"  writ token list\n  writ token issue laptop --scope orders:read --as ana@example.com\n  writ token revoke 06gqltfs2000bblarjj9hgp134",
		a.tokenList(), a.tokenIssue(), a.tokenRevoke(), a.tokenServices(), a.tokenService(), a.tokenClients())
}

func (a *app) tokenList() *cobra.Command {
	var of string
	c := &cobra.Command{
		Use: "list", Short: "List live tokens, newest first",
		Long:    "Lists your own live tokens; over the socket, or with --of all, everybody's; with --of PERSON theirs.",
		Example: "  writ token list\n  writ token list --as ana@example.com\n  writ token list --of ben@example.com", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			path := "tokens"
			if of != "" {
				path += "?" + url.Values{"of": {of}}.Encode()
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), path, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct{ Tokens []token }
			if err := decode(raw, &out); err != nil {
				return err
			}
			return a.printTokens(out.Tokens)
		}),
	}
	c.Flags().StringVar(&of, "of", "", "all, or a person's address, handle or id")
	return c
}

func (a *app) printTokens(ts []token) error {
	t := newTable(a.out, "ID", "NAME", "FOR", "SCOPES", "LAST USED", "ENDS")
	for _, k := range ts {
		whose := k.Program
		if whose == "" {
			whose = k.Person
		}
		ends := a.date(k.Ends)
		if k.Suspended {
			ends = "suspended: nobody stands behind it"
		}
		t.row(k.ID, k.Name, whose, strings.Join(k.Scopes, " "), a.when(k.Seen), ends)
	}
	return t.flush()
}

func (a *app) tokenIssue() *cobra.Command {
	var in struct {
		Name     string   `json:"name"`
		Scopes   []string `json:"scopes"`
		Days     int      `json:"days,omitempty"`
		Networks []string `json:"networks,omitempty"`
		Service  string   `json:"service,omitempty"`
	}
	c := &cobra.Command{
		Use: "issue NAME --scope SCOPE", Short: "Make a token and print it, this once",
		Long: `Makes a token for yourself (with --as), or with --service for a service of your team, and
prints it. It is kept nowhere. Scopes are the application's (orders:read), as routes.yaml
names them, or actions of this server such as policy.read, journal.read, policy.run-check.`,
		Example: "  writ token issue laptop --scope orders:read --days 30 --as ana@example.com\n  writ token issue nightly --service export --scope orders:read --network 10.0.0.0/8",
		Args:    cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			in.Name = args[0]
			var raw json.RawMessage
			if err := conn.post(c.Context(), "tokens", in, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Token string
				About token
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "It is shown this once, and ends %s. To end it before: writ token revoke %s\n", a.date(out.About.Ends), visible(out.About.ID))
			a.say("%s", visible(out.Token))
			return nil
		}),
	}
	f := c.Flags()
	f.StringSliceVar(&in.Scopes, "scope", nil, "what it may be used for; may be repeated")
	f.IntVar(&in.Days, "days", 0, "days until it ends (default: as the policy says)")
	f.StringSliceVar(&in.Networks, "network", nil, "address or prefix it works from; may be repeated (default: anywhere)")
	f.StringVar(&in.Service, "service", "", "for this service, by name or id")
	_ = c.MarkFlagRequired("scope") // the flag is there
	return c
}

func (a *app) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "End a token at once", Long: "Ends a token: its next use is refused, here at once and on other nodes within a second.",
		Example: "  writ token revoke 06gqltfs2000bblarjj9hgp134", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, "tokens/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return a.done("The token is ended.", nil)
		}),
	}
}

func (a *app) tokenServices() *cobra.Command {
	return &cobra.Command{
		Use: "services", Short: "List the service accounts of the team", Long: "Lists the service accounts of your team; over the socket those of the staff.",
		Example: "  writ token services", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "services", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Services []struct {
					ID, Name, Owner string
					Roles           []string
					Tokens          int
				}
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			t := newTable(a.out, "NAME", "ROLES", "OWNER", "TOKENS", "ID")
			for _, v := range out.Services {
				owner := v.Owner
				if owner == "" {
					owner = "the team"
				}
				t.row(v.Name, strings.Join(v.Roles, " "), owner, fmt.Sprint(v.Tokens), v.ID)
			}
			return t.flush()
		}),
	}
}

func (a *app) tokenService() *cobra.Command {
	var roles []string
	var mine, end bool
	c := &cobra.Command{
		Use: "service NAME", Short: "Make a service account, or end one",
		Long: `Makes an account for a program in your team, with roles you could give. It belongs to the
team, or with --mine to you, and then stops when you leave. With --end it is ended, and all
its tokens.`,
		Example: "  writ token service export --role auditor\n  writ token service export --end", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if end {
				if err := conn.call(c.Context(), http.MethodDelete, "services/"+url.PathEscape(args[0]), nil, nil); err != nil {
					return err
				}
				return a.done("The service and its tokens are ended.", nil)
			}
			owner := "team"
			if mine {
				owner = "me"
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "services", map[string]any{"name": args[0], "roles": append([]string{}, roles...), "owner": owner}, &raw); err != nil {
				return err
			}
			return a.done("The service is made. Give it a token with: writ token issue NAME --service "+visible(args[0])+" --scope …", raw)
		}),
	}
	c.Flags().StringSliceVar(&roles, "role", nil, "a role it has; may be repeated")
	c.Flags().BoolVar(&mine, "mine", false, "it belongs to you, not to the team")
	c.Flags().BoolVar(&end, "end", false, "end it")
	return c
}
