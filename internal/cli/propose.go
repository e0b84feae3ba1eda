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

// proposal is a revision with what its owners need to judge it.
type proposal struct {
	revision
	Changes  string             `json:"changes"`
	Diff     document.Diff      `json:"diff"`
	Warnings []document.Problem `json:"warnings"`
	ToSign   []toSign           `json:"to_sign"`
	Forecast *forecast          `json:"forecast"`
}

type toSign struct {
	Approver string `json:"approver"`
	Kind     string `json:"kind"`
	Text     string `json:"text"`
	Signed   bool   `json:"signed"`
	HasKey   bool   `json:"has_key"`
}

func (a *app) policyPropose() *cobra.Command {
	var template, dry bool
	var summary, version, effective, author string
	c := &cobra.Command{
		Use: "propose [FILE]", Short: "Propose a revision for the owners to sign",
		Long: `Sends a policy file, or with --template what the shipped template has and the policy lacks.
The server refuses a file with problems, one that its modules could not obey, and one that
could never gather its signatures. Nothing changes until the owners have signed.

It says what the revision would do to the people, sessions, tokens and links that are there,
from counts alone. With --dry-run it says so and stores nothing; the exit status is 1 when
part of it could not be counted.`,
		Example: "  writ policy propose policy.yaml --dry-run\n  writ policy propose policy.yaml --summary \"Reset links live for an hour\"\n  writ policy propose --template --summary \"Clauses of the new version\"",
		Args:    cobra.MaximumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			in := map[string]any{"summary": summary}
			switch {
			case template == (len(args) == 1):
				return &usageError{errors.New("give a FILE or --template, one of them")}
			case template:
				in["template"] = true
			default:
				b, err := a.readFile(args[0], maxPolicyFile)
				if err != nil {
					return err
				}
				in["yaml"] = string(b)
			}
			if dry {
				delete(in, "summary")
				return a.dryRun(c.Context(), in)
			}
			if summary == "" {
				return &usageError{errors.New(`required flag is missing: "summary"; only --dry-run does without`)}
			}
			if effective != "" {
				t, err := parseTime(effective)
				if err != nil {
					return &usageError{fmt.Errorf("--effective: %w", err)}
				}
				in["effective"] = t
			}
			for name, v := range map[string]string{"version": version, "author": author} {
				if v != "" {
					in[name] = v
				}
			}
			return a.propose(c.Context(), in)
		}),
	}
	f := c.Flags()
	f.BoolVar(&template, "template", false, "propose what the shipped template has and the policy lacks")
	f.StringVar(&summary, "summary", "", "what changes and why, one line")
	f.StringVar(&version, "version", "", "version of the revision (default: the next minor one)")
	f.StringVar(&effective, "effective", "", "when it takes hold (default: as soon as it is signed)")
	f.StringVar(&author, "author", "", "who wrote it, when you are the operator: person/…")
	f.BoolVar(&dry, "dry-run", false, "say what it would change and do, and store nothing")
	return c
}

// parseTime reads a moment as the server does; a date is its first moment in UTC.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time, expected 2026-03-01T10:00Z or 2026-03-01", s)
}

func (a *app) propose(ctx context.Context, in map[string]any) error {
	conn, err := a.open(ctx)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := conn.post(ctx, "policy/proposals", in, &raw); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(raw)
	}
	var p proposal
	if err := decode(raw, &p); err != nil {
		return err
	}
	a.printDiff(p.Diff)
	if p.Forecast != nil {
		a.printForecast(p.Forecast)
	}
	if n := len(p.Warnings); n > 0 {
		a.say("An owner should look at %s: writ policy lint --server", count(n, "warning", "warnings"))
	}
	a.say("Revision %s is proposed. It needs %s:", visible(p.Version), count(p.Needs, "owner", "owners"))
	for _, s := range p.ToSign {
		note := ""
		if !s.HasKey {
			note = " (no key registered yet)"
		}
		a.say("  %s as %s%s", visible(s.Approver), visible(s.Kind), note)
	}
	a.say("Each signs with: writ policy approve %s --key FILE", visible(p.Version))
	return nil
}

func (a *app) policyApprove() *cobra.Command {
	var key string
	c := &cobra.Command{
		Use: "approve [VERSION] --key FILE", Short: "Sign a revision with your key",
		Long: `Fetches the revision, checks that its body has the hash that is signed, says what it changes,
signs with the private key in FILE (OpenSSH, Ed25519) and sends the signature. The key never
leaves this machine. Who may sign follows from the key: an owner of the revision before, or
the author, whose signature never counts. A new key is registered on the way when you sign
in with --as. Without VERSION it is the one revision that waits for signatures.

Without this program: ssh-keygen -Y sign -f KEY -n writ-policy TEXT (writ policy approve --text
prints TEXT), then writ policy approve VERSION --signature FILE.`,
		Example: `  writ policy approve 1.1 --key ~/.ssh/id_ed25519
  writ policy approve --as ana@example.com --key ~/.ssh/id_ed25519
  writ policy approve 1.1 --text person/ana > text && ssh-keygen -Y sign -f ~/.ssh/id_ed25519 -n writ-policy text
  writ policy approve 1.1 --signature text.sig`,
		Args: cobra.MaximumNArgs(1),
	}
	var text, sigFile string
	c.Flags().StringVar(&key, "key", "", "private key file that signs")
	c.Flags().StringVar(&text, "text", "", "print the text that this person signs, and do no more")
	c.Flags().StringVar(&sigFile, "signature", "", "send this signature, made with ssh-keygen -Y sign")
	c.MarkFlagsOneRequired("key", "text", "signature")
	c.MarkFlagsMutuallyExclusive("key", "text", "signature")
	c.RunE = run(func(c *cobra.Command, args []string) error {
		conn, err := a.open(c.Context())
		if err != nil {
			return err
		}
		ref, err := a.awaited(c.Context(), conn, args)
		if err != nil {
			return err
		}
		switch {
		case text != "":
			return a.printText(c.Context(), conn, ref, text)
		case sigFile != "":
			b, err := a.readFile(sigFile, 8<<10)
			if err != nil {
				return err
			}
			return a.sendApproval(c.Context(), conn, ref, string(b), "")
		}
		return a.approve(c.Context(), conn, ref, key)
	})
	return c
}

// awaited is the revision to sign: the one that was named, else the only one that waits.
func (a *app) awaited(ctx context.Context, conn *client, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	var open struct {
		Proposals []revision `json:"proposals"`
	}
	if err := conn.get(ctx, "policy/proposals", &open); err != nil {
		return "", err
	}
	var waiting []string
	for _, r := range open.Proposals {
		if r.open() {
			waiting = append(waiting, r.Version)
		}
	}
	if len(waiting) == 0 {
		var l law
		if err := conn.get(ctx, "policy", &l); err != nil {
			return "", err
		}
		if l.Revision.signed() < l.Revision.Needs {
			waiting = append(waiting, l.Revision.Version)
		}
	}
	switch len(waiting) {
	case 0:
		return "", errors.New("no revision waits for a signature. See: writ policy log")
	case 1:
		return waiting[0], nil
	}
	return "", &usageError{fmt.Errorf("several revisions wait for signatures: %s; name one", strings.Join(waiting, ", "))}
}

func proposalPath(ref string, act ...string) string {
	return strings.Join(append([]string{"policy/proposals", url.PathEscape(ref)}, act...), "/")
}

func (a *app) printText(ctx context.Context, conn *client, ref, handle string) error {
	var p proposal
	if err := conn.get(ctx, proposalPath(ref), &p); err != nil {
		return err
	}
	s, err := p.textFor(handle)
	if err != nil {
		return err
	}
	fmt.Fprint(a.out, s.Text)
	return nil
}

func (p *proposal) textFor(handle string) (toSign, error) {
	var who []string
	for _, s := range p.ToSign {
		if s.Approver == handle {
			return s, nil
		}
		who = append(who, s.Approver)
	}
	return toSign{}, fmt.Errorf("%s does not sign revision %s. Those who do: %s", handle, p.Version, strings.Join(who, ", "))
}

func (a *app) approve(ctx context.Context, conn *client, ref, keyFile string) error {
	s, err := a.signer(keyFile)
	if err != nil {
		return err
	}
	handle, err := a.handleOf(ctx, conn, s)
	if err != nil {
		return err
	}
	var p proposal
	if err := conn.get(ctx, proposalPath(ref), &p); err != nil {
		return err
	}
	want, err := p.textFor(handle)
	if err != nil {
		return err
	}
	if err := a.showSigned(ctx, conn, &p); err != nil {
		return err
	}
	sig, err := signature(s, want.Text, "writ/approval/v1", map[string]string{
		"policy": p.Policy, "version": p.Version, "body": p.BodySHA256, "approver": handle, "kind": want.Kind})
	if err != nil {
		return err
	}
	return a.sendApproval(ctx, conn, p.ID, sig, handle)
}

// showSigned says what the signature is for. The difference is computed here from the
// very body whose hash is signed, not taken from the server.
func (a *app) showSigned(ctx context.Context, conn *client, p *proposal) error { // clause: gov.signed-dated
	_, body, err := revisionBody(ctx, conn, p.ID)
	if err != nil {
		return err
	}
	if got := fmt.Sprintf("%x", body.BodyHash()); got != p.BodySHA256 {
		return fmt.Errorf("the body of revision %s has the hash %s, its proposal says %s. It was not signed", p.Version, got, p.BodySHA256)
	}
	now, base, err := revisionBody(ctx, conn, "")
	if err != nil {
		return err
	}
	if a.json() {
		return nil
	}
	if now.Revision.ID == p.ID {
		a.say("Revision %s: %s, %s, in force and unsigned so far.", visible(p.Version), visible(body.Title), count(body.Len(), "clause", "clauses"))
		return nil
	}
	a.say("Revision %s against %s in force:", visible(p.Version), visible(now.Revision.Version))
	a.printDiff(document.Compare(base, body))
	return nil
}

func (a *app) sendApproval(ctx context.Context, conn *client, ref, sig, handle string) error {
	var raw json.RawMessage
	if err := conn.post(ctx, proposalPath(ref, "approve"), map[string]string{"signature": sig}, &raw); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(raw)
	}
	var p proposal
	if err := decode(raw, &p); err != nil {
		return err
	}
	if handle != "" {
		a.say("Signed as %s.", visible(handle))
	}
	a.printState(&p.revision)
	return nil
}

func (a *app) policyReject() *cobra.Command {
	return a.closing("reject", "Say no to a proposal, as an owner",
		"Closes a proposal with a reason that everybody can read. Only an owner of the revision before can: sign in with --as.",
		"  writ policy reject 1.1 --as ana@example.com --reason \"an hour is too short for support\"", true)
}

func (a *app) policyWithdraw() *cobra.Command {
	return a.closing("withdraw", "Take back a proposal of your own",
		"Closes a proposal of your own; the operator may close any.", "  writ policy withdraw 1.1", false)
}

func (a *app) closing(act, short, long, example string, needReason bool) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: act + " VERSION", Short: short, Long: long, Example: example, Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), proposalPath(args[0], act), map[string]string{"reason": reason}, &raw); err != nil {
				return err
			}
			var r revision
			if err := decode(raw, &r); err != nil {
				return err
			}
			return a.done("Revision "+visible(r.Version)+" is "+visible(r.State)+".", raw)
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	if needReason {
		_ = c.MarkFlagRequired("reason") // the flag is there
	}
	return c
}
