package gateway

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/web"
)

// findCaller asks the session table who stands behind the cookie. The table is in
// memory and changed before a sign-out is answered, so nothing is kept here.
func (v *visit) findCaller() *refusal { // clause: use.no-automation
	switch {
	case v.dry && v.as.IsZero():
		return nil
	case v.dry:
		return v.enter(v.as, SessionFacts{})
	}
	if ours(v.r.Header) { // a cookie beside it counts for nothing
		return v.findProgram()
	}
	token := sessionCookie(v.r.Header)
	if token == "" {
		return nil
	}
	who, facts, err := v.g.sessions.Lookup(v.r.Context(), secret.NewText(token))
	if err == nil {
		return v.enter(who, facts)
	}
	switch fault.KindOf(err) {
	case fault.Unauthenticated, fault.NotFound, fault.Gone:
		return nil // the cookie is no session: known, not an error
	case fault.Denied:
		return refuseSession
	case fault.Sealed:
		return refuseSealed
	}
	v.g.log.Error("session could not be looked up", "err", err)
	return refuseUnknown
}

// enter lets the actor of a session or a token in as far as their kind goes.
func (v *visit) enter(who actor.Actor, facts SessionFacts) *refusal { // clause: use.no-automation
	switch {
	case who.Kind == actor.Enrolling: // clause: access.mfa-by-technology
		if who.Needs > 2 {
			return refusePasskey
		}
		return refuseEnrol
	case who.Kind == actor.Agreeing && v.need.need == anyone:
		return nil // the terms themselves may lie here
	case who.Kind == actor.Agreeing: // clause: use.terms
		return refuseTerms
	case who.Kind == actor.BreakGlass && v.need.need == anyone:
		return nil
	case who.Kind == actor.BreakGlass: // clause: access.least-privilege
		v.who = who // for the record
		return refuseEmergency
	case who.Kind == actor.Support && !who.Writes && v.changes(): // clause: use.need-to-see
		v.who = who // for the record
		return refuseReader
	case who.Kind != actor.Support && !who.SignedIn():
		return refuseSession
	}
	if v.foreign() && !v.invited() {
		return refuseForeign
	}
	v.who, v.facts = who, facts
	v.renew()
	return nil
}

// foreign reports whether another site's page makes the browser act with the session:
// an unsafe method, or a change to another protocol, which is open to writes and which
// browsers never ask permission for. Clients that say nothing of where they come from
// are programs. A request without a session carries nothing that could be abused.
func (v *visit) foreign() bool { // clause: auth.best-practice
	r := v.r
	if len(r.Header["Upgrade"]) > 0 {
		post := *r
		post.Method = http.MethodPost
		r = &post
	}
	return v.g.cross.Check(r) != nil
}

// renew gives a browser the new token of a session that has come to stand for more,
// with this answer; it then acts with all of it. An answer that a proxy reads for
// another sets no cookie: see question.
func (v *visit) renew() { // clause: auth.best-practice
	if v.facts.Renew == nil || v.asked {
		return
	}
	who, err := v.facts.Renew(v.r.Context(), v.w)
	if err != nil { // it goes on as what it was
		v.g.log.Error("session could not be renewed", "err", err)
		return
	}
	v.who, v.renewed = who, true
}

// changes reports whether the request may change something: by its method, or by going
// over to a protocol that is open to writes.
func (v *visit) changes() bool {
	switch v.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return len(v.r.Header["Upgrade"]) > 0
	}
	return true
}

// allow compares the caller with what the route and the policy ask for.
func (v *visit) allow() *refusal { // clause: use.no-automation
	if !v.scopedToo() {
		return refuseScope
	}
	if v.need.need == anyone {
		return nil
	}
	if v.who.IsZero() {
		return refuseStranger
	}
	if v.who.ByToken() && !v.scoped() {
		return refuseScope
	}
	if v.who.TeamKind == staffTeam && v.who.Kind != actor.Support && v.need.customer() { // clause: use.need-to-see
		return refuseReason
	}
	if ref := v.proved(); ref != nil {
		return ref
	}
	if v.need.need < byRole {
		return nil
	}
	granted := false
	for _, r := range v.need.rules {
		if r == nil || r.need < byRole {
			continue
		}
		if !slices.ContainsFunc(r.roles, v.who.Has) {
			return refuseRole
		}
		granted = true
	}
	if !granted { // the policy wants a role and no route names one
		return refuseRole
	}
	return nil
}

const staffTeam = "staff"

// customer reports whether what lies here is the customers'.
func (d *decision) customer() bool {
	return slices.ContainsFunc(d.rules[:], func(r *rule) bool { return r != nil && r.customer })
}

// proved asks for a fresh proof where a route wants one. Whether it is fresh, and what
// counts as one for this person, is the session table's to say.
func (v *visit) proved() *refusal { // clause: auth.best-practice
	age := time.Duration(0)
	for _, r := range v.need.rules {
		if r != nil && r.stepUp > 0 && (age == 0 || r.stepUp < age) {
			age = r.stepUp
		}
	}
	hosting := v.hosting()
	if hosting > 0 && (age == 0 || hosting < age) {
		age = hosting
	}
	if age == 0 {
		return nil
	}
	if hosting > 0 && v.who.ACR < 2 { // a password proves no second factor
		up := web.NeedStepUp(2, age)
		return &refusal{clause: hostingFactor, status: up.Fault.Kind.Status(), err: up.Fault, whole: up, leads: true}
	}
	if v.dry {
		v.note("The last proof of who comes must be at most %s old; that is theirs alone to show.", short(age))
		return nil
	}
	err := v.g.sessions.Fresh(v.r.Context(), v.who, age)
	if err == nil {
		return nil
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.Denied {
		v.g.log.Error("it could not be told how fresh a session is", "err", err)
		return refuseUnknown
	}
	of := "auth.best-practice"
	if hosting > 0 {
		of = hostingFactor
	}
	return &refusal{clause: of, status: f.Kind.Status(), err: f, whole: err, leads: true}
}

const hostingFactor = "access.mfa-hosting"

// hosting is how old the second factor may be where a route opens to the caller by a
// hosting role alone; 0 where none does.
func (v *visit) hosting() time.Duration { // clause: access.mfa-hosting
	age := time.Duration(0)
	for _, r := range v.need.rules {
		if r == nil || r.need < byRole {
			continue
		}
		if a := v.g.access.HostingAge(v.who, r.roles); a > 0 && (age == 0 || a < age) {
			age = a
		}
	}
	return age
}

// caller is the actor for the record: the person, else the network.
func (v *visit) caller() actor.Actor {
	if !v.who.IsZero() {
		return v.who
	}
	return web.StrangerOf(v.r)
}
