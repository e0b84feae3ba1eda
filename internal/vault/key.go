package vault

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// The life of access keys.
const (
	keyDefault = 90 * 24 * time.Hour
	keyMost    = 365 * 24 * time.Hour

	sessionDefault = time.Hour
	sessionMost    = 12 * time.Hour
)

// AccessKey lets a program call the parameter store with a client of its provider. Its
// secret was shown once and is kept sealed, because the scheme is symmetric.
type AccessKey struct {
	ID      string
	Owner   string // kind/id: without them it does not work
	Team    string
	Path    string // what it reaches
	Reads   bool   // and changes nothing
	Issuer  string
	Issued  time.Time
	Expires time.Time
	Seen    time.Time // to the hour; zero = never
	Ended   bool
	Session bool // it works with its session token only, for hours
}

// NewKey is the wish for an access key.
type NewKey struct {
	Path  string
	Reads bool
	Owner string        // kind/id; "" = whoever asks
	Life  time.Duration // 0 = 90 days; of a session an hour

	Session bool // for hours, and with a token beside the secret
}

// IssuedKey is a new access key. This is the only time its secret is there.
type IssuedKey struct {
	AccessKey
	Secret secret.Text
	Token  secret.Text // of a session
}

// IssueKey makes an access key for a path: somebody's own, or one of a service, for what
// its maker may do there.
func (s *Service) IssueKey(ctx context.Context, who actor.Actor, in NewKey) (IssuedKey, error) {
	if who.ByToken() {
		return IssuedKey{}, fault.New(fault.Denied, "person_needed", fault.Public{Problem: "A key cannot make another one.", Next: "Sign in, or use the server's own account."})
	}
	lent, err := s.MayLend(ctx, who, in)
	if err != nil {
		return IssuedKey{}, err
	}
	life, err := in.life()
	if err != nil {
		return IssuedKey{}, err
	}
	k := IssuedKey{AccessKey: lent, Secret: secret.RandomText(30)}
	if k.ID, k.Session = newKeyID(in.Session), in.Session; in.Session {
		k.Token = secret.RandomText(48)
	}
	box, err := s.seal(ctx, keyring.Class(accessClass), secretAt(k.ID), []byte(k.Secret.Reveal()))
	if err != nil {
		return IssuedKey{}, err
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		k.Issued, k.Expires = tx.Now(), tx.Now().Add(life)
		_, err := tx.Exec(ctx, insertKey, k.ID, box, k.Team, k.Owner, k.Path, k.Reads, k.Issuer, us(k.Issued), us(k.Expires), tokenMark(k.Token))
		return KeyIssued{Key: k.ID, Owner: k.Owner, Path: k.Path, Reads: k.Reads, Until: k.Expires, Text: k.Secret}, err
	})
	if err != nil {
		return IssuedKey{}, fmt.Errorf("issue access key: %w", err)
	}
	return k, nil
}

// mayLend refuses a key that would give its maker what they may not do themselves: whoever
// makes it holds its secret, so managing keys would bring reading and writing with it. The
// server's own account makes keys for anybody; nobody else makes one that acts as another
// person or as that account.
func (s *Service) mayLend(ctx context.Context, who, owner actor.Actor, k AccessKey) error { // clause: access.least-privilege
	if who.Kind == actor.Operator {
		return nil
	}
	if owner.Kind != actor.Machine && (owner.Kind != who.Kind || owner.ID != who.ID) {
		return s.DB.Refuse(ctx, who, ReadRefused{Name: k.Path, Code: "key_lends"}, fault.New(fault.Denied, "key_lends", fault.Public{Problem: "You would hold a key that acts as somebody else.",
			Expected: "A key of your own, or one of a service.", Next: "Let them make it themselves, or use the server's own account."}))
	}
	for _, action := range k.gives() {
		if err := s.may(ctx, who, action, k.Path); err != nil {
			return err
		}
	}
	return nil
}

// gives are the actions that a key carries.
func (k *AccessKey) gives() []access.Action {
	as := []access.Action{access.VaultRead, access.VaultList}
	if !k.Reads {
		as = append(as, access.VaultWrite)
	}
	return as
}

// life is how long the key shall live.
func (in NewKey) life() (time.Duration, error) {
	life, usual, most, expected := in.Life, keyDefault, keyMost, "Between a minute and 365 days."
	if in.Session {
		usual, most, expected = sessionDefault, sessionMost, "Between a minute and 12 hours for a key with a session token."
	}
	if life == 0 {
		life = usual
	}
	if life < time.Minute || life > most {
		return 0, fault.New(fault.Invalid, "key_life", fault.Public{Problem: "A key cannot live that long or short.", Expected: expected})
	}
	return life, nil
}

// tokenMark is what is kept of a session's token: it is wholly random, so its hash tells
// nothing, and nobody has to read it again.
func tokenMark(token secret.Text) string {
	if token.Len() == 0 {
		return ""
	}
	h := token.Sum()
	return hex.EncodeToString(h[:])
}

// EndKey ends an access key for the next call: one's own, or as a manager of keys any.
func (s *Service) EndKey(ctx context.Context, who actor.Actor, id string) error {
	if k, err := s.keyRow(ctx, id); err != nil || k.Owner != who.String() || who.ByToken() {
		if err := s.may(ctx, who, access.VaultKeys, "/"); err != nil {
			return err
		}
	}
	_, err := s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, endKey, id, teamOf(who), us(tx.Now()))
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "key_unknown", fault.Public{Problem: "There is no live access key of that id.", Next: "Look at the list of keys."})
		}
		return KeyEnded{Key: id}, err
	})
	s.rows.forget(id)
	if err != nil {
		return fmt.Errorf("end access key: %w", err)
	}
	return nil
}

// EndKeysOf ends every access key that somebody owns, as actor.Actor.String names them, and says how
// many: a manager of keys in their own team, staff in each.
func (s *Service) EndKeysOf(ctx context.Context, who actor.Actor, owner string) (int64, error) { // clause: inc.breach-research
	if err := s.may(ctx, who, access.VaultKeys, "/"); err != nil {
		return 0, err
	}
	team := teamOf(who)
	if team == Home {
		team = ""
	}
	var ids []string
	_, err := s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		ids = nil
		if err := tx.Each(ctx, liveKeysOf, func(scan ledger.Scan) error {
			var id string
			err := scan(&id)
			ids = append(ids, id)
			return err
		}, owner, team); err != nil {
			return nil, err
		}
		for _, id := range ids[min(1, len(ids)):] {
			tx.Also(KeyEnded{Key: id})
		}
		if len(ids) == 0 {
			return nil, errNoKeys
		}
		_, err := tx.Exec(ctx, endKeysOf, owner, team, us(tx.Now()))
		return KeyEnded{Key: ids[0]}, err
	})
	if errors.Is(err, errNoKeys) {
		return 0, nil
	}
	for _, id := range ids {
		s.rows.forget(id)
	}
	if err != nil {
		return 0, fmt.Errorf("end access keys: %w", err)
	}
	return int64(len(ids)), nil
}

var errNoKeys = errors.New("there is none")

// AccessKeys lists the team's access keys, the newest first; those of one's own to whoever
// does not manage keys.
func (s *Service) AccessKeys(ctx context.Context, who actor.Actor) ([]AccessKey, error) {
	action, whose := access.VaultKeys, ""
	if !s.Access.May(who, action) {
		action, whose = access.VaultList, who.String()
	}
	if err := s.may(ctx, who, action, "/"); err != nil {
		return nil, err
	}
	var out []AccessKey
	err := s.DB.Each(ctx, selectKey+` WHERE team = $1 AND ($2 = '' OR owner = $2) ORDER BY issued DESC, id LIMIT 1000`, func(scan ledger.Scan) error {
		var k AccessKey
		if err := scan(k.dest()...); err != nil {
			return err
		}
		out = append(out, k)
		return nil
	}, teamOf(who), whose)
	if err != nil {
		return nil, fmt.Errorf("list access keys: %w", err)
	}
	return out, nil
}

// Caller finds who signs with an access key: the secret to check the signature with, and
// the actor they are when it is good. Nobody acts before the caller has checked it. A key
// of a session works with its token, and another one with none.
func (s *Service) Caller(ctx context.Context, id string, session secret.Text) (actor.Actor, secret.Text, error) {
	k, err := s.keyRow(ctx, id)
	if errors.Is(err, fault.NotFound) {
		return actor.Actor{}, secret.Text{}, errKey("key_unknown")
	}
	if err != nil {
		return actor.Actor{}, secret.Text{}, fmt.Errorf("read access key: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(tokenMark(session)), []byte(k.token)) != 1 {
		return actor.Actor{}, secret.Text{}, errKey("key_unknown")
	}
	who, err := s.holder(ctx, k.AccessKey)
	if err != nil {
		return actor.Actor{}, secret.Text{}, err
	}
	b, err := s.open(ctx, secretAt(id), k.box)
	if err != nil {
		return actor.Actor{}, secret.Text{}, err
	}
	defer b.Wipe()
	who.Session, who.FactorAt, who.ACR, who.Via, who.Token = "", time.Time{}, 0, "aws", id
	who.Scopes = []string{pathScope + k.Path}
	for _, a := range k.gives() {
		who.Scopes = append(who.Scopes, string(a))
	}
	return who, secret.NewText(string(b.Reveal())), nil
}

// holder is who stands behind a key, as long as it works.
func (s *Service) holder(ctx context.Context, k AccessKey) (actor.Actor, error) {
	if now := s.Now(); k.Ended || !now.Before(k.Expires) {
		if k.Session && !k.Ended {
			return actor.Actor{}, errSessionOver()
		}
		return actor.Actor{}, errKey("key_ended")
	}
	who, err := s.ownerOf(ctx, k.Owner)
	if errors.Is(err, fault.Denied) || err == nil && teamOf(who) != k.Team {
		return actor.Actor{}, errKey("key_suspended")
	}
	if err != nil {
		return actor.Actor{}, fmt.Errorf("find the owner of an access key: %w", err)
	}
	return who, nil
}

// Works says whether whoever holds a key could call with it now: nil, fault.Unauthenticated as
// such a call would be answered, or fault.NotFound where there never was such a key.
func (s *Service) Works(ctx context.Context, id string) error {
	k, err := s.keyRow(ctx, id)
	if err != nil {
		return fmt.Errorf("read access key: %w", err)
	}
	_, err = s.holder(ctx, k.AccessKey)
	return err
}

// Used notes that a key was used, to the hour.
func (s *Service) Used(ctx context.Context, id string) error {
	k, err := s.keyRow(ctx, id)
	if err != nil {
		return err
	}
	now := s.Now().Truncate(time.Hour)
	if !k.Seen.Before(now) {
		return nil
	}
	err = s.DB.Quiet(ctx, ledger.LastSeen, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE vault_access_key SET seen = $2 WHERE id = $1 AND seen < $2`, id, us(now))
		return err
	})
	s.rows.forget(id)
	return err
}

// RefuseCall records a call that was not let in: by itself, or in the count of a flood.
func (s *Service) RefuseCall(ctx context.Context, who actor.Actor, key, code string, reason error) error {
	if !s.folds.Single(who, code) {
		return reason
	}
	if len(key) > 40 {
		key = key[:40]
	}
	return s.DB.Refuse(ctx, who, ReadRefused{Code: code, Key: key}, reason)
}

func errKey(code string) error {
	return fault.New(fault.Unauthenticated, code, fault.Public{Problem: "The security token included in the request is invalid.", Next: "Look at the list of access keys."})
}

func errSessionOver() error {
	return fault.New(fault.Unauthenticated, "session_over", fault.Public{Problem: "The security token included in the request is expired.", Next: "Make another key with a session token."})
}

// reach is what a key that was used may touch.
type reach struct {
	id, path string
	reads    bool
}

// pathScope begins the scope that holds a key's path.
const pathScope = "vault.path:"

// keyOf is the reach of whoever came with an access key.
func keyOf(who actor.Actor) (reach, bool) {
	if who.Via != "aws" {
		return reach{}, false
	}
	r := reach{id: who.Token, path: "", reads: true}
	for _, s := range who.Scopes {
		if p, ok := strings.CutPrefix(s, pathScope); ok {
			r.path = p
		}
		if s == string(access.VaultWrite) {
			r.reads = false
		}
	}
	return r, true
}

// PathOf is all that somebody could reach: the path of their access key, or everything.
func PathOf(who actor.Actor) string {
	if k, ok := keyOf(who); ok {
		return k.path
	}
	return "/"
}

// Within reports whether a name lies at or below a path.
func Within(name, path string) bool { return path != "" && under(name, path) }

func (r reach) reaches(name string, action access.Action) bool {
	return r.path != "" && under(name, r.path) && (!r.reads || action != access.VaultWrite)
}

func (r reach) only() string {
	if r.reads {
		return ", to read"
	}
	return ""
}

// newKeyID has the shape that clients and scanners of secrets know, and 80 bits.
func newKeyID(session bool) string {
	b := secret.Random(16).Reveal()
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	out := []byte("AKIA")
	if session {
		out = []byte("ASIA")
	}
	for _, c := range b {
		out = append(out, digits[c&31])
	}
	return string(out)
}

const accessClass = "vault.access"

func secretAt(id string) envelope.AAD {
	return envelope.AAD{Table: "vault_access_key", Column: "secret", Row: id}
}

func (k *AccessKey) dest() []any {
	return []any{&k.ID, &k.Owner, &k.Team, &k.Path, &k.Reads, &k.Issuer, timeInto{&k.Issued}, timeInto{&k.Expires}, seenInto{&k.Seen}, &k.Ended, &k.Session}
}

// seenInto scans microseconds where 0 is never.
type seenInto struct{ t *time.Time }

// Scan implements sql.Scanner.
func (i seenInto) Scan(v any) error {
	if n, ok := v.(int64); ok && n == 0 {
		*i.t = time.Time{}
		return nil
	}
	return timeInto(i).Scan(v)
}

const (
	keyColumns   = `id, owner, team, path, reads, issuer, issued, expires, seen, ended IS NOT NULL, session <> ''`
	selectKey    = `SELECT ` + keyColumns + ` FROM vault_access_key`
	selectKeyBox = `SELECT ` + keyColumns + `, secret, session FROM vault_access_key WHERE id = $1`
	insertKey    = `INSERT INTO vault_access_key (id, secret, team, owner, path, reads, issuer, issued, expires, seen, session) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10)`
	liveKeysOf   = `SELECT id FROM vault_access_key WHERE owner = $1 AND ($2 = '' OR team = $2) AND ended IS NULL ORDER BY id`
	endKeysOf    = `UPDATE vault_access_key SET ended = $3 WHERE owner = $1 AND ($2 = '' OR team = $2) AND ended IS NULL`
	endKey       = `UPDATE vault_access_key SET ended = $3 WHERE id = $1 AND team = $2 AND ended IS NULL`
)
