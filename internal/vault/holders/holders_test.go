package holders_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
	"writ/internal/seal"
	"writ/internal/secret"
)

// Owners appoint, holders enrol, and with the last one the root is split: the shares open
// the keys that root.key opens.
func TestHoldersBecomeASet(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := open(t, kit)
		ctx := t.Context()
		if w.state().Set != nil {
			t.Fatal("there is a set of nobody")
		}
		_, err := w.svc.Appoint(ctx, actor.Actor{Kind: actor.Person, ID: "dev", Session: "s", Team: "staff", TeamKind: "staff", Roles: []string{"engineer"}}, []string{"dev"})
		if fault.KindOf(err) != fault.Denied {
			t.Errorf("an engineer appoints: %v", err)
		}
		for _, refs := range [][]string{{}, {"nobody"}, {"visitor"}, {"ana", "ana@example.test"}} {
			_, err := w.svc.Appoint(ctx, owner("ana"), refs)
			refused(t, err, "vault_holder")
		}
		if _, err := w.svc.Appoint(ctx, owner("ana"), []string{"ana", "ben", "chloe"}); err != nil {
			t.Fatal(err)
		}
		_, err = w.svc.Appoint(ctx, owner("ana"), []string{"ben"})
		refused(t, err, "vault_holder")
		refused(t, w.enrol("dev"), "no_holder")
		w.people.stale = true
		refused(t, w.enrol("ana"), "step_up_required")
		w.people.stale = false
		for _, n := range []string{"ana", "ben"} {
			if err := w.enrol(n); err != nil {
				t.Fatal(err)
			}
		}
		refused(t, w.svc.Enrol(ctx, owner("chloe"), w.keys["ana"].Key), "key_taken")
		if w.state().Set != nil {
			t.Fatal("the set was made before all enrolled")
		}
		if err := w.enrol("chloe"); err != nil {
			t.Fatal(err)
		}
		st := w.state()
		if st.Set == nil || st.Set.Need != 2 || st.Set.Of != 3 || len(st.Due) != 0 || !st.Holders[2].Holds || st.Holders[2].Kind != seal.InFile {
			t.Fatalf("%+v", st)
		}
		root := w.opens("ben", "chloe")
		if !root.Equal(w.fileRoot()) {
			t.Error("the shares are of another root")
		}
		if err := w.reopen(root); err != nil {
			t.Errorf("the keys do not open with it: %v", err)
		}
		for _, l := range []string{"vault.holder-appointed chloe", "vault.holders-appointed ben", "vault.holder-enrolled ana", "vault.shares-begun chloe"} {
			if !slices.Contains(w.post.sent, l) {
				t.Errorf("no letter %s among %q", l, w.post.sent)
			}
		}
		if got := kit.Recorded("vault.shares-prepared", "vault.shares-begun"); len(got) != 2 || got[1].Clause != "people.no-sole-holder" {
			t.Errorf("recorded %+v", got)
		}
	}, tables...)
}

// A holder who is removed or leaves makes new shares due; with them the old ones are void.
// The last but one stays.
//
// breaks: people.no-sole-holder
func TestHoldersEnd(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := open(t, kit)
		ctx := t.Context()
		w.three()
		w.drill("ana", "ben")
		w.wants("vault.key-holders", clause.Pass, "2 of 3", "3 can give", "one disk")
		if err := w.svc.Remove(ctx, owner("ana"), "chloe"); err != nil {
			t.Fatal(err)
		}
		w.wants("vault.key-holders", clause.Fail, "has left, was removed")
		if !slices.Contains(w.post.sent, "vault.holder-ended ben") {
			t.Errorf("letters %q", w.post.sent)
		}
		refused(t, w.svc.Remove(ctx, owner("ana"), "ben"), "last_but_one")
		if n := len(kit.Recorded("vault.holder-removal-refused")); n != 1 {
			t.Errorf("%d refusals are recorded", n)
		}
		_, err := w.svc.Reshare(ctx, owner("ana"))
		refused(t, err, "too_few_holders")
		old, _ := w.file.Read()
		if _, err := w.svc.Appoint(ctx, owner("ana"), []string{"dev"}); err != nil {
			t.Fatal(err)
		}
		if err := w.enrol("dev"); err != nil { // all have enrolled: the set is made
			t.Fatal(err)
		}
		w.wants("vault.key-holders", clause.Pass, "3 can give")
		if now, _ := w.file.Read(); now.Set.ID == old.Set.ID || slices.ContainsFunc(now.Set.Shares, func(x seal.Share) bool { return x.ID == w.keys["chloe"].ID }) {
			t.Error("the removed holder has a share still")
		}
		w.wants("vault.key-drill", clause.Fail, "never tried")
		w.people.gone["ben"] = true
		w.wants("vault.key-holders", clause.Fail, "2 can give")
		if err := w.svc.Tend(ctx); err != nil {
			t.Fatal(err)
		}
		if st := w.state(); len(st.Holders) != 2 || len(st.Due) != 1 {
			t.Errorf("%+v", st)
		}
		if got := kit.Recorded("vault.holder-ended"); len(got) != 2 || got[1].Fields["cause"] != "left" {
			t.Errorf("recorded %+v", got)
		}
		if err := w.svc.Tend(ctx); err != nil || len(kit.Recorded("vault.holder-ended")) != 2 {
			t.Errorf("told twice, %v", err)
		}
	}, tables...)
}

// The shares are to be tried every 90 days.
//
// breaks: people.no-sole-holder
func TestDrill(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := open(t, kit)
		w.wants("vault.key-drill", clause.Fail, "no shares")
		w.wants("vault.key-holders", clause.Fail, "no shares")
		w.wants("vault.key-opening", clause.Fail, "no shares")
		_, err := w.svc.Drill(t.Context(), owner("ana"))
		refused(t, err, "no_shares")
		w.three()
		w.wants("vault.key-drill", clause.Fail, "never tried")
		w.drill("ana")
		w.wants("vault.key-drill", clause.Fail, "never tried")
		refused(t, w.give(w.svc.Gate(), "ana"), "share_twice")
		if err := w.give(w.svc.Gate(), "chloe"); err != nil {
			t.Fatal(err)
		}
		w.wants("vault.key-drill", clause.Pass, "0 days ago")
		w.wants("vault.key-opening", clause.Pass, "the server opens by itself")
		kit.Clock.Advance(days(90) - 1)
		w.wants("vault.key-drill", clause.Pass, "89 days ago")
		kit.Clock.Advance(1)
		w.wants("vault.key-drill", clause.Fail, "90 days ago")
		if err := w.svc.Tend(t.Context()); err != nil || w.svc.Gate() != nil {
			t.Errorf("the drill goes on: %v", err)
		}
		given := kit.Recorded("vault.share-given", "vault.share-refused", "vault.drill-begun", "vault.drill-done")
		var names []string
		for _, g := range given {
			names = append(names, strings.TrimPrefix(g.Name, "vault."))
		}
		if got := strings.Join(names, " "); got != "drill-begun share-given share-refused share-given drill-done" || given[1].Fields["holder"] != "ana" || given[1].Fields["act"] != "drill" {
			t.Errorf("recorded %s, %+v", got, given[1])
		}
		if !slices.Contains(w.post.sent, "vault.drill-begun chloe") || !slices.Contains(w.post.sent, "vault.drill-done ben") {
			t.Errorf("letters %q", w.post.sent)
		}
	}, tables...)
}

// A policy that asks for more makes new shares due.
//
// breaks: people.no-sole-holder
func TestQuorumRises(t *testing.T) {
	w := open(t, ledgertest.Open(t, tables...))
	w.three()
	w.drill("ana", "ben")
	w.policy(clause.Values{"people.no-sole-holder/quorum_need": int64(3), "people.no-sole-holder/quorum_of": int64(4)})
	w.wants("vault.key-holders", clause.Fail, "the policy asks for more")
	for _, v := range []clause.Values{{"people.no-sole-holder/quorum_need": int64(3)}, {"people.no-sole-holder/quorum_of": int64(17)}, {"people.no-sole-holder/min_holders": int64(1)}} {
		all := policytest.Values()
		for k, x := range v {
			all[k] = x
		}
		if err := w.rules.Check(all); err == nil {
			t.Errorf("%v is taken", v)
		}
	}
}

// Where shares alone open the vault each set is of a new root. The root of root.key works
// until the new shares were tried; then it is void, and the file may go.
//
// breaks: people.no-sole-holder
func TestSharesAlone(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := open(t, kit)
		ctx := t.Context()
		w.three()
		first := w.fileRoot()
		refused(t, w.svc.DropFile(ctx, owner("ana")), "root_needed")
		w.alone = true
		w.alive(w.opens("ana", "ben"))
		w.wants("vault.key-opening", clause.Fail, "root.key still does")
		refused(t, w.svc.DropFile(ctx, owner("ana")), "root_needed")
		if due := w.state().Due; len(due) != 1 || !strings.Contains(due[0], "root.key") {
			t.Errorf("due: %q", due)
		}
		if _, err := w.svc.Reshare(ctx, owner("ana")); err != nil {
			t.Fatal(err)
		}
		if err := w.reopen(first); err != nil {
			t.Errorf("the old root went before the new shares were tried: %v", err)
		}
		refused(t, w.svc.DropFile(ctx, owner("ana")), "root_needed")
		w.wants("vault.key-opening", clause.Fail, "former root.key")
		w.drill("chloe", "ben")
		if err := w.reopen(first); fault.KindOf(err) != fault.Sealed {
			t.Errorf("the old root opens still: %v", err)
		}
		if err := w.svc.DropFile(ctx, owner("ana")); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(w.dir, "root.key")); err == nil {
			t.Error("root.key is there still")
		}
		w.wants("vault.key-opening", clause.Pass, "in no other way")
		second := w.opens("ana", "chloe")
		if _, err := w.svc.Reshare(ctx, owner("ana")); err != nil {
			t.Fatal(err)
		}
		if err := w.reopen(second); fault.KindOf(err) != fault.Sealed {
			t.Errorf("the root of the set before opens still: %v", err)
		}
		third := w.opens("ana", "ben")
		if err := w.reopen(third); err != nil || third.Equal(second) {
			t.Errorf("%v", err)
		}
	}, tables...)
}

// What happened while sealed becomes entries, once each, in its order; the opening counts as
// a drill, and a list that somebody changed is told as such.
func TestTold(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := open(t, kit)
		w.three()
		if err := w.file.Note(kit.Clock.Now(), seal.Line{What: seal.WasSealed, Cause: "start"}); err != nil {
			t.Fatal(err)
		}
		live := w.state().Set.ID // a line that anybody could have written
		if err := w.file.Note(kit.Clock.Now(), seal.Line{What: seal.WasOpened, Set: live}); err != nil {
			t.Fatal(err)
		}
		if err := w.svc.Resume(t.Context(), secret.Bytes{}); err != nil {
			t.Fatal(err)
		}
		w.wants("vault.key-drill", clause.Fail, "never tried")
		root := w.opens("ana", "ben")
		before, _ := w.file.Read()
		w.alive(root)
		names := func() string {
			var out []string
			for _, r := range kit.Recorded("vault.sealed", "vault.share-given", "vault.unsealed", "vault.seal-log-altered") {
				out = append(out, strings.TrimPrefix(r.Name, "vault."))
			}
			return strings.Join(out, " ")
		}
		if got := names(); got != "sealed unsealed share-given share-given unsealed" {
			t.Fatalf("told %q", got)
		}
		w.wants("vault.key-drill", clause.Pass)
		if b, _ := w.file.Read(); len(b.Log) != 0 || b.Last.N != 5 {
			t.Errorf("%+v", b)
		}
		// A process that died before it took the lines out finds them again.
		if err := w.file.Change(func(b *seal.Boot) error { b.Log, b.Last = before.Log, before.Last; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := w.svc.Resume(t.Context(), secret.Bytes{}); err != nil || names() != "sealed unsealed share-given share-given unsealed" {
			t.Errorf("told %q, %v", names(), err)
		}
		if err := w.file.Note(kit.Clock.Now(), seal.Line{What: seal.WasAuto, Cause: "file"}); err != nil {
			t.Fatal(err)
		}
		if err := w.file.Change(func(b *seal.Boot) error { b.Log[0].Cause = "kms"; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := w.svc.Resume(t.Context(), secret.Bytes{}); err != nil || !strings.HasSuffix(names(), "seal-log-altered") {
			t.Errorf("told %q, %v", names(), err)
		}
	}, tables...)
}

// Sealing wants a reason and somebody who can open again.
func TestPut(t *testing.T) {
	w := open(t, ledgertest.Open(t, tables...))
	ctx := t.Context()
	refused(t, w.svc.Put(ctx, owner("ana"), "a thief"), "no_shares")
	w.three()
	w.svc.Shared = true
	refused(t, w.svc.Put(ctx, owner("ana"), "a thief"), "keys_shared")
	w.svc.Shared = false
	refused(t, w.svc.Put(ctx, owner("ana"), "why"), "reason_missing")
	if err := w.svc.Put(ctx, actor.Actor{Kind: actor.Person, ID: "dev", Session: "s", Team: "staff", TeamKind: "staff", Roles: []string{"engineer"}}, "a thief"); fault.KindOf(err) != fault.Denied {
		t.Errorf("an engineer seals: %v", err)
	}
	if w.sealed != 0 {
		t.Fatal("it was sealed")
	}
	if err := w.svc.Put(ctx, owner("ana"), "a thief"); err != nil || w.sealed != 1 {
		t.Errorf("sealed %d times, %v", w.sealed, err)
	}
	if !slices.Contains(w.post.sent, "vault.seal-asked chloe") {
		t.Errorf("letters %q", w.post.sent)
	}
}

// Nobody enrols for another, except a demo for its people.
func TestEnrolFor(t *testing.T) {
	w := open(t, ledgertest.Open(t, tables...))
	k, err := seal.NewPrivate()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.Appoint(t.Context(), owner("ana"), []string{"ana"}); err != nil {
		t.Fatal(err)
	}
	refused(t, w.svc.EnrolFor(t.Context(), owner("ana"), "ana", k.Key), "not_a_demo")
	refused(t, w.svc.EnrolFor(t.Context(), actor.Actor{Kind: actor.Operator, ID: "0"}, "ana", k.Key), "not_a_demo")
	w.svc.Demo = false
	refused(t, w.svc.EnrolFor(t.Context(), actor.System("demo"), "ana", k.Key), "not_a_demo")
}
