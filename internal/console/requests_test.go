package console_test

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/gateway/trail"
)

// Requests are searched by who may read the journal; the search is an entry, and a download
// is offered to who may export.
func TestRequestsInTheConsole(t *testing.T) { // breaks: use.need-to-see
	w := newWorld(t)
	const at = "/-/console/gate/requests"
	w.get("emil", at).want(200, "No request matches")
	now := w.kit.Clock.Now()
	for i := range 53 {
		w.trail.Add(trail.Record{At: now.Add(time.Duration(i) * time.Millisecond), Who: actor.Actor{Kind: actor.Support, ID: w.ids["dev"], For: "cleo", Team: "harvest", Session: "look-1"}, Route: "/contacts/", Method: "GET", Status: 404, Code: "app",
			Addr: netip.MustParseAddr("198.51.100.7"), Resource: []string{fmt.Sprintf("contact=<%d>", i)}})
	}
	w.kit.Clock.Advance(time.Second)
	body := w.get("emil", at).want(200, "GET /contacts/", "contact=<52>", "as ", "198.51.100.7", "Older").Body.String()
	if strings.Contains(body, "contact=&lt;2&gt;") {
		t.Error("more than a page is shown")
	}
	w.get("emil", at+"?resource="+url.QueryEscape("contact=<2>")+"&from=2h&team=&person=").want(200, "contact=<2>", "Download these records")
	w.get("emil", at+"?status=many").want(422, "a number")
}
