package rotate_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/rotate"
)

// A step that fails leaves the former version newest and working, is one entry however often
// it is tried, breaks the clause, and is gone on with by itself when its cause is gone.
func TestFailureKeepsTheFormer(t *testing.T) { // breaks: crypto.key-rotation
	const name = "/shop/db/url"
	for code, c := range map[string]struct{ spoil, mend func(w *world) }{
		"admin_gone":    {func(w *world) { w.must(w.vault.Delete(t.Context(), operator, "/ops/admin")) }, func(w *world) { w.put("/ops/admin", w.address(w.base+"_adm", "adm")) }},
		"admin_refused": {func(w *world) { w.put("/ops/admin", w.address(w.base+"_adm", "wrong")) }, func(w *world) { w.put("/ops/admin", w.address(w.base+"_adm", "adm")) }},
		"address_form":  {func(w *world) { w.put("/ops/admin", "no address") }, func(w *world) { w.put("/ops/admin", w.address(w.base+"_adm", "adm")) }},
		"unreachable":   {func(w *world) { w.put("/ops/admin", "postgres://a:b@127.0.0.1:1/db") }, func(w *world) { w.put("/ops/admin", w.address(w.base+"_adm", "adm")) }},
		"admin_right":   {func(w *world) { w.sql("ALTER ROLE " + w.base + "_adm NOCREATEROLE") }, func(w *world) { w.sql("ALTER ROLE " + w.base + "_adm CREATEROLE") }},
		"owner_strong":  {func(w *world) { w.sql("ALTER ROLE " + w.base + " CREATEDB") }, func(w *world) { w.sql("ALTER ROLE " + w.base + " NOCREATEDB") }},
		"role_taken":    {func(w *world) { w.sql("CREATE ROLE " + w.base + "_b") }, func(w *world) { w.sql("GRANT " + w.base + " TO " + w.base + "_b") }},
		"login_refused": {func(w *world) {
			w.sql("ALTER DATABASE "+w.database()+" CONNECTION LIMIT -1", "REVOKE CONNECT ON DATABASE "+w.database()+" FROM public", "GRANT CONNECT ON DATABASE "+w.database()+" TO "+w.base+"_adm, "+w.base+"_a")
		},
			func(w *world) { w.sql("GRANT CONNECT ON DATABASE " + w.database() + " TO public") }},
		"value_refused": {func(w *world) { w.pattern(name, "^nothing$") }, func(w *world) { w.pattern(name, "") }},
	} {
		t.Run(code, func(t *testing.T) {
			w := open(t, kitOf(t))
			r, err := w.svc.Add(t.Context(), w.eli(), w.role(name))
			w.must(err)
			w.clock.Advance(25 * time.Hour)
			w.must(w.svc.Tend(t.Context()))
			w.expect("vault.rotations-on-time", clause.Pass, "0 stand still")
			c.spoil(w)
			former := w.value(name)
			w.must(w.again(name))
			for range 3 {
				w.clock.Advance(time.Hour)
				w.must(w.svc.Tend(t.Context()))
			}
			now := w.of(name)
			if now.Problem != code || now.Says.Next == "" || now.Again.IsZero() || w.value(name) != former {
				w.t.Fatalf("%+v", now)
			}
			w.must(logsIn(former))
			w.expect("vault.rotations-on-time", clause.Fail, name+" ("+code+")")
			failed := w.kit.Recorded("vault.rotation-failed")
			if len(failed) != 1 || failed[0].Fields["code"] != code || failed[0].Object != "rotation/"+r.ID {
				t.Errorf("%+v", failed)
			}
			c.mend(w)
			w.clock.Advance(time.Hour)
			w.must(w.svc.Tend(t.Context()))
			if now := w.of(name); now.State != "promoted" || now.Problem != "" || w.value(name) == former {
				t.Errorf("mended: %+v", now)
			}
			w.must(logsIn(w.value(name)))
			w.expect("vault.rotations-on-time", clause.Pass, "0 stand still")
		})
	}
}

// A database that asks for no password makes a test worthless; nothing is promoted there.
func TestPasswordMustBeAsked(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		const name = "/shop/writ-key"
		w.knock = func(context.Context, string, secret.Text) (string, error) { return "", nil }
		r, err := w.svc.Add(t.Context(), operator, rotate.Wish{Name: name, Kind: rotate.AccessKey, Spec: rotate.Spec{Path: "/shop"}})
		w.must(err)
		if r.Problem != "password_unchecked" || r.State != "planned" {
			t.Errorf("%+v", r)
		}
		if _, err := w.vault.Show(t.Context(), operator, name); err == nil {
			t.Error("a value was stored that nothing was tested of")
		}
		w.knock = nil
		w.clock.Advance(time.Hour)
		w.must(w.svc.Tend(t.Context())) // makes it again, and goes on
		w.must(w.works(rotate.AccessKey, w.value(name)))
		if issued := w.kit.Recorded("vault.access-key-issued"); len(issued) != 1 {
			t.Errorf("%d keys were issued", len(issued))
		}
	})
}

// database is the name of the server's database.
func (w *world) database() string { return w.ask("SELECT current_database()") }

// pattern sets what each value of a name must match, with a new version of the value it has.
func (w *world) pattern(name, pattern string) {
	w.t.Helper()
	w.exec(`UPDATE vault_param SET pattern = $2 WHERE name = $1`, []byte(name), pattern)
}

// What is stored and does not let in is taken back: programs read the former value again,
// and whoever knew it is known to know it.
func TestStoredAndRefusedIsTakenBack(t *testing.T) { // breaks: crypto.key-rotation, vault.access-logged
	both(t, func(w *world) {
		const name = "/shop/db/url"
		r, err := w.svc.Add(t.Context(), w.eli(), w.role(name))
		w.must(err)
		_, err = w.svc.Replace(t.Context(), w.eli(), name, true)
		w.must(err)
		former := w.value(name)
		w.svc.StopAt(func(step string) error {
			if step == "stored after" {
				w.sql("ALTER ROLE " + w.base + "_b NOLOGIN")
			}
			return nil
		})
		w.must(w.again(name))
		w.svc.StopAt(nil)
		if now := w.of(name); now.Problem != "login_refused" || now.State != "planned" || w.value(name) != former || w.versions(name) != 3 {
			w.t.Fatalf("%+v", now)
		}
		w.must(logsIn(former))
		known, err := w.vault.SeenBy(t.Context(), operator, "operator/0")
		w.must(err)
		if !slices.ContainsFunc(known, func(s vault.Seen) bool { return s.Name == name && s.Version == 1 }) {
			t.Errorf("who knows the former value: %+v", known)
		}
		w.clock.Advance(time.Hour)
		w.must(w.svc.Tend(t.Context()))
		w.must(logsIn(w.value(name)))
		if got := w.steps(r.ID); !slices.Equal(got[len(got)-5:], []string{"put-back", "created", "tested", "stored", "promoted"}) {
			t.Errorf("%v", got)
		}
	})
}

// A value that somebody writes by hand in between stays: nothing of theirs is changed.
func TestHandsComeFirst(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		const name = "/shop/writ-key"
		_, err := w.svc.Add(t.Context(), operator, rotate.Wish{Name: name, Kind: rotate.AccessKey, Spec: rotate.Spec{Path: "/shop"}})
		w.must(err)
		_, err = w.svc.Replace(t.Context(), operator, name, true)
		w.must(err)
		for _, when := range []string{"tested after", "stored after"} {
			key, err := w.vault.IssueKey(t.Context(), operator, vault.NewKey{Path: "/shop"})
			w.must(err)
			hand := "key " + key.ID + " " + key.Secret.Reveal()
			w.svc.StopAt(func(step string) error {
				if step == when {
					w.put(name, hand)
				}
				return nil
			})
			w.must(w.again(name))
			w.svc.StopAt(nil)
			r := w.of(name)
			if r.Problem != "written_by_hand" || r.State != "idle" || w.value(name) != hand {
				w.t.Fatalf("%s: %+v", when, r)
			}
			w.refused("key_ended", w.keyIs(r.Fresh)) // nobody was given it
			w.clock.Advance(time.Hour)
			w.must(w.svc.Tend(t.Context())) // and begins anew
			w.must(w.works(rotate.AccessKey, hand))
			w.must(w.works(rotate.AccessKey, w.value(name)))
			if r := w.of(name); r.State != "promoted" || r.Old != key.ID {
				t.Errorf("%+v", r)
			}
			_, err = w.svc.Replace(t.Context(), operator, name, true)
			w.must(err)
			w.refused("key_ended", w.works(rotate.AccessKey, hand))
		}
	})
}

// keyIs says how a key stands.
func (w *world) keyIs(id string) error {
	_, _, err := w.vault.Caller(w.t.Context(), id, secret.Text{})
	return err
}

// Somebody goes back to the former value within its grace: it is not ended under the
// programs that read it. The new one goes instead, and the rotation has failed until it is
// asked for anew.
func TestGoingBackTurnsItAround(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		const name = "/shop/db/url"
		_, err := w.svc.Add(t.Context(), w.eli(), w.role(name))
		w.must(err)
		_, err = w.svc.Replace(t.Context(), w.eli(), name, true)
		w.must(err)
		former := w.value(name)
		w.must(w.again(name))
		fresh := w.value(name)
		_, err = w.vault.Rollback(t.Context(), w.eli(), name, 1)
		w.must(err)
		for range 3 {
			w.clock.Advance(25 * time.Hour)
			w.must(w.svc.Tend(t.Context()))
			w.must(logsIn(former))
		}
		if r := w.of(name); r.State != "idle" || r.Problem != "put_back" || w.value(name) != former || logsIn(fresh) == nil {
			w.t.Fatalf("%+v", r)
		}
		w.expect("vault.rotations-on-time", clause.Fail, "put_back")
		w.must(w.again(name))
		w.clock.Advance(25 * time.Hour)
		w.must(w.svc.Tend(t.Context()))
		if r := w.of(name); r.State != "idle" || r.Problem != "" || logsIn(former) == nil || logsIn(w.value(name)) != nil {
			t.Errorf("%+v", r)
		}
	})
}

// What somebody knows who left is replaced by itself; of what somebody knows who is about to,
// what can be is, and the rest is named.
func TestLeaversKnowNothing(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		const name = "/shop/db/url"
		_, err := w.svc.Add(t.Context(), operator, w.role(name))
		w.must(err)
		_, err = w.svc.Replace(t.Context(), operator, name, true)
		w.must(err)
		w.put("/shop/by-hand", "a password")
		for _, n := range []string{name, "/shop/by-hand"} {
			_, err := w.vault.Get(t.Context(), w.eli(), vault.Selector{Name: n}, vault.Read{Decrypt: true, Reason: "x"})
			w.must(err)
		}
		_, err = w.svc.ReplaceKnown(t.Context(), w.eli(), "operator/0")
		if err == nil {
			t.Error("an engineer acts on what another knows")
		}
		first := w.value(name)
		k, err := w.svc.ReplaceKnown(t.Context(), operator, "person/eli")
		w.must(err)
		if !slices.Equal(k.Replaced, []string{name}) || !slices.Equal(k.Left, []string{"/shop/by-hand"}) || len(k.Failed) != 0 || w.value(name) == first {
			w.t.Fatalf("%+v", k)
		}
		w.clock.Advance(25 * time.Hour)
		w.must(w.svc.Tend(t.Context()))
		second := w.value(name)
		_, err = w.vault.Get(t.Context(), w.eli(), vault.Selector{Name: name}, vault.Read{Decrypt: true, Reason: "x"})
		w.must(err)
		w.must(w.svc.Tend(t.Context()))
		if w.value(name) != second {
			t.Error("it is replaced though nobody left")
		}
		delete(w.owners, "person/eli")
		w.expect("vault.leavers-know-nothing", clause.Fail, "still know 2")
		w.must(w.svc.Tend(t.Context()))
		if r := w.of(name); r.Cause != "left" || w.value(name) == second {
			t.Errorf("%+v", r)
		}
		w.expect("vault.leavers-know-nothing", clause.Fail, "still know 1")
		w.clock.Advance(25 * time.Hour)
		w.must(w.svc.Tend(t.Context()))
		third := w.value(name)
		w.clock.Advance(time.Minute)
		w.must(w.svc.Tend(t.Context()))
		if w.value(name) != third || logsIn(second) == nil {
			t.Error("it does not come to an end")
		}
	})
}

// No password, no secret of a key and no address is in the record, in a log, or in clear in
// the tables.
func TestRotationTellsNothing(t *testing.T) { // breaks: vault.encrypted-store, vault.access-logged
	both(t, func(w *world) {
		const name = "/shop/db/url"
		_, err := w.svc.Add(t.Context(), w.eli(), w.role(name))
		w.must(err)
		_, err = w.svc.Replace(t.Context(), w.eli(), name, true)
		w.must(err)
		_, err = w.svc.Replace(t.Context(), w.eli(), name, true)
		w.must(err)
		w.put("/ops/admin", w.address(w.base+"_adm", "wrong-one"))
		w.must(w.again(name))
		password := strings.Split(strings.Split(w.value(name), "@")[0], ":")[2]
		if len(password) != 40 {
			w.t.Fatal("what is looked for is no password")
		}
		var stored strings.Builder
		for _, q := range []string{`SELECT state, spec, box FROM vault_rotation`, `SELECT name, body, payload FROM ledger_pending`} {
			w.must(w.db.Each(t.Context(), q, func(scan ledger.Scan) error {
				var a, b, c []byte
				err := scan(&a, &b, &c)
				fmt.Fprintf(&stored, "%s\n%s\n%s\n", a, b, c)
				return err
			}))
		}
		for _, where := range []string{stored.String(), w.log.String()} {
			if strings.Contains(where, password) || strings.Contains(where, "wrong-one") || where == "" {
				t.Errorf("it is told: %.300s", where)
			}
		}
		if statements := w.ask("SELECT coalesce(string_agg(query, ' '), '') FROM pg_stat_activity"); strings.Contains(statements, password) {
			t.Error("the password was in a statement")
		}
		reads := 0
		for _, e := range w.kit.Recorded("vault.param-read") {
			if e.Actor == "writ/vault-rotate" {
				reads++
			}
		}
		if reads < 4 {
			t.Errorf("%d entries of what the server read itself", reads)
		}
	})
}

var errCut = errors.New("cut")

// Cut at any step, before it, between the act and its record, or after it, and opened anew: a
// rotation comes to the same end, each step is in the record once, and at no moment do
// programs read a value that does not let them in.
func TestRotationSurvivesCuts(t *testing.T) { // breaks: crypto.key-rotation
	for _, kind := range []string{rotate.Postgres, rotate.AccessKey} {
		t.Run(kind, func(t *testing.T) {
			both(t, func(w *world) { w.cuts(kind) })
		})
	}
}

func (w *world) cuts(kind string) {
	const name = "/shop/value"
	t, ctx := w.t, w.t.Context()
	in := rotate.Wish{Name: name, Kind: kind, Spec: rotate.Spec{Path: "/shop"}}
	if kind == rotate.Postgres {
		in = w.role(name)
	}
	r, err := w.svc.Add(ctx, operator, in)
	w.must(err)
	w.clock.Advance(25 * time.Hour)
	w.must(w.svc.Tend(ctx))
	cut := map[string]bool{}
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		former, before := w.value(name), w.versions(name)
		w.clock.Set(w.of(name).Due)
		for tries := 0; ; tries++ {
			after := rnd.IntN(9)
			if tries > 8 {
				after = 1000
			}
			w.svc.StopAt(func(step string) error {
				if after--; after < 0 {
					cut[step] = true
					return errCut
				}
				return nil
			})
			err := w.svc.Tend(ctx)
			if err != nil && !errors.Is(err, errCut) {
				w.t.Fatal(err)
			}
			if err := w.works(kind, w.value(name)); err != nil {
				w.t.Fatalf("seed %d: what programs read does not let them in: %v", seed, err)
			}
			now := w.of(name)
			if err == nil && now.State == "idle" {
				break
			}
			if now.State != "promoted" && now.State != "revoked" && now.State != "idle" {
				w.must(w.works(kind, former))
			}
			if rnd.IntN(4) == 0 {
				w = w.reopened()
			}
			w.clock.Advance(13 * time.Hour)
		}
		if w.works(kind, former) == nil || w.versions(name) != before+1 {
			w.t.Fatalf("seed %d: the former value lets in still, or was written again", seed)
		}
	}
	w.svc.StopAt(nil)
	got := w.steps(r.ID)
	for i, step := range got {
		if step != whole[i%len(whole)] || len(got) != 31*len(whole) {
			w.t.Fatalf("step %d of %d is %s, want %s", i, len(got), step, whole[i%len(whole)])
		}
	}
	if len(cut) < 21 {
		t.Errorf("cut only at %d steps: %v", len(cut), cut)
	}
}

// reopened is the same server after a restart.
func (w *world) reopened() *world {
	w.kit.Reopen()
	n := with(w.t, w.kit.DB, w.kit.Ring, w.clock)
	n.kit, n.base, n.target, n.every, n.knock = w.kit, w.base, w.target, w.every, w.knock
	return n
}

// Two servers that work on one rotation at the same time do each step once.
func TestTwoServersOneRotation(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		const name = "/shop/db/url"
		r, err := w.svc.Add(t.Context(), operator, w.role(name))
		w.must(err)
		w.clock.Advance(25 * time.Hour)
		var inside error
		w.svc.StopAt(func(step string) error {
			if step == "revoked" {
				w.clock.Advance(time.Minute) // within the hold
				inside = w.again(name)
			}
			return nil
		})
		w.must(w.svc.Tend(t.Context()))
		w.refused("rotation_busy", inside)
		w.svc.StopAt(func(step string) error {
			if step == "created" {
				w.svc.StopAt(nil)
				w.clock.Advance(3 * time.Minute) // it stood still for longer than its hold
				w.must(w.svc.Tend(t.Context()))
			}
			return nil
		})
		w.refused("rotation_busy", w.again(name))
		if r := w.of(name); r.State != "promoted" {
			t.Errorf("%+v", r)
		}
		if got := w.steps(r.ID); !slices.Equal(got, slices.Concat(whole, whole[:5])) {
			t.Errorf("%v", got)
		}
	})
}

// A deleted parameter is not brought back.
func TestDeletedStaysDeleted(t *testing.T) { // breaks: crypto.key-rotation
	w := open(t, ledgertest.Open(t, vault.Schema()))
	const name = "/shop/writ-key"
	_, err := w.svc.Add(t.Context(), operator, rotate.Wish{Name: name, Kind: rotate.AccessKey, Spec: rotate.Spec{Path: "/shop"}})
	w.must(err)
	_, err = w.svc.Replace(t.Context(), operator, name, true)
	w.must(err)
	w.must(w.vault.Delete(t.Context(), operator, name))
	w.must(w.again(name))
	if r := w.of(name); r.Problem != "param_gone" {
		t.Errorf("%+v", r)
	}
	if _, err := w.vault.Show(t.Context(), operator, name); err == nil {
		t.Error("it is back")
	}
	w.must(w.svc.End(t.Context(), operator, name))
}
