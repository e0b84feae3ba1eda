package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/gateway/openapi"
	"writ/internal/secret"
)

// opensToPrograms lists the routes that name scopes.
func (t *table) opensToPrograms() (all []Route) {
	for _, r := range t.file.routes {
		if len(r.Scopes) > 0 {
			all = append(all, r)
		}
	}
	return all
}

// probePrograms is the look at the description and at what programs did.
func (g *Gateway) probePrograms(context.Context) (clause.Result, error) {
	t, d := g.current(), g.Description()
	routes := t.opensToPrograms()
	passed := g.served.passed.Load()
	judged := g.served.judged.Load() // after passed: it may only have grown
	switch {
	case d == nil && len(routes) == 0:
		return clause.Passed("no route lets programs in"), nil
	case d == nil:
		return clause.Failed(fmt.Sprintf("%d routes let programs in, and no description of the interface is named in writ.yaml", len(routes))), nil
	case d.Problem != "":
		return clause.Failed("the description of the interface is not in force as it is now: " + d.Problem), nil
	case judged < passed:
		return clause.Failed(fmt.Sprintf("%d of %d requests of programs were let through without being judged by the description", passed-judged, passed)), nil
	}
	open := 0
	for _, r := range d.Remarks {
		if r.Grave {
			return clause.Failed(fmt.Sprintf("%s line %d: %s", r.File, r.Line, r.Says)), nil
		}
		open++
	}
	r := clause.Passed(fmt.Sprintf("%d operations are described; all %d requests of programs since the start were judged by it; %d remarks on what it leaves open", d.Operations, passed, open))
	r.Population = passed
	return r, nil
}

// tried is the operation that a canary asks for.
type tried struct {
	path   string
	scopes []string
}

// trial finds an operation that a program can ask for with its path alone, and the scopes
// it takes.
func (g *Gateway) trial() (found tried, ok bool) {
	t, api := g.current(), g.described.api.Load()
	if api == nil {
		return found, false
	}
	api.Each(func(p *openapi.Path, op *openapi.Operation) {
		if ok || op.Method != http.MethodGet || p.Variables() || !op.Plain() || op.Streams() {
			return
		}
		d := t.decide(op.Method, p.Template)
		if d.deny != nil || d.need == byRole {
			return
		}
		var scopes []string
		for _, r := range d.rules {
			if r != nil {
				scopes = append(scopes, r.scopes...)
			}
		}
		if alts := op.Scopes(); len(alts) > 0 {
			scopes = append(scopes, alts[0]...)
		}
		if len(scopes) > 0 && d.need == signedIn {
			slices.Sort(scopes)
			found, ok = tried{p.Template, slices.Compact(scopes)}, true
		}
	})
	return found, ok
}

// tryUndescribed is the canary for what the description does not name.
func (g *Gateway) tryUndescribed(ctx context.Context, door *canary.Door) (clause.Result, error) {
	if mode, _ := g.Mode(); mode != Normal {
		return clause.Result{}, errors.New("the gate is closed for maintenance")
	}
	op, ok := g.trial()
	if !ok {
		if len(g.current().opensToPrograms()) == 0 {
			return clause.Passed("no route lets programs in, so there is nothing to try as one"), nil
		}
		return clause.Result{}, errors.New("no described operation can be asked with its path alone by a token")
	}
	if g.programs.Plant == nil {
		return clause.Result{}, errors.New("no program can be made for the trial")
	}
	token, end, err := g.programs.Plant(ctx, door, "gateway.undescribed", op.scopes)
	if err != nil {
		return clause.Result{}, fmt.Errorf("make a program for the trial: %w", err)
	}
	defer end()
	other, endOther, err := g.programs.Plant(ctx, door, "gateway.undescribed-scope", []string{"canary:read"})
	if err != nil {
		return clause.Result{}, fmt.Errorf("make a program for the trial: %w", err)
	}
	defer endOther()
	key := http.Header{"Authorization": {"Bearer " + token.Reveal()}}
	odd := strings.ToLower(secret.RandomText(9).Reveal())
	var steps []clause.Step
	for _, t := range []struct {
		act, path, body string
		head            http.Header
		want            string
	}{
		{"ask as a program for an address outside the description", strings.TrimSuffix(op.path, "/") + "/" + odd + "/" + odd + "/" + odd, "", key, "404 not_described"},
		{"ask with a parameter that is not described", op.path + "?writ-canary=1", "", key, "422 not_as_described"},
		{"ask with a body where none is described, in pieces", op.path, "{}", key, "422 not_as_described"},
		{"ask without a key", op.path, "", nil, "401"},
		{"ask with a key of another scope", op.path, "", http.Header{"Authorization": {"Bearer " + other.Reveal()}}, "403 " + refuseScope.err.Code},
	} {
		got, _, err := program(ctx, door, t.path, t.body, t.head)
		if err != nil {
			return clause.Result{}, err
		}
		steps = append(steps, clause.Step{Act: t.act, Expected: t.want, Got: got, OK: got == t.want || t.want == "401" && strings.HasPrefix(got, "401 ")})
	}
	got, head, err := program(ctx, door, op.path, "", key)
	if err != nil {
		return clause.Result{}, err
	}
	steps = append(steps, clause.Step{Act: "ask for a described operation", Expected: "the application's answer", Got: got, OK: !strings.Contains(got, " "), Control: true})
	if g.rules.Get().APILimits == required {
		policy := head.Get("RateLimit-Policy")
		steps = append(steps, clause.Step{Act: "read the token's limit", Expected: "RateLimit-Policy", Got: "policy " + policy, OK: strings.Contains(policy, `"token"`)})
	}
	return clause.Judge(fmt.Sprintf("%d attempts to leave the description were refused at %s", 5, op.path), steps...), nil
}

// program asks once and returns the status, with the gate's code where it refused.
func program(ctx context.Context, door *canary.Door, path, body string, head http.Header) (string, http.Header, error) {
	v := door.Visitor()
	defer v.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.Base, nil)
	if err != nil {
		return "", nil, fmt.Errorf("make request: %w", err)
	}
	if body != "" { // without a length
		req.Body, req.ContentLength = readOnce{strings.NewReader(body)}, -1
		req.Header.Set("Content-Type", "application/json")
	}
	target, query, _ := strings.Cut(path, "?")
	req.URL.Opaque, req.URL.RawQuery = target, query
	maps.Copy(req.Header, head)
	req.Header.Set("Accept", "application/json, */*;q=0.1")
	a, err := v.Send(req)
	if err != nil {
		return "", nil, fmt.Errorf("ask at the door: %w", err)
	}
	if m := problemCode.FindStringSubmatch(a.Body); m != nil && a.Status >= http.StatusBadRequest {
		return fmt.Sprint(a.Status, " ", m[1]), a.Header, nil
	}
	return fmt.Sprint(a.Status), a.Header, nil
}

// readOnce is a body of unknown length.
type readOnce struct{ *strings.Reader }

// Close implements io.Closer.
func (readOnce) Close() error { return nil }
