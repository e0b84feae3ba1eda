package cli

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// sharesWire are an account's figures, of one team or of all.
type sharesWire struct {
	Down    int64 `json:"down_seconds"`
	Partial int64 `json:"partial_seconds"`
	Unseen  int64 `json:"unseen_seconds"`
	Writes  int64 `json:"lost_writes"`
	Held    bool  `json:"held_back"`
	Data    []struct {
		Class          string
		Records, Whole int64
		People         int64
		Categories     []string
	}
}

func (a *app) incidentAccount() *cobra.Command {
	var team string
	c := &cobra.Command{Use: "account INCIDENT", Short: "Show what an incident did to each team", Long: `Shows which teams an incident affected and the sums over them; with --team what the admins of that team read in
their account, and whether they may read it by now: an incident that was published or that the team was told of, and
of exposed data nothing before its letters have gone out. What it tells of exposed data is for those with a role in
the incident.`,
		Example: "  writ incident account I-1\n  writ incident account I-1 --team 6f1c… --format json", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			path := "incidents/" + url.PathEscape(args[0]) + "/accounts"
			if team != "" {
				path += "/" + url.PathEscape(team)
			}
			if err := conn.get(c.Context(), path, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			if team == "" {
				return a.sayTotals(raw)
			}
			return a.sayAccount(raw)
		})}
	c.Flags().StringVar(&team, "team", "", "id of the team")
	return c
}

func (a *app) sayTotals(raw json.RawMessage) error {
	var x struct {
		sharesWire
		Teams            []string
		Letters, Outside int64
	}
	if err := decode(raw, &x); err != nil {
		return err
	}
	a.say("%d teams are affected, as far as it is known: %s", len(x.Teams), visible(strings.Join(x.Teams, " ")))
	a.sayShares(x.sharesWire, "added up over the teams")
	a.say("%d letters to their people, %d to people of no team.", x.Letters, x.Outside)
	return nil
}

func (a *app) sayAccount(raw json.RawMessage) error {
	var x struct {
		sharesWire
		Ref, Team, Affected string
		Shown               bool
		Messages            []struct {
			About, Class, State string
			Letters             int64
			Entries             []int64
		}
	}
	if err := decode(raw, &x); err != nil {
		return err
	}
	sees := "Its admins do not see it yet: nobody was told of it."
	switch {
	case x.Shown:
		sees = "Its admins see this in their account."
	case x.Affected == "no":
		sees = "Its admins see nothing of it."
	}
	a.say("%s, team %s: affected: %s. %s", x.Ref, visible(x.Team), x.Affected, sees)
	a.sayShares(x.sharesWire, "")
	if len(x.Messages) == 0 {
		return nil
	}
	t := newTable(a.out, "ABOUT", "CLASS", "LETTERS", "STATE", "ENTRIES")
	for _, m := range x.Messages {
		var ns []string
		for _, n := range m.Entries[:min(len(m.Entries), 10)] {
			ns = append(ns, strconv.FormatInt(n, 10))
		}
		t.row(m.About, m.Class, strconv.FormatInt(m.Letters, 10), m.State, strings.Join(ns, " "))
	}
	return t.flush()
}

func (a *app) sayShares(x sharesWire, how string) {
	if how != "" {
		how = ", " + how
	}
	a.say("Down for %s, working in part for %s, not seen for %s%s. %d changes are lost.", seconds(x.Down), seconds(x.Partial), seconds(x.Unseen), how, x.Writes)
	for _, d := range x.Data {
		whole := ""
		if d.Whole > 0 {
			whole = ", and data of a team as a whole"
		}
		a.say("  %s: %d records%s; %d people were told (%s)", d.Class, d.Records, whole, d.People, strings.Join(d.Categories, ", "))
	}
	if x.Held {
		a.say("  There may be more about exposed data, for those with a role in the incident.")
	}
}

func seconds(n int64) string { return (time.Duration(n) * time.Second).String() }
