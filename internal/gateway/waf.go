package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/fault"
	"writ/internal/gateway/guard"
	"writ/internal/gateway/waf"
)

// WAF are the machine settings of the rules that look for attacks.
type WAF struct {
	Mode     string // off, detect or block; "" = off
	Paranoia int    // 1 to 4; 0 = 1
}

// What is done with what the rules find. A route may only do more.
const (
	WAFOff    = "off"
	WAFDetect = "detect" // it is recorded
	WAFBlock  = "block"  // and the request is refused
)

var wafModes = map[string]int{"": 0, WAFOff: 0, WAFDetect: 1, WAFBlock: 2}

var (
	// refuseAttack says nothing of what was found: whoever tries must not learn from it.
	refuseAttack = deny(noAutomation, fault.Denied, "refused", fault.Public{
		Problem: "This request was refused.", Next: "If it was a good one, tell the people of this site the number of the request."})
	refuseUnseen = deny(noAutomation, fault.TooLarge, "body_too_large", fault.Public{
		Problem: "The body is larger than this address takes.", Expected: "128 KiB at most, where the address is not one for files.", Next: "Send less, or in parts."})
	refuseUnready = func() *refusal {
		r := deny(noAutomation, fault.Unavailable, "rules_unready", fault.Public{
			Problem: "The rules that look at requests are not ready.", Next: "Try again in a moment."})
		r.err.RetryAfter = 2 * time.Second
		return r
	}()
	refuseLeak = refuse(noAutomation, http.StatusBadGateway, fault.Unavailable, "answer_held_back", fault.Public{
		Problem: "The application's answer was held back.", Next: "Tell the people of this site the number of the request."})
	errLeak = errors.New("gateway: the application's answer was held back")
)

// watch is the engine with what was decided about its finds.
type watch struct {
	WAF
	once   sync.Once
	begun  atomic.Bool   // somebody wants the rules
	ready  chan struct{} // closed when engine and broken are set
	engine *waf.Engine
	broken error

	forgot   time.Time // when finds were last looked through for what is too old; Run's alone
	excepted atomic.Pointer[exceptions]
	finds    finds
	toldAt   atomic.Int64 // when the log was last told that something could not be looked at
	unlooked atomic.Int64 // bodies that were too large to be looked at, and passed
}

func newWatch(c WAF) (*watch, error) {
	if _, ok := wafModes[c.Mode]; !ok || c.Paranoia < 0 || c.Paranoia > waf.LevelMost {
		return nil, fmt.Errorf("gateway: waf mode %q with paranoia %d is not off, detect or block with 1 to %d", c.Mode, c.Paranoia, waf.LevelMost)
	}
	w := &watch{WAF: c, ready: make(chan struct{})}
	w.Paranoia = max(w.Paranoia, waf.LevelLeast)
	w.finds.init()
	w.excepted.Store(&exceptions{})
	return w, nil
}

// runWAF begins to load the rules when the server runs. Where only a route wants them,
// they are loaded at its first request.
func (g *Gateway) runWAF() {
	if wafModes[g.watch.Mode] > 0 {
		g.watch.begin()
	}
}

// wafTick records new finds and follows exceptions, those of other nodes too.
func (g *Gateway) wafTick(ctx context.Context) error {
	err := errors.Join(g.flushFinds(ctx, false), g.endExceptions(ctx), g.readExceptions(ctx))
	if now := g.now(); now.Sub(g.watch.forgot) >= time.Hour {
		g.watch.forgot = now
		err = errors.Join(err, g.forgetFinds(ctx))
	}
	return err
}

// closeWAF gives the rules back. Nothing asks for them any more.
func (g *Gateway) closeWAF(ctx context.Context) error {
	if !g.watch.begun.Load() {
		return nil
	}
	e, err := g.watch.wait(ctx)
	if err != nil {
		return nil //nolint:nilerr // there is nothing to close
	}
	return e.Close() //nolint:wrapcheck // the engine says what failed
}

// begin loads the rules beside everything else, once; requests that need them wait.
func (w *watch) begin() {
	w.once.Do(func() {
		w.begun.Store(true)
		go func() {
			defer close(w.ready)
			w.engine, w.broken = waf.Open(waf.Options{})
		}()
	})
}

func (w *watch) wait(ctx context.Context) (*waf.Engine, error) {
	select {
	case <-w.ready:
		return w.engine, w.broken
	default:
	}
	select {
	case <-w.ready:
		return w.engine, w.broken
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// wafRule is what a route asks of the rules.
type wafRule struct {
	mode  string
	level int
}

// wafWanted is the stricter of the machine's settings and what the rules of the path say.
func (v *visit) wafWanted() wafRule {
	w := v.g.watch
	out := wafRule{w.Mode, w.Paranoia}
	for _, r := range v.need.rules {
		if r == nil {
			continue
		}
		if wafModes[r.waf.mode] > wafModes[out.mode] {
			out.mode = r.waf.mode
		}
		out.level = max(out.level, r.waf.level)
	}
	return out
}

// uploads is how long a body with files in it may be; 0 where no route says that files come.
func (d *decision) uploads() int64 {
	for _, r := range d.rules {
		if r != nil && r.body > waf.MaxBody {
			return d.most()
		}
	}
	return 0
}

// lookAt takes the request through the rules: what the application would get, and
// nothing of ours. A request whose body cannot be looked at is refused where finds are.
func (v *visit) lookAt() *refusal { // clause: use.no-automation
	if v.asked || v.dry { // neither headers nor body are the request's own
		return nil
	}
	if v.waf = v.wafWanted(); wafModes[v.waf.mode] == 0 {
		return nil
	}
	v.g.watch.begin()
	block := v.waf.mode == WAFBlock
	e, err := v.g.watch.wait(v.r.Context())
	if err != nil {
		v.g.watch.complain(v, err)
		return v.unless(block, refuseUnready)
	}
	body, ref := v.seenBody(block)
	if ref != nil {
		return ref
	}
	verdict, err := e.Look(v.wafRequest(body))
	if err != nil {
		v.g.watch.complain(v, err)
		return v.unless(block, refuseUnready)
	}
	if len(verdict.Matches) == 0 {
		return nil
	}
	verdict = v.found(verdict)
	return v.unless(block && verdict.Refuse, refuseAttack)
}

// unless refuses where the mode says so.
func (*visit) unless(refused bool, ref *refusal) *refusal {
	if refused {
		return ref
	}
	return nil
}

// seenBody is the body to look at; nil when there is none, when it is a stream, or when
// it is a file on its way to an address for files. Of parts, files are not looked at.
func (v *visit) seenBody(block bool) ([]byte, *refusal) {
	if v.r.ContentLength == 0 || v.r.Body == nil || twoWay(v.r) || len(v.r.Header["Upgrade"]) > 0 {
		return nil, nil
	}
	kind, most := v.r.Header.Get("Content-Type"), int64(waf.MaxBody)
	if files := v.need.uploads(); files > 0 {
		switch {
		case waf.InParts(kind):
			most = files
		case waf.IsFile(kind):
			return nil, nil
		}
	}
	if block {
		b, ref := v.hold(most)
		if ref == refuseLarge && most == waf.MaxBody {
			ref = refuseUnseen
		}
		return b, ref
	}
	if v.r.ContentLength > most {
		v.g.watch.unlooked.Add(1)
		return nil, nil
	}
	b, ref := v.hold(v.need.most())
	if ref == nil && int64(len(b)) > most {
		v.g.watch.unlooked.Add(1)
		return nil, nil
	}
	return b, ref
}

// wafRequest is the request as the application gets it.
func (v *visit) wafRequest(body []byte) *waf.Request {
	target := v.target.raw
	if v.target.marked {
		target += "?" + v.target.query
	}
	return &waf.Request{Method: v.r.Method, Target: target, Proto: v.r.Proto, Host: v.host, Header: seenHeaders(v.r.Header), Coding: v.r.TransferEncoding, Body: body, Level: v.waf.level}
}

// seenHeaders are a client's headers without those that stay here.
func seenHeaders(h http.Header) http.Header {
	hide := ours(h)
	out := make(http.Header, len(h))
	for name, values := range h {
		switch {
		case name == "" || dropped(name) || name == "Authorization" && hide:
		case name == "Cookie":
			for _, line := range values {
				if line = withoutOwn(line); line != "" {
					out[name] = append(out[name], line)
				}
			}
		default:
			out[name] = values
		}
	}
	return out
}

// complain tells the log, at most once a second, that something could not be looked at.
func (w *watch) complain(v *visit, err error) {
	last, now := w.toldAt.Load(), v.g.now()
	if !errors.Is(err, context.Canceled) && now.UnixNano()-last >= int64(time.Second) && w.toldAt.CompareAndSwap(last, now.UnixNano()) {
		v.g.log.Error("a request or an answer could not be looked at", "route", v.need.node.pattern, "err", err)
	}
}

// found counts what the rules found and takes away what is excepted.
func (v *visit) found(verdict waf.Verdict) waf.Verdict {
	route, now := v.need.node.pattern, v.g.now()
	all := v.g.watch.excepted.Load()
	verdict = verdict.Without(func(m waf.Match) bool { return all.has(m, route, now) })
	refused := verdict.Refuse && v.waf.mode == WAFBlock
	for _, m := range verdict.Matches {
		v.g.watch.finds.add(v.caller(), find{rule: m.Rule, variable: m.Variable, field: fieldName(m.Field), route: route, method: knownMethod(v.r.Method), mode: v.waf.mode, refused: refused}, m.Length)
	}
	return verdict
}

// pageFound looks at a page the application answers with. Where finds are refused the
// page waits until it was looked at; elsewhere it is looked at when it has passed.
func (v *visit) pageFound(res *http.Response) error {
	if wafModes[v.waf.mode] == 0 || v.r.Method == http.MethodHead || res.Body == nil || res.ContentLength > waf.MaxAnswer || !waf.Pages(res.StatusCode, res.Header) {
		return nil
	}
	if v.waf.mode != WAFBlock {
		res.Body = &lookedBody{ReadCloser: res.Body, end: func(page []byte) { v.judgePage(res.StatusCode, res.Header, page) }}
		return nil
	}
	page, err := io.ReadAll(io.LimitReader(res.Body, waf.MaxAnswer+1))
	if err != nil {
		return fmt.Errorf("read page: %w", err)
	}
	rest := res.Body
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(page), rest), rest}
	if len(page) > waf.MaxAnswer || !v.judgePage(res.StatusCode, res.Header, page) {
		return nil
	}
	return errors.Join(errLeak, rest.Close())
}

// judgePage reports whether a page is to be held back.
func (v *visit) judgePage(status int, h http.Header, page []byte) bool {
	e, err := v.g.watch.wait(v.r.Context())
	if err == nil {
		page, h, err = v.unpacked(h, page)
	}
	if err != nil {
		v.g.watch.complain(v, err)
		return false
	}
	verdict, err := e.LookAt(&waf.Answer{Status: status, Proto: "HTTP/1.1", Header: h, Body: page, Level: v.waf.level})
	if err != nil {
		v.g.watch.complain(v, err)
		return false
	}
	return v.found(verdict).Refuse
}

// unpacked is a page as a browser reads it, up to what is looked at, and its headers without those
// of the packing: the rules leave alone what they are told is packed.
func (v *visit) unpacked(h http.Header, page []byte) ([]byte, http.Header, error) {
	var z io.Reader
	switch packing(h) {
	case gzipped:
		z = guard.Unpack(bytes.NewReader(page), answerRatio)
	case brotlied:
		r, err := v.g.unbrotli(io.NopCloser(bytes.NewReader(page)), answerRatio)
		if err != nil {
			return nil, nil, err
		}
		defer r.Close()
		z = r
	default:
		return page, h, nil
	}
	b, err := io.ReadAll(io.LimitReader(z, waf.MaxAnswer))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, fmt.Errorf("unpack page: %w", err)
	}
	h = h.Clone()
	h.Del("Content-Encoding")
	h.Del("Content-Length")
	return b, h, nil
}

// lookedBody keeps what passes, up to what is looked at, and tells of it at the end.
type lookedBody struct {
	io.ReadCloser
	page []byte
	end  func([]byte)
}

// Read implements io.Reader.
func (b *lookedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if room := waf.MaxAnswer + 1 - len(b.page); room > 0 {
		b.page = append(b.page, p[:min(n, room)]...)
	}
	return n, err //nolint:wrapcheck // a reader's error is passed as it is
}

// Close implements io.Closer.
func (b *lookedBody) Close() error {
	if b.end != nil && len(b.page) <= waf.MaxAnswer {
		b.end(b.page)
		b.end = nil
	}
	return b.ReadCloser.Close() //nolint:wrapcheck // a closer's error is passed as it is
}

// checkWAF reads what a route says of the rules.
func (r *Route) checkWAF() (wafRule, error) {
	if r.WAF != "" && r.WAF != WAFDetect && r.WAF != WAFBlock {
		return wafRule{}, fmt.Errorf("waf is %q; expected detect or block: a route does no less than writ.yaml", r.WAF)
	}
	if r.Paranoia < 0 || r.Paranoia > waf.LevelMost {
		return wafRule{}, fmt.Errorf("paranoia is %s; expected 1 to %d", strconv.Itoa(r.Paranoia), waf.LevelMost)
	}
	return wafRule{r.WAF, r.Paranoia}, nil
}
