package identity_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

const (
	aDay    = 24 * time.Hour
	who     = "access.mfa-by-technology/who"
	grace   = "access.mfa-by-technology/grace"
	minimum = "auth.min-length/min"
	factorM = "auth.min-length/min_with_factor"
	best    = "auth.best-practice/"
)

// foresee is the forecast of the shipped rules with changes.
func (w *world) foresee(over clause.Values) []clause.Effect {
	w.t.Helper()
	v := maps.Clone(shipped())
	maps.Copy(v, over)
	es, err := w.svc.Forecast(w.t.Context(), v)
	if err != nil {
		w.t.Fatal(err)
	}
	return es
}

// about is the count of the lines that hold these words.
func about(es []clause.Effect, words ...string) (n int64) {
	for _, e := range es {
		if !slices.ContainsFunc(words, func(x string) bool { return !strings.Contains(e.Says, x) }) {
			n += e.Count
		}
	}
	return n
}

// soul is somebody of a random population, with what the test knows of them.
type soul struct {
	email  string
	staff  bool
	role   string
	held   int // the length their password was held to
	phone  *phone
	opened []browser // with a session each
	trusts []browser // remembered
	links  []secret.Text
	tokens []secret.Text
}

// populace is a random population that came together under some rules.
type populace struct {
	*world
	rnd   *rand.Rand
	was   clause.Values
	souls []*soul
	tried map[string]int // how much each kind of line has counted
}

func (p *populace) pass() {
	p.drain() // what is under way when the clock jumps is taken for lost and done again
	p.kit.Clock.Advance(time.Duration(p.rnd.IntN(50))*time.Hour + 7*time.Minute)
}

func pick[T any](r *rand.Rand, xs ...T) T { return xs[r.IntN(len(xs))] }

func (p *populace) grow(n int) {
	p.t.Helper()
	for i := range n {
		p.pass()
		held := pick(p.rnd, 8, 10, 12, 15)
		under := maps.Clone(p.was)
		under[minimum], under[factorM] = int64(held), int64(8)
		p.set(under)
		name := fmt.Sprintf("soul%d", i)
		x := &soul{email: mailbox(name), held: held, role: pick(p.rnd, "admin", "admin", "member", "owner", "engineer")}
		x.staff = x.role == "owner" || x.role == "engineer"
		if x.staff {
			a, err := p.svc.AddStaff(p.t.Context(), operator, identity.AddStaff{Email: x.email, Name: name, Handle: name, Roles: []string{x.role}})
			if err != nil {
				p.t.Fatal(err)
			}
			p.browser().api(200, "POST", "invitations/"+tokenOf(p.t, a.URL.Reveal())+"/accept", map[string]any{"name": "", "password": good})
		} else {
			id, _ := p.customer(name)
			p.exec(`UPDATE identity_member SET roles = $2 WHERE person = $1`, id, x.role)
		}
		p.set(p.was)
		p.souls = append(p.souls, x)
		p.lives(x)
	}
	for _, x := range p.souls {
		if p.rnd.IntN(2) == 0 {
			p.browser().api(202, "POST", "recovery", map[string]any{"email": x.email})
			x.links = append(x.links, secret.NewText(p.resetToken(x.email)))
			p.drain()
			p.kit.Clock.Advance(83 * time.Minute)
		}
	}
}

// lives has somebody sign in a few times, set up a factor, make a token.
func (p *populace) lives(x *soul) {
	p.t.Helper()
	for range p.rnd.IntN(5) {
		b := p.browser()
		in := p.enter(b, x, p.rnd.IntN(2) == 0)
		if x.phone == nil && p.rnd.IntN(2) == 0 {
			x.phone = b.enrol()
			in = "done"
		}
		x.opened = append(x.opened, b)
		if in == "done" && p.rnd.IntN(2) == 0 {
			token, _ := b.issued(wish(map[string]any{"days": pick(p.rnd, 1, 9, 40, 200)}))
			x.tokens = append(x.tokens, secret.NewText(token))
		}
		p.pass()
	}
}

// enter signs in and says what came of it at last.
func (p *populace) enter(b browser, x *soul, remember bool) string {
	p.t.Helper()
	in := b.signIn(x.email, good)
	if in["next"] == "factor" {
		in = b.api(200, "POST", "sign-in/factor", map[string]any{"flow": in["flow"], "kind": "totp", "code": x.phone.code(), "remember": remember})
		if remember && !x.staff {
			x.trusts = append(x.trusts, b)
		}
	}
	return in["next"].(string)
}

// tokenDies reports a token whose time is over.
func (p *populace) tokenDies(token secret.Text) bool {
	p.t.Helper()
	_, err := p.svc.LookupToken(p.t.Context(), actor.Actor{Kind: actor.Stranger, ID: "192.0.2.0/24", Via: "https"}, token, netip.MustParseAddr("192.0.2.1"))
	return errors.Is(err, fault.Unauthenticated)
}

func (p *populace) linkDies(token secret.Text) bool {
	p.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		_, err := p.svc.PasswordLink(p.t.Context(), actor.Actor{Kind: actor.Stranger, ID: "192.0.2.0/24", Via: "https"}, identity.ResetLink, token)
		switch {
		case err == nil, errors.Is(err, fault.Gone):
			return err != nil
		case time.Now().After(end): // a slow machine, which is asked again
			p.t.Fatal(err)
		}
	}
}

// What a forecast counts is what comes about, whoever is there and whatever changes.
func TestForecastIsFact(t *testing.T) {
	tried := map[string]int{}
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		for seed := range uint64(8) {
			if kit.DB.Engine() == "postgres" && seed > 1 {
				return
			}
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				k := kit
				if seed > 0 {
					k = ledgertest.With(t, kit.DB.Engine(), nil, jobs.Schema(), identity.Schema())
				}
				foresees(t, &populace{world: with(t, k), rnd: rand.New(rand.NewPCG(seed, 7)), tried: tried})
			})
		}
	}, jobs.Schema(), identity.Schema())
	for _, what := range []string{"graces", "passwords", "sessions", "links", "tokens", "people without a factor", "remembered browsers", "terms"} {
		if tried[what] == 0 {
			t.Errorf("no population had anything for: %s", what)
		}
	}
}

func foresees(t *testing.T, p *populace) {
	r := p.rnd
	p.was = clause.Values{who: pick(r, []string{"staff"}, []string{"admin", "staff"}), grace: pick(r, 0, 14*aDay), best + "staff_idle": 8 * aDay, best + "staff_absolute": 16 * aDay,
		best + "customer_idle": 12 * aDay, best + "token_default": aDay, best + "remember_device": pick(r, 0, 3*aDay, 30*aDay)}
	p.set(p.was)
	p.grow(9)
	next := maps.Clone(p.was)
	maps.Copy(next, clause.Values{who: pick(r, []string{"staff"}, []string{"admin", "staff"}, []string{"admin", "member", "staff"}), grace: pick(r, 0, 2*aDay, 9*aDay),
		minimum: pick(r, int64(12), 15), factorM: pick(r, int64(9), 12), best + "staff_idle": pick(r, 30*time.Hour, 8*aDay), best + "staff_absolute": pick(r, 9*aDay, 16*aDay),
		best + "customer_idle": pick(r, 40*time.Hour, 12*aDay), best + "customer_absolute": pick(r, 13*aDay, 30*aDay), best + "token_max": pick(r, 3*aDay, 30*aDay, 365*aDay),
		best + "remember_device": pick(r, 0, 2*aDay, 20*aDay), "use.terms/version": pick(r, int64(1), 2), "auth.reset-link-lifetime/ttl": pick(r, 2*time.Hour, aDay)})
	got := p.foresee(next)
	again := p.foresee(next)
	if fmt.Sprint(got) != fmt.Sprint(again) {
		t.Errorf("the forecast changed something: %v, then %v", got, again)
	}
	is := func(what string, n int, words ...string) {
		t.Helper()
		p.tried[what] += n
		if c := about(got, words...); c != int64(n) {
			t.Errorf("%s: forecast %d, fact %d; %+v\nfrom %v\nto %v", what, c, n, got, p.was, next)
		}
	}

	changed := func(keys ...string) bool {
		before, then := maps.Clone(shipped()), maps.Clone(shipped())
		maps.Copy(before, p.was)
		maps.Copy(then, next)
		return slices.ContainsFunc(keys, func(k string) bool { return fmt.Sprint(before[k]) != fmt.Sprint(then[k]) })
	}
	adopted := p.kit.Clock.Now()
	p.set(next)
	if err := p.svc.DateGraces(t.Context()); err != nil {
		t.Fatal(err)
	}
	if changed(who, grace) {
		given := p.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_grace WHERE began = $1`, adopted.UnixMicro())
		is("graces", atoi(t, given), "given", "only once")
	}
	p.whatEnds(next, is)
	if changed(minimum, factorM) {
		is("passwords", p.short(next), "held to less")
	}
	p.whoMust(next, changed, is)
}

// whatEnds looks for what works under the former rules and does not under the new ones.
func (p *populace) whatEnds(next clause.Values, is func(string, int, ...string)) {
	var sessions []string
	var tokens, links []secret.Text
	for _, x := range p.souls {
		for _, b := range x.opened {
			if p.withSession(b.session()) == 401 {
				sessions = append(sessions, b.session())
			}
		}
		for _, k := range x.tokens {
			if p.tokenDies(k) {
				tokens = append(tokens, k)
			}
		}
		for _, l := range x.links {
			if p.linkDies(l) {
				links = append(links, l)
			}
		}
	}
	p.set(p.was)
	alive := func(tokens []secret.Text, dies func(secret.Text) bool) (n int) {
		for _, k := range tokens {
			if !dies(k) {
				n++
			}
		}
		return n
	}
	ended := 0
	for _, s := range sessions {
		if p.withSession(s) != 401 {
			ended++
		}
	}
	over, stopped := alive(tokens, p.tokenDies), alive(links, p.linkDies)
	before, err := p.svc.AllTokens(p.t.Context(), operator)
	if err != nil {
		p.t.Fatal(err)
	}
	p.set(next)
	is("sessions", ended, "open session", "at once")
	is("links", stopped, "reset link")
	after, err := p.svc.AllTokens(p.t.Context(), operator)
	if err != nil {
		p.t.Fatal(err)
	}
	ends := map[string]time.Time{}
	for _, k := range after {
		ends[k.ID] = k.Expires
	}
	sooner := 0
	for _, k := range before {
		if ends[k.ID].Before(k.Expires) {
			sooner++
		}
	}
	is("tokens", sooner, "token", "maximum")
	is("tokens at once", sooner, "token", fmt.Sprintf("and %d of them at once", over))
}

// short counts passwords that were held to less than is asked of their owners now.
func (p *populace) short(next clause.Values) (n int) {
	for _, x := range p.souls {
		demanded := x.staff || slices.Contains(next[who].([]string), x.role) || x.phone != nil
		need := next[minimum].(int64)
		if demanded && (x.staff || next[best+"remember_device"] == time.Duration(0)) {
			need = next[factorM].(int64)
		}
		if int64(x.held) < need {
			n++
		}
	}
	return n
}

// whoMust has everybody sign in, and sees who must set up a factor or accept terms.
func (p *populace) whoMust(next clause.Values, changed func(...string) bool, is func(string, int, ...string)) {
	lack, owners, asked, forgotten := 0, 0, 0, 0
	for _, x := range p.souls {
		for _, b := range x.trusts {
			was := b.signIn(x.email, good)["next"]
			p.set(p.was)
			if was == "factor" && b.signIn(x.email, good)["next"] == "done" {
				forgotten++
			}
			p.set(next)
		}
		b := p.browser()
		in := p.enter(b, x, false)
		none := in == "enrol"
		if none {
			b.enrol()
		}
		if b.ask("GET", "session", nil).Status == 403 {
			asked++
			b.api(200, "POST", "terms", map[string]any{"version": next["use.terms/version"]})
		}
		if fs := b.api(200, "GET", "factors", nil); fs["needed"] == true && len(fs["factors"].([]any)) == 0 {
			none = true
		}
		if none {
			lack++
			if x.role == "owner" {
				owners++
			}
		}
	}
	if changed(who, grace) {
		is("people without a factor", lack, "second factor that will be demanded", fmt.Sprintf(", %d of them owners", owners))
	}
	if changed(best + "remember_device") {
		is("remembered browsers", forgotten, "remembered browser")
	}
	is("terms", asked, "accept version")
}

func atoi(t *testing.T, s string) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(s, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// People who came with hashes of another system: how many the deadline or the formats shut
// out is how many cannot sign in afterwards.
func TestForecastOfImportedIsFact(t *testing.T) { // breaks: auth.hash
	for _, next := range []clause.Values{
		{"auth.hash/legacy_deadline": 40 * aDay}, {"auth.hash/legacy_deadline": time.Duration(0)}, {"auth.hash/import": []string{"sha-crypt"}},
		{"auth.hash/import": []string{"sha256-salted"}, "auth.hash/legacy_deadline": 60 * aDay},
	} {
		ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
			w := with(t, kit)
			im := w.begin(identity.NewImport{Pair: pairOf(old(1, "old0", good, "pepper0"), good)})
			came := map[string]string{}
			for i := range 9 {
				r, password := old(i+1, fmt.Sprintf("old%d", i), good, fmt.Sprintf("pepper%d", i)), good
				if i%3 == 1 {
					r.Hash, r.Salt, password = secret.NewText(openssl6), secret.Text{}, "correct horse battery"
				}
				if got := w.rows(im, false, r); !strings.Contains(got, "made") {
					t.Fatal(got)
				}
				came[r.Email] = password
				w.kit.Clock.Advance(11 * aDay)
			}
			got := w.foresee(next)
			w.set(next)
			shut := int64(0)
			for email, password := range came {
				if w.browser().ask("POST", "sign-in", map[string]any{"email": email, "password": password}).Status != 200 {
					shut++
				}
			}
			if n := about(got, "pass their deadline"); n != shut || shut == 0 || int(shut) == len(came) && next["auth.hash/legacy_deadline"] != time.Duration(0) {
				t.Errorf("%v: forecast %d, fact %d", next, n, shut)
			}
			if again := w.foresee(nil); about(again, "open their accounts again") != shut {
				t.Errorf("%v and back: %+v, fact %d", next, again, shut)
			}
		}, jobs.Schema(), identity.Schema())
	}
}

// Other lines of a forecast, each against what comes about.
func TestForecastLines(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		_, ana := w.customer("ana")
		b := w.browser()
		b.signIn(ana, good)
		_, sam, phone := w.staff("sam", "owner")
		hears := func(n int64, over clause.Values, words ...string) {
			t.Helper()
			if got := w.foresee(over); about(got, words...) != n {
				t.Errorf("%v: %+v, want %d", over, got, n)
			}
		}

		// a proof grows old
		w.kit.Clock.Advance(10 * time.Minute)
		hears(2, clause.Values{best + "step_up_max_age": 5 * time.Minute}, "asked for a proof")
		sam.api(201, "POST", "tokens", wish(nil))
		w.set(clause.Values{best + "step_up_max_age": 5 * time.Minute})
		sam.api(403, "POST", "tokens", wish(map[string]any{"name": "again"}))
		b.api(403, "POST", "tokens", wish(nil))
		w.set(nil)

		// an invitation, a sign-up and its confirmation
		w.browser().api(202, "POST", "sign-up", map[string]any{"email": mailbox("new"), "password": good, "name": "New"})
		confirm := tokenOf(t, w.letterOf(mailbox("new"), "confirm").Text)
		w.drain()
		w.kit.Clock.Advance(90 * time.Minute)
		hears(1, clause.Values{"auth.signup-email/confirm_ttl": time.Hour}, "confirms an address")
		w.set(clause.Values{"auth.signup-email/confirm_ttl": time.Hour})
		w.browser().api(410, "POST", "confirm", map[string]any{"token": confirm, "password": good})
		w.set(nil)
		w.browser().api(200, "POST", "confirm", map[string]any{"token": confirm, "password": good})

		// another way to hash: renewed at the next sign-in of each
		next := clause.Values{"auth.hash/alg": "pbkdf2-hmac-sha256"}
		hears(3, next, "another way")
		w.set(next)
		for _, email := range []string{ana, mailbox("new")} {
			w.browser().signIn(email, good)
		}
		w.browser().signInWith(mailbox("sam"), good, phone)
		if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_password WHERE scheme = 'pbkdf2-hmac-sha256'`); n != "3" {
			t.Errorf("%s hashes were renewed", n)
		}
		if got := w.foresee(next); len(got) != 0 {
			t.Errorf("what holds already: %+v", got)
		}

		// another list: every password was held to the former one, until it is changed
		words := maps.Clone(next)
		words["auth.banned/words"] = []string{"carousel"}
		hears(3, words, "against another list")
		w.set(words)
		if n := w.one(`SELECT CAST(COUNT(DISTINCT list) AS TEXT) FROM identity_password`); n != "1" {
			t.Errorf("%s lists", n)
		}

		// what binds nothing that is there says so
		later := maps.Clone(words)
		later[best+"token_default"] = 2 * aDay
		if got := w.foresee(later); len(got) != 1 || got[0].Count != 0 || got[0].Params[0] != best+"token_default" {
			t.Errorf("%+v", got)
		}
		// a value that no line looks at is in none
		later = maps.Clone(words)
		later["access.review/undecided"] = "keep"
		if got := w.foresee(later); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	}, jobs.Schema(), identity.Schema())
}

// A forecast names nobody, leaves those out who play an attack, and is an error where it
// cannot be made: never "nothing happens".
func TestForecastIsDiscreet(t *testing.T) {
	w := open(t)
	w.staff("sam", "owner")
	id, ana := w.customer("ana")
	w.browser().signIn(ana, good)
	next := clause.Values{who: []string{"admin", "staff"}, minimum: int64(20), best + "customer_idle": time.Hour}
	text := fmt.Sprint(w.foresee(next))
	for _, s := range []string{id, "ana", "ANA", "sam", "canary.invalid"} {
		if strings.Contains(text, s) {
			t.Errorf("%q is in %s", s, text)
		}
	}
	if about(w.foresee(next), "second factor that will be demanded") != 1 {
		t.Errorf("%s", text)
	}
	w.exec(`UPDATE identity_team SET kind = 'canary' WHERE id = (SELECT team FROM identity_member WHERE person = $1)`, id)
	if got := w.foresee(next); about(got, "second factor that will be demanded") != 0 || about(got, "open session") != 0 {
		t.Errorf("a canary counts: %+v", got)
	}
	v := maps.Clone(shipped())
	v[minimum] = int64(4)
	if _, err := w.svc.Forecast(t.Context(), v); err == nil {
		t.Error("rules that do not hold have a forecast")
	}
	w.exec(`ALTER TABLE identity_grace RENAME TO identity_gone`)
	maps.Copy(v, shipped())
	maps.Copy(v, next)
	if got, err := w.svc.Forecast(t.Context(), v); err == nil {
		t.Errorf("a table is away and the forecast says %+v", got)
	}
}

// A grace that an exception gave ends with it, for the sessions it let in, too; and the
// control tries what comes after a grace while one holds.
func TestGraceEndsWithItsException(t *testing.T) { // breaks: access.mfa-by-technology
	w := open(t)
	a, err := w.svc.AddStaff(t.Context(), operator, identity.AddStaff{Email: mailbox("eve"), Handle: "eve", Roles: []string{"auditor"}})
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.api(200, "POST", "invitations/"+tokenOf(t, a.URL.Reveal())+"/accept", map[string]any{"name": "", "password": good})
	w.set(clause.Values{grace: 14 * aDay})
	if in := b.signIn(mailbox("eve"), good); in["next"] != "done" {
		t.Fatalf("within the grace: %v", in)
	}
	b.api(200, "GET", "people", nil)
	w.wants("identity.second-factor", clause.Pass)
	w.wants("identity.looks", clause.Pass)
	w.wants("identity.one-factor", clause.Pass)
	if n := about(w.foresee(nil), "begun with a password alone"); n != 1 {
		t.Errorf("the forecast of its end counts %d sessions", n)
	}
	w.set(nil)
	b.api(401, "GET", "people", nil)
	if in := b.signIn(mailbox("eve"), good); in["next"] != "enrol" {
		t.Errorf("after its end: %v", in)
	}
}

// A grace begins for everybody when its policy takes hold: whoever is signed in goes on, and
// does not wait for a round of housekeeping.
func TestGraceBeginsWithItsPolicy(t *testing.T) {
	w := open(t)
	_, ana := w.customer("ana")
	b := w.browser()
	b.signIn(ana, good)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.svc.Run(ctx) }()
	next := clause.Values{who: []string{"admin", "staff"}, grace: 7 * aDay}
	if got := w.foresee(next); about(got, "are given", "7 days")+about(got, "is given", "7 days") != 1 || about(got, "begun with a password alone") != 0 {
		t.Errorf("%+v", got)
	}
	w.set(next)
	for end := time.Now().Add(15 * time.Second); b.ask("GET", "session", nil).Status != 200; time.Sleep(50 * time.Millisecond) { // housekeeping comes every 20 s
		if time.Now().After(end) {
			t.Error("who was signed in is shut out though there is a grace")
			break
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
