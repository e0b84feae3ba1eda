package holders

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/seal"
	"writ/internal/secret"
	"writ/internal/shamir"
)

// staffTeam is whose holders these are.
const staffTeam = "staff"

// The states of a holder.
const (
	appointed = "appointed"
	enrolled  = "enrolled"
	over      = "ended"
)

// Holder is somebody who is to hold a share, or does.
type Holder struct {
	ID        string
	Person    string
	Name      string
	State     string // appointed, enrolled
	Kind      string // of the key: file, passkey; "" = none yet
	Appointed time.Time
	Enrolled  time.Time
	Holds     bool // has a share of the set in use

	keyID string
	key   []byte
}

// holders are those of a team who have not ended, in the order of their appointment.
func (s *Service) holders(ctx context.Context, q ledger.Reader, team string) ([]Holder, error) {
	var out []Holder
	err := q.Each(ctx, openHolders, func(scan ledger.Scan) error {
		var h Holder
		var made int64
		var since *int64
		err := scan(&h.ID, &h.Person, &h.State, &h.keyID, &h.key, &made, &since)
		h.Appointed, h.Enrolled = at(made), when(since)
		out = append(out, h)
		return err
	}, team)
	if err != nil {
		return nil, fmt.Errorf("read holders: %w", err)
	}
	return out, nil
}

// keyOf reads the key of an enrolled holder.
func (h Holder) keyOf() (k seal.Key, err error) {
	if err = json.Unmarshal(h.key, &k); err != nil {
		err = fmt.Errorf("read the key of a holder: %w", err)
	}
	return k, err
}

func enrolledOnes(hs []Holder) []Holder {
	return slices.DeleteFunc(slices.Clone(hs), func(h Holder) bool { return h.State != enrolled })
}

// Appoint asks people to hold a share. Each enrols a key; when all have, and they are enough,
// the set is made. Errors: fault.Denied, fault.Invalid (field holder).
func (s *Service) Appoint(ctx context.Context, who actor.Actor, refs []string) ([]Person, error) {
	if err := s.Access.Allow(ctx, who, access.VaultHolders, ""); err != nil {
		return nil, err
	}
	people, err := s.named(ctx, who, refs)
	if err != nil {
		return nil, err
	}
	letters, err := s.appointedLetters(ctx, who, people)
	if err != nil {
		return nil, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		ev := Appointed{}
		for _, p := range people {
			id := s.DB.ID()
			if _, err := tx.Exec(ctx, insertHolder, id, staffTeam, p.ID, appointed, us(tx.Now())); err != nil {
				return nil, err
			}
			ev.Holders = append(ev.Holders, p.ID)
		}
		return ev, s.enqueue(ctx, tx, letters)
	})
	if errors.Is(err, fault.Conflict) {
		return nil, invalid("One of these people is a holder already.")
	}
	if err != nil {
		return nil, fmt.Errorf("appoint holders: %w", err)
	}
	return people, nil
}

func invalid(problem string) error {
	return fault.New(fault.Invalid, "vault_holder", fault.Public{Problem: problem, Next: "Correct this and try again.", Fields: []fault.Field{{Name: "holder", Code: "vault_holder", Problem: problem}}})
}

// named finds the people who are to be appointed.
func (s *Service) named(ctx context.Context, who actor.Actor, refs []string) ([]Person, error) {
	now, err := s.holders(ctx, s.DB, staffTeam)
	if err != nil {
		return nil, err
	}
	var out []Person
	for _, ref := range refs {
		p, err := s.People.Find(ctx, who, ref)
		if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Invalid) {
			return nil, invalid(fmt.Sprintf("There is nobody called %.60q.", ref))
		}
		if err != nil {
			return nil, err
		}
		ok, err := s.People.Staffed(ctx, p.ID)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return nil, invalid(p.Name + " is no active member of staff.")
		case slices.ContainsFunc(now, func(h Holder) bool { return h.Person == p.ID }) || slices.ContainsFunc(out, func(o Person) bool { return o.ID == p.ID }):
			return nil, invalid(p.Name + " is a holder already; each holds one share.")
		}
		out = append(out, p)
	}
	if n := len(now) + len(out); len(out) == 0 || n > shamir.MaxShares {
		return nil, invalid(fmt.Sprintf("Name people, of whom %d at most can hold shares.", shamir.MaxShares))
	}
	return out, nil
}

// mine is the holder that the person who is signed in is: fault.NotFound when they are none.
func (s *Service) mine(ctx context.Context, who actor.Actor) (Holder, error) {
	if who.Kind == actor.Person && who.Session != "" && !who.ByToken() {
		hs, err := s.holders(ctx, s.DB, staffTeam)
		if err != nil {
			return Holder{}, err
		}
		if i := slices.IndexFunc(hs, func(h Holder) bool { return h.Person == who.ID }); i >= 0 {
			return hs[i], nil
		}
	}
	return Holder{}, fault.New(fault.NotFound, "no_holder", fault.Public{Problem: "You are not asked to hold a share of the vault's root key.", Expected: "An owner appoints holders.", Next: "Nothing, if nobody told you otherwise."})
}

// flow is a question to a browser that was not answered yet.
type flow struct {
	ceremony []byte
	salt     []byte
	until    time.Time
}

const flowLife = 5 * time.Minute

// AskPasskey asks the holder's browser for a passkey that keeps a key.
func (s *Service) AskPasskey(ctx context.Context, who actor.Actor) (options json.RawMessage, salt []byte, err error) {
	if _, err := s.mine(ctx, who); err != nil {
		return nil, nil, err
	}
	if err := s.People.FreshNow(ctx, who); err != nil {
		return nil, nil, err
	}
	if s.Enroller == nil {
		return nil, nil, fault.Newf(fault.NotFound, "no_passkeys", "This server's address has no name to bind passkeys to. Use a key file.")
	}
	salt = secret.Random(32).Reveal()
	ceremony, options, err := s.Enroller.Ask("Vault share: "+s.People.Name(ctx, who.ID), salt)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[who.ID] = flow{ceremony, salt, s.Now().Add(flowLife)}
	return options, salt, nil
}

// EnrolPasskey takes what the browser made: the passkey's answer, the public half of the
// holder's key and the private half as the passkey wraps it.
func (s *Service) EnrolPasskey(ctx context.Context, who actor.Actor, answer []byte, public, wrapped string) error {
	s.mu.Lock()
	f, ok := s.asked[who.ID]
	delete(s.asked, who.ID)
	s.mu.Unlock()
	if !ok || !s.Now().Before(f.until) {
		return fault.Newf(fault.Gone, "flow_over", "The question to your device is over. Press the button again.")
	}
	record, err := s.Enroller.Judge(f.ceremony, answer)
	if err != nil {
		return fault.New(fault.Invalid, "passkey_refused", fault.Public{Problem: "This passkey was not taken.", Next: "Try again, or use another device."})
	}
	pub, errPub := base64.StdEncoding.DecodeString(public)
	half, errHalf := base64.StdEncoding.DecodeString(wrapped)
	k, err := seal.NewKey(pub, &seal.Passkey{Record: record, Salt: f.salt, Wrapped: half})
	if err := errors.Join(errPub, errHalf, err); err != nil {
		return fault.New(fault.Invalid, "holder_key", fault.Public{Problem: "The key that the browser made cannot be read.", Next: "Try again, or use a key file."})
	}
	return s.Enrol(ctx, who, k)
}

// Enrol takes the key of somebody who was appointed. With the last one the set is made.
func (s *Service) Enrol(ctx context.Context, who actor.Actor, k seal.Key) error { // clause: people.no-sole-holder
	h, err := s.mine(ctx, who)
	if err != nil {
		return err
	}
	if err := s.People.FreshNow(ctx, who); err != nil {
		return err
	}
	return s.enrol(ctx, who, h, k)
}

// EnrolFor takes the key that a demo made for somebody. Elsewhere nobody enrols for another.
func (s *Service) EnrolFor(ctx context.Context, who actor.Actor, ref string, k seal.Key) error {
	if !s.Demo || who.Kind != actor.Writ {
		return fault.Newf(fault.Denied, "not_a_demo", "Nobody enrols for another.")
	}
	p, err := s.People.Find(ctx, who, ref)
	if err != nil {
		return err
	}
	hs, err := s.holders(ctx, s.DB, staffTeam)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(hs, func(h Holder) bool { return h.Person == p.ID })
	if i < 0 {
		return fault.Newf(fault.NotFound, "no_holder", "This person is not asked to hold a share.")
	}
	return s.enrol(ctx, who, hs[i], k)
}

func (s *Service) enrol(ctx context.Context, who actor.Actor, h Holder, k seal.Key) error {
	text, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("enrol a holder: %w", err)
	}
	letters, err := s.enrolledLetters(ctx, h, k)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		var twice int64
		if err := ledger.One(ctx, tx, sameKey, []any{&twice}, h.ID, k.ID); err != nil {
			return nil, err
		}
		if twice > 0 { // one key for two people would be one holder
			return nil, fault.Newf(fault.Conflict, "key_taken", "Another holder has this key already. Each holder has a key of their own.")
		}
		n, err := tx.Exec(ctx, enrolHolder, h.ID, k.ID, text, us(tx.Now()))
		if err == nil && n != 1 {
			err = fault.Newf(fault.Conflict, "holder_ended", "You are asked no longer to hold a share.")
		}
		if err != nil {
			return nil, err
		}
		return Enrolled{Holder: h.Person, Kind: k.Kind, Key: k.ID}, s.enqueue(ctx, tx, letters)
	})
	if err != nil {
		return fmt.Errorf("enrol a holder: %w", err)
	}
	return s.whenAllDid(ctx)
}

// whenAllDid makes the set once everybody who was appointed has a key, and they are enough.
func (s *Service) whenAllDid(ctx context.Context) error {
	hs, err := s.holders(ctx, s.DB, staffTeam)
	if err != nil {
		return err
	}
	if in := enrolledOnes(hs); len(in) < len(hs) || len(in) < s.Rules.Get().QuorumOf {
		return nil
	}
	_, err = s.reshare(ctx, actor.System("vault-holders"))
	return err
}

// Remove ends that somebody holds a share. The shares are to be made anew then. It refuses
// to leave fewer than the policy asks for, or than open the vault.
func (s *Service) Remove(ctx context.Context, who actor.Actor, ref string) error {
	if err := s.Access.Allow(ctx, who, access.VaultHolders, ""); err != nil {
		return err
	}
	p, err := s.People.Find(ctx, who, ref)
	if err != nil {
		return err
	}
	return s.end(ctx, who, staffTeam, p.ID, "removed")
}

// end takes a holder out, in one change with the look at who remains.
func (s *Service) end(ctx context.Context, who actor.Actor, team, person, cause string) error { // clause: people.no-sole-holder
	letters, err := s.endedLetters(ctx, team, person, cause)
	if err != nil {
		return err
	}
	var refusal error
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		refusal = nil
		if _, err := tx.Exec(ctx, lockHolders, team); err != nil {
			return nil, err
		}
		hs, err := s.holders(ctx, tx, team)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(hs, func(h Holder) bool { return h.Person == person })
		if i < 0 {
			return nil, fault.Newf(fault.NotFound, "no_holder", "This person holds no share and is not asked to.")
		}
		rest := len(enrolledOnes(slices.Delete(slices.Clone(hs), i, i+1)))
		if least := max(s.Rules.Get().MinHolders, s.Rules.Get().QuorumNeed); cause == "removed" && hs[i].State == enrolled && rest < least {
			refusal = lastButOne(rest, least)
			return nil, refusal
		}
		_, err = tx.Exec(ctx, endHolder, hs[i].ID, us(tx.Now()), cause)
		return HolderEnded{Holder: person, Cause: cause, Left: int64(rest)}, errors.Join(err, s.enqueue(ctx, tx, letters))
	})
	if refusal != nil {
		return s.DB.Refuse(ctx, who, RemovalRefused{Holder: person}, refusal)
	}
	if err != nil {
		return fmt.Errorf("take out a holder: %w", err)
	}
	return nil
}

func lastButOne(rest, least int) error {
	problem := fmt.Sprintf("Then only %d would hold a share.", rest)
	return fault.New(fault.Conflict, "last_but_one", fault.Public{Problem: problem, Expected: fmt.Sprintf("At least %d holders remain.", least), Next: "Appoint another holder first, and let them enrol.",
		Fields: []fault.Field{{Name: "holder", Code: "last_but_one", Problem: problem + " Appoint another holder first."}}})
}

// Tend ends holders who left, and drills whose time is over.
func (s *Service) Tend(ctx context.Context) error {
	hs, err := s.holders(ctx, s.DB, staffTeam)
	if err != nil {
		return err
	}
	for _, h := range hs {
		ok, err := s.People.Staffed(ctx, h.Person)
		if err != nil {
			return err
		}
		if ok {
			continue
		}
		if err := s.end(ctx, actor.System("vault-holders"), staffTeam, h.Person, "left"); err != nil && !errors.Is(err, fault.NotFound) {
			return err // another node was first where it is not there
		}
	}
	s.tendDrill()
	return nil
}

func (s *Service) enqueue(ctx context.Context, tx *ledger.Tx, letters []jobs.Job) error {
	for _, j := range letters {
		if err := s.Mail.Enqueue(ctx, tx, j); err != nil {
			return err
		}
	}
	return nil
}

const (
	openHolders  = `SELECT id, person, state, key_id, key, appointed, enrolled FROM vault_holder WHERE team = $1 AND state <> 'ended' ORDER BY appointed, id`
	lockHolders  = `UPDATE vault_holder SET team = team WHERE team = $1 AND state <> 'ended'`
	insertHolder = `INSERT INTO vault_holder (id, team, person, state, cause, key_id, key, appointed, enrolled, ended) VALUES ($1, $2, $3, $4, '', '', '', $5, NULL, NULL)`
	sameKey      = `SELECT COUNT(*) FROM vault_holder WHERE id <> $1 AND key_id = $2 AND state <> 'ended'`
	enrolHolder  = `UPDATE vault_holder SET state = 'enrolled', key_id = $2, key = $3, enrolled = $4 WHERE id = $1 AND state <> 'ended'`
	endHolder    = `UPDATE vault_holder SET state = 'ended', ended = $2, cause = $3, key = '' WHERE id = $1`
)
