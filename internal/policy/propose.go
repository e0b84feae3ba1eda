package policy

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/policy/document"
)

// Draft is what somebody proposes: a file, a policy, or the shipped template's additions.
type Draft struct {
	YAML      []byte           // a policy file; or
	Policy    *document.Policy // a policy; or
	Template  bool             // the newest revision with what the shipped template has and it lacks
	Summary   string           // why, one line, public
	Version   document.Version // zero: the next minor version
	Effective time.Time        // zero: from the moment it is approved
	Author    string           // for the operator; a person is their own author. Empty: the author in the header
}

// Proposal is a revision with what its owners need to judge it.
type Proposal struct {
	Revision
	Changes  string             `json:"changes"` // "3 tighter, 1 looser"
	Diff     document.Diff      `json:"diff"`
	Warnings []document.Problem `json:"warnings"`
	ToSign   []ToSign           `json:"to_sign"`
	Forecast *Forecast          `json:"forecast,omitempty"` // while it is not in force
}

// ToSign is the exact text one person signs, with `ssh-keygen -Y sign -n writ-policy`.
type ToSign struct {
	Approver string `json:"approver"`
	Kind     string `json:"kind"`
	Text     string `json:"text"`
	Signed   bool   `json:"signed"`
	HasKey   bool   `json:"has_key"` // a key of theirs is registered
}

// Bootstrap adopts the first revision, unsigned: gov.signed-dated fails until its
// owners and its author sign that same body. fault.Conflict when there is one.
func (s *Service) Bootstrap(ctx context.Context, who actor.Actor, p *document.Policy) (Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.read(ctx)
	if err != nil {
		return Revision{}, err
	}
	if len(b.revisions) > 0 {
		return Revision{}, fault.New(fault.Conflict, "policy_exists", fault.Public{Problem: "A policy was adopted here before.", Next: "Propose a revision."})
	}
	vals, _, err := s.bind(p, proposed)
	if err == nil {
		err = s.check([]clause.Period{{Values: vals}})
	}
	if err != nil {
		return Revision{}, unbindable(err)
	}
	now := s.now().UTC().Truncate(time.Second)
	needs, _ := vals["gov.owners/loosen_need"].(int64)
	r := newRevision(p, Revision{ID: s.db.ID(), Version: document.Version{}.Next(), State: Approved, Kind: Bootstrap, Author: p.Author,
		Summary: "First version, from the shipped template", Effective: now, Needs: int(needs), Proposed: now, Adopted: now, HoldsFrom: now})
	_, err = s.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := insertRevision(ctx, tx, r); err != nil {
			return nil, err
		}
		return BootstrapAdopted{Version: r.Version.String(), BodySHA256: r.BodySHA256, Hash: r.Hash}, nil
	})
	if err != nil {
		return Revision{}, fmt.Errorf("adopt bootstrap revision: %w", err)
	}
	return *r, nil
}

// newRevision completes r with body and hashes.
func newRevision(p *document.Policy, r Revision) *Revision {
	r.body = p.Canonical() // clause: gov.contact-change
	sum := document.HashBody(r.body)
	r.BodySHA256, r.Policy = hex.EncodeToString(sum[:]), p.ID
	r.Hash = r.hash()
	r.Approvals = []Approval{}
	return &r
}

// Lint reads a policy file and says what is wrong or weak, without effect. It also asks
// the modules whether they could obey it.
func (s *Service) Lint(file []byte) []document.Problem {
	p, ps := document.Load(file, s.vocab)
	if p == nil {
		return ps
	}
	ps = append(ps, document.Lint(p, s.vocab)...)
	if err := s.obeyed(p); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			ps = append(ps, document.Problem{Found: line, Expected: "a policy that the modules can obey", Severity: document.Error})
		}
	}
	return ps
}

func (s *Service) obeyed(p *document.Policy) error {
	vals, _, err := s.bind(p, proposed)
	if err != nil {
		return err
	}
	return s.check([]clause.Period{{Values: vals}})
}

// Propose stores a revision for its owners to sign. Refused, among others: a file with
// errors, one the modules could not obey, another policy number, a version with a gap,
// a date in the past, people who are not active, a revision whose approvals could never
// be gathered, one that changes nothing, one that was closed before and is unchanged.
// What the operator proposes in somebody's name needs that person's signature too.
func (s *Service) Propose(ctx context.Context, who actor.Actor, d Draft) (Proposal, error) {
	p, err := s.propose(ctx, who, d)
	if err != nil {
		return p, err
	}
	return s.foresee(ctx, p)
}

func (s *Service) propose(ctx context.Context, who actor.Actor, d Draft) (Proposal, error) {
	if err := s.access.Allow(ctx, who, access.PolicyPropose, ""); err != nil {
		return Proposal{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.state()
	parent := b.head()
	base, err := s.document(parent)
	if err != nil {
		return Proposal{}, err
	}
	p, err := s.drafted(base, d)
	if err != nil {
		return Proposal{}, err
	}
	if err := s.obeyed(p); err != nil {
		return Proposal{}, s.refuse(ctx, who, "propose", "", "gov.revision-history", unbindable(err))
	}
	author, err := s.author(ctx, who, d, p)
	if err != nil {
		return Proposal{}, err
	}
	r := newRevision(p, Revision{ID: s.db.ID(), Version: d.Version, State: Proposed, Kind: Ordinary, Parent: parent.Hash, Author: author, ProposedBy: bringer(who, author),
		Summary: norm.NFC.String(strings.TrimSpace(d.Summary)), Effective: d.Effective.UTC().Truncate(time.Second), Proposed: s.now().UTC().Truncate(time.Microsecond)})
	if d.Effective.IsZero() {
		r.Effective = time.Time{}
	}
	if r.Version == (document.Version{}) {
		r.Version = parent.Version.Next()
	}
	diff := document.Compare(base, p)
	r.Needs = needs(base, diff)
	r.Hash = r.hash()
	if clauseID, f := s.admissible(ctx, b, parent, base, p, r); f != nil {
		return Proposal{}, s.refuse(ctx, who, "propose", "revision/"+r.Version.String(), clauseID, f)
	}
	_, err = s.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		r.Entry = tx.Entry()
		if _, err := tx.Exec(ctx, closeLapsed, string(Lapsed), micros(tx.Now()), r.Version.String(), micros(tx.Now().Add(-lapse)), micros(tx.Now())); err != nil {
			return nil, err
		}
		if err := insertRevision(ctx, tx, r); err != nil {
			return nil, err
		}
		return ProposalMade{Version: r.Version.String(), BodySHA256: r.BodySHA256, Hash: r.Hash, Parent: r.Parent, Author: r.Author, ProposedBy: r.ProposedBy,
			Summary: r.Summary, Effective: r.Effective, Needs: r.Needs, Changes: diff.Summary()}, nil
	})
	if err != nil {
		return Proposal{}, fmt.Errorf("propose revision: %w", err)
	}
	if err := s.reload(ctx); err != nil {
		return Proposal{}, err
	}
	return s.proposal(ctx, s.state(), r)
}

// drafted is the policy that a draft means, judged as a file is.
func (s *Service) drafted(base *document.Policy, d Draft) (*document.Policy, error) {
	file := d.YAML
	switch {
	case file != nil:
	case d.Policy != nil:
		file = document.Print(d.Policy)
	case d.Template:
		p, err := merge(base, s.template)
		if err != nil {
			return nil, err
		}
		file = document.Print(p)
	default:
		return nil, fault.New(fault.Invalid, "no_draft", fault.Public{Problem: "There is nothing to propose.", Next: "Send a policy file."})
	}
	p, ps := document.Load(file, s.vocab)
	return p, document.Refusal(ps)
}

// author is who wrote the draft: a person always themself.
func (s *Service) author(ctx context.Context, who actor.Actor, d Draft, p *document.Policy) (string, error) {
	own, err := s.handleOf(ctx, who)
	switch {
	case err != nil:
		return "", fmt.Errorf("find the author: %w", err)
	case own != "" && d.Author != "" && d.Author != own:
		return "", fault.New(fault.Denied, "author", fault.Public{Problem: "You are the author of what you propose.", Next: "Leave the author out."})
	case own != "":
		return own, nil
	case who.Kind != actor.Operator && who.Kind != actor.Writ:
		return "", notAPerson()
	case d.Author != "":
		return d.Author, nil
	}
	return p.Author, nil
}

// bringer is who brings a proposal of author's.
func bringer(who actor.Actor, author string) string {
	if who.Kind == actor.Person {
		return author // see Service.author
	}
	return who.String()
}

// needs is how many owners must sign under the rules of the revision before.
func needs(base *document.Policy, diff document.Diff) int {
	key := "gov.owners/need"
	if diff.NeedsLoosen() {
		key = "gov.owners/loosen_need"
	}
	if a, ok := base.Param(key); ok {
		if n, ok := a.Value.(int64); ok && n > 0 {
			return int(n)
		}
	}
	return 1
}

// admissible says why a revision cannot even be proposed, and which clause says so.
func (s *Service) admissible(ctx context.Context, b *book, parent *Revision, base, p *document.Policy, r *Revision) (string, *fault.Error) {
	now := s.now()
	no := func(code, problem, next string, a ...any) *fault.Error {
		return fault.New(fault.Invalid, code, fault.Public{Problem: fmt.Sprintf(problem, a...), Next: next})
	}
	switch n := utf8.RuneCountInString(r.Summary); {
	case p.ID != base.ID: // clause: gov.policy-id
		return "gov.policy-id", no("policy_id", "The policy's number is %s; it cannot become %s.", "Keep the number.", base.ID, p.ID)
	case n < 1 || n > 500 || strings.ContainsFunc(r.Summary, func(c rune) bool { return c < ' ' }):
		return "gov.revision-history", no("summary", "A revision needs a summary of at most 500 characters in one line.", "Say what changes and why.")
	case r.BodySHA256 == parent.BodySHA256 && !s.reviewDue(b): // clause: gov.revision-history
		return "gov.revision-history", no("no_change", "The proposal changes nothing: it says what revision %s says.",
			"Change the policy and propose it again. A review without a change can be proposed from half of gov.review-cadence on.", parent.Version)
	case !r.Version.Follows(parent.Version): // clause: gov.revision-history
		return "gov.revision-history", no("version", "%s does not follow %s.", "Use the next minor or the next major version.", r.Version, parent.Version)
	case !r.Effective.IsZero() && (r.Effective.Before(now) || r.Effective.Before(parent.HoldsFrom)): // clause: gov.effective-date
		return "gov.effective-date", no("back_dated", "The effective date %s is in the past, or before that of %s.", "State a later date, or none.", date(r.Effective), parent.Version)
	}
	for _, o := range b.revisions {
		if o.Version == r.Version && b.view(o, now).State == Proposed {
			return "gov.revision-history", fault.New(fault.Conflict, "version_open", fault.Public{Problem: "Revision " + r.Version.String() + " is proposed already.",
				Next: "Withdraw it, or propose " + parent.Version.NextMajor().String() + "."})
		}
		if o.Version == r.Version && o.BodySHA256 == r.BodySHA256 && o.Parent == r.Parent && o.Effective.Equal(r.Effective) && b.view(o, now).State != Proposed {
			return "gov.signed-dated", no("closed_before", "This very revision was %s before, and its signatures would count again.", "State another effective date, or change it.", b.view(o, now).State)
		}
	}
	if f := s.unknownPerson(ctx, base.Header, p.Header, r.Author); f != nil { // clause: gov.author
		return "gov.author", f
	}
	able, err := s.eligible(ctx, base.Owners, r.Author)
	if err != nil {
		return "gov.owners", fault.Wrap(fault.Unavailable, "people", err)
	}
	if len(able) < r.Needs { // clause: gov.owners
		return "gov.owners", no("never_approvable", "This revision needs the signatures of %d owners of %s who did not write it; there are %d.",
			"Let somebody else propose it, or one who is no owner.", r.Needs, parent.Version, len(able))
	}
	if vals := p.Values(); len(p.Owners) < int(vals["gov.owners/loosen_need"].(int64)) {
		return "gov.owners", no("never_approvable", "With %d owners nothing could be loosened again: gov.owners/loosen_need is greater.", "Name more owners or lower the number.", len(p.Owners))
	}
	return s.leavesOwners(ctx, base, p)
}

// leavesOwners refuses a revision under which fewer than two owners could sign in, when
// more can now: nobody would be there to mend it.
func (s *Service) leavesOwners(ctx context.Context, base, p *document.Policy) (string, *fault.Error) {
	const id = "access.mfa-by-technology"
	if s.able == nil {
		return "", nil
	}
	count := func(of *document.Policy, how binding) (int, error) {
		vals, _, err := s.bind(of, how)
		if err != nil {
			return 0, err
		}
		return s.able(ctx, vals, p.Owners)
	}
	least := min(2, len(p.Owners))
	able, err := count(p, proposed)
	if err != nil {
		return id, fault.Wrap(fault.Unavailable, "people", err)
	}
	if able >= least {
		return "", nil
	}
	now, err := count(base, running)
	if err != nil {
		return id, fault.Wrap(fault.Unavailable, "people", err)
	}
	if able >= now {
		return "", nil
	}
	return id, fault.New(fault.Conflict, "last_owner", fault.Public{ // clause: access.mfa-by-technology
		Problem:  fmt.Sprintf("Under this revision %d of %d owners could sign in with what they have set up; now %d can.", able, len(p.Owners), now),
		Expected: fmt.Sprintf("At least %d owners with a passkey before a passkey is asked of them.", least),
		Next:     "Let owners set up a passkey at /-/account/passkeys, then propose it again."})
}

// reviewDue reports whether a revision that changes nothing has a point: the owners say
// again, before gov.review-cadence/every is over, that the policy stands.
func (s *Service) reviewDue(b *book) bool {
	return s.now().Sub(b.lastVoice()) >= s.rules.Get().ReviewEvery/2 // clause: gov.review-cadence
}

// unknownPerson refuses an author who is not active, and a header that names somebody
// anew who is not. An owner who left may still stand in it until a revision takes them out.
func (s *Service) unknownPerson(ctx context.Context, was, h document.Header, author string) *fault.Error {
	for _, handle := range append([]string{author, h.Author}, h.Owners...) {
		if handle != author && (handle == was.Author || slices.Contains(was.Owners, handle)) {
			continue
		}
		_, ok, err := s.active(ctx, handle)
		if err != nil {
			return fault.Wrap(fault.Unavailable, "people", err)
		}
		if !ok {
			return fault.New(fault.Invalid, "not_active", fault.Public{Problem: handle + " is nobody active here.", Next: "Name people who have an active account."})
		}
	}
	return nil
}

// eligible are the active owners who did not write the revision.
func (s *Service) eligible(ctx context.Context, owners []string, author string) ([]string, error) {
	var out []string
	for _, o := range owners {
		_, ok, err := s.active(ctx, o)
		if err != nil {
			return nil, err
		}
		if ok && o != author { // clause: gov.sod
			out = append(out, o)
		}
	}
	return out, nil
}

// proposal is a revision with diff and texts.
func (s *Service) proposal(ctx context.Context, b *book, r *Revision) (Proposal, error) {
	out := Proposal{Revision: b.view(r, s.now()), Warnings: []document.Problem{}, ToSign: []ToSign{}}
	if i := slices.IndexFunc(b.revisions, func(x *Revision) bool { return x.ID == r.ID }); i >= 0 {
		r = b.revisions[i]
		out.Revision = b.view(r, s.now())
	}
	p, err := s.document(r)
	if err != nil {
		return out, err
	}
	owners := p.Owners
	if parent := b.before(r); parent != nil {
		base, err := s.document(parent)
		if err != nil {
			return out, err
		}
		out.Diff, owners = document.Compare(base, p), base.Owners
		out.Changes = out.Diff.Summary()
	}
	out.Warnings = append(out.Warnings, document.Lint(p, s.vocab)...)
	add := func(handle, kind string) {
		out.ToSign = append(out.ToSign, ToSign{Approver: handle, Kind: kind, Text: string(r.Text(handle, kind)),
			Signed: r.hasSigned(handle), HasKey: slices.ContainsFunc(b.keys, func(k Key) bool { return k.Handle == handle && k.Revoked.IsZero() })})
	}
	able, err := s.eligible(ctx, owners, r.Author)
	if err != nil {
		return out, err
	}
	for _, o := range able {
		add(o, ByOwner)
	}
	add(r.Author, ByAuthor)
	return out, nil
}

const closeLapsed = `UPDATE policy_revision SET state = $1, decided = $2, reason = 'lapsed' WHERE state = 'proposed' AND version = $3
	AND (proposed < $4 OR (effective > 0 AND effective < $5))`
