package oidc

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/ledger"
	"writ/internal/web"
)

const consentColumn = "identity_oidc_request.consent"

// meaning says what a scope lets an application see or do.
func meaning(scope string) string {
	switch scope {
	case scopeOpenID:
		return "know that it is you when you come again"
	case scopeProfile:
		return "see your name"
	case scopeEmail:
		return "see your e-mail address"
	case scopeRoles:
		return "see your team and your roles in it"
	case scopeOffline:
		return "go on with this when you are not signed in, for up to 30 days"
	}
	return scope
}

// mustAsk reports whether the person has yet to allow what is asked. The company's own
// applications are allowed, but for going on without a session.
func (s *Service) mustAsk(ctx context.Context, who actor.Actor, c Client, a asked) (bool, error) {
	if a.prompts("consent") && !a.prompts("consented") {
		return true, nil
	}
	if c.Trust == FirstParty && !slices.Contains(a.Scopes, scopeOffline) {
		return false, nil
	}
	var given string
	err := ledger.One(ctx, s.DB, consentOf, []any{&given}, who.ID, c.ID)
	if errors.Is(err, fault.NotFound) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read consent: %w", err)
	}
	return slices.ContainsFunc(a.Scopes, func(w string) bool { return !slices.Contains(words(given), w) }), nil
}

type consentPage struct {
	Client string
	Host   string
	Means  []string
	Flow   string
}

// askConsent shows who asks for what. The form carries the request sealed for this session.
func (s *Service) askConsent(w http.ResponseWriter, r *http.Request, who actor.Actor, c Client, a asked) error {
	a.Hint = ""
	box, err := s.seal(r.Context(), consentColumn, who.Session, a)
	if err != nil {
		return err
	}
	d := consentPage{Client: c.Name, Flow: base64.RawURLEncoding.EncodeToString(box)}
	if u, err := url.Parse(a.Redirect); err == nil {
		d.Host = u.Host
	}
	for _, w := range a.Scopes {
		d.Means = append(d.Means, meaning(w))
	}
	return s.set.Render(w, r, http.StatusOK, "consent", web.View{Title: "Let " + c.Name + " sign you in?", Frame: web.Plain, Data: d})
}

// postConsent takes the person's answer and goes on.
func (s *Service) postConsent(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ctx := r.Context()
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	var a asked
	box, err := base64.RawURLEncoding.DecodeString(v.Get("flow"))
	if err == nil {
		err = s.unseal(ctx, consentColumn, who.Session, box, &a)
	}
	if errors.Is(err, fault.Sealed) || errors.Is(err, fault.Unavailable) {
		return err
	}
	if err != nil || s.Now().Sub(at(a.Begun)) > flowLife || who.Kind != actor.Person {
		return s.page(ctx, who, "", refuse("invalid_request", "The question has expired.").because("stale-flow"))
	}
	if v.Get("answer") != "allow" {
		if _, err := s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
			return ConsentRefused{Person: who.ID, Client: a.Client}, nil
		}); err != nil {
			return err
		}
		return s.deliver(w, r, a, url.Values{"error": {"access_denied"}, "error_description": {"The person did not allow it."}}, true)
	}
	if err := s.allow(ctx, who, a); err != nil {
		return err
	}
	if !a.prompts("consented") {
		a.Prompt = append(a.Prompt, "consented")
	}
	back, bad, err := s.backPath(ctx, a)
	if err != nil {
		return err
	}
	if bad != nil {
		return s.back(w, r, who, a, bad, true)
	}
	return web.Redirect(w, r, back)
}

// allow keeps a consent: what was allowed before stays allowed.
func (s *Service) allow(ctx context.Context, who actor.Actor, a asked) error {
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if n, err := tx.Exec(ctx, holdClient, a.Client); err != nil || n != 1 {
			return nil, errors.Join(err, noClientIf(n))
		}
		var given string
		if err := ledger.One(ctx, tx, consentOf, []any{&given}, who.ID, a.Client); err != nil && !errors.Is(err, fault.NotFound) {
			return nil, err
		}
		all := append(words(given), a.Scopes...)
		slices.Sort(all)
		_, err := tx.Exec(ctx, setConsent, who.ID, a.Client, joined(slices.Compact(all)), us(tx.Now()))
		return ConsentGiven{Person: who.ID, Client: a.Client, Scopes: a.Scopes}, err
	})
	if err != nil {
		return fmt.Errorf("keep consent: %w", err)
	}
	return nil
}

// Grant is what a person allowed an application, or how they use one.
type Grant struct {
	Client  string    `json:"client"`
	Name    string    `json:"name"`
	Scopes  []string  `json:"scopes"`
	Given   time.Time `json:"given,omitzero"` // zero for the company's own, which needs no consent
	Last    time.Time `json:"last,omitzero"`  // newest sign-in
	Offline bool      `json:"offline"`
}

// Grants lists the applications that a person allowed something or is signed in to.
func (s *Service) Grants(ctx context.Context, who actor.Actor) ([]Grant, error) {
	if who.Kind != actor.Person || who.Session == "" { // a token is no session
		return nil, fault.Newf(fault.Denied, "no_account", "Only people allow applications something.")
	}
	out := []Grant{}
	err := s.DB.Each(ctx, grantsOf, func(scan ledger.Scan) error {
		var g Grant
		var scopes string
		var given, last, offline int64
		if err := scan(&g.Client, &g.Name, &scopes, &given, &last, &offline); err != nil {
			return err
		}
		if given == 0 && last == 0 {
			return nil
		}
		g.Scopes, g.Offline = words(scopes), offline > 0
		if given > 0 {
			g.Given = at(given)
		}
		if last > 0 {
			g.Last = at(last)
		}
		out = append(out, g)
		return nil
	}, who.ID, us(s.Now()))
	if err != nil {
		return nil, fmt.Errorf("list consents: %w", err)
	}
	return out, nil
}

// Withdraw takes back what a person allowed an application, and ends its tokens.
func (s *Service) Withdraw(ctx context.Context, who actor.Actor, client string) error {
	if who.Kind != actor.Person || who.Session == "" {
		return fault.Newf(fault.Denied, "no_account", "Only people allow applications something.")
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, dropConsent, who.ID, client)
		if err != nil {
			return nil, err
		}
		ev := ConsentWithdrawn{Person: who.ID, Client: client}
		if ev.Families, err = tx.Exec(ctx, endFamiliesFor, who.ID, client, us(tx.Now())); err != nil { // clause: auth.best-practice
			return nil, err
		}
		if n == 0 && ev.Families == 0 {
			return nil, fault.Newf(fault.NotFound, "no_consent", "Nothing was allowed to this application.")
		}
		return ev, nil
	})
	if err != nil {
		return fmt.Errorf("withdraw consent: %w", err)
	}
	return nil
}

type appsPage struct {
	Apps  []appRow
	Empty web.Empty
}

type appRow struct {
	Grant
	Means []string
}

func (s *Service) getApps(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	gs, err := s.Grants(r.Context(), who)
	if err != nil {
		return err
	}
	d := appsPage{Empty: web.Empty{Says: "No application signs you in through this account.", Next: web.Link{Text: "Your account", Href: "/-/account"}}}
	for _, g := range gs {
		row := appRow{Grant: g}
		for _, w := range g.Scopes {
			row.Means = append(row.Means, meaning(w))
		}
		d.Apps = append(d.Apps, row)
	}
	return s.set.Render(w, r, http.StatusOK, "apps", web.View{Title: "Your applications", Lead: "What you sign in to through this account, and what you allowed it.",
		Frame: web.Document, Tabs: identity.AccountTabs(identity.AtAccess), Data: d})
}

func (s *Service) postApps(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	err = s.Withdraw(r.Context(), who, v.Get("client"))
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	web.Tell(w, web.Notice{Says: "The application can no longer see anything of yours. It must ask you again."})
	return web.Redirect(w, r, "/-/account/applications")
}

const (
	consentOf  = `SELECT scopes FROM identity_oidc_consent WHERE person = $1 AND client = $2`
	setConsent = `INSERT INTO identity_oidc_consent (person, client, scopes, given) VALUES ($1, $2, $3, $4)
		ON CONFLICT (person, client) DO UPDATE SET scopes = excluded.scopes, given = excluded.given`
	dropConsent    = `DELETE FROM identity_oidc_consent WHERE person = $1 AND client = $2`
	endFamiliesFor = `UPDATE identity_oidc_family SET ended = $3, cause = 'withdrawn' WHERE person = $1 AND client = $2 AND ended IS NULL`
	grantsOf       = `SELECT c.id, c.name, COALESCE(k.scopes, c.scopes), COALESCE(k.given, 0),
		COALESCE((SELECT MAX(f.created) FROM identity_oidc_family f WHERE f.person = $1 AND f.client = c.id AND f.ended IS NULL AND f.ends > $2), 0),
		(SELECT COUNT(*) FROM identity_oidc_family f WHERE f.person = $1 AND f.client = c.id AND f.ended IS NULL AND f.ends > $2 AND f.offline)
		FROM identity_oidc_client c LEFT JOIN identity_oidc_consent k ON k.client = c.id AND k.person = $1
		WHERE c.ended IS NULL ORDER BY c.name, c.id LIMIT 1000`
)
