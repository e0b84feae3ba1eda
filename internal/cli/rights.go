package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// loan is a lent role on the wire.
type loan struct {
	ID     string    `json:"id"`
	Handle string    `json:"handle"`
	Role   string    `json:"role"`
	Need   string    `json:"need"`
	Reason string    `json:"reason"`
	State  string    `json:"state"`
	Until  time.Time `json:"until"`
	Cause  string    `json:"cause"`
}

// review is a review of rights on the wire.
type review struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Opened  time.Time `json:"opened"`
	Due     time.Time `json:"due"`
	Closed  time.Time `json:"closed"`
	Items   int       `json:"items"`
	Decided int       `json:"decided"`
}

// reviewItem is one right in a review on the wire.
type reviewItem struct {
	ID       string `json:"id"`
	Handle   string `json:"handle"`
	Kind     string `json:"kind"`
	Role     string `json:"role"`
	Why      string `json:"why"`
	Decision string `json:"decision"`
	Outcome  string `json:"outcome"`
	Reason   string `json:"reason"`
}

// rightsCommands are the user commands about lent roles and reviews.
func (a *app) rightsCommands() []*cobra.Command {
	reviews := a.group("review", "Look over the rights of staff",
		`A review asks about each right of each member of staff. It opens and closes by the clock;
nobody decides on their own rights, and what nobody decides on gets the policy's answer.`,
		"  writ user review list\n  writ user review show 06ab…", a.reviewList(), a.reviewShow(), a.reviewOpen(), a.reviewDecide(), a.reviewClose())
	return []*cobra.Command{a.userGrant(), a.userGrants(), a.userAgree(), a.userRevoke(), a.userOver(), a.userUnused(), reviews}
}

// query makes a call, prints its JSON where that was asked for, else hands it on.
func (a *app) query(ctx context.Context, method, path string, in any, show func(raw json.RawMessage) error) error {
	conn, err := a.open(ctx)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	switch method {
	case http.MethodGet:
		err = conn.get(ctx, path, &raw)
	default:
		err = conn.call(ctx, method, path, in, &raw)
	}
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(raw)
	}
	return show(raw)
}

func (a *app) userGrant() *cobra.Command {
	var in struct {
		Person string `json:"person"`
		Role   string `json:"role"`
		For    string `json:"for"`
		Need   string `json:"need"`
		Reason string `json:"reason"`
	}
	c := &cobra.Command{
		Use: "grant PERSON --role ROLE --reason TEXT", Short: "Lend somebody a role for a while",
		Long: `Lends a member of staff a role. It counts from their next request on and ends by itself:
after --for, for the moment at most as long as the policy says, or longer with --need, when
that ticket, project or role is over (writ user over). Some roles need a second person
(writ user agree). Whoever names themselves asks for a role; it counts when others agree.`,
		Example: "  writ user grant person/dana --role engineer --for 2h --reason \"incident 12\"\n  writ user grant dana@example.com --role auditor --for 480h --need project/audit --reason \"collects evidence\"",
		Args:    cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			in.Person = args[0]
			return a.query(c.Context(), http.MethodPost, "grants", in, func(raw json.RawMessage) error {
				var g loan
				if err := decode(raw, &g); err != nil {
					return err
				}
				if g.State == "waits" {
					a.say("Asked. It counts when somebody else agrees: writ user agree %s", visible(g.ID))
					return nil
				}
				a.say("person/%s has the role %s until %s. To end it: writ user revoke %s", visible(g.Handle), visible(g.Role), a.date(g.Until), visible(g.ID))
				return nil
			})
		}),
	}
	c.Flags().StringVar(&in.Role, "role", "", "the role")
	c.Flags().StringVar(&in.For, "for", "2h", "how long, such as 90m or 8h")
	c.Flags().StringVar(&in.Need, "need", "", "what it ends with: ticket/NAME, project/NAME or role/NAME")
	c.Flags().StringVar(&in.Reason, "reason", "", "why; it stays in the record")
	_ = c.MarkFlagRequired("role") // the flags are there
	_ = c.MarkFlagRequired("reason")
	return c
}

func (a *app) userGrants() *cobra.Command {
	var ended bool
	c := &cobra.Command{
		Use: "grants", Short: "List the roles that are lent", Long: "Lists the roles that are lent or wait for a second person, the newest first.",
		Example: "  writ user grants\n  writ user grants --ended --format json", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			path := "grants"
			if ended {
				path += "?ended=true"
			}
			return a.query(c.Context(), http.MethodGet, path, nil, func(raw json.RawMessage) error {
				var out struct {
					Grants []loan `json:"grants"`
				}
				if err := decode(raw, &out); err != nil {
					return err
				}
				if len(out.Grants) == 0 {
					a.say("Nothing is lent.")
					return nil
				}
				t := newTable(a.out, "GRANT", "PERSON", "ROLE", "FOR", "STATE", "UNTIL", "WHY")
				for _, g := range out.Grants {
					state := g.State
					if g.Cause != "" {
						state += ", " + g.Cause
					}
					t.row(g.ID, g.Handle, g.Role, or(g.Need, "the moment"), state, a.date(g.Until), g.Reason)
				}
				return t.flush()
			})
		}),
	}
	c.Flags().BoolVar(&ended, "ended", false, "also those that ended")
	return c
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// one is a command about one thing named by its id.
func (a *app) one(use, short, long, example, method, path, says string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			out, in := any(&raw), any(struct{}{})
			if method == http.MethodDelete {
				out, in = nil, nil
			}
			if err := conn.call(c.Context(), method, fmt.Sprintf(path, url.PathEscape(args[0])), in, out); err != nil {
				return err
			}
			return a.done(says, raw)
		})}
}

func (a *app) userAgree() *cobra.Command {
	return a.one("agree GRANT", "Agree, as the second person, that a role is lent",
		"Makes a role count that waits: you neither lent it nor get it. The operator cannot; use --as.", "  writ user agree 06ab…",
		http.MethodPost, "grants/%s/approve", "Agreed. Unless it waits for one more person, the role counts from the next request on.")
}

func (a *app) userRevoke() *cobra.Command {
	return a.one("revoke GRANT", "Take a lent role back", "Ends a lent role at once, whatever time it had left. Its holder may give it back in the same way.", "  writ user revoke 06ab…",
		http.MethodDelete, "grants/%s", "Taken back. The role counts no more.")
}

func (a *app) userOver() *cobra.Command {
	return &cobra.Command{
		Use: "over NEED", Short: "Say that a ticket or project is over", Long: "Ends all roles that were lent for a ticket or project, at once. Nothing can be lent for it again.",
		Example: "  writ user over ticket/OPS-7", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.query(c.Context(), http.MethodPost, "needs/end", map[string]string{"need": args[0]}, func(raw json.RawMessage) error {
				var out struct{ Ended int }
				if err := decode(raw, &out); err != nil {
					return err
				}
				a.say("%s is over. Ended: %s.", visible(args[0]), count(out.Ended, "lent role", "lent roles"))
				return nil
			})
		}),
	}
}

func (a *app) userUnused() *cobra.Command {
	return &cobra.Command{
		Use: "unused", Short: "List rights that nobody uses", Long: "Lists roles of staff of which nothing was needed for as long as the policy says. They are put up for removal in a review.",
		Example: "  writ user unused", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.query(c.Context(), http.MethodGet, "rights?unused=true", nil, func(raw json.RawMessage) error {
				var out struct {
					Rights []struct {
						Handle, Role string
						Since, Used  time.Time
						Proposed     bool
					}
				}
				if err := decode(raw, &out); err != nil {
					return err
				}
				if len(out.Rights) == 0 {
					a.say("Every role was used, or is held for a short time only.")
					return nil
				}
				t := newTable(a.out, "PERSON", "ROLE", "SINCE", "LAST USED", "PUT UP FOR REMOVAL")
				for _, r := range out.Rights {
					t.row(r.Handle, r.Role, a.date(r.Since), a.date(r.Used), map[bool]string{true: "yes", false: "not yet"}[r.Proposed])
				}
				return t.flush()
			})
		}),
	}
}

func (a *app) reviewList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the reviews", Long: "Lists reviews of rights, the newest first.", Example: "  writ user review list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.query(c.Context(), http.MethodGet, "reviews", nil, func(raw json.RawMessage) error {
				var out struct {
					Reviews []review `json:"reviews"`
				}
				if err := decode(raw, &out); err != nil {
					return err
				}
				if len(out.Reviews) == 0 {
					a.say("No review yet.")
					return nil
				}
				t := newTable(a.out, "REVIEW", "OF", "OPENED", "CLOSES", "CLOSED", "DECIDED")
				for _, r := range out.Reviews {
					t.row(r.ID, r.Kind, a.date(r.Opened), a.date(r.Due), a.date(r.Closed), fmt.Sprintf("%d of %d", r.Decided, r.Items))
				}
				return t.flush()
			})
		}),
	}
}

func (a *app) reviewShow() *cobra.Command {
	return &cobra.Command{
		Use: "show REVIEW", Short: "Show what a review asks", Long: "Shows the rights of a review and what was decided on each.", Example: "  writ user review show 06ab…", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.query(c.Context(), http.MethodGet, "reviews/"+url.PathEscape(args[0]), nil, func(raw json.RawMessage) error {
				items, err := itemsOf(raw)
				if err != nil {
					return err
				}
				t := newTable(a.out, "RIGHT", "NOTE", "DECISION", "OUTCOME", "REASON")
				for _, i := range items {
					note := i.Why
					if i.Kind == "grant" {
						note = "lent"
					}
					t.row(i.Handle+":"+i.Role, note, or(i.Decision, "-"), or(i.Outcome, "-"), i.Reason)
				}
				return t.flush()
			})
		}),
	}
}

func itemsOf(raw json.RawMessage) ([]reviewItem, error) {
	var out struct {
		Items []reviewItem `json:"items"`
	}
	err := decode(raw, &out)
	return out.Items, err
}

func (a *app) reviewOpen() *cobra.Command {
	return &cobra.Command{
		Use: "open", Short: "Open a review of all rights of staff now", Long: "Opens a review of all rights of staff. The clock opens the next one in any case.", Example: "  writ user review open", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.query(c.Context(), http.MethodPost, "reviews", struct{}{}, func(raw json.RawMessage) error {
				var r review
				if err := decode(raw, &r); err != nil {
					return err
				}
				a.say("Opened: %s, %s. It closes by itself at %s.", visible(r.ID), count(r.Items, "right", "rights"), a.date(r.Due))
				return nil
			})
		}),
	}
}

func (a *app) reviewDecide() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "decide REVIEW RIGHT keep|revoke --reason TEXT", Short: "Keep or revoke a right of somebody else",
		Long: `Decides on one right of a review. A right is written as PERSON:ROLE, such as dana:engineer.
Nobody decides on their own, and the operator decides on none: use --as.`,
		Example: "  writ user review decide 06ab… dana:engineer keep --reason \"on call\"", Args: cobra.ExactArgs(3),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			at := "reviews/" + url.PathEscape(args[0])
			var raw json.RawMessage
			if err := conn.get(c.Context(), at, &raw); err != nil {
				return err
			}
			items, err := itemsOf(raw)
			if err != nil {
				return err
			}
			id, err := pickItem(items, args[1])
			if err != nil {
				return err
			}
			if err := conn.post(c.Context(), at+"/items/"+url.PathEscape(id), map[string]string{"decision": args[2], "reason": reason}, &raw); err != nil {
				return err
			}
			return a.done("Recorded.", raw)
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it stays in the record")
	_ = c.MarkFlagRequired("reason") // the flag is there
	return c
}

// pickItem finds a right by its id or as PERSON:ROLE; where a role is both held and lent,
// only the id says which.
func pickItem(items []reviewItem, name string) (string, error) {
	var found []string
	for _, i := range items {
		if i.ID == name || i.Handle+":"+i.Role == strings.TrimPrefix(name, "person/") {
			found = append(found, i.ID)
		}
	}
	switch len(found) {
	case 0:
		return "", errors.New("the review asks about no right " + name + "; writ user review show lists them")
	case 1:
		return found[0], nil
	}
	return "", errors.New("the review asks about several rights " + name + "; name one by its id: " + strings.Join(found, ", "))
}

func (a *app) reviewClose() *cobra.Command {
	return a.one("close REVIEW", "Close a review in which all is decided", "Closes a review. While something is undecided it stays open until its end.", "  writ user review close 06ab…",
		http.MethodPost, "reviews/%s/close", "Closed.")
}
