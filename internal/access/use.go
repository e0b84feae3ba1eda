package access

import (
	"sync"
	"time"

	"writ/internal/actor"
)

// Use says how often a person was allowed an action on a day.
type Use struct {
	Person string
	Action Action
	Day    time.Time // midnight, UTC
	Count  int64
	Late   int64 // of them: needed a hosting role while the second factor was too old
}

type useKey struct {
	person string
	action Action
	day    int64
}

// uses are counted in memory until somebody who keeps them takes them. A crash loses
// the counts of less than a minute; a day's first use matters, not its hundredth.
type uses struct {
	mu     sync.Mutex
	counts map[useKey]useCount
}

type useCount struct{ n, late int64 }

// note counts a yes to a person at the door. A control's visitor is counted like anyone;
// what it leaves goes with what it planted.
func (u *uses) note(who actor.Actor, action Action, now time.Time, late bool) {
	if who.Kind != actor.Person || who.ID == "" || who.Session == "" && who.Via != "token" {
		return // neither session nor token: a rehearsal, nobody's work
	}
	if who.TeamKind == "customer" {
		return // nobody reviews their rights by use, and they are many
	}
	k := useKey{who.ID, action, now.UTC().Truncate(24 * time.Hour).Unix()}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.counts == nil {
		u.counts = map[useKey]useCount{}
	}
	c := u.counts[k]
	c.n++
	if late {
		c.late++
	}
	u.counts[k] = c
}

// TakeUses hands over what was counted since the last call.
func (a *Access) TakeUses() []Use {
	a.uses.mu.Lock()
	counts := a.uses.counts
	a.uses.counts = nil
	a.uses.mu.Unlock()
	out := make([]Use, 0, len(counts))
	for k, n := range counts {
		out = append(out, Use{k.person, k.action, time.Unix(k.day, 0).UTC(), n.n, n.late})
	}
	return out
}

// GiveBack returns what could not be kept.
func (a *Access) GiveBack(us []Use) {
	a.uses.mu.Lock()
	defer a.uses.mu.Unlock()
	if a.uses.counts == nil {
		a.uses.counts = map[useKey]useCount{}
	}
	for _, u := range us {
		k := useKey{u.Person, u.Action, u.Day.Unix()}
		c := a.uses.counts[k]
		a.uses.counts[k] = useCount{c.n + u.Count, c.late + u.Late}
	}
}
