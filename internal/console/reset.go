package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/identity"
	"writ/internal/web"
)

const atResets = "/-/console/factor-resets"

func (c *Console) resetRoutes(staff staffRoute) []web.Route {
	return []web.Route{
		staff("GET /-/console/factor-resets", access.PeopleManage, atResets, c.showResets),
		staff("POST /-/console/factor-resets", access.PeopleManage, atResets, c.askReset),
		staff("POST /-/console/factor-resets/agree", access.PeopleManage, atResets, c.agreeReset),
		staff("POST /-/console/factor-resets/refuse", access.PeopleManage, atResets, c.refuseReset),
	}
}

// staffRoute makes a route for staff with a right.
type staffRoute = func(pattern string, need access.Action, at string, h web.Handler) web.Route

// resetRow is one request to take lost factors away, with what its reader may do.
type resetRow struct {
	Mark          web.Mark
	Who, Href     string
	Reason, Says  string
	Asked         time.Time
	Waits         time.Time
	Person        string
	Agree, Refuse string // addresses
}

type resetsPage struct {
	Waiting []resetRow
	Past    []resetRow
	Ask     web.Form
}

func (c *Console) showResets(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.resetsPage(w, r, who, url.Values{}, nil)
}

func (c *Console) resetsPage(w http.ResponseWriter, r *http.Request, who actor.Actor, typed url.Values, fail error) error {
	rs, err := c.Identity.FactorResets(r.Context(), who, "")
	if err != nil {
		return err
	}
	p := resetsPage{Ask: web.Form{Action: atResets, Act: "Ask for a reset", Fault: fail, Loses: "When a second person agrees, all their second factors and recovery codes are gone and every session ends. They are told by mail now.",
		Fields: []web.Field{{Name: "person", Label: "Whose factors are lost", Value: typed.Get("person"), Required: true, Complete: "off", Hint: "Address or handle."},
			{Name: "reason", Label: "How do you know that it is the person who asks", Value: typed.Get("reason"), Required: true, Complete: "off", Max: 100, Hint: "10 to 100 characters, such as: called back on the number in the file."}}}}
	for i := range rs {
		row := c.resetRow(r.Context(), who, &rs[i])
		if rs[i].Ended.IsZero() {
			p.Waiting = append(p.Waiting, row)
		} else {
			p.Past = append(p.Past, row)
		}
	}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	return c.answer(w, r, st, "resets", web.View{Title: "Lost factors", Lead: "Somebody lost every second factor. One person asks with a reason, another agrees.", Up: &web.Link{Text: "People", Href: atPeople}, Data: p})
}

func (c *Console) resetRow(ctx context.Context, who actor.Actor, x *identity.ResetShown) resetRow {
	row := resetRow{Who: c.Identity.Name(ctx, x.Person), Href: personHref(x.Person), Reason: x.Reason, Asked: x.Asked, Person: x.Person, Says: "asked for by " + c.resetter(ctx, x.AskedBy)}
	if x.Ended.IsZero() {
		row.Mark, row.Waits = web.Mark{State: web.StaleNow, Word: "waits for a second person"}, x.Waits
		me := who.ID
		if who.Kind != actor.Person {
			me = who.String()
		}
		row.Refuse = atResets + "/refuse"
		if me != x.AskedBy && me != x.Person {
			row.Agree = atResets + "/agree"
		}
		return row
	}
	row.Mark = web.Mark{State: web.Unproved, Word: "ended, " + strings.ReplaceAll(x.Cause, "-", " ")}
	if x.Cause == "done" {
		row.Mark = web.Mark{State: web.Holds, Word: "done"}
		row.Says += "; agreed to by " + c.resetter(ctx, x.AgreedBy)
		if x.AgreedBy == "" {
			row.Says = "asked for by " + c.resetter(ctx, x.AskedBy) + "; nobody answered in time"
		}
	}
	return row
}

// resetter names who asked or agreed.
func (c *Console) resetter(ctx context.Context, by string) string {
	if strings.Contains(by, "/") {
		return c.acted(ctx, by)
	}
	return c.Identity.Name(ctx, by)
}

func (c *Console) askReset(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if _, err := c.Identity.AskFactorReset(r.Context(), who, strings.TrimSpace(f.Get("person")), f.Get("reason")); err != nil {
		if !formed(err) {
			return err
		}
		return c.resetsPage(w, r, who, f, err)
	}
	return c.done(w, r, atResets, "Asked for: another person must agree. They were told by mail.")
}

func (c *Console) agreeReset(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.decideReset(w, r, "Agreed: their factors are gone, and they are signed out everywhere.", func(ctx context.Context, person string) error {
		return c.Identity.AgreeFactorReset(ctx, who, person)
	})
}

func (c *Console) refuseReset(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.decideReset(w, r, "Refused: their factors stay.", func(ctx context.Context, person string) error {
		return c.Identity.WithdrawFactorReset(ctx, who, person)
	})
}

func (c *Console) decideReset(w http.ResponseWriter, r *http.Request, says string, act func(context.Context, string) error) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := act(r.Context(), f.Get("person")); err != nil {
		return err
	}
	return c.done(w, r, atResets, says)
}

// resetFact is the request that waits for a person, for readers who may decide.
func (c *Console) resetFact(ctx context.Context, who actor.Actor, person string) []fact {
	if !c.Access.May(who, access.PeopleManage) {
		return nil
	}
	rs, err := c.Identity.FactorResets(ctx, who, person)
	if err != nil {
		return []fact{{Name: "Lost factors", Text: "cannot be read right now"}}
	}
	for i := range rs {
		if rs[i].Ended.IsZero() {
			return []fact{{Name: "Lost factors", Text: "a reset waits for a second person", Sub: rs[i].Reason, Href: atResets}}
		}
	}
	return nil
}

// receiptRow is one kind of access that ended.
type receiptRow struct {
	Facts  []fact
	Table  web.Table
	Entry  string // address
	Bundle string // address of what proves it without this server

}

// receiptsOf are what ended when a person left.
func (c *Console) receiptsOf(ctx context.Context, who actor.Actor, person string) ([]receiptRow, error) {
	rs, err := c.Identity.Receipts(ctx, who, person)
	if err != nil {
		return nil, err
	}
	var out []receiptRow
	for _, x := range rs {
		n := web.Number(x.N)
		row := receiptRow{Entry: atJournal + "/" + url.PathEscape(x.Entry), Facts: []fact{{Name: "Ended", Time: x.At, Sub: "entry " + n}, {Name: "How", Text: strings.ReplaceAll(x.How, "-", " ")}}}
		if x.Team != "" {
			row.Facts = append(row.Facts, fact{Name: "Only in", Text: c.teamCalled(ctx, x.Team)})
		}
		left := web.Mark{State: web.Holds, Word: "nothing was left"}
		if len(x.Left) > 0 {
			left = web.Mark{State: web.Broken, Word: "left: " + strings.Join(x.Left, ", ")}
		}
		row.Facts = append(row.Facts, fact{Name: "Seen afterwards", Mark: &left})
		row.Table = web.Table{Caption: "What ended, and after how long nothing of it was left", Columns: []web.Column{{Name: "Kind"}, {Name: "Ended", Figure: true}, {Name: "Seconds to zero", Figure: true}}}
		for _, k := range x.Kinds {
			row.Table.Rows = append(row.Table.Rows, web.Row{Cells: []web.Cell{{Text: strings.ReplaceAll(k.Kind, "-", " ")}, {Text: web.Number(k.Ended)}, {Text: seconds(k.Seconds)}}})
		}
		if c.Access.May(who, access.JournalExport) {
			row.Bundle = "/-/api/v1/journal/export?" + url.Values{"from": {itoa(x.N)}, "to": {itoa(x.N + 1)}, "opened": {"0"}, "reason": {"receipt of an offboarding"}}.Encode()
		}
		out = append(out, row)
	}
	return out, nil
}

func (c *Console) teamCalled(ctx context.Context, team string) string {
	if n := c.Identity.TeamName(ctx, team); n != "" {
		return n
	}
	return "the team " + team
}

func seconds(s float64) string { return strconv.FormatFloat(s, 'f', 3, 64) }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
