package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"writ/internal/policy/document"
)

// revision is a revision on the wire.
type revision struct {
	ID         string     `json:"id"`
	Version    string     `json:"version"`
	State      string     `json:"state"`
	Kind       string     `json:"kind"`
	Policy     string     `json:"policy"`
	BodySHA256 string     `json:"body_sha256"`
	Author     string     `json:"author"`
	Summary    string     `json:"summary"`
	Effective  time.Time  `json:"effective"`
	Needs      int        `json:"needs"`
	Proposed   time.Time  `json:"proposed"`
	HoldsFrom  time.Time  `json:"holds_from"`
	Decided    time.Time  `json:"decided"`
	Reason     string     `json:"reason"`
	Approvals  []approval `json:"approvals"`
}

type approval struct {
	Signer string    `json:"signer"`
	Kind   string    `json:"kind"`
	At     time.Time `json:"at"`
}

// open reports whether the revision still gathers signatures.
func (r *revision) open() bool { return r.State == "proposed" }

// signed counts the signatures that count: those of owners.
func (r *revision) signed() int {
	n := 0
	for _, x := range r.Approvals {
		if x.Kind == "owner" {
			n++
		}
	}
	return n
}

// law is the policy at a time, on the wire.
type law struct {
	At         time.Time         `json:"at"`
	Revision   revision          `json:"revision"`
	Owners     []string          `json:"owners"`
	Author     string            `json:"author"`
	Contact    string            `json:"contact"`
	Title      string            `json:"title"`
	Values     map[string]string `json:"values"`
	Exceptions []exception       `json:"exceptions"`
	Canonical  json.RawMessage   `json:"canonical"`
	YAML       string            `json:"yaml"`
}

func (a *app) policyCommand() *cobra.Command {
	return a.group("policy", "Read, change and sign the policy",
		`The policy is a document whose values the server obeys. A change is a revision: somebody
proposes it, owners sign it, and it is in force without a restart.`,
		`  writ policy show
  writ policy export > policy.yaml
  writ policy propose policy.yaml --summary "Reset links live for an hour"
  writ policy approve 1.1 --key ~/.ssh/id_ed25519`,
		a.policyShow(), a.policyAt(), a.policyLog(), a.policyExport(), a.policyLint(), a.policyDiff(),
		a.policyPropose(), a.policyApprove(), a.policyReject(), a.policyWithdraw(), a.keyCommand())
}

func (a *app) policyShow() *cobra.Command {
	var ref string
	c := &cobra.Command{
		Use: "show [CLAUSE]", Short: "Print the policy as it reads, or one clause with its values",
		Long: `Prints the policy in force with the values that are obeyed now, exceptions included. With a
clause it prints that one with its parameters. Whether it holds is what writ check says.`,
		Example: "  writ policy show\n  writ policy show auth.reset-link-lifetime\n  writ policy show --revision 1.1",
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: a.completeClause,
		RunE: run(func(c *cobra.Command, args []string) error {
			path := "policy"
			if ref != "" {
				path += "?" + url.Values{"revision": {ref}}.Encode()
			}
			return a.showLaw(c.Context(), path, args)
		}),
	}
	c.Flags().StringVar(&ref, "revision", "", "another revision than the one in force, such as 1.1")
	return c
}

func (a *app) policyAt() *cobra.Command {
	return &cobra.Command{
		Use: "at TIME [CLAUSE]", Short: "Print the policy that was in force at a time",
		Long: `Prints what was in force at that moment: revision, owners, values, exceptions. TIME is
2026-03-01T10:00Z, or a date, which is its first moment in UTC.`,
		Example: "  writ policy at 2026-03-01T10:00Z\n  writ policy at 2026-03-01 auth.reset-link-lifetime", Args: cobra.RangeArgs(1, 2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.showLaw(c.Context(), "policy/at?"+url.Values{"time": args[:1]}.Encode(), args[1:])
		}),
	}
}

func (a *app) showLaw(ctx context.Context, path string, clauses []string) error {
	conn, err := a.open(ctx)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := conn.get(ctx, path, &raw); err != nil {
		return err
	}
	var l law
	if err := decode(raw, &l); err != nil {
		return err
	}
	p, err := parseBody(l.Canonical, l.Revision.BodySHA256)
	if err != nil {
		return err
	}
	if len(clauses) > 0 {
		return a.printClause(&l, p, clauses[0])
	}
	if a.json() {
		return a.printJSON(raw)
	}
	a.printLaw(&l, p)
	return nil
}

// sentence is the clause with the values that were obeyed.
func (l *law) sentence(c *document.Clause) string {
	var b strings.Builder
	for _, s := range c.Sentence(nil) {
		if w, ok := l.Values[c.Key(s.Param)]; ok && s.Param != "" {
			s.Text = w
		}
		b.WriteString(s.Text)
	}
	return visible(b.String())
}

func (a *app) printLaw(l *law, p *document.Policy) {
	a.say("%s", visible(p.ID+" "+p.Title))
	a.printState(&l.Revision)
	a.say("Owners %s. Author %s. Contact %s.", visible(strings.Join(l.Owners, ", ")), visible(l.Author), visible(l.Contact))
	a.say("Body %s", visible(l.Revision.BodySHA256))
	for _, s := range p.Sections {
		a.say("\n%s", visible(strings.TrimSpace(s.Number+" "+s.Title)))
		for i := range s.Clauses {
			c := &s.Clauses[i]
			a.say("\n  %s (%s)", visible(c.ID), c.Class)
			for _, line := range wrap(l.sentence(c), 72) {
				a.say("    %s", line)
			}
		}
	}
	if len(l.Exceptions) > 0 {
		a.say("\nExceptions in force")
		for _, e := range l.Exceptions {
			a.say("  %s is %s until %s: %s", visible(e.Param), visible(e.Value), a.date(e.Until), visible(e.Reason))
		}
	}
}

// printState says where a revision stands and who has signed it.
func (a *app) printState(r *revision) {
	line := "Revision " + r.Version + ", " + strings.ReplaceAll(r.State, "-", " ")
	if !r.HoldsFrom.IsZero() {
		line += " since " + a.date(r.HoldsFrom)
		if r.HoldsFrom.After(a.now()) {
			line = strings.Replace(line, "since", "from", 1)
		}
	}
	var who []string
	for _, x := range r.Approvals {
		who = append(who, fmt.Sprintf("%s (%s)", x.Signer, x.Kind))
	}
	if len(who) == 0 {
		line += fmt.Sprintf(". Nobody has signed it; it needs %s.", count(r.Needs, "owner", "owners"))
	} else {
		line += fmt.Sprintf(". Signed by %s; owners %d of %d.", strings.Join(who, ", "), r.signed(), r.Needs)
	}
	a.say("%s", visible(line))
}

func (a *app) printClause(l *law, p *document.Policy, id string) error {
	c, ok := p.Clause(id)
	if !ok {
		return fmt.Errorf("revision %s has no clause %q. See: writ policy show", l.Revision.Version, id)
	}
	if a.json() {
		values := map[string]string{}
		for _, q := range c.Params {
			values[q.Name] = l.Values[c.Key(q.Name)]
		}
		return a.encode(map[string]any{"id": c.ID, "revision": l.Revision.Version, "says": l.sentence(c), "class": c.Class, "by": c.By, "values": values})
	}
	a.say("%s (%s, by %s; revision %s)", visible(c.ID), c.Class, visible(c.By), l.Revision.Version)
	for _, line := range wrap(l.sentence(c), 76) {
		a.say("  %s", line)
	}
	if len(c.Params) > 0 {
		t := newTable(a.out, "PARAMETER", "VALUE", "OBEYED", "RANGE", "STRICTER")
		for _, q := range c.Params {
			t.row(q.Name, q.Literal.String(), l.Values[c.Key(q.Name)], strings.Join(q.Range, " to "), string(q.Stricter))
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if c.Why != "" {
		a.say("Why: %s", visible(c.Why))
	}
	return nil
}

func (a *app) policyLog() *cobra.Command {
	return &cobra.Command{
		Use: "log", Short: "List the revisions, adopted and proposed, newest first",
		Long: "Lists what was adopted, and then what was proposed and is not adopted.", Example: "  writ policy log", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var adopted, proposed struct {
				Revisions []json.RawMessage `json:"revisions"`
				Proposals []json.RawMessage `json:"proposals"`
			}
			if err := conn.get(c.Context(), "policy/log", &adopted); err != nil {
				return err
			}
			if err := conn.get(c.Context(), "policy/proposals", &proposed); err != nil {
				return err
			}
			if a.json() {
				return a.encode(map[string]any{"revisions": adopted.Revisions, "proposals": proposed.Proposals})
			}
			t := newTable(a.out, "VERSION", "STATE", "FROM", "AUTHOR", "SIGNED", "SUMMARY")
			for _, raw := range append(proposed.Proposals, adopted.Revisions...) {
				var r revision
				if err := decode(raw, &r); err != nil {
					return err
				}
				from := r.HoldsFrom
				if from.IsZero() {
					from = r.Effective
				}
				t.row(r.Version, r.State, a.date(from), r.Author, fmt.Sprintf("%d of %d", r.signed(), r.Needs), r.Summary)
			}
			return t.flush()
		}),
	}
}

func (a *app) policyExport() *cobra.Command {
	var ref string
	c := &cobra.Command{
		Use: "export [FILE]", Short: "Write the policy as a file to edit",
		Long: `Writes the revision in force (or --revision) as YAML to the standard output, or to FILE,
which must not be there yet. With --format json it is the canonical body, whose SHA-256 is
what owners sign. Comments of the file it came from are not in it.`,
		Example: "  writ policy export > policy.yaml\n  writ policy export --revision 1.0 old.yaml", Args: cobra.MaximumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			l, p, err := revisionBody(c.Context(), conn, ref)
			if err != nil {
				return err
			}
			text := string(document.Print(p))
			if a.json() {
				text = string(l.Canonical)
			}
			if len(args) == 0 {
				fmt.Fprint(a.out, text)
				return nil
			}
			return saveText(args[0], text)
		}),
	}
	c.Flags().StringVar(&ref, "revision", "", "another revision than the one in force")
	return c
}

// revisionBody reads a revision and makes sure that its body is the one it was signed
// as. ref "" is the one in force.
func revisionBody(ctx context.Context, conn *client, ref string) (*law, *document.Policy, error) {
	path := "policy"
	if ref != "" {
		path += "?" + url.Values{"revision": {ref}}.Encode()
	}
	var l law
	if err := conn.get(ctx, path, &l); err != nil {
		return nil, nil, err
	}
	p, err := parseBody(l.Canonical, l.Revision.BodySHA256)
	return &l, p, err
}

// completeClause offers the clauses of the policy in force.
func (a *app) completeClause(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || a.checkFlags(c) != nil || a.as != "" { // completion never asks for a password
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(c.Context(), 2*time.Second)
	defer cancel()
	conn, err := a.open(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	l, p, err := revisionBody(ctx, conn, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, cl := range p.Each() {
		out = append(out, cobra.CompletionWithDesc(cl.ID, l.sentence(cl)))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
