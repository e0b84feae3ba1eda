package rota_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
	"writ/internal/notify"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/watch"
	"writ/internal/watch/rota"
)

var (
	operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}
	auditor  = actor.Actor{Kind: actor.Person, ID: "aud", Team: "staff", TeamKind: "staff", Roles: []string{"auditor"}, Session: "s", ACR: 2, FactorAt: ledgertest.Start, Via: "https"}
)

func (w *world) engineer(id string) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: id, Team: "staff", TeamKind: "staff", Roles: []string{"engineer"}, Session: "s", ACR: 2, FactorAt: w.Clock.Now(), Via: "https"}
}

// world is rotas over a ledger, of four people, of whom ora is an owner.
type world struct {
	*ledgertest.Kit
	t       *testing.T
	jobs    *jobs.Jobs
	notify  *notify.Service
	s       *rota.Service
	people  []rota.Person
	letters chan mail.Message
}

func (w *world) Deliver(_ context.Context, m mail.Message) (mail.Answer, error) {
	w.letters <- m
	return mail.Answer{Code: 250}, nil
}

func open(t *testing.T, k *ledgertest.Kit) *world {
	t.Helper()
	w := &world{Kit: k, t: t, letters: make(chan mail.Message, 100)}
	for _, id := range []string{"ana", "ben", "cleo", "ora"} {
		w.people = append(w.people, rota.Person{ID: "p-" + id, Handle: id, Email: id + "@example.test", Owner: id == "ora"})
	}
	w.jobs = jobs.New(jobs.Deps{DB: k.DB, Keys: k.Ring, Now: k.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	var err error
	w.notify, err = notify.New(notify.Deps{DB: k.DB, Keys: k.Ring, Mail: w, Jobs: w.jobs, Company: func() string { return "Example" }, Now: k.Clock.Now, Log: slog.New(slog.DiscardHandler), Folder: t.TempDir()})
	must(t, err)
	w.s, err = rota.New(rota.Deps{DB: k.DB, Access: policytest.Access(k.DB, k.Clock.Now), Notify: w.notify, Origin: "https://app.example.test", Now: k.Clock.Now,
		People: func(context.Context) ([]rota.Person, error) { return slices.Clone(w.people), nil }})
	must(t, err)
	return w
}

func both(t *testing.T, fn func(w *world)) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) { fn(open(t, k)) }, jobs.Schema(), notify.Schema(), watch.Schema())
}

func lite(t *testing.T) *world {
	return open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema(), watch.Schema()))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func code(err error) string { c, _ := fault.PublicOf(err); return c }

func (w *world) set(name string, people ...string) {
	w.t.Helper()
	must(w.t, w.s.Set(w.t.Context(), operator, rota.Wish{Rota: name, People: people, Zone: "Europe/Berlin", Day: "Monday", At: "09:00"}))
}

// told is who is told at a level, by handle; "everybody" where no rota says so.
func (w *world) told(level int64) string {
	w.t.Helper()
	ps, ok, err := w.s.Told(w.t.Context(), level)
	must(w.t, err)
	if !ok {
		return "everybody"
	}
	var out []string
	for _, p := range ps {
		out = append(out, p.Handle)
	}
	return strings.Join(out, " ")
}

func (w *world) look() (out []string) {
	w.t.Helper()
	rs, err := w.s.Look(w.t.Context())
	must(w.t, err)
	for _, r := range rs {
		if r.Value > 0 {
			out = append(out, r.Label)
		}
	}
	return out
}

// at sets the clock to an hour of Berlin.
func (w *world) at(text string) {
	w.t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	must(w.t, err)
	t, err := time.ParseInLocation("2006-01-02 15:04", text, berlin)
	must(w.t, err)
	w.Clock.Set(t)
}

// queued counts letters about something.
func (w *world) queued(about string) int {
	w.t.Helper()
	ds, err := w.notify.Deliveries(w.t.Context(), notify.Query{About: about})
	must(w.t, err)
	return len(ds)
}

// Whose turn it is goes first, the second with them, and then the owners. Turns change by the
// clock on the wall, also in the week in which the clocks change.
func TestTurnsAndLevels(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		w.at("2026-10-20 12:00")
		if got := w.told(0); got != "everybody" {
			w.t.Errorf("without a rota %s", got)
		}
		w.set("first", "ana", "ben@example.test", "p-cleo")
		for level, want := range []string{"ana", "ana ben", "ana ben ora", "ana ben ora"} {
			if got := w.told(int64(level)); got != want {
				w.t.Errorf("level %d: %s, want %s", level, got, want)
			}
		}
		for _, c := range []struct{ at, first string }{ // the clocks go back on 25 October
			{"2026-10-26 08:59", "ana"}, {"2026-10-26 09:00", "ben"}, {"2026-11-02 08:59", "ben"}, {"2026-11-02 09:00", "cleo"}, {"2026-11-09 09:00", "ana"}, {"2027-03-29 08:59", "ben"}, {"2027-03-29 09:00", "cleo"}, // and forth on 28 March

		} {
			w.at(c.at)
			if got := w.told(0); got != c.first {
				w.t.Errorf("%s: %s, want %s", c.at, got, c.first)
			}
		}
		w.at("2026-10-27 12:00")
		w.set("second", "ora", "ana")
		if got := w.told(1); got != "ben ora" {
			w.t.Errorf("with a second rota %s", got)
		}
		w.people = w.people[2:] // ana and ben have left
		if got := w.told(0); got != "everybody" {
			w.t.Errorf("whose turn it is has left, and it is told %s", got)
		}
		if got := w.told(1); got != "ora" {
			w.t.Errorf("%s", got)
		}
		must(w.t, w.s.Remove(w.t.Context(), operator, "first"))
		if got := w.told(0); got != "everybody" {
			w.t.Errorf("after its end %s", got)
		}
		if err := w.s.Remove(w.t.Context(), operator, "first"); !errors.Is(err, fault.NotFound) {
			w.t.Errorf("removed twice: %v", err)
		}
	})
}

// A rota is refused that could not be kept, and to whoever may not.
func TestRotaRefused(t *testing.T) {
	w := lite(t)
	good := rota.Wish{Rota: "first", People: []string{"ana"}, Zone: "Europe/Berlin", Day: "monday", At: "09:00"}
	for want, change := range map[string]func(*rota.Wish){
		"oncall_rota": func(x *rota.Wish) { x.Rota = "third" }, "oncall_people": func(x *rota.Wish) { x.People = []string{"ana", "sue"} }, "oncall_zone": func(x *rota.Wish) { x.Zone = "Berlin" },
		"oncall_day": func(x *rota.Wish) { x.Day = "someday" }, "oncall_at": func(x *rota.Wish) { x.At = "25:00" },
	} {
		x := good
		change(&x)
		if err := w.s.Set(t.Context(), operator, x); code(err) != want {
			t.Errorf("%+v: %v, want %s", x, err, want)
		}
	}
	x := good
	x.Rota = "second"
	if err := w.s.Set(t.Context(), operator, x); code(err) != "oncall_rota" {
		t.Errorf("a second without a first: %v", err)
	}
	if x.Rota, x.People = "first", nil; code(w.s.Set(t.Context(), operator, x)) != "oncall_people" {
		t.Error("a rota of nobody")
	}
	if err := w.s.Set(t.Context(), auditor, good); !errors.Is(err, fault.Denied) {
		t.Errorf("an auditor: %v", err)
	}
	if _, err := w.s.Override(t.Context(), auditor, rota.Ask{Rota: "first", By: "ben"}); !errors.Is(err, fault.Denied) {
		t.Errorf("an auditor asks: %v", err)
	}
}

// A turn changes hands when both have said so, each for themselves; a swap gives one back.
func TestOverrideNeedsBoth(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		w.at("2026-11-03 12:00")
		w.set("first", "ana", "ben", "cleo")
		ask := func(who actor.Actor, a rota.Ask) rota.Override {
			w.t.Helper()
			a.Rota = "first"
			o, err := w.s.Override(w.t.Context(), who, a)
			must(w.t, err)
			return o
		}
		o := ask(operator, rota.Ask{By: "ben", From: "2026-11-04 18:00", Until: "2026-11-05 08:00", BackFrom: "2026-11-10 18:00", BackUntil: "2026-11-11 08:00"})
		if n := w.queued("override/" + o.ID); n != 2 {
			w.t.Errorf("%d letters to the two", n)
		}
		who := func(at, want string) {
			w.t.Helper()
			now := w.Clock.Now()
			if w.at(at); w.told(0) != want {
				w.t.Errorf("%s: %s, want %s", at, w.told(0), want)
			}
			w.Clock.Set(now)
		}
		agree := func(as, want string) {
			w.t.Helper()
			if _, err := w.s.Agree(w.t.Context(), w.engineer(as), o.ID); code(err) != want && (want != "" || err != nil) {
				w.t.Errorf("%s agrees: %v, want %q", as, err, want)
			}
		}
		agree("p-cleo", "override_theirs")
		if _, err := w.s.Agree(w.t.Context(), operator, o.ID); code(err) != "override_theirs" {
			w.t.Errorf("the operator agrees for somebody: %v", err)
		}
		if len(w.Recorded("watch.override-refused")) != 2 {
			w.t.Error("the refusals are not recorded")
		}
		agree("p-ana", "")
		agree("p-ana", "override_settled")
		who("2026-11-04 19:00", "ana") // one of two
		agree("p-ben", "")
		who("2026-11-04 17:59", "ana")
		who("2026-11-04 18:00", "ben")
		who("2026-11-05 08:00", "ana")
		who("2026-11-10 18:00", "ana")
		who("2026-11-11 08:00", "ben")
		if err := w.s.Decline(w.t.Context(), w.engineer("p-ben"), o.ID); code(err) != "override_settled" {
			w.t.Errorf("ended by one of two: %v", err)
		}
		if n := w.queued("override/" + o.ID); n != 4 {
			w.t.Errorf("%d letters in all", n)
		}
		o = ask(w.engineer("p-cleo"), rota.Ask{By: "cleo", Until: "2026-11-03 20:00"}) // whoever asks has agreed
		agree("p-cleo", "override_settled")
		must(w.t, w.s.Decline(w.t.Context(), w.engineer("p-ana"), o.ID))
		agree("p-ana", "override_unknown")
		o = ask(w.engineer("p-cleo"), rota.Ask{By: "cleo", Until: "2026-11-03 20:00"})
		w.set("first", "ben", "ana")
		agree("p-ana", "override_moved") // it is ben's turn now
	})
}

func TestOverrideRefused(t *testing.T) {
	w := lite(t)
	w.at("2026-11-03 12:00")
	if _, err := w.s.Override(t.Context(), operator, rota.Ask{Rota: "first", By: "ben", Until: "2026-11-04 18:00"}); code(err) != "rota_unknown" {
		t.Errorf("without a rota: %v", err)
	}
	w.set("first", "ana", "ben", "cleo")
	for want, a := range map[string]rota.Ask{
		"oncall_by":         {By: "sue", Until: "2026-11-04 18:00"},
		"oncall_until":      {By: "ben", Until: "tomorrow"},
		"oncall_from":       {By: "ben", From: "2026-11-08 12:00", Until: "2026-11-09 12:00"}, // two turns
		"oncall_back_from":  {By: "ben", Until: "2026-11-04 18:00", BackFrom: "2026-11-17 12:00", BackUntil: "2026-11-17 13:00"},
		"oncall_back_until": {By: "ben", Until: "2026-11-04 18:00", BackFrom: "2026-11-10 12:00"},
	} {
		a.Rota = "first"
		if _, err := w.s.Override(t.Context(), operator, a); code(err) != want {
			t.Errorf("%+v: %v, want %s", a, err, want)
		}
	}
	for name, a := range map[string]rota.Ask{"over": {From: "2026-11-01 12:00", Until: "2026-11-02 12:00"}, "backwards": {From: "2026-11-05 12:00", Until: "2026-11-04 12:00"}, "next year": {From: "2027-11-05 12:00", Until: "2027-11-05 13:00"}} {
		a.Rota, a.By = "first", "cleo"
		if _, err := w.s.Override(t.Context(), operator, a); code(err) != "oncall_from" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.s.Override(t.Context(), operator, rota.Ask{Rota: "first", By: "ana", Until: "2026-11-04 18:00"}); code(err) != "oncall_by" {
		t.Errorf("their own turn: %v", err)
	}
}

// A turn is announced once, to whose it is and whose it was.
func TestHandOver(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		w.at("2026-11-03 12:00")
		w.set("first", "ana", "ben")
		for range 2 {
			w.look()
		}
		if n := w.queued("rota/first"); n != 1 {
			w.t.Fatalf("%d letters at the beginning", n)
		}
		w.at("2026-11-09 08:59")
		w.look()
		w.at("2026-11-09 09:00")
		for range 2 {
			w.look()
		}
		if n := w.queued("rota/first"); n != 3 {
			w.t.Errorf("%d letters after the hand-over, want one to each", n)
		}
		es := w.Recorded("watch.turn-begun")
		if len(es) != 2 || es[1].Fields["person"] != "p-ben" || es[1].Fields["former"] != "p-ana" {
			w.t.Errorf("%+v", es)
		}
	})
}

// A turn that nobody could be told in is seen before it comes.
func TestGap(t *testing.T) { // breaks: mon.notify
	w := lite(t)
	w.at("2026-11-03 12:00")
	if got := w.look(); got != nil {
		t.Errorf("without a rota %v", got)
	}
	w.set("first", "ana", "ben", "cleo")
	w.set("second", "ora")
	if got := w.look(); got != nil {
		t.Errorf("%v", got)
	}
	all := w.people
	w.people = append(slices.Clone(all[:2]), all[3]) // cleo has left; her turn is in a fortnight
	w.at("2026-11-02 12:00")
	if got := w.look(); got == nil || got[0] != "first" {
		t.Errorf("cleo's turn in less than two weeks: %v", got)
	}
	b, err := w.s.Board(t.Context(), auditor)
	if err != nil || len(b.Gaps) != 1 || b.Gaps[0].Person != "p-cleo" || b.Gaps[0].Why != rota.Left {
		t.Errorf("%+v: %v", b.Gaps, err)
	}
	w.people = all
	w.set("second", "ana", "ora")
	if got := w.look(); len(got) != 1 || got[0] != "second" { // ana is both
		t.Errorf("%v", got)
	}
	w.set("second", "ora")
	_, _, err = w.notify.AddChannel(t.Context(), operator, "folder", notify.File, secret.Text{})
	must(t, err)
	_, err = w.notify.Test(t.Context(), operator, "folder", "")
	must(t, err)
	if got := w.look(); got != nil {
		t.Errorf("a test on its way: %v", got)
	}
	w.Clock.Advance(61 * time.Minute)
	if got := w.look(); len(got) != 1 || got[0] != "channels" {
		t.Errorf("a channel took no test: %v", got)
	}
}
