package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// However a body is packed, and however that is said, no number of a card passes unread.
func TestPackedBodies(t *testing.T) { // breaks: data.no-card
	app := &kept{}
	k := open(t, options{upstream: app, routes: "- {path: /open/small, who: anyone, body: 64KiB}\n"})
	var words strings.Builder // that do not pack well
	for i := range uint32(30_000) {
		for n := i * 2654435761; n > 0; n /= 26 {
			words.WriteByte('a' + byte(n%26))
		}
	}
	card, harmless := packed(`{"n":4111111111111111}`), packed(`{"n":17}`)
	for name, c := range map[string]struct {
		path, body string
		said       []string
		status     int
		code       string
	}{
		"gzip with a card":        {"/open/a", card, []string{"gzip"}, 422, "sensitive_data"},
		"by its old name":         {"/open/a", card, []string{"X-GZIP"}, 422, "sensitive_data"},
		"behind identity":         {"/open/a", card, []string{"identity, gzip"}, 422, "sensitive_data"},
		"behind a line before it": {"/open/a", card, []string{"identity", "gzip"}, 422, "sensitive_data"},
		"br":                      {"/open/a", "\x0b\x02\x80abc\x03", []string{"br"}, 415, "content_encoding"},
		"br behind a line":        {"/open/a", "\x0b\x02\x80abc\x03", []string{"identity", "br"}, 415, "content_encoding"},
		"packed twice":            {"/open/a", packed(card), []string{"gzip, gzip"}, 415, "content_encoding"},
		"no gzip at all":          {"/open/a", `{"n":4111111111111111}`, []string{"gzip"}, 400, "body"},
		"cut":                     {"/open/a", card[:len(card)/2], []string{"gzip"}, 400, "body"},
		"longer than the route":   {"/open/small", packed(words.String()), []string{"gzip"}, 413, "body_too_large"},
		"harmless":                {"/open/a", harmless, []string{"gzip"}, 200, ""},
	} {
		req, _ := http.NewRequest("POST", k.base+c.path, strings.NewReader(c.body))
		req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "Content-Encoding": c.said}
		res, err := k.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != c.status || c.code != "" && !strings.Contains(string(b), `"`+c.code+`"`) || (c.status == 415) != strings.Contains(res.Header.Get("Accept-Encoding"), "gzip") {
			t.Errorf("%s: %d %s %v", name, res.StatusCode, b, res.Header)
		}
		whole, some := app.take()
		if c.status == 200 != (len(whole) == 1) || strings.Contains(some, "1111") || c.status == 200 && whole[0] != `/open/a {"n":17}` {
			t.Errorf("%s: the application got %.100q of %.100q", name, whole, some)
		}
	}
}

// A text does not leave in parts, neither one nor several; what is played does.
func TestPartsOfAnswers(t *testing.T) { // breaks: data.card-summary
	k := open(t, options{upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Seen-Range", r.Header.Get("Range"))
		switch r.URL.Path {
		case "/open/parts": // of whoever asks
			w.Header().Set("Content-Type", "Multipart/byteranges; boundary=x")
			w.WriteHeader(206)
			io.WriteString(w, "--x\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-7/19\r\n\r\n4111 111\r\n--x\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-18/19\r\n\r\n1 1111 1111\r\n--x--\r\n")
		case "/open/film":
			w.Header().Set("Content-Type", "video/mp4")
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(strings.Repeat("film", 100)))
		case "/open/text":
			w.Header().Set("Content-Type", "text/plain")
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader("the number 4111 1111 1111 1111 is a card's"))
		}
	})})
	c := k.client()
	for name, x := range map[string]struct {
		path   string
		head   []string
		status int
		body   string
	}{
		"several parts":                {"/open/parts", nil, 502, "answer_unreadable"},
		"a part of a film":             {"/open/film", []string{"Range: bytes=0-3", "Sec-Fetch-Dest: video"}, 206, "film"},
		"several parts of a film":      {"/open/film", []string{"Range: bytes=0-3,8-11", "Sec-Fetch-Dest: video"}, 200, "filmfilm"},
		"the same in two lines":        {"/open/film", []string{"Range: bytes=0-3", "Range: bytes=8-11", "Sec-Fetch-Dest: video"}, 200, "filmfilm"},
		"a part that is not there":     {"/open/film", []string{"Range: bytes=4000-", "Sec-Fetch-Dest: video"}, 416, ""},
		"a part of a text":             {"/open/text", []string{"Range: bytes=11-18"}, 200, "the number **** **** **** 1111 is a card's"},
		"a part of a text, to be seen": {"/open/text", []string{"Range: bytes=11-18", "Sec-Fetch-Dest: video"}, 502, "answer_unreadable"},
	} {
		a := k.do(c, "GET", x.path, append(x.head, "Accept: application/json")...)
		if a.StatusCode != x.status || !strings.Contains(a.body, x.body) || strings.Contains(a.body, "4111") {
			t.Errorf("%s: %d %.100q, the application saw %q", name, a.StatusCode, a.body, a.Header.Get("Seen-Range"))
		}
	}
}
