package cli

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// watchRouting is how alarms are told, as the server shows it.
type watchRouting struct {
	Routes []struct {
		Name, People    string
		When, By, Waits []string
	}
	Groups []struct {
		Name          string
		Roles, People []string
	}
	Left bool
}

// watchTaken is what would become of an alarm, as the server shows it.
type watchTaken struct {
	Route, Nobody, Times, Again string
	May, Channels               []string
	Levels                      []struct {
		Level  int
		After  string
		People []string
	}
}

func (a *app) watchRoute() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the routes in force, and the groups that they name",
		Long:    "Lists the rows of mon.notify/routes in their order: the first that takes an alarm decides. Below stand the groups (mon.notify/groups), with who of each would be told now.",
		Example: "  writ watch route list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.watchCall(c, http.MethodGet, "routes", nil, a.printRoutes)
		}),
	}
	var rule, part, of, severity string
	test := &cobra.Command{
		Use: "test [ALARM]", Short: "Say which route takes an alarm, and who would be told now",
		Long: `Names the row that takes an alarm, who would be told now at each level, by which channels, and when again. The alarm is
one that there is, by its id, or any of a rule, a clause, a component or a severity. Nobody is told anything. Silences,
hours without tickets and maintenance are not looked at.`,
		Example: "  writ watch route test --rule cpu-high\n  writ watch route test --component trust --severity page\n  writ watch route test 01JD3Z5Y3Q0000000000000000", Args: cobra.MaximumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			q := url.Values{}
			for name, v := range map[string]string{"rule": rule, "clause": of, "component": part, "severity": severity, "alarm": strings.Join(args, "")} {
				if v != "" {
					q.Set(name, v)
				}
			}
			return a.watchCall(c, http.MethodGet, "routes/test?"+q.Encode(), nil, a.printTaken)
		}),
	}
	test.Flags().StringVar(&rule, "rule", "", "of this rule, such as cpu-high")
	test.Flags().StringVar(&of, "clause", "", "of a rule for this clause, such as mon.load")
	test.Flags().StringVar(&part, "component", "", "of a rule of this part, such as trust")
	test.Flags().StringVar(&severity, "severity", "", "page, ticket or notice")
	return a.group("route", "Which alarms go to whom", "Routes are a table of the policy (routes of mon.notify), and so are the groups that they name (groups of mon.notify). They change by a revision that owners sign.",
		"  writ watch route list\n  writ watch route test --rule cpu-high", list, test)
}

func (a *app) printRoutes(raw json.RawMessage) error {
	var out watchRouting
	if err := decode(raw, &out); err != nil {
		return err
	}
	or := func(words []string, none string) string {
		if len(words) == 0 {
			return none
		}
		return strings.Join(words, " ")
	}
	t := newTable(a.out, "ROUTE", "TAKES", "TELLS", "BY", "AGAIN AFTER")
	for _, r := range out.Routes {
		t.row(r.Name, or(r.When, "any"), r.People, or(r.By, "all"), or(r.Waits, "usual"))
	}
	if out.Left {
		t.row("all others", "any", "rota", "all", "usual")
	}
	if err := t.flush(); err != nil || len(out.Groups) == 0 {
		return err
	}
	a.say("")
	t = newTable(a.out, "GROUP", "ROLES", "TOLD NOW")
	for _, g := range out.Groups {
		t.row(g.Name, or(g.Roles, ""), or(g.People, "nobody: its alarms go as without a route"))
	}
	return t.flush()
}

func (a *app) printTaken(raw json.RawMessage) error {
	var x watchTaken
	if err := decode(raw, &x); err != nil {
		return err
	}
	switch {
	case x.Nobody != "":
		a.say("The row %s takes it, and tells the group %s, in which nobody can be told now: it goes as without a route.", visible(x.Route), visible(x.Nobody))
	case x.Route == "":
		a.say("No row takes it: it goes as without a route.")
	default:
		a.say("The row %s takes it.", visible(x.Route))
	}
	if len(x.May) > 0 {
		a.say("Before it these may, by what is not said of the alarm here: %s", visible(strings.Join(x.May, ", ")))
	}
	a.say("By %s. Times are those of a %s.", visible(strings.Join(x.Channels, ", ")), visible(x.Times))
	t := newTable(a.out, "LEVEL", "AFTER", "TOLD")
	for _, l := range x.Levels {
		people := strings.Join(l.People, " ")
		if people == "" {
			people = "nobody can be told"
		}
		t.row(strconv.Itoa(l.Level), l.After, people)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if x.Again == "" {
		a.say("It is told once.")
		return nil
	}
	a.say("Then again every %s, until somebody acknowledges.", visible(x.Again))
	return nil
}
