package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/breach"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger"
)

// Account is what an incident did to one team, in the words that the team may read: nothing of an
// exposure before its letters went out, nothing of an incident that nobody told of.
type Account struct {
	Ref      string
	Team     string
	Shown    bool   // the team may see it
	Affected string // yes, no, or unknown while it is not decided
	Title    string // of the status page; "" = it does not tell of it
	State    string // likewise, a word of the status page
	Page     string // its address there; "" = none
	From     time.Time
	Until    time.Time // zero = it goes on
	Out      status.Outage
	Writes   int64     // of the team, acknowledged and gone
	Lost     []Write   // which, for the team alone
	Data     []Exposed // what of it came into the wrong hands, the worst first
	Held     bool      // there may be more to Data, for those who have a role in the incident
	Messages []Message
	Entries  []int64 // numbers of the journal's entries about when it was out

	id string
}

// Exposed is data of a team in one class. Counted over several teams, a person is counted in each.
type Exposed struct {
	Class   string   `json:"class"`      // obtained, accessed, possibly, cannot-know
	Records int64    `json:"records"`    // that a path of the application names
	Whole   int64    `json:"whole"`      // 1: data of the team as a whole, which no record names
	People  int64    `json:"people"`     // who were told so
	Data    []string `json:"categories"` // of both
}

// kinds adds categories.
func (x *Exposed) kinds(data string) {
	x.Data = append(x.Data, strings.Fields(data)...)
	slices.Sort(x.Data)
	x.Data = slices.Compact(x.Data)
}

// Message is what the people of a team were told, and how that stands.
type Message struct {
	About   string    `json:"about"`           // outage, lost-writes, exposed-data
	Class   string    `json:"class,omitempty"` // of exposed data
	State   string    `json:"state"`
	Letters int64     `json:"letters"`
	At      time.Time `json:"at"`
	Entries []int64   `json:"entries"` // their numbers in the journal, the first 200
}

// Totals are what an incident did to all teams.
type Totals struct {
	Teams   int64
	Out     status.Outage // summed over the teams
	Writes  int64
	Letters int64 // a person in several teams counts in each
	Outside int64 // letters about exposed data to people of no team
	Data    []Exposed
	Held    bool // likewise
}

const mostEntries = 200 // of a message

// The answers to whether a team was affected.
const (
	affectedYes     = "yes"
	affectedNo      = "no"
	affectedUnknown = "unknown"
)

// footing is what the accounts of an incident rest on.
type footing struct {
	public  *status.Public // nil = the status page tells nothing
	in      status.Period
	ongoing bool
	gate    []gateChange
	out     map[string]status.Outage // by the times in which a team was shut out
	parts   []string
	impacts []string        // ids of what the gate saw
	version int64           // of the set that letters have told of; 0 = none
	classes map[string]bool // of those that were told
	scope   string          // id of that version
}

func (s *Service) footing(ctx context.Context, c Case) (f footing, err error) {
	p, err := s.Page.PublicOf(ctx, c.ID)
	switch {
	case errors.Is(err, fault.NotFound):
	case err != nil:
		return f, fmt.Errorf("read what the status page tells of %s: %w", c.Ref(), err)
	case len(p.Posts) > 0 && p.State() != status.Retracted && c.States[engine.L] != "LX":
		f.public = &p
	}
	f.in = status.Period{From: c.OnsetFrom, Until: s.Now()}
	f.ongoing = true
	for _, t := range []time.Time{c.Green, c.Mitigated, c.Resolved, c.Closed} {
		if !t.IsZero() {
			f.in.Until, f.ongoing = t, false
			break
		}
	}
	if err := s.partsOf(ctx, c, p.Posts, &f); err != nil {
		return f, err
	}
	f.out = map[string]status.Outage{}
	if f.gate, err = s.gateChanges(ctx, c.ID); err != nil {
		return f, err
	}
	return f, s.toldOf(ctx, c, &f)
}

// outOf is for how long an incident kept a team out. Teams that were let in at the same time, which
// are nearly all, have it looked up once.
func (s *Service) outOf(ctx context.Context, f footing, team string) (status.Outage, error) { // clause: inc.tell-affected
	shut := s.shutOut(team, f.gate, f.in.Until)
	key := fmt.Sprint(shut)
	if out, known := f.out[key]; known {
		return out, nil
	}
	out, err := s.Page.Outage(ctx, f.parts, f.in, shut)
	if err == nil {
		f.out[key] = out
	}
	return out, err
}

// partsOf finds the parts of the service that an incident touched: those of its posts, of what the gate
// saw, and the one that it was declared of.
func (s *Service) partsOf(ctx context.Context, c Case, posts []status.Shown, f *footing) error {
	if c.Component != "" {
		f.parts = append(f.parts, c.Component)
	}
	for _, p := range posts {
		for _, t := range p.Touched {
			part, _, _ := strings.Cut(t, "=")
			f.parts = append(f.parts, part)
		}
	}
	err := s.DB.Each(ctx, impactsOf, func(scan ledger.Scan) error {
		var id, touched string
		err := scan(&id, &touched)
		f.impacts, f.parts = append(f.impacts, id), append(f.parts, strings.Fields(touched)...)
		return err
	}, c.ID)
	if err != nil {
		return fmt.Errorf("read what the gate saw: %w", err)
	}
	slices.Sort(f.parts)
	f.parts = slices.Compact(f.parts)
	return nil
}

// toldOf finds which version of the set its letters have told of. As long as one of them is to go
// out, or is not placed, nobody reads of that version.
func (s *Service) toldOf(ctx context.Context, c Case, f *footing) error { // clause: inc.breach-notify
	f.classes = map[string]bool{}
	var open, unplaced int64
	if err := ledger.One(ctx, s.DB, toBeTold, []any{&open, &unplaced}, c.ID); err != nil {
		return fmt.Errorf("read letters of %s: %w", c.Ref(), err)
	}
	if unplaced > 0 {
		return nil
	}
	if err := ledger.One(ctx, s.DB, toldScope, []any{&f.scope, &f.version}, c.ID, open); errors.Is(err, fault.NotFound) {
		return nil
	} else if err != nil {
		return fmt.Errorf("read the set of %s: %w", c.Ref(), err)
	}
	err := s.DB.Each(ctx, toldClassesOf, func(scan ledger.Scan) error {
		var class int64
		err := scan(&class)
		f.classes[breach.Class(class).String()] = true
		return err
	}, c.ID, f.version)
	f.classes[cannotKnow] = f.classes[breach.Possibly.String()]
	return err
}

// account is that of a team, without its list of writes and without entries.
func (s *Service) account(ctx context.Context, c Case, f footing, team string) (Account, error) {
	a := Account{id: c.ID, Ref: c.Ref(), Team: team, Affected: affectedUnknown, From: f.in.From, Until: f.in.Until}
	if f.ongoing {
		a.Until = time.Time{}
	}
	if f.public != nil {
		a.Title, a.State, a.Page = f.public.Title, status.Word(f.public.State()), s.Origin+status.At+"/incidents/"+f.public.ID
	}
	told := false
	if err := s.DB.Each(ctx, audienceOfTeam, func(scan ledger.Scan) error {
		var m Message
		var letters string
		var t int64
		err := scan(&m.State, &letters, &t)
		m.About, m.Letters, m.At = "outage", int64(len(strings.Fields(letters))), at(t)
		told = told || m.State == handed || m.State == otherwise
		a.Messages = append(a.Messages, m)
		return err
	}, c.ID, team); err != nil {
		return a, fmt.Errorf("read messages to a team: %w", err)
	}
	if err := s.DB.Each(ctx, lostOfTeam, func(scan ledger.Scan) error {
		var n, t int64
		var letters string
		err := scan(&n, &letters, &t)
		a.Writes += n
		a.Messages = append(a.Messages, Message{About: "lost-writes", State: "sent", Letters: int64(len(strings.Fields(letters))), At: at(t)})
		return err
	}, c.ID, team); err != nil {
		return a, fmt.Errorf("read what a team lost: %w", err)
	}
	told = told || a.Writes > 0
	if err := s.exposedOf(ctx, &a, f); err != nil {
		return a, err
	}
	told = told || len(a.Data) > 0
	switch {
	case len(a.Messages) > 0 || len(a.Data) > 0:
		a.Affected = affectedYes
	case c.Decided:
		a.Affected = affectedNo
	}
	if a.Affected != affectedNo {
		var err error
		if a.Out, err = s.outOf(ctx, f, team); err != nil {
			return a, err
		}
	}
	a.Shown = told || f.public != nil && a.Affected != affectedNo // clause: inc.tell-affected
	return a, nil
}

// exposedOf reads what letters have told of a team's data.
func (s *Service) exposedOf(ctx context.Context, a *Account, f footing) error {
	if f.version == 0 {
		return nil
	}
	of := map[string]*Exposed{}
	in := func(class string) *Exposed {
		if of[class] == nil {
			of[class] = &Exposed{Class: class, Data: []string{}}
		}
		return of[class]
	}
	if err := s.DB.Each(ctx, scopeOfTeam, func(scan ledger.Scan) error {
		var class, data string
		var records, whole int64
		err := scan(&class, &records, &whole, &data)
		if f.classes[class] {
			x := in(class)
			x.Records, x.Whole = records, whole
			x.kinds(data)
		}
		return err
	}, f.scope, a.Team); err != nil {
		return fmt.Errorf("read what of a team was exposed: %w", err)
	}
	worst := map[string]string{}
	messages := map[[2]string]*Message{}
	if err := s.DB.Each(ctx, lettersOfTeam, func(scan ledger.Scan) error {
		var person, class, state, data string
		var t int64
		err := scan(&person, &class, &state, &data, &t)
		if !f.classes[class] {
			return err
		}
		if was, ok := worst[person]; !ok || slices.Index(shareClasses(), class) < slices.Index(shareClasses(), was) {
			worst[person] = class
		}
		in(class).kinds(data)
		key := [2]string{class, state}
		if messages[key] == nil {
			messages[key] = &Message{About: "exposed-data", Class: class, State: state}
		}
		m := messages[key]
		if m.Letters++; at(t).After(m.At) {
			m.At = at(t)
		}
		return err
	}, a.id, a.Team, f.version); err != nil {
		return fmt.Errorf("read letters to a team: %w", err)
	}
	for _, class := range worst {
		in(class).People++
	}
	for _, class := range shareClasses() {
		if x := of[class]; x != nil && x.Records+x.Whole+x.People > 0 {
			a.Data = append(a.Data, *x)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(messages), func(x, y [2]string) int { return strings.Compare(x[0]+x[1], y[0]+y[1]) }) {
		a.Messages = append(a.Messages, *messages[key])
	}
	return nil
}

// ownTeam is the team whose accounts somebody may read: the one that they act in, as its admin. No
// request names a team.
func (s *Service) ownTeam(ctx context.Context, who actor.Actor) (string, error) { // clause: inc.tell-affected
	if who.Kind != actor.Person || who.Team == "" {
		return "", fault.New(fault.Denied, "not_allowed", fault.Public{Problem: "These accounts are for the admins of a customer's team.", Next: "Sign in as one of them."})
	}
	if err := s.Access.Allow(ctx, who, access.TeamManage, "team/"+who.Team); err != nil {
		return "", err
	}
	if who.TeamKind != "customer" {
		return "", fault.New(fault.Conflict, "account_staff", fault.Public{Problem: "You act in no customer's team, and only those have such accounts.", Next: "Staff read them with: writ incident account REF"})
	}
	return who.Team, nil
}

// Accounts are those of the team that somebody is an admin of: incidents that were published or of
// which the team was told, the newest first, of the last hundred.
func (s *Service) Accounts(ctx context.Context, who actor.Actor) ([]Account, error) { // clause: inc.tell-affected
	team, err := s.ownTeam(ctx, who)
	if err != nil {
		return nil, err
	}
	cs, err := s.cases(ctx, s.DB, casesOfTeam, team)
	if err != nil {
		return nil, err
	}
	out := []Account{}
	for _, c := range cs {
		f, err := s.footing(ctx, c)
		if err != nil {
			return nil, err
		}
		a, err := s.account(ctx, c, f, team)
		if err != nil {
			return nil, err
		}
		if a.Shown {
			out = append(out, a)
		}
	}
	return out, nil
}

// Account is one of them, with the writes that are gone and the entries of the journal. That it was
// read is recorded. An incident that the team does not see is none: fault.NotFound.
func (s *Service) Account(ctx context.Context, who actor.Actor, ref string) (Account, error) { // clause: inc.tell-affected
	team, err := s.ownTeam(ctx, who)
	if err != nil {
		return Account{}, err
	}
	none := fault.New(fault.NotFound, "account_unknown", fault.Public{Problem: "Your team has no account of such an incident.", Next: "Look at the list in your account."})
	c, err := s.find(ctx, s.DB, ref)
	if errors.Is(err, fault.NotFound) || err == nil && c.Drill {
		return Account{}, none
	}
	if err != nil {
		return Account{}, err
	}
	f, err := s.footing(ctx, c)
	if err != nil {
		return Account{}, err
	}
	a, err := s.account(ctx, c, f, team)
	if err != nil {
		return Account{}, err
	}
	if !a.Shown {
		return Account{}, none
	}
	if a.Lost, err = s.lostWritesOf(ctx, c, team); err != nil {
		return Account{}, err
	}
	if err := s.entered(ctx, c, f, &a); err != nil {
		return Account{}, err
	}
	_, err = s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) { return AccountRead{Incident: c.ID, Team: team}, nil })
	return a, err
}

func (s *Service) lostWritesOf(ctx context.Context, c Case, team string) ([]Write, error) {
	var boxes [][]byte
	if err := s.DB.Each(ctx, lostBoxes, func(scan ledger.Scan) error {
		var box []byte
		err := scan(&box)
		boxes = append(boxes, box)
		return err
	}, c.ID, team); err != nil {
		return nil, fmt.Errorf("read what a team lost: %w", err)
	}
	out := []Write{}
	for _, box := range boxes {
		raw, err := s.open(ctx, "incident_lost.box", c.ID+"/"+team, box)
		if err != nil {
			return nil, err
		}
		var ws []Write
		if json.Unmarshal([]byte(raw), &ws) == nil { // else erased: the count stays
			out = append(out, ws...)
		}
	}
	return out, nil
}

// AccountOf is what a team reads of an incident, for staff, and whether it may read it by now. What
// of it is about exposed data is for those with a role in the incident, and that they looked is
// recorded; the writes themselves are read with LostOf.
func (s *Service) AccountOf(ctx context.Context, who actor.Actor, ref, team string) (Account, error) { // clause: inc.tell-affected
	c, f, held, err := s.forStaff(ctx, who, ref)
	if err != nil {
		return Account{}, err
	}
	a, err := s.account(ctx, c, f, team)
	if err != nil {
		return Account{}, err
	}
	a.Held = held
	return a, s.entered(ctx, c, f, &a)
}

// AccountTotals are the sums over all teams that an incident affected, and which teams these are.
func (s *Service) AccountTotals(ctx context.Context, who actor.Actor, ref string) (t Totals, teams []string, err error) {
	c, f, held, err := s.forStaff(ctx, who, ref)
	if err != nil {
		return Totals{}, nil, err
	}
	t, teams, err = s.totals(ctx, c, f)
	t.Held = held
	return t, teams, err
}

// forStaff is an incident for who may read incidents. held = what it tells of people is not for them.
func (s *Service) forStaff(ctx context.Context, who actor.Actor, ref string) (c Case, f footing, held bool, err error) {
	if err := s.Access.Allow(ctx, who, access.IncidentRead, ""); err != nil {
		return c, f, false, err
	}
	if c, err = s.find(ctx, s.DB, ref); err != nil {
		return c, f, false, err
	}
	if c.Drill {
		return c, f, false, fault.New(fault.NotFound, "account_drill", fault.Public{Problem: "A drill does nothing to any team.", Next: "Look at it: writ incident show " + c.Ref()})
	}
	if f, err = s.footing(ctx, c); err != nil || f.version == 0 {
		return c, f, false, err
	}
	if err := s.insider(ctx, s.DB, who, c); fault.KindOf(err) == fault.Denied {
		f.version = 0
		return c, f, true, nil
	} else if err != nil {
		return c, f, false, err
	}
	_, err = s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) { return BreachSeen{Incident: c.ID, What: "accounts"}, nil })
	return c, f, false, err
}

// totals adds up the rows themselves, and not the accounts: that both agree is tested.
func (s *Service) totals(ctx context.Context, c Case, f footing) (t Totals, teams []string, err error) {
	if err := s.DB.Each(ctx, teamsOf, func(scan ledger.Scan) error {
		var team, from, class string
		err := scan(&team, &from, &class)
		if from == "exposed" && (f.version == 0 || !f.classes[class]) {
			return err
		}
		if !slices.Contains(teams, team) {
			teams = append(teams, team)
		}
		return err
	}, c.ID, f.scope, f.version); err != nil {
		return t, nil, fmt.Errorf("read teams: %w", err)
	}
	t.Teams = int64(len(teams))
	for _, team := range teams {
		out, err := s.outOf(ctx, f, team)
		if err != nil {
			return t, nil, err
		}
		t.Out.Down, t.Out.Partial, t.Out.Unseen = t.Out.Down+out.Down, t.Out.Partial+out.Partial, t.Out.Unseen+out.Unseen
	}
	if err := s.DB.Each(ctx, messagesOf, func(scan ledger.Scan) error {
		var n int64
		var letters string
		err := scan(&n, &letters)
		t.Writes, t.Letters = t.Writes+n, t.Letters+int64(len(strings.Fields(letters)))
		return err
	}, c.ID); err != nil {
		return t, nil, fmt.Errorf("read messages: %w", err)
	}
	if f.version == 0 {
		return t, teams, nil
	}
	return t, teams, s.exposedTotals(ctx, c, f, &t)
}

func (s *Service) exposedTotals(ctx context.Context, c Case, f footing, t *Totals) error {
	of := map[string]*Exposed{}
	for _, class := range shareClasses() {
		of[class] = &Exposed{Class: class, Data: []string{}}
	}
	if err := s.DB.Each(ctx, scopeOfAll, func(scan ledger.Scan) error {
		var class, data string
		var records, whole int64
		err := scan(&class, &records, &whole, &data)
		if x := of[class]; x != nil {
			x.Records, x.Whole = x.Records+records, x.Whole+whole
			x.kinds(data)
		}
		return err
	}, f.scope); err != nil {
		return fmt.Errorf("read what was exposed: %w", err)
	}
	worst := map[[2]string]int{}
	if err := s.DB.Each(ctx, lettersOfAll, func(scan ledger.Scan) error {
		var team, person, class, data string
		err := scan(&team, &person, &class, &data)
		rank := slices.Index(shareClasses(), class)
		switch {
		case rank < 0 || !f.classes[class]:
			return err
		case team == "":
			t.Outside++
			return err
		}
		t.Letters++
		of[class].kinds(data)
		key := [2]string{team, person}
		if was, ok := worst[key]; !ok || rank < was {
			worst[key] = rank
		}
		return err
	}, c.ID, f.version); err != nil {
		return fmt.Errorf("read letters: %w", err)
	}
	for _, rank := range worst {
		of[shareClasses()[rank]].People++
	}
	for _, class := range shareClasses() {
		x := of[class]
		if f.classes[class] && x.Records+x.Whole+x.People > 0 {
			t.Data = append(t.Data, *x)
		}
	}
	return nil
}

// AccountRead is a team's admin who read what an incident did to the team.
type AccountRead struct {
	Incident string `class:"public"`
	Team     string `class:"public"`
}

// About implements ledger.Event.
func (e AccountRead) About() ledger.About {
	return ledger.About{Name: "incident.account-read", Clause: "inc.tell-affected", Object: accountThing(e.Incident, e.Team)}
}

func accountThing(id, team string) string { return "account/" + id + "." + team }

const (
	impactsOf = `SELECT i.id, i.touched FROM incident_impact i JOIN incident_signal g ON g.id = 'impact/' || i.id WHERE g.case_id = $1`
	toBeTold  = `SELECT COALESCE(MIN(CASE WHEN state IN ('queued', 'sending') THEN version END), 0), COALESCE(SUM(CASE WHEN placed THEN 0 ELSE 1 END), 0) FROM incident_letter WHERE case_id = $1`
	toldScope = `SELECT id, version FROM incident_scope WHERE case_id = $1 AND filled AND placed AND ($2 = 0 OR version < $2) ORDER BY version DESC LIMIT 1`
	// A class nobody of which was told is no news yet.
	toldClassesOf  = `SELECT DISTINCT class FROM incident_letter WHERE case_id = $1 AND version <= $2 AND state IN ('accepted', 'told')`
	audienceOfTeam = `SELECT state, letters, at FROM incident_audience WHERE case_id = $1 AND team = $2 ORDER BY round`
	lostOfTeam     = `SELECT writes, letters, at FROM incident_lost WHERE case_id = $1 AND team = $2 ORDER BY round`
	lostBoxes      = `SELECT box FROM incident_lost WHERE case_id = $1 AND team = $2 ORDER BY round`
	scopeOfTeam    = `SELECT class, records, whole, data FROM incident_scope_team WHERE scope_id = $1 AND team = $2`
	scopeOfAll     = `SELECT class, records, whole, data FROM incident_scope_team WHERE scope_id = $1`
	lettersOfTeam  = `SELECT l.person, t.class, l.state, t.data, l.at FROM incident_letter_team t JOIN incident_letter l ON l.id = t.letter_id WHERE t.case_id = $1 AND t.team = $2 AND l.version <= $3`
	lettersOfAll   = `SELECT t.team, l.person, t.class, t.data FROM incident_letter_team t JOIN incident_letter l ON l.id = t.letter_id WHERE t.case_id = $1 AND l.version <= $2`
	messagesOf     = `SELECT 0, letters FROM incident_audience WHERE case_id = $1 UNION ALL SELECT writes, letters FROM incident_lost WHERE case_id = $1`
	teamsOf        = `SELECT team, 'message', '' FROM incident_audience WHERE case_id = $1 UNION SELECT team, 'message', '' FROM incident_lost WHERE case_id = $1
		UNION SELECT team, 'exposed', class FROM incident_scope_team WHERE scope_id = $2
		UNION SELECT t.team, 'exposed', t.class FROM incident_letter_team t JOIN incident_letter l ON l.id = t.letter_id WHERE t.case_id = $1 AND t.team <> '' AND l.version <= $3 ORDER BY 1`
	casesOfTeam = caseColumns + ` WHERE NOT drill AND (EXISTS (SELECT 1 FROM incident_status_public p WHERE p.case_id = incident_case.id) OR EXISTS (SELECT 1 FROM incident_audience a WHERE a.case_id = incident_case.id AND a.team = $1)
		OR EXISTS (SELECT 1 FROM incident_lost x WHERE x.case_id = incident_case.id AND x.team = $1) OR EXISTS (SELECT 1 FROM incident_letter_team t WHERE t.case_id = incident_case.id AND t.team = $1)
		OR EXISTS (SELECT 1 FROM incident_scope_team e WHERE e.case_id = incident_case.id AND e.team = $1)) ORDER BY declared DESC, id DESC LIMIT 100`
)
