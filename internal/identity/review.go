package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// What can be decided on a right.
const (
	Keep   = "keep"
	Revoke = "revoke"
)

// The kinds of reviews.
const (
	ReviewAll    = "all"    // every right of staff
	ReviewUnused = "unused" // rights that nothing needed for long
)

// What became of a right in a review.
const (
	outcomeKept      = "kept"
	outcomeRevoked   = "revoked"
	outcomeGone      = "gone"
	outcomeLastOwner = "last-owner"
)

// Review is one look over rights by others than their holders.
type Review struct {
	ID      string
	Kind    string
	Opened  time.Time
	Due     time.Time // then it closes by itself, and the policy answers what nobody did
	Closed  time.Time
	Opener  string
	Items   int64
	Decided int64
}

// ReviewItem is one right of one person in a review.
type ReviewItem struct {
	ID       string
	Review   string
	Person   string
	Handle   string
	Kind     string // role, grant
	Held     string // the role, or the id of the grant
	Role     string
	Why      string // unused, or ""
	Decision string // "", keep, revoke
	Outcome  string // "", kept, revoked, gone, last-owner
	Reviewer string // kind/id of the actor
	Reason   string
	Decided  time.Time
	team     string
}

// OpenReview begins a review of all rights of staff. One at a time: fault.Conflict.
func (s *Service) OpenReview(ctx context.Context, who actor.Actor) (Review, error) {
	if err := s.Access.Allow(ctx, who, access.ReviewOpen, ""); err != nil {
		return Review{}, err
	}
	return s.openReview(ctx, who, ReviewAll, nil)
}

// openReview begins a review of the rights given, or of all.
func (s *Service) openReview(ctx context.Context, who actor.Actor, kind string, of []Right) (Review, error) {
	now := s.Now()
	rs, err := s.rights(ctx, now)
	if err != nil {
		return Review{}, err
	}
	items := make([]ReviewItem, 0, len(rs))
	for _, r := range rs {
		it := ReviewItem{ID: s.DB.ID(), Person: r.Person, Kind: "role", Held: r.Role, Role: r.Role, team: r.Team}
		if r.Idle {
			it.Why = ReviewUnused
		}
		if kind == ReviewAll || slices.ContainsFunc(of, func(o Right) bool { return o.Person == r.Person && o.Role == r.Role }) {
			items = append(items, it)
		}
	}
	if kind == ReviewAll {
		gs, err := s.readGrants(ctx, grantsBy+` WHERE t.kind = 'staff' AND g.ended IS NULL AND g.began IS NOT NULL AND g.until > $1`, us(now))
		if err != nil {
			return Review{}, err
		}
		for _, g := range gs {
			items = append(items, ReviewItem{ID: s.DB.ID(), Person: g.Person, Kind: "grant", Held: g.ID, Role: g.Role, team: staffTeam})
		}
	}
	rv := Review{ID: s.DB.ID(), Kind: kind, Opened: now, Due: now.Add(s.Rules.Get().ReviewWindow), Opener: who.String(), Items: int64(len(items))}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := bump(ctx, tx); err != nil { // two at a moment become one after the other
			return nil, err
		}
		var other string
		err := ledger.One(ctx, tx, openReviewOf, []any{&other}, kind)
		if err == nil && kind == ReviewAll {
			return nil, fault.New(fault.Conflict, "review_open", fault.Public{Problem: "A review is open already.", Next: "Decide what it asks; it closes when all is decided, or by itself."})
		}
		if err != nil && !errors.Is(err, fault.NotFound) {
			return nil, err
		}
		if _, err := tx.Exec(ctx, insertReview, rv.ID, kind, us(now), us(rv.Due), rv.Opener); err != nil {
			return nil, err
		}
		asked := items
		if kind == ReviewUnused { // another node, or another run, may have asked meanwhile
			if asked, err = notAsked(ctx, tx, items); err != nil {
				return nil, err
			}
		}
		for _, it := range asked {
			if _, err := tx.Exec(ctx, insertItem, it.ID, rv.ID, it.Person, it.team, it.Kind, it.Held, it.Role, it.Why); err != nil {
				return nil, err
			}
		}
		rv.Items = int64(len(asked))
		return ReviewOpened{Review: rv.ID, Kind: kind, Items: rv.Items, Due: rv.Due}, nil
	})
	if err != nil {
		return Review{}, fmt.Errorf("open review: %w", err)
	}
	return rv, nil
}

// Decision is what a reviewer says of one right.
type Decision struct {
	Review   string
	Item     string
	Decision string // Keep or Revoke
	Reason   string
}

// DecideRight keeps or revokes a right. Nobody decides on their own; a revocation counts
// from the holder's next request on.
func (s *Service) DecideRight(ctx context.Context, who actor.Actor, d Decision) (ReviewItem, error) {
	if err := s.Access.Allow(ctx, who, access.ReviewDecide, "review/"+d.Review); err != nil {
		return ReviewItem{}, err
	}
	it, err := s.item(ctx, d)
	if err != nil {
		return ReviewItem{}, err
	}
	if who.Kind != actor.Person || who.ID == it.Person { // clause: access.review
		return ReviewItem{}, s.refuseRight(ctx, who, "review/"+d.Review, "own_right", "Nobody decides on their own right.", "Leave it to another reviewer.")
	}
	reason, ok := why(d.Reason)
	if !ok {
		return ReviewItem{}, fault.New(fault.Invalid, "reason_missing", fault.Public{Problem: "Say why, in 3 to 300 characters on one line.", Next: "Correct this and try again.",
			Fields: []fault.Field{{Name: "reason", Code: "reason_missing", Problem: "3 to 300 characters."}}})
	}
	if d.Decision != Keep && d.Decision != Revoke {
		return ReviewItem{}, fault.New(fault.Invalid, "decision_unknown", fault.Public{Problem: "A right is kept or revoked.", Expected: "keep or revoke.", Next: "Choose one of the two."})
	}
	var after effect
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		after = effect{}
		it.Decision, it.Outcome = d.Decision, outcomeKept
		if d.Decision == Revoke {
			if it.Outcome, err = s.carry(ctx, tx, it, &after); err != nil {
				return nil, err
			}
			if it.Outcome == outcomeLastOwner {
				return nil, fault.New(fault.Conflict, "last_owner", fault.Public{Problem: "This is the last owner who can sign in.", Expected: "At least one other active owner.", Next: "Keep the right, or add another owner first."})
			}
		}
		it.Reviewer, it.Reason, it.Decided = who.String(), reason, tx.Now()
		n, err := tx.Exec(ctx, decideItem, it.ID, it.Decision, it.Outcome, it.Reviewer, it.Reason, us(it.Decided))
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "review_decided", fault.Public{Problem: "This right was revoked already, or the review is closed.", Next: "Look at the review again."})
		}
		return ReviewDecided{Review: it.Review, Person: it.Person, Role: it.Role, Decision: it.Decision, Outcome: it.Outcome, Reason: it.Reason}, err
	})
	if err != nil {
		return ReviewItem{}, fmt.Errorf("decide on a right: %w", err)
	}
	s.apply(ctx, after)
	return it, nil
}

// effect is what memory must learn of a change after its commit.
type effect struct {
	standing map[member][]string
	ended    []string // sessions
	grants   []string
}

func (s *Service) apply(ctx context.Context, e effect) {
	for m, roles := range e.standing {
		s.table.setStanding(m, roles)
		s.tokensOf(ctx, m.person)
	}
	s.table.drop(s.Now(), e.ended...)
	s.loans.drop(e.grants...)
}

// carry takes a right away inside a change and says what became of it.
func (s *Service) carry(ctx context.Context, tx *ledger.Tx, it ReviewItem, after *effect) (string, error) {
	if it.Kind == "grant" {
		ev, err := endGrantIn(ctx, tx, Grant{ID: it.Held, Person: it.Person, Role: it.Role}, "review")
		if errors.Is(err, fault.Conflict) {
			return outcomeGone, nil
		}
		if err != nil {
			return "", err
		}
		tx.Also(ev)
		after.grants = append(after.grants, it.Held)
		return outcomeRevoked, nil
	}
	var roles, kind, state string
	err := ledger.One(ctx, tx, membership, []any{&roles, &kind, &state}, it.team, it.Person)
	if errors.Is(err, fault.NotFound) {
		return outcomeGone, nil
	}
	if err != nil {
		return "", err
	}
	held := rolesOf(roles)
	if !slices.Contains(held, it.Role) || state != stateActive {
		return outcomeGone, nil
	}
	if it.Role == "owner" {
		err := s.notLastOwner(ctx, tx, account{id: it.Person, kind: kind, state: state, roles: roles})
		if errors.Is(err, fault.Conflict) {
			return outcomeLastOwner, nil
		}
		if err != nil {
			return "", err
		}
	}
	return outcomeRevoked, takeRole(ctx, tx, member{it.Person, it.team}, held, it.Role, after)
}

// takeRole takes a role of a membership away, with all that was lent for it.
func takeRole(ctx context.Context, tx *ledger.Tx, m member, held []string, role string, after *effect) error {
	rest := slices.DeleteFunc(slices.Clone(held), func(r string) bool { return r == role })
	ended, err := changeRoles(ctx, tx, m, rest)
	if err != nil {
		return err
	}
	var bound []Grant
	err = tx.Each(ctx, endGrantsBound, func(scan scanner) error {
		g := Grant{Person: m.person}
		if err := scan(&g.ID, &g.Role); err != nil {
			return err
		}
		bound = append(bound, g)
		return nil
	}, m.person, "role/"+role, us(tx.Now()))
	if err != nil {
		return err
	}
	for _, g := range bound {
		tx.Also(RoleEnded{Grant: g.ID, Person: g.Person, Role: g.Role, Cause: "need-ended"})
		after.grants = append(after.grants, g.ID)
	}
	tx.Also(RoleEnded{Person: m.person, Role: role, Cause: "review"})
	if after.standing == nil {
		after.standing = map[member][]string{}
	}
	after.standing[m] = rest
	after.ended = append(after.ended, ended...)
	return nil
}

// CloseReview ends a review in which all is decided.
func (s *Service) CloseReview(ctx context.Context, who actor.Actor, id string) (Review, error) {
	if err := s.Access.Allow(ctx, who, access.ReviewOpen, "review/"+id); err != nil {
		return Review{}, err
	}
	rv, items, err := s.review(ctx, id)
	if err != nil {
		return Review{}, err
	}
	if !rv.Closed.IsZero() {
		return Review{}, fault.Newf(fault.Conflict, "review_closed", "This review is closed already.")
	}
	if rv.Decided < rv.Items && s.Now().Before(rv.Due) {
		return Review{}, fault.New(fault.Conflict, "review_undecided", fault.Public{Problem: fmt.Sprintf("%d of %d rights are not decided on.", rv.Items-rv.Decided, rv.Items),
			Expected: "A decision on each, or the end of the review at " + rv.Due.Format("2 Jan 2006 15:04 MST") + ".", Next: "Decide on them. At its end the review closes by itself."})
	}
	return s.closeReview(ctx, who, rv, items)
}

// closeReview gives undecided rights the policy's answer.
func (s *Service) closeReview(ctx context.Context, who actor.Actor, rv Review, items []ReviewItem) (Review, error) {
	answer := s.Rules.Get().Undecided // clause: access.review
	var after effect
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		after = effect{}
		ev := ReviewClosed{Review: rv.ID}
		for _, it := range items {
			outcome := it.Outcome
			if it.Decision == "" {
				ev.Undecided++
				outcome = outcomeKept
				if answer == Revoke {
					var err error
					if outcome, err = s.carry(ctx, tx, it, &after); err != nil {
						return nil, err
					}
				}
				n, err := tx.Exec(ctx, decideItem, it.ID, answer, outcome, who.String(), "Nobody decided in time; the policy's answer.", us(tx.Now()))
				if err != nil {
					return nil, err
				}
				if n == 0 {
					return nil, fault.Newf(fault.Conflict, "review_decided", "The review was decided on meanwhile.")
				}
			}
			switch outcome {
			case outcomeRevoked:
				ev.Revoked++
			case outcomeGone:
				ev.Gone++
			case outcomeLastOwner:
				ev.LastOwner++
			default:
				ev.Kept++
			}
		}
		rv.Closed = tx.Now()
		n, err := tx.Exec(ctx, endReview, rv.ID, us(rv.Closed))
		if err == nil && n == 0 {
			err = fault.Newf(fault.Conflict, "review_closed", "This review is closed already.")
		}
		return ev, err
	})
	if err != nil {
		return Review{}, fmt.Errorf("close review: %w", err)
	}
	s.apply(ctx, after)
	rv.Decided = rv.Items
	return rv, nil
}

// Reviews lists reviews, newest first.
func (s *Service) Reviews(ctx context.Context, who actor.Actor) ([]Review, error) {
	if err := s.Access.Allow(ctx, who, access.RightsRead, ""); err != nil {
		return nil, err
	}
	return s.readReviews(ctx, reviewsBy+` GROUP BY r.id, r.kind, r.opened, r.due, r.closed, r.opener ORDER BY r.opened DESC, r.id DESC LIMIT 200`)
}

// ShowReview is one review with its rights.
func (s *Service) ShowReview(ctx context.Context, who actor.Actor, id string) (Review, []ReviewItem, error) {
	if err := s.Access.Allow(ctx, who, access.RightsRead, "review/"+id); err != nil {
		return Review{}, nil, err
	}
	return s.review(ctx, id)
}

func (s *Service) review(ctx context.Context, id string) (Review, []ReviewItem, error) {
	rs, err := s.readReviews(ctx, reviewsBy+` WHERE r.id = $1 GROUP BY r.id, r.kind, r.opened, r.due, r.closed, r.opener`, id)
	if err != nil {
		return Review{}, nil, err
	}
	if len(rs) == 0 {
		return Review{}, nil, noReview()
	}
	items, err := s.readItems(ctx, itemsBy+` WHERE i.review = $1 ORDER BY i.why DESC, p.handle, i.role, i.id`, id)
	return rs[0], items, err
}

func noReview() error {
	return fault.New(fault.NotFound, "no_review", fault.Public{Problem: "There is no such review, or no such right in it.", Next: "Look at the list of reviews."})
}

func (s *Service) item(ctx context.Context, d Decision) (ReviewItem, error) {
	its, err := s.readItems(ctx, itemsBy+` WHERE i.review = $1 AND i.id = $2`, d.Review, d.Item)
	if err != nil {
		return ReviewItem{}, err
	}
	if len(its) == 0 {
		return ReviewItem{}, noReview()
	}
	return its[0], nil
}

func (s *Service) readReviews(ctx context.Context, query string, args ...any) ([]Review, error) {
	var out []Review
	err := s.DB.Each(ctx, query, func(scan scanner) error {
		var r Review
		var opened, due int64
		var closed *int64
		if err := scan(&r.ID, &r.Kind, &opened, &due, &closed, &r.Opener, &r.Items, &r.Decided); err != nil {
			return err
		}
		r.Opened, r.Due = at(opened), at(due)
		if closed != nil {
			r.Closed = at(*closed)
		}
		out = append(out, r)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("list reviews: %w", err)
	}
	return out, nil
}

func (s *Service) readItems(ctx context.Context, query string, args ...any) ([]ReviewItem, error) {
	var out []ReviewItem
	err := s.DB.Each(ctx, query, func(scan scanner) error {
		var i ReviewItem
		var decided *int64
		if err := scan(&i.ID, &i.Review, &i.Person, &i.Handle, &i.team, &i.Kind, &i.Held, &i.Role, &i.Why, &i.Decision, &i.Outcome, &i.Reviewer, &i.Reason, &decided); err != nil {
			return err
		}
		if decided != nil {
			i.Decided = at(*decided)
		}
		out = append(out, i)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("list rights of a review: %w", err)
	}
	return out, nil
}

// nextReview is by when a review of all rights must be closed, counted from the last
// one, or from when the first of staff came; zero while there is no staff.
func (s *Service) nextReview(ctx context.Context) (by time.Time, reviewed bool, err error) {
	var last *int64
	if err := ledger.One(ctx, s.DB, lastReview, []any{&last}); err != nil {
		return time.Time{}, false, fmt.Errorf("read the last review: %w", err)
	}
	reviewed = last != nil
	if !reviewed {
		if err := ledger.One(ctx, s.DB, firstStaff, []any{&last}); err != nil {
			return time.Time{}, false, fmt.Errorf("read since when there is staff: %w", err)
		}
	}
	if last == nil {
		return time.Time{}, false, nil
	}
	return at(*last).Add(s.Rules.Get().ReviewEvery), reviewed, nil
}

// ahead is how much earlier than needed the clock opens a review, because it looks only
// about once an hour.
const ahead = 3 * time.Hour

// tendRights is the clock's part: it closes reviews whose time is over, opens the next
// one, and puts unused rights up for removal.
func (s *Service) tendRights(ctx context.Context) error {
	if !s.loaded.Load() {
		return nil
	}
	return errors.Join(s.writeUses(ctx), s.closeDue(ctx), s.openDue(ctx), s.proposeUnused(ctx))
}

func (s *Service) closeDue(ctx context.Context) error {
	rs, err := s.readReviews(ctx, reviewsBy+` WHERE r.closed IS NULL GROUP BY r.id, r.kind, r.opened, r.due, r.closed, r.opener`)
	if err != nil {
		return err
	}
	for _, r := range rs {
		if s.Now().Before(r.Due) && r.Decided < r.Items {
			continue
		}
		rv, items, err := s.review(ctx, r.ID)
		if err != nil {
			return err
		}
		if _, err := s.closeReview(ctx, actor.System("identity-reviews"), rv, items); err != nil && !errors.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

func (s *Service) openDue(ctx context.Context) error {
	by, _, err := s.nextReview(ctx)
	if err != nil || by.IsZero() || s.Now().Before(by.Add(-s.Rules.Get().ReviewWindow-ahead)) {
		return err
	}
	_, err = s.openReview(ctx, actor.System("identity-reviews"), ReviewAll, nil)
	if errors.Is(err, fault.Conflict) {
		return nil // one is open
	}
	return err
}

// proposeUnused puts rights that nothing needed for long up for removal.
func (s *Service) proposeUnused(ctx context.Context) error {
	now := s.Now()
	rs, err := s.rights(ctx, now)
	if err != nil {
		return err
	}
	of := s.overdue(rs, now)
	if len(of) == 0 {
		return nil
	}
	_, err = s.openReview(ctx, actor.System("identity-reviews"), ReviewUnused, of) // clause: access.least-privilege
	if errors.Is(err, fault.Conflict) {
		return nil // all of them are asked about already
	}
	return err
}

// notAsked leaves out the rights that an open review asks about; fault.Conflict when
// none is left.
func notAsked(ctx context.Context, tx *ledger.Tx, items []ReviewItem) ([]ReviewItem, error) {
	var out []ReviewItem
	for _, it := range items {
		var n int64
		if err := ledger.One(ctx, tx, askedOf, []any{&n}, it.Person, it.team, it.Held); err != nil {
			return nil, err
		}
		if n == 0 {
			out = append(out, it)
		}
	}
	if len(out) == 0 {
		return nil, fault.Newf(fault.Conflict, "review_open", "Reviews that are open ask about all of these rights.")
	}
	return out, nil
}

const (
	reviewsBy = `SELECT r.id, r.kind, r.opened, r.due, r.closed, r.opener, COUNT(i.id), COALESCE(SUM(CASE WHEN i.decision = '' THEN 0 WHEN i.id IS NULL THEN 0 ELSE 1 END), 0)
		FROM identity_review r LEFT JOIN identity_review_item i ON i.review = r.id`
	itemsBy = `SELECT i.id, i.review, i.person, p.handle, i.team, i.kind, i.held, i.role, i.why, i.decision, i.outcome, i.reviewer, i.reason, i.decided
		FROM identity_review_item i JOIN identity_person p ON p.id = i.person`
	askedOf = `SELECT COUNT(*) FROM identity_review_item i JOIN identity_review r ON r.id = i.review
		WHERE r.closed IS NULL AND i.person = $1 AND i.team = $2 AND i.held = $3`
	openReviewOf = `SELECT id FROM identity_review WHERE kind = $1 AND closed IS NULL`
	insertReview = `INSERT INTO identity_review (id, kind, opened, due, closed, opener) VALUES ($1, $2, $3, $4, NULL, $5)`
	insertItem   = `INSERT INTO identity_review_item (id, review, person, team, kind, held, role, why, decision, outcome, reviewer, reason, decided)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', '', '', '', NULL)`
	decideItem = `UPDATE identity_review_item SET decision = $2, outcome = $3, reviewer = $4, reason = $5, decided = $6
		WHERE id = $1 AND outcome IN ('', 'kept') AND EXISTS (SELECT 1 FROM identity_review r WHERE r.id = identity_review_item.review AND r.closed IS NULL)`
	endReview      = `UPDATE identity_review SET closed = $2 WHERE id = $1 AND closed IS NULL`
	membership     = `SELECT m.roles, t.kind, p.state FROM identity_member m JOIN identity_team t ON t.id = m.team JOIN identity_person p ON p.id = m.person WHERE m.team = $1 AND m.person = $2`
	endGrantsBound = `UPDATE identity_grant SET ended = $3, cause = 'need-ended' WHERE person = $1 AND need = $2 AND ended IS NULL RETURNING id, role`
	lastReview     = `SELECT MAX(closed) FROM identity_review WHERE kind = 'all'`
	firstStaff     = `SELECT MIN(m.since) FROM identity_member m JOIN identity_team t ON t.id = m.team WHERE t.kind = 'staff'`
	blankGrants    = `UPDATE identity_grant SET reason = '' WHERE person = $1`
	blankReviews   = `UPDATE identity_review_item SET reason = '' WHERE person = $1`
)
