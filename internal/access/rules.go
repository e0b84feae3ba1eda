package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"writ/internal/clause"
)

// Rules are what the policy says of rights.
type Rules struct {
	Roles      [][]string    `clause:"access.roles/roles"`         // role, what it is for, its actions with a space between, its tags
	HostingWho []string      `clause:"access.mfa-hosting/who"`     // engineers: the role engineer must be tagged
	HostingAge time.Duration `clause:"access.mfa-hosting/max_age"` // how old the second factor behind a tagged role may be
}

// Hosting tags a role whose rights reach the machines that the service runs on.
const Hosting = "hosting"

// None stands in the column of actions where a role has none in this build.
const None = "none"

// vital is what an owner must be able to do, or no revision could ever be signed again.
var vital = []Action{PolicyRead, PolicyApprove, KeyRegister}

// Validate implements clause.Validator: it refuses a table that this build could not
// obey, or under which nobody could mend the table.
func (r *Rules) Validate() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("access.roles: "+format, a...)) }
	byRole := map[string][]Action{}
	var hosts []string
	for _, row := range r.Roles {
		if len(row) != 3 && len(row) != 4 {
			return fmt.Errorf("access.roles: the table has %d columns and this build reads four: role, may, actions, which names what each role may do (a space between, or %q), and tags (%q or %q)", len(row), None, Hosting, None)
		}
		role := row[0]
		staff := slices.Contains(staffRoles, role)
		if !staff && !slices.Contains(customerRoles, role) {
			bad("there is no role %q; the roles are %s", role, strings.Join(slices.Concat(staffRoles, customerRoles), ", "))
			continue
		}
		actions, err := actionsIn(row[2])
		if err != nil {
			bad("role %s: %w", role, err)
		}
		for _, a := range actions {
			if !staff && !a.ofTeam() {
				bad("role %s is of customers and can have only actions that begin with %s, not %s", role, ofTeams, a)
			}
		}
		byRole[role] = actions
		if !staff && tagged(row) || len(row) == 4 && row[3] != Hosting && row[3] != None {
			bad("role %s: tags are %q; a role of staff may have %q, every other role %q", role, row[3], Hosting, None)
		}
		if tagged(row) {
			hosts = append(hosts, role)
		}
	}
	errs = append(errs, r.checkHosting(hosts)...)
	for _, a := range vital {
		if !slices.Contains(byRole["owner"], a) {
			bad("the role owner lacks %s; without it no owner could sign a revision, this table's mending included", a)
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if _, err := compile(r); err != nil {
		return fmt.Errorf("access.roles: %w", err)
	}
	return nil
}

// tagged reports whether a row's rights count only with a fresh second factor. A table of
// before there were tags tags every role of staff: none is left out by its silence.
func tagged(row []string) bool {
	if len(row) == 4 {
		return row[3] == Hosting
	}
	return slices.Contains(staffRoles, row[0])
}

// checkHosting holds the words of access.mfa-hosting against the tags.
func (r *Rules) checkHosting(hosts []string) (errs []error) {
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("access.mfa-hosting: "+format, a...)) }
	if r.HostingAge < 15*time.Minute || r.HostingAge > 24*time.Hour {
		bad("max_age %s is not within 15m and 24h", r.HostingAge)
	}
	if !slices.Contains(r.HostingWho, "engineers") {
		bad("who must hold engineers")
	}
	for _, w := range r.HostingWho {
		if role := strings.TrimSuffix(w, "s"); !slices.Contains(hosts, role) {
			bad("who names %s, and the table of access.roles tags no role %s with %s", w, role, Hosting)
		}
	}
	return errs
}

// actionsIn reads the cell of a role's actions.
func actionsIn(cell string) ([]Action, error) {
	words := strings.Fields(cell)
	if slices.Equal(words, []string{None}) {
		return nil, nil
	}
	var out []Action
	var errs []error
	for _, w := range words {
		a := Action(w)
		switch {
		case !isKnown(a):
			errs = append(errs, fmt.Errorf("there is no action %q in this build", w))
		case slices.Contains(out, a):
			errs = append(errs, fmt.Errorf("action %q stands twice", w))
		default:
			out = append(out, a)
		}
	}
	if len(words) == 0 {
		errs = append(errs, fmt.Errorf("no actions; write %q where there are none", None))
	}
	return out, errors.Join(errs...)
}

// slot knows whether a policy was adopted: before that everything is refused.
type slot struct {
	*clause.Live[Rules]
	set atomic.Bool
}

// Set implements clause.Slot.
func (s *slot) Set(ps []clause.Period) error {
	err := s.Live.Set(ps)
	if err == nil {
		s.set.Store(true)
	}
	return err
}
