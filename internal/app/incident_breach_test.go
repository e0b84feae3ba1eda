package app

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/gateway"
	"writ/internal/gateway/openapi"
	"writ/internal/gateway/trail"
	"writ/internal/incident"
	"writ/internal/incident/breach"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
)

// routesTaken stands for an entry of the gate.
type routesTaken struct{}

func (routesTaken) About() ledger.About {
	return ledger.About{Name: "gateway.routes-adopted", Object: "gateway/routes"}
}

// Segments are held against their entries: one that is whole covers its time, and one that was
// taken away with its row, or altered, is a hole.
func TestCoverageIsTheJournals(t *testing.T) { // breaks: inc.breach-scope
	kit := ledgertest.Open(t, jobs.Schema(), journal.Schema(), gateway.Schema())
	log, now, dir := slog.New(slog.DiscardHandler), kit.Clock.Now, t.TempDir()
	access := policytest.Access(kit.DB, now)
	j, err := journal.New(journal.Deps{DB: kit.DB, Ring: kit.Ring, Jobs: jobs.New(jobs.Deps{DB: kit.DB, Keys: kit.Ring, Now: now, Log: log}), Access: access, Origin: "https://app.example.test", Now: now, Log: log, Revision: func() string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := trail.New(trail.Deps{DB: kit.DB, Keys: kit.Ring, Access: access, Dir: dir, Now: now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- j.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	begin := now()
	for range 3 {
		kit.Clock.Advance(time.Minute)
		tr.Add(trail.Record{At: now(), Addr: netip.MustParseAddr("198.51.100.7"), Route: "/contacts/", Method: "GET", Status: 200})
		if err := tr.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s := seen{db: kit.DB, ring: kit.Ring, trail: tr, journal: j}
	onsets := func(from, until time.Time) (out []string) {
		t.Helper()
		all, err := s.Onsets(t.Context(), from, until)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range all {
			out = append(out, o.Kind)
			if o.Kind == incident.OnsetSetting && o.Entry == 0 {
				t.Error("an entry has no number")
			}
		}
		return out
	}
	cover := func() breach.Coverage {
		t.Helper()
		parts, entry, err := tr.Scan(t.Context(), actor.System("incident"), begin, now(), func(*trail.Found) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		e, err := j.Wait(t.Context(), entry)
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.cover(t.Context(), begin, e.N, parts)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	broken := func(c breach.Coverage) (out []string) {
		for _, x := range c.Spans {
			out = append(out, x.Broken)
		}
		return out
	}
	if c := cover(); strings.Join(broken(c), ",") != ",," {
		t.Fatalf("whole: %q", broken(c))
	}
	for _, at := range []time.Time{begin, now()} { // one entry before what is looked at
		kit.Clock.Set(at)
		if _, err := kit.DB.Change(t.Context(), actor.System("t"), func(*ledger.Tx) (ledger.Event, error) { return routesTaken{}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	c := cover()
	if got := onsets(begin.Add(time.Second), now()); strings.Join(got, ",") != incident.OnsetSetting {
		t.Errorf("what may have damaged data: %v", got)
	}
	for i, x := range c.Spans[:2] {
		name := filepath.Join(dir, x.ID+".trail")
		if i == 0 { // with its row
			if err := kit.DB.Quiet(t.Context(), ledger.Expiry, func(tx *ledger.Tx) error {
				_, err := tx.Exec(t.Context(), `DELETE FROM gateway_segment WHERE id = $1`, x.ID)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := kit.DB.Quiet(t.Context(), ledger.Expiry, func(tx *ledger.Tx) error { // and one that was made to fit its row
			_, err := tx.Exec(t.Context(), `UPDATE gateway_segment SET records = 7 WHERE id = $1`, x.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(broken(cover()), ","); got != "is not on this server,is not the one that the journal knows," {
		t.Errorf("%q", got)
	}
}

// Whom no letter about a breach reached is told above every page; nobody else is, and no program.
func TestWhoIsOwedIsTold(t *testing.T) { // breaks: inc.breach-notify
	ask := func(who actor.Actor) string {
		b, _ := owedBanner(t.Context(), func(_ context.Context, person string) (bool, error) {
			if person == "unasked" {
				return true, errors.New("the database does not answer")
			}
			return person == "hard", nil
		}, who)
		return b.Says
	}
	if got := ask(actor.Actor{Kind: actor.Person, ID: "hard"}); !strings.Contains(got, "Data of yours was exposed") || !strings.Contains(got, "did not reach you") {
		t.Errorf("whom it did not reach reads %q", got)
	}
	for _, who := range []actor.Actor{{Kind: actor.Person, ID: "soft"}, {Kind: actor.Person, ID: "unasked"}, {Kind: actor.Machine, ID: "hard"}, {}} {
		if got := ask(who); got != "" {
			t.Errorf("%s reads %q", who.String(), got)
		}
	}
}

// What a route gives is taken from its fields, else from the tags of their operation; what has
// neither is open, and where nothing is tagged the route is open as a whole.
func TestCategoriesByField(t *testing.T) { // breaks: inc.breach-scope
	field := func(pointer, data string) openapi.Field { return openapi.Field{Pointer: pointer, Data: data} }
	for name, x := range map[string]struct {
		op         gateway.Described
		data, open []string
	}{
		"fields":            {gateway.Described{Name: "GET /x", Fields: []openapi.Field{field("/a", "contact"), field("/b", "none")}}, []string{"contact", "none"}, nil},
		"one is left out":   {gateway.Described{Name: "GET /x", Fields: []openapi.Field{field("/a", "contact"), field("/b", "")}}, []string{"contact"}, []string{"GET /x /b"}},
		"all of a file":     {gateway.Described{Name: "GET /x", Fields: []openapi.Field{field("", ""), field("/b", "special")}}, []string{"special"}, []string{"GET /x"}},
		"tags of operation": {gateway.Described{Name: "GET /x", Tags: []string{"orders", "data:financial"}, Fields: []openapi.Field{field("/b", "")}}, []string{"financial"}, nil},
		"both":              {gateway.Described{Name: "GET /x", Tags: []string{"financial"}, Fields: []openapi.Field{field("/a", "contact"), field("/b", "")}}, []string{"contact", "financial"}, nil},
		"fields say it all": {gateway.Described{Name: "GET /x", Tags: []string{"financial"}, Fields: []openapi.Field{field("/a", "contact")}}, []string{"contact"}, nil},
		"nothing":           {gateway.Described{Name: "GET /x", Tags: []string{"orders"}, Fields: []openapi.Field{field("/a", "")}}, nil, []string{"GET /x"}},
	} {
		data, open := toldOf(x.op)
		if !slices.Equal(data, x.data) || !slices.Equal(open, x.open) {
			t.Errorf("%s: %v %v", name, data, open)
		}
	}
	if words := openapi.DataWords(); !slices.Equal(words, breach.Categories()) {
		t.Errorf("descriptions and sets have other words: %v and %v", words, breach.Categories())
	}
}
