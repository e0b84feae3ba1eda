package cli

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// rotation is a value that is replaced by itself, on the wire.
type rotation struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"`
	State   string    `json:"state"`
	Fresh   string    `json:"fresh"`
	Old     string    `json:"old"`
	Version int64     `json:"version"`
	Until   time.Time `json:"until"`
	Last    time.Time `json:"last"`
	Due     time.Time `json:"due"`
	Problem *struct {
		Code string `json:"code"`
		Says string `json:"says"`
		Next string `json:"next"`
	} `json:"problem"`
}

func (a *app) vaultRotation() *cobra.Command {
	return a.group("rotation", "Have values replaced by themselves, at their source",
		`A value that is replaced by itself has two slots, which take turns: a role of a PostgreSQL server, an
access key or a service's token of this one. The new one is made, tested by a real log-in and written as the newest version;
the former one works through a grace, is ended then, and tried once more: it must be refused. Where a
step fails, the former value stays in use, and list says what to do. The key that all data lies under is
another thing: writ vault rotate.`,
		"  writ vault rotation add /shop/db/url --admin /ops/db-admin --owner shop --roles shop_a,shop_b --template 'postgres://{user}:{password}@db.internal/shop?sslmode=verify-full'\n  writ vault rotation add /shop/writ-key --path /shop --read-only --days 30\n  writ vault rotation list\n  writ vault rotation now /shop/db/url --exposed",
		a.rotationAdd(), a.rotationList(), a.rotationNow(), a.rotationKnown(), a.rotationEnd())
}

func (a *app) rotationAdd() *cobra.Command {
	var in struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
		From struct {
			Admin    string   `json:"admin,omitempty"`
			Owner    string   `json:"owner,omitempty"`
			Roles    []string `json:"roles,omitempty"`
			Path     string   `json:"path,omitempty"`
			Reads    bool     `json:"reads,omitempty"`
			KeyOwner string   `json:"key_owner,omitempty"`
			Service  string   `json:"service,omitempty"`
			Scopes   []string `json:"scopes,omitempty"`
			Template string   `json:"template,omitempty"`
		} `json:"from"`
		Days  int64    `json:"days,omitempty"`
		Grace *float64 `json:"grace_hours,omitempty"`
	}
	var grace time.Duration
	c := &cobra.Command{
		Use: "add NAME", Short: "Have a parameter replaced by itself",
		Long: `With --admin it is a role of a PostgreSQL server: --owner is the role that has the rights, of which the
two --roles become members, --template the address that programs read. --admin names the parameter with
the address of an administrator that may do this (CREATEROLE, the owner role WITH ADMIN OPTION, pg_signal_backend).
With --path it is an access key of this server. With --service it is a token of a service of this server,
with the --scope of each kind that it has, or those of the token that is there. What is due, or not there yet, is begun at once.`,
		Example: "  writ vault rotation add /shop/db/url --admin /ops/db-admin --owner shop --roles shop_a,shop_b --template 'postgres://{user}:{password}@db.internal/shop?sslmode=verify-full' --days 30\n  writ vault rotation add /shop/writ-key --path /shop --read-only --key-owner machine/01J…\n  writ vault rotation add /shop/writ-token --service exporter --scope vault.read --days 30",
		Args:    cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			of := 0
			for kind, from := range map[string]string{"postgres": in.From.Admin, "access-key": in.From.Path, "token": in.From.Service} {
				if from != "" {
					in.Kind, of = kind, of+1
				}
			}
			if of != 1 {
				return &usageError{errors.New("name --admin for a role of PostgreSQL, --path for an access key, or --service for a token")}
			}
			if in.From.Admin != "" && len(in.From.Roles) != 2 {
				return &usageError{errors.New("--roles names two roles, such as shop_a,shop_b")}
			}
			if in.Name = args[0]; c.Flags().Changed("grace") {
				hours := grace.Hours()
				in.Grace = &hours
			}
			return a.rotated(c, "vault/rotations", in)
		}),
	}
	f := c.Flags()
	f.StringVar(&in.From.Admin, "admin", "", "parameter with the address of the database's administrator")
	f.StringVar(&in.From.Owner, "owner", "", "role whose rights both slots have")
	f.StringSliceVar(&in.From.Roles, "roles", nil, "the two slots")
	f.StringVar(&in.From.Path, "path", "", "what the access key reaches")
	f.BoolVar(&in.From.Reads, "read-only", false, "the access key changes nothing")
	f.StringVar(&in.From.KeyOwner, "key-owner", "", "kind/id that the access key stands on (default: you)")
	f.StringVar(&in.From.Service, "service", "", "service whose token it is")
	f.StringArrayVar(&in.From.Scopes, "scope", nil, "what the token may do; repeat it (default: as the token that is there)")
	f.StringVar(&in.From.Template, "template", "", "the value, with {user} and {password}, or {id} and {secret}")
	f.Int64Var(&in.Days, "days", 0, "replace it after that many days (default: as said about its name, or by the policy)")
	f.DurationVar(&grace, "grace", 24*time.Hour, "how long the former value works")
	return c
}

// rotated asks for something and shows the rotation that it is about.
func (a *app) rotated(c *cobra.Command, path string, in any) error {
	conn, err := a.open(c.Context())
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := conn.post(c.Context(), path, in, &raw); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(raw)
	}
	var r rotation
	if err := decode(raw, &r); err != nil {
		return err
	}
	a.say("%s: %s.", visible(r.Name), a.stands(r))
	if r.Problem != nil {
		a.say("%s %s", visible(r.Problem.Says), visible(r.Problem.Next))
		return no
	}
	return nil
}

// stands says how far a rotation is.
func (a *app) stands(r rotation) string {
	switch {
	case r.Problem != nil:
		return "stands still after " + r.State + " (" + r.Problem.Code + ")"
	case r.State == "promoted" && r.Old != "":
		return visible(r.Fresh) + " is in use, " + visible(r.Old) + " works until " + a.date(r.Until)
	case r.State == "promoted":
		return visible(r.Fresh) + " is in use"
	case r.State != "idle":
		return "under way, after " + r.State
	case r.Fresh == "":
		return "first on " + a.date(r.Due)
	}
	return visible(r.Fresh) + " is in use, the next one on " + a.date(r.Due)
}

func (a *app) rotationList() *cobra.Command {
	return &cobra.Command{
		Use: "list [NAME]", Short: "List values that are replaced by themselves, and what stands still", Long: "Lists the rotations of the team, or one: which slot is in use, when it was replaced last and is next, and for one that stands still what to do.",
		Example: "  writ vault rotation list\n  writ vault rotation list /shop/db/url --format json", Args: cobra.MaximumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			path := "vault/rotations"
			if len(args) == 1 {
				path += "?" + url.Values{"name": args}.Encode()
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), path, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct{ Rotations []rotation }
			if err := decode(raw, &out); err != nil {
				return err
			}
			t := newTable(a.out, "NAME", "KIND", "LAST", "NEXT", "STANDS")
			for _, r := range out.Rotations {
				t.row(r.Name, r.Kind, a.when(r.Last), a.date(r.Due), a.stands(r))
			}
			if err := t.flush(); err != nil {
				return err
			}
			for _, r := range out.Rotations {
				if r.Problem != nil {
					a.say("%s: %s %s", visible(r.Name), visible(r.Problem.Says), visible(r.Problem.Next))
				}
			}
			return nil
		}),
	}
}

func (a *app) rotationNow() *cobra.Command {
	var exposed bool
	c := &cobra.Command{
		Use: "now NAME", Short: "Replace a value before it is due, or try again what stands still",
		Long:    "Replaces a value now. --exposed ends the former one without a grace, also that of a round that is under way: programs that have not read the new one are refused from then on.",
		Example: "  writ vault rotation now /shop/db/url\n  writ vault rotation now /shop/db/url --exposed", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.rotated(c, "vault/rotations/now", map[string]any{"name": args[0], "exposed": exposed})
		}),
	}
	c.Flags().BoolVar(&exposed, "exposed", false, "somebody may know it: the former value ends at once")
	return c
}

func (a *app) rotationKnown() *cobra.Command {
	return &cobra.Command{
		Use: "known WHO", Short: "Replace what somebody knows, as far as it replaces itself",
		Long:    "Replaces the secrets that somebody saw or wrote and whose value is still the same (writ vault seen), before they leave. What nothing replaces by itself is listed. Of somebody who left it is done without being asked.",
		Example: "  writ vault rotation known person/01JB5C7V8XPZ", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/rotations/known", map[string]any{"who": args[0]}, &raw); err != nil {
				return err
			}
			var out struct{ Replaced, Failed, Left []string }
			if err := decode(raw, &out); err != nil {
				return err
			}
			if a.json() {
				err = a.printJSON(raw)
			} else {
				for says, names := range map[string][]string{"Replaced": out.Replaced, "Stands still (writ vault rotation list)": out.Failed, "To be replaced by hand": out.Left} {
					if len(names) > 0 {
						a.say("%s: %s", says, visible(strings.Join(names, ", ")))
					}
				}
			}
			if err == nil && len(out.Failed)+len(out.Left) > 0 {
				return no
			}
			return err
		}),
	}
}

func (a *app) rotationEnd() *cobra.Command {
	return &cobra.Command{
		Use: "end NAME", Short: "Have a value replaced by hand again", Long: "Ends a rotation. The value stays as it is. While a former value works still it is refused: wait for the end of the grace, or: writ vault rotation now NAME --exposed.",
		Example: "  writ vault rotation end /shop/db/url", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, "vault/rotations?"+url.Values{"name": args}.Encode(), nil, nil); err != nil {
				return err
			}
			return a.done("It is replaced by hand from now on.", nil)
		}),
	}
}
