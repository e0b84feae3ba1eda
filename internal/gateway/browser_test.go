package gateway_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/gateway"
)

const forms = `<!doctype html><title>x</title><form action="/search"><input name="q"></form><form METHOD="Post" action='/open/ask?x=1'><input name="a"></form>` +
	`<form method=post><input name="b"></form><form method="post" action="https://elsewhere.example/open/ask"></form><!-- <form method="post"> --><script>"<form method=post>"</script>`

// formApp shows the page and says what it got.
func formApp(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "public, max-age=600")
		w.Header().Set("Seen-Condition", r.Header.Get("If-None-Match"))
		if r.URL.RawQuery == "long" {
			for i := range len(forms) {
				io.WriteString(w, forms[i:i+1])
				http.NewResponseController(w).Flush()
			}
			return
		}
		io.WriteString(w, forms)
		return
	}
	b, _ := io.ReadAll(r.Body)
	io.WriteString(w, "got "+string(b))
}

var stamped = regexp.MustCompile(`<input type="hidden" name="writ-form" value="([\w-]+)"><input type="text" name="writ-website" value="" hidden autocomplete="off" tabindex="-1">`)

// What a form sends must come from a page of this site, shown in a browser, or with a token.
func TestBrowserForms(t *testing.T) { // breaks: use.no-automation
	w := newWatch()
	k := open(t, options{now: w.now, upstream: http.HandlerFunc(formApp), routes: "- {path: /open/ask, who: anyone, browser: true, scopes: []}\n- {path: /open/other, who: anyone, browser: true}\n- {path: /open/plain, who: anyone}\n- {path: /mine, who: signed-in, browser: true, scopes: [\"orders:write\"]}\n"})
	c := k.client()
	const agent = "User-Agent: Mozilla/5.0 (a browser)"
	show := func(path string, head ...string) (page string, marks []string) {
		t.Helper()
		a := k.do(c, "GET", path, append(head, agent, "If-None-Match: \"old\"")...)
		for _, m := range stamped.FindAllStringSubmatch(a.body, -1) {
			marks = append(marks, m[1])
		}
		if a.StatusCode != 200 || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Seen-Condition") != "" {
			t.Errorf("%s: %d %v", path, a.StatusCode, a.Header)
		}
		return a.body, marks
	}
	page, marks := show("/open/ask")
	if len(marks) != 2 || stamped.ReplaceAllString(page, "") != forms || !strings.Contains(page, "action='/open/ask?x=1'><input type=\"hidden\"") || marks[0] != marks[1] {
		t.Fatalf("the page is %s", page)
	}
	if long, more := show("/open/ask?long"); len(more) != 2 || stamped.ReplaceAllString(long, "") != forms {
		t.Errorf("piece by piece: %s", long)
	}
	if a := k.do(c, "GET", "/open/plain"); a.body != forms {
		t.Errorf("a page that is not tagged was changed: %s", a.body)
	}
	mark := marks[0]
	_, others := show("/open/other") // its second form goes to the page itself
	_, ofAna := show("/mine", asAna)
	urlencoded := "application/x-www-form-urlencoded"
	body := func(mark, trap string) string {
		return url.Values{"writ-form": {mark}}.Encode() + "&writ-website=" + trap + "&a=1"
	}
	var parted bytes.Buffer
	m := multipart.NewWriter(&parted)
	m.WriteField("writ-form", mark)
	m.WriteField("writ-website", "")
	f, _ := m.CreateFormFile("file", "a.txt")
	io.WriteString(f, strings.Repeat("a long text ", 10_000))
	m.Close()
	send := func(path, kind, body string, head ...string) (int, string) {
		return k.post(c, path, kind, strings.NewReader(body), append([]string{agent, "Sec-Fetch-Site: same-origin"}, head...)...)
	}
	if status, text := send("/open/ask", urlencoded, body(mark, "")); status != 403 || !strings.Contains(text, "two seconds") {
		t.Errorf("at once: %d %s", status, text)
	}
	w.pass(3 * time.Second)
	k.program("writ_svc_x", machine("x", []string{"member"}, "orders:write"))
	for name, x := range map[string]struct {
		path, kind, body string
		head             []string
		status           int
	}{
		"the page's form":               {"/open/ask", urlencoded, body(mark, ""), nil, 200},
		"with a file":                   {"/open/ask", m.FormDataContentType(), parted.String(), nil, 200},
		"by a script":                   {"/open/ask", "application/json", `{"a":1}`, []string{"Writ-Form: " + mark}, 200},
		"an older browser":              {"/open/ask", urlencoded, body(mark, ""), []string{"Sec-Fetch-Site: ", "Origin: " + k.base}, 200},
		"without the field":             {"/open/ask", urlencoded, "a=1", nil, 403},
		"with a made-up one":            {"/open/ask", urlencoded, body(strings.Repeat("A", 30), ""), nil, 403},
		"in another order":              {"/open/ask", urlencoded, "a=1&b=2&writ-form=" + mark, nil, 200},
		"the field far behind":          {"/open/ask", urlencoded, "a=" + strings.Repeat("x", 9000) + "&writ-form=" + mark, nil, 403},
		"another form's":                {"/open/ask", urlencoded, body(others[1], ""), nil, 403},
		"somebody's":                    {"/open/ask", urlencoded, body(ofAna[1], ""), nil, 403},
		"another browser's":             {"/open/ask", urlencoded, body(mark, ""), []string{"User-Agent: curl/8"}, 403},
		"with the trap filled":          {"/open/ask", urlencoded, body(mark, "x"), nil, 403},
		"from another site":             {"/open/ask", urlencoded, body(mark, ""), []string{"Sec-Fetch-Site: cross-site"}, 403},
		"from a neighbour":              {"/open/ask", urlencoded, body(mark, ""), []string{"Sec-Fetch-Site: same-site"}, 403},
		"from nowhere":                  {"/open/ask", urlencoded, body(mark, ""), []string{"Sec-Fetch-Site: "}, 403},
		"a program":                     {"/open/ask", "application/json", `{"a":1}`, nil, 403},
		"packed":                        {"/open/ask", urlencoded, packed(body(mark, "")), []string{"Content-Encoding: gzip"}, 403},
		"where nothing is tagged":       {"/open/plain", urlencoded, "a=1", nil, 200},
		"with a session":                {"/mine", urlencoded, body(ofAna[1], ""), []string{asAna}, 200},
		"with a session, a stranger's":  {"/mine", urlencoded, body(mark, ""), []string{asAna}, 403},
		"a program with a token of its": {"/mine", "application/json", `{"a":1}`, []string{"Authorization: Bearer writ_svc_x"}, 200},
	} {
		status, text := send(x.path, x.kind, x.body, x.head...)
		if status != x.status || status == 200 && text != "got "+x.body || status == 403 && !strings.Contains(text, `"browser_required"`) {
			t.Errorf("%s: %d %.200s", name, status, text)
		}
	}
	w.pass(4 * time.Hour)
	if status, _ := send("/open/ask", urlencoded, body(mark, "")); status != 403 {
		t.Errorf("after four hours: %d", status)
	}
	e, err := k.g.Explain(t.Context(), k.engineer(), gateway.Question{Method: "POST", Path: "/open/ask"})
	if err != nil || !e.Through {
		t.Errorf("%v %+v", err, e)
	}
}

// A network that only probes gets less, one of people does not, and nobody is refused for it.
func TestBotScore(t *testing.T) { // breaks: use.no-automation
	w := newWatch()
	k := open(t, options{now: w.now, proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, programs: gateway.Programs{Limits: gateway.Limits{Address: rate("100/s"), Bots: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}},
		upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/open/no/") {
				w.WriteHeader(404)
			}
		})})
	c := k.client()
	browser := []string{"User-Agent: Mozilla/5.0", "Sec-Fetch-Site: same-origin"}
	burst := func(ip, path string, head ...string) (n int) {
		w.pass(time.Minute)
		for n < 100 && k.do(c, "GET", path, append(head, "X-Forwarded-For: "+ip)...).StatusCode != 429 {
			n++
		}
		return n
	}
	for name, x := range map[string]struct {
		ip, path string
		head     []string
		least    int
		most     int
	}{
		"people":                  {"203.0.113.1", "/open/x", browser, 100, 100},
		"a program that is known": {"203.0.113.2", "/open/x", []string{"User-Agent: shop/1.0"}, 100, 100},
		"people who miss":         {"203.0.113.3", "/open/no/x", browser, 55, 65},
		"what says it is people":  {"203.0.113.4", "/open/no/x", []string{"User-Agent: Mozilla/5.0"}, 30, 40},
		"a listed network":        {"198.51.100.1", "/open/no/x", []string{"User-Agent: shop/1.0"}, 30, 40},
		"all of it":               {"198.51.100.2", "/open/no/x", []string{"User-Agent: Mozilla/5.0"}, 5, 15},
	} {
		for range 2 { // the first of them is how it becomes known
			burst(x.ip, x.path, x.head...)
		}
		if n := burst(x.ip, x.path, x.head...); n < x.least || n > x.most {
			t.Errorf("%s: %d of 100, want %d to %d", name, n, x.least, x.most)
		}
	}
	for range 6 {
		k.g.Age()
	}
	if n := burst("203.0.113.4", "/open/x", browser...); n != 100 {
		t.Errorf("after it has mended its ways: %d", n)
	}
}

func TestBotControls(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{routes: "- {path: /open/ask, who: anyone, browser: true}\n"})
	for _, id := range []string{"gateway.browser-forms", "gateway.bot-score"} {
		if r := control(t, k, k.door(), id); r.Outcome != clause.Pass {
			t.Errorf("%s: %s %s %+v", id, r.Outcome, r.Summary, r.Steps)
		}
	}
	k.write("- {path: /open/ask, who: anyone, browser: true, cache: images}\n")
	if err := k.g.Reload(t.Context(), actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}); err == nil || !strings.Contains(err.Error(), "browser") {
		t.Errorf("a page for one is kept for all: %v", err)
	}
	k.g.Unproved()
	mustFail(t, control(t, k, k.door(), "gateway.browser-forms"), "send")
	blunt := open(t, options{programs: gateway.Programs{Limits: gateway.Limits{Address: rate("1/s")}}}) // nothing is left to narrow
	mustFail(t, control(t, blunt, blunt.door(), "gateway.bot-score"), "not there")
}
