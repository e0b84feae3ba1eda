package identity

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// The bounds of what a token may carry.
const (
	maxTokens   = 100 // live ones of one person or service
	maxScopes   = 32
	maxNetworks = 16
)

// wrongTokens are refused tokens of a network.
var wrongTokens = limit{name: "token-network", max: 60, window: 15 * time.Minute}

// Token is a token as people see it; its text was shown once and is nowhere.
type Token struct {
	ID          string
	Kind        TokenKind
	Name        string
	Person      string // of a personal token
	Service     string // of a service's
	ServiceName string
	Team        string
	Scopes      []string
	Networks    []string
	Issuer      string // kind/id
	Issued      time.Time
	Expires     time.Time
	Seen        time.Time // the hour of the last use; zero = never
	Suspended   bool      // nobody stands behind it now
}

// NewToken is the wish for a token.
type NewToken struct {
	Name     string
	Scopes   []string
	Life     time.Duration // 0 = the policy's default
	Networks []string      // addresses or prefixes; none = from anywhere
	Service  string        // id or name of a service; empty = for the person who asks
	Network  string        // of the asker, for the letter
	Agent    string
}

// IssuedToken is a new token. This is the only time its text is there.
type IssuedToken struct {
	Token
	Text secret.Text
}

var (
	goodScope = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}([.:][a-z0-9][a-z0-9-]{0,40}){1,3}$`)
	goodSlug  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,61}[a-z0-9]$`)
)

// humanNeeded refuses programs, and sessions that are none, acts on tokens.
func humanNeeded(who actor.Actor) error {
	if who.Kind == actor.Person && who.Session != "" && !who.ByToken() { // clause: auth.best-practice
		return nil
	}
	return fault.New(fault.Denied, "person_needed", fault.Public{Problem: "Only a person who is signed in may do this.", Next: "Sign in with an address and a password."})
}

// IssueToken makes a token for the person who is signed in, or for a service they may
// manage. The owner is told by mail.
func (s *Service) IssueToken(ctx context.Context, who actor.Actor, in NewToken) (IssuedToken, error) {
	t, ps, err := s.tokenForm(in)
	if err != nil {
		return IssuedToken{}, err
	}
	if err := s.fresh(ctx, who); err != nil { // clause: auth.best-practice
		return IssuedToken{}, err
	}
	owner := keyring.Class(teamClass)
	to := []string{who.ID}
	if in.Service != "" {
		v, err := s.managedService(ctx, who, in.Service)
		if err != nil {
			return IssuedToken{}, err
		}
		t.Kind, t.Service, t.ServiceName, t.Team = ServiceToken, v.ID, v.Name, v.Team
		if to, err = s.standBehind(ctx, v); err != nil {
			return IssuedToken{}, err
		}
	} else {
		if err := humanNeeded(who); err != nil {
			return IssuedToken{}, s.refuse(ctx, who, TokenRefused{Cause: "person-needed"}, err)
		}
		t.Kind, t.Person, t.Team = PersonalToken, who.ID, who.Team
		owner = keyring.Person(who.ID)
	}
	t.ID, t.Issuer = s.DB.ID(), who.String()
	name, err := s.seal(ctx, owner, "identity_token.name", t.ID, []byte(t.Name))
	if err != nil {
		return IssuedToken{}, err
	}
	letters, err := s.tokenLetters(ctx, to, t, s.asked(in.Network, in.Agent))
	if err != nil {
		return IssuedToken{}, err
	}
	out := IssuedToken{Token: t, Text: newToken(t.Kind)}
	err = s.commitToken(ctx, who, &out, name, ps, letters)
	return out, err
}

func (s *Service) commitToken(ctx context.Context, who actor.Actor, out *IssuedToken, name []byte, ps []netip.Prefix, letters []jobs.Job) error {
	t := &out.Token
	life := t.Expires.Sub(t.Issued)
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		t.Issued, t.Expires = tx.Now(), tx.Now().Add(life)
		if t.Kind == PersonalToken {
			if err := lockPerson(ctx, tx, t.Person); err != nil {
				return nil, err
			}
		}
		change, err := bump(ctx, tx) // one at a time, so that the count holds
		if err != nil {
			return nil, err
		}
		var n int64
		if err := ledger.One(ctx, tx, liveTokensOf, []any{&n}, t.Person, t.Service, us(tx.Now())); err != nil {
			return nil, err
		}
		if n >= maxTokens {
			return nil, fault.Newf(fault.Conflict, "too_many_tokens", "There are %d live tokens already; end some of them first.", n)
		}
		if _, err := tx.Exec(ctx, insertToken, t.ID, sum(out.Text), string(t.Kind), t.Person, t.Service, t.Team, name, strings.Join(t.Scopes, " "), // clause: auth.no-cleartext
			joinPrefixes(ps), t.Issuer, us(t.Issued), us(t.Expires), change); err != nil {
			return nil, err
		}
		for _, j := range letters {
			if err := s.Mail.Enqueue(ctx, tx, j); err != nil {
				return nil, err
			}
		}
		return TokenIssued{Token: t.ID, Kind: string(t.Kind), Person: t.Person, Service: t.Service, Scopes: t.Scopes, Until: t.Expires, Networks: t.Networks}, nil
	})
	if err != nil {
		return fmt.Errorf("issue token: %w", err)
	}
	s.tokensChanged(ctx, func(l *liveToken) bool { return l.id == t.ID })
	return nil
}

// tokenForm checks the wish. Issued and Expires of the answer hold the life alone.
func (s *Service) tokenForm(in NewToken) (Token, []netip.Prefix, error) {
	r := s.Rules.Get()
	var fields []fault.Field
	bad := func(name, code, format string, a ...any) {
		fields = append(fields, fault.Field{Name: name, Code: code, Problem: fmt.Sprintf(format, a...)})
	}
	name, ok := cleanName(in.Name)
	if !ok || name == "" {
		bad("name", "name_invalid", "A token needs a name of 1 to 100 characters, so that you know it again.")
	}
	scopes := slices.Compact(slices.Sorted(slices.Values(in.Scopes)))
	if len(scopes) == 0 || len(scopes) > maxScopes {
		bad("scopes", "scopes_invalid", "A token needs 1 to %d scopes.", maxScopes)
	}
	for _, sc := range scopes {
		if why := badScope(sc); why != "" {
			bad("scopes", "scopes_invalid", "%s", why)
		}
	}
	life := in.Life
	if life == 0 {
		life = r.TokenDefault
	}
	if life < time.Hour || life > r.TokenMax { // clause: auth.best-practice
		bad("days", "life_invalid", "A token lives between one hour and %s.", spell(r.TokenMax))
	}
	ps, err := prefixes(in.Networks)
	if err != nil || len(ps) > maxNetworks {
		bad("networks", "networks_invalid", "Networks are up to %d addresses or prefixes such as 203.0.113.0/24.", maxNetworks)
	}
	if len(fields) > 0 {
		return Token{}, nil, fault.New(fault.Invalid, fields[0].Code, fault.Public{Problem: fields[0].Problem, Next: "Correct this and try again.", Fields: fields})
	}
	t := Token{Name: name, Scopes: scopes, Expires: time.Time{}.Add(life)}
	for _, p := range ps {
		t.Networks = append(t.Networks, p.String())
	}
	return t, ps, nil
}

// badScope says why a scope cannot be one. With a dot it is one of this server's
// actions, and only those that a token may ever do; with a colon it is the application's.
func badScope(sc string) string {
	short := cut(sc, 64)
	switch {
	case strings.HasPrefix(sc, "scim:"): // clause: auth.best-practice (a connection alone gives it)
		return fmt.Sprintf("%q is the scope of a directory's connection; connect the directory instead.", short)
	case len(sc) > 64 || !goodScope.MatchString(sc):
		return fmt.Sprintf("%q is no scope: expected words such as orders:read or policy.read.", short)
	case strings.Contains(sc, ".") && !slices.Contains(access.ByToken(), access.Action(sc)):
		return fmt.Sprintf("%q is nothing that a token may do here.", short)
	}
	return ""
}

// prefixes reads addresses and prefixes.
func prefixes(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, t := range texts {
		p, err := netip.ParsePrefix(t)
		if err != nil {
			a, aerr := netip.ParseAddr(t)
			if aerr != nil || a.Zone() != "" {
				return nil, fmt.Errorf("network %q: %w", cut(t, 64), err)
			}
			a = a.Unmap()
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

func joinPrefixes(ps []netip.Prefix) string {
	words := make([]string, len(ps))
	for i, p := range ps {
		words[i] = p.String()
	}
	return strings.Join(words, " ")
}

func noToken() error {
	return fault.Newf(fault.NotFound, "no_token", "There is no such token, or it has ended.")
}

// RevokeToken ends a token at once: one's own, that of a service one manages, or with
// access.TokensManage anybody's.
func (s *Service) RevokeToken(ctx context.Context, who actor.Actor, id string) error {
	var t Token
	err := ledger.One(ctx, s.DB, tokenOwner, []any{&t.Person, &t.Service, &t.Team}, id)
	if errors.Is(err, fault.NotFound) {
		return noToken()
	}
	if err != nil {
		return fmt.Errorf("find token: %w", err)
	}
	cause := "revoked"
	switch {
	case t.Person != "" && who.ID == t.Person && humanNeeded(who) == nil:
	case t.Service != "" && s.mayManage(who, t.Team):
	default:
		if err := s.Access.Allow(ctx, who, access.TokensManage, "token/"+id); err != nil {
			return err
		}
		cause = "revoked-by-other"
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		change, err := bump(ctx, tx)
		if err != nil {
			return nil, err
		}
		n, err := tx.Exec(ctx, endToken, id, us(tx.Now()), cause, change)
		if err == nil && n == 0 {
			err = noToken()
		}
		return TokenRevoked{Token: id, Person: t.Person, Service: t.Service, Cause: cause}, err
	})
	if err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	s.tokensChanged(ctx, func(l *liveToken) bool { return l.id == id })
	return nil
}

// endTokensIn ends a person's tokens inside a change. Those of services that the person
// owns end too where it is the person's proof that is in doubt (all), else they are
// suspended with their owner. Call tokensOf after the commit.
func endTokensIn(ctx context.Context, tx *ledger.Tx, person, cause string, all bool) (int64, error) {
	change, err := bump(ctx, tx)
	if err != nil {
		return 0, err
	}
	n, err := tx.Exec(ctx, endTokensOf, person, us(tx.Now()), cause, change)
	if err != nil {
		return 0, err
	}
	if all {
		more, err := tx.Exec(ctx, endServiceTokensOf, person, change, us(tx.Now()), cause)
		if err != nil {
			return 0, err
		}
		n += more
	}
	if err := touchTokens(ctx, tx, person); err != nil {
		return 0, err
	}
	if n > 0 {
		tx.Also(TokensEnded{Person: person, Cause: cause, Count: n})
	}
	return n, nil
}

// touchTokens makes every node read the rights behind a person's tokens again, inside a
// change that gives or takes a right. Call tokensOf after the commit.
func touchTokens(ctx context.Context, tx *ledger.Tx, person string) error {
	change, err := bump(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, touchTokensOf, person, change)
	return err
}

// Tokens lists a person's live tokens, newest first: one's own, or with
// access.TokensRead anybody's.
func (s *Service) Tokens(ctx context.Context, who actor.Actor, person string) ([]Token, error) {
	if err := s.own(ctx, who, person, access.TokensRead); err != nil {
		return nil, err
	}
	return s.listTokens(ctx, tokensBy+` AND k.person = $2 ORDER BY k.issued DESC, k.id DESC LIMIT 500`, person)
}

// AllTokens lists all live tokens but those of controls, newest first, at most 500.
func (s *Service) AllTokens(ctx context.Context, who actor.Actor) ([]Token, error) {
	if err := s.Access.Allow(ctx, who, access.TokensRead, ""); err != nil {
		return nil, err
	}
	return s.listTokens(ctx, tokensBy+` AND k.person NOT LIKE $2 ORDER BY k.issued DESC, k.id DESC LIMIT 500`, fixedCanary+"%")
}

func (s *Service) listTokens(ctx context.Context, query string, args ...any) ([]Token, error) {
	var out []Token
	var names [][]byte
	now := s.Now()
	err := s.DB.Each(ctx, query, func(scan scanner) error {
		var t Token
		var scopes, networks string
		var issued, expires, seen int64
		var name []byte
		if err := scan(&t.ID, &t.Kind, &t.Person, &t.Service, &t.ServiceName, &t.Team, &name, &scopes, &networks, &t.Issuer, &issued, &expires, &seen); err != nil {
			return err
		}
		t.Scopes, t.Networks, t.Issued, t.Expires = strings.Fields(scopes), strings.Fields(networks), at(issued), at(expires)
		if seen > 0 {
			t.Seen = at(seen)
		}
		out, names = append(out, t), append(names, name)
		return nil
	}, append([]any{us(now)}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	rules := s.Rules.Get()
	for i := range out {
		t := &out[i]
		if t.Name, err = s.text(ctx, "identity_token.name", t.ID, names[i]); err != nil && !errors.Is(err, fault.Gone) {
			return nil, err
		}
		if most := t.Issued.Add(rules.TokenMax); most.Before(t.Expires) {
			t.Expires = most
		}
		s.tokens.mu.RLock()
		if l := s.tokens.byID[t.ID]; l != nil {
			t.Suspended = len(l.roles) == 0
			if seen := l.seen.Load(); seen > 0 {
				t.Seen = at(seen)
			}
		}
		s.tokens.mu.RUnlock()
	}
	return slices.DeleteFunc(out, func(t Token) bool { return !now.Before(t.Expires) }), nil
}

// expireTokens ends rows whose time is over, and removes those that ended long ago.
func (s *Service) expireTokens(ctx context.Context) error {
	now := s.Now()
	err := s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
		if _, err := tx.Exec(ctx, endOldTokens, us(now), us(now.Add(-s.Rules.Get().TokenMax))); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, deleteOldTokens, us(now.Add(-90*24*time.Hour)))
		return err
	})
	if err != nil {
		return fmt.Errorf("remove old tokens: %w", err)
	}
	rules := s.Rules.Get()
	s.tokens.dropOf(now, func(l *liveToken) bool { return !now.Before(l.ends(rules)) })
	return nil
}

const (
	insertToken = `INSERT INTO identity_token (id, token, kind, person, service, team, name, scopes, networks, issuer, issued, expires, seen, ended, cause, change)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, NULL, '', $13)`
	tokensBy = `SELECT k.id, k.kind, k.person, k.service, COALESCE(v.name, ''), k.team, k.name, k.scopes, k.networks, k.issuer, k.issued, k.expires, k.seen
		FROM identity_token k LEFT JOIN identity_service v ON v.id = k.service WHERE k.ended IS NULL AND v.ended IS NULL AND k.expires > $1`
	liveTokensOf       = `SELECT COUNT(*) FROM identity_token WHERE person = $1 AND service = $2 AND ended IS NULL AND expires > $3`
	tokenOwner         = `SELECT person, service, team FROM identity_token WHERE id = $1 AND ended IS NULL`
	endToken           = `UPDATE identity_token SET ended = $2, cause = $3, change = $4 WHERE id = $1 AND ended IS NULL`
	endTokensOf        = `UPDATE identity_token SET ended = $2, cause = $3, change = $4 WHERE person = $1 AND ended IS NULL`
	endServiceTokensOf = `UPDATE identity_token SET ended = $3, cause = $4, change = $2
		WHERE ended IS NULL AND service IN (SELECT id FROM identity_service WHERE owner = $1)`
	touchTokensOf = `UPDATE identity_token SET change = $2 WHERE ended IS NULL AND (person = $1 OR service IN (SELECT v.id FROM identity_service v
		WHERE v.owner = $1 OR v.owner = '' AND v.team IN (SELECT team FROM identity_member WHERE person = $1)))`
	endOldTokens    = `UPDATE identity_token SET ended = $1, cause = 'expired' WHERE ended IS NULL AND (expires <= $1 OR issued <= $2)`
	deleteOldTokens = `DELETE FROM identity_token WHERE ended < $1`
)
