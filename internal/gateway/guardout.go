package gateway

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"writ/internal/fault"
	"writ/internal/gateway/guard"
)

// The leak guard on an answer's way out: numbers of cards are masked in all that is text.
//
//	answer ─► not text ──────────────────────────────────────────► as it is
//	       ├─► up to 32 KiB: read whole ─► nothing found ────────► as it is, to the byte
//	       │                            └► found ─► masked, packed again
//	       └─► longer, or of no known length ─► unpacked ─► masked as it streams ─► packed again

const (
	answerRatio = 100
	eventWait   = 250 * time.Millisecond // how long a piece of an event may be held
)

var (
	errPartial       = errors.New("gateway: a part of a text was sent: numbers may be cut at its ends")
	refuseUnreadable = refuse(cardSummary, http.StatusBadGateway, fault.Unavailable, "answer_unreadable", fault.Public{
		Problem: "The application's answer cannot be looked into, so it is not shown.", Expected: "Text that is whole, and packed with gzip or not at all."})
)

var (
	takesGzip  = []string{"gzip, identity"}
	takesAll   = []string{"br, gzip, identity"}
	takesPlain = []string{"identity"}
)

// NoticeHeader tells programs which data an address does not want.
const NoticeHeader = "Writ-Notice"

var (
	noticeWords = []string{"no payment card numbers, no social security numbers, no health data"}
	noticeText  = `<p role="note" class="writ-notice">Please do not enter payment card numbers, social security numbers or health data here.</p>`
)

// guardHeaders asks the application for what can be looked into.
func (v *visit) guardHeaders(h http.Header) { // clause: data.no-card, data.card-summary
	if v.table.guards.out.Idle() && !v.need.tagged(isNotice) && !v.need.tagged(isBrowser) {
		return
	}
	if v.need.tagged(isBrowser) { // a page kept from before has other fields, or none
		delete(h, "If-None-Match")
		delete(h, "If-Modified-Since")
	}
	if accepts := h["Accept-Encoding"]; len(accepts) > 0 {
		h["Accept-Encoding"] = takesPlain
		if len(accepts) == 1 && acceptsGzip(accepts[0]) {
			h["Accept-Encoding"] = takesGzip
		}
	}
	if asked := h["Range"]; len(asked) > 0 && (!isMedia(h.Get("Sec-Fetch-Dest")) || len(asked) > 1 || strings.Contains(asked[0], ",")) { // a number could be fetched in parts
		delete(h, "Range")
		delete(h, "If-Range")
	}
	if len(h["Upgrade"]) > 0 {
		delete(h, "Sec-Websocket-Extensions") // packed frames cannot be read
	}
}

// isMedia reports whether a browser wants to play what it asks for; a text is not sent in
// parts all the same.
func isMedia(dest string) bool { return dest == "video" || dest == "audio" || dest == "track" }

// parts reports whether an answer holds several parts of a file, each with a type of its own
// (multipart/byteranges). Nobody who plays one asks for that.
func parts(status int, kind string) bool { // clause: data.card-summary
	return status == http.StatusPartialContent && hasPrefixFold(strings.TrimSpace(kind), "multipart/")
}

func acceptsGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		coding, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q := strings.TrimSpace(params)
			return q != "q=0" && !strings.HasPrefix(q, "q=0.0")
		}
	}
	return false
}

// guardOut looks at the application's answer.
func (v *visit) guardOut(res *http.Response) error { // clause: data.no-card, data.card-summary, data.no-ssn, data.no-phi
	if err := v.maskFields(res); err != nil {
		return err
	}
	rules, notice, forms := v.table.guards.out, v.need.tagged(isNotice), v.need.tagged(isBrowser)
	if rules.Idle() && !notice && !forms {
		return nil
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		v.guardSocket(res)
		return nil
	}
	h := res.Header
	kind := h.Get("Content-Type")
	page := (notice || forms) && strings.HasPrefix(strings.ToLower(kind), "text/html") && !strings.Contains(strings.ToLower(kind), "utf-16")
	if notice {
		h[NoticeHeader] = noticeWords
	}
	if page && forms {
		forOne(h)
		v.private = true
	}
	if parts(res.StatusCode, kind) {
		return errPartial
	}
	if v.r.Method == http.MethodHead || res.StatusCode == http.StatusNoContent || res.StatusCode == http.StatusNotModified || !guard.Readable(kind) {
		if page {
			h.Del("Content-Length") // of the page without its notice
		}
		return nil
	}
	how := packing(h)
	if res.StatusCode == http.StatusPartialContent {
		return errPartial
	}
	if how == foreign {
		return guard.ErrPacked
	}
	if how == brotlied {
		if err := v.plainly(res, how); err != nil {
			return err
		}
	}
	packed := how == gzipped
	if res.ContentLength >= 0 && res.ContentLength <= int64(len([32 << 10]byte{})) {
		return v.guardWhole(res, packed, page)
	}
	changed(h)
	if packed || page {
		h.Del("Content-Length")
		res.ContentLength = -1
	}
	a := v.guarded(res, page)
	a.packed, a.opened, a.events = packed, how != bare, strings.HasPrefix(kind, "text/event-stream")
	res.Body = a
	return a.begin()
}

// guarded prepares for looking at an answer.
func (v *visit) guarded(res *http.Response, page bool) *guardedAnswer {
	a := &guardedAnswer{g: v.g, from: res.Body, page: page, cancel: v.cancel}
	w := v.watch(v.table.guards.out, false)
	a.scan.Reset(w.rules, guard.FormatOf(res.Header.Get("Content-Type")), func(f guard.Find) { a.found, v.private = true, true; w.found(f) })
	if v.need.tagged(isNotice) {
		a.notice.Text = noticeText
	}
	if v.need.tagged(isBrowser) {
		a.notice.Form = v.stamp
	}
	return a
}

// changed says that a body is not, byte for byte, the application's own.
func changed(h http.Header) { // clause: data.card-summary
	if tag := h.Get("Etag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		h["Etag"] = []string{"W/" + tag}
	}
	for _, name := range []string{"Accept-Ranges", "Content-Digest", "Content-Md5", "Digest", "Repr-Digest"} {
		delete(h, name)
	}
}

// guardedAnswer is an answer that is looked at.
type guardedAnswer struct {
	g      *Gateway
	from   io.ReadCloser
	plain  io.Reader // from, unpacked
	packed bool      // and is packed again
	opened bool      // what comes of plain may show that it cannot be unpacked
	page   bool      // gets a notice
	events bool
	found  bool
	cancel func()

	scan   guard.Scanner
	notice guard.Notice
	packer *guard.Packer
	in     []byte
	mid    []byte
	out    []byte
	at     int
	err    error

	later   chan read // of a read that goes on
	pending bool
}

type read struct {
	n   int
	err error
}

// guardWhole reads a short answer to its end. Where nothing is found it stays as it was.
func (v *visit) guardWhole(res *http.Response, packed, page bool) error { // clause: data.card-summary
	buf := v.g.buffers.Get()
	n, cut := io.ReadFull(res.Body, buf[:res.ContentLength])
	cut = errors.Join(cut, res.Body.Close())
	v.kept = keptAnswer{buf: buf, g: v.g, cut: cut} // what came of a cut answer is passed on, and that it was cut
	body := buf[:n]
	text := body
	if packed && n > 0 {
		var err error
		if text, err = io.ReadAll(guard.Unpack(bytes.NewReader(body), answerRatio)); cut != nil || err != nil {
			return errors.Join(cut, err, v.kept.Close())
		}
	}
	if page || !guard.Harmless(text) {
		a := v.guarded(res, page)
		a.out = a.stages(nil, text, true)
		if a.found || len(a.out) != len(text) {
			body = a.out
			if packed {
				p := guard.NewPacker()
				body = p.End(p.Pack(nil, a.out))
			}
			changed(res.Header)
			res.ContentLength += int64(len(body) - n)
			res.Header["Content-Length"] = []string{strconv.FormatInt(res.ContentLength, 10)}
		}
	}
	v.kept.rest = body
	res.Body = &v.kept
	return nil
}

// keptAnswer is a short answer in memory.
type keptAnswer struct {
	rest []byte
	g    *Gateway
	buf  []byte
	cut  error // that it did not come to its end
}

// Read implements io.Reader.
func (k *keptAnswer) Read(p []byte) (int, error) {
	n := copy(p, k.rest)
	k.rest = k.rest[n:]
	if len(k.rest) > 0 {
		return n, nil
	}
	if k.cut != nil {
		return n, k.cut
	}
	return n, io.EOF
}

// Close implements io.Closer.
func (k *keptAnswer) Close() error {
	if k.rest = nil; k.buf != nil {
		k.g.buffers.Put(k.buf)
		k.buf = nil
	}
	return nil
}

// stages passes text on through both.
func (a *guardedAnswer) stages(dst, text []byte, last bool) []byte {
	if !a.page {
		if dst = a.scan.Write(dst, text); last {
			dst = a.scan.Close(dst)
		}
		return dst
	}
	if a.mid = a.scan.Write(a.mid[:0], text); last {
		a.mid = a.scan.Close(a.mid)
	}
	if dst = a.notice.Write(dst, a.mid); last {
		dst = a.notice.Close(dst)
	}
	return dst
}

// begin prepares for reading. What cannot be unpacked shows before the answer begins; only
// events are not waited for.
func (a *guardedAnswer) begin() error {
	a.in, a.plain, a.later = a.g.buffers.Get(), a.from, make(chan read, 1)
	if a.packed {
		a.plain, a.packer = guard.Unpack(a.from, answerRatio), guard.NewPacker()
	}
	if !a.opened || a.events {
		return nil
	}
	a.fill()
	if err := a.err; err != nil && err != io.EOF { //nolint:errorlint // a wrapped end is not the end
		return errors.Join(err, a.Close())
	}
	return nil
}

// Read implements io.Reader.
func (a *guardedAnswer) Read(p []byte) (int, error) {
	for a.at == len(a.out) {
		if a.err != nil {
			return 0, a.err
		}
		a.fill()
	}
	n := copy(p, a.out[a.at:])
	a.at += n
	return n, nil
}

// fill reads more of the application's answer.
func (a *guardedAnswer) fill() {
	a.at, a.out = 0, a.out[:0]
	n, err, waited := a.next()
	if waited {
		a.mid = a.scan.Flush(a.mid[:0])
		a.give(a.mid)
		return
	}
	plain := a.stages(nil, a.in[:n], err == io.EOF) //nolint:errorlint // a wrapped end is not the end
	a.give(plain)
	if a.err = err; err == io.EOF && a.packer != nil { //nolint:errorlint // likewise
		a.out = a.packer.End(a.out)
		a.packer = nil
	}
}

func (a *guardedAnswer) give(plain []byte) {
	if a.packer != nil && len(plain) > 0 {
		a.out = a.packer.Pack(a.out, plain)
		return
	}
	a.out = append(a.out, plain...)
}

// next reads. A piece of an event that is held is not held for longer than a quarter of a
// second: then waited is true, and the read goes on.
func (a *guardedAnswer) next() (n int, err error, waited bool) { //nolint:revive // the error is a value read
	if !a.pending {
		if !a.events || a.cancel == nil || a.scan.Held() == 0 {
			n, err = a.plain.Read(a.in)
			return n, err, false
		}
		a.pending = true
		go func() {
			n, err := a.plain.Read(a.in)
			a.later <- read{n, err}
		}()
	}
	var clock <-chan time.Time
	if a.scan.Held() > 0 {
		t := time.NewTimer(eventWait)
		defer t.Stop()
		clock = t.C
	}
	select {
	case r := <-a.later:
		a.pending = false
		return r.n, r.err, false
	case <-clock:
		return 0, nil, true
	}
}

// Close implements io.Closer.
func (a *guardedAnswer) Close() error {
	if a.pending {
		a.cancel()
		<-a.later
		a.pending = false
	}
	if a.packer != nil {
		a.packer.End(nil)
		a.packer = nil
	}
	if a.in != nil {
		a.g.buffers.Put(a.in)
		a.in = nil
		a.err = http.ErrBodyReadAfterClose
	}
	return a.from.Close() //nolint:wrapcheck // the proxy's own
}

// guardSocket looks at both directions of a WebSocket.
func (v *visit) guardSocket(res *http.Response) { // clause: data.no-card, data.no-ssn
	conn, ok := res.Body.(io.ReadWriteCloser)
	if !ok || v.table.guards.out.Idle() {
		return // the proxy says what is wrong with it
	}
	in := v.table.guards.in
	if v.need.tagged(isSigned) {
		in = v.table.guards.signed
	}
	delete(res.Header, "Sec-Websocket-Extensions")
	res.Body = &guardedSocket{ReadWriteCloser: conn,
		down: guard.NewFrames(v.table.guards.out, false, v.watch(v.table.guards.out, false).found),
		up:   guard.NewFrames(in, true, v.watch(in, true).found)}
}

// guardedSocket is the application's side of a WebSocket. What ends it is said to the
// client; the application sees its connection close.
type guardedSocket struct {
	io.ReadWriteCloser
	down, up *guard.Frames
	in       [8 << 10]byte
	out      []byte // for the client
	at       int
	over     error
	sent     []byte // for the application

	mu   sync.Mutex // guards the next
	last []byte     // the frame that ends it
}

// Read implements io.Reader: what the application says.
func (s *guardedSocket) Read(p []byte) (int, error) {
	for s.at == len(s.out) {
		if s.over != nil {
			return 0, s.over
		}
		n, err := s.ReadWriteCloser.Read(s.in[:])
		var bad error
		s.out, bad = s.down.Write(s.out[:0], s.in[:n])
		if s.at = 0; bad != nil {
			s.end(bad)
			err = io.EOF
		}
		s.over = err
		if err != nil {
			if last := s.goodbye(); last != nil {
				s.out, s.over = append(s.out, last...), io.EOF
			}
		}
	}
	n := copy(p, s.out[s.at:])
	s.at += n
	return n, nil
}

// Write implements io.Writer: what the client says.
func (s *guardedSocket) Write(p []byte) (int, error) {
	if s.goodbye() != nil {
		return len(p), nil // it may say what it likes
	}
	var bad error
	s.sent, bad = s.up.Write(s.sent[:0], p)
	if bad != nil {
		s.end(bad)
		return len(p), nil // the other direction says goodbye, and ends both
	}
	if _, err := s.ReadWriteCloser.Write(s.sent); err != nil {
		return 0, err //nolint:wrapcheck // the proxy's own
	}
	return len(p), nil
}

// CloseWrite passes on that the client says nothing more.
func (s *guardedSocket) CloseWrite() error {
	if c, ok := s.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite() //nolint:wrapcheck // the proxy's own
	}
	return nil
}

// end breaks the connection to the application off.
func (s *guardedSocket) end(why error) {
	code, text := uint16(guard.CloseProtocol), "not a frame without extensions"
	switch {
	case errors.Is(why, guard.ErrStopped):
		code, text = guard.ClosePolicy, "sensitive_data"
	case errors.Is(why, guard.ErrLarge):
		code, text = guard.CloseLarge, "a text message is longer than 1 MiB"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = guard.CloseFrame(code, text)
		_ = s.Close() // what it says changes nothing
	}
}

func (s *guardedSocket) goodbye() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}
