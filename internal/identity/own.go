package identity

import (
	"context"
	"fmt"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/mail"
)

// OwnData is everything held about a person, for that person: no hash, no token, no seed.
// What is left out is named in it.
type OwnData struct {
	Made         time.Time        `json:"made"`
	Person       OwnPerson        `json:"person"`
	Teams        []OwnTeam        `json:"teams"`
	Lent         []OwnLoan        `json:"lent_roles"`
	Reviews      []OwnReview      `json:"reviews"` // of one's rights, by others
	Uses         []OwnUse         `json:"uses"`    // of rights, by day
	Invitations  []OwnInvitation  `json:"invitations"`
	Sessions     []OwnSession     `json:"sessions"`
	Browsers     []OwnBrowser     `json:"browsers"`
	Steps        []OwnStep        `json:"sign_in_steps"` // begun in the last days
	Links        []OwnLink        `json:"links"`
	Addresses    []OwnAddress     `json:"address_changes"`
	Factors      []OwnFactor      `json:"factors"`
	Recovery     OwnRecovery      `json:"recovery_codes"`
	Graces       []OwnGrace       `json:"graces"`
	FactorResets []OwnFactorReset `json:"factor_resets"`
	BroughtOver  *OwnLegacy       `json:"brought_over,omitempty"`
	Directory    []OwnDirectory   `json:"directory"` // what a team's directory says
	Leaving      *time.Time       `json:"account_ends,omitempty"`
	Terms        []OwnTerms       `json:"terms"`
	Looks        []OwnLook        `json:"looks"`
	LooksMade    []OwnLook        `json:"looks_made"` // at customers, without their reason
	Tokens       []OwnToken       `json:"tokens"`
	Services     []OwnService     `json:"services"`
	Applications []OwnApplication `json:"applications"`
	Elsewhere    []OwnElsewhere   `json:"elsewhere"` // accounts that sign in here
	Habits       *OwnHabits       `json:"habits_kept_about_you,omitempty"`
	Reports      []OwnReport      `json:"reports"`      // about the service, made while signed in
	Exposures    []OwnExposure    `json:"exposed_data"` // what letters about it say
	Entries      []OwnEntry       `json:"journal"`
	LeftOut      []LeftOut        `json:"left_out"`
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
	Scheme    string     `json:"password_kept_with,omitempty"`
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
	ID         string     `json:"id"`
	Created    time.Time  `json:"created"`
	Seen       time.Time  `json:"seen"`
	Remembered *time.Time `json:"remembered,omitempty"` // since when it skips the second factor
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
	if who.Kind != actor.Person || who.Session == "" || who.ByToken() {
		return OwnData{}, errEnded()
	}
	return s.copyOf(ctx, who, who.ID, "", nil)
}

// ExportPerson is OwnData of somebody who asked for their copy in another way than by
// signing in. They are told by mail, and the reason is theirs to read.
func (s *Service) ExportPerson(ctx context.Context, who actor.Actor, ref, reason string) (OwnData, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleExport, ""); err != nil {
		return OwnData{}, err
	}
	reason, err := reasonOf(reason)
	if err != nil {
		return OwnData{}, err
	}
	acc, err := s.find(ctx, ref)
	if err != nil {
		return OwnData{}, err
	}
	if acc.state == stateErasing || acc.state == stateErased {
		return OwnData{}, fault.Newf(fault.Gone, "erased", "This person was erased: there is nothing to copy.")
	}
	letter, err := s.letter(ctx, acc.email, s.copiedLetter())
	if err != nil {
		return OwnData{}, err
	}
	return s.copyOf(ctx, who, acc.id, reason, &letter)
}

func (s *Service) copiedLetter() typedLetter {
	return typedLetter{kind: "identity.copied", Letter: mail.Letter{
		Title: "A copy of your data was made",
		Lines: []string{"Our operator made a copy of everything held about you, as you can do yourself in your account. The copy says why."},
		Link:  &mail.Link{Text: "See your data", URL: s.Origin + atData},
		Foot:  []string{"If you did not ask for it, answer to this company and ask."},
	}}
}

func (s *Service) copyOf(ctx context.Context, who actor.Actor, person, reason string, letter *jobs.Job) (OwnData, error) {
	entries, err := s.ownEntries(ctx, person)
	if err != nil {
		return OwnData{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if letter != nil {
			if err := s.Mail.Enqueue(ctx, tx, *letter); err != nil {
				return nil, err
			}
		}
		return PersonExported{Person: person, Entries: int64(len(entries)), reason: reason}, nil
	})
	if err != nil {
		return OwnData{}, fmt.Errorf("record a copy of own data: %w", err)
	}
	d := OwnData{Made: s.Now(), LeftOut: LeftOutOfCopy(), Applications: []OwnApplication{}, Elsewhere: []OwnElsewhere{}}
	if d.Entries, err = s.openOwn(ctx, entries); err != nil {
		return OwnData{}, err
	}
	reads := []func(context.Context, string, *OwnData) error{s.ownPerson, s.ownTeams, s.ownRights, s.ownInvitations, s.ownSessions, s.ownBrowsers, s.ownSteps, s.ownLinks, s.ownAddresses,
		s.ownFactors, s.ownRecovery, s.ownLegacy, s.ownDirectory, s.ownTerms, s.ownLooks, s.ownTokens, s.ownServices}
	if s.Beside != nil {
		reads = append(reads, s.Beside)
	}
	for _, read := range reads {
		if err := read(ctx, person, &d); err != nil {
			return OwnData{}, fmt.Errorf("copy own data: %w", err)
		}
	}
	return d, nil
}

func (s *Service) ownPerson(ctx context.Context, person string, d *OwnData) error {
	p, err := s.one(ctx, person)
	if err != nil {
		return err
	}
	d.Person = OwnPerson{ID: p.ID, Handle: p.Handle, Name: p.Name, Email: p.Email, State: p.State, Created: p.Created, Confirmed: some(p.Confirmed), Password: some(p.Password), Scheme: p.Scheme}
	due, ok, err := s.leaving(ctx, person)
	if ok {
		d.Leaving = &due
	}
	return err
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
	var err error
	d.Teams, err = rowsOf(ctx, s, ownTeams, person, func(scan scanner) (t OwnTeam, err error) {
		var roles string
		var since int64
		err = scan(&t.ID, &t.Kind, &roles, &since)
		t.Roles, t.Since = rolesOf(roles), at(since)
		return t, err
	})
	for i := range d.Teams {
		d.Teams[i].Name = s.TeamName(ctx, d.Teams[i].ID)
	}
	return err
}

func (s *Service) ownSessions(ctx context.Context, person string, d *OwnData) error {
	var places [][]byte
	d.Sessions = []OwnSession{}
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
		w, err := s.placeOf(ctx, x.ID, places[i])
		if err != nil {
			return err
		}
		x.Network, x.Agent = w.Network, w.Agent
	}
	return err
}

func (s *Service) ownBrowsers(ctx context.Context, person string, d *OwnData) error {
	var err error
	d.Browsers, err = rowsOf(ctx, s, ownBrowsers, person, func(scan scanner) (b OwnBrowser, err error) {
		var created, seen int64
		var trusted *int64
		err = scan(&b.ID, &created, &seen, &trusted)
		b.Created, b.Seen, b.Remembered = at(created), at(seen), someAt(trusted)
		return b, err
	})
	return err
}

func (s *Service) ownLinks(ctx context.Context, person string, d *OwnData) error {
	var err error
	d.Links, err = rowsOf(ctx, s, ownLinks, person, func(scan scanner) (l OwnLink, err error) {
		var issued, expires int64
		var ended *int64
		err = scan(&l.Kind, &issued, &expires, &ended, &l.Cause)
		l.Issued, l.Expires, l.Ended = at(issued), at(expires), someAt(ended)
		return l, err
	})
	return err
}

func (s *Service) ownAddresses(ctx context.Context, person string, d *OwnData) error {
	type row struct {
		idx string
		box []byte
	}
	var rows []row
	d.Addresses = []OwnAddress{}
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
	ownBrowsers  = `SELECT id, created, seen, trusted FROM identity_device WHERE person = $1 ORDER BY created`
	ownLinks     = `SELECT kind, issued, expires, ended, cause FROM identity_link WHERE person = $1 ORDER BY issued DESC`
	ownAddresses = `SELECT idx, address, created, ended, cause FROM identity_address_change WHERE person = $1 ORDER BY created DESC`
)
