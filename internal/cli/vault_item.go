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

// sharedItem is an item of the company's vault on the wire, without its secrets.
type sharedItem struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Title  string `json:"title"`
	Folder string `json:"folder"`
	Vendor string `json:"vendor"`
	Fields []struct {
		ID     string `json:"id"`
		Label  string `json:"label"`
		Secret bool   `json:"secret"`
		Value  string `json:"value"`
	} `json:"fields"`
	Version   int64      `json:"version"`
	Critical  bool       `json:"critical"`
	Sensitive bool       `json:"sensitive"`
	Rotate    int        `json:"rotate_days"`
	Due       *time.Time `json:"due"`
	Changed   time.Time  `json:"changed"`
	Holders   []struct {
		Name  string `json:"name"`
		Level string `json:"level"`
	} `json:"holders"`
	Out *struct {
		Name  string    `json:"name"`
		Until time.Time `json:"until"`
	} `json:"checked_out"`
}

func (a *app) vaultItem() *cobra.Command {
	return a.group("item", "Keep the company's credentials, and see who used them",
		`Items are logins, keys, certificates, notes and papers that people share. Each has an owner and a
date for replacement, and each reveal is recorded. Only people read them: use --as EMAIL.
Secrets come from standard input only.`,
		"  writ vault item list --as ana@example.com\n  writ vault item new --title 'Bank portal' --user treasury --as ana@example.com < password.txt\n  writ vault item reveal ID --field password --reason 'ticket 42' --as ana@example.com",
		a.itemList(), a.itemShow(), a.itemReveal(), a.itemCode(), a.itemNew(), a.itemEdit(), a.itemDelete(), a.itemRestore(),
		a.itemShare(), a.itemUnshare(), a.itemLink(), a.itemCheckOut(), a.itemCheckIn(), a.itemGenerate(), a.itemImport(), a.itemReport())
}

// itemAt is where the API has an item.
func itemAt(id string, rest ...string) string {
	return "vault/items/" + url.PathEscape(id) + strings.Join(rest, "")
}

func (a *app) itemList() *cobra.Command {
	var text, folder, kind string
	var deleted bool
	c := &cobra.Command{
		Use: "list", Short: "List the items that you may see, without secrets", Long: "Lists the items that are shared with you. Whoever takes care of all items, and the operator, see all of them, and none of their secrets.",
		Example: "  writ vault item list\n  writ vault item list --text bank --folder Finance --as ana@example.com", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			q := url.Values{}
			for name, v := range map[string]string{"q": text, "folder": folder, "kind": kind} {
				if v != "" {
					q.Set(name, v)
				}
			}
			if deleted {
				q.Set("deleted", "1")
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "vault/items?"+q.Encode(), &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct{ Items []sharedItem }
			if err := decode(raw, &out); err != nil {
				return err
			}
			t := newTable(a.out, "ID", "TITLE", "KIND", "FOLDER", "OWNER", "REPLACE BY")
			for _, i := range out.Items {
				t.row(i.ID, i.Title, i.Kind, i.Folder, i.owners(), a.due(i))
			}
			return t.flush()
		}),
	}
	f := c.Flags()
	f.StringVar(&text, "text", "", "words in title, folder, vendor, addresses or user")
	f.StringVar(&folder, "folder", "", "of this folder only")
	f.StringVar(&kind, "kind", "", "login, api-key, ssh-key, certificate, note or document")
	f.BoolVar(&deleted, "deleted", false, "those that were deleted and can be taken back")
	return c
}

func (i sharedItem) owners() string {
	var out []string
	for _, h := range i.Holders {
		if h.Level == "owner" {
			out = append(out, h.Name)
		}
	}
	return strings.Join(out, ", ")
}

func (a *app) due(i sharedItem) string {
	if i.Due == nil {
		return "never"
	}
	if i.Due.Before(a.now()) {
		return "overdue since " + a.date(*i.Due)
	}
	return a.date(*i.Due)
}

func (a *app) itemShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one item with its history, without secrets", Long: "Shows what an item is, who holds it, who has it checked out, and what was changed when.",
		Example: "  writ vault item show 06f0… --as ana@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), itemAt(args[0]), &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Item    sharedItem
				History []struct {
					Version int64
					At      time.Time
					Fields  []string
				}
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			i := out.Item
			t := newTable(a.out)
			t.row("Title", i.Title)
			t.row("Kind", i.Kind)
			t.row("Folder", i.Folder)
			t.row("Vendor", i.Vendor)
			for _, f := range i.Fields {
				v := f.Value
				if f.Secret {
					v = "(hidden: --field " + f.ID + ")"
				}
				t.row(f.Label, v)
			}
			t.row("Replace by", a.due(i))
			for _, h := range i.Holders {
				t.row("Held by", h.Name+" ("+h.Level+")")
			}
			if i.Out != nil {
				t.row("Checked out", i.Out.Name+" until "+a.date(i.Out.Until))
			}
			for _, v := range out.History {
				t.row("Version "+strconv.FormatInt(v.Version, 10), a.when(v.At)+": "+strings.Join(v.Fields, ", "))
			}
			return t.flush()
		}),
	}
}

// printValue writes a secret without a line break, but to a terminal.
func (a *app) printValue(v string) error {
	_, err := io.WriteString(a.out, v)
	if err == nil && onTerminal(a.out) {
		_, err = io.WriteString(a.out, "\n")
	}
	return err
}

func (a *app) itemReveal() *cobra.Command {
	in := struct {
		Field  string `json:"field"`
		Reason string `json:"reason,omitempty"`
	}{}
	c := &cobra.Command{
		Use: "reveal ID", Short: "Print one secret; the reveal is recorded",
		Long:    "Prints one secret of an item to standard output. The entry is in the journal before the value is here. Critical and sensitive items want a reason. The seed of one-time codes is never printed: use code.",
		Example: "  writ vault item reveal 06f0… --as ana@example.com\n  writ vault item reveal 06f0… --field notes --reason 'ticket 42' --as ana@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), itemAt(args[0], "/reveal"), in, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct{ Value string }
			if err := decode(raw, &out); err != nil {
				return err
			}
			return a.printValue(out.Value)
		}),
	}
	c.Flags().StringVar(&in.Field, "field", "password", "which secret: show lists them")
	c.Flags().StringVar(&in.Reason, "reason", "", "why; it stands in the record")
	return c
}

func (a *app) itemCode() *cobra.Command {
	in := struct {
		Reason string `json:"reason,omitempty"`
	}{}
	c := &cobra.Command{
		Use: "code ID", Short: "Print the one-time code of this moment; it is recorded", Long: "Prints the code of this moment, and on standard error for how long it is good. What it is made of stays in the vault.",
		Example: "  writ vault item code 06f0… --as ana@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), itemAt(args[0], "/code"), in, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Code string
				Left int `json:"seconds_left"`
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "Good for %d s.\n", out.Left)
			return a.printValue(out.Code)
		}),
	}
	c.Flags().StringVar(&in.Reason, "reason", "", "why; it stands in the record")
	return c
}

// itemFields are what new and edit say of an item.
type itemFields struct {
	Kind      string            `json:"kind,omitempty"`
	Title     string            `json:"title"`
	Folder    string            `json:"folder,omitempty"`
	Vendor    string            `json:"vendor,omitempty"`
	Values    map[string]string `json:"values,omitempty"`
	Custom    []customField     `json:"custom,omitempty"`
	Critical  bool              `json:"critical,omitempty"`
	Sensitive bool              `json:"sensitive,omitempty"`
	Rotate    int               `json:"rotate_days,omitempty"`
	Owners    []string          `json:"owners,omitempty"`
	Version   int64             `json:"version,omitempty"`

	urls        []string
	user, field string
}

type customField struct {
	ID     string `json:"id"`
	Label  string `json:"label"`
	Secret bool   `json:"secret,omitempty"`
}

// mains are the secrets that standard input holds where nothing else is said.
var mains = map[string]string{"login": "password", "api-key": "key", "ssh-key": "private", "certificate": "private", "note": "text"}

func (in *itemFields) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&in.Title, "title", "", "what it is called")
	f.StringVar(&in.Folder, "folder", "", "where it lies in the list")
	f.StringVar(&in.Vendor, "vendor", "", "the company behind it")
	f.StringArrayVar(&in.urls, "address", nil, "its address in the web; repeat it")
	f.StringVar(&in.user, "user", "", "the user's name there")
	f.StringVar(&in.field, "field", "", "which secret standard input holds")
	f.IntVar(&in.Rotate, "rotate", 0, "days between replacements (default 365)")
	f.BoolVar(&in.Critical, "critical", false, "several people hold it, and each reveal has a reason")
	f.BoolVar(&in.Sensitive, "sensitive", false, "each reveal has a reason")
}

// set takes over what was given.
func (in *itemFields) set(c *cobra.Command, a *app) error {
	in.Values = map[string]string{}
	if c.Flags().Changed("address") {
		in.Values["url"] = strings.Join(in.urls, "\n")
	}
	if c.Flags().Changed("user") {
		in.Values["username"] = in.user
	}
	if in.field == "" {
		return nil
	}
	v, err := a.readValue()
	in.Values[in.field] = v
	return err
}

func (a *app) itemNew() *cobra.Command {
	var in itemFields
	var empty bool
	c := &cobra.Command{
		Use: "new --title TITLE", Short: "Make an item; its secret is read from standard input",
		Long:    "Makes an item. Standard input holds its main secret: the password of a login, the key of an API, the private key, the text of a note. Who makes it owns it; the operator names an owner.",
		Example: "  writ vault item new --title 'Bank portal' --address https://bank.example --user treasury --as ana@example.com < password.txt\n  writ vault item new --kind note --title Alarm --owner ben@example.com < alarm.txt", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			if in.field == "" && !empty {
				in.field = mains[in.Kind]
			}
			if err := in.set(c, a); err != nil {
				return err
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			return a.itemDone(c, conn, http.MethodPost, "vault/items", in, "The item is kept: ")
		}),
	}
	in.flags(c)
	c.Flags().StringVar(&in.Kind, "kind", "login", "login, api-key, ssh-key, certificate, note or document")
	c.Flags().StringArrayVar(&in.Owners, "owner", nil, "who owns it: an address or a handle; repeat it (default you)")
	c.Flags().BoolVar(&empty, "empty", false, "without a secret yet: standard input is not read")
	_ = c.MarkFlagRequired("title") // the flag is there
	return c
}

// itemDone sends a change and says which item it left.
func (a *app) itemDone(c *cobra.Command, conn *client, method, path string, in any, says string) error {
	var raw json.RawMessage
	if err := conn.call(c.Context(), method, path, in, &raw); err != nil {
		return err
	}
	var i sharedItem
	if err := decode(raw, &i); err != nil {
		return err
	}
	return a.done(says+visible(i.ID)+", version "+strconv.FormatInt(i.Version, 10)+".", raw)
}

func (a *app) itemEdit() *cobra.Command {
	var in itemFields
	c := &cobra.Command{
		Use: "edit ID", Short: "Make a new version of an item", Long: "Changes what is given and leaves the rest as it is. With --field, standard input holds the new secret.",
		Example: "  writ vault item edit 06f0… --field password --as ana@example.com < password.txt\n  writ vault item edit 06f0… --folder Finance --rotate 90 --as ana@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			if err := in.set(c, a); err != nil {
				return err
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var out struct{ Item sharedItem }
			if err := conn.get(c.Context(), itemAt(args[0]), &out); err != nil {
				return err
			}
			was, given := out.Item, c.Flags().Changed
			in.Version = was.Version
			for _, s := range []struct {
				flag    string
				to, was *string
			}{{"title", &in.Title, &was.Title}, {"folder", &in.Folder, &was.Folder}, {"vendor", &in.Vendor, &was.Vendor}} {
				if !given(s.flag) {
					*s.to = *s.was
				}
			}
			if !given("rotate") {
				in.Rotate = was.Rotate
			}
			if !given("critical") {
				in.Critical = was.Critical
			}
			if !given("sensitive") {
				in.Sensitive = was.Sensitive
			}
			for _, f := range was.Fields {
				if strings.HasPrefix(f.ID, "own-") {
					in.Custom = append(in.Custom, customField{f.ID, f.Label, f.Secret})
				}
			}
			return a.itemDone(c, conn, http.MethodPut, itemAt(args[0]), in, "The item is changed: ")
		}),
	}
	in.flags(c)
	return c
}

func (a *app) itemDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "Delete an item; it can be taken back for 30 days", Long: "Takes an item out of use. An owner can take it back for 30 days with restore; then it is erased with all its versions.",
		Example: "  writ vault item delete 06f0… --as ana@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, itemAt(args[0]), nil, nil); err != nil {
				return err
			}
			return a.done("The item is deleted. It can be taken back for 30 days.", nil)
		}),
	}
}

func (a *app) itemRestore() *cobra.Command {
	return &cobra.Command{
		Use: "restore ID [VERSION]", Short: "Take a deletion back, or make a former version the newest", Long: "Without a version it takes a deletion back. With one it makes that version the newest; its secrets are shown to nobody on the way.",
		Example: "  writ vault item restore 06f0… --as ana@example.com\n  writ vault item restore 06f0… 3 --as ana@example.com", Args: cobra.RangeArgs(1, 2),
		RunE: run(func(c *cobra.Command, args []string) error {
			in := map[string]int64{}
			if len(args) == 2 {
				n, err := strconv.ParseInt(args[1], 10, 64)
				if err != nil || n < 1 {
					return &usageError{errors.New("a version is a number from 1 on: " + args[1])}
				}
				in["version"] = n
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			return a.itemDone(c, conn, http.MethodPost, itemAt(args[0], "/restore"), in, "The item is back: ")
		}),
	}
}
