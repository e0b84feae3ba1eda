package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/fault"
)

// trial is one run of a canary: visitors at the public door, and what came of it.
type trial struct {
	s       *Service
	ctx     context.Context
	door    *canary.Door
	control string
	steps   []clause.Step
	err     error // the server could not answer: the run decides nothing
	close   []func()
}

// run makes a control's Run of a story. The story stops at the first answer that
// cannot be judged.
func (s *Service) canary(door *canary.Door, control string, story func(*trial) string) func(context.Context) (clause.Result, error) {
	return func(ctx context.Context) (clause.Result, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		t := &trial{s: s, ctx: ctx, door: door, control: control}
		defer func() {
			for _, f := range slices.Backward(t.close) {
				f()
			}
		}()
		summary := story(t)
		if t.err != nil {
			return clause.Result{}, fmt.Errorf("%s: %w", control, t.err)
		}
		return clause.Judge(summary, t.steps...), nil
	}
}

// visitor is a stranger at the door.
func (t *trial) visitor() *canary.Visitor {
	v := t.door.Visitor()
	t.close = append(t.close, v.Close)
	return v
}

// person plants one for this run, a member where no roles are named.
func (t *trial) person(roles ...string) planted {
	if t.err != nil {
		return planted{}
	}
	return t.member(t.control, roles...)
}

// member plants a person with roles under the name of a control: one may need several.
func (t *trial) member(name string, roles ...string) planted {
	if t.err != nil {
		return planted{}
	}
	p, end, err := t.s.plant(t.ctx, t.door, name, roles...)
	if err != nil {
		t.err = err
		return p
	}
	t.close = append(t.close, end)
	return p
}

// ask sends JSON to the API.
func (t *trial) ask(v *canary.Visitor, method, path string, body map[string]string) canary.Answer {
	if t.err != nil {
		return canary.Answer{}
	}
	text := ""
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.err = err
			return canary.Answer{}
		}
		text = string(b)
	}
	a, err := v.Do(t.ctx, method, "/-/api/v1/"+path, text)
	if err == nil && a.Status >= 500 {
		err = fmt.Errorf("%s %s answered %s", method, pathOnly(path), saw(a))
	}
	t.err = err
	return a
}

// pathOnly leaves a token out of messages.
func pathOnly(p string) string {
	head, _, _ := strings.Cut(p, "/")
	return head
}

// codes are all codes in a refusal.
func codes(a canary.Answer) []string {
	var p struct {
		Code   string `json:"code"`
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	if json.Unmarshal([]byte(a.Body), &p) != nil || p.Code == "" {
		return nil
	}
	out := []string{p.Code}
	for _, e := range p.Errors {
		if !slices.Contains(out, e.Code) {
			out = append(out, e.Code)
		}
	}
	return out
}

func saw(a canary.Answer) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, strings.Join(codes(a), " ")))
}

// refused wants a status and a code.
func (t *trial) refused(act string, a canary.Answer, status int, code string) {
	t.step(act, strings.TrimSpace(fmt.Sprintf("%d %s", status, code)), saw(a), a.Status == status && (code == "" || slices.Contains(codes(a), code)), false)
}

// works is the case just inside the limit.
func (t *trial) works(act string, a canary.Answer, status int) {
	t.step(act, fmt.Sprint(status), saw(a), a.Status == status, true)
}

func (t *trial) step(act, expected, got string, ok, control bool) {
	if t.err == nil {
		t.steps = append(t.steps, clause.Step{Act: act, Expected: expected, Got: got, OK: ok, Control: control})
	}
}

var linkText = regexp.MustCompile(`/-/(?:confirm|recover|invite)/([A-Za-z0-9_-]+)`)

// letter waits for the letter of a kind and returns the token in it.
func (t *trial) letter(to, kind string) string {
	if t.err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(t.ctx, 30*time.Second)
	defer cancel()
	for {
		m, err := t.door.Letter(ctx, to)
		if err != nil {
			t.err = err
			return ""
		}
		if m.Kind != kind {
			continue
		}
		if f := linkText.FindStringSubmatch(m.Text); f != nil {
			return f[1]
		}
		return ""
	}
}

// same compares two answers as a stranger sees them: status, headers, body.
func same(a, b canary.Answer) (bool, string) {
	if a.Status != b.Status {
		return false, fmt.Sprintf("status %d and %d", a.Status, b.Status)
	}
	if normalBody(a) != normalBody(b) {
		return false, "bodies differ"
	}
	for _, k := range slices.Sorted(func(yield func(string) bool) {
		for k := range a.Header {
			if !yield(k) {
				return
			}
		}
		for k := range b.Header {
			if !yield(k) {
				return
			}
		}
	}) {
		switch k {
		case "Set-Cookie":
			if !slices.Equal(shapes(a.Header[k]), shapes(b.Header[k])) {
				return false, "header " + k + " differs"
			}
		case "X-Request-Id", "Date":
			if len(a.Header[k]) != len(b.Header[k]) {
				return false, "header " + k + " differs"
			}
		default:
			if !slices.Equal(a.Header[k], b.Header[k]) {
				return false, "header " + k + " differs"
			}
		}
	}
	return true, "alike"
}

var cookieValue = regexp.MustCompile(`^([^=;]*=)[^;]*`)

// shapes are cookies without what is in them.
func shapes(cookies []string) []string {
	out := make([]string, len(cookies))
	for i, c := range cookies {
		out[i] = cookieValue.ReplaceAllString(c, "$1")
	}
	return out
}

var requestID = regexp.MustCompile(`"request_id":"[^"]*"`)

func normalBody(a canary.Answer) string { return requestID.ReplaceAllString(a.Body, "") }

func (t *trial) alike(act string, a, b canary.Answer) {
	ok, got := same(a, b)
	t.step(act, "the same answer", got, ok, false)
}

func (t *trial) signIn(v *canary.Visitor, email, password string) canary.Answer {
	return t.ask(v, "POST", "sign-in", map[string]string{"email": email, "password": password})
}

// practice is auth.best-practice: generic errors, cookie flags, rotation, throttle.
func (t *trial) practice() string {
	p := t.person()
	known, stranger := t.visitor(), t.visitor()
	for network(known) == network(stranger) {
		stranger = t.visitor()
	}
	first := t.signIn(known, p.email, p.password.Reveal())
	t.works("sign in", first, http.StatusOK)
	c := cookie(first, "__Host-writ")
	t.step("look at the session cookie", "Secure, HttpOnly, SameSite=Lax, Path=/, no Domain", flags(c), good(c), false)
	if t.err != nil || c == nil {
		return "the session cookie is missing"
	}
	second := t.signIn(known, p.email, p.password.Reveal())
	t.works("sign in again", second, http.StatusOK)
	again := cookie(second, "__Host-writ")
	t.step("compare the two tokens", "a new one", map[bool]string{true: "a new one", false: "the same"}[again != nil && again.Value != c.Value], again != nil && again.Value != c.Value, false)
	t.refused("use the former token", t.withCookie(c), http.StatusUnauthorized, "")
	var gaps []time.Duration
	for i := range int(perNetwork.max) {
		start := time.Now()
		wrong := t.signIn(stranger, p.email, "not the password "+letters(6))
		mid := time.Now()
		if i < int(perNetwork.max)-1 {
			nobody := t.signIn(stranger, t.door.Address(), "not the password "+letters(6))
			t.refused("sign in with a wrong password", wrong, http.StatusUnauthorized, "sign_in_refused")
			t.alike("compare a known with an unknown address", wrong, nobody)
			gaps = append(gaps, (time.Since(mid) - mid.Sub(start)).Abs())
		}
	}
	held := t.signIn(stranger, p.email, p.password.Reveal())
	t.refused("sign in from the same network once more", held, http.StatusTooManyRequests, "too_many")
	t.step("look for the pause", "Retry-After", "Retry-After "+held.Header.Get("Retry-After"), held.Header.Get("Retry-After") != "", false)
	t.works("sign in from the known browser meanwhile", t.signIn(known, p.email, p.password.Reveal()), http.StatusOK)
	a := t.ask(t.visitor(), "POST", "sign-up", map[string]string{"email": p.email, "password": letters(40), "name": ""})
	fresh := t.door.Address()
	b := t.ask(t.visitor(), "POST", "sign-up", map[string]string{"email": fresh, "password": letters(40), "name": ""})
	t.sweeps(p.email, fresh)
	t.alike("compare the sign-up of a known with that of an unknown address", a, b)
	slices.Sort(gaps)
	return fmt.Sprintf("known and unknown addresses got one answer (median gap %s), the cookie is bound, tokens rotate, and the throttle holds strangers only", gaps[len(gaps)/2].Round(100*time.Microsecond))
}

// sweeps removes sign-ups at the end of the run. The planted person goes separately.
func (t *trial) sweeps(emails ...string) {
	t.close = append(t.close, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), 10*time.Second)
		defer cancel()
		if err := t.s.uprootSignUps(ctx, t.control, emails...); err != nil {
			t.s.Log.Error("sweep sign-ups of a control", "control", t.control, "err", err)
		}
	})
}

func network(v *canary.Visitor) string { return v.From[:strings.LastIndexByte(v.From, '.')] }

func cookie(a canary.Answer, name string) *http.Cookie {
	r := http.Response{Header: a.Header}
	for _, c := range r.Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func good(c *http.Cookie) bool {
	return c != nil && c.Secure && c.HttpOnly && c.SameSite == http.SameSiteLaxMode && c.Path == "/" && c.Domain == "" && len(c.Value) >= tokenLength
}

func flags(c *http.Cookie) string {
	if c == nil {
		return "no cookie"
	}
	return strings.Replace(c.String(), c.Name+"="+c.Value, c.Name+"=value", 1)
}

// withCookie asks who is signed in, with one cookie only.
func (t *trial) withCookie(c *http.Cookie) canary.Answer {
	if t.err != nil {
		return canary.Answer{}
	}
	v := t.visitor()
	req, err := http.NewRequestWithContext(t.ctx, http.MethodGet, v.Base+"/-/api/v1/session", nil)
	if err != nil {
		t.err = err
		return canary.Answer{}
	}
	req.Header.Set("Cookie", c.Name+"="+c.Value)
	req.Header.Set("Accept", "application/json")
	a, err := v.Send(req)
	t.err = err
	return a
}

// confirmFirst is auth.signup-email.
func (t *trial) confirmFirst() string {
	email, pw := t.door.Address(), t.s.freshPassword().Reveal()
	if t.s.Rules.Get().Open != "on" {
		a := t.ask(t.visitor(), "POST", "sign-up", map[string]string{"email": email, "password": pw, "name": "Canary"})
		t.refused("sign up from outside the open domains", a, http.StatusUnprocessableEntity, "domain_closed")
		return "sign-up is closed to strangers, and refused one"
	}
	t.sweeps(email)
	v := t.visitor()
	t.works("sign up", t.ask(v, "POST", "sign-up", map[string]string{"email": email, "password": pw, "name": "Canary"}), http.StatusAccepted)
	t.refused("sign in before the address is confirmed", t.signIn(v, email, pw), http.StatusUnauthorized, "sign_in_refused")
	token := t.letter(email, "identity.confirm")
	t.refused("confirm in another browser without the password", t.ask(t.visitor(), "POST", "confirm", map[string]string{"token": token}), http.StatusUnprocessableEntity, "password_needed")
	t.works("confirm", t.ask(v, "POST", "confirm", map[string]string{"token": token}), http.StatusOK)
	t.works("sign in once it is confirmed", t.signIn(v, email, pw), http.StatusOK)
	t.refused("use the link again", t.ask(v, "POST", "confirm", map[string]string{"token": token}), http.StatusGone, "link_dead")
	return "an unconfirmed address could not sign in, a confirmed one could"
}

// oneLogin is auth.unique-login: a second account by another spelling.
func (t *trial) oneLogin() string {
	p := t.person()
	if t.err != nil {
		return ""
	}
	if t.s.Rules.Get().Open != "on" {
		return "sign-up is closed to strangers, so no second login can be made at that door"
	}
	variant := strings.ToUpper(p.email)
	t.sweepVariant(variant)
	t.works("sign up with another spelling of a known address", t.ask(t.visitor(), "POST", "sign-up", map[string]string{"email": variant, "password": t.s.freshPassword().Reveal(), "name": ""}), http.StatusAccepted)
	t.letter(p.email, "identity.already-here")
	n, err := t.s.count(t.ctx, countAddress, p.idx)
	if err != nil {
		t.err = err
	}
	t.step("count the people behind both spellings", "1", fmt.Sprint(n), n == 1, false)
	t.works("sign in with the other spelling", t.signIn(t.visitor(), variant, p.password.Reveal()), http.StatusOK)
	return "another spelling of an address led to the account that is there"
}

// sweepVariant removes attempts only: the person is the planted one.
func (t *trial) sweepVariant(email string) { t.sweeps(email) }

// newPasswords tries a password at each door that takes a new one.
func (t *trial) newPasswords(bad, code string) {
	p := t.person()
	if t.err != nil {
		return
	}
	v := t.visitor()
	if t.s.Rules.Get().Open == "on" {
		email := t.door.Address()
		t.refused("sign up with it", t.ask(v, "POST", "sign-up", map[string]string{"email": email, "password": bad, "name": ""}), http.StatusUnprocessableEntity, code)
		t.sweeps(email)
	}
	t.works("sign in", t.signIn(v, p.email, p.password.Reveal()), http.StatusOK)
	t.refused("change the password to it", t.ask(v, "POST", "password", map[string]string{"current": p.password.Reveal(), "new": bad}), http.StatusUnprocessableEntity, code)
	reset := t.link(p.id, ResetLink)
	t.refused("set it through a reset link", t.ask(v, "POST", "recovery/"+reset, map[string]string{"new": bad}), http.StatusUnprocessableEntity, code)
	first := t.link(p.id, OwnerLink)
	t.refused("set it through a first link", t.ask(v, "POST", "invitations/"+first+"/accept", map[string]string{"name": "", "password": bad}), http.StatusUnprocessableEntity, code)
}

func (t *trial) link(person string, kind LinkKind) string {
	if t.err != nil {
		return ""
	}
	token, err := t.s.plantLink(t.ctx, t.control, person, kind)
	t.err = err
	return token
}

// tooShort is auth.min-length.
func (t *trial) tooShort() string {
	n := t.s.Rules.Get().Min
	t.newPasswords(letters(n-1), "password_too_short")
	if t.err != nil {
		return ""
	}
	p := t.person()
	token := t.link(p.id, ResetLink)
	t.works("set one of the minimum length", t.ask(t.visitor(), "POST", "recovery/"+token, map[string]string{"new": letters(n)}), http.StatusOK)
	return fmt.Sprintf("a password of %d characters was refused at every door, one of %d was taken", n-1, n)
}

// listed is auth.banned.
func (t *trial) listed() string {
	bad := "P4ssw0rd"
	for len(bad) < t.s.Rules.Get().Min {
		bad += "P4ssw0rd"
	}
	t.newPasswords(bad+"2024", "password_banned")
	if t.err == nil && len(bad)+4 <= 64 {
		t.newPasswords(strings.ToUpper(bad)+"!", "password_banned")
	}
	return "a listed password with digits for letters and at its end was refused at every door"
}

// needsCurrent is auth.change-needs-current.
func (t *trial) needsCurrent() string {
	p := t.person()
	v := t.visitor()
	fresh := t.s.freshPassword().Reveal()
	t.works("sign in", t.signIn(v, p.email, p.password.Reveal()), http.StatusOK)
	for _, c := range []struct{ act, current string }{{"change without the present password", ""}, {"change with a wrong one", letters(20)}, {"change with the new one as the present", fresh}} {
		t.refused(c.act, t.ask(v, "POST", "password", map[string]string{"current": c.current, "new": fresh}), http.StatusForbidden, "current_password_wrong")
	}
	t.refused("change without a session", t.ask(t.visitor(), "POST", "password", map[string]string{"current": p.password.Reveal(), "new": fresh}), http.StatusUnauthorized, "")
	t.works("change with the right one", t.ask(v, "POST", "password", map[string]string{"current": p.password.Reveal(), "new": fresh}), http.StatusOK)
	t.refused("sign in with the former password", t.signIn(t.visitor(), p.email, p.password.Reveal()), http.StatusUnauthorized, "sign_in_refused")
	return "no password was changed without the present one"
}

// sameAnswer is auth.reset-link.
func (t *trial) sameAnswer() string {
	p := t.person()
	a := t.ask(t.visitor(), "POST", "recovery", map[string]string{"email": p.email})
	b := t.ask(t.visitor(), "POST", "recovery", map[string]string{"email": t.door.Address()})
	t.works("ask for a link", a, http.StatusAccepted)
	t.alike("compare the answer for a known with that for an unknown address", a, b)
	token := t.letter(p.email, "identity.reset")
	want := t.s.Rules.Get().ResetBits
	t.step("measure the link", fmt.Sprintf("at least %d bits", want), fmt.Sprintf("%d bits", len(token)*6/8*8), len(token)*6 >= want, false)
	n, err := t.s.count(t.ctx, countToken, token)
	if err != nil {
		t.err = err
	}
	t.step("look for the link in the table", "not there", fmt.Sprintf("%d rows", n), n == 0, false)
	return "the answer is one for all, the link came by mail alone"
}

// lifetime is auth.reset-link-lifetime.
func (t *trial) lifetime() string {
	p := t.person()
	if t.err != nil {
		return ""
	}
	ttl := t.s.Rules.Get().ResetTTL
	v := t.visitor()
	t.ask(v, "POST", "recovery", map[string]string{"email": p.email})
	late := t.letter(p.email, "identity.reset")
	t.age(p.id, ttl+time.Second)
	t.refused("open the link "+spell(ttl)+" and one second after it was sent", t.ask(v, "POST", "recovery/"+late, map[string]string{"new": t.s.freshPassword().Reveal()}), http.StatusGone, "link_dead")
	t.ask(v, "POST", "recovery", map[string]string{"email": p.email})
	fine := t.letter(p.email, "identity.reset")
	t.age(p.id, ttl-time.Minute)
	t.works("open another a minute before its end", t.ask(v, "POST", "recovery/"+fine, map[string]string{"new": t.s.freshPassword().Reveal()}), http.StatusOK)
	return "a link of " + spell(ttl) + " and one second was refused, one a minute younger worked"
}

func (t *trial) age(person string, by time.Duration) {
	if t.err == nil {
		t.err = t.s.backDate(t.ctx, t.control, person, by)
	}
}

// once is auth.reset-sets-new.
func (t *trial) once() string {
	p := t.person()
	if t.err != nil {
		return ""
	}
	v, old := t.visitor(), t.visitor()
	fresh := t.s.freshPassword().Reveal()
	t.works("sign in", t.signIn(old, p.email, p.password.Reveal()), http.StatusOK)
	t.ask(v, "POST", "recovery", map[string]string{"email": p.email})
	token := t.letter(p.email, "identity.reset")
	other := t.link(p.id, OwnerLink)
	if t.err == nil { // as a mail scanner does
		if _, err := v.Do(t.ctx, http.MethodGet, "/-/recover/"+token, ""); err != nil {
			t.err = err
		}
	}
	t.works("use the link after it was looked at", t.ask(v, "POST", "recovery/"+token, map[string]string{"new": fresh}), http.StatusOK)
	t.refused("use it again", t.ask(v, "POST", "recovery/"+token, map[string]string{"new": t.s.freshPassword().Reveal()}), http.StatusGone, "link_dead")
	if ends := t.s.Rules.Get().ResetEnds; slices.Contains(ends, endsSessions) {
		t.refused("go on with the former session", t.ask(old, "GET", "session", nil), http.StatusUnauthorized, "")
	}
	if slices.Contains(t.s.Rules.Get().ResetEnds, endsLinks) {
		t.refused("use another link of the account", t.ask(v, "POST", "invitations/"+other+"/accept", map[string]string{"name": "", "password": t.s.freshPassword().Reveal()}), http.StatusGone, "link_dead")
	}
	t.refused("sign in with the former password", t.signIn(v, p.email, p.password.Reveal()), http.StatusUnauthorized, "sign_in_refused")
	t.works("sign in with the new one", t.signIn(v, p.email, fresh), http.StatusOK)
	return "the link set one new password, once, and ended what was open"
}

// compares is auth.compare at the door: near misses of the right password.
func (t *trial) compares() string {
	p := t.person()
	if t.err != nil {
		return ""
	}
	pw := p.password.Reveal()
	near := []struct{ act, text string }{{"one character less", pw[:len(pw)-1]}, {"one character more", pw + "x"}, {"another case", swapCase(pw)}}
	for _, n := range near {
		t.refused("sign in with "+n.act, t.signIn(t.visitor(), p.email, n.text), http.StatusUnauthorized, "sign_in_refused")
	}
	t.works("sign in with the password itself", t.signIn(t.visitor(), p.email, pw), http.StatusOK)
	return "near misses of a password were refused, the password was not"
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, s) + map[bool]string{true: "", false: "x"}[strings.ToLower(s) != strings.ToUpper(s)]
}

// clear is auth.no-cleartext: a password that went through the doors is nowhere.
func (t *trial) clear() string {
	if t.s.Raw == nil {
		t.err = fault.Newf(fault.Unavailable, "no_raw_search", "There is no search through the stored bytes.")
		return ""
	}
	p := t.person()
	v := t.visitor()
	fresh := t.s.freshPassword().Reveal()
	email := t.door.Address()
	t.works("sign in", t.signIn(v, p.email, p.password.Reveal()), http.StatusOK)
	t.works("change the password", t.ask(v, "POST", "password", map[string]string{"current": p.password.Reveal(), "new": fresh}), http.StatusOK)
	t.refused("type it as the address, as people do", t.signIn(t.visitor(), fresh, fresh), http.StatusUnauthorized, "")
	if t.s.Rules.Get().Open == "on" {
		t.sweeps(email)
		t.works("sign up with it", t.ask(t.visitor(), "POST", "sign-up", map[string]string{"email": email, "password": fresh, "name": ""}), http.StatusAccepted)
	}
	if t.err != nil {
		return ""
	}
	for _, needle := range spellings(fresh) {
		hits, places, err := t.s.Raw(t.ctx, needle)
		if err != nil {
			t.err = err
			return ""
		}
		t.step("search everything that is stored", "nowhere", fmt.Sprintf("%d hits %s", hits, strings.Join(places, ", ")), hits == 0, false)
	}
	hits, err := t.s.openedHits(t.ctx, p.id, email, fresh)
	if err != nil {
		t.err = err
	}
	t.step("open what is sealed about the account and search that", "nowhere", fmt.Sprintf("%d hits", hits), hits == 0, false)
	return "a password that went through sign-in, change and sign-up is nowhere to be found"
}
