package console_test

import (
	"net/url"
	"strings"
	"testing"

	"writ/internal/identity/glass"
)

// An owner prepares a set and sees who has picked up what; others see it and change
// nothing; an opening shows while it goes on, with its reason and a button to stop it.
func TestGlassPages(t *testing.T) {
	w := newWorld(t)
	const at = "/-/console/break-glass"
	w.get("ana", at).want(200, "No set of shares is live", "Prepare a set", "Nobody has broken the glass")
	emil := w.get("emil", at).want(200, "No set of shares is live").Body.String()
	if strings.Contains(emil, "Prepare a set") {
		t.Error("an auditor is offered to prepare")
	}
	w.post("ana", at, url.Values{"holder": {"ana\r\ndev"}}).want(422, "one more than are needed", "ana")
	w.post("ana", at, url.Values{"holder": {"ana, dev, emil"}, "need": {"many"}}).want(422, "The policy asks for 2 or more")
	w.post("dev", at, url.Values{"holder": {"ana, dev, emil"}}).want(403)
	w.post("ana", at, url.Values{"holder": {"ana, dev\r\nemil"}}).want(303)
	w.get("ana", at).want(200, "Set 1", "waits for 3 more to be picked up", "Ana Lind", "not yet", "Withdraw all shares")
	shares := map[string]glass.Paper{}
	for _, name := range []string{"ana", "dev", "emil"} {
		p, err := w.glass.PickUp(t.Context(), w.as(name))
		if err != nil {
			t.Fatal(err)
		}
		shares[name] = p
	}
	w.get("ana", at).want(200, "2 of 3 holders together", "The shares were never tried", "Practise it")
	g, err := w.glass.Give(t.Context(), operator, glass.Give{Share: shares["dev"].Text, Reason: "nobody answers <b>", Network: "n"})
	if err != nil {
		t.Fatal(err)
	}
	w.get("ana", at).want(200, "Going on now", "Opening begun by Dev Patel, 1 given", "nobody answers <b>", "End it")
	w.post("ana", at+"/end", url.Values{"id": {g.Use}}).want(303)
	w.get("ana", at).want(200, "Stopped.")
	w.post("ana", at+"/withdraw", nil).want(303)
	w.get("ana", at).want(200, "No set of shares is live")
}
