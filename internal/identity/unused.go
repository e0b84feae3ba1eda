package identity

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/ledger"
)

// Right is one role of one member of staff by membership, with what was used of it.
type Right struct {
	Person   string
	Handle   string
	Team     string
	Role     string
	Since    time.Time
	Used     time.Time // the last day on which an action of the role was used; zero = never since Counted
	Counted  time.Time // since when uses are counted here
	Idle     bool      // nothing of the last access.least-privilege/unused needed this role
	Proposed bool      // put up for removal in a review that is open
	kept     time.Time // when a review last kept it
}

// beginUses notes since when uses are counted: before that nothing can be called unused.
func (s *Service) beginUses(ctx context.Context) error {
	err := s.DB.Quiet(ctx, ledger.UseCounts, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, firstUse, us(tx.Now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("note since when uses are counted: %w", err)
	}
	return nil
}

// writeUses keeps what access has counted since the last time. One at a time: whoever looks
// at the rows next must find what another run has taken and not yet written, or a right
// that is used every day would be put up for removal.
func (s *Service) writeUses(ctx context.Context) error { // clause: access.least-privilege
	s.usesMu.Lock()
	defer s.usesMu.Unlock()
	uses := s.Access.TakeUses()
	slices.SortFunc(uses, func(a, b access.Use) int {
		return cmp.Or(cmp.Compare(a.Person, b.Person), cmp.Compare(a.Action, b.Action), a.Day.Compare(b.Day))
	})
	for len(uses) > 0 {
		chunk := uses[:min(len(uses), 200)]
		err := s.DB.Quiet(ctx, ledger.UseCounts, func(tx *ledger.Tx) error {
			for _, u := range chunk {
				if _, err := tx.Exec(ctx, addUse, u.Person, string(u.Action), us(u.Day), u.Count, u.Late); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			s.Access.GiveBack(uses)
			return fmt.Errorf("write counts of uses: %w", err)
		}
		uses = uses[len(chunk):]
	}
	return nil
}

// Rights lists the roles of staff with what was used of them.
func (s *Service) Rights(ctx context.Context, who actor.Actor) ([]Right, error) {
	if err := s.Access.Allow(ctx, who, access.RightsRead, ""); err != nil {
		return nil, err
	}
	if err := s.writeUses(ctx); err != nil { // what was used a moment ago counts
		return nil, err
	}
	return s.rights(ctx, s.Now())
}

// rights looks at all rights as they stand at a moment.
func (s *Service) rights(ctx context.Context, now time.Time) ([]Right, error) {
	uses, err := s.readUses(ctx)
	if err != nil {
		return nil, err
	}
	var counted int64
	if err := ledger.One(ctx, s.DB, countedSince, []any{&counted}); err != nil {
		return nil, fmt.Errorf("read since when uses are counted: %w", err)
	}
	var out []Right
	err = s.DB.Each(ctx, staffMembers, func(scan scanner) error {
		r := Right{Counted: at(counted)}
		var roles string
		var since int64
		if err := scan(&r.Person, &r.Handle, &r.Team, &roles, &since); err != nil {
			return err
		}
		r.Since = at(since)
		for _, r.Role = range rolesOf(roles) {
			out = append(out, r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read rights: %w", err)
	}
	if err := s.markReviewed(ctx, out); err != nil {
		return nil, err
	}
	for i := 0; i < len(out); {
		j := i
		for j < len(out) && out[j].Person == out[i].Person && out[j].Team == out[i].Team {
			j++
		}
		s.judgeUse(out[i:j], uses[out[i].Person], now.Add(-s.Rules.Get().Unused))
		i = j
	}
	return out, nil
}

// judgeUse finds, among the roles of one person, those that nothing they did since the
// cutoff needed. The widest go first: what a narrower role allows as well needs no wide one.
func (s *Service) judgeUse(rs []Right, used map[access.Action]time.Time, cutoff time.Time) {
	held := map[string]access.Role{}
	for i := range rs {
		role, _ := s.Access.Role(rs[i].Role)
		held[rs[i].Role] = role
		for a, day := range used {
			if role.Has(a) && day.After(rs[i].Used) {
				rs[i].Used = day
			}
		}
	}
	var recent []access.Action
	for a, day := range used {
		if !day.Add(24 * time.Hour).Before(cutoff) {
			recent = append(recent, a)
		}
	}
	order := make([]*Right, len(rs))
	for i := range rs {
		order[i] = &rs[i]
	}
	slices.SortStableFunc(order, func(a, b *Right) int { return cmp.Compare(len(held[b.Role].Actions), len(held[a.Role].Actions)) })
	for _, r := range order {
		if r.Since.After(cutoff) || r.Counted.After(cutoff) {
			continue
		}
		mine := held[r.Role]
		needed := slices.ContainsFunc(recent, func(a access.Action) bool {
			if !mine.Has(a) {
				return false
			}
			for name, other := range held {
				if name != r.Role && other.Has(a) {
					return false
				}
			}
			return true
		})
		if !needed { // clause: access.least-privilege
			r.Idle = true
			delete(held, r.Role)
		}
	}
}

func (s *Service) readUses(ctx context.Context) (map[string]map[access.Action]time.Time, error) {
	out := map[string]map[access.Action]time.Time{}
	err := s.DB.Each(ctx, lastUses, func(scan scanner) error {
		var person, action string
		var day int64
		if err := scan(&person, &action, &day); err != nil {
			return err
		}
		if out[person] == nil {
			out[person] = map[access.Action]time.Time{}
		}
		out[person][access.Action(action)] = at(day)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read counts of uses: %w", err)
	}
	return out, nil
}

// markReviewed notes which rights stand in an open review, and when one was last kept.
func (s *Service) markReviewed(ctx context.Context, rs []Right) error {
	err := s.DB.Each(ctx, reviewedRights, func(scan scanner) error {
		var person, role string
		var open bool
		var kept int64
		if err := scan(&person, &role, &open, &kept); err != nil {
			return err
		}
		for i := range rs {
			if rs[i].Person == person && rs[i].Role == role {
				rs[i].Proposed = rs[i].Proposed || open
				if kept > 0 && at(kept).After(rs[i].kept) {
					rs[i].kept = at(kept)
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read reviewed rights: %w", err)
	}
	return nil
}

// overdue are the rights that are idle and neither put up for removal nor kept by a
// review within the time after which a right counts as unused.
func (s *Service) overdue(rs []Right, now time.Time) []Right {
	cutoff := now.Add(-s.Rules.Get().Unused)
	var out []Right
	for _, r := range rs {
		if r.Idle && !r.Proposed && r.kept.Before(cutoff) {
			out = append(out, r)
		}
	}
	return out
}

const (
	firstUse     = `INSERT INTO identity_use (person, action, day, n) SELECT '', '', $1, 0 WHERE NOT EXISTS (SELECT 1 FROM identity_use WHERE person = '')`
	countedSince = `SELECT MIN(day) FROM identity_use WHERE person = ''`
	addUse       = `INSERT INTO identity_use (person, action, day, n, late) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (person, action, day) DO UPDATE SET n = identity_use.n + excluded.n, late = identity_use.late + excluded.late`
	lastUses     = `SELECT person, action, MAX(day) FROM identity_use WHERE person <> '' GROUP BY person, action`
	oldUses      = `DELETE FROM identity_use WHERE person <> '' AND day < $1`
	deleteUsesOf = `DELETE FROM identity_use WHERE person = $1`
	staffMembers = `SELECT m.person, p.handle, m.team, m.roles, m.since FROM identity_member m JOIN identity_team t ON t.id = m.team JOIN identity_person p ON p.id = m.person
		WHERE t.kind = 'staff' AND p.state = 'active' ORDER BY p.handle, m.person, m.team`
	reviewedRights = `SELECT i.person, i.role, r.closed IS NULL AND i.decision = '', CASE WHEN i.decision = 'keep' THEN COALESCE(i.decided, 0) ELSE 0 END
		FROM identity_review_item i JOIN identity_review r ON r.id = i.review WHERE i.kind = 'role'`
)
