package item_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/vault/item"
)

// To compare is to try values: a person compares with what they may reveal as they are, the
// server with all.
//
// breaks: vault.secret-home, vault.company-creds
func TestSecretsToCompare(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx := t.Context()
		// each is an item of ana's that dev sees, but for one circumstance.
		ids := map[string]string{}
		for _, name := range []string{"shared", "hidden", "critical", "sensitive", "out", "deleted"} {
			d := login()
			d.Critical, d.Sensitive = false, name == "sensitive"
			i := w.make("ana", d)
			ids[i.ID] = name
			if name != "hidden" {
				w.share("ana", i.ID, "dev", item.Viewer)
			}
			switch name {
			case "critical":
				d.Critical = true
				_, err := w.svc.Edit(ctx, w.as("ana"), i.ID, d)
				good(t, err)
			case "out":
				_, err := w.svc.CheckOut(ctx, w.as("ana"), i.ID, why, time.Hour)
				good(t, err)
			case "deleted":
				good(t, w.svc.Delete(ctx, w.as("ana"), i.ID))
			}
		}
		given := func(who actor.Actor) (items []string, values map[string]string) {
			t.Helper()
			values = map[string]string{}
			good(t, w.svc.EachSecret(ctx, who, "staff", func(name string, v secret.Text) error {
				p := strings.Split(name, "/")
				if p[0] != "item" || len(p) != 3 {
					t.Errorf("it is called %s", name)
				}
				items, values[p[2]] = append(items, ids[p[1]]), v.Reveal()
				return nil
			}))
			slices.Sort(items)
			return slices.Compact(items), values
		}
		items, values := given(w.as("dev"))
		if !slices.Equal(items, []string{"shared"}) || values["password"] != thePassword || values["totp"] != "" || values["username"] != "" {
			t.Errorf("dev compares %v %v", items, values)
		}
		if items, values = given(actor.System("vault")); len(items) != 5 || slices.Contains(items, "deleted") || values["totp"] != theSeed {
			t.Errorf("the server compares %v %v", items, values)
		}
		token := w.as("dev")
		token.Via, token.Token = "token", "t1"
		for name, who := range map[string]actor.Actor{"an operator": operator, "an auditor": w.as("fay"), "a token": token, "somebody else": w.as("suna")} {
			if items, _ := given(who); len(items) > 0 {
				t.Errorf("%s compares %v", name, items)
			}
		}
	}, tables...)
}
