//go:build ignore

// Command attack holds a demo of Writ to what auth.best-practice says of guessing. For
// scripts/attack.sh:
//
//	go run scripts/attack.go DEMO-FOLDER https://localhost:PORT
//
// One account: THC-Hydra guesses with a list of as many lines as an hour has seconds, one
// guess a second, but as fast as it can; the right password is among them. Limits count
// in windows of an hour and less, and the clock of a real server cannot be moved, so the
// hour is compressed: what an hour refuses must be refused in these minutes too, and the
// thirty looks that a person's counter allows strangers are those of the whole hour. That
// the shorter windows open again within it is in TestAnHourOfGuesses, with a clock that
// moves. Meanwhile the owner signs in sixty times from the known browser, with password and
// passkey, and sixty times with the passkey alone from a browser nobody knows.
//
// Many accounts: one password on a thousand addresses from one network.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	virtual "github.com/descope/virtualwebauthn"
)

const (
	guesses = 3600
	rounds  = 60
	sprayed = 1000
	atMost  = 25
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go run scripts/attack.go DEMO-FOLDER https://localhost:PORT")
		os.Exit(2)
	}
	held, err := run(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(2)
	}
	if !held {
		fmt.Println("attack: it did not hold")
		os.Exit(1)
	}
	fmt.Println("attack: all held")
}

type object = map[string]any

// site is the demo.
type site struct {
	base  string
	roots *x509.CertPool
}

// browser comes from an address of its own.
func (s site) browser(from string) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // never without options
	}
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	_, port, _ := strings.Cut(strings.TrimPrefix(s.base, "https://"), ":")
	return &http.Client{Jar: jar, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}, MaxIdleConnsPerHost: 16,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return d.DialContext(ctx, "tcp4", "127.0.0.1:"+port)
			}}}
}

// ask sends JSON. A server that is busy for a moment is asked again, as its answer says.
func (s site) ask(c *http.Client, path string, in, out any) (int, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	for range 10 {
		res, err := c.Post(s.base+"/-/api/v1/"+path, "application/json", bytes.NewReader(b))
		if err != nil {
			return 0, err
		}
		body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		res.Body.Close()
		if err != nil {
			return 0, err
		}
		if res.StatusCode == http.StatusServiceUnavailable {
			time.Sleep(2 * time.Second)
			continue
		}
		if out != nil && res.StatusCode < 300 {
			err = json.Unmarshal(body, out)
		}
		return res.StatusCode, err
	}
	return http.StatusServiceUnavailable, nil
}

// owner is a person with a known browser and a passkey.
type owner struct {
	site
	email, password string
	known, fresh    *http.Client
	party           virtual.RelyingParty
	device          virtual.Authenticator
	key             virtual.Credential
}

type question struct {
	Flow    string          `json:"flow"`
	Options json.RawMessage `json:"options"`
}

// enrol signs in for the first time and sets up the passkey.
func (o *owner) enrol() error {
	if code, err := o.ask(o.known, "sign-in", object{"email": o.email, "password": o.password}, nil); err != nil || code != 200 {
		return fmt.Errorf("sign in as %s: status %d, %v", o.email, code, err)
	}
	var q question
	if code, err := o.ask(o.known, "factors/passkey/options", object{}, &q); err != nil || code != 200 {
		return fmt.Errorf("ask for a passkey: status %d, %v", code, err)
	}
	opts, err := virtual.ParseAttestationOptions(string(q.Options))
	if err != nil {
		return err
	}
	o.device.Options.UserHandle = []byte(opts.UserID)
	for o.key = virtual.NewCredential(virtual.KeyTypeEC2); len(o.key.Key.AttestationData()) != 77; { // a coordinate written short
		o.key = virtual.NewCredential(virtual.KeyTypeEC2)
	}
	made := json.RawMessage(virtual.CreateAttestationResponse(o.party, o.device, o.key, *opts))
	if code, err := o.ask(o.known, "factors/passkey", object{"flow": q.Flow, "name": "key", "credential": made}, nil); err != nil || code != 200 {
		return fmt.Errorf("set up a passkey: status %d, %v", code, err)
	}
	return nil
}

// show answers a question with the passkey; flow is "" where nothing was shown before.
func (o *owner) show(c *http.Client, flow string) bool {
	in := object{}
	if flow != "" {
		in["flow"] = flow
	}
	var q question
	if code, err := o.ask(c, "sign-in/passkey", in, &q); err != nil || code != 200 {
		return false
	}
	opts, err := virtual.ParseAssertionOptions(string(q.Options))
	if err != nil {
		return false
	}
	o.key.Counter++
	shown := json.RawMessage(virtual.CreateAssertionResponse(o.party, o.device, o.key, *opts))
	code, err := o.ask(c, "sign-in/factor", object{"flow": q.Flow, "kind": "passkey", "credential": shown}, nil)
	return err == nil && code == 200
}

func (o *owner) byKnownBrowser() bool {
	var next struct{ Next, Flow string }
	code, err := o.ask(o.known, "sign-in", object{"email": o.email, "password": o.password}, &next)
	return err == nil && code == 200 && (next.Next == "done" || o.show(o.known, next.Flow))
}

func (o *owner) byPasskey() bool {
	o.fresh.Jar, _ = cookiejar.New(nil)
	return o.show(o.fresh, "")
}

// gate stands between hydra and the server and counts. Hydra's form module takes a 401
// for another kind of sign-in and stops, so it reads a word instead.
type gate struct {
	site
	client                  *http.Client
	looked, limited, opened atomic.Int64
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost {
		return
	}
	var code int
	for range 50 {
		res, err := g.client.PostForm(g.base+"/-/sign-in", url.Values{"email": r.PostForm["email"], "password": r.PostForm["password"]})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if code = res.StatusCode; code != http.StatusServiceUnavailable {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	switch code {
	case http.StatusSeeOther:
		g.opened.Add(1)
		fmt.Fprint(w, "welcome")
		return
	case http.StatusTooManyRequests:
		g.limited.Add(1)
	case http.StatusUnauthorized:
		g.looked.Add(1)
	}
	fmt.Fprint(w, "refused")
}

// hydra runs it against the gate and returns how many passwords it says are right.
func hydra(ctx context.Context, g *gate, email string, list []string) (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	srv := &http.Server{Handler: g}
	go srv.Serve(l)
	defer srv.Close()
	file, err := os.CreateTemp("", "guesses")
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	if _, err := file.WriteString(strings.Join(list, "\n") + "\n"); err != nil {
		return 0, err
	}
	if err := file.Close(); err != nil {
		return 0, err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	cmd := exec.CommandContext(ctx, "hydra", "-I", "-l", email, "-P", file.Name(), "-t", "8", "-s", port, "127.0.0.1", "http-post-form", "/:email=^USER^&password=^PASS^:F=refused")
	out, err := cmd.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "valid password") {
		return 0, fmt.Errorf("hydra: %v\n%s", err, out)
	}
	return strings.Count(string(out), "[http-post-form]"), nil
}

func run(dir, base string) (bool, error) {
	pem, err := os.ReadFile(filepath.Join(dir, "ca", "ca.pem"))
	if err != nil {
		return false, err
	}
	s := site{base, x509.NewCertPool()}
	s.roots.AppendCertsFromPEM(pem)
	b, err := os.ReadFile(filepath.Join(dir, "demo.json"))
	if err != nil {
		return false, err
	}
	var demo struct {
		People []struct{ Email, Password string }
	}
	if err := json.Unmarshal(b, &demo); err != nil {
		return false, err
	}
	var with []owner
	for _, p := range demo.People {
		if p.Password != "" {
			with = append(with, owner{site: s, email: p.Email, password: p.Password, known: s.browser("127.0.0.7"), fresh: s.browser("127.0.0.8"),
				party: virtual.RelyingParty{ID: "localhost", Origin: base}, device: virtual.NewAuthenticator()})
		}
	}
	if len(with) < 2 {
		return false, fmt.Errorf("%s has %d people with a password, want 2", dir, len(with))
	}
	one, err := s.account(&with[0], &with[1])
	if err != nil {
		return false, err
	}
	many, err := s.spray()
	return one && many, err
}

// account is the attack on the first owner. The other's password shows that hydra finds
// one when nothing holds it back.
func (s site) account(o, easy *owner) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	control := &gate{site: s, client: s.browser("127.9.1.1")}
	found, err := hydra(ctx, control, easy.email, []string{"wrong-one", "wrong-two", easy.password})
	if err != nil || found != 1 {
		return false, fmt.Errorf("hydra found %d of 1 password that it was given in three lines, %v: it cannot attack here", found, err)
	}
	if err := o.enrol(); err != nil {
		return false, err
	}
	list := make([]string, guesses)
	for i := range list {
		list[i] = fmt.Sprintf("not-the-password-%d", i)
	}
	for i := 600; i < guesses; i += 600 { // after ten minutes, and then every ten
		list[i] = o.password
	}
	g := &gate{site: s, client: s.browser("127.0.0.9")} // the owner's own network
	type end struct {
		found int
		err   error
	}
	ends := make(chan end, 1)
	begin := time.Now()
	go func() {
		found, err := hydra(ctx, g, o.email, list)
		ends <- end{found, err}
	}()
	known, passkeys := 0, 0
	for range rounds {
		if o.byKnownBrowser() {
			known++
		}
		if o.byPasskey() {
			passkeys++
		}
	}
	e := <-ends
	if e.err != nil {
		return false, e.err
	}
	fmt.Printf("one account, %d guesses by hydra in %s: %d looked at, %d refused unseen, %d let in, %d found\n", guesses, time.Since(begin).Round(time.Second), g.looked.Load(), g.limited.Load(), g.opened.Load(), e.found)
	fmt.Printf("its owner meanwhile: known browser %d of %d, passkey in a new browser %d of %d\n", known, rounds, passkeys, rounds)
	return known == rounds && passkeys == rounds && e.found == 0 && g.opened.Load() == 0 && g.limited.Load() > guesses/2, nil
}

func (s site) spray() (bool, error) {
	c, reached := s.browser("127.9.2.1"), 0
	for i := range sprayed {
		code, err := s.ask(c, "sign-in", object{"email": fmt.Sprintf("person%d@spray.example.test", i), "password": "Summer2026!Summer"}, nil)
		if err != nil {
			return false, err
		}
		if code != http.StatusTooManyRequests {
			reached++
		}
	}
	fmt.Printf("one password on %d addresses from one network: %d reached, at most %d\n", sprayed, reached, atMost-1)
	return reached < atMost, nil
}
