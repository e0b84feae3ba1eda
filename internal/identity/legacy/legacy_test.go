package legacy_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"writ/internal/fault"
	"writ/internal/identity/legacy"
	"writ/internal/passhash"
	"writ/internal/secret"
)

const known = "correct horse battery"

// Made by other programs: htpasswd (bcrypt), openssl passwd (crypt), Python's hashlib.
var vectors = map[legacy.Format]string{
	legacy.Bcrypt:   `$2y$10$h8qdHoCcq.vtQdYMFYsOW.dFNnalcQzjDMW1m55vomNzHO0I08PG2`,
	legacy.SHACrypt: `$6$abcdefghij$g3Qb1lS.370DakHhSVvd4A49OXFt7CmBwlIbd8NLP6.c/nmVYh5peNfCFs3aH.MBzHq.uyKtAd7vjY8R.89KM0`,
	legacy.PBKDF2:   `$pbkdf2-sha256$29000$MDEyMzQ1Njc4OWFiY2RlZg$HwysB.Ke0YuzHEd/zzqZI6iTbuC8ephxy6jSfQdwV8M`,
	legacy.Scrypt:   `$scrypt$ln=14,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$ebnHHTApWa0oNoXTYCCHxLXDaejcvcTRQhZaD1OJNCE`,
}

const (
	crypt5  = `$5$abcdefgh$sYjQ4vynYsNAnM.JMipLH1IMXSipuA8cURgfc3GsHo.`
	rounds5 = `$5$rounds=5000$abcdefgh$sYjQ4vynYsNAnM.JMipLH1IMXSipuA8cURgfc3GsHo.`
	longest = `$2y$05$2fXezMqclbBfkggZVc07MO7SazDF2PyB7XHTXBLOnk43u.dY/k9ue` // of 72 times a
)

func text(s string) secret.Text { return secret.NewText(s) }

func cheap() passhash.Params {
	p := passhash.Default(passhash.Argon2id, 16)
	p.Memory = 8
	return p
}

func store(t *testing.T, hash, salt string, tpl legacy.Template) secret.Text {
	t.Helper()
	r, err := legacy.Classify(text(hash), text(salt), tpl)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Stored(cheap())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wants(t *testing.T, stored secret.Text, password string, want bool) {
	t.Helper()
	if ok, err := legacy.Verify(stored, text(password)); err != nil || ok != want {
		t.Errorf("%q: %v %v, want %v", password, ok, err, want)
	}
}

func TestVectors(t *testing.T) { // breaks: auth.hash, auth.compare
	own, err := passhash.Hash(passhash.Params{Scheme: passhash.Argon2id, SaltBytes: 16, Memory: 64, Time: 2, Parallel: 2}, text(known))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]legacy.Format{own.Reveal(): legacy.Argon2, crypt5: legacy.SHACrypt, rounds5: legacy.SHACrypt}
	for f, s := range vectors {
		cases[s] = f
	}
	for hash, f := range cases {
		t.Run(string(f)+hash[:4], func(t *testing.T) {
			s := store(t, hash, "", legacy.Template{})
			if got, _, err := legacy.Of(s); err != nil || got != f || !legacy.Is(s) || !passhash.NeedsRehash(s, cheap()) {
				t.Errorf("%s %v", got, err)
			}
			wants(t, s, known, true)
			for _, near := range []string{known + " ", strings.ToUpper(known), "", known[1:]} {
				wants(t, s, near, false)
			}
		})
	}
}

// bcrypt looks at 72 bytes: what is longer would open with what it begins with.
func TestBcryptIsNotCut(t *testing.T) { // breaks: auth.compare
	s := store(t, longest, "", legacy.Template{})
	wants(t, s, strings.Repeat("a", 72), true)
	wants(t, s, strings.Repeat("a", 73), false)
	wants(t, s, strings.Repeat("a", 71), false)
}

func TestRefusedRows(t *testing.T) { // breaks: auth.hash
	hexed := func(n int) string { return strings.Repeat("ab", n) }
	tpl, err := legacy.ParseTemplate("{SALT}{PASSWORD}", "utf8", "hex")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ hash, salt, code string }{
		"bcrypt, cost 15":       {strings.Replace(vectors[legacy.Bcrypt], "$10$", "$15$", 1), "", "hash_cost"},
		"bcrypt, the broken x":  {strings.Replace(vectors[legacy.Bcrypt], "$2y$", "$2x$", 1), "", "hash_unknown"},
		"argon2, a terabyte":    {"$argon2id$v=19$m=999999,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", "", "hash_cost"},
		"argon2, a hundred":     {"$argon2id$v=19$m=1024,t=99,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", "", "hash_cost"},
		"argon2, no lanes":      {"$argon2id$v=19$m=1024,t=1,p=0$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", "", "hash_cost"},
		"argon2d":               {"$argon2d$v=19$m=1024,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", "", "hash_unknown"},
		"scrypt, 2 GiB":         {strings.Replace(vectors[legacy.Scrypt], "ln=14,r=8", "ln=18,r=32", 1), "", "hash_cost"},
		"scrypt, p":             {strings.Replace(vectors[legacy.Scrypt], "p=1", "p=99", 1), "", "hash_cost"},
		"pbkdf2, endless":       {strings.Replace(vectors[legacy.PBKDF2], "29000", "99999999", 1), "", "hash_cost"},
		"pbkdf2, SHA-1":         {strings.Replace(vectors[legacy.PBKDF2], "sha256", "sha1", 1), "", "hash_unknown"},
		"crypt, endless":        {strings.Replace(rounds5, "5000", "999999", 1), "", "hash_cost"},
		"crypt, a million more": {strings.Replace(rounds5, "5000", "9999999", 1), "", "hash_unknown"},
		"something":             {"$future$x", "", "hash_unknown"},
		"long":                  {strings.Repeat("a", 513), "", "hash_long"},
		"digest too short":      {hexed(31), "salt", "digest_length"},
		"digest no hex":         {strings.Repeat("zz", 32), "salt", "digest_form"},
	} {
		if _, err := legacy.Classify(text(c.hash), text(c.salt), tpl); err == nil {
			t.Errorf("%s was taken", name)
		} else if code, pub := fault.PublicOf(err); code != c.code || !errors.Is(err, fault.Invalid) || strings.Contains(err.Error()+pub.Problem, c.hash) {
			t.Errorf("%s: %s %v", name, code, err)
		}
	}
	for name, c := range map[string][2]string{
		"empty": {"", ""}, "MD5": {hexed(16), ""}, "MD5, salted": {hexed(16), "salt"}, "SHA-1": {hexed(20), ""}, "SHA-1, salted": {hexed(20), "salt"}, "SHA-256 without a salt": {hexed(32), ""},
		"crypt $1$": {"$1$abcdefgh$0123456789abcdef", ""}, "LDAP": {"{SSHA}abcdef", ""}, "plain": {"hunter2", ""},
	} {
		r, err := legacy.Classify(text(c[0]), text(c[1]), tpl)
		if err != nil || r.Format != legacy.Reset {
			t.Errorf("%s: %s %v", name, r.Format, err)
		}
		if _, err := r.Stored(cheap()); err == nil {
			t.Errorf("%s has something to store", name)
		}
	}
	if _, err := legacy.Classify(text(hexed(32)), text("salt"), legacy.Template{}); err == nil {
		t.Error("a salted digest without a template was taken")
	}
}

// Each way to salt is found from one known pair, and wrapped so that the digest is gone.
func TestTemplates(t *testing.T) { // breaks: auth.hash, auth.one-way
	rawSalt := []byte("\x01\x02salt of sixteen")
	for _, text1 := range []string{"{SALT}{PASSWORD}", "{PASSWORD}{SALT}", "{SALT}:{PASSWORD}", "{PASSWORD}${SALT}"} {
		for _, way := range []string{"utf8", "hex", "base64"} {
			for _, digest := range []string{"hex", "base64"} {
				salt := rawSalt
				written := map[string]string{"hex": hex.EncodeToString(salt), "base64": base64.StdEncoding.EncodeToString(salt), "utf8": "peppersalt!"}[way]
				if way == "utf8" {
					salt = []byte(written)
				}
				sum := sha256.Sum256([]byte(strings.NewReplacer("{SALT}", string(salt), "{PASSWORD}", known).Replace(text1)))
				hash := hex.EncodeToString(sum[:])
				if digest == "base64" {
					hash = base64.URLEncoding.EncodeToString(sum[:])
				}
				p := legacy.Pair{Password: text(known), Hash: text(hash), Salt: text(written)}
				tpl, err := legacy.Infer(p)
				if err != nil || tpl.Spec() != text1+" salt="+way+" digest="+digest {
					t.Errorf("%s %s %s: found %q, %v", text1, way, digest, tpl.Spec(), err)
					continue
				}
				again, err := legacy.ReadSpec(tpl.Spec())
				if err != nil || again != tpl {
					t.Errorf("%q reads back as %q", tpl.Spec(), again.Spec())
				}
				s := store(t, hash, written, tpl)
				wants(t, s, known, true)
				wants(t, s, known+"x", false)
				for _, form := range []string{hash, hex.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(sum[:]), base64.RawURLEncoding.EncodeToString(sum[:]), string(sum[:])} {
					if strings.Contains(s.Reveal(), form) {
						t.Error("the bare digest is in what is stored")
					}
				}
				if f, inner, err := legacy.Of(s); err != nil || f != legacy.SaltedSHA256 {
					t.Errorf("%s %v", f, err)
				} else if in, err := passhash.Inspect(inner); err != nil || in.Scheme != passhash.Argon2id {
					t.Errorf("wrapped in %v %v", in, err)
				}
			}
		}
	}
}

func TestTemplatesThatAreNone(t *testing.T) {
	for _, c := range [][3]string{{"{PASSWORD}", "utf8", "hex"}, {"{SALT}{SALT}{PASSWORD}", "utf8", "hex"}, {"{SALT}{PASSWORD}{PEPPER}", "utf8", "hex"}, {"{SALT}\n{PASSWORD}", "utf8", "hex"},
		{"{SALT}{PASSWORD}", "latin1", "hex"}, {"{SALT}{PASSWORD}", "hex", "octal"}, {"{SALT}" + strings.Repeat(":", 60) + "{PASSWORD}", "hex", "hex"}, {"", "", ""}} {
		if _, err := legacy.ParseTemplate(c[0], c[1], c[2]); !errors.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", c, err)
		}
	}
	sum := sha256.Sum256([]byte("salt" + known))
	wrong := legacy.Pair{Password: text("another"), Hash: text(hex.EncodeToString(sum[:])), Salt: text("salt")}
	if _, err := legacy.Infer(wrong); !errors.Is(err, fault.Invalid) {
		t.Errorf("a pair that does not fit gave %v", err)
	}
	tpl, _ := legacy.ParseTemplate("{PASSWORD}{SALT}", "utf8", "hex")
	wrong.Password = text(known)
	if err := tpl.Prove(wrong); !errors.Is(err, fault.Invalid) {
		t.Errorf("the wrong order was proved: %v", err)
	}
}

func FuzzRow(f *testing.F) {
	for _, v := range vectors {
		f.Add(v, "", "{SALT}{PASSWORD} salt=utf8 digest=hex")
	}
	f.Add(strings.Repeat("ab", 32), "salt", "{SALT}{PASSWORD} salt=utf8 digest=hex")
	f.Add("q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=", "c2FsdA==", "{PASSWORD}:{SALT} salt=base64 digest=base64")
	f.Fuzz(func(t *testing.T, hash, salt, spec string) {
		tpl, err := legacy.ReadSpec(spec)
		if err == nil {
			if again, err := legacy.ReadSpec(tpl.Spec()); err != nil || again != tpl {
				t.Fatalf("%q reads back as %q", spec, again.Spec())
			}
		}
		r, err := legacy.Classify(text(hash), text(salt), tpl)
		if err != nil || r.Format == legacy.Reset {
			return
		}
		s, err := r.Stored(cheap())
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := legacy.Of(s); err != nil || got != r.Format {
			t.Fatalf("what is stored of %q reads back as %s, %v", hash, got, err)
		}
		if r.Format == legacy.SaltedSHA256 && strings.Contains(s.Reveal(), hash) {
			t.Fatalf("%q is stored as it is", hash)
		}
	})
}

// No text from a table makes Verify panic or costs more than the caps.
func FuzzStored(f *testing.F) {
	f.Add("$writ-legacy$bcrypt$2b$04$abc")
	f.Add("$writ-legacy$sha256-salted$a$b$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg")
	f.Fuzz(func(t *testing.T, s string) {
		if form, _, err := legacy.Of(text(s)); err == nil && !legacy.Is(text(s)) {
			t.Fatalf("%q is %s", s, form)
		}
	})
}
