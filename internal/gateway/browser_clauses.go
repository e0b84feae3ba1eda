package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"writ/internal/clause"
)

// botControls check what keeps programs from forms, and slows those that try everything.
func (g *Gateway) botControls() []clause.Control {
	const hour, day = time.Hour, 24 * time.Hour
	return []clause.Control{
		{ID: "gateway.browser-forms", Clause: noAutomation, Kind: clause.Canary, Every: hour, FreshFor: day, Run: g.tryForms,
			Says: "Sends a form of a route tagged browser as a program would: without the page's field, with that of another form or an old page, with the field filled that nobody sees, from another site; each must be refused, and the form of the page must pass"},
		{ID: "gateway.bot-score", Clause: noAutomation, Kind: clause.Canary, Every: hour, FreshFor: day, Run: g.tryHabits,
			Says: "Lets one network ask for a hundred paths that are not there and another behave like people: the limit of the first must become narrower, that of the second must not"},
	}
}

const canaryForm = "/canary-form"

// sentForm is what the step says of a form.
func (g *Gateway) sentForm(ctx context.Context, site string, fields url.Values) *refusal {
	body := fields.Encode()
	v := g.newVisit()
	v.table, v.need.node, v.need.rules[0] = g.current(), g.current().rest, &rule{browser: true}
	v.target = target{raw: canaryForm, path: canaryForm}
	v.w = &recorder{header: http.Header{}}
	v.r = (&http.Request{Method: http.MethodPost, URL: &url.URL{Path: canaryForm}, Host: g.origin.Host, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "User-Agent": {"canary"}, "Sec-Fetch-Site": {site}}}).WithContext(ctx)
	if s := g.step("browser"); s.run != nil {
		return s.run(v)
	}
	return nil
}

func (g *Gateway) tryForms(ctx context.Context) (clause.Result, error) {
	now := g.now()
	field := func(age time.Duration, to string) url.Values {
		return url.Values{formField: {g.forms.mark(now.Add(-age), to, "stranger canary")}, formTrap: {""}, "note": {"x"}}
	}
	trapped := field(time.Minute, canaryForm)
	trapped.Set(formTrap, "https://example.com")
	var steps []clause.Step
	for _, c := range []struct {
		act, site string
		fields    url.Values
		good      bool
	}{
		{"send a form without its field", "same-origin", url.Values{"note": {"x"}}, false},
		{"send another form's field", "same-origin", field(time.Minute, "/other"), false},
		{"send the field of a page five hours old", "same-origin", field(5*time.Hour, canaryForm), false},
		{"send it the moment the page was made", "same-origin", field(0, canaryForm), false},
		{"fill the field that nobody sees", "same-origin", trapped, false},
		{"send it from another site", "cross-site", field(time.Minute, canaryForm), false},
		{"send the page's form", "same-origin", field(time.Minute, canaryForm), true},
	} {
		got, want := "passed", "403 browser_required"
		if ref := g.sentForm(ctx, c.site, c.fields); ref != nil {
			got = fmt.Sprint(ref.status, " ", ref.err.Code)
		}
		if c.good {
			want = "passed"
		}
		steps = append(steps, clause.Step{Act: c.act, Expected: want, Got: got, OK: got == want, Control: c.good})
	}
	n := int64(0)
	for i := range g.current().file.routes {
		if g.current().file.routes[i].Browser {
			n++
		}
	}
	r := clause.Judge(fmt.Sprintf("a form that no browser showed is refused; %d routes are tagged browser", n), steps...)
	r.Population = n
	return r, nil
}

// tryHabits lets two networks behave, in a table of its own.
func (g *Gateway) tryHabits(context.Context) (clause.Result, error) {
	of := func(status int, head http.Header) int64 {
		b := bots{}
		b.init(nil)
		who, _ := networks(netip.MustParseAddr("192.0.2.7"))
		h := b.of(who)
		for i := range 100 {
			v := &visit{g: g, status: status, target: target{path: fmt.Sprintf("/%d", i%7)}, r: &http.Request{Header: head}}
			h.note(v)
		}
		return h.score(false)
	}
	full := g.limits.set.Address
	probing := of(http.StatusNotFound, http.Header{"User-Agent": {"Mozilla/5.0"}})
	people := of(http.StatusOK, http.Header{"User-Agent": {"Mozilla/5.0"}, "Sec-Fetch-Site": {"same-origin"}})
	said := func(score int64) string {
		if slower(full, score).N < full.N {
			return "a narrower limit"
		}
		return "the whole limit"
	}
	return clause.Judge(fmt.Sprintf("a network that probes scores %d of 100 and gets %s in place of %s; %d networks go more slowly now", probing, slower(full, probing), full, g.bots.slowed()),
		clause.Step{Act: "ask for what is not there, a hundred times", Expected: "a narrower limit", Got: said(probing), OK: said(probing) == "a narrower limit"},
		clause.Step{Act: "behave like people", Expected: "the whole limit", Got: said(people), OK: said(people) == "the whole limit", Control: true}), nil
}
