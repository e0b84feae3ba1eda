package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// LinkKind is what a one-time link is for.
type LinkKind string

// The kinds of links.
const (
	ConfirmLink LinkKind = "confirm"    // proves the address of a sign-up
	ResetLink   LinkKind = "reset"      // lets a person set a new password
	OwnerLink   LinkKind = "owner-link" // lets somebody an operator added set the first one
)

// ownerTTL is how long an owner link works.
const ownerTTL = 7 * 24 * time.Hour

// LinkInfo is what a page may show of a link that works.
type LinkInfo struct {
	Kind    LinkKind
	Issued  time.Time
	Expires time.Time
	Name    string // of the person or sign-up; may be empty
	Email   string
	Flow    bool // the browser that asked is the one that signed up: no password is needed
}

// link is a row.
type link struct {
	id, person, attempt string
	kind                LinkKind
	issued, expires     time.Time
	ended               bool
	cause               string
}

// ttl is how long links of the kind work by the rules now.
func (r *Rules) ttl(k LinkKind) time.Duration {
	switch k {
	case ConfirmLink:
		return r.ConfirmTTL
	case ResetLink:
		return r.ResetTTL
	case OwnerLink:
		return ownerTTL
	case NotMeLink:
		return notMeTTL
	case OldAddressLink, NewAddressLink:
		return r.ConfirmTTL
	}
	return 0
}

// dead says why the link does not work at now; "" when it does. Its life is the
// smaller of the one it was given and the one the rules give now.
func (l link) dead(now time.Time, ttl time.Duration) string {
	if l.ended {
		return l.cause
	}
	if !now.Before(l.expires) || !now.Before(l.issued.Add(ttl)) || tooEarly(now, l.issued) { // clause: auth.reset-link-lifetime
		return "expired"
	}
	return ""
}

// linkDead is the one answer to every token that does not work.
func linkDead(ttl time.Duration) *fault.Error {
	return fault.New(fault.Gone, "link_dead", fault.Public{
		Problem:  "This link does not work, or no longer.",
		Expected: fmt.Sprintf("A link works once, and for %s.", spell(ttl)),
		Next:     "Ask for a new one.",
	})
}

// maxToken bounds what is hashed of a token from outside: 512 bits in base64url.
const maxToken = 86

// alive finds a link of one of the kinds that works now. Every other token is
// link_dead, recorded.
func (s *Service) alive(ctx context.Context, token secret.Text, kind LinkKind) (link, error) {
	l, cause, err := s.look(ctx, token, kind)
	if err != nil {
		return link{}, err
	}
	if cause != "" {
		return l, &deadLink{kind: kind, cause: cause, ttl: s.Rules.Get().ttl(kind)}
	}
	return l, nil
}

// deadLink carries the cause for the record; what leaves the server is link_dead.
type deadLink struct {
	kind  LinkKind
	cause string
	ttl   time.Duration
}

func (d *deadLink) Error() string { return "link is dead: " + d.cause }
func (d *deadLink) Unwrap() error { return linkDead(d.ttl) }

func (s *Service) look(ctx context.Context, token secret.Text, kind LinkKind) (link, string, error) {
	if token.IsZero() || token.Len() > maxToken {
		return link{}, "unknown", nil
	}
	var l link
	var issued, expires int64
	var ended *int64
	err := ledger.One(ctx, s.DB, findLink, []any{&l.id, &l.kind, &l.person, &l.attempt, &issued, &expires, &ended, &l.cause}, sum(token))
	if errors.Is(err, fault.NotFound) {
		return link{}, "unknown", nil
	}
	if err != nil {
		return link{}, "", fmt.Errorf("find link: %w", err)
	}
	l.issued, l.expires, l.ended = at(issued), at(expires), ended != nil
	if l.kind != kind {
		return link{}, "unknown", nil
	}
	return l, l.dead(s.Now(), s.Rules.Get().ttl(kind)), nil
}

// newLink is a link that a change inserts.
type newLink struct {
	id, person, attempt string
	kind                LinkKind
	token               secret.Text
	bits                int
	ttl                 time.Duration
}

// link makes a token of the strength the policy asks for.
func (s *Service) link(kind LinkKind, person, attempt string) newLink {
	r := s.Rules.Get()
	bits := max(r.ResetBits, 256) // clause: auth.reset-link
	return newLink{id: s.DB.ID(), person: person, attempt: attempt, kind: kind, token: secret.RandomText(bits / 8), bits: bits, ttl: r.ttl(kind)}
}

func (n newLink) insert(ctx context.Context, tx *ledger.Tx) error {
	_, err := tx.Exec(ctx, insertLink, n.id, sum(n.token), string(n.kind), n.person, n.attempt, int64(n.bits), us(tx.Now()), us(tx.Now().Add(n.ttl)))
	return err
}

// path is where a link leads on this site.
func (n newLink) path() string {
	switch n.kind {
	case ConfirmLink:
		return "/-/confirm/" + n.token.Reveal()
	case ResetLink:
		return "/-/recover/" + n.token.Reveal()
	case NotMeLink:
		return "/-/not-me/" + n.token.Reveal()
	case OldAddressLink, NewAddressLink:
		return "/-/address/" + n.token.Reveal()
	}
	return "/-/invite/" + n.token.Reveal()
}

// use consumes the link inside a change: one winner, and only while it works.
func (l link) use(ctx context.Context, tx *ledger.Tx, ttl time.Duration) error {
	now := tx.Now()
	n, err := tx.Exec(ctx, useLink, l.id, us(now), us(now.Add(-ttl))) // clause: auth.reset-sets-new
	if err != nil {
		return err
	}
	if n != 1 {
		return &deadLink{kind: l.kind, cause: "used", ttl: ttl}
	}
	return nil
}

// endLinks ends a person's working links inside a change.
func endLinks(ctx context.Context, tx *ledger.Tx, person, cause string) (int64, error) {
	if person == "" {
		return 0, nil
	}
	if _, err := tx.Exec(ctx, endAddressChangesOf, person, us(tx.Now()), cause); err != nil { // nobody could agree any more
		return 0, err
	}
	return tx.Exec(ctx, endLinksOf, person, us(tx.Now()), cause)
}

// spell writes a life in words: "24 hours", "7 days".
func spell(d time.Duration) string {
	unit := func(n int64, word string) string {
		if n == 1 {
			return "1 " + word
		}
		return fmt.Sprintf("%d %ss", n, word)
	}
	switch {
	case d > 48*time.Hour && d%(24*time.Hour) == 0:
		return unit(int64(d/(24*time.Hour)), "day")
	case d%time.Hour == 0:
		return unit(int64(d/time.Hour), "hour")
	}
	return unit(int64(d/time.Minute), "minute")
}

const (
	findLink   = `SELECT id, kind, person, attempt, issued, expires, ended, cause FROM identity_link WHERE token = $1`
	insertLink = `INSERT INTO identity_link (id, token, kind, person, attempt, bits, issued, expires, ended, cause)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, '')`
	useLink = `UPDATE identity_link SET ended = $2, cause = 'used' WHERE id = $1 AND ended IS NULL AND expires > $2 AND issued > $3`
	// A not-me link stays: an intruder who changes the password must not put it out.
	endLinksOf = `UPDATE identity_link SET ended = $2, cause = $3 WHERE person = $1 AND kind <> 'not-me' AND ended IS NULL`
)
