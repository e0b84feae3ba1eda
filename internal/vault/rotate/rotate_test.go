package rotate_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/vault"
	"writ/internal/vault/rotate"
)

// whole are the steps of a round in which nothing goes wrong.
var whole = []string{"planned", "created", "tested", "stored", "promoted", "revoked", "verified"}

// A role is replaced in two slots: programs always read one that works, what they make
// belongs to the owner role, and the former one is refused after the grace.
func TestRoleTakesTurns(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		const name = "/shop/db/url"
		r, err := w.svc.Add(t.Context(), w.eli(), w.role(name))
		w.must(err)
		first := w.value(name)
		if r.State != "promoted" || r.Fresh != w.base+"_a" || r.Slot != "a" || r.Problem != "" || w.versions(name) != 1 {
			w.t.Fatalf("%+v", r)
		}
		w.must(logsIn(first))
		w.clock.Advance(25 * time.Hour)
		w.must(w.svc.Tend(t.Context()))
		if got := w.steps(r.ID); !slices.Equal(got, whole) {
			t.Errorf("%v", got)
		}
		if now := w.of(name); now.State != "idle" || !now.Due.Equal(r.Made.Add(365*day)) {
			t.Errorf("%+v", now)
		}
		w.clock.Advance(363 * day)
		w.must(w.svc.Tend(t.Context()))
		if w.versions(name) != 1 {
			t.Error("it is replaced before it is due")
		}
		w.clock.Advance(2 * day)
		w.must(w.svc.Tend(t.Context()))
		second := w.value(name)
		if now := w.of(name); now.State != "promoted" || now.Fresh != w.base+"_b" || now.Old != w.base+"_a" || now.Cause != "due" || second == first {
			w.t.Fatalf("%+v", now)
		}
		w.must(logsIn(first)) // through the grace
		w.must(logsIn(second))
		w.clock.Advance(25 * time.Hour)
		w.must(w.svc.Tend(t.Context()))
		if err := logsIn(first); err == nil || !strings.Contains(err.Error(), "password authentication failed") {
			t.Errorf("the former one: %v", err)
		}
		w.must(logsIn(second))
		if got := w.steps(r.ID); !slices.Equal(got, slices.Concat(whole, whole)) {
			t.Errorf("%v", got)
		}
		w.must(w.again(name)) // the first slot has its turn again
		if now := w.of(name); now.Fresh != w.base+"_a" || w.works(rotate.Postgres, w.value(name)) != nil || w.versions(name) != 3 {
			t.Errorf("%+v", now)
		}
		if rows := w.ask("SELECT count(*)::text FROM t"); rows != "5" {
			t.Errorf("%s rows", rows)
		}
		w.sql("DROP TABLE IF EXISTS made")
		w.must(makesTable(w.value(name)))
		if owner := w.ask("SELECT tableowner FROM pg_tables WHERE tablename = 'made'"); owner != w.base {
			t.Errorf("what a slot makes belongs to %s", owner)
		}
		w.expect("vault.rotations-on-time", clause.Pass, "of 1 values that are replaced by themselves 0 stand still and 0 are late")
	})
}

// again replaces a value now.
func (w *world) again(name string) error {
	_, err := w.svc.Replace(w.t.Context(), w.eli(), name, false)
	return err
}

// A value that is there already is of the owner role or of a slot; the owner role does not
// log in any more when its first slot has taken over, and its sessions end.
func TestOwnerRoleHandsOver(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		const name = "/shop/db/url"
		in := w.role(name)
		w.sql("ALTER ROLE " + w.base + " LOGIN PASSWORD 'by-hand'")
		first := w.address(w.base, "by-hand")
		w.put(name, w.address(w.base+"_adm", "adm"))
		_, err := w.svc.Add(t.Context(), w.eli(), in)
		w.refused("value_foreign", err)
		w.put(name, first)
		_, err = w.svc.Add(t.Context(), w.eli(), in)
		w.must(err)
		if r := w.of(name); r.State != "idle" || w.value(name) != first {
			t.Errorf("what is not due is replaced: %+v", r)
		}
		session := hold(t, first)
		w.must(w.again(name))
		w.must(session())
		w.clock.Advance(25 * time.Hour)
		w.must(w.svc.Tend(t.Context()))
		if r := w.of(name); r.State != "idle" || r.Problem != "" {
			t.Errorf("%+v", r)
		}
		if session() == nil || logsIn(first) == nil {
			t.Error("the owner role is let in still")
		}
		w.must(logsIn(w.value(name)))
	})
}

// An access key takes turns the same way, tried at the public door.
func TestAccessKeyTakesTurns(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		const name = "/shop/writ-key"
		grace := time.Hour
		r, err := w.svc.Add(t.Context(), w.eli(), rotate.Wish{Name: name, Kind: rotate.AccessKey, Spec: rotate.Spec{Path: "/shop/", Reads: true, KeyOwner: "machine/shop"}, Days: 30, Grace: &grace})
		w.must(err)
		first := w.value(name)
		w.must(w.works(rotate.AccessKey, first))
		if r.Spec.Path != "/shop" || !strings.HasPrefix(first, `{"access_key_id":"AKIA`) || r.Due.Sub(r.Made) > 31*day {
			t.Errorf("%+v %s", r, first[:20])
		}
		w.clock.Advance(2 * time.Hour)
		w.must(w.svc.Tend(t.Context()))
		w.clock.Advance(30 * day)
		w.must(w.svc.Tend(t.Context()))
		second := w.value(name)
		w.must(w.works(rotate.AccessKey, first))
		w.must(w.works(rotate.AccessKey, second))
		w.clock.Advance(2 * time.Hour)
		w.must(w.svc.Tend(t.Context()))
		w.refused("key_ended", w.works(rotate.AccessKey, first))
		w.must(w.works(rotate.AccessKey, second))
		if got := w.steps(r.ID); !slices.Equal(got, slices.Concat(whole, whole)) {
			t.Errorf("%v", got)
		}
		ks, err := w.vault.AccessKeys(t.Context(), operator)
		w.must(err)
		if len(ks) != 2 || ks[0].Owner != "machine/shop" || !ks[0].Reads || ks[0].Issuer != "writ/vault-rotate" || !ks[1].Ended {
			t.Errorf("%+v", ks)
		}
		delete(w.owners, "machine/shop") // a key of nobody would not work: the former one stays
		w.must(w.again(name))
		if r := w.of(name); r.Problem != "owner_gone" || r.State != "planned" || w.value(name) != second {
			t.Errorf("%+v", r)
		}
	})
}

// After an exposure the former value is ended at once, also in the middle of a grace.
func TestExposedHasNoGrace(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		const name = "/shop/db/url"
		_, err := w.svc.Add(t.Context(), w.eli(), w.role(name))
		w.must(err)
		expose := func() string {
			w.t.Helper()
			r, err := w.svc.Replace(t.Context(), w.eli(), name, true)
			w.must(err)
			if r.State != "idle" || r.Problem != "" {
				w.t.Fatalf("%+v", r)
			}
			w.must(logsIn(w.value(name)))
			return w.value(name)
		}
		first := expose() // ends the grace of the first round, in which nothing goes
		second := expose()
		if first == second || logsIn(first) == nil {
			t.Error("the former one works still")
		}
		w.must(w.again(name))
		third := w.value(name)
		w.must(w.again(name)) // a round has its grace: it is not begun anew
		w.must(logsIn(second))
		if expose() != third || logsIn(second) == nil {
			t.Error("a grace is not cut short")
		}
	})
}

// Who sets one up may write the name, read the administrator's address, and do what the key
// would do. Nothing is begun where they may not.
func TestRotationNeedsRights(t *testing.T) { // breaks: crypto.key-rotation, vault.access-logged
	both(t, func(w *world) {
		const name = "/shop/db/url"
		in := w.role(name)
		_, err := w.svc.Add(t.Context(), auditor, in)
		w.refused("denied", kindOnly(err))
		support := w.eli()
		support.ID, support.Roles = "sue", []string{"support"}
		w.owners["person/sue"] = support
		_, err = w.vault.GrantPath(t.Context(), operator, vault.NewGrant{Who: "person/sue", Path: "/shop", Rights: vault.Writer, Reason: "on call"})
		w.must(err)
		_, err = w.svc.Add(t.Context(), support, in) // may write the name, and not read the administrator's
		w.refused("denied", kindOnly(err))
		program := w.eli()
		program.Token, program.Scopes = "t", []string{"vault.write", "vault.read", "vault.list"}
		_, err = w.svc.Add(t.Context(), program, in)
		w.refused("person_needed", err)
		_, err = w.svc.Add(t.Context(), w.eli(), rotate.Wish{Name: name, Kind: rotate.AccessKey, Spec: rotate.Spec{Path: "/", KeyOwner: "operator/0"}})
		w.refused("key_lends", err)
		if rs, err := w.svc.Rotations(t.Context(), auditor); err != nil || len(rs) != 0 {
			t.Errorf("%v %v", rs, err)
		}
		_, err = w.svc.Add(t.Context(), w.eli(), in)
		w.must(err)
		_, err = w.svc.Add(t.Context(), w.eli(), in)
		w.refused("rotation_exists", err)
		_, err = w.svc.Replace(t.Context(), auditor, name, true)
		w.refused("denied", kindOnly(err))
		w.refused("denied", kindOnly(w.svc.End(t.Context(), auditor, name)))
		other := w.eli()
		other.Team = "other"
		_, err = w.svc.Of(t.Context(), other, name)
		w.refused("rotation_unknown", err)
		w.refused("rotation_going", errOrEnd(w, name))
		_, err = w.svc.Replace(t.Context(), support, name, true) // who may write may replace
		w.must(err)
		w.must(w.svc.End(t.Context(), w.eli(), name))
		_, err = w.svc.Of(t.Context(), w.eli(), name)
		w.refused("rotation_unknown", err)
		w.must(logsIn(w.value(name)))
	})
}

// errOrEnd ends a rotation that is under way, of which a former value would stay open.
func errOrEnd(w *world, name string) error {
	w.t.Helper()
	_, err := w.svc.Replace(w.t.Context(), w.eli(), name, true)
	w.must(err)
	w.must(w.again(name))
	return w.svc.End(w.t.Context(), w.eli(), name)
}

// kindOnly keeps the kind of a refusal.
func kindOnly(err error) error {
	if err == nil {
		return nil
	}
	return fault.Newf(fault.KindOf(err), string(fault.KindOf(err)), "refused")
}

// What nobody should have used by a server is refused before anything is begun.
func TestWishesAreRefused(t *testing.T) { // breaks: crypto.key-rotation, vault.db-private
	w := open(t, kitOf(t))
	good := w.role("/shop/db/url")
	w.sql("CREATE ROLE "+w.base+"_other", "CREATE ROLE "+w.base+"_boss CREATEROLE")
	w.put("/shop/plain-address", "no address")
	w.put("/ops/wrong", w.address(w.base+"_adm", "wrong"))
	grace := 31 * day
	for code, spoil := range map[string]func(*rotate.Wish){
		"rotation_kind":  func(in *rotate.Wish) { in.Kind = "mysql" },
		"rotation_days":  func(in *rotate.Wish) { in.Days = 4000 },
		"rotation_grace": func(in *rotate.Wish) { in.Grace = &grace },
		"role_form":      func(in *rotate.Wish) { in.Spec.Roles[1] = in.Spec.Roles[0] },
		"template":       func(in *rotate.Wish) { in.Spec.Template = "postgres://{user}@h/db" },
		"database_public": func(in *rotate.Wish) {
			in.Spec.Template = "postgres://{user}:{password}@203.0.113.7/db?sslmode=verify-full"
		},
		"admin_same":       func(in *rotate.Wish) { in.Spec.Admin = in.Name },
		"admin_gone":       func(in *rotate.Wish) { in.Spec.Admin = "/ops/none" },
		"address_form":     func(in *rotate.Wish) { in.Spec.Admin = "/shop/plain-address" },
		"admin_refused":    func(in *rotate.Wish) { in.Spec.Admin = "/ops/wrong" },
		"owner_gone":       func(in *rotate.Wish) { in.Spec.Owner = w.base + "_none" },
		"owner_strong":     func(in *rotate.Wish) { in.Spec.Owner = w.base + "_boss" },
		"role_taken":       func(in *rotate.Wish) { in.Spec.Roles[1] = w.base + "_other" },
		"value_foreign":    func(in *rotate.Wish) { in.Name = "/shop/plain-address" },
		"name_level_empty": func(in *rotate.Wish) { in.Name = "/shop//x" },
	} {
		bad := good
		spoil(&bad)
		_, err := w.svc.Add(t.Context(), w.eli(), bad)
		if got, _ := fault.PublicOf(err); err == nil || got != code {
			t.Errorf("%s: %v", code, err)
		}
	}
	if rs, err := w.svc.Rotations(t.Context(), w.eli()); err != nil || len(rs) != 0 {
		t.Errorf("%+v %v", rs, err)
	}
	for code, p := range rotate.Troubles {
		if p.Problem == "" || p.Next == "" {
			t.Errorf("%s does not say what to do", code)
		}
	}
}
