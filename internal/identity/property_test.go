package identity_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/identity/totp"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// somebody is a person as the model knows them.
type somebody struct {
	email    string
	password string
	staff    bool
	phone    *phone
}

// needs is what the person must show under the model's policy.
func (p *somebody) needs(admins bool) int {
	if p.staff || admins || p.phone != nil {
		return 2
	}
	return 1
}

// seat is a browser and what was truly shown in it.
type seat struct {
	b      browser
	flow   string    // the sign-in that waits here
	of     *somebody // whose it is
	until  time.Time
	who    *somebody // whose right password was last shown, or nil
	shown  int       // factors, with it
	needed int       // of them when the session began
}

// Whatever is sent in whatever order, by browsers that take each other's steps: a session
// stands for a right password and, of whoever must show two, a fresh code, both shown in
// this browser; and it never says that more was shown than was.
//
// breaks: access.mfa-by-technology
func TestRandomSignIns(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		m := &model{t: t, w: with(t, kit), rng: rand.New(rand.NewPCG(seed, 1)), spent: map[*phone]int64{}}
		for _, name := range []string{"ana", "ben"} {
			_, email := m.w.customer(name)
			m.people = append(m.people, &somebody{email: email, password: good})
		}
		_, _, p := m.w.staff("sam", "engineer")
		m.people = append(m.people, &somebody{email: mailbox("sam"), password: good, staff: true, phone: p})
		m.spent[p] = p.step
		for range 3 {
			m.seats = append(m.seats, &seat{b: m.w.browser()})
		}
		for step := range 250 {
			what := m.act()
			for i, s := range m.seats {
				if why := m.wrong(s); why != "" {
					t.Fatalf("seed %d, step %d, %s: browser %d: %s", seed, step, what, i, why)
				}
			}
		}
		if m.full < 20 || m.two < 5 {
			t.Errorf("seed %d: only %d sessions were seen, %d with two factors", seed, m.full, m.two)
		}
	}, jobs.Schema(), identity.Schema())
}

type model struct {
	t         *testing.T
	w         *world
	rng       *rand.Rand
	people    []*somebody
	seats     []*seat
	admins    bool             // the policy asks two factors of customers' admins
	spent     map[*phone]int64 // the step of the newest code that was taken
	full, two int
}

// act does one thing and says what.
func (m *model) act() string {
	s, p := pick(m.rng, m.seats...), pick(m.rng, m.people...)
	switch n := m.rng.IntN(16); {
	case n < 4:
		return m.signIn(s, p, p.password)
	case n == 4:
		return m.signIn(s, p, pick(m.rng, "wrong", "", p.password+"x", strings.ToUpper(p.password)))
	case n < 9:
		return m.showCode(s, s, s.of)
	case n == 9: // the step of another browser
		return m.showCode(s, pick(m.rng, m.seats...), p)
	case n == 10:
		d := time.Duration(m.rng.IntN(22)) * time.Minute
		m.w.kit.Clock.Advance(d)
		return "waited " + d.String()
	case n == 11:
		m.admins = !m.admins
		who := []string{"staff"}
		if m.admins {
			who = []string{"admin", "staff"}
		}
		m.w.set(clause.Values{"access.mfa-by-technology/who": who})
		return fmt.Sprint("two factors of admins: ", m.admins)
	case n == 12:
		s.b.ask("POST", "sign-out", nil)
		s.who = nil
		return "sign-out"
	case n == 13:
		return m.enrol(s)
	case n == 14:
		return m.stepUp(s)
	default:
		return m.reset(p)
	}
}

// signIn sends a password, which may be right.
func (m *model) signIn(s *seat, p *somebody, password string) string {
	a := s.b.ask("POST", "sign-in", obj{"email": p.email, "password": password})
	if a.Status != 200 {
		return fmt.Sprintf("sign-in refused with %d", a.Status)
	}
	next := field(a.Body, "next")
	if password != p.password {
		m.t.Fatalf("a wrong password led to %s", next)
	}
	switch next {
	case identity.NextFactor:
		s.flow, s.of, s.until = field(a.Body, "flow"), p, m.w.kit.Clock.Now().Add(10*time.Minute)
	default: // done or enrol: the session of this browser is another's from now on
		s.who, s.shown, s.needed = p, 1, p.needs(m.admins)
	}
	return "sign-in led to " + next
}

// showCode sends a code of a person for the flow of a browser, from a browser: mostly one
// that is right, sometimes one that was used or is made up.
func (m *model) showCode(from, of *seat, p *somebody) string {
	if of.flow == "" || p == nil || p.phone == nil {
		return "no step to take"
	}
	code, right := "", false
	switch m.rng.IntN(4) {
	case 0:
		code = pick(m.rng, "000000", "", p.phone.at(p.phone.step-2))
	case 1:
		code, right = p.phone.at(p.phone.step), m.spent[p.phone] < p.phone.step // used, unless the step that brought it was out of order
	default:
		code, right = p.phone.code(), true
	}
	a := from.b.ask("POST", "sign-in/factor", obj{"flow": of.flow, "kind": "totp", "code": code})
	if a.Status != 200 {
		return fmt.Sprintf("a code was refused with %d", a.Status)
	}
	if !right || from != of || of.of != p || !m.w.kit.Clock.Now().Before(of.until) {
		m.t.Fatalf("a step was taken: code right %v, own browser %v, own flow %v, in time %v", right, from == of, of.of == p, m.w.kit.Clock.Now().Before(of.until))
	}
	m.spent[p.phone] = p.phone.step
	from.who, from.shown, from.needed, from.flow = p, 2, p.needs(m.admins), ""
	return "a code was taken"
}

// enrol sets up an app where the browser may.
func (m *model) enrol(s *seat) string {
	if s.who == nil || s.who.phone != nil {
		return "nobody to enrol"
	}
	a := s.b.ask("POST", "factors/totp", nil)
	if a.Status != 200 {
		return fmt.Sprintf("enrol: %d", a.Status)
	}
	seed, err := totp.Parse(field(a.Body, "uri"))
	if err != nil {
		m.t.Fatal(err)
	}
	p := &phone{w: m.w, id: field(a.Body, "id"), seed: seed}
	if c := s.b.ask("POST", "factors/totp/confirm", obj{"id": p.id, "code": p.code(), "name": ""}); c.Status != 200 {
		return fmt.Sprintf("confirm: %d", c.Status)
	}
	s.who.phone, s.shown, s.needed = p, 2, 2
	m.spent[p] = p.step
	return "enrolled"
}

// stepUp shows a code, or the password, within a session.
func (m *model) stepUp(s *seat) string {
	if s.who == nil {
		return "nobody to step up"
	}
	in := obj{"kind": "password", "code": pick(m.rng, s.who.password, "wrong")}
	two := false
	if s.who.phone != nil && m.rng.IntN(3) > 0 {
		in, two = obj{"kind": "totp", "code": s.who.phone.code()}, true
	}
	a := s.b.ask("POST", "step-up", in)
	if a.Status == 200 && two {
		s.shown = 2
		m.spent[s.who.phone] = s.who.phone.step
	}
	return fmt.Sprintf("step-up with %v: %d", in["kind"], a.Status)
}

// reset sets a new password by mail: with a factor it waits, and never signs in.
func (m *model) reset(p *somebody) string {
	b := m.w.browser()
	m.w.kit.Clock.Advance(time.Hour) // three letters an hour
	b.api(202, "POST", "recovery", obj{"email": p.email})
	token := m.w.resetToken(p.email)
	fresh := fmt.Sprint("plum vestige carousel ", m.rng.IntN(1_000_000))
	a := b.ask("POST", "recovery/"+token, obj{"new": fresh})
	if a.Status != 200 {
		return fmt.Sprintf("reset: %d", a.Status)
	}
	if next := field(a.Body, "next"); (next == identity.NextFactor) != (p.phone != nil) {
		m.t.Fatalf("a reset led to %s, with an app: %v", next, p.phone != nil)
	}
	b.api(401, "GET", "session", nil)
	if p.phone == nil {
		p.password = fresh
		for _, s := range m.seats {
			if s.who == p {
				s.who = nil
			}
		}
		return "reset"
	}
	return "reset that waits for a factor"
}

// wrong says what is wrong with what a browser may do, "" for nothing.
func (m *model) wrong(s *seat) string {
	a := s.b.ask("GET", "session", nil)
	if a.Status != 200 {
		return "" // none, ended, or it may only enrol
	}
	m.full++
	if s.who == nil {
		return "a session, and nothing was shown here: " + a.Body
	}
	if !strings.Contains(a.Body, `"`+s.who.email+`"`) {
		return "the session is not of " + s.who.email + ": " + a.Body
	}
	if s.shown < s.needed {
		return fmt.Sprintf("%d factors were shown of %d that were needed", s.shown, s.needed)
	}
	if m.admins && s.shown < 2 {
		return "the policy asks for two factors, and one was shown"
	}
	if strings.Contains(a.Body, `"acr":2`) {
		m.two++
		if s.shown < 2 {
			return "the session says two factors, and one was shown"
		}
	}
	return ""
}

// field reads one text of a JSON answer.
func field(body, name string) string {
	_, rest, _ := strings.Cut(body, `"`+name+`":"`)
	v, _, _ := strings.Cut(rest, `"`)
	return strings.NewReplacer(`\u0026`, "&", `\/`, "/").Replace(v)
}

// Who asks for a second factor only ever adds: with any set of those who ask, one more
// never lets somebody in who was held before.
//
// breaks: access.mfa-by-technology
func TestMoreSourcesNeverLoosen(t *testing.T) {
	const policy, team, own, staff = 1, 2, 4, 8
	for _, remembered := range []bool{false, true} {
		held := map[int]bool{}
		for set := range 16 {
			w := open(t)
			over := clause.Values{}
			if remembered {
				over["auth.best-practice/remember_device"] = 24 * time.Hour
			}
			w.set(over)
			email := mailbox("one")
			id, _ := w.customer("one")
			b := w.browser()
			b.signIn(email, good)
			if set&own > 0 {
				p := b.enrol()
				flow := b.signIn(email, good)["flow"]
				b.api(200, "POST", "sign-in/factor", obj{"flow": flow, "kind": "totp", "code": p.code(), "remember": remembered})
			}
			if set&policy > 0 {
				over["access.mfa-by-technology/who"] = []string{"admin", "staff"}
			}
			w.set(over)
			if set&team > 0 {
				w.exec(`UPDATE identity_team SET need = 2`)
			}
			if set&staff > 0 {
				w.staff("ana", "owner") // the team of staff is there with its first
				w.exec(`INSERT INTO identity_member (person, team, roles, since) SELECT $1, team, 'engineer', since FROM identity_member WHERE roles = 'owner'`, id)
			}
			held[set] = b.signIn(email, good)["next"] != identity.NextDone
		}
		for set, h := range held {
			for _, more := range []int{policy, team, own, staff} {
				if more == own && remembered {
					continue // the remembered factor is what lets the browser skip it
				}
				if h && !held[set|more] {
					t.Errorf("remembered %v: held with %04b, let in with %04b", remembered, set, set|more)
				}
			}
			if !remembered && h != (set != 0) {
				t.Errorf("held with %04b: %v", set, h)
			}
			if remembered && set&staff > 0 && !h {
				t.Errorf("staff in a remembered browser, %04b, were let in", set)
			}
		}
	}
}

// race does one thing thirty-two times at once and counts who succeeds. Everybody else is
// refused in one of the ways that belong to it.
func race(t *testing.T, act func(i int) error) (won int64) {
	t.Helper()
	var n atomic.Int64
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			err := act(i)
			switch {
			case err == nil:
				n.Add(1)
			case errors.Is(err, fault.Gone), errors.Is(err, fault.Unauthenticated), errors.Is(err, fault.Conflict), errors.Is(err, fault.Limited), errors.Is(err, fault.Unavailable):
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return n.Load()
}

// Each link, code and step has one winner among thirty-two: those that no other test
// races (reset and confirm links, invitations, passkeys and codes at the sign-in do).
//
// breaks: auth.best-practice
func TestOneWinnerAmongMany(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx := t.Context()
		one := func(what string, act func(i int) error) {
			t.Helper()
			if n := race(t, act); n != 1 {
				t.Errorf("%s: %d winners", what, n)
			}
		}
		a, err := w.svc.AddStaff(ctx, operator, identity.AddStaff{Email: mailbox("sam"), Roles: []string{"engineer"}})
		if err != nil {
			t.Fatal(err)
		}
		first := secret.NewText(tokenOf(t, a.URL.Reveal()))
		one("a first link", func(i int) error {
			_, err := w.svc.SetPassword(ctx, stranger(i), identity.SetByLink{Kind: identity.OwnerLink, Token: first, New: secret.NewText(fmt.Sprint("a fine new phrase ", i))})
			return err
		})

		_, cleo := w.customer("cleo")
		b := w.browser()
		b.signIn(cleo, good)
		p := b.enrol()
		who := w.who(b)
		code := secret.NewText(p.code())
		one("a code at a step-up", func(int) error {
			_, err := w.svc.StepUp(ctx, who, identity.Shown{Kind: identity.FactorTOTP, Code: code}, identity.From{})
			return err
		})
		kit.Clock.Advance(time.Hour)
		one("a recovery code at a step-up", func(int) error {
			_, err := w.svc.StepUp(ctx, who, identity.Shown{Kind: identity.FactorRecovery, Code: secret.NewText(p.codes[0])}, identity.From{})
			return err
		})
		kit.Clock.Advance(time.Hour)
		as, err := w.svc.SignIn(ctx, stranger(1), identity.SignIn{Email: cleo, Password: secret.NewText(good)})
		if err != nil || as.Next != identity.NextFactor {
			t.Fatal(as.Next, err)
		}
		one("one flow with many codes", func(i int) error {
			_, err := w.svc.Proceed(ctx, stranger(1), identity.Step{Flow: as.Flow, Bind: as.Bind, Shown: identity.Shown{Kind: identity.FactorRecovery, Code: secret.NewText(p.codes[1+i%4])}})
			return err
		})

		_, dora := w.customer("dora")
		c := w.browser()
		c.signIn(dora, good)
		w.browser().signIn(dora, good)
		notMe := secret.NewText(tokenOf(t, w.letterOf(dora, "new-browser").Text))
		c.api(202, "POST", "account/address", obj{"email": mailbox("dora.new"), "current": good})
		for _, box := range []string{dora, mailbox("dora.new")} {
			token := secret.NewText(tokenIn(t, w, box, "/-/address/"))
			one("an address link", func(i int) error {
				_, err := w.svc.AgreeAddress(ctx, stranger(i), token)
				return err
			})
		}
		one("a not-me link", func(i int) error { return w.svc.NotMe(ctx, stranger(i), notMe) })
	}, jobs.Schema(), identity.Schema())
}
