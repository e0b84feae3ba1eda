package gateway_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// With the rules that refuse and the guard that masks, what is a stream or a part passes as it comes:
// both ways of a gRPC stream at once, a WebSocket after its first request, events one by one.
func TestStreamsPassRulesAndGuard(t *testing.T) {
	more := make(chan struct{})
	k := open(t, options{waf: block, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/open/grpc": // what comes goes back at once
			w.Header().Set("Content-Type", "application/grpc+proto")
			w.WriteHeader(http.StatusOK)
			c := http.NewResponseController(w)
			c.EnableFullDuplex()
			c.Flush()
			b := make([]byte, 1000)
			for {
				n, err := r.Body.Read(b)
				w.Write(b[:n])
				c.Flush()
				if err != nil {
					return
				}
			}
		case "/open/events":
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: "+leak+"\n\n")
			http.NewResponseController(w).Flush()
			<-more
		case "/open/socket":
			s, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
			if err != nil {
				return
			}
			defer s.CloseNow()
			for {
				kind, b, err := s.Read(r.Context())
				if err != nil || s.Write(r.Context(), kind, b) != nil {
					return
				}
			}
		}
	})})
	defer close(more)

	body, send := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), "POST", k.base+"/open/grpc", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/grpc+proto")
	r.Header.Set("User-Agent", "tests")
	res, err := k.client().Do(r) // before a byte of the body was sent
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 {
		t.Fatalf("gRPC: %d", res.StatusCode)
	}
	for i := range 3 {
		frame := fmt.Sprintf("\x00\x00\x00\x00\x30frame %d, '; DROP TABLE users; <script> %s", i, leak)
		send.Write([]byte(frame))
		got := make([]byte, len(frame))
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != frame {
			t.Fatalf("frame %d came back as %q: %v", i, got, err)
		}
	}
	send.Close()

	s, _, err := websocket.Dial(t.Context(), k.base+"/open/socket", &websocket.DialOptions{HTTPClient: &http.Client{Transport: http1(k).Transport}, HTTPHeader: http.Header{"User-Agent": {"tests"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.CloseNow()
	for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
		said := "1' UNION SELECT password FROM users-- <script>alert(1)</script>"
		s.Write(t.Context(), kind, []byte(said))
		if back, b, err := s.Read(t.Context()); back != kind || string(b) != said || err != nil {
			t.Errorf("a message of kind %v came back as %v %q: %v", kind, back, b, err)
		}
	}

	r, err = http.NewRequestWithContext(t.Context(), "GET", k.base+"/open/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "tests")
	ev, err := k.client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer ev.Body.Close()
	first := make([]byte, len("data: ")+len(leak)+2)
	if _, err := io.ReadFull(ev.Body, first); err != nil || !bytes.Contains(first, []byte("MySQL")) {
		t.Errorf("%q %v", first, err)
	}
}

// Pages that are packed are looked at like others, and what holds nothing keeps its bytes; a part
// of a file is passed on as it is.
func TestPackedPagesAndParts(t *testing.T) { // breaks: use.no-automation
	video := strings.Repeat("\x00\x01binary", 1000)
	k := open(t, options{waf: block, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch h := w.Header(); r.URL.Path {
		case "/open/leak", "/open/good":
			h.Set("Content-Type", "text/html; charset=utf-8")
			h.Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			if r.URL.Path == "/open/leak" {
				io.WriteString(z, leak)
			} else {
				io.WriteString(z, plainText)
			}
			z.Close()
		case "/open/film":
			h.Set("Content-Type", "video/mp4")
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(video))
		}
	})})
	c := http1(k)
	zip := []string{"User-Agent: tests", "Accept-Encoding: gzip", "Accept: text/html"}
	if a := k.do(c, "GET", "/open/leak", "User-Agent: tests", "Accept-Encoding: gzip", "Accept: application/json"); a.StatusCode != 502 || !strings.Contains(a.body, "answer_held_back") {
		t.Errorf("a packed page that shows the inside: %d %.200q", a.StatusCode, a.body)
	}
	a := k.do(c, "GET", "/open/good", zip...)
	z, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatalf("%v: %d %q", err, a.StatusCode, a.body)
	}
	if b, err := io.ReadAll(z); err != nil || string(b) != plainText || a.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("a packed page: %v %.100q %v", a.Header, b, err)
	}
	a = k.do(c, "GET", "/open/film", "User-Agent: tests", "Range: bytes=100-299", "Sec-Fetch-Dest: video")
	if a.StatusCode != 206 || a.body != video[100:300] || a.Header.Get("Content-Range") != fmt.Sprintf("bytes 100-299/%d", len(video)) {
		t.Errorf("a part: %d %v, %d bytes", a.StatusCode, a.Header, len(a.body))
	}
}

const plainText = "<!doctype html><title>Orders</title><p>Three orders wait.</p>"
