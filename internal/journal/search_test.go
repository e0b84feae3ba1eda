package journal_test

import (
	"testing"

	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger/ledgertest"
)

// A new version of a person's key gives them another pseudonym. Who searches for the
// person finds what was recorded under each.
func TestSearchFindsAPersonAcrossKeyVersions_regression(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		j := build(t, kit)
		run(t, j)
		about := noted{Title: "t", subject: keyring.Person("ben")}
		first := record(t, kit.DB, ana, about)
		for _, id := range []string{"ana", "ben"} {
			if _, err := kit.Ring.Renew(t.Context(), keyring.Person(id)); err != nil {
				t.Fatal(err)
			}
		}
		second := record(t, kit.DB, ana, about)
		if _, err := j.Wait(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		for name, q := range map[string]journal.Query{"actor": {Actor: "ana"}, "subject": {Subject: "person/ben"}} {
			got, err := j.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 2 || got[0].ID != second || got[1].ID != first {
				t.Errorf("%s: %d entries, expected both", name, len(got))
			}
			if len(got) == 2 && (got[0].Actor == got[1].Actor || got[0].Subject == got[1].Subject) {
				t.Error("the pseudonyms did not change: the test shows nothing")
			}
		}
	}, journal.Schema())
}
