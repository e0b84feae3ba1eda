package policy_test

import (
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/policy"
	"writ/internal/policy/document"
)

// An owner who operates the machine names another author over the socket and approves
// what they wrote themself. Without the author's own signature nothing is adopted.
func TestOperatorInSomebodysName_regression(t *testing.T) {
	// breaks: gov.sod
	w := newWorld(t)
	draft := policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h")), Summary: "Shorter", Author: "person/eve"}
	p, err := w.s.Propose(ctx, operator, draft)
	if err != nil {
		t.Fatal(err)
	}
	if p.ProposedBy != "operator/0" || !p.NeedsOwn {
		t.Errorf("proposed by %q, needs the author: %v", p.ProposedBy, p.NeedsOwn)
	}
	for _, owner := range []string{"ben", "cid"} {
		if p = w.mustSign(p, owner, policy.ByOwner); p.State != policy.Proposed {
			t.Fatalf("%s after %s signed; its author has not", p.State, owner)
		}
	}
	w.is("1.0", 24*time.Hour)
	if p = w.mustSign(p, "eve", policy.ByAuthor); p.State != policy.InForce {
		t.Errorf("%s after its author signed", p.State)
	}
	w.is("1.1", time.Hour)
	if r := w.control("no-own-approval"); r.Outcome != clause.Pass {
		t.Errorf("%s: %s", r.Outcome, r.Summary)
	}
	// In the other order, and with the author of the header.
	draft = policy.Draft{Policy: edit(t, w.doc, word(ttl, "30m")), Summary: "Shorter still"}
	if p, err = w.s.Propose(ctx, operator, draft); err != nil || p.Author != "person/ana" {
		t.Fatal(p.Author, err)
	}
	_, err = w.sign(p, "ana", policy.ByOwner)
	wantCode(t, err, fault.Denied, "self_approval")
	w.mustSign(p, "ana", policy.ByAuthor)
	w.mustSign(p, "ben", policy.ByOwner)
	w.is("1.2", 30*time.Minute)

	w.tamper(`DELETE FROM policy_approval WHERE version = '1.1' AND kind = 'author'`)
	if r := w.control("no-own-approval"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "in the name of person/eve") {
		t.Errorf("%s: %s", r.Outcome, r.Summary)
	}
	w.wire()
	wantCode(t, unwrap(w.s.Start(ctx)), fault.Conflict, "chain_broken")
}

func TestWhoProposedIsInTheHash_regression(t *testing.T) {
	w := newWorld(t)
	p, err := w.s.Propose(ctx, operator, policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h")), Summary: "x", Author: "person/eve"})
	if err != nil {
		t.Fatal(err)
	}
	w.mustSign(p, "eve", policy.ByAuthor)
	w.mustSign(p, "ben", policy.ByOwner)
	for _, by := range []string{"", "person/eve"} {
		w.tamper(`UPDATE policy_revision SET proposed_by = $1 WHERE version = '1.1'`, by)
		if r := w.control("chain-verifies"); r.Outcome != clause.Fail {
			t.Errorf("proposed by %q: %s", by, r.Summary)
		}
	}
}

func TestProposalWithoutAChange_regression(t *testing.T) {
	w := newWorld(t)
	_, err := w.tryPropose("eve", policy.Draft{Policy: w.doc})
	wantCode(t, unwrap(err), fault.Invalid, "no_change")
	_, err = w.tryPropose("eve", policy.Draft{Template: true})
	wantCode(t, unwrap(err), fault.Invalid, "no_change")
	// The yearly review says again that the policy stands.
	w.kit.Clock.Advance(200 * 24 * time.Hour)
	p := w.propose("eve", policy.Draft{Policy: w.doc, Summary: "Reviewed, unchanged"})
	if p = w.mustSign(p, "ben", policy.ByOwner); p.State != policy.InForce {
		t.Errorf("the review is %s", p.State)
	}
}

// A build whose rules refuse what the revision in force says starts, obeys the shipped
// default of that clause alone, and says so until a revision mends it.
func TestNewerRulesRefuseAnOlderRevision_regression(t *testing.T) {
	w := blankWorld(t, "sqlite")
	w.begin(shipped(t, nil))
	p := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "12h"))})
	open := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "11h")), Version: document.Version{Major: 2}})
	w.mustSign(p, "ben", policy.ByOwner)
	_ = open
	w.is("1.1", 12*time.Hour)

	w.strict = true // the newer build: nothing from 11 to 12 hours
	w.wire()
	w.start()
	w.is("1.1", 24*time.Hour)
	why := w.s.Unbound()["auth.reset-link-lifetime"]
	if !strings.Contains(why, "eleven to twelve") || !strings.Contains(why, "24h") || len(w.s.Unbound()) != 1 {
		t.Errorf("unbound: %v", w.s.Unbound())
	}
	if drift, err := w.s.Drifted(); err != nil || len(drift) > 0 {
		t.Errorf("drift: %v %v", drift, err)
	}
	m, err := w.s.Current()
	if err != nil || m.Values[ttl] != 24*time.Hour {
		t.Errorf("the moment says %v, %v", m.Values[ttl], err)
	}
	// Neither a proposal nor an exception is mended; others are not held up.
	_, err = w.tryPropose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "11h"))})
	wantCode(t, unwrap(err), fault.Invalid, "unbindable")
	if _, err = w.s.RequestException(ctx, person("ben"), policy.ExceptionRequest{Param: "gov.review-cadence/every", Value: "100d", Reason: "x", Until: w.kit.Clock.Now().Add(time.Hour)}); err != nil {
		t.Error(err)
	}
	later := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h")), Effective: w.kit.Clock.Now().Add(time.Hour)})
	w.mustSign(later, "ben", policy.ByOwner)
	w.is("1.1", 24*time.Hour)
	w.kit.Clock.Advance(2 * time.Hour)
	w.is("1.2", time.Hour)
	if len(w.s.Unbound()) != 0 {
		t.Errorf("still unbound: %v", w.s.Unbound())
	}
}

// A proposal from before the update that the newer build refuses is not adopted.
func TestOldProposalUnderNewerRules_regression(t *testing.T) {
	w := newWorld(t)
	p := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "12h"))})
	w.strict = true
	w.wire()
	w.start()
	_, err := w.sign(p, "ben", policy.ByOwner)
	wantCode(t, unwrap(err), fault.Invalid, "adoption_refused")
	w.is("1.0", 24*time.Hour)
}

// Signatures stay good when the clock is set back between registering a key, signing
// with it and revoking it.
func TestClockSetBackAroundAKey_regression(t *testing.T) {
	w := newWorld(t)
	p := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h"))})
	w.kit.Clock.Advance(-time.Hour)
	w.mustSign(p, "ben", policy.ByOwner)
	w.kit.Clock.Advance(-time.Hour)
	if err := w.s.RevokeKey(ctx, person("ben"), w.keys["ben"].Key().Fingerprint()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"enough-signatures", "approvers-were-owners", "chain-verifies"} {
		if r := w.control(id); r.Outcome != clause.Pass {
			t.Errorf("%s: %s: %s", id, r.Outcome, r.Summary)
		}
	}
}

// An exception that was edited in the database does not hold, after a start or while
// the server runs.
func TestEditedExceptionDoesNotHold_regression(t *testing.T) {
	// breaks: gov.exceptions
	for name, query := range map[string]string{
		"value":     `UPDATE policy_exception SET value = '6h'`,
		"end":       `UPDATE policy_exception SET ends = ends + 86400000000`,
		"parameter": `UPDATE policy_exception SET param = 'gov.review-cadence/every', value = '100d'`,
		"approver":  `UPDATE policy_exception SET requester = approver`,
		"signature": `UPDATE policy_exception SET signature = ''`,
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t)
			w.is("1.2", 2*time.Hour)
			w.tamper(query)
			if r := w.control("exceptions-end"); r.Outcome != clause.Fail {
				t.Errorf("the control says %s", r.Summary)
			}
			if _, err := w.s.RequestException(ctx, person("ben"), policy.ExceptionRequest{Param: "gov.owners/need", Value: "1", Reason: "x", Until: w.kit.Clock.Now()}); err == nil {
				t.Error("accepted")
			}
			w.propose("eve", policy.Draft{}) // has the law read again
			w.is("1.2", time.Hour)
			w.wire()
			w.start()
			w.is("1.2", time.Hour)
		})
	}
}

// A history that is edited while the server runs is not obeyed at the next reading.
func TestEditedHistoryIsNotReadAgain_regression(t *testing.T) {
	w := settled(t)
	w.tamper(`UPDATE policy_revision SET holds_from = holds_from + 86400000000 WHERE version = '1.2'`)
	w.tamper(`UPDATE policy_revision SET author = 'person/ben' WHERE version = '1.2'`)
	_, err := w.tryPropose("eve", policy.Draft{})
	wantCode(t, unwrap(err), fault.Conflict, "chain_broken")
	w.is("1.2", 2*time.Hour)
}

// An owner who operates the machine asks for an exception in another's name and approves
// what they asked for themself.
func TestOperatorAsksInSomebodysName_regression(t *testing.T) {
	// breaks: gov.exceptions
	w := newWorld(t)
	e, err := w.s.RequestException(ctx, operator, policy.ExceptionRequest{Param: ttl, Value: "2h", Reason: "x", Until: w.kit.Clock.Now().Add(time.Hour), Requester: "person/ana"})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(name string) error {
		_, err := w.s.ApproveException(ctx, operator, e.ID, w.signText(w.keys[name], string(e.Text("IS-01", "person/"+name))))
		return err
	}
	wantCode(t, unwrap(sign("ben")), fault.Denied, "not_confirmed")
	wantCode(t, unwrap(sign("eve")), fault.Denied, "not_owner")
	w.is("1.0", 24*time.Hour)
	if err := sign("ana"); err != nil {
		t.Fatal(err)
	}
	w.is("1.0", 24*time.Hour)
	wantCode(t, unwrap(sign("ana")), fault.Denied, "self_approval")
	if err := sign("ben"); err != nil {
		t.Fatal(err)
	}
	w.is("1.0", 2*time.Hour)
	if r := w.control("exceptions-end"); r.Outcome != clause.Pass {
		t.Errorf("%s", r.Summary)
	}
	w.tamper(`UPDATE policy_exception SET confirmation = signature`)
	if r := w.control("exceptions-end"); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "in the name of person/ana") {
		t.Errorf("%s", r.Summary)
	}
}
