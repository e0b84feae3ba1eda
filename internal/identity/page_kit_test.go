package identity_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/html"

	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/web"
)

// site is a world whose pages are served over TLS.
type site struct {
	*world
	pages *httptest.Server
	away  *atomic.Bool // while true, nothing can be recorded
}

func openSite(t testing.TB, opts ...option) *site {
	t.Helper()
	away := &atomic.Bool{}
	w := with(t, ledgertest.With(t, "sqlite", func(c *ledger.Config) {
		c.Seam.Commit = func() error {
			if away.Load() {
				return fault.Wrap(fault.Unavailable, "away", errors.New("the disk is away"))
			}
			return nil
		}
	}, jobs.Schema(), identity.Schema()), opts...)
	server, err := web.New(web.Deps{Log: slog.New(slog.DiscardHandler), Now: w.kit.Clock.Now,
		Brand: func() web.Brand { return web.Brand{Company: "Quorvex", Help: "mailto:help@example.test"} }})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Mount(append(w.svc.Routes(), w.svc.Pages()...)...); err != nil {
		t.Fatal(err)
	}
	s := &site{world: w, pages: httptest.NewTLSServer(server.Handler(w.svc)), away: away}
	t.Cleanup(s.pages.Close)
	return s
}

// reader is a browser without JavaScript: cookies, forms, redirects.
type reader struct {
	s   *site
	c   *http.Client
	now *sheet // the page that is open
}

func (s *site) reader() *reader {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &reader{s: s, c: &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.pages.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// sheet is a page as it came.
type sheet struct {
	status int
	path   string // with query
	header http.Header
	body   string
	hops   []string // redirects on the way
	forms  []pageForm
}

type pageForm struct {
	action, method, act string
	fields              url.Values
	kinds               map[string]map[string]string // attributes of the inputs, by name
}

func (r *reader) do(method, path string, body url.Values, hops []string) *sheet {
	r.s.t.Helper()
	var in io.Reader
	if body != nil {
		in = strings.NewReader(body.Encode())
	}
	q, err := http.NewRequestWithContext(r.s.t.Context(), method, r.s.pages.URL+path, in)
	if err != nil {
		r.s.t.Fatal(err)
	}
	q.Header.Set("Accept", "text/html,*/*;q=0.8")
	q.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	if body != nil {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.Header.Set("Origin", r.s.pages.URL)
		q.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	a, err := r.c.Do(q)
	if err != nil {
		r.s.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		r.s.t.Fatal(err)
	}
	if to := a.Header.Get("Location"); to != "" && a.StatusCode/100 == 3 {
		if len(hops) > 5 {
			r.s.t.Fatalf("too many redirects: %v", hops)
		}
		if a.Header.Get("Referrer-Policy") != "no-referrer" || a.Header.Get("Cache-Control") != "no-store" {
			r.s.t.Errorf("the redirect from %s may be kept or told on: %v", path, a.Header)
		}
		to, _, _ = strings.Cut(to, "#")
		return r.do(http.MethodGet, to, nil, append(hops, a.Header.Get("Location")))
	}
	r.now = &sheet{status: a.StatusCode, path: path, header: a.Header, body: string(b), hops: hops, forms: formsOf(r.s.t, b)}
	return r.now
}

// open follows a link.
func (r *reader) open(path string) *sheet {
	r.s.t.Helper()
	return r.do(http.MethodGet, path, nil, nil)
}

// press fills in the form whose button says act, and sends it.
func (r *reader) press(act string, values ...string) *sheet {
	r.s.t.Helper()
	for _, f := range r.now.forms {
		if f.act != act {
			continue
		}
		v := url.Values{}
		for name, was := range f.fields {
			v[name] = slices.Clone(was)
		}
		for i := 0; i+1 < len(values); i += 2 {
			if _, ok := f.fields[values[i]]; !ok {
				r.s.t.Fatalf("%s: the form %q has no field %q", r.now.path, act, values[i])
			}
			v.Set(values[i], values[i+1])
		}
		action, _, _ := strings.Cut(f.action, "#")
		return r.do(strings.ToUpper(f.method), action, v, nil)
	}
	r.s.t.Fatalf("%s has no button %q; it has %v\n%s", r.now.path, act, r.now.forms, r.now.body)
	return nil
}

// want holds the page that is open to a status and some of its words.
func (p *sheet) want(t testing.TB, status int, words ...string) *sheet {
	t.Helper()
	if p.status != status {
		t.Fatalf("%s: %d, want %d\n%s", p.path, p.status, status, p.body)
	}
	for _, w := range words {
		if !strings.Contains(html.UnescapeString(p.body), w) {
			t.Fatalf("%s does not say %q\n%s", p.path, w, p.body)
		}
	}
	return p
}

// formsOf reads the forms of a page as a browser does.
func formsOf(t testing.TB, b []byte) []pageForm {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var out []pageForm
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" {
			continue
		}
		f := pageForm{action: attrOf(n, "action"), method: attrOf(n, "method"), fields: url.Values{}, kinds: map[string]map[string]string{}}
		for c := range n.Descendants() {
			switch {
			case c.Type != html.ElementNode:
			case c.Data == "input":
				name := attrOf(c, "name")
				f.fields.Set(name, attrOf(c, "value"))
				f.kinds[name] = map[string]string{}
				for _, a := range c.Attr {
					f.kinds[name][a.Key] = a.Val
				}
			case c.Data == "button":
				f.act = textOf(c)
			}
		}
		out = append(out, f)
	}
	return out
}

func attrOf(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func textOf(n *html.Node) string {
	var s strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			s.WriteString(c.Data)
		}
	}
	return strings.TrimSpace(s.String())
}

// get fetches what is no page.
func (s *site) get(c *http.Client, path string) sheet {
	s.t.Helper()
	q, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.pages.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	q.Header.Set("Accept", "text/html,*/*;q=0.8")
	a, err := c.Do(q)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return sheet{status: a.StatusCode, path: path, header: a.Header, body: string(b)}
}
