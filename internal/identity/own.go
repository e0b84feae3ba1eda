package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/journal"
	"writ/internal/ledger"
)

// OwnData is everything held about a person, for that person: no hash, no token, no seed.
type OwnData struct {
	Made      time.Time    `json:"made"`
	Person    OwnPerson    `json:"person"`
	Teams     []OwnTeam    `json:"teams"`
	Sessions  []OwnSession `json:"sessions"`
	Browsers  []OwnBrowser `json:"browsers"`
	Links     []OwnLink    `json:"links"`
	Addresses []OwnAddress `json:"address_changes"`
	Factors   []OwnFactor  `json:"factors"`
	Leaving   *time.Time   `json:"account_ends,omitempty"`
	Entries   []OwnEntry   `json:"journal"`
}

// OwnPerson is the account itself.
type OwnPerson struct {
	ID        string     `json:"id"`
	Handle    string     `json:"handle"`
	Name      string     `json:"name"`
	Email     string     `json:"email"`
	State     string     `json:"state"`
	Created   time.Time  `json:"created"`
	Confirmed *time.Time `json:"address_confirmed,omitempty"`
	Password  *time.Time `json:"password_set,omitempty"`
}

// OwnTeam is a membership.
type OwnTeam struct {
	ID    string    `json:"id"`
	Name  string    `json:"name"`
	Kind  string    `json:"kind"`
	Roles []string  `json:"roles"`
	Since time.Time `json:"since"`
}

// OwnSession is a session, live or ended in the last 90 days.
type OwnSession struct {
	ID      string     `json:"id"`
	Started time.Time  `json:"started"`
	Seen    time.Time  `json:"seen"`
	Ended   *time.Time `json:"ended,omitempty"`
	Cause   string     `json:"cause,omitempty"`
	Network string     `json:"network,omitempty"`
	Agent   string     `json:"browser,omitempty"`
}

// OwnBrowser is a browser that signed in before.
type OwnBrowser struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"`
}

// OwnLink is a one-time link that was mailed.
type OwnLink struct {
	Kind    string     `json:"kind"`
	Issued  time.Time  `json:"issued"`
	Expires time.Time  `json:"expires"`
	Ended   *time.Time `json:"ended,omitempty"`
	Cause   string     `json:"cause,omitempty"`
}

// OwnAddress is a change of the address.
type OwnAddress struct {
	Email   string     `json:"email"`
	Created time.Time  `json:"created"`
	Ended   *time.Time `json:"ended,omitempty"`
	Cause   string     `json:"cause,omitempty"`
}

// OwnEntry is an entry of the journal about the person.
type OwnEntry struct {
	N      int64          `json:"n"`
	At     time.Time      `json:"at"`
	Act    string         `json:"act"`
	Clause string         `json:"clause,omitempty"`
	Values map[string]any `json:"values,omitempty"`
}

// entriesAPage is how many entries of the journal are read at once.
const entriesAPage = 500

// OwnData is a copy of everything about the person who is signed in. It is recorded
// before anything is read.
func (s *Service) OwnData(ctx context.Context, who actor.Actor) (OwnData, error) {
	if who.Kind != actor.Person || who.Session == "" {
		return OwnData{}, errEnded()
	}
	entries, err := s.ownEntries(ctx, who.ID)
	if err != nil {
		return OwnData{}, err
	}
	_, err = s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
		return PersonExported{Person: who.ID, Entries: int64(len(entries))}, nil
	})
	if err != nil {
		return OwnData{}, fmt.Errorf("record a copy of own data: %w", err)
	}
	d := OwnData{Made: s.Now(), Entries: []OwnEntry{}, Teams: []OwnTeam{}, Sessions: []OwnSession{}, Browsers: []OwnBrowser{}, Links: []OwnLink{}, Addresses: []OwnAddress{}}
	if d.Entries, err = s.openOwn(ctx, entries); err != nil {
		return OwnData{}, err
	}
	p, err := s.Me(ctx, who)
	if err != nil {
		return OwnData{}, err
	}
	d.Person = OwnPerson{ID: p.ID, Handle: p.Handle, Name: p.Name, Email: p.Email, State: p.State, Created: p.Created, Confirmed: some(p.Confirmed), Password: some(p.Password)}
	if due, ok, err := s.Leaving(ctx, who); err != nil {
		return OwnData{}, err
	} else if ok {
		d.Leaving = &due
	}
	for _, read := range []func(context.Context, string, *OwnData) error{s.ownTeams, s.ownSessions, s.ownBrowsers, s.ownLinks, s.ownAddresses, s.ownFactors} {
		if err := read(ctx, who.ID, &d); err != nil {
			return OwnData{}, fmt.Errorf("copy own data: %w", err)
		}
	}
	return d, nil
}

// some is a time that may be missing.
func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// someAt is some for a column.
func someAt(us *int64) *time.Time {
	if us == nil {
		return nil
	}
	return some(at(*us))
}

func (s *Service) ownEntries(ctx context.Context, person string) ([]journal.Entry, error) {
	var all []journal.Entry
	q := journal.Query{Subject: person, Limit: entriesAPage}
	for {
		page, err := s.Record.List(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("list entries about a person: %w", err)
		}
		all = append(all, page...)
		if len(page) < entriesAPage || page[len(page)-1].N == 0 {
			return all, nil
		}
		q.Before = page[len(page)-1].N
	}
}

// openOwn opens the entries as the server itself: the copy was recorded, and each entry
// is about the one who gets it.
func (s *Service) openOwn(ctx context.Context, entries []journal.Entry) ([]OwnEntry, error) {
	out := make([]OwnEntry, 0, len(entries))
	for _, e := range entries {
		if err := s.Record.Open(ctx, actor.System("identity-own-data"), &e); err != nil {
			return nil, fmt.Errorf("open entry %d: %w", e.N, err)
		}
		o := OwnEntry{N: e.N, At: e.At, Act: e.Act, Clause: e.Clause, Values: map[string]any{}}
		for _, f := range e.Fields {
			if v, ok := e.Field(f.Name); ok {
				o.Values[f.Name] = v
			}
		}
		out = append(out, o)
	}
	return out, nil
}

func (s *Service) ownTeams(ctx context.Context, person string, d *OwnData) error {
	err := s.DB.Each(ctx, ownTeams, func(scan scanner) error {
		var t OwnTeam
		var roles string
		var since int64
		if err := scan(&t.ID, &t.Kind, &roles, &since); err != nil {
			return err
		}
		t.Roles, t.Since = rolesOf(roles), at(since)
		d.Teams = append(d.Teams, t)
		return nil
	}, person)
	for i := range d.Teams {
		d.Teams[i].Name = s.TeamName(ctx, d.Teams[i].ID)
	}
	return err
}

func (s *Service) ownSessions(ctx context.Context, person string, d *OwnData) error {
	var places [][]byte
	err := s.DB.Each(ctx, ownSessions, func(scan scanner) error {
		var x OwnSession
		var started, seen int64
		var ended *int64
		var box []byte
		if err := scan(&x.ID, &started, &seen, &ended, &x.Cause, &box); err != nil {
			return err
		}
		x.Started, x.Seen, x.Ended = at(started), at(seen), someAt(ended)
		d.Sessions, places = append(d.Sessions, x), append(places, box)
		return nil
	}, person)
	for i := range d.Sessions {
		x := &d.Sessions[i]
		b, err := s.text(ctx, "identity_session.place", x.ID, places[i])
		if err != nil {
			return err
		}
		var w where
		if b != "" && json.Unmarshal([]byte(b), &w) == nil {
			x.Network, x.Agent = w.Network, w.Agent
		}
	}
	return err
}

func (s *Service) ownBrowsers(ctx context.Context, person string, d *OwnData) error {
	return s.DB.Each(ctx, ownBrowsers, func(scan scanner) error {
		var b OwnBrowser
		var created, seen int64
		if err := scan(&b.ID, &created, &seen); err != nil {
			return err
		}
		b.Created, b.Seen = at(created), at(seen)
		d.Browsers = append(d.Browsers, b)
		return nil
	}, person)
}

func (s *Service) ownLinks(ctx context.Context, person string, d *OwnData) error {
	return s.DB.Each(ctx, ownLinks, func(scan scanner) error {
		var l OwnLink
		var issued, expires int64
		var ended *int64
		if err := scan(&l.Kind, &issued, &expires, &ended, &l.Cause); err != nil {
			return err
		}
		l.Issued, l.Expires, l.Ended = at(issued), at(expires), someAt(ended)
		d.Links = append(d.Links, l)
		return nil
	}, person)
}

func (s *Service) ownAddresses(ctx context.Context, person string, d *OwnData) error {
	type row struct {
		idx string
		box []byte
	}
	var rows []row
	err := s.DB.Each(ctx, ownAddresses, func(scan scanner) error {
		var r row
		var a OwnAddress
		var created int64
		var ended *int64
		if err := scan(&r.idx, &r.box, &created, &ended, &a.Cause); err != nil {
			return err
		}
		a.Created, a.Ended = at(created), someAt(ended)
		d.Addresses, rows = append(d.Addresses, a), append(rows, r)
		return nil
	}, person)
	if err != nil {
		return err
	}
	for i, r := range rows {
		if d.Addresses[i].Email, err = s.text(ctx, "identity_address.address", r.idx, r.box); err != nil {
			return err
		}
	}
	return nil
}

const (
	ownTeams     = `SELECT t.id, t.kind, m.roles, m.since FROM identity_member m JOIN identity_team t ON t.id = m.team WHERE m.person = $1 ORDER BY m.since, t.id`
	ownSessions  = `SELECT id, started, seen, ended, cause, place FROM identity_session WHERE person = $1 ORDER BY started DESC, id DESC`
	ownBrowsers  = `SELECT id, created, seen FROM identity_device WHERE person = $1 ORDER BY created`
	ownLinks     = `SELECT kind, issued, expires, ended, cause FROM identity_link WHERE person = $1 ORDER BY issued DESC`
	ownAddresses = `SELECT idx, address, created, ended, cause FROM identity_address_change WHERE person = $1 ORDER BY created DESC`
)
