package item

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Level is what somebody may do with an item; each holds what is before it.
type Level string

// The levels.
const (
	Viewer Level = "viewer" // use it: reveal, codes, check-out
	Editor Level = "editor" // change it, make links
	Owner  Level = "owner"  // answer for it: share, delete, mark it critical
)

func (l Level) rank() int { return slices.Index([]Level{"", Viewer, Editor, Owner}, l) }

// team is everybody of it.
const wholeTeam = "team"

// Holder is somebody with whom an item is shared.
type Holder struct {
	Who   string // person/ID, role/NAME or team
	Level Level
	Since time.Time
	By    string
}

// holds reports whether a holder stands for a person with some roles.
func (h Holder) holds(id string, roles []string) bool {
	kind, name, _ := strings.Cut(h.Who, "/")
	switch kind {
	case "person":
		return name == id
	case "role":
		return slices.Contains(roles, name)
	}
	return h.Who == wholeTeam
}

// levelOf is the highest level that somebody has. Only people hold items.
func levelOf(who actor.Actor, holders []Holder) Level {
	best := Level("")
	if who.Kind != actor.Person || who.ByToken() {
		return best
	}
	for _, h := range holders {
		if h.holds(who.ID, who.Roles) && h.Level.rank() > best.rank() {
			best = h.Level
		}
	}
	return best
}

// people are those of a team who hold an item now.
func people(holders []Holder, roster []Member) (out []Member) {
	for _, m := range roster {
		if slices.ContainsFunc(holders, func(h Holder) bool { return h.holds(m.ID, m.Roles) }) {
			out = append(out, m)
		}
	}
	return out
}

// owners are those of a team who own it now.
func owners(holders []Holder, roster []Member) []Member {
	return people(slices.DeleteFunc(slices.Clone(holders), func(h Holder) bool { return h.Level != Owner }), roster)
}

// enoughHolders refuses a critical item that too few people hold.
func (s *Service) enoughHolders(critical bool, holders []Holder, roster []Member) error { // clause: people.no-sole-holder
	need, have := s.MinHolders(), len(people(holders, roster))
	if !critical || have >= need {
		return nil
	}
	return fault.New(fault.Conflict, "holders_few", fault.Public{Problem: fmt.Sprintf("A critical item is held by %d people at least; this would leave %d.", need, have),
		Expected: "People who may sign in now, by name, by role or as a team.", Next: "Share the item with one more person first.",
		Fields: []fault.Field{{Name: "critical", Code: "holders_few", Problem: fmt.Sprintf("%d people at least must hold it.", need)}}})
}

// member finds somebody of a team.
func (s *Service) member(ctx context.Context, team, ref string) (Member, error) {
	m, err := s.People.Find(ctx, team, strings.TrimSpace(ref))
	if errors.Is(err, fault.NotFound) {
		return Member{}, invalid("with", "no_person", "Nobody of the team who may sign in is known by that name.")
	}
	return m, err
}

// party reads with whom somebody wants to share: an address, role:NAME or team.
func (s *Service) party(ctx context.Context, team, typed string) (string, error) {
	typed = strings.TrimSpace(typed)
	if typed == wholeTeam {
		return wholeTeam, nil
	}
	if name, ok := strings.CutPrefix(typed, "role:"); ok {
		if !slices.Contains(access.StaffRoles(), name) {
			return "", invalid("with", "no_role", "There is no role "+name+".")
		}
		return "role/" + name, nil
	}
	m, err := s.member(ctx, team, typed)
	return "person/" + m.ID, err
}

// held reads a party that holds an item already, also somebody who left.
func (s *Service) held(ctx context.Context, it row, typed string) (string, error) {
	for _, h := range it.Holders {
		if h.Who == typed {
			return typed, nil
		}
	}
	return s.party(ctx, it.team, typed)
}

// Share lets somebody use an item, or changes what they may do with it. People who take care
// of all items name an owner where there is none any more, and do nothing else.
func (s *Service) Share(ctx context.Context, who actor.Actor, id, with string, level Level) (Item, error) {
	it, err := s.guard(ctx, who, access.VaultItems, id, "")
	if err != nil {
		return Item{}, err
	}
	if level.rank() < 1 {
		return Item{}, invalid("level", "level_unknown", "An item is shared with a viewer, an editor or an owner.")
	}
	roster, err := s.People.Roster(ctx, it.team)
	if err != nil {
		return Item{}, err
	}
	adopts := func(r row) bool {
		return level == Owner && len(owners(r.Holders, roster)) == 0 && s.Access.May(who, access.VaultCare)
	}
	if !adopts(it) {
		if err := s.enough(ctx, who, it, Owner); err != nil {
			return Item{}, err
		}
	}
	party, err := s.party(ctx, it.team, with)
	if err != nil {
		return Item{}, err
	}
	if level == Owner && !strings.HasPrefix(party, "person/") {
		return Item{}, invalid("with", "owner_person", "An owner is a person: somebody must answer for the item.")
	}
	return s.holders(ctx, who, it, roster, ItemShared{Item: id, With: party, Level: string(level)}, func(tx *ledger.Tx, now row) ([]Holder, error) {
		if !adopts(now) && now.Level != Owner {
			return nil, unknown()
		}
		left := slices.DeleteFunc(slices.Clone(now.Holders), func(h Holder) bool { return h.Who == party })
		_, err := tx.Exec(ctx, putHolder, id, party, string(level), us(tx.Now()), who.String())
		return append(left, Holder{Who: party, Level: level}), err
	})
}

// Unshare takes an item from somebody. The last owner stays, and of a critical item as many
// holders as the policy asks for.
func (s *Service) Unshare(ctx context.Context, who actor.Actor, id, from string) (Item, error) {
	it, err := s.guard(ctx, who, access.VaultItems, id, "")
	if err != nil {
		return Item{}, err
	}
	party, err := s.held(ctx, it, from)
	if err != nil {
		return Item{}, err
	}
	if party != person(who) { // one may give back what one holds
		if err := s.enough(ctx, who, it, Owner); err != nil {
			return Item{}, err
		}
	}
	if !slices.ContainsFunc(it.Holders, func(h Holder) bool { return h.Who == party }) {
		return Item{}, fault.New(fault.NotFound, "holder_unknown", fault.Public{Problem: "The item is not shared with them.", Next: "Look at its holders."})
	}
	roster, err := s.People.Roster(ctx, it.team)
	if err != nil {
		return Item{}, err
	}
	return s.holders(ctx, who, it, roster, ItemUnshared{Item: id, From: party}, func(tx *ledger.Tx, now row) ([]Holder, error) {
		if party != person(who) && now.Level != Owner {
			return nil, unknown()
		}
		_, err := tx.Exec(ctx, dropHolder, id, party)
		return slices.DeleteFunc(slices.Clone(now.Holders), func(h Holder) bool { return h.Who == party }), err
	})
}

// holders changes who holds an item, and refuses what leaves too few.
func (s *Service) holders(ctx context.Context, who actor.Actor, it row, roster []Member, ev ledger.Event, act func(*ledger.Tx, row) ([]Holder, error)) (Item, error) {
	_, err := s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, lockItem, it.ID); err != nil {
			return nil, err
		}
		now, err := load(ctx, tx, it.team, it.ID)
		if err != nil {
			return nil, err
		}
		now.Level = levelOf(who, now.Holders)
		next, err := act(tx, now)
		if err != nil {
			return nil, err
		}
		if len(owners(next, roster)) == 0 { // clause: vault.company-creds
			return nil, fault.New(fault.Conflict, "owner_last", fault.Public{Problem: "Somebody must answer for the item.", Expected: "One owner at least who may sign in.", Next: "Share it with another owner first."})
		}
		if len(people(next, roster)) >= len(people(now.Holders, roster)) {
			return ev, nil // no holder fewer than before
		}
		return ev, s.enoughHolders(now.Critical, next, roster)
	})
	switch code, _ := fault.PublicOf(err); {
	case code == "owner_last" || code == "holders_few":
		return Item{}, s.DB.Refuse(ctx, who, ItemRefused{Item: it.ID, Code: strings.ReplaceAll(code, "_", "-")}, err)
	case err != nil:
		return Item{}, fmt.Errorf("change the holders of an item: %w", err)
	}
	out, err := s.Show(ctx, who, it.ID)
	if errors.Is(err, fault.NotFound) { // they gave it back
		return Item{ID: it.ID}, nil
	}
	return out, err
}

// HolderNames are the holders of an item in words, owners first.
func (s *Service) HolderNames(ctx context.Context, i Item) (out []string) {
	hs := slices.Clone(i.Holders)
	slices.SortStableFunc(hs, func(a, b Holder) int { return cmp.Compare(b.Level.rank(), a.Level.rank()) })
	for _, h := range hs {
		out = append(out, s.Party(ctx, h.Who))
	}
	return out
}

// Party is a holder in words.
func (s *Service) Party(ctx context.Context, who string) string {
	kind, name, _ := strings.Cut(who, "/")
	switch kind {
	case "person":
		return s.People.Name(ctx, name)
	case "role":
		return "everybody who is " + name
	}
	return "the whole team"
}

func holdersOf(ctx context.Context, r ledger.Reader, id string) (out []Holder, err error) {
	err = r.Each(ctx, selectHolders, func(scan ledger.Scan) error {
		var h Holder
		err := scan(&h.Who, (*string)(&h.Level), micros{&h.Since}, &h.By)
		out = append(out, h)
		return err
	}, id)
	if err != nil {
		return nil, fmt.Errorf("read holders: %w", err)
	}
	return out, nil
}

const (
	selectHolders = `SELECT who, level, since, by_ FROM vault_item_holder WHERE item = $1 ORDER BY since, who`
	putHolder     = `INSERT INTO vault_item_holder (item, who, level, since, by_) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (item, who) DO UPDATE SET level = excluded.level, since = excluded.since, by_ = excluded.by_`
	dropHolder    = `DELETE FROM vault_item_holder WHERE item = $1 AND who = $2`
)
