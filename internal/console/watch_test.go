package console_test

import (
	"context"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/journal"
	"writ/internal/notify"
	"writ/internal/secret"
	"writ/internal/watch"
	"writ/internal/watch/series"
	"writ/internal/web"
)

// alarmed is what the pages ask of watch, with one alarm of each state.
type alarmed struct {
	alarms   []watch.Alarm
	silences []watch.Silence
	own      []watch.Version
	pulse    watch.Pulse
	usual    bool   // what is usual is known
	team     string // of which something is learned
	did      []string
	looked   []watch.Question
	routing  watch.Routing
	taken    watch.Taken
}

func (a *alarmed) Alarms(context.Context, actor.Actor, watch.Query) ([]watch.Alarm, error) {
	return a.alarms, nil
}

func (a *alarmed) Alarm(_ context.Context, _ actor.Actor, id string) (watch.Detail, error) {
	for _, x := range a.alarms {
		if x.ID == id {
			return watch.Detail{Alarm: x, Evidence: []int64{7, 8}, Steps: []watch.Step{{At: x.Fired, What: "fired", Who: "writ/watch"}, {At: x.Fired, What: "told", Who: "writ/watch"}},
				Deliveries: []notify.Delivery{{ID: "d1", Channel: "mail", About: "alarm/" + id, State: notify.Accepted, Tries: 1, Made: x.Fired, Ended: x.Fired, Code: "250"},
					{ID: "d2", Channel: "ops", About: "alarm/" + id, State: notify.Unknown, Tries: 1, Made: x.Fired, Ended: x.Fired, Code: "no_answer"}}}, nil
		}
	}
	return watch.Detail{}, fault.New(fault.NotFound, "alarm_unknown", fault.Public{Problem: "There is no such alarm."})
}

func (a *alarmed) Bundle(_ context.Context, _ actor.Actor, id string, w io.Writer) error {
	_, err := io.WriteString(w, "the evidence of "+id)
	return err
}

func (a *alarmed) Acknowledge(_ context.Context, who actor.Actor, id, note string) error {
	a.did = append(a.did, "ack "+id+" "+note)
	return nil
}

func (a *alarmed) Close(_ context.Context, who actor.Actor, id, verdict, note string) error {
	if verdict == "" {
		return fault.New(fault.Invalid, "watch_verdict", fault.Public{Problem: "There is no such verdict.", Fields: []fault.Field{{Name: "verdict", Code: "watch_verdict", Problem: "true, benign, false or test."}}})
	}
	a.did = append(a.did, "close "+id+" "+verdict+" "+note)
	return nil
}

// Look answers with 24 points, of which the third was not observed, and two groups.
func (a *alarmed) Look(_ context.Context, _ actor.Actor, q watch.Question) (watch.Picture, error) {
	a.looked = append(a.looked, q)
	out := watch.Picture{Question: q}
	for _, m := range watch.Meters() {
		if m.Name == q.Meter {
			out.Of = m
		}
	}
	if out.Step == 0 {
		out.Step = q.Until.Sub(q.From) / 24
	}
	for i := range 24 {
		p := series.Point{At: q.From.Add(time.Duration(i) * out.Step), Value: float64(10 * i), Count: int64(i), High: float64(12 * i), P50: float64(1000 * i), P95: float64(2000 * i), P99: float64(3000 * i), Observed: 1}
		if i == 2 || i == 3 {
			p = series.Point{At: p.At}
		}
		out.Points = append(out.Points, p)
		if a.usual {
			out.Usual = append(out.Usual, watch.Expect{At: p.At, Low: 5, Expected: 40, High: 90, Known: true})
		}
	}
	if q.By != "" && q.Label == "" {
		out.Groups = []series.Row{{Meter: q.Meter, Dimension: q.By, Label: "/orders/{id}?<x>", Point: series.Point{Value: 1234, Count: 1234, P50: 4000, P95: 9000}, Error: 300}, {Label: "other", Point: series.Point{Value: 5, Count: 5}}}
	}
	return out, nil
}

func (a *alarmed) RulesFor(context.Context, actor.Actor) ([]watch.Standing, error) {
	var out []watch.Standing
	for _, r := range watch.Pack() {
		out = append(out, watch.Standing{Rule: r, Precision: 1})
	}
	out[0].Fired, out[0].Verdicts, out[0].Precision = a.alarms[0].Fired, 4, 0.75
	return out, nil
}

func (a *alarmed) Silences(context.Context, actor.Actor) ([]watch.Silence, error) {
	return a.silences, nil
}

func (a *alarmed) ReadSilence(ms []string, minutes int64) ([]watch.Matcher, time.Time, error) {
	return (&watch.Service{Deps: watch.Deps{Now: time.Now}}).ReadSilence(ms, minutes)
}

func (a *alarmed) MakeSilence(_ context.Context, _ actor.Actor, in watch.Wish) (watch.Silence, error) {
	a.did = append(a.did, "silence "+in.Matchers[0].String()+" "+in.Reason+" "+in.Link)
	return watch.Silence{}, nil
}

func (a *alarmed) SilenceOf(_ context.Context, _ actor.Actor, id string) (watch.Kept, error) {
	if id != "q1" {
		return watch.Kept{}, fault.New(fault.NotFound, "silence_unknown", fault.Public{Problem: "There is no such silence."})
	}
	return watch.Kept{Silence: a.silences[0], Versions: a.silences[:2], Alarms: a.alarms[:1]}, nil
}

func (a *alarmed) ApproveSilence(_ context.Context, _ actor.Actor, id string) error {
	a.did = append(a.did, "approve "+id)
	return nil
}

func (a *alarmed) PulseFor(context.Context, actor.Actor) (watch.Pulse, error) { return a.pulse, nil }

func (a *alarmed) Mutes(context.Context, actor.Actor) ([]watch.Mute, error) {
	m, err := watch.ReadMute(watch.MuteWish{Name: "nights", From: "20:00", To: "07:00"})
	return []watch.Mute{m}, err
}

func (a *alarmed) Kinds() []string { return []string{"webhook", "telegram"} }

func (a *alarmed) AddChannel(_ context.Context, _ actor.Actor, name, kind string, address secret.Text) (notify.Channel, secret.Text, error) {
	if address.Reveal() == "" {
		return notify.Channel{}, secret.Text{}, fault.New(fault.Invalid, "channel_url", fault.Public{Problem: "The address of the channel is not good.", Fields: []fault.Field{{Name: "url", Code: "channel_url", Problem: "The token of a bot."}}})
	}
	a.did = append(a.did, "add "+name+" "+kind)
	if kind == "webhook" {
		return notify.Channel{Name: name}, secret.NewText("whsec_once"), nil
	}
	return notify.Channel{Name: name}, secret.Text{}, nil
}

func (a *alarmed) EndSilence(_ context.Context, _ actor.Actor, id string) error {
	a.did = append(a.did, "end "+id)
	return nil
}

func (a *alarmed) Usuals(context.Context, actor.Actor) ([]watch.Usual, watch.Learning, error) {
	return []watch.Usual{{Series: "requests", Days: 20, Known: true, Value: 900, Low: 80, Expected: 120, High: 300, Above: 2.5, Drift: 1}, {Series: "latency route /orders", Unit: "µs", Days: 3, Value: 41_500, Drift: 1}, {Series: "requests team " + a.team, Days: 3, Drift: 1}},
		watch.Learning{Days: 9, Need: 14, People: 3, Unbound: []string{"impossible-travel: there is no table of where networks are"}}, nil
}

func (a *alarmed) AcceptUsual(_ context.Context, _ actor.Actor, name, reason string) error {
	if len(reason) < 10 {
		return fault.New(fault.Invalid, "watch_reason", fault.Public{Problem: "A new normal has a reason.", Fields: []fault.Field{{Name: "reason", Code: "watch_reason", Problem: "10 to 500 bytes."}}})
	}
	a.did = append(a.did, "accept "+name+" "+reason)
	return nil
}

func (a *alarmed) Channels(context.Context, actor.Actor) ([]notify.Channel, error) {
	return []notify.Channel{{Name: "mail", Kind: "mail", Tested: a.alarms[0].Fired, Accepted: a.alarms[0].Fired}}, nil
}

func (a *alarmed) TestChannel(_ context.Context, _ actor.Actor, name string) (string, error) {
	a.did = append(a.did, "test "+name)
	return "d3", nil
}

func (a *alarmed) DeliveriesFor(context.Context, actor.Actor, notify.Query) ([]notify.Delivery, error) {
	return nil, nil
}

func (a *alarmed) UnreachableFor(context.Context, actor.Actor) ([]notify.Unreachable, error) {
	return []notify.Unreachable{{Mark: "m1", Address: "a…@example.test", Since: a.alarms[0].Fired, Code: "5.1.1"}}, nil
}

// watched mounts the console again, with alarms in it.
func watched(t *testing.T) (*world, *alarmed) {
	w := newWorld(t)
	now := w.kit.Clock.Now()
	a := &alarmed{silences: []watch.Silence{{ID: "q1", Matchers: []watch.Matcher{{Name: "alertname", Value: "cpu-high"}}, MadeBy: "operator/0", Ends: now.Add(time.Hour), Hid: 3, Version: 2},
		{ID: "q2", Matchers: []watch.Matcher{{Name: "part", Value: "load"}}, MadeBy: "person/" + w.ids["ana"], Ends: now.Add(48 * time.Hour), Version: 1, Needs: watch.Long}}}
	label := map[string]string{"alertname": "signin-failures-network", "instance": "s:0760bbfa1fd7e5d144bbba58bc018164"}
	a.own = owned(now)
	a.alarms = []watch.Alarm{
		{ID: "a1", Rule: "vault-sealed", Severity: "page", Clause: "people.no-sole-holder", State: watch.Firing, Fired: now, Seen: now, Value: "1"},
		{ID: "a2", Rule: "signin-failures-network", Labels: label, Severity: "ticket", Clause: "auth.best-practice", State: watch.Acknowledged, AckedBy: "operator/0", Fired: now, Seen: now, Value: "30 in 10 min"},
		{ID: "a3", Rule: "cpu-high", Severity: "ticket", Clause: "mon.load", State: watch.Cleared, Fired: now, Seen: now, Cleared: now, Value: "95.0"},
	}
	w.console.Watch = a
	w.mount()
	return w, a
}

// mount serves the console's pages as they are now.
func (w *world) mount() {
	t := w.t
	w.site = must[*web.Server](t)(web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Harbour Ltd"} }, Log: slog.New(slog.DiscardHandler), Now: w.kit.Clock.Now}))
	w.site.SetChrome(w.console.Chrome)
	if err := w.site.Mount(w.console.Routes()...); err != nil {
		t.Fatal(err)
	}
	w.server = w.site.Handler(door{w: w})
}

// What fires comes first, with what to do and one button.
func TestAlarmsInTheConsole(t *testing.T) { // breaks: mon.notify, mon.alarms
	w, a := watched(t)
	const at = "/-/console/watch"
	body := w.get("dev", at).want(200, "1 alarm fires and nobody looks yet", "The vault was sealed", "holders open it again", "One network tries passwords", "Of 1 that are over").Body.String()
	if i, j := strings.Index(body, "The vault was sealed"), strings.Index(body, "One network tries"); i > j {
		t.Error("what nobody looks at does not come first")
	}
	w.get("dev", at+"/a1").want(200, "I look at it", "entry 7", "no_answer", "Say what it was")
	if body := w.get("emil", at+"/a1").want(200, "The vault was sealed").Body.String(); strings.Contains(body, "I look at it") {
		t.Error("an auditor is offered to acknowledge")
	}
	if body := w.get("dev", at+"/a2").want(200, "s:0760bbfa1fd7e5d144bbba58bc018164").Body.String(); strings.Contains(body, "I look at it") {
		t.Error("what somebody looks at is offered again")
	}
	w.get("dev", at+"/nothing").want(404)
	if body := w.get("dev", at+"/a1").want(200, "asks the rule again").Body.String(); !strings.Contains(body, `href="`+at+`/evidence/a1"`) {
		t.Error("the alarm does not lead to its evidence")
	}
	w.get("dev", at+"/evidence/a1").want(200, "the evidence of a1")
	w.get("customer", at+"/evidence/a1").want(403)
	w.get("customer", at).want(403)
	w.post("emil", at+"/a1/acknowledge", url.Values{}).want(403)
	w.post("emil", at+"/a1/close", url.Values{"verdict": {"true"}}).want(403)
	w.post("dev", at+"/a1/acknowledge", url.Values{"note": {"on it"}}).want(303)
	w.post("dev", at+"/a1/close", url.Values{}).want(422, "true, benign, false or test").cameBack("Say what it was, and close it")
	if closed, open := w.post("dev", at+"/a3/close", url.Values{}).want(422, "true, benign, false or test", "What it was").folds(); len(closed)+len(open) != 0 {
		t.Errorf("the one act of an alarm that is over is folded: %q, %q", closed, open)
	}
	w.post("dev", at+"/a3/close", url.Values{"verdict": {"benign"}, "note": {"the import"}}).want(303)
	w.get("dev", at+"/rules").want(200, "75 % of 4", "More than 90 % busy", "not yet")
	w.get("dev", at+"/silences").want(200, "alertname=cpu-high", "until 0", "version 2", "waits for a second person", "Approve it", "20:00 to 07:00")
	if body := w.get("ana", at+"/silences").want(200, "waits for a second person").Body.String(); strings.Contains(body, "Approve it") {
		t.Error("whoever made it is asked to approve it")
	}
	w.get("dev", at+"/silences/q1").want(200, "kept 3 alarms quiet", "The vault was sealed", "Versions")
	w.get("dev", at+"/silences/nothing").want(404)
	w.post("emil", at+"/silences/approve", url.Values{"silence": {"q2"}}).want(403)
	w.post("dev", at+"/silences/approve", url.Values{"silence": {"q2"}}).want(303)
	w.post("emil", at+"/silences", url.Values{"matcher": {"alertname=cpu-high"}, "reason": {"the machine is moved"}}).want(403)
	w.post("dev", at+"/silences", url.Values{"matcher": {"nonsense"}, "reason": {"the machine is moved"}}).want(422, "name=value")
	w.post("dev", at+"/silences", url.Values{"matcher": {"alertname=cpu-high"}, "reason": {"the machine is moved"}, "minutes": {"60"}, "link": {"clause/mon.load"}}).want(303)
	w.post("dev", at+"/silences/end", url.Values{"silence": {"q1"}}).want(303)
	w.get("dev", at+"/deliveries").want(200, "by one way alone", "Nothing was sent", "Letters do not reach", "a…@example.test", "5.1.1")
	w.post("dev", at+"/deliveries/test", url.Values{"channel": {"mail"}}).want(303)
	w.post("emil", at+"/deliveries/add", url.Values{"name": {"tg"}, "kind": {"telegram"}, "url": {"1:A 5"}}).want(403)
	w.post("dev", at+"/deliveries/add", url.Values{"name": {"tg"}, "kind": {"telegram"}}).want(422, "The token of a bot.").cameBack("Add a way", `value="tg"`)
	w.post("dev", at+"/deliveries/add", url.Values{"name": {"tg"}, "kind": {"telegram"}, "url": {"1:A 5"}}).want(303)
	w.post("dev", at+"/deliveries/add", url.Values{"name": {"hook"}, "kind": {"webhook"}, "url": {"https://x.example.com"}}).want(200, "whsec_once")
	w.get("dev", at+"/usual").want(200, "day 9 of 14", "2.5 times the band above", "80 to 300", "41.5 ms", "learning, day 3", "impossible-travel", "This is the new normal")
	if body := w.get("emil", at+"/usual").want(200, "2.5 times").Body.String(); strings.Contains(body, "This is the new normal") {
		t.Error("an auditor is offered to accept")
	}
	w.post("emil", at+"/usual", url.Values{"series": {"requests"}, "reason": {"a great customer came"}}).want(403)
	w.post("dev", at+"/usual", url.Values{"series": {"requests"}, "reason": {"more"}}).want(422, "10 to 500 bytes")
	w.post("dev", at+"/usual", url.Values{"series": {"requests"}, "reason": {"a great customer came"}}).want(303)
	want := "ack a1 on it; close a3 benign the import; approve q2; silence alertname=cpu-high the machine is moved clause/mon.load; end q1; test mail; add tg telegram; add hook webhook; accept requests a great customer came"
	if got := strings.Join(a.did, "; "); got != want {
		t.Errorf("did %s\nwant %s", got, want)
	}
}

// heard tells incidents of one alarm.
type heard struct{}

func (heard) Alarm(_ context.Context, id string) (incident.Alarm, error) {
	return incident.Alarm{ID: id, Severity: "page", Title: "The vault was sealed", Kind: "breach"}, nil
}

func (heard) False(context.Context, string, string) error { return nil }

// The alarm shows its incident and the incident its alarms; what is another matter is taken out.
func TestAlarmAndIncidentNameEachOther(t *testing.T) { // breaks: inc.categorise
	w, _ := watched(t)
	w.incident.Alarms = heard{}
	for _, id := range []string{"a1", "a3"} {
		if err := w.incident.Follow(t.Context(), []journal.Entry{{ID: id, Stream: "watch.alarm-opened", Happened: w.kit.Clock.Now(), Fields: []journal.Field{{Name: "alarm", State: journal.Public, Value: id}}}}); err != nil {
			t.Fatal(err)
		}
	}
	const one = "/-/console/incidents/I-1"
	has := func(who, path, want string) {
		t.Helper()
		if body := w.get(who, path).want(200).Body.String(); !strings.Contains(body, want) {
			t.Errorf("%s does not have %s", path, want)
		}
	}
	has("dev", "/-/console/watch/a1", `href="`+one+`">I-1 The vault was sealed`)
	if body := w.get("dev", "/-/console/watch/a2").want(200).Body.String(); strings.Contains(body, one) {
		t.Error("an alarm shows an incident that is not its own")
	}
	has("emil", one, `href="/-/console/watch/a1"`)
	w.post("dev", one+"/step", url.Values{"event": {"acknowledge"}}).want(303)
	has("dev", one, `value="breach" checked`)
	has("dev", one, "Take out what is another matter")
	w.post("emil", one+"/split", url.Values{"signal": {"alarm/a3"}, "reason": {"another matter"}}).want(403)
	w.post("dev", one+"/split", url.Values{"signal": {"alarm/a2"}, "reason": {"another matter"}}).want(409, "no such signal")
	w.post("dev", one+"/split", url.Values{"signal": {"alarm/a3"}, "reason": {"another matter"}}).want(303)
	has("dev", "/-/console/watch/a3", "/-/console/incidents/I-2")
}
