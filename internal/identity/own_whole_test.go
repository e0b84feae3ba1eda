package identity_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

// naming are the columns that say whose a row is.
var naming = []string{"person", "staff", "owner", "inviter"}

// columns reads the schema of this module as the database has it.
func (w *world) columns() map[string][]string {
	w.t.Helper()
	query := `SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name LIKE 'identity\_%' ESCAPE '\'`
	if w.kit.DB.Engine() == "postgres" {
		query = `SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns WHERE table_schema = current_schema() AND table_name LIKE 'identity\_%'`
	}
	out := map[string][]string{}
	err := w.kit.DB.Each(w.t.Context(), query, func(scan ledger.Scan) error {
		var table, column string
		err := scan(&table, &column)
		out[table] = append(out[table], column)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// filled is somebody who has a row wherever there can be one.
func (w *world) filled() (id string, b browser) {
	w.t.Helper()
	ctx := w.t.Context()
	id, email := w.customer("uma")
	other, _ := w.customer("otto")
	b = w.browser()
	b.signIn(email, good)
	b.enrol()
	b.enrolPasskey(newDevice(w.t), "the blue key")
	b.api(202, "POST", "account/address", map[string]any{"email": mailbox("uma.new"), "current": good})
	b.api(201, "POST", "tokens", map[string]any{"name": "laptop", "scopes": []string{"orders:read"}, "days": 30})
	b.api(200, "POST", "account/leave", map[string]any{"current": good})
	b.api(202, "POST", "recovery", map[string]any{"email": email})
	w.drain()
	w.browser().signIn(email, good) // waits for a factor
	seal := func(sub keyring.Subject, column, row, text string) []byte {
		box, err := w.svc.Seal(ctx, sub, column, row, text)
		if err != nil {
			w.t.Fatal(err)
		}
		return box
	}
	mine, team := keyring.Person(id), w.one(`SELECT team FROM identity_member WHERE person = $1`, id)
	w.exec(`INSERT INTO identity_factor_reset (id, person, asked_by, reason, asked, agreed_by, ended, cause) VALUES ('fr1', $1, $2, $3, 1, '', 2, 'withdrawn')`, id, other, seal(mine, "identity_factor_reset.reason", "fr1", "lost the phone"))
	w.exec(`INSERT INTO identity_invitation (id, team, idx, about, roles, inviter, token, bits, issued, expires, ended, cause, person, taken_by) VALUES ('i1', $1, 'x', NULL, 'member', $2, 't1', 256, 1, 2, 2, 'accepted', $3, '')`, team, id, other)
	w.exec(`INSERT INTO identity_invitation (id, team, idx, about, roles, inviter, token, bits, issued, expires, ended, cause, person, taken_by) VALUES ('i2', $1, 'y', NULL, 'member', $3, 't2', 256, 1, 2, 2, 'accepted', $2, '')`, team, id, other)
	w.exec(`INSERT INTO identity_grant (id, person, team, role, need, reason, asked, until, grantor, approver, began, ended, cause) VALUES ('g1', $1, $2, 'engineer', '', 'night shift', 1, 2, '', '', 1, 2, 'time')`, id, team)
	w.exec(`INSERT INTO identity_review (id, kind, opened, due, closed, opener) VALUES ('r1', 'all', 1, 2, 3, '')`)
	w.exec(`INSERT INTO identity_review_item (id, review, person, team, kind, held, role, why, decision, outcome, reviewer, reason, decided) VALUES ('ri1', 'r1', $1, $2, 'role', 'engineer', 'engineer', '', 'keep', 'kept', '', 'still needed', 2)`, id, team)
	w.exec(`INSERT INTO identity_use (person, action, day, n) VALUES ($1, 'journal.read', 0, 4)`, id)
	w.exec(`INSERT INTO identity_service (id, team, name, owner, roles, created, ended) VALUES ('v1', $1, 'export', $2, 'member', 1, NULL)`, team, id)
	w.exec(`INSERT INTO identity_import (id, spec, team, issuer, begun, ended, made, reset, known, refused) VALUES ('m1', '', '', '', 1, 2, 1, 0, 0, 0)`)
	w.exec(`INSERT INTO identity_legacy (person, import, format, imported) VALUES ($1, 'm1', 'sha256-salted', 1)`, id)
	w.exec(`INSERT INTO identity_scim (id, team, name, service, roles, standard, maker, made, ended) VALUES ('c1', $1, 'people', 'v1', 'member', '', '', 1, NULL)`, team)
	w.exec(`INSERT INTO identity_scim_user (connection, person, uname, ext, about, version, created, changed, off, ended) VALUES ('c1', $1, 'u', 'e', $2, 1, 1, 1, NULL, NULL)`, id,
		seal(mine, "identity_scim_user.about", "c1/"+id, `{"u":"uma@corp.example","x":"4711","g":"Uma","f":"Berg"}`))
	w.exec(`INSERT INTO identity_scim_group (id, connection, idx, ext, about, role, version, created, changed, ended) VALUES ('gr1', 'c1', 'x', '', $1, '', 1, 1, 1, NULL)`, seal(keyring.Class("identity.team"), "identity_scim_group.about", "c1/gr1", `{"n":"Kitchen"}`))
	w.exec(`INSERT INTO identity_scim_member (grp, person) VALUES ('gr1', $1)`, id)
	const look = `INSERT INTO identity_support (id, token, staff, session, person, team, reason, ticket, writes, began, until, agreed_by, agreed, ended, cause) VALUES ($1, $1, $2, 's', $3, $4, NULL, 'T-9', 0, 1, 2, '', NULL, 2, 'over')`
	w.exec(look, "l1", other, id, team)
	w.exec(look, "l2", id, other, w.one(`SELECT team FROM identity_member WHERE person = $1`, other))
	return id, b
}

// A copy holds the rows of every table that names its person, or says what it leaves out.
// A new table is in neither list and fails this test.
func TestCopyIsWhole(t *testing.T) { // breaks: data.crypto-erase
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, underName)
		id, b := w.filled()
		got := b.api(200, "POST", "account/export", nil)
		tables, left := w.columns(), identity.NotInCopy()
		if len(tables) < 40 {
			t.Fatalf("only %d tables", len(tables))
		}
		want := map[string]int{}
		for table, columns := range tables {
			for _, c := range columns {
				if !slices.Contains(naming, c) {
					continue
				}
				part := identity.InCopy[table]
				if part == "" && !left[table] {
					t.Errorf("%s.%s names a person, and the table is neither in the copy nor in the list of what is left out", table, c)
				}
				if strings.HasPrefix(table, "identity_oidc_") || table == "identity_upstream_link" || left[table] { // read by children, and looked at there
					continue
				}
				n, err := strconv.Atoi(w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM `+table+` WHERE `+c+` = $1`, id))
				if err != nil || n == 0 {
					t.Errorf("nothing was planted in %s.%s: %v", table, c, err)
				}
				switch {
				case table == "identity_support" && c == "staff":
					part = "looks_made"
				case table == "identity_scim_member", table == "identity_recovery":
					n = 0 // within their part
				}
				want[part] += n
			}
		}
		for part, n := range want {
			switch v := got[part].(type) {
			case []any:
				if len(v) != n {
					t.Errorf("%s has %d entries of %d rows: %v", part, len(v), n, v)
				}
			case nil:
				t.Errorf("the copy has no %s", part)
			}
		}
		raw, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"uma@corp.example", "4711", "Berg", "Kitchen", "the blue key", "lost the phone", "night shift", "still needed", "laptop", `"left":10`, "sha256-salted", mailbox("uma.new")} {
			if !strings.Contains(string(raw), word) {
				t.Errorf("the copy does not say %q", word)
			}
		}
		for k := range left { // what is left out is there to be left out, and its words are not in the copy
			table, column, _ := strings.Cut(k, ".")
			if tables[table] == nil || column != "" && !slices.Contains(tables[table], column) {
				t.Errorf("%s is left out and is nowhere", k)
			}
		}
		for table := range identity.InCopy {
			if tables[table] == nil {
				t.Errorf("%s is in the copy and is nowhere", table)
			}
		}
		for _, secret := range []string{`SELECT MAX(token) FROM identity_session WHERE person = $1`, `SELECT MAX(token) FROM identity_device WHERE person = $1`, `SELECT MAX(token) FROM identity_token WHERE person = $1`,
			`SELECT MAX(code) FROM identity_recovery WHERE person = $1`, `SELECT MAX(mark) FROM identity_factor WHERE person = $1`, `SELECT MAX(token) FROM identity_link WHERE person = $1`, `SELECT MAX(bind) FROM identity_flow WHERE person = $1`} {
			if v := w.one(secret, id); v == "" || strings.Contains(string(raw), v) {
				t.Errorf("the copy holds what is secret: %s", secret)
			}
		}
		if n := len(got["left_out"].([]any)); n != len(identity.LeftOutOfCopy()) || n == 0 {
			t.Errorf("%d things are left out", n)
		}
	}, jobs.Schema(), identity.Schema())
}

// The operator makes a copy with a reason, which the person can read, and is told of.
func TestOperatorExports(t *testing.T) { // breaks: use.need-to-see
	w := open(t)
	id, email := w.customer("uma")
	w.entries = []journal.Entry{{N: 7, Subject: id, Act: "identity.signed-in"}}
	if _, err := w.svc.ExportPerson(t.Context(), operator, email, " "); fault.KindOf(err) != fault.Invalid {
		t.Errorf("without a reason: %v", err)
	}
	d, err := w.svc.ExportPerson(t.Context(), operator, email, "asked by letter of 3 May")
	if err != nil || d.Person.Email != email || len(d.Entries) != 1 {
		t.Fatalf("%+v %v", d, err)
	}
	w.letterOf(email, "copied")
	for _, role := range []string{"engineer", "support", "auditor"} {
		who := actor.Actor{Kind: actor.Person, ID: "x", Session: "s", Roles: []string{role}, ACR: 2, FactorAt: w.kit.Clock.Now(), Via: "https"}
		if _, err := w.svc.ExportPerson(t.Context(), who, email, "curious"); fault.KindOf(err) != fault.Denied {
			t.Errorf("%s: %v", role, err)
		}
	}
}

// A reset is a letter to the person, never a password or a link in other hands.
func TestOperatorStartsReset(t *testing.T) { // breaks: auth.reset-sets-new
	w := open(t)
	_, email := w.customer("rut")
	if err := w.svc.StartReset(t.Context(), operator, email, ""); fault.KindOf(err) != fault.Invalid {
		t.Errorf("without a reason: %v", err)
	}
	if err := w.svc.StartReset(t.Context(), operator, email, "called from the number in her file"); err != nil {
		t.Fatal(err)
	}
	token := tokenOf(t, w.letterOf(email, "reset").Text)
	b := w.browser()
	b.signIn(email, good)                                                                 // the former one works until the link is used
	b.api(410, "POST", "recovery/"+token, map[string]any{"new": "another long phrase 3"}) // and a sign-in ends the link
	made, err := w.svc.AddStaff(t.Context(), operator, identity.AddStaff{Email: mailbox("nils"), Handle: "nils", Roles: []string{"engineer"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.svc.StartReset(t.Context(), operator, made.ID, "lost it"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("somebody without a password: %v", err)
	}
}

// Staff take a browser's leave away with a reason.
func TestStaffForgetBrowsers(t *testing.T) { // breaks: auth.best-practice
	s := openSite(t)
	_, email := s.remembering("cleo")
	bs, err := s.svc.BrowsersOf(t.Context(), operator, email)
	if err != nil || len(bs) != 2 || bs[0].Name != "Firefox on Linux" || !bs[0].Until.Equal(bs[0].Since.Add(48*time.Hour)) {
		t.Fatalf("%+v %v", bs, err)
	}
	if _, err := s.svc.ForgetBrowserOf(t.Context(), operator, email, "", "x"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("without a reason: %v", err)
	}
	auditor := actor.Actor{Kind: actor.Person, ID: "x", Session: "s", Roles: []string{"auditor"}, ACR: 2, FactorAt: s.kit.Clock.Now(), Via: "https"}
	if _, err := s.svc.ForgetBrowserOf(t.Context(), auditor, email, "", "curious"); fault.KindOf(err) != fault.Denied {
		t.Errorf("an auditor: %v", err)
	}
	if n, err := s.svc.ForgetBrowserOf(t.Context(), operator, email, bs[1].ID, "a stolen laptop"); n != 1 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if n, err := s.svc.ForgetBrowserOf(t.Context(), operator, email, "", "a stolen phone"); n != 1 || err != nil {
		t.Errorf("all: %d %v", n, err)
	}
	if _, err := s.svc.ForgetBrowserOf(t.Context(), operator, email, "", "once more"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("none is left: %v", err)
	}
}
