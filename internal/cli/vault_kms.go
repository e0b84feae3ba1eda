package cli

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) vaultKMS() *cobra.Command {
	return a.group("kms", "Manage keys that programs encrypt with",
		"Programs encrypt with these keys by the clients of AWS KMS, at the address https://HOST/-/aws/ and with an access key. The keys never leave.",
		"  writ vault kms create --alias alias/shop --path /shop\n  writ vault kms list\n  writ vault kms disable alias/shop",
		a.kmsCreate(), a.kmsList(), a.kmsState("enable", true), a.kmsState("disable", false), a.kmsAlias(), a.kmsRotate())
}

func (a *app) kmsCreate() *cobra.Command {
	var in struct {
		Alias       string `json:"alias,omitempty"`
		Path        string `json:"path,omitempty"`
		Description string `json:"description,omitempty"`
	}
	c := &cobra.Command{
		Use: "create", Short: "Make a key", Long: "Makes a key. Access keys whose path holds its path may use it, and so may those for everything.",
		Example: "  writ vault kms create --alias alias/shop --path /shop", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/kms", in, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct{ ID string }
			if err := decode(raw, &out); err != nil {
				return err
			}
			a.say("The key %s is made.", visible(out.ID))
			return nil
		}),
	}
	f := c.Flags()
	f.StringVar(&in.Alias, "alias", "", "its name, such as alias/shop")
	f.StringVar(&in.Path, "path", "", "which access keys reach it (default /: those for everything)")
	f.StringVar(&in.Description, "description", "", "what it is for")
	return c
}

func (a *app) kmsList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List keys and their names", Long: "Lists the keys that programs encrypt with, those that are disabled too.", Example: "  writ vault kms list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "vault/kms", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Keys []struct {
					ID, Path      string
					Aliases       []string
					Enabled       bool
					Destroyed     bool
					Version       int64
					Made, Renewed time.Time
				}
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			t := newTable(a.out, "ID", "NAMES", "PATH", "STATE", "VERSION", "RENEWED")
			for _, k := range out.Keys {
				state := "enabled"
				if !k.Enabled {
					state = "disabled"
				}
				if k.Destroyed {
					state = "destroyed"
				}
				t.row(k.ID, strings.Join(k.Aliases, " "), k.Path, state, strconv.FormatInt(k.Version, 10), a.when(k.Renewed))
			}
			return t.flush()
		}),
	}
}

// kmsKey is the path of a key of the API; a name has slashes.
func kmsKey(ref, act string) string { return "vault/kms/" + url.PathEscape(ref) + "/" + act }

func (a *app) kmsState(word string, on bool) *cobra.Command {
	long := "Lets a key be used again."
	if !on {
		long = "Lets a key be used no more, neither to encrypt nor to decrypt, until it is enabled again."
	}
	return &cobra.Command{
		Use: word + " KEY", Short: strings.ToUpper(word[:1]) + word[1:] + " a key", Long: long, Example: "  writ vault kms " + word + " alias/shop", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.kmsDo(c, args[0], "state", map[string]bool{"enabled": on}, "The key is "+word+"d.")
		}),
	}
}

func (a *app) kmsAlias() *cobra.Command {
	return &cobra.Command{
		Use: "alias KEY ALIAS", Short: "Give a key a name, taking it from another one", Long: "Points a name at a key. What was encrypted under the name before still opens: a ciphertext names its key.",
		Example: "  writ vault kms alias 1234abcd-12ab-34cd-56ef-1234567890ab alias/shop", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.kmsDo(c, args[0], "alias", map[string]string{"alias": args[1]}, "The key has the name.")
		}),
	}
}

func (a *app) kmsRotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate KEY", Short: "Give a key another version", Long: "Gives a key another version for what is encrypted from now on. Former versions open what they made.",
		Example: "  writ vault kms rotate alias/shop", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.kmsDo(c, args[0], "rotate", nil, "The key has another version.")
		}),
	}
}

func (a *app) kmsDo(c *cobra.Command, ref, act string, in any, done string) error {
	conn, err := a.open(c.Context())
	if err != nil {
		return err
	}
	if err := conn.call(c.Context(), http.MethodPost, kmsKey(ref, act), in, nil); err != nil {
		return err
	}
	return a.done(done, nil)
}
