package browser

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/app"
	"writ/internal/cli"
	"writ/internal/demo/sample"
	"writ/internal/identity"
	"writ/internal/policy/document"
	"writ/internal/secret"

	"github.com/chromedp/chromedp"
)

const (
	aPassword       = "violet harbour 41 kettles"
	anotherPassword = "seven grey otters at dusk"
	patience        = 60 * time.Second // a quiet machine never waits so long
)

var owners = []struct{ address, name string }{
	{"ana@example.test", "Ana Sousa"}, {"ben@example.test", "Ben Okafor"}, {"chloe@example.test", "Chloe Lindqvist"},
}

// house is the server that all tests share, with its application and its browser.
type house struct {
	dir    string
	origin string
	app    *app.App
	roots  *x509.CertPool
	sample *sample.App
	front  *http.Server      // the application's listener
	links  map[string]string // one-time links of staff, by address
	phones sync.Map          // address → *phone
	away   atomic.Bool       // the application does not answer
	chrome context.Context
	log    *lines

	filling sync.Mutex
	fill    *fillings
}

// shared is made by TestMain; nil with a reason to skip.
var (
	shared *house
	absent string
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		absent = "chromium is not installed"
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "writ-browser")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, stop := context.WithCancel(context.Background())
	h := &house{dir: filepath.Join(dir, "w"), links: map[string]string{}, log: &lines{}}
	ended := make(chan error, 1)
	defer func() {
		stop()
		if h.app != nil {
			err = errors.Join(err, <-ended, h.app.Close())
		}
		if h.front != nil {
			err = errors.Join(err, h.front.Close())
		}
	}()
	if err := h.open(ctx, ended); err != nil {
		return 1, err
	}
	leave, err := h.browse(ctx, path, filepath.Join(dir, "profile"))
	if err != nil {
		return 1, fmt.Errorf("start chromium: %w", err)
	}
	defer leave()
	shared = h
	code = m.Run()
	if log := h.log.String(); code != 0 {
		fmt.Fprintf(os.Stderr, "the server's log ends with:\n%s\n", log[max(0, len(log)-4000):])
	} else if strings.Contains(log, "panic in handler") {
		return 1, errors.New("a handler broke: " + cut(log))
	}
	return code, nil
}

// theHouse is the shared server, or the test is skipped.
func theHouse(t *testing.T) *house {
	t.Helper()
	if shared == nil {
		t.Skip("no browser tests: " + absent)
	}
	return shared
}

// open makes the folder, starts the application and the server in front of it.
func (h *house) open(ctx context.Context, ended chan<- error) error {
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	set := app.Setup{
		InitOptions: cli.InitOptions{Dir: h.dir, App: "https://localhost:" + port, Upstreams: []string{"http://" + upstream.Addr().String()},
			HTTPS: "127.0.0.1:" + port, Company: "Fernhill"},
		Names: map[string]string{}, Edits: map[string]document.Literal{"use.no-automation/public_paths": document.Words("/", "/pricing", "/static/")},
	}
	for _, o := range owners {
		set.Owners = append(set.Owners, o.address)
		set.Names[o.address] = o.name
	}
	made, err := app.Make(ctx, set)
	if err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	for _, l := range made.Owners {
		h.links[l.Email] = l.URL
	}
	srv, err := app.Start(ctx, app.Options{Dir: h.dir, Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	h.app, h.origin, h.roots = srv, srv.Origin(), srv.Roots()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: h.roots}}}
	if h.sample, err = sample.New(ctx, sample.Options{File: filepath.Join(h.dir, "sample.db"), Now: time.Now,
		Verifier: &sample.Verifier{URL: h.origin + "/-/jwks", Client: client}}); err != nil {
		return errors.Join(err, srv.Close())
	}
	h.front = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.away.Load() {
			panic(http.ErrAbortHandler) // the connection ends without an answer
		}
		h.sample.ServeHTTP(w, r)
	})}
	go h.front.Serve(upstream)
	go func() { ended <- srv.Serve(ctx) }()
	return nil
}

// browse starts one browser that knows the server's key.
func (h *house) browse(ctx context.Context, path, profile string) (func(), error) {
	pin, err := h.pin()
	if err != nil {
		return nil, err
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(profile), chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("ignore-certificate-errors-spki-list", pin))
	alloc, stop := chromedp.NewExecAllocator(ctx, opts...)
	chrome, cancel := chromedp.NewContext(alloc)
	if err := chromedp.Do(chrome, chromedp.Navigate("about:blank")); err != nil {
		stop()
		return nil, err
	}
	h.chrome = chrome
	return func() { cancel(); stop() }, nil
}

// pin is the hash of the server's public key: the one certificate that the browser takes
// without knowing its authority.
func (h *house) pin() (string, error) {
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		c, err := tls.Dial("tcp", strings.TrimPrefix(h.origin, "https://"), &tls.Config{RootCAs: h.roots})
		if last = err; err != nil {
			continue
		}
		defer c.Close()
		sum := sha256.Sum256(c.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
		return base64.StdEncoding.EncodeToString(sum[:]), nil
	}
	return "", last
}

// ports hands out ports below the range from which the kernel takes its own for the many
// connections of a browser, starting elsewhere in each process.
var ports = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(int64(os.Getpid() * 41 % 9000))
	return &n
}()

// freePort is a port of loopback that nobody listens on, nor on the three beside it that
// the demonstration wants.
func freePort() (string, error) {
	for range 100 {
		p := int(10000 + ports.Add(40)%9900)
		if free(p) && free(p+37) && free(p+38) && free(p+39) {
			return strconv.Itoa(p), nil
		}
	}
	return "", errors.New("no port is free")
}

func free(port int) bool {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	return err == nil && l.Close() == nil
}

// staff adds an owner of the house who signs nothing, and returns the one-time link.
func (h *house) staff(t *testing.T, address, name string) string {
	t.Helper()
	added, err := h.app.Identity().EnsureOwner(t.Context(), actor.System("test"), identity.AddStaff{Email: address, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return added.URL.Reveal()
}

// customer makes an account with contacts.
func (h *house) customer(t *testing.T, address, name, team string, contacts ...sample.Contact) {
	t.Helper()
	made, err := h.app.Identity().CreateCustomer(t.Context(), actor.System("test"), identity.NewCustomer{Email: address, Name: name, Password: secret.NewText(aPassword), TeamName: team})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.sample.Seed(t.Context(), made.Team, contacts); err != nil {
		t.Fatal(err)
	}
}

var webAddress = regexp.MustCompile(`https://[^\s<>"]+`)

// letter waits for the n-th letter to an address (the first is 1) and returns its link.
func (h *house) letter(t *testing.T, to string, n int) string {
	t.Helper()
	var found []string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(25 * time.Millisecond) {
		names, err := filepath.Glob(filepath.Join(h.dir, "mail", "*.eml"))
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		found = nil
		for _, name := range names {
			link, err := linkIn(name, to)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if link != "" {
				found = append(found, link)
			}
		}
		if len(found) >= n {
			return found[n-1]
		}
	}
	t.Fatalf("letter %d to %s did not come; there are %d", n, to, len(found))
	return ""
}

// linkIn is the first link of a letter's text, "" when it is to somebody else.
func linkIn(file, to string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	m, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil || !strings.Contains(m.Header.Get("To"), to) {
		return "", err
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return "", err
	}
	part, err := multipart.NewReader(m.Body, params["boundary"]).NextPart()
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(part)
	return webAddress.FindString(string(text)), err
}

// client speaks to the API beside the browser.
type client struct {
	t    *testing.T
	base string
	http *http.Client
}

func (h *house) client(t *testing.T) *client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t, h.origin + "/-/api/v1/", &http.Client{Jar: jar, Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: h.roots}}}}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

type obj = map[string]any

// call asks the API and decodes its answer into out; any refusal ends the test.
func (c *client) call(method, path string, in, out any) {
	c.t.Helper()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			c.t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	a, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if a.StatusCode >= 300 {
		c.t.Fatalf("%s %s: %d %s", method, path, a.StatusCode, b)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			c.t.Fatalf("%s %s: %v in %.500s", method, path, err, b)
		}
	}
}
