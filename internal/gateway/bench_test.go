package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
)

// BenchmarkAgainstNginx measures CPU time of the proxy's own processes for a request,
// in pairs within one run: nginx as a plain HTTPS proxy is 1, without its access log and
// (the metric "of-logging") with it, as it is installed; the gate keeps totals, no line a
// request. Upstream (nginx, 1,024 bytes of JSON), peers and load (wrk, 32 connections)
// share the machine, so only the ratio means something. It is skipped where nginx or wrk
// is missing.
//
//	go test -run xxx -bench ^BenchmarkAgainstNginx -benchtime 1x ./internal/gateway
func BenchmarkAgainstNginx(b *testing.B) {
	cases := rivals(b)
	for range b.N {
		var base, logged, hit float64
		for _, c := range cases {
			us, rps := load(b, c.url, c.head, c.pid)
			switch c.name {
			case "nginx":
				base = us
			case "nginx-logging":
				logged = us
			case "nginx-hit":
				hit = us
			case "hit":
				b.ReportMetric(us/hit, "hit-of-nginx's")
				continue
			}
			b.ReportMetric(us, c.name+"-µs")
			b.ReportMetric(us/base, c.name+"-ratio")
			if logged > 0 {
				b.ReportMetric(us/logged, c.name+"-of-logging")
			}
			b.ReportMetric(rps, c.name+"-req/s")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// rival is one way to the upstream.
type rival struct {
	name, url, head string
	pid             int
}

// rivals starts nginx and the gate before one upstream.
func rivals(b *testing.B) []rival {
	b.Helper()
	for _, tool := range []string{"nginx", "wrk"} {
		if _, err := exec.LookPath(tool); err != nil {
			b.Skip(tool + " is not installed")
		}
	}
	dir := b.TempDir()
	up, peer, logging := freePort(b), freePort(b), freePort(b)
	ca := open(b, options{noStart: true})
	pair, err := ca.ca.Current()
	if err != nil {
		b.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		b.Fatal(err)
	}
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		return name
	}
	crt := write("crt.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
	sec := write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	nginx(b, dir, "up", "off", fmt.Sprintf(`server { listen 127.0.0.1:%[1]d; location / { default_type application/json; return 200 '{"a":"%[2]s"}'; }
		location /open/images/ { default_type image/png; add_header Cache-Control "public, max-age=600"; return 200 '%[2]s'; } }`, up, strings.Repeat("x", 1016)))
	proxy := func(port int) string {
		return fmt.Sprintf(`proxy_cache_path %s keys_zone=kept:10m; upstream app { server 127.0.0.1:%d; keepalive 64; }
		server { listen 127.0.0.1:%d ssl; ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.3;
		location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; }
		location /open/images/ { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_cache kept; } }`, filepath.Join(dir, fmt.Sprint("kept", port)), up, port, crt, sec)
	}
	peerPid := nginx(b, dir, "peer", "off", proxy(peer))
	loggingPid := nginx(b, dir, "logging", filepath.Join(dir, "access.log")+" combined", proxy(logging))
	gatePid, both := child(b, up)
	addrs := strings.Fields(both)
	gateAddr, bareAddr, wholeAddr := addrs[0], addrs[1], addrs[2]
	return []rival{
		{"nginx", fmt.Sprintf("https://127.0.0.1:%d/open/x", peer), "X: y", peerPid},
		{"nginx-logging", fmt.Sprintf("https://127.0.0.1:%d/open/x", logging), "X: y", loggingPid},
		{"bare-go", bareAddr + "/open/x", "X: y", gatePid}, // httputil.ReverseProxy alone
		{"pass-through", gateAddr + "/open/x", "X: y", gatePid},
		{"session", gateAddr + "/admin/x", "Cookie: __Host-writ=adm", gatePid},
		{"whole", wholeAddr + "/orders/list?page=2", byRead, gatePid}, // description, limits, guard, access record; no attack rules
		{"nginx-hit", fmt.Sprintf("https://127.0.0.1:%d/open/images/x", peer), "X: y", peerPid},
		{"hit", gateAddr + "/open/images/x", "X: y", gatePid},
	}
}

// TestServeForBenchmark is the gate's own process; it runs only as a child.
func TestServeForBenchmark(t *testing.T) {
	up := os.Getenv("WRIT_BENCH_UPSTREAM")
	if up == "" {
		t.Skip("only for BenchmarkAgainstNginx")
	}
	k := open(t, options{url: up, routes: routes + "- {path: /open/images/, who: anyone, cache: images}\n", values: clause.Values{}})
	k.sessions.set("adm", person("adm", "admin"))
	kit := ledgertest.Open(t, gateway.Schema())
	records, err := trail.New(trail.Deps{DB: kit.DB, Keys: kit.Ring, Access: policytest.Access(kit.DB, kit.Clock.Now), Dir: t.TempDir(), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- records.Run(ctx) }()
	defer func() { stop(); <-done }()
	whole := described(t, options{url: up, kit: kit, trail: records, programs: gateway.Programs{Limits: gateway.Limits{Address: rate("999999/s"), Token: rate("999999/s"), Team: rate("999999/s")}}})
	to, _ := url.Parse(up)
	bare := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true}})
	bare.TLS = &tls.Config{GetCertificate: k.ca.Certificate}
	bare.StartTLS()
	defer bare.Close()
	fmt.Printf("gate at %s %s %s\n", k.base, bare.URL, whole.base)
	bufio.NewReader(os.Stdin).ReadByte() // until the parent goes
}

func child(b *testing.B, up int) (pid int, addr string) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestServeForBenchmark$", "-test.v", "-test.timeout", "10m")
	cmd.Env = append(os.Environ(), fmt.Sprintf("WRIT_BENCH_UPSTREAM=http://127.0.0.1:%d", up))
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, addr, ok := strings.Cut(lines.Text(), "gate at "); ok {
			return cmd.Process.Pid, addr
		}
	}
	b.Fatal("the gate did not start")
	return 0, ""
}

// nginx starts a master with two workers and returns the master's pid. log is the value
// of access_log.
func nginx(b *testing.B, dir, name, log, server string) int {
	b.Helper()
	conf := filepath.Join(dir, name+".conf")
	pidFile := filepath.Join(dir, name+".pid")
	as := ""
	if os.Getuid() == 0 {
		as = "user root;" // or its workers cannot keep anything in the folder
	}
	text := fmt.Sprintf("%s daemon off; worker_processes 2; pid %s; error_log stderr crit; events { worker_connections 1024; }\nhttp { access_log %s; keepalive_requests 1000000; client_body_temp_path %s; proxy_temp_path %s; fastcgi_temp_path %s; uwsgi_temp_path %s; scgi_temp_path %s;\n%s\n}", as, pidFile, log, dir, dir, dir, dir, dir, server)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("nginx", "-c", conf)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() })
	return cmd.Process.Pid
}

var (
	wrkTotal = regexp.MustCompile(`(\d+) requests in`)
	wrkBad   = regexp.MustCompile(`Non-2xx[^\n]*|Socket errors[^\n]*`)
)

// load returns µs of CPU for a request, and requests a second.
func load(b *testing.B, url, head string, pid int) (us, rps float64) {
	b.Helper()
	run := func(seconds int) float64 {
		out, err := exec.Command("wrk", "-t1", "-c32", fmt.Sprintf("-d%ds", seconds), "-H", head, url).CombinedOutput()
		if err != nil || wrkBad.Match(out) {
			b.Fatalf("wrk %s: %v\n%s", url, err, out)
		}
		n, _ := strconv.ParseFloat(string(wrkTotal.FindSubmatch(out)[1]), 64)
		return n
	}
	run(1)
	before := ticks(b, pid)
	n := run(5)
	return (ticks(b, pid) - before) * 10_000 / n, n / 5
}

// ticks is the CPU time of a process and its children in 1/100 s.
func ticks(b *testing.B, pid int) float64 {
	b.Helper()
	sum := ticksOf(b, pid)
	kids, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		b.Fatal(err)
	}
	for k := range strings.FieldsSeq(string(kids)) {
		n, err := strconv.Atoi(k)
		if err != nil {
			b.Fatal(err)
		}
		sum += ticksOf(b, n)
	}
	return sum
}

// ticksOf reads proc(5), fields 14 and 15.
func ticksOf(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	f := strings.Fields(string(text)[strings.LastIndexByte(string(text), ')')+2:])
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return user + system
}

func freePort(b *testing.B) int {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	time.Sleep(time.Millisecond)
	return l.Addr().(*net.TCPAddr).Port
}
