package document_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/policy/document"
)

// Each case changes one thing in the sample; line and column are those of what was changed.
func TestRefusals(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "title: Links end", "titel: Links end", `15:9: auth.reset-link-lifetime: found key "titel", expected one of id, says,|did you mean title?`},
		{"unknown key at the top", "sections:\n", "sektions:\n", `8:1: found key "sektions"|did you mean sections?`},
		{"duplicate key", "title: Links end\n", "title: Links end\n        title: Again\n", `16:9: auth.reset-link-lifetime: found key "title" a second time`},
		{"duplicate parameter", "          day: {", "          who: {type: ref, value: role/owner}\n          day: {", `48:11: people.coding-exam: found name "who" a second time`},
		{"missing key", "        by: gateway\n", "", `26:9: auth.shape: found no by, expected by`},
		{"anchor", "title: Links end", "title: &x Links end", `15:16: found an anchor`},
		{"alias", "title: Links end", "title: *x", `15:16: found an alias`},
		{"merge key", "title: Links end", "<<: {title: Links end}", `15:9: found a merge key`},
		{"tag", "value: 24h", "value: !!str 24h", `18:40: found a tag`},
		{"own tag", "value: 24h", "value: !x 24h", `18:40: found a tag`},
		{"second document", "sections:\n", "---\nsections:\n", `8:1: found a second document`},
		{"directive", "writ: policy/v1\n", "%YAML 1.2\n---\nwrit: policy/v1\n", `1:1: found a directive`},
		{"complex key", "title: Links end", "? title\n        : Links end", `15:9: found a complex key`},
		{"tab", "title: Links end", "title: Links\tend", `15:21: found U+0009, a tab`},
		{"byte order mark", "writ: policy/v1\n", "\uFEFFwrit: policy/v1\n", `1:1: found U+FEFF, a byte order mark`},
		{"not NFC", "title: Links end", "title: Links e\u0301nd", `15:22: found text that is not in normal form NFC`},
		{"not UTF-8", "title: Links end", "title: Links \xff", `15:22: found byte 0xff`},
		{"control", "title: Links end", "title: Links \x07end", `15:22: found U+0007, a control character`},
		{"bidi override", "title: Links end", "title: Links \u202Eend", `15:22: found U+202E, a bidirectional control`},
		{"bidi isolate", "title: Links end", "title: Links \u2066end", `15:22: found U+2066, a bidirectional control`},
		{"bidi in a comment", "title: Links end", "title: Links end # \u202E", `15:28: found U+202E`},
		{"bidi behind an escape", "title: Links end", `title: "Links \u202Eend"`, `15:16: found U+202E, a bidirectional control, behind an escape`},
		{"escape of a tab", "title: Links end", `title: "Links\tend"`, `15:16: found U+0009`},
		{"escape that is not NFC", "title: Links end", `title: "Links e\u0301nd"`, `15:16: found text that is not in normal form NFC, behind an escape`},
		{"zero width", "title: Links end", "title: Links\u200Bend", `15:21: found U+200B, an invisible character`},
		{"soft hyphen", "title: Links end", "title: Links\u00ADend", `15:21: found U+00AD`},
		{"hangul filler", "title: Links end", "title: Links\u3164end", `15:21: found U+3164`},
		{"no-break space", "title: Links end", "title: Links\u00A0end", `15:21: found U+00A0, a space`},
		{"line separator", "title: Links end", "title: Links\u2028end", `15:21: found U+2028`},
		{"float for text", "title: Links end", "title: 1.10", `15:16: auth.reset-link-lifetime: found the bare number 1.10, expected text in quotes, such as "1.10"`},
		{"bare section number", `number: "3.1"`, `number: 3.1`, `39:13: found the bare number 3.1`},
		{"float in an enum", `of: ["1.2", "1.3"]`, `of: [1.2, "1.3"]`, `33:34: auth.shape/tls: found the bare number 1.2`},
		{"float for an int", "value: 12,", "value: 12.0,", `29:35: auth.shape/min: found "12.0", expected an integer`},
		{"infinity", "value: 12,", "value: .inf,", `29:35: auth.shape/min: found ".inf"`},
		{"hexadecimal", "value: 12,", "value: 0xC,", `29:35: auth.shape/min: found "0xC"`},
		{"null", "title: Links end", "title: null", `15:16: auth.reset-link-lifetime: found nothing`},
		{"empty", "title: Links end", "title:", `15:9: auth.reset-link-lifetime: found nothing`},
		{"blank", "title: Links end", `title: " "`, `15:16: auth.reset-link-lifetime: found empty text`},
		{"mapping for text", "title: Links end", "title: {a: b}", `15:17: auth.reset-link-lifetime: found a mapping, expected text`},
		{"list for a mapping", "params:\n          ttl: {type: duration, value: 24h, range: [5m, 48h], stricter: lower, decide: \"A day is enough.\"}", "params: [ttl]", `17:17: auth.reset-link-lifetime: found a list, expected a mapping of parameters`},
		{"placeholder without parameter", "working {{ttl}} after", "working {{ttl}} after {{tll}}", `16:15: auth.reset-link-lifetime: found placeholder "{{tll}}" without a parameter|did you mean ttl?`},
		{"parameter not shown", "working {{ttl}} after", "working soon after", `18:17: auth.reset-link-lifetime: found parameter ttl that the sentence does not show`},
		{"open braces", "working {{ttl}} after", "working {{ttl}} {{after", `16:15: auth.reset-link-lifetime: found braces that close no placeholder`},
		{"silent without why", ", silent: true, why: Shown below.", ", silent: true", `49:19: people.coding-exam/times: found silent without why`},
		{"silent and shown", "about {{topic}}.", "about {{topic}}; {{times}}.", `49:19: people.coding-exam: found parameter times that is silent and shown`},
		{"digit in says", "after it was sent.", "after it was sent, or 24 hours.", `16:15: auth.reset-link-lifetime: found the number "24" in the sentence`},
		{"digit in a word", "after it was sent.", "after it was sent by S3.", `found the number "S3."`},
		{"superscript in says", "after it was sent.", "after it was sent².", `found the number "sent²."`},
		{"standard's name in a longer one", "AES-256 and", "AES-2560 and", `27:15: auth.shape: found the number "AES-2560"`},
		{"standard's name with more behind", "OAuth 2.0 apply", "OAuth 2.0.1 apply", `27:15: auth.shape: found the number "2.0.1"`},
		{"below the range", "value: 12,", "value: 7,", `29:35: auth.shape/min: found "7", expected a value from 8 to 64`},
		{"above the range", "value: 24h", "value: 3d", `18:40: auth.reset-link-lifetime/ttl: found "3d", expected a value from 5m to 48h`},
		{"range upside down", "[5m, 48h]", "[48h, 5m]", `18:52: auth.reset-link-lifetime/ttl: found a range from 48h to 5m`},
		{"range of one", "[5m, 48h]", "[5m]", `18:52: auth.reset-link-lifetime/ttl: found less than two bounds`},
		{"range of three", "[5m, 48h]", "[5m, 1h, 48h]", `18:52: auth.reset-link-lifetime/ttl: found 3 bounds`},
		{"range on a set", "[no, \"on\", b, a], stricter", "[no, \"on\", b, a], range: [a, b], stricter", `found a range on a set`},
		{"months", "value: 24h", "value: 1mo", `18:40: auth.reset-link-lifetime/ttl: found "1mo", expected an integer with one unit`},
		{"two units", "value: 24h", "value: 1h30m", `found "1h30m"`},
		{"half an hour", "value: 24h", "value: 0.5h", `found "0.5h"`},
		{"long duration", "every: 24h", "every: 9999999999w", `23:58: auth.reset-link-lifetime: found "9999999999w", expected at most a hundred years`},
		{"three decimals", "99.5%", "99.555%", `30:41: auth.shape/share: found "99.555%"`},
		{"no percent sign", "99.5%", "99.5", `30:41: auth.shape/share: found "99.5"`},
		{"unit of size", "64KiB", "64kb", `31:37: auth.shape/body: found "64kb"`},
		{"yes for a bool", "value: true", "value: yes", `32:35: auth.shape/on: found "yes", expected true or false`},
		{"choice that is none", `value: "1.2"`, `value: "1.1"`, `33:56: auth.shape/tls: found "1.1", expected one of 1.2 or 1.3`},
		{"enum without choices", `of: ["1.2", "1.3"], `, ``, `33:17: auth.shape/tls: found an enum without of`},
		{"choice twice", `of: ["1.2", "1.3"]`, `of: ["1.2", "1.2"]`, `found "1.2" a second time`},
		{"member twice", "b, a]", "b, b]", `34:37: auth.shape/words: found "b", expected each member once`},
		{"word for a set", `[no, "on", b, a]`, "a", `34:37: auth.shape/words: found "a", expected a list`},
		{"list for a word", "value: 24h", "value: [24h]", `18:40: auth.reset-link-lifetime/ttl: found a list`},
		{"host bits", "10.0.0.0/25", "10.0.0.1/25", `auth.shape/nets: found "10.0.0.1/25", expected 10.0.0.0/25`},
		{"whole internet", "10.0.0.0/25", "0.0.0.0/0", `found "0.0.0.0/0", expected less than the whole address space`},
		{"whole internet in halves", "[10.0.0.0/25, 10.0.0.128/25]", "[0.0.0.0/1, 128.0.0.0/1]", `expected less than the whole address space`},
		{"address for a prefix", "10.0.0.0/25", "10.0.0.1", `found "10.0.0.1", expected a prefix`},
		{"date that is none", "2026-06-30", "2026-06-31", `45:36: people.coding-exam/day: found "2026-06-31"`},
		{"cron of six fields", "30 2 * * 1", "0 30 2 * * 1", `found "0 30 2 * * 1", expected five fields`},
		{"cron tag", "30 2 * * 1", `"@daily"`, `found "@daily", expected five fields`},
		{"cron out of bounds", "30 2 * * 1", "61 2 * * 1", `found "61 2 * * 1", expected five fields`},
		{"reference without a kind", "value: role/owner", "value: owner", `found "owner", expected person/…, role/… or vendor/…`},
		{"unknown role in a reference", "value: role/owner", "value: role/ownr", `unknown role/ownr|did you mean owner?`},
		{"row too short", "[critical, 7d]", "[critical]", `found 1 cells in row 2, expected 2`},
		{"row twice", "[critical, 7d]", "[high, 7d]", `found "high", expected each kind in one row`},
		{"cell of another type", "[critical, 7d]", "[critical, week]", `found "week", expected an integer with one unit`},
		{"table without columns", "columns: [{name: kind, type: text}, {name: within, type: duration}], ", "", `found a table without columns`},
		{"column twice", "name: within", "name: kind", `found column "kind" a second time`},
		{"direction of another type", "value: 12, range: [8, 64], stricter: higher", "value: 12, range: [8, 64], stricter: last", `found direction "last", expected one of lower or higher`},
		{"direction of a date", "value: 2026-06-30", "value: 2026-06-30, stricter: higher", `found stricter on a date`},
		{"unknown type", "type: duration, value: 24h", "type: durration, value: 24h", `found type "durration"|did you mean duration?`},
		{"text in an enforced clause", "type: int, value: 12, range: [8, 64], stricter: higher", "type: text, value: twelve", `found a text parameter in a clause that is enforced`},
		{"unknown module", "by: gateway", "by: gatway", `37:13: auth.shape: found module "gatway"|did you mean gateway?`},
		{"unknown form", "hiring.exam", "hiring.exm", `found form "hiring.exm"|did you mean hiring.exam?`},
		{"unknown role", "signed_by: hiring-manager", "signed_by: hiring-manger", `found role "hiring-manger"|did you mean hiring-manager?`},
		{"unknown framework", "csf2: [PR.AA-03]", "csf3: [PR.AA-03]", `found framework "csf3"|did you mean csf2?`},
		{"unknown framework id", "[A.5.17]", "[A.5.38]", `24:42: auth.reset-link-lifetime: found "A.5.38", expected an id of iso27001`},
		{"unknown class", "class: attested", "class: atested", `found class "atested"|did you mean attested?`},
		{"unknown visibility", "visibility: summary", "visibility: secret", `found visibility "secret"`},
		{"unknown format", "policy/v1", "policy/v2", `1:7: found format "policy/v2"`},
		{"clause id", "id: auth.shape", "id: Auth.Shape", `26:13: found "Auth.Shape", expected an id such as`},
		{"clause id without a dot", "id: auth.shape", "id: shape", `26:13: found "shape"`},
		{"long clause id", "id: auth.shape", "id: auth." + strings.Repeat("a", 60), `26:13: found 65 characters`},
		{"clause twice", "id: auth.shape", "id: auth.reset-link-lifetime", `26:13: found clause "auth.reset-link-lifetime", which stands on line 14`},
		{"section twice", "id: people\n", "id: auth\n", `38:5: found section "auth" a second time`},
		{"two kinds of check", "probe: identity.oldest-accepted-reset,", "probe: identity.oldest-accepted-reset, replay: identity.x,", `found a second kind of check`},
		{"no kind of check", "probe: identity.oldest-accepted-reset, ", "", `found no kind of check`},
		{"check twice", "canary: identity.reset-after-expiry", "probe: identity.oldest-accepted-reset", `found probe identity.oldest-accepted-reset a second time`},
		{"control without module", "probe: identity.oldest-accepted-reset", "probe: oldest", `found "oldest", expected module.name`},
		{"check never run", "every: 1h", "every: 0s", `found "0s", expected more than nothing`},
		{"contact", "security@example.com", "the office", `5:12: policy: found "the office", expected one mail address`},
		{"contact with a name", "security@example.com", `"Bo <bo@example.com>"`, `5:12: policy: found "Bo <bo@example.com>"`},
		{"author", "author: person/ana", "author: Ana", `6:11: policy: found "Ana", expected person/…`},
		{"owner twice", "person/cy]", "person/bo]", `7:23: policy: found "person/bo" a second time`},
		{"no owner", "[person/bo, person/cy]", "[]", `7:11: policy: found no owner`},
		{"policy id", "id: IS-07", "id: is 07", `3:7: policy: found "is 07", expected a number such as IS-01`},
		{"parameter name", "          day: {", "          Day-1: {", `found name "Day-1"`},
		{"long says", "after it was sent.", "after it was sent" + strings.Repeat(" late", 200) + ".", `16:15: auth.reset-link-lifetime: found 1053 characters, expected at most 1000 characters`},
		{"broken YAML", "title: Links end", "title: [Links end", `found YAML that cannot be read`},
		{"deep flow", "title: Links end", "title: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), `found nesting deeper than any policy`},
		{"deep dashes", "title: Links end", "title:\n          " + strings.Repeat("- ", 40) + "x", `found nesting deeper than any policy`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, ps := document.Load([]byte(swap(t, sample, c.old, c.new)), document.Shipped())
			if p != nil || len(ps) == 0 {
				t.Fatal("accepted")
			}
			for want := range strings.SplitSeq(c.want, "|") {
				if !strings.Contains(fmt.Sprint(ps), want) {
					t.Errorf("no %q in\n%v", want, lines(ps))
				}
			}
		})
	}
}

func lines(ps []document.Problem) string {
	var b strings.Builder
	for _, p := range ps {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

func TestAllProblemsComeInOneRun(t *testing.T) {
	y := swap(t, sample, "title: Links end", "titel: Links end")
	y = swap(t, y, "by: gateway", "by: gatway")
	y = swap(t, y, "value: 24h", "value: 3d")
	y = swap(t, y, "hiring.exam", "exam")
	y = swap(t, y, "30 2 * * 1", "nightly")
	_, ps := document.Load([]byte(y), document.Shipped())
	if len(ps) != 5 {
		t.Fatalf("%d problems:\n%s", len(ps), lines(ps))
	}
	for i := 1; i < len(ps); i++ {
		if ps[i].Line < ps[i-1].Line {
			t.Error("not in the order of the file")
		}
	}
	if err := document.Refusal(document.InFile("policy.yaml", ps)); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "policy.yaml:15:9: ") {
		t.Errorf("refusal %v", err)
	}
}

func TestProblemsStopAtFifty(t *testing.T) {
	_, ps := document.Load([]byte(sample+strings.Repeat("      - {a: 1}\n", 400)), document.Shipped())
	if len(ps) != document.MaxProblems {
		t.Errorf("%d problems", len(ps))
	}
}

func TestLimits(t *testing.T) {
	head, _, _ := strings.Cut(sample, "sections:")
	clause := func(i int) string {
		return fmt.Sprintf("      - {id: a.c%d, says: We do it., class: attested, by: people}\n", i)
	}
	build := func(sections, clauses int) string {
		var b strings.Builder
		b.WriteString(head + "sections:\n")
		for s := range sections {
			fmt.Fprintf(&b, "  - id: s%d\n    number: \"1\"\n    title: S\n    clauses:\n", s)
			for c := range clauses {
				b.WriteString(clause(s*clauses + c))
			}
		}
		return b.String()
	}
	many := func(n int, f func(int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(f(i))
		}
		return b.String()
	}
	params := func(n int) string {
		return head + "sections:\n  - id: s\n    number: \"1\"\n    title: S\n    clauses:\n      - id: a.b\n        says: We do it" +
			many(n, func(i int) string { return fmt.Sprintf(" {{p%d}}", i) }) + ".\n        class: attested\n        by: people\n        params:\n" +
			many(n, func(i int) string { return fmt.Sprintf("          p%d: {type: int, value: 1}\n", i) })
	}
	checks := func(n int) string {
		return head + "sections:\n  - id: s\n    number: \"1\"\n    title: S\n    clauses:\n      - id: a.b\n        says: We do it.\n        class: attested\n        by: people\n        check:\n" +
			many(n, func(i int) string {
				return fmt.Sprintf("          - {probe: people.c%d, every: 1h, fresh_for: 1h}\n", i)
			})
	}
	for _, c := range []struct {
		name, y string
		want    string
	}{
		{"64 sections", build(64, 1), ""},
		{"65 sections", build(65, 1), "found 65 sections, expected at most 64"},
		{"1000 clauses", build(2, 500), ""},
		{"1001 clauses", build(13, 77), "found 1001 clauses, expected at most 1000"},
		{"16 parameters", params(16), ""},
		{"17 parameters", params(17), "found 17 parameters, expected at most 16"},
		{"8 checks", checks(8), ""},
		{"9 checks", checks(9), "found 9 checks, expected at most 8"},
		{"over a mebibyte", sample + strings.Repeat("#\n", 1<<19), "expected at most 1048576 bytes"},
		{"empty", "", "found an empty file"},
		{"only a comment", "# x\n", "found an empty file"},
	} {
		_, ps := document.Load([]byte(c.y), document.Shipped())
		if got := lines(ps); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %.300s", c.name, got)
		}
	}
}

// A file made to exhaust the reader is refused within a second and 64 MiB.
func TestHostileFilesAreCheap(t *testing.T) {
	const n = 1<<20 - 100
	fill := func(s string) string { return strings.Repeat(s, n/len(s)) }
	for name, y := range map[string]string{
		"brackets": fill("["), "closed brackets": fill("[]"), "braces": fill("{"), "dashes": fill("- "), "dash lines": fill("-\n"), "colons": fill("a: "),
		"keys": fill("? "), "tags": fill("!a "), "anchors": fill("&a "), "aliases": fill("*a "), "commas": "[" + fill("a,"), "quotes": fill(`"`), "quoted": fill(`"a" `),
		"one word": fill("a"), "words": fill("a "), "lines": fill("a\n"), "pairs": fill("a: b\n"), "comments": fill("#a\n"), "block": "a: |\n" + fill("  x\n"), "folded": "a: >\n" + fill("  x\n\n"),
		"escapes": `a: "` + fill(`\u0061`), "documents": fill("---\n"), "staircase": staircase(1000), "spaces": fill(" "), "new lines": fill("\n"), "nul": fill("\x00"),
		"brackets hidden in quotes": fill(`["]",`), "pipes": fill("|\n"), "percent": fill("%a\n"), "single": fill("'"),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			p, ps := document.Load([]byte(y), document.Shipped())
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if p != nil || len(ps) == 0 || len(ps) > document.MaxProblems {
				t.Errorf("%d problems", len(ps))
			}
			t.Logf("%v, %d MiB allocated", took, (after.TotalAlloc-before.TotalAlloc)>>20)
			if took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func staircase(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("writ: policy/v1\npolicy: {id: [}"))
	f.Add([]byte("- - - ? !!a &b *c <<: |\n x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			t.Skip()
		}
		p, ps := document.Load(b, document.Shipped())
		if (p == nil) != (len(ps) > 0) || len(ps) > document.MaxProblems {
			t.Fatalf("policy %v with %d problems", p != nil, len(ps))
		}
		for _, x := range ps {
			if x.Line < 1 || x.Column < 1 || x.Found == "" || x.Expected == "" {
				t.Fatalf("%+v", x)
			}
		}
		if p == nil {
			return
		}
		q, ps := document.Load(document.Print(p), document.Shipped())
		if q == nil || q.BodyHash() != p.BodyHash() {
			t.Fatalf("printed and read again: %v\n%s", ps, document.Print(p))
		}
		if _, err := document.FromCanonical(p.Canonical()); err != nil {
			t.Fatal(err)
		}
	})
}
