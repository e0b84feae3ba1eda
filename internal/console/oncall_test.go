package console_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/watch"
	"writ/internal/watch/rota"
)

// onCall is what the page asks of rotas.
type onCall struct {
	board rota.Board
	did   []string
}

func (o *onCall) Board(context.Context, actor.Actor) (rota.Board, error) { return o.board, nil }

func (o *onCall) Set(_ context.Context, _ actor.Actor, w rota.Wish) error {
	if w.Day == "" {
		return fault.New(fault.Invalid, "oncall_day", fault.Public{Problem: "The day of the hand-over is not good.", Fields: []fault.Field{{Name: "day", Code: "oncall_day", Problem: "A day of the week, such as monday."}}})
	}
	o.did = append(o.did, fmt.Sprint("set ", w))
	return nil
}

func (o *onCall) Remove(_ context.Context, _ actor.Actor, name string) error {
	o.did = append(o.did, "remove "+name)
	return nil
}

func (o *onCall) Override(_ context.Context, _ actor.Actor, a rota.Ask) (rota.Override, error) {
	if a.Until == "" {
		return rota.Override{}, fault.New(fault.Invalid, "oncall_until", fault.Public{Problem: "A time is not understood.", Fields: []fault.Field{{Name: "until", Code: "oncall_until", Problem: "Such as 2026-11-30 09:00."}}})
	}
	o.did = append(o.did, fmt.Sprint("ask ", a))
	return rota.Override{}, nil
}

func (o *onCall) Agree(_ context.Context, _ actor.Actor, id string) (rota.Override, error) {
	o.did = append(o.did, "agree "+id)
	return rota.Override{}, nil
}

func (o *onCall) Decline(_ context.Context, _ actor.Actor, id string) error {
	o.did = append(o.did, "decline "+id)
	return nil
}

// The page says who is called, in which order, what is amiss, and whose word is waited for.
func TestOnCallPage(t *testing.T) { // breaks: mon.notify
	w, a := watched(t)
	now := w.kit.Clock.Now()
	o := &onCall{board: rota.Board{People: []rota.Person{{ID: w.ids["dev"], Handle: "dev"}, {ID: w.ids["ana"], Handle: "ana", Owner: true}}}}
	w.console.OnCall = o
	w.mount()
	const at = "/-/console/watch/oncall"
	w.get("emil", at).want(200, "No rota is set: engineers are told first", "none has arrived yet", "nobody outside listens", "watch.heartbeat_url")
	a.pulse = watch.Pulse{At: now, Took: 12 * time.Millisecond, Listens: true, Heard: now}
	w.get("emil", at).want(200, "took 12 ms", "is told each minute")
	a.pulse = watch.Pulse{At: now, Missed: 3, Listens: true, Unheard: "no route to host"}
	w.get("emil", at).want(200, "does not arrive", "is not told", "no route to host")
	turn := func(dev, ana string) rota.Shift {
		return rota.Shift{From: now, Until: now.Add(24 * time.Hour), First: rota.Turn{Person: w.ids[dev]}, Second: rota.Turn{Person: w.ids[ana], Instead: w.ids["ben"]}}
	}
	r, err := rota.Read(rota.Wish{Rota: rota.First, People: []string{"dev", "ana"}, Zone: "Europe/Berlin", Day: "monday", At: "09:00"}, o.board.People)
	if err != nil {
		t.Fatal(err)
	}
	o.board.Rotas, o.board.Ahead = []rota.Rota{r}, []rota.Shift{turn("dev", "ana"), turn("ana", "dev")}
	o.board.Gaps, o.board.Channels = []rota.Gap{{Rota: rota.Second, From: now, Person: w.ids["ben"], Why: rota.Left}}, []string{"ops"}
	o.board.Overrides = []rota.Override{
		{ID: "o1", Rota: rota.First, From: now, Until: now.Add(time.Hour), Of: w.ids["dev"], By: w.ids["ana"], Made: now, MadeBy: "person/" + w.ids["ana"], ByAgreed: now},
		{ID: "o2", Rota: rota.First, From: now, Until: now.Add(time.Hour), Of: w.ids["ben"], By: w.ids["ana"], Made: now, MadeBy: "operator/0", OfAgreed: now, ByAgreed: now},
	}
	body := w.get("dev", at).want(200, "is on call until", "Told first", "instead of", "cannot be told", "the channel ops took no test", "The weeks ahead", "has not agreed yet", "stands", "You are asked", "I agree", "Decline it", "Set the rota").Body.String()
	if strings.Count(body, `value="o1"`) != 2 || strings.Contains(body, `value="o2"`) {
		t.Error("what waits for the reader's word is not what is asked of them")
	}
	if body := w.get("emil", at).want(200, "asked for").Body.String(); strings.Contains(body, "<button type=\"submit\">I agree") || strings.Contains(body, "Set the rota") {
		t.Error("an auditor is offered to act")
	}
	if body := w.get("ana", at).want(200).Body.String(); strings.Contains(body, "You are asked") {
		t.Error("whoever has agreed is asked again")
	}
	for _, path := range []string{"/set", "/remove", "/override", "/agree", "/decline"} {
		w.post("emil", at+path, url.Values{}).want(403)
	}
	w.post("dev", at+"/set", url.Values{"people": {"dev"}}).want(422, "A day of the week")
	w.post("dev", at+"/set", url.Values{"rota": {"first"}, "people": {"dev, ana"}, "day": {"monday"}, "at": {"09:00"}, "zone": {"Europe/Berlin"}}).want(303)
	w.post("dev", at+"/override", url.Values{"rota": {"first"}}).want(422, "Such as 2026-11-30 09:00").cameBack("Ask that a turn changes hands")
	w.post("dev", at+"/override", url.Values{"rota": {"first"}, "by": {"x"}, "until": {"2026-12-01 09:00"}}).want(303)
	w.post("dev", at+"/agree", url.Values{"override": {"o1"}}).want(303)
	w.post("dev", at+"/decline", url.Values{"override": {"o1"}}).want(303)
	w.post("dev", at+"/remove", url.Values{"rota": {"second"}}).want(303)
	want := "set {first [dev ana] Europe/Berlin monday 09:00}; ask {first x  2026-12-01 09:00  }; agree o1; decline o1; remove second"
	if got := strings.Join(o.did, "; "); got != want {
		t.Errorf("did  %s\nwant %s", got, want)
	}
	w.get("dev", "/-/console/watch").want(200, "Who is on call")
}
