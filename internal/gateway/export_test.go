package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/gateway/openapi"
	"writ/internal/gateway/waf"
)

// SetPause changes how long a client may rest within a body.
func (g *Gateway) SetPause(d time.Duration) { g.pause = d }

// Kept is how many assertions are kept to be sent again.
func (g *Gateway) Kept() int {
	g.signer.mu.RLock()
	defer g.signer.mu.RUnlock()
	return len(g.signer.made)
}

// ParseAsked reads what a proxy forwards.
func ParseAsked(h http.Header) (method, host, uri string, ok bool) {
	a, ok := parseAsked(h)
	return a.method, a.host, a.uri, ok
}

// Direct changes the limits of connections to the application. Call it before the first request.
func (g *Gateway) Direct(change func(*http.Transport)) { change(g.direct().next) }

// Way is how the application is reached.
func (g *Gateway) Way() http.RoundTripper { return g.pool.Ways()[0] }

func (g *Gateway) direct() *direct { return g.Way().(*direct) }

// Resting is how many connections to the application wait for a request.
func (g *Gateway) Resting() int {
	d := g.direct()
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.idle)
}

// Simple reports whether a request goes the short way.
func Simple(r *http.Request) bool { return simple(r) }

// Hold has a step read bodies whole, up to most bytes, before they are forwarded. Call it before the first request.
func (g *Gateway) Hold(most int64, seen func([]byte)) {
	last := len(g.steps) - 1
	look := func(v *visit) *refusal {
		b, ref := v.hold(most)
		if again, _ := v.hold(most); ref == nil && len(again) != len(b) {
			panic("a body that is held is another the second time")
		}
		seen(b)
		return ref
	}
	g.steps = append(g.steps[:last:last], step{"look", noAutomation, look}, g.steps[last])
}

// Held is how many bytes of bodies are in memory.
func (g *Gateway) Held() int64 { return g.room.used.Load() }

// Fill leaves room for n bytes.
func (g *Gateway) Fill(n int64) { g.room.used.Store(heldAtOnce - n) }

// LookAfter looks after what is under way, once, and says how many it looked at.
func (g *Gateway) LookAfter(ctx context.Context) int {
	return g.lookAfter(ctx, g.now().Add(time.Second))
}

// TurnTickets does what Run does each minute for the keys of tickets.
func (g *Gateway) TurnTickets(ctx context.Context) error {
	return errors.Join(g.turnTickets(ctx), g.dropTickets(ctx))
}

// SetPatience changes how long a control waits for a stream to be cut.
func (g *Gateway) SetPatience(d time.Duration) { g.patience = d }

// RunStreams looks after what is under way until ctx ends.
func (g *Gateway) RunStreams(ctx context.Context) { g.runStreams(ctx) }

// Later moves all that is under way, and the mode, into the past.
func (g *Gateway) Later(d time.Duration) {
	if m := g.mode.Load(); m != nil {
		before := *m
		before.since = before.since.Add(-d)
		g.mode.Store(&before)
	}
	g.streams.mu.Lock()
	defer g.streams.mu.Unlock()
	for x := g.streams.ring.next; x != &g.streams.ring; x = x.next {
		if !x.unknown.IsZero() {
			x.unknown = x.unknown.Add(-d)
		}
	}
}

// WithoutSteps takes steps out.
func (g *Gateway) WithoutSteps(names ...string) {
	g.steps = slices.DeleteFunc(slices.Clone(g.steps), func(s step) bool { return slices.Contains(names, s.name) })
}

// CountLate counts a change that came through a closed gate.
func (g *Gateway) CountLate() { g.tally.everLate.Add(1) }

// PollDescription looks at the description's files now.
func (g *Gateway) PollDescription(ctx context.Context) { g.pollDescription(ctx) }

// Share stores and learns what nodes share, now.
func (g *Gateway) Share(ctx context.Context) error { return g.share(ctx) }

// Leave takes the node off the list.
func (g *Gateway) Leave(ctx context.Context) error { return g.leave(ctx) }

// Nodes is among how many the limits are divided.
func (g *Gateway) Nodes() int64 { return g.limits.nodes.Load() }

// ForgetDays removes quotas of days that are over.
func (g *Gateway) ForgetDays(ctx context.Context) error { return g.forgetDays(ctx) }

// Judged has a function look at each request after the schema step: the masks of a good JSON
// answer. Call it before the first request.
func (g *Gateway) Judged(seen func(masks []openapi.Mask)) {
	last := len(g.steps) - 1
	look := func(v *visit) *refusal {
		seen(v.masks(http.StatusOK, http.Header{"Content-Type": {"application/json"}}))
		return nil
	}
	g.steps = append(g.steps[:last:last], step{"look", noAutomation, look}, g.steps[last])
}

// BreakJudge has the judge of requests fail as a fault in it would. Call it before the first request.
func (g *Gateway) BreakJudge() {
	for i := range g.steps {
		if g.steps[i].name == schemaStep {
			g.steps[i].run = func(v *visit) *refusal {
				_, err := (&openapi.Match{}).Check(openapi.Request{})
				return v.verdict(nil, err)
			}
		}
	}
}

// Unguard takes the leak guard's rules away, as a fault would.
func (g *Gateway) Unguard() {
	t := *g.current()
	t.guards = guards{}
	for _, n := range t.nodes {
		for _, r := range n.methods {
			r.notice = false
		}
		if n.all != nil {
			n.all.notice = false
		}
	}
	g.table.Store(&t)
}

// BenchStep runs one step again and again for a request that passed those before it.
func (g *Gateway) BenchStep(b *testing.B, name string, r *http.Request) {
	g.limits.set.Address, g.limits.set.Subject, g.limits.set.Team = g.limits.set.Token, g.limits.set.Token, g.limits.set.Token
	v := g.newVisit()
	v.w, v.r, v.table, v.began = &recorder{header: http.Header{}}, r, g.current(), g.now()
	for _, s := range g.steps {
		if s.name == "caller" { // the fake knows programs on loopback alone
			from := r.RemoteAddr
			r.RemoteAddr = "127.0.0.1:1"
			defer func() { r.RemoteAddr = from }()
		}
		if s.name == name {
			r.RemoteAddr = "203.0.113.7:1"
			b.ReportAllocs()
			for b.Loop() {
				if ref := s.run(v); ref != nil {
					b.Fatal(ref.err)
				}
			}
			return
		}
		if ref := s.run(v); ref != nil {
			b.Fatal(s.name, ref.err)
		}
	}
}

// FlushFinds records what the rules found for the first time in this minute.
func (g *Gateway) FlushFinds(ctx context.Context) error { return g.flushFinds(ctx, false) }

// WAFTick is what is done every second.
func (g *Gateway) WAFTick(ctx context.Context) error { return g.wafTick(ctx) }

// BeginWAF loads the rules.
func (g *Gateway) BeginWAF() { g.watch.begin() }

// BreakWAF puts another engine in the place of the rules.
func (g *Gateway) BreakWAF(open func() (*waf.Engine, error)) {
	<-g.watch.ready
	g.watch.engine, g.watch.broken = open()
}

// ReadPurges does what other nodes were told.
func (g *Gateway) ReadPurges(ctx context.Context) error { return g.readPurges(ctx) }

// CheckPlaces looks n times after the application's places.
func (g *Gateway) CheckPlaces(ctx context.Context, n int) {
	for range n {
		g.pool.Check(ctx)
	}
}

// RecordPlaces makes entries of what became of places.
func (g *Gateway) RecordPlaces(ctx context.Context) {
	for len(g.changes) > 0 {
		g.recordChange(ctx, <-g.changes)
	}
}

// EgressTick does what Run does each second for the way out.
func (g *Gateway) EgressTick(ctx context.Context) error { return g.egressTick(ctx) }

// LookAtPlaces asks each place of the application for its health.
func (g *Gateway) LookAtPlaces(ctx context.Context) { g.pool.Check(ctx) }

// MoveEgress has the controls look for the way out elsewhere.
func (g *Gateway) MoveEgress(l net.Listener) { g.out.Listener = l }

// OfficeFile and PDFFile are files that hold a text.
var OfficeFile, PDFFile = officeFile, pdfFile

// Age lets a minute pass for what is known of networks.
func (g *Gateway) Age() { g.bots.age() }

// Unproved takes the step away that asks for a browser, as a fault would.
func (g *Gateway) Unproved() {
	g.steps = slices.DeleteFunc(g.steps, func(s step) bool { return s.name == "browser" })
}

// ReadShown reads what the application says of its answer.
func ReadShown(h http.Header) (teams, records []string, rows int64, unclear bool) {
	s := readShown(h)
	return s.teams, s.records, s.rows, s.unclear
}

// FormFields reads the fields of a form, and gives the body as the application would have it.
func FormFields(kind, body string) (mark, trap, passed string, refused bool) {
	v := visit{r: &http.Request{Header: http.Header{"Content-Type": {kind}}, ContentLength: -1, Body: io.NopCloser(strings.NewReader(body))}}
	mark, trap, ref := v.formFields()
	b, _ := io.ReadAll(v.r.Body) // of memory
	return mark, trap, string(b), ref != nil
}

// Stamped is what goes into a form behind its tag, and whether it is good for an address.
func (g *Gateway) Stamped(tag []byte, to string) (text string, good bool) {
	v := visit{g: g, r: &http.Request{Host: g.origin.Host, Header: http.Header{}}, target: target{raw: "/page", path: "/page"}}
	text = v.stamp(tag)
	mark, trap := inQuery(strings.NewReplacer(`<input type="hidden" name="`+formField+`" value="`, formField+"=", `">`, "&").Replace(text))
	return text, trap == "" && g.forms.check(mark, g.now().Add(formSoon), to, v.bearer()) == nil
}

// Habit is what was seen of a network.
type Habit struct {
	Seen, Missed int64
	Paths        []string
}

// Score is how much a network with such a habit behaves like a program.
func (g *Gateway) Score(ip netip.Addr, seen Habit) int64 {
	h := &habit{}
	for _, p := range seen.Paths {
		h.note(&visit{g: g, r: &http.Request{Header: http.Header{"User-Agent": {"shop/1.0"}}}, target: target{path: p}})
	}
	h.seen.Store(seen.Seen)
	h.missed.Store(seen.Missed)
	return h.score(g.bots.named(ip))
}

// FillRoom takes all room for bodies; what it returns gives it back.
func (g *Gateway) FillRoom() func() {
	g.room.used.Add(heldAtOnce)
	return func() { g.room.used.Add(-heldAtOnce) }
}

// RoomUsed is how much of it is taken.
func (g *Gateway) RoomUsed() int64 { return g.room.used.Load() }

// BlockTick is what Run does each second for blocked networks.
func (g *Gateway) BlockTick(ctx context.Context) error { return g.blockTick(ctx) }
