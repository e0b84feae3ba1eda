package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/secret"
)

// A KEK has one box for every root key in use. Replacing the root is two steps, so
// that a process that dies in between leaves keys that open with either:
//
//	AddRoot(next)   every KEK is sealed under next too; nothing changes for the old root
//	KeepRoot(next)  next opens every KEK, or nothing happens; the boxes of all others go

// Fingerprint is the name of a root key: what the boxes of KEKs carry. It is public,
// and says nothing about the key. Anything but 32 bytes gives "".
func Fingerprint(root secret.Bytes) string {
	k, err := rootKey(root)
	if err != nil {
		return ""
	}
	return k.ID()
}

// AddRoot makes next open the keys as well, all or nothing. Adding it again changes
// nothing. While two roots are in use Rotate is refused: a new KEK could be sealed
// only under the one that this ring knows.
func (r *Ring) AddRoot(ctx context.Context, next secret.Bytes) error { // clause: crypto.key-rotation
	seal, err := rootKey(next)
	if err != nil {
		return err
	}
	err = r.store.write(ctx, func(q querier) error {
		rows, err := kekRows(ctx, q, r.rootKey().ID())
		if err != nil {
			return err
		}
		for _, k := range rows {
			b, err := r.openKEK(r.rootKey(), k)
			if err != nil {
				return err
			}
			_, err = q.exec(ctx, insertRoot, k.id, seal.ID(), seal.Seal(b.Reveal(), kekPlace(k.id, k.version)))
			b.Wipe()
			if err != nil {
				return err
			}
		}
		return r.at("added")
	})
	if err != nil {
		return fmt.Errorf("seal the keys under another root key: %w", err)
	}
	return r.at("added and kept")
}

// KeepRoot forgets every root but only: nothing opens with them any more, also not
// this ring, which goes on with only. It first opens every KEK with only, and
// changes nothing when that fails.
func (r *Ring) KeepRoot(ctx context.Context, only secret.Bytes) error { // clause: crypto.key-rotation
	seal, err := rootKey(only)
	if err != nil {
		return err
	}
	var gone traces
	err = r.store.write(ctx, func(q querier) error {
		if err := r.opens(ctx, q, seal); err != nil {
			return err
		}
		if err := gone.collect(ctx, q, selectOtherRoots, seal.ID()); err != nil {
			return err
		}
		if _, err := q.exec(ctx, overwriteOtherRoots, seal.ID(), make([]byte, boxSize)); err != nil {
			return err
		}
		if _, err := q.exec(ctx, deleteOtherRoots, seal.ID()); err != nil {
			return err
		}
		return r.at("forgotten")
	})
	if err != nil {
		return fmt.Errorf("forget the other root keys: %w", err)
	}
	r.mu.Lock()
	if !r.closed {
		r.root = seal
	}
	r.mu.Unlock()
	if err := r.at("forgotten and kept"); err != nil {
		return err
	}
	return r.store.gone(ctx, gone)
}

// Opens reports whether a root opens every KEK: fault.Sealed where it does not.
func (r *Ring) Opens(ctx context.Context, root secret.Bytes) error {
	opener, err := rootKey(root)
	if err != nil {
		return err
	}
	return r.opens(ctx, r.store.read(), opener)
}

func (r *Ring) opens(ctx context.Context, q querier, opener envelope.Key) error {
	rows, err := kekRows(ctx, q, opener.ID())
	if err != nil {
		return err
	}
	for _, k := range rows {
		b, err := r.openKEK(opener, k)
		if err != nil {
			return err
		}
		b.Wipe()
	}
	return nil
}

// rootKey returns the key that this ring opens KEKs with.
func (r *Ring) rootKey() envelope.Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.root
}

// kekRow is a KEK that is not destroyed, with its box under one root; nil where that
// root has none.
type kekRow struct {
	version int
	id      string
	box     []byte
}

// kekRows reads the KEKs by rising version.
func kekRows(ctx context.Context, q querier, root string) (rows []kekRow, err error) {
	err = q.each(ctx, selectKEKs, func(scan func(...any) error) error {
		var k kekRow
		err := scan(&k.version, &k.id, &k.box)
		rows = append(rows, k)
		return err
	}, root)
	if err == nil && len(rows) == 0 {
		err = sealed("keys_damaged", "The database of keys holds no key.", "It must be the one this server was set up with.",
			"Put it back from its backup, then start again.", nil)
	}
	return rows, err
}

// learn reads the KEKs: at Open, and when another node has made one since.
func (r *Ring) learn(ctx context.Context, q querier) error {
	root := r.rootKey()
	rows, err := kekRows(ctx, q, root.ID())
	if err != nil {
		return err
	}
	keks, primary := map[string]envelope.Key{}, envelope.Key{}
	for _, k := range rows { // by rising version: the last one is the primary
		b, err := r.openKEK(root, k)
		if err != nil {
			return err
		}
		primary, err = envelope.NewKey(k.id, b)
		b.Wipe()
		if err != nil {
			return err
		}
		keks[k.id] = primary
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.keks, r.primary = keks, primary
	}
	return nil
}

// kek returns the KEK of this id, which another node may have made a moment ago.
func (r *Ring) kek(ctx context.Context, q querier, id string) (envelope.Key, error) {
	for range 2 {
		r.mu.RLock()
		k, ok := r.keks[id]
		r.mu.RUnlock()
		if ok {
			return k, nil
		}
		if err := r.learn(ctx, q); err != nil {
			return envelope.Key{}, err
		}
	}
	return envelope.Key{}, fmt.Errorf("sealed under unknown key %q", id)
}

// sealer returns the newest KEK that the database has. q is in a transaction of
// store.write, so nothing is sealed under a KEK that was replaced meanwhile.
func (r *Ring) sealer(ctx context.Context, q querier) (envelope.Key, error) {
	var version int
	var id string
	var made int64
	if _, err := q.one(ctx, newestKEK, []any{&version, &id, &made}); err != nil {
		return envelope.Key{}, err
	}
	return r.kek(ctx, q, id)
}

// openKEK opens a KEK with a root key.
func (r *Ring) openKEK(opener envelope.Key, k kekRow) (secret.Bytes, error) {
	sealer, err := envelope.KeyID(k.box)
	if len(k.box) == 0 || err == nil && sealer != opener.ID() {
		return secret.Bytes{}, sealed("root_wrong", fmt.Sprintf("%s is not the root key of %s.", r.o.rootName(), r.place()),
			"Both must come from the same set-up.", "Put the root.key back that belongs to these keys, or the keys that belong to this root.key.", nil)
	}
	b, err := opener.Open(k.box, kekPlace(k.id, k.version))
	if err != nil {
		return secret.Bytes{}, sealed("keys_damaged", fmt.Sprintf("A key in %s does not open with the root key (%s).", r.place(), r.o.rootName()),
			"It must be unchanged since it was written.", "Put the database of keys back from its backup.", err)
	}
	return b, nil
}

// insertPrimary stores a KEK that is the newest from now on.
func insertPrimary(ctx context.Context, q querier, root envelope.Key, id string, version int, b secret.Bytes, now time.Time) error {
	if _, err := q.exec(ctx, insertKEK, version, id, now.UnixMicro()); err != nil {
		return err
	}
	_, err := q.exec(ctx, insertRoot, id, root.ID(), root.Seal(b.Reveal(), kekPlace(id, version)))
	return err
}

// gone proves that no piece of boxes that were deleted is left in a file. On
// PostgreSQL only the rows can be asked, and their deletion is committed.
func (s *store) gone(ctx context.Context, t traces) error {
	if s.file == "" {
		return nil
	}
	left, err := s.holds(t)
	if err == nil && left {
		if _, err = s.read().exec(ctx, "VACUUM"); err == nil {
			left, err = s.holds(t)
		}
	}
	if err != nil {
		return fmt.Errorf("verify that the key is gone: %w", err)
	}
	if left {
		return unverified("A file beside keys.db, or keys.db itself, still holds the destroyed key.")
	}
	return nil
}

// collect adds the traces of the boxes that a statement selects.
func (t *traces) collect(ctx context.Context, q querier, statement string, args ...any) error {
	return q.each(ctx, statement, func(scan func(...any) error) error {
		var box []byte
		err := scan(&box)
		t.add(trace(box))
		return err
	}, args...)
}

// upgrade brings a database that was made when a KEK had one box, and no key had
// been replaced yet, to the tables of today. It changes nothing where another node
// was first.
func (s *store) upgrade(ctx context.Context) error {
	err := s.write(ctx, func(q querier) error {
		for _, change := range upgrades {
			if _, err := q.exec(ctx, change); err != nil {
				return err
			}
		}
		boxes := map[string][]byte{}
		err := q.each(ctx, `SELECT id, box FROM keyring_kek`, func(scan func(...any) error) error {
			var id string
			var box []byte
			err := scan(&id, &box)
			boxes[id] = box
			return err
		})
		for id, box := range boxes {
			root, damaged := envelope.KeyID(box)
			_, failed := q.exec(ctx, insertRoot, id, root, box)
			err = errors.Join(err, damaged, failed)
		}
		if err != nil {
			return err
		}
		_, err = q.exec(ctx, `ALTER TABLE keyring_kek DROP COLUMN box`)
		return err
	})
	if taken(err) {
		return nil
	}
	return err
}

var upgrades = []string{
	`CREATE TABLE keyring_root (kek TEXT NOT NULL, root TEXT NOT NULL, box BYTEA NOT NULL, PRIMARY KEY (kek, root))`,
	`ALTER TABLE keyring_kek ADD COLUMN retired BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE keyring_kek ADD COLUMN destroyed BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE keyring_key ADD COLUMN kek TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE keyring_key ADD COLUMN seals BIGINT NOT NULL DEFAULT 0`,
	`ALTER TABLE keyring_named ADD COLUMN kek TEXT NOT NULL DEFAULT ''`,
	`UPDATE keyring_key SET kek = (SELECT id FROM keyring_kek)`,
	`UPDATE keyring_named SET kek = (SELECT id FROM keyring_kek)`,
	`CREATE INDEX keyring_key_kek ON keyring_key (kek, id)`,
}

// boxSize is the length of the box of a key: what overwrites one.
const boxSize = 2 + 32 + sealedPart

// errTwoRoots refuses what needs every root in use.
func errTwoRoots() error {
	return fault.New(fault.Conflict, "keys_two_roots", fault.Public{
		Problem:  "The root key is being replaced: two root keys open the keys at this moment.",
		Expected: "A new key is sealed under every root key in use, and this server knows one of them.",
		Next:     "Finish the replacement of the root key, then rotate again.",
	})
}

const (
	insertKEK  = `INSERT INTO keyring_kek (version, id, created) VALUES ($1, $2, $3)`
	insertRoot = `INSERT INTO keyring_root (kek, root, box) VALUES ($1, $2, $3) ON CONFLICT (kek, root) DO UPDATE SET box = excluded.box`
	selectKEKs = `SELECT k.version, k.id, b.box FROM keyring_kek AS k LEFT JOIN keyring_root AS b ON b.kek = k.id AND b.root = $1
		WHERE k.destroyed = 0 ORDER BY k.version`
	countRoots          = `SELECT count(DISTINCT root) FROM keyring_root`
	selectOtherRoots    = `SELECT box FROM keyring_root WHERE root <> $1`
	overwriteOtherRoots = `UPDATE keyring_root SET box = $2 WHERE root <> $1`
	deleteOtherRoots    = `DELETE FROM keyring_root WHERE root <> $1`
)
