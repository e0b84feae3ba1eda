package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
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
		"gzip with a card":          {"/open/a", card, []string{"gzip"}, 422, "sensitive_data"},
		"by its old name":           {"/open/a", card, []string{"X-GZIP"}, 422, "sensitive_data"},
		"behind identity":           {"/open/a", card, []string{"identity, gzip"}, 422, "sensitive_data"},
		"behind a line before it":   {"/open/a", card, []string{"identity", "gzip"}, 422, "sensitive_data"},
		"br with a card":            {"/open/a", brotlied(`{"n":4111111111111111}`, 22), []string{"br"}, 422, "sensitive_data"},
		"br behind a line":          {"/open/a", brotlied(`{"n":4111111111111111}`, 22), []string{"identity", "BR"}, 422, "sensitive_data"},
		"br, harmless":              {"/open/a", brotlied(`{"n":17}`, 22), []string{"br"}, 200, ""},
		"br of a large window":      {"/open/a", brotlied(`{"n":17}`, 23), []string{"br"}, 400, "body"},
		"br that grows":             {"/open/a", brotlied(strings.Repeat(" ", 8<<20), 18), []string{"br"}, 400, "body"},
		"br, cut":                   {"/open/a", brotlied(words.String(), 18)[:999], []string{"br"}, 400, "body"},
		"no br at all":              {"/open/a", `{"n":4111111111111111}`, []string{"br"}, 400, "body"},
		"br, longer than the route": {"/open/small", brotlied(words.String(), 18), []string{"br"}, 413, "body_too_large"},
		"br in gzip":                {"/open/a", packed(brotlied(`{"n":4111111111111111}`, 18)), []string{"br, gzip"}, 415, "content_encoding"},
		"zstd":                      {"/open/a", "x", []string{"zstd"}, 415, "content_encoding"},
		"packed twice":              {"/open/a", packed(card), []string{"gzip, gzip"}, 415, "content_encoding"},
		"no gzip at all":            {"/open/a", `{"n":4111111111111111}`, []string{"gzip"}, 400, "body"},
		"cut":                       {"/open/a", card[:len(card)/2], []string{"gzip"}, 400, "body"},
		"longer than the route":     {"/open/small", packed(words.String()), []string{"gzip"}, 413, "body_too_large"},
		"harmless":                  {"/open/a", harmless, []string{"gzip"}, 200, ""},
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

// brotlied packs as Brotli, with a window of so many bits.
func brotlied(text string, bits int) string {
	var b strings.Builder
	z := brotli.NewWriterOptions(&b, brotli.WriterOptions{Quality: 5, LGWin: bits})
	io.WriteString(z, text)
	z.Close()
	return b.String()
}

// Reading Brotli takes memory before much has come: of so many at a time that it is bound.
func TestBrotliHasRoom(t *testing.T) {
	app := &kept{}
	k := open(t, options{upstream: app})
	free := k.g.FillRoom()
	if status, text := k.post(k.client(), "/open/a", "application/json", strings.NewReader(brotlied(`{"n":17}`, 22)), "Content-Encoding: br"); status != 503 {
		t.Errorf("without room: %d %s", status, text)
	}
	free()
	for range 3 { // each gives its room back
		if status, text := k.post(k.client(), "/open/a", "application/json", strings.NewReader(brotlied(`{"n":17}`, 22)), "Content-Encoding: br"); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	if n := k.g.RoomUsed(); n != 0 {
		t.Errorf("%d bytes of room are not given back", n)
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
