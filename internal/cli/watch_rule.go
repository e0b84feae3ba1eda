package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// ownVersion is a version of a rule of one's own, as the server shows it.
type ownVersion struct {
	Rule     string `json:"rule"`
	Version  int64  `json:"version"`
	Title    string `json:"title"`
	State    string `json:"state"`
	Says     string `json:"says"`
	Author   string `json:"author"`
	Approver string `json:"approver"`
	Problem  string `json:"problem"`
	Text     string `json:"text"`
}

func (a *app) watchRule() *cobra.Command {
	step := func(act, short, long, done string) *cobra.Command {
		return &cobra.Command{
			Use: act + " ID", Short: short, Long: long, Example: "  writ watch rule " + act + " 7d3b0b3e-0c0f-4a53-9d6e-1f5d0a3c9e01", Args: cobra.ExactArgs(1),
			RunE: run(func(c *cobra.Command, args []string) error {
				return a.watchCall(c, http.MethodPost, "own/"+url.PathEscape(args[0])+"/"+act, nil, func(raw json.RawMessage) error {
					var v ownVersion
					if err := decode(raw, &v); err != nil {
						return err
					}
					a.say("Version %d of %q %s", v.Version, v.Title, done)
					return nil
				})
			}),
		}
	}
	return a.group("rule", "Rules of your own, as files of Sigma",
		"A rule is a file of Sigma 2.1. It watches after a back-test on what is stored, and after a second person has approved it: add, test, approve, enable, retire.",
		"  writ watch rule test exports.yml --since 30d\n  writ watch rule add exports.yml",
		a.watchRuleAdd(), a.watchRuleTest(),
		step("approve", "Approve a version that somebody else wrote", "Approves the version that is on its way. Who wrote it cannot, nor can the server's own account: sign in with --as.", "is approved. Let it watch: writ watch rule enable ID"),
		step("enable", "Let an approved version watch", "Lets the approved version watch from now on, in place of the one before. It is refused without a back-test of 30 days that is less than a week old, without an approval, where an incident that is kept would be seen by none of your own rules any more, and where more than a fifth of five or more alarms would have come while nothing was wrong. A refusal is recorded.", "watches."),
		a.watchRuleRetire(), a.watchRuleList(), a.watchRuleShow())
}

func (a *app) watchRuleAdd() *cobra.Command {
	return &cobra.Command{
		Use: "add FILE", Short: "Keep a version of a rule as a draft",
		Long:    "Keeps the file as the newest version of the rule whose id stands in it. Nothing watches yet. What the rule asks for and nothing here has is listed.",
		Example: "  writ watch rule add exports.yml", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return unreadable(args[0], err)
			}
			return a.watchCall(c, http.MethodPost, "own", map[string]any{"text": string(text)}, func(raw json.RawMessage) error {
				var out struct {
					Rule     ownVersion
					Warnings []string
				}
				if err := decode(raw, &out); err != nil {
					return err
				}
				for _, w := range out.Warnings {
					a.say("Note: %s.", w)
				}
				a.say("Version %d of %q is a draft. See how it would have done: writ watch rule test %s", out.Rule.Version, out.Rule.Title, out.Rule.Rule)
				return nil
			})
		}),
	}
}

func (a *app) watchRuleTest() *cobra.Command {
	var since string
	c := &cobra.Command{
		Use: "test FILE|ID", Short: "See how often a rule would have fired",
		Long:    "Asks a rule about the journal and the access records of the last days, and says how often it would have fired, how often inside known incidents, and on what; and which of the incidents that are kept it sees, or would leave unseen. A file need not be kept first; a version with the same text is tested then, by a test of 30 days or more.",
		Example: "  writ watch rule test exports.yml --since 30d", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			hours, err := hoursOf(since)
			if err != nil {
				return err
			}
			text, err := a.ruleText(c, args[0])
			if err != nil {
				return err
			}
			return a.watchCall(c, http.MethodPost, "own/test", map[string]any{"text": text, "hours": hours}, a.printTest)
		}),
	}
	c.Flags().StringVar(&since, "since", "30d", "how far back, such as 12h or 30d")
	return c
}

// hoursOf reads 12h or 30d.
func hoursOf(s string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimRight(s, "hd"), 10, 64)
	switch {
	case err == nil && n > 0 && n < 10_000 && strings.HasSuffix(s, "h"):
		return n, nil
	case err == nil && n > 0 && n < 10_000 && strings.HasSuffix(s, "d"):
		return 24 * n, nil
	}
	return 0, &usageError{fmt.Errorf("--since is %q, expected a time such as 12h or 30d", s)}
}

// ruleText is the text of a file, or of a rule that is kept.
func (a *app) ruleText(c *cobra.Command, name string) (string, error) {
	b, err := os.ReadFile(name)
	if err == nil {
		return string(b), nil
	}
	if !errors.Is(err, fs.ErrNotExist) || strings.ContainsAny(name, "./") {
		return "", unreadable(name, err)
	}
	conn, err := a.open(c.Context())
	if err != nil {
		return "", err
	}
	var out struct{ Rules []ownVersion }
	if err := conn.get(c.Context(), "watch/own/"+url.PathEscape(name), &out); err != nil {
		return "", err
	}
	return out.Rules[0].Text, nil
}

func (a *app) printTest(raw json.RawMessage) error {
	var out struct {
		Version int64
		Says    string
		Result  struct {
			Events   int64
			Warnings []string
			Sees     []string
			Loses    []string
			Examples []struct {
				At          time.Time
				About, Says string
				Entry       int64
			}
		}
	}
	if err := decode(raw, &out); err != nil {
		return err
	}
	for _, w := range out.Result.Warnings {
		a.say("Note: %s.", w)
	}
	a.say("The rule %s; it was asked about %d events.", out.Says, out.Result.Events)
	if len(out.Result.Sees) > 0 {
		a.say("Of the incidents that are kept it fires on %s.", strings.Join(out.Result.Sees, ", "))
	}
	if len(out.Result.Loses) > 0 {
		a.say("Nothing of your own would see %s any more: it cannot take the place of the version that watches.", strings.Join(out.Result.Loses, ", "))
	}
	if len(out.Result.Examples) > 0 {
		t := newTable(a.out, "AT", "ABOUT", "ENTRY", "WHAT")
		for _, e := range out.Result.Examples {
			entry := "a record"
			if e.Entry >= 0 {
				entry = strconv.FormatInt(e.Entry, 10)
			}
			t.row(a.when(e.At), e.About, entry, e.Says)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if out.Version > 0 {
		a.say("Version %d is tested now. A second person approves it: writ watch rule approve ID --as EMAIL", out.Version)
	}
	return nil
}

func (a *app) watchRuleRetire() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "retire ID", Short: "End a rule", Long: "Ends a rule, and every version of it that is on its way. Its alarms and its texts stay.",
		Example: "  writ watch rule retire 7d3b0b3e-0c0f-4a53-9d6e-1f5d0a3c9e01 --reason \"the export is gone\"", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodPost, "own/"+url.PathEscape(args[0])+"/retire", map[string]string{"reason": reason}, func(json.RawMessage) error {
				a.say("The rule watches no more.")
				return nil
			})
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	return c
}

func (a *app) watchRuleList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the rules of your own", Long: "Lists the versions that watch and those on their way there, and of each rule that is over the last one.",
		Example: "  writ watch rule list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.watchCall(c, http.MethodGet, "own", nil, func(raw json.RawMessage) error {
				var out struct{ Rules []ownVersion }
				if err := decode(raw, &out); err != nil {
					return err
				}
				t := newTable(a.out, "RULE", "VERSION", "STATE", "TITLE", "BACK-TEST")
				for _, v := range out.Rules {
					state := v.State
					if v.Problem != "" {
						state = "cannot be read"
					}
					t.row(v.Rule, strconv.FormatInt(v.Version, 10), state, v.Title, v.Says)
				}
				return t.flush()
			})
		}),
	}
}

func (a *app) watchRuleShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Print the newest version of a rule", Long: "Prints the text of the newest version of a rule, as it was written.",
		Example: "  writ watch rule show 7d3b0b3e-0c0f-4a53-9d6e-1f5d0a3c9e01", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodGet, "own/"+url.PathEscape(args[0]), nil, func(raw json.RawMessage) error {
				var out struct{ Rules []ownVersion }
				if err := decode(raw, &out); err != nil {
					return err
				}
				_, err := fmt.Fprint(a.out, out.Rules[0].Text)
				return err
			})
		}),
	}
}

func (a *app) watchLessons() *cobra.Command {
	return &cobra.Command{
		Use: "lessons", Short: "List what is kept of incidents, and which of your own rules see each",
		Long:    "When an incident is closed, the events that its alarms rest on, and the accesses of a breach, are kept under pseudonyms. Every change of a rule of your own is held against them.",
		Example: "  writ watch lessons", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.watchCall(c, http.MethodGet, "lessons", nil, func(raw json.RawMessage) error {
				var out struct {
					Lessons []struct {
						Name       string
						Kept       time.Time
						Events     int64
						Missed     int64
						Erased     bool
						Told, Seen []string
					}
				}
				if err := decode(raw, &out); err != nil {
					return err
				}
				t := newTable(a.out, "INCIDENT", "KEPT", "EVENTS", "TOLD BY", "SEEN BY")
				for _, l := range out.Lessons {
					events := strconv.FormatInt(l.Events, 10)
					if l.Missed > 0 {
						events += fmt.Sprintf(" of %d", l.Events+l.Missed)
					}
					if l.Erased {
						events = "erased"
					}
					t.row(l.Name, a.when(l.Kept), events, strings.Join(l.Told, " "), strings.Join(l.Seen, " "))
				}
				return t.flush()
			})
		}),
	}
}
