package identity_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
)

const minFactor = "access.mfa-by-technology/min_factor"

// strict asks a passkey of staff.
func (w *world) strict(more ...clause.Values) {
	w.t.Helper()
	v := clause.Values{minFactor: identity.PhishingResistant}
	for _, m := range more {
		maps.Copy(v, m)
	}
	w.set(v)
}

// byPasskey signs in with the password and the passkey.
func (b browser) byPasskey(email string, d *device) obj {
	b.w.t.Helper()
	first := b.signIn(email, good)
	q := b.askPasskey(first["flow"].(string))
	return b.show(200, q, d.prove(q))
}

// Where a passkey is asked, a code opens nothing but the page that sets one up; who has a
// passkey comes in by that alone, and a code binds no other.
func TestOnlyAPasskey(t *testing.T) { // breaks: access.mfa-by-technology
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, underName)
		_, b, p := w.staff("sam", "engineer")
		email := mailbox("sam")
		b.api(200, "GET", "people", nil)
		w.strict()
		b.api(401, "GET", "people", nil) // what went on before does not go on

		// With a code: the page, and what is missing.
		if in := b.signInWith(email, good, p); in["next"] != "enrol" {
			t.Fatalf("a code counts: %v", in)
		}
		got := b.api(403, "GET", "people", nil)
		if got["code"] != "enrol_required" || !strings.Contains(got["expected"].(string), "passkey") {
			t.Errorf("what is missing is not said: %v", got)
		}
		if a := b.open("/"); a.Status != 403 || !strings.Contains(a.Body, "passkey") {
			t.Errorf("the application: %d %s", a.Status, a.Body)
		}
		if fs := b.api(200, "GET", "factors", nil); fs["level"] != float64(3) || fs["lacking"] != true {
			t.Errorf("factors: %v", fs)
		}
		// With a recovery code too.
		r := w.browser()
		flow := r.signIn(email, good)["flow"]
		if in := r.api(200, "POST", "sign-in/factor", obj{"flow": flow, "kind": "recovery", "code": p.codes[0]}); in["next"] != "enrol" {
			t.Fatalf("a recovery code counts: %v", in)
		}
		r.api(403, "GET", "people", nil)

		// A passkey opens, and from then on nothing else does.
		d := newDevice(t)
		b.enrolPasskey(d, "")
		b.api(200, "GET", "people", nil)
		far := w.browser()
		first := far.signIn(email, good)
		if !slices.Equal(first["factors"].([]any), []any{"passkey"}) {
			t.Errorf("offered: %v", first)
		}
		for _, sh := range []obj{{"kind": "totp", "code": p.code()}, {"kind": "recovery", "code": p.codes[1]}} {
			sh["flow"] = first["flow"]
			if got := far.api(403, "POST", "sign-in/factor", sh); got["code"] != "passkey_required" {
				t.Errorf("%v", got)
			}
		}
		far.api(401, "GET", "session", nil)
		far.api(401, "POST", "factors/passkey/options", obj{})
		if in := far.byPasskey(email, d); in["next"] != "done" {
			t.Errorf("%v", in)
		}
		if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_recovery WHERE used IS NULL`); n != "9" {
			t.Errorf("a code that did not count was used up: %s left", n)
		}
		if ev := w.kit.Recorded("identity.factor-refused"); len(ev) != 2 {
			t.Errorf("%d refusals recorded, want 2", len(ev))
		}
		// Nor does a code bring a session down to where it could be renewed.
		if got := far.api(403, "POST", "step-up", obj{"kind": "totp", "code": p.code()}); got["code"] != "passkey_required" {
			t.Errorf("%v", got)
		}
		if got := far.api(409, "DELETE", "factors/"+passkeyID(far), nil); got["code"] != "last_factor" {
			t.Errorf("the last passkey goes: %v", got)
		}
		far.api(204, "DELETE", "factors/"+p.id, nil)
		w.set(nil)
		far.api(200, "GET", "people", nil)
	}, jobs.Schema(), identity.Schema())
}

func passkeyID(b browser) string {
	for _, f := range b.api(200, "GET", "factors", nil)["factors"].([]any) {
		if f.(obj)["kind"] == "passkey" {
			return f.(obj)["id"].(string)
		}
	}
	b.w.t.Fatal("no passkey")
	return ""
}

// open asks for a page of the application.
func (b browser) open(path string) struct {
	Status int
	Body   string
} {
	b.w.t.Helper()
	a, err := b.Do(b.w.t.Context(), "GET", path, "")
	if err != nil {
		b.w.t.Fatal(err)
	}
	return struct {
		Status int
		Body   string
	}{a.Status, a.Body}
}

// Whoever is there when a passkey comes to be asked has the one dated grace for it; it
// brings back no other, and a browser that skips the factor skips no passkey.
func TestGraceOfALevel(t *testing.T) { // breaks: access.mfa-by-technology
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, underName)
		_, b, p := w.staff("sam", "engineer")
		_, other, q := w.staff("tim", "engineer")
		email := mailbox("sam")
		grace := clause.Values{"access.mfa-by-technology/grace": 48 * time.Hour}
		w.strict(grace)
		for _, err := range w.svc.Housekeeping(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
		}
		b.api(200, "GET", "people", nil) // goes on, until the grace ends
		if fs := b.api(200, "GET", "factors", nil); fs["grace"] == nil {
			t.Errorf("no date is told: %v", fs)
		}
		b.api(204, "POST", "sign-out", nil)
		if in := b.signInWith(email, good, p); in["next"] != "done" {
			t.Fatalf("within the grace: %v", in)
		}
		// The factor that is there is asked for all the same.
		if in := w.browser().signIn(email, good); in["next"] != "factor" {
			t.Errorf("the grace of a passkey leaves out the code: %v", in)
		}
		// Once it was reached there is none any more.
		d := newDevice(t)
		other.enrolPasskey(d, "")
		w.set(nil)
		other.api(204, "DELETE", "factors/"+passkeyID(other), nil)
		w.strict(grace)
		if in := other.signInWith(mailbox("tim"), good, q); in["next"] != "enrol" {
			t.Errorf("a grace came back: %v", in)
		}
		w.kit.Clock.Advance(47 * time.Hour)
		for _, err := range w.svc.Housekeeping(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if in := b.signInWith(email, good, p); in["next"] != "done" {
			t.Errorf("before its end: %v", in)
		}
		w.kit.Clock.Advance(time.Hour)
		b.api(401, "GET", "people", nil)
		if in := b.signInWith(email, good, p); in["next"] != "enrol" {
			t.Errorf("after the grace: %v", in)
		}
	}, jobs.Schema(), identity.Schema())
}

func TestNoSkipToAPasskey(t *testing.T) { // breaks: access.mfa-by-technology
	w := open(t, underName)
	_, email := w.customer("cleo")
	everybody := clause.Values{"access.mfa-by-technology/who": []string{"admin", "staff"}, "auth.best-practice/remember_device": 48 * time.Hour}
	w.set(everybody)
	b := w.browser()
	b.signIn(email, good)
	p := b.enrol()
	flow := b.signIn(email, good)["flow"]
	b.api(200, "POST", "sign-in/factor", obj{"flow": flow, "kind": "totp", "code": p.code(), "remember": true})
	if in := b.signIn(email, good); in["next"] != "done" {
		t.Fatalf("the browser is not remembered: %v", in)
	}
	b.api(200, "GET", "session", nil)
	w.strict(everybody)
	b.api(401, "GET", "session", nil)
	if in := b.signIn(email, good); in["next"] != "factor" {
		t.Errorf("a remembered browser goes round the passkey: %v", in)
	}
}

// A site without a name cannot ask for what its browsers cannot have, and owners who hold
// no passkey are counted as such.
func TestOwnersUnderAPasskey(t *testing.T) { // breaks: access.mfa-by-technology
	v := shipped()
	strict := clause.Values{}
	maps.Copy(strict, v)
	strict[minFactor] = identity.PhishingResistant
	if err := open(t).svc.Slots()[0].Check(strict); err == nil || !strings.Contains(err.Error(), "nobody could sign in") {
		t.Errorf("under an address of numbers: %v", err)
	}
	w := open(t, underName)
	if err := w.svc.Slots()[0].Check(strict); err != nil {
		t.Error(err)
	}
	_, b, _ := w.staff("ana", "owner")
	w.staff("ben", "owner")
	owners := []string{"ana", "ben", "nobody"}
	for _, c := range []struct {
		v    clause.Values
		want int
	}{{v, 2}, {strict, 0}} {
		if n, err := w.svc.Able(t.Context(), c.v, owners); err != nil || n != c.want {
			t.Errorf("%d able, %v, want %d", n, err, c.want)
		}
	}
	b.enrolPasskey(newDevice(t), "")
	if n, err := w.svc.Able(t.Context(), strict, owners); err != nil || n != 1 {
		t.Errorf("%d able, %v", n, err)
	}
	is(t, "unknown min_factor", w.trySet(clause.Values{minFactor: "sms"}), fault.Internal, "internal")
}
