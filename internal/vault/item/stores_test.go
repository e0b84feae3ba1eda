package item_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/vault/item"
	"writ/internal/vault/keys"
)

type noPeople struct{ keys.People }

type noTeams struct{ keys.Teams }

type noJournal struct{ keys.Journal }

// boxesOf are all sealed columns of items.
const boxesOf = `SELECT 'vault-item', head FROM vault_item UNION ALL SELECT 'vault-item', head FROM vault_item_version UNION ALL
	SELECT CASE WHEN field = 'totp' THEN 'vault-seed' ELSE 'vault-item' END, value FROM vault_item_field UNION ALL SELECT 'vault-item', name FROM vault_item_file UNION ALL SELECT 'vault-item', body FROM vault_item_file`

// After an exposure every column of items is sealed anew and still opens; the former keys
// end a month later, and it still opens.
func TestItemsAreSealedAnew(t *testing.T) { // breaks: crypto.key-rotation
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx := t.Context()
		rules := clause.NewLive[keys.Rules](kit.Clock.Now)
		if err := rules.Set([]clause.Period{{Values: policytest.Values()}}); err != nil {
			t.Fatal(err)
		}
		svc, err := keys.New(keys.Deps{DB: kit.DB, Ring: kit.Ring, Access: w.access, People: noPeople{}, Teams: noTeams{}, Journal: noJournal{}, Rules: rules, Stores: item.Stores(), Quorum: func() int { return 2 },
			Acting: func(context.Context, string, access.Action) (bool, error) { return true, nil }, Now: kit.Clock.Now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		i := w.make("ana", item.Draft{Kind: "login", Title: "Bank portal", Values: map[string]secret.Text{"password": text("correct horse 9"), "totp": text(theSeed), "url": text("https://portal.elmbank.example")}}, "ana", "ben")
		if _, err := w.svc.Edit(ctx, w.as("ana"), i.ID, item.Draft{Title: "Bank portal", Values: map[string]secret.Text{"password": text("correct horse 10")}}); err != nil {
			t.Fatal(err)
		}
		file, err := w.svc.Attach(ctx, w.as("ana"), i.ID, "contract.txt", secret.NewBytes([]byte("the contract")))
		if err != nil {
			t.Fatal(err)
		}
		reads := func() {
			t.Helper()
			if r, err := w.svc.Reveal(ctx, w.as("ana"), i.ID, "password", "ticket 42"); err != nil || r.Text.Reveal() != "correct horse 10" {
				t.Errorf("the password: %v", err)
			}
			if _, err := w.svc.Code(ctx, w.as("ana"), i.ID, "ticket 42"); err != nil {
				t.Errorf("the code: %v", err)
			}
			f, b, err := w.svc.Download(ctx, w.as("ana"), i.ID, file.ID, "ticket 42")
			if err != nil || f.Name != "contract.txt" || string(b.Reveal()) != "the contract" {
				t.Errorf("the file: %+v %v", f, err)
			}
			if all, err := w.svc.List(ctx, w.as("ana"), item.Query{Text: "elmbank"}); err != nil || len(all) != 1 {
				t.Errorf("the list: %d, %v", len(all), err)
			}
		}
		reads()
		former := map[string]bool{}
		team := w.as("ana").Team
		for _, kind := range []string{"vault-item", "vault-seed"} {
			k, err := kit.Ring.Key(ctx, keyring.Subject{Kind: kind, ID: team})
			if err != nil {
				t.Fatal(err)
			}
			former[k.ID()] = true
		}
		if _, err := svc.Rotate(ctx, w.as("ana"), keys.Exposure{Happened: true, Reason: "a laptop is gone"}); err != nil {
			t.Fatal(err)
		}
		if err := svc.Reseal(ctx); err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := kit.DB.Each(ctx, boxesOf, func(scan ledger.Scan) error {
			var kind string
			var box []byte
			if err := scan(&kind, &box); err != nil {
				return err
			}
			id, err := envelope.KeyID(box)
			if n++; former[id] || err != nil {
				t.Errorf("a box of %s lies under the former key (%v)", kind, err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if n < 9 { // 1 head, 2 versions, 2 + 2 fields, name and body
			t.Errorf("looked at %d boxes only", n)
		}
		reads()
		kit.Clock.Advance(31 * 24 * time.Hour)
		if err := svc.Reseal(ctx); err != nil {
			t.Fatal(err)
		}
		for id := range former {
			if _, err := kit.Ring.ByID(ctx, id); fault.KindOf(err) != fault.Gone {
				t.Errorf("a former key answers: %v", err)
			}
		}
		reads()
	}, tables...)
}
