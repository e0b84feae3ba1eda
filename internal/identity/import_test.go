package identity_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/identity/legacy"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// old is a row of another system that hashed salt and password with SHA-256.
func old(line int, name, password, salt string) identity.ImportRow {
	sum := sha256.Sum256([]byte(salt + ":" + password))
	return identity.ImportRow{Line: line, Email: mailbox(name), Name: name, Hash: secret.NewText(hex.EncodeToString(sum[:])), Salt: secret.NewText(salt)}
}

func pairOf(r identity.ImportRow, password string) legacy.Pair {
	return legacy.Pair{Password: secret.NewText(password), Hash: r.Hash, Salt: r.Salt}
}

const openssl6 = `$6$abcdefghij$g3Qb1lS.370DakHhSVvd4A49OXFt7CmBwlIbd8NLP6.c/nmVYh5peNfCFs3aH.MBzHq.uyKtAd7vjY8R.89KM0`

func (w *world) begin(in identity.NewImport) identity.Import {
	w.t.Helper()
	im, err := w.svc.BeginImport(w.t.Context(), operator, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return im
}

func (w *world) rows(im identity.Import, dry bool, rows ...identity.ImportRow) string {
	w.t.Helper()
	rs, err := w.svc.ImportRows(w.t.Context(), operator, im.ID, rows, dry)
	if err != nil {
		w.t.Fatal(err)
	}
	words := make([]string, len(rs))
	for i, r := range rs {
		words[i] = fmt.Sprintf("%d %s %s %s", r.Line, r.Outcome, r.Format, r.Code)
	}
	return strings.Join(words, "; ")
}

// resetToken waits for a reset link among the letters to an address.
func (w *world) resetToken(to string) string {
	w.t.Helper()
	for {
		if m := w.letter(to); m.Kind == "identity.reset" {
			return tokenOf(w.t, m.Text)
		}
	}
}

// People come over, sign in as before, and have a hash of ours from then on.
func TestImport(t *testing.T) { // breaks: auth.hash, auth.one-way, auth.no-cleartext
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		known := old(1, "ada", good, "pepper-one")
		im := w.begin(identity.NewImport{Pair: pairOf(known, good)})
		if im.Spec != "{SALT}:{PASSWORD} salt=utf8 digest=hex" {
			t.Fatalf("the template was taken for %q", im.Spec)
		}
		rows := []identity.ImportRow{known, {Line: 2, Email: mailbox("bob"), Hash: secret.NewText(openssl6)}, {Line: 3, Email: mailbox("cat"), Hash: secret.NewText(strings.Repeat("ab", 16)), Salt: secret.NewText("x")},
			{Line: 4, Email: "nobody", Hash: secret.NewText(openssl6)}, {Line: 5, Email: mailbox("dot"), Hash: secret.NewText("$2b$31$" + strings.Repeat("a", 53))}, old(6, "eve", good, "other salt")}
		want := "1 made sha256-salted ; 2 made sha-crypt ; 3 reset reset ; 4 refused  email_invalid; 5 refused  hash_cost; 6 made sha256-salted "
		if got := w.rows(im, true, rows...); got != want {
			t.Errorf("dry run:\n%s\nwant\n%s", got, want)
		}
		if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_person`); n != "0" {
			t.Fatalf("a dry run made %s people", n)
		}
		if got := w.rows(im, false, rows...); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		// Who was interrupted sends the file again.
		if got := w.rows(im, false, rows[0], old(7, "fay", good, "third salt")); got != "1 known sha256-salted ; 7 made sha256-salted " {
			t.Errorf("again: %s", got)
		}
		if kit.DB.Engine() == "sqlite" {
			sum, _ := hex.DecodeString(known.Hash.Reveal())
			search := raw(filepath.Dir(strings.TrimPrefix(kit.URL(), "sqlite:")), w.mail)
			for _, form := range []string{known.Hash.Reveal(), string(sum), base64.StdEncoding.EncodeToString(sum)[:43], openssl6, good} {
				if n, places, err := search(t.Context(), []byte(form)); err != nil || n != 0 {
					t.Errorf("%d traces of a row in %v, %v", n, places, err)
				}
			}
		}
		for _, e := range kit.Recorded() {
			if strings.Contains(e.Body+fmt.Sprint(e.Fields), known.Hash.Reveal()) {
				t.Errorf("%s holds a digest", e.Name)
			}
		}
		w.wants("identity.schemes", clause.Pass)
		w.wants("identity.one-way", clause.Pass)
		w.wants("identity.salts", clause.Pass)
		b := w.browser()
		if got := b.ask("POST", "sign-in", map[string]any{"email": mailbox("ada"), "password": good + "x"}); got.Status != 401 {
			t.Errorf("a wrong password: %d", got.Status)
		}
		b.signIn(mailbox("ada"), good)
		w.browser().signIn(mailbox("bob"), "correct horse battery")
		if got := w.browser().ask("POST", "sign-in", map[string]any{"email": mailbox("cat"), "password": ""}); got.Status != 401 {
			t.Errorf("somebody without a password: %d", got.Status)
		}
		if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_password WHERE scheme = 'argon2id'`); n != "2" {
			t.Errorf("%s hashes were renewed at sign-in, want 2", n)
		}
		b.signIn(mailbox("ada"), good)
		w.wants("identity.schemes", clause.Pass)
		bs, err := w.svc.BurnDowns(t.Context(), operator)
		if err != nil || fmt.Sprint(bs) != "[{reset 1 0 0 0 1} {sha-crypt 1 0 1 0 0} {sha256-salted 3 2 1 0 0}]" {
			t.Errorf("burn-down: %v %v", bs, err)
		}
		done, err := w.svc.EndImport(t.Context(), operator, im.ID)
		if err != nil || done.Made != 4 || done.Reset != 1 || done.Known != 1 || done.Refused != 2 {
			t.Errorf("%+v %v", done, err)
		}
		if _, err := w.svc.ImportRows(t.Context(), operator, im.ID, rows[:1], false); !errors.Is(err, fault.Conflict) {
			t.Errorf("after its end: %v", err)
		}
		if n := len(kit.Recorded("identity.person-imported")); n != 5 {
			t.Errorf("%d people recorded", n)
		}
	}, jobs.Schema(), identity.Schema())
}

// What came over opens nothing after the deadline, nor once the policy takes it no more;
// the reset keeps working.
func TestImportDeadline(t *testing.T) { // breaks: auth.hash
	w := open(t)
	row := old(1, "gil", good, "pepper")
	im := w.begin(identity.NewImport{Pair: pairOf(row, good)})
	w.rows(im, false, row, old(2, "hob", good, "salted"))
	sign := func(name string) int {
		return w.browser().ask("POST", "sign-in", map[string]any{"email": mailbox(name), "password": good}).Status
	}
	w.set(clause.Values{"auth.hash/import": []string{"bcrypt"}})
	if got := sign("gil"); got != 401 {
		t.Errorf("a format that the policy takes no more: %d", got)
	}
	w.set(nil)
	w.kit.Clock.Advance(180*24*time.Hour - time.Microsecond)
	if got := sign("gil"); got != 200 {
		t.Errorf("before the deadline: %d", got)
	}
	w.kit.Clock.Advance(time.Microsecond)
	if got := sign("hob"); got != 401 {
		t.Errorf("at the deadline: %d", got)
	}
	if bs, err := w.svc.BurnDowns(t.Context(), operator); err != nil || fmt.Sprint(bs) != "[{sha256-salted 2 0 1 1 0}]" {
		t.Errorf("burn-down: %v %v", bs, err)
	}
	for range 2 { // has a hash of ours, of a password that today's rules take: no deadline holds
		if got := sign("gil"); got != 200 {
			t.Errorf("who signed in before: %d", got)
		}
		w.kit.Clock.Advance(15 * 24 * time.Hour)
	}
	b := w.browser()
	b.api(202, "POST", "recovery", map[string]any{"email": mailbox("hob")})
	b.api(200, "POST", "recovery/"+w.resetToken(mailbox("hob")), map[string]any{"new": "a fine new phrase 12"})
	b.signIn(mailbox("hob"), "a fine new phrase 12")
}

// A password that breaks today's rules opens the account once more, with a letter and a
// deadline.
func TestImportOfWeakPasswords(t *testing.T) { // breaks: auth.min-length, auth.banned
	w := open(t)
	row := old(1, "ivy", "short", "pepper")
	im := w.begin(identity.NewImport{Pair: pairOf(row, "short")})
	w.rows(im, false, row)
	w.browser().signIn(mailbox("ivy"), "short")
	if m := w.letter(mailbox("ivy")); m.Kind != "identity.password-weak" || strings.Contains(m.Text, "short ") {
		t.Errorf("%s %s", m.Kind, m.Text)
	}
	w.kit.Clock.Advance(14*24*time.Hour - time.Microsecond)
	w.browser().signIn(mailbox("ivy"), "short")
	w.kit.Clock.Advance(time.Microsecond)
	if got := w.browser().ask("POST", "sign-in", map[string]any{"email": mailbox("ivy"), "password": "short"}).Status; got != 401 {
		t.Errorf("after the deadline: %d", got)
	}
	b := w.browser()
	b.api(202, "POST", "recovery", map[string]any{"email": mailbox("ivy")})
	b.api(200, "POST", "recovery/"+w.resetToken(mailbox("ivy")), map[string]any{"new": "a fine new phrase 12"})
	w.kit.Clock.Advance(30 * 24 * time.Hour)
	b.signIn(mailbox("ivy"), "a fine new phrase 12")
}

// Another system hashed the bytes that were typed; ours the normal form. Both open.
func TestImportOfDecomposedLetters(t *testing.T) {
	w := open(t)
	typed := "pa\u0308ssword of the e\u0301tage 7"
	row := old(1, "jan", typed, "pepper")
	im := w.begin(identity.NewImport{Pair: pairOf(row, typed)})
	w.rows(im, false, row)
	w.browser().signIn(mailbox("jan"), typed)
	w.browser().signIn(mailbox("jan"), "p\u00e4ssword of the \u00e9tage 7")
}

func TestImportWishes(t *testing.T) { // breaks: auth.hash
	w := open(t)
	row := old(1, "kay", good, "pepper")
	right := pairOf(row, good)
	for name, c := range map[string]struct {
		in   identity.NewImport
		code string
	}{
		"no pair":          {identity.NewImport{Template: "{SALT}:{PASSWORD}", SaltWay: "utf8", DigestWay: "hex"}, "pair_needed"},
		"wrong order":      {identity.NewImport{Template: "{PASSWORD}:{SALT}", SaltWay: "utf8", DigestWay: "hex", Pair: right}, "template_unproved"},
		"wrong way":        {identity.NewImport{Template: "{SALT}:{PASSWORD}", SaltWay: "base64", DigestWay: "hex", Pair: right}, "salt_form"},
		"no template":      {identity.NewImport{Template: "{HASH}", SaltWay: "utf8", DigestWay: "hex", Pair: right}, "template"},
		"wrong password":   {identity.NewImport{Pair: pairOf(row, "another")}, "template_unknown"},
		"crypt, wrong":     {identity.NewImport{Pair: legacy.Pair{Password: secret.NewText("x"), Hash: secret.NewText(openssl6)}}, "pair_wrong"},
		"crypt, weak":      {identity.NewImport{Pair: legacy.Pair{Password: secret.NewText("x"), Hash: secret.NewText(strings.Repeat("ab", 16))}}, "pair_weak"},
		"team of staff":    {identity.NewImport{Team: "staff"}, "team_unknown"},
		"team that is not": {identity.NewImport{Team: "none"}, "team_unknown"},
	} {
		_, err := w.svc.BeginImport(t.Context(), operator, c.in)
		if code, _ := fault.PublicOf(err); err == nil || code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.begin(identity.NewImport{Pair: legacy.Pair{Password: secret.NewText("correct horse battery"), Hash: secret.NewText(openssl6)}})
	none := w.begin(identity.NewImport{})
	if got := w.rows(none, false, row); got != "1 refused  template_needed" {
		t.Errorf("a salted digest without a template: %s", got)
	}
	w.set(clause.Values{"auth.hash/import": []string{"bcrypt"}})
	if got := w.rows(none, false, identity.ImportRow{Line: 1, Email: mailbox("kay"), Hash: secret.NewText(openssl6)}); got != "1 refused sha-crypt format_refused" {
		t.Errorf("a format that the policy does not take: %s", got)
	}
	for _, who := range []actor.Actor{{Kind: actor.Person, ID: "x", Roles: []string{"engineer"}, Session: "s"}, {Kind: actor.Person, ID: "x", Roles: []string{"owner"}, Token: "t", Scopes: []string{"identity.import-people"}}} {
		if _, err := w.svc.BeginImport(t.Context(), who, identity.NewImport{}); !errors.Is(err, fault.Denied) {
			t.Errorf("%v: %v", who, err)
		}
		if _, err := w.svc.ImportRows(t.Context(), who, none.ID, []identity.ImportRow{row}, true); !errors.Is(err, fault.Denied) {
			t.Errorf("%v: %v", who, err)
		}
	}
	if _, err := w.svc.ImportRows(t.Context(), operator, none.ID, slices.Repeat([]identity.ImportRow{row}, 201), true); !errors.Is(err, fault.Invalid) {
		t.Errorf("201 rows: %v", err)
	}
}

// A bare digest in the table is seen.
func TestSchemesSeeABareDigest(t *testing.T) { // breaks: auth.hash, auth.one-way
	for _, bare := range []string{strings.Repeat("ab", 32), "$writ-legacy$sha256-salted$" + strings.Repeat("ab", 32), "$writ-legacy$bcrypt$2b$31$" + strings.Repeat("a", 53)} {
		w := open(t)
		id, _ := w.customer("lou")
		w.wants("identity.schemes", clause.Pass)
		if err := w.svc.PlantPassword(t.Context(), id, "sha256-salted", bare); err != nil {
			t.Fatal(err)
		}
		w.wants("identity.schemes", clause.Fail)
		w.wants("identity.one-way", clause.Fail)
		if got := w.browser().ask("POST", "sign-in", map[string]any{"email": mailbox("lou"), "password": good}).Status; got != 401 {
			t.Errorf("%q opens: %d", bare, got)
		}
	}
}
