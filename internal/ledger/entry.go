package ledger

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"writ/internal/actor"
	"writ/internal/canon"
	"writ/internal/envelope"
	"writ/internal/keyring"
	"writ/internal/secret"
)

// Limits of one entry, in bytes. An entry with its envelope must fit a tile bundle's
// 16-bit length; public values over 16 KiB are a programming error.
const (
	maxPublic  = 16 << 10
	maxBody    = 65_000
	maxPayload = 1 << 20
)

// PayloadAAD names the place in which the payload of the entry with this id was
// sealed. It keeps its place when the journal moves it to a table of its own.
func PayloadAAD(entryID string) envelope.AAD {
	return envelope.AAD{Table: "journal_payload", Column: "payload", Row: entryID, Version: 1}
}

// needKey says which subject's key must be fetched before the closure runs again.
type needKey struct{ subject keyring.Subject }

func (n *needKey) Error() string { return "ledger: key of " + n.subject.String() + " is not at hand" }

// scribe writes the entries of one change.
type scribe struct {
	db   *DB
	who  actor.Actor
	keys map[keyring.Subject]envelope.Key // fetched for this change, before its attempt
}

// row is an entry ready to be inserted.
type row struct {
	id, name   string
	happened   int64
	body       []byte
	payload    []byte
	payloadKey string
}

// key returns a key without waiting for the key store.
func (s *scribe) key(ctx context.Context, sub keyring.Subject) (envelope.Key, error) {
	if k, ok := s.keys[sub]; ok {
		return k, nil
	}
	if !s.db.warm.has(sub) {
		return envelope.Key{}, &needKey{sub}
	}
	k, err := s.db.keys.Key(ctx, sub)
	if err != nil {
		s.db.warm.drop(sub)
		return envelope.Key{}, &needKey{sub}
	}
	return k, nil
}

// fetch resolves a key outside any transaction, creating it if there is none.
func (s *scribe) fetch(ctx context.Context, sub keyring.Subject) error {
	k, err := s.db.keys.Ensure(ctx, sub)
	if err != nil {
		return fmt.Errorf("get key of %s: %w", sub, err)
	}
	s.keys[sub] = k
	s.db.warm.add(sub)
	return nil
}

// own is the subject whose key stands for the actor, if the actor is personal.
func own(who actor.Actor, now time.Time) (keyring.Subject, bool) {
	switch who.Kind {
	case actor.Person, actor.Enrolling, actor.Agreeing, actor.Support:
		return keyring.Person(who.ID), true
	case actor.Stranger:
		return keyring.Strangers(now), true
	}
	return keyring.Subject{}, false
}

// fallback seals what a non-personal actor says without naming a subject.
const fallback = "ledger"

// write turns one event into a row. See doc.go for the shape of an entry.
func (s *scribe) write(ctx context.Context, ev Event, id string, now time.Time) (row, error) {
	if isNil(ev) {
		return row{}, badEvent(errors.New("nil event"))
	}
	about := ev.About()
	if err := about.check(); err != nil {
		return row{}, badEvent(err)
	}
	body := map[string]any{"id": id, "happened": now.UnixMicro(), "kind": string(s.who.Kind), "act": about.Name}
	for k, v := range map[string]string{"object": about.Object, "clause": about.Clause, "rev": s.db.revision(),
		"team": s.who.Team, "session": s.who.Session, "via": s.who.Via} {
		if v != "" {
			body[k] = clean(v)
		}
	}
	if err := s.name(ctx, body, about, now); err != nil {
		return row{}, err
	}
	personal, err := s.fields(body, ev, about)
	if err != nil {
		return row{}, badEvent(err)
	}
	r := row{id: id, name: about.Name, happened: now.UnixMicro()}
	if r.body, err = canon.Encode(body); err != nil {
		return row{}, badEvent(err)
	}
	if len(r.body) > maxBody {
		return row{}, badEvent(fmt.Errorf("%s: entry of %d bytes is over %d", about.Name, len(r.body), maxBody))
	}
	return r, s.seal(ctx, &r, personal, about, now)
}

// name puts actor and subject into the body, persons as pseudonyms.
func (s *scribe) name(ctx context.Context, body map[string]any, about About, now time.Time) error {
	body["actor"] = clean(s.who.String())
	if sub, ok := own(s.who, now); ok {
		k, err := s.key(ctx, sub)
		if err != nil {
			return err
		}
		kind := string(s.who.Kind)
		if sub.Kind == string(actor.Person) {
			kind = sub.Kind // one human has one pseudonym, whatever they may do just now
		}
		body["actor"] = Pseudonym(k, kind, s.who.ID)
	}
	switch sub := about.Subject; sub.Kind {
	case "":
	case "class", "stranger":
		body["subject"] = sub.String()
	default:
		k, err := s.key(ctx, sub)
		if err != nil {
			return err
		}
		body["subject"] = Pseudonym(k, sub.Kind, sub.ID)
	}
	return nil
}

// opened is one field of a payload: what opens its commitment.
func opened(salt []byte, v any) map[string]any { return map[string]any{"s": encode64(salt), "v": v} }

// fields puts the event's fields and the reason into the body, and returns the
// payload that is to be sealed.
func (s *scribe) fields(body map[string]any, ev Event, about About) (map[string]any, error) {
	f, sealed, public := map[string]any{}, map[string]any{}, 0
	v := reflect.Indirect(reflect.ValueOf(ev))
	for _, p := range planOf(reflect.TypeOf(ev)).fields {
		if p.class == Secret {
			salt, err := saltFor(ev, p.name)
			if err != nil {
				return nil, err
			}
			c := Commit(p.name, salt, p.hidden(v.Field(p.index)))
			f[p.name] = map[string]any{"c": encode64(c[:])}
			continue
		}
		value := s.masked(p.value(v.Field(p.index)))
		b, err := s.screened(p.name, value)
		if err != nil {
			return nil, err
		}
		if p.class == Public {
			f[p.name] = value
			public += len(b)
			continue
		}
		salt := secret.Random(saltSize).Reveal()
		c := Commit(p.name, salt, b)
		f[p.name] = map[string]any{"c": encode64(c[:])}
		sealed[p.name] = opened(salt, value)
	}
	if public > maxPublic {
		return nil, fmt.Errorf("%s: public fields of %d bytes are over %d", about.Name, public, maxPublic)
	}
	body["f"] = f
	payload := map[string]any{}
	if len(sealed) > 0 {
		payload["f"] = sealed
	}
	if about.Reason != "" {
		reason := s.masked(clean(about.Reason))
		b, err := s.screened("reason", reason)
		if err != nil {
			return nil, err
		}
		salt := secret.Random(saltSize).Reveal()
		c := Commit("reason", salt, b)
		body["reason"] = map[string]any{"c": encode64(c[:])}
		payload["reason"] = opened(salt, reason)
	}
	return payload, nil
}

// masked lets Config.Mask look at the texts of a value.
func (s *scribe) masked(v any) any { // clause: data.card-summary
	if s.db.mask == nil {
		return v
	}
	switch v := v.(type) {
	case string:
		return s.db.mask(v)
	case []any:
		for i, t := range v {
			v[i] = s.masked(t)
		}
	}
	return v
}

// screened encodes a value and lets Config.Screen look at it.
func (s *scribe) screened(name string, v any) ([]byte, error) {
	b, err := canon.Encode(v)
	if err != nil {
		return nil, fmt.Errorf("field %s: %w", name, err)
	}
	if s.db.screen != nil {
		if err := s.db.screen(string(b)); err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
	}
	return b, nil
}

func saltFor(ev Event, field string) ([]byte, error) {
	if e, ok := ev.(Salted); ok {
		salt := e.Salt(field)
		if salt.Len() != saltSize {
			return nil, fmt.Errorf("field %s: salt of %d bytes, not %d", field, salt.Len(), saltSize)
		}
		return salt.Reveal(), nil
	}
	return secret.Random(saltSize).Reveal(), nil
}

// seal encrypts the payload under the key of the event's subject, else the
// actor's own, else the class key of the ledger.
func (s *scribe) seal(ctx context.Context, r *row, payload map[string]any, about About, now time.Time) error {
	if len(payload) == 0 {
		return nil
	}
	sub := about.Subject
	if sub.Kind == "" {
		var ok bool
		if sub, ok = own(s.who, now); !ok {
			sub = keyring.Class(fallback)
		}
	}
	k, err := s.key(ctx, sub)
	if err != nil {
		return err
	}
	b, err := canon.Encode(payload)
	if err != nil {
		return badEvent(err)
	}
	if len(b) > maxPayload {
		return badEvent(fmt.Errorf("%s: personal values of %d bytes are over %d", about.Name, len(b), maxPayload))
	}
	r.payload, r.payloadKey = k.Seal(b, PayloadAAD(r.id)), k.ID()
	clear(b)
	return nil
}

func isNil(ev Event) bool {
	if ev == nil {
		return true
	}
	v := reflect.ValueOf(ev)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
