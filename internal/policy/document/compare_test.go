package document_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"writ/internal/policy/document"
)

func TestCompareLevels(t *testing.T) {
	old := mustLoad(t, sample)
	for _, c := range []struct {
		name, from, to string
		want           document.Level
		loosen         bool
	}{
		{"shorter where lower is stricter", "value: 24h", "value: 1h", document.Tighter, false},
		{"longer", "value: 24h", "value: 25h", document.Looser, true},
		{"the same in other units", "value: 24h", "value: 1d", document.TextOnly, false},
		{"higher", "value: 12,", "value: 13,", document.Tighter, false},
		{"lower", "value: 12,", "value: 11,", document.Looser, true},
		{"percent", "99.5%", "99.4%", document.Looser, true},
		{"percent spelled otherwise", "99.5%", "99.50%", document.TextOnly, false},
		{"size", "64KiB", "64KB", document.Tighter, false},
		{"bool", "value: true", "value: false", document.Looser, true},
		{"enum", `value: "1.2"`, `value: "1.3"`, document.Tighter, false},
		{"set grew", "b, a]", "b, a, c]", document.Tighter, false},
		{"set shrank", "b, a]", "b]", document.Looser, true},
		{"set both", "b, a]", "b, c]", document.Incomparable, true},
		{"nets spelled otherwise", "[10.0.0.0/25, 10.0.0.128/25]", "[10.0.0.0/24]", document.TextOnly, false},
		{"nets fewer addresses in a longer list", "[10.0.0.0/25, 10.0.0.128/25]", "[10.0.0.0/26, 10.0.0.64/27, 10.0.0.128/25]", document.Tighter, false},
		{"nets more addresses in a shorter list", "[10.0.0.0/25, 10.0.0.128/25]", "[10.0.0.0/23]", document.Looser, true},
		{"nets elsewhere", "[10.0.0.0/25, 10.0.0.128/25]", "[10.0.1.0/24]", document.Incomparable, true},
		{"date", "2026-06-30", "2026-07-01", document.Incomparable, true},
		{"cron", "30 2 * * 1", "30 2 * * 2", document.Incomparable, true},
		{"reference", "role/owner", "role/auditor", document.Incomparable, true},
		{"text parameter", "writing code", "reading code", document.Incomparable, true},
		{"cell", "7d]]", "6d]]", document.Incomparable, true},
		{"cell spelled otherwise", "7d]]", "1w]]", document.TextOnly, false},
		{"words", "stops working", "ends", document.TextOnly, false},
		{"words of an attested clause", "Candidates pass", "Applicants pass", document.TextOnly, true},
		{"title", "Links end", "Links stop", document.TextOnly, false},
		{"mapping", "[CC6.1]", "[CC6.2]", document.TextOnly, false},
		{"class lowered", "class: enforced\n        by: gateway", "class: checked\n        by: gateway", document.Looser, true},
		{"class raised", "class: attested\n        by: people\n        via", "class: checked\n        by: people\n        via", document.Tighter, false},
		{"other module", "by: gateway", "by: identity", document.Incomparable, true},
		{"source added", "[writ-git, github]", "[writ-git, github, other]", document.Looser, true},
		{"check removed", "          - {probe: identity.oldest-accepted-reset, every: 1h, fresh_for: 24h}\n", "", document.Looser, true},
		{"check less often", "every: 1h", "every: 2h", document.Looser, true},
		{"check more often", "every: 1h", "every: 30m", document.Tighter, false},
		{"fresh longer", "fresh_for: 48h", "fresh_for: 49h", document.Looser, true},
		{"check spelled otherwise", "every: 1h", "every: 60m", document.TextOnly, false},
		{"other refusal", "expect: refused", "expect: gone", document.Incomparable, true},
		{"other check", "identity.reset-after-expiry", "identity.other", document.Incomparable, true},
		{"range wider", "[8, 64]", "[6, 64]", document.Looser, true},
		{"range narrower", "[8, 64]", "[8, 32]", document.Tighter, false},
		{"range shifted", "[8, 64]", "[9, 65]", document.Incomparable, true},
		{"range gone", "range: [8, 64], ", "", document.Looser, true},
		{"direction turned", "value: 24h, range: [5m, 48h], stricter: lower", "value: 24h, range: [5m, 48h], stricter: higher", document.Incomparable, true},
		{"exception allowed", "        exception: never\n", "", document.Looser, true},
		{"shown to fewer", "visibility: summary", "visibility: hidden", document.Looser, true},
		{"record for longer", "valid_for: 365d", "valid_for: 366d", document.Looser, true},
		{"record for ever", ", valid_for: 365d", "", document.Looser, true},
		{"nobody excluded", ", not: candidate", "", document.Looser, true},
		{"other signer", "signed_by: hiring-manager", "signed_by: owner", document.Incomparable, true},
		{"gate removed", ", gate: hire", "", document.Looser, true},
		{"parameter added", "params:\n          ttl:", "params:\n          x: {type: int, value: 1, silent: true, why: Y.}\n          ttl:", document.Incomparable, true},
		{"tighter and looser", "value: 12, range: [8, 64], stricter: higher}\n          share: {type: percent, value: 99.5%", "value: 13, range: [8, 64], stricter: higher}\n          share: {type: percent, value: 99.4%", document.Incomparable, true},
	} {
		new := mustLoad(t, swap(t, sample, c.from, c.to))
		d := document.Compare(old, new)
		if len(d.Clauses) != 1 || d.Clauses[0].Level != c.want || d.NeedsLoosen() != c.loosen {
			t.Errorf("%s: %+v, needs loosen %v", c.name, d, d.NeedsLoosen())
		}
		if back := document.Compare(new, old); len(back.Clauses) != 1 || back.Clauses[0].Level != reverse(c.want) {
			t.Errorf("%s, backwards: %+v", c.name, back)
		}
	}
}

func reverse(l document.Level) document.Level {
	switch l {
	case document.Tighter:
		return document.Looser
	case document.Looser:
		return document.Tighter
	case document.New:
		return document.Gone
	case document.Gone:
		return document.New
	}
	return l
}

func TestCompareNewGoneMovedAndHeader(t *testing.T) {
	old := mustLoad(t, sample)
	new := mustLoad(t, swap(t, sample, "id: auth.shape", "id: auth.form"))
	d := document.Compare(old, new)
	if d.Summary() != "1 new, 1 gone" || !d.NeedsLoosen() || !d.Material() {
		t.Errorf("%s: %+v", d.Summary(), d)
	}

	// The last two clauses change their order.
	lines := strings.SplitAfter(sample, "\n")
	at := slices.Index(lines, "      - id: auth.shape\n")
	end := slices.Index(lines, "  - id: people\n")
	first := slices.Index(lines, "      - id: auth.reset-link-lifetime\n")
	swapped := slices.Concat(lines[:first], lines[at:end], lines[first:at], lines[end:])
	d = document.Compare(old, mustLoad(t, strings.Join(swapped, "")))
	if d.Summary() != "1 moved" || d.NeedsLoosen() || d.Material() {
		t.Errorf("order: %s: %+v", d.Summary(), d)
	}
	// One goes to another section.
	there := slices.Concat(lines[:at], lines[end:], lines[at:end])
	d = document.Compare(old, mustLoad(t, strings.Join(there, "")))
	if d.Summary() != "1 moved" || d.Clauses[0].Clause != "auth.shape" || d.Clauses[0].Details[0].Old != "auth" || d.Clauses[0].Details[0].New != "people" {
		t.Errorf("section: %+v", d)
	}

	for _, c := range []struct {
		from, to, summary string
		loosen            bool
	}{
		{"[person/bo, person/cy]", "[person/bo]", "owners changed", true},
		{"author: person/ana", "author: person/al", "author changed", false},
		{"security@example.com", "help@example.com", "contact changed", false},
		{"title: Information security", "title: Security", "title changed", false},
		{"IS-07", "IS-08", "id changed", true},
		{"title: Signing in", "title: Sign-in", "headings only", false},
	} {
		d := document.Compare(old, mustLoad(t, swap(t, sample, c.from, c.to)))
		if d.Summary() != c.summary || d.NeedsLoosen() != c.loosen {
			t.Errorf("%s: %s, %v", c.to, d.Summary(), d.NeedsLoosen())
		}
	}
	if d := document.Compare(old, old); !d.Empty() || d.Summary() != "no change" || d.NeedsLoosen() {
		t.Errorf("itself: %+v", d)
	}
}

func TestApprovalNumbersNeedLoosenEitherWay(t *testing.T) {
	y := swap(t, sample, "id: auth.shape", "id: gov.owners")
	old := mustLoad(t, y)
	for to, want := range map[string]bool{"value: 13,": true, "value: 11,": true} {
		if d := document.Compare(old, mustLoad(t, swap(t, y, "value: 12,", to))); d.NeedsLoosen() != want {
			t.Errorf("%s: %v", to, d.NeedsLoosen())
		}
	}
	if d := document.Compare(old, mustLoad(t, swap(t, y, "AES-256 and OAuth 2.0 apply", "AES-256 and TLS 1.3 apply"))); d.NeedsLoosen() {
		t.Error("words of gov.owners need a loosening")
	}
}

// Every pair of variants: what one direction calls tighter the other calls looser.
func TestCompareIsAntisymmetric(t *testing.T) {
	edits := map[string][]string{
		"auth.reset-link-lifetime/ttl": {"5m", "24h", "1d", "48h"},
		"auth.shape/min":               {"8", "12", "64"},
		"auth.shape/tls":               {"1.2", "1.3"},
		"auth.shape/on":                {"true", "false"},
		"auth.shape/words":             {"", "a", "a,b", "b,c"},
		"auth.shape/nets":              {"10.0.0.0/8", "10.0.0.0/9,10.128.0.0/9", "10.0.0.0/24", "2001:db8::/32", "10.0.0.0/8,2001:db8::/32"},
	}
	base := mustLoad(t, sample)
	var all []*document.Policy
	for key, forms := range edits {
		a, _ := base.Param(key)
		for _, f := range forms {
			p, ps := document.Apply(base, map[string]document.Literal{key: document.ParseLiteral(a.Type, f)})
			if len(ps) > 0 {
				t.Fatal(ps)
			}
			all = append(all, p)
		}
	}
	for _, a := range all {
		for _, b := range all {
			there, back := levels(document.Compare(a, b)), levels(document.Compare(b, a))
			for id, l := range there {
				if back[id] != reverse(l) {
					t.Fatalf("%s: %s there, %s back", id, l, back[id])
				}
			}
			if len(there) != len(back) {
				t.Fatalf("%v and %v", there, back)
			}
			if (len(there) == 0) != (a.BodyHash() == b.BodyHash()) {
				t.Fatalf("no difference between different bodies, or one between equal ones: %v", there)
			}
		}
	}
}

func levels(d document.Diff) map[string]document.Level {
	m := map[string]document.Level{}
	for _, c := range d.Clauses {
		m[c.Clause] = c.Level
	}
	return m
}

func ExampleDiff_Summary() {
	old, _ := document.Load([]byte(sample), document.Shipped())
	new, _ := document.Apply(old, map[string]document.Literal{
		"auth.reset-link-lifetime/ttl": document.Word("1h"),
		"auth.shape/min":               document.Word("10"),
	})
	d := document.Compare(old, new)
	fmt.Println(d.Summary(), "- needs loosen:", d.NeedsLoosen())
	// Output: 1 tighter, 1 looser - needs loosen: true
}
