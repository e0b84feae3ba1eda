package gateway_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"writ/internal/clause"
	"writ/internal/gateway"
	"writ/internal/ledger/ledgertest"
)

const aCard = "4111 1111 1111 1111"

// kept is an application that keeps what it gets.
type kept struct {
	mu   sync.Mutex
	got  []string // target and body of each request that came whole
	some bytes.Buffer
}

func (a *kept) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var all bytes.Buffer
	b := make([]byte, 1000)
	for {
		n, err := r.Body.Read(b)
		a.mu.Lock()
		a.some.Write(b[:n])
		a.mu.Unlock()
		all.Write(b[:n])
		if err == nil {
			continue
		}
		if err == io.EOF {
			a.mu.Lock()
			a.got = append(a.got, r.RequestURI+" "+all.String())
			a.mu.Unlock()
		}
		return
	}
}

// take returns what came whole, and everything that came at all.
func (a *kept) take() (whole []string, some string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	whole, some = a.got, a.some.String()
	a.got = nil
	a.some.Reset()
	return whole, some
}

// post sends a body and returns status and problem code.
func (k *gate) post(c *http.Client, path, kind string, body io.Reader, head ...string) (int, string) {
	k.t.Helper()
	req, err := http.NewRequest("POST", k.base+path, body)
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Accept", "application/json")
	for _, h := range head {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := c.Do(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func upload(t *testing.T, text string) (string, string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if err := w.SetBoundary("a-random-one-may-look-like-a-card"); err != nil {
		t.Fatal(err)
	}
	p, err := w.CreateFormFile("list", "list.csv")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(p, text)
	w.Close()
	return w.FormDataContentType(), b.String()
}

func packed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

// A number of a card does not reach the application, however it is sent.
func TestCardsAreStopped(t *testing.T) { // breaks: data.no-card
	app := &kept{}
	k := open(t, options{upstream: app})
	kind, file := upload(t, "name;card\nAna;"+aCard+"\n")
	long := strings.Repeat("harmless text, and more of it\n", 10_000)
	longKind, longFile := upload(t, long+aCard+"\n"+long)
	for name, c := range map[string]struct {
		path, kind, body, field string
		head                    []string
	}{
		"JSON":         {path: "/open/a", kind: "application/json", body: `{"payment":{"card_number":"` + aCard + `"}}`, field: "card_number"},
		"form":         {path: "/open/a", kind: "application/x-www-form-urlencoded", body: url.Values{"x": {"1"}, "y": {aCard}}.Encode(), field: "y"},
		"text":         {path: "/open/a", kind: "text/plain", body: aCard, field: "body"},
		"no type":      {path: "/open/a", kind: "", body: aCard, field: "body"},
		"upload":       {path: "/open/a", kind: kind, body: file, field: "list"},
		"long upload":  {path: "/open/a", kind: longKind, body: longFile, field: "list"},
		"packed":       {path: "/open/a", kind: "application/json", body: packed(`{"n":4111111111111111}`), field: "n", head: []string{"Content-Encoding: gzip"}},
		"query":        {path: "/open/a?q=4111+1111%201111-1111", kind: "text/plain", body: "x", field: "q"},
		"path":         {path: "/open/4111111111111111", kind: "text/plain", body: "x", field: "path"},
		"JSON escapes": {path: "/open/a", kind: "application/json", body: `{"n":"\u0034111111111111111"}`, field: "n"},
	} {
		for _, chunked := range []bool{false, true} {
			client := k.client()
			if chunked {
				client = http1(k)
			}
			var body io.Reader = strings.NewReader(c.body)
			if chunked {
				body = struct{ io.Reader }{body}
			}
			status, text := k.post(client, c.path, c.kind, body, c.head...)
			var p struct {
				Code   string
				Errors []struct{ Field, Code string }
			}
			json.Unmarshal([]byte(text), &p)
			if status != 422 || p.Code != "sensitive_data" || len(p.Errors) != 1 || p.Errors[0].Field != c.field || p.Errors[0].Code != "card" || strings.Contains(text, "1111") {
				t.Errorf("%s, chunked %v: %d %s", name, chunked, status, text)
			}
			if whole, some := app.take(); len(whole) > 0 || strings.Contains(some, "4111") || strings.Contains(some, "1111") {
				t.Errorf("%s, chunked %v: the application got %.200q", name, chunked, whole)
			}
		}
	}
	if status, text := k.post(k.client(), "/open/a?q=4111111111111112", "application/json", strings.NewReader(`{"n":4111111111111112}`)); status != 200 {
		t.Errorf("a number that is no card: %d %s", status, text)
	}
	if whole, _ := app.take(); len(whole) != 1 || whole[0] != `/open/a?q=4111111111111112 {"n":4111111111111112}` {
		t.Errorf("the application got %q", whole)
	}
	if status, _ := k.post(k.client(), "/open/a", "text/plain", strings.NewReader("x"), "Content-Encoding: zstd"); status != 415 {
		t.Errorf("a body that cannot be looked into: %d", status)
	}
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int64
	for _, e := range k.kit.Recorded("gateway.sensitive-data-stopped") {
		n += count(e)
		if e.Fields["class"] != "card" || e.Fields["route"] != "*" || e.Clause != "data.no-card" {
			t.Errorf("%+v", e)
		}
	}
	if n != 20 {
		t.Errorf("%d stopped numbers are recorded, want 20", n)
	}
}

func TestCardsAreMaskedOrNoted(t *testing.T) { // breaks: data.no-card
	app := &kept{}
	for mode, want := range map[string][2]string{"redact": {"************1111", "sensitive-data-masked"}, "warn": {"4111111111111111", "sensitive-data-seen"}} {
		k := open(t, options{upstream: app, values: clause.Values{"data.no-card/mode": mode}, routes: "- {path: /open/hook, who: anyone, signed: true}\n"})
		long := strings.Repeat("x", 100_000)
		for _, body := range []string{`{"n":"4111111111111111"}`, `{"n":"` + long + ` 4111111111111111"}`} {
			if status, text := k.post(k.client(), "/open/a?q=4111111111111111", "application/json", strings.NewReader(body)); status != 200 {
				t.Errorf("%s: %d %s", mode, status, text)
			}
			whole, _ := app.take()
			if len(whole) != 1 || strings.Count(whole[0], want[0]) != 2 || len(whole[0]) != len("/open/a?q=4111111111111111 ")+len(body) {
				t.Errorf("%s: the application got %.200q", mode, whole)
			}
		}
		status, _ := k.post(k.client(), "/open/hook", "application/json", strings.NewReader(`{"n":"4111111111111111"}`))
		if want := map[string]int{"redact": 422, "warn": 200}[mode]; status != want { // a mask would break the signature
			t.Errorf("%s, signed: %d", mode, status)
		}
		app.take() // what it got by the hook is not the next round's
		k.g.Flush(t.Context())
		if len(k.kit.Recorded("gateway."+want[1])) == 0 {
			t.Errorf("%s: not recorded", mode)
		}
	}
}

func TestSocialSecurityNumbers(t *testing.T) { // breaks: data.no-ssn
	app := &kept{}
	for mode, want := range map[string]int{"block": 422, "warn": 200, "notice": 200} {
		k := open(t, options{upstream: app, values: clause.Values{"data.no-ssn/mode": mode}})
		status, text := k.post(k.client(), "/open/a", "application/x-www-form-urlencoded", strings.NewReader("ssn=219099998"))
		if status != want || mode == "block" && !strings.Contains(text, `"ssn"`) {
			t.Errorf("%s: %d %s", mode, status, text)
		}
		k.g.Flush(t.Context())
		if got := fmt.Sprint(len(k.kit.Recorded("gateway.sensitive-data-stopped")), len(k.kit.Recorded("gateway.sensitive-data-seen"))); got != map[string]string{"block": "1 0", "warn": "0 1", "notice": "0 0"}[mode] {
			t.Errorf("%s: %s entries", mode, got)
		}
		app.take()
	}
}

// count is the number in an entry.
func count(e ledgertest.Recorded) int64 {
	n, _ := e.Fields["count"].(json.Number)
	i, _ := n.Int64()
	return i
}

// answers is an application that answers with what its path names.
func answers(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Etag", `"v1"`)
	h.Set("Content-Digest", "sha-256=:x:")
	h.Set("Seen-Accept-Encoding", r.Header.Get("Accept-Encoding"))
	h.Set("Seen-Range", r.Header.Get("Range"))
	h.Set("Content-Type", "application/json")
	body := `{"card":"4111 1111 1111 1111","n":4111111111111111}`
	switch r.URL.Path {
	case "/open/clean":
		io.WriteString(w, `{"n":4111111111111112}`)
	case "/open/whole":
		io.WriteString(w, body)
	case "/open/packed", "/open/packed-clean":
		if r.URL.Path != "/open/packed" {
			body = `{"n":17}`
		}
		h.Set("Content-Encoding", "gzip")
		io.WriteString(w, packed(body))
	case "/open/split":
		for i := range len(body) {
			io.WriteString(w, body[i:i+1])
			http.NewResponseController(w).Flush()
		}
	case "/open/packed-long":
		h.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		for i := range 3000 {
			fmt.Fprintf(z, "%x %s\n", uint32(i)*2654435761, body)
		}
		z.Close()
	case "/open/broken":
		h.Set("Content-Encoding", "gzip")
		io.WriteString(w, strings.Repeat("this is not gzip", 5000))
	case "/open/br":
		h.Set("Content-Encoding", "br")
		io.WriteString(w, body)
	case "/open/brotli":
		h.Set("Content-Encoding", "br")
		io.WriteString(w, brotlied(body, 22))
	case "/open/part":
		h.Set("Content-Range", "bytes 0-9/100")
		w.WriteHeader(206)
		io.WriteString(w, body[:10])
	case "/open/bomb":
		h.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		z.Write(make([]byte, 50<<20))
		z.Close()
	case "/open/picture":
		h.Set("Content-Type", "image/png")
		io.WriteString(w, "4111111111111111")
	}
}

func TestAnswersAreMasked(t *testing.T) { // breaks: data.card-summary
	k := open(t, options{upstream: http.HandlerFunc(answers)})
	c := k.client()
	const clean = `{"card":"**** **** **** 1111","n":9999999999991111}`
	unpack := func(a answer) string {
		t.Helper()
		z, err := gzip.NewReader(strings.NewReader(a.body))
		if err != nil {
			t.Fatalf("%v: %.200q %v", err, a.body, a.Header)
		}
		b, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	zip := "Accept-Encoding: gzip, br"
	if a := k.do(c, "GET", "/open/clean", zip); a.body != `{"n":4111111111111112}` || a.Header.Get("Etag") != `"v1"` || a.Header.Get("Content-Digest") == "" || a.Header.Get("Seen-Accept-Encoding") != "gzip, identity" {
		t.Errorf("what holds no card was changed: %q %v", a.body, a.Header)
	}
	if a := k.do(c, "GET", "/open/whole"); a.body != clean || a.Header.Get("Etag") != `W/"v1"` || a.Header.Get("Content-Digest") != "" || a.ContentLength != int64(len(clean)) {
		t.Errorf("whole: %q %v", a.body, a.Header)
	}
	if a := k.do(c, "GET", "/open/split", "Range: bytes=0-9"); a.body != clean || a.Header.Get("Seen-Range") != "" {
		t.Errorf("split: %q %v", a.body, a.Header)
	}
	if a := k.do(c, "GET", "/open/packed", zip); a.Header.Get("Content-Encoding") != "gzip" || unpack(a) != clean {
		t.Errorf("packed: %q %v", a.body, a.Header)
	}
	if a := k.do(c, "GET", "/open/packed-clean", zip); unpack(a) != `{"n":17}` || a.Header.Get("Etag") != `"v1"` {
		t.Errorf("packed, nothing in it: %q %v", a.body, a.Header)
	}
	if a := k.do(c, "GET", "/open/packed-long", zip); strings.Count(unpack(a), clean) != 3000 || strings.Contains(unpack(a), "4111111111111111") {
		t.Errorf("packed and long: %d of 3000 are masked, in %d bytes: %.300q", strings.Count(unpack(a), clean), len(unpack(a)), unpack(a))
	}
	if a := k.do(c, "GET", "/open/brotli", zip); a.body != clean || a.Header.Get("Content-Encoding") != "" || a.Header.Get("Etag") != `W/"v1"` {
		t.Errorf("packed as br: %q %v", a.body, a.Header)
	}
	if a := k.do(c, "GET", "/open/whole", "Accept-Encoding: br"); a.Header.Get("Seen-Accept-Encoding") != "identity" {
		t.Errorf("asked for %q", a.Header.Get("Seen-Accept-Encoding"))
	}
	if a := k.do(c, "GET", "/open/picture", "Range: bytes=0-9", "Sec-Fetch-Dest: video"); a.body != "4111111111111111" || a.Header.Get("Etag") != `"v1"` || a.Header.Get("Seen-Range") == "" {
		t.Errorf("what is no text was changed: %q %v", a.body, a.Header)
	}
	for _, p := range []string{"/open/broken", "/open/br", "/open/part"} {
		if a := k.do(c, "GET", p, zip, "Accept: application/json"); a.StatusCode != 502 || !strings.Contains(a.body, "answer_unreadable") {
			t.Errorf("%s: %d %.100q", p, a.StatusCode, a.body)
		}
	}
	req, _ := http.NewRequest("GET", k.base+"/open/bomb", nil)
	req.Header.Set("Accept-Encoding", "gzip")
	if res, err := c.Do(req); err == nil {
		n, err := io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if err == nil && res.StatusCode == 200 {
			t.Errorf("an answer that grows without end came to its end, %d bytes", n)
		}
	}
}

// Events are masked too, and a piece of one does not wait for the next.
func TestEventsAreMasked(t *testing.T) { // breaks: data.card-summary
	more := make(chan string)
	k := open(t, options{upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			select {
			case s, ok := <-more:
				if !ok {
					return
				}
				io.WriteString(w, s)
				http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})})
	req, _ := http.NewRequest("GET", k.base+"/open/events", nil)
	got := make(chan string)
	go func() {
		res, err := k.client().Do(req)
		if err != nil {
			t.Error(err)
			close(got)
			return
		}
		defer res.Body.Close()
		b := make([]byte, 1000)
		for {
			n, err := res.Body.Read(b)
			if n > 0 {
				got <- string(b[:n])
			}
			if err != nil {
				close(got)
				return
			}
		}
	}()
	want := func(text string) {
		t.Helper()
		for text != "" {
			g, ok := <-got
			if !ok || !strings.HasPrefix(text, g) {
				t.Fatalf("%q came, want %q", g, text)
			}
			text = text[len(g):]
		}
	}
	more <- "data: {\"n\":4111111111111111}\n\n"
	want("data: {\"n\":9999999999991111}\n\n")
	more <- "data: 4111 1111"
	more <- " 1111 1111\n\n"
	want("data: **** **** **** 1111\n\n")
	more <- "data: half 4111"
	want("data: half 4111") // though nothing follows
	close(more)
	want("")
	if g, ok := <-got; ok {
		t.Errorf("%q came at the end", g)
	}
}

func TestSocketsAreMasked(t *testing.T) { // breaks: data.no-card, data.card-summary
	heard := make(chan string, 10)
	k := open(t, options{upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sock, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			return
		}
		defer sock.CloseNow()
		sock.SetReadLimit(-1)
		for {
			_, b, err := sock.Read(r.Context())
			if err != nil {
				heard <- "end"
				return
			}
			heard <- string(b)
			text := `{"n":4111111111111111}`
			if string(b) == "long" {
				text = strings.Repeat("x", 2<<20)
			}
			if sock.Write(r.Context(), websocket.MessageText, []byte(text)) != nil {
				return
			}
		}
	})})
	dial := func() *websocket.Conn {
		t.Helper()
		s, _, err := websocket.Dial(t.Context(), k.base+"/open/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: http1(k).Transport}, CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			t.Fatal(err)
		}
		s.SetReadLimit(-1)
		return s
	}
	s := dial()
	defer s.CloseNow()
	s.Write(t.Context(), websocket.MessageText, []byte("hello"))
	if _, b, err := s.Read(t.Context()); string(b) != `{"n":9999999999991111}` || err != nil {
		t.Errorf("%q %v", b, err)
	}
	s.Write(t.Context(), websocket.MessageText, []byte("my card: "+aCard))
	if _, _, err := s.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("a message with a card: %v", err)
	}
	if a, b := <-heard, <-heard; a != "hello" || b != "end" {
		t.Errorf("the application heard %q, %q", a, b)
	}
	s = dial()
	defer s.CloseNow()
	s.Write(t.Context(), websocket.MessageText, []byte("long"))
	if _, _, err := s.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("a message of 2 MiB: %v", err)
	}
}

const page = `<!doctype html><title>x</title><form method="post"><input name="a"></form>`

// Tagged forms say which data is not wanted, and only they.
func TestNoticesAreServed(t *testing.T) { // breaks: data.no-ssn, data.no-phi
	k := open(t, options{routes: "- {path: /open/form, who: anyone, notice: true}\n", upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.RawQuery == "long" {
			io.WriteString(w, page[:20])
			http.NewResponseController(w).Flush()
			io.WriteString(w, page[20:])
			return
		}
		io.WriteString(w, page)
	})})
	for _, target := range []string{"/open/form", "/open/form?long"} {
		a := k.do(k.client(), "GET", target)
		before, after, found := strings.Cut(a.body, `<p role="note" class="writ-notice">`)
		if !found || before != page[:strings.Index(page, "<form")] || !strings.HasSuffix(after, `</p><form method="post"><input name="a"></form>`) || !strings.Contains(a.Header.Get("Writ-Notice"), "no health data") {
			t.Errorf("%s: %s %v", target, a.body, a.Header)
		}
		if strings.Contains(a.body, "style") || strings.Contains(a.body, "<script") {
			t.Errorf("the notice breaks a strict content policy: %s", a.body)
		}
	}
	if a := k.do(k.client(), "GET", "/open/other"); a.body != page || a.Header.Get("Writ-Notice") != "" {
		t.Errorf("another page: %s", a.body)
	}
}

func store(texts ...string) func() []gateway.Store {
	return func() []gateway.Store {
		return []gateway.Store{{Name: "drawer", Each: func(_ context.Context, look func([]byte)) error {
			for _, x := range texts {
				look([]byte(x))
			}
			return nil
		}}}
	}
}

func TestGuardControlsPass(t *testing.T) {
	form := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, page)
	})
	for _, c := range []clause.Values{nil, {"data.no-card/mode": "redact"}, {"data.card-summary/keep": int64(0)}, {"data.no-ssn/mode": "block"}, {"data.no-ssn/mode": "notice"}} {
		k := open(t, options{routes: "- {path: /open/form, who: anyone, notice: true}\n", upstream: form, values: c, stores: store("of a card ************1111")})
		for _, id := range []string{"gateway.test-card", "gateway.masked-answers", "gateway.own-stores", "gateway.test-ssn", "gateway.notice-ssn", "gateway.notice-phi"} {
			if r := control(t, k, k.door(), id); r.Outcome != clause.Pass {
				t.Errorf("%v: %s: %s %s %+v", c, id, r.Outcome, r.Summary, r.Steps)
			}
		}
	}
}

// Each control sees when what it looks at does not hold.
func TestGuardControlsSeeLeaks(t *testing.T) { // breaks: data.no-card, data.card-summary, data.no-ssn, data.no-phi
	k := open(t, options{routes: "- {path: /open/form, who: anyone, notice: true}\n", stores: store("clean", "a letter about "+aCard)})
	mustFail(t, control(t, k, k.door(), "gateway.own-stores"), "drawer holds 1 numbers")
	warn := open(t, options{values: clause.Values{"data.no-card/mode": "warn"}})
	mustFail(t, control(t, warn, warn.door(), "gateway.masked-answers"), "only warns")
	k.g.Unguard()
	for id, says := range map[string]string{"gateway.test-card": "a number in JSON", "gateway.masked-answers": "come back", "gateway.test-ssn": "through the guard"} {
		mustFail(t, control(t, k, k.door(), id), says)
	}
	for _, id := range []string{"gateway.notice-ssn", "gateway.notice-phi"} {
		mustFail(t, control(t, k, k.door(), id), "carries no notice")
	}
	bare := open(t, options{})
	for _, c := range bare.g.Controls(bare.door()) {
		if c.ID == "gateway.notice-ssn" {
			if _, err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no route is tagged") {
				t.Errorf("without a tagged form: %v", err)
			}
		}
	}
}

func TestGuardRules(t *testing.T) {
	for key, bad := range map[string]any{"data.no-card/mode": "off", "data.no-card/detector": "regex", "data.card-summary/keep": int64(6), "data.no-ssn/mode": "redact", "data.no-phi/mode": "block"} {
		live := clause.NewLive[gateway.Rules](time.Now)
		if err := live.Set([]clause.Period{{Values: values(clause.Values{key: bad})}}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s %v: %v", key, bad, err)
		}
	}
}

// A file that is looked into is stopped whole, before the application has a byte of it, also
// where the policy masks and where the rules against attacks read it first.
func TestFilesAreStopped(t *testing.T) { // breaks: data.no-card
	app := &kept{}
	for name, o := range map[string]options{
		"block":  {},
		"redact": {values: clause.Values{"data.no-card/mode": "redact"}},
		"rules":  {waf: gateway.WAF{Mode: gateway.WAFBlock}, routes: "- {path: /open/, who: anyone, body: 1MiB}\n"},
	} {
		o.upstream = app
		k := open(t, o)
		long := "%" + strings.Repeat("harmless ", 20_000) + "\n"
		for kind, file := range map[string][2]string{
			"application/vnd.openxmlformats-officedocument.wordprocessingml.document": {gateway.OfficeFile("4111 1111 1111 1111"), gateway.OfficeFile("4111 1111 1111 1112")},
			"application/pdf": {gateway.PDFFile("4111 1111 1111 1111"), gateway.PDFFile("4111 1111 1111 1112")},
			"text/plain":      {gateway.PDFFile("4111 1111 1111 1111") + long, gateway.PDFFile("4111 1111 1111 1112") + long},
		} {
			if name == "rules" && kind != "application/pdf" {
				continue // these are refused there for what they are
			}
			for _, chunked := range []bool{false, true} {
				client := k.client()
				send := func(s string) io.Reader { return strings.NewReader(s) }
				if chunked {
					client, send = http1(k), func(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }
				}
				status, text := k.post(client, "/open/a", kind, send(file[0]))
				if whole, some := app.take(); status != 422 || !strings.Contains(text, `"sensitive_data"`) || len(whole) > 0 || some != "" {
					t.Errorf("%s, %s, chunked %v: %d %s; the application got %d bytes", name, kind, chunked, status, text, len(some))
				}
				status, text = k.post(client, "/open/a", kind, send(file[1]))
				if whole, _ := app.take(); status != 200 || len(whole) != 1 || whole[0] != "/open/a "+file[1] {
					t.Errorf("%s, %s, chunked %v, without a card: %d %s", name, kind, chunked, status, text)
				}
			}
		}
		waitFor(t, func() bool { return k.g.Held() == 0 })
	}
}

// Finds are recorded on both engines: the first of a minute by itself, the rest as a number;
// what cannot be recorded is kept.
func TestFindsAreRecorded(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		k := open(t, options{kit: kit})
		for range 3 {
			k.post(k.client(), "/open/a", "application/json", strings.NewReader(`{"n":4111111111111111}`))
		}
		k.post(k.client(), "/open/a", "application/pdf", strings.NewReader("%PDF"))
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := k.g.Flush(ended); err == nil || errors.Is(err, io.EOF) {
			t.Error("recorded without a ledger")
		}
		if err := k.g.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var counts []int64
		for _, e := range kit.Recorded("gateway.sensitive-data-stopped") {
			counts = append(counts, count(e))
			if e.Fields["field"] != "n" || e.Fields["from"] != "request" {
				t.Errorf("%+v", e.Fields)
			}
		}
		total := int64(0)
		for _, n := range counts {
			total += n
		}
		if total != 3 || len(kit.Recorded("gateway.upload-passed")) == 0 {
			t.Errorf("%v recorded", counts)
		}
	}, gateway.Schema())
}
