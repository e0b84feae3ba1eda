package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Controls are the proofs of the provider's part of auth.best-practice. They go through
// the public door as a client and a person of their own.
func (s *Service) Controls(door *canary.Door) []clause.Control {
	if s.Plant == nil {
		return nil
	}
	attack := func(id, says string, story func(*trial) string) clause.Control {
		return clause.Control{ID: "identity." + id, Clause: "auth.best-practice", Kind: clause.Canary, Says: says, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Run: s.attack(door, "identity."+id, story)}
	}
	return []clause.Control{
		attack("code-reuse", "Redeems a code of an application twice and goes on with the first token", (*trial).codeTwice),
		attack("refresh-reuse", "Uses a refresh token of an application twice and goes on with the newer one", (*trial).refreshTwice),
	}
}

// trial is one run: a person who is signed in at the door, and a client with its secret.
type trial struct {
	s      *Service
	ctx    context.Context
	v      *canary.Visitor
	client string
	secret secret.Text
	steps  []clause.Step
	err    error // the server could not answer: the run decides nothing
}

const (
	canaryRedirect = "https://" + canary.Domain + "/callback"
	canaryClient   = "canary-" // begins the ids of clients that controls plant; lists leave them out
)

func (s *Service) attack(door *canary.Door, control string, story func(*trial) string) func(context.Context) (clause.Result, error) {
	return func(ctx context.Context) (clause.Result, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		t := &trial{s: s, ctx: ctx, v: door.Visitor()}
		defer t.v.Close()
		p, uproot, err := s.Plant(ctx, door, control)
		if err != nil {
			return clause.Result{}, fmt.Errorf("%s: %w", control, err)
		}
		defer uproot()
		end, err := t.plantClient(control)
		if err != nil {
			return clause.Result{}, fmt.Errorf("%s: %w", control, err)
		}
		defer end()
		body, err := json.Marshal(map[string]string{"email": p.Email, "password": p.Password.Reveal()})
		if err != nil {
			return clause.Result{}, err
		}
		a, err := t.v.Do(ctx, http.MethodPost, "/-/api/v1/sign-in", string(body))
		if err != nil || a.Status != http.StatusOK {
			return clause.Result{}, fmt.Errorf("%s: sign in: %d %w", control, a.Status, err)
		}
		summary := story(t)
		if t.err != nil {
			return clause.Result{}, fmt.Errorf("%s: %w", control, t.err)
		}
		return clause.Judge(summary, t.steps...), nil
	}
}

// plantClient puts a client there for this run, under an id that is used again.
func (t *trial) plantClient(control string) (func(), error) {
	t.client, t.secret = canaryClient+strings.TrimPrefix(control, "identity."), newSecret(secretPrefix)
	hash, who := sum(t.secret), actor.System("canary")
	_, err := t.s.DB.Change(t.ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(t.ctx, plantClient, t.client, canaryRedirect, us(tx.Now())); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(t.ctx, dropSecretsOf, t.client); err != nil {
			return nil, err
		}
		_, err := tx.Exec(t.ctx, insertSecret, randomID(), t.client, hash, us(tx.Now()))
		return CanaryClientPlanted{Control: control, Client: t.client}, err
	})
	if err != nil {
		return nil, fmt.Errorf("plant client: %w", err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), 10*time.Second)
		defer cancel()
		_, err := t.s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
			if _, err := tx.Exec(ctx, endClient, t.client, us(tx.Now())); err != nil {
				return nil, err
			}
			if _, err := tx.Exec(ctx, dropSecretsOf, t.client); err != nil {
				return nil, err
			}
			_, err := tx.Exec(ctx, endFamiliesOfClient, t.client, us(tx.Now()))
			return CanaryClientSwept{Control: control, Client: t.client}, err
		})
		if err != nil {
			t.s.Log.Error("sweep the client of a control", "control", control, "err", err)
		}
	}, nil
}

// code asks for one as a client would, with PKCE.
func (t *trial) code() (code, verifier string) {
	verifier = secret.RandomText(32).Reveal()
	h := sha256.Sum256([]byte(verifier))
	q := url.Values{"client_id": {t.client}, "redirect_uri": {canaryRedirect}, "response_type": {"code"}, "scope": {scopeOpenID},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(h[:])}, "code_challenge_method": {"S256"}}
	a := t.send(http.MethodGet, atAuthorize+"?"+q.Encode(), nil, "")
	u, err := url.Parse(a.Header.Get("Location"))
	if t.err == nil && (err != nil || u.Query().Get("code") == "") {
		t.err = fmt.Errorf("no code: %d", a.Status)
	}
	if t.err != nil {
		return "", ""
	}
	return u.Query().Get("code"), verifier
}

// send makes one request: a form with the client's secret, or a GET with a token.
func (t *trial) send(method, path string, form url.Values, bearer string) canary.Answer {
	if t.err != nil {
		return canary.Answer{Header: http.Header{}}
	}
	r, err := http.NewRequestWithContext(t.ctx, method, t.v.Base+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.err = err
		return canary.Answer{Header: http.Header{}}
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(t.client, t.secret.Reveal())
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	a, err := t.v.Send(r)
	if err == nil && a.Status >= http.StatusInternalServerError {
		err = fmt.Errorf("%s answered %d", r.URL.Path, a.Status)
	}
	t.err = err
	return a
}

// answered is one member of a JSON answer.
func answered(a canary.Answer, name string) string {
	var m map[string]any
	if json.Unmarshal([]byte(a.Body), &m) != nil {
		return ""
	}
	text, _ := m[name].(string)
	return text
}

func (t *trial) want(act string, a canary.Answer, status int, code string, control bool) {
	if t.err != nil {
		return
	}
	expected := strings.TrimSpace(fmt.Sprintf("%d %s", status, code))
	got := strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, answered(a, "error")))
	t.steps = append(t.steps, clause.Step{Act: act, Expected: expected, Got: got, OK: a.Status == status && (code == "" || answered(a, "error") == code), Control: control})
}

func (t *trial) token(kv ...string) canary.Answer {
	form := url.Values{}
	for i := 0; i+1 < len(kv); i += 2 {
		form.Set(kv[i], kv[i+1])
	}
	return t.send(http.MethodPost, "/-/oidc/token", form, "")
}

func (t *trial) userinfo(token string) canary.Answer {
	return t.send(http.MethodGet, "/-/oidc/userinfo", nil, token)
}

func (t *trial) codeTwice() string {
	code, verifier := t.code()
	redeem := func() canary.Answer {
		return t.token("grant_type", "authorization_code", "code", code, "redirect_uri", canaryRedirect, "code_verifier", verifier)
	}
	first := redeem()
	t.want("redeem a fresh code", first, http.StatusOK, "", true)
	t.want("use its token", t.userinfo(answered(first, "access_token")), http.StatusOK, "", true)
	t.want("redeem the code again", redeem(), http.StatusBadRequest, "invalid_grant", false)
	t.want("use the first token after that", t.userinfo(answered(first, "access_token")), http.StatusUnauthorized, "invalid_token", false)
	return "a code works once, and a second try ends what the first gave"
}

func (t *trial) refreshTwice() string {
	code, verifier := t.code()
	first := t.token("grant_type", "authorization_code", "code", code, "redirect_uri", canaryRedirect, "code_verifier", verifier)
	t.want("redeem a fresh code", first, http.StatusOK, "", true)
	refresh := func(a canary.Answer) canary.Answer {
		return t.token("grant_type", "refresh_token", "refresh_token", answered(a, "refresh_token"))
	}
	second := refresh(first)
	t.want("use the refresh token", second, http.StatusOK, "", true)
	t.want("use it again", refresh(first), http.StatusBadRequest, "invalid_grant", false)
	t.want("use the newer one after that", refresh(second), http.StatusBadRequest, "invalid_grant", false)
	t.want("use the newer access token", t.userinfo(answered(second, "access_token")), http.StatusUnauthorized, "invalid_token", false)
	return "a refresh token works once, and a second try ends the family"
}

// CanaryClientPlanted is a client that a control put there.
type CanaryClientPlanted struct {
	Control string `class:"public"`
	Client  string `class:"public"`
}

// About implements ledger.Event.
func (e CanaryClientPlanted) About() ledger.About {
	return ledger.About{Name: "identity.canary-client-planted", Object: "client/" + e.Client}
}

// CanaryClientSwept is the end of a client that a control put there.
type CanaryClientSwept struct {
	Control string `class:"public"`
	Client  string `class:"public"`
}

// About implements ledger.Event.
func (e CanaryClientSwept) About() ledger.About {
	return ledger.About{Name: "identity.canary-client-swept", Object: "client/" + e.Client}
}

const plantClient = `INSERT INTO identity_oidc_client (id, name, kind, trust, audience, redirects, after, back, front, scopes, alg, require_par, acr, resource, created, ended)
	VALUES ($1, 'Canary', 'confidential', 'first-party', 'everyone', $2, '', '', '', 'openid', 'ES256', FALSE, 0, FALSE, $3, NULL)
	ON CONFLICT (id) DO UPDATE SET ended = NULL, redirects = excluded.redirects`
