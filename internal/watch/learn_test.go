package watch_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/watch"
	"writ/internal/watch/place"
	"writ/internal/watch/series"
)

// rate is how many requests a minute are usual.
func rate(t time.Time) int64 {
	return int64(100 * (1.3 + math.Sin(2*math.Pi*float64(t.Hour()*60+t.Minute())/(24*60))))
}

// learn plants days of usual requests and learns them, minute by minute, as time goes by.
func (w *world) learn(days int) {
	w.t.Helper()
	begin := w.Clock.Now().Truncate(24 * time.Hour).Add(24 * time.Hour)
	for d := range days {
		from := begin.Add(time.Duration(d) * 24 * time.Hour)
		b := w.s.Series().NewHistory()
		for m := from; m.Before(from.Add(24 * time.Hour)); m = m.Add(time.Minute) {
			b.Add(series.Event{At: m, Meter: "requests", N: rate(m)})
			b.Add(series.Event{At: m, Meter: "entries", N: 20})
		}
		w.plant(b, from, from.Add(24*time.Hour))
		w.Clock.Advance(from.Add(24*time.Hour + 5*time.Minute).Sub(w.Clock.Now()))
		must(w.t, w.s.Compare(w.t.Context()))
	}
}

// plant writes a history in parts, each in its own change.
func (w *world) plant(b *series.Batch, from, until time.Time) {
	w.t.Helper()
	must(w.t, w.DB.Quiet(w.t.Context(), ledger.WatchState, func(tx *ledger.Tx) error {
		if err := w.s.Series().Observe(w.t.Context(), tx, "requests", from, until); err != nil {
			return err
		}
		return w.s.Series().Observe(w.t.Context(), tx, "journal", from, until)
	}))
	for _, part := range b.Split(200) {
		must(w.t, w.DB.Quiet(w.t.Context(), ledger.WatchState, func(tx *ledger.Tx) error {
			_, err := w.s.Series().Write(w.t.Context(), tx, part)
			return err
		}))
	}
}

// minute lets a minute go by with so many requests, and compares it.
func (w *world) minute(n int64, more ...series.Event) {
	w.t.Helper()
	w.Clock.Advance(w.Clock.Now().Truncate(time.Minute).Add(time.Minute).Sub(w.Clock.Now()))
	m := w.Clock.Now()
	b := w.s.Series().NewHistory()
	if n > 0 {
		b.Add(series.Event{At: m, Meter: "requests", N: n})
	}
	b.Add(series.Event{At: m, Meter: "entries", N: 20})
	for _, e := range more {
		e.At = m
		b.Add(e)
	}
	w.plant(b, m, m.Add(time.Minute))
	w.Clock.Advance(time.Minute)
	must(w.t, w.s.Compare(w.t.Context()))
	must(w.t, w.s.Step(w.t.Context()))
}

// looked is all requests over a span until now.
func (w *world) looked(t *testing.T, span time.Duration) watch.Picture {
	t.Helper()
	a, err := w.s.Look(t.Context(), operator, watch.Question{Meter: "requests", From: w.Clock.Now().Add(-span), Until: w.Clock.Now()})
	must(t, err)
	return a
}

// From rows to alarms: a spike that lasts, a drop, what fell silent, and what was accepted; all
// of it again after a restart.
func TestUsual(t *testing.T) { // breaks: mon.abnormal
	w := lite(t)
	w.learn(13)
	for range 5 {
		w.minute(20 * rate(w.Clock.Now()))
	}
	if as := w.alarms(""); len(as) != 0 {
		t.Fatalf("judged after 13 days: %+v", as)
	}
	w.want("watch.usual-learned", clause.Unknown, "learning 13/14 days")
	if a := w.looked(t, 24*time.Hour); len(a.Usual) != 0 {
		t.Errorf("after 13 days this is usual: %+v", a.Usual)
	}
	w.learn(2)
	for _, span := range []time.Duration{2 * time.Hour, 7 * 24 * time.Hour} { // by the minute, and by the hour
		a := w.looked(t, span)
		if len(a.Usual) != len(a.Points) || len(a.Usual) < 10 {
			t.Fatalf("%d points, and what is usual of %d", len(a.Points), len(a.Usual))
		}
		known, off := 0, 0
		for _, e := range a.Usual {
			if !e.Known { // a day was left out
				continue
			}
			known++
			n, mid := a.Step.Minutes(), float64(rate(e.At.Add(a.Step/2)))
			if e.Low > n*mid || e.High < n*mid || e.Expected < 0.7*n*mid-10*n || e.Expected > 1.4*n*mid+10*n {
				off++ // five minutes of another day were planted as no usual ones
			}
		}
		if known < len(a.Usual)/2 || off > known/20 {
			t.Errorf("of %d points %d are known, and %d of them are not as usual", len(a.Usual), known, off)
		}
	}
	w.want("watch.usual-learned", clause.Pass, "compared with the 28 days before")
	for range 6 {
		w.minute(rate(w.Clock.Now()))
	}
	w.minute(20 * rate(w.Clock.Now())) // a moment is none
	w.minute(rate(w.Clock.Now()))
	if as := w.alarms(""); len(as) != 0 {
		t.Fatalf("what is usual raised %+v", as)
	}
	w.again()
	for range 5 {
		w.minute(8 * rate(w.Clock.Now()))
	}
	a := w.alarm("traffic-spike", watch.Firing)
	if a.Labels["instance"] != "requests" || a.Clause != "mon.abnormal" {
		t.Errorf("%+v", a)
	}
	us, g, err := w.s.Usuals(t.Context(), operator)
	must(t, err)
	if us[0].Series != "requests" || us[0].Above <= 1 || us[0].Value < 5*us[0].Expected || !us[0].Known || g.Days != 15 {
		t.Errorf("%+v, %+v", us[0], g)
	}
	for range 40 {
		w.minute(8 * rate(w.Clock.Now()))
	}
	fresh := engineer
	fresh.FactorAt = w.Clock.Now()
	for name, c := range map[string]struct {
		who            actor.Actor
		series, reason string
		kind           error
	}{"no reason": {fresh, "requests", "it grew", fault.Invalid}, "no series": {fresh, "weather", "a great customer came", fault.NotFound}, "no right": {support, "requests", "a great customer came", fault.Denied}} {
		if err := w.s.AcceptUsual(t.Context(), c.who, c.series, c.reason); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, w.s.AcceptUsual(t.Context(), fresh, "requests", "a great customer came"))
	if es := w.Recorded("watch.baseline-accepted"); len(es) != 1 || es[0].Reason != "a great customer came" || es[0].Fields["series"] != "requests" {
		t.Errorf("%+v", es)
	}
	w.again()
	for range 4 {
		w.minute(8 * rate(w.Clock.Now()))
	}
	w.alarm("traffic-spike", watch.Cleared)
	for range 4 {
		w.minute(0)
	}
	w.alarm("traffic-drop", watch.Firing)
	w.alarm("series-silent", watch.Firing)
	w.Clock.Advance(6 * time.Minute)
	w.want("watch.usual-learned", clause.Fail, "nothing was compared")
}

// The hours of one person are compared with the person's own.
func TestUsualOfPeople(t *testing.T) { // breaks: mon.abnormal
	w := lite(t)
	w.learn(15)
	reads := func(who string, n int64) series.Event {
		return series.Event{Meter: "secret-reads", N: n, Labels: []series.Label{{Dimension: "person", Value: who}}}
	}
	for range 14 {
		w.minute(rate(w.Clock.Now()), reads("machine/deploy", 25))
		w.Clock.Advance(time.Hour)
	}
	if as := w.alarms(""); len(as) != 0 {
		t.Fatalf("a roll-out as ever raised %+v", as)
	}
	for range 7 { // 210 in an hour: each minute is like one before, the hour is not
		w.minute(rate(w.Clock.Now()), reads("machine/deploy", 30))
	}
	a := w.alarm("secret-read-anomaly", watch.Firing)
	if a.Labels["instance"] != "secret-reads person machine/deploy" {
		t.Errorf("%+v", a)
	}
}

// The canary finds a learner that looks away.
func TestAnomalyControl(t *testing.T) { // breaks: mon.abnormal
	both(t, func(w *world) {
		w.want("watch.anomaly-seen", clause.Pass, "raised their alarms")
		if as := w.alarms(""); len(as) != 0 {
			w.t.Errorf("a control left %+v", as)
		}
		w.want("watch.usual-learned", clause.Unknown, "nothing was compared yet")
		w.s.Blind()
		w.want("watch.anomaly-seen", clause.Fail, "")
	})
}

// seen lets a person be seen, as the gate sees requests.
func (w *world) seen(who actor.Actor, network, agent string) {
	w.t.Helper()
	w.s.Answered(watch.Request{At: w.Clock.Now(), Who: who, Network: network, Agent: agent, Route: "/", Status: 200})
	must(w.t, w.s.DrainRequests(w.t.Context()))
}

// What was never seen of somebody is an entry, and an alarm through it; it is kept sealed, goes
// on after a restart, and dies with the person.
func TestHabits(t *testing.T) { // breaks: mon.abnormal
	both(t, func(w *world) {
		const firefox, curl, chrome = "Firefox/140.0 Linux", "curl/8.5", "Chrome/140.0 Windows"
		for _, id := range []string{"ben", "eli", "una"} {
			_, err := w.Ring.Ensure(w.t.Context(), keyring.Person(id))
			must(w.t, err)
		}
		ben, eli := person("ben", "acme"), actor.Actor{Kind: actor.Person, ID: "eli", Team: "staff", TeamKind: "staff"}
		canary := actor.Actor{Kind: actor.Person, ID: "canary-looks", Team: "canary", TeamKind: "canary"}
		w.s.Crowd(2)
		for range 10 {
			w.seen(ben, "203.0.113.0/24", firefox)
			w.seen(eli, "198.51.100.0/24", firefox)
			w.seen(canary, "127.77.0.0/24", curl)
			w.Clock.Advance(24 * time.Hour)
		}
		w.seen(person("una", "acme"), "192.0.2.0/24", curl) // one too many: somebody goes to their row
		must(w.t, w.s.KeepHabits(w.t.Context()))
		w.again()
		w.seen(ben, "192.0.2.0/24", firefox)  // a customer who travels
		w.seen(ben, "203.0.113.0/24", chrome) // or has another browser
		w.seen(eli, "192.0.2.0/24", firefox)  // staff who travels
		w.Clock.Advance(time.Hour)
		w.seen(ben, "233.252.0.0/24", curl)      // both
		w.seen(person("una", "acme"), "x", "yy") // a young account
		got := map[string]int{}
		es := w.Recorded("watch.first-seen")
		for _, e := range es {
			got[fmt.Sprint(e.Fields["what"])+" "+e.Subject]++
			if strings.Contains(e.Body, "192.0.2") || strings.Contains(e.Body, "curl") {
				w.t.Errorf("the entry says where from: %s", e.Body)
			}
			follow := entry("watch.first-seen", "writ/watch", journal.Field{Name: "what", State: journal.Public, Value: e.Fields["what"]})
			follow.Subject = e.Subject
			w.follow(follow)
		}
		ps, err := w.DB.Pseudonyms(w.t.Context(), keyring.Person("ben"))
		must(w.t, err)
		if a := w.alarm("new-place", watch.Firing); len(got) != 2 || a.Labels["instance"] != ps[0] {
			w.t.Errorf("%v: %+v", got, a)
		}
		w.alarm("new-network", watch.Firing)
		must(w.t, w.s.KeepHabits(w.t.Context()))
		must(w.t, w.DB.Each(w.t.Context(), `SELECT mark, box FROM watch_principal`, func(scan ledger.Scan) error {
			var mark string
			var box []byte
			err := scan(&mark, &box)
			if strings.Contains(mark, "ben") || strings.Contains(string(box), "Firefox") {
				w.t.Error("habits are not sealed")
			}
			return err
		}))
		p, found, err := w.s.Habits(w.t.Context(), "ben")
		if err != nil || !found || len(p.Networks.Values) != 3 || len(p.Agents.Values) != 3 {
			w.t.Errorf("%+v, %v, %v", p, found, err)
		}
		if _, found, err := w.s.Habits(w.t.Context(), "canary-looks"); found || err != nil {
			w.t.Errorf("habits of a canary: %v", err)
		}
		_, err = w.Ring.Erase(w.t.Context(), keyring.Person("ben"))
		must(w.t, err)
		w.seen(ben, "233.252.0.0/24", curl)
		must(w.t, w.s.KeepHabits(w.t.Context()))
		gone := entry("identity.person-erased", "writ/identity")
		gone.Object = "person/ben"
		w.follow(gone)
		var left int64
		must(w.t, ledger.One(w.t.Context(), w.DB, `SELECT COUNT(*) FROM watch_principal`, []any{&left}))
		if _, found, err := w.s.Habits(w.t.Context(), "ben"); found || err != nil || left != 2 {
			w.t.Errorf("an erased person's habits: %v, %v, %d rows", found, err, left)
		}
		w.Clock.Advance(91 * 24 * time.Hour)
		must(w.t, w.s.Sample(w.t.Context()))
		must(w.t, ledger.One(w.t.Context(), w.DB, `SELECT COUNT(*) FROM watch_principal`, []any{&left}))
		if left != 0 {
			w.t.Errorf("after 91 days %d rows are left", left)
		}
	})
}

// With a table of places, somebody who is in two of them too far apart is an alarm, and so is a
// country that is new for staff; without one the rules say that they see nothing.
func TestPlaces(t *testing.T) { // breaks: mon.abnormal
	w := lite(t)
	says := func() string {
		all, err := w.s.Standings(t.Context())
		must(t, err)
		i := slices.IndexFunc(all, func(st watch.Standing) bool { return st.ID == "impossible-travel" })
		return all[i].Says
	}
	if !strings.HasPrefix(says(), "Unbound: ") {
		t.Errorf("without a table: %s", says())
	}
	eli := actor.Actor{Kind: actor.Person, ID: "eli", Team: "staff", TeamKind: "staff"}
	_, err := w.Ring.Ensure(t.Context(), keyring.Person("eli"))
	must(t, err)
	goes := func() (out []string) {
		for _, n := range []string{"198.51.100.0/24", "203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24"} {
			w.Clock.Advance(time.Hour)
			w.seen(eli, n, "Firefox/140.0 Linux")
		}
		for _, e := range w.Recorded("watch.first-seen") {
			out = append(out, fmt.Sprint(e.Fields["what"]))
			if strings.Contains(e.Body, "NZ") || strings.Contains(e.Body, "203.0.113") {
				t.Errorf("the entry says where: %s", e.Body)
			}
		}
		return out
	}
	if got := fmt.Sprint(goes()); got != "[network network]" {
		t.Errorf("without a table: %s", got)
	}
	w.places, err = place.Load(strings.NewReader("198.51.100.0/24,NO,59.9,10.7\n203.0.113.0/24,NZ,-36.8,174.8\n192.0.2.0/24,NO,60.4,5.3\n198.18.0.0/24,SE,59.3,18.1\n"))
	must(t, err)
	w.quiet(`DELETE FROM watch_principal`)
	w.again()
	if strings.HasPrefix(says(), "Unbound") {
		t.Error(says())
	}
	if got := fmt.Sprint(goes()); got != "[network network travel network]" {
		t.Errorf("with a table: %s", got)
	}
	w.Clock.Advance(24 * time.Hour)
	w.seen(eli, "198.18.0.0/24", "Firefox/140.0 Linux")
	for _, e := range w.Recorded("watch.first-seen") {
		follow := entry("watch.first-seen", "writ/watch", journal.Field{Name: "what", State: journal.Public, Value: e.Fields["what"]})
		follow.Subject = e.Subject
		w.follow(follow)
	}
	if a := w.alarm("impossible-travel", watch.Firing); a.Labels["instance"] == "" || strings.Contains(a.Labels["instance"], "eli") {
		t.Errorf("%+v", a)
	}
	w.alarm("new-country", watch.Firing)
}
