package scim_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/secret"
)

const off = `{"op":"Replace","path":"active","value":"False"}`

// token makes a token for whoever is signed in.
func (w *world) token(email string) string {
	w.t.Helper()
	v := w.signIn(email)
	return w.api(v, 201, "POST", "tokens", `{"name":"robot","scopes":["orders:read"]}`)["token"].(string)
}

func (w *world) works(token string) error {
	_, err := w.svc.LookupToken(w.t.Context(), actor.Actor{Kind: actor.Stranger, ID: "local"}, secret.NewText(token), netip.MustParseAddr("127.0.0.1"))
	return err
}

// Everything of a person who is in this team alone ends with active=false and with
// DELETE, at once and in one entry; the account is disabled.
func TestDeprovisionEndsEverything(t *testing.T) { // breaks: auth.best-practice
	for name, end := range map[string]func(c client, id string){
		"patch": func(c client, id string) { c.want(200, "PATCH", "/Users/"+id, patchBody(off)) },
		"put": func(c client, id string) {
			c.want(200, "PUT", "/Users/"+id, strings.Replace(userBody(mailbox("bo"), ""), `"active":true`, `"active":false`, 1))
		},
		"delete": func(c client, id string) { c.want(204, "DELETE", "/Users/"+id, "") },
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			c, admin := w.team("north")
			bo := w.customer("bo", admin.Team)
			v, robot := w.signIn(mailbox("bo")), w.token(mailbox("bo"))
			w.api(w.browser(), 202, "POST", "recovery", fmt.Sprintf(`{"email":%q}`, mailbox("bo")))
			reset := w.letter(mailbox("bo"))
			for !strings.Contains(reset.Text, "/-/recover/") {
				reset = w.letter(mailbox("bo"))
			}
			if err := w.works(robot); err != nil {
				t.Fatal(err)
			}
			end(c, bo.ID)
			w.api(v, 401, "GET", "session", "")
			if err := w.works(robot); fault.KindOf(err) != fault.Unauthenticated {
				t.Errorf("the token: %v", err)
			}
			link := strings.Fields(reset.Text[strings.Index(reset.Text, "/-/recover/")+len("/-/recover/"):])[0]
			w.api(w.browser(), 410, "POST", "recovery/"+link, `{"new":"another carousel of 88 plums"}`)
			w.api(w.browser(), 401, "POST", "sign-in", fmt.Sprintf(`{"email":%q,"password":%q}`, mailbox("bo"), good))
			es := w.kit.Recorded("identity.user-deprovisioned")
			if len(es) != 1 {
				t.Fatalf("%d entries", len(es))
			}
			f := es[0].Fields
			for field, n := range map[string]string{"sessions": "2", "links": "1", "tokens": "1", "devices": "2", "memberships": "1"} {
				if fmt.Sprint(f[field]) != n {
					t.Errorf("%s: %v, want %s", field, f[field], n)
				}
			}
			if f["how"] != "disabled" || es[0].Actor == "" || f["took"] == nil {
				t.Errorf("%v", es[0].Body)
			}
			if got := w.one(`SELECT state FROM identity_person WHERE id = $1`, bo.ID); got != "disabled" {
				t.Errorf("state %q", got)
			}
			if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_device WHERE person = $1`, bo.ID); n != "0" {
				t.Errorf("%s browsers are still known", n)
			}
			if got := w.roles(admin.Team, bo.ID); got != "" {
				t.Errorf("roles %q", got)
			}
		})
	}
}

// Who is in another team too loses this one, and nothing of the other.
func TestDeprovisionLeavesOtherTeams(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	c, admin := w.team("north")
	_, far := w.team("south")
	bo := w.customer("bo", far.Team)
	v, robot := w.signIn(mailbox("bo")), w.token(mailbox("bo"))
	w.exec(`INSERT INTO identity_member (team, person, roles, since) VALUES ($1, $2, 'member', 1)`, admin.Team, bo.ID)
	c.want(200, "PATCH", "/Users/"+bo.ID, patchBody(off))
	w.api(v, 200, "GET", "session", "")
	if err := w.works(robot); err != nil {
		t.Errorf("a token of the other team: %v", err)
	}
	if es := w.kit.Recorded("identity.user-deprovisioned"); len(es) != 1 || es[0].Fields["how"] != "removed" {
		t.Errorf("%v", es)
	}
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_member WHERE team = $1 AND person = $2`, admin.Team, bo.ID); n != "0" {
		t.Error("the membership stays")
	}
	if got := w.one(`SELECT state FROM identity_person WHERE id = $1`, bo.ID); got != "active" {
		t.Errorf("state %q", got)
	}
	// They can come back; and their name and address are not this directory's while they are elsewhere.
	if r := c.want(200, "PATCH", "/Users/"+bo.ID, patchBody(`{"op":"replace","value":{"active":true,"displayName":"Mine Now"}}`)); r.body["active"] != true {
		t.Error(r.raw)
	}
	if p, err := w.svc.Show(t.Context(), operator, bo.ID); err != nil || p.Name != "BO" {
		t.Errorf("%v %v", p.Name, err)
	}
	c.refuse(400, "mutability", "PATCH", "/Users/"+bo.ID, patchBody(`{"op":"replace","path":"userName","value":"bo@north.canary.invalid"}`))
}

// What the directory ended it can begin again; what the operator ended it cannot.
func TestReactivation(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	c, admin := w.team("north")
	bo := w.customer("bo", admin.Team)
	group := c.want(201, "POST", "/Groups", fmt.Sprintf(`{"displayName":"Writ Admins","members":[{"value":%q}]}`, bo.ID)).body["id"].(string)
	if got := w.roles(admin.Team, bo.ID); got != "admin" {
		t.Fatalf("roles %q", got)
	}
	c.want(200, "PATCH", "/Users/"+bo.ID, patchBody(off))
	c.want(200, "PATCH", "/Groups/"+group, patchBody(fmt.Sprintf(`{"op":"remove","path":"members[value eq \"%s\"]"}`, bo.ID)))
	c.want(200, "PATCH", "/Users/"+bo.ID, patchBody(`{"op":"replace","value":{"active":true}}`))
	if got := w.roles(admin.Team, bo.ID); got != "member" {
		t.Errorf("came back as %q", got)
	}
	w.signIn(mailbox("bo"))
	// Deleted and made again is the same person.
	c.want(204, "DELETE", "/Users/"+bo.ID, "")
	c.want(404, "GET", "/Users/"+bo.ID, "")
	if r := c.want(201, "POST", "/Users", userBody(mailbox("bo"), "")); r.body["id"] != bo.ID || r.body["active"] != true {
		t.Errorf("%s", r.raw)
	}
	w.signIn(mailbox("bo"))
	if err := w.svc.Disable(t.Context(), operator, bo.ID); err != nil {
		t.Fatal(err)
	}
	c.want(200, "PATCH", "/Users/"+bo.ID, patchBody(off)) // they are: nothing to do
	c.refuse(403, "", "PATCH", "/Users/"+bo.ID, patchBody(`{"op":"replace","value":{"active":true}}`))
	c.want(204, "DELETE", "/Users/"+bo.ID, "")
	c.refuse(403, "", "POST", "/Users", userBody(mailbox("bo"), ""))
}

// Within the domains of the connection its word confirms; elsewhere a letter does.
func TestFirstSignIn(t *testing.T) { // breaks: auth.signup-email
	w := open(t)
	c, _ := w.team("north")
	inside := c.user("ina@north.canary.invalid")
	if p, err := w.svc.Show(t.Context(), operator, inside); err != nil || p.Confirmed.IsZero() || !p.Password.IsZero() {
		t.Errorf("%+v %v", p, err)
	}
	outside := c.user("otto@far.canary.invalid")
	if p, err := w.svc.Show(t.Context(), operator, outside); err != nil || !p.Confirmed.IsZero() {
		t.Errorf("confirmed by a word that counts for nothing: %+v %v", p, err)
	}
	m := w.letter("otto@far.canary.invalid")
	_, rest, ok := strings.Cut(m.Text, "/-/invite/")
	if !ok {
		t.Fatalf("no link: %s", m.Text)
	}
	w.api(w.browser(), 200, "POST", "invitations/"+strings.Fields(rest)[0]+"/accept", fmt.Sprintf(`{"password":%q}`, good))
	if p, err := w.svc.Show(t.Context(), operator, outside); err != nil || p.Confirmed.IsZero() {
		t.Errorf("%+v %v", p, err)
	}
	w.signIn("otto@far.canary.invalid")
	if es := w.kit.Recorded("identity.address-proved"); len(es) != 1 {
		t.Errorf("%v", es)
	}
	// One that begins disabled gets the letter when it is made active.
	later := c.want(201, "POST", "/Users", strings.Replace(userBody("lea@far.canary.invalid", ""), `"active":true`, `"active":"False"`, 1))
	if later.body["active"] != false {
		t.Fatal(later.raw)
	}
	c.want(200, "PATCH", "/Users/"+later.body["id"].(string), patchBody(`{"op":"replace","value":{"active":true}}`))
	w.letter("lea@far.canary.invalid")
}

// An address moves within the connection's domains alone, and both mailboxes are told.
func TestAddressMoves(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	c, admin := w.team("north")
	bo := w.customer("bo", admin.Team)
	move := func(to string) string {
		return patchBody(fmt.Sprintf(`{"op":"replace","path":"emails[type eq \"work\"].value","value":%q}`, to))
	}
	c.refuse(400, "mutability", "PATCH", "/Users/"+bo.ID, move("bo@evil.canary.invalid"))
	c.want(200, "PATCH", "/Users/"+bo.ID, move("bo@north.canary.invalid"))
	w.letter(mailbox("bo"))
	w.letter("bo@north.canary.invalid")
	w.signIn("bo@north.canary.invalid")
	w.api(w.browser(), 401, "POST", "sign-in", fmt.Sprintf(`{"email":%q,"password":%q}`, mailbox("bo"), good))
	c.user("ann@north.canary.invalid")
	c.refuse(409, "uniqueness", "PATCH", "/Users/"+bo.ID, move("ann@north.canary.invalid"))
}

// A directory of staff never makes an owner, never moves an owner's address, and never
// ends the last one.
func TestStaff(t *testing.T) { // breaks: access.roles
	w := open(t)
	owner, err := w.svc.AddStaff(t.Context(), operator, identity.AddStaff{Email: mailbox("olga"), Name: "Olga", Handle: "olga", Roles: []string{"owner"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []identity.NewConnection{
		{Name: "dir", Roles: []string{"owner"}},
		{Name: "dir", Roles: []string{"engineer"}, Groups: []identity.GroupRole{{Group: "G", Role: "owner"}}},
		{Name: "dir", Roles: []string{"engineer"}, Groups: []identity.GroupRole{{Group: "G", Role: "support"}}},
		{Name: "dir", Roles: []string{"engineer"}, Standard: "auditor"},
		{Name: "dir", Roles: []string{"admin"}},
		{Name: "Dir", Roles: []string{"engineer"}},
		{Name: "dir", Domains: []string{"nodot"}},
	} {
		if _, _, err := w.svc.Connect(t.Context(), operator, in); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", in, err)
		}
	}
	c := w.connect(identity.NewConnection{Roles: []string{"engineer", "auditor"}, Domains: []string{"staff.canary.invalid"},
		Groups: []identity.GroupRole{{Group: "Engineers", Role: "engineer"}, {Group: "Audit", Role: "auditor"}}})
	eve := c.user("eve@staff.canary.invalid")
	if got := w.roles("staff", eve); got != "" {
		t.Errorf("without a group: %q", got)
	}
	c.want(201, "POST", "/Groups", fmt.Sprintf(`{"displayName":"ENGINEERS","members":[{"value":%q},{"value":%q}]}`, eve, owner.ID))
	audit := c.want(201, "POST", "/Groups", fmt.Sprintf(`{"displayName":"audit","members":[{"value":%q}]}`, eve)).body["id"].(string)
	c.want(201, "POST", "/Groups", fmt.Sprintf(`{"displayName":"owner","members":[{"value":%q}]}`, eve)) // a name alone means nothing
	if got := w.roles("staff", eve); got != "auditor engineer" {
		t.Errorf("roles %q", got)
	}
	if got := w.roles("staff", owner.ID); got != "engineer owner" {
		t.Errorf("the owner: %q", got)
	}
	c.want(204, "DELETE", "/Groups/"+audit, "")
	if got := w.roles("staff", eve); got != "engineer" {
		t.Errorf("after a group ended: %q", got)
	}
	if _, err := w.svc.GrantRole(t.Context(), operator, identity.Lend{Person: eve, Role: "support", For: time.Hour, Reason: "a customer waits"}); err != nil {
		t.Fatal(err)
	}
	c.want(200, "PATCH", "/Users/"+eve, patchBody(off))
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_grant WHERE person = $1 AND ended IS NULL`, eve); n != "0" {
		t.Error("a lent role outlives its holder's place")
	}
	c.want(200, "PATCH", "/Users/"+eve, patchBody(`{"op":"replace","value":{"active":true}}`))
	if got := w.roles("staff", eve); got != "engineer" {
		t.Errorf("back again: %q", got)
	}
	c.refuse(400, "mutability", "PATCH", "/Users/"+owner.ID, patchBody(`{"op":"replace","path":"userName","value":"eve2@staff.canary.invalid"}`))
	c.refuse(409, "", "PATCH", "/Users/"+owner.ID, patchBody(off))
	c.refuse(409, "", "DELETE", "/Users/"+owner.ID, "")
	if _, active, err := w.svc.PersonByHandle(t.Context(), "olga"); err != nil || !active {
		t.Errorf("the last owner: %v %v", active, err)
	}
	if es := w.kit.Recorded("identity.roles-mapped"); len(es) != 4 {
		t.Errorf("%d changes of roles", len(es))
	}
}

// The last admin of a team with other people stays, whichever way the directory tries.
func TestLastAdmin(t *testing.T) {
	w := open(t)
	c, admin := w.team("north")
	bo := w.customer("bo", admin.Team)
	group := c.want(201, "POST", "/Groups", fmt.Sprintf(`{"displayName":"Writ Admins","members":[{"value":%q}]}`, admin.ID)).body["id"].(string)
	c.refuse(409, "", "PATCH", "/Users/"+admin.ID, patchBody(off))
	c.refuse(409, "", "DELETE", "/Users/"+admin.ID, "")
	c.refuse(409, "", "DELETE", "/Groups/"+group, "")
	c.refuse(409, "", "PATCH", "/Groups/"+group, patchBody(`{"op":"replace","path":"members","value":[]}`))
	c.refuse(409, "", "PATCH", "/Groups/"+group, patchBody(`{"op":"replace","path":"displayName","value":"Others"}`))
	if got := w.roles(admin.Team, admin.ID); got != "admin" {
		t.Fatalf("roles %q", got)
	}
	c.want(200, "PATCH", "/Groups/"+group, patchBody(fmt.Sprintf(`{"op":"add","path":"members","value":{"value":%q}}`, bo.ID)))
	c.want(200, "PATCH", "/Users/"+admin.ID, patchBody(off))
}

// A session never grows: whoever gains a role signs in again. One that shrinks shrinks at once.
func TestRolesInSessions(t *testing.T) { // breaks: access.roles
	w := open(t)
	c, admin := w.team("north")
	bo := w.customer("bo", admin.Team)
	v := w.signIn(mailbox("bo"))
	group := c.want(201, "POST", "/Groups", fmt.Sprintf(`{"displayName":"Writ Admins","members":[{"value":%q}]}`, bo.ID)).body["id"].(string)
	w.api(v, 401, "GET", "session", "")
	v = w.signIn(mailbox("bo"))
	rolesNow := func() string {
		b, _ := json.Marshal(w.api(v, 200, "GET", "session", "")["team"].(map[string]any)["roles"])
		return string(b)
	}
	if got := rolesNow(); got != `["admin"]` {
		t.Fatal(got)
	}
	c.want(200, "PATCH", "/Groups/"+group, patchBody(`{"op":"remove","path":"members"}`))
	// member is not among what an admin had by name, so it is new: the session ends.
	w.api(v, 401, "GET", "session", "")
	v = w.signIn(mailbox("bo"))
	if got := rolesNow(); got != `["member"]` {
		t.Error(got)
	}
}

// Erasing a person takes what the directory said of them along.
func TestErasure(t *testing.T) { // breaks: data.crypto-erase
	w := open(t)
	c, _ := w.team("north")
	id := c.user("ina@north.canary.invalid")
	c.want(201, "POST", "/Groups", fmt.Sprintf(`{"displayName":"G","members":[{"value":%q}]}`, id))
	p, err := w.svc.Show(t.Context(), operator, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.Erase(t.Context(), operator, id, p.Handle); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"identity_scim_user", "identity_scim_member"} {
		if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM `+table+` WHERE person = $1`, id); n != "0" {
			t.Errorf("%s keeps %s rows", table, n)
		}
	}
	c.want(404, "GET", "/Users/"+id, "")
	if r := c.want(200, "GET", "/Users", ""); strings.Contains(r.raw, id) {
		t.Error(r.raw)
	}
	c.user("ina@north.canary.invalid") // the address is free
}

// A change that names an old version changes nothing.
func TestVersions(t *testing.T) {
	w := open(t)
	c, _ := w.team("north")
	id := c.user("ina@north.canary.invalid")
	r := c.want(200, "GET", "/Users/"+id, "")
	tag := r.head.Get("ETag")
	if want := r.body["meta"].(map[string]any)["version"]; tag == "" || tag != want {
		t.Fatalf("ETag %q, version %v", tag, want)
	}
	c.want(304, "GET", "/Users/"+id, "", "If-None-Match", tag)
	rename := patchBody(`{"op":"replace","path":"displayName","value":"Ina"}`)
	c.want(200, "PATCH", "/Users/"+id, rename, "If-Match", tag)
	c.refuse(412, "", "PATCH", "/Users/"+id, patchBody(off), "If-Match", tag)
	c.refuse(412, "", "DELETE", "/Users/"+id, "", "If-Match", tag)
	if got := c.want(200, "GET", "/Users/"+id, "", "If-None-Match", tag); got.body["active"] != true {
		t.Error(got.raw)
	}
	w.kit.Clock.Advance(time.Minute)
	before := len(w.kit.Recorded())
	c.want(200, "PATCH", "/Users/"+id, rename) // nothing to do leaves no entry
	if n := len(w.kit.Recorded()); n != before {
		t.Errorf("%d entries for nothing", n-before)
	}
	names := []string{}
	for _, e := range w.kit.Recorded() {
		names = append(names, e.Name)
	}
	if !slices.Contains(names, "identity.provisioned-changed") {
		t.Error(names)
	}
}
