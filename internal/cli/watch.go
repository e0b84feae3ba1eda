package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"writ/internal/secret"
)

// watchAlarm is an alarm as the server shows it.
type watchAlarm struct {
	ID       string            `json:"id"`
	Rule     string            `json:"rule"`
	Title    string            `json:"title"`
	Labels   map[string]string `json:"labels"`
	Severity string            `json:"severity"`
	State    string            `json:"state"`
	Test     bool              `json:"test"`
	Silenced bool              `json:"silenced"`
	Hidden   string            `json:"inhibited_by"`
	Fired    time.Time         `json:"fired"`
	AckedBy  string            `json:"acknowledged_by"`
	AckUntil time.Time         `json:"acknowledged_until"`
	Cleared  time.Time         `json:"cleared"`
	Verdict  string            `json:"verdict"`
	Value    string            `json:"value"`
}

// watchDelivery is what was sent.
type watchDelivery struct {
	ID       string    `json:"id"`
	Channel  string    `json:"channel"`
	About    string    `json:"about"`
	State    string    `json:"state"`
	Tries    int64     `json:"tries"`
	Made     time.Time `json:"made"`
	Code     string    `json:"code"`
	Attempts []struct {
		N        int64     `json:"n"`
		At       time.Time `json:"at"`
		TookMS   int64     `json:"took_ms"`
		Peer     string    `json:"peer"`
		Outcome  string    `json:"outcome"`
		Code     string    `json:"code"`
		Enhanced string    `json:"enhanced"`
		Text     string    `json:"text"`
		TLS      string    `json:"tls"`
	} `json:"attempts"`
}

func (a *app) watchCommand() *cobra.Command {
	return a.group("watch", "See alarms, say what they were, and how people are told",
		"Rules watch the journal, the gate and the machine. An alarm goes out by every way until somebody acknowledges it, and ends with a verdict.",
		"  writ watch alarms\n  writ watch ack ID --note \"I look at the disk\"\n  writ watch close ID --verdict true",
		a.watchAlarms(), a.watchShow(), a.watchBundle(), a.watchAck(), a.watchClose(), a.watchRules(), a.watchRule(), a.watchLessons(), a.watchFire(), a.watchBaselines(), a.watchSilence(), a.watchChannel(), a.watchTest(), a.watchDeliveries(), a.watchExports(), a.watchChart(), a.watchBudget(), a.watchOnCall(), a.watchRoute(), a.watchMute(), a.watchMeter(), a.watchSample())
}

// watchCall sends something to watch; what comes back is printed by show, or as it is.
func (a *app) watchCall(c *cobra.Command, method, path string, in any, show func(raw json.RawMessage) error) error {
	return a.sendTo(c, method, "watch/"+path, in, show)
}

// sendTo is watchCall for any part of the server.
func (a *app) sendTo(c *cobra.Command, method, path string, in any, show func(raw json.RawMessage) error) error {
	conn, err := a.open(c.Context())
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if method == http.MethodGet {
		err = conn.get(c.Context(), path, &raw)
	} else {
		err = conn.call(c.Context(), method, path, in, &raw)
	}
	if err != nil {
		return err
	}
	if a.json() {
		if len(raw) == 0 { // done, and nothing to tell
			raw = json.RawMessage("{}")
		}
		return a.printJSON(raw)
	}
	return show(raw)
}

func (a *app) watchAlarms() *cobra.Command {
	var all bool
	var rule string
	c := &cobra.Command{
		Use: "alarms", Short: "List alarms: those that fire first",
		Long:    "Lists the alarms that go on; with --all also those that are over, the newest first. Exit status 1: something fires that nobody has acknowledged.",
		Example: "  writ watch alarms\n  writ watch alarms --all --rule cpu-high", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			q := url.Values{"rule": {rule}}
			if !all {
				q.Set("open", "1")
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "watch/alarms?"+q.Encode(), &raw); err != nil {
				return err
			}
			return a.printAlarms(raw)
		}),
	}
	c.Flags().BoolVar(&all, "all", false, "also those that are over")
	c.Flags().StringVar(&rule, "rule", "", "of this rule alone")
	return c
}

// printAlarms lists them, and says no where one fires that nobody looks at.
func (a *app) printAlarms(raw json.RawMessage) error {
	var out struct{ Alarms []watchAlarm }
	if err := decode(raw, &out); err != nil {
		return err
	}
	firing := false
	t := newTable(a.out, "ALARM", "SEVERITY", "STATE", "WHAT", "ABOUT", "SINCE", "SEEN")
	for _, x := range out.Alarms {
		firing = firing || x.State == "firing" && !x.Test
		if !a.json() {
			t.row(x.ID, x.Severity, x.stands(), x.Title, x.Labels["instance"], a.when(x.Fired), x.Value)
		}
	}
	var err error
	switch {
	case a.json():
		err = a.printJSON(raw)
	case len(out.Alarms) == 0:
		a.say("No alarm.")
	default:
		err = t.flush()
	}
	if err == nil && firing {
		return no
	}
	return err
}

// stands is an alarm's state in words.
func (x *watchAlarm) stands() string {
	s := x.State
	switch {
	case x.Verdict != "":
		s += " as " + x.Verdict
	case x.State == "acknowledged":
		s += " by " + x.AckedBy
	case x.Silenced:
		s += ", silenced"
	case x.State == "firing" && x.Hidden != "":
		s += ", no news beside " + x.Hidden
	}
	if x.Test {
		s += " (test)"
	}
	return s
}

func (a *app) watchShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ALARM", Short: "Show one alarm: what it rests on, what happened, whom it reached",
		Long:    "Shows an alarm with its condition, what to do, the numbers of the journal's entries behind it, and the messages about it.",
		Example: "  writ watch show 06h1f8b6rs003a5bkqbefo7v90", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodGet, "alarms/"+url.PathEscape(args[0]), nil, func(raw json.RawMessage) error {
				var d struct {
					Alarm      watchAlarm
					Says, Next string
					Evidence   []int64
					Steps      []struct {
						At        time.Time
						What, Who string
					}
					Deliveries []watchDelivery
				}
				if err := decode(raw, &d); err != nil {
					return err
				}
				x := &d.Alarm
				a.say("%s: %s, %s since %s", visible(x.Title), x.Severity, x.stands(), a.when(x.Fired))
				a.say("%s. Seen: %s. %s", visible(d.Says), visible(x.Value), visible(d.Next))
				var ns []string
				for _, n := range d.Evidence {
					ns = append(ns, strconv.FormatInt(n, 10))
				}
				if len(ns) > 0 {
					a.say("Entries: %s (writ journal entries NUMBER)", strings.Join(ns, " "))
				}
				t := newTable(a.out, "WHEN", "WHAT", "BY")
				for _, e := range d.Steps {
					t.row(a.when(e.At), e.What, e.Who)
				}
				if err := t.flush(); err != nil {
					return err
				}
				return a.printDeliveries(d.Deliveries)
			})
		}),
	}
}

func (a *app) watchBundle() *cobra.Command {
	var out string
	c := &cobra.Command{Use: "bundle ALARM", Short: "Write an alarm with its evidence as a zip that writ verify checks", Long: "Writes what an alarm rests on: the entries of the journal with their proofs, what the rule said when it fired, what was read, and\nwhat was usual at that minute. writ verify asks the rule again, without a server.",
		Example: "  writ watch bundle 01J… --out alarm.zip\n  writ verify alarm.zip", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.fetchFile(c.Context(), "watch/alarms/"+url.PathEscape(args[0])+"/bundle", out, "Check it with: writ verify "+out)
		})}
	c.Flags().StringVar(&out, "out", "", "where to")
	_ = c.MarkFlagRequired("out") // the flag is there
	return c
}

func (a *app) watchAck() *cobra.Command {
	var note string
	c := &cobra.Command{
		Use: "ack ALARM", Short: "Say that you look at an alarm",
		Long:    "Acknowledges an alarm: nobody else is told for four hours. If it still goes on then, it is told again. The note is recorded.",
		Example: "  writ watch ack 06h1f8b6rs003a5bkqbefo7v90 --note \"I look at the disk\"", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodPost, "alarms/"+url.PathEscape(args[0])+"/acknowledge", map[string]string{"note": note}, func(json.RawMessage) error {
				a.say("You look at it. Nobody else is told for four hours.")
				return nil
			})
		}),
	}
	c.Flags().StringVar(&note, "note", "", "what you do; it is recorded")
	return c
}

func (a *app) watchClose() *cobra.Command {
	var verdict, note string
	c := &cobra.Command{
		Use: "close ALARM", Short: "Say what an alarm was, and end it",
		Long:    "Ends an alarm with a verdict: true (what the rule is for), benign (it was so, and meant), false (it was not so), test. Verdicts give each rule its precision.",
		Example: "  writ watch close 06h1f8b6rs003a5bkqbefo7v90 --verdict benign --note \"the nightly import\"", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodPost, "alarms/"+url.PathEscape(args[0])+"/close", map[string]string{"verdict": verdict, "note": note}, func(json.RawMessage) error {
				a.say("The alarm is closed as %s.", verdict)
				return nil
			})
		}),
	}
	c.Flags().StringVar(&verdict, "verdict", "", "true, benign, false or test")
	c.Flags().StringVar(&note, "note", "", "what it was; it is recorded")
	return c
}

func (a *app) watchRules() *cobra.Command {
	var bounds bool
	c := &cobra.Command{
		Use: "rules", Short: "List the rules, and how they did",
		Long: `Lists every rule with its condition, when it last fired, and its precision: how many of the last verdicts on
it were true or benign. With --bounds, at which numbers and times rules fire, where each comes from, and what else the
policy may say (bounds of mon.alarms).`,
		Example: "  writ watch rules\n  writ watch rules --bounds", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.watchCall(c, http.MethodGet, "rules", nil, func(raw json.RawMessage) error {
				var out struct {
					Rules []struct {
						ID, Part, Severity, Says string
						Fired                    time.Time
						Open, Verdicts           int64
						Precision                float64
						Bounds                   []struct{ Name, Value, From, Shipped, Least, Most string }
					}
				}
				if err := decode(raw, &out); err != nil {
					return err
				}
				if bounds {
					t := newTable(a.out, "BOUND", "VALUE", "FROM", "SHIPPED", "MAY BE")
					for _, r := range out.Rules {
						for _, b := range r.Bounds {
							t.row(r.ID+" "+b.Name, b.Value, b.From, b.Shipped, b.Least+" to "+b.Most)
						}
					}
					return t.flush()
				}
				t := newTable(a.out, "RULE", "PART", "SEVERITY", "FIRES AT", "OPEN", "LAST", "PRECISION")
				for _, r := range out.Rules {
					last, precision := "never", ""
					if !r.Fired.IsZero() {
						last = a.when(r.Fired)
					}
					if r.Verdicts > 0 {
						precision = strconv.Itoa(int(100*r.Precision)) + " % of " + strconv.FormatInt(r.Verdicts, 10)
					}
					t.row(r.ID, r.Part, r.Severity, r.Says, strconv.FormatInt(r.Open, 10), last, precision)
				}
				return t.flush()
			})
		}),
	}
	c.Flags().BoolVar(&bounds, "bounds", false, "list the numbers and times at which they fire")
	return c
}

func (a *app) watchFire() *cobra.Command {
	return &cobra.Command{
		Use: "fire RULE", Short: "Fire a rule as a test",
		Long:    "Opens a test alarm of a rule. It goes to the people whom a real one would reach, says that it is a test, and counts towards no precision.",
		Example: "  writ watch fire cpu-high", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodPost, "rules/"+url.PathEscape(args[0])+"/fire", nil, func(raw json.RawMessage) error {
				var out struct{ Alarm string }
				if err := decode(raw, &out); err != nil {
					return err
				}
				a.say("The test alarm %s fires. End it with: writ watch close %s --verdict test", out.Alarm, out.Alarm)
				return nil
			})
		}),
	}
}

// watchSilenceWire is a silence as the server shows it.
type watchSilenceWire struct {
	ID       string    `json:"id"`
	Matchers []string  `json:"matchers"`
	MadeBy   string    `json:"made_by"`
	Ends     time.Time `json:"ends"`
	Hid      int64     `json:"hid"`
	Version  int64     `json:"version"`
	Waits    bool      `json:"waits"`
}

// until is when it ends, or that it does not hold yet.
func (x *watchSilenceWire) until(a *app) string {
	if x.Waits {
		return a.when(x.Ends) + ", once a second person has approved it"
	}
	return a.when(x.Ends)
}

func (a *app) watchSilence() *cobra.Command {
	var reason, link string
	var lasts time.Duration
	add := &cobra.Command{
		Use: "add MATCHER…", Short: "Keep alarms from being told for a while",
		Long:    "Makes a silence of the alarms whose labels match all matchers: name=value, name!=value, name=~expression, name!~expression. The labels are alertname, part, clause, severity and instance. More than a day, or more than a quarter of the rules, holds once a second person has approved it in the console. What watches trust is never silent.",
		Example: "  writ watch silence add alertname=disk-full-soon --for 3h --reason \"the disk is being moved\"", Args: cobra.MinimumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodPost, "silences", map[string]any{"matchers": args, "reason": reason, "minutes": int64(lasts / time.Minute), "link": link}, func(raw json.RawMessage) error {
				var x watchSilenceWire
				if err := decode(raw, &x); err != nil {
					return err
				}
				a.say("The silence %s holds until %s.", x.ID, x.until(a))
				return nil
			})
		}),
	}
	add.Flags().StringVar(&reason, "reason", "", "why nobody need hear, at least 10 bytes; it is recorded")
	add.Flags().StringVar(&link, "link", "", "the clause or incident that it belongs to: clause/mon.load, incident/I-3")
	add.Flags().DurationVar(&lasts, "for", 2*time.Hour, "how long, at most 720h")
	list := &cobra.Command{
		Use: "list", Short: "List silences, and how much they kept quiet", Long: "Lists silences, the newest first; those that are over stay, with how many alarms they kept quiet.",
		Example: "  writ watch silence list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.watchCall(c, http.MethodGet, "silences", nil, func(raw json.RawMessage) error {
				var out struct{ Silences []watchSilenceWire }
				if err := decode(raw, &out); err != nil {
					return err
				}
				t := newTable(a.out, "SILENCE", "OF", "UNTIL", "BY", "KEPT QUIET")
				for _, x := range out.Silences {
					t.row(x.ID, strings.Join(x.Matchers, ", "), x.until(a), x.MadeBy, strconv.FormatInt(x.Hid, 10))
				}
				return t.flush()
			})
		}),
	}
	show := a.silenceShow()
	end := &cobra.Command{
		Use: "end SILENCE", Short: "End a silence now", Long: "Ends a silence before its time. What it kept quiet and still fires is told at once.",
		Example: "  writ watch silence end 06h1f8b6rs003a5bkqbefo7v90", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodDelete, "silences/"+url.PathEscape(args[0]), nil, func(json.RawMessage) error { a.say("The silence is ended."); return nil })
		}),
	}
	return a.group("silence", "Keep alarms from being told for a while", "A silence has a reason and an end. Alarms under it are seen and recorded, and told when it ends.", "  writ watch silence list", add, list, show, end)
}

func (a *app) silenceShow() *cobra.Command {
	return &cobra.Command{
		Use: "show SILENCE", Short: "Show one silence, its versions, and what it kept quiet", Long: "Shows who made a silence and until when it holds, the versions before and after it, and every alarm that it kept quiet.",
		Example: "  writ watch silence show 06h1f8b6rs003a5bkqbefo7v90", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodGet, "silences/"+url.PathEscape(args[0]), nil, func(raw json.RawMessage) error {
				var k struct {
					Silence  watchSilenceWire
					Versions []watchSilenceWire
					Alarms   []watchAlarm
				}
				if err := decode(raw, &k); err != nil {
					return err
				}
				a.say("%s, by %s, until %s. It kept %d quiet.", strings.Join(k.Silence.Matchers, ", "), k.Silence.MadeBy, k.Silence.until(a), k.Silence.Hid)
				t := newTable(a.out, "ALARM", "SEVERITY", "STATE", "WHAT", "ABOUT", "SINCE")
				for _, x := range k.Alarms {
					t.row(x.ID, x.Severity, x.stands(), x.Title, x.Labels["instance"], a.when(x.Fired))
				}
				if err := t.flush(); err != nil || len(k.Versions) < 2 {
					return err
				}
				v := newTable(a.out, "VERSION", "OF", "UNTIL", "BY")
				for _, x := range k.Versions {
					v.row(strconv.FormatInt(x.Version, 10), strings.Join(x.Matchers, ", "), x.until(a), x.MadeBy)
				}
				return v.flush()
			})
		}),
	}
}

const mostChannelURL = 2048

func (a *app) watchChannel() *cobra.Command {
	var kind string
	add := &cobra.Command{
		Use: "add NAME", Short: "Add a way by which people are told; its address comes on standard input",
		Long:    "Adds a webhook (signed after Standard Webhooks; the secret is printed once), a channel that speaks like Slack's, or one of Teams, PagerDuty, ntfy, Gotify, Telegram, Matrix, Signal, Google Chat, Opsgenie, Pushover or Zulip. The address is a secret, so it is read from standard input, with the token or key behind it where the channel has one; of a command it is the name under watch.commands.",
		Example: "  writ watch channel add ops --kind slack < url.txt", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			in := map[string]string{"name": args[0], "kind": kind}
			if kind != "file" {
				b, err := io.ReadAll(io.LimitReader(a.in, mostChannelURL))
				if err != nil {
					return err
				}
				in["url"] = secret.NewText(strings.TrimSpace(string(b))).Reveal()
			}
			return a.watchCall(c, http.MethodPost, "channels", in, func(raw json.RawMessage) error {
				var out struct{ Secret string }
				if err := decode(raw, &out); err != nil {
					return err
				}
				a.say("The channel %s is there. Try it with: writ watch send-test %s", args[0], args[0])
				if out.Secret != "" {
					a.say("The secret that signs its messages, shown this once: %s", out.Secret)
				}
				return nil
			})
		}),
	}
	add.Flags().StringVar(&kind, "kind", "webhook", "webhook, slack, teams, pagerduty, ntfy, gotify, telegram, matrix, signal, google-chat, opsgenie, pushover, zulip, command, or file where mail goes into a folder too")
	list := &cobra.Command{
		Use: "list", Short: "List the ways by which people are told", Long: "Lists channels, without their addresses: when each was last tested, and when a test was last taken.",
		Example: "  writ watch channel list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.watchCall(c, http.MethodGet, "channels", nil, func(raw json.RawMessage) error {
				var out struct {
					Channels []struct {
						Name, Kind       string
						Tested, Accepted time.Time
					}
				}
				if err := decode(raw, &out); err != nil {
					return err
				}
				t := newTable(a.out, "CHANNEL", "KIND", "TESTED", "TAKEN")
				for _, x := range out.Channels {
					times := []string{"never", "never"}
					for i, at := range []time.Time{x.Tested, x.Accepted} {
						if !at.IsZero() {
							times[i] = a.when(at)
						}
					}
					t.row(x.Name, x.Kind, times[0], times[1])
				}
				return t.flush()
			})
		}),
	}
	remove := &cobra.Command{
		Use: "remove NAME", Short: "Remove a way by which people are told", Long: "Removes a channel. What waits for it is rejected.",
		Example: "  writ watch channel remove ops", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodDelete, "channels/"+url.PathEscape(args[0]), nil, func(json.RawMessage) error {
				a.say("The channel %s is removed.", args[0])
				return nil
			})
		}),
	}
	return a.group("channel", "The ways by which people are told", "Alarms go out by mail and by every channel that is listed here.", "  writ watch channel list", add, list, remove)
}

func (a *app) watchTest() *cobra.Command {
	return &cobra.Command{
		Use: "send-test CHANNEL", Short: "Send a test message",
		Long:    "Sends a test message on a channel; by mail to the first person who is told of alarms. Whether it was taken shows in: writ watch channel list",
		Example: "  writ watch send-test mail", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodPost, "channels/"+url.PathEscape(args[0])+"/test", nil, func(raw json.RawMessage) error {
				var out struct{ Delivery string }
				if err := decode(raw, &out); err != nil {
					return err
				}
				a.say("The test is queued. See what came back: writ watch deliveries %s", out.Delivery)
				return nil
			})
		}),
	}
}

func (a *app) watchDeliveries() *cobra.Command {
	var alarm, state string
	c := &cobra.Command{
		Use: "deliveries [DELIVERY]", Short: "Show what was sent, and what came back",
		Long:    "Lists messages with their state: queued, sent, accepted, deferred, rejected, unknown. Of one it shows every try, with the words of the answer.",
		Example: "  writ watch deliveries --state rejected", Args: cobra.MaximumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				q := url.Values{"alarm": {alarm}, "state": {state}}
				return a.watchCall(c, http.MethodGet, "deliveries?"+q.Encode(), nil, func(raw json.RawMessage) error {
					var out struct{ Deliveries []watchDelivery }
					if err := decode(raw, &out); err != nil {
						return err
					}
					return a.printDeliveries(out.Deliveries)
				})
			}
			return a.watchCall(c, http.MethodGet, "deliveries/"+url.PathEscape(args[0]), nil, func(raw json.RawMessage) error {
				var d watchDelivery
				if err := decode(raw, &d); err != nil {
					return err
				}
				if err := a.printDeliveries([]watchDelivery{d}); err != nil {
					return err
				}
				t := newTable(a.out, "TRY", "WHEN", "TOOK", "PEER", "TLS", "OUTCOME", "CODE", "ANSWER")
				for _, x := range d.Attempts {
					t.row(strconv.FormatInt(x.N, 10), a.when(x.At), strconv.FormatInt(x.TookMS, 10)+" ms", x.Peer, x.TLS, x.Outcome, strings.TrimSpace(x.Code+" "+x.Enhanced), x.Text)
				}
				return t.flush()
			})
		}),
	}
	c.Flags().StringVar(&alarm, "alarm", "", "about this alarm")
	c.Flags().StringVar(&state, "state", "", "in this state")
	return c
}

func (a *app) printDeliveries(ds []watchDelivery) error {
	if len(ds) == 0 {
		a.say("Nothing was sent.")
		return nil
	}
	t := newTable(a.out, "DELIVERY", "WHEN", "BY", "ABOUT", "STATE", "TRIES", "CODE")
	for _, d := range ds {
		t.row(d.ID, a.when(d.Made), d.Channel, d.About, d.State, strconv.FormatInt(d.Tries, 10), d.Code)
	}
	return t.flush()
}
