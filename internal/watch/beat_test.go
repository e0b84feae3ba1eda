package watch_test

import (
	"errors"
	"testing"
	"time"

	"writ/internal/watch"
)

func (w *world) beat() {
	w.t.Helper()
	w.Clock.Advance(10 * time.Second)
	must(w.t, w.s.Beat(w.t.Context()))
}

func (w *world) pulse() watch.Pulse {
	w.t.Helper()
	p, err := w.s.PulseFor(w.t.Context(), engineer)
	must(w.t, err)
	return p
}

// A heartbeat goes the way of an alarm to nobody, and leaves no trace but how long it took; three
// that do not arrive are a page.
func TestHeartbeat(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		entries := len(w.Recorded())
		for range 5 {
			w.beat()
			w.on(200 * time.Millisecond)
		}
		if p := w.pulse(); p.Took != 200*time.Millisecond || p.At != w.Clock.Now() || p.Missed != 0 || p.Listens {
			w.t.Errorf("%+v", p)
		}
		if as, err := w.s.Alarms(w.t.Context(), operator, watch.Query{}); err != nil || len(as) != 0 || len(w.Recorded()) != entries {
			w.t.Errorf("heartbeats left %+v: %v, and %d entries", as, err, len(w.Recorded())-entries)
		}
		for range 3 {
			w.beat() // and nobody looks at what is due
			if as := w.alarms("heartbeat"); len(as) != 0 {
				w.t.Errorf("a heartbeat is listed: %+v", as)
			}
		}
		if as := w.alarms("heartbeat-missing"); len(as) != 0 {
			w.t.Errorf("two are missing: %+v", as)
		}
		w.beat()
		w.alarm("heartbeat-missing", watch.Firing)
		w.on(time.Second)
		w.beat()
		w.on(2*time.Minute + time.Second)
		w.alarm("heartbeat-missing", watch.Cleared)
	})
}

// Another node that was there and falls silent is a page; one that stopped in order is not missed.
func TestOtherNode(t *testing.T) { // breaks: mon.alarms
	w := lite(t)
	w.quiet(`INSERT INTO watch_beat (node, at, took) VALUES ('node-2', $1, 3)`, w.Clock.Now().UnixMicro())
	w.beat()
	w.on(0)
	w.beat()
	if as := w.alarms("heartbeat-missing"); len(as) != 0 {
		t.Errorf("after 20 seconds: %+v", as)
	}
	w.on(0)
	w.beat()
	if a := w.alarm("heartbeat-missing", watch.Firing); a.Labels["instance"] != "node-2" {
		t.Errorf("%+v", a)
	}
	w.Clock.Advance(25 * time.Hour) // it does not come back: it is no node any more
	w.on(0)
	w.beat()
	w.on(2*time.Minute + time.Second)
	w.alarm("heartbeat-missing", watch.Cleared)
}

// Somebody outside is told while the heartbeat arrives, and not when it does not; that they could
// not be told is an alarm.
func TestOutside(t *testing.T) { // breaks: mon.alarms
	w := lite(t)
	pings, fails := 0, error(nil)
	w.outside = func(ctxt) error { pings++; return fails }
	w.again()
	w.beat()
	w.on(0)
	w.s.Ping(t.Context())
	if p := w.pulse(); pings != 1 || !p.Listens || p.Heard != w.Clock.Now() || p.Unheard != "" {
		t.Errorf("%d pings: %+v", pings, p)
	}
	for range 4 {
		w.beat()
	}
	w.s.Ping(t.Context())
	if p := w.pulse(); pings != 1 || p.Unheard == "" {
		t.Errorf("%d pings without a heartbeat: %+v", pings, p)
	}
	w.on(0)
	fails = errors.New("no route to host")
	for range 4 {
		w.s.Ping(t.Context())
		w.Clock.Advance(time.Minute)
		must(t, w.s.Sample(t.Context()))
		w.beat()
		w.on(0)
	}
	if a := w.alarm("source-silent", watch.Firing); a.Labels["instance"] != "outside" || w.pulse().Unheard != "no route to host" {
		t.Errorf("%+v", a)
	}
}
