package rotate_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault/rotate"
)

// tokens is a keeper of tokens that has one service, and forgets nothing.
type tokens struct {
	w     *world
	there map[string]*token // by text
	most  time.Duration
	gone  bool // the service has ended
	full  bool
	away  bool
	open  bool // lets anybody in
}

type token struct {
	rotate.Token
	team  string
	ended bool
	until time.Time
}

func (k *tokens) Allowed(_ context.Context, who actor.Actor, service string, _ []string) (string, error) {
	if who.Kind != actor.Operator && !slices.Contains(who.Roles, "engineer") {
		return "", fault.New(fault.Denied, "denied", fault.Public{Problem: "No."})
	}
	if service != "exporter" && service != "svc-1" {
		return "", fault.Newf(fault.NotFound, "no_service", "There is no such service.")
	}
	return "svc-1", nil
}

func (k *tokens) Of(_ context.Context, team string, text secret.Text) (rotate.Token, error) {
	if t := k.there[text.Reveal()]; t != nil && t.team == team {
		return t.Token, nil
	}
	return rotate.Token{}, fault.Newf(fault.NotFound, "no_token", "There is no such token.")
}

func (k *tokens) Draw() (string, secret.Text) { return k.w.db.ID(), secret.RandomText(20) }

// noted is an entry about a token.
type noted struct {
	Token string `class:"public"`
	Act   string `class:"public"`
}

func (e noted) About() ledger.About {
	return ledger.About{Name: "vault.test-token", Object: "token/" + e.Token}
}

func (k *tokens) Make(_ context.Context, team string, t rotate.Token, text secret.Text, life time.Duration) (func(context.Context, *ledger.Tx) (ledger.Event, error), error) {
	if k.gone {
		return nil, fault.Newf(fault.NotFound, "no_service", "There is no such service.")
	}
	return func(_ context.Context, tx *ledger.Tx) (ledger.Event, error) {
		if k.full {
			return nil, fault.Newf(fault.Conflict, "too_many_tokens", "There are too many.")
		}
		k.there[text.Reveal()] = &token{Token: t, team: team, until: tx.Now().Add(life)}
		return noted{t.ID, "made"}, nil
	}, nil
}

func (k *tokens) Drop(_ context.Context, _ *ledger.Tx, id string) (ledger.Event, error) {
	for _, t := range k.there {
		if t.ID == id && !t.ended {
			t.ended = true
			return noted{id, "ended"}, nil
		}
	}
	return nil, nil
}

func (k *tokens) Settled(context.Context, string) {}

func (k *tokens) Most() time.Duration { return k.most }

func (k *tokens) Knock(_ context.Context, text secret.Text) (bool, error) {
	if k.away {
		return false, errors.New("no answer")
	}
	t := k.there[text.Reveal()]
	return k.open || t != nil && !t.ended && k.w.clock.Now().Before(t.until), nil
}

// works says whether a token lets a program in.
func (k *tokens) works(text string) bool {
	in, err := k.Knock(context.Background(), secret.NewText(text))
	return in && err == nil
}

func (w *world) tokens() *tokens {
	k := &tokens{w: w, there: map[string]*token{}, most: 90 * day}
	w.svc.Tokens = k
	return k
}

// A token of a service is replaced by one of the same scopes; the former one works through the
// grace and not beyond, and no token ends by itself before the next one is there.
func TestTokenTakesTurns(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		const name = "/shop/writ-token"
		k := w.tokens()
		k.there["by hand"] = &token{Token: rotate.Token{ID: "t0", Service: "svc-1", Scopes: []string{"vault.read", "orders:read"}}, team: "staff", until: w.clock.Now().Add(60 * day)}
		w.put(name, "by hand\n")
		grace := time.Hour
		r, err := w.svc.Add(t.Context(), w.eli(), rotate.Wish{Name: name, Kind: rotate.ServiceToken, Spec: rotate.Spec{Service: "exporter"}, Grace: &grace})
		w.must(err)
		if r.Spec.Service != "svc-1" || !slices.Equal(r.Spec.Scopes, []string{"vault.read", "orders:read"}) || r.State != "idle" || !r.Due.Equal(w.clock.Now().Add(83*day-time.Hour)) {
			t.Errorf("%+v", r)
		}
		w.must(w.again(name))
		first := w.value(name)
		now := w.of(name)
		made := k.there[first]
		if now.State != "promoted" || now.Old != "t0" || made == nil || now.Fresh != made.ID || !slices.Equal(made.Scopes, r.Spec.Scopes) || made.Bound {
			t.Fatalf("%+v %+v", now, made)
		}
		if !k.works("by hand") || !k.works(first) {
			t.Error("one of both does not work through the grace")
		}
		w.clock.Advance(2 * time.Hour)
		w.must(w.svc.Tend(t.Context()))
		if k.works("by hand") || !k.works(first) || !slices.Equal(w.steps(r.ID), whole) {
			t.Errorf("after the grace: %v", w.steps(r.ID))
		}
		for range 3 { // never a day without one that works
			w.clock.Advance(w.of(name).Due.Sub(w.clock.Now()))
			if !k.works(w.value(name)) {
				t.Fatal("the token ended before it was replaced")
			}
			w.must(w.svc.Tend(t.Context()))
			w.clock.Advance(2 * time.Hour)
			w.must(w.svc.Tend(t.Context()))
		}
		if now := w.of(name); now.State != "idle" || now.Problem != "" || w.versions(name) != 5 || k.works(first) || len(k.there) != 5 {
			t.Errorf("%+v: %d versions, %d tokens", now, w.versions(name), len(k.there))
		}
		for _, e := range w.kit.Recorded("vault.secret-rotated", "vault.test-token") {
			for text := range k.there {
				if len(text) > 10 && slices.Contains([]string{e.Body}, text) {
					t.Errorf("an entry holds a token: %s", e.Body)
				}
			}
		}
	})
}

// What cannot be a rotation of a token is refused, and what stands in its way stands in its state.
func TestTokenTroubles(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		const name = "/shop/writ-token"
		in := rotate.Wish{Name: name, Kind: rotate.ServiceToken, Spec: rotate.Spec{Service: "exporter", Scopes: []string{"vault.read"}}}
		_, err := w.svc.Add(t.Context(), w.eli(), in)
		w.refused("rotation_kind", err) // nobody keeps tokens here
		k := w.tokens()
		long := 83 * day
		for code, change := range map[string]func(*rotate.Wish){
			"no_service": func(in *rotate.Wish) { in.Spec.Service = "other" }, "token_scopes": func(in *rotate.Wish) { in.Spec.Scopes = nil }, "rotation_grace": func(in *rotate.Wish) { in.Grace = &long },
		} {
			bad := in
			if change(&bad); code == "rotation_grace" {
				k.most = 40 * day
				*bad.Grace = 30 * day
				k.most = 37 * day
			}
			_, err := w.svc.Add(t.Context(), w.eli(), bad)
			w.refused(code, err)
			k.most = 90 * day
		}
		who := w.eli()
		who.Roles = []string{"auditor"}
		_, err = w.svc.Add(t.Context(), who, in)
		w.refused("denied", err)
		k.there["foreign"] = &token{Token: rotate.Token{ID: "t1", Service: "svc-2"}, team: "staff", until: w.clock.Now().Add(60 * day)}
		k.there["bound"] = &token{Token: rotate.Token{ID: "t2", Service: "svc-1", Bound: true}, team: "staff", until: w.clock.Now().Add(60 * day)}
		k.there["elsewhere"] = &token{Token: rotate.Token{ID: "t3", Service: "svc-1"}, team: "else", until: w.clock.Now().Add(60 * day)}
		for value, code := range map[string]string{"foreign": "value_foreign", "elsewhere": "value_foreign", "none": "value_foreign", "bound": "token_bound"} {
			w.put(name, value)
			_, err = w.svc.Add(t.Context(), w.eli(), in)
			w.refused(code, err)
		}
		in.Name = "/shop/second"
		_, err = w.svc.Add(t.Context(), w.eli(), in)
		w.must(err)
		first := w.value(in.Name)
		w.clock.Advance(25 * time.Hour)
		w.must(w.svc.Tend(t.Context()))
		made := len(k.there)
		for code, is := range map[string]*bool{"owner_gone": &k.gone, "tokens_full": &k.full, "door_away": &k.away, "password_unchecked": &k.open} {
			*is = true
			w.must(w.again(in.Name))
			if r := w.of(in.Name); r.Problem != code || w.value(in.Name) != first || k.there[first].ended {
				t.Errorf("%s: %+v", code, r)
			}
			*is = false
			w.must(w.svc.End(t.Context(), w.eli(), in.Name))
			for text, x := range k.there {
				if text != first && x.Service == "svc-1" && x.team == "staff" && !x.Bound && !x.ended {
					t.Errorf("%s: a token that nobody reads works on", code)
				}
			}
			_, err := w.svc.Add(t.Context(), w.eli(), in)
			w.must(err)
		}
		if len(k.there) < made {
			t.Error("a token was forgotten")
		}
	})
}
