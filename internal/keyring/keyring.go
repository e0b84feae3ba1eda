package keyring

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/secret"
)

// Options say where the keys are.
type Options struct {
	Dir  string           // the server's folder; holds root.key and keys.db
	URL  string           // keys.url, a PostgreSQL database; "" means DIR/keys.db
	Root string           // path of the root key where it lies elsewhere; "" means DIR/root.key
	Now  func() time.Time // the clock; required

	// Backups is the folder of backups; "" means DIR/backups/keys, and none beside URL.
	Backups string

	// Given is the root key itself where no file holds it: combined from shares, or
	// handed out by a key service. Root is not read then. The caller wipes it.
	Given secret.Bytes
}

func (o Options) root() string {
	if o.Root != "" {
		return o.Root
	}
	return filepath.Join(o.Dir, "root.key")
}

func (o Options) check() error {
	if o.Dir == "" || o.Now == nil {
		return fault.Newf(fault.Internal, "keyring_options", "The keyring needs a folder and a clock.")
	}
	return nil
}

// rootName says in a fault which root key is meant.
func (o Options) rootName() string {
	if !o.Given.IsZero() {
		return "The root key that was given"
	}
	return o.root()
}

// readRoot returns the root key that o names; the caller wipes it.
func (o Options) ReadRoot() (secret.Bytes, error) {
	if !o.Given.IsZero() {
		return secret.NewBytes(o.Given.Reveal()), nil
	}
	return ReadRoot(o.root())
}

// Names of the secrets that the ring makes for itself.
const (
	nameIndex = "keyring/index"
	namePage  = "ledger/page"
	pageSize  = 64 // AES-256-XTS takes two keys of 32 bytes; half of it would silently mean AES-128
)

// sharedLife is how long a key from a database that other nodes share is used
// without asking again whether it was destroyed.
const sharedLife = time.Second

// maxCached bounds the keys held in memory.
const maxCached = 1 << 16

// Ring gives out keys and destroys them. It is safe for concurrent use.
type Ring struct {
	o     Options
	store *store
	now   func() time.Time

	index envelope.Key // makes marks; set by Open, then only read

	// making lets one goroutine of this process create at a time; the store orders processes.
	making sync.Mutex
	// erasing lets one erasure run at a time.
	erasing sync.Mutex
	// shelving lets one piece of work on backups run at a time.
	shelving sync.Mutex

	mu      sync.RWMutex
	closed  bool                    // under mu
	root    envelope.Key            // under mu; seals KEKs; derived from the root key, which is not kept
	keks    map[string]envelope.Key // under mu; by id
	primary envelope.Key            // under mu; the newest of keks: seals
	named   map[string]secret.Bytes // under mu
	meters  map[string]*meter       // under mu; by key id
	cache                           // under mu

	step func(string) error // tests stop the ring's work here; nil otherwise
}

// Create makes root.key and keys.db in o.Dir, or root.key and the tables at o.URL;
// no root.key where o.Given is the root key.
// It gives fault.Conflict where either is there already and changes nothing then;
// an attempt that fails takes away what it made.
func Create(ctx context.Context, o Options) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of the keys: %w", err)
	}
	file := filepath.Join(o.Dir, "keys.db")
	if o.URL == "" {
		if _, err := os.Lstat(file); err == nil {
			return exists(file)
		}
	}
	root, undo := o.Given, []string(nil)
	if root.IsZero() {
		if root, err = writeRoot(o.root()); err != nil {
			return err
		}
		defer root.Wipe()
		undo = append(undo, o.root())
	}
	defer func() {
		if err != nil {
			for _, path := range undo {
				err = errors.Join(err, os.Remove(path))
			}
		}
	}()
	if o.URL == "" {
		if err := makeFile(file); err != nil {
			return err
		}
		undo = append(undo, file)
	}
	s, err := openStore(o)
	if err != nil {
		return err
	}
	return errors.Join(s.fill(ctx, root, o.Now()), s.close())
}

// fill makes the tables with the first KEK and the ring's own secrets, all or nothing.
func (s *store) fill(ctx context.Context, root secret.Bytes, now time.Time) error {
	seal, err := rootKey(root)
	if err != nil {
		return err
	}
	kek, b, err := freshKey(now)
	if err != nil {
		return err
	}
	defer b.Wipe()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return away("begin", err)
	}
	defer tx.Rollback()
	q := querier{tx, s.q}
	for _, t := range tables {
		if _, err := q.exec(ctx, t); err != nil {
			if taken(err) {
				return exists("the set of tables keyring_* at keys.url")
			}
			return err
		}
	}
	if err := insertPrimary(ctx, q, seal, kek.ID(), 1, b, now); err != nil {
		return err
	}
	for name, size := range map[string]int{nameIndex: envelope.KeySize, namePage: pageSize} {
		if err := insertSecret(ctx, q, kek, name, secret.Random(size), now); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return away("commit", err)
	}
	return nil
}

// Open reads root.key (or takes o.Given), opens the database of keys with it and
// finishes erasures that a former process began. It gives fault.Sealed where root.key or keys.db is
// missing, readable by others, damaged, or not of one pair; fault.Unavailable where
// the database does not answer.
func Open(ctx context.Context, o Options) (*Ring, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	root, err := o.ReadRoot()
	if err != nil {
		return nil, err
	}
	defer root.Wipe()
	seal, err := rootKey(root)
	if err != nil {
		return nil, err
	}
	s, err := openStore(o)
	if err != nil {
		return nil, err
	}
	r := &Ring{o: o, store: s, now: o.Now, root: seal, named: map[string]secret.Bytes{}, meters: map[string]*meter{}, cache: newCache()}
	if err := r.unseal(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err := r.resume(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("finish an erasure begun earlier: %w", err), s.close())
	}
	return r, nil
}

// unseal opens the KEKs and the ring's own secrets.
func (r *Ring) unseal(ctx context.Context) error {
	err := r.learn(ctx, r.store.read())
	if unusable(err) { // made before roots had a table of their own, or none of ours
		if err = r.store.upgrade(ctx); err == nil {
			err = r.learn(ctx, r.store.read())
		}
	}
	if unusable(err) {
		return sealed("keys_damaged", r.place()+" is no database of keys.", "It must be the one this server was set up with.",
			"Put it back from its backup, then start again.", err)
	}
	if err != nil {
		return err
	}
	if err := r.store.guard(ctx); err != nil {
		return err
	}
	index, err := r.Named(ctx, nameIndex, envelope.KeySize)
	if err != nil {
		return fmt.Errorf("open the index secret: %w", err)
	}
	if r.index, err = envelope.NewKey("index", index); err != nil {
		return err
	}
	_, err = r.Named(ctx, namePage, pageSize)
	return err
}

// place names the database of keys for people, without the password in a URL.
func (r *Ring) place() string {
	if r.store.file != "" {
		return r.store.file
	}
	return "the database at keys.url"
}

// Format shows where the keys are under every verb, and no key: %s would otherwise
// follow pointers in unexported fields.
func (r *Ring) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[keys in %s]", r.place()) }

// LogValue shows where the keys are.
func (r *Ring) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

// Page returns the 64-byte AES-256-XTS key of the ledger's SQLite pages; nothing
// after Close.
func (r *Ring) Page() secret.Bytes {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return secret.NewBytes(r.named[namePage].Reveal())
}

// Close forgets all keys and closes the database. Keys given out before still
// work; everything asked later gives fault.Sealed. Closing again does nothing.
func (r *Ring) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	for _, b := range r.named {
		b.Wipe()
	}
	r.named = nil
	r.root.Wipe()
	for _, k := range r.keks {
		k.Wipe()
	}
	r.root, r.keks, r.primary = envelope.Key{}, nil, envelope.Key{}
	clear(r.subjects)
	clear(r.ids)
	return r.store.close()
}

// open gives fault.Sealed after Close.
func (r *Ring) open() error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return sealed("ring_closed", "The keys were put away: the server is stopping.", "", "Ask again after it has started.", nil)
	}
	return nil
}

// freshKey makes a key and its id: 48 bit of milliseconds, then 80 random bit, in hex.
func freshKey(now time.Time) (envelope.Key, secret.Bytes, error) {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(now.UnixMilli())<<16)
	rand.Read(id[6:])
	b := secret.Random(envelope.KeySize)
	k, err := envelope.NewKey(hex.EncodeToString(id[:]), b)
	if err != nil {
		return envelope.Key{}, secret.Bytes{}, fmt.Errorf("make a key: %w", err)
	}
	return k, b, nil
}

// kekPlace binds a sealed KEK to its row.
func kekPlace(id string, version int) envelope.AAD {
	return envelope.AAD{Table: "keyring_kek", Column: "box", Row: id, Version: version}
}

// taken reports whether err says that a table exists already.
func taken(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "42P07" || pg.Code == "23505") || err != nil && strings.Contains(err.Error(), "already exists")
}

// unusable reports whether err says that the database is there and is not ours.
func unusable(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "42P01"
	}
	return errors.Is(err, sqlite3.NOTADB) || errors.Is(err, sqlite3.CORRUPT) ||
		err != nil && strings.Contains(err.Error(), "no such table")
}
