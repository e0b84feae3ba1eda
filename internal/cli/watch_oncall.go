package cli

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// onCallTurn is whose turn it is, as the server shows it.
type onCallTurn struct {
	Person  string `json:"person"`
	Instead string `json:"instead_of"`
}

// says names the person, and whose turn it would be.
func (t onCallTurn) says() string {
	switch {
	case t.Person == "":
		return "nobody"
	case t.Instead != "":
		return t.Person + " (instead of " + t.Instead + ")"
	}
	return t.Person
}

// onCallBoard is who is on call, and who will be.
type onCallBoard struct {
	Rotas []struct {
		Rota, Zone, Day, At string
		People              []string
	}
	Ahead []struct {
		From, Until   time.Time
		First, Second onCallTurn
	}
	Overrides []onCallOverride
	Gaps      []struct {
		Rota, Person, Why string
		From              time.Time
	}
	Owners, Channels []string
}

// onCallOverride is a turn that changes hands.
type onCallOverride struct {
	ID, Rota, Of, By string
	From, Until      time.Time
	OfAgreed         bool `json:"of_agreed"`
	ByAgreed         bool `json:"by_agreed"`
	Stands           bool
}

func (a *app) watchOnCall() *cobra.Command {
	return a.group("oncall", "Who is told of alarms first, and who after them",
		"A rota has people who take turns, a week each. Alarms go to whose turn it is, then to the second as well, then to the owners too, until somebody acknowledges. Without a rota engineers are told first, and owners with them.",
		"  writ watch oncall set first --people ana,ben,cleo --zone Europe/Berlin --day monday --at 09:00\n  writ watch oncall show\n  writ watch oncall override first --by ben --until \"2026-11-30 09:00\"",
		a.onCallShow(), a.onCallSet(), a.onCallRemove(), a.onCallOverride())
}

func (a *app) onCallShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show who is on call, and who will be",
		Long:    "Shows whose turn it is now and in the weeks ahead, which turns change hands, and where nobody could be told. Exit status 1: somewhere within two weeks.",
		Example: "  writ watch oncall show", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "watch/oncall", &raw); err != nil {
				return err
			}
			return a.printOnCall(raw)
		}),
	}
}

// printOnCall lists turns, and says no where one is nobody's.
func (a *app) printOnCall(raw json.RawMessage) error {
	var b onCallBoard
	if err := decode(raw, &b); err != nil {
		return err
	}
	var err error
	switch {
	case a.json():
		err = a.printJSON(raw)
	case len(b.Rotas) == 0:
		a.say("No rota is set: engineers are told first, and owners with them when nobody acknowledged.")
	default:
		t := newTable(a.out, "FROM", "UNTIL", "FIRST", "THEN")
		for _, x := range b.Ahead {
			t.row(a.when(x.From), a.when(x.Until), x.First.says(), x.Second.says())
		}
		if err = t.flush(); err != nil {
			return err
		}
		a.say("Then the owners: %s", strings.Join(b.Owners, ", "))
		for _, o := range b.Overrides {
			if !o.Stands {
				a.say("Asked for: %s takes the turn of %s (%s) from %s to %s; it stands when both have agreed.", o.By, o.Of, o.Rota, a.when(o.From), a.when(o.Until))
			}
		}
		for _, g := range b.Gaps {
			a.say("Gap from %s (%s): %s", a.when(g.From), g.Rota, map[string]string{"left": g.Person + " cannot be told any more", "same": g.Person + " is first and second at once", "none": "it is nobody's turn"}[g.Why])
		}
		for _, name := range b.Channels {
			a.say("Gap: the channel %s took no test this week.", name)
		}
	}
	if err == nil && len(b.Gaps)+len(b.Channels) > 0 {
		return no
	}
	return err
}

func (a *app) onCallSet() *cobra.Command {
	var people []string
	var zone, day, at string
	c := &cobra.Command{
		Use: "set ROTA", Short: "Set who takes turns, a week each",
		Long:    "Sets the rota first, or second. The first of the people has the turn that goes on; turns change on a day of the week, by the clock in the rota's zone. People are engineers or owners, by handle or address. Without a rota second, whoever is next in the first is second.",
		Example: "  writ watch oncall set first --people ana,ben,cleo --zone Europe/Berlin --day monday --at 09:00", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodPut, "oncall/"+url.PathEscape(args[0]), map[string]any{"people": people, "zone": zone, "day": day, "at": at}, func(raw json.RawMessage) error {
				a.say("The rota %s is set.", args[0])
				return a.printOnCall(raw)
			})
		}),
	}
	c.Flags().StringSliceVar(&people, "people", nil, "who takes turns, in their order")
	c.Flags().StringVar(&zone, "zone", "UTC", "the time zone of the hand-over")
	c.Flags().StringVar(&day, "day", "monday", "the day of the hand-over")
	c.Flags().StringVar(&at, "at", "09:00", "its hour")
	return c
}

func (a *app) onCallRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove ROTA", Short: "Remove a rota", Long: "Removes a rota. Without the first, engineers are told first, and owners with them when nobody acknowledged.",
		Example: "  writ watch oncall remove second", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodDelete, "oncall/"+url.PathEscape(args[0]), nil, func(json.RawMessage) error {
				a.say("The rota %s is removed.", args[0])
				return nil
			})
		}),
	}
}

func (a *app) onCallOverride() *cobra.Command {
	var in struct {
		By        string `json:"by"`
		From      string `json:"from,omitempty"`
		Until     string `json:"until"`
		BackFrom  string `json:"back_from,omitempty"`
		BackUntil string `json:"back_until,omitempty"`
	}
	c := &cobra.Command{
		Use: "override ROTA", Short: "Ask that somebody takes over a turn, or swaps one",
		Long:    "Asks for a turn, or a part of one, to be taken over, and perhaps another in return. It stands when both people have agreed, each for themselves: in the console, Alarms, Who is on call. Whoever asks and is one of them has agreed.",
		Example: "  writ watch oncall override first --by ben --from \"2026-11-28 18:00\" --until \"2026-11-30 09:00\" --back-from \"2026-12-05 18:00\" --back-until \"2026-12-07 09:00\"", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodPost, "oncall/"+url.PathEscape(args[0])+"/overrides", in, func(raw json.RawMessage) error {
				var o onCallOverride
				if err := decode(raw, &o); err != nil {
					return err
				}
				a.say("%s is asked to take the turn of %s from %s to %s. Both are told; it stands when both have agreed.", o.By, o.Of, a.when(o.From), a.when(o.Until))
				return nil
			})
		}),
	}
	c.Flags().StringVar(&in.By, "by", "", "who takes it")
	c.Flags().StringVar(&in.From, "from", "", "when, by the clock of the rota; empty: now")
	c.Flags().StringVar(&in.Until, "until", "", "until when")
	c.Flags().StringVar(&in.BackFrom, "back-from", "", "a turn in return, from")
	c.Flags().StringVar(&in.BackUntil, "back-until", "", "and until")
	return c
}
