package identity

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Grant is a role lent to a member of staff.
type Grant struct {
	ID       string
	Person   string
	Handle   string
	Role     string
	Need     string // ticket/…, project/… or role/…; "" = for the moment
	Reason   string
	Asked    time.Time
	Until    time.Time
	Grantor  string // kind/id of who lent it
	Approver string // kind/id of the second person, where one was needed
	Began    time.Time
	Ended    time.Time
	Cause    string // of the end
	change   int64  // the counter when it began to count
}

// The states of a grant.
const (
	GrantWaits  = "waits" // for a second person
	GrantCounts = "counts"
	GrantEnded  = "ended"
)

// State is how the grant stands at a moment.
func (g *Grant) State(now time.Time) string {
	switch {
	case !g.Ended.IsZero() || !now.Before(g.Until):
		return GrantEnded
	case g.Began.IsZero():
		return GrantWaits
	}
	return GrantCounts
}

// Lend is a role that somebody is to have for a while.
type Lend struct {
	Person string // id, handle or address
	Role   string
	For    time.Duration // how long
	Need   string        // what it is for; empty = for the moment, at most access.least-privilege/lent
	Reason string
}

var goodNeed = regexp.MustCompile(`^(ticket|project|role)/[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// roleOf is the role that a need names, or "".
func roleOf(need string) string {
	r, ok := strings.CutPrefix(need, "role/")
	if !ok {
		return ""
	}
	return r
}

// why checks a reason in free words.
func why(text string) (string, bool) {
	text = strings.TrimSpace(text)
	n := len([]rune(text))
	return text, 3 <= n && n <= 300 && !strings.ContainsFunc(text, unicode.IsControl)
}

// GrantRole lends a role to another member of staff, or asks for one for oneself. What
// somebody asks for waits for another's ApproveGrant, and a role that needs two people
// for that of the second. The role counts from the next request on, and ends by the clock,
// with its need, or with RevokeGrant.
func (s *Service) GrantRole(ctx context.Context, who actor.Actor, in Lend) (Grant, error) {
	acc, err := s.find(ctx, in.Person)
	own, need := err == nil && who.Kind == actor.Person && who.ID == acc.id, access.RoleGrant
	if own {
		need = access.RoleAsk
	}
	if err := s.Access.Allow(ctx, who, need, ""); err != nil { // first: whether there is such a person is not for everybody
		return Grant{}, err
	}
	if err != nil {
		return Grant{}, err
	}
	rules := s.Rules.Get()
	now := s.Now()
	g := Grant{ID: s.DB.ID(), Person: acc.id, Handle: acc.handle, Role: in.Role, Need: in.Need, Asked: now, Until: now.Add(in.For).Truncate(time.Microsecond), Grantor: who.String()}
	if g.Reason, err = s.lendForm(acc, in, rules); err != nil {
		return Grant{}, err
	}
	waits := own || slices.Contains(rules.TwoPeople, in.Role) // clause: access.least-privilege
	if !waits {
		g.Began = now
	}
	if own {
		g.Grantor = "" // nobody has lent it yet
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := needLives(ctx, tx, g.Need); err != nil {
			return nil, err
		}
		if g.change, err = bump(ctx, tx); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, insertGrant, g.ID, g.Person, staffTeam, g.Role, g.Need, g.Reason, us(g.Asked), us(g.Until), g.Grantor, timeOrNil(g.Began), g.change); err != nil {
			return nil, err
		}
		if waits {
			return RoleAsked{Grant: g.ID, Person: g.Person, Role: g.Role, Need: g.Need, Until: g.Until, Reason: g.Reason}, nil
		}
		return granted(g), nil
	})
	if err != nil {
		return Grant{}, fmt.Errorf("lend role: %w", err)
	}
	s.counts(g)
	return g, nil
}

// lendForm checks what was asked for and returns the reason.
func (s *Service) lendForm(acc account, in Lend, rules *Rules) (string, error) {
	var fields []fault.Field
	bad := func(name, code, format string, a ...any) {
		fields = append(fields, fault.Field{Name: name, Code: code, Problem: fmt.Sprintf(format, a...)})
	}
	if acc.kind != Staff || acc.state != stateActive {
		bad("person", "not_staff", "Roles are lent to active members of staff only.")
	}
	role, known := s.Access.Role(in.Role)
	switch {
	case !known || !role.Staff:
		bad("role", "role_unknown", "The signed list has no such role of staff; it has %s.", strings.Join(s.staffRolesNow(), ", "))
	case slices.Contains(rolesOf(acc.roles), in.Role):
		bad("role", "role_held", "They hold this role already.")
	}
	most := rules.Lent // clause: access.least-privilege
	if in.Need != "" {
		most = rules.ReviewEvery // a loan never outlives the time between two reviews
	}
	if in.For < time.Minute || in.For > most {
		bad("for", "too_long", "From 1 minute to %s.", most)
	}
	switch {
	case in.Need != "" && !goodNeed.MatchString(in.Need):
		bad("need", "need_text", "Written as ticket/NAME, project/NAME or role/NAME: letters, digits, dot, dash and underscore.")
	case roleOf(in.Need) != "" && !slices.Contains(rolesOf(acc.roles), roleOf(in.Need)):
		bad("need", "need_not_held", "They do not hold the role %s, so nothing can be bound to it.", roleOf(in.Need))
	}
	reason, ok := why(in.Reason)
	if !ok {
		bad("reason", "reason_missing", "Say why, in 3 to 300 characters on one line.")
	}
	if len(fields) > 0 {
		return "", fault.New(fault.Invalid, fields[0].Code, fault.Public{Problem: fields[0].Problem, Next: "Correct this and try again.", Fields: fields})
	}
	return reason, nil
}

func (s *Service) staffRolesNow() []string {
	var out []string
	for _, r := range s.Access.Roles() {
		if r.Staff {
			out = append(out, r.Name)
		}
	}
	return out
}

func timeOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return us(t)
}

func granted(g Grant) ledger.Event {
	if g.Need == "" {
		return Elevated{Grant: g.ID, Person: g.Person, Role: g.Role, Until: g.Until, Grantor: g.Grantor, Reason: g.Reason}
	}
	return RoleGranted{Grant: g.ID, Person: g.Person, Role: g.Role, Need: g.Need, Until: g.Until, Grantor: g.Grantor, Reason: g.Reason}
}

// counts makes a grant that was committed count in memory.
func (s *Service) counts(g Grant) {
	if !g.Began.IsZero() {
		s.loans.put(member{g.Person, staffTeam}, lent{id: g.ID, role: g.Role, standing: roleOf(g.Need), until: g.Until, change: g.change})
	}
}

// refuseRight records that an act on rights was refused for who did it.
func (s *Service) refuseRight(ctx context.Context, who actor.Actor, on, code, problem, next string) error {
	return s.DB.Refuse(ctx, who, RightRefused{Cause: code, On: on}, fault.New(fault.Denied, code, fault.Public{Problem: problem, Next: next}))
}

// needLives refuses a need that is over.
func needLives(ctx context.Context, tx *ledger.Tx, need string) error {
	var ended int64
	err := ledger.One(ctx, tx, needEnded, []any{&ended}, need)
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return fault.Newf(fault.Conflict, "need_over", "%s is over since %s; nothing can be lent for it.", need, at(ended).Format("2 Jan 2006 15:04 MST"))
}

// ApproveGrant is the yes of another, without which a grant that waits counts for
// nothing. It must be a person who neither lent the role nor gets it. Where its holder
// asked for a role that two people lend, the first yes lends it and the second makes it
// count.
func (s *Service) ApproveGrant(ctx context.Context, who actor.Actor, id string) (Grant, error) {
	if err := s.Access.Allow(ctx, who, access.RoleGrant, "grant/"+id); err != nil {
		return Grant{}, err
	}
	g, err := s.grant(ctx, id)
	if err != nil {
		return Grant{}, err
	}
	if who.Kind != actor.Person || who.ID == g.Person || who.String() == g.Grantor { // clause: access.least-privilege
		return Grant{}, s.refuseRight(ctx, who, "grant/"+id, "second_person", "A second person must agree: neither who lent it nor who gets it, and never the operator.", "Ask another owner.")
	}
	if g.State(s.Now()) != GrantWaits {
		return Grant{}, fault.Newf(fault.Conflict, "grant_state", "This grant does not wait for anybody: it %s.", g.State(s.Now()))
	}
	former := g.Grantor
	first := former == "" && slices.Contains(s.Rules.Get().TwoPeople, g.Role) // clause: access.least-privilege
	if former == "" {
		g.Grantor = who.String()
	} else {
		g.Approver = who.String()
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := needLives(ctx, tx, g.Need); err != nil {
			return nil, err
		}
		if g.change, err = bump(ctx, tx); err != nil {
			return nil, err
		}
		if !first {
			g.Began = tx.Now()
		}
		n, err := tx.Exec(ctx, agreeGrant, id, us(tx.Now()), former, g.Grantor, g.Approver, timeOrNil(g.Began), g.change)
		if err == nil && n == 0 {
			err = fault.Newf(fault.Conflict, "grant_state", "This grant was decided on or has ended meanwhile.")
		}
		if first {
			return RoleSeconded{Grant: g.ID, Person: g.Person, Role: g.Role}, err
		}
		return granted(g), err
	})
	if err != nil {
		return Grant{}, fmt.Errorf("agree to a grant: %w", err)
	}
	s.counts(g)
	return g, nil
}

// RevokeGrant ends a grant at once: whoever may lend may take back, and the holder may
// give back.
func (s *Service) RevokeGrant(ctx context.Context, who actor.Actor, id string) error {
	g, err := s.grant(ctx, id)
	if errors.Is(err, fault.NotFound) { // whether there is such a grant is for those to know who may read rights
		if no := s.Access.Allow(ctx, who, access.RightsRead, "grant/"+id); no != nil {
			return no
		}
		return err
	}
	if err != nil {
		return err
	}
	if who.Kind != actor.Person || who.ID != g.Person {
		if err := s.Access.Allow(ctx, who, access.RoleGrant, "grant/"+id); err != nil {
			return err
		}
	}
	return s.endGrant(ctx, who, g, "revoked")
}

// endGrant ends one grant; fault.Conflict when it has ended.
func (s *Service) endGrant(ctx context.Context, who actor.Actor, g Grant, cause string) error {
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		return endGrantIn(ctx, tx, g, cause)
	})
	if err != nil {
		return fmt.Errorf("end grant: %w", err)
	}
	s.loans.drop(g.ID)
	return nil
}

func endGrantIn(ctx context.Context, tx *ledger.Tx, g Grant, cause string) (ledger.Event, error) {
	if _, err := bump(ctx, tx); err != nil {
		return nil, err
	}
	n, err := tx.Exec(ctx, endOneGrant, g.ID, us(tx.Now()), cause)
	if err == nil && n == 0 {
		err = fault.Newf(fault.Conflict, "grant_ended", "This grant has ended already.")
	}
	return RoleEnded{Grant: g.ID, Person: g.Person, Role: g.Role, Cause: cause}, err
}

// EndNeed says that a ticket, project or role is over: all that was lent for it ends at
// once, and nothing can be lent for it again. It says how many grants ended.
func (s *Service) EndNeed(ctx context.Context, who actor.Actor, need string) (int64, error) {
	if err := s.Access.Allow(ctx, who, access.RoleGrant, "need/"+need); err != nil {
		return 0, err
	}
	if !goodNeed.MatchString(need) || roleOf(need) != "" {
		return 0, fault.New(fault.Invalid, "need_text", fault.Public{Problem: "A need that can end is written as ticket/NAME or project/NAME.", Next: "Correct this and try again; a role ends when it is taken away."})
	}
	var ids []string
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		var ended []Grant
		ids = nil
		if _, err := bump(ctx, tx); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, insertNeed, need, us(tx.Now())); err != nil {
			return nil, err
		}
		err := tx.Each(ctx, endGrantsFor, func(scan scanner) error {
			var g Grant
			if err := scan(&g.ID, &g.Person, &g.Role); err != nil {
				return err
			}
			ended, ids = append(ended, g), append(ids, g.ID)
			return nil
		}, need, us(tx.Now()))
		for _, g := range ended {
			tx.Also(RoleEnded{Grant: g.ID, Person: g.Person, Role: g.Role, Cause: "need-ended"})
		}
		return NeedEnded{Need: need, Grants: int64(len(ended))}, err
	})
	if err != nil {
		return 0, fmt.Errorf("end need: %w", err)
	}
	s.loans.drop(ids...)
	return int64(len(ids)), nil
}

// endGrantsOf ends all grants of a person inside a change.
func endGrantsOf(ctx context.Context, tx *ledger.Tx, person, cause string) error {
	var ended []Grant
	err := tx.Each(ctx, endGrantsBy, func(scan scanner) error {
		g := Grant{Person: person}
		if err := scan(&g.ID, &g.Role); err != nil {
			return err
		}
		ended = append(ended, g)
		return nil
	}, person, us(tx.Now()), cause)
	for _, g := range ended {
		tx.Also(RoleEnded{Grant: g.ID, Person: person, Role: g.Role, Cause: cause})
	}
	return err
}

// Grants lists grants, newest first: those that count or wait, or with all also those
// that ended.
func (s *Service) Grants(ctx context.Context, who actor.Actor, filter GrantFilter) ([]Grant, error) {
	if err := s.Access.Allow(ctx, who, access.RightsRead, ""); err != nil {
		return nil, err
	}
	q := grantsBy + ` WHERE t.kind = 'staff'`
	if !filter.Ended {
		q += ` AND g.ended IS NULL`
	}
	return s.readGrants(ctx, q+` AND ($1 = '' OR g.person = $1) ORDER BY g.asked DESC, g.id DESC LIMIT 500`, filter.Person)
}

// GrantFilter chooses grants.
type GrantFilter struct {
	Person string // id; "" = anybody's
	Ended  bool   // with those that have ended
}

func (s *Service) grant(ctx context.Context, id string) (Grant, error) {
	gs, err := s.readGrants(ctx, grantsBy+` WHERE g.id = $1`, id)
	if err != nil {
		return Grant{}, err
	}
	if len(gs) == 0 {
		return Grant{}, fault.New(fault.NotFound, "no_grant", fault.Public{Problem: "There is no such grant.", Next: "Look at the list of grants."})
	}
	return gs[0], nil
}

func (s *Service) readGrants(ctx context.Context, query string, args ...any) ([]Grant, error) {
	var out []Grant
	err := s.DB.Each(ctx, query, func(scan scanner) error {
		var g Grant
		var asked, until int64
		var began, ended *int64
		if err := scan(&g.ID, &g.Person, &g.Handle, &g.Role, &g.Need, &g.Reason, &asked, &until, &g.Grantor, &g.Approver, &began, &ended, &g.Cause); err != nil {
			return err
		}
		g.Asked, g.Until = at(asked), at(until)
		if began != nil {
			g.Began = at(*began)
		}
		if ended != nil {
			g.Ended = at(*ended)
		}
		out = append(out, g)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("list grants: %w", err)
	}
	return out, nil
}

// endPast ends the rows of grants whose time is over; they count for nothing already.
func (s *Service) endPast(ctx context.Context) error {
	gs, err := s.readGrants(ctx, grantsBy+` WHERE g.ended IS NULL AND g.until <= $1 ORDER BY g.until LIMIT 500`, us(s.Now()))
	if err != nil {
		return err
	}
	for _, g := range gs {
		if err := s.endGrant(ctx, actor.System("identity-grants"), g, "time"); err != nil && !errors.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

const (
	grantsBy = `SELECT g.id, g.person, p.handle, g.role, g.need, g.reason, g.asked, g.until, g.grantor, g.approver, g.began, g.ended, g.cause
		FROM identity_grant g JOIN identity_person p ON p.id = g.person JOIN identity_team t ON t.id = g.team`
	insertGrant = `INSERT INTO identity_grant (id, person, team, role, need, reason, asked, until, grantor, approver, began, ended, cause, change, told)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', $10, NULL, '', $11, '')`
	agreeGrant   = `UPDATE identity_grant SET grantor = $4, approver = $5, began = $6, change = $7 WHERE id = $1 AND grantor = $3 AND began IS NULL AND ended IS NULL AND until > $2`
	endOneGrant  = `UPDATE identity_grant SET ended = $2, cause = $3 WHERE id = $1 AND ended IS NULL`
	endGrantsFor = `UPDATE identity_grant SET ended = $2, cause = 'need-ended' WHERE need = $1 AND ended IS NULL RETURNING id, person, role`
	endGrantsBy  = `UPDATE identity_grant SET ended = $2, cause = $3 WHERE person = $1 AND ended IS NULL RETURNING id, role`
	needEnded    = `SELECT ended FROM identity_need WHERE need = $1`
	insertNeed   = `INSERT INTO identity_need (need, ended) VALUES ($1, $2) ON CONFLICT (need) DO NOTHING`
)
