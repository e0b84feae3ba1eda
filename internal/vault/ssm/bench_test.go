package ssm_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/aws"
	"writ/internal/vault/sigv4"
)

// served is where the process under test listens, and how to be let in.
type served struct{ URL, Bare, Key, Secret string }

// TestWireServer is the process under test of BenchmarkWire: the real listener with the vault,
// its ledger synced to disk, and beside it a bare handler. It serves until its input ends.
func TestWireServer(t *testing.T) {
	if os.Getenv("WRIT_WIRE_SERVER") == "" {
		t.Skip("for BenchmarkWire")
	}
	w := open(t, ledgertest.Open(t, vault.Schema()))
	c := w.client(vault.NewKey{Path: "/"})
	many, _ := strconv.Atoi(os.Getenv("WRIT_WIRE_SERVER"))
	w.fill(many)
	answer := []byte(`{"Parameter":{"Name":"/bench/a","Type":"SecureString","Value":"` + strings.Repeat("x", 32) + `","Version":1,"LastModifiedDate":1.7e9,"ARN":"arn:aws:ssm:eu-central-1:123456789012:parameter/bench/a","DataType":"text"}}`)
	bare := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", aws.Media)
		_, _ = rw.Write(answer)
	}))
	defer bare.Close()
	if err := json.NewEncoder(os.Stdout).Encode(served{w.srv.URL, bare.URL, c.key.ID, c.key.Secret.Reveal()}); err != nil {
		t.Fatal(err)
	}
	go func() { // the clock of the kit stands still by itself, and clients sign with the time of now
		for range time.Tick(100 * time.Millisecond) {
			w.kit.Clock.Set(time.Now())
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// fill puts many parameters there, in few changes.
func (w *world) fill(many int) {
	w.must(w.put("/bench/a", strings.Repeat("x", 32), vault.SecureString))
	for i := 1; i < many; i += 1000 {
		w.exec(`INSERT INTO vault_param (id, team, name, type, version, key_id, tier, data_type, pattern, description, lifecycle, made, changed, changed_by)
			SELECT p.id || '-' || n, p.team, CAST('/bench/' || n AS BLOB), p.type, 1, p.key_id, p.tier, p.data_type, '', '', '', p.made, p.changed, p.changed_by FROM vault_param p,
			(WITH RECURSIVE c (n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM c WHERE n < $2) SELECT n FROM c) AS many WHERE p.name = CAST('/bench/a' AS BLOB)`, i, min(i+999, many-1))
	}
	w.exec(`INSERT INTO vault_version (param, version, value, type, key_id, tier, data_type, pattern, description, lifecycle, changed, changed_by, origin)
		SELECT p.id, 1, v.value, v.type, v.key_id, v.tier, v.data_type, '', '', '', v.changed, v.changed_by, 1 FROM vault_param p, vault_version v WHERE v.param = (SELECT id FROM vault_param WHERE name = CAST('/bench/a' AS BLOB)) AND p.id <> v.param`)
}

// BenchmarkWire measures calls through the real listener, in a process of their own: one
// client, 64 clients, and the CPU of the server for a call beside that of a bare handler.
//
//	go test -run '^$' -bench Wire -benchtime 1x -timeout 20m ./internal/vault/ssm
func BenchmarkWire(b *testing.B) {
	get := func(*atomic.Int64) (string, string) {
		return "GetParameter", `{"Name":"/bench/a","WithDecryption":true}`
	}
	put := func(n *atomic.Int64) (string, string) {
		return "PutParameter", fmt.Sprintf(`{"Name":"/bench/p%d","Value":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","Type":"SecureString","Overwrite":true}`, n.Add(1)%64)
	}
	for range b.N { // each part has a server of its own: nothing numbers the entries here, and a journal that is far behind takes no more
		s := startServer(b, "get", 100)
		one, _ := s.load(b, s.at.URL, 1, get)
		many, cpu := s.load(b, s.at.URL, 64, get)
		_, bare := s.load(b, s.at.Bare, 64, get)
		s.stop()
		s = startServer(b, "put", 100)
		p1, _ := s.load(b, s.at.URL, 1, put)
		p64, pcpu := s.load(b, s.at.URL, 64, put)
		s.stop()
		s = startServer(b, "few", 100)
		big := startServer(b, "many", 100_000)
		var ratios []float64
		for range 5 {
			small, _ := s.load(b, s.at.URL, 1, get)
			large, _ := big.load(b, big.at.URL, 1, get)
			ratios = append(ratios, small/large)
		}
		slices.Sort(ratios)
		for name, v := range map[string]float64{"get-1/s": one, "get-64/s": many, "get-64:1": many / one, "get-cpu-µs": cpu, "bare-cpu-µs": bare, "get-cpu:bare": cpu / bare, "put-1/s": p1, "put-64/s": p64, "put-64:1": p64 / p1,
			"put-cpu-µs": pcpu, "put-cpu:bare": pcpu / bare, "100000:100": ratios[len(ratios)/2]} {
			b.ReportMetric(v, name)
		}
		s.stop()
		big.stop()
	}
}

type server struct {
	at   served
	pid  int
	stop func()
}

func startServer(b *testing.B, part string, many int) *server {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestWireServer$", "-test.timeout=30m")
	if p := os.Getenv("WRIT_WIRE_PROFILE"); p != "" {
		cmd.Args = append(cmd.Args, "-test.cpuprofile="+p+"."+part) // each server has its own
	}
	cmd.Env = append(os.Environ(), "WRIT_WIRE_SERVER="+strconv.Itoa(many))
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	s := &server{pid: cmd.Process.Pid}
	s.stop = func() { in.Close(); _ = cmd.Wait() }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &s.at) != nil {
		b.Fatalf("the server says %s %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return s
}

// ticks is the CPU time of the server, in hundredths of a second.
func (s *server) ticks(b *testing.B) float64 {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		b.Skip("no /proc here")
	}
	f := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return user + system
}

const loadFor = 4 * time.Second

// load is how many calls a second the clients get answered together, and the server's CPU
// for one, in µs.
func (s *server) load(b *testing.B, url string, clients int, what func(*atomic.Int64) (op, body string)) (rate, cpu float64) {
	b.Helper()
	lines := make([]*line, clients)
	for i := range lines {
		l, err := s.dial(url)
		if err != nil {
			b.Fatal(err)
		}
		defer l.conn.Close()
		lines[i] = l
	}
	var n, done atomic.Int64
	var bad atomic.Value
	run := func(d time.Duration) {
		end := time.Now().Add(d)
		var wg sync.WaitGroup
		for _, l := range lines {
			wg.Go(func() {
				for time.Now().Before(end) {
					op, body := what(&n)
					if err := l.ask(op, body); err != nil {
						bad.Store(err.Error())
						return
					}
					done.Add(1)
				}
			})
		}
		wg.Wait()
	}
	run(loadFor / 4) // caches
	done.Store(0)
	ticks, begin := s.ticks(b), time.Now()
	run(loadFor)
	took, used := time.Since(begin).Seconds(), s.ticks(b)-ticks
	if text := bad.Load(); text != nil {
		b.Fatal(text)
	}
	return float64(done.Load()) / took, used * 10_000 / float64(done.Load())
}

// line is a client's connection. It shares the processors with the server, so it does what it
// must and no more: requests are made once a second, and of answers the length and the body are read.
type line struct {
	s    *server
	conn *tls.Conn
	in   *bufio.Reader
	host string
	made map[string][]byte
	at   time.Time // when they were made
}

func (s *server) dial(url string) (*line, error) {
	host := strings.TrimPrefix(url, "https://")
	c, err := tls.Dial("tcp", host, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	if err != nil {
		return nil, err
	}
	return &line{s: s, conn: c, in: bufio.NewReader(c), host: host}, nil
}

func (l *line) ask(op, body string) error {
	if now := time.Now(); now.Sub(l.at) >= time.Second {
		l.at, l.made = now, map[string][]byte{}
	}
	raw := l.made[body]
	if raw == nil {
		var err error
		if raw, err = l.request(op, body); err != nil {
			return err
		}
		l.made[body] = raw
	}
	if _, err := l.conn.Write(raw); err != nil {
		return err
	}
	status, size := "", -1
	for {
		head, err := l.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		text := strings.TrimSpace(string(head))
		if text == "" {
			break
		}
		if status == "" {
			status = text
		}
		if name, value, ok := strings.Cut(text, ": "); ok && strings.EqualFold(name, "Content-Length") {
			if size, err = strconv.Atoi(value); err != nil {
				return err
			}
		}
	}
	if size < 0 {
		return fmt.Errorf("%s: %s, without a length", op, status)
	}
	if status != "HTTP/1.1 200 OK" {
		text, _ := l.in.Peek(min(size, 500))
		return fmt.Errorf("%s: %s %s", op, status, text)
	}
	_, err := l.in.Discard(size)
	return err
}

// request is a signed one, as it goes over the line.
func (l *line) request(op, body string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodPost, "https://"+l.host+aws.Base, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	r.Header.Set("Content-Type", aws.Media)
	r.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	r.Header.Set("X-Amz-Target", "AmazonSSM."+op)
	r.Host = r.URL.Host
	if err := sigv4.Sign(r, []string{"content-type", "host", "x-amz-date", "x-amz-target"}, sha256.Sum256([]byte(body)), sigv4.Credential{KeyID: l.s.at.Key, Day: now.Format("20060102"), Region: "eu-central-1", Service: "ssm"}, secret.NewText(l.s.at.Secret)); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = r.Write(&b)
	return b.Bytes(), err
}
