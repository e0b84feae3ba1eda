package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// lossWire is the recovery of lost data on the wire.
type lossWire struct {
	State, Says string
	Down, Up    *time.Time
	RTO         int64 `json:"rto_seconds"`
	RPO         int64 `json:"rpo_seconds"`
	Onsets      []struct {
		From, To time.Time
		Kind     string
		Says     string
		Entry    int64
	}
	Points []struct {
		ID   string
		At   time.Time
		Rows int64
	}
	Plan                *planWire
	Hash                string `json:"plan_hash"`
	Signers             []string
	Running, Red, Again string
	Checks              []struct {
		Act    string
		Checks []checkWire
	}
	ByHand   []string `json:"by_hand"`
	Recorded []struct {
		ID, Guard, By, Text string
		Other               string `json:"signed_by"`
	}
	Lost []struct {
		Team   string
		Writes int64
	}
}

type checkWire struct {
	Name, Says string
	Good       bool
}

type planWire struct {
	Rule, Target, Point, Position string
	At, Onset                     time.Time
	Rows                          int64
	Lost                          int64 `json:"lost_writes"`
	Seconds                       int64 `json:"lost_seconds"`
	Expected                      int64 `json:"expected_seconds"`
}

func (a *app) incidentLoss() *cobra.Command {
	return a.group("loss", "Bring lost data back",
		`When data is lost the application is taken down, it is proved that nothing is written, the damaged state is
kept, two people sign a plan, the restore is rehearsed, made and checked, what was erased stays erased, and the
application opens step by step. Each step is taken with writ incident step; here are the parts around them.`,
		"  writ incident loss show I-1\n  writ incident step I-1 take-down\n  writ incident loss plan I-1 --onset 20m\n  writ incident approve I-1 plan",
		a.lossShow(), a.lossOnsets(), a.lossPlan(), a.lossRecord(), a.lossSign(), a.lossAgain(), a.lossList())
}

func (a *app) lossShow() *cobra.Command {
	return &cobra.Command{Use: "show INCIDENT", Short: "Show how the recovery stands", Long: "Shows what happens, each check with its result, the plan with what it costs, who has signed it, and what people must do by hand.",
		Example: "  writ incident loss show I-1", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "incidents/"+url.PathEscape(args[0])+"/loss", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var x lossWire
			if err := decode(raw, &x); err != nil {
				return err
			}
			a.sayLoss(args[0], x)
			return nil
		})}
}

func (a *app) sayLoss(ref string, x lossWire) {
	a.say("%s  %s", x.State, x.Says)
	if x.Running != "" {
		a.say("The server is at it: %s.", x.Running)
	}
	if x.Red != "" {
		a.say("RED: %s\n  once more: writ incident loss again %s %s", visible(x.Red), ref, x.Again)
	}
	for _, o := range x.Onsets {
		kind, entry := o.Kind, ""
		if kind == "" {
			kind = "copies"
		}
		if o.Entry > 0 {
			entry = fmt.Sprintf(" (entry %d)", o.Entry)
		}
		a.say("damaged perhaps after %s, by %s, %s: %s%s\n  --onset %s", a.when(o.From), a.when(o.To), visible(kind), visible(o.Says), entry, o.From.UTC().Format(time.RFC3339Nano))
	}
	for _, p := range x.Points {
		a.say("point %s of %s, %d rows", p.ID, a.when(p.At), p.Rows)
	}
	if p := x.Plan; p != nil {
		a.say("Plan %.12s: %s, to %s of %s, onto %s.", x.Hash, p.Rule, visible(p.Position), a.when(p.At), visible(p.Target))
		if p.Rows >= 0 {
			a.say("  %d rows will be there; %d acknowledged writes are lost, %s of data; about %s of work.", p.Rows, p.Lost, time.Duration(p.Seconds)*time.Second, time.Duration(p.Expected)*time.Second)
		}
		a.say("  signed by: %s", visible(orNobody(x.Signers)))
	}
	for _, c := range x.Checks {
		for _, k := range c.Checks {
			mark := "ok  "
			if !k.Good {
				mark = "BAD "
			}
			a.say("%s%s  %s: %s", mark, c.Act, k.Name, visible(k.Says))
		}
	}
	for _, g := range x.ByHand {
		a.say("by hand: %s. Record it: writ incident loss record %s %s \"what was done, and what shows it\"", g, ref, g)
	}
	for _, h := range x.Recorded {
		signed := "nobody has signed it: writ incident loss sign " + ref + " " + h.ID
		if h.Other != "" {
			signed = "signed by " + h.Other
		}
		a.say("recorded by hand: %s, by %s, %s: %s", h.Guard, visible(h.By), visible(signed), visible(h.Text))
	}
	for _, l := range x.Lost {
		a.say("team %s lost %d writes: writ incident loss list %s %s", l.Team, l.Writes, ref, l.Team)
	}
	if x.Up != nil {
		a.say("It was down for %s, and %s of data are lost.", time.Duration(x.RTO)*time.Second, time.Duration(x.RPO)*time.Second)
	}
}

func (a *app) lossOnsets() *cobra.Command {
	var audits []string
	c := &cobra.Command{Use: "onsets INCIDENT", Short: "Look through the record again for what may have damaged the data", Long: `Looks through journal and access records for what may have damaged the data since two days before the incident began:
another version of the application, many rows or requests at once, staff, alarms, settings. The server does so once by
itself. With --audit a log of the database that lies with the incident as a file is read too. writ incident loss show
lists what was found; writ incident loss plan takes one of them by --onset.`,
		Example: "  writ incident loss onsets I-1 --audit 06gqltfs2000bblarjj9hgp134", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "loss/onsets", map[string]any{"audits": audits})
		})}
	c.Flags().StringArrayVar(&audits, "audit", nil, "id of a file of the incident: a log of PostgreSQL as CSV with the lines of pgaudit")
	return c
}

func orNobody(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}

func (a *app) lossPlan() *cobra.Command {
	var rule, point, onset, at, target, how string
	c := &cobra.Command{Use: "plan INCIDENT", Short: "Make the plan of a restore", Long: `Makes the plan of a restore and signs it as whoever makes it; one more person signs it with
writ incident approve INCIDENT plan, within half an hour. Another plan makes what was signed void. Where the server
has no way to restore, say what you restore by hand: --at, --point, --target and --how.`,
		Example: "  writ incident loss plan I-1 --onset 20m\n  writ incident loss plan I-1 --at 2026-05-03T02:00:00Z --point nightly-3 --target db.internal/app --how \"pg_restore of the nightly copy\"", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			in := map[string]any{"rule": rule, "point": point, "target": target, "says": how}
			for name, v := range map[string]string{"onset": onset, "at": at} {
				if v == "" {
					continue
				}
				t, err := a.past(v)
				if err != nil {
					return &usageError{fmt.Errorf("--%s is %q, expected how long ago, such as 20m, or 2026-05-03T14:10:00Z", name, v)}
				}
				in[name] = t
			}
			return a.tell(c, args[0], "loss/plan", in)
		})}
	c.Flags().StringVar(&rule, "rule", "", "last-before-incident, point-in-time-before-incident or preserved-state; empty: that of the policy")
	c.Flags().StringVar(&point, "point", "", "which backup; empty: the newest that fits")
	c.Flags().StringVar(&onset, "onset", "", "since when the data is damaged: how long ago, or a time")
	c.Flags().StringVar(&at, "at", "", "by hand: of which time the backup is")
	c.Flags().StringVar(&target, "target", "", "by hand: which database is overwritten")
	c.Flags().StringVar(&how, "how", "", "by hand: how it is restored")
	return c
}

// past is how long ago, or a date with its time.
func (a *app) past(v string) (time.Time, error) {
	if d, err := time.ParseDuration(v); err == nil && d >= 0 {
		return a.now().Add(-d).UTC(), nil
	}
	return time.Parse(time.RFC3339, v)
}

func (a *app) lossRecord() *cobra.Command {
	return &cobra.Command{Use: "record INCIDENT GUARD TEXT", Short: "Record what was done by hand", Long: "Records what the recovery operator did by hand, where the server reaches nothing: what was done, when, and what shows it.\nIt counts once somebody else has signed it, and shows as done by hand.",
		Example: "  writ incident loss record I-1 restored \"pg_restore of nightly-3 ended at 10:14, log in the ticket\"", Args: cobra.ExactArgs(3),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "loss/hand", map[string]any{"guard": args[1], "text": args[2]})
		})}
}

func (a *app) lossSign() *cobra.Command {
	return &cobra.Command{Use: "sign INCIDENT RECORD", Short: "Sign what somebody else recorded by hand", Long: "Signs that what somebody else has recorded is so. Whoever recorded it does not sign it.",
		Example: "  writ incident loss sign I-1 0c2f… --as ben@example.com", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "loss/hand/"+url.PathEscape(args[1])+"/sign", map[string]any{})
		})}
}

func (a *app) lossAgain() *cobra.Command {
	return &cobra.Command{Use: "again INCIDENT ACT", Short: "Have the server do once more what went wrong", Long: "Has the server do once more what it did badly, once its cause is gone: the act of the state in which the recovery stands.",
		Example: "  writ incident loss again I-1 rehearse", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "again/"+url.PathEscape(args[1]), map[string]any{})
		})}
}

func (a *app) lossList() *cobra.Command {
	return &cobra.Command{Use: "list INCIDENT TEAM", Short: "List what a team lost", Long: "Lists the acknowledged writes of a team that a restore undid, for the team. That somebody read it is recorded.",
		Example: "  writ incident loss list I-1 6f1c… --format json", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "incidents/"+url.PathEscape(args[0])+"/loss/lost/"+url.PathEscape(args[1]), &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var x struct {
				Writes []struct {
					At                    time.Time
					Person, Route, Record string
				}
			}
			if err := decode(raw, &x); err != nil {
				return err
			}
			t := newTable(a.out, "WHEN", "WHO", "WHERE", "WHAT")
			for _, w := range x.Writes {
				t.row(a.when(w.At), w.Person, w.Route, w.Record)
			}
			return t.flush()
		})}
}

func (a *app) incidentDrill() *cobra.Command {
	var yes bool
	var with, from string
	var speed int
	c := &cobra.Command{Use: "drill KIND|TITLE", Short: "Practise an incident", Long: `Begins a practice with the same steps. It has numbers of its own (D-1), no status page, and reaches nothing but a
sandbox. With a kind (data-loss, outage, third-party) it is scored when it is closed; data-loss is played on a
copy of the application behind a gate of its own, where there is one. With --yes a script takes the steps of people,
as you; the second person is whoever --with names, who signs for themselves, or is played by the sandbox, which
the record says. It counts as practice when somebody took part who was signed in (--as), or says afterwards that they
followed it (writ incident followed). Any other title begins a practice that people lead alone.
With --from a closed incident is played again, as its kind: the same first signal, part and severity, and what was
known then becomes known again (writ incident show), --speed times as fast. When it is closed, the time of each step
stands beside that of the incident.`,
		Example: "  writ incident drill data-loss --yes\n  writ incident drill data-loss --yes --as ana@example.com\n  writ incident drill data-loss --with ben@example.com\n  writ incident drill \"the office burns\"\n  writ incident drill --from I-3 --speed 20", Args: cobra.MaximumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			if (len(args) == 1) == (from != "") || from == "" && c.Flags().Changed("speed") {
				return &usageError{fmt.Errorf("name a kind or a title, or a past incident with --from and perhaps --speed")}
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			var x incidentCase
			if from != "" {
				err = conn.post(c.Context(), "drills", map[string]any{"from": from, "speed": speed, "with": with, "play": yes}, &raw)
			} else if strings.ContainsAny(args[0], " ") {
				if yes || with != "" {
					return &usageError{fmt.Errorf("--yes and --with belong to a drill of a kind, such as data-loss")}
				}
				err = conn.post(c.Context(), "incidents", map[string]any{"title": args[0], "drill": true}, &raw)
			} else {
				err = conn.post(c.Context(), "drills", map[string]any{"kind": args[0], "with": with, "play": yes}, &raw)
			}
			if err == nil {
				err = decode(raw, &x)
			}
			if err != nil {
				return err
			}
			if !yes {
				return a.done(fmt.Sprintf("%s is declared. Take it: writ incident step %s acknowledge", x.Ref, x.Ref), raw)
			}
			return a.play(c.Context(), conn, x.Ref)
		})}
	c.Flags().BoolVar(&yes, "yes", false, "a script takes the steps of people, as you")
	c.Flags().StringVar(&from, "from", "", "a closed incident that is played again, such as I-3")
	c.Flags().IntVar(&speed, "speed", 10, "how many times as fast what was known then becomes known")
	c.Flags().StringVar(&with, "with", "", "who signs beside you: an address, a handle or an id")
	return c
}

// play has the script take step after step until the drill is over, and says each.
func (a *app) play(ctx context.Context, conn *client, ref string) error {
	began, last := a.now(), ""
	for {
		var x struct {
			incidentCase
			Says        string
			Waits, Done bool
		}
		if err := conn.post(ctx, "incidents/"+ref+"/play", map[string]any{}, &x); err != nil {
			return err
		}
		if x.Done {
			break
		}
		if x.Says != "" && x.Says != last && !a.json() {
			a.say("%6.1f s  %s", a.now().Sub(began).Seconds(), visible(x.Says))
		}
		last = x.Says
		if x.Says == "" || x.Waits {
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return a.sayScore(ctx, conn, ref)
}

// tookPart says of how many people a drill was, and what counts where there were none.
func tookPart(ref string, people int64) string {
	switch people {
	case 0:
		return "nobody took part, and so it does not count yet. Whoever followed it says so: writ incident followed " + ref + " --as ADDRESS"
	case 1:
		return "1 person took part."
	}
	return fmt.Sprintf("%d people took part.", people)
}

func (a *app) incidentFollowed() *cobra.Command {
	return &cobra.Command{Use: "followed DRILL", Short: "Say that you followed a drill", Long: `Says that you followed a drill that is over, which others or the server have played. A drill counts as practice when
somebody took part: whoever acted in it, or says so within a week of its end. Sign in for it: the operator at the
machine is nobody by name.`, Example: "  writ incident followed D-1 --as ben@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "followed", nil)
		})}
}

func (a *app) sayScore(ctx context.Context, conn *client, ref string) error {
	var raw json.RawMessage
	if err := conn.get(ctx, "drills", &raw); err != nil {
		return err
	}
	var x struct {
		Drills []struct {
			Ref      string
			Passed   bool
			Problems []string
			RTO      int64 `json:"rto_seconds"`
			RPO      int64 `json:"rpo_seconds"`
			Seconds  int64
			People   int64
			Of       string
			Compared []comparedWire
		}
	}
	if err := decode(raw, &x); err != nil {
		return err
	}
	for _, d := range x.Drills {
		if d.Ref != ref {
			continue
		}
		if len(d.Compared) > 0 && !a.json() {
			if err := a.sayCompared(d.Of, d.Compared); err != nil {
				return err
			}
		}
		verdict := "passed"
		if !d.Passed {
			verdict = "did not pass: " + strings.Join(d.Problems, "; ")
		}
		if err := a.done(fmt.Sprintf("%s %s. It took %d s; down for %d s, %d s of data lost; %s", ref, verdict, d.Seconds, d.RTO, d.RPO, tookPart(ref, d.People)), raw); err != nil || d.Passed {
			return err
		}
		return no
	}
	return a.done(ref+" is over.", raw)
}
