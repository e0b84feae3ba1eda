package policy

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/policy/document"
	"writ/internal/sshsig"
)

// Controls are the checks of the policy's own clauses. They read the database anew,
// not what this process remembers. door may be nil only to list them.
func (s *Service) Controls(door *canary.Door) []clause.Control {
	look := func(id, of, says string, kind clause.Kind, every time.Duration, run func(context.Context) (clause.Result, error)) clause.Control {
		return clause.Control{ID: "policy." + id, Clause: of, Kind: kind, Says: says, Every: every, FreshFor: max(3*every, 6*time.Hour), Run: run}
	}
	const often, daily = time.Hour, 24 * time.Hour
	onChain := func(run func(context.Context, *book) (clause.Result, error)) func(context.Context) (clause.Result, error) {
		return func(ctx context.Context) (clause.Result, error) {
			b, err := s.read(ctx)
			if err != nil {
				return clause.Result{}, err
			}
			if len(b.chain) == 0 {
				return clause.Failed("there is no revision in the database"), nil
			}
			return run(ctx, b)
		}
	}
	return []clause.Control{
		look("one-number", "gov.policy-id", "compares the number of all revisions", clause.Replay, often, onChain(s.checkNumber)),
		look("dates-hold", "gov.effective-date", "compares each revision's date with when it took hold, and the running values with the revision of now", clause.Replay, often, onChain(s.checkDates)),
		look("page-shows-revision", "gov.published", "fetches the trust page as a stranger and looks for version and hash in force", clause.Probe, often,
			func(ctx context.Context) (clause.Result, error) { return s.checkPage(ctx, door) }),
		look("author-active", "gov.author", "looks up the author in the header", clause.Probe, often, onChain(s.checkAuthor)),
		look("enough-signatures", "gov.owners", "counts the verified signatures under each revision again by the rules of the one before", clause.Replay, often, onChain(s.checkOwners)),
		look("signed-and-dated", "gov.signed-dated", "verifies the signatures under the revision in force", clause.Probe, often, onChain(s.checkSigned)),
		look("chain-verifies", "gov.revision-history", "hashes every revision in the database and verifies every signature", clause.Replay, often, onChain(s.checkChain)),
		look("approvers-were-owners", "gov.approver-is-owner", "compares each approver with the owners of the revision before", clause.Replay, often, onChain(s.checkApprovers)),
		look("no-own-approval", "gov.sod", "compares each approver with the author, and looks for the author's own signature where somebody else proposed in their name", clause.Replay, often, onChain(s.checkAuthors)),
		look("names-in-body", "gov.contact-change", "compares contact, author and owners with the signed body", clause.Replay, often, onChain(s.checkNames)),
		look("review-in-time", "gov.review-cadence", "measures the days since an owner last approved a revision", clause.Probe, often, onChain(s.checkReview)),
		look("waived-end", "gov.exceptions", "looks at each guard that people let pass in an incident: its reason, who agreed, and its end", clause.Probe, often, s.checkWaived),
		look("exceptions-end", "gov.exceptions", "looks at each exception's length, approver, signature and end", clause.Replay, often, onChain(s.checkExceptions)),
		look("own-approval-refused", "gov.sod", "in a sandboxed copy, an author approves their own revision, and the operator proposes in the name of somebody who has not signed", clause.Canary, daily, s.rehearse(tryOwnApproval)),
		look("stranger-approval-refused", "gov.approver-is-owner", "in a sandboxed copy, somebody who becomes an owner only by the revision approves it", clause.Canary, daily, s.rehearse(tryStranger)),
		look("replayed-approval-refused", "gov.signed-dated", "in a sandboxed copy, an approval is replayed on another revision", clause.Canary, daily, s.rehearse(tryReplay)),
		look("double-approval-refused", "gov.owners", "in a sandboxed copy, one owner signs twice", clause.Canary, daily, s.rehearse(tryTwice)),
		look("back-dating-refused", "gov.effective-date", "in a sandboxed copy, a revision is dated into the past", clause.Canary, daily, s.rehearse(tryBackDate)),
		look("gap-refused", "gov.revision-history", "in a sandboxed copy, a revision leaves out a version", clause.Canary, daily, s.rehearse(tryGap)),
		look("new-number-refused", "gov.policy-id", "in a sandboxed copy, a revision takes another number", clause.Canary, daily, s.rehearse(tryNumber)),
		look("wide-exception-refused", "gov.exceptions", "in a sandboxed copy, exceptions are asked for that last too long, go out of range, or are approved by who asked", clause.Canary, daily, s.rehearse(tryException)),
	}
}

// verdict is pass with good, or fail with the first of what is wrong.
func verdict(population int, good string, bad []string) clause.Result {
	r := clause.Passed(good)
	if len(bad) > 0 {
		r = clause.Failed(bad[0])
		if len(bad) > 1 {
			r.Summary = fmt.Sprintf("%s, and %d more", bad[0], len(bad)-1)
		}
	}
	r.Population = int64(population)
	return r
}

func (s *Service) checkNumber(_ context.Context, b *book) (clause.Result, error) {
	var bad []string
	for _, r := range b.chain {
		if r.Policy != b.chain[0].Policy {
			bad = append(bad, fmt.Sprintf("revision %s has the number %s, not %s", r.Version, r.Policy, b.chain[0].Policy))
		}
		if p, err := document.FromCanonical(r.body); err != nil || p.ID != r.Policy {
			bad = append(bad, fmt.Sprintf("the body of revision %s does not say %s", r.Version, r.Policy))
		}
	}
	return verdict(len(b.chain), "all revisions are "+b.chain[0].Policy, bad), nil
}

func (s *Service) checkDates(_ context.Context, b *book) (clause.Result, error) {
	var bad []string
	now := s.now()
	for i, r := range b.chain {
		switch {
		case r.HoldsFrom.Before(r.Effective):
			bad = append(bad, fmt.Sprintf("revision %s holds from %s, before its date %s", r.Version, date(r.HoldsFrom), date(r.Effective)))
		case i > 0 && !r.Effective.IsZero() && r.Adopted.After(r.Effective):
			bad = append(bad, fmt.Sprintf("revision %s was approved after its date", r.Version))
		case i > 0 && r.HoldsFrom.Before(b.chain[i-1].HoldsFrom):
			bad = append(bad, fmt.Sprintf("revision %s holds before the one before it", r.Version))
		}
	}
	if got := s.state().at(now); got.Hash != b.at(now).Hash {
		bad = append(bad, fmt.Sprintf("this server obeys %s, the database says %s", got.Version, b.at(now).Version))
	}
	drift, err := s.Drifted()
	if err != nil {
		return clause.Result{}, err
	}
	bad = append(bad, drift...)
	return verdict(len(b.chain), fmt.Sprintf("%s in force since %s; every running value is the revision's", b.at(now).Version, date(b.at(now).HoldsFrom)), bad), nil
}

func (s *Service) checkPage(ctx context.Context, door *canary.Door) (clause.Result, error) {
	v := door.Visitor()
	defer v.Close()
	got, err := v.Do(ctx, http.MethodGet, "/-/trust", "")
	if err != nil {
		return clause.Result{}, err
	}
	r := s.state().at(s.now())
	switch {
	case got.Status != http.StatusOK:
		return clause.Failed(fmt.Sprintf("/-/trust answers a stranger with %d, expected 200", got.Status)), nil
	case !strings.Contains(got.Body, r.BodySHA256):
		return clause.Failed("/-/trust does not show the hash of revision " + r.Version.String()), nil
	case !strings.Contains(got.Body, r.Version.String()):
		return clause.Failed("/-/trust does not show the version " + r.Version.String()), nil
	}
	return clause.Passed("/-/trust shows revision " + r.Version.String() + " with its hash"), nil
}

func (s *Service) checkAuthor(ctx context.Context, b *book) (clause.Result, error) {
	p, err := s.document(b.at(s.now()))
	if err != nil {
		return clause.Result{}, err
	}
	_, ok, err := s.active(ctx, p.Author)
	if err != nil {
		return clause.Result{}, err
	}
	if !ok {
		return clause.Failed(p.Author + ", the author, is nobody active"), nil
	}
	return clause.Passed(p.Author + " is the author, and active"), nil
}

// supporters are the owners' signatures under r that verify and count.
func supporters(b *book, r *Revision, owners []string) []string {
	var out []string
	for _, a := range r.Approvals {
		if a.Kind == ByOwner && a.Signer != r.Author && slices.Contains(owners, a.Signer) && !slices.Contains(out, a.Signer) && genuine(b, r, a) {
			out = append(out, a.Signer)
		}
	}
	return out
}

// genuine verifies a stored approval against the registered keys.
func genuine(b *book, r *Revision, a Approval) bool {
	key, err := sshsig.Verify([]byte(a.Signature), Namespace, r.Text(a.Signer, a.Kind))
	if err != nil || key.Fingerprint() != a.Fingerprint {
		return false
	}
	return slices.ContainsFunc(b.keys, func(k Key) bool {
		return k.Fingerprint == a.Fingerprint && k.Handle == a.Signer && !k.Registered.After(a.At) && (k.Revoked.IsZero() || a.At.Before(k.Revoked))
	})
}

// signersOf are the owners whose signatures count for r, and how many it needs, both
// from the revision before it (from itself for the bootstrap).
func (s *Service) signersOf(b *book, r *Revision) (owners []string, need int, err error) {
	p, err := s.document(r)
	if err != nil {
		return nil, 0, err
	}
	parent := b.before(r)
	if parent == nil {
		n, _ := p.Values()["gov.owners/loosen_need"].(int64)
		return p.Owners, int(n), nil
	}
	base, err := s.document(parent)
	if err != nil {
		return nil, 0, err
	}
	return base.Owners, needs(base, document.Compare(base, p)), nil
}

func (s *Service) checkOwners(_ context.Context, b *book) (clause.Result, error) {
	var bad []string
	for _, r := range b.chain[1:] {
		owners, need, err := s.signersOf(b, r)
		if err != nil {
			return clause.Result{}, err
		}
		if got := supporters(b, r, owners); len(got) < need {
			bad = append(bad, fmt.Sprintf("revision %s was adopted with %d of %d signatures", r.Version, len(got), need))
		}
	}
	good := fmt.Sprintf("each of %d revisions after the first has the signatures it needed", len(b.chain)-1)
	if len(b.chain) == 1 {
		good = "only the bootstrap revision was adopted so far"
	}
	return verdict(len(b.chain)-1, good, bad), nil
}

func (s *Service) checkSigned(_ context.Context, b *book) (clause.Result, error) {
	r := b.at(s.now())
	owners, need, err := s.signersOf(b, r)
	if err != nil {
		return clause.Result{}, err
	}
	by := supporters(b, r, owners)
	author := slices.ContainsFunc(r.Approvals, func(a Approval) bool { return a.Signer == r.Author && a.Kind == ByAuthor && genuine(b, r, a) })
	var bad []string
	if len(by) < need {
		bad = append(bad, fmt.Sprintf("revision %s is signed by %d of %d owners", r.Version, len(by), need))
	}
	if !author {
		bad = append(bad, fmt.Sprintf("revision %s is not signed by its author %s", r.Version, r.Author))
	}
	for _, a := range r.Approvals {
		if a.At.IsZero() || a.Signer == "" {
			bad = append(bad, "a signature has no date or no name")
		}
	}
	return verdict(len(r.Approvals), fmt.Sprintf("revision %s is signed and dated by %s and its author %s", r.Version, strings.Join(by, ", "), r.Author), bad), nil
}

func (s *Service) checkChain(_ context.Context, b *book) (clause.Result, error) {
	bad := b.verify()
	for _, mine := range s.state().chain {
		if !slices.ContainsFunc(b.chain, func(r *Revision) bool { return r.Hash == mine.Hash }) {
			bad = append(bad, "revision "+mine.Version.String()+" is gone from the database")
		}
	}
	return verdict(len(b.chain), fmt.Sprintf("%d revisions, %s to %s, without a gap; every hash and signature agrees", len(b.chain), b.chain[0].Version, b.head().Version), bad), nil
}

func (s *Service) checkApprovers(_ context.Context, b *book) (clause.Result, error) {
	var bad []string
	n := 0
	for _, r := range b.chain {
		owners, _, err := s.signersOf(b, r)
		if err != nil {
			return clause.Result{}, err
		}
		for _, a := range r.Approvals {
			if a.Kind != ByOwner {
				continue
			}
			n++
			if !slices.Contains(owners, a.Signer) {
				bad = append(bad, fmt.Sprintf("%s approved revision %s and was no owner before it", a.Signer, r.Version))
			} else if !genuine(b, r, a) {
				bad = append(bad, fmt.Sprintf("the signature of %s under revision %s is by no key registered for them then", a.Signer, r.Version))
			}
		}
	}
	return verdict(n, fmt.Sprintf("all %d approvals are by owners of the revision before", n), bad), nil
}

func (s *Service) checkAuthors(_ context.Context, b *book) (clause.Result, error) {
	var bad []string
	n := 0
	for _, r := range b.chain {
		own := slices.ContainsFunc(r.Approvals, func(a Approval) bool { return a.Kind == ByAuthor && a.Signer == r.Author && genuine(b, r, a) })
		if r.inName() && !own {
			bad = append(bad, fmt.Sprintf("%s proposed revision %s in the name of %s, who has not signed it", r.ProposedBy, r.Version, r.Author))
		}
		for _, a := range r.Approvals {
			if a.Kind != ByOwner {
				continue
			}
			n++
			if a.Signer == r.Author {
				bad = append(bad, fmt.Sprintf("%s wrote revision %s and approved it", a.Signer, r.Version))
			}
		}
	}
	return verdict(n, fmt.Sprintf("none of %d approvals is the author's", n), bad), nil
}

func (s *Service) checkNames(_ context.Context, b *book) (clause.Result, error) {
	r := b.at(s.now())
	p, err := document.FromCanonical(r.body)
	if err != nil {
		return clause.Failed(fmt.Sprintf("the body of revision %s cannot be read", r.Version)), nil
	}
	m, err := s.Current()
	if err != nil {
		return clause.Result{}, err
	}
	var bad []string
	h, mine := p.Header, m.Policy.Header
	if sum := document.HashBody(r.body); hex.EncodeToString(sum[:]) != r.BodySHA256 {
		bad = append(bad, fmt.Sprintf("the body of revision %s was changed without a revision", r.Version))
	}
	if h.Contact != mine.Contact || h.Author != mine.Author || !slices.Equal(h.Owners, mine.Owners) {
		bad = append(bad, "contact, author or owners in use are not those of the signed body")
	}
	return verdict(1, fmt.Sprintf("contact, author and %d owners are those of revision %s", len(h.Owners), r.Version), bad), nil
}

func (s *Service) checkReview(_ context.Context, b *book) (clause.Result, error) {
	age, most := s.now().Sub(b.lastVoice()), s.rules.Get().ReviewEvery
	if age > most { // clause: gov.review-cadence
		return clause.Failed(fmt.Sprintf("the last approval is %s old, at most %s", days(age), days(most))), nil
	}
	return clause.Passed(fmt.Sprintf("the last approval is %s old, at most %s", days(age), days(most))), nil
}

func (s *Service) checkExceptions(_ context.Context, b *book) (clause.Result, error) {
	var bad []string
	n, live := 0, 0
	for i := range b.exceptions {
		e := &b.exceptions[i]
		if e.Starts.IsZero() {
			continue
		}
		n++
		if e.live(s.now()) {
			live++
		}
		r := b.at(e.Starts)
		p, err := s.document(r)
		if err != nil {
			return clause.Result{}, err
		}
		most := 90 * 24 * time.Hour
		if d, ok := p.Values()["gov.exceptions/max"].(time.Duration); ok {
			most = d
		}
		switch {
		case e.flaw != "":
			bad = append(bad, e.flaw)
		case e.Ends.Sub(e.Starts) > most:
			bad = append(bad, fmt.Sprintf("the exception from %s lasts longer than %s", e.Param, days(most)))
		case !slices.Contains(p.Owners, e.Approver):
			bad = append(bad, fmt.Sprintf("%s approved an exception from %s and was no owner", e.Approver, e.Param))
		}
	}
	drift, err := s.Drifted()
	if err != nil {
		return clause.Result{}, err
	}
	return verdict(n, fmt.Sprintf("%d exceptions, %d of them live; each ends by itself", n, live), append(bad, drift...)), nil
}
