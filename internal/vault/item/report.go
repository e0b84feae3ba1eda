package item

import (
	"context"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/vault"
)

// The findings of a report.
const (
	Weak      = "weak"
	Reused    = "reused"
	Old       = "old"
	Ownerless = "ownerless"
	Banned    = "banned"
	Single    = "single-holder"
	Overdue   = "overdue"
)

// Findings are all, the most urgent first.
var Findings = []string{Ownerless, Banned, Overdue, Reused, Weak, Single, Old}

// oldAfter is when a secret counts as old, whatever its date.
const oldAfter = 365 * 24 * time.Hour

// Found is what is wrong with one item.
type Found struct {
	Item
	What []string
}

// Report looks at every item that somebody may see. Passwords are opened here to be measured,
// and shown to nobody.
func (s *Service) Report(ctx context.Context, who actor.Actor) (found []Found, looked int, err error) {
	if err := s.Access.Allow(ctx, who, access.VaultItems, ""); err != nil {
		return nil, 0, err
	}
	team := vault.TeamOf(who)
	rows, err := s.all(ctx, team)
	if err != nil {
		return nil, 0, err
	}
	roster, err := s.People.Roster(ctx, team)
	if err != nil {
		return nil, 0, err
	}
	times := map[string]int{}
	for _, it := range rows {
		if it.deleted == nil && it.secret != "" {
			times[it.secret]++
		}
	}
	care := s.Access.May(who, access.VaultCare)
	for i := range rows {
		it := &rows[i]
		if it.Level = levelOf(who, it.Holders); it.deleted != nil || it.Level == "" && !care {
			continue
		}
		looked++
		if err := s.readHead(ctx, it); err != nil {
			return nil, 0, err
		}
		what, err := s.judge(ctx, it, roster, times[it.secret] > 1)
		if err != nil {
			return nil, 0, err
		}
		if len(what) > 0 {
			found = append(found, Found{it.Item, what})
		}
	}
	return found, looked, nil
}

func (s *Service) judge(ctx context.Context, it *row, roster []Member, twice bool) ([]string, error) {
	is := map[string]bool{Reused: twice, Overdue: it.Overdue(s.Now()), Ownerless: len(owners(it.Holders, roster)) == 0, Single: len(people(it.Holders, roster)) == 1}
	k, _ := KindOf(it.Kind)
	if _, has := it.Field(k.main); has && k.replaced() {
		is[Old] = s.Now().Sub(it.Set) > oldAfter
	}
	if _, has := it.Field("password"); has && it.Kind == "login" {
		text, _, err := s.fieldOf(ctx, *it, "password")
		if err != nil {
			return nil, err
		}
		is[Weak] = Strength(text) < weakBelow
		is[Banned] = s.Banned(text, it.Title, it.Vendor)
	}
	var out []string
	for _, f := range Findings {
		if is[f] {
			out = append(out, f)
		}
	}
	return out, nil
}
