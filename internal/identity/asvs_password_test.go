package identity_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/identity/banned"
	"writ/internal/secret"
	"writ/internal/web"
)

const signInPage = "../../docs/sign-in.md"

// written is the page that tells people about the door.
func written(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(signInPage)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func asvsLimitsAreDocumented(t *testing.T) {
	page := written(t)
	rows := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([0-9]+) \\| (.*) \\|$").FindAllStringSubmatch(page, -1)
	limits := identity.Limits()
	if len(rows) != len(limits) {
		t.Errorf("%d limits are written down, there are %d", len(rows), len(limits))
	}
	for _, l := range limits {
		if row := fmt.Sprintf("| `%s` | %d | %s |\n", l.Name, l.Max, web.Duration(l.Window)); !strings.Contains(page, row) {
			t.Errorf("%s does not say %s", signInPage, row)
		}
	}
}

// tooNear are passwords that are refused for each kind of word that the page names.
var tooNear = map[string]string{
	"the name of the company":                             "Quorvex-20266!",
	"the host name of the application":                    "127.0.0.1-127.0.0.1",
	"the words that the policy lists under `auth.banned`": "zimbelstern-77",
	"the name of the person":                              "Zebedaia-Quistorp",
	"the address of the person":                           "orchidgrower@example.canary.invalid",
}

func asvsWordsAreDocumented(t *testing.T) {
	_, list, found := strings.Cut(written(t), "## Words that are too near")
	list, _, _ = strings.Cut(list, "\n## ")
	if !found {
		t.Fatal("the words are not written down")
	}
	seen := 0
	for line := range strings.SplitSeq(list, "\n") {
		if kind, ok := strings.CutPrefix(line, "- "); ok {
			seen++
			if tooNear[kind] == "" {
				t.Errorf("%q is promised, and nothing tries it", kind)
			}
		}
	}
	if seen != len(tooNear) {
		t.Errorf("%d kinds of words are written down, %d are refused", seen, len(tooNear))
	}
}

// doors tries one password at every door that takes a new one: the sign-up, the change,
// the reset link and the first link.
func (w *world) doors(status int, code, password, email, name string) {
	w.t.Helper()
	want := func(door string, a map[string]any) {
		w.t.Helper()
		if code != "" && !strings.Contains(fmt.Sprint(a["errors"]), code) {
			w.t.Errorf("%s: %v, want %s", door, a, code)
		}
	}
	pick := func(ok int) int {
		if status == 0 {
			return ok
		}
		return status
	}
	if name == "" {
		name = "Ben"
	}
	want("sign-up", w.browser().api(pick(202), "POST", "sign-up", obj{"email": email, "password": password, "name": name}))
	c, err := w.svc.CreateCustomer(w.t.Context(), operator, identity.NewCustomer{Email: email, Name: name, Password: secret.NewText(good)})
	if err != nil {
		w.t.Fatal(err)
	}
	b := w.browser()
	b.signIn(email, good)
	if status != 0 {
		want("change", b.api(status, "POST", "password", obj{"current": good, "new": password}))
	}
	b.api(202, "POST", "recovery", obj{"email": email})
	want("reset", b.api(pick(200), "POST", "recovery/"+tokenOf(w.t, w.letterOf(email, "reset").Text), obj{"new": password}))
	if _, err := w.svc.Erase(w.t.Context(), operator, c.ID, handleOf(w, c.ID)); err != nil {
		w.t.Fatal(err)
	}
	a, err := w.svc.AddStaff(w.t.Context(), operator, identity.AddStaff{Email: email, Name: name, Roles: []string{"engineer"}})
	if err != nil {
		w.t.Fatal(err)
	}
	want("first link", w.browser().api(pick(200), "POST", "invitations/"+tokenOf(w.t, a.URL.Reveal())+"/accept", obj{"name": name, "password": password}))
}

func handleOf(w *world, id string) string {
	w.t.Helper()
	h, err := w.svc.Handle(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

func asvsEight(t *testing.T) {
	for key, bad := range map[string]clause.Values{"min": {"auth.min-length/min": int64(7), "auth.min-length/min_with_factor": int64(7)}, "beside a factor": {"auth.min-length/min_with_factor": int64(7)}} {
		if err := open(t).trySet(bad); err == nil {
			t.Errorf("a policy of seven (%s) was taken", key)
		}
	}
	w := open(t)
	w.set(clause.Values{"auth.min-length/min": int64(8), "auth.min-length/min_with_factor": int64(8)})
	w.doors(422, "password_too_short", "vuxq-4m", mailbox("seven"), "")
	w.doors(0, "", "vuxq-4mz", mailbox("eight"), "")
}

// writeList makes a file of n passwords of fourteen letters.
func writeList(t *testing.T, n int) string {
	t.Helper()
	r := rand.New(rand.NewPCG(11, 13))
	var b strings.Builder
	for range n {
		for range 16 {
			b.WriteByte("abcdefghijklmnopqrstuvwxyz"[r.IntN(26)])
		}
		b.WriteByte('\n')
	}
	file := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func asvsListedAtTheDoors(t *testing.T) {
	file := writeList(t, 3000)
	w := open(t, func(d *identity.Deps) {
		l, err := banned.New(banned.Options{File: file})
		if err != nil {
			t.Fatal(err)
		}
		d.Banned = l
	})
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(b))
	w.doors(422, "password_banned", lines[0], mailbox("first"), "")
	w.doors(422, "password_banned", strings.ToUpper(lines[2999])+"!", mailbox("last"), "")
	open(t).doors(0, "", lines[0], mailbox("first"), "") // without the file nobody knows it
}

func asvsComposition(t *testing.T) {
	w := open(t)
	for i, pw := range []string{"plumcarouselvestige", "PLUMCAROUSELVESTIGE", "830572916483", "~^|}{][_<>;:&#", "plum carousel vestige", "Wir essen um halb neun", "银河系漫游指南很好看的书", "🔑🌵🎷🚲🧀🦉🪁⛵🍋🦜🧶🪐", "été à la plage où ça"} {
		w.doors(0, "", pw, mailbox(fmt.Sprint("kind", i)), "")
	}
}

const stepUpPage = "step-up-password"

// stepUpWithPassword is the page that asks somebody without a factor for the password.
func stepUpWithPassword(t *testing.T) *sheet {
	t.Helper()
	s := openSite(t)
	_, to := s.customer("ana")
	r := s.reader()
	r.open("/-/sign-in")
	r.press("Sign in", "email", to, "password", good)
	r.open("/-/account/factors")
	s.kit.Clock.Advance(15 * time.Minute)
	return r.press("Set up an app").want(t, 200, "Is it you?")
}

func asvsPasswordFields(t *testing.T) {
	seen := 0
	all := states(t)
	all[stepUpPage] = stepUpWithPassword(t)
	for name, p := range all {
		for _, f := range p.forms {
			for field, attr := range f.kinds {
				if name == stepUpPage && field == "code" {
					field = "current"
				}
				if !slices.Contains([]string{"password", "new", "current"}, field) {
					if attr["type"] == "password" {
						t.Errorf("%s: a password field is called %s", name, field)
					}
					continue
				}
				seen++
				want := map[bool]string{true: "current-password", false: "new-password"}[field == "current" || f.act == "Sign in" || strings.HasPrefix(f.act, "Confirm")]
				if attr["type"] != "password" || attr["autocomplete"] != want {
					t.Errorf("%s: field %s is %v, want a password and %s", name, field, attr, want)
				}
				for _, stops := range []string{"onpaste", "oncopy", "readonly", "disabled", "maxlength"} {
					v, has := attr[stops]
					if n, err := strconv.Atoi(v); has && (stops != "maxlength" || err != nil || n < 64) {
						t.Errorf("%s: field %s has %s=%s", name, field, stops, v)
					}
				}
			}
		}
	}
	if seen < 8 {
		t.Errorf("only %d password fields were seen", seen)
	}
	scripts := 0
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".js" {
			return err
		}
		scripts++
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), "paste") {
			t.Errorf("%s minds what is pasted", path)
		}
		return err
	})
	if err != nil || scripts == 0 {
		t.Errorf("%d scripts, %v", scripts, err)
	}
}

func asvsExactly(t *testing.T) {
	w := open(t)
	const pw = " Plum Carousel 71 vestige of a rather long afternoon beside the harbour wall "
	c, err := w.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: mailbox("exa"), Password: secret.NewText(pw)})
	if err != nil {
		t.Fatal(c, err)
	}
	for name, near := range map[string]string{"trimmed": strings.TrimSpace(pw), "in front": strings.TrimLeft(pw, " "), "lower": strings.ToLower(pw), "cut at 64": pw[:64], "cut at 72": pw[:72], "one more": pw + " ", "one space": strings.Join(strings.Fields(pw), "")} {
		if a := w.browser().ask("POST", "sign-in", obj{"email": mailbox("exa"), "password": near}); a.Status != 401 && a.Status != 429 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	w.browser().signIn(mailbox("exa"), pw)
}

func asvsLong(t *testing.T) {
	w := open(t)
	r := rand.New(rand.NewPCG(3, 9))
	for _, n := range []int{64, 128, 256} {
		letters := []rune("abcdefghijkmnopqrstuvwxyzéø银🔑 ")
		pw := make([]rune, n)
		for i := range pw {
			pw[i] = letters[r.IntN(len(letters))]
		}
		email := mailbox(fmt.Sprint("long", n))
		if _, err := w.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: email, Password: secret.NewText(string(pw))}); err != nil {
			t.Fatalf("%d: %v", n, err)
		}
		v := w.browser()
		v.signIn(email, string(pw))
		v.api(401, "POST", "sign-in", obj{"email": email, "password": string(pw[:n-1])})
	}
	w.browser().api(422, "POST", "sign-up", obj{"email": mailbox("endless"), "password": strings.Repeat("plum ", 60), "name": ""}) // told, not cut
}

func asvsNoRotation(t *testing.T) {
	w := open(t)
	_, email := w.customer("old")
	for range 5 {
		w.kit.Clock.Advance(365 * 24 * time.Hour)
		w.housekeeping()
		if in := w.browser().signIn(email, good); in["next"] != identity.NextDone {
			t.Fatalf("%v", in)
		}
	}
}

func asvsContext(t *testing.T) {
	for kind, pw := range tooNear {
		w := open(t)
		name, email := "Ben", mailbox("ben")
		switch {
		case strings.Contains(kind, "policy"):
			w.set(clause.Values{"auth.banned/words": []string{"Zimbelstern"}})
		case strings.Contains(kind, "name of the person"):
			name = "Zebedaia Quistorp"
		case strings.Contains(kind, "address"):
			email = mailbox("orchidgrower")
		}
		t.Log(kind)
		w.doors(422, "password_banned", pw, email, name)
	}
}

func asvsStoredSlow(t *testing.T) {
	w := open(t)
	id, email := w.customer("ivy")
	b := w.browser()
	b.api(202, "POST", "sign-up", obj{"email": mailbox("new"), "password": good, "name": ""})
	b.api(200, "POST", "confirm", obj{"token": tokenOf(t, w.letterOf(mailbox("new"), "confirm").Text)})
	known := old(1, "ada", good, "pepper-one")
	w.rows(w.begin(identity.NewImport{Pair: pairOf(known, good)}), false, known)
	w.wants("identity.schemes", clause.Pass)
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_password WHERE scheme IN ('argon2id', 'sha256-salted')`); n != "3" {
		t.Errorf("%s passwords are kept slowly, want 3", n)
	}
	b.signIn(mailbox("ada"), good)
	w.set(clause.Values{"auth.hash/alg": "pbkdf2-hmac-sha256"})
	b.signIn(email, good)
	if got := w.one(`SELECT scheme FROM identity_password WHERE person = $1`, id); got != "pbkdf2-hmac-sha256" {
		t.Errorf("scheme %s", got)
	}
	if err := w.trySet(clause.Values{"auth.hash/alg": "sha256"}); err == nil {
		t.Error("a policy with a fast hash was taken")
	}
	w.exec(`UPDATE identity_password SET phc = $1 WHERE person = $2`, []byte("5f4dcc3b5aa765d61d8327deb882cf99"), id)
	w.wants("identity.schemes", clause.Fail)
}
