package kms

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
)

const (
	blobVersion = 1
	blobHead    = 1 + 16 // version, id of the key

	maxContext = 8192 // bytes of all names and values
)

// Context is what a ciphertext is for: it opens with the same pairs only.
type Context map[string]string

func (c Context) check() error {
	n := 0
	for k, v := range c {
		n += len(k) + len(v)
	}
	if n > maxContext {
		return fault.New(fault.Invalid, "kms_context_long", fault.Public{Problem: "The encryption context is too long.", Expected: "At most 8192 bytes."})
	}
	return nil
}

// sum is the context in one form: its pairs in the order of their names, each text with
// its length before it.
func (c Context) sum() string {
	var b []byte
	for _, k := range slices.Sorted(maps.Keys(c)) {
		for _, s := range []string{k, c[k]} {
			b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
			b = append(b, s...)
		}
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// place is the one where a ciphertext opens: no box of Writ's own data has this table.
func place(team, key string, c Context) envelope.AAD {
	return envelope.AAD{Table: "vault_kms_key", Column: "ciphertext", Team: team, Row: key + "/" + c.sum()}
}

// use asks for a key, for an act. Who may not do it is told that, and not what is there.
func (s *Service) use(ctx context.Context, who actor.Actor, action access.Action, ref string) (Key, error) {
	k, err := s.find(ctx, vault.TeamOf(who), ref)
	path := k.Path
	if err != nil {
		path = vault.PathOf(who)
	}
	if denied := s.Vault.MayReach(ctx, who, action, "kms/"+k.ID, path); denied != nil {
		return Key{}, denied
	}
	return k, err
}

func (k Key) live() error {
	if !k.Enabled {
		return fault.New(fault.Conflict, "kms_key_disabled", fault.Public{Problem: "The key " + k.ID + " is disabled.", Next: "Enable it: writ vault kms enable " + k.ID})
	}
	return nil
}

// gone is how a key is called that the keyring has destroyed.
func gone(k Key, err error) error {
	if errors.Is(err, fault.Gone) || errors.Is(err, fault.NotFound) {
		return fault.New(fault.Gone, "kms_key_destroyed", fault.Public{Problem: "The key " + k.ID + " was destroyed.", Expected: "What it encrypted does not open any more."})
	}
	return err
}

// encrypt seals data under a key that use has given.
func (s *Service) encrypt(ctx context.Context, who actor.Actor, k Key, plain secret.Bytes, about Context) ([]byte, error) { // clause: crypto.at-rest
	if err := errors.Join(k.live(), about.check()); err != nil {
		return nil, err
	}
	key, err := s.Keys.Key(ctx, subject(k.ID))
	if err != nil {
		return nil, gone(k, err)
	}
	id, err := hex.DecodeString(strings.ReplaceAll(k.ID, "-", ""))
	if err != nil {
		return nil, err
	}
	blob := append([]byte{blobVersion}, id...)
	return append(blob, key.Seal(plain.Reveal(), place(vault.TeamOf(who), k.ID, about))...), nil
}

// errCiphertext is the one answer to a ciphertext that does not open.
func errCiphertext() error {
	return fault.New(fault.Invalid, "kms_ciphertext", fault.Public{Problem: "The ciphertext does not open.", Expected: "It must be unchanged, made here, and come with the context it was made with."})
}

// decrypt opens what encrypt made; ref, where it is not "", must name the same key.
func (s *Service) decrypt(ctx context.Context, who actor.Actor, blob []byte, about Context, ref string) (Key, secret.Bytes, error) {
	if len(blob) <= blobHead || blob[0] != blobVersion {
		return Key{}, secret.Bytes{}, errors.Join(s.Vault.MayReach(ctx, who, access.VaultRead, "kms", vault.PathOf(who)), errCiphertext())
	}
	h := hex.EncodeToString(blob[1:blobHead])
	k, err := s.use(ctx, who, access.VaultRead, strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-"))
	if errors.Is(err, fault.NotFound) {
		return Key{}, secret.Bytes{}, errCiphertext()
	}
	if err != nil {
		return Key{}, secret.Bytes{}, err
	}
	if ref != "" {
		if asked, err := s.use(ctx, who, access.VaultRead, ref); err != nil {
			return Key{}, secret.Bytes{}, err
		} else if asked.ID != k.ID {
			return Key{}, secret.Bytes{}, fault.New(fault.Invalid, "kms_key_other", fault.Public{Problem: "The key ID in the request does not identify a key that can open this ciphertext."})
		}
	}
	if err := errors.Join(k.live(), about.check()); err != nil {
		return Key{}, secret.Bytes{}, err
	}
	box := blob[blobHead:]
	id, err := envelope.KeyID(box)
	if err != nil {
		return Key{}, secret.Bytes{}, errCiphertext()
	}
	key, err := s.Keys.ByID(ctx, id)
	if err != nil {
		return Key{}, secret.Bytes{}, s.missing(ctx, k, err)
	}
	plain, err := key.Open(box, place(vault.TeamOf(who), k.ID, about))
	if err != nil {
		return Key{}, secret.Bytes{}, errCiphertext()
	}
	return k, plain, nil
}

// missing tells a key that was destroyed from a box that names one that never was.
func (s *Service) missing(ctx context.Context, k Key, err error) error {
	if errors.Is(err, fault.Gone) {
		return gone(k, err)
	}
	if errors.Is(err, fault.NotFound) {
		if _, err := s.Keys.Key(ctx, subject(k.ID)); errors.Is(err, fault.Gone) {
			return gone(k, err)
		}
		return errCiphertext()
	}
	return err
}

// record makes the entry of a call; nothing leaves when it cannot.
func (s *Service) record(ctx context.Context, who actor.Actor, ev Used, about Context, note func(string)) error { // clause: vault.access-logged
	ev.Context, ev.AccessKey = slices.Sorted(maps.Keys(about)), who.Token
	r, err := s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) { return ev, nil })
	if err == nil {
		note(r.ID)
	}
	return err
}
