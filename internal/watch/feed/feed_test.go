package feed_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/watch"
	"writ/internal/watch/export"
	"writ/internal/watch/feed"
)

// world is a feed over a ledger.
type world struct {
	*ledgertest.Kit
	t      *testing.T
	s      *feed.Service
	target feed.Target
	n      int64
}

func both(t *testing.T, target func(t *testing.T) feed.Target, fn func(w *world)) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) {
		w := &world{Kit: k, t: t, target: target(t), n: 5}
		w.again()
		must(t, w.follow()) // the first start
		fn(w)
	}, watch.Schema())
}

// again is a new process.
func (w *world) again() {
	w.t.Helper()
	var d net.Dialer
	var err error
	w.s, err = feed.New(feed.Deps{DB: w.DB, Access: policytest.Access(w.DB, w.Clock.Now), Targets: []feed.Target{w.target}, DialPlain: d.DialContext,
		Canary: func(_ context.Context, e *journal.Entry) (bool, error) { return e.Actor == "canary", nil },
		Rule:   watch.Told,
		Families: func(context.Context) ([]export.Family, error) {
			return []export.Family{{Name: "writ_x_total", Kind: export.Counter, Samples: []export.Sample{{Value: 3}}}}, nil
		},
		Host: "app.example.test", Version: "1", Now: w.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	must(w.t, err)
}

// entries are the next ones, numbered.
func (w *world) entries(n int) (es []journal.Entry) {
	for range n {
		es = append(es, journal.Entry{N: w.n, ID: fmt.Sprint("id", w.n), Stream: "identity.signed-in", Actor: "p:ana", At: w.Clock.Now(), Happened: w.Clock.Now()})
		w.n++
	}
	return es
}

func (w *world) follow(es ...journal.Entry) error {
	w.t.Helper()
	fn := w.s.Followers()["export/siem"]
	if fn == nil {
		w.t.Fatal("there is no follower")
	}
	return fn(w.t.Context(), es)
}

func (w *world) standing() feed.Standing {
	w.t.Helper()
	all, err := w.s.Standings(w.t.Context())
	must(w.t, err)
	return all[0]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// collector is a receiver of syslog that behaves as it is told.
type collector struct {
	mu   sync.Mutex
	got  []string
	mode string // "" reads and answers; "reset" reads nothing; "mute" never answers the end
}

func (c *collector) set(mode string) { c.mu.Lock(); c.mode = mode; c.mu.Unlock() }

func (c *collector) numbers() (ns []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.got {
		_, rest, _ := strings.Cut(m, ` n="`)
		text, _, _ := strings.Cut(rest, `"`)
		n, _ := strconv.Atoi(text)
		ns = append(ns, n)
	}
	return ns
}

func syslogServer(t *testing.T) (*collector, feed.Target) {
	t.Helper()
	cert, roots := authority(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	must(t, err)
	c := &collector{}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { c.serve(conn.(*tls.Conn)) })
		}
	})
	return c, feed.Target{Name: "siem", Kind: feed.Syslog, Address: l.Addr().String(), Dial: dial(roots)}
}

func (c *collector) serve(conn *tls.Conn) {
	defer conn.Close()
	c.mu.Lock()
	mode := c.mode
	c.mu.Unlock()
	if mode == "reset" {
		if conn.Handshake() == nil {
			_ = conn.NetConn().(*net.TCPConn).SetLinger(0)
		}
		conn.NetConn().Close()
		return
	}
	r := bufio.NewReader(conn)
	for {
		head, err := r.ReadString(' ')
		if err != nil {
			break
		}
		n, err := strconv.Atoi(strings.TrimSpace(head))
		if err != nil {
			break
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			break
		}
		c.mu.Lock()
		c.got = append(c.got, string(b))
		c.mu.Unlock()
	}
	if mode == "mute" {
		_, _ = io.Copy(io.Discard, conn.NetConn()) // until the other side gives up
	}
}

func authority(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	must(t, err)
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// Entries arrive once and in order: over a restart, over a receiver that was away, and when
// the journal gives them again.
func TestSyslogLosesNothing(t *testing.T) {
	var c *collector
	both(t, func(t *testing.T) (x feed.Target) { c, x = syslogServer(t); return x }, func(w *world) {
		old := w.entries(1)
		old[0].At = w.Clock.Now().Add(-time.Hour)
		must(w.t, w.follow(old...))
		first := w.entries(3)
		first[1].Actor = "canary"
		must(w.t, w.follow(first...))
		w.again()
		must(w.t, w.follow(append(first, w.entries(2)...)...)) // given again after a restart
		c.set("reset")
		more := w.entries(2)
		w.Clock.Advance(20 * time.Minute)
		if err := w.follow(more...); err == nil {
			w.t.Error("a receiver that read nothing took entries")
		}
		if st := w.standing(); st.Problem == "" || st.Waits.IsZero() || w.s.Late()["siem"] < 19 {
			w.t.Errorf("%+v", st)
		}
		c.set("mute")
		w.s.SetLimit(200 * time.Millisecond)
		if err := w.follow(more...); err == nil {
			w.t.Error("a receiver that may have read nothing took entries")
		}
		c.mu.Lock()
		c.got = c.got[:min(4, len(c.got))] // what it read then is known by its number
		c.mu.Unlock()
		c.set("")
		w.s.SetLimit(30 * time.Second)
		must(w.t, w.follow(more...))
		if got, want := c.numbers(), []int{6, 8, 9, 10, 11, 12}; !slices.Equal(got, want) {
			w.t.Errorf("got %v, want %v", got, want)
		}
		if st := w.standing(); st.Problem != "" || st.Taken != 6 || st.Next != 13 || w.s.Late()["siem"] != 0 {
			w.t.Errorf("%+v", st)
		}
	})
}

func dial(roots *x509.CertPool) feed.Dial {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		d := tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
		return d.DialContext(ctx, network, addr)
	}
}

// otlp is a receiver of OTLP.
type otlp struct {
	mu     sync.Mutex
	status int
	after  string
	answer string
	bodies []string
	token  string
}

func otlpServer(t *testing.T) (*otlp, feed.Target) {
	o := &otlp{status: 200, answer: "{}"}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.token = r.Header.Get("Authorization")
		status := o.status
		if bytes.Contains(b, []byte(`"id12"`)) { // one that it never takes
			status = 400
		}
		if status == 200 {
			o.bodies = append(o.bodies, r.URL.Path+" "+string(b))
		}
		w.Header().Set("Retry-After", o.after)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, o.answer)
	}))
	t.Cleanup(srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return o, feed.Target{Name: "siem", Kind: feed.OTLP, Address: srv.URL, Dial: dial(pool), Token: secret.NewText("t0ken")}
}

// taken are the ids of entries that the receiver took, in order.
func (o *otlp) taken(t *testing.T) (ids []string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range o.bodies {
		path, body, _ := strings.Cut(b, " ")
		if path != "/v1/logs" {
			continue
		}
		for part := range strings.SplitSeq(body, `"writ.id","value":{"stringValue":"`) {
			if id, _, ok := strings.Cut(part, `"`); ok && strings.HasPrefix(id, "id") {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// A receiver that is away or asks to be left alone gets everything later; one entry that it
// refuses for good takes no other with it, and is an entry.
func TestLogsArrive(t *testing.T) {
	var o *otlp
	both(t, func(t *testing.T) (x feed.Target) { o, x = otlpServer(t); return x }, func(w *world) {
		first := w.entries(3)
		for _, status := range []int{503, 401, 302} {
			o.mu.Lock()
			o.status = status
			o.mu.Unlock()
			if err := w.follow(first...); err == nil || strings.Contains(err.Error(), "127.0.0.1") {
				w.t.Errorf("%d: %v", status, err)
			}
		}
		o.mu.Lock()
		o.after = "60"
		o.mu.Unlock()
		if err := w.follow(first...); err == nil {
			w.t.Error("taken")
		}
		o.mu.Lock()
		o.status, o.after = 200, ""
		o.mu.Unlock()
		if err := w.follow(first...); err == nil || !strings.Contains(err.Error(), "left alone") {
			w.t.Errorf("it was not left alone: %v", err)
		}
		w.Clock.Advance(61 * time.Second)
		must(w.t, w.follow(first...))
		es := w.entries(8) // 8 to 15
		es[3].Stream, es[3].Object = "watch.export-dropped", "export/siem"
		must(w.t, w.follow(es...))
		must(w.t, w.follow(es...))
		want := []string{"id5", "id6", "id7", "id8", "id9", "id10", "id13", "id14", "id15"}
		if got := o.taken(w.t); !slices.Equal(got, want) {
			w.t.Errorf("got %v, want %v", got, want)
		}
		dropped := w.Recorded("watch.export-dropped")
		if len(dropped) != 1 || dropped[0].Fields["to"] != "siem" || dropped[0].Fields["cause"] != "400" || fmt.Sprint(dropped[0].Fields["count"]) != "1" {
			w.t.Errorf("%+v", dropped)
		}
		if st := w.standing(); st.Dropped != 1 || st.Taken != 9 || o.token != "Bearer t0ken" {
			w.t.Errorf("%+v %s", st, o.token)
		}
		o.mu.Lock()
		o.answer = `{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too old"}}`
		o.mu.Unlock()
		must(w.t, w.follow(w.entries(2)...))
		if d := w.Recorded("watch.export-dropped"); len(d) != 2 || d[1].Fields["cause"] != "partial" {
			w.t.Errorf("%+v", d)
		}
	})
}

func TestMeasurementsAreSent(t *testing.T) {
	k := ledgertest.Open(t, watch.Schema())
	o, target := otlpServer(t)
	w := &world{Kit: k, t: t, target: target}
	w.again()
	must(t, w.s.Measure(t.Context()))
	if len(o.bodies) != 1 || !strings.HasPrefix(o.bodies[0], "/v1/metrics ") || !strings.Contains(o.bodies[0], "writ_x_total") {
		t.Errorf("%v", o.bodies)
	}
	o.status = 500
	if w.s.Measure(t.Context()) == nil {
		t.Error("a receiver that fails took measurements")
	}
}

// Events stand in the folder once each, even where a process died between the file and the
// table; and what an operator took away is not missed.
func TestEventsInAFolder(t *testing.T) {
	var dir string
	both(t, func(t *testing.T) feed.Target {
		dir = filepath.Join(t.TempDir(), "events")
		return feed.Target{Name: "siem", Kind: feed.OCSF, Address: dir}
	}, func(w *world) {
		must(w.t, w.follow(w.entries(2)...))
		kept := w.standing()
		es := w.entries(3)
		es[1].Stream = "gateway.cache-purged" // has no class
		es[2].Stream = "watch.alarm-opened"
		size := w.size(dir)
		must(w.t, w.follow(es...))
		must(w.t, w.DB.Quiet(w.t.Context(), ledger.Cursor, func(tx *ledger.Tx) error { // it died before it wrote that down
			_, err := tx.Exec(w.t.Context(), `UPDATE watch_export SET n = $1, size = $2`, kept.Next, size)
			return err
		}))
		w.again()
		w.Clock.Advance(24 * time.Hour)
		must(w.t, w.follow(es...))
		if got, want := w.written(dir), []string{"id5", "id6", "id7", "id9"}; !slices.Equal(got, want) {
			w.t.Errorf("got %v, want %v", got, want)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		must(w.t, err)
		for _, f := range files {
			must(w.t, os.Remove(f))
		}
		must(w.t, w.follow(w.entries(1)...))
		if got := w.written(dir); !slices.Equal(got, []string{"id10"}) {
			w.t.Errorf("%v", got)
		}
	})
}

func (w *world) size(dir string) (n int64) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	must(w.t, err)
	for _, f := range files {
		fi, err := os.Stat(f)
		must(w.t, err)
		n += fi.Size()
	}
	return n
}

// written are the ids of events in the folder, by file and line.
func (w *world) written(dir string) (ids []string) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "writ-*.jsonl"))
	must(w.t, err)
	slices.Sort(files)
	for _, f := range files {
		b, err := os.ReadFile(f)
		must(w.t, err)
		for d := json.NewDecoder(bytes.NewReader(b)); ; {
			var e struct {
				Metadata struct {
					UID string `json:"uid"`
				} `json:"metadata"`
			}
			if err := d.Decode(&e); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				w.t.Fatal(err)
			}
			ids = append(ids, e.Metadata.UID)
		}
	}
	return ids
}
