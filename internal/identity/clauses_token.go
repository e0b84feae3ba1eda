package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"writ/internal/canary"
	"writ/internal/clause"
)

// program sends a request with a token in the Authorization header, or where place says.
func (t *trial) program(v *canary.Visitor, method, path, token string, place func(*http.Request)) canary.Answer {
	if t.err != nil {
		return canary.Answer{}
	}
	body := strings.NewReader("")
	if method != http.MethodGet {
		body = strings.NewReader("{}")
	}
	req, err := http.NewRequestWithContext(t.ctx, method, v.Base+path, body)
	if err != nil {
		t.err = err
		return canary.Answer{}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	if place != nil {
		place(req)
	} else {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := v.Send(req)
	if err == nil && a.Status >= 500 {
		err = fmt.Errorf("%s %s answered %s", method, path, saw(a))
	}
	t.err = err
	return a
}

// tokens makes a token as a person would and uses it in every wrong place.
func (t *trial) tokens() string {
	p, owner := t.person(), t.visitor()
	t.works("sign in", t.ask(owner, "POST", "sign-in", map[string]string{"email": p.email, "password": p.password.Reveal()}), http.StatusOK)
	if t.err != nil {
		return ""
	}
	a, err := owner.Do(t.ctx, http.MethodPost, "/-/api/v1/tokens", `{"name":"canary","scopes":["canary:look"],"days":1}`)
	t.err = err
	t.works("make a token", a, http.StatusCreated)
	var made issuedOut
	if err := json.Unmarshal([]byte(a.Body), &made); err != nil || t.err != nil {
		return "no token could be made"
	}
	const self = "/-/api/v1/token"
	v := t.visitor()
	t.works("use it", t.program(v, http.MethodGet, self, made.Token, nil), http.StatusOK)
	other := []byte(made.Token)
	if other[12]++; other[12] > '9' {
		other[12] = '0'
	}
	t.refused("change one digit", t.program(v, http.MethodGet, self, string(other), nil), http.StatusUnauthorized, "")
	inAddress := t.program(v, http.MethodGet, self+"?access_token="+made.Token, "", func(*http.Request) {})
	t.step("send it in the address", "401, or 400 token_in_address", saw(inAddress), inAddress.Status == http.StatusUnauthorized || inAddress.Status == http.StatusBadRequest && slices.Contains(codes(inAddress), "token_in_address"), false)
	t.refused("send it as the session", t.program(v, http.MethodGet, self, "", func(r *http.Request) {
		r.Header.Set("Cookie", "__Host-"+SessionCookie+"="+made.Token)
	}), http.StatusUnauthorized, "")
	for _, closed := range []string{"GET /-/account", "GET /-/api/v1/sessions", "POST /-/api/v1/password", "POST /-/api/v1/tokens"} {
		method, path, _ := strings.Cut(closed, " ")
		t.refused(closed+" with it", t.program(v, method, path, made.Token, nil), http.StatusForbidden, "")
	}
	t.works("end it", t.ask(owner, http.MethodDelete, "tokens/"+made.About.ID, nil), http.StatusNoContent)
	t.refused("use it after its end", t.program(v, http.MethodGet, self, made.Token, nil), http.StatusUnauthorized, "")
	return "a token worked in its header alone, reached no page and no account, and was over when it was ended"
}

func (s *Service) probeTokens(ctx context.Context) (clause.Result, error) {
	all, err := s.count(ctx, countTokens)
	if err != nil {
		return clause.Result{}, err
	}
	clear, err := s.count(ctx, clearTokens)
	if err != nil {
		return clause.Result{}, err
	}
	long, err := s.count(ctx, longTokens, s.Rules.Get().TokenMax.Microseconds(), us(s.Now()))
	if err != nil {
		return clause.Result{}, err
	}
	left, err := s.count(ctx, leftTokens)
	if err != nil {
		return clause.Result{}, err
	}
	return judged(clear+long+left == 0, all, fmt.Sprintf("of %d live tokens %d are not kept as a hash, %d outlive what the policy allows, %d have an owner who is not active", all, clear, long, left)), nil
}

const (
	countTokens = `SELECT COUNT(*) FROM identity_token WHERE ended IS NULL`
	clearTokens = `SELECT COUNT(*) FROM identity_token WHERE LENGTH(token) <> 64 OR token LIKE 'writ%'`
	longTokens  = `SELECT COUNT(*) FROM identity_token WHERE ended IS NULL AND expires - issued > $1 AND issued + $1 < $2`
	leftTokens  = `SELECT COUNT(*) FROM identity_token k WHERE k.ended IS NULL AND k.kind = 'personal'
		AND NOT EXISTS (SELECT 1 FROM identity_person p WHERE p.id = k.person AND p.state = 'active')`
)
