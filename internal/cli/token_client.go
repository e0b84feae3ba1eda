package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// oidcClient is an application on the wire.
type oidcClient struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Kind      string   `json:"kind"`
	Trust     string   `json:"trust"`
	Audience  string   `json:"audience"`
	Redirects []string `json:"redirects"`
	Secrets   []struct {
		ID      string    `json:"id"`
		Created time.Time `json:"created"`
	} `json:"secrets"`
	Created time.Time `json:"created"`
}

// tokenClients are the commands about applications that sign people in here.
func (a *app) tokenClients() *cobra.Command {
	return a.group("client", "Manage the applications that sign people in here",
		"An application that speaks OpenID Connect can sign people in through this server. It is registered\nwith the addresses it may be answered at, and proves itself with a secret.",
		"  writ token client add \"Wiki\" --redirect https://wiki.example.com/callback\n  writ token client list\n  writ token client rotate ID",
		a.clientAdd(), a.clientList(), a.clientRotate(), a.clientRemove())
}

func (a *app) clientAdd() *cobra.Command {
	in := map[string]*string{"kind": new(string), "trust": new(string), "audience": new(string), "alg": new(string), "backchannel_logout": new(string), "frontchannel_logout": new(string)}
	var redirects, after, scopes []string
	var acr int
	var par, resource bool
	c := &cobra.Command{
		Use: "add NAME --redirect URL", Short: "Register an application and print its secret, once",
		Long: `Registers an application. Without flags it is confidential (has a secret), a third party (people
are asked), and for everyone. Redirects are compared letter by letter; a native program registers
http://127.0.0.1/path and may use any port.`,
		Example: "  writ token client add \"Wiki\" --redirect https://wiki.example.com/callback --trust first-party --audience staff\n  writ token client add \"Phone\" --kind public --redirect http://127.0.0.1/callback",
		Args:    cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			body := map[string]any{"name": args[0], "redirects": redirects, "after_logout": after, "scopes": scopes, "acr": acr, "resource": resource}
			for k, v := range in {
				body[k] = *v
			}
			if c.Flags().Changed("par") {
				body["require_par"] = par
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "clients", body, &raw); err != nil {
				return err
			}
			return a.printClientSecret(raw)
		}),
	}
	f := c.Flags()
	f.StringArrayVar(&redirects, "redirect", nil, "where codes may be sent; may be repeated")
	f.StringArrayVar(&after, "after-logout", nil, "where a browser may go after signing out; may be repeated")
	f.StringSliceVar(&scopes, "scope", nil, "scopes it may ask for (default openid,profile,email,roles)")
	f.StringVar(in["kind"], "kind", "", "confidential or public")
	f.StringVar(in["trust"], "trust", "", "first-party or third-party")
	f.StringVar(in["audience"], "audience", "", "staff, customers or everyone")
	f.StringVar(in["alg"], "alg", "", "RS256 or ES256")
	f.StringVar(in["backchannel_logout"], "backchannel-logout", "", "address that is told when a session ends")
	f.StringVar(in["frontchannel_logout"], "frontchannel-logout", "", "address that the browser loads when the person signs out")
	f.IntVar(&acr, "acr", 0, "least level of a sign-in: 1, 2 or 3")
	f.BoolVar(&par, "par", false, "demand pushed requests (default for a confidential application for staff)")
	f.BoolVar(&resource, "resource", false, "may introspect tokens of other applications")
	_ = c.MarkFlagRequired("redirect") // the flag is there
	return c
}

func (a *app) printClientSecret(raw json.RawMessage) error {
	if a.json() {
		return a.printJSON(raw)
	}
	var made struct {
		Client oidcClient `json:"client"`
		Secret string     `json:"secret"`
		Issuer string     `json:"issuer"`
	}
	if err := decode(raw, &made); err != nil {
		return err
	}
	t := newTable(a.out)
	if made.Issuer != "" {
		t.row("issuer", made.Issuer)
		t.row("client id", made.Client.ID)
	}
	if made.Secret != "" {
		t.row("secret", made.Secret)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if made.Secret != "" {
		a.say("The secret is shown this once.")
	}
	return nil
}

func (a *app) clientList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the registered applications", Long: "Lists the applications that sign people in here, by name, with the ids of their secrets.",
		Example: "  writ token client list\n  writ token client list --format json", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "clients", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Clients []oidcClient `json:"clients"`
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			t := newTable(a.out, "NAME", "ID", "KIND", "TRUST", "FOR", "SECRETS", "REDIRECTS", "SINCE")
			for _, x := range out.Clients {
				t.row(x.Name, x.ID, x.Kind, x.Trust, x.Audience, strconv.Itoa(len(x.Secrets)), strings.Join(x.Redirects, " "), a.when(x.Created))
			}
			return t.flush()
		}),
	}
}

// onClient is a command about one application.
func (a *app) onClient(use, short, long, example string, act func(ctx context.Context, conn *client, path string) error) *cobra.Command {
	return &cobra.Command{Use: use + " ID", Short: short, Long: long, Example: example, Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			return act(c.Context(), conn, "clients/"+url.PathEscape(args[0]))
		})}
}

func (a *app) clientRotate() *cobra.Command {
	return a.onClient("rotate", "Make a new secret beside the present one and print it, once",
		"Makes a new secret. The one before works until the next rotation, so that the new one can be put in\nplace without an interruption; rotate twice to end a secret that leaked.", "  writ token client rotate 4f1c2a90b7d34e518c6e0a2b9d7f3c10",
		func(ctx context.Context, conn *client, path string) error {
			var raw json.RawMessage
			if err := conn.post(ctx, path+"/secrets", nil, &raw); err != nil {
				return err
			}
			return a.printClientSecret(raw)
		})
}

func (a *app) clientRemove() *cobra.Command {
	return a.onClient("remove", "Remove an application and end all its tokens", "Removes an application: its secrets, tokens and consents end at once.", "  writ token client remove 4f1c2a90b7d34e518c6e0a2b9d7f3c10",
		func(ctx context.Context, conn *client, path string) error {
			if err := conn.call(ctx, http.MethodDelete, path, nil, nil); err != nil {
				return err
			}
			if a.json() {
				return a.encode(map[string]bool{"removed": true})
			}
			a.say("Removed. Its tokens no longer work.")
			return nil
		})
}
