package trail_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/ledger/ledgertest"
)

// A scan gives every record of a time, and tells of each segment that is missing, cut or
// altered: who computes from it knows what nobody can know.
func TestScanTellsOfHoles(t *testing.T) { // breaks: inc.breach-scope
	both(t, func(t *testing.T, w *world) {
		begin := w.kit.Clock.Now()
		for range 3 {
			for range 5 {
				w.ask(person("ana"), "GET", "/contacts/", 200, "contact=17")
			}
			w.must(w.Close(t.Context()))
			w.kit.Clock.Advance(time.Minute)
		}
		w.ask(person("ben"), "GET", "/contacts/", 200) // still open
		scan := func() (n int, parts []trail.Part) {
			parts, _, err := w.Scan(t.Context(), actor.System("incident"), begin, w.kit.Clock.Now(), func(f *trail.Found) error {
				if f.Route == "/contacts/" {
					n++
				}
				return nil
			})
			w.must(err)
			return n, parts
		}
		n, parts := scan()
		if n != 16 || len(parts) != 4 {
			t.Fatalf("%d records in %d segments", n, len(parts))
		}
		for _, p := range parts {
			if p.Broken != "" || p.Read != p.Count || p.SHA256 == "" || p.From.IsZero() {
				t.Errorf("%+v", p)
			}
		}
		name := func(i int) string { return w.dir + "/" + parts[i].ID + ".trail" }
		w.must(os.Remove(name(0)))
		b, err := os.ReadFile(name(1))
		w.must(err)
		w.must(os.WriteFile(name(1), b[:len(b)-3], 0o600))
		b, err = os.ReadFile(name(2))
		w.must(err)
		b[len(b)/2] ^= 1
		w.must(os.WriteFile(name(2), b, 0o600))
		n, parts = scan()
		if parts[0].Broken != "is missing" || parts[1].Broken != "was altered" || parts[2].Broken != "was altered" || parts[3].Broken != "" || n > 6 {
			t.Errorf("%d records, %+v", n, parts)
		}
		if e := w.kit.Recorded("gateway.records-searched"); len(e) != 2 {
			t.Errorf("that somebody looked is recorded %d times", len(e))
		}
		stop := errors.New("stop")
		if _, _, err := w.Scan(t.Context(), actor.System("incident"), begin, w.kit.Clock.Now(), func(*trail.Found) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("who listens does not end it: %v", err)
		}
	})
}

// While a legal hold stands, or nobody can say whether one does, no segment and no key of
// addresses goes.
func TestHoldKeepsRecords(t *testing.T) { // breaks: inc.breach-research
	both(t, func(t *testing.T, w *world) {
		w.ask(person("ana"), "GET", "/contacts/", 200)
		w.must(w.Close(t.Context()))
		w.kit.Clock.Advance(100 * 24 * time.Hour)
		held, sick := true, errors.New("no database")
		w.Held = func(context.Context) (bool, error) { return held, sick }
		if err := w.Sweep(t.Context()); !errors.Is(err, sick) || len(w.files()) != 1 {
			t.Errorf("%v, %d files", err, len(w.files()))
		}
		sick = nil
		w.must(w.Sweep(t.Context()))
		if len(w.files()) != 1 || len(w.kit.Recorded("gateway.records-expired")) != 0 {
			t.Error("what is held went")
		}
		held = false
		w.must(w.Sweep(t.Context()))
		if len(w.files()) != 0 {
			t.Error("the hold is over, and it stays")
		}
	})
}

// BenchmarkScan reads records of closed segments, as a breach and as a back-test of a rule do: of a
// busy server, whose chunks are full, and of a quiet one, with ten records in each.
func BenchmarkScan(b *testing.B) {
	for _, c := range []struct {
		name             string
		records, inChunk int
	}{{"full", 300_000, 8192}, {"ten", 30_000, 10}} {
		w := with(b, ledgertest.Open(b, gateway.Schema()))
		begin := w.kit.Clock.Now()
		for i := range c.records {
			w.ask(person(fmt.Sprint("p", i%5000)), "GET", "/contacts/", 200, fmt.Sprint("contact=", i%9000))
			if i%c.inChunk == c.inChunk-1 {
				w.must(w.Flush(b.Context()))
			}
		}
		w.must(w.Close(b.Context()))
		for name, read := range map[string]func() (int, error){
			"scan": func() (n int, err error) {
				_, _, err = w.Scan(b.Context(), actor.System("incident"), begin, w.kit.Clock.Now(), func(*trail.Found) error { n++; return nil })
				return n, err
			},
			"since": func() (n int, err error) {
				err = w.Since(b.Context(), actor.System("watch"), "a back-test", begin, func(fs []trail.Found) error { n += len(fs); return nil })
				return n, err
			},
		} {
			b.Run(c.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if n, err := read(); err != nil || n != c.records {
						b.Fatal(n, err)
					}
				}
				b.ReportMetric(float64(c.records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

// bursting keys are a fault of the program.
type bursting struct{ trail.Keys }

func (bursting) ByID(context.Context, string) (envelope.Key, error) { panic("a nil map") }

// A fault of the program while a segment is opened is the error of that read, and ends no server;
// the segment itself is as it was.
func TestScanSurvivesAPanic(t *testing.T) { // breaks: inc.breach-scope
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	begin := w.kit.Clock.Now()
	w.ask(person("ana"), "GET", "/contacts/", 200)
	w.must(w.Close(t.Context()))
	scan := func() error {
		_, _, err := w.Scan(t.Context(), actor.System("incident"), begin, w.kit.Clock.Now(), func(*trail.Found) error { return nil })
		return err
	}
	keys := w.Keys
	w.Keys = bursting{keys}
	if err := scan(); err == nil || !strings.Contains(err.Error(), "panic: a nil map") {
		t.Errorf("%v", err)
	}
	w.Keys = keys
	w.must(scan())
}
