package ssm_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/aws"
	"writ/internal/vault/sigv4"
	"writ/internal/vault/ssm"
	"writ/internal/web"
)

var operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}

// owners are who stands behind keys; a name that is not there has left.
type owners map[string]actor.Actor

func (o owners) OwnerOf(_ context.Context, ref string) (actor.Actor, error) {
	if a, ok := o[ref]; ok {
		return a, nil
	}
	return actor.Actor{}, fault.New(fault.Denied, "owner_gone", fault.Public{Problem: "The owner is not there."})
}

// world is a vault behind a real TLS listener.
type world struct {
	t      testing.TB
	kit    *ledgertest.Kit
	vault  *vault.Service
	owners owners
	wire   *ssm.Door
	srv    *httptest.Server
	door   *canary.Door
	stored []byte // a broken server keeps it in the clear
	front  func(http.Handler) http.Handler
}

// raw searches the test's folder, and what a broken server kept.
func (w *world) raw(_ context.Context, needle []byte) (int, []string, error) {
	hits := bytes.Count(w.stored, needle)
	if w.kit.DB.Engine() != "sqlite" {
		return hits, nil, nil
	}
	err := filepath.WalkDir(filepath.Dir(strings.TrimPrefix(w.kit.URL(), "sqlite:")), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		hits += bytes.Count(b, needle)
		return err
	})
	return hits, nil, err
}

// nobody identifies no one: calls prove themselves.
type nobody struct{}

func (nobody) Identify(r *http.Request) (actor.Actor, error) { return web.StrangerOf(r), nil }

func open(t testing.TB, kit *ledgertest.Kit) *world {
	t.Helper()
	kit.Clock.Advance(time.Since(kit.Clock.Now())) // real clients sign with the real time
	w := &world{t: t, kit: kit, owners: owners{"operator/0": operator,
		"person/eli": {Kind: actor.Person, ID: "eli", Team: vault.Home, TeamKind: "staff", Roles: []string{"engineer"}},
		"person/aud": {Kind: actor.Person, ID: "aud", Team: vault.Home, TeamKind: "staff", Roles: []string{"auditor"}}}}
	rules := clause.NewLive[vault.Rules](kit.Clock.Now)
	if err := rules.Set([]clause.Period{{Values: policytest.Values()}}); err != nil {
		t.Fatal(err)
	}
	var err error
	w.vault, err = vault.New(vault.Deps{DB: kit.DB, Keys: kit.Ring, Access: policytest.Access(kit.DB, kit.Clock.Now), Owners: w.owners, Rules: rules, Now: kit.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w.wire, err = ssm.New(ssm.Deps{Vault: w.vault, Now: kit.Clock.Now, Raw: w.raw})
	if err != nil {
		t.Fatal(err)
	}
	address, err := aws.New(aws.Deps{Keys: w.vault, Now: kit.Clock.Now, Services: []aws.Service{w.wire.Service()}})
	if err != nil {
		t.Fatal(err)
	}
	site, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Quorvex"} }, Log: slog.New(slog.DiscardHandler), Now: kit.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := site.Mount(address.Routes()...); err != nil {
		t.Fatal(err)
	}
	real := site.Handler(nobody{})
	w.srv = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.front != nil {
			w.front(real).ServeHTTP(rw, r)
			return
		}
		real.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(w.srv.Certificate())
	w.door = canary.New(canary.Deps{Base: w.srv.URL, Addr: w.srv.Listener.Addr().String(), Roots: pool})
	return w
}

// client is a program with an access key.
type client struct {
	w   *world
	key vault.IssuedKey
}

func (w *world) client(in vault.NewKey) client {
	w.t.Helper()
	k, err := w.vault.IssueKey(w.t.Context(), operator, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return client{w, k}
}

// said is an answer of the wire.
type said struct {
	status int
	body   map[string]any
	raw    string
	head   http.Header
}

func (s said) code() string { c, _ := s.body["__type"].(string); return c }

// at follows names and numbers into the answer.
func (s said) at(path ...any) any {
	var v any = s.body
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// call signs and sends one call; change may alter the request after it was signed.
func (c client) call(op, body string, change ...func(*http.Request)) said {
	c.w.t.Helper()
	return c.send("AmazonSSM."+op, "ssm", body, change...)
}

func (c client) send(target, service, body string, change ...func(*http.Request)) said {
	c.w.t.Helper()
	r, err := http.NewRequestWithContext(c.w.t.Context(), "POST", c.w.srv.URL+aws.Base, strings.NewReader(body))
	if err != nil {
		c.w.t.Fatal(err)
	}
	now := c.w.kit.Clock.Now().UTC()
	signed := []string{"content-type", "host", "x-amz-date"}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
		signed = append(signed, "x-amz-target")
	}
	r.Host = r.URL.Host
	err = sigv4.Sign(r, signed, sha256.Sum256([]byte(body)), sigv4.Credential{KeyID: c.key.ID, Day: now.Format("20060102"), Region: "eu-central-1", Service: service}, c.key.Secret)
	if err != nil {
		c.w.t.Fatal(err)
	}
	for _, f := range change {
		f(r)
	}
	a, err := c.w.srv.Client().Do(r)
	if err != nil {
		c.w.t.Fatal(err)
	}
	defer a.Body.Close()
	raw, err := io.ReadAll(a.Body)
	if err != nil {
		c.w.t.Fatal(err)
	}
	s := said{status: a.StatusCode, raw: string(raw), head: a.Header}
	if err := json.Unmarshal(raw, &s.body); err != nil {
		c.w.t.Fatalf("%s answered %d %s", target, a.StatusCode, raw)
	}
	return s
}

// good fails the test unless the call is answered with 200.
func (c client) good(op, body string) said {
	c.w.t.Helper()
	s := c.call(op, body)
	if s.status != 200 {
		c.w.t.Fatalf("%s %s: %d %s", op, body, s.status, s.raw)
	}
	return s
}

// bad fails the test unless the call is refused with the code.
func (c client) bad(code, op, body string) said {
	c.w.t.Helper()
	s := c.call(op, body)
	if s.status != 400 || s.code() != code || s.body["message"] == "" || s.body["Message"] != s.body["message"] {
		c.w.t.Errorf("%s %s: %d %s, want %s", op, body, s.status, s.raw, code)
	}
	return s
}

func wrong(k vault.IssuedKey) client {
	k.Secret = secret.NewText("another secret")
	return client{key: k}
}

// exec does what only an intruder in the database could do.
func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	if err := w.kit.DB.Quiet(w.t.Context(), ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(w.t.Context(), query, args...)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
}
