package cli_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"writ/internal/cli"
)

// changing is a fake whose one value is the number of its version.
func changing(t *testing.T) (*fake, *atomic.Int64) {
	f := serve(t)
	version := &atomic.Int64{}
	version.Store(1)
	f.onDo("GET vault/params", func(*http.Request) any {
		return map[string]any{"params": []map[string]any{{"name": "/shop/key", "version": version.Load()}}}
	})
	f.onDo("POST vault/run", func(*http.Request) any {
		return map[string]any{"values": []map[string]any{{"name": "/shop/key", "value": "v" + strconv.FormatInt(version.Load(), 10)}}}
	})
	return f, version
}

// lines hands over what a program prints, line by line.
func lines(t *testing.T) (io.WriteCloser, func() string) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	b := bufio.NewReader(r)
	return w, func() string {
		line, err := b.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(line)
	}
}

// A program is started anew when a value changed, with the new one, and only then: the
// server is asked for versions at each tick, and for values only after a change.
func TestRunRestarts(t *testing.T) { // breaks: vault.secret-home
	f, version := changing(t)
	out, next := lines(t)
	ticks := make(chan time.Time)
	var errs strings.Builder
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Main(context.Background(), []string{"--dir", f.dir, "run", "/shop", "--restart", "--", "sh", "-c", `trap 'echo over; exit 0' TERM; echo $KEY; [ "$KEY" = v3 ] && exit 7; while :; do read x || sleep 0.05; done`}, strings.NewReader(""), out, &errs, cli.Server{Ticks: ticks})
	}()
	if got := next(); got != "v1" {
		t.Fatalf("the first start has %q", got)
	}
	reads := func() (n int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, s := range f.seen {
			if strings.HasPrefix(s, "POST /-/api/v1/vault/run") {
				n++
			}
		}
		return n
	}
	ticks <- time.Time{}
	ticks <- time.Time{} // taken only when the one before was dealt with
	if n := reads(); n != 1 {
		t.Errorf("values were read %d times though nothing changed", n)
	}
	version.Store(2)
	ticks <- time.Time{}
	if a, b := next(), next(); a != "over" || b != "v2" {
		t.Fatalf("after a change: %q, %q", a, b)
	}
	version.Store(3)
	ticks <- time.Time{}
	if a, b := next(), next(); a != "over" || b != "v3" {
		t.Fatalf("after another change: %q, %q", a, b)
	}
	if status := <-ended; status != 7 {
		t.Errorf("exit status %d, not the program's 7: %s", status, errs.String())
	}
	if n := reads(); n != 3 || !strings.Contains(errs.String(), "A value under /shop changed") {
		t.Errorf("%d reads; %s", n, errs.String())
	}
}

// A server that is away stops no program; it goes on, and a change is seen later.
func TestRunOutlivesTheServer(t *testing.T) {
	f := serve(t)
	var away atomic.Bool
	version := &atomic.Int64{}
	f.onDo("GET vault/params", func(*http.Request) any {
		if away.Load() {
			return refusal{503, `{"code":"unavailable","detail":"The server is away."}`}
		}
		return map[string]any{"params": []map[string]any{{"name": "/shop/key", "version": version.Load()}}}
	})
	f.on("POST vault/run", `{"values":[{"name":"/shop/key","value":"x"}]}`)
	out, next := lines(t)
	ticks := make(chan time.Time)
	var errs strings.Builder
	ended := make(chan int, 1)
	over := filepath.Join(t.TempDir(), "over")
	go func() {
		ended <- cli.Main(context.Background(), []string{"--dir", f.dir, "run", "/shop", "--restart", "--grace", "0s", "--", "sh", "-c", `trap '' TERM; echo up; while [ ! -e "$0" ]; do sleep 0.02; done`, over}, strings.NewReader(""), out, &errs, cli.Server{Ticks: ticks})
	}()
	next()
	away.Store(true)
	ticks <- time.Time{}
	ticks <- time.Time{}
	away.Store(false)
	version.Store(1)
	ticks <- time.Time{}
	if got := next(); got != "up" { // though it does not listen to TERM
		t.Fatal(got)
	}
	if err := os.WriteFile(over, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if status := <-ended; status != 0 {
		t.Errorf("exit status %d", status)
	}
	if n := strings.Count(errs.String(), "goes on with the values it has"); n != 1 {
		t.Errorf("it complains %d times: %s", n, errs.String())
	}
}

// parent starts `writ run --restart` as a process of its own.
func parent(t *testing.T, stdin *os.File, script string) (*exec.Cmd, func() string, *strings.Builder) {
	t.Helper()
	f, _ := changing(t)
	out, next := lines(t)
	c := exec.Command("writ", "--dir", f.dir, "run", "/shop", "--restart", "--every", "1h", "--", "sh", "-c", script)
	c.Stdin, c.Stdout, c.Stderr = stdin, out.(*os.File), &strings.Builder{}
	if stdin != nil {
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, next, c.Stderr.(*strings.Builder)
}

// Signals go through to the program, its exit status comes back, and nothing of its group
// stays behind.
func TestRunIsTransparent(t *testing.T) {
	c, next, errs := parent(t, nil, `trap 'echo usr1' USR1; trap 'echo term; exit 5' TERM; sleep 1000 & echo $!; while :; do sleep 0.02; done`)
	orphan, err := strconv.Atoi(next())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		sig  syscall.Signal
		says string
	}{{syscall.SIGUSR1, "usr1"}, {syscall.SIGTERM, "term"}} {
		if err := c.Process.Signal(s.sig); err != nil {
			t.Fatal(err)
		}
		if got := next(); got != s.says {
			t.Fatalf("after %v: %q", s.sig, got)
		}
	}
	if err := c.Wait(); c.ProcessState.ExitCode() != 5 {
		t.Errorf("%v, not the program's status 5: %s", err, errs)
	}
	for { // it was killed before writ ended; the kernel may take a moment to take it away
		b, err := os.ReadFile("/proc/" + strconv.Itoa(orphan) + "/stat")
		if err != nil || strings.Contains(string(b), ") Z ") || strings.Contains(string(b), ") X ") {
			break
		}
	}
	c, next, _ = parent(t, nil, `echo up; kill -KILL $$`)
	next()
	if _ = c.Wait(); c.ProcessState.ExitCode() != 128+9 {
		t.Errorf("a killed program gives %d", c.ProcessState.ExitCode())
	}
}

// The program has the terminal: it reads what is typed, and ctrl-C is for it.
func TestRunGivesTheTerminal(t *testing.T) {
	master, slave := terminal(t)
	c, next, errs := parent(t, slave, `test -t 0 && echo tty; trap 'echo int; exit 4' INT; read x; echo "read $x"; while :; do sleep 0.02; done`)
	if got := next(); got != "tty" {
		t.Fatalf("%q %s", got, errs)
	}
	if _, err := master.WriteString("typed\n"); err != nil {
		t.Fatal(err)
	}
	if got := next(); got != "read typed" {
		t.Fatal(got)
	}
	if _, err := master.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	if got := next(); got != "int" {
		t.Fatal(got)
	}
	if err := c.Wait(); c.ProcessState.ExitCode() != 4 {
		t.Errorf("%v %s", err, errs)
	}
}

// terminal is a pair of a pseudo terminal; writ becomes the leader of its session.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skip(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}
