package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// incidentCase is an incident on the wire.
type incidentCase struct {
	Ref      string    `json:"ref"`
	Title    string    `json:"title"`
	State    string    `json:"state"`
	Kinds    []string  `json:"kinds"`
	Severity int       `json:"severity"`
	Declared time.Time `json:"declared"`
}

// incidentWay is a step that it has, and what keeps it.
type incidentWay struct {
	Event string `json:"event"`
	Says  string `json:"says"`
	Who   string `json:"who"`
	Unmet []struct {
		Guard string `json:"guard"`
		Words string `json:"words"`
		Who   string `json:"who"`
	} `json:"unmet"`
	Due *time.Time `json:"due"`
}

func (a *app) incidentCommand() *cobra.Command {
	return a.group("incident", "Lead an incident from the first signal to its review",
		`An incident goes one way: taken, sorted, worked on with the public told, resolved, reviewed, closed.
No step comes before its predecessors. What keeps a step is said in words, with who can mend it.
docs/incident.md tells it all.`,
		"  writ incident declare \"nobody can sign in\"\n  writ incident status\n  writ incident show I-1",
		a.incidentDeclare(), a.incidentImport(), a.incidentDrill(), a.incidentLoss(), a.incidentList(), a.incidentShow(), a.incidentStatus(), a.incidentFrozen(), a.incidentKind(), a.incidentSeverity(), a.incidentRole(), a.incidentNote(), a.incidentPromise(), a.incidentDraft(), a.incidentUpdate(),
		a.incidentStep(), a.incidentEvent("close", "Close a reviewed incident", "close"), a.incidentEvent("cancel", "Cancel a false alarm", "cancel"), a.incidentEvent("reopen", "Reopen an incident that came back", "reopen"),
		a.incidentFix(), a.incidentReview(), a.incidentApprove(), a.incidentWaive(), a.incidentAlone(), a.incidentTold(), a.incidentPosted(), a.incidentJoin(), a.incidentLink(), a.incidentSplit(), a.incidentAnswer(), a.incidentAttach(), a.incidentBundle(), a.incidentFiles(), a.incidentDone(), a.incidentFollowed(), a.incidentAccount(), a.incidentBreach(), a.incidentClock())
}

// tell posts something about an incident and says what it is then.
func (a *app) tell(c *cobra.Command, ref, what string, in any) error {
	conn, err := a.open(c.Context())
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := conn.post(c.Context(), "incidents/"+url.PathEscape(ref)+"/"+what, in, &raw); err != nil {
		return err
	}
	var x incidentCase
	if err := decode(raw, &x); err != nil {
		return err
	}
	return a.done(fmt.Sprintf("%s is %s.", x.Ref, x.State), raw)
}

func (a *app) incidentDeclare() *cobra.Command {
	var component, since string
	use, short, long, example := "declare TITLE", "Declare an incident", "Declares an incident. Everybody who may act in incidents gets a letter, and one of them must take it in time.",
		"  writ incident declare \"nobody can sign in\" --component Sign-in --since 20m"
	c := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			in := map[string]any{"title": args[0], "component": component}
			if since != "" {
				ago, err := time.ParseDuration(since)
				if err != nil || ago < 0 {
					return &usageError{fmt.Errorf("--since is %q, expected a time such as 20m", since)}
				}
				in["onset"] = a.now().Add(-ago).UTC()
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "incidents", in, &raw); err != nil {
				return err
			}
			var x struct {
				incidentCase
				Near []incidentCase `json:"near"`
			}
			if err := decode(raw, &x); err != nil {
				return err
			}
			says := fmt.Sprintf("%s is declared. Take it: writ incident step %s acknowledge", x.Ref, x.Ref)
			for _, n := range x.Near {
				says += fmt.Sprintf("\nIt may be part of %s, %s: writ incident join %s %s", n.Ref, visible(n.Title), x.Ref, n.Ref)
			}
			return a.done(says, raw)
		})}
	c.Flags().StringVar(&component, "component", "", "which component of the status page it is about")
	c.Flags().StringVar(&since, "since", "", "how long it has been going on, such as 20m")
	return c
}

func (a *app) incidentList() *cobra.Command {
	var open bool
	var signal string
	c := &cobra.Command{Use: "list", Short: "List incidents", Long: "Lists incidents, the newest first.", Example: "  writ incident list --open\n  writ incident list --signal alarm/01JD8Q", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			path := "incidents"
			if open {
				path += "?open=1"
			}
			if signal != "" {
				path = "incidents?signal=" + url.QueryEscape(signal)
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), path, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var x struct{ Incidents []incidentCase }
			if err := decode(raw, &x); err != nil {
				return err
			}
			if len(x.Incidents) == 0 {
				a.say("There is no incident.")
				return nil
			}
			t := newTable(a.out, "INCIDENT", "STATE", "SEVERITY", "KIND", "DECLARED", "TITLE")
			for _, i := range x.Incidents {
				t.row(i.Ref, i.State, strconv.Itoa(i.Severity), strings.Join(i.Kinds, " "), a.when(i.Declared), i.Title)
			}
			return t.flush()
		})}
	c.Flags().StringVar(&signal, "signal", "", "the one that this told of, such as alarm/ID")
	c.Flags().BoolVar(&open, "open", false, "those that need somebody, no others")
	return c
}

func (a *app) incidentShow() *cobra.Command {
	return &cobra.Command{Use: "show INCIDENT", Short: "Show what happens, what is next and who does it", Long: "Shows an incident: where it stands, the next step, who must take it, what keeps it, and its timeline.",
		Example: "  writ incident show I-1", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "incidents/"+url.PathEscape(args[0]), &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var x struct {
				incidentCase
				incidentPassed
				Regions []struct {
					Name, Says string
					Late       bool
				}
				Next    *incidentWay
				Roles   []struct{ Role, Name string }
				Signals []struct{ Signal, Says string }
				Links   []struct{ Kind, Ref, Title, State string }
				Similar []struct {
					Ref, Title, State string
					Why               []string
				}
				Fix struct {
					What, Hash, Author string
					Second             string     `json:"second_review_by"`
					Due                *time.Time `json:"second_review_due"`
				}
				Sent      []struct{ Account, Network, State, URL, Code string } `json:"posts_elsewhere"`
				Rehearsal *rehearsalWire
			}
			if err := decode(raw, &x); err != nil {
				return err
			}
			a.say("%s  %s\nSeverity %d, %s", x.Ref, visible(x.Title), x.Severity, strings.Join(x.Kinds, ", "))
			for _, r := range x.Regions {
				late := ""
				if r.Late {
					late = " LATE."
				}
				a.say("%s: %s%s", r.Name, r.Says, late)
			}
			if err := a.sayRehearsal(x.Rehearsal); err != nil {
				return err
			}
			if x.Fix.What != "" {
				a.say("fix for now, by %s: %s", visible(x.Fix.Author), visible(x.Fix.What))
			}
			if x.Fix.Due != nil {
				a.say("a second person reviews it by %s: writ incident approve %s fix %.12s", a.when(*x.Fix.Due), x.Ref, x.Fix.Hash)
			}
			for _, p := range x.Sent {
				a.say("on %s (%s): %s %s", visible(p.Account), p.Network, p.State, visible(p.URL+p.Code))
			}
			a.sayPassed(x.incidentPassed)
			for _, l := range x.Links {
				a.say("%s %s (%s): %s", strings.ReplaceAll(l.Kind, "-", " "), l.Ref, l.State, visible(l.Title))
			}
			for _, s := range x.Similar {
				a.say("similar before: %s (%s) %s: %s", s.Ref, s.State, visible(s.Title), visible(strings.Join(s.Why, "; ")))
			}
			for _, t := range x.Signals {
				a.say("told by %s: %s", t.Signal, visible(t.Says))
			}
			for _, r := range x.Roles {
				a.say("%s: %s", r.Role, visible(r.Name))
			}
			a.sayNext(x.Ref, x.Next)
			var lines struct {
				Lines []struct {
					At                time.Time
					Who, What, Detail string
				}
			}
			if err := conn.get(c.Context(), "incidents/"+url.PathEscape(args[0])+"/timeline", &lines); err != nil {
				return err
			}
			t := newTable(a.out, "WHEN", "WHO", "WHAT", "")
			for _, l := range lines.Lines {
				t.row(a.when(l.At), l.Who, l.What, l.Detail)
			}
			return t.flush()
		})}
}

// sayNext is the one thing to do.
func (a *app) sayNext(ref string, n *incidentWay) {
	if n == nil {
		a.say("Nothing is left to do.")
		return
	}
	due := ""
	if n.Due != nil {
		due = ", due " + a.when(*n.Due)
	}
	a.say("\nNext: %s (%s), by %s%s", n.Says, n.Event, visible(n.Who), due)
	for _, l := range n.Unmet {
		a.say("  first: %s (%s: %s)", l.Words, l.Guard, l.Who)
	}
	a.say("")
}

func (a *app) incidentStatus() *cobra.Command {
	return &cobra.Command{Use: "status", Short: "Say in a few lines how things stand", Long: "Says whether an incident is open, what each waits for, and what the public status page tells. The exit status is 1 while an incident is open.",
		Example: "  writ incident status", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var list struct{ Incidents []incidentCase }
			var page json.RawMessage
			if err := conn.get(c.Context(), "incidents?open=1", &list); err != nil {
				return err
			}
			if err := conn.get(c.Context(), "status", &page); err != nil {
				return err
			}
			type open struct {
				incidentCase
				Next *incidentWay `json:"next"`
			}
			out := struct {
				Open []open          `json:"open"`
				Page json.RawMessage `json:"page"`
			}{Open: []open{}, Page: page}
			for _, i := range list.Incidents {
				var x open
				if err := conn.get(c.Context(), "incidents/"+i.Ref, &x); err != nil {
					return err
				}
				out.Open = append(out.Open, x)
			}
			if a.json() {
				if err := a.encode(out); err != nil {
					return err
				}
			} else if err := a.sayOpen(page, len(out.Open)); err != nil {
				return err
			}
			for _, x := range out.Open {
				if !a.json() {
					a.say("%s  %s, severity %d: %s", x.Ref, x.State, x.Severity, visible(x.Title))
					a.sayNext(x.Ref, x.Next)
				}
			}
			if len(out.Open) > 0 {
				return no
			}
			return nil
		})}
}

func (a *app) sayOpen(page json.RawMessage, open int) error {
	var p struct{ Says, URL string }
	if err := decode(page, &p); err != nil {
		return err
	}
	a.say("The public reads: %s.  %s", p.Says, p.URL)
	if open == 0 {
		a.say("No incident is open.")
	}
	return nil
}

func (a *app) incidentKind() *cobra.Command {
	var severity int
	var public bool
	c := &cobra.Command{Use: "categorise INCIDENT KIND...", Short: "Decide what it is and how bad", Long: "Decides the kind, or kinds, of an incident and its severity. Nothing else starts before that. What the kind asks for\nbegins with it: a public notice, the runbook for lost data, the one for a breach.",
		Example: "  writ incident categorise I-1 usability --severity 2", Args: cobra.MinimumNArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "kind", map[string]any{"kinds": args[1:], "severity": severity, "public": public})
		})}
	c.Flags().IntVar(&severity, "severity", 0, "1 down, 2 a core function, 3 degraded, 4 cosmetic")
	c.Flags().BoolVar(&public, "public", false, "a public notice is owed whatever the kind")
	return c
}

func (a *app) incidentSeverity() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "severity INCIDENT 1|2|3|4", Short: "Change the severity", Long: "Changes the severity. Deadlines that run stay as they are.", Example: "  writ incident severity I-1 1 --reason \"everybody is concerned\"", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil {
				return &usageError{fmt.Errorf("the severity is %q, expected 1, 2, 3 or 4", args[1])}
			}
			return a.tell(c, args[0], "severity", map[string]any{"severity": n, "reason": reason})
		})}
	c.Flags().StringVar(&reason, "reason", "", "why")
	return c
}

func (a *app) incidentRole() *cobra.Command {
	var to string
	c := &cobra.Command{Use: "role INCIDENT ROLE", Short: "Take a role, or hand it over", Long: "Takes a role in an incident: commander, communications, technical-lead, recovery-operator, privacy-officer or scribe.\nWith --to somebody else has it from now on.",
		Example: "  writ incident role I-1 communications\n  writ incident role I-1 commander --to eve@example.com", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "roles", map[string]any{"role": args[1], "to": to})
		})}
	c.Flags().StringVar(&to, "to", "", "who has it from now on: an address, a handle or an id")
	return c
}

func (a *app) incidentNote() *cobra.Command {
	var corrects string
	c := &cobra.Command{Use: "note INCIDENT TEXT", Short: "Add a line to the timeline", Long: "Adds a line to the timeline. A line is never changed: with --corrects a new one points to it.", Example: "  writ incident note I-1 \"rang the provider; they look into it\"", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "notes", map[string]any{"text": args[1], "corrects": corrects})
		})}
	c.Flags().StringVar(&corrects, "corrects", "", "id of the line that this one corrects")
	return c
}

func (a *app) incidentPromise() *cobra.Command {
	return &cobra.Command{Use: "promise INCIDENT", Short: "Show when service may return, by incidents and drills of the kind", Long: `Shows how long incidents and drills of the same kind took from declared to resolved: the median, and between
what eight of ten lie. It needs five that are closed. What is promised is up to you: writ incident update --estimate.`,
		Example: "  writ incident promise I-1", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var x struct {
				Forecast json.RawMessage `json:"forecast"`
			}
			if err := conn.get(c.Context(), "incidents/"+url.PathEscape(args[0]), &x); err != nil {
				return err
			}
			if x.Forecast == nil {
				return a.done("There is nothing to estimate: its kind is not decided, or it is resolved.", nil)
			}
			var f struct {
				Says string     `json:"says"`
				Back *time.Time `json:"back"`
			}
			if err := decode(x.Forecast, &f); err != nil {
				return err
			}
			if f.Back != nil {
				f.Says += " That is " + f.Back.Format("2006-01-02 15:04 UTC") + "."
			}
			return a.done(f.Says, x.Forecast)
		})}
}

func (a *app) incidentUpdate() *cobra.Command {
	var title, state, estimate, next, impact, corrects string
	var components map[string]string
	var preview bool
	c := &cobra.Command{Use: "update INCIDENT TEXT", Short: "Post to the status page", Long: `Posts to the status page and to its subscribers. An update says when service returns (--estimate), or
when the next one comes (--next); both are times from now such as 45m, or RFC 3339. The first one needs a title.
A false alarm that was posted is taken back by --state retracted, before it is cancelled. With --preview it is shown as each
channel would have it, and nothing is posted.`,
		Example: "  writ incident update I-1 \"Some people cannot sign in.\" --title \"Sign-in fails\" --state investigating --next 45m", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			in := map[string]any{"title": title, "state": state, "body": args[1], "impact": impact, "components": components, "corrects": corrects}
			for name, v := range map[string]string{"estimate": estimate, "next": next} {
				if v == "" {
					continue
				}
				t, err := a.moment(v)
				if err != nil {
					return &usageError{fmt.Errorf("--%s is %q, expected a time from now such as 45m, or 2026-05-03T14:10:00Z", name, v)}
				}
				in[name] = t
			}
			if preview {
				return a.previewed(c, args[0], in)
			}
			return a.tell(c, args[0], "updates", in)
		})}
	c.Flags().StringVar(&title, "title", "", "what the public reads as the title")
	c.Flags().StringVar(&state, "state", "investigating", "investigating, identified, monitoring, resolved, postmortem or retracted")
	c.Flags().StringVar(&estimate, "estimate", "", "when service returns")
	c.Flags().StringVar(&next, "next", "", "when the next update comes at the latest")
	c.Flags().StringVar(&impact, "impact", "", "none, minor, major or critical")
	c.Flags().StringVar(&corrects, "corrects", "", "id of the update that this one corrects")
	c.Flags().BoolVar(&preview, "preview", false, "show it as each channel would have it, and post nothing")
	c.Flags().StringToStringVar(&components, "component", nil, "how a component is: ID=partial_outage; repeat it")
	return c
}

// moment is a time from now, or a date with its time.
func (a *app) moment(v string) (time.Time, error) {
	if d, err := time.ParseDuration(v); err == nil {
		return a.now().Add(d).UTC(), nil
	}
	if n, ok := strings.CutSuffix(v, "d"); ok {
		if days, err := strconv.Atoi(n); err == nil {
			return a.now().AddDate(0, 0, days).UTC(), nil
		}
	}
	return time.Parse(time.RFC3339, v)
}

func (a *app) incidentStep() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "step INCIDENT STEP", Short: "Take a step", Long: "Takes a step that needs nothing but itself: acknowledge, impact-over, impact-back, mitigate, relapse, resolve, review,\nclose, cancel, reopen, withdraw-fix, or a step of the runbooks for lost data and breaches.",
		Example: "  writ incident step I-1 acknowledge\n  writ incident step I-1 mitigate", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "steps", map[string]any{"event": args[1], "reason": reason})
		})}
	c.Flags().StringVar(&reason, "reason", "", "why; some steps ask for it")
	return c
}

// incidentEvent is a step with a command of its own.
func (a *app) incidentEvent(use, short, event string) *cobra.Command {
	var reason string
	c := &cobra.Command{Use: use + " INCIDENT", Short: short, Long: short + ". It is the step " + event + ".", Example: "  writ incident " + use + " I-1 --reason \"it came from a test\"", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "steps", map[string]any{"event": event, "reason": reason})
		})}
	c.Flags().StringVar(&reason, "reason", "", "why")
	return c
}

func (a *app) incidentFix() *cobra.Command {
	var what, owner, ends, test string
	c := &cobra.Command{Use: "fix INCIDENT propose|approve-fix|deploy|plan|replace", Short: "Take a step of the repair", Long: "A temporary fix is proposed, approved by somebody else, and deployed with an end. The lasting repair has an owner, a date\nand, once in place, a test that would fail if it came back.",
		Example: "  writ incident fix I-1 plan --what \"renew certificates by themselves\" --owner eve@example.com --ends 5d", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			in := map[string]any{"event": args[1], "what": what, "owner": owner, "test": test}
			if ends != "" {
				t, err := a.moment(ends)
				if err != nil {
					return &usageError{fmt.Errorf("--ends is %q, expected a time from now such as 5d, or 2026-05-03T14:10:00Z", ends)}
				}
				in["ends"] = t
			}
			return a.tell(c, args[0], "fix", in)
		})}
	c.Flags().StringVar(&what, "what", "", "what the fix is")
	c.Flags().StringVar(&owner, "owner", "", "who makes the lasting repair")
	c.Flags().StringVar(&ends, "ends", "", "when the temporary fix ends, or the lasting one is due")
	c.Flags().StringVar(&test, "test", "", "name of the test that would fail if it came back")
	return c
}

func (a *app) incidentReview() *cobra.Command {
	var causes, actions []string
	c := &cobra.Command{Use: "review INCIDENT TEXT", Short: "Write what was learned", Long: "Writes the review. Each --cause is a root cause; each --action is CAUSE:OWNER:DUE:WHAT, with the number of the cause, and\nprevents it from coming back. Somebody else approves it: writ incident approve.",
		Example: "  writ incident review I-1 \"The certificate ended unseen.\" --cause \"nobody watched it\" --action \"1:eve@example.com:14d:watch the end of certificates\"", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			in := map[string]any{"text": args[1], "causes": causes}
			var list []map[string]any
			for _, x := range actions {
				parts := strings.SplitN(x, ":", 4)
				if len(parts) != 4 {
					return &usageError{fmt.Errorf("--action is %q, expected CAUSE:OWNER:DUE:WHAT", x)}
				}
				cause, err := strconv.Atoi(parts[0])
				due, err2 := a.moment(parts[2])
				if err := errors.Join(err, err2); err != nil {
					return &usageError{fmt.Errorf("--action is %q, expected the number of a cause, and a time such as 14d", x)}
				}
				list = append(list, map[string]any{"cause": cause, "prevents": true, "owner": parts[1], "due": due, "what": parts[3]})
			}
			in["actions"] = list
			return a.tell(c, args[0], "review", in)
		})}
	c.Flags().StringArrayVar(&causes, "cause", nil, "a root cause; repeat it")
	c.Flags().StringArrayVar(&actions, "action", nil, "CAUSE:OWNER:DUE:WHAT; repeat it")
	return c
}

func (a *app) incidentApprove() *cobra.Command {
	return &cobra.Command{Use: "approve INCIDENT review|text|plan|fix [HASH]", Short: "Approve the review, a text, a plan or a fix", Long: "Approves the review as it stands, the plan of a restore (for half an hour), a temporary fix as its second reviewer, or by\nits hash a text that holds what usually is not public. Whoever wrote it does not approve it; a change voids it.",
		Example: "  writ incident approve I-1 review --as ben@example.com", Args: cobra.RangeArgs(2, 3),
		RunE: run(func(c *cobra.Command, args []string) error {
			in := map[string]any{"object": args[1]}
			if len(args) == 3 {
				in["hash"] = args[2]
			}
			return a.tell(c, args[0], "approvals", in)
		})}
}

func (a *app) incidentWaive() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "waive INCIDENT REGION GUARD", Short: "Let a guard pass, by two people", Long: "Lets a guard pass for this round: the first person asks with a reason, a second one agrees by the same command. A refused\nstep names the guards that do not hold. Some cannot be passed by anybody.",
		Example: "  writ incident waive I-1 L soaked --reason \"the cause is gone for good\" --as ben@example.com", Args: cobra.ExactArgs(3),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "waivers", map[string]any{"region": args[1], "guard": args[2], "reason": reason})
		})}
	c.Flags().StringVar(&reason, "reason", "", "why")
	return c
}

func (a *app) incidentTold() *cobra.Command {
	var how string
	c := &cobra.Command{Use: "told INCIDENT TEAM", Short: "Say that a team was told otherwise", Long: "Says that a team whom letters do not reach was told in another way.", Example: "  writ incident told I-1 01JD8Q --how \"rang them up\"", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "told", map[string]any{"team": args[1], "how": how})
		})}
	c.Flags().StringVar(&how, "how", "", "how they were told")
	return c
}

func (a *app) incidentPosted() *cobra.Command {
	return &cobra.Command{Use: "posted INCIDENT CHANNEL URL", Short: "Say where the public was told elsewhere", Long: "Says where the notice stands on another channel of the policy: a person posts it there, and pastes its address here.", Example: "  writ incident posted I-1 social https://social.example.com/@harbour/1", Args: cobra.ExactArgs(3),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "posted", map[string]any{"channel": args[1], "url": args[2]})
		})}
}

func (a *app) incidentJoin() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "join INCIDENT INTO", Aliases: []string{"merge"}, Short: "Make it part of another incident", Long: "Makes an incident part of another one. It keeps its number and points there.", Example: "  writ incident join I-2 I-1", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "join", map[string]any{"into": args[1], "reason": reason})
		})}
	c.Flags().StringVar(&reason, "reason", "", "why")
	return c
}

func (a *app) incidentLink() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "link INCIDENT caused-by|related|none OTHER", Short: "Link it to another incident", Long: "Says that an incident was caused by another one, or is related to it; none takes the link away. Both show it.\nA cause that would lead back to the incident itself is refused.", Example: "  writ incident link I-2 caused-by I-1", Args: cobra.ExactArgs(3),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "links", map[string]any{"kind": args[1], "to": args[2], "reason": reason})
		})}
	c.Flags().StringVar(&reason, "reason", "", "why")
	return c
}

func (a *app) incidentDone() *cobra.Command {
	return &cobra.Command{Use: "done INCIDENT ACTION", Short: "An action of the review is done", Long: "Marks an action of the review as done, by its id.", Example: "  writ incident done I-1 01JD8Q", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "actions/"+url.PathEscape(args[1])+"/done", nil)
		})}
}
