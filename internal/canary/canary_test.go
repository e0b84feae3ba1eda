package canary_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"writ/internal/canary"
	"writ/internal/fault"
	"writ/internal/mail"
)

// Each visitor comes from an address of its own, keeps its own cookies, trusts only
// the listener's authority and follows no redirect.
func TestVisitors(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		if c, err := r.Cookie("seen"); err == nil {
			w.Header().Set("Seen", c.Value)
		}
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: host, Path: "/", Secure: true})
		w.Header().Set("From", host)
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	d := canary.New(canary.Deps{Base: "https://example.com", Addr: srv.Listener.Addr().String(), Roots: roots})
	a, b := d.Visitor(), d.Visitor()
	defer a.Close()
	defer b.Close()
	first, err := a.Do(t.Context(), "GET", "/x", "")
	if err != nil {
		t.Fatal(err)
	}
	if first.Status != http.StatusFound || first.Header.Get("From") != a.From || !strings.HasPrefix(a.From, "127.77.") {
		t.Errorf("status %d from %s, visitor %s", first.Status, first.Header.Get("From"), a.From)
	}
	again, err := a.Do(t.Context(), "POST", "/x", `{"a":1}`)
	if err != nil || again.Header.Get("Seen") != a.From {
		t.Errorf("the visitor lost its cookie: %v %q", err, again.Header.Get("Seen"))
	}
	other, err := b.Do(t.Context(), "GET", "/x", "")
	if err != nil || other.Header.Get("Seen") != "" {
		t.Errorf("visitors share cookies: %v %q", err, other.Header.Get("Seen"))
	}
	stranger := canary.New(canary.Deps{Base: "https://example.com", Addr: srv.Listener.Addr().String(), Roots: x509.NewCertPool()}).Visitor()
	if _, err := stranger.Do(t.Context(), "GET", "/", ""); !errors.Is(err, fault.Unavailable) {
		t.Errorf("an unknown authority was trusted: %v", err)
	}
}

func TestMailbox(t *testing.T) {
	d := canary.New(canary.Deps{Base: "https://example.com", Addr: "127.0.0.1:1"})
	to := d.Address()
	if !strings.HasSuffix(to, "@"+canary.Domain) || to == d.Address() {
		t.Errorf("address %q", to)
	}
	go func() {
		d.Take(mail.Message{To: "other@writ.canary.invalid", Subject: "not this"})
		d.Take(mail.Message{To: to, Subject: "one"})
		d.Take(mail.Message{To: to, Subject: "two"})
	}()
	for _, want := range []string{"one", "two"} {
		m, err := d.Letter(t.Context(), to)
		if err != nil || m.Subject != want {
			t.Fatalf("letter %q, %v; want %q", m.Subject, err, want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := d.Letter(ctx, to); err == nil {
		t.Error("a letter came twice")
	}
	d.Take(mail.Message{To: to})
	d.Forget(to)
	if _, err := d.Letter(ctx, to); err == nil {
		t.Error("a letter that was forgotten came")
	}
}
