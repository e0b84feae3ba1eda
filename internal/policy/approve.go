package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/policy/document"
	"writ/internal/sshsig"
)

// voice is a signature whose maker is known.
type voice struct {
	handle, kind string
	key          Key
	armored      string
}

// Approve counts a signature over the text of a proposal (see Proposal.ToSign). Who
// posts it does not matter; whoever made it must be an owner of the revision before,
// active, with a registered key, and not the author; what was proposed in the author's name
// needs the author's own signature beside them. With the last one needed the revision is
// adopted: at once, or at its effective date. An adopted revision takes
// further signatures too: those of its author, of other owners, of the bootstrap.
func (s *Service) Approve(ctx context.Context, who actor.Actor, ref string, signature []byte) (Proposal, error) {
	if err := s.access.Allow(ctx, who, access.PolicyRead, ""); err != nil {
		return Proposal{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.state()
	r, err := b.find(ref)
	if err != nil {
		return Proposal{}, err
	}
	owners, f := s.open(b, r)
	if f != nil {
		return Proposal{}, s.refuse(ctx, who, "approve", "revision/"+r.Version.String(), "gov.signed-dated", f)
	}
	v, clauseID, f := s.judge(ctx, b, r, owners, signature)
	if f != nil {
		return Proposal{}, s.refuse(ctx, who, "approve", "revision/"+r.Version.String(), clauseID, f)
	}
	able, err := s.eligible(ctx, owners, r.Author)
	if err != nil {
		return Proposal{}, err
	}
	if err := s.count(ctx, who, b, r, v, able); err != nil {
		return Proposal{}, err
	}
	if err := s.reload(ctx); err != nil {
		return Proposal{}, err
	}
	return s.proposal(ctx, s.state(), r)
}

// open gives the owners who may sign r, or says why nobody may.
func (s *Service) open(b *book, r *Revision) ([]string, *fault.Error) {
	now := s.now()
	switch state := b.view(r, now).State; state {
	case Proposed, Approved, InForce:
	default:
		return nil, fault.New(fault.Gone, "closed", fault.Public{Problem: "Revision " + r.Version.String() + " is " + string(state) + ".", Next: "Propose it anew."})
	}
	under := r
	if r.Kind != Bootstrap {
		under = b.before(r)
	}
	if under == nil || r.State == Proposed && under != b.head() {
		return nil, fault.New(fault.Gone, "closed", fault.Public{Problem: "Another revision was adopted after " + r.Version.String() + " was proposed.", Next: "Propose it anew."})
	}
	p, err := s.document(under)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "revision", err)
	}
	return p.Owners, nil
}

// judge finds whose signature it is and whether it may stand.
func (s *Service) judge(ctx context.Context, b *book, r *Revision, owners []string, signature []byte) (voice, string, *fault.Error) {
	const signed = "gov.signed-dated"
	v, f := s.whose(b, r, owners, signature)
	if f != nil {
		return v, signed, f
	}
	no := func(code, problem, next string) *fault.Error {
		return fault.New(fault.Denied, code, fault.Public{Problem: problem, Next: next})
	}
	if v.kind == ByOwner && v.handle == r.Author { // clause: gov.sod
		return v, "gov.sod", no("self_approval", "The author of a revision cannot approve it.", "Another owner must sign.")
	}
	if v.kind == ByOwner && !slices.Contains(owners, v.handle) { // clause: gov.approver-is-owner
		return v, "gov.approver-is-owner", no("not_owner", v.handle+" is no owner in the revision before "+r.Version.String()+".", "An owner of that revision must sign.")
	}
	id, ok, err := s.active(ctx, v.handle)
	switch {
	case err != nil:
		return v, signed, fault.Wrap(fault.Unavailable, "people", err)
	case !ok || id != v.key.Person:
		return v, "gov.approver-is-owner", no("not_active", v.handle+" is not active.", "Somebody active must sign.")
	case r.hasSigned(v.handle): // clause: gov.owners
		return v, "gov.owners", fault.New(fault.Conflict, "signed_before", fault.Public{Problem: v.handle + " has signed this revision before.", Next: "Another owner must sign."})
	}
	return v, "", nil
}

// whose tries the text of everybody who could have signed, for the text names its signer.
func (s *Service) whose(b *book, r *Revision, owners []string, signature []byte) (voice, *fault.Error) {
	var last error
	try := func(handle, kind string) (voice, bool) {
		key, err := sshsig.Verify(signature, Namespace, r.Text(handle, kind)) // clause: gov.signed-dated
		if err != nil {
			last = err
			return voice{}, false
		}
		i := slices.IndexFunc(b.keys, func(k Key) bool { return k.Fingerprint == key.Fingerprint() })
		if i < 0 || b.keys[i].Handle != handle || !b.keys[i].Revoked.IsZero() {
			last = fault.New(fault.Denied, "unknown_key", fault.Public{Problem: "The signature names " + handle + ", and its key " + key.Fingerprint() + " is not registered for them.",
				Expected: "A registered key that was not revoked.", Next: "Register the key first: writ policy key add."})
			return voice{}, false
		}
		return voice{handle, kind, b.keys[i], string(signature)}, true
	}
	handles := slices.Concat(owners, []string{r.Author})
	for _, k := range b.keys {
		handles = append(handles, k.Handle)
	}
	slices.Sort(handles)
	var best error
	for _, handle := range slices.Compact(handles) {
		for _, kind := range []string{ByOwner, ByAuthor} {
			if kind == ByAuthor && handle != r.Author {
				continue
			}
			if v, ok := try(handle, kind); ok {
				return v, nil
			}
			if best == nil || errors.Is(last, fault.Denied) {
				best = last
			}
		}
	}
	if f, ok := errors.AsType[*fault.Error](best); ok {
		return voice{}, f
	}
	return voice{}, fault.New(fault.Invalid, "signature", fault.Public{Problem: "The signature fits nobody who could sign this."})
}

// count stores the signature and, when it is the last one needed, adopts.
func (s *Service) count(ctx context.Context, who actor.Actor, b *book, r *Revision, v voice, able []string) error {
	changes, err := s.adoptable(b, r)
	if err != nil {
		f := unbindable(err)
		f.Code = "adoption_refused"
		return s.refuse(ctx, who, "adopt", "revision/"+r.Version.String(), "gov.owners", f)
	}
	_, err = s.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		at := max(micros(tx.Now()), micros(v.key.Registered)) // whatever the clock does, a key signs after it was registered
		if r.State == Proposed {
			if n, err := tx.Exec(ctx, touchOpen, r.ID); err != nil || n != 1 {
				return nil, errors.Join(err, moved(n))
			}
		}
		if _, err := tx.Exec(ctx, addApproval, r.ID, r.Version.String(), v.handle, v.kind, v.armored, v.key.PublicKey, v.key.Fingerprint, at, tx.Entry()); err != nil {
			return nil, err
		}
		n, own := 0, false
		err := tx.Each(ctx, selectSigners, func(scan ledger.Scan) error {
			var handle, kind string
			if err := scan(&handle, &kind); err != nil {
				return err
			}
			switch {
			case kind == ByOwner && slices.Contains(able, handle):
				n++
			case kind == ByAuthor && handle == r.Author:
				own = true
			}
			return nil
		}, r.ID)
		if err != nil {
			return nil, err
		}
		if r.State == Proposed && n >= r.Needs && (own || !r.inName()) { // clause: gov.owners
			if err := s.adopt(ctx, tx, b, r, changes); err != nil {
				return nil, err
			}
		}
		return RevisionApproved{Version: r.Version.String(), BodySHA256: r.BodySHA256, Signer: v.handle, Kind: v.kind,
			Fingerprint: v.key.Fingerprint, Signature: v.armored}, nil
	})
	if err != nil {
		return fmt.Errorf("approve revision %s: %w", r.Version, err)
	}
	return nil
}

// moved is the fault of a row that changed underneath.
func moved(n int64) error {
	if n == 1 {
		return nil
	}
	return fault.New(fault.Conflict, "moved", fault.Public{Problem: "The proposal changed in the meantime.", Next: "Look at its present state and try again."})
}

// adoptable checks, before any change, that the modules could obey the timeline with r.
func (s *Service) adoptable(b *book, r *Revision) (changes string, err error) {
	if r.State != Proposed {
		return "", nil
	}
	next := *r
	next.State, next.HoldsFrom = Approved, holdsFrom(r, b.head(), s.now())
	trial := *b
	trial.chain = append(slices.Clone(b.chain), &next)
	periods, _, err := s.timeline(&trial, s.now())
	if err != nil {
		return "", err
	}
	periods = slices.DeleteFunc(periods, func(p clause.Period) bool { return p.From.Before(next.HoldsFrom) })
	if err := s.check(periods); err != nil {
		return "", err
	}
	base, err := s.document(b.head())
	if err != nil {
		return "", err
	}
	p, err := s.document(r)
	if err != nil {
		return "", err
	}
	return document.Compare(base, p).Summary(), nil
}

// holdsFrom is when r takes hold: at the date it states, never before its parent.
func holdsFrom(r, parent *Revision, now time.Time) time.Time {
	from := now.UTC().Truncate(time.Microsecond)
	if r.Effective.After(from) {
		from = r.Effective
	}
	if parent.HoldsFrom.After(from) {
		from = parent.HoldsFrom
	}
	return from
}

// adopt turns a proposal into the head of the chain, inside the change of its last signature.
func (s *Service) adopt(ctx context.Context, tx *ledger.Tx, b *book, r *Revision, changes string) error {
	from := holdsFrom(r, b.head(), tx.Now())
	n, err := tx.Exec(ctx, adoptRevision, micros(tx.Now()), micros(from), r.ID)
	if err != nil || n != 1 {
		return errors.Join(err, moved(n))
	}
	if _, err := tx.Exec(ctx, outdateOthers, micros(tx.Now())); err != nil {
		return err
	}
	tx.Also(RevisionAdopted{Version: r.Version.String(), BodySHA256: r.BodySHA256, Hash: r.Hash, HoldsFrom: from, Changes: changes})
	for _, o := range b.revisions {
		if o.State == Proposed && o.ID != r.ID {
			tx.Also(ProposalClosed{Version: o.Version.String(), BodySHA256: o.BodySHA256, state: Outdated})
		}
	}
	return nil
}

// Reject closes a proposal: an owner says no, with a reason.
func (s *Service) Reject(ctx context.Context, who actor.Actor, ref, reason string) (Revision, error) {
	if err := s.access.Allow(ctx, who, access.PolicyApprove, ""); err != nil {
		return Revision{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, owners, err := s.closing(ref, reason)
	if err != nil {
		return Revision{}, err
	}
	own, err := s.handleOf(ctx, who)
	if err != nil {
		return Revision{}, err
	}
	if !slices.Contains(owners, own) {
		return Revision{}, s.refuse(ctx, who, "reject", "revision/"+r.Version.String(), "gov.approver-is-owner", fault.New(fault.Denied, "not_owner",
			fault.Public{Problem: "Only an owner of the revision before can reject.", Next: "Ask an owner."}))
	}
	return s.close(ctx, who, r, Rejected, reason)
}

// Withdraw closes one's own proposal; the operator may close any.
func (s *Service) Withdraw(ctx context.Context, who actor.Actor, ref, reason string) (Revision, error) {
	if err := s.access.Allow(ctx, who, access.PolicyWithdraw, ""); err != nil {
		return Revision{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if reason == "" {
		reason = "withdrawn"
	}
	r, _, err := s.closing(ref, reason)
	if err != nil {
		return Revision{}, err
	}
	own, err := s.handleOf(ctx, who)
	if err != nil {
		return Revision{}, err
	}
	if who.Kind != actor.Operator && own != r.Author {
		return Revision{}, s.refuse(ctx, who, "withdraw", "revision/"+r.Version.String(), "gov.revision-history", fault.New(fault.Denied, "not_author",
			fault.Public{Problem: "Only its author can withdraw a proposal.", Next: "An owner can reject it."}))
	}
	return s.close(ctx, who, r, Withdrawn, reason)
}

// closing finds an open proposal and who owns the revision before it.
func (s *Service) closing(ref, reason string) (*Revision, []string, error) {
	b := s.state()
	r, err := b.find(ref)
	if err != nil {
		return nil, nil, err
	}
	if reason == "" || len(reason) > 1000 {
		return nil, nil, fault.New(fault.Invalid, "reason", fault.Public{Problem: "A reason of at most 1,000 bytes is needed."})
	}
	if r.State != Proposed {
		return nil, nil, fault.New(fault.Gone, "closed", fault.Public{Problem: "Revision " + r.Version.String() + " is " + string(b.view(r, s.now()).State) + "."})
	}
	var owners []string
	if parent := b.before(r); parent != nil {
		p, err := s.document(parent)
		if err != nil {
			return nil, nil, err
		}
		owners = p.Owners
	}
	return r, owners, nil
}

func (s *Service) close(ctx context.Context, who actor.Actor, r *Revision, state State, reason string) (Revision, error) {
	_, err := s.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, closeRevision, string(state), micros(tx.Now()), reason, r.ID)
		if err != nil || n != 1 {
			return nil, errors.Join(err, moved(n))
		}
		return ProposalClosed{Version: r.Version.String(), BodySHA256: r.BodySHA256, state: state, why: reason}, nil
	})
	if err != nil {
		return Revision{}, fmt.Errorf("close revision %s: %w", r.Version, err)
	}
	if err := s.reload(ctx); err != nil {
		return Revision{}, err
	}
	b := s.state()
	got, err := b.find(r.ID)
	if err != nil {
		return Revision{}, err
	}
	return b.view(got, s.now()), nil
}

const (
	// touchOpen takes the row's lock, so that two last signatures come one after the other.
	touchOpen     = `UPDATE policy_revision SET decided = 0 WHERE id = $1 AND state = 'proposed'`
	addApproval   = `INSERT INTO policy_approval (revision, version, signer, kind, signature, public_key, fingerprint, at, entry) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	selectSigners = `SELECT signer, kind FROM policy_approval WHERE revision = $1`
	adoptRevision = `UPDATE policy_revision SET state = 'approved', adopted = $1, holds_from = $2 WHERE id = $3 AND state = 'proposed'`
	outdateOthers = `UPDATE policy_revision SET state = 'outdated', decided = $1 WHERE state = 'proposed'`
	closeRevision = `UPDATE policy_revision SET state = $1, decided = $2, reason = $3 WHERE id = $4 AND state = 'proposed'`
)
