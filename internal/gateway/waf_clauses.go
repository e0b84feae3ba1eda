package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"writ/internal/canary"
	"writ/internal/clause"
)

// tryAttack is the canary for what looks like an attack. Where finds are refused it comes
// through the door, and the application never sees it. Where they are only recorded, or
// where a stranger may come nowhere, it goes through the step alone: no application is
// attacked to try the gate.
func (g *Gateway) tryAttack(ctx context.Context, door *canary.Door) (clause.Result, error) {
	if mode, _ := g.Mode(); mode != Normal {
		return clause.Result{}, errors.New("the gate is closed for maintenance")
	}
	const field = "writ_canary" // one name, so that the review shows it once
	attack := "?" + field + "=" + url.QueryEscape("1' UNION SELECT NULL, NULL--")
	good := "?" + field + "=" + url.QueryEscape("a table by the window, please")
	if path := g.strangersPath(); g.watch.Mode == WAFBlock && path != "" {
		return tryAtDoor(ctx, door, path, attack, good)
	}
	before := g.watch.finds.seen(field)
	refused, err := g.throughRules(ctx, attack)
	if err != nil {
		return clause.Result{}, err
	}
	recorded := g.watch.finds.seen(field) != before
	passes, err := g.throughRules(ctx, good)
	if err != nil {
		return clause.Result{}, err
	}
	want := "recorded"
	if g.watch.Mode == WAFBlock {
		want = "recorded and refused"
	}
	got := "not recorded"
	if recorded {
		got = "recorded"
		if refused {
			got += " and refused"
		}
	}
	return clause.Judge("an attempt to reach the database through a field is "+want, clause.Step{Act: "take an SQL injection through the step", Expected: want, Got: got, OK: got == want},
		clause.Step{Act: "take a plain note through the step", Expected: "passes", Got: word(!passes, "passes", "refused"), OK: !passes, Control: true}), nil
}

func word(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func tryAtDoor(ctx context.Context, door *canary.Door, path, attack, good string) (clause.Result, error) {
	const refused = "403 refused"
	got, err := stranger(ctx, door, path+attack, http.Header{"User-Agent": {"writ"}})
	if err != nil {
		return clause.Result{}, err
	}
	plain, err := stranger(ctx, door, path+good, http.Header{"User-Agent": {"writ"}})
	if err != nil {
		return clause.Result{}, err
	}
	return clause.Judge("an attempt to reach the database through a field is refused", clause.Step{Act: "send an SQL injection as a stranger to " + path, Expected: refused, Got: got, OK: got == refused},
		clause.Step{Act: "send a plain note there", Expected: "reaches the application", Got: plain, OK: plain != refused, Control: true}), nil
}

// strangersPath is a path of the application that a stranger may ask for; "" where there is none.
func (g *Gateway) strangersPath() string {
	t := g.current()
	for _, p := range slices.Concat(t.rules.PublicPaths, []string{"/"}) {
		if d := t.decide(http.MethodGet, p); d.need == anyone && d.deny == nil && !t.payment(p) {
			return p
		}
	}
	return ""
}

// throughRules takes a request of nobody through the step, and reports whether it is refused.
func (g *Gateway) throughRules(ctx context.Context, query string) (bool, error) {
	if _, err := g.watch.wait(ctx); err != nil {
		return false, fmt.Errorf("wait for the rules: %w", err)
	}
	r := (&http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}, RequestURI: "/" + query, Host: g.origin.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Accept": {"text/html"}, "User-Agent": {"writ"}}, RemoteAddr: "127.0.0.1:0"}).WithContext(ctx)
	v := g.newVisit()
	v.w, v.r, v.table = &recorder{header: http.Header{}}, r, g.current()
	if ref := v.admit(); ref != nil {
		return false, fmt.Errorf("the canary's request is not canonical: %s", ref.err.Code)
	}
	v.need.node = v.table.rest
	ref := v.lookAt()
	return ref != nil, nil
}

// seen is how many finds of a field this minute has had.
func (f *finds) seen(field string) (n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, c := range f.all {
		if k.field == field {
			n += c.total
		}
	}
	return n
}
