package keyring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/secret"
)

// maxNamed bounds a named secret in bytes.
const maxNamed = 1024

// Named returns the secret of this name, such as "journal/sign". The first call
// makes n random bytes; later calls, on every node, get the same. Another n than
// the first gives fault.Invalid. A named secret belongs to no subject and is not erased.
func (r *Ring) Named(ctx context.Context, name string, n int) (secret.Bytes, error) {
	if err := checkName(name, n); err != nil {
		return secret.Bytes{}, err
	}
	r.mu.RLock()
	b, ok := r.named[name]
	if ok {
		b = secret.NewBytes(b.Reveal()) // the caller may wipe its copy, not ours
	}
	r.mu.RUnlock()
	if !ok {
		if err := r.open(); err != nil {
			return secret.Bytes{}, err
		}
		var err error
		if b, err = r.load(ctx, name, n); err != nil {
			return secret.Bytes{}, fmt.Errorf("read the secret %s: %w", name, err)
		}
	}
	if b.Len() != n {
		return secret.Bytes{}, fault.Newf(fault.Invalid, "secret_size", "The secret %s has %d bytes, not %d.", name, b.Len(), n)
	}
	return b, nil
}

// load reads the secret, or makes it, and caches a copy.
func (r *Ring) load(ctx context.Context, name string, n int) (secret.Bytes, error) {
	r.making.Lock()
	defer r.making.Unlock()
	var box []byte
	found, err := r.store.read().one(ctx, selectNamed, []any{&box}, name)
	if err == nil && !found {
		err = r.store.write(ctx, func(q querier) error {
			if found, err := q.one(ctx, selectNamed, []any{&box}, name); err != nil || found {
				return err
			}
			kek, err := r.sealer(ctx, q)
			if err != nil {
				return err
			}
			if err := insertSecret(ctx, q, kek, name, secret.Random(n), r.now()); err != nil {
				return err
			}
			_, err = q.one(ctx, selectNamed, []any{&box}, name)
			return err
		})
	}
	if err != nil {
		return secret.Bytes{}, err
	}
	b, err := r.openBox(ctx, r.store.read(), box, namedPlace(name))
	if err != nil {
		return secret.Bytes{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.named[name] = secret.NewBytes(b.Reveal())
	}
	return b, nil
}

// openBox opens a box of keys.db with the KEK that it names.
func (r *Ring) openBox(ctx context.Context, q querier, box []byte, place envelope.AAD) (secret.Bytes, error) {
	id, err := envelope.KeyID(box)
	if err == nil {
		var kek envelope.Key
		if kek, err = r.kek(ctx, q, id); errors.Is(err, fault.Unavailable) || errors.Is(err, fault.Sealed) {
			return secret.Bytes{}, err
		}
		if err == nil {
			var b secret.Bytes
			if b, err = kek.Open(box, place); err == nil {
				return b, nil
			}
		}
	}
	return secret.Bytes{}, sealed("key_damaged", "A stored key does not open.", "It must be unchanged and in the row it was written to.",
		"Tell the operator: the database of keys was changed; compare it with its backup.", fmt.Errorf("%s %s: %w", place.Table, place.Row, err))
}

// insertSecret seals b under kek and stores it.
func insertSecret(ctx context.Context, q querier, kek envelope.Key, name string, b secret.Bytes, now time.Time) error {
	defer b.Wipe()
	_, err := q.exec(ctx, insertNamed, name, 1, kek.ID(), kek.Seal(b.Reveal(), namedPlace(name)), now.UnixMicro())
	return err
}

func namedPlace(name string) envelope.AAD {
	return envelope.AAD{Table: "keyring_named", Column: "box", Row: name, Version: 1}
}

func checkName(name string, n int) error {
	for part := range strings.SplitSeq(name, "/") {
		if !isWord(part) || len(name) > 100 {
			return fault.Newf(fault.Invalid, "secret_name", "%q is no name of a secret: words of lower-case letters, digits and hyphens between slashes are.", name)
		}
	}
	if n < 16 || n > maxNamed {
		return fault.Newf(fault.Invalid, "secret_size", "A named secret has 16 to %d bytes, not %d.", maxNamed, n)
	}
	return nil
}

const (
	selectNamed = `SELECT box FROM keyring_named WHERE name = $1`
	insertNamed = `INSERT INTO keyring_named (name, version, kek, box, created) VALUES ($1, $2, $3, $4, $5)`
)
