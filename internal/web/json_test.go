package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/web"
)

type signIn struct {
	Email    string      `json:"email"`
	Password secret.Text `json:"password"`
}

func jsonRequest(kind, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/-/api/v1/sign-in", strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	return r
}

func TestReadJSON(t *testing.T) {
	const good = `{"email":"a@example.test","password":"pw-hunter2"}`
	for name, tc := range map[string]struct {
		kind, body string
		want       fault.Kind
	}{
		"good":             {"application/json", good, ""},
		"charset":          {"application/json; charset=UTF-8", good, ""},
		"other charset":    {"application/json; charset=latin1", good, fault.Media},
		"form":             {"application/x-www-form-urlencoded", good, fault.Media},
		"none":             {"", good, fault.Media},
		"unknown member":   {"application/json", `{"email":"a","admin":true}`, fault.Malformed},
		"repeated member":  {"application/json", `{"email":"a","email":"b"}`, fault.Malformed},
		"other case":       {"application/json", `{"Email":"a"}`, fault.Malformed},
		"two values":       {"application/json", good + good, fault.Malformed},
		"wrong type":       {"application/json", `{"email":1}`, fault.Malformed},
		"bad utf-8":        {"application/json", "{\"email\":\"\xff\"}", fault.Malformed},
		"cut short":        {"application/json", `{"email":"a","password":"pw-hunter2`, fault.Malformed},
		"password as list": {"application/json", `{"password":["pw-hunter2"]}`, fault.Malformed},
		"empty":            {"application/json", ``, fault.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := web.ReadJSON[signIn](jsonRequest(tc.kind, tc.body))
			if got := fault.KindOf(err); got != tc.want {
				t.Fatalf("kind %q, want %q (%v)", got, tc.want, err)
			}
			if err == nil && (v.Email != "a@example.test" || v.Password.Reveal() != "pw-hunter2") {
				t.Errorf("read %v", v)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || v.Email != "") {
				t.Errorf("the refusal repeats the secret, or a refused value came back: %v %v", err, v)
			}
		})
	}
}

func FuzzReadJSON(f *testing.F) {
	f.Add(`{"email":"a","password":"b"}`)
	f.Add(`{"email":`)
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > 16<<10 {
			t.Skip()
		}
		_, err := web.ReadJSON[signIn](jsonRequest("application/json", body))
		if err != nil && fault.KindOf(err) != fault.Malformed {
			t.Errorf("%q: %v", body, err)
		}
	})
}

func TestWriteJSONRefusesSecrets(t *testing.T) {
	rec := httptest.NewRecorder()
	if err := web.WriteJSON(rec, http.StatusOK, signIn{Password: secret.NewText("pw")}); err == nil || rec.Body.Len() != 0 {
		t.Errorf("sent %q, %v", rec.Body, err)
	}
}

func TestReadForm(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/-/x?name=address", strings.NewReader("name=body"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	v, err := web.ReadForm(r)
	if err != nil || len(v["name"]) != 1 || v.Get("name") != "body" {
		t.Errorf("%v %v", v, err)
	}
	if _, err := web.ReadForm(jsonRequest("text/plain", "name=body")); !errors.Is(err, fault.Media) {
		t.Errorf("text/plain: %v", err)
	}
}

func TestReturnPath(t *testing.T) {
	for in, want := range map[string]string{
		"/": "/", "/orders?x=1#top": "/orders?x=1#top", "/a/b%2Fc": "/a/b%2Fc", "/a?to=https://b": "/a?to=https://b",
		"": "/", "orders": "/", "//evil.example": "/", "///evil.example": "/", "/\\evil.example": "/", "/\t/evil.example": "/", "/ok\r\nSet-Cookie: a=b": "/",
		"https://evil.example/": "/", "javascript:alert(1)": "/", "/..//evil.example": "/", "/ä": "/", "/" + strings.Repeat("a", 3000): "/", "/%zz": "/",
	} {
		if got := web.ReturnPath(in); got != want {
			t.Errorf("ReturnPath(%q) = %q, want %q", in, got, want)
		}
		rec := httptest.NewRecorder()
		if err := web.Redirect(rec, nil, in); (err == nil) != (in == want) {
			t.Errorf("Redirect(%q): %v", in, err)
		}
	}
}

func FuzzReturnPath(f *testing.F) {
	for _, s := range []string{"/", "//x", "/\\x", "/a?b#c", "/.//x", "/%2f/x"} {
		f.Add(s)
	}
	base := &url.URL{Scheme: "https", Host: "app.example.test", Path: "/-/sign-in"}
	f.Fuzz(func(t *testing.T, s string) {
		got := web.ReturnPath(s)
		u, err := base.Parse(got)
		if err != nil || u.Host != base.Host || u.Scheme != "https" || strings.ContainsAny(got, "\\\r\n\t\x00") || strings.HasPrefix(u.Path, "//") {
			t.Errorf("%q → %q → %v", s, got, u)
		}
	})
}

// breaks: auth.best-practice
func TestCookies(t *testing.T) {
	rec := httptest.NewRecorder()
	web.SetCookie(rec, "writ", secret.NewText("tok"), time.Hour)
	web.SetCookie(rec, "__Host-writ-flow", secret.NewText("f"), 0)
	web.ClearCookie(rec, "writ-device")
	want := []string{
		"__Host-writ=tok; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax",
		"__Host-writ-flow=f; Path=/; HttpOnly; Secure; SameSite=Lax",
		"__Host-writ-device=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
	}
	for i, got := range rec.Header().Values("Set-Cookie") {
		if got != want[i] {
			t.Errorf("%s, want %s", got, want[i])
		}
	}
	for header, want := range map[string]string{"__Host-writ=tok": "tok", "writ=tok": "", "__Host-writ=a; __Host-writ=b": "", "": ""} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", header)
		if got := web.Cookie(r, "writ").Reveal(); got != want {
			t.Errorf("Cookie of %q = %q", header, got)
		}
	}
}

func TestStrangerOf(t *testing.T) {
	for addr, want := range map[string]string{
		"203.0.113.77:1": "203.0.113.0/24", "[2001:db8:1:2::3]:1": "2001:db8:1::/48", "[::ffff:203.0.113.77]:1": "203.0.113.0/24", "[fe80::1%eth0]:1": "fe80::/48", "@": "local", "": "local",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = addr
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		if got := web.StrangerOf(r); got.ID != want || got.SignedIn() {
			t.Errorf("%s: %+v", addr, got)
		}
	}
}
