package scan_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/leak"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/scan"
)

var (
	operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}
	auditor  = actor.Actor{Kind: actor.Person, ID: "aud", Team: vault.Home, TeamKind: "staff", Roles: []string{"auditor"}}
	support  = actor.Actor{Kind: actor.Person, ID: "sue", Team: vault.Home, TeamKind: "staff", Roles: []string{"support"}}
)

// engineer has shown a factor just now.
func (w *world) engineer() actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: "eli", Team: vault.Home, TeamKind: "staff", Roles: []string{"engineer"}, Session: "s", ACR: 2, FactorAt: w.kit.Clock.Now(), Via: "https"}
}

type nobody struct{}

func (nobody) OwnerOf(context.Context, string) (actor.Actor, error) {
	return actor.Actor{}, fault.New(fault.Denied, "owner_gone", fault.Public{Problem: "The owner is not there."})
}

// record lists what the ledger has.
type record struct{ kit *ledgertest.Kit }

func (r record) List(_ context.Context, q journal.Query) (out []journal.Entry, err error) {
	for range r.kit.Recorded(q.Act) {
		out = append(out, journal.Entry{Act: q.Act, Happened: r.kit.Clock.Now()})
	}
	return out, nil
}

// world is scans over a vault, and a folder that is declared.
type world struct {
	t     *testing.T
	kit   *ledgertest.Kit
	vault *vault.Service
	items map[string]kept
	deps  scan.Deps
	svc   *scan.Service
	dir   string
	rand  *rand.Rand
}

func each(t *testing.T, fn func(t *testing.T, w *world)) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) { fn(t, open(t, kit)) }, vault.Schema())
}

func open(t *testing.T, kit *ledgertest.Kit) *world {
	t.Helper()
	w := &world{t: t, kit: kit, dir: t.TempDir(), rand: rand.New(rand.NewPCG(3, 3))} //nolint:gosec // samples are no secrets
	log, now := slog.New(slog.DiscardHandler), kit.Clock.Now
	vr, sr := clause.NewLive[vault.Rules](now), clause.NewLive[scan.Rules](now)
	for _, s := range []clause.Slot{vr, sr} {
		if err := s.Set([]clause.Period{{Values: policytest.Values()}}); err != nil {
			t.Fatal(err)
		}
	}
	acc := policytest.Access(kit.DB, now)
	var err error
	if w.vault, err = vault.New(vault.Deps{DB: kit.DB, Keys: kit.Ring, Access: acc, Owners: nobody{}, Rules: vr, Now: now, Log: log}); err != nil {
		t.Fatal(err)
	}
	w.deps = scan.Deps{DB: kit.DB, Values: w.vault, Items: w, Access: acc, Record: record{kit}, Rules: sr, Places: []string{w.dir}, Now: now, Log: log, Temp: t.TempDir()}
	w.again()
	return w
}

// kept is a secret field of an item, and whose it is; "" = nobody's but the server's.
type kept struct{ whose, value string }

// EachSecret implements scan.Items.
func (w *world) EachSecret(_ context.Context, who actor.Actor, _ string, fn func(string, secret.Text) error) error {
	for name, k := range w.items {
		if who.Kind == actor.Writ || k.whose == who.ID {
			if err := fn(name, secret.NewText(k.value)); err != nil {
				return err
			}
		}
	}
	return nil
}

// again makes the service anew, after its deps were changed.
func (w *world) again() {
	w.t.Helper()
	var err error
	if w.svc, err = scan.New(w.deps); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) put(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) keep(name, value string, kind vault.Type) {
	w.t.Helper()
	if _, err := w.vault.Put(w.t.Context(), operator, vault.Put{Name: name, Value: secret.NewText(value), Type: kind}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) sweep() {
	w.t.Helper()
	if err := w.svc.Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) run(id string) clause.Result {
	w.t.Helper()
	for _, c := range w.svc.Controls() {
		if c.ID == id {
			r, err := c.Run(w.t.Context())
			if err != nil {
				w.t.Fatalf("%s: %v", id, err)
			}
			return r
		}
	}
	w.t.Fatalf("no control %s", id)
	return clause.Result{}
}

func (w *world) places() []scan.Place {
	w.t.Helper()
	ps, err := w.svc.Scans(w.t.Context(), auditor)
	if err != nil {
		w.t.Fatal(err)
	}
	return ps
}

// token is a made-up one, composed here so that none stands in a file.
func (w *world) token() string {
	const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	b := []byte("gh" + "p_")
	for range 36 {
		b = append(b, alnum[w.rand.IntN(len(alnum))])
	}
	return string(b)
}

// report is what a scan of another machine's folder says.
func (w *world) report(c *leak.Options) scan.Report {
	w.t.Helper()
	rep, err := leak.Scan(w.t.Context(), w.dir, *c)
	if err != nil {
		w.t.Fatal(err)
	}
	return scan.Report{Host: "laptop", Path: "/srv/eli/shop", Report: rep}
}

func kit(t *testing.T) *ledgertest.Kit { return ledgertest.Open(t, vault.Schema()) }
