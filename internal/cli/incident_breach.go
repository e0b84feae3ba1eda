package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// SetResult is what came of computing a set again.
type SetResult struct {
	Version int              `json:"version"`
	Hash    string           `json:"hash"`
	Records int64            `json:"records"`
	Counts  map[string]int64 `json:"counts"`
	Unknown []string         `json:"cannot_know"`
}

// errNoCheck is a build that cannot compute a set.
var errNoCheck = errors.New("this program cannot compute a set again")

func (a *app) incidentBreach() *cobra.Command {
	return a.group("breach", "Deal with exposed data: whose it is, the times of the law, letters",
		`Deals with a breach. What it tells of people is for those who have a role in the incident; each look is recorded.
docs/breach.md goes through it step by step.`,
		"  writ incident breach show I-3\n  writ incident breach scope I-3 --since 48h --principal eva@example.com\n  writ incident breach check breach-i-3.zip",
		a.breachShow(), a.breachScope(), a.breachCheck(), a.breachLines(), a.breachSign(), a.breachPaper("paper", "", "Write down what was decided or found", "research way=\"a session was taken over\" first=2026-11-02T08:00:00Z last=2026-11-02T09:00:00Z cause=\"an open laptop\" unseen=\"nobody looks at nights\" rule=7d3b0b3e-0c0f-4a53-9d6e-1f5d0a3c9e01"),
		a.breachPaper("risk", "risk", "Decide how great the risk is", "level=high reason=\"contacts can be used to deceive customers\""),
		a.breachPaper("vendor", "vendor", "Write down that a third party is involved", "name=\"Cloud Co\" contact=security@cloud.example case=C-9 questions=\"Which of your people could read it?\""),
		a.breachTask(), a.breachCut(), a.breachLift(), a.breachPack(), a.breachLetters(), a.breachLetter(), a.breachRegister())
}

// ofBreach is the path of something of a breach.
func ofBreach(ref, rest string) string { return "incidents/" + url.PathEscape(ref) + "/breach" + rest }

func (a *app) breachShow() *cobra.Command {
	return &cobra.Command{Use: "show INCIDENT", Short: "Show how far a breach is dealt with", Long: "Shows the set of those concerned, the times of the law, papers with their signatures, tasks and letters.", Example: "  writ incident breach show I-3", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), ofBreach(args[0], ""), &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			return a.sayBreach(raw)
		})}
}

func (a *app) sayBreach(raw json.RawMessage) error {
	var x struct {
		incidentCase
		Contained bool
		Letters   map[string]int64
		Scope     *struct {
			Version    int
			Hash       string
			Counts     map[string]int64
			CannotKnow []string `json:"cannot_know"`
			Signed     []string
		}
		Clocks []struct {
			Name         string
			Due          time.Time
			Ended        *time.Time
			Missed, Void bool
		}
		Papers []struct {
			Kind, Hash, By string
			At             time.Time
			Signed         []string
		}
	}
	if err := decode(raw, &x); err != nil {
		return err
	}
	a.say("%s  %s", x.Ref, visible(x.Title))
	for _, k := range x.Clocks {
		says := "due " + a.when(k.Due)
		switch {
		case k.Void:
			says += ", void: it was moved"
		case k.Ended != nil:
			says = "met " + a.when(*k.Ended)
		}
		if k.Missed {
			says += ", MISSED"
		}
		a.say("time of %s: %s", k.Name, says)
	}
	if s := x.Scope; s != nil {
		a.say("set %d, %s: %s; signed by %s", s.Version, s.Hash[:min(16, len(s.Hash))], counted(s.Counts, "obtained", "accessed", "possibly", "cleared"), list(s.Signed))
		for _, u := range s.CannotKnow {
			a.say("  cannot be known: %s", visible(u))
		}
	}
	a.say("contained: %v", x.Contained)
	if len(x.Letters) > 0 {
		a.say("letters: %s", counted(x.Letters))
	}
	t := newTable(a.out, "PAPER", "HASH", "BY", "WHEN", "SIGNED")
	for _, p := range x.Papers {
		t.row(p.Kind, p.Hash[:min(16, len(p.Hash))], p.By, a.when(p.At), list(p.Signed))
	}
	return t.flush()
}

func list(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return visible(strings.Join(names, ", "))
}

func counted(of map[string]int64, order ...string) string {
	var out []string
	for name := range of {
		if !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	for _, name := range order {
		out = append(out, fmt.Sprintf("%s %d", name, of[name]))
	}
	return strings.Join(out, ", ")
}

func (a *app) breachScope() *cobra.Command {
	var principals, networks, sessions, routes, unlogged, data, audits []string
	var from, until, bundle, statement string
	var since time.Duration
	var unasked bool
	version := "newest"
	c := &cobra.Command{Use: "scope INCIDENT", Short: "Compute whose data it is, and freeze the list", Long: `Computes from access records and journal whose data the selected accesses concern, and freezes it as the next version.
Nobody of the version before leaves it. Over a hole in the record nobody is cleared; then --statement says what is known
about that time. Two people sign it: writ incident breach sign INCIDENT scope HASH.
With --bundle nothing is computed anew: a version is written to a file, which writ incident breach check runs again.`,
		Example: "  writ incident breach scope I-3 --since 48h --principal eva@example.com --data /contacts/=contact\n  writ incident breach scope I-3 --bundle breach-i-3.zip", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			if bundle != "" {
				return a.fetchFile(c.Context(), ofBreach(args[0], "/scope/"+url.PathEscape(version)+"/bundle"), bundle, "Run it again with: writ incident breach check "+bundle)
			}
			in := map[string]any{"principals": principals, "networks": networks, "sessions": sessions, "routes": routes, "unlogged": unlogged, "statement": statement, "unasked": unasked, "audits": audits}
			now := a.now().UTC()
			in["from"], in["until"] = now.Add(-since), now
			for name, v := range map[string]string{"from": from, "until": until} {
				if v == "" {
					continue
				}
				t, err := time.Parse(time.RFC3339, v)
				if err != nil {
					return &usageError{fmt.Errorf("--%s is %q, expected a time such as 2026-11-02T08:00:00Z", name, v)}
				}
				in[name] = t
			}
			kinds := map[string][]string{}
			for _, d := range data {
				i := strings.LastIndexByte(d, '=')
				if i < 0 {
					return &usageError{fmt.Errorf("--data is %q, expected a route and its kind, such as /contacts/=contact", d)}
				}
				kinds[d[:i]] = append(kinds[d[:i]], d[i+1:])
			}
			in["data"] = kinds
			return a.tell(c, args[0], "breach/scope", in)
		})}
	f := c.Flags()
	f.StringArrayVar(&principals, "principal", nil, "who acted: an address, a handle, an id, or as records name them; several may be given")
	f.StringArrayVar(&networks, "network", nil, "from where, such as 198.51.100.0/24")
	f.StringArrayVar(&sessions, "session", nil, "in which session, look of staff or token")
	f.StringArrayVar(&routes, "route", nil, "at which route")
	f.StringArrayVar(&unlogged, "unlogged", nil, "another way that keeps no record, in words: then nobody is cleared")
	f.StringArrayVar(&data, "data", nil, "what a route, or a field that is open, gives: contact, credential, financial, special, content or none; such as 'GET /contacts/{id} /note=content'")
	f.DurationVar(&since, "since", 24*time.Hour, "how far back")
	f.StringVar(&from, "from", "", "the beginning, instead of --since")
	f.StringVar(&until, "until", "", "the end; without it now")
	f.StringVar(&statement, "statement", "", "what is known about what the record does not tell")
	f.StringArrayVar(&audits, "audit", nil, "id of a file of the incident that is an audit of a database: a log of PostgreSQL as CSV with the lines of pgaudit")
	f.BoolVar(&unasked, "unasked", false, "do not ask the application whose its records are, because it is down; that must be stated")
	f.StringVar(&bundle, "bundle", "", "write a version to this file instead")
	f.StringVar(&version, "version", version, "which version --bundle writes")
	return c
}

// fetchFile writes what the server sends to a file.
func (a *app) fetchFile(ctx context.Context, path, name, next string) error {
	conn, err := a.open(ctx)
	if err != nil {
		return err
	}
	var n int64
	if err := save(name, func(f *os.File) error {
		resp, err := conn.do(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if n, err = io.Copy(f, resp.Body); err != nil {
			return conn.away(fmt.Errorf("the file ended early: %w", err))
		}
		return f.Sync()
	}); err != nil {
		return err
	}
	if a.json() {
		return a.encode(map[string]any{"file": name, "bytes": n})
	}
	a.say("%s, %d bytes. %s", name, n, next)
	return nil
}

func (a *app) breachCheck() *cobra.Command {
	return &cobra.Command{Use: "check FILE", Short: "Compute the set of a bundle again, without a server", Long: `Computes the set once more from the bundle alone, and compares. The hash that it prints stands in the journal
(incident.scope-frozen): compare it with that.
Exit status: 0 the same, 1 not the same, 2 unreadable.`, Example: "  writ incident breach check breach-i-3.zip", Args: cobra.ExactArgs(1), Annotations: offlineCommand,
		RunE: run(func(c *cobra.Command, args []string) error {
			if a.server.CheckSet == nil {
				return errNoCheck
			}
			f, err := os.Open(args[0])
			if err != nil {
				return unreadable(args[0], err)
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				return unreadable(args[0], err)
			}
			r, wrong, err := a.server.CheckSet(c.Context(), f, info.Size())
			if err != nil {
				return unreadable(args[0], err)
			}
			if a.json() {
				if err := a.encode(map[string]any{"set": r, "wrong": wrong}); err != nil {
					return err
				}
			} else {
				a.say("set %d, %d accesses: %s\nhash %s", r.Version, r.Records, counted(r.Counts, "obtained", "accessed", "possibly", "cleared"), r.Hash)
				for _, u := range r.Unknown {
					a.say("cannot be known: %s", visible(u))
				}
				for _, x := range wrong {
					a.say("FALSE: %s", visible(x))
				}
			}
			if len(wrong) > 0 {
				return no
			}
			return nil
		})}
}

func (a *app) breachLines() *cobra.Command {
	var class, version string
	var skip int
	c := &cobra.Command{Use: "lines INCIDENT", Short: "Show whom the set names", Long: "Shows lines of the set, a hundred at a time. People stand under pseudonyms.", Example: "  writ incident breach lines I-3 --class obtained", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), ofBreach(args[0], "/scope/"+url.PathEscape(version)+"?class="+url.QueryEscape(class)+"&skip="+strconv.Itoa(skip)), &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var x struct {
				Lines []struct {
					Subject, Class string
					Data           []string
					Hits           int64
				}
				More bool
			}
			if err := decode(raw, &x); err != nil {
				return err
			}
			t := newTable(a.out, "SUBJECT", "CLASS", "DATA", "HITS")
			for _, l := range x.Lines {
				t.row(visible(l.Subject), l.Class, strings.Join(l.Data, " "), strconv.FormatInt(l.Hits, 10))
			}
			if err := t.flush(); err != nil {
				return err
			}
			if x.More {
				a.say("There are more: --skip %d", skip+len(x.Lines))
			}
			return nil
		})}
	c.Flags().StringVar(&class, "class", "", "obtained, accessed, possibly or cleared")
	c.Flags().StringVar(&version, "version", "newest", "which version")
	c.Flags().IntVar(&skip, "skip", 0, "how many to leave out")
	return c
}

func (a *app) breachSign() *cobra.Command {
	return &cobra.Command{Use: "sign INCIDENT THING HASH", Short: "Sign a thing of a breach as it stands", Long: `Signs scope, letter-CLASS, untold-CLASS, risk, research, measure, public or dismissal, as it stands. The hash, or eight characters
of it and more, says what you have read. A signature counts for a day.`, Example: "  writ incident breach sign I-3 scope 5a8c01f2 --as dev@example.com", Args: cobra.ExactArgs(3),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "breach/signatures", map[string]any{"object": args[1], "hash": args[2]})
		})}
}

// lists are the fields of papers that hold several.
var lists = []string{"questions"}

func (a *app) breachPaper(use, kind, short, example string) *cobra.Command {
	var class string
	words, n := use+" INCIDENT NAME=VALUE...", 2
	if kind == "" {
		words, n = use+" INCIDENT KIND NAME=VALUE...", 3
	}
	c := &cobra.Command{Use: words, Short: short, Long: `Writes something down under its hash, sealed. A new paper of a kind replaces the former, which stays.
Kinds: dismissal (reason) · vendor (name contact case questions) · statement (vendor text) · risk (level reason exemption) ·
receipt (phase pack number reason contact) · research (way first last cause unseen rule) · measure (what link test failed passes) ·
public (url reason) · letter (subject body, with --class) · untold (reason, with --class). A value @FILE is read from a file.`,
		Example: "  writ incident breach " + use + " I-3 " + example, Args: cobra.MinimumNArgs(n),
		RunE: run(func(c *cobra.Command, args []string) error {
			of := kind
			if of == "" {
				of = args[1]
			}
			doc, err := a.fields(args[n-1:])
			if err != nil {
				return err
			}
			return a.tell(c, args[0], "breach/papers", map[string]any{"kind": of, "class": class, "doc": doc})
		})}
	if kind == "" {
		c.Flags().StringVar(&class, "class", "", "of a letter: obtained, accessed or possibly")
	}
	return c
}

// fields reads NAME=VALUE words; a value that begins with @ is the name of a file.
func (a *app) fields(words []string) (map[string]any, error) {
	doc := map[string]any{}
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok {
			return nil, &usageError{fmt.Errorf("%q is not written as NAME=VALUE", w)}
		}
		if file, is := strings.CutPrefix(value, "@"); is {
			b, err := a.readFile(file, 64<<10)
			if err != nil {
				return nil, err
			}
			value = string(b)
		}
		if slices.Contains(lists, name) {
			have, _ := doc[name].([]string)
			doc[name] = append(have, value)
			continue
		}
		doc[name] = value
	}
	return doc, nil
}

func (a *app) breachTask() *cobra.Command {
	var owner, done string
	var in time.Duration
	c := &cobra.Command{Use: "task INCIDENT [WHAT]", Short: "Give somebody a task of a third party's procedure", Long: "Gives a member of staff a task that a third party's procedure asks for. With --done a task is done.", Example: "  writ incident breach task I-3 \"fill in their form 12\" --owner dev@example.com --in 24h", Args: cobra.RangeArgs(1, 2),
		RunE: run(func(c *cobra.Command, args []string) error {
			if done != "" {
				return a.tell(c, args[0], "breach/tasks/"+url.PathEscape(done)+"/done", map[string]any{})
			}
			if len(args) < 2 {
				return &usageError{errors.New("what is to be done?")}
			}
			return a.tell(c, args[0], "breach/tasks", map[string]any{"what": args[1], "owner": owner, "due": a.now().Add(in).UTC()})
		})}
	c.Flags().StringVar(&owner, "owner", "", "who does it: an address, a handle or an id")
	c.Flags().DurationVar(&in, "in", 24*time.Hour, "until when")
	c.Flags().StringVar(&done, "done", "", "id of a task that is done")
	return c
}

func (a *app) breachCut() *cobra.Command {
	return &cobra.Command{Use: "cut INCIDENT session|sessions|token|key|network|person ID", Short: "End what the attacker holds, and try it again", Long: `Ends a session, all sessions of a person, a token or an access key, keeps a network out for 30 days, or keeps a person
from signing in until two people let them in again (writ incident breach lift); then tries it at the same door once more. Refused is what contained means: one that still works keeps the incident open.`, Example: "  writ incident breach cut I-3 sessions eva", Args: cobra.ExactArgs(3),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "breach/cuts", map[string]any{"kind": args[1], "id": args[2]})
		})}
}

func (a *app) breachLift() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "lift INCIDENT person ID", Short: "Let a person in again who was cut", Long: `Asks to let a person in again who was cut because of this breach, under the same name as they were cut. Another person
agrees by asking for the same within a day. Then they may sign in with a new password, for which a link is sent to their
address; what ended stays ended.`, Example: "  writ incident breach lift I-3 person eva --reason \"her machine is clean\" --as ben@example.com", Args: cobra.ExactArgs(3),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "breach/lifts", map[string]any{"kind": args[1], "id": args[2], "reason": reason})
		})}
	c.Flags().StringVar(&reason, "reason", "", "why")
	_ = c.MarkFlagRequired("reason") // the flag is there
	return c
}

func (a *app) breachPack() *cobra.Command {
	return &cobra.Command{Use: "pack INCIDENT", Short: "Write the report to the authority as it stands", Long: "Writes what the law asks to tell the authority (33(3)) from the record, as text or with --format json as JSON, and its hash, which the receipt names. It is not legal advice.", Example: "  writ incident breach pack I-3", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), ofBreach(args[0], "/pack"), &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var x struct{ Text, Hash string }
			if err := decode(raw, &x); err != nil {
				return err
			}
			a.say("%s\nHash of the report: %s", visible(x.Text), x.Hash)
			return nil
		})}
}

func (a *app) breachLetters() *cobra.Command {
	var state, csv string
	c := &cobra.Command{Use: "letters INCIDENT", Short: "Show what became of each letter", Long: "Shows letters to those concerned. With --csv those whom letters do not reach are written to a file, for who writes to them by post.", Example: "  writ incident breach letters I-3 --state unknown\n  writ incident breach letters I-3 --csv unreached.csv", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			if csv != "" {
				return a.fetchFile(c.Context(), ofBreach(args[0], "/letters?unreached=1&format=csv"), csv, "They are told by another channel: writ incident breach letter INCIDENT told LETTER --reason HOW")
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), ofBreach(args[0], "/letters?state="+url.QueryEscape(state)), &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var x struct {
				Letters []struct {
					ID, Name, Email, Class, State, Code string
					At                                  time.Time
				}
			}
			if err := decode(raw, &x); err != nil {
				return err
			}
			t := newTable(a.out, "LETTER", "TO", "CLASS", "STATE", "CODE", "SINCE")
			for _, l := range x.Letters {
				t.row(l.ID, visible(l.Email), l.Class, l.State, visible(l.Code), a.when(l.At))
			}
			return t.flush()
		})}
	c.Flags().StringVar(&state, "state", "", "accepted, refused, failed, unknown, stopped, unreachable, queued or told")
	c.Flags().StringVar(&csv, "csv", "", "write those who are not reached to this file")
	return c
}

func (a *app) breachLetter() *cobra.Command {
	var class, reason string
	c := &cobra.Command{Use: "letter INCIDENT test|pause|resume|stop|again|arrived|told|admins|public [LETTER or MEMBER OF STAFF...]", Short: "Try out, pause or stop letters; decide about one",
		Long: `test sends the text of a class to members of staff. pause, resume and stop are for all letters. again and arrived decide about one
of which nobody knows whether it arrived; told says how somebody was told whom letters do not reach. admins asks the admins of their teams to hand it on. public counts all of
those as told by the public notice that two people have signed (paper public).`,
		Example: "  writ incident breach letter I-3 test dev@example.com --class obtained\n  writ incident breach letter I-3 pause --reason \"a mistake in the text\"", Args: cobra.MinimumNArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			in := map[string]any{"act": args[1], "class": class, "reason": reason}
			if args[1] == "test" {
				in["to"] = args[2:]
			} else if len(args) > 2 {
				in["letter"] = args[2]
			}
			return a.tell(c, args[0], "breach/letters", in)
		})}
	c.Flags().StringVar(&class, "class", "", "of a test: obtained, accessed or possibly")
	c.Flags().StringVar(&reason, "reason", "", "why, or how")
	return c
}

func (a *app) breachRegister() *cobra.Command {
	return &cobra.Command{Use: "register", Short: "Write the register of breaches", Long: "Writes every breach that was suspected or known, with its effects and what was done (33(5)).", Example: "  writ incident breach register --format json", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "breaches", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var x struct {
				Breaches []struct {
					Incident, Facts, State, Risk string
					Obtained, Accessed, Possibly int64
					Declared                     time.Time
				}
			}
			if err := decode(raw, &x); err != nil {
				return err
			}
			t := newTable(a.out, "INCIDENT", "STATE", "RISK", "CONCERNED", "DECLARED", "FACTS")
			for _, b := range x.Breaches {
				t.row(b.Incident, b.State, b.Risk, fmt.Sprintf("%d obtained, %d accessed, %d possibly", b.Obtained, b.Accessed, b.Possibly), a.when(b.Declared), visible(b.Facts))
			}
			return t.flush()
		})}
}

func (a *app) incidentClock() *cobra.Command {
	var aware, reason, name string
	var within time.Duration
	c := &cobra.Command{Use: "clock INCIDENT", Short: "Move when a breach was known, or add a time", Long: `With --aware the time at which a breach was known is moved: two people ask for the same one, each with a reason. The old times
stay to be seen. With --name a time of another law or of a contract runs from when it was known. No such time is ever paused.`,
		Example: "  writ incident clock I-3 --aware 2026-11-02T08:00:00Z --reason \"their letter came in the morning\"\n  writ incident clock I-3 --name \"contract with Orchard\" --within 24h", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			in := map[string]any{"reason": reason}
			switch {
			case name != "":
				in["name"], in["hours"] = name, int64(within/time.Hour)
			case aware != "":
				t, err := time.Parse(time.RFC3339, aware)
				if err != nil {
					return &usageError{fmt.Errorf("--aware is %q, expected a time such as 2026-11-02T08:00:00Z", aware)}
				}
				in["aware"] = t
			default:
				return &usageError{errors.New("one of --aware and --name is needed")}
			}
			return a.tell(c, args[0], "breach/clocks", in)
		})}
	c.Flags().StringVar(&aware, "aware", "", "when it was known")
	c.Flags().StringVar(&reason, "reason", "", "why it is moved")
	c.Flags().StringVar(&name, "name", "", "a time of another law or of a contract")
	c.Flags().DurationVar(&within, "within", 72*time.Hour, "how long it is")
	return c
}
