package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/passhash"
	"writ/internal/secret"
)

// Forgotten is a stranger's word that a password was forgotten.
type Forgotten struct {
	Email   string
	Network string
	Agent   string
}

// recoveryJob decides outside the request whether a letter goes out.
const recoveryJob = "identity.recovery"

// forgotten is the payload of that job.
type forgotten struct {
	Index   string `json:"index"`
	Network string `json:"network"`
	Agent   string `json:"agent"`
}

// RequestRecovery takes in a request for a reset link. It answers alike, with the same
// work, whether the address is known, unknown or none. Beyond 3 an hour for an address
// or 10 for a network nothing is sent; that is recorded and does not show.
func (s *Service) RequestRecovery(ctx context.Context, who actor.Actor, in Forgotten) error { // clause: auth.reset-link
	addr, err := ParseAddress(in.Email)
	if err != nil {
		addr = Address{Text: "nobody@invalid", Key: "malformed " + cut(in.Email, 256)}
	}
	idx, err := s.index(ctx, addr)
	if err != nil {
		return err
	}
	ba, err1 := s.bucket(ctx, resetMail, idx)
	bn, err2 := s.bucket(ctx, resets, who.ID)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	full, err := s.take(ctx, ba, bn)
	if err != nil {
		return err
	}
	plain, err := json.Marshal(forgotten{idx, in.Network, cut(in.Agent, 200)})
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	job, err := s.Jobs.Prepare(ctx, recoveryJob, plain)
	if err != nil {
		return fmt.Errorf("prepare decision: %w", err)
	}
	ev := ResetRequested{Silent: full != nil, Address: idx, Network: in.Network}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if full != nil {
			return ev, nil
		}
		return ev, s.Jobs.Enqueue(ctx, tx, job)
	})
	if err != nil {
		return fmt.Errorf("record request: %w", err)
	}
	return nil
}

// decideRecovery sends a reset link to the stored, confirmed address of an active person.
func (s *Service) decideRecovery(ctx context.Context, payload secret.Bytes) error {
	var in forgotten
	if err := json.Unmarshal(payload.Reveal(), &in); err != nil {
		return fmt.Errorf("decode request: %w", err)
	}
	acc, err := s.accountByIndex(ctx, in.Index)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	if err != nil || acc.state != stateActive || !acc.confirmed { // clause: auth.reset-link
		return s.system(ctx, ResetUnanswered{Address: in.Index})
	}
	return s.sendReset(ctx, actor.System("identity-recovery"), acc, s.asked(in.Network, in.Agent), "")
}

// sendReset makes a reset link, which replaces older ones, and mails it.
func (s *Service) sendReset(ctx context.Context, who actor.Actor, acc account, asked, reason string) error {
	l := s.link(ResetLink, acc.id, "")
	job, err := s.letter(ctx, acc.email, s.resetLetter(l, asked))
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, endResetsOf, acc.id, us(tx.Now()), "superseded"); err != nil { // clause: auth.reset-link-lifetime
			return nil, err
		}
		if err := l.insert(ctx, tx); err != nil {
			return nil, err
		}
		return LinkIssued{Link: l.id, Kind: string(l.kind), Person: acc.id, Until: tx.Now().Add(l.ttl), reason: reason}, s.Mail.Enqueue(ctx, tx, job)
	})
	if err != nil && !errors.Is(err, errStale) {
		return fmt.Errorf("send reset link: %w", err)
	}
	return nil
}

// PasswordLink tells a page about a reset or owner link, without using it. A link that
// does not work is fault.Gone, link_dead.
func (s *Service) PasswordLink(ctx context.Context, who actor.Actor, kind LinkKind, token secret.Text) (LinkInfo, error) {
	l, err := s.alive(ctx, token, kind)
	if err != nil {
		return LinkInfo{}, s.deadOf(ctx, who, err)
	}
	acc, err := s.account(ctx, l.person)
	if err != nil || acc.state != stateActive {
		return LinkInfo{}, s.deadOf(ctx, who, &deadLink{kind: kind, cause: "cancelled", ttl: s.Rules.Get().ttl(kind)})
	}
	return LinkInfo{Kind: kind, Issued: l.issued, Expires: l.expires, Name: acc.name, Email: acc.email}, nil
}

// SetByLink is a new password through a one-time link.
type SetByLink struct {
	Kind    LinkKind // ResetLink or OwnerLink
	Token   secret.Text
	New     secret.Text
	Network string
	Agent   string
}

// SetPassword consumes a reset or owner link and sets the password: one winner. A
// refused password (fault.Invalid) leaves the link as it was; every token that does not
// work is fault.Gone, link_dead. It ends what auth.reset-sets-new names and does not
// sign in. The device token returned makes this browser known, so that whoever hammers
// on the account cannot keep its owner out. Where the person has a second factor, the new
// password waits in a flow and counts only when that was shown: a mailbox alone is not
// enough.
func (s *Service) SetPassword(ctx context.Context, who actor.Actor, in SetByLink) (SignedInAs, error) {
	if in.Kind != ResetLink && in.Kind != OwnerLink {
		return SignedInAs{}, s.deadOf(ctx, who, &deadLink{kind: in.Kind, cause: "unknown"})
	}
	l, err := s.alive(ctx, in.Token, in.Kind)
	if err != nil {
		return SignedInAs{}, s.deadOf(ctx, who, err)
	}
	dead := &deadLink{kind: in.Kind, cause: "cancelled", ttl: s.Rules.Get().ttl(in.Kind)}
	acc, err := s.account(ctx, l.person)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return SignedInAs{}, err
	}
	if err != nil || acc.state != stateActive || !acc.confirmed && in.Kind != OwnerLink { // a first link proves the address, see proveAddress
		return SignedInAs{}, s.deadOf(ctx, who, dead)
	}
	good, err := s.newBy(ctx, who, acc, in)
	if err != nil {
		return SignedInAs{}, err
	}
	h, err := s.hash(ctx, who, true, good, "identity_password.phc", acc.id)
	if err != nil {
		return SignedInAs{}, err
	}
	n, err := needOf(ctx, s.DB, s.Rules.Get(), acc.id)
	if err != nil {
		return SignedInAs{}, err
	}
	if len(n.enrolled) > 0 { // clause: auth.reset-sets-new
		return s.stage(ctx, who, l, acc, n, h)
	}
	device, err := s.commitSet(ctx, who, setting{link: l, acc: acc, h: h, kind: in.Kind, from: From{Network: in.Network, Agent: in.Agent}})
	if errors.Is(err, errStale) {
		err = dead
	}
	if err != nil {
		return SignedInAs{}, s.deadOf(ctx, who, err)
	}
	return SignedInAs{Next: NextSignIn, Device: device}, nil
}

// staged is a password that waits for the second factor.
type staged struct {
	Box    []byte `json:"box"`
	Scheme string `json:"scheme"`
	Min    int    `json:"min"`
	List   string `json:"list"`
}

// stage keeps the new password in a flow. The link stays as it was: what it leads to has
// not happened yet.
func (s *Service) stage(ctx context.Context, who actor.Actor, l link, acc account, n need, h hashed) (SignedInAs, error) {
	f := newFlow(flowReset, acc.id, "link")
	f.link = l.id
	plain, err := json.Marshal(staged{h.box, h.scheme, h.min, h.list})
	if err != nil {
		return SignedInAs{}, fmt.Errorf("encode password: %w", err)
	}
	if f.payload, err = s.seal(ctx, keyring.Class(passwordClass), "identity_flow.payload", f.id, plain); err != nil {
		return SignedInAs{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		return ResetStaged{Person: acc.id, Link: l.id, Kind: string(l.kind)}, f.insert(ctx, tx, n.acr)
	})
	if err != nil {
		return SignedInAs{}, fmt.Errorf("stage a password: %w", err)
	}
	kinds, err := s.kindsToShow(ctx, acc.id)
	return SignedInAs{Next: NextFactor, Flow: f.token, Bind: f.bind, Factors: kinds}, err
}

// proceedReset ends a reset whose second factor was right: the link is used now.
func (s *Service) proceedReset(ctx context.Context, who actor.Actor, acc account, f flow, p proof, in Step) (SignedInAs, error) {
	b, err := s.open(ctx, "identity_flow.payload", f.id, f.payload)
	if err != nil {
		return SignedInAs{}, err
	}
	var st staged
	if err := json.Unmarshal(b.Reveal(), &st); err != nil {
		return SignedInAs{}, fmt.Errorf("decode password: %w", err)
	}
	l, err := s.linkByID(ctx, f.link)
	if err != nil {
		return SignedInAs{}, s.deadOf(ctx, who, err)
	}
	device, err := s.commitSet(ctx, who, setting{link: l, acc: acc, kind: l.kind, from: From{Network: in.Network, Agent: in.Agent},
		h: hashed{st.Box, st.Scheme, st.Min, st.List}, flow: &f, proof: &p})
	if errors.Is(err, errSpent) {
		return SignedInAs{}, s.wrongFactor(ctx, who, acc.id, p.kind, "used", From{Network: in.Network})
	}
	if err != nil {
		return SignedInAs{}, s.deadOf(ctx, who, err)
	}
	if err := s.forgive(ctx, p.clear, nil); err != nil {
		s.Log.Error("forgive codes after a reset", "err", err) // the password stands
	}
	return SignedInAs{Next: NextSignIn, Device: device}, nil
}

// linkByID reads a link that a flow goes on with; one that does not work any more is dead.
func (s *Service) linkByID(ctx context.Context, id string) (link, error) {
	l := link{id: id}
	var issued, expires int64
	var ended *int64
	if err := ledger.One(ctx, s.DB, readLink, []any{&l.kind, &l.person, &issued, &expires, &ended, &l.cause}, id); err != nil {
		return l, fmt.Errorf("read link: %w", err)
	}
	l.issued, l.expires, l.ended = at(issued), at(expires), ended != nil
	ttl := s.Rules.Get().ttl(l.kind)
	if cause := l.dead(s.Now(), ttl); cause != "" {
		return l, &deadLink{kind: l.kind, cause: cause, ttl: ttl}
	}
	return l, nil
}

// setting is a new password on its way through a link.
type setting struct {
	link  link
	acc   account
	kind  LinkKind
	from  From
	h     hashed
	flow  *flow // with its proof, where the person has a second factor
	proof *proof
}

// newBy checks the password of a link against all rules, the present password included.
func (s *Service) newBy(ctx context.Context, who actor.Actor, acc account, in SetByLink) (accepted, error) {
	d := doorReset
	if in.Kind == OwnerLink {
		d = doorInvite
	}
	factor, err := s.always(ctx, acc.id)
	if err != nil {
		return accepted{}, err
	}
	good, fields := s.judge(candidate{door: d, field: "new", text: in.New, about: []string{acc.name, acc.email}, factor: factor})
	old, err := s.password(ctx, acc.id)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return accepted{}, fmt.Errorf("read password: %w", err)
	}
	if text, nerr := passhash.Normalize(in.New.Reveal()); err == nil && nerr == nil {
		same, err := s.verify(ctx, who.ID, true, old.phc, text)
		if err != nil {
			return accepted{}, err
		}
		if same {
			fields = append(fields, passwordSame("new"))
		}
	}
	if len(fields) > 0 {
		return accepted{}, s.refusePassword(ctx, who, d, fields)
	}
	return good, nil
}

// commitSet is the one change that consumes the link and everything that goes with it.
func (s *Service) commitSet(ctx context.Context, who actor.Actor, in setting) (secret.Text, error) {
	rules, l, acc, h := s.Rules.Get(), in.link, in.acc, in.h
	device, deviceID := secret.RandomText(32), s.DB.ID()
	job, err := s.letter(ctx, acc.email, s.setLetter(in.kind, s.asked(in.from.Network, in.from.Agent)))
	if err != nil {
		return secret.Text{}, err
	}
	var ids []string
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		ids = nil
		if err := lockPerson(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		if err := in.prove(ctx, tx, rules); err != nil {
			return nil, err
		}
		if err := l.use(ctx, tx, rules.ttl(l.kind)); err != nil {
			return nil, err
		}
		if err := h.store(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		if err := proveAddress(ctx, tx, l); err != nil {
			return nil, err
		}
		ev := ResetUsed{Person: acc.id, Link: l.id, Kind: string(l.kind), Age: tx.Now().Sub(l.issued), Scheme: h.scheme, List: h.list, Min: h.min}
		var err error
		if slices.Contains(rules.ResetEnds, endsSessions) { // clause: auth.reset-sets-new
			if ids, err = endSessionsIn(ctx, tx, acc.id, "", "password-reset"); err != nil {
				return nil, err
			}
			ev.Sessions = int64(len(ids))
		}
		if slices.Contains(rules.ResetEnds, endsLinks) { // clause: auth.reset-sets-new
			if ev.Links, err = endLinks(ctx, tx, acc.id, "cancelled"); err != nil {
				return nil, err
			}
		}
		if slices.Contains(rules.ResetEnds, endsDevices) { // clause: auth.reset-sets-new
			if _, err := tx.Exec(ctx, deleteDevices, acc.id); err != nil {
				return nil, err
			}
		}
		if slices.Contains(rules.ResetEnds, endsTokens) { // clause: auth.reset-sets-new
			if ev.Tokens, err = endTokensIn(ctx, tx, acc.id, "password-reset", true); err != nil {
				return nil, err
			}
		}
		if _, err := tx.Exec(ctx, insertDevice, sum(device), acc.id, deviceID, us(tx.Now())); err != nil {
			return nil, err
		}
		return ev, s.Mail.Enqueue(ctx, tx, job)
	})
	if err != nil {
		return secret.Text{}, fmt.Errorf("set password by link: %w", err)
	}
	s.table.drop(s.Now(), ids...)
	s.tokensOf(ctx, acc.id)
	return device, nil
}

// prove spends the second factor inside the change, and refuses to go on without one where
// the person has one by now.
func (in setting) prove(ctx context.Context, tx *ledger.Tx, rules *Rules) error { // clause: auth.reset-sets-new
	if in.proof != nil {
		if err := in.flow.end(ctx, tx, "done"); err != nil {
			return err
		}
		return in.proof.spend(ctx, tx)
	}
	n, err := needOf(ctx, tx, rules, in.acc.id)
	if err == nil && len(n.enrolled) > 0 {
		err = errFlow()
	}
	return err
}

// StartReset mails somebody the link with which they set a new password, for whoever says
// why. Nobody chooses a password for them, and nobody else sees the link. Somebody who
// never had a password is fault.Conflict, no_password: RenewLink is for them.
func (s *Service) StartReset(ctx context.Context, who actor.Actor, ref, reason string) error {
	acc, err := s.managed(ctx, who, ref)
	if err != nil {
		return err
	}
	if reason, err = reasonOf(reason); err != nil {
		return err
	}
	if acc.state != stateActive {
		return fault.Newf(fault.Conflict, "not_active", "This person cannot sign in: the account is %s.", acc.state)
	}
	if _, err := s.password(ctx, acc.id); errors.Is(err, fault.NotFound) {
		return fault.New(fault.Conflict, "no_password", fault.Public{Problem: "They have no password that could be reset.", Next: "Renew their first link: writ user link."})
	} else if err != nil {
		return fmt.Errorf("read password: %w", err)
	}
	return s.sendReset(ctx, who, acc, s.byOperator(), reason)
}

func (s *Service) byOperator() string { return "Asked for by your operator on " + stamp(s.Now()) + "." }

// RenewLink answers a lost link: a person without a password gets a new owner link, one
// with a password a reset link. The owner link is returned to the operator at the machine,
// who hands it over; to anybody else nothing is returned and the letter goes to the
// person: whoever holds the link can become them, and sign in their name.
func (s *Service) RenewLink(ctx context.Context, who actor.Actor, ref string) (url secret.Text, err error) {
	acc, err := s.managed(ctx, who, ref)
	if err != nil {
		return secret.Text{}, err
	}
	if acc.state != stateActive {
		return secret.Text{}, fault.Newf(fault.Conflict, "not_active", "This person cannot sign in: the account is %s.", acc.state)
	}
	if _, err := s.password(ctx, acc.id); err == nil {
		return secret.Text{}, s.sendReset(ctx, who, acc, s.byOperator(), "")
	} else if !errors.Is(err, fault.NotFound) {
		return secret.Text{}, fmt.Errorf("read password: %w", err)
	}
	l := s.link(OwnerLink, acc.id, "")
	job, shown, err := s.handOver(ctx, who, acc.email, l)
	if err != nil {
		return secret.Text{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := endLinks(ctx, tx, acc.id, "superseded"); err != nil {
			return nil, err
		}
		if !shown {
			if err := s.Mail.Enqueue(ctx, tx, job); err != nil {
				return nil, err
			}
		}
		if err := l.insert(ctx, tx); err != nil {
			return nil, err
		}
		return LinkIssued{Link: l.id, Kind: string(l.kind), Person: acc.id, Until: tx.Now().Add(l.ttl)}, nil
	})
	if err != nil {
		return secret.Text{}, fmt.Errorf("renew link: %w", err)
	}
	if !shown {
		return secret.Text{}, nil
	}
	return secret.NewText(s.Origin + l.path()), nil
}

// handOver says whether the maker of an owner link may see it: the operator at the
// machine, who gives it on. For anybody else it prepares the letter to the person.
func (s *Service) handOver(ctx context.Context, who actor.Actor, to string, l newLink) (job jobs.Job, shown bool, err error) {
	if who.Kind == actor.Operator || who.Kind == actor.Writ {
		return jobs.Job{}, true, nil
	}
	job, err = s.letter(ctx, to, s.firstLetter(l))
	return job, false, err
}

const (
	deleteDevices = `DELETE FROM identity_device WHERE person = $1`
	readLink      = `SELECT kind, person, issued, expires, ended, cause FROM identity_link WHERE id = $1`
)
