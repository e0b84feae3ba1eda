package trail_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
)

type world struct {
	*trail.Trail
	t   testing.TB
	kit *ledgertest.Kit
	dir string
}

func with(t testing.TB, kit *ledgertest.Kit) *world {
	w := &world{t: t, kit: kit, dir: t.TempDir()}
	w.again()
	return w
}

// again is a new process on the same folder.
func (w *world) again() {
	w.t.Helper()
	var err error
	w.Trail, err = trail.New(trail.Deps{DB: w.kit.DB, Keys: w.kit.Ring, Access: policytest.Access(w.kit.DB, w.kit.Clock.Now), Dir: w.dir, Now: w.kit.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
}

var auditor = actor.Actor{Kind: actor.Person, ID: "emil", Team: "staff", TeamKind: "staff", Roles: []string{"auditor"}, Session: "s-emil", ACR: 2, Via: "https"}

func person(id string) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: id, Team: "team-" + id, Roles: []string{"member"}, Session: "s-" + id}
}

// ask adds the record of a request.
func (w *world) ask(who actor.Actor, method, route string, status int, resource ...string) {
	w.kit.Clock.Advance(time.Millisecond)
	w.Add(trail.Record{At: w.kit.Clock.Now(), Who: who, Addr: netip.MustParseAddr("198.51.100.77"), Route: route, Method: method, Status: status, Took: 1500 * time.Microsecond, In: 3, Out: 5, Resource: resource})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) find(q trail.Query) []trail.Found {
	w.t.Helper()
	out, err := w.Search(w.t.Context(), auditor, q)
	w.must(err)
	return out
}

func (w *world) files() []string {
	w.t.Helper()
	out, err := filepath.Glob(filepath.Join(w.dir, "*.trail"))
	w.must(err)
	return out
}

func both(t *testing.T, fn func(t *testing.T, w *world)) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) { fn(t, with(t, kit)) }, gateway.Schema())
}

// Records are found by each of their parts, before and after their segment was closed,
// the newest first; and nobody's id or address lies in a file.
func TestSearch(t *testing.T) { // breaks: inc.breach-scope
	both(t, func(t *testing.T, w *world) {
		look := actor.Actor{Kind: actor.Support, ID: "eva", For: "ana", Team: "team-ana", TeamKind: "customer", Roles: []string{"member"}, Session: "look-1"}
		program := actor.Actor{Kind: actor.Machine, ID: "bot", Team: "team-ana", Token: "t-1"}
		begin := w.kit.Clock.Now()
		month, err := w.kit.Ring.Ensure(t.Context(), keyring.Strangers(begin))
		w.must(err)
		for round := range 2 {
			w.ask(person("ana"), "GET", "/contacts/", 200, "contact=17")
			w.ask(person("ben"), "POST", "/contacts/", 201)
			w.ask(look, "GET", "/contacts/", 404, "contact=18")
			w.ask(program, "DELETE", "/api/", 503)
			w.ask(actor.Actor{Kind: actor.Stranger, ID: "n-1"}, "GET", "*", 401)
			if round == 0 {
				w.must(w.Close(t.Context()))
			}
		}
		for what, c := range map[string]struct {
			q    trail.Query
			want int
		}{
			"all":                 {trail.Query{}, 10},
			"who acted or for":    {trail.Query{Person: "ana"}, 4},
			"staff who looked":    {trail.Query{Person: "eva"}, 2},
			"a pseudonym":         {trail.Query{Person: w.find(trail.Query{Person: "ben"})[0].Who}, 2},
			"a program":           {trail.Query{Person: "bot"}, 2},
			"team":                {trail.Query{Team: "team-ana"}, 6},
			"session":             {trail.Query{Session: "look-1"}, 2},
			"token":               {trail.Query{Token: "t-1"}, 2},
			"route":               {trail.Query{Route: "/contacts/"}, 6},
			"method":              {trail.Query{Method: "POST"}, 2},
			"resource":            {trail.Query{Resource: "contact=17"}, 2},
			"status":              {trail.Query{Status: 404}, 2},
			"class of status":     {trail.Query{Status: 4}, 4},
			"by staff":            {trail.Query{Staff: true}, 2},
			"until":               {trail.Query{Until: begin.Add(5 * time.Millisecond)}, 5},
			"from":                {trail.Query{From: begin.Add(6 * time.Millisecond)}, 5},
			"limit":               {trail.Query{Limit: 3}, 3},
			"both and not either": {trail.Query{Team: "team-ana", Status: 200}, 2},
			"none":                {trail.Query{Person: "zoe"}, 0},
			"network":             {trail.Query{Network: "198.51.100.0/24"}, 10},
			"another network":     {trail.Query{Network: "198.51.0.0/16"}, 0},
			"a network's name":    {trail.Query{Network: ledger.Pseudonym(month, "stranger", "198.51.100.0/24")}, 10},
			"another name":        {trail.Query{Network: ledger.Pseudonym(month, "stranger", "203.0.113.0/24")}, 0},
		} {
			if got := w.find(c.q); len(got) != c.want {
				t.Errorf("%s: %d records, want %d", what, len(got), c.want)
			}
		}
		all := w.find(trail.Query{})
		for i := 1; i < len(all); i++ {
			if all[i].At.After(all[i-1].At) {
				t.Errorf("%d is newer than the one before", i)
			}
		}
		if f := all[9]; f.Kind != "person" || f.Route != "/contacts/" || f.Network != "198.51.100.0/24" || f.Address != "198.51.100.77" || f.TookUS != 1500 || f.BytesIn != 3 || f.BytesOut != 5 || strings.Contains(f.Who, "ana") || f.Who == "" {
			t.Errorf("%+v", f)
		}
		for _, name := range w.files() {
			b, err := os.ReadFile(name)
			w.must(err)
			for _, plain := range []string{"ana", "198.51", "contact", "GET"} {
				if bytes.Contains(b, []byte(plain)) {
					t.Errorf("%q is readable in a file", plain)
				}
			}
		}
		es := w.kit.Recorded("gateway.records-searched")
		if e := es[len(es)-1]; e.Fields["of"] == "" {
			t.Errorf("%+v", e)
		}
		for _, e := range es {
			if s := fmt.Sprint(e.Fields); strings.Contains(s, "person ana") || strings.Contains(s, "contact=17") || strings.Contains(s, "198.51") {
				t.Errorf("a search names a person or a record: %v", e.Fields)
			}
		}
	})
}

// Who may not read sees nothing, and bad questions are told so.
func TestSearchRefused(t *testing.T) {
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	w.ask(person("ana"), "GET", "/", 200)
	if _, err := w.Search(t.Context(), person("ana"), trail.Query{}); !errors.Is(err, fault.Denied) {
		t.Errorf("a customer searches: %v", err)
	}
	if err := w.Export(t.Context(), person("ana"), trail.Query{}, trail.JSONLines, &bytes.Buffer{}); !errors.Is(err, fault.Denied) {
		t.Errorf("a customer exports: %v", err)
	}
	for _, q := range []trail.Query{{Limit: 1001}, {Limit: -1}, {Status: 6}, {Status: 700}, {From: w.kit.Clock.Now().Add(time.Hour)}, {Person: strings.Repeat("x", 301)}} {
		if _, err := w.Search(t.Context(), auditor, q); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if err := w.Export(t.Context(), auditor, trail.Query{}, "xml", &bytes.Buffer{}); fault.KindOf(err) != fault.Invalid {
		t.Error(err)
	}
}

// An export has every record, the oldest first, and as OCSF what its schema asks for.
func TestExport(t *testing.T) {
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	for i := range 2500 {
		w.ask(person("ana"), []string{"GET", "PATCH", "BREW"}[i%3], "/x", 200+i%2*300)
		if i%1000 == 0 {
			w.must(w.Close(t.Context()))
		}
	}
	for _, form := range []string{trail.JSONLines, trail.OCSF} {
		var b bytes.Buffer
		w.must(w.Export(t.Context(), auditor, trail.Query{}, form, &b))
		d := json.NewDecoder(&b)
		n, last := 0, 0.0
		for d.More() {
			var v map[string]any
			w.must(d.Decode(&v))
			if n++; form == trail.JSONLines {
				continue
			}
			activity := v["activity_id"].(float64)
			if v["class_uid"] != 4002.0 || v["category_uid"] != 4.0 || v["type_uid"] != 400200+activity || v["metadata"].(map[string]any)["version"] != "1.3.0" || v["time"].(float64) < last ||
				v["http_request"].(map[string]any)["http_method"] == "" || activity != []float64{3, 9, 99}[(n-1)%3] || v["status_id"] != []float64{1, 2}[(n-1)%2] {
				t.Fatalf("%d: %v", n, v)
			}
			last = v["time"].(float64)
		}
		if n != 2500 {
			t.Errorf("%s: %d records", form, n)
		}
	}
	if e := w.kit.Recorded("gateway.records-searched"); len(e) != 2 || e[1].Fields["export"] != "ocsf" {
		t.Errorf("%+v", e)
	}
}

// What a dead process left open is taken up, up to the last whole frame; its hash is an
// entry that says so.
func TestRecovery(t *testing.T) { // breaks: inc.breach-scope
	both(t, func(t *testing.T, w *world) {
		for range 3 {
			w.ask(person("ana"), "GET", "/x", 200)
			w.must(w.Flush(t.Context()))
		}
		name := w.files()[0]
		b, err := os.ReadFile(name)
		w.must(err)
		third := len(b) / 3
		for what, c := range map[string]struct{ cut, want int }{"whole": {0, 3}, "half a frame": {10, 3}, "half a chunk": {third / 2, 2}, "nothing but a head": {len(b) - 2, 0}} {
			w.must(os.WriteFile(name, b[:len(b)-c.cut], 0o600))
			w.exec(`DELETE FROM gateway_segment`)
			w.again()
			w.must(w.Recover(t.Context()))
			if n := len(w.find(trail.Query{})); n != c.want {
				t.Errorf("%s: %d records", what, n)
			}
			if _, _, broken, err := w.Whole(t.Context(), time.Time{}); err != nil || len(broken) > 0 {
				t.Errorf("%s: %v %v", what, broken, err)
			}
			w.must(w.Recover(t.Context())) // twice is once
		}
		es := w.kit.Recorded("gateway.records-sealed")
		if len(es) != 3 || es[0].Fields["recovered"] != true {
			t.Errorf("%d entries, %+v", len(es), es[0])
		}
		b[100] ^= 1
		w.must(os.WriteFile(name, b, 0o600))
		w.exec(`DELETE FROM gateway_segment`)
		w.again()
		w.must(w.Recover(t.Context())) // the server starts, and says so
		if n := len(w.find(trail.Query{})); n != 0 {
			t.Errorf("an altered segment is taken up: %d records", n)
		}
		if e := w.kit.Recorded("gateway.records-damaged"); len(e) != 1 || fmt.Sprint(e[0].Fields["bytes"]) != fmt.Sprint(len(b)) {
			t.Errorf("%+v", e)
		}
		if _, _, broken, err := w.Whole(t.Context(), time.Time{}); err != nil || len(broken) != 1 || !strings.Contains(broken[0], "laid aside") {
			t.Errorf("%v %v", broken, err)
		}
	})
}

func (w *world) exec(q string) {
	w.t.Helper()
	w.must(w.kit.DB.Quiet(w.t.Context(), ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(w.t.Context(), q)
		return err
	}))
}

// An altered, shortened or missing segment is told, and a search in it finds nothing false.
func TestTampering(t *testing.T) { // breaks: inc.breach-scope
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	for range 2 {
		w.ask(person("ana"), "GET", "/x", 200)
		w.must(w.Flush(t.Context()))
	}
	w.must(w.Close(t.Context()))
	name := w.files()[0]
	whole, err := os.ReadFile(name)
	w.must(err)
	half := len(whole) / 2
	for what, b := range map[string][]byte{"a bit": append(append([]byte{}, whole[:half+20]...), append([]byte{whole[half+20] ^ 1}, whole[half+21:]...)...), "the last chunk": whole[:half],
		"two chunks exchanged": append(append([]byte{}, whole[half:]...), whole[:half]...), "more": append(append([]byte{}, whole...), 0)} {
		w.must(os.WriteFile(name, b, 0o600))
		if n, _, broken, err := w.Whole(t.Context(), time.Time{}); err != nil || n != 1 || len(broken) != 1 {
			t.Errorf("%s: %v %v", what, broken, err)
		}
	}
	w.must(os.Remove(name))
	if _, _, broken, err := w.Whole(t.Context(), time.Time{}); err != nil || len(broken) != 1 || !strings.Contains(broken[0], "missing") {
		t.Errorf("%v %v", broken, err)
	}
	if _, err := w.Search(t.Context(), auditor, trail.Query{}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a search where a segment is missing: %v", err)
	}
}

// What the disk does not take waits, up to a bound; what is dropped then is an entry.
func TestDropsAreTold(t *testing.T) { // breaks: inc.breach-scope
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for range 65_536 + 7 {
		w.Add(trail.Record{At: w.kit.Clock.Now(), Route: "/x", Method: "GET", Status: 200})
	}
	if err := w.Flush(stopped); err == nil {
		t.Fatal("it was written")
	}
	if added, lost := w.Counts(); added != 65_536 || lost != 7 {
		t.Errorf("%d added, %d lost", added, lost)
	}
	w.must(w.Flush(t.Context()))
	if e := w.kit.Recorded("gateway.records-dropped"); len(e) != 1 || fmt.Sprint(e[0].Fields["count"]) != "7" {
		t.Errorf("%+v", e)
	}
	if n := len(w.find(trail.Query{Limit: 1000})); n != 1000 {
		t.Errorf("%d records wait no longer", n)
	}
}

// Whole addresses can be read for a week after theirs, and records for ninety days.
func TestAge(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		const day = 24 * time.Hour
		begin := w.kit.Clock.Now()
		w.ask(person("ana"), "GET", "/x", 200)
		w.must(w.Close(t.Context()))
		q := trail.Query{From: begin}
		seen := map[string]int{}
		for range 95 {
			w.kit.Clock.Advance(day)
			w.must(w.Sweep(t.Context()))
			q.Until = w.kit.Clock.Now()
			for _, f := range w.find(q) {
				if seen["record"]++; f.Address != "" {
					seen["address"]++
				}
				if f.Network != "198.51.100.0/24" {
					t.Fatalf("%+v", f)
				}
			}
		}
		if seen["address"] < 7 || seen["address"] > 14 || seen["record"] < 89 || seen["record"] > 90 {
			t.Errorf("seen on so many days: %v", seen)
		}
		es := w.kit.Recorded("gateway.records-expired")
		if len(w.files()) != 0 || len(es) != 2 || !strings.HasPrefix(fmt.Sprint(es[0].Fields["week"]), "gateway.addresses-") || es[1].Fields["week"] != "" {
			t.Errorf("%v %+v", w.files(), es)
		}
	})
}

// A segment is kept until the last of its records is ninety days old, not the first.
func TestNoRecordEndsBeforeItsTime(t *testing.T) { // breaks: inc.breach-scope
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	w.ask(person("ana"), "GET", "/x", 200)
	w.kit.Clock.Advance(8 * time.Minute)
	w.ask(person("ana"), "GET", "/x", 200)
	w.must(w.Close(t.Context()))
	w.kit.Clock.Advance(90*24*time.Hour - 4*time.Minute)
	w.must(w.Sweep(t.Context()))
	if len(w.files()) != 1 {
		t.Error("a record went before its ninety days")
	}
	w.kit.Clock.Advance(5 * time.Minute)
	w.must(w.Sweep(t.Context()))
	if len(w.files()) != 0 {
		t.Error("records stay after their time")
	}
}

// A segment is closed when it is old, and its successor begins.
func TestSegmentsClose(t *testing.T) {
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	for range 4 {
		w.ask(person("ana"), "GET", "/x", 200)
		w.must(w.Flush(t.Context()))
		w.kit.Clock.Advance(6 * time.Minute)
	}
	if n := len(w.kit.Recorded("gateway.records-sealed")); n != 1 || len(w.files()) != 2 {
		t.Errorf("%d closed, %d files", n, len(w.files()))
	}
}

// FuzzRecover takes up any bytes as a segment without harm.
func FuzzRecover(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 1})
	f.Add([]byte{255, 255, 255, 255})
	w := with(f, ledgertest.Open(f, gateway.Schema()))
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(w.dir, "made-up.trail")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = w.Recover(t.Context())                         // refused, or nothing in it
		_, _ = os.Remove(name), os.Remove(name+".damaged") // whichever there is
	})
}

// What is given for a back-test is what lies there, the oldest first, and that somebody looked.
func TestSince(t *testing.T) {
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	w.ask(person("ana"), "GET", "/old/", 200)
	w.must(w.Close(t.Context()))
	w.kit.Clock.Advance(time.Hour)
	from := w.kit.Clock.Now()
	w.ask(person("ana"), "GET", "/new/", 200)
	w.ask(person("ben"), "POST", "/new/", 201)
	var got []string
	w.must(w.Since(t.Context(), auditor, "a back-test", from, func(fs []trail.Found) error {
		for _, f := range fs {
			got = append(got, f.Method+f.Route)
		}
		return nil
	}))
	if fmt.Sprint(got) != "[GET/new/ POST/new/]" {
		t.Error(got)
	}
	if es := w.kit.Recorded("gateway.records-searched"); len(es) != 1 || es[0].Fields["of"] != "a back-test" {
		t.Errorf("%+v", es)
	}
	r := trail.Record{At: from, Who: person("ana"), Addr: netip.MustParseAddr("198.51.100.77"), Route: "/new/", Method: "GET", Status: 200}
	if f := w.Show(&r); f.Who == "" || strings.Contains(f.Who, "ana") || f.Network != "198.51.100.0/24" || f.Address != "" {
		t.Errorf("%+v", f)
	}
}
