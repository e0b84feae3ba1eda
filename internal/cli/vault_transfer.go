package cli

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// maxImport bounds a file that is brought over.
const maxImport = 2 << 20

func (a *app) vaultImport() *cobra.Command {
	var in struct {
		Form      string `json:"form"`
		Path      string `json:"path,omitempty"`
		Text      string `json:"text"`
		Overwrite bool   `json:"overwrite,omitempty"`
		Plain     bool   `json:"plain,omitempty"`
		Dry       bool   `json:"dry_run,omitempty"`
	}
	c := &cobra.Command{
		Use: "import FILE --path PATH", Short: "Bring values over from the file of another tool",
		Long: `Reads a file ("-" is standard input) and writes all its values, or none: dotenv, a tree of JSON or
YAML (each level is a level of the name), what chamber exports as JSON, or what the aws command line
prints of a path. A variable DB_URL becomes PATH/db-url, which writ run gives back as DB_URL. Every
row is told by its key, never by its value. With --dry-run nothing is written.`,
		Example: "  writ vault import .env --path /shop --dry-run\n  writ vault import settings.yaml --path /shop --overwrite\n  aws ssm get-parameters-by-path --path /shop --recursive --with-decryption | writ vault import - --as aws", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			if in.Form == "" {
				in.Form = map[string]string{".json": "json", ".yaml": "yaml", ".yml": "yaml"}[strings.ToLower(filepath.Ext(args[0]))]
				if in.Form == "" {
					in.Form = "dotenv"
				}
			}
			text, err := a.readFile(args[0], maxImport)
			if err != nil {
				return err
			}
			in.Text = string(text)
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/imports", in, &raw); err != nil {
				return err
			}
			var out struct {
				Done bool
				Rows []struct {
					Key, Name, Does, Problem string
					Version                  int64
				}
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			bad := 0
			t := newTable(a.out, "KEY", "NAME", "WHAT")
			for _, r := range out.Rows {
				what := r.Does
				switch r.Does {
				case "version":
					what = fmt.Sprintf("version %d", r.Version)
				case "refused":
					what, bad = r.Problem, bad+1
				}
				t.row(r.Key, r.Name, what)
			}
			if a.json() {
				if err := a.printJSON(raw); err != nil {
					return err
				}
			} else if err := t.flush(); err != nil {
				return err
			}
			switch {
			case bad > 0:
				a.say("%s cannot be taken, so nothing is written.", count(bad, "row", "rows"))
				return no
			case out.Done:
				a.say("%s written.", count(len(out.Rows), "value is", "values are"))
			default:
				a.say("Nothing is written: this was a dry run.")
			}
			return nil
		}),
	}
	f := c.Flags()
	f.StringVar(&in.Form, "as", "", "dotenv, json, yaml, chamber or aws (default: by the file's name)")
	f.StringVar(&in.Path, "path", "", "where the values go; with aws: what they must lie under")
	f.BoolVar(&in.Overwrite, "overwrite", false, "a name that is there gets a new version")
	f.BoolVar(&in.Plain, "plain", false, "new names become settings, not secrets")
	f.BoolVar(&in.Dry, "dry-run", false, "say what would be done, and write nothing")
	return c
}

func (a *app) vaultExport() *cobra.Command {
	return a.group("export", "Carry values away, with a second person", "An export is asked for with a reason, agreed to by an owner, and taken once within the hour. Every name is in the journal.",
		"  writ vault export ask /shop --reason 'a move to another region'\n  writ vault export approve 01J… --as ana@example.com\n  writ vault export take 01J… --as-form dotenv > shop.env", a.exportAsk(), a.exportApprove(), a.exportTake(), a.exportList())
}

func (a *app) exportAsk() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "ask PATH", Short: "Ask for the values under a path", Long: "Asks for everything under a path. Another person, an owner, agrees within a day.", Example: "  writ vault export ask /shop --reason 'a move to another region'", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/exports", map[string]string{"path": args[0], "reason": reason}, &raw); err != nil {
				return err
			}
			var out struct{ ID string }
			if err := decode(raw, &out); err != nil {
				return err
			}
			return a.done("Asked for. An owner agrees with: writ vault export approve "+visible(out.ID), raw)
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "why; whoever agrees reads it")
	_ = c.MarkFlagRequired("reason") // the flag is there
	return c
}

func (a *app) exportApprove() *cobra.Command {
	return &cobra.Command{
		Use: "approve ID", Short: "Agree to somebody else's export", Long: "Agrees to an export. It is never one's own, and a person agrees, signed in.", Example: "  writ vault export approve 01J… --as ana@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.post(c.Context(), "vault/exports/"+url.PathEscape(args[0])+"/approve", struct{}{}, nil); err != nil {
				return err
			}
			return a.done("Agreed. It can be taken once, within the hour.", nil)
		}),
	}
}

func (a *app) exportTake() *cobra.Command {
	var form string
	c := &cobra.Command{
		Use: "take ID", Short: "Take the values, once", Long: "Prints the values, once, as a map of JSON or as dotenv. Send them where they are going, not into a file that stays.", Example: "  writ vault export take 01J… --as-form dotenv", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			if form != "json" && form != "dotenv" {
				return &usageError{fmt.Errorf("--as-form is %q, expected json or dotenv", form)}
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var out struct{ Values []pair }
			if err := conn.post(c.Context(), "vault/exports/"+url.PathEscape(args[0])+"/take", struct{}{}, &out); err != nil {
				return err
			}
			if form == "dotenv" && !a.json() {
				for _, v := range out.Values {
					b := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(v.Value)
					fmt.Fprintf(a.out, "%s=\"%s\"\n", variable(v.Name), b)
				}
				return nil
			}
			m := map[string]string{}
			for _, v := range out.Values {
				m[v.Name] = v.Value
			}
			return a.encode(m)
		}),
	}
	c.Flags().StringVar(&form, "as-form", "json", "json or dotenv")
	return c
}

func (a *app) exportList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List exports, newest first", Long: "Lists exports: who asked, why, who agreed, and whether they were taken.", Example: "  writ vault export list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "vault/exports", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Exports []struct {
					ID, Path, Reason, Asker, Approver string
					Asked, Taken                      time.Time
				}
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			t := newTable(a.out, "ID", "PATH", "ASKED BY", "ASKED", "WHY", "AGREED BY", "TAKEN")
			for _, e := range out.Exports {
				t.row(e.ID, e.Path, e.Asker, a.when(e.Asked), e.Reason, e.Approver, a.when(e.Taken))
			}
			return t.flush()
		}),
	}
}
