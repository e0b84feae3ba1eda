package glass

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Use is an opening or a drill.
type Use struct {
	ID      string
	Code    string
	Drill   bool
	Asked   time.Time
	AskedBy string // a name
	Reason  string
	Until   time.Time // of the gathering, then of the hand-over
	Granted time.Time
	Entered time.Time
	Ends    time.Time
	Ended   time.Time
	Cause   string
	Given   int // holders who gave their share

	set, team, kind, askedBy string
	need                     int
	reason                   []byte
}

// gathers reports whether shares may still be given.
func (u *Use) gathers(now time.Time) bool {
	return u.Granted.IsZero() && u.Ended.IsZero() && now.Before(u.Until)
}

// Lives reports whether its session may act now.
func (u *Use) Lives(now time.Time) bool {
	return !u.Entered.IsZero() && u.Ended.IsZero() && now.Before(u.Ends) && !now.Before(u.Entered.Add(-clockSlack))
}

// cap shortens the session to what the policy now allows.
func (u *Use) cap(r *Rules) { // clause: access.least-privilege
	if most := u.Entered.Add(min(r.Emergency, mostSession)); !u.Entered.IsZero() && most.Before(u.Ends) {
		u.Ends = most
	}
}

// Entered is a session that has begun, and its cookie.
type Entered struct {
	Use   string
	Token secret.Text
	Ends  time.Time
}

// Enter opens the session that enough holders have granted, once, within five minutes.
// Whoever brings the hand-over gets it. Anything else is fault.Gone, link_dead.
func (s *Service) Enter(ctx context.Context, who actor.Actor, enter secret.Text, network string) (Entered, error) {
	found, err := s.uses(ctx, `u.token = $1 AND u.granted IS NOT NULL AND u.entered IS NULL AND u.ended IS NULL`, sum(enter))
	if err != nil {
		return Entered{}, err
	}
	if len(found) != 1 || enter.IsZero() {
		return Entered{}, s.dead(ctx, who, network, "")
	}
	out := Entered{Use: found[0].ID, Token: secret.NewText(identity.EmergencyMark + secret.RandomText(32).Reveal())}
	life := min(s.Rules.Get().Emergency, mostSession)
	_, err = s.DB.Change(ctx, actor.Actor{Kind: actor.BreakGlass, ID: out.Use, Session: out.Use, Via: who.Via}, func(tx *ledger.Tx) (ledger.Event, error) {
		out.Ends = tx.Now().Add(life)
		n, err := tx.Exec(ctx, enterUse, sum(enter), sum(out.Token), us(tx.Now()), us(out.Ends))
		if err == nil && n != 1 {
			err = errStale
		}
		return Used{Use: out.Use, Ends: out.Ends, Network: network}, err
	})
	if errors.Is(err, errStale) {
		return Entered{}, s.dead(ctx, who, network, out.Use)
	}
	if err != nil {
		return Entered{}, fmt.Errorf("enter: %w", err)
	}
	return out, nil
}

func (s *Service) dead(ctx context.Context, who actor.Actor, network, use string) error {
	return s.refused(ctx, who, ShareRefused{Cause: "hand-over", Use: use, Network: network}, fault.New(fault.Gone, "link_dead", fault.Public{
		Problem: "This way in does not work, or no longer.", Expected: "It works once, within five minutes of the last share.", Next: "Give the shares again."}))
}

func errEnded() error {
	return fault.New(fault.Unauthenticated, "session_ended", fault.Public{Problem: "Nobody is signed in, or the session has ended.", Next: "Sign in and try again."})
}

// Session implements identity.Emergency. The row is the truth at each request: such
// sessions are few, and what ends one takes effect at once, on every node.
func (s *Service) Session(ctx context.Context, token secret.Text) (actor.Actor, identity.Session, error) {
	found, err := s.uses(ctx, `u.token = $1 AND u.entered IS NOT NULL AND u.ended IS NULL`, sum(token))
	if err != nil {
		return actor.Actor{}, identity.Session{}, err
	}
	now := s.Now()
	if len(found) != 1 || !found[0].Lives(now) { // clause: access.least-privilege
		return actor.Actor{}, identity.Session{}, errEnded()
	}
	u := found[0]
	roles := []string{"owner"}
	return actor.Actor{Kind: actor.BreakGlass, ID: u.ID, Team: u.team, TeamKind: u.kind, Roles: roles, Lent: roles, Session: u.ID, FactorAt: u.Entered, Via: "https"},
		identity.Session{ID: u.ID, Team: u.team, Kind: u.kind, Roles: roles, Lent: roles, Started: u.Entered, Seen: now, IdleEnds: u.Ends, Ends: u.Ends}, nil
}

// End implements identity.Emergency.
func (s *Service) End(ctx context.Context, who actor.Actor) error {
	if who.Kind != actor.BreakGlass {
		return errEnded()
	}
	return s.endOne(ctx, who, who.Session, "ended")
}

// EndUse ends the session of an opening, or the gathering for it, for who may end sessions.
func (s *Service) EndUse(ctx context.Context, who actor.Actor, id string) error {
	if err := s.Access.Allow(ctx, who, access.SessionsEnd, thing(id)); err != nil {
		return err
	}
	return s.endOne(ctx, who, id, "ended-by-owner")
}

func (s *Service) endOne(ctx context.Context, who actor.Actor, id, cause string) error {
	found, err := s.uses(ctx, `u.id = $1 AND u.ended IS NULL`, id)
	if err == nil && len(found) != 1 {
		err = fault.Newf(fault.NotFound, "no_session", "There is no such session, or it has ended.")
	}
	if err != nil {
		return err
	}
	return s.end(ctx, who, found[0], cause)
}

// end is the one way in which an opening or drill ends without its shares. The set was
// typed in when there was a session, so a new one is wanted then.
func (s *Service) end(ctx context.Context, who actor.Actor, u Use, cause string) error {
	var letters []jobs.Job
	if !u.Drill {
		var err error
		if letters, err = s.ownerLetters(ctx, u.team, s.endedLetter(u, cause)); err != nil {
			return err
		}
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, endUse, u.ID, us(tx.Now()), cause)
		if err != nil {
			return nil, err
		}
		if n != 1 {
			return nil, fault.Newf(fault.NotFound, "no_session", "There is no such session, or it has ended.")
		}
		if _, err := tx.Exec(ctx, clearGiven, u.ID); err != nil {
			return nil, err
		}
		ev := Ended{Use: u.ID, Cause: cause, Letters: int64(len(letters))}
		if !u.Entered.IsZero() {
			ev.Lasted = tx.Now().Sub(u.Entered)
			if _, err := tx.Exec(ctx, wearSet, u.set, "used"); err != nil {
				return nil, err
			}
		}
		return ev, s.enqueue(ctx, tx, letters)
	})
	if err != nil {
		return fmt.Errorf("end break-glass: %w", err)
	}
	return nil
}

// uses reads openings and drills.
func (s *Service) uses(ctx context.Context, where string, args ...any) ([]Use, error) {
	rules := s.Rules.Get()
	var out []Use
	err := s.DB.Each(ctx, usesBy+where, func(scan ledger.Scan) error {
		var u Use
		var kind string
		var asked, until int64
		var granted, entered, ends, ended *int64
		err := scan(&u.ID, &u.set, &kind, &u.Code, &u.askedBy, &u.reason, &asked, &until, &granted, &entered, &ends, &ended, &u.Cause, &u.team, &u.need, &u.kind, &u.Given)
		u.Drill, u.Asked, u.Until, u.Granted, u.Entered, u.Ends, u.Ended = kind == drill, at(asked), at(until), when(granted), when(entered), when(ends), when(ended)
		u.cap(rules)
		out = append(out, u)
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read openings: %w", err)
	}
	return out, nil
}

const (
	usesBy = `SELECT u.id, u.set_id, u.kind, u.code, u.asked_by, u.reason, u.asked, u.until, u.granted, u.entered, u.ends, u.ended, u.cause, s.team, s.need, t.kind,
		(SELECT COUNT(*) FROM identity_glass_given g WHERE g.use_id = u.id) FROM identity_glass_use u JOIN identity_glass_set s ON s.id = u.set_id
		JOIN identity_team t ON t.id = s.team WHERE `
	enterUse = `UPDATE identity_glass_use SET token = $2, entered = $3, ends = $4 WHERE token = $1 AND granted IS NOT NULL AND entered IS NULL AND ended IS NULL AND until > $3`
	endUse   = `UPDATE identity_glass_use SET ended = $2, cause = $3 WHERE id = $1 AND ended IS NULL`
	wearSet  = `UPDATE identity_glass_set SET renew = $2 WHERE id = $1 AND renew = '' AND state = 'live'`
)
