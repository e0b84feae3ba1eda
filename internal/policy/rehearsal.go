package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/policy/document"
	"writ/internal/sshsig"
	"writ/internal/web"
)

// A rehearsal tries forbidden acts in a sandboxed copy: the same binary and the same
// revision in a ledger of its own that is thrown away, because an attempt in the real
// tables would stay in the history for ever. People and keys are made up; everything
// else is the code that owners meet.
type rehearsal struct {
	s     *Service
	doc   *document.Policy
	cast  cast
	keys  map[string]sshsig.Signer
	steps []clause.Step
	drawn int      // drafts so far
	odd   []string // attempts that came to nothing for another reason than the clause
}

// cast is the made-up people: handle is id.
type cast map[string]bool

// PersonByHandle implements People.
func (c cast) PersonByHandle(_ context.Context, handle string) (string, bool, error) {
	if !c[handle] {
		return "", false, fault.New(fault.NotFound, "nobody", fault.Public{Problem: "Nobody."})
	}
	return handle, true, nil
}

// Handle implements People.
func (c cast) Handle(_ context.Context, id string) (string, error) { return id, nil }

const (
	author   = "person/rehearsal-author" // also an owner
	outsider = "person/rehearsal-outsider"
)

func owner(i int) string { return fmt.Sprintf("person/rehearsal-owner-%d", i) }

// rehearse makes a canary of acts in a sandboxed copy.
func (s *Service) rehearse(acts func(context.Context, *rehearsal) error) func(context.Context) (clause.Result, error) {
	return func(ctx context.Context) (clause.Result, error) {
		r, done, err := s.stage(ctx)
		if err != nil {
			return clause.Result{}, fmt.Errorf("set up the sandboxed copy: %w", err)
		}
		defer done()
		if err := acts(ctx, r); err != nil {
			return clause.Result{}, fmt.Errorf("rehearse in the sandboxed copy: %w", err)
		}
		refused, through := 0, false
		for _, st := range r.steps {
			if !st.Control {
				refused++
			}
			through = through || !st.OK
		}
		if len(r.odd) > 0 && !through {
			return clause.Result{}, fault.New(fault.Unavailable, "other_refusal", fault.Public{Problem: "An attempt was refused for another reason: " + r.odd[0] + "."})
		}
		return clause.Judge(fmt.Sprintf("in a sandboxed copy: refused %s, accepted %s", web.Count(int64(refused), "attempt"), web.Count(int64(len(r.steps)-refused), "proper act")), r.steps...), nil
	}
}

// stage builds the copy.
func (s *Service) stage(ctx context.Context) (*rehearsal, func(), error) {
	dir, err := os.MkdirTemp("", "writ-rehearsal-")
	if err != nil {
		return nil, nil, err
	}
	var closers []func() error
	done := func() {
		for i := len(closers) - 1; i >= 0; i-- {
			if err := closers[i](); err != nil {
				s.log.Warn("the sandboxed copy did not close", "error", err)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			s.log.Warn("the sandboxed copy was not removed", "error", err)
		}
	}
	r, err := s.furnish(ctx, dir, &closers)
	if err != nil {
		done()
		return nil, nil, err
	}
	return r, done, nil
}

func (s *Service) furnish(ctx context.Context, dir string, closers *[]func() error) (*rehearsal, error) {
	opts := keyring.Options{Dir: dir, Now: s.now}
	if err := keyring.Create(ctx, opts); err != nil {
		return nil, err
	}
	ring, err := keyring.Open(ctx, opts)
	if err != nil {
		return nil, err
	}
	*closers = append(*closers, ring.Close)
	db, err := ledger.Open(ctx, ledger.Config{URL: "sqlite:" + filepath.Join(dir, "writ.db"), Keys: ring, Now: s.now, Log: slog.New(slog.DiscardHandler), Schemas: []ledger.Schema{Schema()}})
	if err != nil {
		return nil, err
	}
	*closers = append(*closers, db.Close)
	m, err := s.Current()
	if err != nil {
		return nil, err
	}
	r := &rehearsal{cast: cast{}, keys: map[string]sshsig.Signer{}}
	owners := []string{author}
	most, _ := m.Values["gov.owners/loosen_need"].(int64)
	for i := range int(most) + 1 {
		owners = append(owners, owner(i+1))
	}
	for _, h := range append([]string{outsider}, owners...) {
		r.cast[h] = true
	}
	doc, ps := document.Fill(m.Policy, document.Header{Author: author, Owners: owners})
	if doc == nil {
		return nil, document.Refusal(ps)
	}
	if doc, err = merge(doc, s.template); err != nil {
		return nil, err
	}
	r.doc = doc
	r.s, err = New(Deps{DB: db, People: r.cast, Access: s.access, Template: document.Print(s.template), Now: s.now, Log: slog.New(slog.DiscardHandler), Vocabulary: s.vocab})
	if err != nil {
		return nil, err
	}
	if _, err := r.s.Bootstrap(ctx, actor.System("rehearsal"), doc); err != nil {
		return nil, err
	}
	if err := r.s.Start(ctx); err != nil {
		return nil, err
	}
	for h := range r.cast {
		if err := r.register(ctx, h); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// as is one of the cast, with the role of an owner, who has just shown two factors: what
// is tried here is the policy's own rules.
func (r *rehearsal) as(handle string) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: handle, Team: "staff", Roles: []string{"owner"}, Session: "rehearsal", ACR: 2, FactorAt: r.s.now(), Via: "canary"}
}

func (r *rehearsal) register(ctx context.Context, handle string) error {
	key, err := sshsig.Generate()
	if err != nil {
		return err
	}
	text, err := r.s.KeyText(ctx, r.as(handle), key.Key().String())
	if err != nil {
		return err
	}
	proof, err := key.Sign(Namespace, []byte(text))
	if err != nil {
		return err
	}
	r.keys[handle] = key
	_, err = r.s.RegisterKey(ctx, r.as(handle), key.Key().String(), proof)
	return err
}

// approve posts handle's signature for the text of revision text under revision to.
func (r *rehearsal) approve(ctx context.Context, text, to *Revision, handle, kind string) error {
	sig, err := r.keys[handle].Sign(Namespace, text.Text(handle, kind))
	if err != nil {
		return err
	}
	_, err = r.s.Approve(ctx, r.as(handle), to.ID, sig)
	return err
}

// propose makes a proposal of the author's that changes no value.
func (r *rehearsal) propose(ctx context.Context, d Draft) (*Revision, error) {
	return r.proposeAs(ctx, r.as(author), d)
}

// proposeAs makes a proposal that changes the title alone, unless d says more.
func (r *rehearsal) proposeAs(ctx context.Context, who actor.Actor, d Draft) (*Revision, error) {
	if d.Policy == nil {
		var ps []document.Problem
		r.drawn++
		if d.Policy, ps = document.Fill(r.doc, document.Header{Title: r.doc.Title + strings.Repeat(" again", r.drawn)}); d.Policy == nil {
			return &Revision{}, document.Refusal(ps)
		}
	}
	if d.Summary == "" {
		d.Summary = "rehearsal"
	}
	p, err := r.s.Propose(ctx, who, d)
	return &p.Revision, err
}

// attempt notes what came of an act that must be refused with a code. Another refusal
// proves nothing: then the clause is unknown.
func (r *rehearsal) attempt(act, code string, err error) {
	switch got := codeOf(err); {
	case err == nil:
		r.steps = append(r.steps, clause.Step{Act: act, Expected: "refused: " + code, Got: "accepted"})
	case got == code:
		r.steps = append(r.steps, clause.Step{Act: act, Expected: "refused: " + code, Got: "refused: " + got, OK: true})
	default:
		r.odd = append(r.odd, act+" gave "+got+", expected "+code)
	}
}

// proper notes what came of an act just inside the limit.
func (r *rehearsal) proper(act string, err error) {
	got := "accepted"
	if err != nil {
		got = "refused: " + codeOf(err)
	}
	r.steps = append(r.steps, clause.Step{Act: act, Expected: "accepted", Got: got, OK: err == nil, Control: true})
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Code
	}
	return err.Error()
}

// enough lets other owners sign until the revision is adopted.
func (r *rehearsal) enough(ctx context.Context, rev *Revision, from int) error {
	for i := from; i <= rev.Needs; i++ {
		if err := r.approve(ctx, rev, rev, owner(i), ByOwner); err != nil {
			return err
		}
	}
	return r.inForce(ctx, rev)
}

func (r *rehearsal) inForce(ctx context.Context, rev *Revision) error {
	got, err := r.s.Proposal(ctx, rev.ID)
	if err == nil && got.State != InForce {
		err = fault.Newf(fault.Invalid, "not_in_force", "It is %s.", got.State)
	}
	return err
}

func tryOwnApproval(ctx context.Context, r *rehearsal) error {
	rev, err := r.propose(ctx, Draft{})
	if err != nil {
		return err
	}
	r.attempt("the author, an owner too, signs their own revision as an owner", "self_approval", r.approve(ctx, rev, rev, author, ByOwner))
	r.proper("other owners sign it", r.enough(ctx, rev, 1))
	rev, err = r.proposeAs(ctx, actor.Actor{Kind: actor.Operator, ID: "rehearsal", Via: "canary"}, Draft{Author: outsider})
	if err != nil {
		return err
	}
	for i := 1; i <= rev.Needs; i++ {
		if err := r.approve(ctx, rev, rev, owner(i), ByOwner); err != nil {
			return err
		}
	}
	got, err := r.s.Proposal(ctx, rev.ID)
	if err != nil {
		return err
	}
	r.steps = append(r.steps, clause.Step{Act: "the operator proposes in the name of somebody who has not signed, and owners sign", Expected: "refused: it stays proposed",
		Got: "it is " + string(got.State), OK: got.State == Proposed})
	if got.State != Proposed {
		return nil
	}
	r.proper("the one in whose name it was proposed signs too", r.finish(ctx, rev, outsider))
	return nil
}

// finish has the author sign and looks whether the revision is in force then.
func (r *rehearsal) finish(ctx context.Context, rev *Revision, author string) error {
	if err := r.approve(ctx, rev, rev, author, ByAuthor); err != nil {
		return err
	}
	return r.inForce(ctx, rev)
}

func tryStranger(ctx context.Context, r *rehearsal) error {
	doc, ps := document.Fill(r.doc, document.Header{Owners: append([]string{outsider}, r.doc.Owners...)})
	if doc == nil {
		return document.Refusal(ps)
	}
	rev, err := r.propose(ctx, Draft{Policy: doc})
	if err != nil {
		return err
	}
	r.attempt("somebody signs the revision that would make them an owner", "not_owner", r.approve(ctx, rev, rev, outsider, ByOwner))
	r.proper("owners of the revision before sign it", r.enough(ctx, rev, 1))
	return nil
}

func tryReplay(ctx context.Context, r *rehearsal) error {
	first, err := r.propose(ctx, Draft{})
	if err != nil {
		return err
	}
	dated, err := r.propose(ctx, Draft{Version: first.Version.NextMajor(), Effective: r.s.now().Add(time.Hour)})
	if err != nil {
		return err
	}
	r.attempt("a signature for revision "+first.Version.String()+" is posted under "+dated.Version.String(), "signature", r.approve(ctx, first, dated, owner(1), ByOwner))
	r.attempt("a signature of kind author is posted for an owner", "signature", r.approve(ctx, first, first, owner(1), ByAuthor))
	r.proper("the same signature under its own revision", r.enough(ctx, first, 1))
	return nil
}

func tryTwice(ctx context.Context, r *rehearsal) error {
	rev, err := r.propose(ctx, Draft{Effective: r.s.now().Add(time.Hour)})
	if err != nil {
		return err
	}
	r.proper("an owner signs", r.approve(ctx, rev, rev, owner(1), ByOwner))
	r.attempt("the same owner signs again", "signed_before", r.approve(ctx, rev, rev, owner(1), ByOwner))
	return nil
}

func tryBackDate(ctx context.Context, r *rehearsal) error {
	_, err := r.propose(ctx, Draft{Effective: r.s.now().Add(-time.Hour)})
	r.attempt("a revision is dated an hour back", "back_dated", err)
	rev, err := r.propose(ctx, Draft{Effective: r.s.now().Add(time.Hour)})
	r.proper("a revision is dated an hour ahead", err)
	if err == nil {
		for i := 1; i <= rev.Needs; i++ {
			if err := r.approve(ctx, rev, rev, owner(i), ByOwner); err != nil {
				return err
			}
		}
		m, err := r.s.Current()
		if err != nil {
			return err
		}
		before, holds := m.Revision.Version.String(), "refused"
		if m.Revision.ID == rev.ID {
			holds = "accepted"
		}
		r.steps = append(r.steps, clause.Step{Act: "the dated revision is obeyed before its date", Expected: "refused: " + before + " holds", Got: holds, OK: holds == "refused"})
	}
	return nil
}

func tryGap(ctx context.Context, r *rehearsal) error {
	now, err := r.s.Current()
	if err != nil {
		return err
	}
	next := now.Revision.Version.Next()
	_, err = r.propose(ctx, Draft{Version: next.Next()})
	r.attempt("a revision leaves out version "+next.String(), "version", err)
	_, err = r.propose(ctx, Draft{Version: now.Revision.Version})
	r.attempt("a revision takes the version in force", "version", err)
	_, err = r.propose(ctx, Draft{Version: next})
	r.proper("a revision takes the next version", err)
	return nil
}

func tryNumber(ctx context.Context, r *rehearsal) error {
	doc, ps := document.Fill(r.doc, document.Header{ID: r.doc.ID + "-X"})
	if doc == nil {
		return document.Refusal(ps)
	}
	_, err := r.propose(ctx, Draft{Policy: doc})
	r.attempt("a revision takes another number", "policy_id", err)
	_, err = r.propose(ctx, Draft{})
	r.proper("a revision keeps the number", err)
	return nil
}

// excepted is the parameter that rehearsals ask an exception for.
const excepted = "gov.review-cadence/every"

func tryException(ctx context.Context, r *rehearsal) error {
	now, most := r.s.now(), r.s.rules.Get().ExceptionMax
	a, ok := r.doc.Param(excepted)
	if !ok || a.Range == nil {
		return errors.New("the policy has no range for " + excepted)
	}
	value := a.Range[0]
	if value == a.Literal.Text {
		value = a.Range[1]
	}
	ask := func(param, value string, until time.Time) (Exception, error) {
		return r.s.RequestException(ctx, r.as(owner(1)), ExceptionRequest{Param: param, Value: value, Reason: "rehearsal", Until: until})
	}
	_, err := ask(excepted, value, now.Add(most+time.Hour))
	r.attempt("an exception is asked for that lasts an hour too long", "until", err)
	_, err = ask(excepted, "1s", now.Add(time.Hour))
	r.attempt("an exception is asked for that is out of range", "value", err)
	_, err = ask("gov.sod/self_approval", "true", now.Add(time.Hour))
	r.attempt("an exception is asked for from gov.sod", "never", err)
	e, err := ask(excepted, value, now.Add(most-time.Hour))
	if err != nil {
		r.proper("an exception is asked for that ends in time", err)
		return nil
	}
	sign := func(handle string) error {
		sig, err := r.keys[handle].Sign(Namespace, e.Text(r.doc.ID, handle))
		if err != nil {
			return err
		}
		_, err = r.s.ApproveException(ctx, r.as(handle), e.ID, sig)
		return err
	}
	r.attempt("who asked approves it", "self_approval", sign(owner(1)))
	r.proper("another owner approves it", sign(owner(2)))
	return nil
}
