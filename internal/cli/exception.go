package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"writ/internal/policy/document"
)

// exception is a deviation of one parameter, on the wire.
type exception struct {
	ID        string    `json:"id"`
	Param     string    `json:"param"`
	Value     string    `json:"value"`
	Reason    string    `json:"reason"`
	State     string    `json:"state"`
	Requester string    `json:"requester"`
	Until     time.Time `json:"until"`
	Approver  string    `json:"approver"`
	Level     string    `json:"level"`
	ToSign    []toSign  `json:"to_sign"`
}

func (a *app) exceptionCommand() *cobra.Command {
	return a.group("exception", "Deviate from one value for a time that ends by itself",
		"An exception gives one parameter another value until a date. Somebody asks, an owner who is somebody else signs.",
		"  writ exception request auth.reset-link-lifetime/ttl 48h --until 2026-03-01 --reason \"mail is slow during the move\"\n  writ exception approve ID --key ~/.ssh/id_ed25519\n  writ exception list",
		a.exceptionRequest(), a.exceptionApprove(), a.exceptionRevoke(), a.exceptionList())
}

func (a *app) exceptionRequest() *cobra.Command {
	var until, reason, requester string
	c := &cobra.Command{
		Use: "request CLAUSE/PARAM VALUE", Short: "Ask for an exception",
		Long: `Asks for another value of one parameter until a date. It holds when an owner has signed it,
and ends by itself. --until is a date, a time, or a span such as 14d.`,
		Example: "  writ exception request auth.reset-link-lifetime/ttl 48h --until 14d --reason \"mail is slow during the move\"", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			end, err := parseTime(until)
			if err != nil {
				d, derr := document.ParseDuration(until)
				if derr != nil {
					return &usageError{fmt.Errorf("--until: %w, or a span such as 14d", err)}
				}
				end = a.now().Add(d).UTC().Truncate(time.Second)
			}
			in := map[string]any{"param": args[0], "value": args[1], "reason": reason, "until": end}
			if requester != "" {
				in["requester"] = requester
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "exceptions", in, &raw); err != nil {
				return err
			}
			var e exception
			if err := decode(raw, &e); err != nil {
				return err
			}
			return a.done(fmt.Sprintf("Exception %s is requested: %s would be %s until %s. An owner signs with: writ exception approve %s --key FILE",
				visible(e.ID), visible(e.Param), visible(e.Value), a.date(e.Until), visible(e.ID)), raw)
		}),
	}
	f := c.Flags()
	f.StringVar(&until, "until", "", "its end: a date, a time, or a span such as 14d")
	f.StringVar(&reason, "reason", "", "why, and what is done about it; staff can read it")
	f.StringVar(&requester, "requester", "", "who asks, when you are the operator: person/…")
	_ = c.MarkFlagRequired("until")  // the flag is there
	_ = c.MarkFlagRequired("reason") // as above
	return c
}

func listExceptions(ctx context.Context, conn *client) ([]exception, json.RawMessage, error) {
	var raw json.RawMessage
	if err := conn.get(ctx, "exceptions", &raw); err != nil {
		return nil, nil, err
	}
	var out struct {
		Exceptions []exception `json:"exceptions"`
	}
	err := decode(raw, &out)
	return out.Exceptions, raw, err
}

func (a *app) exceptionList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List exceptions, asked for, in force and over", Long: "Lists what people let pass in incidents, newest first, and all exceptions, oldest first.", Example: "  writ exception list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			all, raw, err := listExceptions(c.Context(), conn)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			waived, err := waivedIn(raw)
			if err != nil {
				return err
			}
			if len(all)+len(waived) == 0 {
				a.say("There are no exceptions.")
				return nil
			}
			if err := a.listWaived(waived); err != nil || len(all) == 0 {
				return err
			}
			t := newTable(a.out, "EXCEPTION", "STATE", "PARAMETER", "VALUE", "", "UNTIL", "ASKED", "SIGNED", "REASON")
			for _, e := range all {
				t.row(e.ID, e.State, e.Param, e.Value, e.Level, a.date(e.Until), e.Requester, e.Approver, e.Reason)
			}
			return t.flush()
		}),
	}
}

// waived is what people let pass in an incident.
type waived struct {
	Clause, What, Reason, Requester, Approver string
	Ends                                      time.Time
	Live                                      bool
}

func waivedIn(raw json.RawMessage) ([]waived, error) {
	var out struct{ Waived []waived }
	err := decode(raw, &out)
	return out.Waived, err
}

func (a *app) listWaived(all []waived) error {
	if len(all) == 0 {
		return nil
	}
	t := newTable(a.out, "IN AN INCIDENT", "STATE", "CLAUSE", "UNTIL", "ASKED", "AGREED", "REASON")
	for _, w := range all {
		state, agreed := "over", w.Approver
		if w.Live {
			state = "holds"
		}
		if agreed == "" {
			agreed = "nobody"
		}
		t.row(w.What, state, w.Clause, a.date(w.Ends), w.Requester, agreed, w.Reason)
	}
	return t.flush()
}

func (a *app) exceptionApprove() *cobra.Command {
	var key string
	c := &cobra.Command{
		Use: "approve ID --key FILE", Short: "Sign an exception as an owner",
		Long:    "Signs the exception with the private key in FILE, which stays here. Whoever asked for it cannot sign it. It holds at once.",
		Example: "  writ exception approve 06f9… --key ~/.ssh/id_ed25519", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error { return a.approveException(c.Context(), args[0], key) }),
	}
	c.Flags().StringVar(&key, "key", "", "private key file that signs")
	_ = c.MarkFlagRequired("key") // the flag is there
	return c
}

func (a *app) approveException(ctx context.Context, id, keyFile string) error {
	s, err := a.signer(keyFile)
	if err != nil {
		return err
	}
	conn, err := a.open(ctx)
	if err != nil {
		return err
	}
	handle, err := a.handleOf(ctx, conn, s)
	if err != nil {
		return err
	}
	all, _, err := listExceptions(ctx, conn)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.ID != id {
			continue
		}
		for _, t := range e.ToSign {
			if t.Approver != handle {
				continue
			}
			a.say("%s is %s until %s, asked by %s: %s", visible(e.Param), visible(e.Value), a.date(e.Until), visible(e.Requester), visible(e.Reason))
			sig, err := signature(s, t.Text, "writ/exception/v1", map[string]string{"exception": id, "param": e.Param, "value": e.Value,
				"reason": e.Reason, "requester": e.Requester, "until": e.Until.UTC().Format(time.RFC3339), "approver": handle})
			if err != nil {
				return err
			}
			return a.sendException(ctx, conn, id, "approve", map[string]string{"signature": sig})
		}
		if e.State != "requested" {
			return fmt.Errorf("the exception is %s already", e.State)
		}
		return fmt.Errorf("%s does not sign this exception: an owner does who did not ask for it", handle)
	}
	return fmt.Errorf("there is no exception %q. See: writ exception list", id)
}

func (a *app) sendException(ctx context.Context, conn *client, id, act string, in map[string]string) error {
	var raw json.RawMessage
	if err := conn.post(ctx, "exceptions/"+url.PathEscape(id)+"/"+act, in, &raw); err != nil {
		return err
	}
	var e exception
	if err := decode(raw, &e); err != nil {
		return err
	}
	return a.done("The exception for "+visible(e.Param)+" is "+visible(e.State)+".", raw)
}

func (a *app) exceptionRevoke() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "revoke ID", Short: "End an exception now, or close a request", Long: "The value of the policy holds again at once.",
		Example: "  writ exception revoke 06f9… --reason \"mail is fast again\"", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			return a.sendException(c.Context(), conn, args[0], "revoke", map[string]string{"reason": reason})
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	return c
}

func (a *app) attestCommand() *cobra.Command {
	var key, statement, observed, validFor string
	c := &cobra.Command{
		Use: "attest CLAUSE --statement TEXT --key FILE", Short: "Sign a dated statement about a clause",
		Long: `Signs that something was seen or done, for a clause that people carry. The record expires as
the policy says, is never edited, and everybody of the staff can read it. --statement - reads
it from the standard input. The private key in FILE stays here.`,
		Example: "  writ attest rec.drill --statement \"Restored the backup of 1 March in 40 minutes\" --key ~/.ssh/id_ed25519\n  writ attest host.links-live --observed 2026-03-01 --valid-for 90d --statement - --key ~/.ssh/id_ed25519 < note.txt",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: a.completeClause,
		RunE: run(func(c *cobra.Command, args []string) error {
			v := url.Values{"clause": {args[0]}, "statement": {statement}}
			if statement == "-" {
				b, err := readAll(a.in, "the standard input", 16<<10)
				if err != nil {
					return err
				}
				v.Set("statement", strings.TrimSpace(string(b)))
			}
			if strings.TrimSpace(v.Get("statement")) == "" {
				return &usageError{errors.New("the statement is empty")}
			}
			if observed != "" {
				if _, err := parseTime(observed); err != nil {
					return &usageError{fmt.Errorf("--observed: %w", err)}
				}
				v.Set("observed_at", observed)
			}
			if validFor != "" {
				if _, err := document.ParseDuration(validFor); err != nil {
					return &usageError{fmt.Errorf("--valid-for: %w", err)}
				}
				v.Set("valid_for", validFor)
			}
			return a.attest(c.Context(), v, key)
		}),
	}
	f := c.Flags()
	f.StringVar(&statement, "statement", "", "what was seen or done, at most 2,000 characters; - reads it")
	f.StringVar(&key, "key", "", "private key file that signs")
	f.StringVar(&observed, "observed", "", "when it was so (default: now)")
	f.StringVar(&validFor, "valid-for", "", "how long it counts, such as 90d (default: as long as the policy lets it)")
	_ = c.MarkFlagRequired("statement") // the flag is there
	_ = c.MarkFlagRequired("key")       // as above
	return c
}

func (a *app) attest(ctx context.Context, v url.Values, keyFile string) error {
	s, err := a.signer(keyFile)
	if err != nil {
		return err
	}
	conn, err := a.open(ctx)
	if err != nil {
		return err
	}
	handle, err := a.handleOf(ctx, conn, s)
	if err != nil {
		return err
	}
	v.Set("signer", handle)
	var ask struct {
		Text     string    `json:"text"`
		Observed time.Time `json:"observed_at"`
		ValidFor string    `json:"valid_for"`
	}
	if err := conn.get(ctx, "records?"+v.Encode(), &ask); err != nil {
		return err
	}
	says := map[string]string{"clause": v.Get("clause"), "statement": strings.TrimSpace(v.Get("statement")),
		"observed_at": ask.Observed.UTC().Format(time.RFC3339), "signer": handle}
	if d, err := document.ParseDuration(v.Get("valid_for")); err == nil {
		says["valid_until"] = ask.Observed.Add(d).UTC().Format(time.RFC3339)
	}
	sig, err := signature(s, ask.Text, "writ/record/v1", says)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	in := map[string]any{"clause": v.Get("clause"), "statement": v.Get("statement"), "observed_at": ask.Observed, "valid_for": ask.ValidFor, "signature": sig}
	if err := conn.post(ctx, "records", in, &raw); err != nil {
		return err
	}
	var out struct {
		Clause, Signer, Entry string
		ValidUntil            time.Time `json:"valid_until"`
	}
	if err := decode(raw, &out); err != nil {
		return err
	}
	return a.done(fmt.Sprintf("Signed by %s for %s; it counts until %s. Entry %s.", visible(out.Signer), visible(out.Clause), a.date(out.ValidUntil), visible(out.Entry)), raw)
}
