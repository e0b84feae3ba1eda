package holders_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/keyring/keyringtest"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
	"writ/internal/policy/policytest"
	"writ/internal/seal"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/holders"
)

var tables = []ledger.Schema{jobs.Schema(), vault.Schema()}

// owner is a person of staff who has just shown a factor.
func owner(id string) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: id, Session: "s-" + id, Team: "staff", TeamKind: "staff", Roles: []string{"owner"}, ACR: 2, Via: "https"}
}

// people is who works here.
type people struct {
	gone  map[string]bool
	stale bool
}

func (p *people) Find(_ context.Context, _ actor.Actor, ref string) (holders.Person, error) {
	id, _, _ := strings.Cut(ref, "@")
	if !slices.Contains([]string{"ana", "ben", "chloe", "dev", "eve", "visitor"}, id) {
		return holders.Person{}, fault.Newf(fault.NotFound, "no_person", "nobody")
	}
	return holders.Person{ID: id, Name: strings.ToUpper(id[:1]) + id[1:], Email: id + "@example.test"}, nil
}
func (p *people) Name(_ context.Context, id string) string  { return strings.ToUpper(id[:1]) + id[1:] }
func (p *people) Email(_ context.Context, id string) string { return id + "@example.test" }
func (p *people) Staffed(_ context.Context, id string) (bool, error) {
	return id != "visitor" && !p.gone[id], nil
}
func (p *people) Owners(context.Context) ([]string, error) { return []string{"ana", "ben"}, nil }
func (p *people) FreshNow(context.Context, actor.Actor) error {
	if p.stale {
		return fault.Newf(fault.Denied, "step_up_required", "stale")
	}
	return nil
}

// post counts letters, by kind and address.
type post struct {
	made map[string]mail.Message
	sent []string
	m    *mail.Mailer
}

func (p *post) Prepare(ctx context.Context, m mail.Message) (jobs.Job, error) {
	j, err := p.m.Prepare(ctx, m)
	p.made[j.ID()] = m
	return j, err
}
func (p *post) Enqueue(ctx context.Context, tx *ledger.Tx, j jobs.Job) error {
	m := p.made[j.ID()]
	name, _, _ := strings.Cut(m.To, "@")
	p.sent = append(p.sent, m.Kind+" "+name)
	return p.m.Enqueue(ctx, tx, j)
}

// fresh wants no factor: the rights are judged, the freshness is identity's.
type fresh struct{ *access.Access }

// world is a ledger, a keyring of its own in a folder, and who holds its root.
type world struct {
	t      testing.TB
	kit    *ledgertest.Kit
	dir    string
	ring   *keyring.Ring
	file   *seal.File
	people *people
	post   *post
	rules  *clause.Live[holders.Rules]
	svc    *holders.Service
	keys   map[string]seal.Private
	alone  bool
	sealed int
	print  func() // called before a root is known by its fingerprint; nil otherwise
}

func open(t testing.TB, kit *ledgertest.Kit) *world {
	t.Helper()
	w := &world{t: t, kit: kit, dir: t.TempDir(), people: &people{gone: map[string]bool{}}, keys: map[string]seal.Private{}}
	w.ring = keyringtest.Open(t, keyring.Options{Dir: w.dir, Now: kit.Clock.Now})
	w.file = seal.In(w.dir)
	w.rules = clause.NewLive[holders.Rules](kit.Clock.Now)
	w.policy(nil)
	w.restart()
	return w
}

// policy puts other values in force.
func (w *world) policy(change clause.Values) {
	w.t.Helper()
	v := policytest.Values()
	for k, x := range change {
		v[k] = x
	}
	if err := w.rules.Set([]clause.Period{{Values: v}}); err != nil {
		w.t.Fatal(err)
	}
}

// restart makes the service as another process would.
func (w *world) restart() {
	w.t.Helper()
	log, now := slog.New(slog.DiscardHandler), w.kit.Clock.Now
	queue := jobs.New(jobs.Deps{DB: w.kit.DB, Keys: w.kit.Ring, Now: now, Log: log})
	m, err := mail.New(mail.Deps{Queue: queue, URL: "file://" + w.t.TempDir(), From: "writ@example.test", Now: now, Log: log, Canary: func(mail.Message) {}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.post = &post{made: map[string]mail.Message{}, m: m}
	w.svc, err = holders.New(holders.Deps{DB: w.kit.DB, Ring: w.ring, File: w.file, People: w.people, Mail: w.post, Access: fresh{policytest.Access(w.kit.DB, now)},
		Rules: w.rules, Fingerprint: w.fingerprint, Company: func() string { return "Quorvex" }, Origin: "https://app.example.test", Now: now, Log: log,
		Alone: w.alone, RootFile: filepath.Join(w.dir, "root.key"), Weakness: "the server opens by itself", Seal: func() error { w.sealed++; return nil },
		Root: func(context.Context) (secret.Bytes, error) { return w.fileRoot(), nil }, Demo: true})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) fingerprint(b secret.Bytes) string {
	if f := w.print; f != nil {
		w.print = nil
		f()
	}
	return keyring.Fingerprint(b)
}

func (w *world) fileRoot() secret.Bytes {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "root.key"))
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		w.t.Fatal(err)
	}
	return secret.NewBytes(b)
}

// enrol gives somebody a key file and hands its line in.
func (w *world) enrol(name string) error {
	w.t.Helper()
	k, err := seal.NewPrivate()
	if err != nil {
		w.t.Fatal(err)
	}
	w.keys[name] = k
	return w.svc.Enrol(w.t.Context(), owner(name), k.Key)
}

// three makes ana, ben and chloe holders.
func (w *world) three() {
	w.t.Helper()
	if _, err := w.svc.Appoint(w.t.Context(), owner("ana"), []string{"ana", "ben@example.test", "chloe"}); err != nil {
		w.t.Fatal(err)
	}
	for _, n := range []string{"ana", "ben", "chloe"} {
		if err := w.enrol(n); err != nil {
			w.t.Fatal(err)
		}
	}
}

// give gives somebody's share to a gate.
func (w *world) give(g *seal.Gate, name string) error {
	w.t.Helper()
	k := w.keys[name]
	x, st, err := g.Box(w.t.Context(), k.ID)
	if err != nil {
		return err
	}
	box, err := k.Offer(st.Operation, x.Box)
	if err != nil {
		return err
	}
	_, err = g.Give(w.t.Context(), seal.Offer{Set: st.Set, Holder: k.ID, Box: box})
	return err
}

// opens gathers shares as a sealed server does, and gives the root they make.
func (w *world) opens(names ...string) secret.Bytes {
	w.t.Helper()
	var root secret.Bytes
	note := func(_ context.Context, l seal.Line) error { return w.file.Note(w.kit.Clock.Now(), l) }
	g, err := seal.NewGate(seal.Deps{File: w.file, Act: seal.Open, Now: w.kit.Clock.Now, Fingerprint: keyring.Fingerprint, Note: note,
		Whole: func(ctx context.Context, set string, b secret.Bytes) error {
			root = secret.NewBytes(b.Reveal())
			return note(ctx, seal.Line{What: seal.WasOpened, Set: set})
		}})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, n := range names {
		if err := w.give(g, n); err != nil {
			w.t.Fatalf("%s gives a share: %v", n, err)
		}
	}
	if root.IsZero() {
		w.t.Fatal("the shares opened nothing")
	}
	return root
}

// reopen opens the keys with a root, as a start does.
func (w *world) reopen(root secret.Bytes) error {
	w.t.Helper()
	r, err := keyring.Open(w.t.Context(), keyring.Options{Dir: w.dir, Now: w.kit.Clock.Now, Given: root})
	if err == nil {
		err = r.Close()
	}
	return err
}

// alive closes the ring and opens it again with a root, and makes the service anew.
func (w *world) alive(root secret.Bytes) {
	w.t.Helper()
	if err := w.ring.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.ring = keyringtest.Reopen(w.t, keyring.Options{Dir: w.dir, Now: w.kit.Clock.Now, Given: root})
	w.restart()
	if err := w.svc.Resume(w.t.Context(), root); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) drill(names ...string) {
	w.t.Helper()
	if _, err := w.svc.Drill(w.t.Context(), owner("ana")); err != nil {
		w.t.Fatal(err)
	}
	for _, n := range names {
		if err := w.give(w.svc.Gate(), n); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) state() holders.State {
	w.t.Helper()
	st, err := w.svc.Stands(w.t.Context(), owner("ana"))
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

// judge runs a control.
func (w *world) judge(id string) clause.Result {
	w.t.Helper()
	for _, c := range w.svc.Controls() {
		if c.ID == id {
			r, err := c.Run(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			return r
		}
	}
	w.t.Fatalf("no control %s", id)
	return clause.Result{}
}

func (w *world) wants(id string, outcome clause.Outcome, words ...string) {
	w.t.Helper()
	r := w.judge(id)
	if r.Outcome != outcome {
		w.t.Errorf("%s: %s, want %s: %s", id, r.Outcome, outcome, r.Summary)
	}
	for _, x := range words {
		if !strings.Contains(r.Summary, x) {
			w.t.Errorf("%s says %q, want %q", id, r.Summary, x)
		}
	}
}

func refused(t testing.TB, err error, code string) {
	t.Helper()
	if got, _ := fault.PublicOf(err); err == nil || got != code {
		t.Errorf("%v, want %q", err, code)
	}
}

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
