package gateway_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/secret"
	"writ/internal/web"
)

// The control of streams fails when nobody cuts them, when a session does not end with its
// sign-out, and when they are cut though nothing ended.
func TestStreamsEndControl(t *testing.T) { // breaks: access.need-ends
	var k *gate
	var deaf atomic.Bool
	sign := func(in bool) func(http.ResponseWriter, *http.Request, actor.Actor) error {
		return func(w http.ResponseWriter, _ *http.Request, _ actor.Actor) error {
			if in {
				k.sessions.set("planted", person("planted", "member"))
				web.SetCookie(w, "writ", secret.NewText("planted"), time.Hour)
			} else if !deaf.Load() {
				k.sessions.drop("planted")
			}
			return web.WriteJSON(w, http.StatusOK, struct{}{})
		}
	}
	k = open(t, options{plant: func(context.Context, *canary.Door, string) (gateway.Planted, func(), error) {
		return gateway.Planted{Email: "p@canary.invalid", Password: secret.NewText("x")}, func() {}, nil
	}, pages: []web.Route{{Pattern: "POST /-/api/v1/sign-in", Who: web.Anyone, Handle: sign(true)}, {Pattern: "POST /-/api/v1/sign-out", Who: web.Anyone, Handle: sign(false)}}})
	k.g.SetPatience(50 * time.Millisecond)
	mustFail(t, control(t, k, k.door(), "gateway.streams-end"), "it goes on") // nobody looks after them
	k.g.SetPatience(30 * time.Second)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { k.g.RunStreams(ctx); close(done) }()
	defer func() { stop(); <-done }()
	mustPass(t, control(t, k, k.door(), "gateway.streams-end"))
	k.g.SetPatience(100 * time.Millisecond)
	deaf.Store(true)
	mustFail(t, control(t, k, k.door(), "gateway.streams-end"), "hold it open after they signed out")
	k.sessions.fail("standing", fault.Unauthenticated)
	mustFail(t, control(t, k, k.door(), "gateway.streams-end"), "while the session lasts")
}
