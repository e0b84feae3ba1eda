package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/sshsig"
)

// Key is a public key that signs for a person.
type Key struct {
	Fingerprint string    `json:"fingerprint"`
	Handle      string    `json:"handle"`
	Person      string    `json:"-"`
	PublicKey   string    `json:"public_key"`
	Registered  time.Time `json:"registered"`
	Revoked     time.Time `json:"revoked,omitzero"`
}

// challenges are what people were asked to sign to show that a key is theirs. They
// live in this process: after a restart, or on another node, one asks again.
type challenges struct {
	mu sync.Mutex
	m  map[string]challenge // by person
}

type challenge struct {
	text string
	till time.Time
}

const (
	challengeLife = 15 * time.Minute
	maxKeys       = 5 // of one person at a time
)

func (c *challenges) of(person string, now time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) > 10_000 {
		c.m = map[string]challenge{}
	}
	if got, ok := c.m[person]; ok && now.Before(got.till) {
		return got.text
	}
	got := challenge{secret.RandomText(16).Reveal(), now.Add(challengeLife)}
	c.m[person] = got
	return got.text
}

func (c *challenges) use(person string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.m, person)
}

// Keys lists all keys, revoked ones too.
func (s *Service) Keys() []Key { return slices.Clone(s.state().keys) }

// KeyText is what the signed-in person signs with the key of this line to register it;
// it stays the same for 15 minutes.
func (s *Service) KeyText(ctx context.Context, who actor.Actor, line string) (string, error) {
	handle, key, err := s.ownKey(ctx, who, line)
	if err != nil {
		return "", err
	}
	return string(s.keyText(handle, who.ID, key)), nil
}

func (s *Service) keyText(handle, person string, key sshsig.Key) []byte {
	return signedText("writ/key/v1\n", map[string]any{"person": handle, "key": key.String(), "challenge": s.challenges.of(person, s.now())})
}

func (s *Service) ownKey(ctx context.Context, who actor.Actor, line string) (string, sshsig.Key, error) {
	var none sshsig.Key
	if err := s.access.Allow(ctx, who, access.KeyRegister, ""); err != nil {
		return "", none, err
	}
	if who.Kind != actor.Person {
		return "", none, fault.New(fault.Denied, "not_a_person", fault.Public{Problem: "A key belongs to a person, who registers it themself.", Next: "Sign in and register it there."})
	}
	key, err := sshsig.ParseKey(line)
	if err != nil {
		return "", none, err
	}
	handle, err := s.people.Handle(ctx, who.ID)
	if err != nil {
		return "", none, fmt.Errorf("find the handle: %w", err)
	}
	return handle, key, nil
}

// RegisterKey registers a public key for the signed-in person: signature is made by it
// over KeyText. A key is registered once, for ever, by one person.
func (s *Service) RegisterKey(ctx context.Context, who actor.Actor, line string, signature []byte) (Key, error) {
	handle, key, err := s.ownKey(ctx, who, line)
	if err != nil {
		return Key{}, err
	}
	made, err := sshsig.Verify(signature, Namespace, s.keyText(handle, who.ID, key)) // clause: gov.signed-dated
	if err != nil {
		return Key{}, err
	}
	if made.Fingerprint() != key.Fingerprint() {
		return Key{}, fault.New(fault.Invalid, "signature", fault.Public{Problem: "Another key made the signature.", Expected: "A signature by " + key.Fingerprint() + "."})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := Key{Fingerprint: key.Fingerprint(), Handle: handle, Person: who.ID, PublicKey: key.String()}
	live := 0
	for _, o := range s.state().keys {
		if o.Fingerprint == k.Fingerprint {
			return Key{}, fault.New(fault.Conflict, "key_known", fault.Public{Problem: "This key was registered before.", Next: "Make a new one with: ssh-keygen -t ed25519"})
		}
		if o.Handle == handle && o.Revoked.IsZero() {
			live++
		}
	}
	if live >= maxKeys {
		return Key{}, fault.New(fault.Limited, "too_many_keys", fault.Public{Problem: fmt.Sprintf("You have %d keys.", live), Next: "Revoke one first."})
	}
	receipt, err := s.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, addKey, k.Fingerprint, k.Handle, k.Person, k.PublicKey, string(signature), micros(tx.Now())); err != nil {
			return nil, err
		}
		return KeyRegistered{Handle: k.Handle, Fingerprint: k.Fingerprint, PublicKey: k.PublicKey}, nil
	})
	if err != nil {
		return Key{}, fmt.Errorf("register key: %w", err)
	}
	s.challenges.use(who.ID)
	k.Registered = receipt.At
	return k, s.reload(ctx)
}

// RevokeKey ends a key. One's own, or any by the operator: that only takes voices away.
// Signatures it made stay what they were.
func (s *Service) RevokeKey(ctx context.Context, who actor.Actor, fingerprint string) error {
	own, err := s.handleOf(ctx, who)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.state().keys, func(k Key) bool { return k.Fingerprint == fingerprint && k.Revoked.IsZero() })
	if i < 0 {
		return fault.New(fault.NotFound, "no_key", fault.Public{Problem: "There is no such key."})
	}
	k := s.state().keys[i]
	if who.Kind != actor.Operator && (own == "" || own != k.Handle) {
		return s.refuse(ctx, who, "revoke-key", "", "gov.signed-dated", fault.New(fault.Denied, "not_yours", fault.Public{Problem: "The key is not yours."}))
	}
	used := int64(0) // when it signed last: whatever the clock does, that was before it was revoked
	for _, r := range s.state().revisions {
		for _, a := range r.Approvals {
			if a.Fingerprint == fingerprint {
				used = max(used, micros(a.At))
			}
		}
	}
	_, err = s.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, revokeKey, max(micros(tx.Now()), used+1), fingerprint)
		if err != nil || n != 1 {
			return nil, errors.Join(err, moved(n))
		}
		return KeyRevoked{Handle: k.Handle, Fingerprint: k.Fingerprint}, nil
	})
	if err != nil {
		return fmt.Errorf("revoke key: %w", err)
	}
	return s.reload(ctx)
}

// signer finds whose registered, live key made a signature over text(handle).
func (s *Service) signer(b *book, signature []byte, text func(handle string) []byte) (Key, *fault.Error) {
	err := error(fault.New(fault.Denied, "unknown_key", fault.Public{Problem: "No key is registered.", Next: "Register one first."}))
	for _, k := range b.keys {
		if !k.Revoked.IsZero() {
			continue
		}
		made, e := sshsig.Verify(signature, Namespace, text(k.Handle))
		switch {
		case e != nil:
			err = e
		case made.Fingerprint() == k.Fingerprint:
			return k, nil
		}
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return Key{}, f
	}
	return Key{}, fault.Wrap(fault.Internal, "signature", err)
}

func (s *Service) readKeys(ctx context.Context) ([]Key, error) {
	var out []Key
	err := s.db.Each(ctx, selectKeys, func(scan ledger.Scan) error {
		var k Key
		var registered, revoked int64
		if err := scan(&k.Fingerprint, &k.Handle, &k.Person, &k.PublicKey, &registered, &revoked); err != nil {
			return err
		}
		k.Registered, k.Revoked = fromMicros(registered), fromMicros(revoked)
		out = append(out, k)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return out, nil
}

const (
	selectKeys = `SELECT fingerprint, handle, person, public_key, registered, revoked FROM policy_key ORDER BY registered, fingerprint`
	addKey     = `INSERT INTO policy_key (fingerprint, handle, person, public_key, proof, registered, revoked) VALUES ($1, $2, $3, $4, $5, $6, 0)`
	revokeKey  = `UPDATE policy_key SET revoked = $1 WHERE fingerprint = $2 AND revoked = 0`
)
