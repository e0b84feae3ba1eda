package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/incident"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/listen"
	"writ/internal/secret"
)

// Rehearsed is a copy of an application that a drill may damage.
type Rehearsed struct {
	Handler  http.Handler
	Recovery incident.Recovery
	Close    func() error
}

// Rehearsal makes one in a folder. A fresh folder is given data, a backup and damage, and it is
// said since when; in one that it made before, it goes on.
type Rehearsal func(ctx context.Context, dir string) (r Rehearsed, onset time.Time, err error)

// stage is what a drill of lost data is played on: a gate of its own on loopback, with keys and
// a ledger of its own, before a copy of the application. The gate is the same code as the real
// one; a drill is harmless because it reaches nothing else.
type stage struct {
	a        *App
	rehearse Rehearsal

	mu  sync.Mutex
	set *scene
}

func newStage(a *App, r Rehearsal) *stage {
	s := &stage{a: a, rehearse: r}
	a.closers = append(a.closers, s.close)
	return s
}

// scene is a stage that is set.
type scene struct {
	gate  *gateway.Gateway
	door  *canary.Door
	copy  Rehearsed
	onset time.Time
	acks  acks
	close []func() error // the last first
}

// acks are when the copy last acknowledged a change, and how many are under way.
type acks struct {
	next http.Handler
	last atomic.Int64 // began, µs; of those acknowledged
	n    atomic.Int64
}

// ServeHTTP implements http.Handler.
func (k *acks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now().UnixMicro()
	h := &ackWriter{ResponseWriter: w, status: http.StatusOK}
	k.next.ServeHTTP(h, r)
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions && h.status < 300 {
		k.last.Store(began)
		k.n.Add(1)
	}
}

type ackWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (h *ackWriter) WriteHeader(status int) { h.status = status; h.ResponseWriter.WriteHeader(status) }

// Unwrap lets http.ResponseController through.
func (h *ackWriter) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func (s *stage) dir() string { return s.a.path("drill") }

// Set implements incident.Stage: what a former drill left is gone, and a new copy is damaged.
func (s *stage) Set(ctx context.Context) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(s.strike(), os.RemoveAll(s.dir())); err != nil {
		return time.Time{}, fmt.Errorf("clear the stage: %w", err)
	}
	x, err := s.open(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return x.onset, nil
}

// Strike implements incident.Stage.
func (s *stage) Strike(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.strike(), os.RemoveAll(s.dir()))
}

func (s *stage) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.strike()
}

func (s *stage) strike() (err error) {
	if s.set == nil {
		return nil
	}
	for i := len(s.set.close) - 1; i >= 0; i-- {
		err = errors.Join(err, s.set.close[i]())
	}
	s.set = nil
	return err
}

// now is the scene; one that a process before has set is opened again.
func (s *stage) now(ctx context.Context) (*scene, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set != nil {
		return s.set, nil
	}
	if _, err := os.Stat(s.dir()); err != nil {
		return nil, fault.New(fault.Unavailable, "no_stage", fault.Public{Problem: "The stage of this drill is gone.", Next: "Cancel it, and begin another: writ incident drill data-loss"})
	}
	return s.open(ctx)
}

// open makes all parts of a scene, or goes on with what lies in its folder.
func (s *stage) open(ctx context.Context) (_ *scene, err error) {
	x := &scene{}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	x.close = append(x.close, func() error { end(); return nil })
	s.set = x
	defer func() {
		if err != nil {
			err = errors.Join(err, s.strike())
		}
	}()
	if err := os.MkdirAll(s.dir(), 0o700); err != nil {
		return nil, err
	}
	if x.copy, x.onset, err = s.rehearse(ctx, filepath.Join(s.dir(), "application")); err != nil {
		return nil, fmt.Errorf("make a copy of the application: %w", err)
	}
	x.close = append(x.close, x.copy.Close)
	x.acks.next = x.copy.Handler
	behind, err := serveOn(life, &x.acks, x)
	if err != nil {
		return nil, err
	}
	db, ring, err := s.record(ctx, life, x)
	if err != nil {
		return nil, err
	}
	rules, ok := s.a.gateway.Slots()[0].(*clause.Live[gateway.Rules])
	if !ok {
		return nil, errors.New("the gate has no rules")
	}
	x.gate, err = gateway.New(gateway.Deps{DB: db, Rules: rules, Sessions: noSessions{}, Access: s.a.access, Keys: ring, Origin: s.a.origin, Upstream: &url.URL{Scheme: "http", Host: behind},
		RoutesFile: filepath.Join(s.dir(), "routes.yaml"), Fail: func(w http.ResponseWriter, r *http.Request, err error) { s.a.web.Fail(w, r, err) }, Now: s.a.now, Log: s.a.log.With("module", "drill")})
	if err != nil {
		return nil, err
	}
	if err := x.gate.Start(ctx); err != nil {
		return nil, err
	}
	x.run(life, func(ctx context.Context) error { return x.gate.Run(ctx) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	front := listen.Door{Name: "drill", Listener: l, TLS: listen.TLSConfig(s.a.certs, x.gate.MinTLS, false, s.a.now), Handler: x.gate, Malformed: x.gate.Malformed}
	x.run(life, func(ctx context.Context) error { return listen.Serve(ctx, s.a.log, front) })
	x.door = canary.New(canary.Deps{Base: s.a.config.Origin(), Addr: l.Addr().String(), Roots: s.a.certs.Roots()})
	return x, nil
}

// run lets something work until the scene is struck, which waits for its end.
func (x *scene) run(life context.Context, work func(context.Context) error) {
	ctx, stop := context.WithCancel(life)
	done := make(chan struct{})
	go func() { defer close(done); _ = work(ctx) }() // a drill's trouble shows in its checks
	x.close = append(x.close, func() error { stop(); <-done; return nil })
}

// serveOn serves the copy on loopback, for the gate alone.
func serveOn(life context.Context, h http.Handler, x *scene) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	x.run(life, func(ctx context.Context) error {
		context.AfterFunc(ctx, func() { _ = srv.Close() })
		return srv.Serve(l)
	})
	return l.Addr().String(), nil
}

// record makes the keys and the ledger in which the drill's gate keeps its mode.
func (s *stage) record(ctx, life context.Context, x *scene) (*ledger.DB, *keyring.Ring, error) {
	o := keyring.Options{Dir: s.dir(), Now: s.a.now}
	if _, err := os.Stat(filepath.Join(s.dir(), "keys.db")); err != nil {
		if err := keyring.Create(ctx, o); err != nil {
			return nil, nil, err
		}
	}
	ring, err := keyring.Open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	x.close = append(x.close, ring.Close)
	log := s.a.log.With("module", "drill")
	db, err := ledger.Open(ctx, ledger.Config{URL: "sqlite:" + filepath.Join(s.dir(), databaseName), Keys: ring, Now: s.a.now, Log: log, Schemas: []ledger.Schema{jobs.Schema(), journal.Schema(), gateway.Schema()}})
	if err != nil {
		return nil, nil, err
	}
	x.close = append(x.close, db.Close)
	queue := jobs.New(jobs.Deps{DB: db, Keys: ring, Now: s.a.now, Log: log})
	j, err := journal.New(journal.Deps{DB: db, Ring: ring, Jobs: queue, Access: s.a.access, Origin: s.a.config.Origin(), Now: s.a.now, Log: log, Revision: func() string { return "" }})
	if err != nil {
		return nil, nil, err
	}
	x.run(life, j.Run)
	return db, ring, nil
}

// noSessions is the table of sessions of a drill's gate: nobody is signed in there.
type noSessions struct{}

// Lookup implements gateway.Sessions.
func (noSessions) Lookup(context.Context, secret.Text) (actor.Actor, gateway.SessionFacts, error) {
	return actor.Actor{}, gateway.SessionFacts{}, fault.Unauthenticated
}

// Standing implements gateway.Sessions.
func (noSessions) Standing(context.Context, actor.Actor) (actor.Actor, error) {
	return actor.Actor{}, fault.Unauthenticated
}

// Fresh implements gateway.Sessions.
func (noSessions) Fresh(context.Context, actor.Actor, time.Duration) error { return fault.Denied }
