package gateway

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway/limit"
	"writ/internal/web"
)

// Limits are machine settings: how much this installation is made for. What a single
// route takes is in routes.yaml. Zero values are the defaults.
type Limits struct {
	Address limit.Rate // of one address (an IPv6 /64), before anybody is looked up
	Subject limit.Rate // of one person
	Team    limit.Rate // of all of one team together
	Token   limit.Rate // of one token
	Quota   int64      // requests of one token on a day (UTC); 0 = none
	// Bots are networks in which machines are at home rather than people: what comes from
	// there is looked at more closely. It loosens nothing and refuses nobody.
	Bots []netip.Prefix
	// OnStoreLoss is what counts while the database is away: local (each node goes on with
	// its part), closed (programs wait) or open (each node gives all of it).
	OnStoreLoss string
}

// What is done while the store is away.
const (
	LossLocal  = "local"
	LossClosed = "closed"
	LossOpen   = "open"
)

// Defaults that a browser with a person before it does not meet, nor an office behind one
// address.
var defaultLimits = Limits{
	Address: limit.Rate{N: 12_000, Per: time.Minute}, Subject: limit.Rate{N: 3_000, Per: time.Minute},
	Team: limit.Rate{N: 12_000, Per: time.Minute}, Token: limit.Rate{N: 1_200, Per: time.Minute}, OnStoreLoss: LossLocal,
}

const (
	callerRoom  = 1 << 18 // people, teams and tokens, each with each route's limit
	addressRoom = 1 << 20
	storeLost   = 10 * time.Second
)

// limits are the gate's counters.
type limits struct {
	set       Limits
	callers   *limit.Tables
	addresses *limit.Tables
	quotas    limit.Quotas
	nodes     atomic.Int64 // at work, this one included
	reached   atomic.Int64 // when the store was last reached, Unix nanoseconds; 0 = it was not needed yet

	mu    sync.Mutex // guards the rest
	id    string     // of this node
	beat  int64
	peers map[string]peer
}

func newLimits(set Limits) (*limits, error) {
	for _, r := range []struct {
		to   *limit.Rate
		from limit.Rate
	}{{&set.Address, defaultLimits.Address}, {&set.Subject, defaultLimits.Subject}, {&set.Team, defaultLimits.Team}, {&set.Token, defaultLimits.Token}} {
		if r.to.IsZero() {
			*r.to = r.from
		}
	}
	switch set.OnStoreLoss {
	case "":
		set.OnStoreLoss = LossLocal
	case LossLocal, LossClosed, LossOpen:
	default:
		return nil, fmt.Errorf("gateway: on_store_loss is %q; expected local, closed or open", set.OnStoreLoss)
	}
	l := &limits{set: set, callers: limit.NewTables(callerRoom), addresses: limit.NewTables(addressRoom), peers: map[string]peer{}}
	l.nodes.Store(1)
	return l, nil
}

// lost reports whether the store has been away for too long to know the other nodes.
func (l *limits) lost(now time.Time) bool {
	at := l.reached.Load()
	return at != 0 && now.UnixNano()-at > int64(storeLost)
}

// parts is among how many nodes a limit is divided.
func (l *limits) parts(r *Rules, now time.Time) int64 {
	if l.set.OnStoreLoss == LossOpen && r.APILimits != required && l.lost(now) {
		return 1
	}
	return l.nodes.Load()
}

// spent is what a limit says of a request, for the headers.
type spent struct {
	name string
	rate limit.Rate
	v    limit.Verdict
}

// meter charges one request to several limits: all of them or none.
type meter struct {
	v       *visit
	now     time.Time
	nodes   int64
	charges [6]limit.Charge
	n       int
	said    [4]spent // what the caller is told
	told    int
}

func (v *visit) meter() meter {
	now := v.g.now()
	return meter{v: v, now: now, nodes: v.g.limits.parts(v.table.rules, now)}
}

// take charges one limit. told: the caller learns of it by the headers of the answer.
func (m *meter) take(t *limit.Tables, name, scope, who, wide string, r limit.Rate, told bool) *refusal {
	got, c := t.Take(m.now.UnixNano(), scope, who, wide, r.Bucket(m.nodes), m.v.dry)
	s := spent{name: name, rate: r, v: got}
	if !got.OK {
		m.back()
		return m.v.tooMany(m, s)
	}
	if m.n < len(m.charges) && !m.v.dry {
		m.charges[m.n] = c
		m.n++
	}
	if told && m.told < len(m.said) {
		m.said[m.told] = s
		m.told++
	}
	return nil
}

func (m *meter) back() {
	for _, c := range m.charges[:m.n] {
		c.Back()
	}
	m.n = 0
}

// tooMany is the refusal of who must wait.
func (v *visit) tooMany(m *meter, s spent) *refusal {
	wait := time.Duration(math.Ceil(s.v.Wait.Seconds())) * time.Second
	ref := deny(publicAPI, fault.Limited, "too_many", fault.Public{
		Problem: "Too many requests in a short time.", Expected: fmt.Sprintf("At most %s, by %s.", s.rate, by[s.name]), Next: fmt.Sprintf("Wait %s and go on more slowly.", max(wait, time.Second))})
	ref.err.RetryAfter = max(wait, time.Second)
	setLimits(v.w.Header(), append(m.said[:m.told:m.told], s))
	return ref
}

var by = map[string]string{"address": "one address", "person": "one person", "team": "one team", "token": "one token", "route": "one caller at this address", "quota": "one token in a day", "route-quota": "one token in a day at this address"}

// rateAddress counts a network's requests, before anybody is looked up. What comes from
// this machine itself is no stranger's.
func (v *visit) rateAddress() *refusal { // clause: use.public-api
	ip := web.RemoteIP(v.r)
	if ip.IsLoopback() || !ip.IsValid() {
		return nil
	}
	m := v.meter()
	who, wide := networks(ip)
	rate := v.g.limits.set.Address
	if !v.dry {
		v.habit, v.listed = v.g.bots.of(who), v.g.bots.named(ip)
		rate = slower(rate, v.habit.score(v.listed))
	}
	return m.take(v.g.limits.addresses, "address", "address", string(who[:]), string(wide[:]), rate, false)
}

// networks are the smallest network that is one caller's, and the one that strangers share
// when there is no room: /32 and /16, or /64 and /48.
func networks(ip netip.Addr) (who, wide [16]byte) {
	who = ip.As16()
	wide = who
	if ip.Is4() {
		clear(wide[14:])
		return who, wide
	}
	clear(who[8:])
	clear(wide[6:])
	return who, wide
}

// rateCaller counts who calls: the person, the team, the token, and each of them at the
// route. A limit of routes.yaml counts for strangers by their address.
func (v *visit) rateCaller() *refusal { // clause: use.public-api
	l, m := v.g.limits, v.meter()
	program := v.who.ByToken()
	if v.who.IsZero() && v.need.unlimited() {
		return nil
	}
	if program && l.set.OnStoreLoss == LossClosed && l.lost(m.now) {
		return refuseStoreLost
	}
	local := web.RemoteIP(v.r).IsLoopback()
	tables, who, wide := l.callers, v.who.ID, v.who.Team
	if v.who.IsZero() {
		n, w := networks(web.RemoteIP(v.r))
		tables, who, wide = l.addresses, string(n[:]), string(w[:])
	} else if !local {
		if v.who.Kind == actor.Person {
			if ref := m.take(tables, "person", "person", who, wide, l.set.Subject, false); ref != nil {
				return ref
			}
		}
		if v.who.Team != "" {
			if ref := m.take(tables, "team", "team", v.who.Team, "", l.set.Team, false); ref != nil {
				return ref
			}
		}
	}
	if program {
		who = v.who.Token
		if v.table.rules.APILimits == required {
			if ref := m.take(tables, "token", "token", who, wide, l.set.Token, true); ref != nil {
				return ref
			}
		}
	}
	for _, r := range v.need.rules {
		if r == nil || r.limit.IsZero() {
			continue
		}
		if ref := m.take(tables, "route", r.scope, who, wide, r.limit, true); ref != nil {
			return ref
		}
	}
	if program {
		if ref := v.quotas(&m); ref != nil {
			return ref
		}
	}
	if m.told > 0 {
		v.spent = m.said
		v.told = m.told
	}
	return nil
}

// unlimited reports whether no rule has a limit.
func (d *decision) unlimited() bool {
	for _, r := range d.rules {
		if r != nil && !r.limit.IsZero() {
			return false
		}
	}
	return true
}

const daySeconds = 24 * 60 * 60

// quotas count a token's day: in all, and at the route.
func (v *visit) quotas(m *meter) *refusal { // clause: use.public-api
	l, day := v.g.limits, m.now.Unix()/daySeconds
	if l.set.OnStoreLoss == LossOpen && v.table.rules.APILimits != required && l.lost(m.now) {
		return nil
	}
	var counted [3]string
	n := 0
	one := func(name, key string, most int64) *refusal {
		left, ok := l.quotas.Take(day, key, most, v.dry)
		back := time.Duration((day+1)*daySeconds-m.now.Unix()) * time.Second
		s := spent{name: name, rate: limit.Rate{N: most, Per: 24 * time.Hour}, v: limit.Verdict{OK: ok, Left: left, Wait: back, Back: back}}
		if !ok {
			for _, k := range counted[:n] {
				l.quotas.Give(day, k)
			}
			m.back()
			return v.tooMany(m, s)
		}
		if !v.dry {
			counted[n] = key
			n++
		}
		if m.told < len(m.said) {
			m.said[m.told] = s
			m.told++
		}
		return nil
	}
	if l.set.Quota > 0 {
		if ref := one("quota", v.who.Token, l.set.Quota); ref != nil {
			return ref
		}
	}
	for _, r := range v.need.rules {
		if r != nil && r.quota > 0 {
			if ref := one("route-quota", v.who.Token+" "+r.scope, r.quota); ref != nil {
				return ref
			}
		}
	}
	return nil
}

var refuseStoreLost = func() *refusal {
	r := deny(publicAPI, fault.Unavailable, "limits_unknown", fault.Public{
		Problem: "It cannot be told now how much of its limit this token has used. Nothing was done.", Next: "Try again in a minute."})
	r.err.RetryAfter = 30 * time.Second
	return r
}()

// setLimits writes the headers RateLimit and RateLimit-Policy of the httpapi group's draft
// (structured fields): how many in how many seconds, how many are left, and in how many
// seconds all are there again.
func setLimits(h http.Header, all []spent) {
	var rooms [2][128]byte // on the stack: this stands on every answer to a program
	policy, now := rooms[0][:0], rooms[1][:0]
	for i, s := range all {
		if i > 0 {
			policy, now = append(policy, ", "...), append(now, ", "...)
		}
		policy, now = strconv.AppendQuote(policy, s.name), strconv.AppendQuote(now, s.name)
		policy = strconv.AppendInt(append(policy, ";q="...), s.rate.N, 10)
		policy = strconv.AppendInt(append(policy, ";w="...), int64(s.rate.Per/time.Second), 10)
		now = strconv.AppendInt(append(now, ";r="...), s.v.Left, 10)
		now = strconv.AppendInt(append(now, ";t="...), int64(math.Ceil(s.v.Back.Seconds())), 10)
	}
	lines := []string{string(policy), string(now)} // one allocation for both
	h["Ratelimit-Policy"], h["Ratelimit"] = lines[0:1:1], lines[1:2:2]
}

// tellLimits puts what is left on the answer, for callers who have a limit of their own.
func (v *visit) tellLimits(h http.Header) {
	if v.told > 0 {
		setLimits(h, v.spent[:v.told])
	}
}
