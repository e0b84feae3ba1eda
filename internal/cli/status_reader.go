package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) statusSubscribers() *cobra.Command {
	return a.group("subscribers", "See who is told of updates, and end a subscription", "People and programs subscribe on the page itself and end it by a link in each message.\nHere staff see them, shortened, and end one for a reason.",
		"  writ status subscribers list\n  writ status subscribers remove 06gp… --reason \"asked for by post\"", a.subscribersList(), a.subscribersRemove())
}

func (a *app) subscribersList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List who is told of updates", Long: "Lists addresses and webhooks, shortened, with the components that each is told of, and whether it is suspended: after five messages that it refused,\nor five letters that came back, it is told nothing until it confirms again.",
		Example: "  writ status subscribers list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			type one struct {
				ID         string     `json:"id"`
				Kind       string     `json:"kind"`
				Where      string     `json:"where"`
				Components []string   `json:"components"`
				State      string     `json:"state"`
				Since      time.Time  `json:"since"`
				Suspended  *time.Time `json:"suspended,omitempty"`
				Refused    int64      `json:"refused"`
			}
			all := []one{}
			for after, more := "", true; more; more = after != "" {
				var page struct {
					Subscribers []one
					Next        string
				}
				if err := conn.get(c.Context(), "status/subscribers?after="+url.QueryEscape(after), &page); err != nil {
					return err
				}
				all, after = append(all, page.Subscribers...), page.Next
			}
			if a.json() {
				b, err := json.Marshal(map[string]any{"subscribers": all})
				if err != nil {
					return err
				}
				return a.printJSON(b)
			}
			if len(all) == 0 {
				a.say("Nobody has subscribed.")
				return nil
			}
			t := newTable(a.out, "ID", "WHERE", "COMPONENTS", "STATE", "SINCE")
			for _, x := range all {
				parts, state, since := "all", x.State, x.Since
				if len(x.Components) > 0 {
					parts = strings.Join(x.Components, " ")
				}
				if x.Suspended != nil {
					state, since = fmt.Sprintf("%s, refused %d", state, x.Refused), *x.Suspended
				}
				t.row(x.ID, x.Where, parts, state, a.when(since))
			}
			return t.flush()
		})}
}

func (a *app) subscribersRemove() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "remove ID", Short: "End a subscription", Long: "Ends a subscription and erases its address. The reason is recorded. Whoever has the address may subscribe again.",
		Example: "  writ status subscribers remove 06gp… --reason \"asked for by post\"", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.changed(c, http.MethodDelete, "status/subscribers/"+url.PathEscape(args[0]), map[string]any{"reason": reason}, "It is told nothing more, and its address is erased.")
		})}
	c.Flags().StringVar(&reason, "reason", "", "why")
	_ = c.MarkFlagRequired("reason") // the flag is there
	return c
}

func (a *app) statusExport() *cobra.Command {
	return &cobra.Command{Use: "export FOLDER", Short: "Make a copy of the page now, in a folder", Long: "Writes the whole page as it is now into a folder: pages, feeds and API as files, with the sums and the proof that the page said so.\nwrit verify FOLDER checks it without a server. Files of the same names are replaced.",
		Example: "  writ status export ./status\n  writ verify ./status", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var x struct {
				SHA256 string
				Files  map[string][]byte
			}
			if err := conn.post(c.Context(), "status/export", nil, &x); err != nil {
				return err
			}
			if err := unfold(args[0], x.Files); err != nil {
				return err
			}
			b, err := json.Marshal(map[string]any{"folder": args[0], "files": len(x.Files), "sha256": x.SHA256})
			if err != nil {
				return err
			}
			return a.done(fmt.Sprintf("%s are in %s. Check them: writ verify %s", count(len(x.Files), "file", "files"), args[0], args[0]), b)
		})}
}

// unfold writes files below a folder and nowhere else, the first page last.
func unfold(folder string, files map[string][]byte) error {
	names := make([]string, 0, len(files))
	for name := range files {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("the server names a file %q, which is not below the folder", name)
		}
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if a == "index.html" || b == "index.html" {
			return map[bool]int{true: 1, false: -1}[a == "index.html"]
		}
		return strings.Compare(a, b)
	})
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // a page for everybody
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range names {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(name, files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}
