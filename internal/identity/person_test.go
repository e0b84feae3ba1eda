package identity_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

func TestOwners(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	a, err := w.svc.EnsureOwner(ctx, operator, identity.AddStaff{Email: mailbox("ana"), Name: "Ana", Handle: "ana"})
	if err != nil || !a.New || a.Handle != "ana" {
		t.Fatal(a, err)
	}
	if again, err := w.svc.EnsureOwner(ctx, operator, identity.AddStaff{Email: strings.ToUpper(mailbox("ana")), Handle: "other"}); err != nil || again.New || again.ID != a.ID || !again.URL.IsZero() {
		t.Errorf("%+v %v", again, err)
	}
	if _, err := w.svc.AddStaff(ctx, operator, identity.AddStaff{Email: mailbox("ana2"), Handle: "ana", Roles: []string{"engineer"}}); !errors.Is(err, fault.Conflict) {
		t.Errorf("a handle twice: %v", err)
	}
	if _, err := w.svc.AddStaff(ctx, operator, identity.AddStaff{Email: mailbox("x"), Handle: "X!", Roles: []string{"king"}}); !errors.Is(err, fault.Invalid) {
		t.Errorf("nonsense: %v", err)
	}
	if _, err := w.svc.AddStaff(ctx, stranger(1), identity.AddStaff{Email: mailbox("x"), Roles: []string{"owner"}}); !errors.Is(err, fault.Unauthenticated) {
		t.Errorf("a stranger adds an owner: %v", err)
	}
	lost := tokenOf(t, a.URL.Reveal())
	url, err := w.svc.RenewLink(ctx, operator, mailbox("ana"))
	if err != nil || url.IsZero() {
		t.Fatal(err)
	}
	b := w.browser()
	b.api(410, "POST", "invitations/"+lost+"/accept", map[string]any{"name": "", "password": good})
	b.api(422, "POST", "invitations/"+tokenOf(t, url.Reveal())+"/accept", map[string]any{"name": "", "password": "ana"})
	b.api(410, "POST", "recovery/"+tokenOf(t, url.Reveal()), map[string]any{"new": good}) // another kind of link
	ana := b.first(mailbox("ana"), url.Reveal())
	s := b.api(200, "GET", "session", nil)
	if roles := s["team"].(map[string]any)["roles"].([]any); roles[0] != "owner" {
		t.Errorf("%v", s)
	}
	// Staff sessions are short.
	w.kit.Clock.Advance(time.Hour)
	b.api(401, "GET", "session", nil)
	b.signInWith(mailbox("ana"), good, ana)

	if url, err := w.svc.RenewLink(ctx, operator, "ana"); err != nil || !url.IsZero() {
		t.Errorf("a link for somebody with a password: %v", err)
	}
	w.letterOf(mailbox("ana"), "reset")
	// Whoever holds a link becomes the person: another owner never sees it.
	other := actor.Actor{Kind: actor.Person, ID: a.ID, Roles: []string{"owner"}, Session: "s", ACR: 2, FactorAt: w.kit.Clock.Now()}
	added, err := w.svc.AddStaff(ctx, other, identity.AddStaff{Email: mailbox("eve"), Roles: []string{"engineer"}})
	if err != nil || !added.URL.IsZero() {
		t.Errorf("an owner was shown the link of another: %v", err)
	}
	first := w.letter(mailbox("eve"))
	if url, err := w.svc.RenewLink(ctx, other, added.ID); err != nil || !url.IsZero() {
		t.Errorf("an owner was shown the renewed link of another: %v", err)
	}
	if again := w.letter(mailbox("eve")); first.Kind != "identity.first-link" || again.Kind != "identity.first-link" || first.Text == again.Text {
		t.Errorf("letters %s and %s", first.Kind, again.Kind)
	}
	if err := w.svc.Disable(ctx, operator, "ana"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("the last owner: %v", err)
	}
	if _, err := w.svc.AddStaff(ctx, operator, identity.AddStaff{Email: mailbox("bea"), Name: "Bea", Handle: "bea", Roles: []string{"owner"}}); err != nil {
		t.Fatal(err)
	}
	w.staff("bob", "owner")
	w.staff("cyd", "owner")
	id, active, err := w.svc.PersonByHandle(ctx, "ana")
	if err != nil || !active || id != a.ID || w.svc.Name(ctx, id) != "Ana" || w.svc.Email(ctx, id) != mailbox("ana") {
		t.Errorf("%s %v %v", id, active, err)
	}
	b.api(200, "POST", "people/ana/disable", nil)
	b.api(401, "GET", "session", nil)
	if _, active, _ := w.svc.PersonByHandle(ctx, "ana"); active {
		t.Error("active")
	}
	b.api(401, "POST", "sign-in", map[string]any{"email": mailbox("ana"), "password": good})
}

func TestPeopleAPI(t *testing.T) {
	w := open(t)
	a, err := w.svc.EnsureOwner(t.Context(), operator, identity.AddStaff{Email: mailbox("ana"), Name: "Ana"})
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.first(mailbox("ana"), a.URL.Reveal())
	_, email := w.customer("max")
	c := w.browser()
	c.signIn(email, good)
	c.api(403, "GET", "people", nil)
	c.api(403, "POST", "people/ana/disable", nil)
	if ps := b.api(200, "GET", "people", nil)["people"].([]any); len(ps) != 2 {
		t.Errorf("%v", ps)
	}
	added := b.api(201, "POST", "people", map[string]any{"email": mailbox("eng"), "name": "E", "handle": "eng", "roles": []string{"engineer"}})
	if m := w.letter(mailbox("eng")); added["url"] != "" || m.Kind != "identity.first-link" {
		t.Errorf("%v, letter %s", added, m.Kind)
	}
	b.api(409, "POST", "people", map[string]any{"email": mailbox("eng"), "name": "E", "handle": "eng2", "roles": []string{"engineer"}})
	if p := b.api(200, "GET", "people/"+url.PathEscape(email), nil); p["name"] != "MAX" || p["sessions"].(float64) != 1 {
		t.Errorf("%v", p)
	}
	b.api(404, "GET", "people/nobody", nil)
	if xs := b.api(200, "GET", "people/"+url.PathEscape(email)+"/sessions", nil)["sessions"].([]any); len(xs) != 1 {
		t.Errorf("%v", xs)
	}
	b.api(200, "DELETE", "people/"+url.PathEscape(email)+"/sessions", nil)
	c.api(401, "GET", "session", nil)
}

func TestErase(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	id, email := w.customer("yves")
	b := w.browser()
	b.signIn(email, good)
	h, err := w.svc.Handle(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.Erase(ctx, operator, email, "wrong"); !errors.Is(err, fault.Invalid) {
		t.Errorf("without the handle: %v", err)
	}
	before := w.kit.Recorded("identity.signed-in")
	if before[0].Fields["network"] == nil {
		t.Fatal("nothing personal to erase")
	}
	cert, err := w.svc.Erase(ctx, operator, email, h)
	if err != nil || cert.Person != id || len(cert.Keys) == 0 || cert.Entry == "" || cert.Method == "" {
		t.Fatalf("%+v %v", cert, err)
	}
	b.api(401, "GET", "session", nil)
	if after := w.kit.Recorded("identity.signed-in"); after[0].Fields["network"] != nil {
		t.Error("the network is still readable")
	}
	if rs := w.kit.Recorded("identity.person-erased"); len(rs) != 1 || strings.Contains(rs[0].Body, email) {
		t.Errorf("%v", rs)
	}
	if _, err := w.svc.Erase(ctx, operator, id, id); !errors.Is(err, fault.Conflict) {
		t.Errorf("again: %v", err)
	}
	if ps, err := w.svc.List(ctx, operator, ""); err != nil || len(ps) != 1 || ps[0].State != "erased" || ps[0].Email != "" {
		t.Errorf("%+v %v", ps, err)
	}
	// The address is free again, for somebody new.
	w.customer("yves")
}

// A process that stops between the two halves of an erasure finishes it at its next start.
func TestErasureSurvivesACrash(t *testing.T) {
	w := open(t)
	id, _ := w.customer("zoe")
	w.exec(`UPDATE identity_person SET state = 'erasing', name = NULL, handle = id WHERE id = $1`, id)
	if err := w.svc.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.one(`SELECT state FROM identity_person WHERE id = $1`, id); got != "erased" {
		t.Errorf("state %s", got)
	}
}

func TestListPages(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		var want []string
		for i := range 3 {
			id, _ := w.customer(fmt.Sprintf("page%d", i))
			want = append(want, id)
			kit.Clock.Advance(time.Second)
		}
		all, err := w.svc.List(t.Context(), operator, "")
		if err != nil || len(all) != 3 || all[0].ID != want[0] {
			t.Fatal(all, err)
		}
		rest, err := w.svc.List(t.Context(), operator, want[0])
		if err != nil || len(rest) != 2 || rest[0].ID != want[1] || rest[1].ID != want[2] {
			t.Errorf("%v %v", rest, err)
		}
		p, err := w.svc.Show(t.Context(), operator, "person/"+all[1].Handle)
		if err != nil || p.ID != want[1] || p.Scheme != "argon2id" || p.Confirmed.IsZero() {
			t.Errorf("%+v %v", p, err)
		}
		if _, err := w.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: mailbox("sly"), Password: secret.NewText(good), Team: "staff"}); !errors.Is(err, fault.Invalid) {
			t.Errorf("a customer among staff: %v", err)
		}
		if c, err := w.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: mailbox("mate"), Password: secret.NewText(good), Team: all[0].Team, Role: "member"}); err != nil || c.Team != all[0].Team {
			t.Errorf("a second person in a team: %+v %v", c, err)
		}
	}, jobs.Schema(), identity.Schema())
}

// An owner's link dies after seven days.
func testOwnerLinkDies(t *testing.T) {
	w := open(t)
	a, err := w.svc.EnsureOwner(t.Context(), operator, identity.AddStaff{Email: mailbox("ana"), Name: "Ana"})
	if err != nil {
		t.Fatal(err)
	}
	token := tokenOf(t, a.URL.Reveal())
	w.kit.Clock.Advance(7 * 24 * time.Hour)
	w.browser().api(410, "POST", "invitations/"+token+"/accept", map[string]any{"name": "", "password": good})
}
