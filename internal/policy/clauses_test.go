package policy_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/policy"
	"writ/internal/policy/document"
)

// settled is a world with a signed bootstrap, two further revisions and an exception.
func settled(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	first, err := w.s.Proposal(ctx, "1.0")
	if err != nil {
		t.Fatal(err)
	}
	w.mustSign(first, "ana", policy.ByAuthor)
	w.mustSign(first, "ben", policy.ByOwner)
	w.mustSign(first, "cid", policy.ByOwner)
	for i, v := range []string{"6h", "1h"} {
		p := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, v)), Effective: w.kit.Clock.Now().Add(time.Duration(1-i) * time.Hour)})
		w.mustSign(p, "ben", policy.ByOwner)
		w.mustSign(p, "eve", policy.ByAuthor)
		w.kit.Clock.Advance(2 * time.Hour)
	}
	e, err := w.s.RequestException(ctx, person("ben"), policy.ExceptionRequest{Param: ttl, Value: "2h", Reason: "x", Until: w.kit.Clock.Now().Add(24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.ApproveException(ctx, operator, e.ID, w.signText(w.keys["cid"], string(e.Text("IS-01", "person/cid")))); err != nil {
		t.Fatal(err)
	}
	return w
}

// forge inserts an approval that verifies and that Approve would never have taken.
func (w *world) forge(name, kind string) {
	w.t.Helper()
	p, err := w.s.Proposal(ctx, "1.2")
	if err != nil {
		w.t.Fatal(err)
	}
	sig := w.signText(w.keys[name], string(p.Text("person/"+name, kind)))
	key := w.keys[name].Key()
	w.tamper(`DELETE FROM policy_approval WHERE revision = $1 AND signer = $2`+orNothing, p.ID, "person/"+name)
	w.tamper(`INSERT INTO policy_approval (revision, version, signer, kind, signature, public_key, fingerprint, at, entry) VALUES ($1, '1.2', $2, $3, $4, $5, $6, $7, 'x')`,
		p.ID, "person/"+name, kind, string(sig), key.String(), key.Fingerprint(), w.kit.Clock.Now().UnixMicro())
}

const orNothing = ` OR signer = 'person/nobody'`

func TestControlsFailWhenTheClauseIsBroken(t *testing.T) {
	cases := []struct {
		control string
		breaks  string
		how     func(*world)
		says    string
	}{
		{"one-number", "gov.policy-id", // breaks: gov.policy-id
			func(w *world) { w.tamper(`UPDATE policy_revision SET policy = 'IS-99' WHERE version = '1.2'`) }, "IS-99"},
		{"dates-hold", "gov.effective-date", // breaks: gov.effective-date
			func(w *world) {
				w.tamper(`UPDATE policy_revision SET holds_from = holds_from - 1000000 WHERE version = '1.1'`)
			}, "before its date"},
		{"author-active", "gov.author", // breaks: gov.author
			func(w *world) { w.people.leave("person/ana") }, "nobody active"},
		{"enough-signatures", "gov.owners", // breaks: gov.owners
			func(w *world) { w.tamper(`DELETE FROM policy_approval WHERE version = '1.2' AND kind = 'owner'`) }, "0 of 1"},
		{"signed-and-dated", "gov.signed-dated", // breaks: gov.signed-dated
			func(w *world) { w.tamper(`DELETE FROM policy_approval WHERE version = '1.2' AND kind = 'author'`) }, "not signed by its author"},
		{"chain-verifies", "gov.revision-history", // breaks: gov.revision-history
			func(w *world) { w.tamper(`DELETE FROM policy_approval WHERE version = '1.1'`) }, "1.1"},
		{"chain-verifies", "gov.revision-history",
			func(w *world) { w.tamper(`UPDATE policy_revision SET state = 'withdrawn' WHERE version = '1.2'`) }, "gone"},
		{"approvers-were-owners", "gov.approver-is-owner", // breaks: gov.approver-is-owner
			func(w *world) { w.forge("eve", policy.ByOwner) }, "person/eve"},
		{"approvers-were-owners", "gov.approver-is-owner",
			func(w *world) { w.tamper(`UPDATE policy_key SET handle = 'person/cid' WHERE handle = 'person/ben'`) }, "no key registered"},
		{"no-own-approval", "gov.sod", // breaks: gov.sod
			func(w *world) { w.forge("eve", policy.ByOwner) }, "person/eve wrote"},
		{"names-in-body", "gov.contact-change", // breaks: gov.contact-change
			func(w *world) {
				p, ps := document.Fill(edit(w.t, w.doc, word(ttl, "1h")), document.Header{Contact: "thief@example.com"})
				if p == nil {
					w.t.Fatal(document.Refusal(ps))
				}
				w.tamper(`UPDATE policy_revision SET body = $1 WHERE version = '1.2'`, p.Canonical())
			}, "without a revision"},
		{"review-in-time", "gov.review-cadence", // breaks: gov.review-cadence
			func(w *world) { w.kit.Clock.Advance(366 * 24 * time.Hour) }, "366 days"},
		{"exceptions-end", "gov.exceptions", // breaks: gov.exceptions
			func(w *world) { w.tamper(`UPDATE policy_exception SET ends = ends + 1000000`) }, "later than was signed"},
		{"exceptions-end", "gov.exceptions",
			func(w *world) { w.tamper(`UPDATE policy_exception SET approver = requester`) }, "approved it"},
	}
	for _, c := range cases {
		t.Run(c.control+" "+c.breaks, func(t *testing.T) {
			w := settled(t)
			if r := w.control(c.control); r.Outcome != clause.Pass {
				t.Fatalf("before: %s: %s", r.Outcome, r.Summary)
			}
			c.how(w)
			if r := w.control(c.control); r.Outcome != clause.Fail || !strings.Contains(r.Summary, c.says) {
				t.Errorf("after: %s: %s", r.Outcome, r.Summary)
			}
		})
	}
}

func TestCanariesAreRefused(t *testing.T) {
	w := newWorld(t)
	w.mustSign(w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h"))}), "ben", policy.ByOwner)
	for _, c := range w.s.Controls(nil) {
		if c.Kind != clause.Canary {
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			r, err := c.Run(ctx)
			if err != nil || r.Outcome != clause.Pass {
				t.Errorf("%s: %s, %v", r.Outcome, r.Summary, err)
			}
			attempts, controls := 0, 0
			for _, s := range r.Steps {
				if s.Control {
					controls++
				} else {
					attempts++
				}
			}
			if attempts == 0 || controls == 0 {
				t.Errorf("%d attempts, %d control cases", attempts, controls)
			}
		})
	}
	if got := w.s.Proposals(); len(got) != 0 {
		t.Errorf("the canaries left %d proposals in the real tables", len(got))
	}
}

func TestTrustPageShowsTheRevision(t *testing.T) {
	w := newWorld(t)
	page := ""
	srv := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/-/trust" {
			http.NotFound(rw, r)
			return
		}
		fmt.Fprint(rw, page)
	}))
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	door := canary.New(canary.Deps{Base: strings.Replace(srv.URL, "127.0.0.1", "example.com", 1), Addr: srv.Listener.Addr().String(), Roots: roots})
	run := func() clause.Result {
		for _, c := range w.s.Controls(door) {
			if c.ID == "policy.page-shows-revision" {
				r, err := c.Run(ctx)
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
		}
		t.Fatal("no control")
		return clause.Result{}
	}
	page = "revision 1.0 sha256:" + w.s.Revisions()[0].BodySHA256
	if r := run(); r.Outcome != clause.Pass {
		t.Errorf("the right page: %s", r.Summary)
	}
	page = "revision 1.0 sha256:" + strings.Repeat("0", 64) // breaks: gov.published
	if r := run(); r.Outcome != clause.Fail {
		t.Errorf("a page with another hash: %s", r.Summary)
	}
}
