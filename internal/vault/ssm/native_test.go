package ssm_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/vault"
)

func (w *world) put(name, value string, kind vault.Type, more ...func(*vault.Put)) error {
	w.t.Helper()
	in := vault.Put{Name: name, Value: secret.NewText(value), Type: kind, Overwrite: true, Tier: vault.Intelligent}
	for _, f := range more {
		f(&in)
	}
	_, err := w.vault.Put(w.t.Context(), operator, in)
	return err
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) refused(code string, err error) {
	w.t.Helper()
	if got, _ := fault.PublicOf(err); err == nil || got != code {
		w.t.Errorf("%v, want %s", err, code)
	}
}

func ptr[T any](v T) *T { return &v }

// engineer is at work, with a factor of just now.
func (w *world) engineer(roles ...string) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: "eli", Team: vault.Home, TeamKind: "staff", Roles: append(roles, "engineer")[:1], Via: "https", Session: "s", ACR: 3, FactorAt: w.kit.Clock.Now()}
}

// A sensitive name takes a SecureString and nothing else, at every door, and so do all names
// below a sensitive path.
func TestSensitive(t *testing.T) { // breaks: vault.encrypted-store
	each(t, func(t *testing.T, w *world, c client) {
		w.must(w.put("/s/plain", "1", vault.String))
		w.must(w.put("single", "1", vault.String))
		say := func(who actor.Actor, name string, on bool) error {
			_, err := w.vault.SetAbout(t.Context(), who, name, vault.AboutChange{Sensitive: &on})
			return err
		}
		for _, n := range []string{"/s", "/s/plain", "/", "single"} {
			w.refused("plain_below", say(operator, n, true))
		}
		c.good("DeleteParameter", `{"Name":"/s/plain"}`)
		w.must(say(w.engineer(), "/s", true))
		w.refused("sensitive_plain", w.put("/s/a", "1", vault.String))
		w.refused("sensitive_plain", w.put("/s/b/c", "1", vault.StringList))
		c.bad("ValidationException", "PutParameter", `{"Name":"/s/a","Value":"1","Type":"String"}`)
		w.must(w.put("/sx", "1", vault.String)) // another path
		w.must(w.put("/s/a", "1", vault.SecureString))
		w.vault.ChangeType = true
		c.bad("ValidationException", "PutParameter", `{"Name":"/s/a","Value":"1","Type":"String","Overwrite":true}`)
		if n := len(w.kit.Recorded("vault.value-refused")); n != 4 {
			t.Errorf("%d refusals are recorded, not 4", n)
		}
		w.refused("denied", say(w.engineer(), "/s", false)) // it takes more to undo it
		w.must(say(operator, "/s", false))
		w.must(w.put("/s/d", "1", vault.String))
		if _, err := w.vault.RollbackPath(t.Context(), operator, "/s", w.kit.Clock.Now().Add(-time.Minute)); err != nil {
			t.Error(err)
		}
	})
}

// breaks: vault.encrypted-store
func TestControlSeesPlainUnderSensitive(t *testing.T) {
	w := open(t, ledgertest.Open(t, vault.Schema()))
	c := w.client(vault.NewKey{Path: "/"})
	c.good("PutParameter", `{"Name":"/a","Value":"x","Type":"String"}`)
	if r := w.run("vault.sensitive-needs-secure"); r.Outcome != "pass" {
		t.Errorf("%+v", r)
	}
	w.exec(`CREATE TRIGGER lax AFTER INSERT ON vault_about BEGIN UPDATE vault_about SET sensitive = FALSE; END`)
	if r := w.run("vault.sensitive-needs-secure"); r.Outcome != "fail" {
		t.Errorf("%+v", r)
	}
}

// What is said of a path holds below it, the nearest word first; the search finds by it, and
// never by a value.
func TestAboutAndSearch(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		made := w.kit.Clock.Now()
		w.must(w.put("/q/db/password", "findme", vault.SecureString, func(p *vault.Put) { p.Tags = []vault.Tag{{Name: "team", Value: "red"}} }))
		w.must(w.put("/q/db/host", "findme", vault.String))
		w.kit.Clock.Advance(40 * 24 * time.Hour)
		w.must(w.put("/q/web/password", "findme", vault.SecureString, func(p *vault.Put) { p.Tags = []vault.Tag{{Name: "team", Value: "blue"}} }))
		w.must(w.put("/q/db/host", "other", vault.String))
		_, err := w.vault.SetAbout(t.Context(), operator, "/q", vault.AboutChange{Owner: ptr("person/eli"), Rotation: ptr(int64(30)), Clause: ptr("vault.secret-home")})
		w.must(err)
		_, err = w.vault.SetAbout(t.Context(), operator, "/q/web/password", vault.AboutChange{Owner: ptr("person/aud"), Critical: ptr(true)})
		w.must(err)
		_, err = w.vault.SetAbout(t.Context(), operator, "/q/web/password", vault.AboutChange{Sensitive: ptr(true)}) // the rest stays
		w.must(err)
		a, err := w.vault.AboutOf(t.Context(), operator, "/q/web/password")
		if want := (vault.About{Name: "/q/web/password", Owner: "person/aud", Clause: "vault.secret-home", Rotation: 30, Critical: true, Sensitive: true}); err != nil || a != want {
			t.Errorf("%+v %v", a, err)
		}
		all := []string{"/q/db/host", "/q/db/password", "/q/web/password"}
		for name, x := range map[string]struct {
			f    vault.Search
			want []string
		}{
			"all":           {vault.Search{}, all},
			"name":          {vault.Search{Name: "PassWord"}, all[1:]},
			"path":          {vault.Search{Path: "/q/db"}, all[:2]},
			"type":          {vault.Search{Types: []string{"String"}}, all[:1]},
			"tag":           {vault.Search{Tags: map[string]string{"team": ""}}, all[1:]},
			"tag and value": {vault.Search{Tags: map[string]string{"team": "red"}}, all[1:2]},
			"owner":         {vault.Search{Owner: "person/eli"}, all[:2]},
			"clause":        {vault.Search{Clause: "vault.secret-home"}, all},
			"critical":      {vault.Search{Critical: true}, all[2:]},
			"sensitive":     {vault.Search{Sensitive: true}, all[2:]},
			"due":           {vault.Search{Due: true}, all[1:2]},
			"unchanged":     {vault.Search{ChangedBefore: made.Add(time.Hour)}, all[1:2]},
			"changed":       {vault.Search{ChangedAfter: made.Add(time.Hour)}, []string{all[0], all[2]}},
			"old":           {vault.Search{MadeBefore: made.Add(time.Hour)}, all[:2]},
			"new":           {vault.Search{MadeAfter: made.Add(time.Hour)}, all[2:]},
			"two":           {vault.Search{Name: "password", Tags: map[string]string{"team": "blue"}}, all[2:]},
			"a value":       {vault.Search{Name: "findme"}, nil},
		} {
			ds, next, err := w.vault.Search(t.Context(), operator, x.f, vault.Page{Max: 50})
			var got []string
			for _, d := range ds {
				got = append(got, d.Param.Name)
			}
			if err != nil || next != "" || !reflect.DeepEqual(got, x.want) {
				t.Errorf("%s: %v %v, want %v", name, got, err, x.want)
			}
		}
		aud := w.engineer("auditor")
		if _, _, err := w.vault.Search(t.Context(), aud, vault.Search{}, vault.Page{Max: 1}); err != nil { // names, yes
			t.Error(err)
		}
		_, err = w.vault.Diff(t.Context(), aud, "/q/db/host", 1, 2) // whether values are the same, no
		w.refused("denied", err)
		for code, to := range map[string]vault.AboutChange{"owner_unknown": {Owner: ptr("person/nobody")}, "clause_form": {Clause: ptr("Vault")}, "rotation_days": {Rotation: ptr(int64(-1))}} {
			_, err := w.vault.SetAbout(t.Context(), operator, "/q", to)
			w.refused(code, err)
		}
		_, err = w.vault.SetAbout(t.Context(), aud, "/q", vault.AboutChange{Critical: ptr(true)})
		w.refused("denied", err)
	})
}

// What nobody reads any more is found: a read counts, who wrote a value has not read it, and what
// was never read counts from when it was made.
func TestSearchByLastRead(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		day := 24 * time.Hour
		for _, n := range []string{"/r/never", "/r/once", "/r/often"} {
			w.must(w.put(n, "a value", vault.SecureString))
		}
		read := func(name string, how vault.Read) {
			t.Helper()
			_, err := w.vault.Get(t.Context(), operator, vault.Selector{Name: name}, how)
			w.must(err)
		}
		read("/r/once", vault.Read{Decrypt: true})
		first := w.kit.Clock.Now()
		w.kit.Clock.Advance(40 * day)
		read("/r/often", vault.Read{Decrypt: true})
		read("/r/once", vault.Read{})                            // sealed: nobody was given it
		w.must(w.put("/r/once", "another", ""))                  // who writes does not read
		w.must(w.put("/r/young", "a value", vault.SecureString)) // never read, and new
		now := w.kit.Clock.Now()
		for name, x := range map[string]struct {
			f    vault.Search
			want []string
		}{
			"unread":          {vault.Search{ReadBefore: now.Add(-30 * day)}, []string{"/r/never", "/r/once"}},
			"unread, younger": {vault.Search{ReadBefore: now.Add(-41 * day)}, nil},
			"read lately":     {vault.Search{ReadAfter: now.Add(-30 * day)}, []string{"/r/often"}},
			"read":            {vault.Search{ReadAfter: now.Add(-41 * day)}, []string{"/r/often", "/r/once"}},
			"both":            {vault.Search{ReadAfter: now.Add(-41 * day), ReadBefore: now.Add(-30 * day)}, []string{"/r/once"}},
		} {
			ds, _, err := w.vault.Search(t.Context(), operator, x.f, vault.Page{Max: 50})
			var got []string
			for _, d := range ds {
				got = append(got, d.Param.Name)
				if want := map[string]time.Time{"/r/once": first, "/r/often": now}[d.Param.Name]; !d.Read.Equal(want.Truncate(time.Microsecond)) {
					t.Errorf("%s: %s was last read on %s, want %s", name, d.Param.Name, d.Read, want)
				}
			}
			slices.Sort(got)
			slices.Sort(x.want)
			if err != nil || !slices.Equal(got, x.want) {
				t.Errorf("%s: %v %v, want %v", name, got, err, x.want)
			}
		}
	})
}

// Two versions are compared without their values, and the comparison is an entry.
func TestDiff(t *testing.T) { // breaks: vault.access-logged
	each(t, func(t *testing.T, w *world, c client) {
		w.must(w.put("/d/a", "planted-one", vault.SecureString))
		w.must(w.put("/d/a", "planted-one", "", func(p *vault.Put) { p.Description = ptr("words"); p.Pattern = ptr(".*") }))
		w.must(w.put("/d/a", "planted-other", ""))
		d, err := w.vault.Diff(t.Context(), operator, "/d/a", 1, 2)
		if want := (vault.Difference{Name: "/d/a", From: 1, To: 2, Same: true, FromLen: 11, ToLen: 11, Changed: []string{"pattern", "description"}}); err != nil || !reflect.DeepEqual(d, want) {
			t.Errorf("%+v %v", d, err)
		}
		d, err = w.vault.Diff(t.Context(), operator, "/d/a", 1, 0)
		if err != nil || d.Same || d.To != 3 || d.ToLen != 13 || strings.Contains(fmt.Sprintf("%+v", d), "planted") {
			t.Errorf("%+v %v", d, err)
		}
		_, err = w.vault.Diff(t.Context(), operator, "/d/a", 1, 9)
		w.refused("version_unknown", err)
		if n := len(w.kit.Recorded("vault.params-compared")); n != 2 {
			t.Errorf("%d comparisons are recorded", n)
		}
	})
}

// After a rollback of a path to a time, what is read there is what was read then.
func TestRollbackPath(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		type moment struct {
			at    time.Time
			state map[string]string
		}
		rnd := rand.New(rand.NewPCG(7, 11))
		now := map[string]string{}
		var seen []moment
		for range 60 {
			w.kit.Clock.Advance(time.Second)
			name := fmt.Sprintf("/r/%d", rnd.IntN(6))
			v := fmt.Sprint(rnd.IntN(4))
			w.must(w.put(name, v, vault.SecureString))
			now[name] = v
			m := moment{w.kit.Clock.Now(), map[string]string{}}
			for k, x := range now {
				m.state[k] = x
			}
			seen = append(seen, m)
		}
		w.must(w.put("/else", "stays", vault.String))
		before := len(w.kit.Recorded("vault.param-rolled-back"))
		for range 6 {
			w.kit.Clock.Advance(time.Second)
			m := seen[rnd.IntN(len(seen))]
			back, err := w.vault.RollbackPath(t.Context(), operator, "/r", m.at)
			w.must(err)
			before += len(back.Changed)
			for name, want := range m.state {
				v, err := w.vault.Get(t.Context(), operator, vault.Selector{Name: name}, vault.Read{Decrypt: true})
				if err != nil || v.Text.Reveal() != want {
					t.Errorf("%s is %s, not %s (%v)", name, v.Text.Reveal(), want, err)
				}
			}
			if len(back.Newer) != len(now)-len(m.state) || len(back.Changed)+back.Same != len(m.state) {
				t.Errorf("%+v", back)
			}
		}
		if n := len(w.kit.Recorded("vault.param-rolled-back")); n != before {
			t.Errorf("%d entries, not %d", n, before)
		}
		_, err := w.vault.RollbackPath(t.Context(), operator, "/r", w.kit.Clock.Now().Add(time.Hour))
		w.refused("time_future", err)
		reader := w.engineer("auditor")
		_, err = w.vault.RollbackPath(t.Context(), reader, "/r", seen[0].at)
		w.refused("denied", err)

		// Where one cannot go back, none does.
		for i := range 105 {
			c.good("PutParameter", fmt.Sprintf(`{"Name":"/r/0","Value":"x%d","Type":"SecureString","Overwrite":true}`, i))
		}
		_, err = w.vault.RollbackPath(t.Context(), operator, "/r", seen[len(seen)-1].at)
		w.refused("version_dropped", err)
	})
}

// Policies fire at the native doors on every tier.
func TestLifecycleOnEveryTier(t *testing.T) {
	each(t, func(t *testing.T, w *world, _ client) {
		end := w.kit.Clock.Now().Add(time.Hour)
		life := []vault.Lifecycle{{Type: vault.Expiration, Version: "1.0", Attributes: vault.Attributes{Timestamp: end.UTC().Format(time.RFC3339)}}}
		for _, tier := range []string{vault.Standard, vault.Advanced, vault.Intelligent} {
			w.must(w.put("/l/"+tier, "1", vault.String, func(p *vault.Put) { p.Tier, p.Lifecycle = tier, &life }))
		}
		w.must(w.put("/l/stays", "1", vault.String))
		w.kit.Clock.Advance(2 * time.Hour)
		w.must(w.vault.Tend(t.Context()))
		ps, _, err := w.vault.List(t.Context(), operator, vault.Query{Path: "/l"}, vault.Page{Max: 50})
		if err != nil || len(ps) != 1 || ps[0].Name != "/l/stays" {
			t.Errorf("%+v %v", ps, err)
		}
	})
}

// Tier and times that a later version brings or takes away count like those of the first.
func TestTierAndTimesOfLaterVersions(t *testing.T) {
	each(t, func(t *testing.T, w *world, _ client) {
		end := w.kit.Clock.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		life, none := []vault.Lifecycle{{Type: vault.Expiration, Version: "1.0", Attributes: vault.Attributes{Timestamp: end}}}, []vault.Lifecycle{}
		with := func(l *[]vault.Lifecycle, tier string) func(*vault.Put) {
			return func(p *vault.Put) { p.Lifecycle, p.Tier = l, tier }
		}
		w.must(w.put("/l/ends", "1", vault.String, with(nil, vault.Standard)))
		w.must(w.put("/l/ends", "2", vault.String, with(&life, vault.Standard)))
		w.must(w.put("/l/stays", "1", vault.String, with(&life, vault.Advanced)))
		w.must(w.put("/l/stays", "2", vault.String, with(&none, "")))
		w.must(w.put("/l/tier", "1", vault.String, with(nil, vault.Standard)))
		w.must(w.put("/l/tier", "2", vault.String, with(nil, vault.Advanced)))
		w.kit.Clock.Advance(2 * time.Hour)
		w.must(w.vault.Tend(t.Context()))
		ps, _, err := w.vault.List(t.Context(), operator, vault.Query{Path: "/l"}, vault.Page{Max: 50})
		if err != nil || len(ps) != 2 || ps[0].Name != "/l/stays" || ps[1].Name != "/l/tier" || ps[1].Tier != vault.Advanced {
			t.Errorf("%+v %v", ps, err)
		}
		if told := w.kit.Recorded("vault.param-reminded"); len(told) != 0 {
			t.Errorf("told of what is not due any more: %v", told)
		}
	})
}

// The address of a database that says itself that it is public, or not encrypted, is not
// taken as a value; the refusal is an entry and holds nothing of it.
func TestDatabaseAddresses(t *testing.T) { // breaks: vault.db-private
	each(t, func(t *testing.T, w *world, c client) {
		for i, x := range []struct{ value, code string }{
			{"postgres://u:p@8.8.8.8:5432/db", "database_public"},
			{"postgresql://u:p@10.0.0.1:5432,9.9.9.9:5432/db?sslmode=verify-full", "database_public"},
			{"jdbc:postgresql://1.1.1.1/db", "database_public"},
			{"mysql://u:p%40@[2001:4860:4860::8888]:3306/db", "database_public"},
			{"host=8.8.4.4 dbname=x user=y sslmode=require", "database_public"},
			{"postgres:///db?host=8.8.8.8", "database_public"},
			{"postgres:///db?hostaddr=8.8.8.8", "database_public"},
			{"postgres://u:p@8.8.8.8/db@10.0.0.1", "database_public"},
			{"jdbc:sqlserver://8.8.8.8;encrypt=true", "database_public"},
			{"jdbc:sqlserver://db.internal:1433;databaseName=x;encrypt=false", "database_unencrypted"},
			{"postgres://u:p@db.internal/x?sslmode=disable", "database_unencrypted"},
			{"mysql://u:p@10.1.2.3/x?useSSL=false", "database_unencrypted"},
			{"sqlserver://u:p@10.1.2.3?encrypt=disable", "database_unencrypted"},
			{"mongodb://u:p@a.internal,b.internal/x?tls=false", "database_unencrypted"},
			{"host=db.internal dbname=x sslmode=disable", "database_unencrypted"},
			{"postgres://u:p@10.0.0.1:5432/db?sslmode=verify-full", ""},
			{"postgres://u:p@db.example.com/db", ""},
			{"postgres://u:p@localhost/db?sslmode=disable", ""},
			{"postgres://u:p@127.0.0.1:5432/db?sslmode=disable", ""},
			{"postgres:///db?host=/run/postgresql&sslmode=disable", ""},
			{"https://8.8.8.8/?sslmode=disable", ""},
			{"redis://100.64.0.1:6379", ""},
			{"a host=8.8.8.8 in words", ""},
		} {
			switch err := w.put(fmt.Sprintf("/db/%d", i), x.value, vault.SecureString); {
			case x.code == "" && err != nil:
				t.Errorf("%s: %v", x.value, err)
			case x.code != "":
				w.refused(x.code, err)
			}
		}
		c.bad("ValidationException", "PutParameter", `{"Name":"/db/x","Value":"postgres://u:planted@8.8.8.8/db","Type":"SecureString"}`)
		rs := w.kit.Recorded("vault.value-refused")
		if len(rs) != 16 {
			t.Errorf("%d refusals are recorded", len(rs))
		}
		for _, r := range rs {
			if strings.Contains(r.Body, "planted") {
				t.Error(r.Body)
			}
		}
	})
}

func FuzzDatabaseAddress(f *testing.F) {
	for _, s := range []string{"postgres://u:p@8.8.8.8:5432/db?sslmode=disable", "jdbc:mysql://a,b/c?useSSL=no", "host=[::1] user=x", "redis://%", "mongodb+srv://@?tls=0"} {
		f.Add(s)
	}
	w := open(f, ledgertest.Open(f, vault.Schema()))
	f.Fuzz(func(t *testing.T, value string) {
		err := w.vault.CheckDatabase(secret.NewText(value))
		if code, _ := fault.PublicOf(err); err != nil && code != "database_public" && code != "database_unencrypted" {
			t.Errorf("%q: %v", value, err)
		}
	})
}

// Many clients at once, on several names: every version is there once, with what its writer wrote.
func TestManyClientsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world, _ client) {
		const clients, puts = 6, 8
		names := []string{"/m/a", "/m/b", "/m/c"}
		var mu sync.Mutex
		wrote := map[string]string{} // name:version → value
		var wg sync.WaitGroup
		for n := range clients {
			c := w.client(vault.NewKey{Path: "/m"})
			wg.Go(func() {
				for i := range puts {
					name, value := names[(n+i)%len(names)], fmt.Sprintf("%d-%d", n, i)
					s := c.call("PutParameter", fmt.Sprintf(`{"Name":%q,"Value":%q,"Type":"SecureString","Overwrite":true}`, name, value))
					key := fmt.Sprint(name, ":", s.at("Version"))
					mu.Lock()
					if s.status != 200 || wrote[key] != "" {
						t.Errorf("%s: %d %s", key, s.status, s.raw)
					}
					wrote[key] = value
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		total := 0
		c := w.client(vault.NewKey{Path: "/"})
		for _, name := range names {
			s := c.good("GetParameterHistory", fmt.Sprintf(`{"Name":%q,"WithDecryption":true}`, name))
			for i, p := range s.at("Parameters").([]any) {
				m := p.(map[string]any)
				if total++; m["Version"] != float64(i+1) || m["Value"] != wrote[fmt.Sprint(name, ":", i+1)] {
					t.Errorf("%s: %v at %d, wrote %q", name, m, i+1, wrote[fmt.Sprint(name, ":", i+1)])
				}
			}
		}
		if total != clients*puts {
			t.Errorf("%d versions, not %d", total, clients*puts)
		}
	})
}

// The wire's limit on how many there are; the native doors have none.
func TestHowMany(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		c.good("PutParameter", `{"Name":"/n/a","Value":"1","Type":"String"}`)
		row := `INSERT INTO vault_param (id, team, name, type, version, key_id, tier, data_type, pattern, description, lifecycle, made, changed, changed_by)
			SELECT 'x' || n, 'staff', CAST('/many/' || n AS BYTEA), 'String', 1, '', 'Standard', 'text', '', '', '', 1, 1, 'operator/0' FROM (WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10000) SELECT n FROM c) AS many`
		if w.kit.DB.Engine() == "sqlite" {
			row = strings.Replace(row, "AS BYTEA", "AS BLOB", 1)
		} else {
			row = strings.Replace(row, `CAST('/many/' || n AS BYTEA)`, `convert_to('/many/' || n, 'UTF8')`, 1)
		}
		w.exec(row)
		w.kit.Clock.Advance(time.Minute) // an earlier count is too old
		c.bad("ParameterLimitExceeded", "PutParameter", `{"Name":"/n/b","Value":"1","Type":"String"}`)
		c.good("PutParameter", `{"Name":"/n/a","Value":"2","Type":"String","Overwrite":true}`) // no new one
		c.good("PutParameter", `{"Name":"/n/c","Value":"1","Type":"String","Tier":"Advanced"}`)
		w.must(w.put("/n/d", "1", vault.String))
	})
}

// A full disk is a clear refusal, and nothing of the call is kept.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("needs the right to mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	w := open(t, ledgertest.With(t, "sqlite", func(c *ledger.Config) { c.URL = "sqlite:" + filepath.Join(dir, "writ.db") }, vault.Schema()))
	c := w.client(vault.NewKey{Path: "/"})
	put := func(i int) said {
		return c.call("PutParameter", fmt.Sprintf(`{"Name":"/f/a","Value":"%d %s","Type":"SecureString","Overwrite":true}`, i, strings.Repeat("x", 3000)))
	}
	if s := put(1); s.status != 200 {
		t.Fatal(s.raw)
	}
	fill := filepath.Join(dir, "fill")
	_ = os.WriteFile(fill, make([]byte, 8<<20), 0o600) // as much as there is room for
	good := 1
	var last said
	for last = put(good + 1); last.status == 200 && good < 90; last = put(good + 1) {
		good++
	}
	if last.status != 503 || last.code() != "ServiceUnavailable" || !strings.Contains(last.raw, "no room left") {
		t.Errorf("%d %s", last.status, last.raw)
	}
	reads := len(w.kit.Recorded("vault.param-read"))
	if s := c.call("GetParameter", `{"Name":"/f/a","WithDecryption":true}`); (s.status == 200) != (len(w.kit.Recorded("vault.param-read")) == reads+1) { // an entry may have room where a value has none
		t.Errorf("a value left without its entry, or an entry was made of none: %d", s.status)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	s := c.good("GetParameterHistory", `{"Name":"/f/a","WithDecryption":true}`)
	if ps := s.at("Parameters").([]any); len(ps) != good {
		t.Errorf("%d versions, not %d", len(ps), good)
	}
	if s := put(good + 1); s.at("Version") != float64(good+1) {
		t.Error(s.raw)
	}
}

// An access key that this node ends, ends at once; one that another node ended, within a second.
func TestKeyEndsSoon(t *testing.T) { // breaks: vault.access-logged
	each(t, func(t *testing.T, w *world, c client) {
		w.must(w.put("/k/a", "1", vault.SecureString))
		c.good("GetParameter", `{"Name":"/k/a"}`)
		w.exec(`UPDATE vault_access_key SET ended = 1`) // as another node does
		w.kit.Clock.Advance(time.Second)
		c.bad("UnrecognizedClientException", "GetParameter", `{"Name":"/k/a"}`)
		d := w.client(vault.NewKey{Path: "/"})
		d.good("GetParameter", `{"Name":"/k/a"}`)
		w.must(w.vault.EndKey(t.Context(), operator, d.key.ID))
		d.bad("UnrecognizedClientException", "GetParameter", `{"Name":"/k/a"}`)
	})
}
