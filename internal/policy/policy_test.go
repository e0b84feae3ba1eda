package policy_test

import (
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/policy"
	"writ/internal/policy/document"
	"writ/internal/policy/template"
	"writ/internal/sshsig"
)

func TestTighterRevisionNeedsOneOwnerAndHoldsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.is("1.0", 24*time.Hour)
	p := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h")), Summary: "Links live an hour"})
	if p.Needs != 1 || p.Changes != "1 tighter" || len(p.ToSign) != 4 {
		t.Errorf("proposal: needs %d, changes %q, %d texts", p.Needs, p.Changes, len(p.ToSign))
	}
	w.is("1.0", 24*time.Hour)
	p = w.mustSign(p, "ben", policy.ByOwner)
	if p.State != policy.InForce {
		t.Errorf("state %s after the last signature", p.State)
	}
	w.is("1.1", time.Hour)
	m, err := w.s.At(w.kit.Clock.Now())
	if err != nil || m.Values[ttl] != time.Hour || m.Revision.Version.String() != "1.1" {
		t.Errorf("at now: %v %v %v", m.Revision.Version, m.Values[ttl], err)
	}
	var names []string
	for _, e := range w.kit.Recorded("policy.proposed", "policy.approved", "policy.adopted") {
		names = append(names, e.Name)
	}
	if got := strings.Join(names, " "); got != "policy.proposed policy.approved policy.adopted" {
		t.Errorf("recorded %s", got)
	}
	w.wire() // a restart
	w.start()
	w.is("1.1", time.Hour)
}

func TestLooserRevisionNeedsMoreOwners(t *testing.T) {
	w := newWorld(t)
	tight := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h"))})
	w.mustSign(tight, "ben", policy.ByOwner)
	loose := w.propose("eve", policy.Draft{Policy: w.doc})
	if loose.Needs != 2 {
		t.Fatalf("a looser revision needs %d", loose.Needs)
	}
	w.mustSign(loose, "ben", policy.ByOwner)
	w.is("1.1", time.Hour)
	w.mustSign(loose, "cid", policy.ByOwner)
	w.is("1.2", 24*time.Hour)
}

func TestEffectiveDateHoldsByTheClockAlone(t *testing.T) {
	w := newWorld(t)
	start := w.kit.Clock.Now()
	date := start.Add(48 * time.Hour)
	p := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h")), Effective: date})
	p = w.mustSign(p, "ben", policy.ByOwner)
	if p.State != policy.Approved {
		t.Errorf("state %s before its date", p.State)
	}
	w.is("1.0", 24*time.Hour)
	w.kit.Clock.Set(date.Add(-time.Microsecond))
	w.is("1.0", 24*time.Hour)
	w.kit.Clock.Set(date)
	w.is("1.1", time.Hour)
	if m, err := w.s.At(date.Add(-time.Second)); err != nil || m.Values[ttl] != 24*time.Hour {
		t.Errorf("a second before: %v, %v", m.Values[ttl], err)
	}
	_, err := w.s.At(start.Add(-time.Hour))
	wantCode(t, err, fault.NotFound, "no_policy_then")
}

func TestSignaturesThatDoNotCount(t *testing.T) {
	w := newWorld(t)
	// breaks: gov.sod
	own := w.propose("ben", policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h"))})
	_, err := w.sign(own, "ben", policy.ByOwner)
	wantCode(t, err, fault.Denied, "self_approval")
	own = w.mustSign(own, "ben", policy.ByAuthor)
	if own.State != policy.Proposed || own.OwnersSigned() != 0 {
		t.Errorf("the author's signature counted: %s", own.State)
	}
	// breaks: gov.approver-is-owner
	_, err = w.sign(own, "eve", policy.ByOwner)
	wantCode(t, err, fault.Denied, "not_owner")
	_, err = w.sign(own, "eve", policy.ByAuthor)
	wantCode(t, err, fault.Invalid, "signature")

	stranger, _ := sshsig.Generate()
	_, err = w.s.Approve(ctx, operator, own.ID, w.signText(stranger, string(own.Text("person/cid", policy.ByOwner))))
	wantCode(t, err, fault.Denied, "unknown_key")
	_, err = w.s.Approve(ctx, operator, own.ID, w.signText(w.keys["eve"], string(own.Text("person/cid", policy.ByOwner))))
	wantCode(t, err, fault.Denied, "unknown_key")
	wrong, _ := w.keys["cid"].Sign("file", own.Text("person/cid", policy.ByOwner))
	_, err = w.s.Approve(ctx, operator, own.ID, wrong)
	wantCode(t, err, fault.Invalid, "signature")

	w.people.leave("person/cid")
	_, err = w.sign(own, "cid", policy.ByOwner)
	wantCode(t, err, fault.Denied, "not_active")
	if err := w.s.RevokeKey(ctx, person("ana"), w.keys["ana"].Key().Fingerprint()); err != nil {
		t.Fatal(err)
	}
	_, err = w.sign(own, "ana", policy.ByOwner)
	wantCode(t, err, fault.Denied, "unknown_key")
	_, err = w.registerKey("ana", w.keys["ana"])
	wantCode(t, err, fault.Conflict, "key_known")
	w.is("1.0", 24*time.Hour)
	if n := len(w.kit.Recorded("policy.act-refused")); n < 7 {
		t.Errorf("%d refusals recorded", n)
	}
}

func TestApprovalCannotBeReplayed(t *testing.T) {
	// breaks: gov.signed-dated
	w := newWorld(t)
	date := w.kit.Clock.Now().Add(time.Hour)
	first := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "2h")), Effective: date})
	sig := w.signText(w.keys["ben"], string(first.Text("person/ben", policy.ByOwner)))
	for name, d := range map[string]policy.Draft{
		"body":    {Policy: edit(t, w.doc, word(ttl, "3h")), Effective: date},
		"version": {Policy: edit(t, w.doc, word(ttl, "2h")), Effective: date, Version: document.Version{Major: 2}},
		"date":    {Policy: edit(t, w.doc, word(ttl, "2h")), Effective: date.Add(time.Hour)},
	} {
		w.withdrawAll()
		p := w.propose("eve", d)
		_, err := w.s.Approve(ctx, operator, p.ID, sig)
		if !errors.Is(err, fault.Invalid) {
			t.Errorf("replayed on another %s: %v", name, err)
		}
	}
	// The very same revision again: the signature would fit, so it is refused.
	w.withdrawAll()
	_, err := w.tryPropose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "2h")), Effective: date})
	wantCode(t, err, fault.Invalid, "closed_before")
	_, err = w.s.Approve(ctx, operator, first.ID, sig)
	wantCode(t, err, fault.Gone, "closed")
	// On another parent.
	other := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "4h"))})
	w.mustSign(other, "ben", policy.ByOwner)
	again := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "2h")), Version: document.Version{Major: 2}, Effective: date})
	_, err = w.s.Approve(ctx, operator, again.ID, sig)
	wantCode(t, err, fault.Invalid, "signature")
}

func TestProposalsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	now := w.kit.Clock.Now()
	head := func(h document.Header) *document.Policy {
		p, ps := document.Fill(w.doc, h)
		if p == nil {
			t.Fatal(document.Refusal(ps))
		}
		return p
	}
	for name, c := range map[string]struct {
		d    policy.Draft
		code string
	}{
		"another number":      {policy.Draft{Policy: head(document.Header{ID: "IS-02"})}, "policy_id"},              // breaks: gov.policy-id
		"a gap":               {policy.Draft{Version: document.Version{Major: 1, Minor: 2}}, "version"},             // breaks: gov.revision-history
		"the same version":    {policy.Draft{Version: document.Version{Major: 1}}, "version"},                       //
		"back-dated":          {policy.Draft{Effective: now.Add(-time.Second)}, "back_dated"},                       // breaks: gov.effective-date
		"nobody as author":    {policy.Draft{Policy: head(document.Header{Author: "person/nobody"})}, "not_active"}, // breaks: gov.author
		"a module says no":    {policy.Draft{Policy: edit(t, w.doc, word(ttl, "13h"))}, "unbindable"},
		"no second owner":     {policy.Draft{Policy: head(document.Header{Owners: []string{"person/ben"}})}, "never_approvable"},
		"a file with errors":  {policy.Draft{YAML: []byte("writ: policy/v2\n")}, "policy_refused"},
		"two lines of words":  {policy.Draft{Summary: "a\nb"}, "summary"},
		"self-approval as ok": {policy.Draft{Policy: edit(t, w.doc, word("gov.sod/self_approval", "true"))}, "unbindable"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.tryPropose("eve", c.d)
			wantCode(t, err, fault.Invalid, c.code)
		})
	}
	_, err := w.s.Propose(ctx, person("eve"), policy.Draft{Policy: w.doc, Summary: "x", Author: "person/ben"})
	wantCode(t, err, fault.Denied, "author")
	w.people.leave("person/cid") // two owners are left, and one of them writes
	_, err = w.tryPropose("ben", policy.Draft{Policy: edit(t, w.doc, word("gov.review-cadence/every", "700d"))})
	wantCode(t, err, fault.Invalid, "never_approvable")
	machine := actor.Actor{Kind: actor.Machine, ID: "ci", Team: "staff", Roles: []string{"engineer"}}
	_, err = w.s.Propose(ctx, machine, policy.Draft{Policy: w.doc, Summary: "x", Author: "person/ben"})
	wantCode(t, err, fault.Denied, "not_a_person")
	if got := w.s.Proposals(); len(got) != 0 {
		t.Errorf("%d proposals were stored", len(got))
	}
}

func TestRevisionThatCouldNeverBeApproved(t *testing.T) {
	// breaks: gov.owners
	w := newWorld(t)
	w.people.leave("person/cid")
	h := document.Header{Owners: []string{"person/ana", "person/ben"}}
	p, _ := document.Fill(w.doc, h)
	_, err := w.tryPropose("ben", policy.Draft{Policy: p}) // changing the owners needs two; only ana is left
	wantCode(t, err, fault.Invalid, "never_approvable")
	q := w.propose("eve", policy.Draft{Policy: p})
	w.mustSign(q, "ben", policy.ByOwner)
	w.mustSign(q, "ana", policy.ByOwner)
	m, _ := w.s.Current()
	if !slices.Equal(m.Policy.Owners, h.Owners) {
		t.Errorf("owners %v", m.Policy.Owners)
	}
}

func TestRejectWithdrawLapseOutdated(t *testing.T) {
	w := newWorld(t)
	p := w.propose("eve", policy.Draft{})
	_, err := w.tryPropose("ben", policy.Draft{Policy: edit(t, w.doc, word(ttl, "5h"))})
	wantCode(t, err, fault.Conflict, "version_open")
	_, err = w.s.Reject(ctx, person("eve"), p.ID, "no")
	wantCode(t, err, fault.Denied, "denied")
	_, err = w.s.Withdraw(ctx, person("ben"), p.ID, "")
	wantCode(t, err, fault.Denied, "not_author")
	r, err := w.s.Reject(ctx, person("ben"), p.ID, "too early")
	if err != nil || r.State != policy.Rejected || r.Reason != "too early" {
		t.Errorf("reject: %v %v", r.State, err)
	}
	_, err = w.sign(p, "cid", policy.ByOwner)
	wantCode(t, err, fault.Gone, "closed")

	p = w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "5h"))})
	w.kit.Clock.Advance(30*24*time.Hour + time.Minute)
	if got, _ := w.s.Proposal(ctx, p.ID); got.State != policy.Lapsed {
		t.Errorf("after 30 days: %s", got.State)
	}
	_, err = w.sign(p, "ben", policy.ByOwner)
	wantCode(t, err, fault.Gone, "closed")

	p = w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "6h"))}) // the version is free again
	q := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "7h")), Version: document.Version{Major: 2}})
	w.mustSign(q, "ben", policy.ByOwner)
	if got, _ := w.s.Proposal(ctx, p.ID); got.State != policy.Outdated {
		t.Errorf("after another child was adopted: %s", got.State)
	}
	w.is("2.0", 7*time.Hour)
	dated := w.propose("eve", policy.Draft{Effective: w.kit.Clock.Now().Add(time.Hour), Policy: edit(t, w.doc, word(ttl, "1h"))})
	w.kit.Clock.Advance(2 * time.Hour)
	_, err = w.sign(dated, "ben", policy.ByOwner)
	wantCode(t, err, fault.Gone, "closed")
}

func (w *world) withdrawAll() {
	w.t.Helper()
	for _, open := range w.s.Proposals() {
		if open.State != policy.Proposed {
			continue
		}
		if _, err := w.s.Withdraw(ctx, operator, open.ID, "replaced"); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestNeverInForceWithoutSignatures walks at random and compares with a reference that
// only counts.
func TestNeverInForceWithoutSignatures(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t)
	values := []string{"1h", "2h", "3h", "6h", "12h", "24h"}
	names := []string{"ana", "ben", "cid", "eve"}
	type ref struct {
		p      policy.Proposal
		author string
		owners map[string]bool
	}
	var open []*ref
	for range 120 {
		before := w.version()
		switch k := rnd.IntN(10); {
		case k < 3:
			who := names[rnd.IntN(4)]
			m, _ := w.s.Current()
			p, err := w.tryPropose(who, policy.Draft{Policy: edit(t, m.Policy, word(ttl, values[rnd.IntN(len(values))])), Effective: w.kit.Clock.Now().Add(time.Duration(rnd.IntN(3)) * time.Hour)})
			if err == nil {
				open = append(open, &ref{p, who, map[string]bool{}})
			}
			if w.version() != before {
				t.Fatalf("seed %d: in force by proposing", seed)
			}
		case k < 9 && len(open) > 0:
			o := open[len(open)-1-rnd.IntN(min(3, len(open)))]
			who := names[rnd.IntN(4)]
			kind := []string{policy.ByOwner, policy.ByOwner, policy.ByAuthor}[rnd.IntN(3)]
			got, err := w.sign(o.p, who, kind)
			if err == nil && kind == policy.ByOwner {
				o.owners[who] = true
			}
			if err == nil && got.State != policy.Proposed && (len(o.owners) < o.p.Needs || o.owners[o.author] || o.owners["eve"]) {
				t.Fatalf("seed %d: %s is %s with the owners %v of %d, written by %s", seed, got.Version, got.State, o.owners, o.p.Needs, o.author)
			}
		default:
			w.kit.Clock.Advance(time.Duration(rnd.IntN(90)) * time.Minute)
		}
	}
	for _, id := range []string{"enough-signatures", "chain-verifies", "approvers-were-owners", "no-own-approval", "dates-hold"} {
		if r := w.control(id); r.Outcome != clause.Pass {
			t.Errorf("seed %d: %s: %s", seed, id, r.Summary)
		}
	}
	if len(w.s.Revisions()) < 3 {
		t.Logf("seed %d: only %d revisions adopted", seed, len(w.s.Revisions()))
	}
}

func TestKillDuringAdoptionLeavesTheOldRevision(t *testing.T) {
	w := newWorld(t)
	p := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h"))})
	w.kit.Seam.Statement = func(q string) error {
		if strings.Contains(q, "SET state = 'outdated'") {
			return errors.New("killed")
		}
		return nil
	}
	if _, err := w.sign(p, "ben", policy.ByOwner); err == nil {
		t.Fatal("approved")
	}
	w.is("1.0", 24*time.Hour)
	w.kit.Seam.Statement = nil
	w.wire()
	w.start()
	w.is("1.0", 24*time.Hour)
	if got, _ := w.s.Proposal(ctx, p.ID); got.State != policy.Proposed || len(got.Approvals) != 0 {
		t.Errorf("half adopted: %s with %d signatures", got.State, len(got.Approvals))
	}
	w.mustSign(p, "ben", policy.ByOwner)
	w.is("1.1", time.Hour)
}

func TestTamperedHistoryIsFoundAtStart(t *testing.T) {
	for name, query := range map[string]string{
		"summary":        `UPDATE policy_revision SET summary = 'another' WHERE version = '1.1'`,
		"author":         `UPDATE policy_revision SET author = 'person/ben' WHERE version = '1.1'`,
		"date":           `UPDATE policy_revision SET holds_from = holds_from - 1000000000 WHERE version = '1.1'`,
		"parent":         `UPDATE policy_revision SET parent = 'x' WHERE version = '1.1'`,
		"version":        `UPDATE policy_revision SET version = '1.2' WHERE version = '1.1'`,
		"signature gone": `DELETE FROM policy_approval`,
		"signer":         `UPDATE policy_approval SET signer = 'person/cid'`,
		"forged state":   `UPDATE policy_revision SET state = 'approved', parent = hash WHERE version = '1.2'`,
		"own parent":     `UPDATE policy_revision SET parent = hash WHERE version = '1.1'`,
		"cycle to first": `UPDATE policy_revision SET hash = '' WHERE version = '1.1'`,
		"cycle of two":   `UPDATE policy_revision SET state = 'approved', parent = (SELECT hash FROM policy_revision WHERE version = '1.1'), hash = (SELECT hash FROM policy_revision WHERE version = '1.0') WHERE version = '1.2'`,
		"none approved":  `UPDATE policy_revision SET state = 'withdrawn'`,
		"no first":       `UPDATE policy_revision SET parent = (SELECT hash FROM policy_revision WHERE version = '1.1') WHERE version = '1.0'`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.mustSign(w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h"))}), "ben", policy.ByOwner)
			if strings.Contains(query, "1.2'") && name != "version" {
				w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "2h"))})
			}
			w.tamper(query)
			if r := w.control("chain-verifies"); r.Outcome != clause.Fail {
				t.Errorf("the control says %s: %s", r.Outcome, r.Summary)
			}
			w.wire()
			wantCode(t, unwrap(w.s.Start(ctx)), fault.Conflict, "chain_broken")
		})
	}
}

func unwrap(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	return err
}

func TestOlderRevisionStartsUnderANewerBinary(t *testing.T) {
	// The older revision lacks a parameter that a rule of this build obeys, and a clause.
	text := string(template.YAML())
	older := strings.Replace(text, "          loosen_need: {type: int, value: 1, range: [1, 9], stricter: higher}\n", "", 1)
	older = strings.Replace(older, ", and {{loosen_need}} or more where it loosens a promise", "", 1)
	if older == text {
		t.Fatal("the template has changed; mend this test")
	}
	p, ps := document.Load([]byte(older), document.Shipped())
	if p == nil {
		t.Fatal(document.Refusal(ps))
	}
	p, _ = document.Fill(p, header())
	w := blankWorld(t, "sqlite")
	_, err := w.s.Bootstrap(ctx, operator, p)
	wantCode(t, unwrap(err), fault.Invalid, "unbindable") // a new policy must be complete
	w.begin(shipped(t, nil))
	sum := document.HashBody(p.Canonical())
	w.rewriteBootstrap(p, sum)
	w.wire()
	w.start()
	if why := w.s.Unbound()["gov.owners"]; !strings.Contains(why, "loosen_need") {
		t.Errorf("gov.owners is not shown unbound: %q", why)
	}
	w.is("1.0", 24*time.Hour)
	q := w.propose("eve", policy.Draft{Template: true, Summary: "What the new version brings"})
	if !q.Diff.NeedsLoosen() && q.Needs < 1 || !strings.Contains(string(q.Body()), "loosen_need") {
		t.Errorf("the proposal from the template: %s", q.Changes)
	}
	w.mustSign(q, "ben", policy.ByOwner)
	if len(w.s.Unbound()) != 0 {
		t.Errorf("still unbound: %v", w.s.Unbound())
	}
}

// TestOpenSSHJudges has ssh-keygen sign what Writ counts and verify what Writ stored.
func TestOpenSSHJudges(t *testing.T) {
	tool, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	dir := t.TempDir()
	run := func(stdin []byte, args ...string) error {
		cmd := exec.Command(tool, args...)
		cmd.Dir = dir
		cmd.Stdin = strings.NewReader(string(stdin))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Logf("ssh-keygen %v: %s", args, out)
		}
		return err
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		must(err)
		return b
	}
	write := func(name string, b []byte) { must(os.WriteFile(filepath.Join(dir, name), b, 0o600)) }
	must(run(nil, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "id"))
	w := newWorld(t)
	line := string(read("id.pub"))
	text, err := w.s.KeyText(ctx, person("ben"), line)
	must(err)
	write("key.txt", []byte(text))
	must(run(nil, "-q", "-Y", "sign", "-n", "writ-policy", "-f", "id", "key.txt"))
	_, err = w.s.RegisterKey(ctx, person("ben"), line, read("key.txt.sig"))
	must(err)

	p := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h"))})
	i := slices.IndexFunc(p.ToSign, func(s policy.ToSign) bool { return s.Approver == "person/ben" })
	write("approval.txt", []byte(p.ToSign[i].Text))
	must(run(nil, "-q", "-Y", "sign", "-n", "writ-policy", "-f", "id", "approval.txt"))
	p, err = w.s.Approve(ctx, person("eve"), p.ID, read("approval.txt.sig"))
	must(err)
	w.is("1.1", time.Hour)

	p = w.mustSign(p, "cid", policy.ByOwner) // signed by our own code, judged by theirs
	for _, a := range p.Approvals {
		write("allowed", []byte(a.Signer+" namespaces=\"writ-policy\" "+a.PublicKey+"\n"))
		write("sig", []byte(a.Signature))
		args := []string{"-Y", "verify", "-f", "allowed", "-I", a.Signer, "-n", "writ-policy", "-s", "sig"}
		must(run(p.Text(a.Signer, a.Kind), args...))
		if run(p.Text("person/ana", a.Kind), args...) == nil {
			t.Error("ssh-keygen takes the signature for another text")
		}
	}
}

func TestBootstrapIsSignedLater(t *testing.T) {
	w := newWorld(t)
	if r := w.control("signed-and-dated"); r.Outcome != clause.Fail {
		t.Errorf("unsigned bootstrap: %s", r.Summary)
	}
	p, err := w.s.Proposal(ctx, "1.0")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.sign(p, "ana", policy.ByOwner)
	wantCode(t, err, fault.Denied, "self_approval")
	w.mustSign(p, "ana", policy.ByAuthor)
	w.mustSign(p, "ben", policy.ByOwner)
	if r := w.control("signed-and-dated"); r.Outcome != clause.Fail {
		t.Errorf("with one owner of two: %s", r.Summary)
	}
	w.mustSign(p, "cid", policy.ByOwner)
	if r := w.control("signed-and-dated"); r.Outcome != clause.Pass {
		t.Errorf("signed: %s", r.Summary)
	}
	_, err = w.sign(p, "cid", policy.ByOwner)
	wantCode(t, err, fault.Conflict, "signed_before")
}

func TestBothEngines(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			w := blankWorld(t, engine)
			w.kit.Seam.Twice = true
			w.begin(shipped(t, word("gov.owners/loosen_need", "2")))
			w.mustSign(w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h"))}), "ben", policy.ByOwner)
			w.is("1.1", time.Hour)
			e, err := w.s.RequestException(ctx, person("ben"), policy.ExceptionRequest{Param: ttl, Value: "12h", Reason: "x", Until: w.kit.Clock.Now().Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.s.ApproveException(ctx, operator, e.ID, w.signText(w.keys["cid"], string(e.Text("IS-01", "person/cid")))); err != nil {
				t.Fatal(err)
			}
			w.is("1.1", 12*time.Hour)
			text, st, err := w.s.RecordText(ctx, person("eve"), policy.Statement{Clause: "gov.contact", Statement: "Answered."})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.s.Attest(ctx, operator, st, w.signText(w.keys["eve"], text)); err != nil {
				t.Fatal(err)
			}
			if got, err := w.s.Records(ctx, ""); err != nil || len(got) != 1 {
				t.Errorf("records: %v %v", got, err)
			}
			other, err := policy.New(w.deps) // another node
			if err != nil {
				t.Fatal(err)
			}
			if err := other.Start(ctx); err != nil {
				t.Fatal(err)
			}
			w.mustSign(w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "30m"))}), "ben", policy.ByOwner)
			if err := other.Refresh(ctx); err != nil || other.Version() != "1.2" || other.VersionAt(time.Time{}) != "1.0" {
				t.Errorf("the other node obeys %s, and %s before: %v", other.Version(), other.VersionAt(time.Time{}), err)
			}
		})
	}
}

// rewriteBootstrap puts an older body where the bootstrap's is, with hashes that agree.
func (w *world) rewriteBootstrap(p *document.Policy, sum [32]byte) {
	w.t.Helper()
	r := w.s.Revisions()[0]
	hash := policy.RevisionHash(r, sum)
	w.tamper(`UPDATE policy_revision SET body = $1, body_sha256 = $2, hash = $3`, p.Canonical(), hex.EncodeToString(sum[:]), hash)
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2026-03-01T10:00Z", "2026-03-01", "2026-03-01T10:00:00+02:00", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := policy.ParseTime(s)
		if err != nil {
			return
		}
		if again, err := policy.ParseTime(at.Format(time.RFC3339)); err != nil || !again.Equal(at.Truncate(time.Second)) {
			t.Errorf("%q is %s, then %s, %v", s, at, again, err)
		}
	})
}
