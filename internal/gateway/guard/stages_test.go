package guard_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"writ/internal/gateway/guard"
)

// through passes text through a stage in pieces of n bytes.
func through(s guard.Stage, text string, n int) string {
	var out []byte
	for text != "" {
		k := min(n, len(text))
		out = s.Write(out, []byte(text[:k]))
		text = text[k:]
	}
	return string(s.Close(out))
}

const form = "--b-1\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n" +
	"--b-1\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n" +
	"--b-1\r\nContent-Disposition: form-data; name=\"ssn\"\r\n\r\n123456789\r\n" +
	"--b-1\r\nContent-Disposition: form-data; name=\"doc\"; filename=\"a.json\"\r\nContent-Type: application/json\r\n\r\n{\"n\":4111111111111111}\r\n" +
	"--b-1\r\nContent-Disposition: form-data; name=\"list\"; filename=\"a.csv\"\r\nContent-Type: application/vnd.ms-excel\r\n\r\nname;card\r\nAna;4111 1111 1111 1111\r\n" +
	"--b-1\r\nContent-Disposition: form-data; name=\"pic\"; filename=\"4111111111111111.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG4111111111111111\r\n--b-2\r\n" +
	"--b-1\r\nContent-Disposition: form-data; name=\"zip\"\r\n\r\n\x1f\x8b\x08\x004111111111111111\r\n--b-1--\r\n4111111111111111"

// breaks: data.no-card, data.no-ssn
func TestParts(t *testing.T) {
	want := strings.NewReplacer("\r\n\r\n123456789", "\r\n\r\n*****6789", `{"n":4111111111111111}`, `{"n":9999999999991111}`, "4111 1111 1111 1111", "**** **** **** 1111",
		`"4111111111111111.png"`, `"************1111.png"`, "--\r\n4111111111111111", "--\r\n************1111").Replace(form)
	for n := 1; n <= len(form); n++ {
		var found, unread []string
		p := guard.NewParts("b-1", masking, func(f guard.Find) { found = append(found, f.Field+" "+f.Class.String()) }, guard.Files{Unread: func(kind string) { unread = append(unread, kind) }})
		if got := through(p, form, n); got != want {
			t.Fatalf("in pieces of %d:\n%q\nwant\n%q", n, got, want)
		}
		if got := fmt.Sprint(found, unread); got != "[ssn ssn n card list card  card  card] [image/png text/plain]" {
			t.Fatalf("in pieces of %d: %s", n, got)
		}
	}
	stop := guard.NewParts("b-1", guard.Rules{Do: [2]guard.Action{guard.Stop, guard.Count}}, nil, guard.Files{})
	if got := through(stop, form, 50); !stop.Stopped() || !strings.HasSuffix(got, `{"n":`) {
		t.Errorf("%q passed", got)
	}
}

func FuzzParts(f *testing.F) {
	f.Add(form, uint(7))
	f.Add("--b-1\r\n\r\n--b-1\r\n--b-1--", uint(3))
	f.Fuzz(func(t *testing.T, body string, n uint) {
		p := guard.NewParts("b-1", masking, nil, guard.Files{})
		whole := through(p, body, max(1, len(body)))
		if len(whole) != len(body) && !p.Stopped() {
			t.Fatalf("%q became %q: another length", body, whole)
		}
		if got := through(guard.NewParts("b-1", masking, nil, guard.Files{}), body, 1+int(n%40)); got != whole {
			t.Fatalf("%q in pieces of %d: %q, whole %q", body, 1+n%40, got, whole)
		}
	})
}

// frame makes one frame of a WebSocket.
func frame(first byte, payload string, key string) []byte {
	b := []byte{first}
	bit := byte(0)
	if key != "" {
		bit = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, bit|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, bit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, bit|127), uint64(n))
	}
	b = append(b, key...)
	for i := range len(payload) {
		c := payload[i]
		if key != "" {
			c ^= key[i&3]
		}
		b = append(b, c)
	}
	return b
}

// breaks: data.no-card
func TestFrames(t *testing.T) {
	for _, key := range []string{"", "\x01\x02\x03\x04"} {
		var in, want []byte
		add := func(first byte, payload, becomes string) {
			in = append(in, frame(first, payload, key)...)
			if first != 0x01 && first != 0x00 {
				want = append(want, frame(first, becomes, key)...)
			}
		}
		add(0x81, "hello", "hello")
		add(0x81, `{"a":4111111111111111}`, `{"a":9999999999991111}`)
		in = append(in, frame(0x01, "card 4111 11", key)...) // fragments, with a ping between
		in = append(in, frame(0x89, "ping", key)...)
		in = append(in, frame(0x00, "", key)...)
		in = append(in, frame(0x80, "11 1111 1111", key)...)
		want = append(append(want, frame(0x89, "ping", key)...), frame(0x81, "card **** **** **** 1111", key)...)
		add(0x82, "4111111111111111", "4111111111111111") // binary
		in = append(in, frame(0x02, "4111", key)...)
		in = append(in, frame(0x80, "111111111111", key)...)
		want = append(append(want, frame(0x02, "4111", key)...), frame(0x80, "111111111111", key)...)
		add(0x81, "", "")
		add(0x81, strings.Repeat("x", 70_000)+"4111111111111111", strings.Repeat("x", 70_000)+"************1111")
		add(0x88, "\x03\xe8", "\x03\xe8")
		for _, n := range []int{1, 2, 3, 7, 100, len(in)} {
			found := 0
			f := guard.NewFrames(masking, key != "", func(guard.Find) { found++ })
			var out []byte
			for rest := in; len(rest) > 0; {
				k := min(n, len(rest))
				var err error
				if out, err = f.Write(out, rest[:k]); err != nil {
					t.Fatal(err)
				}
				rest = rest[k:]
			}
			if !bytes.Equal(out, want) || found != 3 {
				t.Fatalf("in pieces of %d: %d found\n%.300q\nwant\n%.300q", n, found, out, want)
			}
		}
	}
}

func TestFramesRefuse(t *testing.T) {
	stop := guard.Rules{Do: [2]guard.Action{guard.Stop}}
	long := frame(0x81, strings.Repeat("x", guard.MostMessage), "")
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"reserved bit":         {frame(0xc1, "x", ""), guard.ErrFrame},
		"mask from the server": {frame(0x81, "x", "abcd"), guard.ErrFrame},
		"unknown kind":         {frame(0x83, "x", ""), guard.ErrFrame},
		"control in parts":     {frame(0x09, "x", ""), guard.ErrFrame},
		"long control":         {frame(0x89, strings.Repeat("x", 126), ""), guard.ErrFrame},
		"continues nothing":    {frame(0x80, "x", ""), guard.ErrFrame},
		"message in a message": {append(frame(0x01, "x", ""), frame(0x81, "y", "")...), guard.ErrFrame},
		"over 1 MiB":           {frame(0x81, strings.Repeat("x", guard.MostMessage+1), ""), guard.ErrLarge},
		"over 1 MiB, in parts": {append(append(frame(0x01, "x", ""), 0x80, 127), 0, 0, 0, 0, 0, 0x10, 0, 0), guard.ErrLarge},
		"1 MiB":                {long, nil},
		"what may not pass":    {frame(0x81, "4111111111111111", ""), guard.ErrStopped},
	} {
		out, err := guard.NewFrames(stop, false, nil).Write(nil, c.in)
		if !errors.Is(err, c.want) || err == nil && !bytes.Equal(out, long) {
			t.Errorf("%s: %v", name, err)
		}
		if bytes.Contains(out, []byte("4111")) {
			t.Errorf("%s: the number passed", name)
		}
	}
	if got := guard.CloseFrame(guard.CloseLarge, strings.Repeat("é", 100)); len(got) > 127 || got[0] != 0x88 || binary.BigEndian.Uint16(got[2:]) != 1009 {
		t.Errorf("%q", got)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(append(frame(0x01, "4111", "abcd"), frame(0x80, "111111111111", "efgh")...), true, uint(5))
	f.Fuzz(func(t *testing.T, in []byte, client bool, n uint) {
		whole, err := guard.NewFrames(masking, client, nil).Write(nil, in)
		p := guard.NewFrames(masking, client, nil)
		var out []byte
		var also error
		for rest := in; len(rest) > 0 && also == nil; {
			k := min(1+int(n%30), len(rest))
			out, also = p.Write(out, rest[:k])
			rest = rest[k:]
		}
		if !errors.Is(also, err) && !errors.Is(err, also) || err == nil && !bytes.Equal(out, whole) {
			t.Fatalf("%q: %v %v, %q, whole %q", in, err, also, out, whole)
		}
	})
}

func zipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.Bytes()
}

func TestUnpack(t *testing.T) {
	text := strings.Repeat("a line like others\n", 20_000)
	got, err := io.ReadAll(guard.Unpack(bytes.NewReader(zipped(text)), 1000))
	if err != nil || string(got) != text {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := io.ReadAll(guard.Unpack(bytes.NewReader(zipped(text)), 100)); !errors.Is(err, guard.ErrPacked) {
		t.Errorf("a bomb: %v", err)
	}
	for _, in := range []string{"", "plain", string(zipped(text)[:100])} {
		if _, err := io.ReadAll(guard.Unpack(strings.NewReader(in), 100)); !errors.Is(err, guard.ErrPacked) {
			t.Errorf("%.20q: %v", in, err)
		}
	}
	away := errors.New("the source is away")
	if _, err := io.ReadAll(guard.Unpack(io.MultiReader(bytes.NewReader(zipped(text)[:20]), broken{away}), 100)); !errors.Is(err, away) || errors.Is(err, guard.ErrPacked) {
		t.Errorf("%v", err)
	}
	p := guard.NewPacker()
	out := p.Pack(nil, []byte("one "))
	first, err := gzip.NewReader(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	if n, err := first.Read(b); string(b[:n]) != "one " || err != nil {
		t.Errorf("%q %v before the end", b[:n], err)
	}
	out = p.End(p.Pack(out, []byte("two")))
	if got, err := io.ReadAll(guard.Unpack(bytes.NewReader(out), 100)); string(got) != "one two" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// breaks: data.no-ssn, data.no-phi
func TestNotice(t *testing.T) {
	for in, want := range map[string]string{
		"<p>x</p><form action=/a><form>":   "<p>x</p>!<form action=/a><form>",
		"<FORM\n>":                         "!<FORM\n>",
		"<formula><form>":                  "<formula>!<form>",
		"<<form>":                          "<!<form>",
		"<!-- <form > --><form>":           "<!-- <form > -->!<form>",
		"<script>'<form >'</script><form>": "<script>'<form >'</script>!<form>",
		"<SCRIPT src=\"a>b\">'<form >'</ScripT >x<form>":     "<SCRIPT src=\"a>b\">'<form >'</ScripT >x!<form>",
		"<a title=\"<form >\" data-x='<form >'><form>":       "<a title=\"<form >\" data-x='<form >'>!<form>",
		"<textarea><form ></textarea><title><form ></title>": "<textarea><form ></textarea><title><form ></title>",
		"no form <": "no form <", "<form": "<form", "a < b <form >": "a < b !<form >", "</form><form >": "</form>!<form >",
	} {
		for n := 1; n <= len(in); n++ {
			if got := through(&guard.Notice{Text: "!"}, in, n); got != want {
				t.Errorf("%q in pieces of %d became %q, want %q", in, n, got, want)
				break
			}
		}
	}
}

func TestFormats(t *testing.T) {
	for in, want := range map[string]guard.Format{
		"application/json; charset=utf-8": guard.JSON, "application/problem+json": guard.JSON, "text/event-stream": guard.JSON, "application/x-www-form-urlencoded": guard.Form,
		"text/csv": guard.Text, "": guard.Text, "application/vnd.ms-excel": guard.Text, "image/svg+xml": guard.Text, "text/javascript": guard.Code,
		"image/png": guard.Other, "application/pdf": guard.Other, "application/grpc+proto": guard.Other, "application/vnd.openxmlformats-officedocument.wordprocessingml.document": guard.Other,
	} {
		if got := guard.FormatOf(in); got != want {
			t.Errorf("%s: %d", in, got)
		}
	}
	for in, want := range map[string]bool{"text/html": true, "": true, "application/json": true, "application/xml": true, "image/svg+xml": true, "application/octet-stream": false, "image/png": false, "application/x-thing": false, "multipart/byteranges": false} {
		if got := guard.Readable(in); got != want {
			t.Errorf("%s is readable: %v", in, got)
		}
	}
	if guard.Boundary(`multipart/form-data; boundary="a b"`) != "a b" || guard.Boundary("text/plain; boundary=x") != "" {
		t.Error("boundary")
	}
}

func BenchmarkFrames(b *testing.B) {
	in := frame(0x81, `{"id":17,"name":"Ana","email":"ana@example.test"}`, "abcd")
	f := guard.NewFrames(masking, true, nil)
	out := make([]byte, 0, 200)
	b.ReportAllocs()
	for b.Loop() {
		out, _ = f.Write(out[:0], in)
	}
}
