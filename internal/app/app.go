// Package app puts the house together: it reads the machine settings, opens the keys
// and the ledger, makes each module with what it needs of the others, opens the doors
// and closes everything in the reverse order. Nothing here decides anything; the
// modules do. Adding a module is its folder and its lines in modules.go.
//
//	writ.yaml ─► lock ─► keyring ─► ledger ─► modules ─► policy in force ─► doors ─► ready
//
// Promises: one server a folder; nothing is served before the policy in force is bound
// to every module's rules; an orderly end lets requests finish and loses nothing.
//
// Threats: a folder readable by others (0700, files 0600), a second server on the same
// database (lock), a socket of another user (the kernel says who is there).
//
// For: engineer. Read config.go, modules.go, serve.go, init.go, socket.go.
package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/listen"
	"writ/internal/seal"
	"writ/internal/secret"
	"writ/internal/vault/unseal"
	"writ/internal/web"
)

// App is one server.
type App struct {
	dir    string
	config Config
	now    func() time.Time
	log    *slog.Logger

	closers []func() error
	boot    *seal.File
	source  *unseal.Source
	setup   bool         // by init: nothing is served, and nobody opened the vault
	opened  secret.Bytes // the root, where shares gave it; until the modules have started

	openedSet string // whose shares they were
	ring      *keyring.Ring
	db        *ledger.DB
	certs     listen.Source
	ca        string // certificate file of the local authority, "" with certificates from files
	https     net.Listener
	http      net.Listener
	origin    *url.URL

	modules
	web *web.Server

	stop    atomic.Pointer[context.CancelFunc] // ends Serve
	sealing atomic.Bool                        // by command
}

// Options are what Open needs beside the folder.
type Options struct {
	Dir string
	Now func() time.Time // nil = the system's clock
	Log *slog.Logger

	setup bool // by init
}

// open reads the settings, takes the folder, and opens keys and ledger.
func open(ctx context.Context, o Options) (*App, error) {
	c, err := ReadConfig(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := checkDir(o.Dir); err != nil {
		return nil, err
	}
	if err := c.checkDatabase(o.Dir); err != nil {
		return nil, err
	}
	return openWith(ctx, o, c)
}

func openWith(ctx context.Context, o Options, c Config) (_ *App, err error) {
	a := &App{dir: o.Dir, config: c, now: o.Now, log: o.Log, setup: o.setup, boot: seal.In(o.Dir)}
	a.log = slog.New(maskedLog{o.Log.Handler(), a.masked})
	if a.now == nil {
		a.now = time.Now
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.origin, err = url.Parse(c.Origin()); err != nil {
		return nil, fmt.Errorf("public origin: %w", err)
	}
	if err := gateway.CheckOutbound(ctx, c.outbound()); err != nil {
		return nil, err
	}
	held, err := lock(o.Dir)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, held.Close)
	root, err := a.unsealed(ctx)
	if err != nil {
		return nil, err
	}
	defer root.Wipe()
	a.closers = append(a.closers, a.source.Close)
	if err := a.openKeys(ctx, root); err != nil {
		return nil, err
	}
	a.db, err = ledger.Open(ctx, ledger.Config{
		URL: a.databaseURL(), Keys: a.ring, Now: a.now, Log: a.log.With("module", "ledger"),
		Schemas: schemas(), Mask: a.masked, Revision: func() string {
			if a.policy == nil {
				return ""
			}
			return a.policy.Version()
		}})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.db.Close)
	return a, nil
}

func (a *App) databaseURL() string {
	if a.config.Database != "" {
		return a.config.Database
	}
	return "sqlite:" + filepath.Join(a.dir, databaseName)
}

// Close closes what is open, last first.
func (a *App) Close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	a.closers = nil
	return errors.Join(errs...)
}

// bind opens the public ports and the certificate, before anything needs their addresses.
func (a *App) bind() (err error) {
	if a.https, err = listen.Listen(a.config.HTTPS); err != nil {
		return err
	}
	a.closers = append(a.closers, ignoreClosed(a.https))
	if a.config.HTTP != "" {
		if a.http, err = listen.Listen(a.config.HTTP); err != nil {
			return err
		}
		a.closers = append(a.closers, ignoreClosed(a.http))
	}
	return nil
}

// certificate opens the files of writ.yaml or the local authority.
func (a *App) certificate() (err error) {
	hosts := a.config.names()
	if t := a.config.TLS; t.Cert != "" {
		a.certs, err = listen.FromFiles(listen.Files{Cert: t.Cert, Key: t.Key, Hosts: hosts, Log: a.log, Now: a.now})
		return err
	}
	if a.config.TLS.ACME.Directory != "" && a.db != nil { // while it is sealed, what was issued cannot be opened: the local authority stands in
		return a.issued()
	}
	ca, err := listen.OpenAuthority(listen.AuthorityOptions{Dir: filepath.Join(a.dir, "ca"), Hosts: hosts, Now: a.now,
		RenewBefore: func() time.Duration {
			if a.gateway == nil { // sealed: the policy is not read yet
				return sealedRenew
			}
			return a.gateway.RenewBefore()
		}})
	if err != nil {
		return err
	}
	a.certs, a.ca = ca, ca.CertPath()
	return nil
}

func ignoreClosed(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// Serve opens the doors and works until ctx ends.
func (a *App) Serve(ctx context.Context) error {
	socket, err := listenSocket(a.dir, a.boot)
	if err != nil {
		return err
	}
	operators, err := newSocketDoor(a.config.Operators)
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	a.stop.Store(&stop)
	if page, ok := a.status.Alone(); ok {
		a.gateway.Aside(a.config.Status.Host, page)
	}
	public := a.gateway.Front(a.web.Handler(a.identity), a.web.Owns)
	doors := []listen.Door{{Name: "https", Listener: a.https, TLS: a.gateway.Tickets().TLSConfig(a.certs, a.gateway.MinTLS, false, a.now), Handler: public, Malformed: a.gateway.Malformed, Open: &a.open}}
	if a.http != nil {
		doors = append(doors, listen.Door{Name: "http", Listener: a.http, Handler: a.redirector(), Malformed: a.gateway.Malformed})
	}
	work := []func(context.Context) error{
		func(ctx context.Context) error { return listen.Serve(ctx, a.log, doors...) },
		a.letOut,
		func(ctx context.Context) error { return serveSocket(ctx, socket, operators, a.web.Handler(operators)) },
	}
	var wg sync.WaitGroup
	ends := make(chan error, len(work)+len(a.runs()))
	background, quit := context.WithCancel(context.WithoutCancel(ctx))
	defer quit()
	var rest sync.WaitGroup
	for _, run := range a.runs() { // these end last: open requests still need them
		rest.Go(func() { ends <- run(background); stop() })
	}
	for _, f := range work {
		wg.Go(func() { ends <- f(ctx); stop() })
	}
	a.log.Info("ready", "app", a.config.Origin(), "https", a.https.Addr().String(), "http", addr(a.http), "egress", a.gateway.EgressNow().Listen, "socket", socket.Addr().String(), "ca", a.ca)
	wg.Wait()
	quit()
	rest.Wait()
	close(ends)
	var errs []error
	for err := range ends {
		if err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	if a.sealing.Load() {
		errs = append(errs, ErrSealed)
	}
	return errors.Join(errs...)
}

func addr(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// health answers load balancers: livez while the process runs, readyz while it serves
// under a policy.
func health() []web.Route {
	ok := func(w http.ResponseWriter, _ *http.Request, _ actor.Actor) error {
		return web.WriteJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	}
	return []web.Route{
		{Pattern: "GET /-/livez", Who: web.Anyone, Handle: ok},
		{Pattern: "GET /-/readyz", Who: web.Anyone, Handle: ok},
	}
}

// checkDir refuses a folder that others may read.
func checkDir(dir string) error {
	i, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	if i.Mode().Perm()&0o077 != 0 {
		return fault.New(fault.Invalid, "folder_exposed", fault.Public{
			Problem: fmt.Sprintf("The folder %s can be read by others (mode %04o).", dir, i.Mode().Perm()), Expected: "Mode 0700.", Next: "chmod 700 " + dir})
	}
	return nil
}

const databaseName = "writ.db"

// checkDatabase refuses a folder that has lost its database: opening it would make an
// empty one, which remembers nothing and looks like a folder that was never set up.
func (c Config) checkDatabase(dir string) error {
	if c.Database != "" {
		return nil
	}
	name := filepath.Join(dir, databaseName)
	i, err := os.Stat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at database: %w", err)
	}
	if err == nil && i.Size() > 0 {
		return nil
	}
	return fault.New(fault.Unavailable, "database_missing", fault.Public{
		Problem:  name + " is missing or empty.",
		Expected: "It must hold what this server was set up with and has recorded since.",
		Next:     "Put the file back from its backup, with the log beside it (-wal) if there is one, then start again."})
}
