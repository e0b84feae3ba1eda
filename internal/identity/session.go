package identity

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

type scanner = ledger.Scan

// Session is a live session as people see it.
type Session struct {
	ID       string
	Person   string
	Team     string
	Kind     string // of the team: staff, customer, canary
	Roles    []string
	Lent     []string // those of Roles that end by themselves
	ACR      int
	AMR      []string
	Enrol    bool      // may only set up a second factor
	Low      time.Time // until when less counts than is demanded; zero when that is no matter
	Started  time.Time
	Seen     time.Time // to the minute when read from the table
	IdleEnds time.Time
	Ends     time.Time
	Network  string // where it began; only in lists
	Agent    string // the browser's own words; only in lists
	Gained   bool   // has a role that counts only once the token was renewed: see Renew
}

// errEnded is the answer to a token that is no session.
func errEnded() error {
	return fault.New(fault.Unauthenticated, "session_ended", fault.Public{
		Problem: "Nobody is signed in, or the session has ended.", Next: "Sign in and try again."})
}

// tokenLength is that of secret.RandomText(32).
const tokenLength = 43

// Lookup says who acts with a session token, from memory. A token that is unknown,
// ended, idle for too long or too old is fault.Unauthenticated.
func (s *Service) Lookup(ctx context.Context, token secret.Text) (actor.Actor, error) {
	who, _, err := s.Session(ctx, token)
	return who, err
}

// Session is Lookup with what the session is.
func (s *Service) Session(ctx context.Context, token secret.Text) (actor.Actor, Session, error) {
	if !s.loaded.Load() {
		return actor.Actor{}, Session{}, fault.Newf(fault.Unavailable, "starting", "The server is starting.")
	}
	if isLook(token) {
		return s.lookSession(ctx, token)
	}
	if isEmergency(token) {
		return s.emergencySession(ctx, token)
	}
	if token.Len() != tokenLength {
		return actor.Actor{}, Session{}, errEnded()
	}
	l, former, err := s.lookFor(ctx, token)
	if err != nil {
		return actor.Actor{}, Session{}, err
	}
	now, rules := s.Now(), s.Rules.Get()
	if l == nil || former && !now.Before(l.formerEnds) {
		return actor.Actor{}, Session{}, errEnded()
	}
	if !s.stands(ctx, l, now, rules) {
		return actor.Actor{}, Session{}, errEnded()
	}
	s.touch(l, now)
	turned := l.turned
	if former { // what was under way stands for what it stood for
		turned = l.formerTurned
	}
	who, gained := s.actorUnder(l, turned, "https")
	if l.owes(rules) { // clause: use.terms
		who = l.agreeing(who)
	}
	return who, Session{ID: l.id, Person: l.person, Team: l.team, Kind: l.kind, Roles: who.Roles, Lent: who.Lent, ACR: l.acr, AMR: rolesOf(l.amr),
		Enrol: l.level == levelEnrol, Low: l.low, Started: l.started, Seen: now, IdleEnds: now.Add(rules.idle(l.staff)), Ends: l.ends(rules),
		Gained: gained && !former && who.Kind == actor.Person}, nil
}

// stands reports whether a session in memory may be used now.
func (s *Service) stands(ctx context.Context, l *live, now time.Time, rules *Rules) bool {
	if !now.Before(l.ends(rules)) || tooEarly(now, l.started) { // clause: auth.best-practice
		return false
	}
	idle := rules.idle(l.staff)
	if seen := at(l.seen.Load()); now.Sub(seen) >= idle && !s.seenElsewhere(ctx, l, now, idle) { // clause: auth.best-practice
		return false
	}
	return !l.lacks(rules, now) // clause: access.mfa-by-technology
}

// seenElsewhere asks the row, because another node may have served the session.
func (s *Service) seenElsewhere(ctx context.Context, l *live, now time.Time, idle time.Duration) bool {
	if s.DB.Engine() != "postgres" {
		return false
	}
	var seen int64
	if err := ledger.One(ctx, s.DB, seenOf, []any{&seen}, l.id); err != nil {
		return false
	}
	return now.Sub(at(seen)) < idle
}

// touch notes the use of a session; the row learns it to the minute.
func (s *Service) touch(l *live, now time.Time) {
	if n := us(now); n-l.seen.Load() > int64(time.Second/time.Microsecond) {
		l.seen.Store(n)
	}
	if m := us(now.Truncate(time.Minute)); m > l.written.Load() {
		l.written.Store(m)
		s.table.dirtyMu.Lock()
		s.table.dirty[l.id] = l
		s.table.dirtyMu.Unlock()
	}
}

// writeSeen writes the minutes of use.
func (s *Service) writeSeen(ctx context.Context) error {
	s.table.dirtyMu.Lock()
	dirty := s.table.dirty
	s.table.dirty = map[string]*live{}
	s.table.dirtyMu.Unlock()
	for chunk := range slices.Chunk(slices.Collect(maps.Values(dirty)), 200) {
		err := s.DB.Quiet(ctx, ledger.LastSeen, func(tx *ledger.Tx) error {
			for _, l := range chunk {
				if _, err := tx.Exec(ctx, setSeen, l.id, us(at(l.seen.Load()).Truncate(time.Minute))); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, setDeviceSeen, l.device, us(at(l.seen.Load()).Truncate(time.Minute))); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("write last seen: %w", err)
		}
	}
	return nil
}

// where is the sealed place of a session.
type where struct {
	Network string `json:"network"`
	Agent   string `json:"agent"`
}

func (s *Service) sealPlace(ctx context.Context, person, session, network, agent string) ([]byte, error) {
	b, err := json.Marshal(where{network, cut(agent, 200)})
	if err != nil {
		return nil, fmt.Errorf("encode place: %w", err)
	}
	return s.seal(ctx, keyring.Person(person), "identity_session.place", session, b)
}

func cut(s string, n int) string {
	r := []rune(s)
	return string(r[:min(len(r), n)])
}

// bump raises the counter that other nodes watch, and holds it until the commit, so
// that its values become visible in order.
func bump(ctx context.Context, tx *ledger.Tx) (int64, error) {
	var n int64
	err := ledger.One(ctx, tx, raiseCounter, []any{&n})
	return n, err
}

// endSessionsIn ends a person's sessions inside a change, except one, and returns their ids.
func endSessionsIn(ctx context.Context, tx *ledger.Tx, person, except, cause string) ([]string, error) {
	change, err := bump(ctx, tx)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, endFamiliesOf, person, except, us(tx.Now()), cause); err != nil { // tokens of applications, offline ones too
		return nil, err
	}
	var ids []string
	err = tx.Each(ctx, endSessionsOf, func(scan scanner) error {
		var id string
		if err := scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
		return nil
	}, person, except, us(tx.Now()), cause, change)
	if err != nil {
		return nil, err
	}
	if _, err = tx.Exec(ctx, endFlowsOf, person, us(tx.Now()), cause); err != nil { // what was begun before ends with them
		return nil, err
	}
	return ids, endLooksIn(ctx, tx, person, except, cause)
}

// SignOut ends the session the actor acts in.
func (s *Service) SignOut(ctx context.Context, who actor.Actor) error {
	if who.Session == "" {
		return nil
	}
	if who.Kind == actor.BreakGlass {
		return s.endEmergency(ctx, who)
	}
	if who.Kind == actor.Support {
		l, err := s.oneLook(ctx, `g.id = $1`, who.Session)
		if err != nil {
			return err
		}
		return s.endLook(ctx, who, l, lookSignedOut)
	}
	return s.end(ctx, who, who.ID, who.Session, "signed-out")
}

// EndSession ends one session: one's own, or with access.SessionsEnd anybody's. Another
// session of one's own needs a fresh proof: who found a browser open does not drive its
// owner out. fault.NotFound when the person has no such live session.
func (s *Service) EndSession(ctx context.Context, who actor.Actor, person, session string) error {
	if err := s.mayEnd(ctx, who, person, session); err != nil {
		return err
	}
	cause := "ended-by-person"
	if who.ID != person {
		cause = "ended-by-other"
	}
	return s.end(ctx, who, person, session, cause)
}

// mayEnd allows the end of sessions; session is "" for all of them.
func (s *Service) mayEnd(ctx context.Context, who actor.Actor, person, session string) error {
	if err := s.own(ctx, who, person, access.SessionsEnd); err != nil {
		return err
	}
	if who.ID != person || who.Session != "" && who.Session == session {
		return nil
	}
	return s.fresh(ctx, who) // clause: auth.best-practice
}

// own allows acts on oneself, and asks access for those on others.
func (s *Service) own(ctx context.Context, who actor.Actor, person string, a access.Action) error {
	if who.Kind == actor.Person && who.ID == person && person != "" && !who.ByToken() {
		return nil
	}
	return s.Access.Allow(ctx, who, a, "person/"+person)
}

func (s *Service) end(ctx context.Context, who actor.Actor, person, session, cause string) error {
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		change, err := bump(ctx, tx)
		if err != nil {
			return nil, err
		}
		n, err := tx.Exec(ctx, endOneSession, session, person, us(tx.Now()), cause, change)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fault.Newf(fault.NotFound, "no_session", "There is no such session, or it has ended.")
		}
		return SessionEnded{Person: person, Session: session, Cause: cause, Count: 1}, nil
	})
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	s.table.drop(s.Now(), session)
	return nil
}

// EndSessions ends all sessions of a person, also the one the actor acts in, and says how
// many. Of oneself it needs a fresh proof.
func (s *Service) EndSessions(ctx context.Context, who actor.Actor, person string) (int64, error) {
	if err := s.mayEnd(ctx, who, person, ""); err != nil {
		return 0, err
	}
	var ids []string
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		var err error
		if ids, err = endSessionsIn(ctx, tx, person, "", "ended-all"); err != nil {
			return nil, err
		}
		return SessionEnded{Person: person, Cause: "ended-all", Count: int64(len(ids))}, nil
	})
	if err != nil {
		return 0, fmt.Errorf("end sessions: %w", err)
	}
	s.table.drop(s.Now(), ids...)
	return int64(len(ids)), nil
}

// Sessions lists the live sessions of a person, newest first: one's own, or with
// access.PeopleRead anybody's.
func (s *Service) Sessions(ctx context.Context, who actor.Actor, person string) ([]Session, error) {
	if err := s.own(ctx, who, person, access.PeopleRead); err != nil {
		return nil, err
	}
	var out []Session
	var places [][]byte
	err := s.DB.Each(ctx, sessionsOf, func(scan scanner) error {
		var x Session
		var amr, roles string
		var started, seen int64
		var box []byte
		if err := scan(&x.ID, &x.Person, &x.Team, &x.Kind, &roles, &x.ACR, &amr, &started, &seen, &box); err != nil {
			return err
		}
		x.Roles, x.AMR, x.Started, x.Seen = rolesOf(roles), rolesOf(amr), at(started), at(seen)
		out, places = append(out, x), append(places, box)
		return nil
	}, person)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	now, rules := s.Now(), s.Rules.Get()
	lives := out[:0]
	for i, x := range out {
		staff := x.Kind == Staff
		s.table.mu.RLock()
		if l := s.table.byID[x.ID]; l != nil {
			x.Seen = at(max(l.seen.Load(), us(x.Seen)))
		}
		s.table.mu.RUnlock()
		x.IdleEnds, x.Ends = x.Seen.Add(rules.idle(staff)), x.Started.Add(rules.absolute(staff))
		if !now.Before(x.IdleEnds) || !now.Before(x.Ends) {
			continue
		}
		if b, err := s.open(ctx, "identity_session.place", x.ID, places[i]); err == nil {
			var w where
			if json.Unmarshal(b.Reveal(), &w) == nil {
				x.Network, x.Agent = w.Network, w.Agent
			}
		}
		lives = append(lives, x)
	}
	return lives, nil
}

// readSessions takes in the rows that changed after a counter value, or all that live.
func (s *Service) readSessions(ctx context.Context, after int64, all bool) error {
	newest := after
	if all {
		if err := ledger.One(ctx, s.DB, readCounter, []any{&newest}); err != nil {
			return err
		}
	}
	query, arg := changedSessions, after
	if all {
		query, arg = newestSessions, int64(s.table.limit)+1
	}
	seen, err := s.takeIn(ctx, query, arg)
	if err != nil {
		return err
	}
	s.table.mu.Lock()
	s.table.change = max(s.table.change, newest, seen)
	s.table.mu.Unlock()
	return nil
}

// sessionsRead are rows of sessions as memory holds them.
type sessionsRead struct {
	lives  []*live
	ended  []string
	newest int64 // change among them
}

// takeIn reads session rows into memory and returns the newest change among them.
func (s *Service) takeIn(ctx context.Context, query string, args ...any) (newest int64, err error) {
	rows, err := s.rowsOf(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	for _, l := range rows.lives {
		s.table.put(l)
	}
	s.table.drop(s.Now(), rows.ended...)
	return rows.newest, nil
}

func (s *Service) rowsOf(ctx context.Context, query string, args ...any) (r sessionsRead, err error) {
	err = s.DB.Each(ctx, query, func(scan scanner) error {
		l := &live{}
		var token, roles, state, former string
		var started, factor, seen, change, low, formerEnds int64
		var ended *int64
		if err := scan(&l.id, &token, &l.person, &l.team, &l.kind, &roles, &state, &l.device, &l.acr, &l.amr, &started, &factor, &seen, &ended, &change, &l.level, &low, &l.lowACR, &l.demand, &l.terms, &l.turned, &former, &l.formerTurned, &formerEnds); err != nil {
			return err
		}
		r.newest = max(r.newest, change)
		raw, err := hex.DecodeString(token)
		if ended != nil || state != stateActive || roles == "" || err != nil || len(raw) != 32 {
			r.ended = append(r.ended, l.id)
			return nil
		}
		l.token, l.roles, l.staff = [32]byte(raw), rolesOf(roles), l.kind == Staff
		l.started, l.factorAt = at(started), at(factor)
		if low > 0 {
			l.low = at(low)
		}
		if raw, err := hex.DecodeString(former); err == nil && len(raw) == 32 {
			l.former, l.formerEnds = [32]byte(raw), at(formerEnds)
		}
		l.seen.Store(seen)
		l.written.Store(seen)
		r.lives = append(r.lives, l)
		return nil
	}, args...)
	return r, err
}

// follow takes in what other nodes changed.
func (s *Service) follow(ctx context.Context) error {
	var n int64
	if err := ledger.One(ctx, s.DB, readCounter, []any{&n}); err != nil {
		return fmt.Errorf("read session counter: %w", err)
	}
	s.table.mu.RLock()
	have := s.table.change
	s.table.mu.RUnlock()
	if n <= have {
		return nil
	}
	if err := s.readSessions(ctx, have, false); err != nil {
		return fmt.Errorf("read changed sessions: %w", err)
	}
	return s.readLoans(ctx)
}

// endExpired ends the rows of sessions whose time is over; Lookup refuses them already.
func (s *Service) endExpired(ctx context.Context) error {
	now, rules := s.Now(), s.Rules.Get()
	type old struct{ id, person, cause string }
	var olds []old
	err := s.DB.Each(ctx, expiredSessions, func(scan scanner) error {
		var o old
		var started int64
		var staff bool
		if err := scan(&o.id, &o.person, &started, &staff); err != nil {
			return err
		}
		o.cause = "idle"
		if !now.Before(at(started).Add(rules.absolute(staff))) {
			o.cause = "absolute"
		}
		olds = append(olds, o)
		return nil
	}, us(now.Add(-rules.StaffIdle-time.Minute)), us(now.Add(-rules.StaffAbsolute)), us(now.Add(-rules.CustomerIdle-time.Minute)), us(now.Add(-rules.CustomerAbsolute)))
	if err != nil {
		return fmt.Errorf("find expired sessions: %w", err)
	}
	for _, o := range olds {
		if err := s.end(ctx, actor.System("identity-sessions"), o.person, o.id, o.cause); err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

// demandOn is the strictest demand of the teams of a member m.
const demandOn = `(SELECT MAX(o.need) FROM identity_member om JOIN identity_team o ON o.id = om.team WHERE om.person = m.person)`

const (
	homeOf = `SELECT t.id, t.kind, m.roles, ` + demandOn + ` FROM identity_member m JOIN identity_team t ON t.id = m.team
		WHERE m.person = $1 AND ($2 = '' OR t.id = $2) ORDER BY CASE t.kind WHEN 'staff' THEN 0 ELSE 1 END, m.since, t.id LIMIT 1`
	endOneSession = `UPDATE identity_session SET ended = $3, cause = $4, change = $5 WHERE id = $1 AND person = $2 AND ended IS NULL`
	endSessionsOf = `UPDATE identity_session SET ended = $3, cause = $4, change = $5
		WHERE person = $1 AND id <> $2 AND ended IS NULL RETURNING id`
	endFamiliesOf = `UPDATE identity_oidc_family SET ended = $3, cause = $4 WHERE person = $1 AND session <> $2 AND ended IS NULL`
	sessionsOf    = `SELECT s.id, s.person, s.team, t.kind, m.roles, s.acr, s.amr, s.started, s.seen, s.place FROM identity_session s
		JOIN identity_team t ON t.id = s.team JOIN identity_member m ON m.team = s.team AND m.person = s.person
		WHERE s.person = $1 AND s.ended IS NULL ORDER BY s.started DESC, s.id DESC LIMIT 500`
	sessionRows = `SELECT s.id, s.token, s.person, s.team, t.kind, COALESCE(m.roles, ''), p.state, s.device, s.acr, s.amr, s.started, s.factor_at, s.seen, s.ended, s.change, s.level, s.low, s.low_acr,
		COALESCE((SELECT MAX(o.need) FROM identity_member om JOIN identity_team o ON o.id = om.team WHERE om.person = s.person), 1),
		COALESCE((SELECT MAX(a.version) FROM identity_terms a WHERE a.person = s.person), 0), s.turned, s.former, s.former_turned, s.former_ends
		FROM identity_session s JOIN identity_team t ON t.id = s.team JOIN identity_person p ON p.id = s.person
		LEFT JOIN identity_member m ON m.team = s.team AND m.person = s.person`
	changedSessions = sessionRows + ` WHERE s.change > $1`
	expiredSessions = `SELECT s.id, s.person, s.started, t.kind = 'staff' FROM identity_session s JOIN identity_team t ON t.id = s.team
		WHERE s.ended IS NULL AND ((t.kind = 'staff' AND (s.seen < $1 OR s.started <= $2)) OR (t.kind <> 'staff' AND (s.seen < $3 OR s.started <= $4))) LIMIT 500`
	seenOf        = `SELECT seen FROM identity_session WHERE id = $1 AND ended IS NULL`
	setSeen       = `UPDATE identity_session SET seen = $2 WHERE id = $1 AND seen < $2`
	setDeviceSeen = `UPDATE identity_device SET seen = $2 WHERE id = $1 AND seen < $2`
	raiseCounter  = `UPDATE identity_counter SET n = n + 1 WHERE one = 1 RETURNING n`
	readCounter   = `SELECT n FROM identity_counter WHERE one = 1`
)
