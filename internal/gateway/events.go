package gateway

import (
	"time"

	"writ/internal/ledger"
)

// RequestRefused is a request that a step refused. The first of a caller, step, code,
// route and method in a minute is an entry of its own; the others of that minute are
// one more entry with their number. Browsers sent to the sign-in page are only counted.
type RequestRefused struct {
	Step   string `class:"public"`
	Code   string `class:"public"`
	Route  string `class:"public"` // the pattern, never the path
	Method string `class:"public"`
	Status int    `class:"public"`
	Count  int64  `class:"public"`
	clause string
}

// About implements ledger.Event.
func (e RequestRefused) About() ledger.About {
	return ledger.About{Name: "gateway.request-refused", Clause: e.clause, Object: "step/" + e.Step}
}

// RequestTotals is what one route pattern saw since the totals before.
type RequestTotals struct {
	Since    time.Time `class:"public"`
	Until    time.Time `class:"public"`
	Route    string    `class:"public"` // "*" where no route matched, "/-/" for refusals at Writ's own pages
	Requests int64     `class:"public"`
	Refused  int64     `class:"public"`
	SentAway int64     `class:"public"` // browsers sent to the sign-in page
	Failed   int64     `class:"public"` // answers of 500 and above, the application's or for it
}

// About implements ledger.Event.
func (e RequestTotals) About() ledger.About {
	return ledger.About{Name: "gateway.requests-counted", Clause: noAutomation}
}

// CookiesDropped counts cookies under names of this server that the application tried to set.
// They did not reach the client: one could sign somebody in as another.
type CookiesDropped struct {
	Since time.Time `class:"public"`
	Until time.Time `class:"public"`
	Route string    `class:"public"`
	Count int64     `class:"public"`
}

// About implements ledger.Event.
func (e CookiesDropped) About() ledger.About {
	return ledger.About{Name: "gateway.cookies-dropped", Clause: "auth.best-practice"}
}

// Malformed counts connections whose bytes were refused before any step saw a request.
type Malformed struct {
	Since time.Time `class:"public"`
	Until time.Time `class:"public"`
	Count int64     `class:"public"`
}

// About implements ledger.Event.
func (e Malformed) About() ledger.About {
	return ledger.About{Name: "gateway.malformed", Clause: noAutomation}
}

// StreamsCut are requests under way that were ended because they may not go on, in a minute.
type StreamsCut struct {
	Cause  string        `class:"public"` // ended, role, team, factor, unknown, blocked, or the mode of the gate
	Route  string        `class:"public"` // the pattern
	Count  int64         `class:"public"`
	Oldest time.Duration `class:"public"` // how long the longest of them had lasted
}

// About implements ledger.Event.
func (e StreamsCut) About() ledger.About {
	return ledger.About{Name: "gateway.streams-cut", Clause: "auth.best-practice"}
}

// WroteWhileClosed counts requests that changed something while the gate was closed to
// them. There must be none.
type WroteWhileClosed struct {
	Since time.Time `class:"public"`
	Until time.Time `class:"public"`
	Count int64     `class:"public"`
}

// About implements ledger.Event.
func (e WroteWhileClosed) About() ledger.About {
	return ledger.About{Name: "gateway.wrote-while-closed", Clause: lossFreeze}
}

// ModeChanged says that the gate was closed in some way or opened again.
type ModeChanged struct {
	From   string    `class:"public"`
	To     string    `class:"public"`
	Share  int       `class:"public"` // per cent of the teams, when staged
	Hold   string    `class:"public"` // what closed or opened it for a time, or moved that time; "" = a person or an incident
	Until  time.Time `class:"public"` // announced end of what holds it
	reason string
}

// About implements ledger.Event.
func (e ModeChanged) About() ledger.About {
	return ledger.About{Name: "gateway.mode-changed", Clause: lossMaintenance, Object: "gateway/mode", Reason: e.reason}
}

// RoutesAdopted says which route file is in force.
type RoutesAdopted struct {
	Hash  string `class:"public"` // SHA-256 of the file in hex, "" when there is none
	Count int    `class:"public"`
}

// About implements ledger.Event.
func (e RoutesAdopted) About() ledger.About {
	return ledger.About{Name: "gateway.routes-adopted", Clause: noAutomation, Object: "gateway/routes"}
}

// DescriptionAdopted says which description of the application's interface is in force.
type DescriptionAdopted struct {
	Hash       string `class:"public"` // SHA-256 over the files' hashes and names in hex, "" when there is none
	Files      int    `class:"public"`
	Operations int    `class:"public"`
	Remarks    int    `class:"public"` // what it leaves more open than it need
}

// About implements ledger.Event.
func (e DescriptionAdopted) About() ledger.About {
	return ledger.About{Name: "gateway.description-adopted", Clause: publicAPI, Object: "gateway/description"}
}

// AnswersCompared counts answers of the application that were compared with the
// description, since the counts before. Nothing was done about those that differ.
type AnswersCompared struct {
	Operation string `class:"public"` // method and template
	Compared  int64  `class:"public"`
	Differ    int64  `class:"public"`
	Missed    int64  `class:"public"` // chosen, and then too long or one too many
}

// About implements ledger.Event.
func (e AnswersCompared) About() ledger.About {
	return ledger.About{Name: "gateway.answers-compared", Clause: publicAPI}
}

// WAFMatched is a rule that found something in a request, or in a page of the application;
// what it found is nowhere. The first of a caller, rule, field and route in a minute is an
// entry of its own; the others of that minute are one more entry with their number.
type WAFMatched struct {
	Rule     int64  `class:"public"`
	Variable string `class:"public"` // such as ARGS
	Field    string `class:"public"` // name of the argument or header; "?" where it is not fit to be kept
	Length   int64  `class:"public"` // of what was looked at; the longest
	Route    string `class:"public"` // the pattern, never the path
	Method   string `class:"public"`
	Mode     string `class:"public"` // detect or block
	Refused  bool   `class:"public"`
	Count    int64  `class:"public"`
}

// About implements ledger.Event.
func (e WAFMatched) About() ledger.About {
	return ledger.About{Name: "gateway.waf-matched", Clause: noAutomation, Object: "step/waf"}
}

// WAFExcepted says that rules do not count in one field of one route for a while.
type WAFExcepted struct {
	Rules  string    `class:"public"` // numbers, by spaces
	Route  string    `class:"public"`
	Field  string    `class:"public"`
	Until  time.Time `class:"public"`
	id     string
	reason string
}

// About implements ledger.Event.
func (e WAFExcepted) About() ledger.About {
	return ledger.About{Name: "gateway.waf-excepted", Clause: noAutomation, Object: "waf-exception/" + e.id, Reason: e.reason}
}

// WAFExceptionEnded says that such an exception is over.
type WAFExceptionEnded struct {
	Rules string `class:"public"`
	Route string `class:"public"`
	Field string `class:"public"`
	How   string `class:"public"` // ended, or time is over
	id    string
}

// About implements ledger.Event.
func (e WAFExceptionEnded) About() ledger.About {
	return ledger.About{Name: "gateway.waf-exception-ended", Clause: noAutomation, Object: "waf-exception/" + e.id}
}

// CachePurged says which cached files were forgotten by command.
type CachePurged struct {
	Path   string `class:"public"` // "" = by tag
	Tag    string `class:"public"` // "" = by path
	reason string
}

// About implements ledger.Event.
func (e CachePurged) About() ledger.About {
	return ledger.About{Name: "gateway.cache-purged", Clause: hostCDN, Object: "gateway/cache", Reason: e.reason}
}

// TicketKeyDestroyed is a half day whose key of TLS tickets nobody has any more.
type TicketKeyDestroyed struct {
	Began time.Time `class:"public"`
}

// About implements ledger.Event.
func (TicketKeyDestroyed) About() ledger.About {
	return ledger.About{Name: "gateway.ticket-key-destroyed", Clause: "crypto.current-public"}
}
