package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"testing"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/incident"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
)

// stillGate is a gate that nobody comes to.
func stillGate(t *testing.T) (*gateway.Gateway, *ledgertest.Kit) {
	t.Helper()
	kit := ledgertest.Open(t, gateway.Schema())
	rules := clause.NewLive[gateway.Rules](kit.Clock.Now)
	if err := rules.Set([]clause.Period{{Values: policytest.Values()}}); err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Deps{DB: kit.DB, Rules: rules, Sessions: noSessions{}, Access: policytest.Access(kit.DB, kit.Clock.Now), Keys: kit.Ring, Origin: &url.URL{Scheme: "https", Host: "app.example.test"},
		Upstream: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, RoutesFile: filepath.Join(t.TempDir(), "routes.yaml"), Fail: func(http.ResponseWriter, *http.Request, error) {}, Now: kit.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return g, kit
}

// The gate, and that of a drill, learn which try it is that closes or opens them: an older one than has
// done so does not.
func TestGateLearnsWhichTryItIs(t *testing.T) { // breaks: inc.loss-maintenance, inc.loss-reopen
	for name, made := range map[string]func(g *gateway.Gateway, kit *ledgertest.Kit) incident.Gate{
		"the gate": func(g *gateway.Gateway, kit *ledgertest.Kit) incident.Gate {
			return lossGate{&App{db: kit.DB, modules: modules{gateway: g}}}
		},
		"a drill's": func(g *gateway.Gateway, _ *ledgertest.Kit) incident.Gate {
			return stageGate{&stage{set: &scene{gate: g}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, kit := stillGate(t)
			gate, ctx := made(g, kit), t.Context()
			shut := func(epoch int64) error {
				_, err := gate.Close(ctx, actor.System("incident"), incident.Order{Reason: "I-1 lost data", Epoch: epoch})
				return err
			}
			open := func(share int, epoch int64) error {
				return gate.Open(ctx, actor.System("incident"), share, incident.Order{Reason: "I-1: opened again", Epoch: epoch})
			}
			for _, c := range []struct {
				is   string
				err  error
				over bool
			}{
				{"closed", shut(7), false},
				{"opened to some by an older one", open(5, 6), true},
				{"opened to all by an older one", open(100, 6), true},
				{"opened to some", open(5, 8), false},
				{"opened to all by an older one then", open(100, 7), true},
				{"opened to all", open(100, 9), false},
				{"closed by an older one", shut(8), true},
			} {
				if errors.Is(c.err, fault.Conflict) != c.over || c.err != nil && !c.over {
					t.Errorf("%s: %v", c.is, c.err)
				}
			}
			if mode, _ := g.Mode(); mode != gateway.Normal {
				t.Errorf("in the end it is %s", mode)
			}
		})
	}
}

// numbers notes by which try each act was asked for.
type numbers struct {
	incident.Recovery
	got []incident.Epoch
}

func (n *numbers) Shut(_ context.Context, _ bool, e incident.Epoch) error {
	n.got = append(n.got, e)
	return nil
}

func (n *numbers) Hold(_ context.Context, _ bool, e incident.Epoch) error {
	n.got = append(n.got, e)
	return nil
}

func (n *numbers) Restore(_ context.Context, _ incident.Plan, e incident.Epoch) (string, error) {
	n.got = append(n.got, e)
	return "write 7", nil
}

func (n *numbers) Reconcile(_ context.Context, _ incident.Plan, _ []incident.Tombstone, e incident.Epoch) (int64, []incident.Check, error) {
	n.got = append(n.got, e)
	return 3, nil, nil
}

// So does what restores the copy that a drill is played on.
func TestStageLearnsWhichTryItIs(t *testing.T) { // breaks: inc.loss-restore
	n := &numbers{}
	r, ctx := stageRecovery{&stage{set: &scene{copy: Rehearsed{Recovery: n}}}}, t.Context()
	try := func(k int64) incident.Epoch { return incident.Epoch{Ledger: "01JD", N: k} }
	err := errors.Join(r.Shut(ctx, true, try(1)), r.Hold(ctx, false, try(2)))
	at, rerr := r.Restore(ctx, incident.Plan{}, try(3))
	replayed, _, cerr := r.Reconcile(ctx, incident.Plan{}, nil, try(4))
	if err := errors.Join(err, rerr, cerr); err != nil || at != "write 7" || replayed != 3 {
		t.Errorf("%s %d %v", at, replayed, err)
	}
	if want := []incident.Epoch{try(1), try(2), try(3), try(4)}; !slices.Equal(n.got, want) {
		t.Errorf("%v, want %v", n.got, want)
	}
}
