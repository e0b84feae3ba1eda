package journal

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/merkle"
	"writ/internal/secret"
)

// Ring is what the journal needs of *keyring.Ring.
type Ring interface {
	Named(ctx context.Context, name string, n int) (secret.Bytes, error)
	ByID(ctx context.Context, id string) (envelope.Key, error)
}

// Jobs is what the journal needs of *jobs.Jobs: a run each so often on one node.
type Jobs interface {
	Every(name string, every time.Duration, run func(context.Context) error)
}

// Access is what the journal needs of *access.Access.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
}

// Deps is what New needs. All but Jobs, Access, Lease and Revision must be set.
type Deps struct {
	DB       *ledger.DB
	Ring     Ring
	Jobs     Jobs   // nil: no nightly check by itself
	Access   Access // nil: everything is refused
	Origin   string // public host or origin, e.g. app.example.com; the log is named <host>/journal/<year>
	Now      func() time.Time
	Log      *slog.Logger
	Revision func() string // the policy revision in force, for the manifest of exports
	Lease    time.Duration // how long a sequencer's lease holds; 0 = 10 s
}

// Journal is the one journal of a server.
type Journal struct {
	db     *ledger.DB
	ring   Ring
	access Access
	now    func() time.Time
	log    *slog.Logger
	host   string
	rev    func() string
	ttl    time.Duration
	node   string
	rules  *slot
	wake   <-chan struct{}

	keyMu  sync.Mutex
	origin string
	signer note.Signer
	vkey   string
	verif  note.Verifier

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced after each batch of this node
	followers []*follower
	stopped   error // why nothing is signed; guarded by mu
	running   bool

	report atomic.Pointer[Report] // of the last full check
	leads  atomic.Bool
}

//go:embed schema/*.sql
var schemaFiles embed.FS

// New makes the journal; call Run to number entries.
func New(d Deps) (*Journal, error) {
	if d.DB == nil || d.Ring == nil || d.Now == nil || d.Log == nil || d.Origin == "" {
		return nil, errors.New("journal: DB, Ring, Origin, Now and Log must be set")
	}
	j := &Journal{db: d.DB, ring: d.Ring, access: d.Access, now: d.Now, log: d.Log, rev: d.Revision, ttl: d.Lease,
		changed: make(chan struct{}), wake: d.DB.Wake(), rules: &slot{Live: clause.NewLive[Rules](d.Now)}}
	j.host = d.Origin
	if _, rest, ok := strings.Cut(j.host, "://"); ok {
		j.host = rest
	}
	j.host = strings.TrimRight(j.host, "/")
	if j.ttl == 0 {
		j.ttl = 10 * time.Second
	}
	if j.access == nil {
		j.access = access.New(access.Deps{Log: d.DB, Now: d.Now})
	}
	if j.rev == nil {
		j.rev = func() string { return "" }
	}
	var b [4]byte
	rand.Read(b[:])
	name, _ := os.Hostname() //nolint:errcheck // the name is for people; the random part tells nodes apart
	j.node = fmt.Sprintf("%s-%d-%s", name, os.Getpid(), hex.EncodeToString(b[:]))
	if d.Jobs != nil {
		d.Jobs.Every("journal/full-check", 24*time.Hour, j.nightly) // clause: log.tamper-evident
	}
	return j, nil
}

// Schema is the journal's tables.
func Schema() ledger.Schema {
	sub, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic("journal: " + err.Error()) // the folder is compiled in
	}
	return ledger.Schema{Module: "journal", FS: sub}
}

// Schema is the journal's tables.
func (j *Journal) Schema() ledger.Schema { return Schema() }

// Slots are the rules the policy drives.
func (j *Journal) Slots() []clause.Slot { return []clause.Slot{j.rules} }

// Head is the newest committed state of the journal.
type Head struct {
	Origin string
	Size   int64       // number of entries
	Root   merkle.Hash // of their tree
	Note   []byte      // the signed checkpoint
	Epoch  int64       // how many sequencers there have been
	At     time.Time   // when the newest entry was numbered
	Signed time.Time   // when the head was last checked and signed
}

// Head reads the newest committed checkpoint; fault.Unavailable before the first.
func (j *Journal) Head(ctx context.Context) (Head, error) {
	h, _, err := readHead(ctx, j.db, selectHead)
	if errors.Is(err, fault.NotFound) || err == nil && len(h.Note) == 0 {
		return Head{}, &fault.Error{Kind: fault.Unavailable, Code: "journal_empty", RetryAfter: time.Second, Public: fault.Public{
			Problem: "The journal has not signed anything yet.", Next: "Try again in a moment."}}
	}
	return h, err
}

// Key is the verifier key of the journal in the note format: what an auditor is given,
// by another way than the evidence.
func (j *Journal) Key(ctx context.Context) (string, error) {
	if err := j.loadKey(ctx); err != nil {
		return "", err
	}
	return j.vkey, nil
}

// Stopped says why nothing is numbered and signed any more, or nil.
func (j *Journal) Stopped() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.stopped
}

// Leads reports whether this node numbers the entries.
func (j *Journal) Leads() bool { return j.leads.Load() }

// loadKey makes the signing key for the origin on record, once. The origin keeps the
// year in which the log began.
func (j *Journal) loadKey(ctx context.Context) error {
	j.keyMu.Lock()
	defer j.keyMu.Unlock()
	if j.signer != nil {
		return nil
	}
	h, _, err := readHead(ctx, j.db, selectHead)
	if errors.Is(err, fault.NotFound) {
		if err = j.begin(ctx); err == nil {
			h, _, err = readHead(ctx, j.db, selectHead)
		}
	}
	if err != nil {
		return fmt.Errorf("read journal head: %w", err)
	}
	seed, err := j.ring.Named(ctx, "journal/sign", 32)
	if err != nil {
		return fmt.Errorf("get signing key of the journal: %w", err)
	}
	defer seed.Wipe()
	s, vkey, err := merkle.NewSigner(h.Origin, seed)
	if err != nil {
		return err
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	j.origin, j.signer, j.vkey, j.verif = h.Origin, s, vkey, v
	return nil
}

// begin writes the head of an empty journal. A missing head above entries is no empty
// journal: somebody removed it.
func (j *Journal) begin(ctx context.Context) error {
	var n int64
	err := ledger.One(ctx, j.db, selectLast, []any{&n})
	if err == nil {
		return tampered(Finding{Kind: "truncated", N: n, Says: fmt.Sprintf("the head is missing while entry %d is there", n)})
	}
	if !errors.Is(err, fault.NotFound) {
		return err
	}
	root := merkle.EmptyRoot()
	origin := fmt.Sprintf("%s/journal/%d", j.host, j.now().UTC().Year())
	return j.db.Quiet(ctx, ledger.Sequencing, func(t *ledger.Tx) error {
		_, err := t.Exec(ctx, insertHead, origin, root[:])
		return err
	})
}

// readHead reads the head with one of the statements that give its columns.
func readHead(ctx context.Context, r ledger.Reader, query string, args ...any) (h Head, until int64, err error) {
	var root []byte
	var at, signed int64
	err = ledger.One(ctx, r, query, []any{&h.Origin, &h.Epoch, &until, &h.Size, &root, &at, &signed, &h.Note}, args...)
	if err != nil {
		return Head{}, 0, err
	}
	if len(root) != len(h.Root) {
		return Head{}, 0, tampered(Finding{Kind: "altered", N: -1, Says: "the root in the head is not a hash"})
	}
	h.Root, h.At, h.Signed = merkle.Hash(root), time.UnixMicro(at).UTC(), time.UnixMicro(signed).UTC()
	return h, until, nil
}

// announce tells those who wait that there are more entries.
func (j *Journal) announce() {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.changed)
	j.changed = make(chan struct{})
}

func (j *Journal) news() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.changed
}

const (
	headColumns = `origin, epoch, until, size, root, at, signed, note`
	selectHead  = `SELECT ` + headColumns + ` FROM journal_head WHERE one = 1`
	insertHead  = `INSERT INTO journal_head (one, origin, epoch, holder, until, beat, size, root, at, signed, note)
		VALUES (1, $1, 0, '', 0, 0, 0, $2, 0, 0, '') ON CONFLICT (one) DO NOTHING`
	selectLast = `SELECT n FROM journal_entry ORDER BY n DESC LIMIT 1`
)
