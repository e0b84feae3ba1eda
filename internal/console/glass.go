package console

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity/glass"
	"writ/internal/web"
)

// Glass is what the page of break-glass needs.
type Glass interface {
	Stands(ctx context.Context, who actor.Actor) (glass.State, error)
	Prepare(ctx context.Context, who actor.Actor, in glass.NewSet) (glass.Set, error)
	Withdraw(ctx context.Context, who actor.Actor) error
	EndUse(ctx context.Context, who actor.Actor, id string) error
}

const atGlass = "/-/console/break-glass"

// glassRoutes are the pages of break-glass; none without it.
func (c *Console) glassRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	if c.Glass == nil {
		return nil
	}
	return []web.Route{
		staff("GET /-/console/break-glass", access.RightsRead, atGlass, c.showGlass),
		staff("POST "+atGlass, access.GlassPrepare, atGlass, c.prepareGlass),
		staff("POST "+atGlass+"/withdraw", access.GlassPrepare, atGlass, c.withdrawGlass),
		staff("POST "+atGlass+"/end", access.SessionsEnd, atGlass, c.endGlass),
	}
}

type glassPage struct {
	Lead     string
	Sets     []glassSet
	Acts     []web.Link
	Now      []glassUse // what goes on
	Prepare  *web.Form
	Withdraw *web.Form
	Past     web.Table
}

type glassSet struct {
	Title string
	Mark  web.Mark
	Table web.Table
}

type glassUse struct {
	ID, Says, Reason string
	End              string // where it is ended; "" = not by this reader
}

func (c *Console) showGlass(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.glassPage(w, r, who, http.StatusOK, "", "", nil)
}

func (c *Console) glassPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, typed, need string, fail error) error {
	s, err := c.Glass.Stands(r.Context(), who)
	if err != nil {
		return err
	}
	p := glassPage{Lead: "No set of shares is live: if no owner can come in, nobody can let them back in."}
	for _, x := range []*glass.Set{s.Live, s.Waiting} {
		if x != nil {
			p.Sets = append(p.Sets, c.glassSet(x))
		}
	}
	if s.Live != nil {
		p.Lead = strconv.Itoa(s.Live.Need) + " of " + strconv.Itoa(len(s.Live.Shares)) + " holders together open an owner's session when no owner can come in. "
		p.Acts = []web.Link{{Text: "Practise it", Href: "/-/break-glass?drill=1"}, {Text: "Break the glass", Href: "/-/break-glass"}}
		if s.Drilled.IsZero() {
			p.Lead += "The shares were never tried."
		} else {
			p.Lead += "They were last tried " + web.Age(c.Now(), s.Drilled) + "; the next drill is due on " + day(s.Due) + "."
		}
	}
	p.Past = web.Table{Caption: "Openings and drills", Columns: []web.Column{{Name: "What"}, {Name: "Asked by"}, {Name: "When"}, {Name: "Shares", Figure: true}, {Name: "How it went"}},
		Empty: web.Empty{Says: "Nobody has broken the glass, or practised it."}}
	for _, u := range s.Uses {
		what := "Opening"
		if u.Drill {
			what = "Drill"
		}
		if u.Ended.IsZero() {
			now := glassUse{ID: u.ID, Says: what + " begun by " + u.AskedBy + ", " + strconv.Itoa(u.Given) + " given. " + glassHow(u), Reason: u.Reason}
			if c.Access.May(who, access.SessionsEnd) {
				now.End = atGlass + "/end"
			}
			p.Now = append(p.Now, now)
		}
		p.Past.Rows = append(p.Past.Rows, web.Row{Cells: []web.Cell{{Text: what, Href: atJournal + "?object=break-glass/" + u.ID}, {Text: u.AskedBy, Sub: u.Reason}, {At: u.Asked}, {Text: strconv.Itoa(u.Given)}, {Text: glassHow(u)}}})
	}
	if c.Access.May(who, access.GlassPrepare) {
		p.Prepare = &web.Form{Action: atGlass, Act: "Prepare a set", Quiet: s.Live != nil, Fault: fail, Fields: []web.Field{
			{Name: "holder", Label: "Holders", Type: "textarea", Rows: 4, Value: typed, Required: true, Hint: "Addresses of members of staff, one a line; one more than are needed, at least. Each picks up their share on a page of their own."},
			{Name: "need", Label: "How many are needed", Value: need, Mode: "numeric", Max: 2, Complete: "off", Hint: "Empty: as many as the policy asks for."}}}
		if s.Live != nil || s.Waiting != nil {
			p.Withdraw = &web.Form{Action: atGlass + "/withdraw", Act: "Withdraw all shares", Loses: "No share opens anything any more, and nobody can break the glass until a new set is live.", Part: "withdraw"}
		}
	}
	return c.answer(w, r, st, "glass", web.View{Title: "Break-glass", Lead: p.Lead, Data: p})
}

// glassHow is how an opening went, in words.
func glassHow(u glass.Use) string {
	switch {
	case u.Cause == "drilled":
		return "The shares fit."
	case u.Cause == "dropped":
		return "Too few shares in time."
	case u.Cause == "not-entered":
		return "Granted; nobody entered."
	case u.Cause == "superseded" || u.Cause == "withdrawn":
		return "The set was " + u.Cause + "."
	case !u.Ended.IsZero() && u.Entered.IsZero():
		return "Stopped."
	case !u.Ended.IsZero():
		return "A session, ended after " + web.Duration(u.Ended.Sub(u.Entered)) + "."
	case !u.Entered.IsZero():
		return "A session, until " + u.Ends.UTC().Format("15:04 UTC") + "."
	case !u.Granted.IsZero():
		return "Granted; the session may begin until " + u.Until.UTC().Format("15:04 UTC") + "."
	}
	return "Shares may be given until " + u.Until.UTC().Format("15:04 UTC") + "."
}

func (c *Console) glassSet(x *glass.Set) glassSet {
	out := glassSet{Title: "Set " + strconv.Itoa(x.Number), Mark: web.Mark{State: web.Holds, Word: "live", At: x.Began}, Table: web.Table{
		Caption: strconv.Itoa(x.Need) + " of " + strconv.Itoa(len(x.Shares)) + " shares are needed", Columns: []web.Column{{Name: "Holder"}, {Name: "Share", Figure: true}, {Name: "Picked up"}}}}
	switch {
	case x.State != "live":
		out.Mark = web.Mark{State: web.Unproved, Word: "waits for " + strconv.Itoa(max(0, x.Need+1-x.PickedUp())) + " more to be picked up", At: x.Made}
	case x.Renew != "":
		out.Mark = web.Mark{State: web.StaleNow, Word: "live, to be renewed: " + map[string]string{"used": "it was used", "holder-left": "a holder has left"}[x.Renew], At: x.Began}
	}
	for _, y := range x.Shares {
		row := web.Row{Cells: []web.Cell{{Text: y.Name, Href: atPeople + "/" + y.Holder}, {Text: strconv.Itoa(y.Place)}, {At: y.Picked}}}
		if y.Picked.IsZero() {
			row.Cells[2] = web.Cell{Text: "not yet"}
		}
		if y.Left {
			row.Cells[0].Sub = "has left: this share counts no more"
		}
		out.Table.Rows = append(out.Table.Rows, row)
	}
	return out
}

func (c *Console) prepareGlass(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	in := glass.NewSet{Holders: strings.FieldsFunc(f.Get("holder"), func(r rune) bool { return strings.ContainsRune(" ,;\r\n\t", r) })}
	if typed := strings.TrimSpace(f.Get("need")); typed != "" {
		if in.Need, err = strconv.Atoi(typed); err != nil || in.Need == 0 {
			in.Need = -1 // refused with the others
		}
	}
	x, err := c.Glass.Prepare(r.Context(), who, in)
	if err != nil {
		if fault.KindOf(err) != fault.Invalid {
			return err
		}
		return c.glassPage(w, r, who, status(err), f.Get("holder"), f.Get("need"), err)
	}
	return c.done(w, r, atGlass, "Set "+strconv.Itoa(x.Number)+" is prepared. Each holder has a letter, and picks up their share once.")
}

func (c *Console) withdrawGlass(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := c.Glass.Withdraw(r.Context(), who); err != nil {
		return err
	}
	return c.done(w, r, atGlass, "All shares are withdrawn, and the owners are told.")
}

func (c *Console) endGlass(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Glass.EndUse(r.Context(), who, f.Get("id")); err != nil {
		return err
	}
	return c.done(w, r, atGlass, "It is ended, and the owners are told.")
}
