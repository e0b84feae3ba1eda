package export

import (
	"slices"
	"strings"

	"writ/internal/journal"
)

// Rule is what an alarm's rule says of itself.
type Rule struct{ Title, Says, Severity string }

// object is one of OCSF's. Its keys are sorted when it is written.
type object map[string]any

// ocsfVersion is the schema that events are written after.
const ocsfVersion = "1.3.0"

// The classes of OCSF that entries become.
const (
	ocsfClause   = 2003
	ocsfAlarm    = 2004
	ocsfIncident = 2005
	ocsfLeak     = 2006
	ocsfAccount  = 3001
	ocsfSignIn   = 3002
	ocsfDataRead = 6005
)

// Numbers that several classes share.
const (
	ocsfCreate, ocsfUpdate, ocsfClose = 1, 2, 3
	ocsfOther                         = 99
	ocsfInformational                 = 1
	ocsfLow                           = 2
	ocsfMedium                        = 3
	ocsfHigh                          = 4
	ocsfSuccess, ocsfFailure          = 1, 2
)

// become says what an entry is in OCSF, by its stream.
type become struct {
	class    int
	activity int
	failed   bool // the act was refused
	fill     func(e *journal.Entry, o object, rule func(id string) Rule)
}

var ocsfStreams = map[string]become{
	"watch.alarm-opened":             {ocsfAlarm, ocsfCreate, false, alarm},
	"watch.alarm-reopened":           {ocsfAlarm, ocsfUpdate, false, alarm},
	"watch.alarm-acknowledged":       {ocsfAlarm, ocsfUpdate, false, alarm},
	"watch.acknowledgement-ended":    {ocsfAlarm, ocsfUpdate, false, alarm},
	"watch.alarm-cleared":            {ocsfAlarm, ocsfUpdate, false, alarm},
	"watch.alarm-closed":             {ocsfAlarm, ocsfClose, false, alarm},
	"identity.signed-in":             {ocsfSignIn, 1, false, signIn},
	"identity.sign-in-refused":       {ocsfSignIn, 1, true, signIn},
	"identity.factor-refused":        {ocsfSignIn, 1, true, signIn},
	"identity.session-ended":         {ocsfSignIn, 2, false, signIn},
	"identity.stepped-up":            {ocsfSignIn, ocsfOther, false, signIn},
	"identity.person-added":          {ocsfAccount, 1, false, account},
	"identity.person-imported":       {ocsfAccount, 1, false, account},
	"identity.user-provisioned":      {ocsfAccount, 1, false, account},
	"identity.account-kept":          {ocsfAccount, 2, false, account},
	"identity.password-changed":      {ocsfAccount, 3, false, account},
	"identity.password-set":          {ocsfAccount, 3, false, account},
	"identity.reset-used":            {ocsfAccount, 4, false, account},
	"identity.person-disabled":       {ocsfAccount, 5, false, account},
	"identity.user-deprovisioned":    {ocsfAccount, 5, false, account},
	"identity.person-offboarded":     {ocsfAccount, 5, false, account},
	"identity.person-erased":         {ocsfAccount, 6, false, account},
	"identity.roles-changed":         {ocsfAccount, 7, false, account},
	"identity.role-granted":          {ocsfAccount, 7, false, account},
	"identity.grant-revoked":         {ocsfAccount, 8, false, account},
	"identity.role-ended":            {ocsfAccount, 8, false, account},
	"identity.member-removed":        {ocsfAccount, 8, false, account},
	"identity.factor-locked":         {ocsfAccount, 9, false, account},
	"identity.factor-added":          {ocsfAccount, 10, false, account},
	"identity.factor-removed":        {ocsfAccount, 11, false, account},
	"identity.factors-removed":       {ocsfAccount, 11, false, account},
	"identity.address-changed":       {ocsfAccount, ocsfOther, false, account},
	"vault.param-read":               {ocsfDataRead, 1, false, dataRead("parameters")},
	"vault.read-refused":             {ocsfDataRead, 1, true, dataRead("parameters")},
	"vault.item-revealed":            {ocsfDataRead, 1, false, dataRead("credentials")},
	"vault.link-opened":              {ocsfDataRead, 1, false, dataRead("credentials")},
	"gateway.records-searched":       {ocsfDataRead, 4, false, dataRead("access records")},
	"journal.opened":                 {ocsfDataRead, 1, false, dataRead("journal")},
	"journal.exported":               {ocsfDataRead, 1, false, dataRead("journal")},
	"identity.person-exported":       {ocsfDataRead, 1, false, dataRead("a person's data")},
	"incident.declared":              {ocsfIncident, ocsfCreate, false, incident},
	"incident.categorised":           {ocsfIncident, ocsfUpdate, false, incident},
	"incident.severity-set":          {ocsfIncident, ocsfUpdate, false, incident},
	"incident.step-done":             {ocsfIncident, ocsfUpdate, false, incident},
	"finding.opened":                 {ocsfClause, ocsfCreate, false, clauseFinding},
	"finding.closed":                 {ocsfClause, ocsfClose, false, clauseFinding},
	"gateway.sensitive-data-seen":    {ocsfLeak, ocsfCreate, false, leak},
	"gateway.sensitive-data-masked":  {ocsfLeak, ocsfCreate, false, leak},
	"gateway.sensitive-data-stopped": {ocsfLeak, ocsfCreate, false, leak},
}

// OCSFStreams lists the entries that Event writes.
func OCSFStreams() []string {
	out := make([]string, 0, len(ocsfStreams))
	for s := range ocsfStreams {
		out = append(out, s)
	}
	return out
}

// beside reports whether an entry is a step of what runs beside an incident's lifecycle, such as
// its fix: that does not say where the incident stands.
func beside(e *journal.Entry) bool {
	region := text(field(e, "region"))
	return e.Stream == "incident.step-done" && region != "" && region != "L"
}

// Event is an entry as an event of OCSF, to be written as JSON; nil where OCSF has no class
// that says what it does, and for steps beside an incident's lifecycle. rule tells what an alarm's rule says.
func Event(e *journal.Entry, rule func(id string) Rule) any {
	b, ok := ocsfStreams[e.Stream]
	if !ok || beside(e) {
		return nil
	}
	o := object{
		"class_uid": b.class, "category_uid": b.class / 1000, "activity_id": b.activity, "severity_id": ocsfInformational, "time": e.Happened.UnixMilli(),
		"message": tame(sentence(e)),
		"metadata": object{"version": ocsfVersion, "product": object{"name": "Writ", "vendor_name": "Writ"}, "uid": e.ID, "sequence": e.N, "log_name": "journal", "event_code": e.Stream,
			"logged_time": e.At.UnixMilli()},
	}
	if b.class >= ocsfAccount { // findings have a status of their own
		o["status_id"] = ocsfSuccess
		if b.failed {
			o["status_id"], o["severity_id"] = ocsfFailure, ocsfLow
		}
	}
	b.fill(e, o, rule)
	o["type_uid"] = b.class*100 + o["activity_id"].(int)
	own, fields := facts(e)
	rest := object{}
	for _, p := range append(own[4:], fields...) { // what no attribute of the class says
		rest[p.Name] = tame(p.Value)
	}
	o["unmapped"] = rest
	return o
}

// whom is somebody as OCSF has users.
func whom(uid, team string) object {
	o := object{"uid": uid}
	if team != "" {
		o["org"] = object{"uid": team}
	}
	return o
}

// about is whom an entry is about, else who acted.
func about(e *journal.Entry) object {
	if e.Subject != "" {
		return whom(e.Subject, "")
	}
	return whom(e.Actor, e.Team)
}

// doer is who acted.
func doer(e *journal.Entry) object {
	o := object{"user": whom(e.Actor, e.Team)}
	if e.Session != "" {
		o["session"] = object{"uid": e.Session}
	}
	return o
}

var bySeverity = map[string]int{"page": ocsfHigh, "ticket": ocsfMedium, "notice": ocsfLow}

func alarm(e *journal.Entry, o object, rule func(string) Rule) {
	id := text(field(e, "rule"))
	r := rule(id)
	if s := text(field(e, "severity")); s != "" {
		r.Severity = s
	}
	if n := bySeverity[r.Severity]; n > 0 {
		o["severity_id"] = n
	}
	o["finding_info"] = object{"uid": text(field(e, "alarm")), "title": r.Title, "desc": r.Says, "analytic": object{"uid": id, "name": r.Title, "type_id": 1}}
	status := 1 // new
	switch e.Stream {
	case "watch.alarm-acknowledged":
		status = 2 // in progress
	case "watch.alarm-closed":
		status = 4 // resolved
	}
	o["status_id"] = status
}

func signIn(e *journal.Entry, o object, _ func(string) Rule) {
	o["user"], o["service"] = about(e), object{"name": "Writ"}
	if s := text(field(e, "session")); s != "" {
		o["session"] = object{"uid": s}
	}
	if e.Stream == "identity.stepped-up" {
		o["activity_name"] = "Step up"
	}
}

func account(e *journal.Entry, o object, _ func(string) Rule) {
	o["user"], o["actor"] = about(e), doer(e)
	if o["activity_id"] == ocsfOther {
		o["activity_name"] = "Address Change"
	}
}

// dataRead fills in a read of what is kept under a name.
func dataRead(of string) func(*journal.Entry, object, func(string) Rule) {
	return func(e *journal.Entry, o object, _ func(string) Rule) {
		via := e.Via
		if via == "" {
			via = "writ"
		}
		o["actor"], o["src_endpoint"] = doer(e), object{"svc_name": via} // the address is nobody's to know
		o["database"] = object{"name": of, "type_id": 1}
	}
}

// bySEV are severities of incidents: 1 is the worst.
var bySEV = map[string]int{"1": 5, "2": ocsfHigh, "3": ocsfMedium, "4": ocsfLow}

// byLife are the states of an incident's lifecycle as OCSF has them.
var byLife = map[string]int{"L0": 1, "L1": 2, "L2": 2, "L3": 2, "L4": 4, "L5": 4, "L6": 5, "LX": 5}

// The verdicts of OCSF that an incident has by itself.
const (
	ocsfDisregard = 3
	ocsfTest      = 6
)

// incident fills in what became of an incident. What an entry does not tell is unknown (0): a
// step does not say how bad it is, and another severity not where it stands.
func incident(e *journal.Entry, o object, _ func(string) Rule) {
	id := text(field(e, "incident"))
	o["metadata"].(object)["profiles"] = []string{"incident"} // its class always has it
	o["finding_info_list"] = []object{{"uid": id, "title": "Incident " + strings.TrimPrefix(id, "incident/")}}
	o["assignee_group"] = object{"name": "on call"}
	severity, status := text(field(e, "severity")), 0
	switch e.Stream {
	case "incident.declared":
		status = byLife["L0"]
		if field(e, "drill") == true {
			o["verdict_id"] = ocsfTest
		}
		if us, ok := field(e, "onset").(int64); ok {
			o["start_time"] = us / 1000
		}
	case "incident.categorised":
		status = byLife["L2"]
		o["is_suspected_breach"] = slices.Contains(strings.Split(text(field(e, "categories")), ","), "breach")
	case "incident.severity-set":
		severity = text(field(e, "to"))
	case "incident.step-done":
		to := text(field(e, "to"))
		status = byLife[to]
		if to == "L6" || to == "LX" {
			o["activity_id"] = ocsfClose
		}
		if to == "LX" {
			o["verdict_id"] = ocsfDisregard // a false alarm, or part of another one
		}
	}
	o["status_id"], o["severity_id"] = status, bySEV[severity]
}

func clauseFinding(e *journal.Entry, o object, _ func(string) Rule) {
	control, status, state := text(field(e, "control")), 1, 3 // fail
	if e.Stream == "finding.closed" {
		status, state = 4, 1 // resolved, pass
	} else {
		o["severity_id"] = ocsfMedium
	}
	o["status_id"] = status
	o["finding_info"] = object{"uid": e.Clause + "/" + control, "title": e.Clause, "desc": tame(text(field(e, "summary")))}
	o["compliance"] = object{"control": control, "requirements": []string{e.Clause}, "standards": []string{"policy"}, "status_id": state}
}

func leak(e *journal.Entry, o object, _ func(string) Rule) {
	o["status_id"], o["severity_id"] = 1, ocsfMedium
	o["finding_info"] = object{"uid": e.ID, "title": "Sensitive data in a " + text(field(e, "from")), "created_time": e.Happened.UnixMilli()}
	o["data_security"] = object{"policy": object{"uid": e.Clause, "name": e.Clause}, "detection_pattern": text(field(e, "class")), "data_lifecycle_state_id": 2}
}
