package web_test

import (
	"context"
	"embed"
	"flag"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

//go:embed testdata/pages
var samplePages embed.FS

var (
	look    = flag.String("look", "", "address to serve the sample pages at, for a person to look at")
	lookFor = flag.Duration("look-for", 10*time.Minute, "how long")
)

var noon = time.Date(2026, 5, 4, 9, 30, 0, 0, time.UTC)

func clock() time.Time { return noon }

func ago(d time.Duration) time.Time { return noon.Add(-d) }

// door lets everybody in as who.
type door struct {
	who actor.Actor
	err error
}

func (d door) Identify(r *http.Request) (actor.Actor, error) {
	if d.who.IsZero() && d.err == nil {
		return web.StrangerOf(r), nil
	}
	return d.who, d.err
}

var (
	ana   = actor.Actor{Kind: actor.Person, ID: "ana", Team: "staff", Roles: []string{"owner"}, Via: "https"}
	cust  = actor.Actor{Kind: actor.Person, ID: "cem", Team: "t1", Roles: []string{"admin"}, Via: "https"}
	socks = actor.Actor{Kind: actor.Operator, ID: "1000", Via: "socket"}
)

func newServer(t testing.TB, routes ...web.Route) *web.Server {
	t.Helper()
	s, err := web.New(web.Deps{
		Brand: func() web.Brand { return web.Brand{Company: "Harbour Ltd", Help: "mailto:help@example.test"} },
		Log:   slog.New(slog.NewTextHandler(io.Discard, nil)),
		Now:   clock, Version: "1",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Mount(routes...); err != nil {
		t.Fatal(err)
	}
	return s
}

func text(s string) web.Span { return web.Span{Text: s} }

func value(s, key string) web.Span {
	return web.Span{Text: s, Value: true, Href: "/-/console/policy/" + key, Title: key}
}

func samplePolicy() []web.Section {
	ev := func(what string, d time.Duration, control, entry string) []web.Evidence {
		return []web.Evidence{{What: what, At: ago(d), Control: control, Entry: entry, Href: "/-/console/record/" + entry, Verify: "/-/console/record/" + entry + "/verify"}}
	}
	return []web.Section{
		{Number: "4", ID: "s4", Title: "Authentication", Intro: "Every person who enters the service is known by an account of their own. Accounts are never shared.", Clauses: []web.Clause{
			{ID: "auth.password-length", Number: "4.1", Href: "/-/console/policy/auth.password-length",
				Says: []web.Span{text("A password has at least "), value("12 characters", "auth.password-length/min"), text(" and is refused when it is found in a list of passwords known to attackers.")},
				Mark: web.Mark{State: web.Holds, At: ago(4 * time.Minute)}, Evidence: ev("eleven characters refused, twelve taken", 4*time.Minute, "identity.length-canary", "48,112")},
			{ID: "auth.reset-link-lifetime", Number: "4.2", Href: "/-/console/policy/auth.reset-link-lifetime",
				Says:     []web.Span{text("A link to set a new password works once and for "), value("24 hours", "auth.reset-link-lifetime/ttl"), text(" after it was sent. A newer link ends the older ones at once.")},
				Mark:     web.Mark{State: web.Broken, At: ago(16 * time.Minute), Href: "/-/console/findings/318"},
				Evidence: ev("opened 24 h 1 s after it was sent, and it worked; expected 410", 16*time.Minute, "identity.reset-canary", "48,097")},
			{ID: "auth.second-factor", Number: "4.3", Href: "/-/console/policy/auth.second-factor",
				Says: []web.Span{text("Staff show a second factor at each sign-in, and again after "), value("12 hours", "auth.second-factor/again"), text(".")},
				Mark: web.Mark{State: web.Excepted, Word: "excepted until 18 May"}, Evidence: ev("two support accounts wait for their keys", 3*24*time.Hour, "", "47,204"),
				Note: "Approved by Ana Lind and Ben Okoro. Ends by itself."},
			{ID: "auth.session-idle", Number: "4.4", Href: "/-/console/policy/auth.session-idle",
				Says: []web.Span{text("A session ends after "), value("30 minutes", "auth.session-idle/after"), text(" without use, and after "), value("14 days", "auth.session-idle/at-most"), text(" in any case. Signing out, a new password, or the loss of a role ends it everywhere within "), value("1 second", "auth.session-idle/everywhere"), text(".")},
				Mark: web.Mark{State: web.Holds, At: ago(40 * time.Second)}, Evidence: ev("1,204 sessions, oldest idle 29 min 12 s", 40*time.Second, "identity.idle-probe", "48,119")},
		}},
		{Number: "5", ID: "s5", Title: "Keeping and erasing data", Clauses: []web.Clause{
			{ID: "data.backup-restore", Number: "5.1", Href: "/-/console/policy/data.backup-restore",
				Says: []web.Span{text("A backup is restored to a separate machine every "), value("90 days", "data.backup-restore/every"), text(", and the time it took is written down.")},
				Mark: web.Mark{State: web.StaleNow, At: ago(96 * 24 * time.Hour)}, Evidence: ev("restored 41 GB in 52 min", 96*24*time.Hour, "recovery.restore", "31,870")},
			{ID: "data.erasure", Number: "5.2", Href: "/-/console/policy/data.erasure",
				Says: []web.Span{text("When a customer leaves, their data is erased within "), value("30 days", "data.erasure/within"), text(", in the backups by destroying its key.")},
				Mark: web.Mark{State: web.Unproved}, Note: "No customer has left since this clause came into force."},
			{ID: "people.training", Number: "5.3", Href: "/-/console/policy/people.training",
				Says: []web.Span{text("All who handle customer data are trained before their first day of access, and once a year after that.")},
				Mark: web.Mark{State: web.ByRecord, At: ago(61 * 24 * time.Hour)}, Evidence: ev("signed by Ana Lind, counts until 4 March 2027", 61*24*time.Hour, "", "36,001")},
		}},
	}
}

func sampleTable() web.Table {
	person := func(name, mail, role string, s web.State, seen time.Duration, n string) web.Row {
		return web.Row{Cells: []web.Cell{{Text: name, Sub: mail, Href: "/-/console/people/" + strings.ToLower(name[:3])}, {Text: role}, {Mark: &web.Mark{State: s, Word: map[web.State]string{web.Holds: "two factors", web.Broken: "password only"}[s]}}, {At: ago(seen)}, {Text: n}, {Text: "sess-9f31c2", Code: true}}}
	}
	return web.Table{
		Caption: "People of the staff team",
		Columns: []web.Column{{Name: "Person", Href: "?sort=person", Sorted: "ascending"}, {Name: "Role", Href: "?sort=role"}, {Name: "Sign-in"}, {Name: "Last seen", Href: "?sort=seen"}, {Name: "Reveals", Figure: true, Href: "?sort=reveals"}, {Name: "Session"}},
		Rows: []web.Row{
			person("Ana Lind", "ana@example.test", "owner", web.Holds, 2*time.Minute, "3"), person("Ben Okoro", "ben@example.test", "owner", web.Holds, 3*time.Hour, "0"),
			person("Chiara Moretti", "chiara@example.test", "engineer", web.Holds, 26*time.Hour, "1,118"), person("Dev Patel", "dev@example.test", "support", web.Broken, 9*24*time.Hour, "42"),
			person("Emil Strand", "emil@example.test", "auditor", web.Holds, 40*24*time.Hour, "0")},
		Filter: &web.Filter{Action: "/-/console/people", Fields: []web.Field{{Name: "q", Label: "Name or address", Type: "search"}, {Name: "role", Label: "Role", Type: "select", Options: []web.Option{{Text: "any"}, {Value: "owner", Text: "owner"}}}}},
		Count:  "1–5 of 23 people", Older: "?after=emil", Export: []web.Link{{Text: "JSON", Href: "?as=json"}, {Text: "CSV", Href: "?as=csv"}},
	}
}

func sampleForm() web.Form {
	return web.Form{Action: "/-/form", Act: "Send invitation", Other: &web.Link{Text: "Cancel", Href: "/-/table"},
		Fields: []web.Field{
			{Name: "email", Label: "Address", Type: "email", Value: "ben@example", Complete: "off", Hint: "They get one link, which works for 7 days.", Required: true},
			{Name: "role", Label: "Role", Type: "radio", Options: []web.Option{{Value: "support", Text: "Support", Hint: "Sees customer data with a reason.", Chosen: true}, {Value: "auditor", Text: "Auditor", Hint: "Reads everything, changes nothing."}}},
			{Name: "why", Label: "Reason", Type: "textarea", Rows: 3},
			{Name: "told", Label: "They know that their acts are recorded", Type: "checkbox"},
		},
		Fault: fault.New(fault.Invalid, "refused", fault.Public{Problem: "The invitation was not sent.", Next: "Mend these two and send it again.",
			Fields: []fault.Field{{Name: "email", Code: "malformed", Problem: "The address has no full domain."}, {Name: "why", Code: "missing", Problem: "A reason is needed; it is part of the record."}}})}
}

func samplePieces() any {
	return map[string]any{
		"Diff": []web.Change{{Where: "4.2 auth.reset-link-lifetime / ttl", Href: "#", Old: "24 hours", New: "8 hours", Way: "tighter"}, {Where: "4.4 auth.session-idle / after", Old: "30 minutes", New: "60 minutes", Way: "looser"}, {Where: "6.1 data.region", Old: "eu-west-1", Way: "text"}},
		"Timeline": []web.Moment{{At: ago(time.Minute), Who: "ana@example.test", What: "approved revision 8", Href: "#", Detail: "second of two approvals; in force from 6 May"}, {At: ago(16 * time.Minute), What: "auth.reset-link-lifetime broke", Href: "#", State: web.Broken},
			{At: ago(5 * time.Hour), Who: "ben@example.test", What: "proposed revision 8"}, {At: ago(30 * 24 * time.Hour), What: "revision 7 came into force", State: web.Holds}},
		"Code":     web.Code{Label: "Sign the revision with your registered key", Text: "ssh-keygen -Y sign -f ~/.ssh/id_ed25519 -n writ-policy revision-8.txt"},
		"Progress": web.Progress{What: "Checking the journal", Done: 48200, Total: 120000, Unit: "entries", Left: 90 * time.Second},
		"Contents": []web.Link{{Text: "1 Purpose", Href: "#"}, {Text: "2 Scope", Href: "#"}, {Text: "3 Roles", Href: "#"}, {Text: "4 Authentication", Href: "#"}},
		"None":     web.Table{Caption: "Incidents", Columns: []web.Column{{Name: "Incident"}}, Empty: web.Empty{Says: "There has been no incident since Writ was started on 2 February.", Next: web.Link{Text: "Hold an exercise", Href: "#"}}},
	}
}

func sampleChrome(context.Context, actor.Actor) web.Chrome {
	return web.Chrome{Company: "Harbour Ltd", Revision: web.Link{Text: "revision 7", Href: "/-/console/policy"},
		State: web.StateLine{State: web.Broken, Says: "131 of 145 hold; 2 broken since 09:14", Href: "/-/console/findings?state=broken"},
		Rail: []web.Group{{Links: []web.Link{{Text: "Policy", Href: "/-/policy", Here: true}, {Text: "Findings", Href: "#"}}}, {Links: []web.Link{{Text: "People", Href: "/-/table"}, {Text: "Secrets", Href: "#"}, {Text: "Gate", Href: "#"}}},
			{Links: []web.Link{{Text: "Watch", Href: "#"}, {Text: "Incidents", Href: "#"}, {Text: "Recovery", Href: "#"}}}, {Links: []web.Link{{Text: "Record", Href: "#"}}}},
		Person: web.Link{Text: "Ana Lind", Href: "/-/account"}, Find: "/-/console/find"}
}

func sampleRoutes(t testing.TB) []web.Route {
	t.Helper()
	files, err := fs.Sub(samplePages, "testdata/pages")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := web.NewPages(files, web.Funcs{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	show := func(path, name string, v web.View) web.Route {
		return web.Route{Pattern: "GET " + path, Who: web.Anyone, Handle: func(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
			return pages.Render(w, r, http.StatusOK, name, v)
		}}
	}
	signIn := web.Form{Action: "/-/sign-in", Act: "Sign in", Other: &web.Link{Text: "I forgot my password", Href: "/-/forgot"}, Fields: []web.Field{
		{Name: "email", Label: "Address", Type: "email", Complete: "username", Required: true}, {Name: "password", Label: "Password", Type: "password", Complete: "current-password", Required: true}}}
	wrong := signIn
	wrong.Fault = fault.New(fault.Unauthenticated, "refused", fault.Public{Problem: "Address and password do not match.", Next: "Try again, or ask for a new password."})
	return []web.Route{
		show("/-/policy", "policy", web.View{Title: "Information security policy", Lead: "In force since 4 April 2026, signed by Ana Lind and Ben Okoro.", Frame: web.Console, Data: samplePolicy()}),
		show("/-/trust", "policy", web.View{Title: "Information security policy", Lead: "In force since 4 April 2026, signed by Ana Lind and Ben Okoro.", Frame: web.Document, Data: samplePolicy()}),
		show("/-/table", "table", web.View{Title: "People", Frame: web.Console, Tabs: []web.Link{{Text: "Staff", Href: "#", Here: true}, {Text: "Customers", Href: "#"}, {Text: "Roles", Href: "#"}},
			Notice: &web.Notice{Says: "Invitation sent to ben@example.test.", Entry: "48,120", Href: "#", Undo: "/-/undo"}, Data: sampleTable()}),
		show("/-/form", "form", web.View{Title: "Invite a person", Lead: "They join the staff team.", Frame: web.Console, Up: &web.Link{Text: "People", Href: "/-/table"}, Data: sampleForm()}),
		show("/-/erase", "form", web.View{Title: "Erase Dev Patel", Frame: web.Console, Up: &web.Link{Text: "People", Href: "/-/table"}, Data: web.Form{Action: "/-/erase", Act: "Erase this person", Loses: "Their name, address and files are lost for ever, in the backups too. The record of their acts stays, without the name.", Fields: []web.Field{{Name: "name", Label: "Type their name", Hint: "Dev Patel"}}}}),
		show("/-/pieces", "pieces", web.View{Title: "Revision 8", Lead: "Proposed by Ben Okoro.", Frame: web.Console, Data: samplePieces()}),
		show("/-/folds", "folds", web.View{Title: "Revision 8", Frame: web.Console, Data: sampleFolds()}),
		show("/-/sign-in", "form", web.View{Title: "Sign in", Frame: web.Plain, Data: signIn}),
		show("/-/wrong", "form", web.View{Title: "Sign in", Frame: web.Plain, Data: wrong}),
		{Pattern: "GET /-/gone", Who: web.Anyone, Handle: func(http.ResponseWriter, *http.Request, actor.Actor) error {
			return fault.New(fault.Gone, "link_dead", fault.Public{Problem: "The link has expired.", Expected: "It worked for 24 hours, until 3 May 14:10.", Next: "Ask for a new one."})
		}},
		{Pattern: "GET /-/console/find", Who: web.Anyone, Handle: func(w http.ResponseWriter, _ *http.Request, _ actor.Actor) error {
			return web.WriteJSON(w, http.StatusOK, web.Hits{Hits: []web.Hit{{Text: "auth.reset-link-lifetime", Kind: "clause", Href: "/-/policy#auth.reset-link-lifetime"}, {Text: "Ana Lind", Kind: "person", Href: "/-/table"}}})
		}},
	}
}

// TestLook serves the sample pages when asked, so that somebody can look at them.
func TestLook(t *testing.T) {
	if *look == "" {
		t.Skip("no -look address")
	}
	s := newServer(t, sampleRoutes(t)...)
	s.SetChrome(sampleChrome)
	srv := &http.Server{Addr: *look, Handler: s.Handler(door{who: ana}), ReadHeaderTimeout: time.Second}
	time.AfterFunc(*lookFor, func() { _ = srv.Close() })
	t.Log(srv.ListenAndServe())
}
