package keys_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/keys"
)

var (
	operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}
	tables   = []ledger.Schema{jobs.Schema(), journal.Schema(), vault.Schema()}
)

// people keeps nobody but keys: what identity does is tested there, and in app.
type people struct {
	ring *keyring.Ring
	log  []string
	gone []string // have left since
}

func (p *people) acting(_ context.Context, id string, _ access.Action) (bool, error) {
	return !slices.Contains(p.gone, id), nil
}

func (p *people) Erasable(_ context.Context, _ actor.Actor, ref string) (string, error) {
	switch ref {
	case "nobody":
		return "", fault.New(fault.NotFound, "no_person", fault.Public{Problem: "There is nobody of this name."})
	case "owner":
		return "owner", fault.New(fault.Conflict, "erase_owner", fault.Public{Problem: "This person is an owner."})
	}
	return ref, nil
}

func (p *people) Shred(ctx context.Context, _ actor.Actor, id string) error {
	p.log = append(p.log, id)
	_, err := p.ring.Erase(ctx, keyring.Person(id))
	return err
}

func (p *people) Name(_ context.Context, id string) string { return id }

func (p *people) TeamRef(_ context.Context, ref string) (string, error) { return ref, nil }

// proofs gives entries as they stand in the journal.
type proofs struct{ j *journal.Journal }

func (p proofs) ProofOf(ctx context.Context, entry string) (keys.Proof, error) {
	e, err := p.j.ByID(ctx, entry)
	if err != nil {
		return keys.Proof{}, err
	}
	proof, leaf, err := p.j.Proof(ctx, e.N)
	key, err2 := p.j.Key(ctx)
	return keys.Proof{N: e.N, Leaf: leaf, Proof: proof, Key: key}, errors.Join(err, err2)
}

// world is a vault, its keys and a journal.
type world struct {
	quorum  int // 0 = two
	t       testing.TB
	db      *ledger.DB
	ring    *keyring.Ring
	clock   *ledgertest.Clock
	kit     *ledgertest.Kit // nil in a child process
	vault   *vault.Service
	svc     *keys.Service
	rules   *clause.Live[keys.Rules]
	journal *journal.Journal
	people  *people
}

func both(t *testing.T, test func(w *world)) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit.DB, kit.Ring, kit.Clock)
		w.kit = kit
		test(w)
	}, tables...)
}

func open(t *testing.T) *world {
	kit := ledgertest.Open(t, tables...)
	w := with(t, kit.DB, kit.Ring, kit.Clock)
	w.kit = kit
	return w
}

type nobody struct{}

func (nobody) OwnerOf(context.Context, string) (actor.Actor, error) { return operator, nil }

func with(t testing.TB, db *ledger.DB, ring *keyring.Ring, clock *ledgertest.Clock) *world {
	t.Helper()
	w := &world{t: t, db: db, ring: ring, clock: clock, people: &people{ring: ring}}
	log, acc := slog.New(slog.DiscardHandler), policytest.Access(db, clock.Now)
	w.rules = clause.NewLive[keys.Rules](clock.Now)
	vrules := clause.NewLive[vault.Rules](clock.Now)
	for _, s := range []clause.Slot{w.rules, vrules} {
		if err := s.Set([]clause.Period{{Values: policytest.Values()}}); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.vault, err = vault.New(vault.Deps{DB: db, Keys: ring, Access: acc, Owners: nobody{}, Rules: vrules, Now: clock.Now, Log: log})
	w.must(err)
	w.journal, err = journal.New(journal.Deps{DB: db, Ring: ring, Access: acc, Origin: "https://app.example.test", Now: clock.Now, Log: log, Revision: func() string { return "1" }})
	w.must(err)
	w.svc, err = keys.New(keys.Deps{DB: db, Ring: ring, Access: acc, People: w.people, Acting: w.people.acting, Teams: w.people, Journal: proofs{w.journal}, Rules: w.rules, Quorum: func() int { return w.quorum },
		Now: clock.Now, Log: log, Classes: []string{"old.class"}})
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// as is somebody who is signed in and has shown a factor just now.
func (w *world) as(id, role string) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: id, Team: "staff", TeamKind: "staff", Roles: []string{role}, Session: "s-" + id, ACR: 2, FactorAt: w.clock.Now(), Via: "https"}
}

func (w *world) ana() actor.Actor { return w.as("ana", "owner") }
func (w *world) ben() actor.Actor { return w.as("ben", "owner") }
func (w *world) eve() actor.Actor { return w.as("eve", "owner") }

// refused wants an error of this code.
func (w *world) refused(code string, err error) {
	w.t.Helper()
	got := ""
	if err != nil {
		got, _ = fault.PublicOf(err)
	}
	if got != code {
		w.t.Errorf("got %q (%v), want %q", got, err, code)
	}
}

// put gives a customer's team parameters, and returns one sealed value.
func (w *world) put(team string, n int) keys.Sealed {
	w.t.Helper()
	who := actor.Actor{Kind: actor.Person, ID: "eng", Team: team, TeamKind: "staff", Roles: []string{"engineer"}, Session: "s", ACR: 2, FactorAt: w.clock.Now()}
	for i := range n {
		_, err := w.vault.Put(w.t.Context(), who, vault.Put{Name: "/shop/" + strings.Repeat("x", i+1), Value: secret.NewText("the value"), New: vault.SecureString, Tier: vault.Intelligent})
		w.must(err)
	}
	v := keys.Sealed{}
	v.Place.Table, v.Place.Column, v.Place.Team = "vault_version", "value", team
	w.must(ledger.One(w.t.Context(), w.db, `SELECT v.param, v.version, v.value FROM vault_version v JOIN vault_param p ON p.id = v.param WHERE p.team = $1 ORDER BY v.param LIMIT 1`,
		[]any{&v.Place.Row, &v.Place.Version, &v.Box}, team))
	return v
}

// opens tries a sealed value.
func (w *world) opens(v keys.Sealed) error {
	id, err := envelope.KeyID(v.Box)
	if err != nil {
		return err
	}
	k, err := w.ring.ByID(w.t.Context(), id)
	if err != nil {
		return err
	}
	_, err = k.Open(v.Box, v.Place)
	return err
}

func (w *world) control(id string) clause.Control {
	w.t.Helper()
	all := w.svc.Controls()
	i := slices.IndexFunc(all, func(c clause.Control) bool { return c.ID == id })
	if i < 0 {
		w.t.Fatalf("no control %s", id)
	}
	return all[i]
}

func (w *world) expect(id string, want clause.Outcome, says string) {
	w.t.Helper()
	r, err := w.control(id).Run(w.t.Context())
	if err != nil {
		r = clause.Result{Outcome: clause.Unknown, Summary: err.Error()}
	}
	if r.Outcome != want || !strings.Contains(r.Summary, says) {
		w.t.Errorf("%s: %s (%s), want %s with %q", id, r.Outcome, r.Summary, want, says)
	}
}

// numbered lets the journal take in all that was recorded.
func (w *world) numbered() {
	w.t.Helper()
	rc, err := w.db.Change(w.t.Context(), actor.System("test"), func(*ledger.Tx) (ledger.Event, error) { return keys.ShredClosed{Shred: "last", State: "test"}, nil })
	w.must(err)
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.journal.Run(ctx) }()
	if _, err := w.journal.Wait(w.t.Context(), rc.ID); err != nil {
		w.t.Error(err)
	}
	stop()
	<-done
}

// exec does what only an intruder in the database could do.
func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	w.must(w.db.Quiet(w.t.Context(), ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(w.t.Context(), query, args...)
		return err
	}))
}

const day = 24 * time.Hour
