package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"writ/internal/canon"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/policy/document"
	"writ/internal/sshsig"
)

// State is where a revision stands.
type State string

// The states. InForce, Superseded and Lapsed follow from the dates.
const (
	Proposed   State = "proposed"
	Approved   State = "approved" // it has its signatures; in force at its effective date
	InForce    State = "in-force"
	Superseded State = "superseded"
	Withdrawn  State = "withdrawn"
	Rejected   State = "rejected"
	Lapsed     State = "lapsed"   // 30 days, or its effective date, passed without the signatures
	Outdated   State = "outdated" // another revision of the same parent was adopted
)

// The kinds of revision.
const (
	Bootstrap = "bootstrap" // adopted unsigned when Writ was set up
	Ordinary  = "revision"
)

// The kinds of approval.
const (
	ByOwner  = "owner"  // counts
	ByAuthor = "author" // says that the author stands by it; never counts
)

// lapse is how long a proposal waits for its signatures.
const lapse = 30 * 24 * time.Hour

// Namespace is what a signature must be made for: ssh-keygen -Y sign -n writ-policy.
const Namespace = "writ-policy"

// Revision is one version of the policy.
type Revision struct {
	ID         string           `json:"id"`
	Version    document.Version `json:"version"`
	State      State            `json:"state"`
	Kind       string           `json:"kind"`
	Policy     string           `json:"policy"`
	BodySHA256 string           `json:"body_sha256"`
	Hash       string           `json:"hash"`
	Parent     string           `json:"parent"` // hash of the revision before
	Author     string           `json:"author"`
	ProposedBy string           `json:"proposed_by,omitempty"` // the author, or who acted in the author's name: operator/uid-0
	Summary    string           `json:"summary"`
	Effective  time.Time        `json:"effective,omitzero"` // as signed; zero: from the moment it is approved
	Needs      int              `json:"needs"`              // owners' signatures
	NeedsOwn   bool             `json:"needs_author"`       // and the author's own, because somebody else brought it
	Proposed   time.Time        `json:"proposed"`
	Adopted    time.Time        `json:"adopted,omitzero"`
	HoldsFrom  time.Time        `json:"holds_from,omitzero"`
	Decided    time.Time        `json:"decided,omitzero"`
	Reason     string           `json:"reason,omitempty"`
	Entry      string           `json:"entry"`
	Approvals  []Approval       `json:"approvals"`

	body []byte
}

// Approval is one signature over a revision.
type Approval struct {
	Signer      string    `json:"signer"`
	Kind        string    `json:"kind"`
	Signature   string    `json:"signature"`
	PublicKey   string    `json:"public_key"`
	Fingerprint string    `json:"fingerprint"`
	At          time.Time `json:"at"`
	Entry       string    `json:"entry"`
}

// Body is the canonical JSON. It must not be changed.
func (r *Revision) Body() []byte { return r.body }

// Signed reports whether enough owners and the author have signed.
func (r *Revision) Signed() bool { return r.countOwners() >= r.Needs && r.hasSigned(r.Author) }

// OwnersSigned is how many owners have signed.
func (r *Revision) OwnersSigned() int { return r.countOwners() }

func (r *Revision) countOwners() int {
	n := 0
	for _, a := range r.Approvals {
		if a.Kind == ByOwner && a.Signer != r.Author { // clause: gov.sod
			n++
		}
	}
	return n
}

// inName reports whether somebody else brought the proposal in the author's name. Its
// author must sign it before it is adopted: otherwise an owner who operates the machine
// would name another author and approve what they wrote themself.
func (r *Revision) inName() bool { // clause: gov.sod
	return r.ProposedBy != "" && r.ProposedBy != r.Author
}

// owned reports whether the author has signed as such.
func (r *Revision) owned() bool {
	return slices.ContainsFunc(r.Approvals, func(a Approval) bool { return a.Signer == r.Author && a.Kind == ByAuthor })
}

func (r *Revision) hasSigned(handle string) bool {
	return slices.ContainsFunc(r.Approvals, func(a Approval) bool { return a.Signer == handle })
}

// date spells a moment in signed texts.
func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// hash is the link of the chain.
func (r *Revision) hash() string {
	tree := map[string]any{
		"policy": r.Policy, "version": r.Version.String(), "body": r.BodySHA256, "parent": r.Parent,
		"effective": date(r.Effective), "author": r.Author, "summary": r.Summary,
	}
	if r.ProposedBy == "" {
		return digest("writ/revision/v1\n", tree)
	}
	tree["proposed_by"] = r.ProposedBy
	return digest("writ/revision/v2\n", tree)
}

// Text is exactly what approver signs for the revision, as a file for
// `ssh-keygen -Y sign -n writ-policy`. It does not end in a line feed.
func (r *Revision) Text(approver, kind string) []byte {
	return signedText("writ/approval/v1\n", map[string]any{
		"policy": r.Policy, "version": r.Version.String(), "body": r.BodySHA256, "parent": r.Parent,
		"effective": date(r.Effective), "approver": approver, "kind": kind,
	})
}

func signedText(head string, tree map[string]any) []byte {
	return append([]byte(head), canon.MustEncode(tree)...)
}

func digest(head string, tree map[string]any) string {
	sum := sha256.Sum256(signedText(head, tree))
	return hex.EncodeToString(sum[:])
}

// book is all of the law as it was read. It is not changed after install.
type book struct {
	revisions  []*Revision // all, oldest first
	chain      []*Revision // adopted, oldest first; State is Approved
	exceptions []Exception
	keys       []Key
	mark       string
}

// head is the newest adopted revision, whether it holds already or not.
func (b *book) head() *Revision { return b.chain[len(b.chain)-1] }

// at is the revision in force at t; the bootstrap before it held.
func (b *book) at(t time.Time) *Revision {
	for i := len(b.chain) - 1; i > 0; i-- {
		if !t.Before(b.chain[i].HoldsFrom) { // clause: gov.effective-date
			return b.chain[i]
		}
	}
	return b.chain[0]
}

// before is the adopted revision with this hash; nil for none.
func (b *book) before(r *Revision) *Revision {
	i := slices.IndexFunc(b.chain, func(c *Revision) bool { return c.Hash == r.Parent })
	if i < 0 {
		return nil
	}
	return b.chain[i]
}

// view is a copy with the state that the date makes of it.
func (b *book) view(r *Revision, now time.Time) Revision {
	v := *r
	v.NeedsOwn = r.inName()
	switch {
	case r.State == Approved && b.at(now) == r:
		v.State = InForce
	case r.State == Approved && !now.Before(r.HoldsFrom):
		v.State = Superseded
	case r.State == Proposed && (now.Sub(r.Proposed) > lapse || !r.Effective.IsZero() && now.After(r.Effective)):
		v.State = Lapsed
	}
	return v
}

// lastVoice is when an owner approved a revision last; the set-up where none did.
func (b *book) lastVoice() time.Time {
	last := b.chain[0].Adopted
	for _, r := range b.chain {
		for _, a := range r.Approvals {
			if a.Kind == ByOwner && a.At.After(last) {
				last = a.At
			}
		}
	}
	return last
}

// verify hashes the chain and checks every signature in it; it lists what is wrong.
func (b *book) verify() []string { // clause: gov.revision-history
	var out []string
	bad := func(r *Revision, format string, a ...any) {
		out = append(out, "revision "+r.Version.String()+": "+fmt.Sprintf(format, a...))
	}
	if len(b.chain) == 0 && len(b.revisions) > 0 {
		out = append(out, "there is no first revision")
	}
	for i, r := range b.chain {
		if sum := document.HashBody(r.body); hex.EncodeToString(sum[:]) != r.BodySHA256 {
			bad(r, "its body does not have the recorded hash")
		}
		if r.hash() != r.Hash {
			bad(r, "its hash does not match what it says")
		}
		if i == 0 {
			if r.Kind != Bootstrap || r.Parent != "" {
				bad(r, "the first revision is no bootstrap")
			}
		} else {
			last := b.chain[i-1]
			switch {
			case r.Parent != last.Hash:
				bad(r, "it does not follow %s", last.Version)
			case !r.Version.Follows(last.Version):
				bad(r, "there is a gap after %s", last.Version)
			case r.Policy != last.Policy:
				bad(r, "its number is %s, not %s", r.Policy, last.Policy)
			case r.Kind != Ordinary || r.countOwners() < r.Needs || r.Needs < 1:
				bad(r, "it was adopted with %d of %d signatures", r.countOwners(), r.Needs)
			case r.inName() && !r.owned():
				bad(r, "%s proposed it in the name of %s, who has not signed it", r.ProposedBy, r.Author)
			case r.HoldsFrom.Before(r.Effective) || r.HoldsFrom.Before(last.HoldsFrom) || r.HoldsFrom.Before(r.Adopted):
				bad(r, "it holds from %s, before its date", date(r.HoldsFrom))
			}
		}
		for _, a := range r.Approvals {
			key, err := sshsig.Verify([]byte(a.Signature), Namespace, r.Text(a.Signer, a.Kind))
			if err != nil || key.Fingerprint() != a.Fingerprint {
				bad(r, "the signature of %s does not verify", a.Signer)
			}
		}
	}
	return append(out, b.loose()...)
}

// loose lists adopted rows that the chain does not reach.
func (b *book) loose() []string {
	var out []string
	for _, r := range b.revisions {
		if r.State == Approved && !slices.Contains(b.chain, r) {
			out = append(out, "revision "+r.Version.String()+" hangs on no other")
		}
	}
	return out
}

// document parses a body once.
func (s *Service) document(r *Revision) (*document.Policy, error) {
	if p, ok := s.parsed.Load(r.BodySHA256); ok {
		return p.(*document.Policy), nil
	}
	p, err := document.FromCanonical(r.body)
	if err != nil {
		return nil, fmt.Errorf("read revision %s: %w", r.Version, err)
	}
	s.parsed.Store(r.BodySHA256, p)
	return p, nil
}

// find gives a revision by version or id. Of several with one version: the adopted one,
// else the open one, else the newest.
func (b *book) find(ref string) (*Revision, error) {
	var found *Revision
	for _, r := range b.revisions {
		switch {
		case r.ID == ref:
			return r, nil
		case r.Version.String() != ref:
		case found == nil || found.State != Approved && (found.State != Proposed || r.State == Approved):
			found = r
		}
	}
	if found == nil {
		return nil, fault.New(fault.NotFound, "no_revision", fault.Public{Problem: "There is no revision " + printable(ref) + ".", Next: "See writ policy log."})
	}
	return found, nil
}

func printable(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return fmt.Sprintf("%q", s)
}

// read reads all of the law.
func (s *Service) read(ctx context.Context) (*book, error) {
	b := &book{}
	var err error
	if b.mark, err = s.mark(ctx); err != nil {
		return nil, err
	}
	byID := map[string]*Revision{}
	err = s.db.Each(ctx, selectRevisions, func(scan ledger.Scan) error {
		r, err := scanRevision(scan)
		if err == nil {
			b.revisions = append(b.revisions, r)
			byID[r.ID] = r
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read revisions: %w", err)
	}
	err = s.db.Each(ctx, selectApprovals, func(scan ledger.Scan) error {
		var id string
		var a Approval
		var at int64
		if err := scan(&id, &a.Signer, &a.Kind, &a.Signature, &a.PublicKey, &a.Fingerprint, &at, &a.Entry); err != nil {
			return err
		}
		a.At = fromMicros(at)
		if r := byID[id]; r != nil {
			r.Approvals = append(r.Approvals, a)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read approvals: %w", err)
	}
	b.link()
	if b.exceptions, err = s.readExceptions(ctx); err != nil {
		return nil, err
	}
	if b.keys, err = s.readKeys(ctx); err != nil {
		return nil, err
	}
	for i := range b.exceptions {
		b.exceptions[i].flaw = b.appraise(&b.exceptions[i])
	}
	return b, nil
}

// link follows the parents from the bootstrap.
func (b *book) link() {
	b.chain = nil
	for parent := ""; ; {
		i := slices.IndexFunc(b.revisions, func(r *Revision) bool { return r.State == Approved && r.Parent == parent })
		if i < 0 || slices.Contains(b.chain, b.revisions[i]) {
			return
		}
		b.chain = append(b.chain, b.revisions[i])
		parent = b.revisions[i].Hash
	}
}

// mark changes whenever the law does.
func (s *Service) mark(ctx context.Context) (string, error) {
	var n [6]int64
	err := ledger.One(ctx, s.db, selectMark, []any{&n[0], &n[1], &n[2], &n[3], &n[4], &n[5]})
	if err != nil {
		return "", fmt.Errorf("read the policy's mark: %w", err)
	}
	return fmt.Sprint(n), nil
}

func scanRevision(scan ledger.Scan) (*Revision, error) {
	r := &Revision{Approvals: []Approval{}}
	var version, state string
	var effective, proposed, adopted, holds, decided int64
	err := scan(&r.ID, &version, &state, &r.Kind, &r.Policy, &r.body, &r.BodySHA256, &r.Hash, &r.Parent, &r.Author, &r.ProposedBy, &r.Summary,
		&effective, &r.Needs, &proposed, &adopted, &holds, &decided, &r.Reason, &r.Entry)
	if err != nil {
		return nil, err
	}
	if r.Version, err = document.ParseVersion(version); err != nil {
		return nil, fmt.Errorf("read revision %s: %w", r.ID, err)
	}
	r.State = State(state)
	r.Effective, r.Proposed, r.Adopted = fromMicros(effective), fromMicros(proposed), fromMicros(adopted)
	r.HoldsFrom, r.Decided = fromMicros(holds), fromMicros(decided)
	return r, nil
}

func insertRevision(ctx context.Context, tx *ledger.Tx, r *Revision) error {
	_, err := tx.Exec(ctx, addRevision, r.ID, r.Version.String(), string(r.State), r.Kind, r.Policy, r.body, r.BodySHA256, r.Hash, r.Parent,
		r.Author, r.ProposedBy, r.Summary, micros(r.Effective), r.Needs, micros(r.Proposed), micros(r.Adopted), micros(r.HoldsFrom), micros(r.Decided), r.Reason, tx.Entry())
	return err
}

const (
	selectRevisions = `SELECT id, version, state, kind, policy, body, body_sha256, hash, parent, author, proposed_by, summary,
		effective, needs, proposed, adopted, holds_from, decided, reason, entry FROM policy_revision ORDER BY id`
	selectApprovals = `SELECT revision, signer, kind, signature, public_key, fingerprint, at, entry FROM policy_approval ORDER BY at, signer`
	addRevision     = `INSERT INTO policy_revision (id, version, state, kind, policy, body, body_sha256, hash, parent, author, proposed_by, summary,
		effective, needs, proposed, adopted, holds_from, decided, reason, entry)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`
	selectMark = `SELECT (SELECT COUNT(*) FROM policy_revision), (SELECT COALESCE(MAX(adopted + decided), 0) + COUNT(*) FROM policy_revision WHERE state <> 'proposed'),
		(SELECT COUNT(*) FROM policy_approval), (SELECT COUNT(*) FROM policy_exception),
		(SELECT COALESCE(MAX(starts), 0) + COUNT(*) FROM policy_exception WHERE state <> 'requested') + (SELECT COUNT(*) FROM policy_exception WHERE state = 'revoked'),
		(SELECT COUNT(*) FROM policy_key) + (SELECT COUNT(*) FROM policy_key WHERE revoked > 0)`
)
