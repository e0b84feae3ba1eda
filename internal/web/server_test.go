package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

func answerOK(w http.ResponseWriter, _ *http.Request, who actor.Actor) error {
	return web.WriteJSON(w, http.StatusOK, map[string]string{"who": who.String()})
}

func readAll(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	if _, err := io.ReadAll(r.Body); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func failing(err error) web.Handler {
	return func(http.ResponseWriter, *http.Request, actor.Actor) error { return err }
}

type ask struct {
	method, path, body, accept string
	header                     map[string]string
}

func (a ask) request() *http.Request {
	var body io.Reader
	if a.body != "" {
		body = strings.NewReader(a.body)
	}
	r := httptest.NewRequest(a.method, "https://app.example.test"+a.path, body)
	r.RemoteAddr = "203.0.113.9:4711"
	if a.accept != "" {
		r.Header.Set("Accept", a.accept)
	}
	for k, v := range a.header {
		r.Header.Set(k, v)
	}
	return r
}

func problemIn(t *testing.T, rec *httptest.ResponseRecorder) web.Problem {
	t.Helper()
	if ct := rec.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("Content-Type %q, body %s", ct, rec.Body)
	}
	var p web.Problem
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRefusals(t *testing.T) {
	s := newServer(t,
		web.Route{Pattern: "GET /-/open", Who: web.Anyone, Handle: answerOK},
		web.Route{Pattern: "GET /-/account", Who: web.SignedIn, Handle: answerOK},
		web.Route{Pattern: "POST /-/account", Who: web.SignedIn, Handle: answerOK},
		web.Route{Pattern: "POST /-/foreign", Who: web.Anyone, Handle: answerOK, Foreign: true},
		web.Route{Pattern: "GET /-/api/v1/session", Who: web.SignedIn, Handle: answerOK},
		web.Route{Pattern: "GET /-/console", Who: web.Staff, Handle: answerOK},
		web.Route{Pattern: "GET /-/keys", Who: web.Operator, Handle: answerOK},
		web.Route{Pattern: "GET /-/factors", Who: web.Enrolling, Handle: answerOK},
		web.Route{Pattern: "GET /-/terms", Who: web.Agreeing, Handle: answerOK},
		web.Route{Pattern: "GET /-/support", Who: web.SignedIn, Support: true, Handle: answerOK},
		web.Route{Pattern: "POST /-/api/v1/small", Who: web.Anyone, Limit: 8, Handle: readAll},
		web.Route{Pattern: "GET /-/api/v1/limited", Who: web.Anyone, Handle: failing(&fault.Error{Kind: fault.Limited, Code: "too_often", RetryAfter: 1500 * time.Millisecond, Public: fault.Public{Problem: "Too often."}})},
		web.Route{Pattern: "GET /-/api/v1/away", Who: web.Anyone, Handle: failing(fault.Unavailable)},
		web.Route{Pattern: "GET /-/api/v1/plain", Who: web.Anyone, Handle: failing(errors.New("dsn=postgres://user:hunter2@db"))},
	)
	support := actor.Actor{Kind: actor.Person, ID: "sam", Roles: []string{"support"}}
	enrolling := actor.Actor{Kind: actor.Enrolling, ID: "sam", Session: "s", Roles: []string{"owner"}}
	agreeing := actor.Actor{Kind: actor.Agreeing, ID: "ana", Session: "s", Roles: []string{"owner"}}
	looking := actor.Actor{Kind: actor.Support, ID: "sam", For: "ana", Session: "s", Roles: []string{"owner"}, Writes: true}
	tests := map[string]struct {
		door   door
		ask    ask
		status int
		code   string
		header map[string]string
	}{
		"anyone":                    {door{}, ask{method: "GET", path: "/-/open"}, 200, "", nil},
		"stranger asks for an api":  {door{}, ask{method: "GET", path: "/-/api/v1/session", accept: "text/html"}, 401, "sign_in_needed", map[string]string{"WWW-Authenticate": `Bearer realm="writ"`}},
		"stranger opens a page":     {door{}, ask{method: "GET", path: "/-/account?a=1&b=2", accept: "text/html,*/*"}, 302, "", map[string]string{"Location": "/-/sign-in?to=%2F-%2Faccount%3Fa%3D1%26b%3D2"}},
		"stranger posts a form":     {door{}, ask{method: "POST", path: "/-/account", body: "a=1"}, 401, "sign_in_needed", nil},
		"dead cookie, open route":   {door{err: fault.Unauthenticated}, ask{method: "GET", path: "/-/open"}, 200, "", nil},
		"dead cookie, closed route": {door{err: fault.Unauthenticated}, ask{method: "GET", path: "/-/api/v1/session"}, 401, "sign_in_needed", nil},
		"sealed, open route":        {door{err: fault.Sealed}, ask{method: "GET", path: "/-/open"}, 200, "", nil},
		"sealed, closed route":      {door{err: fault.Sealed}, ask{method: "GET", path: "/-/api/v1/session"}, 503, "sealed", map[string]string{"Retry-After": "10"}},
		"customer at the console":   {door{who: cust}, ask{method: "GET", path: "/-/console"}, 403, "not_allowed", nil},
		"support at the console":    {door{who: support}, ask{method: "GET", path: "/-/console"}, 200, "", nil},
		"support at the operator's": {door{who: support}, ask{method: "GET", path: "/-/keys"}, 403, "not_allowed", nil},
		"owner at the operator's":   {door{who: ana}, ask{method: "GET", path: "/-/keys"}, 200, "", nil},
		// breaks: access.mfa-by-technology
		"enrolling where signed in":   {door{who: enrolling}, ask{method: "GET", path: "/-/api/v1/session"}, 403, "enrol_required", nil},
		"enrolling at the console":    {door{who: enrolling}, ask{method: "GET", path: "/-/console"}, 403, "enrol_required", nil},
		"enrolling at the operator's": {door{who: enrolling}, ask{method: "GET", path: "/-/keys"}, 403, "enrol_required", nil},
		"enrolling opens a page":      {door{who: enrolling}, ask{method: "GET", path: "/-/account?a=1", accept: "text/html"}, 302, "", map[string]string{"Location": "/-/account/factors?to=%2F-%2Faccount%3Fa%3D1"}},
		// breaks: use.terms
		"agreeing where signed in":   {door{who: agreeing}, ask{method: "GET", path: "/-/api/v1/session"}, 403, "terms_required", nil},
		"agreeing at the console":    {door{who: agreeing}, ask{method: "GET", path: "/-/console"}, 403, "terms_required", nil},
		"agreeing at the operator's": {door{who: agreeing}, ask{method: "GET", path: "/-/keys"}, 403, "terms_required", nil},
		"agreeing at the factors":    {door{who: agreeing}, ask{method: "GET", path: "/-/factors"}, 403, "terms_required", nil},
		"agreeing opens a page":      {door{who: agreeing}, ask{method: "GET", path: "/-/account?a=1", accept: "text/html"}, 302, "", map[string]string{"Location": "/-/terms?to=%2F-%2Faccount%3Fa%3D1"}},
		"agreeing at the terms":      {door{who: agreeing}, ask{method: "GET", path: "/-/terms"}, 200, "", nil},
		"enrolling at the terms":     {door{who: enrolling}, ask{method: "GET", path: "/-/terms"}, 403, "enrol_required", nil},
		// breaks: use.need-to-see
		"looking where anyone may":    {door{who: looking}, ask{method: "GET", path: "/-/open"}, 403, "support_closed", nil},
		"looking where signed in":     {door{who: looking}, ask{method: "GET", path: "/-/api/v1/session"}, 403, "support_closed", nil},
		"looking at the console":      {door{who: looking}, ask{method: "GET", path: "/-/console"}, 403, "support_closed", nil},
		"looking at the operator's":   {door{who: looking}, ask{method: "GET", path: "/-/keys"}, 403, "support_closed", nil},
		"looking at the terms":        {door{who: looking}, ask{method: "GET", path: "/-/terms"}, 403, "support_closed", nil},
		"looking at its end":          {door{who: looking}, ask{method: "GET", path: "/-/support"}, 200, "", nil},
		"stranger at a look's end":    {door{}, ask{method: "GET", path: "/-/support"}, 401, "sign_in_needed", nil},
		"enrolling at the factors":    {door{who: enrolling}, ask{method: "GET", path: "/-/factors"}, 200, "", nil},
		"customer at the factors":     {door{who: cust}, ask{method: "GET", path: "/-/factors"}, 200, "", nil},
		"stranger at the factors":     {door{}, ask{method: "GET", path: "/-/factors"}, 401, "sign_in_needed", nil},
		"operator everywhere":         {door{who: socks}, ask{method: "GET", path: "/-/keys"}, 200, "", nil},
		"operator where signed in":    {door{who: socks}, ask{method: "GET", path: "/-/account"}, 200, "", nil},
		"system actor is not a staff": {door{who: actor.System("x")}, ask{method: "GET", path: "/-/console"}, 401, "sign_in_needed", nil},
		"cross-site post":             {door{who: ana}, ask{method: "POST", path: "/-/account", body: "a=1", header: map[string]string{"Sec-Fetch-Site": "cross-site"}}, 403, "cross_origin", nil},
		"foreign origin post":         {door{who: ana}, ask{method: "POST", path: "/-/account", body: "a=1", header: map[string]string{"Origin": "https://evil.example"}}, 403, "cross_origin", nil},
		"cross-site where it may":     {door{who: ana}, ask{method: "POST", path: "/-/foreign", body: "a=1", header: map[string]string{"Sec-Fetch-Site": "cross-site"}}, 200, "", nil},
		"same-origin post":            {door{who: ana}, ask{method: "POST", path: "/-/account", body: "a=1", header: map[string]string{"Sec-Fetch-Site": "same-origin"}}, 200, "", nil},
		"cross-site read":             {door{who: ana}, ask{method: "GET", path: "/-/account", header: map[string]string{"Sec-Fetch-Site": "cross-site"}}, 200, "", nil},
		"body at the limit":           {door{}, ask{method: "POST", path: "/-/api/v1/small", body: "12345678"}, 204, "", nil},
		"declared body too large":     {door{}, ask{method: "POST", path: "/-/api/v1/small", body: "123456789"}, 413, "too_large", nil},
		"limited":                     {door{}, ask{method: "GET", path: "/-/api/v1/limited"}, 429, "too_often", map[string]string{"Retry-After": "2"}},
		"away":                        {door{}, ask{method: "GET", path: "/-/api/v1/away"}, 503, "unavailable", map[string]string{"Retry-After": "10"}},
		"error without a kind":        {door{}, ask{method: "GET", path: "/-/api/v1/plain"}, 500, "internal", nil},
		"nothing there":               {door{}, ask{method: "GET", path: "/-/nothing"}, 404, "not_found", nil},
		"wrong method":                {door{}, ask{method: "DELETE", path: "/-/account"}, 405, "method_not_allowed", map[string]string{"Allow": "GET, HEAD, POST"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			s.Handler(tc.door).ServeHTTP(rec, tc.ask.request())
			if rec.Code != tc.status {
				t.Fatalf("status %d, want %d: %s", rec.Code, tc.status, rec.Body)
			}
			if tc.code != "" {
				p := problemIn(t, rec)
				if p.Code != tc.code || p.Status != tc.status || p.RequestID != rec.Header().Get("X-Request-Id") || p.Type != "urn:writ:problem:"+tc.code {
					t.Errorf("problem %+v", p)
				}
			}
			for k, v := range tc.header {
				if got := rec.Header().Get(k); got != v {
					t.Errorf("%s: %q, want %q", k, got, v)
				}
			}
			if strings.Contains(rec.Body.String(), "hunter2") {
				t.Error("the inside of an error reached the client")
			}
		})
	}
}

func testEveryAnswerCarriesTheHeaders(t *testing.T) {
	s := newServer(t,
		web.Route{Pattern: "GET /-/open", Who: web.Anyone, Handle: answerOK},
		web.Route{Pattern: "GET /-/bad", Who: web.Anyone, Handle: func(w http.ResponseWriter, _ *http.Request, _ actor.Actor) error {
			w.Header().Set("Cache-Control", "public")
			w.Header().Set("Content-Length", "999")
			return fault.Denied
		}},
		web.Route{Pattern: "GET /-/panic", Who: web.Anyone, Handle: func(http.ResponseWriter, *http.Request, actor.Actor) error { panic("x") }})
	want := map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
	}
	for _, path := range []string{"/-/open", "/-/bad", "/-/panic", "/-/nothing"} {
		for _, accept := range []string{"text/html", "application/json"} {
			rec := httptest.NewRecorder()
			s.Handler(door{}).ServeHTTP(rec, ask{method: "GET", path: path, accept: accept, header: map[string]string{"X-Request-Id": "mine"}}.request())
			for k, v := range want {
				if got := rec.Header().Get(k); got != v {
					t.Errorf("%s %s: %s %q", path, accept, k, got)
				}
			}
			if id := rec.Header().Get("X-Request-Id"); len(id) < 12 {
				t.Errorf("%s: request id %q", path, id)
			}
			if accept == "text/html" && rec.Code >= 400 && !strings.Contains(rec.Body.String(), "</html>") {
				t.Errorf("%s: no page: %s", path, rec.Body)
			}
			if cl := rec.Header().Get("Content-Length"); cl == "999" {
				t.Errorf("%s: a length prepared for another answer was sent", path)
			}
		}
	}
}

func TestPanicIsLoggedAndSaysNothing(t *testing.T) {
	var log bytes.Buffer
	s, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{} }, Log: slog.New(slog.NewTextHandler(&log, nil)), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Mount(web.Route{Pattern: "GET /-/recover/{token}", Who: web.Anyone, Handle: func(http.ResponseWriter, *http.Request, actor.Actor) error { panic("boom at 0x1") }}); err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	s.Handler(door{}).ServeHTTP(rec, ask{method: "GET", path: "/-/recover/s3cr3t-link"}.request())
	p := problemIn(t, rec)
	if p.Code != "internal" || p.Status != 500 || strings.Contains(rec.Body.String(), "boom") {
		t.Errorf("answer %s", rec.Body)
	}
	if !strings.Contains(log.String(), "boom at 0x1") || !strings.Contains(log.String(), p.RequestID) || !strings.Contains(log.String(), "/-/recover/{token}") {
		t.Errorf("log lacks the panic, its request or its route: %s", log.String())
	}
	if strings.Contains(log.String(), "s3cr3t-link") {
		t.Error("the log holds the path of a one-time link")
	}
}

func TestHalfAnAnswerIsCut(t *testing.T) {
	for name, after := range map[string]web.Handler{
		"error": failing(errors.New("late")),
		"panic": func(http.ResponseWriter, *http.Request, actor.Actor) error { panic("late") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, web.Route{Pattern: "GET /-/half", Who: web.Anyone, Handle: func(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
				_, _ = io.WriteString(w, "half")
				http.NewResponseController(w).Flush()
				return after(w, r, who)
			}})
			srv := httptest.NewServer(s.Handler(door{}))
			defer srv.Close()
			resp, err := http.Get(srv.URL + "/-/half")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("half an answer ended as a whole one: %q", b)
			}
		})
	}
}

func TestBodies(t *testing.T) {
	s, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{} }, Log: slog.New(slog.DiscardHandler), Now: clock, Body: 150 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Mount(
		web.Route{Pattern: "POST /-/api/v1/read", Who: web.Anyone, Limit: 64, Handle: readAll},
		web.Route{Pattern: "GET /-/api/v1/read", Who: web.Anyone, Handle: readAll},
		web.Route{Pattern: "POST /-/api/v1/work", Who: web.Anyone, Handle: func(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
			if _, err := io.ReadAll(r.Body); err != nil {
				return err
			}
			select { // the body's time is over; the work is not
			case <-r.Context().Done():
				return r.Context().Err()
			case <-time.After(400 * time.Millisecond):
				return answerOK(w, r, who)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler(door{}))
	defer srv.Close()
	send := func(head, body string) string {
		t.Helper()
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(c, head+"\r\nHost: x\r\nConnection: close\r\n"+body)
		b, _ := io.ReadAll(c)
		line, _, _ := strings.Cut(string(b), "\r\n")
		return line
	}
	chunk := strings.Repeat("x", 65)
	for name, tc := range map[string]struct{ head, body, want string }{
		"slow body":          {"POST /-/api/v1/read HTTP/1.1", "Content-Length: 10\r\n\r\n123", "400"},
		"whole body":         {"POST /-/api/v1/read HTTP/1.1", "Content-Length: 3\r\n\r\n123", "204"},
		"endless chunks":     {"POST /-/api/v1/read HTTP/1.1", "Transfer-Encoding: chunked\r\n\r\n41\r\n" + chunk + "\r\n", "413"},
		"body of a read":     {"GET /-/api/v1/read HTTP/1.1", "Content-Length: 3\r\n\r\n123", "204"},
		"long work is apart": {"POST /-/api/v1/work HTTP/1.1", "Content-Length: 3\r\n\r\n123", "200"},
	} {
		t.Run(name, func(t *testing.T) {
			if line := send(tc.head, tc.body); !strings.Contains(line, " "+tc.want+" ") {
				t.Errorf("got %q, want %s", line, tc.want)
			}
		})
	}
}

func TestHandlerTime(t *testing.T) {
	wait := func(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
		if _, ok := r.Context().Deadline(); !ok {
			return answerOK(w, r, actor.Actor{})
		}
		<-r.Context().Done()
		return r.Context().Err()
	}
	s := newServer(t, web.Route{Pattern: "GET /-/api/v1/slow", Who: web.Anyone, Time: 10 * time.Millisecond, Handle: wait},
		web.Route{Pattern: "GET /-/api/v1/stream", Who: web.Anyone, Time: -1, Handle: wait})
	rec := httptest.NewRecorder()
	s.Handler(door{}).ServeHTTP(rec, ask{method: "GET", path: "/-/api/v1/slow"}.request())
	if p := problemIn(t, rec); p.Status != 503 || p.Code != "unavailable" {
		t.Errorf("%+v", p)
	}
	rec = httptest.NewRecorder()
	s.Handler(door{}).ServeHTTP(rec, ask{method: "GET", path: "/-/api/v1/stream"}.request())
	if rec.Code != 200 {
		t.Errorf("stream: %d", rec.Code)
	}
}

func TestMountRefuses(t *testing.T) {
	for name, rt := range map[string]web.Route{
		"no method":       {Pattern: "/-/x", Who: web.Anyone, Handle: answerOK},
		"no handler":      {Pattern: "GET /-/x", Who: web.Anyone},
		"nobody":          {Pattern: "GET /-/x", Handle: answerOK},
		"unknown who":     {Pattern: "GET /-/x", Who: web.Agreeing + 1, Handle: answerOK},
		"twice":           {Pattern: "GET /-/api/v1/openapi.json", Who: web.Anyone, Handle: answerOK},
		"malformed":       {Pattern: "GET /-/{x", Who: web.Anyone, Handle: answerOK},
		"body for a read": {Pattern: "GET /-/api/x", Who: web.Anyone, Handle: answerOK, Doc: web.Doc{In: struct{}{}}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := newServer(t).Mount(rt); err == nil {
				t.Error("mounted")
			}
		})
	}
	if _, err := web.New(web.Deps{}); err == nil {
		t.Error("a server without its dependencies was made")
	}
}

func TestOwnsAndFail(t *testing.T) {
	s := newServer(t, web.Route{Pattern: "GET /.well-known/change-password", Who: web.Anyone, Handle: answerOK})
	for path, want := range map[string]bool{"/-/x": true, "/-": true, "/-x": false, "/": false, "/.well-known/change-password": true, "/.well-known/other": false} {
		if got := s.Owns(httptest.NewRequest("GET", path, nil)); got != want {
			t.Errorf("Owns(%s) = %v", path, got)
		}
	}
	rec := httptest.NewRecorder()
	s.Fail(rec, ask{method: "GET", path: "/orders", accept: "text/html"}.request(), fault.Unavailable)
	if rec.Code != 503 || rec.Header().Get("Retry-After") == "" || !strings.Contains(rec.Body.String(), "Harbour Ltd") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestAssets(t *testing.T) {
	s := newServer(t, sampleRoutes(t)...)
	s.SetChrome(func(context.Context, actor.Actor) web.Chrome { return web.Chrome{} })
	h := s.Handler(door{})
	get := func(path string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, ask{method: "GET", path: path, accept: "text/html"}.request())
		return rec
	}
	_, rest, _ := strings.Cut(get("/-/sign-in").Body.String(), `<link rel="stylesheet" href="`)
	url, _, _ := strings.Cut(rest, `"`)
	rec := get(url)
	if rec.Code != 200 || rec.Header().Get("Content-Type") != "text/css; charset=utf-8" || rec.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" {
		t.Errorf("%s: %d %v", url, rec.Code, rec.Header())
	}
	if rec := get("/-/assets/000000000000/writ.css"); rec.Code != 404 {
		t.Errorf("stale hash: %d", rec.Code)
	}
}
