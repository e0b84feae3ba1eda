package incident_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/breach"
	"writ/internal/incident/engine"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
)

// exposed is everything that a breach reaches: a record of accesses, people, a mail host that
// answers as it is told, and sessions that can be ended.
type exposed struct {
	mu       sync.Mutex
	records  []breach.Record
	holes    []breach.Hole
	people   []string                             // subjects
	answers  func(to string) (mail.Answer, error) // nil = all are taken
	sent     map[string]int                       // letters by address
	letters  []mail.Message
	alive    map[string]bool // sessions
	stubborn bool            // a session that is cut lives on
	lost     error           // nothing can be kept
	from     netip.Addr      // where the last wish to cut came from
	lessons  []incident.Lesson
	lifted   []string            // people who are let in again
	teams    map[string][]string // of a person
}

func (x *exposed) Walk(_ context.Context, _ breach.Selector, _ int64, fn func(*breach.Record) error) (breach.Coverage, error) {
	for i := range x.records {
		if err := fn(&x.records[i]); err != nil {
			return breach.Coverage{}, err
		}
	}
	return breach.Coverage{Size: 7, Holes: x.holes}, nil
}

func (x *exposed) Everybody(_ context.Context, fn func(string) error) error {
	for _, p := range x.people {
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

func (x *exposed) Tagged(_, route string) breach.Told {
	switch route {
	case "/contacts/":
		return breach.Told{Data: []string{breach.Contact}}
	case "/notes/":
		return breach.Told{Data: []string{breach.Contact}, Open: []string{"GET /notes/{id} /text"}}
	}
	return breach.Told{}
}

func (x *exposed) Named(_ context.Context, ref string) ([]string, error) {
	return []string{strings.TrimSuffix(ref, "@example.test")}, nil
}

func (x *exposed) Reach(context.Context) (func(string) []incident.Recipient, error) {
	return func(subject string) []incident.Recipient {
		kind, id, _ := strings.Cut(subject, "/")
		switch {
		case id == "gone", strings.HasPrefix(id, "x-"):
			return nil
		case id == "mute":
			return []incident.Recipient{{Person: id, Name: "Mute"}}
		case kind == "team":
			return []incident.Recipient{{Person: "admin-" + id, Team: id, Name: "Admin of " + id, Email: "admin-" + id + "@example.test"}}
		case kind == "person" && len(x.teams[id]) > 0:
			var out []incident.Recipient
			for _, t := range x.teams[id] {
				out = append(out, incident.Recipient{Person: id, Team: t, Name: "Name of " + id, Email: id + "@example.test"})
			}
			return out
		case kind == "person":
			return []incident.Recipient{{Person: id, Name: "Name of " + id, Email: id + "@example.test"}}
		}
		return nil
	}, nil
}

func (x *exposed) Admins(context.Context) (func(string) []incident.Recipient, error) {
	return func(person string) []incident.Recipient {
		if person == "alone" {
			return []incident.Recipient{{Person: "alone", Email: "alone-now@example.test"}, {Person: "second-account", Email: "Alone@example.test"}} // nobody else
		}
		return []incident.Recipient{{Person: "adm", Name: "Adm", Email: "adm@example.test"}, {Person: "mute", Name: "No address"}}
	}, nil
}

func (x *exposed) Deliver(_ context.Context, m mail.Message) (mail.Answer, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a, err := mail.Answer{Code: 250}, error(nil)
	if x.answers != nil {
		a, err = x.answers(m.To)
	}
	if err == nil || a.Handed {
		if x.sent == nil {
			x.sent = map[string]int{}
		}
		x.sent[m.To]++
		x.letters = append(x.letters, m)
	}
	return a, err
}

// rule is the one that fires on what was read.
const (
	rule  = "7d3b0b3e-0c0f-4a53-9d6e-1f5d0a3c9e01"
	blind = "7d3b0b3e-0c0f-4a53-9d6e-1f5d0a3c9e02"
)

func (x *exposed) Fires(ctx context.Context, id string, l incident.Lesson) (incident.Fired, error) {
	if id == blind {
		return incident.Fired{}, nil
	}
	if id != rule && id != incident.DrillRule {
		return incident.Fired{}, fault.Newf(fault.NotFound, "rule_unknown", "There is no such rule.")
	}
	f := incident.Fired{Hash: strings.Repeat("ab", 32)}
	if l.Reads != nil {
		if err := l.Reads(ctx, func(*breach.Record) error { f.Hits++; return nil }); err != nil {
			return f, err
		}
	}
	f.Says = fmt.Sprintf("A rule fires on %d requests", f.Hits)
	return f, nil
}

func (x *exposed) Keep(ctx context.Context, l incident.Lesson) (int64, string, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.lost != nil {
		return 0, "", x.lost
	}
	n := int64(len(l.Alarms))
	if l.Reads != nil {
		if err := l.Reads(ctx, func(*breach.Record) error { n++; return nil }); err != nil {
			return 0, "", err
		}
	}
	x.lessons = append(x.lessons, l)
	return n, strings.Repeat("cd", 32), nil
}

func (x *exposed) Kinds() []string { return []string{"session", incident.CutPerson} }

func (x *exposed) Cut(_ context.Context, _ actor.Actor, _ string, what incident.Cut) (string, string, error) {
	x.alive[what.ID], x.from = x.stubborn, what.From
	return "1 live session", "none", nil
}

func (x *exposed) Lift(_ context.Context, who actor.Actor, asked, _, id string) (string, error) {
	x.lifted = append(x.lifted, id+" by "+asked+" and "+who.ID)
	x.alive[id] = true
	return "may sign in", nil
}

func (x *exposed) Again(_ context.Context, _, id string) (bool, string, error) {
	if x.alive[id] {
		return false, "the session still works", nil
	}
	return true, "the session is refused", nil
}

// burst is an attacker's reading: thief read the contacts of two teams; of a third one only
// that its record was looked at.
func (x *exposed) burst(now time.Time) {
	x.people = []string{"team/t1", "team/t2", "team/t3", "person/ann", "person/bob", "person/cy"}
	for i := range 6 {
		r := breach.Record{At: now.Add(-time.Hour + time.Duration(i)*time.Second), Who: "thief", Person: true, Staff: true, Team: "staff", For: []string{"ann", "bob"}[i%2], Route: "/contacts/", Method: "GET", Status: 200, Out: 900}
		if i == 5 {
			r.For, r.Staff, r.Team, r.Person, r.Out = "", false, "t3", false, 0
		}
		x.records = append(x.records, r)
	}
	x.records = append(x.records, breach.Record{At: now.Add(-time.Hour), Who: "cy", Person: true, Team: "t1", Route: "/contacts/", Method: "GET", Status: 200, Out: 5})
}

// breached is an incident of kind breach, which dev commands and of which eve is privacy officer.
func (w *world) breached() incident.Case {
	w.t.Helper()
	c := w.declared()
	w.step("dev", c.Ref(), "acknowledge", "")
	w.ok(w.svc.TakeRole(w.t.Context(), w.as("dev"), c.Ref(), engine.Technical, ""))
	w.ok(w.svc.TakeRole(w.t.Context(), w.as("eve"), c.Ref(), engine.Privacy, ""))
	w.ok(w.svc.TakeRole(w.t.Context(), w.as("ana"), c.Ref(), engine.Scribe, ""))
	return w.ok(w.svc.Categorise(w.t.Context(), w.as("dev"), c.Ref(), incident.Sorting{Kinds: []string{"breach"}, Severity: 2}))
}

func (w *world) selector() breach.Selector {
	now := w.kit.Clock.Now()
	return breach.Selector{Principals: []string{"thief@example.test"}, From: now.Add(-48 * time.Hour), Until: now}
}

// signs has two people sign a thing as it stands.
func (w *world) signs(ref, object string, who ...string) {
	w.t.Helper()
	if len(who) == 0 {
		who = []string{"dev", "eve"}
	}
	v := w.exposure(ref)
	hash := v.Scope.Hash
	if object != "scope" {
		i := slices.IndexFunc(v.Papers, func(p incident.Paper) bool { return p.Kind == object })
		hash = v.Papers[i].Hash
	}
	for _, p := range who {
		w.ok(w.svc.Sign(w.t.Context(), w.as(p), ref, object, hash))
	}
}

func (w *world) exposure(ref string) incident.Exposure {
	w.t.Helper()
	v, err := w.svc.Exposure(w.t.Context(), w.as("eve"), ref)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

const secondBody = "Dear {name},\n\nsomebody has seen data of yours: {data}. It happened from {from} to {until}.\n\nWe have closed the way. Please change your password, and ask us whatever you want to know at {contact}."

// scoped takes a breach to where the set is frozen.
func (w *world) scoped(ref string) {
	w.t.Helper()
	w.step("eve", ref, "confirm", "")
	w.ok(w.svc.FreezeScope(w.t.Context(), w.as("eve"), ref, incident.NewScope{Selector: w.selector()}))
	w.signs(ref, "scope")
	w.step("eve", ref, "scope", "")
}

// notifying goes on to where letters go out.
func (w *world) notifying(ref string) {
	w.t.Helper()
	ctx := w.t.Context()
	w.ok(w.svc.DecideRisk(ctx, w.as("eve"), ref, incident.Risk{Level: "high", Reason: "Contacts of customers can be used to deceive them."}))
	w.signs(ref, "risk", "dev")
	w.step("eve", ref, "decide-risk", "")
	_, _, hash, err := w.svc.Pack(ctx, w.as("eve"), ref)
	if err != nil {
		w.t.Fatal(err)
	}
	w.ok(w.svc.FileReceipt(ctx, w.as("eve"), ref, incident.Receipt{Phase: "first", Pack: hash, Number: "A-17"}))
	w.step("eve", ref, "report", "")
	for _, class := range []breach.Class{breach.Obtained, breach.Accessed, breach.Possibly} {
		if w.exposure(ref).Scope.Counts[class] > 0 {
			w.ok(w.svc.WriteLetter(ctx, w.as("eve"), ref, class, incident.LetterText{Subject: "Your data at {company}", Body: secondBody}))
			w.ok(w.svc.TestLetter(ctx, w.as("eve"), ref, class, []string{"eve"}))
			w.signs(ref, "letter-"+class.String())
		}
	}
	w.step("eve", ref, "notify", "")
	w.worked()
}

func (w *world) sendAll() {
	w.t.Helper()
	for range 4 {
		if err := w.svc.TendLetters(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// finished goes on to the end.
func (w *world) finished(ref string) {
	w.t.Helper()
	ctx, now := w.t.Context(), w.kit.Clock.Now()
	w.step("eve", ref, "told", "")
	w.breach.alive = map[string]bool{"s1": true}
	w.ok(w.svc.Contain(ctx, w.as("dev"), ref, incident.Cut{Kind: "session", ID: "s1"}))
	w.ok(w.svc.FindOut(ctx, w.as("dev"), ref, incident.Research{Way: "A session of support was taken over.", First: now.Add(-3 * time.Hour), Last: now.Add(-time.Hour), Cause: "The laptop was not locked.", Unseen: "No alarm looks at nights.", Rule: rule}))
	w.signs(ref, "research")
	w.step("dev", ref, "research", "")
	w.ok(w.svc.Prevent(ctx, w.as("dev"), ref, incident.Measure{What: "Sessions of support end after ten minutes", Link: "auth.session", Test: "TestSupportEnds", Failed: "run 17: failed", Passes: "run 18: passed"}))
	w.signs(ref, "measure")
	w.step("dev", ref, "prevent", "")
}

// A breach goes its whole way on both databases: each of those concerned is told once, by
// class; the hold and the times of the law begin and end; then the incident can be closed.
func TestBreachGoesItsWay(t *testing.T) { // breaks: inc.breach-scope, inc.breach-notify, inc.breach-research, inc.breach-prevent
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		w.breach.burst(w.kit.Clock.Now())
		c := w.breached()
		if held, err := w.svc.HoldStands(t.Context()); err != nil || !held {
			t.Fatalf("no hold stands: %v", err)
		}
		w.scoped("I-1")
		v := w.exposure("I-1")
		want := map[breach.Class]int64{breach.Obtained: 2, breach.Accessed: 1, breach.Cleared: 3}
		if !maps.Equal(v.Scope.Counts, want) || !v.Scope.Whole() {
			t.Fatalf("%v", v.Scope.Counts)
		}
		w.notifying("I-1")
		w.sendAll()
		if got := fmt.Sprint(slices.Sorted(maps.Keys(w.breach.sent))); got != "[admin-t3@example.test ann@example.test bob@example.test]" {
			t.Fatalf("letters to %v", got)
		}
		for to, n := range w.breach.sent {
			if n != 1 {
				t.Errorf("%s has %d letters", to, n)
			}
		}
		l := w.breach.letters[slices.IndexFunc(w.breach.letters, func(m mail.Message) bool { return m.To == "ann@example.test" })]
		if !strings.Contains(l.Text, "data of yours: contact.") || !strings.Contains(l.Text, "Dear Name of ann") || l.Unsubscribe != "" || !strings.HasSuffix(l.ID, "@writ") {
			t.Errorf("%+v", l)
		}
		w.finished("I-1")
		if held, err := w.svc.HoldStands(t.Context()); err != nil || held {
			t.Errorf("the hold stays: %v", err)
		}
		v = w.exposure("I-1")
		for _, k := range v.Clocks {
			if k.Ended.IsZero() || k.Missed {
				t.Errorf("%+v", k)
			}
		}
		if got := w.show(c.Ref()).States[engine.B]; got != "B8" {
			t.Errorf("it stands at %s", got)
		}
		reg, err := w.svc.Register(t.Context(), w.as("eve"))
		if err != nil || len(reg) != 1 || reg[0].Risk != "high" || reg[0].Authority != "A-17" || reg[0].Obtained != 2 || reg[0].Letters != 3 || len(reg[0].Remedial) != 1 {
			t.Errorf("the register: %+v %v", reg, err)
		}
		if w.entries("letter-followed") != 3 || w.entries("scope-frozen") != 1 || w.entries("hold-lifted") != 1 || w.entries("breach-seen") == 0 {
			t.Error("the record lacks something")
		}
	}, tables...)
}

// The set is frozen with what nobody can know, is signed by two, and only grows; the bundle
// gives the same hash offline.
func TestScopeGrows(t *testing.T) { // breaks: inc.breach-scope
	w := open(t)
	w.breach.burst(w.kit.Clock.Now())
	w.breached()
	ctx := t.Context()
	w.step("eve", "I-1", "confirm", "")
	w.breach.holes = []breach.Hole{{From: w.kit.Clock.Now().Add(-2 * time.Hour), Until: w.kit.Clock.Now().Add(-time.Hour), Why: "records were dropped"}}
	w.ok(w.svc.FreezeScope(ctx, w.as("eve"), "I-1", incident.NewScope{Selector: w.selector()}))
	v := w.exposure("I-1")
	if v.Scope.Counts[breach.Cleared] != 0 || v.Scope.Counts[breach.Possibly] != 3 || len(v.Scope.Unknown()) != 1 {
		t.Fatalf("over a hole: %v %v", v.Scope.Counts, v.Scope.Unknown())
	}
	w.signs("I-1", "scope")
	_, err := w.svc.Take(ctx, w.as("eve"), "I-1", incident.Step{Event: "scope"})
	if guards, _ := w.kept(err); !slices.Equal(guards, []string{"scope-saved"}) {
		t.Errorf("the hole is not stated, and it is kept by %v", guards)
	}
	w.breach.holes = nil
	w.ok(w.svc.FreezeScope(ctx, w.as("eve"), "I-1", incident.NewScope{Selector: w.selector(), Statement: "Nobody knows what happened in that hour."}))
	v = w.exposure("I-1")
	if v.Scope.Version != 2 || v.Scope.Counts[breach.Possibly] != 3 || v.Scope.Counts[breach.Cleared] != 0 {
		t.Errorf("version %d has lost somebody: %v", v.Scope.Version, v.Scope.Counts)
	}
	_, err = w.svc.Take(ctx, w.as("eve"), "I-1", incident.Step{Event: "scope"})
	if guards, _ := w.kept(err); !slices.Equal(guards, []string{"scope-signed"}) {
		t.Errorf("the signatures of the version before count: %v", guards)
	}
	w.signs("I-1", "scope", "dev")
	w.kit.Clock.Advance(25 * time.Hour)
	w.signs("I-1", "scope", "eve")
	_, err = w.svc.Take(ctx, w.as("eve"), "I-1", incident.Step{Event: "scope"})
	if guards, _ := w.kept(err); !slices.Equal(guards, []string{"scope-signed"}) {
		t.Errorf("a signature of yesterday counts: %v", guards)
	}
	w.signs("I-1", "scope", "dev")
	w.step("eve", "I-1", "scope", "")
	var b bytes.Buffer
	if err := w.svc.BundleScope(ctx, w.as("eve"), "I-1", 2, &b); err != nil {
		t.Fatal(err)
	}
	r, wrong, err := breach.Check(ctx, bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(wrong) > 0 || r.Hash != v.Scope.Hash {
		t.Errorf("offline: %v %v", wrong, err)
	}
	w.breach.records = w.breach.records[1:]
	if err := w.svc.BundleScope(ctx, w.as("eve"), "I-1", 2, &bytes.Buffer{}); !errors.Is(err, fault.Conflict) {
		t.Errorf("the record was thinned out, and the bundle is made: %v", err)
	}
	if _, err := w.svc.Exposure(ctx, w.as("ben"), "I-1"); !errors.Is(err, fault.Denied) {
		t.Errorf("who has no role in it sees it: %v", err)
	}
	if _, err := w.svc.Sign(ctx, operator, "I-1", "scope", v.Scope.Hash); !errors.Is(err, fault.Denied) {
		t.Errorf("the operator signs: %v", err)
	}
}

// A field of which the description says nothing is unclassified: the set does not count until
// somebody says what it is, or states it. The subject has the categories of its fields.
func TestFieldsAreResolvedOrStated(t *testing.T) { // breaks: inc.breach-scope
	w := open(t)
	w.breach.burst(w.kit.Clock.Now())
	w.breach.records = []breach.Record{{At: w.kit.Clock.Now().Add(-time.Hour), Who: "thief", Staff: true, For: "ann", Route: "/notes/", Method: "GET", Status: 200, Out: 9}}
	w.breached()
	ctx := t.Context()
	w.step("eve", "I-1", "confirm", "")
	const field = "GET /notes/{id} /text"
	for _, x := range []struct {
		name, says string
		data       map[string][]string
		want       string // categories of ann, what is open, what keeps the step
	}{
		{"nobody says anything", "", nil, "[contact unclassified] [" + field + "] [scope-saved]"},
		{"another field", "", map[string][]string{"GET /notes/{id} /other": {"content"}}, "[contact unclassified] [" + field + "] [scope-saved]"},
		{"it is stated", "Notes hold what people write, of any kind.", nil, "[contact unclassified] [" + field + "] []"},
	} {
		w.ok(w.svc.FreezeScope(ctx, w.as("eve"), "I-1", incident.NewScope{Selector: w.selector(), Statement: x.says, Data: x.data}))
		if got := w.scopeStands(); got != x.want {
			t.Errorf("%s: %s, want %s", x.name, got, x.want)
		}
	}
	w = open(t)
	w.breach.records = []breach.Record{{At: w.kit.Clock.Now().Add(-time.Hour), Who: "thief", Staff: true, For: "ann", Route: "/notes/", Method: "GET", Status: 200, Out: 9}}
	w.breached()
	w.step("eve", "I-1", "confirm", "")
	for _, bad := range []string{"secret", "unclassified", ""} {
		if _, err := w.svc.FreezeScope(ctx, w.as("eve"), "I-1", incident.NewScope{Selector: w.selector(), Data: map[string][]string{field: {bad}}}); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q is a kind of data: %v", bad, err)
		}
	}
	w.ok(w.svc.FreezeScope(ctx, w.as("eve"), "I-1", incident.NewScope{Selector: w.selector(), Data: map[string][]string{field: {"none"}}}))
	if got, want := w.scopeStands(), "[contact] [] []"; got != want {
		t.Errorf("the field is nobody's data: %s, want %s", got, want)
	}
	w.ok(w.svc.FreezeScope(ctx, w.as("eve"), "I-1", incident.NewScope{Selector: w.selector(), Data: map[string][]string{field: {"special"}}}))
	if got, want := w.scopeStands(), "[contact special] [] []"; got != want {
		t.Errorf("the field is special: %s, want %s", got, want)
	}
	var b bytes.Buffer
	if err := w.svc.BundleScope(ctx, w.as("eve"), "I-1", 2, &b); err != nil {
		t.Fatal(err)
	}
	if _, wrong, err := breach.Check(ctx, bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil || len(wrong) > 0 {
		t.Errorf("offline: %v %v", wrong, err)
	}
}

// scopeStands is the newest set in short: the categories of ann, what is open, and what keeps the
// step beside signatures.
func (w *world) scopeStands() string {
	w.t.Helper()
	lines, _, err := w.svc.Lines(w.t.Context(), w.as("eve"), "I-1", 0, breach.Obtained, 0)
	if err != nil || len(lines) != 1 || lines[0].Subject != "person/ann" {
		w.t.Fatalf("%v %v", lines, err)
	}
	_, err = w.svc.Take(w.t.Context(), w.as("eve"), "I-1", incident.Step{Event: "scope"})
	guards, _ := w.kept(err)
	return fmt.Sprint(lines[0].Data, w.exposure("I-1").Scope.Open, slices.DeleteFunc(guards, func(g string) bool { return g == "scope-signed" }))
}

// The time at which a breach was known is not moved by one person, and the old times stay. It
// is told of as it goes by, never paused, and a late report needs its reason.
func TestTimesOfTheLaw(t *testing.T) { // breaks: inc.breach-notify
	w := open(t)
	w.breach.burst(w.kit.Clock.Now())
	w.breached()
	ctx, known := t.Context(), w.kit.Clock.Now()
	w.scoped("I-1")
	w.tend()
	if w.entries("clock-told") != 0 {
		t.Error("it is told of before its time")
	}
	for i, h := range []int{24, 48, 60, 68} {
		w.kit.Clock.Set(known.Add(time.Duration(h)*time.Hour + time.Minute))
		w.tend()
		w.tend()
		if got := w.entries("clock-told"); got != 2*(i+1) {
			t.Fatalf("after %d hours it is told of %d times", h, got)
		}
	}
	if got := w.post.to("incident.clock"); len(got) != 16 {
		t.Errorf("letters about the time to %v", got)
	}
	to := known.Add(-5 * time.Hour)
	w.ok(w.svc.MoveAware(ctx, w.as("eve"), "I-1", to, "The letter of the vendor came in the morning"))
	_, err := w.svc.MoveAware(ctx, w.as("eve"), "I-1", to, "The letter of the vendor came in the morning")
	if guards, _ := w.kept(err); !slices.Equal(guards, []string{"other-person"}) {
		t.Errorf("one person moves it: %v", guards)
	}
	if v := w.exposure("I-1"); !v.Aware.Equal(known) {
		t.Errorf("it was moved to %s by one", v.Aware)
	}
	w.ok(w.svc.MoveAware(ctx, w.as("dev"), "I-1", to, "I have seen that letter"))
	v := w.exposure("I-1")
	void := 0
	for _, k := range v.Clocks {
		if k.Name == "assessment" {
			continue
		}
		if k.Void {
			void++
		} else if !k.Began.Equal(to) || !k.Due.Equal(to.Add(72*time.Hour)) {
			t.Errorf("%+v", k)
		}
	}
	if !v.Aware.Equal(to) || void != 2 || len(v.Clocks) != 5 {
		t.Errorf("moved to %s, %d void of %d", v.Aware, void, len(v.Clocks))
	}
	w.tend()
	if e := w.kit.Recorded("incident.clock-told"); len(e) != 10 || e[9].Fields["missed"] != true {
		t.Error("that it is over is not told")
	}
	w.ok(w.svc.DecideRisk(ctx, w.as("eve"), "I-1", incident.Risk{Level: "high", Reason: "Contacts of customers can be used to deceive them."}))
	if _, err := w.svc.Sign(ctx, w.as("eve"), "I-1", "risk", v.Scope.Hash); !errors.Is(err, fault.Conflict) {
		t.Errorf("who decided it signs it: %v", err)
	}
	w.signs("I-1", "risk", "dev")
	w.step("eve", "I-1", "decide-risk", "")
	w.ok(w.svc.FileReceipt(ctx, w.as("eve"), "I-1", incident.Receipt{Phase: "first", Pack: strings.Repeat("a", 64), Number: "A-17"}))
	_, err = w.svc.Take(ctx, w.as("eve"), "I-1", incident.Step{Event: "report"})
	if guards, _ := w.kept(err); !slices.Equal(guards, []string{"authority-told"}) {
		t.Errorf("late without a reason: %v", guards)
	}
	w.ok(w.svc.FileReceipt(ctx, w.as("eve"), "I-1", incident.Receipt{Phase: "first", Pack: strings.Repeat("a", 64), Number: "A-17", Reason: "We learned of it from the vendor, and had to look first."}))
	w.step("eve", "I-1", "report", "")
}

// What became of each letter is known, or it is unknown and a person decides: no letter is
// sent again by itself. Who cannot be reached has a second channel.
func TestLettersFate(t *testing.T) { // breaks: inc.breach-notify
	w := open(t)
	now := w.kit.Clock.Now()
	w.breach.burst(now)
	for _, who := range []string{"lost", "hard", "soft", "mute", "gone"} {
		w.breach.records = append(w.breach.records, breach.Record{At: now.Add(-time.Hour), Who: "thief", Staff: true, For: who, Route: "/contacts/", Method: "GET", Status: 200, Out: 9})
	}
	busy := 2
	w.breach.answers = func(to string) (mail.Answer, error) {
		switch {
		case strings.HasPrefix(to, "lost"):
			return mail.Answer{Handed: true}, errors.New("the connection broke")
		case strings.HasPrefix(to, "hard"):
			return mail.Answer{Code: 550, Enhanced: "5.1.1"}, errors.New("no such box")
		case strings.HasPrefix(to, "soft") && busy > 0:
			busy--
			return mail.Answer{Code: 451}, errors.New("later")
		}
		return mail.Answer{Code: 250}, nil
	}
	w.breached()
	w.scoped("I-1")
	ctx := t.Context()
	w.notifying("I-1")
	w.ok(w.svc.Pace(ctx, w.as("eve"), "I-1", "paused", "The text has a mistake"))
	w.sendAll()
	if len(w.breach.sent) != 0 {
		t.Fatal("they go out while they are paused")
	}
	w.ok(w.svc.Pace(ctx, w.as("eve"), "I-1", "going", "It has none"))
	for range 8 {
		w.sendAll()
		w.kit.Clock.Advance(10 * time.Minute)
	}
	got := w.exposure("I-1").Letters
	if want := map[string]int64{"accepted": 4, "unknown": 1, "refused": 1, "unreachable": 1}; !maps.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
	for to, n := range w.breach.sent {
		if n != 1 {
			t.Errorf("%s has %d letters", to, n)
		}
	}
	_, err := w.svc.Take(ctx, w.as("eve"), "I-1", incident.Step{Event: "told"})
	if guards, _ := w.kept(err); !slices.Equal(guards, []string{"letters-final"}) {
		t.Errorf("kept by %v", guards)
	}
	if owed, err := w.svc.Owed(ctx, "hard"); err != nil || !owed {
		t.Errorf("who was not reached is not told at sign-in: %v", err)
	}
	rows, err := w.svc.LetterRows(ctx, w.as("eve"), "I-1", "", "unknown", "refused", "unreachable")
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, r := range rows {
		if _, err := w.svc.LetterTold(ctx, w.as("eve"), "I-1", r.ID, "by post on Monday"); (err == nil) == (r.State == "unknown") {
			t.Errorf("%s: %v", r.State, err)
		}
		if r.State == "unknown" {
			w.ok(w.svc.DecideLetter(ctx, w.as("eve"), "I-1", r.ID, false, "they have answered it"))
		}
	}
	w.step("eve", "I-1", "told", "")
	if w.breach.sent["lost@example.test"] != 1 {
		t.Error("what may have arrived was sent again")
	}
}

// Whoever joins a later version gets a letter; whoever has one that says the same gets none.
func TestLaterVersion(t *testing.T) { // breaks: inc.breach-notify
	w := open(t)
	now := w.kit.Clock.Now()
	w.breach.burst(now)
	w.breached()
	w.scoped("I-1")
	w.notifying("I-1")
	w.sendAll()
	w.breach.records = append(w.breach.records, breach.Record{At: now.Add(-time.Hour), Who: "thief", Staff: true, For: "dora", Route: "/contacts/", Method: "GET", Status: 200, Out: 9})
	w.ok(w.svc.FreezeScope(t.Context(), w.as("eve"), "I-1", incident.NewScope{Selector: w.selector()}))
	w.sendAll()
	if w.breach.sent["dora@example.test"] != 0 {
		t.Error("a version that nobody signed has letters")
	}
	w.signs("I-1", "scope")
	w.sendAll()
	if fmt.Sprint(w.breach.sent) != "map[admin-t3@example.test:1 ann@example.test:1 bob@example.test:1 dora@example.test:1]" {
		t.Errorf("%v", w.breach.sent)
	}
}

// A text that leads elsewhere, that nobody fills in, or that does not say which data, is
// refused; one that was not tried out, or was signed by one, sends nothing.
func TestLetterTexts(t *testing.T) { // breaks: inc.breach-notify
	w := open(t)
	w.breach.burst(w.kit.Clock.Now())
	w.breached()
	ctx := t.Context()
	for what, body := range map[string]string{
		"short":     "Dear {name}, {data}.",
		"elsewhere": secondBody + " Look at https://evil.example/x now.",
		"tracked":   secondBody + " Look at https://app.example.test.evil.example/ now.",
		"unfilled":  secondBody + " {secret}",
		"no data":   strings.ReplaceAll(secondBody, "{data}", "things"),
		"control":   secondBody + "\x07",
	} {
		if _, err := w.svc.WriteLetter(ctx, w.as("eve"), "I-1", breach.Obtained, incident.LetterText{Subject: "Your data", Body: body}); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.ok(w.svc.WriteLetter(ctx, w.as("eve"), "I-1", breach.Obtained, incident.LetterText{Subject: "Your data", Body: secondBody + " See https://app.example.test/-/status now."}))
	for _, class := range []breach.Class{breach.Obtained, breach.Accessed, breach.Possibly} {
		w.ok(w.svc.WriteLetter(ctx, w.as("eve"), "I-1", class, incident.LetterTemplate(class)))
	}
	w.scoped("I-1")
	msgs, err := w.svc.Preview(ctx, w.as("dev"), "I-1", breach.Obtained)
	if err != nil || len(msgs) != 2 || len(w.breach.sent) != 0 {
		t.Errorf("%d previews, %v", len(msgs), err)
	}
	w.ok(w.svc.DecideRisk(ctx, w.as("eve"), "I-1", incident.Risk{Level: "high", Reason: "Contacts of customers can be used to deceive them."}))
	w.signs("I-1", "risk", "dev")
	w.step("eve", "I-1", "decide-risk", "")
	w.ok(w.svc.FileReceipt(ctx, w.as("eve"), "I-1", incident.Receipt{Phase: "first", Reason: "The authority was told by telephone, and gives no number."}))
	w.step("eve", "I-1", "report", "")
	wanted := func(what string) {
		t.Helper()
		_, err := w.svc.Take(ctx, w.as("eve"), "I-1", incident.Step{Event: "notify"})
		if guards, _ := w.kept(err); !slices.Equal(guards, []string{"letter-signed"}) {
			t.Errorf("%s: %v", what, guards)
		}
	}
	wanted("nobody signed")
	w.signs("I-1", "letter-obtained")
	w.signs("I-1", "letter-accessed", "dev")
	wanted("signed by one, and not tried out")
	w.signs("I-1", "letter-accessed", "eve")
	w.ok(w.svc.TestLetter(ctx, w.as("eve"), "I-1", breach.Obtained, []string{"eve", "dev"}))
	wanted("one was not tried out")
	w.ok(w.svc.LeaveUntold(ctx, w.as("eve"), "I-1", breach.Accessed, "They have been told on the telephone, each of them."))
	w.ok(w.svc.TestLetter(ctx, w.as("eve"), "I-1", breach.Accessed, []string{"eve"}))
	w.kit.Clock.Advance(time.Second)
	w.ok(w.svc.WriteLetter(ctx, w.as("eve"), "I-1", breach.Obtained, incident.LetterText{Subject: "Your data once more", Body: secondBody}))
	wanted("it was changed after it was signed")
	w.ok(w.svc.TestLetter(ctx, w.as("eve"), "I-1", breach.Obtained, []string{"eve"}))
	w.signs("I-1", "letter-obtained")
	w.step("eve", "I-1", "notify", "")
	if got := w.post.to("incident.breach"); len(got) != 4 {
		t.Errorf("tests went to %v", got)
	}
}

// Whoever was cut is let in again by two people who want the same within a day, and by nobody else;
// each time anew.
func TestLiftIsByTwo(t *testing.T) { // breaks: inc.breach-research
	w := open(t)
	w.breach.burst(w.kit.Clock.Now())
	w.breached()
	w.breach.alive = map[string]bool{"eva": true, "s1": true}
	ctx := t.Context()
	const why = "her machine is clean again"
	lift := func(name, kind, id string) error {
		_, err := w.svc.Lift(ctx, w.as(name), "I-1", kind, id, why)
		return err
	}
	if err := lift("dev", incident.CutPerson, "eva"); !errors.Is(err, fault.NotFound) {
		t.Errorf("who was not cut is let in: %v", err)
	}
	for kind, id := range map[string]string{"session": "s1", incident.CutPerson: "eva"} {
		w.ok(w.svc.Contain(ctx, w.as("dev"), "I-1", incident.Cut{Kind: kind, ID: id}))
	}
	if v := w.exposure("I-1"); !v.Contained {
		t.Error("it is not contained")
	}
	if err := lift("dev", "session", "s1"); !errors.Is(err, fault.Invalid) {
		t.Errorf("a session is let in again: %v", err)
	}
	if _, err := w.svc.Lift(ctx, operator, "I-1", incident.CutPerson, "eva", why); !errors.Is(err, fault.Denied) {
		t.Errorf("the operator lifts: %v", err)
	}
	if err := lift("ben", incident.CutPerson, "eva"); !errors.Is(err, fault.Denied) {
		t.Errorf("who has no part in it lifts: %v", err)
	}
	asks := func(name string, want ...string) {
		t.Helper()
		if err := lift(name, incident.CutPerson, "eva"); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w.breach.lifted, want) {
			t.Errorf("after %s: %v, want %v", name, w.breach.lifted, want)
		}
	}
	asks("dev")
	if guards, _ := w.kept(lift("dev", incident.CutPerson, "eva")); !slices.Equal(guards, []string{"other-person"}) {
		t.Errorf("alone: %v", guards)
	}
	w.kit.Clock.Advance(25 * time.Hour)
	asks("eve") // what was asked yesterday is over
	w.kit.Clock.Advance(time.Minute)
	asks("dev", "eva by eve and dev")
	w.kit.Clock.Advance(time.Minute)
	asks("eve", "eva by eve and dev") // that was one yes, not two
	w.kit.Clock.Advance(time.Minute)
	asks("dev", "eva by eve and dev", "eva by eve and dev")
	var papers []string
	for _, p := range w.exposure("I-1").Papers {
		papers = append(papers, p.Kind)
	}
	if got := strings.Join(papers, " "); got != "lifted lift lifted lift lift cut cut" {
		t.Errorf("papers: %s", got)
	}
}

// A third party is worked with: questions, tasks with owner and time, statements by hash. What
// the attacker held is ended, and what does not hold when it is tried again keeps it open.
func TestContainAndThirdParty(t *testing.T) { // breaks: inc.breach-third-party, inc.breach-research
	w := open(t)
	w.breach.burst(w.kit.Clock.Now())
	w.breached()
	ctx := t.Context()
	w.ok(w.svc.Involve(ctx, w.as("eve"), "I-1", incident.Vendor{Name: "Cloud Co", Contact: "security@cloud.example", Case: "C-9", Questions: []string{"Which of your people could read it?"}}))
	w.ok(w.svc.AddTask(ctx, w.as("eve"), "I-1", incident.Task{What: "Fill in their form 12", Owner: "dev", Due: w.kit.Clock.Now().Add(time.Hour)}))
	w.ok(w.svc.Hear(ctx, w.as("eve"), "I-1", incident.Statement{Vendor: "Cloud Co", Text: "We have found nothing."}))
	v := w.exposure("I-1")
	if len(v.Tasks) != 1 || v.Tasks[0].Name != "Name of dev" || v.Tasks[0].What != "Fill in their form 12" || len(v.Papers) != 2 || v.Papers[0].Hash == "" {
		t.Fatalf("%+v", v)
	}
	w.ok(w.svc.EndTask(ctx, w.as("dev"), "I-1", v.Tasks[0].ID))
	if v := w.exposure("I-1"); v.Tasks[0].Done.IsZero() {
		t.Error("the task is not done")
	}
	w.breach.alive, w.breach.stubborn = map[string]bool{"s1": true, "s2": true, "s3": true}, true
	w.ok(w.svc.Contain(ctx, w.as("dev"), "I-1", incident.Cut{Kind: "session", ID: "s1"}))
	w.breach.stubborn = false
	w.ok(w.svc.Contain(ctx, w.as("dev"), "I-1", incident.Cut{Kind: "session", ID: "s2"}))
	if v := w.exposure("I-1"); v.Contained {
		t.Error("one that still works is contained")
	}
	w.ok(w.svc.Contain(ctx, w.as("dev"), "I-1", incident.Cut{Kind: "session", ID: "s1"}))
	if v := w.exposure("I-1"); !v.Contained {
		t.Error("it is not contained")
	}
	if _, err := w.svc.Contain(ctx, w.as("ben"), "I-1", incident.Cut{Kind: "session", ID: "s2"}); !errors.Is(err, fault.Denied) {
		t.Errorf("who has no role cuts: %v", err)
	}
	w.ok(w.svc.TakeRole(ctx, w.as("dev"), "I-1", engine.Scribe, "fay")) // an auditor: a part in it, and no right to act
	for name, who := range map[string]actor.Actor{"an auditor": w.as("fay"), "a customer": {Kind: actor.Person, ID: "carl", Team: "t1", TeamKind: "customer", Roles: []string{"admin"}, Session: "s"}} {
		if _, err := w.svc.Contain(ctx, who, "I-1", incident.Cut{Kind: "session", ID: "s3"}); !errors.Is(err, fault.Denied) || !w.breach.alive["s3"] {
			t.Errorf("%s cuts: %v, and the session lives: %v", name, err, w.breach.alive["s3"])
		}
	}
	a := w.posts(w.as("dev"), "I-1/breach/cuts", `{"kind":"session","id":"s3"}`)
	if from := w.breach.from.String(); a.Code != http.StatusOK || from != "192.0.2.1" {
		t.Errorf("%d %s: whoever cuts comes from %s", a.Code, a.Body, from)
	}
}

// No breach is dismissed by one person, and what was held is free then.
func TestDismiss(t *testing.T) { // breaks: inc.breach-research
	w := open(t)
	w.breached()
	ctx := t.Context()
	w.ok(w.svc.Dismiss(ctx, w.as("eve"), "I-1", incident.Dismissal{Reason: "The file was empty: nobody's data was in it."}))
	w.signs("I-1", "dismissal", "eve")
	_, err := w.svc.Take(ctx, w.as("eve"), "I-1", incident.Step{Event: "dismiss", Reason: "an empty file"})
	if guards, _ := w.kept(err); !slices.Equal(guards, []string{"dismissal-signed"}) {
		t.Errorf("kept by %v", guards)
	}
	w.signs("I-1", "dismissal", "dev")
	w.step("eve", "I-1", "dismiss", "an empty file")
	if held, _ := w.svc.HoldStands(ctx); held {
		t.Error("the hold stays")
	}
	w.breach.alive = map[string]bool{"s1": true}
	if _, err := w.svc.Contain(ctx, w.as("dev"), "I-1", incident.Cut{Kind: "session", ID: "s1"}); err == nil || !w.breach.alive["s1"] {
		t.Errorf("something is cut where there is no breach any more: %v", err)
	}
}
