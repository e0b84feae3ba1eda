package oidc_test

import (
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"writ/internal/identity"
	op "writ/internal/identity/oidc"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
)

// One of thirty-two who bring the same code at once gets tokens at most, and since the
// others brought a used code nothing of it is left.
//
// breaks: auth.best-practice
func TestOneCodeHasOneWinner(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		_, email := w.customer("ana")
		a := w.register(op.NewClient{})
		code := a.code(w.browser(), email)
		got := race(a, func() answer { return a.redeem(code) })
		if len(got) != 1 {
			t.Fatalf("%d winners of one code", len(got))
		}
		w.emptied(a, got)
	}, jobs.Schema(), identity.Schema())
}

// The same of a refresh token, and of a request that was pushed once.
//
// breaks: auth.best-practice
func TestOneRefreshHasOneWinner(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		_, email := w.customer("ana")
		a := w.register(op.NewClient{})
		b := w.browser()
		first := a.redeem(a.code(b, email))
		got := race(a, func() answer { return a.refresh(first.field("refresh_token")) })
		if len(got) != 1 {
			t.Fatalf("%d winners of one refresh token", len(got))
		}
		w.emptied(a, append(got, first))

		ref := a.post("par", a.params()).field("request_uri")
		to := "/-/oidc/authorize?" + url.Values{"client_id": {a.client.ID}, "request_uri": {ref}}.Encode()
		var won atomic.Int64
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				if p := b.get(to); p.query().Get("code") != "" {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d winners of one pushed request", won.Load())
		}
	}, jobs.Schema(), identity.Schema())
}

// race sends one request thirty-two times at once and returns the answers with tokens.
func race(a app, ask func() answer) (won []answer) {
	a.w.t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			got := ask()
			mu.Lock()
			defer mu.Unlock()
			switch {
			case got.status == 200:
				won = append(won, got)
			case got.field("error") != "invalid_grant":
				a.w.t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	wg.Wait()
	return won
}

// emptied wants every token dead.
func (w *world) emptied(a app, all []answer) {
	w.t.Helper()
	for i, tok := range all {
		if got := w.userinfo(tok.field("access_token")); got.status != 401 {
			w.t.Errorf("access token %d of %d lives: %d", i, len(all), got.status)
		}
		if got := a.refresh(tok.field("refresh_token")); got.field("error") != "invalid_grant" {
			w.t.Errorf("refresh token %d of %d lives: %d %s", i, len(all), got.status, got.body)
		}
	}
}

// Whatever is done with a family in whatever order: as soon as a token comes that was used
// before, nothing of the family lives; until then exactly the newest refresh token does.
//
// breaks: auth.best-practice
func TestRandomRefreshes(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		rng := rand.New(rand.NewPCG(seed, 1))
		w := with(t, kit)
		_, email := w.customer("ana")
		a, other := w.register(op.NewClient{}), w.register(op.NewClient{Name: "Other"})
		b := w.browser()
		for range 12 {
			family := []answer{a.redeem(a.code(b, email))}
			reused := false
			for range 3 + rng.IntN(6) {
				newest := family[len(family)-1].field("refresh_token")
				switch n := rng.IntN(6); {
				case n < 3: // as it should be
					got := a.refresh(newest)
					if (got.status == 200) == reused {
						t.Fatalf("seed %d: the newest token, family reused %v: %d %s", seed, reused, got.status, got.body)
					}
					if got.status == 200 {
						family = append(family, got)
					}
				case n == 3: // a look that changes nothing
					if live := w.userinfo(family[len(family)-1].field("access_token")).status == 200; live == reused {
						t.Fatalf("seed %d: the newest access token lives %v, family reused %v", seed, live, reused)
					}
				case n == 4 && len(family) > 1: // an old one
					if got := a.refresh(family[rng.IntN(len(family)-1)].field("refresh_token")); got.status == 200 {
						t.Fatalf("seed %d: a used token was taken", seed)
					}
					reused = true
				case n == 5: // any in other hands
					if got := other.refresh(family[rng.IntN(len(family))].field("refresh_token")); got.status == 200 {
						t.Fatalf("seed %d: another client used it", seed)
					}
					reused = true
				}
			}
			if !reused {
				for range 2 { // twice at once
					family = append(family, race(a, func() answer { return a.refresh(family[0].field("refresh_token")) })...)
				}
			}
			w.emptied(a, family)
		}
	}, jobs.Schema(), identity.Schema())
}
