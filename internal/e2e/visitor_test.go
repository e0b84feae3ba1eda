package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// application is what stands behind Writ: it answers with what it got.
type application struct {
	url string
	mu  sync.Mutex
	got []heard
	on  atomic.Pointer[http.HandlerFunc] // replaces the answer
}

// heard is a request that reached the application.
type heard struct {
	Method, Target, Body string
	Header               http.Header
}

func newApplication(t testing.TB) *application {
	t.Helper()
	a := &application{}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	a.url = s.URL
	return a
}

// ServeHTTP tells the caller what arrived.
func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.UserAgent() == "Writ-Health" { // the gate looks whether somebody is there; that is no visit
		return
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h := heard{r.Method, r.RequestURI, string(b), r.Header.Clone()}
	a.mu.Lock()
	a.got = append(a.got, h)
	a.mu.Unlock()
	if f := a.on.Load(); f != nil {
		(*f)(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(h) // the reader may be gone
}

// last is the newest request for a target. Canaries come too, whenever they like.
func (a *application) last(t testing.TB, target string) heard {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range slices.Backward(a.got) {
		if h.Target == target {
			return h
		}
	}
	t.Fatalf("the application did not get %s, but %v", target, a.got)
	return heard{}
}

// visitor is somebody outside: a browser's cookies, an address and a network of its own.
type visitor struct {
	t    testing.TB
	http *http.Client
	base string
	from net.IP
	head http.Header // on every request
}

var networks atomic.Int64

// visitor comes from a /24 that nobody else uses: sign-ups are counted by it. 127.77 is
// the canaries'.
func (s *folder) visitor() *visitor {
	s.t.Helper()
	n := networks.Add(1)
	return s.visitorFrom(net.IPv4(127, byte(100+n/250), byte(1+n%250), byte(1+n%200)))
}

func (s *folder) visitorFrom(ip net.IP) *visitor {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "ca", "ca.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		s.t.Fatal("ca.pem holds no certificate")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: ip}, Timeout: patience}
	addr := "127.0.0.1:" + s.port
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.DialContext(ctx, network, addr)
		}}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &visitor{t: s.t, base: s.origin, from: ip, head: http.Header{}, http: &http.Client{Transport: tr, Jar: jar, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	proto  string
}

func (a answer) String() string {
	return fmt.Sprintf("%d %v %s", a.status, a.header, tail(a.body, 1500))
}

// field reads a member of a JSON answer, "a.b" for a member of a member.
func (a answer) field(path string) string {
	var v any
	if json.Unmarshal([]byte(a.body), &v) != nil {
		return ""
	}
	for p := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	if s, ok := v.(string); ok {
		return s
	}
	return fmt.Sprint(v)
}

// code is the stable code of a refusal.
func (a answer) code() string { return a.field("code") }

// cookie is a cookie that the answer sets.
func (a answer) cookie(name string) *http.Cookie {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// try sends a request; an error is for the caller.
func (v *visitor) try(method, path string, body io.Reader, head http.Header) (answer, error) {
	r, err := http.NewRequest(method, v.base+path, body)
	if err != nil {
		return answer{}, err
	}
	for _, h := range []http.Header{v.head, head} {
		maps.Copy(r.Header, h)
	}
	resp, err := v.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b), resp.Proto}, err
}

// send sends a request and wants an answer, whichever.
func (v *visitor) send(method, path string, body io.Reader, head http.Header) answer {
	v.t.Helper()
	a, err := v.try(method, path, body, head)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// api calls the JSON API. in is encoded, a string goes as it is, nil sends nothing.
func (v *visitor) api(method, path string, in any) answer {
	v.t.Helper()
	return v.send(method, "/-/api/v1/"+path, encode(v.t, in), jsonHead(in))
}

func jsonHead(in any) http.Header {
	h := http.Header{"Accept": {"application/json"}}
	if in != nil {
		h.Set("Content-Type", "application/json")
	}
	return h
}

func encode(t testing.TB, in any) io.Reader {
	t.Helper()
	switch in := in.(type) {
	case nil:
		return nil
	case string:
		return strings.NewReader(in)
	}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b)
}

// want calls the API and wants this status.
func (v *visitor) want(status int, method, path string, in any) answer {
	v.t.Helper()
	a := v.api(method, path, in)
	if a.status != status {
		v.t.Fatalf("%s %s: want %d, got %v", method, path, status, a)
	}
	return a
}

// obj is a JSON object.
type obj = map[string]any

// page asks for a page as a browser does.
func (v *visitor) page(path string) answer {
	v.t.Helper()
	return v.send(http.MethodGet, path, nil, http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}})
}

// session is the value of the session cookie in the jar.
func (v *visitor) session() string {
	u, err := url.Parse(v.base)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range v.http.Jar.Cookies(u) {
		if c.Name == "__Host-writ" {
			return c.Value
		}
	}
	return ""
}

// letter is a message in DIR/mail.
type letter struct{ To, Subject, Text, Raw string }

var link = regexp.MustCompile(`https://[^\s<>"]+`)

// token is the last part of the letter's link.
func (l letter) token() string {
	u := link.FindString(l.Text)
	return u[strings.LastIndexByte(u, '/')+1:]
}

// letters reads DIR/mail, oldest first.
func (f *folder) letters(to string) []letter {
	f.t.Helper()
	names, err := filepath.Glob(filepath.Join(f.dir, "mail", "*.eml"))
	if err != nil {
		f.t.Fatal(err)
	}
	slices.Sort(names)
	var out []letter
	for _, n := range names {
		if filepath.Base(n)[0] == '.' { // being written
			continue
		}
		b, err := os.ReadFile(n)
		if err != nil {
			f.t.Fatal(err)
		}
		l, err := readLetter(string(b))
		if err != nil {
			f.t.Fatalf("%s: %v", n, err)
		}
		if strings.Contains(l.To, to) {
			out = append(out, l)
		}
	}
	return out
}

// letter waits for the n-th letter to an address, the first is 1.
func (f *folder) letter(to string, n int) letter {
	f.t.Helper()
	var ls []letter
	eventually(f.t, fmt.Sprintf("letter %d to %s", n, to), func() bool { ls = f.letters(to); return len(ls) >= n })
	return ls[n-1]
}

func readLetter(raw string) (letter, error) {
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		return letter{}, err
	}
	l := letter{To: m.Header.Get("To"), Raw: raw}
	if l.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return l, err
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		return l, fmt.Errorf("the letter is %s: %w", kind, err)
	}
	p, err := multipart.NewReader(m.Body, params["boundary"]).NextPart() // decodes quoted-printable
	if err != nil {
		return l, err
	}
	b, err := io.ReadAll(p)
	l.Text = strings.ReplaceAll(string(b), "\r\n", "\n")
	return l, err
}

const (
	aPassword       = "violet harbour 41 kettles"
	anotherPassword = "seven grey otters at dusk"
	thirdPassword   = "cloudy marmalade 88 bricks"
)

// signUp makes an account through the door and returns its visitor, not signed in.
func (s *server) signUp(email string) *visitor {
	s.t.Helper()
	v := s.visitor()
	v.want(http.StatusAccepted, "POST", "sign-up", obj{"email": email, "password": aPassword, "name": "Some One"})
	v.want(http.StatusOK, "POST", "confirm", obj{"token": s.letter(email, 1).token()})
	return v
}

// customer is a signed-up visitor who is signed in.
func (s *server) customer(email string) *visitor {
	s.t.Helper()
	v := s.signUp(email)
	v.want(http.StatusOK, "POST", "sign-in", obj{"email": email, "password": aPassword})
	return v
}

// owner accepts an owner's link and signs in.
func (s *server) owner(email string) *visitor {
	s.t.Helper()
	v := s.visitor()
	u := s.owners[email]
	v.want(http.StatusOK, "POST", "invitations/"+u[strings.LastIndexByte(u, '/')+1:]+"/accept", obj{"name": "Owner", "password": aPassword})
	s.enter(v, email, aPassword)
	return v
}
