package acme

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Keys gives named secrets; *keyring.Ring.
type Keys interface {
	Named(ctx context.Context, name string, n int) (secret.Bytes, error)
}

// Storage keeps certmagic's files in the ledger, each sealed. It implements certmagic.Storage.
type Storage struct {
	db  *ledger.DB
	key envelope.Key
	now func() time.Time

	mu   sync.Mutex // guards held
	held map[string]hold
}

type hold struct {
	owner string
	stop  context.CancelFunc
}

const (
	leaseTime  = 2 * time.Minute // a lock's, unless it is renewed
	leaseRenew = 30 * time.Second
	lockPoll   = 500 * time.Millisecond
)

// NewStorage makes a Storage over the ledger's tables.
func NewStorage(ctx context.Context, db *ledger.DB, keys Keys, now func() time.Time) (*Storage, error) {
	k, err := keys.Named(ctx, "gateway/acme", envelope.KeySize)
	if err != nil {
		return nil, fmt.Errorf("get key of certificates: %w", err)
	}
	key, err := envelope.NewKey("gateway/acme", k)
	if err != nil {
		return nil, fmt.Errorf("get key of certificates: %w", err)
	}
	return &Storage{db: db, key: key, now: now, held: map[string]hold{}}, nil
}

func place(name string) envelope.AAD {
	return envelope.AAD{Table: "gateway_acme", Column: "box", Row: name}
}

// Stored says that something of a certificate was stored or removed.
type Stored struct {
	Kind    string `class:"public"` // account, certificate, key, challenge or other
	Removed bool   `class:"public"`
}

// About implements ledger.Event.
func (e Stored) About() ledger.About {
	return ledger.About{Name: "gateway.acme-stored", Clause: "crypto.certificates", Object: "acme/" + e.Kind}
}

func kindOf(name string) string {
	switch {
	case strings.Contains(name, "/users/"):
		return "account"
	case strings.Contains(name, "challenge_tokens"):
		return "challenge"
	case strings.HasSuffix(name, ".key"):
		return "key"
	case strings.HasPrefix(name, "certificates/"):
		return "certificate"
	}
	return "other"
}

// Store implements certmagic.Storage.
func (s *Storage) Store(ctx context.Context, name string, value []byte) error {
	box := s.key.Seal(value, place(name))
	_, err := s.db.Change(ctx, actor.System("gateway"), func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, upsertFile, name, box, len(value), tx.Now().UnixMicro())
		return Stored{Kind: kindOf(name)}, err
	})
	if err != nil {
		return fmt.Errorf("store %s: %w", kindOf(name), err)
	}
	return nil
}

// Load implements certmagic.Storage.
func (s *Storage) Load(ctx context.Context, name string) ([]byte, error) {
	var box []byte
	if err := ledger.One(ctx, s.db, selectFile, []any{&box, new(int64), new(int64)}, name); err != nil {
		return nil, missing(err)
	}
	plain, err := s.key.Open(box, place(name))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", kindOf(name), err)
	}
	return plain.Reveal(), nil
}

// missing is the error that certmagic knows.
func missing(err error) error {
	if errors.Is(err, fault.NotFound) {
		return fs.ErrNotExist
	}
	return fmt.Errorf("read what is stored of certificates: %w", err)
}

// Delete implements certmagic.Storage.
func (s *Storage) Delete(ctx context.Context, name string) error {
	_, err := s.db.Change(ctx, actor.System("gateway"), func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, deleteFiles, name, name+"/", len(name)+1)
		return Stored{Kind: kindOf(name), Removed: true}, err
	})
	if err != nil {
		return fmt.Errorf("remove %s: %w", kindOf(name), err)
	}
	return nil
}

// Exists implements certmagic.Storage.
func (s *Storage) Exists(ctx context.Context, name string) bool {
	names, err := s.List(ctx, name, true)
	if err == nil && len(names) > 0 {
		return true
	}
	_, err = s.Stat(ctx, name)
	return err == nil
}

// List implements certmagic.Storage.
func (s *Storage) List(ctx context.Context, path string, recursive bool) ([]string, error) {
	prefix := strings.TrimSuffix(path, "/") + "/"
	if path == "" {
		prefix = ""
	}
	var out []string
	seen := map[string]bool{}
	err := s.db.Each(ctx, selectNames, func(scan ledger.Scan) error {
		var name string
		if err := scan(&name); err != nil {
			return err //nolint:wrapcheck // the ledger's own
		}
		if !recursive {
			child, _, _ := strings.Cut(name[len(prefix):], "/")
			name = prefix + child
		}
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
		return nil
	}, prefix, len(prefix))
	if err != nil {
		return nil, fmt.Errorf("list what is stored of certificates: %w", err)
	}
	if len(out) == 0 {
		return nil, fs.ErrNotExist
	}
	return out, nil
}

// Stat implements certmagic.Storage.
func (s *Storage) Stat(ctx context.Context, name string) (certmagic.KeyInfo, error) {
	var size, modified int64
	err := ledger.One(ctx, s.db, selectFile, []any{new([]byte), &size, &modified}, name)
	if err == nil {
		return certmagic.KeyInfo{Key: name, Size: size, Modified: time.UnixMicro(modified).UTC(), IsTerminal: true}, nil
	}
	if names, e := s.List(ctx, name, true); e == nil && len(names) > 0 {
		return certmagic.KeyInfo{Key: name}, nil
	}
	return certmagic.KeyInfo{}, missing(err)
}

// Lock implements certmagic.Locker. It waits until nobody else holds the lock, or its
// owner has died.
func (s *Storage) Lock(ctx context.Context, name string) error {
	owner := secret.RandomText(16).Reveal()
	for {
		got, err := s.lease(ctx, name, owner)
		if err != nil {
			return err
		}
		if got {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // certmagic compares it
		case <-time.After(lockPoll):
		}
	}
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.mu.Lock()
	s.held[name] = hold{owner, stop}
	s.mu.Unlock()
	go s.keep(keep, name, owner)
	return nil
}

// keep renews a lease as long as the lock is held.
func (s *Storage) keep(ctx context.Context, name, owner string) {
	tick := time.NewTicker(leaseRenew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, _ = s.lease(ctx, name, owner) // tried again before it ends
		}
	}
}

func (s *Storage) lease(ctx context.Context, name, owner string) (got bool, err error) {
	now := s.now()
	err = s.db.Quiet(ctx, ledger.Lease, func(tx *ledger.Tx) error {
		if _, err := tx.Exec(ctx, takeLock, name, owner, now.Add(leaseTime).UnixMicro(), now.UnixMicro()); err != nil {
			return err
		}
		var has string
		err := ledger.One(ctx, tx, selectLock, []any{&has}, name)
		got = has == owner
		return err //nolint:wrapcheck // the ledger says what failed
	})
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", name, err)
	}
	return got, nil
}

// Unlock implements certmagic.Locker.
func (s *Storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	h, ok := s.held[name]
	delete(s.held, name)
	s.mu.Unlock()
	if !ok {
		return fmt.Errorf("unlock %s: it is not held here", name)
	}
	h.stop()
	err := s.db.Quiet(context.WithoutCancel(ctx), ledger.Lease, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, dropLock, name, h.owner)
		return err
	})
	if err != nil {
		return fmt.Errorf("unlock %s: %w", name, err)
	}
	return nil
}

const (
	upsertFile = `INSERT INTO gateway_acme (name, box, size, modified) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET box = excluded.box, size = excluded.size, modified = excluded.modified`
	selectFile  = `SELECT box, size, modified FROM gateway_acme WHERE name = $1`
	deleteFiles = `DELETE FROM gateway_acme WHERE name = $1 OR substr(name, 1, $3) = $2`
	selectNames = `SELECT name FROM gateway_acme WHERE substr(name, 1, $2) = $1 ORDER BY name`
	takeLock    = `INSERT INTO gateway_acme_lock (name, owner, until) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
		WHERE gateway_acme_lock.until < $4 OR gateway_acme_lock.owner = excluded.owner`
	selectLock = `SELECT owner FROM gateway_acme_lock WHERE name = $1`
	dropLock   = `DELETE FROM gateway_acme_lock WHERE name = $1 AND owner = $2`
)
