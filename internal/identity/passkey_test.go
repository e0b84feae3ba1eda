package identity_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	virtual "github.com/descope/virtualwebauthn"

	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/identity/passkey"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// acr is what the session of the browser says of itself.
func (b browser) acr() float64 {
	b.w.t.Helper()
	s, _ := b.api(200, "GET", "session", nil)["session"].(obj)
	n, _ := s["acr"].(float64)
	return n
}

// A passkey is set up, proves a sign-in after a password and alone, and moves its count.
func TestPasskeyLife(t *testing.T) {
	w := open(t, underName)
	_, ana := w.customer("ana")
	b, d := w.browser(), newDevice(t)
	b.signIn(ana, good)
	made := b.enrolPasskey(d, "  the blue key ")
	if codes, _ := made["codes"].([]any); made["name"] != "the blue key" || len(codes) != 10 {
		t.Errorf("made %v", made)
	}
	w.letter(ana) // a factor was added
	if acr := b.acr(); acr < 2 {
		t.Errorf("after setting up a passkey the session has acr %v", acr)
	}
	list := b.api(200, "GET", "factors", nil)["factors"].([]any)
	if len(list) != 1 || list[0].(obj)["kind"] != "passkey" || list[0].(obj)["name"] != "the blue key" {
		t.Errorf("listed are %v", list)
	}
	b.api(204, "POST", "sign-out", nil)

	next := b.signIn(ana, good)
	if kinds := fmt.Sprint(next["factors"]); next["next"] != "factor" || kinds != "[passkey recovery]" {
		t.Fatalf("after the password: %v", next)
	}
	q := b.askPasskey(next["flow"].(string))
	if !strings.Contains(q.options, "allowCredentials") {
		t.Error("after a password the passkeys of the person are not named")
	}
	if in := b.show(200, q, d.prove(q)); in["next"] != "done" {
		t.Errorf("after the passkey: %v", in)
	}
	if acr := b.acr(); acr != 3 {
		t.Errorf("acr %v", acr)
	}

	c := w.browser()
	q = c.askPasskey("")
	if strings.Contains(q.options, "allowCredentials") || strings.Contains(q.options, "ana") {
		t.Errorf("a stranger is told %s", q.options)
	}
	if in := c.show(200, q, d.prove(q)); in["next"] != "done" {
		t.Errorf("a passkey alone: %v", in)
	}
	if acr := c.acr(); acr != 3 {
		t.Errorf("a passkey alone: acr %v", acr)
	}
	one := c.api(200, "GET", "factors/passkey", nil)["passkeys"].([]any)[0].(obj)
	if one["used"] == nil || one["id"] != made["id"] {
		t.Errorf("after two uses: %v", one)
	}
}

// Staff have nothing before a factor; a passkey is one, and the last stays.
func TestPasskeyOfStaff(t *testing.T) {
	w := open(t, underName)
	b, d := w.browser(), newDevice(t)
	a, err := w.svc.AddStaff(t.Context(), operator, identity.AddStaff{Email: mailbox("olga"), Name: "Olga", Handle: "olga", Roles: []string{"owner"}})
	if err != nil {
		t.Fatal(err)
	}
	b.api(200, "POST", "invitations/"+tokenOf(t, a.URL.Reveal())+"/accept", obj{"name": "", "password": good})
	if next := b.signIn(mailbox("olga"), good); next["next"] != "enrol" {
		t.Fatalf("staff without a factor: %v", next)
	}
	b.api(403, "GET", "session", nil)
	made := b.enrolPasskey(d, "")
	if made["name"] == "" {
		t.Error("a passkey without a name")
	}
	b.api(200, "GET", "session", nil)
	refused := b.api(409, "DELETE", "factors/"+made["id"].(string), nil)
	if refused["code"] != "last_factor" {
		t.Errorf("the last factor of staff: %v", refused)
	}
	second := newDevice(t)
	other := b.enrolPasskey(second, "second")
	b.api(204, "DELETE", "factors/"+made["id"].(string), nil)
	c := w.browser()
	q := c.askPasskey("")
	c.show(401, q, d.prove(q)) // removed
	q = c.askPasskey("")
	c.show(200, q, second.prove(q))
	b.api(204, "POST", "factors/passkey/"+other["id"].(string), obj{"name": "the only one"})
	if list := fmt.Sprint(b.api(200, "GET", "factors/passkey", nil)); !strings.Contains(list, "the only one") {
		t.Errorf("renamed: %s", list)
	}
	b.api(422, "POST", "factors/passkey/"+other["id"].(string), obj{"name": strings.Repeat("x", 61)})
	b.api(404, "POST", "factors/passkey/"+made["id"].(string), obj{"name": "gone"})
}

// Each way in that a passkey must not open, through the door. The same without the
// change opens it in TestPasskeyLife.
func TestPasskeyRefused(t *testing.T) {
	// breaks: auth.best-practice
	w := open(t, underName)
	_, ana := w.customer("ana")
	id, ben := w.customer("ben")
	b, d := w.browser(), newDevice(t)
	b.signIn(ana, good)
	b.enrolPasskey(d, "")
	other, his := w.browser(), newDevice(t)
	other.signIn(ben, good)
	other.enrolPasskey(his, "")
	refused := func(c browser, q asked, credential any) {
		t.Helper()
		if got := c.show(401, q, credential); got["code"] != "sign_in_refused" && got["code"] != "factor_refused" {
			t.Errorf("refused with %v", got)
		}
	}

	c := w.browser()
	d.key.Counter = 9
	q := c.askPasskey("")
	c.show(200, q, d.prove(q))
	c = w.browser()
	q = c.askPasskey("")
	d.site.Origin = "https://app.example.test.evil.test"
	refused(c, q, d.prove(q))
	d.site.Origin = named
	d.auth.Options.UserNotVerified = true
	refused(c, q, d.prove(q))
	d.auth.Options.UserNotVerified = false
	d.key.Counter = 9
	back := d.prove(q)
	refused(c, q, back) // counts no more than before: there are two of it
	refused(c, q, back)
	d.key.Counter = 20
	if n := w.told(ana, "There may be a copy of your passkey"); n != 1 { // among those of the factor and the browser, in any order
		t.Errorf("told %d times that there may be a copy", n)
	}
	q = c.askPasskey("")
	stranger := newDevice(t)
	stranger.auth.Options.UserHandle = passkey.NewHandle()
	refused(c, q, stranger.prove(q))
	refused(c, q, obj{"id": "eA"})
	right := d.prove(q)
	c.show(200, q, right)
	refused(w.browser(), q, right) // answered before
	q2 := c.askPasskey("")
	refused(c, q2, right)
	tampered := asked{flow: q2.flow[:len(q2.flow)-4] + "AAAA", options: q2.options}
	refused(c, tampered, d.prove(q2))

	// After a password only one's own passkey counts, and only for that sign-in.
	next := c.signIn(ana, good)
	q = c.askPasskey(next["flow"].(string))
	refused(c, q, his.prove(q))
	w.browser().show(409, q, d.prove(q)) // another browser's flow
	anyone := c.askPasskey("")
	swapped := d.prove(anyone)
	c.show(401, q, swapped)

	// Nobody comes in who is out.
	if err := w.svc.Disable(t.Context(), operator, id); err != nil {
		t.Fatal(err)
	}
	q = c.askPasskey("")
	refused(c, q, his.prove(q))

	// The making is judged as the proof is.
	made := askedOf(t, b.api(200, "POST", "factors/passkey/options", obj{}))
	weak := newDevice(t)
	weak.auth.Options.UserNotVerified = true
	got := b.api(422, "POST", "factors/passkey", obj{"flow": made.flow, "credential": weak.make(made)})
	if got["code"] != "passkey_refused" || !strings.Contains(fmt.Sprint(got["detail"]), "verify") {
		t.Errorf("a device that does not verify: %v", got)
	}
	strong := newDevice(t)
	answer := strong.make(made)
	c.show(200, q2, d.prove(q2))
	c.api(409, "POST", "factors/passkey", obj{"flow": made.flow, "credential": answer}) // another session's question
	b.api(200, "POST", "factors/passkey", obj{"flow": made.flow, "credential": answer})
	b.api(409, "POST", "factors/passkey", obj{"flow": made.flow, "credential": answer})
}

// A passkey belongs to one person.
func TestPasskeyBelongsToOne(t *testing.T) {
	// breaks: auth.unique-credentials
	w := open(t, underName)
	_, ana := w.customer("ana")
	_, ben := w.customer("ben")
	d := newDevice(t)
	b, c := w.browser(), w.browser()
	b.signIn(ana, good)
	b.enrolPasskey(d, "")
	c.signIn(ben, good)
	q := askedOf(t, c.api(200, "POST", "factors/passkey/options", obj{}))
	if got := c.api(409, "POST", "factors/passkey", obj{"flow": q.flow, "credential": d.make(q)}); got["code"] != "passkey_taken" {
		t.Errorf("the passkey of another person: %v", got)
	}
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_passkey`); n != "1" {
		t.Errorf("%s passkeys", n)
	}
}

// One of many who answer the same question at once is let in.
func TestPasskeyAnswersOnce(t *testing.T) {
	w := open(t, underName)
	_, ana := w.customer("ana")
	b, d := w.browser(), newDevice(t)
	b.signIn(ana, good)
	b.enrolPasskey(d, "")
	q := w.browser().askPasskey("")
	credential, err := json.Marshal(d.prove(q))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	in := 0
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			_, err := w.svc.SignInByPasskey(t.Context(), stranger(7), identity.PasskeySignIn{Flow: secret.NewText(q.flow), Credential: credential})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				in++
			case !errors.Is(err, fault.Unauthenticated):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if in != 1 {
		t.Errorf("%d sessions of one answer", in)
	}
}

// Whoever hammers on the password does not keep the passkey out.
func TestPasskeyPassesTheCounters(t *testing.T) {
	w := open(t, underName)
	_, ana := w.customer("ana")
	b, d := w.browser(), newDevice(t)
	b.signIn(ana, good)
	b.enrolPasskey(d, "")
	for range 8 {
		w.browser().ask("POST", "sign-in", obj{"email": ana, "password": "wrong wrong wrong"})
	}
	c := w.browser()
	q := c.askPasskey("")
	c.show(200, q, d.prove(q))
}

// A question that waited too long is not answered.
func TestPasskeyTooLate(t *testing.T) {
	w := open(t, underName)
	_, ana := w.customer("ana")
	b, d := w.browser(), newDevice(t)
	b.signIn(ana, good)
	b.enrolPasskey(d, "")
	q := b.askPasskey("")
	w.kit.Clock.Advance(passkey.Timeout)
	w.browser().show(401, q, d.prove(q))
}

// Under another name no passkey would work: the server says so before it serves anybody.
func TestPasskeyHostStays(t *testing.T) {
	kit := ledgertest.Open(t, jobs.Schema(), identity.Schema())
	w := with(t, kit, underName)
	_, ana := w.customer("ana")
	b, d := w.browser(), newDevice(t)
	b.signIn(ana, good)
	b.enrolPasskey(d, "")
	again := func() identity.Deps {
		deps := w.svc.Deps
		deps.Jobs = jobs.New(jobs.Deps{DB: kit.DB, Keys: kit.Ring, Now: kit.Clock.Now, Log: deps.Log})
		return deps
	}
	for _, origin := range []string{"https://new.example.test", "https://127.0.0.1:8443"} {
		deps := again()
		deps.Origin = origin
		moved, err := identity.New(deps)
		if err != nil {
			t.Fatal(err)
		}
		err = moved.Load(t.Context())
		_, public := fault.PublicOf(err)
		if !errors.Is(err, fault.Conflict) || !strings.Contains(public.Problem, "app.example.test") || !strings.Contains(public.Next, "https://app.example.test") {
			t.Errorf("under %s: %v", origin, err)
		}
	}
	deps := again()
	deps.Origin = named + ":8443" // another port is the same name
	same, err := identity.New(deps)
	if err == nil {
		err = same.Load(t.Context())
	}
	if err != nil {
		t.Error(err)
	}
}

// An address of numbers has no passkeys, and says why.
func TestPasskeyNeedsAName(t *testing.T) {
	w := open(t)
	_, ana := w.customer("ana")
	b := w.browser()
	b.signIn(ana, good)
	if got := b.api(422, "POST", "factors/passkey/options", obj{}); got["code"] != "passkey_host" {
		t.Errorf("%v", got)
	}
	if got := b.api(422, "POST", "sign-in/passkey", obj{}); got["code"] != "passkey_host" {
		t.Errorf("%v", got)
	}
}

// What is kept of a passkey is sealed, goes with the person, and a spent question with
// its time.
func TestPasskeyAtRest(t *testing.T) {
	w := open(t, underName)
	id, ana := w.customer("ana")
	b, d := w.browser(), newDevice(t)
	b.signIn(ana, good)
	b.enrolPasskey(d, "grandmother's key")
	row := w.one(`SELECT CAST(name AS TEXT) || CAST(box AS TEXT) FROM identity_passkey`)
	if strings.Contains(row, "grandmother") || strings.Contains(row, string(d.key.ID)) {
		t.Error("a passkey lies open in its table")
	}
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_passkey_spent`); n != "1" {
		t.Errorf("%s questions are spent", n)
	}
	copied := b.ask("POST", "account/export", nil).Body
	if !strings.Contains(copied, "grandmother's key") || strings.Contains(copied, "handle\":\"e") {
		t.Errorf("the copy of own data: %s", copied)
	}
	w.kit.Clock.Advance(time.Hour)
	if err := errors.Join(w.svc.Housekeeping(t.Context())...); err != nil {
		t.Fatal(err)
	}
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_passkey_spent`); n != "0" {
		t.Errorf("%s questions are kept beyond their time", n)
	}
	p, err := w.svc.Show(t.Context(), operator, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.Erase(t.Context(), operator, id, p.Handle); err != nil {
		t.Fatal(err)
	}
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_passkey`); n != "0" {
		t.Error("a passkey is left of an erased person")
	}
}

// Twenty are enough.
func TestPasskeyLimit(t *testing.T) {
	w := open(t, underName)
	_, ana := w.customer("ana")
	b := w.browser()
	b.signIn(ana, good)
	var q asked
	for range passkey.MaxPerPerson {
		q = askedOf(t, b.api(200, "POST", "factors/passkey/options", obj{}))
		b.api(200, "POST", "factors/passkey", obj{"flow": q.flow, "credential": newDevice(t).make(q)})
	}
	if got := b.api(409, "POST", "factors/passkey/options", obj{}); got["code"] != "passkey_limit" {
		t.Errorf("the twenty-first: %v", got)
	}
	handles := map[string]bool{}
	o, err := virtual.ParseAttestationOptions(q.options)
	if err != nil {
		t.Fatal(err)
	}
	handles[o.UserID] = true
	if len(o.ExcludeCredentials) != passkey.MaxPerPerson-1 || !slices.Contains([]int{passkey.HandleSize}, len(o.UserID)) {
		t.Errorf("%d excluded, a handle of %d bytes", len(o.ExcludeCredentials), len(o.UserID))
	}
}
