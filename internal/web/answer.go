package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
)

// siteKey carries what the frame knows of a request to the pages that answer it. It
// never carries authority: handlers get the actor as an argument.
type siteKey struct{}

type site struct {
	server *Server
	id     string
	who    actor.Actor // for the console's rail only
}

// RequestID is the id in the answer's X-Request-Id header, "" outside a Server.
func RequestID(ctx context.Context) string {
	if st, ok := ctx.Value(siteKey{}).(*site); ok {
		return st.id
	}
	return ""
}

// contentPolicy allows this site's own files and nothing inline.
const contentPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// fixed are headers of every answer. Answers share the values: a handler that wants another
// one sets it, and one that adds to it gets a slice of its own.
var fixed = []struct {
	name  string
	value []string
}{
	{"Cache-Control", []string{"no-store"}},
	{"Content-Security-Policy", []string{contentPolicy}},
	{"X-Content-Type-Options", []string{"nosniff"}},
	{"Referrer-Policy", []string{"no-referrer"}},
	{"Cross-Origin-Opener-Policy", []string{"same-origin"}},
	{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
}

func setHeaders(h http.Header, id string) {
	h.Set("X-Request-Id", id)
	for _, f := range fixed {
		h[f.name] = f.value
	}
}

// answer remembers whether the answer has begun.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (a *answer) WriteHeader(status int) {
	a.begun = a.begun || status >= 200
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(b)
}

// Flush serves streams.
func (a *answer) Flush() {
	a.begun = true
	_ = http.NewResponseController(a.ResponseWriter).Flush() // a writer that cannot flush does so at the end
}

// Unwrap serves http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Problem is a refusal on the wire: RFC 9457, with Writ's own members after the standard's.
type Problem struct {
	Type      string         `json:"type"`   // urn:writ:problem:<code>
	Title     string         `json:"title"`  // the status in words
	Status    int            `json:"status"` // the HTTP status
	Code      string         `json:"code"`   // stable; switch on it
	Detail    string         `json:"detail"` // what was wrong
	Expected  string         `json:"expected,omitempty"`
	Next      string         `json:"next,omitempty"` // what to do
	RequestID string         `json:"request_id"`
	Errors    []ProblemField `json:"errors,omitempty"`
	ACR       int            `json:"acr,omitempty"`     // with step_up_required: factors that must be shown
	MaxAge    int64          `json:"max_age,omitempty"` // seconds that the proof may be old
}

// ProblemField is one refused field.
type ProblemField struct {
	Field  string `json:"field"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// ProblemOf is err as a client may see it.
func ProblemOf(r *http.Request, err error) Problem {
	err = translate(err)
	status := fault.KindOf(err).Status()
	code, pub := fault.PublicOf(err)
	var m *methodError
	if errors.As(err, &m) {
		status, code, pub = http.StatusMethodNotAllowed, "method_not_allowed", fault.Public{Problem: "This address does not take " + m.method + ".", Expected: "It takes " + m.allow + "."}
	}
	p := Problem{Type: "urn:writ:problem:" + code, Title: http.StatusText(status), Status: status, Code: code,
		Detail: pub.Problem, Expected: pub.Expected, Next: pub.Next, RequestID: RequestID(r.Context())}
	if up, ok := errors.AsType[*StepUp](err); ok {
		p.ACR, p.MaxAge = up.ACR, int64(up.MaxAge/time.Second)
	}
	for _, f := range pub.Fields {
		p.Errors = append(p.Errors, ProblemField{Field: f.Name, Code: f.Code, Detail: f.Problem})
	}
	return p
}

// translate gives kinds to the errors of net/http that a body read may return.
func translate(err error) error {
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok && fault.KindOf(err) != fault.TooLarge {
		return tooLarge(e.Limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && fault.KindOf(err) != fault.Malformed {
		return fault.New(fault.Malformed, "slow_body", fault.Public{Problem: "The request's body did not arrive in time.", Next: "Send it again over a faster connection."})
	}
	if errors.Is(err, context.DeadlineExceeded) && fault.KindOf(err) == fault.Internal {
		return fault.Wrap(fault.Unavailable, "too_slow", err)
	}
	return err
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "too_large", fault.Public{Problem: "The request is too large.", Expected: "At most " + strconv.FormatInt(limit, 10) + " bytes."})
}

// fail renders err: a redirect to the sign-in page, a page, or problem+json.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) { s.failAs(w, r, err, nil) }

// failAs is fail, or the route's own form of a refusal.
func (s *Server) failAs(w http.ResponseWriter, r *http.Request, err error, own func(http.ResponseWriter, *http.Request, Problem) error) {
	p := ProblemOf(r, err)
	s.logFault(r, p, err)
	noted(r).Code = p.Code
	if a, ok := w.(*answer); ok && a.begun {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	for _, k := range []string{"Content-Length", "Content-Type", "Content-Disposition", "Content-Encoding", "Etag", "Last-Modified"} {
		h.Del(k) // a handler may have prepared a different answer
	}
	h.Set("Cache-Control", "no-store")
	if after := retryAfter(err, p.Status); after > 0 {
		h.Set("Retry-After", strconv.Itoa(after))
	}
	if m, ok := errors.AsType[*methodError](err); ok {
		h.Set("Allow", m.allow)
	}
	if own != nil {
		if p.Status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", `Bearer realm="writ"`)
		}
		if err := own(w, r, p); err != nil {
			s.deps.Log.Error("render refusal", "request_id", p.RequestID, "err", err)
		}
		return
	}
	html := wantsPage(r)
	if p.Code == "sign_in_needed" && html && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		h.Set("Location", "/-/sign-in?to="+url.QueryEscape(ReturnPath(r.URL.RequestURI())))
		w.WriteHeader(http.StatusFound)
		return
	}
	if first := beforeAnything[p.Code]; first != "" && html && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		h.Set("Location", first+"?to="+url.QueryEscape(ReturnPath(r.URL.RequestURI())))
		w.WriteHeader(http.StatusFound)
		return
	}
	if up, ok := errors.AsType[*StepUp](err); ok {
		if html {
			h.Set("Location", s.stepUpAt(r, up.ACR))
			w.WriteHeader(http.StatusSeeOther)
			return
		}
		h.Set("WWW-Authenticate", up.challenge())
	}
	if html {
		if err := s.pages.Render(w, r, p.Status, "error", View{Title: errorTitle(p.Status), Frame: Plain, Data: p}); err == nil {
			return
		}
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="writ"`)
	}
	if err := writeJSON(w, "application/problem+json", p.Status, p); err != nil {
		s.deps.Log.Error("render problem", "request_id", p.RequestID, "err", err)
	}
}

// logFault writes the whole error to the log, and the route's pattern rather than the
// path: a path may hold a one-time link. Only what broke is an error to the log: a
// refusal that was decided (busy, maintenance) or a client that went away comes as often
// as strangers like.
func (s *Server) logFault(r *http.Request, p Problem, err error) {
	log := s.deps.Log.Debug
	e, ok := errors.AsType[*fault.Error](err)
	decided := ok && e.Kind != fault.Internal && e.Err == nil
	if p.Status >= 500 && !decided && r.Context().Err() == nil {
		log = s.deps.Log.Error
	}
	log("refused", "request_id", p.RequestID, "method", r.Method, "route", r.Pattern, "status", p.Status, "code", p.Code, "err", err)
}

// retryAfter is in seconds, 0 for none.
func retryAfter(err error, status int) int {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.RetryAfter > 0 {
		return int(math.Ceil(e.RetryAfter.Seconds()))
	}
	switch status {
	case http.StatusTooManyRequests:
		return 60
	case http.StatusServiceUnavailable:
		return 10
	}
	return 0
}

// wantsPage reports whether the client is a browser asking for something to read.
func wantsPage(r *http.Request) bool {
	if api(r.URL.Path) {
		return false
	}
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		if kind, _, _ := strings.Cut(part, ";"); strings.TrimSpace(kind) == "text/html" {
			return true
		}
	}
	return false
}

// errorTitle is the heading of an error page.
func errorTitle(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "Please sign in"
	case http.StatusForbidden:
		return "Not allowed"
	case http.StatusNotFound:
		return "Not found"
	case http.StatusGone:
		return "No longer there"
	case http.StatusTooManyRequests:
		return "Too many attempts"
	case http.StatusServiceUnavailable:
		return "Away for a moment"
	case http.StatusInternalServerError:
		return "Something inside went wrong"
	}
	return "Refused"
}

// methodError is a known path asked with a method it does not take.
type methodError struct{ method, allow string }

func (m *methodError) Error() string { return "method " + m.method + " is not among " + m.allow }

// unmatched says why no route took the request, by asking a mux without the catch-all.
func unmatched(w http.ResponseWriter, r *http.Request, bare *http.ServeMux) error {
	h, pattern := bare.Handler(r)
	if pattern == "" {
		probe := &probe{header: http.Header{}}
		h.ServeHTTP(probe, r)
		if probe.status == http.StatusMethodNotAllowed {
			return &methodError{method: r.Method, allow: probe.header.Get("Allow")}
		}
	}
	return fault.NotFound
}

// probe takes the mux's own refusal without sending it.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
func (p *probe) WriteHeader(status int)      { p.status = status }

// limitBody bounds the body in bytes and in time. GET and HEAD have none: they are
// without effect, so nothing in them is read.
func limitBody(rt Route, within time.Duration, w http.ResponseWriter, r *http.Request) error {
	if rt.reads() || r.Body == nil || r.Body == http.NoBody {
		r.Body = http.NoBody
		return nil
	}
	limit := rt.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	if r.ContentLength > limit {
		w.Header().Set("Connection", "close")
		return tooLarge(limit)
	}
	c := http.NewResponseController(w)
	// The deadline ends with the body; past it, it would cancel a handler at work.
	if c.SetReadDeadline(time.Now().Add(within)) == nil {
		r.Body = &timedBody{ReadCloser: http.MaxBytesReader(w, r.Body, limit), done: func() { _ = c.SetReadDeadline(time.Time{}) }}
		return nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	return nil
}

// timedBody lifts the read deadline when the body has ended well. After any other error
// it stays, because net/http then drains what the client still sends.
type timedBody struct {
	io.ReadCloser
	done func()
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.done()
	}
	return n, err
}

// buffered renders before the first byte is sent.
func buffered(w http.ResponseWriter, kind string, status int, b *bytes.Buffer) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, err := w.Write(b.Bytes())
	return err
}
