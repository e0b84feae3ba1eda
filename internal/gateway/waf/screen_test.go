package waf_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"writ/internal/gateway/waf"
)

var shipped = sync.OnceValues(func() (*waf.Engine, error) { return waf.Open(waf.Options{}) })

func openShipped(t testing.TB) *waf.Engine {
	t.Helper()
	e, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func get(target string) *waf.Request {
	return &waf.Request{Method: "GET", Target: target, Proto: "HTTP/1.1", Host: "app.example.com", Level: 1, Header: browser()}
}

func post(kind, body string) *waf.Request {
	r := get("/orders")
	r.Method, r.Body = "POST", []byte(body)
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Content-Length", fmt.Sprint(len(body)))
	return r
}

func browser() http.Header {
	return http.Header{
		"User-Agent":      {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
		"Accept":          {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		"Accept-Language": {"en-US,en;q=0.5"}, "Accept-Encoding": {"gzip, deflate, br, zstd"},
		"Referer": {"https://app.example.com/orders?page=2"}, "Cookie": {"theme=dark; sid=k3J9sQ0vT7ZxYwLm2N4pRb"},
		"Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Site": {"same-origin"},
	}
}

// same compares the screened verdict with the whole set's, and says whether it was clean.
func same(t testing.TB, e *waf.Engine, name string, r *waf.Request) bool {
	t.Helper()
	got, err1 := e.Look(r)
	want, err2 := e.Whole(r, nil)
	if (err1 == nil) != (err2 == nil) {
		t.Errorf("%s: level %d: %v, the whole set %v", name, r.Level, err1, err2)
		return false
	}
	if fmt.Sprint(got.Refuse, got.Score, len(got.Matches)) != fmt.Sprint(want.Refuse, want.Score, len(want.Matches)) {
		t.Errorf("%s: level %d: %+v, the whole set says %+v", name, r.Level, got, want)
	}
	return len(want.Matches) == 0
}

// There is a screen of every level: each rule of the set is understood.
func TestScreensAreMade(t *testing.T) {
	e := openShipped(t)
	for level := waf.LevelLeast; level <= waf.LevelMost; level++ {
		if err := e.Screen(level); err != nil {
			t.Errorf("level %d: %v", level, err)
		}
	}
}

// With the screen the verdict of every regression case is the whole set's, at every level
// that is asked.
func TestScreenOnRegressionCases(t *testing.T) {
	e, plain := openShipped(t), open(t)
	b := newBench(t, plain)
	clean, all := 0, 0
	for i, c := range quick(cases(t)) {
		for stage := range c.Stages {
			_, s := b.send(t, c.testCase, stage)
			for _, r := range s.requests {
				r.Level = 1 + i%2*(1+i/2%3) // half of them at the first level
				if all++; same(t, e, c.name, r) {
					clean++
				}
			}
		}
	}
	t.Logf("%d of %d requests are clean", clean, all)
}

// What people and programs send all day is let through by the screen alone.
func TestScreenKnowsGoodRequests(t *testing.T) {
	e := openShipped(t)
	for name, r := range usual() {
		if !same(t, e, name, r) {
			v, _ := e.Whole(r, nil)
			t.Errorf("%s is no good request to the rules: %+v", name, v)
		}
		if !e.Screened(r) {
			t.Errorf("%s: the screen is not sure", name)
		}
	}
}

func usual() map[string]*waf.Request {
	return map[string]*waf.Request{
		"page":       get("/"),
		"typed":      get("/orders/4711?from=2026-01-31&to=2026-02-28&limit=50&team=0198f3a2-7c11-7d2e-9a43-5b1c8e2f6d70&state=open"),
		"asset":      get("/static/app.3f9c2b.css"),
		"search":     get("/search?q=" + url.QueryEscape("red shoes, size 42")),
		"JSON":       post("application/json", `{"name":"Ilse Brandt","email":"ilse@brandt.example","note":"`+sentence+`","items":[{"sku":"A-4711","n":2,"price":19.9},{"sku":"B-0815","n":1,"price":5}],"gift":true}`),
		"form":       post("application/x-www-form-urlencoded", url.Values{"name": {"Tomás Reyes"}, "city": {"São Paulo"}, "text": {sentence}}.Encode()),
		"large JSON": post("application/json", largeJSON),
	}
}

const sentence = "Dear team, please deliver the order on Monday morning; the gate is open from eight. Thank you very much, and have a nice weekend."

// largeJSON is about 1 KB.
var largeJSON = func() string {
	var b strings.Builder
	b.WriteString(`{"customer":"0198f3a2-7c11-7d2e-9a43-5b1c8e2f6d70","address":{"street":"Main Street 12","city":"Springfield","zip":"12345"},"lines":[`)
	for i := range 8 {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `{"sku":"A-%d","count":%d,"price":%d.50,"text":"A fine thing of wood, number %d of the series"}`, 1000+i, i+1, 10+i, i)
	}
	b.WriteString(`],"note":"` + sentence + `"}`)
	return b.String()
}()

// Random requests, made of what attacks and good requests are made of: one verdict.
func TestScreenOnRandomRequests(t *testing.T) {
	e := openShipped(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	n := 300
	if os.Getenv("WRIT_WAF_CASES") == "all" {
		n = 20_000
	}
	for i := range n {
		same(t, e, fmt.Sprint("random ", i), random(rnd))
	}
}

var pieces = strings.Fields(`select union from where or and 1=1 ' " -- /* */ # ; | || && $( ) { } [ ] < > <script> onload= javascript: alert( eval( system( exec ../ ..\ /etc/passwd
	%27 %3C %u0027 \u0027 \x3c &lt; &#x3c; + %00 php:// http:// file:/// ${jndi: java.lang. Runtime cmd.exe powershell bash -c cat wget curl sleep( benchmark( information_schema xp_cmdshell
	__proto__ constructor require( process. {{ }} <? ?> <!-- --> data: base64, PHNjcmlwdD4= c2VsZWN0 ü é 漢 ſelect ₖ red shoes size monday order 4711 2026-01-31 a b c . , : = ! ? @ ~ ^`)

func word(rnd *rand.Rand) string {
	var b strings.Builder
	for range 1 + rnd.IntN(5) {
		b.WriteString(pieces[rnd.IntN(len(pieces))])
		if rnd.IntN(3) == 0 {
			b.WriteByte(" \t\n\r\x00\xff"[rnd.IntN(6)])
		}
	}
	return b.String()
}

func random(rnd *rand.Rand) *waf.Request {
	var r *waf.Request
	switch rnd.IntN(4) {
	case 0:
		r = get("/a/" + url.PathEscape(word(rnd)) + "?" + url.QueryEscape(word(rnd)) + "=" + url.QueryEscape(word(rnd)))
	case 1:
		r = post("application/x-www-form-urlencoded", url.Values{word(rnd): {word(rnd)}, "b": {word(rnd)}}.Encode())
	case 2:
		r = post("application/json", fmt.Sprintf(`{"a":%q,"b":[%q]}`, word(rnd), strings.ToValidUTF8(word(rnd), "")))
	default:
		r = get("/")
		r.Header.Set("Referer", word(rnd))
		r.Header.Set("Cookie", "a="+word(rnd)+"; "+word(rnd)+"=b")
		r.Header.Set("X-Thing", word(rnd))
	}
	r.Level = 1 + rnd.IntN(4)
	return r
}

// FuzzScreen looks for a request that the screen lets through and the whole set does not.
func FuzzScreen(f *testing.F) {
	for _, s := range []string{"1' or '1'='1", "<script>alert(1)</script>", "plain words", "%u0073elect", "ſelect"} {
		f.Add(s, s, uint8(0))
		f.Add(s, s, uint8(5))
	}
	e := openShipped(f)
	f.Fuzz(func(t *testing.T, a, b string, how uint8) {
		if len(a)+len(b) > 4096 {
			return
		}
		var r *waf.Request
		switch how % 5 {
		case 0:
			r = get("/x?" + url.QueryEscape(a) + "=" + url.QueryEscape(b))
		case 1:
			r = post("application/x-www-form-urlencoded", a+"="+b)
		case 2:
			r = post("application/json", fmt.Sprintf(`{%q:%q}`, a, b))
		case 3:
			r = post("application/xml", "<a>"+a+"</a>")
		default:
			r = get("/" + url.PathEscape(a))
			r.Header["Cookie"] = []string{b}
			r.Header["X-Thing"] = []string{a}
		}
		r.Level = 1 + int(how/5)%4
		same(t, e, "fuzzed", r)
	})
}

// cpu is the processor's time of this process: other work on the machine does not count.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRequests takes good requests through the screen and through the whole set. Each
// is another one: the answers that the screen remembers are those about headers.
func BenchmarkRequests(b *testing.B) {
	e := openShipped(b)
	kinds := map[string]func(i int) *waf.Request{
		"typed GET": func(i int) *waf.Request {
			return get(fmt.Sprintf("/orders/%d?from=2026-01-31&limit=%d&state=open", 4711+i, i%100))
		},
		"1 KB JSON": func(i int) *waf.Request {
			return post("application/json", strings.NewReplacer("Monday", fmt.Sprint("day ", i), "wood", fmt.Sprint("wood ", i)).Replace(largeJSON))
		},
		"1 KB of text": func(i int) *waf.Request {
			return post("application/json", fmt.Sprintf(`{"id":%d,"note":"%d. %s"}`, i, i, strings.Repeat(sentence+" ", 8)))
		},
	}
	for name, made := range kinds {
		all := make([]*waf.Request, 2000)
		for i := range all {
			all[i] = made(i)
		}
		for kind, look := range map[string]func(*waf.Request) (waf.Verdict, error){"screened": e.Look, "whole": func(r *waf.Request) (waf.Verdict, error) { return e.Whole(r, nil) }} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.ReportAllocs()
				if _, err := look(all[0]); err != nil { // the screen is made at the first request
					b.Fatal(err)
				}
				before, i := cpu(b), 0
				for b.Loop() {
					if v, err := look(all[i%len(all)]); err != nil || len(v.Matches) > 0 {
						b.Fatal(v, err)
					}
					i++
				}
				b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/1e3, "cpu-µs/op")
			})
		}
	}
}
