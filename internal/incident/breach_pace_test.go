package incident_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"writ/internal/incident"
	"writ/internal/incident/breach"
)

// No host gets more than its pace in any minute, but for the one that it begins with; a letter
// that is put off is put off once; a host of which there is little waits for none of this.
func TestPaceOfHosts(t *testing.T) { // breaks: inc.breach-notify
	const most = 60
	at := incident.Paced(most)
	begin := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	type waiting struct {
		host string
		due  time.Time
		off  int
	}
	var queue []waiting
	for range 1000 {
		queue = append(queue, waiting{host: "many.example", due: begin})
	}
	queue = append(queue, waiting{host: "few.example", due: begin})
	sent := map[string][]time.Time{}
	for now := begin; now.Before(begin.Add(time.Hour)); now = now.Add(time.Second) {
		rand.Shuffle(len(queue), func(i, j int) { queue[i], queue[j] = queue[j], queue[i] })
		var rest []waiting
		for _, w := range queue {
			if w.due.After(now) {
				rest = append(rest, w)
				continue
			}
			if until := at(w.host, now); until.After(now) {
				w.due, w.off = until, w.off+1
				if w.off > 3 {
					t.Fatalf("a letter was put off %d times", w.off)
				}
				rest = append(rest, w)
				continue
			}
			sent[w.host] = append(sent[w.host], now)
		}
		queue = rest
	}
	if len(queue) != 0 || len(sent["few.example"]) != 1 || !sent["few.example"][0].Equal(begin) {
		t.Fatalf("%d wait still, and the one of another host left at %v", len(queue), sent["few.example"])
	}
	for i, first := range sent["many.example"] {
		n := 0
		for _, s := range sent["many.example"][i:] {
			if s.Before(first.Add(time.Minute)) {
				n++
			}
		}
		if n > 2*most || first.After(begin.Add(2*time.Minute)) && n > most+2 {
			t.Fatalf("%d letters in the minute from %s", n, first.Sub(begin))
		}
	}
	if last := sent["many.example"][999].Sub(begin); last > 17*time.Minute {
		t.Errorf("the last one left after %s", last)
	}
}

// Letters about a breach keep the pace of each host, and those of others go out meanwhile; an
// address that letters came back from gets none: its person is told in another way.
func TestLettersKeepThePace(t *testing.T) { // breaks: inc.breach-notify
	w := open(t)
	w.svc.PerHost = 3
	w.svc.Real.Reach = unreachable{"p5@example.test"}
	now := w.kit.Clock.Now()
	for i := range 40 {
		w.breach.records = append(w.breach.records, breach.Record{At: now.Add(-time.Hour), Who: "thief", Staff: true, For: fmt.Sprintf("p%d", i), Route: "/contacts/", Method: "GET", Status: 200, Out: 9})
	}
	w.breached()
	w.scoped("I-1")
	w.notifying("I-1")
	w.sendAll()
	got := w.exposure("I-1").Letters
	if got["accepted"] > 3 || got["accepted"] == 0 || got["accepted"]+got["unreachable"]+got["queued"] != 40 {
		t.Fatalf("in the first minute: %v", got)
	}
	before := got["accepted"]
	for range 20 {
		w.kit.Clock.Advance(time.Minute)
		w.sendAll()
		got = w.exposure("I-1").Letters
		if n := got["accepted"] - before; n > 6 {
			t.Fatalf("%d letters in a minute", n)
		}
		before = got["accepted"]
	}
	if !maps.Equal(got, map[string]int64{"accepted": 39, "unreachable": 1}) || w.breach.sent["p5@example.test"] != 0 {
		t.Errorf("%v", got)
	}
	if owed, err := w.svc.Owed(t.Context(), "p5"); err != nil || !owed {
		t.Errorf("whom letters do not reach is not told at sign-in: %v", err)
	}
}

// unreachable is an address that letters came back from.
type unreachable struct{ address string }

func (u unreachable) Reaches(_ context.Context, address string) (bool, error) {
	return address != u.address, nil
}
