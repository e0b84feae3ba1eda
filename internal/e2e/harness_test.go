package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue { // these tests wait more than they work
		_ = f.Value.Set("4") // a number
	}
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	if binary = os.Getenv("WRIT_BINARY"); binary != "" {
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "writ-e2e")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary = filepath.Join(dir, "writ")
	build := exec.Command("go", "build", "-o", binary, "writ/cmd/writ")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build writ: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// patience is how long a test waits for what must come. A loaded machine needs it; a
// quiet one never reaches it.
const patience = 60 * time.Second

// eventually asks until it gets a yes.
func eventually(t testing.TB, what string, ask func() bool) {
	t.Helper()
	within(t, patience, what, ask)
}

// within asks at least once, however slow the machine is. more may say what it saw last.
func within(t testing.TB, limit time.Duration, what string, ask func() bool, more ...func() string) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if ask() {
			return
		}
		if time.Now().After(end) {
			for _, m := range more {
				t.Log(m())
			}
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// ports hands out ports below the range from which the kernel takes its own, starting
// elsewhere in each process.
var ports = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(int64(os.Getpid() * 37 % 9000))
	return &n
}()

// freePort is a port of loopback that nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	for range 2000 {
		if n := int(20000 + ports.Add(1)%12000); free(n) {
			return strconv.Itoa(n)
		}
	}
	t.Fatal("no port is free")
	return ""
}

// free reports whether nobody listens on a port of loopback.
func free(port int) bool {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	return err == nil && l.Close() == nil
}

// result is how a command ended.
type result struct {
	code     int
	out, err string
}

func (r result) String() string {
	return fmt.Sprintf("exit %d\nstdout: %s\nstderr: %s", r.code, r.out, r.err)
}

// command is a run of the program.
type command struct {
	args     []string
	password string // for --as
	code     string // of the second factor, for --as
	stdin    string
}

func (c command) run(t testing.TB) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, c.args...)
	cmd.Env = environment(c.password)
	if c.code != "" {
		cmd.Env = append(cmd.Env, "WRIT_CODE="+c.code)
	}
	cmd.Stdin = strings.NewReader(c.stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("writ %s: %v", strings.Join(c.args, " "), err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// environment is what the program sees of ours: enough to find programs and a folder for
// temporary files.
func environment(password string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir(), "NO_COLOR=1", "TZ=UTC"}
	if password != "" {
		env = append(env, "WRIT_PASSWORD="+password)
	}
	return env
}

// must runs the program and wants this exit status and these words in what it prints.
func must(t testing.TB, code int, c command, words ...string) result {
	t.Helper()
	r := c.run(t)
	if r.code != code {
		t.Fatalf("writ %s: want exit %d, got %v", strings.Join(c.args, " "), code, r)
	}
	for _, w := range words {
		if !strings.Contains(r.out+r.err, w) {
			t.Errorf("writ %s does not say %q: %v", strings.Join(c.args, " "), w, r)
		}
	}
	return r
}

// decode reads JSON that the program printed.
func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// folder is what `writ init` made.
type folder struct {
	t      testing.TB
	dir    string
	port   string
	origin string
	owners map[string]string // address → link
	phones sync.Map          // address → *phone
}

// setup says how a folder is made.
type setup struct {
	upstream string
	owners   []string
	dir      string   // empty for a new temporary one
	more     []string // further flags
	edit     func(string) string
}

// newFolder runs `writ init`.
func newFolder(t testing.TB, s setup) *folder {
	t.Helper()
	if s.upstream == "" {
		s.upstream = newApplication(t).url
	}
	if s.dir == "" {
		s.dir = filepath.Join(t.TempDir(), "w")
	}
	if s.owners == nil {
		s.owners = []string{"ana@example.test"}
	}
	f := &folder{t: t, dir: s.dir, port: freePort(t), owners: map[string]string{}}
	f.origin = "https://localhost:" + f.port
	args := []string{"init", "--dir", f.dir, "--app", f.origin, "--upstream", s.upstream, "--https", "127.0.0.1:" + f.port, "--format", "json"}
	for _, o := range s.owners {
		args = append(args, "--owner", o)
	}
	r := must(t, 0, command{args: append(args, s.more...)})
	made := decode[struct {
		Changed bool
		Owners  []struct{ Email, URL string }
	}](t, r.out)
	if !made.Changed || len(made.Owners) != len(s.owners) {
		t.Fatalf("init: %v", r)
	}
	for _, o := range made.Owners {
		f.owners[o.Email] = o.URL
	}
	if s.edit != nil {
		f.edit(s.edit)
	}
	return f
}

// edit changes writ.yaml.
func (f *folder) edit(change func(string) string) {
	f.t.Helper()
	name := filepath.Join(f.dir, "writ.yaml")
	b, err := os.ReadFile(name)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(change(string(b))), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// writ is a command about this folder.
func (f *folder) writ(args ...string) command {
	return command{args: append(args, "--dir", f.dir)}
}

// server is a running `writ serve`.
type server struct {
	*folder
	cmd  *exec.Cmd
	log  *lines
	done chan struct{} // closed when the process has ended
	once sync.Once
}

// lines collects what a process writes.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// launch starts the program and does not wait for it.
func (f *folder) launch(args ...string) *server {
	f.t.Helper()
	s := &server{folder: f, log: &lines{}, done: make(chan struct{})}
	s.cmd = exec.Command(binary, args...)
	s.cmd.Env = environment("")
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // the state is read from ProcessState
		close(s.done)
	}()
	f.t.Cleanup(func() {
		s.kill()
		log := s.log.String()
		for _, bad := range []string{"panic in handler", "goroutine ", "DATA RACE"} {
			if strings.Contains(log, bad) {
				f.t.Errorf("the server's log holds %q", bad)
			}
		}
		if f.t.Failed() {
			f.t.Logf("the server's log:\n%s", tail(log, 6000))
		}
	})
	return s
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// serve starts the server and waits until it says that it is ready.
func (f *folder) serve() *server {
	f.t.Helper()
	s := f.launch("serve", "--dir", f.dir)
	eventually(f.t, "the server is ready", func() bool {
		if s.ended() {
			f.t.Fatalf("the server ended before it was ready: %s", s.log)
		}
		return strings.Contains(s.log.String(), "msg=ready")
	})
	return s
}

// start is newFolder and serve.
func start(t testing.TB, s setup) *server {
	t.Helper()
	return newFolder(t, s).serve()
}

func (s *server) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// signal sends a signal to the server.
func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Errorf("signal %v: %v", sig, err)
	}
}

// exit waits for the end and gives the status.
func (s *server) exit() int {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		s.t.Fatal("the server did not end")
	}
	return s.cmd.ProcessState.ExitCode()
}

// stop ends the server as ctrl-C does and wants an orderly end.
func (s *server) stop() {
	s.t.Helper()
	s.signal(syscall.SIGINT)
	if code := s.exit(); code != 0 {
		s.t.Fatalf("the server ended with %d: %s", code, s.log)
	}
}

// kill ends the server as a power cut does.
func (s *server) kill() {
	s.once.Do(func() {
		if !s.ended() {
			_ = s.cmd.Process.Kill() // it may have ended meanwhile
			<-s.done
		}
	})
}
