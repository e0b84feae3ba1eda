package scim_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
)

// Nothing that one directory can send shows, finds, counts or changes anybody of another team.
func TestTeamsNeverMeet(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	north, admin := w.team("north")
	south, far := w.team("south")
	id := north.user("ina@north.canary.invalid")
	group := north.want(201, "POST", "/Groups", fmt.Sprintf(`{"displayName":"Writ Admins","externalId":"x1","members":[{"value":%q}]}`, id)).body["id"].(string)
	byHand := w.customer("bo", admin.Team)
	gone := north.user("gus@north.canary.invalid")
	north.want(200, "PATCH", "/Users/"+gone, patchBody(off))
	mine := south.user("sue@south.canary.invalid")
	myGroup := south.want(201, "POST", "/Groups", `{"displayName":"Ours"}`).body["id"].(string)

	state := func() string {
		return north.want(200, "GET", "/Users?count=200", "").raw + north.want(200, "GET", "/Groups?count=200", "").raw +
			w.roles(admin.Team, id) + w.roles(admin.Team, byHand.ID) + w.roles(admin.Team, admin.ID)
	}
	before := state()
	theirs := []string{id, byHand.ID, gone, admin.ID}
	tell := slices.Concat(theirs, []string{group, "ina@north", "gus@north", mailbox("bo"), mailbox("north"), "Writ Admins"})
	quiet := func(r reply, what string) {
		t.Helper()
		for _, s := range tell {
			if strings.Contains(r.raw, s) && !strings.Contains(what, s) {
				t.Errorf("%s tells of %s: %s", what, s, r.raw)
			}
		}
	}
	for _, person := range theirs {
		for _, req := range [][2]string{{"GET", ""}, {"PUT", userBody("x@south.canary.invalid", "")}, {"PATCH", patchBody(off)}, {"PATCH", patchBody(`{"op":"replace","path":"displayName","value":"x"}`)}, {"DELETE", ""}} {
			r := south.want(404, req[0], "/Users/"+person, req[1])
			none := south.want(404, req[0], "/Users/0123456789abcdef0123456789abcdef", req[1])
			if r.raw != none.raw {
				t.Errorf("%s: somebody else's is answered otherwise than nobody: %s %s", req[0], r.raw, none.raw)
			}
			quiet(r, person)
		}
		for _, attr := range []string{"id"} {
			r := south.want(200, "GET", fmt.Sprintf("/Users?filter=%s+eq+%%22%s%%22", attr, person), "")
			if r.body["totalResults"] != 0.0 {
				t.Error(r.raw)
			}
		}
		for _, body := range []string{fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":%q}]}`, person), fmt.Sprintf(`{"op":"replace","path":"members","value":[{"value":%q},{"value":%q}]}`, mine, person)} {
			south.refuse(400, "invalidValue", "PATCH", "/Groups/"+myGroup, patchBody(body))
		}
		south.refuse(400, "invalidValue", "POST", "/Groups", fmt.Sprintf(`{"displayName":"Theft","members":[{"value":%q}]}`, person))
		south.refuse(400, "invalidValue", "PUT", "/Groups/"+myGroup, fmt.Sprintf(`{"displayName":"Ours","members":[{"value":%q}]}`, person))
	}
	for _, req := range [][2]string{{"GET", ""}, {"PUT", `{"displayName":"x"}`}, {"PATCH", patchBody(`{"op":"replace","path":"members","value":[]}`)}, {"DELETE", ""}} {
		south.want(404, req[0], "/Groups/"+group, req[1])
	}
	for path := range maps.Keys(map[string]bool{
		"/Users": true, "/Users?count=200": true, "/Users?startIndex=2&count=1": true, "/Groups": true, "/Groups?count=200": true,
		"/Users?filter=userName+eq+%22ina%40north.canary.invalid%22": true, "/Users?filter=emails+eq+%22bo%40example.canary.invalid%22": true,
		"/Groups?filter=displayName+eq+%22writ+admins%22": true, "/Groups?filter=externalId+eq+%22x1%22": true, "/Groups?filter=id+eq+%22" + group + "%22": true,
	}) {
		r := south.want(200, "GET", path, "")
		if strings.Contains(path, "filter") && r.body["totalResults"] != 0.0 {
			t.Errorf("%s: %s", path, r.raw)
		}
		for _, s := range tell {
			if strings.Contains(r.raw, s) {
				t.Errorf("%s tells of %s: %s", path, s, r.raw)
			}
		}
	}
	if r := south.want(200, "GET", "/Users", ""); r.body["totalResults"] != 2.0 { // the admin and sue
		t.Error(r.raw)
	}
	// An address of somebody elsewhere is taken, and nothing of theirs moves.
	south.refuse(409, "uniqueness", "POST", "/Users", userBody("ina@north.canary.invalid", ""))
	south.refuse(409, "uniqueness", "POST", "/Users", userBody("gus@north.canary.invalid", ""))
	// Names are a connection's own.
	south.want(201, "POST", "/Users", `{"userName":"ina@north.canary.invalid","emails":[{"value":"other@south.canary.invalid"}]}`)
	if after := state(); after != before {
		t.Errorf("the other team changed:\n%s\n%s", before, after)
	}
	if got := w.roles(far.Team, far.ID); got != "admin" {
		t.Error(got)
	}
}

// The scope and the connection are needed, both; the token reaches nothing else.
func TestWhoMayCome(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	c, admin := w.team("north")
	paths := []string{"/Users", "/Groups", "/ServiceProviderConfig", "/ResourceTypes", "/Schemas", "/Users/x", "/Groups/x"}
	for _, p := range paths {
		client{w, "", c.conn}.refuse(401, "", "GET", p, "")
		client{w, "writ_svc_0000000000000000000000000000000000000000000000000", c.conn}.refuse(401, "", "GET", p, "")
	}
	robot := w.token(mailbox("north"))
	client{w, robot, c.conn}.refuse(403, "", "GET", "/Users", "")
	v := w.signIn(mailbox("north"))
	other := w.api(v, 201, "POST", "tokens", `{"name":"x","scopes":["orders:read"],"service":"directory"}`)["token"].(string) // of the same account, for something else
	client{w, other, c.conn}.refuse(403, "", "GET", "/Users", "")
	w.api(v, 422, "POST", "tokens", `{"name":"x","scopes":["scim:provision"]}`)
	if a, err := v.Do(t.Context(), "GET", "/-/scim/v2/Users", ""); err != nil || a.Status != 403 {
		t.Errorf("a session: %d %v", a.Status, err)
	}
	for _, path := range []string{"people", "tokens", "services", "provisioning", "sessions", "policy"} {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", w.srv.URL+"/-/api/v1/"+path, nil)
		req.Header.Set("Authorization", "Bearer "+c.token)
		resp, err := w.srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == 200 {
			t.Errorf("the token of a directory reads %s", path)
		}
	}
	// Another token for the same connection, then the end of both.
	fresh, err := w.svc.RenewConnection(t.Context(), operator, c.conn.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	second := client{w, fresh.Text.Reveal(), c.conn}
	second.want(200, "GET", "/Users", "")
	c.want(200, "GET", "/Users", "")
	w.kit.Clock.Advance(61 * time.Minute)
	second.refuse(401, "", "GET", "/Users", "")
	if err := w.svc.Disconnect(t.Context(), operator, c.conn.ID); err != nil {
		t.Fatal(err)
	}
	c.refuse(401, "", "GET", "/Users", "")
	if es := w.kit.Recorded("identity.scim-disconnected"); len(es) != 1 || fmt.Sprint(es[0].Fields["tokens"]) != "3" {
		t.Errorf("%v", es)
	}
	if _, _, err := w.svc.Connect(t.Context(), operator, identity.NewConnection{Name: "directory", Team: admin.Team, Domains: []string{"north.canary.invalid"}}); err != nil {
		t.Errorf("after the end of the old one: %v", err)
	}
	text := w.one(`SELECT token FROM identity_token WHERE id = $1`, fresh.ID)
	if strings.Contains(text, fresh.Text.Reveal()) || len(text) != 64 {
		t.Error("the token is stored")
	}
}

// An admin connects their own team, gives what they may, and sets no domain.
func TestWhoMayConnect(t *testing.T) { // breaks: access.roles
	w := open(t)
	admin := w.customer("north", "")
	bo := w.customer("bo", admin.Team)
	far := w.customer("south", "")
	v := w.signIn(mailbox("north"))
	w.api(v, 422, "POST", "provisioning", `{"name":"dir","domains":["gmail.example"]}`)
	w.api(v, 403, "POST", "provisioning", fmt.Sprintf(`{"name":"dir","team":%q}`, far.Team))
	w.api(v, 403, "POST", "provisioning", `{"name":"dir","team":"staff"}`)
	out := w.api(v, 201, "POST", "provisioning", `{"name":"dir","roles":["admin","member"],"groups":[{"group":"A","role":"admin"}],"days":30}`)
	id := out["about"].(map[string]any)["id"].(string)
	w.api(v, 409, "POST", "provisioning", `{"name":"dir2"}`)
	client{w, out["token"].(string), identity.Connection{}}.want(200, "GET", "/Users", "")
	for _, other := range []string{mailbox("bo"), mailbox("south")} {
		o := w.signIn(other)
		a, err := o.Do(t.Context(), "DELETE", "/-/api/v1/provisioning/"+id, "")
		if err != nil || a.Status != 403 && a.Status != 404 {
			t.Errorf("%s ends it: %d %v", other, a.Status, err)
		}
		if a, err := o.Do(t.Context(), "GET", "/-/api/v1/provisioning", ""); err != nil || strings.Contains(a.Body, id) {
			t.Errorf("%s sees it: %s %v", other, a.Body, err)
		}
	}
	list := w.api(v, 200, "GET", "provisioning", "")["connections"].([]any)
	if len(list) != 1 || strings.Contains(fmt.Sprint(list), out["token"].(string)) {
		t.Errorf("%v", list)
	}
	w.api(v, 201, "POST", "provisioning/"+id+"/token", `{}`)
	w.api(v, 204, "DELETE", "provisioning/"+id, "")
	w.api(v, 404, "DELETE", "provisioning/"+id, "")
	machine := actor.Actor{Kind: actor.Machine, ID: "m", Team: admin.Team, Roles: []string{"admin"}, Token: "t", Scopes: []string{"scim:provision"}}
	if _, _, err := w.svc.Connect(t.Context(), machine, identity.NewConnection{Name: "dir"}); fault.KindOf(err) != fault.Denied {
		t.Errorf("a program connects: %v", err)
	}
	_ = bo
}

// What is wrong is refused with the words of the standard, recorded, and changes nothing.
func TestRefusals(t *testing.T) { // breaks: auth.best-practice
	w := open(t)
	c, _ := w.team("north")
	id := c.user("ina@north.canary.invalid")
	group := c.want(201, "POST", "/Groups", fmt.Sprintf(`{"displayName":"G","members":[{"value":%q}]}`, id)).body["id"].(string)
	u, g := "/Users/"+id, "/Groups/"+group
	op := func(s string) string { return patchBody(s) }
	for i, s := range []struct {
		status             int
		kind, method, path string
		body               string
	}{
		{400, "invalidFilter", "GET", "/Users?filter=userName", ""},
		{400, "invalidFilter", "GET", "/Users?filter=userName+co+%22a%22", ""},
		{400, "invalidFilter", "GET", "/Users?filter=userName+eq+%22a%22+or+userName+eq+%22b%22", ""},
		{400, "invalidFilter", "GET", "/Users?filter=not+(userName+eq+%22a%22)", ""},
		{400, "invalidFilter", "GET", "/Users?filter=userName+eq+true", ""},
		{400, "invalidFilter", "GET", "/Users?filter=active+eq+true", ""},
		{400, "invalidFilter", "GET", "/Users?filter=shoeSize+eq+%22a%22+and+userName+eq+%22b%22", ""},
		{400, "invalidFilter", "GET", "/Users?filter=urn:x:y:userName+eq+%22a%22", ""},
		{400, "invalidFilter", "GET", "/Users?filter=userName+eq+%22" + strings.Repeat("a", 1100) + "%22", ""},
		{400, "invalidFilter", "GET", "/Groups?filter=members+eq+%22a%22", ""},
		{400, "invalidValue", "GET", "/Users?count=many", ""},
		{400, "invalidSyntax", "POST", "/Users", `{"userName":`},
		{400, "invalidSyntax", "POST", "/Users", `[]`},
		{400, "invalidSyntax", "POST", "/Users", `{"userName":"a@north.canary.invalid","USERNAME":"b@north.canary.invalid"}`},
		{400, "invalidSyntax", "POST", "/Users", `{"a":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`},
		{400, "invalidValue", "POST", "/Users", `{"active":true}`},
		{400, "invalidValue", "POST", "/Users", `{"userName":"no address"}`},
		{400, "invalidValue", "POST", "/Users", `{"userName":7}`},
		{400, "invalidValue", "POST", "/Users", `{"userName":"a@north.canary.invalid","active":"perhaps"}`},
		{400, "invalidValue", "POST", "/Users", userBody("a@north.canary.invalid", `,"displayName":"`+strings.Repeat("x", 300)+`"`)},
		{400, "invalidValue", "POST", "/Users", userBody("a@north.canary.invalid", `,"displayName":"a\u0007b"`)},
		{409, "uniqueness", "POST", "/Users", userBody("INA@north.canary.invalid", "")},
		{409, "uniqueness", "POST", "/Users", `{"userName":"Ina@North.canary.invalid","emails":[{"value":"b@north.canary.invalid"}]}`},
		{400, "invalidSyntax", "PATCH", u, `{"Operations":[{"op":"replace","path":"active","value":false}]}`},
		{400, "invalidSyntax", "PATCH", u, op("")},
		{400, "invalidSyntax", "PATCH", u, op(strings.Repeat(off+",", 100) + off)},
		{400, "invalidSyntax", "PATCH", u, op(`{"op":"move","path":"active","value":false}`)},
		{400, "invalidSyntax", "PATCH", u, op(`7`)},
		{400, "noTarget", "PATCH", u, op(`{"op":"remove"}`)},
		{400, "invalidPath", "PATCH", u, op(`{"op":"replace","path":"shoeSize","value":"7"}`)},
		{400, "invalidPath", "PATCH", u, op(`{"op":"replace","path":"emails[","value":"7"}`)},
		{400, "invalidPath", "PATCH", u, op(`{"op":"replace","path":"name.nick","value":"7"}`)},
		{400, "mutability", "PATCH", u, op(`{"op":"replace","path":"id","value":"7"}`)},
		{400, "mutability", "PATCH", u, op(`{"op":"replace","path":"groups","value":[]}`)},
		{400, "invalidValue", "PATCH", u, op(`{"op":"remove","path":"userName"}`)},
		{400, "invalidValue", "PATCH", u, op(`{"op":"remove","path":"active"}`)},
		{400, "invalidValue", "PATCH", u, op(off + `,{"op":"replace","path":"active","value":7}`)},
		{400, "invalidValue", "PATCH", u, op(`{"op":"replace","value":"False"}`)},
		{400, "invalidPath", "PATCH", g, op(`{"op":"add","path":"members[value eq \"x\"]","value":"y"}`)},
		{400, "invalidPath", "PATCH", g, op(`{"op":"remove","path":"members[display eq \"x\"]"}`)},
		{400, "invalidPath", "PATCH", g, op(`{"op":"replace","path":"active","value":false}`)},
		{400, "invalidValue", "PATCH", g, op(`{"op":"add","path":"members","value":[7]}`)},
		{400, "invalidValue", "PATCH", g, op(`{"op":"add","path":"members","value":[{"value":"nobody"}]}`)},
		{400, "invalidValue", "POST", "/Groups", `{"members":[]}`},
		{409, "uniqueness", "POST", "/Groups", `{"displayName":"g"}`},
		{404, "", "GET", "/Users/nobody", ""},
		{404, "", "GET", "/Groups/none", ""},
		{404, "", "GET", "/ResourceTypes/Bicycle", ""},
		{413, "", "POST", "/Users", `{"userName":"` + strings.Repeat("a", 65<<10) + `"}`},
	} {
		w.kit.Clock.Advance(time.Minute) // each minute records a few in full
		before := len(w.kit.Recorded("identity.provision-refused"))
		c.refuse(s.status, s.kind, s.method, s.path, s.body)
		es := w.kit.Recorded("identity.provision-refused")
		if s.status != 413 && (len(es) != before+1 || es[len(es)-1].Object != "connection/"+c.conn.ID) {
			t.Errorf("%d: %s %s: %d entries", i, s.method, s.path, len(es)-before)
		}
	}
	c.refuse(415, "", "POST", "/Users", userBody("a@north.canary.invalid", ""), "Content-Type", "text/plain")
	if r := c.want(200, "GET", u, ""); r.body["active"] != true || r.body["meta"].(map[string]any)["version"] != `W/"1-on"` {
		t.Error(r.raw)
	}
	if r := c.want(200, "GET", g, ""); r.body["meta"].(map[string]any)["version"] != `W/"1"` {
		t.Error(r.raw)
	}
	if r := c.want(200, "GET", "/Users", ""); r.body["totalResults"] != 2.0 {
		t.Error(r.raw)
	}
}

// Pages are cut to 200, and together show everybody once.
func TestPages(t *testing.T) {
	w := open(t)
	c, _ := w.team("north")
	for i := range 6 {
		w.kit.Clock.Advance(time.Second)
		c.user(fmt.Sprintf("u%d@north.canary.invalid", i))
	}
	seen := map[string]bool{}
	for start := 1; start <= 7; start += 3 {
		r := c.want(200, "GET", fmt.Sprintf("/Users?startIndex=%d&count=3", start), "")
		if r.body["totalResults"] != 7.0 || r.body["startIndex"] != float64(start) {
			t.Error(r.raw)
		}
		for _, u := range r.body["Resources"].([]any) {
			seen[u.(map[string]any)["id"].(string)] = true
		}
	}
	if len(seen) != 7 {
		t.Errorf("%d of 7", len(seen))
	}
	for q, n := range map[string]float64{"count=0": 0, "count=-4": 0, "startIndex=-3&count=2": 2, "startIndex=99": 0, "count=100000": 7, "attributes=userName&count=1": 1} {
		r := c.want(200, "GET", "/Users?"+q, "")
		if r.body["itemsPerPage"] != n || r.body["totalResults"] != 7.0 {
			t.Errorf("%s: %s", q, r.raw)
		}
		if strings.HasPrefix(q, "attributes") && strings.Contains(r.raw, `"emails"`) {
			t.Error(r.raw)
		}
	}
}

// One userName has one winner, on both engines; and members added at once are all there.
func TestRaces(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		c, _ := w.team("north")
		var wg sync.WaitGroup
		var mu sync.Mutex
		statuses := map[int]int{}
		ids := []string{}
		for i := range 6 {
			wg.Go(func() {
				r := c.do("POST", "/Users", fmt.Sprintf(`{"userName":"Twin","emails":[{"value":"twin%d@north.canary.invalid"}]}`, i/2))
				one := c.do("POST", "/Users", userBody(fmt.Sprintf("m%d@north.canary.invalid", i), ""))
				mu.Lock()
				defer mu.Unlock()
				statuses[r.status]++
				id, _ := one.body["id"].(string)
				ids = append(ids, id)
			})
		}
		wg.Wait()
		if statuses[201] != 1 || statuses[409] != 5 {
			t.Fatalf("%v", statuses)
		}
		group := c.want(201, "POST", "/Groups", `{"displayName":"G"}`).body["id"].(string)
		for i := range 4 {
			wg.Go(func() {
				r := c.do("PATCH", "/Groups/"+group, patchBody(fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":%q}]}`, ids[i])))
				mu.Lock()
				defer mu.Unlock()
				if r.status != 200 {
					t.Errorf("%d %s", r.status, r.raw)
				}
			})
		}
		wg.Wait()
		if r := c.want(200, "GET", "/Groups/"+group, ""); len(r.body["members"].([]any)) != 4 {
			t.Error(r.raw)
		}
		// Off and on at once end in one of both, and never half.
		for range 3 {
			for _, v := range []string{"false", "true"} {
				wg.Go(func() { c.do("PATCH", "/Users/"+ids[0], patchBody(`{"op":"replace","value":{"active":`+v+`}}`)) })
			}
		}
		wg.Wait()
		r := c.want(200, "GET", "/Users/"+ids[0], "")
		if state := w.one(`SELECT state FROM identity_person WHERE id = $1`, ids[0]); (state == "active") != (r.body["active"] == true) {
			t.Errorf("%s %s", state, r.raw)
		}
	}, jobs.Schema(), identity.Schema())
}

func TestDiscovery(t *testing.T) {
	w := open(t)
	c, _ := w.team("north")
	for path, says := range map[string]string{"/ResourceTypes": `"endpoint":"/Users"`, "/ResourceTypes/Group": `"endpoint":"/Groups"`, "/Schemas": `"userName"`,
		"/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group": `"members"`, "/ServiceProviderConfig": `"oauthbearertoken"`} {
		if r := c.want(200, "GET", path, ""); !strings.Contains(r.raw, says) {
			t.Errorf("%s: %s", path, r.raw)
		}
	}
}
