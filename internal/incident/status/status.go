package status

import (
	"context"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/notify"
	"writ/internal/secret"
	"writ/internal/web"
)

// Letters is what this package needs of whoever sends letters.
type Letters interface {
	Prepare(ctx context.Context, m mail.Message) (jobs.Job, error)
	Enqueue(ctx context.Context, tx *ledger.Tx, job jobs.Job) error
}

// Courier sends one letter now and says what became of it.
type Courier interface {
	Deliver(ctx context.Context, m mail.Message) (mail.Answer, error)
}

// Hooks calls addresses that subscribers chose, and none that lead inside.
type Hooks interface {
	// GoodURL says what is expected of an address that is not called; "" = it is good.
	GoodURL(address string) string
	Call(ctx context.Context, c notify.Call) notify.Reply
}

// Reach knows whom letters do not reach.
type Reach interface {
	// Arrived prepares to forget that they did not reach an address, for the change that shows
	// they do.
	Arrived(ctx context.Context, address string) (func(ctx context.Context, tx *ledger.Tx) error, error)
}

// Gate closes the application for maintenance. What a person sets is theirs: HoldClosed closes an
// open gate once for each name, and Release opens it where nothing else closed it. Held names what holds it.
type Gate interface {
	HoldClosed(ctx context.Context, who actor.Actor, name string, until time.Time) error
	Release(ctx context.Context, who actor.Actor, name string) error
	Held(ctx context.Context) ([]string, error)
}

// Queue is what this package needs of jobs.Jobs.
type Queue interface {
	Prepare(ctx context.Context, kind string, payload []byte) (jobs.Job, error)
	Enqueue(ctx context.Context, tx *ledger.Tx, job jobs.Job) error
	Handle(kind string, h jobs.Handler)
}

// Deps are what a Service is made of. Host, Names, Folder, Places, Leases, Reach, Closed, Gate and Asks may be empty.
type Deps struct {
	DB      *ledger.DB
	Ring    *keyring.Ring
	Letters Letters
	Courier Courier
	Hooks   Hooks
	Jobs    Queue
	Access  *access.Access
	Company func() string
	Origin  string // https://app.example.com
	Now     func() time.Time
	Log     *slog.Logger

	Host   string                                      // a name at which the page is alone; "" = there is none
	Names  func(ctx context.Context) ([]string, error) // of customers, which no text may hold
	Folder string                                      // where the page is written as files
	Places map[string]Put                              // other places that it is published to, by name
	Record Record
	Leases Leases // of places that several nodes share; nil = there is one node
	Reach  Reach
	Closed func() bool // the gate lets nobody in
	Gate   Gate        // nil = no maintenance closes one
	Asks   bool        // maintenance waits for a person's word before it begins
}

// Service is the status page. It is safe for concurrent use.
type Service struct {
	Deps
	shown  atomic.Pointer[shown]
	forms  *web.Pages
	copies []*copied

	proofMu sync.Mutex
	proofOf string // sum of the sums
	proof   map[string]file
}

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Ring == nil || d.Letters == nil || d.Courier == nil || d.Hooks == nil || d.Jobs == nil || d.Record == nil || d.Access == nil || d.Company == nil || !strings.HasPrefix(d.Origin, "https://") || d.Now == nil || d.Log == nil {
		return nil, errors.New("status: a dependency is missing")
	}
	forms, err := web.NewPages(formFS, web.Funcs{Now: d.Now})
	if err != nil {
		return nil, err
	}
	s := &Service{Deps: d, forms: forms, copies: copies(d)}
	tell := jobs.Handler{Run: s.notify, Tries: 2 * mostNotices, Wait: 15 * time.Second, Limit: 45 * time.Second, Hands: 2}
	d.Jobs.Handle(noticeKind, tell)
	tell.Hands = 1
	d.Jobs.Handle(hookKind, tell)
	d.Jobs.Handle(spreadKind, jobs.Handler{Run: s.spread, Tries: 30, Wait: time.Second, Limit: 10 * time.Minute})
	d.Jobs.Handle(challengeKind, jobs.Handler{Run: s.challenge, Tries: 5, Wait: 10 * time.Second, Limit: 45 * time.Second, Hands: 1})
	return s, nil
}

//go:embed templates/*.html
var formFS embed.FS

// At is where the page is.
const At = "/-/status"

// alphabet has no letters that are taken for one another.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// newID is twelve characters, as readers of such pages expect.
func newID() string {
	b := secret.Random(12).Reveal()
	for i, x := range b {
		b[i] = alphabet[x%32]
	}
	return string(b)
}

// touch makes every node render anew.
func touch(ctx context.Context, tx *ledger.Tx) error {
	_, err := tx.Exec(ctx, nextTurn)
	return err
}

func (s *Service) seal(ctx context.Context, sub keyring.Subject, column, row string, b []byte) ([]byte, error) {
	k, err := s.Ring.Ensure(ctx, sub)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", column, err)
	}
	return k.Seal(b, boxed(column, row)), nil
}

func boxed(column, row string) envelope.AAD {
	t, c, _ := strings.Cut(column, ".")
	return envelope.AAD{Table: t, Column: c, Row: row, Version: 1}
}

func sum(t secret.Text) string { h := t.Sum(); return hex.EncodeToString(h[:]) }
func us(t time.Time) int64     { return t.UnixMicro() }
func at(us int64) time.Time    { return time.UnixMicro(us).UTC() }

func when(n *int64) (t time.Time) {
	if n != nil {
		t = at(*n)
	}
	return t
}

func some(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	n := us(t)
	return &n
}

const (
	nextTurn = `UPDATE incident_status_turn SET n = n + 1 WHERE one = 1`
	readTurn = `SELECT n FROM incident_status_turn WHERE one = 1`
)
