package console_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/watch"
)

func (a *alarmed) SetMute(_ context.Context, _ actor.Actor, w watch.MuteWish) (watch.Mute, error) {
	if w.Reason == "" {
		return watch.Mute{}, fault.New(fault.Invalid, "watch_reason", fault.Public{Problem: "A time without tickets has a reason.", Fields: []fault.Field{{Name: "reason", Code: "watch_reason", Problem: "10 to 500 bytes."}}})
	}
	a.did = append(a.did, "mute "+w.Name+" "+strings.Join(w.Days, ",")+" "+w.From+" "+w.To+" "+w.Zone)
	return watch.ReadMute(w)
}

func (a *alarmed) RemoveMute(_ context.Context, _ actor.Actor, name string) error {
	a.did = append(a.did, "unmute "+name)
	return nil
}

// Hours in which tickets wait are listed, set and removed by those who may.
func TestMutesInTheConsole(t *testing.T) { // breaks: mon.notify
	w, a := watched(t)
	const at = "/-/console/watch/mutes"
	if !strings.Contains(w.get("emil", "/-/console/watch/silences").want(200).Body.String(), `href="`+at+`"`) {
		t.Error("no way leads there")
	}
	w.get("dev", at).want(200, "nights", "20:00 to 07:00", "mon tue wed thu fri sat sun", "Let tickets wait then", "Remove it")
	if body := w.get("emil", at).want(200, "nights").Body.String(); strings.Contains(body, "Let tickets wait then") {
		t.Error("an auditor is offered to set some")
	}
	w.get("customer", at).want(403)
	for _, act := range []string{"", "/remove"} {
		w.post("emil", at+act, url.Values{"name": {"nights"}}).want(403)
	}
	wish := url.Values{"name": {"nights"}, "days": {"sat  sun"}, "from": {"21:00"}, "to": {"06:00"}, "zone": {"Europe/Berlin"}}
	w.post("dev", at, wish).want(422, "10 to 500 bytes", "sat sun")
	wish.Set("reason", "nobody works then")
	w.post("dev", at, wish).want(303)
	w.post("dev", at+"/remove", url.Values{"name": {"nights"}}).want(303)
	if got, want := strings.Join(a.did, "; "), "mute nights sat,sun 21:00 06:00 Europe/Berlin; unmute nights"; got != want {
		t.Errorf("did %s, want %s", got, want)
	}
}
