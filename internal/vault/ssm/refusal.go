package ssm

import (
	"errors"
	"net/http"
	"strings"

	"writ/internal/fault"
	"writ/internal/vault/sigv4"
	"writ/internal/web"
)

// wireError is a refusal that only the wire knows.
type wireError struct{ code, text string }

// Error implements error.
func (e *wireError) Error() string { return e.code + ": " + e.text }

func invalid(text string) error { return &wireError{"ValidationException", text} }

// codes are the clients' names of our own refusals. What is not here follows its kind.
var codes = map[string]string{
	"param_unknown":    "ParameterNotFound",
	"param_exists":     "ParameterAlreadyExists",
	"param_changed":    "TooManyUpdates",
	"version_unknown":  "ParameterVersionNotFound",
	"versions_full":    "ParameterMaxVersionLimitExceeded",
	"name_depth":       "HierarchyLevelLimitExceededException",
	"type_changed":     "HierarchyTypeMismatchException",
	"type_unknown":     "UnsupportedParameterType",
	"pattern_invalid":  "InvalidAllowedPatternException",
	"pattern_mismatch": "ParameterPatternMismatchException",
	"lifecycle_many":   "PoliciesLimitExceededException",
	"lifecycle_twice":  "IncompatiblePolicyException",
	"lifecycle_type":   "InvalidPolicyTypeException",
	"lifecycle_wants":  "InvalidPolicyAttributeException",
	"lifecycle_json":   "InvalidPolicyAttributeException",
	"labels_full":      "ParameterVersionLabelLimitExceeded",
	"tags_full":        "TooManyTagsError",
	"key_alias":        "InvalidKeyId",
	"how":              "InvalidFilterOption",
	"page":             "InvalidNextToken",
	"path_reserved":    "AccessDeniedException",
	"key_unknown":      "UnrecognizedClientException",
	"key_ended":        "UnrecognizedClientException",
	"key_suspended":    "UnrecognizedClientException",
}

var kinds = map[fault.Kind]string{
	fault.Invalid:         "ValidationException",
	fault.Malformed:       "SerializationException",
	fault.Denied:          "AccessDeniedException",
	fault.Unauthenticated: "UnrecognizedClientException",
	fault.NotFound:        "ParameterNotFound",
	fault.Conflict:        "TooManyUpdates",
	fault.Limited:         "ThrottlingException",
	fault.TooLarge:        "ValidationException",
}

// body of a refusal. Some shapes of the clients' model spell the text with a capital.
type refused struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
	Capital string `json:"Message"`
}

// answer writes a refusal in the clients' form.
func answer(w http.ResponseWriter, id string, err error) error {
	status, code, text := http.StatusBadRequest, "", ""
	if e, ok := errors.AsType[*wireError](err); ok {
		code, text = e.code, e.text
	} else if e, ok := errors.AsType[*sigv4.Error](err); ok {
		code, text = e.Code, e.Text
	} else {
		ours, p := fault.PublicOf(err)
		kind := fault.KindOf(err)
		code = codes[ours]
		if code == "" {
			code = kinds[kind]
		}
		text = strings.TrimSpace(strings.Join([]string{p.Problem, p.Expected, p.Next}, " "))
		switch {
		case kind == fault.Sealed || kind == fault.Unavailable:
			status, code = http.StatusServiceUnavailable, "ServiceUnavailable"
			w.Header().Set("Retry-After", "5")
		case code == "":
			return err // the house answers, and logs the cause
		}
	}
	return write(w, status, id, refused{code, text, text})
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
