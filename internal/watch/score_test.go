package watch_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/watch/series"
)

// TestScore plays six weeks of a company by the clock of the test, through the follower, the
// rules and what is usual, with attacks and without, and prints what was found. It takes
// minutes: make watch-score runs it, with WRIT_SCORE as the seed.
func TestScore(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv("WRIT_SCORE"), 10, 64)
	if err != nil {
		t.Skip("make watch-score plays it")
	}
	for name, attacked := range map[string]bool{"attacked": true, "clean": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCompany(lite(t), seed, attacked)
			c.play()
			c.print(t)
		})
	}
}

const (
	scoreLearn = 15 // days before anything is judged
	scoreDays  = 28
	aside      = 20 * time.Minute // after an attack, in which an alarm is still of it
)

// attack is one that the company suffers.
type attack struct {
	kind        string
	rules       []string // any of which finds it
	from, until time.Time
	found       string
	delay       time.Duration
}

// kind is a way to attack: how long it lasts, and what it does in a minute.
type kind struct {
	name  string
	lasts time.Duration
	rules []string
	do    func(c *company, i int) // in its i-th minute
}

// company is a small one of software: two hundred customers, six of staff, one program that deploys.
type company struct {
	w         *world
	r         *rand.Rand
	attacked  bool
	begin     time.Time
	attacks   []*attack
	byMinute  map[int64]func()
	followed  int64            // the newest entry that watch itself wrote and was given
	seen      map[string]int64 // alarms that were looked at, with their flaps
	outside   map[string]int   // alarms without an attack, by rule
	pages     int              // of those
	inside    int              // alarms with one
	notices   int
	times     float64 // what traffic is multiplied with, this minute
	slow      float64
	people    []actor.Actor
	networks  map[string]string
	agents    map[string]string
	deploys   map[int64]bool
	quietDays map[int]bool
}

var browsers = []string{"Firefox/140 Linux", "Chrome/140 Windows", "Safari/605 Mac OS X", "Chrome/140 Mac OS X", "Edg/140 Windows"}

func newCompany(w *world, seed uint64, attacked bool) *company {
	c := &company{w: w, r: rand.New(rand.NewPCG(seed, 17)), attacked: attacked, byMinute: map[int64]func(){}, seen: map[string]int64{}, outside: map[string]int{}, networks: map[string]string{}, agents: map[string]string{}, deploys: map[int64]bool{}, quietDays: map[int]bool{}}
	now := w.Clock.Now()
	c.begin = now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	w.Clock.Advance(c.begin.Sub(now))
	for i := range 46 {
		a := person(fmt.Sprintf("p%02d", i), fmt.Sprintf("team%d", i%8))
		if i >= 40 {
			a.Team, a.TeamKind = "staff", "staff"
		}
		_, err := w.Ring.Ensure(w.t.Context(), keyring.Person(a.ID))
		must(w.t, err)
		c.people = append(c.people, a)
		c.networks[a.ID], c.agents[a.ID] = fmt.Sprintf("10.0.%d.0/24", i), browsers[i%len(browsers)]
	}
	days := scoreLearn + scoreDays
	for d := range days { // two deploys on a working day, one holiday in a fortnight
		if d%14 == 10 {
			c.quietDays[d] = true
		}
		for range 2 {
			c.deploys[int64(d*1440+9*60+c.r.IntN(8*60))] = true
		}
	}
	if attacked {
		c.plan()
	}
	return c
}

// plan puts an attack into each six hours of the month, each kind equally often.
func (c *company) plan() {
	ks := kinds()
	for slot := range scoreDays * 24 / 6 {
		k := ks[slot%len(ks)]
		from := c.begin.Add(time.Duration(scoreLearn)*24*time.Hour + time.Duration(slot)*6*time.Hour + time.Duration(30+c.r.IntN(240))*time.Minute)
		c.attacks = append(c.attacks, &attack{kind: k.name, rules: k.rules, from: from, until: from.Add(k.lasts)})
		for i := range int(k.lasts / time.Minute) {
			c.byMinute[from.Add(time.Duration(i)*time.Minute).Unix()/60] = func() { k.do(c, i) }
		}
	}
}

// kinds are the attacks, and what is expected to find each.
func kinds() []kind {
	m := time.Minute
	often := func(stream string, each int, fields ...journal.Field) func(*company, int) {
		return func(c *company, _ int) { c.entries(many(each, entry(stream, "s:evil", fields...))...) }
	}
	public := func(name string, v any) journal.Field {
		return journal.Field{Name: name, State: journal.Public, Value: v}
	}
	victim := func(c *company) actor.Actor { return c.people[c.r.IntN(40)] }
	var who actor.Actor
	return []kind{
		{"flood", 20 * m, []string{"traffic-spike"}, func(c *company, _ int) { c.times = 12 }},
		{"outage", 15 * m, []string{"traffic-drop", "series-silent"}, func(c *company, _ int) { c.times = 0.02 }},
		{"passwords of one network", 12 * m, []string{"signin-failures-network"}, often("identity.sign-in-refused", 8)},
		{"passwords from everywhere", 25 * m, []string{"signins-refused-unusual", "signin-failures-all"}, func(c *company, i int) {
			for k := range 26 {
				c.entries(entry("identity.sign-in-refused", fmt.Sprintf("s:%d-%d", i, k)))
			}
		}},
		{"spray", m, []string{"password-spray"}, often("identity.spraying-seen", 1, public("addresses", int64(40)))},
		{"second factors", 5 * m, []string{"factor-failures"}, often("identity.factor-refused", 4, public("kind", "totp"))},
		{"data taken by a person", 40 * m, []string{"egress-anomaly"}, func(c *company, i int) {
			if i == 0 {
				who = victim(c)
			}
			c.asks(who, 1, 60<<20, 1)
		}},
		{"records taken by a person", 40 * m, []string{"bulk-records"}, func(c *company, i int) {
			if i == 0 {
				who = victim(c)
			}
			c.asks(who, 40, 2000, 1)
		}},
		{"secrets taken", 20 * m, []string{"secret-read-anomaly", "bulk-read"}, func(c *company, _ int) { c.reads("machine/deploy", 30) }},
		{"exports", 10 * m, []string{"export-spike"}, func(c *company, i int) {
			if i%2 == 0 {
				e := entry("vault.export-taken", "p:insider")
				e.Kind = "person"
				c.entries(e, e)
			}
		}},
		{"stolen session", 30 * m, []string{"new-place"}, func(c *company, i int) {
			if i == 0 {
				who = victim(c)
			}
			c.from(who, fmt.Sprintf("198.51.%d.0/24", c.r.IntN(200)), "curl/8")
		}},
		{"shared account", 25 * m, []string{"shared-account"}, func(c *company, i int) {
			if i == 0 {
				who = victim(c)
			}
			c.from(who, []string{c.networks[who.ID], "10.9.1.0/24", "10.9.2.0/24", "10.9.3.0/24"}[i%4], []string{c.agents[who.ID], "Chrome/140 Android", "OPR/1 Windows", "Firefox/140 CrOS"}[i%4])
		}},
		{"enumeration", 12 * m, []string{"enumeration", "refusals-spike"}, often("gateway.request-refused", 40, public("status", int64(404)), public("code", "not_found"))},
		{"slowness", 20 * m, []string{"latency-unusual"}, func(c *company, _ int) { c.slow = 9 }},
		{"deletions", 10 * m, []string{"mass-delete"}, often("vault.param-deleted", 5)},
	}
}

func (c *company) entries(es ...journal.Entry) { c.w.follow(es...) }

func (c *company) reads(who string, n int) {
	e := entry("vault.param-read", who, journal.Field{Name: "count", State: journal.Public, Value: int64(n)})
	e.Kind = "machine"
	c.entries(e)
}

// asks lets somebody ask for something, from where they usually are.
func (c *company) asks(who actor.Actor, records int, bytes int64, n int) {
	for range n {
		c.w.s.Answered(answered(c.w.Clock.Now(), who, c.networks[who.ID], c.agents[who.ID], records, bytes))
	}
}

func (c *company) from(who actor.Actor, network, agent string) {
	c.w.s.Answered(answered(c.w.Clock.Now(), who, network, agent, 1, 2000))
}

// play lets the days go by.
func (c *company) play() {
	w, ctx := c.w, c.w.t.Context()
	for i := range int64((scoreLearn + scoreDays) * 1440) {
		now := w.Clock.Now()
		c.minute(i, now)
		must(w.t, w.s.DrainRequests(ctx))
		for range 6 {
			w.s.Series().Seen("requests")
			w.s.Series().Seen("journal")
			w.Clock.Advance(10 * time.Second)
		}
		w.s.Series().Seen("requests")
		w.s.Series().Seen("journal")
		must(w.t, w.s.Series().Flush(ctx))
		if i < scoreLearn*1440 && i%720 != 719 { // it learns in parts; nothing is judged
			continue
		}
		must(w.t, w.s.Compare(ctx))
		must(w.t, w.s.Step(ctx))
		c.follow()
		if i >= scoreLearn*1440 {
			c.look(w.Clock.Now())
		}
	}
}

// minute is what happens in one: what is usual, and an attack where one is planned.
func (c *company) minute(i int64, now time.Time) {
	day, r := int(i/1440), c.r
	c.times, c.slow = 1, 1
	if act := c.byMinute[now.Unix()/60]; act != nil {
		act()
	}
	size := 250 * math.Pow(1.05, float64(day)/30) * (1.15 + math.Sin(2*math.Pi*(float64(now.Hour()*60+now.Minute())-540)/1440))
	if d := now.Weekday(); d == time.Saturday || d == time.Sunday {
		size *= 0.5
	} else if c.quietDays[day] {
		size *= 0.6
	}
	if day%9 == 5 && now.Hour() >= 10 && now.Hour() < 12 { // a letter to customers
		size *= 1.6
	}
	slow := c.slow
	if c.deploys[i] || c.deploys[i-1] {
		slow *= 2.5
	}
	for k, share := range []float64{0.4, 0.25, 0.2, 0.1, 0.05} {
		v := size * share * c.times
		n := int64(max(0, math.Round(v+math.Sqrt(v)*r.NormFloat64())))
		if n == 0 {
			continue
		}
		labels := []series.Label{{Dimension: "route", Value: fmt.Sprintf("/r%d/{id}", k)}, {Dimension: "team", Value: fmt.Sprintf("team%d", (int(i)+k)%8)}}
		c.w.s.Count(series.Event{At: now, Meter: "requests", N: n, Labels: labels})
		for _, q := range []float64{0.5, 1, 1, 1, 1.5, 3} {
			c.w.s.Count(series.Event{At: now, Meter: "latency", N: max(1, n/6), Value: slow * q * 40_000 * (1 + 0.1*r.Float64()), Labels: labels[:1]})
		}
		c.w.s.Count(series.Event{At: now, Meter: "bytes.out", N: n, Value: 20_000 * (0.8 + 0.4*r.Float64()), Labels: labels})
	}
	c.usualPeople(i, now)
}

// usualPeople are those who are at work, and what they leave in the journal.
func (c *company) usualPeople(i int64, now time.Time) {
	r := c.r
	atWork := now.Hour() >= 7 && now.Hour() < 19 && now.Weekday() != time.Saturday && now.Weekday() != time.Sunday
	if !atWork && r.IntN(20) > 0 {
		return
	}
	for range 1 + r.IntN(2) {
		who := c.people[r.IntN(len(c.people))]
		network, agent := c.networks[who.ID], c.agents[who.ID]
		switch r.IntN(1500) {
		case 0: // they travel
			network = fmt.Sprintf("172.16.%d.0/24", r.IntN(250))
		case 1: // or have a telephone
			agent = "Safari/605 iPhone"
		}
		c.w.s.Answered(answered(now, who, network, agent, r.IntN(3), int64(r.IntN(200_000))))
	}
	if r.IntN(6) == 0 {
		c.entries(entry("identity.sign-in-refused", fmt.Sprintf("s:%d", r.IntN(400)))) // somebody mistypes
	}
	if r.IntN(5) == 0 {
		in := entry("identity.signed-in", fmt.Sprintf("s:%d", r.IntN(40)), journal.Field{Name: "method", State: journal.Public, Value: "password"})
		in.Subject = fmt.Sprintf("p:%d", r.IntN(46))
		c.entries(in)
	}
	if c.deploys[i] {
		c.reads("machine/deploy", 35+r.IntN(10))
	}
	if r.IntN(2000) == 0 {
		e := entry("vault.export-taken", "p:owner")
		e.Kind = "person"
		c.entries(e)
	}
}

// follow gives watch what it wrote about people, as the journal does.
func (c *company) follow() {
	var es []journal.Entry
	must(c.w.t, c.w.DB.Each(c.w.t.Context(), `SELECT k, name, body FROM ledger_pending WHERE k > $1 ORDER BY k`, func(scan ledger.Scan) error {
		var body []byte
		var name string
		var b struct {
			Subject string
			F       struct{ What string }
		}
		if err := scan(&c.followed, &name, &body); err != nil || name != "watch.first-seen" {
			return err
		}
		err := json.Unmarshal(body, &b)
		e := entry("watch.first-seen", "writ/watch", journal.Field{Name: "what", State: journal.Public, Value: b.F.What})
		e.Subject = b.Subject
		es = append(es, e)
		return err
	}, c.followed))
	c.w.follow(es...)
}

// look finds the alarms that opened, and says of each whether an attack is its cause.
func (c *company) look(now time.Time) {
	type opened struct {
		id, rule, severity string
		flaps, fired       int64
	}
	var fresh []opened
	must(c.w.t, c.w.DB.Each(c.w.t.Context(), `SELECT id, rule, severity, flaps, fired FROM watch_alarm WHERE state = 'firing' AND seen >= $1`, func(scan ledger.Scan) error {
		var o opened
		err := scan(&o.id, &o.rule, &o.severity, &o.flaps, &o.fired)
		if was, ok := c.seen[o.id]; o.fired > 0 && (!ok || was < o.flaps) {
			c.seen[o.id] = o.flaps
			fresh = append(fresh, o)
		}
		return err
	}, now.Add(-10*time.Minute).UnixMicro()))
	for _, o := range fresh {
		i := slices.IndexFunc(c.attacks, func(a *attack) bool { return !now.Before(a.from) && now.Before(a.until.Add(aside)) })
		if i >= 0 && c.attacks[i].found == "" && slices.Contains(c.attacks[i].rules, o.rule) {
			c.attacks[i].found, c.attacks[i].delay = o.rule, now.Sub(c.attacks[i].from)
		}
		switch {
		case o.severity == "notice":
			c.notices++
		case i >= 0:
			c.inside++
		default:
			if c.outside[o.rule]++; o.severity == "page" {
				c.pages++
			}
		}
	}
}

func (c *company) print(t *testing.T) {
	all, found := map[string]int{}, map[string]int{}
	delays := map[string]time.Duration{}
	total := 0
	for _, a := range c.attacks {
		if all[a.kind]++; a.found != "" {
			found[a.kind]++
			total++
			delays[a.kind] = max(delays[a.kind], a.delay)
		}
	}
	var b strings.Builder
	wrong := 0
	for _, n := range c.outside {
		wrong += n
	}
	if c.attacked {
		fmt.Fprintf(&b, "a month with %d attacks of %d kinds: recall %.1f %%, precision %.1f %%\n", len(c.attacks), len(all), 100*float64(total)/float64(len(c.attacks)), 100*float64(c.inside)/float64(max(1, c.inside+wrong)))
		for _, k := range slices.SortedFunc(maps.Keys(all), func(x, y string) int { return cmp.Compare(x, y) }) {
			fmt.Fprintf(&b, "  %-28s %d of %d, at the latest after %s\n", k, found[k], all[k], delays[k])
		}
	} else {
		fmt.Fprintf(&b, "the same month without attacks\n")
	}
	fmt.Fprintf(&b, "  false pages a week: %.2f; alarms without an attack: %d %v; notices: %d\n", float64(c.pages)/(scoreDays/7), wrong, c.outside, c.notices)
	t.Log("\n" + b.String())
}
