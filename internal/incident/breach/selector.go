package breach

import (
	"encoding/binary"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"writ/internal/fault"
)

// Selector says which accesses were the attacker's. Each part that is not empty must match.
type Selector struct {
	Principals []string       `json:"principals,omitempty"` // as records name them; who acted, or on whose behalf
	Networks   []netip.Prefix `json:"networks,omitempty"`
	Sessions   []string       `json:"sessions,omitempty"` // of people, looks of staff, tokens
	Routes     []string       `json:"routes,omitempty"`
	From       time.Time      `json:"from"`
	Until      time.Time      `json:"until"`
	Unlogged   []string       `json:"unlogged,omitempty"` // other ways that keep no record, in words
}

const (
	maxParts = 200 // of one kind in a selector
	maxWord  = 300 // bytes
)

// Check brings a selector into its one form, and refuses what is none.
func (s *Selector) Check(now time.Time) error {
	bad := func(field, want string) error {
		return fault.New(fault.Invalid, "scope_"+field, fault.Public{Problem: "A part of what is to be looked for is not good: " + field + ".", Expected: want, Fields: []fault.Field{{Name: field, Code: "scope_" + field, Problem: "Expected " + want}}})
	}
	for _, p := range []struct {
		name string
		list *[]string
	}{{"principals", &s.Principals}, {"sessions", &s.Sessions}, {"routes", &s.Routes}, {"unlogged", &s.Unlogged}} {
		if len(*p.list) > maxParts || slices.ContainsFunc(*p.list, func(v string) bool { return v == "" || len(v) > maxWord }) {
			return bad(p.name, "at most 200, of 1 to 300 bytes each.")
		}
		*p.list = slices.Clone(*p.list)
		slices.Sort(*p.list)
		*p.list = slices.Compact(*p.list)
	}
	if len(s.Networks) > maxParts {
		return bad("networks", "at most 200.")
	}
	s.Networks = slices.Clone(s.Networks)
	for i, n := range s.Networks {
		if !n.IsValid() {
			return bad("networks", "networks such as 198.51.100.0/24.")
		}
		s.Networks[i] = n.Masked()
	}
	slices.SortFunc(s.Networks, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	s.Networks = slices.Compact(s.Networks)
	s.From, s.Until = s.From.UTC().Truncate(time.Microsecond), s.Until.UTC().Truncate(time.Microsecond)
	if s.From.IsZero() || !s.From.Before(s.Until) || s.Until.After(now) {
		return bad("time", "a beginning, and an end after it that is over.")
	}
	return nil
}

// Record is one access: an answer of the gate, or an entry of the journal.
type Record struct {
	At       time.Time `json:"at"`
	Who      string    `json:"who,omitempty"`
	For      string    `json:"for,omitempty"` // on whose behalf
	Team     string    `json:"team,omitempty"`
	Staff    bool      `json:"staff,omitempty"` // the team is that of staff, whose own data it is not
	Person   bool      `json:"person,omitempty"`
	Session  string    `json:"session,omitempty"`
	Token    string    `json:"token,omitempty"`
	Network  string    `json:"network,omitempty"`
	Route    string    `json:"route"`
	Method   string    `json:"method,omitempty"`
	Status   int       `json:"status,omitempty"`
	Code     string    `json:"code,omitempty"` // of a refusal by the gate
	Out      int64     `json:"out,omitempty"`  // bytes of the answer; -1 = not known
	Resource []string  `json:"resource,omitempty"`

	// Of an entry of the journal: its number, what the act means, and whom it is about.
	Entry int64    `json:"entry,omitempty"`
	Means Class    `json:"means,omitzero"`
	About []string `json:"about,omitempty"`
}

// matcher is a selector, ready to be held against many records.
type matcher struct {
	from, until                  time.Time
	principals, sessions, routes map[string]bool
	networks                     []netip.Prefix
	seen                         map[string]bool // by network, as a record has it
}

func (s *Selector) matcher() *matcher {
	set := func(list []string) map[string]bool {
		m := map[string]bool{}
		for _, v := range list {
			m[v] = true
		}
		return m
	}
	return &matcher{s.From, s.Until, set(s.Principals), set(s.Sessions), set(s.Routes), s.Networks, map[string]bool{}}
}

// Only hands on the records that the selector means.
func (s *Selector) Only(fn func(*Record) error) func(*Record) error {
	m := s.matcher()
	return func(r *Record) error {
		if !m.match(r) {
			return nil
		}
		return fn(r)
	}
}

func (m *matcher) match(r *Record) bool {
	switch {
	case r.At.Before(m.from) || r.At.After(m.until),
		len(m.principals) > 0 && !m.principals[r.Who] && !(r.For != "" && m.principals[r.For]),
		len(m.sessions) > 0 && !(r.Session != "" && m.sessions[r.Session]) && !(r.Token != "" && m.sessions[r.Token]),
		len(m.routes) > 0 && !m.routes[r.Route],
		len(m.networks) > 0 && !m.network(r.Network):
		return false
	}
	return true
}

const maxSeen = 100_000

// network reports whether a record may come from one of the networks. Records keep a network
// of 256 hosts or a /48 alone: where the two overlap, it may. An entry of the journal has
// none, and may as well.
func (m *matcher) network(of string) bool {
	if of == "" {
		return true
	}
	if is, ok := m.seen[of]; ok {
		return is
	}
	p, err := netip.ParsePrefix(of)
	is := err != nil || slices.ContainsFunc(m.networks, p.Overlaps)
	if len(m.seen) < maxSeen {
		m.seen[of] = is
	}
	return is
}

// classOf is what a record means for its subjects; 0 = nothing left.
func classOf(r *Record) Class {
	const cut = 499 // the client went away
	switch {
	case r.Means != 0:
		return r.Means
	case r.Code != "": // the gate refused it
		return 0
	case r.Status == cut, r.Status >= 500:
		if r.Out != 0 {
			return Possibly
		}
		return 0
	case r.Status == http.StatusNotModified:
		return Accessed
	case r.Status < 200 || r.Status >= 300:
		return 0
	case r.Out < 0:
		return Possibly
	case r.Out == 0 || r.Method == http.MethodHead:
		return Accessed
	}
	return Obtained
}

// subjects gives each subject of a record. The bytes are good until the next one.
func (r *Record) subjects(b []byte, fn func([]byte)) []byte {
	if r.Team != "" && !r.Staff {
		b = append(append(b[:0], "team/"...), r.Team...)
		fn(b)
	}
	if r.Who != "" && r.Person && !r.Staff {
		b = append(append(b[:0], "person/"...), r.Who...)
		fn(b)
	}
	if r.For != "" && r.For != r.Who {
		b = append(append(b[:0], "person/"...), r.For...)
		fn(b)
	}
	for _, x := range r.Resource {
		b = append(append(b[:0], "record/"...), r.Team...)
		b = append(append(b, '/'), x...)
		fn(b)
	}
	for _, x := range r.About {
		b = append(b[:0], x...)
		fn(b)
	}
	return b
}

// append writes a record in the one form that its hash is of: lengths before texts.
func (r *Record) append(b []byte) []byte {
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	list := func(l []string) {
		b = binary.AppendUvarint(b, uint64(len(l)))
		for _, s := range l {
			text(s)
		}
	}
	b = binary.AppendVarint(b, r.At.UnixMicro())
	for _, s := range []string{r.Who, r.For, r.Team, r.Session, r.Token, r.Network, r.Route, r.Method, r.Code} {
		text(s)
	}
	flags := byte(0)
	if r.Staff {
		flags |= 1
	}
	if r.Person {
		flags |= 2
	}
	b = append(b, flags, byte(r.Means))
	for _, n := range []int64{int64(r.Status), r.Out, r.Entry} {
		b = binary.AppendVarint(b, n)
	}
	list(r.Resource)
	list(r.About)
	return b
}
