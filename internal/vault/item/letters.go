package item

import (
	"context"
	"errors"
	"slices"
	"strings"

	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/web"
)

// Mail is what this package needs of mail.Mailer.
type Mail interface {
	Prepare(ctx context.Context, m mail.Message) (jobs.Job, error)
	Enqueue(ctx context.Context, tx *ledger.Tx, job jobs.Job) error
}

// letter is one, and its kind. It names no item: what lies in a mailbox is not sealed, and a
// title is its holders' business. Its link leads to the name.
type letter struct {
	mail.Letter
	kind string
}

// letters prepares one for each of these people who has an address.
func (s *Service) letters(ctx context.Context, people []string, l letter) ([]jobs.Job, error) {
	l.Company = s.Company()
	var out []jobs.Job
	for _, id := range people {
		to := s.People.Email(ctx, id)
		if to == "" {
			continue
		}
		m, err := l.Message(to, l.kind)
		if err != nil {
			return nil, err
		}
		j, err := s.Mail.Prepare(ctx, m)
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}

func (s *Service) enqueue(ctx context.Context, tx *ledger.Tx, letters []jobs.Job) error {
	for _, j := range letters {
		if err := s.Mail.Enqueue(ctx, tx, j); err != nil {
			return err
		}
	}
	return nil
}

// answerers are who is told of an item's links: their maker, and its owners who are here.
func answerers(maker string, holders []Holder, roster []Member) []string {
	out := []string{}
	own := owners(holders, roster)
	for _, m := range roster {
		if m.ID == maker || slices.ContainsFunc(own, func(o Member) bool { return o.ID == m.ID }) {
			out = append(out, m.ID)
		}
	}
	return out
}

func (s *Service) see(text, at string) *mail.Link {
	return &mail.Link{Text: text, URL: s.Origin + consoleAt + at}
}

func (s *Service) openedLetters(ctx context.Context, o offered, address string) ([]jobs.Job, error) { // clause: vault.company-creds
	return s.letters(ctx, answerers(o.Maker, o.it.Holders, o.roster), letter{kind: "vault.link-opened", Letter: mail.Letter{
		Title: "A one-time link was opened",
		Lines: []string{"The link that " + s.People.Name(ctx, o.Maker) + " made on " + stamp(o.Made) + " was opened and works no more. It showed " + web.Count(int64(len(o.Fields)), "field") + " of an item that you answer for.",
			"Ask whoever it was made for whether it was them."},
		Link: s.see("See the item", "/"+o.it.ID), Foot: []string{"Opened on " + stamp(s.Now()) + ", from " + address + ".", "If it was not them, replace what it showed at once."}}})
}

// againLetters tell of the first try after a link was spent: whoever it was meant for may have
// come second.
func (s *Service) againLetters(ctx context.Context, o offered, address string) ([]jobs.Job, error) { // clause: vault.company-creds
	it, err := load(ctx, s.DB, o.it.team, o.it.ID)
	if err != nil {
		return nil, err
	}
	roster, err := s.People.Roster(ctx, o.it.team)
	if err != nil {
		return nil, err
	}
	return s.letters(ctx, answerers(o.Maker, it.Holders, roster), letter{kind: "vault.link-again", Letter: mail.Letter{
		Title: "A one-time link was tried again",
		Lines: []string{"The link that " + s.People.Name(ctx, o.Maker) + " made on " + stamp(o.Made) + " was opened on " + stamp(o.Opened) + ". Now somebody tried to open it once more, and was shown nothing.",
			"If that was whoever it was made for, somebody else has read it before them."},
		Link: s.see("See the item", "/"+it.ID), Foot: []string{"Tried on " + stamp(s.Now()) + ", from " + address + ". Further tries are counted beside the item.", "If in doubt, replace what it showed."}}})
}

// legacy is what somebody who left leaves to one of those who stay.
type legacy struct{ adopt, few, replace, held int }

// farewell tells those who stay, once, what somebody left to them: owners of their items, and
// of items without one whoever takes care.
func (s *Service) farewell(ctx context.Context, team, gone string, rows []row, roster []Member) error { // clause: vault.company-creds
	known, err := s.Sight.Known(ctx, team, "person/"+gone)
	if err != nil {
		return err
	}
	saw := map[string]int{}
	for _, k := range known {
		if id, ok := itemOf(k.Thing); ok {
			saw[id]++
		}
	}
	heirs, ev := map[string]*legacy{}, HolderLeft{Person: gone}
	for _, it := range rows {
		held := slices.IndexFunc(it.Holders, func(h Holder) bool { return h.Who == "person/"+gone })
		if !it.Deleted.IsZero() || held < 0 && saw[it.ID] == 0 {
			continue
		}
		to, l := owners(it.Holders, roster), legacy{replace: saw[it.ID]}
		if held >= 0 {
			l.held, ev.Items = 1, ev.Items+1
		}
		if it.Critical && len(people(it.Holders, roster)) < s.MinHolders() {
			l.few = 1
		}
		if len(to) == 0 {
			to, l.adopt, ev.Ownerless = s.carers(team, roster), 1, ev.Ownerless+1
		}
		ev.Secrets += int64(l.replace)
		for _, m := range to {
			h := heirs[m.ID]
			if h == nil {
				h = &legacy{}
				heirs[m.ID] = h
			}
			h.adopt, h.few, h.replace, h.held = h.adopt+l.adopt, h.few+l.few, h.replace+l.replace, h.held+l.held
		}
	}
	var out []jobs.Job
	for _, m := range roster {
		if heirs[m.ID] == nil {
			continue
		}
		ls, err := s.letters(ctx, []string{m.ID}, s.leftLetter(ctx, gone, *heirs[m.ID]))
		if err != nil {
			return err
		}
		out = append(out, ls...)
	}
	_, err = s.change(ctx, housekeeper, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, noteGone, team, gone, us(tx.Now()))
		if err == nil && n != 1 {
			err = unknown() // another node was first
		}
		if err != nil {
			return nil, err
		}
		return ev, s.enqueue(ctx, tx, out)
	})
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func (s *Service) leftLetter(ctx context.Context, gone string, l legacy) letter {
	name := s.People.Name(ctx, gone)
	lines := []string{name + " may not sign in any more."}
	for _, c := range []struct {
		n         int
		one, many string
	}{
		{l.adopt, "1 item has no owner who is here. Name one.", " items have no owner who is here. Name one for each."},
		{l.few, "1 critical item is held by fewer people than the policy asks for. Share it.", " critical items are held by fewer people than the policy asks for. Share them."},
		{l.replace, "1 secret that they saw is still the same. Replace it: until then they may know it.", " secrets that they saw are still the same. Replace them: until then they may know them."},
		{l.held, "1 item was shared with them by name.", " items were shared with them by name."},
	} {
		switch {
		case c.n == 1:
			lines = append(lines, c.one)
		case c.n > 1:
			lines = append(lines, web.Number(int64(c.n))+c.many)
		}
	}
	return letter{kind: "vault.holder-left", Letter: mail.Letter{Title: name + " has left: what is yours to do", Lines: lines,
		Link: s.see("See the list", "/left?who="+gone), Foot: []string{"Noted on " + stamp(s.Now()) + ". The list grows shorter as you replace them; this letter comes once."}}}
}

// gone are those who left a team of whom nobody was told, and forgets those who are back.
func (s *Service) gone(ctx context.Context, team string, rows []row, roster []Member) ([]string, error) {
	all, err := s.Sight.Knowers(ctx, team)
	if err != nil {
		return nil, err
	}
	for _, it := range rows {
		for _, h := range it.Holders {
			if id, ok := strings.CutPrefix(h.Who, "person/"); ok {
				all = append(all, id)
			}
		}
	}
	slices.Sort(all)
	told := map[string]bool{}
	err = s.DB.Each(ctx, `SELECT person FROM vault_item_left WHERE team = $1`, func(scan ledger.Scan) error {
		var id string
		err := scan(&id)
		told[id] = true
		return err
	}, team)
	if err != nil {
		return nil, err
	}
	for _, m := range roster {
		if told[m.ID] {
			if err := s.welcome(ctx, team, m.ID); err != nil {
				return nil, err
			}
		}
	}
	return slices.DeleteFunc(slices.Compact(all), func(id string) bool {
		return told[id] || slices.ContainsFunc(roster, func(m Member) bool { return m.ID == id })
	}), nil
}

// welcome forgets that somebody left who is back.
func (s *Service) welcome(ctx context.Context, team, person string) error {
	_, err := s.change(ctx, housekeeper, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, `DELETE FROM vault_item_left WHERE team = $1 AND person = $2`, team, person)
		if err == nil && n != 1 {
			err = unknown() // another node was first
		}
		return HolderReturned{Person: person}, err
	})
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

const (
	consoleAt = "/-/console/items"
	noteGone  = `INSERT INTO vault_item_left (team, person, noted) VALUES ($1, $2, $3) ON CONFLICT (team, person) DO NOTHING`
)
