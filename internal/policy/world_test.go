package policy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy"
	"writ/internal/policy/document"
	"writ/internal/policy/policytest"
	"writ/internal/policy/template"
	"writ/internal/sshsig"
)

// people is who works here; the id of person/ana is "id-ana".
type people struct {
	mu   sync.Mutex
	gone map[string]bool
	all  map[string]bool
}

func (p *people) PersonByHandle(_ context.Context, handle string) (string, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.all[handle] {
		return "", false, fault.New(fault.NotFound, "nobody", fault.Public{Problem: "Nobody."})
	}
	return "id-" + strings.TrimPrefix(handle, "person/"), !p.gone[handle], nil
}

func (p *people) Handle(_ context.Context, id string) (string, error) {
	return "person/" + strings.TrimPrefix(id, "id-"), nil
}

func (p *people) leave(handle string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone[handle] = true
}

// resetRules stands for a module.
type resetRules struct {
	TTL time.Duration `clause:"auth.reset-link-lifetime/ttl"`
}

func (r *resetRules) Validate() error {
	if r.TTL == 13*time.Hour {
		return errors.New("auth.reset-link-lifetime: 13h brings bad luck")
	}
	return nil
}

// strictRules are those of a newer build.
type strictRules struct {
	TTL time.Duration `clause:"auth.reset-link-lifetime/ttl"`
	// breaks nothing by itself: a rule of another clause in the same module
	Every time.Duration `clause:"gov.review-cadence/every"`
}

func (r *strictRules) Validate() error {
	if 11*time.Hour <= r.TTL && r.TTL <= 12*time.Hour {
		return errors.New("auth.reset-link-lifetime: eleven to twelve hours are refused by now")
	}
	return nil
}

// world is a policy with four people: ana, ben and cid own it, eve is an engineer; ana
// is its author.
type world struct {
	t      *testing.T
	kit    *ledgertest.Kit
	able   func(context.Context, clause.Values, []string) (int, error)
	s      *policy.Service
	reset  *clause.Live[resetRules]
	people *people
	keys   map[string]sshsig.Signer
	doc    *document.Policy
	file   []byte
	deps   policy.Deps
	titles int
	strict bool // wire a newer build's rules
	ruled  bool // the table of roles of the revision in force decides, as in a server
	newer  *clause.Live[strictRules]
}

var ctx = context.Background()

const ttl = "auth.reset-link-lifetime/ttl"

func person(name string) actor.Actor {
	role := "owner"
	if name == "eve" {
		role = "engineer"
	}
	return actor.Actor{Kind: actor.Person, ID: "id-" + name, Team: "staff", Roles: []string{role}, Via: "https"}
}

// shown is access for people who have just shown a second factor.
type shown struct {
	*access.Access
	now func() time.Time
}

func (s shown) Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error {
	if who.Kind == actor.Person {
		who.ACR, who.FactorAt = 2, s.now()
	}
	return s.Access.Allow(ctx, who, action, object)
}

var operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}

func header() document.Header {
	return document.Header{Author: "person/ana", Owners: []string{"person/ana", "person/ben", "person/cid"}}
}

func shipped(t testing.TB, edits map[string]document.Literal) *document.Policy {
	t.Helper()
	p, ps := document.Load(template.YAML(), document.Shipped())
	if p == nil {
		t.Fatal(document.Refusal(ps))
	}
	if p, ps = document.Fill(p, header()); p == nil {
		t.Fatal(document.Refusal(ps))
	}
	return edit(t, p, edits)
}

func edit(t testing.TB, p *document.Policy, edits map[string]document.Literal) *document.Policy {
	t.Helper()
	q, ps := document.Apply(p, edits)
	if q == nil {
		t.Fatal(document.Refusal(ps))
	}
	return q
}

func word(key, value string) map[string]document.Literal {
	return map[string]document.Literal{key: document.Word(value)}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := blankWorld(t, "sqlite")
	w.begin(shipped(t, word("gov.owners/loosen_need", "2")))
	return w
}

func blankWorld(t *testing.T, engine string) *world {
	t.Helper()
	w := &world{t: t, kit: ledgertest.With(t, engine, nil, policy.Schema()), keys: map[string]sshsig.Signer{},
		people: &people{gone: map[string]bool{}, all: map[string]bool{"person/ana": true, "person/ben": true, "person/cid": true, "person/eve": true}}}
	w.wire()
	return w
}

// wire makes the service as a start of the program would.
func (w *world) wire() {
	w.t.Helper()
	w.reset = clause.NewLive[resetRules](w.kit.Clock.Now)
	file := w.file
	if file == nil {
		file = template.YAML()
	}
	w.deps = policy.Deps{DB: w.kit.DB, People: w.people, Access: shown{policytest.Access(w.kit.DB, w.kit.Clock.Now), w.kit.Clock.Now}, Slots: []clause.Slot{w.reset}, Template: file,
		Now: w.kit.Clock.Now, Log: slog.New(slog.DiscardHandler), Able: w.able, Controls: []clause.Control{{ID: "identity.x", Clause: "auth.reset-link-lifetime"}}}
	if w.ruled {
		a := access.New(access.Deps{Log: w.kit.DB, Now: w.kit.Clock.Now})
		w.deps.Access, w.deps.Slots = shown{a, w.kit.Clock.Now}, append(w.deps.Slots, a.Slots()...)
	}
	if w.strict {
		w.newer = clause.NewLive[strictRules](w.kit.Clock.Now)
		w.deps.Slots = []clause.Slot{w.newer}
	}
	var err error
	if w.s, err = policy.New(w.deps); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) begin(doc *document.Policy) {
	w.t.Helper()
	w.doc = doc
	if _, err := w.s.Bootstrap(ctx, operator, doc); err != nil {
		w.t.Fatal(err)
	}
	w.start()
	for _, name := range []string{"ana", "ben", "cid", "eve"} {
		w.register(name)
	}
}

func (w *world) start() {
	w.t.Helper()
	if err := w.s.Start(ctx); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) register(name string) {
	w.t.Helper()
	key, err := sshsig.Generate()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.registerKey(name, key); err != nil {
		w.t.Fatal(err)
	}
	w.keys[name] = key
}

func (w *world) registerKey(name string, key sshsig.Signer) (policy.Key, error) {
	w.t.Helper()
	text, err := w.s.KeyText(ctx, person(name), key.Key().String())
	if err != nil {
		return policy.Key{}, err
	}
	return w.s.RegisterKey(ctx, person(name), key.Key().String(), w.signText(key, text))
}

func (w *world) signText(key sshsig.Signer, text string) []byte {
	w.t.Helper()
	sig, err := key.Sign(policy.Namespace, []byte(text))
	if err != nil {
		w.t.Fatal(err)
	}
	return sig
}

func (w *world) propose(who string, d policy.Draft) policy.Proposal {
	w.t.Helper()
	p, err := w.tryPropose(who, d)
	if err != nil {
		w.t.Fatalf("propose: %v", err)
	}
	return p
}

func (w *world) tryPropose(who string, d policy.Draft) (policy.Proposal, error) {
	if d.Summary == "" {
		d.Summary = "A change"
	}
	if d.Policy == nil && d.YAML == nil && !d.Template {
		d.Policy = w.retitled()
	}
	return w.s.Propose(ctx, person(who), d)
}

// retitled is the policy with another title each time: a change without a value.
func (w *world) retitled() *document.Policy {
	w.t.Helper()
	w.titles++
	p, ps := document.Fill(w.doc, document.Header{Title: w.doc.Title + strings.Repeat(" again", w.titles)})
	if p == nil {
		w.t.Fatal(document.Refusal(ps))
	}
	return p
}

// sign approves p as name of the kind, by the text that p itself shows or would show.
func (w *world) sign(p policy.Proposal, name, kind string) (policy.Proposal, error) {
	w.t.Helper()
	text := p.Text("person/"+name, kind)
	return w.s.Approve(ctx, person("eve"), p.ID, w.signText(w.keys[name], string(text)))
}

func (w *world) mustSign(p policy.Proposal, name, kind string) policy.Proposal {
	w.t.Helper()
	got, err := w.sign(p, name, kind)
	if err != nil {
		w.t.Fatalf("%s signs: %v", name, err)
	}
	return got
}

func (w *world) version() string { return w.s.Version() }

func (w *world) is(version string, want time.Duration) {
	w.t.Helper()
	if got := w.version(); got != version {
		w.t.Errorf("in force: %s, want %s", got, version)
	}
	got := time.Duration(0)
	if w.strict {
		got = w.newer.Get().TTL
	} else {
		got = w.reset.Get().TTL
	}
	if got != want {
		w.t.Errorf("the module obeys %s, want %s", got, want)
	}
}

// tamper changes rows behind the service's back.
func (w *world) tamper(query string, args ...any) {
	w.t.Helper()
	err := w.kit.DB.Quiet(ctx, ledger.Cursor, func(tx *ledger.Tx) error {
		n, err := tx.Exec(ctx, query, args...)
		if err == nil && n == 0 {
			err = fmt.Errorf("nothing to tamper with: %s", query)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) control(id string) clause.Result {
	w.t.Helper()
	for _, c := range w.s.Controls(nil) {
		if c.ID != "policy."+id {
			continue
		}
		res, err := c.Run(ctx)
		if err != nil {
			w.t.Fatalf("%s: %v", id, err)
		}
		return res
	}
	w.t.Fatalf("no control %s", id)
	return clause.Result{}
}

func wantCode(t testing.TB, err error, kind fault.Kind, code string) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != kind || f.Code != code {
		t.Errorf("got %v, want %s: %s", err, kind, code)
	}
}
