package holders_test

import (
	"context"
	"testing"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger/ledgertest"
	"writ/internal/seal"
	"writ/internal/secret"
	"writ/internal/vault/holders"
)

// loose is a gate that is broken in one place.
type loose struct {
	holders.Gathering
	give func(real holders.Gathering, n int, in seal.Offer) (seal.State, error)
	n    int
}

func (l *loose) Give(ctx context.Context, in seal.Offer) (seal.State, error) {
	l.n++
	return l.give(l.Gathering, l.n, in)
}

// Each step of the control fails it, when what it attacks is broken there.
//
// breaks: people.no-sole-holder
func TestCanaryCanFail(t *testing.T) {
	w := open(t, ledgertest.Open(t, tables...))
	const canary = "vault.holders-canary"
	w.wants(canary, clause.Pass, "opened nothing")
	no := fault.Newf(fault.Denied, "broken", "It refuses everything.")
	two := seal.State{Given: 2, Need: 2}
	real := func(g holders.Gathering, in seal.Offer) (seal.State, error) { return g.Give(t.Context(), in) }
	for name, c := range map[string]struct {
		says string
		give func(d seal.Deps, g holders.Gathering, n int, in seal.Offer) (seal.State, error)
	}{
		"refuses everything": {"refused what it must allow: give one share", func(seal.Deps, holders.Gathering, int, seal.Offer) (seal.State, error) { return seal.State{}, no }},
		"counts one holder twice": {"let through: give the same share again", func(_ seal.Deps, g holders.Gathering, n int, in seal.Offer) (seal.State, error) {
			if n == 2 {
				return two, nil
			}
			return real(g, in)
		}},
		"takes an old set": {"let through: give a share of an old set", func(_ seal.Deps, g holders.Gathering, n int, in seal.Offer) (seal.State, error) {
			if n == 3 {
				return two, nil
			}
			return real(g, in)
		}},
		"takes a foreign share": {"let through: give another holder's share as one's own", func(_ seal.Deps, g holders.Gathering, n int, in seal.Offer) (seal.State, error) {
			if n == 4 {
				return two, nil
			}
			return real(g, in)
		}},
		"opens with one": {"let through: open with a share too few", func(d seal.Deps, g holders.Gathering, n int, in seal.Offer) (seal.State, error) {
			st, err := real(g, in)
			if n == 1 {
				if err := d.Whole(t.Context(), in.Set, secret.Random(32)); err != nil {
					t.Error(err)
				}
			}
			return st, err
		}},
		"never opens": {"refused what it must allow: give the second share", func(_ seal.Deps, g holders.Gathering, n int, in seal.Offer) (seal.State, error) {
			if n == 5 {
				return seal.State{}, no
			}
			return real(g, in)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w.svc.Gather(func(d seal.Deps, g holders.Gathering) holders.Gathering {
				return &loose{Gathering: g, give: func(g holders.Gathering, n int, in seal.Offer) (seal.State, error) { return c.give(d, g, n, in) }}
			})
			w.wants(canary, clause.Fail, c.says)
		})
	}
	w.svc.Gather(func(_ seal.Deps, g holders.Gathering) holders.Gathering { return g })
	w.wants(canary, clause.Pass, "opened nothing")
	for name, c := range map[string]struct {
		says string
		err  error
	}{"the last but one goes": {"let through: remove the last holder but one", nil}, "nobody can be removed": {"refused what it must allow: remove a holder who can be spared", no}} {
		t.Run(name, func(t *testing.T) {
			w.svc.BreakRemove(func(context.Context, actor.Actor, string, string, string) error { return c.err })
			w.wants(canary, clause.Fail, c.says)
		})
	}
	w.svc.BreakRemove(nil)
	w.wants(canary, clause.Pass, "opened nothing")
}
