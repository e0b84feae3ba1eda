package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"writ/internal/fault"
	"writ/internal/gateway/guard"
)

// The leak guard on a request's way in: what holds the number of a card or of social
// security is refused, masked or noted, as the policy says, before the application has it.

const (
	noCard      = "data.no-card"
	cardSummary = "data.card-summary"
	noSSN       = "data.no-ssn"
	noPHI       = "data.no-phi"
)

const (
	wholeBody    = 64 << 10 // bodies up to here are looked at before the application hears of them
	requestRatio = 20       // how much a packed body may grow
)

var refuseEncoding = refuse(noCard, http.StatusUnsupportedMediaType, fault.Media, "content_encoding", fault.Public{
	Problem: "The body is packed in a way that cannot be looked into here.", Expected: "Content-Encoding: gzip or br, or none."})

// guards are what the policy says of bytes that pass.
type guards struct {
	in, signed, out guard.Rules
	notice          bool // whether tagged forms carry one
}

// validateGuard refuses values that this build cannot uphold.
func (r *Rules) validateGuard() error {
	if _, ok := cardActions[r.NoCard]; !ok {
		return fmt.Errorf("data.no-card/mode is %q; this gate knows block, redact and warn", r.NoCard)
	}
	if r.Detector != "luhn-iin" {
		return fmt.Errorf("data.no-card/detector is %q; this gate has only luhn-iin", r.Detector)
	}
	if r.Keep < 0 || r.Keep > 4 {
		return fmt.Errorf("data.card-summary/keep is %d; a summary has 0 to 4 digits", r.Keep)
	}
	if _, ok := ssnActions[r.NoSSN]; !ok {
		return fmt.Errorf("data.no-ssn/mode is %q; this gate knows block, warn and notice", r.NoSSN)
	}
	if r.NoPHI != "notice" {
		return fmt.Errorf("data.no-phi/mode is %q; a gate that knows health data by its words is not in this build: notice", r.NoPHI)
	}
	return nil
}

var (
	cardActions = map[string]guard.Action{"block": guard.Stop, "redact": guard.Mask, "warn": guard.Count}
	ssnActions  = map[string]guard.Action{"block": guard.Stop, "warn": guard.Count, "notice": guard.Ignore}
)

// guards reads the rules once for a table. Answers are masked wherever requests are not let
// through: who only wants to be warned has nothing changed.
func (r *Rules) guards() guards { // clause: data.no-card, data.no-ssn, data.card-summary
	g := guards{notice: true}
	g.in.Keep, g.signed.Keep, g.out.Keep = int(r.Keep), int(r.Keep), int(r.Keep)
	for class, a := range map[guard.Class]guard.Action{guard.Card: cardActions[r.NoCard], guard.SSN: ssnActions[r.NoSSN]} {
		g.in.Do[class], g.signed.Do[class], g.out.Do[class] = a, a, a
		if a == guard.Mask { // a masked body would not fit its signature
			g.signed.Do[class] = guard.Stop
		}
		if a == guard.Stop {
			g.out.Do[class] = guard.Mask
		}
	}
	return g
}

// tagged reports whether a rule of the request says so.
func (d *decision) tagged(is func(*rule) bool) bool {
	return d.rules[0] != nil && is(d.rules[0]) || d.rules[1] != nil && is(d.rules[1])
}

func isSigned(r *rule) bool { return r.signed }
func isNotice(r *rule) bool { return r.notice }

// guardIn looks at what a client sends: address, query and body.
func (v *visit) guardIn() *refusal { // clause: data.no-card, data.no-ssn
	rules := v.table.guards.in
	if rules.Idle() || v.dry { // nothing is sent in a dry run
		return nil
	}
	if v.need.tagged(isSigned) {
		rules = v.table.guards.signed
	}
	if ref := v.guardTarget(rules); ref != nil || v.asked {
		return ref
	}
	return v.guardBody(v.watch(rules, true))
}

// guardTarget looks at path and query. A path is never masked: it is what was allowed.
func (v *visit) guardTarget(rules guard.Rules) *refusal {
	if fewDigits(v.target.raw) && fewDigits(v.target.query) {
		return nil
	}
	path := rules
	for c := range path.Do {
		if path.Do[c] == guard.Mask {
			path.Do[c] = guard.Stop
		}
	}
	if _, ref := v.look(path, guard.Text, "path", v.target.raw); ref != nil {
		return ref
	}
	query, ref := v.look(rules, guard.Form, "", v.target.query)
	if ref == nil && query != v.target.query {
		v.target.query, v.r.URL.RawQuery = query, query
	}
	return ref
}

// look scans one short text.
func (v *visit) look(rules guard.Rules, f guard.Format, field, text string) (string, *refusal) {
	var s guard.Scanner
	w := v.watch(rules, true)
	s.Reset(rules, f, w.found)
	s.Named(field)
	out := s.Close(s.Write(nil, []byte(text)))
	if s.Stopped() {
		return "", w.refusal()
	}
	return string(out), nil
}

// fewDigits reports whether a target is too poor in digits for any number.
func fewDigits(s string) bool {
	n := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n < 9
}

// plainBody says that a body is not packed any more.
func plainBody(r *http.Request) {
	r.ContentLength = -1
	r.Header.Del("Content-Encoding")
	r.Header.Del("Content-Length")
}

// guardBody looks at a short body before the application hears of the request, and at a
// longer one as it goes by.
func (v *visit) guardBody(w *watcher) *refusal {
	r := v.r
	if r.ContentLength == 0 || r.Body == nil || twoWay(r) {
		return nil
	}
	kind := r.Header.Get("Content-Type")
	boundary := ""
	if strings.HasPrefix(strings.ToLower(kind), "multipart/") {
		boundary = guard.Boundary(kind)
	}
	if guard.FormatOf(kind) == guard.Other && !guard.Opened(kind) {
		w.unread(kind)
		return nil
	}
	switch packing(r.Header) {
	case bare:
	case gzipped:
		r.Body = &boundBody{Reader: guard.Unpack(r.Body, requestRatio), Closer: r.Body, left: v.need.most()}
		plainBody(r)
	case brotlied:
		b, err := v.g.unbrotli(r.Body, requestRatio)
		if err != nil {
			return refuseFull
		}
		v.roomy = b
		r.Body = &boundBody{Reader: b, Closer: b, left: v.need.most()}
		plainBody(r)
	default:
		v.w.Header()["Accept-Encoding"] = takesAll // of requests: RFC 9110 section 15.5.16
		return refuseEncoding
	}
	if r.ContentLength < 0 || r.ContentLength > wholeBody {
		r.Body = &watchedBody{from: r.Body, stage: v.stage(w, kind, boundary), w: w}
		return nil
	}
	b, ref := v.hold(wholeBody)
	if ref != nil || guard.Harmless(b) && boundary == "" && !guard.Opens(b) {
		return ref
	}
	stage := v.stage(w, kind, boundary)
	out := stage.Close(stage.Write(make([]byte, 0, len(b)), b))
	if stage.Stopped() {
		return w.refusal()
	}
	copy(b, out) // a mask has the length of what it covers
	return nil
}

// stage is what a body passes through. What it holds of files is given back with the visit.
func (v *visit) stage(w *watcher, kind, boundary string) guard.Stage {
	if v.lease == nil {
		v.lease = &lease{room: &v.g.room}
	}
	files := guard.Files{Room: v.lease.take, Unread: w.unread}
	if boundary != "" {
		return guard.NewParts(boundary, w.rules, w.found, files)
	}
	return guard.NewWhole(kind, w.rules, w.found, files)
}

// lease is memory that a request holds.
type lease struct {
	room  *room
	taken atomic.Int64
}

func (l *lease) take(n int) bool {
	if !l.room.take(int64(n)) {
		return false
	}
	l.taken.Add(int64(n))
	return true
}

func (l *lease) free() { l.room.used.Add(-l.taken.Swap(0)) }

// watcher notes what is found in one direction of one request. It outlives the visit: a
// transport may read a body for longer than the request is served.
type watcher struct {
	sights *sights
	rules  guard.Rules
	route  string
	in     bool
	first  *guard.Find // that may not pass
}

func (v *visit) watch(rules guard.Rules, in bool) *watcher {
	w := &watcher{sights: &v.g.sights, rules: rules, route: "*", in: in}
	if v.need.node != nil {
		w.route = v.need.node.pattern
	}
	return w
}

func (w *watcher) found(f guard.Find) {
	a := w.rules.Do[f.Class]
	if f.File && a == guard.Mask {
		a = guard.Stop
	}
	if a == guard.Stop && w.first == nil {
		w.first = &f
	}
	w.sights.note(sight{done: a, class: f.Class.String(), route: w.route, field: f.Field, in: w.in})
}

// unread notes an upload that cannot be looked into.
func (w *watcher) unread(string) { w.sights.note(sight{route: w.route, in: w.in}) }

// refusal says what was found and where; never the value.
func (w *watcher) refusal() *refusal { // clause: data.no-card, data.no-ssn
	if w.first == nil { // there is no room to look into what was sent
		return refuseFull
	}
	clause, what, instead := noCard, "a payment card's number", "Card data is not kept here; at most its last four digits."
	if w.first.Class == guard.SSN {
		clause, what, instead = noSSN, "a social security number", "Such numbers are not wanted here."
	}
	field := w.first.Field
	if field == "" {
		field = "body"
	}
	return deny(clause, fault.Invalid, "sensitive_data", fault.Public{
		Problem: "What you sent holds " + what + ". It was not passed on.", Expected: instead, Next: "Take it out and send the rest again.",
		Fields: []fault.Field{{Name: field, Code: w.first.Class.String(), Problem: "This holds " + what + "."}}})
}

// sensitiveBody breaks a request off in the middle of its body.
type sensitiveBody struct{ ref *refusal }

// Error implements error.
func (e *sensitiveBody) Error() string { return "gateway: the body holds what may not pass" }

// watchedBody is a request's body that is looked at as it goes by.
type watchedBody struct {
	from  io.ReadCloser
	stage guard.Stage
	w     *watcher
	in    []byte
	out   []byte
	at    int
	err   error
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	for b.at == len(b.out) {
		if b.err != nil {
			return 0, b.err
		}
		b.fill()
	}
	n := copy(p, b.out[b.at:])
	b.at += n
	return n, nil
}

func (b *watchedBody) fill() {
	if b.in == nil {
		b.in = make([]byte, 16<<10)
	}
	n, err := b.from.Read(b.in)
	b.out, b.at = b.stage.Write(b.out[:0], b.in[:n]), 0
	switch {
	case errors.Is(err, io.EOF):
		b.out = b.stage.Close(b.out)
	case errors.Is(err, guard.ErrPacked):
		err = fmt.Errorf("%w: %w", errBody, err)
	}
	if b.err = err; b.stage.Stopped() {
		b.out, b.err = nil, &sensitiveBody{b.w.refusal()} // nothing more of it either
	}
}

// Close implements io.Closer.
func (b *watchedBody) Close() error { return b.from.Close() } //nolint:wrapcheck // net/http's own

// step finds a step by its name.
func (g *Gateway) step(name string) *step {
	for i := range g.steps {
		if g.steps[i].name == name {
			return &g.steps[i]
		}
	}
	return &step{name: name}
}
