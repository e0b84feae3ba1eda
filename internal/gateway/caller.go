package gateway

import (
	"slices"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/web"
)

// findCaller asks the session table who stands behind the cookie. The table is in
// memory and changed before a sign-out is answered, so nothing is kept here.
func (v *visit) findCaller() *refusal { // clause: use.no-automation
	token := sessionCookie(v.r.Header)
	if token == "" {
		return nil
	}
	who, facts, err := v.g.sessions.Lookup(v.r.Context(), secret.NewText(token))
	if err == nil {
		if !who.SignedIn() {
			return refuseSession
		}
		v.who, v.facts = who, facts
		return nil
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

// allow compares the caller with what the route and the policy ask for.
func (v *visit) allow() *refusal { // clause: use.no-automation
	if v.need.need == anyone {
		return nil
	}
	if v.who.IsZero() {
		return refuseStranger
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

// caller is the actor for the record: the person, else the network.
func (v *visit) caller() actor.Actor {
	if !v.who.IsZero() {
		return v.who
	}
	return web.StrangerOf(v.r)
}
