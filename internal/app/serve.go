package app

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"writ/internal/cli"
	"writ/internal/gateway"
	"writ/internal/identity"
	"writ/internal/vault/holders"
	"writ/internal/vault/item"

	"golang.org/x/sys/unix"
)

// Version is the program's version, set at link time.
var Version = "dev"

// Start opens everything and puts the policy in force; Serve then opens the doors.
// Close the result in any case.
func Start(ctx context.Context, o Options) (_ *App, err error) {
	unix.Umask(0o077) // what we make is ours alone, the database's side files too
	a, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if err := a.bind(); err != nil {
		return nil, err
	}
	if err := a.build(ctx); err != nil {
		return nil, err
	}
	if err := a.face(); err != nil {
		return nil, err
	}
	return a, a.start(ctx)
}

// Serve is `writ serve`.
func Serve(ctx context.Context, o cli.ServeOptions) error {
	var h slog.Handler = slog.NewTextHandler(o.Log, nil)
	if o.JSONLog {
		h = slog.NewJSONHandler(o.Log, nil)
	}
	return Run(ctx, Options{Dir: o.Dir, Log: slog.New(h)}, (*App).Serve)
}

// Run starts a server and lets serve have it, again each time it was sealed by command.
func Run(ctx context.Context, o Options, serve func(*App, context.Context) error) error {
	for {
		a, err := Start(ctx, o)
		if err != nil {
			return err
		}
		err = serve(a, ctx)
		again := errors.Is(err, ErrSealed) && ctx.Err() == nil
		if closed := a.Close(); closed != nil || !again {
			return errors.Join(err, closed)
		}
	}
}

// Origin is the public origin.
func (a *App) Origin() string { return a.config.Origin() }

// Roots are the authorities behind the server's certificate; nil for the system's.
func (a *App) Roots() *x509.CertPool { return a.certs.Roots() }

// AuthorityFile is the local authority's certificate, "" when there is none.
func (a *App) AuthorityFile() string { return a.ca }

// Identity is the identity module, for the demo's people.
func (a *App) Identity() *identity.Service { return a.identity }

// Holders says who holds the root key, for the demo's people.
func (a *App) Holders() *holders.Service { return a.holders }

// Items is the company's vault, for the demo's first items.
func (a *App) Items() *item.Service { return a.items }

// readSecret reads a file that the settings name: in the folder, or absolute.
func (a *App) readSecret(name string) ([]byte, error) {
	if !filepath.IsAbs(name) {
		name = a.path(name)
	}
	return os.ReadFile(name)
}

func (a *App) path(name string) string { return filepath.Join(a.dir, name) }

// listening tells the gate's controls which ports this process has open.
func (a *App) listening() []gateway.Listening {
	ls := []gateway.Listening{{Name: "https", Addr: a.https.Addr().String(), Source: a.certs}}
	if a.http != nil {
		ls = append(ls, gateway.Listening{Name: "http", Addr: a.http.Addr().String()})
	}
	return ls
}

// raw looks for bytes in every file of the folder: the database and its log, the keys,
// letters. It reads as a thief would, without any key.
func (a *App) raw(ctx context.Context, needle []byte) (int, []string, error) {
	return search(ctx, os.DirFS(a.dir), needle)
}

// search counts a needle in all regular files. A file that vanishes while we look holds
// nothing; one that cannot be read might, so that is an error and never "not found".
func search(ctx context.Context, fsys fs.FS, needle []byte) (hits int, places []string, err error) {
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !d.Type().IsRegular() {
			return nil
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		n, err := countIn(fsys, name, needle)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("search %s: %w", name, err)
		}
		if n > 0 {
			hits, places = hits+n, append(places, name)
		}
		return nil
	})
	return hits, places, err
}

// countIn counts a needle in a file, reading in pieces that overlap.
func countIn(fsys fs.FS, name string, needle []byte) (int, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	const piece = 1 << 20
	buf := make([]byte, 0, piece+len(needle))
	n := 0
	for {
		k, err := f.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+k]
		n += bytes.Count(buf, needle)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		keep := min(len(buf), len(needle)-1)
		copy(buf, buf[len(buf)-keep:])
		buf = buf[:keep]
	}
}
