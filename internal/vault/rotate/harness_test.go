package rotate_test

import (
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/pgtest"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/aws"
	"writ/internal/vault/kms"
	"writ/internal/vault/rotate"
	"writ/internal/web"
)

var (
	operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}
	engineer = actor.Actor{Kind: actor.Person, ID: "eli", Team: vault.Home, TeamKind: "staff", Roles: []string{"engineer"}}
	auditor  = actor.Actor{Kind: actor.Person, ID: "aud", Team: vault.Home, TeamKind: "staff", Roles: []string{"auditor"}}
)

const day = 24 * time.Hour

// owners are who is there; a name that is missing has left.
type owners map[string]actor.Actor

func (o owners) OwnerOf(_ context.Context, ref string) (actor.Actor, error) {
	if a, ok := o[ref]; ok {
		return a, nil
	}
	return actor.Actor{}, fault.New(fault.Denied, "owner_gone", fault.Public{Problem: "The owner is not there."})
}

// world is a vault behind a real TLS listener, and a PostgreSQL server that asks for passwords.
type world struct {
	t      testing.TB
	kit    *ledgertest.Kit // nil in a child process
	db     *ledger.DB
	clock  *ledgertest.Clock
	vault  *vault.Service
	svc    *rotate.Service
	owners owners
	every  time.Duration
	knock  rotate.Knock // nil = the real door
	log    *strings.Builder
	base   string // a name that no other test has
	target string // address of the server's database, as its superuser
}

func both(t *testing.T, test func(w *world)) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) { test(open(t, kit)) }, vault.Schema())
}

func open(t testing.TB, kit *ledgertest.Kit) *world {
	w := with(t, kit.DB, kit.Ring, kit.Clock)
	w.kit = kit
	return w
}

// nobody identifies no one: calls prove themselves.
type nobody struct{}

func (nobody) Identify(r *http.Request) (actor.Actor, error) { return web.StrangerOf(r), nil }

func with(t testing.TB, db *ledger.DB, ring *keyring.Ring, clock *ledgertest.Clock) *world {
	t.Helper()
	w := &world{t: t, db: db, clock: clock, every: 365 * day, log: &strings.Builder{}, base: "r" + strings.ToLower(db.ID()[16:]),
		owners: owners{"operator/0": operator, "person/eli": engineer, "machine/shop": {Kind: actor.Machine, ID: "shop", Team: vault.Home, TeamKind: "staff", Roles: []string{"engineer"}}}}
	rules := clause.NewLive[vault.Rules](clock.Now)
	w.must(rules.Set([]clause.Period{{Values: policytest.Values()}}))
	log := slog.New(slog.NewTextHandler(w.log, nil))
	var err error
	w.vault, err = vault.New(vault.Deps{DB: db, Keys: ring, Access: policytest.Access(db, clock.Now), Owners: w.owners, Rules: rules, Now: clock.Now, Log: log})
	w.must(err)
	who, err := kms.New(kms.Deps{DB: db, Keys: ring, Vault: w.vault, Now: clock.Now})
	w.must(err)
	address, err := aws.New(aws.Deps{Keys: w.vault, Now: clock.Now, Services: []aws.Service{who.Service()}})
	w.must(err)
	site, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Quorvex"} }, Log: slog.New(slog.DiscardHandler), Now: clock.Now})
	w.must(err)
	w.must(site.Mount(address.Routes()...))
	srv := httptest.NewTLSServer(site.Handler(nobody{}))
	t.Cleanup(srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	door := canary.New(canary.Deps{Base: srv.URL, Addr: srv.Listener.Addr().String(), Roots: pool})
	w.svc, err = rotate.New(rotate.Deps{DB: db, Vault: w.vault, Keys: ring, Every: func() time.Duration { return w.every }, Now: clock.Now, Log: log,
		Knock: func(ctx context.Context, id string, key secret.Text) (string, error) {
			if w.knock != nil {
				return w.knock(ctx, id, key)
			}
			return aws.Knock(ctx, door, clock.Now(), id, key)
		}})
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// eli is an engineer who has shown a factor just now.
func (w *world) eli() actor.Actor {
	who := engineer
	who.Session, who.ACR, who.FactorAt = "s", 2, w.clock.Now()
	return who
}

// refused wants an error of this code.
func (w *world) refused(code string, err error) {
	w.t.Helper()
	got := ""
	if err != nil {
		got, _ = fault.PublicOf(err)
	}
	if got != code {
		w.t.Errorf("got %q (%v), want %q", got, err, code)
	}
}

func (w *world) put(name, value string) {
	w.t.Helper()
	_, err := w.vault.Put(w.t.Context(), operator, vault.Put{Name: name, Value: secret.NewText(value), New: vault.SecureString, Overwrite: true, Tier: vault.Intelligent})
	w.must(err)
}

// value is what programs read now.
func (w *world) value(name string) string {
	w.t.Helper()
	v, err := w.vault.Get(w.t.Context(), operator, vault.Selector{Name: name}, vault.Read{Decrypt: true})
	w.must(err)
	return v.Text.Reveal()
}

func (w *world) versions(name string) int {
	w.t.Helper()
	vs, err := w.vault.Versions(w.t.Context(), operator, name)
	w.must(err)
	return len(vs)
}

func (w *world) of(name string) rotate.Rotation {
	w.t.Helper()
	r, err := w.svc.Of(w.t.Context(), operator, name)
	w.must(err)
	return r
}

// steps are those of a rotation that are in the record, the oldest first.
func (w *world) steps(id string) (all []string) {
	w.t.Helper()
	for _, e := range w.kit.Recorded("vault.secret-rotated") {
		if e.Object == "rotation/"+id {
			all = append(all, fmt.Sprint(e.Fields["step"]))
		}
	}
	return all
}

// server is a PostgreSQL server whose roles need their password. Its superuser is let in, for
// what the test looks at and breaks.
func (w *world) server() {
	w.t.Helper()
	if w.target == "" {
		w.serverAt(pgtest.URL(w.t))
	}
}

func (w *world) serverAt(address string) {
	w.t.Helper()
	w.target = address
	askForPasswords(w.t, w.target)
	w.sql("CREATE ROLE "+w.base+" NOLOGIN", "CREATE TABLE t (n int)", "ALTER TABLE t OWNER TO "+w.base, "GRANT CREATE ON SCHEMA public TO "+w.base,
		"CREATE ROLE "+w.base+"_adm CREATEROLE LOGIN PASSWORD 'adm'", "GRANT "+w.base+" TO "+w.base+"_adm WITH ADMIN OPTION", "GRANT pg_signal_backend TO "+w.base+"_adm")
	w.put("/ops/admin", w.address(w.base+"_adm", "adm"))
}

// askForPasswords has the cluster of this process ask all roles but its superuser.
func askForPasswords(t testing.TB, address string) {
	t.Helper()
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var file string
	if err := db.QueryRow("SHOW hba_file").Scan(&file); err != nil {
		t.Fatal(err)
	}
	const rules = "local all writ trust\nlocal all all scram-sha-256\n"
	if b, err := os.ReadFile(file); err != nil || string(b) == rules {
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("SELECT pg_reload_conf()"); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("nobody_is_called_so", "x")
	for range 500 { // the server reads it in its own time
		stranger, err := sql.Open("pgx", u.String())
		if err == nil {
			err = errors.Join(stranger.Ping(), stranger.Close())
		}
		if err != nil && strings.Contains(err.Error(), "password authentication failed") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the server does not ask for passwords")
}

func (w *world) sql(statements ...string) {
	w.t.Helper()
	db, err := sql.Open("pgx", w.target)
	w.must(err)
	defer db.Close()
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			w.t.Fatalf("%s: %v", q, err)
		}
	}
}

// ask is one answer of the server.
func (w *world) ask(query string) string {
	w.t.Helper()
	db, err := sql.Open("pgx", w.target)
	w.must(err)
	defer db.Close()
	var out string
	w.must(db.QueryRow(query).Scan(&out))
	return out
}

// address is where a role logs in.
func (w *world) address(user, password string) string {
	u, err := url.Parse(w.target)
	w.must(err)
	u.User = url.UserPassword(user, password)
	return u.String()
}

// template is that of the slots.
func (w *world) template() string {
	return strings.Replace(w.address("USER", "PASSWORD"), "USER:PASSWORD", "{user}:{password}", 1)
}

// role is the wish to have a role of the server replaced.
func (w *world) role(name string) rotate.Wish {
	w.server()
	return rotate.Wish{Name: name, Kind: rotate.Postgres, Spec: rotate.Spec{Admin: "/ops/admin", Owner: w.base, Roles: [2]string{w.base + "_a", w.base + "_b"}, Template: w.template()}}
}

// logsIn uses an address as a program does, and leaves a row.
func logsIn(address string) error {
	db, err := sql.Open("pgx", address)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec("INSERT INTO t VALUES (1)")
	return err
}

// works says whether a value lets a program in: an address, or an access key.
func (w *world) works(kind, value string) error {
	w.t.Helper()
	if kind == rotate.Postgres {
		return logsIn(value)
	}
	id := value[strings.Index(value, "AKIA"):][:20]
	who, key, err := w.vault.Caller(w.t.Context(), id, secret.Text{})
	if err == nil && (!strings.Contains(value, key.Reveal()) || who.Token != id) {
		err = errors.New("another secret")
	}
	return err
}

func (w *world) control(id string) clause.Control {
	w.t.Helper()
	all := slices.Concat(w.svc.Controls(), w.vault.Controls())
	i := slices.IndexFunc(all, func(c clause.Control) bool { return c.ID == id })
	if i < 0 {
		w.t.Fatalf("no control %s", id)
	}
	return all[i]
}

func (w *world) expect(id string, want clause.Outcome, says string) {
	w.t.Helper()
	r, err := w.control(id).Run(w.t.Context())
	if err != nil {
		r = clause.Result{Outcome: clause.Unknown, Summary: err.Error()}
	}
	if r.Outcome != want || !strings.Contains(r.Summary, says) {
		w.t.Errorf("%s: %s (%s), want %s with %q", id, r.Outcome, r.Summary, want, says)
	}
}

func kitOf(t *testing.T) *ledgertest.Kit { return ledgertest.Open(t, vault.Schema()) }

// makesTable makes a table as whoever logs in.
func makesTable(address string) error {
	db, err := sql.Open("pgx", address)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec("CREATE TABLE made (n int)")
	return err
}

// hold keeps one connection open, and says whether it works still.
func hold(t *testing.T, address string) func() error {
	t.Helper()
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func() error {
		var n int
		return c.QueryRowContext(t.Context(), "SELECT 1").Scan(&n)
	}
}

// exec does what only an intruder in the database could do.
func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	w.must(w.db.Quiet(w.t.Context(), ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(w.t.Context(), query, args...)
		return err
	}))
}
