package console

import (
	"errors"
	"net/http"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/web"
)

const (
	atTokens  = atPeople + "/tokens"
	atImports = atPeople + "/brought-over"
)

// tokenRow is a token as the console lists it.
type tokenRow struct {
	identity.Token
	Whose, Href string
	Mark        web.Mark
}

type tokensPage struct {
	Tokens   []tokenRow
	Services []identity.ProgramAccount
	End      string
}

// showTokens lists every live token, whoever it acts for, and the services of the staff.
func (c *Console) showTokens(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := c.Identity.AllTokens(r.Context(), who)
	if err != nil {
		return err
	}
	var out tokensPage
	if c.Access.May(who, access.TokensManage) {
		out.End = atTokens + "/end"
	}
	for _, t := range all {
		row := tokenRow{Token: t, Whose: t.ServiceName, Mark: web.Mark{State: web.Holds, Word: "live"}}
		if t.Kind == identity.PersonalToken {
			row.Whose, row.Href = c.Identity.Name(r.Context(), t.Person), personHref(t.Person)
		}
		if t.Suspended {
			row.Mark = web.Mark{State: web.StaleNow, Word: "suspended: nobody stands behind it"}
		}
		out.Tokens = append(out.Tokens, row)
	}
	if out.Services, err = c.Identity.Services(r.Context(), who); err != nil {
		return err
	}
	return c.show(w, r, "tokens", web.View{Title: "Tokens of programs", Lead: "Each acts for a person or a service, within its scopes and never beyond their rights. Its text is kept nowhere.",
		Up: &web.Link{Text: "People", Href: atPeople}, Data: out})
}

func (c *Console) endToken(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	says := "The token is ended. Its next use is refused."
	if err := c.Identity.RevokeToken(r.Context(), who, strings.TrimSpace(f.Get("token"))); errors.Is(err, fault.NotFound) {
		says = "There was no such token any more."
	} else if err != nil {
		return err
	}
	return c.done(w, r, atTokens, says)
}

// bar is a row of the burn-down: how much of a format is direct, waiting, over.
type bar struct {
	identity.BurnDown
	DirectX, WaitingX, OverX int64 // widths in thousandths
	WaitingAt, OverAt        int64
	Over                     int64
}

type importsPage struct {
	Bars     []bar
	Deadline string
	Waiting  int64
}

// showImports is the burn-down of hashes from another system.
func (c *Console) showImports(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := c.Identity.BurnDowns(r.Context(), who)
	if err != nil {
		return err
	}
	out := importsPage{Deadline: web.Duration(c.Identity.Rules.Get().LegacyDeadline)}
	for _, b := range all {
		x := bar{BurnDown: b, Over: b.Expired + b.Reset}
		if b.People > 0 {
			x.DirectX, x.WaitingX = 1000*b.Direct/b.People, 1000*b.Waiting/b.People
			x.WaitingAt, x.OverAt = x.DirectX, x.DirectX+x.WaitingX
			x.OverX = 1000 - x.OverAt
		}
		out.Waiting += b.Waiting
		out.Bars = append(out.Bars, x)
	}
	return c.show(w, r, "imports", web.View{Title: "People brought over", Lead: "A hash from another system is renewed when its owner next signs in, and opens nothing after " + out.Deadline + ".",
		Up: &web.Link{Text: "People", Href: atPeople}, Data: out})
}
