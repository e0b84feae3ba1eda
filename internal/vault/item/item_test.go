package item_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/vault/item"
)

// breaks: vault.company-creds
func TestMakeChangeAndGoBack(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx, ana := t.Context(), w.as("ana")
		i := w.make("ana", login())
		if i.Title != "Bank portal" || i.Version != 1 || i.Level != item.Owner || i.Rotate != 365 || i.Due.IsZero() {
			t.Errorf("made: %+v", i)
		}
		for _, f := range i.Fields {
			if f.Secret && f.Value != "" {
				t.Errorf("field %s shows its value", f.ID)
			}
		}
		if f, _ := i.Field("username"); f.Value != "treasury" {
			t.Errorf("user: %+v", i.Fields)
		}
		// A secret that is left out stays; one that is given counts as a replacement.
		kit.Clock.Advance(24 * time.Hour)
		d := login()
		d.Title, d.Values, d.Custom = "Bank", nil, []item.Custom{{ID: "own-1", Label: "PIN", Secret: true}}
		i, err := w.svc.Edit(ctx, ana, i.ID, d)
		good(t, err)
		if i.Version != 2 || len(i.Fields) != 6 || !i.Set.Equal(i.Made) {
			t.Errorf("after the first change: %+v", i)
		}
		if v, err := w.svc.Reveal(ctx, ana, i.ID, "own-1", ""); err != nil || v.Text.Reveal() != "4711" {
			t.Errorf("PIN: %v", err)
		}
		d.Values = map[string]secret.Text{"password": text("another plum 99")}
		i, err = w.svc.Edit(ctx, ana, i.ID, d)
		good(t, err)
		if !i.Set.Equal(kit.Clock.Now()) || !i.Due.Equal(kit.Clock.Now().AddDate(0, 0, 365)) {
			t.Errorf("a new password set %s, due %s", i.Set, i.Due)
		}
		past, err := w.svc.History(ctx, ana, i.ID)
		good(t, err)
		if got := fmt.Sprint(past[0].Fields, past[1].Fields, past[0].By); got != "[Password] [Title Branch]person/ana" {
			t.Errorf("history: %s", got)
		}
		_, err = w.svc.Restore(ctx, ana, i.ID, 9)
		coded(t, err, "version_unknown")
		i, err = w.svc.Restore(ctx, ana, i.ID, 1)
		good(t, err)
		if i.Title != "Bank portal" || i.Version != 4 {
			t.Errorf("restored: %+v", i)
		}
		if v, err := w.svc.Reveal(ctx, ana, i.ID, "password", ""); err != nil || v.Text.Reveal() != thePassword {
			t.Errorf("restored password: %v", err)
		}
		// Twenty versions are kept.
		for n := range 20 {
			d.Values = map[string]secret.Text{"notes": text(fmt.Sprint("note ", n))}
			_, err = w.svc.Edit(ctx, ana, i.ID, d)
			good(t, err)
		}
		if past, err = w.svc.History(ctx, ana, i.ID); err != nil || len(past) != 20 {
			t.Errorf("%d versions are kept (%v)", len(past), err)
		}
		if n := len(kit.Recorded("vault.item-created", "vault.item-changed", "vault.item-rolled-back")); n != 24 {
			t.Errorf("%d entries of 24 versions", n)
		}
	}, tables...)
}

func TestDeleteAndUndo(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx, ana := t.Context(), w.as("ana")
		i := w.make("ana", login())
		w.share("ana", i.ID, "dev", item.Viewer)
		coded(t, w.svc.Delete(ctx, w.as("dev"), i.ID), "item_level")
		good(t, w.svc.Delete(ctx, ana, i.ID))
		_, err := w.svc.Reveal(ctx, ana, i.ID, "password", "")
		coded(t, err, "item_deleted")
		_, err = w.svc.Show(ctx, w.as("dev"), i.ID)
		coded(t, err, "item_unknown")
		if l, err := w.svc.List(ctx, ana, item.Query{}); err != nil || len(l) != 0 {
			t.Errorf("a deleted item is listed: %v %v", l, err)
		}
		kit.Clock.Advance(29 * 24 * time.Hour)
		w.tend()
		if l, err := w.svc.List(ctx, ana, item.Query{Deleted: true}); err != nil || len(l) != 1 {
			t.Errorf("within 30 days: %v %v", l, err)
		}
		_, err = w.svc.Undelete(ctx, ana, i.ID)
		good(t, err)
		if v, err := w.svc.Reveal(ctx, ana, i.ID, "password", ""); err != nil || v.Text.Reveal() != thePassword {
			t.Errorf("taken back: %v", err)
		}
		good(t, w.svc.Delete(ctx, ana, i.ID))
		kit.Clock.Advance(30 * 24 * time.Hour)
		w.tend()
		_, err = w.svc.Undelete(ctx, ana, i.ID)
		coded(t, err, "item_unknown")
		if seen, err := w.vault.SeenBy(ctx, ana, "person/ana"); err != nil || len(seen) != 0 {
			t.Errorf("an erased item is still remembered: %v %v", seen, err)
		}
		if n := len(kit.Recorded("vault.item-erased")); n != 1 {
			t.Errorf("%d entries of the erasure", n)
		}
	}, tables...)
}

// breaks: people.no-sole-holder, vault.company-creds
func TestHolders(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx, ana := t.Context(), w.as("ana")
		d := login()
		d.Critical = true
		_, err := w.svc.Create(ctx, ana, item.NewItem{Draft: d})
		coded(t, err, "holders_few")
		if len(kit.Recorded("vault.item-created")) != 0 {
			t.Error("a refused item was made")
		}
		i := w.make("ana", d, "ana@example.test", "ben")
		_, err = w.svc.Unshare(ctx, ana, i.ID, "ben")
		coded(t, err, "holders_few")
		w.share("ana", i.ID, "dev", item.Viewer)
		_, err = w.svc.Unshare(ctx, ana, i.ID, "ben")
		good(t, err)
		_, err = w.svc.Unshare(ctx, w.as("dev"), i.ID, "dev") // giving back is a removal too
		coded(t, err, "holders_few")
		w.share("ana", i.ID, "role:support", item.Viewer) // suna
		_, err = w.svc.Unshare(ctx, w.as("dev"), i.ID, "dev")
		good(t, err)
		_, err = w.svc.Unshare(ctx, ana, i.ID, "ana")
		coded(t, err, "owner_last")
		// Who left does not count, and a person without an account here is nobody.
		w.staff.leaves("suna")
		plain := login()
		plain.Title = "Plain"
		p := w.make("ana", plain)
		w.share("ana", p.ID, "role:support", item.Editor)
		plain.Critical = true
		_, err = w.svc.Edit(ctx, ana, p.ID, plain)
		coded(t, err, "holders_few")
		_, err = w.svc.Share(ctx, ana, p.ID, "nobody@example.test", item.Viewer)
		coded(t, err, "no_person")
		_, err = w.svc.Share(ctx, ana, p.ID, "team", item.Owner)
		coded(t, err, "owner_person")
		w.share("ana", p.ID, "team", item.Viewer)
		_, err = w.svc.Edit(ctx, ana, p.ID, plain)
		good(t, err)
		w.min = 9
		_, err = w.svc.Unshare(ctx, ana, p.ID, "team")
		coded(t, err, "holders_few")
		if n := len(kit.Recorded("vault.item-refused")); n != 5 {
			t.Errorf("%d refusals are recorded", n)
		}
	}, tables...)
}

func TestLevels(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	i := w.make("ana", login())
	w.share("ana", i.ID, "dev", item.Viewer)
	w.share("ana", i.ID, "eve", item.Editor)
	d := login()
	d.Folder = "Else"
	_, err := w.svc.Edit(ctx, w.as("dev"), i.ID, d)
	coded(t, err, "item_level")
	_, err = w.svc.Edit(ctx, w.as("eve"), i.ID, d)
	good(t, err)
	d.Sensitive = true
	_, err = w.svc.Edit(ctx, w.as("eve"), i.ID, d)
	coded(t, err, "item_level")
	_, err = w.svc.Share(ctx, w.as("eve"), i.ID, "suna", item.Viewer)
	coded(t, err, "item_level")
	_, _, err = w.svc.MakeLink(ctx, w.as("dev"), i.ID, []string{"password"}, time.Hour, why)
	coded(t, err, "item_level")
	// The auditor has no right at all; the operator sees that the item is there, and no value.
	_, err = w.svc.List(ctx, w.as("fay"), item.Query{})
	coded(t, err, "denied")
	if l, err := w.svc.List(ctx, operator, item.Query{}); err != nil || len(l) != 1 || l[0].Level != "" {
		t.Errorf("the operator lists %v %v", l, err)
	}
	_, err = w.svc.Reveal(ctx, operator, i.ID, "password", why)
	coded(t, err, "denied")
	_, err = w.svc.Edit(ctx, operator, i.ID, d)
	coded(t, err, "item_unknown")
}

// A stranger to an item cannot tell it from one that is not there.
func TestNotSharedIsNotThere(t *testing.T) {
	w := open(t)
	ctx, suna := t.Context(), w.as("suna")
	i := w.make("ana", login())
	acts := map[string]func(id string) error{
		"show":     func(id string) error { _, err := w.svc.Show(ctx, suna, id); return err },
		"history":  func(id string) error { _, err := w.svc.History(ctx, suna, id); return err },
		"reveal":   func(id string) error { _, err := w.svc.Reveal(ctx, suna, id, "password", why); return err },
		"seed":     func(id string) error { _, err := w.svc.Reveal(ctx, suna, id, "totp", why); return err },
		"code":     func(id string) error { _, err := w.svc.Code(ctx, suna, id, why); return err },
		"edit":     func(id string) error { _, err := w.svc.Edit(ctx, suna, id, login()); return err },
		"delete":   func(id string) error { return w.svc.Delete(ctx, suna, id) },
		"undelete": func(id string) error { _, err := w.svc.Undelete(ctx, suna, id); return err },
		"restore":  func(id string) error { _, err := w.svc.Restore(ctx, suna, id, 1); return err },
		"share":    func(id string) error { _, err := w.svc.Share(ctx, suna, id, "suna", item.Viewer); return err },
		"unshare":  func(id string) error { _, err := w.svc.Unshare(ctx, suna, id, "ana"); return err },
		"link": func(id string) error {
			_, _, err := w.svc.MakeLink(ctx, suna, id, []string{"password"}, time.Hour, why)
			return err
		},
		"checkout": func(id string) error { _, err := w.svc.CheckOut(ctx, suna, id, why, time.Hour); return err },
		"checkin":  func(id string) error { return w.svc.CheckIn(ctx, suna, id) },
		"attach": func(id string) error {
			_, err := w.svc.Attach(ctx, suna, id, "a.txt", secret.NewBytes([]byte("x")))
			return err
		},
		"download": func(id string) error { _, _, err := w.svc.Download(ctx, suna, id, "x", why); return err },
	}
	for name, act := range acts {
		there, none := act(i.ID), act("no-such-item")
		if fmt.Sprint(there) != fmt.Sprint(none) || fault.KindOf(there) != fault.NotFound {
			t.Errorf("%s: %v of an item that is there, %v of one that is not", name, there, none)
		}
	}
	if n := len(w.kit.Recorded("vault.item-refused")); n != 2*len(acts) {
		t.Errorf("%d of %d refusals are recorded", n, 2*len(acts))
	}
	if l, err := w.svc.List(ctx, suna, item.Query{Text: "bank"}); err != nil || len(l) != 0 {
		t.Errorf("the list shows %v %v", l, err)
	}
}

// breaks: vault.access-logged
func TestRevealIsRecorded(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx, dev := t.Context(), w.as("dev")
		d := login()
		d.Sensitive = true
		i := w.make("ana", d)
		w.share("ana", i.ID, "role:engineer", item.Viewer)
		for _, r := range []string{"", "abc", "two\nlines of it", strings.Repeat("x", 301)} {
			_, err := w.svc.Reveal(ctx, dev, i.ID, "password", r)
			coded(t, err, "reason_missing")
		}
		if len(kit.Recorded("vault.item-revealed")) != 0 {
			t.Error("a refused reveal is recorded as one")
		}
		v, err := w.svc.Reveal(ctx, dev, i.ID, "password", why)
		if err != nil || v.Text.Reveal() != thePassword {
			t.Fatalf("revealed: %v", err)
		}
		_, err = w.svc.Reveal(ctx, dev, i.ID, "username", why)
		coded(t, err, "field_unknown")
		es := kit.Recorded("vault.item-revealed")
		if len(es) != 1 || es[0].Fields["field"] != "password" || es[0].Reason != why {
			t.Errorf("entries: %+v", es)
		}
		seen, err := w.vault.SeenBy(ctx, w.as("ana"), "person/dev")
		if err != nil || len(seen) != 1 || seen[0].Name != "Bank portal: Password" {
			t.Errorf("seen: %+v %v", seen, err)
		}
		// A new value is not known any more; the old one again is.
		d.Values = map[string]secret.Text{"password": text("another plum 99")}
		_, err = w.svc.Edit(ctx, w.as("ana"), i.ID, d)
		good(t, err)
		if seen, _ := w.vault.SeenBy(ctx, w.as("ana"), "person/dev"); len(seen) != 0 {
			t.Errorf("after a change: %+v", seen)
		}
		_, err = w.svc.Restore(ctx, w.as("ana"), i.ID, 1)
		good(t, err)
		if seen, _ := w.vault.SeenBy(ctx, w.as("ana"), "person/dev"); len(seen) != 1 {
			t.Errorf("after going back: %+v", seen)
		}
		// Who wrote a value knows it.
		if seen, _ := w.vault.SeenBy(ctx, w.as("ana"), "person/ana"); len(seen) != 4 {
			t.Errorf("the writer knows %+v", seen)
		}
	}, tables...)
}

// breaks: vault.company-creds
func TestSeedNeverLeaves(t *testing.T) {
	w := open(t)
	ctx, ana := t.Context(), w.as("ana")
	w.kit.Clock.Set(time.Unix(1_111_111_109, 0)) // RFC 6238, appendix B
	d := login()
	d.Values["totp"] = text("otpauth://totp/Elm:ana?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=8&period=30")
	i := w.make("ana", d)
	v, err := w.svc.Code(ctx, ana, i.ID, "")
	if err != nil || v.Text.Reveal() != "07081804" || v.Left != time.Second {
		t.Errorf("code %q for %s (%v)", v.Text.Reveal(), v.Left, err)
	}
	if n := len(w.kit.Recorded("vault.code-served")); n != 1 {
		t.Errorf("%d entries of one code", n)
	}
	_, err = w.svc.Reveal(ctx, ana, i.ID, "totp", why)
	coded(t, err, "seed_kept")
	_, _, err = w.svc.MakeLink(ctx, ana, i.ID, []string{"totp"}, time.Hour, why)
	coded(t, err, "field_unknown")
	// From a field of another kind it could be revealed.
	d.Values = map[string]secret.Text{"notes": text("otpauth://totp/x?secret=" + theSeed)}
	_, err = w.svc.Edit(ctx, ana, i.ID, d)
	coded(t, err, "seed_elsewhere")
	for _, bad := range []string{"short", "!!!!!!!!!!!!", "otpauth://hotp/x?secret=" + theSeed, "otpauth://totp/x?digits=9&secret=" + theSeed, "otpauth://totp/x?algorithm=MD5&secret=" + theSeed} {
		d.Values = map[string]secret.Text{"totp": text(bad)}
		_, err = w.svc.Edit(ctx, ana, i.ID, d)
		coded(t, err, "seed_text")
		if _, pub := fault.PublicOf(err); strings.Contains(pub.Problem, bad) {
			t.Errorf("the refusal repeats %q", bad)
		}
	}
}

// breaks: data.no-card
func TestNoCards(t *testing.T) {
	w := open(t)
	ctx, ana := t.Context(), w.as("ana")
	const card = "4111 1111 1111 1111"
	for name, spoil := range map[string]func(*item.Draft){
		"title":  func(d *item.Draft) { d.Title = card },
		"folder": func(d *item.Draft) { d.Folder = card },
		"vendor": func(d *item.Draft) { d.Vendor = "bank " + card },
		"user":   func(d *item.Draft) { d.Values["username"] = text(card) },
		"notes":  func(d *item.Draft) { d.Values["notes"] = text("the card\n" + card + "\n12/29") },
		"secret": func(d *item.Draft) { d.Values["password"] = text("4111111111111111") },
		"custom": func(d *item.Draft) { d.Custom[0].Value = ptr(text(card)) },
		"label":  func(d *item.Draft) { d.Custom[0].Label = card },
	} {
		d := login()
		spoil(&d)
		if _, err := w.svc.Create(ctx, ana, item.NewItem{Draft: d}); err == nil {
			t.Errorf("%s: a card's number was kept", name)
		} else {
			coded(t, err, "card_number")
		}
	}
	i := w.make("ana", login())
	_, err := w.svc.Attach(ctx, ana, i.ID, "cards.csv", secret.NewBytes([]byte("name,number\nana,"+card+"\n")))
	coded(t, err, "card_number")
}

func TestLimits(t *testing.T) {
	w := open(t)
	ctx, ana := t.Context(), w.as("ana")
	for name, c := range map[string]struct {
		spoil func(*item.Draft)
		code  string
	}{
		"no title":      {func(d *item.Draft) { d.Title = " " }, "field_text"},
		"long title":    {func(d *item.Draft) { d.Title = strings.Repeat("x", 201) }, "field_text"},
		"unknown kind":  {func(d *item.Draft) { d.Kind = "card" }, "kind_unknown"},
		"unknown field": {func(d *item.Draft) { d.Values["cvv"] = text("1") }, "field_unknown"},
		"long secret":   {func(d *item.Draft) { d.Values["password"] = text(strings.Repeat("x", 16<<10+1)) }, "field_long"},
		"control":       {func(d *item.Draft) { d.Values["username"] = text("a\x00b") }, "field_text"},
		"many fields":   {func(d *item.Draft) { d.Custom = slices.Repeat([]item.Custom{{Label: "x", Value: ptr(text("1"))}}, 31) }, "custom_many"},
		"rotation":      {func(d *item.Draft) { d.Rotate = -1 }, "rotate"},
	} {
		d := login()
		c.spoil(&d)
		_, err := w.svc.Create(ctx, ana, item.NewItem{Draft: d})
		if got, _ := fault.PublicOf(err); got != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	_, err := w.svc.Create(ctx, operator, item.NewItem{Draft: login()})
	coded(t, err, "owner_needed")
}

func TestFiles(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx, ana := t.Context(), w.as("ana")
		i := w.make("ana", item.Draft{Kind: "document", Title: "Contract"})
		if i.Rotate != 0 || !i.Due.IsZero() {
			t.Errorf("a document is replaced: %+v", i)
		}
		whole := secret.Random(item.MaxFile)
		f, err := w.svc.Attach(ctx, ana, i.ID, `C:\papers\contract.pdf`, whole)
		good(t, err)
		_, err = w.svc.Attach(ctx, ana, i.ID, "more.pdf", secret.Random(item.MaxFile+1))
		coded(t, err, "file_size")
		i, err = w.svc.Show(ctx, ana, i.ID)
		if err != nil || len(i.Files) != 1 || i.Files[0].Name != "contract.pdf" {
			t.Errorf("files: %+v %v", i.Files, err)
		}
		_, body, err := w.svc.Download(ctx, ana, i.ID, f.ID, "")
		if err != nil || !body.Equal(whole) {
			t.Errorf("downloaded %d bytes: %v", body.Len(), err)
		}
		if es := kit.Recorded("vault.item-revealed"); len(es) != 1 || es[0].Fields["field"] != f.ID {
			t.Errorf("entries: %+v", es)
		}
		good(t, w.svc.Detach(ctx, ana, i.ID, f.ID))
		_, _, err = w.svc.Download(ctx, ana, i.ID, f.ID, "")
		coded(t, err, "file_unknown")
	}, tables...)
}

// breaks: vault.company-creds
func TestCheckOut(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx, dev := t.Context(), w.as("dev")
		i := w.make("ana", login())
		w.share("ana", i.ID, "team", item.Viewer)
		f, err := w.svc.Attach(ctx, w.as("ana"), i.ID, "codes.txt", secret.NewBytes([]byte("x")))
		good(t, err)
		_, err = w.svc.CheckOut(ctx, dev, i.ID, "", time.Hour)
		coded(t, err, "reason_missing")
		_, err = w.svc.CheckOut(ctx, dev, i.ID, why, 25*time.Hour)
		coded(t, err, "checkout_time")
		_, err = w.svc.CheckOut(ctx, dev, i.ID, why, time.Hour)
		good(t, err)
		// Nobody else uses it, not even its owner; they see who has it.
		for name, act := range map[string]func() error{
			"reveal": func() error { _, err := w.svc.Reveal(ctx, w.as("ana"), i.ID, "password", ""); return err },
			"code":   func() error { _, err := w.svc.Code(ctx, w.as("eve"), i.ID, ""); return err },
			"file":   func() error { _, _, err := w.svc.Download(ctx, w.as("ana"), i.ID, f.ID, ""); return err },
			"out":    func() error { _, err := w.svc.CheckOut(ctx, w.as("eve"), i.ID, why, time.Hour); return err },
			"edit":   func() error { d := login(); d.Title = "x"; _, err := w.svc.Edit(ctx, w.as("ana"), i.ID, d); return err },
		} {
			if got, _ := fault.PublicOf(act()); got != "item_out" {
				t.Errorf("%s: %s", name, got)
			}
		}
		if s, err := w.svc.Show(ctx, w.as("eve"), i.ID); err != nil || s.Out == nil || s.Out.Person != "dev" {
			t.Errorf("others see %+v %v", s.Out, err)
		}
		_, err = w.svc.Reveal(ctx, dev, i.ID, "password", "")
		good(t, err)
		_, _, err = w.svc.Download(ctx, dev, i.ID, f.ID, "")
		good(t, err)
		coded(t, w.svc.CheckIn(ctx, w.as("eve"), i.ID), "item_level")
		good(t, w.svc.CheckIn(ctx, dev, i.ID))
		if s, err := w.svc.Show(ctx, dev, i.ID); err != nil || s.Out != nil || !s.Due.Equal(kit.Clock.Now()) {
			t.Errorf("after check-in: %+v %v", s.Due, err)
		}
		// The clock gives it back.
		_, err = w.svc.CheckOut(ctx, dev, i.ID, why, time.Hour)
		good(t, err)
		kit.Clock.Advance(time.Hour)
		w.tend()
		_, err = w.svc.Reveal(ctx, w.as("eve"), i.ID, "password", "")
		good(t, err)
		es := kit.Recorded("vault.item-checked-in")
		if len(es) != 2 || es[0].Fields["cause"] != "asked" || es[1].Fields["cause"] != "over" {
			t.Errorf("entries: %+v", es)
		}
	}, tables...)
}

// breaks: vault.company-creds
func TestPeopleLeave(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx, ben := t.Context(), w.as("ben")
		i := w.make("dev", login())
		w.share("dev", i.ID, "eve", item.Viewer)
		w.staff.leaves("dev")
		w.tend()
		w.tend() // once is enough
		if es := kit.Recorded("vault.item-owner-left"); len(es) != 1 || es[0].Fields["holder"] != "dev" {
			t.Errorf("entries: %+v", es)
		}
		found, looked, err := w.svc.Report(ctx, ben)
		if err != nil || looked != 1 || len(found) != 1 || found[0].What[0] != item.Ownerless {
			t.Errorf("the report finds %+v of %d (%v)", found, looked, err)
		}
		// Whoever takes care names an owner, and sees no secret by that.
		_, err = w.svc.Reveal(ctx, ben, i.ID, "password", "")
		coded(t, err, "item_unknown")
		_, err = w.svc.Share(ctx, ben, i.ID, "ben", item.Viewer)
		coded(t, err, "item_level")
		_, err = w.svc.Share(ctx, w.as("eve"), i.ID, "eve", item.Owner)
		coded(t, err, "item_level")
		w.share("ben", i.ID, "eve", item.Owner)
		w.tend()
		s, err := w.svc.Show(ctx, w.as("eve"), i.ID)
		if err != nil || s.Level != item.Owner || len(s.Holders) != 1 {
			t.Errorf("taken over: %+v %v", s.Holders, err)
		}
		_, err = w.svc.Share(ctx, ben, i.ID, "ben", item.Owner)
		coded(t, err, "item_level")
	}, tables...)
}

// What is gone for good is seen by nobody: a file, and a field of a version that is kept no more.
func TestUnseen(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx, ana := t.Context(), w.as("ana")
		rows := func(under string) (n int) {
			t.Helper()
			good(t, ledger.One(ctx, kit.DB, `SELECT COUNT(*) FROM vault_seen WHERE thing LIKE $1`, []any{&n}, under+"%"))
			return n
		}
		i, other := w.make("ana", login()), w.make("ana", login())
		f, err := w.svc.Attach(ctx, ana, i.ID, "a.txt", secret.NewBytes([]byte("x")))
		good(t, err)
		if n := rows("item/" + i.ID + "/" + f.ID); n != 1 {
			t.Fatalf("a file is seen by %d", n)
		}
		good(t, w.svc.Detach(ctx, ana, i.ID, f.ID))
		if n := rows("item/" + i.ID + "/" + f.ID); n != 0 {
			t.Errorf("a removed file is seen by %d", n)
		}
		d := login()
		d.Values, d.Custom = nil, nil // the PIN goes, and then the version that had it
		for n := range 21 {
			d.Folder = fmt.Sprint(n)
			_, err := w.svc.Edit(ctx, ana, i.ID, d)
			good(t, err)
		}
		good(t, w.svc.Delete(ctx, ana, i.ID))
		kit.Clock.Advance(31 * 24 * time.Hour)
		w.tend()
		if n := rows("item/" + i.ID); n != 0 || rows("item/"+other.ID) == 0 {
			t.Errorf("%d parts of an erased item are seen, %d of another", n, rows("item/"+other.ID))
		}
	}, tables...)
}

// Of two who take care of an item without an owner at the same moment one names it.
func TestAdoptedOnce(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		i := w.make("dev", login())
		w.staff.leaves("dev")
		people := w.svc.People
		w.svc.People = finding{people, func() {
			w.svc.People = people
			w.share("ana", i.ID, "eve", item.Owner)
		}}
		_, err := w.svc.Share(t.Context(), w.as("ben"), i.ID, "ben", item.Owner)
		coded(t, err, "item_unknown")
		if s, err := w.svc.Show(t.Context(), w.as("eve"), i.ID); err != nil || s.Level != item.Owner || slices.Contains(s.Owners(), "ben") {
			t.Errorf("%+v %v", s.Holders, err)
		}
	}, tables...)
}

func TestSearch(t *testing.T) {
	w := open(t)
	ctx, ana := t.Context(), w.as("ana")
	w.make("ana", login())
	w.make("ana", item.Draft{Kind: "note", Title: "Alarm", Folder: "Office", Values: map[string]secret.Text{"text": text("the code is elm")}})
	for _, c := range []struct {
		q    item.Query
		want string
	}{
		{item.Query{}, "Alarm Bank portal"}, {item.Query{Text: "ELMBANK.example"}, "Bank portal"}, {item.Query{Text: "treasury fin"}, "Bank portal"}, {item.Query{Text: "elm"}, "Bank portal"},
		{item.Query{Folder: "Office"}, "Alarm"}, {item.Query{Kind: "note"}, "Alarm"}, {item.Query{Text: thePassword}, ""},
	} {
		l, err := w.svc.List(ctx, ana, c.q)
		good(t, err)
		var got []string
		for _, i := range l {
			got = append(got, i.Title)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %v", c.q, got)
		}
	}
}
