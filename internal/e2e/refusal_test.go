package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Whatever a stranger sends is answered with words and a status of his own fault, never
// of ours, and the server goes on.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	v := s.customer("maria@orchard.example")
	t.Run("sizes", func(t *testing.T) { sizes(t, s, v) })
	t.Run("bodies", func(t *testing.T) { bodies(t, s, v) })
	t.Run("tokens", func(t *testing.T) { tokens(t, s, v) })
	t.Run("addresses", func(t *testing.T) { addresses(t, s) })
	t.Run("targets", func(t *testing.T) { targets(t, s, v) })
	t.Run("bytes", func(t *testing.T) { foreignBytes(t, s) })
	t.Run("other origins", func(t *testing.T) { origins(t, v) })
	v.want(200, "GET", "session", nil)
	must(t, 0, s.writ("journal", "verify"))
}

// refusedWith wants a problem document with words.
func refusedWith(t *testing.T, a answer, statuses ...int) {
	t.Helper()
	for _, st := range statuses {
		if a.status != st {
			continue
		}
		if a.header.Get("Content-Type") == "application/problem+json" && (a.code() == "" || a.field("detail") == "" || a.field("request_id") != a.header.Get("X-Request-Id")) {
			t.Errorf("a refusal without words: %v", a)
		}
		return
	}
	t.Errorf("want %v, got %v", statuses, a)
}

func sizes(t *testing.T, s *server, v *visitor) {
	big := strings.Repeat("x", 20<<10)
	a := v.api("POST", "sign-in", obj{"email": "a@b.example", "password": big})
	refusedWith(t, a, 413)
	if a.code() == "" || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("an oversize body: %v", a)
	}
	refusedWith(t, v.api("POST", "sign-up", obj{"email": "a@b.example", "password": strings.Repeat("p", 5000), "name": ""}), 422)
	refusedWith(t, v.api("POST", "sign-up", obj{"email": strings.Repeat("a", 300) + "@b.example", "password": aPassword, "name": ""}), 422)
	refusedWith(t, v.api("POST", "sign-up", obj{"email": "a@b.example", "password": aPassword, "name": strings.Repeat("n", 200)}), 422)
	// A body whose size nobody told, and one that is told and never comes whole.
	refusedWith(t, v.send("POST", "/-/api/v1/sign-in", io.MultiReader(strings.NewReader(`{"email":"`), strings.NewReader(strings.Repeat("y", 1<<20))), jsonHead(obj{})), 413)
	refusedWith(t, v.send("GET", "/"+strings.Repeat("p", 9000), nil, nil), 414)
	refusedWith(t, v.send("GET", "/?q="+strings.Repeat("p", 9000), nil, nil), 414)
	refusedWith(t, v.send("GET", "/-/sign-in?q="+strings.Repeat("p", 9000), nil, nil), 200, 400, 414)
	refusedWith(t, v.send("GET", "/?"+strings.Repeat("a&", 1001), nil, nil), 400)

	line, err := raw(s, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Big: "+strings.Repeat("h", 100<<10)+"\r\n\r\n")
	if err != nil || !strings.Contains(line, " 431 ") {
		t.Errorf("headers of 100 KiB: %q %v", line, err)
	}
}

// raw sends bytes over TLS and reads the first line of the answer.
func raw(s *server, text string) (string, error) {
	c, err := tls.Dial("tcp", "127.0.0.1:"+s.port, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}) //nolint:gosec // the bytes are the subject here
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	go func() { _, _ = io.WriteString(c, text) }() // the server may close before the end
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line), err
}

func bodies(t *testing.T, s *server, v *visitor) {
	good := `{"email":"a@b.example","password":"` + aPassword + `"}`
	for name, body := range map[string]string{
		"empty": "", "no object": `[]`, "a word": "hello", "cut": good[:20], "two values": good + good, "trailing": good + " x",
		"unknown member": `{"email":"a","password":"b","admin":true}`, "member twice": `{"email":"a","email":"b","password":"c"}`,
		"wrong type": `{"email":7,"password":"b"}`, "null bytes": "{\"email\":\"a\x00\",\"password\":\"b\"}", "deep": strings.Repeat(`{"email":`, 1500),
		"invalid UTF-8": "{\"email\":\"a\xff@b.example\",\"password\":\"b\"}", "half a surrogate": `{"email":"\ud800","password":"b"}`, "other case": `{"Email":"a","password":"b"}`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"sign-in", "sign-up", "confirm", "recovery"} {
				refusedWith(t, v.send("POST", "/-/api/v1/"+path, strings.NewReader(body), jsonHead(obj{})), 400)
			}
		})
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application/json; charset=utf-16", "multipart/form-data; boundary=x", ";;;"} {
		h := http.Header{"Accept": {"application/json"}}
		if kind != "" {
			h.Set("Content-Type", kind)
		}
		refusedWith(t, v.send("POST", "/-/api/v1/sign-in", strings.NewReader(good), h), 415)
	}
	for _, path := range []string{"nothing-here", "sign-in/x/y", "people/../policy"} {
		refusedWith(t, v.api("GET", path, nil), 400, 404, 405, 307, 301)
	}
	refusedWith(t, v.api("DELETE", "sign-in", nil), 405)
	for _, body := range []string{"email=a%ZZ&password=x", "email=a;password=b", strings.Repeat("a=b&", 4000)} {
		h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"text/html"}, "Origin": {v.base}, "Sec-Fetch-Site": {"same-origin"}}
		a := s.visitor().send("POST", "/-/sign-in", strings.NewReader(body), h)
		if a.status >= 500 || a.status < 400 {
			t.Errorf("form %.20q: %v", body, a)
		}
	}
}

// tokens: nothing that stands where a secret is expected is our fault, or a key to anything.
func tokens(t *testing.T, s *server, v *visitor) {
	bad := []string{"x", "%20", "%27%20OR%201=1--", "%ff%fe", "..%2f..", "A%00B", strings.Repeat("A", 43), strings.Repeat("A", 4000), "%F0%9F%98%80", "-", "_", "%25", "a+b", "1e400"}
	for _, b := range bad {
		for _, c := range []struct {
			method, path string
			in           any
		}{
			{"POST", "recovery/" + b, obj{"new": anotherPassword}}, {"POST", "invitations/" + b + "/accept", obj{"name": "N", "password": anotherPassword}},
			{"GET", "sessions/" + b, nil}, {"DELETE", "sessions/" + b, nil},
		} {
			a := v.api(c.method, c.path, c.in)
			if a.status < 400 || a.status >= 500 {
				t.Errorf("%s %s: %v", c.method, c.path, a)
			}
		}
		for _, p := range []string{"confirm/", "recover/", "invite/"} {
			if a := s.visitor().page("/-/" + p + b); a.status >= 500 {
				t.Errorf("/-/%s%s: %v", p, b, a)
			}
		}
	}
	for _, b := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("A", 5000), "\"quoted\"", "a=b=c", "%ff", "\xff\xfe", "€", "1 2"} {
		w := s.visitor()
		head := http.Header{"Cookie": {"__Host-writ=" + b + "; __Host-writ-device=" + b + "; __Host-writ-flow=" + b}, "Accept": {"application/json"}}
		for path, want := range map[string]int{"/-/api/v1/session": 401, "/orders": 401, "/-/api/v1/policy": 401} {
			if a := w.send("GET", path, nil, head); a.status != want {
				t.Errorf("cookie %.20q at %s: %v", b, path, a)
			}
		}
		head.Set("Content-Type", "application/json")
		a := w.send("POST", "/-/api/v1/confirm", encode(t, obj{"token": b}), head)
		if a.status < 400 || a.status >= 500 {
			t.Errorf("confirm with %.20q: %v", b, a)
		}
		a = w.send("POST", "/-/api/v1/sign-in", encode(t, obj{"email": "maria@orchard.example", "password": "x"}), head)
		if a.status != 401 && a.status != 400 && a.status != 429 {
			t.Errorf("sign-in with cookies %.20q: %v", b, a)
		}
	}
	twice := http.Header{"Cookie": {"__Host-writ=" + v.session() + "; __Host-writ=" + v.session()}}
	w := s.visitor()
	if a := w.send("GET", "/orders", nil, twice); a.status != 401 {
		t.Errorf("the session cookie sent twice: %v", a)
	}
}

// addresses: what is no address is refused; what looks like another's is another one or
// refused, and never that account.
func addresses(t *testing.T, s *server) {
	sign := func(v *visitor, email string) answer {
		return v.api("POST", "sign-up", obj{"email": email, "password": aPassword, "name": ""})
	}
	v := s.visitor()
	for _, bad := range []string{"", "maria", "@orchard.example", "maria@", "maria@localhost", "maria@[127.0.0.1]", "maria@orchard.example\nBcc: x@y.example", "a@b@c.example",
		"maria@orchard.example\u0000", "Maria <maria@orchard.example>", "maria@orchard.example,noor@harbour.example", "\"maria\"@orchard.example", "maria @orchard.example",
		"maria@orchard..example", "maria@-orchard.example", "maria\u202e@orchard.example", "mar\u200bia@orchard.example", "maria@1.2.3.4"} {
		if a := sign(v, bad); a.status != 422 || a.field("errors") == "" {
			t.Errorf("%q: %v", bad, a)
		}
	}
	before := len(s.letters("maria@orchard.example"))
	v = s.visitor()
	for _, same := range []string{"MARIA@orchard.example", "maria@ORCHARD.example", " maria@orchard.example "} {
		if a := sign(v, same); a.status != 202 {
			t.Errorf("%q: %v", same, a)
		}
	}
	eventually(t, "letters say that there is an account", func() bool {
		n := 0
		for _, l := range s.letters("@orchard.example") {
			if strings.Contains(l.Subject, "already") {
				n++
			}
		}
		return n >= 1 && len(s.letters("@orchard.example")) >= before+1
	})
	// Another person's letter in another alphabet is another account.
	w := s.visitor()
	const lookalike = "m\u0430ria@orchard.example" // Cyrillic а
	if a := sign(w, lookalike); a.status == 202 {
		if a := w.api("POST", "sign-in", obj{"email": lookalike, "password": aPassword}); a.status != 401 {
			t.Errorf("a look-alike signs in: %v", a)
		}
	} else if a.status != 422 {
		t.Errorf("a look-alike: %v", a)
	}
}

// targets: what two readers could read differently is refused, not repaired.
func targets(t *testing.T, s *server, v *visitor) {
	for _, target := range []string{"//x", "/a//b", "/a/../b", "/a/./b", "/%2e%2e/b", "/a%2fb", "/a%5cb", "/a%00b", "/%", "/%zz", "/a;b", "/\\x", "/a?x=%00", "/a?x;y", "*", "/%ff", "/a%252fb"} {
		line, err := raw(s, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\nCookie: __Host-writ="+v.session()+"\r\n\r\n")
		if err != nil || !strings.Contains(line, " 400 ") {
			t.Errorf("%s: %q %v", target, line, err)
		}
	}
	for _, host := range []string{"evil.example", "", "127.0.0.1", "localhost.evil.example"} {
		line, err := raw(s, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		if err != nil || !strings.Contains(line, " 421 ") && !strings.Contains(line, " 400 ") {
			t.Errorf("host %q: %q %v", host, line, err)
		}
	}
}

// foreignBytes: connections that speak something else end, and nothing else does.
func foreignBytes(t *testing.T, s *server) {
	for name, text := range map[string]string{
		"smuggled":    "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
		"two lengths": "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", "garbage": "\x00\x01\x02\r\n\r\n",
		"folded": "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n", "space in name": "GET / HTTP/1.1\r\nHost: localhost\r\nX A: b\r\n\r\n", "no host": "GET / HTTP/1.1\r\n\r\n",
	} {
		line, err := raw(s, text)
		if err == nil && !strings.Contains(line, " 4") && !strings.Contains(line, " 401 ") {
			t.Errorf("%s: %q", name, line)
		}
	}
	c, err := net.Dial("tcp", "127.0.0.1:"+s.port) // plain text at the TLS port
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	b, _ := io.ReadAll(c)
	if bytes.Contains(b, []byte("200 OK")) {
		t.Errorf("plain text at the TLS port: %q", b)
	}
	old := tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10} //nolint:gosec // it must be refused
	if c, err := tls.Dial("tcp", "127.0.0.1:"+s.port, &old); err == nil {
		c.Close()
		t.Error("TLS 1.1 is spoken") // breaks: crypto.current-public
	}
}

// origins: another site's page cannot act with a visitor's cookies.
func origins(t *testing.T, v *visitor) {
	head := jsonHead(obj{})
	head.Set("Origin", "https://evil.example")
	head.Set("Sec-Fetch-Site", "cross-site")
	refusedWith(t, v.send("POST", "/-/api/v1/sign-out", nil, head), 403)
	refusedWith(t, v.send("POST", "/-/api/v1/password", strings.NewReader("{}"), head), 403)
}
