package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/secret"
)

const (
	needEnds  = "access.need-ends"
	streamEnd = 5 * time.Second // a second, and what a busy machine adds
)

func (g *Gateway) streamControls(door *canary.Door) []clause.Control {
	return []clause.Control{{ID: "gateway.streams-end", Clause: needEnds, Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour, Run: func(ctx context.Context) (clause.Result, error) { return g.tryStream(ctx, door) },
		Says: "Signs somebody in, holds a stream open as them and signs them out at the door: the stream must be cut, and not before"}}
}

// tryStream holds a stream open in the registry itself: an application need not have any.
func (g *Gateway) tryStream(ctx context.Context, door *canary.Door) (clause.Result, error) { // clause: access.need-ends
	if mode, _ := g.Mode(); mode != Normal {
		return clause.Result{}, errors.New("the gate is closed for maintenance")
	}
	if g.plant == nil {
		return clause.Result{}, errors.New("nobody can be signed in for this control")
	}
	p, end, err := g.plant(ctx, door, "gateway.streams-end")
	if err != nil {
		return clause.Result{}, fmt.Errorf("sign somebody in: %w", err)
	}
	defer end()
	c := door.Visitor()
	defer c.Close()
	body, _ := json.Marshal(map[string]string{"email": p.Email, "password": p.Password.Reveal()}) // strings
	a, err := c.Do(ctx, http.MethodPost, "/-/api/v1/sign-in", string(body))
	if err != nil || a.Status != http.StatusOK {
		return clause.Result{}, fmt.Errorf("sign somebody in: %d %w", a.Status, err)
	}
	token := sessionIn(a.Header)
	who, _, err := g.sessions.Lookup(ctx, token)
	if err != nil {
		return clause.Result{}, fmt.Errorf("find the session of whom was signed in: %w", err)
	}
	v := g.newVisit()
	v.table, v.who = g.current(), who
	v.need.node = v.table.rest
	v.r = (&http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}, Header: http.Header{}}).WithContext(ctx)
	over := v.watched()
	defer over()
	stays := !within(ctx, v.r.Context().Done(), 2*streamLook)
	steps := []clause.Step{{Act: "hold a stream open while the session lasts", Expected: "it goes on", Got: map[bool]string{true: "it goes on", false: "it was cut"}[stays], OK: stays, Control: true}}
	if a, err = c.Do(ctx, http.MethodPost, "/-/api/v1/sign-out", ""); err != nil || a.Status >= http.StatusBadRequest {
		return clause.Result{}, fmt.Errorf("sign out: %d %w", a.Status, err)
	}
	began := g.now()
	cut := within(ctx, v.r.Context().Done(), g.patience)
	got := "it goes on"
	if cut {
		got = fmt.Sprintf("cut after %d ms", g.now().Sub(began).Milliseconds())
	}
	if ctx.Err() != nil {
		return clause.Result{}, fmt.Errorf("wait for the end of a stream: %w", ctx.Err())
	}
	steps = append(steps, clause.Step{Act: "hold it open after they signed out", Expected: "cut", Got: got, OK: cut})
	return clause.Judge("a stream was "+got+" of its session's end", steps...), nil
}

// within waits for the end of something, so long and no longer.
func within(ctx context.Context, done <-chan struct{}, most time.Duration) bool {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-done:
		return ctx.Err() == nil
	case <-t.C:
		return false
	}
}

// sessionIn is the token that an answer sets.
func sessionIn(h http.Header) secret.Text {
	for _, c := range (&http.Response{Header: h}).Cookies() {
		if c.Name == ownCookie {
			return secret.NewText(c.Value)
		}
	}
	return secret.Text{}
}
