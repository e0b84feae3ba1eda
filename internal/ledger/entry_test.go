package ledger_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/canon"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// record writes one event and returns its entry and its pending row.
func record(t *testing.T, kit *ledgertest.Kit, who actor.Actor, ev ledger.Event) (ledgertest.Recorded, ledger.PendingRow) {
	t.Helper()
	r, err := kit.DB.Change(t.Context(), who, func(*ledger.Tx) (ledger.Event, error) { return ev, nil })
	if err != nil {
		t.Fatal(err)
	}
	var p ledger.PendingRow
	err = ledger.One(t.Context(), kit.DB, `SELECT id, body, payload, payload_key FROM ledger_pending WHERE id = $1`,
		[]any{&p.ID, &p.Body, &p.Payload, &p.PayloadKey}, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	all := kit.Recorded()
	return all[slices.IndexFunc(all, func(rec ledgertest.Recorded) bool { return rec.ID == r.ID })], p
}

func full() Made {
	return Made{Number: 7, Big: 1 << 52, Flag: true, At: ledgertest.Start, For: 1500 * time.Millisecond, Tags: []string{"b", "a"},
		Email: "ana@example.test", Token: secret.NewText("hush-hush"),
		about: ledger.About{Name: "thing.made", Clause: "auth.x", Object: "thing/7", Subject: keyring.Person("person-bea"), Reason: "she asked for it"}}
}

func TestEntry_shape(t *testing.T) {
	kit := ledgertest.With(t, "sqlite", func(c *ledger.Config) { c.Revision = func() string { return "r12" } })
	_, p := record(t, kit, ana, full())
	v, err := canon.Parse(p.Body, 65_000)
	if err != nil {
		t.Fatalf("the body is not canonical: %v\n%s", err, p.Body)
	}
	body := v.(map[string]any)
	f := body["f"].(map[string]any)
	key, err := kit.Ring.Key(t.Context(), keyring.Person("person-ana"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"id": p.ID, "happened": ledgertest.Start.UnixMicro(), "kind": "person", "act": "thing.made",
		"object": "thing/7", "clause": "auth.x", "rev": "r12", "via": "https", "actor": ledger.Pseudonym(key, "person", "person-ana")}
	for k, w := range want {
		if got := body[k]; got != w {
			t.Errorf("%s = %v, want %v", k, got, w)
		}
	}
	for k, w := range map[string]any{"number": int64(7), "big": int64(1 << 52), "flag": true, "at": ledgertest.Start.UnixMicro(),
		"for": int64(1_500_000), "tags": []any{"b", "a"}} {
		if got := f[k]; !reflect.DeepEqual(got, w) {
			t.Errorf("f.%s = %v, want %v", k, got, w)
		}
	}
	for _, hidden := range []string{"ana@", "person-ana", "person-bea", "hush", "asked for"} { // longer than what chance writes in hex
		if strings.Contains(string(p.Body), hidden) || strings.Contains(string(p.Payload), hidden) {
			t.Errorf("%q can be read in the entry", hidden)
		}
	}
}

func TestEntry_commitmentsOpen(t *testing.T) {
	kit := ledgertest.Open(t)
	ev := full()
	_, p := record(t, kit, ana, ev)
	key, err := kit.Ring.Key(t.Context(), keyring.Person("person-bea")) // the subject's, not the actor's
	if err != nil || key.ID() != p.PayloadKey {
		t.Fatalf("sealed under %q, not the subject's %q: %v", p.PayloadKey, key.ID(), err)
	}
	plain, err := key.Open(p.Payload, ledger.PayloadAAD(p.ID))
	if err != nil {
		t.Fatal(err)
	}
	type opened struct{ S, V string }
	var payload struct {
		F      map[string]opened
		Reason opened
	}
	var body struct {
		F      map[string]any
		Reason struct{ C string }
	}
	if err := errors.Join(json.Unmarshal(plain.Reveal(), &payload), json.Unmarshal(p.Body, &body)); err != nil {
		t.Fatal(err)
	}
	check := func(name, commitment string, o opened) {
		t.Helper()
		salt, err := base64.RawURLEncoding.DecodeString(o.S)
		if err != nil {
			t.Fatal(err)
		}
		c := ledger.Commit(name, salt, canon.MustEncode(o.V))
		if base64.RawURLEncoding.EncodeToString(c[:]) != commitment {
			t.Errorf("commitment of %s does not open", name)
		}
		salt[0] ^= 1
		if c == ledger.Commit(name, salt, canon.MustEncode(o.V)) {
			t.Error("the salt does not count")
		}
	}
	check("email", body.F["email"].(map[string]any)["c"].(string), payload.F["email"])
	check("reason", body.Reason.C, payload.Reason)
	if _, ok := payload.F["token"]; ok || len(payload.F) != 1 {
		t.Errorf("the payload holds %d fields, a secret among them: %t", len(payload.F), ok)
	}
	if payload.F["email"].V != ev.Email || payload.Reason.V != ev.about.Reason {
		t.Errorf("payload %+v", payload)
	}
}

// Vault is an event whose secret's salt is kept.
type Vault struct {
	Value secret.Bytes `class:"secret"`
	salt  secret.Bytes
}

func (Vault) About() ledger.About          { return ledger.About{Name: "vault.put"} }
func (v Vault) Salt(_ string) secret.Bytes { return v.salt }

func TestEntry_secretOpensWithItsSalt(t *testing.T) {
	kit := ledgertest.Open(t)
	ev := Vault{Value: secret.Random(20), salt: secret.Random(32)}
	_, p := record(t, kit, ana, ev)
	c := ledger.Commit("value", ev.salt.Reveal(), ev.Value.Reveal())
	if !strings.Contains(string(p.Body), base64.RawURLEncoding.EncodeToString(c[:])) || p.PayloadKey != "" {
		t.Errorf("entry %s, payload key %q", p.Body, p.PayloadKey)
	}
	ev.salt = secret.Random(8)
	if _, err := kit.DB.Change(t.Context(), ana, func(*ledger.Tx) (ledger.Event, error) { return ev, nil }); err == nil {
		t.Error("a short salt was accepted")
	}
}

func TestEntry_erasure(t *testing.T) {
	kit := ledgertest.Open(t)
	rec, p := record(t, kit, ana, full())
	if rec.Fields["email"] != "ana@example.test" {
		t.Fatalf("recorded %+v", rec)
	}
	if _, err := kit.Ring.Erase(t.Context(), keyring.Person("person-bea")); err != nil {
		t.Fatal(err)
	}
	again := kit.Recorded()[0]
	if again.Fields["email"] != nil || again.Reason != "" || again.Body != rec.Body || string(p.Body) != rec.Body {
		t.Errorf("after the erasure: %+v", again)
	}
	_, err := kit.DB.Change(t.Context(), ana, func(*ledger.Tx) (ledger.Event, error) { return full(), nil })
	if !errors.Is(err, fault.Gone) {
		t.Errorf("an event about an erased person: %v", err)
	}
}

func TestEntry_actors(t *testing.T) {
	kit := ledgertest.Open(t)
	for _, c := range []struct {
		who    actor.Actor
		prefix string
	}{
		{ana, "p:"},
		{actor.Actor{Kind: actor.Stranger, ID: "203.0.113.0/24"}, "s:"},
		{actor.Actor{Kind: actor.Machine, ID: "ci"}, "machine/ci"},
		{actor.System("cleaner"), "writ/cleaner"},
		{actor.Actor{Kind: actor.Operator, ID: "0"}, "operator/0"},
	} {
		first, _ := record(t, kit, c.who, Made{Email: "x"})
		second, p := record(t, kit, c.who, Made{Email: "y"})
		if !strings.HasPrefix(first.Actor, c.prefix) || first.Actor != second.Actor || second.Fields["email"] != "y" {
			t.Errorf("%v appears as %q, then %q with %+v", c.who, first.Actor, second.Actor, second.Fields)
		}
		if c.prefix[1] == ':' && (len(first.Actor) != 34 || strings.Contains(string(p.Body), c.who.ID)) {
			t.Errorf("%v can be told from %s", c.who, p.Body)
		}
	}
	kit.Clock.Advance(40 * 24 * time.Hour) // another month, another key
	s := actor.Actor{Kind: actor.Stranger, ID: "203.0.113.0/24"}
	next, _ := record(t, kit, s, Made{})
	if next.Actor == kit.Recorded()[2].Actor {
		t.Error("a stranger has one pseudonym for ever")
	}
}

// Whoever sends bytes that are no text cannot make their own refusal unrecordable.
func TestEntry_wildText(t *testing.T) {
	kit := ledgertest.Open(t)
	for _, s := range []string{"\xff\xfe", "e\u0301", "\x00", strings.Repeat("long ", 20_000), "</script>\u2028"} {
		ev := full()
		ev.Email, ev.about.Reason = s, s
		record(t, kit, ana, ev)
	}
}

func TestConfig_screen(t *testing.T) {
	kit := ledgertest.With(t, "sqlite", func(c *ledger.Config) {
		c.Screen = func(s string) error {
			if strings.Contains(s, "4111") {
				return errors.New("a card number")
			}
			return nil
		}
	})
	for _, ev := range []Made{{Email: "4111"}, {Tags: []string{"4111"}}, {about: ledger.About{Name: "thing.made", Reason: "4111"}}} {
		if _, err := kit.DB.Change(t.Context(), ana, func(*ledger.Tx) (ledger.Event, error) { return ev, nil }); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", ev, err)
		}
	}
}

// What no record may hold is masked in every text of an entry, in its commitments too.
func TestConfig_mask(t *testing.T) { // breaks: data.card-summary
	kit := ledgertest.With(t, "sqlite", func(c *ledger.Config) {
		c.Mask = func(s string) string { return strings.ReplaceAll(s, "4111", "****") }
	})
	e, row := record(t, kit, ana, Made{Email: "a 4111", Tags: []string{"b 4111", "c"}, about: ledger.About{Name: "thing.made", Reason: "d 4111"}})
	if e.Fields["email"] != "a ****" || fmt.Sprint(e.Fields["tags"]) != "[b **** c]" || e.Reason != "d ****" || strings.Contains(string(row.Body), "4111") {
		t.Errorf("%+v", e)
	}
}

type noClass struct{ Name string }
type wrongType struct {
	Rate float64 `class:"public"`
}
type leaky struct {
	Key secret.Bytes `class:"personal"`
}
type plainSecret struct {
	Key string `class:"secret"`
}

func (noClass) About() ledger.About     { return ledger.About{Name: "a.b"} }
func (wrongType) About() ledger.About   { return ledger.About{Name: "a.b"} }
func (leaky) About() ledger.About       { return ledger.About{Name: "a.b"} }
func (plainSecret) About() ledger.About { return ledger.About{Name: "a.b"} }

func TestDescribe(t *testing.T) {
	got := ledger.Describe(full())
	if len(got) != 8 || got[6] != (ledger.Field{Name: "email", Class: ledger.Personal, Type: "string"}) {
		t.Errorf("described %+v", got)
	}
	for _, bad := range []ledger.Event{noClass{}, wrongType{}, leaky{}, plainSecret{}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T was accepted", bad)
				}
			}()
			ledger.Describe(bad)
		}()
	}
	for name, want := range map[string]string{"TeamID": "team-id", "SHA256": "sha256", "MFAKind": "mfa-kind", "At": "at"} {
		if got := ledger.Kebab(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestID_sortsByTimeEvenWhenTheClockGoesBack(t *testing.T) {
	kit := ledgertest.Open(t)
	last := ""
	for i := range 70_000 {
		if i%1000 == 0 {
			kit.Clock.Advance(-time.Second)
		}
		if id := kit.DB.ID(); id <= last || len(id) != 26 {
			t.Fatalf("id %q after %q", id, last)
		} else {
			last = id
		}
	}
	if r, err := kit.DB.Change(context.Background(), ana, func(*ledger.Tx) (ledger.Event, error) { return Made{}, nil }); err != nil || r.ID <= last {
		t.Errorf("%v %v", r, err)
	}
}

func FuzzNumbered(f *testing.F) {
	for _, s := range []string{"SELECT $1, '$2' -- $3\n, \"$4\" /* $5 */, $6", "'", "/*", "--", "$", "$$1", "''''$1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, q string) {
		if len(q) > 4096 {
			t.Skip()
		}
		got := ledger.Numbered(q)
		if len(got) != len(q) {
			t.Errorf("%q became %q", q, got)
		}
		for i := range len(q) {
			if q[i] != got[i] && !(q[i] == '$' && got[i] == '?') {
				t.Errorf("%q became %q", q, got)
			}
		}
	})
}

// Names and objects of events are those that these expressions describe.
func TestNamesAndObjects(t *testing.T) {
	name, object := regexp.MustCompile(`^[a-z][a-z0-9]*\.[a-z][a-z0-9]*(-[a-z0-9]+)*$`), regexp.MustCompile(`^[a-z][a-z0-9-]*/[^\s@[:cntrl:]]{1,200}$`)
	try := func(s string) {
		if got, want := ledger.GoodName(s), name.MatchString(s); got != want {
			t.Errorf("the name %q: %t, expected %t", s, got, want)
		}
		if got, want := ledger.GoodObject(s), object.MatchString(s); got != want {
			t.Errorf("the object %q: %t, expected %t", s, got, want)
		}
	}
	signs := strings.Split("a z 0 9 - -- . / @ A _ é \x7f \x00 \xff \t \u00a0 \u2028 "+strings.Repeat("x", 99), " ")
	signs = append(signs, " ", "", "a.b", "ab/")
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 200_000 {
		var s strings.Builder
		for range rnd.IntN(7) {
			s.WriteString(signs[rnd.IntN(len(signs))])
		}
		try(s.String())
	}
	for _, n := range []int{199, 200, 201} {
		try("kind/" + strings.Repeat("é", n))
	}
}
