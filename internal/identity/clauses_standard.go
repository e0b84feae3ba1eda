package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/clause"
	"writ/internal/identity/legacy"
	"writ/internal/web"
)

// What the standards say, where an owner may choose otherwise.
const (
	aloneLength = 15               // NIST SP 800-63B-4: a password that stands alone
	leastLength = 8                // OWASP ASVS 5.0, 6.2.1
	leastListed = 3000             // 6.2.4: listed passwords of the length in force
	shortLink   = 10 * time.Minute // 6.5.5: a link that is sent
)

// probeStandards says how the values in force stand beside the standards. Where the owner
// chose less it is no failure, and it is never left out. It fails on what no owner can
// choose: a password that was taken with fewer than eight characters.
func (s *Service) probeStandards(ctx context.Context) (clause.Result, error) {
	all, err := s.count(ctx, countPasswords)
	if err != nil {
		return clause.Result{}, err
	}
	short, err := s.count(ctx, shortPasswords, int64(leastLength))
	if err != nil {
		return clause.Result{}, err
	}
	r, usable := s.Rules.Get(), s.banned().Usable(s.Rules.Get().Min)
	says := []string{fmt.Sprintf("%d characters: meets ASVS 6.2.1", r.Min)}
	if short > 0 {
		says = []string{fmt.Sprintf("ASVS 6.2.1 is not met: %d of %d passwords were taken with fewer than %d characters", short, all, leastLength)}
	}
	if r.Min < aloneLength {
		says[0] += "; below 800-63B-4 for a password alone"
	}
	if choices := r.choices(usable); len(choices) > 0 {
		says = append(says, "the owner's choices: "+strings.Join(choices, "; "))
	}
	res := clause.Passed(strings.Join(says, "; "))
	if short > 0 {
		res.Outcome = clause.Fail
	}
	res.Population = all
	return res, nil
}

// choices are the places where the rules ask less than the standard would, each with its
// number in ASVS 5.0.
func (r *Rules) choices(usable int) (all []string) {
	say := func(ok bool, format string, a ...any) {
		if !ok {
			all = append(all, fmt.Sprintf(format, a...))
		}
	}
	say(usable >= leastListed, "6.2.4, the list has %d entries of %d characters or more and the standard has %d, so it needs a file of the operator", usable, r.Min, leastListed)
	everybody := slices.Contains(r.MustShow, RoleAdmin) && slices.Contains(r.MustShow, RoleMember)
	say(everybody, "6.3.3, customers may sign in with a password alone")
	say(r.RememberDevice == 0, "6.3.3, a customer's browser may skip the second factor for %s", web.Duration(r.RememberDevice))
	say(r.ResetTTL <= shortLink, "6.5.5, a reset link lives %s and the standard has %s", web.Duration(r.ResetTTL), web.Duration(shortLink))
	say(!slices.Contains(r.Import, string(legacy.SaltedSHA256)), "11.4.2, salted SHA-256 is taken over from another system, wrapped before it is stored and replaced at the next sign-in")
	return all
}

const (
	countPasswords = `SELECT COUNT(*) FROM identity_password`
	shortPasswords = `SELECT COUNT(*) FROM identity_password WHERE passed > 0 AND passed < $1` // 0 = brought over, which has a deadline
)
