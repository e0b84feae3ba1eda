package pgtest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Pair is a server with a replica that follows it, apart from the one that URL gives databases of.
type Pair struct {
	primary, replica *cluster
	port             int
}

// pair is that of this process; like the server of URL it ends with the process.
var pair = sync.OnceValues(startPair)

// Following returns the pair of this test process; the first one starts it (about 3 s). Where the
// machine has no PostgreSQL the test is skipped, and says so.
func Following(t testing.TB) *Pair {
	t.Helper()
	p, err := pair()
	if errors.Is(err, errAbsent) {
		t.Skipf("not tested with a replica: %v", err)
	}
	if err != nil {
		t.Fatalf("start a PostgreSQL with a replica: %v", err)
	}
	return p
}

// Primary is the address of the server that is written to, through its socket.
func (p *Pair) Primary() string { return p.primary.url("postgres") }

// Net is the same server over TCP, at another address of this machine than the one that asks.
func (p *Pair) Net() string {
	u := url.URL{Scheme: "postgres", User: url.User("writ"), Host: net.JoinHostPort(there, strconv.Itoa(p.port)), Path: "/postgres", RawQuery: "sslmode=disable"}
	return u.String()
}

// Hold keeps the replica from replaying what it gets; it returns when it does.
func (p *Pair) Hold(t testing.TB) { p.replay(t, "pg_wal_replay_pause()", "paused") }

// Release lets it go on.
func (p *Pair) Release(t testing.TB) { p.replay(t, "pg_wal_replay_resume()", "not paused") }

func (p *Pair) replay(t testing.TB, call, state string) {
	t.Helper()
	if err := p.replica.exec("SELECT " + call); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if p.replica.exec("SELECT 1 / (pg_get_wal_replay_pause_state() = '"+state+"')::int") == nil {
			return
		}
	}
	t.Fatalf("the replica is not %s", state)
}

// there is where the server listens: 127.0.0.1 asks, and this is another address.
const there = "127.0.0.2"

func startPair() (*Pair, error) {
	l, err := net.Listen("tcp", there+":0")
	if err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return nil, err
	}
	first, err := begin(func(bin, folder string, attr *syscall.SysProcAttr) error {
		if err := initialise(bin, folder, attr); err != nil {
			return err
		}
		return launch(bin, folder, attr, "-c", "listen_addresses="+there, "-c", "port="+strconv.Itoa(port))
	}, port)
	if err != nil {
		return nil, err
	}
	second, err := begin(func(bin, folder string, attr *syscall.SysProcAttr) error {
		copied := exec.Command(filepath.Join(bin, "pg_basebackup"), "-d", "host="+first.folder+" port="+strconv.Itoa(port)+" user=writ", "-D", filepath.Join(folder, "d"), "-X", "stream", "-c", "fast", "-R", "--no-sync")
		copied.Dir, copied.SysProcAttr = folder, attr
		if out, err := copied.CombinedOutput(); err != nil {
			return fmt.Errorf("pg_basebackup: %w: %s", err, out)
		}
		return launch(bin, folder, attr, "-c", "cluster_name=standby", "-c", "wal_receiver_status_interval=1s")
	}, 0)
	if err != nil {
		return nil, err
	}
	return &Pair{first, second, port}, nil
}
