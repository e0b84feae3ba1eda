package notify_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/notify"
	"writ/internal/secret"
)

// named makes a channel of that name, and a message for it.
func (w *world) named(name, kind, url string) notify.Message {
	w.t.Helper()
	if _, _, err := w.s.AddChannel(w.t.Context(), actor.System("test"), name, kind, secret.NewText(url)); err != nil {
		w.t.Fatal(err)
	}
	m := msg("alarm/" + name)
	m.Channel = name
	return m
}

// However many channels of the company hang, and with however much, another one is told at once,
// and so is whoever gets a letter.
func TestHangingChannelsHoldNobodyUp(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		let := make(chan struct{})
		var ms []notify.Message
		var hooks []*hook
		for i := range 6 {
			h := newHook(w.t, func(http.ResponseWriter, int) { <-let })
			hooks = append(hooks, h)
			m := w.named(fmt.Sprintf("hangs%d", i), notify.Webhook, h.URL)
			for n := range 5 {
				m.Key, m.About = fmt.Sprint(n), fmt.Sprintf("alarm/hangs%d-%d", i, n)
				ms = append(ms, m)
			}
		}
		good := newHook(w.t, func(http.ResponseWriter, int) {})
		w.queue(ms...)
		eventually(w.t, "all hang", func() bool {
			w.jobs.Nudge()
			return !slices.ContainsFunc(hooks, func(h *hook) bool { return h.count() == 0 })
		})
		w.queue(w.named("good", notify.Webhook, good.URL), letterTo("ana"))
		w.until("alarm/good", notify.Accepted, 0)
		w.until("letter/ana", notify.Accepted, 0)
		close(let)
		w.settled()
	})
}

// A peer that does not answer is left alone after five tries in vain, and one try looks whether
// it is back; what waited counts no tries, and arrives.
func TestPeerRests(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		var away atomic.Bool
		away.Store(true)
		h := newHook(w.t, func(rw http.ResponseWriter, _ int) {
			if away.Load() {
				rw.WriteHeader(http.StatusBadGateway)
			}
		})
		m := w.named("ops", notify.Webhook, h.URL)
		var ms []notify.Message
		for n := range 12 {
			m.Key, m.About = fmt.Sprint(n), fmt.Sprintf("alarm/%d", n)
			ms = append(ms, m)
		}
		w.queue(ms...)
		resting := func() (n int, tries int64) {
			ds, err := w.s.Deliveries(w.t.Context(), notify.Query{State: notify.Deferred})
			must(w.t, err)
			for _, d := range ds {
				if tries += d.Tries; d.Code == "peer_rests" {
					n++
				}
			}
			return n, tries
		}
		eventually(w.t, "all wait", func() bool {
			w.jobs.Nudge()
			n, tries := resting()
			return n+int(tries) == 12
		})
		if n := h.count(); n > 6 { // two hands: one may be at it while the fifth fails
			w.t.Errorf("tried %d times", n)
		}
		tried := h.count()
		w.Clock.Advance(30 * time.Second) // some of them are due again, and the peer rests still
		w.queue(func() notify.Message { m.Key, m.About = "late", "alarm/late"; return m }())
		if d := w.until("alarm/late", notify.Deferred, 0); d.Code != "peer_rests" || d.Tries != 0 || len(d.Attempts) != 0 || h.count() != tried {
			w.t.Errorf("%+v, tried %d times", d, h.count()-tried)
		}
		away.Store(false)
		if got := w.settled(); len(got) != 13 || h.count() != tried+13 {
			w.t.Errorf("%v, tried %d times", got, h.count()-tried)
		}
	})
}

// A channel that asks to be left alone is, with everything that waits for it; another one at the
// same host is not.
func TestChannelAsksForRest(t *testing.T) {
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	h := newHook(t, func(rw http.ResponseWriter, n int) {
		if n == 1 {
			rw.Header().Set("Retry-After", "600")
			rw.WriteHeader(http.StatusTooManyRequests)
		}
	})
	m := w.named("busy", notify.Webhook, h.URL+"/busy")
	w.queue(m)
	w.until("alarm/busy", notify.Deferred, 0)
	m.Key, m.About = "second", "alarm/second"
	w.queue(m)
	if d := w.until("alarm/second", notify.Deferred, 0); d.Code != "peer_rests" || d.Due.Sub(w.Clock.Now()) < 9*time.Minute || h.count() != 1 {
		t.Errorf("%+v, asked %d times", d, h.count())
	}
	w.queue(w.named("free", notify.Webhook, h.URL+"/free"))
	w.until("alarm/free", notify.Accepted, 0)
	w.settled()
}

// The pauses between tries are those that were written down, a fifth more or less.
func TestPauses(t *testing.T) {
	for n, want := range []time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, 30 * time.Minute, 30 * time.Minute} {
		least, most := time.Duration(1<<62), time.Duration(0)
		for range 500 {
			d := notify.Pause(int64(n + 1))
			least, most = min(least, d), max(most, d)
		}
		if least < want*8/10 || most > want*12/10 || most-least < want/5 {
			t.Errorf("after try %d: %s to %s, want %s", n+1, least, most, want)
		}
	}
}

// A peer rests longer each time until one answers; a clock that was wrong does not make it rest
// for ever.
func TestRests(t *testing.T) {
	var b notify.Peers
	now := ledgertest.Start
	for range 4 {
		b.Heard(now, "a", notify.Deferred, "no_answer")
	}
	b.Heard(now, "a", notify.Rejected, "404") // that is an answer
	for range 4 {
		b.Heard(now, "a", notify.Unknown, "no_answer")
	}
	b.Heard(now, "b", notify.Deferred, "429")
	if d := b.Wait(now, "a", "b"); d != 0 {
		t.Errorf("after four in vain it rests for %s", d)
	}
	b.Heard(now, "a", notify.Deferred, "503")
	if d := b.Wait(now, "b", "a"); d != time.Minute {
		t.Errorf("after five it rests for %s", d)
	}
	if d := b.Wait(now.Add(-7*time.Hour), "a"); d != 0 {
		t.Errorf("by a clock that was set back it rests for %s", d)
	}
	b = notify.Peers{}
	for range 4 {
		b.Heard(now, "a", notify.Deferred, "no_answer")
	}
	for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		b.Heard(now, "a", notify.Deferred, "503")
		if d := b.Wait(now, "b", "a"); d != want {
			t.Errorf("it rests for %s, want %s", d, want)
		}
		now = now.Add(want)
		if d := b.Wait(now, "a"); d != 0 {
			t.Errorf("after its rest nobody looks for %s", d)
		}
		if d := b.Wait(now, "a"); d <= 0 {
			t.Error("two look at once")
		}
	}
	b.Heard(now, "a", notify.Accepted, "200")
	if d := b.Wait(now, "a"); d != 0 {
		t.Errorf("it answers, and rests for %s", d)
	}
}

// A letter that is no alarm is tried for five days, an alarm for one.
func TestLettersAreTriedLonger(t *testing.T) {
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	w.s.Mail = mailer(t, w.Kit, closedPort(t), 0)
	alarm := letterTo("alarm")
	alarm.Repeat = true
	w.queue(letterTo("ana"), alarm)
	aged := func(about string, by time.Duration) {
		t.Helper()
		w.until(about, notify.Deferred, 0)
		must(t, w.DB.Quiet(t.Context(), ledger.JobState, func(tx *ledger.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE notify_delivery SET made = made - $2 WHERE about = $1`, about, by.Microseconds())
			return err
		}))
	}
	aged("letter/ana", 119*time.Hour)
	aged("letter/alarm", 25*time.Hour)
	if d := w.until("letter/alarm", notify.Rejected, time.Second); d.Code != "too_late" {
		t.Errorf("%+v", d)
	}
	if d := w.until("letter/ana", notify.Deferred, 0); d.Tries > 3 {
		t.Errorf("%+v", d)
	}
	aged("letter/ana", time.Hour)
	if d := w.until("letter/ana", notify.Rejected, time.Second); d.Code != "too_late" {
		t.Errorf("%+v", d)
	}
}
