package passhash_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"writ/internal/fault"
	"writ/internal/passhash"
	"writ/internal/secret"
)

// small parameters keep the tests quick; the code path is that of the large ones.
var (
	smallArgon = passhash.Params{Scheme: passhash.Argon2id, SaltBytes: 16, Memory: 1024, Time: 1, Parallel: 1}
	smallPBK   = passhash.Params{Scheme: passhash.PBKDF2, SaltBytes: 16, Iterations: 1000}
)

func text(s string) secret.Text { return secret.NewText(s) }

func testDefault(t *testing.T) {
	a := passhash.Default(passhash.Argon2id, 16)
	if want := (passhash.Params{Scheme: passhash.Argon2id, SaltBytes: 16, Memory: 47104, Time: 1, Parallel: 1}); a != want {
		t.Errorf("argon2id: %+v, want %+v", a, want)
	}
	b := passhash.Default(passhash.PBKDF2, 24)
	if want := (passhash.Params{Scheme: passhash.PBKDF2, SaltBytes: 24, Iterations: 600_000}); b != want {
		t.Errorf("pbkdf2: %+v, want %+v", b, want)
	}
	if err := passhash.Default("sha256", 16).Check(); err == nil {
		t.Error("an unknown scheme was accepted")
	}
}

func TestHashVerify(t *testing.T) {
	for _, p := range []passhash.Params{smallArgon, smallPBK} {
		t.Run(string(p.Scheme), func(t *testing.T) {
			h, err := passhash.Hash(p, text("correct horse"))
			if err != nil {
				t.Fatal(err)
			}
			again, err := passhash.Hash(p, text("correct horse"))
			if err != nil {
				t.Fatal(err)
			}
			if h.Equal(again) {
				t.Error("two hashes of one password are equal: the salt is not fresh")
			}
			for pw, want := range map[string]bool{"correct horse": true, "correct horsf": false, "": false, "correct horse ": false} {
				if ok, err := passhash.Verify(h, text(pw)); err != nil || ok != want {
					t.Errorf("Verify(%q) = %v, %v; want %v", pw, ok, err, want)
				}
			}
			in, err := passhash.Inspect(h)
			if err != nil || in.Params != p || in.OutputBytes != 32 {
				t.Errorf("Inspect = %+v, %v; want %+v and 32", in, err, p)
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v", h, h, h), "$") {
				t.Error("a hash shows in fmt")
			}
		})
	}
}

// The digest is that of the library for the salt in the string.
func TestArgonCrossCheck(t *testing.T) {
	h, err := passhash.Hash(smallArgon, text("пароль 🔑"))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Split(h.Reveal(), "$")
	salt, err := base64.RawStdEncoding.DecodeString(f[4])
	if err != nil {
		t.Fatal(err)
	}
	want := argon2.IDKey([]byte("пароль 🔑"), salt, 1, 1024, 1, 32)
	if got := f[5]; got != base64.RawStdEncoding.EncodeToString(want) || f[3] != "m=1024,t=1,p=1" || f[2] != "v=19" {
		t.Errorf("string %q does not say what was computed", h.Reveal())
	}
}

// Strings of the algorithm's reference implementation (its test.c).
func TestArgonReferenceStrings(t *testing.T) {
	for _, s := range []string{
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	} {
		if ok, err := passhash.Verify(text(s), text("password")); err != nil || !ok {
			t.Errorf("%s: %v, %v", s, ok, err)
		}
	}
}

// RFC 7914 §11: PBKDF2-HMAC-SHA-256.
func TestPBKDF2Vectors(t *testing.T) {
	for _, v := range []struct {
		pw, salt string
		i        int
		want     string
	}{
		{"passwd", "salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc" +
			"49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"},
		{"Password", "NaCl", 80000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56" +
			"a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d"},
	} {
		got, err := passhash.Derive(passhash.Params{Scheme: passhash.PBKDF2, Iterations: v.i}, text(v.pw), []byte(v.salt), 64)
		if err != nil || hex.EncodeToString(got) != v.want {
			t.Errorf("%s/%s/%d = %x, %v", v.pw, v.salt, v.i, got, err)
		}
	}
}

func TestHashRefuses(t *testing.T) {
	for name, p := range map[string]passhash.Params{
		"zero":            {},
		"scheme":          {Scheme: "sha256", SaltBytes: 16},
		"salt short":      {Scheme: passhash.Argon2id, SaltBytes: 15, Memory: 1024, Time: 1, Parallel: 1},
		"salt long":       {Scheme: passhash.Argon2id, SaltBytes: 65, Memory: 1024, Time: 1, Parallel: 1},
		"memory":          {Scheme: passhash.Argon2id, SaltBytes: 16, Memory: 256*1024 + 1, Time: 1, Parallel: 1},
		"memory small":    {Scheme: passhash.Argon2id, SaltBytes: 16, Memory: 31, Time: 1, Parallel: 4},
		"time":            {Scheme: passhash.Argon2id, SaltBytes: 16, Memory: 1024, Time: 11, Parallel: 1},
		"no time":         {Scheme: passhash.Argon2id, SaltBytes: 16, Memory: 1024, Parallel: 1},
		"lanes":           {Scheme: passhash.Argon2id, SaltBytes: 16, Memory: 1024, Time: 1, Parallel: 17},
		"no lanes":        {Scheme: passhash.Argon2id, SaltBytes: 16, Memory: 1024, Time: 1},
		"foreign field":   {Scheme: passhash.Argon2id, SaltBytes: 16, Memory: 1024, Time: 1, Parallel: 1, Iterations: 1},
		"foreign field 2": {Scheme: passhash.PBKDF2, SaltBytes: 16, Iterations: 1, Memory: 1},
		"iterations":      {Scheme: passhash.PBKDF2, SaltBytes: 16, Iterations: 10_000_001},
		"no iterations":   {Scheme: passhash.PBKDF2, SaltBytes: 16},
	} {
		if _, err := passhash.Hash(p, text("x")); err == nil {
			t.Errorf("%s: hashed", name)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: Dummy made", name)
				}
			}()
			passhash.Dummy(p)
		}()
	}
}

const (
	goodSalt = "AAAAAAAAAAAAAAAAAAAAAA"                      // 16 bytes
	goodSum  = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" // 32 bytes
)

func TestParserIsStrict(t *testing.T) {
	a, b := "$argon2id$v=19$m=1024,t=1,p=1$", "$pbkdf2-hmac-sha256$i=1000$"
	end := goodSalt + "$" + goodSum
	for _, ok := range []string{a + end, b + end} {
		if _, err := passhash.Inspect(text(ok)); err != nil {
			t.Fatalf("%s: %v", ok, err)
		}
	}
	for name, s := range map[string]string{
		"empty":             "",
		"bare digest":       strings.Repeat("ab", 32),
		"argon2i":           "$argon2i$v=19$m=1024,t=1,p=1$" + end,
		"upper case":        "$ARGON2ID$v=19$m=1024,t=1,p=1$" + end,
		"no version":        "$argon2id$m=1024,t=1,p=1$" + end,
		"old version":       "$argon2id$v=16$m=1024,t=1,p=1$" + end,
		"order":             "$argon2id$v=19$t=1,m=1024,p=1$" + end,
		"leading zero":      "$argon2id$v=19$m=01024,t=1,p=1$" + end,
		"plus":              "$argon2id$v=19$m=+1024,t=1,p=1$" + end,
		"extra":             "$argon2id$v=19$m=1024,t=1,p=1,x=1$" + end,
		"missing":           "$argon2id$v=19$m=1024,t=1$" + end,
		"memory":            "$argon2id$v=19$m=262145,t=1,p=1$" + end,
		"memory wraps":      "$argon2id$v=19$m=4294968320,t=1,p=1$" + end,
		"memory below":      "$argon2id$v=19$m=15,t=1,p=2$" + end,
		"time":              "$argon2id$v=19$m=1024,t=11,p=1$" + end,
		"time zero":         "$argon2id$v=19$m=1024,t=0,p=1$" + end,
		"lanes":             "$argon2id$v=19$m=1024,t=1,p=17$" + end,
		"lanes wrap":        "$argon2id$v=19$m=1024,t=1,p=257$" + end,
		"iterations":        "$pbkdf2-hmac-sha256$i=10000001$" + end,
		"iterations zero":   "$pbkdf2-hmac-sha256$i=0$" + end,
		"pbkdf2 as argon":   "$pbkdf2-hmac-sha256$v=19$m=1024,t=1,p=1$" + end,
		"argon as pbkdf2":   "$argon2id$i=1000$" + end,
		"padding":           a + goodSalt + "==$" + goodSum,
		"url alphabet":      a + strings.Repeat("_", 22) + "$" + goodSum,
		"dangling bits":     a + "AAAAAAAAAAAAAAAAAAAAAB$" + goodSum,
		"new line":          a + goodSalt + "$" + goodSum + "\n",
		"new line inside":   a + goodSalt[:8] + "\n" + goodSalt[8:] + "$" + goodSum,
		"trailing":          a + end + "$",
		"leading":           "x" + a + end,
		"salt 7":            a + "AAAAAAAAAA$" + goodSum,
		"salt 65":           a + strings.Repeat("A", 87) + "$" + goodSum,
		"output 15":         a + goodSalt + "$" + strings.Repeat("A", 20),
		"output 65":         a + goodSalt + "$" + strings.Repeat("A", 87),
		"longer than 512":   a + goodSalt + "$" + strings.Repeat("A", 600),
		"no digest":         a + goodSalt + "$",
		"no salt":           a + "$" + goodSum,
		"spaces":            " " + a + end,
		"three parts":       "$argon2id$" + end,
		"two algorithms":    a + a + end,
		"number of 9 digit": "$pbkdf2-hmac-sha256$i=000001000$" + end,
	} {
		if in, err := passhash.Inspect(text(s)); err == nil {
			t.Errorf("%s: read as %+v", name, in)
		} else if len(s) > 20 && strings.Contains(err.Error(), s[len(s)-12:]) {
			t.Errorf("%s: the error shows the string: %v", name, err)
		}
		if ok, err := passhash.Verify(text(s), text("x")); ok || err == nil {
			t.Errorf("%s: verified %v, %v", name, ok, err)
		}
		if !passhash.NeedsRehash(text(s), smallArgon) {
			t.Errorf("%s: needs no rehash", name)
		}
	}
}

func TestNeedsRehash(t *testing.T) {
	end := "$" + goodSalt + "$" + goodSum
	want := passhash.Default(passhash.Argon2id, 16)
	for _, c := range []struct {
		name, phc string
		want      passhash.Params
		need      bool
	}{
		{"same", "$argon2id$v=19$m=47104,t=1,p=1" + end, want, false},
		{"ahead", "$argon2id$v=19$m=65536,t=3,p=4" + end, want, false},
		{"less memory", "$argon2id$v=19$m=47103,t=1,p=1" + end, want, true},
		{"longer salt wanted", "$argon2id$v=19$m=47104,t=1,p=1" + end, passhash.Default(passhash.Argon2id, 17), true},
		{"other scheme", "$pbkdf2-hmac-sha256$i=600000" + end, want, true},
		{"pbkdf2 same", "$pbkdf2-hmac-sha256$i=600000" + end, passhash.Default(passhash.PBKDF2, 16), false},
		{"pbkdf2 behind", "$pbkdf2-hmac-sha256$i=599999" + end, passhash.Default(passhash.PBKDF2, 16), true},
		{"short digest", "$argon2id$v=19$m=47104,t=1,p=1$" + goodSalt + "$" + strings.Repeat("A", 22), want, true},
		{"fewer passes", "$argon2id$v=19$m=47104,t=1,p=1" + end, passhash.Params{Scheme: passhash.Argon2id, SaltBytes: 16, Memory: 47104, Time: 2, Parallel: 1}, true},
	} {
		if got := passhash.NeedsRehash(text(c.phc), c.want); got != c.need {
			t.Errorf("%s: %v, want %v", c.name, got, c.need)
		}
	}
}

func TestDummy(t *testing.T) {
	for _, p := range []passhash.Params{smallArgon, smallPBK} {
		d := passhash.Dummy(p)
		in, err := passhash.Inspect(d)
		if err != nil || in.Params != p || in.OutputBytes != 32 {
			t.Errorf("%+v, %v: a dummy is not of the cost asked for", in, err)
		}
		if ok, err := passhash.Verify(d, text("anything")); ok || err != nil {
			t.Errorf("Verify(dummy) = %v, %v", ok, err)
		}
		if d.Equal(passhash.Dummy(p)) {
			t.Error("two dummies are equal")
		}
	}
}

// A wrong password, a right one and a dummy do the same work. Time would be a
// flaky witness; the memory that argon2id fills is an exact one.
func TestEqualWork(t *testing.T) {
	p := smallArgon
	p.Memory = 8 * 1024
	h, err := passhash.Hash(p, text("right"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ phc, pw secret.Text }{
		"right": {h, text("right")}, "wrong": {h, text("wrong")}, "empty": {h, text("")}, "dummy": {passhash.Dummy(p), text("right")},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := passhash.Verify(c.phc, c.pw); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		full := uint64(p.Memory) * 1024
		if n := after.TotalAlloc - before.TotalAlloc; n < full || n > full+full/8 {
			t.Errorf("%s: %d bytes of work, want about %d", name, n, full)
		}
	}
}

func TestNormalize(t *testing.T) {
	for _, c := range []struct{ name, raw, want, code string }{
		{"plain", "correct horse", "correct horse", ""},
		{"composed", "e\u0301te\u0301", "\u00e9t\u00e9", ""},
		{"compatibility forms stay", "\ufb01\u00b2", "\ufb01\u00b2", ""},
		{"spaces stay", "  a  ", "  a  ", ""},
		{"256 points", strings.Repeat("é", 256), strings.Repeat("é", 256), ""},
		{"256 points of 4 bytes", strings.Repeat("🔑", 256), strings.Repeat("🔑", 256), ""},
		{"256 points once composed", strings.Repeat("e\u0301", 256), strings.Repeat("é", 256), ""},
		{"257 points", strings.Repeat("a", 257), "", "password_too_long"},
		{"grows in NFC", strings.Repeat("\U0001d160", 100), "", "password_too_long"},
		{"huge", strings.Repeat("a", 1<<20), "", "password_too_long"},
		{"empty", "", "", "password_text"},
		{"NUL", "abc\x00def", "", "password_text"},
		{"not UTF-8", "abc\xff", "", "password_text"},
		{"surrogate", "abc\xed\xa0\x80", "", "password_text"},
	} {
		got, err := passhash.Normalize(c.raw)
		if c.code == "" {
			if err != nil || got.Reveal() != c.want {
				t.Errorf("%s: %q, %v", c.name, got.Reveal(), err)
			}
			continue
		}
		code, _ := fault.PublicOf(err)
		if code != c.code || !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want code %s", c.name, err, c.code)
		}
	}
	a, _ := passhash.Normalize("cafe\u0301")
	if n := passhash.Length(a); n != 4 {
		t.Errorf("Length = %d, want 4", n)
	}
}

func FuzzPHC(f *testing.F) {
	end := "$" + goodSalt + "$" + goodSum
	f.Add("$argon2id$v=19$m=1024,t=1,p=1" + end)
	f.Add("$pbkdf2-hmac-sha256$i=1000" + end)
	f.Add("$argon2id$v=19$m=99999999,t=99999999,p=255" + end)
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, s string) {
		in, err := passhash.Inspect(text(s))
		if err != nil {
			return
		}
		if len(s) > 512 || in.Memory > 256*1024 || in.Time > 10 || in.Parallel > 16 || in.Iterations > 10_000_000 ||
			in.SaltBytes < 8 || in.SaltBytes > 64 || in.OutputBytes < 16 || in.OutputBytes > 64 {
			t.Fatalf("%q passed the caps: %+v", s, in)
		}
		// One spelling: any change of case, or a byte more, is refused or says the same elsewhere.
		for _, other := range []string{s + "=", s + "\n", " " + s, s + "$"} {
			if _, err := passhash.Inspect(text(other)); err == nil {
				t.Fatalf("%q and %q are both read", s, other)
			}
		}
	})
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"a", "e\u0301", "\xff", strings.Repeat("\U0001d160", 90), "\u1112\u1161\u11ab"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := passhash.Normalize(s)
		if err != nil {
			return
		}
		if n := passhash.Length(got); n < 1 || n > 256 || got.Len() > 1024 {
			t.Fatalf("%q passed with %d points, %d bytes", s, n, got.Len())
		}
		if again, err := passhash.Normalize(got.Reveal()); err != nil || !again.Equal(got) {
			t.Fatalf("%q is not stable: %v", s, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, s := range []passhash.Scheme{passhash.Argon2id, passhash.PBKDF2} {
		b.Run(string(s), func(b *testing.B) {
			d, pw := passhash.Dummy(passhash.Default(s, 16)), text("correct horse battery")
			for b.Loop() {
				if _, err := passhash.Verify(d, pw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
