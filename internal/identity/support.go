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
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/secret"
)

// What the policy says of a reason and of a notice.
const (
	required = "required"
	optional = "optional"
)

const (
	mostLook  = time.Hour // of any look, whatever the policy says
	maxReason = 500       // code points
)

// The ends of a look.
const (
	lookEnded     = "ended" // by who looked; alone of all it gives the former session back
	lookByOther   = "ended-by-other"
	lookOver      = "over"
	lookSignedOut = "signed-out"
)

var goodTicket = regexp.MustCompile(`^[A-Za-z0-9#][A-Za-z0-9#._/-]{0,63}$`)

// Look is a time in which a member of staff sees what a customer sees.
type Look struct {
	ID, Staff, Person, Team  string
	By, As, Agreer           string // names; only in lists
	Reason, Ticket           string
	Asked                    bool // changing things was asked for
	Began, Until             time.Time
	AgreedBy                 string
	Agreed, Ended            time.Time // zero = not
	Cause                    string
	Entry                    int64 // number of the journal's entry; 0 = it has none yet
	session                  string
	kind, roles, state, home string // of the team; the customer's in it; of the customer, of the staff
	box                      []byte
}

// Writes reports whether a second person has agreed.
func (l *Look) Writes() bool { // clause: use.need-to-see
	return l.Asked && l.AgreedBy != "" && l.AgreedBy != l.Staff
}

// ends is when the look is over: what it was given, and never more than the policy now allows.
func (l *Look) ends(r *Rules) time.Time { // clause: use.need-to-see
	if most := l.Began.Add(r.lookTime()); most.Before(l.Until) {
		return most
	}
	return l.Until
}

// lookTime is how long a look may last.
func (r *Rules) lookTime() time.Duration { return min(mostLook, r.LookTTL) }

// boxed is the time of one look: what was asked for, within what the policy allows.
func (r *Rules) boxed(asked time.Duration) time.Duration { // clause: use.need-to-see
	if asked == 0 {
		return r.lookTime()
	}
	return min(asked, r.lookTime())
}

// NewLook is the wish for a look.
type NewLook struct {
	Person string // id, handle or address
	Team   string // which of their teams; empty = the first
	Reason string
	Ticket string
	For    time.Duration // how long at most; 0 = as long as the policy allows
	Writes bool          // ask a second person for the right to change things
}

// Looking is a look that has begun, and what its browser gets.
type Looking struct {
	Look
	Token secret.Text
}

// BeginLook begins a look. The session that the actor came from waits until it ends: its
// token dies, and what is returned stands for the look alone. Errors: fault.Denied
// (support_refused, step_up_required), fault.Invalid (reason_needed, ticket_needed),
// fault.Conflict (support_open).
func (s *Service) BeginLook(ctx context.Context, who actor.Actor, in NewLook) (Looking, error) {
	if err := s.mayLook(ctx, who, access.SupportLook, in.Person); err != nil {
		return Looking{}, err
	}
	reason, err := s.lookForm(ctx, who, in)
	if err != nil {
		return Looking{}, err
	}
	l, email, err := s.lookAt(ctx, who, in)
	if err != nil {
		return Looking{}, err
	}
	l.Reason = reason
	if reason != "" {
		if l.box, err = s.seal(ctx, keyring.Person(l.Person), "identity_support.reason", l.ID, []byte(reason)); err != nil {
			return Looking{}, err
		}
	}
	rules := s.Rules.Get()
	l.Until = s.Now().Add(rules.boxed(in.For))
	var notice *jobs.Job
	if rules.LookNotify == required { // clause: use.need-to-see
		job, err := s.letter(ctx, email, s.lookLetter(s.Name(ctx, who.ID), l.Ticket, l.Until))
		if err != nil {
			return Looking{}, err
		}
		notice = &job
	}
	out := Looking{Look: l, Token: secret.NewText(lookMark + secret.RandomText(32).Reveal())}
	if err := s.commitLook(ctx, who, &out, rules.boxed(in.For), notice); err != nil {
		return Looking{}, err
	}
	return out, s.reread(ctx, who.ID)
}

// mayLook asks for the right, and for a second factor shown a moment ago.
func (s *Service) mayLook(ctx context.Context, who actor.Actor, a access.Action, on string) error {
	if err := humanNeeded(who); err != nil {
		return err
	}
	object := ""
	if on != "" && !strings.Contains(on, "@") { // an address stands in no public field
		object = "support/" + on
	}
	if err := s.Access.Allow(ctx, who, a, object); err != nil {
		return err
	}
	if err := s.fresh(ctx, who); err != nil { // clause: use.need-to-see
		return s.refuse(ctx, who, SupportRefused{Cause: "factor"}, err)
	}
	return nil
}

// lookForm checks what was written.
func (s *Service) lookForm(ctx context.Context, who actor.Actor, in NewLook) (string, error) {
	var fields []fault.Field
	var causes []string
	reason := strings.TrimSpace(in.Reason)
	switch n := utf8.RuneCountInString(reason); {
	case n > maxReason || !utf8.ValidString(reason) || strings.ContainsFunc(reason, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' }):
		causes = append(causes, "reason")
		fields = append(fields, fault.Field{Name: "reason", Code: "reason_invalid", Problem: fmt.Sprintf("The reason is longer than %d characters or holds a control character.", maxReason)})
	case n < 3 && (n > 0 || s.Rules.Get().LookReason == required): // clause: use.need-to-see
		causes = append(causes, "reason")
		fields = append(fields, fault.Field{Name: "reason", Code: "reason_needed", Problem: "Say why you need to look."})
	}
	if !goodTicket.MatchString(strings.TrimSpace(in.Ticket)) {
		causes = append(causes, "ticket")
		fields = append(fields, fault.Field{Name: "ticket", Code: "ticket_needed", Problem: "Name the ticket: 1 to 64 letters, digits and # . _ / -."})
	}
	if most := s.Rules.Get().lookTime(); in.For != 0 && (in.For < time.Minute || in.For > most) { // clause: use.need-to-see
		causes = append(causes, "for")
		fields = append(fields, fault.Field{Name: "for", Code: "for_invalid", Problem: fmt.Sprintf("A look lasts from 1 minute to %s.", most)})
	}
	if len(fields) == 0 {
		return reason, nil
	}
	return "", s.refuse(ctx, who, SupportRefused{Cause: causes[0]}, fault.New(fault.Invalid, fields[0].Code, fault.Public{
		Problem: fields[0].Problem, Next: "Correct this and try again.", Fields: fields}))
}

// lookAt finds whom it is about: one active customer in one team. Staff, and anybody with
// a role of staff, are closed.
func (s *Service) lookAt(ctx context.Context, who actor.Actor, in NewLook) (Look, string, error) {
	acc, err := s.find(ctx, in.Person)
	if err != nil {
		return Look{}, "", err
	}
	l := Look{ID: s.DB.ID(), Staff: who.ID, Person: acc.id, Ticket: strings.TrimSpace(in.Ticket), Asked: in.Writes, session: who.Session}
	cause, err := closedTo(ctx, s.DB, in.Team, &l)
	if err != nil {
		return Look{}, "", err
	}
	if cause == "" && acc.state != stateActive {
		cause = "state"
	}
	if cause != "" {
		return Look{}, "", s.refuse(ctx, who, SupportRefused{Cause: cause, Person: acc.id}, errNotLook())
	}
	return l, acc.email, nil
}

func errNotLook() *fault.Error {
	return fault.New(fault.Denied, "support_refused", fault.Public{
		Problem: "You may not look as this person.", Expected: "One active customer, in one of their teams; never staff.", Next: "Ask the person themselves."})
}

// closedTo says why nobody may look as the person; "" when one may. It fills in the team.
func closedTo(ctx context.Context, q ledger.Reader, team string, l *Look) (cause string, err error) { // clause: use.need-to-see
	found := false
	err = q.Each(ctx, teamsOfCustomer, func(scan scanner) error {
		var id, kind, roles string
		if err := scan(&id, &kind, &roles); err != nil {
			return err
		}
		if kind == Staff || slices.ContainsFunc(rolesOf(roles), func(r string) bool { return r != RoleAdmin && r != RoleMember }) {
			cause = "staff"
		}
		if !found && kind != Staff && (team == "" || team == id) {
			found, l.Team, l.kind, l.roles = true, id, kind, roles
		}
		return nil
	}, l.Person)
	switch {
	case err != nil:
		return "", fmt.Errorf("read teams of a customer: %w", err)
	case l.Person == l.Staff:
		return "self", nil
	case cause == "" && !found:
		return "team", nil
	}
	return cause, nil
}

func (s *Service) commitLook(ctx context.Context, who actor.Actor, out *Looking, box time.Duration, notice *jobs.Job) error {
	parked := secret.RandomText(32)
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		l := &out.Look
		for _, p := range []string{l.Staff, l.Person} {
			if err := lockPerson(ctx, tx, p); err != nil {
				return nil, err
			}
		}
		again := *l
		if cause, err := closedTo(ctx, tx, l.Team, &again); err != nil || cause != "" {
			return nil, errors.Join(err, errStale)
		}
		if err := park(ctx, tx, l.session, l.Staff, parked); err != nil {
			return nil, err
		}
		var open int64
		if err := ledger.One(ctx, tx, openLooks, []any{&open}, l.session); err != nil {
			return nil, err
		}
		if open > 0 {
			return nil, fault.Newf(fault.Conflict, "support_open", "This session looks as a customer already.")
		}
		l.Began, l.Until = tx.Now(), tx.Now().Add(box)
		if _, err := tx.Exec(ctx, insertLook, l.ID, sum(out.Token), l.Staff, l.session, l.Person, l.Team, l.box, l.Ticket, asNumber(l.Asked), us(l.Began), us(l.Until)); err != nil {
			return nil, err
		}
		if notice != nil {
			if err := s.Mail.Enqueue(ctx, tx, *notice); err != nil {
				return nil, err
			}
		}
		return Impersonated{Support: l.ID, Staff: l.Staff, Person: l.Person, Team: l.Team, Ticket: l.Ticket, Until: l.Until, Writes: l.Asked, Asks: s.Rules.Get().LookReason, reason: l.Reason}, nil
	})
	if err != nil {
		return fmt.Errorf("begin a look: %w", err)
	}
	return nil
}

func asNumber(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// park gives the session that waits another token, inside a change: the one in the
// browser dies. The session must be the person's and live.
func park(ctx context.Context, tx *ledger.Tx, session, person string, token secret.Text) error { // clause: use.need-to-see
	change, err := bump(ctx, tx)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, parkSession, session, person, sum(token), change)
	if err == nil && n != 1 {
		err = errEnded()
	}
	return err
}

// AgreeLook lets a look that goes on change things, as was asked. Nobody agrees to their
// own (fault.Denied, support_self).
func (s *Service) AgreeLook(ctx context.Context, who actor.Actor, id string) (Look, error) {
	if err := s.mayLook(ctx, who, access.SupportAgree, id); err != nil {
		return Look{}, err
	}
	l, err := s.oneLook(ctx, `g.id = $1`, id)
	if err != nil {
		return Look{}, err
	}
	if l.Staff == who.ID { // clause: use.need-to-see
		return Look{}, s.refuse(ctx, who, SupportRefused{Cause: "self", Person: l.Person}, fault.New(fault.Denied, "support_self", fault.Public{
			Problem: "Nobody agrees to their own wish.", Expected: "A second person.", Next: "Ask another engineer or owner."}))
	}
	job, err := s.letter(ctx, s.Email(ctx, l.Person), s.agreedLetter(s.Name(ctx, l.Staff), s.Name(ctx, who.ID), l.Ticket, l.ends(s.Rules.Get())))
	if err != nil {
		return Look{}, err
	}
	notify := s.Rules.Get().LookNotify == required
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, agreeLook, id, who.ID, us(tx.Now()))
		if err == nil && n != 1 {
			err = fault.New(fault.Conflict, "support_not_asked", fault.Public{Problem: "There is nothing here to agree to.", Expected: "A look that goes on and asks to change things.", Next: "Look at the list of looks."})
		}
		if err == nil && notify {
			err = s.Mail.Enqueue(ctx, tx, job)
		}
		return SupportAgreed{Support: id, Staff: l.Staff, By: who.ID, Person: l.Person}, err
	})
	if err != nil {
		return Look{}, fmt.Errorf("agree to a look: %w", err)
	}
	l.AgreedBy = who.ID
	return l, nil
}

// EndLook ends a look: one's own, which gives the former session back under a new token,
// or with access.SupportAgree or access.SessionsEnd anybody's.
func (s *Service) EndLook(ctx context.Context, who actor.Actor, id string) (back secret.Text, ends time.Time, err error) {
	if who.Kind == actor.Support && who.Session == id && id != "" {
		return s.leaveLook(ctx, who)
	}
	if err := humanNeeded(who); err != nil {
		return back, ends, err
	}
	if !s.Access.May(who, access.SupportAgree) {
		if err := s.Access.Allow(ctx, who, access.SessionsEnd, "support/"+id); err != nil {
			return back, ends, err
		}
	}
	l, err := s.oneLook(ctx, `g.id = $1`, id)
	if err != nil {
		return back, ends, err
	}
	return back, ends, s.endLook(ctx, who, l, lookByOther)
}

// leaveLook is the end by who looks.
func (s *Service) leaveLook(ctx context.Context, who actor.Actor) (back secret.Text, ends time.Time, err error) {
	l, err := s.oneLook(ctx, `g.id = $1`, who.Session)
	if err != nil {
		return back, ends, err
	}
	back = secret.RandomText(32)
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := closeLook(ctx, tx, l.ID, lookEnded); err != nil {
			return nil, err
		}
		return SupportEnded{Support: l.ID, Person: l.Person, Cause: lookEnded}, park(ctx, tx, l.session, l.Staff, back)
	})
	if err != nil {
		return secret.Text{}, ends, fmt.Errorf("end a look: %w", err)
	}
	if err := s.reread(ctx, l.Staff); err != nil {
		return secret.Text{}, ends, err
	}
	if p, _ := s.table.find(back); p != nil {
		ends = p.ends(s.Rules.Get())
	}
	return back, ends, nil
}

// endLook ends a look together with the session that waits for it: nobody has its token.
func (s *Service) endLook(ctx context.Context, who actor.Actor, l Look, cause string) error {
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := closeLook(ctx, tx, l.ID, cause); err != nil {
			return nil, err
		}
		change, err := bump(ctx, tx)
		if err != nil {
			return nil, err
		}
		n, err := tx.Exec(ctx, endOneSession, l.session, l.Staff, us(tx.Now()), "support-"+cause, change)
		if n > 0 {
			tx.Also(SessionEnded{Person: l.Staff, Session: l.session, Cause: "support-" + cause, Count: 1})
		}
		return SupportEnded{Support: l.ID, Person: l.Person, Cause: cause}, err
	})
	if err != nil {
		return fmt.Errorf("end a look: %w", err)
	}
	s.table.drop(s.Now(), l.session)
	return nil
}

func closeLook(ctx context.Context, tx *ledger.Tx, id, cause string) error {
	n, err := tx.Exec(ctx, endLookRow, id, us(tx.Now()), cause)
	if err == nil && n != 1 {
		err = noLook()
	}
	return err
}

func noLook() error {
	return fault.Newf(fault.NotFound, "no_support", "There is no such look, or it has ended.")
}

// endLooksIn ends what a person looks at, and what others look at as this person, inside
// a change; except is a session whose own look goes on.
func endLooksIn(ctx context.Context, tx *ledger.Tx, person, except, cause string) error {
	return tx.Each(ctx, endLooksOf, func(scan scanner) error {
		e := SupportEnded{Cause: cause}
		if err := scan(&e.Support, &e.Person); err != nil {
			return err
		}
		tx.Also(e)
		return nil
	}, person, except, us(tx.Now()), cause)
}

func (s *Service) lookLetter(by, ticket string, until time.Time) typedLetter {
	return typedLetter{kind: "identity.look", Letter: mail.Letter{
		Title: "Our staff look at your account",
		Lines: []string{fmt.Sprintf("%s of our staff sees the application as you do, for ticket %s, until %s at the latest.", by, ticket, stamp(until)),
			"Your password, factors, tokens and sessions are closed to them. Why they look stands in your account."},
		Link: &mail.Link{Text: "See who looked, and why", URL: s.Origin + atData + "#looks"},
		Foot: []string{"If you know of no such ticket, answer to this company and ask."},
	}}
}

func (s *Service) agreedLetter(by, agreer, ticket string, until time.Time) typedLetter {
	return typedLetter{kind: "identity.look-writes", Letter: mail.Letter{
		Title: "Our staff may change things for you",
		Lines: []string{fmt.Sprintf("%s of our staff, who sees the application as you do for ticket %s, may now change things there too, until %s at the latest. %s agreed to it.", by, ticket, stamp(until), agreer)},
		Link:  &mail.Link{Text: "See who looked, and why", URL: s.Origin + atData + "#looks"},
		Foot:  []string{"If you know of no such ticket, answer to this company and ask."},
	}}
}

const (
	teamsOfCustomer = `SELECT t.id, t.kind, m.roles FROM identity_member m JOIN identity_team t ON t.id = m.team WHERE m.person = $1 ORDER BY m.since, t.id`
	openLooks       = `SELECT COUNT(*) FROM identity_support WHERE session = $1 AND ended IS NULL`
	insertLook      = `INSERT INTO identity_support (id, token, staff, session, person, team, reason, ticket, writes, began, until, agreed_by, agreed, ended, cause)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '', NULL, NULL, '')`
	parkSession = `UPDATE identity_session SET token = $3, change = $4, turned = $4, former = '', former_ends = 0 WHERE id = $1 AND person = $2 AND ended IS NULL`
	agreeLook   = `UPDATE identity_support SET agreed_by = $2, agreed = $3 WHERE id = $1 AND ended IS NULL AND writes = 1 AND agreed IS NULL AND staff <> $2 AND until > $3`
	endLookRow  = `UPDATE identity_support SET ended = $2, cause = $3 WHERE id = $1 AND ended IS NULL`
	endLooksOf  = `UPDATE identity_support SET ended = $3, cause = $4 WHERE ended IS NULL AND (person = $1 OR (staff = $1 AND session <> $2)) RETURNING id, person`
)
