package identity_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"

	"writ/internal/identity"
)

// came is the answer to a request with a session's token: its status, the roles that act,
// and the new token it brings.
type came struct {
	status int
	fresh  string
}

// with asks for the list of loans, which auditors and owners may read.
func (w *world) asks(token string) came {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.srv.URL+"/-/api/v1/grants", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: "__Host-writ", Value: token})
	res, err := w.srv.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	c := came{status: res.StatusCode}
	for _, k := range res.Cookies() {
		if k.Name == "__Host-writ" {
			c.fresh = k.Value
		}
	}
	return c
}

func both(t *testing.T, f func(t *testing.T, w *world)) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) { f(t, with(t, kit)) }, jobs.Schema(), identity.Schema())
}

var auditor = map[string]any{"person": "ben", "role": "auditor", "for": "2h", "reason": "the audit of spring"}

// A role that is gained counts from the next request on, under another token. The former
// one never has the role, and is dead when what was under way has been answered.
//
// breaks: auth.best-practice
func TestRoleGainRenewsTheToken(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		_, ana := w.staffer("ana", "owner")
		_, b := w.staffer("ben", "support")
		before := b.session()
		if got := w.asks(before); got.status != 403 || got.fresh != "" {
			t.Fatalf("without a loan: %+v", got)
		}
		ana.api(201, "POST", "grants", auditor)
		if who := w.who(b); who.Has("auditor") {
			t.Error("the role counts under the token from before the loan")
		}
		got := w.asks(before)
		if got.status != 200 || got.fresh == "" || got.fresh == before {
			t.Fatalf("the next request: %+v", got)
		}
		if again := w.asks(got.fresh); again.status != 200 || again.fresh != "" {
			t.Errorf("with the new token: %+v", again)
		}
		if late := w.asks(before); late.status != 403 || late.fresh != "" {
			t.Errorf("the former token, while requests are under way: %+v, want what it stood for before", late)
		}
		w.kit.Clock.Advance(16 * time.Second)
		if late := w.asks(before); late.status != 401 {
			t.Errorf("the former token afterwards: %+v, want that it is dead", late)
		}
		if again := w.asks(got.fresh); again.status != 200 {
			t.Errorf("the new token afterwards: %+v", again)
		}
		if e := w.kit.Recorded("identity.session-renewed"); len(e) != 1 {
			t.Errorf("%d renewals are recorded", len(e))
		}
		// The same role once more is another gain.
		for _, g := range ana.api(200, "GET", "grants", nil)["grants"].([]any) {
			ana.api(204, "DELETE", "grants/"+g.(map[string]any)["id"].(string), nil)
		}
		if lost := w.asks(got.fresh); lost.status != 403 || lost.fresh != "" {
			t.Errorf("after the loan was taken back: %+v", lost)
		}
		ana.api(201, "POST", "grants", auditor)
		if anew := w.asks(got.fresh); anew.status != 200 || anew.fresh == "" {
			t.Errorf("lent once more: %+v", anew)
		}
	})
}

// The requests that a browser sends at one moment bring one new token, and none signs
// the browser out.
//
// breaks: auth.best-practice
func TestRoleGainAmidRequests(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		_, ana := w.staffer("ana", "owner")
		_, b := w.staffer("ben", "support")
		before := b.session()
		ana.api(201, "POST", "grants", auditor)
		all := make([]came, 12)
		var wg sync.WaitGroup
		for i := range all {
			wg.Go(func() { all[i] = w.asks(before) })
		}
		wg.Wait()
		var fresh []string
		for _, c := range all {
			if c.status == 401 {
				t.Error("a request that was under way was signed out")
			}
			if c.fresh != "" {
				fresh = append(fresh, c.fresh)
			}
		}
		if len(fresh) != 1 {
			t.Fatalf("%d new tokens came of requests at one moment, want one", len(fresh))
		}
		if got := w.asks(fresh[0]); got.status != 200 {
			t.Errorf("with the new token: %+v", got)
		}
	})
}

// Whichever node a browser comes to gives it the new token, and every other takes that at once.
//
// breaks: auth.best-practice
func TestRoleGainOnSeveralNodes(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		if kit.DB.Engine() != "postgres" {
			t.Skip("one process alone serves a ledger in a file")
		}
		one := with(t, kit)
		_, ana := one.staffer("ana", "owner")
		_, b := one.staffer("ben", "support")
		two := with(t, kit)
		before := b.session()
		ana.api(201, "POST", "grants", auditor)
		two.housekeeping() // it has heard of the loan
		got := two.asks(before)
		if got.status != 200 || got.fresh == "" {
			t.Fatalf("the other node: %+v", got)
		}
		if again := one.asks(got.fresh); again.status != 200 || again.fresh != "" { // it has heard of nothing yet
			t.Errorf("the first node: %+v", again)
		}
		if late := one.asks(before); late.status != 403 {
			t.Errorf("the former token on the first node: %+v", late)
		}
		kit.Clock.Advance(16 * time.Second)
		for _, w := range []*world{one, two} {
			if late := w.asks(before); late.status != 401 {
				t.Errorf("the former token afterwards: %+v", late)
			}
		}
	}, jobs.Schema(), identity.Schema())
}

// Pages bring the new token too, and the handler sees it: the account page shows what the
// person may do now.
func TestRoleGainOnAPage(t *testing.T) {
	w := open(t)
	_, ana := w.staffer("ana", "owner")
	_, b := w.staffer("ben", "support")
	before := b.session()
	ana.api(201, "POST", "grants", auditor)
	me := b.api(200, "GET", "session", nil)
	roles, _ := me["team"].(map[string]any)["roles"].([]any)
	if !slices.Contains(roles, any("auditor")) {
		t.Errorf("the request that renews says %v", roles)
	}
	if b.session() == before {
		t.Error("the browser has the former token")
	}
	if who := w.who(b); !w.access.May(who, access.RightsRead) {
		t.Errorf("afterwards %+v acts", who)
	}
}
