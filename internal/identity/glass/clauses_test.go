package glass_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/identity/glass"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

func (w *world) control(id string) clause.Control {
	w.t.Helper()
	for _, c := range w.svc.Controls(w.door) {
		if c.ID == id {
			return c
		}
	}
	w.t.Fatalf("no control %s", id)
	return clause.Control{}
}

// ran is the outcome and what was said.
func (w *world) ran(id string) (clause.Outcome, string) {
	w.t.Helper()
	r, err := w.control(id).Run(w.t.Context())
	if err != nil {
		return clause.Unknown, err.Error()
	}
	return r.Outcome, r.Summary
}

func (w *world) expect(id string, want clause.Outcome, says string) {
	w.t.Helper()
	if got, summary := w.ran(id); got != want || !strings.Contains(summary, says) {
		w.t.Errorf("%s: %s (%s), want %s with %q", id, got, summary, want, says)
	}
}

// While no shares are out nothing is owed; shares that are not tried in time turn red.
// breaks: access.least-privilege
func TestDrillIsLookedAt(t *testing.T) {
	w := open(t)
	const id = "identity.glass-drill"
	w.expect(id, clause.Pass, "writ break-glass prepare")
	shares := w.live()
	w.expect(id, clause.Pass, "due within 180 days: writ break-glass drill")
	w.kit.Clock.Advance(180 * 24 * time.Hour)
	w.expect(id, clause.Fail, "never tried")
	g := w.give(glass.Give{Share: shares["ana"], Drill: true})
	w.give(glass.Give{Share: shares["eve"], Code: g.Code})
	w.expect(id, clause.Pass, "0 days ago")
	w.kit.Clock.Advance(180*24*time.Hour - time.Second)
	w.expect(id, clause.Pass, "179 days ago")
	w.kit.Clock.Advance(time.Second)
	w.expect(id, clause.Fail, "180 days ago")
	w.setRules(map[string]any{"drill": 365 * 24 * time.Hour})
	w.expect(id, clause.Pass, "due every 365")
}

// breaks: access.least-privilege
func TestHoldersAreLookedAt(t *testing.T) {
	w := open(t)
	const id = "identity.glass-holders"
	w.expect(id, clause.Pass, "writ break-glass prepare")
	w.live()
	w.expect(id, clause.Pass, "of 3 holders of set 1 3 can give a share, 2 are needed, 0 have left")
	w.setRules(map[string]any{"shares": int64(3)})
	w.expect(id, clause.Fail, "3 are needed")
	w.setRules(nil)
	if err := w.people.Disable(t.Context(), operator, "eve"); err != nil {
		t.Fatal(err)
	}
	w.expect(id, clause.Fail, "1 have left")
	w = open(t)
	shares := w.live()
	e := w.in(shares)
	if err := w.svc.EndUse(t.Context(), w.ana(), e.Use); err != nil {
		t.Fatal(err)
	}
	w.expect(id, clause.Fail, "it was used")
}

// The canary passes on the real server, twice in a row, and leaves nothing behind.
func TestCanaryPasses(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		w.live()
		for range 2 {
			w.expect("identity.glass-canary", clause.Pass, "opened nothing")
		}
		w.setRules(map[string]any{"shares": int64(4)})
		w.expect("identity.glass-canary", clause.Pass, "opened nothing")
		w.setRules(nil)
		if n := w.one(`SELECT (SELECT COUNT(*) FROM identity_glass_set) || ' ' || (SELECT COUNT(*) FROM identity_glass_use) || ' ' || (SELECT COUNT(*) FROM identity_glass_share) || ' ' || (SELECT COUNT(*) FROM identity_person)`); n != "1 0 3 5" {
			t.Errorf("left behind: %s", n)
		}
		if got := w.post.to("identity.glass-asked"); len(got) != 0 {
			t.Errorf("owners were alarmed: %v", got)
		}
		w.expect("identity.glass-drill", clause.Pass, "not tried yet") // a canary's drill is nobody's
	}, tables...)
}

// breaks: access.least-privilege
func TestCanarySees(t *testing.T) {
	lets := func(when func(in map[string]any, n int) bool) func(http.Handler) http.Handler {
		n := 0
		return func(real http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/-/api/v1/break-glass" {
					real.ServeHTTP(w, r)
					return
				}
				n++
				var in map[string]any
				body := http.MaxBytesReader(w, r.Body, 1<<20)
				if json.NewDecoder(body).Decode(&in) == nil && when(in, n) {
					w.Header().Set("Content-Type", "application/json")
					_ = json.NewEncoder(w).Encode(map[string]any{"code": "AAAA-AAAA", "given": 2, "need": 2, "done": true})
					return
				}
				again, err := json.Marshal(in)
				if err != nil {
					panic(err)
				}
				fwd, err := http.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), strings.NewReader(string(again)))
				if err != nil {
					panic(err)
				}
				fwd.Header, fwd.RemoteAddr, fwd.Host = r.Header, r.RemoteAddr, r.Host
				real.ServeHTTP(w, fwd)
			})
		}
	}
	for name, c := range map[string]struct {
		n    int // which of the canary's shares is let through
		says string
	}{"a foreign share begins": {1, "begin with a foreign share"}, "one share is enough": {2, "begin with one share"}, "one holder counts twice": {3, "give the same share again"},
		"a foreign share joins": {4, "go on with a foreign share"}, "any code will do": {5, "join an opening that nobody began"}} {
		w := open(t)
		f := lets(func(_ map[string]any, n int) bool { return n == c.n })
		w.front.Store(&f)
		if got, says := w.ran("identity.glass-canary"); got != clause.Fail || !strings.Contains(says, c.says) {
			t.Errorf("%s: %s %s", name, got, says)
		}
	}
}

// The replay over the journal: a real opening passes; a grant with a share too few, one
// that nobody was told of, a session without a grant and an act after the end do not.
// breaks: access.least-privilege
func TestReplay(t *testing.T) {
	const id = "identity.glass-sessions"
	as := func(use string) actor.Actor {
		return actor.Actor{Kind: actor.BreakGlass, ID: use, Session: use, Via: "https"}
	}
	good := func(w *world) string {
		e := w.in(w.live())
		return e.Use
	}
	for name, c := range map[string]struct {
		spoil func(w *world, use string)
		want  clause.Outcome
		says  string
	}{
		"a real one": {func(*world, string) {}, clause.Pass, "of 1 times"},
		"a share too few": {func(w *world, _ string) {
			w.write(as("x"), glass.ShareGiven{Use: "x", Set: "s", Place: 1, Holder: w.ids["ana"]})
			w.write(as("x"), glass.ShareGiven{Use: "x", Set: "s", Place: 1, Holder: w.ids["ana"]})
			w.write(as("x"), glass.Granted{Use: "x", Set: "s", Need: 2, Letters: 2})
		}, clause.Fail, "has 1 shares, and 2 are needed"},
		"nobody was told": {func(w *world, _ string) {
			w.write(as("x"), glass.ShareGiven{Use: "x", Set: "s", Place: 1, Holder: w.ids["ana"]})
			w.write(as("x"), glass.ShareGiven{Use: "x", Set: "s", Place: 2, Holder: w.ids["eve"]})
			w.write(as("x"), glass.Granted{Use: "x", Set: "s", Need: 2})
		}, clause.Fail, "no owner was told"},
		"a session before its grant": {func(w *world, _ string) {
			w.write(as("x"), glass.ShareGiven{Use: "x", Set: "s", Place: 1, Holder: w.ids["ana"]})
			w.write(as("x"), glass.ShareGiven{Use: "x", Set: "s", Place: 2, Holder: w.ids["eve"]})
			w.write(as("x"), glass.Used{Use: "x"})
			w.write(as("x"), glass.Granted{Use: "x", Set: "s", Need: 2, Letters: 1})
		}, clause.Fail, "began before it"},
		"a session without a grant": {func(w *world, use string) {
			w.exec(`UPDATE identity_glass_use SET id = 'smuggled' WHERE id = $1`, use)
		}, clause.Fail, "a session without a grant"},
		"an act after its time": {func(w *world, use string) {
			w.kit.Clock.Advance(32 * time.Minute)
			w.write(as(use), glass.SetEnded{Set: "s", Cause: "late"})
		}, clause.Fail, "after its time"},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			w.expect(id, clause.Pass, "never broken")
			use := good(w)
			w.exec(`DELETE FROM identity_glass_given WHERE use_id = $1`, use)
			c.spoil(w, use)
			w.kit.Clock.Advance(2 * time.Minute)
			w.numbered()
			w.expect(id, c.want, c.says)
		})
	}
}

// write puts an entry into the ledger that nothing stands behind.
func (w *world) write(who actor.Actor, ev ledger.Event) ledger.Receipt {
	w.t.Helper()
	rc, err := w.kit.DB.Change(w.t.Context(), who, func(*ledger.Tx) (ledger.Event, error) { return ev, nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return rc
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	err := w.kit.DB.Quiet(w.t.Context(), ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(w.t.Context(), query, args...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// numbered lets the journal take in all that was recorded.
func (w *world) numbered() {
	w.t.Helper()
	rc := w.write(actor.System("test"), glass.SetEnded{Set: "last", Cause: "test"})
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.journal.Run(ctx) }()
	if _, err := w.journal.Wait(w.t.Context(), rc.ID); err != nil {
		w.t.Error(err)
	}
	stop()
	<-done
}
