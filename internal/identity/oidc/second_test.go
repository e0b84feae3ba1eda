package oidc_test

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	op "writ/internal/identity/oidc"
	"writ/internal/identity/upstream"
	"writ/internal/web"
)

// One Writ signs people in for another: this provider is the other's upstream.
func TestSecondWrit(t *testing.T) {
	first, second := open(t), open(t)
	_, email := first.customer("ana")
	second.customer("ana")
	site, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Quorvex"} }, Log: slog.New(slog.DiscardHandler), Now: second.kit.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(nil)
	base := "https://" + front.Listener.Addr().String()
	a := first.register(op.NewClient{Redirects: []string{base + "/-/upstream/first/callback"}, Alg: "ES256"})
	up, err := upstream.New(upstream.Deps{DB: second.kit.DB, Ring: second.kit.Ring, People: second.people, Origin: base, Now: second.kit.Clock.Now, Log: slog.New(slog.DiscardHandler),
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: first.pool}}, ReadFile: func(string) ([]byte, error) { return []byte(a.secret), nil },
		Providers: []upstream.Provider{{Name: "first", Issuer: first.base, ClientID: a.client.ID, SecretFile: "f", Domains: []string{"example.test"}, Private: []string{"127.0.0.1/32"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := site.Mount(append(append(second.people.Routes(), second.people.Pages()...), up.Routes()...)...); err != nil {
		t.Fatal(err)
	}
	front.Config.Handler = site.Handler(second.people)
	front.StartTLS()
	t.Cleanup(front.Close)
	first.pool.AddCert(front.Certificate())
	second.kit.Clock.Set(first.kit.Clock.Now().Add(time.Second))

	there, here := first.browser(), &browser{w: &world{t: t, base: base, pool: first.pool}}
	here.c = there.w.browser().c
	p := here.get("/-/upstream/first?to=/-/account")
	back := there.signIn(p.out, email)
	if !strings.HasPrefix(back.out, base+"/-/upstream/first/callback?") {
		t.Fatalf("led to %s %s", back.out, back.body)
	}
	if got := here.get(back.out); got.status != 200 || got.path != "/-/account" || !strings.Contains(got.body, email) {
		t.Errorf("%d %s %s", got.status, got.path, got.body)
	}
}
