package incident_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/ledger/ledgertest"
)

// A letter to the address for reports is a report as of the form: it begins an incident or belongs
// to one, is shown to who may act, and is thanked for; so many from a network, so many that name
// one sender, and no more.
func TestReportsByLetter(t *testing.T) { // breaks: inc.categorise
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		letter := func(from, network, text string) error {
			t.Helper()
			_, err := w.svc.ReportMailed(t.Context(), incident.Mailed{From: from, Subject: "It fails", Text: text, Network: network})
			return err
		}
		if err := letter("uma@customer.example", "192.0.2.0/24", "I cannot <script>sign in</script>.\n"+strings.Repeat("ü", 5000)); err != nil {
			t.Fatal(err)
		}
		open := w.open()
		if len(open) != 1 || open[0].Source != "report" {
			t.Fatalf("%+v", open)
		}
		r := w.show(open[0].Ref()).Reports
		if len(r) != 1 || !strings.HasPrefix(r[0].Text, "It fails\n\nI cannot <script>sign in") || utf8.RuneCountInString(r[0].Text) != 4000 || r[0].Email != "uma@customer.example" || r[0].Person != "" {
			t.Errorf("%+v", r)
		}
		if es := kit.Recorded("incident.reported"); len(es) != 1 || strings.Contains(es[0].Body, "uma@") || strings.Contains(es[0].Body, "192.0.2") {
			t.Errorf("recorded %+v", es)
		}
		for n := range 4 {
			if err := letter("uma@customer.example", fmt.Sprintf("198.51.%d.0/24", n), "I still cannot sign in."); err != nil {
				t.Fatal(err)
			}
		}
		if err := letter("Uma@customer.example", "203.0.113.0/24", "I still cannot sign in."); fault.KindOf(err) != fault.Limited {
			t.Errorf("a sixth that names her: %v", err)
		}
		for n := range 5 {
			if err := letter("", "203.0.113.0/24", fmt.Sprint("We cannot sign in either, says number ", n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := letter("vic@customer.example", "203.0.113.0/24", "I cannot sign in."); fault.KindOf(err) != fault.Limited || w.entries("report-refused") != 2 {
			t.Errorf("a sixth from one network: %v", err)
		}
		if err := letter("", "233.252.0.0/24", "We cannot sign in, and name nobody."); err != nil {
			t.Errorf("one that names nobody: %v", err)
		}
		if err := letter("vic@customer.example", "", " "); fault.KindOf(err) != fault.Invalid {
			t.Errorf("an empty one: %v", err)
		}
		for n := range 6 {
			err := letter("", "", fmt.Sprint("We cannot sign in, from a mail server that says no network, ", n))
			if want := n == 5; (fault.KindOf(err) == fault.Limited) != want || !want && err != nil {
				t.Errorf("number %d without a network: %v", n, err)
			}
		}
		for _, e := range kit.Recorded("incident.reported") {
			if e.Fields["network"] == "" {
				t.Error("a report of no network at all")
			}
		}
		w.worked()
		if got := w.post.to("incident.reported"); !slices.Equal(got, []string{"uma@customer.example", "uma@customer.example", "uma@customer.example"}) {
			t.Errorf("thanked %v", got)
		}
		if len(w.open()) != 1 {
			t.Errorf("%d incidents of one thing", len(w.open()))
		}
	}, tables...)
}
