// Package pgtest gives a test its own PostgreSQL database, so that everything that
// runs on both engines is tested on both.
//
// One private cluster serves one test process. The first URL starts it (about 0.7 s)
// on a Unix socket in a temporary folder, with syncing off; no port is opened. A
// small shell beside it holds the read end of a pipe whose other end only this
// process has: when the process ends, however it ends, the pipe closes, the shell
// stops the server and removes the folder. So no TestMain is needed and nothing
// stays behind after a panic or a kill.
//
// For: tests. It refuses nothing and protects nothing; production code never imports it.
package pgtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// errAbsent says that this machine has no PostgreSQL to run.
var errAbsent = errors.New("no PostgreSQL binaries in /usr/lib/postgresql/*/bin or PATH (Debian package: postgresql)")

// shared is the cluster of this process; starting it is idempotent and lazy.
var shared = sync.OnceValues(start)

// cluster is a running server, reached through the socket in its folder.
type cluster struct {
	folder string
	port   int // of its socket; 0 = the usual one
}

// URL returns the address of a fresh, empty database for t, in the form
// postgres://writ@/NAME?host=FOLDER. The database is dropped when t ends. Where
// the machine has no PostgreSQL the test is skipped, and says so.
func URL(t testing.TB) string {
	t.Helper()
	c, err := shared()
	if errors.Is(err, errAbsent) {
		t.Skipf("not tested on PostgreSQL: %v", err)
	}
	if err != nil {
		t.Fatalf("start a private PostgreSQL: %v", err)
	}
	suffix := make([]byte, 8)
	rand.Read(suffix)
	name := "t_" + hex.EncodeToString(suffix)
	if err := c.exec("CREATE DATABASE " + name); err != nil {
		t.Fatalf("create a database: %v", err)
	}
	t.Cleanup(func() {
		if err := c.exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop the database: %v", err)
		}
	})
	return c.url(name)
}

// Available reports whether this machine can run PostgreSQL tests.
func Available() bool { _, err := binaries(); return err == nil }

func (c *cluster) url(database string) string {
	q := url.Values{"host": {c.folder}}
	if c.port > 0 {
		q.Set("port", strconv.Itoa(c.port))
	}
	u := url.URL{Scheme: "postgres", User: url.User("writ"), Path: "/" + database, RawQuery: q.Encode()}
	return u.String()
}

// exec runs one statement in the maintenance database.
func (c *cluster) exec(statement string) error {
	db, err := sql.Open("pgx", c.url("postgres"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}

// start makes a cluster.
func start() (*cluster, error) {
	return begin(func(bin, folder string, attr *syscall.SysProcAttr) error {
		if err := initialise(bin, folder, attr); err != nil {
			return err
		}
		return launch(bin, folder, attr)
	}, 0)
}

// begin makes a folder, has a server started in it, and waits until it answers.
func begin(run func(bin, folder string, attr *syscall.SysProcAttr) error, port int) (*cluster, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(tempRoot(), "pg")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	attr, err := dropRoot(folder)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	if err := run(bin, folder, attr); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	c := &cluster{folder, port}
	if err := c.await(30 * time.Second); err != nil {
		log, _ := os.ReadFile(filepath.Join(folder, "log"))
		return nil, fmt.Errorf("%w; the server said: %s", err, log)
	}
	return c, nil
}

func initialise(bin, folder string, attr *syscall.SysProcAttr) error {
	cmd := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(folder, "d"), "-U", "writ",
		"-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	cmd.Dir, cmd.SysProcAttr = folder, attr
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// watch runs the server until standard input ends, then stops it and removes the folder.
const watch = `bin=$1; folder=$2; shift 2; "$bin/postgres" -D "$folder/d" -k "$folder" -c listen_addresses= -c fsync=off -c full_page_writes=off ` +
	`-c synchronous_commit=off -c shared_buffers=16MB -c max_connections=200 "$@" & ` +
	`server=$!; read -r _; kill -INT $server; wait $server; cd /; rm -rf "$folder"`

// launch starts a server; settings are of the form -c NAME=VALUE.
func launch(bin, folder string, attr *syscall.SysProcAttr, settings ...string) error {
	log, err := os.OpenFile(filepath.Join(folder, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("/bin/sh", append([]string{"-c", watch, "sh", bin, folder}, settings...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = folder, log, log, attr
	// The write end stays open, referenced by cmd, until this process is gone.
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	go cmd.Wait() // keeps cmd, and so the pipe, alive; collects the process
	return nil
}

func (c *cluster) await(limit time.Duration) error {
	end := time.Now().Add(limit)
	for {
		err := c.exec("SELECT 1")
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("no answer within %v: %w", limit, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// binaries finds the newest installed version's folder.
func binaries() (string, error) {
	best, version := "", -1.0
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	for _, f := range found {
		bin := filepath.Dir(f)
		v, err := strconv.ParseFloat(filepath.Base(filepath.Dir(bin)), 64)
		if err == nil && v > version {
			best, version = bin, v
		}
	}
	if best != "" {
		return best, nil
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			return filepath.Dir(p), nil
		}
	}
	return "", errAbsent
}

// tempRoot is the temporary folder, or /tmp where that name would make the socket's
// path longer than the 107 bytes a socket address holds.
func tempRoot() string {
	if d := os.TempDir(); len(d) <= 60 && !strings.ContainsAny(d, " '\"") {
		return d
	}
	return "/tmp"
}

// dropRoot gives the attributes under which the server runs: its own process group,
// so that an interrupt at the terminal lets the watcher clean up; and, because initdb
// refuses root, the account postgres or nobody as owner of the folder.
func dropRoot(folder string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() != 0 {
		return attr, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("find an account other than root: %w", err)
		}
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read the uid of %s: %w", account.Username, err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read the gid of %s: %w", account.Username, err)
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	if err := os.Chown(folder, int(uid), int(gid)); err != nil {
		return nil, fmt.Errorf("give the folder to %s: %w", account.Username, err)
	}
	return attr, nil
}
