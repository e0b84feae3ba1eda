package aws

import (
	"errors"
	"net/http"
	"strings"

	"writ/internal/fault"
	"writ/internal/vault/sigv4"
	"writ/internal/web"
)

// Error is a refusal that only the wire knows, under the clients' name.
type Error struct{ Code, Text string }

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Text }

// Refuse is a refusal under the clients' name.
func Refuse(code, text string) error { return &Error{code, text} }

// Invalid is a refusal of an input.
func Invalid(text string) error { return Refuse("ValidationException", text) }

// codes are the clients' names of refusals that all services share.
var codes = map[string]string{
	"key_unknown":   "UnrecognizedClientException",
	"key_ended":     "UnrecognizedClientException",
	"key_suspended": "UnrecognizedClientException",
	"session_over":  "ExpiredTokenException",
}

// kinds name what no code names.
var kinds = map[fault.Kind]string{
	fault.Invalid:         "ValidationException",
	fault.Malformed:       "SerializationException",
	fault.Denied:          "AccessDeniedException",
	fault.Unauthenticated: "UnrecognizedClientException",
	fault.Limited:         "ThrottlingException",
	fault.TooLarge:        "ValidationException",
}

// refused is the body of a refusal. Some shapes of the clients' models spell the text with a capital.
type refused struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
	Capital string `json:"Message"`
}

// answer writes a refusal in the clients' form.
func answer(w http.ResponseWriter, id string, s Service, err error) error {
	status, code, text := named(s, err)
	if code == "" {
		return err // the house answers, and logs the cause
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	return write(w, status, id, refused{code, text, text})
}

// named is a refusal as the clients know it; no code = it is a fault of ours.
func named(s Service, err error) (status int, code, text string) {
	if e, ok := errors.AsType[*Error](err); ok {
		return http.StatusBadRequest, e.Code, e.Text
	}
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return http.StatusBadRequest, e.Code, e.Text
	}
	ours, p := fault.PublicOf(err)
	kind := fault.KindOf(err)
	text = strings.TrimSpace(strings.Join([]string{p.Problem, p.Expected, p.Next}, " "))
	if kind == fault.Sealed || kind == fault.Unavailable {
		return http.StatusServiceUnavailable, "ServiceUnavailable", text
	}
	if s.Code != nil {
		code = s.Code(ours, kind)
	}
	if code == "" {
		code = codes[ours]
	}
	if code == "" {
		code = kinds[kind]
	}
	return http.StatusBadRequest, code, text
}

// refusal is the form of what the house refuses before a call reaches us.
func refusal(w http.ResponseWriter, _ *http.Request, p web.Problem) error {
	status, code := http.StatusBadRequest, "ValidationException"
	switch {
	case p.Status >= 500 && p.Status != http.StatusServiceUnavailable:
		status, code = http.StatusInternalServerError, "InternalServerError"
	case p.Status == http.StatusServiceUnavailable:
		status, code = p.Status, "ServiceUnavailable"
	case p.Status == http.StatusTooManyRequests:
		code = "ThrottlingException"
	}
	return write(w, status, "", refused{code, p.Detail, p.Detail})
}
