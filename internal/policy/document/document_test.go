package document_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/policy/document"
	"writ/internal/policy/template"
)

// sample has every type and every key once.
const sample = `writ: policy/v1
policy:
  id: IS-07
  title: Information security
  contact: security@example.com
  author: person/ana
  owners: [person/bo, person/cy]
sections:
  - id: auth
    number: "8"
    title: Signing in
    about: How people prove who they are.
    clauses:
      - id: auth.reset-link-lifetime
        title: Links end
        says: A reset link stops working {{ttl}} after it was sent.
        params:
          ttl: {type: duration, value: 24h, range: [5m, 48h], stricter: lower, decide: "A day is enough."}
        class: enforced
        by: identity
        check:
          - {probe: identity.oldest-accepted-reset, every: 1h, fresh_for: 24h}
          - {canary: identity.reset-after-expiry, every: 24h, fresh_for: 48h, expect: refused}
        maps: {soc2: [CC6.1], iso27001: [A.5.17], csf2: [PR.AA-03]}
        exception: never
      - id: auth.shape
        says: "Length {{min}}, share {{share}}, body {{body}}, on {{on}}, TLS {{tls}}, words {{words}}, from {{nets}}; AES-256 and OAuth 2.0 apply."
        params:
          min: {type: int, value: 12, range: [8, 64], stricter: higher}
          share: {type: percent, value: 99.5%, stricter: higher}
          body: {type: size, value: 64KiB, stricter: lower}
          on: {type: bool, value: true, stricter: "true"}
          tls: {type: enum, of: ["1.2", "1.3"], value: "1.2", stricter: last}
          words: {type: set, value: [no, "on", b, a], stricter: superset}
          nets: {type: cidr-set, value: [10.0.0.0/25, 10.0.0.128/25], stricter: subset}
        class: enforced
        by: gateway
  - id: people
    number: "3.1"
    title: People
    clauses:
      - id: people.coding-exam
        says: Candidates pass an exam from {{day}} on, at {{when}}, held by {{who}}, about {{topic}}.
        params:
          day: {type: date, value: 2026-06-30}
          when: {type: cron, value: 30 2 * * 1}
          who: {type: ref, value: role/owner}
          topic: {type: text, value: writing code}
          times: {type: table, columns: [{name: kind, type: text}, {name: within, type: duration}], value: [[high, 30d], [critical, 7d]], silent: true, why: Shown below.}
        class: attested
        by: people
        via: [writ-git, github]
        record: {form: hiring.exam, signed_by: hiring-manager, not: candidate, valid_for: 365d, gate: hire}
        visibility: summary
        derived: true
        why: It shows skill.
        source: A coding exam is required.
        vague: Which one?
`

func mustLoad(t testing.TB, y string) *document.Policy {
	t.Helper()
	p, ps := document.Load([]byte(y), document.Shipped())
	if p == nil {
		t.Fatalf("refused: %v", ps)
	}
	return p
}

func swap(t testing.TB, y, old, new string) string {
	t.Helper()
	if strings.Count(y, old) != 1 {
		t.Fatalf("%q stands %d times in the sample", old, strings.Count(y, old))
	}
	return strings.Replace(y, old, new, 1)
}

func TestValuesAreTyped(t *testing.T) {
	p := mustLoad(t, sample)
	want := clause.Values{
		"auth.reset-link-lifetime/ttl": 24 * time.Hour,
		"auth.shape/min":               int64(12),
		"auth.shape/share":             int64(9950),
		"auth.shape/body":              int64(65536),
		"auth.shape/on":                true,
		"auth.shape/tls":               "1.2",
		"auth.shape/words":             []string{"a", "b", "no", "on"},
		"auth.shape/nets":              []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")},
		"people.coding-exam/day":       "2026-06-30",
		"people.coding-exam/when":      "30 2 * * 1",
		"people.coding-exam/who":       "role/owner",
		"people.coding-exam/topic":     "writing code",
		"people.coding-exam/times":     [][]string{{"critical", "604800s"}, {"high", "2592000s"}},
	}
	if got := p.Values(); !reflect.DeepEqual(got, want) {
		t.Errorf("values\n got %v\nwant %v", got, want)
	}
	c, ok := p.Clause("people.coding-exam")
	if !ok || c.Record == nil || c.Record.Not[0] != "candidate" || !slices.Equal(c.Via, []string{"github", "writ-git"}) || c.Visibility != document.Summary {
		t.Errorf("clause read as %+v", c)
	}
	if c, _ := p.Clause("auth.reset-link-lifetime"); !c.NoExcept || len(c.Checks) != 2 || c.Checks[1].Expect != "refused" || c.Maps["soc2"][0] != "CC6.1" {
		t.Errorf("clause read as %+v", c)
	}
	var ids []string
	for s, c := range p.Each() {
		ids = append(ids, s.ID+":"+c.ID)
	}
	if fmt.Sprint(ids) != "[auth:auth.reset-link-lifetime auth:auth.shape people:people.coding-exam]" {
		t.Errorf("order %v", ids)
	}
}

func TestValuesDecodeIntoRules(t *testing.T) {
	type rules struct {
		TTL   time.Duration  `clause:"auth.reset-link-lifetime/ttl"`
		Min   int            `clause:"auth.shape/min"`
		Share int64          `clause:"auth.shape/share"`
		TLS   string         `clause:"auth.shape/tls"`
		Nets  []netip.Prefix `clause:"auth.shape/nets"`
		Times [][]string     `clause:"people.coding-exam/times"`
	}
	r, err := clause.Decode[rules](mustLoad(t, sample).Values())
	if err != nil || r.TTL != 24*time.Hour || r.Min != 12 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestSentence(t *testing.T) {
	p := mustLoad(t, sample)
	c, _ := p.Clause("auth.shape")
	if got, want := c.Plain(nil), "Length 12, share 99.5 %, body 64 KiB, on yes, TLS 1.2, words a, b, no and on, from 10.0.0.0/25 and 10.0.0.128/25; AES-256 and OAuth 2.0 apply."; got != want {
		t.Errorf("got %s", got)
	}
	c, _ = p.Clause("auth.reset-link-lifetime")
	spans := c.Sentence(nil)
	if len(spans) != 3 || spans[1] != (document.Span{Text: "24 hours", Param: "ttl"}) {
		t.Errorf("spans %q", spans)
	}
	for v, want := range map[time.Duration]string{
		time.Hour: "1 hour", 90 * time.Minute: "90 minutes", 48 * time.Hour: "48 hours", 61 * time.Second: "61 seconds", 0: "0 hours",
	} {
		got := c.Plain(clause.Values{"auth.reset-link-lifetime/ttl": v})
		if want := "A reset link stops working " + want + " after it was sent."; got != want {
			t.Errorf("%v: got %s", v, got)
		}
	}
	c, _ = p.Clause("people.coding-exam")
	a, _ := c.Param("times")
	if got := a.Words(a.Value); got != "critical 7 days and high 30 days" {
		t.Errorf("table: %s", got)
	}
	if got := c.Plain(nil); !strings.Contains(got, "held by owner,") {
		t.Errorf("reference: %s", got)
	}
	words, _ := p.Param("auth.shape/words")
	if got := words.Words([]string{}); got != "none" {
		t.Errorf("empty set: %s", got)
	}
}

func TestHashIsOfTheMeaningAndTheWords(t *testing.T) {
	want := mustLoad(t, sample).BodyHash()
	same := map[string]string{
		"comment":       "# hello\n" + strings.Replace(sample, "sections:", "sections: # here", 1),
		"document mark": "---\n" + sample,
		"quoting":       swap(t, sample, "value: 24h", `"value": '24h'`),
		"bool quoted":   swap(t, sample, "value: true", `value: "true"`),
		"int quoted":    swap(t, sample, "value: 12,", `value: "12",`),
		"folding":       swap(t, sample, "says: A reset link stops working {{ttl}} after it was sent.", "says: >\n          A reset link stops\n          working {{ttl}}\n          after it was sent."),
		"literal block": swap(t, sample, "about: How people prove who they are.", "about: |-\n      How people prove\n      who they are."),
		"set order":     swap(t, sample, `[no, "on", b, a]`, `[a, b, "no", "on"]`),
		"row order":     swap(t, sample, `[[high, 30d], [critical, 7d]]`, `[[critical, 7d], [high, 30d]]`),
		"owner order":   swap(t, sample, "[person/bo, person/cy]", "[person/cy, person/bo]"),
		"key order":     swap(t, swap(t, sample, "  id: IS-07\n", ""), "  author: person/ana\n", "  author: person/ana\n  id: IS-07\n"),
		"default":       swap(t, sample, "exception: never", "exception: never\n        derived: false\n        visibility: public"),
		"crlf":          strings.ReplaceAll(sample, "\n", "\r\n"),
		"block style":   swap(t, sample, "maps: {soc2: [CC6.1], iso27001: [A.5.17], csf2: [PR.AA-03]}", "maps:\n          csf2:\n            - PR.AA-03\n          iso27001: [A.5.17]\n          soc2: [CC6.1]"),
		"escape":        swap(t, sample, "title: Signing in", `title: "Sign\u0069ng in"`),
	}
	for name, y := range same {
		if got := mustLoad(t, y).BodyHash(); got != want {
			t.Errorf("%s changed the hash", name)
		}
	}
	other := map[string][2]string{
		"id": {"IS-07", "IS-08"}, "title": {"Information security", "Security"}, "contact": {"security@", "sec@"}, "author": {"person/ana", "person/al"},
		"owners": {", person/cy", ""}, "section": {"id: auth\n", "id: sign\n"}, "number": {`"8"`, `"9"`}, "section title": {"Signing in", "Sign in"},
		"about": {"who they are", "who he is"}, "clause id": {"auth.shape", "auth.form"}, "clause title": {"Links end", "Links stop"}, "says": {"stops working", "ends"},
		"value": {"value: 24h", "value: 23h"}, "spelling": {"value: 24h", "value: 1d"}, "range": {"[5m, 48h]", "[5m, 2d]"}, "stricter": {"range: [5m, 48h], stricter: lower", "range: [5m, 48h], stricter: higher"},
		"decide": {"A day is enough", "One day is enough"}, "class": {"class: attested", "class: checked"}, "by": {"by: gateway", "by: identity"},
		"check": {"identity.reset-after-expiry", "identity.reset-too-late"}, "every": {"every: 1h", "every: 2h"}, "fresh": {"fresh_for: 48h", "fresh_for: 49h"},
		"expect": {", expect: refused", ""}, "kind": {"probe:", "replay:"}, "maps": {"[CC6.1]", "[CC6.2]"}, "exception": {"        exception: never\n", ""},
		"of": {`["1.2", "1.3"]`, `["1.2", "1.3", "1.4"]`}, "set": {"b, a]", "b]"}, "cidr": {"[10.0.0.0/25, 10.0.0.128/25]", "[10.0.0.0/24]"},
		"date": {"2026-06-30", "2026-07-30"}, "cron": {"30 2 * * 1", "31 2 * * 1"}, "ref": {"role/owner", "role/auditor"}, "text": {"writing code", "reading code"},
		"cell": {"7d]]", "8d]]"}, "column": {"name: within", "name: limit"}, "silent why": {"Shown below", "See below"}, "via": {", github", ""},
		"form": {"hiring.exam", "interview"}, "signer": {"signed_by: hiring-manager", "signed_by: owner"}, "not": {"not: candidate", "not: [candidate, author]"}, "valid": {"365d", "366d"},
		"gate": {", gate: hire", ""}, "visibility": {"visibility: summary", "visibility: hidden"}, "derived": {"derived: true", "derived: false"},
		"why": {"It shows skill", "It proves skill"}, "source": {"A coding exam is required", "A coding exam"}, "vague": {"Which one", "Which"},
		"bool": {"value: true", "value: false"}, "percent": {"99.5%", "99.50%"}, "size": {"64KiB", "65536B"}, "int": {"value: 12,", "value: 13,"},
	}
	seen := map[[32]byte]string{want: "the sample"}
	for name, x := range other {
		got := mustLoad(t, swap(t, sample, x[0], x[1])).BodyHash()
		if was, ok := seen[got]; ok {
			t.Errorf("%s has the hash of %s", name, was)
		}
		seen[got] = name
	}
}

func TestShuffledKeysKeepTheHash(t *testing.T) {
	for name, y := range map[string][]byte{"sample": []byte(sample), "template": template.YAML()} {
		p := mustLoad(t, string(y))
		for seed := range uint64(20) {
			rng := rand.New(rand.NewPCG(seed, 7))
			shuffled := shuffle(rng, string(document.Print(p)))
			if got := mustLoad(t, shuffled).BodyHash(); got != p.BodyHash() {
				t.Fatalf("%s, seed %d: another hash", name, seed)
			}
		}
	}
}

// shuffle changes the order of the plain "key: value" lines that stand beside each
// other at one depth, and strews comments.
func shuffle(rng *rand.Rand, y string) string {
	lines := strings.Split(strings.TrimSuffix(y, "\n"), "\n")
	depth := func(s string) int {
		if strings.HasSuffix(s, ":") || strings.HasPrefix(strings.TrimSpace(s), "- ") {
			return -1
		}
		return len(s) - len(strings.TrimLeft(s, " "))
	}
	var out []string
	for i := 0; i < len(lines); {
		j := i + 1
		for j < len(lines) && depth(lines[i]) >= 0 && depth(lines[j]) == depth(lines[i]) {
			j++
		}
		run := slices.Clone(lines[i:j])
		rng.Shuffle(len(run), func(a, b int) { run[a], run[b] = run[b], run[a] })
		if rng.IntN(4) == 0 {
			run = append(run, "# a note")
		}
		out = append(out, run...)
		i = j
	}
	return strings.Join(out, "\n") + "\n"
}

func TestRoundTrips(t *testing.T) {
	for name, y := range map[string]string{"sample": sample, "template": string(template.YAML())} {
		p := mustLoad(t, y)
		printed := document.Print(p)
		q := mustLoad(t, string(printed))
		if q.BodyHash() != p.BodyHash() {
			t.Errorf("%s: printed and read again it has another hash\n%s", name, printed)
		}
		if !bytes.Equal(document.Print(q), printed) {
			t.Errorf("%s: printed twice it differs", name)
		}
		f, err := document.FromCanonical(p.Canonical())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if f.BodyHash() != p.BodyHash() || document.HashBody(p.Canonical()) != p.BodyHash() || !reflect.DeepEqual(f.Values(), p.Values()) {
			t.Errorf("%s: the stored body differs", name)
		}
		if d := document.Compare(p, f); !d.Empty() {
			t.Errorf("%s: differs from its own body: %v", name, d)
		}
	}
}

func TestPrintQuotesWhatReadersDisagreeOn(t *testing.T) {
	for _, text := range []string{
		"yes", "null", "~", "1.10", "2026-01-01", "a: b", "a #b", "- a", `say "x" \ y`, "{x}", "[x]", "*a", "&a", "!a", "%a", "@a", "`a", "Ünïcode — ok", "0x1F", "1e5", "'a'", "a,b", "?x", ".inf", "trailing:", "|", ">",
	} {
		p := mustLoad(t, sample)
		q, ps := document.Apply(p, map[string]document.Literal{"people.coding-exam/topic": document.Word(text), "auth.shape/words": document.Words(text, "z")})
		if len(ps) > 0 {
			t.Errorf("%q: %v", text, ps)
			continue
		}
		if r := mustLoad(t, string(document.Print(q))); r.BodyHash() != q.BodyHash() {
			t.Errorf("%q does not come back", text)
		}
	}
}

func TestFromCanonicalRefuses(t *testing.T) {
	body := string(mustLoad(t, sample).Canonical())
	for name, b := range map[string]string{
		"nothing":         "",
		"white space":     body + "\n",
		"unknown key":     strings.Replace(body, `"about":`, `"above":`, 1),
		"literal as text": strings.Replace(body, `"value":12}`, `"value":"12"}`, 1),
		"default written": strings.Replace(body, `"derived":true`, `"derived":false`, 1),
		"out of range":    strings.Replace(body, `"value":12}`, `"value":7}`, 1),
		"bidi":            strings.Replace(body, `Links end`, "Links \u202eend", 1),
		"unsorted set":    strings.Replace(body, `["a","b",`, `["b","a",`, 1),
		"two spaces":      strings.Replace(body, `Links end`, "Links  end", 1),
		"cut":             body[:len(body)/2],
		"null":            "null",
	} {
		if b == body {
			t.Fatalf("%s changed nothing", name)
		}
		if p, err := document.FromCanonical([]byte(b)); err == nil {
			t.Errorf("%s was read as %v", name, p)
		}
	}
}

func TestStoredBodyOutlivesTheVocabulary(t *testing.T) {
	v := document.Shipped()
	v.Modules = append(v.Modules, "quantum")
	y := swap(t, sample, "by: gateway", "by: quantum")
	p, ps := document.Load([]byte(y), v)
	if p == nil {
		t.Fatal(ps)
	}
	if _, err := document.FromCanonical(p.Canonical()); err != nil {
		t.Errorf("an older revision cannot be read: %v", err)
	}
	if p, _ := document.Load([]byte(y), document.Shipped()); p != nil {
		t.Error("a new file with an unknown module was read")
	}
}

func TestEmptyVocabularyChecksNoNames(t *testing.T) {
	y := swap(t, swap(t, sample, "by: gateway", "by: quantum"), "csf2: [PR.AA-03]", "own-list: [X1]")
	if p, ps := document.Load([]byte(y), document.Vocabulary{Controls: []string{}}); p == nil {
		t.Error(ps)
	}
	v := document.Shipped()
	v.Controls = []string{"identity.oldest-accepted-reset", "identity.reset-after-expire"}
	v.People = []string{"person/ana", "person/bo"}
	_, ps := document.Load([]byte(sample), v)
	if len(ps) != 2 || ps[0].Line != 7 || ps[1].Near != "identity.reset-after-expire" {
		t.Errorf("%v", ps)
	}
}

func TestApply(t *testing.T) {
	p := mustLoad(t, sample)
	before := p.BodyHash()
	q, ps := document.Apply(p, map[string]document.Literal{
		"auth.reset-link-lifetime/ttl": document.Word("1h"),
		"auth.shape/words":             document.ParseLiteral(document.Set, "c, a"),
		"people.coding-exam/times":     document.ParseLiteral(document.Table, "low | 90d\nhigh | 1w"),
	})
	if len(ps) > 0 {
		t.Fatal(ps)
	}
	if q.Values()["auth.reset-link-lifetime/ttl"] != time.Hour || p.BodyHash() != before || q.BodyHash() == before {
		t.Error("the edit did not make a new policy")
	}
	if a, _ := q.Param("people.coding-exam/times"); a.Literal.String() != "high | 1w\nlow | 90d" {
		t.Errorf("table %q", a.Literal)
	}
	if a, _ := q.Param("auth.shape/words"); !slices.Equal(a.Literal.List, []string{"a", "c"}) {
		t.Errorf("set %q", a.Literal)
	}
	for key, lit := range map[string]document.Literal{
		"auth.reset-link-lifetime/ttl":  document.Word("49h"),
		"auth.reset-link-lifetime/ttll": document.Word("1h"),
		"auth.shape/min":                document.Word("12.0"),
		"auth.shape/tls":                document.Word("1.4"),
		"auth.shape/on":                 document.Word("yes"),
		"auth.shape/words":              document.Words("a", "a"),
		"auth.shape/nets":               document.Words("0.0.0.0/1", "128.0.0.0/1"),
		"auth.shape/body":               document.Words("1KiB"),
		"people.coding-exam/topic":      document.Word("a\u200bb"),
		"people.coding-exam/who":        document.Word("owner"),
		"people.coding-exam/times":      {Rows: [][]string{{"high"}}},
	} {
		q, ps := document.Apply(p, map[string]document.Literal{key: lit})
		if q != nil || len(ps) != 1 || ps[0].At != key {
			t.Errorf("%s = %q: %v", key, lit, ps)
		}
	}
	_, ps = document.Apply(p, map[string]document.Literal{"auth.reset-link-lifetime/ttll": document.Word("1h")})
	if ps[0].Near != "auth.reset-link-lifetime/ttl" {
		t.Errorf("nearest is %q", ps[0].Near)
	}
}

func TestLiteralFormsRoundTrip(t *testing.T) {
	for _, a := range mustLoad(t, sample).Params() {
		if got := document.ParseLiteral(a.Type, a.Literal.String()); !got.Equal(a.Literal) {
			t.Errorf("%s: %q", a.Name, got)
		}
	}
	if got := document.ParseLiteral(document.Set, " \n"); got.List == nil || len(got.List) != 0 {
		t.Errorf("an empty set is read as %#v", got)
	}
}

func TestFill(t *testing.T) {
	p := mustLoad(t, string(template.YAML()))
	q, ps := document.Fill(p, document.Header{Contact: "help@example.test", Author: "person/zoe", Owners: []string{"person/zoe", "person/al"}})
	if len(ps) > 0 {
		t.Fatal(ps)
	}
	want := document.Header{ID: p.ID, Title: p.Title, Contact: "help@example.test", Author: "person/zoe", Owners: []string{"person/al", "person/zoe"}}
	if !reflect.DeepEqual(q.Header, want) {
		t.Errorf("header %+v", q.Header)
	}
	for _, h := range []document.Header{{Contact: "nobody"}, {Author: "zoe"}, {Owners: []string{"person/a", "person/a"}}, {ID: "is 01"}, {Title: "a\u202eb"}} {
		if q, ps := document.Fill(p, h); q != nil || len(ps) == 0 {
			t.Errorf("%+v was accepted", h)
		}
	}
}

func TestVersion(t *testing.T) {
	v := func(s string) document.Version {
		t.Helper()
		x, err := document.ParseVersion(s)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	if v("1.10").Compare(v("1.9")) <= 0 || v("2.0").Compare(v("1.99")) <= 0 || v("1.0").Compare(v("1.0")) != 0 {
		t.Error("versions compare as text")
	}
	if v("1.9").Next() != v("1.10") || (document.Version{}).Next().String() != "1.0" {
		t.Error("next")
	}
	if !v("1.10").Follows(v("1.9")) || !v("2.0").Follows(v("1.9")) || v("1.11").Follows(v("1.9")) || v("1.9").Follows(v("1.9")) {
		t.Error("follows")
	}
	for _, s := range []string{"", "1", "1.", "01.0", "1.00", "1.0.0", "v1.0", "0.0", "-1.0", "1.1234567"} {
		if x, err := document.ParseVersion(s); err == nil {
			t.Errorf("%q read as %v", s, x)
		}
	}
}

func TestLint(t *testing.T) {
	y := swap(t, sample, "every: 1h, fresh_for: 24h", "every: 25h, fresh_for: 24h")
	y = swap(t, y, ", valid_for: 365d", "")
	y += "      - {id: people.fit, says: Staff get sufficient and regular training., class: attested, by: people}\n"
	v := document.Shipped()
	v.Upheld = []string{"auth.reset-link-lifetime"}
	var got []string
	for _, p := range document.Lint(mustLoad(t, y), v) {
		if p.Severity != document.Warning || p.Line == 0 {
			t.Errorf("%+v", p)
		}
		got = append(got, p.At+": "+p.Found)
	}
	want := []string{
		"auth.reset-link-lifetime: probe identity.oldest-accepted-reset fresh for 24h and run every 25h",
		"auth.shape: a promise without a check",
		"people.coding-exam: a record that never expires",
		`people.coding-exam: a note to the owner: "Which one?"`,
		"people.fit: an attested clause without a record",
		`people.fit: "regular" without a number`,
		`people.fit: "sufficient" where an amount should be`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestTemplate(t *testing.T) {
	p := mustLoad(t, string(template.YAML()))
	if p.Len() != 145 {
		t.Errorf("%d clauses", p.Len())
	}
	if ps := document.Lint(p, document.Shipped()); len(ps) > 0 {
		t.Errorf("lint: %v", ps)
	}
	for _, c := range p.Each() {
		if s := c.Plain(nil); strings.Contains(s, "{{") {
			t.Errorf("%s: %s", c.ID, s)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	y := template.YAML()
	for b.Loop() {
		if p, ps := document.Load(y, document.Shipped()); p == nil {
			b.Fatal(ps)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	p := mustLoad(b, string(template.YAML()))
	for b.Loop() {
		_ = p.BodyHash()
	}
}
