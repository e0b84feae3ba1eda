package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// vaultPolicy is what shall happen to a parameter by itself, in the form of the wire.
type vaultPolicy struct {
	Type       string            `json:"Type"`
	Version    string            `json:"Version"`
	Attributes map[string]string `json:"Attributes"`
}

// lifeFlags are the flags for it.
type lifeFlags struct {
	expires     string
	warn, stale int
	none        bool
}

func (l *lifeFlags) on(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&l.expires, "expires", "", "delete it at this time (2027-01-31 or 2027-01-31T12:00:00Z)")
	f.IntVar(&l.warn, "warn-days", 0, "with --expires: record that many days before that it ends")
	f.IntVar(&l.stale, "stale-days", 0, "record that it has not been changed for that many days")
	f.BoolVar(&l.none, "no-policies", false, "it neither ends nor says anything by itself any more")
}

// policies are nil where no flag was given: what it has is kept.
func (l *lifeFlags) policies(c *cobra.Command) (*[]vaultPolicy, error) {
	out := []vaultPolicy{}
	if l.expires != "" {
		at, err := moment(l.expires)
		if err != nil {
			return nil, err
		}
		out = append(out, vaultPolicy{"Expiration", "1.0", map[string]string{"Timestamp": at.Format(time.RFC3339)}})
	}
	switch {
	case l.warn > 0 && l.expires == "":
		return nil, &usageError{errors.New("--warn-days needs --expires")}
	case l.none && (l.expires != "" || l.stale > 0):
		return nil, &usageError{errors.New("--no-policies stands alone")}
	case l.warn > 0:
		out = append(out, vaultPolicy{"ExpirationNotification", "1.0", map[string]string{"Before": strconv.Itoa(l.warn), "Unit": "Days"}})
	}
	if l.stale > 0 {
		out = append(out, vaultPolicy{"NoChangeNotification", "1.0", map[string]string{"After": strconv.Itoa(l.stale), "Unit": "Days"}})
	}
	if len(out) == 0 && !l.none {
		return nil, nil
	}
	return &out, nil
}

// moment reads a day or a time.
func moment(s string) (time.Time, error) {
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, &usageError{fmt.Errorf("%q is no time: write 2027-01-31 or 2027-01-31T12:00:00Z", s)}
}

func (a *app) vaultRollback() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use: "rollback NAME VERSION | rollback PATH --to TIME", Short: "Make earlier values the newest", Args: cobra.RangeArgs(1, 2),
		Long: `Writes the value of an earlier version as a new one. With --to, all values at and below a path
become those of a time, in one change: what was made since stays, what was deleted since does not come back.
Nobody is shown a value, and nothing is lost.`,
		Example: "  writ vault rollback /shop/db/password 3\n  writ vault rollback /shop --to 2026-11-25T12:00:00Z",
		RunE: run(func(c *cobra.Command, args []string) error {
			if (to == "") != (len(args) == 2) {
				return &usageError{errors.New("give either a name and a version, or a path and --to")}
			}
			if to != "" {
				return a.rollbackPath(c, args[0], to)
			}
			version, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil || version < 1 {
				return &usageError{fmt.Errorf("%q is no number of a version", args[1])}
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/rollback", map[string]any{"name": args[0], "version": version}, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var done struct{ Version int64 }
			if err := decode(raw, &done); err != nil {
				return err
			}
			a.say("%s is at version %d, with the value of version %d.", visible(args[0]), done.Version, version)
			return nil
		}),
	}
	c.Flags().StringVar(&to, "to", "", "the time whose values shall be the newest")
	return c
}

func (a *app) rollbackPath(c *cobra.Command, path, to string) error {
	at, err := moment(to)
	if err != nil {
		return err
	}
	conn, err := a.open(c.Context())
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := conn.post(c.Context(), "vault/rollback-path", map[string]any{"path": path, "to": at}, &raw); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(raw)
	}
	var out struct {
		Changed []struct {
			Name          string
			From, Version int64
		}
		Same  int
		Newer []string
	}
	if err := decode(raw, &out); err != nil {
		return err
	}
	for _, p := range out.Changed {
		a.say("%s is at version %d, with the value of version %d.", visible(p.Name), p.Version, p.From)
	}
	for _, n := range out.Newer {
		a.say("%s was made since, and stays.", visible(n))
	}
	a.say("%d went back, %d were the same.", len(out.Changed), out.Same)
	return nil
}

// about is what holds for a name, on the wire.
type about struct {
	Name      string `json:"name"`
	Owner     string `json:"owner"`
	Clause    string `json:"clause"`
	Rotation  int64  `json:"rotation_days"`
	Critical  bool   `json:"critical"`
	Sensitive bool   `json:"sensitive"`
}

func (a *app) showAbout(raw json.RawMessage) error {
	if a.json() {
		return a.printJSON(raw)
	}
	var w about
	if err := decode(raw, &w); err != nil {
		return err
	}
	t := newTable(a.out, "NAME", "OWNER", "CLAUSE", "ROTATION", "CRITICAL", "SENSITIVE")
	rotation := "never"
	if w.Rotation > 0 {
		rotation = strconv.FormatInt(w.Rotation, 10) + " days"
	}
	t.row(w.Name, w.Owner, w.Clause, rotation, yes(w.Critical), yes(w.Sensitive))
	return t.flush()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (a *app) vaultMark() *cobra.Command {
	var owner, clause string
	var rotation int64
	var critical, sensitive bool
	c := &cobra.Command{
		Use: "mark NAME|PATH", Short: "Say who owns a name, what it serves, and how it must be kept", Args: cobra.ExactArgs(1),
		Long: `Says something about a name, or about all names at and below a path: who owns it, which clause of
the policy it serves, after how many days its value is due for another, whether it is critical, and whether it is
sensitive. A sensitive name takes values of the type SecureString only, at every door. To call it sensitive no more
takes the right to manage keys. What no flag names stays as it was.`,
		Example: "  writ vault mark /shop --sensitive --owner person/ID\n  writ vault mark /shop/db/password --rotation-days 90 --clause vault.secret-home\n  writ vault mark /shop --critical=false",
		RunE: run(func(c *cobra.Command, args []string) error {
			in := map[string]any{"name": args[0]}
			for flag, v := range map[string]any{"owner": owner, "clause": clause, "rotation-days": rotation, "critical": critical, "sensitive": sensitive} {
				if c.Flags().Changed(flag) {
					in[strings.ReplaceAll(flag, "-", "_")] = v
				}
			}
			if len(in) == 1 {
				return &usageError{errors.New("there is nothing to say: give at least one flag")}
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/about", in, &raw); err != nil {
				return err
			}
			return a.showAbout(raw)
		}),
	}
	f := c.Flags()
	f.StringVar(&owner, "owner", "", "person/ID or machine/ID (a service); empty for nobody")
	f.StringVar(&clause, "clause", "", "clause of the policy that it serves")
	f.Int64Var(&rotation, "rotation-days", 0, "days after which a value is due for another; 0 for never")
	f.BoolVar(&critical, "critical", false, "much depends on it")
	f.BoolVar(&sensitive, "sensitive", false, "SecureString only")
	return c
}

func (a *app) vaultAbout() *cobra.Command {
	return &cobra.Command{
		Use: "about NAME|PATH", Short: "Show what holds for a name", Long: "Shows owner, clause, rotation and marks of a name, also those that were said of a path above it.",
		Example: "  writ vault about /shop/db/password", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "vault/about?"+url.Values{"name": {args[0]}}.Encode(), &raw); err != nil {
				return err
			}
			return a.showAbout(raw)
		}),
	}
}

func (a *app) vaultFind() *cobra.Command {
	var path, owner, clause string
	var types, tags []string
	var critical, sensitive, due bool
	var unchanged, changed, older, newer, unread, read int
	c := &cobra.Command{
		Use: "find [TEXT]", Short: "Look for names by everything but their values", Args: cobra.MaximumNArgs(1),
		Long:    "Looks for parameters whose name holds the text and that match all flags. Values are not looked at.",
		Example: "  writ vault find password --path /shop\n  writ vault find --tag team=red --unchanged-days 90\n  writ vault find --due\n  writ vault find --unread-days 90",
		RunE: run(func(c *cobra.Command, args []string) error {
			q := url.Values{"type": types, "tag": tags}
			for field, v := range map[string]string{"path": path, "name": strings.Join(args, ""), "owner": owner, "clause": clause} {
				if v != "" {
					q.Set(field, v)
				}
			}
			for field, v := range map[string]bool{"critical": critical, "sensitive": sensitive, "due": due} {
				if v {
					q.Set(field, "true")
				}
			}
			for field, v := range map[string]int{"unchanged_days": unchanged, "changed_days": changed, "older_days": older, "newer_days": newer, "unread_days": unread, "read_days": read} {
				if v != 0 {
					q.Set(field, strconv.Itoa(v))
				}
			}
			return a.found(c, q)
		}),
	}
	f := c.Flags()
	f.StringVar(&path, "path", "", "below this path")
	f.StringVar(&owner, "owner", "", "kind/id")
	f.StringVar(&clause, "clause", "", "that serves this clause")
	f.StringSliceVar(&types, "type", nil, "String, StringList or SecureString")
	f.StringSliceVar(&tags, "tag", nil, "NAME or NAME=VALUE")
	f.BoolVar(&critical, "critical", false, "that are critical")
	f.BoolVar(&sensitive, "sensitive", false, "that are sensitive")
	f.BoolVar(&due, "due", false, "whose value is due for another")
	f.IntVar(&unchanged, "unchanged-days", 0, "not changed for that many days")
	f.IntVar(&changed, "changed-days", 0, "changed within that many days")
	f.IntVar(&older, "older-days", 0, "made more than that many days ago")
	f.IntVar(&newer, "newer-days", 0, "made within that many days")
	f.IntVar(&unread, "unread-days", 0, "not read for that many days; never read counts from when it was made")
	f.IntVar(&read, "read-days", 0, "read within that many days")
	return c
}

func (a *app) found(c *cobra.Command, q url.Values) error {
	conn, err := a.open(c.Context())
	if err != nil {
		return err
	}
	var all []json.RawMessage
	for {
		var page struct {
			Params []json.RawMessage
			Next   string
		}
		if err := conn.get(c.Context(), "vault/search?"+q.Encode(), &page); err != nil {
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
	t := newTable(a.out, "NAME", "TYPE", "VERSION", "OWNER", "CHANGED", "READ", "DUE")
	for _, raw := range all {
		var p struct {
			param
			Owner string    `json:"owner"`
			Due   time.Time `json:"due"`
			Read  time.Time `json:"read"`
		}
		if err := decode(raw, &p); err != nil {
			return err
		}
		t.row(p.Name, p.Type, strconv.FormatInt(p.Version, 10), p.Owner, a.when(p.Changed), a.date(p.Read), a.date(p.Due))
	}
	return t.flush()
}

func (a *app) vaultDiff() *cobra.Command {
	return &cobra.Command{
		Use: "diff NAME FROM [TO]", Short: "Compare two versions without their values", Args: cobra.RangeArgs(2, 3),
		Long:    "Says whether two versions of a parameter have the same value, how long each is, and what else differs. Without TO, the newest is compared. The comparison is recorded.",
		Example: "  writ vault diff /shop/db/password 3\n  writ vault diff /shop/db/password 3 5",
		RunE: run(func(c *cobra.Command, args []string) error {
			q := url.Values{"name": {args[0]}, "from": {args[1]}}
			if len(args) == 3 {
				q.Set("to", args[2])
			}
			for _, n := range args[1:] {
				if v, err := strconv.ParseInt(n, 10, 64); err != nil || v < 1 {
					return &usageError{fmt.Errorf("%q is no number of a version", n)}
				}
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "vault/diff?"+q.Encode(), &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var d struct {
				From, To  int64
				Same      bool
				FromBytes int `json:"from_bytes"`
				ToBytes   int `json:"to_bytes"`
				Changed   []string
			}
			if err := decode(raw, &d); err != nil {
				return err
			}
			if d.Same {
				a.say("Versions %d and %d have the same value.", d.From, d.To)
			} else {
				a.say("Versions %d and %d have different values, of %d and %d bytes.", d.From, d.To, d.FromBytes, d.ToBytes)
			}
			if len(d.Changed) > 0 {
				a.say("Also different: %s.", strings.Join(d.Changed, ", "))
			}
			return nil
		}),
	}
}
