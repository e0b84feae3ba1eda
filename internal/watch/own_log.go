package watch

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"writ/internal/journal"
	"writ/internal/watch/sigma"
)

// Handled is a request that the gate answered, as the access records have it.
type Handled struct {
	At             time.Time
	Kind, Who, For string // a pseudonym of a person, the id of a program
	Team           string
	Staff          bool
	Session, Token string
	Network        string // it came from: 256 addresses, or a /48
	Route, Method  string // the pattern, not the path: a path may hold a secret
	Status         int
	Code           string // of a refusal
	Took           time.Duration
	In, Out        int64 // bytes
	Resource       []string
}

// records is the log of what the gate answered.
var records = &sigma.Log{Sources: []sigma.Source{{Category: "webserver"}, {Product: "writ", Service: "access"}}}

// recordFields are what rules about web servers ask for, and what a record has of it.
var recordFields = []recordField{
	{[]string{"cs-method", "method"}, func(a *Handled) any { return some(a.Method) }},
	{[]string{"cs-uri-stem", "c-uri-stem", "cs-uri", "c-uri", "route"}, func(a *Handled) any { return some(a.Route) }},
	{[]string{"sc-status", "status"}, func(a *Handled) any { return int64(a.Status) }},
	{[]string{"c-ip", "src_ip", "network"}, func(a *Handled) any { return some(a.Network) }},
	{[]string{"cs-username", "who"}, func(a *Handled) any { return some(a.Who) }},
	{[]string{"sc-bytes", "bytes_out"}, func(a *Handled) any { return max(a.Out, 0) }},
	{[]string{"cs-bytes", "bytes_in"}, func(a *Handled) any { return max(a.In, 0) }},
	{[]string{"time-taken", "took_ms"}, func(a *Handled) any { return a.Took.Milliseconds() }},
	{[]string{"kind"}, func(a *Handled) any { return some(a.Kind) }},
	{[]string{"for"}, func(a *Handled) any { return some(a.For) }},
	{[]string{"team"}, func(a *Handled) any { return some(a.Team) }},
	{[]string{"staff"}, func(a *Handled) any { return a.Staff }},
	{[]string{"session"}, func(a *Handled) any { return some(a.Session) }},
	{[]string{"token"}, func(a *Handled) any { return some(a.Token) }},
	{[]string{"code"}, func(a *Handled) any { return some(a.Code) }},
	{[]string{"resource"}, func(a *Handled) any {
		var out []any
		for _, r := range a.Resource {
			out = append(out, r)
		}
		return out
	}},
}

// some is nothing where there is nothing: a field that is empty is not there.
func some(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// recordField is one value of a record, and under which names it is asked for.
type recordField struct {
	names []string
	of    func(a *Handled) any
}

// recordsAs are the fields of records that are asked for; nil = all.
func recordsAs(asks map[string]bool) (out []recordField) {
	for _, f := range recordFields {
		names := f.names
		if asks != nil {
			names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !asks[n] })
		}
		if len(names) > 0 {
			out = append(out, recordField{names, f.of})
		}
	}
	return out
}

// fillRecord makes a record the event, in the room of the one before.
func fillRecord(ev *sigma.Event, fields []recordField, a *Handled, ref int64) *sigma.Event {
	ev.Log, ev.At, ev.Ref, ev.Fields = records, a.At, ref, ev.Fields[:0]
	for i := range fields {
		v := fields[i].of(a)
		if list, ok := v.([]any); v == nil || ok && len(list) == 0 {
			continue
		}
		for _, name := range fields[i].names {
			ev.Fields = append(ev.Fields, sigma.Field{Name: name, Value: v})
		}
	}
	return ev
}

// eventOfRecord makes an event of all that a record has.
func eventOfRecord(a *Handled, ref int64) *sigma.Event {
	return fillRecord(&sigma.Event{Fields: make([]sigma.Field, 0, 24)}, recordsAs(nil), a, ref)
}

// aboutRecord is whom a record is about, for the label of an alarm.
func aboutRecord(a *Handled) string {
	if a.Who != "" {
		return a.Who
	}
	return a.Network
}

// ofCanary reports whether a control of the house asked.
func (a *Handled) ofCanary() bool {
	p, err := netip.ParsePrefix(a.Network)
	return strings.HasPrefix(a.Team, canaryMark) || err == nil && canaryNet.Contains(p.Addr())
}

// head is something that every entry has.
type head struct {
	name string
	of   func(e *journal.Entry) string
}

// headFields are under names that no field of an event has.
var headFields = []head{
	{"writ.event", func(e *journal.Entry) string { return e.Stream }},
	{"writ.actor", func(e *journal.Entry) string { return e.Actor }},
	{"writ.kind", func(e *journal.Entry) string { return e.Kind }},
	{"writ.object", func(e *journal.Entry) string { return e.Object }},
	{"writ.subject", func(e *journal.Entry) string { return e.Subject }},
	{"writ.clause", func(e *journal.Entry) string { return e.Clause }},
	{"writ.team", func(e *journal.Entry) string { return e.Team }},
	{"writ.session", func(e *journal.Entry) string { return e.Session }},
	{"writ.via", func(e *journal.Entry) string { return e.Via }},
	{"writ.happened", func(e *journal.Entry) string { return e.Happened.UTC().Format(time.RFC3339) }},
}

// signIns are entries about people's sign-in as an identity product calls them.
var signIns = map[string]struct{ event, result string }{
	"identity.signed-in":         {"user.session.start", "SUCCESS"},
	"identity.sign-in-refused":   {"user.session.start", "FAILURE"},
	"identity.session-ended":     {"user.session.end", "SUCCESS"},
	"identity.stepped-up":        {"user.authentication.auth_via_mfa", "SUCCESS"},
	"identity.factor-refused":    {"user.authentication.auth_via_mfa", "FAILURE"},
	"identity.factor-added":      {"user.mfa.factor.activate", "SUCCESS"},
	"identity.factor-removed":    {"user.mfa.factor.deactivate", "SUCCESS"},
	"identity.factors-removed":   {"user.mfa.factor.reset_all", "SUCCESS"},
	"identity.factor-locked":     {"user.account.lock", "SUCCESS"},
	"identity.sign-in-disowned":  {"user.account.report_suspicious_activity_by_enduser", "SUCCESS"},
	"identity.impersonated":      {"user.session.impersonation.initiate", "SUCCESS"},
	"identity.support-agreed":    {"user.session.impersonation.grant", "SUCCESS"},
	"identity.password-changed":  {"user.account.update_password", "SUCCESS"},
	"identity.reset-used":        {"user.account.reset_password", "SUCCESS"},
	"identity.person-added":      {"user.lifecycle.create", "SUCCESS"},
	"identity.person-disabled":   {"user.lifecycle.deactivate", "SUCCESS"},
	"identity.person-offboarded": {"user.lifecycle.deactivate", "SUCCESS"},
	"identity.role-granted":      {"user.account.privilege.grant", "SUCCESS"},
	"identity.roles-changed":     {"user.account.privilege.grant", "SUCCESS"},
	"identity.roles-mapped":      {"group.privilege.grant", "SUCCESS"},
	"identity.token-issued":      {"system.api_token.create", "SUCCESS"},
	"identity.token-revoked":     {"system.api_token.revoke", "SUCCESS"},
	"identity.scim-connected":    {"system.idp.lifecycle.create", "SUCCESS"},
}

var signInFields = []string{"eventType", "eventtype", "outcome.result", "actor.id", "target.id"}

// identities is the log of such entries; each other module's entries are a log of its own.
var (
	identities = &sigma.Log{Sources: []sigma.Source{{Product: "writ", Service: "identity"}, {Product: "okta", Service: "okta"}, {Category: "authentication"}}}
	modules    sync.Map // module → *sigma.Log
)

func logOf(stream string) *sigma.Log {
	if _, ok := signIns[stream]; ok {
		return identities
	}
	module, _, _ := strings.Cut(stream, ".")
	if l, ok := modules.Load(module); ok {
		return l.(*sigma.Log) //nolint:forcetypeassert // nothing else is stored
	}
	l, _ := modules.LoadOrStore(module, &sigma.Log{Sources: []sigma.Source{{Product: "writ", Service: module}}})
	return l.(*sigma.Log) //nolint:forcetypeassert // likewise
}

func eventOfEntry(e *journal.Entry) *sigma.Event {
	ev := &sigma.Event{Log: logOf(e.Stream), At: e.Happened, Ref: e.N, Fields: make([]sigma.Field, 0, len(headFields)+len(e.Fields)+4)}
	for _, h := range headFields {
		if v := h.of(e); v != "" {
			ev.Fields = append(ev.Fields, sigma.Field{Name: h.name, Value: v})
		}
	}
	for _, f := range e.Fields {
		if f.State == journal.Public {
			ev.Fields = append(ev.Fields, sigma.Field{Name: f.Name, Value: f.Value})
		}
	}
	if s, ok := signIns[e.Stream]; ok {
		for i, v := range []string{s.event, s.event, s.result, e.Actor, bySubject(e)} {
			ev.Fields = append(ev.Fields, sigma.Field{Name: signInFields[i], Value: v})
		}
	}
	return ev
}

// kindOf says of which of the two histories a rule is: of entries, of records, of both or of
// neither.
func kindOf(s sigma.Source) (entries, ofRecords bool) {
	ofRecords = slices.ContainsFunc(records.Sources, s.Takes)
	entries = s.Product == "writ" && s.Category == "" && s.Service != "access" || slices.ContainsFunc(identities.Sources, s.Takes)
	return entries, ofRecords
}

// warnings are what a rule asks for that nothing here has.
func warnings(rules []*sigma.Rule) (out []string) {
	have := map[string]bool{}
	for _, f := range recordFields {
		for _, name := range f.names {
			have[name] = true
		}
	}
	for _, r := range rules {
		if r.Correlation != nil {
			continue
		}
		entries, ofRecords := kindOf(r.Source)
		var none []string
		for _, f := range r.Fields {
			switch {
			case strings.HasPrefix(f, "writ."):
				if !slices.ContainsFunc(headFields, func(h head) bool { return h.name == f }) {
					none = append(none, f)
				}
			case r.Source.Product == "writ" && entries: // fields of events, which come and go
			case entries && slices.Contains(signInFields, f), ofRecords && have[f]:
			default:
				none = append(none, f)
			}
		}
		switch {
		case !entries && !ofRecords:
			out = append(out, fmt.Sprintf("%s: nothing here writes a log of %s, so the rule sees nothing", r.Title, r.Source))
		case len(none) > 0:
			out = append(out, fmt.Sprintf("%s: nothing here has the field %s; what asks for it never matches", r.Title, strings.Join(none, ", ")))
		}
	}
	return out
}
