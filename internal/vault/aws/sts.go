package aws

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
)

// sts is the service that tells a caller who it is.
const sts = "sts"

const (
	stsSpace = "https://sts.amazonaws.com/doc/2011-06-15/"
	stsMedia = "text/xml"
)

// stsCodes are names that this older wire has for what the newer ones call otherwise.
var stsCodes = map[string]string{
	"UnrecognizedClientException":         "InvalidClientTokenId",
	"InvalidSignatureException":           "SignatureDoesNotMatch",
	"IncompleteSignatureException":        "IncompleteSignature",
	"MissingAuthenticationTokenException": "MissingAuthenticationToken",
	"ServiceUnavailable":                  "ServiceUnavailable",
	"ThrottlingException":                 "Throttling",
	"ExpiredTokenException":               "ExpiredToken",
}

// identify answers who is calling, or why they were not let in. It reads nothing that is
// protected, so it makes no entry.
func (c *Call) identify(w http.ResponseWriter, err error) error {
	if err == nil {
		var asked url.Values
		if asked, err = url.ParseQuery(string(c.Body)); err != nil || asked.Get("Action") != "GetCallerIdentity" {
			err = &Error{"InvalidAction", "The only action here is GetCallerIdentity."}
		}
	}
	id := requestID("")
	if err == nil {
		return writeAs(w, http.StatusOK, stsMedia, id, fmt.Appendf(nil,
			`<GetCallerIdentityResponse xmlns="%s"><GetCallerIdentityResult><Arn>%s</Arn><UserId>%s</UserId><Account>%s</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></GetCallerIdentityResponse>`,
			stsSpace, html.EscapeString(c.User(c.Who.String())), html.EscapeString(c.Who.Token), c.Account, id))
	}
	status, code, text := named(Service{}, err)
	if code == "" {
		return err
	}
	if older := stsCodes[code]; older != "" && status != http.StatusServiceUnavailable {
		status, code = http.StatusForbidden, older
	}
	return writeAs(w, status, stsMedia, id, fmt.Appendf(nil,
		`<ErrorResponse xmlns="%s"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>`,
		stsSpace, html.EscapeString(code), html.EscapeString(text), id))
}
