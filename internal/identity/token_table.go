package identity

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// liveToken is a token in memory. The rights in it are its owner's, as they were when
// the row was read: whoever changes a right bumps the row (touchTokens).
type liveToken struct {
	id, person, service, team, owner string
	kind                             TokenKind
	token                            [32]byte
	roles                            []string // what it may be now; none = suspended
	scopes                           []string
	networks                         []netip.Prefix
	issued, expires                  time.Time
	change                           int64
	seen                             atomic.Int64 // the hour, µs
	terms                            int          // the newest version that the person accepted
	teamKind                         string       // staff, customer, canary
}

// tokenTable is the tokens of this process. As with sessions, the rows are the truth.
type tokenTable struct {
	mu     sync.RWMutex
	byHash map[[32]byte]*liveToken
	byID   map[string]*liveToken
	gone   map[string]goneToken // ended ids, so that a slower read cannot bring one back
	change int64                // of the newest row read

	dirtyMu sync.Mutex
	dirty   map[string]*liveToken
}

type goneToken struct {
	change int64
	at     time.Time
}

func (t *tokenTable) init() {
	t.byHash, t.byID = map[[32]byte]*liveToken{}, map[string]*liveToken{}
	t.gone, t.dirty = map[string]goneToken{}, map[string]*liveToken{}
}

// take puts rows in and ended ids out, unless memory knows a newer state of them.
func (t *tokenTable) take(now time.Time, rows []*liveToken, ended map[string]int64, newest int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range rows {
		if g, dead := t.gone[l.id]; dead && g.change >= l.change {
			continue
		}
		if old := t.byID[l.id]; old != nil {
			if old.change > l.change {
				continue
			}
			l.seen.Store(max(l.seen.Load(), old.seen.Load()))
		}
		t.byHash[l.token], t.byID[l.id] = l, l
	}
	for id, change := range ended {
		t.drop(id, change, now)
	}
	if len(t.gone) > maxRemember {
		maps.DeleteFunc(t.gone, func(_ string, g goneToken) bool { return now.Sub(g.at) > 10*time.Minute })
	}
	t.change = max(t.change, newest)
}

// drop takes a token out. The caller holds mu.
func (t *tokenTable) drop(id string, change int64, now time.Time) {
	t.gone[id] = goneToken{max(change, t.gone[id].change), now}
	if l := t.byID[id]; l != nil {
		delete(t.byHash, l.token)
		delete(t.byID, id)
	}
}

// dropOf takes out all tokens that the match names, whatever their rows say.
func (t *tokenTable) dropOf(now time.Time, match func(*liveToken) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, l := range t.byID {
		if match(l) {
			t.drop(id, l.change, now)
		}
	}
}

func (t *tokenTable) find(token secret.Text) *liveToken {
	h := token.Sum()
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byHash[h]
}

func (t *tokenTable) byNumber(id string) *liveToken {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byID[id]
}

// tokenRefused is the one answer to a token that is not good.
func tokenRefused() *fault.Error {
	return fault.New(fault.Unauthenticated, "token_refused", fault.Public{
		Problem:  "The token is not good: unknown, ended, or not for this network.",
		Expected: "Authorization: Bearer with a token that works.",
		Next:     "Look at the list of tokens, and make a new one if it has ended."})
}

// LookupToken says who acts with a token, from memory: a person with Via token, or a
// machine. who is the stranger who brings it, from the address. A token that is not good
// is fault.Unauthenticated, recorded; many from one network are fault.Limited. Wrong
// tokens never stop a right one.
func (s *Service) LookupToken(ctx context.Context, who actor.Actor, token secret.Text, from netip.Addr) (actor.Actor, error) {
	if !s.loaded.Load() {
		return actor.Actor{}, fault.Newf(fault.Unavailable, "starting", "The server is starting.")
	}
	kind, ok := tokenKindOf(token) // clause: auth.best-practice (no look-up for what cannot be one)
	if !ok {
		return actor.Actor{}, s.refuseToken(ctx, who, "malformed", "")
	}
	l := s.tokens.find(token)
	if l == nil || l.kind != kind {
		return actor.Actor{}, s.refuseToken(ctx, who, "unknown", "")
	}
	now := s.Now()
	if cause := l.dead(now, s.Rules.Get(), from); cause != "" { // clause: auth.best-practice
		return actor.Actor{}, s.refuseToken(ctx, who, cause, l.id)
	}
	if l.owesToken(s.Rules.Get()) { // clause: use.terms
		return actor.Actor{}, s.termsFirst(ctx, who, l)
	}
	s.touchToken(l, now)
	return l.actor(), nil
}

// actor is who acts with a token: no session, no factor, so that it satisfies no step-up.
func (l *liveToken) actor() actor.Actor {
	a := actor.Actor{Kind: actor.Machine, ID: l.service, Team: l.team, TeamKind: l.teamKind, Roles: l.roles, Token: l.id, Scopes: l.scopes, Via: "token"}
	if l.kind == PersonalToken {
		a.Kind, a.ID = actor.Person, l.person
	}
	return a
}

// anywhere is an address that a token is good for.
func (l *liveToken) anywhere() netip.Addr {
	if len(l.networks) == 0 {
		return netip.Addr{}
	}
	return l.networks[0].Addr()
}

// dead says why a token does not work; "" when it does. Its life is the smaller of the
// one it was given and what the policy allows now.
func (l *liveToken) dead(now time.Time, r *Rules, from netip.Addr) string {
	switch {
	case !now.Before(l.ends(r)) || tooEarly(now, l.issued):
		return "expired"
	case len(l.roles) == 0:
		return "suspended"
	case len(l.networks) > 0 && !slices.ContainsFunc(l.networks, func(p netip.Prefix) bool { return p.Contains(from) }):
		return "network"
	}
	return ""
}

func (l *liveToken) ends(r *Rules) time.Time {
	if most := l.issued.Add(r.TokenMax); most.Before(l.expires) {
		return most
	}
	return l.expires
}

// refuseToken records and counts a wrong token.
func (s *Service) refuseToken(ctx context.Context, who actor.Actor, cause, id string) error {
	b, err := s.bucket(ctx, wrongTokens, who.ID)
	if err != nil {
		return err
	}
	full, err := s.take(ctx, b)
	if err != nil {
		return err
	}
	if full != nil {
		f := full.fault()
		f.Public.Next = "Wait a while, and look at the token: what was sent until now is not good."
		return s.refuse(ctx, who, SignInsThrottled{Door: "token", Bucket: full.limit, Network: networkOf(who)}, f)
	}
	return s.refuse(ctx, who, TokenRefused{Cause: cause, Token: id, Network: networkOf(who)}, tokenRefused())
}

// touchToken notes the use; the row learns it to the hour.
func (s *Service) touchToken(l *liveToken, now time.Time) {
	if h := us(now.Truncate(time.Hour)); h > l.seen.Load() {
		l.seen.Store(h)
		s.tokens.dirtyMu.Lock()
		s.tokens.dirty[l.id] = l
		s.tokens.dirtyMu.Unlock()
	}
}

// writeTokenUse writes the hours of use.
func (s *Service) writeTokenUse(ctx context.Context) error {
	s.tokens.dirtyMu.Lock()
	dirty := s.tokens.dirty
	s.tokens.dirty = map[string]*liveToken{}
	s.tokens.dirtyMu.Unlock()
	for chunk := range slices.Chunk(slices.Collect(maps.Values(dirty)), 200) {
		err := s.DB.Quiet(ctx, ledger.LastSeen, func(tx *ledger.Tx) error {
			for _, l := range chunk {
				if _, err := tx.Exec(ctx, setTokenSeen, l.id, l.seen.Load()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("write use of tokens: %w", err)
		}
	}
	return nil
}

// readTokens takes in the rows that changed after a counter value, or all that live.
func (s *Service) readTokens(ctx context.Context, after int64, all bool) error {
	newest := after
	if all {
		if err := ledger.One(ctx, s.DB, readCounter, []any{&newest}); err != nil {
			return err
		}
	}
	var rows []*liveToken
	ended := map[string]int64{}
	err := s.DB.Each(ctx, changedTokens, func(scan scanner) error {
		l := &liveToken{}
		var token, scopes, networks, mayBe, state, roles, team string
		var issued, expires, seen, members int64
		var over, serviceOver *int64
		if err := scan(&l.id, &token, &l.kind, &l.person, &l.service, &l.team, &scopes, &networks, &issued, &expires, &seen, &over, &l.change,
			&l.owner, &mayBe, &serviceOver, &state, &roles, &members, &l.terms, &team); err != nil {
			return err
		}
		newest = max(newest, l.change)
		raw, err := hex.DecodeString(token)
		if over != nil || serviceOver != nil || err != nil || len(raw) != 32 {
			ended[l.id] = l.change
			return nil
		}
		l.teamKind = team
		l.token, l.scopes, l.issued, l.expires = [32]byte(raw), strings.Fields(scopes), at(issued), at(expires)
		l.seen.Store(seen)
		if l.networks, err = prefixes(strings.Fields(networks)); err != nil { // unreadable is never "from anywhere"
			l.roles = nil
		} else {
			l.roles = l.rights(state, rolesOf(roles), rolesOf(mayBe), members)
		}
		rows = append(rows, l)
		return nil
	}, after, all)
	if err != nil {
		return err
	}
	if all && s.loaded.Load() {
		newest = 0 // what ended was not among the rows, so they do not tell how far memory has followed
	}
	s.tokens.take(s.Now(), rows, ended, newest)
	return nil
}

// rights are what a token may be now: a person's own roles; a service's as far as its
// owner, or anybody of its team, is there and could give them.
func (l *liveToken) rights(state string, owner, service []string, members int64) []string { // clause: auth.best-practice
	if l.kind == PersonalToken {
		if state != stateActive {
			return nil
		}
		return owner
	}
	if l.owner == "" {
		if members == 0 {
			return nil
		}
		return service
	}
	if state != stateActive {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(service), func(r string) bool { return !covers(owner, r) })
}

// covers reports whether somebody with the roles could give the role to a program.
func covers(have []string, role string) bool {
	switch {
	case slices.Contains(have, role):
		return true
	case role == RoleMember:
		return slices.Contains(have, RoleAdmin)
	}
	return slices.Contains(have, "owner") && slices.Contains(StaffRoles(), role)
}

// followTokens takes in what this and other nodes changed.
func (s *Service) followTokens(ctx context.Context) error {
	s.tokens.mu.RLock()
	have := s.tokens.change
	s.tokens.mu.RUnlock()
	var n int64
	if err := ledger.One(ctx, s.DB, newestToken, []any{&n}); err != nil {
		return fmt.Errorf("read newest token: %w", err)
	}
	if n <= have {
		return nil
	}
	if err := s.readTokens(ctx, have, false); err != nil {
		return fmt.Errorf("read changed tokens: %w", err)
	}
	return nil
}

// recheckTokens reads the rights behind all live tokens again: the net under changes of
// rights that bumped no row.
func (s *Service) recheckTokens(ctx context.Context) error {
	s.tokens.mu.RLock()
	n := len(s.tokens.byID)
	s.tokens.mu.RUnlock()
	if n == 0 {
		return nil
	}
	if err := s.readTokens(ctx, -1, true); err != nil {
		return fmt.Errorf("read rights of tokens: %w", err)
	}
	return nil
}

// tokensChanged makes memory follow a committed change, before it is answered. If the
// rows cannot be read, what might have changed is out.
func (s *Service) tokensChanged(ctx context.Context, might func(*liveToken) bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := s.followTokens(ctx); err != nil {
		s.Log.Error("tokens could not be read after a change; they are refused until they can", "err", err)
		s.tokens.dropOf(s.Now(), might)
	}
}

// tokensOf is tokensChanged for all that a person stands behind.
func (s *Service) tokensOf(ctx context.Context, person string) {
	s.tokensChanged(ctx, func(l *liveToken) bool { return l.person == person || l.owner == person })
}

const (
	changedTokens = `SELECT k.id, k.token, k.kind, k.person, k.service, k.team, k.scopes, k.networks, k.issued, k.expires, k.seen, k.ended, k.change,
		COALESCE(v.owner, ''), COALESCE(v.roles, ''), v.ended, COALESCE(p.state, ''), COALESCE(m.roles, ''),
		(SELECT COUNT(*) FROM identity_member o JOIN identity_person q ON q.id = o.person WHERE o.team = k.team AND q.state = 'active' AND k.kind = 'service' AND v.owner = ''),
		COALESCE((SELECT MAX(a.version) FROM identity_terms a WHERE a.person = k.person), 0), t.kind
		FROM identity_token k JOIN identity_team t ON t.id = k.team LEFT JOIN identity_service v ON v.id = k.service
		LEFT JOIN identity_person p ON p.id = CASE k.kind WHEN 'personal' THEN k.person ELSE v.owner END
		LEFT JOIN identity_member m ON m.team = k.team AND m.person = p.id
		WHERE k.change > $1 AND ($2 = FALSE OR k.ended IS NULL)`
	newestToken  = `SELECT COALESCE(MAX(change), 0) FROM identity_token`
	setTokenSeen = `UPDATE identity_token SET seen = $2 WHERE id = $1 AND seen < $2`
)
