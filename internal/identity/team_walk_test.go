package identity_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"writ/internal/identity"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/web"
)

// walk is two customers' teams and the staff, and what somebody of the one could know of
// the others.
type walk struct {
	*site
	ids      map[string][]string // candidates for a wildcard of a pattern, by its name
	values   map[string][]string // candidates for a field of a body, by its name
	marks    []string            // words that stand in the rows of the other teams alone
	teams    []string
	people   []string
	invite   string // token of an invitation of the other team
	sessions map[string]secret.Text
}

func newWalk(t *testing.T) *walk {
	s := openSite(t)
	w := &walk{site: s, sessions: map[string]secret.Text{}}
	ctx := t.Context()
	person := func(email, name, team, label, role string) identity.MadeCustomer {
		c, err := s.svc.CreateCustomer(ctx, operator, identity.NewCustomer{Email: mailbox(email), Name: name, Password: secret.NewText(good), Team: team, TeamName: label, Role: role})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a := person("adam", "Adam Archer", "", "Anchorage", "admin")
	person("abel", "Abel Arden", a.Team, "", "member")
	z := person("zelda", "Zelda Quill", "", "Zanzibar", "admin")
	y := person("zora", "Zora Quince", z.Team, "", "member")
	b := s.browser()
	b.signIn(mailbox("zora"), good)
	factor := b.enrol().id // a factor that can be lost
	owner, err := s.svc.EnsureOwner(ctx, operator, identity.AddStaff{Email: mailbox("stella"), Name: "Stella Quark", Handle: "stella"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 { // one stays open, one can be taken by whoever has the token
		inv, err := s.svc.Invite(ctx, s.actorOf(mailbox("zelda")), identity.Invite{Email: mailbox(fmt.Sprint("zed", i)), Roles: []string{"member"}})
		if err != nil {
			t.Fatal(err)
		}
		w.invite = tokenOf(t, s.letterOf(mailbox(fmt.Sprint("zed", i)), "invitation").Text)
		w.ids = map[string][]string{"id": {inv.ID}}
	}
	zelda := s.actorOf(mailbox("zelda"))
	zs := zelda.Session
	w.ids["id"] = append(w.ids["id"], zs, z.ID)
	program, err := s.svc.MakeService(ctx, zelda, identity.NewProgram{Name: "zeppelin", Roles: []string{"member"}, Mine: identity.OwnedByMe})
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []string{"", program.ID} {
		token, err := s.svc.IssueToken(ctx, zelda, identity.NewToken{Name: "Zither", Scopes: []string{"orders:read"}, Service: of})
		if err != nil {
			t.Fatal(err)
		}
		w.ids["id"] = append(w.ids["id"], token.ID, program.ID)
	}
	c, _, err := s.svc.Connect(ctx, zelda, identity.NewConnection{Name: "zinnia"})
	if err != nil {
		t.Fatal(err)
	}
	w.ids["id"] = append(w.ids["id"], c.ID, c.Service, factor, w.one(`SELECT id FROM identity_device WHERE person = $1`, y.ID))
	w.ids["team"] = []string{z.Team, "staff", a.Team}
	w.ids["person"] = []string{y.ID, z.ID, owner.ID, mailbox("zora")}
	w.ids["ref"] = append(slices.Clone(w.ids["person"]), program.ID)
	w.ids["token"] = []string{"x"}
	w.values = map[string][]string{"team": {z.Team, "staff"}, "email": {mailbox("zora"), mailbox("walker")}, "role": {"admin", "owner"}, "to": {y.ID}, "from": {z.ID},
		"name": {"Renamed"}, "confirm": {mailbox("zora")}, "invitation": {w.ids["id"][0]}, "session": {zs}, "act": {"resend", "revoke"}, "handle": {"walker"}, "new": {nextPassword},
		"reason": {"I know the voice on the telephone"}, "demand": {"none", "two-factor"}, "scopes": {"orders:read"}, "roles": {"member"}, "service": {program.ID}, "person": w.ids["person"]}
	w.teams, w.people = []string{z.Team, "staff"}, []string{z.ID, y.ID, owner.ID}
	w.marks = []string{"Zanzibar", "Zelda", "Zora", "Zither", "zeppelin", "zinnia", "zelda@", "zora@", "zed0@", "zed1@", "Stella", "stella@"}
	return w
}

// rows are everything that belongs to the other teams, as text.
func (w *walk) rows() string {
	w.t.Helper()
	in := func(ids []string) string { return "('" + strings.Join(ids, "','") + "')" }
	var out []string
	for _, q := range []string{
		`SELECT id || kind || hex(COALESCE(name, '')) || need FROM identity_team WHERE id IN ` + in(w.teams),
		`SELECT id || team || name || service || roles || standard || COALESCE(ended, 0) FROM identity_scim WHERE team IN ` + in(w.teams),
		`SELECT connection || idx || role FROM identity_scim_role WHERE connection IN (SELECT id FROM identity_scim WHERE team IN ` + in(w.teams) + `)`,
		`SELECT id || person || team || role || COALESCE(ended, 0) FROM identity_grant WHERE team IN ` + in(w.teams),
		`SELECT id || staff || team || COALESCE(ended, 0) FROM identity_support WHERE team IN ` + in(w.teams),
		`SELECT id || person FROM identity_device WHERE person IN ` + in(w.people),
		`SELECT team || person || roles || since FROM identity_member WHERE team IN ` + in(w.teams) + ` OR person IN ` + in(w.people),
		`SELECT id || team || idx || hex(COALESCE(about, '')) || roles || inviter || token || expires || COALESCE(ended, 0) || cause || person FROM identity_invitation WHERE team IN ` + in(w.teams),
		`SELECT id || handle || hex(COALESCE(name, '')) || state FROM identity_person WHERE id IN ` + in(w.people),
		`SELECT idx || person || hex(address) || COALESCE(confirmed, 0) FROM identity_address WHERE person IN ` + in(w.people),
		`SELECT person || hex(phc) || COALESCE(locked, 0) FROM identity_password WHERE person IN ` + in(w.people),
		`SELECT id || token || team || COALESCE(ended, 0) || cause FROM identity_session WHERE person IN ` + in(w.people),
		`SELECT id || token || COALESCE(ended, 0) || hex(COALESCE(name, '')) || scopes FROM identity_token WHERE team IN ` + in(w.teams),
		`SELECT id || team || name || owner || roles || COALESCE(ended, 0) FROM identity_service WHERE team IN ` + in(w.teams),
		`SELECT id || kind || hex(COALESCE(name, '')) || COALESCE(confirmed, 0) FROM identity_factor WHERE person IN ` + in(w.people),
		`SELECT code || person || COALESCE(used, 0) FROM identity_recovery WHERE person IN ` + in(w.people),
		`SELECT id || person || asked_by || cause FROM identity_factor_reset WHERE person IN ` + in(w.people),
		`SELECT person || due FROM identity_leaving WHERE person IN ` + in(w.people),
		`SELECT id || person || cause FROM identity_address_change WHERE person IN ` + in(w.people),
	} {
		err := w.kit.DB.Each(w.t.Context(), q, func(scan ledger.Scan) error {
			var s string
			err := scan(&s)
			out = append(out, s)
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// session is a live session of a person; a new one when the former ended on the way.
func (w *walk) session(email string) secret.Text {
	w.t.Helper()
	if email == "" {
		return secret.Text{}
	}
	if _, err := w.svc.Lookup(w.t.Context(), w.sessions[email]); err == nil {
		return w.sessions[email]
	}
	as, err := w.svc.SignIn(w.t.Context(), stranger(len(email)), identity.SignIn{Email: email, Password: secret.NewText(good)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.sessions[email] = as.Token
	return as.Token
}

// ask is one request of a walk.
type ask struct{ method, path, kind, body string }

var wildcard = regexp.MustCompile(`\{([a-z]+)\}`)

// asks are the requests that a route is tried with: every candidate in every place.
func (w *walk) asks(t *testing.T, rt web.Route, signedIn bool) (all []ask) {
	method, pattern, _ := strings.Cut(rt.Pattern, " ")
	paths := []string{pattern}
	for _, m := range wildcard.FindAllStringSubmatch(pattern, -1) {
		cand := w.ids[m[1]]
		if m[1] == "token" && signedIn && strings.HasSuffix(pattern, "/accept") {
			cand = append(slices.Clone(cand), w.invite) // whoever has the link and no session may use it
		}
		if len(cand) == 0 {
			cand = w.ids["id"]
		}
		var next []string
		for _, p := range paths {
			for _, c := range cand {
				next = append(next, strings.Replace(p, m[0], url.PathEscape(c), 1))
			}
		}
		paths = next
	}
	bodies := []ask{{}}
	switch {
	case method == http.MethodGet:
		for _, team := range w.values["team"] {
			for _, after := range w.ids["id"] {
				bodies = append(bodies, ask{path: "?" + url.Values{"team": {team}, "after": {after}, "older": {after}, "ref": {w.ids["ref"][0]}}.Encode()})
			}
		}
	case strings.HasPrefix(pattern, "/-/api/"):
		bodies = w.jsonOf(t, rt)
	default:
		bodies = w.forms()
	}
	for _, p := range paths {
		for _, b := range bodies {
			all = append(all, ask{method, p + b.path, b.kind, b.body})
		}
	}
	return all
}

// variants are the candidates of some fields, turn by turn.
func (w *walk) variants(fields []string) (all []map[string]string) {
	for i := range 4 {
		v := map[string]string{"id": w.ids["id"][i]}
		for j, f := range fields {
			if v[f] == "" {
				v[f] = "x"
			}
			if c := w.values[f]; len(c) > 0 {
				v[f] = c[(i>>(j%2))%len(c)]
			}
		}
		all = append(all, v)
	}
	return all
}

func (w *walk) jsonOf(t *testing.T, rt web.Route) (all []ask) {
	if rt.Doc.In == nil {
		return []ask{{kind: "application/json"}}
	}
	typ := reflect.TypeOf(rt.Doc.In)
	var fields []string
	types := map[string]reflect.Type{}
	for field := range typ.Fields() {
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		fields = append(fields, tag)
		types[tag] = field.Type
	}
	for _, v := range w.variants(fields) {
		m := map[string]any{}
		for k, x := range v {
			switch typ := types[k]; {
			case typ == nil: // not a member, which would spoil the body
			case typ.Kind() == reflect.String || typ == reflect.TypeFor[secret.Text]():
				m[k] = x
			case typ == reflect.TypeFor[[]string]():
				m[k] = []string{x}
			}
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ask{kind: "application/json", body: string(b)})
	}
	return all
}

func (w *walk) forms() (all []ask) {
	for _, v := range w.variants([]string{"email", "team", "role", "person", "invitation", "session", "act", "name", "confirm", "to", "current", "new", "password"}) {
		f := url.Values{}
		for k, x := range v {
			f.Set(k, x)
		}
		all = append(all, ask{kind: "application/x-www-form-urlencoded", body: f.Encode()})
	}
	return all
}

// send makes a request as somebody and returns what came back, redirects not followed.
func (w *walk) send(email string, a ask) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), a.method, w.pages.URL+a.path, strings.NewReader(a.body))
	if err != nil {
		w.t.Fatal(err)
	}
	if a.kind != "" {
		r.Header.Set("Content-Type", a.kind)
		r.Header.Set("Origin", w.pages.URL)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if token := w.session(email); !token.IsZero() {
		r.AddCookie(&http.Cookie{Name: "__Host-writ", Value: token.Reveal()})
	}
	c := *w.pages.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	head, err := json.Marshal(resp.Header)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(b) + string(head)
}

// told are the words of the other teams in an answer that were not in the question.
func (w *walk) told(a ask, answer string) (words []string) {
	q, err := url.QueryUnescape(a.path + " " + a.body)
	if err != nil {
		q = a.path + a.body
	}
	for _, m := range w.marks {
		if strings.Contains(answer, m) && !strings.Contains(q, m) {
			words = append(words, m)
		}
	}
	return words
}

// Over every route of the module and every actor of one team: nobody reads or changes
// what belongs to another team, whatever ids of it they send.
//
// breaks: access.roles, auth.admin-invite
func testNobodyReachesAnotherTeam(t *testing.T) {
	w := newWalk(t)
	routes := append(w.svc.Routes(), w.svc.Pages()...)
	if len(routes) < 70 {
		t.Fatalf("only %d routes", len(routes))
	}
	for _, email := range []string{"", mailbox("abel"), mailbox("adam")} {
		w.session(email)
		before := w.rows()
		for _, rt := range routes {
			for _, a := range w.asks(t, rt, email != "") {
				status, answer := w.send(email, a)
				if words := w.told(a, answer); len(words) > 0 {
					t.Errorf("%q: %s %s %s: %d, and the answer tells %v", email, a.method, a.path, a.body, status, words)
				}
				if status >= 500 {
					t.Errorf("%q: %s %s %s: %d", email, a.method, a.path, a.body, status)
				}
			}
			if after := w.rows(); after != before {
				t.Fatalf("%q: %s changed rows of another team:\n%s\n\n%s", email, rt.Pattern, before, after)
			}
		}
	}
	// The same questions of the team's own admin are answered and have effect, so the walk
	// would have seen it.
	before, told, spoilt := w.rows(), map[string]bool{}, map[string]string{}
	for _, rt := range routes {
		if strings.Contains(rt.Pattern, "leave") {
			continue
		}
		for _, a := range w.asks(t, rt, true) {
			_, answer := w.send(mailbox("zelda"), a)
			if len(w.told(a, answer)) > 0 {
				told[rt.Pattern] = true
			}
			if strings.Contains(answer, "malformed_json") {
				spoilt[rt.Pattern] = a.body
			}
		}
	}
	if w.rows() == before {
		t.Error("the team's own admin changed nothing: the walk is blind")
	}
	for route, body := range spoilt {
		t.Errorf("%s could not read %s: the walk is blind", route, body)
	}
	for _, must := range []string{"GET /-/api/v1/invitations", "GET /-/api/v1/teams/{team}", "GET /-/api/v1/teams/{team}/members", "GET /-/team", "GET /-/team/members/{person}", "GET /-/api/v1/session"} {
		if !told[must] {
			t.Errorf("%s told the team's own admin nothing: the walk is blind", must)
		}
	}
}
