package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// noticeText is a text that notices begin with.
type noticeText struct {
	Kind, State, Body, By string
	Version               int64
	Shipped               bool
	At                    *time.Time
}

// whose says who wrote it.
func (x noticeText) whose() string {
	switch {
	case x.Version == 0:
		return "shipped"
	case x.Shipped:
		return "shipped again, by " + visible(x.By)
	}
	return visible(x.By)
}

func textAt(args []string) string {
	return "status/templates/" + url.PathEscape(args[0]) + "/" + url.PathEscape(args[1])
}

func (a *app) statusTemplate() *cobra.Command {
	return a.group("template", "Keep the texts that public notices begin with", `Each kind of incident (breach, data-loss, usability, other, ...) has a text for each word of the page (investigating, identified,
monitoring, resolved, postmortem, retracted), and maintenance one for its announcement (scheduled). Places in braces are filled
from the incident: writ incident draft.`,
		"  writ status template list\n  writ status template set usability identified --file notice.txt", a.templateList(), a.templateShow(), a.templateSet(), a.templateReset())
}

func (a *app) templateList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the texts, and the places that they may have", Long: "Lists the texts as they stand, and the places that they may have.", Example: "  writ status template list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "status/templates", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var x struct {
				Places []struct{ Place, Says string }
				Texts  []noticeText
			}
			if err := decode(raw, &x); err != nil {
				return err
			}
			t := newTable(a.out, "KIND", "STATE", "WHOSE", "TEXT")
			for _, y := range x.Texts {
				t.row(y.Kind, y.State, y.whose(), strings.ReplaceAll(visible(y.Body), "\n", " "))
			}
			for _, p := range x.Places {
				defer a.say("%s is %s.", p.Place, p.Says)
			}
			return t.flush()
		})}
}

func (a *app) templateShow() *cobra.Command {
	return &cobra.Command{Use: "show KIND STATE", Short: "Show a text with its versions", Long: "Shows the versions of a text, the newest first.", Example: "  writ status template show usability identified", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			raw, vs, err := a.textVersions(c, args)
			if err != nil || a.json() {
				return printed(a, raw, err)
			}
			for _, v := range vs {
				since := ""
				if v.At != nil {
					since = ", " + a.when(*v.At)
				}
				a.say("Version %d, %s%s:\n%s\n", v.Version, v.whose(), since, visible(v.Body))
			}
			return nil
		})}
}

// printed is raw JSON on its way out, unless there was an error.
func printed(a *app, raw json.RawMessage, err error) error {
	if err != nil {
		return err
	}
	return a.printJSON(raw)
}

func (a *app) textVersions(c *cobra.Command, args []string) (raw json.RawMessage, vs []noticeText, err error) {
	conn, err := a.open(c.Context())
	if err != nil {
		return nil, nil, err
	}
	if err := conn.get(c.Context(), textAt(args), &raw); err != nil {
		return nil, nil, err
	}
	var x struct{ Versions []noticeText }
	err = decode(raw, &x)
	if err == nil && len(x.Versions) == 0 {
		err = fmt.Errorf("the server knows no version of this text")
	}
	return raw, x.Versions, err
}

// putText writes a text in the place of the version that stands now.
func (a *app) putText(c *cobra.Command, args []string, method string, in map[string]any, says string) error {
	_, vs, err := a.textVersions(c, args)
	if err != nil {
		return err
	}
	in["version"] = vs[0].Version
	conn, err := a.open(c.Context())
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := conn.call(c.Context(), method, textAt(args), in, &raw); err != nil {
		return err
	}
	var x noticeText
	if err := decode(raw, &x); err != nil {
		return err
	}
	return a.done(fmt.Sprintf("%s It is version %d.", says, x.Version), raw)
}

func (a *app) templateSet() *cobra.Command {
	var file, text string
	c := &cobra.Command{Use: "set KIND STATE", Short: "Write another text", Long: "Writes another text, from a file or as it is given. The one before stays among its versions.", Example: "  writ status template set usability identified --file notice.txt\n  writ status template set other retracted --text \"We were wrong: nothing was broken since {since:time}.\"", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			if (file == "") == (text == "") {
				return &usageError{fmt.Errorf("give the text, by --file or by --text")}
			}
			if file != "" {
				b, err := a.readFile(file, 16<<10)
				if err != nil {
					return err
				}
				text = string(b)
			}
			return a.putText(c, args, http.MethodPut, map[string]any{"body": text}, "Notices begin with this text.")
		})}
	c.Flags().StringVar(&file, "file", "", "file that holds the text; - is standard input")
	c.Flags().StringVar(&text, "text", "", "the text")
	return c
}

func (a *app) templateReset() *cobra.Command {
	return &cobra.Command{Use: "reset KIND STATE", Short: "Return to the shipped text", Long: "Returns to the text that comes with this build. The company's own stays among the versions.", Example: "  writ status template reset usability identified", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.putText(c, args, http.MethodDelete, map[string]any{}, "Notices begin with the shipped text again.")
		})}
}

func (a *app) incidentDraft() *cobra.Command {
	var kind, state, estimate, next string
	var components []string
	c := &cobra.Command{Use: "draft INCIDENT", Short: "Show a notice to begin with", Long: `Shows the text of a kind and a word, filled from the incident. What is not known stands in it as it is written, and keeps the
text from being posted until somebody fills it. Nothing is posted: writ incident update, with --preview first.`,
		Example: "  writ incident draft I-1 --state identified --next 45m", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			q := url.Values{"kind": {kind}, "state": {state}, "component": components}
			for name, v := range map[string]string{"estimate": estimate, "next": next} {
				if v == "" {
					continue
				}
				t, err := a.moment(v)
				if err != nil {
					return &usageError{fmt.Errorf("--%s is %q, expected a time from now such as 45m, or 2026-05-03T14:10:00Z", name, v)}
				}
				q.Set(name, t.UTC().Format(time.RFC3339))
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "incidents/"+url.PathEscape(args[0])+"/draft?"+q.Encode(), &raw); err != nil {
				return err
			}
			var x struct {
				Text string
				Open []string
			}
			if err := decode(raw, &x); err != nil {
				return err
			}
			says := visible(x.Text)
			if len(x.Open) > 0 {
				says += "\n\nNot known yet: " + strings.Join(x.Open, " ")
			}
			return a.done(says, raw)
		})}
	c.Flags().StringVar(&kind, "kind", "", "kind of incident whose text it is; as decided")
	c.Flags().StringVar(&state, "state", "", "word of the page; investigating, later that of the newest post")
	c.Flags().StringArrayVar(&components, "component", nil, "id of a component that it touches; repeat it")
	c.Flags().StringVar(&estimate, "estimate", "", "when service returns")
	c.Flags().StringVar(&next, "next", "", "when the next update comes")
	return c
}

// previewed shows how an update would stand on each channel.
func (a *app) previewed(c *cobra.Command, ref string, in any) error {
	conn, err := a.open(c.Context())
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := conn.post(c.Context(), "incidents/"+url.PathEscape(ref)+"/preview", in, &raw); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(raw)
	}
	var x struct {
		Leaks []struct {
			What string
			At   int
		}
		Channels []struct {
			Channel, Account, Network, Text string
			Counts, Most                    int
			Cut                             bool
		}
	}
	if err := decode(raw, &x); err != nil {
		return err
	}
	for _, e := range x.Channels {
		head := e.Channel
		if e.Account != "" {
			head = fmt.Sprintf("%s, %s (%s)", e.Channel, visible(e.Account), e.Network)
		}
		if e.Most > 0 {
			head += fmt.Sprintf(", %d of %d characters", e.Counts, e.Most)
		}
		if e.Cut {
			head += ", cut"
		}
		a.say("--- %s\n%s\n", head, visible(e.Text))
	}
	for _, l := range x.Leaks {
		a.say("It must not be public: %s, at character %d. It is refused until it is taken out, or two people approve this very text.", l.What, l.At)
	}
	a.say("Nothing was posted.")
	return nil
}
