package app

import (
	"context"
	"math"
	"strings"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/identity/banned"
	"writ/internal/secret"
	"writ/internal/vault/item"
)

// buildItems makes the company's vault, which lies on the vault and asks identity for people.
func (a *App) buildItems(list *banned.List) (err error) {
	a.items, err = item.New(item.Deps{DB: a.db, Keys: a.ring, Access: a.access, People: itemPeople{a.identity}, Rules: clause.NewLive[item.Rules](a.now), Sight: a.vault, Mail: a.mail, Held: a.heldTeam, MinHolders: a.minHolders,
		Banned:  func(t secret.Text, about ...string) bool { _, bad := list.Check(t, about...); return bad },
		Company: func() string { return a.config.Company }, Origin: a.config.Origin(), Now: a.now, Log: a.log.With("module", "item")})
	if err == nil {
		a.vault.Things("item", a.items.SeenName)
	}
	return err
}

// minHolders is how many people hold what is critical, as the policy says now. While there
// is no policy nothing can be critical.
func (a *App) minHolders() int {
	if n := a.holders.Rules.Get().MinHolders; n > 0 {
		return n
	}
	return math.MaxInt
}

// itemPeople gives the company's vault the people of a team.
type itemPeople struct{ s *identity.Service }

// Roster implements item.People.
func (p itemPeople) Roster(ctx context.Context, team string) ([]item.Member, error) {
	ps, err := p.s.Roster(ctx, team)
	out := make([]item.Member, 0, len(ps))
	for _, x := range ps {
		out = append(out, member(x))
	}
	return out, err
}

func member(p identity.Person) item.Member {
	m := item.Member{ID: p.ID, Name: p.Name, Handle: p.Handle, Roles: p.Roles}
	if m.Name == "" {
		m.Name = p.Handle
	}
	return m
}

// Find implements item.People.
func (p itemPeople) Find(ctx context.Context, team, ref string) (item.Member, error) {
	ps, err := p.s.Roster(ctx, team)
	for _, x := range ps {
		if ref != "" && (ref == x.ID || ref == x.Handle || strings.EqualFold(ref, x.Email)) {
			return member(x), nil
		}
	}
	if err == nil {
		err = fault.New(fault.NotFound, "no_person", fault.Public{Problem: "There is no such person in the team who may sign in."})
	}
	return item.Member{}, err
}

// Email implements item.People.
func (p itemPeople) Email(ctx context.Context, id string) string { return p.s.Email(ctx, id) }

// Name implements item.People.
func (p itemPeople) Name(ctx context.Context, id string) string { return p.s.Name(ctx, id) }
