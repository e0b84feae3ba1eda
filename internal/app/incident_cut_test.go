package app

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/incident"
)

// things are a vault with one key and a gate that blocks, unless they are broken.
type things struct {
	broken  bool
	ended   bool
	blocked []netip.Prefix
	block   gateway.Block
	from    netip.Addr
}

func (x *things) Works(_ context.Context, id string) error {
	switch {
	case id != "AKIA1":
		return fault.NotFound
	case x.ended:
		return fault.Unauthenticated
	}
	return nil
}

func (x *things) EndKey(context.Context, actor.Actor, string) error {
	if x.ended {
		return fault.NotFound
	}
	x.ended = !x.broken
	return nil
}

func (x *things) EndKeysOf(context.Context, actor.Actor, string) (int64, error) { return 0, nil }

func (x *things) Knock(_ context.Context, from netip.Addr) bool {
	for _, p := range x.blocked {
		if p.Contains(from) {
			return true
		}
	}
	return false
}

func (x *things) BlockNetwork(_ context.Context, _ actor.Actor, b gateway.Block, from netip.Addr) (gateway.Block, error) {
	x.from = from
	p := netip.MustParsePrefix(b.Network)
	if x.broken { // half of it
		p = netip.PrefixFrom(p.Addr(), p.Bits()+1)
	}
	x.blocked, x.block = append(x.blocked, p), b
	return b, nil
}

// What is cut is tried again, and what still works is no containment.
func TestCutsAreTried(t *testing.T) { // breaks: inc.breach-research
	now, caller := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC), netip.MustParseAddr("192.0.2.9")
	for _, broken := range []bool{false, true} {
		x := &things{broken: broken}
		e := ends{keys: x, door: x, now: func() time.Time { return now }}
		for kind, c := range map[string]struct{ id, before, again string }{
			accessKey: {"AKIA1", "the access key worked", "the access key did not work"},
			network:   {"198.51.100.9/24", "requests from there were let to the door", "requests from there were turned away already"},
		} {
			before, after, err := e.Cut(t.Context(), actor.Actor{}, "I-3", incident.Cut{Kind: kind, ID: c.id, From: caller})
			if err != nil || before != c.before || after == "" {
				t.Errorf("%s: %q %q %v", kind, before, after, err)
			}
			if kind == network && x.from != caller {
				t.Errorf("the gate is told that %v asks, and it was %v", x.from, caller)
			}
			if refused, says, err := e.Again(t.Context(), kind, c.id); refused == broken || says == "" || err != nil {
				t.Errorf("%s, broken %v: %v %q %v", kind, broken, refused, says, err)
			}
			if before, _, err := e.Cut(t.Context(), actor.Actor{}, "I-3", incident.Cut{Kind: kind, ID: c.id}); err != nil || !broken && before != c.again {
				t.Errorf("%s a second time: %q %v", kind, before, err)
			}
		}
		if x.block.Incident != "I-3" || !x.block.Until.Equal(now.Add(networkCut)) || x.block.Network != "198.51.100.0/24" {
			t.Errorf("%+v", x.block)
		}
		if _, _, err := e.Cut(t.Context(), actor.Actor{}, "I-3", incident.Cut{Kind: accessKey, ID: "AKIA2"}); !errors.Is(err, fault.NotFound) {
			t.Errorf("a key that there never was: %v", err)
		}
		if _, _, err := e.Cut(t.Context(), actor.Actor{}, "I-3", incident.Cut{Kind: network, ID: "everybody"}); !errors.Is(err, fault.Invalid) {
			t.Errorf("no network: %v", err)
		}
	}
}
