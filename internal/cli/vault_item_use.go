package cli

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"writ/internal/kdbx"
	"writ/internal/secret"
)

func (a *app) itemShare() *cobra.Command {
	var in struct {
		With  string `json:"with"`
		Level string `json:"level"`
	}
	c := &cobra.Command{
		Use: "share ID --with WHOM", Short: "Share an item with a person, a role or the team", Long: "Lets somebody use an item (viewer), change it (editor) or answer for it (owner). Again with another level changes it.",
		Example: "  writ vault item share 06f0… --with ben@example.com --level owner --as ana@example.com\n  writ vault item share 06f0… --with role:engineer --as ana@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			return a.itemDone(c, conn, http.MethodPost, itemAt(args[0], "/shares"), in, "The item is shared: ")
		}),
	}
	c.Flags().StringVar(&in.With, "with", "", "an address, a handle, role:NAME or team")
	c.Flags().StringVar(&in.Level, "level", "viewer", "viewer, editor or owner")
	_ = c.MarkFlagRequired("with") // the flag is there
	return c
}

func (a *app) itemUnshare() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use: "unshare ID --from WHOM", Short: "Take an item from somebody", Long: "Ends a share. The last owner stays, and a critical item keeps as many holders as the policy asks for.",
		Example: "  writ vault item unshare 06f0… --from ben@example.com --as ana@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, itemAt(args[0], "/shares?", url.Values{"from": {from}}.Encode()), nil, nil); err != nil {
				return err
			}
			return a.done("They hold the item no more. What they saw is on their list: writ vault seen.", nil)
		}),
	}
	c.Flags().StringVar(&from, "from", "", "an address, a handle, role:NAME or team")
	_ = c.MarkFlagRequired("from") // the flag is there
	return c
}

func (a *app) itemLink() *cobra.Command {
	var in struct {
		Fields  []string `json:"fields"`
		Minutes int      `json:"minutes,omitempty"`
		Reason  string   `json:"reason,omitempty"`
	}
	var end string
	c := &cobra.Command{
		Use: "link ID", Short: "Make a link that shows some fields once, to somebody outside", Long: "Prints a link for one person. It works once, for a day at most; the owner sees when and from where it was opened. --end ends one that waits.",
		Example: "  writ vault item link 06f0… --field password --for 1h --as ana@example.com\n  writ vault item link 06f0… --end 06f1… --as ana@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			span, err := minutesOf(c)
			if err != nil {
				return err
			}
			in.Minutes = span
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if end != "" {
				if err := conn.call(c.Context(), http.MethodDelete, itemAt(args[0], "/links/", url.PathEscape(end)), nil, nil); err != nil {
					return err
				}
				return a.done("The link opens nothing any more.", nil)
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), itemAt(args[0], "/links"), in, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				URL  string
				Link struct{ Until time.Time }
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "It opens once, until %s.\n", a.date(out.Link.Until))
			a.say("%s", visible(out.URL))
			return nil
		}),
	}
	c.Flags().StringArrayVar(&in.Fields, "field", []string{"password"}, "what it shows; repeat it")
	c.Flags().StringVar(&in.Reason, "reason", "", "why; it stands in the record")
	c.Flags().StringVar(&end, "end", "", "end the link with this id instead")
	c.Flags().Duration("for", 24*time.Hour, "how long it works, 5m to 24h")
	return c
}

// minutesOf reads --for.
func minutesOf(c *cobra.Command) (int, error) {
	d, err := c.Flags().GetDuration("for")
	if err != nil || d < time.Minute {
		return 0, &usageError{errors.New("--for is a time such as 30m or 2h")}
	}
	return int(d / time.Minute), nil
}

func (a *app) itemCheckOut() *cobra.Command {
	var in struct {
		Reason  string `json:"reason"`
		Minutes int    `json:"minutes"`
	}
	c := &cobra.Command{
		Use: "checkout ID --reason WHY", Short: "Have an item for yourself, for a while", Long: "Nobody else uses the item until it is checked in or its time is over. Afterwards it is to be replaced.",
		Example: "  writ vault item checkout 06f0… --reason 'transfer of July' --for 30m --as ana@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			span, err := minutesOf(c)
			if err != nil {
				return err
			}
			in.Minutes = span
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			return a.itemDone(c, conn, http.MethodPost, itemAt(args[0], "/checkout"), in, "You alone use it now: ")
		}),
	}
	c.Flags().StringVar(&in.Reason, "reason", "", "why; it stands in the record")
	c.Flags().Duration("for", time.Hour, "how long, 5m to 24h")
	_ = c.MarkFlagRequired("reason") // the flag is there
	return c
}

func (a *app) itemCheckIn() *cobra.Command {
	return &cobra.Command{
		Use: "checkin ID", Short: "Give an item back; it is to be replaced then", Long: "Ends a check-out: your own, or as its owner anybody's.", Example: "  writ vault item checkin 06f0… --as ana@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, itemAt(args[0], "/checkout"), nil, nil); err != nil {
				return err
			}
			return a.done("It is back. Replace its secret now.", nil)
		}),
	}
}

func (a *app) itemGenerate() *cobra.Command {
	var in struct {
		Length  int      `json:"length,omitempty"`
		Classes []string `json:"classes,omitempty"`
		Words   int      `json:"words,omitempty"`
		Between string   `json:"between,omitempty"`
	}
	c := &cobra.Command{
		Use: "generate", Short: "Make a password or a passphrase", Long: "Makes a password by chance alone and prints it; it is kept nowhere.",
		Example: "  writ vault item generate --length 24\n  writ vault item generate --words 6", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/generate", in, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Password string
				Bits     int
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "%d bits of chance.\n", out.Bits)
			return a.printValue(out.Password)
		}),
	}
	f := c.Flags()
	f.IntVar(&in.Length, "length", 0, "characters, 8 to 128 (default 20)")
	f.StringSliceVar(&in.Classes, "classes", nil, "of lower, upper, digit, symbol (default all)")
	f.IntVar(&in.Words, "words", 0, "a passphrase of so many words instead, 4 to 12")
	f.StringVar(&in.Between, "between", "", "what stands between words (default a hyphen)")
	return c
}

func (a *app) itemImport() *cobra.Command {
	in := struct {
		Source string   `json:"source,omitempty"`
		File   string   `json:"file"`
		Owners []string `json:"owners,omitempty"`
		Pass   string   `json:"pass,omitempty"`
		Some   bool     `json:"some,omitempty"`
	}{}
	var doIt bool
	var passwordFile, keyFile string
	c := &cobra.Command{
		Use: "import FILE", Short: "Bring items over from another keeper of passwords",
		Long: `Reads an export of 1Password (1PUX, CSV), Bitwarden (JSON, CSV), KeePass 2 (XML) or a browser (CSV), or
a database of KeePass (KDBX 3.1 or 4). The database is opened here: its password does not leave this
machine. It is asked for at the terminal; where a key file alone opens it, press Enter, or give
--db-password-file /dev/null. Without --yes it only says row by row what would become of it. With --yes it tries first and then
brings all rows over, or none; with --some it leaves out what cannot come.`,
		Example: "  writ vault item import export.1pux --as ana@example.com\n  writ vault item import logins.csv --yes --some --as ana@example.com\n  writ vault item import team.kdbx --key-file team.keyx --as ana@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			b, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read the export: %w", err)
			}
			if kdbx.Is(b) {
				if b, err = a.openDatabase(b, passwordFile, keyFile); err != nil {
					return err
				}
				in.Source = "keepass-xml"
			}
			in.File = base64.StdEncoding.EncodeToString(b)
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/item-import", in, &raw); err != nil {
				return err
			}
			var out importAnswer
			if err := decode(raw, &out); err != nil {
				return err
			}
			if doIt && (in.Some || out.Good == len(out.Rows)) {
				in.Pass = out.Pass
				if err := conn.post(c.Context(), "vault/item-import", in, &raw); err != nil {
					return err
				}
				if err := decode(raw, &out); err != nil {
					return err
				}
			}
			return a.brought(raw, out)
		}),
	}
	f := c.Flags()
	f.StringVar(&in.Source, "source", "", "1password-1pux, 1password-csv, bitwarden-json, bitwarden-csv, keepass-kdbx, keepass-xml, browser-csv (default: seen from the file)")
	f.StringArrayVar(&in.Owners, "owner", nil, "who owns what comes: an address or a handle; repeat it (default you)")
	f.StringVar(&passwordFile, "db-password-file", "", "a file with the password of a database of KeePass (default: asked for)")
	f.StringVar(&keyFile, "key-file", "", "the key file of a database of KeePass, where it has one")
	f.BoolVar(&doIt, "yes", false, "bring it over after the try")
	f.BoolVar(&in.Some, "some", false, "leave out what cannot come over")
	return c
}

// openDatabase opens a database of KeePass, and gives the XML that an export of it would be.
func (a *app) openDatabase(file []byte, passwordFile, keyFile string) ([]byte, error) { // clause: vault.company-creds
	var key kdbx.Key
	if keyFile != "" {
		b, err := a.readFile(keyFile, kdbx.MaxKeyFile)
		if err != nil {
			return nil, err
		}
		key.File = secret.NewBytes(b)
	}
	var err error
	if passwordFile == "" {
		key.Password, err = a.ask("Password of the database: ", "Give --db-password-file FILE.")
	} else {
		var b []byte
		b, err = a.readFile(passwordFile, 4<<10)
		key.Password = secret.NewText(strings.TrimRight(string(b), "\r\n"))
	}
	if err != nil {
		return nil, err
	}
	text, err := kdbx.Open(file, key, kdbx.Alone)
	return text.Reveal(), err
}

type importAnswer struct {
	Rows []struct {
		Row     int
		Title   string
		Kind    string
		Problem string
		Told    []string
	}
	Good int
	Pass string
	Done bool
}

// brought says row by row what became of an import. One that wanted to and could not is a no.
func (a *app) brought(raw json.RawMessage, out importAnswer) error {
	if a.json() {
		if err := a.printJSON(raw); err != nil {
			return err
		}
	} else {
		t := newTable(a.out, "ROW", "TITLE", "KIND", "RESULT")
		for _, r := range out.Rows {
			what := "comes over"
			if out.Done {
				what = "came over"
			}
			if r.Problem != "" {
				what = "left out: " + r.Problem
			}
			t.row(strconv.Itoa(r.Row), r.Title, r.Kind, strings.Join(append([]string{what}, r.Told...), "; "))
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	switch {
	case out.Done:
		fmt.Fprintf(a.err, "%d of %d rows came over. Delete the export now: it is not encrypted.\n", out.Good, len(out.Rows))
	case out.Good < len(out.Rows):
		fmt.Fprintf(a.err, "%d of %d rows can come over. Nothing was changed. To bring these: --yes --some\n", out.Good, len(out.Rows))
		return no
	default:
		fmt.Fprintf(a.err, "All %d rows can come over. Nothing was changed. To bring them: --yes\n", out.Good)
	}
	return nil
}

func (a *app) itemReport() *cobra.Command {
	return &cobra.Command{
		Use: "report", Short: "List items that are weak, reused, old, overdue or without an owner", Long: "Looks at every item that you may see. Passwords are measured where they lie and shown to nobody. The exit status is 1 when something is wrong.",
		Example: "  writ vault item report --as ana@example.com", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "vault/item-report", &raw); err != nil {
				return err
			}
			var out struct {
				Looked int `json:"looked_at"`
				Found  []struct {
					ID, Title string
					What      []string
				}
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			if a.json() {
				err = a.printJSON(raw)
			} else if len(out.Found) == 0 {
				a.say("Nothing is wrong with %d items.", out.Looked)
			} else {
				t := newTable(a.out, "ID", "TITLE", "WHAT")
				for _, f := range out.Found {
					t.row(f.ID, f.Title, strings.Join(f.What, ", "))
				}
				err = t.flush()
			}
			if err == nil && len(out.Found) > 0 {
				err = no
			}
			return err
		}),
	}
}
