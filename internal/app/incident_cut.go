package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/identity"
	"writ/internal/incident"
)

// The kinds of what an attacker may hold, and where they come from.
const (
	oneSession  = "session"
	allSessions = "sessions"
	oneToken    = "token"
	accessKey   = "key"
	network     = "network"
	onePerson   = incident.CutPerson
)

// networkCut is how long a network is kept out because of an incident. It may be let in before,
// or blocked anew.
const networkCut = 30 * 24 * time.Hour

// cutKeys are access keys of the vault.
type cutKeys interface {
	Works(ctx context.Context, id string) error
	EndKey(ctx context.Context, who actor.Actor, id string) error
	EndKeysOf(ctx context.Context, who actor.Actor, owner string) (int64, error)
}

// cutDoor is the gate.
type cutDoor interface {
	Knock(ctx context.Context, from netip.Addr) bool
	BlockNetwork(ctx context.Context, who actor.Actor, b gateway.Block, from netip.Addr) (gateway.Block, error)
}

// ends implements incident.Cuts by identity, the vault and the gate.
type ends struct {
	*identity.Service
	keys cutKeys
	door cutDoor
	now  func() time.Time
}

// Kinds implements incident.Cuts.
func (e ends) Kinds() []string {
	return []string{oneSession, allSessions, oneToken, accessKey, network, onePerson}
}

// Cut implements incident.Cuts. Whoever cuts needs the right to.
func (e ends) Cut(ctx context.Context, who actor.Actor, ref string, what incident.Cut) (before, after string, err error) { // clause: inc.breach-research
	id := what.ID
	switch what.Kind {
	case oneSession:
		return e.cutSession(ctx, who, id)
	case allSessions:
		person, err := e.person(ctx, id)
		if err != nil {
			return "", "", err
		}
		n, err := e.EndSessions(ctx, who, person)
		return fmt.Sprintf("%d live sessions", n), "none is live", err
	case accessKey:
		return e.cutKey(ctx, who, id)
	case network:
		return e.cutNetwork(ctx, who, ref, what)
	case onePerson:
		return e.cutPerson(ctx, who, id)
	}
	ended, err := e.TokenEnded(ctx, id)
	if err != nil { // one that there never was is no evidence
		return "", "", err
	}
	if ended {
		return "the token had ended already", "the token has ended", nil
	}
	return "the token was live", "the token has ended", e.RevokeToken(ctx, who, id)
}

// cutSession ends a session, also one that reaches nothing until its factor is given.
func (e ends) cutSession(ctx context.Context, who actor.Actor, id string) (before, after string, err error) {
	person, ended, err := e.SessionOf(ctx, id)
	if err != nil {
		return "", "", err
	}
	if ended {
		return "the session was over already", "the session is over", nil
	}
	return "the session was live", "the session is over", e.EndSession(ctx, who, person, id)
}

// cutKey ends an access key that works, or that works again once its owner is let in again.
func (e ends) cutKey(ctx context.Context, who actor.Actor, id string) (before, after string, err error) {
	before = "the access key worked"
	switch err := e.keys.Works(ctx, id); {
	case errors.Is(err, fault.Unauthenticated):
		before = "the access key did not work"
	case err != nil: // one that there never was is no evidence
		return "", "", err
	}
	if err := e.keys.EndKey(ctx, who, id); err != nil && !errors.Is(err, fault.NotFound) {
		return "", "", err
	}
	return before, "the access key has ended", nil
}

func (e ends) cutNetwork(ctx context.Context, who actor.Actor, ref string, what incident.Cut) (before, after string, err error) {
	p, err := gateway.ParseNetwork(what.ID)
	if err != nil {
		return "", "", err
	}
	before = "requests from there were let to the door"
	if e.shutOut(ctx, p) {
		before = "requests from there were turned away already"
	}
	b, err := e.door.BlockNetwork(ctx, who, gateway.Block{Network: p.String(), Reason: "Containment of " + ref + ".", Incident: ref, Until: e.now().Add(networkCut)}, what.From)
	return before, "the network is blocked until " + b.Until.Format("2 January 2006"), err
}

// cutPerson keeps somebody from signing in and ends all that acts for them. The last owners stay, as
// identity says.
func (e ends) cutPerson(ctx context.Context, who actor.Actor, id string) (before, after string, err error) {
	person, err := e.person(ctx, id)
	if err != nil { // one that there never was is no evidence
		return "", "", err
	}
	before = "the person could sign in"
	switch _, err := e.ActivePerson(ctx, person); {
	case errors.Is(err, fault.NotFound):
		before = "the person could not sign in already"
	case err != nil:
		return "", "", err
	default:
		if err := e.Disable(ctx, who, person); err != nil {
			return "", "", err
		}
	}
	n, err := e.keys.EndKeysOf(ctx, who, string(actor.Person)+"/"+person)
	return before, fmt.Sprintf("the person cannot sign in, and sessions, tokens, links and %d access keys have ended", n), err
}

// Lift implements incident.Cuts.
func (e ends) Lift(ctx context.Context, who actor.Actor, asked, kind, id string) (says string, err error) { // clause: inc.breach-research
	if kind != onePerson {
		return "", fault.Newf(fault.Invalid, "lift_kind", "A person alone is let in again.")
	}
	person, err := e.person(ctx, id)
	if err != nil {
		return "", err
	}
	if _, err := e.ActivePerson(ctx, person); err == nil {
		return "the person can sign in already", nil
	}
	return "the person may sign in with a new password, for which a link was sent", e.Readmit(ctx, who, person, asked)
}

// shutOut knocks from both ends of a network.
func (e ends) shutOut(ctx context.Context, p netip.Prefix) bool {
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 1 << (7 - i%8)
	}
	end, _ := netip.AddrFromSlice(last)
	return e.door.Knock(ctx, p.Addr()) && e.door.Knock(ctx, end)
}

// Again implements incident.Cuts: what the attacker held is shown at the same door as before.
func (e ends) Again(ctx context.Context, kind, id string) (refused bool, says string, err error) { // clause: inc.breach-research
	switch kind {
	case oneSession:
		_, _, err = e.LiveSession(ctx, id)
	case allSessions:
		person, err := e.person(ctx, id)
		if err != nil {
			return false, "", err
		}
		live, err := e.Sessions(ctx, actor.System("incident"), person)
		return len(live) == 0, fmt.Sprintf("%d sessions of the person are live", len(live)), err
	case onePerson:
		return e.triedPerson(ctx, id)
	case accessKey:
		err = e.keys.Works(ctx, id)
	case network:
		p, err := gateway.ParseNetwork(id)
		if err != nil {
			return false, "", err
		}
		if !e.shutOut(ctx, p) {
			return false, "a request from there still comes in", nil
		}
		return true, "a request from there is turned away at the door", nil
	default:
		_, err = e.Standing(ctx, actor.Actor{Kind: actor.Machine, Token: id})
	}
	switch {
	case errors.Is(err, fault.Unauthenticated):
		return true, "shown again, the " + kind + " is refused", nil
	case err != nil:
		return false, "", err
	}
	return false, "shown again, the " + kind + " still works", nil
}

// triedPerson looks at whether somebody could sign in, or anything still acts for them.
func (e ends) triedPerson(ctx context.Context, id string) (refused bool, says string, err error) {
	person, err := e.person(ctx, id)
	if err != nil {
		return false, "", err
	}
	switch _, err := e.ActivePerson(ctx, person); {
	case err == nil:
		return false, "the person can sign in", nil
	case !errors.Is(err, fault.NotFound):
		return false, "", err
	}
	live, err := e.Sessions(ctx, actor.System("incident"), person)
	return len(live) == 0, fmt.Sprintf("sign-in is refused, and %d sessions of the person are live", len(live)), err
}

func (e ends) person(ctx context.Context, ref string) (string, error) {
	id, _, err := e.PersonByHandle(ctx, ref)
	if errors.Is(err, fault.NotFound) {
		id = ref
		_, err = e.Handle(ctx, id)
	}
	return id, err
}
