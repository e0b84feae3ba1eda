package cli

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"
)

// incidentFrozen is what a pipeline asks before it deploys.
func (a *app) incidentFrozen() *cobra.Command {
	return &cobra.Command{Use: "frozen", Short: "Say whether something may be deployed", Long: `Says whether an incident of severity 1 or 2 keeps everything from being deployed: from the moment its kind is decided until it
is resolved. The exit status is 1 while it does, so that a pipeline can ask before it deploys.`,
		Example: "  writ incident frozen && ./deploy", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "deploys", &raw); err != nil {
				return err
			}
			var x struct {
				Frozen    bool
				Incidents []incidentCase
			}
			if err := decode(raw, &x); err != nil {
				return err
			}
			says := "Nothing keeps you from deploying."
			if x.Frozen {
				says = "Nothing is deployed now."
				for _, i := range x.Incidents {
					says += fmt.Sprintf("\n%s  %s, severity %d: %s", i.Ref, i.State, i.Severity, visible(i.Title))
				}
			}
			if err := a.done(says, raw); err != nil || !x.Frozen {
				return err
			}
			return no
		})}
}

func (a *app) incidentSplit() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "split INCIDENT SIGNAL", Short: "Make what told of it an incident of its own", Long: "Takes something that told of an incident, such as an alarm, out of it: it is another matter, and begins an incident of its own.",
		Example: "  writ incident split I-1 alarm/01JD8Q --reason \"another disk\"", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "split", map[string]any{"signal": args[1], "reason": reason})
		})}
	c.Flags().StringVar(&reason, "reason", "", "why")
	return c
}

func (a *app) incidentAnswer() *cobra.Command {
	return &cobra.Command{Use: "answer INCIDENT REPORT TEXT", Short: "Write to whoever reported something", Long: "Sends an answer to the address that whoever reported something gave, under the reference of the report.",
		Example: "  writ incident answer I-1 R-7K2M9QT4 \"Thank you: it is mended.\"", Args: cobra.ExactArgs(3),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "answers", map[string]any{"report": args[1], "text": args[2]})
		})}
}

func (a *app) incidentAttach() *cobra.Command {
	return &cobra.Command{Use: "attach INCIDENT FILE", Short: "Keep a file with an incident", Long: "Keeps a file of at most 25 MiB with an incident, sealed. Its hash is in the timeline.",
		Example: "  writ incident attach I-1 screenshot.png", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			b, err := a.readFile(args[1], 25<<20)
			if err != nil {
				return err
			}
			return a.tell(c, args[0], "files", map[string]any{"name": filepath.Base(args[1]), "content": b})
		})}
}

func (a *app) incidentFiles() *cobra.Command {
	var id, out string
	c := &cobra.Command{Use: "files INCIDENT", Short: "List the files of an incident, or take one", Long: "Lists the files of an incident. With --take ID and --out FILE it writes one; that somebody took it is recorded.",
		Example: "  writ incident files I-1\n  writ incident files I-1 --take 01JD8Q --out screenshot.png", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			at := "incidents/" + url.PathEscape(args[0])
			if id != "" {
				return a.fetchFile(c.Context(), at+"/files/"+url.PathEscape(id), out, "It is what somebody sent: open it with care.")
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), at, &raw); err != nil {
				return err
			}
			var x struct {
				Files []struct {
					ID, Name, Kind, SHA256 string
					Size                   int64
				}
			}
			if err := decode(raw, &x); err != nil {
				return err
			}
			if a.json() {
				return a.encode(x.Files)
			}
			t := newTable(a.out, "ID", "NAME", "KIND", "BYTES", "SHA-256")
			for _, f := range x.Files {
				t.row(f.ID, f.Name, f.Kind, strconv.FormatInt(f.Size, 10), f.SHA256)
			}
			return t.flush()
		})}
	c.Flags().StringVar(&id, "take", "", "id of the file to write")
	c.Flags().StringVar(&out, "out", "", "where to")
	c.MarkFlagsRequiredTogether("take", "out")
	return c
}

func (a *app) incidentBundle() *cobra.Command {
	var out string
	c := &cobra.Command{Use: "bundle INCIDENT", Short: "Write all of an incident as a zip that writ verify checks", Long: "Writes an incident for somebody outside: timeline, decisions, letters and how each stands, hashes of files, and every\nentry of the journal about it with its proof and the signed checkpoint.",
		Example: "  writ incident bundle I-1 --out incident-i-1.zip", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.fetchFile(c.Context(), "incidents/"+url.PathEscape(args[0])+"/bundle", out, "Check it with: writ verify "+out)
		})}
	c.Flags().StringVar(&out, "out", "", "where to")
	_ = c.MarkFlagRequired("out") // the flag is there
	return c
}
