package envelope_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/secret"
)

var place = envelope.AAD{Table: "vault_value", Column: "body", Team: "t1", Row: "r1", Version: 3}

func newKey(t testing.TB, id string, fill byte) envelope.Key {
	t.Helper()
	k, err := envelope.NewKey(id, secret.NewBytes(bytes.Repeat([]byte{fill}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func wantDamaged(t *testing.T, err error) {
	t.Helper()
	if fe, ok := errors.AsType[*fault.Error](err); !ok || fe.Kind != fault.Invalid || fe.Code != "box_damaged" {
		t.Fatalf("got %v, want invalid box_damaged", err)
	}
}

func TestSealOpen(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, 4096, 1 << 20} {
		for _, id := range []string{"k", strings.Repeat("x", envelope.MaxKeyID), "t1/\x00\xff"} {
			k := newKey(t, id, 7)
			plain := bytes.Repeat([]byte("s"), n)
			box := k.Seal(plain, place)
			if len(box) != n+k.Overhead() {
				t.Fatalf("box of %d bytes has %d, overhead %d", n, len(box), k.Overhead())
			}
			if got, err := envelope.KeyID(box); err != nil || got != id {
				t.Fatalf("KeyID = %q, %v", got, err)
			}
			got, err := k.Open(box, place)
			if err != nil || !bytes.Equal(got.Reveal(), plain) {
				t.Fatalf("open %d bytes: %v", n, err)
			}
		}
	}
}

func TestSealIsRandom(t *testing.T) {
	k := newKey(t, "k", 7)
	if bytes.Equal(k.Seal([]byte("a"), place), k.Seal([]byte("a"), place)) {
		t.Fatal("two boxes of the same value are equal")
	}
}

// Every bit of a box matters, and so does every byte of its length.
func TestDamagedBoxIsRefused(t *testing.T) {
	k := newKey(t, "key-1", 7)
	box := k.Seal([]byte("the value"), place)
	for i := range len(box) * 8 {
		bad := bytes.Clone(box)
		bad[i/8] ^= 1 << (i % 8)
		_, err := k.Open(bad, place)
		wantDamaged(t, err)
	}
	for n := range len(box) {
		_, err := k.Open(box[:n], place)
		wantDamaged(t, err)
	}
	_, err := k.Open(append(bytes.Clone(box), 0), place)
	wantDamaged(t, err)
}

func TestBoxOpensInItsPlaceOnly(t *testing.T) {
	k := newKey(t, "k", 7)
	box := k.Seal([]byte("the value"), place)
	for name, change := range map[string]func(*envelope.AAD){
		"table":         func(a *envelope.AAD) { a.Table = "other" },
		"column":        func(a *envelope.AAD) { a.Column = "other" },
		"team":          func(a *envelope.AAD) { a.Team = "t2" },
		"no team":       func(a *envelope.AAD) { a.Team = "" },
		"row":           func(a *envelope.AAD) { a.Row = "r2" },
		"older":         func(a *envelope.AAD) { a.Version-- },
		"negative":      func(a *envelope.AAD) { a.Version = -a.Version },
		"moved letter":  func(a *envelope.AAD) { a.Team, a.Row = "t", "1r1" },
		"swapped":       func(a *envelope.AAD) { a.Team, a.Row = a.Row, a.Team },
		"empty":         func(a *envelope.AAD) { *a = envelope.AAD{} },
		"joined fields": func(a *envelope.AAD) { a.Table, a.Column = a.Table+a.Column, "" },
	} {
		t.Run(name, func(t *testing.T) {
			a := place
			change(&a)
			_, err := k.Open(box, a)
			wantDamaged(t, err)
		})
	}
}

func TestWrongKey(t *testing.T) {
	box := newKey(t, "k", 7).Seal([]byte("v"), place)
	_, err := newKey(t, "k", 8).Open(box, place) // same id, other bytes
	wantDamaged(t, err)
	_, err = newKey(t, "l", 7).Open(box, place) // same bytes, other id
	wantDamaged(t, err)
	// The id in the header is bound: renaming the box does not help.
	renamed := bytes.Clone(box)
	renamed[2] = 'l'
	_, err = newKey(t, "l", 7).Open(renamed, place)
	wantDamaged(t, err)
	_, err = envelope.Key{}.Open(box, place)
	if fault.KindOf(err) != fault.Internal {
		t.Fatalf("zero key: %v", err)
	}
}

func TestNewKeyRefuses(t *testing.T) {
	for _, c := range []struct {
		name, id string
		n        int
	}{{"no id", "", 32}, {"long id", strings.Repeat("x", 65), 32}, {"no key", "k", 0}, {"short", "k", 31}, {"long", "k", 33}} {
		if _, err := envelope.NewKey(c.id, secret.Random(c.n)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestPanics(t *testing.T) {
	k := newKey(t, "k", 7)
	for name, f := range map[string]func(){
		"zero seal":   func() { envelope.Key{}.Seal(nil, place) },
		"zero derive": func() { envelope.Key{}.Derive("x") },
		"zero mac":    func() { envelope.Key{}.MAC("x") },
		"no table":    func() { k.Seal(nil, envelope.AAD{Column: "c"}) },
		"no column":   func() { k.Seal(nil, envelope.AAD{Table: "t"}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// hkdf1 is one block of RFC 5869 with an empty salt, written from the RFC.
func hkdf1(key []byte, info string) []byte {
	mac := func(k, m []byte) []byte { h := hmac.New(sha256.New, k); h.Write(m); return h.Sum(nil) }
	return mac(mac(make([]byte, 32), key), append([]byte(info), 1))
}

// The format is fixed: this test opens a box with nothing but the standard
// library, so a change of format cannot pass unseen.
func TestFormatVersion1(t *testing.T) {
	raw := bytes.Repeat([]byte{7}, 32)
	k := newKey(t, "key", 7)
	box := k.Seal([]byte("hello"), envelope.AAD{Table: "t", Column: "co", Team: "", Row: "r", Version: 258})
	if !bytes.HasPrefix(box, []byte("\x01\x03key")) {
		t.Fatalf("header %x", box[:5])
	}
	block, _ := aes.NewCipher(hkdf1(raw, "writ/envelope/1/seal\x00"))
	gcm, err := cipher.NewGCMWithRandomNonce(block) // NewGCM is refused in the FIPS-only mode
	if err != nil {
		t.Fatal(err)
	}
	aad := "writ/envelope/1\x01\x03key" + "\x00\x00\x00\x01t" + "\x00\x00\x00\x02co" + "\x00\x00\x00\x00" + "\x00\x00\x00\x01r" + "\x00\x00\x00\x00\x00\x00\x01\x02"
	plain, err := gcm.Open(nil, nil, box[5:], []byte(aad))
	if err != nil || string(plain) != "hello" {
		t.Fatalf("%q, %v", plain, err)
	}
	if got := k.Derive("x").Reveal(); !bytes.Equal(got, hkdf1(raw, "writ/envelope/1/derive\x00x")) {
		t.Errorf("derive %x", got)
	}
	h := hmac.New(sha256.New, hkdf1(raw, "writ/envelope/1/mac\x00x"))
	h.Write([]byte("\x00\x00\x00\x02" + "\x00\x00\x00\x01a" + "\x00\x00\x00\x02bc"))
	if got := k.MAC("x", "a", "bc"); !bytes.Equal(got[:], h.Sum(nil)) {
		t.Errorf("mac %x", got)
	}
}

// A box written once must open for ever.
func TestOldBoxOpens(t *testing.T) {
	box, _ := hex.DecodeString(oldBox)
	got, err := newKey(t, "kek/1", 0x2a).Open(box, envelope.AAD{Table: "keyring_key", Column: "wrapped", Team: "t-9", Row: "k-1", Version: 1})
	if err != nil || string(got.Reveal()) != "kept" {
		t.Fatalf("%v", err)
	}
}

func TestMACSeparates(t *testing.T) {
	k := newKey(t, "k", 7)
	seen := map[[32]byte]string{}
	for name, m := range map[string][32]byte{
		"a":          k.MAC("l", "a"),
		"ab":         k.MAC("l", "ab"),
		"a b":        k.MAC("l", "a", "b"),
		"none":       k.MAC("l"),
		"one empty":  k.MAC("l", ""),
		"two empty":  k.MAC("l", "", ""),
		"label":      k.MAC("la"),
		"other key":  newKey(t, "k", 8).MAC("l", "a"),
		"derived":    [32]byte(k.Derive("l").Reveal()),
		"derived la": [32]byte(k.Derive("la").Reveal()),
	} {
		if old, dup := seen[m]; dup {
			t.Errorf("%s and %s give the same value", name, old)
		}
		seen[m] = name
	}
	if k.MAC("l", "a") != newKey(t, "another id", 7).MAC("l", "a") {
		t.Error("the id of a key changes its pseudonyms")
	}
}

func TestKeyNeverShows(t *testing.T) {
	raw := []byte("0123456789abcdefSECRETSECRETzzzz")
	k, err := envelope.NewKey("k1", secret.NewBytes(raw))
	if err != nil {
		t.Fatal(err)
	}
	holder := struct {
		Open   envelope.Key
		hidden envelope.Key
		list   []envelope.Key
		any    any
	}{k, k, []envelope.Key{k}, k}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", k, &k, holder)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "k", k, "h", holder)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "k", k)
	if _, err := json.Marshal(holder.Open); err == nil {
		t.Error("a key was encoded as JSON")
	}
	for _, leak := range []string{"SECRET", hex.EncodeToString([]byte("SECRET")), "83 69 67", "0x53, 0x45", "83, 69"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("the output shows the key as %q:\n%s", leak, out.String())
		}
	}
	if !strings.Contains(out.String(), `[key "k1"]`) {
		t.Error("the output does not name the key")
	}
}

// A caller that wipes its own copy does not break the Key.
func TestKeyKeepsItsOwnCopy(t *testing.T) {
	raw := secret.NewBytes(bytes.Repeat([]byte{7}, 32))
	k, _ := envelope.NewKey("k", raw)
	raw.Wipe()
	if k.MAC("l", "a") != newKey(t, "k", 7).MAC("l", "a") {
		t.Error("wiping the input changed the key")
	}
	k.Wipe()
	if k.MAC("l", "a") == newKey(t, "k", 7).MAC("l", "a") {
		t.Error("Wipe left the key usable")
	}
}

func FuzzOpen(f *testing.F) {
	k := newKey(f, "key-1", 7)
	f.Add(k.Seal([]byte("the value"), place))
	f.Add([]byte{1, 1, 'k'})
	f.Add([]byte{1, 255})
	f.Fuzz(func(t *testing.T, box []byte) {
		if len(box) > 1<<16 {
			return
		}
		id, err := envelope.KeyID(box)
		if err == nil && (len(id) < 1 || len(id) > envelope.MaxKeyID || !bytes.HasPrefix(box, append([]byte{1, byte(len(id))}, id...))) {
			t.Fatalf("KeyID %q does not stand in the box", id)
		}
		plain, openErr := k.Open(box, place)
		if openErr == nil && (err != nil || id != "key-1" || string(plain.Reveal()) != "the value") {
			t.Fatal("a box opened that nobody sealed")
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k, plain := newKey(b, "k", 7), make([]byte, 256)
	for b.Loop() {
		k.Seal(plain, place)
	}
}

func BenchmarkMAC(b *testing.B) {
	k := newKey(b, "k", 7)
	for b.Loop() {
		k.MAC("pseudonym", "person", "0190")
	}
}

// oldBox was sealed when version 1 was settled. Never replace it.
const oldBox = "01056b656b2f31d10b03e93c6f358888779ef8f78e3f0337c47821044ff8e9245bf7b019cf5c55"
