package parcel_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/parcel"
	"writ/internal/secret"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// pair is a server's signing key, and the text that machines keep of it.
func pair(t testing.TB) (ed25519.PrivateKey, string) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return priv, parcel.Server(pub)
}

func machine(t testing.TB, server string) parcel.Key {
	t.Helper()
	k, err := parcel.NewKey(server)
	if err != nil {
		t.Fatal(err)
	}
	text, err := k.Text()
	if err != nil {
		t.Fatal(err)
	}
	if k, err = parcel.ParseKey(text); err != nil { // as it comes back from its file
		t.Fatal(err)
	}
	return k
}

func sealed(t testing.TB, sign ed25519.PrivateKey, to parcel.Key, life time.Duration) []byte {
	t.Helper()
	m, err := parcel.ParseMachine(to.Machine().String())
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := parcel.Seal(parcel.Head{ID: "b1", Origin: "https://app.example.com", Issued: start, Ends: start.Add(life), Names: []string{"/shop/db:3", "/shop/key:1"}},
		[]parcel.Value{{"/shop/db", secret.NewText("one")}, {"/shop/key", secret.NewText("two\nlines")}}, m, sign)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, text []byte, k parcel.Key, now, seen time.Time) ([]parcel.Value, error) {
	t.Helper()
	s, err := parcel.Parse(text)
	if err != nil {
		return nil, err
	}
	return s.Open(k, now, seen)
}

func code(err error) string { c, _ := fault.PublicOf(err); return c }

// A bundle opens on its machine, within its time, as it was signed.
func TestOpen(t *testing.T) { // breaks: vault.secret-home
	sign, server := pair(t)
	k := machine(t, server)
	text := sealed(t, sign, k, parcel.MaxLife)
	if bytes.Contains(text, []byte("two")) || bytes.Contains(text, []byte("\"one")) {
		t.Errorf("a value stands in it: %s", text)
	}
	vs, err := open(t, text, k, start.Add(time.Hour), start)
	if err != nil || len(vs) != 2 || vs[0].Name != "/shop/db" || vs[0].Text.Reveal() != "one" || vs[1].Text.Reveal() != "two\nlines" {
		t.Fatalf("%v %v", vs, err)
	}
	_, stranger := pair(t)
	for name, c := range map[string]struct {
		key       parcel.Key
		now, seen time.Time
		want      string
	}{
		"another machine":         {machine(t, server), start, start, "bundle_machine"},
		"another server":          {machine(t, stranger), start, start, "bundle_signature"},
		"a second before its end": {k, start.Add(parcel.MaxLife - time.Second), start, ""},
		"its end":                 {k, start.Add(parcel.MaxLife), start, "bundle_over"},
		"before its beginning":    {k, start.Add(-6 * time.Minute), time.Time{}, "bundle_clock"},
		"a clock put back":        {k, start.Add(time.Hour), start.Add(70 * time.Minute), "bundle_clock"},
		"clocks that differ":      {k, start.Add(-4 * time.Minute), start, ""},
	} {
		if _, err := open(t, text, c.key, c.now, c.seen); code(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// No byte of a bundle can be another.
func TestAltered(t *testing.T) { // breaks: vault.secret-home
	sign, server := pair(t)
	k := machine(t, server)
	text := sealed(t, sign, k, time.Hour)
	same := func(a, b []byte) bool { // white space, or the same value written otherwise
		var x, y any
		return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && strings.EqualFold(strings.Join(strings.Fields(string(a)), ""), strings.Join(strings.Fields(string(b)), ""))
	}
	for i := range text {
		for _, bit := range []byte{1, 0x20} {
			other := bytes.Clone(text)
			other[i] ^= bit
			if _, err := open(t, other, k, start, start); err == nil && !same(text, other) {
				t.Errorf("byte %d may be %q for %q", i, other[i], text[i])
			}
		}
	}
	var w map[string]any
	if err := json.Unmarshal(text, &w); err != nil {
		t.Fatal(err)
	}
	w["head"].(map[string]any)["ends"] = start.Add(2 * time.Hour)
	longer, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, longer, k, start, start); code(err) != "bundle_signature" {
		t.Errorf("a longer life: %v", err)
	}
}

// A life of more than seven days is neither made nor taken, whoever signed it.
func TestLife(t *testing.T) {
	sign, server := pair(t)
	k := machine(t, server)
	for _, life := range []time.Duration{parcel.MaxLife + time.Second, 0, -time.Hour} {
		if _, _, err := parcel.Seal(parcel.Head{ID: "b", Issued: start, Ends: start.Add(life), Names: []string{"/a:1"}}, []parcel.Value{{"/a", secret.NewText("x")}}, k.Machine(), sign); code(err) != "bundle_life" {
			t.Errorf("%s: %v", life, err)
		}
	}
	text := strings.Replace(string(sealed(t, sign, k, time.Hour)), "2026-03-01T13:00:00Z", "2026-03-09T13:00:00Z", 1)
	if _, err := parcel.Parse([]byte(text)); code(err) != "bundle_life" {
		t.Errorf("%v", err)
	}
}

func TestKeys(t *testing.T) {
	_, server := pair(t)
	k := machine(t, server)
	text, err := k.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "x", server, text.Reveal() + text.Reveal(), strings.Replace(text.Reveal(), "private-1:", "private-1:AA", 1), k.Machine().String() + "\n" + server} {
		if _, err := parcel.ParseKey(secret.NewText(bad)); code(err) != "machine_key" {
			t.Errorf("%q was taken: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "writ-machine-1:", "writ-machine-1:AAAA", text.Reveal(), server} {
		if _, err := parcel.ParseMachine(bad); code(err) != "machine_key" {
			t.Errorf("%q was taken: %v", bad, err)
		}
	}
}

// Whatever text comes as a bundle, it is refused or it is the one that was signed.
func FuzzBundle(f *testing.F) {
	sign, server := pair(f)
	k := machine(f, server)
	text := sealed(f, sign, k, time.Hour)
	f.Add(text)
	f.Add([]byte(`{"writ_bundle":1,"head":{"id":"x","names":["a"]},"box":"","sig":""}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		vs, err := open(t, in, k, start, start)
		if err == nil && (len(vs) != 2 || vs[0].Text.Reveal() != "one") {
			t.Errorf("%q opens to %v", in, vs)
		}
	})
}
