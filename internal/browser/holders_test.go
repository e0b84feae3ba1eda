package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"writ/internal/actor"
	"writ/internal/app"
	"writ/internal/cli"
)

// safe gives the tab a device whose passkeys keep a key.
func (b *tab) safe() {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		b.t.Fatal(err)
	}
	_, err := chromedp.Call(b.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, HasPrf: true, AutomaticPresenceSimulation: true}})
	if err != nil {
		b.t.Fatal(err)
	}
}

// sealable is a house of its own, which may be sealed: it starts again each time.
func sealable(t *testing.T) (*house, func() *app.App) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<!doctype html><title>Fernhill</title>")
	}))
	t.Cleanup(application.Close)
	h := &house{dir: filepath.Join(t.TempDir(), "w"), links: map[string]string{}, log: &lines{}}
	set := app.Setup{InitOptions: cli.InitOptions{Dir: h.dir, App: "https://localhost:" + port, Upstreams: []string{application.URL}, HTTPS: "127.0.0.1:" + port, Company: "Fernhill"}, Names: map[string]string{}}
	for _, o := range owners {
		set.Owners, set.Names[o.address] = append(set.Owners, o.address), o.name
	}
	made, err := app.Make(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range made.Owners {
		h.links[l.Email] = l.URL
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	started, ended := make(chan *app.App, 8), make(chan error, 1)
	go func() {
		ended <- app.Run(ctx, app.Options{Dir: h.dir, Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelWarn}))}, func(a *app.App, ctx context.Context) error {
			started <- a
			return a.Serve(ctx)
		})
	}()
	next := func() *app.App {
		t.Helper()
		select {
		case a := <-started:
			return a
		case err := <-ended:
			t.Fatalf("the server ended: %v", err)
		case <-time.After(patience):
			t.Fatal("the server does not open")
		}
		return nil
	}
	h.app = next()
	h.origin, h.roots = h.app.Origin(), h.app.Roots()
	leave, err := h.browse(ctx, path, filepath.Join(t.TempDir(), "profile"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		leave()
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the server ended: %v", err)
		}
		if log := h.log.String(); t.Failed() || strings.Contains(log, "panic in handler") {
			t.Errorf("the server's log: %s", cut(log))
		}
	})
	return h, next
}

// The whole ceremony of three people with passkeys: they enrol, the vault is sealed, each
// opens their own share in their browser, two of three open the vault, and they sign in.
//
// breaks: people.no-sole-holder
func TestCeremony(t *testing.T) {
	t.Parallel()
	source := theAxe(t)
	h, next := sealable(t)
	svc, who := h.app.Holders(), actor.System("test")
	var people []string
	for _, o := range owners {
		people = append(people, o.address)
	}
	if _, err := svc.Appoint(t.Context(), who, people); err != nil {
		t.Fatal(err)
	}
	var tabs []*tab
	for _, o := range owners {
		b := h.tab(t)
		b.safe()
		b.open(h.links[o.address])
		b.fill("new", aPassword)
		b.press("Set the password")
		b.fill("email", o.address)
		b.fill("password", aPassword)
		b.press("Sign in")
		b.setUp(o.address)
		b.follow("I have kept them")
		if o == owners[0] {
			b.look(source, sheet{name: "holder", path: "/-/vault/holder", words: "Enrol a passkey", picture: true})
		}
		b.open("/-/vault/holder")
		b.press("Enrol a passkey")
		b.wants("/-/vault/holder", "You are enrolled", "You have enrolled")
		tabs = append(tabs, b)
	}
	tabs[0].look(source, sheet{name: "holders", path: "/-/console/holders", words: "2 of 3 holders open the vault together", picture: true})
	if _, err := svc.Drill(t.Context(), who); err != nil {
		t.Fatal(err)
	}
	for i, b := range tabs[:2] {
		b.open("/-/unseal")
		b.wants("/-/unseal", "A drill", fmt.Sprintf("%d of 2", i))
		b.press("Give my share")
		b.wants("/-/unseal", []string{"1 of 2 shares are given", "The shares fit"}[i])
	}
	if err := svc.Put(t.Context(), who, "a ceremony with three people"); err != nil {
		t.Fatal(err)
	}
	h.sealed(t)
	first, second := tabs[0], tabs[1]
	for _, b := range tabs { // their pages looked on while the server went
		b.complaints(true)
	}
	first.look(source, sheet{name: "unseal", path: "/-/unseal", words: "Nobody has begun", picture: true})
	first.open("/-/unseal")
	first.press("Give my share")
	first.wants("/-/unseal", "1 of 2 shares are given", "1 more is wanted")
	first.do("give it again", chromedp.Click(chromedp.CSS(`form[data-unseal] button`)))
	first.says("One holder counts once")
	second.look(source, sheet{name: "unseal-one", path: "/-/unseal", words: "1 of 2 shares are given", picture: true})
	tabs[2].look(source, sheet{name: "sealed", path: "/", words: "closed for a moment", refused: true, picture: true})
	second.open("/-/unseal")
	second.do("give a share", chromedp.Click(chromedp.CSS(`form[data-unseal] button`)))
	h.app = next()
	for _, b := range tabs[:2] { // both pages find the open server by themselves
		b.eventually("The vault is open")
	}
	st, err := h.app.Holders().Stands(t.Context(), who)
	if err != nil || st.Set == nil || st.Set.Drilled.IsZero() {
		t.Errorf("%+v %v", st, err)
	}
	tabs[2].open("/-/console/holders")
	tabs[2].wants("/-/console/holders", "2 of 3 holders open the vault together", "passkey")
}

// sealed waits until the house says that it is.
func (h *house) sealed(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if strings.Contains(h.log.String(), "msg=sealed") {
			return
		}
	}
	t.Fatal("the server is not sealed")
}

// eventually waits until the page that is open says so, whatever leads there.
func (b *tab) eventually(words string) {
	b.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`)) // fails while another page comes
		if err == nil && strings.Contains(text, words) {
			return
		}
	}
	b.t.Fatalf("the page never says %q: %s", words, cut(b.text()))
}
