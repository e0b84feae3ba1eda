package incident_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/breach"
	"writ/internal/ledger/ledgertest"
)

// application knows whose its records are.
type application struct {
	mu     sync.Mutex
	owners map[string][]incident.Owner
	down   int // answers that do not come
	ids    []string
	pages  []int
}

func (a *application) Whose(_ context.Context, id string, records []string) (map[string][]incident.Owner, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids, a.pages = append(a.ids, id), append(a.pages, len(records))
	if a.down > 0 {
		a.down--
		return nil, fault.Newf(fault.Unavailable, "not_answered", "It is away.")
	}
	out := map[string][]incident.Owner{}
	for _, r := range records {
		if o, ok := a.owners[r]; ok {
			out[r] = o
		}
	}
	return out, nil
}

// Records become people by the application's word as it was when the set was frozen; those who
// are gone stay in the count, and what it did not say is stated.
func TestWhoseRecordsAre(t *testing.T) { // breaks: inc.breach-scope, inc.breach-notify
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		app := &application{owners: map[string][]incident.Owner{"t1/contact=1": {{Subject: "person/x-zoe", Name: "Zoe Zimt", Email: "zoe@elsewhere.example"}, {Subject: "person/ann"}}, "t1/contact=2": {}}}
		w := within(t, kit, nil, func(d *incident.Deps) { d.Real.Resolver = app })
		ctx, now := t.Context(), kit.Clock.Now()
		w.breach.people = []string{"team/t1", "person/ann", "person/bob"}
		w.breach.records = []breach.Record{{At: now.Add(-time.Hour), Who: "thief", Staff: true, Team: "t1", Route: "/contacts/", Method: "GET", Status: 200, Out: 9, Resource: []string{"contact=1", "contact=2", "contact=3"}}}
		for i := range 600 {
			w.breach.records = append(w.breach.records, breach.Record{At: now.Add(-time.Hour), Who: "thief", Staff: true, Team: "t1", Route: "/contacts/", Method: "GET", Status: 200, Out: 9, Resource: []string{fmt.Sprintf("note=%d", i)}})
			app.owners[fmt.Sprintf("t1/note=%d", i)] = []incident.Owner{{Subject: "person/ann"}}
		}
		w.breached()
		w.step("eve", "I-1", "confirm", "")
		data := map[string][]string{"/contacts/": {breach.Contact}}
		app.down = 1
		if _, err := w.svc.FreezeScope(ctx, w.as("eve"), "I-1", incident.NewScope{Selector: w.selector(), Data: data}); fault.KindOf(err) != fault.Unavailable || w.exposure("I-1").Scope.Version != 0 {
			t.Fatalf("it does not answer, and there is a set: %v", err)
		}
		w.ok(w.svc.FreezeScope(ctx, w.as("eve"), "I-1", incident.NewScope{Selector: w.selector(), Data: data}))
		if !slices.Equal(app.pages, []int{500, 500, 103}) || app.ids[0] != app.ids[1] || app.ids[1] == app.ids[2] {
			t.Errorf("asked for %v as %.8q", app.pages, app.ids)
		}
		x := w.exposure("I-1").Scope
		if x.Gone != 1 || x.Unasked != 1 || !strings.Contains(strings.Join(x.Unknown(), " "), "did not say whose 1 of the records") {
			t.Errorf("%d gone, %d not said: %v", x.Gone, x.Unasked, x.Unknown())
		}
		w.signs("I-1", "scope")
		if w.free("I-1", "scope") {
			t.Error("what it did not say need not be stated")
		}
		w.ok(w.svc.FreezeScope(ctx, w.as("eve"), "I-1", incident.NewScope{Selector: w.selector(), Data: data, Statement: "Contact 3 was a test of ours and is about nobody."}))
		w.signs("I-1", "scope")
		w.step("eve", "I-1", "scope", "")
		app.owners["t1/contact=1"][0].Email = "other@elsewhere.example" // by then
		var b bytes.Buffer
		if err := w.svc.BundleScope(ctx, w.as("eve"), "I-1", 2, &b); err != nil {
			t.Fatal(err)
		}
		if r, wrong, err := breach.Check(ctx, bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil || len(wrong) > 0 || r.Hash != w.exposure("I-1").Scope.Hash {
			t.Errorf("offline: %v %v", wrong, err)
		}
		if bytes.Contains(b.Bytes(), []byte("zoe@")) {
			t.Error("the bundle names somebody")
		}
		w.notifying("I-1")
		w.sendAll()
		got := []string{}
		for to, n := range w.breach.sent {
			got = append(got, fmt.Sprint(to, " ", n))
		}
		slices.Sort(got)
		if want := []string{"admin-t1@example.test 1", "ann@example.test 1", "zoe@elsewhere.example 1"}; !slices.Equal(got, want) {
			t.Errorf("letters to %v, want %v", got, want)
		}
	}, tables...)
}

// While the application is down the set is computed without it, and that is stated.
func TestWhoseIsNotAsked(t *testing.T) { // breaks: inc.breach-scope
	app := &application{down: 9}
	w := within(t, ledgertest.Open(t, tables...), nil, func(d *incident.Deps) { d.Real.Resolver = app })
	now := w.kit.Clock.Now()
	w.breach.records = []breach.Record{{At: now.Add(-time.Hour), Who: "thief", Staff: true, Team: "t1", Route: "/contacts/", Method: "GET", Status: 200, Out: 9, Resource: []string{"contact=1"}}}
	w.breached()
	w.step("eve", "I-1", "confirm", "")
	in := incident.NewScope{Selector: w.selector(), Data: map[string][]string{"/contacts/": {breach.Contact}}, Unasked: true}
	w.ok(w.svc.FreezeScope(t.Context(), w.as("eve"), "I-1", in))
	if x := w.exposure("I-1").Scope; x.Unasked != 1 || !x.Must() || len(app.ids) != 0 {
		t.Errorf("%d not said, asked %d times", x.Unasked, len(app.ids))
	}
	for name, bad := range map[string][]incident.Owner{"no person": {{Subject: "team/t1"}}, "a long name": {{Subject: "person/x-a", Name: strings.Repeat("a", 300)}}} {
		app.down, app.owners, in.Unasked = 0, map[string][]incident.Owner{"t1/contact=1": bad}, false
		if _, err := w.svc.FreezeScope(t.Context(), w.as("eve"), "I-1", in); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}
