package identity_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/passhash"
	"writ/internal/secret"
)

// raw searches the folders of a test for bytes.
func raw(dirs ...string) identity.RawSearch {
	return func(_ context.Context, needle []byte) (int, []string, error) {
		hits, places := 0, []string{}
		for _, d := range dirs {
			err := filepath.WalkDir(d, func(path string, e os.DirEntry, err error) error {
				if err != nil || e.IsDir() {
					return err
				}
				b, err := os.ReadFile(path)
				if n := bytes.Count(b, needle); n > 0 {
					hits += n
					places = append(places, filepath.Base(path))
				}
				return err
			})
			if err != nil {
				return 0, nil, err
			}
		}
		return hits, places, nil
	}
}

func withRaw(kit *ledgertest.Kit, more ...string) option {
	dir := filepath.Dir(strings.TrimPrefix(kit.URL(), "sqlite:"))
	return func(d *identity.Deps) { d.Raw = raw(append(more, dir)...) }
}

// check runs one control.
func (w *world) check(id string) (clause.Result, error) {
	w.t.Helper()
	for _, c := range w.svc.Controls(w.door) {
		if c.ID == id {
			return c.Run(w.t.Context())
		}
	}
	w.t.Fatalf("no control %s", id)
	return clause.Result{}, nil
}

func (w *world) wants(id string, o clause.Outcome) {
	w.t.Helper()
	r, err := w.check(id)
	if err != nil {
		w.t.Fatalf("%s: %v", id, err)
	}
	if r.Outcome != o {
		w.t.Errorf("%s: %s, %q, want %s\n%+v", id, r.Outcome, r.Summary, o, r.Steps)
	}
}

func TestControlsPass(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		opt := func(d *identity.Deps) { d.Raw = raw(t.TempDir()) }
		if kit.DB.Engine() == "sqlite" {
			opt = withRaw(kit)
		}
		w := with(t, kit, opt)
		w.customer("one")
		w.customer("two")
		for _, c := range w.svc.Controls(w.door) {
			r, err := c.Run(t.Context())
			if err != nil {
				t.Errorf("%s: %v", c.ID, err)
				continue
			}
			if r.Outcome != clause.Pass {
				t.Errorf("%s: %s: %s", c.ID, r.Outcome, r.Summary)
			}
			t.Log(c.ID, r.Summary)
		}
		w.drain()
		if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_team WHERE kind = 'canary'`); n != "0" {
			t.Errorf("%s canary teams are left", n)
		}
		for _, table := range []string{"identity_person", "identity_address", "identity_password"} {
			if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM ` + table); n != "2" {
				t.Errorf("%s rows in %s", n, table)
			}
		}
		if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_attempt`); n != "0" {
			t.Errorf("%s attempts are left", n)
		}
	}, jobs.Schema(), identity.Schema())
}

// swap answers some requests itself, as a broken server would.
func swap(match func(*http.Request, string) bool, answer func(w http.ResponseWriter)) func(http.Handler) http.Handler {
	return func(real http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(b))
			if match(r, string(b)) {
				answer(w)
				return
			}
			real.ServeHTTP(w, r)
		})
	}
}

func status(code int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func path(suffix string) func(*http.Request, string) bool {
	return func(r *http.Request, _ string) bool { return strings.HasSuffix(r.URL.Path, suffix) }
}

// Each canary must see a server that lets its violation through.
func TestCanariesSeeABrokenServer(t *testing.T) {
	nth := func(n int, match func(*http.Request, string) bool) func(*http.Request, string) bool {
		seen := 0
		return func(r *http.Request, b string) bool {
			if match(r, b) {
				seen++
				return seen >= n
			}
			return false
		}
	}
	only := func(n int, match func(*http.Request, string) bool) func(*http.Request, string) bool {
		seen := 0
		return func(r *http.Request, b string) bool {
			if match(r, b) {
				seen++
				return seen == n
			}
			return false
		}
	}
	for _, c := range []struct {
		name, control string
		front         func(http.Handler) http.Handler
	}{
		// breaks: auth.best-practice
		{"tells unknown addresses", "identity.practice", rewrite(everyOther("The address or the password is not right.", "There is no such address."))},
		// breaks: auth.best-practice
		{"no throttle", "identity.practice", rewriteStatus(http.StatusTooManyRequests, http.StatusUnauthorized)},
		// breaks: auth.best-practice
		{"script reads the cookie", "identity.practice", rewriteHeader("Set-Cookie", "; HttpOnly", "")},
		// breaks: auth.signup-email
		{"unconfirmed may sign in", "identity.confirm-first", swap(path("/sign-in"), status(200, `{}`))},
		// breaks: auth.signup-email
		{"confirms without password", "identity.confirm-first", swap(func(r *http.Request, b string) bool {
			return strings.HasSuffix(r.URL.Path, "/confirm") && len(r.Cookies()) == 0
		}, status(200, `{}`))},
		// breaks: auth.admin-invite
		{"another address accepts", "identity.invitation", swap(nth(1, path("/accept")), status(200, `{}`))},
		// breaks: auth.admin-invite
		{"accepted twice", "identity.invitation", swap(only(3, path("/accept")), status(200, `{}`))},
		// breaks: auth.admin-invite
		{"accepted late", "identity.invitation", swap(only(4, path("/accept")), status(200, `{}`))},
		// breaks: auth.admin-invite
		{"former link works", "identity.invitation", swap(only(5, path("/accept")), status(200, `{}`))},
		// breaks: auth.admin-invite
		{"another role", "identity.invitation", rewrite(func(r *http.Request, _, out string) string { return strings.ReplaceAll(out, `"member"`, `"admin"`) })},
		// breaks: auth.admin-invite
		{"a member invites", "identity.invitation", swap(only(2, path("/invitations")), status(201, `{}`))},
		// breaks: auth.unique-login
		{"other spelling unknown", "identity.one-login", swap(func(r *http.Request, b string) bool {
			return strings.HasSuffix(r.URL.Path, "/sign-in") && strings.Contains(b, "@WRIT.CANARY.INVALID")
		}, status(401, `{"code":"sign_in_refused"}`))},
		// breaks: auth.compare
		{"ignores case", "identity.near-miss", swap(nth(3, path("/sign-in")), status(200, `{}`))},
		// breaks: auth.min-length
		{"short at sign-up", "identity.short", swap(path("/sign-up"), status(202, `{}`))},
		// breaks: auth.min-length
		{"short at change", "identity.short", swap(path("/password"), status(200, `{}`))},
		// breaks: auth.min-length
		{"short at first link", "identity.short", swap(path("/accept"), status(200, `{}`))},
		// breaks: auth.banned
		{"listed at reset", "identity.listed", swap(func(r *http.Request, _ string) bool { return strings.Contains(r.URL.Path, "/recovery/") }, status(200, `{}`))},
		// breaks: auth.change-needs-current
		{"changes without", "identity.needs-current", swap(path("/password"), status(200, `{}`))},
		// breaks: auth.reset-link
		{"tells at recovery", "identity.same-answer", swap(nth(2, path("/recovery")), status(404, `{"code":"no_person"}`))},
		// breaks: auth.reset-link-lifetime
		{"opens late", "identity.late-link", swap(func(r *http.Request, _ string) bool { return strings.Contains(r.URL.Path, "/recovery/") }, status(200, `{}`))},
		// breaks: auth.reset-sets-new
		{"works twice", "identity.used-link", swap(nth(2, func(r *http.Request, _ string) bool { return strings.Contains(r.URL.Path, "/recovery/") }), status(200, `{}`))},
		// breaks: auth.reset-sets-new
		{"session goes on", "identity.used-link", swap(path("/session"), status(200, `{}`))},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			w.breakFront(c.front)
			w.wants(c.control, clause.Fail)
		})
	}
}

// everyOther changes words in every second answer that holds them: the canary asks in turn
// for a known and an unknown address.
func everyOther(from, to string) func(*http.Request, string, string) string {
	var n atomic.Int64
	return func(_ *http.Request, _, out string) string {
		if strings.Contains(out, from) && n.Add(1)%2 == 0 {
			return strings.Replace(out, from, to, 1)
		}
		return out
	}
}

// rewrite lets the real server answer and changes the body.
func rewrite(f func(r *http.Request, in, out string) string) func(http.Handler) http.Handler {
	return func(real http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			in, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			r.Body = io.NopCloser(bytes.NewReader(in))
			h := &held{header: w.Header(), status: 200}
			real.ServeHTTP(h, r)
			out := f(r, string(in), h.body.String())
			w.Header().Set("Content-Length", strconv.Itoa(len(out)))
			w.WriteHeader(h.status)
			_, _ = io.WriteString(w, out)
		})
	}
}

func rewriteStatus(from, to int) func(http.Handler) http.Handler {
	return func(real http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := &held{header: w.Header(), status: 200}
			real.ServeHTTP(h, r)
			if h.status == from {
				h.status = to
			}
			w.WriteHeader(h.status)
			_, _ = w.Write(h.body.Bytes())
		})
	}
}

func rewriteHeader(name, from, to string) func(http.Handler) http.Handler {
	return func(real http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := &held{header: w.Header(), status: 200}
			real.ServeHTTP(h, r)
			for i, v := range w.Header()[name] {
				w.Header()[name][i] = strings.Replace(v, from, to, 1)
			}
			w.WriteHeader(h.status)
			_, _ = w.Write(h.body.Bytes())
		})
	}
}

type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header         { return h.header }
func (h *held) WriteHeader(s int)           { h.status = s }
func (h *held) Write(b []byte) (int, error) { return h.body.Write(b) }

// A verifier that lets something through, or keeps the owner out, fails the control.
//
// breaks: auth.compare
func TestRecomputeSeesABrokenVerifier(t *testing.T) {
	w := open(t)
	w.wants("identity.recompute", clause.Pass)
	right := func(phc, typed secret.Text) bool {
		ok, err := passhash.Verify(phc, typed)
		return ok && err == nil
	}
	var first secret.Text
	for name, verify := range map[string]func(phc, typed secret.Text) bool{
		"takes every password": func(secret.Text, secret.Text) bool { return true },
		"takes none":           func(secret.Text, secret.Text) bool { return false },
		"does not read the digest to its end": func(phc, typed secret.Text) bool {
			if first.IsZero() {
				first = phc
			}
			return right(first, typed) // altered or not
		},
	} {
		if r, err := w.svc.TellsApart(verify); err != nil || r.Outcome != clause.Fail {
			t.Errorf("a verifier that %s: %s %v", name, r.Outcome, err)
		}
	}
	if r, err := w.svc.TellsApart(right); err != nil || r.Outcome != clause.Pass {
		t.Errorf("the right one: %s %v", r.Outcome, err)
	}
}

// Each probe must see a store that does not hold what the clause says.
func TestProbesSeeABrokenStore(t *testing.T) {
	for _, c := range []struct {
		name, control string
		spoil         func(w *world, a, b string)
	}{
		// breaks: auth.best-practice
		{"session never ends", "identity.sessions-end", func(w *world, _, _ string) {
			w.browser().signIn(mailbox("one"), good)
			w.exec(`UPDATE identity_session SET started = started - $1, seen = seen - $1`, (31 * 24 * time.Hour).Microseconds())
		}},
		// breaks: auth.best-practice
		{"a password of seven", "identity.standards", func(w *world, a, _ string) {
			w.exec(`UPDATE identity_password SET passed = 7 WHERE person = $1`, a)
		}},
		// breaks: auth.signup-email
		{"unconfirmed with session", "identity.confirmed", func(w *world, _, _ string) {
			w.browser().signIn(mailbox("one"), good)
			w.exec(`UPDATE identity_address SET confirmed = NULL`)
		}},
		// breaks: auth.unique-login
		{"no login", "identity.addresses", func(w *world, a, _ string) { w.exec(`DELETE FROM identity_address WHERE person = $1`, a) }},
		// breaks: auth.unique-login
		{"login under another key", "identity.addresses", func(w *world, a, _ string) {
			w.exec(`UPDATE identity_address SET idx = 'other' WHERE person = $1`, a)
		}},
		// breaks: auth.unique-credentials
		{"shared password", "identity.own-credentials", func(w *world, a, b string) {
			w.exec(`UPDATE identity_password SET phc = (SELECT phc FROM identity_password WHERE person = $1) WHERE person = $2`, a, b)
		}},
		// breaks: auth.one-way
		{"a column for the clear text", "identity.one-way", func(w *world, _, _ string) { w.exec(`ALTER TABLE identity_password ADD COLUMN clear TEXT`) }},
		// breaks: auth.one-way
		{"no hash", "identity.one-way", func(w *world, a, _ string) {
			w.exec(`UPDATE identity_password SET phc = $2 WHERE person = $1`, a, []byte("correct horse battery"))
		}},
		// breaks: auth.hash
		{"unsealed", "identity.schemes", func(w *world, a, _ string) {
			w.exec(`UPDATE identity_password SET phc = $2 WHERE person = $1`, a, []byte(passhash.Dummy(cheap(passhash.Default(passhash.Argon2id, 16))).Reveal()))
		}},
		// breaks: auth.hash
		{"lying scheme", "identity.schemes", func(w *world, a, _ string) {
			w.exec(`UPDATE identity_password SET scheme = 'sha256' WHERE person = $1`, a)
		}},
		// breaks: auth.salt
		{"one salt for two", "identity.salts", func(w *world, a, b string) { w.reseal(a, b) }},
		// breaks: auth.salt
		{"salts shorter than the rule", "identity.salts", func(w *world, _, _ string) { w.set(clause.Values{"auth.salt/bytes": int64(32)}) }},
		// breaks: auth.banned
		{"short list", "identity.list", func(w *world, _, _ string) { w.set(clause.Values{"auth.banned/min_entries": int64(1_000_000)}) }},
		// breaks: auth.reset-link
		{"token in clear", "identity.links", func(w *world, a, _ string) {
			w.exec(`INSERT INTO identity_link (id, token, kind, person, attempt, bits, issued, expires, ended, cause) VALUES ('x', 'abc', 'reset', $1, '', 256, 0, 1, NULL, '')`, a)
		}},
		// breaks: auth.reset-link
		{"weak token", "identity.links", func(w *world, a, _ string) {
			w.exec(`INSERT INTO identity_link (id, token, kind, person, attempt, bits, issued, expires, ended, cause) VALUES ('x', $2, 'reset', $1, '', 64, 0, 1, NULL, '')`, a, strings.Repeat("ab", 32))
		}},
		// breaks: auth.reset-link-lifetime
		{"used late", "identity.reset-ages", func(w *world, a, _ string) {
			w.exec(`INSERT INTO identity_link (id, token, kind, person, attempt, bits, issued, expires, ended, cause) VALUES ('x', $2, 'reset', $1, '', 256, 0, $3, $4, 'used')`, a, strings.Repeat("ab", 32),
				(24 * time.Hour).Microseconds(), (24*time.Hour + time.Second).Microseconds())
		}},
		// breaks: auth.admin-invite
		{"taken by another address", "identity.invited-addresses", func(w *world, a, b string) {
			w.exec(insertAccepted, a, "x1", strings.Repeat("ab", 32), "somebody else's", int64(2))
		}},
		// breaks: auth.admin-invite
		{"taken late", "identity.invited-addresses", func(w *world, a, b string) {
			w.exec(insertAccepted, a, "x1", strings.Repeat("ab", 32), "one's own", int64(1))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			a, _ := w.customer("one")
			b, _ := w.customer("two")
			w.wants(c.control, clause.Pass)
			c.spoil(w, a, b)
			w.wants(c.control, clause.Fail)
		})
	}
}

// insertAccepted is an accepted invitation of a person's team that was issued at 0 and ended at 1.
const insertAccepted = `INSERT INTO identity_invitation (id, team, idx, about, roles, inviter, token, bits, issued, expires, ended, cause, person, taken_by)
	SELECT $2, m.team, 'one''s own', NULL, 'member', 'operator', $3, 256, 0, $5, 1, 'accepted', 'p', $4 FROM identity_member m WHERE m.person = $1`

// reseal gives b the password string of a, sealed for b as the server would.
func (w *world) reseal(a, b string) {
	w.t.Helper()
	if err := w.svc.CopyPassword(w.t.Context(), a, b); err != nil {
		w.t.Fatal(err)
	}
}

// breaks: auth.no-cleartext
func TestNoCleartextSeesALeak(t *testing.T) {
	kit := ledgertest.Open(t, jobs.Schema(), identity.Schema())
	leak := t.TempDir()
	w := with(t, kit, withRaw(kit, leak))
	w.wants("identity.no-cleartext", clause.Pass)
	w.breakFront(func(real http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { // a server that logs bodies
			b, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			r.Body = io.NopCloser(bytes.NewReader(b))
			if f, err := os.OpenFile(filepath.Join(leak, "access.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
				_, _ = f.Write(b)
				_ = f.Close()
			}
			real.ServeHTTP(rw, r)
		})
	})
	w.wants("identity.no-cleartext", clause.Fail)
}

func TestNoRawSearchIsUnknown(t *testing.T) {
	w := open(t)
	if _, err := w.check("identity.no-cleartext"); err == nil {
		t.Error("a control that could not look gave a result")
	}
	w.breakFront(swap(path("/sign-in"), status(503, `{"code":"busy"}`)))
	if r, err := w.check("identity.near-miss"); err == nil {
		t.Errorf("a server that could not answer was judged: %+v", r)
	} else if _, ok := err.(fault.Kind); ok {
		t.Error("not explained")
	}
}

// Every clause of this module has a control, and ids are unique.
func TestControlsCoverTheClauses(t *testing.T) {
	w := open(t)
	ids, of := map[string]bool{}, map[string]bool{}
	for _, c := range w.svc.Controls(w.door) {
		if ids[c.ID] || c.Says == "" || c.Every <= 0 || c.FreshFor <= c.Every {
			t.Errorf("control %+v is there twice or incomplete", c.ID)
		}
		ids[c.ID], of[c.Clause] = true, true
	}
	for _, s := range w.svc.Slots() {
		for _, b := range s.Bindings() {
			id, _, _ := strings.Cut(b.Key, "/")
			if !of[id] {
				t.Errorf("%s has parameters and no control", id)
			}
		}
	}
	for _, id := range []string{"auth.unique-credentials", "auth.no-cleartext", "auth.one-way", "auth.compare", "auth.change-needs-current"} {
		if !of[id] {
			t.Errorf("%s has no control", id)
		}
	}
}
