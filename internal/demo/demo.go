// Package demo shows Writ at work on one machine: it makes a folder with three owners,
// an engineer and two customer teams, starts the sample application, a mailbox page
// for the letters, and Writ in front of it all, and prints where to look. State stays
// in the folder; a second start goes on with it.
//
// Everything listens on loopback only. The names end in example.test, which no mail
// server in the world serves.
//
// For: the newcomer.
package demo

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/app"
	"writ/internal/cli"
	"writ/internal/demo/rescue"
	"writ/internal/demo/sample"
	"writ/internal/gateway"
	"writ/internal/identity"
	"writ/internal/listen"
	"writ/internal/notify"
	"writ/internal/policy/document"
	"writ/internal/secret"
)

const (
	defaultHTTPS = "127.0.0.1:8443"
	stateName    = "demo.json"
)

// places are the demo's addresses. They follow from the port of the door, so that two
// demos can run side by side: 8443 has 8478 to 8482 beside it. The sample runs at two of
// them, as in two zones.
type places struct{ https, plain, sample, second, mailbox, egress string }

func placesAt(https string) (places, error) {
	host, port, err := net.SplitHostPort(https)
	if err != nil {
		return places{}, fmt.Errorf("the address %q is not one such as %s", https, defaultHTTPS)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return places{}, fmt.Errorf("the address %q is not of loopback: the demo is for this machine alone", https)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535-39 {
		return places{}, fmt.Errorf("the port of %q is not a number from 1 to %d", https, 65535-39)
	}
	at := func(k int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n+k)) }
	second := at(36)
	if runtime.GOOS == "linux" { // all of 127.0.0.0/8 is there: another zone is another machine
		second = net.JoinHostPort("127.0.0.2", strconv.Itoa(n+36))
	}
	return places{https: https, plain: at(37), sample: at(38), second: second, mailbox: at(39), egress: at(35)}, nil
}

// state is DIR/demo.json: what a later start must print again.
type state struct {
	People []person `json:"people"`
}

type person struct {
	Email    string `json:"email"`
	Role     string `json:"role"`
	Link     string `json:"link,omitempty"`     // one-time link to set the first password
	Password string `json:"password,omitempty"` // of customers, for trying out
}

// Run makes what is missing and serves until ctx ends.
func Run(ctx context.Context, o cli.DemoOptions) error {
	if o.Dir == "" {
		o.Dir = "demo"
	}
	if o.HTTPS == "" {
		o.HTTPS = defaultHTTPS
	}
	at, err := placesAt(o.HTTPS)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	st, err := build(ctx, dir, at)
	if err != nil {
		return err
	}
	if err := deployed(dir); err != nil {
		return err
	}
	settings, err := app.ReadConfig(dir) // an older demo keeps the addresses it was made with
	if err != nil {
		return err
	}
	if at, err = placesAt(settings.HTTPS); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(o.Log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return app.Run(ctx, app.Options{Dir: dir, Log: log}, func(srv *app.App, ctx context.Context) (err error) {
		fernhill, err := sampleApp(ctx, dir, srv)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, fernhill.Close()) }()
		srv.SetRecovery(rescue.New(fernhill, time.Now), rehearse)
		if err := populate(ctx, dir, srv, fernhill, &st); err != nil {
			return err
		}
		ends, stop := context.WithCancel(ctx)
		var copies sync.WaitGroup
		copies.Go(func() {
			fernhill.Store().BackUp(ends, backupEvery, func(err error) { log.Error("copy the sample's database", "err", err) })
		})
		defer func() { stop(); copies.Wait() }()
		return running{o, at, dir, srv, fernhill}.serve(ctx, st)
	})
}

var owners = []string{"ana@example.test", "ben@example.test", "chloe@example.test"}

// build runs init once.
func build(ctx context.Context, dir string, at places) (state, error) {
	res, err := app.Make(ctx, app.Setup{
		InitOptions: cli.InitOptions{Dir: dir, App: "https://localhost:" + at.https[strings.LastIndexByte(at.https, ':')+1:], Upstreams: []string{"zone-a=http://" + at.sample, "zone-b=http://" + at.second},
			Owners: owners, HTTPS: at.https, HTTP: at.plain, Company: "Fernhill"},
		Names: map[string]string{owners[0]: "Ana Sousa", owners[1]: "Ben Okafor", owners[2]: "Chloe Lindqvist"},
		Demo:  true,
		Scan:  []string{appFolder},
		API:   []string{appFolder + "/openapi.json"},

		Resolver: "/internal/whose",

		Egress: app.EgressConf{Listen: at.egress, Callers: []app.EgressCallerConf{{Name: "fernhill", From: []string{"127.0.0.1"}}}},
		Edits:  map[string]document.Literal{"use.no-automation/public_paths": document.Words("/", "/pricing", "/static/")},
	})
	if err != nil || !res.Changed {
		var st state
		if err == nil {
			err = readState(dir, &st)
		}
		return st, err
	}
	if err := os.WriteFile(filepath.Join(dir, "routes.yaml"), []byte(routes), 0o600); err != nil {
		return state{}, err
	}
	var st state
	for _, l := range res.Owners {
		st.People = append(st.People, person{Email: l.Email, Role: "owner of the policy", Link: l.URL})
	}
	return st, writeState(dir, st)
}

// routes lets programs in where the sample's description says what they may do, has the form
// for a contact say which data is not wanted in it, takes a stranger's question from a form that
// a browser shows and from nothing else, and serves each class of static files that
// the policy names from memory.
const routes = `# Who may come where, and what is served from memory. It can only tighten the
# policy, and is read again when it changes.
- {path: /api/, who: signed-in, scopes: ["contacts:read"], limit: 600/m}
- {path: /contacts, who: signed-in, notice: true}
- {path: /pricing, who: anyone, notice: true, browser: true}
- {path: /static/, who: anyone, cache: templates}
- {path: /static/leaf.svg, who: anyone, cache: logos}
- {path: /static/logos/, who: anyone, cache: logos}
- {path: /static/images/, who: anyone, cache: images}
- {path: /static/audio/, who: anyone, cache: audio}
- {path: /static/video/, who: anyone, cache: video}
`

// appFolder is the sample application as it is deployed: what its server is made of, and so
// where a credential must not stand. Writ searches it twice a day.
const appFolder = "application"

func deployed(dir string) error {
	to := filepath.Join(dir, appFolder)
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.CopyFS(to, sample.Files())
}

func readState(dir string, st *state) error {
	b, err := os.ReadFile(filepath.Join(dir, stateName))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s was not made by the demo: use writ serve --dir %s", dir, dir)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(b, st)
}

func writeState(dir string, st state) error {
	b, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, stateName), append(b, '\n'), 0o600)
}

func sampleApp(ctx context.Context, dir string, srv *app.App) (*sample.App, error) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: srv.Roots(), MinVersion: tls.VersionTLS12}}}
	return sample.New(ctx, sample.Options{File: filepath.Join(dir, "sample.db"), Now: time.Now,
		Verifier: &sample.Verifier{URL: srv.Origin() + "/-/jwks", Client: client}})
}

// populate adds the engineer and the customers to a new folder.
func populate(ctx context.Context, dir string, srv *app.App, f *sample.App, st *state) error {
	if len(st.People) != 3 {
		return nil
	}
	who := actor.System("demo")
	eng, err := srv.Identity().AddStaff(ctx, who, identity.AddStaff{Email: "emil@example.test", Name: "Emil Haas", Roles: []string{"engineer"}})
	if err != nil {
		return err
	}
	st.People = append(st.People, person{Email: "emil@example.test", Role: "engineer", Link: eng.URL.Reveal()})
	if err := spending(ctx, srv); err != nil {
		return err
	}
	if err := credentials(ctx, srv); err != nil {
		return err
	}
	if _, err := srv.Gateway().ListDestination(ctx, actor.Actor{Kind: actor.Operator, ID: "demo", Via: "demo"}, gateway.Destination{Name: "example.com", Reason: "to see the way out", Until: time.Now().AddDate(0, 3, 0)}); err != nil {
		return err
	}
	if _, _, err := srv.Notify().AddChannel(ctx, who, "folder", notify.File, secret.Text{}); err != nil { // the second way by which people are told
		return fmt.Errorf("make the demo's folder of alarms: %w", err)
	}
	for _, c := range []struct {
		email, name, team string
		contacts          []sample.Contact
	}{
		{"maria@orchard.example.test", "Maria Ferro", "Orchard", []sample.Contact{{Name: "Ilse Brandt", Company: "Brandt & Co", Email: "ilse@brandt.example"}, {Name: "Tomás Reyes", Company: "Reyes Foods", Email: "tomas@reyes.example"}}},
		{"noor@harbour.example.test", "Noor Haddad", "Harbour", []sample.Contact{{Name: "Greta Lund", Company: "Lund Freight", Email: "greta@lund.example"}}},
	} {
		pw := secret.RandomText(12)
		made, err := srv.Identity().CreateCustomer(ctx, who, identity.NewCustomer{Email: c.email, Name: c.name, Password: pw, TeamName: c.team})
		if err != nil {
			return err
		}
		if err := f.Seed(ctx, made.Team, c.contacts); err != nil {
			return err
		}
		st.People = append(st.People, person{Email: c.email, Role: "admin of the customer team " + c.team, Password: pw.Reveal()})
	}
	if err := holders(ctx, dir, srv, owners); err != nil {
		return err
	}
	return writeState(dir, *st)
}

// running is a demo whose folder is made and filled.
type running struct {
	o        cli.DemoOptions
	at       places
	dir      string
	srv      *app.App
	fernhill *sample.App
}

// serve runs sample, mailbox and Writ until ctx ends or one of them fails.
func (r running) serve(ctx context.Context, st state) error {
	sl, err := listen.Listen(r.at.sample)
	if err != nil {
		return err
	}
	ml, err := listen.Listen(r.at.mailbox)
	if err != nil {
		return errors.Join(err, sl.Close())
	}
	second, err := listen.Listen(r.at.second)
	if err != nil {
		return errors.Join(err, sl.Close(), ml.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ends := make(chan error, 3)
	plain := func(s *http.Server, run func() error) {
		go func() {
			err := run()
			if errors.Is(err, http.ErrServerClosed) {
				err = nil
			}
			ends <- err
			stop()
		}()
		context.AfterFunc(ctx, func() { _ = s.Close() })
	}
	// The demo's own two listeners are for loopback; everything else comes through Writ.
	app1 := &http.Server{Handler: r.fernhill, ReadHeaderTimeout: 5 * time.Second}
	app2 := &http.Server{Handler: r.fernhill, ReadHeaderTimeout: 5 * time.Second}
	box := &http.Server{Handler: newMailbox(filepath.Join(r.dir, "mail")), ReadHeaderTimeout: 5 * time.Second}
	plain(app1, func() error { return app1.Serve(sl) })
	plain(app2, func() error { return app2.Serve(second) })
	plain(box, func() error { return box.Serve(ml) })
	r.tell(st)
	err = r.srv.Serve(ctx)
	stop()
	return errors.Join(err, <-ends, <-ends, <-ends)
}

// tell prints where to look.
func (r running) tell(st state) {
	w, dir, srv := r.o.Out, r.o.Dir, r.srv
	fmt.Fprintf(w, "\nWrit stands in front of the sample application.\n\n")
	fmt.Fprintf(w, "  the application   %s\n", srv.Origin())
	fmt.Fprintf(w, "  the mailbox       http://%s   (every letter Writ sends)\n", r.at.mailbox)
	fmt.Fprintf(w, "  a phone's codes   http://%s/codes   (if you have no authenticator app at hand)\n", r.at.mailbox)
	fmt.Fprintf(w, "  the policy, live  %s/-/console   (for staff)\n", srv.Origin())
	fmt.Fprintf(w, "  its public form   %s/-/trust\n", srv.Origin())
	fmt.Fprintf(w, "  the state         bin/writ check --dir %s\n", dir)
	if out := srv.Gateway().EgressNow().Listen; out != "" { // an older demo has none
		fmt.Fprintf(w, "  the way out       curl -x http://%s https://example.com/   (listed; other names are refused)\n", out)
	}
	fmt.Fprintln(w)
	fmt.Fprintf(w, "Sign up with any address at example.test and read the letter in the mailbox, or be one of these:\n\n")
	for _, p := range st.People {
		fmt.Fprintf(w, "  %-27s %s\n", p.Email, p.Role)
		if p.Link != "" {
			fmt.Fprintf(w, "  %-27s set a password once: %s\n", "", p.Link)
		}
		if p.Password != "" {
			fmt.Fprintf(w, "  %-27s password: %s\n", "", p.Password)
		}
	}
	fmt.Fprintf(w, "\nThe first minute as an owner, for staff cannot enter with a password alone:\n")
	fmt.Fprintf(w, "  1. open Ana's link, choose a password, sign in with it\n")
	fmt.Fprintf(w, "  2. press \"Set up an app\", paste the key it shows into http://%s/codes, type the code you get\n", r.at.mailbox)
	fmt.Fprintf(w, "     (an app on your phone or a passkey will do as well)\n")
	fmt.Fprintf(w, "  3. open %s/-/console\n\n", srv.Origin())
	fmt.Fprintf(w, "A link works once; renew a lost one with: bin/writ user link EMAIL --dir %s\n", dir)
	fmt.Fprintf(w, "The policy stands unsigned until the author and the owners sign it:\n")
	fmt.Fprintf(w, "  ssh-keygen -t ed25519 -N '' -f ana.key\n  bin/writ policy approve --dir %s --key ana.key --as ana@example.test\n", dir)
	fmt.Fprintf(w, "The vault opens by itself here, and two of Ana, Ben and Chloe open it when it is sealed. Their key files\n")
	fmt.Fprintf(w, "lie in %s, on one disk, as no company should do it. To try it:\n", filepath.Join(dir, holdersDir))
	fmt.Fprintf(w, "  bin/writ vault seal --dir %s --reason 'to see it'\n  bin/writ vault unseal --dir %s --holder %s\n", dir, dir, filepath.Join(dir, holdersDir, "ana.key"))
	fmt.Fprintf(w, "\nYour browser does not know this certificate authority: %s\n", srv.AuthorityFile())
	fmt.Fprintf(w, "Import it as an authority for websites (it can only speak for localhost), or accept the warning once.\n")
	fmt.Fprintf(w, "Ctrl-C stops everything; the state stays in %s.\n\n", dir)
}
