package incident_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/ledger/ledgertest"
	"writ/internal/web"
)

// outside is the form of reports, as a browser sends it.
type outside struct {
	w     *world
	site  http.Handler
	stamp string
}

func (w *world) outside() *outside {
	w.t.Helper()
	s, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Harbour"} }, Log: quiet(), Now: w.kit.Clock.Now})
	if err == nil {
		err = s.Mount(w.svc.Routes()...)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	o := &outside{w: w, site: s.Handler(nobody{})}
	o.fresh()
	return o
}

var stampOf = regexp.MustCompile(`name="stamp" value="([^"]+)"`)

func (o *outside) fresh() {
	o.w.t.Helper()
	a := httptest.NewRecorder()
	o.site.ServeHTTP(a, httptest.NewRequestWithContext(o.w.t.Context(), "GET", "https://app.example.test/-/status/report", nil))
	m := stampOf.FindStringSubmatch(a.Body.String())
	if m == nil {
		o.w.t.Fatalf("%d: no stamp in %s", a.Code, a.Body)
	}
	o.stamp = m[1]
}

func (o *outside) send(kind, text, email string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	f := url.Values{"kind": {kind}, "text": {text}, "email": {email}, "stamp": {o.stamp}}
	r := httptest.NewRequestWithContext(o.w.t.Context(), "POST", "https://app.example.test/-/status/report", strings.NewReader(f.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, fn := range change {
		fn(r)
	}
	a := httptest.NewRecorder()
	o.site.ServeHTTP(a, r)
	return a
}

var referenceOf = regexp.MustCompile(`R-[2-9A-Z]{8}`)

// What somebody outside reports calls people as an alarm does: it begins an incident or belongs to
// one, its words are shown to who may act and to nobody else, and whoever asked gets a letter
// with the reference and later an answer.
func TestReportsFromOutside(t *testing.T) { // breaks: inc.categorise
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		o := w.outside()
		a := o.send("weakness", "I can read <b>other</b> people's invoices by counting up the number.", "joe@example.test")
		id := referenceOf.FindString(a.Body.String())
		if a.Code != http.StatusOK || id == "" {
			t.Fatalf("%d %s", a.Code, a.Body)
		}
		all := w.open()
		if len(all) != 1 || all[0].Source != "report" || all[0].States["L"] != "L0" || strings.Contains(all[0].Title, "invoices") {
			t.Fatalf("%+v", all)
		}
		if got := w.post.to("incident.reported"); !slices.Equal(got, []string{"joe"}) || len(w.post.to("incident.declared")) == 0 {
			t.Errorf("letters to %v, called %v", got, w.post.to("incident.declared"))
		}
		for _, m := range w.post.sent {
			if strings.Contains(m.Text, "invoices") {
				t.Errorf("the words of a stranger go out by mail: %s", m.Text)
			}
		}
		w.kit.Clock.Advance(time.Minute)
		o.send("weakness", "The same as I wrote before, and it is worse.", "")
		if n := len(w.open()); n != 1 {
			t.Errorf("%d incidents", n)
		}
		o.send("broken", "Nothing loads since this morning.", "")
		if n := len(w.open()); n != 2 {
			t.Errorf("another matter: %d incidents", n)
		}
		ref := all[0].Ref()
		v := w.show(ref)
		if len(v.Reports) != 2 || v.Reports[0].ID != id || !strings.Contains(v.Reports[0].Text, "<b>other</b>") || v.Reports[0].Email != "joe@example.test" || !slices.Equal(v.Suggests, []string{"vulnerability"}) {
			t.Errorf("%+v, suggests %v", v.Reports, v.Suggests)
		}
		if seen, err := w.svc.Show(t.Context(), w.as("fay"), ref); err != nil || len(seen.Reports) != 0 {
			t.Errorf("an auditor reads them: %+v %v", seen.Reports, err)
		}
		for what, r := range map[string]struct{ report, text string }{"unknown": {"R-22222222", "Thank you very much."}, "no address": {v.Reports[1].ID, "Thank you very much."}, "nothing": {id, "Thanks"}} {
			if _, err := w.svc.AnswerReport(t.Context(), w.as("dev"), ref, r.report, r.text); err == nil {
				t.Errorf("%s was answered", what)
			}
		}
		if _, err := w.svc.AnswerReport(t.Context(), w.as("fay"), ref, id, "Thank you very much."); fault.KindOf(err) != fault.Denied {
			t.Errorf("an auditor answers: %v", err)
		}
		w.ok(w.svc.AnswerReport(t.Context(), w.as("dev"), ref, id, "Thank you very much: it is mended."))
		if got := w.post.to("incident.answered"); !slices.Equal(got, []string{"joe"}) || w.show(ref).Reports[0].Answered.IsZero() || w.entries("report-answered") != 1 {
			t.Errorf("answered: %v", got)
		}
		if _, err := w.svc.Split(t.Context(), w.as("dev"), ref, "report/"+id, "it is another matter"); err != nil {
			t.Fatal(err)
		}
		if got := w.show(ref).Reports; len(got) != 1 || got[0].ID == id {
			t.Errorf("what was taken out stays: %+v", got)
		}
	}, tables...)
}

// A report is refused that no form of ours was asked for, that is not plain words, or that is
// one too many; each refusal of a network is recorded, and nothing of it is kept.
func TestReportsAreBounded(t *testing.T) { // breaks: inc.categorise
	w := open(t)
	o := w.outside()
	good := o.stamp
	for what, try := range map[string]func() *httptest.ResponseRecorder{
		"no kind":        func() *httptest.ResponseRecorder { return o.send("", "Nothing loads since today.", "") },
		"no words":       func() *httptest.ResponseRecorder { return o.send("broken", "help", "") },
		"too many words": func() *httptest.ResponseRecorder { return o.send("broken", strings.Repeat("x", 4001), "") },
		"a control sign": func() *httptest.ResponseRecorder { return o.send("broken", "Nothing loads \x1b[2J today.", "") },
		"no address": func() *httptest.ResponseRecorder {
			return o.send("broken", "Nothing loads since today.", "joe <joe@example.test>")
		},
		"no stamp": func() *httptest.ResponseRecorder {
			o.stamp = ""
			return o.send("broken", "Nothing loads since today.", "")
		},
		"a made stamp": func() *httptest.ResponseRecorder {
			o.stamp = good[:len(good)-2] + "xx"
			return o.send("broken", "Nothing loads since today.", "")
		},
		"somebody else's": func() *httptest.ResponseRecorder {
			return o.send("broken", "Nothing loads since today.", "", func(r *http.Request) { r.RemoteAddr = "198.51.100.7:1000" })
		},
	} {
		o.stamp = good
		if a := try(); a.Code != http.StatusUnprocessableEntity || len(w.open()) != 0 {
			t.Errorf("%s: %d", what, a.Code)
		}
	}
	w.kit.Clock.Advance(25 * time.Hour)
	o.stamp = good
	if a := o.send("broken", "Nothing loads since today.", ""); a.Code != http.StatusUnprocessableEntity || !strings.Contains(a.Body.String(), "Nothing loads since today.") {
		t.Errorf("an old form: %d, or the words are lost", a.Code)
	}
	o.fresh()
	for range 5 {
		if a := o.send("broken", "Nothing loads since today.", ""); a.Code != http.StatusOK {
			t.Fatal(a.Code)
		}
	}
	if a := o.send("broken", "Nothing loads since today.", ""); a.Code != http.StatusTooManyRequests || w.entries("report-refused") != 1 || w.count(`SELECT COUNT(*) FROM incident_report`) != 5 {
		t.Errorf("the sixth within an hour: %d", a.Code)
	}
	w.kit.Clock.Advance(61 * time.Minute)
	who := actor.Actor{Kind: actor.Person, ID: "ana", Team: "orchard", TeamKind: "customer", Session: "s", Via: "https"}
	stamp, err := w.svc.Stamp(t.Context(), "192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.Report(t.Context(), who, incident.NewReport{Kind: "data", Text: "I see somebody else's data.", Network: "192.0.2.0/24", Stamp: stamp}); err != nil {
		t.Fatal(err)
	}
	if v := w.show(w.open()[0].Ref()); len(v.Reports) != 1 || v.Reports[0].Person != "Name of ana" {
		t.Errorf("who was signed in: %+v", v.Reports)
	}
}

// Whoever gives somebody else's address, from as many networks as they like, fills no box.
func TestFewLettersForReports(t *testing.T) {
	w := open(t)
	thanked := func() int { return len(w.post.to("incident.reported")) }
	report := func(network, email string) {
		t.Helper()
		stamp, err := w.svc.Stamp(t.Context(), network)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.svc.Report(t.Context(), actor.Actor{Kind: actor.Stranger, ID: network, Via: "https"}, incident.NewReport{Kind: "broken", Text: "Nothing loads since today.", Email: email, Network: network, Stamp: stamp}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 6 {
		report(fmt.Sprintf("192.0.%d.0/24", i), []string{"joe@example.test", "Joe@example.test"}[i%2])
	}
	report("198.51.100.0/24", "zoe@example.test")
	w.worked()
	if n := thanked(); n != 4 || w.count(`SELECT COUNT(*) FROM incident_report`) != 7 {
		t.Errorf("%d letters for six reports of one address and one of another", n)
	}
	w.kit.Clock.Advance(61 * time.Minute)
	report("192.0.2.0/24", "joe@example.test")
	w.worked()
	if n := thanked(); n != 5 {
		t.Errorf("%d letters an hour later", n)
	}
}
