package waf

import (
	"fmt"
	"strings"
)

// The limits of what is looked at.
const (
	MaxBody   = 128 << 10 // bytes of a request's body; a multipart body is longer when files are in it
	MaxAnswer = 512 << 10 // bytes of a page that is looked at; longer ones pass
	maxArgs   = 1000
	maxDepth  = 64 // of JSON
)

// The scores at which a request and an answer are refused: one critical rule.
const (
	ThresholdIn  = 5
	ThresholdOut = 4
)

// Levels of paranoia: how much the rules suspect.
const (
	LevelLeast = 1
	LevelMost  = 4
)

// own are the engine's settings. The rule set ships a configuration beside it, which only
// detects, sends bodies to a folder of temporary files, and lacks two of the rules below
// (arguments past the limit, a target that does not parse).
//
// The level of a request comes as its server port, which no rule of the set reads: so one
// set of rules in memory serves routes of every level.
const own = `
SecRuleEngine On
SecRxPreFilter Off
SecRequestBodyAccess On
SecRequestBodyLimit %[1]d
SecRequestBodyInMemoryLimit %[1]d
SecRequestBodyLimitAction Reject
SecRequestBodyJsonDepthLimit %[2]d
SecArgumentsLimit %[3]d
SecResponseBodyAccess On
SecResponseBodyMimeType text/html
SecResponseBodyLimit %[4]d
SecResponseBodyLimitAction ProcessPartial
SecAuditEngine Off
SecDefaultAction "phase:1,log,auditlog,pass"
SecDefaultAction "phase:2,log,auditlog,pass"
SecRule REQUEST_HEADERS:Content-Type "@rx ^(?:application|text)/(?:[a-z0-9.-]+\+)?xml" "id:100,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "@rx ^(?:application|text)/(?:[a-z0-9.-]+\+)?json" "id:101,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule URI_PARSE_ERROR "@eq 1" "id:102,phase:1,t:none,deny,status:400,log"
SecRule ARGUMENTS_LIMIT_REACHED "@eq 1" "id:103,phase:1,t:none,deny,status:400,log"
SecRule REQBODY_ERROR "!@eq 0" "id:104,phase:2,t:none,deny,status:400,log"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:105,phase:2,t:none,deny,status:400,log"
SecRule ARGUMENTS_LIMIT_REACHED "@eq 1" "id:106,phase:2,t:none,deny,status:400,log"
SecRule SERVER_PORT "@rx ^([1-4])$" "id:107,phase:1,t:none,pass,nolog,capture,setvar:tx.blocking_paranoia_level=%%{tx.1},setvar:tx.detection_paranoia_level=%%{tx.1}"
SecAction "id:108,phase:1,pass,nolog,setvar:tx.crs_setup_version=4250,setvar:tx.inbound_anomaly_score_threshold=%[5]d,setvar:tx.outbound_anomaly_score_threshold=%[6]d,setvar:tx.reporting_level=4"
`

// What the routes and the interface document say more exactly than the rule set: methods
// are the route table's business, and these media types are no attack.
const further = `
SecAction "id:109,phase:1,pass,nolog,setvar:'tx.allowed_methods=GET HEAD POST OPTIONS PUT PATCH DELETE',setvar:'tx.allowed_request_content_type=|application/x-www-form-urlencoded| |multipart/form-data| |text/xml| |application/xml| |application/soap+xml| |application/json| |application/problem+json| |application/merge-patch+json| |application/json-patch+json| |application/vnd.api+json| |application/ld+json| |application/csp-report| |application/reports+json| |application/cloudevents+json| |application/graphql-response+json| |application/x-ndjson| |application/octet-stream| |application/grpc| |application/grpc+proto| |application/grpc+json| |text/plain| |text/csv| |application/pdf| |application/zip| |application/gzip| |image/png| |image/jpeg| |image/gif| |image/webp| |image/avif| |audio/mpeg| |audio/mp4| |video/mp4| |video/webm|',setvar:tx.crs_validate_utf8_encoding=1"
`

// requestFiles are all of the rule set that looks at requests. Left out is
// REQUEST-905-COMMON-EXCEPTIONS: it takes the rules away from certain requests of
// loopback, which is where a proxy on the same machine comes from.
var requestFiles = []string{
	"REQUEST-901-INITIALIZATION", "REQUEST-911-METHOD-ENFORCEMENT", "REQUEST-913-SCANNER-DETECTION", "REQUEST-920-PROTOCOL-ENFORCEMENT",
	"REQUEST-921-PROTOCOL-ATTACK", "REQUEST-922-MULTIPART-ATTACK", "REQUEST-930-APPLICATION-ATTACK-LFI", "REQUEST-931-APPLICATION-ATTACK-RFI",
	"REQUEST-932-APPLICATION-ATTACK-RCE", "REQUEST-933-APPLICATION-ATTACK-PHP", "REQUEST-934-APPLICATION-ATTACK-GENERIC", "REQUEST-941-APPLICATION-ATTACK-XSS",
	"REQUEST-942-APPLICATION-ATTACK-SQLI", "REQUEST-943-APPLICATION-ATTACK-SESSION-FIXATION", "REQUEST-944-APPLICATION-ATTACK-JAVA",
	"REQUEST-949-BLOCKING-EVALUATION", "RESPONSE-980-CORRELATION",
}

// answerFiles look at answers. They are an engine of their own: none of them asks for
// more of the request than the first file sets.
var answerFiles = []string{
	"REQUEST-901-INITIALIZATION", "RESPONSE-950-DATA-LEAKAGES", "RESPONSE-951-DATA-LEAKAGES-SQL", "RESPONSE-952-DATA-LEAKAGES-JAVA", "RESPONSE-953-DATA-LEAKAGES-PHP",
	"RESPONSE-954-DATA-LEAKAGES-IIS", "RESPONSE-955-WEB-SHELLS", "RESPONSE-956-DATA-LEAKAGES-RUBY", "RESPONSE-959-BLOCKING-EVALUATION",
}

// directives are the whole configuration of one engine.
func directives(files []string, more string) string {
	var b strings.Builder
	// One byte more than may come: the engine refuses at its limit, not past it.
	fmt.Fprintf(&b, own, MaxBody+1, maxDepth, maxArgs, MaxAnswer+1, ThresholdIn, ThresholdOut)
	b.WriteString(more)
	for _, f := range files {
		fmt.Fprintf(&b, "Include @owasp_crs/%s.conf\n", f)
	}
	return b.String()
}
