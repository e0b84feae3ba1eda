package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) vaultCommand() *cobra.Command {
	return a.group("vault", "Keep secrets, and see who read them",
		`The parameter store: names in levels (/service/database/password), values in versions. Values
come from standard input only, so that they stand in no list of processes and no history.`,
		"  writ vault put /shop/db/password < password.txt\n  writ vault get /shop/db/password\n  writ vault list /shop\n  writ vault key create --path /shop --read-only",
		append(a.deliverCommands(),
			a.vaultPut(), a.vaultGet(), a.vaultList(), a.vaultHistory(), a.vaultRollback(), a.vaultDelete(), a.vaultSeen(), a.vaultGrant(), a.vaultKey(),
			a.vaultKMS(), a.vaultMark(), a.vaultAbout(), a.vaultPlant(), a.vaultFind(), a.vaultDiff(),
			a.vaultItem(),
			a.vaultRotate(), a.vaultShred(), a.vaultHold(), a.vaultKeys(),
			a.vaultRotation(),
			a.vaultUnseal(), a.vaultSeal(), a.vaultHolders(), a.vaultHolderKey())...)
}

// maxValue is more than a value may have.
const maxValue = 16 << 10

func (a *app) vaultPut() *cobra.Command {
	var in struct {
		Name        string  `json:"name"`
		Value       string  `json:"value"`
		Type        string  `json:"type"` // of a new name
		Overwrite   bool    `json:"overwrite"`
		Description *string `json:"description,omitempty"`
		Pattern     *string `json:"pattern,omitempty"`

		Policies *[]vaultPolicy `json:"policies,omitempty"`
	}
	var plain, fresh bool
	var description, pattern string
	var life lifeFlags
	c := &cobra.Command{
		Use: "put NAME", Short: "Write a new version of a value, read from standard input",
		Long: `Reads a value from standard input and writes it as the newest version. One line break at the
end is left out. A new name becomes a SecureString, unless --plain is given.`,
		Example: "  writ vault put /shop/db/password < password.txt\n  pass show db | writ vault put /shop/db/password --new", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			value, err := a.readValue()
			if err != nil {
				return err
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			in.Name, in.Value, in.Overwrite = args[0], value, !fresh
			if c.Flags().Changed("description") {
				in.Description = &description
			}
			if c.Flags().Changed("pattern") {
				in.Pattern = &pattern
			}
			if in.Policies, err = life.policies(c); err != nil {
				return err
			}
			if in.Type = "SecureString"; plain {
				in.Type = "String"
			}
			var out json.RawMessage
			if err := conn.post(c.Context(), "vault/params", in, &out); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(out)
			}
			var done struct{ Version int64 }
			if err := decode(out, &done); err != nil {
				return err
			}
			a.say("%s is at version %d.", visible(args[0]), done.Version)
			return nil
		}),
	}
	f := c.Flags()
	f.BoolVar(&plain, "plain", false, "a new name becomes a String: a setting, not a secret")
	f.BoolVar(&fresh, "new", false, "refuse when the name is there already")
	f.StringVar(&description, "description", "", "what it is for")
	f.StringVar(&pattern, "pattern", "", "regular expression that each value must match")
	life.on(c)
	return c
}

// readValue takes a value from standard input; from a terminal without showing it.
func (a *app) readValue() (string, error) {
	b, err := io.ReadAll(io.LimitReader(a.in, maxValue+1))
	if err != nil {
		return "", fmt.Errorf("read the value: %w", err)
	}
	v := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	switch {
	case v == "":
		return "", &usageError{errors.New("there is no value on standard input: writ vault put NAME < FILE")}
	case len(b) > maxValue:
		return "", &usageError{fmt.Errorf("the value is longer than %d bytes", maxValue)}
	}
	return v, nil
}

func (a *app) vaultGet() *cobra.Command {
	var in struct {
		Name   string `json:"name"`
		Reason string `json:"reason,omitempty"`
	}
	c := &cobra.Command{
		Use: "get NAME[:VERSION|:LABEL]", Short: "Print a value; the read is recorded",
		Long:    "Prints a value to standard output, without a line break when that is no terminal. The read is in the journal before the value is here.",
		Example: "  writ vault get /shop/db/password\n  writ vault get /shop/db/password:3 --reason 'ticket 42'", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			in.Name = args[0]
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/read", in, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct{ Value string }
			if err := decode(raw, &out); err != nil {
				return err
			}
			_, err = io.WriteString(a.out, out.Value)
			if err == nil && onTerminal(a.out) {
				_, err = io.WriteString(a.out, "\n")
			}
			return err
		}),
	}
	c.Flags().StringVar(&in.Reason, "reason", "", "why; it stands in the record")
	return c
}

// param is a parameter on the wire.
type param struct {
	Name        string    `json:"name"`
	Type        string    `json:"type"`
	Version     int64     `json:"version"`
	Description string    `json:"description"`
	Labels      []string  `json:"labels"`
	Changed     time.Time `json:"changed"`
	By          string    `json:"by"`
}

func (a *app) vaultList() *cobra.Command {
	return &cobra.Command{
		Use: "list [PATH]", Short: "List names under a path, without values", Long: "Lists the names under a path, of all levels; without one, all of the team.",
		Example: "  writ vault list\n  writ vault list /shop", Args: cobra.MaximumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			q := url.Values{"path": {"/"}}
			if len(args) == 1 {
				q.Set("path", args[0])
			}
			var all []json.RawMessage
			for {
				var page struct {
					Params []json.RawMessage
					Next   string
				}
				if err := conn.get(c.Context(), "vault/params?"+q.Encode(), &page); err != nil {
					return err
				}
				all = append(all, page.Params...)
				if page.Next == "" {
					break
				}
				q.Set("after", page.Next)
			}
			if a.json() {
				return a.encode(map[string]any{"params": all})
			}
			t := newTable(a.out, "NAME", "TYPE", "VERSION", "CHANGED", "BY")
			for _, raw := range all {
				var p param
				if err := decode(raw, &p); err != nil {
					return err
				}
				t.row(p.Name, p.Type, strconv.FormatInt(p.Version, 10), a.when(p.Changed), p.By)
			}
			return t.flush()
		}),
	}
}

func (a *app) vaultHistory() *cobra.Command {
	return &cobra.Command{
		Use: "history NAME", Short: "List the versions of a value, without the values", Long: "Lists the versions of a parameter, the newest first: when each was written, by whom, and its labels.",
		Example: "  writ vault history /shop/db/password", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "vault/versions?"+url.Values{"name": {args[0]}}.Encode(), &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct{ Versions []param }
			if err := decode(raw, &out); err != nil {
				return err
			}
			t := newTable(a.out, "VERSION", "LABELS", "CHANGED", "BY")
			for _, p := range out.Versions {
				t.row(strconv.FormatInt(p.Version, 10), strings.Join(p.Labels, " "), a.when(p.Changed), p.By)
			}
			return t.flush()
		}),
	}
}

func (a *app) vaultDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Remove a value with all its versions", Long: "Removes a parameter with all its versions, labels and tags. That it was there stays in the journal; the values do not come back.",
		Example: "  writ vault delete /shop/db/password", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, "vault/params?"+url.Values{"name": {args[0]}}.Encode(), nil, nil); err != nil {
				return err
			}
			return a.done("The parameter is removed.", nil)
		}),
	}
}

func (a *app) vaultKey() *cobra.Command {
	return a.group("key", "Manage access keys of programs", "An access key lets a program call the parameter store with the clients of AWS's: set their endpoint address to https://HOST/-/aws/.",
		"  writ vault key create --path /shop --read-only\n  writ vault key list\n  writ vault key end AKIA…", a.vaultKeyCreate(), a.vaultKeyList(), a.vaultKeyEnd())
}

func (a *app) vaultKeyCreate() *cobra.Command {
	var in struct {
		Path     string `json:"path"`
		ReadOnly bool   `json:"read_only"`
		Owner    string `json:"owner,omitempty"`
		Days     int    `json:"days,omitempty"`
		Session  bool   `json:"session,omitempty"`
		Hours    int    `json:"hours,omitempty"`
	}
	c := &cobra.Command{
		Use: "create --path PATH", Short: "Make an access key and print it, this once",
		Long:    "Makes an access key for a path of the parameter store. Its secret is printed this once. It works as long as its owner may do what it asks.",
		Example: "  writ vault key create --path /shop --read-only\n  writ vault key create --path / --days 7 --format json", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/keys", in, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				ID     string `json:"access_key_id"`
				Secret string `json:"secret_access_key"`
				Token  string `json:"session_token"`
				About  struct{ Ends time.Time }
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "The secret is shown this once, and the key ends %s. To end it before: writ vault key end %s\n", a.date(out.About.Ends), visible(out.ID))
			a.say("AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s", visible(out.ID), visible(out.Secret))
			if out.Token != "" {
				a.say("AWS_SESSION_TOKEN=%s", visible(out.Token))
			}
			return nil
		}),
	}
	f := c.Flags()
	f.StringVar(&in.Path, "path", "", "what it reaches: this path and all below it")
	f.BoolVar(&in.ReadOnly, "read-only", false, "it reads and changes nothing")
	f.StringVar(&in.Owner, "owner", "", "person/ID or machine/ID (a service) that stands behind it (default: you)")
	f.IntVar(&in.Days, "days", 0, "days until it ends (default 90)")
	f.BoolVar(&in.Session, "session", false, "it works with a session token beside its secret, for hours")
	f.IntVar(&in.Hours, "hours", 0, "hours until a session ends (default 1, 12 at most)")
	_ = c.MarkFlagRequired("path") // the flag is there
	return c
}

func (a *app) vaultKeyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List access keys, newest first", Long: "Lists the access keys of the team, those that ended too.", Example: "  writ vault key list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "vault/keys", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Keys []struct {
					ID, Owner, Path string
					ReadOnly        bool `json:"read_only"`
					Ends, Seen      time.Time
					Ended           bool
				}
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			t := newTable(a.out, "ID", "PATH", "MAY", "OWNER", "LAST USED", "ENDS")
			for _, k := range out.Keys {
				may, ends := "write", a.date(k.Ends)
				if k.ReadOnly {
					may = "read"
				}
				if k.Ended {
					ends = "ended"
				}
				t.row(k.ID, k.Path, may, k.Owner, a.when(k.Seen), ends)
			}
			return t.flush()
		}),
	}
}

func (a *app) vaultKeyEnd() *cobra.Command {
	return &cobra.Command{
		Use: "end ID", Short: "End an access key at once", Long: "Ends an access key: the next call with it is refused.", Example: "  writ vault key end AKIA…", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, "vault/keys/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return a.done("The access key is ended.", nil)
		}),
	}
}
