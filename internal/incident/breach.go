package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/breach"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
	"writ/internal/mail"
)

// Reads is the record of who saw what.
type Reads interface {
	// Walk gives every access of a time that may be meant, in one order, and what the record
	// of it covers. size is how much of the journal to read; 0 = all there is now.
	Walk(ctx context.Context, s breach.Selector, size int64, fn func(*breach.Record) error) (breach.Coverage, error)
	// Everybody gives each subject whose data there is.
	Everybody(ctx context.Context, fn func(subject string) error) error
	// Tagged is what the description of the application says of the data of a route.
	Tagged(method, route string) breach.Told
	// Named is how records name whom staff mean by a handle, an address or an id.
	Named(ctx context.Context, ref string) ([]string, error)
}

// Recipient is somebody who is told about a subject.
type Recipient struct {
	Person string // id
	Team   string // id; of which they are an admin, or a member
	Name   string
	Email  string // "" = nobody knows one
}

// Concerned tells who is to be told about a subject; nobody, where they are gone.
type Concerned interface {
	Reach(ctx context.Context) (func(subject string) []Recipient, error)
	// Admins are those of the teams that somebody is a member of.
	Admins(ctx context.Context) (func(person string) []Recipient, error)
}

// Post hands letters to a mail host one by one and says what became of each.
type Post interface {
	Deliver(ctx context.Context, m mail.Message) (mail.Answer, error)
}

// Cut is what of an attacker is to be ended.
type Cut struct {
	Kind string
	ID   string
	From netip.Addr // where the wish came from over the network; zero = it did not
}

// Cuts ends what an attacker holds.
type Cuts interface {
	// Kinds are what it can end: session, sessions, token, key, network, person.
	Kinds() []string
	// Cut ends it because of an incident, and says how it was before and is after. It refuses a
	// network in which whoever asks sits (fault.Invalid).
	Cut(ctx context.Context, who actor.Actor, ref string, what Cut) (before, after string, err error)
	// Again tries what the attacker did once more, and says whether it was refused.
	Again(ctx context.Context, kind, id string) (refused bool, says string, err error)
	// Lift lets a person in again, who was cut; asked is the id of the first of the two people
	// who want it, and who the second. Done twice it ends the same.
	Lift(ctx context.Context, who actor.Actor, asked, kind, id string) (says string, err error)
}

// The papers of a breach.
const (
	paperDismissal = "dismissal"
	paperAware     = "aware"
	paperCut       = "cut"
	paperRisk      = "risk"
	paperReceipt   = "receipt"
	paperLetter    = "letter-" // and the class
	paperTest      = "test-"   // and the class
	paperVendor    = "vendor"
	paperStatement = "statement"
	paperResearch  = "research"
	paperMeasure   = "measure"
	objectScope    = "scope"
	approvalLife   = 24 * time.Hour
	mostPaper      = 64 << 10
	pairs          = 2 // people who sign
)

// Paper is something that was decided or found, as it was written down.
type Paper struct {
	ID, Kind, Author, Name, Hash string
	At                           time.Time
	Signed                       []string // names
	Text                         json.RawMessage

	signers []string
	box     []byte
}

// Read decodes what a paper says.
func (p Paper) Read(v any) bool { return json.Unmarshal(p.Text, v) == nil }

func badPaper(kind, field, says string) error {
	return fault.New(fault.Invalid, kind+"_"+field, fault.Public{Problem: says, Fields: []fault.Field{{Name: field, Code: kind + "_" + field, Problem: says}}})
}

// insider refuses whoever has no role in the incident: what a breach tells of people is for
// those who work on it. The operator at the machine holds it anyway.
func (s *Service) insider(ctx context.Context, r ledger.Reader, who actor.Actor, c Case) error {
	held, err := s.held(ctx, r, c.ID)
	if err != nil {
		return err
	}
	if who.Kind == actor.Operator || who.Kind == actor.Writ || slices.ContainsFunc(held, func(h Held) bool { return h.By == by(who) }) {
		return nil
	}
	return fault.New(fault.Denied, "need_to_know", fault.Public{Problem: "What a breach tells of people is for those who work on it.", Expected: "A role in " + c.Ref() + ".", Next: "Take a role, or ask whoever leads it: writ incident show " + c.Ref()})
}

// known allows and records a look at a breach.
func (s *Service) known(ctx context.Context, who actor.Actor, ref, what string) (Case, error) { // clause: inc.breach-scope
	if err := s.Access.Allow(ctx, who, access.IncidentRead, ""); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	if c.States[engine.B] == "" {
		return Case{}, fault.New(fault.NotFound, "no_breach", fault.Public{Problem: c.Ref() + " is no breach.", Next: "Decide its kind first: writ incident kind " + c.Ref() + " breach"})
	}
	if err := s.insider(ctx, s.DB, who, c); err != nil {
		return Case{}, s.DB.Refuse(ctx, who, BreachSeen{Incident: c.ID, What: what, Refused: true}, err)
	}
	_, err = s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) { return BreachSeen{Incident: c.ID, What: what}, nil })
	return c, err
}

// actBreach is a change of a breach by somebody who works on it.
func (s *Service) actBreach(ctx context.Context, who actor.Actor, ref, wanted string, fn func(tx *ledger.Tx, c *Case) (ledger.Event, error)) (Case, error) {
	return s.act(ctx, who, ref, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if err := s.underWay(ctx, tx, who, *c, wanted); err != nil {
			return nil, err
		}
		return fn(tx, c)
	})
}

// underWay refuses what is done in a breach where there is none any more, and by whoever has no
// part in it.
func (s *Service) underWay(ctx context.Context, r ledger.Reader, who actor.Actor, c Case, wanted string) error {
	if at := c.States[engine.B]; at == "" || at == "BX" || !c.Open() {
		return kept(c, engine.B, wanted, nil)
	}
	return s.insider(ctx, r, who, c)
}

// write keeps a paper. also may add to the change; nil = nothing.
func (s *Service) write(ctx context.Context, who actor.Actor, ref, kind string, doc any, also func(tx *ledger.Tx, c *Case) error) (Case, error) {
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return Case{}, fmt.Errorf("encode a paper: %w", err)
	}
	if len(text) > mostPaper {
		return Case{}, fault.New(fault.TooLarge, "paper_large", fault.Public{Problem: "This is too large.", Expected: "At most 64 KiB."})
	}
	id := s.DB.ID()
	box, err := s.seal(ctx, c.ID, "incident_paper.box", id, string(text))
	if err != nil {
		return Case{}, err
	}
	return s.actBreach(ctx, who, c.ID, kind, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if also != nil {
			if err := also(tx, c); err != nil {
				return nil, err
			}
		}
		hash := digest(c.ID, kind, string(text))
		_, err := tx.Exec(ctx, insertPaper, id, c.ID, c.Round, kind, by(who), us(tx.Now()), hash, box)
		return PaperWritten{Incident: c.ID, Round: c.Round, Kind: kind, Hash: hash, clause: clauseOfPaper(kind)}, err
	})
}

// newest is the last paper of a kind in this round; fault.NotFound when there is none.
func newestPaper(ctx context.Context, r ledger.Reader, c Case, kind string) (Paper, error) {
	p := Paper{Kind: kind}
	var t int64
	err := ledger.One(ctx, r, lastPaper, []any{&p.ID, &p.Author, &t, &p.Hash, &p.box}, c.ID, c.Round, kind)
	p.At = at(t)
	if err != nil {
		return Paper{}, err
	}
	p.signers, err = signersOf(ctx, r, c, kind, p.Hash)
	return p, err
}

// signersOf are the people who have signed a thing as it is, within the life of a signature.
func signersOf(ctx context.Context, r ledger.Reader, c Case, object, hash string) (out []string, err error) {
	err = r.Each(ctx, freshSigners, func(scan ledger.Scan) error {
		var p string
		err := scan(&p)
		out = append(out, p)
		return err
	}, c.ID, object, hash)
	return out, err
}

// papers are all of the kinds that begin like this, the newest first, opened.
func (s *Service) papers(ctx context.Context, c Case, kind string) ([]Paper, error) {
	var out []Paper
	if err := s.DB.Each(ctx, papersOf, func(scan ledger.Scan) error {
		var p Paper
		var t int64
		err := scan(&p.ID, &p.Kind, &p.Author, &t, &p.Hash, &p.box)
		p.At = at(t)
		out = append(out, p)
		return err
	}, c.ID, kind, kind+"\x7f"); err != nil {
		return nil, fmt.Errorf("read papers: %w", err)
	}
	for i := range out {
		if err := s.openPaper(ctx, c, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Service) openPaper(ctx context.Context, c Case, p *Paper) (err error) {
	if p.signers, err = signersOf(ctx, s.DB, c, p.Kind, p.Hash); err != nil {
		return err
	}
	p.Name = s.name(ctx, p.Author)
	for _, who := range p.signers {
		p.Signed = append(p.Signed, s.name(ctx, who))
	}
	text, err := s.open(ctx, "incident_paper.box", p.ID, p.box)
	p.Text = json.RawMessage(text)
	return err
}

// paper is the newest of a kind with its words; nil = there is none.
func (s *Service) paper(ctx context.Context, c Case, kind string) (*Paper, error) {
	p, err := newestPaper(ctx, s.DB, c, kind)
	if errors.Is(err, fault.NotFound) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, err
	}
	return &p, s.openPaper(ctx, c, &p)
}

// Sign is a person's yes to a thing of a breach as it stands: the set, a letter, a decision.
// hash may be its beginning. The operator signs nothing.
func (s *Service) Sign(ctx context.Context, who actor.Actor, ref, object, hash string) (Case, error) { // clause: inc.breach-scope, inc.breach-notify
	if who.Kind != actor.Person || who.ByToken() {
		return Case{}, fault.New(fault.Denied, "no_person", fault.Public{Problem: "Only a person who is signed in signs.", Next: "Sign in: --as ADDRESS"})
	}
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	if err := s.People.FreshNow(ctx, who); err != nil {
		return Case{}, err
	}
	return s.actBreach(ctx, who, ref, "sign", func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		now, author, err := standsAs(ctx, tx, *c, object)
		if errors.Is(err, fault.NotFound) {
			return nil, fault.Newf(fault.NotFound, "object_unknown", "There is nothing called %q to sign.", object)
		}
		if err != nil {
			return nil, err
		}
		if len(hash) < 8 || len(hash) > len(now) || now[:len(hash)] != hash {
			return nil, fault.New(fault.Conflict, "approval_void", fault.Public{Problem: "It has changed since you read it, or its hash is not named.", Expected: "What has the hash " + now[:12] + ".", Next: "Read it, then sign that."})
		}
		if object == paperRisk && author == who.ID {
			return nil, kept(*c, engine.B, "sign-"+object, []engine.Lack{{Guard: "other-person", Words: "Whoever decided it does not sign it.", Who: "anybody else who may act in incidents"}})
		}
		n, err := tx.Exec(ctx, signAgain, c.ID, tx.ID(), object, now, who.ID, us(tx.Now()), us(tx.Now().Add(-approvalLife)))
		if err == nil && n == 0 {
			err = fault.Newf(fault.Conflict, "approved", "You have signed this already.")
		}
		return Approved{Incident: c.ID, Round: c.Round, Object: object, Hash: now, Person: who.ID}, err
	})
}

// standsAs is the hash of a thing as it is now, and who made it.
func standsAs(ctx context.Context, r ledger.Reader, c Case, object string) (hash, author string, err error) {
	if object == objectScope {
		x, err := newestScope(ctx, r, c.ID)
		return x.Hash, x.author, err
	}
	p, err := newestPaper(ctx, r, c, object)
	return p.Hash, p.Author, err
}

// breachFacts answer the guards that people answer.
func (s *Service) breachFacts(ctx context.Context, r ledger.Reader, c Case, f *engine.Facts) error {
	if c.States[engine.B] == "" {
		return nil
	}
	signed := func(object string, need int) (bool, error) {
		hash, _, err := standsAs(ctx, r, c, object)
		if errors.Is(err, fault.NotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		var n int64
		err = ledger.One(ctx, r, countSigned, []any{&n}, c.ID, object, hash, us(f.Now.Add(-approvalLife)))
		return int(n) >= need, err
	}
	var errs []error
	for guard, x := range map[string]struct {
		object string
		need   int
	}{"dismissal-signed": {paperDismissal, pairs}, "scope-signed": {objectScope, pairs}, "way-known": {paperResearch, pairs}, "measure-proved": {paperMeasure, pairs}, "risk-signed": {paperRisk, 1}} {
		ok, err := signed(x.object, x.need)
		f.Proved[guard] = ok
		errs = append(errs, err)
	}
	var cuts, open int64
	errs = append(errs, ledger.One(ctx, r, cutsOf, []any{&cuts, &open}, c.ID, c.Round))
	f.Proved["contained"] = cuts > 0 && open == 0
	x, err := newestScope(ctx, r, c.ID)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	f.Proved["scope-saved"] = err == nil && x.stated
	return errors.Join(append(errs, s.letterFacts(ctx, r, c, f))...)
}

// breachActs are what the server does in a breach.
func (s *Service) breachActs() map[string]act {
	return map[string]act{"hold-evidence": s.actHold, "authority-pack": s.actPack, "letters": s.actLetters}
}

const (
	insertPaper  = `INSERT INTO incident_paper (id, case_id, round, kind, author, at, hash, box) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	lastPaper    = `SELECT id, author, at, hash, box FROM incident_paper WHERE case_id = $1 AND round = $2 AND kind = $3 ORDER BY at DESC, id DESC LIMIT 1`
	papersOf     = `SELECT id, kind, author, at, hash, box FROM incident_paper WHERE case_id = $1 AND kind >= $2 AND kind < $3 ORDER BY at DESC, id DESC LIMIT 200`
	freshSigners = `SELECT person FROM incident_approval WHERE case_id = $1 AND object = $2 AND hash = $3 ORDER BY at, id`
	countSigned  = `SELECT COUNT(*) FROM incident_approval WHERE case_id = $1 AND object = $2 AND hash = $3 AND at >= $4`
	signAgain    = `INSERT INTO incident_approval (id, case_id, object, hash, person, at) VALUES ($2, $1, $3, $4, $5, $6)
		ON CONFLICT (case_id, object, hash, person) DO UPDATE SET at = excluded.at WHERE incident_approval.at < $7`
)
