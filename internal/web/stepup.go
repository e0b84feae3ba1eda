package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"writ/internal/fault"
)

// StepUp is a refusal that a factor shown anew would lift: 403 step_up_required. It tells
// what is asked for, as RFC 9470 does.
type StepUp struct {
	Fault  *fault.Error
	ACR    int // the level that must be shown: 1, 2, or 3 for a passkey
	MaxAge time.Duration
}

// NeedStepUp makes one.
func NeedStepUp(acr int, maxAge time.Duration) *StepUp {
	what := "Your second factor"
	switch {
	case acr < 2:
		what = "Your password"
	case acr > 2:
		what = "Your passkey"
	}
	return &StepUp{ACR: acr, MaxAge: maxAge, Fault: fault.New(fault.Denied, "step_up_required", fault.Public{
		Problem:  "This needs a proof that it is you, and the last one is too old.",
		Expected: fmt.Sprintf("%s, shown within the last %s.", what, Duration(maxAge)),
		Next:     "Show it at /-/step-up and try again."})}
}

// Error implements error.
func (s *StepUp) Error() string { return s.Fault.Error() }

// Unwrap gives kind, code and public part.
func (s *StepUp) Unwrap() error { return s.Fault }

// challenge is the WWW-Authenticate of RFC 9470.
func (s *StepUp) challenge() string {
	return fmt.Sprintf(`Bearer realm="writ", error="insufficient_user_authentication", acr_values="%d", max_age="%d"`, s.ACR, int64(s.MaxAge/time.Second))
}

// stepUpAt is the page on which a browser shows its factor, and comes back from. A form
// that was sent comes back to the page it stood on, if there is one.
func (s *Server) stepUpAt(r *http.Request, acr int) string {
	to := r.URL.RequestURI()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		to = "/"
		read := &http.Request{Method: http.MethodGet, URL: r.URL, Host: r.Host}
		if _, pattern := s.trial.Handler(read); pattern != "" {
			to = r.URL.RequestURI()
		}
	}
	return StepUpPath(acr, ReturnPath(to))
}

// StepUpPath is the page that asks for a factor that reaches a level, and leads back to a
// path of this site.
func StepUpPath(acr int, to string) string {
	v := url.Values{"to": {to}}
	if acr > 1 {
		v.Set("level", strconv.Itoa(acr))
	}
	return "/-/step-up?" + v.Encode()
}
