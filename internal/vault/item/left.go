package item

import (
	"context"
	"slices"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/ledger"
	"writ/internal/vault"
)

// Sight is what this package needs of who saw what.
type Sight interface {
	// Saw notes who was given which version of a thing, inside the change that records it.
	Saw(ctx context.Context, tx *ledger.Tx, who actor.Actor, thing string, version int64) error
	// Known is what somebody (kind/id) saw of a team and what has not changed since.
	Known(ctx context.Context, team, whose string) ([]vault.Seen, error)
	// Knowers are the ids of all people who saw something of a team.
	Knowers(ctx context.Context, team string) ([]string, error)
}

// Leftover is an item that somebody who left leaves to those who stay.
type Leftover struct {
	Item
	Ownerless bool
	Few       bool     // too few people hold it
	Saw       []string // labels of what they saw and what has not changed since
}

// Left is what somebody leaves behind among the items that are the reader's to mend: their own
// as owner, and those without one where they take care.
func (s *Service) Left(ctx context.Context, who actor.Actor, gone string) ([]Leftover, error) {
	list, err := s.List(ctx, who, Query{})
	if err != nil {
		return nil, err
	}
	team := vault.TeamOf(who)
	known, err := s.Sight.Known(ctx, team, "person/"+gone)
	if err != nil {
		return nil, err
	}
	roster, err := s.People.Roster(ctx, team)
	if err != nil {
		return nil, err
	}
	saw := map[string][]string{}
	for _, k := range known {
		if id, ok := itemOf(k.Thing); ok {
			_, label, _ := strings.Cut(k.Thing[len("item/"):], "/")
			saw[id] = append(saw[id], label)
		}
	}
	var out []Leftover
	care := s.Access.May(who, access.VaultCare)
	for _, i := range list {
		l := Leftover{Item: i, Ownerless: len(owners(i.Holders, roster)) == 0, Few: i.Critical && len(people(i.Holders, roster)) < s.MinHolders()}
		held := slices.ContainsFunc(i.Holders, func(h Holder) bool { return h.Who == "person/"+gone })
		if i.Level != Owner && !(care && l.Ownerless) || !held && len(saw[i.ID]) == 0 {
			continue
		}
		for _, id := range saw[i.ID] {
			if f, ok := i.Field(id); ok {
				l.Saw = append(l.Saw, f.Label)
			} else {
				l.Saw = append(l.Saw, "a file")
			}
		}
		out = append(out, l)
	}
	return out, nil
}

// carers are those of a team who name an owner where there is none, once they have shown what
// that takes of them.
func (s *Service) carers(team string, roster []Member) (out []Member) {
	for _, m := range roster {
		who := actor.Actor{Kind: actor.Person, ID: m.ID, Team: team, TeamKind: team, Roles: m.Roles, Session: "roster", ACR: 2, FactorAt: s.Now()}
		if team == vault.Home && s.Access.May(who, access.VaultCare) {
			out = append(out, m)
		}
	}
	return out
}

// itemOf is the item of a thing that was seen (item/ID/FIELD).
func itemOf(thing string) (string, bool) {
	rest, ok := strings.CutPrefix(thing, "item/")
	id, _, _ := strings.Cut(rest, "/")
	return id, ok
}
