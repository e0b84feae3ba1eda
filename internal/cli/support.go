package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// lookLine is a look on the wire.
type lookLine struct {
	ID       string    `json:"id"`
	By       string    `json:"by"`
	Staff    string    `json:"staff"`
	Person   string    `json:"person"`
	Reason   string    `json:"reason"`
	Ticket   string    `json:"ticket"`
	Began    time.Time `json:"began"`
	Until    time.Time `json:"until"`
	Write    string    `json:"write"`
	AgreedBy string    `json:"agreed_by"`
	Ended    time.Time `json:"ended"`
}

func (a *app) supportCommand() *cobra.Command {
	return a.group("support", "See the application as a customer does, with a reason, and see who did",
		`A look is one customer's view of the application: for a reason, a ticket and a while, read
only unless a second person agrees. The customer is told by mail and reads who looked and
why. Only people look: give --as.`,
		"  writ support look ana@shop.example --reason \"invoice is missing\" --ticket T-12 --for 15m --get /orders --as eva@example.com\n  writ support list\n  writ support end 06ab…",
		a.supportLook(), a.supportAgree(), a.supportEnd(), a.supportList())
}

// lookWish is what a look is asked for with.
type lookWish struct {
	Person string `json:"person"`
	Team   string `json:"team,omitempty"`
	Reason string `json:"reason"`
	Ticket string `json:"ticket"`
	For    string `json:"for"`
}

func (a *app) supportLook() *cobra.Command {
	var in lookWish
	var get []string
	c := &cobra.Command{
		Use: "look PERSON --reason TEXT --ticket TICKET --for TIME --get PATH", Short: "Look at pages of the application as one customer, and end the look",
		Long: `Begins a look as the customer, prints what the application answers under each --get, and
ends the look. PERSON is an address, handle or id. --for is how long it may last at most,
within what the policy allows. Nothing but GET is sent. For more than a few pages use a
browser: /-/support.`,
		Example: "  writ support look ana@shop.example --reason \"invoice is missing\" --ticket T-12 --for 15m --get /orders --get /orders/7 --as eva@example.com",
		Args:    cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			if a.as == "" {
				return &usageError{errors.New("only people look as a customer: give --as ADDRESS")}
			}
			for _, p := range get {
				if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.HasPrefix(p, "/-/") {
					return &usageError{fmt.Errorf("--get %q is no path of the application, such as /orders", p)}
				}
			}
			in.Person = args[0]
			return a.look(c.Context(), in, get)
		}),
	}
	f := c.Flags()
	f.StringVar(&in.Reason, "reason", "", "why you need to look; the customer reads it")
	f.StringVar(&in.Ticket, "ticket", "", "the ticket it is for")
	f.StringVar(&in.For, "for", "", "how long it may last at most, such as 15m")
	f.StringVar(&in.Team, "team", "", "which of their teams; the first where it is not said")
	f.StringArrayVar(&get, "get", nil, "a path of the application to show; may be repeated")
	for _, name := range []string{"reason", "ticket", "for", "get"} {
		_ = c.MarkFlagRequired(name) // the flags are there
	}
	return c
}

// seen is what the application answered.
type seen struct {
	Path   string `json:"path"`
	Status int    `json:"status"`
	Body   string `json:"body"`
}

func (a *app) look(ctx context.Context, in lookWish, get []string) (err error) {
	conn, err := a.open(ctx)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := conn.post(ctx, "support", in, &raw); err != nil {
		return err
	}
	var l lookLine
	if err := decode(raw, &l); err != nil {
		return err
	}
	defer func() { // whatever happened meanwhile; a look that nobody ends runs out by itself
		ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, conn.call(ended, http.MethodDelete, "support/"+url.PathEscape(l.ID), nil, nil))
	}()
	var pages []seen
	for _, p := range get {
		s, err := conn.page(ctx, p)
		if err != nil {
			return err
		}
		if pages = append(pages, s); !a.json() {
			a.say("%s: %d\n%s", visible(s.Path), s.Status, visible(s.Body))
		}
	}
	if a.json() {
		return a.encode(map[string]any{"look": raw, "pages": pages})
	}
	a.say("You looked as %s for ticket %s. The look %s has ended; the customer was told.", visible(in.Person), visible(l.Ticket), visible(l.ID))
	return nil
}

// page reads one page of the application.
func (c *client) page(ctx context.Context, path string) (seen, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return seen{}, &usageError{fmt.Errorf("%q is no path: %w", path, err)}
	}
	r.Header.Set("User-Agent", "writ")
	resp, err := c.http.Do(r)
	if err != nil {
		return seen{}, c.away(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return seen{}, c.away(err)
	}
	return seen{path, resp.StatusCode, string(b)}, nil
}

func (a *app) supportAgree() *cobra.Command {
	return a.call("agree LOOK", "Agree that somebody else's look may change things", "Lets a look that goes on and asks for it change things as the customer. Nobody agrees to their own, and only people do: give --as.",
		"  writ support agree 06ab… --as ana@example.com", 1,
		func(args []string) (string, string, any) {
			return http.MethodPost, "support/" + url.PathEscape(args[0]) + "/agree", struct{}{}
		},
		func([]string) string { return "Agreed: the look may change things until it ends." })
}

func (a *app) supportEnd() *cobra.Command {
	return a.call("end LOOK", "End a look", "Ends somebody's look at once. Only people do: give --as.", "  writ support end 06ab… --as ana@example.com", 1,
		func(args []string) (string, string, any) {
			return http.MethodDelete, "support/" + url.PathEscape(args[0]), nil
		},
		func([]string) string { return "The look has ended." })
}

func (a *app) supportList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List who looked as whom, the newest first", Long: "Lists the looks of all staff: who, as whom, for which ticket, until when, and why.",
		Example: "  writ support list --as ana@example.com\n  writ support list --as ana@example.com --format json", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.query(c.Context(), http.MethodGet, "support", nil, func(raw json.RawMessage) error {
				var out struct {
					Looks []lookLine `json:"looks"`
				}
				if err := decode(raw, &out); err != nil {
					return err
				}
				if len(out.Looks) == 0 {
					a.say("Nobody has looked.")
					return nil
				}
				t := newTable(a.out, "LOOK", "BY", "AS", "TICKET", "BEGAN", "STATE", "CHANGES", "WHY")
				for _, l := range out.Looks {
					state := "goes on until " + l.Until.Local().Format("15:04")
					if !l.Ended.IsZero() {
						state = "ended " + a.when(l.Ended)
					}
					t.row(l.ID, or(l.By, l.Staff), l.Person, l.Ticket, a.when(l.Began), state, l.Write, l.Reason)
				}
				return t.flush()
			})
		}),
	}
}
