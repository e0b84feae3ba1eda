package identity_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/identity"
	"writ/internal/identity/totp"
	"writ/internal/secret"
	"writ/internal/web"
)

// tap keeps every cookie that comes through.
type tap struct {
	http.RoundTripper
	mu      sync.Mutex
	cookies []*http.Cookie
	raw     []string
}

func (p *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := p.RoundTripper.RoundTrip(r)
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.cookies = append(p.cookies, a.Cookies()...)
		p.raw = append(p.raw, a.Header.Values("Set-Cookie")...)
	}
	return a, err
}

func asvsCookies(t *testing.T) {
	s := openSite(t)
	r := s.reader()
	p := &tap{RoundTripper: r.c.Transport}
	r.c.Transport = p
	to := mailbox("ana")
	r.open("/-/sign-up")
	r.press("Sign up", "email", to, "name", "Ana", "password", good)
	r.open("/-/confirm/" + tokenOf(t, s.letter(to).Text))
	r.press("Confirm this address")
	r.open("/-/sign-in?to=/-/account/factors")
	r.press("Sign in", "email", to, "password", good)
	r.press("Set up an app")
	seed := r.seedOn()
	r.press("Turn it on", "code", r.codeOf(seed))
	r.open("/-/account/security")
	r.press("Change the password", "current", good, "new", nextPassword).want(t, 200, "Your password is changed.")
	r.open("/-/sign-out")
	r.press("Sign out")
	r.open("/-/sign-in")
	r.press("Sign in", "email", to, "password", nextPassword)
	s.kit.Clock.Advance(totp.Period)
	r.press("Go on", "code", r.codeOf(seed))
	seen := map[string]bool{}
	for i, c := range p.cookies {
		seen[c.Name] = true
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("%s is sent in clear, to scripts or to other sites: %s", c.Name, strings.Replace(p.raw[i], c.Value, "…", 1))
		}
		if !strings.HasPrefix(c.Name, "__Host-") || c.Path != "/" || c.Domain != "" {
			t.Errorf("%s is not its host's alone: %s", c.Name, strings.Replace(p.raw[i], c.Value, "…", 1))
		}
	}
	for _, want := range []string{"__Host-writ", "__Host-writ-device", "__Host-writ-flow", "__Host-writ-notice"} {
		if !seen[want] {
			t.Errorf("no %s was set: %v", want, seen)
		}
	}
}

// What a browser sends across sites without asking first: forms, and no JSON.
func asvsForeignRequests(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	b := w.browser()
	b.signIn(email, good)
	hole := regexp.MustCompile(`\{[^}]*\}`)
	seen := 0
	for _, rt := range slices.Concat(w.svc.Routes(), w.svc.Pages()) {
		method, path, _ := strings.Cut(hole.ReplaceAllString(rt.Pattern, "x"), " ")
		if method == http.MethodGet {
			continue
		}
		seen++
		for kind, head := range map[string]http.Header{
			"a form":   {"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"cross-site"}},
			"plain":    {"Content-Type": {"text/plain"}, "Origin": {"https://evil.example"}},
			"sub-site": {"Content-Type": {"application/json"}, "Sec-Fetch-Site": {"same-site"}},
		} {
			q, err := http.NewRequestWithContext(t.Context(), method, b.Base+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			q.Header = head
			a, err := b.Send(q)
			if err != nil {
				t.Fatal(err)
			}
			if a.Status != 403 || len(a.Header.Values("Set-Cookie")) > 0 {
				t.Errorf("%s as %s of another site: %d %s", rt.Pattern, kind, a.Status, a.Body)
			}
		}
	}
	if seen < 60 {
		t.Errorf("only %d routes were asked", seen)
	}
	for _, path := range []string{"/-/api/v1/sign-in", "/-/api/v1/password"} { // JSON routes take nothing that a form can send
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.Base+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Content-Type", "text/plain")
		if a, err := b.Send(q); err != nil || a.Status != 415 {
			t.Errorf("%s of text: %d %v", path, a.Status, err)
		}
	}
	b.api(200, "GET", "session", nil)
}

// asvsWaysIn goes every way that docs/sign-in.md names, as somebody who must show two
// factors, and compares the names in the journal with the page.
func asvsWaysIn(t *testing.T) {
	w := open(t, underName)
	id, b, p := w.staff("sam", "engineer")
	email := mailbox("sam")
	elsewhere := func(b browser, want string) {
		t.Helper()
		as, err := w.svc.Enter(t.Context(), stranger(3), identity.Entry{Person: id, Method: "upstream", ACR: 1, AMR: []string{"upstream"}, Network: "198.51.3.0/24"})
		if err != nil || as.Next != want {
			t.Fatalf("another provider led to %q, %v; want %q", as.Next, err, want)
		}
	}
	full := func(way string, in obj) {
		t.Helper()
		if in["next"] != identity.NextDone {
			t.Errorf("%s: %v", way, in)
		}
	}
	full("password+totp", b.signInWith(email, good, p))
	d := newDevice(t)
	b.enrolPasskey(d, "key")
	flow := b.signIn(email, good)["flow"]
	full("password+recovery", b.api(200, "POST", "sign-in/factor", obj{"flow": flow, "kind": "recovery", "code": p.codes[0]}))
	q := b.askPasskey("")
	full("passkey", b.show(200, q, d.prove(q)))
	second := b.signIn(email, good)["flow"].(string)
	q = b.askPasskey(second)
	full("password+passkey", b.show(200, q, d.prove(q)))
	elsewhere(b, identity.NextFactor)
	for _, kind := range []string{identity.FactorTOTP, identity.FactorRecovery, identity.FactorPasskey} {
		w.fromElsewhere(id, kind, p, d)
	}

	w.exec(`DELETE FROM identity_factor WHERE person = $1`, id)
	w.exec(`DELETE FROM identity_passkey WHERE person = $1`, id)
	w.exec(`DELETE FROM identity_recovery WHERE person = $1`, id)
	elsewhere(b, identity.NextEnrol)
	if in := b.signIn(email, good); in["next"] != identity.NextEnrol {
		t.Errorf("a password alone led to %v", in["next"])
	}

	ways := map[string]bool{}
	for _, r := range w.kit.Recorded("identity.signed-in") {
		ways[fmt.Sprint(r.Fields["method"])] = true
		if acr := fmt.Sprint(r.Fields["acr"]); r.Fields["level"] == "full" && acr < "2" {
			t.Errorf("a full session by %v with acr %s", r.Fields["method"], acr)
		}
	}
	_, table, _ := strings.Cut(written(t), "## Ways in")
	rows := regexp.MustCompile("(?m)^\\| [^|]+ \\| `([a-z+]+)` \\|").FindAllStringSubmatch(table, -1)
	for _, row := range rows {
		if !ways[row[1]] {
			t.Errorf("%s is written down and nobody came that way", row[1])
		}
		delete(ways, row[1])
	}
	for way := range ways {
		t.Errorf("%s is a way in that %s does not name", way, signInPage)
	}
}

// fromElsewhere signs in through another provider and then shows a factor.
func (w *world) fromElsewhere(person, kind string, p *phone, d *device) {
	w.t.Helper()
	as, err := w.svc.Enter(w.t.Context(), stranger(3), identity.Entry{Person: person, Method: "upstream", ACR: 1, AMR: []string{"upstream"}, Network: "198.51.3.0/24"})
	if err != nil {
		w.t.Fatal(err)
	}
	step := identity.Step{Flow: as.Flow, Bind: as.Bind, Shown: identity.Shown{Kind: kind}, Network: "198.51.3.0/24"}
	switch kind {
	case identity.FactorTOTP:
		step.Shown.Code = secret.NewText(p.code())
	case identity.FactorRecovery:
		step.Shown.Code = secret.NewText(p.codes[1])
	case identity.FactorPasskey:
		q, err := w.svc.AskPasskey(w.t.Context(), stranger(3), as.Flow, as.Bind)
		if err != nil {
			w.t.Fatal(err)
		}
		if step.Shown.Credential, err = json.Marshal(d.prove(asked{q.Flow.Reveal(), string(q.Options)})); err != nil {
			w.t.Fatal(err)
		}
		step.Shown.Question = q.Flow
	}
	if got, err := w.svc.Proceed(w.t.Context(), stranger(3), step); err != nil || got.Next != identity.NextDone {
		w.t.Errorf("another provider, then %s: %q %v", kind, got.Next, err)
	}
}

func asvsGuessedIsTold(t *testing.T) {
	w := open(t)
	_, email := w.customer("cleo")
	b := w.browser()
	b.signIn(email, good)
	p := b.enrol()
	flow := b.signIn(email, good)["flow"]
	for range 3 {
		b.api(401, "POST", "sign-in/factor", obj{"flow": flow, "kind": "totp", "code": "000000"})
	}
	if m := w.letterOf(email, "factor-guessed"); !strings.Contains(m.Text, "somebody knows the present one") {
		t.Errorf("the letter: %s", m.Text)
	}
	b.api(200, "POST", "sign-in/factor", obj{"flow": flow, "kind": "recovery", "code": p.codes[0]})
	w.letterOf(email, "recovery-used")
}

func asvsMailIsNoFactor(t *testing.T) {
	w := open(t)
	b := w.browser()
	email := mailbox("ana")
	b.api(202, "POST", "sign-up", obj{"email": email, "password": good, "name": ""})
	b.api(200, "POST", "confirm", obj{"token": tokenOf(t, w.letterOf(email, "confirm").Text)})
	b.api(401, "GET", "session", nil)
	b.api(202, "POST", "recovery", obj{"email": email})
	b.api(200, "POST", "recovery/"+tokenOf(t, w.letterOf(email, "reset").Text), obj{"new": nextPassword})
	b.api(401, "GET", "session", nil)
	b.signIn(email, nextPassword)
	b.enrol()
	for _, kind := range []string{"email", "mail", "link", "sms"} {
		if a := b.ask("POST", "factors/"+kind, nil); a.Status != 404 && a.Status != 405 {
			t.Errorf("a factor %s can be set up: %d", kind, a.Status)
		}
		in := b.signIn(email, nextPassword)
		if slices.Contains(in["factors"].([]any), any(kind)) {
			t.Errorf("%s is offered: %v", kind, in)
		}
		b.api(401, "POST", "sign-in/factor", obj{"flow": in["flow"], "kind": kind, "code": "000000"})
	}
}

func asvsChangesAreTold(t *testing.T) {
	w := open(t, underName)
	_, email := w.customer("cleo")
	b := w.browser()
	b.signIn(email, good)
	b.api(200, "POST", "password", obj{"current": good, "new": nextPassword})
	w.letterOf(email, "password-changed")
	p := b.enrol()
	w.letterOf(email, "factor-added")
	b.enrolPasskey(newDevice(t), "key")
	w.letterOf(email, "factor-added")
	b.api(200, "POST", "factors/recovery-codes", nil)
	w.letterOf(email, "recovery-made")
	b.api(204, "DELETE", "factors/"+p.id, nil)
	w.letterOf(email, "factor-removed")
	w.exec(`DELETE FROM identity_passkey`)
	c := w.browser()
	c.api(202, "POST", "recovery", obj{"email": email})
	c.api(200, "POST", "recovery/"+tokenOf(t, w.letterOf(email, "reset").Text), obj{"new": "a third phrase of mine 5"})
	w.letterOf(email, "reset-used")
}

func asvsFirstLink(t *testing.T) {
	w := open(t)
	seen := map[string]bool{}
	for i := range 20 {
		email := mailbox(fmt.Sprint("first", i))
		a, err := w.svc.AddStaff(t.Context(), operator, identity.AddStaff{Email: email, Roles: []string{"engineer"}})
		if err != nil {
			t.Fatal(err)
		}
		token := tokenOf(t, a.URL.Reveal())
		if raw, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(raw) != 32 || seen[token] {
			t.Errorf("a first link of %d bytes, %v, seen before: %v", len(raw), err, seen[token])
		}
		seen[token] = true
		if i > 0 {
			continue
		}
		b := w.browser()
		b.api(401, "POST", "sign-in", obj{"email": email, "password": token})
		b.api(422, "POST", "invitations/"+token+"/accept", obj{"name": "", "password": "short"}) // the rules of passwords hold
		b.api(200, "POST", "invitations/"+token+"/accept", obj{"name": "", "password": good})
		b.api(410, "POST", "invitations/"+token+"/accept", obj{"name": "", "password": nextPassword})
		b.api(401, "POST", "sign-in", obj{"email": email, "password": token})
	}
}

func asvsAdminStartsReset(t *testing.T) {
	w := open(t)
	_, ana := w.staffer("ana", "owner")
	_, sam := w.staffer("sam", "engineer")
	out := ana.api(200, "POST", "people/sam/link", nil)
	if out["mailed"] != true || out["url"] != nil {
		t.Errorf("an owner is shown the link of another: %v", out)
	}
	token := tokenOf(t, w.letterOf(mailbox("sam"), "reset").Text)
	sam.api(200, "GET", "session", nil) // nothing is changed until sam does it
	w.browser().signIn(mailbox("sam"), good)
	if a := w.browser().ask("POST", "recovery/"+token, obj{"new": nextPassword}); a.Status != 200 {
		t.Errorf("sam's own use: %d %s", a.Status, a.Body)
	}
	text := reflect.TypeFor[secret.Text]()
	for _, rt := range w.svc.Routes() {
		in := reflect.TypeOf(rt.Doc.In)
		if rt.Who != web.Staff || in == nil || in.Kind() != reflect.Struct {
			continue
		}
		for f := range in.Fields() {
			if f.Type == text && !strings.Contains(rt.Pattern, "imports") { // hashes that people chose elsewhere
				t.Errorf("%s takes a secret of somebody else: %s", rt.Pattern, f.Name)
			}
		}
	}
}

func asvsRecoveryCodes(t *testing.T) {
	w := open(t)
	id, email := w.customer("cleo")
	b := w.browser()
	b.signIn(email, good)
	p := b.enrol()
	for _, c := range p.codes {
		plain := strings.ToUpper(strings.ReplaceAll(c, "-", ""))
		if raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(plain); err != nil || len(raw)*8 < 112 {
			t.Errorf("a code of %d bits, %v", len(raw)*8, err)
		}
		for _, form := range []string{c, plain, strings.ToLower(plain)} {
			if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_recovery WHERE code = $1`, form); n != "0" {
				t.Error("a code is kept as it is shown")
			}
		}
	}
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_recovery WHERE person = $1 AND LENGTH(code) = 64`, id); n != "10" {
		t.Errorf("%s hashes of SHA-256, want 10", n)
	}
}

func asvsCodeLife(t *testing.T) {
	w := open(t)
	_, email := w.customer("cleo")
	b := w.browser()
	b.signIn(email, good)
	p := b.enrol()
	w.kit.Clock.Advance(10 * totp.Period)
	try := func(off int64) int {
		flow := b.signIn(email, good)["flow"]
		return b.ask("POST", "sign-in/factor", obj{"flow": flow, "kind": "totp", "code": p.at(totp.Step(w.kit.Clock.Now()) + off)}).Status
	}
	for off, want := range map[int64]int{-3: 401, -2: 401, 2: 401, 3: 401} {
		if got := try(off); got != want {
			t.Errorf("a code %d steps off: %d", off, got)
		}
	}
	if got := try(-1); got != 200 {
		t.Errorf("the code before this one: %d", got)
	}
}

// decoded is how many random bytes a text holds after its prefix.
func decoded(t *testing.T, what, s string) int {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return len(raw)
}

func asvsRandom(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	seen, drawn := map[string]bool{}, map[string][]string{}
	keep := func(what, s string, bytes int) {
		t.Helper()
		if bytes < 16 || seen[s] {
			t.Errorf("%s has %d bytes, seen before: %v", what, bytes, seen[s])
		}
		seen[s] = true
		drawn[what] = append(drawn[what], s)
	}
	for range 200 {
		as, err := w.svc.SignIn(t.Context(), stranger(1), identity.SignIn{Email: email, Password: secret.NewText(good)})
		if err != nil {
			t.Fatal(err)
		}
		keep("a session", as.Token.Reveal(), decoded(t, "session", as.Token.Reveal()))
		keep("a browser", as.Device.Reveal(), decoded(t, "browser", as.Device.Reveal()))
		token := identity.NewTokenText(identity.PersonalToken).Reveal()
		token = token[len("writ_pat_") : len(token)-6] // letters and digits, less the check sum
		keep("a token", token, len(token)*3/4)
	}
	for what, all := range drawn { // no place stays, as it would where less is drawn and the rest filled up
		for i := range all[0] {
			places := map[byte]bool{}
			for _, s := range all {
				places[s[i]] = true
			}
			if len(places) < 10 {
				t.Errorf("place %d of %s takes %d values in %d draws", i, what, len(places), len(all))
			}
		}
	}
	b := w.browser()
	b.signIn(email, good)
	p := b.enrol()
	for _, c := range p.codes {
		keep("a recovery code", c, len(strings.ReplaceAll(c, "-", ""))*5/8)
	}
	keep("a seed", p.seed.Text().Reveal(), len(p.seed.Text().Reveal())*5/8)
	_, other := w.customer("ben")
	for range 3 {
		flow := b.signIn(email, good)["flow"].(string)
		keep("a flow", flow, decoded(t, "flow", flow))
		b.api(202, "POST", "recovery", obj{"email": other})
		link := tokenOf(t, w.letterOf(other, "reset").Text)
		keep("a link", link, decoded(t, "link", link))
	}
}

func asvsNewToken(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	b := w.browser()
	b.signIn(email, good)
	first := b.session()
	w.kit.Clock.Advance(time.Minute)
	b.signIn(email, good)
	if second := b.session(); second == first || w.withSession(first) != 401 || w.withSession(second) != 200 {
		t.Errorf("a second sign-in: the same token %v, the former answers %d", second == first, w.withSession(first))
	}
	p := b.enrol()
	before := b.session()
	b.signInWith(email, good, p)
	if w.withSession(before) != 401 {
		t.Error("the token before the factor works on")
	}
	b.api(204, "POST", "sign-out", nil)
}

func asvsSignOut(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	r := s.reader()
	r.open("/-/sign-in?to=/-/account")
	page := r.press("Sign in", "email", to, "password", good).want(t, 200, "Your account")
	if got := page.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("a page of the account may be kept: %q", got)
	}
	token := s.tokenIn(r)
	r.open("/-/sign-out")
	r.press("Sign out").want(t, 200, "You are signed out.")
	if _, err := s.svc.Lookup(t.Context(), token); err == nil {
		t.Error("the token works on")
	}
	if p := r.open("/-/account"); !strings.HasPrefix(p.path, "/-/sign-in") {
		t.Errorf("going back showed %s", p.path)
	}
	r.open("/-/sign-in?to=/-/account")
	r.press("Sign in", "email", to, "password", good)
	token = s.tokenIn(r)
	s.kit.Clock.Advance(8 * 24 * time.Hour)
	if _, err := s.svc.Lookup(t.Context(), token); err == nil {
		t.Error("the token outlived its time")
	}
}

// tokenIn is the session cookie of a reader.
func (s *site) tokenIn(r *reader) secret.Text {
	s.t.Helper()
	q, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.pages.URL, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range r.c.Jar.Cookies(q.URL) {
		if c.Name == "__Host-writ" {
			return secret.NewText(c.Value)
		}
	}
	s.t.Fatal("no session")
	return secret.Text{}
}

func asvsDisabled(t *testing.T) {
	for name, end := range map[string]func(w *world, id string) error{
		"disabled": func(w *world, id string) error { return w.svc.Disable(t.Context(), operator, id) },
		"erased": func(w *world, id string) error {
			_, err := w.svc.Erase(t.Context(), operator, id, handleOf(w, id))
			return err
		},
	} {
		w := open(t)
		id, email := w.customer("ana")
		a, b := w.browser(), w.browser()
		a.signIn(email, good)
		b.signIn(email, good)
		if err := end(w, id); err != nil {
			t.Fatal(err)
		}
		a.api(401, "GET", "session", nil)
		b.api(401, "GET", "session", nil)
		if in := w.browser().ask("POST", "sign-in", obj{"email": email, "password": good}); in.Status != 401 {
			t.Errorf("%s, and signs in: %d", name, in.Status)
		}
		w.noneLives()
	}
}

func asvsOfferToEnd(t *testing.T) {
	s := openSite(t)
	_, to := s.customer("ana")
	far, r := s.reader(), s.reader()
	for _, x := range []*reader{far, r} {
		x.open("/-/sign-in?to=/-/account")
		x.press("Sign in", "email", to, "password", good)
	}
	r.open("/-/account/factors")
	r.press("Set up an app")
	seed := r.seedOn()
	r.press("Turn it on", "code", r.codeOf(seed)).want(t, 200, "One other session of yours goes on.", `href="/-/account/factors#sessions"`)
	r.open("/-/account/factors").want(t, 200, "A change of factors does not end it.")
	r.press("End all others").want(t, 200, "1 other session has ended.")
	if p := far.open("/-/account"); !strings.HasPrefix(p.path, "/-/sign-in") {
		t.Errorf("the other session is at %s", p.path)
	}
	if p := r.open("/-/account/factors"); strings.Contains(p.body, "Other sessions") {
		t.Error("offers to end sessions that are not there")
	}
	far.open("/-/sign-in?to=/-/account")
	far.press("Sign in", "email", to, "password", good)
	s.kit.Clock.Advance(totp.Period)
	far.press("Go on", "code", far.codeOf(seed)).want(t, 200, "Your account")
	far.open("/-/account/security")
	far.press("Change the password", "current", good, "new", nextPassword).want(t, 200, "1 other session has ended.")
}

func asvsStaffEnd(t *testing.T) {
	w := open(t)
	_, ana := w.staffer("ana", "owner")
	_, sam := w.staffer("sam", "support")
	_, email := w.customer("cleo")
	b, c := w.browser(), w.browser()
	b.signIn(email, good)
	c.signIn(email, good)
	sam.api(403, "DELETE", "people/"+email+"/sessions", nil)
	b.api(200, "GET", "session", nil)
	if n := ana.api(200, "DELETE", "people/"+email+"/sessions", nil)["ended"]; n != 2.0 {
		t.Errorf("%v ended", n)
	}
	b.api(401, "GET", "session", nil)
	c.api(401, "GET", "session", nil)
	ana.api(200, "GET", "session", nil)
}

func asvsEndingWantsProof(t *testing.T) {
	w := open(t)
	_, email := w.customer("mia")
	a, b := w.browser(), w.browser()
	a.signIn(email, good)
	b.signIn(email, good)
	w.kit.Clock.Advance(15 * time.Minute)
	xs := b.api(200, "GET", "sessions", nil)["sessions"].([]any)
	var mine, other string
	for _, x := range xs {
		if m := x.(obj); m["current"] == true {
			mine = m["id"].(string)
		} else {
			other = m["id"].(string)
		}
	}
	for _, path := range []string{"sessions/" + other, "sessions"} {
		if got := b.ask("DELETE", path, nil); got.Status != 403 || !strings.Contains(got.Body, "step_up_required") {
			t.Errorf("%s without a proof: %d %s", path, got.Status, got.Body)
		}
	}
	a.api(200, "GET", "session", nil)
	b.api(200, "POST", "step-up", obj{"kind": "password", "code": good})
	b.api(204, "DELETE", "sessions/"+other, nil)
	a.api(401, "GET", "session", nil)
	w.kit.Clock.Advance(15 * time.Minute)
	b.api(204, "DELETE", "sessions/"+mine, nil) // signing oneself out needs none
}

func asvsOnRecord(t *testing.T) {
	w := open(t)
	id, email := w.customer("ana")
	b := w.browser()
	b.api(401, "POST", "sign-in", obj{"email": email, "password": "wrong"})
	b.api(401, "POST", "sign-in", obj{"email": mailbox("nobody"), "password": "wrong"})
	b.signIn(email, good)
	p := b.enrol()
	flow := b.signIn(email, good)["flow"]
	b.api(401, "POST", "sign-in/factor", obj{"flow": flow, "kind": "totp", "code": "000000"})
	b.api(200, "POST", "sign-in/factor", obj{"flow": flow, "kind": "totp", "code": p.code()})
	b.api(200, "POST", "step-up", obj{"kind": "recovery", "code": p.codes[0]})
	b.api(204, "POST", "sign-out", nil)
	in := w.kit.Recorded("identity.signed-in")
	if len(in) != 2 || fmt.Sprint(in[0].Fields["method"], in[0].Fields["acr"]) != "password1" || fmt.Sprint(in[1].Fields["method"], in[1].Fields["acr"], in[1].Fields["amr"]) != "password+totp2[mfa otp pwd]" {
		t.Errorf("sign-ins: %+v", in)
	}
	for _, r := range in {
		if r.Subject == "" || !strings.Contains(r.Body, id) || r.Fields["network"] == nil {
			t.Errorf("a sign-in without who and where: %+v", r)
		}
	}
	for name, least := range map[string]int{"identity.sign-in-refused": 2, "identity.factor-refused": 1, "identity.stepped-up": 1, "identity.session-ended": 1} {
		if n := len(w.kit.Recorded(name)); n < least {
			t.Errorf("%d entries %s", n, name)
		}
	}
	if r := w.kit.Recorded("identity.factor-refused")[0]; r.Fields["kind"] != "totp" {
		t.Errorf("the refused factor: %+v", r.Fields)
	}
}
