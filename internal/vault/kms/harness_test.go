package kms_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
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
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
	"writ/internal/vault"
	"writ/internal/vault/aws"
	"writ/internal/vault/kms"
	"writ/internal/vault/sigv4"
	"writ/internal/vault/ssm"
	"writ/internal/web"
)

var operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}

type owners map[string]actor.Actor

func (o owners) OwnerOf(_ context.Context, ref string) (actor.Actor, error) {
	if a, ok := o[ref]; ok {
		return a, nil
	}
	return actor.Actor{}, fault.New(fault.Denied, "owner_gone", fault.Public{Problem: "The owner is not there."})
}

type nobody struct{}

func (nobody) Identify(r *http.Request) (actor.Actor, error) { return web.StrangerOf(r), nil }

// world is the address with all its services, behind a real TLS listener.
type world struct {
	t     testing.TB
	kit   *ledgertest.Kit
	vault *vault.Service
	kms   *kms.Service
	srv   *httptest.Server
}

func open(t testing.TB, kit *ledgertest.Kit) *world {
	t.Helper()
	kit.Clock.Advance(time.Since(kit.Clock.Now())) // real clients sign with the real time
	w := &world{t: t, kit: kit}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	rules := clause.NewLive[vault.Rules](kit.Clock.Now)
	must(rules.Set([]clause.Period{{Values: policytest.Values()}}))
	who := owners{"operator/0": operator, "person/eli": {Kind: actor.Person, ID: "eli", Team: "green", TeamKind: "staff", Roles: []string{"engineer"}},
		"machine/shop": {Kind: actor.Machine, ID: "shop", Team: vault.Home, TeamKind: "staff", Roles: []string{"engineer"}}}
	var err error
	w.vault, err = vault.New(vault.Deps{DB: kit.DB, Keys: kit.Ring, Access: policytest.Access(kit.DB, kit.Clock.Now), Owners: who, Rules: rules, Now: kit.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	must(err)
	params, err := ssm.New(ssm.Deps{Vault: w.vault, Now: kit.Clock.Now})
	must(err)
	w.kms, err = kms.New(kms.Deps{DB: kit.DB, Keys: kit.Ring, Vault: w.vault, Now: kit.Clock.Now})
	must(err)
	address, err := aws.New(aws.Deps{Keys: w.vault, Now: kit.Clock.Now, Services: []aws.Service{params.Service(), w.kms.Service()}})
	must(err)
	site, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Quorvex"} }, Log: slog.New(slog.DiscardHandler), Now: kit.Clock.Now})
	must(err)
	must(site.Mount(address.Routes()...))
	w.srv = httptest.NewUnstartedServer(site.Handler(nobody{}))
	w.srv.TLS = &tls.Config{}
	w.srv.StartTLS()
	t.Cleanup(w.srv.Close)
	return w
}

// ca is a file with the listener's certificate, for other people's clients.
func (w *world) ca() string {
	w.t.Helper()
	name := filepath.Join(w.t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.srv.Certificate().Raw}), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return name
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

// env is what other people's clients read.
func (c client) env() []string {
	env := []string{"AWS_ACCESS_KEY_ID=" + c.key.ID, "AWS_SECRET_ACCESS_KEY=" + c.key.Secret.Reveal(), "AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-central-1", "AWS_EC2_METADATA_DISABLED=true", "NO_PROXY=*",
		"ENDPOINT=" + c.w.srv.URL + aws.Base, "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull}
	ca := c.w.ca()
	env = append(env, "AWS_CA_BUNDLE="+ca, "NODE_EXTRA_CA_CERTS="+ca, "SSL_CERT_FILE="+ca)
	if c.key.Token.Len() > 0 {
		env = append(env, "AWS_SESSION_TOKEN="+c.key.Token.Reveal())
	}
	return env
}

type obj map[string]any

// said is an answer of the wire.
type said struct {
	status int
	body   obj
	raw    string
	id     string
}

func (s said) text(name string) string { v, _ := s.body[name].(string); return v }

func (s said) bytes(name string) string {
	b, _ := base64.StdEncoding.DecodeString(s.text(name))
	return string(b)
}

func (c client) send(service, target, media, body string) said {
	c.w.t.Helper()
	r, err := http.NewRequestWithContext(c.w.t.Context(), "POST", c.w.srv.URL+aws.Base, strings.NewReader(body))
	if err != nil {
		c.w.t.Fatal(err)
	}
	now := c.w.kit.Clock.Now().UTC()
	signed := []string{"content-type", "host", "x-amz-date"}
	r.Header.Set("Content-Type", media)
	r.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	if c.key.Token.Len() > 0 {
		r.Header.Set("X-Amz-Security-Token", c.key.Token.Reveal())
		signed = append(signed, "x-amz-security-token")
	}
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
		signed = append(signed, "x-amz-target")
	}
	r.Host = r.URL.Host
	if err := sigv4.Sign(r, signed, sha256.Sum256([]byte(body)), sigv4.Credential{KeyID: c.key.ID, Day: now.Format("20060102"), Region: "eu-central-1", Service: service}, c.key.Secret); err != nil {
		c.w.t.Fatal(err)
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
	return said{status: a.StatusCode, raw: string(raw), id: a.Header.Get("X-Amzn-RequestId")}
}

func (c client) call(op string, in obj) said {
	c.w.t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		c.w.t.Fatal(err)
	}
	s := c.send("kms", "TrentService."+op, aws.Media, string(b))
	if err := json.Unmarshal([]byte(s.raw), &s.body); err != nil {
		c.w.t.Fatalf("%s answered %d %s", op, s.status, s.raw)
	}
	return s
}

func (c client) good(op string, in obj) said {
	c.w.t.Helper()
	s := c.call(op, in)
	if s.status != 200 || s.id == "" {
		c.w.t.Fatalf("%s %v: %d %s", op, in, s.status, s.raw)
	}
	return s
}

func (c client) bad(code, op string, in obj) {
	c.w.t.Helper()
	if s := c.call(op, in); s.status != 400 || s.text("__type") != code || s.text("message") == "" {
		c.w.t.Errorf("%s %v: %d %s, want %s", op, in, s.status, s.raw, code)
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
