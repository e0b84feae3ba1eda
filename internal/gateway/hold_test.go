package gateway_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway"
)

// A hold closes an open gate for its time, says when it opens, and opens it; what a person has set
// is no hold's to change, before or after.
func TestHoldClosesForATime(t *testing.T) { // breaks: inc.loss-maintenance
	now := time.Now().UTC().Truncate(time.Second)
	k := open(t, options{now: func() time.Time { return now }})
	c := k.client()
	ctx, system := t.Context(), actor.System("incident-status")
	hold := func(name string, in time.Duration) {
		t.Helper()
		if err := k.g.HoldClosed(ctx, system, gateway.Hold{Name: name, Until: now.Add(in)}); err != nil {
			t.Fatal(err)
		}
	}
	release := func(name string) {
		t.Helper()
		if err := k.g.Release(ctx, system, name); err != nil {
			t.Fatal(err)
		}
	}
	set := func(mode string) {
		t.Helper()
		if err := k.g.SetMode(ctx, k.engineer(), gateway.Wish{Mode: mode, Reason: "a test"}); err != nil {
			t.Fatal(err)
		}
	}
	is := func(what string, status int, retry string) {
		t.Helper()
		got := k.do(c, "GET", "/open/x", "Accept: application/json")
		if got.StatusCode != status || got.Header.Get("Retry-After") != retry {
			t.Errorf("%s: %d, Retry-After %q; want %d, %q", what, got.StatusCode, got.Header.Get("Retry-After"), status, retry)
		}
	}
	if err := k.g.HoldClosed(ctx, person("ana", "member"), gateway.Hold{Name: "window/a", Until: now.Add(time.Hour)}); !errors.Is(err, fault.Denied) {
		t.Errorf("a member closed the gate: %v", err)
	}
	if err := k.g.HoldClosed(ctx, system, gateway.Hold{Name: "window/a"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("without an end: %v", err)
	}
	is("open", 200, "")
	hold("window/a", time.Hour)
	is("held", 503, "3600")
	if got := k.do(c, "GET", "/open/x", "Accept: text/html"); !strings.Contains(got.body, "open again at "+now.Add(time.Hour).Format("15:04")) {
		t.Errorf("nobody is told when: %s", got.body)
	}
	hold("window/a", 2*time.Hour)
	is("moved", 503, "7200")
	hold("window/b", time.Hour)
	if held, err := k.g.Holds(ctx); err != nil || !slices.Equal(held, []string{"window/a", "window/b"}) {
		t.Errorf("held by %q, %v", held, err)
	}
	release("window/a")
	is("the other one lasts", 503, "3600")
	if held, err := k.g.Holds(ctx); err != nil || !slices.Equal(held, []string{"window/b"}) {
		t.Errorf("held by %q, %v", held, err)
	}
	release("window/b")
	release("window/b")
	is("released", 200, "")
	hold("window/a", time.Hour)
	is("each closes it once", 200, "")

	set(gateway.Maintenance)
	hold("window/c", time.Hour)
	is("closed by a person before", 503, "120")
	release("window/c")
	is("it is theirs", 503, "120")
	set(gateway.Normal)
	hold("window/d", time.Hour)
	set(gateway.Maintenance)
	is("closed by a person meanwhile", 503, "120")
	release("window/d")
	is("it is theirs too", 503, "120")
	set(gateway.Normal)
	hold("window/e", time.Hour)
	set(gateway.Normal)
	is("opened by a person", 200, "")
	hold("window/e", 2*time.Hour)
	is("and not closed again", 200, "")
	set(gateway.Frozen)
	release("window/e")
	if mode, _ := k.g.Mode(); mode != gateway.Frozen {
		t.Errorf("the release changed the mode to %s", mode)
	}
}
