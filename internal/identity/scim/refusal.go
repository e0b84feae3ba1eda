package scim

import (
	"net/http"
	"strconv"
	"strings"

	"writ/internal/fault"
	"writ/internal/web"
)

const errorURN = "urn:ietf:params:scim:api:messages:2.0:Error"

// scimTypes say in the words of RFC 7644 §3.12 what a code of ours means, and the status
// it has there.
var scimTypes = map[string]struct {
	status int
	kind   string
}{
	"filter_invalid":    {http.StatusBadRequest, "invalidFilter"},
	"too_many":          {http.StatusTooManyRequests, ""},
	"body_invalid":      {http.StatusBadRequest, "invalidSyntax"},
	"path_invalid":      {http.StatusBadRequest, "invalidPath"},
	"no_target":         {http.StatusBadRequest, "noTarget"},
	"value_invalid":     {http.StatusBadRequest, "invalidValue"},
	"read_only":         {http.StatusBadRequest, "mutability"},
	"user_invalid":      {http.StatusBadRequest, "invalidValue"},
	"group_invalid":     {http.StatusBadRequest, "invalidValue"},
	"group_too_large":   {http.StatusBadRequest, "invalidValue"},
	"no_member":         {http.StatusBadRequest, "invalidValue"},
	"email_invalid":     {http.StatusBadRequest, "invalidValue"},
	"user_exists":       {http.StatusConflict, "uniqueness"},
	"group_exists":      {http.StatusConflict, "uniqueness"},
	"address_denied":    {http.StatusBadRequest, "mutability"},
	"version_not_there": {http.StatusPreconditionFailed, ""},
}

var errChanged = fault.New(fault.Conflict, "version_not_there", fault.Public{Problem: "The resource is no longer of the version that If-Match names.", Next: "Read it and try again."})

func badFilter(format string, a ...any) error {
	return fault.Newf(fault.Malformed, "filter_invalid", format, a...)
}
func badBody(format string, a ...any) error {
	return fault.Newf(fault.Malformed, "body_invalid", format, a...)
}
func badPath(format string, a ...any) error {
	return fault.Newf(fault.Malformed, "path_invalid", format, a...)
}
func badValue(format string, a ...any) error {
	return fault.Newf(fault.Malformed, "value_invalid", format, a...)
}
func readOnly(name string) error {
	return fault.Newf(fault.Malformed, "read_only", "The attribute %q cannot be changed.", name)
}

// refusal answers in the form of RFC 7644 §3.12.
func refusal(w http.ResponseWriter, _ *http.Request, p web.Problem) error {
	t := scimTypes[p.Code]
	status := p.Status
	if t.status != 0 {
		status = t.status
	}
	var detail strings.Builder
	detail.WriteString(p.Detail)
	for _, more := range []string{p.Expected, p.Next} {
		if more != "" {
			detail.WriteString(" " + more)
		}
	}
	body := map[string]any{"schemas": []string{errorURN}, "status": strconv.Itoa(status), "detail": detail.String()}
	if t.kind != "" {
		body["scimType"] = t.kind
	}
	return write(w, status, body)
}
